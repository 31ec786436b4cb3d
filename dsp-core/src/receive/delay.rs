//! Delay estimator: how long packets must wait so that as many of them are there as are worth waiting for.
//!
//! Everything is in ticks of the RTP clock, 32 bits, modulo 2^32. The *transit* of a packet is its arrival time minus
//! its timestamp, with an unknown offset. The smallest transit of the last 10 to 20 seconds is the *base*, and the
//! *relative delay* of a packet is its transit above the base. Since the base is a minimum over a window, it follows a
//! sender whose clock drifts, and a shorter route is noticed at once. When the base rises, what was counted is lowered
//! by as much. For the first 512 packets the base is uncertain: when it falls, the packets before were later than they
//! seemed, by as much.
//!
//! Relative delays are counted in a histogram that decays with a half-life of 355 packets (7 s with packets of 20 ms).
//! The target is the delay with the lowest cost: each ms of delay costs one (13 sixteenths beyond a quarter of a
//! second, where a conversation suffers anyway), and each percent of packets that come later than the target costs
//! [`DelayConfig::late_cost_ms`]. Lost packets cost nothing, since waiting does not bring them back. A rare stall
//! costs too little to be waited for, until another one is likely enough. Lowering the target must be worth more than
//! raising it.
//!
//! The target is computed with each of the first packets, then with every eighth, and at once if a packet was later.
//! The memory is below 600 bytes. A computation takes 224 multiplications.

use super::conversation::{Conversation, DelayBoundCandidates, DelayChoice, EVERY};
use super::histogram::{FIRST_WIDTH_MS, Histogram, price};
use crate::time::Duration;
use core::num::NonZeroU16;

/// Bounds of the delay, and how delay is weighed against late packets. Start from [`listening`](Self::listening),
/// [`conversation`](Self::conversation) or [`fixed`](Self::fixed). With `min_ms == max_ms` the delay is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DelayConfig {
    /// Lowest target delay, in ms.
    pub min_ms: u32,
    /// Longest time that a packet waits in the buffer, in ms. When the buffer holds more than that, the oldest packets
    /// are dropped. Slowness of the network itself does not count.
    pub max_ms: u32,
    /// Highest target delay, in ms; `max_ms` bounds it as well. The delay may be longer right after a stall of the
    /// network, and comes down afterwards.
    pub target_max_ms: u32,
    /// Delay before anything is known of the network, in ms. The first packet waits for the next one or two packets,
    /// but never longer than this.
    pub initial_ms: u32,
    /// How many ms of extra delay it is worth to have one percent of the packets less late. Values outside 10 to
    /// 10,000 count as the nearest of these.
    pub late_cost_ms: u32,
    /// What the sound is for, which decides what delay costs.
    pub purpose: Purpose,
}

/// What the sound is for, which decides what delay costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Purpose {
    /// Somebody only listens: [`DelayConfig::late_cost_ms`] weighs delay against late packets.
    #[default]
    Listening,
    /// Two people talk to each other: the rating R of ITU-T G.107 weighs delay against loss, for the [`Conversation`]
    /// that was set with [`Receiver::set_conversation`](super::Receiver::set_conversation).
    Conversation,
}

impl Default for DelayConfig {
    /// For listening: 10 ms to 2 s, where one percent of late packets is worth 80 ms.
    ///
    /// By ITU-T G.107 the first percent of lost packets costs G.711 with concealment 3.8 of R (G.113: Bpl 25.1), as
    /// much as 158 ms of delay below 177 ms, or 28 ms above.
    fn default() -> Self {
        Self::listening()
    }
}

impl DelayConfig {
    const USUAL: Self = Self {
        min_ms: 10,
        max_ms: 2_000,
        target_max_ms: 2_000,
        initial_ms: 200,
        late_cost_ms: 80,
        purpose: Purpose::Listening,
    };

    /// For listening: nearly every packet is waited for. This is the default.
    pub const fn listening() -> Self {
        Self::USUAL
    }

    /// For a conversation: a longer wait must save more concealed sound than the delay costs the conversation, by the
    /// rating R of ITU-T G.107. Sound that arrives later than that is dropped, since concealed sound was played in its
    /// place.
    pub const fn conversation() -> Self {
        Self { purpose: Purpose::Conversation, ..Self::USUAL }
    }

    /// The same delay all the time, in ms.
    pub const fn fixed(ms: u32) -> Self {
        Self { min_ms: ms, max_ms: ms, target_max_ms: ms, initial_ms: ms, late_cost_ms: 0, purpose: Purpose::Listening }
    }

    fn bounded(&self, target_ms: u32) -> u32 {
        target_ms.min(self.target_max_ms).max(self.min_ms).min(self.max_ms)
    }
}

/// Each change of the delay is heard: to be longer it must be worth a sixteenth of it, to be shorter a twelfth. One that
/// follows each lull is stretched down and up again, and runs dry at the next stall.
const WORTH_UP: u32 = 16;
const WORTH_DOWN: u32 = 12;
/// Least number of packets over which shares are computed: one late packet of few is no reason to expect as large a
/// share in future.
const AT_LEAST_PACKETS: u32 = 256;
/// Number of packets after which it is known how late packets can be, and how fast. Before, the target is above what
/// was seen, by half the mean difference of two packets' transits for each halving of their number.
const KNOWN_PACKETS: u32 = 512;
/// Number of packets that must be there before the first is played; two are enough if the second came on time.
const FIRST_PACKETS: u32 = 3;
/// After packets were delayed, the next may be faster by this much, and by four times their variation if that is more.
const USUAL_FALL_MS: u32 = 40;
/// A usual tick of the listener's sound.
const TICK_MS: u32 = 10;
/// One of this many packets is later than usual, in order or overtaken: to conceal a single missing packet is better
/// than to wait for it.
const UNUSUAL: u32 = 20;
const UNUSUAL_OVERTAKEN: u32 = 100;
/// In a conversation less waits, so that a hole may be near when a packet is later than two of three: playing slower comes
/// first.
const UNUSUAL_TALKING: u32 = 3;
/// But the hole must be nearer by an eighth of the delay: so near a bound that is just long enough, some sound is made
/// longer for nothing, and shorter again.
const SPARED_TALKING: u32 = 8;
/// Sound that has waited longer than its bound by up to this much is played faster, and not dropped.
const SLACK_MS: u32 = 40;
/// Each packet that was overtaken adds this much, and each that was not takes one away: above this level more than one
/// packet of 64 is overtaken.
const REORDER_LEVEL: u16 = 64;
const REORDER_LIMIT: u16 = 1_024;
/// Of packets that are missing when nearly all others are there, this many more must have come later than have not.
const RETURNS_LIMIT: i8 = 16;
const WINDOW: Duration = Duration::from_secs(10);
const LOOK_UP_EVERY: u32 = 8;
/// Windows of which the base moved by more than this were of another route, not of another clock: 1000 ppm.
const DRIFT_LIMIT: Duration = Duration::from_millis(10);

/// What the delay estimator knows of the network, in ticks of the RTP clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate {
    /// Delay after the base (the fastest packet) with the lowest cost.
    pub target: u32,
    /// Delay after the base that 19 of 20 packets stay within. In a conversation that waits for fewer packets, it
    /// covers fewer, but at least two of three.
    pub usual: u32,
    /// Whether packets have overtaken each other recently, so that a missing packet is more likely to come than not.
    pub reorders: bool,
}

/// What is counted of the packets' delays.
#[derive(Clone, Debug)]
enum Weighed {
    Listening(Histogram),
    Conversation(DelayBoundCandidates),
}

impl Weighed {
    fn new(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Listening => Self::Listening(Histogram::new()),
            Purpose::Conversation => Self::Conversation(DelayBoundCandidates::new()),
        }
    }

    fn forget(&mut self) {
        match self {
            Self::Listening(histogram) => *histogram = Histogram::new(),
            Self::Conversation(bounds) => *bounds = bounds.anew(),
        }
    }
}

/// Estimates base and target delay from arrivals.
#[derive(Clone, Debug)]
pub(super) struct DelayEstimator {
    ticks_per_second: u32,
    ticks_per_ms: NonZeroU16,
    /// The longest delay, and a window of the base, in ticks.
    maximum: u32,
    window: u32,
    config: DelayConfig,
    weighed: Weighed,
    packets: u32,
    /// Whether there is a base.
    based: bool,
    /// Whether it is the only one since all was forgotten.
    first_base: bool,
    /// Smallest transit of the window that is filling and of the one before.
    minimum: [u32; 2],
    window_start: u32,
    /// How long the last packet was that was played; 0 before the first.
    packet: u32,
    /// Timestamp of the newest packet, and transit of the last.
    newest: u32,
    last: u32,
    /// Mean difference of two packets' transits, in ticks, times 16.
    spread: u32,
    /// How much packets overtake each other.
    reorders: u16,
    /// Overtaken packets that came later than usual, less those that never came.
    returns: i8,
    /// How much the base rises in a window, in ticks times 16, smoothed.
    drift: i32,
    /// Whether all packets of the window that is filling are as long as those before.
    is_drift_known: bool,
    target: u32,
    usual: u32,
    /// What was worth waiting for, in ms.
    worth: u32,
    /// How long before its turn a packet must be there, as it must be there when the tick begins.
    tick_ms: u16,
}

impl DelayEstimator {
    /// An estimator for a clock of `ticks_per_second`.
    pub(super) fn new(ticks_per_second: u32, config: DelayConfig) -> Self {
        let ticks = |length: Duration| length.as_samples(ticks_per_second) as u32;
        let mut estimator = Self {
            ticks_per_second,
            ticks_per_ms: NonZeroU16::new((ticks_per_second / 1_000) as u16).unwrap_or(NonZeroU16::MIN),
            maximum: ticks(Duration::from_millis(u64::from(config.max_ms))),
            window: ticks(WINDOW),
            config: DelayConfig { late_cost_ms: config.late_cost_ms.clamp(10, 10_000), ..config },
            weighed: Weighed::new(config.purpose),
            packets: 0,
            based: false,
            first_base: true,
            minimum: [0; 2],
            window_start: 0,
            packet: 0,
            newest: 0,
            last: 0,
            spread: 0,
            reorders: 0,
            returns: 0,
            drift: 0,
            is_drift_known: true,
            target: 0,
            usual: 0,
            worth: 0,
            tick_ms: TICK_MS as u16,
        };
        estimator.reset();
        estimator
    }

    /// The same for a loudspeaker that asks for so much at a time.
    pub(super) fn with_tick(ticks_per_second: u32, config: DelayConfig, tick_ms: u32) -> Self {
        let mut estimator = Self::new(ticks_per_second, config);
        estimator.set_tick(tick_ms);
        estimator
    }

    /// Forgets all arrivals.
    pub(super) fn reset(&mut self) {
        self.weighed.forget();
        self.packets = 0;
        self.based = false;
        self.first_base = true;
        self.spread = 0;
        self.reorders = 0;
        self.returns = 0;
        self.drift = 0;
        self.usual = 0;
        self.worth = 0;
        self.target = self.ticks(self.config.bounded(self.config.initial_ms));
    }

    /// Forgets the base, but not how much packets vary: for a sender whose timestamps jumped.
    pub(super) fn reset_base(&mut self) {
        if self.packets < FIRST_PACKETS {
            return self.reset();
        }
        self.first_base = false;
        self.based = false;
        self.drift = 0;
        if let Weighed::Conversation(bounds) = &mut self.weighed {
            bounds.restart();
        }
    }

    /// Takes in what is known of a conversation; without effect if the sound is for listening.
    pub(super) fn set_conversation(&mut self, conversation: &Conversation) {
        if let Weighed::Conversation(bounds) = &mut self.weighed {
            bounds.set(conversation);
        }
    }

    /// Why a conversation waits as long as it does; `None` if the sound is for listening.
    pub(super) fn choice(&self) -> Option<DelayChoice> {
        match &self.weighed {
            Weighed::Listening(_) => None,
            Weighed::Conversation(bounds) => Some(bounds.choice()),
        }
    }

    /// Takes in how long a packet is, in ticks. One that is longer than those before is sent later after its timestamp by as much, so that
    /// the base rises at once; where packets become shorter, the next one shows it.
    pub(super) fn set_packet(&mut self, ticks: u32) {
        if let Some(longer) = ticks.checked_sub(self.packet).filter(|_| self.packet > 0 && self.based) {
            self.minimum = self.minimum.map(|least| least.wrapping_add(longer));
            // How much the base rises says nothing of clocks until the next window.
            self.is_drift_known &= longer == 0;
        }
        self.packet = ticks;
        let ms = ticks / self.per_ms();
        if let Weighed::Conversation(bounds) = &mut self.weighed {
            bounds.set_packet(ms);
        }
    }

    /// Notes that this many ticks were concealed, or not heard, while packets were on their way that then came.
    pub(super) fn owe(&mut self, ticks: u32) {
        self.set_owed(self.owed().saturating_add(ticks));
    }

    /// How many ticks of what follows a conversation may give up for what was made up.
    pub(super) fn owed(&self) -> u32 {
        match &self.weighed {
            Weighed::Listening(_) => 0,
            Weighed::Conversation(bounds) => bounds.owed,
        }
    }

    pub(super) fn set_owed(&mut self, ticks: u32) {
        if let Weighed::Conversation(bounds) = &mut self.weighed {
            bounds.owed = ticks;
        }
    }

    /// How long a packet may wait before it is given up for what was made up in its place, in ticks; `None` where nothing
    /// is.
    pub(super) fn bound(&self) -> Option<u32> {
        matches!(self.weighed, Weighed::Conversation(_)).then(|| self.target + SLACK_MS * self.per_ms())
    }

    /// How much sound is asked for at a time, in ms; 10 until this is called.
    pub(super) fn set_tick(&mut self, tick_ms: u32) {
        if tick_ms != u32::from(self.tick_ms) {
            // No tick is longer than 10 s.
            self.tick_ms = tick_ms as u16;
            self.look_up();
        }
    }

    /// Whether a packet has the timestamp of the newest one, as all of a telephone event have (RFC 4733, 2.5.1.2): when
    /// it was sent it doesn't say.
    pub(super) fn repeats(&self, timestamp: u32) -> bool {
        self.based && timestamp == self.newest
    }

    /// Takes in one arrival (both in ticks) and returns the packet's relative delay, in ticks.
    pub(super) fn update(&mut self, arrival: u32, timestamp: u32) -> u32 {
        let transit = arrival.wrapping_sub(timestamp);
        if self.repeats(timestamp) {
            return transit.wrapping_sub(self.base());
        }
        if !self.based {
            self.based = true;
            self.minimum = [transit; 2];
            self.window_start = arrival;
            self.newest = timestamp;
            self.last = transit;
        } else if arrival.wrapping_sub(self.window_start) > self.window {
            self.measure_drift();
            let before = self.base();
            self.minimum = [transit, self.minimum[0]];
            self.window_start = arrival;
            // Only if it rose: that it fell may be an effect of the sender's time after a pause.
            self.shift((before.wrapping_sub(self.base()) as i32).min(0));
        } else if (transit.wrapping_sub(self.minimum[0]) as i32) < 0 {
            let before = self.base();
            self.minimum[0] = transit;
            let fall = before.wrapping_sub(self.base());
            // Later on, or much from one packet to the next, it's a faster route or the sender's time that jumped, and
            // says nothing of the packets before.
            let usual = self.spread / 4 + USUAL_FALL_MS * self.per_ms();
            if self.first_base && self.packets < KNOWN_PACKETS && fall <= usual {
                self.shift(fall as i32);
            }
        }
        self.packets = self.packets.wrapping_add(1).max(1);
        let step = timestamp.wrapping_sub(self.newest) as i32;
        let overtaken = step < 0;
        if overtaken {
            self.reorders = (self.reorders + REORDER_LEVEL).min(REORDER_LIMIT);
        } else {
            self.newest = timestamp;
            self.reorders = self.reorders.saturating_sub(1);
        }
        self.measure_spread(transit);
        let relative = transit.wrapping_sub(self.base());
        if overtaken && relative > self.usual {
            self.returns = (self.returns + 1).min(RETURNS_LIMIT);
        }
        self.count(transit, relative, (!overtaken).then_some(step as u32));
        if relative > self.target || self.packets < 2 * LOOK_UP_EVERY || self.packets.is_multiple_of(LOOK_UP_EVERY) {
            self.look_up();
        }
        relative
    }

    /// Takes in that a packet never came while it could have been played.
    pub(super) fn lost(&mut self) {
        self.returns = (self.returns - 1).max(-RETURNS_LIMIT);
        if let Weighed::Conversation(bounds) = &mut self.weighed {
            bounds.lost();
        }
    }

    /// Takes in that a copy of a missing packet arrived in a later one, which is taken in by itself: it is what waiting
    /// so long for that packet would have brought. Unlike an overtaken packet it says nothing of the network.
    pub(super) fn update_copy(&mut self, arrival: u32, timestamp: u32) {
        if !self.based {
            return;
        }
        let transit = arrival.wrapping_sub(timestamp);
        let relative = transit.wrapping_sub(self.base());
        let (ticks_per_ms, relative_ms) = (self.ticks_per_ms, relative / self.per_ms());
        match &mut self.weighed {
            Weighed::Listening(histogram) => histogram.count(relative_ms, false),
            Weighed::Conversation(bounds) => {
                let transit_ms = bounds.after_origin(transit, ticks_per_ms);
                bounds.count_copy(transit_ms);
            }
        }
        if relative > self.target {
            self.look_up();
        }
    }

    /// How much later than the base this arrival is, in ticks, without taking it in; `None` before the first.
    pub(super) fn relative(&self, arrival: u32, timestamp: u32) -> Option<i32> {
        self.based.then(|| arrival.wrapping_sub(timestamp).wrapping_sub(self.base()) as i32)
    }

    /// The smallest transit of the last windows, in ticks.
    pub(super) fn base(&self) -> u32 {
        let newer = self.minimum[0].wrapping_sub(self.minimum[1]) as i32;
        self.minimum[usize::from(newer > 0)]
    }

    /// How long after the base a packet should be played, in ticks.
    pub(super) fn target(&self) -> u32 {
        self.target
    }

    /// The present estimate.
    pub(super) fn estimate(&self) -> Estimate {
        Estimate {
            target: self.target,
            usual: self.usual,
            reorders: self.reorders > REORDER_LEVEL && self.returns >= 0,
        }
    }

    /// Raises the base by `by` ticks: the network has become slower than the bound.
    pub(super) fn raise(&mut self, by: u32) {
        self.minimum = self.minimum.map(|least| least.wrapping_add(by));
        self.shift((by as i32).saturating_neg());
    }

    /// The longest delay that the bounds allow, in ms.
    pub(super) fn max_ms(&self) -> u32 {
        self.config.max_ms
    }

    /// The same in ticks.
    pub(super) fn maximum(&self) -> u32 {
        self.maximum
    }

    /// How much slower the sender's clock runs than ours, in parts per million: by how much the base rises in a window of
    /// ten seconds. 0 for the first 20 s; a change of route spoils it for half a minute.
    pub(super) fn drift_ppm(&self) -> i32 {
        self.drift * 100 / 16 / i32::from(self.ticks_per_ms.get())
    }

    fn per_ms(&self) -> u32 {
        self.ticks_per_ms.get().into()
    }

    fn ticks(&self, ms: u32) -> u32 {
        // A small processor divides 64 bits by hand.
        if self.per_ms() * 1_000 == self.ticks_per_second {
            return ms.wrapping_mul(self.per_ms());
        }
        Duration::from_millis(u64::from(ms)).as_samples(self.ticks_per_second) as u32
    }

    fn measure_drift(&mut self) {
        let rise = self.minimum[0].wrapping_sub(self.minimum[1]) as i32;
        if !core::mem::replace(&mut self.is_drift_known, true) {
            return;
        }
        if rise.unsigned_abs() <= DRIFT_LIMIT.as_samples(self.ticks_per_second) as u32 {
            self.drift += (rise * 16 - self.drift) / 4;
        }
    }

    fn measure_spread(&mut self, transit: u32) {
        let difference = (transit.wrapping_sub(self.last) as i32).unsigned_abs().min(10 * self.ticks_per_second);
        self.last = transit;
        // A true mean until there are enough to forget the first.
        let share = self.packets.clamp(1, 16);
        self.spread = self.spread - self.spread / share + difference * 16 / share;
    }

    /// `step`: ticks of media time since the packet before, unless this one was overtaken.
    fn count(&mut self, transit: u32, relative: u32, step: Option<u32>) {
        let (ticks_per_ms, relative_ms) = (self.ticks_per_ms, relative / self.per_ms());
        match (&mut self.weighed, step) {
            (Weighed::Listening(histogram), _) => histogram.count(relative_ms, step.is_none()),
            (Weighed::Conversation(bounds), step) => {
                let transit_ms = bounds.after_origin(transit, ticks_per_ms);
                match step {
                    Some(step) => bounds.count(transit_ms, relative_ms, step / u32::from(ticks_per_ms.get())),
                    None => bounds.count_single(transit_ms),
                }
            }
        }
        if let Weighed::Conversation(bounds) = &mut self.weighed
            && self.packets.is_multiple_of(EVERY)
        {
            bounds.forget();
        }
    }

    /// Shifts everything that was counted by this many ticks, later or earlier, since the base fell or rose.
    fn shift(&mut self, by: i32) {
        if let Weighed::Listening(histogram) = &mut self.weighed {
            histogram.shift(by / i32::from(self.ticks_per_ms.get()));
        }
    }

    /// Finds the delay that costs least, and the usual one.
    fn look_up(&mut self) {
        if self.packets == 0 {
            return;
        }
        let unusual = if self.reorders > REORDER_LEVEL { UNUSUAL_OVERTAKEN } else { UNUSUAL };
        let usual = match &mut self.weighed {
            Weighed::Listening(_) => self.weigh(unusual),
            Weighed::Conversation(bounds) => {
                if self.packets < 2 * LOOK_UP_EVERY || self.packets.is_multiple_of(LOOK_UP_EVERY) {
                    bounds.look_up();
                }
                self.worth = bounds.delay_ms();
                let usual = bounds.usual_ms([unusual, if unusual == UNUSUAL { UNUSUAL_TALKING } else { unusual }]);
                usual + self.worth / SPARED_TALKING
            }
        };
        // Within the first bucket there is no jitter.
        let seen = if self.worth == FIRST_WIDTH_MS { 0 } else { self.worth };
        let halvings = (KNOWN_PACKETS / self.packets.clamp(1, KNOWN_PACKETS)).checked_ilog2().unwrap_or(0);
        let unseen = self.spread / 16 * halvings / 2 / self.per_ms();
        let calm = self.packets > 1 && self.spread / 16 < self.per_ms();
        let first = if self.packets < FIRST_PACKETS && !calm { self.config.initial_ms } else { 0 };
        self.usual = self.ticks(usual);
        self.target = self.ticks(self.config.bounded((seen + unseen + u32::from(self.tick_ms)).max(first)));
    }

    /// Finds the delay that costs a listener least, and returns the usual one.
    fn weigh(&mut self, unusual: u32) -> u32 {
        let Weighed::Listening(histogram) = &self.weighed else { return 0 };
        // One ms of delay weighs as much as so much of what is late.
        let total = histogram.total(AT_LEAST_PACKETS);
        let unit = (total / (100 * self.config.late_cost_ms).max(1)).max(1);
        let rare = histogram.sum() / unusual;
        let (mut later, mut best, mut least, mut usual) = (0, 0, u32::MAX, 0);
        let mut kept = u32::MAX;
        for (edge, weight) in histogram.latest_first() {
            let cost = price(edge) * unit + later;
            if cost < least {
                (best, least) = (edge, cost);
            }
            if edge == self.worth {
                kept = cost;
            }
            later += weight;
            if later > rare && usual == 0 {
                usual = edge;
            }
        }
        let worth = if best < self.worth { WORTH_DOWN } else { WORTH_UP };
        if kept - least > price(self.worth) * unit / worth {
            self.worth = best;
        }
        usual
    }
}

#[cfg(test)]
mod tests;
