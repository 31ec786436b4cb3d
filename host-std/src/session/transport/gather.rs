//! Our own candidates: the addresses of the call, how STUN servers see them, and those of TURN servers that pass on (RFC 8445,
//! 5.1.1; RFC 8489; `relays`).
//!
//! The queries go out by the socket of the call's packets, before there is an offer and, where an answer is slow, while the call
//! runs: a late candidate can be trickled. A query is repeated after 0.5, 1 and 2 s and given up 4 s after the last.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dsp_core::time::{Duration, Instant};

use super::relays::{RelayedOrMapped, Relays};
use crate::sdp::{CandidateKind, IceCandidate, MAX_CANDIDATES};
use crate::session::ice::{IceConfig, IceMode};

/// The first wait for an answer; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Queries to one server.
const QUERIES: u32 = 4;
/// The time that a description waits: a server that answers the third query is not waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// The same where there is nothing to say without a relayed address: until a TURN server that is silent is given up.
const PATIENCE_RELAY_ONLY: Duration = Duration::from_secs(13);
/// STUN's magic cookie (RFC 8489, 5).
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
pub(super) const HEADER_BYTES: usize = 20;
const BINDING_REQUEST: [u8; 2] = [0, 1];
const BINDING_SUCCESS: [u8; 2] = [1, 1];
const XOR_MAPPED_ADDRESS: u16 = 0x20;
/// The attribute of servers before RFC 5389.
const MAPPED_ADDRESS: u16 = 1;

/// One question to one server.
struct Query {
    server: SocketAddr,
    transaction: [u8; 12],
    sent: u32,
    /// The time at which it is asked next, or given up.
    next: Instant,
    over: bool,
}

/// The gatherer of our candidates.
pub(in crate::session) struct Gatherer {
    queries: Vec<Query>,
    relays: Relays,
    relay_only: bool,
    base: SocketAddr,
    hosts: Vec<SocketAddr>,
    found: Vec<IceCandidate>,
    /// The number of found candidates that are in a description, or were trickled.
    told: usize,
    began: Option<Instant>,
}

impl Gatherer {
    /// Host candidates of the call's address (the best) and of others at the same port; queries to the servers, unless we are
    /// lite. The transaction ids of those to STUN servers `random` is for.
    pub(in crate::session) fn new(base: SocketAddr, config: &IceConfig, random: &[u8; 32]) -> Self {
        let full = config.mode == IceMode::Full;
        let (stun, turn) = if full { (&config.stun[..], &config.turn[..]) } else { (&[][..], &[][..]) };
        let relay_only = full && config.relay_only;
        let mut hosts = vec![base];
        for other in &config.addresses {
            let address = SocketAddr::new(other.to_canonical(), base.port());
            if !hosts.contains(&address) {
                hosts.push(address);
            }
        }
        let found = hosts
            .iter()
            .zip(0u16..)
            .map(|(host, at)| IceCandidate::new(CandidateKind::Host, *host, *host, u16::MAX - at));
        let found = found.filter(|_| !relay_only).collect();
        let queries = stun.iter().filter(|_| !relay_only).zip(0u8..).map(|(server, at)| {
            let mut transaction = [0; 12];
            transaction.copy_from_slice(&random[..12]);
            transaction[11] = transaction[11].wrapping_add(at);
            Query { server: *server, transaction, sent: 0, next: Instant::ZERO, over: false }
        });
        let relays = Relays::new(base, turn);
        Self { queries: queries.collect(), relays, relay_only, base, hosts, found, told: 0, began: None }
    }

    /// Returns the candidates found so far, for another path by the same socket; without relayed addresses, of which a server
    /// knows one user.
    pub(in crate::session) fn fork(&self) -> Self {
        let found: Vec<_> = self.found.iter().filter(|found| found.kind != CandidateKind::Relayed).cloned().collect();
        Self {
            queries: Vec::new(),
            relays: Relays::new(self.base, &[]),
            relay_only: self.relay_only,
            base: self.base,
            hosts: self.hosts.clone(),
            told: found.len(),
            found,
            began: self.began,
        }
    }

    /// Our relayed addresses.
    pub(in crate::session) fn relays(&self) -> &Relays {
        &self.relays
    }

    /// Our relayed addresses.
    pub(in crate::session) fn relays_mut(&mut self) -> &mut Relays {
        &mut self.relays
    }

    /// Returns whether packets take relayed addresses alone, and no other is disclosed.
    pub(in crate::session) fn is_relay_only(&self) -> bool {
        self.relay_only
    }

    /// Returns whether nothing was found, and no server is being asked any more.
    #[cfg(feature = "manager")]
    pub(in crate::session) fn hears_nowhere(&self) -> bool {
        self.found.is_empty() && self.is_complete()
    }

    /// All that were found, the best first.
    pub(in crate::session) fn candidates(&mut self) -> Vec<IceCandidate> {
        self.told = self.found.len();
        let mut all = self.found.clone();
        all.sort_by_key(|candidate| std::cmp::Reverse(candidate.priority));
        all
    }

    /// Returns the next one that no description has.
    pub(in crate::session) fn next_untold(&mut self) -> Option<IceCandidate> {
        let next = self.found.get(self.told)?.clone();
        self.told += 1;
        Some(next)
    }

    /// Returns the addresses of our own.
    pub(super) fn hosts(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.hosts.iter().copied()
    }

    /// Returns the kind of an address of ours, if it is a candidate.
    pub(super) fn kind_of(&self, address: SocketAddr) -> Option<CandidateKind> {
        self.found.iter().find(|found| found.address == address).map(|found| found.kind)
    }

    /// Returns whether a server may still answer.
    pub(in crate::session) fn is_complete(&self) -> bool {
        self.queries.iter().all(|query| query.over) && self.relays.is_complete()
    }

    /// Returns whether a description should wait.
    pub(in crate::session) fn is_worth_waiting(&self, now: Instant) -> bool {
        let patience = if self.relay_only { PATIENCE_RELAY_ONLY } else { PATIENCE };
        !self.is_complete() && self.began.is_none_or(|began| now.since(began) < patience)
    }

    /// Returns the next query that is due.
    pub(in crate::session) fn transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        self.began.get_or_insert(now);
        for query in self.queries.iter_mut().filter(|query| !query.over && query.next <= now) {
            if query.sent == QUERIES {
                query.over = true;
                continue;
            }
            let packet = buffer.get_mut(..HEADER_BYTES)?;
            packet[..2].copy_from_slice(&BINDING_REQUEST);
            packet[2..4].fill(0);
            packet[4..8].copy_from_slice(&COOKIE);
            packet[8..].copy_from_slice(&query.transaction);
            query.sent += 1;
            let wait = FIRST_WAIT.as_micros() << (query.sent - 1);
            query.next = now + Duration::from_micros(wait);
            return Some((HEADER_BYTES, query.server));
        }
        self.relays.transmit(now, buffer)
    }

    /// Returns when a query is due.
    pub(in crate::session) fn next_deadline(&self) -> Option<Instant> {
        let queries = self.queries.iter().filter(|query| !query.over).map(|query| query.next);
        queries.chain(self.relays.next_deadline()).min()
    }

    /// Takes in an answer of a server; whether it was one.
    pub(in crate::session) fn take(&mut self, from: SocketAddr, datagram: &[u8]) -> bool {
        let (Some(kind), Some(transaction)) = (datagram.get(..2), datagram.get(8..HEADER_BYTES)) else { return false };
        let is_it = |query: &&mut Query| query.server == from && query.sent > 0 && query.transaction == transaction;
        let Some(query) = self.queries.iter_mut().find(is_it) else { return false };
        // A request of ours that comes back is no answer.
        if kind == BINDING_REQUEST {
            return false;
        }
        query.over = true;
        if kind != BINDING_SUCCESS {
            return true;
        }
        let Some(seen) = mapped_address(datagram).filter(|seen| seen.is_ipv4() == self.base.is_ipv4()) else {
            return true;
        };
        self.find(CandidateKind::ServerReflexive, seen, self.base);
        true
    }

    /// Takes note of the TURN servers' reports; returns whether there is a further relayed address.
    pub(in crate::session) fn take_news(&mut self) -> bool {
        let mut more = false;
        while let Some((news, address)) = self.relays.next_news() {
            // Where our location must not be disclosed, the related address isn't either (RFC 8839, 5.1).
            let unspecified = if address.is_ipv4() { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
            match news {
                RelayedOrMapped::Relayed(mapped) => {
                    let behind = mapped.filter(|_| !self.relay_only);
                    self.find(CandidateKind::Relayed, address, behind.unwrap_or((unspecified, 9).into()));
                    more = true;
                }
                RelayedOrMapped::Mapped if !self.relay_only && address.is_ipv4() == self.base.is_ipv4() => {
                    self.find(CandidateKind::ServerReflexive, address, self.base);
                }
                RelayedOrMapped::Mapped => {}
            }
        }
        more
    }

    fn find(&mut self, kind: CandidateKind, address: SocketAddr, base: SocketAddr) {
        if self.found.iter().all(|found| found.address != address) && self.found.len() < MAX_CANDIDATES {
            let at = self.found.iter().filter(|found| found.kind == kind).count();
            self.found.push(IceCandidate::new(kind, address, base, u16::MAX - at as u16));
        }
    }
}

/// Returns the address that a response reports for its requester.
pub(super) fn mapped_address(message: &[u8]) -> Option<SocketAddr> {
    match attribute(message, XOR_MAPPED_ADDRESS) {
        Some(value) => address(value, message.get(4..HEADER_BYTES)?),
        None => address(attribute(message, MAPPED_ADDRESS)?, &[0; 16]),
    }
}

/// Returns the first attribute of this kind; `None` too where the message is broken before it.
pub(in crate::session) fn attribute(message: &[u8], kind: u16) -> Option<&[u8]> {
    let mut rest = message.get(HEADER_BYTES..)?;
    while let [kind0, kind1, len0, len1, after @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*len0, *len1]));
        let value = after.get(..len)?;
        if u16::from_be_bytes([*kind0, *kind1]) == kind {
            return Some(value);
        }
        rest = after.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    None
}

/// Returns an address under a mask of 16 bytes (RFC 8489, 14.2).
fn address(value: &[u8], mask: &[u8]) -> Option<SocketAddr> {
    let [_, family, port @ ..] = value else { return None };
    let masked = |at: usize| Some(port.get(at)? ^ mask.get(if at < 2 { at } else { at - 2 })?);
    let number = u16::from_be_bytes([masked(0)?, masked(1)?]);
    let ip: IpAddr = match family {
        1 => Ipv4Addr::from([masked(2)?, masked(3)?, masked(4)?, masked(5)?]).into(),
        2 => {
            let mut octets = [0; 16];
            for (at, octet) in octets.iter_mut().enumerate() {
                *octet = masked(at + 2)?;
            }
            Ipv6Addr::from(octets).to_canonical()
        }
        _ => return None,
    };
    (number != 0).then(|| SocketAddr::new(ip, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "192.0.2.9:4000";
    const SERVER: &str = "198.51.100.1:3478";

    /// RFC 5769, 2.2: a response that has XOR-MAPPED-ADDRESS 192.0.2.1:32853, with its transaction.
    const RESPONSE: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643\
                            000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96";
    /// RFC 5769, 2.3: the same with [2001:db8:1234:5678:11:2233:4455:6677]:32853.
    const RESPONSE_6: &str = "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a147\
                              0113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn the_responses_of_rfc_5769_are_read() {
        assert_eq!(mapped_address(&bytes(RESPONSE)), Some("192.0.2.1:32853".parse().unwrap()));
        let six = "[2001:db8:1234:5678:11:2233:4455:6677]:32853";
        assert_eq!(mapped_address(&bytes(RESPONSE_6)), Some(six.parse().unwrap()));
        // Cut anywhere, or with any length in it, it is none or the same, and no panic.
        for len in 0..bytes(RESPONSE).len() {
            let _ = mapped_address(&bytes(RESPONSE)[..len]);
            for value in [0, 1, 3, 0x7f, 0xff] {
                let mut broken = bytes(RESPONSE);
                broken[len] = value;
                let _ = mapped_address(&broken);
            }
        }
    }

    #[test]
    fn a_server_is_asked_four_times_and_only_its_own_answer_counts() {
        let mut random = [7; 32];
        random[..12].copy_from_slice(&bytes(RESPONSE)[8..20]);
        let server: SocketAddr = SERVER.parse().unwrap();
        let config = IceConfig { mode: IceMode::Full, stun: vec![server], ..IceConfig::default() };
        let new = || Gatherer::new(BASE.parse().unwrap(), &config, &random);
        let (mut asked, mut gatherer, mut buffer) = (Vec::new(), new(), [0; 100]);
        for ms in 0..10_000 {
            if let Some((len, to)) = gatherer.transmit(Instant::from_millis(ms), &mut buffer) {
                assert_eq!((len, to), (20, server));
                asked.push(ms);
            }
            if ms == 1_900 {
                assert!(gatherer.is_worth_waiting(Instant::from_millis(ms)));
            }
        }
        assert_eq!(asked, [0, 500, 1_500, 3_500]);
        assert!(gatherer.is_complete() && gatherer.next_deadline().is_none() && gatherer.candidates().len() == 1);

        let mut gatherer = new();
        let answer = bytes(RESPONSE);
        assert!(!gatherer.take(server, &answer), "nothing was asked");
        gatherer.transmit(Instant::ZERO, &mut buffer);
        assert!(!gatherer.take("198.51.100.2:3478".parse().unwrap(), &answer));
        let mut other = answer.clone();
        other[19] ^= 1;
        assert!(!gatherer.take(server, &other) && !gatherer.is_complete());
        assert_eq!(gatherer.candidates().len(), 1);
        assert!(gatherer.take(server, &answer) && gatherer.is_complete());
        let late = gatherer.next_untold().unwrap();
        assert_eq!(late.to_attribute(), "s40 1 udp 1694498815 192.0.2.1 32853 typ srflx raddr 192.0.2.9 rport 4000");
        assert_eq!((gatherer.next_untold(), gatherer.candidates().len()), (None, 2));
    }
}
