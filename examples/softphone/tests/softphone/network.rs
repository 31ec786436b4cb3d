//! Two softphones over a bad network: what loses, delays and reorders their packets stands between, and names itself
//! in their descriptions.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use host_std::session::driver::Clock;
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::proxy::Proxy;

use crate::heard::While;
use crate::phone::{Phone, Setup, folder};

const ALICE: u32 = 360;
const BOB: u32 = 620;

/// Signalling that is passed on: from whoever sends first to `callee` and back, with the ports of descriptions
/// replaced.
struct Relay {
    port: u16,
    ends: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Relay {
    fn start(callee: u16, network: NetworkConfig) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let port = socket.local_addr().unwrap().port();
        let ends = Arc::new(AtomicBool::new(false));
        let ended = ends.clone();
        let thread = std::thread::spawn(move || pass_on(&socket, callee, network, &ended));
        Self { port, ends, thread: Some(thread) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn pass_on(socket: &UdpSocket, callee: u16, network: NetworkConfig, ended: &AtomicBool) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let callee = SocketAddr::from(([127, 0, 0, 1], callee));
    let (mut caller, mut ports) = (None, None);
    let mut buffer = [0; 65_535];
    while !ended.load(Ordering::Relaxed) {
        let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
        let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
        let is_call = from != callee;
        if is_call {
            caller = Some(from);
        }
        // A repeated INVITE has the same media.
        if let (Some(media), true, None) = (media_port(&text), is_call, ports) {
            let peers = [SocketAddr::from(([127, 0, 0, 1], media)), SocketAddr::from(([127, 0, 0, 1], 0))];
            let proxy = runtime.block_on(Proxy::bind(peers, network, 1)).unwrap();
            ports = Some(proxy.ports().unwrap());
            runtime.spawn(proxy.run(Clock::start()));
        }
        let text = match ports {
            Some([to_caller, to_callee]) => with_media_port(&text, if is_call { to_callee } else { to_caller }),
            None => text,
        };
        let to = if is_call { Some(callee) } else { caller };
        if let Some(to) = to {
            socket.send_to(text.as_bytes(), to).unwrap();
        }
    }
}

fn media_port(text: &str) -> Option<u16> {
    text.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok())
}

fn with_media_port(text: &str, port: u16) -> String {
    let Some(before) = media_port(text) else { return text.into() };
    let text = text.replacen(&format!("m=audio {before} "), &format!("m=audio {port} "), 1);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return text };
    let head: Vec<String> = head
        .split("\r\n")
        .map(|line| match line.to_ascii_lowercase().starts_with("content-length") {
            true => format!("Content-Length: {}", body.len()),
            false => line.into(),
        })
        .collect();
    format!("{}\r\n\r\n{body}", head.join("\r\n"))
}

fn bad_network(test: &str, codec: &str) {
    let folder = folder(test);
    let media = format!("codecs = [\"{codec}\"]");
    let mut alice = Phone::start(&folder, "alice", ALICE, &Setup { media: media.clone(), ..Setup::default() });
    let answers = Setup { media, phone: "auto_answer = true".into(), ..Setup::default() };
    let mut bob = Phone::start(&folder, "bob", BOB, &answers);
    let network = NetworkConfig {
        loss_percent: 3.0,
        delay_ms: 40.0,
        jitter_ms: 15.0,
        reorder_percent: 1.0,
        duplicate_percent: 1.0,
        ..NetworkConfig::default()
    };
    let relay = Relay::start(bob.port, network);
    alice.type_in(&format!("call sip:bob@127.0.0.1:{}", relay.port));
    alice.wait("line 1: up");
    bob.wait("line 1: up");
    let talk = While::pass(Duration::from_secs(8));
    alice.type_in("lines");
    let told = alice.wait_for("packets received");
    let lost: u32 = told.rsplit(", ").next().and_then(|lost| lost.split(' ').next()?.parse().ok()).unwrap();
    alice.type_in("hold");
    bob.wait("they hold");
    let held = While::pass(Duration::from_millis(2_500));
    alice.type_in("resume");
    bob.wait("they talk again");
    let again = While::pass(Duration::from_secs(4));
    bob.type_in("hangup");
    alice.wait("ended: hung up");
    let (alice, bob) = (alice.leave(), bob.leave());
    // 400 packets, of which 12 don't arrive: a network that isn't bad would be no test.
    assert!((2..=40).contains(&lost), "{told}");
    for While { from, to } in [&talk, &again] {
        alice.has(BOB, *from, *to);
        bob.has(ALICE, *from, *to);
    }
    alice.lacks(BOB, held.from, held.to);
    bob.lacks(ALICE, held.from, held.to);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn softphone_talks_over_a_bad_network_in_pcmu() {
    bad_network("bad-pcmu", "pcmu");
}

#[test]
fn softphone_talks_over_a_bad_network_in_opus() {
    bad_network("bad-opus", "opus");
}
