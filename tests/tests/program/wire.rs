//! What a call leaves of itself on the wire: `--capture` and `--keys-log`, read by `replay`, with keys of a DTLS
//! handshake and of the descriptions.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use media_core_tests::program::{Ended, Running, folder, media_core, read_when_there};

const LIMIT: Duration = Duration::from_secs(40);

/// Both sides with these options; the offerer keeps what passes it.
fn call(folder: &Path, options: &[&str], kept: &[&str]) -> [Ended; 2] {
    let start = |words: &[&str], more: &[&str]| {
        let mut command = Command::new(media_core());
        command.current_dir(folder).args(words).args(["--address", "127.0.0.1", "--codec", "pcmu", "--seconds", "3"]);
        command.args(["--microphone", "said.wav", "--repeat", "--speaker", "null"]).args(options).args(more);
        Running::start(&mut command, folder, words[0])
    };
    let offerer = start(&["offer", "--write", "offer.sdp", "--read", "answer.sdp"], kept);
    read_when_there(&folder.join("offer.sdp"), LIMIT);
    let answerer = start(&["answer", "offer.sdp", "--write", "answer.sdp"], &[]);
    let ended = [offerer, answerer].map(|side| side.wait(LIMIT).success());
    fs::remove_file(folder.join("offer.sdp")).unwrap();
    fs::remove_file(folder.join("answer.sdp")).unwrap();
    ended
}

fn replay(folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(media_core());
    command.current_dir(folder).args(["replay", "call.pcap", "--json"]).args(arguments);
    Running::start(&mut command, folder, "replay").wait(LIMIT)
}

#[test]
fn a_captured_call_is_replayed_with_the_keys_that_it_logged() {
    let folder = folder("wire");
    let tone: Vec<i16> = (0..8_000).map(|n| ((f64::from(n) * 0.35).sin() * 8_000.0) as i16).collect();
    let mut sink = host_std::wav::WavSink::create(folder.join("said.wav"), 8_000).unwrap();
    sink.write(&tone).unwrap();
    sink.finish().unwrap();
    let kept = ["--capture", "call.pcap", "--keys-log", "call.keys"];
    let ways: [(&[&str], &str, usize); 4] = [
        (&["--security", "dtls", "--ice", "full"], "AEAD_AES_256_GCM", 2),
        (&["--security", "dtls"], "AEAD_AES_256_GCM", 2),
        // RTCP has keys of its own.
        (&["--security", "dtls", "--no-mux"], "AEAD_AES_256_GCM", 4),
        (&["--security", "sdes"], "AES_CM_128_HMAC_SHA1_80", 2),
    ];
    for (options, suite, lines) in ways {
        let [offerer, _] = call(&folder, options, &kept);
        let keys = fs::read_to_string(folder.join("call.keys")).unwrap();
        assert_eq!(keys.lines().filter(|line| line.starts_with(suite)).count(), lines, "{options:?}: {keys}");
        assert!(offerer.stdout.contains(&format!("keys        {lines} lines in call.keys")), "{}", offerer.stdout);
        assert!(offerer.stdout.contains(" datagrams in call.pcap"), "{}", offerer.stdout);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.join("call.keys")).unwrap().permissions().mode();
            assert_eq!(mode & 0o77, 0, "somebody else can read the keys: {mode:o}");
        }
        let report = replay(&folder, &["--keys", "call.keys"]).success();
        let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
        let streams = report["streams"].as_array().unwrap();
        assert_eq!(streams.len(), 2, "{options:?}: {report}");
        for stream in streams {
            assert_eq!(
                (&stream["protection"], &stream["refused"]),
                (&suite.into(), &0.into()),
                "{options:?}: {stream}"
            );
            assert!(stream["statistics"]["packets_received"].as_u64().is_none_or(|packets| packets >= 100), "{stream}");
            let heard = folder.join("media-core-replay").join(stream["wav_file"].as_str().unwrap());
            let sound = host_std::wav::WavSource::open(&heard, 8_000).unwrap();
            let sound = sound.read_all(dsp_core::time::Duration::from_secs(10)).unwrap();
            let loud = sound.chunks_exact(80).filter(|part| part.iter().any(|sample| *sample > 6_000)).count();
            assert!(loud >= 200, "{options:?}: {loud} of {}", sound.len() / 80);
        }
        let blind = replay(&folder, &[]);
        assert!(!blind.status.success() && blind.stderr.contains("keys"), "{blind:?}");
    }
    // A file that can't be written is told before there is a call.
    let mut command = Command::new(media_core());
    command.current_dir(&folder).args(["offer", "--address", "127.0.0.1", "--null", "--capture", "none/x.pcap"]);
    let ended = Running::start(&mut command, &folder, "unwritten").wait(LIMIT);
    assert!(!ended.status.success() && ended.stderr.contains("none/x.pcap"), "{ended:?}");
    fs::remove_dir_all(folder).unwrap();
}

/// Whoever refuses each handshake: a call that waits for keys says so, and why none come.
#[test]
fn why_no_keys_come_is_said_while_they_are_waited_for() {
    let folder = folder("no-keys");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut buffer = [0; 2_048];
        while let Ok((_, from)) = socket.recv_from(&mut buffer) {
            // handshake_failure, as one has it who knows none of the suites.
            let _ = socket.send_to(&[21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40], from);
        }
    });
    let fingerprint = ["4A"; 32].join(":");
    let offer = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} UDP/TLS/RTP/SAVP 0\r\n\
         a=rtcp-mux\r\na=setup:passive\r\na=fingerprint:sha-256 {fingerprint}\r\n"
    );
    fs::write(folder.join("offer.sdp"), offer).unwrap();
    let mut command = Command::new(media_core());
    command.current_dir(&folder).args(["answer", "offer.sdp", "--write", "answer.sdp", "--address", "127.0.0.1"]);
    command.args(["--null", "--codec", "pcmu", "--security", "dtls", "--seconds", "2"]);
    let ended = Running::start(&mut command, &folder, "answer").wait(LIMIT);
    let said: Vec<_> = ended.stderr.lines().filter(|line| line.contains("waiting for keys")).collect();
    let why = "the other side refused the DTLS handshake: there is nothing in common";
    assert_eq!(said, ["waiting for keys: the DTLS handshake", &format!("still waiting for keys: {why}")], "{ended:?}");
    assert!(ended.stdout.contains(&format!("protection  no keys came: {why}")), "{}", ended.stdout);
    fs::remove_dir_all(folder).unwrap();
}
