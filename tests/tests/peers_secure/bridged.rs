//! rtpengine between two of ours: DTLS and ICE on one side of it, SDES keys without ICE on the other.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use media_core_tests::program::{Running, folder, free_port_pair, media_core, read_when_there};

use super::{LIMIT, OURS, SCRIPTS, THEIRS, is_there, profile, score, tenths_with, told, tone};

#[test]
fn secure_rtpengine_bridges_dtls_to_sdes() {
    if !is_there("rtpengine", "rtpengine-daemon") {
        return;
    }
    media_core();
    let folder = folder("secure-rtpengine");
    let (ng, media) = (free_port_pair(), free_port_pair());
    let mut server = Command::new("rtpengine");
    server.current_dir(&folder).args(["--foreground", "--log-stderr", "--table=-1", "--interface=127.0.0.1"]);
    server.args([&format!("--listen-ng=127.0.0.1:{ng}"), &format!("--port-min={media}")]);
    server.args([&format!("--port-max={}", media + 60), "--pidfile=engine.pid", "--dtls-cert-cipher=prime256v1"]);
    let server = Running::start(&mut server, &folder, "rtpengine");
    sleep(Duration::from_millis(1_500));
    tone(&folder.join("ours.wav"), OURS, 8_000, 2);
    tone(&folder.join("theirs.wav"), THEIRS, 8_000, 2);
    let mut bridge = Command::new("python3");
    bridge.current_dir(&folder).arg(format!("{SCRIPTS}/ng_bridge.py")).arg(ng.to_string());
    let bridge = Running::start(&mut bridge, &folder, "bridge");
    let start = |side: usize, words: &[&str], options: &[&str]| {
        let mut command = Command::new(media_core());
        command.current_dir(&folder).args(words).args(["--address", "127.0.0.1", "--codec", "pcmu", "--seconds", "5"]);
        command.args(["--microphone", ["ours.wav", "theirs.wav"][side], "--repeat"]);
        command.args(["--speaker", ["0.wav", "1.wav"][side]]);
        Running::start(command.args(options), &folder, words[0])
    };
    let offerer = start(
        0,
        &["offer", "--write", "a-offer.sdp", "--read", "a-answer.sdp"],
        &["--security", "dtls", "--ice", "full", "--ice-required"],
    );
    read_when_there(&folder.join("b-offer.sdp"), LIMIT);
    let answerer = start(1, &["answer", "b-offer.sdp", "--write", "b-answer.sdp"], &["--security", "sdes"]);
    let ended = [offerer, answerer].map(|side| side.wait(LIMIT));
    println!("{ended:?}\n{}\n{}", bridge.stderr(), server.stderr());
    let heard = [("0.wav", THEIRS), ("1.wav", OURS)].map(|(file, hz)| tenths_with(&folder.join(file), hz));
    told(&ended[0], &["keys by DTLS", "ice         connected"]);
    told(&ended[1], &["protection  SRTP, "]);
    assert!(!ended[1].stdout.contains("  ice  "), "{:?}", ended[1]);
    let keys = format!("DTLS, {}; ICE full, to SDES, {}", profile(&ended[0]), profile(&ended[1]));
    score("rtpengine between", &keys, "pcmu", heard, 50);
    drop((bridge, server));
    fs::remove_dir_all(folder).unwrap();
}
