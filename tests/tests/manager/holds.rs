//! Hold in all its spellings, both ways, and back.

use host_std::manager::{Change, DialogId, EventKind, ManagerError};
use host_std::sdp::Direction;

use super::world::{World, pair};

/// An offer of the first phone, respelled, and what the second makes of it.
fn offered(
    world: &mut World,
    dialogs: &[DialogId; 2],
    respell: impl Fn(&str) -> String,
) -> Result<String, ManagerError> {
    let offer = world.at(0, |session, now| session.reoffer(now, &dialogs[0], &Change::default())).unwrap();
    let offer = respell(&offer);
    let answer = world.at(1, |session, now| session.answer(now, &dialogs[1], &offer));
    if let Ok(answer) = &answer {
        // The first phone is one that really means it.
        let direction = if answer.contains("a=recvonly") { Change::hold() } else { Change::inactive() };
        world.at(0, |session, _| session.withdraw(&dialogs[0])).unwrap();
        let meant =
            if answer.contains("a=recvonly") || answer.contains("a=inactive") { direction } else { Change::resume() };
        world.at(0, |session, now| session.reoffer(now, &dialogs[0], &meant)).unwrap();
        world.at(0, |session, now| session.accept(now, &dialogs[0], answer)).unwrap();
    }
    world.run(500);
    answer
}

fn replace_direction(offer: &str, direction: &str) -> String {
    offer.replace("a=sendrecv\r\n", &format!("a={direction}\r\n"))
}

#[test]
fn every_spelling_of_hold_is_a_hold() {
    type Respell = fn(&str) -> String;
    // What the offer says, what the answer must say, and which of them is heard by the other (the holder, the held).
    let spellings: [(&str, Respell, &str, [bool; 2]); 5] = [
        ("sendonly", |offer| replace_direction(offer, "sendonly"), "recvonly", [false, true]),
        ("inactive", |offer| replace_direction(offer, "inactive"), "inactive", [false, false]),
        ("recvonly", |offer| replace_direction(offer, "recvonly"), "sendonly", [true, false]),
        // RFC 2543: nothing may be sent there; what comes from there is still heard.
        ("zero address", |offer| offer.replace("c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0"), "recvonly", [false, true]),
        (
            "zero address and sendonly",
            |offer| replace_direction(offer, "sendonly").replace("c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0"),
            "recvonly",
            [false, true],
        ),
    ];
    for (name, respell, answer, hears) in spellings {
        let (mut world, dialogs) = pair(|_| {});
        let said = offered(&mut world, &dialogs, respell).unwrap();
        assert!(said.contains(&format!("a={answer}")), "{name}: {said}");
        if name != "recvonly" {
            let told = world.phones[1].was_told(|kind| *kind == EventKind::RemoteHold);
            assert_eq!(told, 1, "{name}: {:?}", world.phones[1].kinds());
            assert!(world.phones[1].session.is_held(&dialogs[1]), "{name}");
        } else {
            assert_eq!(world.phones[1].was_told(|kind| *kind == EventKind::RemoteHold), 0);
        }
        // The holder hears only what the held one may send.
        assert_eq!(world.phones[0].hears(700.0), hears[0], "{name}: the holder");
        if name == "sendonly" {
            assert!(world.phones[1].hears(400.0), "{name}: the held one");
        }
        // And back.
        world.change([0, 1], [&dialogs[0], &dialogs[1]], &Change::resume());
        world.run(500);
        assert!(world.phones[0].hears(700.0) && world.phones[1].hears(400.0), "{name}: resumed");
        let resumed = world.phones[1].was_told(|kind| *kind == EventKind::RemoteResume);
        assert_eq!(resumed, usize::from(name != "recvonly"), "{name}");
    }
}

#[test]
fn both_sides_hold_and_resume_in_any_order() {
    let (mut world, dialogs) = pair(|_| {});
    let (a, b) = (&dialogs[0], &dialogs[1]);
    let direction = |world: &World, side: usize| {
        world.phones[side].session.call(&dialogs[side]).unwrap().negotiated_stream(0).unwrap().direction
    };
    world.change([0, 1], [a, b], &Change::hold());
    assert_eq!((direction(&world, 0), direction(&world, 1)), (Direction::SendOnly, Direction::RecvOnly));
    world.change([1, 0], [b, a], &Change::hold());
    assert_eq!((direction(&world, 0), direction(&world, 1)), (Direction::Inactive, Direction::Inactive));
    world.run(300);
    assert!(!world.phones[0].hears(700.0) && !world.phones[1].hears(400.0));
    // The first resumes: it is still held by the other.
    world.change([0, 1], [a, b], &Change::resume());
    assert_eq!((direction(&world, 0), direction(&world, 1)), (Direction::RecvOnly, Direction::SendOnly));
    world.run(500);
    assert!(world.phones[0].hears(700.0) && !world.phones[1].hears(400.0));
    world.change([1, 0], [b, a], &Change::resume());
    world.run(500);
    assert!(world.phones[0].hears(700.0) && world.phones[1].hears(400.0));
    for side in [0, 1] {
        let phone = &world.phones[side];
        assert_eq!(phone.was_told(|kind| *kind == EventKind::RemoteHold), 1, "{:?}", phone.kinds());
        assert_eq!(phone.was_told(|kind| *kind == EventKind::RemoteResume), 1, "{:?}", phone.kinds());
        assert_eq!(phone.was_told(|kind| matches!(kind, EventKind::NoPackets(_))), 0);
    }
}

#[test]
fn port_zero_is_a_refusal_both_ways() {
    let (mut world, dialogs) = pair(|_| {});
    let (gaps, before) = (world.phones[0].gaps, world.phones[0].session.call(&dialogs[0]).unwrap().stats());
    // In an offer: the call would have no sound at all, so it's refused, and goes on.
    let refused = {
        let offer = world.at(0, |session, now| session.reoffer(now, &dialogs[0], &Change::default())).unwrap();
        let offer = offer.replace("m=audio 4000", "m=audio 0");
        let refused = world.at(1, |session, now| session.answer(now, &dialogs[1], &offer));
        world.at(0, |session, _| session.withdraw(&dialogs[0])).unwrap();
        refused
    };
    assert_eq!(refused.unwrap_err().status(), 488);
    world.run(500);
    assert!(world.phones[0].hears(700.0) && world.phones[1].hears(400.0));
    // In an answer: what we offered is refused.
    world.at(0, |session, now| session.reoffer(now, &dialogs[0], &Change::hold())).unwrap();
    let no = "v=0\r\no=- 7 8 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 0 RTP/SAVP 0\r\n";
    let refused = world.at(0, |session, now| session.accept(now, &dialogs[0], no));
    assert!(matches!(refused, Err(ManagerError::Refused)), "{refused:?}");
    world.run(500);
    assert!(world.phones[0].hears(700.0) && world.phones[1].hears(400.0));
    let call = world.phones[0].session.call(&dialogs[0]).unwrap();
    assert_eq!(call.wanted_direction(0), Some(Direction::SendRecv), "the hold is no wish any more");
    assert_eq!(world.phones[0].gaps, gaps, "no tick was lost");
    assert_eq!(call.stats().keyed, before.keyed);
}

#[test]
fn whoever_is_held_hears_music_until_it_is_over() {
    use host_std::manager::Music;
    let (mut world, dialogs) = pair(|_| {});
    let samples: Vec<i16> = (0..8_000)
        .map(|n| ((f64::from(n) * 1_000.0 / 8_000.0 * std::f64::consts::TAU).sin() * 8_000.0) as i16)
        .collect();
    let music = Music { samples: samples.into(), sample_rate_hz: 8_000, channels: 1 };
    world.at(0, |session, _| session.set_music(Some(music)));
    world.run(300);
    assert!(world.phones[1].hears(400.0), "no music without hold");
    world.change([0, 1], [&dialogs[0], &dialogs[1]], &Change::hold());
    world.run(500);
    assert!(world.phones[1].hears(1_000.0), "{:?}", world.phones[1].share(1_000.0));
    world.change([0, 1], [&dialogs[0], &dialogs[1]], &Change::resume());
    world.run(500);
    assert!(world.phones[1].hears(400.0) && world.phones[0].hears(700.0));
}
