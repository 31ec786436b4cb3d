//! The noise suppressor in a call's capture chain: the core's, at the rates that a host has, 8 and 16 kHz as they are, 32 and
//! 48 kHz by bands, with its delay and cost; or with the feature `nnnoiseless` a neural net.

use std::fmt;

use dsp_core::front::{CaptureBlock, FrontError, Near};
use dsp_core::noise::{
    BandNoiseSuppressor, NarrowbandNoiseSuppressor, NoiseConfig, NoiseLevel, NoiseStats, WidebandNoiseSuppressor,
};

/// The noise suppressor at the rate of a call, on the heap.
pub struct HostNoise(Rate);

enum Rate {
    Narrowband(Box<NarrowbandNoiseSuppressor>),
    Wideband(Box<WidebandNoiseSuppressor>),
    SuperWideband(Box<BandNoiseSuppressor<2>>),
    Fullband(Box<BandNoiseSuppressor<3>>),
    #[cfg(feature = "nnnoiseless")]
    Neural(Box<super::NeuralNoise>),
}

impl HostNoise {
    /// Creates a suppressor for one channel.
    ///
    /// # Errors
    /// [`FrontError::BlockRate`] for a rate that it doesn't have.
    pub(super) fn new(level: NoiseLevel, rate_hz: u32) -> Result<Self, FrontError> {
        let config = NoiseConfig { level };
        Ok(Self(match rate_hz {
            8_000 => Rate::Narrowband(Box::new(NarrowbandNoiseSuppressor::new(config))),
            16_000 => Rate::Wideband(Box::new(WidebandNoiseSuppressor::new(config))),
            32_000 => Rate::SuperWideband(Box::new(BandNoiseSuppressor::new(config))),
            48_000 => Rate::Fullband(Box::new(BandNoiseSuppressor::new(config))),
            hz => return Err(FrontError::BlockRate { hz }),
        }))
    }

    /// Creates a net for one channel.
    ///
    /// # Errors
    /// [`FrontError::BlockRate`] for a rate that it doesn't have.
    #[cfg(feature = "nnnoiseless")]
    pub(super) fn neural(rate_hz: u32) -> Result<Self, FrontError> {
        Ok(Self(Rate::Neural(Box::new(super::NeuralNoise::new(rate_hz)?))))
    }

    /// Returns the suppressor's statistics; `None` for a neural net.
    pub fn stats(&self) -> Option<NoiseStats> {
        Some(match &self.0 {
            Rate::Narrowband(block) => block.stats(),
            Rate::Wideband(block) => block.stats(),
            Rate::SuperWideband(block) => block.stats(),
            Rate::Fullband(block) => block.stats(),
            #[cfg(feature = "nnnoiseless")]
            Rate::Neural(_) => return None,
        })
    }

    fn block(&mut self) -> &mut dyn CaptureBlock<f32> {
        match &mut self.0 {
            Rate::Narrowband(block) => &mut **block,
            Rate::Wideband(block) => &mut **block,
            Rate::SuperWideband(block) => &mut **block,
            Rate::Fullband(block) => &mut **block,
            #[cfg(feature = "nnnoiseless")]
            Rate::Neural(block) => &mut **block,
        }
    }
}

impl fmt::Debug for HostNoise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostNoise")
    }
}

impl CaptureBlock<f32> for HostNoise {
    fn process(&mut self, frame: &mut [f32], near: &Near<'_>) {
        self.block().process(frame, near);
    }

    fn reset(&mut self) {
        self.block().reset();
    }

    fn delay_samples(&self) -> usize {
        match &self.0 {
            Rate::Narrowband(block) => CaptureBlock::delay_samples(&**block),
            Rate::Wideband(block) => CaptureBlock::delay_samples(&**block),
            Rate::SuperWideband(block) => CaptureBlock::delay_samples(&**block),
            Rate::Fullband(block) => CaptureBlock::delay_samples(&**block),
            #[cfg(feature = "nnnoiseless")]
            Rate::Neural(block) => CaptureBlock::delay_samples(&**block),
        }
    }
}
