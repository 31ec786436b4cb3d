//! Any order of offers and answers by either side: streams are held, closed, opened and given other codecs, keys and addresses
//! change, both sides offer at once, answers are unusable or never come, packets are lost. After each step both sides agree
//! on what is open, every datagram is accounted for, none is refused and no keystream is used twice; in the end both
//! streams are heard.

use std::net::{IpAddr, SocketAddr};

use dsp_core::time::{Duration, Instant};
use host_std::registry::CodecFormat;
use host_std::sdp::{Direction, SrtpPolicy};
use host_std::session::{Call, CallConfig, Channel, Identity};
use media_core_tests::books::Books;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Open(usize, usize, bool),
    Direct(usize, usize, Direction),
    Rekey(usize),
    Move(usize, u16),
    Codecs(usize, usize),
    Agree(usize),
    /// Both sides offer; the offer of this one counts.
    Glare(usize),
    /// An offer that is never answered.
    Unanswered(usize),
    /// An answer of whose lines only the first so many are there.
    Broken(usize, usize),
    Run(u8, u8),
}

struct Pair {
    calls: [Call; 2],
    now: Instant,
    books: Books,
}

impl Pair {
    fn new(srtp: SrtpPolicy, streams: [usize; 2]) -> Self {
        let calls = [0, 1].map(|side: usize| {
            let port = 4_000 + 1_000 * side as u16;
            let base = CallConfig::with_identity(port, Identity::seeded(port.into()));
            let mut call = Call::new(CallConfig { codecs: vec![CodecFormat::pcmu()], srtp, ..base }).unwrap();
            for _ in 1..streams[side] {
                call.add_stream(&[CodecFormat::g722()]).unwrap();
            }
            call
        });
        let mut pair = Self { calls, now: Instant::ZERO, books: Books::default() };
        pair.agree(0);
        pair
    }

    /// An offer of this side and its answer; whether it could be made. An offer in which all streams would be closed
    /// can't, nor one whose every stream the other side has closed.
    fn agree(&mut self, side: usize) -> bool {
        let Ok(offer) = self.calls[side].offer() else { return false };
        let Ok(answer) = self.calls[1 - side].answer(self.now, &offer) else { return false };
        self.calls[side].accept(self.now, &answer).expect("the answer of a call of ours");
        self.compare();
        true
    }

    fn compare(&self) {
        let [first, second] = &self.calls;
        for stream in 0..first.stream_count().max(second.stream_count()) {
            let [ours, theirs] = [first, second].map(|call| call.negotiated_stream(stream));
            let directions = [ours, theirs].map(|stream| stream.map(|stream| stream.direction));
            assert_eq!(directions[0], directions[1].map(Direction::reversed), "stream {stream}");
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Open(side, stream, open) => drop(self.calls[side].set_open(stream, open)),
            Step::Direct(side, stream, direction) => drop(self.calls[side].set_stream_direction(stream, direction)),
            Step::Rekey(side) => self.calls[side].rekey().unwrap(),
            Step::Move(side, port) => self.calls[side].set_address(IpAddr::from([127, 0, 0, 1]), port),
            Step::Codecs(side, which) => {
                let codecs =
                    [CodecFormat::pcmu(), CodecFormat::l16(16_000, 1), CodecFormat::opus(), CodecFormat::pcma()];
                // One that the other side always has comes last.
                self.calls[side].set_codecs(&[codecs[which].clone(), CodecFormat::pcmu()]).unwrap();
            }
            Step::Agree(side) => drop(self.agree(side)),
            Step::Glare(side) => {
                let offers = self.calls.each_mut().map(|call| call.offer().ok());
                let Some(offer) = &offers[side] else { return };
                let Ok(answer) = self.calls[1 - side].answer(self.now, offer) else { return };
                self.calls[side].accept(self.now, &answer).expect("the answer of a call of ours");
                self.compare();
            }
            Step::Unanswered(side) => drop(self.calls[side].offer()),
            Step::Broken(side, lines) => {
                let Ok(_) = self.calls[side].offer() else { return };
                let before = format!("{:?}", self.calls[side].negotiated_transport());
                let answer: String = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
                    .split_inclusive('\n')
                    .take(lines)
                    .collect();
                assert!(self.calls[side].accept(self.now, &answer).is_err());
                assert_eq!(format!("{:?}", self.calls[side].negotiated_transport()), before);
            }
            Step::Run(ticks, lost) => self.run(ticks.into(), lost.into()),
        }
    }

    /// So many ticks, in which every `lost`th datagram doesn't arrive; all do, if it's 0.
    fn run(&mut self, ticks: usize, lost: usize) {
        let (mut buffer, mut sent) = ([0; 1_500], 0);
        for _ in 0..ticks {
            for side in 0..2 {
                for stream in 0..2 {
                    let (rate_hz, channels) = self.calls[side].stream_sound(stream).unwrap_or((8_000, 1));
                    let samples = rate_hz as usize / 100 * usize::from(channels);
                    self.calls[side].play_stream(self.now, stream, &mut [0; 960][..samples]);
                    self.calls[side].capture_stream(self.now, stream, &[3_000; 960][..samples]);
                }
                while let Some(transmit) = self.calls[side].transmit(self.now, &mut buffer) {
                    let bytes = &mut buffer[..transmit.len];
                    if let Some(keys) = &self.calls[side].negotiated_transport().unwrap().srtp {
                        assert!(self.books.enter(&keys.outgoing, keys.suite.profile(), bytes));
                    }
                    sent += 1;
                    if lost == 0 || sent % lost != 0 {
                        let from: SocketAddr = transmit.from;
                        self.calls[1 - side].receive(self.now, Channel::Rtp, from, bytes);
                    }
                }
                let stats = self.calls[side].stats();
                assert_eq!(stats.unaccounted(), [0; 5], "side {side}: {stats:?}");
                assert_eq!((stats.refused, stats.foreign, stats.send_errors), (0, 0, 0), "side {side}: {stats:?}");
                assert!(self.calls[side].next_deadline().is_some());
                assert!(self.calls[side].should_end(self.now).is_none(), "side {side}");
            }
            self.now += Duration::from_millis(10);
        }
        assert_eq!(self.books.twice, Vec::<String>::new());
    }
}

fn step() -> impl Strategy<Value = Step> {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    let directions = prop::sample::select(vec![SendRecv, SendOnly, RecvOnly, Inactive]);
    prop_oneof![
        2 => (0..2usize, 0..2usize, any::<bool>()).prop_map(|(side, stream, open)| Step::Open(side, stream, open)),
        2 => (0..2usize, 0..2usize, directions).prop_map(|(side, stream, direction)| Step::Direct(side, stream, direction)),
        1 => (0..2usize).prop_map(Step::Rekey),
        1 => (0..2usize, 6_000..6_004u16).prop_map(|(side, port)| Step::Move(side, 2 * port)),
        2 => (0..2usize, 0..4usize).prop_map(|(side, which)| Step::Codecs(side, which)),
        6 => (0..2usize).prop_map(Step::Agree),
        2 => (0..2usize).prop_map(Step::Glare),
        1 => (0..2usize).prop_map(Step::Unanswered),
        1 => (0..2usize, 0..6usize).prop_map(|(side, lines)| Step::Broken(side, lines)),
        5 => (1..30u8, 0..9u8).prop_map(|(ticks, lost)| Step::Run(ticks, lost)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_changes_leaves_both_streams_whole(
        srtp in prop::sample::select(vec![SrtpPolicy::Off, SrtpPolicy::Required]),
        streams in prop::sample::select(vec![[2, 2], [2, 1], [1, 2]]),
        steps in prop::collection::vec(step(), 1..24),
    ) {
        let mut pair = Pair::new(srtp, streams);
        for step in steps {
            pair.step(step);
        }
        for call in &mut pair.calls {
            if call.stream_count() < 2 {
                call.add_stream(&[CodecFormat::g722()]).unwrap();
            }
            for stream in 0..2 {
                call.set_open(stream, true).unwrap();
                call.set_stream_direction(stream, Direction::SendRecv).unwrap();
            }
        }
        prop_assert!(pair.agree(0));
        pair.run(30, 0);
        let received = |pair: &Pair, side: usize, stream: usize| pair.calls[side].stream_stats(stream).unwrap().total.received;
        let before = [0, 1].map(|side| [0, 1].map(|stream| received(&pair, side, stream)));
        pair.run(60, 0);
        for (side, before) in before.iter().enumerate() {
            for (stream, before) in before.iter().enumerate() {
                // Opus may be silent where it hears one value all the time.
                prop_assert!(received(&pair, side, stream) > before + 20, "side {side}, stream {stream}");
            }
        }
    }
}
