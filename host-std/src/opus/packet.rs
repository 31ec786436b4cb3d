//! The framing of an Opus packet: the table-of-contents byte and the four ways to put frames behind it
//! (RFC 6716, 3.1, 3.2 and the requirements R1 to R7 of 3.4), read without libopus.
//!
//! Durations are in 48 kHz ticks. Cost: O(frames), at most 48 of them.

use dsp_core::codec::DecodeError;

/// The longest packet, 120 ms (RFC 6716, 3.2.5, R5), in 48 kHz ticks.
pub const MAX_PACKET_TICKS: u32 = 5760;

/// The largest frame in bytes (RFC 6716, 3.2.1, R2).
const MAX_FRAME: usize = 1275;

/// Which layers coded the packet's frames (RFC 6716, 3.1, table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpusMode {
    /// Linear prediction: configurations 0 to 11.
    Silk,
    /// Both layers: configurations 12 to 15.
    Hybrid,
    /// MDCT: configurations 16 to 31.
    Celt,
}

/// What the framing of one packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusPacket {
    /// The layers in use.
    pub mode: OpusMode,
    /// Channels coded: 1 or 2.
    pub channels: u8,
    /// Frames in the packet: 1 to 48.
    pub frames: u8,
    /// How long one frame lasts, in 48 kHz ticks: 120 to 2880.
    pub frame_ticks: u32,
    /// Bytes of the first frame; 0 or 1 stands for a frame not sent (DTX).
    pub first_frame_bytes: usize,
}

impl OpusPacket {
    /// Reads the framing of `packet` and checks it to its last byte.
    ///
    /// # Errors
    /// [`DecodeError::Empty`] for no bytes at all (R1), [`DecodeError::Malformed`]`(0)` for whatever breaks R2 to R7.
    pub fn parse(packet: &[u8]) -> Result<Self, DecodeError> {
        const MALFORMED: DecodeError = DecodeError::Malformed(0);
        let (&toc, rest) = packet.split_first().ok_or(DecodeError::Empty)?;
        let config = toc >> 3;
        let (mode, frame_ticks) = match config {
            0..=11 => (OpusMode::Silk, [480, 960, 1920, 2880][usize::from(config & 3)]),
            12..=15 => (OpusMode::Hybrid, [480, 960][usize::from(config & 1)]),
            _ => (OpusMode::Celt, [120, 240, 480, 960][usize::from(config & 3)]),
        };
        let (frames, first_frame_bytes) = match toc & 3 {
            0 => (1, checked_frame(rest.len())?),
            1 if rest.len() % 2 == 0 => (2, checked_frame(rest.len() / 2)?),
            1 => return Err(MALFORMED),
            2 => {
                let (first, rest) = take_length(rest).ok_or(MALFORMED)?;
                checked_frame(rest.len().checked_sub(first).ok_or(MALFORMED)?)?;
                (2, first)
            }
            _ => arbitrary_frames(rest, frame_ticks).ok_or(MALFORMED)?,
        };
        let channels = 1 + ((toc >> 2) & 1);
        Ok(Self { mode, channels, frames, frame_ticks, first_frame_bytes })
    }

    /// How long the packet lasts, in 48 kHz ticks: at most [`MAX_PACKET_TICKS`].
    pub const fn ticks(&self) -> u32 {
        self.frames as u32 * self.frame_ticks
    }
}

fn checked_frame(bytes: usize) -> Result<usize, DecodeError> {
    if bytes > MAX_FRAME { Err(DecodeError::Malformed(0)) } else { Ok(bytes) }
}

/// One or two bytes of frame length (RFC 6716, 3.2.1), and what follows them.
fn take_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match *bytes {
        [first, ref rest @ ..] if first < 252 => Some((usize::from(first), rest)),
        [first, second, ref rest @ ..] => Some((usize::from(second) * 4 + usize::from(first), rest)),
        _ => None,
    }
}

/// Code 3 (RFC 6716, 3.2.5): the count byte, padding, and constant or explicit lengths. Returns the frame count and
/// the first frame's length, or `None` where a rule is broken.
fn arbitrary_frames(bytes: &[u8], frame_ticks: u32) -> Option<(u8, usize)> {
    let (&head, mut rest) = bytes.split_first()?;
    let frames = head & 0x3f;
    if frames == 0 || u32::from(frames) * frame_ticks > MAX_PACKET_TICKS {
        return None;
    }
    if head & 0x40 != 0 {
        // Each 255 stands for 254 bytes of padding and says that another length byte follows.
        let mut padding = 0;
        loop {
            let (&n, after) = rest.split_first()?;
            rest = after;
            padding += usize::from(n.min(254));
            if n != 255 {
                break;
            }
        }
        rest = &rest[..rest.len().checked_sub(padding)?];
    }
    if head & 0x80 == 0 {
        let each = rest.len() / usize::from(frames);
        return (each * usize::from(frames) == rest.len() && each <= MAX_FRAME).then_some((frames, each));
    }
    let (mut first, mut total) = (None, 0);
    for _ in 1..frames {
        let (length, after) = take_length(rest)?;
        rest = after;
        total += length;
        first.get_or_insert(length);
    }
    let last = rest.len().checked_sub(total)?;
    (last <= MAX_FRAME).then_some((frames, first.unwrap_or(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(packet: &[u8]) -> Result<u32, DecodeError> {
        OpusPacket::parse(packet).map(|p| p.ticks())
    }

    #[test]
    fn table_of_contents_names_mode_and_duration() {
        for (config, mode, duration) in [
            (0, OpusMode::Silk, 480),
            (11, OpusMode::Silk, 2880),
            (12, OpusMode::Hybrid, 480),
            (15, OpusMode::Hybrid, 960),
            (16, OpusMode::Celt, 120),
            (31, OpusMode::Celt, 960),
        ] {
            let p = OpusPacket::parse(&[config << 3 | 4, 1, 2, 3]).unwrap();
            assert_eq!((p.mode, p.frame_ticks, p.frames, p.channels), (mode, duration, 1, 2));
            assert_eq!(p.first_frame_bytes, 3);
        }
    }

    #[test]
    fn framing_follows_its_rules() {
        let bad = Err(DecodeError::Malformed(0));
        assert_eq!(ticks(&[]), Err(DecodeError::Empty));
        assert_eq!(ticks(&[0x08]), Ok(960), "a frame not sent is a frame");
        assert_eq!(ticks(&[0x09, 1, 2]), Ok(1920));
        assert_eq!(ticks(&[0x09, 1, 2, 3]), bad, "code 1 needs two equal frames (R3)");
        assert_eq!(ticks(&[0x0a, 1, 2, 3]), Ok(1920));
        assert_eq!(ticks(&[0x0a]), bad, "code 2 needs a length (R4)");
        assert_eq!(ticks(&[0x0a, 252]), bad);
        assert_eq!(ticks(&[0x0a, 9, 1]), bad, "the first frame is longer than the packet");
        assert_eq!(ticks(&[0x0b]), bad, "code 3 needs a count (R6)");
        assert_eq!(ticks(&[0x0b, 0]), bad, "no frames");
        assert_eq!(ticks(&[0x0b, 6]), Ok(5760));
        assert_eq!(ticks(&[0x0b, 7]), bad, "more than 120 ms (R5)");
        assert_eq!(ticks(&[0x0b, 2, 0]), bad, "not a multiple");
        assert_eq!(ticks(&[0x0b, 0x42, 1, 5, 5, 0]), Ok(1920), "padded by one byte");
        assert_eq!(ticks(&[0x0b, 0x42, 4, 5, 5, 0]), bad, "padding longer than the packet");
        assert_eq!(ticks(&[0x0b, 0x42, 255]), bad, "padding without its end");
        assert_eq!(ticks(&[0x0b, 0x83, 1, 0, 5]), Ok(2880));
        assert_eq!(ticks(&[0x0b, 0x83, 1, 9, 5]), bad);
        assert_eq!(ticks(&[&[0x08][..], &[0; 1275]].concat()), Ok(960));
        assert_eq!(ticks(&[&[0x08][..], &[0; 1276]].concat()), bad, "a frame over 1275 bytes (R2)");
        assert_eq!(ticks(&[&[0x83, 48][..], &[0; 48]].concat()), Ok(5760), "48 frames of 2.5 ms");
    }
}
