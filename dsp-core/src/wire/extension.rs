//! Elements of RTP header extensions: the one-byte and two-byte headers of RFC 8285, and the content of the five
//! elements that audio calls use.
//!
//! Use it where an `a=extmap` was agreed on. [`RtpHeader`](super::rtp::RtpHeader) writes the extension, and
//! [`extend_header`](super::rtp::extend_header) adds it to a finished packet.
//!
//! | URI | what | RFC | bytes |
//! |---|---|---|---|
//! | [`AUDIO_LEVEL`] | level of what is in the packet, and whether it is speech | 6464 | 1 |
//! | [`MIXER_LEVELS`] | levels of the contributing sources, in their order | 6465 | 1 a source |
//! | [`MID`] | which `m=` line it belongs to | 9143, 15 | 1 to 255 |
//! | [`ABSOLUTE_SEND_TIME`] | when it left, 24 bits of 1/2^18 s | WebRTC's own | 3 |
//! | [`TRANSPORT_SEQUENCE`] | its number among all packets of a transport | WebRTC's own | 2 |
//!
//! Levels are in whole dBov, 0 to -127 (RFC 6464, 3). Reading copies nothing and cannot fail: malformed bytes end the
//! elements. The number of an element is the one in its `a=extmap`. An element takes one or two comparisons.
//!
//! A level beside the sound, under the number from `a=extmap`:
//!
//! ```
//! use dsp_core::wire::extension::{AudioLevel, ElementError, ElementForm, ElementWriter};
//!
//! let mut room = [0; 8];
//! let mut writer = ElementWriter::new(ElementForm::OneByte, &mut room);
//! writer.push(3, &AudioLevel { level_dbov: -30, voice: true }.to_bytes())?;
//! let extension = writer.finish().ok_or(ElementError::Id(3))?;
//! // Element 3, one byte; speech, 30 dB below overload; filled up to a word.
//! assert_eq!((extension.profile, extension.data), (0xbede, &[0x30, 0x80 | 30, 0, 0][..]));
//! let level = extension.element(3).and_then(AudioLevel::parse);
//! assert_eq!(level, Some(AudioLevel { level_dbov: -30, voice: true }));
//! # Ok::<(), ElementError>(())
//! ```

use core::fmt;

use super::rtp::RtpExtension;
use crate::time::NtpTime;

/// Client-to-mixer audio level (RFC 6464, 4).
pub const AUDIO_LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
/// Mixer-to-client audio level (RFC 6465, 4).
pub const MIXER_LEVELS: &str = "urn:ietf:params:rtp-hdrext:csrc-audio-level";
/// Media identification (RFC 9143, 15).
pub const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
/// Absolute send time (WebRTC).
pub const ABSOLUTE_SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
/// Transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01, 2).
pub const TRANSPORT_SEQUENCE: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// The first 16 bits of an extension with one-byte headers (RFC 8285, 4.2).
const ONE_BYTE: u16 = 0xbede;
/// The same with two-byte headers; the lower four bits are the application's (4.3).
const TWO_BYTE: u16 = 0x1000;
/// The number that ends one-byte elements: nothing behind it is read (4.2).
const STOP: u8 = 15;

/// The header of elements that are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ElementForm {
    /// One-byte headers: numbers 1 to 14, and 1 to 16 bytes of data.
    #[default]
    OneByte,
    /// Two-byte headers: numbers 1 to 255, and 0 to 255 bytes of data. They may be used if `a=extmap-allow-mixed` was
    /// agreed on, or if all packets use them because a number or a length requires it (RFC 8285, 4.1.2).
    TwoByte,
}

/// One element of a header extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Element<'a> {
    /// Number of the element in `a=extmap`.
    pub id: u8,
    /// Data of the element.
    pub data: &'a [u8],
}

/// The elements of a header extension, in their order.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    form: ElementForm,
    rest: &'a [u8],
}

impl<'a> RtpExtension<'a> {
    /// The elements of the extension; none if it is not one of RFC 8285.
    pub const fn elements(&self) -> Elements<'a> {
        match self.profile {
            ONE_BYTE => Elements { form: ElementForm::OneByte, rest: self.data },
            profile if profile & 0xfff0 == TWO_BYTE => Elements { form: ElementForm::TwoByte, rest: self.data },
            _ => Elements { form: ElementForm::OneByte, rest: &[] },
        }
    }

    /// Data of the first element with this number; `None` if there is none.
    pub fn element(&self, id: u8) -> Option<&'a [u8]> {
        self.elements().find(|element| element.id == id).map(|element| element.data)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (&first, rest) = self.rest.split_first()?;
            // A byte of padding has neither length nor data, whatever its lower bits in a one-byte header.
            if first == 0 {
                self.rest = rest;
                continue;
            }
            let (id, len, rest) = match self.form {
                ElementForm::OneByte => (first >> 4, usize::from(first & 0x0f) + 1, rest),
                ElementForm::TwoByte => {
                    let Some((&len, rest)) = rest.split_first() else {
                        self.rest = &[];
                        return None;
                    };
                    (first, usize::from(len), rest)
                }
            };
            let stops = self.form == ElementForm::OneByte && id == STOP;
            let Some((data, rest)) = rest.split_at_checked(len).filter(|_| !stops) else {
                self.rest = &[];
                return None;
            };
            self.rest = rest;
            // Number 0 with a length is to be skipped with its data (4.2).
            if id != 0 {
                return Some(Element { id, data });
            }
        }
    }
}

/// Why an element could not be written. What was written before is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ElementError {
    /// The buffer is too small.
    OutputTooSmall {
        /// Bytes needed, filled up to a word of 32 bits.
        need: usize,
        /// Bytes that were given.
        got: usize,
    },
    /// The form cannot have this number.
    Id(u8),
    /// The form cannot have data of this length.
    Length(usize),
}

impl fmt::Display for ElementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OutputTooSmall { need, got } => write!(f, "buffer of {got} bytes, {need} needed"),
            Self::Id(id) => write!(f, "a header extension's element can't have number {id}"),
            Self::Length(len) => write!(f, "a header extension's element can't have {len} bytes"),
        }
    }
}

impl core::error::Error for ElementError {}

/// Writes elements one after the other into a buffer of the caller.
#[derive(Debug)]
pub struct ElementWriter<'a> {
    form: ElementForm,
    out: &'a mut [u8],
    len: usize,
}

impl<'a> ElementWriter<'a> {
    /// A writer that begins at the front of `out`, which should have room for whole words of 32 bits.
    pub const fn new(form: ElementForm, out: &'a mut [u8]) -> Self {
        Self { form, out, len: 0 }
    }

    /// Adds an element.
    ///
    /// # Errors
    /// Returns [`ElementError::Id`] or [`ElementError::Length`] if the form cannot have this number or length, and
    /// [`ElementError::OutputTooSmall`] if there is no room.
    pub fn push(&mut self, id: u8, data: &[u8]) -> Result<(), ElementError> {
        let mut head = [0; 2];
        let head = match self.form {
            ElementForm::OneByte if id == 0 || id >= STOP => return Err(ElementError::Id(id)),
            ElementForm::OneByte if data.is_empty() || data.len() > 16 => {
                return Err(ElementError::Length(data.len()));
            }
            ElementForm::OneByte => {
                head[0] = id << 4 | (data.len() - 1) as u8;
                &head[..1]
            }
            ElementForm::TwoByte if id == 0 => return Err(ElementError::Id(id)),
            ElementForm::TwoByte => {
                head = [id, u8::try_from(data.len()).map_err(|_| ElementError::Length(data.len()))?];
                &head[..]
            }
        };
        let start = self.len + head.len();
        let end = start + data.len();
        let need = end.next_multiple_of(4);
        let too_small = ElementError::OutputTooSmall { need, got: self.out.len() };
        let room = self.out.get_mut(..need).ok_or(too_small)?;
        room[self.len..start].copy_from_slice(head);
        room[start..end].copy_from_slice(data);
        room[end..].fill(0);
        self.len = end;
        Ok(())
    }

    /// The extension for [`RtpHeader`](super::rtp::RtpHeader), filled up with zeros; `None` if it has no elements.
    pub fn finish(self) -> Option<RtpExtension<'a>> {
        let profile = if self.form == ElementForm::OneByte { ONE_BYTE } else { TWO_BYTE };
        let out: &'a [u8] = self.out;
        let data = out.get(..self.len.next_multiple_of(4))?;
        (self.len > 0).then_some(RtpExtension { profile, data })
    }
}

/// The level of the sound in a packet, and whether it is speech (RFC 6464, 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AudioLevel {
    /// Level in dBov, 0 to -127; the lowest also stands for silence.
    pub level_dbov: i8,
    /// Whether the sender takes the sound for speech. It is false if the sender does not tell (`vad=off` in
    /// `a=extmap`).
    pub voice: bool,
}

impl AudioLevel {
    /// The level from hundredths of a dBov, as [`Level`](crate::process::level::Level) has them. A level above full
    /// scale counts as full scale.
    pub fn from_hundredths(level: i16, voice: bool) -> Self {
        // To the nearest, halves up.
        let level_dbov = (i32::from(level) + 50).div_euclid(100).clamp(-127, 0) as i8;
        Self { level_dbov, voice }
    }

    /// Reads the data of an element; `None` if it is empty.
    pub const fn parse(data: &[u8]) -> Option<Self> {
        // Further bytes are of a later version (RFC 6464, 3 has one).
        match data {
            [first, ..] => Some(Self { level_dbov: -((*first & 0x7f) as i8), voice: *first & 0x80 != 0 }),
            [] => None,
        }
    }

    /// The data of an element. A level out of range becomes the nearest one.
    pub fn to_bytes(self) -> [u8; 1] {
        [u8::from(self.voice) << 7 | self.level_dbov.clamp(-127, 0).unsigned_abs()]
    }
}

/// Levels of the contributing sources, in dBov, as many as the element has: the n-th is that of the n-th CSRC (RFC
/// 6465, 3).
pub fn mixer_levels(data: &[u8]) -> impl ExactSizeIterator<Item = i8> + '_ {
    data.iter().map(|byte| -((byte & 0x7f) as i8))
}

/// Writes levels, in dBov, for as many contributing sources as both sides have room for (a packet has at most 15 of
/// them). Returns how many were written.
pub fn write_mixer_levels(levels_dbov: impl IntoIterator<Item = i8>, out: &mut [u8]) -> usize {
    let mut written = 0;
    for (byte, level) in out.iter_mut().zip(levels_dbov) {
        *byte = level.clamp(-127, 0).unsigned_abs();
        written += 1;
    }
    written
}

/// The time at which a packet was sent, in 1/2^18 s, modulo 64 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AbsoluteSendTime(u32);

impl AbsoluteSendTime {
    const MASK: u32 = 0x00ff_ffff;

    /// The send time at this moment.
    pub const fn at(time: NtpTime) -> Self {
        // Six bits of whole seconds, 18 of their fraction.
        Self((time.0 >> 14) as u32 & Self::MASK)
    }

    /// The 24 bits of the time, in 1/2^18 s.
    pub const fn ticks(self) -> u32 {
        self.0
    }

    /// How much later this is than `before`, in 1/2^18 s; negative if it is earlier. The times must be within 32 s of
    /// each other.
    pub const fn since(self, before: Self) -> i32 {
        (self.0.wrapping_sub(before.0) << 8) as i32 >> 8
    }

    /// Reads the data of an element; `None` if it does not have three bytes.
    pub const fn parse(data: &[u8]) -> Option<Self> {
        match *data {
            [a, b, c] => Some(Self(u32::from_be_bytes([0, a, b, c]))),
            _ => None,
        }
    }

    /// The data of an element.
    pub const fn to_bytes(self) -> [u8; 3] {
        let [_, a, b, c] = self.0.to_be_bytes();
        [a, b, c]
    }
}

/// Number of a packet among all packets of its transport, from the data of an element. A longer element, which
/// requests feedback (version 2 of the extension), begins in the same way.
pub const fn transport_sequence(data: &[u8]) -> Option<u16> {
    match *data {
        [high, low] | [high, low, _, _] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn read(profile: u16, data: &[u8]) -> Vec<(u8, Vec<u8>)> {
        RtpExtension { profile, data }.elements().map(|element| (element.id, element.data.to_vec())).collect()
    }

    /// RFC 8285, 4.2 and 4.3: the examples, with padding between and behind.
    #[test]
    fn elements_of_the_rfc() {
        let data = [0x10, 0xaa, 0x21, 0xbb, 0xbc, 0, 0, 0x33, 1, 2, 3, 4];
        assert_eq!(
            read(0xbede, &data),
            [(1, Vec::from([0xaa])), (2, Vec::from([0xbb, 0xbc])), (3, Vec::from([1, 2, 3, 4]))]
        );
        let data = [1, 0, 2, 1, 0xbb, 0, 3, 4, 1, 2, 3, 4];
        for profile in [0x1000, 0x100f] {
            assert_eq!(read(profile, &data), [(1, Vec::new()), (2, Vec::from([0xbb])), (3, Vec::from([1, 2, 3, 4]))]);
        }
        for profile in [0, 0x1010, 0xbedf] {
            assert!(read(profile, &data).is_empty());
        }
    }

    #[test]
    fn what_is_malformed_ends_the_elements() {
        // Longer than the extension; number 15; number 0 with a length, which is skipped.
        assert_eq!(read(0xbede, &[0x10, 7, 0x2f, 1]), [(1, Vec::from([7]))]);
        assert_eq!(read(0xbede, &[0x10, 7, 0xf0, 1, 0x20, 3, 0, 0]), [(1, Vec::from([7]))]);
        assert_eq!(read(0xbede, &[0x01, 9, 9, 0x20, 3, 0, 0, 0]), [(2, Vec::from([3]))]);
        assert_eq!(read(0x1000, &[1, 0, 2]), [(1, Vec::new())]);
        assert_eq!(read(0x1000, &[1, 1, 5, 2, 9, 9, 9, 9]), [(1, Vec::from([5]))]);
    }

    #[test]
    fn what_is_written_is_read() {
        for form in [ElementForm::OneByte, ElementForm::TwoByte] {
            let mut out = [0xee; 64];
            let mut writer = ElementWriter::new(form, &mut out);
            let level = AudioLevel { level_dbov: -30, voice: true };
            let time = AbsoluteSendTime::at(NtpTime(0x0000_0041_8000_0000));
            writer.push(1, &level.to_bytes()).unwrap();
            writer.push(14, b"audio").unwrap();
            writer.push(3, &time.to_bytes()).unwrap();
            writer.push(4, &7_u16.to_be_bytes()).unwrap();
            let extension = writer.finish().unwrap();
            assert!(extension.data.len().is_multiple_of(4) && extension.elements().count() == 4);
            assert_eq!(AudioLevel::parse(extension.element(1).unwrap()), Some(level));
            assert_eq!(extension.element(14), Some(&b"audio"[..]));
            let read = AbsoluteSendTime::parse(extension.element(3).unwrap()).unwrap();
            assert_eq!((read, read.ticks()), (time, 1 << 18 | 1 << 17), "65.5 s modulo 64");
            assert_eq!(transport_sequence(extension.element(4).unwrap()), Some(7));
            assert_eq!(extension.element(5), None);
        }
    }

    #[test]
    fn what_the_form_has_no_place_for_is_refused() {
        let mut out = [0; 20];
        let mut writer = ElementWriter::new(ElementForm::OneByte, &mut out);
        assert_eq!(writer.push(0, b"x"), Err(ElementError::Id(0)));
        assert_eq!(writer.push(15, b"x"), Err(ElementError::Id(15)));
        assert_eq!(writer.push(1, b""), Err(ElementError::Length(0)));
        assert_eq!(writer.push(1, &[0; 17]), Err(ElementError::Length(17)));
        writer.push(1, &[1; 16]).unwrap();
        assert_eq!(writer.push(2, &[2; 3]), Err(ElementError::OutputTooSmall { need: 24, got: 20 }));
        writer.push(2, &[2; 2]).unwrap();
        assert_eq!(writer.finish().unwrap().elements().count(), 2);
        let mut out = [0; 400];
        let mut writer = ElementWriter::new(ElementForm::TwoByte, &mut out);
        assert_eq!(writer.push(0, b"x"), Err(ElementError::Id(0)));
        assert_eq!(writer.push(1, &[0; 256]), Err(ElementError::Length(256)));
        writer.push(255, &[3; 255]).unwrap();
        writer.push(15, b"").unwrap();
        assert_eq!(writer.finish().unwrap().elements().count(), 2);
        assert!(ElementWriter::new(ElementForm::OneByte, &mut [0; 4]).finish().is_none());
    }

    #[test]
    fn levels_and_times() {
        for (hundredths, dbov) in [(0, 0), (300, 0), (-49, 0), (-51, -1), (-2_950, -29), (-2_951, -30), (-32_768, -127)]
        {
            assert_eq!(AudioLevel::from_hundredths(hundredths, false).level_dbov, dbov, "{hundredths}");
        }
        for byte in 0..=255 {
            assert_eq!(AudioLevel::parse(&[byte]).unwrap().to_bytes(), [byte]);
        }
        assert_eq!(AudioLevel::parse(&[]), None);
        let mut out = [0; 3];
        assert_eq!(write_mixer_levels([0, -127, -128, -5], &mut out), 3);
        assert!(mixer_levels(&out).eq([0, -127, -127]));
        let [before, after] = [0xff_ff00, 0x00_0100].map(AbsoluteSendTime);
        assert_eq!((after.since(before), before.since(after)), (0x200, -0x200));
        assert_eq!(AbsoluteSendTime::parse(&[1, 2]), None);
        assert_eq!(transport_sequence(&[0, 1, 2]), None);
    }
}
