//! Runnable examples of Media Core; each file in `examples/` is one subject.
