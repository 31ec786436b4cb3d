//! Calls whose packets a TURN server passes on, because no direct way is found or none may be taken: two calls in virtual time
//! beside a server of which each answer is known. What is allocated lasts as long as the call; what is refused is told.

use std::net::SocketAddr;

use dsp_core::time::Duration;
use host_std::sdp::{CandidateKind, SrtpPolicy};
use host_std::session::{
    CallConfig, CallError, Channel, Ending, IceConfig, IceMode, Identity, Incoming, RelayState, TurnServer,
    TurnTransport,
};

use crate::ice_net::{Net, PRIVATE, PUBLIC, STRANGER, at};
use media_core_tests::turn_server::{PASSWORD, TurnModel, USER, message, put};

const TURN: &str = "198.51.100.7:3478";
const ALLOCATE: u16 = 3;
const REFRESH: u16 = 4;
const PERMIT: u16 = 8;
const BIND: u16 = 9;

fn server(password: &str) -> TurnServer {
    let (user, password) = (USER.into(), password.into());
    TurnServer { address: at(TURN), transport: TurnTransport::Udp, user, password }
}

/// Two sides, of which these only take relayed addresses, with a server that both or those may use.
fn net(relay_only: [bool; 2], servers: [bool; 2]) -> Net {
    let mut net = Net::new([IceMode::Full; 2], |side, config| {
        config.ice.relay_only = relay_only[side];
        config.ice.turn.extend(servers[side].then(|| server(PASSWORD)));
        config.srtp = SrtpPolicy::Required;
    });
    net.turn = Some(TurnModel::new(at(TURN)));
    net
}

fn talking(relay_only: [bool; 2]) -> Net {
    let mut net = net(relay_only, relay_only);
    net.gather();
    net.agree(0);
    net.run(2_000);
    net.assert_talking();
    net
}

fn state(net: &Net, side: usize) -> RelayState {
    net.calls[side].relays()[0].state
}

#[test]
fn a_side_that_hides_is_reached_by_its_relayed_address_alone() {
    for relay_only in [[true, false], [false, true], [true, true]] {
        let mut net = net(relay_only, relay_only);
        net.gather();
        assert!(net.now.as_millis() < 500, "the server answers at once");
        let offer = net.calls[0].offer().unwrap();
        let answer = net.calls[1].answer(net.now, &offer).unwrap();
        net.calls[0].accept(net.now, &answer).unwrap();
        net.run(3_000);
        net.assert_talking();
        for (side, stats) in net.stats().into_iter().enumerate() {
            let pair = stats.pair.unwrap();
            let kinds = [side, 1 - side].map(|side| match relay_only[side] {
                true => CandidateKind::Relayed,
                false => CandidateKind::Host,
            });
            assert_eq!([pair.local_kind, pair.remote_kind], kinds);
            if relay_only[side] {
                let text = if side == 0 { &offer } else { &answer };
                let RelayState::Allocated(relayed) = state(&net, side) else { panic!("{:?}", state(&net, side)) };
                assert!(!text.contains("10."), "{text}");
                assert!(text.contains(&format!("c=IN IP4 {}", relayed.ip())), "{text}");
                assert!(text.contains("o=- ") && text.contains(" IN IP4 0.0.0.0\r\n"), "{text}");
                assert!(text.contains(&format!("{} typ relay raddr 0.0.0.0 rport 9", relayed.port())), "{text}");
                assert!(net.seen.iter().all(|seen| seen.side != side || seen.to == at(TURN)), "a direct way was taken");
            }
        }
        let turn = net.turn.as_ref().unwrap();
        assert!(turn.by_channel >= 130 && turn.by_indication < 20, "{} {}", turn.by_channel, turn.by_indication);
        // At the end what was given is given back, behind the last goodbye.
        for (side, relayed) in relay_only.into_iter().enumerate() {
            net.calls[side].hang_up();
            net.run(200);
            let left = if relayed { Some(RelayState::Released) } else { None };
            assert_eq!(net.calls[side].relays().first().map(|relay| relay.state), left);
            assert!(!net.calls[side].is_leaving());
        }
        assert_eq!(net.calls[1].stats().goodbyes, 1, "the goodbye came through");
        assert!(net.turn.as_ref().unwrap().allocations.is_empty());
    }
}

/// Checks that are still under way when it hangs up don't take another way.
#[test]
fn a_side_that_hides_hides_to_the_end() {
    for ms in [20, 60, 100, 200] {
        let mut net = net([true; 2], [true; 2]);
        net.gather();
        net.agree(0);
        net.run(ms);
        net.calls.iter_mut().for_each(|call| call.hang_up());
        net.run(1_500);
        assert!(net.seen.iter().all(|seen| seen.to == at(TURN)), "a direct way was taken after {ms} ms");
    }
}

/// Where the way to the server is long each question is repeated, and each copy answered.
#[test]
fn two_answers_to_one_question_are_one() {
    let mut net = net([true; 2], [true; 2]);
    net.turn.as_mut().unwrap().twice = true;
    net.gather();
    assert!((0..2).all(|side| matches!(state(&net, side), RelayState::Allocated(_))));
    net.agree(0);
    net.run(2_000);
    net.assert_talking();
}

#[test]
fn a_server_is_the_last_way_and_not_the_first() {
    let mut net = net([false; 2], [true; 2]);
    net.gather();
    net.agree(0);
    net.run(3_000);
    net.assert_talking();
    for stats in net.stats() {
        let pair = stats.pair.unwrap();
        assert_eq!([pair.local_kind, pair.remote_kind], [CandidateKind::Host; 2]);
    }
    assert_eq!(net.turn.as_ref().unwrap().by_channel, 0);
    // Where no packet comes through directly, it is.
    let mut blocked = self::net([false; 2], [true, false]);
    blocked.outside = PUBLIC.map(at);
    blocked.direct = false;
    blocked.gather();
    let offer = blocked.calls[0].offer().unwrap();
    // The server has told how it sees us, as a STUN server would.
    assert!(offer.contains("192.0.2.4 40404 typ srflx raddr 10.0.0.4 rport 4000"), "{offer}");
    assert!(offer.contains("typ relay raddr 192.0.2.4 rport 40404"), "{offer}");
    let answer = blocked.calls[1].answer(blocked.now, &offer).unwrap();
    // The other side's own address is known to its checks alone.
    let answer = answer.replace("10.9.0.5 5000 typ", "192.0.2.5 50505 typ");
    blocked.calls[0].accept(blocked.now, &answer).unwrap();
    blocked.run(5_000);
    blocked.assert_talking();
    let pair = blocked.stats()[0].pair.unwrap();
    assert_eq!((pair.local_kind, pair.remote), (CandidateKind::Relayed, at(PUBLIC[1])));
}

/// 25 minutes: four lifetimes of an allocation and a channel, ten of a permission, and a nonce that is stale every 100 s.
#[test]
fn what_was_given_lasts_as_long_as_the_call() {
    let mut net = talking([true, false]);
    // The first check comes before there is permission for it.
    let turn = net.turn.as_mut().unwrap();
    (turn.fresh, turn.dropped) = (Duration::from_secs(100), 0);
    net.unheard = [0; 2];
    net.run(1_500_000);
    net.assert_talking();
    assert_eq!(net.unheard, [0; 2]);
    let turn = net.turn.as_ref().unwrap();
    let counts = [REFRESH, PERMIT, BIND].map(|method| turn.count(method));
    println!("refreshed, permitted, bound: {counts:?}");
    assert!(counts[0][0] >= 2 && counts[0][0] <= 4, "{counts:?}");
    assert!(counts[1][0] >= 5 && counts[1][0] <= 9, "{counts:?}");
    assert!(counts[2][0] >= 3 && counts[2][0] <= 5, "{counts:?}");
    assert!(counts.iter().map(|count| count[1]).sum::<usize>() >= 5, "{counts:?}");
    assert!(turn.answered.iter().all(|(_, _, error)| [0, 401, 438].contains(error)));
    assert_eq!(turn.dropped, 0);
}

#[test]
fn lost_questions_are_asked_again() {
    let mut net = net([true, false], [true, false]);
    net.loses = Box::new(|seen| seen.to == at(TURN) && seen.when.as_millis() / 400 % 2 == 0);
    net.gather();
    net.agree(0);
    net.run(4_000);
    net.loses = Box::new(|_| false);
    net.run(4_000);
    net.assert_talking();
}

#[test]
fn a_server_that_refuses_says_why_and_the_direct_way_is_taken() {
    for error in [300, 403, 442, 486, 508] {
        for relay_only in [false, true] {
            let mut net = net([relay_only, false], [true, false]);
            net.turn.as_mut().unwrap().refuses = vec![(ALLOCATE, error)];
            net.gather();
            assert!(net.now.as_millis() < 1_000);
            assert_eq!(state(&net, 0), RelayState::Refused(error));
            assert!(state(&net, 0).to_string().ends_with(&format!("(error {error})")), "{}", state(&net, 0));
            net.agree(0);
            net.run(2_000);
            if relay_only {
                assert_eq!(net.calls[0].should_end(net.now), Some(Ending::NoRelay));
                assert!(net.seen.iter().all(|seen| seen.side != 0 || seen.to == at(TURN)));
            } else {
                net.assert_talking();
            }
        }
    }
}

#[test]
fn a_wrong_password_is_asked_with_once() {
    let mut net = Net::new([IceMode::Full; 2], |side, config| {
        if side == 0 {
            config.ice = IceConfig { mode: IceMode::Full, turn: vec![server("wrong")], ..IceConfig::default() };
        }
    });
    net.turn = Some(TurnModel::new(at(TURN)));
    net.gather();
    net.run(20_000);
    assert_eq!(state(&net, 0), RelayState::Refused(401));
    assert_eq!(net.turn.as_ref().unwrap().count(ALLOCATE), [0, 2]);
    let debug = format!("{:?}", server("wrong"));
    assert!(debug.contains(USER) && !debug.contains("wrong"), "{debug}");
}

#[test]
fn a_silent_server_is_given_up_and_told() {
    let mut net = net([true, false], [true, false]);
    net.turn.as_mut().unwrap().silent = true;
    net.gather();
    assert!((11_000..13_500).contains(&net.now.as_millis()), "{:?}", net.now);
    assert_eq!(state(&net, 0), RelayState::Silent);
    assert_eq!(net.seen.iter().filter(|seen| seen.to == at(TURN)).count(), 5);
    // A call that may go directly is not kept waiting.
    let mut other = self::net([false; 2], [true, false]);
    other.turn.as_mut().unwrap().silent = true;
    other.gather();
    assert!((1_900..=2_100).contains(&other.now.as_millis()));
    other.agree(0);
    other.run(1_000);
    other.assert_talking();
}

#[test]
fn a_server_that_forgets_ends_the_call_in_words() {
    // It knows nothing of us any more: what is sent is lost, as is the other side's consent.
    let mut net = talking([true, false]);
    net.turn.as_mut().unwrap().allocations.clear();
    net.run(31_000);
    assert_eq!(net.calls[0].should_end(net.now), Some(Ending::ConsentGone));
    // The connection to it is over.
    let mut net = talking([true, false]);
    net.calls[0].lose_server(at(TURN));
    net.run(100);
    assert_eq!(net.calls[0].should_end(net.now), Some(Ending::RelayLost));
    // It refuses to go on.
    let mut net = talking([true, false]);
    net.turn.as_mut().unwrap().refuses = vec![(REFRESH, 403)];
    net.run(539_000);
    let RelayState::Lost(_) = state(&net, 0) else { panic!("{:?}", state(&net, 0)) };
    assert_eq!(net.calls[0].should_end(net.now), Some(Ending::RelayLost));
}

#[test]
fn an_address_that_the_server_refuses_is_told() {
    let mut net = net([true, false], [true, false]);
    net.turn.as_mut().unwrap().refuses = vec![(PERMIT, 403)];
    net.gather();
    net.agree(0);
    net.run(41_000);
    let relay = net.calls[0].relays()[0];
    assert_eq!((relay.permitted, relay.refused), (0, 1));
    assert_eq!(net.turn.as_ref().unwrap().count(PERMIT), [0, 3]);
    assert_eq!(net.calls[0].should_end(net.now), Some(Ending::ChecksFailed));
}

/// Whatever comes from a stranger, from the server's address by somebody who doesn't see our questions, or directly to a side that
/// hides, changes nothing and gets no answer.
#[test]
fn forged_datagrams_change_nothing() {
    let mut net = talking([true, false]);
    net.unheard = [0; 2];
    let RelayState::Allocated(relayed) = state(&net, 0) else { panic!() };
    let check = net.seen.iter().find(|seen| seen.side == 1 && seen.is_check()).unwrap().bytes.clone();
    let media = net.media_of(1).last().unwrap().bytes.clone();
    let sent = net.seen.len();
    let refusal = |code: u8, kind: u16| {
        let mut body = Vec::new();
        put(&mut body, 9, &[0, 0, 4, code]);
        put(&mut body, 0x14, b"realm");
        put(&mut body, 0x15, b"nonce");
        message(kind, &[9; 12], body, false)
    };
    let mut direct =
        |from: SocketAddr, mut bytes: Vec<u8>| net.calls[0].receive(net.now, Channel::Rtp, from, &mut bytes);
    for from in [at(STRANGER), at(PRIVATE[1])] {
        // A check and sound that are true, by a way that isn't taken.
        assert_eq!(direct(from, check.clone()), Incoming::Ignored);
        assert_eq!(direct(from, media.clone()), Incoming::Foreign);
        assert_eq!(direct(from, [&[0x40, 0, 0, media.len() as u8][..], &media].concat()), Incoming::Foreign);
    }
    for kind in [0x0113, 0x0114, 0x0118, 0x0119] {
        for code in [0, 1, 37, 38, 86] {
            assert_eq!(direct(at(TURN), refusal(code, kind)), Incoming::Ignored);
        }
    }
    // Channels that nobody bound, and data of whom nobody permitted.
    assert_eq!(direct(at(TURN), vec![0x4f, 0xff, 0, 4, 1, 2, 3, 4]), Incoming::Foreign);
    let mut body = Vec::new();
    put(&mut body, 0x12, &[0, 1, 0, 0, 1, 2, 3, 4]);
    put(&mut body, 0x13, &media);
    assert_eq!(direct(at(TURN), message(0x0017, &[1; 12], body, false)), Incoming::Ignored);
    // A stranger who sends to the relayed address is dropped by the server.
    net.turn.as_mut().unwrap().take_for_relayed(net.now, at(STRANGER), relayed, &media).unwrap();
    assert_eq!(net.seen.len(), sent, "something was answered");
    net.run(2_000);
    net.assert_talking();
    assert_eq!((net.unheard, state(&net, 0)), ([0; 2], RelayState::Allocated(relayed)));
}

#[test]
fn a_restart_goes_on_over_the_same_relayed_address() {
    let mut net = talking([true, true]);
    net.unheard = [0; 2];
    let before = [0, 1].map(|side| state(&net, side));
    net.calls[0].restart_ice();
    net.agree(0);
    net.run(3_000);
    net.assert_talking();
    assert_eq!((net.unheard, net.stats().map(|stats| stats.restarts)), ([0; 2], [1, 1]));
    assert_eq!([0, 1].map(|side| state(&net, side)), before);
    assert_eq!(net.turn.as_ref().unwrap().count(ALLOCATE)[0], 2);
}

#[test]
fn a_call_that_was_never_agreed_on_gives_its_address_back() {
    let mut net = net([true, false], [true, false]);
    net.gather();
    assert_eq!(net.turn.as_ref().unwrap().allocations.len(), 1);
    net.calls[0].hang_up();
    net.run(200);
    assert_eq!((net.turn.as_ref().unwrap().allocations.len(), net.calls[0].is_leaving()), (0, false));
}

#[test]
fn relayed_addresses_alone_need_a_server_and_ice() {
    for (mode, turn) in [(IceMode::Full, Vec::new()), (IceMode::Lite, vec![server(PASSWORD)])] {
        let ice = IceConfig { mode, turn, relay_only: true, ..IceConfig::default() };
        let config = CallConfig { ice, ..CallConfig::with_identity(4_000, Identity::seeded(1)) };
        assert!(matches!(host_std::session::Call::new(config), Err(CallError::RelayOnly)));
    }
    // A side without ICE would have to be talked to directly.
    let mut net = Net::new([IceMode::Full, IceMode::Off], |side, config| {
        if side == 0 {
            config.ice.relay_only = true;
            config.ice.turn.push(server(PASSWORD));
        }
    });
    net.turn = Some(TurnModel::new(at(TURN)));
    net.gather();
    let offer = net.calls[0].offer().unwrap();
    let answer = net.calls[1].answer(net.now, &offer).unwrap();
    let error = net.calls[0].accept(net.now, &answer).unwrap_err();
    assert!(matches!(error, CallError::Sdp(host_std::sdp::SdpError::IceRequired(..))), "{error:?}");
}
