//! A handshake of DTLS 1.2 (RFC 6347) with peers that have a certificate of RSA: many phones and servers of telephony do, and
//! `dimpl` supports ECDSA alone. Sans-IO, both roles, as far as DTLS-SRTP needs it.
//!
//! - ECDHE with AES-GCM (RFC 8422, RFC 5289) and the extended master secret (RFC 7627): nothing else is offered or
//!   taken. Our own certificate is of ECDSA, the other side's of either; both are asked for and both must sign.
//! - The server asks for no cookie: its caller limits whom it answers, and how much (an address that proved nothing gets three
//!   times its own bytes).
//! - Sessions aren't resumed or renegotiated, there is no application data, and after the handshake only its last flight is sent
//!   again, and a goodbye read and written.
//! - What doesn't parse, or comes out of its turn, is dropped as if lost. What parses and is wrong is an error: then
//!   it's over, and another handshake may begin.

mod crypto;
mod messages;
mod records;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use dimpl::SrtpProfile;
use dimpl::crypto::{ActiveKeyExchange, SigningKey};
use zeroize::Zeroizing;

pub(super) use messages::ClientHello;

use crypto::{DtlsCrypto, DtlsKeyMaterial};
use messages as m;
use messages::{KeyExchange, ServerHello, Signature, Suite};
use records::{ALERT, CHANGE_CIPHER_SPEC, HANDSHAKE, Item, Message, Reassembly, RecordProtection, RecordWriter};

/// Records that came before their keys, and are kept.
const EARLY: usize = 4;
/// The least time after which a repeated message makes the last flight be sent again.
const AGAIN: Duration = Duration::from_millis(150);
/// Alerts (RFC 5246, 7.2): their levels, and some of them.
const WARNING: u8 = 1;
const FATAL: u8 = 2;
const CLOSE_NOTIFY: u8 = 0;
const HANDSHAKE_FAILURE: u8 = 40;

/// An event of the handshake.
pub(super) enum DtlsEvent {
    /// A datagram to be sent.
    Datagram(Vec<u8>),
    /// The other side's certificate. That it's its own is proved when there are keys.
    Certificate(Vec<u8>),
    /// The keys of SRTP, as they are exported.
    Keys(SrtpProfile, Zeroizing<Vec<u8>>),
    /// The other side has ended it.
    Closed,
}

/// The reason why there are no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The other side showed no certificate, or signed nothing with it that could be checked.
    Certificate,
    /// It has no way to protect RTP that we have.
    NoSrtp,
    /// It refused, by this alert.
    Refused(u8),
    /// No answer came to any transmission.
    Timeout,
    /// The other side's message was wrong.
    Broken,
}

/// The message that is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    ClientHello,
    ServerHello,
    Certificate,
    ServerKey,
    RequestOrDone,
    ClientKey,
    Verify,
    Finished,
    Nothing,
}

/// The schedule by which flights are sent again.
#[derive(Clone, Copy)]
pub(super) struct Retries {
    pub(super) first: Duration,
    pub(super) count: usize,
    pub(super) mtu: usize,
}

/// One handshake.
pub(super) struct Handshake {
    client: bool,
    wait: Wait,
    crypto: DtlsCrypto,
    certificate: Vec<u8>,
    key: Box<dyn SigningKey>,
    retries: Retries,
    /// The random bytes of the client, and of the server.
    randoms: [[u8; 32]; 2],
    suite: Option<Suite>,
    profile: Option<SrtpProfile>,
    exchange: Option<Box<dyn ActiveKeyExchange>>,
    /// The server's part of the exchange, from which the client makes its key.
    their_public: Vec<u8>,
    their_certificate: Vec<u8>,
    asked: bool,
    keys: Option<DtlsKeyMaterial>,
    /// All messages so far.
    transcript: Vec<u8>,
    next_message: u16,
    writer: RecordWriter,
    /// The protection of the other side's records.
    opener: Option<RecordProtection>,
    /// Ours, until the turn of our last flight.
    sealer: Option<RecordProtection>,
    reassembly: Reassembly,
    early: Vec<Vec<u8>>,
    flight: Vec<Item>,
    sent: Option<Instant>,
    tries: usize,
    events: VecDeque<DtlsEvent>,
}

impl Handshake {
    /// Begins one; `None` without randomness, or where the key isn't one.
    pub(super) fn new(
        client: bool,
        certificate: &dimpl::DtlsCertificate,
        retries: Retries,
        now: Instant,
    ) -> Option<Self> {
        let crypto = DtlsCrypto::new();
        let random = crypto.random()?;
        let mut made = Self {
            client,
            wait: if client { Wait::ServerHello } else { Wait::ClientHello },
            key: crypto.signing_key(&certificate.private_key)?,
            crypto,
            certificate: certificate.certificate.clone(),
            retries,
            randoms: [random; 2],
            suite: None,
            profile: None,
            exchange: None,
            their_public: Vec::new(),
            their_certificate: Vec::new(),
            asked: false,
            keys: None,
            transcript: Vec::new(),
            next_message: 0,
            writer: RecordWriter::default(),
            opener: None,
            sealer: None,
            reassembly: Reassembly::default(),
            early: Vec::new(),
            flight: Vec::new(),
            sent: None,
            tries: 0,
            events: VecDeque::new(),
        };
        if client {
            made.say(m::CLIENT_HELLO, &m::client_hello(&random, &[]));
            made.send(now);
        }
        Some(made)
    }

    /// Returns the next event.
    pub(super) fn next_event(&mut self) -> Option<DtlsEvent> {
        self.events.pop_front()
    }

    /// Returns when to ask again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waits = !matches!(self.wait, Wait::ClientHello | Wait::Nothing);
        self.sent.filter(|_| waits).map(|sent| sent + self.patience())
    }

    fn patience(&self) -> Duration {
        self.retries.first * (1 << self.tries.min(8))
    }

    /// Time has passed.
    ///
    /// # Errors
    /// The other side doesn't answer.
    pub(super) fn advance(&mut self, now: Instant) -> Result<(), Failure> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        if self.tries >= self.retries.count {
            return Err(Failure::Timeout);
        }
        self.tries += 1;
        self.send(now);
        Ok(())
    }

    /// Takes in a datagram.
    ///
    /// # Errors
    /// Why it comes to nothing.
    pub(super) fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<(), Failure> {
        let (mut repeats, before) = (false, self.wait);
        for record in records::records(datagram) {
            repeats |= self.take(now, &record)?;
            if self.opener.is_some() && !self.early.is_empty() {
                for early in std::mem::take(&mut self.early) {
                    for record in records::records(&early) {
                        self.take(now, &record)?;
                    }
                }
            }
        }
        // Our last flight was lost, or what answers it.
        if repeats && before == self.wait && self.sent.is_some_and(|sent| now >= sent + AGAIN) {
            self.send(now);
        }
        Ok(())
    }

    /// Returns whether the datagram contains a message that came before.
    fn take(&mut self, now: Instant, record: &records::Record<'_>) -> Result<bool, Failure> {
        let opened;
        let bytes = match (record.epoch, &mut self.opener) {
            (0, _) => record.body,
            (1, Some(opener)) => match opener.open(record) {
                Some(bytes) => {
                    opened = bytes;
                    &opened[..]
                }
                None => return Ok(false),
            },
            (1, None) if self.early.len() < EARLY && self.wait != Wait::ClientHello => {
                self.early.push(record.to_datagram());
                return Ok(false);
            }
            _ => return Ok(false),
        };
        match record.kind {
            HANDSHAKE => {
                let repeats = self.reassembly.push(record.epoch, bytes);
                // After the handshake only repetitions matter.
                while self.wait != Wait::Nothing
                    && let Some(message) = self.reassembly.pop()
                {
                    self.read(now, message)?;
                }
                Ok(repeats)
            }
            ALERT => self.alert(record.epoch, bytes).map(|()| false),
            // The number of the epoch says the same.
            _ => Ok(false),
        }
    }

    fn alert(&mut self, epoch: u16, bytes: &[u8]) -> Result<(), Failure> {
        match *bytes {
            [_, CLOSE_NOTIFY] if epoch > 0 => self.events.push_back(DtlsEvent::Closed),
            [FATAL, _] if epoch > 0 && self.wait == Wait::Nothing => self.events.push_back(DtlsEvent::Closed),
            [FATAL, why] if self.wait != Wait::Nothing => return Err(Failure::Refused(why)),
            _ => {}
        }
        Ok(())
    }

    /// A message in its turn.
    fn read(&mut self, now: Instant, message: Message) -> Result<(), Failure> {
        let protected = message.epoch > 0;
        if protected != (message.kind == m::FINISHED) {
            return Err(Failure::Broken);
        }
        let before = self.transcript.len();
        let hears = !matches!(message.kind, m::HELLO_VERIFY_REQUEST);
        if hears {
            self.transcript.extend_from_slice(&message.bytes);
        }
        let body = message.body();
        match (self.wait, message.kind) {
            (Wait::ServerHello, m::HELLO_VERIFY_REQUEST) => self.say_again(now, body),
            (Wait::ServerHello, m::SERVER_HELLO) => self.hear_server(body),
            (Wait::Certificate, m::CERTIFICATE) => self.hear_certificate(body),
            (Wait::ServerKey, m::SERVER_KEY_EXCHANGE) => self.hear_server_key(body),
            (Wait::RequestOrDone, m::CERTIFICATE_REQUEST) if !self.asked => {
                self.asked = true;
                Ok(())
            }
            (Wait::RequestOrDone, m::SERVER_HELLO_DONE) => self.answer_server(now),
            (Wait::ClientHello, m::CLIENT_HELLO) => self.answer_client(now, body),
            (Wait::ClientKey, m::CLIENT_KEY_EXCHANGE) => self.hear_client_key(body),
            (Wait::Verify, m::CERTIFICATE_VERIFY) => self.hear_proof(body, before),
            (Wait::Finished, m::FINISHED) => self.finish(now, body, before),
            _ => Err(Failure::Broken),
        }
    }

    /// Adds another message to the flight that is sent next.
    fn say(&mut self, kind: u8, body: &[u8]) {
        let bytes = records::message(kind, self.next_message, body);
        self.next_message += 1;
        self.transcript.extend_from_slice(&bytes);
        let epoch = u16::from(kind == m::FINISHED);
        self.flight.push(Item { epoch, kind: HANDSHAKE, bytes });
    }

    fn send(&mut self, now: Instant) {
        self.sent = Some(now);
        let datagrams = self.writer.datagrams(&self.flight, self.retries.mtu);
        self.events.extend(datagrams.into_iter().map(DtlsEvent::Datagram));
    }

    /// Sends the flight that was just written; the one before it has been answered.
    fn begin_flight(&mut self) {
        self.flight.clear();
        self.tries = 0;
    }

    /// A client's second offer, with the server's cookie: nothing of the first counts (RFC 6347, 4.2.1).
    fn say_again(&mut self, now: Instant, body: &[u8]) -> Result<(), Failure> {
        let cookie = m::cookie(body).ok_or(Failure::Broken)?.to_vec();
        if cookie.is_empty() || self.next_message > 1 {
            return Err(Failure::Broken);
        }
        self.transcript.clear();
        self.begin_flight();
        self.say(m::CLIENT_HELLO, &m::client_hello(&self.randoms[0], &cookie));
        self.send(now);
        Ok(())
    }

    fn hear_server(&mut self, body: &[u8]) -> Result<(), Failure> {
        let hello = ServerHello::parse(body).ok_or(Failure::Broken)?;
        if !hello.extended_master_secret {
            return Err(Failure::Broken);
        }
        self.randoms[1] = hello.random;
        (self.suite, self.profile) = (Some(hello.suite), Some(hello.profile.ok_or(Failure::NoSrtp)?));
        self.wait = Wait::Certificate;
        Ok(())
    }

    fn hear_certificate(&mut self, body: &[u8]) -> Result<(), Failure> {
        let first = m::first_certificate(body).ok_or(Failure::Broken)?.ok_or(Failure::Certificate)?;
        // It is reported when it is proved to be the other side's own: anybody can send one in its name.
        self.their_certificate = first.to_vec();
        self.wait = if self.client { Wait::ServerKey } else { Wait::ClientKey };
        Ok(())
    }

    fn hear_server_key(&mut self, body: &[u8]) -> Result<(), Failure> {
        let suite = self.suite.ok_or(Failure::Broken)?;
        let key = KeyExchange::parse(body).ok_or(Failure::Broken)?;
        let signed = [&self.randoms.concat()[..], key.params].concat();
        if !self.proves(Some(suite.rsa), key.signature, &signed) {
            return Err(Failure::Certificate);
        }
        self.events.push_back(DtlsEvent::Certificate(self.their_certificate.clone()));
        if !m::GROUPS.contains(&key.group) {
            return Err(Failure::Broken);
        }
        self.exchange = Some(self.crypto.exchange(key.group).ok_or(Failure::Broken)?);
        self.their_public = key.public.to_vec();
        self.wait = Wait::RequestOrDone;
        Ok(())
    }

    fn proves(&self, rsa: Option<bool>, signature: Signature<'_>, data: &[u8]) -> bool {
        let offered = m::SIGNATURES.contains(&signature.scheme);
        offered && self.crypto.verify(&self.their_certificate, rsa, signature.scheme, data, signature.bytes)
    }

    /// The client's second flight.
    fn answer_server(&mut self, now: Instant) -> Result<(), Failure> {
        let exchange = self.exchange.take().ok_or(Failure::Broken)?;
        self.begin_flight();
        if self.asked {
            self.say(m::CERTIFICATE, &m::certificate(&self.certificate.clone()));
        }
        let public = exchange.pub_key().to_vec();
        self.say(m::CLIENT_KEY_EXCHANGE, &m::client_key_exchange(&public));
        let theirs = std::mem::take(&mut self.their_public);
        self.derive(exchange, &theirs)?;
        if self.asked {
            let signature = DtlsCrypto::sign(&mut *self.key, &self.transcript).ok_or(Failure::Broken)?;
            self.say(m::CERTIFICATE_VERIFY, &m::signed(m::OUR_SIGNATURE, &signature));
        }
        self.wait = Wait::Finished;
        self.say_finished(now)
    }

    /// The server's first flight.
    fn answer_client(&mut self, now: Instant, body: &[u8]) -> Result<(), Failure> {
        let hello = ClientHello::parse(body).ok_or(Failure::Broken)?;
        let (Some(suite), Some(group), true) = (hello.suite, hello.group, hello.extended_master_secret) else {
            self.refuse();
            return Err(Failure::Refused(HANDSHAKE_FAILURE));
        };
        let Some(profile) = hello.profile else {
            self.refuse();
            return Err(Failure::NoSrtp);
        };
        self.randoms[0] = hello.random;
        (self.suite, self.profile) = (Some(suite), Some(profile));
        let exchange = self.crypto.exchange(group).ok_or(Failure::Broken)?;
        let params = m::exchange_params(group, exchange.pub_key());
        self.exchange = Some(exchange);
        let signed = [&self.randoms.concat()[..], &params].concat();
        let signature = DtlsCrypto::sign(&mut *self.key, &signed).ok_or(Failure::Broken)?;
        self.begin_flight();
        self.say(m::SERVER_HELLO, &m::server_hello(&self.randoms[1].clone(), &hello, suite, profile));
        self.say(m::CERTIFICATE, &m::certificate(&self.certificate.clone()));
        self.say(m::SERVER_KEY_EXCHANGE, &[params, m::signed(m::OUR_SIGNATURE, &signature)].concat());
        self.say(m::CERTIFICATE_REQUEST, &m::certificate_request());
        self.say(m::SERVER_HELLO_DONE, &[]);
        self.wait = Wait::Certificate;
        self.send(now);
        Ok(())
    }

    /// Says that there is nothing in common.
    fn refuse(&mut self) {
        let alert = [Item { epoch: 0, kind: ALERT, bytes: vec![FATAL, HANDSHAKE_FAILURE] }];
        let datagrams = self.writer.datagrams(&alert, self.retries.mtu);
        self.events.extend(datagrams.into_iter().map(DtlsEvent::Datagram));
    }

    fn hear_client_key(&mut self, body: &[u8]) -> Result<(), Failure> {
        let exchange = self.exchange.take().ok_or(Failure::Broken)?;
        let public = m::client_key(body).ok_or(Failure::Broken)?;
        self.derive(exchange, public)?;
        self.wait = Wait::Verify;
        Ok(())
    }

    /// The client's proof that the certificate is its own; `before`: how much of all it was signed of.
    fn hear_proof(&mut self, body: &[u8], before: usize) -> Result<(), Failure> {
        let signature = Signature::parse(body).ok_or(Failure::Broken)?;
        if !self.proves(None, signature, &self.transcript[..before]) {
            return Err(Failure::Certificate);
        }
        self.events.push_back(DtlsEvent::Certificate(self.their_certificate.clone()));
        self.wait = Wait::Finished;
        Ok(())
    }

    /// The keys, now that both public keys are there.
    fn derive(&mut self, exchange: Box<dyn ActiveKeyExchange>, public: &[u8]) -> Result<(), Failure> {
        let suite = self.suite.ok_or(Failure::Broken)?;
        let session = self.crypto.hash(suite, &self.transcript);
        let keys = self.crypto.keys(suite, exchange, public, &session, self.randoms).ok_or(Failure::Broken)?;
        let [client, server] = self.crypto.protections(&keys).ok_or(Failure::Broken)?;
        let (ours, theirs) = if self.client { (client, server) } else { (server, client) };
        (self.sealer, self.opener, self.keys) = (Some(ours), Some(theirs), Some(keys));
        Ok(())
    }

    fn say_finished(&mut self, now: Instant) -> Result<(), Failure> {
        let (Some(suite), Some(keys)) = (self.suite, &self.keys) else { return Err(Failure::Broken) };
        let hash = self.crypto.hash(suite, &self.transcript);
        let body = self.crypto.finished(keys, self.client, &hash).ok_or(Failure::Broken)?;
        self.flight.push(Item { epoch: 0, kind: CHANGE_CIPHER_SPEC, bytes: vec![1] });
        self.writer.protection = self.sealer.take();
        self.say(m::FINISHED, &body);
        self.send(now);
        Ok(())
    }

    /// Checks the other side's Finished message and ends the handshake; `before` is the length of the transcript that it covers.
    fn finish(&mut self, now: Instant, body: &[u8], before: usize) -> Result<(), Failure> {
        let (Some(suite), Some(keys), Some(profile)) = (self.suite, &self.keys, self.profile) else {
            return Err(Failure::Broken);
        };
        let hash = self.crypto.hash(suite, &self.transcript[..before]);
        if !self.crypto.is_finished(keys, !self.client, &hash, body) {
            return Err(Failure::Broken);
        }
        let exported = self.crypto.export(keys, profile.keying_material_len()).ok_or(Failure::Broken)?;
        self.wait = Wait::Nothing;
        if !self.client {
            self.begin_flight();
            self.say_finished(now)?;
        }
        self.events.push_back(DtlsEvent::Keys(profile, exported));
        // The master secret has served.
        (self.keys, self.transcript) = (None, Vec::new());
        Ok(())
    }

    /// Says goodbye, if there are keys; whether there are.
    pub(super) fn close(&mut self) -> bool {
        if self.wait != Wait::Nothing {
            return false;
        }
        let goodbye = [Item { epoch: 1, kind: ALERT, bytes: vec![WARNING, CLOSE_NOTIFY] }];
        let datagrams = self.writer.datagrams(&goodbye, self.retries.mtu);
        self.events.extend(datagrams.into_iter().map(DtlsEvent::Datagram));
        true
    }
}

/// Returns the offer of a client that begins in this datagram, if it is in it whole.
pub(super) fn whole_hello(datagram: &[u8]) -> Option<ClientHello> {
    let record = records::records(datagram).next().filter(|record| record.kind == HANDSHAKE && record.epoch == 0)?;
    let mut reassembly = Reassembly::default();
    reassembly.push(0, record.body);
    let message = reassembly.pop().filter(|message| message.kind == m::CLIENT_HELLO)?;
    ClientHello::parse(message.body())
}

impl ClientHello {
    /// Returns whether it is answered here: it's of DTLS 1.2 alone, and there is something in common. How else would one know of
    /// what its certificate is?
    pub(super) fn is_ours(&self) -> bool {
        !self.offers_13 && self.suite.is_some() && self.group.is_some() && self.extended_master_secret
    }
}

#[cfg(test)]
mod tests;
