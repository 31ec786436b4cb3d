//! Tells the linker where memory lies. Here and not in `.cargo/config.toml`, whose flags would add up with a parent's.

fn main() {
    println!("cargo:rustc-link-search={}", std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rerun-if-env-changed=SPEEXDSP_LIBRARIES");
    if std::env::var_os("CARGO_FEATURE_SPEEXDSP").is_some() {
        // Folders, and then the libraries in the order in which they need each other.
        let folders = std::env::var("SPEEXDSP_LIBRARIES").expect("tests/firmware/speexdsp sets it");
        folders.split(':').for_each(|folder| println!("cargo:rustc-link-search={folder}"));
        ["speexdsp", "m", "c", "nosys", "gcc"].iter().for_each(|name| println!("cargo:rustc-link-lib=static={name}"));
    }
}
