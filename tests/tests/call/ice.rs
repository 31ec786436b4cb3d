//! Calls whose addresses are found by connectivity checks (ICE): two calls in virtual time on a network with NATs, losses
//! and strangers in between. Nothing but checks goes to an address that has not answered one; whoever has no credentials
//! hears nothing and is not heard.

use std::net::SocketAddr;

use dsp_core::time::{Duration, Instant};
use host_std::sdp::{CandidateKind, NoIce, SdpError, SrtpPolicy};
use host_std::session::{
    Call, CallConfig, CallError, Channel, DigitsWait, Ending, IceConfig, IceMode, IceState, Identity, Incoming,
};

use crate::ice_net::{Net, PRIVATE, PUBLIC, STRANGER, STUN, at};

#[test]
fn two_full_sides_talk_after_their_checks_and_send_nothing_else_before() {
    for offerer in [0, 1] {
        for srtp in [SrtpPolicy::Off, SrtpPolicy::Required] {
            let mut net = Net::new([IceMode::Full; 2], |_, config| config.srtp = srtp);
            net.agree(offerer);
            net.run(3_000);
            net.assert_talking();
            let stats = net.stats();
            assert_eq!([stats[offerer].controlling, stats[1 - offerer].controlling], [true, false]);
            for (side, stats) in stats.into_iter().enumerate() {
                let pair = stats.pair.unwrap();
                assert_eq!([pair.local, pair.remote], [at(PRIVATE[side]), at(PRIVATE[1 - side])]);
                assert_eq!([pair.local_kind, pair.remote_kind], [CandidateKind::Host; 2]);
                assert_eq!((stats.strangers, stats.strays, stats.restarts), (0, 0, 0));
                let answered = net.seen.iter().position(|seen| seen.side != side && seen.bytes.starts_with(&[1, 1]));
                let spoke = net.seen.iter().position(|seen| seen.side == side && seen.is_media());
                assert!(spoke > answered, "media at {spoke:?} before the answer at {answered:?}");
                assert!(net.seen[spoke.unwrap()].when < Instant::from_millis(300));
            }
        }
    }
}

#[test]
fn a_lite_side_answers_checks_and_makes_none() {
    for offerer in [0, 1] {
        let mut net = Net::new([IceMode::Full, IceMode::Lite], |_, _| {});
        net.agree(offerer);
        net.run(60_000);
        net.assert_talking();
        let [full, lite] = net.stats();
        assert_eq!([full.controlling, lite.controlling, full.lite, lite.lite], [true, false, false, true]);
        assert_eq!((lite.checks, lite.answers, full.requests), (0, 0, 0));
        assert_eq!((full.checks, full.answers), (lite.requests, lite.requests));
    }
    // Where both are lite nobody checks anything: packets go where the descriptions say.
    let mut net = Net::new([IceMode::Lite; 2], |_, _| {});
    net.agree(0);
    net.run(1_000);
    assert!(net.heard_since.iter().all(Option::is_some));
    assert!(net.calls.iter().all(|call| call.stats().ice.is_none()));
    // The answer says nothing of it, so the offerer doesn't know why.
    let why = [0, 1].map(|side| net.calls[side].negotiated_transport().unwrap().ice.clone().unwrap_err());
    assert_eq!(why, [NoIce::OtherSide, NoIce::BothLite]);
}

#[test]
fn consent_is_asked_every_four_to_six_seconds_and_not_in_step() {
    let mut net = Net::talking();
    net.run(120_000);
    let asked: Vec<_> =
        net.seen.iter().filter(|seen| seen.side == 0 && seen.is_check()).map(|seen| seen.when).collect();
    let settled = Instant::from_millis(20_000);
    let waits: Vec<_> = asked.windows(2).filter(|pair| pair[0] > settled).map(|pair| pair[1].since(pair[0])).collect();
    assert!(waits.len() >= 15, "{waits:?}");
    let bounds = Duration::from_millis(3_950)..Duration::from_millis(6_100);
    assert!(waits.iter().all(|wait| bounds.contains(wait)), "{waits:?}");
    assert!(waits.iter().min() != waits.iter().max(), "{waits:?}");
    net.assert_talking();
}

#[test]
fn the_first_checks_may_be_lost() {
    for lost_ms in [200, 900, 2_000] {
        let mut net = Net::new([IceMode::Full; 2], |_, _| {});
        net.loses = Box::new(move |seen| seen.when < Instant::from_millis(lost_ms));
        net.agree(0);
        net.run(lost_ms + 2_500);
        net.assert_talking();
    }
    // Only one way, and every second one.
    let mut net = Net::new([IceMode::Full; 2], |_, _| {});
    net.loses = Box::new(|seen| seen.side == 1 && !seen.is_media() && seen.when.as_millis() / 300 % 2 == 0);
    net.agree(0);
    net.run(40_000);
    net.assert_talking();
}

#[test]
fn behind_nats_the_addresses_that_a_server_sees_are_used() {
    let nat = |_: usize, config: &mut CallConfig| config.ice.stun = vec![at(STUN)];
    let mut net = Net::new([IceMode::Full; 2], nat);
    net.outside = PUBLIC.map(at);
    net.gather();
    assert!(net.now < Instant::from_millis(100), "the server answered at once");
    let offer = net.calls[0].offer().unwrap();
    let line = "a=candidate:s40 1 udp 1694498815 192.0.2.4 40404 typ srflx raddr 10.0.0.4 rport 4000\r\n";
    assert!(offer.contains(line) && offer.contains("a=end-of-candidates"), "{offer}");
    net.agree(0);
    net.run(3_000);
    net.assert_talking();
    for (side, stats) in net.stats().into_iter().enumerate() {
        let pair = stats.pair.unwrap();
        assert_eq!([pair.local, pair.remote], [at(PUBLIC[side]), at(PUBLIC[1 - side])]);
        assert_eq!([pair.local_kind, pair.remote_kind], [CandidateKind::ServerReflexive; 2]);
        assert!(net.media_of(side).all(|seen| seen.to == at(PUBLIC[1 - side])));
    }
}

#[test]
fn a_server_that_is_silent_is_not_waited_for() {
    let mut net = Net::new([IceMode::Full; 2], |_, config| config.ice.stun = vec![at(STUN)]);
    net.loses = Box::new(|seen| seen.to == at(STUN));
    let began = net.now;
    net.gather();
    assert!((1_900..=2_100).contains(&net.now.since(began).as_millis()));
    let offer = net.calls[0].offer().unwrap();
    assert!(!offer.contains("end-of-candidates"), "{offer}");
    net.agree(0);
    net.run(1_000);
    net.assert_talking();
}

#[test]
fn candidates_may_come_one_by_one() {
    // Neither description has any; they follow, those of the answerer before the answer.
    let strip = |text: &str| {
        let kept = text.lines().filter(|line| !line.starts_with("a=candidate") && !line.starts_with("a=end-of"));
        kept.map(|line| format!("{line}\r\n")).collect::<String>()
    };
    let fragment = |text: &str| {
        let kept = text.lines().filter(|line| line.starts_with("a=candidate") || line.starts_with("a=ice-ufrag"));
        kept.map(|line| format!("{line}\r\n")).collect::<String>()
    };
    let mut net = Net::new([IceMode::Full; 2], |_, _| {});
    let offer = net.calls[0].offer().unwrap();
    let answer = net.calls[1].answer(net.now, &strip(&offer)).unwrap();
    assert_eq!(net.calls[0].trickle(net.now, &fragment(&answer)), 1);
    net.run(500);
    net.calls[0].accept(net.now, &strip(&answer)).unwrap();
    net.run(1_000);
    // The answerer has learnt the offerer's address from its checks.
    net.assert_talking();
    assert_eq!(net.stats()[1].pair.unwrap().remote_kind, CandidateKind::PeerReflexive);
    assert_eq!(net.calls[1].trickle(net.now, &fragment(&offer)), 1);
    assert_eq!(net.calls[1].trickle(net.now, &fragment(&offer)), 0, "it is known");
    // Of another generation, or nonsense.
    let other = fragment(&offer).replace("a=ice-ufrag:", "a=ice-ufrag:x").replace("10.0.0.4", "10.0.0.7");
    assert_eq!(net.calls[1].trickle(net.now, &other), 0);
    assert_eq!(net.calls[1].trickle(net.now, "a=candidate:\r\n\r\na=candidate:1 1 udp\r\nnonsense"), 0);
    // A flood of them ends at 32.
    let flood: String =
        (0..500).map(|n| format!("a=candidate:1 1 udp 1 10.7.{}.{} 9 typ host\r\n", n / 250, n % 250)).collect();
    assert_eq!(net.calls[1].trickle(net.now, &flood), 31);
    net.run(3_000);
    net.assert_talking();
    assert_eq!(net.stats()[1].pair.unwrap().remote_kind, CandidateKind::Host);
}

#[test]
fn what_a_server_tells_late_is_trickled() {
    let mut net = Net::new([IceMode::Full; 2], |side, config| {
        if side == 0 {
            config.ice.stun = vec![at(STUN)];
        }
    });
    net.outside[0] = at(PUBLIC[0]);
    // Only the last question gets through.
    net.loses = Box::new(|seen| seen.to == at(STUN) && seen.when < Instant::from_millis(3_000));
    net.gather();
    net.agree(0);
    assert_eq!(net.calls[0].next_candidates(), None);
    net.run(4_000);
    let late = net.calls[0].next_candidates().unwrap();
    assert!(late.contains("192.0.2.4 40404 typ srflx") && late.ends_with("a=end-of-candidates\r\n"), "{late}");
    assert_eq!((net.calls[0].next_candidates(), net.calls[1].trickle(net.now, &late)), (None, 1));
    net.run(3_000);
    net.assert_talking();
}

#[test]
fn names_of_multicast_dns_are_skipped_without_delay() {
    let mut net = Net::new([IceMode::Full; 2], |_, _| {});
    let offer = net.calls[0].offer().unwrap().replace(" 10.0.0.4 4000 typ", " 7f3c2a10-aaaa-bbbb.local 4000 typ");
    let answer = net.calls[1].answer(net.now, &offer).unwrap();
    net.calls[0].accept(net.now, &answer).unwrap();
    net.run(1_000);
    net.assert_talking();
    let stats = net.stats()[1];
    assert_eq!((stats.hidden, stats.pair.unwrap().remote_kind), (1, CandidateKind::PeerReflexive));
}

#[test]
fn a_restart_in_mid_word_costs_no_sound() {
    for restarter in [0, 1] {
        let mut net = Net::talking();
        let ufrags = |text: &str| text.lines().find(|line| line.starts_with("a=ice-ufrag")).unwrap().to_owned();
        let before = ufrags(&net.calls[restarter].offer().unwrap());
        net.agree(restarter);
        assert_eq!(net.stats().map(|stats| stats.restarts), [0, 0], "an offer of the same credentials is none");
        net.unheard = [0; 2];
        net.calls[restarter].restart_ice();
        let offer = net.calls[restarter].offer().unwrap();
        assert_ne!(ufrags(&offer), before);
        net.run(200);
        let answer = net.calls[1 - restarter].answer(net.now, &offer).unwrap();
        net.run(200);
        net.calls[restarter].accept(net.now, &answer).unwrap();
        net.run(3_000);
        net.assert_talking();
        assert_eq!((net.unheard, net.stats().map(|stats| stats.restarts)), ([0, 0], [1, 1]));
        // The roles stay: the first offerer's.
        assert_eq!(net.stats().map(|stats| stats.controlling), [true, false]);
    }
}

#[test]
fn another_address_is_a_restart_and_is_talked_to_once_it_answers() {
    let mut net = Net::talking();
    let moved = at("10.9.0.77:5700");
    net.calls[1].set_address(moved.ip(), moved.port());
    net.agree(1);
    net.outside[1] = moved;
    net.run(2_000);
    net.assert_talking();
    assert_eq!(net.stats().map(|stats| stats.restarts), [1, 1]);
    assert_eq!(net.stats()[0].pair.unwrap().remote, moved);
    assert_eq!(net.media_of(0).last().unwrap().to, moved);
}

#[test]
fn a_side_whose_consent_is_gone_stops_sending_within_30_s_and_says_so() {
    // Either nothing comes of the other side any more, or only its checks and answers are missing.
    for silent in [true, false] {
        for modes in [[IceMode::Full; 2], [IceMode::Lite, IceMode::Full]] {
            let mut net = Net::new(modes, |_, _| {});
            net.agree(0);
            net.run(10_000);
            net.assert_talking();
            let gone = net.now;
            net.loses = Box::new(move |seen| seen.when >= gone && seen.side == 1 && (silent || !seen.is_media()));
            net.run(40_000);
            let last = net.media_of(0).last().unwrap().when;
            let went_on = last.since(gone).as_millis();
            assert!((23_000..=30_000).contains(&went_on), "{modes:?} {silent}: {went_on} ms");
            assert_eq!(net.calls[0].should_end(net.now), Some(Ending::ConsentGone));
            assert_eq!(net.stats()[0].state, IceState::ConsentGone);
            assert_eq!(net.calls[0].stats().unaccounted(), [0; 5]);
            // It does not come back by itself.
            net.loses = Box::new(|_| false);
            net.run(10_000);
            assert_eq!(net.media_of(0).last().unwrap().when, last);
            // A new start brings it back.
            net.calls[0].restart_ice();
            net.agree(0);
            net.run(3_000);
            net.assert_talking();
        }
    }
}

#[test]
fn wrong_credentials_end_in_words_and_no_sound_is_sent() {
    let mut net = Net::new([IceMode::Full; 2], |_, _| {});
    // Somebody on the way has changed the password.
    net.agree_by(0, |text| {
        let at = text.find("a=ice-pwd:").unwrap() + 10;
        format!("{}{}{}", &text[..at], "0123456789012345678901", &text[at + 24..])
    });
    net.run(39_000);
    assert!(net.calls.iter().all(|call| call.should_end(net.now).is_none()));
    net.run(1_000);
    for (side, stats) in net.stats().into_iter().enumerate() {
        assert_eq!(net.calls[side].should_end(net.now), Some(Ending::ChecksFailed));
        assert_eq!((stats.state, stats.answers, stats.requests), (IceState::Failed, 0, 0));
        assert!(stats.strangers >= 10 && stats.checks <= 13, "{stats:?}");
    }
    assert!(net.seen.iter().all(|seen| seen.is_check() && seen.to == net.outside[1 - seen.side]));
}

#[test]
fn a_flood_of_strangers_gets_no_answer_and_disturbs_nobody() {
    let mut net = Net::talking();
    net.unheard = [0; 2];
    let check = net.seen.iter().find(|seen| seen.side == 1 && seen.is_check()).unwrap().bytes.clone();
    let media = net.media_of(1).last().unwrap().bytes.clone();
    let (mut sent, mut lot) = (0, 1u32);
    let mut random = || {
        lot ^= lot << 13;
        lot ^= lot >> 17;
        lot ^= lot << 5;
        lot
    };
    for n in 0..5_000u32 {
        if n % 50 == 0 {
            net.run(10);
        }
        let mut bytes = check.clone();
        match n % 5 {
            // Wrong integrity, a wrong name, cut, anything; and one that is right, again but from elsewhere with a bit less.
            0 => *bytes.last_mut().unwrap() ^= 1,
            1 => bytes[24] ^= 0x15,
            2 => bytes.truncate(random() as usize % bytes.len()),
            3 => bytes.iter_mut().skip(4).for_each(|byte| *byte = random() as u8),
            _ => bytes = media.clone(),
        }
        if n % 5 == 0 {
            // The last attribute but one is the integrity, before the fingerprint.
            let len = bytes.len();
            bytes[len - 12] ^= 0x40;
        }
        if bytes.is_empty() {
            continue;
        }
        sent += 1;
        let from = SocketAddr::from(([203, 0, 113, (n % 250) as u8], 1_024 + n as u16 % 60_000));
        let incoming = net.calls[0].receive(net.now, Channel::Rtp, from, &mut bytes);
        assert!(matches!(incoming, Incoming::Ignored | Incoming::Foreign), "{incoming:?}");
    }
    net.run(1_000);
    net.assert_talking();
    assert_eq!(net.unheard, [0, 0]);
    let stats = net.calls[0].stats();
    let ice = stats.ice.unwrap();
    assert!(ice.strangers >= 3_500 && stats.foreign >= 1_000, "{sent}: {ice:?} {}", stats.foreign);
    assert!(net.seen.iter().all(|seen| seen.to == net.outside[1 - seen.side]), "something went to a stranger");
}

#[test]
fn an_overheard_check_that_comes_again_from_elsewhere_is_a_strangers() {
    for modes in [[IceMode::Full; 2], [IceMode::Lite, IceMode::Full]] {
        let mut net = Net::new(modes, |_, _| {});
        net.agree(0);
        net.run(5_000);
        net.unheard = [0; 2];
        let checks: Vec<_> = net.seen.iter().filter(|seen| seen.side == 1 && seen.is_check()).collect();
        let checks: Vec<_> = checks.into_iter().map(|seen| seen.bytes.clone()).collect();
        for check in checks.iter().cycle().take(100) {
            let incoming = net.calls[0].receive(net.now, Channel::Rtp, at(STRANGER), &mut check.clone());
            assert_eq!(incoming, Incoming::Ignored);
            net.run(100);
        }
        net.assert_talking();
        assert_eq!((net.unheard, net.stats()[0].strangers), ([0, 0], 100));
        assert!(net.seen.iter().all(|seen| seen.to != at(STRANGER)), "{modes:?}");
    }
}

#[test]
fn true_checks_that_are_led_elsewhere_cost_less_than_three_times_what_they_bring() {
    let mut net = Net::talking();
    net.unheard = [0; 2];
    // Somebody on the way takes the other side's checks and sends them from an address that shall be flooded.
    net.loses = Box::new(|seen| seen.side == 1 && seen.is_check());
    let (mut brought, mut known) = (0, net.seen.len());
    for _ in 0..12_000 {
        net.run(10);
        let new = net.seen[known..].iter().filter(|seen| seen.side == 1 && seen.is_check());
        let new: Vec<_> = new.map(|seen| seen.bytes.clone()).collect();
        known = net.seen.len();
        for mut check in new {
            brought += check.len();
            net.calls[0].receive(net.now, Channel::Rtp, at(STRANGER), &mut check);
        }
    }
    let to_stranger = || net.seen.iter().filter(|seen| seen.to == at(STRANGER));
    let sent: usize = to_stranger().map(|seen| seen.bytes.len()).sum();
    println!("{brought} bytes brought {sent}");
    assert!(to_stranger().count() > 0 && to_stranger().all(|seen| !seen.is_media()), "sound went to a stranger");
    assert!(sent < 3 * brought, "{brought} bytes brought {sent}");
    assert_eq!(net.stats()[0].pair.unwrap().remote, at(PRIVATE[1]));
    assert_eq!(net.unheard[1], 0);
}

#[test]
fn answers_from_elsewhere_are_no_answers() {
    let mut net = Net::new([IceMode::Full; 2], |_, _| {});
    net.agree(0);
    // Side 1 is seen at another address than the one that was asked: its answers are strays, its checks are a new candidate.
    net.outside[1] = at(PUBLIC[1]);
    let mut buffer = [0; 1_500];
    let transmit = net.calls[0].transmit(net.now, &mut buffer).unwrap();
    assert_eq!(transmit.to, at(PRIVATE[1]));
    net.calls[1].receive(net.now, Channel::Rtp, at(PRIVATE[0]), &mut buffer[..transmit.len]);
    net.run(1_000);
    assert_eq!(net.stats()[0].strays, 1);
}

#[test]
fn a_side_without_ice_is_followed_as_ever_unless_ice_is_required() {
    for (offerer, without) in [(0, 1), (1, 1)] {
        let mut modes = [IceMode::Full; 2];
        modes[without] = IceMode::Off;
        let mut net = Net::new(modes, |_, _| {});
        net.agree(offerer);
        net.run(1_000);
        assert!(net.heard_since.iter().all(Option::is_some));
        let why = [0, 1].map(|side| net.calls[side].negotiated_transport().unwrap().ice.clone().unwrap_err());
        assert_eq!(why, [NoIce::OtherSide, NoIce::Off]);
        // It learns ICE later, and forgets it again: the other is told apart by each description.
        let mut strict = Net::new(modes, |_, config| config.ice.required = true);
        let error = match offerer {
            1 => {
                let offer = strict.calls[1].offer().unwrap();
                strict.calls[0].answer(strict.now, &offer).unwrap_err()
            }
            _ => {
                let offer = strict.calls[0].offer().unwrap();
                let answer = strict.calls[1].answer(strict.now, &offer).unwrap();
                strict.calls[0].accept(strict.now, &answer).unwrap_err()
            }
        };
        let CallError::Sdp(error @ SdpError::IceRequired(..)) = error else { panic!("{error:?}") };
        assert!(error.to_string().contains("the other side doesn't speak ICE"), "{error}");
    }
    // With a port of its own for RTCP there would be two components.
    let config = CallConfig { rtcp_mux: false, ..CallConfig::with_identity(4_000, Identity::seeded(1)) };
    let ice = IceConfig { mode: IceMode::Full, ..IceConfig::default() };
    let error = Call::new(CallConfig { ice, ..config }).unwrap().offer().unwrap_err();
    let CallError::Sdp(error) = error else { panic!("{error:?}") };
    assert!(error.to_string().contains("rtcp-mux"), "{error}");
    let mut net = Net::new([IceMode::Full; 2], |_, _| {});
    net.agree_by(0, |text| text.replace("a=rtcp-mux\r\n", ""));
    assert_eq!(net.calls[1].negotiated_transport().unwrap().ice, Err(NoIce::Unmultiplexed));
}

#[test]
fn browsers_without_an_address_yet_are_not_on_hold() {
    let mut net = Net::new([IceMode::Full; 2], |_, _| {});
    let offer = net.calls[0].offer().unwrap();
    let bent = offer.replace("c=IN IP4 10.0.0.4", "c=IN IP4 0.0.0.0").replace("m=audio 4000", "m=audio 9");
    let answer = net.calls[1].answer(net.now, &bent).unwrap();
    assert!(answer.contains("a=sendrecv"), "{answer}");
    net.calls[0].accept(net.now, &answer).unwrap();
    net.run(1_000);
    net.assert_talking();
    // Without ICE on our side it is hold, as it was.
    let mut plain = Net::new([IceMode::Full, IceMode::Off], |_, _| {});
    let answer = plain.calls[1].answer(plain.now, &bent).unwrap();
    assert!(answer.contains("a=recvonly") || answer.contains("a=inactive"), "{answer}");
}

/// Digits that are pressed before an address has answered wait, and it is said for what.
#[test]
fn digits_wait_for_the_checks() {
    let mut net = Net::new([IceMode::Full; 2], |_, _| {});
    net.loses = Box::new(|_| true);
    net.agree(0);
    net.run(500);
    assert_eq!(net.calls[0].digits_wait(), Some(DigitsWait::NoPath));
    net.loses = Box::new(|_| false);
    net.run(3_000);
    assert_eq!(net.calls[0].digits_wait(), None);
}
