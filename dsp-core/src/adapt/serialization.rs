//! What a link's rate is, seen from how much longer large packets take than small ones.

use crate::rtcp::transport::PacketFeedback;
use crate::time::{Duration, Instant};

/// Number of packets that the means cover.
const MEAN_OF: i64 = 128;
/// Number of packets before anything is said.
const LEAST_PACKETS: i64 = 8;
/// The square of the rate divided by its standard error, at least: one part in eight.
const SURE: i128 = 64;
/// How much a packet differs in size from the one before, at least (root mean square, in bytes): where all have one size there is nothing
/// to be seen.
const LEAST_STEP: i64 = 8;
/// Packets further apart than this aren't compared, since queues change meanwhile.
const NEAR: Duration = Duration::from_millis(500);

/// Packets that took longer than this, in us, waited for others.
const QUEUED_US: i64 = 80_000;
/// What a byte takes at most, on a link of 8 kbit/s, and what else may make a difference, in us: a larger one is that of a queue.
const SLOWEST_US: i64 = 1_000;
const OTHERWISE_US: i64 = 20_000;
/// Packets that took longer than this aren't looked at.
const QUEUED_MOST: Duration = Duration::from_secs(3);

/// Follows how the time that packets take depends on their sizes: a link of 24 kbit/s needs 33 ms for another 100 bytes.
///
/// Packets that found the link idle are compared with those before them: by how many bytes they are larger, and by how much they took
/// longer. Packets that waited are compared too: each arrives as much later than the one before as the link needed for it. The slope of
/// a line through these (least squares over about 128 packets) is the rate, however little of it is used. Jitter hides it, and so does
/// a link that carries packets in bursts (Wi-Fi, a token bucket): then nothing is said. Where packets cross several slow links, the
/// times add up, and what is said is less than any of them carries.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Serialization {
    line: Line,
    /// Of packets that waited, and before which others were lost: those took no time of a full link, but if they were lost behind it
    /// they did. It counts as long as nothing else shows the rate.
    line_behind_losses: Line,
    /// The last packet that arrived, whether any was lost behind it, and whether anything else was sent meanwhile.
    before: Option<Passed>,
    is_behind_loss: bool,
    is_behind_others: bool,
    /// The last one that found the link idle; means of all such: bytes, and how much longer they took than the fastest, in us.
    idle: Option<Passed>,
    idle_packets: i64,
    bytes: i64,
    us: i64,
    /// The last one that found the link busy, with the time since the arrival of the packet before it.
    busy: Option<Passed>,
}

/// A packet that has arrived.
#[derive(Clone, Copy, Debug)]
struct Passed {
    sent: Instant,
    bytes: i64,
    us: i64,
}

/// Means are kept in parts of this.
const PARTS: i64 = 256;

/// Brings a mean of this many nearer to a value.
fn toward(mean: &mut i64, value: i64, of: i64) {
    *mean += (value * PARTS - *mean) / of;
}

impl Serialization {
    pub(super) const NONE: Self = Self {
        line: Line::NONE,
        line_behind_losses: Line::NONE,
        before: None,
        is_behind_loss: false,
        is_behind_others: false,
        idle: None,
        idle_packets: 0,
        bytes: 0,
        us: 0,
        busy: None,
    };

    /// Takes in a packet, in the order of sending.
    pub(super) fn hear(&mut self, packet: &PacketFeedback) {
        self.is_behind_others |= packet.others_bytes > 0;
        let Some(queued) = packet.queued.filter(|&queued| queued <= QUEUED_MOST) else {
            self.is_behind_loss = true;
            return;
        };
        let us = queued.as_micros() as i64;
        let this = Passed { sent: packet.sent, bytes: packet.bytes.into(), us };
        let is_behind_loss = core::mem::take(&mut self.is_behind_loss);
        let is_behind_others = core::mem::take(&mut self.is_behind_others);
        let Some(before) = self.before.replace(this).filter(|_| !is_behind_others) else { return };
        let gap = this.sent.since(before.sent).as_micros() as i64;
        if before.us > gap {
            // The link was busy with the packet before when this one came.
            let this = Passed { us: gap + this.us - before.us, ..this };
            let Some(busy) = self.busy.replace(this).filter(|busy| this.sent.since(busy.sent) < NEAR) else { return };
            let line = if is_behind_loss { &mut self.line_behind_losses } else { &mut self.line };
            line.add(this, busy);
        } else if !is_behind_loss && before.us + self.fastest_us(before).unwrap_or(gap / 2) <= gap && us <= QUEUED_US {
            let idle = self.idle.replace(this).filter(|idle| this.sent.since(idle.sent) < NEAR);
            let Some(idle) = idle else { return };
            self.line.add(this, idle);
            self.idle_packets = (self.idle_packets + 1).min(MEAN_OF);
            toward(&mut self.bytes, this.bytes, self.idle_packets);
            toward(&mut self.us, this.us, self.idle_packets);
        }
    }

    /// Nothing is known of the packets that come next.
    pub(super) fn skip(&mut self) {
        self.is_behind_others = true;
    }

    /// How long the fastest packet, with which the others are compared, kept the link busy itself, in us; at most as long as `another`.
    fn fastest_us(&self, another: Passed) -> Option<i64> {
        let bps = i64::from(self.bps()?);
        let us = |bytes: i64| bytes * 8_000_000 / bps.max(1);
        let mean = us(self.bytes / PARTS) - self.us / PARTS;
        Some(if self.idle_packets < LEAST_PACKETS { us(another.bytes) } else { mean.clamp(0, 1_000_000) })
    }

    /// Rate of the slowest link in bit/s, if it shows.
    pub(super) fn bps(&self) -> Option<u32> {
        self.line.bps().or(self.line_behind_losses.bps())
    }
}

/// A line through differences of bytes and of us: means of their products.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    packets: i64,
    bytes_bytes: i64,
    bytes_us: i64,
    us_us: i64,
}

impl Line {
    const NONE: Self = Self { packets: 0, bytes_bytes: 0, bytes_us: 0, us_us: 0 };

    /// Takes in how much larger a packet is than another one, and how much longer it took.
    fn add(&mut self, this: Passed, other: Passed) {
        let (bytes, us) = (this.bytes - other.bytes, this.us - other.us);
        if us.abs() > bytes.abs() * SLOWEST_US + OTHERWISE_US {
            return;
        }
        self.packets = (self.packets + 1).min(MEAN_OF);
        toward(&mut self.bytes_bytes, bytes * bytes, self.packets);
        toward(&mut self.bytes_us, bytes * us, self.packets);
        toward(&mut self.us_us, us * us, self.packets);
    }

    /// Rate in bit/s, if sizes explain at least half of the variance of the times, and so much of it that the rate's error is small.
    fn bps(&self) -> Option<u32> {
        let is_varied = self.bytes_bytes >= LEAST_STEP * LEAST_STEP * PARTS;
        if self.packets < LEAST_PACKETS || !is_varied || self.bytes_us <= 0 {
            return None;
        }
        let explained = i128::from(self.bytes_us) * i128::from(self.bytes_us);
        let rest = i128::from(self.bytes_bytes) * i128::from(self.us_us) - explained;
        if rest > explained || rest * SURE > explained * i128::from(self.packets) {
            return None;
        }
        u32::try_from(8_000_000 * i128::from(self.bytes_bytes) / i128::from(self.bytes_us)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Seq;

    /// What is seen of a link of this rate with a queue of 400 ms after 300 packets of 60 ms; each has `bytes` and waits
    /// `jitter_us`, both of a number drawn at random.
    fn seen(
        rate_bps: u64,
        bytes: impl Fn(u64) -> u64,
        jitter_us: impl Fn(u64) -> u64,
        others_bytes: u16,
    ) -> Option<u32> {
        let (mut serialization, mut dice) = (Serialization::NONE, 7u64);
        let mut draw = || {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            dice >> 40
        };
        let own_us = |bytes: u64| bytes * 8_000_000 / rate_bps;
        let (mut idle_us, fastest_us) = (0, own_us(60));
        for n in 0..300 {
            let (sent_us, bytes, jitter_us) = (n * 60_000, bytes(draw()), jitter_us(draw()));
            let others_us = if n % 3 == 0 { own_us(others_bytes.into()) } else { 0 };
            let is_full = idle_us > sent_us + 400_000;
            if !is_full {
                idle_us = idle_us.max(sent_us) + others_us + own_us(bytes);
            }
            let queued =
                || Duration::from_micros((idle_us.max(sent_us) - sent_us + jitter_us).saturating_sub(fastest_us));
            serialization.hear(&PacketFeedback {
                number: Seq(n as u16),
                sent: Instant::from_micros(sent_us),
                bytes: bytes as u16,
                queued: (!is_full).then(queued),
                others_bytes: if n % 3 == 0 { others_bytes } else { 0 },
            });
        }
        serialization.bps()
    }

    #[test]
    fn sizes_and_times_show_the_rate_of_a_link() {
        for rate_bps in [24_000, 64_000, 200_000, 2_000_000] {
            for others_bytes in [0, 120] {
                let bps = seen(rate_bps, |dice| 80 + dice % 60, |_| 0, others_bytes).unwrap();
                assert!(u64::from(bps).abs_diff(rate_bps) < rate_bps / 20, "{rate_bps}, {others_bytes}: {bps}");
            }
        }
        // More is sent than is carried: each packet waits for those before it, and some find a full queue.
        for rate_bps in [12_000, 14_000] {
            for others_bytes in [0, 120] {
                let bps = seen(rate_bps, |dice| 80 + dice % 60, |_| 0, others_bytes).unwrap();
                assert!(u64::from(bps).abs_diff(rate_bps) < rate_bps / 20, "{rate_bps}, {others_bytes}: {bps}");
            }
        }
        // A little jitter only makes it less exact.
        let bps = seen(24_000, |dice| 80 + dice % 60, |dice| dice % 8_000, 0).unwrap();
        assert!((20_000..28_000).contains(&bps), "{bps}");
    }

    #[test]
    fn nothing_is_said_where_nothing_is_to_be_seen() {
        // All packets have one size.
        assert_eq!(seen(24_000, |_| 120, |dice| dice % 2_000, 0), None);
        // There is more jitter than sizes can explain.
        assert_eq!(seen(200_000, |dice| 80 + dice % 60, |dice| dice % 40_000, 0), None);
    }
}
