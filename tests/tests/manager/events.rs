//! What is told, once and in words, and what had no room.

use dsp_core::send::KeyPress;
use dsp_core::time::Duration;
use dsp_core::tone::Digit;
use host_std::manager::{EventKind, Watching, WhyEnded};
use host_std::registry::CodecFormat;
use host_std::session::{AdaptationConfig, DigitPhase, Ending};

use super::world::{Phone, World, address, config, names, pair};

#[test]
fn silence_is_told_and_its_end() {
    let (mut world, _) = pair(|_| {});
    world.cut.push(address(5_000));
    world.run(4_500);
    assert_eq!(world.phones[0].kinds(), [EventKind::FirstPacket]);
    world.run(1_000);
    let [EventKind::FirstPacket, EventKind::NoPackets(silence)] = world.phones[0].kinds()[..] else {
        panic!("{:?}", world.phones[0].kinds());
    };
    assert!((5_000..5_300).contains(&silence.as_millis()), "{silence:?}");
    world.run(20_000);
    assert_eq!(world.phones[0].events.len(), 2, "told once");
    world.cut.clear();
    world.run(300);
    assert_eq!(world.phones[0].kinds()[2..], [EventKind::PacketsAgain]);
    assert_eq!(world.phones[1].kinds(), [EventKind::FirstPacket], "the other side heard all the time");
}

#[test]
fn one_way_sound_is_told_in_words() {
    let mut world = World::new();
    let dialogs = names();
    world.add(Phone::new(&dialogs[0], config(4_000), 400.0, Watching::default()));
    world.add(Phone::new(&dialogs[1], config(5_000), 700.0, Watching::default()));
    world.cut.push(address(5_000));
    world.connect(0, 1, [&dialogs[0], &dialogs[1]]);
    world.run(20_000);
    let one_way = world.phones[0].events.iter().find_map(|event| match event.kind {
        EventKind::OneWay(finding) => Some(finding),
        _ => None,
    });
    assert_eq!(one_way.map(|finding| finding.name()), Some("one_way_nothing_received"));
    assert_eq!(world.phones[0].was_told(|kind| matches!(kind, EventKind::OneWay(_))), 1);
}

#[test]
fn quality_falls_once_and_comes_back_once() {
    let (mut world, _) = pair(|_| {});
    world.run(10_000);
    // Every second tick nothing of the second phone arrives: half of its packets.
    for n in 0..1_000 {
        world.cut = if n % 4 < 2 { vec![address(5_000)] } else { Vec::new() };
        world.run(10);
    }
    assert_eq!(world.phones[0].was_told(|kind| matches!(kind, EventKind::QualityPoor(mos) if *mos < 3.1)), 1);
    world.cut.clear();
    world.run(15_000);
    assert_eq!(world.phones[0].was_told(|kind| matches!(kind, EventKind::QualityGood(mos) if *mos > 3.6)), 1);
    assert_eq!(world.phones[0].was_told(|kind| matches!(kind, EventKind::QualityPoor(_))), 1);
}

#[test]
fn digits_are_told_in_their_order() {
    let (mut world, dialogs) = pair(|_| {});
    let digits = "12#";
    world.at(0, |session, _| {
        let keys: Vec<_> = digits.chars().map(|sign| KeyPress::of(Digit::from_char(sign).unwrap().into())).collect();
        session.call_mut(&dialogs[0]).unwrap().send_digits(&keys).unwrap();
    });
    world.run(2_000);
    let told: String = world.phones[1]
        .events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Digit(digit) if digit.phase == DigitPhase::Began => Some(digit.sign()),
            _ => None,
        })
        .collect();
    assert_eq!(told, digits);
}

#[test]
fn a_dead_call_ends_with_a_reason_and_leaves_nothing() {
    let (mut world, dialogs) = pair(|config| config.after_silence = Some(Duration::from_secs(20)));
    world.cut.push(address(5_000));
    world.run(21_000);
    let ended = world.phones[0].events.last().unwrap();
    assert!(matches!(ended.kind, EventKind::Ended(WhyEnded::Call(Ending::Silence(_)))), "{ended:?}");
    assert_eq!(ended.dialog, dialogs[0]);
    world.run(200);
    assert!(world.phones[0].session.is_over());
    assert!(!world.phones[1].session.is_over());
}

#[test]
fn what_had_no_room_is_counted() {
    let mut world = World::new();
    let dialogs = names();
    let mut watching = Watching::default();
    watching.places = 4;
    for (side, tone_hz) in [(0, 400.0), (1, 700.0)] {
        let config = config(4_000 + 1_000 * side as u16);
        world.add(Phone::new(&dialogs[side], config, tone_hz, watching));
    }
    world.connect(0, 1, [&dialogs[0], &dialogs[1]]);
    world.run(500);
    let session = &mut world.phones[1].session;
    while session.next_event().is_some() {}
    // Nobody fetches: six holds and resumes of the other side.
    for n in 0..6 {
        let change = if n % 2 == 0 { host_std::manager::Change::hold() } else { host_std::manager::Change::resume() };
        let now = world.now;
        let offer = world.phones[0].session.reoffer(now, &dialogs[0], &change).unwrap();
        let answer = world.phones[1].session.answer(now, &dialogs[1], &offer).unwrap();
        world.phones[0].session.accept(now, &dialogs[0], &answer).unwrap();
    }
    let session = &mut world.phones[1].session;
    assert_eq!(session.dropped_events(), 2);
    let left: Vec<_> = std::iter::from_fn(|| session.next_event()).map(|event| event.kind).collect();
    let (hold, resume) = (EventKind::RemoteHold, EventKind::RemoteResume);
    assert_eq!(left, [hold, resume, hold, resume], "the newest are there");
}

#[test]
fn what_adapts_is_told() {
    let (mut world, dialogs) = pair(|config| {
        config.codecs = vec![CodecFormat::opus()];
        config.adaptation = Some(AdaptationConfig::default());
    });
    world.run(20_000);
    for (phone, dialog) in world.phones.iter().zip(&dialogs) {
        let told: Vec<_> = phone
            .kinds()
            .into_iter()
            .filter_map(|kind| if let EventKind::Adapted(adaptation) = kind { Some(adaptation) } else { None })
            .collect();
        let changes: Vec<_> = told.iter().map(|adaptation| adaptation.changes).collect();
        assert!(!changes.is_empty() && changes.windows(2).all(|pair| pair[0] < pair[1]), "{changes:?}");
        let now = phone.session.call(dialog).unwrap().stats().adaptation.unwrap();
        assert_eq!(told.last().map(|told| (told.changes, told.taken)), Some((now.changes, now.taken)));
    }
}

#[test]
fn the_other_sides_codec_is_told() {
    let (mut world, dialogs) = pair(|config| config.codecs = vec![CodecFormat::pcmu(), CodecFormat::pcma()]);
    let change = host_std::manager::Change::default().with_codecs([CodecFormat::pcma()]);
    world.change([0, 1], [&dialogs[0], &dialogs[1]], &change);
    world.run(500);
    for phone in &world.phones {
        let codecs = phone.was_told(|kind| matches!(kind, EventKind::CodecChanged(_)));
        assert_eq!(codecs, 2, "one each way: {:?}", phone.kinds());
    }
}
