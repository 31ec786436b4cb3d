//! Concealment of all channels of a stream, each by itself, at the same times.
//!
//! If both channels have the same voice, both find the same pitch, so that the voice keeps its place between the
//! loudspeakers.

use core::array;

use crate::slices::split_mut;
use crate::waveform::GapAnalysis;
use crate::waveform::plc::RatedConcealer;

/// What was played in each channel, and the place for what comes next.
pub(super) type Extended<'a, const CHANNELS: usize> = [(&'a [i16], &'a mut [i16]); CHANNELS];

/// A [`Concealer`](crate::waveform::Concealer) for each channel, all of the rate that each call tells. A pitch search of each is all that one tick should have.
pub(super) struct Concealers<const CHANNELS: usize> {
    each: [RatedConcealer; CHANNELS],
    /// There was a search in this tick.
    spent: bool,
}

impl<const CHANNELS: usize> Concealers<CHANNELS> {
    pub(super) fn new(sample_rate_hz: u32) -> Self {
        Self { each: array::from_fn(|_| RatedConcealer::new(sample_rate_hz)), spent: false }
    }

    /// Whether what was made up last must be joined to the next packet.
    pub(super) fn is_concealing(&self) -> bool {
        self.each.first().is_some_and(RatedConcealer::is_concealing)
    }

    /// Samples until the first channel has repeated a whole number of periods: in the others it's near enough where the
    /// same voice is in them, and can't be had where it isn't.
    pub(super) fn until_in_phase(&self) -> usize {
        self.each.first().map_or(0, RatedConcealer::until_in_phase)
    }

    /// A tick begins.
    pub(super) fn begin_tick(&mut self) {
        self.spent = false;
    }

    /// Whether there was no search in this tick yet.
    pub(super) fn may_search(&self) -> bool {
        !self.spent
    }

    /// Somebody else searches in this tick.
    pub(super) fn search_elsewhere(&mut self) {
        self.spent = true;
    }

    /// Whether the past side of a gap is analysed.
    pub(super) fn is_ready(&self) -> bool {
        self.each.first().is_some_and(RatedConcealer::is_ready)
    }

    /// Samples that [`go_on`](Self::go_on) has still to complete.
    pub(super) fn unmet(&self) -> usize {
        self.each.first().map_or(0, RatedConcealer::unmet)
    }

    pub(super) fn reset(&mut self) {
        self.each.iter_mut().for_each(RatedConcealer::reset);
    }

    /// Analyses the past side of a gap that may begin behind the newest sample.
    pub(super) fn prepare(&mut self, rate_hz: u32, parts: Extended<'_, CHANNELS>) {
        self.spent |= !self.is_ready();
        for (concealer, (history, _)) in self.each.iter_mut().zip(parts) {
            concealer.begin(rate_hz, history);
        }
    }

    /// What is known of the gap's past side in the first channel; `None` if it isn't analysed.
    pub(super) fn analysis(&self) -> Option<GapAnalysis<'_>> {
        self.each.first().and_then(RatedConcealer::analysis)
    }

    /// Fills the first channel's place as [`conceal`](Self::conceal) would after `skip` samples more, and goes on as if it had not.
    pub(super) fn try_out(&self, rate_hz: u32, skip: usize, parts: Extended<'_, CHANNELS>) {
        if let (Some(concealer), Some((history, place))) = (self.each.first(), parts.into_iter().next()) {
            let mut concealer = concealer.clone();
            concealer.skip(skip);
            concealer.conceal(rate_hz, history, place);
        }
    }

    /// None began.
    pub(super) fn dismiss(&mut self) {
        self.each.iter_mut().for_each(RatedConcealer::dismiss);
    }

    /// Fills the places.
    pub(super) fn conceal(&mut self, rate_hz: u32, parts: Extended<'_, CHANNELS>) {
        self.spent |= !self.is_ready();
        for (concealer, (history, place)) in self.each.iter_mut().zip(parts) {
            concealer.conceal(rate_hz, history, place);
        }
    }

    /// Joins the sound in the places to what was played before it, from which something is left out.
    pub(super) fn join(&mut self, rate_hz: u32, parts: Extended<'_, CHANNELS>) {
        self.spent |= !self.is_ready();
        for (concealer, (history, place)) in self.each.iter_mut().zip(parts) {
            concealer.blend(rate_hz, history, place);
        }
    }

    /// Gives the first `gap` samples of the places their future side; behind them is the sound that follows.
    pub(super) fn meet(&mut self, rate_hz: u32, parts: Extended<'_, CHANNELS>, gap: usize) {
        self.spent = true;
        for (concealer, (history, place)) in self.each.iter_mut().zip(parts) {
            let (gap, future) = split_mut(place, gap);
            concealer.meet(rate_hz, history, gap, future);
        }
    }

    /// Completes the places with the past side.
    pub(super) fn go_on(&mut self, rate_hz: u32, parts: Extended<'_, CHANNELS>) {
        for (concealer, (history, place)) in self.each.iter_mut().zip(parts) {
            concealer.go_on(rate_hz, history, place);
        }
    }

    /// Joins the sound in the places to what was made up before it.
    pub(super) fn merge(&mut self, rate_hz: u32, parts: Extended<'_, CHANNELS>) {
        for (concealer, (history, place)) in self.each.iter_mut().zip(parts) {
            concealer.merge(rate_hz, history, place);
        }
    }
}
