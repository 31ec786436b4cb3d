//! Chromium calls: its page is ours, its microphone a file of speech.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dsp_core::time::Duration as Length;
use host_std::session::driver::Clock;
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::proxy::Proxy;
use host_std::wav::{WavSink, WavSource};
use media_core_tests::program::{Running, folder, media_core};
use media_core_tests::score::score;
use media_core_tests::skipped;
use serde_json::Value;

use super::chromium::{Chromium, Page};

pub(crate) const LIMIT: Duration = Duration::from_secs(60);
const ASSETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../host-std/assets");
/// Puts what the page plays into `heard`, as numbers from -1 to 1.
const LISTEN: &str = r#"(async () => {
  window.heard = [];
  const context = new AudioContext({ sampleRate: 48000 });
  const code = `class Listener extends AudioWorkletProcessor {
    process([[channel]]) { if (channel) this.port.postMessage(channel.slice()); return true; }
  }
  registerProcessor("listener", Listener);`;
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const listener = new AudioWorkletNode(context, "listener", { numberOfOutputs: 0 });
  listener.port.onmessage = ({ data }) => window.heard.push(data);
  context.createMediaStreamSource(document.getElementById("audio").srcObject).connect(listener);
  await context.resume();
  return true;
})()"#;
/// What was heard, as 16-bit numbers in base64.
const HEARD: &str = r#"(() => {
  const bytes = new Uint8Array(window.heard.reduce((sum, part) => sum + part.length, 0) * 2);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const part of window.heard) for (const sample of part) {
    view.setInt16(at, Math.max(-32768, Math.min(32767, Math.round(sample * 32768))), true);
    at += 2;
  }
  let text = "";
  for (let from = 0; from < bytes.length; from += 32768) text += String.fromCharCode(...bytes.subarray(from, from + 32768));
  return btoa(text);
})()"#;

/// `media-core web` with these options, and the address that it printed.
pub(crate) fn server(folder: &Path, options: &[&str]) -> (Running, String) {
    let mut command = Command::new(media_core());
    command.current_dir(folder).args(["web", "--listen", "127.0.0.1:0"]).args(options);
    command.env("MEDIA_CORE_LOG", "warn,host_std=debug");
    let server = Running::start(&mut command, folder, "web");
    let begin = Instant::now();
    loop {
        if let Some(address) = server.stdout().lines().next() {
            return (server, address.to_owned());
        }
        assert!(begin.elapsed() < LIMIT, "no address: {}", server.stderr());
        sleep(Duration::from_millis(20));
    }
}

/// One browser at a time: two of them on a small machine hear each other's load.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the long tests are asked for.
fn long() -> bool {
    let asked = std::env::var("MEDIA_CORE_PEERS").as_deref() == Ok("1");
    if !asked {
        skipped::skip("a long test with a browser (MEDIA_CORE_PEERS=1 asks for it)");
    }
    asked
}

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

fn write(path: &Path, pcm: &[i16]) {
    let mut sink = WavSink::create(path, 48_000).unwrap();
    sink.write(pcm).unwrap();
    sink.finish().unwrap();
}

/// Speech of 48 kHz for a fake microphone, as long as this; it begins after a second of silence.
pub(crate) fn speech(folder: &Path, voice: &str, seconds: usize) -> PathBuf {
    let path = folder.join(format!("{voice}.wav"));
    let source = WavSource::open(format!("{ASSETS}/{voice}.wav"), 48_000).unwrap();
    let said = source.read_all(Length::from_secs(60)).unwrap();
    let mut pcm = vec![0; 48_000];
    pcm.extend(said.iter().cycle().take(seconds * 48_000));
    write(&path, &pcm);
    path
}

/// The browser's own processing off.
pub(crate) fn plain(page: &Page<'_>) {
    page.eval("Object.keys(CONSTRAINTS).forEach((name) => (CONSTRAINTS[name] = false))");
}

pub(crate) fn press_call(page: &Page<'_>) {
    page.eval("document.getElementById('call').click()");
    page.wait_for("document.getElementById('state').dataset.kind === 'talking'");
}

fn heard(page: &Page<'_>) -> Vec<i16> {
    let text = page.eval(HEARD);
    let bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
    bytes.as_chunks::<2>().0.iter().map(|sample| i16::from_le_bytes(*sample)).collect()
}

/// In `.ci/run` too: the page opens, calls, hears its own echo, presses a key, and hangs up.
#[test]
fn browser_smoke() {
    let _alone = alone();
    let folder = folder("browser-smoke");
    let microphone = speech(&folder, "woman", 20);
    let Some(browser) = Chromium::start(&folder, Some(&microphone)) else { return };
    let (server, address) = server(&folder, &[]);
    let page = browser.open(&address);
    plain(&page);
    press_call(&page);
    page.eval(LISTEN);
    sleep(Duration::from_secs(6));
    let heard = heard(&page);
    page.eval("document.querySelector('#keys button').click()");
    page.wait_for("document.getElementById('digits').textContent === '1'");
    page.eval("document.getElementById('call').click()");
    page.wait_for("document.getElementById('state').dataset.kind === 'idle'");
    write(&folder.join("heard.wav"), &heard);
    let at_16k = |path| WavSource::open(path, 16_000).unwrap().read_all(Length::from_secs(60)).unwrap();
    let score = score(&at_16k(microphone), &at_16k(folder.join("heard.wav")), 16_000);
    println!("{score:?}");
    // Opus twice: no waveform that is the same.
    assert!(score.segments >= 10 && score.median > 0.7, "{score:?}");
    server.interrupt();
    let ended = server.wait(LIMIT).success();
    assert!(ended.stderr.contains("1 calls; 0 requests refused"), "{ended:?}");
    fs::remove_dir_all(folder).unwrap();
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

/// What one reads on the page.
fn shown(page: &Page<'_>) -> Value {
    page.eval("document.body.innerText")
}

/// What `getStats` says of what comes in.
fn inbound(page: &Page<'_>) -> Value {
    page.eval("browserNumbers(call.pc).then(({ inbound }) => JSON.parse(JSON.stringify(inbound)))")
}

fn concealed(stats: &Value) -> String {
    let number = |name: &str| stats[name].as_f64().unwrap_or(0.0);
    let share =
        (number("concealedSamples") - number("silentConcealedSamples")) / number("totalSamplesReceived").max(1.0);
    let lost = number("packetsLost") / (number("packetsLost") + number("packetsReceived")).max(1.0);
    format!("{:.1} %, {:.1} %", 100.0 * lost, 100.0 * share)
}

/// Unless somebody wants to look at it.
pub(crate) fn remove(folder: PathBuf) {
    if std::env::var_os("MEDIA_CORE_KEEP").is_none() {
        fs::remove_dir_all(folder).unwrap();
    }
}

/// Leads a page's packets through a proxy: candidates of both sides are hidden but for the proxy's. Its offer goes on when
/// `window.proxyPort` is there.
const THROUGH_PROXY: &str = r#"(() => {
  const call = Whip.prototype.call;
  Whip.prototype.trickle = async () => {};
  Whip.prototype.call = async function (offer, name) {
    const answer = await call.call(this, offer.replace(/a=candidate:[^\r]*\r\n/g, ""), name);
    const candidate = /(a=candidate:\S+ \d+ udp \d+ 127\.0\.0\.1 )(\d+)/;
    window.serverPort = Number(candidate.exec(answer)[2]);
    while (!window.proxyPort) await sleep(10);
    return answer.replace(candidate, `$1${window.proxyPort}`);
  };
})()"#;

/// Presses Call, and puts a network between the page and its server.
pub(crate) fn call_through(runtime: &tokio::runtime::Runtime, page: &Page<'_>, network: NetworkConfig, seed: u64) {
    page.eval(THROUGH_PROXY);
    page.eval("document.getElementById('call').click()");
    page.wait_for("window.serverPort > 0");
    let server = page.eval("window.serverPort").as_u64().unwrap() as u16;
    let peers = [([127, 0, 0, 1], 0).into(), ([127, 0, 0, 1], server).into()];
    let proxy = runtime.block_on(Proxy::bind(peers, network, seed)).unwrap();
    let [port, _] = proxy.ports().unwrap();
    runtime.spawn(proxy.run(Clock::start()));
    page.eval(&format!("window.proxyPort = {port}"));
    page.wait_for("document.getElementById('state').dataset.kind === 'talking'");
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
    sleep(Duration::from_secs(3));
    assert!(received(&page) <= held + 2, "sound on hold");
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
    sleep(Duration::from_secs(5));
    let least = "Promise.all(calls.map(async (one) => {
        const [told, { inbound }] = await Promise.all([one.whip.stats(), browserNumbers(one.pc)]);
        return Math.min(told.received.packets, inbound.packetsReceived);
      })).then((counts) => Math.min(...counts))";
    let least = page.eval(least).as_u64().unwrap();
    assert!(least > 150, "{least} packets of the call that had least in 5 s");
    page.eval("document.getElementById('call').click()");
    page.wait_for("document.getElementById('hint').textContent.includes('20 calls are the most at once')");
    page.eval("Promise.all(calls.map((one) => one.whip.end()))");
    server.interrupt();
    let ended = server.wait(LIMIT).success();
    assert!(ended.stderr.contains("20 calls; 1 requests refused, busy 1"), "{ended:?}");
    remove(folder);
}

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
