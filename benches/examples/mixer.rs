//! Prints a conference's time beside a naive loop's: `cargo run --release -p media-core-benches --example mixer`.
//!
//! Each of the ports gives 20 ms at 8 kHz and hears all others. The naive loop adds up all ports in 32 bits, and gives each the sum
//! without itself, saturated; as a server it copies what it is given first, which the bare loop doesn't. All three take
//! turns of some 50 us, so that whatever else the machine does hits all of them alike; times are medians.

use std::hint::black_box;
use std::time::Instant;

use dsp_core::conference::{Conference, ConferenceConfig, Port};

/// Samples of 20 ms at 8 kHz.
const FRAME: usize = 160;
/// PJMEDIA's conference bridge, all to all, in ns for 20 ms; nobody has measured it with 1,000 ports.
const PJMEDIA_NS: [(usize, f64); 3] = [(16, 31_800.0), (64, 525_000.0), (200, 5_110_000.0)];
/// Turns of each.
const TURNS: usize = 3_000;

type Frames = [[i16; FRAME]];
type Room = Conference<Box<[Port<FRAME>]>, FRAME>;

fn conference(ports: usize, gain_hundredths_db: i16) -> Room {
    let config = ConferenceConfig { sample_rate_hz: 8_000, frame_samples: FRAME, ..Default::default() };
    let mut room =
        Conference::new(config, vec![Port::EMPTY; ports].into_boxed_slice()).expect("a config that there is");
    for _ in 0..ports {
        let port = room.join().expect("a free port");
        room.set_gain(port, gain_hundredths_db).expect("a low gain");
    }
    room
}

#[inline(never)]
fn ours(room: &mut Room, ports: &Frames, out: &mut Frames) {
    for (number, port) in ports.iter().enumerate() {
        black_box(room.frame(number).expect("he has joined")).copy_from_slice(port);
    }
    room.mix();
    for (number, out) in out.iter_mut().enumerate() {
        room.others(number, out).expect("he has joined");
    }
}

#[inline(never)]
fn naive(own: &mut Frames, ports: &Frames, out: &mut Frames) {
    for (own, port) in own.iter_mut().zip(ports) {
        black_box(&mut *own).copy_from_slice(port);
    }
    bare(own, out);
}

#[inline(never)]
fn bare(ports: &Frames, out: &mut Frames) {
    let mut sums = [0i32; FRAME];
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
}

/// Time of one call in ns.
fn time(calls: usize, mut run: impl FnMut()) -> f64 {
    let begin = Instant::now();
    (0..calls).for_each(|_| run());
    begin.elapsed().as_nanos() as f64 / calls as f64
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    println!("| ports | what the mixer does | ours, ns | naive, ns | ratio | bare, ns | ratio | PJMEDIA takes |");
    println!("|---|---|---|---|---|---|---|---|");
    for count in [16, 64, 200, 1_000] {
        let mut state = 1u32;
        let mut frames = |shift: u32| -> Vec<[i16; FRAME]> {
            let mut sample = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) as i16 >> shift
            };
            (0..count).map(|_| std::array::from_fn(|_| sample())).collect()
        };
        let (quiet, loud) = (frames(6), frames(0));
        let (mut own, mut out) = (vec![[0; FRAME]; count], vec![[0; FRAME]; count]);
        for (name, gain, ports, limited) in [
            ("0 dB, limiter at rest", 0, &quiet, false),
            ("-3 dB each, limiter at rest", -300, &quiet, false),
            ("-3 dB each, limiter at work", -300, &loud, true),
        ] {
            let mut room = conference(count, gain);
            (0..3).for_each(|_| ours(&mut room, ports, &mut out));
            assert_eq!(room.limiter().gain_hundredths_db != 0, limited, "{count}, {name}");
            let calls = (1_600 / count).max(1);
            let mut times = [const { Vec::new() }; 3];
            for _ in 0..TURNS {
                times[0].push(time(calls, || ours(&mut room, black_box(ports), black_box(&mut out))));
                times[1].push(time(calls, || naive(&mut own, black_box(ports), black_box(&mut out))));
                times[2].push(time(calls, || bare(black_box(ports), black_box(&mut out))));
            }
            let [ours, naive, bare] = times.map(median);
            let pjmedia = PJMEDIA_NS.iter().find(|&&(ports, _)| ports == count);
            let pjmedia = pjmedia.map_or("-".into(), |(_, ns)| format!("{:.0} times as long", ns / ours));
            println!(
                "| {count} | {name} | {ours:.0} | {naive:.0} | {:.2} | {bare:.0} | {:.2} | {pjmedia} |",
                ours / naive,
                ours / bare
            );
        }
    }
}
