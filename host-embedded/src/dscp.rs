//! Expedited forwarding (RFC 3246) for the packets of a call: DSCP 46 in their IP headers, set where frames leave for the wire.
//!
//! A network stack may not let a socket choose: smoltcp 0.13, and with it embassy-net, writes 0 into every header. [`mark`] is for
//! the Ethernet driver: it looks at each frame before it's sent, and marks UDP from the call's ports. Cost: a few
//! comparisons a frame.
//!
//! Use it where the stack has no option for it; where a socket has one, as `IP_TOS`, use that. Limits: IPv4 without a VLAN tag, in
//! frames of Ethernet II.
//!
//! ```
//! # let mut frame = [0; 60];
//! # frame[12..14].copy_from_slice(&[0x08, 0x00]);
//! # frame[14] = 0x45;
//! # frame[23] = 17;
//! # frame[34..36].copy_from_slice(&5004u16.to_be_bytes());
//! # let checksum = 0x0000;
//! use host_embedded::dscp::{EXPEDITED_FORWARDING, mark};
//!
//! // In the driver, before the frame is written to the controller: RTP and RTCP.
//! assert!(mark(&mut frame, 5004..=5005, EXPEDITED_FORWARDING));
//! assert_eq!(frame[15] >> 2, 46);
//! ```

use core::ops::RangeInclusive;

/// The DSCP for telephony (RFC 4594, 4.1).
pub const EXPEDITED_FORWARDING: u8 = 46;

/// Bytes of an Ethernet header, and of a VLAN tag within it (802.1Q).
const ETHERNET: usize = 14;
const VLAN: usize = 4;
const UDP: u8 = 17;

/// Sets `dscp` (0 to 63) in an Ethernet frame of UDP over IPv4 or IPv6 that is sent from one of `ports`, and updates the header's
/// checksum. Returns `false` for any other frame, which is left as it is; ports after IPv6 extension headers aren't looked for,
/// and fragments but the first have none.
pub fn mark(frame: &mut [u8], ports: RangeInclusive<u16>, dscp: u8) -> bool {
    mark_inner(frame, ports, dscp).is_some()
}

fn mark_inner(frame: &mut [u8], ports: RangeInclusive<u16>, dscp: u8) -> Option<()> {
    let tagged = frame.get(12..14)? == [0x81, 0x00];
    let ip = if tagged { ETHERNET + VLAN } else { ETHERNET };
    let kind: [u8; 2] = frame.get(ip - 2..ip)?.try_into().ok()?;
    let packet = frame.get_mut(ip..)?;
    let dscp = dscp & 63;
    match kind {
        [0x08, 0x00] => {
            let header = packet.first_chunk_mut::<20>()?;
            let length = usize::from(header[0] & 15) * 4;
            let later_fragment = u16::from_be_bytes([header[6], header[7]]) & 0x1fff > 0;
            if header[0] >> 4 != 4 || length < 20 || header[9] != UDP || later_fragment {
                return None;
            }
            let before = u16::from_be_bytes([header[0], header[1]]);
            from_ports(packet.get(length..)?, ports)?;
            let header = packet.first_chunk_mut::<20>()?;
            header[1] = dscp << 2 | header[1] & 3;
            let after = u16::from_be_bytes([header[0], header[1]]);
            let checksum = u16::from_be_bytes([header[10], header[11]]);
            // RFC 1624, 3: of the old sum the old word is taken off and the new one added.
            let sum = u32::from(!checksum) + u32::from(!before) + u32::from(after);
            let sum = (sum & 0xffff) + (sum >> 16);
            let sum = ((sum & 0xffff) + (sum >> 16)) as u16;
            header[10..12].copy_from_slice(&(!sum).to_be_bytes());
        }
        [0x86, 0xdd] => {
            let header = packet.first_chunk::<40>()?;
            if header[0] >> 4 != 6 || header[6] != UDP {
                return None;
            }
            from_ports(packet.get(40..)?, ports)?;
            // The traffic class spans two bytes, with the DSCP in its upper six bits.
            let [first, second, ..] = packet else { return None };
            *first = 0x60 | dscp >> 2;
            *second = (dscp & 3) << 6 | *second & 0x3f;
        }
        _ => return None,
    }
    Some(())
}

/// Whether a datagram of UDP is from one of these ports.
fn from_ports(datagram: &[u8], ports: RangeInclusive<u16>) -> Option<()> {
    ports.contains(&u16::from_be_bytes(*datagram.first_chunk()?)).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// A header of RFC 791 is right if its words add up to all ones.
    fn sums(header: &[u8]) -> bool {
        let sum: u32 = header.chunks_exact(2).map(|two| u32::from(u16::from_be_bytes([two[0], two[1]]))).sum();
        let sum = (sum & 0xffff) + (sum >> 16);
        (sum & 0xffff) + (sum >> 16) == 0xffff
    }

    fn frame(kind: [u8; 2], header: &[u8], port: u16) -> Vec<u8> {
        [&[2; 12][..], &kind, header, &port.to_be_bytes(), &[0x13, 0x88, 0, 8, 0, 0]].concat()
    }

    fn ipv4(id: u16, tos: u8) -> Vec<u8> {
        let [high, low] = id.to_be_bytes();
        let mut header = std::vec![0x45, tos, 0, 28, high, low, 0, 0, 64, 17, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2];
        let sum: u32 = header.chunks_exact(2).map(|two| u32::from(u16::from_be_bytes([two[0], two[1]]))).sum();
        let sum = (sum & 0xffff) + (sum >> 16);
        header[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
        header
    }

    #[test]
    fn ipv4_is_marked_and_its_checksum_stays_right() {
        for id in 0..=u16::MAX {
            let mut frame = frame([8, 0], &ipv4(id, 1), 5004);
            assert!(sums(&frame[14..34]));
            assert!(mark(&mut frame, 5004..=5005, EXPEDITED_FORWARDING));
            // The bits of explicit congestion notification stay.
            assert_eq!(frame[15], 0xb9);
            assert!(sums(&frame[14..34]), "{id}");
            assert!(mark(&mut frame, 5004..=5005, 0) && frame[15] == 1 && sums(&frame[14..34]));
        }
    }

    #[test]
    fn ipv6_and_frames_with_a_tag_are_marked() {
        let mut header = std::vec![0; 40];
        (header[0], header[1], header[6]) = (0x60, 0x1f, 17);
        let mut six = frame([0x86, 0xdd], &header, 5005);
        assert!(mark(&mut six, 5004..=5005, EXPEDITED_FORWARDING));
        assert_eq!(six[14..16], [0x6b, 0x9f]);
        let mut tagged = frame([8, 0], &ipv4(1, 0), 5004);
        tagged.splice(12..12, [0x81, 0, 0xa0, 1]);
        assert!(mark(&mut tagged, 5004..=5005, EXPEDITED_FORWARDING));
        assert!(tagged[19] == 0xb8 && sums(&tagged[18..38]));
    }

    #[test]
    fn all_else_stays_as_it_is() {
        let whole = frame([8, 0], &ipv4(7, 0), 5004);
        let other = |at: usize, byte: u8| {
            let mut frame = whole.clone();
            frame[at] = byte;
            frame
        };
        let mut all = std::vec![
            frame([8, 0], &ipv4(7, 0), 5060),
            frame([8, 6], &ipv4(7, 0), 5004),
            other(14, 0x65),
            other(14, 0x44),
            other(23, 6),
            other(21, 1),
        ];
        all.extend((0..36).map(|length| whole[..length].to_vec()));
        for frame in all {
            let mut marked = frame.clone();
            assert!(!mark(&mut marked, 5004..=5005, EXPEDITED_FORWARDING));
            assert_eq!(marked, frame);
        }
    }
}
