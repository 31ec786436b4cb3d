//! What became of each packet: told once, the same by every counter, summary and report, and moved by nothing but the
//! sound.

use std::net::SocketAddr;

use dsp_core::front::Media;
use dsp_core::receive::{DelayConfig, ReceiverStats};
use dsp_core::time::{Duration, Instant};
use host_embedded::phone::PhoneConfig;
use host_embedded::stream::G711Stream;
use host_std::registry::CodecFormat;
use host_std::replay::{CaptureKeys, CaptureReport, CaptureStream, PayloadMap, ReplayConfig, replay, replay_bytes};
use host_std::report::PacketOutcome;
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, Channel, Identity};
use media_core_tests::captures::{Link, Packet, call, pcap, rtp};
use media_core_tests::shared;

const FROM: &str = "192.0.2.1:4000";
/// Samples that are played before the last packet of a call of 1,000 ends.
const SOUND: usize = 160_000;
const TO: &str = "198.51.100.2:5004";

fn play_with(packets: &[Packet], map: &str, delay: DelayConfig) -> CaptureReport {
    let mut payloads = PayloadMap::default();
    if !map.is_empty() {
        payloads.add(map).unwrap();
    }
    let config = ReplayConfig { payloads, delay, ..ReplayConfig::default() };
    replay_bytes("test", &pcap(packets, Link::Raw, false, false), &CaptureKeys::default(), &config).unwrap()
}

/// What lies between the packets of sound.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Between {
    Nothing,
    /// Telephone events of payload type 101: each of 240 ms, a packet every 40 ms, the last three times.
    Events,
    /// Every third of a payload type that nobody agreed on, of another clock.
    Unknown,
}

/// A call of sound with jitter of up to `jitter_ms`, and what lies between, numbered in one sequence.
fn beside(between: Between, jitter_ms: u64) -> Vec<Packet> {
    let mut seq = 65_400u16;
    let mut packets = Vec::new();
    let mut number = |mut packet: Packet| {
        packet.bytes[2..4].copy_from_slice(&seq.to_be_bytes());
        seq = seq.wrapping_add(1);
        packets.push(packet);
    };
    for (n, mut sound) in call(1_000, FROM, TO).into_iter().enumerate() {
        sound.time_us += (n as u64 * 7_919 % 1_000) * jitter_ms;
        let timestamp = n as u32 * 160;
        let extra = match between {
            Between::Events if n % 50 >= 20 && n % 50 < 34 && n % 2 == 0 => {
                let (step, begin) = ((n % 50 - 20) as u16 / 2, timestamp - (n as u32 % 50 - 20) * 160);
                let [high, low] = ((step.min(5) + 1) * 320).to_be_bytes();
                Some(rtp(101, 0, begin, 0xfeed_beef, &[5, if step < 5 { 10 } else { 0x8a }, high, low]))
            }
            Between::Unknown if n % 3 == 2 => {
                Some(rtp(77, 0, 0x4000_0000u32.wrapping_add(timestamp * 6), 0xfeed_beef, b"what?"))
            }
            _ => None,
        };
        let extra = extra.map(|bytes| Packet { bytes, ..sound.clone() });
        number(sound);
        if let Some(extra) = extra {
            number(extra);
        }
    }
    packets
}

/// What a listener heard, and what was counted.
struct Heard {
    pcm: Vec<i16>,
    stats: ReceiverStats,
    missing: u64,
}

/// In ticks of 10 ms, 5 ms behind the first packet's arrival, as `replay` plays.
fn listen(
    packets: &[Packet],
    mut receive: impl FnMut(Instant, &[u8]),
    mut tick: impl FnMut(Instant, &mut [i16]),
) -> Vec<i16> {
    let first = packets[0].time_us;
    let mut pcm = Vec::new();
    let mut now = Instant::ZERO + Duration::from_millis(5);
    let last = packets.last().unwrap().time_us - first + 400_000;
    let mut packets = packets.iter().peekable();
    while now.as_micros() < last {
        while let Some(packet) = packets.next_if(|packet| packet.time_us - first <= now.as_micros()) {
            receive(Instant::from_micros(packet.time_us - first), &packet.bytes);
        }
        let mut part = [0; 80];
        tick(now, &mut part);
        pcm.extend(part);
        now += Duration::from_millis(10);
    }
    pcm
}

fn by_phone(packets: &[Packet], delay: DelayConfig) -> Heard {
    let phone = std::cell::RefCell::new(G711Stream::new(PhoneConfig { delay, ..PhoneConfig::default() }).unwrap());
    let receive = |now, datagram: &[u8]| {
        let _ = phone.borrow_mut().receive(now, datagram);
    };
    let pcm = listen(packets, receive, |now, pcm| {
        phone.borrow_mut().play(now, pcm);
    });
    let stats = phone.borrow().receiver_stats();
    Heard { pcm, stats, missing: 0 }
}

fn agreed(config: CallConfig) -> Call {
    let there = CallConfig {
        codecs: config.codecs.clone(),
        srtp: SrtpPolicy::Off,
        ..CallConfig::with_identity(4_000, Identity::seeded(1))
    };
    let mut there = Call::new(CallConfig { address: "192.0.2.1".parse().unwrap(), ..there }).unwrap();
    let mut here = Call::new(config).unwrap();
    let offer = there.offer().unwrap();
    here.answer(Instant::ZERO, &offer).unwrap();
    here
}

fn by_call(packets: &[Packet], delay: DelayConfig, sources: usize) -> Heard {
    let config = CallConfig {
        codecs: vec![CodecFormat::pcmu()],
        srtp: SrtpPolicy::Off,
        delay,
        sources,
        ..CallConfig::with_identity(5_004, Identity::seeded(2))
    };
    let here = std::cell::RefCell::new(agreed(config));
    let from: SocketAddr = FROM.parse().unwrap();
    let receive = |now, datagram: &[u8]| {
        here.borrow_mut().receive(now, Channel::Rtp, from, &mut datagram.to_vec());
    };
    let pcm = listen(packets, receive, |now, pcm| {
        here.borrow_mut().play(now, pcm);
    });
    let stats = here.borrow().stats();
    Heard { pcm, stats: stats.receiver, missing: stats.bursts.missing() }
}

fn by_replay(packets: &[Packet], map: &str, delay: DelayConfig) -> CaptureStream {
    let report = play_with(packets, map, delay);
    assert_eq!(report.streams.len(), 1);
    report.streams.into_iter().next().unwrap()
}

#[test]
fn events_and_what_nobody_agreed_on_move_nothing_but_their_own_counters() {
    let delay = DelayConfig { max_ms: 200, ..DelayConfig::default() };
    for jitter_ms in [0, 15] {
        let sound = beside(Between::Nothing, jitter_ms);
        let expected = by_replay(&sound, "", delay);
        let phone = by_phone(&sound, delay);
        assert!(expected.numbers.mean_playout_delay_ms < 60.0, "{:?}", expected.numbers);
        for (between, map) in
            [(Between::Events, "101=telephone-event/8000"), (Between::Events, ""), (Between::Unknown, "")]
        {
            let told = format!("{between:?} '{map}' {jitter_ms} ms");
            let packets = beside(between, jitter_ms);
            let extra = (packets.len() - sound.len()) as u64;
            let got = by_replay(&packets, map, delay);
            let numbers = |stream: &CaptureStream| {
                let n = &stream.numbers;
                let delays = [n.mean_playout_delay_ms, n.mean_buffer_delay_ms, n.max_buffer_delay_ms, stream.jitter_ms];
                let network = [stream.mean_network_delay_ms, stream.max_network_delay_ms];
                (delays, network, n.target_delay_ms, n.concealed_ratio, n.lost, n.late, n.discarded, n.mos_lq, n.mos_cq)
            };
            assert_eq!(numbers(&got), numbers(&expected), "{told}");
            let differs = got.side.heard.iter().zip(&expected.side.heard).position(|(a, b)| a != b);
            assert_eq!((differs, got.side.heard.len()), (None, expected.side.heard.len()), "{told}: another sound");
            let (events, others) = if between == Between::Events { (extra, 0) } else { (0, extra) };
            assert_eq!((got.events, got.other_payload, got.undecodable), (events, others, 0), "{told}");
            for (who, heard) in [("phone", by_phone(&packets, delay)), ("call", by_call(&packets, delay, 1))] {
                let (stats, expected) = (heard.stats, phone.stats);
                let differs = heard.pcm[..SOUND].iter().zip(&phone.pcm).position(|(a, b)| a != b);
                assert_eq!(differs, None, "{told}, {who}: another sound");
                let delays = |stats: &ReceiverStats| (stats.playout_delay, stats.buffer_delay, stats.target_delay_ms);
                assert_eq!(delays(&stats), delays(&expected), "{told}");
                assert_eq!(stats.reception.jitter_ticks, expected.reception.jitter_ticks, "{told}");
                assert_eq!(stats.concealed_samples, expected.concealed_samples, "{told}");
                // A phone agrees on no events, and a call does.
                let is_event = who == "call" && between == Between::Events;
                let (unknown, events) = if is_event { (0, extra) } else { (extra, 0) };
                assert_eq!((stats.unknown_payload.into(), stats.event_packets.into()), (unknown, events), "{told}");
                assert_eq!((stats.late, stats.discarded, stats.restarts, heard.missing), (0, 0, 0, 0), "{told}");
                assert_eq!(stats.unaccounted(), [0; 4], "{told}");
            }
        }
    }
}

/// An event that is lost is no sound that is lost.
#[test]
fn a_lost_event_is_no_missing_sound() {
    let mut packets = beside(Between::Events, 0);
    let all = packets.len();
    let mut nth = 0;
    packets.retain(|packet| {
        nth += usize::from(packet.bytes[1] == 101);
        packet.bytes[1] != 101 || nth % 3 != 0
    });
    let heard = by_call(&packets, DelayConfig::default(), 1);
    assert!(all - packets.len() > 30);
    assert_eq!(heard.stats.reception.cumulative_lost() as usize, all - packets.len());
    // What is made up at the end is behind the last packet.
    let concealed = heard.stats.concealed_samples - u64::from(heard.stats.concealed_open_samples);
    assert_eq!((heard.missing, concealed), (0, 0), "{:?}", heard.stats);
}

#[test]
fn keys_pressed_beside_speech_in_a_capture_cost_nothing() {
    let Some(path) = shared("cases/03_dtmf_beside_audio.pcap") else { return };
    for map in ["", "101=telephone-event/8000"] {
        let mut config = ReplayConfig::default();
        if !map.is_empty() {
            config.payloads.add(map).unwrap();
        }
        let report = replay(&path, &CaptureKeys::default(), &config).unwrap();
        let stream = &report.streams[0];
        let n = &stream.numbers;
        assert!(n.mean_playout_delay_ms < 40.0 && stream.max_playout_delay_ms < 60.0, "{map}: {n:?}");
        assert!(stream.jitter_ms < 1.0 && n.mos_lq.is_some_and(|mos| mos > 4.3), "{map}: {n:?}");
        assert_eq!((n.lost, n.late, n.discarded, n.concealed_ratio), (0, 0, 0, 0.0), "{map}: {n:?}");
        assert_eq!((stream.other_payload, stream.undecodable), (0, 0), "{map}");
        assert!(stream.events > 0, "{map}");
    }
}

/// A delay that is fixed at 60 ms, and a network that stalls for 400: what was dropped at its turn is told everywhere.
#[test]
fn what_was_dropped_at_its_turn_is_told_by_every_row_and_summary() {
    let packets: Vec<Packet> = call(900, FROM, TO)
        .into_iter()
        .enumerate()
        .map(|(n, packet)| {
            // Every 4.5 s nothing comes for 400 ms, and then all at once.
            let stall = (n as u64 % 225).checked_sub(100).filter(|&late| late < 20);
            Packet { time_us: packet.time_us + stall.map_or(0, |late| (20 - late) * 20_000), ..packet }
        })
        .collect();
    let mut reports = vec![play_with(&packets, "", DelayConfig::fixed(60))];
    if let Some(path) = shared("cases/17_stalls_400ms.pcap") {
        let config = ReplayConfig { delay: DelayConfig::fixed(60), ..ReplayConfig::default() };
        reports.push(replay(&path, &CaptureKeys::default(), &config).unwrap());
    }
    for report in &reports {
        let stream = &report.streams[0];
        let rows = |fate| stream.side.packets.iter().filter(|row| row.fate == fate).count() as u64;
        let n = &stream.numbers;
        assert!(n.discarded > 40, "{n:?}");
        assert_eq!(rows(PacketOutcome::Discarded), n.discarded);
        assert_eq!(rows(PacketOutcome::Late), n.late);
        assert_eq!(rows(PacketOutcome::Played) + n.discarded + n.late, n.received);
        assert_eq!(stream.side.statistics.packets_discarded, n.discarded);
        let share = n.discarded as f64 * 100.0 / 900.0;
        let words = format!("{share:.1} % discarded");
        assert!(report.to_string().contains(&words), "{words}: {report}");
    }
}

/// A phone's receiver is smaller; within its 200 ms it does the same to the bit.
#[test]
fn a_phone_a_call_and_replay_play_the_same_of_a_bad_network() {
    let delay = DelayConfig { max_ms: 150, ..DelayConfig::default() };
    let mut packets = beside(Between::Unknown, 45);
    let mut n = 0u32;
    packets.retain(|_| {
        n += 1;
        // A twentieth is lost, now and then two in a row; what is behind the last packet is not compared.
        !(n.wrapping_mul(2_654_435_761) >> 16).is_multiple_of(20) || n > 1_300
    });
    packets.sort_by_key(|packet| packet.time_us);
    let (phone, call, stream) =
        (by_phone(&packets, delay), by_call(&packets, delay, 1), by_replay(&packets, "", delay));
    assert!(phone.stats.concealed_lost_samples > 3_000, "{:?}", phone.stats);
    let differs = |other: &[i16]| phone.pcm[..SOUND].iter().zip(other).position(|(a, b)| a != b);
    assert_eq!((differs(&call.pcm), differs(&stream.side.heard[40..])), (None, None));
    let told = |stats: &ReceiverStats| {
        let packets =
            [stats.decoded_packets, stats.total.received, stats.total.lost(), u64::from(stats.unknown_payload)];
        let samples =
            [stats.decoded_samples, stats.concealed_lost_samples, stats.inserted_samples, stats.removed_samples];
        (packets, samples, stats.late, stats.discarded, stats.playout_delay, stats.buffer_delay)
    };
    assert_eq!(told(&phone.stats), told(&call.stats));
    let (n, stats) = (&stream.numbers, &phone.stats);
    assert_eq!(
        (stream.played, n.lost, n.late, n.discarded, stream.other_payload),
        (
            stats.decoded_packets,
            stats.total.lost(),
            stats.late.into(),
            stats.discarded.into(),
            stats.unknown_payload.into()
        )
    );
}
