//! Fails a build early, and says which system packages are missing.
//!
//! The build script of this crate looks for the tools and libraries that the C dependencies of `media-core-host` need: CMake for
//! libopus (feature `cmake`), and ALSA on Linux (feature `alsa`). If one is missing the build fails with the names of the packages to
//! install. It looks for nothing where `CMAKE` is set or the build is for another machine. The crate depends on nothing, so it is
//! among the first to be built. It has nothing to use at run time: depend on `media-core-host` instead.
#![no_std]
