//! Keys that change, come back, are used up or forgotten.

use super::*;

#[test]
fn a_keys_identifier_lies_in_each_packet() {
    for profile in PROFILES {
        let terms = |value, bytes| KeyTerms { mki: Mki::new(value, bytes), ..KeyTerms::default() };
        let [alices, bobs, next] = [(1, terms(1, 4)), (2, terms(7, 1)), (3, terms(2, 4))]
            .map(|(seed, terms)| key_of(profile, seed).with_terms(terms));
        let (mut alice, mut bob) = pair_of::<1>(profile, &alices, &bobs);
        let (packet, report) = (rtp(9, 1, b"speech"), rtcp(9, 1));
        let sealed = seal(&mut alice, &packet).unwrap();
        let sealed_report = seal_rtcp(&mut alice, &report).unwrap();
        let [tag, report_tag] = if profile.is_aead() { [0, 0] } else { [profile.rtp_tag_bytes(), 10] };
        assert_eq!(sealed.len(), packet.len() + profile.rtp_tag_bytes() + 4);
        assert_eq!(sealed[sealed.len() - tag - 4..][..4], [0, 0, 0, 1]);
        assert_eq!(sealed_report[sealed_report.len() - report_tag - 4..][..4], [0, 0, 0, 1]);
        for (n, packet) in [(tag, &sealed), (report_tag, &sealed_report)] {
            let mut other = packet.clone();
            let at = other.len() - n - 1;
            other[at] ^= 2;
            let refused =
                if n == tag && packet == &sealed { open(&mut bob, &other) } else { open_rtcp(&mut bob, &other) };
            assert_eq!(refused, Err(GuardError::OtherKey));
        }
        assert_eq!(open(&mut bob, &sealed).unwrap(), packet);
        assert_eq!(open_rtcp(&mut bob, &sealed_report).unwrap(), report);
        assert_eq!(seal(&mut bob, &packet).unwrap().len(), packet.len() + profile.rtp_tag_bytes() + 1);
        // Under both keys while they overlap.
        bob.set_incoming(profile, &next, &mut FormerKeys::<4>::new()).unwrap();
        let before = seal(&mut alice, &rtp(9, 2, b"old key")).unwrap();
        alice.set_outgoing(profile, &next, Rollover::Continues, &mut FormerKeys::<4>::new()).unwrap();
        let after = seal(&mut alice, &rtp(9, 3, b"new key")).unwrap();
        assert!(open(&mut bob, &after).is_ok() && open(&mut bob, &before).is_ok());
    }
}

#[test]
fn a_lifetime_that_was_declared_is_kept_on_both_sides() {
    let terms = KeyTerms { lifetime_packets: 10, ..KeyTerms::default() };
    for profile in PROFILES {
        let (mut alice, mut bob) = pair_of::<1>(profile, &key_of(profile, 1).with_terms(terms), &key_of(profile, 2));
        let (mut endless, _) = pair::<1>(profile);
        for n in 0..10 {
            let due = if n < 5 { KeyAge::Fresh } else { KeyAge::Due };
            assert_eq!((alice.key_age(), bob.key_age()), (due, due), "{n}");
            let sealed = seal(&mut alice, &rtp(1, n, b"x")).unwrap();
            assert_eq!(sealed, seal(&mut endless, &rtp(1, n, b"x")).unwrap());
            open(&mut bob, &sealed).unwrap();
        }
        assert_eq!((alice.key_age(), bob.key_age()), (KeyAge::Over, KeyAge::Over));
        assert_eq!(seal(&mut alice, &rtp(1, 10, b"x")), Err(GuardError::KeyExpired));
        assert_eq!(seal_rtcp(&mut alice, &rtcp(1, 10)), Err(GuardError::KeyExpired));
        let more = seal(&mut endless, &rtp(1, 10, b"x")).unwrap();
        assert_eq!(open(&mut bob, &more), Err(GuardError::KeyExpired));
        let report = seal_rtcp(&mut endless, &rtcp(1, 10)).unwrap();
        assert_eq!(open_rtcp(&mut bob, &report), Err(GuardError::KeyExpired));
        // The other direction lives on, and this one with another key.
        assert!(open(&mut alice, &seal(&mut bob, &rtp(2, 1, b"y")).unwrap()).is_ok());
        alice.set_outgoing(profile, &key_of(profile, 3), Rollover::Continues, &mut FormerKeys::<4>::new()).unwrap();
        bob.set_incoming(profile, &key_of(profile, 3), &mut FormerKeys::<4>::new()).unwrap();
        assert!(open(&mut bob, &seal(&mut alice, &rtp(1, 10, b"x")).unwrap()).is_ok());
        assert_eq!((alice.key_age(), bob.key_age()), (KeyAge::Fresh, KeyAge::Fresh));
    }
}

#[test]
fn a_call_changes_its_profile_with_its_key() {
    let (mut alice, mut bob) = pair::<1>(SrtpProfile::AesCm128HmacSha1_80);
    let (mut alices, mut bobs) = (FormerKeys::<16>::new(), FormerKeys::<16>::new());
    for (n, profile) in PROFILES.into_iter().chain([SrtpProfile::AesCm128HmacSha1_32]).enumerate() {
        let next = key_of(profile, 20 + n as u8);
        let before = seal(&mut alice, &rtp(1, 3 * n as u16, b"old")).unwrap();
        bob.set_incoming(profile, &next, &mut bobs).unwrap();
        alice.set_outgoing(profile, &next, Rollover::Continues, &mut alices).unwrap();
        let after = seal(&mut alice, &rtp(1, 3 * n as u16 + 1, b"new")).unwrap();
        assert!(open(&mut bob, &after).is_ok() && open(&mut bob, &before).is_ok());
        let report = seal_rtcp(&mut alice, &rtcp(1, 9)).unwrap();
        assert!(open_rtcp(&mut bob, &report).is_ok());
        // A key of another length is refused, and nothing has changed then.
        let wrong = PROFILES.into_iter().find(|other| other.master_bytes() != profile.master_bytes()).unwrap();
        let length = KeyError::Length { need: profile.master_bytes(), got: wrong.master_bytes() };
        let refused = bob.set_incoming(profile, &key_of(wrong, 3), &mut bobs);
        assert_eq!(refused, Err(length));
        assert_eq!(alice.set_outgoing(profile, &key_of(wrong, 3), Rollover::Continues, &mut alices), Err(length));
        assert_eq!(Srtp::<1>::new(profile, &key_of(wrong, 3), &next).err(), Some(length));
        assert!(open(&mut bob, &seal(&mut alice, &rtp(1, 3 * n as u16 + 2, b"on")).unwrap()).is_ok());
    }
}

#[test]
fn a_new_key_is_heard_at_once_and_the_old_for_a_while() {
    let mut alice_former = FormerKeys::<8>::new();
    let mut bob_former = FormerKeys::<8>::new();
    for rollover in [Rollover::Continues, Rollover::Restarts] {
        let profile = SrtpProfile::AesCm128HmacSha1_80;
        let (mut alice, mut bob) = pair::<1>(profile);
        // Up to a roll-over counter of 1.
        for n in 0..70_000_u32 {
            let sealed = seal(&mut alice, &rtp(1, n as u16, b"x")).unwrap();
            if n % 100 == 0 {
                assert!(open(&mut bob, &sealed).is_ok());
            }
        }
        let seq = 70_000_u32 as u16;
        let straggler = seal(&mut alice, &rtp(1, seq, b"old key")).unwrap();
        let report = seal_rtcp(&mut alice, &rtcp(1, 1)).unwrap();
        bob.set_incoming(profile, &key(3), &mut bob_former).unwrap();
        // The peer hasn't switched yet.
        let before = seal(&mut alice, &rtp(1, seq + 1, b"old key")).unwrap();
        assert!(open(&mut bob, &before).is_ok());
        alice.set_outgoing(profile, &key(3), rollover, &mut alice_former).unwrap();
        let fresh = seal(&mut alice, &rtp(1, seq + 2, b"new key")).unwrap();
        assert!(open(&mut bob, &fresh).is_ok(), "{rollover:?}");
        let roc = if rollover == Rollover::Continues { 1 } else { 0 };
        assert_eq!(bob.incoming_index(Ssrc(1)).unwrap() >> 16, roc);
        let next_report = seal_rtcp(&mut alice, &rtcp(1, 2)).unwrap();
        assert_eq!(next_report[28 + 3], roc as u8, "the SRTCP index goes on or starts again");
        assert!(open_rtcp(&mut bob, &next_report).is_ok());
        assert!(open_rtcp(&mut bob, &report).is_ok());
        assert!(open(&mut bob, &straggler).is_ok());
        assert_eq!(open(&mut bob, &fresh), Err(GuardError::Replayed));
        assert!(open(&mut bob, &straggler).is_err() && open(&mut bob, &before).is_err());
        // The overlap ends.
        let mut another = Srtp::<1>::new(profile, &key(1), &key(2)).unwrap();
        for n in 0..u32::from(u8::MAX) + 1 {
            assert!(bob.overlaps());
            let sealed = seal(&mut alice, &rtp(1, seq + 3 + n as u16, b"new key")).unwrap();
            assert!(open(&mut bob, &sealed).is_ok());
            if bob.incoming.overlap == OVERLAP_NEW {
                break;
            }
        }
        assert!(!bob.overlaps());
        assert_eq!(open(&mut bob, &seal(&mut another, &rtp(8, 1, b"old")).unwrap()), Err(GuardError::Authentication));
    }
}

#[test]
fn the_old_key_is_bounded_even_if_the_new_is_never_heard() {
    let mut bob_former = FormerKeys::<8>::new();
    let (mut alice, mut bob) = pair::<1>(SrtpProfile::AesCm128HmacSha1_80);
    assert!(open(&mut bob, &seal(&mut alice, &rtp(1, 0, b"x")).unwrap()).is_ok());
    bob.set_incoming(SrtpProfile::AesCm128HmacSha1_80, &key(3), &mut bob_former).unwrap();
    bob.set_incoming(SrtpProfile::AesCm128HmacSha1_80, &key(4), &mut bob_former).unwrap();
    for n in 0..OVERLAP_OLD as u16 {
        assert!(open(&mut bob, &seal(&mut alice, &rtp(1, 1 + n, b"x")).unwrap()).is_ok());
    }
    let sealed = seal(&mut alice, &rtp(1, 10_000, b"x")).unwrap();
    assert_eq!(open(&mut bob, &sealed), Err(GuardError::Authentication));
}

#[test]
fn the_same_key_again_keeps_the_replay_list() {
    let mut alice_former = FormerKeys::<8>::new();
    let mut bob_former = FormerKeys::<8>::new();
    let profile = SrtpProfile::AesCm128HmacSha1_80;
    let (mut alice, mut bob) = pair::<1>(profile);
    let first = seal(&mut alice, &rtp(1, 7, b"x")).unwrap();
    assert!(open(&mut bob, &first).is_ok());
    bob.set_incoming(profile, &key(1), &mut bob_former).unwrap();
    alice.set_outgoing(profile, &key(1), Rollover::Restarts, &mut alice_former).unwrap();
    assert_eq!(open(&mut bob, &first), Err(GuardError::Replayed));
    assert_eq!(seal(&mut alice, &rtp(1, 7, b"y")), Err(GuardError::Replayed));
    // There and back.
    bob.set_incoming(profile, &key(3), &mut bob_former).unwrap();
    bob.set_incoming(profile, &key(1), &mut bob_former).unwrap();
    assert_eq!(open(&mut bob, &first), Err(GuardError::Replayed));
    // The 32-bit tag is the start of the 80-bit tag.
    bob.set_incoming(SrtpProfile::AesCm128HmacSha1_32, &key(1), &mut bob_former).unwrap();
    assert_eq!(open(&mut bob, &first[..first.len() - 6]), Err(GuardError::Replayed));
    // Forgetting is at once.
    bob.set_incoming(profile, &key(3), &mut bob_former).unwrap();
    bob.forget_previous();
    let sealed = seal(&mut alice, &rtp(1, 8, b"x")).unwrap();
    assert_eq!(open(&mut bob, &sealed), Err(GuardError::Authentication));
}

#[test]
fn a_key_comes_back_with_what_was_heard_under_it() {
    let [long, short, ..] = PROFILES;
    for between in 1..6 {
        let mut former = FormerKeys::<16>::new();
        let (mut alice, mut bob) = pair::<2>(long);
        let mut old = Vec::new();
        for n in 0..8_u16 {
            for packet in [rtp((n % 5).into(), 65_530 + n / 5, b"x"), rtp((n % 5).into(), 65_530 + n / 5, b"y")] {
                old.extend(seal(&mut alice, &packet));
            }
        }
        old.swap(3, 6);
        for sealed in &old {
            assert!(open(&mut bob, sealed).is_ok());
        }
        let report = seal_rtcp(&mut alice, &rtcp(3, 1)).unwrap();
        assert!(open_rtcp(&mut bob, &report).is_ok());
        for n in 0..between {
            bob.set_incoming(short, &key(10 + n), &mut former).unwrap();
            let mut carol = Srtp::<1>::new(short, &key(10 + n), &key(2)).unwrap();
            assert!(open(&mut bob, &seal(&mut carol, &rtp(9, 1, b"z")).unwrap()).is_ok());
        }
        bob.set_incoming(long, &key(1), &mut former).unwrap();
        for sealed in &old {
            assert_eq!(open(&mut bob, sealed), Err(GuardError::Replayed));
        }
        assert_eq!(open_rtcp(&mut bob, &report), Err(GuardError::Replayed));
        let next = seal(&mut alice, &rtp(0, 65_532, b"on")).unwrap();
        assert!(open(&mut bob, &next).is_ok());
        assert!(open_rtcp(&mut bob, &seal_rtcp(&mut alice, &rtcp(3, 2)).unwrap()).is_ok());
    }
}

#[test]
fn a_key_of_ours_is_used_once() {
    let profile = SrtpProfile::AesCm128HmacSha1_80;
    let mut former = FormerKeys::<16>::new();
    let (mut alice, _) = pair::<1>(profile);
    seal_rtcp(&mut alice, &rtcp(1, 1)).unwrap();
    alice.set_outgoing(profile, &key(3), Rollover::Restarts, &mut former).unwrap();
    let used = alice.set_outgoing(profile, &key(1), Rollover::Restarts, &mut former);
    assert_eq!(used, Err(KeyError::UsedBefore));
    alice.set_outgoing(profile, &key(3), Rollover::Restarts, &mut former).unwrap();
}

#[test]
fn no_key_is_shared_by_both_sides_now_or_before() {
    let profile = SrtpProfile::AesCm128HmacSha1_80;
    let mut former = FormerKeys::<16>::new();
    let (mut alice, mut bob) = pair::<1>(profile);
    assert!(open(&mut bob, &seal(&mut alice, &rtp(1, 1, b"x")).unwrap()).is_ok());
    seal(&mut bob, &rtp(2, 1, b"x")).unwrap();
    let mut set =
        |outgoing, incoming| bob.set_keys(profile, &key(outgoing), &key(incoming), Rollover::Restarts, &mut former);
    for (outgoing, incoming) in [(2, 2), (1, 1), (1, 2), (3, 3), (1, 3), (3, 2)] {
        assert_eq!(set(outgoing, incoming), Err(KeyError::Shared), "{outgoing} {incoming}");
    }
    set(3, 4).unwrap();
    set(3, 5).unwrap();
    for (outgoing, incoming) in [(1, 5), (3, 2)] {
        assert_eq!(set(outgoing, incoming), Err(KeyError::Shared), "{outgoing} {incoming}");
    }
    set(3, 1).unwrap();
}

#[test]
fn what_could_not_be_remembered_is_refused_and_changes_nothing() {
    let profile = SrtpProfile::AesCm128HmacSha1_80;
    let mut former = FormerKeys::<2>::new();
    let (mut alice, mut bob) = pair::<1>(profile);
    let mut old = Vec::new();
    for n in 0..4 {
        let sealed = seal(&mut alice, &rtp(1, n.into(), b"x")).unwrap();
        assert!(open(&mut bob, &sealed).is_ok());
        old.push(sealed);
        let mut alices = FormerKeys::<8>::new();
        alice.set_outgoing(profile, &key(10 + n), Rollover::Restarts, &mut alices).unwrap();
        let set = bob.set_incoming(profile, &key(10 + n), &mut former);
        assert_eq!(set, if n < 3 { Ok(()) } else { Err(KeyError::TooManyKeys) });
    }
    // The call goes on under the keys that it has, and those that it had.
    for n in [1, 10, 11, 12] {
        bob.set_incoming(profile, &key(n), &mut former).unwrap();
        for sealed in &old {
            assert!(open(&mut bob, sealed).is_err());
        }
    }
}

#[test]
fn more_sources_than_can_be_remembered_need_a_new_key() {
    let profile = SrtpProfile::AesCm128HmacSha1_80;
    let mut former = FormerKeys::<64>::new();
    let (mut alice, mut bob) = pair::<1>(profile);
    let mut old = Vec::new();
    for ssrc in 0..23 {
        let sealed = seal(&mut alice, &rtp(ssrc, 5, b"x")).unwrap();
        assert!(open(&mut bob, &sealed).is_ok());
        old.push(sealed);
    }
    assert_eq!(seal(&mut alice, &rtp(23, 5, b"x")), Err(GuardError::TooManySources));
    assert_eq!(seal_rtcp(&mut alice, &rtcp(23, 5)), Err(GuardError::TooManySources));
    assert_eq!(alice.resume_outgoing(Ssrc(23), 1, 1), Err(GuardError::TooManySources));
    let mut another = Srtp::<1>::new(profile, &key(1), &key(2)).unwrap();
    let sealed = seal(&mut another, &rtp(23, 5, b"x")).unwrap();
    assert_eq!(open(&mut bob, &sealed), Err(GuardError::TooManySources));
    let report = seal_rtcp(&mut another, &rtcp(23, 5)).unwrap();
    assert_eq!(open_rtcp(&mut bob, &report), Err(GuardError::TooManySources));
    for sealed in &old {
        assert_eq!(open(&mut bob, sealed), Err(GuardError::Replayed));
    }
    alice.set_outgoing(profile, &key(3), Rollover::Continues, &mut former).unwrap();
    bob.set_incoming(profile, &key(3), &mut former).unwrap();
    assert!(open(&mut bob, &seal(&mut alice, &rtp(23, 5, b"x")).unwrap()).is_ok());
}

#[test]
fn a_source_that_was_away_keeps_its_roll_over_counter_under_a_new_key() {
    let profile = SrtpProfile::AesCm128HmacSha1_80;
    let mut former = FormerKeys::<64>::new();
    let (mut alice, mut bob) = pair::<1>(profile);
    alice.resume_outgoing(Ssrc(7), 5 << 16 | 100, 3).unwrap();
    bob.resume_incoming(Ssrc(7), 5 << 16 | 100, 3).unwrap();
    assert!(open(&mut bob, &seal(&mut alice, &rtp(8, 1, b"x")).unwrap()).is_ok());
    alice.set_outgoing(profile, &key(3), Rollover::Continues, &mut former).unwrap();
    bob.set_incoming(profile, &key(3), &mut former).unwrap();
    assert!(open(&mut bob, &seal(&mut alice, &rtp(7, 101, b"x")).unwrap()).is_ok());
    assert_eq!(bob.incoming_index(Ssrc(7)), Some(5 << 16 | 101));
}

#[test]
fn a_standby_goes_on() {
    let profile = SrtpProfile::AesCm128HmacSha1_80;
    let (mut alice, mut bob) = pair::<1>(profile);
    alice.resume_outgoing(Ssrc(1), 9 << 16 | 65_530, 40).unwrap();
    bob.resume_incoming(Ssrc(1), 9 << 16 | 65_000, 30).unwrap();
    for seq in [65_531, 65_535, 0, 1] {
        assert!(open(&mut bob, &seal(&mut alice, &rtp(1, seq, b"x")).unwrap()).is_ok());
    }
    assert_eq!(bob.incoming_index(Ssrc(1)), Some(10 << 16 | 1));
    assert!(open_rtcp(&mut bob, &seal_rtcp(&mut alice, &rtcp(1, 0)).unwrap()).is_ok());
}

#[test]
fn keys_expire() {
    let mut alice_former = FormerKeys::<8>::new();
    let mut bob_former = FormerKeys::<8>::new();
    let profile = SrtpProfile::AesCm128HmacSha1_80;
    let (mut alice, mut bob) = pair::<1>(profile);
    alice.resume_outgoing(Ssrc(1), LAST_RTP - 1, (1 << 31) - 2).unwrap();
    bob.resume_incoming(Ssrc(1), LAST_RTP - 1, (1 << 31) - 2).unwrap();
    let last = seal(&mut alice, &rtp(1, 0xffff, b"last")).unwrap();
    assert_eq!(seal(&mut alice, &rtp(1, 0, b"over")), Err(GuardError::KeyExpired));
    let last_report = seal_rtcp(&mut alice, &rtcp(1, 1)).unwrap();
    assert_eq!(seal_rtcp(&mut alice, &rtcp(1, 1)), Err(GuardError::KeyExpired));
    assert!(open(&mut bob, &last).is_ok() && open_rtcp(&mut bob, &last_report).is_ok());
    assert_eq!(open(&mut bob, &rtp(1, 0, b"0123456789")), Err(GuardError::KeyExpired));
    // A fresh key goes on, modulo the counters' width.
    alice.set_outgoing(profile, &key(3), Rollover::Continues, &mut alice_former).unwrap();
    bob.set_incoming(profile, &key(3), &mut bob_former).unwrap();
    assert!(open(&mut bob, &seal(&mut alice, &rtp(1, 0, b"on")).unwrap()).is_ok());
    assert!(open_rtcp(&mut bob, &seal_rtcp(&mut alice, &rtcp(1, 1)).unwrap()).is_ok());
    // Whichever limit comes first, ends both.
    alice.outgoing.rtcp_packets = 1 << 31;
    assert_eq!(seal(&mut alice, &rtp(1, 1, b"over")), Err(GuardError::KeyExpired));
}
