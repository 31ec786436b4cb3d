//! G.722 against the digital test sequences of ITU-T G.722 Appendix II, which go around the filters, and against the
//! speech files of the ITU-T software tool library (G.191), which go through them. Every word must be the same.

use dsp_core::codec::g722::{G722Decoder, G722Encoder, Mode, SubBandDecoder, SubBandEncoder};
use dsp_core::codec::{CodecInfo, DecodeError, Decoder, Encoder};
use dsp_core::receive::{DelayConfig, HostReceiver, ReceiverConfig};
use dsp_core::time::{Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::waveform::Concealer;
use dsp_core::wire::rtp::RtpHeader;
use host_std::wav::WavSource;
use media_core_tests::shared;

const MODES: [Mode; 3] = [Mode::Kbps64, Mode::Kbps56, Mode::Kbps48];

/// A file of little-endian 16-bit words, or `None` where the data is missing.
fn words(path: &str) -> Option<Vec<i16>> {
    let bytes = std::fs::read(shared(&format!("data/{path}"))?).unwrap();
    let (pairs, odd) = bytes.as_chunks();
    assert!(odd.is_empty(), "{path}");
    Some(pairs.iter().map(|&pair| i16::from_le_bytes(pair)).collect())
}

/// A sequence of Appendix II without the 16 words before and after it that have the reset bit, bit 0, set. The signal
/// is in the other bits.
fn sequence(name: &str) -> Option<Vec<i16>> {
    const RESET: usize = 16;
    let words = words(&format!("itu-g722-appII/{name}"))?;
    let (head, rest) = words.split_at(RESET);
    let (body, tail) = rest.split_at(rest.len() - RESET);
    assert!(head.iter().chain(tail).all(|word| word & 1 == 1), "{name}");
    assert!(body.iter().all(|word| word & 1 == 0), "{name}");
    Some(body.to_vec())
}

/// Index, ours and theirs of the first difference: a few words say more than two whole files.
fn first_difference<T: PartialEq + Copy>(ours: &[T], theirs: &[T]) -> Option<(usize, T, T)> {
    assert_eq!(ours.len(), theirs.len());
    (0..ours.len()).find(|&i| ours[i] != theirs[i]).map(|i| (i, ours[i], theirs[i]))
}

#[test]
fn appendix_2_encoder() {
    for (source, coded) in [("bt1c1.xmt", "bt2r1.cod"), ("bt1c2.xmt", "bt2r2.cod")] {
        let Some(source) = sequence(source) else { return };
        let mut encoder = SubBandEncoder::new();
        // The same signal goes into both bands; the code is in the upper half of its word.
        let ours: Vec<u8> = source.iter().map(|word| encoder.encode(word >> 1, word >> 1)).collect();
        let theirs: Vec<u8> = sequence(coded).unwrap().iter().map(|word| (word >> 8) as u8).collect();
        assert_eq!(first_difference(&ours, &theirs), None, "{coded}");
    }
}

#[test]
fn appendix_2_decoder() {
    for (coded, number) in [("bt2r1.cod", 1), ("bt2r2.cod", 2), ("bt1d3.cod", 3)] {
        let Some(coded) = sequence(coded) else { return };
        for (mode, lower_file) in MODES.into_iter().zip(["rc1", "rc2", "rc3"]) {
            let mut decoder = SubBandDecoder::new();
            let (lower, higher): (Vec<i16>, Vec<i16>) =
                coded.iter().map(|word| decoder.decode((word >> 8) as u8, mode)).map(|(l, h)| (l << 1, h << 1)).unzip();
            let theirs = sequence(&format!("bt3l{number}.{lower_file}")).unwrap();
            assert_eq!(first_difference(&lower, &theirs), None, "bt3l{number}.{lower_file}");
            let theirs = sequence(&format!("bt3h{number}.rc0")).unwrap();
            assert_eq!(first_difference(&higher, &theirs), None, "bt3h{number}.rc0 in {mode:?}");
        }
    }
}

/// The coded speech, a byte a code.
fn coded_speech() -> Option<Vec<u8>> {
    Some(words("itu-g722/codspw.cod")?.into_iter().map(|word| u8::try_from(word).unwrap()).collect())
}

#[test]
fn speech_encoder() {
    let Some(speech) = words("itu-g722/inpsp.bin") else { return };
    let theirs = coded_speech().unwrap();
    // The other file holds the same bytes, swapped in pairs.
    let swapped = std::fs::read(shared("data/itu-g722/codsp.cod").unwrap()).unwrap();
    let unswapped: Vec<u8> = swapped.as_chunks::<2>().0.iter().flat_map(|&[a, b]| [b, a]).collect();
    assert!(theirs == unswapped);

    for (mode, kept) in MODES.into_iter().zip([0xff, 0xfe, 0xfc]) {
        let theirs: Vec<u8> = theirs.iter().map(|code| code & kept).collect();
        // Frames of 10 to 60 ms, one that is no multiple of anything, and all of it at once.
        for samples in [160, 320, 480, 640, 800, 960, 74, speech.len()] {
            let mut encoder = G722Encoder::new(mode);
            let mut ours = Vec::new();
            for frame in speech.chunks(samples) {
                let mut payload = vec![0; frame.len() / 2];
                assert_eq!(encoder.encode(frame, &mut payload), Ok(payload.len()));
                ours.extend(payload);
            }
            assert_eq!(first_difference(&ours, &theirs), None, "{mode:?}, frames of {samples}");
        }
    }
}

#[test]
fn speech_decoder() {
    let Some(coded) = coded_speech() else { return };
    for (mode, file) in MODES.into_iter().zip(["outsp1.bin", "outsp2.bin", "outsp3.bin"]) {
        let theirs = words(&format!("itu-g722/{file}")).unwrap();
        for octets in [80, 160, 240, 320, 400, 480, 37, coded.len()] {
            let mut decoder = G722Decoder::new(mode);
            let mut ours = Vec::new();
            for payload in coded.chunks(octets) {
                assert_eq!(decoder.duration(payload), Ok(payload.len() as u32));
                let mut pcm = vec![0; 2 * payload.len()];
                assert_eq!(decoder.decode(payload, &mut pcm), Ok(pcm.len()));
                ours.extend(pcm);
            }
            assert_eq!(first_difference(&ours, &theirs), None, "{file}, packets of {octets}");
        }
    }
}

/// After a loss a decoder that was told of it must come nearer to one that lost nothing than a decoder that was not.
#[test]
fn a_decoder_told_of_a_loss_finds_back_sooner() {
    const FRAME: usize = 320;
    let Some(coded) = coded_speech() else { return };
    let frames: Vec<&[u8]> = coded.chunks_exact(FRAME / 2).collect();
    for lost in [1, 3, 10] {
        // Segmental error in dB over the 60 ms after each gap: [not told, told].
        let mut error_db = [0.0; 2];
        let mut gaps = 0;
        let mut before = G722Decoder::new(Mode::Kbps64);
        for first in 0..frames.len() - lost - 3 {
            let gap = first..first + lost;
            let after = gap.end..gap.end + 3;
            let mut unlost = before.clone();
            let mut all = Vec::new();
            for frame in &frames[gap.start..after.end] {
                all.extend(decode(&mut unlost, frame));
            }
            let clean = &all[lost * FRAME..];
            let level = mean_square(clean.iter().map(|&x| f64::from(x)));
            if level > 200.0 * 200.0 {
                for (told, error_db) in error_db.iter_mut().enumerate() {
                    let mut decoder = before.clone();
                    if told == 1 {
                        decoder.follow(lost * FRAME);
                    }
                    let found: Vec<i16> =
                        frames[after.clone()].iter().flat_map(|frame| decode(&mut decoder, frame)).collect();
                    let error = mean_square(found.iter().zip(clean).map(|(&a, &b)| f64::from(a) - f64::from(b)));
                    *error_db += 10.0 * (error / level).log10();
                }
                gaps += 1;
            }
            decode(&mut before, frames[first]);
        }
        let [untold, told] = error_db.map(|sum| sum / f64::from(gaps));
        println!("{} ms lost, {gaps} gaps: error {untold:.2} dB untold, {told:.2} dB told", lost * 20);
        assert!(gaps > 50);
        assert!(told < untold, "{lost} lost: {told} over {untold}");
        assert!(told < 0.0, "{lost} lost: more error than sound");
    }
}

/// Octets and losses of the vector of Appendix IV: frames of 10 ms in the soft bits of G.192, all 80 bits of one weight
/// together.
fn appendix_4() -> Option<Vec<Option<Vec<u8>>>> {
    const LOST: i16 = 0x6b20;
    const ONE: i16 = 0x81;
    const WEIGHTS: [u8; 8] = [2, 3, 4, 5, 6, 7, 1, 0];
    let frames = words("itu-g722-appIV-plc/test10.bst")?;
    let octets = |bits: &[i16]| {
        let mut octets = vec![0u8; 80];
        for (bits, weight) in bits.chunks(80).zip(WEIGHTS) {
            for (octet, &bit) in octets.iter_mut().zip(bits) {
                *octet |= u8::from(bit == ONE) << weight;
            }
        }
        octets
    };
    Some(frames.chunks_exact(642).map(|frame| (frame[0] != LOST).then(|| octets(&frame[2..]))).collect())
}

/// The vector through a decoder that conceals by itself: exact until the first loss, then near the Recommendation's
/// own sound. Neither a burst nor a hole follows a loss.
#[test]
fn appendix_4_vector() {
    const FRAME: usize = 160;
    let Some(frames) = appendix_4() else { return };
    let theirs = words("itu-g722-appIV-plc/test10.out").unwrap();
    let mut decoder = G722Decoder::new(Mode::Kbps64).with_concealment();
    let mut ours = Vec::new();
    for frame in &frames {
        match frame {
            Some(octets) => ours.extend(decode(&mut decoder, octets)),
            None => {
                let mut pcm = [0; FRAME];
                assert!(decoder.conceal(&mut pcm));
                ours.extend(pcm);
            }
        }
    }
    assert_eq!(ours.len(), theirs.len());
    let first = frames.iter().position(Option::is_none).unwrap();
    assert_eq!(first_difference(&ours[..first * FRAME], &theirs[..first * FRAME]), None);

    // 30 ms after a loss: level against theirs and difference from it. 100 to 150 ms after one: found back.
    let (mut levels, mut differences, mut later) = (Vec::new(), Vec::new(), Vec::new());
    for n in 1..frames.len() - 15 {
        let good = |k: std::ops::Range<usize>| frames[n + k.start..n + k.end].iter().all(Option::is_some);
        let part = |frames: std::ops::Range<usize>| (n + frames.start) * FRAME..(n + frames.end) * FRAME;
        let compare = |range: std::ops::Range<usize>| {
            let power = mean_square(theirs[range.clone()].iter().map(|&x| f64::from(x)));
            let own = mean_square(ours[range.clone()].iter().map(|&x| f64::from(x)));
            let error = mean_square(range.map(|i| f64::from(ours[i]) - f64::from(theirs[i])));
            (power, 10.0 * (own / power).log10(), 10.0 * (error / power).log10())
        };
        if frames[n - 1].is_none() && good(0..3) {
            let (power, level, difference) = compare(part(0..3));
            if power > 200.0 * 200.0 {
                levels.push(level);
                differences.push(difference);
            }
            if good(0..15) && power > 200.0 * 200.0 {
                later.push(compare(part(10..15)).2);
            }
        }
    }
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let (level, far) = (mean(&levels), levels.iter().filter(|level| level.abs() > 6.0).count());
    println!(
        "{} losses: level {level:.2} dB, {far} more than 6 dB off; difference {:.2} dB, later {:.2} dB",
        levels.len(),
        mean(&differences),
        mean(&later)
    );
    assert!(levels.len() > 50 && later.len() > 10);
    // Where a word ends in the loss, the two must differ: what they conceal with is not the same.
    assert!(level.abs() < 1.0 && far < levels.len() / 4);
    assert!(mean(&differences) < -3.0 && mean(&later) < -15.0);
}

/// What the decoder does by itself in a loss against the same waveform concealment around a decoder that knows nothing
/// of it: nearer to the sound without loss in the 60 ms after.
#[test]
fn following_the_concealed_sound_beats_a_frozen_decoder() {
    const FRAME: usize = 320;
    let Some(coded) = coded_speech() else { return };
    let frames: Vec<&[u8]> = coded.chunks_exact(FRAME / 2).collect();
    let mut clean_decoder = G722Decoder::new(Mode::Kbps64);
    let clean: Vec<i16> = frames.iter().flat_map(|frame| decode(&mut clean_decoder, frame)).collect();
    for lost in [1, 2] {
        let mut error_db = [0.0; 2];
        let mut gaps = 0;
        let mut before = G722Decoder::new(Mode::Kbps64);
        for first in 0..frames.len() - lost - 3 {
            let (begin, end) = (first * FRAME, (first + lost) * FRAME);
            let after = end..end + 3 * FRAME;
            let level = mean_square(clean[after.clone()].iter().map(|&x| f64::from(x)));
            if first > 6 && level > 200.0 * 200.0 {
                let good = &frames[first + lost..][..3];
                let mut own = before.clone().with_concealment();
                assert!(own.conceal(&mut vec![0; lost * FRAME]));
                let own: Vec<i16> = good.iter().flat_map(|frame| decode(&mut own, frame)).collect();
                let (mut frozen, mut concealer) = (before.clone(), Concealer::new(16_000));
                let mut heard = clean[..begin].to_vec();
                heard.resize(end, 0);
                let (past, gap) = heard.split_at_mut(begin);
                concealer.conceal(past, gap);
                let mut frozen: Vec<i16> = good.iter().flat_map(|frame| decode(&mut frozen, frame)).collect();
                concealer.merge(&heard, &mut frozen);
                for (found, error_db) in [own, frozen].iter().zip(&mut error_db) {
                    let differences = found.iter().zip(&clean[after.clone()]);
                    let error = mean_square(differences.map(|(&a, &b)| f64::from(a) - f64::from(b)));
                    *error_db += 10.0 * (error / level).log10();
                }
                gaps += 1;
            }
            decode(&mut before, frames[first]);
        }
        let [own, frozen] = error_db.map(|sum| sum / f64::from(gaps));
        println!("{} ms lost, {gaps} gaps: error {own:.2} dB following, {frozen:.2} dB frozen", lost * 20);
        assert!(gaps > 50);
        assert!(own < frozen - 0.25, "{own} {frozen}");
    }
}

/// A decoder that doesn't hear of losses.
struct Untold(G722Decoder);

impl Decoder for Untold {
    fn info(&self) -> CodecInfo {
        self.0.info()
    }
    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        self.0.duration(payload)
    }
    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        self.0.decode(payload, pcm)
    }
    fn reset(&mut self) {
        self.0.reset();
    }
}

/// What a receiver plays of packets of 20 ms that arrive in time or never, in ticks of 10 ms.
fn received(packets: &[Vec<u8>], lost: impl Fn(usize) -> bool, decoder: impl Decoder) -> Vec<i16> {
    let config = ReceiverConfig {
        sample_rate_hz: 16_000,
        rtp_clock_hz: 8_000,
        delay: DelayConfig::fixed(40),
        ..ReceiverConfig::default()
    };
    let mut receiver = Box::new(HostReceiver::new(config).unwrap());
    let payload_type = PayloadType::new(9).unwrap();
    let mut table = (payload_type, decoder);
    let (mut heard, mut tick, mut datagram) = (Vec::new(), [0; 160], [0; 200]);
    for n in 0..2 * packets.len() {
        let now = Instant::from_millis(10 * n as u64);
        if n % 2 == 0 && !lost(n / 2) {
            let (seq, timestamp) = (Seq(n as u16 / 2), RtpTime(80 * n as u32));
            let header = RtpHeader { payload_type, seq, timestamp, ssrc: Ssrc(1), ..RtpHeader::default() };
            let len = header.write_packet(&packets[n / 2], &mut datagram).unwrap();
            receiver.receive(now, &datagram[..len]).unwrap();
        }
        receiver.play(now, &mut table, &mut tick);
        heard.extend_from_slice(&tick);
    }
    heard
}

/// The receiver conceals, and its decoder hears of every piece of a loss: after bursts it is nearer to the sound
/// without loss than one that hears of none.
#[test]
fn a_receiver_tells_its_decoder_of_whole_bursts() {
    const FRAME: usize = 320;
    let mut source =
        WavSource::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../host-std/assets/woman.wav"), 16_000).unwrap();
    let mut speech = vec![0; source.len() as usize];
    source.read(&mut speech).unwrap();
    let mut encoder = G722Encoder::new(Mode::Kbps64);
    let packets: Vec<Vec<u8>> = speech
        .chunks_exact(FRAME)
        .map(|frame| {
            let mut payload = vec![0; FRAME / 2];
            assert_eq!(encoder.encode(frame, &mut payload), Ok(FRAME / 2));
            payload
        })
        .collect();
    let new = || G722Decoder::new(Mode::Kbps64);
    let clean = received(&packets, |_| false, new());
    for burst in [1, 2, 3] {
        // Each burst at another place of a word.
        let lost = |n: usize| n > 20 && n % 11 < burst;
        let told = received(&packets, lost, new());
        let untold = received(&packets, lost, Untold(new()));
        let (mut error_db, mut gaps) = ([0.0; 2], 0);
        for last in (21..packets.len() - 5).filter(|&n| lost(n) && !lost(n + 1)) {
            // The 60 ms after the gap, heard two packets later.
            let after = (last + 3) * FRAME..(last + 6) * FRAME;
            let level = mean_square(clean[after.clone()].iter().map(|&x| f64::from(x)));
            if level > 200.0 * 200.0 {
                for (heard, error_db) in [&told, &untold].into_iter().zip(&mut error_db) {
                    let error = mean_square(after.clone().map(|i| f64::from(heard[i]) - f64::from(clean[i])));
                    *error_db += 10.0 * (error.max(0.1) / level).log10();
                }
                gaps += 1;
            }
        }
        let [told, untold] = error_db.map(|sum| sum / f64::from(gaps));
        println!("bursts of {burst}, {gaps} of them: error {told:.2} dB told, {untold:.2} dB untold");
        assert!(gaps > 10 && told < untold - 0.5, "{burst}: {told} {untold}");
    }
}

fn decode(decoder: &mut G722Decoder, payload: &[u8]) -> Vec<i16> {
    let mut pcm = vec![0; 2 * payload.len()];
    assert_eq!(decoder.decode(payload, &mut pcm), Ok(pcm.len()));
    pcm
}

fn mean_square(x: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = x.len() as f64;
    x.map(|x| x * x).sum::<f64>() / n
}
