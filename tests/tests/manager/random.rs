//! Any order of what signalling can do to a call: holds, codecs, keys, addresses, other sources, refreshes, refusals by
//! either side, answers that are lost or broken, both sides at once, parking. After each step sound flows within 500 ms
//! in exactly the directions that both agreed on, nothing is made anew that was not asked for, and memory stays where
//! it was.

use host_std::manager::{Change, DialogId, EventKind, ManagerError, Watching};
use host_std::registry::CodecFormat;
use host_std::sdp::{Direction, SrtpPolicy};
use host_std::session::{CaptureConfig, Identity, front_end};
use proptest::prelude::*;

use super::world::{Phone, RATE_HZ, World, address, config, names};

/// What a later offer wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    pub(super) direction: Option<Direction>,
    pub(super) codecs: Option<u8>,
    pub(super) rekey: bool,
    pub(super) moves: bool,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Taken,
    /// 488, or no answer at all.
    Refused,
    /// The answer is cut off after so many of its lines.
    Broken(usize),
    /// Both sides offer; this one's counts in the end.
    Glare,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Offer(usize, Want, Fate),
    Refresh(usize),
    /// The other side gets an offer that nobody could use.
    Useless(usize),
    Source(usize),
    /// The device goes, and comes back after so many tenths of a second.
    Park(usize, u8),
    Run(u8),
}

const DIRECTIONS: [Direction; 4] = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
/// Offers that nobody could use.
pub(super) const USELESS: [&str; 2] =
    ["", "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n"];
pub(super) const TONES_HZ: [f64; 2] = [400.0, 700.0];

pub(super) fn codecs(number: u8) -> Vec<CodecFormat> {
    match number % 4 {
        0 => vec![CodecFormat::pcmu()],
        1 => vec![CodecFormat::pcma(), CodecFormat::pcmu()],
        2 => vec![CodecFormat::g722(), CodecFormat::pcmu()],
        _ => vec![CodecFormat::pcmu(), CodecFormat::pcma(), CodecFormat::g722()],
    }
}

/// An answer that refuses everything, or is cut off after so many of its lines.
pub(super) fn broken(lines: usize) -> String {
    let said = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n";
    said.split_inclusive('\n').take(lines).collect()
}

fn wants() -> impl Strategy<Value = Want> {
    let direction = proptest::option::weighted(0.7, (0..4usize).prop_map(|n| DIRECTIONS[n]));
    let codecs = proptest::option::weighted(0.3, any::<u8>());
    (direction, codecs, proptest::bool::weighted(0.3), proptest::bool::weighted(0.3))
        .prop_map(|(direction, codecs, rekey, moves)| Want { direction, codecs, rekey, moves })
}

pub(super) fn steps() -> impl Strategy<Value = Step> {
    let side = 0..2usize;
    let fate = prop_oneof![
        6 => Just(Fate::Taken),
        2 => Just(Fate::Refused),
        1 => (0..12usize).prop_map(Fate::Broken),
        1 => Just(Fate::Glare),
    ];
    prop_oneof![
        8 => (side.clone(), wants(), fate).prop_map(|(side, want, fate)| Step::Offer(side, want, fate)),
        1 => side.clone().prop_map(Step::Refresh),
        1 => side.clone().prop_map(Step::Useless),
        1 => side.clone().prop_map(Step::Source),
        1 => (side, 1..30u8).prop_map(|(side, tenths)| Step::Park(side, tenths)),
        1 => (1..50u8).prop_map(Step::Run),
    ]
}

/// Two phones, and what they must have come to.
struct Pair {
    world: World,
    dialogs: [DialogId; 2],
    wants: [Direction; 2],
    /// Whether the sound of each side reaches the other.
    flows: [bool; 2],
    port: u16,
    sources: u64,
    most_memory: usize,
}

impl Pair {
    fn new(srtp: SrtpPolicy) -> Self {
        let mut world = World::new();
        let dialogs = names();
        for side in 0..2 {
            let mut config = config(4_000 + 1_000 * side as u16);
            (config.codecs, config.srtp) = (codecs(3), srtp);
            world.add(Phone::new(&dialogs[side], config, TONES_HZ[side], Watching::default()));
        }
        world.connect(0, 1, [&dialogs[0], &dialogs[1]]);
        let wants = [Direction::SendRecv; 2];
        Self { world, dialogs, wants, flows: [true; 2], port: 10_000, sources: 0, most_memory: 0 }
    }

    fn change(&mut self, want: Want) -> Change {
        let mut change = Change::default();
        change.direction = want.direction;
        change.codecs = want.codecs.map(codecs);
        change.rekey = want.rekey;
        if want.moves {
            self.port += 2;
            change.address = Some((address(self.port).ip(), self.port));
        }
        change
    }

    fn offer(&mut self, side: usize, change: &Change) -> String {
        if let Some((ip, port)) = change.address {
            self.world.phones[side].addresses.push((ip, port).into());
        }
        let dialog = &self.dialogs[side];
        self.world.at(side, |session, now| session.reoffer(now, dialog, change)).expect("an offer")
    }

    /// Media of a call that has moved come from its new place alone.
    fn settle_addresses(&mut self, side: usize) {
        let here = self.world.phones[side].session.call(&self.dialogs[side]).unwrap().receives_at();
        self.world.phones[side].addresses.retain(|known| *known == here);
    }

    fn withdraw(&mut self, side: usize) {
        let dialog = &self.dialogs[side];
        self.world.at(side, |session, _| session.withdraw(dialog)).expect("something to take back");
        self.settle_addresses(side);
    }

    fn complete(&mut self, side: usize, change: &Change, offer: &str) {
        let other = 1 - side;
        let answer = self.world.at(other, |session, now| session.answer(now, &self.dialogs[other], offer));
        let answer = answer.expect("there is always PCMU");
        self.world.run(50);
        self.world.at(side, |session, now| session.accept(now, &self.dialogs[side], &answer)).expect("an answer");
        self.settle_addresses(side);
        if let Some(direction) = change.direction {
            self.wants[side] = direction;
        }
        self.agree();
    }

    fn agree(&mut self) {
        for side in [0, 1] {
            self.flows[side] = self.wants[side].sends() && self.wants[1 - side].receives();
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Offer(side, want, fate) => {
                let (other, change) = (1 - side, self.change(want));
                let offer = self.offer(side, &change);
                self.world.run(50);
                match fate {
                    Fate::Taken => self.complete(side, &change, &offer),
                    Fate::Refused => self.withdraw(side),
                    Fate::Broken(lines) => {
                        // The other side was never asked: somebody on the way says nonsense.
                        let answer = broken(lines);
                        let accepted =
                            self.world.at(side, |session, now| session.accept(now, &self.dialogs[side], &answer));
                        assert!(accepted.is_err(), "{answer}");
                        self.settle_addresses(side);
                    }
                    Fate::Glare => {
                        let theirs = self.offer(other, &Change::hold());
                        for (side, offer) in [(side, &theirs), (other, &offer)] {
                            let glare =
                                self.world.at(side, |session, now| session.answer(now, &self.dialogs[side], offer));
                            assert!(matches!(glare, Err(ManagerError::Glare)));
                        }
                        self.world.run(50);
                        self.withdraw(other);
                        self.withdraw(side);
                        let offer = self.offer(side, &change);
                        self.complete(side, &change, &offer);
                    }
                }
            }
            Step::Refresh(side) => {
                let keyed = [0, 1].map(|side| self.stats(side).keyed);
                let dialog = &self.dialogs[side];
                let offer = self.world.at(side, |session, now| session.refresh(now, dialog)).expect("a refresh");
                self.complete(side, &Change::default(), &offer);
                assert_eq!([0, 1].map(|side| self.stats(side).keyed), keyed);
            }
            Step::Useless(side) => {
                for offer in USELESS {
                    let dialog = &self.dialogs[side];
                    assert!(self.world.at(side, |session, now| session.answer(now, dialog, offer)).is_err());
                }
            }
            Step::Source(side) => {
                self.sources += 1;
                let identity = Identity::seeded(77_000 + self.sources);
                let dialog = &self.dialogs[side];
                self.world.at(side, |session, now| {
                    session.call_mut(dialog).unwrap().change_source(now, &identity).expect("a new source");
                });
            }
            Step::Park(side, tenths) => {
                let front = self.world.phones[side].front.take();
                self.world.run(100 * u64::from(tenths));
                drop(front);
                self.world.phones[side].front = Some(front_end(RATE_HZ, 1, &CaptureConfig::default()).unwrap());
                let samples = RATE_HZ as usize / 10 * usize::from(tenths);
                self.world.at(side, |session, _| session.rest(samples));
            }
            Step::Run(tenths) => self.world.run(100 * u64::from(tenths)),
        }
    }

    fn stats(&self, side: usize) -> host_std::session::CallStats {
        self.world.phones[side].session.call(&self.dialogs[side]).unwrap().stats()
    }

    /// 500 ms later sound flows as it should, and for the next 200 ms.
    fn check(&mut self, what: &str) {
        self.world.run(500);
        for _ in 0..2 {
            self.world.run(100);
            for side in [0, 1] {
                let heard = &self.world.phones[1 - side];
                let (share, power) = heard.share(TONES_HZ[side]);
                let sounds = share > 0.8 && power > 1e5;
                assert_eq!(
                    sounds,
                    self.flows[side],
                    "{what}: of side {side} there is {share:.2} of {power:.0}; {:?}",
                    self.stats(1 - side)
                );
                assert!(self.flows[side] || power < 1e4, "{what}: {power} where nothing should sound");
            }
        }
        for side in [0, 1] {
            let stats = self.stats(side);
            assert_eq!(stats.unaccounted(), [0; 5], "{what}: {stats:?}");
            let memory = self.world.phones[side].session.call(&self.dialogs[side]).unwrap().memory_bytes();
            self.most_memory = self.most_memory.max(memory);
            assert!(self.world.phones[side].was_told(|kind| matches!(kind, EventKind::Ended(_))) == 0);
        }
        // Of G.722's receivers, and of those that fade out.
        assert!(self.most_memory < 300_000, "{what}: {} bytes", self.most_memory);
    }
}

fn run(srtp: SrtpPolicy, steps: &[Step]) {
    let mut pair = Pair::new(srtp);
    pair.check("connected");
    for (number, step) in steps.iter().enumerate() {
        pair.take(*step);
        pair.check(&format!("{number}: {step:?}"));
    }
    // In the end all is well again.
    for side in [0, 1] {
        let change = Change::resume();
        let offer = pair.offer(side, &change);
        pair.complete(side, &change, &offer);
    }
    pair.check("resumed");
    for side in [0, 1] {
        let dialog = pair.dialogs[side].clone();
        pair.world.at(side, |session, now| session.end(now, &dialog, |_| {})).unwrap();
    }
    pair.world.run(300);
    assert!(pair.world.phones.iter().all(|phone| phone.session.is_over()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn sound_flows_as_both_agreed_after_any_step(secure in any::<bool>(), steps in proptest::collection::vec(steps(), 1..20)) {
        run(if secure { SrtpPolicy::Required } else { SrtpPolicy::Off }, &steps);
    }
}
