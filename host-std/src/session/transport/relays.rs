//! Our relayed addresses: those that TURN servers pass on from and to us (RFC 8656).
//!
//! The protocol is that of the crate `turn-client-proto`, which has neither socket nor clock: allocation, credentials, nonces
//! that went stale, refreshes before a lifetime's end, permissions and channels. Its user has to do the following:
//!
//! - **Why** a server refused: its error codes are read here.
//! - **Answers** are accepted only to requests that were sent: an attacker who can't see them can't answer for the server.
//! - **Checks wait** for the permission that they need; a pair in use has a channel, whose packets have 4 bytes more.
//! - **Bounds**: as many permissions as there are candidates of the other side, and none for addresses that were not named.
//! - **The end**: allocations are released when the last goodbye has been sent.
//!
//! Between checks nothing is allocated on the heap. A stream's packets are copied, since a header is put before them.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration as StdDuration;

use dsp_core::time::{Duration, Instant};
use turn_client_proto::api::{
    DelayedMessageOrChannelSend, Transmit, TransmitBuild, TurnConfig, TurnEvent, TurnPollRet, TurnRecvRet,
};
use turn_client_proto::prelude::*;
use turn_client_proto::stun::Instant as TurnInstant;
use turn_client_proto::types::{AddressFamily, TransportType, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;

use super::gather::{HEADER_BYTES, attribute, mapped_address};
use crate::sdp::MAX_CANDIDATES;
use crate::session::ice::{RelayState, RelayStats, TurnServer, TurnTransport};

/// Questions whose answers are known.
const ASKED: usize = 32;
/// Checks that wait for a permission.
const HELD: usize = 32;
/// The number of requests for a permission that was refused or not answered.
const TRIES: u8 = 3;
/// The number of times that a request is sent.
const QUESTIONS: u32 = 5;
/// The wait before a question is asked a second time.
const FIRST_WAIT: StdDuration = StdDuration::from_millis(500);
/// Each wait is twice the one before, up to this.
const LONGEST_WAIT: StdDuration = StdDuration::from_secs(4);
/// The time after the last transmission of a request at which it is given up.
const LAST_WAIT: StdDuration = StdDuration::from_secs(4);
/// Channels a server: one for each pair that was in use.
const CHANNELS: u8 = 8;
/// The time for which a client that has nothing to send is not asked again.
const PAUSE: Duration = Duration::from_millis(10);
/// The longest time for which it is not asked: it forgets its other waits when a request is given up.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Room for a packet, so that none is made while the call runs.
const SCRATCH_BYTES: usize = 2_048;

// RFC 8656, 17: methods with their classes.
const ALLOCATE_SUCCESS: u16 = 0x0103;
const ALLOCATE_ERROR: u16 = 0x0113;
const REFRESH_ERROR: u16 = 0x0114;
const DATA_INDICATION: u16 = 0x0017;
/// The bit of a message's kind that answers have and neither requests nor indications.
const ANSWERS: u16 = 0x0100;
const BINDING: u16 = 0x0001;
/// The bits of a message's kind that say its method.
const METHOD: u16 = 0x3eef;
const ERROR_CODE: u16 = 0x0009;
/// The nonce is another one now: the question is asked again with that.
const STALE_NONCE: u16 = 438;
const UNAUTHORIZED: u16 = 401;

/// The result of passing a datagram to the relays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::session) enum Passed {
    /// The datagram isn't from a relay.
    Not,
    /// A server's own word.
    Handled,
    /// A datagram of this peer, at this place of the input, which came to this relayed address of ours.
    Data {
        /// The address of the peer.
        peer: SocketAddr,
        /// The place of the datagram in the input.
        range: Range<usize>,
        /// The relayed address to which it came.
        relayed: SocketAddr,
    },
}

/// An address of the other side that a server may pass on from and to.
struct Peer {
    ip: IpAddr,
    permitted: bool,
    tries: u8,
}

/// One allocation, or the wish for one.
struct Relay {
    server: SocketAddr,
    transport: TurnTransport,
    client: TurnClientUdp,
    state: RelayState,
    /// The address that it gave, be it over.
    given: Option<SocketAddr>,
    /// Our address as the server sees it.
    mapped: Option<SocketAddr>,
    /// The time at which the client is to be asked.
    due: Option<Instant>,
    asked: [Option<[u8; 12]>; ASKED],
    asked_next: usize,
    /// Those of them that were answered: a question that was repeated is answered twice.
    answered: [Option<[u8; 12]>; ASKED],
    answered_next: usize,
    /// The server has named its realm: a client that is refused after that has the wrong password.
    challenged: bool,
    peers: Vec<Peer>,
    channels: u8,
    /// Checks for whom, and when permission came.
    held: Vec<(SocketAddr, Vec<u8>)>,
    leaving: bool,
    questions: u32,
    refused: u32,
}

/// All relayed addresses of a call.
pub(in crate::session) struct Relays {
    relays: Vec<Relay>,
    scratch: Vec<u8>,
    /// Addresses that were found and not fetched yet.
    news: Vec<(RelayedOrMapped, SocketAddr)>,
}

/// A server's report on an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RelayedOrMapped {
    /// The server relays from this address; with our address as it sees it.
    Relayed(Option<SocketAddr>),
    /// The server sees us at this address.
    Mapped,
}

impl Relays {
    /// Asks these servers for an address, from `base`. A server that is named twice is asked once.
    pub(super) fn new(base: SocketAddr, servers: &[TurnServer]) -> Self {
        let mut relays: Vec<Relay> = Vec::new();
        for server in servers {
            if relays.iter().all(|relay| relay.server != server.address) {
                relays.push(Relay::new(base, server));
            }
        }
        Self { relays, scratch: Vec::with_capacity(SCRATCH_BYTES), news: Vec::new() }
    }

    /// Returns whether no server can allocate an address any more.
    pub(super) fn is_complete(&self) -> bool {
        self.relays.iter().all(|relay| relay.state != RelayState::Asking)
    }

    /// Returns the relayed addresses that we have.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.relays.iter().filter_map(Relay::address)
    }

    /// Returns whether an address of ours is or was a server's, even if it is lost or released meanwhile.
    pub(super) fn is_or_was(&self, address: SocketAddr) -> bool {
        self.relays.iter().any(|relay| relay.given == Some(address))
    }

    /// Returns whether there was an allocation that has ended.
    pub(super) fn is_lost(&self, address: SocketAddr) -> bool {
        self.relays.iter().any(|relay| relay.state == RelayState::Lost(address))
    }

    /// An address that is new.
    pub(super) fn next_news(&mut self) -> Option<(RelayedOrMapped, SocketAddr)> {
        self.news.pop()
    }

    /// Lets a server pass on from and to this address, on each of our relayed addresses of its family.
    pub(super) fn permit(&mut self, now: Instant, peer: SocketAddr) {
        for relay in self.relays.iter_mut().filter(|relay| relay.server.is_ipv4() == peer.is_ipv4()) {
            relay.permit(now, peer.ip());
        }
    }

    /// The pair is in use from now on: its packets get a channel.
    pub(super) fn bind(&mut self, now: Instant, relayed: SocketAddr, peer: SocketAddr) {
        if let Some(relay) = self.relay(relayed)
            && relay.channels < CHANNELS
            && relay.client.bind_channel(TransportType::Udp, peer, at(now)).is_ok()
        {
            relay.channels += 1;
            relay.due = Some(now);
        }
    }

    /// A datagram of `len` bytes in `buffer`, for a peer and by one of our relayed addresses, becomes what its server passes
    /// on: its length, and the server. `None` while that mayn't be, and where it doesn't fit.
    pub(super) fn encapsulate(
        &mut self,
        now: Instant,
        relayed: SocketAddr,
        peer: SocketAddr,
        buffer: &mut [u8],
        len: usize,
    ) -> Option<(usize, SocketAddr)> {
        let Self { relays, scratch, .. } = self;
        let relay = relays.iter_mut().find(|relay| relay.address() == Some(relayed))?;
        scratch.clear();
        scratch.extend_from_slice(buffer.get(..len)?);
        let built = relay.client.send_to(TransportType::Udp, peer, &scratch[..], at(now)).ok()??;
        Some((write(built, buffer)?, relay.server))
    }

    /// The same for a check: it waits until it may be sent, if there is room.
    pub(super) fn encapsulate_check(
        &mut self,
        now: Instant,
        relayed: SocketAddr,
        peer: SocketAddr,
        buffer: &mut [u8],
        len: usize,
    ) -> Option<(usize, SocketAddr)> {
        let wrapped = self.encapsulate(now, relayed, peer, buffer, len);
        if wrapped.is_none()
            && let Some(relay) = self.relay(relayed)
            && relay.held.len() < HELD
            && relay.peers.iter().any(|known| known.ip == peer.ip() && !known.permitted && known.tries < TRIES)
        {
            relay.held.push((peer, buffer[..len].to_vec()));
        }
        wrapped
    }

    /// Returns the bytes that are added to packets on the way to their server.
    pub(super) fn overhead(relayed: SocketAddr) -> usize {
        // An indication, as long as there is no channel: header, address, and the head of the data.
        HEADER_BYTES + if relayed.is_ipv4() { 12 } else { 24 } + 4 + 3
    }

    /// Unwraps a datagram from this address for the relays.
    pub(in crate::session) fn take(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Passed {
        let Some(relay) = self.relays.iter_mut().find(|relay| relay.server == from) else { return Passed::Not };
        relay.take(now, datagram, &mut self.news)
    }

    /// Returns the next datagram for a server.
    pub(super) fn transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let Self { relays, news, .. } = self;
        relays.iter_mut().find_map(|relay| Some((relay.transmit(now, buffer, news)?, relay.server)))
    }

    /// Returns when to ask [`transmit`](Self::transmit) again.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.relays.iter().filter_map(|relay| relay.due).min()
    }

    /// A server can't be reached any more.
    pub(in crate::session) fn lose(&mut self, server: SocketAddr) {
        for relay in self.relays.iter_mut().filter(|relay| relay.server == server) {
            relay.end(relay.over());
        }
    }

    /// Releases everything as soon as nothing else is to be sent.
    pub(in crate::session) fn leave(&mut self) {
        for relay in &mut self.relays {
            relay.leaving = true;
        }
    }

    /// Returns whether an allocation is being released and the server has not confirmed it yet.
    pub(in crate::session) fn is_leaving(&self) -> bool {
        // An address that may still be allocated would never be released.
        let may_be_given = |relay: &Relay| relay.state == RelayState::Asking && relay.challenged;
        self.relays.iter().any(|relay| relay.leaving && (relay.address().is_some() || may_be_given(relay)))
    }

    /// Numbers of each.
    pub(in crate::session) fn stats(&self) -> Vec<RelayStats> {
        self.relays.iter().map(Relay::stats).collect()
    }

    fn relay(&mut self, relayed: SocketAddr) -> Option<&mut Relay> {
        self.relays.iter_mut().find(|relay| relay.address() == Some(relayed))
    }
}

impl Relay {
    fn new(base: SocketAddr, server: &TurnServer) -> Self {
        let TurnServer { address, transport, user, password } = server;
        let mut config = TurnConfig::new(TurnCredentials::new(user, password));
        config.set_address_family(if address.is_ipv4() { AddressFamily::IPV4 } else { AddressFamily::IPV6 });
        // A connection loses nothing.
        let questions = if *transport == TurnTransport::Tcp { 1 } else { QUESTIONS };
        config.set_request_retransmits(FIRST_WAIT, LONGEST_WAIT, questions, LAST_WAIT);
        Self {
            server: *address,
            transport: *transport,
            // The owner of a connection frames its data: here they are a datagram.
            client: TurnClientUdp::allocate(base, *address, config),
            state: RelayState::Asking,
            given: None,
            mapped: None,
            due: Some(Instant::ZERO),
            asked: [None; ASKED],
            asked_next: 0,
            answered: [None; ASKED],
            answered_next: 0,
            challenged: false,
            peers: Vec::with_capacity(MAX_CANDIDATES),
            channels: 0,
            held: Vec::new(),
            leaving: false,
            questions: 0,
            refused: 0,
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        if let RelayState::Allocated(address) = self.state { Some(address) } else { None }
    }

    fn permit(&mut self, now: Instant, ip: IpAddr) {
        if ip.is_unspecified() || ip.is_multicast() {
            return;
        }
        let full = self.peers.len() == MAX_CANDIDATES;
        match self.peers.iter_mut().find(|peer| peer.ip == ip) {
            Some(peer) if peer.permitted || peer.tries < TRIES => return,
            // It is named again, so it's asked for again.
            Some(peer) => peer.tries = 0,
            None if full => return,
            None => self.peers.push(Peer { ip, permitted: false, tries: 0 }),
        }
        if self.address().is_some() {
            self.ask_permission(now, ip);
        }
    }

    fn ask_permission(&mut self, now: Instant, ip: IpAddr) {
        let _ = self.client.create_permission(TransportType::Udp, ip, at(now));
        self.due = Some(now);
    }

    fn take(&mut self, now: Instant, datagram: &[u8], news: &mut Vec<(RelayedOrMapped, SocketAddr)>) -> Passed {
        let answers = match *datagram {
            [0x40..=0x7f, ..] => false,
            [kind0 @ 0..=0x3f, kind1, ..] if datagram.len() >= HEADER_BYTES => {
                let kind = u16::from_be_bytes([kind0, kind1]);
                let transaction = <[u8; 12]>::try_from(&datagram[8..HEADER_BYTES]).ok();
                match kind {
                    DATA_INDICATION => false,
                    _ if kind & ANSWERS == 0 || kind & METHOD == BINDING => return Passed::Not,
                    _ if !self.asked.contains(&transaction) => return Passed::Not,
                    _ if self.answered.contains(&transaction) => return Passed::Handled,
                    _ => {
                        self.answered[self.answered_next] = transaction;
                        self.answered_next = (self.answered_next + 1) % ASKED;
                        self.note(kind, datagram);
                        true
                    }
                }
            }
            _ => return Passed::Not,
        };
        let message = Transmit::new(datagram, TransportType::Udp, self.server, self.client.local_addr());
        let passed = match self.client.recv(message, at(now)) {
            TurnRecvRet::PeerData(data) => {
                let (peer, data) = (data.peer, data.data());
                let start = data.as_ptr().addr().wrapping_sub(datagram.as_ptr().addr());
                match self.address() {
                    Some(relayed) if start + data.len() <= datagram.len() => {
                        return Passed::Data { peer, range: start..start + data.len(), relayed };
                    }
                    _ => Passed::Not,
                }
            }
            TurnRecvRet::Handled | TurnRecvRet::PeerIcmp { .. } => Passed::Handled,
            TurnRecvRet::Ignored(_) if answers => Passed::Handled,
            TurnRecvRet::Ignored(_) => Passed::Not,
        };
        if passed == Passed::Handled {
            self.due = Some(now);
            self.settle(now, news);
        }
        passed
    }

    /// Reads the parts of an answer that the client doesn't report.
    fn note(&mut self, kind: u16, answer: &[u8]) {
        let code = match attribute(answer, ERROR_CODE) {
            Some([_, _, class, number, ..]) => u16::from(class & 7) * 100 + u16::from(*number),
            _ => 0,
        };
        match (kind, self.state) {
            (ALLOCATE_SUCCESS, RelayState::Asking) => self.mapped = mapped_address(answer),
            (ALLOCATE_ERROR, RelayState::Asking) => match code {
                STALE_NONCE => {}
                UNAUTHORIZED if !self.challenged => self.challenged = true,
                code => self.end(RelayState::Refused(code)),
            },
            (REFRESH_ERROR, RelayState::Allocated(_)) if code != STALE_NONCE => self.end(self.over()),
            _ => {}
        }
    }

    /// Returns the state of an allocation that has ended.
    fn over(&self) -> RelayState {
        match self.state {
            RelayState::Allocated(_) if self.leaving => RelayState::Released,
            RelayState::Allocated(address) => RelayState::Lost(address),
            RelayState::Asking if self.challenged => RelayState::Refused(0),
            RelayState::Asking => RelayState::Silent,
            over => over,
        }
    }

    fn end(&mut self, state: RelayState) {
        self.state = state;
        self.client.protocol_error();
        self.held.clear();
        self.due = None;
    }

    /// Takes note of the client's results.
    fn settle(&mut self, now: Instant, news: &mut Vec<(RelayedOrMapped, SocketAddr)>) {
        while let Some(event) = self.client.poll_event() {
            match event {
                TurnEvent::AllocationCreated(_, address) if self.state == RelayState::Asking => {
                    (self.state, self.given) = (RelayState::Allocated(address), Some(address));
                    // The address of a connection as the server sees it is no address for datagrams.
                    let seen = self.mapped.filter(|_| self.transport == TurnTransport::Udp);
                    news.extend(seen.map(|mapped| (RelayedOrMapped::Mapped, mapped)));
                    news.push((RelayedOrMapped::Relayed(self.mapped), address));
                    for at in 0..self.peers.len() {
                        self.ask_permission(now, self.peers[at].ip);
                    }
                }
                TurnEvent::AllocationCreateFailed(_) if self.state == RelayState::Asking => self.end(self.over()),
                TurnEvent::PermissionCreated(_, ip) => {
                    let those = self.peers.iter_mut().filter(|peer| peer.ip == ip);
                    those.for_each(|peer| (peer.permitted, peer.tries) = (true, 0));
                }
                TurnEvent::PermissionCreateFailed(_, ip) => self.is_refused(now, ip),
                _ => {}
            }
        }
        if self.address().is_some() && self.client.relayed_addresses().next().is_none() && !self.leaving {
            self.end(self.over());
        }
    }

    fn is_refused(&mut self, now: Instant, ip: IpAddr) {
        let Some(peer) = self.peers.iter_mut().find(|peer| peer.ip == ip) else { return };
        (peer.permitted, peer.tries) = (false, peer.tries.saturating_add(1));
        if peer.tries < TRIES {
            self.ask_permission(now, ip);
        } else {
            self.refused = self.refused.saturating_add(1);
            self.held.retain(|(held, _)| held.ip() != ip);
        }
    }

    fn transmit(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        news: &mut Vec<(RelayedOrMapped, SocketAddr)>,
    ) -> Option<usize> {
        if self.leaving && self.address().is_some() && self.client.relayed_addresses().next().is_some() {
            let _ = self.client.delete(at(now));
            self.due = Some(now);
        }
        let may_go = |(to, _): &(SocketAddr, Vec<u8>)| self.client.have_permission(TransportType::Udp, to.ip());
        if let Some(place) = self.held.iter().position(may_go) {
            let (to, check) = self.held.swap_remove(place);
            let built = self.client.send_to(TransportType::Udp, to, &check[..], at(now)).ok()??;
            return write(built, buffer);
        }
        if self.due.is_none_or(|due| now < due) {
            return None;
        }
        let next = match self.client.poll(at(now)) {
            TurnPollRet::WaitUntil(next) => ours(next),
            TurnPollRet::AllocateTcpSocket { .. } | TurnPollRet::TcpClose { .. } => now,
            TurnPollRet::Closed => {
                self.settle(now, news);
                self.end(self.over());
                return None;
            }
        };
        self.settle(now, news);
        // It may be over.
        self.due?;
        if let Some(transmit) = self.client.poll_transmit(at(now)) {
            self.due = Some(now);
            let bytes = &*transmit.data;
            let place = buffer.get_mut(..bytes.len())?;
            place.copy_from_slice(bytes);
            if let Some(Ok(transaction)) = bytes.get(8..HEADER_BYTES).map(<[u8; 12]>::try_from) {
                self.asked[self.asked_next] = Some(transaction);
                self.asked_next = (self.asked_next + 1) % ASKED;
            }
            self.questions = self.questions.saturating_add(1);
            return Some(bytes.len());
        }
        self.due = Some(next.clamp(now + PAUSE, now + LONGEST_PAUSE));
        None
    }

    fn stats(&self) -> RelayStats {
        let permitted = self.peers.iter().filter(|peer| peer.permitted).count();
        RelayStats {
            server: self.server,
            transport: self.transport,
            state: self.state,
            questions: self.questions,
            permitted: permitted as u32,
            refused: self.refused,
        }
    }
}

/// Writes a packet that a server passes on.
fn write(built: TransmitBuild<DelayedMessageOrChannelSend<&[u8]>>, buffer: &mut [u8]) -> Option<usize> {
    let place = buffer.get_mut(..built.data.len())?;
    Some(built.write_into(place).data.len())
}

/// Returns the call's time as the client counts it.
fn at(now: Instant) -> TurnInstant {
    TurnInstant::from_nanos(i64::try_from(now.as_micros()).unwrap_or(i64::MAX).saturating_mul(1_000))
}

fn ours(at: TurnInstant) -> Instant {
    Instant::from_micros(at.saturating_duration_since(TurnInstant::from_nanos(0)).as_micros() as u64)
}
