//! The registry: the codecs that calls can agree on, found by encoding name, RTP clock and channels.
//!
//! Use a [`Registry`] to choose which codecs this process has, to give a built-in codec other settings, or to add a codec of
//! your own. The order in which a call *offers* codecs is another thing: that is `CallConfig::codecs`. Payload types that no SDP
//! names belong into `OwnDecoders`, and a codec on its own, without calls, is one of [`dsp_core::codec`] or `opus`.
//!
//! A [`Codec`] describes its properties ([`CodecDescription`]) and its formats in SDP ([`CodecFormat`]), and makes an encoder or
//! a decoder from the terms that both sides wrote ([`Terms`]). A registry is a list of codecs. Offer and answer
//! ([`sdp`](crate::sdp)) and the call ask the registry and know no codec by themselves, so your own codec can do whatever a
//! built-in one can.
//!
//! Opus for speech in little bandwidth, in the place of the built-in Opus:
//!
//! ```
//! # #[cfg(feature = "opus")] {
//! use host_std::opus::OpusEncoderConfig;
//! use host_std::registry::{CodecFormat, Opus, Registry};
//! use host_std::session::{Call, CallConfig};
//!
//! let settings = OpusEncoderConfig { sample_rate_hz: 16_000, bitrate_bps: 16_000, ..OpusEncoderConfig::default() };
//! let registry = Registry::builtin().with(Opus(settings));
//! assert_eq!(registry.names(), ["opus", "g722", "pcmu", "pcma", "ilbc", "l16"]);
//!
//! let config = CallConfig { registry, codecs: vec![CodecFormat::opus()], ..CallConfig::new(4000)? };
//! assert!(Call::new(config)?.offer()?.contains("a=rtpmap:96 opus/48000/2"));
//! # }
//! # Ok::<(), host_std::session::CallError>(())
//! ```
//!
//! A codec of your own, here mu-law under another name:
//!
//! ```
//! use dsp_core::codec::g711::Pcmu;
//! use dsp_core::codec::{Decoder, Encoder};
//! use host_std::registry::{Codec, CodecDescription, CodecFormat, Made, Registry, Terms};
//!
//! struct Companded;
//!
//! impl Codec for Companded {
//!     fn formats(&self) -> Vec<CodecFormat> {
//!         vec![CodecFormat::new("X-COMPANDED", 8_000, 1)]
//!     }
//!     fn describe(&self, _: &CodecFormat) -> CodecDescription {
//!         CodecDescription { bit_rate_bps: [64_000; 2], ..CodecDescription::new(8_000, 1) }
//!     }
//!     fn encoder(&self, _: &Terms<'_>) -> Made<dyn Encoder + Send> {
//!         Ok(Box::new(Pcmu))
//!     }
//!     fn decoder(&self, _: &Terms<'_>) -> Made<dyn Decoder + Send> {
//!         Ok(Box::new(Pcmu))
//!     }
//! }
//!
//! let registry = Registry::builtin().with(Companded);
//! let format = registry.named("x-companded").unwrap();
//! assert_eq!(format.to_rtpmap(), "X-COMPANDED/8000");
//! assert_eq!(registry.describe(&format).unwrap().sample_rate_hz, 8_000);
//! ```
//!
//! **Cost.** Cloning a registry copies one reference-counted pointer for each codec, so a server shares one registry between all of
//! its calls. Codecs are looked up while a call agrees on them, and never on the audio path.
//!
//! **Limits.** Codecs are for audio with one RTP clock for all packets, one or two channels, and sound of 8 to 48 kHz.
//!
//! **Standards.** Formats are written as in SDP: RFC 8866, 6.6 (`a=rtpmap`) and 6.15 (`a=fmtp`), and RFC 4855. The static payload types
//! are those of RFC 3551.

mod description;
mod format;
mod ilbc;
mod numbers;
#[cfg(feature = "opus")]
mod opus;
mod waveform;

use std::error::Error;
use std::fmt;
use std::sync::{Arc, LazyLock};

pub use dsp_core::codec::Frames;
use dsp_core::codec::{Decoder, Encoder};

pub use description::CodecDescription;
pub use format::CodecFormat;
pub(crate) use format::is_token;
pub use ilbc::Ilbc;
pub(crate) use numbers::PayloadTypesInUse;
#[cfg(feature = "opus")]
pub use opus::Opus;
pub use waveform::{G722, L16, Pcma, Pcmu};

/// An encoder or a decoder on the heap, or why it can't be made.
pub type Made<T> = Result<Box<T>, Box<dyn Error + Send + Sync>>;

/// The terms that both sides wrote about a codec in their descriptions. Each side's `a=fmtp` is about the streams that it
/// *receives*.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The terms of our description: our decoder must be able to decode them.
    pub ours: &'a CodecFormat,
    /// The terms of the other side's description: our encoder must keep to them.
    pub theirs: &'a CodecFormat,
}

impl<'a> Terms<'a> {
    /// Terms where there is no other side, or where it hasn't answered yet: `format` is used for both. Its parameters bind the
    /// encoder as those of another side would. Features that they don't ask for, such as two channels or pauses of Opus, aren't
    /// sent, whatever the codec's settings are. [`Codec::offer`] gives a format the parameters that fit the settings.
    pub fn alone(format: &'a CodecFormat) -> Self {
        Self { ours: format, theirs: format }
    }
}

/// A codec that calls can agree on: implement this for a codec of your own, as the [module's page](self) shows.
///
/// Settings (a bit rate, a complexity) are fields of the type that implements this.
pub trait Codec: Send + Sync {
    /// Returns the formats that the codec has, the usual one first.
    fn formats(&self) -> Vec<CodecFormat>;

    /// Returns the codec's properties under `format`, which is one of [`formats`](Self::formats) with any parameters.
    fn describe(&self, format: &CodecFormat) -> CodecDescription;

    /// The bit rate in bit/s from which a call reckons how long packets of `format` may be within the MTU. An encoder that
    /// goes beyond it for a while must keep within the room that [`Encoder::encode`] is given.
    fn packet_bps(&self, format: &CodecFormat) -> u32 {
        self.describe(format).bit_rate_bps[1]
    }

    /// Makes the encoder, for the other side's receiver.
    ///
    /// # Errors
    /// The codec's error for settings, or for parameters in `terms`, that it doesn't support.
    fn encoder(&self, terms: &Terms<'_>) -> Made<dyn Encoder + Send>;

    /// Makes the decoder, for our receiver.
    ///
    /// # Errors
    /// The codec's error for settings, or for parameters in `terms`, that it doesn't support.
    fn decoder(&self, terms: &Terms<'_>) -> Made<dyn Decoder + Send>;

    /// Returns the format for our offer where the user wants `wanted`: its parameters describe the stream that we want to
    /// receive.
    fn offer(&self, wanted: &CodecFormat) -> CodecFormat {
        wanted.clone()
    }

    /// The format that goes into our answer where we have `ours` and the offer has `theirs`; `None` if these can't be one.
    fn agree(&self, ours: &CodecFormat, theirs: &CodecFormat) -> Option<CodecFormat> {
        ours.same_encoding(theirs).then(|| ours.clone())
    }
}

/// A list of codecs, which is empty by default. If two codecs have the same format, the one that was added later counts.
///
/// A registry of A-law and G.722 alone, and a call that offers both:
///
/// ```
/// use host_std::registry::{CodecFormat, G722, Pcma, Registry};
/// use host_std::session::{Call, CallConfig};
///
/// let registry = Registry::default().with(Pcma::default()).with(G722::default());
/// assert_eq!(registry.names(), ["pcma", "g722"]);
/// assert!(registry.find(&CodecFormat::pcmu()).is_none());
///
/// let codecs = registry.codecs().flat_map(|codec| codec.formats()).collect();
/// let mut call = Call::new(CallConfig { codecs, registry, ..CallConfig::new(4000)? })?;
/// assert!(call.offer()?.contains("RTP/SAVP 8 9"));
/// # Ok::<(), host_std::session::CallError>(())
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    codecs: Vec<Arc<dyn Codec>>,
}

static BUILTIN: LazyLock<Registry> = LazyLock::new(|| {
    let codecs: &[Arc<dyn Codec>] = &[
        #[cfg(feature = "opus")]
        Arc::new(Opus::default()),
        Arc::new(G722::default()),
        Arc::new(Pcmu::default()),
        Arc::new(Pcma::default()),
        Arc::new(Ilbc),
        Arc::new(L16),
    ];
    Registry { codecs: codecs.into() }
});

impl Registry {
    /// Returns all codecs of this crate with their usual settings, the best first: Opus (with the cargo feature `opus`), G.722,
    /// PCMU, PCMA, iLBC, L16.
    pub fn builtin() -> Self {
        BUILTIN.clone()
    }

    /// Returns this registry with `codec`, which takes the place of a codec all of whose formats it has too, or else comes last.
    #[must_use]
    pub fn with(mut self, codec: impl Codec + 'static) -> Self {
        let formats = codec.formats();
        let replaced = self.codecs.iter().position(|old| {
            let old = old.formats();
            !old.is_empty() && old.iter().all(|old| formats.iter().any(|new| new.same_encoding(old)))
        });
        match replaced {
            Some(place) => self.codecs[place] = Arc::new(codec),
            None => self.codecs.push(Arc::new(codec)),
        }
        self
    }

    /// Returns all codecs, in the order of preference.
    pub fn codecs(&self) -> impl Iterator<Item = &dyn Codec> {
        self.codecs.iter().map(|codec| &**codec)
    }

    /// The codec that has this format; `None` if there is none. Parameters (`a=fmtp`) don't matter.
    pub fn find(&self, format: &CodecFormat) -> Option<&dyn Codec> {
        let has = |codec: &&Arc<dyn Codec>| codec.formats().iter().any(|own| own.same_encoding(format));
        self.codecs.iter().rev().find(has).map(|codec| &**codec)
    }

    /// Returns the properties under this format of the codec that has it; `None` if there is none.
    pub fn describe(&self, format: &CodecFormat) -> Option<CodecDescription> {
        self.find(format).map(|codec| codec.describe(format))
    }

    /// The usual format of the codec with this name, in capitals or not (`pcmu`), or the format that is written as in
    /// `a=rtpmap` (`L16/16000/2`). `None` if no codec has it.
    pub fn named(&self, name: &str) -> Option<CodecFormat> {
        let formats = || self.codecs.iter().flat_map(|codec| codec.formats());
        match CodecFormat::from_rtpmap(name) {
            Some(wanted) => formats().find(|format| format.same_encoding(&wanted)),
            None => formats().find(|format| format.is_named(name)),
        }
    }

    /// Returns the names of all codecs, in lower case, each once, in the order of preference.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for name in self.codecs.iter().flat_map(|codec| codec.formats()).map(|format| format.name.to_lowercase()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Our format in the answer to `theirs`, or `None` if they don't go together. Formats without a codec here
    /// (comfort noise) go together if they are the same.
    pub(crate) fn agree(&self, ours: &CodecFormat, theirs: &CodecFormat) -> Option<CodecFormat> {
        match self.find(ours) {
            Some(codec) => codec.agree(ours, theirs),
            None => ours.same_encoding(theirs).then(|| ours.clone()),
        }
    }

    /// The packets for these terms whose length is nearest below `wished_ms`, at least one frame, and whose payloads have
    /// at most `payload_bytes` if there are any such.
    pub(crate) fn packets(&self, terms: &Terms<'_>, wished_ms: u32, payload_bytes: usize) -> PacketLengths {
        let agreed = self.agree(terms.ours, terms.theirs);
        let codec = agreed.as_ref().and_then(|format| self.find(format).map(|codec| (codec, format)));
        let Some((codec, format)) = codec else {
            return PacketLengths { ms: wished_ms, free_ms: wished_ms, least_bytes: 0 };
        };
        let description = codec.describe(format);
        let ms = description.packet_ms(wished_ms, codec.packet_bps(format), payload_bytes);
        PacketLengths {
            ms,
            free_ms: description.frames.packet_ms(wished_ms),
            least_bytes: description.payload_bytes(ms, description.bit_rate_bps[0]),
        }
    }
}

/// The possible durations of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PacketLengths {
    /// The length of the packets, in ms.
    pub(crate) ms: u32,
    /// The length of the packets if they might have any number of bytes, in ms.
    pub(crate) free_ms: u32,
    /// Bytes that a payload has at least, at the codec's lowest bit rate.
    pub(crate) least_bytes: usize,
}

/// Whether both have the very same entries.
impl PartialEq for Registry {
    fn eq(&self, other: &Self) -> bool {
        self.codecs.len() == other.codecs.len()
            && self.codecs.iter().zip(&other.codecs).all(|(own, other)| Arc::ptr_eq(own, other))
    }
}

impl Eq for Registry {}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "opus")]
    use crate::opus::OpusEncoderConfig;

    #[cfg(feature = "opus")]
    #[test]
    fn found_by_name_clock_and_channels() {
        let registry = Registry::builtin();
        assert_eq!(registry.names(), ["opus", "g722", "pcmu", "pcma", "ilbc", "l16"]);
        assert_eq!(registry.named("L16/16000/2"), Some(CodecFormat::l16(16_000, 2)));
        assert_eq!(registry.named("pcmu"), Some(CodecFormat::pcmu()));
        for unknown in ["G729", "L16/12345", "PCMU/16000", "", "CN"] {
            assert_eq!(registry.named(unknown), None, "{unknown}");
        }
        assert!(registry.find(&CodecFormat::new("pcma", 8_000, 1)).is_some());
        assert!(registry.find(&CodecFormat::new("G722", 16_000, 1)).is_none());
    }

    #[test]
    fn what_is_described_is_what_is_made() {
        let builtin = Registry::builtin();
        let concealing = Registry::builtin()
            .with(Pcmu { appendix1: true })
            .with(Pcma { appendix1: true })
            .with(G722 { own_concealment: true, ..G722::default() });
        assert_eq!(concealing.names(), builtin.names());
        for codec in builtin.codecs().chain(concealing.codecs()) {
            for format in codec.formats() {
                let description = codec.describe(&format);
                let terms = Terms::alone(&format);
                let (encoder, mut decoder) = (codec.encoder(&terms).unwrap(), codec.decoder(&terms).unwrap());
                let info = encoder.info();
                assert_eq!(info, decoder.info(), "{format}");
                assert_eq!(info.sample_rate_hz, description.sample_rate_hz, "{format}");
                assert_eq!((info.rtp_clock_hz, info.channels), (format.rtp_clock_hz, description.channels), "{format}");
                assert!(format.is_named(info.name), "{format}");
                // 60 ms suits them all, and before the first packet own concealment is silence at most.
                let mut pcm = vec![0; info.sample_rate_hz as usize * 60 / 1_000 * usize::from(info.channels)];
                assert_eq!(decoder.conceal(&mut pcm), description.own_concealment, "{format}");
                assert!(description.encoder_bytes > 0 || info.name.starts_with(['P', 'L']), "{format}");
            }
        }
    }

    #[cfg(feature = "opus")]
    #[test]
    fn frames_and_bit_rates_are_what_encoders_make() {
        let registry = Registry::builtin().with(Opus(OpusEncoderConfig { channels: 2, ..Default::default() }));
        for codec in registry.codecs() {
            for format in codec.formats() {
                let description = codec.describe(&format);
                let mut encoder = codec.encoder(&Terms::alone(&format)).unwrap();
                assert_eq!(encoder.frames(), description.frames, "{format}");
                let ms = description.frames.packet_ms(20);
                let channels = usize::from(description.channels);
                let samples = description.sample_rate_hz as usize * ms as usize / 1_000;
                let mut payload = [0; 8_000];
                let bytes = encoder.encode(&vec![0; samples * channels], &mut payload).unwrap();
                let bps = bytes as f64 * 8.0 * f64::from(description.sample_rate_hz) / samples as f64;
                let [low, high] = description.bit_rate_bps.map(f64::from);
                assert!((low - 1.0..=high + 1.0).contains(&bps), "{format}: {bps}");
            }
        }
    }

    #[cfg(feature = "opus")]
    #[test]
    fn a_codec_comes_in_place_of_its_like() {
        let registry =
            Registry::builtin().with(Opus(OpusEncoderConfig { sample_rate_hz: 16_000, ..Default::default() }));
        assert_eq!(registry.names(), Registry::builtin().names());
        assert_eq!(registry.describe(&CodecFormat::opus()).unwrap().sample_rate_hz, 16_000);
        assert_eq!(Registry::builtin(), Registry::builtin());
        assert_ne!(registry, Registry::builtin());
    }
}
