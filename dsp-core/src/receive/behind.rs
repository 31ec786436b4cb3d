//! How a conversation keeps up: sound that comes too late to be worth its delay is given up for what was made up in its
//! place, so that nobody hears both.
//!
//! What was made up while a packet was on its way is *owed*: the delay is longer by it. As much of what follows is given
//! up, a packet at a time, while more waits than is worth waiting for and the packet behind is here: so nothing more needs
//! to be made up, and no more is given up than was. What little is too late by less is played faster. Only where the
//! delay is too long by more than 200 ms is sound given up for which nothing was made up, as at the beginning of a
//! stream that begins in a queue: to play that faster would take most of a second. Of sound that is listened to
//! nothing is given up here.

use super::memory::ReceiverMemory;
use super::{Cause, First, Receiver};
use crate::time::Duration;

/// A delay that is too long by so much is not made up for by playing faster.
const FAR: Duration = Duration::from_millis(200);

impl<M: ReceiverMemory, const CHANNELS: usize> Receiver<M, CHANNELS> {
    /// Whether the first packet in the buffer, which is here and waited for so long, is to be given up: `behind` ticks of
    /// sound follow it.
    pub(super) fn is_given_up(&self, waited: Duration, behind: i32) -> bool {
        let Some(bound) = self.delay.bound() else { return false };
        let packet = self.playhead.packet_ticks;
        let Some((info, _)) = self.jitter.peek(0) else { return false };
        // What was made up right before a packet that follows what was decoded was made up while that was on its way.
        let late =
            if self.playhead.gap(info.timestamp) <= 0 { self.rates().ticks(self.made_up.samples as usize) } else { 0 };
        let bound = bound.max(self.least_delay);
        self.state.is_playing()
            && packet > 0
            && self.delay.owed().saturating_add(late) >= packet
            && (behind > bound as i32 || waited > Duration::from_samples(u64::from(bound), self.rates().clock_hz))
            && self.jitter.peek(1).is_some()
    }

    /// Takes in that `first` is dropped.
    pub(super) fn count_given_up(&mut self, first: Option<First>) {
        if self.delay.bound().is_none() {
            return;
        }
        if first.is_some_and(|first| self.playhead.gap(first.info.timestamp) == 0) {
            self.settle(Cause::Late);
        }
        self.delay.set_owed(self.delay.owed().saturating_sub(self.playhead.packet_ticks));
    }

    /// Takes in the delay at which a packet was decoded, in ticks over the base: nothing is owed when it is as it should be.
    pub(super) fn fall_behind(&mut self, delay: i32, target: u32, least: i32) {
        let behind = delay - target as i32;
        if behind <= least {
            self.delay.set_owed(0);
        }
        if behind > self.rates().ticks_in(FAR) as i32 {
            self.delay.set_owed(self.delay.owed().max(behind as u32));
        }
    }
}
