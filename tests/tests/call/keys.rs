//! The keys of a call over any sequence of offers and answers: no key, source and index protects two contents
//! (RFC 3711, 9.1), no packet that was accepted is accepted again (3.3.2), whatever is agreed on, left and agreed on
//! again.

mod random;
mod two_calls;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dsp_core::guard::PacketGuard;
use dsp_core::guard::srtp::{FormerKeys, MasterKey, Srtp, SrtpProfile};
use dsp_core::time::{Duration, Instant};
use host_std::registry::CodecFormat;
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, Channel, Identity, Incoming};
use media_core_tests::books::{Books, Key};
use media_core_tests::tick::Device;

const SUITE_80: &str = "AES_CM_128_HMAC_SHA1_80";
const SUITE_32: &str = "AES_CM_128_HMAC_SHA1_32";

/// Reads the lines `a=crypto:TAG SUITE inline:KEY` of a description.
fn crypto_lines(sdp: &str) -> Vec<(String, String, Key)> {
    let lines = sdp.lines().filter_map(|line| line.strip_prefix("a=crypto:"));
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let key = BASE64_STANDARD.decode(fields[2].strip_prefix("inline:").unwrap()).unwrap();
            (fields[0].to_owned(), fields[1].to_owned(), key.try_into().unwrap())
        })
        .collect()
}

fn crypto_line(tag: &str, suite: &str, key: &Key) -> String {
    format!("a=crypto:{tag} {suite} inline:{}\r\n", BASE64_STANDARD.encode(key))
}

fn profile(suite: &str) -> SrtpProfile {
    SrtpProfile::from_sdes_name(suite).unwrap()
}

fn peer_key(n: u8) -> Key {
    [0x40 + n; 30]
}

/// Our call, and a peer of which everything can be wished: it keeps its counters under each of its keys, as it must.
struct Scene {
    call: Call,
    device: Device,
    now: Instant,
    peer_port: u16,
    /// The peer's guard under each of its keys, and for each of its sources.
    guards: HashMap<(Key, u32), Srtp<1>>,
    /// The next sequence number of each of the peer's sources.
    sequence: HashMap<u32, u16>,
    peer_ssrc: u32,
    /// What the peer protects with; `None` is plain.
    peer_protects: Option<(SrtpProfile, Key)>,
    books: Books,
    /// Protected datagrams of the peer that were accepted.
    accepted: Vec<Vec<u8>>,
    /// How many of them were accepted once more.
    replayed: u32,
    /// Fresh packets of the peer that were refused.
    deaf: u32,
    /// Packets of ours that the peer can't open with what was agreed on.
    unreadable: u32,
}

impl Scene {
    fn new(seed: u64, srtp: SrtpPolicy, change: impl FnOnce(&mut CallConfig)) -> Self {
        let mut config = CallConfig::with_identity(4_000, Identity::seeded(seed));
        config.srtp = srtp;
        config.codecs = vec![CodecFormat::pcmu(), CodecFormat::l16(16_000, 1)];
        change(&mut config);
        let call = Call::new(config).unwrap();
        Self {
            device: Device::with_tick(&call, 20),
            call,
            now: Instant::from_millis(1),
            peer_port: 5_000,
            guards: HashMap::new(),
            sequence: HashMap::new(),
            peer_ssrc: 0xbeef_0000,
            peer_protects: None,
            books: Books::default(),
            accepted: Vec::new(),
            replayed: 0,
            deaf: 0,
            unreadable: 0,
        }
    }

    /// A description of the peer's with these crypto lines.
    fn sdp(&self, formats: &str, profile: &str, crypto: &str) -> String {
        let port = self.peer_port;
        format!(
            "v=0\r\no=- 7 7 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} {profile} {formats}\r\n\
             a=rtpmap:0 PCMU/8000\r\na=rtpmap:96 L16/16000\r\n{crypto}a=rtcp-mux\r\n"
        )
    }

    /// The peer offers with lines of these suites and keys; whether we answered.
    fn peer_offers(&mut self, formats: &str, lines: &[(&str, Key)]) -> bool {
        let numbered = lines.iter().enumerate();
        let crypto: String = numbered.map(|(n, (suite, key))| crypto_line(&(n + 1).to_string(), suite, key)).collect();
        let profile = if lines.is_empty() { "RTP/AVP" } else { "RTP/SAVP" };
        let Ok(answer) = self.call.answer(self.now, &self.sdp(formats, profile, &crypto)) else { return false };
        self.peer_protects = crypto_lines(&answer).first().map(|(tag, suite, _)| {
            let (offered, key) = lines[tag.parse::<usize>().unwrap() - 1];
            assert_eq!(offered, suite);
            (self::profile(suite), key)
        });
        true
    }

    /// We offer; the peer answers the line of `suite` with `key`, or with plain RTP; whether we accepted it.
    fn peer_answers(&mut self, suite: Option<&str>, key: Key) -> bool {
        let offer = self.call.offer().unwrap();
        self.peer_answers_to(&offer, suite, key)
    }

    fn peer_answers_to(&mut self, offer: &str, suite: Option<&str>, key: Key) -> bool {
        let media = offer.lines().find_map(|line| line.strip_prefix("m=audio ")).unwrap();
        let proto = media.split_whitespace().nth(1).unwrap();
        let maps: String =
            offer.lines().filter(|line| line.starts_with("a=rtpmap")).map(|l| format!("{l}\r\n")).collect();
        let formats = media.splitn(3, ' ').nth(2).unwrap();
        let wanted = suite.and_then(|suite| crypto_lines(offer).into_iter().find(|(_, offered, _)| offered == suite));
        let crypto = wanted.as_ref().map(|(tag, suite, _)| crypto_line(tag, suite, &key)).unwrap_or_default();
        let answer = format!(
            "v=0\r\no=- 7 7 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} {proto} {formats}\r\n\
             {maps}{crypto}a=rtcp-mux\r\n",
            self.peer_port
        );
        if self.call.accept(self.now, &answer).is_err() {
            return false;
        }
        self.peer_protects = wanted.map(|(_, suite, _)| (profile(&suite), key));
        true
    }

    fn peer(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.peer_port).into()
    }

    /// Whether the guard let it pass.
    fn receive(&mut self, datagram: &[u8]) -> bool {
        let outcome = self.call.receive(self.now, Channel::Rtp, self.peer(), &mut datagram.to_vec());
        assert_ne!(outcome, Incoming::Foreign, "the test's own address");
        !matches!(outcome, Incoming::Refused(_))
    }

    /// The peer sends one packet, or a report.
    fn peer_sends(&mut self, report: bool) {
        let mut datagram = vec![0x80, if report { 201 } else { 0 }];
        if report {
            datagram.extend([0, 1]);
        } else {
            let seq = self.sequence.entry(self.peer_ssrc).or_insert(65_500);
            datagram.extend(seq.to_be_bytes());
            datagram.extend((u32::from(*seq) * 160).to_be_bytes());
            *seq = seq.wrapping_add(1);
        }
        datagram.extend(self.peer_ssrc.to_be_bytes());
        if !report {
            datagram.extend([0xd5; 160]);
        }
        let Some((profile, key)) = self.peer_protects else {
            self.receive(&datagram);
            return;
        };
        let unused = MasterKey::from_bytes(&[0; 30]);
        let master = MasterKey::from_bytes(&key);
        let made = || Srtp::new(profile, &master, &unused).unwrap();
        let guard = self.guards.entry((key, self.peer_ssrc)).or_insert_with(made);
        guard.set_outgoing(profile, &master, Default::default(), &mut FormerKeys::<0>::new()).unwrap();
        let len = datagram.len();
        datagram.resize(len + guard.max_growth(), 0);
        let protect = if report { Srtp::protect_rtcp } else { Srtp::protect_rtp };
        let len = protect(guard, &mut datagram, len).unwrap();
        datagram.truncate(len);
        if self.receive(&datagram) {
            self.accepted.push(datagram);
        } else {
            self.deaf += 1;
        }
    }

    /// Our tick of 20 ms; it sends what the tick makes, and whatever report is due.
    fn we_tick(&mut self) {
        let wave = self.now.as_micros() as i16 | 1;
        let speech =
            |pcm: &mut [i16]| pcm.iter_mut().zip(0i16..).for_each(|(sample, n)| *sample = n.wrapping_mul(wave));
        let mut sent = Vec::new();
        self.device.tick(&mut self.call, self.now, speech, |_, bytes| sent.push(bytes.to_vec()));
        let keys = self.call.negotiated_transport().and_then(|agreed| agreed.srtp.clone());
        if let Some(keys) = keys {
            for datagram in sent {
                let readable = self.books.enter(&keys.outgoing, keys.suite.profile(), &datagram);
                self.unreadable += u32::from(!readable);
            }
        }
    }

    fn talk(&mut self, ticks: u32) {
        for tick in 0..ticks {
            self.we_tick();
            self.peer_sends(tick % 4 == 3);
            self.now += Duration::from_millis(20);
        }
    }

    /// Time goes on to the next report.
    fn talk_with_reports(&mut self, ticks: u32) {
        self.talk(ticks);
        if let Some(deadline) = self.call.next_deadline() {
            self.now = self.now.max(deadline);
        }
        self.talk(1);
    }

    /// A recorder sends `datagram` once more.
    fn replay(&mut self, datagram: &[u8]) {
        if self.is_protected() && self.receive(datagram) {
            self.replayed += 1;
        }
    }

    fn replay_all(&mut self) {
        for datagram in self.accepted.clone() {
            self.replay(&datagram);
        }
    }

    fn is_protected(&self) -> bool {
        self.call.negotiated_transport().is_some_and(|agreed| agreed.srtp.is_some())
    }

    fn our_key(&self) -> Option<Key> {
        let srtp = self.call.negotiated_transport()?.srtp.as_ref()?;
        srtp.outgoing.as_bytes().try_into().ok()
    }

    #[track_caller]
    fn assert_clean(&self) {
        assert!(self.books.twice.is_empty(), "{} protected twice: {:?}", self.books.twice.len(), self.books.twice);
        assert_eq!(self.replayed, 0, "accepted once more, of {}", self.accepted.len());
        assert_eq!((self.deaf, self.unreadable), (0, 0), "fresh packets that were refused on either side");
        assert_eq!(self.call.stats().send_errors, 0);
    }
}

#[test]
fn a_key_of_ours_that_was_left_never_comes_back() {
    // Another suite and back, with another port of the peer's.
    let mut scene = Scene::new(1, SrtpPolicy::Required, |_| {});
    let mut ours = Vec::new();
    for (suite, port) in [(SUITE_80, 5_000), (SUITE_32, 5_000), (SUITE_80, 5_002), (SUITE_32, 5_004), (SUITE_80, 5_000)]
    {
        scene.peer_port = port;
        assert!(scene.peer_offers("0", &[(suite, peer_key(ours.len() as u8))]));
        scene.talk_with_reports(10);
        let key = scene.our_key().unwrap();
        assert!(!ours.contains(&key), "the key of {suite} at {port}");
        ours.push(key);
    }
    scene.assert_clean();
    // Plain RTP in between.
    let mut scene = Scene::new(2, SrtpPolicy::Offered, |_| {});
    let mut ours = Vec::new();
    for n in 0..4 {
        assert!(scene.peer_offers("0", &[(SUITE_80, peer_key(n))]));
        scene.talk_with_reports(10);
        let key = scene.our_key().unwrap();
        assert!(!ours.contains(&key), "after plain RTP");
        ours.push(key);
        assert!(scene.peer_offers("0", &[]));
        scene.talk_with_reports(10);
    }
    scene.assert_clean();
    // Our offers, answered with one line and then the other.
    let mut scene = Scene::new(3, SrtpPolicy::Required, |_| {});
    for n in 0..6 {
        assert!(scene.peer_answers(Some([SUITE_80, SUITE_32][n % 2]), peer_key(n as u8)));
        scene.talk_with_reports(10);
    }
    scene.assert_clean();
}

#[test]
fn an_unchanged_agreement_keeps_our_key() {
    let mut scene = Scene::new(4, SrtpPolicy::Required, |_| {});
    assert!(scene.peer_offers("0", &[(SUITE_80, peer_key(0))]));
    scene.talk_with_reports(5);
    let key = scene.our_key();
    for n in 0..6 {
        let agreed = if n % 2 == 0 {
            scene.peer_offers("0", &[(SUITE_80, peer_key(0))])
        } else {
            scene.peer_answers(Some(SUITE_80), peer_key(0))
        };
        assert!(agreed);
        scene.talk_with_reports(5);
        assert_eq!(scene.our_key(), key);
    }
    scene.assert_clean();
}

/// RFC 4568, 7.1.4.
#[test]
fn another_address_of_ours_brings_another_key() {
    for we_offer in [false, true] {
        let mut scene = Scene::new(5, SrtpPolicy::Required, |_| {});
        let mut ours = Vec::new();
        for port in [4_000, 4_002, 4_004, 4_000] {
            scene.call.set_address(Ipv4Addr::LOCALHOST.into(), port);
            let agreed = if we_offer {
                scene.peer_answers(Some(SUITE_80), peer_key(0))
            } else {
                scene.peer_offers("0", &[(SUITE_80, peer_key(0))])
            };
            assert!(agreed);
            scene.talk_with_reports(5);
            let key = scene.our_key().unwrap();
            assert!(!ours.contains(&key), "at {port}");
            ours.push(key);
        }
        scene.assert_clean();
    }
}

#[test]
fn what_was_heard_under_a_key_is_refused_as_long_as_the_call_lasts() {
    // The peer's key A, then others, then A again: directly, over plain RTP, with the other tag.
    for between in [1, 2, 3, 9] {
        let mut scene = Scene::new(6, SrtpPolicy::Offered, |_| {});
        for suite in [SUITE_80, SUITE_80, SUITE_32] {
            assert!(scene.peer_offers("0", &[(suite, peer_key(0))]));
            scene.talk(270);
            scene.replay_all();
            for n in 1..=between {
                assert!(scene.peer_offers("0", &[(suite, peer_key(n))]));
                scene.talk(20);
            }
            if between > 2 {
                assert!(scene.peer_offers("0", &[]));
                scene.talk(5);
            }
        }
        assert!(scene.peer_offers("0", &[(SUITE_80, peer_key(0))]));
        scene.replay_all();
        scene.talk(10);
        assert!(scene.accepted.len() > 800);
        scene.assert_clean();
    }
}

#[test]
fn a_flood_of_sources_under_one_key_opens_no_replay() {
    let mut scene = Scene::new(7, SrtpPolicy::Required, |_| {});
    assert!(scene.peer_offers("0", &[(SUITE_80, peer_key(0))]));
    scene.talk(20);
    for ssrc in 0..2_000 {
        scene.peer_ssrc = ssrc;
        scene.talk(1);
    }
    scene.replay_all();
    assert_eq!(scene.replayed, 0, "of {}", scene.accepted.len());
    assert!(scene.accepted.len() > 100, "{}", scene.accepted.len());
}

#[test]
fn a_peer_that_sends_with_a_key_of_ours_is_refused() {
    let mut scene = Scene::new(8, SrtpPolicy::Required, |_| {});
    let offer = scene.call.offer().unwrap();
    let lines = crypto_lines(&offer);
    for (_, _, key) in &lines {
        // The key of the line that is answered, and that of the other one.
        assert!(!scene.peer_answers_to(&offer, Some(SUITE_80), *key));
        assert!(!scene.peer_answers_to(&offer, Some(SUITE_32), *key));
    }
    assert!(scene.peer_answers_to(&offer, Some(SUITE_80), peer_key(0)));
    scene.talk(5);
    let first = scene.our_key().unwrap();
    scene.call.rekey().unwrap();
    assert!(scene.peer_offers("0", &[(SUITE_80, peer_key(0))]));
    scene.talk(5);
    // One that was used and left.
    assert!(!scene.peer_offers("0", &[(SUITE_80, first)]));
    assert!(!scene.peer_answers(Some(SUITE_80), first));
    scene.talk(5);
    scene.assert_clean();
    // Nor is it taken as a reason for plain RTP, where that is allowed.
    let mut scene = Scene::new(9, SrtpPolicy::Offered, |_| {});
    assert!(scene.peer_offers("0", &[(SUITE_80, peer_key(0))]));
    let key = scene.our_key().unwrap();
    assert!(!scene.peer_answers(Some(SUITE_80), key));
}

#[test]
fn a_source_of_ours_that_returns_repeats_nothing() {
    let mut scene = Scene::new(10, SrtpPolicy::Required, |_| {});
    assert!(scene.peer_offers("0", &[(SUITE_80, peer_key(0))]));
    for n in [1, 2, 1, 10, 2, 3] {
        let _ = scene.call.change_source(scene.now, &Identity::seeded(n));
        scene.talk_with_reports(10);
    }
    scene.assert_clean();
    assert!(scene.books.len() > 60);
}

/// RFC 4568, 6.4: a receiver that misses packets around an early wrap would take the roll-over counter for zero.
#[test]
fn no_source_begins_near_the_wrap_of_its_sequence_numbers() {
    for seed in 0..500 {
        assert!(Identity::seeded(seed).first_seq.0 < 1 << 15);
        assert!(Identity::random().unwrap().first_seq.0 < 1 << 15);
    }
}

#[test]
fn an_offer_without_effect_leaves_both_sides_with_the_keys_they_have() {
    for we_move in [false, true] {
        for refused in [false, true] {
            let mut scene = Scene::new(12, SrtpPolicy::Required, |_| {});
            assert!(scene.peer_offers("0", &[(SUITE_80, peer_key(0))]));
            scene.talk_with_reports(5);
            let key = scene.our_key();
            if we_move {
                scene.call.set_address(Ipv4Addr::LOCALHOST.into(), 4_002);
            } else {
                scene.call.rekey().unwrap();
            }
            let offer = scene.call.offer().unwrap();
            // Refused with what can't be used, or never answered.
            assert!(!refused || !scene.peer_answers_to(&offer, None, peer_key(0)));
            if we_move {
                scene.call.set_address(Ipv4Addr::LOCALHOST.into(), 4_000);
            }
            scene.talk_with_reports(300);
            assert_eq!(scene.our_key(), key);
            scene.assert_clean();
            // Both sides' next offers go on from there.
            assert!(scene.peer_offers("0", &[(SUITE_80, peer_key(0))]));
            scene.talk_with_reports(5);
            assert!(scene.peer_answers(Some(SUITE_32), peer_key(1)));
            scene.talk_with_reports(5);
            scene.assert_clean();
        }
    }
}

#[test]
fn a_peer_that_rolls_its_answered_offer_back_is_heard_on() {
    let mut scene = Scene::new(13, SrtpPolicy::Required, |_| {});
    assert!(scene.peer_offers("0", &[(SUITE_80, peer_key(0))]));
    scene.talk(300);
    for n in 1..40 {
        // It offers another key, which we answer; its transaction fails, and it goes on with the key before.
        let before = scene.peer_protects;
        assert!(scene.peer_offers("0", &[(SUITE_80, peer_key(n))]));
        scene.peer_protects = before;
        scene.talk(50);
    }
    // Its next offer says so, or brings another.
    assert!(scene.peer_offers("0", &[(SUITE_80, peer_key(0))]));
    scene.talk(300);
    assert!(scene.peer_offers("0", &[(SUITE_80, peer_key(41))]));
    scene.talk(300);
    scene.replay_all();
    scene.assert_clean();
}

#[test]
fn a_peer_with_another_key_in_each_offer_is_followed_for_hundreds_and_then_heard_under_the_last() {
    let mut scene = Scene::new(14, SrtpPolicy::Required, |_| {});
    let mut offers = (0..2_000u16).map(|n| {
        let mut key = [0x33; 30];
        key[..2].copy_from_slice(&n.to_be_bytes());
        key
    });
    let taken = offers.by_ref().take_while(|&key| {
        let taken = scene.peer_offers("0", &[(SUITE_80, key)]);
        scene.talk(3);
        taken
    });
    let taken = taken.count();
    assert!((256..2_000).contains(&taken), "{taken} keys");
    assert!(offers.all(|key| !scene.peer_offers("0", &[(SUITE_80, key)])));
    scene.talk(20);
    scene.replay_all();
    scene.assert_clean();
}
