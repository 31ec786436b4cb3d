//! Echo suppressor for processors without floating point: it attenuates the microphone while it hears mostly the
//! loudspeaker.
//!
//! This is not an echo canceller: nothing is subtracted, and while both sides speak, one of them is attenuated. Use it
//! in a small desk phone without an FPU, and [`echo`](crate::echo) wherever its cost can be paid. A frame of 10 ms
//! counts as echo if it is not louder than the loudest frame that the loudspeaker played within the tail, less the
//! loss from loudspeaker to microphone. That loss is learned from frames near it: it follows a louder echo by 3 dB/s
//! and a quieter one by 1 dB/s. Sound that is 10 dB louder than the expected echo is the near end.
//!
//! ITU-T G.165 and G.131 call this a suppressor with adaptive break-in; the figures are this implementation's own.
//! Samples are `i16`, levels in hundredths of a dBov. There is no delay. It takes one multiplication for each sample
//! of both ends, and a gain while it suppresses.
//!
//! A microphone hears nothing but the loudspeaker, 5 ms later and at half its level:
//!
//! ```
//! use dsp_core::front::{FrontConfig, FrontEnd, Media, Step};
//! use dsp_core::process::echo_suppressor::{EchoSuppressor, EchoSuppressorConfig};
//! use dsp_core::receive::Played;
//! use dsp_core::time::Instant;
//!
//! # struct Far(u32);
//! # impl Media for Far {
//! #     type Transmit = ();
//! #     fn play(&mut self, _: Instant, pcm: &mut [i16]) -> Played {
//! #         for sample in pcm {
//! #             self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
//! #             *sample = (self.0 as i32 >> 18) as i16;
//! #         }
//! #         Played::default()
//! #     }
//! #     fn capture(&mut self, _: Instant, _: &[i16]) {}
//! #     fn transmit(&mut self, _: Instant, _: &mut [u8]) -> Option<()> {
//! #         None
//! #     }
//! # }
//! // `Far` is a `Media` that plays noise.
//! let suppressor = EchoSuppressor::<80>::new(EchoSuppressorConfig::default());
//! let mut front = FrontEnd::<_, 80, _>::new(FrontConfig::default(), [Some(suppressor), None], [0; 8_000])?;
//! let (mut far, mut room) = (Far(1), vec![0; 40]);
//! for tick in 0..100 {
//!     front.begin(Instant::from_millis(1_000 + 10 * tick), 80, tick > 0)?;
//!     while let Some(step) = front.step(&mut far, &mut []) {
//!         match step {
//!             Step::Loudspeaker { pcm, .. } => room.extend(pcm.iter().map(|sample| sample / 2)),
//!             Step::Microphone(microphone) => microphone.pcm.copy_from_slice(&room.drain(..80).collect::<Vec<_>>()),
//!             Step::Transmit(()) => {}
//!         }
//!     }
//! }
//! assert!(front.block(0).is_some_and(|suppressor| suppressor.is_suppressing()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::decibel::hundredths_of_power;
use super::gain::Gain;
use crate::block::Block;
use crate::front::{CaptureBlock, Near};

/// Frames of 10 ms that are looked back on at most.
const MOST_FRAMES: usize = 64;
/// The loudspeaker plays nothing that comes back below this level.
const QUIET: i16 = -6_000;
/// How far a frame may be above the expected echo before it's the near end.
const MARGIN: i16 = 300;
const BREAK_IN: i16 = 1_000;
/// Bounds of the loss between loudspeaker and microphone.
const LEAST_LOSS: i16 = -1_000;
const MOST_LOSS: i16 = 6_000;
/// Frames that stay open behind the near end.
const HOLD_FRAMES: u8 = 8;

/// Settings of an [`EchoSuppressor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EchoSuppressorConfig {
    /// Sample rate, in Hz.
    pub sample_rate_hz: u32,
    /// Attenuation of the microphone, in dB.
    pub attenuation_db: u8,
    /// Delay and decay of the echo together, in ms, at most 640; higher values count as 640.
    pub tail_ms: u16,
}

impl Default for EchoSuppressorConfig {
    /// 8 kHz, an attenuation of 30 dB, a tail of 250 ms.
    fn default() -> Self {
        Self { sample_rate_hz: 8_000, attenuation_db: 30, tail_ms: 250 }
    }
}

/// An echo suppressor for one channel. `FRAME` is the number of samples of 10 ms. [The module's page](self) has an
/// example.
#[derive(Clone, Copy, Debug)]
pub struct EchoSuppressor<const FRAME: usize> {
    config: EchoSuppressorConfig,
    /// Levels of the far end's last frames, in a ring.
    far: [i16; MOST_FRAMES],
    next: usize,
    /// What the way from loudspeaker to microphone takes off: the part of a hundredth that is learned a frame, too.
    loss: i32,
    gain: Gain,
    hold: u8,
    suppresses: bool,
}

impl<const FRAME: usize> EchoSuppressor<FRAME> {
    /// A suppressor that has not heard anything, and expects an echo as loud as what is played.
    pub fn new(config: EchoSuppressorConfig) -> Self {
        Self {
            config,
            far: [i16::MIN; MOST_FRAMES],
            next: 0,
            loss: 0,
            gain: Gain::new((config.sample_rate_hz / 100).clamp(1, u32::from(u16::MAX)) as u16),
            hold: 0,
            suppresses: false,
        }
    }

    /// Whether the microphone is attenuated now.
    pub fn is_suppressing(&self) -> bool {
        self.suppresses
    }

    /// Estimated loss from loudspeaker to microphone, in hundredths of a decibel.
    pub fn loss(&self) -> i16 {
        (self.loss >> 8) as i16
    }

    fn tail_frames(&self) -> usize {
        usize::from(self.config.tail_ms / 10).clamp(1, MOST_FRAMES)
    }
}

/// Mean level of a frame in hundredths of a dBov.
fn level(frame: &[i16]) -> i16 {
    let energy: u64 = frame.iter().map(|&sample| u64::from(i32::from(sample).unsigned_abs().pow(2))).sum();
    // A full-scale square is 2^30; the logarithm's zero is at 2^46.
    match (energy << 16).checked_div(frame.len() as u64) {
        Some(power) if power > 0 => hundredths_of_power(power),
        _ => i16::MIN,
    }
}

impl<const FRAME: usize> CaptureBlock<i16> for EchoSuppressor<FRAME> {
    fn process(&mut self, frame: &mut [i16], near: &Near<'_>) {
        let mut far = [0; FRAME];
        let far = far.get_mut(..frame.len()).unwrap_or_default();
        near.render.read(near.captured_at, near.channel, far);
        self.far[self.next] = level(far);
        let frames = self.tail_frames();
        self.next = if self.next + 1 >= frames { 0 } else { self.next + 1 };
        let loudest = self.far[..frames].iter().fold(i16::MIN, |loudest, &level| loudest.max(level));
        let heard = level(frame);
        let above = i32::from(heard) - (i32::from(loudest) - (self.loss >> 8));
        let far_end = loudest > QUIET;
        if far_end && heard > QUIET - 2_000 {
            // A frame's hundredths of a second: 3 dB and 1 dB.
            let step = match above {
                1.. if above <= i32::from(BREAK_IN) => -3 * 256,
                1.. => 0,
                // Pauses and the echo's decay lie below; only what is near the loudest frame tells.
                -600..=0 => 256,
                _ => 0,
            };
            self.loss = (self.loss + step).clamp(i32::from(LEAST_LOSS) << 8, i32::from(MOST_LOSS) << 8);
        }
        let echo = far_end && above <= i32::from(MARGIN);
        self.hold = if echo { self.hold.saturating_sub(1) } else { HOLD_FRAMES };
        self.suppresses = echo && self.hold == 0;
        let aim = if self.suppresses { -100 * i16::from(self.config.attenuation_db.min(90)) } else { 0 };
        // In range: never above 0 dB.
        let _ = self.gain.set_gain(aim);
        self.gain.process(frame);
    }

    fn reset(&mut self) {
        *self = Self::new(self.config);
    }

    fn delay_samples(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::tests_support::TestRoom;

    /// Two seconds each of: far end alone, near end alone, both.
    #[test]
    fn the_echo_is_turned_down_and_the_near_end_is_not() {
        let block = EchoSuppressor::<80>::new(EchoSuppressorConfig::default());
        let mut room = TestRoom::new(8_000, block, 400);
        let speech = |n: usize| if n % 4_000 < 3_000 { 0.2 } else { 0.0 };
        let alone = room.run(48_000, |n, noise| speech(n) * noise, |_, _| 0.0);
        let (heard, sent) = alone.energies(24_000..48_000);
        assert!(heard / sent > 100.0, "the echo is {heard} in, {sent} out");
        let near = room.run(16_000, |_, _| 0.0, |n, noise| speech(n) * noise);
        let (heard, sent) = near.energies(8_000..16_000);
        assert!((0.9..1.01).contains(&(sent / heard)), "the near end is {heard} in, {sent} out");
        assert!(!room.block().is_suppressing());
        let both = room.run(16_000, |n, noise| speech(n) * noise * 0.1, |n, noise| speech(n) * noise);
        let (heard, sent) = both.energies(8_000..16_000);
        assert!(sent / heard > 0.8, "both are {heard} in, {sent} out");
    }

    #[test]
    fn extremes_are_levels_too() {
        assert_eq!((level(&[]), level(&[0; 80]), level(&[i16::MIN; 80])), (i16::MIN, i16::MIN, 0));
        let block = EchoSuppressor::<80>::new(EchoSuppressorConfig {
            attenuation_db: 255,
            tail_ms: u16::MAX,
            ..Default::default()
        });
        let mut room = TestRoom::new(8_000, block, 0);
        let out = room.run(16_000, |_, noise| noise.signum(), |_, noise| noise.signum());
        assert!(out.energies(0..16_000).1 > 0.0);
        room.block().reset();
        assert_eq!(room.block().loss(), 0);
    }
}
