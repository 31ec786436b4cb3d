//! An answer that leaves several codecs open, and a sender that goes from one to another within its stream (RFC 3264, 6.1):
//! all of them are heard, whatever their clocks (`any_codec.rs` has those of a faster clock).

use std::net::SocketAddr;

use dsp_core::codec::Encoder;
use dsp_core::codec::g711::Pcmu;
use dsp_core::codec::g722::{G722Encoder, Mode};
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::RtpHeader;
use host_std::opus::{OpusEncoder, OpusEncoderConfig};
use host_std::registry::CodecFormat;
use host_std::sdp::{self, LocalMedia, LocalStream, SrtpPolicy};
use host_std::session::{Call, CallConfig, Channel, Identity, Incoming};
use host_std::wav::WavFrames;
use media_core_tests::score::score;

const WOMAN: &[u8] = include_bytes!("../../../host-std/assets/woman.wav");
const THERE: &str = "127.0.0.1:5000";
/// How long each codec is spoken in, in ms.
const TURN_MS: usize = 3_000;

fn speech(rate_hz: u32) -> Vec<i16> {
    let source = WavFrames::from_bytes("speech", WOMAN, rate_hz, 1).unwrap();
    source.read_all(Duration::from_secs(60)).unwrap()
}

/// What the other side may send.
struct Voice {
    payload_type: PayloadType,
    rate_hz: u32,
    clock_hz: u32,
    encoder: Box<dyn Encoder>,
    said: Vec<i16>,
}

/// The payload type that the answer gave a codec.
fn number(stream: &sdp::NegotiatedStream, name: &str) -> PayloadType {
    stream.send.iter().find(|codec| codec.format.is_named(name)).unwrap().payload_type
}

/// A call that offered these codecs, and an answer with all of them; then the voices take turns, `lose` every so many
/// packets. CN is a pause. Returns the call and what was heard.
fn turns(codecs: &[CodecFormat], order: &[&str], lose: usize, said: fn(u32) -> Vec<i16>) -> (Call, Vec<i16>) {
    let pauses = order.contains(&"CN");
    let config = CallConfig {
        codecs: codecs.to_vec(),
        comfort_noise: pauses,
        srtp: SrtpPolicy::Off,
        ..CallConfig::with_identity(4_000, Identity::seeded(1))
    };
    let mut call = Call::new(config).unwrap();
    let noise = pauses.then(|| CodecFormat::comfort_noise(8_000));
    let codecs = codecs.iter().cloned().chain(noise).collect::<Vec<_>>();
    let there = LocalMedia { rtp_port: 5_000, streams: vec![LocalStream::of(codecs.clone())], ..LocalMedia::default() };
    let (answer, negotiated) = sdp::answer(&there, call.offer().unwrap()).unwrap();
    let stream = negotiated.stream(0).unwrap();
    assert_eq!(stream.send.len(), codecs.len());
    call.accept(Instant::ZERO, &answer).unwrap();
    let mut voices: Vec<_> = order
        .iter()
        .map(|&name| {
            let (rate_hz, clock_hz, encoder): (_, _, Box<dyn Encoder>) = match name {
                "opus" => (48_000, 48_000, Box::new(OpusEncoder::new(OpusEncoderConfig::default()).unwrap())),
                "G722" => (16_000, 8_000, Box::new(G722Encoder::new(Mode::Kbps64))),
                _ => (8_000, 8_000, Box::new(Pcmu)),
            };
            Voice { payload_type: number(stream, name), rate_hz, clock_hz, encoder, said: said(rate_hz) }
        })
        .collect();

    let rate_hz = call.sample_rate_hz().unwrap();
    let from: SocketAddr = THERE.parse().unwrap();
    let (mut heard, mut now, mut timestamp) = (Vec::new(), Instant::ZERO, RtpTime(u32::MAX - 50_000));
    let mut tick = vec![0; rate_hz as usize / 100];
    for n in 0..order.len() * TURN_MS / 20 {
        let voice = &mut voices[n * 20 / TURN_MS];
        let frame = voice.rate_hz as usize / 50;
        let begin = n % (TURN_MS / 20) * frame;
        let mut payload = [0; 1_400];
        let mut len = voice.encoder.encode(&voice.said[begin..begin + frame], &mut payload).unwrap();
        if order[n * 20 / TURN_MS] == "CN" {
            (payload[0], len) = (40, 1);
        }
        let header = RtpHeader {
            payload_type: voice.payload_type,
            seq: Seq(65_400u16.wrapping_add(n as u16)),
            timestamp,
            ssrc: Ssrc(7),
            ..RtpHeader::default()
        };
        timestamp = timestamp.plus(voice.clock_hz / 50);
        let mut datagram = [0; 1_500];
        let len = header.write_packet(&payload[..len], &mut datagram).unwrap();
        if lose == 0 || n % lose != lose - 1 {
            let incoming = call.receive(now, Channel::Rtp, from, &mut datagram[..len]);
            assert!(matches!(incoming, Incoming::Audio(_)), "{incoming:?}");
        }
        for _ in 0..2 {
            call.play(now, &mut tick);
            heard.extend_from_slice(&tick);
            now += Duration::from_millis(10);
        }
    }
    (call, heard)
}

#[test]
fn every_codec_of_an_answer_is_heard_when_it_comes() {
    let opus = [CodecFormat::opus(), CodecFormat::g722(), CodecFormat::pcmu()];
    let narrow = [CodecFormat::pcmu(), CodecFormat::g722()];
    for (codecs, order, lose, rate_hz) in [
        (&opus[..], &["opus", "PCMU", "G722", "opus"][..], 0, 48_000),
        (&opus, &["PCMU", "opus", "G722", "PCMU"], 20, 48_000),
        (&narrow, &["PCMU", "G722", "PCMU"], 0, 16_000),
        (&narrow, &["G722", "PCMU"], 20, 16_000),
    ] {
        let (call, heard) = turns(codecs, order, lose, speech);
        assert_eq!(call.sample_rate_hz(), Some(rate_hz));
        let receiver = call.stats().receiver;
        // Between two codecs, a whole number of samples and no silence to speak of.
        for turn in 0..order.len() {
            let part = &heard[turn * TURN_MS * rate_hz as usize / 1_000..][..TURN_MS * rate_hz as usize / 1_000];
            let thin: Vec<_> = part.iter().step_by(rate_hz as usize / 8_000).copied().collect();
            let score = score(&speech(8_000), &thin, 8_000);
            println!("{order:?}, turn {turn}: {score:?}");
            assert!(score.segments >= 6 && score.median > 0.8, "{order:?}, turn {turn}: {score:?}");
        }
        println!("{receiver:?}");
        assert_eq!(receiver.codec_switches as usize, order.len() - 1);
        assert_eq!((receiver.unknown_payload, receiver.undecodable), (0, 0));
        let lost = (order.len() * TURN_MS / 20).checked_div(lose).unwrap_or(0);
        let concealed_ms = receiver.concealed_samples * 1_000 / u64::from(rate_hz);
        let most = (20 * lost + 100 * order.len()) as u64;
        assert!(concealed_ms < most, "{order:?}: {concealed_ms} ms made up, {most} at most");
    }
}

/// A tone of 440 Hz, whole periods a turn.
fn tone(rate_hz: u32) -> Vec<i16> {
    let at = |n: u32| f64::from(n) / f64::from(rate_hz) * 440.0 * std::f64::consts::TAU;
    (0..rate_hz * TURN_MS as u32 / 1_000).map(|n| (at(n).sin() * 8_000.0) as i16).collect()
}

/// Codecs have delays of their own, and what one remembers of its last turn is old: no step tells of that.
#[test]
fn a_change_of_codec_is_no_click() {
    let opus = [CodecFormat::opus(), CodecFormat::g722(), CodecFormat::pcmu()];
    let narrow = [CodecFormat::pcmu(), CodecFormat::g722()];
    for (codecs, order) in
        [(&opus[..], &["opus", "PCMU", "G722", "opus", "PCMU"][..]), (&narrow, &["PCMU", "G722", "PCMU"])]
    {
        let (call, heard) = turns(codecs, order, 0, tone);
        let rate_hz = call.sample_rate_hz().unwrap();
        // What a tone of this level and frequency has from sample to sample, and as much again.
        let most = (2.0 * 8_000.0 * 440.0 * std::f64::consts::TAU / f64::from(rate_hz)) as i32 + 200;
        for (n, pair) in heard.windows(2).enumerate() {
            let step = (i32::from(pair[1]) - i32::from(pair[0])).abs();
            assert!(step <= most, "{order:?}: a step of {step} at {} ms", n * 1_000 / rate_hz as usize);
        }
    }
}

/// Comfort noise at 8 kHz goes with PCMU, in a call whose clock is that of Opus.
#[test]
fn the_noise_beside_a_slower_codec_is_heard() {
    let order = ["opus", "PCMU", "CN", "PCMU"];
    let (call, heard) = turns(&[CodecFormat::opus(), CodecFormat::pcmu()], &order, 0, speech);
    let receiver = call.stats().receiver;
    println!("{receiver:?}");
    // That PCMU and its noise count in another clock than Opus is no jump.
    assert_eq!((receiver.restarts, receiver.unknown_payload, receiver.noise_packets), (0, 0, 150));
    let turn = 48 * TURN_MS;
    let rms = |part: &[i16]| (part.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / part.len() as f64).sqrt();
    // -40 dBov.
    let noise = rms(&heard[2 * turn + turn / 4..3 * turn]);
    assert!((noise / (32_768.0 / 100.0) - 1.0).abs() < 0.2, "{noise}");
    let thin: Vec<_> = heard[3 * turn..].iter().step_by(6).copied().collect();
    let score = score(&speech(8_000), &thin, 8_000);
    assert!(score.segments >= 6 && score.median > 0.8, "{score:?}");
}

/// Packets that nobody agreed on, with times of another clock, lie between those that are heard.
#[test]
fn what_nobody_agreed_on_moves_no_time() {
    let codecs = vec![CodecFormat::opus()];
    let config = CallConfig {
        codecs: codecs.clone(),
        srtp: SrtpPolicy::Off,
        ..CallConfig::with_identity(4_000, Identity::seeded(1))
    };
    let mut call = Call::new(config).unwrap();
    let there = LocalMedia { rtp_port: 5_000, streams: vec![LocalStream::of(codecs)], ..LocalMedia::default() };
    let (answer, negotiated) = sdp::answer(&there, call.offer().unwrap()).unwrap();
    let stream = negotiated.stream(0).unwrap();
    call.accept(Instant::ZERO, &answer).unwrap();
    let opus = number(stream, "opus");
    let mut encoder = OpusEncoder::new(OpusEncoderConfig::default()).unwrap();
    let said = speech(48_000);

    let (mut heard, mut tick, mut seq, mut unknown) = (Vec::new(), vec![0; 480], Seq(9), 0);
    for n in 0..TURN_MS as u32 / 20 {
        let now = Instant::from_millis(u64::from(n) * 20);
        let mut payload = [0; 1_400];
        let len = encoder.encode(&said[n as usize * 960..][..960], &mut payload).unwrap();
        let mut sent = vec![(opus, RtpTime(n * 960), len)];
        if n % 10 == 9 {
            sent.push((PayloadType::from_low_bits(77), RtpTime(n * 160), 4));
            unknown += 1;
        }
        for (payload_type, timestamp, len) in sent {
            let header = RtpHeader { payload_type, seq, timestamp, ssrc: Ssrc(7), ..RtpHeader::default() };
            seq = seq.plus(1);
            let mut datagram = [0; 1_500];
            let len = header.write_packet(&payload[..len], &mut datagram).unwrap();
            call.receive(now, Channel::Rtp, THERE.parse().unwrap(), &mut datagram[..len]);
        }
        for half in 0..2 {
            call.play(now + Duration::from_millis(10 * half), &mut tick);
            heard.extend_from_slice(&tick);
        }
    }
    let receiver = call.stats().receiver;
    println!("{receiver:?}");
    // The last one's turn is yet to come.
    assert_eq!((receiver.restarts, receiver.unknown_payload, receiver.concealed_samples), (0, unknown - 1, 0));
    let thin: Vec<_> = heard.iter().step_by(6).copied().collect();
    let score = score(&speech(8_000), &thin, 8_000);
    assert!(score.segments >= 6 && score.median > 0.9, "{score:?}");
}
