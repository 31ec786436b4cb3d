//! Calls with phones that nobody here wrote, over SIP: we hold and resume, the phone holds and resumes, and hangs up; plain
//! and with SDES keys. Sound before, during as agreed, and after.
//!
//! A phone that isn't installed is skipped with a word; with `MEDIA_CORE_PEERS=1` it's a failure.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use host_std::wav::{WavSink, WavSource};
use media_core_tests::program::{Running, folder, free_port_pair, media_core};

const LIMIT: Duration = Duration::from_secs(60);
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop");

/// Python with pjsua2: `MEDIA_CORE_PYTHON`, or `python3`.
fn python_with_pjsua2() -> Option<String> {
    let python = std::env::var("MEDIA_CORE_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut import = Command::new(&python);
    import.args(["-c", "import pjsua2"]).stdout(Stdio::null()).stderr(Stdio::null());
    if import.status().is_ok_and(|status| status.success()) {
        return Some(python);
    }
    assert!(std::env::var("MEDIA_CORE_PEERS").as_deref() != Ok("1"), "pjsua2 is missing, and MEDIA_CORE_PEERS=1");
    eprintln!("skipped: no pjsua2 (pip install pjsua2-python)");
    None
}

/// Two seconds of a tone, 8 kHz.
fn tone(path: &Path, hz: f64) {
    let pcm = (0..16_000).map(|n| (8_000.0 * (f64::from(n) * hz * std::f64::consts::TAU / 8_000.0).sin()) as i16);
    let mut sink = WavSink::create(path, 8_000).unwrap();
    sink.write(&pcm.collect::<Vec<_>>()).unwrap();
    sink.finish().unwrap();
}

/// The RMS of each tenth of a second.
fn loudness(path: &Path) -> Vec<f64> {
    let pcm = WavSource::open(path, 8_000).unwrap().read_all(dsp_core::time::Duration::from_secs(60)).unwrap();
    let rms = |part: &[i16]| (part.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / part.len() as f64).sqrt();
    pcm.chunks(800).map(rms).collect()
}

fn loud_tenths(heard: &[f64], from: usize, to: usize) -> usize {
    heard[from.min(heard.len())..to.min(heard.len())].iter().filter(|rms| **rms > 1_000.0).count()
}

fn pjsip(srtp: bool) {
    let Some(python) = python_with_pjsua2() else { return };
    // It may have to be built first, and a phone doesn't wait for that.
    let program = media_core();
    let folder = folder(&format!("pjsip-{srtp}"));
    let (phone_port, leg_port) = (free_port_pair().to_string(), free_port_pair().to_string());
    tone(&folder.join("said.wav"), 440.0);
    tone(&folder.join("peer.wav"), 620.0);
    let mut phone = Command::new(&python);
    phone.current_dir(&folder).arg(format!("{SCRIPTS}/pjsua2_phone.py")).arg(&phone_port);
    phone.args(["peer.wav", "peer-heard.wav", if srtp { "sdes" } else { "plain" }, "6", "8", "10"]);
    let phone = Running::start(&mut phone, &folder, "phone");
    sleep(Duration::from_secs(2));
    // Its stdin stays open as long as it is to stay in the call.
    let mut leg = Command::new(&python);
    leg.current_dir(&folder).arg(format!("{SCRIPTS}/leg.py")).args([&leg_port, &phone_port, "offer.sdp", "answer.sdp"]);
    let log = fs::File::create(folder.join("leg.log")).unwrap();
    let mut leg = leg.stdin(Stdio::piped()).stderr(log).spawn().unwrap();
    let mut ours = Command::new(program);
    ours.current_dir(&folder).args(["offer", "--write", "offer.sdp", "--read", "answer.sdp", "--address", "127.0.0.1"]);
    ours.args(["--codec", "pcmu", "--microphone", "said.wav", "--repeat", "--speaker", "heard.wav"]);
    ours.args(["--seconds", "60", "--hold-at", "2", "--resume-at", "4"]);
    if !srtp {
        ours.arg("--no-srtp");
    }
    let ours = Running::start(&mut ours, &folder, "media-core");
    let ended = ours.wait(LIMIT).success();
    let _ = leg.kill();
    let _ = leg.wait();
    drop(phone);
    let heard = loudness(&folder.join("heard.wav"));
    println!("{heard:.0?}\n{}\n{}", ended.stderr, fs::read_to_string(folder.join("leg.log")).unwrap());
    // It ends by the phone's goodbye, and not by any of those that PJSIP says at each new offer.
    assert!(ended.stdout.contains("the other side hung up"), "{}", ended.stdout);
    for told in ["hold: agreed, ", "sending only", "resume: agreed, ", "receiving only"] {
        assert!(ended.stderr.contains(told), "{told}: {}", ended.stderr);
    }
    assert!(loud_tenths(&heard, 5, 19) >= 12, "before");
    assert_eq!(loud_tenths(&heard, 25, 39), 0, "on our hold");
    assert!(loud_tenths(&heard, 46, 58) >= 10, "after our hold");
    assert_eq!(loud_tenths(&heard, 64, 78), 0, "on the phone's hold");
    assert!(loud_tenths(&heard, 86, 98) >= 10, "after the phone's hold");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_phone_of_pjsip_holds_and_is_held_in_plain_rtp() {
    pjsip(false);
}

#[test]
fn a_phone_of_pjsip_holds_and_is_held_with_sdes_keys() {
    pjsip(true);
}
