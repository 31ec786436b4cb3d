//! Captures, read a datagram at a time: pcap, pcapng and rtpdump, each also packed by gzip.
//!
//! The blocks of these files are read here: a few lines each, and nothing of a block that we don't need can keep us from
//! reading on. `link` finds the datagram in a frame. Memory: the longest block, up to [`LONGEST_BLOCK`], a few bytes for
//! each interface, and the fragments of IP packets that are not whole yet. What can't be read is skipped and counted; a
//! file that breaks off counts up to there.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use super::link::{Skip, Unwrapper};
use blocks::Blocks;
use input::Input;
use pcap::Pcap;
use pcapng::PcapNg;
use rtpdump::RtpDump;

mod blocks;
mod input;
mod pcap;
mod pcapng;
mod rtpdump;

/// A longer block is no packet that a network carries.
pub const LONGEST_BLOCK: usize = 1 << 24;

/// Files that hold captures and are not read here: how they begin, and what would help.
const OTHERS: [(&[u8], &str); 7] = [
    (&[0x28, 0xb5, 0x2f, 0xfd], "it is packed by zstd, and only gzip is unpacked here: zstd -d"),
    (&[0x04, 0x22, 0x4d, 0x18], "it is packed by lz4, and only gzip is unpacked here: lz4 -d"),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "it is packed by xz, and only gzip is unpacked here: xz -d"),
    (b"BZh", "it is packed by bzip2, and only gzip is unpacked here: bzip2 -d"),
    (b"PK\x03\x04", "it is a ZIP archive: unpack it first"),
    (b"snoop\0\0\0", "it is a snoop capture: editcap makes a pcap of it"),
    (b"GMBU", "it is a capture of Network Monitor: editcap makes a pcap of it"),
];

/// Why a capture can't be read at all.
#[derive(Debug)]
#[non_exhaustive]
pub enum CaptureError {
    /// The file can't be read.
    Io(io::Error),
    /// Neither pcap nor pcapng nor rtpdump.
    Unknown,
    /// It is something that is known and not read here: what it is, and what would help.
    Other(&'static str),
    /// It begins as a capture does, and its head is broken.
    Header,
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(_) => write!(f, "the capture can't be read"),
            Self::Unknown => write!(f, "not a capture: neither pcap nor pcapng nor rtpdump"),
            Self::Other(what) => write!(f, "not a capture that is read here: {what}"),
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
    /// Fragments of IP packets that were never whole.
    pub fragments: u64,
    /// Fragments that were put together, but for the one that made a packet whole: that counts as what was in it.
    pub joined: u64,
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
///
/// What is no capture is told by its first bytes:
///
/// ```
/// use host_std::replay::capture::{CaptureError, CaptureReader};
///
/// assert!(matches!(CaptureReader::new(&b"a text of someone"[..]), Err(CaptureError::Unknown)));
/// ```
pub struct CaptureReader<R: Read> {
    blocks: Blocks<R>,
    format: Format,
    unwrapper: Unwrapper,
    counts: CaptureCounts,
    ended: bool,
}

enum Format {
    Pcap(Pcap),
    PcapNg(PcapNg),
    RtpDump(RtpDump),
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
    pub fn new(file: R) -> Result<Self, CaptureError> {
        let mut blocks = Blocks::new(Input::new(file)?)?;
        let head = blocks.beginning();
        let format = if Pcap::begins(head) {
            Format::Pcap(Pcap::open(&mut blocks)?)
        } else if PcapNg::begins(head) {
            Format::PcapNg(PcapNg::open(&blocks)?)
        } else if RtpDump::begins(head) {
            Format::RtpDump(RtpDump::open(&mut blocks)?)
        } else {
            let other = OTHERS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| *what);
            let packed = blocks.input().problem().or(other);
            return Err(packed.map_or(CaptureError::Unknown, CaptureError::Other));
        };
        Ok(Self { blocks, format, unwrapper: Unwrapper::default(), counts: CaptureCounts::default(), ended: false })
    }

    /// What was read so far.
    pub fn counts(&self) -> &CaptureCounts {
        &self.counts
    }

    /// Name of the format.
    pub fn format(&self) -> &'static str {
        match (&self.format, self.blocks.input().packed()) {
            (Format::Pcap(_), false) => "pcap",
            (Format::PcapNg(_), false) => "pcapng",
            (Format::RtpDump(_), false) => "rtpdump",
            (Format::Pcap(_), true) => "pcap in gzip",
            (Format::PcapNg(_), true) => "pcapng in gzip",
            (Format::RtpDump(_), true) => "rtpdump in gzip",
        }
    }

    /// Reads up to the next datagram. `false` at the end, or where the file breaks off.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn next(&mut self, datagram: &mut Datagram) -> io::Result<bool> {
        while !self.ended {
            let mut sink = Sink { unwrapper: &mut self.unwrapper, counts: &mut self.counts, datagram };
            let found = match &mut self.format {
                Format::Pcap(pcap) => pcap.next(&mut self.blocks, &mut sink),
                Format::PcapNg(pcapng) => pcapng.next(&mut self.blocks, &mut sink),
                Format::RtpDump(rtpdump) => rtpdump.next(&mut self.blocks, &mut sink),
            };
            match found? {
                Found::Datagram => {
                    self.counts.datagrams += 1;
                    return Ok(true);
                }
                Found::Other => {}
                Found::End => {
                    self.ended = true;
                    // Where packed data break off, that is why a packet is not whole.
                    if let Some(problem) = self.blocks.input().problem() {
                        broken(&mut self.counts, self.blocks.at, problem);
                    }
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
}

/// The file can't be read from byte `at` on.
fn broken(counts: &mut CaptureCounts, at: u64, problem: &'static str) -> Found {
    counts.broken = Some((at, problem));
    Found::End
}

/// A frame as it stands in the file.
struct Packet<'a> {
    link: u16,
    time_us: Option<u64>,
    bytes: &'a [u8],
    /// The file doesn't have all of it.
    cut: bool,
}

/// Where packets of all formats go.
struct Sink<'a> {
    unwrapper: &'a mut Unwrapper,
    counts: &'a mut CaptureCounts,
    datagram: &'a mut Datagram,
}

impl Sink<'_> {
    /// Takes the datagram out of a frame.
    fn packet(&mut self, packet: &Packet<'_>) -> Found {
        self.counts.packets += 1;
        let (found, joined) =
            self.unwrapper.unwrap(packet.link, packet.time_us, packet.bytes, packet.cut, self.datagram);
        // They waited among those of which others are missing.
        self.counts.joined += joined;
        self.counts.fragments -= joined;
        match found {
            Ok(()) => return Found::Datagram,
            Err(Skip::Cut) => self.counts.cut += 1,
            Err(Skip::NotUdp) => self.counts.not_udp += 1,
            Err(Skip::Fragment) => self.counts.fragments += 1,
            Err(Skip::Malformed) => self.counts.malformed += 1,
            Err(Skip::LinkType(link)) => {
                self.counts.unknown_link += 1;
                self.counts.link_type = Some(link);
            }
        }
        Found::Other
    }

    /// A packet of which nothing can be said.
    fn malformed(&mut self) -> Found {
        self.counts.packets += 1;
        self.counts.malformed += 1;
        Found::Other
    }

    /// Takes in a datagram that has no frame.
    fn datagram(&mut self, time_us: u64, [from, to]: [SocketAddr; 2], bytes: &[u8], cut: bool) -> Found {
        self.counts.packets += 1;
        if cut {
            self.counts.cut += 1;
            return Found::Other;
        }
        (self.datagram.time_us, self.datagram.from, self.datagram.to) = (Some(time_us), from, to);
        self.datagram.bytes.clear();
        self.datagram.bytes.extend_from_slice(bytes);
        Found::Datagram
    }
}
