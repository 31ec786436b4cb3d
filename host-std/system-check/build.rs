//! Looks for what the C dependencies of media-core-host want: cmake for libopus, and on Linux ALSA for sound cards.

use std::path::Path;
use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=LIBRARY_PATH");
    // Somebody who cross-compiles, or points to a cmake of their own, knows what they are doing.
    if std::env::var_os("CMAKE").is_some() || std::env::var("HOST") != std::env::var("TARGET") {
        return;
    }
    let linux = std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux");
    let mut missing = Vec::new();
    if cfg!(feature = "cmake") && !runs("cmake", &["--version"]) {
        missing.push(("cmake", "cmake"));
    }
    if cfg!(feature = "alsa") && linux {
        if !runs("cc", &["--version"]) {
            missing.push(("a linker", "build-essential"));
        } else if !links("asound") {
            missing.push(("ALSA", "libasound2-dev"));
        }
    }
    if missing.is_empty() {
        return;
    }
    let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
    let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    println!("cargo::error=not found on this system: {}", names.join(", "));
    if linux {
        println!("cargo::error=on Debian or Ubuntu: sudo apt-get install {}", packages.join(" "));
    }
}

/// Whether the linker finds a library.
fn links(library: &str) -> bool {
    let out = std::env::var_os("OUT_DIR").unwrap_or_default();
    let probe = Path::new(&out).join("probe.so");
    runs("cc", &["-shared", "-o", &probe.to_string_lossy(), &format!("-l{library}")])
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
