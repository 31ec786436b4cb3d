//! The changes that a later offer of ours requests.

use std::net::IpAddr;

use crate::registry::CodecFormat;
use crate::sdp::Direction;
use crate::session::{Call, CallError};

/// The changes that a re-INVITE or an UPDATE of ours requests: either all of them are made or none. The default changes nothing.
///
/// ```
/// use host_std::manager::Change;
/// use host_std::registry::CodecFormat;
///
/// let hold = Change::hold();
/// // Back from hold, with another codec and fresh SRTP keys.
/// let back = Change::resume().with_codecs([CodecFormat::g722()]).with_fresh_keys();
/// assert_ne!(hold.direction, back.direction);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Change {
    /// Whether we want to send, to receive, or both; `None` changes nothing.
    pub direction: Option<Direction>,
    /// Our codecs, the best first; `None` changes nothing.
    pub codecs: Option<Vec<CodecFormat>>,
    /// The address and RTP port at which we receive; `None` changes nothing.
    pub address: Option<(IpAddr, u16)>,
    /// Whether we have fresh SRTP keys, or, with DTLS, begin a new handshake.
    pub rekey: bool,
    /// Whether to restart ICE with new credentials (RFC 8445, 9).
    pub restart_ice: bool,
}

impl Change {
    /// Puts the other side on hold: it hears our sound, such as music, and we don't hear it (`a=sendonly`: RFC 3264, 8.4).
    pub fn hold() -> Self {
        Self::direction(Direction::SendOnly)
    }

    /// Puts the other side on hold and sends nothing to it either (`a=inactive`).
    pub fn inactive() -> Self {
        Self::direction(Direction::Inactive)
    }

    /// Ends hold: both sides are heard again (`a=sendrecv`).
    pub fn resume() -> Self {
        Self::direction(Direction::SendRecv)
    }

    /// Changes the direction of the sound, seen from our side.
    pub fn direction(direction: Direction) -> Self {
        Self { direction: Some(direction), ..Self::default() }
    }

    /// Returns this change with these codecs, the best first.
    #[must_use]
    pub fn with_codecs(self, codecs: impl Into<Vec<CodecFormat>>) -> Self {
        Self { codecs: Some(codecs.into()), ..self }
    }

    /// Returns this change with fresh SRTP keys of ours.
    #[must_use]
    pub fn with_fresh_keys(self) -> Self {
        Self { rekey: true, ..self }
    }

    /// Returns this change with a restart of ICE (RFC 8445, 9).
    #[must_use]
    pub fn with_ice_restart(self) -> Self {
        Self { restart_ice: true, ..self }
    }

    /// Returns this change with another address and RTP port at which we receive. It is for sockets of your own: a
    /// [`MediaManager`](super::MediaManager) opens new ones by [`move_to`](super::MediaManager::move_to).
    #[must_use]
    pub fn with_address(self, address: IpAddr, rtp_port: u16) -> Self {
        Self { address: Some((address, rtp_port)), ..self }
    }

    /// Applies it to the call from the next offer on.
    pub(super) fn apply(&self, call: &mut Call) -> Result<(), CallError> {
        if let Some(direction) = self.direction {
            call.set_direction(direction);
        }
        if let Some(codecs) = &self.codecs {
            call.set_codecs(codecs)?;
        }
        if let Some((address, rtp_port)) = self.address {
            call.set_address(address, rtp_port);
        }
        if self.rekey {
            call.rekey()?;
        }
        #[cfg(feature = "ice")]
        if self.restart_ice {
            call.restart_ice();
        }
        Ok(())
    }
}
