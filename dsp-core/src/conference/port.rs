//! The place of one participant in a conference: frame, gain and counters.

use core::hint::black_box;

use crate::block::Block;
use crate::process::gain::Gain;
use crate::process::level::Level;

use super::sum::TILE;

/// A change of gain takes this long.
const RAMP_MS: u32 = 10;

/// Gains from here on are left to [`Gain`]: 1.5, in 2^-16.
const HIGHEST_Q16: u32 = 3 << 15;

/// How loud a participant is, as the caller knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PortActivity {
    /// Present level of his sound.
    pub level: Level,
    /// Probability that he speaks, of 255. From 128 on he counts as speaking.
    pub probability: u8,
}

impl PortActivity {
    /// Silence.
    pub const NONE: Self = Self { level: Level::SILENCE, probability: 0 };

    /// Whether he speaks.
    pub(super) const fn is_speech(self) -> bool {
        self.probability >= 128
    }
}

/// Who has the floor before others, where [`loudest`](super::ConferenceConfig::loudest) is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FloorPriority {
    /// The participant competes by his level alone.
    #[default]
    Normal,
    /// The participant comes before all with [`FloorPriority::Normal`], whenever he speaks.
    High,
    /// The participant is always heard and takes nobody's place: a lecturer, or an announcement.
    Always,
}

/// Counters of a participant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PortStats {
    /// Whether he was in the last sum.
    pub heard: bool,
    /// Frames that he gave.
    pub frames: u64,
    /// Frames that were mixed without one of his.
    pub missing_frames: u64,
    /// Samples at full scale in his frames, before any gain; 0 without [`meters`](super::ConferenceConfig::meters).
    pub clipped_samples: u64,
    /// Highest magnitude in his last frame, before any gain, 0 to 32,768; 0 without
    /// [`meters`](super::ConferenceConfig::meters).
    pub peak: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Free,
    Joined,
    /// Free as soon as the sound has faded out.
    Leaving,
}

/// Memory of one participant, for frames of at most `SAMPLES` samples. It is aligned to 16 bytes: without that, mixing
/// 200 of them took 7 % longer.
#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
pub struct Port<const SAMPLES: usize> {
    /// The frame with its gain, which is in the sum if `in_sum`.
    pub(super) samples: [i16; SAMPLES],
    pub(super) in_sum: bool,
    used: Use,
    /// Whether the caller gave a frame that isn't mixed yet.
    given: bool,
    /// Whether the last frame had sound up to its end.
    sounding: bool,
    pub(super) muted: bool,
    /// Whether the floor is his.
    pub(super) chosen: bool,
    silenced: bool,
    pub(super) priority: FloorPriority,
    pub(super) activity: PortActivity,
    /// Level with a slow fall, in hundredths of a dBov.
    pub(super) loudness: i16,
    pub(super) gain: Gain,
    stats: PortStats,
}

impl<const SAMPLES: usize> Port<SAMPLES> {
    /// A port that nobody has joined at.
    pub const EMPTY: Self = Self {
        samples: [0; SAMPLES],
        in_sum: false,
        used: Use::Free,
        given: false,
        sounding: false,
        muted: false,
        chosen: false,
        silenced: false,
        priority: FloorPriority::Normal,
        activity: PortActivity::NONE,
        loudness: Level::SILENCE.hundredths_dbov(),
        gain: Gain::new(0),
        stats: PortStats { heard: false, frames: 0, missing_frames: 0, clipped_samples: 0, peak: 0 },
    };

    pub(super) fn is_free(&self) -> bool {
        self.used == Use::Free
    }

    pub(super) fn is_joined(&self) -> bool {
        self.used == Use::Joined
    }

    pub(super) fn join(&mut self, sample_rate_hz: u32) {
        *self = Self { used: Use::Joined, gain: Gain::new((sample_rate_hz * RAMP_MS / 1_000) as u16), ..Self::EMPTY };
    }

    pub(super) fn leave(&mut self) {
        (self.used, self.given) = (Use::Leaving, false);
    }

    pub(super) fn frame(&mut self, samples: usize) -> &mut [i16] {
        self.given = true;
        &mut self.samples[..samples]
    }

    pub(super) fn stats(&self) -> PortStats {
        self.stats
    }

    /// Whether the participant may have the floor.
    pub(super) fn may_speak(&self) -> bool {
        self.used == Use::Joined && !self.muted
    }

    /// Makes the frame what the others are to hear.
    #[inline]
    pub(super) fn prepare(&mut self, samples: usize, meters: bool) {
        // As it is for nearly everybody nearly always: nothing to do but to count.
        let goes_on = self.given && self.sounding && self.silenced == (self.muted || !self.chosen);
        if goes_on && self.gain.is_unity() && !meters {
            self.given = false;
            self.stats.frames += 1;
        } else {
            self.prepare_samples(samples, meters);
        }
    }

    fn prepare_samples(&mut self, samples: usize, meters: bool) {
        let frame = &mut self.samples[..samples];
        if self.given {
            self.given = false;
            self.stats.frames += 1;
            if meters {
                self.stats.peak = peak(frame);
                if self.stats.peak >= i16::MAX as u16 {
                    let full = frame.iter().filter(|&&sample| sample == i16::MAX || sample == i16::MIN);
                    self.stats.clipped_samples += full.count() as u64;
                }
            }
            let silenced = self.muted || !self.chosen;
            if !self.sounding {
                // From silence, whatever the gain was when he was heard last.
                self.gain.set_muted(true);
                Block::<i16>::reset(&mut self.gain);
                self.gain.set_muted(silenced);
            } else if silenced != self.silenced {
                self.gain.set_muted(silenced);
            }
            self.silenced = silenced;
            self.in_sum = !self.gain.is_silent();
            if self.in_sum && !self.gain.is_unity() {
                match self.gain.at_rest_q16().filter(|&gain_q16| gain_q16 < HIGHEST_Q16) {
                    Some(gain_q16) => scale(frame, gain_q16),
                    None => self.gain.process(frame),
                }
            }
            self.sounding = self.in_sum && !self.gain.is_silent();
        } else {
            self.stats.missing_frames += u64::from(self.used == Use::Joined);
            self.in_sum = self.sounding;
            if self.sounding {
                // The last frame backwards goes on at the very sample where the sound ended.
                frame.reverse();
                let last = samples as i32;
                for (n, sample) in (1..).zip(frame) {
                    *sample = (i32::from(*sample) * (last - n) / last) as i16;
                }
            }
            self.sounding = false;
            if self.used == Use::Leaving {
                self.used = Use::Free;
            }
        }
        self.stats.heard = self.in_sum;
    }
}

/// The highest magnitude.
#[inline]
fn peak(frame: &[i16]) -> u16 {
    let (highest, lowest) = frame.iter().fold((0, 0), |(high, low), &x| (x.max(high), x.min(low)));
    highest.unsigned_abs().max(lowest.unsigned_abs())
}

/// Multiplies by a gain below 1.5 in 2^-16, rounded half up. As 0 or 1 and a signed rest of 16 bits, so that vectors of 16 bits do it
/// without widening.
#[inline]
fn scale(frame: &mut [i16], gain_q16: u32) {
    let whole = if gain_q16 >= 1 << 15 { -1 } else { 0 };
    let rest = gain_q16 as u16 as i16;
    let scaled = |sample: i16, rest: i16| {
        let high = ((i32::from(sample) * i32::from(rest)) >> 16) as i16;
        let half = (sample.wrapping_mul(rest) as u16 >> 15) as i16;
        (sample & whole).saturating_add(high + half)
    };
    // Afresh for each few tiles: what is widened once before the loop is multiplied in 32 bits, four times as slowly.
    let (runs, rest_of_runs) = frame.as_chunks_mut::<{ 2 * TILE }>();
    for run in runs {
        let rest = black_box(rest);
        run.iter_mut().for_each(|sample| *sample = scaled(*sample, rest));
    }
    let (tiles, few) = rest_of_runs.as_chunks_mut::<TILE>();
    for tile in tiles {
        let rest = black_box(rest);
        tile.iter_mut().for_each(|sample| *sample = scaled(*sample, rest));
    }
    few.iter_mut().for_each(|sample| *sample = scaled(*sample, rest));
}
