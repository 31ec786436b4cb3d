//! A port at another rate than the phone's: a codec chip that can only do 48 kHz under a phone at 8 or 16 kHz.
//!
//! Use it where the board's clocks allow no rate of telephony; a chip that can run at the phone's rate needs none of it.
//! Frames on both sides are 10 ms, so their lengths say the rates: 480 samples are 48 kHz, 441 are 44.1 kHz, 80 are 8 kHz. Each
//! direction goes through the core's resampler, whose delay [`AudioPort::delay`] includes. Cost and memory are
//! [`resample`](dsp_core::process::resample)'s.
//!
//! Limits: rates whose ratio is exact, which all of telephony and of codec chips are. It follows no drift:
//! [`DriftPort`](crate::drift::DriftPort) over it does.
//!
//! ```
//! use dsp_core::kernel::Taps16;
//! use dsp_core::process::resample::{Plan, Quality, ResampleError, table_i16};
//! use host_embedded::port::AudioPort;
//! use host_embedded::pump::Pump;
//! use host_embedded::resampled::{ResampledPort, ResamplerSetup, plan};
//!
//! const DOWN: Plan = plan(480, 80, Quality::Fast);
//! const UP: Plan = plan(80, 480, Quality::Fast);
//! // In flash.
//! static DOWN_TABLE: [Taps16; DOWN.table_len()] = table_i16(&DOWN);
//! static UP_TABLE: [Taps16; UP.table_len()] = table_i16(&UP);
//! // At the chip's rate.
//! static PUMP: Pump<480, 3> = Pump::new();
//!
//! let (mut heard, mut played) = ([0; DOWN.history_len(480)], [0; UP.history_len(80)]);
//! let microphone = ResamplerSetup { quality: Quality::Fast, table: &DOWN_TABLE, history: &mut heard };
//! let loudspeaker = ResamplerSetup { quality: Quality::Fast, table: &UP_TABLE, history: &mut played };
//! let mut port = ResampledPort::<_, 480, 80>::new(PUMP.port(), microphone, loudspeaker)?;
//!
//! PUMP.half_transfer(&[1_000; 480], &mut [0; 480]);
//! let mut pcm = [0; 80];
//! embassy_futures::block_on(port.read(&mut pcm)).expect("no frame was lost");
//! // 2 ms later, as the filter has it.
//! assert!((990..1_010).contains(&pcm[40]));
//! # Ok::<(), ResampleError>(())
//! ```

use dsp_core::kernel::Taps16;
use dsp_core::process::resample::{Design, Line, Plan, Quality, ResampleError};

use crate::port::{AudioPort, Overrun, PortDelay, Underrun};

/// Returns the plan that converts frames of 10 ms with `from` samples to frames of 10 ms with `to` samples.
///
/// # Panics
/// It panics if there is no such resampler; in a constant that is a compile error.
pub const fn plan(from: usize, to: usize, quality: Quality) -> Plan {
    match Plan::exact(from as u32 * 100, to as u32 * 100, quality) {
        Ok(plan) => plan,
        Err(_) => panic!("rates that have no exact ratio"),
    }
}

/// The setup of the resampler for one direction: its quality, and the table and the memory that the firmware has for it.
pub struct ResamplerSetup<'a> {
    /// That of the plan.
    pub quality: Quality,
    /// The table of a [`plan`], made by [`table_i16`](dsp_core::process::resample::table_i16).
    pub table: &'a [Taps16],
    /// [`Plan::history_len`] of a frame that goes in.
    pub history: &'a mut [i16],
}

type Resampler<'a> = (Design<&'a [Taps16]>, Line<i16, &'a mut [i16]>);

impl<'a> ResamplerSetup<'a> {
    fn begin(self, from: usize, to: usize) -> Result<Resampler<'a>, ResampleError> {
        let Self { quality, table, history } = self;
        let plan = Plan::exact(from as u32 * 100, to as u32 * 100, quality)?;
        Ok((Design::with_table::<i16>(plan, table)?, Line::new(plan, history)?))
    }
}

/// A port of `FRAME` samples over one of `DEVICE` samples.
pub struct ResampledPort<'a, P, const DEVICE: usize, const FRAME: usize> {
    port: P,
    microphone: Resampler<'a>,
    loudspeaker: Resampler<'a>,
    device: [i16; DEVICE],
}

impl<'a, P: AudioPort<DEVICE>, const DEVICE: usize, const FRAME: usize> ResampledPort<'a, P, DEVICE, FRAME> {
    /// Creates a port that was silent so far.
    ///
    /// # Errors
    /// [`ResampleError`] if a direction's table or history isn't made for these frames.
    pub fn new(
        port: P,
        microphone: ResamplerSetup<'a>,
        loudspeaker: ResamplerSetup<'a>,
    ) -> Result<Self, ResampleError> {
        let (microphone, loudspeaker) = (microphone.begin(DEVICE, FRAME)?, loudspeaker.begin(FRAME, DEVICE)?);
        Ok(Self { port, microphone, loudspeaker, device: [0; DEVICE] })
    }
}

impl<P: AudioPort<DEVICE>, const DEVICE: usize, const FRAME: usize> AudioPort<FRAME>
    for ResampledPort<'_, P, DEVICE, FRAME>
{
    async fn read(&mut self, pcm: &mut [i16; FRAME]) -> Result<(), Overrun> {
        // Dropping the future here loses nothing: the frame that is awaited hasn't gone through the filter yet.
        self.port.read(&mut self.device).await?;
        let (design, line) = &mut self.microphone;
        design.process(line, &self.device, pcm);
        Ok(())
    }

    async fn write(&mut self, pcm: &[i16; FRAME]) -> Result<(), Underrun> {
        let (design, line) = &mut self.loudspeaker;
        let mut played = [0; DEVICE];
        design.process(line, pcm, &mut played);
        self.port.write(&played).await
    }

    fn delay(&self) -> PortDelay {
        let PortDelay { capture, playback } = self.port.delay();
        // The delay in the phone's samples, rounded to the nearest.
        let ours = |samples: usize| (samples * FRAME + DEVICE / 2) / DEVICE;
        PortDelay {
            capture: ours(capture + self.microphone.0.plan().delay_samples()),
            playback: ours(playback) + self.loudspeaker.0.plan().delay_samples(),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::future::{Future, poll_fn};
    use core::pin::pin;
    use core::task::Poll;
    use std::vec::Vec;

    use dsp_core::process::resample::table_i16;
    use embassy_futures::block_on;

    use super::*;
    use crate::pump::Pump;

    const DOWN: Plan = plan(480, 80, Quality::Fast);
    const UP: Plan = plan(80, 480, Quality::Fast);
    static DOWN_TABLE: [Taps16; DOWN.table_len()] = table_i16(&DOWN);
    static UP_TABLE: [Taps16; UP.table_len()] = table_i16(&UP);

    /// 500 Hz at so many samples a second.
    fn tone(hz: usize, from: usize) -> impl Iterator<Item = i16> {
        (from..).map(move |i| (8_000.0 * (i as f64 * core::f64::consts::TAU * 500.0 / hz as f64).sin()) as i16)
    }

    /// The difference to `sound` that came so many samples before, at most.
    fn off(got: &[i16], hz: usize, late: usize) -> i32 {
        // Behind the filter's start.
        let pairs = got.iter().zip(tone(hz, 0)).map(|(&got, _)| i32::from(got)).skip(2 * late);
        pairs.zip(tone(hz, late)).map(|(got, sound)| (got - i32::from(sound)).abs()).max().unwrap_or(i32::MAX)
    }

    #[test]
    fn a_tone_goes_through_both_ways_as_late_as_it_says_and_no_frame_is_lost() {
        let pump: Pump<480, 3> = Pump::new();
        let (mut heard, mut played) = ([0; DOWN.history_len(480)], [0; UP.history_len(80)]);
        let microphone = ResamplerSetup { quality: Quality::Fast, table: &DOWN_TABLE, history: &mut heard };
        let loudspeaker = ResamplerSetup { quality: Quality::Fast, table: &UP_TABLE, history: &mut played };
        let mut port = ResampledPort::<_, 480, 80>::new(pump.port(), microphone, loudspeaker).expect("it fits");
        let (mut ears, mut mouth) = (Vec::new(), Vec::new());
        for tick in 0..20 {
            // A read that is dropped loses nothing.
            let mut pcm = [0; 80];
            {
                let mut read = pin!(port.read(&mut pcm));
                block_on(poll_fn(|context| {
                    assert!(read.as_mut().poll(context).is_pending());
                    Poll::Ready(())
                }));
            }
            let captured: Vec<i16> = tone(48_000, tick * 480).take(480).collect();
            let spoken: Vec<i16> = tone(8_000, tick * 80).take(80).collect();
            block_on(port.write(spoken[..].try_into().expect("80"))).expect("it was never silent");
            let mut half = [0; 480];
            pump.half_transfer(captured[..].try_into().expect("480"), &mut half);
            ears.extend(half);
            block_on(port.read(&mut pcm)).expect("no frame was lost");
            mouth.extend(pcm);
        }
        let delay = port.delay();
        let queues = pump.port().delay();
        // 176 samples of 48 kHz would be 29.33 of 8 kHz; 16 of 8 kHz are 96 of 48 kHz.
        assert_eq!(UP.delay_samples() * 6, DOWN.delay_samples());
        let late = UP.delay_samples();
        assert_eq!(delay.capture - (queues.capture + 3) / 6, late);
        assert!(off(&mouth, 8_000, late) < 60, "{}", off(&mouth, 8_000, late));
        assert!(off(&ears, 48_000, late * 6) < 60, "{}", off(&ears, 48_000, late * 6));
        assert_eq!(pump.counters().overruns + pump.counters().underruns, 0);
    }

    #[test]
    fn a_table_for_other_frames_is_refused() {
        let pump: Pump<480, 3> = Pump::new();
        let (mut heard, mut played) = ([0; DOWN.history_len(480)], [0; UP.history_len(80)]);
        let microphone = ResamplerSetup { quality: Quality::Fast, table: &UP_TABLE[1..], history: &mut heard };
        let loudspeaker = ResamplerSetup { quality: Quality::Fast, table: &UP_TABLE, history: &mut played };
        let port = ResampledPort::<_, 480, 80>::new(pump.port(), microphone, loudspeaker);
        assert!(matches!(port.err(), Some(ResampleError::Table { .. })));
    }
}
