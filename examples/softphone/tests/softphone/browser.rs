//! A browser that talks along: a call of WHIP (RFC 9725) beside one of SIP.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use host_std::device::FileIo;
use host_std::sdp::SrtpPolicy;
use host_std::session::driver::{Clock, Command, Driver, Status};
use host_std::session::{Call, CallConfig, IceConfig, IceMode, Keying};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

use crate::heard::{Heard, RATE, While, write_tone};
use crate::phone::{Phone, Setup, folder, free_port};

const ALICE: u32 = 360;
const BOB: u32 = 620;
const BROWSER: u32 = 1_140;

const WHILE: Duration = Duration::from_millis(2_500);

/// Posts an offer; the status and the body of the answer.
fn post(port: u16, token: &str, offer: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(
        stream,
        "POST /whip HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Type: application/sdp\r\n\
         Authorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{offer}",
        offer.len()
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.into())
}

/// Calls the phone's page as a browser does, saying a tone, for `time`; `None` where it's refused.
fn call(folder: &Path, port: u16, token: &str, time: Duration) -> Option<Heard> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (says, hears) = (folder.join("browser-says.wav"), folder.join("browser-heard.wav"));
    write_tone(&says, BROWSER, RATE);
    let begin = runtime.block_on(async {
        let rtp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut call = Call::new(CallConfig {
            srtp: SrtpPolicy::Required,
            keying: Keying::Dtls,
            ice: IceConfig { mode: IceMode::Full, required: true, ..IceConfig::default() },
            ..CallConfig::new(rtp.local_addr().unwrap().port()).unwrap()
        })
        .unwrap();
        let (status, answer) = post(port, token, &call.offer().unwrap());
        if status != 201 {
            return None;
        }
        let clock = Clock::start();
        call.accept(clock.now(), &answer).unwrap();
        let audio = FileIo::null(RATE).capture_from(&says, true).unwrap().play_to(&hears).unwrap();
        let driver = Driver::new(call, rtp, Box::new(audio), clock);
        let (commands, from_user) = mpsc::channel(16);
        let (told, _) = watch::channel(Status::default());
        let begin = Instant::now();
        let run = tokio::spawn(driver.run(from_user, told));
        tokio::time::sleep(time).await;
        commands.send(Command::HangUp).await.unwrap();
        let mut finished = run.await.unwrap();
        finished.audio.close().unwrap();
        Some(begin)
    });
    begin.map(|begin| Heard::read(&hears, begin, "the browser"))
}

#[test]
fn softphone_has_a_browser_talk_along() {
    let folder = folder("browser");
    let page = free_port();
    let web = format!("[web]\nlisten = \"127.0.0.1:{page}\"\ntoken = \"sesame\"\n");
    let setup = Setup { web, ..Setup::default() };
    let mut alice = Phone::start(&folder, "alice", ALICE, &setup);
    let mut bob = Phone::start(&folder, "bob", BOB, &Setup::default());
    alice.type_in(&format!("call {}", bob.address()));
    bob.wait("calls");
    bob.type_in("answer");
    alice.wait_all(&["line 1: up (", "sound arrives"]);

    assert!(call(&folder, page, "sesam", WHILE).is_none(), "a wrong token is refused");
    let place = folder.clone();
    let browser = std::thread::spawn(move || call(&place, page, "sesame", 3 * WHILE));
    alice.wait("a browser talks along");
    // Its keys and its way take a moment.
    std::thread::sleep(Duration::from_secs(1));
    let along = While::pass(WHILE);
    alice.type_in("hold");
    alice.wait("line 1: on hold");
    let held = While::pass(WHILE);
    let heard_there = browser.join().unwrap().expect("the token is right");
    alice.wait("a browser has left");
    alice.type_in("resume");
    bob.wait("they talk again");
    let alone = While::pass(WHILE);
    let (alice, bob) = (alice.leave(), bob.leave());

    let While { from, to } = along;
    for (heard, others) in [(&alice, [BOB, BROWSER]), (&bob, [ALICE, BROWSER]), (&heard_there, [ALICE, BOB])] {
        others.into_iter().for_each(|hz| heard.has(hz, from, to));
    }
    heard_there.lacks(BROWSER, from, to);
    // A line on hold is out of it; who is at the desk still talks with the browser.
    let While { from, to } = held;
    bob.lacks(BROWSER, from, to);
    heard_there.lacks(BOB, from, to);
    alice.has(BROWSER, from, to);
    let While { from, to } = alone;
    bob.lacks(BROWSER, from, to);
    bob.has(ALICE, from, to);
    fs::remove_dir_all(folder).unwrap();
}
