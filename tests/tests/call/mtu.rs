//! No packet of a call is longer than the MTU, headers of IP and UDP included, whatever codec, redundancy, protection and
//! packet length: unless the codec has no packet that is short enough.

use dsp_core::codec::ilbc::IlbcMode;
use dsp_core::time::Instant;
use host_std::opus::OpusEncoderConfig;
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, Identity};
use media_core_tests::tick::Device;

/// IPv4 and UDP.
const IP_UDP: usize = 20 + 8;

/// A call and what was agreed on with a peer that is set up alike.
fn call(change: &dyn Fn(CallConfig) -> CallConfig) -> Call {
    let [mut ours, mut peer] =
        [1, 2].map(|n| Call::new(change(CallConfig::with_identity(4_000, Identity::seeded(n)))).unwrap());
    let answer = peer.answer(Instant::ZERO, &ours.offer().unwrap()).unwrap();
    ours.accept(Instant::ZERO, &answer).unwrap();
    ours
}

/// The longest IP packet and how many there were in a second of noise, which no codec makes small.
fn longest(call: &mut Call) -> (usize, u32) {
    let mut device = Device::new(call);
    let mut state = 1u32;
    let (mut longest, mut packets) = (0, 0);
    for _ in 0..100 {
        let noise = |pcm: &mut [i16]| {
            for sample in pcm {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *sample = (state >> 16) as i16;
            }
        };
        device.tick(call, Instant::ZERO, noise, |transmit, _| {
            longest = longest.max(transmit.len + IP_UDP);
            packets += 1;
        });
    }
    (longest, packets)
}

#[test]
fn no_packet_exceeds_the_mtu_where_the_codec_has_shorter_ones() {
    let opus = |bitrate_bps, channels| {
        Registry::builtin().with(Opus(OpusEncoderConfig { bitrate_bps, channels, ..OpusEncoderConfig::default() }))
    };
    let l16 =
        [8_000, 16_000, 32_000, 44_100, 48_000].map(|rate_hz| (CodecFormat::l16(rate_hz, 1), Registry::builtin()));
    let mut codecs = vec![
        (CodecFormat::pcmu(), Registry::builtin()),
        (CodecFormat::g722(), Registry::builtin()),
        (CodecFormat::ilbc(IlbcMode::Ms20), Registry::builtin()),
        (CodecFormat::ilbc(IlbcMode::Ms30), Registry::builtin()),
        (CodecFormat::opus(), opus(32_000, 1)),
        (CodecFormat::opus(), opus(512_000, 1)),
        (CodecFormat::opus(), opus(1_024_000, 2)),
        (CodecFormat::l16(16_000, 2), Registry::builtin()),
    ];
    codecs.extend(l16);
    for (codec, registry) in &codecs {
        for redundancy in [0, 1, 4] {
            for srtp in [SrtpPolicy::Off, SrtpPolicy::Required] {
                for (ptime_ms, mtu) in [(20, 1_200), (60, 1_200), (20, 576), (60, 1_500), (60, 200)] {
                    let mut call = call(&|config| CallConfig {
                        codecs: vec![codec.clone()],
                        registry: registry.clone(),
                        redundancy,
                        srtp,
                        ptime_ms,
                        mtu,
                        ..config
                    });
                    let stream = call.negotiated_stream(0).unwrap();
                    let (least, ms) = (stream.least_packet_bytes, stream.send_ptime_ms);
                    let (longest, packets) = longest(&mut call);
                    let case = format!("{codec}, {redundancy} copies, {srtp:?}, {ptime_ms} ms, MTU {mtu}: {ms} ms");
                    // A second, but for what waits for a whole packet.
                    assert!(packets >= 1_000 / ms - 3, "{case}: {packets} packets");
                    assert_eq!(call.stats().send_errors, 0, "{case}");
                    if least > usize::from(mtu) {
                        assert!(ms == 10 || codec.is_named("iLBC"), "{case}: a shorter one would do");
                    } else {
                        assert!(longest <= usize::from(mtu), "{case}: {longest} bytes");
                    }
                }
            }
        }
    }
}

/// What one would choose by hand isn't touched.
#[test]
fn packets_that_fit_are_as_long_as_one_wished() {
    for (codec, ptime_ms) in [(CodecFormat::pcmu(), 60), (CodecFormat::opus(), 60), (CodecFormat::l16(16_000, 1), 30)] {
        let mut call = call(&|config| CallConfig { codecs: vec![codec.clone()], ptime_ms, ..config });
        assert_eq!(call.negotiated_stream(0).unwrap().send_ptime_ms, ptime_ms, "{codec}");
        assert!(longest(&mut call).0 <= 1_200);
    }
}
