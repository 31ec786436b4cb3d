//! The header of a WAV file: where its sound is, how much of it, and how it is coded.
//!
//! The formats are RIFF in both byte orders, and RF64 or BW64 for files longer than 4 GB (EBU Tech 3306, ITU-R BS.2088). Like sox
//! and ffmpeg it reads files with sizes that a writer never knew or never wrote, files that break off, and wrong byte rates.
//! Oddities are reported in [`Header::remarks`].

use std::fmt;
use std::io::{Read, Seek, SeekFrom};

use super::WavErrorKind;

/// A file with more chunks before its sound is none.
const MOST_CHUNKS: usize = 1_000;
/// The longest format chunk that is known: WAVEFORMATEXTENSIBLE.
const LONGEST_FORMAT: usize = 40;
/// The size that some writers use for an unknown length; sox counts down from here.
const SURELY_UNKNOWN: u64 = 0x7fff_0000;
/// The ends of a format's GUID after the two octets of the coding: Microsoft's, and that of ambisonic sound.
const GUID_TAILS: [[u8; 14]; 2] = [
    [0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xaa, 0x00, 0x38, 0x9b, 0x71],
    [0x00, 0x00, 0x21, 0x07, 0xd3, 0x11, 0x86, 0x44, 0xc8, 0xc1, 0xca, 0x00, 0x00, 0x00],
];

/// The coding of samples in a WAV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WavCoding {
    /// Integers: of 8 bits without a sign, of more with one.
    Int,
    /// IEEE floating point, full scale at 1.0.
    Float,
    /// A-law of G.711.
    ALaw,
    /// Mu-law of G.711.
    MuLaw,
}

/// The format of a WAV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WavSpec {
    /// Channels, 1 to 64.
    pub channels: u16,
    /// Samples a second of a channel, in Hz.
    pub sample_rate: u32,
    /// Bits of a sample in the file.
    pub bits_per_sample: u16,
    /// The meaning of these bits.
    pub coding: WavCoding,
}

impl fmt::Display for WavSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.coding {
            WavCoding::Int => write!(f, "{}-bit integer", self.bits_per_sample),
            WavCoding::Float => write!(f, "{}-bit float", self.bits_per_sample),
            WavCoding::ALaw => f.write_str("A-law"),
            WavCoding::MuLaw => f.write_str("mu-law"),
        }
    }
}

/// A header that was read.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) spec: WavSpec,
    pub(super) big_endian: bool,
    /// Octets of a sample: its bits are the upper ones of these.
    pub(super) sample_bytes: usize,
    /// The begin of the sound, in octets from the beginning of the file.
    pub(super) data_at: u64,
    /// Samples of each channel that are there.
    pub(super) frames: u64,
    pub(super) remarks: Vec<String>,
}

impl Header {
    /// Octets of a sample of all channels.
    pub(super) fn frame_bytes(&self) -> usize {
        self.sample_bytes * usize::from(self.spec.channels)
    }

    /// Reads a header, and leaves `input` at its first sample.
    pub(super) fn read(input: &mut (impl Read + Seek + ?Sized)) -> Result<Self, WavErrorKind> {
        let len = input.seek(SeekFrom::End(0)).map_err(WavErrorKind::Open)?;
        input.seek(SeekFrom::Start(0)).map_err(WavErrorKind::Open)?;
        let mut riff = [0; 12];
        if !fill(input, &mut riff)? {
            return Err(WavErrorKind::NotWav(if len == 0 { "it is empty" } else { "it is too short" }));
        }
        let (big_endian, long) = match &riff[..4] {
            b"RIFF" => (false, false),
            b"RIFX" => (true, false),
            b"RF64" | b"BW64" => (false, true),
            _ => return Err(WavErrorKind::NotWav("it doesn't begin with RIFF")),
        };
        if &riff[8..] != b"WAVE" {
            return Err(WavErrorKind::NotWav("it is RIFF, but not of sound"));
        }
        let u32_of = |bytes: [u8; 4]| if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        let [_, _, _, _, r0, r1, r2, r3, ..] = riff;
        let riff_is_right = len.checked_sub(8) == Some(u64::from(u32_of([r0, r1, r2, r3])));

        let (mut at, mut format, mut long_size) = (12u64, None, None);
        for _ in 0..MOST_CHUNKS {
            input.seek(SeekFrom::Start(at)).map_err(WavErrorKind::Read)?;
            let mut head = [0; 8];
            if !fill(input, &mut head)? {
                break;
            }
            let [i0, i1, i2, i3, s0, s1, s2, s3] = head;
            let size = u32_of([s0, s1, s2, s3]);
            at += 8;
            match &[i0, i1, i2, i3] {
                b"data" => {
                    let format: Format = format.ok_or(WavErrorKind::NotWav("its sound comes before its format"))?;
                    let claimed = match long_size {
                        Some(long_size) if long && size == u32::MAX => long_size,
                        _ => size.into(),
                    };
                    let rest = len.saturating_sub(at);
                    if claimed == 0 && riff_is_right {
                        return Err(WavErrorKind::Empty);
                    }
                    return format.header(big_endian, at, claimed, rest);
                }
                b"fmt " if format.is_none() => {
                    let mut bytes = [0; LONGEST_FORMAT];
                    let bytes = &mut bytes[..LONGEST_FORMAT.min(size as usize)];
                    if !fill(input, bytes)? {
                        break;
                    }
                    format = Some(Format::parse(bytes, big_endian)?);
                }
                b"ds64" if long && size >= 16 => {
                    let mut bytes = [0; 16];
                    if !fill(input, &mut bytes)? {
                        break;
                    }
                    let [.., d0, d1, d2, d3, d4, d5, d6, d7] = bytes;
                    long_size = Some(u64::from_le_bytes([d0, d1, d2, d3, d4, d5, d6, d7]));
                }
                _ => {}
            }
            // An odd chunk is followed by an octet of padding.
            at += u64::from(size) + u64::from(size & 1);
        }
        Err(WavErrorKind::NotWav(match format {
            Some(_) => "it has no chunk with sound (data)",
            None => "it has no chunk with its format (fmt)",
        }))
    }
}

/// Fills `bytes`; false where the file ends before.
fn fill(input: &mut (impl Read + ?Sized), bytes: &mut [u8]) -> Result<bool, WavErrorKind> {
    match input.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(WavErrorKind::Read(error)),
    }
}

/// The content of the format chunk.
struct Format {
    spec: WavSpec,
    sample_bytes: usize,
    remarks: Vec<String>,
}

impl Format {
    fn parse(bytes: &[u8], big_endian: bool) -> Result<Self, WavErrorKind> {
        let u16_at = |at: usize| {
            let two = bytes.get(at..).and_then(|bytes| bytes.first_chunk().copied()).unwrap_or_default();
            if big_endian { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) }
        };
        let u32_at = |at: usize| {
            let (first, second) = (u32::from(u16_at(at)), u32::from(u16_at(at + 2)));
            if big_endian { first << 16 | second } else { second << 16 | first }
        };
        if bytes.len() < 14 {
            return Err(WavErrorKind::NotWav("its format is too short"));
        }
        let (mut tag, channels, sample_rate) = (u16_at(0), u16_at(2), u32_at(4));
        let (byte_rate, block, bits) = (u32_at(8), u16_at(12), u16_at(14));
        if tag == 0xfffe {
            let known = bytes.get(26..40).is_some_and(|tail| GUID_TAILS.iter().any(|guid| guid == tail));
            if !known {
                return Err(WavErrorKind::Unsupported("its extensible format".into()));
            }
            tag = u16_at(24);
        }
        let coding = match tag {
            1 => WavCoding::Int,
            3 => WavCoding::Float,
            6 => WavCoding::ALaw,
            7 => WavCoding::MuLaw,
            other => return Err(WavErrorKind::Unsupported(coding_name(other))),
        };
        if !(1..=64).contains(&channels) {
            return Err(WavErrorKind::Unsupported(format!("a file of {channels} channels, not 1 to 64,")));
        }
        let mut remarks = Vec::new();
        // A sample may occupy more octets than its bits need, if the block size says so.
        let in_block = if block % channels == 0 { usize::from(block / channels) } else { 0 };
        let bits = match (coding, bits) {
            (WavCoding::ALaw | WavCoding::MuLaw, _) => 8,
            (_, 0) => (in_block * 8) as u16,
            (_, bits) => bits,
        };
        let needed = usize::from(bits).div_ceil(8);
        let is_int = coding == WavCoding::Int;
        let sample_bytes =
            if is_int && in_block > needed && matches!(in_block, 2 | 3 | 4 | 8) { in_block } else { needed };
        let spec = WavSpec { channels, sample_rate, bits_per_sample: bits, coding };
        let known = match coding {
            WavCoding::Int => matches!(sample_bytes, 1 | 2 | 3 | 4 | 8),
            WavCoding::Float => matches!(bits, 32 | 64),
            WavCoding::ALaw | WavCoding::MuLaw => true,
        };
        if !known {
            return Err(WavErrorKind::Unsupported(spec.to_string()));
        }
        let frame_bytes = sample_bytes * usize::from(channels);
        if usize::from(block) != frame_bytes {
            remarks.push(format!("its header has blocks of {block} bytes; they are of {frame_bytes}"));
        }
        let rate = u64::from(sample_rate) * frame_bytes as u64;
        if u64::from(byte_rate) != rate {
            remarks.push(format!("its header has {byte_rate} bytes a second; they are {rate}"));
        }
        Ok(Self { spec, sample_bytes, remarks })
    }

    /// Returns the header of a file that claims `claimed` octets of sound and has `rest` octets left.
    fn header(self, big_endian: bool, data_at: u64, claimed: u64, rest: u64) -> Result<Header, WavErrorKind> {
        let Self { spec, sample_bytes, mut remarks } = self;
        let frame_bytes = sample_bytes as u64 * u64::from(spec.channels);
        let seconds = |bytes: u64| bytes as f64 / frame_bytes as f64 / f64::from(spec.sample_rate.max(1));
        let bytes = if claimed == 0 || (claimed > rest && claimed >= SURELY_UNKNOWN) {
            if rest > 0 {
                remarks.push("its header doesn't say how long it is; it is read to the end of the file".into());
            }
            rest
        } else if claimed > rest {
            let (there, all) = (seconds(rest), seconds(claimed));
            remarks.push(format!("it breaks off: {there:.2} s of {all:.2} s are there"));
            rest
        } else {
            claimed
        };
        let frames = bytes / frame_bytes;
        if frames == 0 {
            return Err(WavErrorKind::Empty);
        }
        if bytes % frame_bytes > 0 {
            remarks.push(format!("it ends within a sample: its last {} bytes are left out", bytes % frame_bytes));
        }
        Ok(Header { spec, big_endian, sample_bytes, data_at, frames, remarks })
    }
}

/// Codings that are none of ours, by the number in the header (RFC 2361).
fn coding_name(tag: u16) -> String {
    let name = match tag {
        0x02 => "ADPCM of Microsoft",
        0x11 => "ADPCM of IMA",
        0x31 => "GSM 06.10",
        0x45 | 0x40 => "G.726",
        0x50 | 0x55 => "MPEG audio",
        0x64 => "G.726",
        0x65 | 0x28f => "G.722",
        0x83 => "G.729",
        0x160..=0x163 => "Windows Media Audio",
        _ => return format!("coding 0x{tag:04x}"),
    };
    format!("{name} (coding 0x{tag:04x})")
}
