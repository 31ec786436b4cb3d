//! Later offers: all of it or nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dsp_core::process::activity::EnergyGate;
use host_std::manager::{Change, DialogId, EventKind, ManagerError};
use host_std::registry::CodecFormat;
use host_std::sdp::{Direction, SrtpKeys};
use host_std::session::{CallStats, Identity, OwnDetector};

use super::world::{World, address, pair};

/// What a change that is refused must leave alone.
#[derive(Debug, PartialEq)]
struct Running {
    keys: Option<SrtpKeys>,
    source: Option<dsp_core::time::Ssrc>,
    codec: Option<CodecFormat>,
    destination: Option<std::net::SocketAddr>,
    direction: Direction,
    wanted: Option<Direction>,
    receives_at: std::net::SocketAddr,
    restarts: u32,
    keyed: u32,
}

fn running(world: &World, dialogs: &[DialogId; 2], side: usize) -> Running {
    let call = world.phones[side].session.call(&dialogs[side]).unwrap();
    let CallStats { keyed, total, .. } = call.stats();
    Running {
        keys: call.srtp_keys(host_std::session::Channel::Rtp).cloned(),
        source: call.sent_source(0),
        codec: call.codec().cloned(),
        destination: call.destination(host_std::session::Channel::Rtp),
        direction: call.negotiated_stream(0).unwrap().direction,
        wanted: call.wanted_direction(0),
        receives_at: call.receives_at(),
        restarts: total.restarts + total.ssrc_changes + total.time_jumps,
        keyed,
    }
}

/// Changes that a call may be asked for, each alone and all at once.
fn changes() -> Vec<Change> {
    let codec = [CodecFormat::pcma()];
    vec![
        Change::hold(),
        Change::inactive(),
        Change::direction(Direction::RecvOnly),
        Change::default().with_codecs(codec.clone()),
        Change::default().with_fresh_keys(),
        Change::default().with_address(address(4_444).ip(), 4_444),
        Change::hold().with_codecs(codec).with_fresh_keys().with_address(address(4_446).ip(), 4_446),
    ]
}

#[test]
fn a_refused_offer_leaves_the_call_as_it_was() {
    let (mut world, dialogs) = pair(|_| {});
    let before = [0, 1].map(|side| running(&world, &dialogs, side));
    let gaps = [0, 1].map(|side| world.phones[side].gaps);
    for change in changes() {
        for side in [0, 1] {
            world.at(side, |session, now| session.reoffer(now, &dialogs[side], &change)).unwrap();
            world.run(200);
            // 488: the other side's call was never asked.
            world.at(side, |session, _| session.withdraw(&dialogs[side])).unwrap();
            world.run(300);
            let after = [0, 1].map(|side| running(&world, &dialogs, side));
            assert_eq!(after, before, "{change:?}");
        }
    }
    assert_eq!([0, 1].map(|side| world.phones[side].gaps), gaps, "no tick was lost");
    assert!(world.phones[0].hears(700.0) && world.phones[1].hears(400.0));
    // And the next description says what was agreed on, under a version that was not said before of something else.
    let offer = world.at(0, |session, now| session.reoffer(now, &dialogs[0], &Change::default())).unwrap();
    assert!(offer.contains("a=sendrecv") && offer.contains("m=audio 4000") && !offer.contains("PCMA"), "{offer}");
    let answer = world.at(1, |session, now| session.answer(now, &dialogs[1], &offer)).unwrap();
    world.at(0, |session, now| session.accept(now, &dialogs[0], &answer)).unwrap();
    assert_eq!([0, 1].map(|side| running(&world, &dialogs, side)), before);
}

#[test]
fn versions_of_refused_offers_are_not_said_of_anything_else() {
    let (mut world, dialogs) = pair(|_| {});
    let version = |offer: &str| -> u64 {
        let origin = offer.lines().find(|line| line.starts_with("o=")).unwrap();
        origin.split(' ').nth(2).unwrap().parse().unwrap()
    };
    let mut said = std::collections::HashMap::new();
    for change in changes().into_iter().chain(changes()) {
        let offer = world.at(0, |session, now| session.reoffer(now, &dialogs[0], &change)).unwrap();
        let known = said.entry(version(&offer)).or_insert_with(|| offer.clone());
        assert_eq!(*known, offer);
        world.at(0, |session, _| session.withdraw(&dialogs[0])).unwrap();
    }
}

#[test]
fn an_offer_that_cant_be_used_leaves_the_call_as_it_was() {
    let (mut world, dialogs) = pair(|_| {});
    let before = [0, 1].map(|side| running(&world, &dialogs, side));
    let gaps = world.phones[1].gaps;
    let offer = world.at(0, |session, now| session.reoffer(now, &dialogs[0], &Change::default())).unwrap();
    world.at(0, |session, _| session.withdraw(&dialogs[0])).unwrap();
    let broken = [
        offer.replace("m=audio 4000 RTP/SAVP 0", "m=audio 4000 RTP/SAVP 18").replace("PCMU", "G729"),
        offer.replace("c=IN IP4 127.0.0.1", "c=IN IP6 ::1"),
        offer
            .replace("RTP/SAVP", "RTP/AVP")
            .lines()
            .filter(|line| !line.starts_with("a=crypto"))
            .map(|line| format!("{line}\r\n"))
            .collect(),
        offer.replace("inline:", "inline:x"),
        offer.replace("m=audio", "m=video"),
        String::new(),
        offer[..offer.len() / 2].to_owned(),
    ];
    for offer in broken {
        // A wish that waits for the next offer stays one.
        let refused = world.at(1, |session, now| session.answer(now, &dialogs[1], &offer));
        let error = refused.expect_err(&offer);
        assert_eq!(error.status(), 488, "{error:?}");
        world.run(200);
        assert_eq!([0, 1].map(|side| running(&world, &dialogs, side)), before, "{offer}");
    }
    assert_eq!(world.phones[1].gaps, gaps);
    assert!(world.phones[0].hears(700.0) && world.phones[1].hears(400.0));
}

#[test]
fn an_answer_that_cant_be_used_takes_the_offer_back() {
    let (mut world, dialogs) = pair(|_| {});
    let before = running(&world, &dialogs, 0);
    let gaps = world.phones[0].gaps;
    for answer in ["", "v=0\r\n", "v=0\r\no=- 7 8 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"] {
        for change in changes() {
            world.at(0, |session, now| session.reoffer(now, &dialogs[0], &change)).unwrap();
            assert!(world.at(0, |session, now| session.accept(now, &dialogs[0], answer)).is_err());
            world.run(100);
            assert_eq!(running(&world, &dialogs, 0), before);
        }
    }
    assert_eq!(world.phones[0].gaps, gaps);
}

#[test]
fn a_change_that_cant_be_offered_is_none() {
    let (mut world, dialogs) = pair(|_| {});
    let before = running(&world, &dialogs, 0);
    let impossible = Change::hold().with_fresh_keys().with_codecs([CodecFormat::l16(44_100, 7)]);
    assert!(world.at(0, |session, now| session.reoffer(now, &dialogs[0], &impossible)).is_err());
    assert_eq!(running(&world, &dialogs, 0), before);
    world.change([0, 1], [&dialogs[0], &dialogs[1]], &Change::default());
    world.run(300);
    assert_eq!(running(&world, &dialogs, 0), before);
}

#[test]
fn a_refresh_changes_nothing_whoever_sends_it() {
    // The callee has more codecs than it answered with: a fresh offer of its own would bring them in.
    let (mut world, dialogs) = pair(|config| {
        if config.rtp_port == 5_000 {
            config.codecs = vec![CodecFormat::pcma(), CodecFormat::pcmu()];
        }
    });
    let before = [0, 1].map(|side| running(&world, &dialogs, side));
    let gaps = [0, 1].map(|side| world.phones[side].gaps);
    let memory = world.phones[0].session.call(&dialogs[0]).unwrap().memory_bytes();
    for round in 0..20 {
        let side = round % 2;
        let offer = world.at(side, |session, now| session.refresh(now, &dialogs[side])).unwrap();
        world.run(50);
        let answer = world.at(1 - side, |session, now| session.answer(now, &dialogs[1 - side], &offer)).unwrap();
        // Retransmitted: the same again.
        let again = world.at(1 - side, |session, now| session.answer(now, &dialogs[1 - side], &offer)).unwrap();
        assert_eq!(answer, again);
        world.run(50);
        world.at(side, |session, now| session.accept(now, &dialogs[side], &answer)).unwrap();
        world.run(200);
    }
    assert_eq!([0, 1].map(|side| running(&world, &dialogs, side)), before);
    assert_eq!([0, 1].map(|side| world.phones[side].gaps), gaps, "no tick was lost");
    assert_eq!(world.phones[0].session.call(&dialogs[0]).unwrap().memory_bytes(), memory);
    assert!(world.phones.iter().all(|phone| phone.was_told(|kind| *kind != EventKind::FirstPacket) == 0));
}

#[test]
fn a_refresh_makes_nothing_anew() {
    // What tells speech from noise is made with each encoder and its settings.
    let made = Arc::new(AtomicU32::new(0));
    let counter = made.clone();
    let detector = OwnDetector::new(move |rate_hz| {
        counter.fetch_add(1, Ordering::Relaxed);
        EnergyGate::new(rate_hz)
    });
    let (mut world, dialogs) = pair(|config| {
        (config.comfort_noise, config.detector) = (true, Some(detector.clone()));
    });
    let before = made.load(Ordering::Relaxed);
    assert!(before >= 2, "it is asked");
    for side in [0, 1, 0] {
        let offer = world.at(side, |session, now| session.refresh(now, &dialogs[side])).unwrap();
        let answer = world.at(1 - side, |session, now| session.answer(now, &dialogs[1 - side], &offer)).unwrap();
        world.at(side, |session, now| session.accept(now, &dialogs[side], &answer)).unwrap();
    }
    assert_eq!(made.load(Ordering::Relaxed), before);
}

#[test]
fn glare_is_told_and_costs_nothing() {
    let (mut world, dialogs) = pair(|_| {});
    let before = [0, 1].map(|side| running(&world, &dialogs, side));
    let offers = [0, 1]
        .map(|side| world.at(side, |session, now| session.reoffer(now, &dialogs[side], &Change::hold())).unwrap());
    for side in [0, 1] {
        let glare = world.at(side, |session, now| session.answer(now, &dialogs[side], &offers[1 - side]));
        assert!(matches!(glare, Err(ManagerError::Glare)));
        assert_eq!(glare.unwrap_err().status(), 491);
        let own = world.at(side, |session, now| session.reoffer(now, &dialogs[side], &Change::resume()));
        assert!(matches!(own, Err(ManagerError::Glare)), "one offer at a time");
    }
    for side in [0, 1] {
        world.at(side, |session, _| session.withdraw(&dialogs[side])).unwrap();
        assert!(matches!(world.at(side, |session, _| session.withdraw(&dialogs[side])), Err(ManagerError::NoOffer)));
    }
    world.run(300);
    assert_eq!([0, 1].map(|side| running(&world, &dialogs, side)), before);
    // The one that waited longer tries again.
    world.change([0, 1], [&dialogs[0], &dialogs[1]], &Change::hold());
    world.run(300);
    assert!(world.phones[1].hears(400.0) && !world.phones[0].hears(700.0));
}

#[test]
fn everything_changes_at_once() {
    let (mut world, dialogs) = pair(|config| config.codecs = vec![CodecFormat::pcmu(), CodecFormat::pcma()]);
    world.phones[0].addresses.push(address(4_446));
    let change =
        Change::default().with_codecs([CodecFormat::pcma()]).with_fresh_keys().with_address(address(4_446).ip(), 4_446);
    world.change([0, 1], [&dialogs[0], &dialogs[1]], &change);
    world.phones[0].addresses.remove(0);
    world.run(500);
    assert!(world.phones[0].hears(700.0) && world.phones[1].hears(400.0));
    let told = |side: usize, is: fn(&EventKind) -> bool| world.phones[side].was_told(is);
    for side in [0, 1] {
        assert_eq!(told(side, |kind| *kind == EventKind::KeysChanged), 1);
        assert!(told(side, |kind| matches!(kind, EventKind::CodecChanged(_))) >= 1);
    }
    world.at(1, |session, now| {
        session.call_mut(&dialogs[1]).unwrap().change_source(now, &Identity::seeded(99)).unwrap();
    });
    world.run(500);
    assert!(world.phones[0].hears(700.0) && world.phones[1].hears(400.0));
    assert_eq!(world.phones[0].was_told(|kind| *kind == EventKind::SourceChanged), 1);
}

#[test]
fn an_offer_that_is_never_answered_is_taken_back() {
    let (mut world, dialogs) = pair(|_| {});
    let before = running(&world, &dialogs, 0);
    world.at(0, |session, now| session.reoffer(now, &dialogs[0], &Change::hold())).unwrap();
    world.run(190_000);
    assert_eq!(running(&world, &dialogs, 0), before);
    assert_eq!(world.phones[0].was_told(|kind| *kind == EventKind::OfferExpired), 1);
    world.change([1, 0], [&dialogs[1], &dialogs[0]], &Change::default());
}
