//! Concealment and time stretching of 20 ms frames: a fresh loss, a bridged one, the join, and the mean over a stream
//! with every tenth packet lost (the cost a call pays).

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use dsp_core::waveform::{Concealer, Stretcher};
use std::hint::black_box;

/// Something like a voice: a decaying resonance struck 110 times a second, with a little noise.
fn voice(rate_hz: usize, samples: usize) -> Vec<i16> {
    let mut seed = 1u32;
    (0..samples)
        .map(|i| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let t = (i % (rate_hz / 110)) as f64 / rate_hz as f64;
            let ring = (-t * 300.0).exp() * (t * 700.0 * std::f64::consts::TAU).sin();
            (ring * 9_000.0) as i16 + ((seed >> 24) as i16 - 128)
        })
        .collect()
}

fn conceal(c: &mut Criterion) {
    for rate in [8_000usize, 16_000, 48_000] {
        let mut group = c.benchmark_group(format!("conceal/{} kHz", rate / 1_000));
        let frame = rate / 50;
        let x = voice(rate, frame * 40);
        let (history, mut future) = (&x[..frame * 6], x[frame * 7..frame * 8].to_vec());
        let fresh = Concealer::new(rate as u32);
        let mut out = vec![0i16; frame];
        group.bench_function("first lost frame", |b| {
            b.iter(|| {
                let mut it = fresh.clone();
                it.conceal(black_box(history), &mut out);
            });
        });
        group.bench_function("bridged frame", |b| {
            b.iter(|| {
                let mut it = fresh.clone();
                it.bridge(black_box(history), &mut out, black_box(&mut future));
            });
        });
        let mut concealing = fresh.clone();
        concealing.conceal(history, &mut out);
        group.bench_function("second lost frame", |b| {
            b.iter(|| concealing.clone().conceal(black_box(&x[..frame * 7]), &mut out));
        });
        group.bench_function("merge", |b| {
            let mut good = future.clone();
            b.iter(|| concealing.clone().merge(black_box(&x[..frame * 7]), &mut good));
        });
        group.bench_function("30 frames with 3 lost", |b| {
            b.iter_batched_ref(
                || (fresh.clone(), x.clone()),
                |(it, x)| {
                    for i in 6..36 {
                        let (history, now) = x.split_at_mut(i * frame);
                        let history = &history[history.len() - frame * 6..];
                        if i % 10 == 7 {
                            it.conceal(history, &mut now[..frame]);
                        } else if it.is_concealing() {
                            it.merge(history, &mut now[..frame]);
                        }
                    }
                },
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

fn stretch(c: &mut Criterion) {
    let mut group = c.benchmark_group("stretch/8 kHz");
    let x = voice(8_000, 800);
    let mut it = Stretcher::new(8_000);
    group.bench_function("accelerate", |b| {
        b.iter_batched_ref(|| x.clone(), |x| it.accelerate(&mut [&mut x[..640]], 240, 160), BatchSize::SmallInput);
    });
    group.bench_function("decelerate", |b| {
        b.iter_batched_ref(|| x.clone(), |x| it.decelerate(&mut [x], 640, 240, 160), BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, conceal, stretch);
criterion_main!(benches);
