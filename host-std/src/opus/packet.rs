//! The framing of an Opus packet: the table-of-contents byte and the four ways to arrange the frames that follow it (RFC 6716,
//! 3.1, 3.2 and the requirements R1 to R7 of 3.4), read without libopus.
//!
//! Durations are in 48 kHz ticks. Cost: O(frames), at most 48 of them.

use std::fmt;

use dsp_core::codec::DecodeError;

use super::OpusBandwidth;

/// The longest packet, 120 ms (RFC 6716, 3.2.5, R5), in 48 kHz ticks.
pub const MAX_PACKET_TICKS: u32 = 5760;

/// The largest frame in bytes (RFC 6716, 3.2.1, R2).
const MAX_FRAME: usize = 1275;

/// The layers that coded the packet's frames (RFC 6716, 3.1, table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpusMode {
    /// Linear prediction: configurations 0 to 11.
    Silk,
    /// Both layers are used: configurations 12 to 15.
    Hybrid,
    /// MDCT: configurations 16 to 31.
    Celt,
}

/// The rule of RFC 6716, 3.4, that a packet breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpusPacketError {
    /// R1: no bytes at all.
    Empty,
    /// R2: a frame of more than 1275 bytes.
    FrameTooLong {
        /// Bytes of the frame.
        bytes: usize,
    },
    /// R3: two equal frames in an odd number of bytes.
    OddLength {
        /// Bytes of both frames.
        bytes: usize,
    },
    /// R4 and R7: a frame reaches beyond the packet's end, or its length does.
    FrameTruncated,
    /// R5: no frames, or more than 120 ms of them.
    FrameCount {
        /// Frames counted.
        frames: u8,
    },
    /// R6 and R7: the packet ends before its frame count, or within its padding.
    Truncated,
    /// R6: equal frames in a number of bytes that they don't divide.
    UnequalFrames {
        /// Bytes of all frames.
        bytes: usize,
        /// Frames counted.
        frames: u8,
    },
}

impl OpusPacketError {
    /// Returns the rule's number in RFC 6716, 3.4 (of two, the first).
    pub const fn rule(self) -> i32 {
        match self {
            Self::Empty => 1,
            Self::FrameTooLong { .. } => 2,
            Self::OddLength { .. } => 3,
            Self::FrameTruncated => 4,
            Self::FrameCount { .. } => 5,
            Self::Truncated | Self::UnequalFrames { .. } => 6,
        }
    }
}

impl fmt::Display for OpusPacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => write!(f, "an empty packet"),
            Self::FrameTooLong { bytes } => write!(f, "a frame of {bytes} bytes (at most {MAX_FRAME})"),
            Self::OddLength { bytes } => write!(f, "two equal frames in {bytes} bytes"),
            Self::FrameTruncated => write!(f, "a frame longer than the packet"),
            Self::FrameCount { frames: 0 } => write!(f, "no frames"),
            Self::FrameCount { frames } => write!(f, "{frames} frames, longer than 120 ms"),
            Self::Truncated => write!(f, "the packet ends before its first frame"),
            Self::UnequalFrames { bytes, frames } => write!(f, "{frames} equal frames in {bytes} bytes"),
        }
    }
}

impl std::error::Error for OpusPacketError {}

impl From<OpusPacketError> for DecodeError {
    fn from(error: OpusPacketError) -> Self {
        match error {
            OpusPacketError::Empty => Self::Empty,
            error => Self::Malformed(error.rule()),
        }
    }
}

/// The framing of one packet.
///
/// ```
/// use host_std::opus::{OpusBandwidth, OpusMode, OpusPacket};
///
/// // One frame of 20 ms in the full band, mono, of three bytes.
/// let packet = OpusPacket::parse(&[31 << 3, 1, 2, 3])?;
/// assert_eq!((packet.mode, packet.bandwidth, packet.channels), (OpusMode::Celt, OpusBandwidth::Full, 1));
/// assert_eq!(packet.ticks(), 960); // at 48 kHz
///
/// let error = OpusPacket::parse(&[]).unwrap_err();
/// assert_eq!(error.rule(), 1);
/// # Ok::<(), host_std::opus::OpusPacketError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusPacket {
    /// The layers in use.
    pub mode: OpusMode,
    /// The band coded.
    pub bandwidth: OpusBandwidth,
    /// Channels coded: 1 or 2.
    pub channels: u8,
    /// Frames in the packet: 1 to 48.
    pub frames: u8,
    /// The duration of one frame, in 48 kHz ticks: 120 to 2880.
    pub frame_ticks: u32,
    /// Bytes of the first frame; 0 or 1 means that the frame was not sent (DTX).
    pub first_frame_bytes: usize,
}

impl OpusPacket {
    /// Reads the framing of `packet` and checks it to its last byte.
    ///
    /// # Errors
    /// The [`OpusPacketError`] that names the broken rule.
    pub fn parse(packet: &[u8]) -> Result<Self, OpusPacketError> {
        use OpusBandwidth::{Full, Medium, Narrow, SuperWide, Wide};
        let (&toc, rest) = packet.split_first().ok_or(OpusPacketError::Empty)?;
        let config = toc >> 3;
        let (mode, frame_ticks) = match config {
            0..=11 => (OpusMode::Silk, [480, 960, 1920, 2880][usize::from(config & 3)]),
            12..=15 => (OpusMode::Hybrid, [480, 960][usize::from(config & 1)]),
            _ => (OpusMode::Celt, [120, 240, 480, 960][usize::from(config & 3)]),
        };
        let bandwidth = match config {
            0..=3 | 16..=19 => Narrow,
            4..=7 => Medium,
            8..=11 | 20..=23 => Wide,
            12 | 13 | 24..=27 => SuperWide,
            _ => Full,
        };
        let (frames, first_frame_bytes) = match toc & 3 {
            0 => (1, checked_frame(rest.len())?),
            1 if rest.len() % 2 == 0 => (2, checked_frame(rest.len() / 2)?),
            1 => return Err(OpusPacketError::OddLength { bytes: rest.len() }),
            2 => {
                let (first, rest) = take_length(rest)?;
                checked_frame(rest.len().checked_sub(first).ok_or(OpusPacketError::FrameTruncated)?)?;
                (2, first)
            }
            _ => arbitrary_frames(rest, frame_ticks)?,
        };
        let channels = 1 + ((toc >> 2) & 1);
        Ok(Self { mode, bandwidth, channels, frames, frame_ticks, first_frame_bytes })
    }

    /// Returns the duration of the packet, in 48 kHz ticks: at most [`MAX_PACKET_TICKS`].
    pub const fn ticks(&self) -> u32 {
        self.frames as u32 * self.frame_ticks
    }
}

fn checked_frame(bytes: usize) -> Result<usize, OpusPacketError> {
    if bytes > MAX_FRAME { Err(OpusPacketError::FrameTooLong { bytes }) } else { Ok(bytes) }
}

/// One or two bytes of frame length (RFC 6716, 3.2.1), and what follows them.
fn take_length(bytes: &[u8]) -> Result<(usize, &[u8]), OpusPacketError> {
    match *bytes {
        [first, ref rest @ ..] if first < 252 => Ok((usize::from(first), rest)),
        [first, second, ref rest @ ..] => Ok((usize::from(second) * 4 + usize::from(first), rest)),
        _ => Err(OpusPacketError::FrameTruncated),
    }
}

/// Code 3 (RFC 6716, 3.2.5): the count byte, padding, and constant or explicit lengths. Returns the frame count and
/// the first frame's length.
fn arbitrary_frames(bytes: &[u8], frame_ticks: u32) -> Result<(u8, usize), OpusPacketError> {
    let (&head, mut rest) = bytes.split_first().ok_or(OpusPacketError::Truncated)?;
    let frames = head & 0x3f;
    if frames == 0 || u32::from(frames) * frame_ticks > MAX_PACKET_TICKS {
        return Err(OpusPacketError::FrameCount { frames });
    }
    if head & 0x40 != 0 {
        // Each 255 represents 254 bytes of padding and announces another length byte.
        let mut padding = 0;
        loop {
            let (&n, after) = rest.split_first().ok_or(OpusPacketError::Truncated)?;
            rest = after;
            padding += usize::from(n.min(254));
            if n != 255 {
                break;
            }
        }
        rest = &rest[..rest.len().checked_sub(padding).ok_or(OpusPacketError::Truncated)?];
    }
    if head & 0x80 == 0 {
        let each = rest.len() / usize::from(frames);
        if each * usize::from(frames) != rest.len() {
            return Err(OpusPacketError::UnequalFrames { bytes: rest.len(), frames });
        }
        return Ok((frames, checked_frame(each)?));
    }
    let (mut first, mut total) = (None, 0);
    for _ in 1..frames {
        let (length, after) = take_length(rest)?;
        rest = after;
        total += length;
        first.get_or_insert(length);
    }
    let last = rest.len().checked_sub(total).ok_or(OpusPacketError::FrameTruncated)?;
    let last = checked_frame(last)?;
    Ok((frames, first.unwrap_or(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(packet: &[u8]) -> Result<u32, OpusPacketError> {
        OpusPacket::parse(packet).map(|p| p.ticks())
    }

    #[test]
    fn table_of_contents_names_mode_and_duration() {
        use OpusBandwidth::{Full, Medium, Narrow, SuperWide, Wide};
        for (config, mode, bandwidth, duration) in [
            (0, OpusMode::Silk, Narrow, 480),
            (5, OpusMode::Silk, Medium, 960),
            (11, OpusMode::Silk, Wide, 2880),
            (12, OpusMode::Hybrid, SuperWide, 480),
            (15, OpusMode::Hybrid, Full, 960),
            (16, OpusMode::Celt, Narrow, 120),
            (20, OpusMode::Celt, Wide, 120),
            (25, OpusMode::Celt, SuperWide, 240),
            (31, OpusMode::Celt, Full, 960),
        ] {
            let p = OpusPacket::parse(&[config << 3 | 4, 1, 2, 3]).unwrap();
            assert_eq!((p.mode, p.bandwidth, p.frame_ticks, p.frames, p.channels), (mode, bandwidth, duration, 1, 2));
            assert_eq!(p.first_frame_bytes, 3);
        }
    }

    #[test]
    fn framing_follows_its_rules_and_the_error_names_the_broken_one() {
        use OpusPacketError::*;
        let frames = |frames| Err(FrameCount { frames });
        assert_eq!(ticks(&[]), Err(Empty));
        assert_eq!(ticks(&[0x08]), Ok(960), "a frame not sent is a frame");
        assert_eq!(ticks(&[0x09, 1, 2]), Ok(1920));
        assert_eq!(ticks(&[0x09, 1, 2, 3]), Err(OddLength { bytes: 3 }));
        assert_eq!(ticks(&[0x0a, 1, 2, 3]), Ok(1920));
        assert_eq!(ticks(&[0x0a]), Err(FrameTruncated), "code 2 needs a length");
        assert_eq!(ticks(&[0x0a, 252]), Err(FrameTruncated), "half a length");
        assert_eq!(ticks(&[0x0a, 9, 1]), Err(FrameTruncated), "the first frame is longer than the packet");
        assert_eq!(ticks(&[0x0b]), Err(Truncated), "code 3 needs a count");
        assert_eq!(ticks(&[0x0b, 0]), frames(0));
        assert_eq!(ticks(&[0x0b, 6]), Ok(5760));
        assert_eq!(ticks(&[0x0b, 7]), frames(7), "more than 120 ms");
        assert_eq!(ticks(&[0x0b, 2, 0]), Err(UnequalFrames { bytes: 1, frames: 2 }));
        assert_eq!(ticks(&[0x0b, 0x42, 1, 5, 5, 0]), Ok(1920), "padded by one byte");
        assert_eq!(ticks(&[0x0b, 0x42, 4, 5, 5, 0]), Err(Truncated), "padding longer than the packet");
        assert_eq!(ticks(&[0x0b, 0x42, 255]), Err(Truncated), "padding without its end");
        assert_eq!(ticks(&[0x0b, 0x83, 1, 0, 5]), Ok(2880));
        assert_eq!(ticks(&[0x0b, 0x83, 1, 9, 5]), Err(FrameTruncated));
        assert_eq!(ticks(&[&[0x08][..], &[0; 1275]].concat()), Ok(960));
        assert_eq!(ticks(&[&[0x08][..], &[0; 1276]].concat()), Err(FrameTooLong { bytes: 1276 }));
        assert_eq!(ticks(&[&[0x83, 48][..], &[0; 48]].concat()), Ok(5760), "48 frames of 2.5 ms");
        assert_eq!(FrameTooLong { bytes: 1276 }.to_string(), "a frame of 1276 bytes (at most 1275)");
        assert_eq!(DecodeError::from(FrameTooLong { bytes: 1276 }), DecodeError::Malformed(2));
        assert_eq!(DecodeError::from(Empty), DecodeError::Empty);
    }
}
