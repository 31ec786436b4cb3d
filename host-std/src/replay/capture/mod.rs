//! Captures, read one datagram at a time: pcap, pcapng and rtpdump, each also packed by gzip.
//!
//! Use [`CaptureReader`] to read the UDP datagrams of a capture yourself. [`replay`](super::replay) does it for callers that want
//! to hear the streams, and [`record::pcap`](crate::record::pcap) writes captures.
//!
//! All datagrams of a capture:
//!
//! ```
//! use dsp_core::time::Instant;
//! use host_std::record::pcap::PcapWriter;
//! use host_std::replay::capture::{CaptureError, CaptureReader, Datagram};
//!
//! let mut pcap = PcapWriter::new(Vec::new(), 0)?;
//! pcap.datagram(Instant::from_millis(20), "192.0.2.1:4000".parse()?, "192.0.2.2:5004".parse()?, b"hello")?;
//! let file = pcap.finish()?;
//!
//! let mut reader = CaptureReader::new(&file[..])?;
//! let mut datagram = Datagram::default();
//! while reader.next(&mut datagram)? {
//!     println!("{} -> {}: {} bytes", datagram.from, datagram.to, datagram.bytes.len());
//! }
//! assert_eq!((reader.format(), reader.counts().datagrams), ("pcap", 1));
//!
//! // What isn't a capture is known by its first bytes.
//! assert!(matches!(CaptureReader::new(&b"a text of someone"[..]), Err(CaptureError::Unknown)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Read are** Ethernet with VLAN tags, Linux cooked captures, loopback, raw IP, PPP, PPPoE, NFLOG and PKTAP. MPLS, IP in IP, GRE,
//! ERSPAN, VXLAN, Geneve and GTP-U are looked through, and IP fragments are put together. **Limits.** TCP, radio (802.11) and
//! encrypted tunnels are skipped and counted ([`CaptureCounts`]). A file that breaks off is read up to there.
//!
//! **Cost.** Memory holds the longest block of the file, up to [`LONGEST_BLOCK`], a few bytes for each interface, and the fragments of
//! IP packets that aren't complete yet.
//!
//! **Standards.** pcap and pcapng are those of draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng; rtpdump is the format of rtptools.

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

/// The longest block that is read, in bytes: no network carries a packet that is as long.
pub const LONGEST_BLOCK: usize = 1 << 24;

/// Files that hold captures and are not supported here: their first bytes, and a hint.
const OTHERS: [(&[u8], &str); 7] = [
    (&[0x28, 0xb5, 0x2f, 0xfd], "it is packed by zstd, and only gzip is unpacked here: zstd -d"),
    (&[0x04, 0x22, 0x4d, 0x18], "it is packed by lz4, and only gzip is unpacked here: lz4 -d"),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "it is packed by xz, and only gzip is unpacked here: xz -d"),
    (b"BZh", "it is packed by bzip2, and only gzip is unpacked here: bzip2 -d"),
    (b"PK\x03\x04", "it is a ZIP archive: unpack it first"),
    (b"snoop\0\0\0", "it is a snoop capture: editcap makes a pcap of it"),
    (b"GMBU", "it is a capture of Network Monitor: editcap makes a pcap of it"),
];

/// The reason why a capture can't be read at all.
#[derive(Debug)]
#[non_exhaustive]
pub enum CaptureError {
    /// The file can't be read.
    Io(io::Error),
    /// The file is neither pcap nor pcapng nor rtpdump, nor anything else that is known.
    Unknown,
    /// The file is of a known kind that is not supported here; the text says which, and gives a hint.
    Other(&'static str),
    /// The file begins as a capture does, and its header is broken.
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

/// A UDP datagram of a capture. [`CaptureReader::next`] fills one again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The time at which it was seen, in microseconds since 1970 or since whatever the capture counts from; `None` where the
    /// capture doesn't say (pcapng's simple packets).
    pub time_us: Option<u64>,
    /// The address that sent it; `0.0.0.0:0` in an rtpdump that doesn't say.
    pub from: SocketAddr,
    /// The address to which it was sent.
    pub to: SocketAddr,
    /// The payload of the datagram.
    pub bytes: Vec<u8>,
}

impl Default for Datagram {
    fn default() -> Self {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Self { time_us: None, from: nowhere, to: nowhere, bytes: Vec::new() }
    }
}

/// The counts of a [`CaptureReader`] so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureCounts {
    /// Packets of any kind.
    pub packets: u64,
    /// Packets that were UDP datagrams and were returned.
    pub datagrams: u64,
    /// Packets that are whole but not UDP over IP.
    pub not_udp: u64,
    /// Fragments of IP packets that were never completed.
    pub fragments: u64,
    /// Fragments that were reassembled with others. The fragment that completed a packet isn't counted here but as that packet.
    pub joined: u64,
    /// Packets that were captured only in part.
    pub cut: u64,
    /// Packets whose headers make no sense.
    pub malformed: u64,
    /// Packets without a time.
    pub untimed: u64,
    /// Packets of a link type that is not read here.
    pub unknown_link: u64,
    /// The last such link type.
    pub link_type: Option<u16>,
    /// The byte at which the file breaks off, and why; `None` if it is whole so far.
    pub broken: Option<(u64, &'static str)>,
}

/// Reads a capture, one datagram after the other.
///
/// [The module's page](self) has an example.
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
    /// [`CaptureError::Io`] if the file can't be opened or read, and otherwise as for [`new`](Self::new).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
        }
        Self::new(file)
    }
}

impl<R: Read> CaptureReader<R> {
    /// Begins to read. The format, gzip included, is known by the first bytes.
    ///
    /// # Errors
    /// [`CaptureError::Io`] if reading fails, [`CaptureError::Unknown`] or [`CaptureError::Other`] if this isn't a capture that can
    /// be read here, [`CaptureError::Header`] if its header is broken.
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

    /// Returns the counts of read and skipped packets so far.
    pub fn counts(&self) -> &CaptureCounts {
        &self.counts
    }

    /// Returns the name of the format: `pcap`, `pcapng` or `rtpdump`.
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

    /// Reads the next datagram into `datagram`. Returns `false` at the end of the file, and where the file breaks off, which
    /// [`CaptureCounts::broken`] counts.
    ///
    /// # Errors
    /// The error of the reader or the file system.
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
                    // If compressed data break off, that is the reason for an incomplete packet.
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

/// Notes that the file can't be read from byte `at` on.
fn broken(counts: &mut CaptureCounts, at: u64, problem: &'static str) -> Found {
    counts.broken = Some((at, problem));
    Found::End
}

/// A frame as it is in the file.
struct Packet<'a> {
    link: u16,
    time_us: Option<u64>,
    bytes: &'a [u8],
    /// The file doesn't have all of it.
    cut: bool,
}

/// The destination of packets of all formats.
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
