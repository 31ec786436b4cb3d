//! Random offers, answers and changes, over which no key, source and index protects two contents.

use std::net::Ipv4Addr;
use std::sync::LazyLock;

use dsp_core::time::Seq;
use host_std::registry::CodecFormat;
use host_std::sdp::{Direction, SrtpPolicy};
use host_std::session::Identity;
use media_core_tests::books::Key;

use super::{SUITE_32, SUITE_80, Scene, crypto_lines, peer_key};

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
