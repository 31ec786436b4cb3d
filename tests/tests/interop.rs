//! ffmpeg hears what the command line sends, from our own SDP, and the command line hears what ffmpeg sends: PCMU, L16
//! and Opus, as plain RTP and as SRTP with SDES keys, both ways. Twelve calls, all of them on loopback.
//!
//! ffmpeg 5.1 can do every one of them, with these limits: it can't negotiate, so the test writes its half of the SDP;
//! of several `a=crypto` lines it takes the last, so the test leaves it one; its receiver ignores `a=rtcp-mux` and its
//! sender has no such thing, so RTCP has its own port in all of these calls.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use host_std::wav::{WavSink, WavSource};
use media_core_tests::program::{Running, folder, free_port_pair, installed, media_core, read_when_there};
use media_core_tests::score::score;
use serde_json::Value;

/// Base64 of a master key and salt, 30 bytes: ffmpeg's own.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
/// How long is spoken.
const SPEECH_MS: usize = 4_000;
/// A call that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug)]
struct Case {
    /// As our command line names it.
    codec: &'static str,
    /// As SDP names it.
    rtpmap: &'static str,
    payload_type: u8,
    /// Rate of the sound.
    rate_hz: u32,
    /// As ffmpeg names it.
    encoder: &'static [&'static str],
    /// The longest datagram that ffmpeg makes: 20 ms of PCM behind 12 bytes of header.
    datagram: u32,
    /// The least median correlation. Measured: L16 1.000, mu-law 0.9999; Opus, which changes the waveform, 0.90 to
    /// 0.93; another stretch of the same speech stays below 0.5 (`other_speech_is_told_apart`).
    least: f64,
}

const PCMU: Case = Case {
    codec: "pcmu",
    rtpmap: "PCMU/8000",
    payload_type: 0,
    rate_hz: 8_000,
    encoder: &["pcm_mulaw"],
    datagram: 172,
    least: 0.99,
};
const L16: Case = Case {
    codec: "l16",
    rtpmap: "L16/16000",
    payload_type: 96,
    rate_hz: 16_000,
    encoder: &["pcm_s16be"],
    datagram: 652,
    least: 0.99,
};
const OPUS: Case = Case {
    codec: "opus",
    rtpmap: "opus/48000/2",
    payload_type: 96,
    rate_hz: 48_000,
    encoder: &["libopus", "-b:a", "24k", "-application", "voip"],
    datagram: 1_200,
    least: 0.85,
};

/// The first seconds of a speech file that the command line carries.
fn speech(folder: &Path, rate_hz: u32) -> (PathBuf, Vec<i16>) {
    let asset = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../host-std/assets/woman.wav"));
    let mut pcm = vec![0; rate_hz as usize * SPEECH_MS / 1_000];
    assert_eq!(WavSource::open(asset, rate_hz).unwrap().read(&mut pcm).unwrap(), pcm.len());
    let path = folder.join("said.wav");
    let mut sink = WavSink::create(&path, rate_hz).unwrap();
    sink.write(&pcm).unwrap();
    sink.finish().unwrap();
    (path, pcm)
}

fn heard(path: &Path, rate_hz: u32) -> Vec<i16> {
    let mut source = WavSource::open(path, rate_hz).unwrap();
    assert_eq!(source.spec().sample_rate, rate_hz, "{}", path.display());
    let mut pcm = vec![0; source.len() as usize];
    let len = source.read(&mut pcm).unwrap();
    pcm.truncate(len);
    pcm
}

/// Our command, with what both directions have in common.
fn ours(command: &str, case: &Case, srtp: bool) -> Command {
    let mut ours = Command::new(media_core());
    ours.args([command, "--address", "127.0.0.1", "--json", "--codec", case.codec]);
    ours.args(["--rate", &case.rate_hz.to_string()]);
    if !srtp {
        ours.arg("--no-srtp");
    }
    ours
}

/// ffmpeg's half of an offer or answer.
fn ffmpeg_sdp(case: &Case, port: u16, crypto: Option<&str>, direction: &str) -> String {
    let (payload_type, rtpmap) = (case.payload_type, case.rtpmap);
    let profile = if crypto.is_some() { "RTP/SAVP" } else { "RTP/AVP" };
    let crypto = crypto.map_or(String::new(), |crypto| format!("a=crypto:{crypto} inline:{KEY}\r\n"));
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=ffmpeg\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} {profile} {payload_type}\r\na=rtpmap:{payload_type} {rtpmap}\r\na=ptime:20\r\n\
         {crypto}a={direction}\r\n"
    )
}

/// The port on the `m=` line.
fn port_of(sdp: &str) -> &str {
    let media = sdp.lines().find(|line| line.starts_with("m=audio ")).unwrap_or_else(|| panic!("{sdp}"));
    media.split(' ').nth(1).unwrap()
}

/// ffmpeg plays our stream from the offer that we printed, with nothing changed but the address to listen on and the
/// crypto line it may choose. `suite` is that line's number.
fn ffmpeg_hears(case: &Case, suite: Option<u32>) {
    let folder = folder(&format!("ffmpeg-hears-{}-{suite:?}", case.codec));
    let (said, sent) = speech(&folder, case.rate_hz);
    let [offer, answer, wav] = ["offer.sdp", "answer.sdp", "heard.wav"].map(|name| folder.join(name));
    let mut command = ours("offer", case, suite.is_some());
    command.arg("--write").arg(&offer).arg("--read").arg(&answer).arg("--microphone").arg(&said);
    command.args(["--speaker", "null", "--seconds", "4.2"]);
    let talking = Running::start(&mut command, &folder, "media-core");

    let port = free_port_pair();
    let offer = read_when_there(&offer, LIMIT);
    let tag = suite.map_or("none".into(), |tag| format!("a=crypto:{tag} "));
    let lines = offer.lines().filter(|line| !line.starts_with("a=crypto:") || line.starts_with(&tag));
    let to_hear: Vec<_> =
        lines.map(|line| line.replace(&format!("m=audio {} ", port_of(&offer)), &format!("m=audio {port} "))).collect();
    let listen = folder.join("listen.sdp");
    fs::write(&listen, to_hear.join("\r\n") + "\r\n").unwrap();
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-loglevel", "warning", "-protocol_whitelist", "file,udp,rtp,srtp,crypto"]);
    ffmpeg.args(["-analyzeduration", "500000", "-i"]).arg(&listen).args(["-t", "3.2", "-ac", "1"]).arg("-y").arg(&wav);
    let ffmpeg = Running::start(&mut ffmpeg, &folder, "ffmpeg");
    let begin = Instant::now();
    while UdpSocket::bind(("127.0.0.1", port)).is_ok() {
        assert!(begin.elapsed() < LIMIT, "ffmpeg doesn't listen: {}", ffmpeg.stderr());
        thread::sleep(Duration::from_millis(20));
    }

    let chosen = suite.map(|tag| {
        let line = to_hear.iter().find(|line| line.starts_with("a=crypto:")).unwrap();
        let suite = line.split(' ').nth(1).unwrap();
        format!("{tag} {suite}")
    });
    let part = folder.join("part");
    fs::write(&part, ffmpeg_sdp(case, port, chosen.as_deref(), "recvonly")).unwrap();
    fs::rename(part, answer).unwrap();

    let ended = talking.wait(LIMIT).success();
    let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(summary["ended"], "time over");
    assert!(summary["packets_sent"].as_u64().unwrap() >= 200, "{summary}");
    let played = ffmpeg.wait(LIMIT).success();
    let heard = heard(&wav, case.rate_hz);
    let score = score(&sent, &heard, case.rate_hz);
    println!("ffmpeg hears {}, SRTP {suite:?}: {score:?}", case.codec);
    assert!(score.segments >= 8 && score.median > case.least, "{case:?}: {score:?}\n{}", played.stderr);
    fs::remove_dir_all(folder).unwrap();
}

/// ffmpeg sends to the port in our answer, from the port in its offer, and its BYE ends the call.
fn ffmpeg_speaks(case: &Case, srtp: bool) {
    let folder = folder(&format!("ffmpeg-speaks-{}-{srtp}", case.codec));
    let (said, sent) = speech(&folder, case.rate_hz);
    let [offer, answer, wav] = ["offer.sdp", "answer.sdp", "heard.wav"].map(|name| folder.join(name));
    let port = free_port_pair();
    let suite = "AES_CM_128_HMAC_SHA1_80";
    let crypto = srtp.then(|| format!("1 {suite}"));
    fs::write(&offer, ffmpeg_sdp(case, port, crypto.as_deref(), "sendonly")).unwrap();
    let mut command = ours("answer", case, srtp);
    // Strict: what comes must come from the port that the offer names.
    command.arg(&offer).arg("--write").arg(&answer).arg("--speaker").arg(&wav);
    command.args(["--microphone", "null", "--latch", "strict", "--seconds", "20"]);
    let listening = Running::start(&mut command, &folder, "media-core");

    let answer = read_when_there(&answer, LIMIT);
    let (scheme, to) = (if srtp { "srtp" } else { "rtp" }, port_of(&answer));
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-loglevel", "warning", "-re", "-i"]).arg(said).args(["-ac", "1", "-c:a"]).args(case.encoder);
    ffmpeg.args(["-ar", &case.rate_hz.to_string(), "-payload_type", &case.payload_type.to_string()]);
    ffmpeg.args(["-f", "rtp", "-rtpflags", "send_bye"]);
    if srtp {
        ffmpeg.args(["-srtp_out_suite", suite, "-srtp_out_params", KEY]);
    }
    let (datagram, rtcp) = (case.datagram, port + 1);
    ffmpeg.arg(format!("{scheme}://127.0.0.1:{to}?pkt_size={datagram}&localrtpport={port}&localrtcpport={rtcp}"));
    let ffmpeg = Running::start(&mut ffmpeg, &folder, "ffmpeg").wait(LIMIT).success();

    let ended = listening.wait(LIMIT).success();
    let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(summary["ended"], "the other side hung up", "{summary}");
    let count = |name: &str| summary[name].as_u64().unwrap();
    // At most 20 ms each; ffmpeg cuts the frames of its own filters, which leaves shorter ones between.
    assert!((198..=300).contains(&count("packets_received")), "{summary}");
    assert_eq!((count("packets_lost"), count("packets_refused"), count("packets_foreign")), (0, 0, 0), "{summary}");
    let heard = heard(&wav, case.rate_hz);
    let score = score(&sent, &heard, case.rate_hz);
    println!("ffmpeg speaks {}, SRTP {srtp}: {score:?}", case.codec);
    assert!(score.segments >= 8 && score.median > case.least, "{case:?}: {score:?}\n{}", ffmpeg.stderr);
    fs::remove_dir_all(folder).unwrap();
}

/// Both directions at once. `suite`: which of our crypto lines ffmpeg takes.
fn both(case: &Case, suite: Option<u32>) {
    if !installed("ffmpeg", "ffmpeg") {
        return;
    }
    thread::scope(|scope| {
        scope.spawn(|| ffmpeg_hears(case, suite));
        ffmpeg_speaks(case, suite.is_some());
    });
}

#[test]
fn pcmu_plain() {
    both(&PCMU, None);
}

#[test]
fn pcmu_srtp() {
    both(&PCMU, Some(1));
}

#[test]
fn l16_plain() {
    both(&L16, None);
}

#[test]
fn l16_srtp_with_short_tags() {
    both(&L16, Some(2));
}

#[test]
fn opus_plain() {
    both(&OPUS, None);
}

#[test]
fn opus_srtp() {
    both(&OPUS, Some(1));
}

/// A call's second destination: ffmpeg receives both directions, each by itself, by the description that we wrote.
#[test]
fn ffmpeg_hears_a_fork() {
    if !installed("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = folder("ffmpeg-fork");
    let (said, sent) = speech(&folder, 16_000);
    let [sdp, xml, near, far] = ["fork.sdp", "fork.xml", "near.wav", "far.wav"].map(|name| folder.join(name));
    // A second pair behind the first, and nobody else's.
    let port = loop {
        let [port, next] = [free_port_pair(), free_port_pair()];
        if next == port + 2 {
            break port;
        }
    };
    let mut command = Command::new(media_core());
    command.args(["demo", "--codec", "g722", "--loss", "0", "--jitter", "0", "--seconds", "8", "--fork"]);
    command.arg(format!("rtp://127.0.0.1:{port}")).arg("--fork-sdp").arg(&sdp).arg("--metadata").arg(&xml);
    command.arg("--input").arg(&said).arg("--out").arg(folder.join("out"));
    let calling = Running::start(&mut command, &folder, "media-core");
    read_when_there(&sdp, LIMIT);
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-loglevel", "warning", "-protocol_whitelist", "file,udp,rtp", "-analyzeduration", "500000", "-i"])
        .arg(&sdp);
    for (stream, file) in [("0:0", &near), ("0:1", &far)] {
        ffmpeg.args(["-map", stream, "-t", "4", "-y"]).arg(file);
    }
    let ffmpeg = Running::start(&mut ffmpeg, &folder, "ffmpeg").wait(LIMIT).success();
    let ended = calling.wait(LIMIT).success();
    assert!(ended.stdout.contains("forked to ") && ended.stdout.contains(" 0 pieces dropped"), "{}", ended.stdout);
    // What A says, from wherever ffmpeg began; the input is repeated.
    let twice: Vec<i16> = sent.iter().chain(&sent).copied().collect();
    let near = heard(&near, 16_000);
    let likeness = score(&twice, &near, 16_000);
    println!("ffmpeg hears a fork: {likeness:?}");
    assert!(near.len() > 40_000 && likeness.median > 0.99, "{likeness:?}\n{}", ffmpeg.stderr);
    let far = heard(&far, 16_000);
    let other = score(&twice, &far, 16_000);
    assert!(far.len() > 40_000 && other.median < 0.5, "B says something else: {other:?}");
    let metadata = fs::read_to_string(xml).unwrap();
    assert!(metadata.contains("<label>1</label>") && metadata.contains("<stop-time>"), "{metadata}");
    fs::remove_dir_all(folder).unwrap();
}

/// The least correlations mean something: what the same voice says next is not taken for what it said before.
#[test]
fn other_speech_is_told_apart() {
    let asset = concat!(env!("CARGO_MANIFEST_DIR"), "/../host-std/assets/woman.wav");
    let all = heard(Path::new(asset), 16_000);
    let (first, second) = all.split_at(all.len() / 2);
    let score = score(first, second, 16_000);
    println!("{score:?}");
    assert!(score.segments >= 8 && score.median < 0.5, "{score:?}");
}
