//! Symmetric RTP: which source address a call listens to, and where it sends (RFC 4961, RFC 7362).
//!
//! Behind a NAT the address in the SDP is often not the one that packets come from. Following whatever arrives lets the first
//! stray packet steal the call; following nothing leaves it silent. The policy is the user's choice; whether a packet can move
//! the path depends on what it proves:
//!
//! | the packet | moves the latch |
//! |---|---|
//! | comes from the address that the SDP names | at once, unless it is an old one of a stream that has moved |
//! | is authenticated (SRTP) | as the policy says |
//! | goes on where the stream that is heard left off: its SSRC, its sequence | as the policy says |
//! | is of another stream, in sequence (RFC 3550, A.1) | only while nothing was heard of the named address |
//! | else | never |
//!
//! An attacker who can't see the packets of a call has to guess SSRC and sequence number: 48 bits.

use std::net::{IpAddr, SocketAddr};

use dsp_core::time::{Duration, Instant, Seq, Ssrc};

use super::path::{Claim, Path};

/// The sources that are believed. "Valid" is a packet that the guard let pass (with SRTP, an authenticated one) and that was
/// agreed on: RTP with a payload type of the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Latching {
    /// Only the address and port that the SDP names.
    Strict,
    /// The first source of valid packets, without SRTP of two in sequence, whatever the SDP says; from then on only this
    /// one and the address that the SDP names, until the next offer/answer.
    Once,
    /// The same as `Once`, but another source takes over when it has sent five valid packets in a row while the old one has been
    /// silent for half a second: a peer whose NAT binding or network changed is heard again. Without SRTP its packets must
    /// continue the SSRC and sequence of those that were heard before.
    #[default]
    Relatch,
}

/// Valid packets in a row from another source.
const PROBATION: u32 = 5;
/// Packets in sequence of the first source, without SRTP (RFC 3550, A.1: MIN_SEQUENTIAL).
const FIRST: u32 = 2;
/// Silence of the current source.
const SILENCE: Duration = Duration::from_millis(500);
/// The silence of the current source before another one that doesn't continue the stream takes over: only while the named
/// address was never heard.
const LONG_SILENCE: Duration = Duration::from_secs(10);
/// The time for which packets from the old address are still heard after the SDP named a new one.
const LEAVING: Duration = Duration::from_secs(1);
/// Strangers whose packets are counted at once; where there are more, a newcomer replaces one by lot.
const STRANGERS: usize = 8;

/// An address other than the current one, and how many of its packets were right in a row.
#[derive(Clone, Copy, Debug)]
struct Stranger {
    from: SocketAddr,
    ssrc: Ssrc,
    next: Seq,
    right: u32,
    heard: Instant,
}

/// Returns the address itself, where a dual-stack socket has an IPv4 address as an IPv6 one (`::ffff:192.0.2.1`): both are one,
/// and compare as one only so.
pub(in crate::session) fn unmapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => v6.ip().to_ipv4_mapped().map_or(address, |v4| SocketAddr::new(IpAddr::V4(v4), v6.port())),
        SocketAddr::V4(_) => address,
    }
}

/// The latch of one stream.
#[derive(Clone, Copy, Debug)]
// The order of fields keeps those together that every packet touches.
#[repr(C)]
pub(super) struct Latch {
    remote: SocketAddr,
    /// The address that the SDP names.
    named: SocketAddr,
    policy: Latching,
    latched: bool,
    /// The source is the peer for certain: it was heard from the named address, or had the key.
    trusted: bool,
    last_heard: Instant,
    /// A sender that continues the stream from another address, and its packets in a row.
    follower: Option<(SocketAddr, u32)>,
    /// The source that was left by the last offer/answer, and when.
    left: Option<(SocketAddr, Instant)>,
    strangers: [Option<Stranger>; STRANGERS],
    lot: u32,
}

impl Latch {
    /// Creates a latch on the address that the SDP named.
    pub(super) fn new(policy: Latching, named: SocketAddr) -> Self {
        Self {
            policy,
            named,
            remote: named,
            latched: false,
            trusted: false,
            last_heard: Instant::ZERO,
            follower: None,
            strangers: [None; STRANGERS],
            lot: 0x9e37_79b9,
            left: None,
        }
    }

    /// Returns whether a packet was still on its way when the SDP named another address.
    fn is_leaving(&self, now: Instant, from: SocketAddr) -> bool {
        self.left.is_some_and(|(left, when)| left == from && now.since(when) < LEAVING)
    }

    fn take(&mut self, now: Instant, from: SocketAddr, claim: Claim) {
        if from != self.remote && !matches!(claim, Claim::Authentic | Claim::Continues) {
            self.trusted = false;
        }
        self.trusted |= from == self.named || claim == Claim::Authentic;
        self.remote = from;
        self.latched = true;
        self.last_heard = now;
        self.follower = None;
    }

    /// Counts a packet of a stranger; how many were in sequence, none if it is of another stream than those before it.
    fn prove(&mut self, now: Instant, from: SocketAddr, ssrc: Ssrc, seq: Seq) -> u32 {
        let strangers = &self.strangers;
        let known = |stranger: &Option<Stranger>| stranger.is_some_and(|known| known.from == from);
        let silent = |stranger: &Option<Stranger>| stranger.is_none_or(|s| now.since(s.heard) >= LONG_SILENCE);
        let index = strangers.iter().position(known).or_else(|| strangers.iter().position(silent));
        let index = index.unwrap_or_else(|| {
            self.lot ^= self.lot << 13;
            self.lot ^= self.lot >> 17;
            self.lot ^= self.lot << 5;
            self.lot as usize % STRANGERS
        });
        let right = match self.strangers[index] {
            // Several streams may come from there in turns: the first one proves for all, while it continues.
            Some(known) if known.from == from && known.ssrc != ssrc && now.since(known.heard) < SILENCE => return 0,
            Some(known) if known.from == from && known.ssrc == ssrc && known.next == seq => known.right + 1,
            _ => 1,
        };
        self.strangers[index] = Some(Stranger { from, ssrc, next: seq.plus(1), right, heard: now });
        right
    }
}

impl Path for Latch {
    fn renegotiated(&mut self, now: Instant, named: SocketAddr) {
        if named != self.named {
            *self = Self { left: Some((self.remote, now)), ..Self::new(self.policy, named) };
        }
        // A side that signals is present: a hold is no silence.
        self.last_heard = now;
    }

    fn remote(&self) -> SocketAddr {
        self.remote
    }

    fn may_hear(&self, from: SocketAddr) -> bool {
        self.policy != Latching::Strict || from == self.remote || self.left.is_some_and(|(left, _)| left == from)
    }

    fn believes(&self, now: Instant, from: SocketAddr) -> bool {
        from == self.remote || self.is_leaving(now, from)
    }

    fn hear(&mut self, now: Instant, from: SocketAddr, claim: Claim) -> bool {
        if from == self.remote {
            self.take(now, from, claim);
            return true;
        }
        // A packet that was still on its way is heard, but must not move the path back to an address that is no longer in use.
        if self.is_leaving(now, from) {
            return true;
        }
        if self.policy == Latching::Strict {
            return false;
        }
        let silence = now.since(self.last_heard);
        let moves = match claim {
            Claim::Old => false,
            _ if from == self.named => claim != Claim::Nothing,
            Claim::Nothing => false,
            Claim::Authentic | Claim::Continues => {
                let right = match self.follower {
                    Some((follower, right)) if follower == from => right + 1,
                    _ => 1,
                };
                self.follower = Some((from, right));
                !self.latched || (self.policy == Latching::Relatch && right >= PROBATION && silence >= SILENCE)
            }
            Claim::Other(ssrc, seq) => {
                let right = self.prove(now, from, ssrc, seq);
                match (self.latched, self.policy) {
                    (true, Latching::Relatch) => !self.trusted && right >= PROBATION && silence >= LONG_SILENCE,
                    (true, _) => false,
                    // The peer has just been heard elsewhere: its own stream goes first.
                    (false, _) if self.left.is_some() => right >= PROBATION && silence >= SILENCE,
                    (false, _) => right >= FIRST,
                }
            }
        };
        if moves {
            self.take(now, from, claim);
        }
        moves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// The packet with this number of the stream of a stranger.
    fn other(n: u64) -> Claim {
        Claim::Other(Ssrc(7), Seq(n as u16))
    }

    #[test]
    fn strict_follows_nobody() {
        let mut latch = Latch::new(Latching::Strict, address(4_000));
        assert!(!latch.may_hear(address(5_000)) && !latch.hear(Instant::ZERO, address(5_000), Claim::Authentic));
        assert!(latch.hear(Instant::ZERO, address(4_000), Claim::Authentic));
        assert_eq!(latch.remote(), address(4_000));
    }

    #[test]
    fn streams_in_turns_from_one_address_are_followed_by_the_first_of_them() {
        let mut latch = Latch::new(Latching::Relatch, address(4_000));
        let mut hear =
            |ms, ssrc, seq| latch.hear(Instant::from_millis(ms), address(5_000), Claim::Other(Ssrc(ssrc), Seq(seq)));
        assert!(!hear(0, 1, 10) && !hear(1, 2, 70));
        // Out of sequence it proves nothing; once it is silent, another one may.
        assert!(!hear(20, 1, 12) && !hear(21, 2, 71));
        assert!(!hear(520, 2, 96) && hear(540, 2, 97));
    }

    #[test]
    fn what_is_on_its_way_from_the_old_address_is_heard_but_not_followed() {
        for claim in [Claim::Authentic, Claim::Continues] {
            for policy in [Latching::Strict, Latching::Once, Latching::Relatch] {
                let mut latch = Latch::new(policy, address(4_000));
                assert!(latch.hear(Instant::ZERO, address(4_000), claim));
                latch.renegotiated(Instant::from_millis(5_000), address(5_000));
                let late = Instant::from_millis(5_100);
                assert!(latch.may_hear(address(4_000)) && latch.hear(late, address(4_000), claim), "{policy:?}");
                assert_eq!(latch.remote(), address(5_000));
                assert!(latch.hear(late, address(5_000), claim));
                assert!(!latch.hear(Instant::from_millis(6_100), address(4_000), claim), "{policy:?}");
                assert_eq!(latch.remote(), address(5_000));
            }
        }
    }

    #[test]
    fn once_follows_the_first() {
        for claim in [|_| Claim::Authentic, other] {
            let mut latch = Latch::new(Latching::Once, address(4_000));
            // A packet that isn't authenticated needs another in sequence.
            assert_eq!(latch.hear(Instant::ZERO, address(5_000), claim(0)), claim(0) == Claim::Authentic);
            assert!(latch.hear(Instant::ZERO, address(5_000), claim(1)));
            assert_eq!(latch.remote(), address(5_000));
            for n in 0..100 {
                assert!(!latch.hear(Instant::from_millis(1_000 * n), address(6_000), claim(n)));
            }
        }
    }

    #[test]
    fn relatches_only_when_the_old_source_is_silent() {
        for claim in [Claim::Authentic, Claim::Continues] {
            let mut latch = Latch::new(Latching::Relatch, address(4_000));
            for n in 0..100 {
                let now = Instant::from_millis(20 * n);
                assert!(latch.hear(now, address(4_000), claim));
                assert!(!latch.hear(now, address(6_000), claim), "a second sender must not steal a live stream");
            }
            let moved = (0..100).find(|n| latch.hear(Instant::from_millis(2_000 + 20 * n), address(7_000), claim));
            assert_eq!(moved, Some(24), "half a second after the last packet");
            assert_eq!(latch.remote(), address(7_000));
        }
    }

    #[test]
    fn strangers_between_its_packets_dont_stop_a_peer_that_moved() {
        let mut latch = Latch::new(Latching::Relatch, address(4_000));
        assert!(latch.hear(Instant::ZERO, address(4_000), Claim::Continues));
        let moved = (0..100).find(|n| {
            let now = Instant::from_millis(20 * n);
            assert!(!latch.hear(now, address(6_000), other(*n)));
            latch.hear(now, address(7_000), Claim::Continues)
        });
        assert_eq!(moved, Some(25));
        // What comes late from where it was doesn't draw us back.
        assert!(!latch.hear(Instant::from_millis(510), address(4_000), Claim::Old));
        assert_eq!(latch.remote(), address(7_000));
    }

    #[test]
    fn the_named_address_wins_back_at_once_what_strangers_never_get_again() {
        for policy in [Latching::Once, Latching::Relatch] {
            let mut latch = Latch::new(policy, address(4_000));
            for n in 0..10 {
                assert_eq!(latch.hear(Instant::from_millis(20 * n), address(6_000), other(n)), n > 0);
            }
            assert!(latch.hear(Instant::from_millis(200), address(4_000), Claim::Other(Ssrc(9), Seq(3))));
            for n in 10..2_000 {
                assert!(!latch.hear(Instant::from_millis(20 * n), address(6_000), other(n)));
            }
            assert_eq!(latch.remote(), address(4_000));
        }
    }

    #[test]
    fn what_proves_nothing_moves_nothing() {
        let mut latch = Latch::new(Latching::Relatch, address(4_000));
        for n in 0..100 {
            assert!(!latch.hear(Instant::from_millis(5_000 * n), address(6_000), Claim::Nothing));
        }
        // Every second packet is missing: that is no sequence.
        assert!((0..100).all(|n| !latch.hear(Instant::from_millis(20 * n), address(6_000), other(2 * n))));
        assert_eq!(latch.remote(), address(4_000));
    }
}
