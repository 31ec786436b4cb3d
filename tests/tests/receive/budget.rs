//! A budget of bytes for all sources of a call: it holds, the lowest priority loses first, and who has the highest is
//! heard as if there were none.

use std::net::SocketAddr;

use dsp_core::codec::g711::Pcmu;
use dsp_core::receive::{DelayConfig, NarrowbandReceiver, ReceiverConfig};
use dsp_core::streams::budget::{Budget, Buffered, Priority};
use dsp_core::time::{Duration, Instant, PayloadType, Ssrc};
use dsp_core::wire::DatagramKind;
use host_std::registry::CodecFormat;
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, CallError, Channel, Identity, Incoming, PACKET_BYTES, SourceStats};
use media_core_tests::road::{babble, pcmu_packet};
use media_core_tests::tick::Device;
use proptest::prelude::*;

const TICK: usize = 80;
const FROM: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 5_000));
/// What a packet of 160 bytes occupies.
const CELLS: u32 = 192;
const SECONDS: u32 = 20;

fn config(port: u16, ssrc: u32) -> CallConfig {
    // One seed, so one key: as behind a forwarder.
    let mut identity = Identity::seeded(u64::from(port));
    (identity.ssrc, identity.seed) = (Ssrc(ssrc), ssrc);
    CallConfig { codecs: vec![CodecFormat::pcmu()], ..CallConfig::with_identity(port, identity) }
}

/// What was heard of a call with three sources, 1 to 3, whose network stands still from 5.0 to 5.6 s.
struct Heard {
    pcm: Vec<i16>,
    sources: Vec<SourceStats>,
    /// The most bytes that all sources held at once.
    most: u32,
}

fn listen(speech: &[Vec<i16>; 3], buffer_bytes: Option<u32>, priorities: [i8; 3]) -> Heard {
    // For listening: a conversation's delay would not keep what came behind a stall, and the budget would not be exceeded.
    let mut listener =
        Call::new(CallConfig { sources: 3, buffer_bytes, delay: DelayConfig::listening(), ..config(4_000, 99) })
            .unwrap();
    let offer = listener.offer().unwrap();
    let mut speakers = [1, 2, 3].map(|ssrc| Call::new(config(5_000, ssrc)).unwrap());
    let answers = speakers.each_mut().map(|speaker| speaker.answer(Instant::ZERO, &offer).unwrap());
    listener.accept(Instant::ZERO, &answers[2]).unwrap();
    let (mut device, mut microphones) = (Device::new(&listener), speakers.each_ref().map(Device::new));
    let (mut pcm, mut most, mut in_flight) = (Vec::new(), 0, Vec::new());
    for tick in 0..speech[0].len() / TICK {
        let now = Instant::from_millis(tick as u64 * 10);
        if tick == 100 {
            for (ssrc, priority) in (1..).zip(priorities) {
                assert!(listener.set_priority(Ssrc(ssrc), Priority(priority)));
            }
            assert!(!listener.set_priority(Ssrc(4), Priority(9)));
        }
        for ((speaker, speech), microphone) in speakers.iter_mut().zip(speech).zip(&mut microphones) {
            let speech = |pcm: &mut [i16]| pcm.copy_from_slice(&speech[tick * TICK..][..TICK]);
            microphone.tick(speaker, now, speech, |_, bytes| {
                // Reports are another matter.
                if DatagramKind::of(bytes) == DatagramKind::Rtp {
                    in_flight.push((now + Duration::from_millis(20), bytes.to_vec()));
                }
            });
        }
        let stalled = (500..560).contains(&tick);
        let due = |(arrival, _): &mut (Instant, Vec<u8>)| !stalled && *arrival <= now;
        for (_, mut packet) in in_flight.extract_if(.., due) {
            let incoming = listener.receive(now, Channel::Rtp, FROM, &mut packet);
            assert!(matches!(incoming, Incoming::Audio(_) | Incoming::Unheard(_)), "{incoming:?}");
            let held = listener.sources().map(|source| source.receiver.buffered_packets * CELLS).sum();
            most = most.max(held);
        }
        pcm.extend(device.listen(&mut listener, now, |_, _| {}).1);
    }
    let mut sources: Vec<_> = listener.sources().collect();
    sources.sort_by_key(|source| source.ssrc.0);
    assert_eq!(sources.len(), 3);
    Heard { pcm, sources, most }
}

#[test]
fn in_a_burst_the_highest_priority_is_heard_as_without_a_budget_and_the_lowest_loses() {
    let budget = 50 * CELLS;
    let silence = vec![0; (8_000 * SECONDS) as usize];
    // The others are silent, so that what is heard is the first alone; then all speak.
    for others in [[silence.clone(), silence], [1, 2].map(|seed| babble(8_000, SECONDS, seed))] {
        let alone = others[0].iter().all(|&sample| sample == 0);
        let [second, third] = others;
        let speech = [babble(8_000, SECONDS, 0), second, third];
        let free = listen(&speech, None, [1, 0, -1]);
        let bound = listen(&speech, Some(budget), [1, 0, -1]);
        assert!(free.most > 90 * CELLS, "the burst was {} bytes", free.most);
        assert!(bound.most <= budget && bound.most > budget - CELLS, "{} of {budget}", bound.most);
        let crowded_out = [0, 1, 2].map(|index| bound.sources[index].receiver.crowded_out);
        println!("alone: {alone}; {} bytes without a budget; crowded out: {crowded_out:?}", free.most);
        for (with, without) in bound.sources.iter().zip(&free.sources) {
            assert_eq!((without.receiver.crowded_out, without.receiver.discarded), (0, 0));
            assert_eq!(with.receiver.crowded_out, with.receiver.discarded);
            assert_eq!(with.receiver.reception, without.receiver.reception);
        }
        // Every number of the first, and every sample.
        assert_eq!(bound.sources[0], free.sources[0]);
        assert_eq!(bound.pcm == free.pcm, alone);
        // The third lost its burst, the second what was still too much.
        assert!(crowded_out[2] >= 28 && (1..crowded_out[2]).contains(&crowded_out[1]), "{crowded_out:?}");
    }
}

#[test]
fn equals_lose_alike() {
    let speech = [0, 1, 2].map(|seed| babble(8_000, SECONDS, seed));
    let heard = listen(&speech, Some(50 * CELLS), [0; 3]);
    let crowded_out = [0, 1, 2].map(|index| heard.sources[index].receiver.crowded_out);
    println!("equals, crowded out: {crowded_out:?}");
    let (least, most) = (crowded_out.into_iter().min().unwrap(), crowded_out.into_iter().max().unwrap());
    assert!(heard.most <= 50 * CELLS && least >= 10 && most * 4 <= least * 5, "{crowded_out:?}");
}

fn packet(ssrc: u32, seq: u16, bytes: usize) -> Vec<u8> {
    pcmu_packet(ssrc, seq, 2_000, bytes)
}

#[test]
fn a_newcomer_does_not_inherit_a_priority() {
    let plain = |port, ssrc| CallConfig { srtp: SrtpPolicy::Off, ..config(port, ssrc) };
    let mut call = Call::new(CallConfig { sources: 2, buffer_bytes: Some(4_000), ..plain(4_000, 99) }).unwrap();
    assert!(!call.set_priority(Ssrc(1), Priority(9)), "before the call");
    let offer = call.offer().unwrap();
    let answer = Call::new(plain(5_000, 1)).unwrap().answer(Instant::ZERO, &offer).unwrap();
    call.accept(Instant::ZERO, &answer).unwrap();
    let burst = |call: &mut Call, ms, ssrcs: [u32; 2], seqs: std::ops::Range<u16>| {
        for seq in seqs {
            for ssrc in ssrcs {
                call.receive(Instant::from_millis(ms), Channel::Rtp, FROM, &mut packet(ssrc, seq, 160));
            }
        }
    };
    let lost = |call: &Call, ssrc| {
        call.sources().find(|source| source.ssrc == Ssrc(ssrc)).map(|source| source.receiver.crowded_out)
    };
    burst(&mut call, 0, [1, 2], 0..2);
    assert!(call.set_priority(Ssrc(1), Priority(9)));
    burst(&mut call, 0, [1, 2], 2..17);
    assert_eq!([lost(&call, 1), lost(&call, 2)], [Some(0), Some(12)]);
    // The first is silent until its place is another's.
    for ms in (20..12_000).step_by(20) {
        let mut pcm = [0; 2 * TICK];
        call.receive(Instant::from_millis(ms), Channel::Rtp, FROM, &mut packet(2, 17 + (ms / 20) as u16, 160));
        call.play(Instant::from_millis(ms), &mut pcm);
    }
    let before = lost(&call, 2).unwrap();
    burst(&mut call, 12_000, [2, 3], 617..640);
    assert_eq!(lost(&call, 1), None);
    let lost = [lost(&call, 2).unwrap() - before, lost(&call, 3).unwrap()];
    assert!(lost[0] >= 10 && lost[1] >= 3 && call.set_priority(Ssrc(3), Priority(1)), "{lost:?}");
}

#[test]
fn a_budget_holds_a_packet_of_each_source() {
    for sources in [1, 3, 31] {
        let least = PACKET_BYTES * sources as u32;
        let made =
            |bytes| Call::new(CallConfig { sources, buffer_bytes: Some(bytes), ..config(4_000, 1) }).map(|_| ()).err();
        assert!(made(least).is_none());
        let error = made(least - 1).unwrap();
        assert!(
            matches!(error, CallError::BufferBytes { bytes, least: needed } if (bytes, needed) == (least - 1, least))
        );
        assert!(error.to_string().contains(&least.to_string()), "{error}");
    }
}

proptest! {
    /// Whatever comes, of whatever length and order: within the budget after each packet; nobody loses one within it,
    /// nor while one of lower priority has any; and each loss is counted as what it is.
    #[test]
    fn the_budget_holds_and_the_lower_loses_first(
        steps in prop::collection::vec((0..5usize, 0..6u16, 0..700usize), 1..200),
        priorities in prop::array::uniform4(-1..=1i8),
        bytes in 0..6_000u32,
    ) {
        let budget = Budget { bytes };
        let receiver = |priority| (Priority(priority), NarrowbandReceiver::new(ReceiverConfig::default()).unwrap());
        let mut media = priorities.map(receiver);
        let mut seqs = [0u16; 4];
        let mut now = Instant::ZERO;
        for (who, ahead, length) in steps {
            let before = media.each_ref().map(|(_, receiver)| receiver.stats());
            let Some((_, receiver)) = media.get_mut(who) else {
                // Time passes.
                now += Duration::from_millis(u64::from(ahead) * 10);
                let mut pcm = [0; 160];
                for (_, receiver) in &mut media {
                    receiver.play(now, &mut (PayloadType::PCMU, Pcmu), &mut pcm);
                }
                continue;
            };
            // Now and then one is missing, or comes again.
            seqs[who] = seqs[who].wrapping_add(ahead).wrapping_sub(2);
            let _ = receiver.receive(now, &packet(who as u32, seqs[who], length));
            let full: u32 = media.iter().map(|(_, receiver)| receiver.buffered_bytes()).sum();
            budget.enforce(&mut media, |(priority, receiver)| (*priority, receiver));
            let sum: u32 = media.iter().map(|(_, receiver)| receiver.buffered_bytes()).sum();
            prop_assert!(sum <= bytes && (sum == full) == (full <= bytes), "{} of {}, {} before", sum, bytes, full);
            for ((priority, receiver), before) in media.iter().zip(before) {
                let stats = receiver.stats();
                prop_assert!(64 * stats.buffered_packets <= receiver.buffered_bytes());
                prop_assert!(stats.crowded_out <= stats.discarded);
                if stats.crowded_out > before.crowded_out {
                    prop_assert!(full > bytes);
                    let lower = media.iter().filter(|(other, _)| other < priority);
                    prop_assert_eq!(lower.map(|(_, receiver)| receiver.buffered_bytes()).sum::<u32>(), 0);
                }
            }
        }
    }
}
