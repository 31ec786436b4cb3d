//! Many callers, callers that are gone, and callers that may not.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use media_core_tests::program::folder;

use super::*;

/// Two pages in one room: each hears the other and not himself, and sees who speaks.
#[test]
fn browser_room() {
    if !long() {
        return;
    }
    let _alone = alone();
    let folder = folder("browser-room");
    let (microphone, silence) = (speech(&folder, "woman", 60), folder.join("silence.wav"));
    write(&silence, &vec![0; 48_000 * 60]);
    let (first, second) = (folder.join("1"), folder.join("2"));
    fs::create_dir_all(&first).unwrap();
    fs::create_dir_all(&second).unwrap();
    let Some(speaker) = Chromium::start(&first, Some(&microphone)) else { return };
    let Some(listener) = Chromium::start(&second, Some(&silence)) else { return };
    let (_server, address) = server(&folder, &["--with", "room"]);
    let (ann, bo) = (speaker.open(&address), listener.open(&address));
    for (page, name) in [(&ann, "<b>Ann</b>"), (&bo, "Bo")] {
        plain(page);
        page.eval(&format!("document.getElementById('name').value = '{name}'"));
        press_call(page);
        page.eval(LISTEN);
    }
    let people = "[...document.querySelectorAll('#people li')].map((one) => one.textContent)";
    bo.wait_for(&format!("({people}).length === 2"));
    bo.wait_for(&format!("({people}).some((text) => text.startsWith('<b>Ann</b>') && text.endsWith('speaks'))"));
    assert_eq!(bo.eval("document.querySelectorAll('#people b').length"), 0, "a name was taken for HTML");
    ann.wait_for(&format!("({people}).some((text) => text.startsWith('<b>Ann</b> (you)'))"));
    sleep(Duration::from_secs(5));
    let loudest = |page: &Page<'_>| heard(page).iter().map(|sample| sample.unsigned_abs()).max().unwrap();
    let (ann_heard, bo_heard) = (loudest(&ann), loudest(&bo));
    assert!(ann_heard < 100 && bo_heard > 3_000, "{ann_heard} {bo_heard}");
    bo.eval("document.getElementById('call').click()");
    ann.wait_for(&format!("({people}).length === 1"));
    remove(folder);
}

/// The browser is killed: nobody says goodbye, and within 30 s nothing of the call is left.
#[test]
fn browser_gone_without_goodbye() {
    if !long() {
        return;
    }
    let _alone = alone();
    let folder = folder("browser-gone");
    let microphone = speech(&folder, "woman", 60);
    let Some(browser) = Chromium::start(&folder, Some(&microphone)) else { return };
    let (server, address) = server(&folder, &["--max-calls", "1"]);
    let page = browser.open(&address);
    press_call(&page);
    // A tab that is closed says goodbye; another one may call at once.
    page.close();
    let page = browser.open(&address);
    let begin = Instant::now();
    while page.eval("document.getElementById('state').dataset.kind") != "talking" {
        assert!(begin.elapsed() < Duration::from_secs(10), "the closed tab has its place still");
        page.eval("call || document.getElementById('call').click()");
        sleep(Duration::from_millis(200));
    }
    browser.kill();
    let second = folder.join("2");
    fs::create_dir_all(&second).unwrap();
    let Some(browser) = Chromium::start(&second, Some(&microphone)) else { return };
    let page = browser.open(&address);
    let begin = Instant::now();
    while page.eval("document.getElementById('state').dataset.kind") != "talking" {
        assert!(begin.elapsed() < Duration::from_secs(30), "its place is not free");
        page.eval("call || document.getElementById('call').click()");
        sleep(Duration::from_millis(500));
    }
    println!("noticed after {:.0} s", begin.elapsed().as_secs_f64());
    server.interrupt();
    let ended = server.wait(LIMIT).success();
    assert!(ended.stderr.contains("3 calls"), "{ended:?}");
    remove(folder);
}

/// Who has no token is told so, and with it the call comes about; over TLS.
#[test]
fn browser_token_and_tls() {
    if !long() {
        return;
    }
    let _alone = alone();
    let folder = folder("browser-token");
    let microphone = speech(&folder, "woman", 20);
    let Some(browser) = Chromium::start(&folder, Some(&microphone)) else { return };
    let (_server, address) = server(&folder, &["--token", "s3cret#&%", "--tls", "self"]);
    assert!(address.starts_with("https://127.0.0.1:") && address.ends_with("/#token=s3cret%23%26%25"), "{address}");
    let page = browser.open(address.split('#').next().unwrap());
    page.eval("document.getElementById('token').value = 'wrong'");
    page.eval("document.getElementById('call').click()");
    page.wait_for("document.getElementById('state').textContent === 'The call was refused.'");
    page.wait_for("document.getElementById('hint').textContent.includes('The token is wrong')");
    let page = browser.open(&address);
    assert_eq!(page.eval("location.hash"), "", "the token stays in the address");
    press_call(&page);
    remove(folder);
}

/// 20 calls at once, each of which hears itself.
#[test]
fn browser_twenty_calls() {
    if !long() {
        return;
    }
    let _alone = alone();
    let folder = folder("browser-twenty");
    let microphone = speech(&folder, "woman", 60);
    let Some(browser) = Chromium::start(&folder, Some(&microphone)) else { return };
    let (server, address) = server(&folder, &["--max-calls", "20"]);
    let page = browser.open(&address);
    page.eval(
        "(async () => {
          const stream = await microphone();
          PageCall.prototype.hear = () => {};
          window.calls = await Promise.all(Array.from({ length: 20 }, async () => {
            const one = new PageCall(stream.clone());
            await one.start();
            return one;
          }));
        })()",
    );
    page.wait_for("calls.every((one) => one.pc.connectionState === 'connected')");
    sleep(Duration::from_secs(15));
    let states = page
        .eval("Promise.all(calls.map(async (one) => (await one.whip.stats()).state + ' ' + one.pc.connectionState))");
    assert!(states.as_array().unwrap().iter().all(|state| state == "talking connected"), "{states}");
    let counts = "Promise.all(calls.map(async (one) => {
        const [told, { inbound }] = await Promise.all([one.whip.stats(), browserNumbers(one.pc)]);
        return [told.received.packets, told.sent.packets, inbound.packetsReceived];
      }))";
    let counts = page.eval(counts);
    let least = counts.as_array().unwrap().iter().flat_map(|counts| counts.as_array().unwrap());
    assert!(least.map(|count| count.as_u64().unwrap()).min() > Some(150), "in 15 s: {counts}");
    page.eval("document.getElementById('call').click()");
    page.wait_for("document.getElementById('hint').textContent.includes('20 calls are the most at once')");
    page.eval("Promise.all(calls.map((one) => one.whip.end()))");
    server.interrupt();
    let ended = server.wait(LIMIT).success();
    assert!(ended.stderr.contains("20 calls; 1 requests refused, busy 1"), "{ended:?}");
    remove(folder);
}
