//! Fuzzing of a call whose answer left several codecs open: payloads of any length, of any of them, in any order.
//! On stable with the default engine; `BOLERO_RANDOM_TEST_TIME_MS` sets how long.

use std::net::SocketAddr;

use dsp_core::time::{Duration, Instant, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::RtpHeader;
use host_std::registry::CodecFormat;
use host_std::sdp::{self, LocalMedia, LocalStream, SrtpPolicy};
use host_std::session::{Call, CallConfig, Channel, Identity};

/// A packet: which codec, bytes of payload, how far the timestamp goes; and samples to play after it.
type Step = (u8, u16, u16, u16);

#[test]
fn fuzz_codec_switch() {
    bolero::check!().with_max_len(2_048).with_type::<(u8, Vec<Step>)>().for_each(|(first, steps)| {
        // The first decides rate, clock and channels of the call.
        let mut codecs = vec![
            CodecFormat::opus(),
            CodecFormat::g722(),
            CodecFormat::pcmu(),
            CodecFormat::l16(16_000, 2),
            CodecFormat::l16(48_000, 1),
        ];
        let count = codecs.len();
        codecs.rotate_left(usize::from(*first) % count);
        let config = CallConfig {
            codecs: codecs.clone(),
            srtp: SrtpPolicy::Off,
            comfort_noise: first & 0x80 != 0,
            ..CallConfig::with_identity(4_000, Identity::seeded(1))
        };
        let mut call = Call::new(config).unwrap();
        let there = LocalMedia { rtp_port: 5_000, streams: vec![LocalStream::of(codecs)], ..LocalMedia::default() };
        let (answer, negotiated) = sdp::answer(&there, call.offer().unwrap()).unwrap();
        let stream = negotiated.stream(0).unwrap();
        call.accept(Instant::ZERO, &answer).unwrap();
        let from: SocketAddr = "127.0.0.1:5000".parse().unwrap();
        let (mut now, mut timestamp) = (Instant::ZERO, RtpTime(u32::MAX - 1_000));
        let mut datagram = vec![0; 70_000];
        for (n, &(which, bytes, ahead, samples)) in steps.iter().enumerate() {
            let codec = &stream.send[usize::from(which) % stream.send.len()];
            let header = RtpHeader {
                payload_type: codec.payload_type,
                seq: Seq(n as u16),
                timestamp,
                ssrc: Ssrc(1),
                ..RtpHeader::default()
            };
            timestamp = timestamp.plus(u32::from(ahead));
            let payload = vec![which; usize::from(bytes)];
            let len = header.write_packet(&payload, &mut datagram).unwrap();
            call.receive(now, Channel::Rtp, from, &mut datagram[..len]);
            call.play(now, &mut vec![0; usize::from(samples) % 4_000]);
            now += Duration::from_millis(u64::from(samples % 100));
        }
    });
}
