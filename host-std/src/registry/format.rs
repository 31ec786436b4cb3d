//! Payload formats as SDP names them: encoding name, RTP clock, channels and format parameters (RFC 8866, 6.6 and 6.15),
//! and the static payload types (RFC 3551, table 4).

use std::borrow::Cow;
use std::fmt;

use dsp_core::codec::ilbc::IlbcMode;
use dsp_core::sdp::StaticFormat;
use dsp_core::time::PayloadType;

/// A payload format as `a=rtpmap` and `a=fmtp` describe it.
///
/// ```
/// use host_std::registry::CodecFormat;
///
/// let format = CodecFormat::from_rtpmap("opus/48000/2").unwrap().with_fmtp("minptime=10;useinbandfec=1");
/// assert_eq!(format.parameter("UseInbandFEC"), Some("1"));
/// // Parameters are wishes, and don't make another encoding.
/// assert!(format.same_encoding(&CodecFormat::opus()));
/// assert_eq!(CodecFormat::pcma().static_payload_type().map(|number| number.get()), Some(8));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecFormat {
    /// The encoding name, such as `PCMU`; compared without regard to case.
    pub name: Cow<'static, str>,
    /// The RTP clock, which isn't always the sampling rate: G.722 has 8000, Opus always 48000.
    pub rtp_clock_hz: u32,
    /// Channels; Opus always says 2 (RFC 7587, 7) and gives the true number in each packet.
    pub channels: u8,
    /// The text after the payload type in `a=fmtp`, empty if there is none. It describes the streams that its writer can or wants
    /// to *receive*.
    pub fmtp: String,
    /// The number to offer. `None` takes the static number if there is one, else a free dynamic one.
    pub payload_type: Option<PayloadType>,
}

impl CodecFormat {
    /// Creates a format without parameters and without a wish for a number.
    pub fn new(name: impl Into<Cow<'static, str>>, rtp_clock_hz: u32, channels: u8) -> Self {
        Self { name: name.into(), rtp_clock_hz, channels, fmtp: String::new(), payload_type: None }
    }

    /// G.711 mu-law: static payload type 0.
    pub fn pcmu() -> Self {
        Self::new("PCMU", 8_000, 1)
    }

    /// G.711 A-law: static payload type 8.
    pub fn pcma() -> Self {
        Self::new("PCMA", 8_000, 1)
    }

    /// G.722: static payload type 9; sampled at 16 kHz with an RTP clock of 8 kHz (RFC 3551, 4.5.2).
    pub fn g722() -> Self {
        Self::new("G722", 8_000, 1)
    }

    /// Linear 16-bit samples (RFC 3551, 4.5.11): static payload types 10 and 11 at 44100 Hz, else dynamic.
    pub fn l16(rtp_clock_hz: u32, channels: u8) -> Self {
        Self::new("L16", rtp_clock_hz, channels)
    }

    /// iLBC (RFC 3952) in frames of 20 or 30 ms.
    pub fn ilbc(mode: IlbcMode) -> Self {
        Self::new("iLBC", 8_000, 1).with_fmtp(if mode == IlbcMode::Ms20 { "mode=20" } else { "mode=30" })
    }

    /// Returns comfort noise for a codec with this clock (RFC 3389): static payload type 13 at 8 kHz.
    pub fn comfort_noise(rtp_clock_hz: u32) -> Self {
        Self::new("CN", rtp_clock_hz, 1)
    }

    /// Redundant audio data at a codec's RTP clock and channels (RFC 2198). Its `fmtp` names payload types: an offer or
    /// answer fills it in.
    pub fn redundancy(codec: &Self) -> Self {
        Self::new("red", codec.rtp_clock_hz, codec.channels)
    }

    /// Opus with its in-band error correction asked for (RFC 7587, 6.1).
    pub fn opus() -> Self {
        Self::new("opus", 48_000, 2).with_fmtp("minptime=10;useinbandfec=1")
    }

    /// Returns this format with these parameters.
    pub fn with_fmtp(self, fmtp: impl Into<String>) -> Self {
        Self { fmtp: fmtp.into(), ..self }
    }

    /// Returns this format with this payload type, to be offered.
    pub fn with_payload_type(self, payload_type: PayloadType) -> Self {
        Self { payload_type: Some(payload_type), ..self }
    }

    /// The value of a parameter in [`fmtp`](Self::fmtp), such as `useinbandfec`; names are compared without regard
    /// to case. A parameter without a value is `""`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.fmtp.split(';').find_map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Returns whether both speak of the same encoding. Parameters don't matter: they're each side's wishes as a receiver.
    pub fn same_encoding(&self, other: &Self) -> bool {
        self.is_named(&other.name) && self.rtp_clock_hz == other.rtp_clock_hz && self.channels == other.channels
    }

    /// Returns whether `name` is the format's encoding name, in any case.
    pub fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Comfort noise, redundancy and error correction: they go with a codec, and alone make no call.
    pub(crate) fn is_auxiliary(&self) -> bool {
        ["CN", "red", "ulpfec", "parityfec", "flexfec"].iter().any(|name| self.is_named(name))
    }

    pub(crate) fn is_telephone_event(&self) -> bool {
        self.is_named("telephone-event")
    }

    /// Returns the format's number in RFC 3551, table 4.
    pub fn static_payload_type(&self) -> Option<PayloadType> {
        let same = |format: &StaticFormat| {
            self.is_named(format.name) && (self.rtp_clock_hz, self.channels) == (format.clock_hz, format.channels)
        };
        StaticFormat::ALL.into_iter().find(same).map(|format| format.payload_type)
    }

    /// Returns the format of a static payload type, which holds where no `a=rtpmap` redefines it.
    pub(crate) fn from_static(payload_type: PayloadType) -> Option<Self> {
        let StaticFormat { name, clock_hz, channels, .. } = StaticFormat::find(payload_type)?;
        Some(Self::new(name, clock_hz, channels))
    }

    /// Reads `PCMU/8000` or `L16/44100/2`; `None` if it's something else.
    pub fn from_rtpmap(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('/');
        let name = parts.next().map(str::trim).filter(|name| is_token(name))?;
        let clock_hz = parts.next()?.trim().parse().ok().filter(|clock_hz| (1..=384_000).contains(clock_hz))?;
        let channels = match parts.next() {
            Some(text) => text.trim().parse().ok().filter(|channels| *channels > 0)?,
            None => 1,
        };
        Some(Self::new(name.to_owned(), clock_hz, channels))
    }

    /// Returns the value of `a=rtpmap` without the number. One channel isn't written (RFC 8866, 6.6).
    pub fn to_rtpmap(&self) -> String {
        match self.channels {
            1 => format!("{}/{}", self.name, self.rtp_clock_hz),
            channels => format!("{}/{}/{channels}", self.name, self.rtp_clock_hz),
        }
    }
}

/// Writes the format as `a=rtpmap` does: `PCMU/8000`.
impl fmt::Display for CodecFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rtpmap())
    }
}

/// Returns whether `text` is a token of RFC 8866, 9 (near enough: printable ASCII without separators that SDP uses).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_graphic() && !b"/:;,=\"<>()[]".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtpmap_both_ways() {
        assert_eq!(CodecFormat::from_rtpmap("PCMU/8000/1"), Some(CodecFormat::pcmu()));
        assert_eq!(CodecFormat::from_rtpmap("L16/44100/2").unwrap().to_rtpmap(), "L16/44100/2");
        assert_eq!(CodecFormat::opus().to_rtpmap(), "opus/48000/2");
        for bad in ["", "PCMU", "PCMU/", "PCMU/0", "PCMU/8000/0", "/8000", "PCMU/-8000", "a b/8000"] {
            assert_eq!(CodecFormat::from_rtpmap(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_encoding_is_name_clock_and_channels() {
        assert!(CodecFormat::opus().same_encoding(&CodecFormat::from_rtpmap("OPUS/48000/2").unwrap()));
        assert!(!CodecFormat::l16(44_100, 2).same_encoding(&CodecFormat::l16(44_100, 1)));
        assert!(!CodecFormat::g722().same_encoding(&CodecFormat::new("G722", 16_000, 1)));
    }

    #[test]
    fn static_numbers() {
        let number = |format: CodecFormat| format.static_payload_type().map(PayloadType::get);
        assert_eq!(number(CodecFormat::comfort_noise(8_000)), Some(13));
        assert_eq!(number(CodecFormat::pcmu()), Some(0));
        assert_eq!(number(CodecFormat::pcma()), Some(8));
        assert_eq!(number(CodecFormat::g722()), Some(9));
        assert_eq!(number(CodecFormat::l16(44_100, 2)), Some(10));
        assert_eq!(number(CodecFormat::l16(44_100, 1)), Some(11));
        assert_eq!(number(CodecFormat::l16(16_000, 1)), None);
        assert_eq!(number(CodecFormat::opus()), None);
        assert_eq!(CodecFormat::from_static(PayloadType::new(2).unwrap()), None);
    }

    #[test]
    fn parameters() {
        let opus = CodecFormat::opus().with_fmtp("maxplaybackrate=16000; UseInbandFEC = 1;stereo=0;;cbr");
        assert_eq!(opus.parameter("useinbandfec"), Some("1"));
        assert_eq!(opus.parameter("maxplaybackrate"), Some("16000"));
        assert_eq!(opus.parameter("cbr"), Some(""));
        assert_eq!(opus.parameter("usedtx"), None);
    }
}
