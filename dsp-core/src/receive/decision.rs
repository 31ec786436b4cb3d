//! The decision about the next samples, from plain numbers. It stores nothing and touches no audio.
//!
//! All times are in ticks of the RTP clock. These are the rules, in the order in which they apply:
//!
//! 1. The buffer holds more than the bound allows: drop the oldest packet. Slowness of the network itself does not
//!    count.
//! 2. The sender is quiet (comfort noise, pauses of the codec, a telephone event): continue that until the turn of the
//!    next packet. Nothing is missing, and the delay can change without being heard. So the sound that follows begins
//!    at a delay that needs no change of speed ([`start`]), which would be heard at the onset of a word.
//! 3. The next packet is there: play it, joined to concealed sound before it. If its timestamp is ahead of what was
//!    played although no packet is missing, the sender paused: stay silent until its turn.
//! 4. A later packet is there: the missing ones are given up, and the gap is filled, but only until that packet has
//!    waited as long as it should, since in a gap the delay comes down at no cost. On a network whose packets overtake
//!    each other the missing packet may still come: only the last step is then filled for good.
//! 5. Nothing is there: conceal. The media time stands still meanwhile. If the packet comes late, it is played, and
//!    the delay has grown by the wait; if a later packet comes, the wait counts towards its gap.
//!
//! Speed ([`stretch`]): slower before a gap whose packet is later than nearly all packets are, as long as sound is
//! left, since real sound made longer is better than concealed sound; slower below the target delay, and faster above
//! it.

/// What the jitter buffer holds at its front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The buffer is empty.
    Nothing,
    /// The next packet in sequence is there. Its timestamp is `gap` ticks after the end of what was decoded.
    Here {
        /// Length of the gap in ticks of the RTP clock; negative if the timestamps went back.
        gap: i32,
        /// A packet right before this one could not be decoded, so the gap is a loss and not a pause.
        broken: bool,
    },
    /// The next packet in sequence is missing, and a later one is there.
    Later {
        /// Ticks from the end of what was decoded to this packet's timestamp.
        gap: i32,
    },
}

/// What the sender does between its packets, as far as its last packet tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Sending {
    /// It sends sound without pauses.
    #[default]
    Sound,
    /// It has described comfort noise, which goes on (RFC 3389).
    Noise,
    /// The codec pauses, and its decoder makes the background noise (Opus DTX, RFC 6716, 2.1.9).
    Pause,
    /// A telephone event takes the place of the sound (RFC 4733).
    Event,
}

/// All that a decision depends on. Times are in ticks of the RTP clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Situation {
    /// What the jitter buffer holds at its front.
    pub next: Next,
    /// What the sender does between its packets.
    pub sending: Sending,
    /// Ticks that were filled since the last decoded sample.
    pub filled: i32,
    /// Whether some of the filled sound was concealed, so that the next packet must be cross-faded into it.
    pub concealed: bool,
    /// Delay after the base (the fastest packet) at which the first packet in the buffer would be played now, in
    /// ticks.
    pub delay: i32,
    /// Whether the first packet in the buffer has waited longer than the bound, or the sound behind it lasts longer
    /// than the bound.
    pub overdue: bool,
    /// Target delay after the base, in ticks.
    pub target: i32,
    /// Delay after the base at which sound starts after a pause, in ticks. It is at least the target.
    pub start: i32,
    /// Whether packets have overtaken each other recently.
    pub reorders: bool,
    /// The longest that a packet may wait in the buffer, in ticks.
    pub maximum: i32,
    /// Length of one step of concealment, in ticks.
    pub step: i32,
}

/// What a receiver does for the next samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Decode the first packet in the buffer.
    Decode,
    /// Decode the first packet in the buffer and cross-fade it into the concealed sound before it.
    Merge,
    /// Drop the first packet in the buffer: the buffer holds more than the bound allows.
    Drop,
    /// Play at most this many ticks of silence: the sender paused.
    Silence(i32),
    /// Fill a gap of this many ticks, whose both ends are known.
    Fill(i32),
    /// Conceal without knowing what follows.
    Conceal,
    /// Play at most this many ticks of comfort noise.
    Noise(i32),
    /// Play at most this many ticks of the background noise that the codec itself makes.
    Background(i32),
    /// Play at most this many ticks of silence in place of the sound, for a telephone event.
    Event(i32),
}

/// Decides.
pub(super) fn decide(situation: &Situation) -> Operation {
    let Situation { next, sending, filled, concealed, delay, overdue, target, start, reorders, step, .. } = *situation;
    let decode = if concealed { Operation::Merge } else { Operation::Decode };
    let (left, until_start) = match next {
        Next::Nothing => (i32::MAX, i32::MAX),
        _ if overdue => return Operation::Drop,
        _ => (target.saturating_sub(delay), start.saturating_sub(delay)),
    };
    match (sending, next) {
        // As nothing is missing, a packet is played when its turn has come, and not when it would fill a gap.
        (Sending::Noise, _) if until_start > 0 => Operation::Noise(until_start),
        (Sending::Pause, Next::Nothing) => Operation::Background(left),
        (Sending::Pause, Next::Here { gap, .. } | Next::Later { gap }) if until_start > 0 && gap > 0 => {
            Operation::Background(until_start)
        }
        (Sending::Event, Next::Nothing) => Operation::Event(left),
        (Sending::Event, Next::Here { gap, .. } | Next::Later { gap }) if until_start > 0 && gap > 0 => {
            Operation::Event(until_start)
        }
        (Sending::Noise | Sending::Pause | Sending::Event, _) => decode,
        (Sending::Sound, Next::Nothing) => Operation::Conceal,
        (Sending::Sound, Next::Here { gap, broken: false }) => {
            if gap > 0 && until_start > 0 {
                Operation::Silence(until_start)
            } else {
                decode
            }
        }
        (Sending::Sound, Next::Here { gap, .. } | Next::Later { gap }) => {
            let fill = gap.saturating_sub(filled).min(left);
            match next {
                _ if fill <= 0 => decode,
                Next::Later { .. } if reorders && fill > step => Operation::Conceal,
                _ => Operation::Fill(fill),
            }
        }
    }
}

/// A change of playing speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// Play faster: remove at most this many ticks.
    Accelerate(i32),
    /// Play slower: insert at most this many ticks.
    Decelerate(i32),
}

/// All that a change of speed depends on, in ticks of the RTP clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pace {
    /// Playout delay after the base of the packet that is about to be played.
    pub delay: i32,
    /// Delay to steer to.
    pub target: i32,
    /// Delay that nearly all packets stay within: [`Estimate::usual`](super::strategy::Estimate::usual).
    pub usual: i32,
    /// How much sound waits without a gap, counted up to a little above the target.
    pub ahead: i32,
    /// A usual pitch period, 10 ms: smaller changes of speed are not worth making.
    pub period: i32,
    /// Whether the delay is also that of another stream. The speed then changes as soon as the delay is off by a
    /// quarter of a period.
    pub aligned: bool,
}

/// How far the delay may be below its target before sound is played slower.
fn below(target: i32, period: i32, aligned: bool) -> i32 {
    if aligned { period / 4 } else { ((target - 2 * period).max(0) / 8).min(2 * period) }
}

/// The delay at which sound begins after a pause: within the bounds that [`stretch`] leaves alone, and half a period above the
/// lower one, about where playing slower would have brought it; where another stream is followed, in their middle. `period` is that of [`Pace`].
pub(super) fn start(target: i32, period: i32, aligned: bool) -> i32 {
    if aligned { target } else { target + (period / 2 - below(target, period, false)).max(0) }
}

/// Whether to change speed.
pub(super) fn stretch(pace: &Pace) -> Option<Stretch> {
    let Pace { delay, target, usual, ahead, period, aligned } = *pace;
    // So long before its turn a packet that isn't here is later than usual; it takes a while to get slower.
    let off = delay.saturating_sub(target);
    let low = (target - usual - target / 8).min(target / 2) - period / 2;
    let below = below(target, period, aligned);
    // Nobody hears 30 ms, but a splice somebody may.
    let above = if aligned { period / 4 } else { (target / 8).max(period).min(4 * period).max(3 * period - target) };
    // Little is made up where no period must be whole; from half a period on a whole one comes nearer.
    let least = |by: i32| if aligned && by < period / 2 { by } else { by.max(period) };
    if ahead <= low {
        Some(Stretch::Decelerate(off.saturating_neg().max(low - ahead).max(2 * period)))
    } else if off > above && ahead - off.min(2 * period) > low.max(period) {
        Some(Stretch::Accelerate(least(off)))
    } else if off <= -below {
        // Room for a pitch period: it may end a little above the target.
        Some(Stretch::Decelerate(least(off.saturating_neg())))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Situation = Situation {
        next: Next::Here { gap: 0, broken: false },
        sending: Sending::Sound,
        filled: 0,
        concealed: false,
        delay: 320,
        overdue: false,
        target: 320,
        start: 330,
        reorders: false,
        maximum: 16_000,
        step: 80,
    };

    #[test]
    fn rules() {
        assert_eq!(decide(&CALM), Operation::Decode);
        assert_eq!(decide(&Situation { concealed: true, filled: 80, ..CALM }), Operation::Merge);
        assert_eq!(decide(&Situation { next: Next::Nothing, ..CALM }), Operation::Conceal);
        assert_eq!(decide(&Situation { overdue: true, ..CALM }), Operation::Drop);
        // A slow network is none of the buffer's business.
        assert_eq!(decide(&Situation { delay: 20_000, ..CALM }), Operation::Decode);
        assert_eq!(decide(&Situation { next: Next::Here { gap: -500, broken: false }, ..CALM }), Operation::Decode);
    }

    #[test]
    fn a_gap_is_filled_until_the_packet_behind_it_has_waited_long_enough() {
        let gap = Situation { next: Next::Later { gap: 320 }, delay: 0, ..CALM };
        assert_eq!(decide(&gap), Operation::Fill(320));
        assert_eq!(decide(&Situation { filled: 160, concealed: true, delay: 160, ..gap }), Operation::Fill(160));
        assert_eq!(decide(&Situation { filled: 400, concealed: true, ..gap }), Operation::Merge);
        assert_eq!(decide(&Situation { next: Next::Here { gap: 160, broken: true }, ..gap }), Operation::Fill(160));
        // The delay was longer than its target: the gap is where it comes down.
        assert_eq!(decide(&Situation { delay: 220, ..gap }), Operation::Fill(100));
        assert_eq!(decide(&Situation { delay: 320, ..gap }), Operation::Decode);
        // What overtook may be followed by what it overtook.
        let reorders = Situation { reorders: true, ..gap };
        assert_eq!(decide(&reorders), Operation::Conceal);
        assert_eq!(decide(&Situation { filled: 240, delay: 240, concealed: true, ..reorders }), Operation::Fill(80));
    }

    #[test]
    fn a_pause_ends_when_the_packet_is_due() {
        let paused = Situation { next: Next::Here { gap: 4_000, broken: false }, ..CALM };
        assert_eq!(decide(&Situation { delay: 80, ..paused }), Operation::Silence(250));
        assert_eq!(decide(&Situation { delay: 330, ..paused }), Operation::Decode);
    }

    #[test]
    fn where_the_sender_is_quiet_nothing_is_concealed() {
        for (sending, quiet) in [
            (Sending::Noise, Operation::Noise as fn(i32) -> Operation),
            (Sending::Pause, Operation::Background),
            (Sending::Event, Operation::Event),
        ] {
            let quietly = Situation { sending, delay: 80, ..CALM };
            assert_eq!(decide(&Situation { next: Next::Nothing, ..quietly }), quiet(i32::MAX));
            for next in [Next::Here { gap: 4_000, broken: false }, Next::Later { gap: 4_000 }] {
                assert_eq!(decide(&Situation { next, ..quietly }), quiet(250));
                assert_eq!(decide(&Situation { next, delay: 330, ..quietly }), Operation::Decode);
                assert_eq!(decide(&Situation { next, overdue: true, ..quietly }), Operation::Drop);
            }
        }
    }

    const STEADY: Pace = Pace { delay: 320, target: 320, usual: 300, ahead: 320, period: 80, aligned: false };

    #[test]
    fn stretches_outside_the_dead_band() {
        let at = |delay| stretch(&Pace { delay, ..STEADY });
        assert_eq!(at(320), None);
        assert_eq!(at(400), None);
        assert_eq!(at(401), Some(Stretch::Accelerate(81)));
        assert_eq!(at(301), None);
        assert_eq!(at(299), Some(Stretch::Decelerate(80)));
        assert_eq!(at(100), Some(Stretch::Decelerate(220)));
        // Where there is no jitter, one packet of delay is enough, and not to be lost.
        let low = Pace { delay: 80, target: 80, usual: 16, ahead: 160, ..STEADY };
        assert_eq!(stretch(&low), Some(Stretch::Decelerate(80)));
        assert_eq!(stretch(&Pace { delay: 81, ..low }), None);
        assert_eq!(stretch(&Pace { delay: 240, ahead: 320, ..low }), None);
        assert_eq!(stretch(&Pace { delay: 241, ahead: 400, ..low }), Some(Stretch::Accelerate(161)));
    }

    #[test]
    fn sound_begins_after_a_pause_at_a_delay_that_stays() {
        for period in [80, 160, 480] {
            for target in (0..200 * period / 10).step_by(7) {
                for aligned in [false, true] {
                    let delay = start(target, period, aligned);
                    assert!((target..=target + period / 2).contains(&delay), "{target} {delay}");
                    // A clock that drifts or a packet that is a little later doesn't change that.
                    for delay in [delay - period / 8, delay, delay + period / 8] {
                        let pace = Pace { delay, target, usual: 0, ahead: delay + 2 * period, period, aligned };
                        assert_eq!(stretch(&pace), None, "{pace:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn goes_slower_before_a_hole_and_not_faster() {
        let stall = Pace { delay: 8_000, target: 8_000, usual: 5_000, ahead: 1_900, ..STEADY };
        assert_eq!(stretch(&stall), Some(Stretch::Decelerate(160)));
        assert_eq!(stretch(&Pace { ahead: 960, ..stall }), Some(Stretch::Decelerate(1_000)));
        assert_eq!(stretch(&Pace { delay: 12_000, ..stall }), Some(Stretch::Decelerate(160)));
        assert_eq!(stretch(&Pace { delay: 12_000, ahead: 8_000, ..stall }), Some(Stretch::Accelerate(4_000)));
    }

    #[test]
    fn aligned_streams_are_held_close() {
        let far = Pace { delay: 1_600, target: 1_600, usual: 80, ahead: 1_600, aligned: true, ..STEADY };
        assert_eq!(stretch(&Pace { delay: 1_581, ..far }), None);
        assert_eq!(stretch(&Pace { delay: 1_620, ..far }), None);
        assert_eq!(stretch(&Pace { delay: 1_580, ..far }), Some(Stretch::Decelerate(20)));
        assert_eq!(stretch(&Pace { delay: 1_621, ..far }), Some(Stretch::Accelerate(21)));
        assert_eq!(stretch(&Pace { delay: 1_641, ..far }), Some(Stretch::Accelerate(80)));
        assert_eq!(stretch(&Pace { delay: 1_641, aligned: false, ..far }), None);
    }
}
