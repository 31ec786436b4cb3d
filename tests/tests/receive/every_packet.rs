//! Every datagram and every sample has its place, by name, in the counters of a receiver and of a call, in the rows and
//! statistics of a report and in what `replay` says of the same packets: all networks of the grid and worse ones.

use std::net::SocketAddr;

use dsp_core::codec::g711::{Pcmu, linear_to_ulaw};
use dsp_core::codec::{Decoder, OtherPayload, PayloadTable};
use dsp_core::receive::memory::Arrays;
use dsp_core::receive::{DelayConfig, ReceiveError, Received, Receiver, ReceiverConfig, ReceiverStats};
use dsp_core::time::{Duration, Instant, PayloadType};
use host_std::record::call::{CallRecorder, side_report};
use host_std::registry::CodecFormat;
use host_std::replay::{CaptureKeys, CaptureStream, PayloadMap, ReplayConfig, replay_bytes};
use host_std::report::{PacketOutcome, PacketRow, Statistics};
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, CallStats, Channel, Identity, Incoming, Tap};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;
use media_core_tests::captures::{BEGIN_US, Link, Packet, pcap, rtp};
use media_core_tests::road::babble;
use media_core_tests::{recorded, recorder};
use proptest::prelude::*;

const FROM: &str = "192.0.2.1:4000";
const TO: &str = "198.51.100.2:5004";
const CN: u8 = 13;
const RED: u8 = 97;
const EVENT: u8 = 101;
const UNKNOWN: u8 = 77;

/// One thing that a sender does: what, how it fares, with what.
type Step = (u8, u8, u16);

/// Packets of 20 ms of one stream, or of several, and everything that may happen to them on their way.
struct Feed {
    now_us: u64,
    ssrc: u32,
    seq: u16,
    timestamp: u32,
    /// The payload before, for redundancy.
    before: Vec<u8>,
    packets: Vec<Packet>,
}

impl Feed {
    fn packets(steps: &[Step]) -> Vec<Packet> {
        let (ssrc, seq, timestamp) = (0xfeed_beef, 65_500, u32::MAX - 16_000);
        let mut feed = Self { now_us: 0, ssrc, seq, timestamp, before: Vec::new(), packets: Vec::new() };
        // Who is heard first is settled.
        for step in [(0, 0, 0); 5].iter().chain(steps) {
            feed.step(*step);
        }
        feed.packets.sort_by_key(|packet| packet.time_us);
        feed.packets
    }

    fn put(&mut self, delay_us: u64, bytes: Vec<u8>) {
        let [from, to] = [FROM, TO].map(|address| address.parse().unwrap());
        self.packets.push(Packet { time_us: BEGIN_US + self.now_us + delay_us, from, to, bytes });
    }

    fn step(&mut self, (what, way, with): Step) {
        let payload: Vec<u8> = (0..160u16).map(|n| linear_to_ulaw(((n * 7 + with % 900) % 900) as i16 * 8)).collect();
        let (payload_type, payload) = match what % 32 {
            0..=12 => (0, payload),
            13..=17 if !self.before.is_empty() => {
                // RFC 2198, 3: a block of 160 ticks before, then the primary.
                let mut red = vec![0x80, 0x02, 0x80, 0xa0, 0x00];
                red.extend(&self.before);
                red.extend(&payload);
                (RED, red)
            }
            18 => (CN, vec![70]),
            19 | 20 => (EVENT, vec![5, 10, 0, with as u8]),
            21 => (UNKNOWN, vec![1, 2, 3]),
            // No decoder takes it.
            22 => (0, Vec::new()),
            23 => (RED, vec![0x80, 0x02]),
            24 => (0, vec![0xff; 66_000 - usize::from(with % 2_000)]),
            25 => {
                self.seq = self.seq.wrapping_add(with);
                return;
            }
            26 => {
                self.timestamp = self.timestamp.wrapping_add(u32::from(with) * if way % 2 == 0 { 1 } else { 65_536 });
                return;
            }
            27 if way % 8 == 0 => {
                self.ssrc ^= u32::from(with) | 1;
                return;
            }
            28 => {
                self.now_us += u64::from(with) * 100;
                return;
            }
            29 => return self.put(0, with.to_be_bytes().repeat(usize::from(way % 20))),
            30 => return self.put(0, rtp(0, with, 77, u32::from(with) | 7 << 16, &payload)),
            _ => (0, payload),
        };
        let beside = matches!(payload_type, EVENT | UNKNOWN);
        let datagram = rtp(payload_type, self.seq, self.timestamp, self.ssrc, &payload);
        self.seq = self.seq.wrapping_add(1);
        self.before = if payload_type == 0 && payload.len() == 160 { payload } else { Vec::new() };
        let delay_us = u64::from(with % 7) * 2_000;
        match way % 16 {
            // Lost, repeated, overtaken, far too late.
            0 | 1 => {}
            2 => {
                self.put(delay_us, datagram.clone());
                self.put(delay_us + 30_000, datagram);
            }
            3 => self.put(delay_us + 50_000, datagram),
            4 => self.put(delay_us + 400_000, datagram),
            _ => self.put(delay_us, datagram),
        }
        if !beside {
            self.timestamp = self.timestamp.wrapping_add(160);
            self.now_us += 20_000;
        }
    }
}

struct Table(Pcmu);

impl PayloadTable for Table {
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
        (payload_type == PayloadType::PCMU).then_some(&mut self.0)
    }

    fn other(&self, payload_type: PayloadType) -> OtherPayload {
        match payload_type.get() {
            CN => OtherPayload::Noise,
            EVENT => OtherPayload::Event,
            _ => OtherPayload::Unknown,
        }
    }
}

/// Runs packets past a listener in ticks of 10 ms, until nothing is left.
fn run(packets: &[Packet], mut receive: impl FnMut(Instant, &Packet), mut tick: impl FnMut(Instant)) {
    let Some(first) = packets.first().map(|packet| packet.time_us) else { return };
    let mut packets = packets.iter().peekable();
    let mut now = Instant::ZERO + Duration::from_millis(5);
    let mut left = 40;
    while left > 0 {
        while let Some(packet) = packets.next_if(|packet| packet.time_us - first <= now.as_micros()) {
            receive(Instant::from_micros(packet.time_us - first), packet);
        }
        tick(now);
        now += Duration::from_millis(10);
        left -= u32::from(packets.peek().is_none());
    }
}

/// Through a receiver of any size; every answer is counted here too.
fn through_receiver<const CELLS: usize, const SAMPLES: usize>(
    packets: &[Packet],
    delay: DelayConfig,
    told: bool,
) -> (ReceiverStats, Vec<i16>) {
    let mut receiver = Box::new(
        Receiver::<Arrays<CELLS, SAMPLES>, 1>::new(ReceiverConfig { delay, ..ReceiverConfig::default() }).unwrap(),
    );
    receiver.set_redundancy(PayloadType::new(RED));
    let mut table = Table(Pcmu);
    if told {
        receiver.set_payloads(&mut table);
    }
    let receiver = std::cell::RefCell::new(receiver);
    let mut answers = [0u32; 6];
    let mut heard = Vec::new();
    run(
        packets,
        |now, packet| {
            let place = match receiver.borrow_mut().receive(now, &packet.bytes) {
                Ok(Received::Stored | Received::Restarted) => 0,
                Ok(Received::Duplicate) => 1,
                Ok(Received::Late) => 2,
                Ok(Received::Probation) => 3,
                Ok(other) => panic!("{other:?} has no place in the accounts"),
                Err(ReceiveError::Parse(_)) => 4,
                Err(_) => 5,
            };
            answers[place] += 1;
            let stats = receiver.borrow().stats();
            assert_eq!(stats.unaccounted(), [0; 4], "{stats:?}");
        },
        |now| {
            let mut pcm = [0; 80];
            receiver.borrow_mut().play(now, &mut table, &mut pcm);
            heard.extend(pcm);
            let stats = receiver.borrow().stats();
            assert_eq!(stats.unaccounted(), [0; 4], "{stats:?}");
        },
    );
    let stats = receiver.borrow().stats();
    assert_eq!(stats.received, packets.len() as u64);
    let counted = [stats.duplicate, stats.late, stats.probation, stats.malformed, stats.refused];
    assert_eq!(counted, answers[1..], "{stats:?}");
    // RFC 3550 counts what is RTP, agreed on and in sequence.
    let reception = stats.total.received;
    assert_eq!(reception, u64::from(answers[0] + answers[1] + answers[2]), "{stats:?}");
    (stats, heard)
}

/// A call that has agreed on PCMU with comfort noise and redundancy.
fn agreed(delay: DelayConfig, sources: usize) -> Call {
    let config = |port: u16| CallConfig {
        codecs: vec![CodecFormat::pcmu()],
        srtp: SrtpPolicy::Off,
        comfort_noise: true,
        redundancy: 1,
        delay,
        sources,
        ..CallConfig::with_identity(port, Identity::seeded(u64::from(port)))
    };
    let mut there =
        Call::new(CallConfig { address: "192.0.2.1".parse().unwrap(), rtcp_port: None, ..config(4_000) }).unwrap();
    let mut here = Call::new(config(5_004)).unwrap();
    let offer = there.offer().unwrap();
    here.answer(Instant::ZERO, &offer).unwrap();
    here
}

/// The payload type of redundancy that a call agreed on.
fn red_of(call: &Call) -> u8 {
    let formats = &call.negotiated_stream(0).unwrap().receive;
    formats.iter().find(|codec| codec.format.is_named("red")).unwrap().payload_type.get()
}

fn count(rows: &[PacketRow], fate: PacketOutcome) -> u64 {
    rows.iter().filter(|row| row.fate == fate).count() as u64
}

/// Rows and statistics of a report are the same, and all that arrived is in them.
fn report_adds_up(statistics: &Statistics, rows: &[PacketRow]) {
    assert_eq!(statistics.unaccounted(), 0, "{statistics:?}");
    for (fate, counted) in [
        (PacketOutcome::Played, statistics.packets_played),
        (PacketOutcome::LostInNetwork, statistics.packets_lost),
        (PacketOutcome::Late, statistics.packets_late),
        (PacketOutcome::Duplicate, statistics.packets_duplicate),
        (PacketOutcome::Superseded, statistics.packets_superseded),
        (PacketOutcome::Discarded, statistics.packets_discarded),
        (PacketOutcome::Undecodable, statistics.packets_undecodable),
        (PacketOutcome::Event, statistics.packets_event),
        (PacketOutcome::OtherPayload, statistics.packets_other_payload),
        (PacketOutcome::Waiting, statistics.packets_waiting),
    ] {
        assert_eq!(count(rows, fate), counted, "{fate:?}: {statistics:?}");
    }
}

/// Through a call, with a recorder beside it that has the speaker's packets too; `foreign` come from elsewhere.
fn through_call(packets: &[Packet], delay: DelayConfig, sources: usize) -> (CallStats, Vec<i16>) {
    let call = agreed(delay, sources);
    let red = red_of(&call);
    let (mut listener, mut speaker) = (CallRecorder::default(), CallRecorder::default());
    let there: SocketAddr = FROM.parse().unwrap();
    let call = std::cell::RefCell::new(call);
    let listener_cell = std::cell::RefCell::new(&mut listener);
    let mut told = 0u64;
    let mut heard = Vec::new();
    let begin = packets.first().map_or(0, |packet| packet.time_us);
    for packet in packets {
        // Once each, a while before it came.
        speaker.sent(Instant::from_micros((packet.time_us - begin) / 2), Channel::Rtp, there, &packet.bytes);
    }
    run(
        packets,
        |now, packet| {
            let mut bytes = packet.bytes.clone();
            if bytes.get(1).is_some_and(|&second| second & 0x7f == RED) {
                bytes[1] = red;
            }
            let from = if packet.time_us % 31 == 0 { "203.0.113.9:9".parse().unwrap() } else { there };
            let (mut call, mut tap) = (call.borrow_mut(), listener_cell.borrow_mut());
            tap.arrived(now, Channel::Rtp, from, &bytes);
            let incoming = call.receive(now, Channel::Rtp, from, &mut bytes);
            told += u64::from(!matches!(incoming, Incoming::Audio(Received::Stored | Received::Restarted)));
            tap.received(now, &incoming);
            tap.settled(&call);
            let stats = call.stats();
            assert_eq!(stats.unaccounted(), [0; 5], "{stats:?}");
        },
        |now| {
            let (mut call, mut tap) = (call.borrow_mut(), listener_cell.borrow_mut());
            let mut pcm = [0; 80];
            let played = call.play(now, &mut pcm);
            tap.played(now, 0, &played, &pcm);
            tap.settled(&call);
            heard.extend(pcm);
            let stats = call.stats();
            assert_eq!(stats.unaccounted(), [0; 5], "{stats:?}");
        },
    );
    let (call, stats) = (call.borrow(), call.borrow().stats());
    assert_eq!(stats.datagrams, packets.len() as u64);
    let statistics = side_report(["a", "b"], &listener, &speaker, &call, "").statistics;
    assert_eq!(statistics.unaccounted(), 0, "{statistics:?} {stats:?}");
    let total = &stats.total;
    assert_eq!(
        (statistics.packets_duplicate + statistics.packets_superseded, statistics.packets_late),
        (u64::from(total.duplicate), u64::from(total.late)),
        "{stats:?}"
    );
    (stats, heard)
}

fn through_replay(packets: &[Packet], delay: DelayConfig) -> Vec<CaptureStream> {
    let mut payloads = PayloadMap::default();
    payloads.add(&format!("{RED}=red/8000,{EVENT}=telephone-event/8000")).unwrap();
    let config = ReplayConfig { payloads, delay, ..ReplayConfig::default() };
    // An IP packet is no longer than 64 KiB.
    let packets: Vec<_> = packets.iter().filter(|packet| packet.bytes.len() < 65_000).cloned().collect();
    match replay_bytes("test", &pcap(&packets, Link::Raw, false, false), &CaptureKeys::default(), &config) {
        Ok(report) => report.streams,
        Err(_) => Vec::new(),
    }
}

fn bounds() -> [DelayConfig; 3] {
    [DelayConfig::default(), DelayConfig::fixed(60), DelayConfig { max_ms: 200, ..DelayConfig::default() }]
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(any::<Step>(), 1..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_packet_and_sample_of_a_receiver_is_counted_once(steps in steps(300), bound in 0usize..3, told: bool) {
        let packets = Feed::packets(&steps);
        through_receiver::<1_024, 15_360>(&packets, bounds()[bound], told);
        // A phone's: few packets fit in.
        through_receiver::<32, 1_760>(&packets, bounds()[bound], told);
    }

    #[test]
    fn every_datagram_of_a_call_is_counted_once_and_its_report_says_the_same(
        steps in steps(300), bound in 0usize..3, sources in 1usize..4,
    ) {
        through_call(&Feed::packets(&steps), bounds()[bound], sources);
    }

    #[test]
    fn every_row_of_a_replay_is_in_its_counters_and_every_packet_in_a_row(steps in steps(300), bound in 0usize..3) {
        for stream in through_replay(&Feed::packets(&steps), bounds()[bound]) {
            let (n, statistics) = (&stream.numbers, &stream.side.statistics);
            prop_assert_eq!(stream.accounted(), n.received, "{:?}", stream.numbers);
            report_adds_up(statistics, &stream.side.packets);
            prop_assert_eq!(
                (statistics.packets_received, statistics.packets_late, statistics.packets_discarded),
                (n.received, n.late, n.discarded)
            );
        }
    }
}

/// Two ends in virtual time over every network of the grid, plain, with redundancy, with pauses, at bounds of 2 s and 60 ms.
#[test]
fn reports_of_calls_over_the_whole_grid_add_up() {
    let grid = host_std::replay::grid::GridConfig::default();
    for (n, (&(loss_percent, burst), &jitter_ms)) in
        grid.losses.iter().flat_map(|loss| grid.jitters_ms.iter().map(move |jitter| (loss, jitter))).enumerate()
    {
        for (codec, redundancy, comfort_noise, delay) in [
            (CodecFormat::pcmu(), 0, false, DelayConfig::default()),
            (CodecFormat::pcmu(), 2, true, DelayConfig::fixed(60)),
            (CodecFormat::opus(), 0, true, DelayConfig::default()),
            (CodecFormat::opus(), 1, false, DelayConfig::fixed(60)),
        ] {
            let srtp = if n % 2 == 0 { SrtpPolicy::Required } else { SrtpPolicy::Off };
            let calls = [4_000, 5_000].map(|port: u16| {
                let config = CallConfig::with_identity(port, Identity::seeded(u64::from(port) + n as u64));
                let codecs = vec![codec.clone()];
                Call::new(CallConfig { codecs, srtp, redundancy, comfort_noise, delay, ..config }).unwrap()
            });
            let network = NetworkConfig {
                loss_percent,
                burst,
                jitter_ms,
                reorder_percent: 2.0,
                duplicate_percent: 3.0,
                ..NetworkConfig::default()
            };
            let addresses = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
            let calls = calls.map(recorded);
            let mut simulation = VirtualTime::connect(calls, addresses, network, 100.0, n as u64).unwrap();
            for (side, end) in simulation.ends.iter_mut().enumerate() {
                end.speech = babble(end.sample_rate_hz(), 3, side as u32);
            }
            simulation.run_until(Instant::from_millis(4_000));
            for side in 0..2 {
                let (here, there) = (&simulation.ends[side], &simulation.ends[1 - side]);
                let stats = here.call.stats();
                assert_eq!(stats.unaccounted(), [0; 5], "{codec} {loss_percent} {jitter_ms}: {stats:?}");
                let report = side_report(["a", "b"], recorder(&here.call), recorder(&there.call), &here.call, "");
                report_adds_up(&report.statistics, &report.packets);
            }
        }
    }
}

/// The same packets through a receiver, a call and `replay`: the same sound, the same counters, the same delays.
#[test]
fn a_receiver_a_call_and_replay_say_the_same_of_the_same_packets() {
    let mut random = 7u32;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random >> 16
    };
    // Sound, redundancy and noise; losses, repetitions and delays, and an end without anything to make up.
    let mut steps: Vec<Step> =
        (0..1_500).map(|_| ([0, 5, 14, 15, 18][next() as usize % 5], next() as u8, next() as u16)).collect();
    steps.extend([(0, 9, 0); 60]);
    let packets = Feed::packets(&steps);
    for delay in bounds() {
        let (receiver, one) = through_receiver::<1_024, 15_360>(&packets, delay, true);
        let (call, two) = call_of(&packets, delay, 1);
        let streams = through_replay(&packets, delay);
        let stream = &streams[0];
        assert_eq!(streams.len(), 1);
        // What is made up behind the last packet is nobody's.
        let sound = stream.side.heard.len() - 40;
        // `replay` has silence before its first tick, 5 ms after the first packet.
        let three = &stream.side.heard[40..];
        let differs = |other: &[i16]| one[..sound].iter().zip(other).position(|(a, b)| a != b);
        assert_eq!((differs(&two), differs(three)), (None, None), "{delay:?}");
        let strip = |stats: ReceiverStats| ReceiverStats {
            // Behind the last packet.
            played_samples: 0,
            silence_samples: 0,
            concealed_samples: 0,
            concealed_open_samples: 0,
            concealed_late_samples: 0,
            concealment_events: 0,
            pauses: 0,
            queued_samples: 0,
            ..stats
        };
        assert_eq!(strip(receiver), strip(call.receiver), "{delay:?}");
        let counters = |stats: &ReceiverStats| {
            [stats.late, stats.discarded, stats.undecodable, stats.unknown_payload, stats.probation].map(u64::from)
        };
        let n = &stream.numbers;
        assert_eq!(
            counters(&receiver),
            [n.late, n.discarded, stream.undecodable, stream.other_payload, stream.probation],
            "{delay:?}"
        );
        assert_eq!((n.received, n.lost), (receiver.received, receiver.total.lost()), "{delay:?}");
        let delays = stream.side.statistics.playout_delay_ms.unwrap();
        let close = |ms: f64, us: u32| (ms - f64::from(us) / 1e3).abs() < 0.001;
        assert!(close(delays.mean, receiver.playout_delay.mean_us()), "{delays:?} {receiver:?}");
        assert!(close(delays.max, receiver.playout_delay.max_us), "{delays:?} {receiver:?}");
        assert_eq!(n.target_delay_ms, receiver.target_delay_ms);
        assert!(receiver.redundant_used > 30 && receiver.noise_packets > 30 && receiver.duplicate > 30, "{receiver:?}");
    }
}

/// Through a call, all from where the other side is.
fn call_of(packets: &[Packet], delay: DelayConfig, sources: usize) -> (CallStats, Vec<i16>) {
    let call = std::cell::RefCell::new(agreed(delay, sources));
    let red = red_of(&call.borrow());
    let from: SocketAddr = FROM.parse().unwrap();
    let mut heard = Vec::new();
    run(
        packets,
        |now, packet| {
            let mut bytes = packet.bytes.clone();
            if bytes[1] & 0x7f == RED {
                bytes[1] = red;
            }
            call.borrow_mut().receive(now, Channel::Rtp, from, &mut bytes);
        },
        |now| {
            let mut pcm = [0; 80];
            call.borrow_mut().play(now, &mut pcm);
            heard.extend(pcm);
        },
    );
    let stats = call.borrow().stats();
    assert_eq!(stats.unaccounted(), [0; 5]);
    (stats, heard)
}

fn at(ms: u64, bytes: Vec<u8>) -> Packet {
    let [from, to] = [FROM, TO].map(|address| address.parse().unwrap());
    Packet { time_us: BEGIN_US + ms * 1_000, from, to, bytes }
}

/// A redundant block of the packet before.
fn red(seq: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
    let mut payload = vec![0x80, 0x02, 0x80, 0xa0, 0x00];
    payload.extend([0x55; 320]);
    rtp(RED, seq, timestamp, ssrc, &payload)
}

/// Another source takes over while the end of the one before is made up, with times half a circle away from it.
#[test]
fn redundancy_of_any_time_is_weighed_while_sound_is_made_up() {
    for off in (0..1_200).step_by(8) {
        let first = 1_000u32;
        let mut packets: Vec<_> =
            (0..20u16).map(|n| at(u64::from(n) * 20, rtp(0, n, first + u32::from(n) * 160, 1, &[0x55; 160]))).collect();
        let begin = (first + 20 * 160 - 600 + off).wrapping_add(1 << 31);
        for n in 0..10u16 {
            // Two in sequence prove the source; then each second one is lost, and comes as a copy.
            if n < 2 || n % 2 == 1 {
                // Faster than they were sent, so that some come before the first has its turn.
                let bytes = red(500 + n, begin.wrapping_add(u32::from(n) * 160), 2);
                packets.push(at(700 + u64::from(n) * 5, bytes));
            }
        }
        let (stats, _) = through_receiver::<1_024, 15_360>(&packets, DelayConfig::default(), true);
        assert_eq!(stats.ssrc_changes, 1);
        assert_eq!(stats.redundant_used + stats.redundant_late, 4, "{stats:?}");
    }
}

/// What can't be used takes nobody's number: neither one too long nor broken redundancy, nor as the first of all.
#[test]
fn what_is_refused_takes_no_number_and_moves_nothing() {
    let sound = |n: u16| rtp(0, n, u32::from(n) * 160, 1, &[0x55; 160]);
    let mut broken = red(0, 0, 1);
    broken.truncate(14);
    let long = |n: u16| rtp(0, n, u32::from(n) * 160 + 77, 1, &vec![0xff; 65_536 + 100]);
    let true_ones: Vec<_> = (0..50).map(|n| at(u64::from(n) * 20, sound(n))).collect();
    let mut packets = Vec::new();
    for (n, packet) in true_ones.iter().enumerate() {
        let n = n as u16;
        for mut forged in [long(n), broken.clone()] {
            forged[2..4].copy_from_slice(&n.to_be_bytes());
            packets.push(at(u64::from(n) * 20, forged));
        }
        packets.push(packet.clone());
    }
    let (expected, sound) = through_receiver::<1_024, 15_360>(&true_ones, DelayConfig::default(), true);
    let (stats, same) = through_receiver::<1_024, 15_360>(&packets, DelayConfig::default(), true);
    assert!(sound == same);
    assert_eq!(ReceiverStats { received: 50, refused: 0, ..stats }, expected);
    assert_eq!((stats.refused, stats.reception.received, stats.duplicate), (100, 50, 0));
    // A phone has room for 2 KiB.
    let (stats, _) = through_receiver::<32, 1_760>(&packets, DelayConfig::default(), true);
    assert_eq!((stats.refused, stats.reception.received, stats.duplicate), (100, 50, 0));
}

/// 200 packets of each source, one after the other; the last begins anew with other numbers.
#[test]
fn totals_of_a_call_outlast_restarts_and_sources_that_left() {
    let mut packets = Vec::new();
    for source in 0..4u32 {
        let (ssrc, first) = if source == 3 { (3, 40_000) } else { (source + 1, 100) };
        for n in 0..200u16 {
            // Every twentieth is lost.
            if n % 20 != 19 {
                let bytes = rtp(0, first + n, u32::from(n) * 160 + source * 100_000, ssrc, &[0x55; 160]);
                packets.push(at(u64::from(source) * 20_000 + u64::from(n) * 20, bytes));
            }
        }
    }
    for (sources, delay) in [(1, DelayConfig::default()), (2, DelayConfig::fixed(60))] {
        let (stats, _) = call_of(&packets, delay, sources);
        let total = &stats.total;
        // The first of each new source or sequence proves it.
        let probation = u64::from(total.probation) + stats.sources.probation;
        assert_eq!((total.total.received + probation, stats.datagrams), (760, 760), "{stats:?}");
        assert_eq!(total.total.lost(), 4 * 10 - 4, "{stats:?}");
        assert_eq!(total.restarts, 1, "{stats:?}");
        assert_eq!(stats.bursts.expected, total.total.expected, "{stats:?}");
        assert_eq!(stats.receiver.reception.received, 189, "{stats:?}");
        assert_eq!(total.ssrc_changes + stats.sources.replaced, if sources == 1 { 2 } else { 1 }, "{stats:?}");
        assert!(total.decoded_samples > 4 * 180 * 160, "{stats:?}");
    }
}
