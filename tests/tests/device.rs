//! Sound devices where there is no sound card: ALSA's `file` over its `null` device, and no device at all.
//!
//! ALSA reads its configuration once a process, so each case runs in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use assert_no_alloc::{AllocDisabler, assert_no_alloc};
use host_std::device::{AudioIo, CardConfig, CardIo, DeviceChoice, DeviceError, Direction, FileIo, list_devices};
use host_std::resample::Resampler;
use media_core_tests::skipped;

#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

const CHILD: &str = "MEDIA_CORE_DEVICE_TEST";

/// Runs the test `name` of this file again with ALSA configured by `config`; `None` in that second process, where the
/// folder of the case is the answer.
fn in_child(name: &str, config: impl Fn(&Path) -> String) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(CHILD) {
        return Some(folder.into());
    }
    let folder = std::env::temp_dir().join(format!("media-core-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("asound.conf"), config(&folder)).expect("a configuration");
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, &folder)
        .env("ALSA_CONFIG_PATH", folder.join("asound.conf"))
        .output()
        .expect("runs");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    std::fs::remove_dir_all(&folder).expect("removes its folder");
    assert!(output.status.success(), "{name} failed in its own process");
    None
}

/// A microphone that is a file of raw 32-bit floats, one channel, and a loudspeaker that writes another with two. Both
/// run as fast as the machine can: ALSA's null device keeps no time.
fn file_card(folder: &Path) -> String {
    let (played, captured) = (folder.join("played.raw"), folder.join("captured.raw"));
    let tone: Vec<u8> = (0..48_000)
        .flat_map(|n| (0.5 * f64::sin(std::f64::consts::TAU / 48.0 * f64::from(n)) as f32).to_le_bytes())
        .collect();
    std::fs::write(&captured, tone).expect("the microphone's sound");
    format!(
        "pcm.nothing {{ type null }}\n\
         pcm.loudspeaker {{ type file slave.pcm nothing file \"{}\" format raw }}\n\
         pcm.microphone {{ type file slave.pcm nothing file /dev/null infile \"{}\" format raw }}\n\
         pcm.default {{ type asym playback.pcm loudspeaker capture.pcm microphone\n\
         hint {{ show on description \"Card of files\" }} }}\n",
        played.display(),
        captured.display()
    )
}

/// Opens the card of files, or says why this machine has none.
fn open(config: CardConfig) -> Option<CardIo> {
    match CardIo::open(config) {
        Ok(card) => Some(card),
        Err(e) => {
            skipped::lacks(format_args!("libasound has no usable device here: {e}"));
            None
        }
    }
}

/// Amplitude of the tone of `period` samples in `pcm`, and its power over that of all else, in dB.
fn tone_in(pcm: &[f64], period: usize) -> (f64, f64) {
    let w = std::f64::consts::TAU / period as f64;
    let sum = |f: &dyn Fn(usize) -> f64| (0..pcm.len()).map(|n| pcm[n] * f(n)).sum::<f64>() * 2.0 / pcm.len() as f64;
    let (re, im) = (sum(&|n| (w * n as f64).sin()), sum(&|n| (w * n as f64).cos()));
    let rest: f64 =
        (0..pcm.len()).map(|n| (pcm[n] - re * (w * n as f64).sin() - im * (w * n as f64).cos()).powi(2)).sum();
    let amplitude = re.hypot(im);
    (amplitude, 10.0 * (amplitude * amplitude / 2.0 / (rest / pcm.len() as f64)).log10())
}

#[test]
fn sound_goes_through_a_card() {
    let Some(folder) = in_child("sound_goes_through_a_card", file_card) else { return };
    let Some(mut card) = open(CardConfig { sample_rate_hz: 16_000, ..Default::default() }) else { return };
    println!("{card:?}");
    // The microphone's first sound waits in the ring: 30 ms without a gap. Later it overruns between any two reads.
    let mut first = [0; 480];
    let end = Instant::now() + Duration::from_secs(10);
    while card.read(&mut first) == 0 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    let (mut captured, mut written) = (first.len(), 0);
    for _ in 0..40 {
        assert_no_alloc(|| {
            captured += card.read(&mut [1; 160]);
            let tone: [i16; 160] = std::array::from_fn(|n| {
                (12_000.0 * f64::sin(std::f64::consts::TAU / 32.0 * (written + n) as f64)) as i16
            });
            written += card.write(&tone);
        });
        std::thread::sleep(Duration::from_millis(2));
    }
    println!("{card:?}");
    assert!(card.failure().is_none());
    let counters = card.counters();
    drop(card);

    assert_eq!(counters.captured, captured as u64);
    assert_eq!(counters.played, written as u64);
    assert!(counters.capture_overrun > 0, "the microphone runs far faster than real time");
    assert!(counters.playback_underrun > 0, "and so does the loudspeaker");
    let heard: Vec<f64> = first[160..].iter().map(|&s| f64::from(s) / 32_768.0).collect();
    let (amplitude, sinad_db) = tone_in(&heard, 16);
    println!("captured: {amplitude:.4} at {sinad_db:.1} dB");
    assert!((amplitude - 0.5).abs() < 0.001 && sinad_db > 70.0);

    let bytes = std::fs::read(folder.join("played.raw")).expect("what was played");
    let (pairs, _) = bytes.as_chunks::<8>();
    let mut played = pairs.iter().map(|p| {
        let [a, b, c, d, e, f, g, h] = *p;
        (f32::from_le_bytes([a, b, c, d]), f32::from_le_bytes([e, f, g, h]))
    });
    let first = played.position(|(left, _)| left.abs() > 0.3).expect("sound was played");
    // Past the onset's ringing, and well within the 35 ms that were in the ring.
    let loud: Vec<(f32, f32)> = played.skip(200).take(960).collect();
    assert!(loud.iter().all(|(left, right)| left == right), "the same on both sides");
    let (amplitude, sinad_db) = tone_in(&loud.iter().map(|&(left, _)| f64::from(left)).collect::<Vec<_>>(), 96);
    println!("played from sample {first}: {amplitude:.4} at {sinad_db:.1} dB");
    assert!((amplitude - 12_000.0 / 32_768.0).abs() < 0.001 && sinad_db > 70.0);
}

/// A card of two channels that are not alike.
fn stereo_card(folder: &Path) -> String {
    let tone: Vec<u8> = (0..48_000)
        .flat_map(|n| [48.0, 120.0].map(|period| 0.5 * (std::f64::consts::TAU / period * f64::from(n)).sin() as f32))
        .flat_map(f32::to_le_bytes)
        .collect();
    std::fs::write(folder.join("stereo.raw"), tone).expect("the microphone's sound");
    format!(
        "pcm.nothing {{ type null }}\n\
         pcm.loudspeaker {{ type file slave.pcm nothing file \"{}\" format raw }}\n\
         pcm.microphone {{ type file slave.pcm nothing file /dev/null infile \"{}\" format raw }}\n\
         pcm.default {{ type asym playback.pcm loudspeaker capture.pcm microphone\n\
         hint {{ show on description \"Card of stereo files\" }} }}\n",
        folder.join("played.raw").display(),
        folder.join("stereo.raw").display()
    )
}

#[test]
fn a_stereo_card_has_two_sides_each_way() {
    let Some(folder) = in_child("a_stereo_card_has_two_sides_each_way", stereo_card) else { return };
    let config = CardConfig { sample_rate_hz: 16_000, channels: 2, ..Default::default() };
    let Some(mut card) = open(config.clone()) else { return };
    println!("{card:?}");
    assert_eq!(card.channels(), 2);
    assert_eq!(card.opened(Direction::Capture).map(|(_, _, channels, _)| channels), Some(2));
    let mut first = [0; 960];
    let end = Instant::now() + Duration::from_secs(10);
    while card.read(&mut first) == 0 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut written = 0;
    for _ in 0..20 {
        assert_no_alloc(|| {
            let tone = |n: usize, period: f64| (12_000.0 * (std::f64::consts::TAU / period * n as f64).sin()) as i16;
            let pcm: [i16; 320] = std::array::from_fn(|n| tone(written + n / 2, if n % 2 == 0 { 32.0 } else { 16.0 }));
            assert_eq!(card.write(&pcm), 320);
            written += 160;
        });
        std::thread::sleep(Duration::from_millis(2));
    }
    card.close().expect("a file is closed");
    assert!(card.failure().is_none());
    let side = |pcm: &[f64], channel: usize| pcm.iter().copied().skip(channel).step_by(2).collect::<Vec<f64>>();
    let heard: Vec<f64> = first[320..].iter().map(|&s| f64::from(s) / 32_768.0).collect();
    for (channel, period) in [(0, 16), (1, 40)] {
        let (amplitude, sinad_db) = tone_in(&side(&heard, channel), period);
        println!("captured on {channel}: {amplitude:.4} at {sinad_db:.1} dB");
        assert!((amplitude - 0.5).abs() < 0.001 && sinad_db > 70.0, "channel {channel}");
    }
    let bytes = std::fs::read(folder.join("played.raw")).expect("what was played");
    let played: Vec<f64> =
        bytes.as_chunks::<4>().0.iter().map(|&sample| f64::from(f32::from_le_bytes(sample))).collect();
    let begin = played.iter().position(|sample| sample.abs() > 0.2).expect("sound was played") / 2 * 2;
    let loud = &played[begin + 2 * 300..begin + 2 * (300 + 960)];
    for (channel, period) in [(0, 96), (1, 48)] {
        let (amplitude, sinad_db) = tone_in(&side(loud, channel), period);
        println!("played on {channel}: {amplitude:.4} at {sinad_db:.1} dB");
        assert!((amplitude - 12_000.0 / 32_768.0).abs() < 0.001 && sinad_db > 70.0, "channel {channel}");
    }
}

/// A card that captures exactly so many channels, and silence: ALSA's `multi` has as many as are bound.
fn card_of(channels: usize) -> String {
    let bindings: String = (0..channels).map(|n| format!("bindings.{n}.slave a bindings.{n}.channel {n}\n")).collect();
    format!(
        "pcm.nothing {{ type null }}\n\
         pcm.microphone {{ type multi slaves.a.pcm nothing slaves.a.channels {channels}\n{bindings} }}\n\
         pcm.default {{ type asym playback.pcm nothing capture.pcm microphone\n\
         hint {{ show on description \"Card of {channels}\" }} }}\n"
    )
}

/// What was a card of one channel is one of two, and of four, when it is plugged in again.
#[test]
fn a_card_that_comes_back_with_other_channels_is_opened_as_it_then_is() {
    let test = "a_card_that_comes_back_with_other_channels_is_opened_as_it_then_is";
    let Some(folder) = in_child(test, |_| card_of(1)) else { return };
    let channels = |card: &CardIo| card.opened(Direction::Capture).map(|(_, _, channels, _)| channels);
    let Some(mut card) = open(CardConfig { sample_rate_hz: 16_000, ..Default::default() }) else { return };
    assert_eq!(channels(&card), Some(1));
    // ALSA reads its configuration again when the file has changed since, by the second.
    let plug = |config: &str| {
        std::thread::sleep(Duration::from_millis(1_100));
        std::fs::write(folder.join("asound.conf"), config).expect("a configuration");
    };
    for count in [2, 4] {
        plug(&card_of(count));
        card.reopen().expect("it is there");
        assert_eq!(channels(&card).map(usize::from), Some(count));
        let end = Instant::now() + Duration::from_secs(10);
        while card.read(&mut [0; 160]) == 0 {
            assert!(Instant::now() < end && card.failure().is_none(), "{card:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    // Gone: said so, and found when it's there again.
    plug("");
    let gone = card.reopen().expect_err("there is none");
    assert!(!gone.to_string().contains('\n') && card.failure().is_some(), "{gone}");
    plug(&card_of(1));
    card.reopen().expect("it is there again");
    assert!(card.failure().is_none() && channels(&card) == Some(1));
}

#[test]
fn ids_stay_the_same_over_a_restart() {
    let card = |name: &str| format!("pcm.{name} {{ type null\nhint {{ show on description \"Card {name}\" }} }}\n");
    let list = |names: [&str; 3]| {
        let folder = media_core_tests::program::folder(&format!("ids-{}", names[0]));
        let default = "pcm.default { type null\nhint { show on description \"Default\" } }\n";
        let config: String = names.iter().map(|name| card(name)).collect();
        std::fs::write(folder.join("asound.conf"), format!("{default}{config}")).expect("a configuration");
        let output = Command::new(media_core_tests::program::media_core())
            .args(["devices", "--json"])
            .env("ALSA_CONFIG_PATH", folder.join("asound.conf"))
            .output()
            .expect("runs");
        std::fs::remove_dir_all(&folder).expect("removes its folder");
        assert!(output.status.success(), "{output:?}");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let devices = told["devices"].as_array().expect("a list").clone();
        let pair = |device: &serde_json::Value| {
            (device["name"].as_str().unwrap_or("").to_owned(), device["id"].as_str().unwrap_or("").to_owned())
        };
        let mut ids: Vec<_> = devices.iter().map(pair).filter(|(name, _)| name.starts_with("Card")).collect();
        ids.sort();
        ids
    };
    let before = list(["desk", "headset", "lamp"]);
    if before.is_empty() {
        return skipped::lacks("libasound lists no devices here");
    }
    assert_eq!(before.len(), 3, "{before:?}");
    // Plugged in in another order.
    assert_eq!(list(["lamp", "desk", "headset"]), before);
}

/// `media-core devices --test` with this configuration: its exit code, and what it says and complains of.
fn devices_test(config: &str, folder: &Path) -> (Option<i32>, String, String) {
    std::fs::write(folder.join("asound.conf"), config).expect("a configuration");
    let output = Command::new(media_core_tests::program::media_core())
        .args(["devices", "--test"])
        .env("ALSA_CONFIG_PATH", folder.join("asound.conf"))
        .output()
        .expect("runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_machine_without_a_device_fails_its_test_in_words() {
    let folder = media_core_tests::program::folder("no-device");
    let (code, said, complained) = devices_test("", &folder);
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert_eq!(complained, "media-core: no sound device for capture: nothing can be tested\n");
    std::fs::remove_dir_all(&folder).expect("removes its folder");
}

/// The loudspeaker is a pipe, and so is the microphone; what stands between them carries sound as slowly as air does.
#[cfg(target_os = "linux")]
#[test]
fn the_latency_of_a_loop_is_measured() {
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::OpenOptionsExt as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let folder = media_core_tests::program::folder("loop");
    let (played, captured) = (folder.join("played"), folder.join("captured"));
    for pipe in [&played, &captured] {
        assert!(Command::new("mkfifo").arg(pipe).status().expect("runs").success());
    }
    let config = format!(
        "pcm.nothing {{ type null }}\n\
         pcm.loudspeaker {{ type file slave.pcm nothing file \"{}\" format raw }}\n\
         pcm.microphone {{ type file slave.pcm nothing file /dev/null infile \"{}\" format raw }}\n\
         pcm.default {{ type asym playback.pcm loudspeaker capture.pcm microphone\n\
         hint {{ show on description \"Two pipes\" }} }}\n",
        played.display(),
        captured.display()
    );
    // 10 ms of two channels that are played, and of one that is captured, in 32-bit floats. Neither is waited for: who
    // opens a device to ask for its formats closes it again.
    const O_NONBLOCK: i32 = 0o4000;
    let pipe = |path| std::fs::OpenOptions::new().read(true).write(true).custom_flags(O_NONBLOCK).open(path);
    let (mut loudspeaker, mut microphone) = (pipe(&played).expect("a pipe"), pipe(&captured).expect("a pipe"));
    let is_over = Arc::new(AtomicBool::new(false));
    let over = is_over.clone();
    let air = std::thread::spawn(move || {
        let mut next = Instant::now();
        while !over.load(Ordering::Relaxed) {
            let mut sound = [0; 480 * 2 * 4];
            let count = loudspeaker.read(&mut sound).unwrap_or(0);
            let left: Vec<u8> =
                sound.chunks_exact(8).flat_map(|frame| [frame[0], frame[1], frame[2], frame[3]]).collect();
            if count > 0 {
                let _ = microphone.write(&left);
            }
            next += Duration::from_millis(10);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    });
    let (code, said, complained) = devices_test(&config, &folder);
    is_over.store(true, Ordering::Relaxed);
    air.join().expect("it ends with the program");
    println!("{said}{complained}");
    if complained.contains("cannot open") || complained.contains("no sound device") {
        return skipped::lacks(format_args!("libasound has no usable device here: {complained}"));
    }
    assert_eq!(code, Some(0), "{said}{complained}");
    let after = said.split("comes back after ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a number");
    let ms: f64 = after.parse().expect("a number of ms");
    // Two rings of 35 ms, and what the pipes hold: 64 KB of 384 KB and 192 KB a second.
    assert!((40.0..800.0).contains(&ms), "{ms} ms");
    std::fs::remove_dir_all(&folder).expect("removes its folder");
}

#[test]
fn devices_are_listed_and_found_by_name() {
    let Some(_) = in_child("devices_are_listed_and_found_by_name", file_card) else { return };
    let one_way = |name: &str| CardConfig {
        capture: DeviceChoice::Off,
        playback: DeviceChoice::Named(name.to_owned()),
        ..Default::default()
    };
    let Some(card) = open(CardConfig { capture: DeviceChoice::Off, ..Default::default() }) else { return };
    assert!(card.opened(Direction::Capture).is_none());
    drop(card);
    let devices = list_devices().expect("the card of files");
    let default = devices.iter().find(|d| d.default_playback).expect("a default");
    assert!(default.default_capture && !default.capture.is_empty());
    let has_floats =
        default.playback.iter().any(|f| f.sample == "f32" && (f.min_channels..=f.max_channels).contains(&2));
    assert!(has_floats, "{:?}", default.playback);
    for name in [&default.id, &default.name] {
        let card = CardIo::open(one_way(name)).expect("opens by name");
        let (_, rate_hz, channels, sample) = card.opened(Direction::Playback).expect("is open");
        assert_eq!((rate_hz, channels, sample.as_str()), (48_000, 2, "f32"));
    }
    for name in ["a device that nobody has", ""] {
        let missing = CardIo::open(one_way(name)).expect_err("has no such name");
        assert!(matches!(missing, DeviceError::NotFound { .. }), "{missing}");
    }
}

#[test]
fn without_a_device_the_error_names_the_way_out() {
    let Some(_) = in_child("without_a_device_the_error_names_the_way_out", |_| String::new()) else { return };
    for (capture, playback) in [(DeviceChoice::Default, DeviceChoice::Off), (DeviceChoice::Off, DeviceChoice::Default)]
    {
        let error = CardIo::open(CardConfig { capture, playback, ..Default::default() }).expect_err("no device");
        assert!(matches!(error, DeviceError::NoDevice { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with("no sound device: use --null") && !text.contains('\n'), "{text}");
    }
    assert!(matches!(list_devices(), Err(DeviceError::NoDevice { .. })));
}

#[test]
fn the_null_device_does_not_allocate() {
    let mut io: Box<dyn AudioIo> = Box::new(FileIo::null(48_000));
    assert_no_alloc(|| {
        let mut pcm = [3; 960];
        for _ in 0..100 {
            io.read(&mut pcm);
            io.write(&pcm);
        }
    });
    assert_eq!(io.counters().played, 96_000);
}

#[test]
fn resampling_does_not_allocate() {
    let mut up = Resampler::new(8_000, 48_000).expect("a resampler");
    let mut down = Resampler::new(48_000, 8_000).expect("a resampler");
    assert_no_alloc(|| {
        let (mut pcm, mut back) = ([0; 960], [0; 160]);
        for round in 0..200 {
            up.set_ppm(f64::from(round));
            assert_eq!(up.push(&[1000; 160]), 160);
            let n = up.pull(&mut pcm);
            down.push(&pcm[..n]);
            down.pull(&mut back);
            if round == 100 {
                up.reset();
            }
        }
    });
}
