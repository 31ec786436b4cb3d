//! The functions of a transport that only ICE needs; a path without ICE has none of them.

use std::net::SocketAddr;

use dsp_core::time::Instant;

use super::ice::IcePath;
use super::{CallTransport, Gatherer, Passed, Relays};
use crate::sdp;
use crate::session::outcome;

impl CallTransport {
    /// Adds an address of the other side; returns whether it is new.
    pub(in crate::session) fn add_candidate(&mut self, now: Instant, candidate: &sdp::IceCandidate) -> bool {
        self.rtp.ice_mut().is_some_and(|ice| ice.trickled(now, candidate))
    }

    /// Returns the gatherer of our candidates.
    pub(in crate::session) fn gatherer(&mut self) -> Option<&mut Gatherer> {
        self.rtp.ice_mut().map(IcePath::gatherer)
    }

    /// Our relayed addresses.
    pub(in crate::session) fn relays(&self) -> Option<&Relays> {
        Some(self.rtp.ice()?.relays())
    }

    /// Unwraps a datagram that came through one of our relayed addresses, before anything else handles it.
    pub(in crate::session) fn decapsulate(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Passed {
        self.rtp.ice_mut().map_or(Passed::Not, |ice| ice.decapsulate(now, from, datagram))
    }

    /// Returns the other side's address in use, if we say which it is.
    pub(in crate::session) fn selected_by_us(&self) -> Option<SocketAddr> {
        self.rtp.ice()?.selected_by_us()
    }

    /// Returns why the call should end.
    pub(in crate::session) fn ice_ending(&self, now: Instant) -> Option<outcome::Ending> {
        self.rtp.ice()?.ending(now)
    }

    /// Returns the statistics of the checks.
    pub(in crate::session) fn ice_stats(&self) -> Option<outcome::IceStats> {
        Some(self.rtp.ice()?.stats())
    }
}
