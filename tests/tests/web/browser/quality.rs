//! How speech comes over: what each side heard, scored against what the other said.

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use host_std::simulate::netsim::NetworkConfig;
use media_core_tests::program::folder;
use serde_json::Value;

use super::*;

/// PESQ of what was heard, wideband (`wb`) or narrowband (`nb`), by the meters' Python.
fn pesq(mode: &str, said: &Path, heard: &Path) -> f64 {
    let meters = std::env::var("MEDIA_CORE_METERS")
        .unwrap_or_else(|_| format!("{}/.cache/media-core-meters", std::env::var("HOME").unwrap_or_default()));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/heard_speech.py");
    let scored = Command::new(format!("{meters}/bin/python")).arg(script).arg(mode).args([said, heard]).output();
    let scored = scored.expect("the meters of MEDIA_CORE_METERS");
    let text = String::from_utf8_lossy(&scored.stdout).into_owned();
    let words: Vec<f64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [score, stretches] = words[..] else { panic!("{text}{}", String::from_utf8_lossy(&scored.stderr)) };
    assert!(stretches >= 1.0, "no stretch of speech in {}", heard.display());
    score
}

fn concealed(stats: &Value) -> String {
    let number = |name: &str| stats[name].as_f64().unwrap_or(0.0);
    let share =
        (number("concealedSamples") - number("silentConcealedSamples")) / number("totalSamplesReceived").max(1.0);
    let lost = number("packetsLost") / (number("packetsLost") + number("packetsReceived")).max(1.0);
    format!("{:.1} %, {:.1} %", 100.0 * lost, 100.0 * share)
}

/// 20 s both ways on a network that loses nothing.
#[test]
fn browser_clean_call() {
    if !long() {
        return;
    }
    let _alone = alone();
    let folder = folder("browser-clean");
    let (microphone, file) = (speech(&folder, "woman", 40), speech(&folder, "man", 40));
    let Some(browser) = Chromium::start(&folder, Some(&microphone)) else { return };
    let (server, address) = server(&folder, &["--with", "man.wav", "--speaker", "spoken.wav"]);
    let page = browser.open(&address);
    plain(&page);
    press_call(&page);
    page.eval(LISTEN);
    sleep(Duration::from_secs(20));
    assert_eq!(page.eval("document.getElementById('state').dataset.kind"), "talking", "{}", shown(&page));
    let stats = inbound(&page);
    write(&folder.join("heard.wav"), &heard(&page));
    page.eval("document.getElementById('call').click()");
    page.wait_for("document.getElementById('state').dataset.kind === 'idle'");
    server.interrupt();
    server.wait(LIMIT).success();
    let ours = pesq("wb", &microphone, &folder.join("spoken.wav"));
    let theirs = pesq("wb", &file, &folder.join("heard.wav"));
    println!("browser-row | Chromium, clean | PESQ-WB | {ours:.2} | {theirs:.2} | {} |", concealed(&stats));
    assert!(ours >= 4.0 && theirs >= 4.0, "{ours} {theirs}");
    remove(folder);
}

/// 5 % of the packets lost in bursts, and 30 ms of jitter, both ways.
#[test]
fn browser_bad_network() {
    if !long() {
        return;
    }
    let _alone = alone();
    let folder = folder("browser-bad");
    let (microphone, file) = (speech(&folder, "woman", 60), speech(&folder, "man", 60));
    let Some(browser) = Chromium::start(&folder, Some(&microphone)) else { return };
    let (server, address) = server(&folder, &["--with", "man.wav", "--speaker", "spoken.wav"]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let page = browser.open(&address);
    plain(&page);
    let network = NetworkConfig { loss_percent: 5.0, burst: 2.0, jitter_ms: 30.0, ..NetworkConfig::default() };
    call_through(&runtime, &page, network, 1);
    page.eval(LISTEN);
    sleep(Duration::from_secs(30));
    let (stats, told) = (inbound(&page), page.eval("call.whip.stats()"));
    write(&folder.join("heard.wav"), &heard(&page));
    page.eval("document.getElementById('call').click()");
    page.wait_for("document.getElementById('state').dataset.kind === 'idle'");
    server.interrupt();
    server.wait(LIMIT).success();
    let ours = pesq("nb", &microphone, &folder.join("spoken.wav"));
    let theirs = pesq("nb", &file, &folder.join("heard.wav"));
    println!(
        "browser-row | Chromium, 5 % lost in bursts, 30 ms jitter | PESQ-NB | {ours:.2} | {theirs:.2} | {} |",
        concealed(&stats)
    );
    println!("{told}\n{stats}");
    assert!(ours >= 3.2, "{ours}");
    assert_eq!(told["restarts"], 0, "{told}");
    remove(folder);
}
