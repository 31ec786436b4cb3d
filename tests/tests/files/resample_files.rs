//! `media-core resample`: WAV files of speech and of any number of channels at other rates, and what is refused.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use media_core_tests::program::{Ended, Running, folder, media_core};

const LIMIT: Duration = Duration::from_secs(60);

fn resample(folder: &Path, arguments: &str) -> Ended {
    let mut command = Command::new(media_core());
    command.current_dir(folder).arg("resample").args(arguments.split_whitespace());
    Running::start(&mut command, folder, "media-core").wait(LIMIT)
}

fn write(path: &Path, channels: u16, sample_rate: u32, samples: &[i16]) {
    let spec = WavSpec { channels, sample_rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut writer = WavWriter::create(path, spec).unwrap();
    samples.iter().for_each(|&sample| writer.write_sample(sample).unwrap());
    writer.finalize().unwrap();
}

fn read(path: &Path) -> (WavSpec, Vec<i16>) {
    let mut reader = WavReader::open(path).unwrap();
    (reader.spec(), reader.samples::<i16>().map(Result::unwrap).collect())
}

/// Power of `signal` over that of its difference from `other`, in dB.
fn snr(signal: &[i16], other: &[i16]) -> f64 {
    let square = |x: f64| x * x;
    let power: f64 = signal.iter().map(|&x| square(x.into())).sum();
    let off: f64 = signal.iter().zip(other).map(|(&x, &y)| square(f64::from(x) - f64::from(y))).sum();
    10.0 * (power / off.max(1.0)).log10()
}

/// Speech whose band ends below the filter's: it is there and back again in its place, at every rate above its own.
#[test]
fn speech_comes_back_as_it_was_from_every_rate() {
    let folder = folder("resample-speech");
    let asset = concat!(env!("CARGO_MANIFEST_DIR"), "/../host-std/assets/woman.wav");
    // Two seconds of it.
    let (_, woman) = read(Path::new(asset));
    write(&folder.join("woman.wav"), 1, 16_000, &woman[16_000..48_000]);
    // First to 12 kHz and back, so that nothing is left above what the others keep.
    resample(&folder, "--rate 12000 woman.wav narrow.wav").success();
    resample(&folder, "--rate 16000 narrow.wav said.wav").success();
    let (_, said) = read(&folder.join("said.wav"));
    assert!(said.iter().any(|x| x.abs() > 5_000));
    for (rate, quality, least_db) in [
        (22_050, "best", 60.0),
        (44_100, "best", 60.0),
        (48_000, "good", 55.0),
        (48_000, "fast", 45.0),
        (96_000, "best", 60.0),
    ] {
        resample(&folder, &format!("--rate {rate} --quality {quality} said.wav there.wav")).success();
        let (spec, there) = read(&folder.join("there.wav"));
        assert_eq!((spec.sample_rate, spec.channels, spec.bits_per_sample), (rate, 1, 16));
        let expected = (said.len() as u64 * u64::from(rate)).div_ceil(16_000);
        assert_eq!(there.len() as u64, expected);
        resample(&folder, "--rate 16000 there.wav back.wav").success();
        let (_, back) = read(&folder.join("back.wav"));
        assert!(back.len().abs_diff(said.len()) <= 1);
        let db = snr(&said, &back);
        println!("{rate} Hz, {quality}: {db:.1} dB");
        assert!(db > least_db, "{rate} Hz, {quality}: {db:.1} dB");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn channels_stay_apart_or_are_mixed_as_wanted() {
    let folder = folder("resample-channels");
    // A constant for each channel of 5.1.
    let levels = [8_000i16, -8_000, 4_000, 20_000, 2_000, -2_000];
    write(&folder.join("six.wav"), 6, 48_000, &levels.repeat(4_800));
    resample(&folder, "--rate 8000 six.wav apart.wav").success();
    let (spec, apart) = read(&folder.join("apart.wav"));
    assert_eq!((spec.channels, spec.sample_rate, apart.len()), (6, 8_000, 6 * 800));
    let middle = &apart[6 * 400..6 * 401];
    assert!(middle.iter().zip(levels).all(|(a, b)| (a - b).abs() <= 1), "{middle:?}");
    // L + 0.7071 C + 0.7071 Ls by 2.4142, and L and R by 0.7071 each, C, and the surrounds by 0.5 by 3.4142.
    for (to, expected) in [(2, &[5_071, -2_728][..]), (1, &[1_172])] {
        resample(&folder, &format!("--rate 44100 --channels {to} six.wav mixed.wav")).success();
        let (spec, mixed) = read(&folder.join("mixed.wav"));
        assert_eq!((usize::from(spec.channels), mixed.len()), (to, to * 4_410));
        let middle = &mixed[to * 2_000..to * 2_001];
        assert!(middle.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1), "{middle:?}");
    }
    write(&folder.join("many.wav"), 64, 8_000, &vec![1_000; 64 * 800]);
    resample(&folder, "--rate 11025 many.wav out.wav").success();
    assert_eq!(read(&folder.join("out.wav")).0.channels, 64);
    // Dither is noise of its seed, and only where bits are lost.
    write(&folder.join("quiet.wav"), 1, 8_000, &[0; 8_000]);
    for (seed, name) in [(1, "a.wav"), (1, "b.wav"), (2, "c.wav")] {
        resample(&folder, &format!("--rate 16000 --dither {seed} quiet.wav {name}")).success();
    }
    let [a, b, c] = ["a.wav", "b.wav", "c.wav"].map(|name| read(&folder.join(name)).1);
    assert!(a == b && a != c && a.contains(&1) && a.contains(&-1) && a.iter().all(|x| x.abs() <= 1));
    resample(&folder, "--rate 8000 --dither 1 quiet.wav same.wav").success();
    assert_eq!(read(&folder.join("same.wav")).1, [0; 8_000]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_cannot_be_done_is_said_and_leaves_nothing_behind() {
    let folder = folder("resample-refused");
    write(&folder.join("in.wav"), 1, 8_000, &[1; 8_000]);
    fs::write(folder.join("text.wav"), "this is no sound").unwrap();
    // The header says more than there is, and the file breaks off while it is read: it is a remark, and the rest is there.
    let whole = fs::read(folder.join("in.wav")).unwrap();
    fs::write(folder.join("cut.wav"), &whole[..whole.len() / 2]).unwrap();
    for (arguments, needle) in [
        ("--rate 3999 in.wav out.wav", "3999 is not in 4000..=192000"),
        ("--rate 192001 in.wav out.wav", "192001 is not in 4000..=192000"),
        ("--rate fast in.wav out.wav", "invalid value 'fast'"),
        ("in.wav out.wav", "--rate <HZ>"),
        ("--rate 8000 --quality better in.wav out.wav", "fast, good, best"),
        ("--rate 8000 --channels 3 in.wav out.wav", "3 is not in 1..=2"),
        ("--rate 16000 nowhere.wav out.wav", "nowhere.wav: No such file"),
        ("--rate 16000 text.wav out.wav", "text.wav is not a WAV file"),
        ("--rate 16000 in.wav in.wav", "in.wav: is both input and output"),
        ("--rate 16000 in.wav nowhere/out.wav", "nowhere/out.wav: No such file"),
    ] {
        let ended = resample(&folder, arguments);
        assert!(!ended.status.success() && ended.stderr.contains(needle), "{arguments}: {ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    }
    // An old file stays as it was where the new one can't be made.
    fs::write(folder.join("old.wav"), "old").unwrap();
    assert!(!resample(&folder, "--rate 16000 text.wav old.wav").status.success());
    assert_eq!(fs::read(folder.join("old.wav")).unwrap(), b"old");
    let cut = resample(&folder, "--rate 16000 cut.wav half.wav").success();
    assert!(cut.stderr.contains("it breaks off"), "{cut:?}");
    assert!((7_900..=8_000).contains(&read(&folder.join("half.wav")).1.len()));
    let mut names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".wav") || name.contains("wav"));
    names.sort();
    assert_eq!(names, ["cut.wav", "half.wav", "in.wav", "old.wav", "text.wav"]);
    fs::remove_dir_all(folder).unwrap();
}
