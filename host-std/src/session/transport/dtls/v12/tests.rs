//! Handshakes against each other and against `dimpl`'s, over bad networks, with what others forge; and OpenSSL's signatures.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dimpl::{Dtls, Output};

use super::crypto::DtlsCrypto;
use super::*;
use crate::session::certificate::Certificate;

const MTU: usize = 1_150;

fn handshake(client: bool, mtu: usize, now: Instant) -> (Handshake, Vec<u8>) {
    let certificate = Certificate::generate().unwrap().to_dimpl();
    let retries = Retries { first: Duration::from_millis(300), count: 6, mtu };
    (Handshake::new(client, &certificate, retries, now).unwrap(), certificate.certificate)
}

/// What came to pass on one side.
#[derive(Default)]
struct Side {
    certificate: Option<Vec<u8>>,
    keys: Option<(SrtpProfile, Vec<u8>)>,
    closed: bool,
    failure: Option<Failure>,
}

/// Two handshakes and what is under way to each.
struct Pair {
    engines: [Handshake; 2],
    certificates: [Vec<u8>; 2],
    sides: [Side; 2],
    way: [Vec<Vec<u8>>; 2],
    now: Instant,
    sent: usize,
}

impl Pair {
    fn new(mtu: usize) -> Self {
        let now = Instant::now();
        let [(client, first), (server, second)] = [true, false].map(|client| handshake(client, mtu, now));
        Self {
            engines: [client, server],
            certificates: [first, second],
            sides: Default::default(),
            way: Default::default(),
            now,
            sent: 0,
        }
    }

    /// For so long, or until both have keys. `fate` gets the number of a datagram and may change it, or take it away.
    fn run(&mut self, ms: u64, mut fate: impl FnMut(usize, &mut Vec<u8>) -> bool) {
        for _ in 0..ms / 10 {
            for side in 0..2 {
                while let Some(event) = self.engines[side].next_event() {
                    match event {
                        DtlsEvent::Datagram(mut datagram) => {
                            if fate(self.sent, &mut datagram) {
                                self.way[1 - side].push(datagram);
                            }
                            self.sent += 1;
                        }
                        DtlsEvent::Certificate(der) => self.sides[side].certificate = Some(der),
                        DtlsEvent::Keys(profile, keys) => self.sides[side].keys = Some((profile, keys.to_vec())),
                        DtlsEvent::Closed => self.sides[side].closed = true,
                    }
                }
            }
            for side in 0..2 {
                for datagram in std::mem::take(&mut self.way[side]) {
                    let received = self.engines[side].receive(self.now, &datagram);
                    self.sides[side].failure = self.sides[side].failure.or(received.err());
                }
                let advanced = self.engines[side].advance(self.now);
                self.sides[side].failure = self.sides[side].failure.or(advanced.err());
            }
            if self.sides.iter().any(|side| side.failure.is_some()) {
                return;
            }
            self.now += Duration::from_millis(10);
        }
    }

    fn assert_keyed(&self, what: &str) {
        for side in 0..2 {
            assert_eq!(self.sides[side].failure, None, "{what}");
            assert_eq!(self.sides[side].certificate.as_ref(), Some(&self.certificates[1 - side]), "{what}");
        }
        let keys = self.sides[0].keys.clone().unwrap_or_else(|| panic!("no keys: {what}"));
        assert_eq!((keys.0, keys.1.len()), (SrtpProfile::AEAD_AES_256_GCM, 88), "{what}");
        assert_eq!(self.sides[1].keys, Some(keys), "{what}");
    }
}

#[test]
fn both_sides_come_to_the_same_keys_and_say_goodbye() {
    let mut pair = Pair::new(MTU);
    pair.run(200, |_, _| true);
    pair.assert_keyed("a good network");
    assert_eq!(pair.sent, 4, "as many flights, a datagram each");
    assert!(pair.engines.iter().all(|engine| engine.deadline().is_none()));
    assert!(pair.engines[0].close());
    pair.run(50, |_, _| true);
    assert!(pair.sides[1].closed && !pair.sides[0].closed);
}

#[test]
fn a_certificate_is_told_of_only_when_its_key_has_signed() {
    // The server's flight, and the client's: a bit of the public key is another on the way.
    for (number, hears) in [(1, 0), (2, 1)] {
        let mut pair = Pair::new(MTU);
        let mut changed = false;
        pair.run(200, |sent, datagram| {
            let key = datagram.windows(4).position(|bytes| bytes == [3, 0x42, 0, 4]);
            if let Some(at) = key.filter(|_| sent == number) {
                datagram[at + 10] ^= 1;
                changed = true;
            }
            true
        });
        assert!(changed && pair.sides[hears].failure.is_some(), "{number}");
        assert_eq!(pair.sides[hears].certificate, None, "{number}");
    }
}

#[test]
fn each_datagram_may_be_lost_once_and_messages_come_in_pieces() {
    for mtu in [MTU, 300, 120] {
        for lost in 0..24 {
            let mut pair = Pair::new(mtu);
            pair.run(2_500, |number, _| number != lost);
            pair.assert_keyed(&format!("datagrams of {mtu} bytes, number {lost} lost"));
        }
    }
}

#[test]
fn what_comes_twice_and_the_wrong_way_round_changes_nothing() {
    let mut pair = Pair::new(200);
    for _ in 0..300 {
        pair.run(10, |_, _| true);
        for way in &mut pair.way {
            let twice: Vec<_> = way.iter().rev().chain(way.iter()).cloned().collect();
            *way = twice;
        }
    }
    pair.assert_keyed("all twice, backwards first");
}

#[test]
fn a_side_that_nobody_answers_gives_up() {
    let mut pair = Pair::new(MTU);
    pair.run(60_000, |_, _| false);
    assert_eq!(pair.sides[0].failure, Some(Failure::Timeout));
    assert_eq!(pair.sent, 7, "as often as it was told");
}

/// Whatever is changed on the way, nobody gets keys that the other side hasn't, and nobody panics.
#[test]
fn a_changed_byte_comes_to_no_keys_that_differ() {
    let mut keyed = 0;
    for number in 0..4 {
        for at in (0..900).step_by(7) {
            let mut pair = Pair::new(MTU);
            pair.run(100, |sent, datagram| {
                if sent == number
                    && let Some(byte) = datagram.get_mut(at)
                {
                    *byte ^= 0x41;
                }
                true
            });
            let [client, server] = &pair.sides;
            if let (Some(ours), Some(theirs)) = (&client.keys, &server.keys) {
                assert_eq!(ours, theirs, "byte {at} of datagram {number}");
                keyed += 1;
            }
        }
    }
    // Those behind the ends of the shorter ones.
    assert!((50..350).contains(&keyed), "{keyed}");
}

/// A message in a record of its own, without protection.
fn plain(kind: u8, number: u16, body: &[u8]) -> Vec<u8> {
    let item = Item { epoch: 0, kind: HANDSHAKE, bytes: records::message(kind, number, body) };
    RecordWriter::default().datagrams(&[item], MTU).concat()
}

#[test]
fn who_shows_no_certificate_or_signs_nothing_gets_no_keys() {
    let asked = |answer: &dyn Fn(&mut Pair) -> Option<Vec<u8>>| {
        let mut pair = Pair::new(MTU);
        pair.run(20, |_, _| true);
        if let Some(datagram) = answer(&mut pair) {
            pair.way = [Vec::new(), vec![datagram]];
            pair.engines[0].events.clear();
        }
        pair.run(200, |_, _| true);
        assert!(pair.sides[1].keys.is_none());
        pair.sides[1].failure
    };
    // An empty chain; one whose first certificate is empty; a key in the certificate's place.
    assert_eq!(asked(&|_| Some(plain(m::CERTIFICATE, 1, &[0; 3]))), Some(Failure::Certificate));
    assert_eq!(asked(&|_| Some(plain(m::CERTIFICATE, 1, &[0, 0, 3, 0, 0, 0]))), Some(Failure::Broken));
    assert_eq!(asked(&|_| Some(plain(m::CLIENT_KEY_EXCHANGE, 1, &[1, 4]))), Some(Failure::Broken));
    // Somebody else's certificate, without its private key.
    let mut pair = Pair::new(MTU);
    pair.engines[0].certificate = Certificate::generate().unwrap().to_dimpl().certificate;
    pair.run(200, |_, _| true);
    assert_eq!((pair.sides[1].failure, pair.sides[1].keys.is_none()), (Some(Failure::Certificate), true));
}

#[test]
fn a_hello_tells_who_answers_it() {
    let (mut client, _) = handshake(true, MTU, Instant::now());
    let Some(DtlsEvent::Datagram(hello)) = client.next_event() else { panic!("no hello") };
    let read = whole_hello(&hello).unwrap();
    assert!(read.is_ours() && read.profile == Some(SrtpProfile::AEAD_AES_256_GCM));
    assert!(whole_hello(&hello[..hello.len() - 1]).is_none(), "it's not whole");
    // Of DTLS 1.3 too.
    let Engines { mut dtls, .. } = dimpls(true, Dtls::new_auto);
    let _ = dtls.handle_timeout(Instant::now());
    let hello = outputs(&mut dtls).datagrams.remove(0);
    assert!(!whole_hello(&hello).unwrap().is_ours());
}

struct Engines {
    dtls: Dtls,
    certificate: Vec<u8>,
}

fn dimpls(
    active: bool,
    make: impl Fn(std::sync::Arc<dimpl::Config>, dimpl::DtlsCertificate, Instant) -> Dtls,
) -> Engines {
    let certificate = Certificate::generate().unwrap().to_dimpl();
    let der = certificate.certificate.clone();
    let mut dtls = make(std::sync::Arc::new(dimpl::Config::default()), certificate, Instant::now());
    dtls.set_active(active);
    Engines { dtls, certificate: der }
}

#[derive(Default)]
struct Outputs {
    datagrams: Vec<Vec<u8>>,
    certificate: Option<Vec<u8>>,
    keys: Option<Vec<u8>>,
}

fn outputs(dtls: &mut Dtls) -> Outputs {
    let (mut all, mut buffer) = (Outputs::default(), [0; 4_096]);
    loop {
        match dtls.poll_output(&mut buffer) {
            Output::Packet(datagram) => all.datagrams.push(datagram.to_vec()),
            Output::PeerCert(der) => all.certificate = Some(der.to_vec()),
            Output::KeyingMaterial(keys, _) => all.keys = Some(keys.to_vec()),
            Output::Timeout(_) => return all,
            _ => {}
        }
    }
}

#[test]
fn dimpl_understands_us_in_both_roles() {
    for client in [true, false] {
        let begin = Instant::now();
        let Engines { mut dtls, certificate } = dimpls(!client, Dtls::new_12);
        let (mut ours, our_certificate) = handshake(client, MTU, begin);
        let (mut keys, mut seen) = ([None, None], [None, None]);
        for tick in 0..60 {
            let now = begin + Duration::from_millis(10 * tick);
            dtls.handle_timeout(now).unwrap();
            while let Some(event) = ours.next_event() {
                match event {
                    DtlsEvent::Datagram(datagram) => dtls.handle_packet(&datagram).unwrap(),
                    DtlsEvent::Certificate(der) => seen[0] = Some(der),
                    DtlsEvent::Keys(_, material) => keys[0] = Some(material.to_vec()),
                    DtlsEvent::Closed => panic!("closed"),
                }
            }
            let theirs = outputs(&mut dtls);
            theirs.datagrams.iter().for_each(|datagram| ours.receive(now, datagram).unwrap());
            keys[1] = keys[1].take().or(theirs.keys);
            seen[1] = seen[1].take().or(theirs.certificate);
            ours.advance(now).unwrap();
        }
        assert_eq!(seen, [Some(certificate), Some(our_certificate)], "we are the client: {client}");
        assert!(keys[0].is_some() && keys[0] == keys[1], "we are the client: {client}");
    }
}

// By `openssl req -x509 -newkey rsa:2048` and `openssl dgst -sign` of the text below; the last two with a key of 1024 bits.
const SIGNED: &[u8] = b"what was signed";
const PHONE: &str = "\
    MIIDAzCCAeugAwIBAgIUDuvrRKsW8H/F7otWc2jSIA0+eBwwDQYJKoZIhvcNAQELBQAwEDEOMAwGA1UEAwwFcGhvbmUwIBcNMjYxMTMwMDIzNTA5\
    WhgPMjEyNjExMDYwMjM1MDlaMBAxDjAMBgNVBAMMBXBob25lMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAjZZQR0fHFyN9k+6GCr5s\
    NQWDADUfur95R64BmaNq4LM7sfT2TGkneQ3Qv7hkVzJ3iTxD3i0hYXcq/6Nb01SOV7H4UXfCzMDtVgJ+vnB+6orl7i60buLNVIAN0UXI1wgj2SdI\
    Plm3hBWyCaw+G28ESy+ByYHQw54CrVQj/Zd3FJ+RQCLDERgpQnIzyfH2f/QdsqiNZ1s79zDSOaHwS8rcT6DBTvg15mRZm0kLdP5ZjSl9ym6nzlB9\
    rZFq9HDC+/GQKl6sJkC4gaB3EoXbcofsXGb2Z4BMhDsQQWPxevGVEwWhRv4I+v9PmZUH6barZmOsrigi4zdBAP7a2JhAJB+FuwIDAQABo1MwUTAd\
    BgNVHQ4EFgQUVqV8B+dnEOmbSnQYbzPftaHImgkwHwYDVR0jBBgwFoAUVqV8B+dnEOmbSnQYbzPftaHImgkwDwYDVR0TAQH/BAUwAwEB/zANBgkq\
    hkiG9w0BAQsFAAOCAQEAh9kQrS76updU+iao7xJf1Ltuu68YW9jCgnWZc3qbQgl+EP8oNyrCFU3BpaGXAMbS6/ezcpAd1Ag+NR4159zN231U6Va/\
    CgYg0egl8lSVghURWhXJ02XMINJ+NDUGGT9GsMajirR7l/o2ehUYD+gzEC4Rx4hEhtXiAL3VmYH5V7npI07FZYNVGoX8LV2oem/siSUI4OOz/XWs\
    B1en3VNXA9xgOwo2zPSKLq5jf5VnPzyd4DO719bZuD+kX13Vctf1qq/rcjNJI+xtgbh7eT7AL2jC+T+wk2GOlTog+0iMu2NduG+wm9Yk/iGhHr1v\
    wlElCaeVDhQ50DAveCGuta/WYg==\
";
const PKCS1_SHA256: &str = "\
    cunfcE4GBsKAnARRnwGr+xgHZ5On0ahNryYvY+8Kq9HbCDCbmazKJ9Nr7FGyRcRhFVQsC0C7WG1iXb6u5KCEoVpPDl8IKgrrgkXD3Il8F5wPQocg\
    UKpf0nxezSPN8+bkFT3ljZMTAk4Lnxw6rzTWFB4iSfgbrCjKC2s+X3WUx+L3kxVmhn+dJIH6sEdDMP7EMwNlb2x+ES6WKJMEGbcTZdl/W86E8E02\
    ZscuToZfJhrbiEt6nS6cnC3TL4t3zHmcUi4hgZxNUlCjKmr/lyBZ7NMLe/dQQrIhrqAA/yFLk7eXj85O3hyjLv32M/IUO1yC8SX9MzWs6Pf1fMhp\
    20uWCQ==\
";
const PKCS1_SHA384: &str = "\
    VguAdGHqDdMYqfl3QVpQZKDbKIAITG54+QziJGCxLS3IycZSUH0ZmvAXItPN2nZ/Q50nS1k6Clqzec56Vj7tCyV6lvWNhrtPCUNWEuqW8Yp46tj2\
    Uws0A9h5/Kiop8NzaZfrN1SnDbtBZ0yUr/S86F6mtpYGRoGrLe2i2JypjjkJGtnMRxGRk92zZOAT4ELP4V8wQiFM/Td0RCNmOvb5F/wEBbFh5OGa\
    Dsy5JcyYB2sYm6tTO79BPfRpRf01HnFUJao9A+Cw6u/wZl1/77B6llUKhfiphlVYIy4iUHVP0ULqPeyqSwkRZl0f38aOTCfNFkwYOrtLJICg7qrH\
    jRsx/g==\
";
const PSS_SHA256: &str = "\
    WNtZJPB72S5igcXP+DnIQawuya1O/ln+GAZ/TqkbjpESfXCK2houQUBzltnvrBKuxYL4aADXvghRVLYsVQZ0BX4YfBt0+foizYjdLUqIsEtKQuJ0\
    gwtd/CZE3O+emASNYIYRGcP6CI1NwiD++gCJzo1hBh/SYk86teiyzLX1N+dvKlAdFdoUvPIP7wsWZjfZqAvmMV71yY+WIGIOPKXHVnXAbC1eWCiu\
    QjSKPVDUtoJh288SnzCue5MuI3oUqGUURSfFk5y1vWvvnmNRaV7I6dpGF6gtdFNTOnbK1/ERMQDaR4t00VkD3fUCuKztmSMvL3omEQS150I/HN0F\
    hVCa6A==\
";
const PSS_SHA512: &str = "\
    Own0bBbQ40XDttjSaOv3NnYKLXfK+mI6MyuMspcSRt1NV69rNf2kurThPgiz1kyGzfuIl+pnnNu4IMHfpD7w88be9fTJJbz7zvBIiCnNOHhW0fn2\
    3rY+UngulCQlJv0br2BDbXIRz+7hlM+OI76quxsdnFhzIy5CKXPPRP0VA9ncsgwSBALyPGEwaU6UsZy8WcswBAT20IDNpYH38wAXe1DFeAT9NhjI\
    fWehIUgBXcR5ChakQ+CvloMxh+RsHoxycG+k5TUyxlpRSF8wM6Tk9l/EDnCWeKcLSsQpJ4YubQhWfWKknO8TjLpbUrJLKHkYJd08AuYtb6m3QFaN\
    rj0OSA==\
";
const SHORT: &str = "\
    MIIB/jCCAWegAwIBAgIUDMcUcXWZxUqQ8H7n/y4GTNb4P64wDQYJKoZIhvcNAQELBQAwEDEOMAwGA1UEAwwFcGhvbmUwIBcNMjYxMTMwMDIzNTEw\
    WhgPMjEyNjExMDYwMjM1MTBaMBAxDjAMBgNVBAMMBXBob25lMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC/hpRcrooX7/IihMkb+n8pzvD0\
    7kkHxM7by2UKJ+VVGjks0I1YuVruC524f/ldkU31rmPxhUYwd5dy6fBsA1zGWuTKhsuwVSZsgewzIOwxvXMKD/aPv8tEtcSkfmDCaPvOcxa099qH\
    MYYrgZ8r2dg/jifzDP+JePgyAMXQt7Gk0QIDAQABo1MwUTAdBgNVHQ4EFgQUuf6LSLCP834Vag1OXYof2wi+8zQwHwYDVR0jBBgwFoAUuf6LSLCP\
    834Vag1OXYof2wi+8zQwDwYDVR0TAQH/BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOBgQARN3hYS25giIE67lzaeZJG3Jj8j+sEqkzrmrBJZ0aJ7Qkl\
    HfjzwIu3DLjkuBqUjMaUDx8+gm20PRNWSF8QIeIzTGZg45weZ8KojsEjb0JjHptK6qGN4ZL+pgXPi4O91gq94W1VVxlsKvkEEwy19+XG7OXCmOnL\
    90J0AuReDb7uww==\
";
const BY_SHORT: &str = "\
    qGAiRmb1hBUhBQ2N3kKD1uAGy6q0w612uIa0w9Qzfy64QXXXbfvpr8kjFDkJ9Nk+ebuwC1nynWXpxoMINKyF1TBULe1SYlokW167V6iUea9ci76L\
    Dj2gTEg/gt5iyppVXoZjAYSDDWYXmwFwrWlTdzac9zensdbxQiixrZMPRA0=\
";

#[test]
fn signatures_of_rsa_are_openssls() {
    let crypto = DtlsCrypto::new();
    let [phone, short] = [PHONE, SHORT].map(|text| STANDARD.decode(text).unwrap());
    let all = [(0x0401, PKCS1_SHA256), (0x0501, PKCS1_SHA384), (0x0804, PSS_SHA256), (0x0806, PSS_SHA512)];
    for (scheme, text) in all {
        let mut signature = STANDARD.decode(text).unwrap();
        let verify = |scheme, data: &[u8], signature: &[u8]| crypto.verify(&phone, Some(true), scheme, data, signature);
        assert!(verify(scheme, SIGNED, &signature), "{scheme:04x}");
        assert!(!verify(scheme, b"what was not signed", &signature), "{scheme:04x}");
        assert!(!verify(scheme, SIGNED, &signature[1..]), "{scheme:04x}");
        assert!(!crypto.verify(&phone, Some(false), scheme, SIGNED, &signature), "a suite of ECDSA: {scheme:04x}");
        for (other, _) in all.iter().filter(|(other, _)| *other != scheme) {
            assert!(!verify(*other, SIGNED, &signature), "{scheme:04x} as {other:04x}");
        }
        signature[100] ^= 1;
        assert!(!verify(scheme, SIGNED, &signature), "{scheme:04x}");
    }
    assert!(!crypto.verify(&phone, None, 0x0403, SIGNED, &STANDARD.decode(PKCS1_SHA256).unwrap()), "as ECDSA");
    assert!(!crypto.verify(&short, Some(true), 0x0401, SIGNED, &STANDARD.decode(BY_SHORT).unwrap()), "1024 bits");
    assert!(!crypto.verify(b"no certificate", Some(true), 0x0401, SIGNED, &[0; 256]));
}

#[test]
fn nothing_that_comes_makes_a_hello_panic() {
    let (mut client, _) = handshake(true, MTU, Instant::now());
    let Some(DtlsEvent::Datagram(hello)) = client.next_event() else { panic!("no hello") };
    for cut in 0..hello.len() {
        let _ = whole_hello(&hello[..cut]);
        let mut changed = hello.clone();
        for value in [0, 1, 0x7f, 0xff] {
            changed[cut] = value;
            let _ = whole_hello(&changed);
            let (mut server, _) = handshake(false, MTU, Instant::now());
            if cut % 16 == 0 {
                let _ = server.receive(Instant::now(), &changed);
            }
        }
    }
}

#[test]
fn fragments_of_nothing_cost_bounded_memory_and_no_message() {
    let fragment = |kind: u8, total: usize, number: u16, offset: usize, len: usize| {
        let mut bytes = records::message(kind, number, &vec![7; len]);
        bytes[1..4].copy_from_slice(&records::u24(total));
        bytes[6..9].copy_from_slice(&records::u24(offset));
        bytes
    };
    let mut reassembly = Reassembly::default();
    for round in 0..2_000usize {
        let (kind, number) = ((round % 23) as u8, (round % 11) as u16);
        reassembly.push(0, &fragment(kind, 9_000 + round, number, round % 300, 60));
        assert!(reassembly.held() <= 32_768, "{}", reassembly.held());
        assert!(reassembly.pop().is_none());
    }
    // The true ones, in pieces and the wrong way round.
    for number in [1, 0] {
        for offset in [100, 0, 50] {
            reassembly.push(0, &fragment(m::CERTIFICATE, 150, number, offset, 50));
        }
    }
    let popped = [reassembly.pop(), reassembly.pop()].map(|message| message.unwrap().body().to_vec());
    assert_eq!(popped, [vec![7; 150], vec![7; 150]]);
    assert!(reassembly.push(0, &fragment(m::CERTIFICATE, 150, 0, 0, 50)), "it came before");
}
