//! aiortc, a WebRTC endpoint in Python: both roles of DTLS and of the offer.

use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant as StdInstant};

use dsp_core::time::Instant;
use host_std::registry::CodecFormat;
use host_std::session::{Call, CallConfig, Channel, IceConfig, IceMode, IceState, Keying, Protection};
use host_std::wav::WavSink;
use media_core_tests::program::{Running, folder, media_core, read_when_there};

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

/// Candidates of both sides come after the descriptions (RFC 8838): ours by a file, its own, which aiortc has in its
/// answer, one by one from here. The command line has none to trickle, so the call is made here, over a socket.
#[test]
fn secure_aiortc_gets_candidates_one_by_one_and_so_do_we() {
    let python = python();
    if !python_with(&python, "import aiortc", "pip install aiortc") {
        return;
    }
    let folder = folder("aiortc-trickle");
    tone(&folder.join("peer.wav"), THEIRS, 48_000, 2);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let config = CallConfig {
        codecs: vec![CodecFormat::pcmu()],
        keying: Keying::Dtls,
        ice: IceConfig { mode: IceMode::Full, ..IceConfig::default() },
        ..CallConfig::new(socket.local_addr().unwrap().port()).unwrap()
    };
    let mut call = Call::new(config).unwrap();
    // The lines of candidates, and all others.
    let apart = |text: &str| -> (Vec<String>, String) {
        let is_candidate = |line: &&str| line.starts_with("a=candidate:") || *line == "a=end-of-candidates";
        let (candidates, rest): (Vec<_>, Vec<_>) = text.lines().partition(is_candidate);
        (candidates.into_iter().map(str::to_owned).collect(), rest.join("\r\n") + "\r\n")
    };
    let (ours, offer) = apart(&call.offer().unwrap());
    let mut phone = Command::new(python);
    phone.current_dir(&folder).arg(format!("{SCRIPTS}/aiortc_phone.py"));
    phone.args(["answer", "theirs.sdp", "ours.sdp", "peer.wav", "peer-heard.wav", "8", "ours.candidates"]);
    fs::write(folder.join("ours.sdp"), offer).unwrap();
    let phone = Running::start(&mut phone, &folder, "aiortc");
    let (mut theirs, answer) = apart(&read_when_there(&folder.join("theirs.sdp"), LIMIT));
    assert!(!ours.is_empty() && !theirs.is_empty(), "{ours:?} {theirs:?}");
    let begin = StdInstant::now();
    let now = || Instant::from_micros(begin.elapsed().as_micros() as u64);
    call.accept(now(), &answer).unwrap();
    let (mut heard, mut pcm, mut buffer) = (Vec::new(), [0; 80], [0; 2_048]);
    let (mut taken, mut connected) = (0, None);
    for tick in 0..600u32 {
        if tick == 50 {
            let lines = ours.iter().filter_map(|line| line.strip_prefix("a=candidate:"));
            fs::write(folder.join("ours.candidates"), lines.collect::<Vec<_>>().join("\n")).unwrap();
        }
        // Until one of theirs is known nothing can be asked.
        if tick >= 100 && tick % 20 == 0 && !theirs.is_empty() {
            taken += call.trickle(now(), &theirs.remove(0));
        }
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            call.receive(now(), Channel::Rtp, from, &mut buffer[..len]);
        }
        call.play(now(), &mut pcm);
        heard.extend_from_slice(&pcm);
        let said = |n: u32| (f64::from(80 * tick + n) * OURS * std::f64::consts::TAU / 8_000.0).sin();
        pcm = std::array::from_fn(|n| (8_000.0 * said(n as u32)) as i16);
        call.capture(now(), &pcm);
        while let Some(transmit) = call.transmit(now(), &mut buffer) {
            let _ = socket.send_to(&buffer[..transmit.len], transmit.to);
        }
        let is_connected = call.stats().ice.is_some_and(|ice| ice.state == IceState::Connected);
        connected = connected.or_else(|| is_connected.then_some(tick));
        sleep(Duration::from_millis(10 * u64::from(tick + 1)).saturating_sub(begin.elapsed()));
    }
    let stats = call.stats();
    let (ice, protection) = (stats.ice.unwrap(), stats.protection);
    let theirs = phone.wait(LIMIT);
    println!("{ice:?} {protection:?}\n{theirs:?}");
    assert!(taken > 0 && connected.is_some_and(|tick| tick >= 50), "{taken} {connected:?}");
    let mut sink = WavSink::create(folder.join("heard.wav"), 8_000).unwrap();
    sink.write(&heard).unwrap();
    sink.finish().unwrap();
    let heard = [("heard.wav", THEIRS), ("peer-heard.wav", OURS)].map(|(file, hz)| tenths_with(&folder.join(file), hz));
    let Some(Protection::Srtp(profile)) = protection else { panic!("{protection:?}") };
    // It begins a second late, by the candidates.
    score("aiortc answers, trickle", &format!("DTLS, {}; ICE full", profile.sdes_name()), "pcmu", heard, 50);
    fs::remove_dir_all(folder).unwrap();
}
