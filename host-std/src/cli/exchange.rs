//! How an SDP offer or answer gets to the other side and back: by files, or by stdin and stdout.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, IsTerminal, Read};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Outcome, print};

/// Pause between looks for a file that isn't there yet.
const FILE_POLL: Duration = Duration::from_millis(100);
/// An SDP is never longer.
const LONGEST_SDP: u64 = 64 * 1024;

/// Writes `sdp` to the file, or to stdout.
pub(super) fn put_sdp(file: Option<&Path>, sdp: &str) -> Outcome {
    match file {
        Some(path) => {
            // Whole or not at all: the other side may be waiting for the file.
            let part = path.with_extension("part");
            std::fs::write(&part, sdp)
                .and_then(|()| std::fs::rename(&part, path))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        None => print(&format!("{sdp}\r\n"))?,
    }
    Ok(())
}

/// When the file was written; `None` where it isn't there.
pub(super) fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|file| file.modified()).ok()
}

/// Waits until a file is there that isn't the one of the time `stale`.
pub(super) fn wait_for(path: &Path, stale: Option<SystemTime>) {
    let there = || modified(path).is_some_and(|time| Some(time) != stale);
    if !there() {
        eprintln!("waiting for {}", path.display());
    }
    while !there() {
        std::thread::sleep(FILE_POLL);
    }
}

/// The SDP in a file.
pub(super) fn read_file(path: &Path) -> Result<String, Box<dyn Error>> {
    let read = || {
        let mut sdp = String::new();
        File::open(path)?.take(LONGEST_SDP).read_to_string(&mut sdp)?;
        Ok(sdp)
    };
    read().map_err(|error: std::io::Error| format!("cannot read {}: {error}", path.display()).into())
}

/// The SDP from stdin, up to an empty line or the end; `what` is its name for the user.
pub(super) fn read_stdin(what: &str) -> Result<String, Box<dyn Error>> {
    if std::io::stdin().is_terminal() {
        eprintln!("Paste the {what}, then an empty line:");
    }
    let mut sdp = String::new();
    let mut input = std::io::stdin().lock().take(LONGEST_SDP);
    let mut line = String::new();
    while input.read_line(&mut line).map_err(|error| format!("stdin: {error}"))? > 0 {
        if line.trim().is_empty() && !sdp.is_empty() {
            break;
        }
        if !line.trim().is_empty() {
            sdp.push_str(&line);
        }
        line.clear();
    }
    if sdp.is_empty() { Err(format!("no SDP {what} on stdin").into()) } else { Ok(sdp) }
}
