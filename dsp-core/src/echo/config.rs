//! Settings, errors and statistics of a canceller.

use core::fmt;

/// Which parts of an [`EchoCanceller`](super::EchoCanceller) run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EchoConfig {
    /// Whether to search for the echo over everything that render history and memory reach. Without it, the echo must
    /// begin within the tail.
    pub delay_search: bool,
    /// Whether to follow the drift of the loudspeaker's clock against the microphone's.
    pub drift: bool,
    /// Whether to run a second filter that learns faster.
    pub second_filter: bool,
    /// Whether to model a loudspeaker that saturates.
    pub saturation: bool,
    /// Whether to suppress what the filters leave. Without it the output is the linear one, which suits a speech
    /// recogniser better.
    pub suppressor: bool,
    /// Whether to replace what is suppressed by noise like that of the room.
    pub comfort_noise: bool,
}

impl Default for EchoConfig {
    /// Every part.
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

/// Why a canceller cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EchoError {
    /// The tail has this many blocks of 10 ms; 3 to 26 are possible.
    Tail {
        /// Blocks of 10 ms.
        blocks: usize,
    },
    /// A block has this many samples; 80 and 160 are possible.
    Block {
        /// Samples of 10 ms.
        samples: usize,
    },
    /// The configuration has a part for which the [`EchoMemory`](super::EchoMemory) has no room.
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
    /// Echo return loss enhancement: microphone over output, in dB, over about the last half second in which the far
    /// end spoke and the near end did not; `None` before.
    pub erle_db: Option<f32>,
    /// Echo return loss enhancement of the linear output, in dB.
    pub linear_erle_db: Option<f32>,
    /// Time from the loudspeaker's sound, at the time that the device tells, to the beginning of its echo at the
    /// microphone, in ms; first to some ms by the search, then to a sample by the filter. `None` until it is found.
    pub delay_ms: Option<f32>,
    /// How much faster the loudspeaker's clock runs than the microphone's, in parts per million.
    pub drift_ppm: f32,
    /// Probability that the near end speaks, 0 to 1; 0 without a suppressor.
    pub near_end: f32,
    /// Whether the far end speaks, so that there may be an echo.
    pub far_end: bool,
    /// Whether the loudspeaker saturates.
    pub saturates: bool,
    /// How often the echo path changed so much that everything was learned anew.
    pub path_changes: u32,
    /// How often the delay changed so much that the filter was shifted.
    pub delay_changes: u32,
    /// How often the filter had made the sound louder and was reset.
    pub divergences: u32,
    /// How often the time jumped, because samples were lost or the latency of a device grew at once.
    pub jumps: u32,
}
