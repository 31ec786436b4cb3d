//! The detection of troubles in a running call, each reported once when it begins and once when it is over: for the SIP stack, a
//! log or a lamp.
//!
//! A [`CallWatch`] examines each tick and the firmware's other observations ([`Seen`]). It only reports: the phone keeps running
//! through every trouble and recovers by itself once it is over. No heap, no clock of its own.
//!
//! Use it in each call whose troubles should be reported. Limits: it knows only what the firmware passes to it: a wire that is
//! cut beyond the first switch is [`Trouble::NoPackets`] and not [`Trouble::LinkDown`].
//!
//! ```
//! use dsp_core::time::Instant;
//! use host_embedded::phone::Tick;
//! use host_embedded::watch::{CallEvent, CallWatch, Seen, Trouble};
//!
//! let mut watch = CallWatch::new(Instant::ZERO);
//! let unplugged = Seen { now: Instant::from_millis(10), link_up: false, ..Seen::default() };
//! watch.tick(&Tick::default(), &unplugged);
//! assert_eq!(watch.next_event(), Some(CallEvent::Began(Trouble::LinkDown)));
//! // It isn't told again while it lasts.
//! watch.tick(&Tick::default(), &unplugged);
//! assert_eq!(watch.next_event(), None);
//! ```

use dsp_core::time::{Duration, Instant};

use crate::phone::Tick;

/// A trouble of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Trouble {
    /// The network's link is down: nothing is received and nothing is sent.
    LinkDown,
    /// Nothing has been received for [`PATIENCE`] though something should be. A side that sends comfort noise or nothing in
    /// pauses may rightly do so.
    NoPackets,
    /// More packets come than are taken in within the budget of a tick, over and over ([`FLOOD_TICKS`]).
    Flood,
    /// Datagrams come that are not the other side's, or can't be read ([`REFUSED_DATAGRAMS`]).
    Refused,
    /// Frames of the microphone were lost: the task was late, or the DMA was overrun.
    Overrun,
    /// The loudspeaker had nothing to play.
    Underrun,
}

impl Trouble {
    /// All troubles, in the order in which they are reported.
    pub const ALL: [Self; 6] =
        [Self::LinkDown, Self::NoPackets, Self::Flood, Self::Refused, Self::Overrun, Self::Underrun];

    /// Returns how often a trouble must be seen before it's reported.
    const fn threshold(self) -> u32 {
        match self {
            Self::Flood => FLOOD_TICKS,
            Self::Refused => REFUSED_DATAGRAMS,
            _ => 1,
        }
    }

    /// Returns how long a trouble must be absent to be over: link and packets are back at once.
    const fn patience(self) -> Duration {
        match self {
            Self::LinkDown | Self::NoPackets => Duration::ZERO,
            _ => PATIENCE,
        }
    }
}

/// The time without packets after which they are reported missing, and the time for which most troubles must be absent to be
/// over.
pub const PATIENCE: Duration = Duration::from_millis(1_000);
/// The number of crowded ticks within [`PATIENCE`] of each other that are reported as a flood: a few come wherever the task was
/// kept waiting.
pub const FLOOD_TICKS: u32 = 20;
/// The number of refused datagrams within [`PATIENCE`] of each other that is reported: a few may stray.
pub const REFUSED_DATAGRAMS: u32 = 50;
/// Packets that were on their way when the other side said goodbye come within this time.
const STRAGGLERS: Duration = Duration::from_millis(200);

/// A report of the watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CallEvent {
    /// Something is wrong from now on.
    Began(Trouble),
    /// It is over.
    Over(Trouble),
    /// The other side sent an RTCP BYE (RFC 3550, 6.6), and nothing has come since for [`PATIENCE`]: it has hung up, or will
    /// signal so soon. A BYE after which its packets continue belongs to another source and isn't reported.
    Left,
}

/// The firmware's observations of the call apart from the tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The time by the clock of the call.
    pub now: Instant,
    /// Whether the network's link is up.
    pub link_up: bool,
    /// RTP packets received until now ([`ReceiverStats::received`](dsp_core::receive::ReceiverStats::received)).
    pub received: u64,
    /// Whether any should be: not while the other side doesn't send, as on hold.
    pub expected: bool,
    /// Datagrams refused until now: `refused` and `foreign` of [`TransportCounters`](crate::transport::TransportCounters), and
    /// those that the receiver couldn't parse. It may wrap.
    pub refused: u32,
    /// Whether the other side has said goodbye since the tick before
    /// ([`Transport::next_report`](crate::transport::Transport::next_report)).
    pub goodbye: bool,
}

impl Default for Seen {
    /// Returns a link that is up, and nothing else.
    fn default() -> Self {
        Self { now: Instant::ZERO, link_up: true, received: 0, expected: false, refused: 0, goodbye: false }
    }
}

/// One trouble.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// The time at which it was seen last, and how often since it was last absent.
    last: Option<Instant>,
    times: u32,
    /// Whether the beginning was reported.
    told: bool,
}

/// Looks on. It takes 200 bytes.
///
/// A call in which packets stop and come again:
///
/// ```
/// use dsp_core::time::{Duration, Instant};
/// use host_embedded::phone::Tick;
/// use host_embedded::watch::{CallEvent, CallWatch, Seen, Trouble};
///
/// let mut watch = CallWatch::new(Instant::ZERO);
/// let (mut seen, mut told) = (Seen { expected: true, ..Seen::default() }, Vec::new());
/// for tick in 0..500 {
///     seen.now += Duration::from_millis(10);
///     // Between the second and the fourth second nothing comes.
///     seen.received += u64::from(tick % 2 == 0 && !(200..400).contains(&tick));
///     watch.tick(&Tick::default(), &seen);
///     while let Some(event) = watch.next_event() {
///         told.push((tick / 100, event));
///     }
/// }
/// assert_eq!(told[0], (2, CallEvent::Began(Trouble::NoPackets)));
/// assert_eq!(told[1].1, CallEvent::Over(Trouble::NoPackets));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CallWatch {
    states: [State; Trouble::ALL.len()],
    now: Instant,
    /// Packets that had come, and when one came last.
    received: u64,
    heard: Instant,
    refused: u32,
    /// The time at which the other side said goodbye.
    goodbye: Option<Instant>,
    left: bool,
}

impl CallWatch {
    /// Begins at `now` with a call in which nothing is wrong.
    pub const fn new(now: Instant) -> Self {
        let state = State { last: None, times: 0, told: false };
        Self {
            states: [state; Trouble::ALL.len()],
            now,
            received: 0,
            heard: now,
            refused: 0,
            goodbye: None,
            left: false,
        }
    }

    /// Looks at a tick that is over.
    pub fn tick(&mut self, tick: &Tick, seen: &Seen) {
        let Seen { now, link_up, received, expected, refused, goodbye } = *seen;
        self.now = now;
        if received != self.received || !expected {
            self.heard = now;
        }
        if received != self.received && self.goodbye.is_some_and(|at| now.since(at) > STRAGGLERS) {
            self.goodbye = None;
        }
        self.received = received;
        if goodbye {
            self.goodbye = Some(now);
        }
        let silent = expected && now.since(self.heard) >= PATIENCE;
        if silent && self.goodbye.take_if(|at| now.since(*at) >= PATIENCE).is_some() {
            self.left = true;
        }
        let refused_now = refused.wrapping_sub(self.refused);
        self.refused = refused;
        for (trouble, times) in Trouble::ALL.into_iter().zip([
            u32::from(!link_up),
            u32::from(silent),
            u32::from(tick.crowded),
            refused_now,
            tick.overrun,
            tick.underrun,
        ]) {
            self.see(trouble, times);
        }
    }

    fn see(&mut self, trouble: Trouble, times: u32) {
        let now = self.now;
        let Some(state) = self.states.get_mut(trouble as usize) else { return };
        if times > 0 {
            state.last = Some(now);
            state.times = state.times.saturating_add(times);
        } else if state.last.is_some_and(|last| now.since(last) >= trouble.patience()) {
            (state.last, state.times) = (None, 0);
        }
    }

    /// Returns whether the trouble exists now: it was seen at least as often as its threshold requires.
    pub fn has(&self, trouble: Trouble) -> bool {
        self.states.get(trouble as usize).is_some_and(|state| state.times >= trouble.threshold())
    }

    /// Returns the next report. Call it after each tick until it returns `None`.
    pub fn next_event(&mut self) -> Option<CallEvent> {
        if core::mem::take(&mut self.left) {
            return Some(CallEvent::Left);
        }
        let changed = |watch: &Self| {
            let mut all = Trouble::ALL.into_iter().zip(&watch.states);
            all.find(|(trouble, state)| watch.has(*trouble) != state.told).map(|(trouble, _)| trouble)
        };
        let trouble = changed(self)?;
        let begins = self.has(trouble);
        self.states.get_mut(trouble as usize)?.told = begins;
        Some(if begins { CallEvent::Began(trouble) } else { CallEvent::Over(trouble) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// All that is told over ticks of 10 ms, with the tick's number.
    fn told(ticks: u32, mut at: impl FnMut(u32) -> (Tick, Seen)) -> Vec<(u32, CallEvent)> {
        let mut watch = CallWatch::new(Instant::ZERO);
        let mut told = Vec::new();
        for n in 1..=ticks {
            let (tick, seen) = at(n);
            watch.tick(&tick, &Seen { now: Instant::from_millis(10 * u64::from(n)), ..seen });
            while let Some(event) = watch.next_event() {
                told.push((n, event));
            }
        }
        told
    }

    #[test]
    fn silence_is_told_once_and_its_end_with_the_first_packet() {
        let seen = |n: u32| Seen { expected: true, received: if n < 200 { 0 } else { n.into() }, ..Seen::default() };
        let events = told(400, |n| (Tick::default(), seen(n)));
        let silence = Trouble::NoPackets;
        assert_eq!(events, [(100, CallEvent::Began(silence)), (200, CallEvent::Over(silence))]);
        // On hold nothing should come.
        assert_eq!(told(400, |_| (Tick::default(), Seen::default())), []);
    }

    #[test]
    fn what_comes_and_goes_is_one_trouble_and_a_little_is_none() {
        // Crowded every third tick, twice with a second of peace between.
        let crowded =
            |n: u32| Tick { crowded: n.is_multiple_of(3) && !(150..300).contains(&n) && n < 450, ..Tick::default() };
        let flood = Trouble::Flood;
        let events = told(700, |n| (crowded(n), Seen::default()));
        let expected =
            [CallEvent::Began(flood), CallEvent::Over(flood), CallEvent::Began(flood), CallEvent::Over(flood)];
        assert_eq!(events.iter().map(|(_, event)| *event).collect::<Vec<_>>(), expected);
        assert_eq!((events[0].0, events[1].0), (60, 247));
        // A stray datagram now and then is nobody's trouble, fifty at once are.
        let stray = |n: u32| Seen { refused: u32::MAX.wrapping_add(n / 110), ..Seen::default() };
        // What had been refused before the first tick counts as of that tick.
        let mut watch = CallWatch { refused: u32::MAX, ..CallWatch::new(Instant::ZERO) };
        for n in 1..3_000 {
            watch.tick(&Tick::default(), &Seen { now: Instant::from_millis(10 * u64::from(n)), ..stray(n) });
            assert_eq!(watch.next_event(), None);
        }
        let lost =
            |n: u32| Tick { overrun: if n == 7 { 4 } else { 0 }, underrun: u32::from(n == 8), ..Tick::default() };
        let [overrun, underrun] = [Trouble::Overrun, Trouble::Underrun];
        assert_eq!(
            told(200, |n| (lost(n), Seen::default())),
            [
                (7, CallEvent::Began(overrun)),
                (8, CallEvent::Began(underrun)),
                (107, CallEvent::Over(overrun)),
                (108, CallEvent::Over(underrun))
            ]
        );
    }

    #[test]
    fn a_goodbye_counts_once_nothing_comes_any_more() {
        let call = |goes_on: bool, expected: bool| {
            told(400, move |n| {
                let received = if goes_on { n.into() } else { n.min(110).into() };
                (Tick::default(), Seen { received, expected, goodbye: n == 100, ..Seen::default() })
            })
        };
        assert_eq!(call(false, true), [(210, CallEvent::Left), (210, CallEvent::Began(Trouble::NoPackets))]);
        // Another source goes on, and some phones say goodbye at each hold.
        assert_eq!(call(true, true), []);
        assert_eq!(call(false, false), []);
    }
}
