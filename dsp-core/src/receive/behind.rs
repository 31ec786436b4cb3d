//! How a conversation keeps up: sound that comes too late to be worth its delay is dropped in exchange for what was
//! concealed in its place, so that nobody hears both.
//!
//! What was concealed while a packet was on its way is *owed*: the delay is longer by it. As much of the following
//! sound is dropped, packet by packet, as long as more sound waits than is worth waiting for and the packet behind is
//! there. So nothing more needs to be concealed, and no more is dropped than was concealed. A smaller excess of delay
//! is removed by playing faster. Only if the delay is too long by more than 200 ms is sound dropped for which nothing
//! was concealed, as at the beginning of a stream that starts with a queue: playing that faster would take most of a
//! second. Sound for listening is never dropped here.

use super::memory::ReceiverMemory;
use super::{Cause, First, Receiver};
use crate::time::Duration;

/// A delay that is too long by more than this is not removed by playing faster.
const FAR: Duration = Duration::from_millis(200);

impl<M: ReceiverMemory, const CHANNELS: usize> Receiver<M, CHANNELS> {
    /// Whether the first packet in the buffer, which has waited for `waited`, is to be dropped: `behind` ticks of
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
