//! What stands between a microphone and a stream, in the echo canceller's made room: the noise suppressor alone, the gain control
//! with its detector alone, and the whole chain of a small part at 16 kHz. Golden hashes of what comes out, and what 10 ms cost. Uses nothing but
//! `core` and `dsp_core`, so that a firmware image can include this very file and compare.

use dsp_core::front::{BlockStep, CaptureChain, CaptureParts, NoBlock, Stage};
use dsp_core::noise::{NoiseConfig, NoiseLevel, WidebandNoiseSuppressor};
use dsp_core::process::agc::{Agc, AgcConfig};
use dsp_core::process::biquad::{Biquad, BiquadDesign};
use dsp_core::process::voice::{VoiceConfig, VoiceDetector};

use super::echoed::{self, BLOCK, Echoed};

/// Samples a second.
const RATE_HZ: u32 = 16_000;

/// The steps of a small part.
pub enum Parts {}

impl CaptureParts for Parts {
    type Echo = echoed::Small;
    type Noise = WidebandNoiseSuppressor;
    type Gain = Agc;
    type Own = NoBlock;
    type Detector = VoiceDetector;
}

/// The whole chain: high-pass, echo canceller with a tail of 70 ms, noise suppressor, gain control, detector.
pub type Chain = CaptureChain<Parts, BLOCK>;

/// The whole chain in so many blocks of the scene.
pub fn chain(blocks: usize, clock: impl Fn() -> u32) -> Echoed {
    let high_pass = BiquadDesign::high_pass(RATE_HZ, 100).expect("a corner below half the rate");
    let canceller = echoed::Small::new(echoed::SMALL).expect("sizes and parts that it has");
    let detector = VoiceDetector::new(VoiceConfig { sample_rate_hz: RATE_HZ, ..VoiceConfig::default() });
    let mut chain = Chain {
        high_pass: Some(Stage::new(BlockStep(Biquad::new(high_pass))).expect("no delay")),
        echo: Some(Stage::new(canceller).expect("a short delay")),
        noise: Some(Stage::new(suppressor()).expect("a short delay")),
        gain: Some(Stage::new(control()).expect("a short delay")),
        own: None,
        detector: Some(Stage::new(detector.expect("a rate that it has")).expect("no delay")),
    };
    echoed::run(&mut chain, blocks, clock)
}

/// The noise suppressor alone in so many blocks of the scene.
pub fn noise(blocks: usize, clock: impl Fn() -> u32) -> Echoed {
    echoed::run(&mut suppressor(), blocks, clock)
}

/// The gain control with its detector and limiter alone in so many blocks of the scene.
pub fn gain(blocks: usize, clock: impl Fn() -> u32) -> Echoed {
    echoed::run(&mut control(), blocks, clock)
}

fn suppressor() -> WidebandNoiseSuppressor {
    WidebandNoiseSuppressor::new(NoiseConfig { level: NoiseLevel::Strong })
}

fn control() -> Agc {
    Agc::new(AgcConfig { sample_rate_hz: RATE_HZ, ..AgcConfig::default() }).expect("a config that there is")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_changes_the_sound() {
        let [chain, noise, gain] = [chain, noise, gain].map(|run| run(echoed::BLOCKS, || 0).hash);
        assert!(chain != noise && noise != gain && gain != chain);
    }
}
