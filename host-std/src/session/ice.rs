//! What a call knows of ICE besides its path: the settings, our credentials, and candidates that come before there is a path.

use std::net::{IpAddr, SocketAddr};

use super::config::Identity;
use super::outcome::CallError;
use super::transport::{Gathered, Gatherer};
use crate::sdp::{IceCandidate, IceCredentials, LocalIce, LocalMedia, MAX_CANDIDATES};

/// Whether and how a call speaks ICE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IceMode {
    /// Not at all: packets go where the description says, and [`Latching`](super::Latching) says what is believed.
    #[default]
    Off,
    /// Both sides check each other's addresses (RFC 8445).
    Full,
    /// We answer checks and make none (RFC 8445, 2.5): for a server with one public address.
    Lite,
}

/// ICE of a call: [`CallConfig::ice`](super::CallConfig::ice).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IceConfig {
    /// Whether and how.
    pub mode: IceMode,
    /// Whether a call without ICE is none. Otherwise packets of a call with a side that doesn't speak it go where its
    /// description says.
    pub required: bool,
    /// Further addresses of this machine that our socket receives at, besides [`CallConfig::address`](super::CallConfig::address):
    /// the socket is bound to all then ([`CallConfig::bind`](super::CallConfig::bind)).
    pub addresses: Vec<IpAddr>,
    /// STUN servers that tell how we are seen from outside. A lite side asks none.
    pub stun: Vec<SocketAddr>,
}

/// ICE of our side.
pub(super) struct OwnIce {
    config: IceConfig,
    /// What looks for candidates, until a path has it.
    pub(super) gatherer: Option<Gatherer>,
    /// What our candidates are for.
    place: (IpAddr, u16),
    /// The next offer has other credentials.
    pub(super) restart: bool,
    /// Those of the other side that came before its answer.
    pub(super) early: Vec<(Option<String>, IceCandidate)>,
    /// How many credentials were drawn.
    drawn: u64,
}

impl OwnIce {
    /// ICE of a new call, if it is wanted.
    ///
    /// # Errors
    /// [`CallError::Randomness`].
    pub(super) fn new(
        config: IceConfig,
        identity: &Identity,
        local: &mut LocalMedia,
    ) -> Result<Option<Box<Self>>, CallError> {
        if config.mode == IceMode::Off {
            return Ok(None);
        }
        let place = (local.address, local.rtp_port);
        let mut own = Self { config, gatherer: None, place, restart: false, early: Vec::new(), drawn: 0 };
        local.ice = Some(LocalIce {
            credentials: own.draw(identity)?,
            lite: own.config.mode == IceMode::Lite,
            required: own.config.required,
            candidates: Vec::new(),
            complete: false,
            selected: None,
        });
        own.gather(identity, local)?;
        Ok(Some(Box::new(own)))
    }

    /// Fresh credentials of ours.
    ///
    /// # Errors
    /// [`CallError::Randomness`].
    pub(super) fn draw(&mut self, identity: &Identity) -> Result<IceCredentials, CallError> {
        self.drawn += 1;
        Ok(IceCredentials::from_random(&identity.random_bytes(self.drawn)?))
    }

    /// Looks for candidates anew.
    ///
    /// # Errors
    /// [`CallError::Randomness`].
    pub(super) fn gather(&mut self, identity: &Identity, local: &LocalMedia) -> Result<(), CallError> {
        self.place = (local.address, local.rtp_port);
        self.drawn += 1;
        let stun = if self.config.mode == IceMode::Full { &self.config.stun[..] } else { &[] };
        let base = SocketAddr::new(local.address.to_canonical(), local.rtp_port);
        self.gatherer = Some(Gatherer::new(base, &self.config.addresses, stun, &identity.random_bytes(self.drawn)?));
        Ok(())
    }

    /// Whether we receive elsewhere than our candidates say.
    pub(super) fn has_moved(&self, local: &LocalMedia) -> bool {
        self.place != (local.address, local.rtp_port)
    }

    /// What a path is made of.
    pub(super) fn gathered(&mut self, seed: u32) -> Gathered {
        Gathered { gatherer: self.gatherer.take(), seed }
    }

    /// Keeps a candidate that nobody can check yet.
    pub(super) fn keep_early(&mut self, ufrag: Option<String>, candidate: IceCandidate) -> bool {
        let room = self.early.len() < MAX_CANDIDATES;
        if room {
            self.early.push((ufrag, candidate));
        }
        room
    }
}
