//! How much the network carries; the rules are on [`Capacity`].
//!
//! Units: bit/s with IP, UDP and RTP headers; losses in 256ths of a percent.

use super::PERCENT;
use super::bounds::RateBounds;
use super::ceiling::{Ceiling, LinkCeiling};
use super::observe::Observation;
use super::phase::{Before, Phase};
use super::share::Share;
use crate::time::{Duration, Instant};

/// Queues that hardly disturb a listener, in ms: at the lowest rate, and at the highest. Of two streams that share a
/// link, the one that sends more gives way first.
const QUEUE_MS: [u64; 2] = [60, 25];
/// A queue that is gone.
const EMPTY: Duration = Duration::from_millis(20);
/// A queue is emptied within this.
const EMPTY_WITHIN_MS: u64 = 1_500;
/// Share of what arrives that is sent once the queue is empty, in 64ths. Of streams that share a link, the one that
/// sends more gives up more.
const BELOW: u64 = 57;
/// A rate below this multiple of the lowest rate is hardly enough for a call, and none of it is given up.
const NARROW: u64 = 2;
/// How much more is sent to see whether there's room, in bit/s: the same for those who send little and much.
const STEP_BPS: u64 = 3_000;
/// After successful probes, a probe rises by up to this many steps at once.
const STEPS: u64 = 4;
/// The least share of what arrives that is sent while a queue empties, in 64ths.
const LEAST_SHARE: u64 = 8;
/// Where a queue has become shorter by less than this part of what it should have, it isn't ours.
const SHOULD_HAVE: u64 = 3;
/// How long what a probe sent may go on arriving.
const GONE_ON: Duration = Duration::from_secs(1);
/// How long a rate that was reduced is given to empty the queue before that is judged.
const JUDGE_AFTER: Duration = Duration::from_secs(3);
/// Loss that is looked into, and a loss that has gone, as a share of what it was, in 64ths.
const LOSS: u32 = 2 * PERCENT;
const GONE: u32 = 24;
/// Where the link is known to carry what is sent, and losses were random before, so much more is taken for chance.
const CHANCE: u32 = 4;
/// More than this no network loses at random: the rate is to blame.
const RANDOM_MOST: u32 = 30 * PERCENT;
/// So many packets show that at once.
const PLAIN_PACKETS: u32 = 24;
/// Loss beside somebody who fills the queue and minds only losses: he brings some about, whatever we send.
const BESIDE_LOSS: u32 = 10 * PERCENT;
/// How long somebody who filled the queue is expected back.
const BESIDE_FOR: Duration = Duration::from_secs(30);
/// How long a queue counts as ours, once more was sent beside it and no more came.
const OURS_FOR: Duration = Duration::from_secs(120);
/// So much more is sent before it is asked what came of it, in bit/s: by chance more or less is lost.
const ASK_BPS: u64 = STEP_BPS * 3 / 2;
/// Little, as a place between the bounds in 64ths.
const LITTLE: u64 = 16;
/// How much more is lost where there was no room.
const MORE_LOSS: u32 = PERCENT;
/// A trial with a lower rate lasts until this many packets would have been lost as before; fewer prove nothing. It has
/// a shortest and a longest time.
const TRY_LOSSES: u64 = 12;
const TRY_FOR: Duration = Duration::from_millis(1_500);
const TRY_FOR_MOST: Duration = Duration::from_secs(10);
/// How long what was found holds, the first time and at most.
const FOUND_FOR: Duration = Duration::from_secs(30);
const FOUND_FOR_MOST: Duration = Duration::from_secs(240);
/// How long all must be well before more is sent, first and at most.
const WELL_FOR: Duration = Duration::from_secs(2);
const WELL_FOR_MOST: Duration = Duration::from_secs(16);

/// Follows how much the network carries: from observations of losses and queues it derives one number,
/// [`rate_bps`](Self::rate_bps), with all headers included.
///
/// Observations come from feedback on single packets, one each quarter of a second
/// ([`PacketWindow`](super::PacketWindow)), or from reports, one every few seconds
/// ([`ReportWindow`](super::ReportWindow)). The rate changes as follows:
///
/// - **Queue.** If packets wait longer than a bound, what arrives is what the network carries. The rate falls below
///   that, so far that the queue is empty after 1.5 s, and then goes on just below it.
/// - **A queue of others.** If the queue stays although less was sent, or comes back although the least is sent, other
///   traffic fills it that reacts to losses alone. The rate comes back, from a low one in steps of 3 kbit/s, and follows
///   losses alone until the queue is gone. If more is sent beside it and hardly more arrives, nobody else is there: for two
///   minutes any queue counts as this stream's own.
/// - **Loss without a queue.** Either the link has a short queue, or the network loses packets at any rate. The rate
///   is lowered for a trial. If the loss goes away, the rate stays low; if it does not, the rate comes back, and
///   [`random_loss`](Self::random_loss) tells the loss, against which redundancy helps.
/// - **Probing.** After 0.5 to 2.5 s without trouble, the rate rises by 3 kbit/s, by up to 12 kbit/s after earlier
///   successes, by half of what the link is seen to have left, or to the next rate that is of use
///   ([`set_steps`](Self::set_steps)). After a failed probe the rate goes back at once, the wait doubles, up to 20 s,
///   and no probe goes to the rate that failed for 5 to 45 s, and for up to 180 s if it fails again.
/// - **The link.** Where packets' sizes and times show the rate of the slowest link ([`Observation::link_bps`]), no probe goes above
///   eleven twelfths of it, and losses below that may grow by more before they are looked into again. After two minutes one probe goes there
///   all the same: if it finds room, there is more than one slow link, and the estimate isn't believed for ten minutes.
///
/// The arithmetic is all integer, with a few divisions for each observation. [The module's page](super) has an
/// example.
#[derive(Clone, Debug)]
pub struct Capacity {
    bounds: RateBounds,
    rate_bps: u32,
    phase: Phase,
    since: Instant,
    before: Before,
    /// Packets of a trial: those that were sent, and those that were lost in 256ths of a percent.
    tried: (u64, u64),
    /// What arrived when there was a queue; the longest that has been seen of it, and when.
    carried_bps: u32,
    longest: Duration,
    longest_at: Instant,
    /// Loss in the mean of some observations, and of many; the loss that no rate helps against, and until when that holds.
    loss: u32,
    long_term_loss: u32,
    random: u32,
    random_until: Instant,
    /// Until when a queue counts as somebody else's, and when the rate was last chosen beside it.
    beside_until: Instant,
    beside_chosen: Instant,
    /// What was sent and what came of it since then, and the first that is compared with.
    beside: Share,
    beside_first: Option<Share>,
    /// Until when a queue counts as ours, whatever it does.
    ours_until: Instant,
    /// The highest rate at which a queue was seen, and until when that is remembered.
    queued_bps: u32,
    queued_until: Instant,
    /// Where a probe has failed.
    ceiling: Ceiling,
    /// What the slowest link is seen to carry.
    link: LinkCeiling,
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

impl Capacity {
    /// Starts with `rate_bps`.
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
            long_term_loss: 0,
            random: 0,
            random_until: Instant::ZERO,
            beside_until: Instant::ZERO,
            beside_chosen: Instant::ZERO,
            beside: Share::NONE,
            beside_first: None,
            ours_until: Instant::ZERO,
            queued_bps: 0,
            queued_until: Instant::ZERO,
            ceiling: Ceiling::NONE,
            link: LinkCeiling::NONE,
            well_for: WELL_FOR,
            well_since: None,
            steps_bps: [0; 2],
            was_probe: false,
            found: 0,
            random_for: FOUND_FOR,
        }
    }

    /// Bounds of the rate.
    pub const fn bounds(&self) -> RateBounds {
        self.bounds
    }

    /// Sets other bounds, from now on.
    pub fn set_bounds(&mut self, bounds: RateBounds) {
        self.bounds = bounds;
        self.rate_bps = self.within(u64::from(self.rate_bps));
    }

    /// Tells which rates are of use, in bit/s with all headers: what is sent now takes `now_bps`, and nothing more is
    /// sent below `next_bps`. The next probe then goes to `next_bps` at once, since bits that are not sent cannot show
    /// whether the network carries them. `None` means that any higher rate is of use.
    pub fn set_steps(&mut self, now_bps: u32, next_bps: Option<u32>) {
        self.steps_bps = [now_bps, next_bps.unwrap_or(0)];
    }

    /// Rate that may be sent, in bit/s with all headers.
    pub const fn rate_bps(&self) -> u32 {
        self.rate_bps
    }

    /// What it does at the moment.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Loss that does not go away at a lower rate, and against which redundancy helps, in 256ths of a percent. While
    /// the kind of loss is not known yet, half of it counts.
    pub fn random_loss(&self) -> u32 {
        match self.phase {
            Phase::Emptying | Phase::Beside => self.random.min(self.loss),
            // A few seconds without a loss are no reason to give up redundancy.
            _ if self.random > 0 => self.loss.max(self.long_term_loss),
            _ => self.loss / 2,
        }
    }

    /// Takes in what was observed up to `now`.
    pub fn observe(&mut self, now: Instant, seen: &Observation) {
        if seen.duration == Duration::ZERO || seen.sent_bits == 0 {
            // In a pause nothing is to be seen.
            self.well_since = None;
            return;
        }
        self.follow_loss(seen);
        if let Some(bps) = seen.link_bps {
            self.link.see(now, bps);
        }
        if now > self.random_until {
            // A link that is known to carry what is sent, and loses no more than before, still does so at random.
            let is_so_still = now > self.queued_until
                && self.long_term_loss <= self.random + LOSS
                && self.link.carries(now, self.rate_bps.into());
            (self.random, self.random_until) = if is_so_still { (self.random, now + FOUND_FOR) } else { (0, now) };
        }
        let queue = seen.queue.unwrap_or(Duration::ZERO);
        let (sent_bps, carried_bps) = (seen.sent_bps(), seen.carried_bps());
        let is_losing = self.is_losing(now, seen);
        match self.phase {
            // A long queue, or a short one that is full.
            Phase::Steady | Phase::Probing if queue > self.queue_bound() || queue > EMPTY && is_losing => {
                if now < self.beside_until {
                    // It's back, whoever it is. What a probe brought may be ours.
                    if self.phase == Phase::Probing {
                        self.probe_failed(now);
                        self.rate_bps = self.within(self.before.rate_bps.into());
                    }
                    self.enter(now, Phase::Beside);
                } else {
                    self.empty(now, seen, carried_bps, sent_bps);
                }
            }
            Phase::Steady | Phase::Probing if is_losing => self.lose(now, seen),
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
            Phase::Beside => self.stay_beside(now, seen, queue, [carried_bps, sent_bps]),
        }
    }

    /// Where the rate lies between its bounds, in 64ths.
    fn place(&self) -> u64 {
        self.bounds.place(self.rate_bps)
    }

    /// Whether there was hardly room for a call before the queue.
    fn is_narrow(&self) -> bool {
        u64::from(self.before.rate_bps) < u64::from(self.bounds.least_bps) * NARROW
    }

    fn queue_bound(&self) -> Duration {
        let [least, most] = QUEUE_MS;
        Duration::from_micros((1_000 * least) - (least - most) * 1_000 * self.place() / 64)
    }

    /// How long all must be well before the next probe: a stream that sends less probes sooner.
    fn patience(&self) -> Duration {
        Duration::from_micros(self.well_for.as_micros() * (16 + self.place()) / 64)
    }

    fn follow_loss(&mut self, seen: &Observation) {
        // A time constant of about 3 s of packets of 60 ms at most: in a pause one of a few that is lost proves little.
        let ms = seen.duration.as_millis().min(60 * u64::from(seen.packets)).min(3_000) as i64;
        let toward = |mean: &mut u32, over_ms: i64| {
            let change = (i64::from(seen.loss) - i64::from(*mean)) * ms / over_ms;
            *mean = (i64::from(*mean) + change).clamp(0, i64::from(100 * PERCENT)) as u32;
        };
        toward(&mut self.loss, 3_000);
        toward(&mut self.long_term_loss, 12_000);
    }

    /// Whether so many packets are lost that the rate may be the reason.
    fn is_losing(&self, now: Instant, seen: &Observation) -> bool {
        let usual = match now < self.beside_until {
            true if self.place() < LITTLE => RANDOM_MOST,
            true => BESIDE_LOSS,
            false => LOSS,
        };
        // By chance a mean over some seconds is half as high again, and more where losses are few.
        // Where a queue stands, somebody else may be on the link.
        let is_queued = seen.queue.is_some_and(|queue| queue > EMPTY);
        let is_carried = !is_queued && self.link.carries(now, self.rate_bps.into());
        let chance = if is_carried { CHANCE * LOSS } else { LOSS };
        let expected = self.random + self.random / 2 + u32::from(self.random > 0) * chance;
        let bound = usual.max(if now < self.beside_until { expected } else { expected.min(RANDOM_MOST) });
        self.loss > bound && seen.loss > bound
    }

    fn empty(&mut self, now: Instant, seen: &Observation, carried_bps: u64, sent_bps: u64) {
        let queue = seen.queue.unwrap_or(Duration::ZERO);
        self.wait_longer();
        let mut most_bps = self.rate_bps;
        self.was_probe = self.phase == Phase::Probing;
        if self.was_probe {
            self.ceiling.failed(now, self.rate_bps, self.place());
            self.link.failed(now, self.rate_bps);
            most_bps = self.before.rate_bps;
        }
        self.before = Before { rate_bps: most_bps, loss: self.loss };
        let comes_again = now < self.queued_until;
        self.queued_bps = if comes_again { self.queued_bps.max(most_bps) } else { most_bps };
        self.queued_until = now + BESIDE_FOR;
        let is_ours = now < self.ours_until;
        if comes_again && !is_ours && self.phase == Phase::Steady && self.rate_bps <= self.bounds.least_bps {
            // It had gone, and came back though the least was sent: it isn't ours.
            self.begin_beside(now, u64::from(self.queued_bps) * 3 / 4);
            return;
        }
        // What is sent below the rate, in a pause of the speech, is no sign of a network that carries less.
        let carried_bps = carried_bps.max(u64::from(self.rate_bps) * carried_bps / sent_bps.max(1) / 2);
        // Before a probe all was well: nearly that much is carried, whatever a quarter of a second with a loss in it looks like.
        let least_bps = if self.was_probe { u64::from(most_bps) * 7 / 8 } else { 0 };
        self.carried_bps = carried_bps.max(least_bps).min(u64::from(most_bps)) as u32;
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
            self.rate_bps = self.within(below_bps.max(before_bps).min(self.link.most_bps(now)));
            self.enter(now, Phase::Steady);
            return;
        }
        if queue > self.longest {
            // What was sent before is still coming.
            (self.longest, self.longest_at) = (queue, now);
            let least_bps =
                if self.was_probe && now.since(self.since) < GONE_ON { self.before.rate_bps / 4 * 3 } else { 1 };
            self.carried_bps = self.carried_bps.min((carried_bps as u32).max(least_bps));
            self.rate_bps = self.rate_bps.min(self.emptying_rate(self.queue_now(seen)));
        }
        // What was sent before says nothing, and it may be told late.
        let since = Duration::from_micros(now.since(self.longest_at).as_micros().saturating_sub(seen.age.as_micros()));
        if since < JUDGE_AFTER {
            return;
        }
        let is_ours = now < self.ours_until;
        if !is_ours && self.rate_bps <= self.bounds.least_bps && self.carried_bps <= self.bounds.least_bps {
            // No less can be sent: whoever fills it, it's of no use to give way.
            self.begin_beside(now, u64::from(self.before.rate_bps) * 3 / 4);
            return;
        }
        let below = self.carried_bps.saturating_sub(self.rate_bps);
        let due = since.as_micros() * u64::from(below) / u64::from(self.carried_bps.max(1));
        let due = due.min(self.longest.as_micros());
        if !is_ours && self.longest.as_micros().saturating_sub(queue.as_micros()) * SHOULD_HAVE < due {
            self.begin_beside(now, self.before.rate_bps.into());
        } else {
            // Less is carried than was thought.
            self.carried_bps = self.carried_bps.min(carried_bps as u32).max(1);
            (self.longest, self.longest_at) = (queue, now);
            self.rate_bps = self.emptying_rate(queue);
        }
    }

    fn lose(&mut self, now: Instant, seen: &Observation) {
        if self.phase == Phase::Probing {
            // More was sent, and more was lost.
            self.probe_failed(now);
        }
        // What is sent below the rate, in a pause of the speech, is no sign of a network that carries less.
        let sent_bps = seen.sent_bps().max(u64::from(self.rate_bps) / 2);
        // So much is no chance, even before the mean shows it.
        let is_plain = seen.loss > RANDOM_MOST && seen.packets >= PLAIN_PACKETS;
        let loss = if is_plain { seen.loss.max(self.loss) } else { self.loss };
        self.before = Before { rate_bps: self.rate_bps, loss };
        let arrived = sent_bps * u64::from((100 * PERCENT).saturating_sub(loss)) / u64::from(100 * PERCENT);
        self.carried_bps = arrived.min(u64::from(self.rate_bps)) as u32;
        let rate_bps = self.within(u64::from(self.carried_bps) * 7 / 8);
        if rate_bps + rate_bps / 16 >= self.rate_bps && self.link.carries(now, self.rate_bps.into()) {
            // So little less can be sent that it would show nothing.
            self.take_for_random(now);
            self.enter(now, Phase::Steady);
            return;
        }
        self.rate_bps = rate_bps;
        (self.tried, self.beside) = ((0, 0), Share::NONE);
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
        if expected < most / 4 && !is_enough {
            // In a pause nothing is found out.
            self.rate_bps = self.within(u64::from(self.before.rate_bps));
        } else if lost <= gone_below(expected) || lost > packets * u64::from(RANDOM_MOST) {
            // It was too much, and may still be.
            (self.found, self.random_for) = (0, FOUND_FOR);
            self.rate_bps = self.within(u64::from(self.carried_bps) * BELOW / 64);
            self.loss = (lost / packets) as u32;
        } else {
            self.rate_bps = self.within(u64::from(self.before.rate_bps));
            self.take_for_random(now);
        }
        self.enter(now, Phase::Steady);
    }

    /// No lower rate helps against the loss.
    fn take_for_random(&mut self, now: Instant) {
        let is_carried = self.link.carries(now, self.before.rate_bps.into());
        self.random = self.loss.max(self.before.loss);
        self.random_until = now + if is_carried { FOUND_FOR_MOST } else { self.random_for };
        self.random_for = Duration::from_micros((2 * self.random_for.as_micros()).min(FOUND_FOR_MOST.as_micros()));
    }

    fn stay_beside(&mut self, now: Instant, seen: &Observation, queue: Duration, [carried_bps, sent_bps]: [u64; 2]) {
        self.beside_until = now + BESIDE_FOR;
        // What was sent before says nothing.
        if now.since(self.beside_chosen).as_micros() >= seen.age.as_micros() + seen.duration.as_micros() {
            self.beside.add(seen);
        }
        if queue <= EMPTY && seen.queue.is_some() {
            self.enter(now, Phase::Steady);
            return;
        }
        let is_losing = self.is_losing(now, seen) && now.since(self.since) >= WELL_FOR;
        // Its queue may come and go faster than this.
        let may_grow = (self.loss < PERCENT || self.place() < LITTLE)
            && now.since(self.beside_chosen) >= Duration::from_micros(2 * WELL_FOR.as_micros());
        if !is_losing && !may_grow {
            return;
        }
        if self.comes_to_nothing() && !self.link.carries_twice(now, sent_bps) {
            self.take_for_ours(now, seen, carried_bps, sent_bps);
        } else if is_losing {
            self.lose(now, seen);
        } else {
            self.choose_beside(now, u64::from(self.rate_bps) + STEP_BPS);
        }
    }

    /// Whether more was sent, and less than half of it came: then nobody else fills the queue. Somebody who is there gives way.
    fn comes_to_nothing(&mut self) -> bool {
        if self.beside.time == Duration::ZERO {
            return false;
        }
        let [sent_bps, came_bps] = self.beside.rates_bps();
        let [first_sent_bps, first_came_bps] = self.beside_first.unwrap_or(self.beside).rates_bps();
        if self.beside_first.is_none() || sent_bps < first_sent_bps {
            self.beside_first = Some(self.beside);
            return false;
        }
        let more_bps = sent_bps.saturating_sub(first_sent_bps);
        if more_bps < ASK_BPS {
            return false;
        }
        self.beside_first = Some(self.beside);
        came_bps.saturating_sub(first_came_bps) * 2 < more_bps
    }

    /// It is ours, for some time: it is emptied as any other, and the least is sent as long as it doesn't go.
    fn take_for_ours(&mut self, now: Instant, seen: &Observation, carried_bps: u64, sent_bps: u64) {
        (self.beside_until, self.queued_until, self.ours_until) = (now, now, now + OURS_FOR);
        self.empty(now, seen, carried_bps, sent_bps);
    }

    fn begin_beside(&mut self, now: Instant, bps: u64) {
        self.beside_first = None;
        self.choose_beside(now, bps);
    }

    fn choose_beside(&mut self, now: Instant, bps: u64) {
        self.rate_bps = self.within(bps);
        (self.beside_chosen, self.beside) = (now, Share::NONE);
        self.enter(now, Phase::Beside);
    }

    fn probe(&mut self, now: Instant, sent_bps: u64) {
        let since = *self.well_since.get_or_insert(now);
        if now.since(since) < self.patience() || self.rate_bps >= self.bounds.most_bps {
            return;
        }
        // What isn't used up is no sign of room.
        let is_used = |of_bps: u32| sent_bps * 4 >= u64::from(of_bps) * 3;
        let is_allowed = |bps: u64| self.ceiling.allows(now, bps) && self.link.allows(now, bps);
        let [now_bps, next_bps] = self.steps_bps;
        let step_bps = (STEP_BPS * (1 + self.found).min(STEPS)).max(self.link.room(now, self.rate_bps) / 2);
        let step_bps = u64::from(self.rate_bps) + step_bps;
        let wanted_bps = if next_bps > self.rate_bps && next_bps <= self.bounds.most_bps && is_used(now_bps) {
            if is_allowed(step_bps) { step_bps.max(next_bps.into()) } else { next_bps.into() }
        } else if is_used(self.rate_bps) {
            if is_allowed(step_bps) { step_bps } else { u64::from(self.rate_bps) + STEP_BPS }
        } else {
            return;
        };
        if !is_allowed(wanted_bps) {
            return;
        }
        self.before = Before { rate_bps: self.rate_bps, loss: self.loss };
        self.rate_bps = self.within(wanted_bps);
        self.beside = Share::NONE;
        self.enter(now, Phase::Probing);
    }

    fn probed(&mut self, now: Instant, seen: &Observation, sent_bps: u64) {
        if now.since(self.since) < WELL_FOR.max(seen.duration) {
            return;
        }
        if sent_bps * 4 < u64::from(self.before.rate_bps) || !self.link.tolerates(now, self.rate_bps.into()) {
            // In a pause nothing is found out, and what the link carries has been seen meanwhile.
            self.rate_bps = self.within(self.before.rate_bps.into());
        } else if self.loss > self.before.loss + MORE_LOSS + self.random / 2 {
            // A queue that is too short to be seen.
            self.probe_failed(now);
            self.rate_bps = self.within(self.before.rate_bps.into());
        } else {
            self.ceiling.passed(self.rate_bps);
            self.link.passed(now, sent_bps);
            self.found += 1;
            self.well_for = Duration::from_micros((self.well_for.as_micros() / 2).max(WELL_FOR.as_micros()));
        }
        self.enter(now, Phase::Steady);
    }

    fn probe_failed(&mut self, now: Instant) {
        self.ceiling.failed(now, self.rate_bps, self.place());
        self.link.failed(now, self.rate_bps);
        self.wait_longer();
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
