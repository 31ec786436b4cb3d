//! DTMF: a second of digits, pauses and noise is heard, in frames of 20 ms; the time is of a frame. And tones of a call in the same.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use dsp_core::sample::Sample;
use dsp_core::tone::{Country, Digit, DtmfConfig, DtmfDetector, DtmfGenerator, DtmfTone, ProgressDetector};

/// Frames of all digits, half of them pauses, in noise 40 dB below full scale.
fn digits<S: Sample>(sample_rate_hz: u32) -> Vec<Vec<S>> {
    let config = DtmfTone { sample_rate_hz, ..DtmfTone::default() };
    let mut generator = DtmfGenerator::new(config).expect("a rate that there is");
    let (mut pcm, mut frame, mut seed) = (Vec::new(), vec![S::default(); 160], 1u32);
    for digit in Digit::ALL {
        generator.press(digit);
        while generator.is_sounding() {
            let made = generator.fill(&mut frame);
            pcm.extend_from_slice(&frame[..made]);
        }
    }
    for sample in &mut pcm {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *sample = sample.mix(S::from_i16((seed >> 22) as i16 - 512));
    }
    pcm.chunks_exact(sample_rate_hz as usize / 50).map(<[S]>::to_vec).collect()
}

fn ours<S: Sample>(c: &mut Criterion, rate_hz: u32, body: &str) {
    let frames = digits::<S>(rate_hz);
    let config = DtmfConfig { sample_rate_hz: rate_hz, ..DtmfConfig::default() };
    let mut detector = DtmfDetector::new(config).expect("a rate that there is");
    let mut group = c.benchmark_group(format!("DTMF heard{body}, 20 ms at {} kHz", rate_hz / 1_000));
    let mut next = frames.iter().cycle();
    group.bench_function(BenchmarkId::from_parameter("ours"), |b| {
        b.iter(|| detector.hear(black_box(next.next().expect("a cycle")), |digit| _ = black_box(digit)));
    });
    group.finish();
}

/// The tones of two countries: one of few frequencies, and one of many.
fn tones(c: &mut Criterion) {
    let frames = digits::<i16>(8_000);
    for code in ["de", "us"] {
        let country = Country::of(code).expect("a country that there is");
        let mut detector = ProgressDetector::new(8_000, country).expect("a rate that there is");
        let mut next = frames.iter().cycle();
        c.benchmark_group(format!("tones of {} heard, 20 ms at 8 kHz", country.name)).bench_function("ours", |b| {
            b.iter(|| detector.hear(black_box(next.next().expect("a cycle")), |tone| _ = black_box(tone)));
        });
    }
}

fn dtmf(c: &mut Criterion) {
    for rate_hz in [8_000, 16_000, 48_000] {
        ours::<i16>(c, rate_hz, "");
        ours::<f32>(c, rate_hz, " in f32");
    }
    #[cfg(feature = "c-peers")]
    {
        let frames = digits::<i16>(8_000);
        let mut peer = media_core_benches::spandsp::DtmfReceiver::default();
        let mut next = frames.iter().cycle();
        c.benchmark_group("DTMF heard, 20 ms at 8 kHz").bench_function(BenchmarkId::from_parameter("spandsp"), |b| {
            b.iter(|| peer.hear(black_box(next.next().expect("a cycle"))));
        });
    }
}

criterion_group!(benches, dtmf, tones);
criterion_main!(benches);
