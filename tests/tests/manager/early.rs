//! Early dialogs: one offer, several answers.

use host_std::manager::{DialogId, EventKind, ManagerError, Watching, WhyEnded};
use host_std::sdp::SrtpPolicy;
use host_std::session::CallConfig;

use super::world::{Phone, World, config, half, names, pair};

/// A caller, and phones that ring with tones of their own: 600, 800, ... Hz; each has answered with early media.
fn ringing(count: u16, change: impl Fn(&mut CallConfig)) -> (World, Vec<DialogId>) {
    let mut world = World::new();
    let mut caller = config(4_000);
    change(&mut caller);
    let invite = DialogId::half("call", "anna");
    world.add(Phone::new(&invite, caller, 400.0, Watching::default()));
    let offer = world.at(0, |session, now| session.offer(now, &invite)).unwrap();
    world.offer.clone_from(&offer);
    let mut dialogs = Vec::new();
    for n in 0..count {
        let tag = format!("phone{n}");
        let mut ringing = config(5_000 + 1_000 * n);
        change(&mut ringing);
        let own = DialogId::new("call", &tag, "anna");
        let phone = world.add(Phone::new(&own, ringing, 600.0 + 200.0 * f64::from(n), Watching::default()));
        let answer = world.at(phone, |session, now| session.answer(now, &own, &offer)).unwrap();
        let dialog = invite.with_remote_tag(&tag);
        world.at(0, |session, now| session.accept(now, &dialog, &answer)).unwrap();
        dialogs.push(dialog);
        world.run(300);
    }
    (world, dialogs)
}

#[test]
fn the_first_that_sounds_is_heard_until_another_is_chosen() {
    for srtp in [SrtpPolicy::Required, SrtpPolicy::Off] {
        let (mut world, dialogs) = ringing(2, |config| config.srtp = srtp);
        world.run(500);
        assert!(world.phones[0].hears(600.0), "early media: {:?}", world.phones[0].share(600.0));
        // A phone that rings has no business with what the caller says, unless it's the one that he hears.
        assert!(world.phones[1].hears(400.0) && !world.phones[2].hears(400.0));
        world.at(0, |session, _| session.listen_to(&dialogs[1])).unwrap();
        world.run(500);
        assert!(world.phones[0].hears(800.0) && world.phones[2].hears(400.0) && !world.phones[1].hears(400.0));

        let confirmed = world.at(0, |session, now| session.confirm(now, &dialogs[1])).unwrap();
        assert_eq!((confirmed.others, confirmed.key_is_shared), (1, srtp == SrtpPolicy::Required));
        world.run(500);
        assert!(world.phones[0].hears(800.0) && world.phones[2].hears(400.0));
        let tags: Vec<_> = world.phones[0].session.remote_tags().map(str::to_owned).collect();
        assert_eq!(tags, ["phone1"]);
        // The other one got a goodbye, and nothing of it is left.
        let left = DialogId::new("call", "phone0", "anna");
        assert_eq!(world.phones[1].session.call(&left).unwrap().stats().goodbyes, 1);
        // Whoever picks up too gets his BYE.
        let late = world.at(0, |session, now| session.confirm(now, &dialogs[0]));
        assert!(matches!(late, Err(ManagerError::UnknownDialog)));
        let late = world.at(0, |session, now| session.accept(now, &dialogs[0], "v=0"));
        assert_eq!(late.unwrap_err().status(), 481);
    }
}

#[test]
fn forks_are_sources_of_their_own_under_the_one_key_of_the_offer() {
    let (world, dialogs) = ringing(4, |_| {});
    let session = &world.phones[0].session;
    let calls: Vec<_> = dialogs.iter().map(|dialog| session.call(dialog).unwrap()).collect();
    let mut sources: Vec<_> = calls.iter().map(|call| call.sent_source(0).unwrap()).collect();
    sources.sort_by_key(|source| source.0);
    sources.dedup();
    assert_eq!(sources.len(), 4, "two sources under one key would be one keystream twice");
    let keys: Vec<_> = calls.iter().map(|call| call.negotiated_transport().unwrap().srtp.clone().unwrap()).collect();
    assert!(keys.windows(2).all(|keys| keys[0].outgoing == keys[1].outgoing && keys[0].incoming != keys[1].incoming));
    // Each phone's packets have found their own call, and no other refused them.
    for call in calls {
        let stats = call.stats();
        assert!(stats.total.received > 10 && stats.refused == 0 && stats.foreign == 0, "{stats:?}");
    }
}

#[test]
fn a_fork_that_moves_is_known_by_its_key() {
    let (mut world, dialogs) = ringing(2, |_| {});
    // It sends from another port than it said.
    world.phones[2].addresses.insert(0, super::world::address(6_666));
    world.run(700);
    let stats = world.phones[0].session.call(&dialogs[1]).unwrap().stats();
    let before = stats.total.received;
    world.run(500);
    let stats = world.phones[0].session.call(&dialogs[1]).unwrap().stats();
    assert!(stats.total.received >= before + 24, "{before}, {stats:?}");
}

#[test]
fn dtls_and_ice_know_forks_by_their_checks() {
    use host_std::session::{IceConfig, IceMode, Keying};
    let (mut world, dialogs) = ringing(3, |config| {
        config.keying = Keying::Dtls;
        config.ice = IceConfig { mode: IceMode::Full, ..IceConfig::default() };
    });
    world.run(2_000);
    for (n, dialog) in dialogs.iter().enumerate() {
        world.at(0, |session, _| session.listen_to(dialog)).unwrap();
        world.run(500);
        let phone = &world.phones[0];
        assert!(phone.hears(600.0 + 200.0 * n as f64), "{n}: {:?}", phone.session.call(dialog).unwrap().stats());
        assert!(world.phones[n + 1].hears(400.0));
    }
    let confirmed = world.at(0, |session, now| session.confirm(now, &dialogs[2])).unwrap();
    assert_eq!((confirmed.others, confirmed.key_is_shared), (2, false), "a handshake's keys are nobody else's");
    world.run(500);
    assert!(world.phones[0].hears(1_000.0) && world.phones[3].hears(400.0));
}

#[test]
fn checks_from_an_address_that_nobody_named_find_their_dialog() {
    use host_std::session::{IceConfig, IceMode};
    let with_ice = |config: &mut CallConfig| config.ice = IceConfig { mode: IceMode::Full, ..IceConfig::default() };
    let (mut world, dialogs) = ringing(1, with_ice);
    // The second phone is behind a NAT: what it sends comes from elsewhere, and goes there.
    let offer = world.offer.clone();
    let own = DialogId::new("call", "behind", "anna");
    let mut behind = config(8_000);
    with_ice(&mut behind);
    let phone = world.add(Phone::new(&own, behind, 900.0, Watching::default()));
    world.phones[phone].addresses = vec![super::world::address(6_666)];
    let answer = world.at(phone, |session, now| session.answer(now, &own, &offer)).unwrap();
    let dialog = dialogs[0].with_remote_tag("behind");
    world.at(0, |session, now| session.accept(now, &dialog, &answer)).unwrap();
    world.at(0, |session, _| session.listen_to(&dialog)).unwrap();
    world.run(2_000);
    assert!(world.phones[0].hears(900.0), "{:?}", world.phones[0].session.call(&dialog).unwrap().stats().ice);
    let first = world.phones[0].session.call(&dialogs[0]).unwrap().stats();
    assert_eq!(first.ice.unwrap().strangers, 0, "none of its checks went to the other dialog");
}

#[test]
fn an_answer_that_is_repeated_changes_nothing_and_another_one_counts() {
    let (mut world, dialogs) = (World::new(), names());
    world.add(Phone::new(&dialogs[0], config(4_000), 400.0, Watching::default()));
    world.add(Phone::new(&dialogs[1], config(5_000), 700.0, Watching::default()));
    let offer = world.at(0, |session, now| session.offer(now, &half(&dialogs[0]))).unwrap();
    let answer = world.at(1, |session, now| session.answer(now, &dialogs[1], &offer)).unwrap();
    for _ in 0..3 {
        world.at(0, |session, now| session.accept(now, &dialogs[0], &answer)).unwrap();
    }
    world.run(500);
    assert!(world.phones[0].hears(700.0));
    // A gateway that first plays an announcement and then connects somebody else, under one tag.
    let other = DialogId::new("call", "bert2", "anna");
    world.add(Phone::new(&other, config(6_000), 900.0, Watching::default()));
    let second = world.at(2, |session, now| session.answer(now, &other, &offer)).unwrap();
    world.at(0, |session, now| session.accept(now, &dialogs[0], &second)).unwrap();
    world.run(1_500);
    assert!(world.phones[0].hears(900.0) && world.phones[2].hears(400.0));
    // Once more than enough.
    world.at(0, |session, now| session.confirm(now, &dialogs[0])).unwrap();
    let third = world.at(0, |session, now| session.accept(now, &dialogs[0], &answer));
    assert!(matches!(third, Err(ManagerError::NoOffer)), "{third:?}");
    world.run(300);
    assert!(world.phones[0].hears(900.0));
}

#[test]
fn an_update_changes_an_early_dialog() {
    let (mut world, dialogs) = ringing(2, |_| {});
    let change = host_std::manager::Change::inactive();
    let own = DialogId::new("call", "phone0", "anna");
    world.change([0, 1], [&dialogs[0], &own], &change);
    world.run(500);
    assert!(!world.phones[1].hears(400.0));
    let call = world.phones[0].session.call(&dialogs[1]).unwrap();
    assert!(call.negotiated_stream(0).unwrap().direction.sends(), "the other dialog has its own direction");
}

#[test]
fn a_late_offer_is_answered_in_the_ack() {
    let (mut world, dialogs) = (World::new(), names());
    world.add(Phone::new(&dialogs[0], config(4_000), 400.0, Watching::default()));
    world.add(Phone::new(&dialogs[1], config(5_000), 700.0, Watching::default()));
    // The INVITE had no offer: ours is in the 200.
    let offer = world.at(1, |session, now| session.offer(now, &dialogs[1])).unwrap();
    world.run(100);
    let answer = world.at(0, |session, now| session.answer(now, &dialogs[0], &offer)).unwrap();
    world.run(100);
    let stranger = DialogId::new("call", "bert", "carla");
    let wrong = world.at(1, |session, now| session.accept(now, &stranger, &answer));
    assert!(matches!(wrong, Err(ManagerError::UnknownDialog)));
    world.at(1, |session, now| session.accept(now, &dialogs[1], &answer)).unwrap();
    world.run(700);
    assert!(world.phones[0].hears(700.0) && world.phones[1].hears(400.0));
}

#[test]
fn an_invite_that_nobody_answers_ends_by_itself() {
    let invite = DialogId::half("call", "anna");
    let mut world = World::default();
    world.add(Phone::new(&invite, config(4_000), 400.0, Watching::default()));
    world.at(0, |session, now| session.offer(now, &invite)).unwrap();
    world.run(180_000);
    assert!(!world.phones[0].session.is_over());
    world.run(10_000);
    assert_eq!(world.phones[0].kinds(), [EventKind::Ended(WhyEnded::Unanswered)]);
    assert!(world.phones[0].session.is_over());
}

#[test]
fn a_cancelled_invite_leaves_nothing() {
    let (mut world, _) = ringing(3, |_| {});
    let mut calls = 0;
    let invite = DialogId::half("call", "anna");
    world.at(0, |session, now| session.end(now, &invite, |_| calls += 1)).unwrap();
    world.run(200);
    assert!(world.phones[0].session.is_over());
    assert_eq!(calls, 3);
    for n in 0..3 {
        let own = DialogId::new("call", &format!("phone{n}"), "anna");
        assert_eq!(world.phones[n + 1].session.call(&own).unwrap().stats().goodbyes, 1);
    }
}

#[test]
fn more_phones_than_anybody_rings_are_refused() {
    let (mut world, dialogs) = ringing(16, |_| {});
    let answer = "v=0\r\n";
    let one_more = dialogs[0].with_remote_tag("one more");
    let refused = world.at(0, |session, now| session.accept(now, &one_more, answer));
    assert!(matches!(refused, Err(ManagerError::TooManyForks)), "{refused:?}");
}

#[test]
fn an_answer_that_is_useless_takes_no_dialog() {
    let (mut world, dialogs) = ringing(1, |_| {});
    let useless = dialogs[0].with_remote_tag("useless");
    for answer in ["", "v=0", "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 0 RTP/SAVP 0\r\n"] {
        assert!(world.at(0, |session, now| session.accept(now, &useless, answer)).is_err());
    }
    assert_eq!(world.phones[0].session.remote_tags().count(), 1);
    world.run(300);
    assert!(world.phones[0].hears(600.0));
    let (mut world, dialogs) = pair(|_| {});
    assert!(matches!(world.at(0, |session, now| session.accept(now, &dialogs[0], "v=0")), Err(ManagerError::NoOffer)));
}
