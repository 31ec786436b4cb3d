//! A room of real calls over bad networks: who hears whom.

use std::num::NonZeroU16;

use dsp_core::time::{Duration, Instant};
use host_std::opus::OpusEncoderConfig;
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::room::{Room, RoomConfig, TICK_MS};
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, Identity};
use host_std::simulate::callers::{Caller, SimulatedLines, tick};
use host_std::simulate::netsim::NetworkConfig;

const ROOM_HZ: u32 = 16_000;

/// Noise of one caller alone, in bursts like syllables, below 3 kHz at `rate_hz`.
fn murmur(caller: u32, rate_hz: u32, seconds: usize) -> Vec<i16> {
    let mut state = 0x9e37_79b9u32.wrapping_mul(caller + 1);
    let (mut low, mut lower) = (0.0f64, 0.0f64);
    let slow = 1.0 - (-std::f64::consts::TAU * 1_500.0 / f64::from(rate_hz)).exp();
    (0..rate_hz as usize * seconds)
        .map(|n| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = f64::from(state >> 8) / f64::from(1u32 << 23) - 1.0;
            low += slow * (noise - low);
            lower += slow * (low - lower);
            let seconds = n as f64 / f64::from(rate_hz);
            let envelope = (std::f64::consts::TAU * (3.0 + 0.3 * f64::from(caller)) * seconds).sin().max(0.1);
            (9_000.0 * envelope * lower).clamp(-32_000.0, 32_000.0) as i16
        })
        .collect()
}

fn formats() -> Vec<CodecFormat> {
    vec![CodecFormat::opus(), CodecFormat::g722(), CodecFormat::pcmu(), CodecFormat::pcma()]
}

fn call(format: &CodecFormat, port: u16, seed: u64) -> Call {
    let config = CallConfig {
        codecs: vec![format.clone()],
        registry: Registry::builtin().with(Opus(OpusEncoderConfig::default())),
        srtp: SrtpPolicy::Required,
        ..CallConfig::with_identity(port, Identity::seeded(seed))
    };
    Call::new(config).unwrap()
}

fn callers(
    count: usize,
    room: &Room,
    leaves: impl Fn(usize) -> (Instant, Option<Instant>),
    seconds: usize,
) -> Vec<Caller> {
    (0..count)
        .map(|number| {
            let format = &formats()[number % 4];
            let port = 10_000 + 4 * number as u16;
            let seed = 2 * number as u64;
            let (joins, leaves) = leaves(number);
            let ends = [call(format, port, seed), call(format, port + 2, seed + 1)];
            let [call, leg] = ends;
            let mut caller = Caller::connect(call, leg, room, joins, leaves).unwrap();
            caller.speech = murmur(number as u32, caller.sample_rate_hz(), seconds);
            caller
        })
        .collect()
}

/// The highest correlation of `sound` with `other`, which may come up to 200 ms later, at 8 kHz.
fn likeness(other: &[i16], other_hz: u32, sound: &[i16], sound_hz: u32) -> f64 {
    let thin = |pcm: &[i16], rate_hz: u32| -> Vec<f64> {
        let step = rate_hz as usize / 8_000;
        pcm.chunks_exact(step).map(|part| part.iter().map(|&x| f64::from(x)).sum::<f64>() / step as f64).collect()
    };
    let (other, sound) = (thin(other, other_hz), thin(sound, sound_hz));
    let energy = |pcm: &[f64]| pcm.iter().map(|x| x * x).sum::<f64>();
    (0..1_600)
        .map(|lag| {
            let later = &sound[lag.min(sound.len())..];
            let count = later.len().min(other.len());
            let product: f64 = later[..count].iter().zip(&other).map(|(a, b)| a * b).sum();
            product.abs() / (energy(&later[..count]) * energy(&other[..count])).sqrt().max(1.0)
        })
        .fold(0.0, f64::max)
}

#[test]
fn each_hears_all_but_himself() {
    let seconds = 8;
    let mut room = Room::new(RoomConfig { sample_rate_hz: ROOM_HZ, capacity: 8, loudest: None }).unwrap();
    let mut callers = callers(4, &room, |_| (Instant::ZERO, None), seconds);
    let network = NetworkConfig { loss_percent: 2.0, jitter_ms: 10.0, ..NetworkConfig::default() };
    let mut lines = SimulatedLines::new(4, network, 7);
    for n in 0..seconds as u64 * 1_000 / u64::from(TICK_MS) {
        tick(&mut room, &mut callers, &mut lines, Instant::from_millis(n * u64::from(TICK_MS))).unwrap();
    }
    for (listener, hears) in callers.iter().enumerate() {
        let stats = hears.call.stats();
        assert!(stats.receiver.decoded_packets > 200, "{listener}: {stats:?}");
        for (talker, says) in callers.iter().enumerate() {
            // From the second second on: the delays have settled.
            let from = |pcm: &[i16], rate: u32| pcm[2 * rate as usize..].to_vec();
            let (said_hz, heard_hz) = (says.sample_rate_hz(), hears.sample_rate_hz());
            let likeness = likeness(&from(&says.said, said_hz), said_hz, &from(&hears.heard, heard_hz), heard_hz);
            println!("{listener} hears {talker}: {likeness:.3}");
            if listener == talker {
                // Six seconds of noise of 1.5 kHz are alike to this much by chance.
                assert!(likeness < 0.05, "{listener} hears himself: {likeness}");
            } else {
                // Delays that change in mid-call make the whole less alike than its parts.
                assert!(likeness > 0.1, "{listener} doesn't hear {talker}: {likeness}");
            }
        }
    }
    assert!(room.members().all(|member| member.port.heard && member.port.missing_frames == 0));
}

#[test]
fn late_joiners_the_muted_and_the_held() {
    let mut room = Room::new(RoomConfig { sample_rate_hz: ROOM_HZ, capacity: 8, loudest: NonZeroU16::new(2) }).unwrap();
    let at = Instant::from_millis;
    let times = |number: usize| if number == 2 { (at(2_000), Some(at(4_000))) } else { (at(0), None) };
    let mut callers = callers(3, &room, times, 8);
    let mut lines = SimulatedLines::new(3, NetworkConfig::default(), 7);
    let mut run = |room: &mut Room, callers: &mut Vec<Caller>, from_ms: u64, to_ms: u64| {
        for n in from_ms / 10..to_ms / 10 {
            tick(room, callers, &mut lines, at(n * 10)).unwrap();
        }
    };
    let loudness =
        |pcm: &[i16]| pcm.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt() / (pcm.len() as f64).sqrt();
    let last = |caller: &Caller, ms: usize| {
        let samples = caller.sample_rate_hz() as usize * ms / 1_000;
        loudness(&caller.heard[caller.heard.len() - samples..])
    };
    run(&mut room, &mut callers, 0, 2_000);
    assert_eq!(room.members().count(), 2);
    assert!(last(&callers[0], 500) > 100.0);
    run(&mut room, &mut callers, 2_000, 4_000);
    assert_eq!(room.members().count(), 3);
    assert!(last(&callers[2], 500) > 100.0, "the late joiner hears");
    run(&mut room, &mut callers, 4_000, 4_500);
    assert_eq!(room.members().count(), 2, "he has left");
    // Muted: the other hears nothing of him, he hears on.
    let (first, second) = (callers[0].member().unwrap(), callers[1].member().unwrap());
    room.set_muted(first, true).unwrap();
    run(&mut room, &mut callers, 4_500, 5_500);
    assert!(last(&callers[1], 500) < 40.0, "{}", last(&callers[1], 500));
    assert!(last(&callers[0], 500) > 100.0);
    room.set_muted(first, false).unwrap();
    room.set_on_hold(second, true).unwrap();
    run(&mut room, &mut callers, 5_500, 6_500);
    assert!(last(&callers[0], 500) < 40.0 && last(&callers[1], 500) < 40.0, "neither way");
    room.set_on_hold(second, false).unwrap();
    run(&mut room, &mut callers, 6_500, 7_500);
    assert!(last(&callers[0], 500) > 100.0 && last(&callers[1], 500) > 100.0);
    assert!(room.leave(first).is_ok() && room.leave(first).is_err());
    assert_eq!(Duration::from_millis(room.ticks() * 10), Duration::from_millis(7_500));
}
