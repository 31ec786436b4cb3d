//! Links the peers written in C.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_C_PEERS").is_some() {
        println!("cargo:rustc-link-lib=spandsp");
        println!("cargo:rustc-link-lib=speexdsp");
    }
}
