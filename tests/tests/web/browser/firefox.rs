//! Firefox calls: the page as it is, its fake microphone's tone, the echo of it.

use std::thread::sleep;
use std::time::Duration;

use media_core_tests::program::folder;

use super::*;
use crate::firefox::Firefox;

/// It calls over TLS at this machine's own address, since it looks for no way to 127.0.0.1; says its tone, gets the echo,
/// presses a key, holds and comes back, and hangs up.
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
    // What it hears it tells in its reports, which come each 5 s; without a sound card it plays nothing that could be listened to.
    sleep(Duration::from_secs(8));
    let first = told();
    assert_eq!(first["state"], "talking", "{first}");
    assert!(first["codec"].as_str().unwrap().starts_with("opus"), "{first}");
    println!("{first}");
    assert_eq!(first["sent"]["lost_share"], 0.0, "{first}");
    assert!(first["sent"]["level_dbov"].as_f64().is_some_and(|level| level > -60.0), "{first}");
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
    assert!(last["received"]["lost"].as_i64().unwrap() < 10, "{last}");
    click("call");
    firefox.wait_for(&state("idle"));
    server.interrupt();
    let ended = server.wait(LIMIT).success();
    assert!(ended.stderr.contains("1 calls; 0 requests refused"), "{ended:?}");
    remove(folder);
}
