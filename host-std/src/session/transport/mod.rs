//! The transport of a call: paths, guard, and RTCP in and out. It knows addresses and keys, and no codec.
//!
//! A datagram is classified by its first bytes (RFC 5761, RFC 7983), looked at by the path, unprotected in place and parsed,
//! once: from then on it is a packet. One transport carries all streams of a call (RFC 9143); each has a reporter of its own,
//! since each is a source of its own.

mod by_sources;
#[cfg(feature = "ice")]
mod checks;
#[cfg(feature = "dtls")]
mod dtls;
mod feedback;
#[cfg(feature = "ice")]
mod gather;
mod guard;
#[cfg(feature = "ice")]
mod ice;
mod keying;
mod latch;
mod path;
#[cfg(feature = "ice")]
mod relays;
mod reporting;
mod reports;
#[cfg(feature = "dtls")]
mod rtcp_keys;
mod rtp_path;

use std::net::{IpAddr, SocketAddr};

use dsp_core::guard::srtp::{KeyAge, KeyError};
use dsp_core::time::{Duration, Instant, Ssrc};
use dsp_core::wire::DatagramKind;
use dsp_core::wire::rtcp::{Compound, CompoundRule};
use dsp_core::wire::rtp::RtpPacket;

use feedback::PathFeedback;
#[cfg(feature = "ice")]
pub(super) use gather::Gatherer;
#[cfg(all(feature = "ice", feature = "manager"))]
pub(super) use gather::attribute as stun_attribute;
use guard::Guard;
use latch::Latch;
pub use latch::Latching;
pub(super) use latch::unmapped;
pub use path::{Claim, Path};
#[cfg(feature = "ice")]
pub(super) use relays::{Passed, Relays};
pub(super) use reports::{Account, Report};
pub(super) use rtp_path::Gathered;
use rtp_path::RtpPath;

use super::config::CallSettings;
use super::outcome::{Channel, Incoming, Transmit};
use super::own::BoxedGuard;
use crate::sdp::{self, NegotiatedTransport};

/// The time on hold after a goodbye without RTCP at which the other side counts as gone (RFC 3550, 6.3.5: five intervals). A side
/// that says goodbye by RTCP would send it.
const GONE_ON_HOLD: Duration = Duration::from_secs(30);
/// The time after a goodbye within which packets count as sent before it.
pub(super) const STRAGGLES: Duration = Duration::from_secs(1);
/// Addresses that our own SSRC came from: another packet from there is a loop, not a new collision (RFC 3550, 8.2).
const CONFLICTS: usize = 4;
/// The time without a packet after which an address is removed from them (8.2: ten intervals).
const CONFLICT_OVER: Duration = Duration::from_secs(50);

/// A datagram after the guard.
pub(super) enum DemultiplexedDatagram<'a> {
    /// RTP.
    Rtp(RtpPacket<'a>),
    /// A datagram that claims to be RTP and is not.
    Malformed(&'a [u8]),
    /// RTCP.
    Rtcp(Compound<'a>),
    /// Neither, or a datagram that may not pass; with its kind.
    Other(Incoming, &'a [u8]),
}

/// The path's judgement of a packet.
pub(super) struct Belief {
    pub(super) believed: bool,
    /// Another sender replaces the one that was heard until now.
    pub(super) replaces: bool,
}

/// The input and output of a call's datagrams.
// The order of fields keeps those together that every tick touches.
#[repr(C)]
pub(super) struct CallTransport {
    guard: Guard,
    /// The DTLS association of the SRTP keys, if they aren't from the descriptions.
    #[cfg(feature = "dtls")]
    dtls: Option<Box<dtls::Association>>,
    rtp: RtpPath,
    rtcp: Box<dyn Path>,
    /// The reports of each stream, in their order; `None` for one that never was.
    reports: Vec<Option<Report>>,
    /// The feedback of each side on the other's packets, once that was agreed on.
    feedback: Option<Box<PathFeedback>>,
    /// The time at which the other side was heard last, or signalled.
    alive: Instant,
    /// The time at which it said goodbye, unless it continues.
    goodbye: Option<Instant>,
    here: Here,
    agreed: NegotiatedTransport,
    conflicts: [Option<(SocketAddr, Instant)>; CONFLICTS],
    /// The number of times that the keys changed, the first ones included.
    keyed: u32,
    /// The keys that a handshake came to, as long as they hold.
    #[cfg(feature = "dtls")]
    exported: Option<Box<sdp::SrtpKeys>>,
    /// Those of RTCP where it has a port of its own and keys come from handshakes.
    #[cfg(feature = "dtls")]
    rtcp_keys: Option<Box<rtcp_keys::RtcpKeys>>,
}

/// Our own addresses, as descriptions have them and as the sockets are bound.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Here {
    /// The address at which we receive, as in the description.
    pub(super) named: (IpAddr, u16),
    /// The address of the RTP port.
    pub(super) rtp: SocketAddr,
    /// The address of the RTCP port.
    pub(super) rtcp: SocketAddr,
}

impl CallTransport {
    pub(super) fn new(
        now: Instant,
        agreed: NegotiatedTransport,
        here: Here,
        settings: &CallSettings,
        mut gathered: Gathered,
    ) -> Self {
        Self {
            guard: Guard::new(settings.guard.as_ref(), agreed.srtp.as_ref(), agreed.dtls.is_some(), settings.sources),
            #[cfg(feature = "dtls")]
            dtls: dtls::Association::agreed(now, &agreed, settings),
            #[cfg(feature = "dtls")]
            exported: None,
            #[cfg(feature = "dtls")]
            rtcp_keys: rtcp_keys::RtcpKeys::agreed(now, &agreed, settings),
            rtp: RtpPath::new(now, &agreed, &mut gathered, |named| plain(settings, Channel::Rtp, named)),
            rtcp: plain(settings, Channel::Rtcp, agreed.remote_rtcp),
            reports: Vec::new(),
            feedback: None,
            conflicts: [None; CONFLICTS],
            keyed: u32::from(agreed.srtp.is_some()),
            alive: now,
            goodbye: None,
            agreed,
            here,
        }
    }

    pub(super) fn agreed(&self) -> &NegotiatedTransport {
        &self.agreed
    }

    /// Whether [`renew`](Self::renew) will succeed.
    ///
    /// # Errors
    /// Why the keys can't be used.
    pub(super) fn check(&self, agreed: &NegotiatedTransport) -> Result<(), KeyError> {
        self.guard.check(agreed.srtp.as_ref())
    }

    /// Takes the result of a later offer and answer.
    ///
    /// # Errors
    /// The same as for [`check`](Self::check); nothing has changed then.
    pub(super) fn renew(
        &mut self,
        now: Instant,
        agreed: NegotiatedTransport,
        here: Here,
        settings: &CallSettings,
        mut gathered: Gathered,
    ) -> Result<(), KeyError> {
        if agreed.srtp.is_some() && agreed.srtp != self.agreed.srtp {
            self.keyed = self.keyed.saturating_add(1);
        }
        let moved = agreed.remote_rtp != self.agreed.remote_rtp || here.named != self.here.named;
        let same_keys = agreed.srtp == self.agreed.srtp && self.agreed.dtls.is_none();
        if agreed.dtls.is_some() {
            self.guard.wait();
        } else if moved || !same_keys {
            self.guard.renew(agreed.srtp.as_ref(), moved)?;
            #[cfg(feature = "dtls")]
            {
                self.exported = None;
            }
        }
        #[cfg(feature = "dtls")]
        if agreed.dtls.as_ref().is_none_or(|agreed| !self.dtls.as_ref().is_some_and(|dtls| dtls.is(agreed))) {
            self.dtls = dtls::Association::agreed(now, &agreed, settings);
        }
        #[cfg(feature = "dtls")]
        match &mut self.rtcp_keys {
            Some(keys) if agreed.dtls.is_some() && !agreed.rtcp_mux => keys.renew(now, &agreed, settings),
            keys => *keys = rtcp_keys::RtcpKeys::agreed(now, &agreed, settings),
        }
        self.rtp.renew(now, &agreed, &mut gathered, |named| plain(settings, Channel::Rtp, named));
        self.rtcp.renegotiated(now, agreed.remote_rtcp);
        // A side that signals is present, and continues after the goodbye that some phones send at each new offer.
        (self.alive, self.goodbye) = (now, None);
        (self.agreed, self.here) = (agreed, here);
        Ok(())
    }

    /// A guard of the user's own takes over.
    pub(super) fn set_guard(&mut self, guard: BoxedGuard) {
        self.guard.set(guard);
    }

    /// Returns whether packets may be sent and accepted: there are keys, if any are needed.
    pub(super) fn is_open(&self) -> bool {
        !self.guard.waits()
    }

    /// Returns whether packets may be sent now: there are keys, if any are needed, and the path has a destination.
    pub(super) fn may_send(&self, now: Instant) -> bool {
        self.is_open() && self.rtp.may_send(now)
    }

    /// Returns whether the senders of all packets that pass the guard have the key.
    pub(super) fn authenticates(&self) -> bool {
        self.guard.protects()
    }

    /// Returns how much of their lifetimes the keys have used up.
    pub(super) fn key_age(&self) -> KeyAge {
        self.guard.key_age()
    }

    /// Returns the number of times that keys were set.
    pub(super) fn keyed(&self) -> u32 {
        self.keyed
    }

    /// Returns whether something was sent with `ssrc` under the present key.
    pub(super) fn has_sent(&self, ssrc: Ssrc) -> bool {
        self.guard.has_sent(ssrc)
    }

    /// Classifies a datagram, unprotects it in place and parses it. `from`: see [`unmapped`].
    pub(super) fn open<'a>(
        &mut self,
        now: Instant,
        channel: Channel,
        from: SocketAddr,
        datagram: &'a mut [u8],
    ) -> DemultiplexedDatagram<'a> {
        let kind = DatagramKind::of(datagram);
        // ICE finds addresses that no description has named.
        #[cfg(feature = "ice")]
        let is_check = kind == DatagramKind::Stun && channel == Channel::Rtp && self.rtp.ice().is_some();
        #[cfg(not(feature = "ice"))]
        let is_check = false;
        let path = if channel == Channel::Rtp { &mut *self.rtp } else { &mut *self.rtcp };
        if !is_check && !path.may_hear(from) {
            return DemultiplexedDatagram::Other(Incoming::Foreign, datagram);
        }
        let unprotected = match (kind, channel) {
            (DatagramKind::Rtp, Channel::Rtp) => self.guard.get().unprotect_rtp(datagram),
            #[cfg(feature = "dtls")]
            (DatagramKind::Rtcp, Channel::Rtcp) if self.rtcp_keys.is_some() => {
                self.rtcp_guard().unprotect_rtcp(datagram)
            }
            (DatagramKind::Rtcp, Channel::Rtcp) => self.guard.get().unprotect_rtcp(datagram),
            (DatagramKind::Rtcp, Channel::Rtp) if self.agreed.rtcp_mux => self.guard.get().unprotect_rtcp(datagram),
            (DatagramKind::Rtp | DatagramKind::Rtcp, _) => {
                return DemultiplexedDatagram::Other(Incoming::Ignored, datagram);
            }
            #[cfg(feature = "dtls")]
            (DatagramKind::Dtls, Channel::Rtp) if self.dtls.is_some() => {
                let taken = self.shake_hands(now, from, datagram);
                let incoming = if taken { Incoming::Handshake } else { Incoming::Foreign };
                return DemultiplexedDatagram::Other(incoming, datagram);
            }
            #[cfg(feature = "dtls")]
            (DatagramKind::Dtls, Channel::Rtcp) if self.rtcp_keys.is_some() => {
                let taken = self.shake_hands_for_rtcp(now, from, datagram);
                let incoming = if taken { Incoming::Handshake } else { Incoming::Foreign };
                return DemultiplexedDatagram::Other(incoming, datagram);
            }
            _ if path.handshake(now, from, datagram) => {
                return DemultiplexedDatagram::Other(Incoming::Handshake, datagram);
            }
            _ => return DemultiplexedDatagram::Other(Incoming::Ignored, datagram),
        };
        let packet = match unprotected {
            Ok(len) => &datagram[..len],
            Err(error) => return DemultiplexedDatagram::Other(Incoming::Refused(error), datagram),
        };
        if kind == DatagramKind::Rtp {
            return RtpPacket::parse(packet)
                .map_or(DemultiplexedDatagram::Malformed(packet), DemultiplexedDatagram::Rtp);
        }
        let rule = if self.agreed.rtcp_reduced_size { CompoundRule::ReducedSize } else { CompoundRule::ReportOrBye };
        match Compound::parse(packet, rule) {
            Ok(compound) => DemultiplexedDatagram::Rtcp(compound),
            Err(_) => DemultiplexedDatagram::Other(Incoming::Ignored, packet),
        }
    }

    /// Returns the current destination of RTP or RTCP.
    pub(super) fn destination(&self, channel: Channel) -> SocketAddr {
        if channel == Channel::Rtp || self.agreed.rtcp_mux { self.rtp.remote() } else { self.rtcp.remote() }
    }

    /// Whether a packet that was agreed on is believed. It may move the path.
    pub(super) fn hear(&mut self, now: Instant, from: SocketAddr, claim: Claim) -> Belief {
        // A sender that continues the stream is the same one, at any address.
        let before = matches!(claim, Claim::Other(..)).then(|| self.rtp.remote());
        let believed = self.rtp.hear(now, from, claim);
        Belief { believed, replaces: before.is_some_and(|before| self.rtp.remote() != before) }
    }

    /// Returns whether a report is believed. On RTP's port it doesn't move the path.
    pub(super) fn hear_report(&mut self, now: Instant, channel: Channel, from: SocketAddr, claim: Claim) -> bool {
        match channel {
            Channel::Rtcp => self.rtcp.hear(now, from, claim),
            Channel::Rtp => claim == Claim::Authentic || self.rtp.believes(now, from),
        }
    }

    /// Returns whether packets that prove nothing are accepted from this address.
    pub(super) fn believes(&self, now: Instant, channel: Channel, from: SocketAddr) -> bool {
        if channel == Channel::Rtp { self.rtp.believes(now, from) } else { self.rtcp.believes(now, from) }
    }

    /// A packet of the other side came, RTP or RTCP.
    pub(super) fn is_heard(&mut self, now: Instant) {
        self.alive = now;
        // A side that continues after a goodbye has not left.
        self.goodbye = self.goodbye.filter(|goodbye| now.since(*goodbye) < STRAGGLES);
    }

    /// The other side said goodbye.
    pub(super) fn says_goodbye(&mut self, now: Instant) {
        self.goodbye = Some(now);
    }

    /// Returns for how long nothing has come from the other side.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        now.since(self.alive)
    }

    /// Returns whether the other side said goodbye and has sent nothing since for `wait`; on hold a goodbye needs longer.
    pub(super) fn is_gone(&self, now: Instant, wait: Duration, on_hold: bool) -> bool {
        let wait = if on_hold { wait.max(GONE_ON_HOLD) } else { wait };
        self.goodbye.is_some_and(|goodbye| now.since(goodbye.max(self.alive)) >= wait)
    }

    /// Takes note that an SSRC of ours came from this address; whether that is new.
    pub(super) fn conflicts_anew(&mut self, now: Instant, from: SocketAddr) -> bool {
        let rank = |known: &Option<(SocketAddr, Instant)>| match known {
            Some((address, _)) if *address == from => (0, Instant::ZERO),
            None => (1, Instant::ZERO),
            Some((_, when)) => (2, *when),
        };
        let Some(place) = self.conflicts.iter_mut().min_by_key(|known| rank(known)) else { return false };
        let anew = place.is_none_or(|(address, when)| address != from || now.since(when) >= CONFLICT_OVER);
        *place = Some((from, now));
        anew
    }

    /// Returns when to ask for datagrams again.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let reports = (0..self.reports.len()).filter_map(|index| self.report_due(index)).map(|[_, latest]| latest);
        // The time doesn't matter here: sending that is over does not resume by itself.
        let reports = reports.filter(|_| self.may_send(Instant::ZERO) && self.may_report());
        let paths = [self.rtp.next_deadline(), self.rtcp.next_deadline()].into_iter().flatten();
        #[cfg(feature = "dtls")]
        let shakes = self.agreed.has_remote() && self.rtp.may_send(Instant::ZERO);
        #[cfg(feature = "dtls")]
        let paths = paths
            .chain(self.dtls.as_ref().filter(|_| shakes).and_then(|dtls| dtls.next_deadline()))
            .chain(self.rtcp_keys.as_ref().filter(|_| shakes).and_then(|keys| keys.next_deadline()));
        reports.chain(paths).min()
    }

    /// Returns the most bytes of an RTP packet before it's protected, in a buffer of `room` bytes and within this MTU. A codec
    /// whose shortest packets (`least`, with all headers) are longer may exceed it.
    pub(super) fn packet_room(&mut self, room: usize, mtu: u16, least: usize) -> usize {
        let (growth, mtu) = (self.guard.get().max_growth(), usize::from(mtu));
        let relaying = self.rtp.overhead();
        let room = room.saturating_sub(growth + relaying);
        if least > mtu {
            return room;
        }
        let tag = self.agreed.srtp.as_ref().map_or(growth, sdp::SrtpKeys::growth_bytes);
        room.min(mtu.saturating_sub(self.ip_overhead() + tag + relaying))
    }

    /// Returns the bytes of an RTP packet other than header, extensions and payload: IP, UDP, protection, and a relay's header.
    pub(super) fn packet_overhead(&self) -> usize {
        let tag = self.agreed.srtp.as_ref().map_or(0, sdp::SrtpKeys::growth_bytes);
        self.ip_overhead() + tag + self.rtp.overhead()
    }

    /// Bytes of the IP and UDP headers.
    pub(super) fn ip_overhead(&self) -> usize {
        sdp::ip_overhead(self.agreed.remote_rtp.ip())
    }

    /// Protects and addresses an RTP packet of `len` bytes; `numbered`: it has the transport's
    /// [next number](Self::next_number).
    pub(super) fn send_rtp(&mut self, now: Instant, buffer: &mut [u8], len: usize, numbered: bool) -> Option<Transmit> {
        if !self.may_send(now) {
            return None;
        }
        let len = self.guard.get().protect_rtp(buffer, len).ok()?;
        let (len, to) = self.rtp.route(now, self.rtp.remote(), buffer, len)?;
        let headers = self.ip_overhead();
        if let Some(feedback) = &mut self.feedback {
            feedback.depart(now, len + headers, numbered);
        }
        Some(self.addressed(len, to, Channel::Rtp))
    }

    /// Returns the next datagram of the paths' own.
    pub(super) fn send_own(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
        #[cfg(feature = "dtls")]
        if self.agreed.has_remote()
            && self.rtp.may_send(now)
            && let Some((len, to)) = self.dtls.as_mut().and_then(|dtls| dtls.transmit(now, self.rtp.remote(), buffer))
            && let Some((len, to)) = self.rtp.route(now, to, buffer, len)
        {
            return Some(self.addressed(len, to, Channel::Rtp));
        }
        #[cfg(feature = "dtls")]
        if self.agreed.has_remote()
            && let Some(keys) = &mut self.rtcp_keys
            && let Some((len, to)) = keys.transmit(now, self.rtcp.remote(), buffer)
        {
            return Some(self.addressed(len, to, Channel::Rtcp));
        }
        if let Some((len, to)) = self.rtp.transmit(now, buffer) {
            return Some(self.addressed(len, to, Channel::Rtp));
        }
        let (len, to) = self.rtcp.transmit(now, buffer).filter(|_| !self.agreed.rtcp_mux)?;
        Some(self.addressed(len, to, Channel::Rtcp))
    }

    fn addressed(&self, len: usize, to: SocketAddr, channel: Channel) -> Transmit {
        let from = if channel == Channel::Rtp { self.here.rtp } else { self.here.rtcp };
        Transmit { len, from, to, channel }
    }

    /// Bytes on the heap.
    pub(super) fn memory_bytes(&self) -> usize {
        #[cfg(feature = "dtls")]
        let handshake = self.dtls.as_ref().map_or(0, |dtls| dtls.heap_bytes())
            + self.rtcp_keys.as_ref().map_or(0, |keys| keys.heap_bytes());
        #[cfg(not(feature = "dtls"))]
        let handshake = 0;
        let feedback = self.feedback.as_ref().map_or(0, |feedback| feedback.memory_bytes());
        handshake
            + feedback
            + self.guard.heap_bytes()
            + self.reports.iter().flatten().map(Report::memory_bytes).sum::<usize>()
    }
}

/// Returns a path without ICE: the user's own, or latching.
fn plain(settings: &CallSettings, channel: Channel, named: SocketAddr) -> Box<dyn Path> {
    match &settings.path {
        Some(own) => own.make(channel, named),
        None => Box::new(Latch::new(settings.latching, named)),
    }
}
