//! The command line as its user meets it: help, mistakes, results in files and on stdout, a call between two processes, and
//! its end by Ctrl-C.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use host_std::wav::WavSource;
use media_core_tests::program::{Ended, Running, folder, media_core, read_when_there, tshark};
use media_core_tests::score::score;
use serde_json::Value;

pub(crate) const LIMIT: Duration = Duration::from_secs(30);
const COMMANDS: [&str; 16] = [
    "demo",
    "offer",
    "answer",
    "conference",
    "devices",
    "encode",
    "decode",
    "codecs",
    "resample",
    "process",
    "probe",
    "mix",
    "dtmf",
    "tone",
    "replay",
    "netsim",
];

pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Ended {
    Running::start(Command::new(media_core()).current_dir(folder).args(arguments), folder, "media-core").wait(LIMIT)
}

pub(crate) fn asset(name: &str) -> String {
    format!("{}/../host-std/assets/{name}", env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn wav(path: &Path) -> (Vec<i16>, u32) {
    let rate_hz = WavSource::open(path, 16_000).unwrap().spec().sample_rate;
    (WavSource::open(path, rate_hz).unwrap().read_all(dsp_core::time::Duration::from_secs(60)).unwrap(), rate_hz)
}

pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn help_explains_every_option() {
    let folder = folder("help");
    let top = run(&folder, &["--help"]).success();
    for command in COMMANDS {
        assert!(top.stdout.contains(command), "{}", top.stdout);
        for flag in ["-h", "--help"] {
            let help = run(&folder, &[command, flag]).success();
            assert!(help.stdout.contains(&format!("Usage: media-core {command}")), "{}", help.stdout);
            assert_eq!(help.stderr, "");
            let lines: Vec<_> = help.stdout.lines().collect();
            for (n, line) in lines
                .iter()
                .enumerate()
                .filter(|(_, line)| line.starts_with("  ") && line.trim_start().starts_with("--"))
            {
                // In the short form the text follows on the line, in the long one below.
                let text = line.trim_start().split_once("  ").map_or("", |(_, text)| text.trim());
                let below = lines.get(n + 1).map_or("", |next| next.trim());
                let explained = |text: &str| text.len() > 10 && !text.starts_with('-');
                assert!(explained(text) || explained(below), "{command} {flag}: {line}");
            }
        }
    }
    // Nothing asked for: the help, and a failure.
    let nothing = run(&folder, &[]);
    assert!(!nothing.status.success() && nothing.stderr.contains("Usage: media-core <COMMAND>"), "{nothing:?}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_mistake_gives_one_clear_line_and_a_failure() {
    let folder = folder("mistakes");
    fs::write(folder.join("text.wav"), "this is no sound").unwrap();
    fs::write(folder.join("garbage.sdp"), "hello\nworld\n").unwrap();
    fs::write(folder.join("bytes.sdp"), [0xff, 0xfe, 0, 1]).unwrap();
    let video = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 9 RTP/AVP 96\r\n";
    fs::write(folder.join("video.sdp"), video).unwrap();
    let here = ["--address", "127.0.0.1"];
    fs::write(folder.join("silent.wav"), host_std::wav::to_wav(&[0; 8_000], 8_000, 1)).unwrap();
    let cases: [(&[&str], &str); 44] = [
        (&["offer", "--null", "--certificate", "own.pem"], "with --security dtls or either"),
        (&["offer", "--null", "--security", "dtls", "--certificate", "text.wav"], "no whole part CERTIFICATE"),
        (&["demo", "--wrong"], "--wrong"),
        (&["dmeo"], "dmeo"),
        (&["demo", "--loss", "200"], "from 0 to 100"),
        (&["demo", "--loss", "much"], "must be a number"),
        (&["demo", "--loss", "NaN"], "from 0 to 100"),
        (&["demo", "--codec", "mp3"], "opus, g722, pcmu, pcma, ilbc, ilbc30, l16"),
        (&["demo", "--ptime", "5"], "10..=60"),
        (&["demo", "--echo", "5"], "from 20 to 250"),
        (&["demo", "--realtime", "--fast"], "cannot be used with"),
        (&["demo", "--aec", "--echo-suppressor"], "cannot be used with"),
        (&["demo", "--snr", "10"], "--noise"),
        (&["demo", "--noise", "silent.wav", "--snr", "99"], "from -20 to 60"),
        (&["demo", "--fast", "--noise", "nowhere.wav"], "nowhere.wav: No such file"),
        (&["demo", "--fast", "--noise", "silent.wav"], "silent.wav is silent: that is no noise"),
        (&["demo", "--fast", "--input", "silent.wav", "--noise", "text.wav"], "text.wav is not a WAV file"),
        (&["demo", "--fast", "--input", "nowhere.wav"], "nowhere.wav: No such file"),
        (&["demo", "--fast", "--input", "text.wav"], "text.wav is not a WAV file"),
        (&["demo", "--fast", "--input", "."], ""),
        (&["demo", "--fast", "--out", "text.wav"], "cannot make the folder text.wav"),
        (&["demo", "--fast", "--out", "text.wav/below"], "cannot make the folder text.wav/below"),
        (&["answer", "nowhere.sdp", "--null"], "cannot read nowhere.sdp: No such file"),
        (&["answer", "garbage.sdp", "--null"], "not valid SDP"),
        (&["answer", "bytes.sdp", "--null"], "bytes.sdp"),
        (&["answer", "video.sdp", "--null"], "audio"),
        (&["answer", "--null"], "no SDP offer on stdin"),
        (&["offer", "--null", "--rate", "11025"], "16000"),
        (&["offer", "--microphone", "nowhere.wav", "--speaker", "null"], "nowhere.wav: No such file"),
        (&["offer", "--microphone", "null", "--speaker", "none/x.wav"], "none/x.wav: No such file"),
        (&["offer", "--null", "--address", "192.0.2.77"], "192.0.2.77"),
        (&["replay", "--out", "x"], "CAPTURE"),
        (&["replay", "nowhere.pcap"], "nowhere.pcap: the capture can't be read: No such file"),
        (&["replay", "."], ".: the capture can't be read"),
        (&["replay", "text.wav"], "text.wav: not a capture: neither pcap nor pcapng nor rtpdump"),
        (&["replay", "text.wav", "--payload-map", "96"], "--payload-map: '96' is not NUMBER=NAME/CLOCK/CHANNELS"),
        (&["replay", "text.wav", "--payload-map", "96=mp3/90000"], "no decoder for 'mp3/90000'"),
        (&["replay", "text.wav", "--keys", "nowhere.keys"], "nowhere.keys: No such file"),
        (&["replay", "text.wav", "--keys", "garbage.sdp"], "garbage.sdp: line 1: a key line has 4 fields"),
        (&["replay", "text.wav", "--jitter", "none"], "must be adaptive, conversation or fixed:MS"),
        (&["replay", "text.wav", "--utc-offset", "east"], "must be hours and minutes, as +02:00"),
        (&["replay", "--trace", "x.csv", "--codec", "pcmu"], "--input"),
        (
            &["replay", "text.wav", "--jitter", "fixed:5000", "--max-delay", "40"],
            "--max-delay 40: with --jitter fixed:5000 the delay is 5000 ms",
        ),
        (
            &["replay", "--trace", "x.csv", "--input", "text.wav", "--codec", "pcmu", "--fec", "10"],
            "--fec is for opus, not for pcmu",
        ),
    ];
    for (arguments, needle) in cases {
        let talks = matches!(arguments[0], "offer" | "answer") && !arguments.contains(&"--address");
        let arguments: Vec<&str> = arguments.iter().chain(if talks { &here[..] } else { &[] }).copied().collect();
        let ended = run(&folder, &arguments);
        assert!(ended.status.code().is_some_and(|code| code != 0), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
        let lines: Vec<_> = ended.stderr.lines().collect();
        assert!(!lines.is_empty() && lines[..lines.len().min(2)].concat().contains(needle), "{arguments:?}: {ended:?}");
        // Wrong flags are told by the parser, which adds how it's right.
        let by_parser = ended.status.code() == Some(2) && lines[0].starts_with("error: ");
        assert!(by_parser || (lines.len() == 1 && lines[0].starts_with("media-core: ")), "{}", ended.stderr);
        assert!(!ended.stderr.contains("panicked") && !ended.stderr.contains("backtrace"), "{}", ended.stderr);
    }
    fs::remove_dir_all(folder).unwrap();
}

/// Each option that takes a number tells its range of a negative one too, where it's outside.
#[test]
fn a_negative_number_is_a_number() {
    let folder = folder("negative");
    let cases: [(&[&str], &str, &str); 16] = [
        (&["demo"], "--loss", "must be from 0 to 100"),
        (&["demo"], "--burst", "must be from 1 to 100"),
        (&["demo"], "--jitter", "must be from 0 to 2000"),
        (&["demo"], "--reorder", "must be from 0 to 100"),
        (&["demo"], "--seconds", "must be from 1 to 3600"),
        (&["demo"], "--ptime", "is not in 10..=60"),
        (&["demo"], "--red", "must be auto or 0 to 4"),
        (&["demo"], "--seed", "invalid value"),
        (&["demo"], "--bitrate", "is not in 0..="),
        (&["demo"], "--dred", "is not in 0..="),
        (&["offer"], "--port", "is not in 0..=65535"),
        (&["answer"], "--gain", "must be from -42 to 18"),
        (&["replay", "x.pcap"], "--lose", "must be from 0 to 100"),
        (&["replay", "x.pcap"], "--max-delay", "is not in 20..=10000"),
        (&["encode", "x.wav", "y", "--codec", "opus"], "--frame-ms", "must be from 1 to 120"),
        (&["netsim"], "--seconds", "must be from 5 to 3600"),
    ];
    for (command, option, range) in cases {
        let ended = run(&folder, &[command, &[option, "-50"]].concat());
        let line = ended.stderr.lines().next().unwrap_or_default();
        assert!(line.starts_with("error: invalid value '-50'") && line.contains(option), "{ended:?}");
        assert!(line.contains(range) && !ended.stderr.contains("Usage"), "{range}: {ended:?}");
        assert!(!ended.status.success() && ended.stdout.is_empty(), "{ended:?}");
    }
    // Elsewhere it's still a wrong option, and an option is no number.
    for wrong in [["demo", "--json", "-5"], ["replay", "x.pcap", "-5"]] {
        assert!(run(&folder, &wrong).stderr.contains("unexpected argument '-5'"), "{wrong:?}");
    }
    assert!(run(&folder, &["demo", "--loss", "--json"]).stderr.contains("a value is required for '--loss"));
    run(&folder, &["demo", "--fast", "--seconds", "1", "--drift-ppm", "-50.5"]).success();
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_refused_demo_leaves_no_folder() {
    let folder = folder("refused");
    // Refused by the encoder, and only when the call is agreed on.
    let refused =
        [("opus", "--bitrate", "1", "no bit rate of 1 bit/s"), ("g722", "--ptime", "13", "ptime and maxptime")];
    for (codec, option, value, why) in refused {
        for time in ["--fast", "--realtime"] {
            let ended = run(&folder, &["demo", time, "--codec", codec, option, value, "--out", "out"]);
            assert!(!ended.status.success() && ended.stderr.contains(why), "{ended:?}");
            assert!(!folder.join("out").exists(), "{time} {option} {value}");
        }
    }
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[test]
fn a_failure_leaves_the_old_file_as_it_was() {
    let folder = folder("beside");
    let file = |name: &str| folder.join(name);
    let whole = fs::read(asset("woman.wav")).unwrap();
    fs::write(file("said.wav"), &whole).unwrap();
    // iLBC has frames of 38 bytes.
    fs::write(file("torn.ilbc"), vec![0x55; 38 * 50 + 7]).unwrap();
    let torn = [
        ("encode", "g722", "said.wav", "cannot write out: File too large"),
        ("encode", "opus", "said.wav", "cannot write out: File too large"),
        ("decode", "l16", "said.l16", "cannot write out: File too large"),
        ("decode", "ilbc", "torn.ilbc", "torn.ilbc ends within frame 50"),
    ];
    fs::write(file("said.l16"), vec![0x55; 400_000]).unwrap();
    for (command, codec, input, why) in torn {
        let fails = || {
            // In files of at most 17 kB, or 34, as the shell counts: what is torn fits.
            let line = format!("ulimit -f 34; exec {} {command} --codec {codec} {input} out", media_core().display());
            let mut command = Command::new("sh");
            command.current_dir(&folder).args(["-c", &line]);
            let ended = Running::start(&mut command, &folder, "media-core").wait(LIMIT);
            assert!(!ended.status.success() && ended.stderr.contains(why), "{ended:?}");
        };
        fails();
        assert!(!file("out").exists(), "{command} {codec}");
        fs::write(file("out"), "old").unwrap();
        fails();
        assert_eq!(fs::read(file("out")).unwrap(), b"old", "{command} {codec}");
        fs::remove_file(file("out")).unwrap();
    }
    // What succeeds replaces it, and is nothing else.
    fs::write(file("out"), "old").unwrap();
    let encode = |out: &str| run(&folder, &["encode", "--codec", "g722", "said.wav", out]);
    encode("out").success();
    let coded = fs::read(file("out")).unwrap();
    assert!(coded.len() > 10_000);
    fs::write(file("out.wav"), "old").unwrap();
    run(&folder, &["decode", "--codec", "g722", "out", "out.wav"]).success();
    assert_eq!(wav(&file("out.wav")).0.len(), 2 * coded.len());
    let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.ends_with(".part")).collect::<Vec<_>>(), [""; 0]);
    assert!(encode("none/out").stderr.starts_with("media-core: cannot write none/out: No such file"));
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::{PermissionsExt, symlink};
        fs::set_permissions(file("out"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("out", file("link")).unwrap();
        for out in ["out", "link"] {
            encode(out).success();
            assert_eq!(fs::read(file("out")).unwrap(), coded);
            assert_eq!(fs::metadata(file("out")).unwrap().permissions().mode() & 0o777, 0o640);
        }
        assert!(fs::symlink_metadata(file("link")).unwrap().is_symlink());
        encode("/dev/stdout").success();
        assert_eq!(fs::read(file("media-core.stdout")).unwrap(), coded);
        for (command, input) in [("encode", "said.wav"), ("decode", "out")] {
            let full = run(&folder, &[command, "--codec", "g722", input, "/dev/full"]);
            assert!(full.stderr.starts_with("media-core: cannot write /dev/full: No space left"), "{full:?}");
        }
    }
    fs::remove_dir_all(folder).unwrap();
}

/// The demo's own capture, played again with its keys: as the README has it.
#[test]
fn a_demo_is_replayed() {
    let folder = folder("replay");
    run(&folder, &["demo", "--fast", "--seconds", "6", "--codec", "g722", "--out", "call"]).success();
    let ended = run(&folder, &["replay", "call/call.pcap", "--keys", "call/call.keys"]).success();
    assert_eq!(ended.stderr, "");
    for needle in
        ["stream-1  127.0.0.1:4000 -> 127.0.0.1:5000", "G722/8000", "% lost", "Written: media-core-replay/report.html"]
    {
        assert!(ended.stdout.contains(needle), "{needle}: {}", ended.stdout);
    }
    let out = folder.join("media-core-replay");
    let report = json(&fs::read_to_string(out.join("report.json")).unwrap());
    assert_eq!(report["streams"].as_array().unwrap().len(), 2);
    for (stream, said) in report["streams"].as_array().unwrap().iter().zip([asset("woman.wav"), asset("man.wav")]) {
        let (heard, rate_hz) = wav(&out.join(stream["wav_file"].as_str().unwrap()));
        let score = score(&wav(Path::new(&said)).0, &heard, rate_hz);
        assert!(score.median > 0.9, "{score:?}");
    }
    assert!(fs::read_to_string(out.join("report.html")).unwrap().contains("Worst moments"));
    let json_again = run(&folder, &["replay", "call/call.pcap", "--keys", "call/call.keys", "--json"]).success();
    assert_eq!(json(&json_again.stdout), report);
    // Without keys there is nothing to hear, and the message says what is missing.
    let blind = run(&folder, &["replay", "call/call.pcap"]);
    assert!(
        !blind.status.success() && blind.stderr.contains("give the --keys") || blind.stderr.contains("(--keys)"),
        "{blind:?}"
    );
    let table = run(&folder, &["netsim", "--seconds", "5"]).success();
    assert!(table.stdout.lines().count() > 70 && table.stdout.contains("concealed"), "{}", table.stdout);
    fs::remove_dir_all(folder).unwrap();
}

/// A demo with redundant audio data: what its number is, the replay without it says.
#[test]
fn a_demo_with_redundancy_is_replayed() {
    let folder = folder("replay-red");
    let demo = ["demo", "--fast", "--seconds", "8", "--codec", "pcmu", "--red", "1", "--loss", "8", "--burst", "1"];
    run(&folder, &[&demo[..], &["--out", "call"]].concat()).success();
    let replay = ["replay", "call/call.pcap", "--keys", "call/call.keys", "--json"];
    let blind = run(&folder, &replay);
    let number = blind.stderr.split("say it with --payload-map ").nth(1).and_then(|rest| rest.split('=').next());
    let map = format!("{}=red/8000", number.unwrap_or_else(|| panic!("{blind:?}")));
    let report = json(&run(&folder, &[&replay[..], &["--payload-map", &map]].concat()).success().stdout);
    let streams = report["streams"].as_array().unwrap();
    assert_eq!((streams.len(), &report["skipped"]), (2, &Value::Array(Vec::new())));
    for stream in streams {
        assert_eq!(stream["codec"], "PCMU/8000");
        let number = |name: &str| stream[name].as_f64().unwrap();
        let lost = number("lost") / (number("lost") + number("received"));
        assert!(lost > 0.03, "{lost}");
        assert!(number("recovered_ratio") > lost * 0.7 && number("concealed_ratio") < lost * 0.5, "{stream}");
    }
    fs::remove_dir_all(folder).unwrap();
}

/// A machine without sound, made by an empty configuration of ALSA.
#[cfg(target_os = "linux")]
#[test]
fn without_sound_the_way_out_is_named() {
    let folder = folder("no-sound");
    fs::write(folder.join("asound.conf"), "").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(media_core());
        command.args(arguments).env("ALSA_CONFIG_PATH", folder.join("asound.conf"));
        Running::start(&mut command, &folder, "media-core").wait(LIMIT)
    };
    let ended = run(&["offer", "--address", "127.0.0.1"]);
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(ended.stdout, "", "no offer without a microphone");
    assert!(ended.stderr.contains("--null") && ended.stderr.lines().count() == 1, "{}", ended.stderr);
    let devices = run(&["devices"]).success();
    assert!(devices.stdout.starts_with("No sound device.") && devices.stderr.is_empty(), "{devices:?}");
    assert_eq!(json(&run(&["devices", "--json"]).success().stdout)["devices"], Value::Array(Vec::new()));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let folder = folder("pipe");
    let mut child = Command::new(media_core())
        .args(["demo", "--fast", "--seconds", "2", "--json", "--out"])
        .arg(folder.join("out"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{}", String::from_utf8_lossy(&ended.stderr));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let folder = folder("seeds");
    let files = ["a-heard.wav", "b-heard.wav", "call.pcap", "call.keys", "report.json", "report.html"];
    let demo = |out: &str, seed: &str| -> (String, Vec<Vec<u8>>) {
        let ended =
            run(&folder, &["demo", "--fast", "--json", "--seconds", "8", "--seed", seed, "--out", out]).success();
        assert_eq!(ended.stderr, "");
        (ended.stdout, files.map(|file| fs::read(folder.join(out).join(file)).unwrap()).into())
    };
    let (first, second, other) = (demo("first", "7"), demo("second", "7"), demo("other", "8"));
    for (n, file) in files.iter().enumerate() {
        assert!(first.1[n] == second.1[n], "{file} differs between two runs of the same seed");
        assert!(first.1[n] != other.1[n], "{file} is the same for another seed");
    }
    // stdout is report.json and nothing else.
    assert_eq!(json(&first.0), json(std::str::from_utf8(&first.1[4]).unwrap()));
    assert_eq!(first.0, second.0);
    fs::remove_dir_all(folder).unwrap();
}

/// tshark's numbers of each stream of the capture: source port, packets, lost.
fn streams(capture: &Path) -> Option<Vec<(u16, u64, u64)>> {
    let text = tshark(capture, &["-d", "udp.port==4000,rtp", "-q", "-z", "rtp,streams"])?;
    let rows = text.lines().filter(|line| line.contains("0x")).map(|line| {
        let cells: Vec<_> = line.split_whitespace().collect();
        let ssrc = cells.iter().position(|cell| cell.starts_with("0x")).unwrap();
        let number = |n: usize| cells[n].parse().unwrap_or_else(|_| panic!("{line}"));
        (cells[3].parse().unwrap(), number(ssrc + 2), number(ssrc + 3))
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort_unstable();
    Some(rows)
}

#[test]
fn tshark_finds_the_streams_of_the_demo_and_their_loss() {
    let folder = folder("capture");
    for protection in [None, Some("--no-srtp")] {
        let mut arguments = vec!["demo", "--fast", "--json", "--codec", "pcmu", "--seconds", "20", "--loss", "8"];
        arguments.extend(["--duplicate", "0", "--out", "out"]);
        arguments.extend(protection);
        let report = json(&run(&folder, &arguments).success().stdout);
        assert_eq!(folder.join("out/call.keys").exists(), protection.is_none());
        let mut ours = Vec::new();
        // What A heard came from B's port.
        for (side, port) in [(1, 4_000), (0, 5_000)] {
            let side = &report["sides"][side];
            let lost: Vec<bool> =
                side["packets"].as_array().unwrap().iter().map(|packet| packet["fate"] == "lost_in_network").collect();
            let count = |name: &str| side["statistics"][name].as_u64().unwrap();
            assert_eq!(count("packets_lost"), lost.iter().filter(|lost| **lost).count() as u64);
            // A capture knows nothing of losses before the first and after the last packet that came.
            let edge = |lost: &mut dyn Iterator<Item = &bool>| lost.take_while(|lost| **lost).count() as u64;
            let edges = edge(&mut lost.iter()) + edge(&mut lost.iter().rev());
            ours.push((port, count("packets_received"), count("packets_lost") - edges));
        }
        assert!(ours.iter().all(|(_, packets, lost)| *packets > 800 && *lost > 40), "{ours:?}");
        let Some(streams) = streams(&folder.join("out/call.pcap")) else { break };
        assert_eq!(streams, ours, "{protection:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_demo_in_real_time_carries_speech_both_ways_over_srtp() {
    let folder = folder("realtime");
    let mut arguments =
        vec!["demo", "--seconds", "4.5", "--codec", "l16", "--loss", "0", "--burst", "1", "--jitter", "2"];
    arguments.extend(["--delay", "5", "--reorder", "0", "--json", "--out", "out"]);
    let begin = Instant::now();
    let ended = run(&folder, &arguments).success();
    assert!(begin.elapsed() >= Duration::from_millis(4_500), "real time");
    let report = json(&ended.stdout);
    assert!(report["settings"].to_string().contains("SRTP, AES_CM_128_HMAC_SHA1_80"), "{}", report["settings"]);
    assert!(fs::read_to_string(folder.join("out/call.keys")).unwrap().contains("AES_CM_128_HMAC_SHA1_80 127.0.0.1:"));
    // The man begins to speak after two and a half seconds.
    for (side, voice) in [(0, "man.wav"), (1, "woman.wav")] {
        let side = &report["sides"][side];
        let statistics = &side["statistics"];
        assert!(statistics["packets_received"].as_u64().unwrap() >= 200, "{statistics}");
        assert_eq!((&statistics["packets_lost"], &statistics["packets_refused"]), (&0.into(), &0.into()));
        let (heard, rate_hz) = wav(&folder.join("out").join(side["wav_file"].as_str().unwrap()));
        let (said, said_hz) = wav(&PathBuf::from(asset(voice)));
        assert_eq!((rate_hz, said_hz), (16_000, 16_000));
        let score = score(&said, &heard, rate_hz);
        println!("{voice}: {score:?}");
        assert!(score.median > 0.95 && score.segments >= 3, "{voice}: {score:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}

/// An offer and an answer as two processes, with files for sound and for SDP.
pub(crate) fn two_processes(folder: &Path, offer: &[&str], answer: &[&str]) -> [Running; 2] {
    let start = |name: &str, own: &[&str], more: &[&str]| {
        let mut command = Command::new(media_core());
        command.current_dir(folder).args(own).args(["--address", "127.0.0.1", "--json"]);
        command.args(["--end-after-goodbye", "0.5"]).args(more);
        Running::start(&mut command, folder, name)
    };
    let (woman, man) = (asset("woman.wav"), asset("man.wav"));
    let mut own = vec!["offer", "--write", "offer.sdp", "--read", "answer.sdp", "--microphone", &woman];
    own.extend(["--speaker", "offerer-heard.wav"]);
    let offerer = start("offer", &own, offer);
    read_when_there(&folder.join("offer.sdp"), LIMIT);
    let mut own = vec!["answer", "offer.sdp", "--write", "answer.sdp", "--microphone", &man];
    own.extend(["--speaker", "answerer-heard.wav"]);
    [offerer, start("answer", &own, answer)]
}

#[test]
fn two_processes_talk_and_the_first_to_go_ends_the_call() {
    let folder = folder("two");
    // An answer to some call of yesterday must not be taken for the one that comes.
    fs::write(folder.join("answer.sdp"), "v=0\r\nnonsense").unwrap();
    let [offerer, answerer] = two_processes(&folder, &["--seconds", "4.5", "--rate", "16000"], &["--rate", "16000"]);
    let [offerer, answerer] = [offerer, answerer].map(|running| running.wait(LIMIT).success());
    assert!(offerer.stderr.contains("waiting for answer.sdp"), "{}", offerer.stderr);
    assert!(offerer.stderr.contains("opus/48000/2, 20 ms, SRTP"), "{}", offerer.stderr);
    let [offerer, answerer] = [offerer, answerer].map(|ended| json(&ended.stdout));
    assert_eq!((&offerer["ended"], &answerer["ended"]), (&"time over".into(), &"the other side hung up".into()));
    for summary in [&offerer, &answerer] {
        for name in ["packets_sent", "packets_received"] {
            assert!(summary[name].as_u64().unwrap() >= 200, "{name}: {summary}");
        }
        assert_eq!(summary["packets_lost"], 0, "{summary}");
        assert!((4.0..6.0).contains(&summary["seconds"].as_f64().unwrap()), "{summary}");
    }
    for (heard, said) in [("offerer-heard.wav", "man.wav"), ("answerer-heard.wav", "woman.wav")] {
        let ((heard, rate_hz), (said, _)) = (wav(&folder.join(heard)), wav(&PathBuf::from(asset(said))));
        assert_eq!(rate_hz, 16_000);
        let score = score(&said, &heard, rate_hz);
        println!("{score:?}");
        assert!(score.median > 0.85 && score.segments >= 3, "{score:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[test]
fn ctrl_c_says_goodbye_and_prints_the_summary() {
    let folder = folder("ctrl-c");
    let [offerer, answerer] = two_processes(&folder, &["--codec", "pcmu", "--no-mux"], &[]);
    let begin = Instant::now();
    while !answerer.stderr().contains("PCMU/8000, 20 ms, SRTP") {
        assert!(begin.elapsed() < LIMIT, "{}", answerer.stderr());
        sleep(Duration::from_millis(20));
    }
    sleep(Duration::from_millis(1_000));
    answerer.interrupt();
    let [offerer, answerer] = [offerer, answerer].map(|running| json(&running.wait(LIMIT).success().stdout));
    assert_eq!((&answerer["ended"], &offerer["ended"]), (&"hung up".into(), &"the other side hung up".into()));
    assert!(answerer["packets_received"].as_u64().unwrap() > 30, "{answerer}");
    fs::remove_dir_all(folder).unwrap();
}

/// Noise at both microphones, of another rate and shorter than the call, as far below the speech as it's said; what is measured says
/// so, and a suppressor takes it out.
#[test]
fn a_demo_in_noise_is_as_noisy_as_it_says() {
    let folder = folder("noise");
    let mut seed = 1u32;
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as i16 / 16
    };
    let pcm: Vec<i16> = (0..44_100 * 3).map(|_| noise()).collect();
    fs::write(folder.join("noise.wav"), host_std::wav::to_wav(&pcm, 44_100, 1)).unwrap();
    let demo = ["demo", "--fast", "--codec", "l16", "--loss", "0", "--jitter", "0", "--seconds", "9", "--json"];
    let microphone = |options: &[&str]| {
        let report = json(&run(&folder, &[&demo[..], options].concat()).success().stdout);
        assert!(report["sides"][0]["findings"].is_null(), "{}", report["sides"][0]["findings"]);
        let rms = |place: &str| report["sides"][0]["sound"][place]["rms_dbov"].as_f64().unwrap();
        let active = report["sides"][0]["sound"]["microphone"]["active_level_dbov"].as_f64().unwrap();
        (rms("microphone"), rms("sent"), active, report["settings"].to_string())
    };
    let clean = microphone(&[]);
    assert!((clean.0 - clean.1).abs() < 0.01 && !clean.3.contains("noise around"), "{clean:?}");
    // At 0 dB the noise has the power of the speech while it is active.
    let noisy = microphone(&["--noise", "noise.wav", "--snr", "0"]);
    let both = 10.0 * (10f64.powf(clean.0 / 10.0) + 10f64.powf(clean.2 / 10.0)).log10();
    assert!((noisy.0 - both).abs() < 0.5, "{clean:?} {noisy:?} {both}");
    assert!(
        noisy.3.contains("noise around") && noisy.3.contains("noise.wav, 0 dB below the active speech"),
        "{noisy:?}"
    );
    let suppressed = microphone(&["--noise", "noise.wav", "--ns", "--echo", "100", "--aec"]);
    assert!(
        suppressed.1 < suppressed.0 - 0.2 && suppressed.3.contains("10 dB below the active speech"),
        "{suppressed:?}"
    );
    fs::remove_dir_all(folder).unwrap();
}
