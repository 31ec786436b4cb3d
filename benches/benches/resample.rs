//! Resampling of 20 ms of one channel, beside rubato in the same run, and speexdsp with the feature `c-peers`: each of ours
//! beside the speexdsp of at least its rejection and of the next one below. Measured before the times, and printed: the
//! rejection of each, which is the SINAD of a sine at 0.86 of the band at -1 dBFS (images) and, downwards, how far down a
//! sine at 1.05 of the band is (aliases).

use std::f64::consts::TAU;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dsp_core::kernel::Kernel;
use dsp_core::process::resample::{Design, Line, Plan, Quality};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _};

const PAIRS: [(u32, u32); 5] = [(8_000, 16_000), (8_000, 48_000), (48_000, 16_000), (44_100, 48_000), (48_000, 44_100)];

/// What makes sound of one rate from 20 ms of another's.
type Run<S> = Box<dyn FnMut(&[S], &mut [S]) -> usize>;

fn ours<S: Kernel>(plan: Plan) -> Run<S> {
    let table = vec![S::Taps::default(); plan.table_len()];
    let design = Design::new::<S>(plan, table).expect("a table of that length");
    let history = vec![S::default(); plan.history_len(plan.from_hz() as usize / 50)];
    let mut line = Line::new(plan, history).expect("a history of that length");
    Box::new(move |input, output| design.process(&mut line, input, output).produced)
}

#[cfg(feature = "c-peers")]
fn speex_f32(from: u32, to: u32, quality: i32) -> Run<f32> {
    let mut speex = media_core_benches::speexdsp::Resampler::new(from, to, quality);
    Box::new(move |input, output| speex.process_f32(input, output))
}

#[cfg(feature = "c-peers")]
fn speex_i16(from: u32, to: u32, quality: i32) -> Run<i16> {
    let mut speex = media_core_benches::speexdsp::Resampler::new(from, to, quality);
    Box::new(move |input, output| speex.process_i16(input, output))
}

/// Blocks of the 20 ms: its delay is as much again.
fn rubato_fft(from: u32, to: u32) -> Run<f32> {
    let frames = (from / 50) as usize;
    let mut fft = Fft::<f32>::new(from as usize, to as usize, frames, 1, FixedSync::Both).expect("a ratio of its own");
    Box::new(move |input, output| {
        let room = output.len();
        let input = InterleavedSlice::new(input, 1, input.len()).expect("one channel");
        let mut output = InterleavedSlice::new_mut(output, 1, room).expect("one channel");
        fft.process_into_buffer(&input, &mut output, None).map_or(0, |(_, made)| made)
    })
}

/// SINAD of what lies in the band, and how far down what doesn't is, in dB.
fn rejection(run: &mut Run<f32>, from: u32, to: u32) -> (f64, f64) {
    let mut heard = |part: f64| {
        let hz = part * f64::from(from.min(to)) / 2.0;
        let sine: Vec<f32> =
            (0..from / 2).map(|n| (0.891 * (TAU * hz * f64::from(n) / f64::from(from)).sin()) as f32).collect();
        let (mut all, mut output) = (Vec::new(), vec![0.0; to as usize / 50 + 2]);
        for input in sine.chunks_exact(from as usize / 50) {
            let made = run(input, &mut output);
            all.extend(output[..made].iter().map(|&x| f64::from(x)));
        }
        (hz, all.split_off(to as usize / 5))
    };
    let (hz, inside) = heard(0.86);
    let (mut ss, mut sc, mut cc, mut sy, mut cy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let wave = |n: usize| (TAU * hz * n as f64 / f64::from(to)).sin_cos();
    for (n, &y) in inside.iter().enumerate() {
        let (s, c) = wave(n);
        (ss, sc, cc, sy, cy) = (ss + s * s, sc + s * c, cc + c * c, sy + s * y, cy + c * y);
    }
    let determinant = ss * cc - sc * sc;
    let (a, b) = ((sy * cc - cy * sc) / determinant, (cy * ss - sy * sc) / determinant);
    let power = |samples: &mut dyn Iterator<Item = f64>| samples.map(|x| x * x).sum::<f64>();
    let rest = power(&mut inside.iter().enumerate().map(|(n, &y)| y - a * wave(n).0 - b * wave(n).1));
    let sinad = 10.0 * (power(&mut inside.iter().copied()) / rest).log10();
    let above = if to < from { heard(1.05).1 } else { vec![0.0] };
    let alias = -10.0 * (power(&mut above.iter().copied()) / above.len() as f64 / (0.891f64.powi(2) / 2.0)).log10();
    (sinad, alias)
}

fn resample(c: &mut Criterion) {
    for (from, to) in PAIRS {
        let kilohertz = |hz: u32| f64::from(hz) / 1e3;
        let mut group = c.benchmark_group(format!("resample {} to {} kHz", kilohertz(from), kilohertz(to)));
        let input: Vec<f32> = (0..from / 50).map(|n| (f64::from(n) * 0.31).sin() as f32 * 0.5).collect();
        let short: Vec<i16> = input.iter().map(|x| (x * 32_768.0) as i16).collect();
        let mut output = vec![0.0; to as usize / 50 + 2];
        let mut short_output = vec![0; output.len()];
        let plan = |quality| Plan::exact(from, to, quality).expect("a pair of the table");
        let steered = |quality| Plan::steered(from, to, quality).expect("a pair of the table");
        #[cfg(feature = "c-peers")]
        let (speex_floats, speex_shorts): (Vec<(&str, Run<f32>)>, Vec<(&str, Run<i16>)>) = (
            vec![
                ("best f32 speexdsp 10", speex_f32(from, to, 10)),
                ("best f32 speexdsp 9", speex_f32(from, to, 9)),
                ("good f32 speexdsp 5", speex_f32(from, to, 5)),
                ("good f32 speexdsp 4", speex_f32(from, to, 4)),
            ],
            vec![
                ("best i16 speexdsp 9", speex_i16(from, to, 9)),
                ("good i16 speexdsp 4", speex_i16(from, to, 4)),
                ("fast i16 speexdsp 2", speex_i16(from, to, 2)),
            ],
        );
        #[cfg(not(feature = "c-peers"))]
        let (speex_floats, speex_shorts) = (Vec::new(), Vec::new());
        let floats: Vec<(&str, Run<f32>)> = vec![
            ("best f32 ours", ours(plan(Quality::Best))),
            ("good f32 ours", ours(plan(Quality::Good))),
            ("best f32 rubato Fft", rubato_fft(from, to)),
            ("steered best f32 ours", ours(steered(Quality::Best))),
            ("steered good f32 ours", ours(steered(Quality::Good))),
        ];
        let shorts: Vec<(&str, Run<i16>)> = vec![
            ("best i16 ours", ours(plan(Quality::Best))),
            ("good i16 ours", ours(plan(Quality::Good))),
            ("fast i16 ours", ours(plan(Quality::Fast))),
        ];
        for (name, mut run) in floats.into_iter().chain(speex_floats) {
            let (sinad, alias) = rejection(&mut run, from, to);
            eprintln!("{from} to {to} Hz, {name}: SINAD {sinad:.1} dB, aliases {alias:.1} dB down");
            group.bench_function(name, |b| b.iter(|| run(black_box(&input), black_box(&mut output))));
        }
        for (name, mut run) in shorts.into_iter().chain(speex_shorts) {
            group.bench_function(name, |b| b.iter(|| run(black_box(&short), black_box(&mut short_output))));
        }
        group.finish();
    }
}

criterion_group!(benches, resample);
criterion_main!(benches);
