//! [`Observation`]s of the network from feedback and reports.

use super::PERCENT;
use super::serialization::Serialization;
use crate::rtcp::transport::PacketFeedback;
use crate::time::{Duration, Instant, Seq};

/// How much sending is one observation.
const STRETCH: Duration = Duration::from_millis(240);
/// How long a round trip counts as the least one; the one before counts for as long again.
const LEAST_FOR: Duration = Duration::from_secs(20);

/// What was observed of the network over a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Observation {
    /// Length of the stretch.
    pub duration: Duration,
    /// Time from the arrival of the first packet sent in the stretch to that of the last.
    pub took: Duration,
    /// Bits that were sent in the stretch, headers included.
    pub sent_bits: u64,
    /// Packets that were sent in the stretch.
    pub packets: u32,
    /// Share of the packets that was lost, in 256ths of a percent.
    pub loss: u32,
    /// How much longer packets wait in queues at the end of the stretch than the fastest packet did; `None` if that is
    /// not known.
    pub queue: Option<Duration>,
    /// How long ago the last packet of the stretch was sent.
    pub age: Duration,
    /// Rate of the slowest link, as the sizes of packets and the times that they took show it, less what is sent besides them, in bit/s
    /// with all headers; `None` if they don't show it.
    pub link_bps: Option<u32>,
}

impl Observation {
    /// What was sent, in bit/s.
    pub(super) fn sent_bps(&self) -> u64 {
        self.sent_bits * 1_000_000 / self.duration.as_micros().max(1)
    }

    /// What arrived, in bit/s: less than was sent by what was lost, and by how much longer it took.
    pub(super) fn carried_bps(&self) -> u64 {
        let arrived = u128::from(self.sent_bits) * u128::from((100 * PERCENT).saturating_sub(self.loss));
        let bps = arrived * 1_000_000 / (u128::from(100 * PERCENT) * u128::from(self.took.as_micros().max(1)));
        bps.min(u128::from(u32::MAX)) as u64
    }
}

/// Gathers transport-wide feedback on single packets ([`rtcp::transport`](crate::rtcp::transport)) into an
/// [`Observation`] for each quarter of a second.
#[derive(Clone, Copy, Debug, Default)]
pub struct PacketWindow {
    /// The last packet's number.
    number: Option<Seq>,
    first: Option<Instant>,
    last: Instant,
    /// When the packet before the first left: from there on the first counts.
    before: Option<Instant>,
    packets: u32,
    lost: u32,
    bits: u64,
    queue: Option<Duration>,
    /// How long the last packet that arrived was queued, and the last one of the stretch before.
    late: Option<Duration>,
    late_before: Option<Duration>,
    /// How much later than the one before it a packet is in the mean, and how much earlier, in us.
    later_us: u32,
    earlier_us: u32,
    serialization: Serialization,
    /// Bits without a number in this stretch, and their rate in the mean of many, in bit/s.
    others_bits: u64,
    others_bps: u32,
}

impl PacketWindow {
    /// A window without any feedback.
    pub const fn new() -> Self {
        Self {
            number: None,
            first: None,
            last: Instant::ZERO,
            before: None,
            packets: 0,
            lost: 0,
            bits: 0,
            queue: None,
            late: None,
            late_before: None,
            later_us: 0,
            earlier_us: 0,
            serialization: Serialization::NONE,
            others_bits: 0,
            others_bps: 0,
        }
    }

    /// With jitter, packets are later than the one before as often as earlier; with a queue that grows or empties,
    /// they are mostly one of both.
    fn jitter(&self) -> Duration {
        Duration::from_micros(2 * u64::from(self.later_us.min(self.earlier_us)))
    }

    /// A packet waited so long after one that waited as long as `before`: means of 16 packets.
    fn follow_jitter(&mut self, before: Duration, queued: Duration) {
        let toward = |mean: &mut u32, us: u64| {
            let us = us.min(1_000_000) as i64;
            *mean = (i64::from(*mean) + (us - i64::from(*mean)) / 16) as u32;
        };
        let (before, queued) = (before.as_micros(), queued.as_micros());
        toward(&mut self.later_us, queued.saturating_sub(before));
        toward(&mut self.earlier_us, before.saturating_sub(queued));
    }

    /// Follows how much is sent without a number: means of 32 stretches.
    fn follow_others(&mut self, duration: Duration) {
        let bps = (self.others_bits * 1_000_000 / duration.as_micros().max(1)).min(1_000_000) as i64;
        let mean = i64::from(self.others_bps);
        self.others_bps = (mean + (bps - mean) / 32) as u32;
    }

    /// Takes in what a feedback message that came at `now` says about one packet. Call it in the order of the packet
    /// numbers. Returns an observation once a quarter of a second is complete.
    pub fn hear(&mut self, now: Instant, packet: &PacketFeedback) -> Option<Observation> {
        if packet.sent < self.last {
            // It was told to be missing, and has come after all.
            return None;
        }
        let follows = self.number.replace(packet.number).is_none_or(|number| packet.number == number.plus(1));
        let before_gap = if follows { None } else { self.skip(now) };
        let first = *self.first.get_or_insert(packet.sent);
        self.last = packet.sent;
        self.packets += 1;
        self.bits += 8 * u64::from(packet.bytes);
        self.others_bits += 8 * u64::from(packet.others_bytes);
        self.serialization.hear(packet);
        match packet.queued {
            // Jitter makes some later, and a queue all of them.
            Some(queued) => {
                self.queue = Some(self.queue.map_or(queued, |least| least.min(queued)));
                if let Some(before) = self.late.or(self.late_before) {
                    self.follow_jitter(before, queued);
                }
                self.late = Some(queued);
            }
            None => self.lost += 1,
        }
        let begin = self.before.unwrap_or(first);
        let duration = self.last.since(begin);
        if duration < STRETCH { before_gap } else { Some(self.complete(now, duration)) }
    }

    /// What was sent next nobody has told of: a message was lost. What was told before is an observation if it is long enough, and
    /// nothing is compared across the gap.
    fn skip(&mut self, now: Instant) -> Option<Observation> {
        let begin = self.before.or(self.first).unwrap_or(self.last);
        let duration = self.last.since(begin);
        let is_enough = self.packets > 0 && duration.as_micros() * 2 >= STRETCH.as_micros();
        let seen = is_enough.then(|| self.complete(now, duration));
        (self.first, self.before, self.queue, self.late, self.late_before) = (None, None, None, None, None);
        (self.packets, self.lost, self.bits, self.others_bits) = (0, 0, 0, 0);
        self.serialization.skip();
        seen
    }

    /// The stretch is an observation, and the next one begins.
    fn complete(&mut self, now: Instant, duration: Duration) -> Observation {
        let loss = 100 * PERCENT * self.lost / self.packets;
        let age = now.since(self.last);
        // A few packets are all later than the fastest of many by as much.
        let usual = Duration::from_micros(2 * self.jitter().as_micros());
        let took = stretched(duration, self.late_before, self.late, usual);
        let queue = self.queue.map(|queue| Duration::from_micros(queue.as_micros().saturating_sub(usual.as_micros())));
        self.follow_others(duration);
        let link_bps = self.serialization.bps().map(|bps| bps.saturating_sub(self.others_bps));
        let (sent_bits, packets) = (self.bits, self.packets);
        let seen = Observation { duration, took, sent_bits, packets, loss, queue, age, link_bps };
        let late_before = self.late.or(self.late_before);
        (self.before, self.late_before) = (Some(self.last), late_before);
        (self.first, self.queue, self.late) = (None, None, None);
        (self.packets, self.lost, self.bits, self.others_bits) = (0, 0, 0, 0);
        seen
    }
}

/// How long it took to arrive: as much longer than to send as the last packet waited longer than the last one before, beyond what is
/// usual.
fn stretched(duration: Duration, before: Option<Duration>, now: Option<Duration>, usual: Duration) -> Duration {
    let (Some(before), Some(now)) = (before, now) else { return duration };
    let (us, before, now) = (duration.as_micros(), before.as_micros(), now.as_micros());
    let longer = now.saturating_sub(before).saturating_sub(usual.as_micros());
    let shorter = before.saturating_sub(now).saturating_sub(usual.as_micros());
    Duration::from_micros((us + longer).saturating_sub(shorter).clamp(us / 2, 3 * us))
}

/// Turns each RTCP report on the packets sent into an [`Observation`] (RFC 3550, 6.4.1). Use it where the other side
/// gives no feedback on single packets.
/// ```
/// use dsp_core::adapt::ReportWindow;
/// use dsp_core::time::{Duration, Instant};
///
/// let mut window = ReportWindow::new();
/// let mut report = |at_s: u64, fraction_lost| {
///     (0..250).for_each(|_| window.sent(200));
///     window.hear(Instant::from_millis(1_000 * at_s), fraction_lost, None, Duration::ZERO)
/// };
/// // Of the first report nobody knows how long it tells of.
/// assert_eq!(report(5, 0), None);
/// let seen = report(10, 64).ok_or("a report")?;
/// assert_eq!((seen.duration, seen.packets, seen.sent_bits), (Duration::from_secs(5), 250, 400_000));
/// // 64 of 256 are 25 %, here in 256ths of a percent.
/// assert_eq!(seen.loss, 25 * 256);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ReportWindow {
    /// When the last report came, and what was sent since.
    since: Option<Instant>,
    bits: u64,
    packets: u32,
    least_us: [Option<u64>; 2],
    least_since: Instant,
    /// The last queue.
    queue: Option<Duration>,
}

impl ReportWindow {
    /// A window without any packets.
    pub const fn new() -> Self {
        Self { since: None, bits: 0, packets: 0, least_us: [None; 2], least_since: Instant::ZERO, queue: None }
    }

    /// Notes that a packet of this many bytes was sent, all headers included.
    pub const fn sent(&mut self, bytes: usize) {
        self.bits += 8 * bytes as u64;
        self.packets = self.packets.saturating_add(1);
    }

    /// Takes in a report that came at `now`: the fraction lost since the report before in 256ths, the round-trip time,
    /// if known, and the jitter. Returns `None` for the first report, as the time that it covers is not known.
    pub fn hear(
        &mut self,
        now: Instant,
        fraction_lost: u8,
        round_trip: Option<Duration>,
        jitter: Duration,
    ) -> Option<Observation> {
        let (sent_bits, packets) = (core::mem::take(&mut self.bits), core::mem::take(&mut self.packets));
        let since = self.since.replace(now);
        let queue = round_trip.map(|round_trip| {
            if now.since(self.least_since) >= LEAST_FOR {
                (self.least_us, self.least_since) = ([None, self.least_us[0]], now);
            }
            let us = round_trip.as_micros();
            let least = self.least_us[0].map_or(us, |least| least.min(us));
            self.least_us[0] = Some(least);
            let base = self.least_us[1].map_or(least, |before| before.min(least));
            // One packet each way is measured: it may have come late by as much as packets do.
            Duration::from_micros((us - base).saturating_sub(2 * jitter.as_micros()))
        });
        let loss = u32::from(fraction_lost) * 100 * PERCENT / 256;
        let age = round_trip.unwrap_or(Duration::ZERO);
        let duration = now.since(since?);
        let took = stretched(duration, self.queue, queue, Duration::ZERO);
        self.queue = queue.or(self.queue);
        Some(Observation { duration, took, sent_bits, packets, loss, queue, age, link_bps: None })
    }
}
