//! The configuration of a manager's sessions.

use std::net::IpAddr;
#[cfg(feature = "record")]
use std::path::PathBuf;

use super::Watching;
use crate::session::{CallConfig, CallError};
use crate::sockets::SocketConfig;

/// Settings of a [`MediaManager`](super::MediaManager).
///
/// A server on one address, whose calls use 1,000 ports and only G.711:
///
/// ```
/// use host_std::manager::ManagerConfig;
/// use host_std::registry::CodecFormat;
/// use host_std::session::CallConfig;
/// use host_std::sockets::Ports;
///
/// let codecs = vec![CodecFormat::pcmu(), CodecFormat::pcma()];
/// let mut config = ManagerConfig::new()?.with_address("192.0.2.1".parse()?);
/// config.call = CallConfig { codecs, ..config.call };
/// config.sockets.ports = Ports::Range(20_000..=20_999);
/// config.most_sessions = 500; // two ports each
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ManagerConfig {
    /// The settings of each call. The manager itself sets the address, ports, identity and wall clock.
    pub call: CallConfig,
    /// The addresses to which sockets are bound, and the marking of their packets. Each session has two sockets, for RTP and for
    /// RTCP on the next port: whether one is enough is known only when the other side has answered.
    pub sockets: SocketConfig,
    /// The address in our descriptions, where it isn't the one that sockets are bound to: behind a one-to-one NAT, or where
    /// sockets are bound to all addresses.
    pub address: Option<IpAddr>,
    /// The most sessions that can exist at once.
    pub most_sessions: usize,
    /// The thresholds at which events are reported.
    pub watching: Watching,
    /// The most events of all sessions together that can wait to be fetched.
    pub events: usize,
    /// The music on hold: a WAV file, of ten minutes at most, for callers that are put on hold
    /// ([`Change::hold`](super::Change::hold)). It is read into memory once for each rate of the devices.
    #[cfg(feature = "record")]
    pub music: Option<PathBuf>,
}

impl ManagerConfig {
    /// Creates the default configuration: calls as [`CallConfig::new`] has them, except that a call ends after 90 s without a
    /// packet from the other side, so that it survives a minute without a network; sockets on 127.0.0.1; 10,000 sessions and
    /// 4,096 events.
    ///
    /// # Errors
    /// [`CallError::Randomness`] if the operating system has no randomness to give.
    pub fn new() -> Result<Self, CallError> {
        let after_silence = Some(dsp_core::time::Duration::from_secs(90));
        Ok(Self {
            call: CallConfig { after_silence, ..CallConfig::new(0)? },
            sockets: SocketConfig::default(),
            address: None,
            most_sessions: 10_000,
            watching: Watching::default(),
            events: 4_096,
            #[cfg(feature = "record")]
            music: None,
        })
    }

    /// Returns these settings with sockets bound to this address, which descriptions name too.
    #[must_use]
    pub fn with_address(mut self, address: IpAddr) -> Self {
        self.sockets.address = address;
        self
    }

    /// Returns these settings with other ones for calls.
    #[must_use]
    pub fn with_call(self, call: CallConfig) -> Self {
        Self { call, ..self }
    }
}
