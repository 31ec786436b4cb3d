//! A flood at a call's port. The test has a file of its own: others that run beside it would take the processors that it is
//! about.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use host_std::device::FileIo;
use host_std::registry::CodecFormat;
use host_std::session::driver::{Clock, Driver, Ended, Status};
use host_std::session::{Call, CallConfig};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

/// Two threads send as fast as they can what is no packet of the call: the sound goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_does_not_stop_the_sound() {
    let clock = Clock::start();
    let rtp = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
    let here = rtp.local_addr().unwrap();
    let call =
        |port| Call::new(CallConfig { codecs: vec![CodecFormat::pcmu()], ..CallConfig::new(port).unwrap() }).unwrap();
    let (mut call, mut peer) = (call(here.port()), call(9));
    let answer = peer.answer(clock.now(), &call.offer().unwrap()).unwrap();
    call.accept(clock.now(), &answer).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let floods = [(); 2].map(|()| {
        let over = Arc::clone(&over);
        std::thread::spawn(move || {
            let socket = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
            let mut sent = 0u64;
            while !over.load(Ordering::Relaxed) {
                sent += u64::from(socket.send_to(&[0x80; 172], here).is_ok());
            }
            sent
        })
    });
    let (_commands, from_user) = mpsc::channel(1);
    let (status, _) = watch::channel(Status::default());
    let audio = Box::new(FileIo::null(8_000));
    let time_limit = Some(Duration::from_secs(2));
    let driver = Driver { time_limit, ..Driver::new(call, rtp, audio, clock) };
    let finished = driver.run(from_user, status).await;
    over.store(true, Ordering::Relaxed);
    let sent: u64 = floods.into_iter().map(|flood| flood.join().unwrap()).sum();
    let (seconds, played) = (clock.now().as_micros() as f64 / 1e6, finished.audio.counters().played);
    println!("{sent} datagrams in {seconds:.1} s; {played} samples played, {:?}", finished.call.stats().foreign);
    assert!(matches!(finished.ended, Ended::TimeOver), "{:?}", finished.ended);
    assert!(sent > 10_000, "{sent} datagrams are no flood");
    // It ends at a tick, and each tick up to then was played.
    assert!(played as f64 >= (seconds.min(2.0) - 0.1) * 8_000.0 && seconds < 10.0, "{played} samples in {seconds} s");
}
