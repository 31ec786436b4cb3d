//! DTMF by the limits of ITU-T Q.24: each axis alone and combinations of all, at three rates, in 16 bits and in floats.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dsp_core::codec::Decoder;
use dsp_core::codec::g722::{G722Decoder, Mode};
use dsp_core::sample::Sample;
use dsp_core::time::Duration;
use dsp_core::tone::{Digit, DtmfConfig, DtmfDetector, HeardDigit};
use host_std::wav::{WavSource, to_wav};
use media_core_tests::digits::{Press, Seeded, amplitude, heard, millis, sound};
use media_core_tests::program::{Running, folder, installed, media_core};

const RATES_HZ: [u32; 3] = [8_000, 16_000, 48_000];

/// What must become of what is pressed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Must {
    /// Each press is a digit, with its start and its length.
    Hear,
    /// Nothing is heard.
    Reject,
}

/// One cell: what is changed of a press in the middle of everything, and the noise.
struct Cell {
    name: &'static str,
    must: Must,
    noise_db: Option<f64>,
    change: fn(&mut Press),
}

const fn hear(name: &'static str, change: fn(&mut Press)) -> Cell {
    Cell { name, must: Must::Hear, noise_db: None, change }
}

const fn reject(name: &'static str, change: fn(&mut Press)) -> Cell {
    Cell { name, must: Must::Reject, noise_db: None, change }
}

const CELLS: [Cell; 46] = [
    hear("frequencies as they should be", |_| ()),
    hear("row +1.5 %", |press| press.off_percent = [1.5, 0.0]),
    hear("row -1.5 %", |press| press.off_percent = [-1.5, 0.0]),
    hear("column +1.5 %", |press| press.off_percent = [0.0, 1.5]),
    hear("column -1.5 %", |press| press.off_percent = [0.0, -1.5]),
    hear("both +1.5 %", |press| press.off_percent = [1.5, 1.5]),
    hear("both -1.5 %", |press| press.off_percent = [-1.5, -1.5]),
    hear("row +1.5 %, column -1.5 %", |press| press.off_percent = [1.5, -1.5]),
    hear("row -1.5 %, column +1.5 %", |press| press.off_percent = [-1.5, 1.5]),
    reject("row +3.5 %", |press| press.off_percent = [3.5, 0.0]),
    reject("row -3.5 %", |press| press.off_percent = [-3.5, 0.0]),
    reject("column +3.5 %", |press| press.off_percent = [0.0, 3.5]),
    reject("column -3.5 %", |press| press.off_percent = [0.0, -3.5]),
    reject("both +3.5 %", |press| press.off_percent = [3.5, 3.5]),
    reject("both -3.5 %", |press| press.off_percent = [-3.5, -3.5]),
    hear("twist +4 dB (column louder)", |press| press.dbm0 = [-14.0, -10.0]),
    hear("twist -8 dB (row louder)", |press| press.dbm0 = [-10.0, -18.0]),
    hear("twist +8 dB", |press| press.dbm0 = [-18.0, -10.0]),
    hear("twist -4 dB", |press| press.dbm0 = [-10.0, -14.0]),
    hear("40 ms on, 40 ms off", |press| (press.on_ms, press.pause_ms) = (40.0, 40.0)),
    hear("50 ms on, 40 ms off", |press| (press.on_ms, press.pause_ms) = (50.0, 40.0)),
    hear("100 ms on, 100 ms off", |press| (press.on_ms, press.pause_ms) = (100.0, 100.0)),
    hear("1 s on, 1 s off", |press| (press.on_ms, press.pause_ms) = (1_000.0, 1_000.0)),
    reject("23 ms on, 40 ms off", |press| (press.on_ms, press.pause_ms) = (23.0, 40.0)),
    reject("23 ms on, 70 ms off", |press| press.on_ms = 23.0),
    reject("20 ms on, 40 ms off", |press| (press.on_ms, press.pause_ms) = (20.0, 40.0)),
    reject("10 ms on, 40 ms off", |press| (press.on_ms, press.pause_ms) = (10.0, 40.0)),
    hear("a gap of 10 ms after 40 ms", |press| (press.on_ms, press.gap_ms) = (90.0, [40.0, 10.0])),
    hear("a gap of 10 ms after 100 ms", |press| (press.on_ms, press.gap_ms) = (150.0, [100.0, 10.0])),
    hear("a gap of 5 ms after 50 ms", |press| (press.on_ms, press.gap_ms) = (95.0, [50.0, 5.0])),
    hear("0 dBm0 each, overloaded", |press| press.dbm0 = [0.0; 2]),
    hear("-3 dBm0", |press| press.dbm0 = [-3.0; 2]),
    hear("-5 dBm0", |press| press.dbm0 = [-5.0; 2]),
    hear("-15 dBm0", |press| press.dbm0 = [-15.0; 2]),
    hear("-20 dBm0", |press| press.dbm0 = [-20.0; 2]),
    hear("-25 dBm0", |press| press.dbm0 = [-25.0; 2]),
    reject("-45 dBm0", |press| press.dbm0 = [-45.0; 2]),
    Cell { name: "S/N 15 dB", must: Must::Hear, noise_db: Some(15.0), change: |_| () },
    Cell {
        name: "S/N 15 dB, 40 ms on, 40 ms off",
        must: Must::Hear,
        noise_db: Some(15.0),
        change: |press| (press.on_ms, press.pause_ms) = (40.0, 40.0),
    },
    Cell {
        name: "S/N 15 dB, 23 ms on, 40 ms off",
        must: Must::Reject,
        noise_db: Some(15.0),
        change: |press| (press.on_ms, press.pause_ms) = (23.0, 40.0),
    },
    Cell {
        name: "S/N 15 dB, both +1.5 %",
        must: Must::Hear,
        noise_db: Some(15.0),
        change: |press| press.off_percent = [1.5; 2],
    },
    Cell {
        name: "S/N 15 dB, both -1.5 %",
        must: Must::Hear,
        noise_db: Some(15.0),
        change: |press| press.off_percent = [-1.5; 2],
    },
    Cell {
        name: "S/N 15 dB, row +3.5 %",
        must: Must::Reject,
        noise_db: Some(15.0),
        change: |press| press.off_percent = [3.5, 0.0],
    },
    Cell {
        name: "S/N 15 dB, row -3.5 %",
        must: Must::Reject,
        noise_db: Some(15.0),
        change: |press| press.off_percent = [-3.5, 0.0],
    },
    Cell {
        name: "S/N 15 dB, column +3.5 %",
        must: Must::Reject,
        noise_db: Some(15.0),
        change: |press| press.off_percent = [0.0, 3.5],
    },
    Cell {
        name: "S/N 15 dB, column -3.5 %",
        must: Must::Reject,
        noise_db: Some(15.0),
        change: |press| press.off_percent = [0.0, -3.5],
    },
];

/// Why what was heard is not what must be.
fn wrong(presses: &[Press], heard: &[HeardDigit], must: Must, noisy: bool) -> Option<String> {
    let told = || heard.iter().map(|heard| heard.digit.as_char()).collect::<String>();
    if must == Must::Reject {
        return (!heard.is_empty()).then(|| format!("{} was heard", told()));
    }
    let pressed: String = presses.iter().map(|press| press.digit.as_char()).collect();
    if told() != pressed {
        return Some(format!("{pressed} was heard as {}", told()));
    }
    let mut at = None;
    for (press, heard) in presses.iter().zip(heard) {
        let (start, lasted) = (millis(heard.start), millis(heard.duration));
        // Starts of later digits are known from the first one's.
        let should = at.unwrap_or(start);
        at = Some(should + press.on_ms + press.pause_ms);
        let within = if noisy { 6.0 } else { 2.5 };
        if (lasted - press.on_ms).abs() > within || (start - should).abs() > within {
            return Some(format!(
                "{} is from {start} ms for {lasted} ms, not from {should} for {}",
                heard.digit, press.on_ms
            ));
        }
        let level = f64::from(heard.level_hundredths_dbm0) / 100.0;
        let sum = 10.0 * press.dbm0.iter().map(|dbm0| 10f64.powf(dbm0 / 10.0)).sum::<f64>().log10();
        // What is overloaded has lost some of its level.
        let overloaded = press.dbm0.iter().map(|&dbm0| amplitude(dbm0)).sum::<f64>() > 1.0;
        let within = if overloaded { 1.8 } else { 1.0 };
        if (level - sum).abs() > within {
            return Some(format!("{} has {level} dBm0, not {sum}", heard.digit));
        }
    }
    None
}

fn run(cell: &Cell, rate_hz: u32, rounds: usize) -> Vec<String> {
    let mut failures = Vec::new();
    let mut seeded = Seeded(u64::from(rate_hz) + cell.name.len() as u64);
    for _ in 0..rounds {
        for digit in Digit::ALL {
            let mut press = Press::of(digit);
            (cell.change)(&mut press);
            // Twice, so that the pause behind it counts.
            let presses = [press; 2];
            let pcm = sound(rate_hz, &presses, cell.noise_db, &mut seeded);
            for heard in both(rate_hz, &pcm) {
                let noisy = cell.noise_db.is_some();
                failures.extend(
                    wrong(&presses, &heard, cell.must, noisy).map(|why| format!("{digit} at {rate_hz} Hz: {why}")),
                );
            }
        }
    }
    failures
}

/// What is heard in 16 bits and in floats.
fn both(rate_hz: u32, pcm: &[f64]) -> [Vec<HeardDigit>; 2] {
    fn of<S: Sample>(rate_hz: u32, pcm: &[f64]) -> Vec<HeardDigit> {
        heard::<S>(rate_hz, pcm)
    }
    [of::<i16>(rate_hz, pcm), of::<f32>(rate_hz, pcm)]
}

/// Each axis of Q.24 alone; the table of what was right of so many.
fn grid(rates_hz: &[u32], rounds: usize) {
    let mut all = Vec::new();
    println!(
        "| Q.24 | must be | {} |",
        rates_hz.iter().map(|rate| format!("{} kHz", rate / 1_000)).collect::<Vec<_>>().join(" | ")
    );
    println!("|---|---|{}", "---|".repeat(rates_hz.len()));
    for cell in &CELLS {
        let must = if cell.must == Must::Hear { "heard" } else { "rejected" };
        print!("| {} | {must} |", cell.name);
        for &rate_hz in rates_hz {
            let failures = run(cell, rate_hz, rounds);
            let count = 16 * rounds * 2;
            print!(" {} of {count} |", count - failures.len());
            all.extend(failures.into_iter().map(|failure| format!("{}: {failure}", cell.name)));
        }
        println!();
    }
    assert!(all.is_empty(), "{} failures, of which the first are {:#?}", all.len(), &all[..all.len().min(40)]);
}

/// Digits within all limits at once.
fn combinations(count: usize, rates_hz: &[u32]) {
    let mut seeded = Seeded(24);
    let mut failures = Vec::new();
    for round in 0..count {
        let presses: Vec<Press> = (0..3)
            .map(|_| {
                // Both sines within 0 and -25 dBm0, and the twist within its limits.
                let twist = seeded.between(-8.0, 4.0);
                let loudest = seeded.between(-25.0 + twist.abs(), 0.0);
                let dbm0 = if twist > 0.0 { [loudest - twist, loudest] } else { [loudest, loudest + twist] };
                Press {
                    digit: seeded.one(&Digit::ALL),
                    off_percent: [seeded.between(-1.5, 1.5), seeded.between(-1.5, 1.5)],
                    dbm0,
                    on_ms: seeded.between(40.0, 120.0),
                    pause_ms: seeded.between(40.0, 120.0),
                    gap_ms: [0.0; 2],
                }
            })
            .collect();
        // The noise is 15 dB below the loudest of its digits, so each is pressed by itself.
        let noise = seeded.one(&[None, Some(15.0), Some(20.0), Some(30.0)]);
        for rate_hz in rates_hz {
            for press in &presses {
                let mut press = [*press];
                press[0].gap_ms = if press[0].on_ms > 90.0 {
                    [seeded.between(40.0, 50.0), seeded.between(0.0, 10.0)]
                } else {
                    [0.0; 2]
                };
                let pcm = sound(*rate_hz, &press, noise, &mut seeded);
                for heard in both(*rate_hz, &pcm) {
                    failures.extend(
                        wrong(&press, &heard, Must::Hear, noise.is_some())
                            .map(|why| format!("{round} at {rate_hz} Hz, noise {noise:?}: {why}; {press:?}")),
                    );
                }
            }
        }
    }
    println!("{count} combinations: {} failures", failures.len());
    assert!(
        failures.is_empty(),
        "{} failures, of which the first are {:#?}",
        failures.len(),
        &failures[..failures.len().min(20)]
    );
}

#[test]
fn some_of_the_grid() {
    grid(&RATES_HZ, 1);
}

#[test]
fn some_combinations() {
    combinations(50, &RATES_HZ);
}

#[test]
#[ignore = "takes minutes"]
fn the_whole_grid() {
    grid(&RATES_HZ, 10);
}

#[test]
#[ignore = "takes minutes"]
fn all_combinations() {
    combinations(2_000, &RATES_HZ);
}

/// Files below a folder.
pub(crate) fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// The sound of a file at a rate: G.722 of 64 kbit/s, a WAV file, or 16 bits at 48 kHz; none of others.
pub(crate) fn speech(path: &Path, rate_hz: u32) -> Option<Vec<i16>> {
    let bytes = fs::read(path).ok()?;
    let wav = match path.extension()?.to_str()? {
        "g722" => {
            let mut pcm = vec![0; bytes.len() * 2];
            let mut decoder = G722Decoder::new(Mode::Kbps64);
            for (bytes, pcm) in bytes.chunks(160).zip(pcm.chunks_mut(320)) {
                decoder.decode(bytes, pcm).ok()?;
            }
            to_wav(&pcm, 16_000, 1)
        }
        "pcm" => {
            let pcm: Vec<i16> = bytes.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect();
            to_wav(&pcm, 48_000, 1)
        }
        "wav" => bytes,
        _ => return None,
    };
    let source = WavSource::from_bytes(&path.display().to_string(), wav, rate_hz).ok()?;
    source.read_all(Duration::from_secs(3_600)).ok()
}

/// Asterisk's recorded voices in all languages of Debian's packages, its music on hold and the shared data: no digit in any, at
/// three rates and three levels. `MEDIA_CORE_SOUNDS` is where the packages were unpacked.
#[test]
#[ignore = "takes minutes, and needs the packages"]
fn no_speech_is_a_digit() {
    let sounds = std::env::var_os("MEDIA_CORE_SOUNDS").map(PathBuf::from);
    let folders = [sounds, media_core_tests::shared("data")];
    let mut paths = Vec::new();
    folders.iter().flatten().for_each(|folder| files(folder, &mut paths));
    assert!(!paths.is_empty(), "no speech: MEDIA_CORE_SOUNDS is where it is");
    println!("| rate | hours of sound | 0 dB | -10 dB | -20 dB | muted of it |");
    println!("|---|---|---|---|---|---|");
    let mut all = Vec::new();
    for rate_hz in RATES_HZ {
        let (mut samples, mut counts, mut muted) = (0, [0; 3], 0);
        for path in &paths {
            let Some(pcm) = speech(path, rate_hz) else { continue };
            samples += pcm.len();
            for (count, divisor) in counts.iter_mut().zip([1.0, 3.162, 10.0]) {
                let before: Vec<i16> = pcm.iter().map(|&sample| (f64::from(sample) / divisor) as i16).collect();
                let mut after = before.clone();
                let config = DtmfConfig { sample_rate_hz: rate_hz, ..DtmfConfig::default() };
                let mut detector = DtmfDetector::new(config).unwrap();
                after.chunks_mut(rate_hz as usize / 50).for_each(|frame| {
                    detector.hear_and_mute(frame, |heard| {
                        if heard.ended {
                            *count += 1;
                            all.push(format!("{} at {rate_hz} Hz, 1/{divisor}: {heard:?}", path.display()));
                        }
                    });
                });
                muted += before.iter().zip(&after).filter(|(before, after)| before != after).count();
            }
        }
        let hours = samples as f64 / f64::from(rate_hz) / 3_600.0;
        let muted = muted as f64 / samples.max(1) as f64 / 3.0 * 1e6;
        println!(
            "| {} kHz | {hours:.2} | {} | {} | {} | {muted:.0} ppm |",
            rate_hz / 1_000,
            counts[0],
            counts[1],
            counts[2]
        );
    }
    assert!(all.is_empty(), "{all:#?}");
}

/// How many digits are heard behind a codec and a network that loses packets, by whole calls of 18 s in virtual time.
#[test]
#[ignore = "takes a minute"]
fn digits_through_codecs() {
    let folder = folder("dtmf-codecs");
    let digits = "0123456789*#ABCD".repeat(20);
    println!("| on / off, ms | loss | PCMU | PCMA | G.722 | iLBC | Opus, 16 kbit/s |");
    println!("|---|---|---|---|---|---|---|");
    for ms in ["40", "70", "100"] {
        let run = |arguments: &[&str]| {
            let mut command = Command::new(media_core());
            let ended = Running::start(command.current_dir(&folder).args(arguments), &folder, "media-core");
            ended.wait(std::time::Duration::from_secs(120)).success().stdout
        };
        run(&["dtmf", "generate", &digits, "said.wav", "--on", ms, "--off", ms, "--rate", "16000"]);
        let heard = |codec: &str, loss: &str| {
            let call = ["demo", "--fast", "--codec", codec, "--input", "said.wav", "--seconds", "18", "--out", "call"];
            let bitrate: &[&str] = if codec == "opus" { &["--bitrate", "16000"] } else { &[] };
            run(&[&call[..], &["--loss", loss, "--burst", "1", "--jitter", "0"], bitrate].concat());
            run(&["dtmf", "detect", "call/b-heard.wav"]).lines().next().unwrap_or_default().to_owned()
        };
        let rows = ["0", "5"].map(|loss| ["pcmu", "pcma", "g722", "ilbc", "opus"].map(|codec| heard(codec, loss)));
        // All that fit into the call, but for those at its ends.
        let all = 18_000 / (2 * ms.parse::<usize>().unwrap());
        for (loss, row) in ["0", "5"].iter().zip(&rows) {
            let counts =
                row.iter().zip(&rows[0]).map(|(heard, all)| format!("{} of {}", in_order(all, heard), all.len()));
            println!("| {ms} / {ms} | {loss} % | {} |", counts.collect::<Vec<_>>().join(" | "));
        }
        for whole in &rows[0] {
            assert!(digits.starts_with(whole.as_str()) && whole.len() + 2 >= all, "{ms} ms: {whole}");
        }
    }
}

/// How many of the signs of `said` are in `heard`, in their order: the longest common subsequence.
fn in_order(said: &str, heard: &str) -> usize {
    let mut row = vec![0; heard.len() + 1];
    for sign in said.chars() {
        let mut diagonal = 0;
        for (n, other) in heard.chars().enumerate() {
            let above = row[n + 1];
            row[n + 1] = if sign == other { diagonal + 1 } else { above.max(row[n]) };
            diagonal = above;
        }
    }
    row[heard.len()]
}

/// What other programs make is heard: ffmpeg's sines.
#[test]
fn tones_of_ffmpeg_are_digits() {
    if !installed("ffmpeg", "ffmpeg") {
        return;
    }
    let folder = folder("dtmf-ffmpeg");
    for (digit, row, column) in [("5", 770, 1_336), ("#", 941, 1_477)] {
        let sum = format!("aevalsrc=0.2*sin(2*PI*{row}*t)+0.2*sin(2*PI*{column}*t):d=0.1:s=44100,apad=pad_dur=0.1");
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.current_dir(&folder).args(["-loglevel", "error", "-y", "-f", "lavfi", "-i", &sum, "tone.wav"]);
        assert!(ffmpeg.status().unwrap().success());
        let mut detect = Command::new(media_core());
        let detect =
            Running::start(detect.current_dir(&folder).args(["dtmf", "detect", "tone.wav"]), &folder, "media-core");
        let found = detect.wait(std::time::Duration::from_secs(30)).success().stdout;
        assert_eq!(found.lines().next(), Some(digit), "{found}");
    }
}
