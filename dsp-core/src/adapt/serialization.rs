//! What a link's rate is, seen from how much longer large packets take than small ones.

use crate::rtcp::transport::PacketFeedback;
use crate::time::{Duration, Instant};

/// Number of packets that the means cover.
const MEAN_OF: i64 = 128;
/// Number of packets before anything is said.
const LEAST_PACKETS: i64 = 32;
/// How much a packet differs in size from the one before, at least (root mean square, in bytes): where all have one size there is nothing
/// to be seen.
const LEAST_STEP: i64 = 8;
/// Packets further apart than this aren't compared, since queues change meanwhile.
const NEAR: Duration = Duration::from_millis(500);

/// Packets that took longer than this, in us, waited for others.
const QUEUED_US: i64 = 80_000;

/// Follows how the time that packets take depends on their sizes: a link of 24 kbit/s needs 33 ms for another 100 bytes.
///
/// Packets that found the link idle are compared with those before them: by how many bytes they are larger, and by how much they took
/// longer. The slope of a line through these (least squares over about 128 packets) is the rate, however little of it is used. Jitter
/// hides it, and so does a link that carries packets in bursts (Wi-Fi, a token bucket): then nothing is said. Where packets cross several
/// slow links, the times add up, and what is said is less than any of them carries.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Serialization {
    packets: i64,
    /// Means of a packet's bytes, and of how much longer it took than the fastest, in us.
    bytes: i64,
    us: i64,
    /// Means of the products of both differences.
    bytes_bytes: i64,
    bytes_us: i64,
    us_us: i64,
    /// The packet before, and the last one that found the link idle.
    before: Option<Passed>,
    idle: Option<Passed>,
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

impl Serialization {
    pub(super) const NONE: Self =
        Self { packets: 0, bytes: 0, us: 0, bytes_bytes: 0, bytes_us: 0, us_us: 0, before: None, idle: None };

    /// Takes in a packet, in the order of sending.
    pub(super) fn hear(&mut self, packet: &PacketFeedback) {
        let before = self.before.take();
        let Some(queued) = packet.queued else { return };
        let us = queued.as_micros().min(1_000_000) as i64;
        let this = Passed { sent: packet.sent, bytes: packet.bytes.into(), us };
        self.before = Some(this);
        let Some(before) = before else { return };
        if packet.others_bytes > 0 {
            return;
        }
        // The link was still busy with the packet before: how long this one waited says nothing of its size.
        let gap = this.sent.since(before.sent).as_micros() as i64;
        if before.us + self.fastest_us().unwrap_or(gap / 4) > gap || us > QUEUED_US {
            return;
        }
        let Some(idle) = self.idle.replace(this).filter(|idle| this.sent.since(idle.sent) < NEAR) else { return };
        self.packets = (self.packets + 1).min(MEAN_OF);
        let (bytes, us) = (this.bytes - idle.bytes, this.us - idle.us);
        let toward = |mean: &mut i64, value: i64| *mean += (value * PARTS - *mean) / self.packets;
        toward(&mut self.bytes, this.bytes);
        toward(&mut self.us, this.us);
        toward(&mut self.bytes_bytes, bytes * bytes);
        toward(&mut self.bytes_us, bytes * us);
        toward(&mut self.us_us, us * us);
    }

    /// How long the fastest packet, with which the others are compared, kept the link busy itself, in us.
    fn fastest_us(&self) -> Option<i64> {
        self.bps()?;
        let own = i128::from(self.bytes) * i128::from(self.bytes_us) / i128::from(self.bytes_bytes.max(1));
        Some(((own - i128::from(self.us)) / i128::from(PARTS)).clamp(0, 1_000_000) as i64)
    }

    /// Rate of the slowest link in bit/s, if sizes explain at least half of the variance of the times.
    pub(super) fn bps(&self) -> Option<u32> {
        let is_varied = self.bytes_bytes >= LEAST_STEP * LEAST_STEP * PARTS;
        if self.packets < LEAST_PACKETS || !is_varied || self.bytes_us <= 0 {
            return None;
        }
        let explained = 2 * i128::from(self.bytes_us) * i128::from(self.bytes_us);
        if explained < i128::from(self.bytes_bytes) * i128::from(self.us_us) {
            return None;
        }
        u32::try_from(8_000_000 * i128::from(self.bytes_bytes) / i128::from(self.bytes_us)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Seq;

    /// What is seen of a link of this rate after 300 packets of 60 ms; each has `bytes` and waits `jitter_us`, both of a number drawn
    /// at random.
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
            idle_us = idle_us.max(sent_us) + others_us + own_us(bytes);
            let queued = Duration::from_micros((idle_us - sent_us + jitter_us).saturating_sub(fastest_us));
            serialization.hear(&PacketFeedback {
                number: Seq(n as u16),
                sent: Instant::from_micros(sent_us),
                bytes: bytes as u16,
                queued: Some(queued),
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
        // More is sent than is carried: each packet waits for those before it.
        assert_eq!(seen(8_000, |dice| 80 + dice % 60, |_| 0, 0), None);
    }
}
