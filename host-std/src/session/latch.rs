//! Symmetric RTP: which source address a call listens to, and where it sends (RFC 4961, RFC 7362).
//!
//! Behind a NAT the address in the SDP is often not the one that packets come from. Following whatever arrives lets the
//! first stray packet steal the call; following nothing leaves it silent. The policy is the user's.

use std::net::{IpAddr, SocketAddr};

use dsp_core::time::{Duration, Instant};

/// Which sources are believed. "Valid" is a packet that the guard let pass: with SRTP, an authenticated one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Latching {
    /// Only the address and port that the SDP names.
    Strict,
    /// The source of the first valid packet, whatever the SDP says; from then on only this one, until the next
    /// offer/answer.
    Once,
    /// As `Once`, but another source takes over when it has sent five valid packets in a row while the old one has
    /// been silent for half a second: a peer whose NAT binding or network changed is heard again.
    #[default]
    Relatch,
}

/// Valid packets in a row from another source.
const PROBATION: u32 = 5;
/// Silence of the current source.
const SILENCE: Duration = Duration::from_millis(500);

/// How long packets from the old address are still heard after the SDP named a new one.
const LEAVING: Duration = Duration::from_secs(1);

/// The address itself, where a dual-stack socket has an IPv4 address as an IPv6 one (`::ffff:192.0.2.1`): both are one,
/// and compare as one only so.
pub(super) fn unmapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => v6.ip().to_ipv4_mapped().map_or(address, |v4| SocketAddr::new(IpAddr::V4(v4), v6.port())),
        SocketAddr::V4(_) => address,
    }
}

/// The latch of one stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latch {
    policy: Latching,
    remote: SocketAddr,
    latched: bool,
    last_heard: Instant,
    candidate: Option<(SocketAddr, u32)>,
    /// The source that was left by the last offer/answer, and when.
    left: Option<(SocketAddr, Instant)>,
}

impl Latch {
    /// A latch on the address that the SDP named.
    pub(super) fn new(policy: Latching, remote: SocketAddr) -> Self {
        Self { policy, remote, latched: false, last_heard: Instant::ZERO, candidate: None, left: None }
    }

    /// The SDP names another address from now on.
    pub(super) fn renegotiated(&mut self, now: Instant, remote: SocketAddr) {
        *self = Self { left: Some((self.remote, now)), ..Self::new(self.policy, remote) };
    }

    /// Where to send.
    pub(super) fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Whether a datagram from this source could be taken at all: the guard need not look at others.
    pub(super) fn may_hear(&self, from: SocketAddr) -> bool {
        self.policy != Latching::Strict || from == self.remote || self.left.is_some_and(|(left, _)| left == from)
    }

    /// Whether a packet from this source that can't move the latch is taken: RTCP on RTP's port.
    pub(super) fn believes(&self, now: Instant, from: SocketAddr) -> bool {
        let leaving = self.left.is_some_and(|(left, when)| left == from && now.since(when) < LEAVING);
        from == self.remote || leaving || (!self.latched && self.policy != Latching::Strict)
    }

    /// Whether a *valid* packet from this source is taken; may move the latch.
    pub(super) fn hear(&mut self, now: Instant, from: SocketAddr) -> bool {
        if from == self.remote {
            self.latched = true;
            self.last_heard = now;
            self.candidate = None;
            return true;
        }
        // What was still on its way is heard, but must not draw us back to where nobody listens any more.
        if self.left.is_some_and(|(left, when)| left == from && now.since(when) < LEAVING) {
            return true;
        }
        match self.policy {
            Latching::Strict => return false,
            Latching::Once if self.latched => return false,
            Latching::Relatch if self.latched => {
                let packets = match self.candidate {
                    Some((candidate, packets)) if candidate == from => packets + 1,
                    _ => 1,
                };
                self.candidate = Some((from, packets));
                if packets < PROBATION || now.since(self.last_heard) < SILENCE {
                    return false;
                }
            }
            Latching::Once | Latching::Relatch => {}
        }
        self.remote = from;
        self.latched = true;
        self.last_heard = now;
        self.candidate = None;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn strict_follows_nobody() {
        let mut latch = Latch::new(Latching::Strict, address(4_000));
        assert!(!latch.may_hear(address(5_000)) && !latch.hear(Instant::ZERO, address(5_000)));
        assert!(latch.hear(Instant::ZERO, address(4_000)));
        assert_eq!(latch.remote(), address(4_000));
    }

    #[test]
    fn what_is_on_its_way_from_the_old_address_is_heard_but_not_followed() {
        for policy in [Latching::Strict, Latching::Once, Latching::Relatch] {
            let mut latch = Latch::new(policy, address(4_000));
            assert!(latch.hear(Instant::ZERO, address(4_000)));
            latch.renegotiated(Instant::from_millis(5_000), address(5_000));
            let late = Instant::from_millis(5_100);
            assert!(latch.may_hear(address(4_000)) && latch.hear(late, address(4_000)), "{policy:?}");
            assert_eq!(latch.remote(), address(5_000));
            assert!(latch.hear(late, address(5_000)));
            assert!(!latch.hear(Instant::from_millis(6_100), address(4_000)), "{policy:?}");
            assert_eq!(latch.remote(), address(5_000));
        }
    }

    #[test]
    fn once_follows_the_first() {
        let mut latch = Latch::new(Latching::Once, address(4_000));
        assert!(latch.hear(Instant::ZERO, address(5_000)));
        assert_eq!(latch.remote(), address(5_000));
        for n in 0..100 {
            assert!(!latch.hear(Instant::from_millis(1_000 * n), address(6_000)));
        }
    }

    #[test]
    fn relatches_only_when_the_old_source_is_silent() {
        let mut latch = Latch::new(Latching::Relatch, address(4_000));
        for n in 0..100 {
            let now = Instant::from_millis(20 * n);
            assert!(latch.hear(now, address(4_000)));
            assert!(!latch.hear(now, address(6_000)), "a second sender must not steal a live stream");
        }
        let moved = (0..100).find(|n| latch.hear(Instant::from_millis(2_000 + 20 * n), address(7_000)));
        assert_eq!(moved, Some(24), "half a second after the last packet");
        assert_eq!(latch.remote(), address(7_000));
    }
}
