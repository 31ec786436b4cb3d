//! A room of real calls over bad networks: who hears whom.

use std::num::NonZeroU16;

use dsp_core::time::{Duration, Instant};
use host_std::opus::OpusEncoderConfig;
use host_std::player::{Blend, Player};
use host_std::record::recorder::{Layout, Recorder, RecorderConfig};
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::room::{Room, RoomConfig, TICK_MS};
use host_std::sdp::{ExtensionOptions, OfferExtensions, SrtpPolicy};
use host_std::session::{Call, CallConfig, Channel, Identity};
use host_std::simulate::callers::{Arrived, Carrier, Side, SimulatedCaller, SimulatedLines, tick};
use host_std::simulate::netsim::NetworkConfig;
use host_std::wav::WavFrames;
use media_core_tests::program::{folder, media_core};

const ROOM_HZ: u32 = 16_000;

/// Noise of one caller alone, in bursts like syllables, below 3 kHz at `rate_hz`.
pub(super) fn murmur(caller: u32, rate_hz: u32, seconds: usize) -> Vec<i16> {
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

pub(super) fn call(format: &CodecFormat, port: u16, seed: u64) -> Call {
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
) -> Vec<SimulatedCaller> {
    (0..count)
        .map(|number| {
            let format = &formats()[number % 4];
            let port = 10_000 + 4 * number as u16;
            let seed = 2 * number as u64;
            let (joins, leaves) = leaves(number);
            let ends = [call(format, port, seed), call(format, port + 2, seed + 1)];
            let [call, leg] = ends;
            let mut caller = SimulatedCaller::connect(call, leg, room, joins, leaves).unwrap();
            caller.speech = murmur(number as u32, caller.sample_rate_hz(), seconds);
            caller
        })
        .collect()
}

/// The highest correlation of `sound` with `other`, which may come up to 400 ms later, at 8 kHz.
pub(super) fn likeness(other: &[i16], other_hz: u32, sound: &[i16], sound_hz: u32) -> f64 {
    let thin = |pcm: &[i16], rate_hz: u32| -> Vec<f64> {
        let step = rate_hz as usize / 8_000;
        pcm.chunks_exact(step).map(|part| part.iter().map(|&x| f64::from(x)).sum::<f64>() / step as f64).collect()
    };
    let (other, sound) = (thin(other, other_hz), thin(sound, sound_hz));
    let energy = |pcm: &[f64]| pcm.iter().map(|x| x * x).sum::<f64>();
    (0..3_200)
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

/// Callers say how loud they are and whether they speak (RFC 6464); the room believes who says that he doesn't, and tells each who
/// is in what he hears and how loud (RFC 6465).
#[test]
fn levels_go_into_a_room_and_come_out_of_it() {
    let mut room = Room::new(RoomConfig { sample_rate_hz: ROOM_HZ, capacity: 4, loudest: None }).unwrap();
    let mut callers: Vec<_> = (0..4_u16)
        .map(|number| {
            let of = |end: u16, extensions| {
                let port = 10_000 + 4 * number + 2 * end;
                let config = CallConfig {
                    codecs: vec![formats()[usize::from(number)].clone()],
                    extensions,
                    ..CallConfig::with_identity(port, Identity::seeded(port.into()))
                };
                Call::new(config).unwrap()
            };
            let says = ExtensionOptions { offer: OfferExtensions::Always, ..ExtensionOptions::default() };
            // The last one says and is told nothing.
            let ends = if number < 3 {
                [of(0, says), of(1, ExtensionOptions::mixer())]
            } else {
                [of(0, ExtensionOptions::NONE), of(1, ExtensionOptions::mixer())]
            };
            let [call, leg] = ends;
            let mut caller = SimulatedCaller::connect(call, leg, &room, Instant::ZERO, None).unwrap();
            let rate_hz = caller.sample_rate_hz();
            caller.speech = murmur(number.into(), rate_hz, 6);
            caller
        })
        .collect();
    // The third is as loud as the others, and its own detector hears nobody.
    let mut lines = SimulatedLines::new(4, NetworkConfig { loss_percent: 2.0, ..NetworkConfig::default() }, 7);
    let sources: Vec<_> = callers.iter().map(|caller| caller.call.sent_source(0).unwrap()).collect();
    let (mut named, mut differ, mut spoke) = ([[0_u32; 4]; 4], [[0.0; 2]; 3], [0_u32; 4]);
    for n in 0..600 {
        let activity = dsp_core::process::activity::Activity {
            speech: false,
            probability: 0,
            periodicity: 0,
            noise: dsp_core::process::level::Level::SILENCE,
        };
        callers[2].call.hear_activity(0, Some(activity));
        tick(&mut room, &mut callers, &mut lines, Instant::from_millis(n * u64::from(TICK_MS))).unwrap();
        if n < 200 {
            continue;
        }
        for (listener, caller) in callers.iter().enumerate() {
            let Some(source) = caller.call.sources().next() else { continue };
            for (who, level) in source.contributors.iter() {
                let who = sources.iter().position(|source| *source == who).unwrap();
                named[listener][who] += u32::from(level.unwrap() > -60);
            }
        }
        for member in room.members() {
            let who = callers.iter().position(|caller| caller.member() == Some(member.id)).unwrap();
            spoke[who] += u32::from(member.speaks);
            assert_eq!(member.told.is_some(), who < 3);
            if let Some(told) = member.told {
                // Of each packet, and of the last 100 ms as they were decoded.
                let power = |dbov: f64| 10f64.powf(dbov / 10.0);
                differ[who][0] += power(told.level_dbov.into());
                differ[who][1] += power(f64::from(member.level.hundredths_dbov()) / 100.0);
            }
        }
    }
    println!("named {named:?}, spoke {spoke:?}");
    for listener in 0..4 {
        assert_eq!(named[listener][listener], 0, "nobody is in what he hears himself");
        let others = (0..4).filter(|other| *other != listener);
        if listener < 3 {
            assert!(others.map(|other| named[listener][other]).all(|ticks| ticks > 200), "{named:?}");
        } else {
            assert_eq!(named[listener], [0; 4]);
        }
    }
    assert!(spoke[0] > 50 && spoke[1] > 50 && spoke[3] > 50, "{spoke:?}");
    assert_eq!(spoke[2], 0, "who says that he doesn't speak doesn't");
    for [told, decoded] in differ {
        let apart: f64 = 10.0 * (told / decoded).log10();
        assert!(apart.abs() < 2.0, "{differ:?}: {apart} dB");
    }
    // He who is on hold hears nobody, and is named to nobody.
    let (first, second) = (callers[0].member().unwrap(), callers[1].member().unwrap());
    assert_eq!(room.contributors(first).len(), 3);
    room.set_on_hold(first, true).unwrap();
    assert_eq!((room.contributors(first).len(), room.contributors(second).len()), (0, 2));
    room.leave(first).unwrap();
    assert_eq!(room.contributors(first).len(), 0);
    assert!(room.tell(first, sources[0], None).is_err());
}

/// Samples of `rate_hz` in so many ms.
fn samples(ms: u64, rate_hz: u32) -> usize {
    (ms * u64::from(rate_hz) / 1_000) as usize
}

fn rms(pcm: &[i16]) -> f64 {
    (pcm.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / pcm.len().max(1) as f64).sqrt()
}

/// Twenty callers of mixed codecs speak one after the other, with pauses for what comes back: nothing does, though the network
/// loses packets, and all others hear each of them.
#[test]
fn none_of_twenty_hears_himself() {
    const SLOT_MS: u64 = 800;
    let count = 20;
    let mut room = Room::new(RoomConfig { sample_rate_hz: ROOM_HZ, capacity: count, loudest: None }).unwrap();
    let mut callers = callers(count, &room, |_| (Instant::ZERO, None), 1);
    for (number, caller) in callers.iter_mut().enumerate() {
        let rate_hz = caller.sample_rate_hz();
        let voice = std::mem::take(&mut caller.speech);
        caller.speech = vec![0; samples(SLOT_MS * (count as u64 + 3), rate_hz)];
        // Behind a second in which the delays settle.
        let begin = samples(1_000 + SLOT_MS * number as u64, rate_hz);
        let length = samples(300, rate_hz);
        let loud = voice[..length].iter().map(|&x| x.saturating_mul(4));
        caller.speech[begin..begin + length].iter_mut().zip(loud).for_each(|(to, x)| *to = x);
    }
    let network = NetworkConfig { loss_percent: 2.0, jitter_ms: 5.0, ..NetworkConfig::default() };
    let mut lines = SimulatedLines::new(count, network, 11);
    for n in 0..(1_000 + SLOT_MS * (count as u64 + 1)) / u64::from(TICK_MS) {
        tick(&mut room, &mut callers, &mut lines, Instant::from_millis(n * u64::from(TICK_MS))).unwrap();
    }
    // How much of what a talker said is in what a listener hears from then on: the gain of the best delay up to 400 ms.
    let gain = |listener: usize, talker: usize| {
        let part = |pcm: &[i16], rate_hz: u32, length_ms: u64| -> Vec<f64> {
            let begin = samples(1_000 + SLOT_MS * talker as u64, rate_hz);
            let step = rate_hz as usize / 8_000;
            let thin = pcm[begin..begin + samples(length_ms, rate_hz)].chunks_exact(step);
            let thin: Vec<f64> = thin.map(|few| few.iter().map(|&x| f64::from(x)).sum::<f64>() / step as f64).collect();
            // A-law has no zero.
            let mean = thin.iter().sum::<f64>() / thin.len() as f64;
            thin.iter().map(|x| x - mean).collect()
        };
        let said = part(&callers[talker].said, callers[talker].sample_rate_hz(), 300);
        let heard = part(&callers[listener].heard, callers[listener].sample_rate_hz(), 700);
        let energy: f64 = said.iter().map(|x| x * x).sum();
        let product = |lag: usize| said.iter().zip(&heard[lag..]).map(|(a, b)| a * b).sum::<f64>().abs();
        (0..3_200).map(product).fold(0.0, f64::max) / energy
    };
    for talker in 0..count {
        let (own, others) = (gain(talker, talker), gain((talker + 7) % count, talker));
        println!("{talker}: {own:.4} of his own, another hears {others:.2}");
        // Two packets of fifteen may be lost.
        assert!(others > 0.2, "{talker} is heard: {others}");
        assert!(own < 0.02, "{talker} hears himself: {own}");
    }
}

/// One who is in the middle of a tone joins and leaves: no edge in what another hears is steeper than those of the tone.
#[test]
fn who_joins_and_leaves_in_the_middle_of_a_tone_is_no_click() {
    for (number, format) in formats().iter().enumerate() {
        let mut room = Room::new(RoomConfig { sample_rate_hz: ROOM_HZ, capacity: 2, loudest: None }).unwrap();
        let line = |format: &CodecFormat, number: usize, joins_ms: u64, leaves_ms: Option<u64>, room: &Room| {
            let (port, seed) = (10_000 + 4 * number as u16, 2 * number as u64);
            let ends = [call(format, port, seed), call(format, port + 2, seed + 1)];
            let [call, leg] = ends;
            SimulatedCaller::connect(
                call,
                leg,
                room,
                Instant::from_millis(joins_ms),
                leaves_ms.map(Instant::from_millis),
            )
            .unwrap()
        };
        let listener = line(&CodecFormat::l16(16_000, 1), 0, 0, None, &room);
        let mut talker = line(format, 1, 1_000, Some(2_510 + 30 * number as u64), &room);
        let rate_hz = f64::from(talker.sample_rate_hz());
        let tone = |n: u32| 8_000.0 * (std::f64::consts::TAU * 440.0 * f64::from(n) / rate_hz + 1.3).sin();
        talker.speech = (0..rate_hz as u32).map(|n| tone(n) as i16).collect();
        let mut callers = vec![listener, talker];
        let mut lines = SimulatedLines::new(2, NetworkConfig::default(), 5);
        for n in 0..320 {
            tick(&mut room, &mut callers, &mut lines, Instant::from_millis(10 * n)).unwrap();
        }
        let heard = &callers[0].heard;
        let edge = |pcm: &[i16]| {
            let steps = pcm.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs());
            steps.max().unwrap_or(0)
        };
        let steady = edge(&heard[samples(1_800, 16_000)..samples(2_300, 16_000)]);
        assert!(steady < 1_800, "{format:?}: a tone has no edge of {steady}");
        assert!(rms(&heard[samples(1_800, 16_000)..samples(2_300, 16_000)]) > 5_000.0, "{format:?}: he is heard");
        assert!(rms(&heard[samples(2_900, 16_000)..]) < 30.0, "{format:?}: he has left");
        let (joins, leaves) = (&heard[..samples(1_800, 16_000)], &heard[samples(2_300, 16_000)..]);
        println!("{}: {} to join and {} to leave, {steady} of the tone", format.name, edge(joins), edge(leaves));
        assert!(edge(joins).max(edge(leaves)) <= steady + steady / 8, "{format:?}");
    }
}

/// Lines of which one, from a time on, lets nothing through for a while.
struct Stalling {
    lines: SimulatedLines,
    who: usize,
    from: Instant,
    until: Instant,
}

impl Carrier for Stalling {
    fn send(&mut self, caller: usize, from: Side, now: Instant, channel: Channel, datagram: &[u8]) {
        if caller != self.who || now < self.from || now >= self.until {
            self.lines.send(caller, from, now, channel, datagram);
        }
    }

    fn arrived(&mut self, now: Instant) -> Option<Arrived> {
        self.lines.arrived(now)
    }
}

/// A participant whose network stands still changes not a bit of what the others hear of each other.
#[test]
fn who_stalls_hurts_nobody() {
    let heard = |until_ms: u64| -> Vec<Vec<i16>> {
        let mut room = Room::new(RoomConfig { sample_rate_hz: ROOM_HZ, capacity: 4, loudest: None }).unwrap();
        let mut callers = callers(4, &room, |_| (Instant::ZERO, None), 4);
        // He of PCMU says nothing, which is nothing in PCMU too.
        callers[2].speech = vec![0; 8_000];
        let lines = SimulatedLines::new(4, NetworkConfig { jitter_ms: 5.0, ..NetworkConfig::default() }, 3);
        let at = Instant::from_millis;
        let mut lines = Stalling { lines, who: 2, from: at(1_000), until: at(until_ms) };
        for n in 0..400 {
            tick(&mut room, &mut callers, &mut lines, at(10 * n)).unwrap();
        }
        assert!(room.members().all(|member| member.port.missing_frames == 0));
        callers.into_iter().map(|caller| caller.heard).collect()
    };
    let (calm, stalled) = (heard(1_000), heard(3_000));
    for listener in [0, 1, 3] {
        assert!(calm[listener] == stalled[listener], "{listener}");
    }
    // While it stands still he hears nothing, and afterwards the others again.
    let second = |pcm: &[i16], second: usize| rms(&pcm[8_000 * second + 4_000..8_000 * (second + 1)]);
    assert!(second(&stalled[2], 2) < 1.0 && second(&calm[2], 2) > 100.0 && second(&stalled[2], 3) > 100.0);
}

#[test]
fn late_joiners_the_muted_and_the_held() {
    let mut room = Room::new(RoomConfig { sample_rate_hz: ROOM_HZ, capacity: 8, loudest: NonZeroU16::new(2) }).unwrap();
    let at = Instant::from_millis;
    let times = |number: usize| if number == 2 { (at(2_000), Some(at(4_000))) } else { (at(0), None) };
    let mut callers = callers(3, &room, times, 8);
    let mut lines = SimulatedLines::new(3, NetworkConfig::default(), 7);
    let mut run = |room: &mut Room, callers: &mut Vec<SimulatedCaller>, from_ms: u64, to_ms: u64| {
        for n in from_ms / 10..to_ms / 10 {
            tick(room, callers, &mut lines, at(n * 10)).unwrap();
        }
    };
    let loudness =
        |pcm: &[i16]| pcm.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt() / (pcm.len() as f64).sqrt();
    let last = |caller: &SimulatedCaller, ms: usize| {
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

#[test]
fn the_commands_of_a_conference() {
    let dir = folder("conference");
    let run = |args: &[&str]| {
        let output = std::process::Command::new(media_core()).current_dir(&dir).args(args).output().unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let (success, text) =
        run(&["conference", "--demo", "3", "--fast", "--seconds", "9", "--loss", "2", "--loudest", "2"]);
    assert!(success, "{text}");
    let report = std::fs::read_to_string(dir.join("media-core-conference/conference.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let callers = report["callers"].as_array().unwrap();
    assert_eq!(callers.len(), 3);
    assert!(callers.iter().all(|caller| !caller["heard_by_others_ms"].as_array().unwrap().is_empty()), "{report}");
    for (number, caller) in callers.iter().enumerate() {
        assert!(!caller["said_speaking_ms"].as_array().unwrap().is_empty(), "{caller}");
        let named: Vec<_> = caller["named_ms"].as_array().unwrap().iter().map(|ms| ms.as_u64().unwrap()).collect();
        assert!(named.iter().enumerate().all(|(other, ms)| (*ms == 0) == (other == number)), "{caller}");
    }
    let page = std::fs::read_to_string(dir.join("media-core-conference/conference.html")).unwrap();
    assert!(page.contains("Who heard whom"), "{page}");
    // A track of each, and an Opus file of each; who joins late is silent before it.
    let (success, text) = run(&[
        "conference",
        "--demo",
        "2",
        "--fast",
        "--seconds",
        "5",
        "--join-every",
        "2",
        "--stay",
        "2.5",
        "--record",
        "room.wav",
        "--out",
        "come-and-go",
        "--tracks",
        "--metadata",
        "room.xml",
    ]);
    assert!(success, "{text}");
    let mut file = WavFrames::open(dir.join("room.wav"), 16_000, 2).unwrap();
    let mut pcm = vec![0; 2 * 16_000 * 5];
    let frames = file.read(&mut pcm).unwrap();
    // Until the last of them has left.
    assert!(frames.abs_diff(72_000) < 800, "{frames}");
    let channel = |channel: usize, from_s: usize, until_s: usize| {
        let part: Vec<i16> = pcm.iter().skip(channel).step_by(2).copied().collect();
        rms(&part[16_000 * from_s..16_000 * until_s])
    };
    assert!(channel(0, 0, 2) > 100.0 && channel(1, 0, 2) == 0.0 && channel(1, 2, 4) > 100.0, "{text}");
    assert!(channel(0, 3, 4) < 1.0, "he has left");
    let metadata = std::fs::read_to_string(dir.join("room.xml")).unwrap();
    assert_eq!((metadata.matches("<stream ").count(), metadata.matches("<stop-time>").count()), (2, 1), "{metadata}");
    let (success, text) = run(&[
        "conference",
        "--demo",
        "2",
        "--fast",
        "--seconds",
        "2",
        "--record",
        "each.opus",
        "--tracks",
        "--out",
        "each",
    ]);
    assert!(success && dir.join("each-1.opus").exists() && dir.join("each-2.opus").exists(), "{text}");
    let (success, text) = run(&["conference", "--demo", "2", "--fast", "--fork", "rtp://127.0.0.1:4000"]);
    assert!(!success && text.contains("without --fast"), "{text}");
    let (success, text) = run(&["conference", "--demo", "2", "--fork", "127.0.0.1:4000"]);
    assert!(!success && text.contains("rtp://HOST:PORT"), "{text}");
    // All that was heard, mixed.
    let files = ["media-core-conference/caller-1.wav", "media-core-conference/caller-2.wav"];
    let (success, text) = run(&["mix", files[0], files[1], "--gain", "12", "mix.wav"]);
    assert!(success && text.contains("8.8") || text.contains("9.0"), "{text}");
    let (success, text) = run(&["mix", files[0], "--gain", "1", "--gain", "2", "mix.wav"]);
    assert!(!success && text.contains("2 gains for 1 files"), "{text}");
    // One file alone is what it was, from its first sample on.
    let (success, text) = run(&["mix", files[1], "same.wav"]);
    let read =
        |file: &str| WavFrames::open(dir.join(file), 16_000, 1).unwrap().read_all(Duration::from_secs(20)).unwrap();
    assert!(success && read("same.wav") == read(files[1]), "{text}");
    // A recording in two channels with an announcement, faster than real time.
    let (success, text) = run(&[
        "demo",
        "--fast",
        "--seconds",
        "8",
        "--record",
        "call.wav",
        "--tracks",
        "--announce",
        "mix.wav@2",
        "--out",
        "out",
    ]);
    assert!(success && text.contains("recorded: call.wav"), "{text}");
    let file = WavFrames::open(dir.join("call.wav"), 16_000, 2).unwrap();
    assert!(file.len().abs_diff(8 * 16_000) < 800, "{}", file.len());
    let (success, text) = run(&["demo", "--fast", "--seconds", "2", "--record", "call.mp3", "--out", "out"]);
    assert!(!success && text.contains(".wav, .opus or .ogg"), "{text}");
    std::fs::remove_dir_all(dir).unwrap();
}

/// What is announced to all, to one, and to one on hold; a gain; and a track of one member.
#[test]
fn announcements_gains_and_tracks_of_a_room() {
    let path = std::env::temp_dir().join(format!("media-core-{}-room.wav", std::process::id()));
    let config = RecorderConfig { tracks: 2, layout: Layout::Channels, ..RecorderConfig::new(&path) };
    let (recorder, tracks) = Recorder::start(config).unwrap();
    let mut tracks = tracks.into_iter();
    let mut room = Room::new(RoomConfig { capacity: 3, ..RoomConfig::default() }).unwrap();
    let (anna, ben) = (room.join().unwrap(), room.join().unwrap());
    room.set_track(tracks.next());
    room.set_member_track(ben, tracks.next()).unwrap();
    let run = |room: &mut Room, ticks: usize| {
        let mut heard = [[0; 160]; 2];
        for _ in 0..ticks {
            assert!(room.say(anna, &[1_000; 160]) && room.say(ben, &[200; 160]));
            room.mix();
            assert!(room.hear(anna, &mut heard[0]) && room.hear(ben, &mut heard[1]));
        }
        heard.map(|heard| heard[159])
    };
    let constant = |value: i16, repeat: bool| Player::of_samples(vec![value; 1_600], 1, repeat);
    assert_eq!(run(&mut room, 5), [200, 1_000]);
    room.announce(constant(40, false)).unwrap();
    // It fades in with its first 10 ms, and ends after 100 ms.
    assert_eq!(run(&mut room, 5), [240, 1_040]);
    assert_eq!(run(&mut room, 10), [200, 1_000]);
    room.announce_to(ben, constant(7, true), Blend::Mixed).unwrap();
    assert_eq!(run(&mut room, 20), [200, 1_007]);
    room.announce_to(ben, constant(9, true), Blend::Instead).unwrap();
    room.set_on_hold(ben, true).unwrap();
    assert_eq!(run(&mut room, 5), [0, 9], "music on hold, and nobody hears him");
    room.set_on_hold(ben, false).unwrap();
    room.announce_to(ben, constant(0, false), Blend::Mixed).unwrap();
    room.set_gain(anna, -602).unwrap();
    assert_eq!(run(&mut room, 20), [200, 500]);
    let ticks = room.ticks();
    recorder.stop().unwrap();
    let sound = WavFrames::open(&path, 16_000, 2).unwrap().read_all(Duration::from_secs(9)).unwrap();
    assert_eq!(sound.len() as u64, ticks * 320);
    assert_eq!(sound[sound.len() - 2..], [700, 200], "the mix, and what one of them says");
    assert_eq!(sound[2 * 2 * 160..2 * 2 * 160 + 2], [1_200, 200]);
    std::fs::remove_file(path).unwrap();
}
