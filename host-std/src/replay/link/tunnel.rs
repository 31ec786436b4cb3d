//! The headers between a link and the innermost IP packet: each one names the protocol that follows it.

use super::{Layer, Skip, Way};

/// EtherTypes (IEEE 802; IANA's list).
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
pub(super) const PPPOE: u16 = 0x8864;
const TRANSPARENT_ETHERNET: u16 = 0x6558;

/// Ports of tunnels over UDP.
const GTP_U: u16 = 2_152;
const VXLAN: u16 = 4_789;
const VXLAN_OF_LINUX: u16 = 8_472;
const GENEVE: u16 = 6_081;

type Inside<'a> = Result<(Layer, &'a [u8]), Skip>;

impl Way<'_> {
    pub(super) fn ether_type<'a>(&self, ether_type: u16, bytes: &'a [u8]) -> Inside<'a> {
        match ether_type {
            IPV4 | IPV6 => Ok((Layer::Ip, bytes)),
            // These are VLAN tags: the customer's, the provider's, and those from before the standard.
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => match self.u16(bytes, 2)? {
                ..=1_500 => Ok((Layer::Llc, self.skip(bytes, 4)?)),
                inner => Ok((Layer::EtherType(inner), self.skip(bytes, 4)?)),
            },
            0x8847 | 0x8848 => Ok((Layer::Mpls, bytes)),
            // Version and type, code, session, length; then PPP without its HDLC framing.
            PPPOE => {
                let length = usize::from(self.u16(bytes, 4)?);
                let ppp = self.skip(bytes, 6)?;
                Ok((Layer::Ppp, &ppp[..ppp.len().min(length)]))
            }
            TRANSPARENT_ETHERNET => Ok((Layer::Ethernet, bytes)),
            0x880b => Ok((Layer::Ppp, bytes)),
            // MACsec that only authenticates (IEEE 802.1AE, 9): its first byte says whether anything is changed, and
            // whether an identifier of 8 bytes follows.
            0x88e5 => match bytes.first() {
                None => Err(self.short()),
                Some(flags) if flags & 0x0c != 0 => Err(Skip::NotUdp),
                Some(flags) => {
                    let length = if flags & 0x20 != 0 { 14 } else { 6 };
                    Ok((Layer::EtherType(self.u16(bytes, length)?), self.skip(bytes, length + 2)?))
                }
            },
            _ => Err(Skip::NotUdp),
        }
    }

    /// SNAP of an EtherType, or the service access point of IP.
    pub(super) fn llc<'a>(&self, bytes: &'a [u8]) -> Inside<'a> {
        match bytes {
            [0xaa, 0xaa, 3, 0, 0, 0 | 0xf8, ..] => Ok((Layer::EtherType(self.u16(bytes, 6)?), self.skip(bytes, 8)?)),
            // A bridged frame over ATM: two bytes of padding, and Ethernet.
            [0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 1 | 7, ..] => Ok((Layer::Ethernet, self.skip(bytes, 10)?)),
            [6, 6, 3, ..] => Ok((Layer::Ip, self.skip(bytes, 3)?)),
            _ => Err(Skip::NotUdp),
        }
    }

    /// PPP (RFC 1661), perhaps in HDLC's framing, perhaps with the protocol in one byte.
    pub(super) fn ppp<'a>(&self, bytes: &'a [u8]) -> Inside<'a> {
        let bytes = bytes.strip_prefix(&[0xff, 3]).unwrap_or(bytes);
        let (protocol, rest) = match bytes {
            [short, rest @ ..] if short & 1 == 1 => (u16::from(*short), rest),
            _ => (self.u16(bytes, 0)?, self.skip(bytes, 2)?),
        };
        match protocol {
            0x0021 | 0x0057 => Ok((Layer::Ip, rest)),
            0x0281 | 0x0283 => Ok((Layer::Mpls, rest)),
            _ => Err(Skip::NotUdp),
        }
    }

    /// Skips labels up to the bottom of the stack (RFC 3032). The payload's protocol is not named: IP begins with its version,
    /// and a pseudowire's control word with zero (RFC 4385).
    pub(super) fn mpls<'a>(&self, bytes: &'a [u8]) -> Inside<'a> {
        let labels = bytes.as_chunks::<4>().0;
        let bottom = labels.iter().position(|label| label[2] & 1 == 1).ok_or(self.short())?;
        let rest = self.skip(bytes, 4 * (bottom + 1))?;
        match rest.first().map(|first| first >> 4) {
            None => Err(self.short()),
            Some(4 | 6) => Ok((Layer::Ip, rest)),
            Some(0) => Ok((Layer::Ethernet, self.skip(rest, 4)?)),
            Some(_) => Ok((Layer::Ethernet, rest)),
        }
    }

    /// Unwraps the payload of an IP packet other than UDP (IANA's protocol numbers).
    pub(super) fn number<'a>(&self, number: u8, bytes: &'a [u8]) -> Inside<'a> {
        match number {
            4 | 41 => Ok((Layer::Ip, bytes)),
            47 => self.gre(bytes),
            // EtherIP (RFC 3378): a version and zeros.
            97 => Ok((Layer::Ethernet, self.skip(bytes, 2)?)),
            137 => Ok((Layer::Mpls, bytes)),
            _ => Err(Skip::NotUdp),
        }
    }

    /// Generic routing encapsulation (RFC 2784, 2890; PPTP's in RFC 2637): flags say which words there are.
    fn gre<'a>(&self, bytes: &'a [u8]) -> Inside<'a> {
        let (flags, protocol) = (self.u16(bytes, 0)?, self.u16(bytes, 2)?);
        if flags & 0x4000 != 0 {
            // A list of routes, which RFC 2784 took away.
            return Err(Skip::NotUdp);
        }
        let word = |flag: u16| if flags & flag != 0 { 4 } else { 0 };
        let acknowledged = if flags & 7 == 1 { word(0x80) } else { 0 };
        let length = 4 + word(0x8000) + word(0x2000) + word(0x1000) + acknowledged;
        let rest = self.skip(bytes, length)?;
        match protocol {
            // ERSPAN: a mirror port far away. Type I has no header, type II has one if there are sequence numbers.
            0x88be => Ok((Layer::Ethernet, self.skip(rest, if flags & 0x1000 != 0 { 8 } else { 0 })?)),
            // Type III: its last bit says that 8 bytes more follow.
            0x22eb => {
                let more = rest.get(11).ok_or(self.short())? & 1;
                Ok((Layer::Ethernet, self.skip(rest, if more == 1 { 20 } else { 12 })?))
            }
            // PPTP sends acknowledgements without a packet.
            0x880b if rest.is_empty() => Err(Skip::NotUdp),
            ether_type => Ok((Layer::EtherType(ether_type), rest)),
        }
    }

    /// Linux' netfilter log: family, version, resource, then items of length and type in the byte order of the machine.
    /// That isn't said, so that order counts in which the items are all there.
    pub(super) fn nflog<'a>(&self, bytes: &'a [u8]) -> Inside<'a> {
        const PAYLOAD: u16 = 9;
        let items = self.skip(bytes, 4)?;
        let payload = |read: fn([u8; 2]) -> u16| {
            let mut rest = items;
            while let [l0, l1, t0, t1, ..] = *rest {
                let (length, kind) = (usize::from(read([l0, l1])), read([t0, t1]));
                // The packet itself comes last: the capture may have cut it.
                let end = if kind == PAYLOAD && self.cut { length.min(rest.len()) } else { length };
                let value = rest.get(4..end)?;
                if kind == PAYLOAD {
                    return Some(value);
                }
                rest = rest.get(length.next_multiple_of(4)..)?;
            }
            None
        };
        let found = payload(u16::from_le_bytes).or_else(|| payload(u16::from_be_bytes));
        Ok((Layer::Ip, found.ok_or(self.short())?))
    }
}

/// Returns the payload of a datagram to this port, if that is the port of a tunnel and the tunnel's header is valid. None of
/// these headers begins as RTP does.
pub(super) fn over_udp(port: u16, payload: &[u8]) -> Option<(Layer, &[u8])> {
    match (port, payload) {
        // RFC 7348: the flag that says that there is a network's number, and zeros.
        (VXLAN | VXLAN_OF_LINUX, [8, 0, 0, 0, _, _, _, 0, frame @ ..]) => Some((Layer::Ethernet, frame)),
        // RFC 8926: version 0, the length of the options in words.
        (GENEVE, [version, _, t0, t1, _, _, _, 0, rest @ ..]) if version >> 6 == 0 => {
            let frame = rest.get(usize::from(version & 0x3f) * 4..)?;
            Some((Layer::EtherType(u16::from_be_bytes([*t0, *t1])), frame))
        }
        // 3GPP TS 29.281, 5: version 1 of GTP, a user's packet, its length, the tunnel.
        (GTP_U, [flags, 255, _, _, _, _, _, _, rest @ ..]) if flags >> 4 == 3 => {
            let mut packet = rest;
            if flags & 7 != 0 {
                let [_, _, _, first, behind @ ..] = packet else { return None };
                let mut next = *first;
                packet = behind;
                // Extension headers, if that flag is set: their length in words, and at the end what follows.
                while flags & 4 != 0 && next != 0 {
                    let length = usize::from(*packet.first()?).max(1) * 4;
                    next = *packet.get(length - 1)?;
                    packet = packet.get(length..)?;
                }
            }
            Some((Layer::Ip, packet))
        }
        _ => None,
    }
}
