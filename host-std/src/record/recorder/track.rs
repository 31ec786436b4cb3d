//! The audio side of a recording: a ring of samples, and a ring of where they belong.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dsp_core::time::Instant;
use rtrb::{Consumer, Producer, RingBuffer};

use super::Shared;

/// Samples of a track that follow each other without a gap.
#[derive(Clone, Copy, Debug)]
pub(super) struct SampleRun {
    /// Place of the first on the recording's time line.
    pub(super) place: u64,
    pub(super) samples: u32,
}

/// The input of one party's sound: on the audio thread, without blocking, allocating or calling the system.
#[derive(Debug)]
pub struct Track {
    samples: Producer<i16>,
    runs: Producer<SampleRun>,
    shared: Arc<Shared>,
}

/// The other side of a [`Track`].
#[derive(Debug)]
pub(super) struct TrackEnd {
    pub(super) samples: Consumer<i16>,
    pub(super) runs: Consumer<SampleRun>,
}

/// Creates a track with room for this many samples, which may come in pieces of 40 and more.
pub(super) fn track(samples: usize, shared: Arc<Shared>) -> (Track, TrackEnd) {
    let (give, take) = RingBuffer::new(samples);
    let (give_runs, take_runs) = RingBuffer::new(samples / 40 + 8);
    let end = TrackEnd { samples: take, runs: take_runs };
    (Track { samples: give, runs: give_runs, shared }, end)
}

impl Track {
    /// Records samples whose first belongs at `place`, counted in samples from the recording's beginning. Pieces come in order;
    /// gaps between them are silence.
    pub fn write(&mut self, place: u64, pcm: &[i16]) {
        if pcm.is_empty() {
            return;
        }
        let room = self.runs.slots() > 0 && self.samples.slots() >= pcm.len();
        let length = u32::try_from(pcm.len()).ok().filter(|_| room);
        let chunk = length.and_then(|samples| Some((samples, self.samples.write_chunk_uninit(pcm.len()).ok()?)));
        let Some((samples, chunk)) = chunk else {
            self.shared.refused.fetch_add(pcm.len() as u64, Ordering::Relaxed);
            return;
        };
        chunk.fill_from_iter(pcm.iter().copied());
        // There is room, and nobody else fills it.
        let _ = self.runs.push(SampleRun { place, samples });
        self.shared.given.fetch_max(place.saturating_add(samples.into()), Ordering::Relaxed);
    }
}

/// Turns the times of a call into places of a track.
///
/// Samples that come one after the other stay so while the clock of the sound and that of the times differ by less
/// than 10 ms. Beyond it, one sample in each piece is left out or doubled in time, so slow clocks are followed without a click;
/// a leap of more than 40 ms (a device that lost sound) is followed at once.
#[derive(Clone, Copy, Debug)]
pub struct TrackClock {
    sample_rate_hz: u32,
    begin: Instant,
    next: Option<u64>,
}

impl TrackClock {
    /// Creates a clock for sound of this rate, on a time line that begins at `begin`.
    pub const fn new(sample_rate_hz: u32, begin: Instant) -> Self {
        Self { sample_rate_hz, begin, next: None }
    }

    /// Returns the place of samples whose first is of the time `at`; 0 before the beginning.
    pub fn place(&mut self, at: Instant, samples: usize) -> u64 {
        let due = at.since(self.begin).as_samples(self.sample_rate_hz);
        let place = match self.next {
            None => due,
            Some(next) => {
                let (slip, leap) = (u64::from(self.sample_rate_hz) / 100, u64::from(self.sample_rate_hz) / 25);
                match due.abs_diff(next) {
                    apart if apart <= slip => next,
                    apart if apart <= leap => {
                        if due > next {
                            next + 1
                        } else {
                            next.saturating_sub(1)
                        }
                    }
                    _ => due,
                }
            }
        };
        self.next = Some(place + samples as u64);
        place
    }
}
