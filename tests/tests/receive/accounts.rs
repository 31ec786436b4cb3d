//! Every packet and every sample has its place: counters add up at every step over a grid of networks, and a call, a phone
//! on bare metal and the replay of a capture count and play the same of the same packets.

use std::net::SocketAddr;

use dsp_core::front::Media;
use dsp_core::receive::{DelayConfig, ReceiverStats};
use dsp_core::time::{Duration, Instant};
use host_embedded::phone::PhoneConfig;
use host_embedded::stream::G711Stream;
use host_std::record::call::{CallRecorder, side_report};
use host_std::registry::CodecFormat;
use host_std::replay::{CaptureKeys, CaptureStream, PayloadMap, ReplayConfig, replay_bytes};
use host_std::report::PacketOutcome;
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, Channel, Identity, Tap, ToneDetection};
use host_std::simulate::netsim::{Network, NetworkConfig};
use media_core_tests::captures::{BEGIN_US, Link, Packet, call, pcap, rtp};

const FROM: &str = "192.0.2.1:4000";
/// Samples that are played before the last packet of a call of 450 ends.
const SOUND: usize = 450 * 160;
const TO: &str = "198.51.100.2:5004";

/// What the sender does besides speaking.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sender {
    Plain,
    /// Telephone events, and packets of a payload type that nobody agreed on, in the same sequence.
    Others,
    /// Comfort noise, and nothing for 1.5 s.
    Pauses,
    /// The sequence jumps.
    Restarts,
    /// The timestamps jump, forwards and backwards.
    Jumps,
    /// Another source after half of the call.
    Changes,
    /// Empty packets and such as are cut off.
    Broken,
}

const SENDERS: [Sender; 7] =
    [Sender::Plain, Sender::Others, Sender::Pauses, Sender::Restarts, Sender::Jumps, Sender::Changes, Sender::Broken];

fn sent(sender: Sender, packets: u32) -> Vec<Packet> {
    let mut seq = 65_400u16;
    let mut out = Vec::new();
    for (n, packet) in call(packets, FROM, TO).into_iter().enumerate() {
        let n = n as u32;
        let mut timestamp = n * 160;
        let (mut ssrc, mut payload_type) = (0xfeed_beef, 0);
        let mut payload = packet.bytes[12..].to_vec();
        match sender {
            Sender::Pauses if n % 200 == 100 => (payload_type, payload) = (13, vec![60]),
            Sender::Pauses if (101..175).contains(&(n % 200)) => continue,
            Sender::Restarts if n > 0 && n.is_multiple_of(150) => seq = seq.wrapping_add(20_000),
            Sender::Jumps => {
                timestamp = timestamp.wrapping_add([0, 900_000, 0x9000_0000][n as usize / 120 % 3]);
            }
            Sender::Changes if n >= packets / 2 => ssrc = 0x0bad_cafe,
            Sender::Broken if n % 40 == 7 => payload.truncate(0),
            Sender::Broken if n % 40 == 27 => payload.truncate(33),
            _ => {}
        }
        out.push(Packet { bytes: rtp(payload_type, seq, timestamp, ssrc, &payload), ..packet.clone() });
        seq = seq.wrapping_add(1);
        if sender == Sender::Others && n % 10 == 5 {
            let other = if n % 20 == 5 { (101, vec![5, 10, 3, 32]) } else { (77, b"what?".to_vec()) };
            out.push(Packet { bytes: rtp(other.0, seq, timestamp, ssrc, &other.1), ..packet });
            seq = seq.wrapping_add(1);
        }
    }
    out
}

/// The packets in the order in which they arrive.
fn carried(packets: Vec<Packet>, network: NetworkConfig, seed: u64) -> Vec<Packet> {
    let mut network = Network::new(network, seed);
    let mut arrived = Vec::new();
    for packet in packets {
        for arrival in network.carry(Instant::from_micros(packet.time_us - BEGIN_US)).into_iter().flatten() {
            arrived.push(Packet { time_us: BEGIN_US + arrival.as_micros(), ..packet.clone() });
        }
    }
    arrived.sort_by_key(|packet| packet.time_us);
    arrived
}

/// Quiet, loss alone and in bursts, jitter, and all that a network does at once.
fn networks() -> [NetworkConfig; 5] {
    let quiet = NetworkConfig::default();
    let some = NetworkConfig { loss_percent: 5.0, ..quiet };
    let jittery = NetworkConfig { jitter_ms: 30.0, delay_ms: 40.0, ..quiet };
    let bursts = NetworkConfig { loss_percent: 20.0, burst: 4.0, jitter_ms: 10.0, ..quiet };
    let all = NetworkConfig { reorder_percent: 10.0, duplicate_percent: 10.0, jitter_ms: 40.0, ..some };
    [quiet, some, jittery, bursts, all]
}

fn delays() -> [DelayConfig; 2] {
    [DelayConfig::default(), DelayConfig::fixed(60)]
}

/// In ticks of 10 ms, 5 ms behind the first packet's arrival, as a capture is played.
fn listen(
    packets: &[Packet],
    mut receive: impl FnMut(Instant, &[u8]),
    mut tick: impl FnMut(Instant, &mut [i16]),
) -> Vec<i16> {
    let first = packets[0].time_us;
    let last = packets[packets.len() - 1].time_us - first + 600_000;
    let mut packets = packets.iter().peekable();
    let (mut pcm, mut now) = (Vec::new(), Instant::from_millis(5));
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

fn by_phone(packets: &[Packet], delay: DelayConfig, told: &str) -> (Vec<i16>, ReceiverStats) {
    let phone = std::cell::RefCell::new(G711Stream::new(PhoneConfig { delay, ..PhoneConfig::default() }).unwrap());
    let receive = |now, datagram: &[u8]| {
        let _ = phone.borrow_mut().receive(now, datagram);
        assert_eq!(phone.borrow().receiver_stats().unaccounted(), [0; 4], "{told}");
    };
    let pcm = listen(packets, receive, |now, pcm| {
        phone.borrow_mut().play(now, pcm);
        assert_eq!(phone.borrow().receiver_stats().unaccounted(), [0; 4], "{told}");
    });
    let stats = phone.borrow().receiver_stats();
    (pcm, stats)
}

fn agreed(delay: DelayConfig, sources: usize, buffer_bytes: Option<u32>) -> Call {
    // A phone knows no events.
    let config = |port, seed| CallConfig {
        telephone_events: false,
        tones: ToneDetection::Off,
        codecs: vec![CodecFormat::pcmu(), CodecFormat::pcma()],
        srtp: SrtpPolicy::Off,
        delay,
        sources,
        buffer_bytes,
        comfort_noise: true,
        ..CallConfig::with_identity(port, Identity::seeded(seed))
    };
    let mut there = Call::new(CallConfig { address: "192.0.2.1".parse().unwrap(), ..config(4_000, 1) }).unwrap();
    let mut here = Call::new(config(5_004, 2)).unwrap();
    let offer = there.offer().unwrap();
    here.answer(Instant::ZERO, &offer).unwrap();
    here
}

fn by_call(packets: &[Packet], here: Call, told: &str) -> (Vec<i16>, Call) {
    let here = std::cell::RefCell::new(here);
    let from: SocketAddr = FROM.parse().unwrap();
    let receive = |now, datagram: &[u8]| {
        here.borrow_mut().receive(now, Channel::Rtp, from, &mut datagram.to_vec());
        assert_eq!(here.borrow().stats().unaccounted(), [0; 5], "{told}");
    };
    let pcm = listen(packets, receive, |now, pcm| {
        here.borrow_mut().play(now, pcm);
        assert_eq!(here.borrow().stats().unaccounted(), [0; 5], "{told}");
    });
    (pcm, here.into_inner())
}

fn by_replay(packets: &[Packet], delay: DelayConfig) -> Vec<CaptureStream> {
    let config = ReplayConfig { payloads: PayloadMap::default(), delay, ..ReplayConfig::default() };
    let bytes = pcap(packets, Link::Raw, false, false);
    replay_bytes("test", &bytes, &CaptureKeys::default(), &config).unwrap().streams
}

/// What a capture's stream says in its counters, its rows, its statistics and its JSON is one story.
fn adds_up(stream: &CaptureStream, told: &str) {
    let n = &stream.numbers;
    assert_eq!(stream.accounted(), n.received, "{told}: {n:?}");
    let rows = |fate| stream.side.packets.iter().filter(|row| row.fate == fate).count() as u64;
    for (fate, count) in [
        (PacketOutcome::Played, stream.played),
        (PacketOutcome::Late, n.late),
        (PacketOutcome::Discarded, n.discarded),
        (PacketOutcome::Undecodable, stream.undecodable),
        (PacketOutcome::Event, stream.events),
        (PacketOutcome::OtherPayload, stream.other_payload),
        (PacketOutcome::Duplicate, stream.duplicate),
        // What followed no sequence has no place among the rows.
        (PacketOutcome::Probation, 0),
        (PacketOutcome::Unusable, stream.unusable),
        (PacketOutcome::Waiting, stream.waiting),
        (PacketOutcome::LostInNetwork, n.lost),
    ] {
        assert_eq!(rows(fate), count, "{told}: {fate:?}");
    }
    let s = &stream.side.statistics;
    assert_eq!(
        (s.packets_received, s.packets_lost, s.packets_late, s.packets_discarded, s.packets_duplicate, s.restarts),
        (n.received, n.lost, n.late, n.discarded, stream.duplicate, stream.restarts),
        "{told}"
    );
    let json = serde_json::to_value(stream).unwrap();
    for (name, count) in [
        ("received", n.received),
        ("lost", n.lost),
        ("late", n.late),
        ("discarded", n.discarded),
        ("played", stream.played),
    ] {
        assert_eq!(json[name], count, "{told}: {name}");
    }
}

#[test]
fn every_packet_and_sample_has_its_place_and_a_call_a_phone_and_a_replay_agree() {
    for (which, network) in networks().into_iter().enumerate() {
        for sender in SENDERS {
            for (bound, delay) in delays().into_iter().enumerate() {
                let told = format!("network {which}, {sender:?}, delay {bound}");
                let packets = carried(sent(sender, 450), network, 7 + which as u64);
                let (phone_pcm, phone) = by_phone(&packets, delay, &told);
                let (call_pcm, here) = by_call(&packets, agreed(delay, 1, None), &told);
                let stats = here.stats();
                assert_eq!(stats.total.received, packets.len() as u64, "{told}");
                // A generator of noise is another in each.
                let until = if sender == Sender::Pauses { 100 * 160 } else { SOUND }.min(call_pcm.len());
                // The phone has room for ten packets: more delay is another story. It knows no comfort noise.
                let agrees = sender != Sender::Pauses;
                if agrees && (bound == 1 || network.jitter_ms == 0.0) {
                    assert_eq!(stats.receiver, phone, "{told}: a call and a phone");
                }
                // It keeps less of what was played: where packets are awaited and not lost, it makes up another sound.
                if agrees && network.jitter_ms == 0.0 {
                    let differs = call_pcm[..until].iter().zip(&phone_pcm).position(|(a, b)| a != b);
                    assert_eq!(differs, None, "{told}: another sound of a phone");
                }
                let streams = by_replay(&packets, delay);
                for stream in &streams {
                    adds_up(stream, &told);
                }
                // A capture's streams are of one source each.
                let [stream] = &streams[..] else { continue };
                let (n, total) = (&stream.numbers, &stats.total);
                let counted = (n.received, n.late, n.discarded, stream.duplicate, stream.undecodable, stream.restarts);
                let [late, discarded, duplicate, undecodable, restarts] =
                    [total.late, total.discarded, total.duplicate, total.undecodable, total.restarts].map(u64::from);
                // What waits at the end of a capture is played there.
                let expected = (total.received, late, discarded, duplicate, undecodable, restarts);
                assert_eq!(counted, expected, "{told}: a replay and a call");
                // Its sound begins with the first packet, 5 ms before the first tick.
                let heard = &stream.side.heard[40..];
                let same = heard.len().min(until);
                let differs = heard[..same].iter().zip(&call_pcm).position(|(a, b)| a != b);
                assert_eq!(differs, None, "{told}: another sound of a replay");
            }
        }
    }
}

/// Three sources at once and one after the other, in two places and in four, in a budget that overflows and in none.
#[test]
fn several_sources_and_an_overflowing_budget_add_up_with_another_offer_in_between() {
    for (places, bytes) in [(2, None), (2, Some(3_072)), (4, Some(6_144)), (4, None)] {
        let told = format!("{places} places, {bytes:?} bytes");
        let mut packets = Vec::new();
        for source in 0..3u32 {
            let network = networks()[4 - source as usize];
            for mut packet in carried(sent(Sender::Others, 300), network, u64::from(source)) {
                packet.bytes[8..12].copy_from_slice(&(77 + source).to_be_bytes());
                packet.time_us += u64::from(source) * 1_500_000;
                packets.push(packet);
            }
        }
        packets.sort_by_key(|packet| packet.time_us);
        let half = packets.len() / 2;
        let (_, mut here) = by_call(&packets[..half], agreed(DelayConfig::default(), places, bytes), &told);
        let before = here.stats();
        let codecs = vec![CodecFormat::pcma()];
        let mut there = Call::new(CallConfig {
            address: "192.0.2.1".parse().unwrap(),
            codecs,
            srtp: SrtpPolicy::Off,
            ..CallConfig::with_identity(4_000, Identity::seeded(1))
        })
        .unwrap();
        here.answer(Instant::from_millis(8_000), &there.offer().unwrap()).unwrap();
        assert!(here.codec().unwrap().is_named("PCMA"), "{told}");
        let after = here.stats();
        assert_eq!((after.unaccounted(), after.total.received), ([0; 5], before.total.received), "{told}");
        let (_, here) = by_call(&packets[half..], here, &told);
        let stats = here.stats();
        assert_eq!(stats.datagrams, packets.len() as u64, "{told}");
        assert!(stats.sources.admitted >= 2, "{told}: {:?}", stats.sources);
        assert!(bytes.is_none_or(|_| places == 4) || stats.total.crowded_out > 0, "{told}: {:?}", stats.total);
        let of_places: u64 = here.sources().map(|source| source.receiver.received).sum();
        assert!(of_places <= stats.total.received, "{told}");
    }
}

/// Where the peer begins anew, as the same source or another, a call's report is of the whole call, and tells it.
#[test]
fn the_report_of_a_call_is_of_the_whole_call_and_its_rows_are_its_counters() {
    for (which, network) in networks().into_iter().enumerate() {
        for sender in SENDERS {
            let told = format!("network {which}, {sender:?}");
            let sent = sent(sender, 450);
            let (mut listener, mut speaker) = (CallRecorder::default(), CallRecorder::default());
            let [to, from]: [SocketAddr; 2] = [TO, FROM].map(|address| address.parse().unwrap());
            for packet in &sent {
                let now = Instant::from_micros(packet.time_us - BEGIN_US);
                speaker.sent(now, Channel::Rtp, to, &packet.bytes);
            }
            let packets = carried(sent, network, 7 + which as u64);
            let shared = std::cell::RefCell::new((agreed(DelayConfig::default(), 1, None), &mut listener));
            // The clock of the records is that of the speaker.
            let behind = Duration::from_micros(packets[0].time_us - BEGIN_US);
            let receive = |now: Instant, datagram: &[u8]| {
                let (call, tap) = &mut *shared.borrow_mut();
                let now = now + behind;
                tap.arrived(now, Channel::Rtp, from, datagram);
                let incoming = call.receive(now, Channel::Rtp, from, &mut datagram.to_vec());
                tap.received(now, &incoming);
                tap.settled(call);
            };
            listen(&packets, receive, |now, pcm| {
                let (call, tap) = &mut *shared.borrow_mut();
                let now = now + behind;
                let played = call.play(now, pcm);
                tap.played(now, 0, &played, pcm);
                tap.settled(call);
            });
            let call = shared.into_inner().0;
            let total = call.stats().total;
            let report = side_report(["here", "there"], &listener, &speaker, &call, "");
            let rows = |fate| report.packets.iter().filter(|row| row.fate == fate).count() as u64;
            let waiting = total.buffered_packets - total.buffered_copies;
            for (fate, count) in [
                (PacketOutcome::Played, total.decoded_packets + u64::from(total.noise_packets)),
                (PacketOutcome::Late, total.late.into()),
                (PacketOutcome::Discarded, total.discarded.into()),
                (PacketOutcome::Undecodable, total.undecodable.into()),
                (PacketOutcome::OtherPayload, total.unknown_payload.into()),
                (PacketOutcome::Duplicate, total.duplicate.into()),
                (PacketOutcome::Probation, total.probation.into()),
                (PacketOutcome::Waiting, waiting.into()),
            ] {
                assert_eq!(rows(fate), count, "{told}: {fate:?}: {total:?}");
            }
            let s = &report.statistics;
            let arrived = report.packets.iter().filter(|row| row.arrival_ms.is_some()).count() as u64;
            assert_eq!((s.packets_received, total.received), (arrived, arrived), "{told}");
            assert_eq!(s.packets_lost, rows(PacketOutcome::LostInNetwork), "{told}");
            assert_eq!((s.packets_late, s.packets_discarded), (total.late.into(), total.discarded.into()), "{told}");
            assert_eq!((s.restarts, s.ssrc_changes), (total.restarts.into(), total.ssrc_changes.into()), "{told}");
            let restarts = matches!(sender, Sender::Restarts | Sender::Jumps);
            assert_eq!(s.restarts >= 1, restarts, "{told}: {s:?}");
            assert_eq!(s.ssrc_changes, u64::from(sender == Sender::Changes), "{told}: {s:?}");
            // What a report of the current source alone would have.
            let current = call.stats().receiver.reception;
            let anew = matches!(sender, Sender::Restarts | Sender::Changes);
            assert_eq!(current.received < total.total.received, anew, "{told}: {current:?}");
            assert!(total.total.received + u64::from(total.probation) >= s.packets_received, "{told}: {total:?}");
        }
    }
}
