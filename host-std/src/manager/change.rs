//! What a later offer of ours wants otherwise.

use std::net::IpAddr;

use crate::registry::CodecFormat;
use crate::sdp::Direction;
use crate::session::{Call, CallError};

/// What a re-INVITE or an UPDATE of ours is to change, all of it or nothing. The default changes nothing.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Change {
    /// What we want to do.
    pub direction: Option<Direction>,
    /// Our codecs, the best first.
    pub codecs: Option<Vec<CodecFormat>>,
    /// Where we receive from now on.
    pub address: Option<(IpAddr, u16)>,
    /// Whether our SRTP keys are to be fresh, or a DTLS handshake is to begin anew.
    pub rekey: bool,
    /// Whether ICE looks for addresses anew.
    pub restart_ice: bool,
}

impl Change {
    /// The other side is put on hold: it hears what we play to it, if anything, and isn't heard (`a=sendonly`, RFC 3264, 8.4).
    pub fn hold() -> Self {
        Self::direction(Direction::SendOnly)
    }

    /// The other side is put on hold, and nothing is sent to it either (`a=inactive`).
    pub fn inactive() -> Self {
        Self::direction(Direction::Inactive)
    }

    /// Both are heard again.
    pub fn resume() -> Self {
        Self::direction(Direction::SendRecv)
    }

    /// The sound goes this way, as we see it.
    pub fn direction(direction: Direction) -> Self {
        Self { direction: Some(direction), ..Self::default() }
    }

    /// With these codecs, the best first.
    #[must_use]
    pub fn with_codecs(self, codecs: impl Into<Vec<CodecFormat>>) -> Self {
        Self { codecs: Some(codecs.into()), ..self }
    }

    /// With fresh keys.
    #[must_use]
    pub fn with_fresh_keys(self) -> Self {
        Self { rekey: true, ..self }
    }

    /// With a restart of ICE (RFC 8445, 9).
    #[must_use]
    pub fn with_ice_restart(self) -> Self {
        Self { restart_ice: true, ..self }
    }

    /// Where we receive is here from now on. A [`MediaManager`](super::MediaManager) opens sockets itself
    /// ([`move_to`](super::MediaManager::move_to)); this is for whoever has his own.
    #[must_use]
    pub fn with_address(self, address: IpAddr, rtp_port: u16) -> Self {
        Self { address: Some((address, rtp_port)), ..self }
    }

    /// Makes it what the call wants from the next offer on.
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
