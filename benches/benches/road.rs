//! The two roads, one packet of 20 ms at a time, in steady state: what a call costs a frame.
//!
//! Receiving is one datagram and two ticks of 10 ms, sending two ticks and one datagram. Beside the whole road stands
//! the same with a codec that does nothing: what the road itself costs.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use dsp_core::codec::g711::Pcmu;
use dsp_core::codec::{CodecInfo, DecodeError, Decoder, EncodeError, Encoder, PayloadTable};
use dsp_core::receive::{ArrayBuffer, Fate, PacketInfo, PacketKind};
use dsp_core::receive::{HostReceiver, ReceiverConfig};
use dsp_core::send::{HostSender, SenderConfig};
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::RtpHeader;
use host_std::opus::OpusEncoderConfig;
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, Channel, Identity};

/// G.711's shape without its work.
struct NoCodec;

impl NoCodec {
    const INFO: CodecInfo = CodecInfo { name: "none", sample_rate_hz: 8_000, rtp_clock_hz: 8_000, channels: 1 };
}

impl Decoder for NoCodec {
    fn info(&self) -> CodecInfo {
        Self::INFO
    }
    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        Ok(payload.len() as u32)
    }
    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        black_box(pcm);
        Ok(payload.len())
    }
    fn reset(&mut self) {}
}

impl Encoder for NoCodec {
    fn info(&self) -> CodecInfo {
        Self::INFO
    }
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, EncodeError> {
        black_box(payload);
        Ok(pcm.len())
    }
    fn reset(&mut self) {}
}

/// A buzz: voiced, so that time stretching would find something to do.
fn buzz(rate_hz: u32) -> Vec<i16> {
    let t = |n: u32| f64::from(n) * 130.0 / f64::from(rate_hz) * std::f64::consts::TAU;
    (0..rate_hz).map(|n| ((t(n).sin() + (3.0 * t(n)).sin() / 3.0) * 8_000.0) as i16).collect()
}

fn jitter(c: &mut Criterion) {
    let mut group = c.benchmark_group("jitter buffer");
    let payload = [0x55u8; 160];
    let mut buffer = Box::new(ArrayBuffer::<1_024>::new());
    let mut seq = Seq(0);
    let mut push = |buffer: &mut ArrayBuffer<1_024>| {
        let info = PacketInfo {
            seq,
            timestamp: RtpTime(u32::from(seq.0) * 160),
            payload_type: PayloadType::PCMU,
            kind: PacketKind::Sound,
            arrival: Instant::ZERO,
        };
        seq = seq.plus(1);
        buffer.push(info, black_box(&payload)).unwrap();
    };
    for _ in 0..3 {
        push(&mut buffer);
    }
    group.bench_function("push and pull, 160 bytes, 3 waiting", |b| {
        b.iter(|| {
            push(&mut buffer);
            let (info, bytes) = buffer.peek(0).unwrap();
            black_box((info.timestamp, bytes[0]));
            buffer.advance(Fate::Played)
        });
    });
    group.finish();
}

fn receive(c: &mut Criterion) {
    let mut group = c.benchmark_group("receive and play, 20 ms of G.711");
    let mut one = |name: &str, table: &mut dyn PayloadTable| {
        let mut receiver = Box::new(HostReceiver::new(ReceiverConfig::default()).unwrap());
        let mut payload = [0u8; 160];
        for (code, sample) in payload.iter_mut().zip(buzz(8_000)) {
            *code = dsp_core::codec::g711::linear_to_ulaw(sample);
        }
        let mut header = RtpHeader { ssrc: Ssrc(1), ..RtpHeader::default() };
        let mut datagram = [0; 172];
        let (mut pcm, mut now) = ([0; 80], Instant::ZERO);
        group.bench_function(name, |b| {
            b.iter(|| {
                header.write_packet(&payload, &mut datagram).unwrap();
                header.seq = header.seq.plus(1);
                header.timestamp = header.timestamp.plus(160);
                receiver.receive(now, black_box(&datagram)).unwrap();
                for _ in 0..2 {
                    receiver.play(now, table, &mut pcm);
                    black_box(&mut pcm);
                    now += Duration::from_millis(10);
                }
            });
        });
        let stats = receiver.stats();
        assert_eq!((stats.concealed_samples, stats.inserted_samples + stats.removed_samples), (0, 0));
    };
    one("whole", &mut (PayloadType::PCMU, Pcmu));
    one("less the decoder", &mut (PayloadType::PCMU, NoCodec));
    group.finish();
}

fn send(c: &mut Criterion) {
    let mut group = c.benchmark_group("capture and packet, 20 ms of G.711");
    let mut one = |name: &str, encoder: &mut dyn Encoder| {
        let config = SenderConfig {
            ssrc: Ssrc(1),
            first_seq: Seq(0),
            first_timestamp: RtpTime(0),
            payload_type: PayloadType::PCMU,
            ptime_ms: 20,
        };
        let mut sender = Box::new(HostSender::new(config, encoder).unwrap());
        let (pcm, mut datagram) = (buzz(8_000), [0; 200]);
        group.bench_function(name, |b| {
            b.iter(|| {
                for tick in 0..2 {
                    sender.capture(black_box(&pcm[tick * 80..][..80])).unwrap();
                }
                sender.packet(encoder, black_box(&mut datagram)).unwrap().unwrap()
            });
        });
    };
    one("whole", &mut Pcmu);
    one("less the encoder", &mut NoCodec);
    group.finish();
}

/// Two calls that have agreed on a codec.
fn calls(codec: CodecFormat, srtp: SrtpPolicy) -> [Call; 2] {
    let opus = OpusEncoderConfig { sample_rate_hz: 16_000, ..OpusEncoderConfig::default() };
    let registry = Registry::builtin().with(Opus(opus));
    let [mut a, mut b] = [4_000, 5_000].map(|port| {
        let base = CallConfig::with_identity(port, Identity::seeded(u64::from(port)));
        Call::new(CallConfig { codecs: vec![codec.clone()], registry: registry.clone(), srtp, ..base }).unwrap()
    });
    let offer = a.offer().unwrap();
    let answer = b.answer(Instant::ZERO, &offer).unwrap();
    a.accept(Instant::ZERO, &answer).unwrap();
    [a, b]
}

fn call(c: &mut Criterion) {
    let from = SocketAddr::from(([127, 0, 0, 1], 4_000));
    for (name, codec, srtp) in [
        ("PCMU", CodecFormat::pcmu(), SrtpPolicy::Off),
        ("PCMU, SRTP", CodecFormat::pcmu(), SrtpPolicy::Required),
        ("L16/16000, SRTP", CodecFormat::l16(16_000, 1), SrtpPolicy::Required),
        ("Opus at 16 kHz, SRTP", CodecFormat::opus(), SrtpPolicy::Required),
    ] {
        let mut group = c.benchmark_group(format!("a call's road, 20 ms of {name}"));
        let [mut speaker, mut listener] = calls(codec, srtp);
        let rate_hz = speaker.sample_rate_hz().unwrap();
        let (speech, tick) = (buzz(rate_hz), rate_hz as usize / 100);
        let mut at = 0;
        let mut say = |datagram: &mut [u8]| {
            for _ in 0..2 {
                speaker.capture(Instant::ZERO, &speech[at..at + tick]);
                at = (at + tick) % speech.len();
            }
            speaker.transmit(Instant::ZERO, datagram).map_or(0, |transmit| transmit.len)
        };
        let mut datagram = [0u8; 1_500];
        group.bench_function("send", |b| b.iter(|| say(black_box(&mut datagram))));

        let (mut now, mut pcm) = (Instant::ZERO, vec![0; tick]);
        group.bench_function("receive", |b| {
            b.iter_custom(|frames| {
                // Packets are made outside the time that is measured, a hundred in advance.
                let mut spent = time::Duration::ZERO;
                let mut packets = vec![([0u8; 1_500], 0usize); 100];
                let mut left = frames as usize;
                while left > 0 {
                    let batch = left.min(packets.len());
                    for (bytes, len) in &mut packets[..batch] {
                        *len = say(bytes);
                    }
                    let start = time::Instant::now();
                    for (bytes, len) in &mut packets[..batch] {
                        black_box(listener.receive(now, Channel::Rtp, from, &mut bytes[..*len]));
                        for _ in 0..2 {
                            listener.play(now, &mut pcm);
                            black_box(&mut pcm);
                            now += Duration::from_millis(10);
                        }
                    }
                    spent += start.elapsed();
                    left -= batch;
                }
                spent
            });
        });
        group.finish();
    }
    for (name, codec) in [
        ("a call, made and agreed on by both sides", CodecFormat::pcmu()),
        ("a call with Opus, made and agreed on by both sides", CodecFormat::opus()),
    ] {
        c.bench_function(name, |b| {
            b.iter_batched(|| codec.clone(), |codec| calls(codec, SrtpPolicy::Required), BatchSize::LargeInput);
        });
    }
}

criterion_group!(benches, jitter, receive, send, call);
criterion_main!(benches);
