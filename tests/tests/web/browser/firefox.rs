//! Firefox calls: the page as it is, its fake microphone's tone, the echo of it.

use std::thread::sleep;
use std::time::Duration;

use media_core_tests::program::folder;

use super::*;
use crate::firefox::Firefox;

/// How loud what comes back is, and its frequency in Hz: the loudest of a second's spectra.
const LISTEN: &str = "
    const context = new AudioContext();
    await context.resume();
    const analyser = context.createAnalyser();
    analyser.fftSize = 8192;
    context.createMediaStreamSource(document.getElementById('audio').srcObject).connect(analyser);
    const bins = new Float32Array(analyser.frequencyBinCount);
    let best = [-200, 0];
    for (let n = 0; n < 20; n += 1) {
        await new Promise((done) => setTimeout(done, 100));
        analyser.getFloatFrequencyData(bins);
        bins.forEach((level, bin) => { if (level > best[0]) best = [level, bin * context.sampleRate / analyser.fftSize]; });
    }
    await context.close();
    return best;";

/// It calls over TLS at this machine's own address, since it looks for no way to 127.0.0.1; hears its own tone, presses a key, holds and comes back, and hangs up.
#[test]
fn browser_firefox() {
    if !long() {
        return;
    }
    let _alone = alone();
    let folder = folder("browser-firefox");
    let Some(firefox) = Firefox::start(&folder) else { return };
    let (server, address) = server_at("0.0.0.0:0", &folder, &["--tls", "self"]);
    if address.contains("127.0.0.1") {
        return skipped::skip("a call of Firefox: this machine has no address but 127.0.0.1");
    }
    firefox.open(&address);
    let state = |kind: &str| format!("document.getElementById('state').dataset.kind === '{kind}'");
    let click = |id: &str| firefox.run(&format!("document.getElementById('{id}').click();"));
    let told = || {
        let stats =
            "return (await fetch(document.getElementById('report').href.replace('report.html', 'stats'))).json();";
        firefox.run(stats)
    };
    click("call");
    firefox.wait_for(&state("talking"));
    sleep(Duration::from_secs(3));
    let heard = firefox.run(LISTEN);
    let (level, tone) = (heard[0].as_f64().unwrap(), heard[1].as_f64().unwrap());
    println!("it hears {level:.0} dB at {tone:.0} Hz; {}", told());
    assert!(level > -60.0 && (200.0..2_000.0).contains(&tone), "{heard}");
    let first = told();
    assert_eq!(first["state"], "talking", "{first}");
    assert!(first["codec"].as_str().unwrap().starts_with("opus"), "{first}");
    assert!(first["received"]["level_dbov"].as_f64().is_some_and(|level| level > -60.0), "{first}");

    firefox.run("document.querySelector('#keys button').click();");
    firefox.wait_for("document.getElementById('digits').textContent === '1'");
    click("hold");
    firefox.wait_for(&state("held"));
    sleep(Duration::from_secs(1));
    let held = told()["received"]["packets"].as_u64().unwrap();
    sleep(Duration::from_secs(2));
    assert!(told()["received"]["packets"].as_u64().unwrap() <= held + 2, "sound on hold");
    click("hold");
    firefox.wait_for(&state("talking"));
    sleep(Duration::from_secs(3));
    let last = told();
    assert!(last["received"]["packets"].as_u64().unwrap() > held + 50, "{last}");
    assert_eq!(last["received"]["lost"], 0, "{last}");
    click("call");
    firefox.wait_for(&state("idle"));
    server.interrupt();
    let ended = server.wait(LIMIT).success();
    assert!(ended.stderr.contains("1 calls; 0 requests refused"), "{ended:?}");
    remove(folder);
}
