//! From a captured frame to the UDP datagram in it: Ethernet with VLAN tags, Linux cooked v1 and v2, loopback, raw IP;
//! IPv4 and IPv6 with their extension headers. `etherparse` reads the headers: it is small, is kept up, and never
//! panics. Nothing is copied.

use std::net::{IpAddr, SocketAddr};

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TransportSlice};

/// Why a frame holds no datagram for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skip {
    /// Whole, but not UDP over IP.
    NotUdp,
    /// Part of an IP packet that was sent in parts.
    Fragment,
    /// The capture didn't keep all of it.
    Cut,
    /// Its headers make no sense.
    Malformed,
    /// The link type is not read here.
    LinkType,
}

/// A datagram within its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Udp<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) payload: &'a [u8],
    /// All bytes that its length announces are there.
    pub(super) whole: bool,
}

/// The datagram in a frame of this link type (tcpdump.org/linktypes.html).
pub(super) fn udp(link: u16, frame: &[u8]) -> Result<Udp<'_>, Skip> {
    let ether_type = |at: usize| frame.get(at..at + 2).map(|bytes| EtherType(u16::from_be_bytes([bytes[0], bytes[1]])));
    let cooked = |type_at: usize, length: usize| match (ether_type(type_at), frame.get(length..)) {
        (Some(ether_type), Some(packet)) => Ok(LaxSlicedPacket::from_ether_type(ether_type, packet)),
        _ => Err(Skip::Cut),
    };
    let ip = |at: usize| match frame.get(at..) {
        None | Some([]) => Err(Skip::Cut),
        Some([first, ..]) if !matches!(first >> 4, 4 | 6) => Err(Skip::NotUdp),
        Some(packet) => LaxSlicedPacket::from_ip(packet).map_err(|_| Skip::Malformed),
    };
    let packet = match link {
        // Loopback: an address family in the byte order of the machine, or big-endian. IP says itself which it is.
        0 | 108 => ip(4)?,
        1 => LaxSlicedPacket::from_ethernet(frame).map_err(|_| Skip::Cut)?,
        // Raw IP, by its number in files and by those of the systems that wrote their own.
        12 | 14 | 101 | 228 | 229 => ip(0)?,
        113 => cooked(14, 16)?,
        276 => cooked(0, 20)?,
        _ => return Err(Skip::LinkType),
    };
    let (from, to, payload) = match &packet.net {
        Some(LaxNetSlice::Ipv4(ip)) => {
            let header = ip.header();
            (IpAddr::V4(header.source_addr()), IpAddr::V4(header.destination_addr()), ip.payload())
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            let header = ip.header();
            (IpAddr::V6(header.source_addr()), IpAddr::V6(header.destination_addr()), ip.payload())
        }
        _ if packet.stop_err.is_some() => return Err(Skip::Malformed),
        _ => return Err(Skip::NotUdp),
    };
    if payload.fragmented {
        return Err(Skip::Fragment);
    }
    match &packet.transport {
        Some(TransportSlice::Udp(udp)) => Ok(Udp {
            from: SocketAddr::new(from, udp.source_port()),
            to: SocketAddr::new(to, udp.destination_port()),
            payload: udp.payload(),
            whole: !payload.incomplete && usize::from(udp.length()) <= udp.slice().len(),
        }),
        Some(_) => Err(Skip::NotUdp),
        None if packet.stop_err.is_some() => Err(if payload.incomplete { Skip::Cut } else { Skip::Malformed }),
        None => Err(Skip::NotUdp),
    }
}
