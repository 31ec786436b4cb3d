//! `media-core encode`, `decode` and `codecs`: files that go round, that ffmpeg reads, and that ffmpeg wrote.
//!
//! ffmpeg's iLBC decoder has no enhancer, and it has no iLBC encoder; its Opus is libopus, or a decoder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use host_std::wav::{WavSink, WavSource};
use media_core_tests::program::{Ended, Running, folder, installed, media_core};
use media_core_tests::score::score;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

fn start(folder: &Path, program: &Path, arguments: &[&str]) -> Ended {
    Running::start(Command::new(program).current_dir(folder).args(arguments), folder, "run").wait(LIMIT)
}

/// Runs our command line with the words of `line`.
fn ours(folder: &Path, line: &str) -> Ended {
    start(folder, media_core(), &line.split(' ').collect::<Vec<_>>())
}

fn ffmpeg(folder: &Path, line: &str) {
    let arguments: Vec<_> = "-v error -nostdin -y".split(' ').chain(line.split(' ')).collect();
    start(folder, Path::new("ffmpeg"), &arguments).success();
}

/// A WAV file's sound at its own rate, a channel of it.
fn wav(path: &Path, channel: u16) -> (Vec<i16>, u32) {
    let spec = WavSource::open(path, 16_000).unwrap().spec();
    let mut source = WavSource::open(path, spec.sample_rate).unwrap().of_channel(channel);
    let mut pcm = vec![0; source.len() as usize];
    let len = source.read(&mut pcm).unwrap();
    pcm.truncate(len);
    (pcm, spec.sample_rate)
}

/// A folder with the woman's speech in it, `said.wav`: its first 5 s, at 16 kHz.
fn speech(name: &str) -> PathBuf {
    let folder = folder(name);
    let mut pcm = vec![0; 5 * 16_000];
    let woman = concat!(env!("CARGO_MANIFEST_DIR"), "/../host-std/assets/woman.wav");
    assert_eq!(WavSource::open(woman, 16_000).unwrap().read(&mut pcm).unwrap(), pcm.len());
    let mut sink = WavSink::create(folder.join("said.wav"), 16_000).unwrap();
    sink.write(&pcm).unwrap();
    sink.finish().unwrap();
    folder
}

/// Correlation without any delay.
fn correlation(a: &[i16], b: &[i16]) -> f64 {
    let sum = |f: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(&a, &b)| f(a.into(), b.into())).sum::<f64>();
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

#[test]
fn every_codec_goes_round_whole_and_with_losses() {
    let folder = speech("codec-files");
    // Least median correlations, whole and with 10 % lost. Other speech stays below 0.5. iLBC of 20 ms has 0.796 whole,
    // 0.789 with losses; Opus tuned for voice turns phases.
    for (options, own, least) in [
        ("--codec pcmu", "", [0.99, 0.9]),
        ("--codec pcma --frame-ms 10", "", [0.99, 0.9]),
        ("--codec g722", "", [0.97, 0.9]),
        ("--codec g722 --mode 3", "", [0.95, 0.9]),
        ("--codec ilbc", "", [0.75, 0.7]),
        ("--codec ilbc --mode 30", "", [0.7, 0.65]),
        ("--codec l16 --rate 16000", "", [0.99, 0.9]),
        ("--codec l16 --rate 11025 --frame-ms 20", "", [0.99, 0.9]),
        ("--codec opus", "--bitrate 24000 --expected-loss 15", [0.9, 0.85]),
        ("--codec opus --rate 48000", "--bitrate 40000 --rates cbr --tune music --complexity 5", [0.9, 0.8]),
    ] {
        let encode = if own.is_empty() { format!("encode {options}") } else { format!("encode {options} {own}") };
        ours(&folder, &format!("{encode} said.wav coded")).success();
        ours(&folder, &format!("decode {options} coded heard.wav")).success();
        let (heard, rate_hz) = wav(&folder.join("heard.wav"), 0);
        let mut said = WavSource::open(folder.join("said.wav"), rate_hz).unwrap();
        let mut pcm = vec![0; said.len() as usize];
        said.read(&mut pcm).unwrap();
        let whole = score(&pcm, &heard, rate_hz);
        let lose = format!("decode {options} --lose 10 --seed 3 --burst 2");
        let told = ours(&folder, &format!("{lose} coded lost.wav")).success().stdout;
        assert!(told.contains("frames lost"), "{told}");
        let (lost, _) = wav(&folder.join("lost.wav"), 0);
        assert_eq!(lost.len(), heard.len(), "{options}");
        assert!(lost != heard, "{options}");
        let with_losses = score(&pcm, &lost, rate_hz);
        println!("{options}: {whole:?}, with losses {with_losses:?}");
        assert!(whole.median > least[0] && with_losses.median > least[1], "{options}: {whole:?} {with_losses:?}");
        // The same seed loses the same.
        ours(&folder, &format!("{lose} coded again.wav")).success();
        assert!(fs::read(folder.join("again.wav")).unwrap() == fs::read(folder.join("lost.wav")).unwrap());
        if options.contains("l16") {
            continue;
        }
        // The codec's concealment is another sound where there is a choice, and speech all the same.
        ours(&folder, &format!("{lose} --concealment codec coded again.wav")).success();
        let same = fs::read(folder.join("again.wav")).unwrap() == fs::read(folder.join("lost.wav")).unwrap();
        assert_eq!(same, options.contains("ilbc") || options.contains("opus"), "{options}");
        let by_codec = score(&pcm, &wav(&folder.join("again.wav"), 0).0, rate_hz);
        assert!(by_codec.median > least[1], "{options}: {by_codec:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn nothing_lost_is_the_decoder_alone() {
    let folder = speech("nothing-lost");
    ours(&folder, "encode --codec g722 said.wav coded").success();
    ours(&folder, "decode --codec g722 coded alone.wav").success();
    ours(&folder, "decode --codec g722 --lose 0 coded road.wav").success();
    assert!(fs::read(folder.join("alone.wav")).unwrap() == fs::read(folder.join("road.wav")).unwrap());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn ffmpeg_decodes_our_g722_exactly_and_we_decode_its() {
    if !installed("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = speech("g722-files");
    ours(&folder, "encode --codec g722 said.wav ours.g722").success();
    ours(&folder, "decode --codec g722 ours.g722 ours.wav").success();
    ffmpeg(&folder, "-f g722 -i ours.g722 theirs.wav");
    let (mine, theirs) = (wav(&folder.join("ours.wav"), 0), wav(&folder.join("theirs.wav"), 0));
    assert_eq!((mine.1, theirs.1), (16_000, 16_000));
    assert!(mine.0 == theirs.0 && mine.0.len() >= 80_000, "{} and {}", mine.0.len(), theirs.0.len());
    ffmpeg(&folder, "-i said.wav -f g722 theirs.g722");
    ours(&folder, "decode --codec g722 theirs.g722 heard.wav").success();
    let score = score(&wav(&folder.join("said.wav"), 0).0, &wav(&folder.join("heard.wav"), 0).0, 16_000);
    println!("ffmpeg's G.722: {score:?}");
    assert!(score.median > 0.97, "{score:?}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn ffmpeg_decodes_our_ilbc() {
    if !installed("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = speech("ilbc-files");
    for mode in [20, 30] {
        ours(&folder, &format!("encode --codec ilbc --mode {mode} said.wav raw")).success();
        ours(&folder, &format!("decode --codec ilbc --mode {mode} raw ours.wav")).success();
        // The file format of RFC 3952, 5.
        let mut file = format!("#!iLBC{mode}\n").into_bytes();
        file.extend(fs::read(folder.join("raw")).unwrap());
        fs::write(folder.join("ours.lbc"), file).unwrap();
        ffmpeg(&folder, "-f ilbc -i ours.lbc theirs.wav");
        let (mine, theirs) = (wav(&folder.join("ours.wav"), 0).0, wav(&folder.join("theirs.wav"), 0).0);
        let lags = 0..200;
        let best =
            lags.map(|lag| (correlation(&mine[lag..], &theirs), lag)).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        println!("iLBC {mode}: correlation {:.4} at a delay of {} samples", best.0, best.1);
        assert!(best.0 >= 0.95, "{mode}: {best:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn opus_files_go_both_ways_with_ffmpeg() {
    if !installed("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = speech("opus-files");
    let said = wav(&folder.join("said.wav"), 0).0;
    // Stereo with a louder left: what comes back must have both in their places. Tuned for voice, Opus turns phases.
    ffmpeg(&folder, "-i said.wav -af pan=stereo|c0=0.9*c0|c1=0.3*c0 stereo.wav");
    ours(&folder, "encode --codec opus --channels 2 --bitrate 64000 --frame-ms 10 --tune music stereo.wav ours.opus")
        .success();
    ffmpeg(&folder, "-c:a libopus -i ours.opus -ar 16000 theirs.wav");
    let (left, right) = (wav(&folder.join("theirs.wav"), 0).0, wav(&folder.join("theirs.wav"), 1).0);
    // Neither too long nor too short: pre-skip and end are right.
    assert!(left.len().abs_diff(said.len()) <= 16, "{} and {}", left.len(), said.len());
    let scores = [score(&said, &left, 16_000), score(&said, &right, 16_000)];
    println!("ours by ffmpeg: {scores:?}, in place {}", correlation(&said, &left));
    assert!(scores.iter().all(|score| score.median > 0.9) && correlation(&said, &left) > 0.9);
    let energy = |pcm: &[i16]| pcm.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
    assert!(energy(&left) > 5.0 * energy(&right));

    ffmpeg(&folder, "-i stereo.wav -c:a libopus -b:a 48k -frame_duration 60 theirs.opus");
    ours(&folder, "decode --codec opus theirs.opus both.wav").success();
    ours(&folder, "decode --codec opus --channels 1 --rate 16000 theirs.opus mono.wav").success();
    let (both, rate_hz) = wav(&folder.join("both.wav"), 0);
    // At the rate that the file says the sound had, and as long.
    assert_eq!((rate_hz, both.len().abs_diff(said.len()) <= 16), (16_000, true), "{}", both.len());
    let mono = wav(&folder.join("mono.wav"), 0).0;
    println!("theirs by us, in place: {}", correlation(&said, &mono));
    assert!(mono.len().abs_diff(said.len()) <= 16 && correlation(&said, &mono) > 0.9);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_mistake_is_one_line_that_names_it() {
    let folder = speech("codec-mistakes");
    fs::write(folder.join("odd"), [0; 39]).unwrap();
    fs::write(folder.join("empty"), []).unwrap();
    fs::write(folder.join("ogg"), "OggS and so on").unwrap();
    for (line, needle) in [
        ("encode --codec mp3 said.wav x", "opus, g722, pcmu, pcma, ilbc, ilbc30, l16"),
        ("encode --codec pcmu nowhere.wav x", "nowhere.wav"),
        ("encode --codec pcmu said.wav none/x", "none/x"),
        ("encode --codec pcmu --bitrate 32000 said.wav x", "--bitrate 32000: pcmu"),
        ("encode --codec g722 --bitrate 32000 said.wav x", "--bitrate 32000: g722"),
        ("encode --codec g722 --mode 4 said.wav x", "1, 2 and 3"),
        ("encode --codec l16 --mode 1 said.wav x", "l16 has no modes"),
        ("encode --codec ilbc --frame-ms 25 said.wav x", "--frame-ms 25: ilbc has a multiple of 20 or 30 ms"),
        ("encode --codec ilbc30 --frame-ms 20 said.wav x", "--frame-ms 20: ilbc30 has a multiple of 30 ms"),
        ("encode --codec ilbc --mode 20 --frame-ms 30 said.wav x", "--frame-ms 30: ilbc has a multiple of 20 ms"),
        (
            "encode --codec opus --frame-ms 30 said.wav x",
            "--frame-ms 30: opus has 2.5, 5, 10, 20, 40, 60, 80, 100, 120 ms",
        ),
        ("encode --codec opus --bitrate 100 said.wav x", "100 bit/s"),
        ("encode --codec pcmu --dtx said.wav x", "--dtx is for opus"),
        ("encode --codec ilbc --no-fec said.wav x", "--no-fec is for opus, not for ilbc"),
        ("encode --codec opus --dred 1050 said.wav x", "1050 ms"),
        ("encode --codec opus --dred 505 said.wav x", "505 ms"),
        ("encode --codec opus --bandwidth huge said.wav x", "narrow"),
        ("demo --fast --codec pcmu --bitrate 32000", "--bitrate is for opus, not for pcmu"),
        ("demo --fast --codec opus --bitrate 100", "100 bit/s"),
        ("demo --fast --codec l16 --concealment codec", "l16 has none of its own"),
        (
            "offer --null --address 127.0.0.1 --codec pcmu,g722 --signal music",
            "--signal is for opus, not for pcmu, g722",
        ),
        ("encode --codec g722 --channels 2 said.wav x", "g722 is mono"),
        ("encode --codec l16 --rate 12000 said.wav x", "--rate 12000: l16 has"),
        ("encode --codec opus --complexity 11 said.wav x", "0..=10"),
        ("decode --codec ilbc odd x.wav", "odd ends within frame 1: 1 bytes of 38"),
        ("decode --codec ilbc --lose 5 odd x.wav", "odd ends within frame 1: 1 bytes of 38"),
        ("decode --codec l16 --rate 8000 odd x.wav", "odd ends within frame 0: 39 bytes of 320"),
        ("decode --codec ilbc . x.wav", "cannot read ."),
        ("decode --codec opus empty x.wav", "empty: not an Ogg file"),
        ("decode --codec opus odd x.wav", "odd: not an Ogg file"),
        ("decode --codec pcmu --concealment codec odd x.wav", "--lose"),
        ("decode --codec l16 --lose 5 --concealment codec odd x.wav", "l16 has none of its own"),
        ("decode --codec pcmu empty x.wav", "empty has no payloads"),
        ("decode --codec opus said.wav x.wav", "said.wav: not an Ogg file"),
        ("decode --codec l16 --channels 2 --lose 5 odd x.wav", "odd ends within frame 0: 39 bytes of 3840"),
        ("decode --codec g722 said.wav x.wav", "said.wav is a WAV file, not raw payloads of g722"),
        ("decode --codec pcmu ogg x.wav", "ogg is an Ogg file (--codec opus)"),
        ("decode --codec pcmu --lose 101 said.wav x.wav", "from 0 to 100"),
        ("decode --codec pcmu --seed 4 said.wav x.wav", "--lose"),
    ] {
        let ended = ours(&folder, line);
        assert!(ended.status.code().is_some_and(|code| code != 0), "{line}: {ended:?}");
        assert!(ended.stderr.contains(needle), "{line}: {ended:?}");
        let by_parser = ended.status.code() == Some(2);
        assert!(by_parser || ended.stderr.lines().count() == 1, "{line}: {}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_codecs_are_listed() {
    let folder = folder("codec-list");
    let table = ours(&folder, "codecs").success().stdout;
    for name in ["opus", "G722", "PCMU", "PCMA", "iLBC", "L16"] {
        assert!(table.lines().any(|line| line.starts_with(name)), "{table}");
    }
    let json: Value = serde_json::from_str(&ours(&folder, "codecs --json").success().stdout).unwrap();
    let codecs = json["codecs"].as_array().unwrap();
    let find = |rtpmap: &str| codecs.iter().find(|codec| codec["rtpmap"] == rtpmap).unwrap();
    assert_eq!(find("G722/8000")["payload_type"], 9);
    assert_eq!(find("G722/8000")["sample_rate_hz"], 16_000);
    assert_eq!(find("L16/44100/2")["payload_type"], 10);
    assert_eq!(find("opus/48000/2")["dtx"], true);
    assert!(find("opus/48000/2")["encoder_bytes"].as_u64().unwrap() > 10_000);
    let dred = json["opus"]["dred"].as_bool().unwrap();
    assert!(table.contains(if dred { "with deep concealment" } else { "without deep concealment" }), "{table}");
    assert_eq!(codecs.iter().filter(|codec| codec["name"] == "iLBC").count(), 2);
    assert_eq!(codecs.iter().filter(|codec| codec["name"] == "L16").count(), 16);
    fs::remove_dir_all(folder).unwrap();
}

/// A call with each codec, through losses; what is heard is what was said.
#[test]
fn the_demo_has_every_codec() {
    let folder = speech("codec-demos");
    let said = wav(&folder.join("said.wav"), 0);
    for (codec, least) in [
        ("opus", 0.85),
        ("g722", 0.85),
        ("pcmu", 0.85),
        ("pcma", 0.85),
        ("ilbc", 0.65),
        ("ilbc30", 0.65),
        ("l16", 0.85),
    ] {
        ours(&folder, &format!("demo --fast --json --codec {codec} --seconds 5 --loss 5 --out {codec}")).success();
        let (heard, rate_hz) = wav(&folder.join(codec).join("b-heard.wav"), 0);
        let mut source = WavSource::open(folder.join("said.wav"), rate_hz).unwrap();
        let mut pcm = vec![0; source.len() as usize];
        source.read(&mut pcm).unwrap();
        let score = score(&pcm, &heard, rate_hz);
        println!("{codec}: {score:?}");
        assert!(score.median > least && score.segments > 10, "{codec}: {score:?}, of {}", said.0.len());
    }
    fs::remove_dir_all(folder).unwrap();
}

/// A call with the codecs' own concealment: another sound than the receiver's, and no worse than it may be.
#[test]
fn a_call_conceals_by_receiver_or_codec() {
    let folder = speech("codec-concealment");
    for codec in ["pcmu", "pcma", "g722"] {
        let mut heard = Vec::new();
        for who in ["waveform", "codec"] {
            let line =
                "demo --fast --json --seconds 5 --loss 10 --burst 2 --seed 4 --jitter 0 --reorder 0 --input said.wav";
            let line = format!("{line} --codec {codec} --concealment {who} --out {who}");
            let report: Value = serde_json::from_str(&ours(&folder, &line).success().stdout).unwrap();
            let setting = report["settings"].to_string();
            assert_eq!(setting.contains("the codec's own"), who == "codec", "{setting}");
            let (pcm, rate_hz) = wav(&folder.join(who).join("b-heard.wav"), 0);
            let mut source = WavSource::open(folder.join("said.wav"), rate_hz).unwrap();
            let mut said = vec![0; source.len() as usize];
            source.read(&mut said).unwrap();
            let score = score(&said, &pcm, rate_hz);
            println!("{codec} by {who}: {score:?}");
            assert!(score.median > 0.85 && score.segments > 5, "{codec} by {who}: {score:?}");
            heard.push(pcm);
        }
        assert!(heard[0] != heard[1], "{codec}");
    }
    fs::remove_dir_all(folder).unwrap();
}

/// What Opus is set to shows in the packets of a call and of a file.
#[test]
fn opus_is_set_alike_in_calls_and_files() {
    let folder = speech("opus-settings");
    let bytes = |options: &str| {
        let line = format!("demo --fast --json --seconds 4 --loss 0 --input said.wav --no-srtp {options} --out call");
        ours(&folder, &line).success();
        let call = fs::metadata(folder.join("call/call.pcap")).unwrap().len();
        let options = options.replace("--ptime", "--frame-ms");
        ours(&folder, &format!("encode --codec opus --rate 16000 {options} said.wav coded.opus")).success();
        ours(&folder, "decode --codec opus coded.opus heard.wav").success();
        assert!(wav(&folder.join("heard.wav"), 0).0.len().abs_diff(80_000) < 3, "{options}");
        (call, fs::metadata(folder.join("coded.opus")).unwrap().len())
    };
    let usual = bytes("--bitrate 24000");
    let constant = bytes("--bitrate 12000 --rates cbr --complexity 0");
    // 30 bytes each 20 ms, and Ogg's headers.
    assert!((7_500..8_500).contains(&constant.1), "{constant:?}");
    for options in ["--bitrate 12000", "--bitrate 24000 --ptime 60"] {
        let (call, file) = bytes(options);
        println!("{options}: {call} and {file} bytes of {usual:?}");
        // Both ways there are 400 packets of 20 ms, with headers of 54 bytes in the capture, or 133 of 60 ms.
        assert!(call + 3_000 < usual.0, "{options}: {call} {usual:?}");
        assert!(options.contains("ptime") || file * 4 < usual.1 * 3, "{options}: {file} {usual:?}");
    }
    // Without FEC, or without loss to prepare for, the same bit rate goes into another sound.
    let sound = |options: &str| {
        ours(&folder, &format!("encode --codec opus --rate 16000 --bitrate 20000 {options} said.wav x.opus")).success();
        fs::read(folder.join("x.opus")).unwrap()
    };
    let fec = sound("--expected-loss 20");
    for options in
        ["--expected-loss 20 --no-fec", "--expected-loss 20 --bandwidth narrow", "--expected-loss 20 --tune music"]
    {
        assert!(sound(options) != fec, "{options}");
    }
    // Every length of a frame.
    for ms in ["2.5", "5", "10", "40", "80", "100", "120"] {
        let line = format!("encode --codec opus --frame-ms {ms} --tune low-delay --signal music said.wav x.opus");
        ours(&folder, &line).success();
        ours(&folder, "decode --codec opus --rate 16000 x.opus x.wav").success();
        assert!(wav(&folder.join("x.wav"), 0).0.len().abs_diff(80_000) < 3, "{ms} ms");
    }
    fs::remove_dir_all(folder).unwrap();
}

/// DRED in a call recovers what FEC can't; a build without it says so.
#[test]
fn dred_in_a_call() {
    let folder = speech("dred");
    let call = |options: &str| {
        let line = "demo --fast --json --seconds 5 --loss 20 --burst 4 --jitter 60 --input said.wav --bitrate 40000";
        ours(&folder, &format!("{line} {options}"))
    };
    // Of the program, whatever the tests are built with.
    let json: Value = serde_json::from_str(&ours(&folder, "codecs --json").success().stdout).unwrap();
    if json["opus"]["dred"] == false {
        for line in ["demo --fast --dred 500", "encode --codec opus --dred 500 said.wav x", "offer --null --dred 500"] {
            let ended = ours(&folder, line);
            assert!(!ended.status.success(), "{ended:?}");
            assert!(ended.stderr.contains("no DRED (cargo feature opus-dred)"), "{}", ended.stderr);
            assert_eq!((ended.stdout.as_str(), ended.stderr.lines().count()), ("", 1));
        }
    } else {
        let recovered = |ended: Ended| {
            let report: Value = serde_json::from_str(&ended.success().stdout).unwrap();
            report["sides"][1]["statistics"]["recovered_ms"].as_f64().unwrap()
        };
        let (fec, dred) = (recovered(call("")), recovered(call("--dred 500")));
        println!("recovered: {fec} ms by FEC, {dred} ms by DRED");
        assert!(dred > fec + 100.0, "{fec} {dred}");
    }
    fs::remove_dir_all(folder).unwrap();
}

/// A long file is decoded as it is read.
#[test]
fn decoding_needs_no_memory_for_the_whole_file() {
    let folder = folder("long-file");
    // 20 minutes of A-law.
    fs::write(folder.join("long"), vec![0x55; 20 * 60 * 8_000]).unwrap();
    let file = fs::metadata(folder.join("long")).unwrap().len();
    for options in ["", "--lose 3 --burst 2"] {
        let line = format!("decode --codec pcma {options} long long.wav");
        let line: Vec<_> = line.split_whitespace().collect();
        start(&folder, media_core(), &line).success();
        assert_eq!(fs::metadata(folder.join("long.wav")).unwrap().len(), 44 + 2 * file);
    }
    #[cfg(target_os = "linux")]
    {
        // In an address space that the file's sound alone would fill.
        let program = media_core().display();
        let line = format!("ulimit -v 60000; exec {program} decode --codec pcma --frame-ms 10 long limited.wav");
        start(&folder, Path::new("sh"), &["-c", &line]).success();
    }
    fs::remove_dir_all(folder).unwrap();
}
