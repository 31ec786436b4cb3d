//! How a manager's sessions are made.

use std::net::IpAddr;
#[cfg(feature = "record")]
use std::path::PathBuf;

use super::Watching;
use crate::session::{CallConfig, CallError};
use crate::sockets::SocketConfig;

/// Settings of a [`MediaManager`](super::MediaManager).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ManagerConfig {
    /// How each call is made. Its address, ports, identity and wall clock are set by the manager.
    pub call: CallConfig,
    /// Where sockets are bound, and how they are marked. Each session has two, for RTP and for RTCP on the next port,
    /// since whether both may share one is known when the other side has answered.
    pub sockets: SocketConfig,
    /// The address that descriptions name where it isn't the one that sockets are bound to: behind a one-to-one NAT, or
    /// where they are bound to all addresses.
    pub address: Option<IpAddr>,
    /// The most sessions at once.
    pub most_sessions: usize,
    /// When events are told.
    pub watching: Watching,
    /// Events of all sessions that wait to be fetched.
    pub events: usize,
    /// A WAV file that whoever is put on hold hears ([`Change::hold`](super::Change::hold)), of ten minutes at most. It
    /// is read once for each rate of the devices, and kept.
    #[cfg(feature = "record")]
    pub music: Option<PathBuf>,
}

impl ManagerConfig {
    /// The defaults: calls as [`CallConfig::new`] has them, but that a call ends when nothing came of the other side
    /// for 90 s, so that it outlives a minute without a network; sockets on 127.0.0.1; 10,000 sessions and 4,096
    /// events.
    ///
    /// # Errors
    /// [`CallError::Randomness`].
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

    /// With sockets on this address, which descriptions name too.
    #[must_use]
    pub fn with_address(mut self, address: IpAddr) -> Self {
        self.sockets.address = address;
        self
    }

    /// With these settings of calls.
    #[must_use]
    pub fn with_call(self, call: CallConfig) -> Self {
        Self { call, ..self }
    }
}
