//! What arrives here, in place of what nobody tells of.

use super::PERCENT;
use super::observe::Observation;
use crate::time::{Duration, Instant, Seq};

/// How much receiving is one observation.
const STRETCH: Duration = Duration::from_secs(1);
/// Fewer packets than this show no share of losses.
const FEWEST: u32 = 8;
/// A number this far from the last one is another source's.
const FARTHEST: u16 = 1_000;

/// Makes an [`Observation`] of what arrives here, once a second, for as long as nobody tells what arrives at the other side.
///
/// Feedback and reports cross the same network as the sound. Where both directions share a link that is too narrow, the queue that loses
/// the sound loses them too, so that neither side learns anything for many seconds. Then the losses of what this side receives are the
/// best that is known of what it sends. Of queues they say nothing.
///
/// ```
/// use dsp_core::adapt::ReceptionWindow;
/// use dsp_core::time::{Duration, Instant, Seq};
///
/// let mut window = ReceptionWindow::new();
/// let mut seen = None;
/// // Packets of 20 ms, of which every second one is lost.
/// for n in 0..120u16 {
///     window.sent(140);
///     if n % 2 == 0 {
///         let at = Instant::from_millis(20 * u64::from(n));
///         seen = seen.or(window.hear(at, Seq(n), Duration::from_millis(1_500)));
///     }
/// }
/// let seen = seen.ok_or("a second is over")?;
/// assert_eq!(seen.loss, 50 * 256);
/// assert!((54_000..58_000).contains(&(seen.sent_bits * 1_000 / seen.duration.as_millis())));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ReceptionWindow {
    /// When the other side told anything, at first when the first packet came.
    told: Option<Instant>,
    /// When the stretch began, its first number, and the highest one.
    stretch: Option<(Instant, Seq, Seq)>,
    came: u32,
    bits: u64,
    packets: u32,
}

impl ReceptionWindow {
    /// A window without any packets.
    pub const fn new() -> Self {
        Self { told: None, stretch: None, came: 0, bits: 0, packets: 0 }
    }

    /// Notes that a packet of this many bytes was sent, all headers included.
    pub const fn sent(&mut self, bytes: usize) {
        self.bits = self.bits.saturating_add(8 * bytes as u64);
        self.packets = self.packets.saturating_add(1);
    }

    /// Notes that the other side told at `now` what arrives there.
    pub const fn told(&mut self, now: Instant) {
        self.told = Some(now);
    }

    /// Takes in the number of a packet that arrived at `now`. Returns an observation at the end of each second, if nothing has been told
    /// for as long as `patience`.
    pub fn hear(&mut self, now: Instant, number: Seq, patience: Duration) -> Option<Observation> {
        let told = *self.told.get_or_insert(now);
        let Some((began, first, highest)) = self.stretch.as_mut() else {
            self.begin(now, number);
            return None;
        };
        let ahead = number.distance(*highest);
        if ahead.unsigned_abs() > FARTHEST {
            self.begin(now, number);
            return None;
        }
        if ahead > 0 {
            *highest = number;
        }
        self.came = self.came.saturating_add(1);
        let (duration, expected) = (now.since(*began), u32::from(highest.distance(*first).unsigned_abs()));
        if duration < STRETCH {
            return None;
        }
        let lost = expected.saturating_sub(self.came);
        let (sent_bits, packets) = (self.bits, self.packets);
        self.begin(now, number);
        if expected < FEWEST || now.since(told) < patience {
            return None;
        }
        let loss = lost * 100 * PERCENT / expected;
        let (queue, age, link_bps) = (None, Duration::ZERO, None);
        Some(Observation { duration, took: duration, sent_bits, packets, loss, queue, age, link_bps })
    }

    fn begin(&mut self, now: Instant, number: Seq) {
        *self = Self { told: self.told, stretch: Some((now, number, number)), ..Self::new() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const PATIENCE: Duration = Duration::from_millis(1_500);

    /// Packets of 20 ms from number `first` on, of which these are lost, from `from_ms` on.
    fn hear(window: &mut ReceptionWindow, first: u16, from_ms: u64, count: u16, lost: fn(u16) -> bool) -> Vec<u32> {
        let mut losses = Vec::new();
        for n in 0..count {
            window.sent(140);
            let now = Instant::from_millis(from_ms + 20 * u64::from(n));
            if !lost(n) {
                losses.extend(window.hear(now, Seq(first.wrapping_add(n)), PATIENCE).map(|seen| seen.loss));
            }
        }
        losses
    }

    #[test]
    fn only_what_nobody_tells_of_is_observed() {
        let mut window = ReceptionWindow::new();
        let half = |n: u16| n % 2 == 1;
        assert_eq!(hear(&mut window, 65_500, 0, 200, half), [50 * PERCENT; 2]);
        // Once it's told, another while.
        window.told(Instant::from_millis(4_000));
        assert!(hear(&mut window, 164, 4_000, 60, half).is_empty());
        let later = hear(&mut window, 224, 5_200, 200, |_| false);
        assert!(later.len() == 4 && later[1..] == [0; 3], "{later:?}");
    }

    #[test]
    fn another_source_and_what_comes_twice_are_no_losses() {
        let mut window = ReceptionWindow::new();
        hear(&mut window, 0, 0, 120, |_| false);
        assert!(hear(&mut window, 40_000, 2_400, 100, |_| false).iter().all(|loss| *loss == 0));
        for n in 0..200u16 {
            let now = Instant::from_millis(5_000 + 10 * u64::from(n));
            let seen = window.hear(now, Seq(40_100 + n / 2), PATIENCE);
            assert!(seen.is_none_or(|seen| seen.loss == 0), "{seen:?}");
        }
        // A pause with a few packets in it: nothing is known.
        let seen = (0..5).filter_map(|n| {
            window.hear(Instant::from_millis(60_000 + 2_000 * u64::from(n)), Seq(40_203 + 3 * n), PATIENCE)
        });
        assert_eq!(seen.skip(1).count(), 0);
    }
}
