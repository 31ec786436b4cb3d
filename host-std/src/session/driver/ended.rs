//! Why a call ended, for programs and in words.

use std::io;

use dsp_core::front::FrontError;

#[cfg(doc)]
use crate::device::AudioIo;
use crate::session::{CallError, Ending, Reason};

/// The reason why a driver ended its call.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ended {
    /// The user hung up, or all senders of commands were dropped.
    HungUp,
    /// The call itself had to end.
    Call(Ending),
    /// The [time limit](super::Driver::time_limit) was reached.
    TimeOver,
    /// A socket failed.
    Socket(io::Error),
    /// The call can't have the device's sound, which isn't 8 to 48 kHz in mono or stereo.
    Sound(CallError),
    /// The device side of the call can't be made.
    Front(FrontError),
    /// The device failed for good; [`AudioIo::failure`] of the returned device says why.
    SoundFailed,
}

impl Ended {
    /// Its name and its words.
    pub const fn reason(&self) -> Reason {
        let (name, words) = match self {
            Self::HungUp => ("hung_up", "hung up"),
            Self::Call(ending) => return ending.reason(),
            Self::TimeOver => ("time_over", "time over"),
            Self::Socket(_) => ("socket_failed", "the socket failed"),
            Self::Sound(_) => ("sound_unusable", "the call can't have the device's sound"),
            Self::Front(_) => ("front_failed", "the device side can't take the call's sound"),
            Self::SoundFailed => ("sound_failed", "the sound failed"),
        };
        Reason { name, words }
    }
}
