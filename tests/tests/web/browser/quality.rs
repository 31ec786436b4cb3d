//! How speech comes over: what each side heard, scored against what the other said.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use host_std::simulate::bottleneck::BottleneckConfig;
use host_std::simulate::netsim::NetworkConfig;
use media_core_tests::program::{Running, folder};
use media_core_tests::score::pesq;
use media_core_tests::skipped;
use serde_json::Value;

use super::*;

/// Networks that a call is scored over.
const SEEDS: u64 = 5;

/// What the browser says it lost, and made up where somebody spoke: shares in percent.
fn losses(stats: &Value) -> [f64; 2] {
    let number = |name: &str| stats[name].as_f64().unwrap_or(0.0);
    let made_up = number("concealedSamples") - number("silentConcealedSamples");
    let lost = number("packetsLost") / (number("packetsLost") + number("packetsReceived")).max(1.0);
    [lost, made_up / number("totalSamplesReceived").max(1.0)].map(|share| 100.0 * share)
}

/// What came of one call.
struct Scored {
    /// PESQ of what the server heard.
    here: f64,
    /// PESQ of what the browser heard.
    there: f64,
    losses: [f64; 2],
}

/// A row of the table: of several calls their mean and the worst.
fn row(what: &str, scale: &str, calls: &[Scored]) -> [f64; 2] {
    let mean = |value: fn(&Scored) -> f64| calls.iter().map(value).sum::<f64>() / calls.len() as f64;
    let (here, there) = (mean(|call| call.here), mean(|call| call.there));
    let worst = |value: fn(&Scored) -> f64| calls.iter().map(value).fold(f64::INFINITY, f64::min);
    println!(
        "browser-row | {what} | {} | {scale} | {here:.2} / {:.2} | {there:.2} / {:.2} | {:.1} %, {:.1} % |",
        calls.len(),
        worst(|call| call.here),
        worst(|call| call.there),
        mean(|call| call.losses[0]),
        mean(|call| call.losses[1])
    );
    [here, there]
}

/// A folder with what a woman says to the browser and a man to the server, each for so many seconds, and a browser with her voice;
/// `None`: there is no browser.
fn two_voices(name: &str, seconds: usize) -> Option<(PathBuf, Chromium)> {
    let folder = folder(name);
    let microphone = speech(&folder, "woman", seconds);
    speech(&folder, "man", seconds);
    let browser = Chromium::start(&folder, Some(&microphone))?;
    Some((folder, browser))
}

/// 20 s both ways on a network that loses nothing.
#[test]
fn browser_clean_call() {
    if !long() {
        return;
    }
    let _alone = alone();
    let Some((folder, browser)) = two_voices("browser-clean", 40) else { return };
    let (microphone, file) = (folder.join("woman.wav"), folder.join("man.wav"));
    let mut calls = Vec::new();
    for _ in 0..3 {
        let (server, address) = server(&folder, &["--with", "man.wav", "--speaker", "spoken.wav"]);
        let page = browser.open(&address);
        plain(&page);
        press_call(&page);
        page.eval(LISTEN);
        sleep(Duration::from_secs(20));
        assert_eq!(page.eval("document.getElementById('state').dataset.kind"), "talking", "{}", shown(&page));
        let losses = losses(&inbound(&page));
        write(&folder.join("heard.wav"), &heard(&page));
        page.eval("document.getElementById('call').click()");
        page.wait_for("document.getElementById('state').dataset.kind === 'idle'");
        page.close();
        server.interrupt();
        server.wait(LIMIT).success();
        let here = pesq("wb", &microphone, &folder.join("spoken.wav"), false);
        let there = pesq("wb", &file, &folder.join("heard.wav"), false);
        println!("{here:.2} {there:.2} {losses:?}");
        calls.push(Scored { here, there, losses });
    }
    row("Chromium, clean", "PESQ-WB", &calls);
    assert!(calls.iter().all(|call| call.here >= 4.0 && call.there >= 4.0));
    remove(folder);
}

/// What a page calls.
#[derive(Clone, Copy)]
enum Peer<'a> {
    /// `media-core web`.
    Ours,
    /// aiortc, by this Python.
    Aiortc(&'a str),
}

impl Peer<'_> {
    fn name(self) -> &'static str {
        match self {
            Peer::Ours => "ours",
            Peer::Aiortc(_) => "aiortc",
        }
    }
}

/// A call of 30 s over a network, and what came of it.
fn call_over(browser: &Chromium, folder: &Path, peer: Peer<'_>, network: NetworkConfig, seed: u64) -> Scored {
    let (microphone, file) = (folder.join("woman.wav"), folder.join("man.wav"));
    let (server, address) = server(folder, &["--with", "man.wav", "--speaker", "spoken.wav"]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let page = browser.open(&address);
    plain(&page);
    let aiortc = match peer {
        Peer::Ours => None,
        Peer::Aiortc(python) => {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/aiortc_whip.py");
            let mut command = Command::new(python);
            let aiortc =
                Running::start(command.arg(script).arg(&file).arg(folder.join("spoken.wav")), folder, "aiortc");
            let begin = Instant::now();
            while aiortc.stdout().is_empty() {
                assert!(begin.elapsed() < LIMIT, "{}", aiortc.stderr());
                sleep(Duration::from_millis(50));
            }
            page.eval(&format!("settings.endpoint = '{}'", aiortc.stdout().trim()));
            Some(aiortc)
        }
    };
    call_through(&runtime, &page, network, seed);
    page.eval(LISTEN);
    sleep(Duration::from_secs(30));
    let (stats, told) = (inbound(&page), page.eval("call.whip.stats()"));
    let [here, there] = ["here", "there"].map(|side| folder.join(format!("{}-{seed}-{side}.wav", peer.name())));
    write(&there, &heard(&page));
    page.eval("document.getElementById('call').click()");
    page.wait_for("document.getElementById('state').dataset.kind === 'idle'");
    if let Some(aiortc) = aiortc {
        // What it heard is whole when it has answered the page.
        sleep(Duration::from_secs(2));
        aiortc.signal("TERM");
        aiortc.wait(LIMIT);
    }
    page.close();
    server.interrupt();
    server.wait(LIMIT).success();
    assert_eq!(told["restarts"], 0, "{told}");
    fs::rename(folder.join("spoken.wav"), &here).unwrap();
    let (here, there) = (pesq("nb", &microphone, &here, false), pesq("nb", &file, &there, false));
    println!("seed {seed}: {here:.2} {there:.2} {:?}\n{told}\n{stats}", losses(&stats));
    Scored { here, there, losses: losses(&stats) }
}

/// 5 % of the packets lost in bursts, and 30 ms of jitter, both ways; aiortc in our place over the same networks.
#[test]
fn browser_bad_network() {
    if !long() {
        return;
    }
    let _alone = alone();
    let Some((folder, browser)) = two_voices("browser-bad", 60) else { return };
    let network = NetworkConfig { loss_percent: 5.0, burst: 2.0, jitter_ms: 30.0, ..NetworkConfig::default() };
    let calls =
        |peer: Peer<'_>| (1..=SEEDS).map(|seed| call_over(&browser, &folder, peer, network, seed)).collect::<Vec<_>>();
    let ours = calls(Peer::Ours);
    let [here, there] = row("Chromium, 5 % lost in bursts, 30 ms jitter", "PESQ-NB", &ours);
    let python = std::env::var("MEDIA_CORE_PYTHON").unwrap_or_else(|_| "python3".into());
    let import = Command::new(&python).args(["-c", "import aiortc"]).output();
    if import.is_ok_and(|import| import.status.success()) {
        let aiortc = calls(Peer::Aiortc(&python));
        let [_, of_aiortc] = row("the same, aiortc in our place", "PESQ-NB", &aiortc);
        assert!(there >= of_aiortc, "Chromium hears us with {there}, and aiortc with {of_aiortc}");
    } else {
        skipped::lacks("aiortc is not installed (pip install aiortc; MEDIA_CORE_PYTHON)");
    }
    assert!(here >= 3.2, "{here}");
    remove(folder);
}

/// A call of 40 s through a link of `rate_bps` that loses so much behind it, of which the second half is told: PESQ-WB of what the
/// browser heard, what it lost in percent, the mean wait in its jitter buffer in ms, and what the server sent in kbit/s.
fn call_through_narrow_link(browser: &Chromium, folder: &Path, cell: [f64; 2], adapts: bool) -> [f64; 4] {
    let [rate_bps, loss_percent] = cell;
    let mut options = vec!["--with", "man.wav", "--speaker", "spoken.wav"];
    options.extend(adapts.then_some("--adapt"));
    let (server, address) = server(folder, &options);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let page = browser.open(&address);
    plain(&page);
    let network = NetworkConfig { delay_ms: 20.0, loss_percent, ..NetworkConfig::default() };
    call_through_link(&runtime, &page, network, Some(BottleneckConfig { rate_bps, queue_ms: 300.0, bulk: None }), 1);
    sleep(Duration::from_secs(20));
    let before = inbound(&page);
    page.eval(LISTEN);
    sleep(Duration::from_secs(20));
    let after = inbound(&page);
    let file = folder.join(format!("{rate_bps}-{loss_percent}-{adapts}.wav"));
    write(&file, &heard(&page));
    page.eval("document.getElementById('call').click()");
    page.wait_for("document.getElementById('state').dataset.kind === 'idle'");
    page.close();
    server.interrupt();
    server.wait(LIMIT).success();
    let between = |name: &str| after[name].as_f64().unwrap_or(0.0) - before[name].as_f64().unwrap_or(0.0);
    let lost = 100.0 * between("packetsLost") / (between("packetsLost") + between("packetsReceived")).max(1.0);
    let waited = 1e3 * between("jitterBufferDelay") / between("jitterBufferEmittedCount").max(1.0);
    [pesq("wb", &folder.join("man.wav"), &file, false), lost, waited, between("bytesReceived") * 8.0 / 20e3]
}

/// Chromium tells by transport-wide feedback when each packet came; what the server sends follows it.
#[test]
fn browser_narrow_link() {
    if !long() {
        return;
    }
    let _alone = alone();
    let Some((folder, browser)) = two_voices("browser-narrow", 60) else { return };
    let mut scores = Vec::new();
    // What Chromium sends itself fits in, or it would lose its own checks of the way and end the call.
    for cell in [[100e3, 0.0], [100e3, 5.0], [100e3, 10.0]] {
        let calls = [true, false].map(|adapts| call_through_narrow_link(&browser, &folder, cell, adapts));
        let told =
            calls.map(|[score, lost, waited, sent]| format!("{score:.2}; {lost:.1} %; {waited:.0} ms; {sent:.1}"));
        println!("narrow-row | {} kbit/s, {} % | {} | {} |", cell[0] / 1e3, cell[1], told[0], told[1]);
        scores.push(calls.map(|call| call[0]));
    }
    let mean = |call: usize| scores.iter().map(|score| score[call]).sum::<f64>() / scores.len() as f64;
    assert!(mean(0) > mean(1) - 0.1, "{scores:?}");
    remove(folder);
}
