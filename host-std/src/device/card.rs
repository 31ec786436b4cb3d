//! A sound card over `cpal`: the audio callbacks on one side, the caller's frames on the other, a ring between.
//!
//! The callbacks convert the sample format and the channels and touch the ring and atomic counters: they neither
//! allocate, lock nor log. Resampling and the drift control run in [`AudioIo::read`] and [`AudioIo::write`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use cpal::traits::{DeviceTrait as _, StreamTrait as _};
use cpal::{BufferSize, ErrorKind, FromSample, SampleFormat, SizedSample, StreamConfig};
use rtrb::{Consumer, Producer, RingBuffer};

use super::drift::DriftControl;
use super::{AudioCounters, AudioIo, DeviceChoice, DeviceError, Direction, list};
use crate::resample::Resampler;

/// How a [`CardIo`] is set up. The default is the system's default devices at 48 kHz.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardConfig {
    /// The microphone.
    pub capture: DeviceChoice,
    /// The loudspeaker.
    pub playback: DeviceChoice,
    /// Rate of the caller's sound, in Hz; the card's own rate is the card's matter.
    pub sample_rate_hz: u32,
    /// The period asked of the card, in milliseconds. A card that refuses gets its own.
    pub period_ms: u32,
    /// Level that each ring is kept at, in milliseconds, where a frame has just been written or is about to be read:
    /// at least a frame and a period.
    pub target_ms: u32,
    /// Level above which the oldest sound is dropped, down to the target.
    pub max_ms: u32,
}

impl Default for CardConfig {
    fn default() -> Self {
        Self {
            capture: DeviceChoice::Default,
            playback: DeviceChoice::Default,
            sample_rate_hz: 48_000,
            period_ms: 10,
            target_ms: 35,
            max_ms: 150,
        }
    }
}

/// What the callbacks tell.
#[derive(Debug, Default)]
struct Shared {
    capture_overrun: AtomicU64,
    playback_underrun: AtomicU64,
    playback_overrun: AtomicU64,
    xruns: AtomicU64,
    /// Index in [`FATAL`] plus 1 of the error that ended the stream.
    lost: AtomicUsize,
    /// Whether the capture has delivered anything yet.
    capturing: AtomicBool,
}

/// Errors after which a stream gives no more sound.
const FATAL: [ErrorKind; 7] = [
    ErrorKind::DeviceNotAvailable,
    ErrorKind::StreamInvalidated,
    ErrorKind::HostUnavailable,
    ErrorKind::PermissionDenied,
    ErrorKind::DeviceBusy,
    ErrorKind::BackendError,
    ErrorKind::Other,
];

impl Shared {
    fn report(&self, kind: ErrorKind) {
        match kind {
            ErrorKind::Xrun => {
                self.xruns.fetch_add(1, Relaxed);
            }
            // The stream plays on, elsewhere or with less punctuality.
            ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
            kind => {
                let index = FATAL.iter().position(|&k| k == kind).unwrap_or(FATAL.len() - 1);
                self.lost.store(index + 1, Relaxed);
            }
        }
    }
}

/// Bounds of one ring, in samples of the card's rate.
#[derive(Clone, Copy, Debug)]
struct Levels {
    rate_hz: u32,
    target: usize,
    max: usize,
}

impl Levels {
    fn new(config: &CardConfig, rate_hz: u32) -> Self {
        let samples = |ms: u32| (u64::from(rate_hz) * u64::from(ms) / 1000) as usize;
        // Held to sense: a ring of at least a millisecond and at most ten seconds.
        let target = config.target_ms.clamp(1, 5_000);
        Self { rate_hz, target: samples(target), max: samples(config.max_ms.clamp(target + 1, 10_000)) }
    }

    /// Room for a burst on top of the most that is kept.
    fn capacity(&self) -> usize {
        self.max + self.rate_hz as usize / 2
    }

    fn ms(&self, samples: usize) -> f64 {
        samples as f64 * 1e3 / f64::from(self.rate_hz)
    }
}

/// Counts of the caller's side.
#[derive(Debug, Default)]
struct Counts {
    captured: u64,
    played: u64,
    capture_underrun: u64,
    capture_overrun: u64,
    playback_overrun: u64,
}

/// The caller's end of the capture.
struct Capture {
    ring: Consumer<f32>,
    levels: Levels,
    resampler: Resampler,
    drift: DriftControl,
    /// Waiting for the ring to reach its target for the first time.
    priming: bool,
}

impl Capture {
    fn read(&mut self, pcm: &mut [i16], counts: &mut Counts, started: bool) -> usize {
        let level = self.ring.slots();
        if self.priming {
            if level < self.levels.target {
                pcm.fill(0);
                counts.capture_underrun += if started { pcm.len() as u64 } else { 0 };
                return 0;
            }
            self.priming = false;
        }
        let rate_hz = f64::from(self.resampler.to_hz());
        if level > self.levels.max {
            let excess = level - self.levels.target;
            discard(&mut self.ring, excess);
            counts.capture_overrun += excess as u64;
            self.drift.restart();
        } else {
            let waiting = self.resampler.available() as f64 * 1e3 / rate_hz;
            let ppm = self.drift.update(self.levels.ms(level) + waiting, pcm.len() as f64 * 1e3 / rate_hz);
            self.resampler.set_ppm(ppm);
        }
        let mut filled = 0;
        loop {
            filled += self.resampler.pull(&mut pcm[filled..]);
            let n = self.ring.slots().min(256);
            if filled == pcm.len() || n == 0 {
                break;
            }
            if let Ok(chunk) = self.ring.read_chunk(n) {
                let (a, b) = chunk.as_slices();
                // The resampler has been pulled empty, so it takes what comes.
                self.resampler.push_f32(a);
                self.resampler.push_f32(b);
                chunk.commit_all();
            }
        }
        pcm[filled..].fill(0);
        counts.captured += filled as u64;
        counts.capture_underrun += (pcm.len() - filled) as u64;
        filled
    }
}

/// The caller's end of the playback.
struct Playback {
    ring: Producer<f32>,
    levels: Levels,
    resampler: Resampler,
    drift: DriftControl,
}

impl Playback {
    fn write(&mut self, pcm: &[i16], counts: &mut Counts) -> usize {
        let mut scratch = [0.0; 256];
        let mut rest = pcm;
        let mut dropped = 0;
        while !rest.is_empty() {
            let taken = self.resampler.push(rest);
            rest = &rest[taken..];
            while self.resampler.available() > 0 {
                let n = self.resampler.pull_f32(&mut scratch);
                let (_, left) = self.ring.push_partial_slice(&scratch[..n]);
                dropped += left.len();
            }
        }
        let rate_hz = f64::from(self.resampler.from_hz());
        let level = self.ring.buffer().capacity() - self.ring.slots();
        if level > self.levels.max {
            // The callback is about to drop down to the target.
            self.drift.restart();
        } else {
            let ppm = self.drift.update(self.levels.ms(level), pcm.len() as f64 * 1e3 / rate_hz);
            self.resampler.set_ppm(ppm);
        }
        counts.playback_overrun += dropped as u64;
        counts.played += pcm.len() as u64;
        pcm.len()
    }
}

fn discard(ring: &mut Consumer<f32>, samples: usize) {
    if let Ok(chunk) = ring.read_chunk(samples.min(ring.slots())) {
        chunk.commit_all();
    }
}

/// What runs in the capture's callback: any format and channel count to mono floats.
struct CaptureCallback {
    ring: Producer<f32>,
    channels: usize,
    shared: Arc<Shared>,
}

impl CaptureCallback {
    fn run<T: SizedSample>(&mut self, data: &[T])
    where
        f32: FromSample<T>,
    {
        self.shared.capturing.store(true, Relaxed);
        let frames = data.len() / self.channels;
        let n = frames.min(self.ring.slots());
        let scale = 1.0 / self.channels as f32;
        if let Ok(chunk) = self.ring.write_chunk_uninit(n) {
            chunk.fill_from_iter(data.chunks_exact(self.channels).map(|frame| {
                let sum: f32 = frame.iter().map(|&s| f32::from_sample_(s)).sum();
                // A broken driver's NaN would stay in the resampler for the length of its sinc.
                if sum.is_finite() { (sum * scale).clamp(-1.0, 1.0) } else { 0.0 }
            }));
        }
        // The caller drops the oldest as soon as it reads; a caller that doesn't loses the newest here.
        self.shared.capture_overrun.fetch_add((frames - n) as u64, Relaxed);
    }
}

/// What runs in the playback's callback: mono floats to any format, on the first two channels.
struct PlaybackCallback {
    ring: Consumer<f32>,
    channels: usize,
    levels: Levels,
    /// Silent until the ring has reached its target, at the start and after running dry.
    priming: bool,
    shared: Arc<Shared>,
}

impl PlaybackCallback {
    fn run<T: SizedSample + FromSample<f32>>(&mut self, data: &mut [T]) {
        data.fill(T::EQUILIBRIUM);
        let frames = data.len() / self.channels;
        let mut level = self.ring.slots();
        if self.priming && level < self.levels.target {
            return;
        }
        self.priming = false;
        if level > self.levels.max + frames {
            let excess = level - self.levels.target.max(frames);
            discard(&mut self.ring, excess);
            self.shared.playback_overrun.fetch_add(excess as u64, Relaxed);
            level -= excess;
        }
        let n = frames.min(level);
        if let Ok(chunk) = self.ring.read_chunk(n) {
            for (frame, s) in data.chunks_exact_mut(self.channels).zip(chunk) {
                // A step below full scale: 1.0 is one more than an integer format can have.
                let s = T::from_sample_(s.clamp(-1.0, 1.0 - f32::EPSILON / 2.0));
                frame.iter_mut().take(2).for_each(|slot| *slot = s);
            }
        }
        if n < frames {
            self.shared.playback_underrun.fetch_add((frames - n) as u64, Relaxed);
            self.priming = true;
        }
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

/// A sound card, or one for each direction.
pub struct CardIo {
    config: CardConfig,
    capture: Option<Open<Capture>>,
    playback: Option<Open<Playback>>,
    shared: Arc<Shared>,
    counts: Counts,
    failure: Option<DeviceError>,
}

impl CardIo {
    /// Opens and starts the devices that `config` names.
    ///
    /// # Errors
    /// [`DeviceError`]: no device, none of that name, none of a known format, or refused by the system.
    pub fn open(config: CardConfig) -> Result<Self, DeviceError> {
        let mut card = Self {
            config,
            capture: None,
            playback: None,
            shared: Arc::default(),
            counts: Counts::default(),
            failure: None,
        };
        card.start()?;
        Ok(card)
    }

    /// What was opened for `direction`: the device's name, rate in Hz, channels and sample format.
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

    fn start_capture(&self) -> Result<Option<Open<Capture>>, DeviceError> {
        let Some(device) = list::find(&self.config.capture, Direction::Capture)? else { return Ok(None) };
        let (stream_config, format) = list::choose(&device, Direction::Capture, &self.config.capture)?;
        let levels = Levels::new(&self.config, stream_config.sample_rate);
        let resampler = Resampler::new(stream_config.sample_rate, self.config.sample_rate_hz)?;
        let (stream, ring) = self.build(&device, stream_config, |stream_config| {
            let (producer, consumer) = RingBuffer::new(levels.capacity());
            let callback = CaptureCallback {
                ring: producer,
                channels: usize::from(stream_config.channels),
                shared: Arc::clone(&self.shared),
            };
            let stream = build_capture(&device, stream_config, format, callback)?;
            Ok((stream, consumer))
        })?;
        let drift = DriftControl::new(f64::from(self.config.target_ms));
        let end = Capture { ring, levels, resampler, drift, priming: true };
        Ok(Some(Open { _stream: stream, end, name: list::name_of(&device), config: stream_config, format }))
    }

    fn start_playback(&self) -> Result<Option<Open<Playback>>, DeviceError> {
        let Some(device) = list::find(&self.config.playback, Direction::Playback)? else { return Ok(None) };
        let (stream_config, format) = list::choose(&device, Direction::Playback, &self.config.playback)?;
        let levels = Levels::new(&self.config, stream_config.sample_rate);
        let resampler = Resampler::new(self.config.sample_rate_hz, stream_config.sample_rate)?;
        let (stream, ring) = self.build(&device, stream_config, |stream_config| {
            let (producer, consumer) = RingBuffer::new(levels.capacity());
            let callback = PlaybackCallback {
                ring: consumer,
                channels: usize::from(stream_config.channels),
                levels,
                priming: true,
                shared: Arc::clone(&self.shared),
            };
            let stream = build_playback(&device, stream_config, format, callback)?;
            Ok((stream, producer))
        })?;
        let drift = DriftControl::new(f64::from(self.config.target_ms));
        let end = Playback { ring, levels, resampler, drift };
        Ok(Some(Open { _stream: stream, end, name: list::name_of(&device), config: stream_config, format }))
    }

    /// Builds and starts a stream with the period asked for, or failing that with the device's own.
    fn build<Ring>(
        &self,
        device: &cpal::Device,
        mut config: StreamConfig,
        make: impl Fn(StreamConfig) -> Result<(cpal::Stream, Ring), cpal::Error>,
    ) -> Result<(cpal::Stream, Ring), DeviceError> {
        let frames = u64::from(config.sample_rate) * u64::from(self.config.period_ms) / 1000;
        config.buffer_size = BufferSize::Fixed(frames.clamp(1, 1 << 16) as u32);
        make(config)
            .or_else(|_| {
                config.buffer_size = BufferSize::Default;
                make(config)
            })
            .and_then(|(stream, ring)| stream.play().map(|()| (stream, ring)))
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

    fn read(&mut self, pcm: &mut [i16]) -> usize {
        let failed = self.notice_loss();
        match &mut self.capture {
            Some(capture) if !failed => {
                let started = self.shared.capturing.load(Relaxed);
                capture.end.read(pcm, &mut self.counts, started)
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
            Some(playback) if !failed => playback.end.write(pcm, &mut self.counts),
            // Without a loudspeaker there is nothing to fall short of.
            None if !failed => pcm.len(),
            _ => {
                self.counts.playback_overrun += pcm.len() as u64;
                0
            }
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

    fn reopen(&mut self) -> Result<(), DeviceError> {
        // The old streams go first: most cards can be opened only once. A failed state with no error yet stays so.
        self.capture = None;
        self.playback = None;
        // A fresh set of flags, so that a late word of the old streams can't fail the new ones; the counts go on.
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

/// How long the system may take to set up a stream.
const SETUP: Option<Duration> = Some(Duration::from_secs(5));

fn build_capture(
    device: &cpal::Device,
    config: StreamConfig,
    format: SampleFormat,
    callback: CaptureCallback,
) -> Result<cpal::Stream, cpal::Error> {
    match format {
        SampleFormat::I8 => capture_of::<i8>(device, config, callback),
        SampleFormat::I16 => capture_of::<i16>(device, config, callback),
        SampleFormat::I24 => capture_of::<cpal::I24>(device, config, callback),
        SampleFormat::I32 => capture_of::<i32>(device, config, callback),
        SampleFormat::I64 => capture_of::<i64>(device, config, callback),
        SampleFormat::U8 => capture_of::<u8>(device, config, callback),
        SampleFormat::U16 => capture_of::<u16>(device, config, callback),
        SampleFormat::U24 => capture_of::<cpal::U24>(device, config, callback),
        SampleFormat::U32 => capture_of::<u32>(device, config, callback),
        SampleFormat::U64 => capture_of::<u64>(device, config, callback),
        SampleFormat::F32 => capture_of::<f32>(device, config, callback),
        SampleFormat::F64 => capture_of::<f64>(device, config, callback),
        _ => Err(cpal::Error::new(ErrorKind::UnsupportedConfig)),
    }
}

fn capture_of<T: SizedSample>(
    device: &cpal::Device,
    config: StreamConfig,
    mut callback: CaptureCallback,
) -> Result<cpal::Stream, cpal::Error>
where
    f32: FromSample<T>,
{
    let shared = Arc::clone(&callback.shared);
    let on_error = move |e: cpal::Error| shared.report(e.kind());
    device.build_input_stream(config, move |data: &[T], _: &_| callback.run(data), on_error, SETUP)
}

fn build_playback(
    device: &cpal::Device,
    config: StreamConfig,
    format: SampleFormat,
    callback: PlaybackCallback,
) -> Result<cpal::Stream, cpal::Error> {
    match format {
        SampleFormat::I8 => playback_of::<i8>(device, config, callback),
        SampleFormat::I16 => playback_of::<i16>(device, config, callback),
        SampleFormat::I24 => playback_of::<cpal::I24>(device, config, callback),
        SampleFormat::I32 => playback_of::<i32>(device, config, callback),
        SampleFormat::I64 => playback_of::<i64>(device, config, callback),
        SampleFormat::U8 => playback_of::<u8>(device, config, callback),
        SampleFormat::U16 => playback_of::<u16>(device, config, callback),
        SampleFormat::U24 => playback_of::<cpal::U24>(device, config, callback),
        SampleFormat::U32 => playback_of::<u32>(device, config, callback),
        SampleFormat::U64 => playback_of::<u64>(device, config, callback),
        SampleFormat::F32 => playback_of::<f32>(device, config, callback),
        SampleFormat::F64 => playback_of::<f64>(device, config, callback),
        _ => Err(cpal::Error::new(ErrorKind::UnsupportedConfig)),
    }
}

fn playback_of<T: SizedSample + FromSample<f32>>(
    device: &cpal::Device,
    config: StreamConfig,
    mut callback: PlaybackCallback,
) -> Result<cpal::Stream, cpal::Error> {
    let shared = Arc::clone(&callback.shared);
    let on_error = move |e: cpal::Error| shared.report(e.kind());
    device.build_output_stream(config, move |data: &mut [T], _: &_| callback.run(data), on_error, SETUP)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD_HZ: u32 = 48_000;
    const CALL_HZ: u32 = 16_000;

    fn capture_ends(channels: usize) -> (CaptureCallback, Capture) {
        let config = CardConfig::default();
        let levels = Levels::new(&config, CARD_HZ);
        let (producer, consumer) = RingBuffer::new(levels.capacity());
        let callback = CaptureCallback { ring: producer, channels, shared: Arc::default() };
        let end = Capture {
            ring: consumer,
            levels,
            resampler: Resampler::new(CARD_HZ, CALL_HZ).unwrap(),
            drift: DriftControl::new(f64::from(config.target_ms)),
            priming: true,
        };
        (callback, end)
    }

    fn playback_ends(channels: usize) -> (Playback, PlaybackCallback) {
        let config = CardConfig::default();
        let levels = Levels::new(&config, CARD_HZ);
        let (producer, consumer) = RingBuffer::new(levels.capacity());
        let callback = PlaybackCallback { ring: consumer, channels, levels, priming: true, shared: Arc::default() };
        let end = Playback {
            ring: producer,
            levels,
            resampler: Resampler::new(CALL_HZ, CARD_HZ).unwrap(),
            drift: DriftControl::new(f64::from(config.target_ms)),
        };
        (end, callback)
    }

    /// Runs both directions for `seconds`, 20 ms frames against a card of 10 ms periods whose clock is `ppm` fast.
    fn run(ppm: f64, seconds: u32) -> (Counts, u64, u64, f64, f64) {
        let (mut microphone, mut capture) = capture_ends(1);
        let (mut playback, mut loudspeaker) = playback_ends(2);
        let mut counts = Counts::default();
        let mut periods_due = 0.3;
        let (mut pcm, mut data) = ([0; 320], [0.0_f32; 960]);
        for _ in 0..seconds * 50 {
            periods_due += 2.0 * (1.0 + ppm * 1e-6);
            while periods_due >= 1.0 {
                periods_due -= 1.0;
                microphone.run(&[0.25_f32; 480]);
                loudspeaker.run(&mut data);
            }
            capture.read(&mut pcm, &mut counts, true);
            playback.write(&[8192; 320], &mut counts);
        }
        let (a, b) = (capture.drift.level_ms(), playback.drift.level_ms());
        let underrun = loudspeaker.shared.playback_underrun.load(Relaxed);
        let overrun =
            loudspeaker.shared.playback_overrun.load(Relaxed) + microphone.shared.capture_overrun.load(Relaxed);
        (counts, underrun, overrun, a, b)
    }

    #[test]
    fn two_minutes_against_a_drifting_card_lose_nothing() {
        for ppm in [-150.0, 0.0, 150.0] {
            let (counts, playback_underrun, overrun, capture_ms, playback_ms) = run(ppm, 120);
            println!("{ppm} ppm: levels {capture_ms:.1} and {playback_ms:.1} ms, {counts:?}");
            assert_eq!((playback_underrun, overrun), (0, 0), "{ppm} ppm");
            assert_eq!((counts.capture_overrun, counts.playback_overrun), (0, 0), "{ppm} ppm");
            assert!(counts.capture_underrun <= 640, "the start alone: {}", counts.capture_underrun);
            // 20 ppm for each millisecond off the target, and a slow beat of up to half a period of the card.
            assert!((capture_ms - 35.0).abs() < 13.0 && (playback_ms - 35.0).abs() < 13.0);
        }
    }

    #[test]
    fn a_caller_that_stops_loses_the_oldest_and_goes_on() {
        let (mut microphone, mut capture) = capture_ends(1);
        let mut counts = Counts::default();
        let mut pcm = [0; 320];
        for period in 0..200 {
            microphone.run(&[period as f32 / 400.0; 480]);
        }
        let lost = microphone.shared.capture_overrun.load(Relaxed);
        assert!(lost > 0, "two seconds into a ring of 650 ms");
        assert_eq!(capture.read(&mut pcm, &mut counts, true), 320);
        assert!(counts.capture_overrun > 0);
        let level = capture.ring.slots();
        assert!(level <= capture.levels.target, "{level} samples left");
        let taken = 200 * 480 - lost - counts.capture_overrun - level as u64;
        assert!((900..1200).contains(&taken), "{taken} samples of the card for a frame of 960");
    }

    #[test]
    fn playback_is_bounded_and_counts_what_it_drops() {
        let (mut playback, mut loudspeaker) = playback_ends(1);
        let mut counts = Counts::default();
        for _ in 0..100 {
            assert_eq!(playback.write(&[1000; 320], &mut counts), 320);
        }
        assert!(counts.playback_overrun > 0, "two seconds into a ring of 650 ms");
        let mut data = [0_i16; 480];
        loudspeaker.run(&mut data);
        assert!(loudspeaker.shared.playback_overrun.load(Relaxed) > 0);
        assert!(loudspeaker.ring.slots() <= loudspeaker.levels.target);
        assert_eq!(data, [1000; 480]);
    }

    #[test]
    fn running_dry_is_counted_once_and_refilled_first() {
        let (mut playback, mut loudspeaker) = playback_ends(2);
        let mut counts = Counts::default();
        let mut data = [7_i16; 960];
        loudspeaker.run(&mut data);
        assert_eq!(data, [0; 960], "silent until the target is reached");
        for _ in 0..2 {
            playback.write(&[1000; 320], &mut counts);
        }
        for _ in 0..6 {
            loudspeaker.run(&mut data);
        }
        let dry = loudspeaker.shared.playback_underrun.load(Relaxed);
        assert!((1..480).contains(&dry), "{dry} samples missed in the period that ran dry, none while refilling");
        playback.write(&[1000; 320], &mut counts);
        loudspeaker.run(&mut data);
        assert_eq!(data, [0; 960], "20 ms of 35");
        playback.write(&[1000; 320], &mut counts);
        loudspeaker.run(&mut data);
        assert_eq!(data, [1000; 960]);
    }

    fn format_round_trip<T: SizedSample + FromSample<f32> + Default>(channels: usize)
    where
        f32: FromSample<T>,
    {
        let (mut playback, mut loudspeaker) = playback_ends(channels);
        let mut counts = Counts::default();
        for _ in 0..3 {
            playback.write(&[i16::MAX; 320], &mut counts);
        }
        let mut data = vec![T::default(); 480 * channels];
        for _ in 0..3 {
            loudspeaker.run(&mut data);
        }
        let (mut microphone, mut capture) = capture_ends(channels);
        for _ in 0..8 {
            microphone.run(&data);
        }
        let mut pcm = [0; 960];
        capture.read(&mut pcm, &mut counts, true);
        let played_to = channels.min(2) as f32 / channels as f32;
        let got = f32::from(pcm[800]) / 32_768.0;
        assert!((got - played_to).abs() < 0.01, "{} x {channels}: {got} for {played_to}", T::FORMAT);
    }

    #[test]
    fn every_sample_format_and_channel_count_goes_round_at_full_scale() {
        for channels in [1, 2, 6] {
            format_round_trip::<i8>(channels);
            format_round_trip::<i16>(channels);
            format_round_trip::<cpal::I24>(channels);
            format_round_trip::<i32>(channels);
            format_round_trip::<i64>(channels);
            format_round_trip::<u8>(channels);
            format_round_trip::<u16>(channels);
            format_round_trip::<cpal::U24>(channels);
            format_round_trip::<u32>(channels);
            format_round_trip::<u64>(channels);
            format_round_trip::<f32>(channels);
            format_round_trip::<f64>(channels);
        }
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
