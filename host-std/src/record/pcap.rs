//! A capture of datagrams in the classic pcap format (draft-ietf-opsawg-pcap), with times in microseconds and link type Ethernet.
//!
//! Use [`PcapWriter`] to write datagrams of your own. A running call is captured by [`wire`](super::wire), and captures are read by
//! `replay::capture`.
//!
//! An application sees datagrams and not frames. So the IPv4 or IPv6 header (RFC 791, RFC 8200) and the UDP header (RFC 768) around each
//! are made up from the socket addresses, with correct lengths and checksums. The Ethernet header has zeros for addresses, as captures of
//! a loopback interface do: raw IP would need none, but tools that replay or decrypt a capture often expect RTP at byte 42. To read the
//! streams of a call:
//!
//! ```text
//! tshark -r call.pcap -d udp.port==4000,rtp -q -z rtp,streams
//! ```
//!
//! A datagram is written and read again:
//!
//! ```
//! use dsp_core::time::Instant;
//! use host_std::record::pcap::PcapWriter;
//! use host_std::replay::capture::{CaptureReader, Datagram};
//!
//! let mut pcap = PcapWriter::new(Vec::new(), 1_700_000_000_000_000)?;
//! pcap.datagram(Instant::from_millis(20), "192.0.2.1:4000".parse()?, "192.0.2.2:5004".parse()?, &[0x80; 172])?;
//! let bytes = pcap.finish()?;
//!
//! let (mut reader, mut datagram) = (CaptureReader::new(&bytes[..])?, Datagram::default());
//! assert!(reader.next(&mut datagram)?);
//! assert_eq!((datagram.to.port(), datagram.bytes.len()), (5004, 172));
//! assert_eq!(datagram.time_us, Some(1_700_000_000_020_000));
//! assert!(!reader.next(&mut datagram)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Cost.** A datagram is a buffered write of its length and 58 (IPv4) or 78 (IPv6) bytes; nothing is allocated.

use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use dsp_core::time::Instant;

use crate::output::OutputFile;

/// LINKTYPE_ETHERNET: packets begin with an Ethernet header.
const LINKTYPE_ETHERNET: u32 = 1;
/// Longest packet a reader must expect; readers refuse larger claims.
const SNAP_LENGTH: u32 = 262_144;
const RECORD_HEADER: usize = 16;
const ETHERNET_HEADER: usize = 14;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const UDP_HEADER: usize = 8;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const PROTOCOL_UDP: u8 = 17;
const HOP_LIMIT: u8 = 64;

/// Writes datagrams to a capture.
///
/// [The module's page](self) has an example.
#[derive(Debug)]
pub struct PcapWriter<W: Write> {
    out: W,
    unix_micros_at_zero: u64,
    ipv4_identification: u16,
    datagrams: u64,
}

impl PcapWriter<BufWriter<OutputFile>> {
    /// Creates or overwrites the file at `path`, which grows there: the part that was flushed can be read while more comes.
    ///
    /// `unix_micros_at_zero` is the wall clock, in microseconds since the Unix epoch, at [`Instant::ZERO`].
    ///
    /// # Errors
    /// The error of the file system if the file can't be created.
    pub fn create(path: impl AsRef<Path>, unix_micros_at_zero: u64) -> io::Result<Self> {
        Self::new(BufWriter::new(OutputFile::in_place(path)?), unix_micros_at_zero)
    }
}

impl<W: Write> PcapWriter<W> {
    /// Writes the file header to `out`; see [`PcapWriter::create`].
    ///
    /// # Errors
    /// The error of `out` if the file header can't be written.
    pub fn new(mut out: W, unix_micros_at_zero: u64) -> io::Result<Self> {
        let mut header = [0; 24];
        header[0..4].copy_from_slice(&0xa1b2_c3d4u32.to_le_bytes());
        header[4..6].copy_from_slice(&2u16.to_le_bytes());
        header[6..8].copy_from_slice(&4u16.to_le_bytes());
        header[16..20].copy_from_slice(&SNAP_LENGTH.to_le_bytes());
        header[20..24].copy_from_slice(&LINKTYPE_ETHERNET.to_le_bytes());
        out.write_all(&header)?;
        Ok(Self { out, unix_micros_at_zero, ipv4_identification: 0, datagrams: 0 })
    }

    /// Records one UDP datagram with `payload`, seen at `time` on its way from `from` to `to`.
    ///
    /// # Errors
    /// `InvalidInput` if one address is IPv4 and the other IPv6, or `payload` is longer than a UDP datagram can be (65,507 bytes
    /// over IPv4, 65,527 over IPv6); else the file system's error.
    pub fn datagram(&mut self, time: Instant, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> io::Result<()> {
        let mut headers = [0; RECORD_HEADER + ETHERNET_HEADER + IPV6_HEADER + UDP_HEADER];
        let (record, frame) = headers.split_at_mut(RECORD_HEADER);
        let (ethernet, packet) = frame.split_at_mut(ETHERNET_HEADER);
        // A dual-stack socket shows IPv4 peers as ::ffff:a.b.c.d; on the wire they are IPv4.
        let (ip_header, ethertype) = match (from.ip().to_canonical(), to.ip().to_canonical()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let length = u16::try_from(IPV4_HEADER + UDP_HEADER + payload.len()).map_err(|_| too_long(payload))?;
                let ip = &mut packet[..IPV4_HEADER];
                ip[0] = 0x45;
                ip[2..4].copy_from_slice(&length.to_be_bytes());
                ip[4..6].copy_from_slice(&self.ipv4_identification.to_be_bytes());
                ip[6] = 0x40; // don't fragment
                ip[8] = HOP_LIMIT;
                ip[9] = PROTOCOL_UDP;
                ip[12..16].copy_from_slice(&source.octets());
                ip[16..20].copy_from_slice(&destination.octets());
                let checksum = fold(sum(ip));
                ip[10..12].copy_from_slice(&checksum.to_be_bytes());
                self.ipv4_identification = self.ipv4_identification.wrapping_add(1);
                (IPV4_HEADER, ETHERTYPE_IPV4)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let length = u16::try_from(UDP_HEADER + payload.len()).map_err(|_| too_long(payload))?;
                let ip = &mut packet[..IPV6_HEADER];
                ip[0] = 0x60;
                ip[4..6].copy_from_slice(&length.to_be_bytes());
                ip[6] = PROTOCOL_UDP;
                ip[7] = HOP_LIMIT;
                ip[8..24].copy_from_slice(&source.octets());
                ip[24..40].copy_from_slice(&destination.octets());
                (IPV6_HEADER, ETHERTYPE_IPV6)
            }
            _ => {
                let message = format!("a datagram from {from} to {to} mixes IPv4 and IPv6");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        };

        ethernet[12..14].copy_from_slice(&ethertype.to_be_bytes());
        // Fits: the IP lengths above were checked and are longer.
        let udp_length = (UDP_HEADER + payload.len()) as u16;
        let (ip, udp) = packet.split_at_mut(ip_header);
        udp[0..2].copy_from_slice(&from.port().to_be_bytes());
        udp[2..4].copy_from_slice(&to.port().to_be_bytes());
        udp[4..6].copy_from_slice(&udp_length.to_be_bytes());
        // The pseudo header: both addresses, the protocol and the length (RFC 768; RFC 8200, 8.1).
        let addresses = if ip_header == IPV4_HEADER { &ip[12..20] } else { &ip[8..40] };
        let pseudo = sum(addresses) + u64::from(PROTOCOL_UDP) + u64::from(udp_length);
        let checksum = match fold(pseudo + sum(&udp[..UDP_HEADER]) + sum(payload)) {
            0 => 0xffff, // zero would say "no checksum"
            checksum => checksum,
        };
        udp[6..8].copy_from_slice(&checksum.to_be_bytes());

        let micros = self.unix_micros_at_zero.saturating_add(time.as_micros());
        let length = (ETHERNET_HEADER + ip_header + usize::from(udp_length)) as u32;
        // The format counts seconds in 32 bits, unsigned: until 2106.
        record[0..4].copy_from_slice(&((micros / 1_000_000) as u32).to_le_bytes());
        record[4..8].copy_from_slice(&((micros % 1_000_000) as u32).to_le_bytes());
        record[8..12].copy_from_slice(&length.to_le_bytes());
        record[12..16].copy_from_slice(&length.to_le_bytes());

        self.out.write_all(&headers[..RECORD_HEADER + ETHERNET_HEADER + ip_header + UDP_HEADER])?;
        self.out.write_all(payload)?;
        self.datagrams += 1;
        Ok(())
    }

    /// Writes buffered data, so that the file can be read up to here.
    ///
    /// # Errors
    /// The error of the output.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Datagrams recorded so far.
    pub fn datagrams(&self) -> u64 {
        self.datagrams
    }

    /// Flushes and gives the writer back. Without it, the end of a buffered capture may go missing unnoticed.
    ///
    /// # Errors
    /// The error of the output.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

fn too_long(payload: &[u8]) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("a UDP datagram can't hold {} bytes", payload.len()))
}

/// Sum of the 16-bit words of `bytes`, the last padded with zero (RFC 1071).
fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(2);
    let odd = words.remainder().first().map_or(0, |&byte| u64::from(byte) << 8);
    words.map(|word| u64::from(u16::from_be_bytes([word[0], word[1]]))).sum::<u64>() + odd
}

/// Returns the internet checksum of a sum: carries folded in, complemented (RFC 1071).
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes one datagram and returns its packet, from the IP header on.
    fn packet(from: &str, to: &str, payload: &[u8]) -> Vec<u8> {
        let mut pcap = PcapWriter::new(Vec::new(), 1_700_000_000_000_000).unwrap();
        pcap.datagram(Instant::from_micros(2_500_001), from.parse().unwrap(), to.parse().unwrap(), payload).unwrap();
        let file = pcap.finish().unwrap();
        assert_eq!(file[24..28], 1_700_000_002u32.to_le_bytes());
        assert_eq!(file[28..32], 500_001u32.to_le_bytes());
        assert_eq!(file[32..36], ((file.len() - 40) as u32).to_le_bytes());
        file[54..].to_vec()
    }

    #[test]
    fn checksums_close_to_zero() {
        // A receiver's sum over a correct header, its checksum included, is zero (RFC 1071).
        let v4 = packet("127.0.0.1:4000", "10.1.2.3:5004", &[1, 2, 3]);
        assert_eq!(v4.len(), 20 + 8 + 3);
        assert_eq!(fold(sum(&v4[..20])), 0);
        assert_eq!(fold(sum(&v4[12..20]) + 17 + 11 + sum(&v4[20..])), 0);
        let v6 = packet("[::1]:4000", "[2001:db8::2]:5004", &[0xff; 160]);
        assert_eq!(fold(sum(&v6[8..40]) + 17 + 168 + sum(&v6[40..])), 0);
        // A payload for which the checksum comes to zero is sent as 0xffff.
        let plain = packet("127.0.0.1:4000", "10.1.2.3:5004", &[0, 0]);
        let zero = packet("127.0.0.1:4000", "10.1.2.3:5004", &plain[26..28]);
        assert_eq!(zero[26..28], [0xff, 0xff]);
    }

    #[test]
    fn mapped_addresses_are_ipv4_and_families_do_not_mix() {
        assert_eq!(packet("[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:2", &[0])[0], 0x45);
        let mut pcap = PcapWriter::new(Vec::new(), 0).unwrap();
        let (v4, v6) = ("127.0.0.1:1".parse().unwrap(), "[::1]:1".parse().unwrap());
        let error = pcap.datagram(Instant::ZERO, v4, v6, &[]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(pcap.datagram(Instant::ZERO, v4, v4, &vec![0; 65_508]).is_err());
        assert!(pcap.datagram(Instant::ZERO, v4, v4, &vec![0; 65_507]).is_ok());
        assert!(pcap.datagram(Instant::ZERO, v6, v6, &vec![0; 65_528]).is_err());
        assert_eq!(pcap.datagrams(), 1);
        assert_eq!(pcap.finish().unwrap().len(), 24 + 16 + 14 + 65_535, "a refused datagram leaves nothing");
    }
}
