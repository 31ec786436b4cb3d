//! The exchange of SDP offers and answers with the other side: by files, or by stdin and stdout.

use std::error::Error;
use std::fs::{File, Metadata};
use std::io::{BufRead, IsTerminal, Read};
use std::net::{IpAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::mpsc as std_mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use host_std::sdp;
use tokio::sync::mpsc;

use host_std::output;

use super::{Outcome, print, tell};

/// Pause between looks for a file that isn't there yet.
const FILE_POLL: Duration = Duration::from_millis(100);
/// No longer SDP is read.
const LONGEST_SDP: u64 = 64 * 1024;
const TOO_LONG: &str = "an SDP of more than 64 KiB is not read";

/// The time for which host names are looked up, all those of a description together.
const LOOK_UP: Duration = Duration::from_secs(5);

/// Writes `sdp` to the file, or to stdout.
pub(super) fn put_sdp(file: Option<&Path>, sdp: &str) -> Outcome {
    match file {
        Some(path) => {
            // Whole or not at all: the other side may be waiting for the file. It may have keys in it.
            output::write_private(path, sdp).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
        None => print(&format!("{sdp}\r\n"))?,
    }
    Ok(())
}

/// When the file was written; `None` where it isn't there.
pub(super) fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|file| file.modified()).ok()
}

/// Waits until a file is there that isn't the one of the time `stale`. A pipe is waited for by reading it.
pub(super) fn wait_for(path: &Path, stale: Option<SystemTime>) {
    let is_other = |file: &Metadata| !file.is_file() || file.modified().ok() != stale;
    let there = || std::fs::metadata(path).is_ok_and(|file| is_other(&file));
    if !there() {
        tell(&format!("waiting for {}\n", path.display()));
    }
    while !there() {
        std::thread::sleep(FILE_POLL);
    }
}

/// The SDP in a file.
pub(super) fn read_file(path: &Path) -> Result<String, Box<dyn Error>> {
    let read = || -> Result<String, Box<dyn Error>> {
        let mut sdp = Vec::new();
        File::open(path)?.take(LONGEST_SDP + 1).read_to_end(&mut sdp)?;
        text_of(sdp)
    };
    read().map_err(|error| format!("cannot read {}: {error}", path.display()).into())
}

/// The SDP from stdin, up to an empty line or the end; `what` is its name for the user.
pub(super) fn read_stdin(what: &str) -> Result<String, Box<dyn Error>> {
    if std::io::stdin().is_terminal() {
        tell(&format!("Paste the {what}, then an empty line:\n"));
    }
    let mut sdp = Vec::new();
    let mut input = std::io::stdin().lock().take(LONGEST_SDP + 1);
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line).map_err(|error| format!("stdin: {error}"))? > 0 {
        let is_empty = line.trim_ascii().is_empty();
        if is_empty && !sdp.is_empty() {
            break;
        }
        if !is_empty {
            sdp.extend_from_slice(&line);
        }
        line.clear();
    }
    if input.limit() == 0 {
        return Err(format!("stdin: {TOO_LONG}").into());
    }
    if sdp.is_empty() {
        return Err(format!("no SDP {what} on stdin").into());
    }
    text_of(sdp).map_err(|error| format!("stdin: {error}").into())
}

/// SDP is text in UTF-8 unless `a=charset` says otherwise (RFC 8866, 6.10); but old phones write names as they know
/// them. What isn't UTF-8 is taken for ISO 8859-1, which has a character for every octet: it can only be in such names,
/// as all else in SDP is ASCII.
fn text_of(sdp: Vec<u8>) -> Result<String, Box<dyn Error>> {
    if sdp.len() as u64 > LONGEST_SDP {
        return Err(TOO_LONG.into());
    }
    match String::from_utf8(sdp) {
        Ok(text) => Ok(text),
        Err(error) if error.as_bytes().trim_ascii_start().starts_with(b"v=") => {
            Ok(error.as_bytes().iter().copied().map(char::from).collect())
        }
        Err(_) => Err("it is no text, and so no SDP".into()),
    }
}

/// The description with addresses of our family in place of host names, as far as the system finds them in time.
pub(super) fn look_up(description: &str, ours: IpAddr) -> String {
    let until = Instant::now() + LOOK_UP;
    let resolved = sdp::resolved(description, |name| {
        let (found, addresses) = std_mpsc::channel();
        let host = name.to_owned();
        // The system's own time for it has no bound, and can't be cut short: the thread is left to it.
        thread::spawn(move || {
            let addresses = (host.as_str(), 0).to_socket_addrs();
            let _ = found.send(addresses.map(|all| all.map(|one| one.ip().to_canonical()).collect::<Vec<_>>()));
        });
        let left = until.saturating_duration_since(Instant::now());
        let addresses = addresses.recv_timeout(left).ok()?.ok()?;
        let of_ours = addresses.iter().find(|address| address.is_ipv4() == ours.is_ipv4());
        of_ours.or(addresses.first()).copied()
    });
    String::from_utf8_lossy(&resolved).into_owned()
}

/// Sends the other side's descriptions during the call, from the file or stdin, on a thread of its own: each time that the file
/// is rewritten, and each text on stdin. `taken` is the text that was read before.
pub(super) fn follow(file: Option<PathBuf>, taken: String, to: mpsc::Sender<Result<String, String>>) {
    thread::spawn(move || match file {
        Some(path) => follow_file(&path, &taken, &to),
        None => {
            while let Ok(text) = read_stdin("offer or answer") {
                if to.blocking_send(Ok(text)).is_err() {
                    break;
                }
            }
        }
    });
}

fn follow_file(path: &Path, taken: &str, to: &mpsc::Sender<Result<String, String>>) {
    let stamp = || std::fs::metadata(path).and_then(|file| Ok((file.modified()?, file.len()))).ok();
    let read = || read_file(path).map_err(|error| error.to_string());
    let is_pipe = || std::fs::metadata(path).is_ok_and(|file| !file.is_file());
    while is_pipe() && !to.is_closed() {
        let text = read();
        if text.as_ref().is_ok_and(String::is_empty) {
            // Nobody writes to it now, or ever again.
            thread::sleep(FILE_POLL);
        } else if to.blocking_send(text).is_err() {
            return;
        }
    }
    let mut seen = stamp();
    // It may have been written again since.
    if let Ok(text) = read()
        && text != taken
        && to.blocking_send(Ok(text)).is_err()
    {
        return;
    }
    let mut last = seen;
    while !to.is_closed() {
        thread::sleep(FILE_POLL);
        let now = stamp();
        // A file is read only when two looks find it unchanged, and not while it's missing or being written.
        if now.is_some() && now != seen && now == last {
            seen = now;
            if to.blocking_send(read()).is_err() {
                return;
            }
        }
        last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_that_are_no_utf8_are_read_as_latin_1() {
        let read = |bytes: &[u8]| text_of(bytes.to_vec()).map_err(|error| error.to_string());
        assert_eq!(read("v=0\r\ns=Grüße\r\n".as_bytes()), Ok("v=0\r\ns=Grüße\r\n".into()));
        assert_eq!(read(b"v=0\r\ns=Gr\xfc\xdfe\r\n"), Ok("v=0\r\ns=Grüße\r\n".into()));
        assert!(read(&[0xff, 0xfe, 0, 1]).is_err());
    }

    #[test]
    fn what_is_too_long_is_refused_whole() {
        assert!(text_of(vec![b'v'; LONGEST_SDP as usize]).is_ok());
        assert_eq!(text_of(vec![b'v'; LONGEST_SDP as usize + 1]).unwrap_err().to_string(), TOO_LONG);
    }
}
