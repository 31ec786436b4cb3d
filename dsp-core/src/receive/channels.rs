//! Concealment of all channels of a stream: each by itself, at the same moments.
//!
//! Where both channels hold the same voice, both find the same pitch, so it stays where it was between the loudspeakers.

use core::array;

use crate::waveform::plc::Concealer;

/// What was played in each channel, and the place for what comes next.
pub(super) type Extended<'a, const CHANNELS: usize> = [(&'a [i16], &'a mut [i16]); CHANNELS];

/// A [`Concealer`] for each channel.
pub(super) struct Concealers<const CHANNELS: usize>([Concealer; CHANNELS]);

impl<const CHANNELS: usize> Concealers<CHANNELS> {
    pub(super) fn new(sample_rate_hz: u32) -> Self {
        Self(array::from_fn(|_| Concealer::new(sample_rate_hz)))
    }

    /// Whether what was made up last must be joined to the next packet.
    pub(super) fn is_concealing(&self) -> bool {
        self.0.first().is_some_and(Concealer::is_concealing)
    }

    /// Samples until the first channel has repeated a whole number of periods: in the others it's near enough where the
    /// same voice is in them, and can't be had where it isn't.
    pub(super) fn until_in_phase(&self) -> usize {
        self.0.first().map_or(0, Concealer::until_in_phase)
    }

    pub(super) fn reset(&mut self) {
        self.0.iter_mut().for_each(Concealer::reset);
    }

    /// Fills the places.
    pub(super) fn conceal(&mut self, parts: Extended<'_, CHANNELS>) {
        for (concealer, (history, place)) in self.0.iter_mut().zip(parts) {
            concealer.conceal(history, place);
        }
    }

    /// Fills the first `gap` samples of the places; behind them is the sound that follows.
    pub(super) fn bridge(&mut self, parts: Extended<'_, CHANNELS>, gap: usize) {
        for (concealer, (history, place)) in self.0.iter_mut().zip(parts) {
            let (gap, future) = place.split_at_mut(gap);
            concealer.bridge(history, gap, future);
        }
    }

    /// Joins the sound in the places to what was made up before it.
    pub(super) fn merge(&mut self, parts: Extended<'_, CHANNELS>) {
        for (concealer, (history, place)) in self.0.iter_mut().zip(parts) {
            concealer.merge(history, place);
        }
    }
}
