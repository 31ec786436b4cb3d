//! Redundancy of a stream (RFC 2198): all the time, only while the other side reports losses, or as much as the adaptation to the
//! network chooses ([`adapter`](crate::session::adapter)).
//!
//! A report contains the losses since the one before: every five seconds or so, and far more often where feedback is agreed on.
//! From the first that reports 1 % on, each packet repeats those before it; that ends after half a minute of reports without any
//! loss. A report counts losses on the way, even where a repetition replaced the packet, so repetition doesn't switch itself off
//! by its own success.

use dsp_core::send::HostRedundancy;
use dsp_core::time::{Duration, Instant};

/// Lost, in 1/256: 1.2 %.
const LOSSES: u8 = 3;
/// The time without losses after which packets are sent without repetition again.
const CALM: Duration = Duration::from_secs(30);

/// The generator of repeated payloads, with the rule when to repeat.
pub(super) struct Repeats {
    red: HostRedundancy,
    level: usize,
    by: By,
    /// The time at which a loss was last reported.
    last_loss: Option<Instant>,
}

/// The rule that decides how many payloads are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The user: all the time.
    User,
    /// Reports of losses.
    Reports,
    /// An adaptation that chooses by all measurements.
    Choice,
}

impl Repeats {
    /// Creates it for packets with this many repetitions, from the beginning or once losses are reported.
    pub(super) fn new(mut red: HostRedundancy, on_loss: bool) -> Self {
        let level = red.level();
        if on_loss {
            red.set_level(0);
        }
        let by = if on_loss { By::Reports } else { By::User };
        Self { red, level, by, last_loss: None }
    }

    /// Continues from `before`, which was another codec's.
    pub(super) fn follow(&mut self, before: &Self) {
        if before.by == By::Choice {
            self.choose(before.level());
        } else if self.by == By::Reports && before.level() > 0 {
            self.last_loss = before.last_loss;
            self.red.set_level(self.level);
        }
    }

    /// Takes in the fraction that the other side lost since its last report, in 1/256. Returns whether the number of repetitions
    /// has changed.
    pub(super) fn hear(&mut self, now: Instant, fraction_lost: u8) -> bool {
        if self.by != By::Reports {
            return false;
        }
        let before = self.red.level();
        if fraction_lost > 0 {
            self.last_loss = Some(now);
        }
        if fraction_lost >= LOSSES {
            self.red.set_level(self.level);
        } else if self.last_loss.is_none_or(|last| now.since(last) >= CALM) {
            self.red.set_level(0);
        }
        self.red.level() != before
    }

    /// Repeats this many payloads from now on, whatever reports contain.
    pub(super) fn choose(&mut self, copies: usize) {
        if self.by != By::User {
            self.by = By::Choice;
            self.red.set_level(copies.min(self.level));
        }
    }

    /// Returns the least and the largest number that may be chosen.
    pub(super) fn choices(&self) -> [u8; 2] {
        let most = self.level.min(u8::MAX.into()) as u8;
        [if self.by == By::User { most } else { 0 }, most]
    }

    /// Returns the number of payloads that each packet repeats at the moment.
    pub(super) const fn level(&self) -> usize {
        self.red.level()
    }

    pub(super) fn red(&mut self) -> &mut HostRedundancy {
        &mut self.red
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsp_core::time::PayloadType;

    fn repeats(on_loss: bool) -> Repeats {
        Repeats::new(HostRedundancy::new(PayloadType::new(97).expect("7 bits"), 2), on_loss)
    }

    #[test]
    fn losses_switch_it_on_and_half_a_minute_without_them_off() {
        // However often reports come.
        for reports_a_second in [1, 5] {
            let (mut repeats, mut levels, mut at) = (repeats(true), Vec::new(), 0);
            for (lost, seconds) in [(0, 15), (2, 1), (3, 1), (0, 25), (1, 1), (0, 25), (0, 10), (9, 1)] {
                for _ in 0..seconds * reports_a_second {
                    at += 1_000 / reports_a_second;
                    repeats.hear(Instant::from_millis(at), lost);
                }
                levels.push(repeats.level());
            }
            assert_eq!(levels, [0, 0, 2, 2, 2, 2, 0, 2]);
        }
    }

    #[test]
    fn what_was_asked_for_is_not_switched() {
        let mut repeats = repeats(false);
        assert!(!(0..20).any(|n| repeats.hear(Instant::from_millis(5_000 * n), 0)));
        assert_eq!(repeats.level(), 2);
    }

    #[test]
    fn what_is_chosen_holds_against_reports_and_with_another_codec() {
        let mut repeats = repeats(true);
        assert_eq!(repeats.choices(), [0, 2]);
        repeats.choose(1);
        assert!(!repeats.hear(Instant::ZERO, 50) && repeats.level() == 1);
        let mut after = super::tests::repeats(true);
        after.follow(&repeats);
        assert!(!after.hear(Instant::ZERO, 50) && after.level() == 1);
        repeats.choose(9);
        assert_eq!(repeats.level(), 2);
        // Who wants them always has them.
        let mut always = super::tests::repeats(false);
        assert_eq!(always.choices(), [2, 2]);
        always.choose(0);
        assert_eq!(always.level(), 2);
    }

    #[test]
    fn another_codec_goes_on_repeating() {
        let (mut before, mut after) = (repeats(true), repeats(true));
        after.follow(&before);
        assert_eq!(after.level(), 0);
        before.hear(Instant::ZERO, 50);
        after.follow(&before);
        assert_eq!(after.level(), 2);
    }
}
