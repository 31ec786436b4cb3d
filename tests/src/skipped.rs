//! What a test can't do on this machine: it says so and skips, and the last test program (`zz_skipped`) tells how many did.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

/// Whether nothing may be skipped for want of data or of a program: `MEDIA_CORE_REQUIRE=1`.
pub fn required() -> bool {
    std::env::var("MEDIA_CORE_REQUIRE").as_deref() == Ok("1")
}

/// The test goes without what this machine lacks; with `MEDIA_CORE_REQUIRE=1` it fails instead.
///
/// # Panics
/// Where it is required.
#[track_caller]
pub fn lacks(what: impl Display) {
    assert!(!required(), "{what}, and MEDIA_CORE_REQUIRE=1 wants it");
    skip(what);
}

/// The test goes without a program that nobody here wrote: a phone, a browser's engine, a server. With
/// `MEDIA_CORE_REQUIRE=1` it fails instead, as with `MEDIA_CORE_PEERS=1`; `MEDIA_CORE_PEERS=0` lets it go all the same,
/// which is what `.ci/run` does.
///
/// # Panics
/// Where it is required.
#[track_caller]
pub fn lacks_peer(what: impl Display) {
    let required = match std::env::var("MEDIA_CORE_PEERS").as_deref() {
        Ok("1") => true,
        Ok("0") => false,
        _ => required(),
    };
    assert!(!required, "{what}, and MEDIA_CORE_PEERS=1 or MEDIA_CORE_REQUIRE=1 wants it");
    skip(what);
}

/// The test goes without what no setting may ask of every machine.
pub fn skip(what: impl Display) {
    eprintln!("skipped: {what}");
    // A note that can't be written is no reason to fail.
    if let Ok(mut notes) = OpenOptions::new().create(true).append(true).open(notes()) {
        let thread = std::thread::current();
        // In one piece: tests write at the same time.
        let _ = notes.write_all(format!("{}: {what}\n", thread.name().unwrap_or("a test")).as_bytes());
    }
}

/// Takes what the test programs of this run have noted, a line each.
///
/// # Panics
/// If there are notes that can't be read.
pub fn take() -> Vec<String> {
    let path = notes();
    if !path.exists() {
        return Vec::new();
    }
    let text = std::io::read_to_string(File::open(&path).expect("our own file")).expect("our own text");
    std::fs::remove_file(&path).expect("our own file");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines.dedup();
    lines
}

/// One file a run: what started this test program is the `cargo test` that started the others.
fn notes() -> PathBuf {
    #[cfg(unix)]
    let run = std::os::unix::process::parent_id();
    #[cfg(not(unix))]
    let run = "run";
    std::env::temp_dir().join(format!("media-core-skipped-{run}"))
}
