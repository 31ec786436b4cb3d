//! The ICE state of a call outside its path: the settings, our credentials, and candidates that come before there is a path.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::identity::Identity;
use super::outcome::CallError;
use super::transport::{Gathered, Gatherer};
use crate::sdp::{IceCandidate, IceCredentials, LocalIce, LocalMedia, MAX_CANDIDATES};

/// Whether and how a call uses ICE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IceMode {
    /// No ICE: packets go where the description says, and [`Latching`](super::Latching) decides which are accepted.
    #[default]
    Off,
    /// Both sides check each other's addresses (RFC 8445).
    Full,
    /// We answer checks and make none (RFC 8445, 2.5): for a server with one public address.
    Lite,
}

/// The settings of ICE in a call: [`CallConfig::ice`](super::CallConfig::ice).
///
/// ```
/// use host_std::session::{Call, CallConfig, IceConfig, IceMode};
///
/// let ice = IceConfig { mode: IceMode::Full, stun: vec!["192.0.2.9:3478".parse()?], ..IceConfig::default() };
/// let mut call = Call::new(CallConfig { ice, address: "192.0.2.1".parse()?, ..CallConfig::new(4000)? })?;
/// // Before the offer exchange datagrams with the server, until `call.is_gathering(now)` is false.
/// let offer = call.offer()?;
/// assert!(offer.contains("a=candidate:") && offer.contains("typ host"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IceConfig {
    /// Whether and how ICE is used.
    pub mode: IceMode,
    /// Whether a call is refused if the other side has no ICE. Otherwise packets then go where its description says.
    pub required: bool,
    /// Further addresses of this machine at which our socket receives, in addition to
    /// [`CallConfig::address`](super::CallConfig::address). Bind the socket to all addresses then
    /// ([`CallConfig::bind`](super::CallConfig::bind)).
    pub addresses: Vec<IpAddr>,
    /// STUN servers, which report the address at which we are seen from outside (RFC 8489). With [`IceMode::Lite`] none is asked.
    pub stun: Vec<SocketAddr>,
    /// TURN servers, which relay packets where no direct path is found (RFC 8656). With [`IceMode::Lite`] none is asked.
    pub turn: Vec<TurnServer>,
    /// Whether all packets go through a TURN server, so that neither descriptions nor packets disclose our address to the other
    /// side. ICE is then required, and `mode` must be [`IceMode::Full`].
    pub relay_only: bool,
}

/// The transport to a TURN server. The relayed packets are UDP in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TurnTransport {
    /// UDP, from the call's own socket.
    #[default]
    Udp,
    /// TCP, by a connection of the driver (`TurnConnection`). The call sees datagrams from and to the server's address, which the
    /// driver carries over the connection.
    Tcp,
}

impl TurnTransport {
    /// Returns the name of the transport in `turn:` URIs (RFC 7065).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// A TURN server, which gives us a relayed address (RFC 8656): for [`IceConfig::turn`].
///
/// ```
/// use host_std::session::{IceConfig, IceMode, TurnServer, TurnTransport};
///
/// let server = TurnServer {
///     address: "192.0.2.9:3478".parse()?,
///     transport: TurnTransport::Udp,
///     user: "anna".into(),
///     password: "secret".into(),
/// };
/// assert!(!format!("{server:?}").contains("secret"));
/// // All packets go through the server, and the other side never learns our address.
/// let ice = IceConfig { mode: IceMode::Full, relay_only: true, turn: vec![server], ..IceConfig::default() };
/// # let _ = ice;
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TurnServer {
    /// The address of the server. Each address is asked once, over one transport.
    pub address: SocketAddr,
    /// The transport to the server.
    pub transport: TurnTransport,
    /// Our user name there.
    pub user: String,
    /// Our password there: the long-term credential of RFC 8489, 9.2.
    pub password: String,
}

impl fmt::Debug for TurnServer {
    /// Writes all fields but the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, transport, user, .. } = self;
        f.debug_struct("TurnServer")
            .field("address", address)
            .field("transport", transport)
            .field("user", user)
            .finish_non_exhaustive()
    }
}

/// The state of our request for a relayed address at a TURN server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayState {
    /// The server has not answered yet.
    Asking,
    /// The server gave us this address.
    Allocated(SocketAddr),
    /// The server refused, with this error code of RFC 8656, 18; 0 where its answer made no sense.
    Refused(u16),
    /// The server doesn't answer.
    Silent,
    /// We had this address and lost it: its time is over, or the server doesn't know it any more.
    Lost(SocketAddr),
    /// We gave the address back.
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
    /// The address of the server.
    pub server: SocketAddr,
    /// The transport to the server.
    pub transport: TurnTransport,
    /// The state of our request for a relayed address.
    pub state: RelayState,
    /// The number of requests that were sent to the server, repetitions included.
    pub questions: u32,
    /// The number of addresses of the other side that the server relays for.
    pub permitted: u32,
    /// The number of addresses of the other side that the server refused.
    pub refused: u32,
}

/// ICE of our side.
pub(super) struct OwnIce {
    config: IceConfig,
    /// The gatherer of candidates, until a path has it.
    pub(super) gatherer: Option<Gatherer>,
    /// The address and port that our candidates are for.
    place: (IpAddr, u16),
    /// The next offer has other credentials.
    pub(super) restart: bool,
    /// Those of the other side that came before its answer.
    pub(super) early: Vec<(Option<String>, IceCandidate)>,
    /// The number of credentials that were generated.
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

    /// Gathers candidates again.
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

    /// Returns the address and port that our candidates are for.
    pub(super) fn place(&self) -> (IpAddr, u16) {
        self.place
    }

    /// Returns to the earlier candidates after an offer of others was taken back. `has_path`: the earlier ones belong to a path
    /// that has them.
    pub(super) fn return_to(&mut self, place: (IpAddr, u16), restart: bool, has_path: bool) {
        if self.place != place && has_path {
            self.gatherer = None;
        }
        (self.place, self.restart) = (place, restart);
    }

    /// Returns the same for another call of the same offer: candidates that servers have reported are known there too, and no
    /// server is asked again.
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

    /// Returns whether we receive at another address than that of our candidates.
    pub(super) fn has_moved(&self, local: &LocalMedia) -> bool {
        self.place != (local.address, local.rtp_port)
    }

    /// Returns the parts of a path.
    pub(super) fn gathered(&mut self, seed: u32) -> Gathered {
        Gathered { gatherer: self.gatherer.take(), seed }
    }

    /// Keeps a candidate that can't be checked yet.
    pub(super) fn keep_early(&mut self, ufrag: Option<String>, candidate: IceCandidate) -> bool {
        let room = self.early.len() < MAX_CANDIDATES;
        if room {
            self.early.push((ufrag, candidate));
        }
        room
    }
}
