//! What metering costs: 20 ms of a channel through all meters of one place of a call, beside the call's own work in `road`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dsp_core::process::metering::SoundMeter;

/// Syllables of a voice-like sound, with pauses between them.
fn sound(rate_hz: u32) -> Vec<i16> {
    let mut seed = 1u32;
    (0..rate_hz)
        .map(|n| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let loud = if (n * 4 / rate_hz).is_multiple_of(2) { 12 } else { 2 };
            (seed >> 16) as i16 / 64 * loud
        })
        .collect()
}

fn metering(criterion: &mut Criterion) {
    for rate_hz in [8_000, 16_000, 48_000] {
        let pcm = sound(rate_hz);
        let mut packets = pcm.chunks_exact(rate_hz as usize / 50).cycle();
        let mut meter = SoundMeter::new(rate_hz).expect("a rate of calls");
        criterion.bench_function(&format!("metering/20 ms at {rate_hz} Hz"), |bencher| {
            bencher.iter(|| meter.hear(black_box(packets.next().unwrap_or_default())));
        });
        black_box(meter.read());
    }
}

criterion_group!(benches, metering);
criterion_main!(benches);
