//! A second offer and answer on the command line: two processes on one machine hold, resume and change the codec through
//! the files that the first ones went through, and each hears what was agreed on.

use std::fs;
use std::io::Write;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use host_std::wav::{WavSink, WavSource};
use media_core_tests::program::{Ended, Running, folder, media_core};
use media_core_tests::skipped;

const LIMIT: Duration = Duration::from_secs(60);
/// Louder than this is sound: the tones have an RMS of 5,600.
const LOUD: f64 = 1_000.0;
/// Softer is silence; a hold's end is faded and concealed for a while.
const SOFT: f64 = 100.0;

/// Two processes of the program, `offer` and `answer`, and what they heard.
struct Pair {
    folder: PathBuf,
    running: [Running; 2],
}

impl Pair {
    /// `both` goes to both commands, the others to one each.
    fn start(test: &str, both: &[&str], ours: [&[&str]; 2]) -> Self {
        Self::start_at("127.0.0.1", test, both, ours)
    }

    fn start_at(address: &str, test: &str, both: &[&str], ours: [&[&str]; 2]) -> Self {
        let folder = folder(test);
        let running = ["offer", "answer"].map(|command| {
            let side = usize::from(command == "answer");
            tone(&folder.join(format!("said-{side}.wav")), [440.0, 620.0][side]);
            let mut program = Command::new(media_core());
            program.current_dir(&folder).arg(command);
            if side == 0 {
                program.args(["--write", "offer.sdp", "--read", "answer.sdp"]);
            } else {
                let begin = Instant::now();
                while !folder.join("offer.sdp").exists() {
                    assert!(begin.elapsed() < LIMIT, "there is no offer");
                    sleep(Duration::from_millis(10));
                }
                program.args(["offer.sdp", "--write", "answer.sdp"]);
            }
            program.args(["--address", address, "--repeat", "--microphone", &format!("said-{side}.wav")]);
            program.args(["--speaker", &format!("heard-{side}.wav")]).args(both).args(ours[side]);
            Running::start(&mut program, &folder, command)
        });
        Self { folder, running }
    }

    /// What both wrote, and what each heard: the RMS of each tenth of a second.
    fn end(self) -> ([Ended; 2], [Vec<f64>; 2]) {
        let ended = self.running.map(|running| running.wait(LIMIT));
        let heard = [0, 1].map(|side| loudness(&self.folder.join(format!("heard-{side}.wav"))));
        for (side, heard) in heard.iter().enumerate() {
            println!("side {side} heard {:?}", heard.iter().map(|rms| *rms as u32).collect::<Vec<_>>());
            println!("side {side} said {}", ended[side].stderr);
        }
        fs::remove_dir_all(self.folder).unwrap();
        (ended, heard)
    }
}

/// Two seconds of a tone, 16 kHz.
fn tone(path: &Path, hz: f64) {
    let pcm = (0..32_000).map(|n| (8_000.0 * (f64::from(n) * hz * std::f64::consts::TAU / 16_000.0).sin()) as i16);
    let mut sink = WavSink::create(path, 16_000).unwrap();
    sink.write(&pcm.collect::<Vec<_>>()).unwrap();
    sink.finish().unwrap();
}

fn loudness(path: &Path) -> Vec<f64> {
    let rate_hz = WavSource::open(path, 16_000).unwrap().spec().sample_rate;
    let pcm = WavSource::open(path, rate_hz).unwrap().read_all(dsp_core::time::Duration::from_secs(60)).unwrap();
    let rms = |part: &[i16]| (part.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / part.len() as f64).sqrt();
    pcm.chunks(rate_hz as usize / 10).map(rms).collect()
}

/// Seconds of the call to its tenths.
fn between(heard: &[f64], from: f64, to: f64) -> &[f64] {
    &heard[(from * 10.0) as usize..((to * 10.0) as usize).min(heard.len())]
}

fn assert_sound(heard: &[f64], from: f64, to: f64) {
    let loud = between(heard, from, to).iter().filter(|rms| **rms > LOUD).count();
    assert!(loud as f64 >= (to - from) * 10.0 * 0.8, "{loud} tenths of sound from {from} to {to} s");
}

fn assert_silence(heard: &[f64], from: f64, to: f64) {
    let loudest = between(heard, from, to).iter().copied().fold(0.0, f64::max);
    assert!(loudest < SOFT, "{loudest} from {from} to {to} s");
}

#[track_caller]
fn assert_said(ended: &Ended, what: &[&str]) {
    let mut rest = &ended.stderr[..];
    for what in what {
        let at = rest.find(what).unwrap_or_else(|| panic!("{what:?} is not in {:?}", ended.stderr));
        rest = &rest[at + what.len()..];
    }
}

#[test]
fn whoever_offered_first_holds_and_resumes() {
    for srtp in [true, false] {
        let plain: &[&str] = if srtp { &[] } else { &["--no-srtp"] };
        let both = [&["--codec", "pcmu", "--seconds", "6.5"], plain].concat();
        let pair = Pair::start(&format!("hold-{srtp}"), &both, [&["--hold-at", "2", "--resume-at", "4"], &[]]);
        let (ended, heard) = pair.end();
        let [first, second] = ended.map(Ended::success);
        assert_said(&first, &["hold: offered", "hold: agreed, ", "sending only", "resume: agreed, talking"]);
        assert_said(&second, &["they changed the call: ", "receiving only", "they changed the call: "]);
        // Who holds hears nothing; who is held hears.
        assert_sound(&heard[0], 0.5, 1.9);
        assert_silence(&heard[0], 3.0, 3.9);
        assert_sound(&heard[0], 5.0, 6.0);
        assert_sound(&heard[1], 0.5, 6.0);
    }
}

#[test]
fn whoever_answered_first_holds_and_resumes() {
    let pair = Pair::start(
        "answerer-holds",
        &["--codec", "g722", "--seconds", "6.5"],
        [&[], &["--hold-at", "2", "--resume-at", "4"]],
    );
    let ([first, second], heard) = pair.end();
    assert_said(&second.success(), &["hold: agreed, ", "sending only", "resume: agreed, "]);
    assert_said(&first.success(), &["they changed the call: ", "receiving only", "they changed the call: "]);
    assert_sound(&heard[1], 0.5, 1.7);
    assert_silence(&heard[1], 3.0, 3.7);
    assert_sound(&heard[1], 5.0, 6.0);
    assert_sound(&heard[0], 0.5, 6.0);
}

/// From 8 kHz to 48 and back: the files go on where they are.
#[test]
fn the_codec_changes_with_the_rate_of_the_sound() {
    let pair = Pair::start(
        "codec",
        &["--codec", "pcmu,opus", "--seconds", "7"],
        [&["--codec-at", "2=opus", "--codec-at", "4=pcmu"], &[]],
    );
    let ([first, second], heard) = pair.end();
    let (first, second) = (first.success(), second.success());
    assert_said(&first, &["PCMU/8000", "change to opus/48000/2: agreed, ", "opus/48000/2, 20 ms", "PCMU/8000, 20 ms"]);
    assert_said(&second, &["PCMU/8000", "they changed the call: ", "opus/48000/2", "they changed the call: ", "PCMU"]);
    for heard in &heard {
        assert!((65..=72).contains(&heard.len()), "{} tenths of 7 s", heard.len());
        assert_sound(heard, 0.5, 1.9);
        assert_sound(heard, 3.0, 3.9);
        assert_sound(heard, 5.0, 6.5);
    }
}

/// Both hold at the same moment: in whatever order that is agreed on, neither sends at the end, and both resume.
#[test]
fn offers_that_cross_are_both_carried_out() {
    let at = ["--codec", "pcmu", "--seconds", "8", "--hold-at", "2", "--resume-at", "4.5"];
    let ([first, second], heard) = Pair::start("glare", &at, [&[], &[]]).end();
    assert_said(&first.success(), &["neither sending nor receiving"]);
    assert_said(&second.success(), &["neither sending nor receiving"]);
    for heard in &heard {
        assert_sound(heard, 0.5, 1.8);
        assert_silence(heard, 3.8, 4.3);
        assert_sound(heard, 6.5, 7.5);
    }
}

/// What can't be agreed on is told, and the call goes on as it was; nothing new under an old version is no offer.
#[test]
fn an_offer_that_cannot_be_taken_changes_nothing() {
    let pair = Pair::start("refused", &["--codec", "pcmu", "--no-srtp", "--seconds", "5"], [&[], &[]]);
    sleep(Duration::from_millis(1_500));
    let path = pair.folder.join("offer.sdp");
    let offer = fs::read_to_string(&path).unwrap();
    fs::write(&path, offer.replace("a=sendrecv", "a=inactive")).unwrap();
    sleep(Duration::from_millis(700));
    let version = offer.lines().find(|line| line.starts_with("o=")).unwrap();
    let next = version.replace(" 1 IN ", " 2 IN ");
    assert_ne!(version, next);
    fs::write(&path, offer.replace(version, &next).replace("RTP/AVP 0", "RTP/AVP 3")).unwrap();
    let ([first, second], heard) = pair.end();
    first.success();
    let told = ["but not its version", "their new offer is not taken", "they offer GSM/8000; we have PCMU/8000"];
    assert_said(&second.success(), &told);
    assert_sound(&heard[0], 0.5, 4.0);
    assert_sound(&heard[1], 0.5, 4.0);
}

#[test]
fn a_whole_call_over_ipv6_holds_and_resumes() {
    if UdpSocket::bind("[::1]:0").is_err() {
        skipped::skip("this machine has no IPv6");
        return;
    }
    let at: [&[&str]; 2] = [&["--hold-at", "2", "--resume-at", "4"], &[]];
    let (ended, heard) = Pair::start_at("::1", "ipv6", &["--codec", "g722", "--seconds", "6.5"], at).end();
    let [first, second] = ended.map(Ended::success);
    assert_said(&first, &["talking with [::1]:", "hold: agreed, ", "sending only", "resume: agreed, talking"]);
    assert_said(&second, &["talking with [::1]:", "receiving only", "they changed the call: "]);
    assert!(!first.stdout.contains("could not be sent") && !second.stdout.contains("could not be sent"));
    assert_sound(&heard[0], 0.5, 1.9);
    assert_silence(&heard[0], 3.0, 3.9);
    assert_sound(&heard[0], 5.0, 6.0);
    assert_sound(&heard[1], 0.5, 6.0);
}

/// Without files all goes through stdin and stdout, the later ones as the first; an empty line ends each.
#[test]
fn later_offers_and_answers_go_through_stdin_and_stdout() {
    let folder = folder("stdin");
    let mut sides = ["offer", "answer"].map(|command| {
        tone(&folder.join(format!("said-{command}.wav")), 440.0);
        let mut program = Command::new(media_core());
        program.current_dir(&folder).args([command, "--address", "127.0.0.1", "--codec", "pcmu", "--seconds", "6.5"]);
        program.args(["--repeat", "--microphone", &format!("said-{command}.wav")]);
        program.args(["--speaker", &format!("heard-{command}.wav")]);
        if command == "offer" {
            program.args(["--hold-at", "2", "--resume-at", "4"]);
        }
        let (running, stdin) = Running::start_with_stdin(&mut program, &folder, command);
        (running, stdin, folder.join(format!("{command}.stdout")), 0)
    });
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(9) {
        for from in 0..2 {
            let text = fs::read(&sides[from].2).unwrap();
            let new = text[sides[from].3..].to_vec();
            sides[from].3 = text.len();
            // Its summary, at the end, may find nobody.
            let _ = sides[1 - from].1.write_all(&new);
        }
        sleep(Duration::from_millis(20));
    }
    let [first, second] = sides.map(|(running, ..)| running.wait(LIMIT).success());
    assert_said(&first, &["talking with", "hold: agreed, ", "sending only", "resume: agreed, talking"]);
    assert_said(&second, &["talking with", "they changed the call: ", "receiving only", "they changed the call: "]);
    let heard = ["offer", "answer"].map(|command| loudness(&folder.join(format!("heard-{command}.wav"))));
    assert_sound(&heard[0], 0.5, 1.9);
    assert_silence(&heard[0], 3.0, 3.9);
    assert_sound(&heard[0], 5.0, 6.0);
    assert_sound(&heard[1], 0.5, 6.0);
    fs::remove_dir_all(folder).unwrap();
}
