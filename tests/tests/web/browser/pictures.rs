//! Pictures of the page.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use host_std::simulate::netsim::NetworkConfig;
use media_core_tests::program::folder;

use super::*;

/// Pictures of the page for whoever wants to look at them: `MEDIA_CORE_PICTURES` is their folder.
#[test]
fn browser_pictures() {
    let Some(to) = std::env::var_os("MEDIA_CORE_PICTURES").map(PathBuf::from) else { return };
    let _alone = alone();
    let folder = folder("browser-pictures");
    let microphone = speech(&folder, "woman", 60);
    let pictures = |page: &Page<'_>, name: &str| {
        for (width, place) in [(1_200, "desktop"), (390, "telephone")] {
            for (dark, scheme) in [(false, "light"), (true, "dark")] {
                page.picture(&to.join(format!("{name}-{place}-{scheme}.png")), width, dark);
            }
        }
    };
    let Some(deaf) = Chromium::start_with(&folder, None, &["--use-fake-ui-for-media-stream"]) else { return };
    let (running, address) = server(&folder, &["--with", "room", "--token", "s3cret"]);
    let page = deaf.open(&address);
    pictures(&page, "idle");
    page.eval("document.getElementById('call').click()");
    page.wait_for("document.getElementById('state').dataset.kind === 'bad'");
    pictures(&page, "no-microphone");
    drop(deaf);
    let Some(browser) = Chromium::start(&folder, Some(&microphone)) else { return };
    let page = browser.open(address.split('#').next().unwrap());
    page.eval("document.getElementById('token').value = 'wrong'");
    page.eval("document.getElementById('call').click()");
    page.wait_for("document.getElementById('state').dataset.kind === 'bad'");
    pictures(&page, "refused");
    drop(page);
    let tabs: Vec<_> = (["Ann", "Bo", "Somebody with quite a long name, as it goes"].into_iter())
        .map(|name| {
            let page = browser.open("about:blank");
            page.eval(&format!("location.href = '{address}'"));
            page.wait_for("document.readyState === 'complete' && typeof settings === 'object'");
            page.eval(&format!("document.getElementById('name').value = '{name}'"));
            press_call(&page);
            page
        })
        .collect();
    sleep(Duration::from_secs(4));
    pictures(&tabs[2], "room");
    drop(running);
    tabs[2].wait_for("document.getElementById('state').dataset.kind === 'waiting'");
    pictures(&tabs[2], "way-lost");
    tabs[2].wait_for("document.getElementById('state').dataset.kind === 'bad'");
    pictures(&tabs[2], "lost");
    let (_running, address) = server(&folder, &["--with", "echo"]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let page = browser.open(&address);
    let network = NetworkConfig { loss_percent: 2.0, burst: 2.0, jitter_ms: 15.0, ..NetworkConfig::default() };
    call_through(&runtime, &page, network, 3);
    sleep(Duration::from_secs(40));
    page.eval("document.querySelector('#keys button').click()");
    sleep(Duration::from_secs(2));
    pictures(&page, "call");
    let report = page.eval("document.getElementById('report').href");
    let report = browser.open(report.as_str().unwrap());
    pictures(&report, "report");
    remove(folder);
}
