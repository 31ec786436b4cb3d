//! Digits and tones on the command line: made, found again, and in calls, their reports and their replays.

use std::fs;

use media_core_tests::program::folder;

use crate::cli::{asset, json, run, wav};

#[test]
fn digits_are_made_and_found_again() {
    let folder = folder("dtmf");
    let digits = "123A*#0D";
    for rate in ["8000", "44100", "48000"] {
        run(
            &folder,
            &["dtmf", "generate", digits, "d.wav", "--rate", rate, "--on", "40", "--off", "40", "--twist", "-8"],
        )
        .success();
        let found = json(&run(&folder, &["dtmf", "detect", "d.wav", "--json"]).success().stdout);
        let found = found["digits"].as_array().unwrap();
        assert_eq!(found.iter().filter_map(|digit| digit["digit"].as_str()).collect::<String>(), digits);
        for (n, digit) in found.iter().enumerate() {
            assert!((digit["start_ms"].as_f64().unwrap() - 80.0 * n as f64).abs() < 1.5, "{rate}: {digit}");
            assert!((digit["duration_ms"].as_f64().unwrap() - 39.0).abs() < 1.5, "{rate}: {digit}");
            assert!((digit["level_dbm0"].as_f64().unwrap() + 7.0).abs() < 0.8, "{rate}: {digit}");
            assert_eq!(digit["source"], "in-band");
        }
    }
    let text = run(&folder, &["dtmf", "detect", "d.wav"]).success().stdout;
    assert_eq!(text.lines().next(), Some(digits));
    assert_eq!(run(&folder, &["dtmf", "detect", &asset("woman.wav")]).success().stdout, "No digits.\n");
    for (wrong, said) in [
        (&["dtmf", "generate", "12x", "e.wav"][..], "there is no digit 'x'"),
        (&["dtmf", "generate", "", "e.wav"], "no digits"),
        (&["dtmf", "generate", "1", "e.wav", "--twist", "-21"], "-20 to 20"),
        (&["dtmf", "generate", "1", "e.wav", "--level", "5"], "-63 to 3.14"),
        (&["dtmf", "detect", "none.wav"], "cannot open none.wav"),
    ] {
        let ended = run(&folder, wrong);
        assert!(!ended.status.success() && ended.stderr.contains(said), "{wrong:?}: {}", ended.stderr);
        assert!(!folder.join("e.wav").exists());
    }
}

#[test]
fn a_tone_is_that_of_its_country() {
    let folder = folder("tone");
    run(
        &folder,
        &["tone", "busy", "busy.wav", "--country", "DE", "--seconds", "2", "--rate", "16000", "--level", "-13"],
    )
    .success();
    let (pcm, rate_hz) = wav(&folder.join("busy.wav"));
    assert_eq!((pcm.len(), rate_hz), (32_000, 16_000));
    // 480 ms on, 480 ms off.
    let part = |ms: usize| pcm[ms * 16..][..1_600].iter().map(|&x| i32::from(x).abs()).max().unwrap();
    assert_eq!([part(500), part(800), part(1_450)], [0; 3]);
    // -13 dBm0 is 16.14 dB below full scale.
    assert!([part(100), part(380), part(1_000)].iter().all(|peak| (peak - 5_110).abs() < 30), "{}", part(100));
    for (wrong, said) in [
        (&["tone", "busy", "no.wav", "--country", "xx"][..], "those of at, au, be,"),
        (&["tone", "busy", "no.wav", "--level", "1"], "-63 to 0"),
        (&["tone", "hum", "no.wav"], "dial, busy, ringing"),
        (&["tone", "ced", "no.wav", "--rate", "4000"], "above twice its frequency"),
        (&["tone", "busy"], "OUT.wav"),
        (&["tone", "detect"], "IN.wav|CAPTURE"),
        (&["tone", "detect", "none.wav"], "cannot open none.wav"),
        (&["tone", "detect", "busy.wav", "--country", "xx"], "those of at, au, be,"),
    ] {
        let ended = run(&folder, wrong);
        assert!(!ended.status.success() && ended.stderr.contains(said), "{wrong:?}: {}", ended.stderr);
        assert!(!folder.join("no.wav").exists());
    }
    // And found again, at any rate.
    for (tone, country, rate, lasts) in [
        ("busy", "de", "44100", false),
        ("ringing", "gb", "8000", false),
        ("dial", "us", "48000", true),
        ("cng", "fr", "8000", false),
    ] {
        run(&folder, &["tone", tone, "t.wav", "--country", country, "--seconds", "9", "--rate", rate]).success();
        let found = json(&run(&folder, &["tone", "detect", "t.wav", "--country", country, "--json"]).success().stdout);
        let found = found["tones"].as_array().unwrap();
        assert_eq!((found.len(), found[0]["tone"].as_str()), (1, Some(tone)), "{found:?}");
        assert!(found[0]["start_ms"].as_f64().unwrap() <= 40.0, "{found:?}");
        assert!(!lasts || found[0]["duration_ms"].is_null(), "{found:?}");
    }
    let told = run(&folder, &["tone", "detect", "t.wav", "--country", "us"]).success().stdout;
    assert_eq!(told, "cng at 0.0 s until the end\n");
    assert_eq!(run(&folder, &["tone", "detect", &asset("woman.wav")]).success().stdout, "No tones.\n");
    fs::remove_dir_all(folder).unwrap();
}

/// A tone that is sent in a demo is in its report and its page, in the capture, and in a replay that is asked for it; digits that
/// were said as tones are in such a replay too.
#[test]
fn tones_of_a_call_are_in_its_report_and_its_replay() {
    let folder = folder("call-tones");
    run(&folder, &["dtmf", "generate", "159", "said.wav", "--on", "100", "--off", "400"]).success();
    let demo = ["demo", "--fast", "--seconds", "9", "--codec", "pcma", "--loss", "1", "--burst", "1", "--out", "call"];
    let tones = ["--tone", "busy@2-7", "--tone-country", "de", "--hear-tones", "de", "--input", "said.wav"];
    let ended = run(&folder, &[&demo[..], &tones].concat()).success();
    assert!(
        ended.stdout.lines().any(|line| line.trim_start().starts_with("tones ") && line.contains("busy")),
        "{}",
        ended.stdout
    );
    let row = |rows: &serde_json::Value| {
        let row = &rows.as_array().unwrap_or_else(|| panic!("{rows}"))[0];
        (
            row["tone"].as_str().unwrap().to_owned(),
            row["start_ms"].as_f64().unwrap(),
            row["duration_ms"].as_f64().unwrap(),
        )
    };
    let report = json(&fs::read_to_string(folder.join("call/report.json")).unwrap());
    let (tone, start_ms, duration_ms) = row(&report["sides"][1]["tones"]);
    assert_eq!((&*tone, &report["sides"][0]["tones"]), ("busy", &serde_json::Value::Null));
    assert!(
        (2_000.0..2_150.0).contains(&start_ms) && (4_000.0..5_100.0).contains(&duration_ms),
        "{start_ms} {duration_ms}"
    );
    // Where there are events digits in the sound are heard too if that is asked for.
    let digits: Vec<_> =
        report["sides"][1]["digits"].as_array().unwrap().iter().map(|row| row["digit"].clone()).collect();
    assert_eq!(digits[..3], ["1", "5", "9"]);
    let page = fs::read_to_string(folder.join("call/report.html")).unwrap();
    assert_eq!(page.matches("<span class=\"tone\"").count(), 1);
    let captured = ["call/call.pcap", "--keys", "call/call.keys", "--json"];
    let found = json(&run(&folder, &[&["tone", "detect", "--country", "de"][..], &captured].concat()).success().stdout);
    assert_eq!(row(&found["tones"]).0, "busy");
    let hear = ["--hear-tones", "de"];
    let replayed = json(&run(&folder, &[&["replay"][..], &captured, &hear].concat()).success().stdout);
    let streams = replayed["streams"].as_array().unwrap();
    let has_tones = |stream: &&serde_json::Value| !stream["tones"].as_array().unwrap().is_empty();
    let heard = streams.iter().find(has_tones).unwrap();
    let (tone, again_ms, _) = row(&heard["tones"]);
    assert!(tone == "busy" && (again_ms - start_ms).abs() < 150.0, "{again_ms} {start_ms}");
    assert_eq!(heard["digits"][0]["source"], "in-band");
    let without = json(&run(&folder, &[&["replay"][..], &captured].concat()).success().stdout);
    assert_eq!(without["streams"].as_array().unwrap().iter().filter(has_tones).count(), 0);
    let page = fs::read_to_string(folder.join("media-core-replay/report.html")).unwrap();
    assert!(!page.contains("<span class=\"tone\""));
    for (wrong, said) in
        [(["--tone", "engaged@3"], "there is no tone"), (["--hear-tones", "xx"], "those of at, au, be,")]
    {
        let wrong = run(&folder, &[&demo[..], &wrong].concat());
        assert!(!wrong.status.success() && wrong.stderr.contains(said), "{wrong:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}

/// Keys that are pressed in a demo are in its report, in its capture and in a replay of that; what is no key is told.
#[test]
fn digits_are_pressed_and_told() {
    let folder = folder("digits");
    let demo = ["demo", "--fast", "--seconds", "3", "--codec", "pcmu", "--loss", "10", "--out", "call"];
    let ended = run(&folder, &[&demo[..], &["--dtmf", "12#@1", "--dtmf", "!@2.2"]].concat()).success();
    assert!(ended.stdout.contains("digits ") && ended.stdout.contains("12#flash"), "{}", ended.stdout);
    let digits = |rows: &serde_json::Value| -> Vec<(String, f64)> {
        let row = |row: &serde_json::Value| (row["digit"].as_str().unwrap().into(), row["start_ms"].as_f64().unwrap());
        rows.as_array().unwrap().iter().map(row).collect()
    };
    let report = json(&fs::read_to_string(folder.join("call/report.json")).unwrap());
    let told = digits(&report["sides"][1]["digits"]);
    assert_eq!(told.iter().map(|(digit, _)| &**digit).collect::<Vec<_>>(), ["1", "2", "#", "flash"]);
    assert!((1_000.0..1_300.0).contains(&told[0].1) && (2_200.0..2_500.0).contains(&told[3].1), "{told:?}");
    let page = fs::read_to_string(folder.join("call/report.html")).unwrap();
    assert_eq!(page.matches("<span class=\"digit\"").count(), 4);
    let captured = ["call/call.pcap", "--keys", "call/call.keys", "--json"];
    let found = json(&run(&folder, &[&["dtmf", "detect"][..], &captured].concat()).success().stdout);
    let names: Vec<_> = digits(&found["digits"]).into_iter().map(|(digit, _)| digit).collect();
    assert_eq!(names, ["1", "2", "#", "flash"]);
    assert!(found["digits"].as_array().unwrap().iter().all(|row| row["source"] == "event"), "{found}");
    let replayed = json(&run(&folder, &[&["replay"][..], &captured].concat()).success().stdout);
    assert_eq!(digits(&replayed["streams"][0]["digits"]).len(), 4);
    let wrong = run(&folder, &[&demo[..], &["--dtmf", "12x@1"]].concat());
    assert!(!wrong.status.success() && wrong.stderr.contains("'x' is no key"), "{wrong:?}");
    let wrong = run(&folder, &["dtmf", "detect", "nowhere.pcap"]);
    assert!(!wrong.status.success() && wrong.stderr.starts_with("media-core: "), "{wrong:?}");
    fs::remove_dir_all(folder).unwrap();
}
