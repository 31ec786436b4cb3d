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
