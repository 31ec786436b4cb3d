//! `media-core encode`, `decode` and `codecs`: files that go round, that ffmpeg reads, and that ffmpeg wrote.
//!
//! ffmpeg's iLBC decoder has no enhancer, and it has no iLBC encoder; its Opus is libopus, or a decoder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use host_std::wav::WavSource;
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

/// A folder with the woman's speech in it, `said.wav`, at 16 kHz.
fn speech(name: &str) -> PathBuf {
    let folder = folder(name);
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../host-std/assets/woman.wav"), folder.join("said.wav")).unwrap();
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
        ("--codec opus", "--bitrate 24000 --fec 15", [0.9, 0.85]),
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
        // The same seed loses the same, and the waveform's concealment is another sound where the codec has its own.
        ours(&folder, &format!("{lose} coded again.wav")).success();
        assert!(fs::read(folder.join("again.wav")).unwrap() == fs::read(folder.join("lost.wav")).unwrap());
        ours(&folder, &format!("{lose} --concealment waveform coded again.wav")).success();
        let same = fs::read(folder.join("again.wav")).unwrap() == fs::read(folder.join("lost.wav")).unwrap();
        let has_own = options.contains("ilbc") || options.contains("opus");
        assert!(!(same && has_own), "{options}");
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
    assert!(mine.0 == theirs.0 && mine.0.len() >= 172_800, "{} and {}", mine.0.len(), theirs.0.len());
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
    for (line, needle) in [
        ("encode --codec mp3 said.wav x", "opus, g722, pcmu, pcma, ilbc, ilbc30, l16"),
        ("encode --codec pcmu nowhere.wav x", "nowhere.wav"),
        ("encode --codec pcmu said.wav none/x", "none/x"),
        ("encode --codec pcmu --bitrate 32000 said.wav x", "--bitrate 32000: pcmu"),
        ("encode --codec g722 --bitrate 32000 said.wav x", "--bitrate 32000: g722"),
        ("encode --codec g722 --mode 4 said.wav x", "1, 2 and 3"),
        ("encode --codec l16 --mode 1 said.wav x", "l16 has no modes"),
        ("encode --codec ilbc --frame-ms 30 said.wav x", "--frame-ms 30: ilbc"),
        ("encode --codec opus --frame-ms 30 said.wav x", "--frame-ms 30: opus"),
        ("encode --codec opus --bitrate 100 said.wav x", "100 bit/s"),
        ("encode --codec pcmu --dtx said.wav x", "--dtx is for opus"),
        ("encode --codec g722 --channels 2 said.wav x", "g722 is mono"),
        ("encode --codec l16 --rate 12000 said.wav x", "--rate 12000: l16 has"),
        ("encode --codec opus --complexity 11 said.wav x", "0..=10"),
        ("decode --codec ilbc odd x.wav", "frame 1"),
        ("decode --codec pcmu empty x.wav", "empty has no payloads"),
        ("decode --codec opus said.wav x.wav", "said.wav: not an Ogg file"),
        ("decode --codec l16 --channels 2 --lose 5 said.wav x.wav", "mono"),
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
    assert_eq!(codecs.iter().filter(|codec| codec["name"] == "iLBC").count(), 2);
    assert_eq!(codecs.iter().filter(|codec| codec["name"] == "L16").count(), 16);
    fs::remove_dir_all(folder).unwrap();
}

/// A call with each codec, through losses; what is heard is what was said.
#[test]
fn the_demo_has_every_codec() {
    let folder = speech("codec-demos");
    let said = wav(&folder.join("said.wav"), 0);
    for (codec, least) in
        [("opus", 0.85), ("g722", 0.85), ("pcmu", 0.85), ("pcma", 0.85), ("ilbc", 0.7), ("ilbc30", 0.65), ("l16", 0.85)]
    {
        ours(&folder, &format!("demo --fast --json --codec {codec} --seconds 10 --loss 5 --out {codec}")).success();
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
