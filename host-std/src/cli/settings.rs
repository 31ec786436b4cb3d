//! The settings of codecs on the command line: the same options with the same meaning in every command that has them.

use std::error::Error;
use std::fmt;

use clap::{Args as ClapArgs, ValueEnum};
use dsp_core::receive::DelayConfig;
use host_std::opus::{OpusApplication, OpusBandwidth, OpusEncoder, OpusEncoderConfig, OpusRateControl, OpusSignal};
use host_std::registry::{G722, Opus, Pcma, Pcmu, Registry};

use super::codecs::CodecName;
use super::{Outcome, number_in};

/// The concealment of lost packets. iLBC and Opus always do it themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Concealment {
    /// The receiver, from the waveform on both sides
    #[default]
    Waveform,
    /// The codec: G.711 by its Appendix I (3.75 ms more delay), G.722 by its own
    Codec,
}

impl Concealment {
    /// # Errors
    /// The error if none of these codecs needs concealment.
    pub(super) fn check(self, codecs: &[CodecName]) -> Outcome {
        match self {
            Self::Codec if codecs.iter().all(|name| name.is("l16")) => {
                Err("--concealment codec: l16 has none of its own".into())
            }
            _ => Ok(()),
        }
    }
}

/// The number of earlier packets that each packet repeats (RFC 2198).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeated {
    pub(super) packets: u8,
    /// Only while the other side tells of losses.
    pub(super) on_loss: bool,
}

impl Repeated {
    /// # Errors
    /// The allowed values.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(packets @ 0..=4) => Ok(Self { packets, on_loss: false }),
            _ if text == "auto" => Ok(Self { packets: 1, on_loss: true }),
            _ => Err("must be auto or 0 to 4".into()),
        }
    }
}

impl fmt::Display for Repeated {
    /// Writes the value as text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packets = self.packets;
        match self {
            Self { on_loss: true, .. } => write!(f, "{packets} packet, while losses are reported"),
            Self { packets: 0, .. } => f.write_str("none"),
            Self { packets: 1, .. } => f.write_str("1 packet"),
            _ => write!(f, "{packets} packets"),
        }
    }
}

/// The time for which packets wait.
#[derive(Clone, Copy, Debug)]
pub(super) enum Jitter {
    /// The delay that the network needs, for one-way listening.
    Adaptive,
    /// The delay with the best rating R.
    Conversation,
    /// A fixed delay in ms.
    Fixed(u32),
}

impl Jitter {
    /// # Errors
    /// The allowed values.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "adaptive" => Ok(Self::Adaptive),
            None if text == "conversation" => Ok(Self::Conversation),
            Some(("fixed", ms)) => number_in(ms, 0.0, 10_000.0).map(|ms| Self::Fixed(ms as u32)),
            _ => Err("must be adaptive, conversation or fixed:MS".into()),
        }
    }

    /// Bounds of the delay, with a maximum in ms where one is given.
    ///
    /// # Errors
    /// The error if a fixed delay has a maximum too.
    pub(super) fn delay(self, max_ms: Option<u32>) -> Result<DelayConfig, String> {
        let usual = match (self, max_ms) {
            (Self::Adaptive, _) => DelayConfig::default(),
            (Self::Conversation, _) => DelayConfig::conversation(),
            (Self::Fixed(ms), None) => return Ok(DelayConfig::fixed(ms)),
            (Self::Fixed(ms), Some(max)) => {
                return Err(format!("--max-delay {max}: with --jitter fixed:{ms} the delay is {ms} ms"));
            }
        };
        Ok(DelayConfig { max_ms: max_ms.unwrap_or(usual.max_ms), ..usual })
    }

    /// Describes the delay for people.
    pub(super) fn words(self, max_ms: u32) -> String {
        match self {
            Self::Adaptive => format!("adaptive, at most {max_ms} ms"),
            Self::Conversation => format!("for a conversation, at most {max_ms} ms"),
            Self::Fixed(ms) => format!("fixed, {ms} ms"),
        }
    }
}

/// # Errors
/// The error if two channels are requested and none of these codecs has two.
pub(super) fn check_channels(channels: u8, codecs: &[CodecName]) -> Outcome {
    match codecs {
        _ if channels == 1 || codecs.iter().any(|name| name.is("opus") || name.is("l16")) => Ok(()),
        [one] => Err(format!("--channels 2: {one} is mono").into()),
        _ => Err("--channels 2: these codecs are mono".into()),
    }
}

/// The codecs of this build, set up.
pub(super) fn registry(opus: OpusEncoderConfig, concealment: Concealment) -> Registry {
    let own = concealment == Concealment::Codec;
    Registry::builtin()
        .with(Opus(opus))
        .with(G722 { own_concealment: own, ..G722::default() })
        .with(Pcmu { appendix1: own })
        .with(Pcma { appendix1: own })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rates {
    /// Sizes follow the sound
    Vbr,
    /// The same within bounds
    Cvbr,
    /// All packets have one size
    Cbr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tune {
    /// Speech
    Voice,
    /// Music and mixed sound
    Music,
    /// The shortest delay
    LowDelay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Signal {
    /// The encoder finds out
    Auto,
    /// Speech
    Voice,
    /// Music
    Music,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Bandwidth {
    /// 4 kHz
    Narrow,
    /// 6 kHz
    Medium,
    /// 8 kHz
    Wide,
    /// 12 kHz
    SuperWide,
    /// 20 kHz
    Full,
}

/// What Opus' encoder is set to. What the other side of a call asks for binds it further (RFC 7587).
#[derive(ClapArgs, Clone, Debug, Default)]
#[command(next_help_heading = "Opus")]
pub(super) struct OpusArgs {
    /// Bit rate in bit/s, 500 to 512000 a channel; `encode` takes those of other codecs too [default: 32000 a channel]
    #[arg(long, value_name = "BPS")]
    pub(super) bitrate: Option<u32>,
    /// How sizes may vary [default: cvbr]
    #[arg(long, value_enum, value_name = "HOW")]
    rates: Option<Rates>,
    /// Effort from 0 (cheapest) to 10 (best) [default: 9]
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=10), value_name = "NUMBER")]
    complexity: Option<u8>,
    /// Loss to prepare for, in percent: it decides how much FEC and DRED carry [default: demo: what its network loses,
    /// up to 30; offer and answer: 5; encode: 0]
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=100), value_name = "PERCENT")]
    expected_loss: Option<u8>,
    /// No in-band FEC: packets don't carry the one before at a low rate
    #[arg(long)]
    no_fec: bool,
    /// Deep Redundancy in place of FEC, so many ms back, up to 1040 (needs a build with the cargo feature opus-dred)
    #[arg(long, value_name = "MS")]
    dred: Option<u16>,
    /// What to tune for [default: voice]
    #[arg(long, value_enum, value_name = "WHAT")]
    tune: Option<Tune>,
    /// What the sound is [default: auto]
    #[arg(long, value_enum, value_name = "WHAT")]
    signal: Option<Signal>,
    /// The band that is coded [default: what suits rate and bit rate]
    #[arg(long, value_enum, value_name = "BAND")]
    bandwidth: Option<Bandwidth>,
}

impl OpusArgs {
    /// # Errors
    /// The error if a setting is given and none of these codecs is Opus. The bit rate is checked by the caller.
    pub(super) fn check(&self, codecs: &[CodecName]) -> Outcome {
        let given = [
            (self.rates.is_some(), "rates"),
            (self.complexity.is_some(), "complexity"),
            (self.expected_loss.is_some(), "expected-loss"),
            (self.no_fec, "no-fec"),
            (self.dred.is_some(), "dred"),
            (self.tune.is_some(), "tune"),
            (self.signal.is_some(), "signal"),
            (self.bandwidth.is_some(), "bandwidth"),
        ];
        match given.iter().find(|(given, _)| *given) {
            Some((_, option)) => for_opus(option, codecs),
            None => Ok(()),
        }
    }

    /// The same of a call, where the bit rate too is Opus' alone.
    ///
    /// # Errors
    /// The same as for [`check`](Self::check).
    pub(super) fn check_call(&self, codecs: &[CodecName]) -> Outcome {
        self.check(codecs)?;
        if self.bitrate.is_some() { for_opus("bitrate", codecs) } else { Ok(()) }
    }

    /// `usual` with what is set here.
    ///
    /// # Errors
    /// The settings that Opus, or Opus in this build, doesn't support.
    pub(super) fn config(&self, usual: OpusEncoderConfig) -> Result<OpusEncoderConfig, Box<dyn Error>> {
        let config = OpusEncoderConfig {
            application: match self.tune {
                None => usual.application,
                Some(Tune::Voice) => OpusApplication::Voip,
                Some(Tune::Music) => OpusApplication::Audio,
                Some(Tune::LowDelay) => OpusApplication::LowDelay,
            },
            bitrate_bps: self.bitrate.unwrap_or(usual.bitrate_bps * u32::from(usual.channels)),
            rate_control: match self.rates {
                None => usual.rate_control,
                Some(Rates::Vbr) => OpusRateControl::Vbr,
                Some(Rates::Cvbr) => OpusRateControl::ConstrainedVbr,
                Some(Rates::Cbr) => OpusRateControl::Cbr,
            },
            complexity: self.complexity.unwrap_or(usual.complexity),
            bandwidth: self.bandwidth.map(|bandwidth| match bandwidth {
                Bandwidth::Narrow => OpusBandwidth::Narrow,
                Bandwidth::Medium => OpusBandwidth::Medium,
                Bandwidth::Wide => OpusBandwidth::Wide,
                Bandwidth::SuperWide => OpusBandwidth::SuperWide,
                Bandwidth::Full => OpusBandwidth::Full,
            }),
            signal: match self.signal {
                None => usual.signal,
                Some(Signal::Auto) => OpusSignal::Auto,
                Some(Signal::Voice) => OpusSignal::Voice,
                Some(Signal::Music) => OpusSignal::Music,
            },
            // They share the bits, and FEC takes its part first: at the bit rates of speech DRED is left with none.
            fec: usual.fec && !self.no_fec && self.dred.is_none_or(|ms| ms == 0),
            expected_loss_percent: self.expected_loss.unwrap_or(usual.expected_loss_percent),
            dred_ms: self.dred.unwrap_or(usual.dred_ms),
            ..usual
        };
        // Its own check, before anybody hears of a call.
        OpusEncoder::new(config)?;
        Ok(config)
    }
}

/// # Errors
/// The error if none of these codecs is Opus.
pub(super) fn for_opus(option: &str, codecs: &[CodecName]) -> Outcome {
    if codecs.iter().any(|name| name.is("opus")) {
        return Ok(());
    }
    let names: Vec<_> = codecs.iter().map(ToString::to_string).collect();
    Err(format!("--{option} is for opus, not for {}", names.join(", ")).into())
}

/// The settings of a call's Opus in words.
pub(super) fn in_words(config: &OpusEncoderConfig) -> String {
    let rates = match config.rate_control {
        OpusRateControl::Vbr => "VBR",
        OpusRateControl::ConstrainedVbr => "constrained VBR",
        OpusRateControl::Cbr => "CBR",
    };
    let fec = if config.fec { "FEC" } else { "no FEC" };
    let dred = if config.dred_ms > 0 { format!(", DRED of {} ms", config.dred_ms) } else { String::new() };
    format!(
        "{} kbit/s, {rates}, complexity {}, {fec}{dred}, {} % loss expected",
        f64::from(config.bitrate_bps) / 1e3,
        config.complexity,
        config.expected_loss_percent
    )
}
