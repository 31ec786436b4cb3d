//! Time stretching: shortens or lengthens a signal by one pitch period, where that can't be heard.
//!
//! Pitch-synchronous overlap-add: the lag at which the signal best repeats itself around the splice is cut out or
//! inserted, with a linear crossfade of up to a period over samples that correlate. Where the signal is nearly
//! silent any length will do. All integer; correlations Q15. Delay: none; memory: none between calls, 280 bytes of
//! stack. Cost at 8 kHz: 4,000 to 6,000 multiplies a call.

use super::pitch::{self, Match, Range, Side};

/// A splice is made from this normalised correlation on (0.9 in Q15).
const ALIKE: i32 = 29_491;
/// Peak below which a signal counts as silence (-54 dB of full scale).
const SILENCE: u32 = 64;

/// Removes or inserts pitch periods; one for each stream.
#[derive(Clone, Copy, Debug)]
pub struct Stretcher {
    rate_hz: u32,
}

impl Stretcher {
    /// A stretcher for `sample_rate_hz` (8,000 to 48,000; others are taken as the nearest of these).
    pub fn new(sample_rate_hz: u32) -> Self {
        Stretcher { rate_hz: sample_rate_hz.clamp(8_000, 48_000) }
    }

    /// Removes one pitch period (2.5 to 15 ms, at most `max_remove` samples) after `start`.
    ///
    /// `signal` is context and then samples not yet played, which begin at `start`: only those change. With 10 ms of
    /// context and 20 ms or more to come it works best. Returns the number of samples removed, after which
    /// `signal[..len - removed]` is valid, or None when no splice would go unheard; then nothing has changed.
    pub fn accelerate(&mut self, signal: &mut [i16], start: usize, max_remove: usize) -> Option<usize> {
        let len = signal.len();
        let ahead = len.checked_sub(start)?;
        let shortest = self.tenths(25);
        let longest = max_remove.min(self.tenths(150)).min(ahead.saturating_sub(shortest));
        if longest < shortest {
            return None;
        }
        let back = start.min(self.tenths(100));
        let window = back + self.tenths(100).min(ahead - longest);
        let range = Range { start: start - back, window, side: Side::After, shortest, longest };
        let lag = self.splice(signal, range)?;
        let overlap = lag.min(ahead - lag);
        let (kept, later) = signal[start..].split_at_mut(lag);
        crossfade(&mut kept[..overlap], &later[..overlap]);
        signal.copy_within(start + lag + overlap.., start + overlap);
        Some(lag)
    }

    /// Inserts about one pitch period (2.5 to 15 ms, at most `max_insert` samples) after `start`.
    ///
    /// The first `len` samples of `signal` are valid, the rest is room; only samples from `start` on change. With
    /// 25 ms of context before `start` it works best. Returns the number of samples inserted, or None when no
    /// splice would go unheard or there is no room; then nothing has changed.
    pub fn decelerate(&mut self, signal: &mut [i16], len: usize, start: usize, max_insert: usize) -> Option<usize> {
        let room = signal.len().checked_sub(len)?;
        len.checked_sub(start)?;
        let shortest = self.tenths(25);
        let most = max_insert.min(self.tenths(150)).min(room);
        // Without enough context the splice is made later.
        let at = start.max(most.min(len / 2));
        let longest = most.min(at);
        let ahead = (len - at).min(self.tenths(100));
        if longest < shortest || ahead < shortest {
            return None;
        }
        let back = (at - longest).min(self.tenths(100));
        let range = Range { start: at - back, window: back + ahead, side: Side::Before, shortest, longest };
        let lag = self.splice(&signal[..len], range)?;
        let overlap = lag.min(ahead);
        signal.copy_within(at + overlap - lag..len, at + overlap);
        let (earlier, later) = signal.split_at_mut(at);
        crossfade(&mut later[..overlap], &earlier[at - lag..at - lag + overlap]);
        Some(lag)
    }

    /// The lag to cut or insert, if one goes unheard.
    fn splice(&self, signal: &[i16], range: Range) -> Option<usize> {
        if pitch::peak(range.touched(signal)) < SILENCE {
            return Some(range.longest);
        }
        match pitch::best_lag(signal, range, self.rate_hz) {
            Some(Match { lag, correlation }) if correlation >= ALIKE => Some(lag),
            _ => None,
        }
    }

    fn tenths(&self, tenths_of_ms: u32) -> usize {
        (self.rate_hz * tenths_of_ms / 10_000) as usize
    }
}

/// From `into` to `to`, linearly.
fn crossfade(into: &mut [i16], to: &[i16]) {
    let step = 32_768 / (into.len() as i32 + 1);
    let mut w = 0;
    for (y, t) in into.iter_mut().zip(to) {
        w += step;
        *y = ((i32::from(*y) * (32_768 - w) + i32::from(*t) * w) >> 15) as i16;
    }
}
