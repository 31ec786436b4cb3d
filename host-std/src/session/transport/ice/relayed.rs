//! Pairs whose local candidate is a TURN server's: the packets that are sent that way, and those that came by it.

use std::net::SocketAddr;

use dsp_core::time::Instant;
use is::{Candidate, IceAgent, Protocol};

use super::IcePath;
use crate::session::transport::gather::Gatherer;
use crate::session::transport::relays::{Passed, Relays};

impl IcePath {
    /// Returns our relayed address through which packets are sent, if there is one.
    fn way(&self, to: SocketAddr) -> Option<SocketAddr> {
        let relays = self.relays();
        match self.selected.filter(|selected| selected.remote == to) {
            Some(selected) => Some(selected.local).filter(|local| relays.is_or_was(*local)),
            None if self.gatherer.is_relay_only() => relays.addresses().find(|own| own.is_ipv4() == to.is_ipv4()),
            None => None,
        }
    }

    /// Prepares a packet of `len` bytes in `buffer` for this address, as it is sent: its length, and its destination. `None`
    /// where it can't be sent.
    pub(in crate::session::transport) fn route(
        &mut self,
        now: Instant,
        to: SocketAddr,
        buffer: &mut [u8],
        len: usize,
    ) -> Option<(usize, SocketAddr)> {
        match self.way(to) {
            Some(relayed) => self.gatherer.relays_mut().encapsulate(now, relayed, to, buffer, len),
            None if self.gatherer.is_relay_only() => None,
            None => Some((len, to)),
        }
    }

    /// Returns the bytes that are added to packets on the way.
    pub(in crate::session::transport) fn overhead(&self) -> usize {
        self.selected.and_then(|selected| self.way(selected.remote)).map_or(0, Relays::overhead)
    }

    /// Unwraps a datagram that came through one of the relayed addresses. The next packet that this path checks came that way.
    pub(in crate::session::transport) fn decapsulate(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Passed {
        let passed = self.gatherer.relays_mut().take(now, from, datagram);
        self.relayed = if let Passed::Data { relayed, .. } = &passed { Some(*relayed) } else { None };
        if self.gatherer.take_news() {
            self.add_relays(now);
        }
        passed
    }

    /// Our relayed addresses, as far as the agent doesn't know them.
    pub(super) fn add_relays(&mut self, now: Instant) {
        add(&mut self.agent, &self.gatherer);
        let Self { gatherer, remote, .. } = self;
        remote.iter().for_each(|remote| gatherer.relays_mut().permit(now, remote.address));
        self.pending = true;
        self.settle(now);
    }
}

/// Adds our relayed addresses to the agent; those that it knows already are skipped.
pub(super) fn add(agent: &mut IceAgent, gatherer: &Gatherer) {
    for relayed in gatherer.relays().addresses() {
        let base = gatherer.hosts().find(|host| host.is_ipv4() == relayed.is_ipv4()).unwrap_or(relayed);
        let known = agent.local_candidates().any(|candidate| candidate.addr() == relayed);
        if let Some(candidate) = Candidate::relayed(relayed, base, Protocol::Udp).ok().filter(|_| !known) {
            agent.add_local_candidate(candidate);
        }
    }
}
