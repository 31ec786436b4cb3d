//! Fuzzing of a call whose answer left several codecs open: payloads of any length, of any of them, in any order, each in its
//! own clock, mono and stereo, at a device of another rate or none.
//! On stable with the default engine; `BOLERO_RANDOM_TEST_TIME_MS` sets how long.

use std::net::SocketAddr;

use dsp_core::time::{Duration, Instant, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::RtpHeader;
use host_std::registry::CodecFormat;
use host_std::sdp::{self, LocalMedia, LocalStream, SrtpPolicy};
use host_std::session::{Call, CallConfig, Channel, Identity};

/// A packet: which codec, bytes of payload, how far the sequence goes beside one, how far the timestamp goes; and samples to
/// play after it.
type Step = (u8, u16, i8, i16, u16);
/// What the device has.
const SOUNDS: [Option<(u32, u8)>; 4] = [None, Some((44_100, 1)), Some((48_000, 2)), Some((8_000, 1))];

#[test]
fn fuzz_codec_switch() {
    bolero::check!().with_max_len(2_048).with_type::<(u8, u8, Vec<Step>)>().for_each(|(first, device, steps)| {
        // The first decides rate, clock and channels of the call.
        let mut codecs = vec![
            CodecFormat::opus(),
            CodecFormat::g722(),
            CodecFormat::pcmu(),
            CodecFormat::l16(16_000, 2),
            CodecFormat::l16(48_000, 1),
            // No whole number of its ticks is one of the others'.
            CodecFormat::l16(44_100, 2),
        ];
        let count = codecs.len();
        codecs.rotate_left(usize::from(*first) % count);
        let config = CallConfig {
            codecs: codecs.clone(),
            srtp: SrtpPolicy::Off,
            sound: SOUNDS[usize::from(*device) % SOUNDS.len()],
            comfort_noise: first & 0x80 != 0,
            ..CallConfig::with_identity(4_000, Identity::seeded(1))
        };
        let mut call = Call::new(config).unwrap();
        let there = LocalMedia { rtp_port: 5_000, streams: vec![LocalStream::of(codecs)], ..LocalMedia::default() };
        let (answer, negotiated) = sdp::answer(&there, call.offer().unwrap()).unwrap();
        let stream = negotiated.stream(0).unwrap();
        call.accept(Instant::ZERO, &answer).unwrap();
        let from: SocketAddr = "127.0.0.1:5000".parse().unwrap();
        let (mut now, mut timestamp, mut seq) = (Instant::ZERO, RtpTime(u32::MAX - 1_000), 65_500u16);
        let mut datagram = vec![0; 70_000];
        for &(which, bytes, beside, ahead, samples) in steps {
            let codec = &stream.send[usize::from(which) % stream.send.len()];
            let header = RtpHeader {
                payload_type: codec.payload_type,
                seq: Seq(seq),
                timestamp,
                ssrc: Ssrc(1),
                ..RtpHeader::default()
            };
            // Most packets follow each other; some are overtaken, or were sent before.
            seq = seq.wrapping_add(1).wrapping_add_signed(i16::from(beside) / 32);
            timestamp = timestamp.plus(i32::from(ahead) as u32);
            let payload = vec![which; usize::from(bytes)];
            let len = header.write_packet(&payload, &mut datagram).unwrap();
            call.receive(now, Channel::Rtp, from, &mut datagram[..len]);
            call.play(now, &mut vec![0; usize::from(samples) % 4_000]);
            assert_eq!(call.stats().unaccounted(), [0; 5]);
            now += Duration::from_millis(u64::from(samples % 100));
        }
    });
}
