//! Opus: the vectors of RFC 8251 by their final ranges, redundancy against concealment on speech, and no allocation
//! on the packet path.

use assert_no_alloc::{AllocDisabler, assert_no_alloc};
use dsp_core::codec::{Decoder, Encoder};
use host_std::opus::{MAX_PAYLOAD, OpusDecoder, OpusEncoder, OpusEncoderConfig, OpusPacket};
use media_core_tests::shared;

#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

/// Each record of a `.bit` file: payload length and final range, both big endian, and the payload.
fn records(file: &[u8]) -> Vec<(u32, &[u8])> {
    let mut rest = file;
    let mut out = Vec::new();
    while let [a, b, c, d, e, f, g, h, after @ ..] = rest {
        let len = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        out.push((u32::from_be_bytes([*e, *f, *g, *h]), &after[..len]));
        rest = &after[len..];
    }
    assert!(rest.is_empty(), "a torn record");
    out
}

#[test]
fn the_standard_vectors_decode_to_their_final_ranges() {
    let Some(folder) = shared("data/opus-testvectors") else { return };
    let mut pcm = vec![0; 2 * 5760];
    for vector in 1..=12 {
        let file = std::fs::read(folder.join(format!("testvector{vector:02}.bit"))).expect("the vector");
        let records = records(&file);
        assert!(records.len() > 500, "{} packets", records.len());
        for (sample_rate_hz, channels) in [(48_000, 2), (48_000, 1), (16_000, 1), (8_000, 2)] {
            let mut decoder = OpusDecoder::new(sample_rate_hz, channels).expect("a decoder");
            for (n, (range, packet)) in records.iter().enumerate() {
                let ticks = decoder.duration(packet).expect("a duration");
                let samples = decoder.decode(packet, &mut pcm).expect("decodes");
                assert_eq!(samples as u32, ticks / (48_000 / sample_rate_hz));
                assert_eq!(decoder.final_range(), *range, "vector {vector}, packet {n}, {sample_rate_hz} Hz");
            }
        }
    }
}

fn speech_16k() -> Option<Vec<i16>> {
    let path = shared("data/speech/cmu_arctic_us_aew_a0001.wav")?;
    let mut wav = hound::WavReader::open(path).expect("a WAV");
    assert_eq!((wav.spec().sample_rate, wav.spec().channels), (16_000, 1));
    Some(wav.samples::<i16>().map(|s| s.expect("a sample")).collect())
}

/// Squared error to the loss-free decoding, in dB below its own power, over the lost frames.
fn lost_frames_sdr_db(packets: &[Vec<u8>], lost: impl Fn(usize) -> bool, use_fec: bool) -> (f64, usize) {
    let mut clean = OpusDecoder::new(16_000, 1).expect("a decoder");
    let mut lossy = OpusDecoder::new(16_000, 1).expect("a decoder");
    let (mut signal, mut error, mut recovered) = (1.0, 1.0, 0);
    for (n, packet) in packets.iter().enumerate() {
        let (mut want, mut got) = ([0; 320], [0; 320]);
        clean.decode(packet, &mut want).expect("decodes");
        if lost(n) {
            let next = packets.get(n + 1).filter(|_| use_fec && !lost(n + 1));
            if next.is_some_and(|next| lossy.recover(next, 0, &mut got)) {
                recovered += 1;
            } else {
                assert!(lossy.conceal(&mut got));
            }
            for (w, g) in want.iter().zip(got) {
                signal += f64::from(*w).powi(2);
                error += f64::from(*w - g).powi(2);
            }
        } else {
            lossy.decode(packet, &mut got).expect("decodes");
        }
    }
    (10.0 * f64::log10(signal / error), recovered)
}

#[test]
fn redundancy_beats_concealment_on_speech() {
    let Some(speech) = speech_16k() else { return };
    let config = OpusEncoderConfig {
        sample_rate_hz: 16_000,
        bitrate_bps: 24_000,
        fec: true,
        expected_loss_percent: 20,
        ..Default::default()
    };
    let mut encoder = OpusEncoder::new(config).expect("an encoder");
    let packets: Vec<Vec<u8>> = speech
        .chunks_exact(320)
        .map(|frame| {
            let mut payload = [0; MAX_PAYLOAD];
            let n = encoder.encode(frame, &mut payload).expect("encodes");
            payload[..n].to_vec()
        })
        .collect();
    let lost = |n: usize| n % 7 == 3;
    let (concealed, none) = lost_frames_sdr_db(&packets, lost, false);
    let (with_fec, recovered) = lost_frames_sdr_db(&packets, lost, true);
    let total = (0..packets.len()).filter(|&n| lost(n)).count();
    println!("lost {total}, recovered {recovered}: SDR {concealed:.1} dB concealed, {with_fec:.1} dB recovered");
    assert_eq!(none, 0);
    assert!(recovered * 2 > total, "{recovered} of {total} recovered");
    assert!(with_fec > concealed + 3.0, "{with_fec:.1} dB against {concealed:.1} dB");
}

#[test]
fn without_redundancy_recover_touches_nothing() {
    let Some(speech) = speech_16k() else { return };
    let config = OpusEncoderConfig { sample_rate_hz: 16_000, bitrate_bps: 24_000, fec: false, ..Default::default() };
    let mut encoder = OpusEncoder::new(config).expect("an encoder");
    let mut asked = OpusDecoder::new(16_000, 1).expect("a decoder");
    let mut left_alone = OpusDecoder::new(16_000, 1).expect("a decoder");
    for frame in speech.chunks_exact(320) {
        let mut payload = [0; 400];
        let n = encoder.encode(frame, &mut payload).expect("encodes");
        let mut untouched = [1234; 320];
        assert!(!asked.recover(&payload[..n], 0, &mut untouched));
        assert_eq!(untouched, [1234; 320]);
        let (mut a, mut b) = ([0; 320], [0; 320]);
        asked.decode(&payload[..n], &mut a).expect("decodes");
        left_alone.decode(&payload[..n], &mut b).expect("decodes");
        assert_eq!(a, b);
    }
}

#[test]
fn recovery_wants_a_stretch_at_least_as_long_as_the_redundancy() {
    let Some(speech) = speech_16k() else { return };
    let config = OpusEncoderConfig {
        sample_rate_hz: 16_000,
        bitrate_bps: 24_000,
        expected_loss_percent: 20,
        ..Default::default()
    };
    let mut encoder = OpusEncoder::new(config).expect("an encoder");
    let mut decoder = OpusDecoder::new(16_000, 1).expect("a decoder");
    let (mut payload, mut pcm) = ([0; MAX_PAYLOAD], [0; 1000]);
    let mut recovered = 0;
    for frame in speech.chunks_exact(320) {
        let n = encoder.encode(frame, &mut payload).expect("encodes");
        assert_eq!(OpusPacket::parse(&payload[..n]).map(|p| p.frame_ticks), Ok(960));
        assert!(!decoder.recover(&payload[..n], 0, &mut pcm[..160]), "10 ms of 20");
        assert!(!decoder.recover(&payload[..n], 0, &mut pcm[..330]), "not a multiple of 2.5 ms");
        recovered += usize::from(decoder.recover(&payload[..n], 0, &mut pcm[..960]));
        decoder.decode(&payload[..n], &mut pcm).expect("decodes");
    }
    assert!(recovered > 20, "{recovered} recovered over 60 ms, 40 of them concealed");
}

#[test]
fn nothing_allocates_after_construction() {
    let mut encoder =
        OpusEncoder::new(OpusEncoderConfig { expected_loss_percent: 20, ..Default::default() }).expect("an encoder");
    let mut decoder = OpusDecoder::new(48_000, 1).expect("a decoder");
    let pcm: Vec<i16> = (0..960).map(|i| (9000.0 * f32::sin(i as f32 * 0.05)) as i16).collect();
    let (mut payload, mut out) = ([0; MAX_PAYLOAD], [0; 960]);
    assert_no_alloc(|| {
        for round in 0..50 {
            let n = encoder.encode(&pcm, &mut payload).unwrap_or(0);
            encoder.set_bitrate(16_000 + 500 * round).unwrap_or(());
            let _ = decoder.duration(&payload[..n]);
            let _ = decoder.recover(&payload[..n], 0, &mut out);
            let _ = decoder.decode(&payload[..n], &mut out);
            let _ = decoder.decode(&payload[..n / 2], &mut out);
            let _ = decoder.conceal(&mut out);
        }
        decoder.reset();
        encoder.reset();
    });
}
