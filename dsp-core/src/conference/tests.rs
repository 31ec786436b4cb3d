use proptest::prelude::*;
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use super::limiter::THRESHOLD;
use super::*;
use crate::process::level::Level;

const FRAME: usize = 80;
type Room = Conference<Box<[Port<FRAME>]>, FRAME>;

fn room(ports: usize, loudest: Option<u16>) -> Room {
    let config = ConferenceConfig {
        sample_rate_hz: 8_000,
        frame_samples: FRAME,
        loudest: loudest.and_then(NonZeroU16::new),
        meters: true,
    };
    let mut room = Conference::new(config, vec![Port::EMPTY; ports].into_boxed_slice()).unwrap();
    (0..ports).for_each(|port| assert_eq!(room.join(), Ok(port)));
    room
}

/// A tone of `period` samples from sample `from` on.
fn tone(amplitude: f64, period: f64, from: usize) -> [i16; FRAME] {
    core::array::from_fn(|n| (amplitude * (core::f64::consts::TAU * (from + n) as f64 / period).sin()).round() as i16)
}

fn step(room: &mut Room, frames: &[Option<[i16; FRAME]>]) {
    for (port, frame) in frames.iter().enumerate() {
        if let Some(frame) = frame {
            room.frame(port).unwrap().copy_from_slice(frame);
        }
    }
    room.mix();
}

fn heard(room: &Room, port: usize) -> [i16; FRAME] {
    let mut out = [0; FRAME];
    room.others(port, &mut out).unwrap();
    out
}

/// The largest step from sample to sample.
fn steepest(samples: &[i16]) -> i32 {
    samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap()
}

fn speaking(dbov: i16) -> PortActivity {
    let mut meter = crate::process::level::LevelMeter::new(Default::default()).unwrap();
    let amplitude = 32_768.0 * 10f64.powf(f64::from(dbov) / 20.0);
    for _ in 0..2_000 {
        meter.hear(&[amplitude.round().min(32_767.0) as i16; FRAME]);
    }
    PortActivity { level: meter.rms_dbov(), probability: 255 }
}

#[test]
fn bad_settings_are_told() {
    let config = ConferenceConfig::default();
    let ports = || [Port::<160>::EMPTY; 2];
    let with = |config| Conference::new(config, ports()).map(|_| ()).unwrap_err();
    assert_eq!(with(ConferenceConfig { sample_rate_hz: 7_999, ..config }), ConferenceError::SampleRate(7_999));
    assert_eq!(with(ConferenceConfig { frame_samples: 161, ..config }), ConferenceError::Frame { need: 161, got: 160 });
    assert_eq!(with(ConferenceConfig { frame_samples: 0, ..config }), ConferenceError::Frame { need: 0, got: 160 });
    let none: [Port<160>; 0] = [];
    assert_eq!(Conference::new(config, none).map(|_| ()).unwrap_err(), ConferenceError::Ports(0));
    let mut room = Conference::new(config, ports()).unwrap();
    assert_eq!(room.frame(0).map(|_| ()), Err(ConferenceError::NotJoined(0)));
    assert_eq!((room.join(), room.join(), room.join()), (Ok(0), Ok(1), Err(ConferenceError::Full(2))));
    assert_eq!(room.set_gain(0, 1_806), Err(ConferenceError::Gain(1_806)));
    assert_eq!(room.leave(0), Ok(()));
    assert_eq!(room.leave(0), Err(ConferenceError::NotJoined(0)));
    assert_eq!(room.others(9, &mut []), Err(ConferenceError::NotJoined(9)));
    // The port is free when its sound has ended.
    assert_eq!(room.join(), Err(ConferenceError::Full(2)));
    room.mix();
    assert_eq!(room.join(), Ok(0));
}

proptest! {
    /// Below the limiter every listener's sum is that of a reference in 64 bits, for any length of frame.
    #[test]
    fn exact_below_the_limiter(
        frames in proptest::collection::vec(proptest::collection::vec(-1_000i16..=1_000, 67), 1..24),
        samples in 1usize..=67,
        absent in 0usize..24,
    ) {
        let config = ConferenceConfig { sample_rate_hz: 8_000, frame_samples: samples, ..Default::default() };
        let mut room = Conference::new(config, vec![Port::<67>::EMPTY; frames.len()].into_boxed_slice()).unwrap();
        for _ in 0..frames.len() {
            room.join().unwrap();
        }
        // Until all have faded in.
        for _ in 0..80usize.div_ceil(samples) {
            for port in 0..frames.len() {
                room.frame(port).unwrap().fill(0);
            }
            room.mix();
        }
        let present = |port: usize| port != absent;
        for (port, frame) in frames.iter().enumerate().filter(|&(port, _)| present(port)) {
            room.frame(port).unwrap().copy_from_slice(&frame[..samples]);
        }
        room.mix();
        prop_assert_eq!(room.limiter().gain_hundredths_db, 0);
        let sum = |n: usize| -> i64 {
            frames.iter().enumerate().filter(|&(port, _)| present(port)).map(|(_, frame)| i64::from(frame[n])).sum()
        };
        let mut out = vec![0; samples];
        for (port, frame) in frames.iter().enumerate() {
            room.others(port, &mut out).unwrap();
            for (n, &out) in out.iter().enumerate() {
                let own = if present(port) { i64::from(frame[n]) } else { 0 };
                prop_assert_eq!(i64::from(out), sum(n) - own);
            }
        }
        room.all(&mut out);
        for (n, &out) in out.iter().enumerate() {
            prop_assert_eq!(i64::from(out), sum(n));
        }
    }

    /// Whatever comes, nothing wraps: the mix has the sign of the exact sum, is below full scale, and no larger than the sum
    /// but for the rounding of forty times full scale to 16 bits.
    #[test]
    fn limited_without_wrapping(
        loud in proptest::collection::vec(proptest::collection::vec(any::<i16>(), FRAME), 1..40),
        frames in 1usize..6,
    ) {
        let mut room = room(loud.len(), None);
        for frame in 0..frames {
            for (port, samples) in loud.iter().enumerate() {
                // Loud and quiet in turn.
                let quiet = (frame % 2) * (port % 9);
                room.frame(port).unwrap().iter_mut().zip(samples).for_each(|(to, from)| *to = from >> quiet);
            }
            room.mix();
            let exact: Vec<i32> = room.sum.sum.to_vec();
            for port in 0..loud.len() {
                let own = room.ports[port].samples;
                for ((out, sum), own) in heard(&room, port).into_iter().zip(&exact).zip(own) {
                    let exact = sum - i32::from(own);
                    prop_assert!(i32::from(out) * exact.signum() >= 0, "{} of {}", out, exact);
                    prop_assert!(i32::from(out).abs() <= exact.abs() + 32, "{} of {}", out, exact);
                    prop_assert!(i32::from(out).abs() <= 32_767);
                }
            }
        }
    }
}

/// Ratio in dB of what isn't the tone to the tone, of `samples` with whole periods.
fn distortion_db(samples: &[i16], period: f64) -> f64 {
    let (mut sine, mut cosine, mut energy) = (0.0, 0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        let (sin, cos) = (core::f64::consts::TAU * n as f64 / period).sin_cos();
        sine += f64::from(sample) * sin;
        cosine += f64::from(sample) * cos;
        energy += f64::from(sample) * f64::from(sample);
    }
    let tone = (sine * sine + cosine * cosine) * 2.0 / samples.len() as f64;
    10.0 * ((energy - tone).max(1e-9) / tone).log10()
}

#[test]
fn eight_full_scale_talkers() {
    // All at once in one phase: the worst there is. 400 Hz: a period of 20 samples.
    let mut room = room(9, None);
    let mut mix = Vec::new();
    let mut gains = Vec::new();
    for tick in 0..50 {
        let loud = tone(32_767.0, 20.0, tick * FRAME);
        let mut frames = [Some(loud); 9];
        frames[8] = Some([0; FRAME]);
        step(&mut room, &frames);
        mix.extend(heard(&room, 8));
        gains.push(room.limiter().gain_hundredths_db);
    }
    assert!(mix.iter().all(|sample| sample.unsigned_abs() < 32_767));
    // The eightfold is 18.06 dB too loud, and the threshold 1 dB lower.
    let last = *gains.last().unwrap();
    assert!((-1_910..=-1_890).contains(&last), "{last}");
    let settled = distortion_db(&mix[FRAME * 20..], 20.0);
    let onset = distortion_db(&mix[..FRAME * 2], 20.0);
    std::println!(
        "eight full-scale talkers: gain {last}/100 dB, distortion {settled:.1} dB, in the first 20 ms {onset:.1} dB"
    );
    assert!(settled < -60.0, "{settled}");
    assert!(onset < -15.0, "{onset}");
    // Everybody falls silent but one quiet one: his own level is back within half a second.
    let mut heard_last = [0; FRAME];
    for tick in 50..120 {
        let mut frames = [Some([0; FRAME]); 9];
        frames[0] = Some(tone(1_000.0, 20.0, tick * FRAME));
        step(&mut room, &frames);
        heard_last = heard(&room, 8);
    }
    assert_eq!(heard_last, tone(1_000.0, 20.0, 119 * FRAME));
    assert_eq!(room.limiter().gain_hundredths_db, 0);
}

#[test]
fn the_limiter_begins_at_its_threshold() {
    let mut room = room(2, None);
    for level in [THRESHOLD, THRESHOLD + 1] {
        for _ in 0..3 {
            step(&mut room, &[Some([level as i16; FRAME]), Some([0; FRAME])]);
        }
        assert_eq!(room.limiter().limited_frames > 0, level > THRESHOLD);
    }
}

#[test]
fn nobody_clicks() {
    // 125 Hz at 8,000: the steepest step of the tone itself is 785.
    let amplitude = 8_000.0;
    let own_step = steepest(&tone(amplitude, 64.0, 0));
    let mut room = room(2, None);
    let mut mix = vec![0; FRAME];
    let mut at = 0;
    let mut run = |room: &mut Room, mix: &mut Vec<i16>, frames: usize, present: bool| {
        for _ in 0..frames {
            let sound = present.then(|| tone(amplitude, 64.0, at + 13));
            at += FRAME;
            step(room, &[sound, Some([0; FRAME])]);
            mix.extend(heard(room, 1));
        }
    };
    // Joins, stalls, comes back, is muted, unmuted, made louder, leaves.
    run(&mut room, &mut mix, 7, true);
    run(&mut room, &mut mix, 4, false);
    run(&mut room, &mut mix, 6, true);
    room.set_muted(0, true).unwrap();
    run(&mut room, &mut mix, 3, true);
    assert!(mix[mix.len() - FRAME..].iter().all(|&sample| sample == 0));
    room.set_muted(0, false).unwrap();
    run(&mut room, &mut mix, 3, true);
    room.set_gain(0, -1_200).unwrap();
    run(&mut room, &mut mix, 3, true);
    room.set_gain(0, 0).unwrap();
    run(&mut room, &mut mix, 3, true);
    room.leave(0).unwrap();
    for _ in 0..2 {
        step(&mut room, &[]);
        mix.extend(heard(&room, 1));
    }
    assert!(mix[mix.len() - FRAME..].iter().all(|&sample| sample == 0), "he is gone");
    let worst = steepest(&mix);
    // A ramp of 80 samples adds at most a hundredth of the amplitude to the tone's own step.
    assert!(worst <= own_step + amplitude as i32 / 80 + 2, "{worst} of {own_step}");
    assert_eq!(room.stats(1).unwrap().missing_frames, 2);
}

#[test]
fn a_stalled_participant_hurts_nobody() {
    let mut room = room(3, None);
    for tick in 0..20 {
        let stalled = (!(5..=15).contains(&tick)).then_some([5_000; FRAME]);
        step(&mut room, &[stalled, Some(tone(3_000.0, 20.0, tick * FRAME)), Some([0; FRAME])]);
        if (7..=15).contains(&tick) {
            assert_eq!(heard(&room, 2), tone(3_000.0, 20.0, tick * FRAME));
        }
    }
    assert_eq!(room.stats(0).unwrap().missing_frames, 11);
    assert_eq!(room.stats(0).unwrap().frames, 9);
    assert_eq!(room.stats(1).unwrap().missing_frames, 0);
}

#[test]
fn gain_and_clipping_are_each_ones_own() {
    let mut room = room(3, None);
    room.set_gain(0, -602).unwrap();
    for _ in 0..4 {
        step(&mut room, &[Some([1_000; FRAME]), Some([0; FRAME]), Some([0; FRAME])]);
    }
    let quiet = heard(&room, 1);
    for _ in 0..4 {
        step(&mut room, &[Some([1_000; FRAME]), Some([i16::MAX; FRAME]), Some([0; FRAME])]);
    }
    assert!(quiet.iter().all(|&sample| (499..=501).contains(&sample)), "{quiet:?}");
    assert_eq!(room.stats(1).unwrap().clipped_samples, 4 * FRAME as u64);
    assert_eq!(room.stats(1).unwrap().peak, 32_767);
    assert_eq!(room.stats(0).unwrap().clipped_samples, 0);
    assert_eq!(room.stats(0).unwrap().peak, 1_000);
}

#[test]
fn the_loudest_are_heard() {
    let mut room = room(6, Some(2));
    let chosen = |room: &Room| -> Vec<usize> { (0..6).filter(|&port| room.stats(port).unwrap().heard).collect() };
    let run = |room: &mut Room, frames: usize| {
        (0..frames).for_each(|_| step(room, &[Some([100; FRAME]); 6]));
    };
    run(&mut room, 3);
    assert_eq!(chosen(&room), [0, 1], "nobody speaks: the first ones");
    room.set_activity(4, speaking(-20)).unwrap();
    run(&mut room, 3);
    assert_eq!(chosen(&room), [1, 4]);
    room.set_activity(2, speaking(-30)).unwrap();
    run(&mut room, 3);
    assert_eq!(chosen(&room), [2, 4]);
    // Less than 3 dB above the quietest, and silent but loud: neither takes a place.
    room.set_activity(3, speaking(-28)).unwrap();
    room.set_activity(5, PortActivity { probability: 100, ..speaking(-5) }).unwrap();
    run(&mut room, 3);
    assert_eq!(chosen(&room), [2, 4]);
    room.set_activity(3, speaking(-26)).unwrap();
    run(&mut room, 3);
    assert_eq!(chosen(&room), [3, 4]);
    // A pause of 200 ms costs nobody his place.
    room.set_activity(4, PortActivity::NONE).unwrap();
    run(&mut room, 20);
    assert_eq!(chosen(&room), [3, 4]);
    // One of high priority speaks quietly, and an announcement has a place of its own.
    room.set_priority(1, FloorPriority::High).unwrap();
    room.set_activity(1, speaking(-50)).unwrap();
    room.set_priority(0, FloorPriority::Always).unwrap();
    run(&mut room, 3);
    assert_eq!(chosen(&room), [0, 1, 4]);
    // The muted lose the floor, and what is free is taken.
    room.set_muted(1, true).unwrap();
    run(&mut room, 3);
    assert_eq!(chosen(&room), [0, 3, 4]);
    room.leave(3).unwrap();
    room.mix();
    assert_eq!(room.active_speaker(), None);
}

#[test]
fn the_active_speaker_changes_without_haste() {
    let mut room = room(3, None);
    let run = |room: &mut Room, frames: usize| (0..frames).for_each(|_| step(room, &[Some([9; FRAME]); 3]));
    room.set_activity(1, speaking(-20)).unwrap();
    run(&mut room, 29);
    assert_eq!(room.active_speaker(), None);
    run(&mut room, 1);
    assert_eq!(room.active_speaker(), Some(1));
    // A cough.
    room.set_activity(2, speaking(-5)).unwrap();
    run(&mut room, 20);
    room.set_activity(2, PortActivity::NONE).unwrap();
    run(&mut room, 40);
    assert_eq!(room.active_speaker(), Some(1));
    room.set_activity(1, PortActivity::NONE).unwrap();
    room.set_activity(0, speaking(-35)).unwrap();
    run(&mut room, 200);
    assert_eq!(room.active_speaker(), Some(0));
    assert!(room.stats(0).unwrap().heard && Level::SILENCE < speaking(-35).level);
    room.leave(0).unwrap();
    assert_eq!(room.active_speaker(), None);
}
