//! The path from a captured frame to the UDP datagram in it, through any tunnels around it.
//!
//! Links: Ethernet with VLAN tags (802.1Q, QinQ) or LLC/SNAP, Linux cooked v1 and v2, BSD loopback in either byte order, raw IP,
//! PPP in its several framings, PPPoE, Cisco HDLC, NFLOG, Apple's PKTAP. Around IP: MPLS, IP in IP of both versions, GRE (with
//! PPTP and ERSPAN), EtherIP, VXLAN, Geneve, GTP-U. IPv4 and IPv6 with their extension headers are read by `etherparse`: it is
//! small, is maintained, and never panics. Nothing is copied but fragmented packets.

use std::net::{IpAddr, SocketAddr};

use etherparse::{Ipv6ExtensionSlice, LaxIpSlice};

use super::capture::Datagram;
use defrag::{Added, Defragmenter, IpFragment, Key};

mod defrag;
mod tunnel;

/// The most headers around a datagram: no real capture nests more.
const MOST_HEADERS: usize = 32;

/// The reason why a frame holds no datagram for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skip {
    /// Whole, but not UDP over IP.
    NotUdp,
    /// Part of an IP packet of which other parts are missing, or say something else.
    Fragment,
    /// The capture didn't keep all of it.
    Cut,
    /// Its headers make no sense.
    Malformed,
    /// This link type is not read here.
    LinkType(u16),
}

/// The meaning of the next bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    /// A frame of this type (tcpdump.org/linktypes.html).
    Link(u16),
    Ethernet,
    /// The protocol of an EtherType.
    EtherType(u16),
    /// Logical link control (IEEE 802.2).
    Llc,
    Ppp,
    Mpls,
    Ip,
    /// The protocol of an IP protocol number.
    Number(u8),
}

/// Takes frames apart, and keeps fragments until they are whole.
#[derive(Default)]
pub(super) struct Unwrapper {
    fragments: Defragmenter,
}

/// One frame on its way through the headers.
struct Way<'a> {
    fragments: &'a mut Defragmenter,
    time_us: Option<u64>,
    /// The capture has less of the frame than there was.
    cut: bool,
    headers: usize,
    from: IpAddr,
    to: IpAddr,
    /// Fragments that waited for one in this frame.
    joined: u64,
    datagram: &'a mut Datagram,
}

impl Unwrapper {
    /// Writes the datagram of a frame into `datagram`, with the innermost addresses. Returns also how many earlier frames had the
    /// other parts of it.
    pub(super) fn unwrap(
        &mut self,
        link: u16,
        time_us: Option<u64>,
        frame: &[u8],
        cut: bool,
        datagram: &mut Datagram,
    ) -> (Result<(), Skip>, u64) {
        let nowhere = Datagram::default();
        let (from, to) = (nowhere.from.ip(), nowhere.to.ip());
        let mut way = Way { fragments: &mut self.fragments, time_us, cut, headers: 0, from, to, joined: 0, datagram };
        let found = way.walk(Layer::Link(link), frame);
        (found, way.joined)
    }
}

impl Way<'_> {
    /// Returns the reason for data that are missing at the end: the capture cut them off, or a header is wrong.
    fn short(&self) -> Skip {
        if self.cut { Skip::Cut } else { Skip::Malformed }
    }

    fn skip<'a>(&self, bytes: &'a [u8], length: usize) -> Result<&'a [u8], Skip> {
        bytes.get(length..).ok_or(self.short())
    }

    fn u16(&self, bytes: &[u8], at: usize) -> Result<u16, Skip> {
        let word = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
        word.map(|word| u16::from_be_bytes(*word)).ok_or(self.short())
    }

    /// Unwraps layers until the datagram is found.
    fn walk(&mut self, mut layer: Layer, mut bytes: &[u8]) -> Result<(), Skip> {
        loop {
            self.headers += 1;
            if self.headers > MOST_HEADERS {
                return Err(Skip::Malformed);
            }
            (layer, bytes) = match layer {
                Layer::Link(link) => self.link(link, bytes)?,
                Layer::Ethernet => match self.u16(bytes, 12)? {
                    // A value up to 1,500 is a length, and LLC follows. Bytes after that length are padding.
                    length @ ..=1_500 => {
                        let llc = self.skip(bytes, 14)?;
                        (Layer::Llc, &llc[..llc.len().min(length.into())])
                    }
                    ether_type => (Layer::EtherType(ether_type), self.skip(bytes, 14)?),
                },
                Layer::EtherType(ether_type) => self.ether_type(ether_type, bytes)?,
                Layer::Llc => self.llc(bytes)?,
                Layer::Ppp => self.ppp(bytes)?,
                Layer::Mpls => self.mpls(bytes)?,
                Layer::Ip => match self.ip(bytes)? {
                    Some(inside) => inside,
                    None => return self.join(bytes),
                },
                Layer::Number(17 | 136) => match self.udp(bytes)? {
                    Some(inside) => inside,
                    None => return Ok(()),
                },
                Layer::Number(number) => self.number(number, bytes)?,
            }
        }
    }

    fn link<'a>(&self, link: u16, bytes: &'a [u8]) -> Result<(Layer, &'a [u8]), Skip> {
        let ip = |length| Ok((Layer::Ip, self.skip(bytes, length)?));
        let typed = |at, length| Ok((Layer::EtherType(self.u16(bytes, at)?), self.skip(bytes, length)?));
        match link {
            // Loopback: an address family in the byte order of the machine, or big-endian. IP says itself which it is.
            0 | 108 => ip(4),
            1 => Ok((Layer::Ethernet, bytes)),
            9 | 50 => Ok((Layer::Ppp, bytes)),
            // Raw IP, by its number in files and by those of the systems that wrote their own.
            12 | 14 | 101 | 228 | 229 => ip(0),
            // PPPoE without Ethernet.
            51 => Ok((Layer::EtherType(tunnel::PPPOE), bytes)),
            // LLC over ATM (RFC 2684).
            100 => Ok((Layer::Llc, bytes)),
            // Cisco HDLC: address, control, EtherType.
            104 => typed(2, 4),
            // OpenBSD's decrypted IPsec.
            109 => ip(12),
            // Linux cooked; its "protocol" may also say that LLC follows.
            113 => match self.u16(bytes, 14)? {
                4 => Ok((Layer::Llc, self.skip(bytes, 16)?)),
                _ => typed(14, 16),
            },
            // IP over FireWire.
            138 => typed(16, 18),
            // This is pppd: the direction replaces the address of HDLC.
            166 => Ok((Layer::Ppp, self.skip(bytes, if bytes.get(1) == Some(&3) { 2 } else { 1 })?)),
            204 => Ok((Layer::Ppp, self.skip(bytes, 1)?)),
            239 => self.nflog(bytes),
            // Apple's PKTAP: its length, two words, and the link type of what follows, little-endian.
            258 => {
                let word = |at: usize| {
                    let word = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
                    word.map(|word| u32::from_le_bytes(*word)).ok_or(self.short())
                };
                let length = usize::try_from(word(0)?).unwrap_or(usize::MAX).max(12);
                Ok((Layer::Link(word(8)? as u16), self.skip(bytes, length)?))
            }
            276 => match self.u16(bytes, 0)? {
                4 => Ok((Layer::Llc, self.skip(bytes, 20)?)),
                _ => typed(0, 20),
            },
            _ => Err(Skip::LinkType(link)),
        }
    }

    /// An IP packet; `None` for one that is part of another.
    fn ip<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<(Layer, &'a [u8])>, Skip> {
        match bytes.first() {
            None => return Err(self.short()),
            Some(first) if !matches!(first >> 4, 4 | 6) => return Err(Skip::Malformed),
            Some(_) => {}
        }
        let (ip, stopped) = LaxIpSlice::from_slice(bytes).map_err(|_| self.short())?;
        let payload = ip.payload();
        if payload.fragmented {
            return Ok(None);
        }
        if stopped.is_some() {
            return Err(if payload.incomplete { Skip::Cut } else { Skip::Malformed });
        }
        (self.from, self.to) = (ip.source_addr(), ip.destination_addr());
        Ok(Some((Layer::Number(payload.ip_number.0), payload.payload)))
    }

    /// Continues with the IP packet whose last missing part is `bytes`.
    fn join(&mut self, bytes: &[u8]) -> Result<(), Skip> {
        let (ip, _) = LaxIpSlice::from_slice(bytes).map_err(|_| self.short())?;
        let payload = ip.payload();
        if payload.incomplete {
            return Err(self.short());
        }
        let (identification, offset, more) = match &ip {
            LaxIpSlice::Ipv4(ip) => {
                let header = ip.header();
                (header.identification().into(), header.fragments_offset(), header.more_fragments())
            }
            LaxIpSlice::Ipv6(ip) => {
                let fragment = ip.extensions().clone().into_iter().find_map(|header| match header {
                    Ipv6ExtensionSlice::Fragment(header) => Some(header),
                    _ => None,
                });
                let Some(header) = fragment else { return Err(Skip::Malformed) };
                (header.identification(), header.fragment_offset(), header.more_fragments())
            }
        };
        let (from, to, number) = (ip.source_addr(), ip.destination_addr(), payload.ip_number.0);
        let key = Key { from, to, number, identification };
        match self.fragments.add(self.time_us, &IpFragment { key, offset, more, payload: payload.payload }) {
            Added::Waiting | Added::Conflict => Err(Skip::Fragment),
            Added::Whole(whole, waited) => {
                (self.from, self.to) = (from, to);
                self.joined += waited;
                self.walk(Layer::Number(number), &whole)
            }
        }
    }

    /// Reads a UDP datagram, or one of UDP-Lite (RFC 3828), which has the checksum's coverage in the place of the length: returns
    /// its content if that is a tunnel, otherwise writes it into `datagram`.
    fn udp<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<(Layer, &'a [u8])>, Skip> {
        let (from, to) = (self.u16(bytes, 0)?, self.u16(bytes, 2)?);
        let (length, rest) = (usize::from(self.u16(bytes, 4)?), self.skip(bytes, 8)?);
        // Zero is a jumbogram's (RFC 2675), or that of a packet that the network card was still to take apart.
        let payload = match length {
            0 => rest,
            1..8 => return Err(Skip::Malformed),
            length if length - 8 <= rest.len() => &rest[..length - 8],
            // A trailer that was cut off after the datagram was not part of it.
            _ if self.cut => return Err(Skip::Cut),
            _ => rest,
        };
        if let Some(inside) = tunnel::over_udp(to, payload) {
            return Ok(Some(inside));
        }
        self.datagram.time_us = self.time_us;
        self.datagram.from = SocketAddr::new(self.from, from);
        self.datagram.to = SocketAddr::new(self.to, to);
        self.datagram.bytes.clear();
        self.datagram.bytes.extend_from_slice(payload);
        Ok(None)
    }
}

/// Returns the name of a link type that is not supported here.
pub(super) fn name(link: u16) -> &'static str {
    match link {
        105 => " (802.11)",
        119 | 127 | 163 | 192 => " (802.11 with what the radio said)",
        187 | 201 | 251 | 254 | 256 => " (Bluetooth)",
        186 | 189 | 220 | 249 => " (USB)",
        195 | 215 | 230 | 283 => " (802.15.4)",
        227 => " (CAN)",
        252 => " (PDUs exported by Wireshark)",
        253 => " (netlink)",
        _ => "",
    }
}
