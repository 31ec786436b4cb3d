//! Options of the echo canceller, the same in all commands that have one.

use clap::Args as ClapArgs;
use dsp_core::echo::EchoConfig;
use host_std::session::EchoSettings;

/// The echo canceller of the capture chain.
#[derive(ClapArgs)]
pub(super) struct EchoArgs {
    /// Cancel the echo of the loudspeaker in the microphone's sound: at 8, 16, 32 and 48 kHz
    #[arg(help_heading = "Echo", long)]
    pub(super) aec: bool,
    /// How long an echo fades that is cancelled, in ms, from 30 to 260: 70, 130 or 260 are taken, whichever is enough
    #[arg(help_heading = "Echo", long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(30..=260),
        requires = "aec", value_name = "MS")]
    tail_ms: u32,
    /// Take out what the filters predict and suppress nothing beyond it, as recognisers like it
    #[arg(help_heading = "Echo", long, requires = "aec")]
    linear: bool,
}

impl EchoArgs {
    /// The step of the capture chain, if there is one.
    pub(super) fn settings(&self) -> Option<EchoSettings> {
        let config = EchoConfig { suppressor: !self.linear, comfort_noise: !self.linear, ..EchoConfig::default() };
        self.aec.then_some(EchoSettings { config, tail_ms: self.tail_ms })
    }

    /// In words.
    pub(super) fn words(&self) -> String {
        match (self.aec, self.linear) {
            (false, _) => "not cancelled".into(),
            (true, false) => format!("cancelled, a tail of {} ms", self.tail_ms),
            (true, true) => format!("cancelled by the filters alone, a tail of {} ms", self.tail_ms),
        }
    }
}
