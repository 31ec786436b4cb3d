//! Codecs with memory, one frame of 20 ms (iLBC's long mode: 30 ms) of the project's own speech, beside peers in the
//! same run: `audio-codec` for G.722, libopus called directly for Opus, and with the feature `c-peers` spandsp.
//! No package carries iLBC's reference in C: the table scales its known time by spandsp's G.722.

use std::hint::black_box;

use audio_codec::{Decoder as _, Encoder as _};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use dsp_core::codec::g722::{G722Decoder, G722Encoder, Mode};
use dsp_core::codec::ilbc::{IlbcDecoder, IlbcEncoder, IlbcMode};
use dsp_core::codec::{Decoder, Encoder};
use host_std::opus::{OpusDecoder, OpusEncoder, OpusEncoderConfig};
use media_core_benches::{speech_8k, speech_16k};
use opusic_sys as libopus;

/// Frame after frame of `pcm`, again and again.
fn encode(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    pcm: &[i16],
    frame: usize,
    mut one: impl FnMut(&[i16]),
) {
    let mut frames = pcm.chunks_exact(frame).cycle();
    group.bench_function(name, |b| b.iter(|| one(black_box(frames.next().expect("it's a cycle")))));
}

/// Payload after payload, again and again.
fn decode(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, payloads: &[Vec<u8>], mut one: impl FnMut(&[u8])) {
    let mut payloads = payloads.iter().cycle();
    group.bench_function(name, |b| b.iter(|| one(black_box(payloads.next().expect("it's a cycle")))));
}

fn payloads(encoder: &mut dyn Encoder, pcm: &[i16], frame: usize) -> Vec<Vec<u8>> {
    let mut payload = [0; 1500];
    let mut encode = |frame: &[i16]| encoder.encode(frame, &mut payload).map(|len| payload[..len].to_vec());
    pcm.chunks_exact(frame).map(|frame| encode(frame).expect("a frame of the codec")).collect()
}

fn g722(c: &mut Criterion) {
    let pcm = speech_16k();
    let mut payload = [0; 160];
    let mut sound = [0; 320];

    let mut group = c.benchmark_group("G.722 encode");
    let mut encoder = G722Encoder::new(Mode::Kbps64);
    encode(&mut group, "ours", &pcm, 320, |frame| {
        black_box(encoder.encode(frame, &mut payload).expect("a frame"));
    });
    let mut encoder = audio_codec::g722::G722Encoder::new();
    encode(&mut group, "audio-codec", &pcm, 320, |frame| {
        black_box(encoder.encode(frame));
    });
    #[cfg(feature = "c-peers")]
    {
        let mut encoder = media_core_benches::spandsp::G722Encoder::default();
        encode(&mut group, "spandsp", &pcm, 320, |frame| encoder.encode(frame, &mut payload));
    }
    group.finish();

    let mut group = c.benchmark_group("G.722 decode");
    let coded = payloads(&mut G722Encoder::new(Mode::Kbps64), &pcm, 320);
    let mut decoder = G722Decoder::new(Mode::Kbps64);
    decode(&mut group, "ours", &coded, |payload| {
        black_box(decoder.decode(payload, &mut sound).expect("a payload"));
    });
    let mut decoder = audio_codec::g722::G722Decoder::new();
    decode(&mut group, "audio-codec", &coded, |payload| {
        black_box(decoder.decode(payload));
    });
    #[cfg(feature = "c-peers")]
    {
        let mut decoder = media_core_benches::spandsp::G722Decoder::default();
        decode(&mut group, "spandsp", &coded, |payload| decoder.decode(payload, &mut sound));
    }
    group.finish();
}

fn ilbc(c: &mut Criterion) {
    let pcm = speech_8k();
    for (mode, name) in [(IlbcMode::Ms20, "20 ms"), (IlbcMode::Ms30, "30 ms")] {
        let (mut payload, mut sound) = ([0; 50], [0; 240]);
        let mut encoder = IlbcEncoder::new(mode);
        let mut group = c.benchmark_group(format!("iLBC encode, {name}"));
        encode(&mut group, "ours", &pcm, mode.samples(), |frame| {
            black_box(encoder.encode(frame, &mut payload).expect("a frame"));
        });
        group.finish();
        let coded = payloads(&mut IlbcEncoder::new(mode), &pcm, mode.samples());
        let mut decoder = IlbcDecoder::new(mode);
        let mut group = c.benchmark_group(format!("iLBC decode, {name}"));
        decode(&mut group, "ours", &coded, |payload| {
            black_box(decoder.decode(payload, &mut sound).expect("a payload"));
        });
        group.finish();
    }
}

/// libopus without anything of ours, set up as our default.
struct Direct {
    encoder: *mut libopus::OpusEncoder,
    decoder: *mut libopus::OpusDecoder,
}

impl Direct {
    fn new(config: &OpusEncoderConfig) -> Self {
        let mut error = 0;
        let rate = config.sample_rate_hz as i32;
        // SAFETY: rate and channels are ones that libopus has; `error` outlives the calls; each request takes one integer.
        unsafe {
            let encoder = libopus::opus_encoder_create(rate, 1, libopus::OPUS_APPLICATION_VOIP, &mut error);
            let decoder = libopus::opus_decoder_create(rate, 1, &mut error);
            for (request, value) in [
                (libopus::OPUS_SET_BITRATE_REQUEST, config.bitrate_bps as i32),
                (libopus::OPUS_SET_COMPLEXITY_REQUEST, i32::from(config.complexity)),
                (libopus::OPUS_SET_INBAND_FEC_REQUEST, i32::from(config.fec)),
                (libopus::OPUS_SET_PACKET_LOSS_PERC_REQUEST, i32::from(config.expected_loss_percent)),
            ] {
                assert_eq!(libopus::opus_encoder_ctl(encoder, request, value), 0);
            }
            Self { encoder, decoder }
        }
    }

    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> usize {
        // SAFETY: the state is live; lengths are the slices'.
        let len = unsafe {
            let (input, output) = (pcm.as_ptr(), payload.as_mut_ptr());
            libopus::opus_encode(self.encoder, input, pcm.len() as i32, output, payload.len() as i32)
        };
        usize::try_from(len).expect("libopus encodes a frame of 20 ms")
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> usize {
        // SAFETY: the state is live; lengths are the slices'.
        let len = unsafe {
            let (input, output) = (payload.as_ptr(), pcm.as_mut_ptr());
            libopus::opus_decode(self.decoder, input, payload.len() as i32, output, pcm.len() as i32, 0)
        };
        usize::try_from(len).expect("libopus decodes its own payload")
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        // SAFETY: both came from libopus and are destroyed once.
        unsafe {
            libopus::opus_encoder_destroy(self.encoder);
            libopus::opus_decoder_destroy(self.decoder);
        }
    }
}

fn opus(c: &mut Criterion) {
    let pcm = speech_16k();
    let (mut payload, mut sound) = ([0; 1500], [0; 320]);
    let config = OpusEncoderConfig { sample_rate_hz: 16_000, bitrate_bps: 24_000, complexity: 5, ..Default::default() };
    let mut encoder = OpusEncoder::new(config).expect("16 kHz mono");
    let mut direct = Direct::new(&config);
    let mut group = c.benchmark_group("Opus encode, 16 kHz, 24 kbit/s, complexity 5");
    encode(&mut group, "ours", &pcm, 320, |frame| {
        black_box(encoder.encode(frame, &mut payload).expect("a frame"));
    });
    encode(&mut group, "libopus", &pcm, 320, |frame| {
        black_box(direct.encode(frame, &mut payload));
    });
    group.finish();

    let coded = payloads(&mut OpusEncoder::new(config).expect("16 kHz mono"), &pcm, 320);
    let mut decoder = OpusDecoder::new(16_000, 1).expect("16 kHz mono");
    let mut group = c.benchmark_group("Opus decode, 16 kHz");
    decode(&mut group, "ours", &coded, |payload| {
        black_box(decoder.decode(payload, &mut sound).expect("a payload"));
    });
    decode(&mut group, "libopus", &coded, |payload| {
        black_box(direct.decode(payload, &mut sound));
    });
    group.finish();
}

criterion_group!(benches, g722, ilbc, opus);
criterion_main!(benches);
