//! Decision: what to do for the next samples, from plain numbers. It stores nothing and touches no audio.
//!
//! All times are in ticks of the RTP clock. The rules, in the order in which they apply:
//!
//! 1. The next packet is here: play it. If its timestamp lies ahead of what was played although no packet is missing,
//!    the sender paused: stay silent until its turn, which is where the delay can change without anyone hearing it.
//! 2. A later packet is here: the missing ones are given up, and the gap between is filled, as far as it was not
//!    filled already and the bound of the delay allows.
//! 3. Nothing is here: conceal. The media time stands still meanwhile: if the packet comes late, it's played, and the
//!    delay has grown by the wait; if a later one comes, the wait counts towards its gap.

/// What lies in the jitter buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Nothing,
    /// The next packet; its timestamp is `gap` ticks after the end of what was decoded.
    Here {
        /// Ticks, negative if timestamps went back.
        gap: i32,
        /// A packet right before it could not be decoded: the gap is a loss and not a pause.
        broken: bool,
    },
    /// Not the next but a later packet.
    Later {
        /// Ticks from the end of what was decoded to this packet's timestamp.
        gap: i32,
    },
}

/// The numbers that a decision needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation {
    /// What lies in the buffer.
    pub next: Next,
    /// Ticks that were filled since the last decoded sample.
    pub filled: i32,
    /// How much later than the base the first packet in the buffer would be played now, in ticks.
    pub delay: i32,
    /// Target delay in ticks.
    pub target: i32,
    pub reordered: bool,
    /// Longest delay allowed, in ticks.
    pub maximum: i32,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Decode the first packet in the buffer now.
    Decode,
    /// Drop the first packet in the buffer: it would be played later than the bound.
    Drop,
    /// The sender paused: up to this many ticks of silence.
    Pause(i32),
    /// Fill a gap of which both ends are known, this many ticks.
    Fill(i32),
    /// Conceal with the future unknown.
    Conceal,
}

/// Decides.
pub fn decide(situation: &Situation) -> Operation {
    let Situation { next, filled, delay, target, reordered, maximum } = *situation;
    let over_bound = delay > maximum;
    match next {
        Next::Nothing => Operation::Conceal,
        _ if over_bound => Operation::Drop,
        Next::Here { gap, broken: false } if gap > 0 => {
            // It has arrived, so `delay` is not negative, and the wait is at most the target.
            let wait = target.saturating_sub(delay);
            if wait > 0 { Operation::Pause(wait) } else { Operation::Decode }
        }
        Next::Later { gap } if reordered && gap > filled + target.min(80) && delay < target && super::delay::env("STEP",1)==1 => Operation::Conceal,
        Next::Here { gap, .. } | Next::Later { gap } if gap > filled && delay < target => {
            // Once the packet behind the gap has waited as long as it should, the rest of the gap is left out.
            Operation::Fill((gap - filled).min(target.saturating_sub(delay)))
        }
        _ => Operation::Decode,
    }
}

/// A change of speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// Play faster: remove up to this many ticks.
    Accelerate(i32),
    /// Play slower: insert up to this many ticks.
    Decelerate(i32),
}

/// The numbers that a change of speed needs, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Playout delay of what is about to be played.
    pub delay: i32,
    /// What it's steered to.
    pub target: i32,
    /// How long the sound lasts that is here without a hole.
    pub ahead: i32,
    pub usual: i32,
    /// How far above the target the delay may lie.
    pub slack: i32,
}

/// Whether to change speed.
pub fn stretch(pace: &Pace) -> Option<Stretch> {
    let Pace { delay, target, ahead, slack, usual } = *pace;
    let low = if super::delay::env("LOW", 0) > 0 { target.saturating_sub(slack) / (super::delay::env("LOW", 4) as i32) } else { (target - usual).min(target * 4 / 8) - super::delay::env("LM", 5) as i32 * 8 };
    if ahead <= low {
        Some(Stretch::Decelerate((target - delay).max(slack * 2).max((low - ahead) * super::delay::env("URG", 100) as i32 / 100)))
    } else if delay > target + slack.max(target / super::delay::env("SL",16) as i32) && ahead > low + (delay - target).min(160) {
        Some(Stretch::Accelerate(delay - target))
    } else if delay <= target {
        // Room for a pitch period: it may end a little above the target.
        Some(Stretch::Decelerate((target - delay).max(slack)))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Situation =
        Situation { next: Next::Here { gap: 0, broken: false }, filled: 0, delay: 320, target: 320, maximum: 16_000 };

    #[test]
    fn rules() {
        assert_eq!(decide(&CALM), Operation::Decode);
        assert_eq!(decide(&Situation { next: Next::Nothing, ..CALM }), Operation::Conceal);
        assert_eq!(decide(&Situation { next: Next::Later { gap: 320 }, ..CALM }), Operation::Fill(320));
        assert_eq!(decide(&Situation { next: Next::Later { gap: 320 }, filled: 160, ..CALM }), Operation::Fill(160));
        assert_eq!(decide(&Situation { next: Next::Later { gap: 320 }, filled: 400, ..CALM }), Operation::Decode);
        assert_eq!(decide(&Situation { next: Next::Here { gap: 160, broken: true }, ..CALM }), Operation::Fill(160));
        let bound = Situation { next: Next::Later { gap: 320 }, delay: 15_900, ..CALM };
        assert_eq!(decide(&bound), Operation::Fill(100));
        assert_eq!(decide(&Situation { delay: 16_000, ..bound }), Operation::Decode);
        assert_eq!(decide(&Situation { delay: 20_000, ..CALM }), Operation::Drop);
        assert_eq!(decide(&Situation { next: Next::Here { gap: -500, broken: false }, ..CALM }), Operation::Decode);
    }

    #[test]
    fn a_pause_ends_when_the_packet_is_due() {
        let paused = Situation { next: Next::Here { gap: 4_000, broken: false }, ..CALM };
        assert_eq!(decide(&Situation { delay: 80, ..paused }), Operation::Pause(240));
        assert_eq!(decide(&Situation { delay: 320, ..paused }), Operation::Decode);
    }

    #[test]
    fn stretches_outside_the_dead_band() {
        assert_eq!(stretch(320, 320, 160, false), None);
        assert_eq!(stretch(481, 320, 160, false), Some(Stretch::Accelerate(161)));
        assert_eq!(stretch(239, 320, 160, false), Some(Stretch::Decelerate(81)));
        assert_eq!(stretch(241, 320, 160, false), None);
        assert_eq!(stretch(120, 160, 160, false), Some(Stretch::Decelerate(80)));
        assert_eq!(stretch(640, 320, 160, true), None);
        assert_eq!(stretch(641, 320, 160, true), Some(Stretch::Accelerate(321)));
        assert_eq!(stretch(239, 320, 160, true), Some(Stretch::Decelerate(81)));
    }
}
