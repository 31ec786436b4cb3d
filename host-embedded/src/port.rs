//! The audio port: a microphone and a loudspeaker that run on one clock, in frames of `FRAME` samples.
//!
//! Use [`pump`](crate::pump) for a port over DMA interrupts, [`sim`](crate::sim) for one without hardware; implement [`AudioPort`]
//! where a HAL's driver waits for frames by itself. Drivers of serial audio peripherals (I2S, SAI) already have this shape: `read`
//! ends when the DMA has filled a frame, `write` when there is room for one.
//!
//! Both directions share the bit clock, so one frame read is one frame to write: `read` paces the whole phone. Samples are
//! mono `i16`; a stereo codec chip's port takes one slot and fills both.
//!
//! Limits: both directions have one clock. Where it isn't the processor's, put [`DriftPort`](crate::drift::DriftPort) over the port. Two
//! chips with a clock each are no port.
//!
//! ```
//! use embassy_futures::block_on;
//! use host_embedded::port::AudioPort;
//! use host_embedded::pump::Pump;
//!
//! static PUMP: Pump<80, 3> = Pump::new();
//!
//! // The interrupt has brought a frame.
//! PUMP.half_transfer(&[500; 80], &mut [0; 80]);
//! let (mut port, mut pcm) = (PUMP.port(), [0; 80]);
//! block_on(port.read(&mut pcm)).expect("no frame was lost");
//! assert_eq!(pcm, [500; 80]);
//! ```

use core::fmt;

/// Frames of the microphone were lost before they were read; the next `read` returns the newest frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Overrun {
    /// Frames lost since the last `read`.
    pub frames: u32,
}

impl fmt::Display for Overrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} frames of the microphone were lost", self.frames)
    }
}

impl core::error::Error for Overrun {}

/// The loudspeaker had nothing to play and was silent. The frame given with this `write` was taken all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Underrun {
    /// Frames of silence since the last `write`.
    pub frames: u32,
}

impl fmt::Display for Underrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the loudspeaker was silent for {} frames", self.frames)
    }
}

impl core::error::Error for Underrun {}

/// The latency of a port, in samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PortDelay {
    /// The time from the end of a frame at the microphone until it was read.
    pub capture: usize,
    /// The time from writing a frame until its first sample is heard.
    pub playback: usize,
}

/// Microphone and loudspeaker.
///
/// This example implements a port over a queue of frames, and runs a phone with it:
///
/// ```
/// use std::collections::VecDeque;
///
/// use embassy_futures::block_on;
/// use host_embedded::phone::{Phone, PhoneConfig};
/// use host_embedded::port::{AudioPort, Overrun, PortDelay, Underrun};
/// # use host_embedded::sim::{SimClock, SimNetwork};
///
/// struct Queues {
///     microphone: VecDeque<[i16; 80]>,
///     played: usize,
/// }
///
/// impl AudioPort<80> for Queues {
///     async fn read(&mut self, pcm: &mut [i16; 80]) -> Result<(), Overrun> {
///         *pcm = self.microphone.pop_front().ok_or(Overrun { frames: 1 })?;
///         Ok(())
///     }
///     async fn write(&mut self, _: &[i16; 80]) -> Result<(), Underrun> {
///         self.played += 1;
///         Ok(())
///     }
///     fn delay(&self) -> PortDelay {
///         PortDelay { capture: 80, playback: 160 }
///     }
/// }
///
/// # let clock = SimClock::default();
/// # let mut network = SimNetwork::new(&clock, |_, _: &mut [u8]| None, |_: &[u8]| ());
/// let mut port = Queues { microphone: vec![[500; 80]; 2].into(), played: 0 };
/// let mut phone = Phone::new(PhoneConfig::default())?;
/// let overruns = [0, 1, 2].map(|_| block_on(phone.tick(&mut port, &mut network)).overrun);
/// // The third tick found no frame, and nothing was played in it.
/// assert_eq!((overruns, port.played), ([0, 0, 1], 2));
/// # Ok::<(), host_embedded::phone::PhoneError>(())
/// ```
#[allow(async_fn_in_trait, reason = "a phone has one core and one executor: its futures need not be Send")]
pub trait AudioPort<const FRAME: usize> {
    /// Waits for the next frame of the microphone. Dropping the future before it is ready loses nothing.
    ///
    /// # Errors
    /// [`Overrun`] if frames were lost since the last call; `pcm` is unchanged then.
    async fn read(&mut self, pcm: &mut [i16; FRAME]) -> Result<(), Overrun>;

    /// Waits for room and queues one frame for the loudspeaker.
    ///
    /// # Errors
    /// [`Underrun`] if the loudspeaker was silent since the last call; `pcm` is queued all the same.
    async fn write(&mut self, pcm: &[i16; FRAME]) -> Result<(), Underrun>;

    /// Returns the latency of the frame that was read last, and of one that is written now. Ports that don't know it return 0; a
    /// capture block that compares both ends needs it.
    fn delay(&self) -> PortDelay {
        PortDelay::default()
    }
}
