//! Looks for what the C dependencies of host-std want: cmake for libopus, and on Linux pkg-config and ALSA.

use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=PKG_CONFIG_PATH");
    // Somebody who cross-compiles, or points to tools of their own, knows what they are doing.
    let own_tools = ["CMAKE", "PKG_CONFIG", "PKG_CONFIG_SYSROOT_DIR"].iter().any(|name| std::env::var_os(name).is_some());
    if own_tools || std::env::var("HOST") != std::env::var("TARGET") {
        return;
    }
    let linux = std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux");
    let mut missing = Vec::new();
    if !runs("cmake", &["--version"]) {
        missing.push(("cmake", "cmake"));
    }
    if linux && !runs("pkg-config", &["--version"]) {
        missing.push(("pkg-config", "pkg-config"));
        // Without it nothing can tell whether the library is there.
        missing.push(("ALSA", "libasound2-dev"));
    } else if linux && !runs("pkg-config", &["--exists", "alsa"]) {
        missing.push(("ALSA", "libasound2-dev"));
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

fn runs(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
