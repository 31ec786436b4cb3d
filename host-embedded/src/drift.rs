//! A codec chip whose clock isn't that of the network side: both ways go through a resampler that is steered, so that 10 ms of the
//! phone are 10 ms of the processor's clock.
//!
//! Use it where the chip isn't clocked by the processor: a chip that is master, or has a crystal of its own, drifts against the
//! processor by up to some 100 ppm. Without this the phone's time is the chip's: it sends faster or slower than its timestamps
//! say, and the far end's sound has to be stretched now and then. With [`DriftPort`] over the chip's port a tick comes early or
//! late by the difference of the clocks: once in 50 s at 200 ppm a tick waits for no frame, or for two.
//!
//! ```text
//! chip's port -> line, steered -> frames of FRAME samples -> phone
//! chip's port <- frames <- line, steered the other way <- phone
//! ```
//!
//! The ratio follows how much the chip's frames are ahead of the clock or late, averaged over 2.5 s, by 20 ppm a millisecond and
//! at most 500 ppm (0.9 cents): two thirds of a drift within 50 s. For the first 2.5 s nothing is steered. Delay:
//! [`Plan::delay_samples`] each way (2 ms at 8 kHz with `Quality::Fast`), one frame at most that waits for the phone, and one for
//! the chip. Cost: a steered [`resample`](dsp_core::process::resample) each way. All integer.
//!
//! Limits: beyond 500 ppm the correction can't keep up. If the processor's own crystal is inaccurate, so is the phone's time.
//!
//! ```
//! # use core::cell::Cell;
//! use dsp_core::kernel::Taps16;
//! use dsp_core::process::resample::{Plan, Quality, ResampleError, table_i16};
//! use dsp_core::time::Instant;
//! use host_embedded::drift::{DriftPort, plan};
//! use host_embedded::pump::Pump;
//!
//! const PLAN: Plan = plan(80, Quality::Fast);
//! // In flash, 4 KiB, for both ways.
//! static TABLE: [Taps16; PLAN.table_len()] = table_i16(&PLAN);
//! static PUMP: Pump<80, 3> = Pump::new();
//!
//! # let time = Cell::new(Instant::ZERO);
//! # let now = || time.get();
//! let (mut heard, mut played) = ([0; PLAN.history_len(80)], [0; PLAN.history_len(80)]);
//! let mut port = DriftPort::<_, _, 80>::new(PUMP.port(), now, Quality::Fast, &TABLE, [&mut heard, &mut played])?;
//! assert_eq!(port.drift_ppb(), 0);
//! # Ok::<(), ResampleError>(())
//! ```

use dsp_core::kernel::Taps16;
use dsp_core::process::resample::{Design, Line, Plan, Quality, ResampleError};
use dsp_core::time::{Duration, Instant};

use crate::port::{AudioPort, Overrun, PortDelay, Underrun};

/// The correction in parts per billion for each microsecond of difference between chip and clock: 20 ppm a millisecond.
const PPB_PER_US: i64 = 20;
/// The most that is steered: inaudible in pitch, and above what crystals drift.
const MOST_PPB: i64 = 500_000;
/// The weight of a new value in the average, as an exponent: one over two to the power of this, so 2.56 s of frames.
const AVERAGE: u32 = 8;
/// The number of frames that are observed before anything is steered. The count starts at their mean, and not at the first one,
/// which may have waited for a task that began late. A clock that is off by 500 ppm is off by 1.3 ms then.
const SETTLE: u32 = 1 << AVERAGE;
/// The largest difference that still counts as drift, in microseconds. Beyond it a clock was set or a processor was stopped, and
/// time is counted afresh from there.
const JUMP_US: i64 = 200_000;
/// Parts per billion for each sample by which the two ways differ.
const BALANCE_PPB: i64 = 10_000;
/// Length of a frame.
const FRAME_TIME: Duration = Duration::from_millis(10);
const BILLION: i64 = 1_000_000_000;

/// Returns the plan of the resampler for frames of this many samples, which last 10 ms.
///
/// # Panics
/// It panics if there is no such resampler; in a constant that is a compile error.
pub const fn plan(frame: usize, quality: Quality) -> Plan {
    match Plan::steered(frame as u32 * 100, frame as u32 * 100, quality) {
        Ok(plan) => plan,
        Err(_) => panic!("a rate that isn't resampled"),
    }
}

/// A filter that estimates how far the chip is ahead of the clock.
#[derive(Clone, Copy, Debug, Default)]
struct Drift {
    /// The time at which the count began, and the number of samples of the phone's made since.
    begun: Option<Instant>,
    made: u64,
    /// Microseconds that went by without them: frames that were lost, jumps of the clock.
    passed: i64,
    /// The mean shortfall of the chip's frames, in microseconds times two to the power of `AVERAGE`; until `SETTLE` frames have
    /// come, it is the sum.
    behind: i64,
    /// Frames that were looked at, until they are `SETTLE`.
    settled: u32,
}

impl Drift {
    /// A frame of the chip has come at `now`; returns the ratio.
    fn frame(&mut self, now: Instant, rate_hz: u32) -> i32 {
        let begun = *self.begun.get_or_insert(now);
        let made = (self.made * 1_000_000 / u64::from(rate_hz)) as i64;
        let behind = now.since(begun).as_micros() as i64 - made - self.passed;
        if self.settled < SETTLE {
            self.settled += 1;
            self.behind += behind;
            if self.settled == SETTLE {
                self.passed += self.behind >> AVERAGE;
                self.behind = 0;
            }
            return 0;
        }
        let average = self.behind >> AVERAGE;
        if (behind - average).abs() > JUMP_US {
            // The estimate of the drift is kept.
            self.passed += behind - average;
        } else {
            self.behind += behind - average;
        }
        self.ppb()
    }

    fn ppb(&self) -> i32 {
        if self.settled < SETTLE {
            return 0;
        }
        ((self.behind >> AVERAGE) * PPB_PER_US).clamp(-MOST_PPB, MOST_PPB) as i32
    }
}

type SteeredLine<'a> = Line<i16, &'a mut [i16]>;

/// A port of frames of `FRAME` samples by the clock `C`, over the chip's.
pub struct DriftPort<'a, P, C, const FRAME: usize> {
    port: P,
    clock: C,
    design: Design<&'a [Taps16]>,
    microphone: SteeredLine<'a>,
    loudspeaker: SteeredLine<'a>,
    drift: Drift,
    /// The chip's frame, and how much of it has gone through the filter.
    captured: [i16; FRAME],
    taken: usize,
    /// The output of the microphone's filter.
    heard: [i16; FRAME],
    filled: usize,
    /// The frames to be played that the chip hasn't been given.
    playing: [[i16; FRAME]; 3],
    waiting: usize,
}

impl<'a, P: AudioPort<FRAME>, C: Fn() -> Instant, const FRAME: usize> DriftPort<'a, P, C, FRAME> {
    const RATE_HZ: u32 = FRAME as u32 * 100;

    /// Creates a port that was silent so far. `clock` is the clock that the phone's time should follow, such as that of its
    /// network; `table` is of [`plan`], and the two histories have [`Plan::history_len`] of a frame.
    ///
    /// # Errors
    /// [`ResampleError`] if table or histories aren't made for these frames.
    pub fn new(
        port: P,
        clock: C,
        quality: Quality,
        table: &'a [Taps16],
        [microphone, loudspeaker]: [&'a mut [i16]; 2],
    ) -> Result<Self, ResampleError> {
        let plan = Plan::steered(Self::RATE_HZ, Self::RATE_HZ, quality)?;
        Ok(Self {
            port,
            clock,
            design: Design::with_table::<i16>(plan, table)?,
            microphone: Line::new(plan, microphone)?,
            loudspeaker: Line::new(plan, loudspeaker)?,
            drift: Drift::default(),
            captured: [0; FRAME],
            taken: FRAME,
            heard: [0; FRAME],
            filled: 0,
            playing: [[0; FRAME]; 3],
            // The sound for the phone may be one frame later than the chip's; see also `steer`.
            waiting: FRAME + FRAME / 2,
        })
    }

    /// Returns how much more sound the phone has than the chip, in parts per billion: positive where the chip's clock is slow.
    pub fn drift_ppb(&self) -> i32 {
        self.drift.ppb()
    }

    /// The port below.
    pub fn inner(&mut self) -> &mut P {
        &mut self.port
    }

    fn steer(&mut self) {
        let ppb = self.drift.frame((self.clock)(), Self::RATE_HZ);
        self.microphone.steer(ppb);
        // The loudspeaker's ratio is the inverse. As many frames go to the chip as come from it, so the samples that wait in both
        // directions are always a whole number of frames and a constant remainder: half a frame, as far as possible from one
        // frame too few.
        let surplus = ((self.waiting + self.filled) % FRAME) as i64 - FRAME as i64 / 2;
        let back = -i64::from(ppb) * BILLION / (BILLION + i64::from(ppb)) - surplus * BALANCE_PPB;
        self.loudspeaker.steer(back.clamp(-2 * MOST_PPB, 2 * MOST_PPB) as i32);
    }
}

impl<P: AudioPort<FRAME>, C: Fn() -> Instant, const FRAME: usize> AudioPort<FRAME> for DriftPort<'_, P, C, FRAME> {
    /// Reads a frame, which may be ready at once or need two of the chip's. Dropping the future loses nothing.
    async fn read(&mut self, pcm: &mut [i16; FRAME]) -> Result<(), Overrun> {
        loop {
            let (input, output) = (self.captured.get(self.taken..), self.heard.get_mut(self.filled..));
            let (Some(input), Some(output)) = (input, output) else { return Ok(()) };
            let done = self.design.process(&mut self.microphone, input, output);
            self.taken += done.consumed;
            self.filled += done.produced;
            self.drift.made += done.produced as u64;
            if self.filled == FRAME {
                *pcm = self.heard;
                self.filled = 0;
                return Ok(());
            }
            if let Err(overrun) = self.port.read(&mut self.captured).await {
                // Their time has passed.
                self.drift.passed += (FRAME_TIME.as_micros() * u64::from(overrun.frames)) as i64;
                return Err(overrun);
            }
            self.taken = 0;
            self.steer();
        }
    }

    async fn write(&mut self, pcm: &[i16; FRAME]) -> Result<(), Underrun> {
        // Less than a frame waits, so there is room for two.
        let room = self.playing.as_flattened_mut().get_mut(self.waiting..).unwrap_or_default();
        self.waiting += self.design.process(&mut self.loudspeaker, pcm, room).produced;
        let mut silent = 0;
        // There is one, and because of drift sometimes none or two.
        while self.waiting >= FRAME {
            let [first, ..] = self.playing;
            self.playing.as_flattened_mut().copy_within(FRAME.., 0);
            self.waiting -= FRAME;
            silent += self.port.write(&first).await.map_or_else(|underrun| underrun.frames, |()| 0);
        }
        if silent > 0 { Err(Underrun { frames: silent }) } else { Ok(()) }
    }

    fn delay(&self) -> PortDelay {
        let PortDelay { capture, playback } = self.port.delay();
        let filter = self.design.plan().delay_samples();
        PortDelay { capture: capture + filter + FRAME - self.taken, playback: playback + filter + self.waiting }
    }
}

#[cfg(test)]
mod tests;
