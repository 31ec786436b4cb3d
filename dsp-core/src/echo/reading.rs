//! Where in the render history the far end is read: the position advances from block to block, is moved to where the
//! echo begins, and is computed anew after a jump.

use core::ops::Range;

use super::far::{self, Position, Precision};
use super::suppress::FilterChange;
use super::{EchoCanceller, EchoMemory, filter};
use crate::arithmetic::max;
use crate::front::Near;
use crate::spectrum::Spectrum;

/// The most blocks by which the far end is read ahead of the microphone's time: a device's latency may be shorter than
/// it reports.
const LEAD_BLOCKS: i64 = 2;
/// Blocks by which the counted position and the reported time may differ before that counts as a jump, whatever the
/// filter finds.
const UNSTEADY_BLOCKS: i64 = 10;
/// When a device reports another latency, the filter's estimate is compared with the microphone over this many blocks
/// to check the report.
const DOUBT_BLOCKS: u32 = 3;
/// The least energy of the estimate in these blocks for the comparison to count.
const DOUBT_ENERGY: f32 = 1e-5;
/// The latest place in the filter, in ms, where the echo may begin: the part of the filter before it is wasted.
const LATEST_MS: f32 = 18.0;
/// Blocks after which the far end's high-pass has settled.
const SETTLE: usize = 2;
/// Blocks over which the far end is read again after a jump, a part in each.
const PARTS: usize = 3;

/// The latency that the devices report, compared with the counted position.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Latency {
    /// The difference between the reported and the counted position at which the filter found the count to be right, in
    /// samples of the history.
    right: i64,
    /// The difference that is in doubt now, and for how many blocks it has lasted.
    told: i64,
    pub(super) blocks: u32,
    /// Sums over these blocks: microphone times estimate, and the estimate's energy.
    pub(super) product: f32,
    pub(super) estimated: f32,
}

impl<M: EchoMemory<B, P>, const B: usize, const P: usize> EchoCanceller<M, B, P> {
    /// Returns the position of this block's far end, and where the search reads it. Both are counted on from block to
    /// block, since the clock of a host's ticks is unsteady; they come from the reported time where there is nothing to
    /// count from, or when a device's latency has changed.
    pub(super) fn locate<const RATIO: usize>(&mut self, near: &Near<'_>) -> (Position, i64) {
        let (at, base, jumped) = self.count_on::<RATIO>(near);
        if jumped {
            self.jump();
        }
        (at, base)
    }

    /// Returns what [`locate`](Self::locate) does, and whether time has jumped.
    fn count_on<const RATIO: usize>(&mut self, near: &Near<'_>) -> (Position, i64, bool) {
        let block = (B * RATIO) as i64;
        let by_time = near.render.position_at(near.captured_at);
        let known = near.render.written() as i64;
        let lead = |by_time: i64| (known - block - by_time).clamp(0, LEAD_BLOCKS * block);
        let counted = self.position.map(|(position, base)| {
            let lost = i64::from(near.lost);
            (Position { sample: position.sample + lost, ..position }, base + lost)
        });
        match counted {
            Some((position, base))
                if ((base - self.lead) - by_time).abs() <= UNSTEADY_BLOCKS * block
                    && !self.has_other_latency(by_time - (base - self.lead), block / 10) =>
            {
                let jumped = near.lost > 0;
                if base + block > known && base - self.lead + block <= known {
                    // The far end comes later than it did: the search may not look so far ahead.
                    self.lead -= base + block - known;
                    self.search.reset();
                    return (position, known - block, jumped);
                }
                (position, base, jumped)
            }
            counted => {
                // As far behind the microphone's time as before.
                let behind = counted.map_or(0, |(position, base)| base - self.lead - position.sample);
                (self.lead, self.latency) = (lead(by_time), Latency::default());
                let at = Position { sample: by_time - behind, fraction: 0 };
                (at, by_time + self.lead, counted.is_some())
            }
        }
    }

    /// Whether a device's latency has changed. Since a device may report a wrong one, the report, from which the
    /// counted position differs by `off` samples, has to last for some blocks, and the estimate of a filter that works
    /// must no longer fit the microphone. `ms` is the number of samples in a millisecond.
    fn has_other_latency(&mut self, off: i64, ms: i64) -> bool {
        let seen = &mut self.latency;
        if (off - seen.right).abs() <= 2 * ms {
            seen.blocks = 0;
            return false;
        }
        if seen.blocks == 0 || (off - seen.told).abs() > ms {
            *seen = Latency { right: seen.right, told: off, blocks: 1, product: 0.0, estimated: 0.0 };
            return false;
        }
        seen.blocks = seen.blocks.saturating_add(1);
        if self.works && seen.estimated < DOUBT_ENERGY || seen.blocks <= DOUBT_BLOCKS {
            return false;
        }
        if self.works && seen.product > 0.5 * seen.estimated {
            (seen.right, seen.blocks) = (off, 0);
            return false;
        }
        true
    }

    /// Handles a jump of time: the sound so far doesn't go on, but what the filters have learned may still be true. The
    /// far end is read again as far back as they reach.
    #[cold]
    #[inline(never)]
    fn jump(&mut self) {
        self.stats.jumps = self.stats.jumps.saturating_add(1);
        self.search.reset();
        self.drift.jump();
        self.saturation.as_mut().iter_mut().for_each(|model| model.0.jump());
        self.far.clear();
        self.unread = Some(0..P);
    }

    /// From this block on, reads the far end `blocks` blocks earlier, or later if `blocks` is negative. What the
    /// filters have learned moves along, and the far end is read again where they need it, so that a filter that fits
    /// goes on fitting.
    #[cold]
    #[inline(never)]
    pub(super) fn move_by<const RATIO: usize>(&mut self, blocks: i32, at: &mut Position) {
        self.stats.delay_changes = self.stats.delay_changes.saturating_add(1);
        at.sample -= i64::from(blocks) * (B * RATIO) as i64;
        self.drift.jump();
        self.saturation.as_mut().iter_mut().for_each(|model| model.0.jump());
        if !self.works || blocks.unsigned_abs() as usize >= P {
            self.suppressor.change(FilterChange::Moved);
            self.kalman.forget(60.0);
            self.second.as_mut().fill(Spectrum::ZERO);
        } else {
            self.kalman.shift(blocks);
            filter::shift(self.second.as_mut(), blocks);
        }
        self.far.shift(blocks);
        self.unread = Some(0..P);
    }

    /// Reads again a part of the blocks in `unread`, which count back from the block at `at`, the newest first: reading
    /// all of them at once would take several times as long as a block does.
    #[cold]
    #[inline(never)]
    pub(super) fn read_anew<const RATIO: usize>(&mut self, unread: Range<usize>, at: Position, near: &Near<'_>) {
        let step = far::step::<RATIO>(self.drift.ppm());
        let end = (unread.start + P.div_ceil(PARTS)).min(unread.end);
        let present = (self.front, self.last_far);
        self.front.jump();
        self.last_far = [0.0; B];
        for ago in (unread.start..end + SETTLE).rev() {
            let from = at.earlier((ago as u64 + 1) * step * B as u64);
            let mut far = [0.0; B];
            far::read::<B, RATIO>(&near.render, near.channel, from, step, Precision::Phase, &mut far);
            let played = self.front.replay(&far);
            if ago < end {
                self.far.set(ago, &self.last_far, &played);
            }
            self.last_far = played;
        }
        if unread.start > 0 {
            (self.front, self.last_far) = present;
        }
        // A block later each is one block older.
        self.unread = (end < unread.end && end + 1 < P).then(|| end + 1..P);
    }

    /// Follows an echo that begins `onset_ms` milliseconds after the far end at `base`: moves the position where it is
    /// read if the echo lies badly in the filter.
    pub(super) fn follow<const RATIO: usize>(&mut self, onset_ms: f32, at: &mut Position, base: i64) {
        let ms = (B * RATIO) as f32 / 10.0;
        if !self.good {
            self.stats.delay_ms = Some(onset_ms - self.lead as f32 / ms);
        }
        let read_ms = -at.after(base) / ms;
        let relative = onset_ms - read_ms;
        // A filter that works may have learned what comes before the onset: it is moved for a longer tail where that holds more.
        let latest = if self.works { max(25.0, 3.0 * P as f32) } else { 25.0 };
        if (3.0..LATEST_MS).contains(&relative)
            || (relative >= 3.0 && relative <= latest && !(self.good && self.late.wants_tail()))
        {
            return;
        }
        let mut blocks =
            if relative > latest || relative < 3.0 { libm::floorf((relative - 5.0) / 10.0) as i32 } else { 1 };
        if read_ms + blocks as f32 * 10.0 < 0.0 {
            blocks = -libm::floorf(read_ms / 10.0) as i32;
        }
        if blocks != 0 {
            self.move_by::<RATIO>(blocks, at);
        }
    }
}
