//! Benchmarks of Media Core beside its peers; each file in `benches/` is one subject.
