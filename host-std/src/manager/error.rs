//! The errors of the manager for requests of signalling, and the SIP status for each.

use std::error::Error;
use std::fmt;

use crate::sdp::SdpError;
use crate::session::CallError;
use crate::sockets::SocketError;

use super::session::MAX_FORKS;

/// The reason why an operation failed. Everything that was running keeps running unchanged.
///
/// ```
/// use host_std::manager::ManagerError;
///
/// // What the SIP stack answers.
/// assert_eq!(ManagerError::UnknownDialog.status(), 481);
/// assert_eq!(ManagerError::Glare.status(), 491);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ManagerError {
    /// There is no such dialog, or no more.
    UnknownDialog,
    /// There is a session of this `Call-ID` and tag already.
    Exists,
    /// An offer came while ours waits for its answer, or ours was to be sent while another one waits (RFC 3261, 14.1).
    Glare,
    /// There is no offer that this could be the answer to, or that could be taken back.
    NoOffer,
    /// The answer rejects our offer: the stream has port 0 (RFC 3264, 6). The offer is taken back.
    Refused,
    /// More phones have answered one offer than anybody rings.
    TooManyForks,
    /// A further phone has answered, and it can't be talked to: packets may take relayed addresses alone, and those are
    /// the first one's.
    RelayTaken,
    /// The most sessions that are allowed are running.
    Full {
        /// The most.
        most: usize,
    },
    /// The session has no device, or the device that was to be attached doesn't have the session's rate and channels.
    NoDevice,
    /// The session has a device already.
    HasDevice,
    /// The manager is shutting down.
    Closing,
    /// The session did not answer within 10 s: its thread is blocked. The command may be carried out all the same; end the
    /// dialog.
    Stuck,
    /// The descriptions can't be used, or what they request is impossible.
    Call(CallError),
    /// There are no sockets.
    Socket(SocketError),
    /// The device can't be made the session's.
    Sound(CallError),
    /// Music on hold can't be read.
    #[cfg(feature = "record")]
    Music(crate::wav::WavError),
}

impl ManagerError {
    /// The SIP status with which a request is answered that this is why of: 481 for an unknown dialog, 488 where offer
    /// and answer come to nothing, 491 for glare, 486 where all places are taken, 503 where the machine can't, else
    /// 500.
    pub fn status(&self) -> u16 {
        match self {
            Self::UnknownDialog => 481,
            Self::Glare => 491,
            Self::Refused | Self::RelayTaken | Self::Call(CallError::Sdp(_) | CallError::Keys(_)) => 488,
            Self::Full { .. } => 486,
            Self::Closing | Self::Socket(_) | Self::TooManyForks => 503,
            _ => 500,
        }
    }
}

impl fmt::Display for ManagerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownDialog => f.write_str("there is no such dialog"),
            Self::Exists => f.write_str("there is a session of this call id and tag already"),
            Self::Glare => f.write_str("both sides offer at once"),
            Self::NoOffer => f.write_str("no offer waits for an answer"),
            Self::Refused => f.write_str("the other side refuses what was offered"),
            Self::TooManyForks => write!(f, "more than {MAX_FORKS} phones have answered one offer"),
            Self::RelayTaken => f.write_str("a further phone can't be reached: the relayed address is the first one's"),
            Self::Full { most } => write!(f, "{most} sessions run, which is the most"),
            Self::NoDevice => f.write_str("the session has no device"),
            Self::HasDevice => f.write_str("the session has a device already"),
            Self::Closing => f.write_str("the manager is shutting down"),
            Self::Stuck => f.write_str("the session did not answer within 10 s"),
            Self::Call(_) => f.write_str("the call can't be agreed on"),
            Self::Socket(_) => f.write_str("there are no sockets for the call"),
            Self::Sound(_) => f.write_str("the device can't be made the call's"),
            #[cfg(feature = "record")]
            Self::Music(_) => f.write_str("the music on hold can't be read"),
        }
    }
}

impl Error for ManagerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Call(error) | Self::Sound(error) => Some(error),
            Self::Socket(error) => Some(error),
            #[cfg(feature = "record")]
            Self::Music(error) => Some(error),
            _ => None,
        }
    }
}

impl From<CallError> for ManagerError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NoOffer => Self::NoOffer,
            CallError::Sdp(SdpError::Rejected(crate::sdp::DescriptionKind::Answer)) => Self::Refused,
            error => Self::Call(error),
        }
    }
}

impl From<SocketError> for ManagerError {
    fn from(error: SocketError) -> Self {
        Self::Socket(error)
    }
}
