//! Opus in Ogg files (RFC 7845): one stream of channel mapping family 0, which is mono or stereo. The pages are the
//! crate `ogg`'s.
//!
//! All times are in ticks of 48 kHz, whatever the rate of the sound. What a player must drop at the beginning, the
//! encoder's delay, is the *pre-skip*; where it must end is in the last page's granule position.

use std::fmt;
use std::io::{self, Read, Seek, Write};

use ogg::{OggReadError, PacketReader, PacketWriteEndInfo, PacketWriter};

use crate::opus::{OpusPacket, library_version};

/// One stream a file; any number will do.
const SERIAL: u32 = 0x4d43_4f50;
/// A page a second, as RFC 7845, 6 recommends.
const PAGE_TICKS: u64 = 48_000;

/// The identification header (RFC 7845, 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusHead {
    /// 1 or 2.
    pub channels: u8,
    /// Ticks to drop at the beginning.
    pub pre_skip: u16,
    /// Rate of the sound before it was encoded, in Hz; 0: unknown.
    pub input_rate_hz: u32,
    /// Gain to apply after decoding, in dB, Q7.8.
    pub gain_q8: i16,
}

/// Why a file is not read.
#[derive(Debug)]
pub enum OpusFileError {
    /// It is no Ogg file, or can't be read.
    Ogg(OggReadError),
    /// It is an Ogg file without Opus, or its header is broken.
    NotOpus,
    /// It has a version or channel mapping that is not read here.
    Unsupported {
        /// RFC 7845's version; 0 to 15 are possible.
        version: u8,
        /// The channel mapping family; only 0 is possible.
        family: u8,
        /// Channels; 1 and 2 are possible.
        channels: u8,
    },
    /// Several files one after another in one.
    Chained,
    /// This packet, counted from 0, is not Opus.
    Packet(usize),
}

impl fmt::Display for OpusFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ogg(_) => write!(f, "not an Ogg file"),
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
            Self::Ogg(error) => Some(error),
            _ => None,
        }
    }
}

impl From<OggReadError> for OpusFileError {
    fn from(error: OggReadError) -> Self {
        Self::Ogg(error)
    }
}

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpusFile {
    /// Its header.
    pub head: OpusHead,
    /// The packets.
    pub packets: Vec<Vec<u8>>,
    /// Ticks to hear, after the pre-skip.
    pub ticks: u64,
}

impl OpusFile {
    /// Reads a file whole. Other streams beside the Opus stream are passed over.
    ///
    /// # Errors
    /// [`OpusFileError`].
    pub fn read(input: impl Read + Seek) -> Result<Self, OpusFileError> {
        let mut reader = PacketReader::new(input);
        let (head, serial) = loop {
            let packet = reader.read_packet()?.ok_or(OpusFileError::NotOpus)?;
            // All streams of a file begin before any goes on (RFC 3533).
            if !packet.first_in_stream() {
                return Err(OpusFileError::NotOpus);
            }
            if packet.data.starts_with(b"OpusHead") {
                break (OpusHead::parse(&packet.data)?, packet.stream_serial());
            }
        };
        let (mut packets, mut total, mut first, mut last) = (Vec::new(), 0u64, None, 0);
        let (mut tags, mut ended) = (false, false);
        while let Some(packet) = reader.read_packet()? {
            if packet.stream_serial() != serial || ended {
                if ended && packet.first_in_stream() {
                    return Err(OpusFileError::Chained);
                }
                continue;
            }
            ended = packet.last_in_stream();
            if !tags {
                tags = true;
                if !packet.data.starts_with(b"OpusTags") {
                    return Err(OpusFileError::NotOpus);
                }
                continue;
            }
            let opus = OpusPacket::parse(&packet.data).map_err(|_| OpusFileError::Packet(packets.len()))?;
            total += u64::from(opus.ticks());
            packets.push(packet.data.to_vec());
            if packet.last_in_page() {
                last = packet.absgp_page();
                // A stream that was cut out of a longer one doesn't begin at 0 (RFC 7845).
                first.get_or_insert(last.saturating_sub(total));
            }
        }
        let ticks = last.saturating_sub(first.unwrap_or(0)).min(total).saturating_sub(head.pre_skip.into());
        Ok(Self { head, packets, ticks })
    }
}

impl OpusHead {
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

/// A file being written.
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
    /// Writes the headers.
    ///
    /// # Errors
    /// What `output` says.
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
    /// What the output says.
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
    /// What the output says.
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
