//! The voice detector of a call's capture chain: the core's in integers, or with the feature `earshot` a neural net.

use dsp_core::front::{CaptureBlock, Near};
use dsp_core::process::activity::Activity;
#[cfg(feature = "earshot")]
use dsp_core::process::neural_voice::NeuralVoiceDetector;
use dsp_core::process::voice::{VoiceConfig, VoiceDetector};

/// The detector at the rate of a call.
#[derive(Debug)]
pub struct HostVoice(Kind);

#[derive(Debug)]
enum Kind {
    Integer(Box<VoiceDetector>),
    #[cfg(feature = "earshot")]
    Neural(Box<NeuralVoiceDetector>),
}

impl HostVoice {
    /// Creates a detector for one channel; `None` at a rate that it doesn't support, where only the sender's own detector is
    /// available.
    pub(super) fn new(config: VoiceConfig, neural: bool) -> Option<Self> {
        #[cfg(feature = "earshot")]
        if neural {
            return NeuralVoiceDetector::new(config).ok().map(|net| Self(Kind::Neural(Box::new(net))));
        }
        let _ = neural;
        VoiceDetector::new(config).ok().map(|detector| Self(Kind::Integer(Box::new(detector))))
    }

    fn block(&mut self) -> &mut dyn CaptureBlock<f32> {
        match &mut self.0 {
            Kind::Integer(detector) => &mut **detector,
            #[cfg(feature = "earshot")]
            Kind::Neural(net) => &mut **net,
        }
    }
}

impl CaptureBlock<f32> for HostVoice {
    fn process(&mut self, frame: &mut [f32], near: &Near<'_>) {
        self.block().process(frame, near);
    }

    fn reset(&mut self) {
        self.block().reset();
    }

    /// It hears, and changes nothing.
    fn delay_samples(&self) -> usize {
        0
    }

    fn activity(&self) -> Option<Activity> {
        match &self.0 {
            Kind::Integer(detector) => CaptureBlock::activity(&**detector),
            #[cfg(feature = "earshot")]
            Kind::Neural(net) => CaptureBlock::activity(&**net),
        }
    }
}
