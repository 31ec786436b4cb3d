//! The core's echo canceller in a call's capture chain, at the rates and with the tails that a host has; or its echo suppressor, which
//! cancels nothing, in its place.
//!
//! Sizes are constants in the core, so the tail is one of three, the shortest that is long enough: 70, 130 or 260 ms. At 8
//! and 16 kHz it takes the whole band, at 32 and 48 kHz the core splits it.
//!
//! Delay and cost: those of [`EchoCanceller`] and [`WideEchoCanceller`].

use std::fmt;

use dsp_core::echo::{EchoCanceller, EchoConfig, EchoError, EchoMemory, EchoStats, EveryPart, WideEchoCanceller};
use dsp_core::format;
use dsp_core::front::{CaptureBlock, FrontError, Near};
use dsp_core::process::echo_suppressor::{EchoSuppressor, EchoSuppressorConfig};

use super::EchoStatus;
use super::front::FRAME;

/// Blocks of 10 ms of the three tails.
const SHORT: usize = 7;
const USUAL: usize = 13;
const LONG: usize = 26;

/// The echo canceller of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoSettings {
    /// The parts of the canceller that run.
    pub config: EchoConfig,
    /// The longest tail of the echo that is cancelled, in ms, at most 260. The bulk delay before the tail doesn't count.
    pub tail_ms: u32,
}

impl Default for EchoSettings {
    /// Returns the default: all parts, and a tail of 128 ms.
    fn default() -> Self {
        Self { config: EchoConfig::default(), tail_ms: 128 }
    }
}

impl EchoSettings {
    /// A canceller for one channel.
    ///
    /// # Errors
    /// [`FrontError::BlockRate`] for a rate that it doesn't have.
    pub(super) fn make(&self, rate_hz: u32) -> Result<HostEcho, FrontError> {
        match self.tail_ms.div_ceil(10) as usize {
            blocks if blocks <= SHORT => self.with_tail::<SHORT>(rate_hz),
            blocks if blocks <= USUAL => self.with_tail::<USUAL>(rate_hz),
            _ => self.with_tail::<LONG>(rate_hz),
        }
    }

    fn with_tail<const P: usize>(&self, rate_hz: u32) -> Result<HostEcho, FrontError> {
        let config = self.config;
        match rate_hz {
            8_000 => boxed(EchoCanceller::<EveryPart, 80, P>::new(config), rate_hz),
            16_000 => boxed(EchoCanceller::<EveryPart, 160, P>::new(config), rate_hz),
            32_000 => boxed(WideEchoCanceller::<EveryPart, P, 2>::new(config), rate_hz),
            48_000 => boxed(WideEchoCanceller::<EveryPart, P, 3>::new(config), rate_hz),
            hz => Err(FrontError::BlockRate { hz }),
        }
    }
}

fn boxed<C: Canceller + Send + 'static>(canceller: Result<C, EchoError>, hz: u32) -> Result<HostEcho, FrontError> {
    // It has memory for every part, and the tails are within its range.
    canceller.map(|canceller| HostEcho(Kind::Canceller(Box::new(canceller)))).map_err(|_| FrontError::BlockRate { hz })
}

/// A canceller of any size.
trait Canceller: CaptureBlock<f32> {
    fn stats(&self) -> EchoStats;
}

impl<M: EchoMemory<B, P>, const B: usize, const P: usize> Canceller for EchoCanceller<M, B, P> {
    fn stats(&self) -> EchoStats {
        self.stats()
    }
}

impl<M: EchoMemory<160, P>, const P: usize, const RATIO: usize> Canceller for WideEchoCanceller<M, P, RATIO> {
    fn stats(&self) -> EchoStats {
        self.stats()
    }
}

/// The core's echo canceller, at the rate and with the tail of a call, or its echo suppressor; on the heap.
pub struct HostEcho(Kind);

enum Kind {
    Canceller(Box<dyn Canceller + Send>),
    Suppressor(Box<Suppressor>),
}

/// The suppressor on 16 bits, with room for a frame.
struct Suppressor {
    block: EchoSuppressor<FRAME>,
    frame: [i16; FRAME],
}

impl HostEcho {
    /// Creates the suppressor for one channel, at any rate of a call.
    pub(super) fn suppressor(config: EchoSuppressorConfig, sample_rate_hz: u32) -> Self {
        let block = EchoSuppressor::new(EchoSuppressorConfig { sample_rate_hz, ..config });
        Self(Kind::Suppressor(Box::new(Suppressor { block, frame: [0; FRAME] })))
    }

    /// Returns the canceller's status as of the last frame; `None` for a suppressor, which attenuates everything or nothing.
    pub fn status(&self) -> Option<EchoStatus> {
        match &self.0 {
            Kind::Canceller(canceller) => Some(EchoStatus::from(canceller.stats())),
            Kind::Suppressor(_) => None,
        }
    }

    /// Returns whether a suppressor turns the microphone down now.
    pub fn is_suppressing(&self) -> bool {
        matches!(&self.0, Kind::Suppressor(suppressor) if suppressor.block.is_suppressing())
    }
}

impl fmt::Debug for HostEcho {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostEcho")
    }
}

impl CaptureBlock<f32> for HostEcho {
    fn process(&mut self, frame: &mut [f32], near: &Near<'_>) {
        match &mut self.0 {
            Kind::Canceller(canceller) => canceller.process(frame, near),
            Kind::Suppressor(suppressor) => {
                let Suppressor { block, frame: short } = &mut **suppressor;
                let Some(short) = short.get_mut(..frame.len()) else { return };
                // Lengths are the same: neither conversion can fail.
                let _ = format::write(frame, short);
                block.process(short, near);
                let _ = format::read(short, frame);
            }
        }
    }

    fn reset(&mut self) {
        match &mut self.0 {
            Kind::Canceller(canceller) => canceller.reset(),
            Kind::Suppressor(suppressor) => suppressor.block.reset(),
        }
    }

    fn delay_samples(&self) -> usize {
        match &self.0 {
            Kind::Canceller(canceller) => canceller.delay_samples(),
            Kind::Suppressor(suppressor) => suppressor.block.delay_samples(),
        }
    }
}
