//! The keys of a call over any sequence of offers and answers: no key, source and index protects two contents
//! (RFC 3711, 9.1), no packet that was accepted is accepted again (3.3.2), whatever is agreed on, left and agreed on
//! again.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dsp_core::guard::GuardError;
use dsp_core::guard::PacketGuard;
use dsp_core::guard::srtp::{FormerKeys, KeyAge, KeyTerms, MasterKey, Mki, Srtp, SrtpProfile};
use dsp_core::time::{Duration, Instant, Seq};
use host_std::registry::CodecFormat;
use host_std::sdp::{CryptoSuite, Direction, SrtpPolicy, Unencrypted};
use host_std::session::{Call, CallConfig, Channel, Ending, Identity, Incoming, SrtpOptions};
use media_core_tests::books::{Books, Key};
use media_core_tests::tick::Device;

const SUITE_80: &str = "AES_CM_128_HMAC_SHA1_80";
const SUITE_32: &str = "AES_CM_128_HMAC_SHA1_32";

struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(below)) as u32
    }

    fn once_in(&mut self, times: u32) -> bool {
        self.roll(times) == 0
    }
}

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

/// What a random call came to.
fn random_call(seed: u64) -> (Scene, u32) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let policy =
        [SrtpPolicy::Off, SrtpPolicy::Offered, SrtpPolicy::Offered, SrtpPolicy::Required, SrtpPolicy::Required]
            [dice.roll(5) as usize];
    let near_the_wrap = dice.once_in(2);
    let mut scene = Scene::new(seed, policy, |config| {
        if near_the_wrap {
            config.identity.first_seq = Seq(65_510);
        }
    });
    let mut agreed = 0;
    let mut echoes = 0;
    let mut used = Vec::new();
    for _ in 0..60 {
        let suites = [SUITE_80, SUITE_32];
        match dice.roll(12) {
            0..=3 => {
                let formats = ["0", "0", "96", "0 96"][dice.roll(4) as usize];
                let port_before = scene.peer_port;
                scene.peer_port = 5_000 + 2 * dice.roll(3) as u16;
                let mut lines: Vec<(&str, Key)> = Vec::new();
                if policy == SrtpPolicy::Required || !dice.once_in(4) {
                    for at in 0..1 + dice.roll(2) {
                        let suite = suites[(dice.roll(2) + at) as usize % 2];
                        lines.push((suite, peer_key(dice.roll(4) as u8)));
                    }
                }
                if scene.peer_offers(formats, &lines) {
                    agreed += 1;
                } else {
                    scene.peer_port = port_before;
                }
            }
            4..=6 => {
                let suite = (!dice.once_in(5)).then_some(suites[dice.roll(2) as usize]);
                let offer = scene.call.offer().unwrap();
                if !dice.once_in(4) {
                    let key = peer_key(dice.roll(4) as u8);
                    agreed += u32::from(scene.peer_answers_to(&offer, suite, key));
                }
            }
            7 if !used.is_empty() => {
                // A key that we use or used, or one that we offer.
                let key = used[dice.roll(used.len() as u32) as usize];
                let suite = suites[dice.roll(2) as usize];
                let taken = if dice.once_in(2) {
                    scene.peer_offers("0", &[(suite, key)])
                } else {
                    let offer = scene.call.offer().unwrap();
                    let offered = crypto_lines(&offer);
                    let key = offered.get(dice.roll(4) as usize).map_or(key, |(_, _, key)| *key);
                    scene.peer_answers_to(&offer, Some(suite), key)
                };
                // With SRTP off a crypto line says nothing.
                echoes += u32::from(taken && scene.is_protected());
            }
            7 | 8 => {
                let n = dice.roll(4).into();
                let _ = scene.call.change_source(scene.now, &Identity::seeded(n));
            }
            9 => match dice.roll(3) {
                0 => scene.call.rekey().unwrap(),
                1 => scene.call.set_address(Ipv4Addr::LOCALHOST.into(), 4_000 + 2 * dice.roll(2) as u16),
                _ => {
                    let l16 = CodecFormat::l16(16_000, 1);
                    let codecs = if dice.once_in(2) { [CodecFormat::pcmu(), l16] } else { [l16, CodecFormat::pcmu()] };
                    scene.call.set_codecs(&codecs).unwrap();
                }
            },
            10 => {
                let direction = [Direction::SendRecv, Direction::SendOnly, Direction::Inactive][dice.roll(3) as usize];
                scene.call.set_direction(direction);
            }
            _ => scene.peer_ssrc = 0xbeef_0000 + dice.roll(3),
        }
        let ticks = 1 + dice.roll(6);
        if dice.once_in(3) {
            scene.talk_with_reports(ticks);
        } else {
            scene.talk(ticks);
        }
        used.extend(scene.our_key());
        for _ in 0..10.min(scene.accepted.len()) {
            let datagram = scene.accepted[dice.roll(scene.accepted.len() as u32) as usize].clone();
            scene.replay(&datagram);
        }
    }
    scene.replay_all();
    assert!(agreed > 0, "seed {seed}: nothing was agreed on");
    (scene, echoes)
}

/// What a random call came to, in numbers.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    entries: usize,
    twice: usize,
    echoes: u32,
    accepted: usize,
    replayed: u32,
    deaf: u32,
    unreadable: u32,
    send_errors: u32,
}

static CALLS: LazyLock<Vec<Outcome>> = LazyLock::new(|| {
    let outcome = |seed| {
        let (scene, echoes) = random_call(seed);
        Outcome {
            entries: scene.books.len(),
            twice: scene.books.twice.len(),
            echoes,
            accepted: scene.accepted.len(),
            replayed: scene.replayed,
            deaf: scene.deaf,
            unreadable: scene.unreadable,
            send_errors: scene.call.stats().send_errors,
        }
    };
    (0..120).map(outcome).collect()
});

fn bad_calls(is_bad: impl Fn(&Outcome) -> bool) -> Vec<(usize, Outcome)> {
    CALLS.iter().copied().enumerate().filter(|(_, outcome)| is_bad(outcome)).collect()
}

#[test]
fn no_key_source_and_index_protects_two_contents_over_any_offers_and_answers() {
    let bad = bad_calls(|call| call.twice != 0);
    assert!(bad.is_empty(), "{bad:?}");
    assert!(CALLS.iter().map(|call| call.entries).sum::<usize>() > 5_000);
}

#[test]
fn no_key_of_ours_is_taken_as_the_peers_over_any_offers_and_answers() {
    let bad = bad_calls(|call| call.echoes != 0);
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn no_packet_is_accepted_twice_over_any_offers_and_answers() {
    let bad = bad_calls(|call| call.replayed != 0);
    assert!(bad.is_empty(), "{bad:?}");
    assert!(CALLS.iter().map(|call| call.accepted).sum::<usize>() > 5_000);
}

#[test]
fn no_fresh_packet_is_lost_to_the_keys_over_any_offers_and_answers() {
    let bad = bad_calls(|call| call.deaf + call.unreadable + call.send_errors != 0);
    assert!(bad.is_empty(), "{bad:?}");
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

/// Two calls of ours, and the books of what each sends.
struct Pair {
    calls: [Call; 2],
    devices: Vec<Device>,
    now: Instant,
    books: Books,
    sent: [u32; 2],
    refused: Vec<GuardError>,
}

impl Pair {
    fn new(options: [SrtpOptions; 2]) -> Self {
        let mut side = 0;
        let calls = options.map(|srtp_options| {
            side += 1;
            let identity = Identity::seeded(side);
            let codecs = vec![CodecFormat::pcmu()];
            let config =
                CallConfig { codecs, srtp_options, ..CallConfig::with_identity(4_000 + 2 * side as u16, identity) };
            Call::new(config).unwrap()
        });
        Self {
            calls,
            devices: Vec::new(),
            now: Instant::ZERO,
            books: Books::default(),
            sent: [0; 2],
            refused: Vec::new(),
        }
    }

    /// The call with this number offers; what is agreed on is the same on both sides.
    fn agree(&mut self, offerer: usize) -> (CryptoSuite, String, String) {
        let offer = self.calls[offerer].offer().unwrap();
        let answer = self.calls[1 - offerer].answer(self.now, &offer).unwrap();
        self.calls[offerer].accept(self.now, &answer).unwrap();
        if self.devices.is_empty() {
            self.devices = self.calls.iter().map(|call| Device::with_tick(call, 20)).collect();
        }
        let [ours, theirs] = [0, 1].map(|side| self.calls[side].negotiated_transport().unwrap().srtp.clone().unwrap());
        assert!(ours.suite == theirs.suite && ours.outgoing == theirs.incoming && ours.incoming == theirs.outgoing);
        assert_eq!(ours.outgoing.terms(), theirs.incoming.terms());
        (ours.suite, offer, answer)
    }

    fn talk(&mut self, ticks: u32) {
        for _ in 0..ticks {
            for side in 0..2 {
                let mut sent: Vec<(Channel, Vec<u8>)> = Vec::new();
                let speech = |pcm: &mut [i16]| pcm.iter_mut().zip(0i16..).for_each(|(sample, n)| *sample = n * 50);
                self.devices[side].tick(&mut self.calls[side], self.now, speech, |transmit, bytes| {
                    sent.push((transmit.channel, bytes.to_vec()));
                });
                let keys = self.calls[side].negotiated_transport().unwrap().srtp.clone().unwrap();
                let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 4_002 + 2 * side as u16));
                for (channel, mut datagram) in sent {
                    assert!(self.books.enter(&keys.outgoing, keys.suite.profile(), &datagram), "readable with the key");
                    self.sent[side] += 1;
                    if let Incoming::Refused(error) =
                        self.calls[1 - side].receive(self.now, channel, from, &mut datagram)
                    {
                        self.refused.push(error);
                    }
                }
            }
            self.now += Duration::from_millis(20);
        }
    }

    #[track_caller]
    fn assert_heard(&self) {
        for call in &self.calls {
            let stats = call.stats();
            assert!(stats.total.received > 100 && stats.refused == 0, "{stats:?}");
        }
        assert!(self.books.twice.is_empty(), "{:?}", self.books.twice);
    }
}

#[test]
fn a_call_under_each_suite_is_heard_through_new_keys_and_other_suites() {
    for (n, suite) in CryptoSuite::ALL.into_iter().enumerate() {
        // What every phone has is offered as it is; the others by whoever wants them.
        let wanted = SrtpOptions { offered: vec![suite], answered: CryptoSuite::ALL.into(), ..SrtpOptions::default() };
        let offered = if n < 2 { SrtpOptions::default() } else { wanted };
        let taken = if n < 2 { SrtpOptions::only([suite]) } else { SrtpOptions::default() };
        let mut pair = Pair::new([offered, taken]);
        let (agreed, offer, answer) = pair.agree(0);
        assert_eq!(agreed, suite);
        assert!(answer.contains(suite.name()) && answer.matches("a=crypto").count() == 1, "{offer}{answer}");
        pair.talk(400);
        pair.calls[0].rekey().unwrap();
        pair.agree(0);
        pair.talk(100);
        // The other side's offer has its own order: from there on the suite may be another.
        pair.agree(1);
        pair.talk(100);
        pair.assert_heard();
    }
}

#[test]
fn identifiers_and_what_stays_clear_are_agreed_on() {
    let terms = KeyTerms { mki: Mki::new(255, 1), ..KeyTerms::default() };
    for suite in CryptoSuite::ALL {
        let mut offered = SrtpOptions { terms, ..SrtpOptions::only([suite]) };
        let mut pair = Pair::new([offered.clone(), SrtpOptions::default()]);
        let (_, offer, answer) = pair.agree(0);
        assert!(offer.contains("|255:1\r\n") && !answer.contains('|'), "{offer}{answer}");
        pair.talk(300);
        pair.calls[0].rekey().unwrap();
        let (_, offer, _) = pair.agree(0);
        assert!(offer.contains("|0:1\r\n"), "the next key has another identifier: {offer}");
        pair.talk(300);
        pair.assert_heard();
        // Reports in the clear: only by policy, and then both ways.
        offered.terms = KeyTerms { clear_rtcp: true, ..KeyTerms::default() };
        let mut pair = Pair::new([offered.clone(), SrtpOptions::default()]);
        let offer = pair.calls[0].offer().unwrap();
        let error = pair.calls[1].answer(Instant::ZERO, &offer).unwrap_err();
        let words = std::error::Error::source(&error).unwrap().to_string();
        assert!(words.contains("UNENCRYPTED_SRTCP"), "{words}");
        let unencrypted = Unencrypted { rtp: false, rtcp: true };
        let mut pair = Pair::new([offered, SrtpOptions { unencrypted, ..SrtpOptions::default() }]);
        let (_, _, answer) = pair.agree(0);
        assert!(answer.contains(" UNENCRYPTED_SRTCP\r\n"), "{answer}");
        pair.talk(600);
        pair.assert_heard();
    }
}

#[test]
fn a_key_that_is_nearly_used_up_is_replaced_by_the_next_offer_or_ends_the_call() {
    let terms = KeyTerms { lifetime_packets: 200, ..KeyTerms::default() };
    let short = SrtpOptions { terms, ..SrtpOptions::default() };
    for offerer in [0, 1] {
        let mut pair = Pair::new([short.clone(), SrtpOptions::default()]);
        let (_, offer, _) = pair.agree(0);
        assert!(offer.contains("|200\r\n"), "{offer}");
        let mut renewed = 0;
        for _ in 0..600 {
            pair.talk(1);
            if pair.calls[offerer].key_age() != KeyAge::Fresh {
                pair.agree(offerer);
                assert_eq!([0, 1].map(|side| pair.calls[side].key_age()), [KeyAge::Fresh; 2]);
                renewed += 1;
            }
        }
        assert!((5..=6).contains(&renewed), "{renewed}");
        pair.assert_heard();
        // Without a new offer nothing passes any more, and the call says why.
        pair.talk(250);
        assert_eq!(pair.calls[0].key_age(), KeyAge::Over);
        assert_eq!(pair.calls[0].should_end(pair.now), Some(Ending::KeysOver));
        assert!(pair.books.twice.is_empty() && pair.refused.is_empty());
        let sent = pair.sent;
        pair.talk(50);
        assert_eq!(pair.sent[0], sent[0], "nothing is sent under a key that is over");
        // It isn't over for good.
        pair.agree(offerer);
        pair.talk(50);
        assert!(pair.sent[0] > sent[0] + 40 && pair.calls[0].should_end(pair.now).is_none());
    }
}
