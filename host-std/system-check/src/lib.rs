//! Nothing at run time: this crate's build script looks whether the tools and libraries that media-core-host's C
//! dependencies want are there, and names the system packages that are missing. It depends on nothing, so it is among
//! the first to be built.
#![no_std]
