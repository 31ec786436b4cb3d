//! A small TURN server (RFC 8656) in virtual time, written from the RFC alone: it knows one user, keeps allocations, permissions and
//! channels as long as they last and not longer, and refuses what it is told to.

use std::net::{IpAddr, SocketAddr};

use dsp_core::time::{Duration, Instant};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// The user that it knows.
pub const USER: &str = "user";
/// His password.
pub const PASSWORD: &str = "password";
/// MD5 of `user:realm:password` (RFC 8489, 9.2.2).
const KEY: [u8; 16] = [0xeb, 0xbc, 0x0f, 0xf9, 0xa1, 0x21, 0xdb, 0xb6, 0x78, 0x9b, 0xbe, 0x5f, 0x82, 0x17, 0x4f, 0xa0];
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const ALLOCATE: u16 = 3;
const REFRESH: u16 = 4;
const PERMIT: u16 = 8;
const BIND: u16 = 9;
/// What an allocation lasts, and the most that one gets.
const LIFETIME: u32 = 600;
const PERMISSION: Duration = Duration::from_secs(300);
const CHANNEL: Duration = Duration::from_secs(600);

/// A datagram that leaves the server.
pub struct Passed {
    /// The server, or one of its relayed addresses.
    pub from: SocketAddr,
    /// A client or a peer.
    pub to: SocketAddr,
    /// What.
    pub bytes: Vec<u8>,
}

/// An allocation.
pub struct Allocation {
    /// Whose.
    pub client: SocketAddr,
    /// What it was given.
    pub relayed: SocketAddr,
    /// How long.
    pub until: Instant,
    permissions: Vec<(IpAddr, Instant)>,
    channels: Vec<(u16, SocketAddr, Instant)>,
}

/// A question that was answered: when, its method, and the error (0: none).
pub type Answered = (Instant, u16, u16);

/// The server.
pub struct TurnModel {
    /// Where it is.
    pub address: SocketAddr,
    /// What it has given.
    pub allocations: Vec<Allocation>,
    /// What it was asked.
    pub answered: Vec<Answered>,
    /// What is refused in any case, and by what error.
    pub refuses: Vec<(u16, u16)>,
    /// Whether it says nothing.
    pub silent: bool,
    /// Whether its answers come twice, as to a question that was repeated.
    pub twice: bool,
    /// A nonce is stale after so long.
    pub fresh: Duration,
    nonce: (u64, Instant),
    port: u16,
    /// Datagrams of clients by channel,
    pub by_channel: u32,
    /// by indication,
    pub by_indication: u32,
    /// and those of both sides that had no permission, a time that was over or no place.
    pub dropped: u32,
}

impl TurnModel {
    /// One that gives what it's asked for.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            allocations: Vec::new(),
            answered: Vec::new(),
            refuses: Vec::new(),
            silent: false,
            twice: false,
            fresh: Duration::from_secs(3_600),
            nonce: (1, Instant::ZERO),
            port: 50_000,
            by_channel: 0,
            by_indication: 0,
            dropped: 0,
        }
    }

    /// So many answers to questions of this method, without and with errors.
    pub fn count(&self, method: u16) -> [usize; 2] {
        let with =
            |wrong: bool| self.answered.iter().filter(move |(_, own, error)| *own == method && (*error != 0) == wrong);
        [with(false).count(), with(true).count()]
    }

    /// From a client.
    ///
    /// # Panics
    /// For what no client of ours may send: another transport than UDP, a channel's number out of its range, and what is cut.
    pub fn take(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> Vec<Passed> {
        if self.silent {
            return Vec::new();
        }
        self.allocations.retain(|allocation| now < allocation.until);
        if bytes[0] & 0xc0 == 0x40 {
            let (number, len) = (u16::from_be_bytes([bytes[0], bytes[1]]), u16::from_be_bytes([bytes[2], bytes[3]]));
            let data = bytes[4..4 + usize::from(len)].to_vec();
            let allocation = self.allocations.iter().find(|allocation| allocation.client == from);
            let bound = allocation.and_then(|allocation| {
                let channels = allocation.channels.iter();
                let bound = channels.clone().find(|(own, _, until)| *own == number && now < *until)?;
                Some((allocation.relayed, bound.1))
            });
            let Some((relayed, to)) = bound else {
                self.dropped += 1;
                return Vec::new();
            };
            self.by_channel += 1;
            return vec![Passed { from: relayed, to, bytes: data }];
        }
        let kind = u16::from_be_bytes([bytes[0], bytes[1]]);
        if kind == 0x0016 {
            let peer = address_of(bytes, 0x12).unwrap();
            let data = attribute(bytes, 0x13).unwrap().to_vec();
            let allocation = self.allocations.iter().find(|allocation| allocation.client == from);
            let Some(relayed) = allocation.filter(|own| own.permits(now, peer.ip())).map(|own| own.relayed) else {
                self.dropped += 1;
                return Vec::new();
            };
            self.by_indication += 1;
            return vec![Passed { from: relayed, to: peer, bytes: data }];
        }
        let (error, mut body) = match self.answer(now, from, kind, bytes) {
            Ok(body) => (0, body),
            Err(error) => (error, Vec::new()),
        };
        if error != 0 {
            put(&mut body, 9, &[0, 0, (error / 100) as u8, (error % 100) as u8, b'n', b'o']);
            if [401, 438].contains(&error) {
                put(&mut body, 0x14, b"realm");
                put(&mut body, 0x15, self.nonce.0.to_string().as_bytes());
            }
        }
        self.answered.push((now, kind, error));
        let class = if error == 0 { 0x0100 } else { 0x0110 };
        let answer = message(kind | class, &bytes[8..20], body, ![401, 438].contains(&error));
        let copies = if self.twice { 2 } else { 1 };
        let passed = |bytes| Passed { from: self.address, to: from, bytes };
        std::iter::repeat_n(answer, copies).map(passed).collect()
    }

    fn answer(&mut self, now: Instant, from: SocketAddr, kind: u16, bytes: &[u8]) -> Result<Vec<u8>, u16> {
        if now.since(self.nonce.1) >= self.fresh {
            self.nonce = (self.nonce.0 + 1, now);
        }
        let nonce = attribute(bytes, 0x15).ok_or(401u16)?;
        if !is_signed(bytes) || attribute(bytes, 6) != Some(USER.as_bytes()) || attribute(bytes, 0x14) != Some(b"realm")
        {
            return Err(401);
        }
        if nonce != self.nonce.0.to_string().as_bytes() {
            return Err(438);
        }
        if let Some((_, error)) = self.refuses.iter().find(|(method, _)| *method == kind) {
            return Err(*error);
        }
        let wanted = attribute(bytes, 0x0d).map(|seconds| u32::from_be_bytes(seconds.try_into().unwrap()));
        let place = self.allocations.iter().position(|allocation| allocation.client == from);
        let mut body = Vec::new();
        match (kind, place) {
            (ALLOCATE, Some(_)) => return Err(437),
            (ALLOCATE, None) => {
                assert_eq!(attribute(bytes, 0x19).map(|transport| transport[0]), Some(17), "UDP is what it passes on");
                self.port += 1;
                let relayed = SocketAddr::new(self.address.ip(), self.port);
                let until = now + Duration::from_secs(LIFETIME.into());
                let (permissions, channels) = (Vec::new(), Vec::new());
                self.allocations.push(Allocation { client: from, relayed, until, permissions, channels });
                put(&mut body, 0x16, &masked(relayed));
                put(&mut body, 0x20, &masked(from));
                put(&mut body, 0x0d, &LIFETIME.to_be_bytes());
            }
            (_, None) => return Err(437),
            (REFRESH, Some(place)) => {
                let lifetime = if wanted == Some(0) { 0 } else { LIFETIME };
                self.allocations[place].until = now + Duration::from_secs(lifetime.into());
                self.allocations.retain(|allocation| now < allocation.until);
                put(&mut body, 0x0d, &lifetime.to_be_bytes());
            }
            (PERMIT, Some(place)) => {
                let peer = address_of(bytes, 0x12).ok_or(400u16)?;
                self.allocations[place].permit(now, peer.ip());
            }
            (BIND, Some(place)) => {
                let peer = address_of(bytes, 0x12).ok_or(400u16)?;
                let number = attribute(bytes, 0x0c).ok_or(400u16)?;
                let number = u16::from_be_bytes([number[0], number[1]]);
                assert!((0x4000..0x5000).contains(&number), "{number:x}");
                let allocation = &mut self.allocations[place];
                allocation.channels.retain(|(_, _, until)| now < *until);
                if allocation.channels.iter().any(|(own, to, _)| (*own == number) != (*to == peer)) {
                    return Err(400);
                }
                allocation.channels.retain(|(own, _, _)| *own != number);
                allocation.channels.push((number, peer, now + CHANNEL));
                allocation.permit(now, peer.ip());
            }
            _ => return Err(400),
        }
        Ok(body)
    }

    /// From a peer, to one of the relayed addresses; `None` if it is none.
    pub fn take_for_relayed(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
    ) -> Option<Vec<Passed>> {
        if to.ip() != self.address.ip() || to == self.address {
            return None;
        }
        self.allocations.retain(|allocation| now < allocation.until);
        let allocation = self.allocations.iter().find(|allocation| allocation.relayed == to);
        let Some(allocation) = allocation.filter(|own| own.permits(now, from.ip()) && !self.silent) else {
            self.dropped += 1;
            return Some(Vec::new());
        };
        let bound = allocation.channels.iter().find(|(_, peer, until)| *peer == from && now < *until);
        let bytes = match bound {
            Some((number, ..)) => [&number.to_be_bytes(), &(bytes.len() as u16).to_be_bytes()[..], bytes].concat(),
            None => {
                let mut body = Vec::new();
                put(&mut body, 0x12, &masked(from));
                put(&mut body, 0x13, bytes);
                message(0x0017, &[7; 12], body, false)
            }
        };
        Some(vec![Passed { from: self.address, to: allocation.client, bytes }])
    }
}

impl Allocation {
    fn permit(&mut self, now: Instant, ip: IpAddr) {
        self.permissions.retain(|(own, _)| *own != ip);
        self.permissions.push((ip, now + PERMISSION));
    }

    fn permits(&self, now: Instant, ip: IpAddr) -> bool {
        self.permissions.iter().any(|(own, until)| *own == ip && now < *until)
    }
}

/// A message, signed or not.
pub fn message(kind: u16, transaction: &[u8], body: Vec<u8>, signed: bool) -> Vec<u8> {
    let len = body.len() + if signed { 24 } else { 0 };
    let mut message = [&kind.to_be_bytes()[..], &(len as u16).to_be_bytes(), &COOKIE, transaction, &body].concat();
    if signed {
        let tag = tag(&message);
        put(&mut message, 8, &tag);
    }
    message
}

fn tag(bytes: &[u8]) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(&KEY).unwrap();
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

fn is_signed(bytes: &[u8]) -> bool {
    let Some(own) = attribute(bytes, 8) else { return false };
    let end = own.as_ptr().addr() - bytes.as_ptr().addr() - 4;
    let mut signed = bytes[..end].to_vec();
    signed[2..4].copy_from_slice(&((end - 20 + 24) as u16).to_be_bytes());
    tag(&signed) == own
}

/// Adds an attribute.
pub fn put(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend(kind.to_be_bytes());
    body.extend((value.len() as u16).to_be_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

fn attribute(message: &[u8], kind: u16) -> Option<&[u8]> {
    let mut rest = &message[20..];
    while rest.len() >= 4 {
        let len = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        if u16::from_be_bytes([rest[0], rest[1]]) == kind {
            return Some(&rest[4..4 + len]);
        }
        rest = &rest[(4 + len).next_multiple_of(4)..];
    }
    None
}

/// An address of IPv4 under the cookie.
fn masked(address: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(address) = address else { panic!("IPv4 in these tests") };
    let mut value = vec![0, 1];
    value.extend((address.port() ^ 0x2112).to_be_bytes());
    value.extend(address.ip().octets().iter().zip(COOKIE).map(|(octet, mask)| octet ^ mask));
    value
}

fn address_of(message: &[u8], kind: u16) -> Option<SocketAddr> {
    let value = attribute(message, kind)?;
    let ip: Vec<u8> = value[4..8].iter().zip(COOKIE).map(|(octet, mask)| octet ^ mask).collect();
    let ip = <[u8; 4]>::try_from(ip).unwrap();
    Some((ip, u16::from_be_bytes([value[2], value[3]]) ^ 0x2112).into())
}
