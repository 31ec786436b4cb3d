//! The page of all calls in Chromium: what it shows of running calls is what their numbers say, and who may see it.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use host_std::simulate::netsim::NetworkConfig;
use media_core_tests::program::folder;

use super::browser::{LIMIT, alone, call_through, plain, press_call, remove, server, speech};
use super::chromium::{Chromium, Page};

/// What is shown in the lines of numbers of the first call, by their names.
const NUMBERS: &str = "Object.fromEntries([...document.querySelectorAll('.numbers div')].map((row) => [...row.children].map((one) => one.textContent)))";

fn text(page: &Page<'_>, selector: &str) -> String {
    let shown = page.eval(&format!("(document.querySelector('{selector}') || {{}}).textContent"));
    shown.as_str().unwrap_or_default().to_owned()
}

/// In `.ci/run` too: a browser calls, and another page shows its call, its graphs and its end.
#[test]
fn browser_dashboard_smoke() {
    let _alone = alone();
    let folder = folder("dashboard-smoke");
    let microphone = speech(&folder, "woman", 20);
    let Some(browser) = Chromium::start(&folder, Some(&microphone)) else { return };
    let (server, address) = server(&folder, &[]);
    let dashboard = browser.open(&format!("{address}calls"));
    dashboard.wait_for("!document.getElementById('none').hidden && document.getElementById('hint').hidden");
    let page = browser.open(&address);
    plain(&page);
    press_call(&page);
    dashboard.wait_for("document.querySelectorAll('.call').length === 1");
    dashboard.wait_for("document.querySelector('.call .state').textContent.startsWith('connected, 0:0')");
    // Each graph has a line of what is heard here, and the levels one of what is heard there.
    dashboard.wait_for("[...document.querySelectorAll('.graph path.ours')].every((path) => path.getAttribute('d').split('L').length > 3)");
    dashboard.wait_for("document.querySelectorAll('.graph path.theirs')[3].getAttribute('d').split('L').length > 3");
    assert!(text(&dashboard, ".facts").starts_with("opus/48000/2"), "{}", text(&dashboard, ".facts"));
    assert!(text(&dashboard, ".facts").contains("SRTP"), "{}", text(&dashboard, ".facts"));
    assert_eq!(text(&dashboard, "#head"), "1 call");
    assert!(text(&dashboard, "#news").starts_with("Call 1: "), "{}", text(&dashboard, "#news"));
    let labels = "[...document.querySelectorAll('.graph .values')].every((one) => /^here [^,]*(, the other side [^,]*)?$/.test(one.getAttribute('aria-label')))";
    assert_eq!(dashboard.eval(labels), true);
    // What the page shows is what its call's numbers are, which its own page asks for too.
    page.eval("document.getElementById('call').click()");
    dashboard.wait_for("document.querySelector('.call').dataset.over === 'true'");
    let told = page.eval(
        "fetch(document.getElementById('report').href.replace('report.html', 'stats')).then((one) => one.json())",
    );
    let numbers = dashboard.eval(NUMBERS);
    let shown = |name: &str| numbers[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(shown("Packets received"), told["received"]["packets"].to_string(), "{numbers} {told}");
    assert_eq!(shown("Packets sent"), told["sent"]["packets"].to_string(), "{numbers} {told}");
    assert_eq!(shown("Packets lost"), format!("{} (0.0 %)", told["received"]["lost"]), "{numbers} {told}");
    assert_eq!(text(&dashboard, "#head"), "Calls");
    server.interrupt();
    server.wait(LIMIT).success();
    dashboard.wait_for("!document.getElementById('hint').hidden");
    assert!(text(&dashboard, "#hint").contains("doesn't answer any more"));
    remove(folder);
}

/// With a token the page asks for it, and shows nothing before; one in the address is taken from there.
#[test]
fn browser_dashboard_wants_the_token() {
    let _alone = alone();
    let folder = folder("dashboard-token");
    let Some(browser) = Chromium::start(&folder, None) else { return };
    let (server, address) = server(&folder, &["--token", "s3cret"]);
    let (plain, secret) = address.split_once('#').unwrap();
    let page = browser.open(&format!("{plain}calls"));
    page.wait_for("!document.getElementById('form').hidden");
    for (token, shown) in [("wrong", "hint"), ("s3cret", "none")] {
        page.eval(&format!("document.getElementById('token').value = '{token}'"));
        page.eval("document.getElementById('form').requestSubmit()");
        page.wait_for(&format!("!document.getElementById('{shown}').hidden"));
    }
    page.wait_for("document.getElementById('form').hidden && document.getElementById('hint').hidden");
    let page = browser.open(&format!("{plain}calls#{secret}"));
    page.wait_for("document.getElementById('form').hidden && location.hash === ''");
    server.interrupt();
    server.wait(LIMIT).success();
    fs::remove_dir_all(folder).unwrap();
}

/// Pictures of the page for whoever wants to look at them: `MEDIA_CORE_PICTURES` is their folder.
#[test]
fn browser_dashboard_pictures() {
    let Some(to) = std::env::var_os("MEDIA_CORE_PICTURES").map(PathBuf::from) else { return };
    let _alone = alone();
    let folder = folder("dashboard-pictures");
    let microphone = speech(&folder, "woman", 90);
    let Some(browser) = Chromium::start(&folder, Some(&microphone)) else { return };
    let (server, address) = server(&folder, &[]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let dashboard = browser.open(&format!("{address}calls"));
    let networks = [
        NetworkConfig { loss_percent: 3.0, burst: 2.0, jitter_ms: 20.0, delay_ms: 40.0, ..NetworkConfig::default() },
        NetworkConfig { delay_ms: 15.0, jitter_ms: 4.0, ..NetworkConfig::default() },
    ];
    let pages: Vec<_> = networks
        .into_iter()
        .enumerate()
        .map(|(n, network)| {
            let page = browser.open(&address);
            plain(&page);
            call_through(&runtime, &page, network, n as u64 + 1);
            page
        })
        .collect();
    // Nothing is heard of this one.
    pages[0].eval("document.getElementById('mute').click()");
    sleep(Duration::from_secs(12));
    pages[0].eval("document.getElementById('mute').click()");
    sleep(Duration::from_secs(38));
    let pictures = |page: &Page<'_>, name: &str| {
        for (width, place) in [(1_200, "desktop"), (390, "telephone")] {
            for (dark, scheme) in [(false, "light"), (true, "dark")] {
                page.picture(&to.join(format!("{name}-{place}-{scheme}.png")), width, dark);
            }
        }
    };
    pictures(&dashboard, "dashboard");
    dashboard.eval("document.querySelector('.call details').open = true");
    pages[1].eval("document.getElementById('call').click()");
    dashboard.wait_for("document.querySelector('.call[data-over=true]') !== null");
    pictures(&dashboard, "dashboard-over");
    drop(server);
    dashboard.wait_for("!document.getElementById('hint').hidden");
    pictures(&dashboard, "dashboard-gone");
    remove(folder);
}
