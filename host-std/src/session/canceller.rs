//! The core's echo canceller in a call's capture chain, at the rates and with the tails that a host has.
//!
//! Sizes are constants in the core, so the tail is one of three, the shortest that is long enough: 70, 130 or 260 ms. At 8
//! and 16 kHz it takes the whole band, at 32 and 48 kHz the core splits it.
//!
//! Delay and cost: those of [`EchoCanceller`] and [`WideEchoCanceller`].

use dsp_core::echo::{EchoCanceller, EchoConfig, EchoError, EchoMemory, EchoStats, EveryPart, WideEchoCanceller};
use dsp_core::front::{CaptureBlock, FrontError, InFloat, Near};

use super::front::FRAME;
use super::{EchoBlock, EchoStatus, OwnBlock};

/// Blocks of 10 ms of the three tails.
const SHORT: usize = 7;
const USUAL: usize = 13;
const LONG: usize = 26;
/// How sure the canceller is of a near end that counts.
const SURE: f32 = 0.5;

/// A block of the core that tells how it does.
trait Told: CaptureBlock<f32> {
    fn stats(&self) -> EchoStats;
}

impl<M: EchoMemory<B, P>, const B: usize, const P: usize> Told for EchoCanceller<M, B, P> {
    fn stats(&self) -> EchoStats {
        self.stats()
    }
}

impl<M: EchoMemory<160, P>, const P: usize, const RATIO: usize> Told for WideEchoCanceller<M, P, RATIO> {
    fn stats(&self) -> EchoStats {
        self.stats()
    }
}

/// One of them, with what it told last.
struct HostCanceller<C> {
    block: InFloat<C, FRAME>,
    status: EchoStatus,
}

impl<C: Told> CaptureBlock<i16> for HostCanceller<C> {
    fn process(&mut self, frame: &mut [i16], near: &Near<'_>) {
        self.block.process(frame, near);
        let stats = self.block.block().stats();
        self.status = EchoStatus {
            erle_db: stats.erle_db,
            delay_ms: stats.delay_ms,
            drift_ppm: stats.drift_ppm,
            near_end: stats.near_end > SURE,
            double_talk: stats.far_end && stats.near_end > SURE,
            diverged: stats.divergences,
            path_changes: stats.path_changes,
        };
    }

    fn reset(&mut self) {
        self.block.reset();
        self.status = EchoStatus::default();
    }

    fn delay_samples(&self) -> usize {
        self.block.delay_samples()
    }
}

impl<C: Told + Send> EchoBlock for HostCanceller<C> {
    fn echo(&self) -> EchoStatus {
        self.status
    }
}

impl OwnBlock {
    /// The core's echo canceller, for an echo that fades within so many ms, 260 at most; the delay before it doesn't count.
    /// It has 8, 16, 32 and 48 kHz, and refuses a call's sound of another rate.
    pub fn canceller(config: EchoConfig, tail_ms: u32) -> Self {
        Self::boxed_echo(move |rate_hz| match tail_ms.div_ceil(10) as usize {
            blocks if blocks <= SHORT => with_tail::<SHORT>(config, rate_hz),
            blocks if blocks <= USUAL => with_tail::<USUAL>(config, rate_hz),
            _ => with_tail::<LONG>(config, rate_hz),
        })
    }
}

fn with_tail<const P: usize>(config: EchoConfig, rate_hz: u32) -> Result<Box<dyn EchoBlock>, FrontError> {
    match rate_hz {
        8_000 => boxed(EchoCanceller::<EveryPart, 80, P>::new(config), rate_hz),
        16_000 => boxed(EchoCanceller::<EveryPart, 160, P>::new(config), rate_hz),
        32_000 => boxed(WideEchoCanceller::<EveryPart, P, 2>::new(config), rate_hz),
        48_000 => boxed(WideEchoCanceller::<EveryPart, P, 3>::new(config), rate_hz),
        hz => Err(FrontError::BlockRate { hz }),
    }
}

fn boxed<C: Told + Send + 'static>(canceller: Result<C, EchoError>, hz: u32) -> Result<Box<dyn EchoBlock>, FrontError> {
    // It has memory for every part, and the tails are within its range.
    let canceller = canceller.map_err(|_| FrontError::BlockRate { hz })?;
    Ok(Box::new(HostCanceller { block: InFloat::new(canceller, hz)?, status: EchoStatus::default() }))
}
