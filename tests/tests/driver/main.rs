//! The tokio driver over real sockets: a running call is put on hold and resumed by commands.

mod devices;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dsp_core::front::{CaptureBlock, Latency, Near};
use dsp_core::time::{Duration as MediaDuration, Instant};
use host_std::device::{AudioIo, DeviceError, Direction as Way, FileIo, Gaps};
use host_std::registry::CodecFormat;
use host_std::sdp::Direction;
use host_std::session::driver::{Clock, Command, Driver, Ended, Finished, Status};
use host_std::session::{Call, CallConfig, CaptureConfig, CaptureStep, Ending, Latching, OwnBlock};
use media_core_tests::skipped;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot, watch};

/// Runs `change` on the driver's task and brings back what it gives.
async fn change<R: Send + 'static>(
    commands: &mpsc::Sender<Command>,
    change: impl FnOnce(&mut Call, dsp_core::time::Instant) -> R + Send + 'static,
) -> R {
    let (done, result) = oneshot::channel();
    let command = Command::Change(Box::new(move |call, now| {
        assert!(done.send(change(call, now)).is_ok());
    }));
    assert!(commands.send(command).await.is_ok());
    result.await.unwrap()
}

/// The first side offers with this direction, the second answers.
async fn renegotiate(sides: &[mpsc::Sender<Command>; 2], direction: Direction) {
    let offer = change(&sides[0], move |call, _| {
        call.set_direction(direction);
        call.offer().unwrap()
    })
    .await;
    let answer = change(&sides[1], move |call, now| call.answer(now, &offer).unwrap()).await;
    change(&sides[0], move |call, now| call.accept(now, &answer).unwrap()).await;
}

async fn sent(side: &mpsc::Sender<Command>) -> u32 {
    change(side, |call, _| call.stats().sender.packets).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_call_is_held_and_resumed() {
    let clock = Clock::start();
    let mut sockets = Vec::new();
    let mut calls = Vec::new();
    for _ in 0..2 {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let config = CallConfig { codecs: vec![CodecFormat::pcmu()], ..CallConfig::new(port).unwrap() };
        calls.push(Call::new(config).unwrap());
        sockets.push(socket);
    }
    let offer = calls[0].offer().unwrap();
    let answer = calls[1].answer(clock.now(), &offer).unwrap();
    calls[0].accept(clock.now(), &answer).unwrap();
    let mut runs = Vec::new();
    let sides: Vec<_> = calls
        .into_iter()
        .zip(sockets)
        .map(|(call, rtp)| {
            let (commands, from_user) = mpsc::channel(4);
            let (status, _) = watch::channel(Status::default());
            let audio = Box::new(FileIo::null(8_000));
            let driver = Driver::new(call, rtp, audio, clock);
            runs.push(tokio::spawn(driver.run(from_user, status)));
            commands
        })
        .collect();
    let sides: [_; 2] = sides.try_into().unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;

    renegotiate(&sides, Direction::SendOnly).await;
    assert_eq!(change(&sides[1], |call, _| call.negotiated_stream(0).unwrap().direction).await, Direction::RecvOnly);
    let held = sent(&sides[1]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(sent(&sides[1]).await <= held + 1, "the side on hold goes on sending");

    renegotiate(&sides, Direction::SendRecv).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(sent(&sides[1]).await > held + 5, "the call was not resumed");

    assert!(sides[0].send(Command::HangUp).await.is_ok());
    let mut ended = Vec::new();
    for run in runs {
        let Finished { ended: why, .. } = run.await.unwrap();
        ended.push(why);
    }
    assert!(matches!(ended[..], [Ended::HungUp, Ended::Call(Ending::Goodbye)]), "{ended:?}");
}

/// A dual-stack socket has IPv4 addresses as IPv6 ones: they are those of the SDP all the same, also to the strictest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dual_stack_socket_talks_with_an_ipv4_address() {
    let clock = Clock::start();
    let mut calls = Vec::new();
    for address in ["[::]:0", "127.0.0.1:0"] {
        let Ok(socket) = UdpSocket::bind(address).await else {
            skipped::skip("this machine has no IPv6");
            return;
        };
        let port = socket.local_addr().unwrap().port();
        let latching = Latching::Strict;
        let config = CallConfig { codecs: vec![CodecFormat::pcmu()], latching, ..CallConfig::new(port).unwrap() };
        calls.push((Call::new(config).unwrap(), socket));
    }
    let [first, second] = &mut calls[..] else { unreachable!() };
    let offer = first.0.offer().unwrap();
    let answer = second.0.answer(clock.now(), &offer).unwrap();
    first.0.accept(clock.now(), &answer).unwrap();
    let runs: Vec<_> = calls
        .into_iter()
        .map(|(call, rtp)| {
            let (commands, from_user) = mpsc::channel(1);
            let (status, _) = watch::channel(Status::default());
            let (audio, time_limit) = (Box::new(FileIo::null(8_000)), Some(Duration::from_millis(600)));
            let driver = Driver { time_limit, ..Driver::new(call, rtp, audio, clock) };
            tokio::spawn(async move {
                let finished = driver.run(from_user, status).await;
                drop(commands);
                finished
            })
        })
        .collect();
    for run in runs {
        let stats = run.await.unwrap().call.stats();
        assert!(stats.receiver.reception.received > 20 && stats.foreign == 0, "{stats:?}");
    }
}

/// Two calls of PCMU that have agreed, and the sockets they said.
async fn two_calls(clock: &Clock) -> Vec<(Call, UdpSocket)> {
    let mut ends = Vec::new();
    for _ in 0..2 {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let config = CallConfig { codecs: vec![CodecFormat::pcmu()], ..CallConfig::new(port).unwrap() };
        ends.push((Call::new(config).unwrap(), socket));
    }
    let offer = ends[0].0.offer().unwrap();
    let answer = ends[1].0.answer(clock.now(), &offer).unwrap();
    ends[0].0.accept(clock.now(), &answer).unwrap();
    ends
}

/// A stopped process, a closed laptop: time goes on, and afterwards nothing is made up for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_machine_sleeps_through_is_a_pause_both_ways_and_no_delay_afterwards() {
    let clock = Clock::start();
    let (mut sides, mut runs) = (Vec::new(), Vec::new());
    for (call, rtp) in two_calls(&clock).await {
        let (commands, from_user) = mpsc::channel(4);
        let (status, _) = watch::channel(Status::default());
        // Each on a thread and a runtime of its own, as two machines are: a worker of a shared runtime that sleeps may
        // be the one that waits for the sockets and clocks of both.
        let rtp = rtp.into_std().unwrap();
        runs.push(std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let rtp = UdpSocket::from_std(rtp).unwrap();
                Driver::new(call, rtp, Box::new(FileIo::null(8_000)), clock).run(from_user, status).await
            })
        }));
        sides.push(commands);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = change(&sides[0], |call, _| call.stats()).await;
    change(&sides[0], |_, _| std::thread::sleep(Duration::from_secs(4))).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let [woken, other] =
        [change(&sides[0], |call, _| call.stats()).await, change(&sides[1], |call, _| call.stats()).await];
    println!(
        "slept {:?}, {} stale; {} packets before, {} after",
        woken.slept, woken.stale, before.sender.packets, woken.sender.packets
    );
    // What was slept through was not captured: 15 packets in 300 ms, and not 215.
    assert!(woken.sender.packets - before.sender.packets < 60, "{woken:?}");
    assert!((3_500..4_200).contains(&woken.slept.as_millis()), "{:?}", woken.slept);
    assert!((150..230).contains(&woken.stale), "{}", woken.stale);
    // A packet that was sent on waking is no later than those before: its time has gone on.
    assert!(other.receiver.playout_delay.max_us < 300_000, "{:?}", other.receiver.playout_delay);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    for side in &sides {
        let stats = change(side, |call, _| call.stats()).await;
        assert!(stats.receiver.target_delay_ms < 200, "{stats:?}");
    }
    let played = change(&sides[0], |call, _| call.stats().receiver).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let now = change(&sides[0], |call, _| call.stats().receiver).await;
    assert!(now.decoded_samples - played.decoded_samples > 7_000, "the other side is heard again: {now:?}");
    assert_eq!(now.time_jumps, 0, "{now:?}");
    assert!(sides[0].send(Command::HangUp).await.is_ok());
    for run in runs {
        run.join().unwrap();
    }
}

/// A device that is lost after 30 reads, and takes a second to be opened anew.
struct Unplugged {
    inner: FileIo,
    reads: u32,
    failure: Option<DeviceError>,
    opening: Arc<AtomicBool>,
    reopened: Arc<AtomicBool>,
}

impl AudioIo for Unplugged {
    fn sample_rate_hz(&self) -> u32 {
        self.inner.sample_rate_hz()
    }
    fn read(&mut self, pcm: &mut [i16]) -> usize {
        self.reads += 1;
        if self.reads == 30 {
            self.failure = Some(DeviceError::NoDevice { direction: Way::Capture, source: None });
        }
        self.inner.read(pcm)
    }
    fn write(&mut self, pcm: &[i16]) -> usize {
        self.inner.write(pcm)
    }
    fn failure(&self) -> Option<&DeviceError> {
        self.failure.as_ref()
    }
    fn reopen(&mut self) -> Result<(), DeviceError> {
        self.opening.store(true, Ordering::Relaxed);
        std::thread::sleep(Duration::from_secs(1));
        self.failure = None;
        self.reopened.store(true, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_is_opened_anew_while_the_call_goes_on() {
    let clock = Clock::start();
    let (call, rtp) = two_calls(&clock).await.remove(0);
    let (opening, reopened) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (own_opening, own_reopened) = (Arc::clone(&opening), Arc::clone(&reopened));
    let inner = FileIo::null(8_000);
    let audio = Unplugged { inner, reads: 0, failure: None, opening: own_opening, reopened: own_reopened };
    let (commands, from_user) = mpsc::channel(4);
    let (status, _) = watch::channel(Status::default());
    let run = tokio::spawn(Driver::new(call, rtp, Box::new(audio), clock).run(from_user, status));
    // It is lost after 300 ms.
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(opening.load(Ordering::Relaxed) && !reopened.load(Ordering::Relaxed));
    let before = sent(&commands).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!reopened.load(Ordering::Relaxed), "the second is not over yet");
    assert!(sent(&commands).await >= before + 15, "nothing is sent while the device is opened");
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    assert!(reopened.load(Ordering::Relaxed));
    assert!(commands.send(Command::HangUp).await.is_ok());
    let finished = run.await.unwrap();
    assert!(finished.audio.failure().is_none());
    assert_eq!(finished.call.stats().slept.as_millis(), 0);
}

/// The system refuses to send from loopback to elsewhere.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_system_refuses_to_send_is_counted_and_told() {
    let clock = Clock::start();
    let rtp = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
    let call =
        |port| Call::new(CallConfig { codecs: vec![CodecFormat::pcmu()], ..CallConfig::new(port).unwrap() }).unwrap();
    let (mut call, mut peer) = (call(rtp.local_addr().unwrap().port()), call(9_000));
    let answer = peer.answer(clock.now(), &call.offer().unwrap()).unwrap();
    call.accept(clock.now(), &answer.replace("127.0.0.1", "192.0.2.1")).unwrap();
    let (_commands, from_user) = mpsc::channel(1);
    let (status, _) = watch::channel(Status::default());
    let driver = Driver {
        time_limit: Some(Duration::from_millis(500)),
        ..Driver::new(call, rtp, Box::new(FileIo::null(8_000)), clock)
    };
    let finished = driver.run(from_user, status).await;
    let stats = finished.call.stats();
    assert!(stats.sender.packets > 15 && stats.unsent >= stats.sender.packets, "{stats:?}");
    assert!(finished.send_error.is_some());
}

/// A device that takes its time, and loses something once.
struct Slow {
    inner: FileIo,
    asked: u32,
}

impl AudioIo for Slow {
    fn sample_rate_hz(&self) -> u32 {
        self.inner.sample_rate_hz()
    }
    fn read(&mut self, pcm: &mut [i16]) -> usize {
        self.inner.read(pcm)
    }
    fn write(&mut self, pcm: &[i16]) -> usize {
        self.inner.write(pcm)
    }
    fn latency(&self) -> Latency {
        Latency { capture: MediaDuration::from_millis(30), playback: MediaDuration::from_millis(50) }
    }
    fn gaps(&mut self) -> Gaps {
        self.asked += 1;
        if self.asked == 10 { Gaps { captured: 120, played: 160 } } else { Gaps::default() }
    }
}

/// What a block was told.
#[derive(Default)]
struct Seen {
    frames: u32,
    lost: u32,
    missing: u64,
    /// Of the newest frame: when it was captured, and when the end of what the loudspeaker got is heard.
    times: Option<(Instant, Instant)>,
}

struct Watching(Arc<Mutex<Seen>>);

impl CaptureBlock<i16> for Watching {
    fn process(&mut self, frame: &mut [i16], near: &Near<'_>) {
        assert_eq!(frame.len(), 80);
        let mut seen = self.0.lock().unwrap();
        seen.frames += 1;
        seen.lost += near.lost;
        seen.missing = near.render.missing_samples();
        seen.times = Some((near.captured_at, near.render.newest_at()));
    }
    fn reset(&mut self) {}
    fn delay_samples(&self) -> usize {
        0
    }
}

/// The block of one's own in a call over real sockets knows what the device takes and what it lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_device_tells_its_latency_and_what_it_lost_to_the_capture_chain() {
    let clock = Clock::start();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let watching = Arc::clone(&seen);
    let block = OwnBlock::new(move |rate_hz| {
        assert_eq!(rate_hz, 8_000);
        Box::new(Watching(Arc::clone(&watching)))
    });
    let base = CallConfig { codecs: vec![CodecFormat::pcmu()], ..CallConfig::new(4_000).unwrap() };
    let mut call = Call::new(CallConfig { capture: block.into(), ..base.clone() }).unwrap();
    let mut peer = Call::new(base).unwrap();
    let offer = call.offer().unwrap();
    let answer = peer.answer(clock.now(), &offer).unwrap();
    call.accept(clock.now(), &answer).unwrap();
    let rtp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let slow = Slow { inner: FileIo::null(8_000), asked: 0 };
    let mut driver = Driver::new(call, rtp, Box::new(slow), clock);
    driver.time_limit = Some(Duration::from_millis(500));
    let (_commands, from_user) = mpsc::channel(4);
    let (status, _) = watch::channel(Status::default());
    let finished = driver.run(from_user, status).await;
    assert!(matches!(finished.ended, Ended::TimeOver), "{:?}", finished.ended);
    let seen = seen.lock().unwrap();
    assert!((30..=51).contains(&seen.frames), "{} frames", seen.frames);
    assert_eq!((seen.lost, seen.missing >= 160), (120, true), "{} samples missing", seen.missing);
    // One tick: captured 10 ms and 30 ms ago; what is being played is heard 50 ms from now, for 10 ms.
    let (captured_at, newest_at) = seen.times.unwrap();
    let between = newest_at.since(captured_at).as_micros();
    assert!((88_000..=112_000).contains(&between), "{between} us between near and far end");
}

/// A microphone that keeps 150 ms for whoever reads too late, and drops the rest when it's read.
struct Dropping {
    inner: FileIo,
    read: Option<std::time::Instant>,
    dropped: u32,
}

impl AudioIo for Dropping {
    fn sample_rate_hz(&self) -> u32 {
        self.inner.sample_rate_hz()
    }
    fn read(&mut self, pcm: &mut [i16]) -> usize {
        let away = self.read.replace(std::time::Instant::now()).map_or(0, |read| read.elapsed().as_millis() as u32);
        self.dropped += if away > 150 { 8 * away } else { 0 };
        self.inner.read(pcm)
    }
    fn write(&mut self, pcm: &[i16]) -> usize {
        self.inner.write(pcm)
    }
    fn gaps(&mut self) -> Gaps {
        Gaps { captured: std::mem::take(&mut self.dropped), played: 0 }
    }
}

/// What a block was told as lost, frame by frame.
struct Losses(Arc<Mutex<Vec<u32>>>);

impl CaptureBlock<i16> for Losses {
    fn process(&mut self, _: &mut [i16], near: &Near<'_>) {
        self.0.lock().unwrap().extend((near.lost > 0).then_some(near.lost));
    }
    fn reset(&mut self) {}
    fn delay_samples(&self) -> usize {
        0
    }
}

/// A pause of the machine is known to the driver and to the device, and the capture chain is told of it once, with the
/// first frame behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_device_dropped_while_the_machine_slept_is_told_once_and_at_its_place() {
    let clock = Clock::start();
    let losses = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&losses);
    let block = OwnBlock::new(move |_| Box::new(Losses(Arc::clone(&told))));
    let base = CallConfig { codecs: vec![CodecFormat::pcmu()], ..CallConfig::new(4_000).unwrap() };
    let mut call = Call::new(CallConfig { capture: block.into(), ..base.clone() }).unwrap();
    let mut peer = Call::new(base).unwrap();
    let offer = call.offer().unwrap();
    call.accept(clock.now(), &peer.answer(clock.now(), &offer).unwrap()).unwrap();
    let rtp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let device = Dropping { inner: FileIo::null(8_000), read: None, dropped: 0 };
    let mut driver = Driver::new(call, rtp, Box::new(device), clock);
    driver.time_limit = Some(Duration::from_millis(1_200));
    let (commands, from_user) = mpsc::channel(4);
    let (status, _) = watch::channel(Status::default());
    let run = tokio::spawn(driver.run(from_user, status));
    tokio::time::sleep(Duration::from_millis(200)).await;
    change(&commands, |_, _| std::thread::sleep(Duration::from_millis(600))).await;
    let finished = run.await.unwrap();
    let slept = finished.call.stats().slept.as_millis() as u32 * 8;
    let losses = losses.lock().unwrap();
    println!("{slept} samples were slept through, and {losses:?} lost");
    assert!(slept >= 4_000, "{slept}");
    assert_eq!(losses.len(), 1, "{losses:?}");
    assert!((slept..slept + 1_600).contains(&losses[0]), "{losses:?} of {slept}");
}

/// A device of 44.1 kHz in stereo that hears one loud sound, and keeps what is played.
struct Loud {
    inner: FileIo,
    loudness: i16,
    played: Arc<Mutex<Vec<i16>>>,
}

impl AudioIo for Loud {
    fn sample_rate_hz(&self) -> u32 {
        self.inner.sample_rate_hz()
    }
    fn channels(&self) -> u8 {
        self.inner.channels()
    }
    fn read(&mut self, pcm: &mut [i16]) -> usize {
        assert_eq!(pcm.len(), 882, "10 ms are 441 samples of both channels");
        pcm.fill(self.loudness);
        pcm.len()
    }
    fn write(&mut self, pcm: &[i16]) -> usize {
        assert_eq!(pcm.len(), 882);
        self.played.lock().unwrap().extend_from_slice(pcm);
        self.inner.write(pcm)
    }
}

/// The user's device is what it is: when the other side changes the codec, the driver goes on, who has muted the
/// microphone stays muted, and the new codec is heard at the volume that was set.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_driver_goes_on_with_its_mute_and_gains_when_the_codec_has_another_sound() {
    let clock = Clock::start();
    let mut ends = Vec::new();
    for _ in 0..2 {
        let rtp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = rtp.local_addr().unwrap().port();
        let config = CallConfig { codecs: vec![CodecFormat::pcmu()], ..CallConfig::new(port).unwrap() };
        ends.push((Call::new(config).unwrap(), rtp));
    }
    let offer = ends[0].0.offer().unwrap();
    let answer = ends[1].0.answer(clock.now(), &offer).unwrap();
    ends[0].0.accept(clock.now(), &answer).unwrap();
    let (mut commands, mut runs, mut seen, mut played) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (side, (call, rtp)) in ends.into_iter().enumerate() {
        let (user, from_user) = mpsc::channel(8);
        // Nobody looks at the status.
        let (status, watching) = watch::channel(Status::default());
        let pcm = Arc::new(Mutex::new(Vec::new()));
        let inner = FileIo::null(44_100).with_channels(2);
        let loud = Loud { inner, loudness: if side == 0 { 20_000 } else { 9_000 }, played: Arc::clone(&pcm) };
        runs.push(tokio::spawn(Driver::new(call, rtp, Box::new(loud), clock).run(from_user, status)));
        commands.push(user);
        seen.push(watching);
        played.push(pcm);
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    let loudest = |pcm: &Mutex<Vec<i16>>| pcm.lock().unwrap().iter().map(|sample| sample.unsigned_abs()).max();
    assert!(loudest(&played[1]) > Some(18_000));
    for command in [Command::Mute(true), Command::MicrophoneGain(-600), Command::Volume(-600)] {
        assert!(commands[0].send(command).await.is_ok());
    }
    let wide = [CodecFormat::g722()];
    let offer = change(&commands[0], move |call, _| {
        call.set_codecs(&wide).unwrap();
        call.offer().unwrap()
    })
    .await;
    let answer = change(&commands[1], move |call, now| {
        call.set_codecs(&[CodecFormat::g722()]).unwrap();
        call.answer(now, &offer).unwrap()
    })
    .await;
    let codec = change(&commands[0], move |call, now| {
        call.accept(now, &answer).unwrap();
        (call.codec().cloned(), call.received_sound(0), call.sample_rate_hz(), call.channels())
    })
    .await;
    assert_eq!(codec, (Some(CodecFormat::g722()), Some((16_000, 1)), Some(44_100), Some(2)));
    tokio::time::sleep(Duration::from_millis(150)).await;
    played.iter().for_each(|played| played.lock().unwrap().clear());
    tokio::time::sleep(Duration::from_millis(600)).await;
    let level = change(&commands[0], |call, _| call.stats().receiver).await;
    assert!(commands[0].send(Command::HangUp).await.is_ok());
    for run in runs {
        let finished = run.await.unwrap();
        assert!(matches!(finished.ended, Ended::HungUp | Ended::Call(Ending::Goodbye)), "{:?}", finished.ended);
    }
    let status = *seen[0].borrow();
    assert_eq!((status.muted, status.microphone_gain, status.volume), (true, -600, -600));
    assert!(loudest(&played[1]) < Some(100), "heard although it was muted: {:?}", loudest(&played[1]));
    // A constant of 9,000, through G.722 and halved, in both channels; without a step.
    let played = played[0].lock().unwrap();
    let (quiet, loud) = (played.iter().min().copied(), played.iter().max().copied());
    println!("G.722 heard at 44.1 kHz from {quiet:?} to {loud:?}; {} samples decoded", level.decoded_samples);
    assert!(played.len() > 30_000 && quiet > Some(4_000) && loud < Some(5_000), "{quiet:?} {loud:?}");
    assert!(played.chunks(2).all(|frame| frame[0] == frame[1]), "one channel stands for both");
    assert!(level.decoded_samples > 15_000, "{level:?}");
}

/// Turns everything down to silence.
struct Silence;

impl CaptureBlock<i16> for Silence {
    fn process(&mut self, frame: &mut [i16], _: &Near<'_>) {
        frame.fill(0);
    }
    fn reset(&mut self) {}
    fn delay_samples(&self) -> usize {
        0
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_step_of_the_capture_chain_is_switched_by_a_command() {
    let clock = Clock::start();
    let mut ends = Vec::new();
    for own in [Some(OwnBlock::new(|_| Box::new(Silence))), None] {
        let rtp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = rtp.local_addr().unwrap().port();
        let (codecs, capture) = (vec![CodecFormat::pcmu()], CaptureConfig { own, ..CaptureConfig::default() });
        ends.push((Call::new(CallConfig { codecs, capture, ..CallConfig::new(port).unwrap() }).unwrap(), rtp));
    }
    let offer = ends[0].0.offer().unwrap();
    let answer = ends[1].0.answer(clock.now(), &offer).unwrap();
    ends[0].0.accept(clock.now(), &answer).unwrap();
    let (mut commands, mut runs, mut played) = (Vec::new(), Vec::new(), Vec::new());
    for (call, rtp) in ends {
        let (user, from_user) = mpsc::channel(8);
        let (status, _) = watch::channel(Status::default());
        let pcm = Arc::new(Mutex::new(Vec::new()));
        let inner = FileIo::null(44_100).with_channels(2);
        let loud = Loud { inner, loudness: 20_000, played: Arc::clone(&pcm) };
        runs.push(tokio::spawn(Driver::new(call, rtp, Box::new(loud), clock).run(from_user, status)));
        commands.push(user);
        played.push(pcm);
    }
    let loudest = |pcm: &Mutex<Vec<i16>>| pcm.lock().unwrap().iter().map(|sample| sample.unsigned_abs()).max();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(loudest(&played[1]) < Some(100), "silenced: {:?}", loudest(&played[1]));
    // A step that isn't there does no harm.
    for (step, on) in [(CaptureStep::Echo, true), (CaptureStep::Own, false)] {
        assert!(commands[0].send(Command::Step(step, on)).await.is_ok());
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(loudest(&played[1]) > Some(18_000), "{:?}", loudest(&played[1]));
    assert!(commands[0].send(Command::HangUp).await.is_ok());
    for run in runs {
        assert!(matches!(run.await.unwrap().ended, Ended::HungUp | Ended::Call(Ending::Goodbye)));
    }
}
