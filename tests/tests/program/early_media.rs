//! The edges of a call at the command line: silence that ends it, and RTP that arrives before the answer does, which is
//! read and counted, and never delay afterwards.

use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use host_std::device::FileIo;
use host_std::registry::CodecFormat;
use host_std::sdp::SrtpPolicy;
use host_std::session::driver::{Clock, Driver, Status};
use host_std::session::{Call, CallConfig, Identity};
use media_core_tests::program::{Running, folder, free_port_pair, media_core, read_when_there};
use tokio::sync::{mpsc, watch};

const LIMIT: Duration = Duration::from_secs(40);

/// Answers at once, and sends at once; but its answer is on its way for `late`.
fn call(late: Duration, srtp: bool) -> serde_json::Value {
    let folder = folder(&format!("early-{}-{srtp}", late.as_secs()));
    let mut command = Command::new(media_core());
    command.current_dir(&folder).args([
        "offer",
        "--write",
        "offer.sdp",
        "--read",
        "answer.sdp",
        "--address",
        "127.0.0.1",
    ]);
    command.args(["--null", "--codec", "pcmu", "--seconds", "4", "--json"]);
    if !srtp {
        command.arg("--no-srtp");
    }
    let offerer = Running::start(&mut command, &folder, "offer");
    let offer = read_when_there(&folder.join("offer.sdp"), LIMIT);
    let port = free_port_pair();
    let config = CallConfig {
        codecs: vec![CodecFormat::pcmu()],
        srtp: if srtp { SrtpPolicy::Required } else { SrtpPolicy::Off },
        ..CallConfig::with_identity(port, Identity::seeded(5))
    };
    let clock = Clock::start();
    let mut peer = Call::new(config).unwrap();
    let answer = peer.answer(clock.now(), &offer).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let rtp = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    rtp.set_nonblocking(true).unwrap();
    let (_commands, from_user) = mpsc::channel(1);
    let (status, _) = watch::channel(Status::default());
    runtime.spawn(async move {
        let rtp = tokio::net::UdpSocket::from_std(rtp).unwrap();
        let audio = Box::new(FileIo::null(8_000));
        let driver = Driver { time_limit: Some(LIMIT), ..Driver::new(peer, rtp, audio, clock) };
        driver.run(from_user, status).await;
    });
    sleep(late);
    fs::write(folder.join("answer.part"), answer).unwrap();
    fs::rename(folder.join("answer.part"), folder.join("answer.sdp")).unwrap();
    let ended = offerer.wait(LIMIT).success();
    fs::remove_dir_all(folder).unwrap();
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn what_comes_before_the_answer_is_read_and_is_no_delay_afterwards() {
    // So that the sequence doesn't wrap unseen before the answer (RFC 4568, 6.4).
    assert!(Identity::seeded(5).first_seq.0 < 1 << 15);
    let calls: Vec<_> = [0, 3, 8]
        .into_iter()
        .flat_map(|seconds| [false, true].map(|srtp| (seconds, srtp)))
        .map(|(seconds, srtp)| std::thread::spawn(move || (seconds, srtp, call(Duration::from_secs(seconds), srtp))))
        .collect();
    for call in calls {
        let (seconds, srtp, summary) = call.join().unwrap();
        let number = |name: &str| summary[name].as_f64().unwrap();
        println!("{seconds} s before the answer, SRTP {srtp}: {summary}");
        assert!(number("packets_early") >= seconds as f64 * 45.0, "{summary}");
        assert!(number("packets_received") >= 170.0, "{summary}");
        assert!(number("packets_lost") <= 2.0, "{summary}");
        assert!(number("playout_delay_mean_ms") < 120.0, "{seconds} s, SRTP {srtp}: {summary}");
        assert!(number("stretched_out_ms") < 150.0, "{summary}");
    }
}

/// Whoever answers and never sends: that ends the call if it should, in words and in the exit code.
#[test]
fn silence_ends_a_call_in_words_and_in_the_exit_code() {
    let folder = folder("silence");
    let mut command = Command::new(media_core());
    command.current_dir(&folder).args(["offer", "--write", "offer.sdp", "--read", "answer.sdp", "--null"]);
    command.args(["--address", "127.0.0.1", "--codec", "pcmu", "--end-after-silence", "1.5", "--seconds", "20"]);
    let offerer = Running::start(&mut command, &folder, "offer");
    let offer = read_when_there(&folder.join("offer.sdp"), LIMIT);
    let config = CallConfig {
        codecs: vec![CodecFormat::pcmu()],
        ..CallConfig::with_identity(free_port_pair(), Identity::seeded(6))
    };
    let answer = Call::new(config).unwrap().answer(Clock::start().now(), &offer).unwrap();
    fs::write(folder.join("answer.part"), answer).unwrap();
    fs::rename(folder.join("answer.part"), folder.join("answer.sdp")).unwrap();
    let ended = offerer.wait(LIMIT);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("nothing came from the other side for 1 s"), "{ended:?}");
    assert!(ended.stdout.contains("nothing came from the other side any more"), "{ended:?}");
    fs::remove_dir_all(folder).unwrap();
}
