//! The random orders of [`random`](super::random) with two managers over sockets: offers, answers, refusals, holds,
//! keys, sources, addresses, codecs, parking, in plain RTP, with keys of the descriptions and of DTLS. After each step
//! sound flows within 500 ms in exactly the directions that both agreed on; at the end no session is left, no
//! descriptor and no thread.

use std::net::IpAddr;

use host_std::manager::{Change, DialogId, EventKind, Events, ManagerConfig, ManagerError, MediaManager};
use host_std::sdp::{Direction, SrtpPolicy};
use host_std::session::{CallConfig, CallStats, Identity, Keying};
use proptest::prelude::*;

use super::many::{Has, in_a_process};
use super::random::{Fate, Step, TONES_HZ, USELESS, Want, broken, codecs, steps};
use super::real::{Heard, device, tone};
use super::stepped::{Stepped, runtime};
use super::world::{half, names};

/// So many orders are tried, where nobody says otherwise.
const CASES: u32 = 8;
/// Who says otherwise.
const ASKED: &str = "MEDIA_CORE_MANAGER_ORDERS";

/// How the sound is protected.
#[derive(Clone, Copy, Debug)]
enum Security {
    Plain,
    Described,
    Dtls,
}

/// One side: its manager, and what is heard there.
struct Side {
    manager: MediaManager,
    events: Events,
    dialog: DialogId,
    heard: Heard,
    wants: Direction,
    /// The last part of the address that it receives at.
    place: u8,
}

struct Pair {
    clock: Stepped,
    sides: [Side; 2],
    /// Whether the sound of each side reaches the other.
    flows: [bool; 2],
    sources: u64,
}

/// A later offer: what of [`Want`] one request of the manager can ask for.
enum Asked {
    Change(Change),
    Move(IpAddr),
}

impl Pair {
    async fn new(security: Security) -> Self {
        let clock = Stepped::new();
        let (srtp, keying) = match security {
            Security::Plain => (SrtpPolicy::Off, Keying::Described),
            Security::Described => (SrtpPolicy::Required, Keying::Described),
            Security::Dtls => (SrtpPolicy::Required, Keying::Dtls),
        };
        let dialogs = names();
        let sides = [0, 1].map(|side| {
            let config = ManagerConfig::new().unwrap();
            let call = CallConfig { codecs: codecs(3), srtp, keying, ..config.call.clone() };
            let (manager, events) = MediaManager::new(config.with_call(call));
            let (dialog, heard) = (dialogs[side].clone(), Heard::default());
            Side { manager, events, dialog, heard, wants: Direction::SendRecv, place: 1 }
        });
        let mut pair = Self { clock, sides, flows: [true; 2], sources: 0 };
        let [anna, bert] = &pair.sides;
        let offer = anna.manager.offer(&half(&anna.dialog)).await.unwrap();
        let answer = bert.manager.answer(&bert.dialog, &offer).await.unwrap();
        anna.manager.accept(&anna.dialog, &answer).await.unwrap();
        anna.manager.confirm(&anna.dialog).await.unwrap();
        for (side, tone_hz) in TONES_HZ.into_iter().enumerate() {
            let (audio, heard) = device(tone(tone_hz as u32));
            let Side { manager, dialog, .. } = &pair.sides[side];
            manager.attach(dialog, audio).await.unwrap();
            pair.sides[side].heard = heard;
        }
        // The handshake of DTLS.
        pair.clock.run(500).await;
        pair
    }

    /// Two requests where somebody wants to move and something else.
    fn asked(&mut self, side: usize, want: Want) -> Vec<Asked> {
        let mut change = Change::default();
        change.direction = want.direction;
        change.codecs = want.codecs.map(codecs);
        change.rekey = want.rekey;
        let mut asked = vec![Asked::Change(change)];
        if want.moves {
            let place = &mut self.sides[side].place;
            *place = *place % 20 + 1;
            asked.push(Asked::Move([127, 0, 0, *place].into()));
        }
        asked
    }

    async fn offer(&self, side: usize, asked: &Asked) -> String {
        let Side { manager, dialog, .. } = &self.sides[side];
        match asked {
            Asked::Change(change) => manager.reoffer(dialog, change.clone()).await,
            Asked::Move(address) => manager.move_to(dialog, *address).await,
        }
        .expect("an offer")
    }

    async fn withdraw(&self, side: usize) {
        let Side { manager, dialog, .. } = &self.sides[side];
        manager.withdraw(dialog).await.expect("something to take back");
    }

    async fn complete(&mut self, side: usize, asked: &Asked, offer: &str) {
        let [own, other] = [&self.sides[side], &self.sides[1 - side]];
        let answer = other.manager.reanswer(&other.dialog, offer).await.expect("there is always PCMU");
        self.clock.run(50).await;
        own.manager.accept(&own.dialog, &answer).await.expect("an answer");
        if let Asked::Change(Change { direction: Some(direction), .. }) = asked {
            self.sides[side].wants = *direction;
        }
        for side in [0, 1] {
            self.flows[side] = self.sides[side].wants.sends() && self.sides[1 - side].wants.receives();
        }
    }

    async fn request(&mut self, side: usize, asked: &Asked, fate: Fate) {
        let offer = self.offer(side, asked).await;
        self.clock.run(50).await;
        let Side { manager, dialog, .. } = &self.sides[side];
        match fate {
            Fate::Taken => self.complete(side, asked, &offer).await,
            Fate::Refused => self.withdraw(side).await,
            Fate::Broken(lines) => {
                let answer = broken(lines);
                assert!(manager.accept(dialog, &answer).await.is_err(), "{answer}");
            }
            Fate::Glare => {
                let other = 1 - side;
                let theirs = self.offer(other, &Asked::Change(Change::hold())).await;
                for (side, offer) in [(side, &theirs), (other, &offer)] {
                    let Side { manager, dialog, .. } = &self.sides[side];
                    let glare = manager.reanswer(dialog, offer).await;
                    assert!(matches!(glare, Err(ManagerError::Glare)));
                }
                self.clock.run(50).await;
                self.withdraw(other).await;
                self.withdraw(side).await;
                let offer = self.offer(side, asked).await;
                self.complete(side, asked, &offer).await;
            }
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Offer(side, want, fate) => {
                for asked in self.asked(side, want) {
                    self.request(side, &asked, fate).await;
                }
            }
            Step::Refresh(side) => {
                let keyed = [self.stats(0).await.keyed, self.stats(1).await.keyed];
                let Side { manager, dialog, .. } = &self.sides[side];
                let offer = manager.refresh(dialog).await.expect("a refresh");
                self.complete(side, &Asked::Change(Change::default()), &offer).await;
                assert_eq!([self.stats(0).await.keyed, self.stats(1).await.keyed], keyed);
            }
            Step::Useless(side) => {
                let Side { manager, dialog, .. } = &self.sides[side];
                for offer in USELESS {
                    assert!(manager.reanswer(dialog, offer).await.is_err());
                }
            }
            Step::Source(side) => {
                self.sources += 1;
                let identity = Identity::seeded(77_000 + self.sources);
                let Side { manager, dialog, .. } = &self.sides[side];
                let changed = manager.with(dialog, move |call, now| call.change_source(now, &identity)).await;
                changed.unwrap().expect("a new source");
            }
            Step::Park(side, tenths) => {
                let Side { manager, dialog, .. } = &self.sides[side];
                let audio = manager.detach(dialog).await.unwrap();
                self.clock.run(100 * u64::from(tenths)).await;
                manager.attach(dialog, audio).await.unwrap();
            }
            Step::Run(tenths) => self.clock.run(100 * u64::from(tenths)).await,
        }
    }

    async fn stats(&self, side: usize) -> CallStats {
        let Side { manager, dialog, .. } = &self.sides[side];
        manager.stats(dialog).await.unwrap()
    }

    /// 500 ms later sound flows as it should, and for the next 200 ms.
    async fn check(&mut self, what: &str) {
        self.clock.run(500).await;
        let directions = [0, 1].map(|side| (self.flows[side], self.flows[1 - side]));
        for (side, (sends, receives)) in directions.into_iter().enumerate() {
            let Side { manager, dialog, .. } = &self.sides[side];
            let agreed = manager.direction(dialog).await.unwrap();
            assert_eq!((agreed.sends(), agreed.receives()), (sends, receives), "{what}: what side {side} agreed on");
        }
        for _ in 0..2 {
            self.clock.run(100).await;
            for (side, tone_hz) in TONES_HZ.into_iter().enumerate() {
                let (share, power) = self.sides[1 - side].heard.share(tone_hz, 100);
                let sounds = share > 0.8 && power > 1e5;
                if sounds != self.flows[side] || (!self.flows[side] && power >= 1e4) {
                    let stats = self.stats(1 - side).await;
                    panic!("{what}: of side {side} there is {share:.2} of {power:.0}, {:?}; {stats:?}", self.flows);
                }
            }
        }
        for side in [0, 1] {
            let stats = self.stats(side).await;
            assert_eq!(stats.unaccounted(), [0; 5], "{what}: {stats:?}");
            let Side { manager, dialog, events, .. } = &mut self.sides[side];
            let memory = manager.with(dialog, |call, _| call.memory_bytes()).await.unwrap();
            // Of G.722's receivers, of those that fade out, and of a handshake.
            assert!(memory < 400_000, "{what}: {memory} bytes");
            assert_eq!(manager.sessions(), 1);
            while let Some(event) = events.try_next() {
                let is_bad = matches!(event.kind, EventKind::Ended(_) | EventKind::OneWay(_) | EventKind::DeviceLost);
                assert!(!is_bad, "{what}: {event:?}");
            }
            assert_eq!(events.dropped(), 0);
        }
    }
}

async fn run(security: Security, steps: &[Step]) {
    let mut pair = Pair::new(security).await;
    pair.check("connected").await;
    for (number, step) in steps.iter().enumerate() {
        pair.take(*step).await;
        pair.check(&format!("{number}: {step:?}")).await;
    }
    // In the end all is well again.
    for side in [0, 1] {
        let asked = Asked::Change(Change::resume());
        let offer = pair.offer(side, &asked).await;
        pair.complete(side, &asked, &offer).await;
    }
    pair.check("resumed").await;
    for Side { manager, dialog, .. } in &pair.sides {
        manager.end(dialog).await.unwrap();
    }
    pair.clock.run(200).await;
    assert_eq!([0, 1].map(|side| pair.sides[side].manager.sessions()), [0; 2]);
}

#[test]
#[ignore = "is run in a process of its own by those below"]
fn orders_of_a_process() {
    let cases = std::env::var(ASKED).ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let order = || {
        let security = prop_oneof![Just(Security::Plain), Just(Security::Described), Just(Security::Dtls)];
        (security, proptest::collection::vec(steps(), 1..16))
    };
    let one = |security, steps: &[Step]| runtime().block_on(run(security, steps));
    // What a process makes once for all calls is there.
    [Security::Plain, Security::Described, Security::Dtls].into_iter().for_each(|security| one(security, &[]));
    let before = Has::after_a_moment();
    let began = std::time::Instant::now();
    proptest!(ProptestConfig { cases, max_shrink_iters: 200, ..ProptestConfig::default() }, |(order in order())| {
        one(order.0, &order.1);
        let after = Has::again(&before);
        prop_assert_eq!((after.descriptors, after.threads), (before.descriptors, before.threads));
    });
    println!("{cases} orders in {:.1} s: {before:?}, then {:?}", began.elapsed().as_secs_f64(), Has::now());
}

#[test]
fn sound_flows_as_both_agreed_after_any_step_over_sockets() {
    in_a_process("random_sockets::orders_of_a_process", (ASKED, CASES.to_string()), "orders in");
}

/// For `.ci/long`.
#[test]
#[ignore = "takes minutes"]
fn sound_flows_as_both_agreed_after_any_of_many_steps_over_sockets() {
    in_a_process("random_sockets::orders_of_a_process", (ASKED, "400".into()), "orders in");
}
