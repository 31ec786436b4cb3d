//! G.711, one 20 ms frame of 160 samples, beside the crate `audio-codec-algorithms` in the same run, and spandsp with
//! the feature `c-peers`.

use std::hint::black_box;

use audio_codec_algorithms as theirs;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dsp_core::codec::g711;

const SAMPLES: usize = 160;

/// Noise-like samples over the whole range, so that no branch can be learnt.
fn pcm() -> [i16; SAMPLES] {
    let mut state = 1u32;
    std::array::from_fn(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as i16 >> (state >> 8 & 7)
    })
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("g711 encode, 160 samples");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    let pcm = pcm();
    let mut payload = [0u8; SAMPLES];
    let mut one = |name: &str, encode: &dyn Fn(&[i16], &mut [u8])| {
        group.bench_function(name, |b| b.iter(|| encode(black_box(&pcm), black_box(&mut payload))));
    };
    one("A ours", &g711::encode_alaw);
    one("A audio-codec-algorithms", &|pcm, payload| {
        payload.iter_mut().zip(pcm).for_each(|(code, &sample)| *code = theirs::encode_alaw(sample));
    });
    one("mu ours", &g711::encode_ulaw);
    one("mu audio-codec-algorithms", &|pcm, payload| {
        payload.iter_mut().zip(pcm).for_each(|(code, &sample)| *code = theirs::encode_ulaw(sample));
    });
    #[cfg(feature = "c-peers")]
    for (name, alaw) in [("A spandsp", true), ("mu spandsp", false)] {
        let mut codec = media_core_benches::spandsp::G711::new(alaw);
        group.bench_function(name, |b| b.iter(|| codec.encode(black_box(&pcm), black_box(&mut payload))));
    }
    group.finish();
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("g711 decode, 160 samples");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    let mut payload = [0u8; SAMPLES];
    g711::encode_alaw(&pcm(), &mut payload);
    let mut pcm = [0i16; SAMPLES];
    let mut one = |name: &str, decode: &dyn Fn(&[u8], &mut [i16])| {
        group.bench_function(name, |b| b.iter(|| decode(black_box(&payload), black_box(&mut pcm))));
    };
    one("A ours", &g711::decode_alaw);
    one("A audio-codec-algorithms", &|payload, pcm| {
        pcm.iter_mut().zip(payload).for_each(|(sample, &code)| *sample = theirs::decode_alaw(code));
    });
    one("mu ours", &g711::decode_ulaw);
    one("mu audio-codec-algorithms", &|payload, pcm| {
        pcm.iter_mut().zip(payload).for_each(|(sample, &code)| *sample = theirs::decode_ulaw(code));
    });
    #[cfg(feature = "c-peers")]
    for (name, alaw) in [("A spandsp", true), ("mu spandsp", false)] {
        let mut codec = media_core_benches::spandsp::G711::new(alaw);
        group.bench_function(name, |b| b.iter(|| codec.decode(black_box(&payload), black_box(&mut pcm))));
    }
    group.finish();
}

criterion_group!(benches, encode, decode);
criterion_main!(benches);
