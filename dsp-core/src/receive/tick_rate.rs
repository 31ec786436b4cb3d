//! G.722 whose sender counts timestamps at 16 kHz; described on [`TickRate`].

use crate::time::{PayloadType, RtpTime, Seq};
use crate::wire::rtp::RtpPacket;

/// Pairs of packets that must agree before a stream that has begun is taken for another clock's.
const PAIRS: u8 = 3;

/// The clock of a stream's G.722 timestamps: it recognizes senders that count at 16 kHz.
///
/// G.722 is sampled at 16 kHz, but its RTP clock runs at 8 kHz (RFC 3551, 4.5.2); some senders count samples
/// nevertheless. A G.722 payload has one octet for each tick of the right clock, so the timestamps of packets that
/// follow each other show which clock it is: the second packet of a stream at once, and later changes after three
/// packets in a row. A [`Receiver`](super::Receiver) does this by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct TickRate {
    newest: Option<Newest>,
    double: bool,
    /// The newest packet is the stream's first.
    first: bool,
    /// Pairs in a row that contradict `double`.
    against: u8,
}

/// The newest packet.
#[derive(Clone, Copy, Debug)]
struct Newest {
    seq: Seq,
    /// As it was sent.
    sent: RtpTime,
    /// The same in the codec's clock.
    placed: RtpTime,
    payload_type: PayloadType,
    octets: u16,
}

impl TickRate {
    /// Whether the sender counts twice as fast as the codec's RTP clock.
    pub fn is_double(&self) -> bool {
        self.double
    }

    /// The packet's timestamp in the codec's RTP clock.
    pub fn place(&mut self, packet: &RtpPacket<'_>) -> RtpTime {
        let (seq, sent) = (packet.seq(), packet.timestamp());
        let (mut placed, mut newer) = (sent, true);
        match self.newest {
            None => self.first = true,
            Some(newest) => {
                let step = sent.0.wrapping_sub(newest.sent.0);
                let distance = seq.distance(newest.seq);
                newer = distance > 0;
                if distance == 1 {
                    self.judge(&newest, step);
                }
                // Half of a step, whichever way it goes.
                let step = if self.double { (step as i32 / 2) as u32 } else { step };
                placed = RtpTime(newest.placed.0.wrapping_add(step));
                self.first &= !newer;
            }
        }
        if newer {
            let (payload_type, octets) =
                (packet.payload_type(), packet.payload().len().min(usize::from(u16::MAX)) as u16);
            self.newest = Some(Newest { seq, sent, placed, payload_type, octets });
        }
        placed
    }

    /// Takes in by how much the timestamp of the packet behind `newest` is larger.
    fn judge(&mut self, newest: &Newest, step: u32) {
        let (g722, octets) = (newest.payload_type == PayloadType::G722, u64::from(newest.octets));
        let an_octet_a_tick = g722 || [PayloadType::PCMU, PayloadType::PCMA].contains(&newest.payload_type);
        let double = match u64::from(step) {
            _ if octets == 0 || !an_octet_a_tick => return,
            step if step == octets => false,
            step if step == octets * 2 && g722 => true,
            // A pause, or a jump: that says nothing.
            _ => return,
        };
        self.against = if double == self.double { 0 } else { self.against + 1 };
        if self.against >= PAIRS || double && self.first {
            self.double = double;
            self.against = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places packets of payload type, sequence number, timestamp and length.
    fn place(rate: &mut TickRate, packets: &[(u8, u16, u32, usize)]) -> [u32; 16] {
        let mut places = [0; 16];
        for (place, (number, seq, timestamp, length)) in places.iter_mut().zip(packets) {
            let mut bytes = [0; 12 + 320];
            bytes[0] = 0x80;
            bytes[1] = *number;
            bytes[2..4].copy_from_slice(&seq.to_be_bytes());
            bytes[4..8].copy_from_slice(&timestamp.to_be_bytes());
            let packet = RtpPacket::parse(&bytes[..12 + length]).unwrap();
            *place = rate.place(&packet).0;
        }
        places
    }

    #[test]
    fn a_doubled_clock_is_seen_by_the_second_packet_through_loss_and_reordering_and_wraps() {
        let mut rate = TickRate::default();
        let begin = u32::MAX - 500;
        let packet = |n: u16| (9, 65_534u16.wrapping_add(n), begin.wrapping_add(u32::from(n) * 320), 160);
        let sent = [0, 1, 2, 4, 3, 6, 7, 8].map(packet);
        let places = place(&mut rate, &sent);
        assert!(rate.is_double());
        let expected = [0, 1, 2, 4, 3, 6, 7, 8].map(|n: u32| begin.wrapping_add(n * 160));
        assert_eq!(places[..8], expected);
    }

    #[test]
    fn the_clock_of_the_standard_stays_to_the_tick() {
        let mut rate = TickRate::default();
        // With a pause of one packet's length in the middle, and one at another length.
        let times = [0, 160, 320, 640, 800, 960, 1_600, 1_760];
        let packets = core::array::from_fn::<_, 8, _>(|n| (9, n as u16, times[n], 160));
        assert_eq!(place(&mut rate, &packets)[..8], times);
        assert!(!rate.is_double());
        // G.711 never has another.
        let mut rate = TickRate::default();
        let packets = core::array::from_fn::<_, 8, _>(|n| (0, n as u16, n as u32 * 320, 160));
        place(&mut rate, &packets);
        assert!(!rate.is_double());
    }

    #[test]
    fn a_first_pause_is_soon_found_to_be_one_and_a_late_change_is_followed() {
        let mut rate = TickRate::default();
        let times = [0, 320, 480, 640, 800, 960];
        let packets = core::array::from_fn::<_, 6, _>(|n| (9, n as u16, times[n], 160));
        let places = place(&mut rate, &packets);
        assert!(!rate.is_double());
        assert_eq!(places[5] - places[4], 160);
        // Then another sender goes on under the same numbers.
        let packets = core::array::from_fn::<_, 5, _>(|n| (9, 6 + n as u16, 1_120 + 320 * n as u32, 160));
        let places = place(&mut rate, &packets);
        assert!(rate.is_double());
        assert_eq!(places[4] - places[3], 160);
    }
}
