//! Two of ours: over IPv6, and with a TURN server of coturn between them where no direct way may be taken.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use media_core_tests::program::{Ended, Running, folder, free_port_pair, media_core, read_when_there};
use media_core_tests::skipped;

use super::{LIMIT, OURS, THEIRS, is_there, profile, score, tenths_with, told, tone};

/// A call of two processes with these options; both heard what the other said.
fn call(folder: &Path, peer: &str, address: &str, codec: &str, sides: [&[&str]; 2]) -> [Ended; 2] {
    tone(&folder.join("ours.wav"), OURS, 8_000, 2);
    tone(&folder.join("theirs.wav"), THEIRS, 8_000, 2);
    let start = |side: usize, words: &[&str]| {
        let mut command = Command::new(media_core());
        command.current_dir(folder).args(words).args(["--address", address, "--codec", codec, "--seconds", "5"]);
        command.args(["--security", "dtls", "--ice", "full", "--repeat"]);
        command.args(["--microphone", ["ours.wav", "theirs.wav"][side], "--speaker", ["0.wav", "1.wav"][side]]);
        Running::start(command.args(sides[side]), folder, words[0])
    };
    let offerer = start(0, &["offer", "--write", "offer.sdp", "--read", "answer.sdp"]);
    read_when_there(&folder.join("offer.sdp"), LIMIT);
    let answerer = start(1, &["answer", "offer.sdp", "--write", "answer.sdp"]);
    let ended = [offerer, answerer].map(|side| side.wait(LIMIT));
    println!("{ended:?}");
    let heard = [("0.wav", THEIRS), ("1.wav", OURS)].map(|(file, hz)| tenths_with(&folder.join(file), hz));
    for ended in &ended {
        told(ended, &["keys by DTLS", "protection  SRTP, ", "ice         connected"]);
    }
    score(peer, &format!("DTLS, {}; ICE full", profile(&ended[0])), codec, heard, 50);
    ended
}

#[test]
fn secure_two_of_ours_over_ipv6() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        return skipped::skip("this machine has no IPv6");
    }
    let folder = folder("secure-ipv6");
    let ended = call(&folder, "ours, over IPv6", "::1", "opus", [&[], &[]]);
    told(&ended[0], &["host [::1]:"]);
    let offer = fs::read_to_string(folder.join("offer.sdp")).unwrap();
    assert!(offer.contains("c=IN IP6 ::1") && offer.contains("a=candidate:h60 1 udp 2130706431 ::1 "), "{offer}");
    fs::remove_dir_all(folder).unwrap();
}

/// Debian's coturn, which knows one user.
fn coturn(folder: &Path) -> Option<(Running, u16)> {
    if !is_there("turnserver", "coturn") {
        return None;
    }
    let port = free_port_pair();
    let mut server = Command::new("turnserver");
    server.current_dir(folder).args(["-n", "-a", "-u", "user:pass:word", "-r", "realm", "-L", "127.0.0.1"]);
    server.args(["--no-tls", "--no-dtls", "--no-cli", "--allow-loopback-peers", "--log-file", "stdout"]);
    server.args(["--listening-port", &port.to_string(), "--pidfile", "turn.pid", "--userdb", "turn.db", "-v"]);
    let server = Running::start(&mut server, folder, "coturn");
    let begin = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begin.elapsed() < LIMIT, "coturn doesn't begin: {}", server.stderr());
        sleep(Duration::from_millis(50));
    }
    Some((server, port))
}

#[test]
fn secure_coturn_passes_on_what_no_direct_way_may_take() {
    media_core();
    let folder = folder("secure-coturn");
    let Some((server, port)) = coturn(&folder) else { return };
    let at = |transport: &str| format!("turn:user:pass%3Aword@127.0.0.1:{port}?transport={transport}");
    let (udp, tcp) = (at("udp"), at("tcp"));
    let only = |server| ["--ice-relay-only", "--turn", server];
    for (name, codec, sides) in
        [("UDP", "pcmu", [&udp, &udp]), ("TCP", "opus", [&tcp, &tcp]), ("TCP and UDP", "g722", [&tcp, &udp])]
    {
        let sides = sides.map(|server| only(server));
        let ended = call(&folder, &format!("coturn by {name}"), "127.0.0.1", codec, [&sides[0], &sides[1]]);
        for ended in &ended {
            told(ended, &["ICE: relay 127.0.0.1:", " to relay 127.0.0.1:", "its address was given back"]);
        }
        let offer = fs::read_to_string(folder.join("offer.sdp")).unwrap();
        let candidates = offer.lines().filter(|line| line.starts_with("a=candidate"));
        assert!(
            candidates.clone().count() == 1 && candidates.clone().all(|line| line.contains("typ relay")),
            "{offer}"
        );
        for file in ["offer.sdp", "answer.sdp"] {
            fs::remove_file(folder.join(file)).unwrap();
        }
    }
    // One who mayn't.
    let wrong = format!("user:wrong@127.0.0.1:{port}");
    let mut command = Command::new(media_core());
    command.args(["offer", "--address", "127.0.0.1", "--null", "--ice", "full"]).args(only(&wrong));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("doesn't know this user with this password"), "{said}");
    drop(server);
    fs::remove_dir_all(folder).unwrap();
}
