//! Attacks on the handshake of DTLS and on what comes of it: forged refusals, floods of ClientHellos, fragments, and
//! what was recorded under keys of before. Each is counted, nothing of it is heard, and the true call goes on.

use std::net::SocketAddr;

use dsp_core::guard::GuardError;
use dsp_core::receive::Received;
use dsp_core::time::{Duration, Instant};
use dsp_core::wire::DatagramKind;
use host_std::session::{Call, Channel, HandshakeFailure, Incoming, Protection};

use crate::dtls::{Fate, Pair, WAY, address, config};

const STRANGER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 9)), 7_777);
/// A fatal alert without protection: handshake_failure.
const REFUSAL: [u8; 15] = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40];

/// The first ClientHello of a call that answers: of DTLS 1.2 and 1.3, or of 1.2 alone, as whoever was refused says it.
fn hello(refused: bool) -> Vec<u8> {
    let mut call = Call::new(config(1)).unwrap();
    let offer = Call::new(config(0)).unwrap().offer().unwrap();
    call.answer(Instant::ZERO, &offer).unwrap();
    let (mut now, mut buffer) = (Instant::ZERO, [0; 2_048]);
    let mut first = |call: &mut Call, now| {
        let len = call.transmit(now, &mut buffer).expect("a ClientHello").len;
        buffer[..len].to_vec()
    };
    let mut hello = first(&mut call, now);
    if refused {
        call.receive(now, Channel::Rtp, address(4_000), &mut REFUSAL.clone());
        now += Duration::from_millis(300);
        hello = first(&mut call, now);
    }
    hello
}

/// The same with other random bytes: another client's, for all that one knows.
fn another(hello: &[u8], number: u32) -> Vec<u8> {
    let mut hello = hello.to_vec();
    // Behind the headers of record and message, and the version.
    hello[27..31].copy_from_slice(&number.to_be_bytes());
    hello
}

/// Whoever forges a refusal makes the client ask in another way, which the server answers as well, over any network.
#[test]
fn a_forged_refusal_costs_a_handshake_and_no_call() {
    let networks: [fn(usize, usize) -> Fate; 3] = [
        |_, _| Fate::Arrives,
        |_, n| if n % 3 == 1 { Fate::Lost } else { Fate::Arrives },
        |_, n| if n % 2 == 0 { Fate::Twice } else { Fate::Arrives },
    ];
    for network in networks {
        let mut pair = Pair::new([config(0), config(1)], network);
        pair.negotiate(0, |_| {}, |_| {}).unwrap();
        assert_eq!(pair.calls[1].stats().handshake, None);
        pair.calls[1].receive(pair.now, Channel::Rtp, address(4_000), &mut REFUSAL.clone());
        let stats = pair.calls[1].stats();
        assert_eq!((stats.handshake, stats.handshakes), (Some(HandshakeFailure::Refused), 1));
        assert!(HandshakeFailure::Refused.to_string().contains("refused"));
        pair.run(if network(0, 1) == Fate::Lost { 8_000 } else { 1_500 });
        pair.fate = |_, _| Fate::Arrives;
        pair.assert_talk();
        assert_eq!(pair.calls[1].stats().handshake, None, "that is over");
        // And for an association that stands it is nothing at all.
        for call in &mut pair.calls {
            call.receive(pair.now, Channel::Rtp, address(5_000), &mut REFUSAL.clone());
            call.receive(pair.now, Channel::Rtp, address(4_000), &mut REFUSAL.clone());
        }
        pair.assert_talk();
    }
}

/// Thousands of clients that nobody knows, before, during and after the true handshake.
#[test]
fn a_flood_of_hellos_gets_little_back_and_ends_no_call() {
    for one in [hello(false), hello(true)] {
        let mut pair = Pair::new([config(0), config(1)], |_, _| Fate::Arrives);
        pair.negotiate(0, |_| {}, |_| {}).unwrap();
        let (mut brought, mut got, mut number) = (0, 0, 0);
        let mut flood = |pair: &mut Pair, rounds: u32, from: &dyn Fn(u32) -> SocketAddr| {
            for _ in 0..rounds {
                for _ in 0..10 {
                    number += 1;
                    let mut bytes = another(&one, number);
                    brought += bytes.len();
                    let incoming = pair.calls[0].receive(pair.now, Channel::Rtp, from(number), &mut bytes);
                    assert!(matches!(incoming, Incoming::Handshake | Incoming::Foreign), "{incoming:?}");
                }
                let mut buffer = [0; 2_048];
                while let Some(transmit) = pair.calls[0].transmit(pair.now, &mut buffer) {
                    if transmit.to == address(5_000) {
                        let bytes = buffer[..transmit.len].to_vec();
                        pair.on_the_way.push((pair.now + WAY, 1, transmit.from, bytes));
                    } else {
                        got += transmit.len;
                    }
                }
                pair.run(10);
            }
        };
        let many =
            |number: u32| SocketAddr::from(([203, 0, 113, (number % 250) as u8], 1_024 + number as u16 % 60_000));
        flood(&mut pair, 100, &|_| STRANGER);
        flood(&mut pair, 100, &many);
        pair.run(1_000);
        pair.assert_talk();
        flood(&mut pair, 50, &many);
        flood(&mut pair, 50, &|_| address(5_000));
        pair.assert_talk();
        assert!(got <= 3 * brought, "{got} bytes for {brought}");
        let stats = pair.calls[0].stats();
        assert!(stats.foreign >= 2_000 && stats.handshakes >= 500, "{} {}", stats.foreign, stats.handshakes);
    }
}

/// Fragments of messages that never become whole, that overlap, that claim to be of any length, and that are far ahead.
#[test]
fn fragments_of_nothing_end_no_handshake() {
    let record = |body: &[u8], sequence: u8| {
        let len = (body.len() as u16).to_be_bytes();
        [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, sequence, len[0], len[1]][..], body].concat()
    };
    let fragment = |kind: u8, total: [u8; 3], number: u16, offset: [u8; 3], bytes: &[u8]| {
        let len = [0, (bytes.len() >> 8) as u8, bytes.len() as u8];
        [&[kind][..], &total, &number.to_be_bytes(), &offset, &len, bytes].concat()
    };
    let mut junk = Vec::new();
    for kind in [1, 2, 11, 12, 14, 16, 20, 99] {
        for number in [0, 1, 2, 3, 9, 700, u16::MAX] {
            junk.push(fragment(kind, [0xff; 3], number, [0; 3], &[7; 900]));
            junk.push(fragment(kind, [0, 0x10, 0], number, [0, 0x0f, 0xff], &[7; 9]));
            junk.push(fragment(kind, [0, 0x10, 0], number, [0, 0, 100], &[7; 900]));
            junk.push(fragment(kind, [0, 0, 9], number, [0, 0, 9], &[]));
            junk.push(fragment(kind, [0; 3], number, [0; 3], &[]));
        }
    }
    for refused in [false, true] {
        for from in [STRANGER, address(4_000), address(5_000)] {
            let mut pair = Pair::new([config(0), config(1)], |_, _| Fate::Arrives);
            pair.negotiate(0, |_| {}, |_| {}).unwrap();
            if refused {
                pair.calls[1].receive(pair.now, Channel::Rtp, address(4_000), &mut REFUSAL.clone());
            }
            for (round, forged) in junk.iter().enumerate() {
                for call in &mut pair.calls {
                    call.receive(pair.now, Channel::Rtp, from, &mut record(forged, round as u8));
                }
                if round % 16 == 0 {
                    pair.run(10);
                }
            }
            // Whoever forges the other side's address may delay it.
            pair.run(if from == STRANGER { 3_000 } else { 20_000 });
            pair.assert_talk();
        }
    }
}

/// What somebody recorded, played into the call that it is of, and into the one that it becomes.
#[test]
fn what_was_recorded_is_nothing_under_the_same_keys_or_the_next() {
    let mut pair = Pair::connected();
    pair.kept = Some(Default::default());
    pair.run(1_000);
    pair.calls[0].rekey().unwrap();
    pair.negotiate(0, |_| {}, |_| {}).unwrap();
    pair.run(1_000);
    let recorded = std::mem::take(pair.kept.as_mut().unwrap());
    pair.run(1_000);
    let now = pair.kept.take().unwrap();
    pair.run(100);
    let played = |pair: &mut Pair, datagrams: &[Vec<u8>]| {
        let before = pair.calls[0].stats();
        let (mut replayed, mut others, mut late) = (0, 0, 0);
        for datagram in datagrams.iter().filter(|datagram| DatagramKind::of(datagram) == DatagramKind::Rtp) {
            match pair.calls[0].receive(pair.now, Channel::Rtp, address(5_000), &mut datagram.clone()) {
                Incoming::Refused(GuardError::Authentication) => others += 1,
                Incoming::Refused(_) => replayed += 1,
                // It came before the keys that it is under, and was refused: now it's too late to be heard.
                Incoming::Audio(Received::Late) => late += 1,
                heard => panic!("{heard:?}"),
            }
        }
        assert_eq!(pair.calls[0].stats().refused - before.refused, replayed + others);
        (replayed, others, late)
    };
    let (replayed, others, late) = played(&mut pair, &now[1]);
    assert!(replayed >= 49 && (others, late) == (0, 0), "under these keys: {replayed} {others} {late}");
    let (_, others, late) = played(&mut pair, &recorded[1]);
    assert!(others >= 40 && late <= 5, "under the keys of before: {others} {late}");
    // The handshake that they came from, to both sides.
    for side in 0..2 {
        for datagram in recorded[1 - side].iter().filter(|datagram| DatagramKind::of(datagram) == DatagramKind::Dtls) {
            let from = address(5_000 - 1_000 * side as u16);
            let incoming = pair.calls[side].receive(pair.now, Channel::Rtp, from, &mut datagram.clone());
            assert_eq!(incoming, Incoming::Handshake);
        }
    }
    pair.assert_talk();
    assert!(pair.calls.iter().all(|call| matches!(call.protection(), Some(Protection::Srtp(_)))));
}
