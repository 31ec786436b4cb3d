//! The receive road: properties of jitter buffer and receiver under arbitrary traffic, and what happens to real calls:
//! bursts, bad minutes, other sources, jumping clocks, pauses, drift.

use dsp_core::codec::g711::linear_to_ulaw;
use dsp_core::receive::{DelayConfig, HostReceiver, NarrowbandReceiver, ReceiverConfig};
use dsp_core::time::{PayloadType, RtpTime, Seq, Ssrc};
use media_core_tests::road::{Fate, JitterModel, Line, ReceiverModel, Step};
use proptest::collection::vec;
use proptest::prelude::*;

type Host = Line<1_024, 15_360>;

fn line() -> Host {
    Line::new(ReceiverConfig::default())
}

/// A line that has played well for two seconds.
fn running() -> Host {
    let mut line = line();
    line.run_well(2_000);
    assert_eq!(line.receiver.stats().concealed_samples, 0);
    line
}

/// Numbers that look random and aren't.
fn dice(n: u32) -> u32 {
    let mut x = n.wrapping_add(0x9e37_79b9).wrapping_mul(0x85eb_ca6b);
    x ^= x >> 13;
    x.wrapping_mul(0xc2b2_ae35) >> 8
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn jitter_buffer_holds_what_it_should(steps in vec(any::<Step>(), 0..600)) {
        let mut tight = JitterModel::<4>::default();
        let mut small = JitterModel::<32>::default();
        let mut large = JitterModel::<1_024>::default();
        for &step in &steps {
            tight.step(step);
            small.step(step);
            large.step(step);
        }
    }

    #[test]
    fn receiver_accounts_for_every_sample(steps in vec(any::<Step>(), 0..600)) {
        let mut phone = ReceiverModel::<32, 1_920>::default();
        let mut host = ReceiverModel::<1_024, 15_360>::default();
        for &step in &steps {
            phone.step(step);
            host.step(step);
        }
        phone.finish();
        host.finish();
    }
}

#[test]
fn a_fixed_delay_on_a_perfect_network_drops_nothing() {
    for ms in [20, 60, 100, 200, 400, 500] {
        let mut line = Host::new(ReceiverConfig { delay: DelayConfig::fixed(ms), ..ReceiverConfig::default() });
        line.run_well(20_000);
        let stats = line.receiver.stats();
        assert_eq!((stats.discarded, stats.concealed_samples, stats.late), (0, 0, 0), "{ms} ms: {stats:?}");
        assert_eq!(stats.playout_delay.max_us, ms * 1_000, "{stats:?}");
    }
}

#[test]
fn a_burst_of_ten_thousand_late_packets_leaves_the_buffer_at_its_bound() {
    let burst = |line: &mut Host| {
        // Nothing comes for 200 s, and then everything at once.
        for _ in 0..20_000 {
            line.tick();
        }
        for _ in 0..10_000 {
            let datagram = line.packet();
            let _ = line.receiver.receive(line.now(), &datagram);
            assert!(line.receiver.stats().buffered_packets <= 1_024);
        }
    };
    let mut line = running();
    burst(&mut line);
    line.run_well(30_000);
    let stats = line.receiver.stats();
    let delay = line.played.playout_delay_us.unwrap_or(0).max(stats.target_delay_ms * 1_000);
    assert!(delay < 100_000, "{delay} us, {stats:?}");
    assert!(stats.playout_delay.max_us <= 2_000_000, "{stats:?}");
    assert!(stats.buffered_packets <= 4, "{stats:?}");

    // The phone's buffer is small: the same burst, and it plays on.
    let mut phone: Line<32, 1_920> = Line::new(ReceiverConfig::default());
    phone.run_well(1_000);
    for _ in 0..10_000 {
        let datagram = phone.packet();
        let _ = phone.receiver.receive(phone.now(), &datagram);
        assert!(phone.receiver.stats().buffered_packets <= 32);
    }
    phone.next_packet_us = phone.now_us as f64;
    let again = phone.heard_again_after_ms();
    assert!(again <= 1_000, "{again} ms, {:?}", phone.receiver.stats());
}

#[test]
fn a_buffer_that_is_too_small_for_the_delay_plays_with_less() {
    // A second of delay, room for 200 ms: it must begin all the same.
    let delay = DelayConfig { min_ms: 1_000, initial_ms: 1_000, ..DelayConfig::default() };
    let mut phone: Line<32, 1_920> = Line::new(ReceiverConfig { delay, ..ReceiverConfig::default() });
    phone.run_well(5_000);
    let stats = phone.receiver.stats();
    assert!(stats.decoded_samples > 4 * 8_000, "{stats:?}");
}

#[test]
fn the_delay_grows_in_a_bad_minute_and_shrinks_after_it() {
    let mut line = running();
    line.run(60_000, |n| Fate::After(u64::from(dice(n) % 250_000)), |_| {});
    let bad = line.receiver.stats();
    assert!((150..=320).contains(&bad.target_delay_ms), "{bad:?}");
    line.run_well(60_000);
    let (mut most, mut concealed) = (0, 0);
    line.run(
        5_000,
        |_| Fate::After(0),
        |line| {
            most = most.max(line.played.playout_delay_us.unwrap_or(0));
            concealed += line.played.concealed;
        },
    );
    let good = line.receiver.stats();
    assert_eq!(good.target_delay_ms, 10, "{good:?}");
    assert!(most <= 60_000 && concealed == 0, "{most} us, {concealed}, {good:?}");
}

#[test]
fn another_source_takes_over_after_two_packets() {
    let mut line = running();
    line.header.ssrc = Ssrc(99);
    line.header.seq = Seq(3);
    line.header.timestamp = RtpTime(12);
    let again = line.heard_again_after_ms();
    assert!(again <= 120, "{again} ms");
    let stats = line.receiver.stats();
    assert_eq!((stats.ssrc_changes, stats.probation, line.receiver.ssrc()), (1, 1, Some(Ssrc(99))), "{stats:?}");
}

#[test]
fn a_stray_packet_of_another_source_steals_nothing() {
    let mut line = running();
    let before = line.receiver.stats();
    for n in 0..100u16 {
        let ours = line.header;
        let due = line.next_packet_us;
        line.header.ssrc = Ssrc(1_000 + u32::from(n % 3));
        line.header.seq = Seq(n * 7);
        let stray = line.packet();
        assert!(line.receiver.receive(line.now(), &stray).is_ok());
        line.header = ours;
        line.next_packet_us = due;
        line.run_well(50);
    }
    let stats = line.receiver.stats();
    assert_eq!(line.receiver.ssrc(), Some(Ssrc(7)));
    assert_eq!((stats.probation, stats.ssrc_changes, stats.restarts), (100, 0, 0));
    assert_eq!(stats.concealed_samples, before.concealed_samples, "{stats:?}");
}

#[test]
fn the_same_source_may_begin_another_sequence() {
    for jump in [4_000u16, 20_000, 32_768, 50_000, 65_000] {
        let mut line = running();
        line.header.seq = line.header.seq.plus(jump);
        let again = line.heard_again_after_ms();
        let stats = line.receiver.stats();
        assert!(again <= 150, "{jump}: {again} ms, {stats:?}");
        assert!(stats.restarts <= 1, "{jump}: {stats:?}");
    }
}

#[test]
fn a_jump_of_the_timestamp_is_heard_through() {
    for jump_ms in [500i64, 1_000, 1_900, 2_100, 4_900, 5_100, 60_000, 3_600_000, 86_400_000, 1 << 28] {
        for jump_ms in [jump_ms, -jump_ms] {
            let mut line = running();
            line.header.timestamp = line.header.timestamp.plus((jump_ms * 8) as u32);
            let again = line.heard_again_after_ms();
            let stats = line.receiver.stats();
            assert!(again <= 1_000, "{jump_ms} ms: heard after {again} ms, {stats:?}");
            line.run_well(40_000);
            let stats = line.receiver.stats();
            assert!(line.receiver.stats().target_delay_ms <= 40, "{jump_ms} ms: {stats:?}");
        }
    }
}

#[test]
fn one_packet_with_a_wrong_timestamp_is_soon_forgotten() {
    for wrong_ms in [-3_600_000i64, -5_100, -4_900, -2_100, -1_000, 1_000, 2_100, 4_900, 5_100, 3_600_000] {
        let mut line = running();
        let right = line.header.timestamp;
        line.header.timestamp = right.plus((wrong_ms * 8) as u32);
        line.run(20, |_| Fate::After(0), |_| {});
        line.header.timestamp = right.plus(160);
        let again = line.heard_again_after_ms();
        assert!(again <= 1_000, "{wrong_ms} ms: heard after {again} ms, {:?}", line.receiver.stats());
    }
}

#[test]
fn a_longer_way_than_the_bound_is_taken_after_a_while() {
    let delay = DelayConfig { max_ms: 200, ..DelayConfig::default() };
    let mut line: Host = Line::new(ReceiverConfig { delay, ..ReceiverConfig::default() });
    line.run_well(5_000);
    let mut heard = Vec::new();
    // From now on every packet takes 400 ms longer.
    line.run(4_000, |_| Fate::After(400_000), |line| heard.push(line.played.decoded > 0));
    let last = &heard[heard.len() - 200..];
    assert!(last.iter().filter(|&&heard| heard).count() >= 95, "{:?}", line.receiver.stats());
}

#[test]
fn a_pause_of_a_minute_with_and_without_its_time() {
    for counts in [true, false] {
        let mut line = running();
        for _ in 0..6_000 {
            line.tick();
        }
        if counts {
            line.header.timestamp = line.header.timestamp.plus(60 * 8_000);
        }
        line.next_packet_us += 60e6;
        let again = line.heard_again_after_ms();
        let stats = line.receiver.stats();
        assert!(again <= 100, "{counts}: {again} ms, {stats:?}");
        assert!(stats.concealed_samples < 9_000, "{stats:?}");
    }
}

#[test]
fn the_packet_length_may_change_in_mid_stream() {
    let mut line = running();
    let before = line.receiver.stats();
    for ptime_ms in [10, 60, 20, 40, 30, 5, 20] {
        line.ptime_ms = ptime_ms;
        line.run_well(5_000);
    }
    let stats = line.receiver.stats();
    assert_eq!((stats.late, stats.discarded, stats.restarts), (before.late, before.discarded, 0), "{stats:?}");
    // Longer packets come later: the wait is filled, once or twice for each change.
    let concealed = stats.concealed_samples - before.concealed_samples;
    assert!(concealed <= 8 * 400, "{concealed}: {stats:?}");
    assert!(line.receiver.stats().target_delay_ms <= 80);
}

#[test]
fn unknown_payload_types_and_refused_payloads_in_between() {
    let mut line = running();
    let before = line.receiver.stats();
    for _ in 0..50 {
        line.run_well(400);
        line.header.payload_type = PayloadType::from_low_bits(101);
        line.run_well(20);
        line.header.payload_type = PayloadType::PCMU;
    }
    line.run_well(200);
    let stats = line.receiver.stats();
    assert_eq!(stats.unknown_payload, 50);
    assert_eq!((stats.late, stats.discarded, stats.restarts, stats.undecodable), (0, 0, 0, 0), "{stats:?}");
    let lost = stats.concealed_samples - before.concealed_samples;
    assert!(lost <= 50 * 240, "{lost}");

    // An empty payload is one that no decoder takes.
    for _ in 0..50 {
        line.run_well(400);
        let datagram = line.packet();
        let _ = line.receiver.receive(line.now(), &datagram[..12]);
        line.run_well(20);
    }
    line.run_well(200);
    let stats = line.receiver.stats();
    assert_eq!((stats.undecodable, stats.late, stats.discarded), (50, 0, 0), "{stats:?}");
    assert!(line.heard_again_after_ms() <= 60);
}

/// A delay that a stall made 80 ms too long, in a tone that pauses after `pause_ms` for 200 ms, or never: after how many
/// ms of sound it's shortened first.
fn shortened_after_ms(pause_ms: Option<u32>) -> u64 {
    let delay = DelayConfig { min_ms: 20, target_max_ms: 20, ..DelayConfig::default() };
    let mut line: Host = Line::new(ReceiverConfig { delay, ..ReceiverConfig::default() });
    let tone = |n: u32| ((f64::from(n) / 8_000.0 * 200.0 * std::f64::consts::TAU).sin() * 8_000.0) as i16;
    let pauses = |n: u32| pause_ms.is_some_and(|pause| (pause..pause + 200).contains(&(n / 8)));
    line.speech = (0..20 * 8_000).map(|n| linear_to_ulaw(if pauses(n) { 0 } else { tone(n) })).collect();
    line.run_well(1_000);
    line.run(100, |n| Fate::After(u64::from(80 - n * 20) * 1_000), |_| {});
    let stats = line.receiver.stats();
    assert!(stats.concealed_late_samples >= 400 && stats.removed_samples == 0, "{stats:?}");
    let begin = line.now();
    while line.receiver.stats().removed_samples == 0 {
        line.run_well(10);
        assert!(line.now().since(begin).as_millis() < 10_000);
    }
    line.now().since(begin).as_millis()
}

#[test]
fn a_delay_a_little_too_long_waits_for_a_pause_but_not_for_ever() {
    let [soon, later, never] = [Some(1_600), Some(3_000), None].map(shortened_after_ms);
    println!("shortened after {soon}, {later}, {never} ms");
    assert!((500..800).contains(&soon) && (1_900..2_200).contains(&later), "{soon} {later}");
    assert!((2_900..3_300).contains(&never), "{never}");
}

#[test]
fn an_hour_of_drift_leaves_the_delay_where_it_should_be() {
    for ppm in [500.0, -500.0] {
        let mut line = running();
        line.ppm = ppm;
        let (mut most, mut concealed_late) = (0, 0);
        line.run(
            3_600_000,
            |_| Fate::After(0),
            |line| {
                most = most.max(line.played.playout_delay_us.unwrap_or(0));
                concealed_late += line.played.concealed;
            },
        );
        let stats = line.receiver.stats();
        println!("{ppm} ppm: delay at most {most} us, {concealed_late} samples concealed, {stats:?}");
        assert!(most <= 80_000, "{ppm}: {most} us");
        assert_eq!((stats.late, stats.discarded, stats.restarts), (0, 0, 0));
        let stretched = stats.removed_samples as i64 - stats.inserted_samples as i64;
        // 1.8 s in all; what is concealed while the buffer is dry is inserted time as well.
        let moved = stretched - stats.concealed_samples as i64;
        assert!((moved - (ppm * 28.8) as i64).abs() < 2_000, "{ppm}: {moved}");
        assert!(stats.concealed_samples < 8_000, "{ppm}: {stats:?}");
        assert!(stats.buffered_packets <= 4);
    }
}

#[test]
fn receivers_are_not_larger_than_they_say() {
    assert!(size_of::<NarrowbandReceiver>() <= 8_192, "{}", size_of::<NarrowbandReceiver>());
    assert!(size_of::<HostReceiver>() <= 144 * 1_024, "{}", size_of::<HostReceiver>());
    let stereo = size_of::<dsp_core::receive::StereoReceiver>();
    assert!((255 * 1_024..265 * 1_024).contains(&stereo), "{stereo}");
}

/// White noise never repeats itself, and one stall must not leave its delay behind for ever.
#[test]
fn the_delay_comes_down_in_noise() {
    use dsp_core::codec::g711::Pcmu;
    use dsp_core::receive::{HostReceiver, ReceiverConfig};
    use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
    use dsp_core::wire::rtp::RtpHeader;

    let mut receiver = Box::new(HostReceiver::new(ReceiverConfig::default()).unwrap());
    let mut decoders = (PayloadType::PCMU, Pcmu);
    let mut noise = 1u32;
    let (mut arrived, mut delay_us) = (0u32, 0);
    for tick in 0..40 * 50u32 {
        let now = Instant::from_millis(20 * u64::from(tick));
        // From second 5 on nothing comes for 800 ms, and then all of it.
        while arrived <= tick && !(250..290).contains(&tick) {
            let payload: [u8; 160] = std::array::from_fn(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 24) as u8 | 0x20
            });
            let header = RtpHeader {
                payload_type: PayloadType::PCMU,
                seq: Seq(arrived as u16),
                timestamp: RtpTime(arrived * 160),
                ssrc: Ssrc(1),
                ..RtpHeader::default()
            };
            let mut datagram = [0; 200];
            let len = header.write_packet(&payload, &mut datagram).unwrap();
            receiver.receive(now + Duration::from_millis(1), &datagram[..len]).unwrap();
            arrived += 1;
        }
        let played = receiver.play(now + Duration::from_millis(2), &mut decoders, &mut [0; 160]);
        delay_us = played.playout_delay_us.unwrap_or(delay_us);
    }
    assert!(receiver.stats().playout_delay.max_us > 700_000, "the stall was not heard");
    assert!(delay_us < 250_000, "{delay_us} us of delay are left: {:?}", receiver.stats());
}
