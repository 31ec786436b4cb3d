//! Options of the capture chain, the same in all commands that have one.

use clap::{Args as ClapArgs, ValueEnum};
use dsp_core::echo::EchoConfig;
use dsp_core::noise::NoiseLevel;
use dsp_core::process::agc::AgcConfig;
use dsp_core::process::echo_suppressor::EchoSuppressorConfig;
use dsp_core::process::voice::VoiceConfig;
use host_std::session::{CaptureConfig, EchoSettings};

const HEADING: &str = "Microphone";

/// How much noise is suppressed.
#[derive(Clone, Copy, ValueEnum)]
enum Ns {
    /// 10 dB in pauses
    Mild,
    /// 18 dB in pauses
    Medium,
    /// 25 dB in pauses
    Strong,
    /// All that a neural net takes for noise: RNNoise's, which costs more
    #[cfg(feature = "nnnoiseless")]
    Neural,
}

impl Ns {
    /// `None`: by the net.
    fn level(self) -> Option<NoiseLevel> {
        match self {
            Self::Mild => Some(NoiseLevel::Mild),
            Self::Medium => Some(NoiseLevel::Medium),
            Self::Strong => Some(NoiseLevel::Strong),
            #[cfg(feature = "nnnoiseless")]
            Self::Neural => None,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Mild => "mildly",
            Self::Medium => "by a medium amount",
            Self::Strong => "strongly",
            #[cfg(feature = "nnnoiseless")]
            Self::Neural => "by a neural net",
        }
    }
}

/// The voice detector of a call that pauses by it.
pub(super) fn detector(aggressiveness: u8) -> VoiceConfig {
    // The time just after a word belongs to it.
    VoiceConfig { aggressiveness, hangover_ms: 40, ..VoiceConfig::default() }
}

/// What is between microphone and encoder.
#[derive(ClapArgs)]
pub(super) struct CaptureArgs {
    /// A high-pass against rumble and DC, with its corner in Hz
    #[arg(help_heading = HEADING, long, value_parser = clap::value_parser!(u32).range(20..=1_000), num_args = 0..=1,
        require_equals = true, default_missing_value = "120", value_name = "HZ")]
    hpf: Option<u32>,
    /// Cancel the echo of the loudspeaker in the microphone's sound: at 8, 16, 32 and 48 kHz
    #[arg(help_heading = HEADING, long)]
    pub(super) aec: bool,
    /// Turn the microphone down while it hears mostly the loudspeaker: an echo suppressor, as parts without floating point have. It
    /// cancels nothing, and of two who speak at once one isn't heard
    #[arg(help_heading = HEADING, long, conflicts_with = "aec")]
    pub(super) echo_suppressor: bool,
    /// How long an echo fades that is cancelled, in ms, from 30 to 260: 70, 130 or 260 are taken, whichever is enough
    #[arg(help_heading = HEADING, long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(30..=260),
        requires = "aec", value_name = "MS")]
    tail_ms: u32,
    /// Take out what the filters predict and suppress nothing beyond it, as recognisers like it
    #[arg(help_heading = HEADING, long, requires = "aec")]
    linear: bool,
    /// Suppress noise, at 8, 16, 32 and 48 kHz; medium unless it's said
    #[arg(help_heading = HEADING, long, value_enum, num_args = 0..=1, default_missing_value = "medium",
        value_name = "LEVEL")]
    ns: Option<Ns>,
    /// Let a neural net tell voices from noise where --vad asks for a detector: more reliably, at a higher cost
    #[cfg(feature = "earshot")]
    #[arg(help_heading = HEADING, long)]
    vad_net: bool,
    /// Bring speech to its level, at multiples of 8 kHz
    #[arg(help_heading = HEADING, long)]
    agc: bool,
    /// The active level of speech that is aimed at, in dBov, from -60 to 0
    #[arg(help_heading = HEADING, long, default_value_t = -26, value_parser = clap::value_parser!(i8).range(-60..=0),
        requires = "agc", allow_negative_numbers = true, value_name = "DBOV")]
    target_dbov: i8,
}

impl CaptureArgs {
    /// Returns the steps of the capture chain.
    pub(super) fn config(&self) -> CaptureConfig {
        let config = EchoConfig { suppressor: !self.linear, comfort_noise: !self.linear, ..EchoConfig::default() };
        CaptureConfig {
            high_pass_hz: self.hpf,
            echo: self.aec.then_some(EchoSettings { config, tail_ms: self.tail_ms }),
            echo_suppressor: self.echo_suppressor.then(EchoSuppressorConfig::default),
            noise: self.ns.and_then(Ns::level),
            #[cfg(feature = "nnnoiseless")]
            neural_noise: matches!(self.ns, Some(Ns::Neural)),
            #[cfg(feature = "earshot")]
            neural_detector: self.vad_net,
            gain: self.agc.then_some(AgcConfig { target_dbov: self.target_dbov, ..AgcConfig::default() }),
            ..CaptureConfig::default()
        }
    }

    /// Returns the echo canceller in words.
    pub(super) fn echo_words(&self) -> String {
        match (self.aec, self.linear) {
            (false, _) if self.echo_suppressor => "not cancelled: the microphone is turned down meanwhile".into(),
            (false, _) => "not cancelled".into(),
            (true, false) => format!("cancelled, a tail of {} ms", self.tail_ms),
            (true, true) => format!("cancelled by the filters alone, a tail of {} ms", self.tail_ms),
        }
    }

    /// Returns all steps that there are in words, name and value.
    pub(super) fn words(&self) -> Vec<(&'static str, String)> {
        let high_pass = self.hpf.map(|corner_hz| ("high-pass", format!("from {corner_hz} Hz on")));
        let echo = (self.aec || self.echo_suppressor).then(|| ("echo", self.echo_words()));
        let noise = self.ns.map(|level| ("noise", format!("suppressed {}", level.words())));
        let gain = self.agc.then(|| ("speech", format!("brought to {} dBov", self.target_dbov)));
        [high_pass, echo, noise, gain].into_iter().flatten().collect()
    }
}
