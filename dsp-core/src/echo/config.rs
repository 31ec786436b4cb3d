//! How a canceller is made, and what it tells: settings, what can be wrong with them, statistics.

use core::fmt;

/// Which parts of an [`EchoCanceller`](super::EchoCanceller) run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EchoConfig {
    /// Look for the echo in all that the render history and the memory reach. Without, it must begin within the tail.
    pub delay_search: bool,
    /// Follow the drift of the loudspeaker's clock against the microphone's.
    pub drift: bool,
    /// A second filter that learns faster.
    pub second_filter: bool,
    /// A model of a loudspeaker that saturates.
    pub saturation: bool,
    /// Suppress what the filters leave. Without, the output is the linear one, which a recogniser likes better.
    pub suppressor: bool,
    /// Fill up what is suppressed with noise like the room's.
    pub comfort_noise: bool,
}

impl Default for EchoConfig {
    /// Everything.
    fn default() -> Self {
        Self {
            delay_search: true,
            drift: true,
            second_filter: true,
            saturation: true,
            suppressor: true,
            comfort_noise: true,
        }
    }
}

/// A canceller can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EchoError {
    /// A tail of so many blocks; 3 to 26 are possible.
    Tail {
        /// Blocks of 10 ms.
        blocks: usize,
    },
    /// Blocks of so many samples; 80 and 160 are possible.
    Block {
        /// Samples.
        samples: usize,
    },
    /// A part is wanted for which [`EchoMemory`](super::EchoMemory) has no room.
    Memory,
}

impl fmt::Display for EchoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tail { blocks } => write!(f, "an echo tail of {blocks} blocks of 10 ms; 3 to 26 are possible"),
            Self::Block { samples } => write!(f, "blocks of {samples} samples; 80 and 160 are possible"),
            Self::Memory => write!(f, "a part of the echo canceller for which its memory has no room"),
        }
    }
}

impl core::error::Error for EchoError {}

/// What a canceller knows of the echo and of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct EchoStats {
    /// Echo return loss enhancement: microphone over output in dB, over the last half second or so in which the far end
    /// spoke and the near end did not; `None` before.
    pub erle_db: Option<f32>,
    /// The same of the linear output.
    pub linear_erle_db: Option<f32>,
    /// From the loudspeaker's time, as the device tells it, to the echo's beginning in the microphone: to some ms by the
    /// search, then to a sample by the filter. `None` until it's found.
    pub delay_ms: Option<f32>,
    /// How much faster the loudspeaker's clock is than the microphone's.
    pub drift_ppm: f32,
    /// How surely the near end speaks, 0 to 1; 0 without a suppressor.
    pub near_end: f32,
    /// Whether the far end speaks, thus whether there may be an echo.
    pub far_end: bool,
    /// Whether the loudspeaker saturates.
    pub saturates: bool,
    /// How often the echo path changed so much that everything was learned anew.
    pub path_changes: u32,
    /// How often the delay changed so much that the filter was moved.
    pub delay_changes: u32,
    /// How often the filter had made the sound louder and was thrown away.
    pub divergences: u32,
    /// How often time jumped: samples were lost, or a device took longer at once.
    pub jumps: u32,
}
