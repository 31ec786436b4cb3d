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
use host_std::simulate::bottleneck::BottleneckConfig;
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::proxy::Proxy;
use host_std::wav::{WavSink, WavSource};
use media_core_tests::program::{Running, folder, media_core};
use media_core_tests::score::score;
use media_core_tests::skipped;
use serde_json::Value;

use super::chromium::{Chromium, Page};

mod firefox;
mod many;
mod pictures;
mod quality;
mod way;

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
    server_at("127.0.0.1:0", folder, options)
}

fn server_at(listen: &str, folder: &Path, options: &[&str]) -> (Running, String) {
    let mut command = Command::new(media_core());
    command.current_dir(folder).args(["web", "--listen", listen]).args(options);
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

/// What one reads on the page.
fn shown(page: &Page<'_>) -> Value {
    page.eval("document.body.innerText")
}

/// What `getStats` says of what comes in.
fn inbound(page: &Page<'_>) -> Value {
    page.eval("browserNumbers(call.pc).then(({ inbound }) => JSON.parse(JSON.stringify(inbound)))")
}

/// Unless somebody wants to look at it.
pub(crate) fn remove(folder: PathBuf) {
    if std::env::var_os("MEDIA_CORE_KEEP").is_none() {
        fs::remove_dir_all(folder).unwrap();
    }
}

/// Leads a page's packets through a proxy: the candidates of both sides are its two ports, `window.proxyPorts`.
const THROUGH_PROXY: &str = r#"(() => {
  const call = Whip.prototype.call;
  const candidate = (port) => `a=candidate:1 1 udp 2113937151 127.0.0.1 ${port} typ host\r\n`;
  const only = (text, port) => {
    const sections = text.replace(/a=(candidate:[^\r]*|end-of-candidates)\r\n/g, "").split(/(?=m=)/);
    sections[1] += candidate(port);
    return sections.join("");
  };
  Whip.prototype.trickle = async () => {};
  Whip.prototype.call = async function (offer, name) {
    const answer = await call.call(this, only(offer, window.proxyPorts[1]), name);
    return only(answer, window.proxyPorts[0]);
  };
})()"#;

/// Presses Call, and puts a network between the page and its server.
pub(crate) fn call_through(runtime: &tokio::runtime::Runtime, page: &Page<'_>, network: NetworkConfig, seed: u64) {
    call_through_link(runtime, page, network, None, seed);
}

/// The same with a narrow link in front of the network, in each direction.
pub(crate) fn call_through_link(
    runtime: &tokio::runtime::Runtime,
    page: &Page<'_>,
    network: NetworkConfig,
    link: Option<BottleneckConfig>,
    seed: u64,
) {
    // Whoever sends first to a port is who sits behind it.
    let peers = [([127, 0, 0, 1], 0).into(); 2];
    let mut proxy = runtime.block_on(Proxy::bind(peers, network, seed)).unwrap();
    if let Some(link) = link {
        proxy.set_bottlenecks(link);
    }
    let [near, far] = proxy.ports().unwrap();
    runtime.spawn(proxy.run(Clock::start()));
    page.eval(&format!("window.proxyPorts = [{near}, {far}]"));
    page.eval(THROUGH_PROXY);
    page.eval("document.getElementById('call').click()");
    page.wait_for("document.getElementById('state').dataset.kind === 'talking'");
}
