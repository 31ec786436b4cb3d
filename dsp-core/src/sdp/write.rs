//! Writing the description of this side, and finding what both sides agree on.

use core::fmt::{self, Write};
use core::net::IpAddr;

use super::read::streams;
use super::{Agreed, Format, Keys, Local, Remote, SdpError, base64};
use crate::guard::srtp::SrtpProfile;
use crate::time::PayloadType;

/// The suite that offers have: every phone has it.
const OFFERED: SrtpProfile = SrtpProfile::AesCm128HmacSha1_80;
/// The number of our line in offers.
const TAG: u32 = 1;

/// A text in a buffer.
struct Text<'b> {
    out: &'b mut [u8],
    len: usize,
}

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.out.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// What stands in the stream's lines.
struct Audio<'a> {
    formats: &'a [Format],
    events: Option<PayloadType>,
    rtcp_mux: bool,
    crypto: Option<(u32, SrtpProfile)>,
    direction: super::Direction,
}

impl Local<'_> {
    /// Writes an offer into `out` and returns it as text.
    ///
    /// # Errors
    /// Returns [`SdpError::OutputTooSmall`] if the text does not fit into `out`.
    pub fn offer<'b>(&self, out: &'b mut [u8]) -> Result<&'b str, SdpError> {
        let audio = Audio {
            formats: self.formats,
            events: self.events,
            rtcp_mux: true,
            crypto: self.key.map(|_| (TAG, OFFERED)),
            direction: self.direction,
        };
        self.text(out, |text| self.audio(text, &audio))
    }

    /// Writes an answer to `offer` into `out`. Returns the text and what both sides agree on by it. The codec is the
    /// first one in the offer that this side has.
    ///
    /// # Errors
    /// Returns an [`SdpError`] if there is no common codec, the profiles or keys do not fit together, the offer has no
    /// address, or the text does not fit into `out`. There is no answer then; a SIP stack refuses the call with 488
    /// (Not Acceptable Here).
    pub fn answer<'b>(&self, offer: &Remote<'_>, out: &'b mut [u8]) -> Result<(&'b str, Agreed), SdpError> {
        let (mut agreed, _) = self.common(offer)?;
        let mut crypto = None;
        if let Some(ours) = self.key {
            let theirs = offer.crypto().next().ok_or(SdpError::NoKeys)?;
            crypto = Some((theirs.tag, theirs.profile));
            let (outgoing, incoming) = (ours.clone(), theirs.key);
            agreed.keys = Some(Keys { profile: theirs.profile, outgoing, incoming });
        }
        let audio = Audio {
            formats: core::slice::from_ref(&agreed.format),
            events: agreed.events,
            rtcp_mux: agreed.rtcp_mux,
            crypto,
            direction: agreed.direction,
        };
        let mut answered = false;
        let answer = self.text(out, |text| {
            // A text in which one can't be read is none that was parsed.
            for line in streams(offer.text).filter_map(|(_, line)| line) {
                // The first one that is open is the stream; the others are refused (RFC 3264, 6).
                if line.media == "audio" && line.port > 0 && !answered {
                    answered = true;
                    self.audio(text, &audio)?;
                } else {
                    write!(text, "m={} 0 {} {}\r\n", line.media, line.proto, line.formats)?;
                }
            }
            Ok(())
        })?;
        Ok((answer, agreed))
    }

    /// Takes in the answer to the offer that this side made, and returns what both sides agreed on.
    ///
    /// # Errors
    /// Returns an [`SdpError`] if the answer does not fit the offer: no codec of it, another profile, no usable key,
    /// or no address.
    pub fn accept(&self, answer: &Remote<'_>) -> Result<Agreed, SdpError> {
        let (mut agreed, ours) = self.common(answer)?;
        if agreed.format.payload_type != ours.payload_type {
            return Err(SdpError::NoCodec);
        }
        // Another number than the offer's would be for one direction alone.
        agreed.events = agreed.events.filter(|theirs| self.events == Some(*theirs));
        if let Some(key) = self.key {
            let theirs = answer.crypto().find(|line| line.tag == TAG && line.profile == OFFERED);
            let theirs = theirs.ok_or(SdpError::NoKeys)?;
            agreed.keys = Some(Keys { profile: OFFERED, outgoing: key.clone(), incoming: theirs.key });
        }
        Ok(agreed)
    }

    /// What both texts agree on but for the keys, and the codec as it is in this side's offers.
    fn common(&self, remote: &Remote<'_>) -> Result<(Agreed, Format), SdpError> {
        if remote.is_secure()? != self.key.is_some() {
            return Err(SdpError::NoKeys);
        }
        let format = remote.best(self.formats).ok_or(SdpError::NoCodec)?;
        let same = |ours: &&Format| ours.name == format.name && ours.clock_hz == format.clock_hz;
        let ours = self.formats.iter().find(same).copied().ok_or(SdpError::NoCodec)?;
        let events = self.events.and_then(|_| remote.number_of("telephone-event", format.clock_hz));
        let agreed = Agreed {
            format,
            events,
            address: remote.address()?,
            port: remote.port(),
            rtcp_mux: remote.has("rtcp-mux"),
            ptime_ms: remote.packet_ms(self.ptime_ms),
            direction: self.direction.and(remote.direction().reversed()),
            keys: None,
        };
        Ok((agreed, ours))
    }

    /// The lines of the session, and behind them what `media` writes.
    fn text<'b>(
        &self,
        out: &'b mut [u8],
        media: impl FnOnce(&mut Text<'_>) -> fmt::Result,
    ) -> Result<&'b str, SdpError> {
        let got = out.len();
        let mut text = Text { out: &mut *out, len: 0 };
        let family = if self.address.is_ipv4() { "IP4" } else { "IP6" };
        let (address, session, version): (IpAddr, _, _) = (self.address, self.session, self.version);
        let head = write!(
            text,
            "v=0\r\no=- {session} {version} IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n"
        );
        head.and_then(|()| media(&mut text)).map_err(|_| SdpError::OutputTooSmall { got })?;
        let len = text.len;
        // It was written as text.
        out.get(..len).and_then(|text| core::str::from_utf8(text).ok()).ok_or(SdpError::OutputTooSmall { got })
    }

    fn audio(&self, text: &mut Text<'_>, audio: &Audio<'_>) -> fmt::Result {
        let proto = if audio.crypto.is_some() { "RTP/SAVP" } else { "RTP/AVP" };
        write!(text, "m=audio {} {proto}", self.port)?;
        let numbers = audio.formats.iter().map(|format| format.payload_type).chain(audio.events);
        for number in numbers {
            write!(text, " {}", number.get())?;
        }
        text.write_str("\r\n")?;
        for Format { name, clock_hz, payload_type } in audio.formats {
            write!(text, "a=rtpmap:{} {name}/{clock_hz}\r\n", payload_type.get())?;
        }
        if let (Some(events), Some(format)) = (audio.events, audio.formats.first()) {
            let number = events.get();
            write!(text, "a=rtpmap:{number} telephone-event/{}\r\na=fmtp:{number} 0-16\r\n", format.clock_hz)?;
        }
        write!(text, "a=ptime:{}\r\n", self.ptime_ms)?;
        if let (Some((tag, profile)), Some(key)) = (audio.crypto, self.key) {
            write!(text, "a=crypto:{tag} {} inline:", profile.sdes_name())?;
            base64::signs(key.as_bytes()).try_for_each(|sign| text.write_char(sign))?;
            text.write_str("\r\n")?;
        }
        if audio.rtcp_mux {
            text.write_str("a=rtcp-mux\r\n")?;
        }
        write!(text, "a={}\r\n", audio.direction.name())
    }
}
