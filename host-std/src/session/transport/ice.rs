//! The path of a call by ICE (RFC 8445): both sides' checks determine the pair of addresses for its packets, and neither the
//! address that a description names nor the source of arriving packets does.
//!
//! The checks are those of the crate `is`, the agent of str0m, which has neither socket nor clock. It wants the standard
//! library's `Instant`, so the call's time is counted from one that is taken once: a call in virtual time stays in it. Its user
//! has to do the following:
//!
//! - **Consent** (RFC 7675). Nothing is sent to an address that has not answered a check, and 30 s after the last answer
//!   sending stops, until a restart. Once a pair is in use it is asked every 4 to 6 s; the agent asks sooner after a
//!   question that stayed without an answer. A lite side asks nothing: it has consent as long as the other side's checks
//!   come.
//! - **Answers come from where the question went** (RFC 8445, 7.2.5.2.1); others are strays.
//! - **Restart**: the old pair is used, and its checks are answered, until the new checks have found one.
//! - **Strangers**: a check with credentials other than those of the descriptions is counted and never answered. So is a check
//!   that was accepted before and comes again from another address: it is a replay.
//! - **Bounds**: 32 candidates of the other side, 64 pairs, 12 questions a pair.
//! - **Relayed addresses** (`relays`): a pair whose local candidate is a TURN server's is like any other to the agent. Packets
//!   that are sent that way are wrapped here, and those that come that way are unwrapped before anything else reads them.
//!
//! Checks fail when none has come through 39.5 s after the descriptions were exchanged (RFC 8863).

mod relayed;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::{Duration as StdDuration, Instant as StdInstant};

use dsp_core::time::{Duration, Instant};
use dsp_core::wire::DatagramKind;
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, CandidateKind as AgentKind, IceAgent, IceAgentEvent, IceCreds, Protocol};

use super::gather::Gatherer;
use super::path::{Claim, Path};
use super::relays::Relays;
use crate::sdp::{CandidateKind, IceCandidate, IceCredentials, MAX_CANDIDATES, NegotiatedIce};
use crate::session::outcome::{Ending, IcePair, IceState, IceStats};

/// The time after its last answer for which a pair may be sent to (RFC 7675, 5.1).
const CONSENT: Duration = Duration::from_secs(30);
/// The longest time that checks may take (RFC 8863, 4).
const CHECKING: Duration = Duration::from_millis(39_500);
/// The time after a restart for which the old pair's checks are answered.
const FORMER: Duration = Duration::from_secs(3);
/// The shortest and the longest wait between two questions of consent, in ms (RFC 7675, 5.1).
const CONSENT_WAIT_MS: (u32, u32) = (4_000, 6_000);
/// Questions to a pair that doesn't answer: with waits up to 5 s, 42 s of them.
const QUESTIONS: usize = 12;
const PAIRS: usize = 64;
/// Questions whose answers are known by where they went.
const ASKED: usize = 64;
/// The number of the other side's checks that are remembered, so that none can be replayed from another address: half an hour of
/// them.
const TAKEN: usize = 384;
/// Addresses that a check with our credentials came from.
const KNOWN: usize = 16;

/// The pair that packets take.
#[derive(Clone, Copy)]
struct Selected {
    local: SocketAddr,
    remote: SocketAddr,
    /// The time until which packets may be sent to it.
    consent: Instant,
}

/// A path that checks addresses before it uses them.
pub(in crate::session) struct IcePath {
    /// The origin of the call's time.
    base: StdInstant,
    agent: IceAgent,
    /// The agent before a restart, and until when it is kept.
    former: Option<(IceAgent, Option<Instant>)>,
    lite: bool,
    gatherer: Gatherer,
    named: SocketAddr,
    credentials: [IceCredentials; 2],
    /// The other side's candidates.
    remote: Vec<IceCandidate>,
    began: Instant,
    selected: Option<Selected>,
    /// Whether the checks since the last restart have found a pair.
    found: bool,
    gone: bool,
    /// The latest time that was given.
    told: Instant,
    /// The relayed address that the present datagram came to, if it came to one.
    relayed: Option<SocketAddr>,
    /// Whether something is to be sent at the next request.
    pending: bool,
    /// An agent has said something just now, and may have more.
    speaks: bool,
    due: Option<Instant>,
    asked: [Option<([u8; 12], SocketAddr)>; ASKED],
    asked_next: usize,
    known: [Option<SocketAddr>; KNOWN],
    known_next: usize,
    /// Hashes of the transactions that were taken, and of where they came from.
    taken: [Option<(u64, u64)>; TAKEN],
    taken_next: usize,
    /// Draws waits.
    lot: u32,
    stats: IceStats,
}

impl IcePath {
    /// Creates a path with the ICE agreement; our candidates are those of `gatherer`, which the path takes over.
    pub(super) fn new(now: Instant, named: SocketAddr, agreed: &NegotiatedIce, gatherer: Gatherer, seed: u32) -> Self {
        let base = StdInstant::now();
        let agent = agent(agreed, agreed.controlling, &gatherer);
        let mut path = Self {
            base,
            agent,
            former: None,
            lite: agreed.lite,
            gatherer,
            named,
            credentials: [agreed.local.clone(), agreed.remote.credentials.clone()],
            remote: Vec::with_capacity(MAX_CANDIDATES),
            began: now,
            selected: None,
            found: false,
            gone: false,
            told: now,
            relayed: None,
            pending: true,
            speaks: false,
            due: None,
            asked: [None; ASKED],
            asked_next: 0,
            known: [None; KNOWN],
            known_next: 0,
            taken: [None; TAKEN],
            taken_next: 0,
            lot: seed | 1,
            stats: IceStats::default(),
        };
        path.begin(now, agreed);
        path
    }

    fn begin(&mut self, now: Instant, agreed: &NegotiatedIce) {
        self.stats.hidden = self.stats.hidden.saturating_add(agreed.remote.hidden as u32);
        for candidate in &agreed.remote.candidates {
            self.add_candidate(now, candidate);
        }
        let at = self.at(now);
        quietly(|| self.agent.handle_timeout(at));
        self.speaks = true;
        self.settle(now);
    }

    /// Takes the result of a later offer and answer: further candidates, or other credentials, which are a restart (RFC 8445, 9).
    pub(super) fn renew(&mut self, now: Instant, agreed: &NegotiatedIce) {
        let credentials = [agreed.local.clone(), agreed.remote.credentials.clone()];
        if credentials == self.credentials && agreed.lite == self.lite {
            for candidate in &agreed.remote.candidates {
                self.add_candidate(now, candidate);
            }
            self.settle(now);
            return;
        }
        // Roles stay, unless a side has become lite (RFC 8445, 6.1.1).
        let settled = agreed.lite != self.lite || agreed.lite || agreed.remote.lite;
        let controlling = if settled { agreed.controlling } else { self.agent.controlling() };
        let agent = agent(agreed, controlling, &self.gatherer);
        let former = std::mem::replace(&mut self.agent, agent);
        self.former = (!self.gone).then_some((former, None));
        if self.gone {
            self.selected = None;
        }
        (self.credentials, self.lite) = (credentials, agreed.lite);
        (self.began, self.found, self.gone) = (now, false, false);
        self.remote.clear();
        self.stats.restarts = self.stats.restarts.saturating_add(1);
        self.begin(now, agreed);
    }

    /// One more address of the other side, in a running call; whether it is new and there is room for it.
    pub(super) fn trickled(&mut self, now: Instant, candidate: &IceCandidate) -> bool {
        let new = self.add_candidate(now, candidate);
        self.settle(now);
        new
    }

    fn add_candidate(&mut self, now: Instant, candidate: &IceCandidate) -> bool {
        let known = self.remote.iter().any(|known| (known.address, known.kind) == (candidate.address, candidate.kind));
        if known || self.remote.len() == MAX_CANDIDATES {
            return false;
        }
        let IceCandidate { foundation, priority, address, kind, related } = candidate.clone();
        let kind = match kind {
            CandidateKind::Host => AgentKind::Host,
            CandidateKind::ServerReflexive => AgentKind::ServerReflexive,
            CandidateKind::PeerReflexive => AgentKind::PeerReflexive,
            CandidateKind::Relayed => AgentKind::Relayed,
        };
        self.agent.add_remote_candidate(Candidate::from_parts(
            foundation,
            1,
            Protocol::Udp,
            priority,
            address,
            kind,
            related,
            None,
            None,
        ));
        self.remote.push(candidate.clone());
        self.gatherer.relays_mut().permit(now, candidate.address);
        // Its check is due.
        self.pending = true;
        true
    }

    /// All candidates of ours, for a description.
    pub(super) fn gatherer(&mut self) -> &mut Gatherer {
        &mut self.gatherer
    }

    /// Our relayed addresses.
    pub(super) fn relays(&self) -> &Relays {
        self.gatherer.relays()
    }

    /// Returns the other side's address in use, if we say which it is.
    pub(super) fn selected_by_us(&self) -> Option<SocketAddr> {
        self.selected.filter(|_| self.found && self.agent.controlling()).map(|selected| selected.remote)
    }

    /// Returns why the call should end.
    pub(super) fn ending(&self, now: Instant) -> Option<Ending> {
        let relays = self.relays();
        let lost = |selected: Selected| relays.is_lost(selected.local);
        if self.selected.is_some_and(lost) {
            return Some(Ending::RelayLost);
        }
        if self.gatherer.is_relay_only() && relays.is_complete() && relays.addresses().next().is_none() {
            return Some(if self.selected.is_some() { Ending::RelayLost } else { Ending::NoRelay });
        }
        match self.state(now) {
            IceState::ConsentGone => Some(Ending::ConsentGone),
            IceState::Failed => Some(Ending::ChecksFailed),
            IceState::Checking | IceState::Connected => None,
        }
    }

    fn state(&self, now: Instant) -> IceState {
        match self.selected {
            _ if self.gone => IceState::ConsentGone,
            Some(selected) if now >= selected.consent => IceState::ConsentGone,
            Some(_) => IceState::Connected,
            None if now.since(self.began) >= CHECKING => IceState::Failed,
            None => IceState::Checking,
        }
    }

    /// Returns a snapshot, at the last time that was given.
    pub(super) fn stats(&self) -> IceStats {
        let now = self.told;
        let pair = self.selected.map(|selected| {
            let kind = self.remote.iter().find(|remote| remote.address == selected.remote).map(|remote| remote.kind);
            IcePair {
                local: selected.local,
                local_kind: self.gatherer.kind_of(selected.local).unwrap_or(CandidateKind::PeerReflexive),
                remote: selected.remote,
                remote_kind: kind.unwrap_or(CandidateKind::PeerReflexive),
            }
        });
        let round_trip = self.agent.nominated_pair_rtt();
        IceStats {
            state: self.state(now),
            pair,
            consent_left: self.selected.filter(|_| !self.gone).map(|selected| selected.consent.since(now)),
            round_trip: round_trip.map(|time| Duration::from_micros(time.as_micros() as u64)),
            controlling: self.agent.controlling(),
            lite: self.lite,
            ..self.stats
        }
    }

    fn at(&self, now: Instant) -> StdInstant {
        self.base + StdDuration::from_micros(now.as_micros())
    }

    fn ours(&self, at: StdInstant) -> Instant {
        Instant::from_micros(at.saturating_duration_since(self.base).as_micros() as u64)
    }

    /// Takes note of the agents' decisions.
    fn settle(&mut self, now: Instant) {
        while let Some(event) = quietly(|| self.agent.poll_event()) {
            if let IceAgentEvent::NominatedSend { source, destination, .. } = event
                && !self.gone
            {
                self.select(now, source, destination);
                self.found = true;
                if let Some((_, until)) = &mut self.former {
                    until.get_or_insert(now + FORMER);
                }
            }
        }
        if let Some((former, until)) = &mut self.former {
            while let Some(event) = quietly(|| former.poll_event()) {
                if let IceAgentEvent::NominatedSend { source, destination, .. } = event
                    && !self.found
                {
                    self.selected = Some(Selected { local: source, remote: destination, consent: now + CONSENT });
                }
            }
            if until.is_some_and(|until| now >= until) {
                self.former = None;
            }
        }
        let former = self.former.as_mut().and_then(|(former, _)| former.poll_timeout());
        let due = self.agent.poll_timeout().into_iter().chain(former).min();
        self.due = due.map(|due| self.ours(due));
    }

    fn select(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr) {
        let relays = self.gatherer.relays_mut();
        let is_way = |selected: &Selected| {
            let own = [selected.local, local].map(|own| Some(own).filter(|own| relays.is_or_was(*own)));
            selected.remote == remote && own[0] == own[1]
        };
        let same = self.selected.as_ref().is_some_and(|selected| self.found && is_way(selected));
        if !same {
            self.selected = Some(Selected { local, remote, consent: now + CONSENT });
            relays.bind(now, local, remote);
        }
    }

    /// The other side has just answered from there, or asked, if we never do.
    fn hears_consent(&mut self, now: Instant, from: SocketAddr, seen: Option<SocketAddr>) {
        // An answer by another way says nothing of this one.
        let way = self.selected.map(|selected| selected.local).filter(|local| self.relays().is_or_was(*local));
        let by = self.relayed;
        let Some(selected) = self.selected.as_mut().filter(|selected| selected.remote == from && !self.gone) else {
            return;
        };
        if way != by {
            return;
        }
        selected.consent = now + CONSENT;
        if let Some(seen) = seen.filter(|_| by.is_none()) {
            selected.local = seen;
        }
        self.lot ^= self.lot << 13;
        self.lot ^= self.lot >> 17;
        self.lot ^= self.lot << 5;
        let (least, most) = CONSENT_WAIT_MS;
        let wait_ms = least + self.lot % (most - least + 1);
        self.agent.set_max_stun_rto(StdDuration::from_millis(wait_ms.into()));
    }

    /// Returns whether the present datagram came by a way that we accept.
    fn is_way(&self) -> bool {
        self.relayed.is_some() || !self.gatherer.is_relay_only()
    }

    fn knows(&self, from: SocketAddr) -> bool {
        self.selected.is_some_and(|selected| selected.remote == from) || self.known.contains(&Some(from))
    }

    fn learns(&mut self, from: SocketAddr) {
        if !self.knows(from) {
            self.known[self.known_next] = Some(from);
            self.known_next = (self.known_next + 1) % KNOWN;
        }
    }

    /// The address of ours that a datagram of that family came to.
    fn here(&self, from: SocketAddr) -> Option<SocketAddr> {
        let direct = || self.gatherer.hosts().find(|host| host.is_ipv4() == from.is_ipv4());
        self.relayed.or_else(|| direct().filter(|_| !self.gatherer.is_relay_only()))
    }

    fn take_message(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> bool {
        let (Ok(message), Some(destination)) = (StunMessage::parse(datagram), self.here(from)) else {
            self.stats.strangers = self.stats.strangers.saturating_add(1);
            return false;
        };
        let request = message.is_binding_request();
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&datagram[8..20]);
        if !request && !self.asked.contains(&Some((transaction, from))) {
            self.stats.strays = self.stats.strays.saturating_add(1);
            return false;
        }
        let transmission = (hash_of(&transaction), hash_of(&from));
        let overheard = |taken: &Option<(u64, u64)>| {
            taken.is_some_and(|(transaction, from)| transaction == transmission.0 && from != transmission.1)
        };
        if request && self.taken.iter().any(overheard) {
            self.stats.strangers = self.stats.strangers.saturating_add(1);
            return false;
        }
        let at = self.at(now);
        let packet = || StunPacket { proto: Protocol::Udp, source: from, destination, message };
        let taken = if self.agent.accepts_message(&message) {
            self.agent.handle_packet(at, packet())
        } else {
            self.former.as_mut().is_some_and(|(former, _)| former.handle_packet(at, packet()))
        };
        if !taken {
            let count = if request { &mut self.stats.strangers } else { &mut self.stats.strays };
            *count = count.saturating_add(1);
            return false;
        }
        self.pending = true;
        self.settle(now);
        if request {
            self.stats.requests = self.stats.requests.saturating_add(1);
            self.taken[self.taken_next] = Some(transmission);
            self.taken_next = (self.taken_next + 1) % TAKEN;
            // Once there is a pair, a peer that is to be heard must answer too.
            if self.lite || self.selected.is_none() {
                self.learns(from);
            }
            if self.lite {
                self.hears_consent(now, from, None);
            }
        } else if message.is_successful_binding_response() {
            self.stats.answers = self.stats.answers.saturating_add(1);
            self.learns(from);
            self.hears_consent(now, from, message.mapped_address());
            self.settle(now);
        }
        true
    }

    /// Returns the next datagram of an agent that fits.
    fn next_of_agents(&mut self, now: Instant, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let mut next = || {
            self.agent.poll_transmit().or_else(|| self.former.as_mut().and_then(|(former, _)| former.poll_transmit()))
        };
        while let Some(transmit) = next() {
            let (bytes, own, to) = (&*transmit.contents, transmit.source, transmit.destination);
            let Some(place) = buffer.get_mut(..bytes.len()) else { continue };
            place.copy_from_slice(bytes);
            if let [0, 1, ..] = bytes {
                self.stats.checks = self.stats.checks.saturating_add(1);
                let mut transaction = [0; 12];
                transaction.copy_from_slice(&bytes[8..20]);
                self.asked[self.asked_next] = Some((transaction, to));
                self.asked_next = (self.asked_next + 1) % ASKED;
            }
            let len = bytes.len();
            let hides = self.gatherer.is_relay_only();
            let relays = self.gatherer.relays_mut();
            if !relays.is_or_was(own) {
                if hides {
                    // The address is that of an earlier gathering: no other way may be taken.
                    continue;
                }
                return Some((len, to));
            }
            // It goes when its permission is there.
            if let Some(wrapped) = relays.encapsulate_check(now, own, to, buffer, len) {
                return Some(wrapped);
            }
        }
        None
    }
}

/// Returns a hash for comparison, in a table that is small.
fn hash_of(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// Calls the agent without logging, since it would log passwords, some of them at TRACE only.
fn quietly<T>(ask: impl FnOnce() -> T) -> T {
    tracing::dispatcher::with_default(&tracing::Dispatch::none(), ask)
}

/// Returns an agent with our candidates and both sides' credentials.
fn agent(agreed: &NegotiatedIce, controlling: bool, gatherer: &Gatherer) -> IceAgent {
    let creds = |own: &IceCredentials| IceCreds { ufrag: own.ufrag.clone(), pass: own.pwd.clone() };
    let mut agent = quietly(|| IceAgent::new(creds(&agreed.local)));
    agent.set_ice_lite(agreed.lite);
    agent.set_controlling(controlling);
    agent.set_max_candidate_pairs(PAIRS);
    agent.set_max_stun_retransmits(QUESTIONS);
    agent.set_max_stun_rto(StdDuration::from_secs(5));
    quietly(|| agent.set_remote_credentials(creds(&agreed.remote.credentials)));
    // All hosts are one socket; which of its addresses a packet leaves by is the system's choice. One of each family represents
    // them.
    for v4 in [true, false].into_iter().filter(|_| !gatherer.is_relay_only()) {
        let host = gatherer.hosts().find(|host| host.is_ipv4() == v4);
        if let Some(candidate) = host.and_then(|host| Candidate::host(host, Protocol::Udp).ok()) {
            agent.add_local_candidate(candidate);
        }
    }
    relayed::add(&mut agent, gatherer);
    agent
}

impl Path for IcePath {
    fn remote(&self) -> SocketAddr {
        self.selected.map_or(self.named, |selected| selected.remote)
    }

    fn may_send(&self, now: Instant) -> bool {
        !self.gone && self.selected.is_some_and(|selected| now < selected.consent)
    }

    fn may_hear(&self, from: SocketAddr) -> bool {
        self.is_way() && self.knows(from)
    }

    fn believes(&self, _now: Instant, from: SocketAddr) -> bool {
        self.is_way() && self.knows(from)
    }

    fn hear(&mut self, _now: Instant, from: SocketAddr, _claim: Claim) -> bool {
        self.is_way() && self.knows(from)
    }

    fn renegotiated(&mut self, _now: Instant, named: SocketAddr) {
        self.named = named;
    }

    fn handshake(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> bool {
        if DatagramKind::of(datagram) != DatagramKind::Stun {
            return false;
        }
        self.told = now;
        self.gatherer.take(from, datagram) || self.take_message(now, from, datagram)
    }

    fn transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        self.told = now;
        if self.selected.is_some_and(|selected| now >= selected.consent) {
            // Only a restart brings it back.
            self.gone = true;
        }
        let own = self.gatherer.transmit(now, buffer);
        if self.gatherer.take_news() {
            self.add_relays(now);
        }
        if own.is_some() {
            return own;
        }
        // Between two checks this is called for each packet.
        let is_due = self.pending || self.due.is_some_and(|due| due <= now);
        if !is_due && !self.speaks {
            return None;
        }
        // Datagrams that are due now are returned, with those that follow from them; then none is for 50 ms.
        if let Some(next) = self.next_of_agents(now, buffer) {
            return Some(next);
        }
        self.speaks = false;
        if !is_due {
            return None;
        }
        let at = self.at(now);
        if !self.gone {
            quietly(|| self.agent.handle_timeout(at));
        }
        if let Some((former, _)) = &mut self.former {
            quietly(|| former.handle_timeout(at));
        }
        self.pending = false;
        self.settle(now);
        let next = self.next_of_agents(now, buffer);
        self.speaks = next.is_some();
        next
    }

    fn next_deadline(&self) -> Option<Instant> {
        if self.pending {
            return Some(Instant::ZERO);
        }
        self.due.into_iter().chain(self.gatherer.next_deadline()).min()
    }
}
