//! Tells the linker where memory lies. Here and not in `.cargo/config.toml`, whose flags would add up with a parent's.

use std::path::PathBuf;

fn main() {
    let folder = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(std::env::var("OUT_DIR").expect("cargo sets it"));
    // One that lay beside this would be found first.
    let memory = if std::env::var_os("CARGO_FEATURE_AN505").is_some() { "memory/an505.x" } else { "memory/an386.x" };
    std::fs::copy(folder.join(memory), out.join("memory.x")).expect("the memory's description is copied");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rerun-if-changed={memory}");
}
