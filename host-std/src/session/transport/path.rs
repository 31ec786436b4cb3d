//! The path of a call: where its datagrams go to, and whose are believed.
//!
//! A call has one path for RTP, and one for RTCP where that has a port of its own. [`Latching`](super::Latching) makes
//! today's, symmetric RTP; another one is given to a call by [`CallConfig::path`](crate::session::CallConfig::path). A
//! path may send datagrams of its own (keep-alives, connectivity checks) and reads what is neither RTP nor RTCP
//! (RFC 7983: STUN, DTLS, TURN channels).

use std::net::SocketAddr;

use dsp_core::time::{Instant, Seq, Ssrc};

/// What a packet proves of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Claim {
    /// It has the key.
    Authentic,
    /// It goes on where the source that is heard left off.
    Continues,
    /// It is of the source that is heard, but not newer than what was heard.
    Old,
    /// It is of another source.
    Other(Ssrc, Seq),
    /// It proves nothing: a report of whoever.
    Nothing,
}

/// Where datagrams go to, and whose are believed. Nothing in it blocks or allocates.
pub trait Path: Send {
    /// Where to send.
    fn remote(&self) -> SocketAddr;

    /// Whether anything but the path's own datagrams may be sent there now.
    fn may_send(&self, now: Instant) -> bool {
        let _ = now;
        true
    }

    /// Whether a datagram from this address could be taken at all: neither the guard nor
    /// [`handshake`](Self::handshake) need look at others.
    fn may_hear(&self, from: SocketAddr) -> bool;

    /// Whether a packet from this address that can't move the path is taken: RTCP on RTP's port.
    fn believes(&self, now: Instant, from: SocketAddr) -> bool;

    /// Whether a *valid* packet from this address is taken: one that the guard let pass and that was agreed on. It may
    /// move the path.
    fn hear(&mut self, now: Instant, from: SocketAddr, claim: Claim) -> bool;

    /// An offer and its answer name this address of the other side from now on, the same or another.
    fn renegotiated(&mut self, now: Instant, named: SocketAddr);

    /// A datagram that is neither RTP nor RTCP. Whether it was meant for this path.
    fn handshake(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> bool {
        let _ = (now, from, datagram);
        false
    }

    /// The next datagram of this path's own, written to `buffer`: its length, and where it goes; `None` if none is due
    /// at `now`. It is not protected.
    fn transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let _ = (now, buffer);
        None
    }

    /// When to ask [`transmit`](Self::transmit) again.
    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}
