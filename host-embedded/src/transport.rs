//! A phone's transport: it carries RTP and RTCP over one socket (RFC 5761) with a guard around both, and knows where
//! the other side is.
//!
//! [`Transport`] is the [`Network`] of a phone over any [`Socket`]. It distinguishes incoming datagrams by their first two bytes
//! and unprotects them: reports go to the [`RtcpReporter`], packets of sound to the phone. Packets are sent to the address that
//! the other side's packets come from (symmetric RTP, RFC 4961), since behind a NAT the other side's description names another
//! one. With plain RTP only the first packet decides that, and any packet from the address in the description, since others could
//! be forged; with SRTP each packet does.
//!
//! Use it over a network stack's UDP socket, of which it needs the three functions of [`Socket`]. Limits: one port for
//! RTP and RTCP, and no ICE; where the other side wants a port of its own for RTCP, reports are left out.
//!
//! The firmware calls [`report`](Transport::report) after each tick; it sends the reports that are due:
//!
//! ```
//! # use core::cell::RefCell;
//! # use dsp_core::guard::Plain;
//! # use dsp_core::rtcp::{Cname, ReporterConfig, RtcpReporter};
//! # use dsp_core::time::{Instant, NtpTime};
//! # use embassy_futures::block_on;
//! # use host_embedded::phone::{Phone, PhoneConfig};
//! # use host_embedded::sim::{SimClock, SimPort};
//! # use host_embedded::transport::{Socket, Transport};
//! # struct Nowhere<'a>(&'a SimClock, u32);
//! # impl Socket for Nowhere<'_> {
//! #     type Address = u16;
//! #     async fn receive(&mut self, _: &mut [u8]) -> (usize, u16, Instant) { core::future::pending().await }
//! #     fn send(&mut self, _: &[u8], _: u16) -> bool { self.1 += 1; true }
//! #     fn now(&self) -> Instant { self.0.now() }
//! # }
//! # let clock = SimClock::default();
//! # let socket = Nowhere(&clock, 0);
//! # let mut port = SimPort::new(&clock, |pcm: &mut [i16; 80]| pcm.fill(1_000), |_: &[i16; 80]| ());
//! let config = ReporterConfig { cname: Cname::new("phone@example"), ..ReporterConfig::default() };
//! let reporter = RtcpReporter::new(config, clock.now())?;
//! let mut phone = Phone::new(PhoneConfig::default())?;
//! let mut network = Transport::<_, _, 640>::new(socket, Plain, reporter);
//! network.set_remote(5004);
//! for _ in 0..500 {
//!     block_on(phone.tick(&mut port, &mut network));
//!     let ntp = NtpTime::default().plus(clock.now().since(Instant::ZERO));
//!     network.report(clock.now(), phone.receiver_stats().reception, phone.send_info(ntp));
//! }
//! assert!(network.counters().reports_sent >= 1);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use dsp_core::guard::PacketGuard;
use dsp_core::quality::ReceptionStats;
use dsp_core::rtcp::{PeerReport, RtcpReporter, SendInfo};
use dsp_core::time::{Duration, Instant, Ssrc};
use dsp_core::wire::DatagramKind;
use dsp_core::wire::rtp::RtpPacket;

use crate::phone::{INTAKE_BUDGET, Incoming, Network};

/// A socket that datagrams come and go through, and the clock by which they arrive.
#[allow(async_fn_in_trait, reason = "a phone has one core and one executor: its futures need not be Send")]
pub trait Socket {
    /// Address and port.
    type Address: Copy + PartialEq;

    /// Waits for a datagram; returns its length, where it comes from and when it arrived. A datagram that is longer
    /// than `datagram` may be cut, but then a length greater than `datagram`'s must be returned. Dropping the future
    /// before it is ready loses nothing.
    async fn receive(&mut self, datagram: &mut [u8]) -> (usize, Self::Address, Instant);

    /// Sends a datagram; `false` if the link was busy or down, and it was dropped.
    fn send(&mut self, datagram: &[u8], to: Self::Address) -> bool;

    /// Returns the time by the clock of arrivals.
    fn now(&self) -> Instant;
}

/// The counters of a transport. All wrap around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TransportCounters {
    /// Datagrams that were sent, of sound and of reports.
    pub sent: u32,
    /// Datagrams that could not be sent: no address, a key whose lifetime is over, a link that is busy or down.
    pub unsent: u32,
    /// Datagrams that came and were neither RTP nor RTCP, or longer than there is room for.
    pub foreign: u32,
    /// RTP and RTCP that the guard refused, or that came from elsewhere than the other side.
    pub refused: u32,
    /// Reports that came from the other side.
    pub reports: u32,
    /// Reports that this side sent.
    pub reports_sent: u32,
    /// The number of times that the other side's packets began to come from an address other than the one that this side sent to.
    pub moved: u32,
}

/// RTP and RTCP over one socket. `BYTES` is the length of the longest datagram that is sent, and `EXTENDED` says
/// whether reports are extended, as for [`RtcpReporter`].
///
/// This one protects RTP and RTCP by SRTP, and the other side's address is known from its description:
///
/// ```
/// use dsp_core::guard::srtp::{MasterKey, Srtp, SrtpProfile};
/// use dsp_core::rtcp::{Cname, ReporterConfig, RtcpReporter};
/// use dsp_core::time::Instant;
/// use embassy_futures::block_on;
/// use host_embedded::phone::{Phone, PhoneConfig};
/// use host_embedded::transport::{Socket, Transport};
/// # use host_embedded::sim::{SimClock, SimPort};
/// # struct Wire<'a>(&'a SimClock, &'a core::cell::Cell<usize>);
/// # impl Socket for Wire<'_> {
/// #     type Address = u16;
/// #     async fn receive(&mut self, _: &mut [u8]) -> (usize, u16, Instant) { core::future::pending().await }
/// #     fn send(&mut self, datagram: &[u8], _: u16) -> bool { self.1.set(datagram.len()); true }
/// #     fn now(&self) -> Instant { self.0.now() }
/// # }
/// # let (clock, last) = (SimClock::default(), core::cell::Cell::new(0));
/// # let socket = Wire(&clock, &last);
/// # let mut port = SimPort::new(&clock, |pcm: &mut [i16; 80]| pcm.fill(1_000), |_: &[i16; 80]| ());
/// let profile = SrtpProfile::AesCm128HmacSha1_80;
/// // Key and salt of each side, as the descriptions have them.
/// let (ours, theirs) = (MasterKey::new(&[1; 16], &[2; 14]), MasterKey::new(&[3; 16], &[4; 14]));
/// let guard = Srtp::<2>::new(profile, &ours, &theirs)?;
/// let config = ReporterConfig { cname: Cname::new("phone@example"), ..ReporterConfig::default() };
/// let mut network = Transport::<_, _, 640>::new(socket, guard, RtcpReporter::new(config, Instant::ZERO)?);
/// network.set_remote(5004);
///
/// let mut phone = Phone::new(PhoneConfig::default())?;
/// for _ in 0..2 {
///     block_on(phone.tick(&mut port, &mut network));
/// }
/// assert_eq!(network.counters().sent, 1);
/// # // A tag of 10 bytes behind each packet.
/// # assert_eq!(last.get(), 182);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct Transport<S: Socket, G, const BYTES: usize, const EXTENDED: bool = true> {
    socket: S,
    guard: G,
    reporter: RtcpReporter<1, EXTENDED>,
    /// The other side's address, once it is known.
    remote: Option<S::Address>,
    /// The address in the other side's description.
    named: Option<S::Address>,
    /// Whether a packet has come from `remote`.
    latched: bool,
    /// The last report of the other side, until it is asked for.
    told: Option<PeerReport>,
    counters: TransportCounters,
    outgoing: [u8; BYTES],
}

impl<S: Socket, G: PacketGuard, const BYTES: usize, const EXTENDED: bool> Transport<S, G, BYTES, EXTENDED> {
    /// Creates a transport that sends nothing until it knows the other side.
    pub fn new(socket: S, guard: G, reporter: RtcpReporter<1, EXTENDED>) -> Self {
        const { assert!(BYTES >= RtcpReporter::<1>::MAX_REPORT_LEN + 32, "a report and its tag have room") };
        Self {
            socket,
            guard,
            reporter,
            remote: None,
            named: None,
            latched: false,
            told: None,
            counters: TransportCounters::default(),
            outgoing: [0; BYTES],
        }
    }

    /// Sets the address of the other side, as its description gives it. Packets go there until one of the other side's
    /// comes from elsewhere, and from then on to where that came from. Without SRTP a packet from the description's
    /// address wins them back.
    pub fn set_remote(&mut self, remote: S::Address) {
        self.remote = Some(remote);
        self.named = Some(remote);
        self.latched = false;
    }

    /// Returns the address that packets are sent to.
    pub fn remote(&self) -> Option<S::Address> {
        self.remote
    }

    /// The guard, to give it other keys.
    pub fn guard(&mut self) -> &mut G {
        &mut self.guard
    }

    /// Returns the reporter, which knows the round trip and how the other side hears this one.
    pub fn reporter(&self) -> &RtcpReporter<1, EXTENDED> {
        &self.reporter
    }

    /// Counts of what went through so far.
    pub fn counters(&self) -> TransportCounters {
        self.counters
    }

    /// Takes the last report of the other side, if there is a new one. If an earlier report that was not taken said goodbye, this
    /// one does too ([`PeerReport::bye`]); [`CallWatch`](crate::watch::CallWatch) interprets a goodbye for the call.
    pub fn next_report(&mut self) -> Option<PeerReport> {
        self.told.take()
    }

    /// Sends the report that is due, if one is. `reception` is that of the source that is heard, and `send` is this
    /// side's state at `now`.
    pub fn report(&mut self, now: Instant, reception: ReceptionStats, send: SendInfo) {
        if now < self.reporter.next_deadline() {
            return;
        }
        // There is room for every report.
        if let Ok(Some(len)) = self.reporter.poll(now, &[reception], Some(&send), &mut self.outgoing) {
            self.send_report(len);
        }
    }

    /// Sends a goodbye by RTCP. `reception` and `send` are as for [`report`](Self::report).
    pub fn leave(&mut self, now: Instant, reception: ReceptionStats, send: SendInfo) {
        if let Ok(Some(len)) = self.reporter.bye(now, &[reception], Some(&send), None, &mut self.outgoing) {
            self.send_report(len);
        }
    }

    /// Sends reports as the source `ssrc` from now on, and a goodbye of the source before, as which `packets` packets
    /// were sent.
    pub fn change_source(&mut self, now: Instant, ssrc: Ssrc, packets: u32) {
        self.reporter.change_source(now, ssrc, packets);
    }

    fn send_report(&mut self, len: usize) {
        let protected = self.guard.protect_rtcp(&mut self.outgoing, len);
        if self.hand_over(protected.ok()) {
            self.counters.reports_sent = self.counters.reports_sent.wrapping_add(1);
        }
    }

    /// Sends the first `len` bytes of `outgoing`; `None` counts as unsent. Returns whether they were sent.
    fn hand_over(&mut self, len: Option<usize>) -> bool {
        let datagram = len.and_then(|len| self.outgoing.get(..len));
        let sent = match (datagram, self.remote) {
            (Some(datagram), Some(remote)) => self.socket.send(datagram, remote),
            _ => false,
        };
        let count = if sent { &mut self.counters.sent } else { &mut self.counters.unsent };
        *count = count.wrapping_add(1);
        sent
    }

    /// Learns the other side's address from a packet of sound whose protection has been taken off. Returns `false` if
    /// the packet is somebody else's.
    fn latch(&mut self, packet: &[u8], from: S::Address) -> bool {
        if self.remote == Some(from) {
            self.latched = true;
            return true;
        }
        // A guard that adds nothing authenticates nobody.
        let known = self.guard.max_growth() > 0;
        // The first packet from elsewhere may be forged: it doesn't replace a sender at the address of the description.
        let believed = known || !self.latched || self.named == Some(from);
        if !believed || RtpPacket::parse(packet).is_err() {
            return false;
        }
        self.counters.moved = self.counters.moved.wrapping_add(u32::from(self.remote.is_some()));
        self.remote = Some(from);
        self.latched = true;
        true
    }

    /// Unprotects a datagram, and returns the length of a packet for the phone; `None` for everything else.
    fn take_in(&mut self, datagram: &mut [u8], from: S::Address, now: Instant) -> Option<usize> {
        let counters = &mut self.counters;
        let is_report = match DatagramKind::of(datagram) {
            DatagramKind::Rtp => false,
            DatagramKind::Rtcp => true,
            _ => {
                counters.foreign = counters.foreign.wrapping_add(1);
                return None;
            }
        };
        let opened = match is_report {
            false => self.guard.unprotect_rtp(datagram),
            true => self.guard.unprotect_rtcp(datagram),
        };
        let packet = opened.ok().and_then(|len| datagram.get(..len));
        let taken = packet.and_then(|packet| match is_report {
            // Reports from other senders change nothing.
            true if self.guard.max_growth() == 0 && self.remote != Some(from) => None,
            true => {
                let told = self.reporter.receive(now, packet).ok()?;
                // A goodbye is said once: it stays until it's asked for.
                let bye = told.bye || self.told.is_some_and(|before| before.bye);
                self.told = Some(PeerReport { bye, ..told });
                self.counters.reports = self.counters.reports.wrapping_add(1);
                Some(0)
            }
            false => self.latch(packet, from).then_some(packet.len()),
        });
        if taken.is_none() {
            self.counters.refused = self.counters.refused.wrapping_add(1);
        }
        taken.filter(|len| *len > 0)
    }
}

impl<S: Socket, G: PacketGuard, const BYTES: usize, const EXTENDED: bool> Network for Transport<S, G, BYTES, EXTENDED> {
    async fn receive(&mut self, datagram: &mut [u8]) -> Incoming {
        let (len, from, arrival) = self.socket.receive(datagram).await;
        let Some(datagram) = datagram.get_mut(..len) else {
            self.counters.foreign = self.counters.foreign.wrapping_add(1);
            return Incoming { len: 0, arrival, worked: Duration::ZERO };
        };
        let before = self.socket.now();
        let len = self.take_in(datagram, from, arrival).unwrap_or_default();
        Incoming { len, arrival, worked: self.socket.now().since(before) }
    }

    fn send(&mut self, datagram: &[u8]) {
        let len = datagram.len();
        let protected = match self.outgoing.get_mut(..len) {
            Some(room) => {
                room.copy_from_slice(datagram);
                self.guard.protect_rtp(&mut self.outgoing, len).ok()
            }
            None => None,
        };
        self.hand_over(protected);
    }

    fn now(&self) -> Instant {
        self.socket.now()
    }

    fn intake_budget(&self) -> Duration {
        INTAKE_BUDGET
    }
}

#[cfg(test)]
mod tests;
