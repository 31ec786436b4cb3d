//! Why a call ended, for programs and in words.

use std::io;

use dsp_core::adapt::Hopeless;
use dsp_core::front::FrontError;
use dsp_core::time::Duration;

#[cfg(doc)]
use crate::device::AudioIo;
use crate::session::{CallError, Ending, HandshakeFailure};

/// Why a call ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ended {
    /// The user hung up, or all handles to the driver are gone.
    HungUp,
    /// The other side said goodbye, and nothing came of it since ([`Ending::Goodbye`]).
    Bye,
    /// Nothing came of the other side for so long ([`Ending::Silence`]).
    Silence(Duration),
    /// There are no keys, and will be none ([`Ending::Handshake`]).
    Handshake(HandshakeFailure),
    /// The SRTP keys are used up ([`Ending::KeysOver`]).
    KeysOver,
    /// No pair of addresses was found that packets could take ([`Ending::ChecksFailed`]).
    ChecksFailed,
    /// The other side has not answered for 30 s that it wants to be sent to ([`Ending::ConsentGone`]).
    ConsentGone,
    /// Packets may only go through a TURN server, and none gives us an address ([`Ending::NoRelay`]).
    NoRelay,
    /// The TURN server that packets went through passes nothing on any more ([`Ending::RelayLost`]).
    RelayLost,
    /// Sending on is hopeless ([`Ending::Hopeless`]).
    Hopeless(Hopeless),
    /// The time was over.
    TimeOver,
    /// The socket failed.
    Socket(io::Error),
    /// The call can't have the device's sound: not 8 to 48 kHz in mono or stereo.
    Sound(CallError),
    /// The device side of the call can't be made.
    Front(FrontError),
    /// The device failed for good; [`AudioIo::failure`] of what the driver gives back says why.
    SoundFailed,
}

/// Why a call ended, where what belongs to it is of no interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reason {
    /// A short name that stays the same from version to version, such as `hung_up`.
    pub name: &'static str,
    /// The same in words.
    pub words: &'static str,
}

impl From<Ending> for Ended {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Goodbye => Self::Bye,
            Ending::Silence(silence) => Self::Silence(silence),
            Ending::Handshake(failure) => Self::Handshake(failure),
            Ending::KeysOver => Self::KeysOver,
            Ending::ChecksFailed => Self::ChecksFailed,
            Ending::ConsentGone => Self::ConsentGone,
            Ending::NoRelay => Self::NoRelay,
            Ending::RelayLost => Self::RelayLost,
            Ending::Hopeless(hopeless) => Self::Hopeless(hopeless),
        }
    }
}

impl Ended {
    /// Its name and its words.
    pub const fn reason(&self) -> Reason {
        let (name, words) = match self {
            Self::HungUp => ("hung_up", "hung up"),
            Self::Bye => ("goodbye", "the other side hung up"),
            Self::Silence(_) => ("silence", "nothing came from the other side any more"),
            Self::Handshake(_) => ("handshake_failed", "the DTLS handshake came to no keys"),
            Self::KeysOver => ("keys_over", "an SRTP key was used up"),
            Self::ChecksFailed => ("checks_failed", "no address of the other side answered"),
            Self::ConsentGone => ("consent_gone", "the other side doesn't answer any more"),
            Self::NoRelay => ("no_relay", "no TURN server gives us an address"),
            Self::RelayLost => ("relay_lost", "the TURN server passes nothing on any more"),
            Self::Hopeless(_) => ("hopeless", "what was sent did not arrive"),
            Self::TimeOver => ("time_over", "time over"),
            Self::Socket(_) => ("socket_failed", "the socket failed"),
            Self::Sound(_) => ("sound_unusable", "the call can't have the device's sound"),
            Self::Front(_) => ("front_failed", "the device side can't take the call's sound"),
            Self::SoundFailed => ("sound_failed", "the sound failed"),
        };
        Reason { name, words }
    }
}
