//! Captures, read a datagram at a time: pcap (draft-ietf-opsawg-pcap; both byte orders, micro- and nanoseconds), pcapng
//! (draft-ietf-opsawg-pcapng; section, interface, enhanced and simple packet blocks, both byte orders, any resolution of
//! the times) and rtpdump (`#!rtpplay1.0`, of rtptools).
//!
//! `pcap-parser` takes the first two apart: it reads in a buffer, knows every block, and is kept up; what it doesn't do
//! right (resolutions that are powers of two, offsets in the other byte order) is done here. `link` finds the datagram
//! in a frame. Memory: one buffer of 64 KiB that grows for a longer block, up to [`LONGEST_BLOCK`], and a few bytes for
//! each interface. What can't be read is skipped and counted; a file that breaks off counts up to there.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, LegacyPcapReader, OptionCode, PcapBlockOwned, PcapError, PcapNGReader};

use super::link::{self, Skip};

/// What is read at a time.
const BUFFER: usize = 1 << 16;
/// A longer block is no packet that a network carries.
pub const LONGEST_BLOCK: usize = 1 << 24;
/// A section with more interfaces than this is no capture.
const MOST_INTERFACES: usize = 1 << 12;
const RTPDUMP: &[u8] = b"#!rtpplay1.0 ";

/// Why a capture can't be read at all.
#[derive(Debug)]
pub enum CaptureError {
    /// The file can't be read.
    Io(io::Error),
    /// Neither pcap nor pcapng nor rtpdump.
    Unknown,
    /// It begins as a capture does, and its head is broken.
    Header,
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(_) => write!(f, "the capture can't be read"),
            Self::Unknown => write!(f, "not a capture: neither pcap nor pcapng nor rtpdump"),
            Self::Header => write!(f, "the capture's header is broken"),
        }
    }
}

impl std::error::Error for CaptureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for CaptureError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A UDP datagram of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// When it was seen, in microseconds since 1970 or since whatever the capture counts from; `None` where the capture
    /// doesn't say (pcapng's simple packets).
    pub time_us: Option<u64>,
    /// From where; unspecified in an rtpdump.
    pub from: SocketAddr,
    /// Whither.
    pub to: SocketAddr,
    /// Its payload.
    pub bytes: Vec<u8>,
}

impl Default for Datagram {
    fn default() -> Self {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Self { time_us: None, from: nowhere, to: nowhere, bytes: Vec::new() }
    }
}

/// What was read so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureCounts {
    /// Packets of any kind.
    pub packets: u64,
    /// UDP datagrams among them that were handed out.
    pub datagrams: u64,
    /// Packets that are whole but not UDP over IP.
    pub not_udp: u64,
    /// Fragments of IP packets.
    pub fragments: u64,
    /// Packets that were captured only in part.
    pub cut: u64,
    /// Packets whose headers make no sense.
    pub malformed: u64,
    /// Packets without a time.
    pub untimed: u64,
    /// Packets of a link type that is not read here, and that type.
    pub unknown_link: u64,
    /// The last such link type.
    pub link_type: Option<u16>,
    /// Where the file breaks off, in bytes, and why.
    pub broken: Option<(u64, &'static str)>,
}

/// Reads a capture.
pub struct CaptureReader<R: Read> {
    format: Format<R>,
    counts: CaptureCounts,
    ended: bool,
}

enum Format<R: Read> {
    Pcap { reader: LegacyPcapReader<BufReader<R>>, link: u16, nanoseconds: bool },
    PcapNg { reader: PcapNGReader<BufReader<R>>, interfaces: Vec<Interface>, big_endian: bool },
    RtpDump { reader: BufReader<R>, start_us: u64, from: SocketAddr, to: SocketAddr, at: u64 },
}

/// What pcapng says of an interface.
#[derive(Clone, Copy)]
struct Interface {
    link: u16,
    /// Units a second of its times; 0: more than 64 bits hold.
    units: u64,
    offset_s: i64,
}

impl CaptureReader<File> {
    /// Opens the capture at `path`.
    ///
    /// # Errors
    /// [`CaptureError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
        }
        Self::new(file)
    }
}

impl<R: Read> CaptureReader<R> {
    /// Begins to read; the format is told by the first bytes.
    ///
    /// # Errors
    /// [`CaptureError`].
    pub fn new(input: R) -> Result<Self, CaptureError> {
        let mut input = BufReader::with_capacity(BUFFER, input);
        let head = input.fill_buf()?;
        let format = match head {
            [0xa1, 0xb2, 0xc3, 0xd4, ..]
            | [0xd4, 0xc3, 0xb2, 0xa1, ..]
            | [0xa1, 0xb2, 0x3c, 0x4d, ..]
            | [0x4d, 0x3c, 0xb2, 0xa1, ..] => {
                let reader = LegacyPcapReader::new(BUFFER, input).map_err(|_| CaptureError::Header)?;
                Format::Pcap { reader, link: 0, nanoseconds: false }
            }
            [0x0a, 0x0d, 0x0d, 0x0a, ..] => {
                let reader = PcapNGReader::new(BUFFER, input).map_err(|_| CaptureError::Header)?;
                Format::PcapNg { reader, interfaces: Vec::new(), big_endian: false }
            }
            _ if head.starts_with(RTPDUMP) => rtpdump(input)?,
            _ => return Err(CaptureError::Unknown),
        };
        Ok(Self { format, counts: CaptureCounts::default(), ended: false })
    }

    /// What was read so far.
    pub fn counts(&self) -> &CaptureCounts {
        &self.counts
    }

    /// Name of the format.
    pub fn format(&self) -> &'static str {
        match self.format {
            Format::Pcap { .. } => "pcap",
            Format::PcapNg { .. } => "pcapng",
            Format::RtpDump { .. } => "rtpdump",
        }
    }

    /// Reads up to the next datagram. `false` at the end, or where the file breaks off.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn next(&mut self, datagram: &mut Datagram) -> io::Result<bool> {
        while !self.ended {
            let found = match &mut self.format {
                Format::Pcap { reader, link, nanoseconds } => {
                    step(reader, &mut self.counts, |block, counts| pcap(block, link, nanoseconds, counts, datagram))
                }
                Format::PcapNg { reader, interfaces, big_endian } => step(reader, &mut self.counts, |block, counts| {
                    pcapng(block, interfaces, big_endian, counts, datagram)
                }),
                Format::RtpDump { reader, start_us, from, to, at } => {
                    (datagram.from, datagram.to) = (*from, *to);
                    rtpdump_record(reader, *start_us, at, &mut self.counts, datagram)?
                }
            };
            match found {
                Found::Datagram => {
                    self.counts.datagrams += 1;
                    return Ok(true);
                }
                Found::Other => {}
                Found::End => self.ended = true,
                Found::Failed => {
                    self.ended = true;
                    return Err(io::Error::other("the capture can't be read to its end"));
                }
            }
        }
        Ok(false)
    }
}

enum Found {
    Datagram,
    Other,
    End,
    Failed,
}

/// One block of a pcap or pcapng file.
fn step(
    reader: &mut impl PcapReaderIterator,
    counts: &mut CaptureCounts,
    mut take: impl FnMut(PcapBlockOwned<'_>, &mut CaptureCounts) -> Result<Found, &'static str>,
) -> Found {
    enum Next {
        Took(usize, Result<Found, &'static str>),
        More,
        Larger,
        End,
        Broken(&'static str),
    }
    loop {
        let next = match reader.next() {
            Ok((length, block)) => Next::Took(length, take(block, counts)),
            Err(PcapError::Eof) => Next::End,
            Err(PcapError::Incomplete(_)) => Next::More,
            Err(PcapError::BufferTooSmall) => Next::Larger,
            Err(PcapError::UnexpectedEof) => Next::Broken("the last packet is not whole"),
            Err(PcapError::ReadError) => return Found::Failed,
            Err(_) => Next::Broken("what follows is no packet"),
        };
        // The parser asks for more before it knows how much it has room for; a buffer that is full must grow.
        let full = reader.data().len();
        let problem = match next {
            Next::Took(length, Ok(found)) => {
                reader.consume(length);
                return found;
            }
            Next::Took(_, Err(problem)) | Next::Broken(problem) => problem,
            Next::End => return Found::End,
            Next::Larger if full >= LONGEST_BLOCK => "a packet is longer than any network carries",
            Next::Larger | Next::More => {
                if matches!(next, Next::Larger) {
                    reader.grow((full * 2).clamp(2 * BUFFER, 2 * LONGEST_BLOCK));
                }
                match reader.refill() {
                    Ok(()) => continue,
                    Err(_) => return Found::Failed,
                }
            }
        };
        counts.broken = Some((reader.consumed() as u64, problem));
        return Found::End;
    }
}

/// Takes the datagram out of a frame.
fn frame(
    link: u16,
    time_us: Option<u64>,
    frame: &[u8],
    cut: bool,
    counts: &mut CaptureCounts,
    datagram: &mut Datagram,
) -> Found {
    counts.packets += 1;
    match link::udp(link, frame) {
        // What was cut off behind the datagram (a trailer) was not part of it.
        Ok(udp) if udp.whole || !cut => {
            (datagram.time_us, datagram.from, datagram.to) = (time_us, udp.from, udp.to);
            datagram.bytes.clear();
            datagram.bytes.extend_from_slice(udp.payload);
            return Found::Datagram;
        }
        Ok(_) | Err(Skip::Cut) => counts.cut += 1,
        Err(Skip::NotUdp) => counts.not_udp += 1,
        Err(Skip::Fragment) => counts.fragments += 1,
        Err(Skip::Malformed) => counts.malformed += 1,
        Err(Skip::LinkType) => {
            counts.unknown_link += 1;
            counts.link_type = Some(link);
        }
    }
    Found::Other
}

fn pcap(
    block: PcapBlockOwned<'_>,
    link: &mut u16,
    nanoseconds: &mut bool,
    counts: &mut CaptureCounts,
    datagram: &mut Datagram,
) -> Result<Found, &'static str> {
    match block {
        PcapBlockOwned::LegacyHeader(header) => {
            // The upper bits say how long a checksum behind each frame is.
            *link = header.network.0 as u16;
            *nanoseconds = header.is_nanosecond_precision();
            Ok(Found::Other)
        }
        PcapBlockOwned::Legacy(block) => {
            let part = u64::from(block.ts_usec);
            let time_us = u64::from(block.ts_sec) * 1_000_000 + if *nanoseconds { part / 1_000 } else { part };
            Ok(frame(*link, Some(time_us), block.data, block.caplen < block.origlen, counts, datagram))
        }
        PcapBlockOwned::NG(_) => Ok(Found::Other),
    }
}

fn pcapng(
    block: PcapBlockOwned<'_>,
    interfaces: &mut Vec<Interface>,
    big_endian: &mut bool,
    counts: &mut CaptureCounts,
    datagram: &mut Datagram,
) -> Result<Found, &'static str> {
    let PcapBlockOwned::NG(block) = block else { return Ok(Found::Other) };
    match block {
        Block::SectionHeader(section) => {
            interfaces.clear();
            *big_endian = section.big_endian();
        }
        Block::InterfaceDescription(description) => {
            if interfaces.len() == MOST_INTERFACES {
                return Err("more interfaces than a capture has");
            }
            let mut interface = Interface { link: description.linktype.0 as u16, units: 1_000_000, offset_s: 0 };
            for option in &description.options {
                match (option.code, option.value()) {
                    (OptionCode::IfTsresol, &[resolution, ..]) => interface.units = units(resolution),
                    (OptionCode::IfTsoffset, value) => {
                        if let Some(&bytes) = value.first_chunk::<8>() {
                            let read = if *big_endian { i64::from_be_bytes } else { i64::from_le_bytes };
                            interface.offset_s = read(bytes);
                        }
                    }
                    _ => {}
                }
            }
            interfaces.push(interface);
        }
        Block::EnhancedPacket(packet) => {
            let Some(interface) = interfaces.get(packet.if_id as usize) else {
                counts.packets += 1;
                counts.malformed += 1;
                return Ok(Found::Other);
            };
            let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
            let time_us = interface.time_us(ticks);
            counts.untimed += u64::from(time_us.is_none());
            let cut = packet.caplen < packet.origlen;
            return Ok(frame(interface.link, time_us, packet.packet_data(), cut, counts, datagram));
        }
        // They belong to the first interface.
        Block::SimplePacket(packet) => {
            counts.untimed += 1;
            let Some(interface) = interfaces.first() else {
                counts.packets += 1;
                counts.malformed += 1;
                return Ok(Found::Other);
            };
            let data = packet.packet_data();
            let cut = data.len() < packet.origlen as usize;
            return Ok(frame(interface.link, None, data, cut, counts, datagram));
        }
        _ => {}
    }
    Ok(Found::Other)
}

impl Interface {
    fn time_us(&self, ticks: u64) -> Option<u64> {
        let micros = (u128::from(ticks) * 1_000_000).checked_div(u128::from(self.units))?;
        let micros = i128::try_from(micros).ok()? + i128::from(self.offset_s) * 1_000_000;
        // Beyond the year 5000 no sum of times may overflow.
        u64::try_from(micros).ok().filter(|micros| *micros < 1 << 57)
    }
}

/// Units a second of `if_tsresol`: a negative power of 10, or with the highest bit set of 2; 0 if there are too many.
fn units(resolution: u8) -> u64 {
    let power = u32::from(resolution & 0x7f);
    let base: u64 = if resolution & 0x80 == 0 { 10 } else { 2 };
    base.checked_pow(power).unwrap_or(0)
}

/// The head of an rtpdump: a line with the address it was received at, and 16 bytes with the time it began and the
/// address it came from.
fn rtpdump<R: Read>(mut reader: BufReader<R>) -> Result<Format<R>, CaptureError> {
    let mut line = Vec::new();
    (&mut reader).take(256).read_until(b'\n', &mut line)?;
    let mut head = [0; 16];
    reader.read_exact(&mut head).map_err(|_| CaptureError::Header)?;
    let text = String::from_utf8_lossy(&line[RTPDUMP.len().min(line.len())..]).trim().replace('/', ":");
    let nowhere = Datagram::default();
    let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::from(word(8))), u16::from_be_bytes([head[12], head[13]]));
    Ok(Format::RtpDump {
        reader,
        start_us: u64::from(word(0)) * 1_000_000 + u64::from(word(4)),
        from,
        to: text.parse().unwrap_or(nowhere.to),
        at: line.len() as u64 + 16,
    })
}

/// One record of an rtpdump: its length with these eight bytes, the packet's (0: RTCP) and the milliseconds since the
/// beginning.
fn rtpdump_record<R: Read>(
    reader: &mut BufReader<R>,
    start_us: u64,
    at: &mut u64,
    counts: &mut CaptureCounts,
    datagram: &mut Datagram,
) -> io::Result<Found> {
    if reader.fill_buf()?.is_empty() {
        return Ok(Found::End);
    }
    let mut head = [0; 8];
    let mut broken = |problem| {
        counts.broken = Some((*at, problem));
        Ok(Found::End)
    };
    match reader.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return broken("the last packet is not whole"),
        other => other?,
    }
    let [l0, l1, p0, p1, o0, o1, o2, o3] = head;
    let (length, packet) = (u16::from_be_bytes([l0, l1]), u16::from_be_bytes([p0, p1]));
    let Some(stored) = length.checked_sub(8) else { return broken("what follows is no packet") };
    datagram.bytes.clear();
    if reader.take(u64::from(stored)).read_to_end(&mut datagram.bytes)? < usize::from(stored) {
        return broken("the last packet is not whole");
    }
    *at += u64::from(length);
    counts.packets += 1;
    datagram.time_us = Some(start_us + u64::from(u32::from_be_bytes([o0, o1, o2, o3])) * 1_000);
    // Zero says RTCP, which has no length of its own here.
    if stored < packet {
        counts.cut += 1;
        return Ok(Found::Other);
    }
    Ok(Found::Datagram)
}
