//! Mixers beside the loop that anybody would write first, with 32-bit sums: all are added up, and each gets the sum without
//! itself. The kernel alone with 200 ports, 20 ms of each at 16 kHz; and conferences at 8 kHz.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dsp_core::conference::{Conference, ConferenceConfig, Port};
use dsp_core::process::mixer::Mixer;
use host_std::room::{Room, RoomConfig};

const PORTS: usize = 200;
const SAMPLES: usize = 320;

fn mix(c: &mut Criterion) {
    let mut state = 1u32;
    let mut sample = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as i16 >> 3
    };
    let ports: Vec<[i16; SAMPLES]> = (0..PORTS).map(|_| std::array::from_fn(|_| sample())).collect();
    let mut out = vec![[0i16; SAMPLES]; PORTS];
    let mut group = c.benchmark_group("mixer of 200 ports, 20 ms at 16 kHz");
    let mut mixer = Mixer::<i16, SAMPLES>::default();
    group.bench_function("ours", |b| {
        b.iter(|| {
            let (ports, out) = (black_box(&ports), black_box(&mut out));
            let mut mix = mixer.frame(SAMPLES).expect("a frame of its length");
            ports.iter().for_each(|port| mix.add(port));
            ports.iter().zip(out).for_each(|(port, out)| mix.others(port, out));
        });
    });
    let mut sums = [0i32; SAMPLES];
    group.bench_function("naive sum minus self", |b| {
        b.iter(|| {
            let (ports, out) = (black_box(&ports), black_box(&mut out));
            sums.fill(0);
            for port in ports {
                for (sum, &sample) in sums.iter_mut().zip(port) {
                    *sum += i32::from(sample);
                }
            }
            for (port, out) in ports.iter().zip(out) {
                for ((out, &sum), &own) in out.iter_mut().zip(&sums).zip(port) {
                    *out = (sum - i32::from(own)).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
                }
            }
        });
    });
    group.finish();
}

/// Samples of 20 ms at 8 kHz.
const NARROW: usize = 160;

/// A conference in which all have faded in, with a gain for each.
fn conference(ports: usize, gain_hundredths_db: i16) -> Conference<Box<[Port<NARROW>]>, NARROW> {
    let config = ConferenceConfig { sample_rate_hz: 8_000, frame_samples: NARROW, ..Default::default() };
    let memory = vec![Port::EMPTY; ports].into_boxed_slice();
    let mut conference = Conference::new(config, memory).expect("a config that there is");
    for _ in 0..ports {
        let port = conference.join().expect("a free port");
        conference.set_gain(port, gain_hundredths_db).expect("a low gain");
    }
    conference
}

/// One frame of all: given, mixed, and heard by each.
fn turn(conference: &mut Conference<Box<[Port<NARROW>]>, NARROW>, ports: &[[i16; NARROW]], out: &mut [[i16; NARROW]]) {
    for (number, port) in ports.iter().enumerate() {
        black_box(conference.frame(number).expect("he has joined")).copy_from_slice(port);
    }
    conference.mix();
    for (number, out) in out.iter_mut().enumerate() {
        conference.others(number, out).expect("he has joined");
    }
}

/// The same by a first loop, which as a server copies what it is given.
fn naive(own: &mut [[i16; NARROW]], ports: &[[i16; NARROW]], out: &mut [[i16; NARROW]]) {
    for (own, port) in own.iter_mut().zip(ports) {
        black_box(&mut *own).copy_from_slice(port);
    }
    let mut sums = [0i32; NARROW];
    for port in &*own {
        for (sum, &sample) in sums.iter_mut().zip(port) {
            *sum += i32::from(sample);
        }
    }
    for (port, out) in own.iter().zip(out) {
        for ((out, &sum), &own) in out.iter_mut().zip(&sums).zip(port) {
            *out = (sum - i32::from(own)).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        }
    }
}

fn conferences(c: &mut Criterion) {
    for count in [16, 64, 200, 1_000] {
        let mut state = 1u32;
        let mut sample = |shift: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i16 >> shift
        };
        let quiet: Vec<[i16; NARROW]> = (0..count).map(|_| std::array::from_fn(|_| sample(6))).collect();
        let loud: Vec<[i16; NARROW]> = (0..count).map(|_| std::array::from_fn(|_| sample(0))).collect();
        let (mut own, mut out) = (vec![[0; NARROW]; count], vec![[0; NARROW]; count]);
        for (name, gain, ports, limited) in [
            ("gains of 0 dB, limiter at rest", 0, &quiet, false),
            ("gains of -3 dB, limiter at rest", -300, &quiet, false),
            ("gains of -3 dB, limiter at work", -300, &loud, true),
        ] {
            let mut group = c.benchmark_group(format!("conference of {count}, 20 ms at 8 kHz, {name}"));
            let mut conference = conference(count, gain);
            (0..3).for_each(|_| turn(&mut conference, ports, &mut out));
            assert_eq!(conference.limiter().gain_hundredths_db != 0, limited, "{count}, {name}");
            group.bench_function("ours", |b| b.iter(|| turn(&mut conference, black_box(ports), black_box(&mut out))));
            group.bench_function("naive sum minus self", |b| {
                b.iter(|| naive(&mut own, black_box(ports), black_box(&mut out)));
            });
            group.finish();
        }
    }
}

/// Rooms of 20 and of 200 members, each with a level meter and a voice detector, of whom one in twenty speaks: a tick of 10 ms at
/// 16 kHz.
fn rooms(c: &mut Criterion) {
    [20, 200].into_iter().for_each(|count| room(c, count));
}

fn room(c: &mut Criterion, count: usize) {
    let mut room = Room::new(RoomConfig::default()).expect("a config that there is");
    let members: Vec<_> = (0..count).map(|_| room.join().expect("there is a place for 200")).collect();
    let mut state = 1u32;
    let speech: [i16; 160] = std::array::from_fn(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as i16 >> 4
    });
    let quiet = speech.map(|sample| sample >> 8);
    let mut heard = [0; 160];
    c.bench_function(&format!("conference of {count} in a room, 10 ms at 16 kHz"), |b| {
        b.iter(|| {
            for (number, member) in members.iter().enumerate() {
                room.say(*member, black_box(if number % 20 == 0 { &speech } else { &quiet }));
            }
            room.mix();
            for member in &members {
                room.hear(*member, black_box(&mut heard));
            }
        });
    });
}

criterion_group!(benches, mix, conferences, rooms);
criterion_main!(benches);
