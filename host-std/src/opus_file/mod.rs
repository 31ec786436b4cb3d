//! Opus in Ogg files (RFC 7845): one stream of channel mapping family 0, which is mono or stereo.
//!
//! Use [`OpusFile`] to read the packets of a file and [`OpusFileWriter`] to write one. The sound in them is encoded and decoded by
//! [`opus`](crate::opus). A call or a room is recorded to such a file by `record::recorder`, which does all of this by itself.
//!
//! A second of a tone, encoded and written:
//!
//! ```
//! use dsp_core::codec::Encoder;
//! use host_std::opus::{OpusEncoder, OpusEncoderConfig};
//! use host_std::opus_file::{OpusFile, OpusFileWriter, OpusHead};
//!
//! let mut encoder = OpusEncoder::new(OpusEncoderConfig::default())?; // 48 kHz, mono
//! let pre_skip = encoder.lookahead() as u16;
//! let head = OpusHead { channels: 1, pre_skip, input_rate_hz: 48_000, gain_q8: 0 };
//! let mut writer = OpusFileWriter::new(Vec::new(), head)?; // or a file
//! let tone: Vec<i16> = (0..48_000).map(|n| ((n as f32 * 0.06).sin() * 8_000.0) as i16).collect();
//! let mut payload = [0; 1_275];
//! for frame in tone.chunks(960) {
//!     let bytes = encoder.encode(frame, &mut payload)?; // 20 ms
//!     writer.packet(&payload[..bytes], 960)?;
//! }
//! let file = writer.finish(48_000 - u64::from(pre_skip))?;
//! assert_eq!(OpusFile::read(&file[..])?.packets.len(), 50);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! All times are in ticks of 48 kHz, whatever the rate of the sound. The *pre-skip*, the encoder's delay, must be dropped by a
//! player at the beginning. The last page's granule position says where a player must stop.
//!
//! **Cost.** A file is read into memory as a whole. A writer holds one page, of a second.
//!
//! **Limits.** Surround sound (other mapping families) and several files one after another in one ([`OpusFileError::Chained`])
//! aren't read. Damaged and missing pages are skipped, and reported in [`OpusFile::remarks`].

use std::fmt;
use std::io::{self, Read, Write};

use ogg::{PacketWriteEndInfo, PacketWriter};

use crate::opus::{OpusPacket, library_version};

mod pages;

use pages::{Page, Pages};

/// One stream a file; any number will do.
const SERIAL: u32 = 0x4d43_4f50;
/// A page a second, as RFC 7845, 6 recommends.
const PAGE_TICKS: u64 = 48_000;

/// The identification header (RFC 7845, 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusHead {
    /// Channels, 1 or 2.
    pub channels: u8,
    /// The ticks of 48 kHz to drop at the beginning: the encoder's delay.
    pub pre_skip: u16,
    /// The rate of the sound before it was encoded, in Hz; 0 if it isn't known.
    pub input_rate_hz: u32,
    /// The gain to apply after decoding, in 1/256 dB.
    pub gain_q8: i16,
}

/// The reason why a file can't be read.
#[derive(Debug)]
pub enum OpusFileError {
    /// Reading failed.
    Read(io::Error),
    /// The file isn't Ogg; the text says why.
    Ogg(&'static str),
    /// The file is Ogg without Opus, or its header is broken.
    NotOpus,
    /// The file has a version or channel mapping that isn't read here.
    Unsupported {
        /// The version (RFC 7845, 5.1); 0 to 15 are read.
        version: u8,
        /// The channel mapping family; only 0 is read.
        family: u8,
        /// Channels; 1 and 2 are read.
        channels: u8,
    },
    /// The file consists of several files, one after another.
    Chained,
    /// This packet, counted from 0, and all later ones aren't Opus.
    Packet(usize),
}

impl fmt::Display for OpusFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(_) => write!(f, "it can't be read"),
            Self::Ogg(why) => write!(f, "not an Ogg file: {why}"),
            Self::NotOpus => write!(f, "an Ogg file without an Opus stream at its beginning"),
            Self::Unsupported { version, family, channels } => {
                write!(
                    f,
                    "Opus of version {version} with {channels} channels (mapping family {family}) is not supported"
                )
            }
            Self::Chained => write!(f, "several Opus streams one after another are not supported"),
            Self::Packet(number) => write!(f, "packet {number} is not Opus"),
        }
    }
}

impl std::error::Error for OpusFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(error) => Some(error),
            _ => None,
        }
    }
}

/// A file that was read.
///
/// Four packets of 20 ms into a file in memory, and out of it again:
///
/// ```
/// use host_std::opus_file::{OpusFile, OpusFileWriter, OpusHead};
///
/// let head = OpusHead { channels: 1, pre_skip: 312, input_rate_hz: 16_000, gain_q8: 0 };
/// let packet = [31 << 3, 1, 2, 3];
/// let mut writer = OpusFileWriter::new(Vec::new(), head)?;
/// for _ in 0..4 {
///     writer.packet(&packet, 960)?;
/// }
/// let bytes = writer.finish(4 * 960 - 312)?;
///
/// let file = OpusFile::read(&bytes[..])?;
/// assert_eq!((file.head, file.packets.len(), file.ticks), (head, 4, 3_528));
/// assert_eq!(file.packets[3], packet);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpusFile {
    /// The header.
    pub head: OpusHead,
    /// The Opus packets, in their order.
    pub packets: Vec<Vec<u8>>,
    /// The audible length after the pre-skip, in ticks of 48 kHz.
    pub ticks: u64,
    /// The defects of the file although it was read: for people, each one sentence without a full stop.
    pub remarks: Vec<String>,
}

impl OpusFile {
    /// Reads a whole file. Other streams beside the Opus stream are skipped. So are damaged pages and packets that aren't Opus,
    /// which [`OpusFile::remarks`] reports.
    ///
    /// # Errors
    /// [`OpusFileError::Read`] if reading fails, [`OpusFileError::Ogg`] or [`OpusFileError::NotOpus`] if this isn't such a file,
    /// [`OpusFileError::Unsupported`] for more than two channels or another mapping, [`OpusFileError::Chained`] for several files
    /// in one, [`OpusFileError::Packet`] if no packet is Opus.
    pub fn read(input: impl Read) -> Result<Self, OpusFileError> {
        let mut pages = Pages::new(input);
        let mut first_page = None;
        let (head, serial) = loop {
            let Some(page) = pages.next().map_err(OpusFileError::Read)? else {
                return Err(first_page.map_or(OpusFileError::Ogg("it has no whole page"), |()| OpusFileError::NotOpus));
            };
            first_page = Some(());
            // All streams of a file begin before any of them continues (RFC 3533).
            let packet = page.parts().next().filter(|_| page.begins).ok_or(OpusFileError::NotOpus)?.0;
            if packet.starts_with(b"OpusHead") {
                break (OpusHead::parse(packet)?, page.serial);
            }
        };
        let mut stream = Stream::default();
        while let Some(page) = pages.next().map_err(OpusFileError::Read)? {
            let is_other = page.serial != serial || stream.ended;
            let has_head = || page.parts().next().is_some_and(|(packet, _)| packet.starts_with(b"OpusHead"));
            // A stream beside this one would have begun before this one continued.
            if page.begins && (stream.ended || (stream.next_page > 1 && has_head())) {
                return Err(OpusFileError::Chained);
            }
            if !is_other {
                stream.page(&page)?;
            }
        }
        stream.finish(head, pages.damaged, pages.cut)
    }
}

/// The Opus stream of a file, page by page.
struct Stream {
    packets: Vec<Vec<u8>>,
    /// Ticks of all packets, and where the file says that the first begins and the last ends.
    total: u64,
    first: Option<u64>,
    last: u64,
    /// A packet that continues in the next page; `None` if the beginning of such a packet isn't known.
    partial: Option<Vec<u8>>,
    next_page: u32,
    /// Pages that are missing, and packets that are no Opus.
    missing: u32,
    wrong: usize,
    tags: bool,
    ended: bool,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            packets: Vec::new(),
            total: 0,
            first: None,
            last: 0,
            partial: None,
            // The first has the header.
            next_page: 1,
            missing: 0,
            wrong: 0,
            tags: false,
            ended: false,
        }
    }
}

impl Stream {
    fn page(&mut self, page: &Page) -> Result<(), OpusFileError> {
        if page.number != self.next_page {
            self.missing += 1;
            self.partial = None;
        }
        self.next_page = page.number.wrapping_add(1);
        if !page.continued {
            self.partial = Some(Vec::new());
        }
        for (part, whole) in page.parts() {
            if let Some(packet) = &mut self.partial {
                packet.extend_from_slice(part);
            }
            if whole && let Some(packet) = self.partial.replace(Vec::new()) {
                self.packet(packet)?;
            }
        }
        self.ended = page.ends;
        if let Some(position) = page.position {
            self.last = position;
            if self.total > 0 {
                // A stream that was cut out of a longer one doesn't begin at 0 (RFC 7845).
                self.first.get_or_insert(position.saturating_sub(self.total));
            }
        }
        Ok(())
    }

    fn packet(&mut self, packet: Vec<u8>) -> Result<(), OpusFileError> {
        if !std::mem::replace(&mut self.tags, true) {
            if packet.starts_with(b"OpusTags") {
                return Ok(());
            }
            if self.missing == 0 {
                return Err(OpusFileError::NotOpus);
            }
        }
        match OpusPacket::parse(&packet) {
            Ok(opus) => {
                self.total += u64::from(opus.ticks());
                self.packets.push(packet);
            }
            Err(_) => self.wrong += 1,
        }
        Ok(())
    }

    fn finish(self, head: OpusHead, damaged: u32, cut: bool) -> Result<OpusFile, OpusFileError> {
        let (first, pre_skip) = (self.first.unwrap_or(0), u64::from(head.pre_skip));
        let ticks = self.last.saturating_sub(first).min(self.total).saturating_sub(pre_skip);
        if self.packets.is_empty() && self.wrong > 0 {
            return Err(OpusFileError::Packet(0));
        }
        let mut remarks = Vec::new();
        let seconds = ticks as f64 / 48_000.0;
        if !self.ended {
            let how = if cut { "within a page" } else { "before its end" };
            remarks.push(format!("it is cut off {how}: {seconds:.2} s of sound are there"));
        }
        let mut add = |count: u64, one: &str, more: &str| match count {
            0 => {}
            1 => remarks.push(format!("1 {one}: its sound is left out")),
            _ => remarks.push(format!("{count} {more}: their sound is left out")),
        };
        add(damaged.into(), "page is damaged", "pages are damaged");
        // Damaged packets are missing, and that is reported already.
        if damaged == 0 {
            add(self.missing.into(), "place has pages missing", "places have pages missing");
        }
        add(self.wrong as u64, "packet is not Opus", "packets are not Opus");
        Ok(OpusFile { head, packets: self.packets, ticks, remarks })
    }
}

impl OpusHead {
    /// Returns the factor that the sound is multiplied by after decoding (RFC 7845, 5.1).
    pub fn gain(&self) -> f64 {
        10f64.powf(f64::from(self.gain_q8) / 256.0 / 20.0)
    }

    fn parse(data: &[u8]) -> Result<Self, OpusFileError> {
        let Some(&[version, channels, skip_low, skip_high, r0, r1, r2, r3, gain_low, gain_high, family]) =
            data.get(8..).and_then(|rest| rest.first_chunk::<11>())
        else {
            return Err(OpusFileError::NotOpus);
        };
        if version > 15 || family != 0 || !matches!(channels, 1 | 2) {
            return Err(OpusFileError::Unsupported { version, family, channels });
        }
        Ok(Self {
            channels,
            pre_skip: u16::from_le_bytes([skip_low, skip_high]),
            input_rate_hz: u32::from_le_bytes([r0, r1, r2, r3]),
            gain_q8: i16::from_le_bytes([gain_low, gain_high]),
        })
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = b"OpusHead\x01".to_vec();
        bytes.push(self.channels);
        bytes.extend(self.pre_skip.to_le_bytes());
        bytes.extend(self.input_rate_hz.to_le_bytes());
        bytes.extend(self.gain_q8.to_le_bytes());
        bytes.push(0);
        bytes
    }
}

/// Writes a file, one packet after the other, to anything that is [`Write`].
///
/// ```
/// use host_std::opus_file::{OpusFileWriter, OpusHead};
///
/// let path = std::env::temp_dir().join(format!("doc-opus-writer-{}.opus", std::process::id()));
/// let head = OpusHead { channels: 1, pre_skip: 312, input_rate_hz: 16_000, gain_q8: 0 };
/// let mut writer = OpusFileWriter::new(std::io::BufWriter::new(std::fs::File::create(&path)?), head)?;
/// for _ in 0..50 {
///     writer.packet(&[31 << 3, 1, 2, 3], 960)?; // 20 ms, as an `OpusEncoder` makes them
/// }
/// writer.finish(50 * 960 - 312)?; // without this the file has no end
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct OpusFileWriter<W: Write> {
    writer: PacketWriter<'static, W>,
    serial: u32,
    /// The packet before, which may turn out to be the last, and the ticks up to its end.
    waiting: Option<(Vec<u8>, u64)>,
    ticks: u64,
    page_end: u64,
    pre_skip: u64,
}

impl<W: Write> OpusFileWriter<W> {
    /// Begins a file and writes its headers.
    ///
    /// # Errors
    /// The error of `output`.
    pub fn new(output: W, head: OpusHead) -> io::Result<Self> {
        Self::with_serial(output, head, SERIAL)
    }

    fn with_serial(output: W, head: OpusHead, serial: u32) -> io::Result<Self> {
        let mut writer = PacketWriter::new(output);
        writer.write_packet(head.to_bytes(), serial, PacketWriteEndInfo::EndPage, 0)?;
        let vendor = library_version().as_bytes();
        let mut tags = b"OpusTags".to_vec();
        tags.extend((vendor.len() as u32).to_le_bytes());
        tags.extend(vendor);
        tags.extend(0u32.to_le_bytes());
        writer.write_packet(tags, serial, PacketWriteEndInfo::EndPage, 0)?;
        Ok(Self { writer, serial, waiting: None, ticks: 0, page_end: PAGE_TICKS, pre_skip: head.pre_skip.into() })
    }

    /// Writes a packet that lasts `ticks`.
    ///
    /// # Errors
    /// The error of the output.
    pub fn packet(&mut self, packet: &[u8], ticks: u32) -> io::Result<()> {
        self.ticks += u64::from(ticks);
        if let Some((before, end)) = self.waiting.replace((packet.to_vec(), self.ticks)) {
            let full = end >= self.page_end;
            if full {
                self.page_end = end + PAGE_TICKS;
            }
            let info = if full { PacketWriteEndInfo::EndPage } else { PacketWriteEndInfo::NormalPacket };
            self.writer.write_packet(before, self.serial, info, end)?;
        }
        Ok(())
    }

    /// Ends the file so that `heard_ticks` of it are heard, the pre-skip not counted, and gives the output back.
    ///
    /// # Errors
    /// The error of the output.
    pub fn finish(mut self, heard_ticks: u64) -> io::Result<W> {
        if let Some((last, end)) = self.waiting.take() {
            let position = end.min(self.pre_skip + heard_ticks);
            self.writer.write_packet(last, self.serial, PacketWriteEndInfo::EndStream, position)?;
        }
        self.writer.inner_mut().flush()?;
        Ok(self.writer.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const HEAD: OpusHead = OpusHead { channels: 2, pre_skip: 312, input_rate_hz: 44_100, gain_q8: -512 };

    /// A packet of 20 ms in the MDCT's fullband mode, mono, of `bytes`.
    fn packet(bytes: usize) -> Vec<u8> {
        let mut packet = vec![0x55; bytes];
        packet[0] = 31 << 3;
        packet
    }

    fn file(packets: usize, heard: u64) -> Vec<u8> {
        stream(packets, heard, SERIAL)
    }

    fn stream(packets: usize, heard: u64, serial: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = OpusFileWriter::with_serial(&mut bytes, HEAD, serial).unwrap();
        for n in 0..packets {
            writer.packet(&packet(1 + n * 7 % 1_200), 960).unwrap();
        }
        writer.finish(heard).unwrap();
        bytes
    }

    #[test]
    fn goes_round() {
        for packets in [1, 2, 50, 51, 400] {
            let heard = packets as u64 * 960 - 312 - 100;
            let read = OpusFile::read(Cursor::new(file(packets, heard))).unwrap();
            assert_eq!((read.head, read.packets.len(), read.ticks), (HEAD, packets, heard));
            assert!(read.packets.iter().enumerate().all(|(n, read)| *read == packet(1 + n * 7 % 1_200)));
        }
    }

    #[test]
    fn of_a_cut_or_damaged_file_all_is_read_that_is_there() {
        let (packets, heard) = (400, 400 * 960 - 312);
        let whole = file(packets, heard);
        let read = |bytes: &[u8]| OpusFile::read(Cursor::new(bytes.to_vec())).unwrap();
        assert_eq!(read(&whole).remarks, [""; 0]);
        let pages: Vec<usize> = (0..whole.len()).filter(|&at| whole[at..].starts_with(b"OggS")).collect();
        assert!(pages.len() > 5);

        // At any place behind the header: whole packets, in their order.
        for cut in (pages[1]..whole.len()).step_by(997) {
            let read = read(&whole[..cut]);
            assert!(read.packets.iter().enumerate().all(|(n, read)| *read == packet(1 + n * 7 % 1_200)), "{cut}");
            let ticks = read.packets.len() as u64 * 960;
            assert_eq!(read.ticks, ticks.saturating_sub(312), "{cut}");
            assert!(read.remarks.iter().any(|remark| remark.contains("cut off")), "{cut}: {:?}", read.remarks);
        }
        // A page that is damaged, or missing; what is before and behind it is there.
        for n in 2..pages.len() - 1 {
            let mut damaged = whole.clone();
            damaged[(pages[n] + pages[n + 1]) / 2] ^= 1;
            let missing = [&whole[..pages[n]], &whole[pages[n + 1]..]].concat();
            for bytes in [damaged, missing] {
                let read = read(&bytes);
                assert_eq!(read.remarks.len(), 1, "{:?}", read.remarks);
                assert!((300..400).contains(&read.packets.len()), "{}", read.packets.len());
                assert!(read.packets.ends_with(&[packet(1 + 399 * 7 % 1_200)]));
                assert_eq!(read.packets.contains(&packet(1)), n > 2);
            }
        }
        // Rubbish before the first page, and behind the last.
        let around = [b"ID3 of somebody OggS", &whole[..], b"TAG"].concat();
        assert_eq!(read(&around).packets.len(), packets);
    }

    #[test]
    fn what_is_no_opus_file_is_an_error() {
        let read = |bytes: &[u8]| OpusFile::read(Cursor::new(bytes.to_vec()));
        assert!(matches!(read(b""), Err(OpusFileError::Ogg(_))));
        assert!(matches!(read(b"RIFF....WAVE"), Err(OpusFileError::Ogg(_))));
        let chained = [file(3, 900), stream(3, 900, 7)].concat();
        assert!(matches!(read(&chained), Err(OpusFileError::Chained)), "{:?}", read(&chained));
        assert!(read(&[file(3, 900), file(3, 900)].concat()).is_err());
        assert_eq!(OpusHead::parse(&HEAD.to_bytes()).unwrap(), HEAD);
        let mut surround = HEAD.to_bytes();
        (surround[9], surround[18]) = (6, 1);
        let error = OpusHead::parse(&surround);
        assert!(matches!(error, Err(OpusFileError::Unsupported { version: 1, family: 1, channels: 6 })), "{error:?}");
        assert!(matches!(OpusHead::parse(&HEAD.to_bytes()[..18]), Err(OpusFileError::NotOpus)));
    }
}
