//! aiortc, a WebRTC endpoint in Python: both roles of DTLS and of the offer.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use media_core_tests::program::{Running, folder, media_core};

use super::{LIMIT, OURS, SCRIPTS, THEIRS, profile, python, python_with, score, tenths_with, told, tone};

/// `offers`: whether we do.
fn aiortc(offers: bool, codec: &str, ice: &str) {
    let python = python();
    if !python_with(&python, "import aiortc", "pip install aiortc") {
        return;
    }
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
    let roles = if offers { "answers" } else { "offers" };
    score(&format!("aiortc {roles}"), &format!("DTLS, {}; ICE {ice}", profile(&ended)), codec, [heard, its], 60);
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
