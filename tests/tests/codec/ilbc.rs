//! iLBC against the vectors of the fixed-point reference (F00 to F02, 20 and 30 ms), against FFmpeg's decoder, and
//! its behaviour with losses and broken payloads.
//!
//! Tolerance: ours follows RFC 3951's floating-point arithmetic, so it differs from the fixed-point reference by that
//! one's rounding and by what hangs on it in the encoder's choices. Decoding the reference's packets must give its
//! sound within 32 dB of segmental SNR in every file (the files are close to full scale; fixed-point rounding of the
//! residual alone costs most of that). An encoder is free in its choices: ours must leave no more error than the
//! reference, and most bits must agree.

use dsp_core::codec::ilbc::{IlbcDecoder, IlbcEncoder, IlbcMode};
use dsp_core::codec::{DecodeError, Decoder, EncodeError, Encoder};
use media_core_tests::fnv::Fnv;
use media_core_tests::{shared, skipped};

const MODES: [(IlbcMode, u32); 2] = [(IlbcMode::Ms20, 20), (IlbcMode::Ms30, 30)];
const FILES: [&str; 3] = ["F00", "F01", "F02"];

fn pcm(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks().0.iter().map(|&pair| i16::from_le_bytes(pair)).collect()
}

fn vector(name: &str) -> Option<Vec<u8>> {
    Some(std::fs::read(shared(&format!("data/ilbc/{name}"))?).unwrap())
}

fn encode(mode: IlbcMode, sound: &[i16]) -> Vec<u8> {
    let mut encoder = IlbcEncoder::new(mode);
    let mut payload = [0; 50];
    sound
        .chunks_exact(mode.samples())
        .flat_map(|frame| {
            let bytes = encoder.encode(frame, &mut payload).unwrap();
            assert_eq!(bytes, mode.bytes());
            payload[..bytes].to_vec()
        })
        .collect()
}

fn decode(mut decoder: IlbcDecoder, packets: &[u8]) -> Vec<i16> {
    let mode = decoder.mode();
    let mut frame = [0; 240];
    packets
        .chunks_exact(mode.bytes())
        .flat_map(|packet| {
            let samples = decoder.decode(packet, &mut frame).unwrap();
            frame[..samples].to_vec()
        })
        .collect()
}

/// Mean of the SNR of 20 ms pieces that are not silent, each limited to -10 to 60 dB.
fn segmental_snr(reference: &[i16], sound: &[i16]) -> f64 {
    let mut pieces = Vec::new();
    for (reference, sound) in reference.chunks_exact(160).zip(sound.chunks_exact(160)) {
        let signal: f64 = reference.iter().map(|&x| f64::from(x).powi(2)).sum();
        let noise: f64 = reference.iter().zip(sound).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum();
        if signal > 160.0 * 100.0 {
            pieces.push((10.0 * (signal / noise.max(1e-3)).log10()).clamp(-10.0, 60.0));
        }
    }
    pieces.iter().sum::<f64>() / pieces.len() as f64
}

fn correlation(a: &[i16], b: &[i16]) -> f64 {
    let product = |a: &[i16], b: &[i16]| -> f64 { a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum() };
    product(a, b) / (product(a, a) * product(b, b)).sqrt()
}

#[test]
fn the_references_packets_decode_to_its_sound() {
    for file in FILES {
        for (mode, ms) in MODES {
            let Some(packets) = vector(&format!("{file}.BIT{ms}")) else { return };
            let reference = pcm(&vector(&format!("{file}.OUT{ms}")).unwrap());
            let sound = decode(IlbcDecoder::new(mode), &packets);
            assert_eq!(sound.len(), reference.len());
            let snr = segmental_snr(&reference, &sound);
            println!("{file} {ms} ms: {snr:.1} dB");
            assert!(snr > 32.0, "{file} {ms} ms: {snr:.1} dB");
        }
    }
}

#[test]
fn packets_are_as_good_as_the_references() {
    for file in FILES {
        for (mode, ms) in MODES {
            let Some(source) = vector(&format!("{file}.INP")) else { return };
            let (source, reference) = (pcm(&source), vector(&format!("{file}.BIT{ms}")).unwrap());
            let packets = encode(mode, &source);
            assert_eq!(packets.len(), reference.len());
            let differ: u32 = packets.iter().zip(&reference).map(|(a, b)| (a ^ b).count_ones()).sum();
            let agree = 1.0 - f64::from(differ) / (8 * packets.len()) as f64;
            // Both through the same decoder, so that only the packets differ. The start is the delay late.
            let late = IlbcDecoder::new(mode).delay_samples();
            let ours = segmental_snr(&source, &decode(IlbcDecoder::new(mode), &packets)[late..]);
            let theirs = segmental_snr(&source, &decode(IlbcDecoder::new(mode), &reference)[late..]);
            println!("{file} {ms} ms: {:.1} % of bits, {ours:.2} dB, reference {theirs:.2} dB", 100.0 * agree);
            assert!(agree > 0.8 && ours > theirs - 0.05, "{file} {ms} ms: {agree:.3} {ours:.2} {theirs:.2}");
        }
    }
}

/// FFmpeg's own decoder, which has no enhancer, takes our packets. Skips where there is none. Its first frame may
/// overflow (it does so with the reference's packets of F01 too), so the first 100 ms don't count.
#[test]
fn ffmpeg_decodes_our_packets() {
    let Some(speech) = shared("data/speech/carlo_m_8k.wav") else { return };
    let mut speech = hound::WavReader::open(speech).unwrap();
    assert_eq!(speech.spec().sample_rate, 8000);
    let speech: Vec<i16> = speech.samples::<i16>().map(Result::unwrap).collect();
    let Some(vector) = vector("F02.INP") else { return };
    for (name, source) in [("carlo", speech), ("F02", pcm(&vector))] {
        for (mode, ms) in MODES {
            let packets = encode(mode, &source);
            let path = std::env::temp_dir().join(format!("media-core-{}-{name}-{ms}.lbc", std::process::id()));
            std::fs::write(&path, [format!("#!iLBC{ms}\n").as_bytes(), &packets].concat()).unwrap();
            let ran = std::process::Command::new("ffmpeg")
                .args(["-v", "error", "-i"])
                .arg(&path)
                .args(["-f", "s16le", "-"])
                .output();
            std::fs::remove_file(&path).unwrap();
            let Ok(output) = ran else {
                skipped::lacks("no ffmpeg here");
                return;
            };
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let theirs = pcm(&output.stdout);
            let ours = decode(IlbcDecoder::new(mode).without_enhancer(), &packets);
            assert_eq!(theirs.len(), ours.len());
            let decoders = correlation(&ours[800..], &theirs[800..]);
            println!("{name} {ms} ms: FFmpeg's sound and ours {decoders:.4}");
            assert!(decoders > 0.99, "{name} {ms} ms: {decoders:.4}");
        }
    }
}

#[test]
fn sound_recovers_after_losses() {
    for (mode, ms) in MODES {
        let Some(packets) = vector(&format!("F01.BIT{ms}")) else { return };
        let (samples, bytes) = (mode.samples(), mode.bytes());
        let clean = decode(IlbcDecoder::new(mode), &packets);
        let mut decoder = IlbcDecoder::new(mode);
        let mut recovered = Vec::new();
        for (i, packet) in packets.chunks_exact(bytes).enumerate() {
            let mut frame = [0; 240];
            let frame = &mut frame[..samples];
            if i % 10 == 5 {
                // As a receiver conceals: in steps that need not be frames.
                for step in frame.chunks_mut(80) {
                    assert!(decoder.conceal(step));
                }
            } else {
                assert_eq!(decoder.decode(packet, frame), Ok(samples));
            }
            if i % 10 == 0 {
                // The fifth frame after a loss: the enhancer's memory is clean again.
                let clean = &clean[i * samples..][..samples];
                recovered.push(segmental_snr(clean, frame));
            }
        }
        recovered.retain(|snr| snr.is_finite());
        recovered.sort_by(f64::total_cmp);
        let median = recovered[recovered.len() / 2];
        println!("{ms} ms: median {median:.1} dB in the fifth frame after a loss");
        assert!(median > 35.0, "{ms} ms: {median:.1} dB");
    }
}

/// A voiced sound: a pulse every 7.5 ms through a resonance, in integers.
fn voiced(samples: usize) -> Vec<i16> {
    let (mut y1, mut y2) = (0_i32, 0_i32);
    (0..samples)
        .map(|i| {
            let pulse = if i % 60 == 0 { 8000 } else { 0 };
            let y = pulse + (y1 * 27_000 - y2 * 14_000) / 16_384;
            (y2, y1) = (y1, y);
            y.clamp(-32_768, 32_767) as i16
        })
        .collect()
}

#[test]
fn a_lost_frame_of_a_vowel_goes_on_and_a_long_loss_ends_in_silence() {
    let energy = |frame: &[i16]| frame.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
    for (mode, ms) in MODES {
        let packets = encode(mode, &voiced(20 * mode.samples()));
        let mut decoder = IlbcDecoder::new(mode);
        let mut frame = vec![0; mode.samples()];
        for packet in packets.chunks_exact(mode.bytes()) {
            decoder.decode(packet, &mut frame).unwrap();
        }
        let before = energy(&frame);
        assert!(decoder.conceal(&mut frame));
        let first = energy(&frame);
        assert!((0.4..1.6).contains(&(first / before)), "{ms} ms: {first:.0} after {before:.0}");
        for _ in 0..12 {
            assert!(decoder.conceal(&mut frame));
        }
        assert!(energy(&frame) < 1e-3 * before, "{ms} ms: {:.0} after {before:.0}", energy(&frame));
        let clean = decode(IlbcDecoder::new(mode), &packets);
        let again = decode(decoder, &packets);
        let (from, to) = (6 * mode.samples(), 20 * mode.samples());
        assert!(segmental_snr(&clean[from..to], &again[from..to]) > 40.0);
    }
}

#[test]
fn payloads_of_other_lengths_are_errors_and_change_nothing() {
    for (mode, _) in MODES {
        let source = voiced(10 * mode.samples());
        let packets = encode(mode, &source);
        let clean = decode(IlbcDecoder::new(mode), &packets);
        let mut decoder = IlbcDecoder::new(mode);
        let mut out = vec![0; 5 * mode.samples()];
        assert_eq!(decoder.decode(&[], &mut out), Err(DecodeError::Empty));
        for bytes in [1, 37, 39, 49, 51, 75, 77, 99, 101] {
            assert_eq!(decoder.decode(&packets[..bytes], &mut out), Err(DecodeError::Length { bytes }));
            assert_eq!(decoder.duration(&packets[..bytes]), Err(DecodeError::Length { bytes }));
        }
        let (need, got) = (2 * mode.samples(), 2 * mode.samples() - 1);
        let two = &packets[..2 * mode.bytes()];
        assert_eq!(decoder.decode(two, &mut out[..got]), Err(DecodeError::OutputTooSmall { need, got }));

        // Five frames in a payload are those five frames.
        let mut sound = Vec::new();
        for payload in packets.chunks_exact(5 * mode.bytes()) {
            assert_eq!(decoder.duration(payload), Ok(5 * mode.samples() as u32));
            assert_eq!(decoder.decode(payload, &mut out), Ok(5 * mode.samples()));
            sound.extend_from_slice(&out);
        }
        assert!(sound == clean);

        let mut encoder = IlbcEncoder::new(mode);
        let mut payload = vec![0; 10 * mode.bytes()];
        assert_eq!(encoder.encode(&source[..100], &mut payload), Err(EncodeError::FrameLength { samples: 100 }));
        assert_eq!(encoder.encode(&[], &mut payload), Err(EncodeError::FrameLength { samples: 0 }));
        let (need, got) = (mode.bytes(), mode.bytes() - 1);
        let refused = encoder.encode(&source[..mode.samples()], &mut payload[..got]);
        assert_eq!(refused, Err(EncodeError::OutputTooSmall { need, got }));
        assert_eq!(encoder.encode(&source, &mut payload), Ok(10 * mode.bytes()));
        assert!(payload == packets);
    }
}

#[test]
fn an_empty_frame_is_concealed() {
    for (mode, _) in MODES {
        let packets = encode(mode, &voiced(8 * mode.samples()));
        let (mut told, mut empty, mut impossible) =
            (IlbcDecoder::new(mode), IlbcDecoder::new(mode), IlbcDecoder::new(mode));
        for (i, packet) in packets.chunks_exact(mode.bytes()).enumerate() {
            let mut packet = packet.to_vec();
            let (mut a, mut b, mut c) = (vec![0; mode.samples()], vec![0; mode.samples()], vec![0; mode.samples()]);
            if i == 5 {
                assert!(told.conceal(&mut a));
                *packet.last_mut().unwrap() |= 1;
                assert_eq!(empty.decode(&packet, &mut b), Ok(mode.samples()));
                // A start state in sub-block 0 does not exist.
                assert_eq!(impossible.decode(&vec![0; mode.bytes()], &mut c), Ok(mode.samples()));
            } else {
                told.decode(&packet, &mut a).unwrap();
                empty.decode(&packet, &mut b).unwrap();
                impossible.decode(&packet, &mut c).unwrap();
            }
            assert!(a == b && a == c, "frame {i}");
        }
    }
}

#[test]
fn state_is_as_small_as_the_documentation_says() {
    assert!(size_of::<IlbcEncoder>() <= 440 && size_of::<IlbcDecoder>() <= 3_320);
}

/// Hashes of the packets and of the sound, with losses, of 100 frames of one seeded input. Nothing but `core` and
/// `dsp_core`, so that firmware can run the same.
fn golden_hashes(mode: IlbcMode) -> [u32; 2] {
    let (samples, bytes) = (mode.samples(), mode.bytes());
    let (mut encoder, mut decoder) = (IlbcEncoder::new(mode), IlbcDecoder::new(mode));
    let (mut packets, mut sound) = (Fnv::default(), Fnv::default());
    let (mut seed, mut y1, mut y2, mut n) = (1_u32, 0_i32, 0_i32, 0_usize);
    for frame in 0..100 {
        let mut pcm = [0_i16; 240];
        for x in &mut pcm[..samples] {
            // A vowel in noise that comes and goes, with silence at the end.
            let pulse = if n % 60 == 0 { 8000 } else { 0 };
            let y = pulse + (y1 * 27_000 - y2 * 14_000) / 16_384;
            (y2, y1) = (y1, y);
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (seed >> 16) as i16 >> (3 + n / 4000 % 8);
            *x = if frame < 90 { (y + i32::from(noise)).clamp(-32_768, 32_767) as i16 } else { 0 };
            n += 1;
        }
        let mut packet = [0; 50];
        assert_eq!(encoder.encode(&pcm[..samples], &mut packet), Ok(bytes));
        packets.write(&packet[..bytes]);
        if frame % 9 == 7 || (40..44).contains(&frame) {
            assert!(decoder.conceal(&mut pcm[..samples]));
        } else {
            assert_eq!(decoder.decode(&packet[..bytes], &mut pcm), Ok(samples));
        }
        for x in &pcm[..samples] {
            sound.write(&x.to_le_bytes());
        }
    }
    [packets.finish(), sound.finish()]
}

/// The same bits on every target.
#[test]
fn golden() {
    assert_eq!(golden_hashes(IlbcMode::Ms20), [0x8cbb_b884, 0xa07e_bbb1]);
    assert_eq!(golden_hashes(IlbcMode::Ms30), [0x8315_87b3, 0x6122_ae22]);
}
