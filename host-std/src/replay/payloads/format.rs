//! A codec as the user names it for a stream, and what decodes it.

use std::fmt;
use std::str::FromStr;

use dsp_core::codec::Decoder;

use super::widen::{Doubled, StereoDecoder};
use crate::opus::OpusEncoderConfig;
use crate::registry::{CodecFormat, Opus, Registry, Terms};

/// A codec as `--payload-map` names it: `opus/48000/2`, `L16/16000`, `pcma`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadFormat {
    /// The format as SDP writes it.
    pub format: CodecFormat,
    /// The format of the decoder: a codec of samples treats both channels as one.
    coding: CodecFormat,
    sample_rate_hz: u32,
    channels: u8,
}

/// The fault in the name of a codec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// The text isn't `NAME[/CLOCK[/CHANNELS]]`.
    Syntax(String),
    /// There is no decoder for this format.
    Codec(String),
    /// The text isn't `NUMBER=FORMAT` with a number up to 127.
    Entry(String),
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(text) => write!(f, "'{text}' is not NAME/CLOCK/CHANNELS, as in opus/48000/2"),
            Self::Codec(text) => {
                write!(f, "no decoder for '{text}'; there are {}", Registry::builtin().names().join(", "))
            }
            Self::Entry(text) => write!(f, "'{text}' is not NUMBER=NAME/CLOCK/CHANNELS, as in 96=opus/48000/2"),
        }
    }
}

impl std::error::Error for FormatError {}

/// Reads `NAME[/CLOCK[/CHANNELS]]`; omitted parts have the codec's usual values.
pub(super) fn read(text: &str) -> Result<CodecFormat, FormatError> {
    let syntax = || FormatError::Syntax(text.into());
    let name = text.split('/').next().filter(|name| !name.is_empty()).ok_or_else(syntax)?;
    let (clock_hz, channels) =
        Registry::builtin().named(name).map_or((8_000, 1), |usual| (usual.rtp_clock_hz, usual.channels));
    let whole = match text.matches('/').count() {
        _ if text.contains(char::is_whitespace) => None,
        0 => Some(CodecFormat::new(name.to_owned(), clock_hz, channels)),
        1 => CodecFormat::from_rtpmap(text).map(|format| CodecFormat { channels, ..format }),
        2 => CodecFormat::from_rtpmap(text),
        _ => None,
    };
    whole.ok_or_else(syntax)
}

impl FromStr for PayloadFormat {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        Self::new(read(text)?).ok_or_else(|| FormatError::Codec(text.into()))
    }
}

impl PayloadFormat {
    /// `None` if there is no decoder for it, or it has more channels than two. Opus, which never says, is taken as mono.
    pub fn new(format: CodecFormat) -> Option<Self> {
        // In codecs of samples the channels are interleaved sample by sample, and the codec of one channel takes them all.
        let (coding, channels) = match format.channels {
            2 if ["PCMU", "PCMA"].iter().any(|name| format.is_named(name)) => {
                (CodecFormat { channels: 1, ..format.clone() }, Some(2))
            }
            _ => (format.clone(), None),
        };
        let codec = Registry::builtin().describe(&coding)?;
        let channels = channels.unwrap_or(codec.channels);
        let sample_rate_hz = codec.sample_rate_hz;
        (1..=2).contains(&channels).then_some(Self { format, coding, sample_rate_hz, channels })
    }

    /// Returns the same of packets of which some are stereo: Opus says it in each packet alone.
    pub(super) fn with_stereo_packets(self, some: bool) -> Self {
        if some && self.format.is_named("opus") { Self { channels: 2, ..self } } else { self }
    }

    /// Returns whether another's sound has the same rates.
    pub(super) fn has_the_rates_of(&self, other: &Self) -> bool {
        (self.rtp_clock_hz(), self.sample_rate_hz) == (other.rtp_clock_hz(), other.sample_rate_hz)
    }

    /// Makes one stream of the formats in it, of which the first says the rates: where one is stereo, all are.
    pub(in crate::replay) fn bring_together(formats: &mut [&mut Self]) {
        let Some(main) = formats.first().map(|main| (*main).clone()) else { return };
        if formats.iter().any(|format| format.has_the_rates_of(&main) && format.channels == 2) {
            for format in formats.iter_mut().filter(|format| format.has_the_rates_of(&main)) {
                format.channels = 2;
            }
        }
    }

    pub(super) fn named(name: &'static str, clock: u32, channels: u8) -> Option<Self> {
        Self::new(CodecFormat::new(name, clock, channels))
    }

    /// Returns the format of the codec.
    pub fn codec(&self) -> &CodecFormat {
        &self.format
    }

    /// Rate of the RTP clock, in Hz.
    pub fn rtp_clock_hz(&self) -> u32 {
        self.format.rtp_clock_hz
    }

    /// Rate of the sound, in Hz.
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// Channels of the sound.
    pub fn channels(&self) -> u8 {
        self.channels
    }

    /// Returns a decoder for it; `None` if the library refuses.
    pub(super) fn decoder(&self) -> Option<Box<dyn Decoder + Send>> {
        let opus = OpusEncoderConfig { channels: self.channels, ..OpusEncoderConfig::default() };
        let registry = Registry::builtin().with(Opus(opus));
        let decoder = registry.find(&self.coding)?.decoder(&Terms::alone(&self.coding)).ok()?;
        let decoder: Box<dyn Decoder + Send> =
            if self.coding == self.format { decoder } else { Box::new(StereoDecoder(decoder)) };
        Some(if decoder.info().channels < self.channels { Box::new(Doubled(decoder)) } else { decoder })
    }
}

impl fmt::Display for PayloadFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.format.fmt(f)
    }
}
