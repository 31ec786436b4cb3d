//! Captures made for tests, byte by byte: the formats and link types that a reader must know, and a call to put in them.

use std::net::{IpAddr, SocketAddr};

use dsp_core::codec::g711::encode_ulaw;

/// A datagram with its time in microseconds since 1970.
#[derive(Clone, Debug)]
pub struct Packet {
    /// When.
    pub time_us: u64,
    /// From where.
    pub from: SocketAddr,
    /// Whither.
    pub to: SocketAddr,
    /// What.
    pub bytes: Vec<u8>,
}

/// A sunny afternoon: 2026-05-01 14:32:00 UTC.
pub const BEGIN_US: u64 = 1_777_645_920_000_000;

/// An RTP packet.
pub fn rtp(payload_type: u8, seq: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(seq.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

/// A hum that is no two periods the same, at 8 kHz.
pub fn hum(samples: usize) -> Vec<i16> {
    let at = |n: usize| {
        let t = n as f64 / 8_000.0;
        let slow = (t * 3.1).sin() * 0.4 + 0.6;
        ((t * 880.0).sin() * 6_000.0 * slow + (t * 2_100.0 + (t * 5.0).sin()).sin() * 2_500.0) as i16
    };
    (0..samples).map(at).collect()
}

/// `count` PCMU packets of 20 ms from `from` to `to`, each 20 ms after the other, with a wrap of the sequence number.
pub fn call(count: u32, from: &str, to: &str) -> Vec<Packet> {
    let sound = hum(count as usize * 160);
    let packet = |(n, pcm): (usize, &[i16])| {
        let mut payload = [0; 160];
        encode_ulaw(pcm, &mut payload);
        let seq = 65_500u16.wrapping_add(n as u16);
        Packet {
            time_us: BEGIN_US + n as u64 * 20_000,
            from: from.parse().expect("an address"),
            to: to.parse().expect("an address"),
            bytes: rtp(0, seq, n as u32 * 160, 0xfeed_beef, &payload),
        }
    };
    sound.chunks_exact(160).enumerate().map(packet).collect()
}

/// How a frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Ethernet, with this many VLAN tags.
    Ethernet(usize),
    /// Linux cooked capture.
    Cooked,
    /// The same, version 2.
    Cooked2,
    /// The IP packet alone.
    Raw,
    /// BSD's loopback, in either byte order.
    Loopback {
        /// As a big-endian machine writes it.
        big_endian: bool,
    },
}

impl Link {
    /// Its number in files.
    pub fn number(self) -> u16 {
        match self {
            Self::Ethernet(_) => 1,
            Self::Cooked => 113,
            Self::Cooked2 => 276,
            Self::Raw => 101,
            Self::Loopback { .. } => 0,
        }
    }

    /// The frame of a packet.
    pub fn frame(self, packet: &Packet) -> Vec<u8> {
        let ip = ip(packet);
        let v4 = ip[0] >> 4 == 4;
        let ether_type: [u8; 2] = if v4 { [0x08, 0x00] } else { [0x86, 0xdd] };
        let mut frame = Vec::new();
        match self {
            Self::Ethernet(tags) => {
                frame.extend([0; 12]);
                for tag in 0..tags {
                    // The outer of two tags is a provider's.
                    frame.extend(if tag + 1 < tags { [0x88, 0xa8] } else { [0x81, 0x00] });
                    frame.extend([0, 7 + tag as u8]);
                }
                frame.extend(ether_type);
            }
            Self::Cooked => {
                frame.extend([0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0]);
                frame.extend(ether_type);
            }
            Self::Cooked2 => {
                frame.extend(ether_type);
                frame.extend([0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0]);
            }
            Self::Raw => {}
            Self::Loopback { big_endian } => {
                let family: u32 = if v4 { 2 } else { 30 };
                frame.extend(if big_endian { family.to_be_bytes() } else { family.to_le_bytes() });
            }
        }
        frame.extend(ip);
        frame
    }
}

/// The IP packet around a datagram; checksums are left out, as network cards do on their way out.
pub fn ip(packet: &Packet) -> Vec<u8> {
    let udp_length = (8 + packet.bytes.len()) as u16;
    let mut bytes = Vec::new();
    match (packet.from, packet.to) {
        (SocketAddr::V4(from), SocketAddr::V4(to)) => {
            bytes.extend([0x45, 0]);
            bytes.extend((20 + udp_length).to_be_bytes());
            bytes.extend([0, 1, 0x40, 0, 64, 17, 0, 0]);
            bytes.extend(from.ip().octets());
            bytes.extend(to.ip().octets());
        }
        (SocketAddr::V6(from), SocketAddr::V6(to)) => {
            bytes.extend([0x60, 0, 0, 0]);
            bytes.extend(udp_length.to_be_bytes());
            bytes.extend([17, 64]);
            bytes.extend(from.ip().octets());
            bytes.extend(to.ip().octets());
        }
        _ => panic!("one family a packet"),
    }
    bytes.extend(packet.from.port().to_be_bytes());
    bytes.extend(packet.to.port().to_be_bytes());
    bytes.extend(udp_length.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(&packet.bytes);
    bytes
}

/// `inner`, which goes on as `number` says, in an IP packet of its own.
pub fn in_ip(from: IpAddr, to: IpAddr, number: u8, inner: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            bytes.extend([0x45, 0]);
            bytes.extend((20 + inner.len() as u16).to_be_bytes());
            bytes.extend([0, 2, 0x40, 0, 64, number, 0, 0]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            bytes.extend([0x60, 0, 0, 0]);
            bytes.extend((inner.len() as u16).to_be_bytes());
            bytes.extend([number, 64]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
        }
        _ => panic!("one family a packet"),
    }
    bytes.extend(inner);
    bytes
}

/// An IP packet in pieces whose payloads have at most `most` bytes, a multiple of 8, as a router makes them.
pub fn fragments(packet: &[u8], most: usize, identification: u16) -> Vec<Vec<u8>> {
    let v4 = packet[0] >> 4 == 4;
    let (head, payload) = packet.split_at(if v4 { 20 } else { 40 });
    let count = payload.len().div_ceil(most);
    let piece = |(n, part): (usize, &[u8])| {
        let (mut bytes, more) = (head.to_vec(), n + 1 < count);
        let offset = (n * most) as u16;
        if v4 {
            bytes[2..4].copy_from_slice(&(20 + part.len() as u16).to_be_bytes());
            bytes[4..6].copy_from_slice(&identification.to_be_bytes());
            bytes[6..8].copy_from_slice(&((offset / 8) | (u16::from(more) << 13)).to_be_bytes());
        } else {
            bytes[4..6].copy_from_slice(&(8 + part.len() as u16).to_be_bytes());
            bytes.extend([bytes[6], 0]);
            bytes.extend((offset | u16::from(more)).to_be_bytes());
            bytes.extend(u32::from(identification).to_be_bytes());
            bytes[6] = 44;
        }
        bytes.extend(part);
        bytes
    };
    payload.chunks(most).enumerate().map(piece).collect()
}

/// A little-endian pcap file of frames of this link type, with their times in microseconds.
pub fn pcap_of(link: u16, frames: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut file = [&0xa1b2_c3d4u32.to_le_bytes()[..], &[2, 0, 4, 0], &[0; 8], &65_535u32.to_le_bytes()].concat();
    file.extend(u32::from(link).to_le_bytes());
    for (time_us, frame) in frames {
        for word in [time_us / 1_000_000, time_us % 1_000_000, frame.len() as u64, frame.len() as u64] {
            file.extend((word as u32).to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

/// A word in either byte order.
fn word<const N: usize>(big_endian: bool, be: [u8; N]) -> [u8; N] {
    let mut bytes = be;
    if !big_endian {
        bytes.reverse();
    }
    bytes
}

/// A pcap file of frames.
pub fn pcap(packets: &[Packet], link: Link, big_endian: bool, nanoseconds: bool) -> Vec<u8> {
    let w16 = |value: u16| word(big_endian, value.to_be_bytes());
    let w32 = |value: u32| word(big_endian, value.to_be_bytes());
    let mut file = Vec::new();
    file.extend(w32(if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 }));
    file.extend(w16(2));
    file.extend(w16(4));
    file.extend([0; 8]);
    file.extend(w32(65_535));
    file.extend(w32(u32::from(link.number())));
    for packet in packets {
        let frame = link.frame(packet);
        file.extend(w32((packet.time_us / 1_000_000) as u32));
        let part = (packet.time_us % 1_000_000) as u32;
        file.extend(w32(if nanoseconds { part * 1_000 + 999 } else { part }));
        file.extend(w32(frame.len() as u32));
        file.extend(w32(frame.len() as u32));
        file.extend(frame);
    }
    file
}

/// How a pcapng file tells times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Microseconds, which need not be said.
    Micros,
    /// Nanoseconds, on top of an offset in seconds.
    NanosFrom(i64),
    /// Units of 2^-20 s.
    Binary,
    /// Not at all: simple packets.
    None,
}

/// A pcapng file of frames. A block of an unknown kind and one of statistics stand among them.
pub fn pcapng(packets: &[Packet], link: Link, big_endian: bool, times: Times) -> Vec<u8> {
    let w16 = |value: u16| word(big_endian, value.to_be_bytes());
    let w32 = |value: u32| word(big_endian, value.to_be_bytes());
    let block = |kind: u32, body: &[u8]| {
        let length = (12 + body.len()) as u32;
        [&w32(kind)[..], &w32(length), body, &w32(length)].concat()
    };
    let mut file = Vec::new();
    let section = [&w32(0x1a2b_3c4d)[..], &w16(1), &w16(0), &[0xff; 8]].concat();
    file.extend(block(0x0a0d_0d0a, &section));
    let mut interface = [&w16(link.number())[..], &[0, 0], &w32(0)].concat();
    let resolution = match times {
        Times::NanosFrom(_) => Some(9u8),
        Times::Binary => Some(0x80 | 20),
        Times::Micros | Times::None => None,
    };
    if let Some(resolution) = resolution {
        interface.extend([&w16(9)[..], &w16(1), &[resolution, 0, 0, 0]].concat());
    }
    if let Times::NanosFrom(offset) = times {
        interface.extend([&w16(14)[..], &w16(8), &word(big_endian, offset.to_be_bytes())].concat());
    }
    interface.extend([0; 4]);
    file.extend(block(1, &interface));
    file.extend(block(0x7fff_0001, b"whatever"));
    for packet in packets {
        let frame = link.frame(packet);
        let length = frame.len() as u32;
        let mut padded = frame;
        padded.resize(padded.len().next_multiple_of(4), 0);
        if times == Times::None {
            file.extend(block(3, &[&w32(length)[..], &padded].concat()));
            continue;
        }
        let ticks = match times {
            Times::NanosFrom(offset) => (packet.time_us - offset as u64 * 1_000_000) * 1_000,
            Times::Binary => ((u128::from(packet.time_us) << 20) / 1_000_000) as u64 + 1,
            Times::Micros | Times::None => packet.time_us,
        };
        let head = [w32(0), w32((ticks >> 32) as u32), w32(ticks as u32), w32(length), w32(length)].concat();
        file.extend(block(6, &[&head[..], &padded].concat()));
    }
    file.extend(block(5, &[&w32(0)[..], &[0; 8]].concat()));
    file
}

/// An rtpdump.
pub fn rtpdump(packets: &[Packet]) -> Vec<u8> {
    let Some(first) = packets.first() else { return Vec::new() };
    let mut file = format!("#!rtpplay1.0 {}/{}\n", first.to.ip(), first.to.port()).into_bytes();
    file.extend(((first.time_us / 1_000_000) as u32).to_be_bytes());
    file.extend(((first.time_us % 1_000_000) as u32).to_be_bytes());
    if let SocketAddr::V4(from) = first.from {
        file.extend(from.ip().octets());
    }
    file.extend(first.from.port().to_be_bytes());
    file.extend([0, 0]);
    for packet in packets {
        file.extend((packet.bytes.len() as u16 + 8).to_be_bytes());
        file.extend((packet.bytes.len() as u16).to_be_bytes());
        file.extend((((packet.time_us - first.time_us) / 1_000) as u32).to_be_bytes());
        file.extend(&packet.bytes);
    }
    file
}
