//! Calls whose keys come from a DTLS handshake (RFC 5763): both roles, over networks that lose, repeat and forge, and against
//! whoever is not the one whose fingerprint was signalled. Nothing is heard or sent before the certificate is the right one.

use std::net::SocketAddr;

use dsp_core::guard::srtp::SrtpProfile;
use dsp_core::time::{Duration, Instant};
use dsp_core::wire::DatagramKind;
use host_std::registry::CodecFormat;
use host_std::sdp::SrtpPolicy;
use host_std::session::{
    Call, CallConfig, CallError, Certificate, Channel, Ending, HandshakeFailure, IceConfig, IceMode, Identity,
    Incoming, Keying, Protection,
};

pub(crate) const WAY: Duration = Duration::from_millis(30);

pub(crate) fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// What the network does to a datagram: its number on that way, from 0, and the side it comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Arrives,
    Twice,
    Lost,
}

/// Two calls and the network between them.
pub(crate) struct Pair {
    pub(crate) calls: [Call; 2],
    pub(crate) now: Instant,
    pub(crate) on_the_way: Vec<(Instant, usize, SocketAddr, Vec<u8>)>,
    /// Of each side: datagrams sent, by kind.
    sent: [usize; 2],
    dtls: [usize; 2],
    /// Of these, those whose first record is encrypted as DTLS 1.3 alone has it (RFC 9147, 4).
    encrypted: [usize; 2],
    media: [usize; 2],
    pub(crate) fate: fn(usize, usize) -> Fate,
    /// What each side has sent, if it's kept.
    pub(crate) kept: Option<[Vec<Vec<u8>>; 2]>,
    /// The address that each side's datagrams come from, and that reaches it besides the one that it named: a NAT, say.
    outside: [SocketAddr; 2],
    /// Whether the address that each side named reaches it.
    reachable: [bool; 2],
    /// The loudest sample that each side heard since it was asked last.
    heard: [i16; 2],
    /// Since when nothing was heard at a side, while there was something to hear.
    phase: f64,
}

pub(crate) fn config(side: usize) -> CallConfig {
    CallConfig {
        codecs: vec![CodecFormat::pcmu()],
        keying: Keying::Dtls,
        ..CallConfig::with_identity(4_000 + 1_000 * side as u16, Identity::seeded(side as u64 + 5))
    }
}

impl Pair {
    pub(crate) fn new(configs: [CallConfig; 2], fate: fn(usize, usize) -> Fate) -> Self {
        Self {
            calls: configs.map(|config| Call::new(config).unwrap()),
            now: Instant::from_millis(1),
            on_the_way: Vec::new(),
            sent: [0; 2],
            dtls: [0; 2],
            encrypted: [0; 2],
            media: [0; 2],
            fate,
            kept: None,
            outside: [address(4_000), address(5_000)],
            reachable: [true; 2],
            heard: [0; 2],
            phase: 0.0,
        }
    }

    pub(crate) fn connected() -> Self {
        let mut pair = Self::new([config(0), config(1)], |_, _| Fate::Arrives);
        pair.negotiate(0, |_| {}, |_| {}).unwrap();
        pair.run(1_000);
        pair.assert_talk();
        pair
    }

    /// `side` offers; the texts may be changed on their way.
    pub(crate) fn negotiate(
        &mut self,
        side: usize,
        offer_on_its_way: impl Fn(&mut String),
        answer_on_its_way: impl Fn(&mut String),
    ) -> Result<(), CallError> {
        let mut offer = self.calls[side].offer()?;
        offer_on_its_way(&mut offer);
        self.run(50);
        let mut answer = self.calls[1 - side].answer(self.now, &offer)?;
        answer_on_its_way(&mut answer);
        self.run(50);
        self.calls[side].accept(self.now, &answer)
    }

    pub(crate) fn run(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            self.tick();
        }
    }

    fn tick(&mut self) {
        let now = self.now;
        let mut later = Vec::new();
        for (arrival, to, from, mut bytes) in std::mem::take(&mut self.on_the_way) {
            if arrival > now {
                later.push((arrival, to, from, bytes));
            } else {
                self.calls[to].receive(arrival, Channel::Rtp, from, &mut bytes);
            }
        }
        self.on_the_way = later;
        let mut pcm = [0i16; 80];
        for side in 0..2 {
            self.calls[side].play(now, &mut pcm);
            self.heard[side] = self.heard[side].max(pcm.iter().map(|x| x.saturating_abs()).max().unwrap_or(0));
            for sample in &mut pcm {
                self.phase = (self.phase + 150.0 / 8_000.0).fract();
                *sample = ((self.phase * std::f64::consts::TAU).sin() * 8_000.0) as i16;
            }
            self.calls[side].capture(now, &pcm);
            self.send(side);
        }
        self.now = now + Duration::from_millis(10);
    }

    fn send(&mut self, side: usize) {
        let mut buffer = [0; 2_048];
        while let Some(transmit) = self.calls[side].transmit(self.now, &mut buffer) {
            let bytes = buffer[..transmit.len].to_vec();
            match DatagramKind::of(&bytes) {
                DatagramKind::Dtls => {
                    self.dtls[side] += 1;
                    self.encrypted[side] += usize::from((32..64).contains(&bytes[0]));
                }
                _ => self.media[side] += 1,
            }
            let copies = match (self.fate)(side, self.sent[side]) {
                Fate::Lost => 0,
                Fate::Arrives => 1,
                Fate::Twice => 2,
            };
            self.sent[side] += 1;
            if let Some(kept) = &mut self.kept {
                kept[side].push(bytes.clone());
            }
            let other = 1 - side;
            let named = address(4_000 + 1_000 * other as u16);
            if transmit.to == self.outside[other] || transmit.to == named && self.reachable[other] {
                for _ in 0..copies {
                    self.on_the_way.push((self.now + WAY, other, self.outside[side], bytes.clone()));
                }
            }
        }
    }

    /// What a side heard since this was asked last.
    pub(crate) fn heard(&mut self) -> [i16; 2] {
        std::mem::take(&mut self.heard)
    }

    pub(crate) fn assert_talk(&mut self) {
        self.heard();
        self.run(200);
        let heard = self.heard();
        assert!(heard.iter().all(|&heard| heard > 4_000), "{heard:?}");
        for call in &self.calls {
            assert!(matches!(call.protection(), Some(Protection::Srtp(_))), "{:?}", call.protection());
            assert_eq!(call.should_end(self.now), None);
            assert_eq!(call.stats().unaccounted(), [0; 5]);
        }
    }
}

#[test]
fn a_handshake_keys_a_call() {
    let mut pair = Pair::new([config(0), config(1)], |_, _| Fate::Arrives);
    let offer = pair.calls[0].offer().unwrap();
    for line in ["m=audio 4000 UDP/TLS/RTP/SAVPF", "a=fingerprint:sha-256 ", "a=setup:actpass", "a=tls-id:"] {
        assert!(offer.contains(line), "{line} in {offer}");
    }
    assert!(!offer.contains("a=crypto"), "{offer}");
    let answer = pair.calls[1].answer(pair.now, &offer).unwrap();
    assert!(answer.contains("a=setup:active") && answer.contains("UDP/TLS/RTP/SAVPF"), "{answer}");
    pair.calls[0].accept(pair.now, &answer).unwrap();
    assert_eq!(pair.calls.each_ref().map(Call::protection), [Some(Protection::Waiting); 2]);
    pair.run(30);
    assert_eq!(pair.media, [0; 2], "nothing leaves before there are keys");
    pair.run(470);
    assert_eq!(pair.calls.each_ref().map(Call::protection), [Some(Protection::Srtp(SrtpProfile::AeadAes256Gcm)); 2]);
    pair.assert_talk();
    assert!(pair.dtls.iter().all(|&datagrams| (2..8).contains(&datagrams)), "{:?}", pair.dtls);
    assert!(pair.encrypted.iter().all(|&datagrams| datagrams > 0), "two of ours speak DTLS 1.3: {:?}", pair.encrypted);
}

#[test]
fn either_side_may_begin() {
    for (setup, answered) in [("active", "passive"), ("passive", "active")] {
        let mut pair = Pair::new([config(0), config(1)], |_, _| Fate::Arrives);
        let offered = |offer: &mut String| *offer = offer.replace("a=setup:actpass", &format!("a=setup:{setup}"));
        pair.negotiate(0, offered, |answer| {
            assert!(answer.contains(&format!("a=setup:{answered}")), "{answer}");
        })
        .unwrap();
        pair.run(1_000);
        pair.assert_talk();
    }
}

#[test]
fn handshakes_get_through_bad_networks() {
    let networks: [fn(usize, usize) -> Fate; 4] = [
        |_, number| if number < 3 { Fate::Lost } else { Fate::Arrives },
        |_, number| if number % 2 == 0 { Fate::Lost } else { Fate::Arrives },
        |side, number| if number % 3 == side { Fate::Lost } else { Fate::Twice },
        |_, _| Fate::Twice,
    ];
    for (at, network) in networks.into_iter().enumerate() {
        let mut pair = Pair::new([config(0), config(1)], network);
        pair.negotiate(0, |_| {}, |_| {}).unwrap();
        pair.run(12_000);
        for (call, heard) in pair.calls.iter().zip(pair.heard) {
            assert!(matches!(call.protection(), Some(Protection::Srtp(_))), "network {at}: {:?}", call.protection());
            assert!(heard > 4_000, "network {at}: {heard}");
        }
    }
}

/// Somebody on the signalling's or the packets' way has put another certificate in.
#[test]
fn another_certificate_than_the_one_that_was_named_is_heard_by_nobody() {
    let swap = |text: &mut String| {
        let at = text.find("sha-256 ").unwrap() + 8;
        let digit = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
        text.replace_range(at..=at, digit);
    };
    type OnItsWay = fn(&mut String);
    let none: OnItsWay = |_| {};
    for (on_offer, on_answer, deceived) in [(swap as OnItsWay, none, 1), (none, swap as OnItsWay, 0)] {
        let mut pair = Pair::new([config(0), config(1)], |_, _| Fate::Arrives);
        pair.negotiate(0, on_offer, on_answer).unwrap();
        pair.run(3_000);
        let failed = Some(Ending::Handshake(HandshakeFailure::Fingerprint));
        assert_eq!(pair.calls[deceived].should_end(pair.now), failed);
        assert_eq!(pair.calls[deceived].protection(), Some(Protection::Waiting));
        assert_eq!(pair.media[deceived], 0, "nothing is said to whoever that is");
        assert_eq!(pair.heard()[deceived], 0);
        assert_eq!(pair.heard()[1 - deceived], 0);
    }
}

#[test]
fn what_cannot_be_checked_is_refused_in_words() {
    let refused = |from: &str, to: &str| {
        let mut pair = Pair::new([config(0), config(1)], |_, _| Fate::Arrives);
        let error = pair.negotiate(0, |offer| *offer = offer.replace(from, to), |_| {}).unwrap_err();
        std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default()
    };
    assert!(refused("sha-256", "sha-1").contains("no fingerprint of its certificate by sha-256"));
    assert!(refused("a=fingerprint", "a=x-fingerprint").contains("no fingerprint"));
    assert!(refused("a=setup:actpass", "a=setup:holdconn").contains("nobody begins the DTLS handshake"));

    let described = CallConfig { keying: Keying::Described, ..config(1) };
    let mut pair = Pair::new([config(0), described.clone()], |_, _| Fate::Arrives);
    let error = pair.negotiate(0, |_| {}, |_| {}).unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("wants DTLS-SRTP, which is off here"));
    let mut pair = Pair::new([described, config(1)], |_, _| Fate::Arrives);
    let error = pair.negotiate(0, |_| {}, |_| {}).unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("DTLS-SRTP is required"));
    // Our own offer, reflected.
    let mut call = Call::new(config(0)).unwrap();
    let offer = call.offer().unwrap().replace("a=setup:actpass", "a=setup:active");
    assert!(call.accept(Instant::ZERO, &offer).is_err());
}

#[test]
fn whoever_takes_either_answers_as_it_was_offered() {
    let either = CallConfig { keying: Keying::Either, ..config(1) };
    let described = CallConfig { keying: Keying::Described, ..config(0) };
    for offering in [config(0), described] {
        let mut pair = Pair::new([offering, either.clone()], |_, _| Fate::Arrives);
        pair.negotiate(0, |_| {}, |_| {}).unwrap();
        pair.run(1_000);
        pair.assert_talk();
    }
    // Left to the other side (RFC 8643): plain RTP only where it wants that.
    let offered = CallConfig { srtp: SrtpPolicy::Offered, ..config(0) };
    let mut pair = Pair::new([offered.clone(), config(1)], |_, _| Fate::Arrives);
    pair.negotiate(0, |offer| assert!(offer.contains("RTP/AVP") && offer.contains("a=fingerprint")), |_| {}).unwrap();
    pair.run(1_000);
    pair.assert_talk();
    let plain = CallConfig { srtp: SrtpPolicy::Off, ..config(1) };
    let mut pair = Pair::new([offered, plain], |_, _| Fate::Arrives);
    pair.negotiate(0, |_| {}, |_| {}).unwrap();
    pair.run(300);
    assert_eq!(pair.calls[0].protection(), Some(Protection::Plain));
    assert!(pair.heard().iter().all(|&heard| heard > 4_000));
}

/// Hold, resume and the like leave the association as it is; a rekey makes another, and the sound goes on meanwhile.
#[test]
fn an_association_lasts_until_another_is_asked_for() {
    let mut pair = Pair::connected();
    let before = pair.dtls;
    for side in [1, 0, 1] {
        pair.negotiate(side, |_| {}, |_| {}).unwrap();
        pair.assert_talk();
    }
    assert_eq!(pair.dtls, before, "no new handshake");
    for side in [0, 1] {
        let before = pair.dtls;
        pair.calls[side].rekey().unwrap();
        let refused = pair.calls.each_ref().map(|call| call.stats().refused);
        pair.negotiate(side, |_| {}, |_| {}).unwrap();
        for _ in 0..10 {
            pair.assert_talk();
        }
        assert!(pair.dtls.iter().zip(before).all(|(now, before)| *now > before + 1), "{:?} {before:?}", pair.dtls);
        // What was on its way when the keys changed.
        for (call, before) in pair.calls.iter().zip(refused) {
            assert!(call.stats().refused - before <= 20, "{}", call.stats().refused - before);
        }
    }
}

#[test]
fn another_certificate_in_a_later_description_means_another_association() {
    let mut pair = Pair::connected();
    // The other side is handed over to a machine with another certificate, which the call there doesn't know.
    let other = Certificate::generate().unwrap().fingerprint().to_string();
    let swap = |offer: &mut String| {
        let at = offer.find("a=fingerprint:").unwrap() + 14;
        let end = at + offer[at..].find('\r').unwrap();
        offer.replace_range(at..end, &other);
    };
    pair.negotiate(0, swap, |_| {}).unwrap();
    pair.run(40_000);
    assert!(matches!(pair.calls[1].should_end(pair.now), Some(Ending::Handshake(_))));
}

#[test]
fn who_never_shakes_hands_is_given_up_in_words() {
    for side in 0..2 {
        // Nothing of that side arrives.
        let network: fn(usize, usize) -> Fate = if side == 0 {
            |side, _| if side == 0 { Fate::Lost } else { Fate::Arrives }
        } else {
            |side, _| if side == 1 { Fate::Lost } else { Fate::Arrives }
        };
        let mut pair = Pair::new([config(0), config(1)], network);
        pair.negotiate(0, |_| {}, |_| {}).unwrap();
        pair.run(29_000);
        assert_eq!(pair.calls[1 - side].should_end(pair.now).filter(|_| side == 1), None);
        pair.run(2_000);
        for call in &pair.calls {
            assert_eq!(call.should_end(pair.now), Some(Ending::Handshake(HandshakeFailure::Timeout)));
        }
        assert_eq!(pair.media, [0; 2]);
        let words = HandshakeFailure::Timeout.to_string();
        assert!(words.contains("30 s"), "{words}");
    }
}

/// Strangers, and forged datagrams of the other side, at every moment of a handshake and after it.
#[test]
fn what_others_send_ends_no_handshake_and_gets_little_back() {
    let stranger = SocketAddr::from(([198, 51, 100, 9], 7_777));
    // Something that looks like a record of each type, and a whole ClientHello.
    let mut client = Pair::new([config(0), config(1)], |_, _| Fate::Arrives);
    client.negotiate(0, |_| {}, |_| {}).unwrap();
    client.run(10);
    let mut hello = [0; 2_048];
    let mut other = Call::new(config(1)).unwrap();
    let offer = Call::new(config(0)).unwrap().offer().unwrap();
    other.answer(Instant::ZERO, &offer).unwrap();
    let len = other.transmit(Instant::ZERO, &mut hello).expect("a ClientHello").len;
    let mut junk: Vec<Vec<u8>> = (20..=26)
        .map(|kind| {
            let mut record = vec![kind, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 20];
            record.extend([1; 20]);
            record
        })
        .collect();
    junk.push(hello[..len].to_vec());

    for from in [stranger, address(5_000), address(4_000)] {
        let mut pair = Pair::new([config(0), config(1)], |_, _| Fate::Arrives);
        pair.negotiate(0, |_| {}, |_| {}).unwrap();
        let (mut sent, mut answered) = (0, 0);
        for round in 0..60 {
            for side in 0..2 {
                let forged = &junk[round % junk.len()];
                if from == stranger || from == address(5_000 - 1_000 * side as u16) {
                    pair.calls[side].receive(pair.now, Channel::Rtp, from, &mut forged.clone());
                    sent += forged.len();
                }
                let mut buffer = [0; 2_048];
                while let Some(transmit) = pair.calls[side].transmit(pair.now, &mut buffer) {
                    if transmit.to == stranger {
                        answered += transmit.len;
                    } else {
                        let bytes = buffer[..transmit.len].to_vec();
                        pair.on_the_way.push((pair.now + WAY, 1 - side, transmit.from, bytes));
                    }
                }
            }
            pair.run(20);
        }
        assert!(answered <= 3 * sent, "{answered} bytes for {sent}");
        pair.run(if from == stranger { 10_000 } else { 20_000 });
        if from == stranger {
            pair.assert_talk();
        }
        // Whoever can forge the other side's address may delay it; the call still comes about.
        for call in &pair.calls {
            assert!(matches!(call.protection(), Some(Protection::Srtp(_))), "{from}: {:?}", call.protection());
        }
    }
}

#[test]
fn plain_and_early_packets_are_refused() {
    let mut pair = Pair::new([config(0), config(1)], |_, _| Fate::Arrives);
    pair.negotiate(0, |_| {}, |_| {}).unwrap();
    let mut rtp = vec![0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4];
    rtp.extend([0x55; 160]);
    let before = pair.calls[0].receive(pair.now, Channel::Rtp, address(5_000), &mut rtp.clone());
    assert!(matches!(before, Incoming::Refused(_)), "{before:?}");
    pair.run(1_000);
    let after = pair.calls[0].receive(pair.now, Channel::Rtp, address(5_000), &mut rtp.clone());
    assert!(matches!(after, Incoming::Refused(_)), "{after:?}");
    assert_eq!(pair.calls[0].stats().refused, 2);
    pair.assert_talk();
}

/// Hanging up ends the association too, which browsers take for the end.
#[test]
fn a_goodbye_ends_the_association() {
    let mut pair = Pair::connected();
    pair.calls[0].hang_up();
    pair.send(0);
    pair.now += Duration::from_millis(100);
    for (_, to, from, mut bytes) in std::mem::take(&mut pair.on_the_way) {
        pair.calls[to].receive(pair.now, Channel::Rtp, from, &mut bytes);
    }
    assert_eq!(pair.calls[1].should_end(pair.now + Duration::from_secs(8)), Some(Ending::Goodbye));
}

#[test]
fn a_kept_certificate_is_shown_again() {
    let certificate = Certificate::generate().unwrap();
    let kept = Certificate::from_pem(&certificate.to_pem()).unwrap();
    let offer = |certificate| Call::new(CallConfig { certificate, ..config(0) }).unwrap().offer().unwrap();
    let line = format!("a=fingerprint:{}\r\n", certificate.fingerprint());
    assert!(offer(Some(certificate)).contains(&line) && offer(Some(kept)).contains(&line));
    assert!(!offer(None).contains(&line));
}

/// Where ICE looks for a way first, the handshake waits for it, and nobody is asked again and again meanwhile.
#[test]
fn a_handshake_waits_for_the_checks_of_ice() {
    let with_ice = |side| CallConfig { ice: IceConfig { mode: IceMode::Full, ..IceConfig::default() }, ..config(side) };
    let mut pair = Pair::new([with_ice(0), with_ice(1)], |_, _| Fate::Lost);
    pair.negotiate(0, |_| {}, |_| {}).unwrap();
    pair.run(2_000);
    assert_eq!(pair.dtls, [0; 2], "no address has answered");
    for call in &pair.calls {
        assert_eq!(call.protection(), Some(Protection::Waiting));
        assert!(call.next_deadline().is_some_and(|deadline| deadline >= pair.now), "{:?}", call.next_deadline());
    }
    pair.fate = |_, _| Fate::Arrives;
    pair.run(8_000);
    pair.assert_talk();
}

/// Whoever is behind a NAT is heard from another address than it named, and answered there; and so is a server that answers
/// from another of its addresses.
#[test]
fn a_side_that_comes_from_another_address_than_it_named_is_the_other_side() {
    let outside = SocketAddr::from(([203, 0, 113, 5], 6_000));
    for side in 0..2 {
        let mut pair = Pair::new([config(0), config(1)], |_, _| Fate::Arrives);
        pair.outside[side] = outside;
        // A client's NAT lets nothing in that was sent to the address behind it.
        pair.reachable[side] = side == 0;
        pair.negotiate(0, |_| {}, |_| {}).unwrap();
        pair.run(4_000);
        pair.assert_talk();
    }
}

/// A stranger shakes hands in full, with a certificate that nobody named, before the other side's first datagram is there.
#[test]
fn a_stranger_with_a_certificate_of_its_own_ends_no_call() {
    let stranger = SocketAddr::from(([198, 51, 100, 9], 7_777));
    let ours = CallConfig { certificate: Some(Certificate::generate().unwrap()), ..config(0) };
    let mut pair = Pair::new([ours.clone(), config(1)], |_, _| Fate::Lost);
    pair.negotiate(0, |_| {}, |_| {}).unwrap();
    // It has read the offer, so that our certificate is the right one to it.
    let offer = Call::new(ours).unwrap().offer().unwrap();
    let mut other = Call::new(config(1)).unwrap();
    other.answer(pair.now, &offer).unwrap();
    let mut buffer = [0; 2_048];
    let mut exchanged = 0;
    for _ in 0..100 {
        while let Some(transmit) = other.transmit(pair.now, &mut buffer) {
            pair.calls[0].receive(pair.now, Channel::Rtp, stranger, &mut buffer[..transmit.len].to_vec());
        }
        while let Some(transmit) = pair.calls[0].transmit(pair.now, &mut buffer) {
            if transmit.to == stranger {
                exchanged += 1;
                other.receive(pair.now, Channel::Rtp, address(4_000), &mut buffer[..transmit.len].to_vec());
            }
        }
        pair.now += Duration::from_millis(10);
    }
    assert!(exchanged >= 2, "it was answered {exchanged} times");
    assert_eq!(pair.calls[0].should_end(pair.now), None);
    assert_eq!(pair.calls[0].protection(), Some(Protection::Waiting), "not with those keys");
    pair.fate = |_, _| Fate::Arrives;
    pair.run(9_000);
    pair.assert_talk();
}
