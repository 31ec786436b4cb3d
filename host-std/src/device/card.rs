//! A sound card over `cpal`: opens the streams, and moves the caller's frames to and from their rings.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration as StdDuration, Instant};

use cpal::traits::StreamTrait as _;
use cpal::{BufferSize, ErrorKind, SampleFormat, StreamConfig};
use dsp_core::front::Latency;
use dsp_core::time::Duration;

use super::callbacks::{FATAL, Shared};
use super::drift::DriftControl;
use super::ends::{CaptureEnd, Counts, Playback, capture_pair, playback_pair};
use super::stream::{build_capture, build_playback};
use super::{AudioCounters, AudioIo, DeviceChoice, DeviceError, Direction, Gaps, list};
use crate::resample::ResampleError;

/// The time that a card may need beyond its ring and its period to have played everything, in ms.
const CLOSING_MS: u64 = 20;

/// The configuration of a [`CardIo`]. The default is the system's default devices at 48 kHz.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardConfig {
    /// The microphone.
    pub capture: DeviceChoice,
    /// The loudspeaker.
    pub playback: DeviceChoice,
    /// The rate of the caller's sound, in Hz. The card may run at another rate; sound is then resampled.
    pub sample_rate_hz: u32,
    /// Channels of the caller's sound, 1 or 2. Mono is the mean of all channels that a card captures, and is played by its first
    /// two. Stereo is the first two channels of a card; of a card with one channel it is that channel twice, and it is played as
    /// their mean.
    pub channels: u8,
    /// The period that is asked of the card, in ms. A card that refuses it has its own.
    pub period_ms: u32,
    /// The level at which each ring is kept, in ms, when a frame has just been written or is about to be read. It should be at
    /// least a frame and a period.
    pub target_ms: u32,
    /// The level, in ms, above which the oldest sound is dropped down to the target.
    pub max_ms: u32,
}

impl Default for CardConfig {
    fn default() -> Self {
        Self {
            capture: DeviceChoice::Default,
            playback: DeviceChoice::Default,
            sample_rate_hz: 48_000,
            channels: 1,
            period_ms: 10,
            target_ms: 35,
            max_ms: 150,
        }
    }
}

impl CardConfig {
    /// Channels of the caller's sound.
    pub(super) fn own_channels(&self) -> usize {
        usize::from(self.channels).clamp(1, 2)
    }
}

/// One direction opened: its stream, which stops when dropped, and the caller's end.
struct Open<End> {
    /// Kept for its drop.
    _stream: cpal::Stream,
    end: End,
    name: String,
    config: StreamConfig,
    format: SampleFormat,
}

/// A sound card, or one card for each direction.
///
/// ```no_run
/// use host_std::device::{AudioIo, CardConfig, CardIo, DeviceChoice, Direction};
///
/// let playback = DeviceChoice::Named("USB".into()); // a part of the name that `list_devices` has
/// let mut card = CardIo::open(CardConfig { playback, sample_rate_hz: 16_000, ..CardConfig::default() })?;
/// if let Some((name, rate_hz, channels, format)) = card.opened(Direction::Playback) {
///     println!("{name}: {rate_hz} Hz, {channels} channels, {format}");
/// }
/// // Each tick of a call, here of 10 ms: play, then capture. A driver does this by itself.
/// let mut pcm = [0; 160];
/// card.write(&pcm);
/// card.read(&mut pcm);
/// # Ok::<(), host_std::device::DeviceError>(())
/// ```
///
/// A card that is unplugged is lost ([`AudioIo::failure`]) until [`AudioIo::reopen`] finds it again, at whatever rate and with
/// however many channels it then has. When the system's default becomes another device, the system itself takes the sound there
/// (macOS, PipeWire and PulseAudio), or the stream ends and opening it again finds the new one (Windows).
pub struct CardIo {
    config: CardConfig,
    capture: Option<Open<CaptureEnd>>,
    playback: Option<Open<Playback>>,
    shared: Arc<Shared>,
    counts: Counts,
    /// The losses of capture and of playback that were reported already.
    told: [Told; 2],
    failure: Option<DeviceError>,
}

/// The losses of one direction that were reported already.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    /// Samples counted then, at the rates of the cards on which they fell.
    counted: u64,
    /// The remaining fraction of a sample of the call, as `rest` of `card_hz`.
    rest: u64,
    card_hz: u32,
}

impl Told {
    /// Returns the number of samples lost since the last call of this function, at the call's rate. The count is not reset when a
    /// card of another rate is opened: only the samples that were added since then were lost at this card's rate.
    fn since(&mut self, counted: u64, card_hz: u32, call_hz: u32) -> u32 {
        let card_hz = card_hz.max(1);
        if self.card_hz != card_hz {
            (self.card_hz, self.rest) = (card_hz, 0);
        }
        let at_call = counted.saturating_sub(self.counted).saturating_mul(call_hz.into()).saturating_add(self.rest);
        (self.counted, self.rest) = (counted, at_call % u64::from(card_hz));
        (at_call / u64::from(card_hz)).try_into().unwrap_or(u32::MAX)
    }
}

impl CardIo {
    /// Opens and starts the devices that `config` names.
    ///
    /// # Errors
    /// [`DeviceError::NoDevice`] if the machine has no device for a direction, [`DeviceError::NotFound`] if none has the name,
    /// [`DeviceError::Unsupported`] if a device has no format that is known here, [`DeviceError::Open`] if the system refuses to
    /// open or start it.
    pub fn open(config: CardConfig) -> Result<Self, DeviceError> {
        let mut card = Self {
            config,
            capture: None,
            playback: None,
            shared: Arc::default(),
            counts: Counts::default(),
            told: [Told::default(); 2],
            failure: None,
        };
        card.start()?;
        Ok(card)
    }

    /// The device that was opened for `direction`: its name, rate in Hz, channels and sample format. `None` if it is
    /// [`DeviceChoice::Off`].
    pub fn opened(&self, direction: Direction) -> Option<(&str, u32, u16, String)> {
        fn of<End>(open: &Open<End>) -> (&str, u32, u16, String) {
            (&open.name, open.config.sample_rate, open.config.channels, open.format.to_string())
        }
        match direction {
            Direction::Capture => self.capture.as_ref().map(of),
            Direction::Playback => self.playback.as_ref().map(of),
        }
    }

    fn start(&mut self) -> Result<(), DeviceError> {
        self.shared.lost.store(0, Relaxed);
        self.shared.capturing.store(false, Relaxed);
        self.capture = self.start_capture()?;
        self.playback = self.start_playback()?;
        Ok(())
    }

    fn start_capture(&self) -> Result<Option<Open<CaptureEnd>>, DeviceError> {
        let Some(device) = list::find(&self.config.capture, Direction::Capture)? else { return Ok(None) };
        let (config, format) =
            list::choose(&device, Direction::Capture, &self.config.capture, self.config.own_channels())?;
        let (stream, end) = self.build(&device, config, |config| {
            let (callback, end) = capture_pair(&self.config, config.sample_rate, config.channels, &self.shared)?;
            Ok(build_capture(&device, config, format, callback).map(|stream| (stream, end)))
        })?;
        Ok(Some(Open { _stream: stream, end, name: list::name_of(&device), config, format }))
    }

    fn start_playback(&self) -> Result<Option<Open<Playback>>, DeviceError> {
        let Some(device) = list::find(&self.config.playback, Direction::Playback)? else { return Ok(None) };
        let (config, format) =
            list::choose(&device, Direction::Playback, &self.config.playback, self.config.own_channels())?;
        let (stream, end) = self.build(&device, config, |config| {
            let (end, callback) = playback_pair(&self.config, config.sample_rate, config.channels, &self.shared)?;
            Ok(build_playback(&device, config, format, callback).map(|stream| (stream, end)))
        })?;
        Ok(Some(Open { _stream: stream, end, name: list::name_of(&device), config, format }))
    }

    /// Builds and starts a stream with the period asked for, or failing that with the device's own.
    fn build<End>(
        &self,
        device: &cpal::Device,
        mut config: StreamConfig,
        make: impl Fn(StreamConfig) -> Result<Result<(cpal::Stream, End), cpal::Error>, ResampleError>,
    ) -> Result<(cpal::Stream, End), DeviceError> {
        let frames = u64::from(config.sample_rate) * u64::from(self.config.period_ms) / 1000;
        config.buffer_size = BufferSize::Fixed(frames.clamp(1, 1 << 16) as u32);
        let mut made = make(config)?;
        if made.is_err() {
            config.buffer_size = BufferSize::Default;
            made = make(config)?;
        }
        made.and_then(|(stream, end)| stream.play().map(|()| (stream, end)))
            .map_err(|source| DeviceError::Open { name: list::name_of(device), source })
    }

    fn notice_loss(&mut self) -> bool {
        if self.failure.is_none() {
            let lost = self.shared.lost.load(Relaxed);
            if let Some(&kind) = lost.checked_sub(1).and_then(|n| FATAL.get(n)) {
                self.failure = Some(DeviceError::Lost { source: cpal::Error::new(kind) });
            }
        }
        self.failure.is_some()
    }
}

impl AudioIo for CardIo {
    fn sample_rate_hz(&self) -> u32 {
        self.config.sample_rate_hz
    }

    fn channels(&self) -> u8 {
        self.config.own_channels() as u8
    }

    fn read(&mut self, pcm: &mut [i16]) -> usize {
        let failed = self.notice_loss();
        match &mut self.capture {
            Some(capture) if !failed => {
                let started = self.shared.capturing.load(Relaxed);
                capture.end.read(pcm, &mut self.counts, started) * self.config.own_channels()
            }
            _ => {
                pcm.fill(0);
                0
            }
        }
    }

    fn write(&mut self, pcm: &[i16]) -> usize {
        let failed = self.notice_loss();
        match &mut self.playback {
            Some(playback) if !failed => playback.end.write(pcm, &mut self.counts) * self.config.own_channels(),
            // Without a loudspeaker nothing is missing.
            None if !failed => pcm.len(),
            _ => {
                self.counts.playback_overrun += (pcm.len() / self.config.own_channels()) as u64;
                0
            }
        }
    }

    fn gaps(&mut self) -> Gaps {
        let counters = self.counters();
        let call_hz = self.config.sample_rate_hz;
        let capture_hz = self.capture.as_ref().map_or(call_hz, |open| open.config.sample_rate);
        let playback_hz = self.playback.as_ref().map_or(call_hz, |open| open.config.sample_rate);
        let [captured, played] = &mut self.told;
        Gaps {
            captured: captured.since(counters.capture_overrun, capture_hz, call_hz),
            played: played.since(counters.playback_underrun, playback_hz, call_hz),
        }
    }

    /// Returns the card's period, what waits in the ring ahead of a tick, and the resampler's delay.
    fn latency(&self) -> Latency {
        let through = |ring_ms: f64| {
            Duration::from_millis(self.config.period_ms.into()) + Duration::from_micros((ring_ms * 1e3) as u64)
        };
        Latency {
            capture: self.capture.as_ref().map_or(Duration::ZERO, |open| through(open.end.latency_ms())),
            playback: self.playback.as_ref().map_or(Duration::ZERO, |open| through(open.end.latency_ms())),
        }
    }

    fn counters(&self) -> AudioCounters {
        let (shared, counts) = (&self.shared, &self.counts);
        let capture = self.capture.as_ref().map(|open| &open.end.drift);
        let playback = self.playback.as_ref().map(|open| &open.end.drift);
        let level = |drift: Option<&DriftControl>| drift.map_or(0.0, |d| d.level_ms() as f32);
        let ppm = |drift: Option<&DriftControl>| drift.map_or(0.0, |d| d.ppm() as f32);
        AudioCounters {
            captured: counts.captured,
            played: counts.played,
            capture_underrun: counts.capture_underrun,
            capture_overrun: counts.capture_overrun + shared.capture_overrun.load(Relaxed),
            playback_underrun: shared.playback_underrun.load(Relaxed),
            playback_overrun: counts.playback_overrun + shared.playback_overrun.load(Relaxed),
            xruns: shared.xruns.load(Relaxed),
            capture_level_ms: level(capture),
            playback_level_ms: level(playback),
            capture_ppm: ppm(capture),
            playback_ppm: ppm(playback),
        }
    }

    fn failure(&self) -> Option<&DeviceError> {
        self.failure.as_ref()
    }

    /// Waits until the card has played everything that was written, at most for the length of its ring, and stops it. Blocks.
    fn close(&mut self) -> Result<(), DeviceError> {
        let until = Instant::now() + StdDuration::from_millis(u64::from(self.config.max_ms) + CLOSING_MS);
        while !self.notice_loss() && Instant::now() < until {
            match &self.playback {
                // The card needs a period to play the samples that the callback took last.
                Some(playback) if !playback.end.is_drained() => std::thread::sleep(StdDuration::from_millis(5)),
                Some(_) => {
                    std::thread::sleep(StdDuration::from_millis(u64::from(self.config.period_ms) + CLOSING_MS));
                    break;
                }
                None => break,
            }
        }
        (self.capture, self.playback) = (None, None);
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), DeviceError> {
        // The old streams go first: most cards can be opened only once.
        self.capture = None;
        self.playback = None;
        // The flags are new, so that a late error of the old streams can't fail the new ones; the counts continue.
        let old = std::mem::take(&mut self.shared);
        for (new, old) in [
            (&self.shared.capture_overrun, &old.capture_overrun),
            (&self.shared.playback_underrun, &old.playback_underrun),
            (&self.shared.playback_overrun, &old.playback_overrun),
            (&self.shared.xruns, &old.xruns),
        ] {
            new.store(old.load(Relaxed), Relaxed);
        }
        match self.start() {
            Ok(()) => {
                self.failure = None;
                Ok(())
            }
            Err(e) => {
                self.capture = None;
                self.failure
                    .get_or_insert(DeviceError::Lost { source: cpal::Error::new(ErrorKind::DeviceNotAvailable) });
                Err(e)
            }
        }
    }
}

impl fmt::Debug for CardIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CardIo")
            .field("capture", &self.opened(Direction::Capture))
            .field("playback", &self.opened(Direction::Playback))
            .field("counters", &self.counters())
            .field("failure", &self.failure)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_once_at_the_rate_of_the_card_on_which_they_fell() {
        let mut told = Told::default();
        assert_eq!(told.since(480_000, 48_000, 16_000), 160_000);
        assert_eq!(told.since(480_000, 48_000, 16_000), 0);
        // One sample of the call for three of the card, however they come.
        assert_eq!((480_001..480_010).map(|count| told.since(count, 48_000, 16_000)).sum::<u32>(), 3);
        // No card, and then another one: what was counted before is not told again.
        assert_eq!(told.since(480_009, 16_000, 16_000), 0);
        assert_eq!(told.since(480_009, 44_100, 16_000), 0);
        assert_eq!(told.since(480_009 + 44_100, 44_100, 16_000), 16_000);
        assert_eq!(told.since(u64::MAX, 0, u32::MAX), u32::MAX);
    }

    #[test]
    fn a_lost_device_is_seen_and_reopened() {
        let off = CardConfig { capture: DeviceChoice::Off, playback: DeviceChoice::Off, ..CardConfig::default() };
        let mut card = CardIo::open(off).unwrap();
        let mut pcm = [5; 480];
        assert_eq!((card.read(&mut pcm), card.write(&pcm)), (0, 480));
        assert!(card.failure().is_none());
        let old = Arc::clone(&card.shared);
        old.report(ErrorKind::Xrun);
        old.report(ErrorKind::DeviceChanged);
        card.read(&mut pcm);
        assert!(card.failure().is_none(), "an xrun or a new route is no loss");

        old.report(ErrorKind::DeviceNotAvailable);
        pcm.fill(5);
        assert_eq!((card.read(&mut pcm), card.write(&pcm)), (0, 0));
        assert_eq!(pcm, [0; 480]);
        assert!(matches!(card.failure(), Some(DeviceError::Lost { .. })));
        assert_eq!((card.counters().playback_overrun, card.counters().xruns), (480, 1));

        card.reopen().unwrap();
        old.report(ErrorKind::StreamInvalidated);
        card.read(&mut pcm);
        assert!(card.failure().is_none(), "the old stream's last words don't count");
        assert_eq!(card.counters().xruns, 1, "the counts go on");
    }
}
