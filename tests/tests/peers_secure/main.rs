//! Calls with programs that nobody here wrote, and whose keys come from a DTLS handshake or from the descriptions in each suite
//! that they have; whose addresses are found by ICE, some behind a TURN server. Sound both ways, and each test prints a row of
//! the table in BENCHMARKS.md (`tests/quality/peers.py`).
//!
//! What isn't installed is skipped with a word; with `MEDIA_CORE_REQUIRE=1` or `MEDIA_CORE_PEERS=1` it's a failure.
//! `.ci/run` asks for none of it (`MEDIA_CORE_PEERS=0`), `.ci/long` for all.

mod aiortc;
#[cfg(unix)]
mod bridged;
#[cfg(unix)]
mod openssl;
mod ours;
#[cfg(unix)]
mod phones;
#[cfg(unix)]
mod streams;

use std::f64::consts::TAU;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use host_std::wav::{WavSink, WavSource};
use media_core_tests::program::Ended;
use media_core_tests::skipped;

const LIMIT: Duration = Duration::from_secs(60);
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop");
/// What we say, and what the other side says, in Hz.
const OURS: f64 = 440.0;
const THEIRS: f64 = 620.0;

fn missing(what: &str, how: &str) -> bool {
    skipped::lacks_peer(format_args!("{what} is not there ({how})"));
    true
}

/// Python that can import this.
fn python_with(python: &str, import: &str, package: &str) -> bool {
    let mut check = Command::new(python);
    check.args(["-c", import]).stdout(Stdio::null()).stderr(Stdio::null());
    check.status().is_ok_and(|status| status.success()) || !missing("a package of Python", package)
}

/// Python with wheels: `MEDIA_CORE_PYTHON`, or `python3`.
fn python() -> String {
    std::env::var("MEDIA_CORE_PYTHON").unwrap_or_else(|_| "python3".into())
}

/// An address of this machine that isn't the loopback's, if it has one: programs that never use that one are reached there.
fn own_address() -> String {
    let found = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        // Nothing is sent.
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    found.map_or_else(|_| "127.0.0.1".into(), |own| own.ip().to_string())
}

/// Whether a program is installed, by the places where Debian has it.
fn is_there(program: &str, package: &str) -> bool {
    let places = ["/usr/bin", "/usr/sbin"].map(|place| Path::new(place).join(program));
    places.iter().any(|place| place.exists()) || !missing(program, &format!("apt-get install {package}"))
}

/// A row of the table: tenths of a second with the tone that the other side says, here and there, of so many.
fn score(peer: &str, security: &str, codec: &str, heard: [usize; 2], of: usize) {
    println!("peer-row | {peer} | {security} | {codec} | {} of {of} | {} of {of} |", heard[0], heard[1]);
    assert!(heard.iter().all(|tenths| *tenths >= of * 3 / 4), "tenths of a second of sound: {heard:?} of {of}");
}

/// What a side of ours says of how its packets are protected.
fn profile(ended: &Ended) -> String {
    let line = ended.stdout.lines().find_map(|line| line.trim_start().strip_prefix("protection"));
    line.map_or_else(|| "none".into(), |line| line.trim().trim_start_matches("SRTP, ").to_owned())
}

fn tone(path: &Path, hz: f64, rate_hz: u32, seconds: u32) {
    let pcm = (0..rate_hz * seconds).map(|n| (8_000.0 * (f64::from(n) * hz * TAU / f64::from(rate_hz)).sin()) as i16);
    let mut sink = WavSink::create(path, rate_hz).unwrap();
    sink.write(&pcm.collect::<Vec<_>>()).unwrap();
    sink.finish().unwrap();
}

/// The tenths of a second in which this tone is at least nine tenths of the power, and not faint.
fn tenths_with(path: &Path, hz: f64) -> usize {
    let pcm = WavSource::open(path, 8_000).unwrap().read_all(dsp_core::time::Duration::from_secs(60)).unwrap();
    let is_tone = |part: &&[i16]| {
        let (mut sine, mut cosine, mut power) = (0.0, 0.0, 0.0);
        for (n, &sample) in part.iter().enumerate() {
            let (phase, sample) = (n as f64 * hz * TAU / 8_000.0, f64::from(sample));
            sine += sample * phase.sin();
            cosine += sample * phase.cos();
            power += sample * sample;
        }
        power > 800.0 * 1e5 && 2.0 * (sine * sine + cosine * cosine) / 800.0 > 0.9 * power
    };
    pcm.chunks_exact(800).filter(is_tone).count()
}

fn told(ended: &Ended, what: &[&str]) {
    assert!(ended.status.success(), "{ended:?}");
    for what in what {
        assert!(ended.stdout.contains(what) || ended.stderr.contains(what), "{what}: {ended:?}");
    }
}
