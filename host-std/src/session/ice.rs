//! What a call knows of ICE besides its path: the settings, our credentials, and candidates that come before there is a path.

use std::fmt;
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
    /// TURN servers that pass on where no direct way is found (RFC 8656). A lite side asks none.
    pub turn: Vec<TurnServer>,
    /// Whether all packets go through a TURN server, and nothing tells the other side where we are: neither descriptions nor
    /// packets. ICE is required then, and must be [`IceMode::Full`].
    pub relay_only: bool,
}

/// How a TURN server is reached. What it passes on is UDP in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TurnTransport {
    /// By datagrams, from the call's own socket.
    #[default]
    Udp,
    /// By a connection, which a driver has (`TurnConnection`): to the call, what comes through it is datagrams from the server's
    /// address, and what goes to that address goes through it.
    Tcp,
}

impl TurnTransport {
    /// As URIs have it (RFC 7065).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// A server that gives us an address, and passes on from and to it.
#[derive(Clone, PartialEq, Eq)]
pub struct TurnServer {
    /// Where it is. Each address is asked once, by one transport.
    pub address: SocketAddr,
    /// How it is reached.
    pub transport: TurnTransport,
    /// Who we are to it.
    pub user: String,
    /// What proves it: the long-term credential of RFC 8489, 9.2.
    pub password: String,
}

impl fmt::Debug for TurnServer {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, transport, user, .. } = self;
        f.debug_struct("TurnServer")
            .field("address", address)
            .field("transport", transport)
            .field("user", user)
            .finish_non_exhaustive()
    }
}

/// What became of the wish for an address at a TURN server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayState {
    /// It has not answered yet.
    Asking,
    /// This address is ours.
    Allocated(SocketAddr),
    /// It said no, with this code of RFC 8656, 18; 0 where it said something else than yes or no.
    Refused(u16),
    /// It doesn't answer.
    Silent,
    /// This address was ours: its time is over, or the server knows nothing of it any more.
    Lost(SocketAddr),
    /// It was given back.
    Released,
}

impl fmt::Display for RelayState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asking => f.write_str("it has not answered yet"),
            Self::Allocated(address) => write!(f, "it passes on from {address}"),
            Self::Silent => f.write_str("it doesn't answer"),
            Self::Lost(address) => write!(f, "it doesn't pass on from {address} any more"),
            Self::Released => f.write_str("its address was given back"),
            Self::Refused(0) => f.write_str("it gives no answer that makes sense"),
            Self::Refused(code) => {
                let why = match code {
                    300 => "it names another server, which is not followed",
                    401 | 441 => "it doesn't know this user with this password",
                    403 => "it forbids it",
                    437 => "it has given another address to the same port of ours, whose time isn't over",
                    438 => "each of its nonces is stale at once",
                    440 | 443 => "it has no addresses of this family",
                    442 => "it doesn't pass on UDP",
                    486 => "this user has as many addresses as he may",
                    508 => "it has no address left",
                    _ => "it refuses",
                };
                write!(f, "{why} (error {code})")
            }
        }
    }
}

/// Numbers of one TURN server: [`Call::relays`](super::Call::relays).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayStats {
    /// Where it is.
    pub server: SocketAddr,
    /// How it is reached.
    pub transport: TurnTransport,
    /// What became of it.
    pub state: RelayState,
    /// What it was asked, all questions and their repetitions.
    pub questions: u32,
    /// Addresses of the other side that it passes on from and to.
    pub permitted: u32,
    /// Those that it refused.
    pub refused: u32,
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
            required: own.config.required || own.config.relay_only,
            candidates: Vec::new(),
            hides_host: own.config.relay_only,
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
        let base = SocketAddr::new(local.address.to_canonical(), local.rtp_port);
        self.gatherer = Some(Gatherer::new(base, &self.config, &identity.random_bytes(self.drawn)?));
        Ok(())
    }

    /// What our candidates are for.
    pub(super) fn place(&self) -> (IpAddr, u16) {
        self.place
    }

    /// An offer of other candidates was taken back. `has_path`: those of before belong to a path that has them.
    pub(super) fn return_to(&mut self, place: (IpAddr, u16), restart: bool, has_path: bool) {
        if self.place != place && has_path {
            self.gatherer = None;
        }
        (self.place, self.restart) = (place, restart);
    }

    /// The same for another call of the same offer: what servers have told is known there too, and nobody is asked again.
    pub(super) fn fork(&self) -> Self {
        Self {
            config: self.config.clone(),
            gatherer: self.gatherer.as_ref().map(Gatherer::fork),
            place: self.place,
            restart: self.restart,
            early: self.early.clone(),
            drawn: self.drawn,
        }
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
