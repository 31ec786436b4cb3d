//! Calls with WebRTC endpoints that nobody here wrote, whose keys come from a DTLS handshake and whose addresses are
//! found by ICE: both roles, several codecs, sound both ways.
//!
//! One that isn't installed is skipped with a word; with `MEDIA_CORE_PEERS=1` it's a failure.

use std::f64::consts::TAU;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use host_std::wav::{WavSink, WavSource};
use media_core_tests::program::{Ended, Running, folder, media_core};
use media_core_tests::skipped;

const LIMIT: Duration = Duration::from_secs(60);
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop");
/// What we say, and what the other side says, in Hz.
const OURS: f64 = 440.0;
const THEIRS: f64 = 620.0;

fn missing(what: &str, how: &str) -> bool {
    assert!(std::env::var("MEDIA_CORE_PEERS").as_deref() != Ok("1"), "{what} is missing, and MEDIA_CORE_PEERS=1");
    skipped::skip(format_args!("{what} is not there ({how})"));
    true
}

/// Python with aiortc: `MEDIA_CORE_PYTHON`, or `python3`.
fn python_with_aiortc() -> Option<String> {
    let python = std::env::var("MEDIA_CORE_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut import = Command::new(&python);
    import.args(["-c", "import aiortc"]).stdout(Stdio::null()).stderr(Stdio::null());
    let there = import.status().is_ok_and(|status| status.success());
    (there || !missing("aiortc", "pip install aiortc")).then_some(python)
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

/// `offers`: whether we do.
fn aiortc(offers: bool, codec: &str, ice: &str) {
    let Some(python) = python_with_aiortc() else { return };
    // It may have to be built first, and nobody waits for that.
    let program = media_core();
    let folder = folder(&format!("aiortc-{offers}-{codec}-{ice}"));
    tone(&folder.join("said.wav"), OURS, 8_000, 2);
    tone(&folder.join("peer.wav"), THEIRS, 48_000, 2);
    let mut phone = Command::new(python);
    phone.current_dir(&folder).arg(format!("{SCRIPTS}/aiortc_phone.py")).arg(if offers { "answer" } else { "offer" });
    phone.args(["theirs.sdp", "ours.sdp", "peer.wav", "peer-heard.wav", "8"]);
    let phone = Running::start(&mut phone, &folder, "aiortc");
    let mut ours = Command::new(program);
    ours.current_dir(&folder);
    if offers {
        ours.args(["offer", "--write", "ours.sdp", "--read", "theirs.sdp"]);
    } else {
        let begin = std::time::Instant::now();
        while !folder.join("theirs.sdp").exists() {
            assert!(begin.elapsed() < LIMIT, "no offer: {}", phone.stderr());
            sleep(Duration::from_millis(20));
        }
        ours.args(["answer", "theirs.sdp", "--write", "ours.sdp"]);
    }
    ours.args(["--address", "127.0.0.1", "--codec", codec, "--security", "dtls", "--ice", ice, "--seconds", "6"]);
    ours.args(["--microphone", "said.wav", "--repeat", "--speaker", "heard.wav"]);
    let ended = Running::start(&mut ours, &folder, "media-core").wait(LIMIT);
    let theirs = phone.wait(LIMIT);
    println!("{ended:?}\n{theirs:?}");
    told(&ended, &["keys by DTLS", "protection  SRTP, ", "ice         connected"]);
    // It has levels and names of streams, and no feedback on all packets: what an answer has is what is in common.
    let answer = fs::read_to_string(folder.join(if offers { "theirs.sdp" } else { "ours.sdp" })).unwrap();
    assert!(answer.contains("urn:ietf:params:rtp-hdrext:ssrc-audio-level"), "{answer}");
    assert!(!answer.contains("transport-cc") && !answer.contains("abs-send-time"), "{answer}");
    let (heard, its) =
        (tenths_with(&folder.join("heard.wav"), THEIRS), tenths_with(&folder.join("peer-heard.wav"), OURS));
    assert!(heard >= 45 && its >= 45, "tenths of a second of sound: {heard} here, {its} there");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn secure_aiortc_answers_with_pcmu() {
    aiortc(true, "pcmu", "full");
}

#[test]
fn secure_aiortc_answers_with_opus() {
    aiortc(true, "opus", "full");
}

#[test]
fn secure_aiortc_offers_g722() {
    aiortc(false, "g722", "full");
}

#[test]
fn secure_aiortc_offers_opus_to_a_lite_side() {
    aiortc(false, "opus", "lite");
}
