//! Settings of a room, and why it refuses something.

use std::fmt;
use std::num::NonZeroU16;

use dsp_core::conference::ConferenceError;

use super::MemberId;

/// Settings of a [`Room`](super::Room).
///
/// A room for a call centre's conferences, in which at most three people are heard at once:
///
/// ```
/// use std::num::NonZeroU16;
///
/// use host_std::room::{Room, RoomConfig};
///
/// let config = RoomConfig { capacity: 50, loudest: NonZeroU16::new(3), ..RoomConfig::default() };
/// let room = Room::new(config)?;
/// assert_eq!(room.sample_rate_hz(), 16_000);
/// # Ok::<(), host_std::room::RoomError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomConfig {
    /// The rate at which all are mixed, in Hz: 8,000, 16,000, 32,000 or 48,000.
    pub sample_rate_hz: u32,
    /// The most members and announcements together: 1 to 65,535. Their memory is allocated at once.
    pub capacity: usize,
    /// The number of members that are heard at once: the loudest of those who speak. With `None` all are heard.
    pub loudest: Option<NonZeroU16>,
}

impl Default for RoomConfig {
    /// 16 kHz, 200 members, and all of them are heard.
    fn default() -> Self {
        Self { sample_rate_hz: 16_000, capacity: 200, loudest: None }
    }
}

/// The reason why a room refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomError {
    /// A room can't have this rate, in Hz.
    SampleRate(u32),
    /// The room is full, its capacity is 0 or more than 65,535, or a gain is too high.
    Conference(ConferenceError),
    /// This member has left.
    Left(MemberId),
}

impl fmt::Display for RoomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SampleRate(rate) => write!(f, "a room at {rate} Hz; 8000, 16000, 32000 and 48000 Hz are possible"),
            Self::Conference(error) => error.fmt(f),
            Self::Left(member) => write!(f, "member {} has left the room", member.number),
        }
    }
}

impl std::error::Error for RoomError {}

impl From<ConferenceError> for RoomError {
    fn from(error: ConferenceError) -> Self {
        Self::Conference(error)
    }
}
