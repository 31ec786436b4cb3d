//! The keys of a call by a DTLS handshake on its path: DTLS-SRTP (RFC 5763, RFC 5764), versions 1.2 and 1.3.
//!
//! The engine is the crate `dimpl`, and [`v12`] for peers that may have a certificate of RSA, which `dimpl` can't check. This
//! module adds the rules of a call: the certificate that the peer must have, the addresses that are answered, the time after
//! which the handshake is given up, and the protection against interference by strangers.
//!
//! - Nothing is sent or played before the certificate's fingerprint is the one in the other side's description.
//! - The address that the description names has priority. Another one (that of a client behind a NAT, or of a server with
//!   several) is listened to only while nothing has come from the named one, and only one client at a time; a handshake that it
//!   began ends when the named one sends.
//! - A handshake that was broken by a forged datagram restarts a little later, one without progress after 7 s, until 30 s are
//!   over; and when a client restarts, so does the server (RFC 6347, 4.2.8).
//! - Certificates are ECDSA's on P-256 or P-384, as every browser has them, or RSA's of 2048 bits and more, as many phones have
//!   them. A client that offers DTLS 1.2 alone is answered by `v12`, since the kind of its certificate isn't known; a server that
//!   refuses what `dimpl` offers is asked by `v12`. Ours is always of ECDSA.
//! - An address that no description names, and that has proved nothing, gets at most three times the bytes that it sent
//!   (as RFC 9000, 8.1 has it for QUIC).
//!
//! It allocates during a handshake, and not once the call is keyed.

mod v12;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant as StdInstant;

use ctutils::CtEq;
use dimpl::{Dtls, Output};
use dsp_core::guard::srtp::SrtpProfile;
use dsp_core::time::{Duration, Instant};
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::sdp::{CryptoSuite, Fingerprint, FingerprintHash, NegotiatedDtls, NegotiatedTransport, SrtpKeys};
use crate::session::certificate::Certificate;
use crate::session::config::CallSettings;
use crate::session::outcome::HandshakeFailure;

/// The time without keys after which a handshake has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// The first retransmission comes after this time; RFC 6347, 4.2.4.1 would have 1 s, and allows less where time presses.
const FIRST_RETRY: std::time::Duration = std::time::Duration::from_millis(300);
/// The number of retransmissions. With twice the wait each time, they last for some 19 s.
const RETRIES: usize = 6;
/// The time after which a broken handshake restarts.
const PAUSE: Duration = Duration::from_millis(250);
/// The time without keys after which a client restarts: the server's answer may be that to another client.
const STALLED: Duration = Duration::from_secs(7);
/// A server that answers from another address than it named is heard after this time only.
const NAMED_FIRST: Duration = Duration::from_secs(1);
/// Another first ClientHello is not looked at so soon after the one before: it would end every handshake.
const SETTLED: Duration = Duration::from_millis(300);
/// The time that a stranger may take for a handshake before another one may try.
const TURN: Duration = Duration::from_secs(3);
/// The usual length of the engine's output; a long certificate exceeds it.
const USUAL_BYTES: usize = 2_048;
/// The longest record, and some room for its header.
const RECORD_BYTES: usize = 16_384 + 256;
/// Datagrams that wait to be sent; a flight has fewer.
const MAX_WAITING: usize = 32;
/// The factor of its own bytes that an address gets that proved nothing.
const AMPLIFICATION: usize = 3;
/// Bytes of a datagram, IP and UDP headers not counted.
const DATAGRAM_BYTES: usize = 1_150;

/// The implementation of the handshake.
enum Engine {
    /// DTLS 1.2 and 1.3, with certificates of ECDSA.
    Auto(Box<Dtls>),
    /// DTLS 1.2, with certificates of RSA too.
    V12(Box<v12::Handshake>),
}

/// One DTLS association.
pub(super) struct Association {
    agreed: NegotiatedDtls,
    certificate: Certificate,
    /// `None` once it is of no use any more.
    engine: Option<Engine>,
    /// Whether a server has refused the offer of the engine for ECDSA alone.
    refused: bool,
    /// Ours, and the engine's time at it.
    epoch: (Instant, StdInstant),
    state: State,
    /// Exported, and not yet fetched.
    keys: Option<SrtpKeys>,
    waiting: VecDeque<Vec<u8>>,
    deadline: Option<Instant>,
    /// The latest time that was given; below is the time at which this handshake began.
    told: Instant,
    began: Instant,
    /// The time since which there is no engine, because it was broken from outside.
    broken: Option<Instant>,
    /// The failure of the last handshake that was broken from outside.
    was_broken: Option<HandshakeFailure>,
    /// Whether the address that the description names has spoken.
    named_spoke: bool,
    elsewhere: Option<Elsewhere>,
    /// The random bytes of the ClientHello that a server answers, and when it came.
    client: Option<([u8; 32], Instant)>,
    buffer: Vec<u8>,
}

/// A peer that sends from another address than the path's.
#[derive(Clone, Copy)]
struct Elsewhere {
    address: SocketAddr,
    since: Instant,
    /// The number of bytes that it may still get.
    credit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The certificate has not been seen.
    Handshake,
    /// The certificate is the one that was named.
    Verified,
    /// There are keys.
    Keyed,
    /// The other side has ended it.
    Closed,
    Failed(HandshakeFailure),
}

impl Association {
    /// Creates the association that was agreed on; `None` where keys come from elsewhere.
    pub(super) fn agreed(now: Instant, agreed: &NegotiatedTransport, settings: &CallSettings) -> Option<Box<Self>> {
        let (agreed, certificate) = (agreed.dtls.as_ref()?, settings.certificate.as_ref()?);
        Some(Box::new(Self::new(now, agreed.clone(), certificate.clone())))
    }

    fn new(now: Instant, agreed: NegotiatedDtls, certificate: Certificate) -> Self {
        let mut made = Self {
            agreed,
            certificate,
            engine: None,
            refused: false,
            // The engine's time has no zero that one could begin at.
            epoch: (now, StdInstant::now()),
            state: State::Handshake,
            keys: None,
            waiting: VecDeque::new(),
            deadline: Some(now),
            told: now,
            began: now,
            broken: None,
            was_broken: None,
            named_spoke: false,
            elsewhere: None,
            client: None,
            buffer: vec![0; USUAL_BYTES],
        };
        made.begin(now, None);
        made
    }

    /// Returns whether the agreement is for this association, and not for another.
    pub(super) fn is(&self, agreed: &NegotiatedDtls) -> bool {
        self.agreed == *agreed
    }

    /// Returns why there will be no keys.
    pub(super) fn failure(&self) -> Option<HandshakeFailure> {
        match self.state {
            State::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// Returns why the last handshake failed, while there are no keys yet.
    pub(super) fn trouble(&self) -> Option<HandshakeFailure> {
        if self.is_open() { self.was_broken } else { self.failure() }
    }

    /// Returns whether the other side has ended it, after there were keys.
    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Returns whether there are no keys yet.
    fn is_open(&self) -> bool {
        matches!(self.state, State::Handshake | State::Verified)
    }

    /// Keys that have come since.
    pub(super) fn take_keys(&mut self) -> Option<SrtpKeys> {
        self.keys.take()
    }

    /// The call can't use them: they are ones that it had.
    pub(super) fn refuse_keys(&mut self) {
        self.fail(HandshakeFailure::Broken);
    }

    /// A datagram of DTLS that came from this address; `remote` is the path's. Whether it was taken.
    pub(super) fn receive(&mut self, now: Instant, from: SocketAddr, remote: SocketAddr, datagram: &[u8]) -> bool {
        let named = from == remote;
        if named {
            // A handshake that a stranger began is not the other side's.
            if self.elsewhere.take().is_some() && self.is_open() {
                self.begin(now, None);
            }
            self.named_spoke = true;
        } else if !self.is_open() || self.named_spoke {
            return false;
        } else if self.agreed.active {
            // The peer may be a server with several addresses: it receives at the one that it named, and answers from another.
            if now.since(self.epoch.0) < NAMED_FIRST {
                return false;
            }
        } else {
            let credit = AMPLIFICATION * datagram.len();
            match &mut self.elsewhere {
                Some(known) if known.address == from => known.credit = known.credit.saturating_add(credit),
                Some(known) if now.since(known.since) < TURN => return false,
                other => {
                    let was_another = other.replace(Elsewhere { address: from, since: now, credit }).is_some();
                    if was_another {
                        self.begin(now, None);
                    }
                }
            }
        }
        if self.is_open() && !self.agreed.active {
            match (first_hello(datagram), self.client) {
                (Some(random), Some((known, _))) if known == random => {}
                (Some(_), Some((_, since))) if now.since(since) < SETTLED => return false,
                (Some(random), _) => {
                    self.begin(now, Some(datagram));
                    self.client = Some((random, now));
                }
                // Nothing that a server could make use of.
                (None, None) => return false,
                (None, Some(_)) => {}
            }
        }
        self.advance(now);
        // A message before the server's hello may be forged; both engines work equally well with a server that they can check.
        if self.agreed.active && self.state == State::Handshake && is_refusal(datagram) {
            self.refused = !self.refused;
            self.turn_away(HandshakeFailure::Refused);
            return true;
        }
        let time = self.engine_time(now);
        let taken = match &mut self.engine {
            None => return true,
            Some(Engine::Auto(engine)) => engine.handle_packet(datagram).map_err(|error| Failed::of(&error)),
            Some(Engine::V12(engine)) => engine.receive(time, datagram).map_err(Failed::of_v12),
        };
        self.go_on(taken, named);
        true
    }

    /// Ends the association, and notifies the other side.
    pub(super) fn close(&mut self) {
        let closed = match &mut self.engine {
            None => false,
            Some(Engine::Auto(engine)) => engine.close().is_ok(),
            Some(Engine::V12(engine)) => engine.close(),
        };
        if closed {
            self.drain(true);
        }
    }

    /// Returns when to ask [`transmit`](Self::transmit) again.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        if self.waiting.is_empty() { self.deadline } else { Some(self.epoch.0) }
    }

    /// Returns the next datagram to be sent, written to `buffer`, and its destination.
    pub(super) fn transmit(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        buffer: &mut [u8],
    ) -> Option<(usize, SocketAddr)> {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.advance(now);
        }
        while let Some(datagram) = self.waiting.pop_front() {
            let to = match &mut self.elsewhere {
                Some(Elsewhere { address, credit, .. }) if *credit >= datagram.len() => {
                    *credit -= datagram.len();
                    *address
                }
                // It will be sent again.
                Some(_) => continue,
                None => remote,
            };
            if let Some(room) = buffer.get_mut(..datagram.len()) {
                room.copy_from_slice(&datagram);
                return Some((datagram.len(), to));
            }
        }
        None
    }

    /// Begins or restarts the handshake, with a client's first message.
    fn begin(&mut self, now: Instant, hello: Option<&[u8]>) {
        let by_v12 = if self.agreed.active {
            self.refused
        } else {
            hello.and_then(v12::whole_hello).is_some_and(|hello| hello.is_ours())
        };
        let Some(engine) = self.engine(now, by_v12) else { return self.fail(HandshakeFailure::Broken) };
        (self.state, self.broken, self.client, self.began) = (State::Handshake, None, None, now);
        self.waiting.clear();
        self.engine = Some(engine);
        self.advance(now);
    }

    fn engine(&self, now: Instant, by_v12: bool) -> Option<Engine> {
        let (time, certificate) = (self.engine_time(now), self.certificate.to_dimpl());
        if by_v12 {
            let retries = v12::Retries { first: FIRST_RETRY, count: RETRIES, mtu: DATAGRAM_BYTES };
            let engine = v12::Handshake::new(self.agreed.active, &certificate, retries, time)?;
            return Some(Engine::V12(Box::new(engine)));
        }
        let config = dimpl::Config::builder()
            .mtu(DATAGRAM_BYTES)
            .flight_start_rto(FIRST_RETRY)
            .flight_retries(RETRIES)
            .handshake_timeout(std::time::Duration::from_secs(30))
            .build();
        let mut engine = Dtls::new_auto(Arc::new(config.ok()?), certificate, time);
        engine.set_active(self.agreed.active);
        Some(Engine::Auto(Box::new(engine)))
    }

    /// Time has passed.
    fn advance(&mut self, now: Instant) {
        self.told = now;
        if now >= self.epoch.0 + PATIENCE && self.is_open() {
            return self.fail(self.was_broken.unwrap_or(HandshakeFailure::Timeout));
        }
        let stalled = self.is_open() && self.agreed.active && now.since(self.began) >= STALLED;
        if stalled {
            // A server that doesn't answer may not support the offer.
            self.refused = !self.refused;
        }
        if stalled || self.broken.is_some_and(|since| now.since(since) >= PAUSE) {
            return self.begin(now, None);
        }
        let time = self.engine_time(now);
        let advanced = match &mut self.engine {
            None => return,
            Some(Engine::Auto(engine)) => engine.handle_timeout(time).map_err(|error| Failed::of(&error)),
            Some(Engine::V12(engine)) => engine.advance(time).map_err(Failed::of_v12),
        };
        self.go_on(advanced, true);
    }

    /// Takes the engine's output, or gives the engine up.
    fn go_on(&mut self, result: Result<(), Failed>, named: bool) {
        match result {
            Ok(()) => self.drain(named),
            // Our alert isn't sent: otherwise a forged datagram could end the other side's handshake.
            Err(failed) => {
                self.drain(named);
                self.give_up(failed);
            }
        }
    }

    /// Takes the engine's output. `named`: whether it concerns the address that the description names.
    fn drain(&mut self, named: bool) {
        let Some(mut engine) = self.engine.take() else { return };
        let goes_on = match &mut engine {
            Engine::Auto(engine) => self.drain_auto(engine, named),
            Engine::V12(engine) => self.drain_v12(engine, named),
        };
        if !goes_on {
            return;
        }
        if self.is_open() {
            let again = if self.agreed.active { self.began + STALLED } else { self.epoch.0 + PATIENCE };
            let over = again.min(self.epoch.0 + PATIENCE);
            self.deadline = Some(self.deadline.map_or(over, |deadline| deadline.min(over)));
        }
        self.engine = Some(engine);
    }

    /// Returns whether the engine continues.
    fn drain_auto(&mut self, engine: &mut Dtls, named: bool) -> bool {
        let (mut connected, mut buffer) = (false, std::mem::take(&mut self.buffer));
        let goes_on = loop {
            match engine.poll_output(&mut buffer) {
                Output::Packet(datagram) => self.post(datagram.to_vec()),
                Output::PeerCert(certificate) => {
                    let is_named = self.hear_certificate(certificate, named);
                    if !is_named {
                        break false;
                    }
                }
                // The order is always this one: without a certificate there are no keys.
                Output::KeyingMaterial(material, profile) if self.state == State::Verified => {
                    let are_usable = self.hear_keys(profile, &material);
                    if !are_usable {
                        break false;
                    }
                }
                Output::Connected => connected = true,
                // Before there are keys anybody can write it.
                Output::CloseNotify if self.state == State::Keyed => self.state = State::Closed,
                Output::Timeout(at) => {
                    self.deadline = self.our_time(at);
                    break true;
                }
                Output::BufferTooSmall { needed } if needed <= RECORD_BYTES => buffer.resize(needed, 0),
                Output::BufferTooSmall { .. } => {
                    self.fail(HandshakeFailure::Broken);
                    break false;
                }
                // Other output doesn't concern a call.
                _ => {}
            }
        };
        self.buffer = buffer;
        if goes_on && connected && self.state != State::Keyed {
            // The extension is missing, or no SRTP profile is common to both.
            self.fail(HandshakeFailure::NoSrtp);
            return false;
        }
        goes_on
    }

    /// Returns whether the engine continues.
    fn drain_v12(&mut self, engine: &mut v12::Handshake, named: bool) -> bool {
        while let Some(event) = engine.next_event() {
            let goes_on = match event {
                v12::DtlsEvent::Datagram(datagram) => {
                    self.post(datagram);
                    true
                }
                v12::DtlsEvent::Certificate(certificate) => self.hear_certificate(&certificate, named),
                v12::DtlsEvent::Keys(profile, exported) if self.state == State::Verified => {
                    self.hear_keys(profile, &exported)
                }
                v12::DtlsEvent::Closed if self.state == State::Keyed => {
                    self.state = State::Closed;
                    true
                }
                v12::DtlsEvent::Keys(..) | v12::DtlsEvent::Closed => true,
            };
            if !goes_on {
                return false;
            }
        }
        self.deadline = engine.deadline().and_then(|at| self.our_time(at));
        true
    }

    fn post(&mut self, datagram: Vec<u8>) {
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(datagram);
        }
    }

    /// The other side's certificate; whether it may be its own.
    fn hear_certificate(&mut self, certificate: &[u8], named: bool) -> bool {
        if self.agreed.fingerprints.iter().any(|known| matches(known, certificate)) {
            self.state = State::Verified;
            return true;
        }
        if named {
            self.fail(HandshakeFailure::Fingerprint);
        } else {
            // This was a stranger; the other side may still come.
            self.elsewhere = None;
            self.turn_away(HandshakeFailure::Fingerprint);
        }
        false
    }

    /// Takes the result of a handshake; returns whether it can be used.
    fn hear_keys(&mut self, profile: dimpl::SrtpProfile, exported: &[u8]) -> bool {
        let keys = keys(profile, exported, self.agreed.active);
        if keys.is_none() {
            self.fail(HandshakeFailure::NoSrtp);
            return false;
        }
        (self.keys, self.state, self.elsewhere) = (keys, State::Keyed, None);
        true
    }

    /// The engine has given up: before there are keys anybody's datagram may be the reason.
    fn give_up(&mut self, failed: Failed) {
        match failed {
            // The keys outlive it.
            _ if !self.is_open() => (self.engine, self.deadline) = (None, None),
            Failed(HandshakeFailure::Timeout) => self.fail(HandshakeFailure::Timeout),
            Failed(why) => self.turn_away(why),
        }
    }

    /// Gives this handshake up; another one may succeed a little later.
    fn turn_away(&mut self, why: HandshakeFailure) {
        self.engine = None;
        self.waiting.clear();
        (self.broken, self.was_broken, self.deadline) = (Some(self.told), Some(why), Some(self.told + PAUSE));
    }

    fn fail(&mut self, failure: HandshakeFailure) {
        self.state = State::Failed(failure);
        (self.engine, self.deadline) = (None, None);
        self.waiting.clear();
    }

    fn engine_time(&self, now: Instant) -> StdInstant {
        let (ours, engines) = self.epoch;
        engines + std::time::Duration::from_micros(now.since(ours).as_micros())
    }

    fn our_time(&self, at: StdInstant) -> Option<Instant> {
        let (ours, engines) = self.epoch;
        let micros = u64::try_from(at.checked_duration_since(engines)?.as_micros()).ok()?;
        // The time is rounded up, so that the engine isn't asked too early.
        Some(ours + Duration::from_micros(micros.checked_add(1)?))
    }

    /// Bytes on the heap, without the engine's.
    pub(super) fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.buffer.capacity() + self.waiting.iter().map(Vec::capacity).sum::<usize>()
    }
}

/// The reason why an engine has given up.
struct Failed(HandshakeFailure);

impl Failed {
    fn of(error: &dimpl::Error) -> Self {
        Self(match error {
            dimpl::Error::Timeout(_) => HandshakeFailure::Timeout,
            dimpl::Error::CertificateError(_) => HandshakeFailure::Certificate,
            _ => HandshakeFailure::Broken,
        })
    }

    fn of_v12(failure: v12::Failure) -> Self {
        Self(match failure {
            v12::Failure::Certificate => HandshakeFailure::Certificate,
            v12::Failure::NoSrtp => HandshakeFailure::NoSrtp,
            v12::Failure::Refused(_) => HandshakeFailure::Refused,
            v12::Failure::Timeout => HandshakeFailure::Timeout,
            v12::Failure::Broken => HandshakeFailure::Broken,
        })
    }
}

/// Returns whether a datagram is a fatal alert, without protection (RFC 5246, 7.2).
fn is_refusal(datagram: &[u8]) -> bool {
    matches!(datagram, [21, 0xfe, _, 0, 0, .., 0, 2, 2, _] if datagram.len() == 15)
}

/// Returns the random bytes of a ClientHello that begins a handshake (RFC 6347, 4.2.2 and 4.3.2): in one record, without epoch,
/// the first message.
fn first_hello(datagram: &[u8]) -> Option<[u8; 32]> {
    let (header, message) = datagram.split_at_checked(13)?;
    let is_first =
        header[0] == 22 && header[3..5] == [0, 0] && message.get(..1)? == [1] && message.get(4..9)? == [0; 5];
    // The random bytes follow the message's header of 12 bytes and the version.
    message.get(14..46)?.try_into().ok().filter(|_| is_first)
}

/// Returns whether a certificate is the one that is known by this fingerprint.
fn matches(known: &Fingerprint, certificate: &[u8]) -> bool {
    let is = |hash: &[u8]| known.value().ct_eq(hash).into();
    match known.hash() {
        FingerprintHash::Sha256 => is(&Sha256::digest(certificate)),
        FingerprintHash::Sha384 => is(&Sha384::digest(certificate)),
        FingerprintHash::Sha512 => is(&Sha512::digest(certificate)),
    }
}

/// Returns the exported keys (RFC 5764, 4.2), as ours and theirs.
fn keys(profile: dimpl::SrtpProfile, exported: &[u8], active: bool) -> Option<SrtpKeys> {
    let profile = match profile {
        dimpl::SrtpProfile::AES128_CM_SHA1_80 => SrtpProfile::AesCm128HmacSha1_80,
        dimpl::SrtpProfile::AEAD_AES_128_GCM => SrtpProfile::AeadAes128Gcm,
        dimpl::SrtpProfile::AEAD_AES_256_GCM => SrtpProfile::AeadAes256Gcm,
        _ => return None,
    };
    let (client, server) = profile.keys_of_dtls(exported)?;
    let (outgoing, incoming) = if active { (client, server) } else { (server, client) };
    Some(SrtpKeys { suite: CryptoSuite::of(profile)?, outgoing, incoming })
}
