//! The program starts. This test is also what makes cargo build the program for the tests of the workspace, which run
//! it (`media_core_tests::program`).

use std::process::Command;

#[test]
fn the_program_tells_its_version() {
    let output = Command::new(env!("CARGO_BIN_EXE_media-core")).arg("--version").output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), concat!("media-core ", env!("CARGO_PKG_VERSION"), "\n"));
}
