//! Devices that are changed, lost and found while a call goes on, in virtual time: the sound follows, the tick never
//! waits, and nobody hears a click.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use dsp_core::front::{CaptureBlock, Near};
use dsp_core::process::agc::AgcConfig;
use host_std::device::{AudioIo, DeviceError, Direction, Split};
use host_std::manager::{Change, DialogId, EventKind, Events, ManagerConfig, ManagerError, MediaManager};
use host_std::registry::CodecFormat;
use host_std::session::{CallConfig, CaptureConfig, OwnBlock, driver};
use host_std::wav::WavSink;

use super::real::{Heard, device, tone};
use super::stepped::{Stepped, runtime};
use super::world::{RATE_HZ, half, names, share};

/// The largest step that a tone of 400 or 500 Hz of this loudness makes at 8 kHz, coded as PCMU: 8,000 times 2 pi
/// 500/8,000, and a step of the quantization. A tone that breaks off anywhere steps by up to 16,000.
const SMOOTH: u16 = 3_140 + 500;

/// A card of any rate and channels that says a tone, with a plug that can be drawn.
struct Card {
    rate_hz: u32,
    channels: u8,
    tone_hz: f64,
    said: u64,
    heard: Arc<Mutex<Vec<i16>>>,
    is_out: Arc<AtomicBool>,
    failure: Option<DeviceError>,
    opened: Arc<Mutex<u32>>,
}

impl Card {
    fn new(rate_hz: u32, channels: u8, tone_hz: f64) -> Self {
        let (heard, is_out, opened) = (Arc::default(), Arc::default(), Arc::default());
        Self { rate_hz, channels, tone_hz, said: 0, heard, is_out, failure: None, opened }
    }

    /// Whether it has lost its plug, from then on until it is opened anew.
    fn is_gone(&mut self) -> bool {
        if self.is_out.load(Ordering::Relaxed) {
            self.failure.get_or_insert(Self::lost());
        }
        self.failure.is_some()
    }

    fn lost() -> DeviceError {
        DeviceError::NotFound { name: "card".into(), direction: Direction::Capture }
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
        if self.is_gone() {
            pcm.fill(0);
            return 0;
        }
        for frame in pcm.chunks_exact_mut(self.channels.into()) {
            let angle = self.said as f64 * self.tone_hz / f64::from(self.rate_hz) * std::f64::consts::TAU;
            frame.fill((angle.cos() * 8_000.0) as i16);
            self.said += 1;
        }
        pcm.len()
    }
    fn write(&mut self, pcm: &[i16]) -> usize {
        if self.is_gone() {
            return 0;
        }
        self.heard.lock().unwrap().extend(pcm.iter().step_by(self.channels.into()));
        pcm.len()
    }
    fn failure(&self) -> Option<&DeviceError> {
        self.failure.as_ref()
    }
    fn reopen(&mut self) -> Result<(), DeviceError> {
        *self.opened.lock().unwrap() += 1;
        if self.is_out.load(Ordering::Relaxed) {
            return Err(Self::lost());
        }
        self.failure = None;
        Ok(())
    }
}

/// Anna, whose device is this one, and Bert, who says 700 Hz and keeps what he hears.
struct Pair {
    clock: Stepped,
    anna: MediaManager,
    bert: MediaManager,
    events: Events,
    dialogs: [DialogId; 2],
    heard: Heard,
}

impl Pair {
    async fn new(card: impl AudioIo + 'static) -> Self {
        Self::with_music(card, None).await
    }

    async fn with_music(card: impl AudioIo + 'static, music: Option<PathBuf>) -> Self {
        Self::with(card, music, CaptureConfig::default()).await
    }

    async fn with(card: impl AudioIo + 'static, music: Option<PathBuf>, capture: CaptureConfig) -> Self {
        let clock = Stepped::new();
        let dialogs = names();
        let manager = || {
            let mut config = ManagerConfig::new().unwrap();
            config.music.clone_from(&music);
            let (codecs, capture) = (vec![CodecFormat::pcmu()], capture.clone());
            let call = CallConfig { codecs, capture, ..config.call.clone() };
            MediaManager::new(config.with_call(call))
        };
        let ((anna, events), (bert, _)) = (manager(), manager());
        let offer = anna.offer(&half(&dialogs[0])).await.unwrap();
        let answer = bert.answer(&dialogs[1], &offer).await.unwrap();
        anna.accept(&dialogs[0], &answer).await.unwrap();
        anna.confirm(&dialogs[0]).await.unwrap();
        let (audio, heard) = device(tone(700));
        bert.attach(&dialogs[1], audio).await.unwrap();
        anna.attach(&dialogs[0], Box::new(card)).await.unwrap();
        clock.run(1_500).await;
        let pair = Self { clock, anna, bert, events, dialogs, heard };
        assert!(pair.heard.hears(400.0, 200), "{:?}", pair.heard.share(400.0, 200));
        pair
    }

    /// The largest step in what Bert has heard since then.
    fn step_since(&self, since: usize) -> u16 {
        let heard = self.heard.all();
        heard[since..].windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap_or(0)
    }

    fn told(&mut self) -> Vec<EventKind> {
        std::iter::from_fn(|| self.events.try_next()).map(|event| event.kind).collect()
    }
}

/// The share of the last 200 ms of what a card was given that is this tone.
fn hears(heard: &Mutex<Vec<i16>>, rate_hz: u32, tone_hz: f64) -> bool {
    let heard = heard.lock().unwrap();
    let last = &heard[heard.len().saturating_sub(rate_hz as usize / 5)..];
    // `share` counts at its own rate.
    let (share, power) = share(last, tone_hz * f64::from(RATE_HZ) / f64::from(rate_hz));
    share > 0.8 && power > 1e5
}

#[test]
fn a_device_is_changed_in_the_midst_of_a_call_without_a_click() {
    // Phases of all kinds meet.
    for after_ms in [10, 15, 20, 25, 35] {
        runtime().block_on(async {
            let mut pair = Pair::new(Card::new(8_000, 1, 400.0)).await;
            pair.clock.run(after_ms).await;
            let dialog = pair.dialogs[0].clone();
            pair.anna.control(&dialog, driver::Command::Volume(-600)).await.unwrap();
            for (rate_hz, channels, tone_hz) in
                [(8_000, 1, 500.0), (48_000, 1, 400.0), (48_000, 2, 500.0), (16_000, 1, 400.0), (8_000, 2, 500.0)]
            {
                let since = pair.heard.all().len();
                let next = Card::new(rate_hz, channels, tone_hz);
                let heard = next.heard.clone();
                pair.anna.change_device(&dialog, Box::new(next)).await.unwrap();
                pair.clock.run(700).await;
                let what = format!("{after_ms} ms, {rate_hz} Hz, {channels} channels");
                assert!(pair.heard.hears(tone_hz, 200), "{what}: {:?}", pair.heard.share(tone_hz, 200));
                assert!(hears(&heard, rate_hz, 700.0), "{what}: nothing of the other side");
                assert!(pair.heard.longest_gap_ms(since) <= 20, "{what}: {} ms", pair.heard.longest_gap_ms(since));
                assert!(pair.step_since(since) < SMOOTH, "{what}: a click of {}", pair.step_since(since));
                let (_, power) = share(&heard.lock().unwrap()[rate_hz as usize / 2..], 700.0);
                assert!((6e6..1e7).contains(&power), "{what}: the volume is still 6 dB lower: {power}");
            }
            assert_eq!(pair.told(), [EventKind::FirstPacket]);
            let stats = pair.bert.stats(&pair.dialogs[1]).await.unwrap();
            assert_eq!((stats.total.restarts, stats.total.time_jumps), (0, 0));
        });
    }
}

/// Holds back 10 ms, and forgets them with a change.
struct Held(VecDeque<i16>);

impl CaptureBlock<i16> for Held {
    fn process(&mut self, frame: &mut [i16], _: &Near<'_>) {
        self.0.extend(&*frame);
        let held = self.0.drain(..frame.len());
        frame.iter_mut().zip(held).for_each(|(sample, held)| *sample = held);
    }
    fn reset(&mut self) {
        self.0.iter_mut().for_each(|sample| *sample = 0);
    }
    fn delay_samples(&self) -> usize {
        self.0.len()
    }
}

/// What the capture chain holds back is lost with a change, wherever its samples are: 10 ms of a block of one's own and
/// 3 ms of a limiter. A tick isn't a whole number of these tones' periods, so that each change meets another phase.
#[test]
fn a_device_is_changed_without_a_click_behind_a_capture_chain_that_takes_time() {
    for after_ms in [690, 700, 710, 725] {
        runtime().block_on(async {
            let held = OwnBlock::new(|rate_hz| Box::new(Held(vec![0; rate_hz as usize / 100].into())));
            let capture = CaptureConfig { gain: Some(AgcConfig::default()), ..held.into() };
            let pair = Pair::with(Card::new(8_000, 1, 400.0), None, capture).await;
            for (rate_hz, channels, tone_hz) in [
                (8_000, 1, 430.0),
                (8_000, 1, 470.0),
                (48_000, 1, 430.0),
                (48_000, 1, 470.0),
                (48_000, 2, 430.0),
                (48_000, 2, 470.0),
                (8_000, 2, 430.0),
            ] {
                let since = pair.heard.all().len();
                let card = Card::new(rate_hz, channels, tone_hz);
                pair.anna.change_device(&pair.dialogs[0], Box::new(card)).await.unwrap();
                pair.clock.run(after_ms).await;
                let what = format!("{after_ms} ms, {rate_hz} Hz, {channels} channels");
                assert!(pair.heard.hears(tone_hz, 200), "{what}: {:?}", pair.heard.share(tone_hz, 200));
                assert!(pair.step_since(since) < SMOOTH, "{what}: a click of {}", pair.step_since(since));
            }
        });
    }
}

#[test]
fn music_on_hold_goes_on_with_another_device() {
    let folder = media_core_tests::program::folder("music-of-devices");
    let path = folder.join("music.wav");
    let mut file = WavSink::create(&path, RATE_HZ).unwrap();
    file.write(&tone(1_000)).unwrap();
    file.finish().unwrap();
    runtime().block_on(async {
        let pair = Pair::with_music(Card::new(8_000, 1, 400.0), Some(path)).await;
        let [ours, theirs] = &pair.dialogs;
        let offer = pair.anna.reoffer(ours, Change::hold()).await.unwrap();
        let answer = pair.bert.reanswer(theirs, &offer).await.unwrap();
        pair.anna.accept(ours, &answer).await.unwrap();
        pair.clock.run(600).await;
        assert!(pair.heard.hears(1_000.0, 200), "{:?}", pair.heard.share(1_000.0, 200));
        for (rate_hz, channels) in [(48_000, 2), (16_000, 1), (8_000, 1)] {
            pair.anna.change_device(ours, Box::new(Card::new(rate_hz, channels, 400.0))).await.unwrap();
            pair.clock.run(600).await;
            let share = pair.heard.share(1_000.0, 200);
            assert!(pair.heard.hears(1_000.0, 200), "{rate_hz} Hz, {channels} channels: {share:?}");
        }
        // Parked on hold, and fetched by another device.
        pair.anna.detach(ours).await.unwrap();
        pair.clock.run(500).await;
        pair.anna.attach(ours, Box::new(Card::new(16_000, 2, 400.0))).await.unwrap();
        pair.clock.run(700).await;
        assert!(pair.heard.hears(1_000.0, 200), "{:?}", pair.heard.share(1_000.0, 200));
    });
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_device_that_cannot_be_had_changes_nothing() {
    runtime().block_on(async {
        let pair = Pair::new(Card::new(8_000, 1, 400.0)).await;
        let dialog = pair.dialogs[0].clone();
        let odd = pair.anna.change_device(&dialog, Box::new(Card::new(4_000, 3, 500.0))).await;
        assert!(matches!(odd, Err(ManagerError::Sound(_))), "{odd:?}");
        pair.clock.run(300).await;
        assert!(pair.heard.hears(400.0, 200));
        let audio = pair.anna.detach(&dialog).await.unwrap();
        let parked = pair.anna.change_device(&dialog, audio).await;
        assert!(matches!(parked, Err(ManagerError::NoDevice)), "{parked:?}");
    });
}

#[test]
fn a_device_that_is_unplugged_is_silent_until_it_is_back() {
    runtime().block_on(async {
        let card = Card::new(48_000, 2, 400.0);
        let (is_out, heard, opened) = (card.is_out.clone(), card.heard.clone(), card.opened.clone());
        let mut pair = Pair::new(card).await;
        let since = pair.heard.all().len();
        is_out.store(true, Ordering::Relaxed);
        pair.clock.run(7_000).await;
        assert!(pair.heard.share(400.0, 200).1 < 1e4, "silence, and packets of it");
        let received = pair.bert.stats(&pair.dialogs[1]).await.unwrap().total.received;
        assert!(received > 400, "{received} packets in 8.5 s");
        assert!((2..=5).contains(&*opened.lock().unwrap()), "it's looked for every two seconds");
        is_out.store(false, Ordering::Relaxed);
        pair.clock.run(3_000).await;
        assert!(pair.heard.hears(400.0, 200) && hears(&heard, 48_000, 700.0));
        assert!(pair.step_since(since) < SMOOTH, "a click of {}", pair.step_since(since));
        let told = pair.told();
        assert_eq!(told, [EventKind::FirstPacket, EventKind::DeviceLost, EventKind::DeviceBack]);
        let words: Vec<String> = told.iter().map(ToString::to_string).collect();
        assert_eq!(words[1..], ["the sound device is lost, and is looked for", "the sound device is back"]);
    });
}

/// A loudspeaker of its own is lost: while it is opened anew, the microphone is away too, and what it says breaks off.
#[test]
fn a_loudspeaker_that_is_unplugged_makes_no_click_in_what_the_microphone_says() {
    runtime().block_on(async {
        let (microphone, loudspeaker) = (Card::new(8_000, 1, 400.0), Card::new(8_000, 1, 500.0));
        let (is_out, heard, opened) =
            (loudspeaker.is_out.clone(), loudspeaker.heard.clone(), loudspeaker.opened.clone());
        let card = Split { capture: Box::new(microphone), playback: Box::new(loudspeaker) };
        let mut pair = Pair::new(card).await;
        let since = pair.heard.all().len();
        is_out.store(true, Ordering::Relaxed);
        pair.clock.run(5_000).await;
        assert!((1..=4).contains(&*opened.lock().unwrap()), "it's looked for every two seconds");
        is_out.store(false, Ordering::Relaxed);
        pair.clock.run(3_000).await;
        assert!(pair.heard.hears(400.0, 200) && hears(&heard, 8_000, 700.0));
        assert!(pair.step_since(since) < SMOOTH, "a click of {}", pair.step_since(since));
        assert_eq!(pair.told(), [EventKind::FirstPacket, EventKind::DeviceLost, EventKind::DeviceBack]);
    });
}
