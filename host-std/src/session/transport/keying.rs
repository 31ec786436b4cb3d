//! The keys of a transport that come from a handshake, and which keys it has.

#[cfg(feature = "dtls")]
use std::net::SocketAddr;

use dsp_core::guard::PacketGuard;
#[cfg(feature = "dtls")]
use dsp_core::time::Instant;

use super::CallTransport;
#[cfg(feature = "dtls")]
use super::Claim;
use crate::sdp;
use crate::session::outcome::{Channel, HandshakeFailure, Protection};

impl CallTransport {
    /// A datagram of the handshake that the keys come from. Whether it was taken.
    #[cfg(feature = "dtls")]
    pub(super) fn shake_hands(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> bool {
        let Some(dtls) = &mut self.dtls else { return false };
        // A packet that came through the checks of ICE is the other side's, from any of its addresses.
        #[cfg(feature = "ice")]
        let named = if self.rtp.ice().is_some() { from } else { self.rtp.remote() };
        #[cfg(not(feature = "ice"))]
        let named = self.rtp.remote();
        let taken = dtls.receive(now, from, named, datagram);
        if let Some(keys) = dtls.take_keys() {
            // The owner of the certificate's key is the other side, at any address.
            if self.guard.key(&keys).is_ok() {
                self.keyed = self.keyed.saturating_add(1);
                self.exported = Some(Box::new(keys));
                self.rtp.hear(now, from, Claim::Authentic);
                self.alive = now;
            } else {
                dtls.refuse_keys();
            }
        }
        if dtls.is_closed() {
            self.goodbye = self.goodbye.or(Some(now));
        }
        taken
    }

    /// Returns why the call can't have keys.
    pub(in crate::session) fn handshake_failure(&self) -> Option<HandshakeFailure> {
        #[cfg(feature = "dtls")]
        return self.dtls.as_ref().and_then(|dtls| dtls.failure());
        #[cfg(not(feature = "dtls"))]
        None
    }

    /// Returns why the last handshake failed, while there are no keys yet.
    pub(in crate::session) fn handshake_trouble(&self) -> Option<HandshakeFailure> {
        #[cfg(feature = "dtls")]
        return self.dtls.as_ref().and_then(|dtls| dtls.trouble());
        #[cfg(not(feature = "dtls"))]
        None
    }

    /// Does the same for the handshake of RTCP alone.
    #[cfg(feature = "dtls")]
    pub(super) fn shake_hands_for_rtcp(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> bool {
        let Some(keys) = &mut self.rtcp_keys else { return false };
        let (taken, keyed) = keys.receive(now, from, self.rtcp.remote(), datagram);
        if keyed {
            self.rtcp.hear(now, from, Claim::Authentic);
        }
        taken
    }

    /// Returns the protection of RTCP.
    pub(super) fn rtcp_guard(&mut self) -> &mut dyn PacketGuard {
        #[cfg(feature = "dtls")]
        if let Some(keys) = &mut self.rtcp_keys {
            return keys.guard();
        }
        self.guard.get()
    }

    /// Returns whether reports may be sent: they have keys, if they need their own.
    pub(super) fn may_report(&self) -> bool {
        #[cfg(feature = "dtls")]
        if let Some(keys) = &self.rtcp_keys {
            return keys.is_open();
        }
        true
    }

    /// The keys under which datagrams are protected now.
    pub(in crate::session) fn srtp_keys(&self, channel: Channel) -> Option<&sdp::SrtpKeys> {
        #[cfg(feature = "dtls")]
        if let Some(keys) = self.rtcp_keys.as_ref().filter(|_| channel == Channel::Rtcp) {
            return keys.exported();
        }
        #[cfg(not(feature = "dtls"))]
        let _ = channel;
        if !matches!(self.guard.protection(), Protection::Srtp(_)) {
            return None;
        }
        #[cfg(feature = "dtls")]
        if let Some(exported) = &self.exported {
            return Some(exported);
        }
        self.agreed.srtp.as_ref()
    }

    /// Returns the current protection of datagrams.
    pub(in crate::session) fn protection(&self) -> Protection {
        self.guard.protection()
    }

    /// Sends the messages other than goodbyes that tell the other side that the call is over.
    pub(in crate::session) fn close(&mut self) {
        #[cfg(feature = "dtls")]
        if let Some(dtls) = &mut self.dtls {
            dtls.close();
        }
        #[cfg(feature = "dtls")]
        if let Some(keys) = &mut self.rtcp_keys {
            keys.close();
        }
        #[cfg(feature = "ice")]
        if let Some(gatherer) = self.gatherer() {
            gatherer.relays_mut().leave();
        }
    }
}
