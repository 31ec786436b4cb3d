//! The other side's text.

use core::net::IpAddr;

use zeroize::Zeroize;

use super::{Direction, Format, SdpError, base64};
use crate::guard::srtp::{MasterKey, SrtpProfile};
use crate::time::PayloadType;

/// The lines of a text, without their ends. What isn't UTF-8 is left out: it can only be in a name.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &str> {
    text.split(|byte| *byte == b'\n').filter_map(|line| core::str::from_utf8(line).ok()).map(|line| line.trim_end())
}

/// A text cut before each `m=` line: what is about the session first, if anything is.
pub(super) fn sections(text: &[u8]) -> impl Iterator<Item = &[u8]> {
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
    pub(super) port: u16,
    pub(super) proto: &'a str,
    /// The numbers, with blanks between them.
    pub(super) formats: &'a str,
}

impl<'a> MediaLine<'a> {
    pub(super) fn parse(section: &'a [u8]) -> Option<Self> {
        let line = lines(section).next()?.strip_prefix("m=")?;
        let (media, line) = line.split_once(' ')?;
        let (port, line) = line.split_once(' ')?;
        let (proto, formats) = line.split_once(' ')?;
        // A number of ports behind a slash is for layered encodings.
        let port = port.split_once('/').map_or(port, |(port, _)| port).parse().ok()?;
        Some(Self { media, port, proto, formats })
    }
}

/// A description of the other side, an offer or an answer.
#[derive(Clone, Copy)]
pub struct Remote<'a> {
    pub(super) text: &'a [u8],
    session: &'a [u8],
    audio: &'a [u8],
    proto: &'a str,
    port: u16,
    formats: &'a str,
}

/// One `a=crypto` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// Its number.
    pub tag: u32,
    /// Its suite.
    pub profile: SrtpProfile,
    /// The other side's key.
    pub key: MasterKey,
}

impl<'a> Remote<'a> {
    /// Finds the first stream of audio that is open.
    ///
    /// # Errors
    /// [`SdpError::Malformed`], [`SdpError::NoAudio`].
    pub fn parse(text: &'a [u8]) -> Result<Self, SdpError> {
        if lines(text).find(|line| !line.is_empty()) != Some("v=0") {
            return Err(SdpError::Malformed);
        }
        let session = sections(text).next().unwrap_or_default();
        for audio in sections(text) {
            match MediaLine::parse(audio) {
                Some(MediaLine { media: "audio", port, proto, formats }) if port > 0 => {
                    return Ok(Self { text, session, audio, proto, port, formats });
                }
                _ => {}
            }
        }
        Err(SdpError::NoAudio)
    }

    /// The number of the session and that of this text in it, from the `o=` line: a text with another one is new.
    pub fn version(&self) -> Option<(&'a str, u64)> {
        let line = lines(self.session).find_map(|line| line.strip_prefix("o="))?;
        let mut fields = line.split_ascii_whitespace().skip(1);
        Some((fields.next()?, fields.next()?.parse().ok()?))
    }

    /// The value of an attribute of the session, such as one that a program has of its own.
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

    /// Whether its profile is that of SRTP.
    ///
    /// # Errors
    /// [`SdpError::Profile`] if it's neither that nor plain RTP.
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

    /// Where the other side is.
    ///
    /// # Errors
    /// [`SdpError::NoAddress`], also of a name, which isn't looked up.
    pub fn address(&self) -> Result<IpAddr, SdpError> {
        self.connection().and_then(|address| address.parse().ok()).ok_or(SdpError::NoAddress)
    }

    /// Its port of RTP.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Who sends, as the other side sees it. On hold by an address of zeros (RFC 2543, B.5) it doesn't receive.
    pub fn direction(&self) -> Direction {
        let of = |section| lines(section).find_map(|line| Direction::from_name(line.strip_prefix("a=")?));
        let said = of(self.audio).or_else(|| of(self.session)).unwrap_or_default();
        let receives = said.receives() && self.address().map_or(true, |address| !address.is_unspecified());
        Direction::from_flags(said.sends(), receives)
    }

    /// The value of a numeric attribute, in ms.
    pub(super) fn milliseconds(&self, name: &'static str) -> Option<u32> {
        self.values(name).next()?.trim().parse().ok()
    }

    /// The number by which the other side calls a codec.
    pub fn number_of(&self, name: &str, clock_hz: u32) -> Option<PayloadType> {
        let numbers = self.formats.split_ascii_whitespace().filter_map(|number| number.parse().ok());
        numbers.filter_map(PayloadType::new).find(|number| {
            let map = self.map_of(*number).or_else(|| {
                let (name, clock_hz) = static_format(*number)?;
                Some((name, clock_hz, 1))
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

    /// The `a=crypto` lines that can be used: those of AES-128 in counter mode with all encrypted and authenticated, without an
    /// identifier (MKI).
    pub fn crypto(&self) -> impl Iterator<Item = Crypto> {
        self.values("crypto").filter_map(Crypto::parse)
    }
}

impl Crypto {
    fn parse(value: &str) -> Option<Self> {
        let mut fields = value.split_ascii_whitespace();
        let tag = fields.next()?.parse().ok()?;
        let profile = SrtpProfile::from_sdes_name(fields.next()?)?;
        let key = fields.next()?.strip_prefix("inline:")?;
        // Behind the key is its lifetime, which is theirs to keep, and an identifier.
        let mut key = key.split('|');
        let text = key.next()?;
        if profile.master_bytes() != MasterKey::LEN || profile.is_aead() || key.any(|part| part.contains(':')) {
            return None;
        }
        // What must be understood isn't; a window size is the receiver's own affair.
        if fields.any(|parameter| !parameter.starts_with("WSH=") && !parameter.starts_with('-')) {
            return None;
        }
        let mut bytes = [0; MasterKey::LEN];
        let read = base64::read(text, &mut bytes);
        let key = MasterKey::from_bytes(&bytes);
        bytes.zeroize();
        read.map(|()| Self { tag, profile, key })
    }
}

/// Codecs whose number needs no `a=rtpmap` (RFC 3551, table 4), as far as phones have them.
fn static_format(number: PayloadType) -> Option<(&'static str, u32)> {
    match number.get() {
        0 => Some(("PCMU", 8_000)),
        8 => Some(("PCMA", 8_000)),
        9 => Some(("G722", 8_000)),
        13 => Some(("CN", 8_000)),
        _ => None,
    }
}
