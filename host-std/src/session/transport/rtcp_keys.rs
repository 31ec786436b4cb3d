//! The keys of RTCP where it has a port of its own: another handshake there, and a guard with what that comes to (RFC
//! 5764, 4.2 and 5.1.2: an association for each of the two).
//!
//! Sound doesn't wait for it: without these keys the call continues without reports.

use std::net::SocketAddr;

use dsp_core::guard::PacketGuard;
use dsp_core::time::Instant;

use super::dtls::Association;
use super::guard::Guard;
use crate::sdp::{NegotiatedTransport, SrtpKeys};
use crate::session::config::CallSettings;

/// The association and the guard of RTCP.
pub(super) struct RtcpKeys {
    association: Box<Association>,
    guard: Guard,
    /// The keys of the last handshake.
    exported: Option<SrtpKeys>,
}

impl RtcpKeys {
    /// Returns the keys of a call that was agreed on; `None` where RTCP has RTP's.
    pub(super) fn agreed(now: Instant, agreed: &NegotiatedTransport, settings: &CallSettings) -> Option<Box<Self>> {
        if agreed.rtcp_mux || settings.guard.is_some() {
            return None;
        }
        let association = Association::agreed(now, agreed, settings)?;
        // Each stream has one source, and a forwarding server has one of its own too.
        let guard = Guard::new(None, None, true, settings.sources);
        Some(Box::new(Self { association, guard, exported: None }))
    }

    /// Takes the result of a later offer and answer, in which RTCP still has keys of its own: the present ones stay in use until
    /// others have come.
    pub(super) fn renew(&mut self, now: Instant, agreed: &NegotiatedTransport, settings: &CallSettings) {
        let same = agreed.dtls.as_ref().is_some_and(|dtls| self.association.is(dtls));
        if let Some(other) = Association::agreed(now, agreed, settings).filter(|_| !same) {
            self.association = other;
        }
    }

    pub(super) fn guard(&mut self) -> &mut dyn PacketGuard {
        self.guard.get()
    }

    /// Returns whether there are keys.
    pub(super) fn is_open(&self) -> bool {
        !self.guard.waits()
    }

    pub(super) fn exported(&self) -> Option<&SrtpKeys> {
        self.exported.as_ref()
    }

    /// A datagram of the handshake. Whether it was taken, and whether there are new keys by it.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        from: SocketAddr,
        remote: SocketAddr,
        datagram: &[u8],
    ) -> (bool, bool) {
        let taken = self.association.receive(now, from, remote, datagram);
        let Some(keys) = self.association.take_keys() else { return (taken, false) };
        if self.guard.key(&keys).is_err() {
            self.association.refuse_keys();
            return (taken, false);
        }
        self.exported = Some(keys);
        (taken, true)
    }

    pub(super) fn transmit(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        buffer: &mut [u8],
    ) -> Option<(usize, SocketAddr)> {
        self.association.transmit(now, remote, buffer)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.association.next_deadline()
    }

    pub(super) fn close(&mut self) {
        self.association.close();
    }

    /// Bytes on the heap, without the engine's.
    pub(super) fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.association.heap_bytes() + self.guard.heap_bytes()
    }
}
