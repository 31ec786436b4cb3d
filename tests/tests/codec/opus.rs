//! Opus: the vectors of RFC 8251 by their final ranges, redundancy (in-band FEC, DRED) against concealment on speech and
//! in a call, packets cut short, and no allocation on the packet path.

use std::net::SocketAddr;

use assert_no_alloc::{AllocDisabler, assert_no_alloc};
use dsp_core::codec::{DecodeError, Decoder, Encoder};
use dsp_core::receive::{DelayConfig, HostReceiver, Received, ReceiverConfig};
use dsp_core::time::{Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::RtpHeader;
use host_std::opus::{MAX_PAYLOAD, OpusDecoder, OpusEncoder, OpusEncoderConfig, OpusFmtp, OpusPacket, OpusPacketError};
#[cfg(feature = "opus-dred")]
use host_std::opus::{OpusBandwidth, OpusMode};
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::session::{Call, CallConfig, Identity};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;
use media_core_tests::road::babble;
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

/// Packets of 20 ms of the speech.
fn encoded(speech: &[i16], config: OpusEncoderConfig) -> Vec<Vec<u8>> {
    let mut encoder = OpusEncoder::new(config).expect("an encoder");
    let encode = |frame: &[i16]| {
        let mut payload = [0; MAX_PAYLOAD];
        let n = encoder.encode(frame, &mut payload).expect("encodes");
        payload[..n].to_vec()
    };
    speech.chunks_exact(config.sample_rate_hz as usize / 50).map(encode).collect()
}

#[test]
fn a_packet_cut_short_or_too_long_is_named_and_the_next_one_decodes() {
    let Some(speech) = speech_16k() else { return };
    let config = OpusEncoderConfig { sample_rate_hz: 16_000, ..Default::default() };
    let packets = encoded(&speech[..16_000], config);
    let mut decoder = OpusDecoder::new(16_000, 1).expect("a decoder");
    let mut pcm = [0; 1920];
    for packet in &packets {
        assert_eq!(decoder.decode(&[], &mut pcm), Err(DecodeError::Empty));
        let long = [packet, &[0; 1276][..]].concat();
        assert_eq!(decoder.decode(&long, &mut pcm), Err(DecodeError::Malformed(2)), "rule 2: a frame's length");
        let bytes = long.len() - 1;
        assert_eq!(OpusPacket::parse(&long), Err(OpusPacketError::FrameTooLong { bytes }));
        // One frame has no length of its own to miss bytes by: half of it is sound that is wrong, and no error.
        assert_eq!(decoder.decode(&packet[..packet.len() / 2], &mut pcm), Ok(320));
        // Two frames have.
        let two = [&[packet[0] & !3 | 2, 251][..], &packet[1..]].concat();
        assert_eq!(decoder.decode(&two, &mut pcm), Err(DecodeError::Malformed(4)), "rule 4: the first is longer");
        assert_eq!(decoder.decode(packet, &mut pcm[..100]), Err(DecodeError::OutputTooSmall { need: 320, got: 100 }));
        assert_eq!(decoder.decode(packet, &mut pcm), Ok(320));
    }
}

/// How far the loudness of 10 ms pieces is off, in dB, over a gap in the speech.
#[cfg(feature = "opus-dred")]
fn loudness_error_db(want: &[i16], got: &[i16]) -> f64 {
    let db = |pcm: &[i16]| 10.0 * f64::log10(1e3 + pcm.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / 160.0);
    let error: f64 = want.chunks(160).zip(got.chunks(160)).map(|(w, g)| (db(w) - db(g)).abs()).sum();
    error / (want.len() as f64 / 160.0)
}

/// Deep Redundancy for the last so many ms in each packet.
#[cfg(feature = "opus-dred")]
fn redundant(dred_ms: u16) -> OpusEncoderConfig {
    OpusEncoderConfig {
        sample_rate_hz: 16_000,
        bitrate_bps: 32_000,
        fec: false,
        expected_loss_percent: 20,
        dred_ms,
        ..Default::default()
    }
}

/// Gaps of 200 ms, of which plain concealment can know nothing, spoken again out of the packet behind them.
#[cfg(feature = "opus-dred")]
#[test]
fn deep_redundancy_fills_a_long_gap_part_by_part() {
    const GAP: usize = 10;
    let Some(speech) = speech_16k() else { return };
    let config = redundant(500);
    let packets = encoded(&speech, config);
    let mut clean = vec![0; 320 * packets.len()];
    let mut sound = OpusDecoder::new(16_000, 1).expect("a decoder");
    for (packet, pcm) in packets.iter().zip(clean.chunks_mut(320)) {
        sound.decode(packet, pcm).expect("decodes");
    }
    let mut with_dred = OpusDecoder::new(16_000, 1).expect("a decoder");
    let mut concealing = OpusDecoder::new(16_000, 1).expect("a decoder");
    let (mut of_dred, mut of_concealment, mut gaps, mut recovered) = (0.0, 0.0, 0, 0);
    for (n, packet) in packets.iter().enumerate() {
        let is_gap_end = n % 30 == 29;
        if n % 30 >= 29 - GAP && !is_gap_end {
            continue;
        }
        if is_gap_end {
            let (mut spoken, mut concealed) = ([0; 320 * GAP], [0; 320 * GAP]);
            for (part, pcm) in spoken.chunks_mut(320).enumerate() {
                // A pause isn't sent again.
                let done = with_dred.recover(packet, 960 * (GAP - 1 - part) as u32, pcm);
                assert!(done || with_dred.conceal(pcm));
                recovered += usize::from(done);
            }
            assert!(concealing.conceal(&mut concealed));
            let heard = &clean[320 * (n - GAP)..320 * n];
            of_dred += loudness_error_db(heard, &spoken);
            of_concealment += loudness_error_db(heard, &concealed);
            gaps += 1;
        }
        for decoder in [&mut with_dred, &mut concealing] {
            decoder.decode(packet, &mut [0; 320]).expect("decodes");
        }
    }
    let (of_dred, of_concealment) = (of_dred / gaps as f64, of_concealment / gaps as f64);
    println!(
        "loudness off by {of_dred:.1} dB in gaps spoken by DRED, {of_concealment:.1} dB in concealed ones ({gaps})"
    );
    assert!(gaps >= 5 && recovered * 10 > gaps * GAP * 6, "{recovered} packets recovered of {gaps} gaps");
    assert!(of_dred * 2.0 < of_concealment, "{of_dred:.1} dB against {of_concealment:.1} dB");
}

#[cfg(feature = "opus-dred")]
#[test]
fn deep_redundancy_covers_what_it_says_and_nothing_else() {
    let Some(speech) = speech_16k() else { return };
    let config = redundant(200);
    let packets = encoded(&speech, config);
    let mut decoder = OpusDecoder::new(16_000, 1).expect("a decoder");
    let mut pcm = [1234; 640];
    assert_eq!(decoder.redundancy(&packets[50]), 0, "nothing to go on from before the first packet");
    assert!(!decoder.recover(&packets[50], 0, &mut pcm));
    decoder.decode(&packets[40], &mut [0; 320]).expect("decodes");
    let reach = decoder.redundancy(&packets[50]);
    assert!((8_000..=14_000).contains(&reach), "{reach} ticks");
    assert!(!decoder.recover(&packets[50], reach, &mut pcm[..320]), "before it begins");
    assert!(!decoder.recover(&packets[50], u32::MAX, &mut pcm[..320]));
    assert!(!decoder.recover(&packets[50], 960, &mut pcm[..40]), "2.5 ms");
    assert_eq!(pcm, [1234; 640], "untouched");
    assert!(decoder.recover(&packets[50], 960, &mut pcm[..320]));
    // SILK of a narrower band than the vocoder's.
    let narrow =
        OpusEncoderConfig { bandwidth: Some(OpusBandwidth::Narrow), bitrate_bps: 12_000, dred_ms: 0, ..config };
    let narrow = encoded(&speech, narrow);
    decoder.decode(&narrow[40], &mut [0; 320]).expect("decodes");
    assert_eq!(OpusPacket::parse(&narrow[40]).map(|packet| packet.mode), Ok(OpusMode::Silk));
    assert_eq!(decoder.redundancy(&packets[50]), 0);
}

/// Shares of what one side of a call heard, in percent: recovered and concealed. Losses come in bursts of three, and the
/// jitter makes the receiver wait long enough to see behind most of them.
fn call_with_bursts(opus: OpusEncoderConfig, speech: &[i16]) -> (f64, f64) {
    let calls = [4_000, 5_000].map(|port| {
        let base = CallConfig::with_identity(port, Identity::seeded(u64::from(port)));
        let registry = Registry::builtin().with(Opus(opus));
        Call::new(CallConfig { codecs: vec![CodecFormat::opus()], registry, ..base }).expect("a call")
    });
    let addresses = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let network = NetworkConfig { loss_percent: 10.0, burst: 3.0, jitter_ms: 40.0, ..Default::default() };
    let mut simulation = VirtualTime::connect(calls, addresses, network, 0.0, 1).expect("connects");
    for end in &mut simulation.ends {
        end.speech = speech.repeat(20);
    }
    simulation.run_until(Instant::from_millis(40_000));
    let receiver = simulation.ends[1].call.stats().receiver;
    let share = |samples: u64| 100.0 * samples as f64 / receiver.played_samples as f64;
    (share(receiver.recovered_samples), share(receiver.concealed_samples))
}

#[test]
fn a_call_recovers_what_its_packets_carry_twice() {
    let Some(speech) = speech_16k() else { return };
    let base = OpusEncoderConfig {
        sample_rate_hz: 16_000,
        bitrate_bps: 32_000,
        expected_loss_percent: 20,
        fec: false,
        ..Default::default()
    };
    let (none, concealed_all) = call_with_bursts(base, &speech);
    let (by_fec, concealed_beside_fec) = call_with_bursts(OpusEncoderConfig { fec: true, ..base }, &speech);
    println!(
        "recovered {none:.1} %, {by_fec:.1} % by FEC; concealed {concealed_all:.1} %, {concealed_beside_fec:.1} %"
    );
    assert_eq!(none, 0.0);
    assert!(by_fec > 1.0 && concealed_beside_fec < concealed_all, "{by_fec:.1} % {concealed_beside_fec:.1} %");
    if cfg!(feature = "opus-dred") {
        let dred = OpusEncoderConfig { dred_ms: 500, ..base };
        let (by_dred, concealed_beside_dred) = call_with_bursts(dred, &speech);
        println!("recovered {by_dred:.1} % by DRED; concealed {concealed_beside_dred:.1} %");
        assert!(by_dred > 1.5 * by_fec, "{by_dred:.1} % by DRED, {by_fec:.1} % by FEC");
        assert!(concealed_beside_dred < concealed_beside_fec, "{concealed_beside_dred:.1} %");
    }
}

#[test]
fn nothing_allocates_after_construction() {
    let dred_ms = if cfg!(feature = "opus-dred") { 300 } else { 0 };
    let config = OpusEncoderConfig { expected_loss_percent: 20, dred_ms, ..Default::default() };
    let mut encoder = OpusEncoder::new(config).expect("an encoder");
    let mut decoder = OpusDecoder::new(48_000, 1).expect("a decoder");
    let pcm: Vec<i16> = (0..960).map(|i| (9000.0 * f32::sin(i as f32 * 0.05)) as i16).collect();
    let (mut payload, mut out) = ([0; MAX_PAYLOAD], [0; 960]);
    assert_no_alloc(|| {
        for round in 0..50 {
            let n = encoder.encode(&pcm, &mut payload).unwrap_or(0);
            encoder.set_bitrate(16_000 + 500 * round).unwrap_or(());
            let (dtx, complexity) = (round % 2 == 0, (round % 11) as u8);
            let changed = OpusEncoderConfig { dtx, complexity, ..encoder.config() };
            encoder.set(changed).unwrap_or(());
            let _ = OpusFmtp::of(&encoder.config());
            let _ = decoder.redundancy(&payload[..n]);
            let _ = decoder.recover(&payload[..n], 960, &mut out);
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

/// A packet that was recovered and comes after all is superfluous; one that was given up and comes after all is late.
#[test]
fn what_was_recovered_cannot_come_too_late() {
    let config = OpusEncoderConfig { sample_rate_hz: 16_000, expected_loss_percent: 20, ..Default::default() };
    let packets = encoded(&babble(16_000, 3, 0), config);
    // Two packets whose next one repeats them.
    let mut decoder = OpusDecoder::new(16_000, 1).expect("a decoder");
    let repeats = |n: &usize| {
        decoder.decode(&packets[n - 1], &mut [0; 320]).expect("decodes");
        decoder.redundancy(&packets[n + 1]) > 0
    };
    let repeated: Vec<usize> = (30..100).filter(repeats).collect();
    let recovered = repeated[0];
    let last = *repeated.iter().find(|&&n| n >= recovered + 25).expect("speech goes on");
    let lost = |n: usize| n == recovered || (last - 2..=last).contains(&n);
    let delay = DelayConfig::fixed(60);
    let receiver = ReceiverConfig { sample_rate_hz: 16_000, rtp_clock_hz: 48_000, delay, ..ReceiverConfig::default() };
    let mut receiver = HostReceiver::new(receiver).expect("a receiver");
    let number = PayloadType::from_low_bits(96);
    let mut payloads = (number, OpusDecoder::new(16_000, 1).expect("a decoder"));
    let datagram = |n: usize| {
        let seq = Seq(n as u16);
        let timestamp = RtpTime(960 * n as u32);
        let header = RtpHeader { payload_type: number, seq, timestamp, ssrc: Ssrc(1), ..RtpHeader::default() };
        let mut bytes = vec![0; 12];
        header.write(&mut bytes).expect("room for a header");
        bytes.extend_from_slice(&packets[n]);
        bytes
    };
    let (mut pcm, mut late) = ([0; 320], Vec::new());
    for n in 0..140 {
        let now = Instant::from_millis(20 * n as u64);
        if n == recovered + 15 {
            late.push(receiver.receive(now, &datagram(recovered)));
        } else if n == last + 15 {
            late.push(receiver.receive(now, &datagram(last - 1)));
        }
        if !lost(n) {
            receiver.receive(now, &datagram(n)).expect("a packet");
        }
        receiver.play(now, &mut payloads, &mut pcm);
    }
    assert_eq!(late, [Ok(Received::Duplicate), Ok(Received::Late)], "{:?}", receiver.stats());
    let (stats, bursts) = (receiver.stats(), receiver.bursts());
    assert_eq!((stats.duplicate, stats.late, stats.recovered_samples), (1, 1, 640), "{stats:?}");
    assert_eq!((bursts.lost, bursts.discarded), (1, 1), "{bursts:?}");
}
