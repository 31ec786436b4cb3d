//! Reading the description of the other side.

use core::net::IpAddr;

use super::{Crypto, Direction, Format, SdpError, StaticFormat};
use crate::guard::srtp::MasterKey;
use crate::time::PayloadType;

/// Lengths of packets are multiples of this, up to [`LONGEST_MS`].
const TENS_MS: u32 = 10;
const LONGEST_MS: u32 = 60;

/// The lines of a text, without their ends. What isn't UTF-8 is left out: it can only be in a name.
fn lines(text: &[u8]) -> impl Iterator<Item = &str> {
    text.split(|byte| *byte == b'\n').filter_map(|line| core::str::from_utf8(line).ok()).map(|line| line.trim_end())
}

/// A text cut before each `m=` line: what is about the session first, if anything is.
fn sections(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let next = rest.windows(3).position(|window| window == b"\nm=").map_or(rest.len(), |at| at + 1);
        let (section, behind) = rest.split_at(next);
        rest = behind;
        Some(section)
    })
}

/// The fields of an `m=` line.
pub(super) struct MediaLine<'a> {
    pub(super) media: &'a str,
    /// 0 if the stream is refused or closed, and where the port can't be read: nothing can be sent there.
    pub(super) port: u16,
    pub(super) proto: &'a str,
    /// The numbers, with blanks between them.
    pub(super) formats: &'a str,
}

impl<'a> MediaLine<'a> {
    /// `None` if it hasn't as many fields as can be repeated in an answer.
    fn parse(section: &'a [u8]) -> Option<Self> {
        let line = section.split(|byte| *byte == b'\n').next()?;
        let line = core::str::from_utf8(line).ok()?.strip_prefix("m=")?;
        let field = |line: &'a str| line.trim_start().split_once(' ');
        let (media, line) = field(line)?;
        let (port, line) = field(line)?;
        let (proto, formats) = field(line)?;
        let formats = formats.trim();
        // A number of ports behind a slash is for layered encodings.
        let port = port.split_once('/').map_or(port, |(port, _)| port).parse().unwrap_or(0);
        (!formats.is_empty()).then_some(Self { media, port, proto, formats })
    }
}

/// The streams of a text: the lines of each, and the first one's fields.
pub(super) fn streams(text: &[u8]) -> impl Iterator<Item = (&[u8], Option<MediaLine<'_>>)> {
    // What is before the first `m=` line is about the session.
    sections(text).skip(1).map(|section| (section, MediaLine::parse(section)))
}

/// The session description of the other side: an offer or an answer.
#[derive(Clone, Copy)]
pub struct Remote<'a> {
    pub(super) text: &'a [u8],
    session: &'a [u8],
    audio: &'a [u8],
    proto: &'a str,
    port: u16,
    formats: &'a str,
}

impl<'a> Remote<'a> {
    /// Reads a description and finds its first open audio stream.
    ///
    /// # Errors
    /// Returns [`SdpError::Malformed`] if the text is not SDP or an `m=` line in it cannot be read (an answer must
    /// repeat those of all streams), and [`SdpError::NoAudio`] if no audio stream is open.
    pub fn parse(text: &'a [u8]) -> Result<Self, SdpError> {
        if lines(text).find(|line| !line.is_empty()) != Some("v=0") {
            return Err(SdpError::Malformed);
        }
        let session = sections(text).next().unwrap_or_default();
        let mut found = None;
        for (audio, line) in streams(text) {
            let MediaLine { media, port, proto, formats } = line.ok_or(SdpError::Malformed)?;
            if media == "audio" && port > 0 && found.is_none() {
                found = Some(Self { text, session, audio, proto, port, formats });
            }
        }
        found.ok_or(SdpError::NoAudio)
    }

    /// Session number and version from the `o=` line. A text with another version is new.
    pub fn version(&self) -> Option<(&'a str, u64)> {
        let line = lines(self.session).find_map(|line| line.strip_prefix("o="))?;
        let mut fields = line.split_ascii_whitespace().skip(1);
        Some((fields.next()?, fields.next()?.parse().ok()?))
    }

    /// Value of the session attribute with this name; `None` if it is not there.
    pub fn session_attribute(&self, name: &str) -> Option<&'a str> {
        lines(self.session).find_map(|line| line.strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':'))
    }

    /// Whether it is so about the stream.
    pub(super) fn has(&self, attribute: &str) -> bool {
        lines(self.audio).any(|line| line.strip_prefix("a=") == Some(attribute))
    }

    /// The values of an attribute of the stream.
    fn values(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        lines(self.audio).filter_map(move |line| line.strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':'))
    }

    /// Whether the stream uses the profile of SRTP.
    ///
    /// # Errors
    /// Returns [`SdpError::Profile`] if the profile is neither RTP/AVP nor RTP/SAVP.
    pub fn is_secure(&self) -> Result<bool, SdpError> {
        match self.proto {
            "RTP/AVP" => Ok(false),
            "RTP/SAVP" => Ok(true),
            _ => Err(SdpError::Profile),
        }
    }

    fn connection(&self) -> Option<&'a str> {
        let of = |section| lines(section).find_map(|line| line.strip_prefix("c="));
        let address = of(self.audio).or_else(|| of(self.session))?.split_ascii_whitespace().nth(2)?;
        // A time to live behind a slash is for multicast.
        Some(address.split_once('/').map_or(address, |(address, _)| address))
    }

    /// Address of the other side.
    ///
    /// # Errors
    /// Returns [`SdpError::NoAddress`] if it is missing, or is a host name: names are not looked up.
    pub fn address(&self) -> Result<IpAddr, SdpError> {
        self.connection().and_then(|address| address.parse().ok()).ok_or(SdpError::NoAddress)
    }

    /// RTP port of the other side.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Direction of the sound, seen from the other side. An address of zeros, which is hold by RFC 2543 (B.5), means
    /// that it does not receive.
    pub fn direction(&self) -> Direction {
        let of = |section| lines(section).find_map(|line| Direction::from_name(line.strip_prefix("a=")?));
        let said = of(self.audio).or_else(|| of(self.session)).unwrap_or_default();
        let receives = said.receives() && self.address().map_or(true, |address| !address.is_unspecified());
        Direction::from_flags(said.sends(), receives)
    }

    /// Length of the packets to send, in ms: what the other side asks for, else `ours`, within its bound and 60 ms, in whole tens.
    pub(super) fn packet_ms(&self, ours: u32) -> u32 {
        let most = self.milliseconds("maxptime").unwrap_or(LONGEST_MS).clamp(TENS_MS, LONGEST_MS);
        let wished = self.milliseconds("ptime").unwrap_or(ours).clamp(TENS_MS, most);
        wished / TENS_MS * TENS_MS
    }

    /// The value of a numeric attribute, in ms.
    fn milliseconds(&self, name: &'static str) -> Option<u32> {
        self.values(name).next()?.trim().parse().ok()
    }

    /// Payload type that the other side uses for this codec; `None` if it does not have it.
    pub fn number_of(&self, name: &str, clock_hz: u32) -> Option<PayloadType> {
        let numbers = self.formats.split_ascii_whitespace().filter_map(|number| number.parse().ok());
        numbers.filter_map(PayloadType::new).find(|number| {
            let map = self.map_of(*number).or_else(|| {
                let StaticFormat { name, clock_hz, channels, .. } = StaticFormat::find(*number)?;
                Some((name, clock_hz, channels.into()))
            });
            map.is_some_and(|(known, clock, channels)| {
                known.eq_ignore_ascii_case(name) && clock == clock_hz && channels == 1
            })
        })
    }

    /// Name, clock and channels of a number, from `a=rtpmap`.
    fn map_of(&self, number: PayloadType) -> Option<(&'a str, u32, u32)> {
        self.values("rtpmap").find_map(|value| {
            let (which, map) = value.split_once(' ')?;
            if which.parse() != Ok(number.get()) {
                return None;
            }
            let mut fields = map.trim().split('/');
            let (name, clock_hz) = (fields.next()?, fields.next()?.parse().ok()?);
            Some((name, clock_hz, fields.next().map_or(Some(1), |channels| channels.parse().ok())?))
        })
    }

    /// The first of `formats` in the order of the other side, with its number there.
    pub(super) fn best(&self, formats: &[Format]) -> Option<Format> {
        let place = |number: PayloadType| {
            let mut numbers = self.formats.split_ascii_whitespace();
            numbers.position(|other| other.parse() == Ok(number.get()))
        };
        let theirs = |format: &Format| {
            let payload_type = self.number_of(format.name, format.clock_hz)?;
            Some(Format { payload_type, ..*format })
        };
        formats.iter().filter_map(theirs).min_by_key(|format| place(format.payload_type))
    }

    /// The `a=crypto` lines that can be used: those with AES-128 in counter mode that encrypt and authenticate
    /// everything and have no key identifier (MKI).
    pub fn crypto(&self) -> impl Iterator<Item = Crypto> {
        let ours = |line: &Crypto| {
            let terms = line.key.terms();
            let aes_128 = line.profile.master_bytes() == MasterKey::LEN && !line.profile.is_aead();
            aes_128 && terms.mki.is_none() && !terms.clear_rtp && !terms.clear_rtcp
        };
        self.values("crypto").filter_map(|value| Crypto::parse(value).ok()).filter(ours)
    }
}
