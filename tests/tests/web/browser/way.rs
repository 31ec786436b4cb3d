//! A call that changes: mute, hold, another way, and offers of more than sound.

use std::thread::sleep;
use std::time::{Duration, Instant};

use host_std::simulate::netsim::NetworkConfig;
use media_core_tests::program::folder;

use super::*;

/// Mute is silence there, hold is a later offer and back, and a restart of ICE goes on with the sound.
#[test]
fn browser_mute_hold_and_restart() {
    if !long() {
        return;
    }
    let _alone = alone();
    let folder = folder("browser-hold");
    let microphone = speech(&folder, "woman", 60);
    let Some(browser) = Chromium::start(&folder, Some(&microphone)) else { return };
    let (server, address) = server(&folder, &[]);
    let page = browser.open(&address);
    press_call(&page);
    let received = |page: &Page<'_>| page.eval("call.whip.stats()")["received"]["packets"].as_u64().unwrap();

    page.eval("document.getElementById('mute').click()");
    page.wait_for("document.getElementById('state').textContent.includes('muted')");
    page.wait_for(
        "call.whip.stats().then(({ received }) => received.level_dbov === null || received.level_dbov < -70)",
    );
    page.eval("document.getElementById('mute').click()");
    page.wait_for("call.whip.stats().then(({ received }) => received.level_dbov > -45)");

    page.eval("document.getElementById('hold').click()");
    page.wait_for("document.getElementById('state').dataset.kind === 'held'");
    assert_eq!(page.eval("call.transceiver.currentDirection"), "inactive");
    sleep(Duration::from_secs(1));
    let held = received(&page);
    // For longer than anything may be silent that isn't on hold.
    sleep(Duration::from_secs(25));
    assert!(received(&page) <= held + 2, "sound on hold");
    assert_eq!(page.eval("document.getElementById('state').dataset.kind"), "held", "{}", shown(&page));
    page.eval("document.getElementById('hold').click()");
    page.wait_for("document.getElementById('state').dataset.kind === 'talking'");
    let begin = Instant::now();
    while received(&page) < held + 50 {
        assert!(begin.elapsed() < LIMIT, "no sound after hold");
        sleep(Duration::from_millis(100));
    }

    page.eval("call.restart()");
    page.wait_for("call.whip.stats().then(({ restarts }) => restarts === 1)");
    let before = received(&page);
    sleep(Duration::from_secs(3));
    assert!(received(&page) > before + 100, "no sound after a restart");
    assert_eq!(page.eval("call.pc.connectionState"), "connected");
    page.eval("document.getElementById('call').click()");
    server.interrupt();
    server.wait(LIMIT).success();
    remove(folder);
}

/// The network between both is gone; the page looks for another way, and finds it.
#[test]
fn browser_finds_another_way() {
    if !long() {
        return;
    }
    let _alone = alone();
    let folder = folder("browser-way");
    let microphone = speech(&folder, "woman", 60);
    let Some(browser) = Chromium::start(&folder, Some(&microphone)) else { return };
    let (_server, address) = server(&folder, &[]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let page = browser.open(&address);
    call_through(&runtime, &page, NetworkConfig::default(), 1);
    sleep(Duration::from_secs(1));
    runtime.shutdown_background();
    page.wait_for("document.getElementById('state').dataset.kind === 'waiting'");
    page.wait_for("document.getElementById('state').dataset.kind === 'talking'");
    let told = page.eval("call.whip.stats()");
    assert!(told["restarts"].as_u64() >= Some(1) && told["state"] == "talking", "{told}");
    remove(folder);
}

/// A page that wants to send pictures and data too: their lines are refused, the sound isn't, also when they come with a
/// later offer.
#[test]
fn browser_video_and_data_are_refused() {
    if !long() {
        return;
    }
    let _alone = alone();
    let folder = folder("browser-video");
    let microphone = speech(&folder, "woman", 60);
    let Some(browser) = Chromium::start(&folder, Some(&microphone)) else { return };
    let (server, address) = server(&folder, &[]);
    let page = browser.open(&address);
    // Behind the sound: where all is one bundle, Chromium takes no answer that refuses the first line.
    page.eval(
        "(() => {
          const start = PageCall.prototype.start;
          PageCall.prototype.start = async function () {
            const add = this.pc.addTransceiver.bind(this.pc);
            this.pc.addTransceiver = (track, options) => {
              const made = add(track, options);
              window.data = this.pc.createDataChannel('data');
              window.video = add('video', { direction: 'sendrecv' });
              return made;
            };
            return start.call(this);
          };
        })()",
    );
    press_call(&page);
    let lines = "call.pc.remoteDescription.sdp.split('\\r\\n').filter((line) => /^(m=|a=group)/.test(line))";
    let lines = page.eval(lines);
    println!("{lines}");
    let lines: Vec<_> = lines.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let refused = |kind: &str| lines.iter().any(|line| line.starts_with(&format!("m={kind} 0 ")));
    assert!(refused("video") && refused("application"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("m=audio ") && !line.starts_with("m=audio 0 ")), "{lines:?}");
    let group = lines.iter().find(|line| line.starts_with("a=group:BUNDLE")).unwrap();
    assert_eq!(group.split_whitespace().count(), 2, "{group}: only the sound is in it");
    assert_eq!(page.eval("[window.video.currentDirection, window.data.readyState].join()"), "stopped,closed");
    // The call lives: sound both ways, hold and back, a restart.
    let heard = "Promise.all([call.whip.stats(), browserNumbers(call.pc)]).then(
        ([told, { inbound }]) => [told.received.packets, inbound.packetsReceived])";
    let heard = |page: &Page<'_>| {
        let counts = page.eval(heard);
        [0, 1].map(|at| counts[at].as_u64().unwrap())
    };
    let goes_on = |page: &Page<'_>| {
        let before = heard(page);
        sleep(Duration::from_secs(3));
        let after = heard(page);
        assert!(after[0] > before[0] + 100 && after[1] > before[1] + 100, "{before:?} {after:?}");
    };
    goes_on(&page);
    page.eval("document.getElementById('hold').click()");
    page.wait_for("document.getElementById('state').dataset.kind === 'held'");
    page.eval("document.getElementById('hold').click()");
    page.wait_for("document.getElementById('state').dataset.kind === 'talking'");
    goes_on(&page);
    // A later offer with one more of each.
    page.eval(
        "(async () => {
          call.pc.addTransceiver('video', {});
          await call.pc.setLocalDescription();
          const answer = await call.whip.reoffer(call.pc.localDescription.sdp);
          await call.pc.setRemoteDescription({ type: 'answer', sdp: answer });
        })()",
    );
    page.eval("call.restart()");
    page.wait_for("call.whip.stats().then(({ restarts }) => restarts === 1)");
    goes_on(&page);
    page.eval("document.getElementById('call').click()");
    server.interrupt();
    server.wait(LIMIT).success();
    remove(folder);
}
