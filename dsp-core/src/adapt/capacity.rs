//! How much the network carries: a rate that follows queues and losses, from whatever tells of them.
//!
//! A [`Capacity`] hears [`Observation`]s: how much was sent, how much of it was lost, and how long what arrived waited on its way.
//! Feedback on each packet gives one each quarter of a second ([`PacketWindow`]), a report one each few seconds
//! ([`ReportWindow`]). From them it steers one number, [`rate_bps`](Capacity::rate_bps), headers included:
//!
//! - **A queue** beyond a bound: what arrives is what the network carries. The rate falls below it, by as much as empties the
//!   queue in a second and a half, and goes on just below once the queue has gone.
//! - **A queue that isn't ours**: it stays, though we sent less. Somebody fills it who minds only losses; to give way would
//!   leave us nothing. The rate comes back, and follows losses alone until the queue has gone.
//! - **Loss without a queue** is either a link whose queue is too short to be seen, or a network that loses whatever one sends. It
//!   is tried out: less is sent for a moment. If the loss goes, the rate stays below; if it stays, the rate comes back, and the loss
//!   is told as one that redundancy is for ([`random_loss`](Capacity::random_loss)).
//! - **Room** is found by sending more: 3 kbit/s, up to 12 where there was room each time, or as much as the next thing needs that
//!   there's any use for ([`set_steps`](Capacity::set_steps)); after half a second to 2.5 s in which all was well, and after twice as
//!   long each time that it ended in a queue or a loss, up to 20 s. What fails is taken back at once.
//!
//! All integers. Units: bit/s with IP, UDP and RTP headers; losses in 256ths of a percent. Cost: some divisions an observation.

use core::fmt;

use super::PERCENT;
use crate::time::{Duration, Instant};

/// A queue that a listener hardly minds: by whoever sends the least, and the most. Of two that share a link, the one that sends more
/// gives way first.
const QUEUE_MS: [u64; 2] = [60, 25];
/// A queue that is gone.
const EMPTY: Duration = Duration::from_millis(20);
/// A queue is emptied within this.
const EMPTY_WITHIN_MS: u64 = 1_500;
/// What is sent of what arrives once the queue has gone, in 64ths: of those who share a link, who sends more gives up more.
const BELOW: u64 = 57;
/// Below so many times the least rate there is hardly room for a call, and none to give up.
const NARROW: u64 = 2;
/// How much more is sent to see whether there's room, in bit/s: the same for those who send little and much.
const STEP_BPS: u64 = 3_000;
/// Where there was room each time, up to so many of these at once.
const STEPS: u64 = 4;
/// The least share of what arrives that is sent while a queue empties, in 64ths.
const LEAST_SHARE: u64 = 8;
/// Where a queue has become shorter by less than this part of what it should have, it isn't ours.
const SHOULD_HAVE: u64 = 3;
/// How long a rate that was reduced is given to empty the queue before that is judged.
const JUDGE_AFTER: Duration = Duration::from_secs(3);
/// Loss that is looked into, and a loss that has gone, as a share of what it was, in 64ths.
const LOSS: u32 = 2 * PERCENT;
const GONE: u32 = 24;
/// More than this no network loses at random: the rate is to blame.
const RANDOM_MOST: u32 = 30 * PERCENT;
/// Loss beside somebody who fills the queue and minds only losses: he brings some about, whatever we send.
const BESIDE_LOSS: u32 = 10 * PERCENT;
/// How long somebody who filled the queue is expected back.
const BESIDE_FOR: Duration = Duration::from_secs(30);
/// Little, as a place between the bounds in 64ths.
const LITTLE: u64 = 16;
/// How much more is lost where there was no room.
const MORE_LOSS: u32 = PERCENT;
/// Less is sent, to see whether loss goes with it, until so many packets would have been lost as before: fewer prove nothing. For so
/// long at least and at most.
const TRY_LOSSES: u64 = 12;
const TRY_FOR: Duration = Duration::from_millis(1_500);
const TRY_FOR_MOST: Duration = Duration::from_secs(10);
/// How long what was found holds, the first time and at most.
const FOUND_FOR: Duration = Duration::from_secs(30);
const FOUND_FOR_MOST: Duration = Duration::from_secs(240);
/// How long all must be well before more is sent, first and at most.
const WELL_FOR: Duration = Duration::from_secs(2);
const WELL_FOR_MOST: Duration = Duration::from_secs(16);

/// What was seen of the network over a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Observation {
    /// How long the stretch was.
    pub duration: Duration,
    /// How long what was sent in it took to arrive, from its first packet to its last.
    pub took: Duration,
    /// What was sent in it, in bits, headers included.
    pub sent_bits: u64,
    /// In how many packets.
    pub packets: u32,
    /// How much of it was lost, in 256ths of a percent.
    pub loss: u32,
    /// How long packets wait at its end beyond the fastest; `None`: nothing tells.
    pub queue: Option<Duration>,
    /// How long ago the last packet of it left.
    pub age: Duration,
}

/// Where the rate may lie, in bit/s, headers included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RateBounds {
    /// The least with which there's still a call.
    pub least_bps: u32,
    /// The most that there's any use for, and that was agreed on.
    pub most_bps: u32,
}

impl RateBounds {
    /// The rate within them that is the nearest to `bps`; the least, where the most is below it.
    pub const fn clamp(&self, bps: u32) -> u32 {
        let most = if self.most_bps < self.least_bps { self.least_bps } else { self.most_bps };
        if bps < self.least_bps {
            self.least_bps
        } else if bps > most {
            most
        } else {
            bps
        }
    }
}

/// What the rate does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Phase {
    /// It stays until all has been well for long enough.
    Steady,
    /// More is sent, to see whether there's room.
    Probing,
    /// Less is sent than arrives, until the queue has gone.
    Emptying,
    /// Less is sent, to see whether the loss goes with it.
    Trying,
    /// Somebody else fills the queue: losses count alone.
    Beside,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Steady => "steady",
            Self::Probing => "looking for room",
            Self::Emptying => "a queue empties",
            Self::Trying => "looking where loss comes from",
            Self::Beside => "beside somebody who fills the queue",
        })
    }
}

/// Follows what the network carries; see the module's page.
#[derive(Clone, Debug)]
pub struct Capacity {
    bounds: RateBounds,
    rate_bps: u32,
    phase: Phase,
    since: Instant,
    /// What was before a probe, a trial or a queue: rate, loss and queue.
    before: Before,
    /// Packets of a trial: those that were sent, and those that were lost in 256ths of a percent.
    tried: (u64, u64),
    /// What arrived when there was a queue; the longest that has been seen of it, and when.
    carried_bps: u32,
    longest: Duration,
    longest_at: Instant,
    /// Loss in the mean of some observations; the loss that no rate helps against, and until when that holds.
    loss: u32,
    random: u32,
    random_until: Instant,
    /// Until when a queue counts as somebody else's.
    beside_until: Instant,
    /// The highest rate at which a queue was seen, and until when that is remembered.
    queued_bps: u32,
    queued_until: Instant,
    /// How long all must be well before the next probe.
    well_for: Duration,
    well_since: Option<Instant>,
    /// What is sent now needs, and the next thing that there's any use for.
    steps_bps: [u32; 2],
    /// Whether a probe brought the queue.
    was_probe: bool,
    /// Probes in a row that found room, and for how long a loss that no rate helps against is believed.
    found: u64,
    random_for: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Before {
    rate_bps: u32,
    loss: u32,
}

impl Capacity {
    /// Begins with `rate_bps`.
    pub const fn new(bounds: RateBounds, rate_bps: u32) -> Self {
        let before = Before { rate_bps, loss: 0 };
        Self {
            bounds,
            rate_bps,
            phase: Phase::Steady,
            since: Instant::ZERO,
            before,
            tried: (0, 0),
            carried_bps: rate_bps,
            longest: Duration::ZERO,
            longest_at: Instant::ZERO,
            loss: 0,
            random: 0,
            random_until: Instant::ZERO,
            beside_until: Instant::ZERO,
            queued_bps: 0,
            queued_until: Instant::ZERO,
            well_for: WELL_FOR,
            well_since: None,
            steps_bps: [0; 2],
            was_probe: false,
            found: 0,
            random_for: FOUND_FOR,
        }
    }

    /// Where the rate may lie.
    pub const fn bounds(&self) -> RateBounds {
        self.bounds
    }

    /// Other bounds from now on.
    pub fn set_bounds(&mut self, bounds: RateBounds) {
        self.bounds = bounds;
        self.rate_bps = self.within(u64::from(self.rate_bps));
    }

    /// What is sent takes `now_bps`, and nothing more is sent before the rate is `next_bps`, both in bit/s with headers; `None`:
    /// whatever more it is, it's used. What can't be used can't show whether there's room, so the next probe goes there at once.
    pub fn set_steps(&mut self, now_bps: u32, next_bps: Option<u32>) {
        self.steps_bps = [now_bps, next_bps.unwrap_or(0)];
    }

    /// What may be sent, in bit/s, headers included.
    pub const fn rate_bps(&self) -> u32 {
        self.rate_bps
    }

    /// What it does at the moment.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Loss that sending less doesn't help against, in 256ths of a percent: what redundancy is for. While it isn't known
    /// which loss it is, half of it counts.
    pub fn random_loss(&self) -> u32 {
        match self.phase {
            Phase::Emptying | Phase::Beside => self.random.min(self.loss),
            _ if self.random > 0 => self.loss,
            _ => self.loss / 2,
        }
    }

    /// Hears what was seen up to `now`.
    pub fn observe(&mut self, now: Instant, seen: &Observation) {
        if seen.duration == Duration::ZERO || seen.sent_bits == 0 {
            // In a pause nothing is to be seen.
            self.well_since = None;
            return;
        }
        self.follow_loss(seen);
        if now > self.random_until {
            self.random = 0;
        }
        let queue = seen.queue.unwrap_or(Duration::ZERO);
        let sent_bps = seen.sent_bits * 1_000_000 / seen.duration.as_micros().max(1);
        let carried_bps = Self::carried(seen);
        match self.phase {
            // A long queue, or a short one that is full.
            Phase::Steady | Phase::Probing
                if queue > self.queue_bound() || queue > EMPTY && self.is_losing(now, seen) =>
            {
                if now < self.beside_until {
                    // It's back, whoever it is.
                    self.enter(now, Phase::Beside);
                } else {
                    self.empty(now, seen, carried_bps, sent_bps);
                }
            }
            Phase::Steady | Phase::Probing if self.is_losing(now, seen) => self.lose(now, sent_bps),
            // Loss beside a queue is no room, whosever it is.
            Phase::Steady if queue > EMPTY && self.loss > LOSS => self.well_since = None,
            Phase::Steady => self.probe(now, sent_bps),
            Phase::Probing => self.probed(now, seen, sent_bps),
            Phase::Emptying => self.emptied(now, seen, carried_bps, queue),
            Phase::Trying if queue > self.queue_bound() && now >= self.beside_until => {
                self.rate_bps = self.within(self.before.rate_bps.into());
                self.empty(now, seen, carried_bps, sent_bps);
            }
            Phase::Trying => self.tried(now, seen),
            Phase::Beside => self.stay_beside(now, seen, queue, sent_bps),
        }
    }

    /// Where the rate lies between its bounds, in 64ths.
    fn place(&self) -> u64 {
        let RateBounds { least_bps, most_bps } = self.bounds;
        let above = u64::from(self.rate_bps.saturating_sub(least_bps));
        (64 * above / u64::from(most_bps.saturating_sub(least_bps).max(1))).min(64)
    }

    /// Whether there was hardly room for a call before the queue.
    fn is_narrow(&self) -> bool {
        u64::from(self.before.rate_bps) < u64::from(self.bounds.least_bps) * NARROW
    }

    fn queue_bound(&self) -> Duration {
        let [least, most] = QUEUE_MS;
        Duration::from_micros((1_000 * least) - (least - most) * 1_000 * self.place() / 64)
    }

    /// How long all must be well: whoever sends less asks for more sooner.
    fn patience(&self) -> Duration {
        Duration::from_micros(self.well_for.as_micros() * (16 + self.place()) / 64)
    }

    /// Whoever sends little asks for more though something is lost, as long as it isn't more than it was.
    fn asks_for_little(&self) -> bool {
        self.place() < LITTLE && self.loss <= self.random + self.random / 4
    }

    /// What arrived, in bit/s: less than was sent by what was lost, and by how much longer it took.
    fn carried(seen: &Observation) -> u64 {
        let arrived = u128::from(seen.sent_bits) * u128::from((100 * PERCENT).saturating_sub(seen.loss));
        let bps = arrived * 1_000_000 / (u128::from(100 * PERCENT) * u128::from(seen.took.as_micros().max(1)));
        bps.min(u128::from(u32::MAX)) as u64
    }

    fn follow_loss(&mut self, seen: &Observation) {
        // A time constant of about 3 s of packets of 60 ms at most: in a pause one of a few that is lost proves little.
        let ms = seen.duration.as_millis().min(60 * u64::from(seen.packets)).min(3_000) as i64;
        let change = (i64::from(seen.loss) - i64::from(self.loss)) * ms / 3_000;
        self.loss = (i64::from(self.loss) + change).clamp(0, i64::from(100 * PERCENT)) as u32;
    }

    /// Whether so much is lost that the rate may be to blame.
    fn is_losing(&self, now: Instant, seen: &Observation) -> bool {
        let usual = if now < self.beside_until { BESIDE_LOSS } else { LOSS };
        // By chance a mean over some seconds is half as high again, and more where losses are few.
        let bound = usual.max(self.random + self.random / 2 + u32::from(self.random > 0) * LOSS);
        self.loss > bound && seen.loss > bound
    }

    fn empty(&mut self, now: Instant, seen: &Observation, carried_bps: u64, sent_bps: u64) {
        let queue = seen.queue.unwrap_or(Duration::ZERO);
        self.found = 0;
        let mut most_bps = self.rate_bps;
        self.well_for = Duration::from_micros((self.well_for.as_micros() * 2).min(WELL_FOR_MOST.as_micros()));
        self.was_probe = self.phase == Phase::Probing;
        if self.was_probe {
            most_bps = self.before.rate_bps;
        }
        self.before = Before { rate_bps: most_bps, loss: self.loss };
        let comes_again = now < self.queued_until;
        self.queued_bps = if comes_again { self.queued_bps.max(most_bps) } else { most_bps };
        self.queued_until = now + BESIDE_FOR;
        if comes_again && self.phase == Phase::Steady && self.rate_bps <= self.bounds.least_bps {
            // It had gone, and came back though the least was sent: it isn't ours.
            self.rate_bps = self.within(u64::from(self.queued_bps) * 3 / 4);
            self.enter(now, Phase::Beside);
            return;
        }
        // What is sent below the rate, in a pause of the speech, is no sign of a network that carries less.
        let carried_bps = carried_bps.max(u64::from(self.rate_bps) * carried_bps / sent_bps.max(1) / 2);
        self.carried_bps = carried_bps.min(u64::from(most_bps)) as u32;
        (self.longest, self.longest_at) = (queue, now);
        self.rate_bps = self.emptying_rate(self.queue_now(seen));
        self.enter(now, Phase::Emptying);
    }

    /// The queue that was seen, and what has been sent since and not been carried.
    fn queue_now(&self, seen: &Observation) -> Duration {
        let age = seen.age.as_micros();
        let grown = age * u64::from(self.rate_bps) / u64::from(self.carried_bps.max(1));
        let queue = seen.queue.unwrap_or(Duration::ZERO).as_micros() + grown;
        Duration::from_micros(queue.saturating_sub(age))
    }

    /// Below what is carried by what is in the queue, over the time in which that shall have gone.
    fn emptying_rate(&self, queue: Duration) -> u32 {
        let share = (64 - (64 * queue.as_millis() / EMPTY_WITHIN_MS).min(64)).clamp(LEAST_SHARE, BELOW);
        self.within(u64::from(self.carried_bps) * share / 64)
    }

    fn emptied(&mut self, now: Instant, seen: &Observation, carried_bps: u64, queue: Duration) {
        if seen.queue.is_none() {
            // Nobody tells of queues any more.
            if now.since(self.since) >= TRY_FOR_MOST {
                self.enter(now, Phase::Steady);
            }
            return;
        }
        if queue <= EMPTY {
            let below_bps = u64::from(self.carried_bps) * BELOW / 64;
            // All was well before the probe. Where there's more room it is given up all the same, for whoever shares the link.
            let was_well = self.was_probe && self.is_narrow();
            let before_bps = if was_well { self.carried_bps.min(self.before.rate_bps).into() } else { 0 };
            self.rate_bps = self.within(below_bps.max(before_bps));
            self.enter(now, Phase::Steady);
            return;
        }
        if queue > self.longest {
            // What was sent before is still coming.
            (self.longest, self.longest_at) = (queue, now);
            self.carried_bps = self.carried_bps.min(carried_bps as u32).max(1);
            self.rate_bps = self.rate_bps.min(self.emptying_rate(self.queue_now(seen)));
        }
        let since = now.since(self.longest_at);
        if since < JUDGE_AFTER {
            return;
        }
        if self.rate_bps <= self.bounds.least_bps && self.carried_bps <= self.bounds.least_bps {
            // No less can be sent: whoever fills it, it's of no use to give way.
            self.rate_bps = self.within(u64::from(self.before.rate_bps) * 3 / 4);
            self.enter(now, Phase::Beside);
            return;
        }
        let below = self.carried_bps.saturating_sub(self.rate_bps);
        let due = since.as_micros() * u64::from(below) / u64::from(self.carried_bps.max(1));
        let due = due.min(self.longest.as_micros());
        if self.longest.as_micros().saturating_sub(queue.as_micros()) * SHOULD_HAVE < due {
            self.rate_bps = self.within(u64::from(self.before.rate_bps));
            self.enter(now, Phase::Beside);
        } else {
            // Less is carried than was thought.
            self.carried_bps = self.carried_bps.min(carried_bps as u32).max(1);
            (self.longest, self.longest_at) = (queue, now);
            self.rate_bps = self.emptying_rate(queue);
        }
    }

    fn lose(&mut self, now: Instant, sent_bps: u64) {
        if self.phase == Phase::Probing {
            // More was sent, and more was lost.
            self.wait_longer();
        }
        self.before = Before { rate_bps: self.rate_bps, loss: self.loss };
        // What is sent below the rate, in a pause of the speech, is no sign of a network that carries less.
        let sent_bps = sent_bps.max(u64::from(self.rate_bps) / 2);
        let arrived = sent_bps * u64::from((100 * PERCENT).saturating_sub(self.loss)) / u64::from(100 * PERCENT);
        self.carried_bps = arrived.min(u64::from(self.rate_bps)) as u32;
        self.rate_bps = self.within(u64::from(self.carried_bps) * 7 / 8);
        self.tried = (0, 0);
        self.enter(now, Phase::Trying);
    }

    fn tried(&mut self, now: Instant, seen: &Observation) {
        let on_the_way = seen.age.as_micros() + seen.duration.as_micros();
        let since = now.since(self.since);
        // What was sent before says nothing.
        if since.as_micros() >= on_the_way {
            self.tried.0 += u64::from(seen.packets);
            self.tried.1 += u64::from(seen.packets) * u64::from(seen.loss);
        }
        let (packets, lost) = self.tried;
        let most = TRY_LOSSES * u64::from(100 * PERCENT);
        let gone_below = |expected: u64| expected * u64::from(GONE) / 64;
        let expected = packets * u64::from(self.before.loss);
        let is_enough = expected >= most || lost > gone_below(most);
        if since < TRY_FOR || !is_enough && since < TRY_FOR_MOST {
            return;
        }
        if expected < most / 2 && !is_enough {
            // In a pause nothing is found out.
            self.rate_bps = self.within(u64::from(self.before.rate_bps));
        } else if lost <= gone_below(expected) || lost > packets * u64::from(RANDOM_MOST) {
            // It was too much, and may still be.
            (self.found, self.random_for) = (0, FOUND_FOR);
            self.rate_bps = self.within(u64::from(self.carried_bps) * BELOW / 64);
            self.loss = (lost / packets) as u32;
        } else {
            self.rate_bps = self.within(u64::from(self.before.rate_bps));
            self.random = self.loss.max(self.before.loss);
            self.random_until = now + self.random_for;
            self.random_for = Duration::from_micros((2 * self.random_for.as_micros()).min(FOUND_FOR_MOST.as_micros()));
        }
        self.enter(now, Phase::Steady);
    }

    fn stay_beside(&mut self, now: Instant, seen: &Observation, queue: Duration, sent_bps: u64) {
        self.beside_until = now + BESIDE_FOR;
        if queue <= EMPTY && seen.queue.is_some() {
            self.enter(now, Phase::Steady);
        } else if self.is_losing(now, seen) && now.since(self.since) >= WELL_FOR {
            self.lose(now, sent_bps);
        } else if (self.loss < PERCENT || self.asks_for_little())
            && now.since(self.since) >= Duration::from_micros(4 * WELL_FOR.as_micros())
        {
            self.rate_bps = self.within(u64::from(self.rate_bps) * 17 / 16);
            self.since = now;
        }
    }

    fn probe(&mut self, now: Instant, sent_bps: u64) {
        let since = *self.well_since.get_or_insert(now);
        if now.since(since) < self.patience() || self.rate_bps >= self.bounds.most_bps {
            return;
        }
        // What isn't used up is no sign of room.
        let is_used = |of_bps: u32| sent_bps * 4 >= u64::from(of_bps) * 3;
        let [now_bps, next_bps] = self.steps_bps;
        let step_bps = u64::from(self.rate_bps) + STEP_BPS * (1 + self.found).min(STEPS);
        let wanted_bps = if next_bps > self.rate_bps && next_bps <= self.bounds.most_bps && is_used(now_bps) {
            step_bps.max(next_bps.into())
        } else if is_used(self.rate_bps) {
            step_bps
        } else {
            return;
        };
        self.before = Before { rate_bps: self.rate_bps, loss: self.loss };
        self.rate_bps = self.within(wanted_bps);
        self.enter(now, Phase::Probing);
    }

    fn probed(&mut self, now: Instant, seen: &Observation, sent_bps: u64) {
        if now.since(self.since) < WELL_FOR.max(seen.duration) {
            return;
        }
        if sent_bps * 4 < u64::from(self.before.rate_bps) {
            // In a pause nothing is found out.
            self.rate_bps = self.within(self.before.rate_bps.into());
        } else if self.loss > self.before.loss + MORE_LOSS + self.random / 2 {
            // A queue that is too short to be seen.
            self.rate_bps = self.within(self.before.rate_bps.into());
            self.wait_longer();
        } else {
            self.found += 1;
            self.well_for = Duration::from_micros((self.well_for.as_micros() / 2).max(WELL_FOR.as_micros()));
        }
        self.enter(now, Phase::Steady);
    }

    fn wait_longer(&mut self) {
        self.found = 0;
        self.well_for = Duration::from_micros((self.well_for.as_micros() * 2).min(WELL_FOR_MOST.as_micros()));
    }

    fn enter(&mut self, now: Instant, phase: Phase) {
        (self.phase, self.since, self.well_since) = (phase, now, None);
    }

    fn within(&self, bps: u64) -> u32 {
        self.bounds.clamp(bps.min(u32::MAX.into()) as u32)
    }
}
