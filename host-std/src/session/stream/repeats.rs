//! Redundancy of a stream (RFC 2198), all the time or only while the other side's reports tell of losses.
//!
//! Reports come every five seconds or so, with what was lost since the one before. From the first that tells of 1 % on, each
//! packet repeats those before it; that ends when a hundred packets in every report for half a minute have all arrived. A report
//! counts what was lost on the way, also where a repetition made up for it, so what helps doesn't switch itself off.

use dsp_core::send::HostRedundancy;

/// Lost, in 1/256: 1.2 %.
const LOSSES: u8 = 3;
/// Reports without any loss before packets go alone again.
const CALM: u8 = 6;

/// What repeats payloads, and when.
pub(super) struct Repeats {
    red: HostRedundancy,
    level: usize,
    /// Reports without loss; `None`: reports change nothing.
    calm: Option<u8>,
}

impl Repeats {
    /// For packets that repeat so many, from the beginning or once losses are told.
    pub(super) fn new(mut red: HostRedundancy, on_loss: bool) -> Self {
        let level = red.level();
        if on_loss {
            red.set_level(0);
        }
        Self { red, level, calm: on_loss.then_some(0) }
    }

    /// Goes on as `before`, which was another codec's.
    pub(super) fn follow(&mut self, before: &Self) {
        if self.calm.is_some() && before.red.level() > 0 {
            (self.calm, _) = (before.calm.or(self.calm), self.red.set_level(self.level));
        }
    }

    /// The other side told which fraction it lost since its last report, in 1/256.
    pub(super) fn hear(&mut self, fraction_lost: u8) {
        let Some(calm) = &mut self.calm else { return };
        if fraction_lost >= LOSSES {
            self.red.set_level(self.level);
        }
        *calm = if fraction_lost == 0 { calm.saturating_add(1) } else { 0 };
        if *calm >= CALM {
            self.red.set_level(0);
        }
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
        let mut repeats = repeats(true);
        let mut levels = Vec::new();
        for (lost, reports) in [(0, 3), (2, 1), (3, 1), (0, 5), (1, 1), (0, 5), (0, 2), (9, 1)] {
            (0..reports).for_each(|_| repeats.hear(lost));
            levels.push(repeats.red().level());
        }
        assert_eq!(levels, [0, 0, 2, 2, 2, 2, 0, 2]);
    }

    #[test]
    fn what_was_asked_for_is_not_switched() {
        let mut repeats = repeats(false);
        (0..20).for_each(|_| repeats.hear(0));
        assert_eq!(repeats.red().level(), 2);
    }

    #[test]
    fn another_codec_goes_on_repeating() {
        let (mut before, mut after) = (repeats(true), repeats(true));
        after.follow(&before);
        assert_eq!(after.red().level(), 0);
        before.hear(50);
        after.follow(&before);
        assert_eq!(after.red().level(), 2);
    }
}
