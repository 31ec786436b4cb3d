//! The path of a call: where its datagrams go to, and whose are believed.
//!
//! A call has one path for RTP, and one for RTCP where that has a port of its own. [`Latching`](super::Latching) makes the
//! default one, symmetric RTP; another one is given to a call by [`CallConfig::path`](crate::session::CallConfig::path). A path
//! may send datagrams of its own (keep-alives, connectivity checks) and reads datagrams that are neither RTP nor RTCP (RFC 7983:
//! STUN, DTLS, TURN channels).

use std::net::SocketAddr;

use dsp_core::time::{Instant, Seq, Ssrc};

/// The evidence of a packet for its sender, for [`Path::hear`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Claim {
    /// The sender has the SRTP key.
    Authentic,
    /// The packet is of the source that is heard, and continues its sequence numbers.
    Continues,
    /// The packet is of the source that is heard, and not newer than those before.
    Old,
    /// The packet is of another source.
    Other(Ssrc, Seq),
    /// The packet proves nothing, as an RTCP report that anybody could have written.
    Nothing,
}

/// Decides where the datagrams of a call go, and from which addresses they are accepted. A call has a path for RTP and one for RTCP,
/// unless both share a port. Methods run on the audio path, so they must neither block nor allocate. [`OwnPath`](super::super::OwnPath)
/// has an example.
pub trait Path: Send {
    /// Returns the address to which to send.
    fn remote(&self) -> SocketAddr;

    /// Returns whether RTP and RTCP may be sent there now. The path's own datagrams are sent in any case.
    fn may_send(&self, now: Instant) -> bool {
        let _ = now;
        true
    }

    /// Returns whether a datagram from this address could be accepted at all. Others are dropped before the guard or
    /// [`handshake`](Self::handshake) sees them.
    fn may_hear(&self, from: SocketAddr) -> bool;

    /// Returns whether to accept a packet from this address that doesn't move the path, as RTCP on the port of RTP.
    fn believes(&self, now: Instant, from: SocketAddr) -> bool;

    /// Returns whether to accept a *valid* packet from this address, which has passed the guard and was agreed on. It may move
    /// the path, so that [`remote`](Self::remote) is another address afterwards.
    fn hear(&mut self, now: Instant, from: SocketAddr, claim: Claim) -> bool;

    /// An offer and its answer were exchanged, and the other side's description names this address, the same as before or another.
    fn renegotiated(&mut self, now: Instant, named: SocketAddr);

    /// Takes a datagram that is neither RTP nor RTCP. Returns whether it was meant for this path.
    fn handshake(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> bool {
        let _ = (now, from, datagram);
        false
    }

    /// Writes the next datagram of the path itself to `buffer`, and returns its length and where it goes; `None` if none is due at
    /// `now`. It isn't encrypted.
    fn transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let _ = (now, buffer);
        None
    }

    /// Returns when to call [`transmit`](Self::transmit) next; `None` if there is no need.
    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}
