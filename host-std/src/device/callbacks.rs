//! The code that runs in a card's audio callbacks: the card's ends of its rings.
//!
//! They convert the sample format and the channels and touch the ring and atomic counters: they neither allocate, lock
//! nor log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use cpal::ErrorKind;
use dsp_core::format::{self, Encoding};
use rtrb::{Consumer, Producer};

use super::ends::RingLevels;
use super::stream::CardSample;
use crate::join::Join;

/// The state that the callbacks share with the caller.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) capture_overrun: AtomicU64,
    pub(super) playback_underrun: AtomicU64,
    pub(super) playback_overrun: AtomicU64,
    pub(super) xruns: AtomicU64,
    /// Index in [`FATAL`] plus 1 of the error that ended the stream.
    pub(super) lost: AtomicUsize,
    /// Whether the capture has delivered anything yet.
    pub(super) capturing: AtomicBool,
}

/// Errors after which a stream gives no more sound.
pub(super) const FATAL: [ErrorKind; 7] = [
    ErrorKind::DeviceNotAvailable,
    ErrorKind::StreamInvalidated,
    ErrorKind::HostUnavailable,
    ErrorKind::PermissionDenied,
    ErrorKind::DeviceBusy,
    ErrorKind::BackendError,
    ErrorKind::Other,
];

impl Shared {
    pub(super) fn report(&self, kind: ErrorKind) {
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

/// The capture callback: it converts any format and channel count to floats of the caller's channels.
pub(super) struct CaptureCallback {
    pub(super) ring: Producer<f32>,
    /// The card's.
    pub(super) channels: usize,
    /// The caller's.
    pub(super) wanted: usize,
    pub(super) shared: Arc<Shared>,
}

impl CaptureCallback {
    pub(super) fn run<T: CardSample>(&mut self, data: &[T]) {
        self.shared.capturing.store(true, Relaxed);
        let (channels, wanted) = (self.channels, self.wanted);
        let frames = data.len() / channels;
        let n = frames.min(self.ring.slots() / wanted);
        if let Ok(chunk) = self.ring.write_chunk_uninit(n * wanted) {
            let float = |sample: T| sample.unit().read::<f32>();
            // A broken driver's NaN would stay in the resampler for the length of its sinc.
            let sane = |sample: f32| if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
            chunk.fill_from_iter(data.chunks_exact(channels).flat_map(|frame| {
                let both = match (wanted, frame) {
                    // The first two channels of a card with more are left and right.
                    (2, [left, right, ..]) => [float(*left), float(*right)],
                    (2, [one]) => [float(*one); 2],
                    _ => [format::mean(frame.iter().map(|sample| float(*sample))), 0.0],
                };
                both.map(sane).into_iter().take(wanted)
            }));
        }
        // The caller drops the oldest as soon as it reads; a caller that doesn't loses the newest here.
        self.shared.capture_overrun.fetch_add((frames - n) as u64, Relaxed);
    }
}

/// The playback callback: it converts floats to any format, on the first two channels.
pub(super) struct PlaybackCallback {
    pub(super) ring: Consumer<f32>,
    /// The card's.
    pub(super) channels: usize,
    /// The caller's.
    pub(super) given: usize,
    pub(super) levels: RingLevels,
    /// Silent until the ring has reached its target, at the start and after running dry.
    pub(super) priming: bool,
    pub(super) join: Join,
    pub(super) shared: Arc<Shared>,
}

impl PlaybackCallback {
    pub(super) fn run<T: CardSample>(&mut self, data: &mut [T]) {
        data.fill(T::EQUILIBRIUM);
        let frames = data.len() / self.channels;
        let mut level = self.ring.slots() / self.given;
        if self.priming && level < self.levels.target {
            self.fade(data);
            return;
        }
        if std::mem::take(&mut self.priming) {
            self.join.break_off();
        }
        if level > self.levels.max + frames {
            let excess = level - self.levels.target.max(frames);
            discard(&mut self.ring, excess * self.given);
            self.join.break_off();
            self.shared.playback_overrun.fetch_add(excess as u64, Relaxed);
            level -= excess;
        }
        let n = frames.min(level);
        let (sound, silence) = data.split_at_mut(n * self.channels);
        if let Ok(chunk) = self.ring.read_chunk(n * self.given) {
            let mut samples = chunk.into_iter();
            for frame in sound.chunks_exact_mut(self.channels) {
                let mut given = [0.0; 2];
                given.iter_mut().zip(samples.by_ref().take(self.given)).for_each(|(slot, sample)| *slot = sample);
                self.join.pass(&mut given[..self.given]);
                play(frame, &given[..self.given]);
            }
        }
        if n < frames {
            self.shared.playback_underrun.fetch_add((frames - n) as u64, Relaxed);
            self.priming = true;
            self.join.break_off();
            self.fade(silence);
        }
    }

    /// Fades the last sound out over silence.
    fn fade<T: CardSample>(&mut self, silence: &mut [T]) {
        for frame in silence.chunks_exact_mut(self.channels) {
            if !self.join.is_fading() {
                return;
            }
            let mut given = [0.0; 2];
            self.join.pass(&mut given[..self.given]);
            play(frame, &given[..self.given]);
        }
    }
}

/// Sound of one channel or of two on the first two of a card; a card of one has their mean.
fn play<T: CardSample>(frame: &mut [T], given: &[f32]) {
    let of = |sample: f32| T::of(Encoding::write(sample.clamp(-1.0, 1.0)));
    match (given, frame) {
        (&[left, right], [one]) => *one = of((left + right) / 2.0),
        (&[left, right], [first, second, ..]) => (*first, *second) = (of(left), of(right)),
        (&[both], frame) => frame.iter_mut().take(2).for_each(|slot| *slot = of(both)),
        _ => {}
    }
}

pub(super) fn discard(ring: &mut Consumer<f32>, samples: usize) {
    if let Ok(chunk) = ring.read_chunk(samples.min(ring.slots())) {
        chunk.commit_all();
    }
}
