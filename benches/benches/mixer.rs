//! A conference of 200 ports, 20 ms of each at 16 kHz: all are added up, and each gets the sum without itself. Beside it the
//! loop that anybody would write first, with 32-bit sums.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dsp_core::process::mixer::Mixer;

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

criterion_group!(benches, mix);
criterion_main!(benches);
