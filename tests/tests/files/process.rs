//! `media-core process` and `media-core probe` as their user meets them: files in and out, figures, the page, and mistakes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use host_std::simulate::room::{AcousticRoom, AcousticRoomConfig};
use host_std::wav::{WavFrames, WavSource, to_wav};
use media_core_tests::program::{Ended, Running, folder, media_core};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

fn run(folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(media_core());
    command.current_dir(folder).arg("process").args(arguments);
    Running::start(&mut command, folder, "media-core").wait(LIMIT)
}

fn probe(folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(media_core());
    command.current_dir(folder).arg("probe").args(arguments);
    Running::start(&mut command, folder, "media-core").wait(LIMIT)
}

fn asset(name: &str) -> String {
    format!("{}/../host-std/assets/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Interleaved samples, rate and channels of a file.
fn sound(path: impl Into<PathBuf>) -> (Vec<i16>, u32, u8) {
    let path = path.into();
    let spec = WavSource::open(&path, 16_000).unwrap().spec();
    let channels = spec.channels as u8;
    let frames = WavFrames::open(&path, spec.sample_rate, channels).unwrap();
    (frames.read_all(dsp_core::time::Duration::from_secs(60)).unwrap(), spec.sample_rate, channels)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What a microphone hears of a loudspeaker that plays `far`: at each place in the file what is heard there.
fn echo(far: &[i16], rate_hz: u32) -> Vec<i16> {
    let mut room = AcousticRoom::new(AcousticRoomConfig::default(), rate_hz, 1).unwrap();
    let mut heard = Vec::with_capacity(far.len());
    for tick in far.chunks(rate_hz as usize / 100) {
        room.play(tick);
        let mut pcm = vec![0; tick.len()];
        room.capture(&mut pcm);
        heard.extend(pcm);
    }
    heard
}

/// A file of floats with one channel.
fn float_wav(samples: &[f32], rate_hz: u32) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
    file.extend(16u32.to_le_bytes());
    file.extend([3, 0, 1, 0]);
    file.extend(rate_hz.to_le_bytes());
    file.extend((4 * rate_hz).to_le_bytes());
    file.extend([4, 0, 32, 0]);
    file.extend(b"data");
    file.extend((4 * samples.len() as u32).to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    let length = file.len() as u32 - 8;
    file[4..8].copy_from_slice(&length.to_le_bytes());
    file
}

#[test]
fn without_a_block_the_sound_is_the_same_at_each_rate_and_length() {
    let folder = folder("process-same");
    for (rate, channels, samples) in [(8_000, 1, 1), (16_000, 2, 160), (32_000, 1, 12_345), (48_000, 2, 480 * 7 + 1)] {
        let pcm: Vec<i16> = (0..samples * channels).map(|n| (n * 7_919 % 60_000) as i16).collect();
        fs::write(folder.join("mic.wav"), to_wav(&pcm, rate, channels as u16)).unwrap();
        // What was there is replaced.
        fs::write(folder.join("out.wav"), "old").unwrap();
        // A far end that is shorter, and one that is longer.
        for far in [1, samples * 2] {
            fs::write(folder.join("far.wav"), to_wav(&vec![1_000; far], rate, 1)).unwrap();
            let ended = run(&folder, &["--far", "far.wav", "mic.wav", "out.wav"]).success();
            assert_eq!(sound(folder.join("out.wav")), (pcm.clone(), rate, channels as u8));
            assert!(ended.stdout.starts_with("mic.wav: ") && ended.stdout.ends_with("Written: out.wav\n"), "{ended:?}");
            let kind = if channels == 2 { "stereo" } else { "mono" };
            assert!(ended.stdout.contains(&format!("of {kind} at {rate} Hz")), "{ended:?}");
        }
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_figures_are_those_of_the_sound() {
    let folder = folder("process-figures");
    let (far, rate, _) = sound(asset("woman.wav"));
    fs::write(folder.join("far.wav"), to_wav(&far, rate, 1)).unwrap();
    fs::write(folder.join("mic.wav"), to_wav(&echo(&far, rate), rate, 1)).unwrap();
    let ended = run(&folder, &["--far", "far.wav", "--json", "mic.wav", "out.wav"]).success();
    assert_eq!(ended.stderr, "");
    let figures = json(&ended.stdout);
    let number = |name: &str| figures[name].as_f64().unwrap_or_else(|| panic!("{name}: {figures}"));
    assert_eq!((number("sample_rate_hz"), number("channels")), (f64::from(rate), 1.0));
    assert!((number("seconds") - far.len() as f64 / f64::from(rate)).abs() < 0.001);
    assert!(number("times_real_time") > 1.0);
    // The room takes 6 dB; speech is no white noise.
    let loss = number("far_dbov") - number("in_dbov");
    assert!((loss - 6.0).abs() < 2.0, "{loss}");
    assert_eq!(number("in_dbov"), number("out_dbov"));
    let seconds = figures["per_second"].as_array().unwrap();
    assert_eq!(seconds.len(), far.len().div_ceil(rate as usize));
    for (n, second) in seconds.iter().enumerate() {
        assert_eq!(second["at_s"], n as u64);
        assert_eq!(second["in_dbov"], second["out_dbov"]);
    }
    // Without a canceller nobody knows what is echo.
    assert!(figures["echo"].is_null() && seconds[2]["erle_db"].is_null());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_echo_is_cancelled_at_each_rate_and_the_near_end_stays() {
    let folder = folder("process-aec");
    let (woman, man) = (asset("woman.wav"), asset("man.wav"));
    for rate in [8_000, 16_000, 32_000, 48_000] {
        let speech = |path: &str| {
            let file = WavFrames::open(path, rate, 1).unwrap();
            file.read_all(dsp_core::time::Duration::from_secs(60)).unwrap()
        };
        let far = speech(&woman);
        let heard = echo(&far, rate);
        fs::write(folder.join("far.wav"), to_wav(&far, rate, 1)).unwrap();
        fs::write(folder.join("mic.wav"), to_wav(&heard, rate, 1)).unwrap();
        let mut erle = [0.0; 2];
        for (options, erle) in [&["--aec"][..], &["--aec", "--linear", "--tail-ms", "200"]].into_iter().zip(&mut erle) {
            let arguments = [options, &["--far", "far.wav", "--json", "mic.wav", "out.wav"]].concat();
            let figures = json(&run(&folder, &arguments).success().stdout);
            *erle = figures["echo"]["erle_db"].as_f64().unwrap_or_else(|| panic!("{figures}"));
            // The room's 20 ms, as the canceller finds them to a few ms.
            let delay = figures["echo"]["delay_ms"].as_f64().unwrap();
            assert!((delay - 20.0).abs() < 6.0, "{rate} {options:?}: {delay}");
            assert!(figures["per_second"][1]["erle_db"].is_number(), "{figures}");
        }
        assert!(erle[0] > 15.0 && erle[1] > 8.0, "{rate}: {erle:?}");
        // A voice at the near end while the far end is silent comes out as where there is no far end at all.
        let near = speech(&man);
        let both: Vec<i16> = heard.iter().zip(&near).map(|(a, b)| a.saturating_add(*b)).collect();
        fs::write(folder.join("mic.wav"), to_wav(&both, rate, 1)).unwrap();
        fs::write(folder.join("near.wav"), to_wav(&near, rate, 1)).unwrap();
        fs::write(folder.join("none.wav"), to_wav(&[0], rate, 1)).unwrap();
        run(&folder, &["--aec", "--far", "far.wav", "mic.wav", "out.wav"]).success();
        run(&folder, &["--aec", "--far", "none.wav", "near.wav", "alone.wav"]).success();
        let (out, alone) = (sound(folder.join("out.wav")).0, sound(folder.join("alone.wav")).0);
        assert_eq!((out.len(), alone.len()), (both.len(), near.len()));
        // From 3.5 to 5.5 s only the man speaks.
        let part = |pcm: &[i16]| pcm[rate as usize * 7 / 2..rate as usize * 11 / 2].to_vec();
        let product = |a: &[i16], b: &[i16]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let likeness = |a: &[i16], b: &[i16]| product(a, b) / (product(a, a) * product(b, b)).sqrt();
        let likeness = likeness(&part(&alone), &part(&out));
        // And where it was: what is high, which no high-pass turns, has its likeness there.
        let edges = |pcm: &[i16]| -> Vec<i16> { pcm.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect() };
        let (before, after) = (edges(&edges(&part(&near))), edges(&edges(&part(&alone))));
        let ms = rate as usize / 1_000;
        let at = |lag: usize| product(&before[ms * 4..before.len() - ms * 4], &after[lag..]);
        let lag = (0..ms * 8).max_by(|&a, &b| at(a).total_cmp(&at(b))).unwrap();
        assert!(lag.abs_diff(ms * 4) <= ms / 4, "{rate}: {lag}");
        assert!(likeness > 0.9, "{rate}: {likeness}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_late_echo_is_muted_before_its_delay_is_sure() {
    let folder = folder("process-late");
    let (mut far, rate, _) = sound(asset("woman.wav"));
    far.truncate(2 * rate as usize);
    // The room's 20 ms and 330 more.
    let mut heard = echo(&far, rate);
    heard.splice(0..0, std::iter::repeat_n(0, rate as usize * 33 / 100));
    heard.truncate(far.len());
    fs::write(folder.join("far.wav"), to_wav(&far, rate, 1)).unwrap();
    fs::write(folder.join("mic.wav"), to_wav(&heard, rate, 1)).unwrap();
    run(&folder, &["--aec", "--far", "far.wav", "mic.wav", "out.wav"]).success();
    let (out, _, _) = sound(folder.join("out.wav"));
    let energy = |pcm: &[i16]| pcm.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() + 1.0;
    let stretch = rate as usize * 8 / 10..rate as usize * 12 / 10;
    let erle = 10.0 * (energy(&heard[stretch.clone()]) / energy(&out[stretch])).log10();
    assert!(erle > 25.0, "{erle}");
    fs::remove_dir_all(folder).unwrap();
}

/// The far end says little and is silent while its delay isn't known yet, and the near end answers.
#[test]
fn an_answer_is_heard_though_the_delay_was_not_found() {
    let folder = folder("process-answer");
    let (woman, rate, _) = sound(asset("woman.wav"));
    let (man, _, _) = sound(asset("man.wav"));
    let ms = rate as usize / 1_000;
    let man = &man[2_900 * ms..4_000 * ms];
    for said_ms in [750, 950, 1_050] {
        let (begins, len) = ((said_ms + 600) * ms, (said_ms + 1_700) * ms);
        let mut far = woman[..said_ms * ms].to_vec();
        far.resize(len, 0);
        let mut heard = echo(&far, rate);
        heard.splice(0..0, std::iter::repeat_n(0, 330 * ms));
        heard.truncate(len);
        heard[begins..].iter_mut().zip(man).for_each(|(echo, near)| *echo = echo.saturating_add(*near));
        fs::write(folder.join("far.wav"), to_wav(&far, rate, 1)).unwrap();
        fs::write(folder.join("mic.wav"), to_wav(&heard, rate, 1)).unwrap();
        run(&folder, &["--aec", "--far", "far.wav", "mic.wav", "out.wav"]).success();
        let (out, _, _) = sound(folder.join("out.wav"));
        let energy = |pcm: &[i16]| pcm.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() + 1.0;
        let loss = 10.0 * (energy(&heard[begins + 200 * ms..]) / energy(&out[begins + 200 * ms..])).log10();
        assert!(loss < 2.0, "after {said_ms} ms: {loss} dB of the answer are gone");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_high_pass_takes_rumble_and_leaves_the_voice() {
    let folder = folder("process-hpf");
    let turn = std::f64::consts::TAU / 16_000.0;
    for (hz, options, loss_db) in
        [(30.0, &["--hpf"][..], 24.0), (1_000.0, &["--hpf"], 0.0), (300.0, &["--hpf=300"], 3.0), (30.0, &[], 0.0)]
    {
        let pcm: Vec<i16> = (0..32_000).map(|n| ((turn * hz * f64::from(n)).sin() * 8_000.0) as i16).collect();
        fs::write(folder.join("mic.wav"), to_wav(&pcm, 16_000, 1)).unwrap();
        let ended = run(&folder, &[options, &["--json", "mic.wav", "out.wav"]].concat()).success();
        let figures = json(&ended.stdout);
        let second = &figures["per_second"][1];
        let loss = second["in_dbov"].as_f64().unwrap() - second["out_dbov"].as_f64().unwrap();
        assert!((loss - loss_db).abs() < 0.5, "{hz} {options:?}: {loss}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_page_is_whole_and_needs_nothing_from_elsewhere() {
    let folder = folder("process-page");
    let (far, rate, _) = sound(asset("woman.wav"));
    fs::write(folder.join("far & <so>.wav"), to_wav(&far, rate, 1)).unwrap();
    fs::write(folder.join("mic.wav"), to_wav(&echo(&far, rate), rate, 1)).unwrap();
    let options = ["--hpf", "--far", "far & <so>.wav", "--plot", "page.html", "mic.wav", "out.wav"];
    let ended = run(&folder, &options).success();
    assert!(ended.stdout.ends_with("Written: out.wav, page.html\n"), "{ended:?}");
    let page = fs::read_to_string(folder.join("page.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    assert!(page.contains("far &amp; &lt;so&gt;.wav") && !page.contains("<so>"));
    assert_eq!(page.matches("href=\"data:image/png;base64,iVBOR").count(), 2);
    let outside = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!outside.contains("http:") && !outside.contains("https:") && !outside.contains("url("));
    // The picture is well-formed: what is opened is closed, in order.
    let svg = &page[page.find("<svg").unwrap()..page.find("</svg>").unwrap() + 6];
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1).map(|part| part.split('>').next().unwrap()) {
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
        } else if !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().unwrap());
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(svg.matches("<polyline").count() >= 3 && svg.contains("kHz") && svg.contains("dBov"));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_file_with_what_is_no_number_is_read_as_silence_there() {
    let folder = folder("process-nan");
    let mut samples = vec![0.25f32; 16_000];
    samples[4_000..4_100].fill(f32::NAN);
    samples[5_000] = f32::INFINITY;
    samples[5_001] = f32::NEG_INFINITY;
    fs::write(folder.join("mic.wav"), float_wav(&samples, 16_000)).unwrap();
    let options = ["--far", "mic.wav", "--plot", "page.html", "--json", "mic.wav", "out.wav"];
    let figures = json(&run(&folder, &options).success().stdout);
    assert!((figures["out_dbov"].as_f64().unwrap() + 12.04).abs() < 0.2, "{figures}");
    let (out, ..) = sound(folder.join("out.wav"));
    assert_eq!((out.len(), out[0], out[4_050]), (16_000, 8_192, 0));
    assert!(!fs::read_to_string(folder.join("page.html")).unwrap().contains("NaN"));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_mistake_gives_one_clear_line_and_leaves_the_old_file() {
    let folder = folder("process-mistakes");
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    let pcm = vec![1_000; 8_000];
    write("mic.wav", &to_wav(&pcm, 16_000, 1));
    write("narrow.wav", &to_wav(&pcm, 8_000, 1));
    write("cd.wav", &to_wav(&pcm, 44_100, 2));
    write("none.wav", &to_wav(&[], 16_000, 1));
    write("empty.wav", b"");
    write("text.wav", b"this is no sound");
    write("out.wav", b"old");
    let cases: [(&[&str], &str); 17] = [
        (
            &["cd.wav", "out.wav"],
            "cd.wav has 44100 Hz, and calls have 8000, 16000, 32000, 48000 Hz: `media-core resample`",
        ),
        (&["--far", "narrow.wav", "mic.wav", "out.wav"], "narrow.wav has 8000 Hz, and mic.wav 16000 Hz: `media-core"),
        (&["--far", "nowhere.wav", "mic.wav", "out.wav"], "cannot open nowhere.wav: No such file"),
        (&["nowhere.wav", "out.wav"], "cannot open nowhere.wav: No such file"),
        (&["none.wav", "out.wav"], "none.wav has no samples"),
        (&["empty.wav", "out.wav"], "empty.wav is not a WAV file"),
        (&["--far", "text.wav", "mic.wav", "out.wav"], "text.wav is not a WAV file"),
        (&["mic.wav", "mic.wav"], "mic.wav: is both input and output"),
        (&["--far", "narrow.wav", "mic.wav", "narrow.wav"], "narrow.wav: is both input and output"),
        (&["--plot", "mic.wav", "mic.wav", "out.wav"], "mic.wav: is both input and output"),
        (&["--plot", "new.wav", "mic.wav", "new.wav"], "new.wav: is both the sound and the page"),
        (&["mic.wav", "none/out.wav"], "none/out.wav: No such file"),
        (&["mic.wav"], "OUT.wav"),
        (&["--aec", "mic.wav", "out.wav"], "--far FAR.wav says what it played"),
        (&["--aec", "--far", "mic.wav", "--tail-ms", "500", "mic.wav", "out.wav"], "500 is not in 30..=260"),
        (&["--linear", "mic.wav", "out.wav"], "--aec"),
        (&["--hpf=7", "mic.wav", "out.wav"], "7 is not in 20..=1000"),
    ];
    for (arguments, needle) in cases {
        let ended = run(&folder, arguments);
        assert!(ended.status.code().is_some_and(|code| code != 0), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(needle), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
        let by_parser = ended.status.code() == Some(2) && ended.stderr.starts_with("error: ");
        assert!(
            by_parser || (ended.stderr.lines().count() == 1 && ended.stderr.starts_with("media-core: ")),
            "{ended:?}"
        );
        assert_eq!(fs::read(folder.join("out.wav")).unwrap(), b"old", "{arguments:?}");
        assert!(!folder.join("new.wav").exists(), "{arguments:?}");
    }
    // A page that can't be written is told, after the sound.
    let ended = run(&folder, &["--plot", "none/page.html", "mic.wav", "out.wav"]);
    assert!(!ended.status.success() && ended.stderr.contains("cannot write none/page.html: No such file"), "{ended:?}");
    #[cfg(target_os = "linux")]
    {
        let full = run(&folder, &["mic.wav", "/dev/full"]);
        assert!(full.stderr.starts_with("media-core: cannot write /dev/full: No space left"), "{full:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn speech_is_found_in_the_result_and_shown_on_the_page() {
    let folder = folder("process-vad");
    let (speech, rate, _) = sound(asset("woman.wav"));
    // A second of nothing, the voice, and a second of nothing.
    let second = vec![0; rate as usize];
    fs::write(folder.join("mic.wav"), to_wav(&[&second, &speech[..], &second].concat(), rate, 1)).unwrap();
    let ended = run(&folder, &["--vad", "--ns", "--json", "mic.wav", "out.wav"]).success();
    let figures = json(&ended.stdout);
    let segments = figures["speech"].as_array().unwrap_or_else(|| panic!("{figures}"));
    let end_ms = 1_000.0 + speech.len() as f64 * 1e3 / f64::from(rate);
    for segment in segments {
        let (start, end) = (segment["start_ms"].as_f64().unwrap(), segment["end_ms"].as_f64().unwrap());
        assert!((950.0..end).contains(&start) && end <= end_ms + 300.0, "{figures}");
    }
    assert!(!segments.is_empty());
    // An option without its value takes no file's name for it.
    let bare = run(&folder, &["--json", "--ns", "--vad", "mic.wav", "out.wav"]).success();
    assert_eq!(json(&bare.stdout)["speech"], figures["speech"]);
    run(&folder, &["--vad", "--ns", "mic.wav", "out.wav"]).success();
    let ended = run(&folder, &["--vad", "3", "--plot", "page.html", "mic.wav", "out.wav"]).success();
    assert!(
        ended.stdout.contains("  speech      ") && ended.stdout.contains(" % of the time in the result: "),
        "{ended:?}"
    );
    let page = fs::read_to_string(folder.join("page.html")).unwrap();
    assert!(page.contains("speech in the result, by the voice detector") && page.contains("aggressiveness 3 of 3"));
    // Nobody asked.
    let ended = run(&folder, &["--json", "mic.wav", "out.wav"]).success();
    assert!(json(&ended.stdout)["speech"].is_null());
    let ended = run(&folder, &["--echo-suppressor", "mic.wav", "out.wav"]);
    assert!(ended.stderr.contains("--echo-suppressor keeps the loudspeaker's sound out"), "{ended:?}");
    let ended = run(&folder, &["--echo-suppressor", "--far", "mic.wav", "mic.wav", "out.wav"]).success();
    assert!(ended.stdout.contains("level       in"), "{ended:?}");
    let ended = run(&folder, &["--echo-suppressor", "--aec", "--far", "mic.wav", "mic.wav", "out.wav"]);
    assert!(ended.status.code() == Some(2) && ended.stderr.contains("cannot be used with"), "{ended:?}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_probe_tells_what_is_in_a_file() {
    let folder = folder("probe");
    let (speech, rate, _) = sound(asset("woman.wav"));
    fs::write(folder.join("voice.wav"), to_wav(&speech, rate, 1)).unwrap();
    let channel = |name: &str, n: usize| {
        let report = json(&probe(&folder, &["--json", name]).success().stdout);
        report["channels"][n].clone()
    };
    let figure = |channel: &Value, name: &str| channel[name].as_f64().unwrap_or_else(|| panic!("{name}: {channel}"));
    let voice = channel("voice.wav", 0);
    let active = figure(&voice, "active_level_dbov");
    assert!(active > figure(&voice, "rms_dbov") && active < figure(&voice, "peak_dbov"), "{voice}");
    assert_eq!((figure(&voice, "clipped_samples"), &voice["howling_hz"]), (0.0, &Value::Null));
    assert!(figure(&voice, "speech_share") > 0.4 && !voice["speech"].as_array().unwrap().is_empty(), "{voice}");
    assert_eq!(voice["bandwidth"], "wideband");
    // A telephone's sound in a file of 48 kHz is told.
    for (rate, file) in [("8000", "narrow.wav"), ("48000", "wide.wav")] {
        let from = if rate == "8000" { "voice.wav" } else { "narrow.wav" };
        let mut command = Command::new(media_core());
        command.current_dir(&folder).args(["resample", "--rate", rate, from, file]);
        Running::start(&mut command, &folder, "media-core").wait(LIMIT).success();
    }
    let wide = channel("wide.wav", 0);
    assert_eq!(wide["bandwidth"], "narrowband", "{wide}");
    assert!((3_000.0..4_100.0).contains(&figure(&wide, "bandwidth_hz")), "{wide}");
    // Of stereo each channel is measured: here a clipped one with DC, and one of digital silence.
    let both: Vec<i16> =
        speech.iter().flat_map(|&sample| [sample.saturating_mul(20).saturating_add(2_000), 0]).collect();
    fs::write(folder.join("both.wav"), to_wav(&both, rate, 2)).unwrap();
    let (left, right) = (channel("both.wav", 0), channel("both.wav", 1));
    assert!(figure(&left, "clipped_share") > 0.01 && figure(&left, "dc_share") > 0.03, "{left}");
    assert!(left["clipped"]["from_ms"].is_number() && right["rms_dbov"].is_null(), "{right}");
    assert_eq!(right["digitally_silent"]["share"], 1.0);
    let words = probe(&folder, &["both.wav"]).success().stdout;
    for told in
        ["both.wav: ", "stereo, 16000 Hz", "channel 1", "channel 2", "clipping    ", "100.0 % digital", "DC          +"]
    {
        assert!(words.contains(told), "{told}: {words}");
    }
    // A tone that grows until it is cut.
    let howl = |n: usize| ((n as f64 * 0.5).sin() * (n as f64 / 30_000.0).min(1.0) * 40_000.0) as i16;
    fs::write(folder.join("howl.wav"), to_wav(&(0..48_000).map(howl).collect::<Vec<_>>(), 16_000, 1)).unwrap();
    let words = probe(&folder, &["howl.wav"]).success().stdout;
    assert!(words.contains("howling     at about 12"), "{words}");
    // Rates that nothing is measured at, and mistakes.
    for rate in [4_000, 44_100, 96_000] {
        fs::write(folder.join("odd.wav"), to_wav(&speech, rate, 1)).unwrap();
        let report = json(&probe(&folder, &["--json", "odd.wav"]).success().stdout);
        assert_eq!((&report["sample_rate_hz"], &report["channels"][0]["channel"]), (&rate.into(), &1.into()));
    }
    // What Opus made of the voice, whatever the file is called.
    let mut command = Command::new(media_core());
    command.current_dir(&folder).args(["encode", "--codec", "opus", "voice.wav", "voice.wav.opus"]);
    Running::start(&mut command, &folder, "media-core").wait(LIMIT).success();
    let coded = channel("voice.wav.opus", 0);
    assert!((figure(&coded, "active_level_dbov") - active).abs() < 1.0, "{coded}");
    assert!((figure(&coded, "speech_share") - figure(&voice, "speech_share")).abs() < 0.1, "{coded}");
    fs::write(folder.join("half.opus"), &fs::read(folder.join("voice.wav.opus")).unwrap()[..40]).unwrap();
    fs::write(folder.join("text.wav"), "this is no sound").unwrap();
    fs::write(folder.join("none.wav"), to_wav(&[], 16_000, 1)).unwrap();
    for (arguments, needle) in [
        (&["nowhere.wav"][..], "cannot open nowhere.wav: No such file"),
        (&["text.wav"], "text.wav is not a WAV file"),
        (&["none.wav"], "none.wav has no samples"),
        (&["."], "cannot open ."),
        (&["--vad", "4", "voice.wav"], "4 is not in 0..=3"),
        (&["half.opus"], "half.opus: "),
        (&[], "<IN>"),
    ] {
        let ended = probe(&folder, arguments);
        assert!(ended.status.code().is_some_and(|code| code != 0) && ended.stderr.contains(needle), "{ended:?}");
        assert!(ended.stdout.is_empty() && !ended.stderr.contains("panicked"), "{ended:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}
