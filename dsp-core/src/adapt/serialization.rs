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
