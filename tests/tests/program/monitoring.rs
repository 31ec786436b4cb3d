//! Calls told of while they run: metrics that are scraped, the dashboard's numbers, lines in a file and quality reports, each
//! compared with the call's own report.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use host_std::wav::WavSink;
use media_core_tests::program::{Running, folder, media_core, read_when_there};
use serde_json::Value;

use super::cli::{asset, json, run};

const LIMIT: Duration = Duration::from_secs(40);

/// A caller or an answerer with these options; it ends by a signal or with the other.
fn start(folder: &Path, words: &[&str], options: &[&str]) -> Running {
    let mut command = Command::new(media_core());
    command.current_dir(folder).args(words).args(["--address", "127.0.0.1", "--codec", "pcmu", "--json"]).args(options);
    Running::start(&mut command, folder, words[0])
}

fn call(folder: &Path, offerer: &[&str], answerer: &[&str]) -> [Running; 2] {
    let first = start(folder, &["offer", "--write", "offer.sdp", "--read", "answer.sdp"], offerer);
    read_when_there(&folder.join("offer.sdp"), LIMIT);
    [first, start(folder, &["answer", "offer.sdp", "--write", "answer.sdp"], answerer)]
}

/// The address behind `name: http://` that a program told.
#[track_caller]
fn address(program: &Running, name: &str) -> (String, String) {
    let begin = Instant::now();
    let head = format!("{name}: http://");
    loop {
        let told = program.stderr();
        if let Some(line) = told.lines().find_map(|line| line.strip_prefix(&head)) {
            let (host, path) = line.split_at(line.find('/').expect("a path"));
            return (host.into(), path.into());
        }
        assert!(begin.elapsed() < LIMIT, "no {name}: {told}");
        sleep(Duration::from_millis(20));
    }
}

/// Status and body of what is asked for.
#[track_caller]
fn get(host: &str, path: &str, headers: &[&str]) -> (u16, String) {
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let own = if headers.iter().any(|header| header.starts_with("Host:")) {
        String::new()
    } else {
        format!("Host: {host}\r\n")
    };
    let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    write!(stream, "GET {path} HTTP/1.1\r\n{own}{more}Connection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer of HTTP");
    (head[9..12].parse().unwrap(), body.to_owned())
}

/// The value of a metric, by its name and labels.
#[track_caller]
fn metric(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name).filter(|rest| rest.starts_with(' ')));
    line.unwrap_or_else(|| panic!("no {name}: {text}")).trim().parse().unwrap()
}

/// Waits until something holds of what `look` gives.
#[track_caller]
fn wait_for<T>(mut look: impl FnMut() -> T, is_right: impl Fn(&T) -> bool) -> T
where
    T: std::fmt::Debug,
{
    let begin = Instant::now();
    loop {
        let seen = look();
        if is_right(&seen) {
            return seen;
        }
        assert!(begin.elapsed() < LIMIT, "{seen:?}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_is_told_of_a_running_call_is_what_its_report_says() {
    let folder = folder("monitoring");
    let (woman, man) = (asset("woman.wav"), asset("man.wav"));
    let said = ["--microphone", man.as_str(), "--repeat", "--speaker", "null"];
    let options = [
        &[
            "--microphone",
            woman.as_str(),
            "--repeat",
            "--speaker",
            "null",
            "--metrics",
            "127.0.0.1:0",
            "--dashboard",
            "0",
        ][..],
        &["--stats-file", "stats.jsonl", "--stats-every", "0.5", "--vq-report", "reports.txt"],
    ]
    .concat();
    let [offerer, answerer] = call(&folder, &options, &said);
    let (metrics, path) = address(&offerer, "metrics");
    let (dashboard, _) = address(&offerer, "dashboard");
    assert_eq!(path, "/metrics");
    let received = "media_core_packets_received_total";
    let scrape = || get(&metrics, "/metrics", &[]).1;
    // While it runs.
    let running = wait_for(scrape, |text| text.contains(received) && metric(text, received) >= 150.0);
    assert_eq!(metric(&running, "media_core_calls"), 1.0);
    assert_eq!(metric(&running, "media_core_calls_begun_total"), 1.0);
    assert!(running.contains("# HELP media_core_packets_lost_total RTP packets that never came"), "{running}");
    assert!(running.contains("# TYPE media_core_playout_delay_seconds histogram"), "{running}");
    assert!(metric(&running, "media_core_mos_listening_count") >= 2.0, "{running}");
    assert!(!running.contains("127.0.0.1") && !running.contains("@"), "somebody is named: {running}");
    let data = |query: &str| json(&get(&dashboard, &format!("/data{query}"), &[]).1);
    let shown =
        wait_for(|| data("?all"), |data| data["calls"][0]["moments"].as_array().is_some_and(|all| all.len() >= 4));
    let of_call = &shown["calls"][0];
    assert_eq!((&of_call["state"], &of_call["codec"]), (&"talking".into(), &"PCMU/8000, 20 ms".into()), "{shown}");
    assert!(of_call["protection"].as_str().unwrap().starts_with("SRTP"), "{shown}");
    assert!(!shown.to_string().contains("127.0.0.1"), "{shown}");
    let moment = &of_call["moments"][3];
    assert!(moment["mos"].as_f64().unwrap() > 4.0 && moment["lost_percent"] == 0.0, "{moment}");
    assert!(moment["level_dbov"].as_f64().unwrap() > -60.0 && moment["delay_ms"].as_f64().unwrap() > 20.0, "{moment}");

    // The other side goes; this one waits for 7 s whether it comes back, and is asked meanwhile: nothing more comes.
    answerer.interrupt();
    answerer.wait(LIMIT).success();
    sleep(Duration::from_millis(2_500));
    let (last, shown) = (scrape(), data(""));
    offerer.interrupt();
    let report = json(&offerer.wait(LIMIT).success().stdout);

    // A scrape during the call against the report at its end.
    for (name, field) in [
        ("media_core_packets_received_total", "packets_received"),
        ("media_core_packets_lost_total", "packets_lost"),
        ("media_core_packets_late_total", "packets_late"),
        ("media_core_packets_refused_total", "packets_refused"),
    ] {
        assert_eq!(metric(&last, name), report[field].as_f64().unwrap(), "{name}: {last}\n{report}");
    }
    let of_sum =
        metric(&last, "media_core_playout_delay_seconds_sum") / metric(&last, "media_core_playout_delay_seconds_count");
    let mean_ms = report["playout_delay_mean_ms"].as_f64().unwrap();
    assert!((of_sum * 1e3 - mean_ms).abs() < 5.0 + 0.2 * mean_ms, "{of_sum} {mean_ms}");
    let sent = metric(&last, "media_core_packets_sent_total");
    assert!(sent > 100.0 && sent <= report["packets_sent"].as_f64().unwrap(), "{sent}");

    // The dashboard's numbers are the report's, field by field: all that nothing more can have come of.
    let figures = shown["calls"][0]["figures"].as_object().unwrap();
    let still = [
        "packets_received",
        "packets_lost",
        "packets_late",
        "packets_duplicate",
        "mos_lq",
        "jitter_ms",
        "restarts",
        "playout_delay_mean_ms",
    ];
    for name in still {
        assert_eq!(figures[name], report[name], "{name}");
    }
    for name in figures.keys() {
        assert!(report.get(name).is_some(), "the report has no {name}");
    }

    // The last line is the report itself, but for what only a summary has.
    let lines = fs::read_to_string(folder.join("stats.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(json).collect();
    assert!(lines.len() >= 6, "{}", lines.len());
    let end = lines.last().unwrap();
    assert_eq!(end["state"], "ended", "{end}");
    for (name, value) in end["figures"].as_object().unwrap() {
        assert_eq!(value, &report[name], "{name}");
    }
    let sum: u64 = lines.iter().map(|line| line["interval"]["packets_received"].as_u64().unwrap()).sum();
    assert_eq!(sum, report["packets_received"].as_u64().unwrap(), "the lines' intervals add up to the call");
    assert!(lines.windows(2).all(|pair| pair[0]["at"].as_str() < pair[1]["at"].as_str()));

    // Quality reports: one each half second, and one of all of the call.
    let reports = fs::read_to_string(folder.join("reports.txt")).unwrap();
    let reports: Vec<&str> = reports.split_terminator("\r\n\r\n").collect();
    let (whole, each) = reports.split_last().unwrap();
    assert!(each.len() >= 4 && each.iter().all(|report| report.starts_with("VQIntervalReport\r\n")), "{reports:?}");
    assert!(whole.starts_with("VQSessionReport: CallTerm\r\n"), "{whole}");
    let mos = format!("MOSLQ={:.2} ", report["mos_lq"].as_f64().unwrap());
    assert!(whole.contains(&mos) && whole.contains("NLR=0.00 JDR="), "{mos}: {whole}");
    assert!(whole.contains("PT=0 PD=PCMU SR=8000 PPS=50 FD=20 FPP=1 PLC=2 SSUP=off"), "{whole}");
    fs::remove_dir_all(folder).unwrap();
}

/// A microphone that is off is told in words while the call runs: on the terminal, in the lines, on the dashboard; and at
/// its end in the summary, all the same ones.
#[test]
fn a_microphone_that_is_off_is_told_everywhere() {
    let folder = folder("silent-microphone");
    let silence = folder.join("silence.wav");
    let mut sink = WavSink::create(&silence, 8_000).unwrap();
    sink.write(&[0; 80_000]).unwrap();
    sink.finish().unwrap();
    let woman = asset("woman.wav");
    let silent = [
        "--microphone",
        "silence.wav",
        "--repeat",
        "--speaker",
        "null",
        "--dashboard",
        "0",
        "--stats-file",
        "stats.jsonl",
        "--stats-every",
        "1",
    ];
    let [offerer, answerer] = call(&folder, &silent, &["--microphone", &woman, "--repeat", "--speaker", "null"]);
    let (host, _) = address(&offerer, "dashboard");
    let words =
        "The microphone was digital silence (all samples alike) all the time: it is off, muted, or not plugged in";
    let findings =
        |data: &Value| data["calls"][0]["findings"].as_array().is_some_and(|all| all.iter().any(|one| one == words));
    wait_for(|| json(&get(&host, "/data", &[]).1), findings);
    wait_for(|| offerer.stderr(), |told| told.contains(&format!("mind: {words}")));
    // The other side hears nothing of it, and says so by itself.
    wait_for(|| answerer.stderr(), |told| told.contains("mind: One-way sound: what was received was"));
    offerer.interrupt();
    let report = json(&offerer.wait(LIMIT).success().stdout);
    assert!(report["findings"].as_array().unwrap().iter().any(|finding| finding["words"] == words), "{report}");
    let lines = fs::read_to_string(folder.join("stats.jsonl")).unwrap();
    assert!(lines.lines().last().unwrap().contains(words), "{lines}");
    answerer.interrupt();
    answerer.wait(LIMIT);
    fs::remove_dir_all(folder).unwrap();
}

/// Who may look: this machine's programs; elsewhere whoever has the token. Pages of other sites and other names may not.
#[test]
fn a_dashboard_is_not_for_everybody() {
    let folder = folder("dashboard-access");
    let [offerer, answerer] = call(&folder, &["--null", "--dashboard", "0"], &["--null", "--dashboard", "0.0.0.0:0"]);
    let (here, path) = address(&offerer, "dashboard");
    assert!(here.starts_with("127.0.0.1:") && path == "/", "{here}{path}");
    assert_eq!(get(&here, "/data", &[]).0, 200);
    let (status, page) = get(&here, "/", &[]);
    assert!(status == 200 && page.contains("<h1"), "{page}");
    for (headers, status) in [
        (&["Origin: https://evil.example"][..], 403),
        (&["Host: evil.example"], 421),
        (&["X-Forwarded-For: 192.0.2.1"], 403),
        (&["Forwarded: for=192.0.2.1"], 403),
    ] {
        let (got, words) = get(&here, "/data", headers);
        assert_eq!(got, status, "{headers:?}: {words}");
        assert!(json(&words)["title"].as_str().is_some_and(|title| !title.is_empty()), "{words}");
    }
    let (everywhere, path) = address(&answerer, "dashboard");
    let port = everywhere.rsplit(':').next().unwrap();
    let host = format!("127.0.0.1:{port}");
    let token = path.strip_prefix("/#token=").expect("a token in the address");
    assert_eq!(token.len(), 32);
    assert_eq!(get(&host, "/data", &[]).0, 401);
    assert_eq!(get(&host, "/data", &["Authorization: Bearer wrong"]).0, 401);
    assert_eq!(get(&host, "/data", &[&format!("Authorization: Bearer {token}")]).0, 200);
    assert_eq!(get(&host, "/", &[]).0, 200);
    // The dashboard is there before the call is.
    for side in [&offerer, &answerer] {
        wait_for(|| side.stderr(), |told| told.contains("talking with"));
    }
    sleep(Duration::from_millis(300));
    assert!(answerer.stderr().contains("mind: the dashboard's token"), "{}", answerer.stderr());
    for side in [offerer, answerer] {
        side.interrupt();
        side.wait(LIMIT);
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_conference_has_metrics_of_its_callers() {
    let folder = folder("conference-metrics");
    let mut command = Command::new(media_core());
    command.current_dir(&folder).args(["conference", "--demo", "3", "--seconds", "6", "--metrics", "127.0.0.1:0"]);
    let conference = Running::start(&mut command, &folder, "conference");
    let (host, _) = address(&conference, "metrics");
    let scrape = || get(&host, "/metrics", &[]).1;
    let text = wait_for(scrape, |text| {
        text.contains("media_core_packets_received_total") && metric(text, "media_core_packets_received_total") > 300.0
    });
    assert_eq!(metric(&text, "media_core_calls"), 3.0, "{text}");
    conference.wait(LIMIT).success();
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_can_not_be_had_is_told_before_the_call() {
    let folder = folder("monitoring-mistakes");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let cases: [(&[&str], &str); 6] = [
        (&["--metrics", &taken], "--metrics: cannot listen at"),
        (&["--dashboard", &taken], "--dashboard: cannot listen at"),
        (&["--dashboard", "localhost"], "must be a port, or an address and a port"),
        (&["--metrics", "9100"], "--metrics"),
        (&["--stats-file", "no/such/folder"], "cannot write no/such/folder"),
        (&["--vq-report", "x", "--stats-every", "0"], "from 0.1 to 86400"),
    ];
    for (options, told) in cases {
        let ended = run(&folder, &[&["offer", "--null"][..], options].concat());
        assert!(!ended.status.success() && ended.stderr.contains(told), "{options:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{options:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}
