//! What the tests share. Each file in `tests/` is one subject.

pub mod babble;
pub mod books;
pub mod canned;
pub mod captures;
pub mod chained;
pub mod coded;
pub mod digits;
pub mod echoed;
pub mod fnv;
pub mod golden;
pub mod paired;
pub mod phone_flood;
pub mod program;
pub mod resampled;
pub mod resampling;
pub mod road;
pub mod score;
pub mod skipped;
pub mod tick;
pub mod turn_server;

use std::path::PathBuf;

use host_std::record::call::CallRecorder;
use host_std::session::Call;

/// A folder or file below the shared data (standards' vectors, speech, traces): `MEDIA_CORE_SHARED`, by default
/// `../shared` beside the repository.
///
/// On a machine without the data, a test says so and skips; with `MEDIA_CORE_REQUIRE=1` it fails instead.
pub fn shared(path: &str) -> Option<PathBuf> {
    // From the repository's root, as scripts see it.
    let root = std::env::var_os("MEDIA_CORE_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    let full = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(root).join(path);
    if full.exists() {
        return Some(full);
    }
    skipped::lacks(format_args!("{} is not here (set MEDIA_CORE_SHARED)", full.display()));
    None
}

/// A call that is recorded, its datagrams too.
pub fn recorded(mut call: Call) -> Call {
    call.set_tap(Box::new(CallRecorder::with_arrivals()));
    call
}

/// What was recorded of it.
///
/// # Panics
/// If it isn't recorded.
pub fn recorder(call: &Call) -> &CallRecorder {
    call.tap().expect("a call that is recorded")
}

/// The examples in the README compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// So do those of the pages in `docs`.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../docs/getting-started.md")]
    struct GettingStarted;
    #[doc = include_str!("../../docs/receive.md")]
    struct Receive;
    #[doc = include_str!("../../docs/srtp-and-keys.md")]
    struct SrtpAndKeys;
    #[doc = include_str!("../../docs/sdp.md")]
    struct Sdp;
    #[doc = include_str!("../../docs/signalling.md")]
    struct Signalling;
}
