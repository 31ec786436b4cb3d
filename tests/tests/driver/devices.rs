//! The device of a running call is changed for another by a command, in virtual time.

use std::f64::consts::TAU;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use dsp_core::front::{CaptureBlock, Near};
use host_std::device::AudioIo;
use host_std::registry::CodecFormat;
use host_std::session::driver::{Clock, Command, Driver, Ended, Status};
use host_std::session::{Call, CallConfig, CaptureConfig, CaptureStep, OwnBlock};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

use self::stepped::{Stepped, runtime};

#[path = "../manager/stepped.rs"]
mod stepped;

/// The largest step that a tone of 400 or 500 Hz of this loudness makes at 8 kHz, coded as PCMU: 8,000 times 2 pi
/// 500/8,000, and a step of the quantization. A tone that breaks off anywhere steps by up to 16,000.
const SMOOTH: u16 = 3_140 + 500;

/// What a card was given to play, and whether it was closed.
#[derive(Clone, Default)]
struct Seen {
    heard: Arc<Mutex<Vec<i16>>>,
    closed: Arc<AtomicBool>,
}

impl Seen {
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Whether the last 200 ms were this tone and hardly anything else.
    fn hears(&self, rate_hz: u32, tone_hz: f64) -> bool {
        let heard = self.heard.lock().unwrap();
        let last = &heard[heard.len().saturating_sub(rate_hz as usize / 5)..];
        let (mut cosine, mut sine, mut power) = (0.0, 0.0, 0.0);
        for (n, sample) in last.iter().enumerate() {
            let (angle, sample) = (TAU * n as f64 * tone_hz / f64::from(rate_hz), f64::from(*sample));
            cosine += sample * angle.cos();
            sine += sample * angle.sin();
            power += sample * sample;
        }
        let count = last.len() as f64;
        power > 1e5 * count && 2.0 * (cosine * cosine + sine * sine) > 0.8 * count * power
    }

    /// The largest step in what was heard since then.
    fn step_since(&self, since: usize) -> u16 {
        let heard = self.heard.lock().unwrap();
        heard[since..].windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap_or(0)
    }
}

/// A card of any rate and channels that says a tone.
struct Card {
    rate_hz: u32,
    channels: u8,
    tone_hz: f64,
    said: u64,
    seen: Seen,
}

impl Card {
    fn new(rate_hz: u32, channels: u8, tone_hz: f64) -> (Box<Self>, Seen) {
        let seen = Seen::default();
        (Box::new(Self { rate_hz, channels, tone_hz, said: 0, seen: seen.clone() }), seen)
    }
}

impl AudioIo for Card {
    fn sample_rate_hz(&self) -> u32 {
        self.rate_hz
    }
    fn channels(&self) -> u8 {
        self.channels
    }
    fn read(&mut self, pcm: &mut [i16]) -> usize {
        for frame in pcm.chunks_exact_mut(self.channels.into()) {
            let angle = TAU * self.said as f64 * self.tone_hz / f64::from(self.rate_hz);
            frame.fill((angle.cos() * 8_000.0) as i16);
            self.said += 1;
        }
        pcm.len()
    }
    fn write(&mut self, pcm: &[i16]) -> usize {
        self.seen.heard.lock().unwrap().extend(pcm.iter().step_by(self.channels.into()));
        pcm.len()
    }
    fn close(&mut self) -> Result<(), host_std::device::DeviceError> {
        self.seen.closed.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Lets nothing through.
struct Silencer;

impl CaptureBlock<i16> for Silencer {
    fn process(&mut self, frame: &mut [i16], _: &Near<'_>) {
        frame.fill(0);
    }
    fn reset(&mut self) {}
    fn delay_samples(&self) -> usize {
        0
    }
}

/// A call whose device is this one, and its commands.
async fn end(capture: CaptureConfig) -> (Call, UdpSocket) {
    let rtp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = rtp.local_addr().unwrap().port();
    let config = CallConfig { codecs: vec![CodecFormat::pcmu()], capture, ..CallConfig::new(port).unwrap() };
    (Call::new(config).unwrap(), rtp)
}

#[test]
fn a_device_is_changed_by_a_command_and_settings_stay() {
    runtime().block_on(async {
        let (time, clock) = (Stepped::new(), Clock::start());
        let (mut ours, mut theirs) =
            (end(OwnBlock::new(|_| Box::new(Silencer)).into()).await, end(CaptureConfig::default()).await);
        let offer = ours.0.offer().unwrap();
        let answer = theirs.0.answer(clock.now(), &offer).unwrap();
        ours.0.accept(clock.now(), &answer).unwrap();
        let ((card, mut before), (other, bert)) = (Card::new(8_000, 1, 400.0), Card::new(8_000, 1, 700.0));
        let [(anna, ours), (other, theirs)] = [(ours, card), (theirs, other)].map(|((call, rtp), card)| {
            let (commands, from_user) = mpsc::channel(4);
            let (status, _) = watch::channel(Status::default());
            (commands, tokio::spawn(Driver::new(call, rtp, card, clock).run(from_user, status)))
        });
        time.run(700).await;
        assert!(!bert.hears(8_000, 400.0), "the silencer is on");
        anna.send(Command::Step(CaptureStep::Own, false)).await.unwrap();
        time.run(700).await;
        assert!(bert.hears(8_000, 400.0) && before.hears(8_000, 700.0));
        for (rate_hz, channels, tone_hz) in
            [(8_000, 1, 500.0), (48_000, 2, 400.0), (16_000, 1, 500.0), (16_000, 1, 400.0)]
        {
            let since = bert.heard.lock().unwrap().len();
            let (card, seen) = Card::new(rate_hz, channels, tone_hz);
            anna.send(Command::Device(card)).await.unwrap();
            time.run(700).await;
            let what = format!("{rate_hz} Hz, {channels} channels");
            assert!(bert.hears(8_000, tone_hz), "{what}: it isn't heard, or the silencer is on again");
            assert!(seen.hears(rate_hz, 700.0), "{what}: nothing of the other side");
            assert!(before.is_closed() && !seen.is_closed(), "{what}: closed is what was changed");
            assert!(bert.step_since(since) < SMOOTH, "{what}: a click of {}", bert.step_since(since));
            before = seen;
        }
        // Of a sound that no call can have: nothing changes.
        let since = bert.heard.lock().unwrap().len();
        let (odd, seen) = Card::new(4_000, 3, 500.0);
        anna.send(Command::Device(odd)).await.unwrap();
        time.run(300).await;
        assert!(seen.is_closed() && !before.is_closed(), "the device that was refused is closed");
        assert!(bert.hears(8_000, 400.0) && before.hears(16_000, 700.0) && bert.step_since(since) < SMOOTH);
        anna.send(Command::HangUp).await.unwrap();
        time.run(100).await;
        let finished = ours.await.unwrap();
        assert!(matches!(finished.ended, Ended::HungUp), "{:?}", finished.ended);
        assert_eq!(finished.audio.sample_rate_hz(), 16_000, "the last device comes back");
        drop(other);
        theirs.await.unwrap();
    });
}
