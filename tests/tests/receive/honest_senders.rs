//! Senders and networks that do nothing wrong: none of them is taken for a clock that jumped, and whatever comes, no
//! packet lies in the buffer for longer than its bound.

use dsp_core::codec::g711::{Pcmu, linear_to_ulaw};
use dsp_core::codec::{Decoder, OtherPayload, PayloadTable};
use dsp_core::receive::{DelayConfig, HostReceiver, Received, ReceiverConfig, ReceiverStats};
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::{RtpHeader, append_padding};
use media_core_tests::road::babble;

const EVENT: PayloadType = PayloadType::from_low_bits(101);
const STRANGE: PayloadType = PayloadType::from_low_bits(77);

/// G.711, events, and nothing else.
struct Table(Pcmu);

impl PayloadTable for Table {
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
        (payload_type == PayloadType::PCMU).then_some(&mut self.0)
    }

    fn other(&self, payload_type: PayloadType) -> OtherPayload {
        if payload_type == EVENT { OtherPayload::Event } else { OtherPayload::Unknown }
    }
}

/// A packet on its way.
#[derive(Clone, Copy, Debug)]
struct Packet {
    payload_type: PayloadType,
    seq: u16,
    timestamp: u32,
    ms: u32,
    arrival_us: u64,
}

fn dice(n: u64) -> u64 {
    let mut x = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 29;
    x.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

/// What a stream of packets was to its listener.
struct Heard {
    stats: ReceiverStats,
    most_in_buffer_ms: u32,
    /// Of the last five seconds.
    last_in_buffer_ms: u32,
}

/// Plays packets in the order of their arrival.
fn listen(mut packets: Vec<Packet>, delay: DelayConfig, tick_ms: u64) -> Heard {
    packets.sort_by_key(|packet| packet.arrival_us);
    let config = ReceiverConfig { delay, ..ReceiverConfig::default() };
    let mut receiver = Box::new(HostReceiver::new(config).unwrap());
    let speech: Vec<u8> = babble(8_000, 3, 0).into_iter().map(|sample| linear_to_ulaw(sample | 64)).collect();
    let mut table = Table(Pcmu);
    receiver.set_payloads(&mut table);
    let end_us = packets.last().unwrap().arrival_us;
    let mut coming = packets.into_iter().peekable();
    let mut pcm = vec![0; (tick_ms * 8) as usize];
    let (mut most, mut last) = (0, 0);
    let mut now_us = 0;
    while now_us < end_us {
        while let Some(packet) = coming.next_if(|packet| packet.arrival_us <= now_us) {
            let header = RtpHeader {
                payload_type: packet.payload_type,
                seq: Seq(packet.seq),
                timestamp: RtpTime(packet.timestamp),
                ssrc: Ssrc(9),
                ..RtpHeader::default()
            };
            let begin = (u32::from(packet.seq) * 160) as usize % (speech.len() - 960);
            let payload = &speech[begin..begin + (packet.ms * 8) as usize];
            let mut datagram = vec![0; 12 + payload.len() + 200];
            let len = header.write_packet(payload, &mut datagram).unwrap();
            let len = append_padding(&mut datagram, len, if payload.is_empty() { 200 } else { 0 }).unwrap();
            datagram.truncate(len);
            let _: Received = receiver.receive(Instant::from_micros(packet.arrival_us), &datagram).unwrap();
        }
        let played = receiver.play(Instant::from_micros(now_us), &mut table, &mut pcm);
        let waited_ms = played.buffer_delay_us.unwrap_or(0) / 1_000;
        most = most.max(waited_ms);
        if now_us + 5_000_000 > end_us {
            last = last.max(waited_ms);
        }
        now_us += tick_ms * 1_000;
    }
    Heard { stats: receiver.stats(), most_in_buffer_ms: most, last_in_buffer_ms: last }
}

/// Payload type and sequence number of each packet.
type Flood = fn(u32) -> (PayloadType, u16);

/// Keeps the order of packets, as most networks do.
fn in_order(packets: &mut [Packet]) {
    let mut before = 0;
    for packet in packets {
        packet.arrival_us = packet.arrival_us.max(before);
        before = packet.arrival_us;
    }
}

#[test]
fn packets_without_a_time_between_those_of_the_sound_are_no_jump_of_the_clock() {
    // Of the codec's own type: padding alone, as browsers send it.
    for (payload_type, between) in [(EVENT, 3), (EVENT, 6), (STRANGE, 3), (STRANGE, 10), (PayloadType::PCMU, 10)] {
        let ms = u32::from(payload_type != PayloadType::PCMU);
        let (mut packets, mut seq) = (Vec::new(), 0u16);
        for n in 0..3_000u32 {
            let arrival_us = 50_000 + u64::from(n) * 20_000 + dice(n.into()) % 200_000;
            packets.push(Packet { payload_type: PayloadType::PCMU, seq, timestamp: n * 160, ms: 20, arrival_us });
            seq = seq.wrapping_add(1);
            for _ in 0..if n % 50 == 7 { between } else { 0 } {
                packets.push(Packet { payload_type, seq, timestamp: n * 160, ms, arrival_us });
                seq = seq.wrapping_add(1);
            }
        }
        in_order(&mut packets);
        let heard = listen(packets, DelayConfig::default(), 10);
        assert_eq!(heard.stats.time_jumps, 0, "{payload_type:?} {between}: {:?}", heard.stats);
        assert_eq!(heard.stats.undecodable, 0, "{payload_type:?} {between}: {:?}", heard.stats);
        // The start is silence: no more of it.
        let silence_ms = heard.stats.silence_samples / 8;
        assert!(silence_ms < 400, "{payload_type:?} {between}: {silence_ms} ms of silence");
    }
}

#[test]
fn packets_of_changing_length_are_no_jump_of_the_clock() {
    for (long, short) in [(60, 20), (40, 10), (30, 20), (100, 20)] {
        for loss_percent in [0, 10, 30] {
            let (mut packets, mut timestamp, mut ms) = (Vec::new(), 0, 0);
            for seq in 0..6_000u16 {
                let length = if (seq / 50) % 2 == 0 { long } else { short };
                let jitter_us = dice(seq.into()) % 200_000;
                let arrival_us = 50_000 + ms * 1_000 + jitter_us;
                if dice(u64::from(seq) + 1_000_000) % 100 >= loss_percent {
                    packets.push(Packet { payload_type: PayloadType::PCMU, seq, timestamp, ms: length, arrival_us });
                }
                timestamp += length * 8;
                ms += u64::from(length);
            }
            in_order(&mut packets);
            let heard = listen(packets, DelayConfig::default(), 10);
            assert_eq!(heard.stats.time_jumps, 0, "{long} {short} {loss_percent}: {:?}", heard.stats);
        }
    }
}

/// A sender that falls silent: `rounded` to 10 ms, its clock off by `ppm`; the network is slower by `slower_ms` from the
/// middle on.
fn talk(ppm: i64, rounded: bool, slower_ms: u64, pauses_ms: u64, loss_percent: u64, jitter_ms: u64) -> Vec<Packet> {
    let (mut packets, mut sent_ms, mut seq) = (Vec::new(), 0u64, 65_000u16);
    for spurt in 0..60u64 {
        for _ in 0..20 + dice(spurt) % 60 {
            let n = packets.len() as u64 * 7 + u64::from(seq) + sent_ms;
            let late = if spurt >= 30 { slower_ms } else { 0 } + if jitter_ms > 0 { dice(n) % jitter_ms } else { 0 };
            let counted = (sent_ms as i64 * 8 + sent_ms as i64 * 8 * ppm / 1_000_000) as u32;
            let timestamp = if rounded { counted / 80 * 80 } else { counted };
            if dice(n + 5_555) % 100 >= loss_percent {
                let arrival_us = (50 + sent_ms + late) * 1_000;
                packets.push(Packet { payload_type: PayloadType::PCMU, seq, timestamp, ms: 20, arrival_us });
            }
            seq = seq.wrapping_add(1);
            sent_ms += 20;
        }
        sent_ms += 100 + dice(spurt + 99) % pauses_ms;
    }
    in_order(&mut packets);
    packets
}

#[test]
fn pauses_of_a_clock_that_drifts_through_loss_and_jitter_are_no_jumps() {
    let mut wrong = Vec::new();
    for ppm in [-500, -200, 0, 200, 500] {
        for rounded in [false, true] {
            for slower_ms in [0, 100, 400] {
                for pauses_ms in [400, 8_000, 60_000] {
                    for (loss, jitter_ms) in [(0, 0), (5, 40), (30, 200)] {
                        let heard = listen(
                            talk(ppm, rounded, slower_ms, pauses_ms, loss, jitter_ms),
                            DelayConfig::default(),
                            10,
                        );
                        if heard.stats.time_jumps > 0 {
                            wrong.push((ppm, rounded, slower_ms, pauses_ms, loss, jitter_ms, heard.stats.time_jumps));
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} {wrong:?}", wrong.len());
}

#[test]
fn whatever_comes_no_packet_waits_longer_than_the_bound_and_the_delay_comes_down_again() {
    for seed in 0..400u64 {
        let lot = |n: u64, of: u64| dice(seed * 1_000_003 + n) % of;
        let bounds = [60, 200, 500, 2_000, 10_000];
        let max_ms = bounds[lot(1, 5) as usize];
        let delay = DelayConfig { min_ms: 0, max_ms, target_max_ms: max_ms, ..DelayConfig::default() };
        let tick_ms = [5, 10, 20, 30][lot(2, 4) as usize];
        let (mut packets, mut seq, mut timestamp) = (Vec::new(), lot(3, 65_536) as u16, lot(4, 1 << 32) as u32);
        let (mut sent_ms, mut slow_ms, mut jitter_ms) = (0, lot(5, 300), lot(6, 100));
        let kinds = [PayloadType::PCMU, PayloadType::PCMU, PayloadType::PCMU, PayloadType::PCMU, EVENT, STRANGE];
        for n in 0..8_000u64 {
            let lot = |of: u64, n2: u64| lot(n * 16 + n2 + 100, of);
            // Calm in the end.
            if n < 1_200 {
                match lot(120, 0) {
                    0 => timestamp = timestamp.wrapping_add(lot(8 * 20_000, 1) as u32),
                    1 => timestamp = timestamp.wrapping_sub(lot(8 * 20_000, 1) as u32),
                    2 => slow_ms = lot(12_000, 1),
                    3 => slow_ms = lot(100, 1),
                    4 => sent_ms += lot(8_000, 1),
                    5 => seq = seq.wrapping_add(lot(5_000, 1) as u16),
                    6 => jitter_ms = lot(800, 1),
                    _ => {}
                }
            } else {
                (slow_ms, jitter_ms) = (20, 10);
            }
            let late = slow_ms + if jitter_ms > 0 { lot(jitter_ms, 2) } else { 0 };
            let payload_type = if n < 1_200 { kinds[lot(6, 3) as usize] } else { PayloadType::PCMU };
            if lot(20, 4) > 0 || n >= 1_200 {
                let arrival_us = (sent_ms + late) * 1_000;
                packets.push(Packet { payload_type, seq, timestamp, ms: 20, arrival_us });
            }
            seq = seq.wrapping_add(1);
            timestamp = timestamp.wrapping_add(160);
            sent_ms += 20;
        }
        if seed % 2 == 0 {
            in_order(&mut packets);
        }
        let heard = listen(packets, delay, tick_ms);
        let bound = max_ms + tick_ms as u32;
        assert!(heard.most_in_buffer_ms <= bound, "{seed}: {} of {bound}", heard.most_in_buffer_ms);
        assert!(heard.last_in_buffer_ms <= bound.min(150), "{seed}: {} in the end", heard.last_in_buffer_ms);
    }
}

#[test]
fn the_media_time_of_a_jumping_clock_is_the_senders() {
    for jump_ms in [250i64, -250, 2_000, -2_000, 60_000, -60_000] {
        let mut receiver = Box::new(HostReceiver::new(ReceiverConfig::default()).unwrap());
        let mut table = Table(Pcmu);
        let mut pcm = [0; 160];
        for n in 0..600u32 {
            // Two of them, a second apart.
            let jumps = i64::from(n >= 300) + i64::from(n >= 350);
            let timestamp = (n * 160).wrapping_add((jumps * jump_ms * 8) as u32);
            let now = Instant::from_millis(50 + u64::from(n) * 20);
            let header = RtpHeader {
                payload_type: PayloadType::PCMU,
                seq: Seq(n as u16),
                timestamp: RtpTime(timestamp),
                ssrc: Ssrc(9),
                ..RtpHeader::default()
            };
            let mut datagram = [0x55; 172];
            header.write_packet(&[0x55; 160], &mut datagram).unwrap();
            receiver.receive(now, &datagram).unwrap();
            let at = receiver.media_time(now + Duration::from_millis(5)).unwrap();
            assert_eq!(at.distance(RtpTime(timestamp)), 40, "{jump_ms}: {n}");
            let played = receiver.play(now, &mut table, &mut pcm);
            if let Some(told) = played.timestamp {
                let late = RtpTime(timestamp).distance(told);
                let jumped = [0, (jump_ms * 8) as i32, (2 * jump_ms * 8) as i32];
                assert!(jumped.iter().any(|jump| (0..=3_200).contains(&(late - jump))), "{jump_ms} {n}: {late}");
            }
        }
        assert_eq!(receiver.stats().time_jumps, 2);
    }
}

#[test]
fn a_flood_leaves_time_for_the_sound_whatever_lies_in_the_buffer() {
    // What lies in the buffer: nothing but strange packets behind a hole; sound behind a thousand of them; numbers that
    // jump as far as a sequence may.
    let floods: [(&str, Flood); 4] = [
        ("sound", |n| (PayloadType::PCMU, n as u16)),
        ("strange", |n| (if n == 0 { PayloadType::PCMU } else { STRANGE }, (n + u32::from(n > 0)) as u16)),
        ("mixed", |n| (if n % 900 == 0 { PayloadType::PCMU } else { STRANGE }, (n * 2) as u16)),
        ("far", |n| (if n % 2 == 0 { PayloadType::PCMU } else { STRANGE }, (n * 2_900) as u16)),
    ];
    for (name, packet) in floods {
        let mut receiver = Box::new(HostReceiver::new(ReceiverConfig::default()).unwrap());
        let mut table = Table(Pcmu);
        receiver.set_payloads(&mut table);
        let mut pcm = [0; 80];
        let (mut taking, mut playing) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
        let (mut number, ticks, a_tick) = (0, 200, 500);
        for tick in 0..ticks {
            let now = Instant::from_millis(tick * 10);
            let begin = std::time::Instant::now();
            for _ in 0..a_tick {
                let (payload_type, seq) = packet(number);
                let header = RtpHeader {
                    payload_type,
                    seq: Seq(seq),
                    timestamp: RtpTime(tick as u32 * 80),
                    ssrc: Ssrc(9),
                    ..RtpHeader::default()
                };
                let mut datagram = [0x55; 172];
                header.write_packet(&[0x55; 160], &mut datagram).unwrap();
                let _ = receiver.receive(now, &datagram);
                number += 1;
            }
            taking += begin.elapsed();
            let begin = std::time::Instant::now();
            receiver.play(now, &mut table, &mut pcm);
            playing += begin.elapsed();
        }
        let (packet, tick) = (taking / (ticks as u32 * a_tick), playing / ticks as u32);
        println!("{name}: {packet:?} a packet, {tick:?} a tick");
        // Of a tick of 10 ms, in a build without optimization too; usual are some us.
        let bearable = packet.as_micros() < 1_000 && tick.as_micros() < 10_000;
        assert!(bearable, "{name}: {packet:?} a packet, {tick:?} a tick");
    }
}
