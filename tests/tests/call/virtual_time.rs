//! Two-ended calls in virtual time: what is said on one side is heard on the other.

use std::net::SocketAddr;

use dsp_core::codec::g711::{linear_to_ulaw, ulaw_to_linear};
use dsp_core::codec::g722::{G722Decoder, G722Encoder, Mode};
use dsp_core::codec::ilbc::IlbcMode;
use dsp_core::codec::{Decoder, Encoder};
use dsp_core::time::Instant;
use host_std::opus::OpusEncoderConfig;
use host_std::record::call::side_report;
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, Channel, Identity, Incoming};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;
use media_core_tests::road::babble;
use media_core_tests::{recorded, recorder};

fn call(port: u16, codec: CodecFormat, srtp: SrtpPolicy) -> Call {
    let identity = Identity::seeded(u64::from(port));
    let config = CallConfig { codecs: vec![codec], srtp, ..CallConfig::with_identity(port, identity) };
    Call::new(config).unwrap()
}

fn connect(codec: CodecFormat, srtp: SrtpPolicy, network: NetworkConfig, drift_ppm: f64) -> VirtualTime {
    connect_calls([call(4_000, codec.clone(), srtp), call(5_000, codec, srtp)], network, drift_ppm)
}

fn connect_calls(calls: [Call; 2], network: NetworkConfig, drift_ppm: f64) -> VirtualTime {
    let addresses = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    VirtualTime::connect(calls.map(recorded), addresses, network, drift_ppm, 1).unwrap()
}

#[test]
fn without_impairments_speech_arrives_bit_exact_after_g711() {
    for srtp in [SrtpPolicy::Off, SrtpPolicy::Required] {
        let mut simulation = connect(CodecFormat::pcmu(), srtp, NetworkConfig::default(), 0.0);
        for (side, end) in simulation.ends.iter_mut().enumerate() {
            end.speech = babble(8_000, 10, side as u32);
        }
        simulation.run_until(Instant::from_millis(10_000));
        for side in 0..2 {
            let heard = &recorder(&simulation.ends[side].call).heard;
            let said = &recorder(&simulation.ends[1 - side].call).said;
            let expected: Vec<i16> = said.iter().map(|&sample| ulaw_to_linear(linear_to_ulaw(sample))).collect();
            let stats = simulation.ends[side].call.stats();
            let delay = (0..4_000).find(|&delay| heard[delay..][..8_000] == expected[..8_000]);
            let delay = delay.unwrap_or_else(|| panic!("not found: {stats:?}"));
            assert!(heard[delay..] == expected[..heard.len() - delay], "{stats:?}");
            assert!(delay < 8 * 120, "{delay} samples");
        }
    }
}

/// 16 kHz of sound on an 8 kHz RTP clock.
#[test]
fn without_impairments_speech_arrives_bit_exact_after_g722() {
    let mut simulation = connect(CodecFormat::g722(), SrtpPolicy::Required, NetworkConfig::default(), 0.0);
    for (side, end) in simulation.ends.iter_mut().enumerate() {
        end.speech = babble(16_000, 10, side as u32);
    }
    simulation.run_until(Instant::from_millis(10_000));
    for side in 0..2 {
        let heard = &recorder(&simulation.ends[side].call).heard;
        let said = &recorder(&simulation.ends[1 - side].call).said;
        let said = &said[..said.len() / 2 * 2];
        let (mut payload, mut expected) = (vec![0; said.len() / 2], vec![0; said.len()]);
        // As calls have it.
        let mut encoder = G722Encoder::new(Mode::Kbps64).with_silence_above_a_telephone();
        encoder.encode(said, &mut payload).unwrap();
        G722Decoder::new(Mode::Kbps64).decode(&payload, &mut expected).unwrap();
        let stats = simulation.ends[side].call.stats();
        let delay = (0..16 * 120).find(|&delay| heard[delay..][..16_000] == expected[..16_000]);
        let delay = delay.unwrap_or_else(|| panic!("not found: {stats:?}"));
        assert!(heard[delay..] == expected[..heard.len() - delay], "{stats:?}");
    }
}

/// Both modes, and a mode that only one side wants: the longer frame wins (RFC 3952, 4.2).
#[test]
fn ilbc_is_heard_in_both_modes_and_where_they_differ() {
    use IlbcMode::{Ms20, Ms30};
    for (modes, ptime_ms) in [([Ms20, Ms20], 20), ([Ms30, Ms30], 30), ([Ms20, Ms30], 30), ([Ms30, Ms20], 30)] {
        let network = NetworkConfig { loss_percent: 5.0, ..NetworkConfig::default() };
        let calls = [
            call(4_000, CodecFormat::ilbc(modes[0]), SrtpPolicy::Required),
            call(5_000, CodecFormat::ilbc(modes[1]), SrtpPolicy::Required),
        ];
        let mut simulation = connect_calls(calls, network, 0.0);
        for (side, end) in simulation.ends.iter_mut().enumerate() {
            end.speech = babble(8_000, 5, side as u32);
        }
        simulation.run_until(Instant::from_millis(5_000));
        for end in &simulation.ends {
            let stats = end.call.stats();
            assert_eq!(end.call.negotiated_stream(0).unwrap().send_ptime_ms, ptime_ms, "{modes:?}");
            assert!(stats.receiver.decoded_samples > 35_000, "{modes:?}: {stats:?}");
            assert_eq!(stats.receiver.undecodable, 0, "{modes:?}");
            let energy = |pcm: &[i16]| pcm.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
            let ratio = energy(&recorder(&end.call).heard) / energy(&recorder(&end.call).said);
            assert!((0.3..3.0).contains(&ratio), "{modes:?}: heard {ratio} of the energy");
        }
    }
}

#[test]
fn a_goodbye_from_elsewhere_does_not_end_a_call() {
    let mut simulation = connect(CodecFormat::pcmu(), SrtpPolicy::Off, NetworkConfig::default(), 0.0);
    simulation.run_until(Instant::from_millis(1_000));
    // A receiver report of a made-up source, and its goodbye.
    let mut forged = [0x80, 201, 0, 1, 9, 9, 9, 9, 0x81, 203, 0, 1, 9, 9, 9, 9];
    let now = Instant::from_millis(1_000);
    let elsewhere = SocketAddr::from(([192, 0, 2, 9], 6_000));
    let call = &mut simulation.ends[1].call;
    assert_eq!(call.receive(now, Channel::Rtp, elsewhere, &mut forged.clone()), Incoming::Foreign);
    let peer = SocketAddr::from(([127, 0, 0, 1], 4_000));
    // From where the sound comes from, but of a source that isn't heard: a statistic.
    assert_eq!(call.receive(now, Channel::Rtp, peer, &mut forged.clone()), Incoming::Control);
    assert_eq!((call.stats().goodbyes, call.stats().foreign_goodbyes), (0, 2));
    let ssrc = Identity::seeded(4_000).ssrc.0.to_be_bytes();
    forged[4..8].copy_from_slice(&ssrc);
    forged[12..16].copy_from_slice(&ssrc);
    assert_eq!(call.receive(now, Channel::Rtp, peer, &mut forged.clone()), Incoming::Bye);
    assert_eq!((call.stats().goodbyes, call.stats().foreign_goodbyes), (1, 2));
}

#[test]
fn a_network_that_loses_everything_is_reported_so() {
    let network = NetworkConfig { loss_percent: 100.0, ..NetworkConfig::default() };
    let mut simulation = connect(CodecFormat::pcmu(), SrtpPolicy::Required, network, 0.0);
    simulation.run_until(Instant::from_millis(2_000));
    let [first, second] = &simulation.ends;
    let report = side_report(["a", "b"], recorder(&first.call), recorder(&second.call), &first.call, "");
    let sent = second.call.stats().sender.packets as u64;
    assert!(sent > 95 && report.statistics.packets_sent + 1 >= sent, "{:?}", report.statistics);
    assert_eq!(report.statistics.packets_lost, report.statistics.packets_sent);
}

/// In pauses little is sent, if both sides want that; what is said goes through whole.
#[test]
fn silence_is_not_sent_where_both_sides_have_comfort_noise() {
    let silent = |codec: CodecFormat, wants: [bool; 2]| {
        let calls = [0, 1].map(|side: usize| {
            let port = 4_000 + 1_000 * side as u16;
            let opus = OpusEncoderConfig { dtx: wants[side], sample_rate_hz: 16_000, ..OpusEncoderConfig::default() };
            Call::new(CallConfig {
                codecs: vec![codec.clone()],
                registry: Registry::builtin().with(Opus(opus)),
                comfort_noise: wants[side],
                ..CallConfig::with_identity(port, Identity::seeded(u64::from(port)))
            })
            .unwrap()
        });
        let mut simulation = connect_calls(calls, NetworkConfig::default(), 0.0);
        let rate_hz = simulation.ends[0].sample_rate_hz();
        for (side, end) in simulation.ends.iter_mut().enumerate() {
            end.speech = babble(rate_hz, 2, side as u32);
            end.speech.resize(10 * rate_hz as usize, 0);
        }
        simulation.run_until(Instant::from_millis(10_000));
        simulation.ends.map(|end| (end.call.negotiated_stream(0).unwrap().send.clone(), end.call.stats()))
    };
    for codec in [CodecFormat::pcmu(), CodecFormat::g722(), CodecFormat::l16(16_000, 1), CodecFormat::opus()] {
        let own = codec.is_named("opus");
        for (formats, stats) in silent(codec.clone(), [true, true]) {
            assert!(stats.sender.packets < 250, "{codec}: {} of 500", stats.sender.packets);
            // What isn't sent is not lost.
            assert!(stats.receiver.concealed_samples * 100 < stats.receiver.played_samples, "{codec}: {stats:?}");
            let noise = formats.iter().find(|format| format.format.is_named("CN"));
            assert_eq!(noise.is_some(), !own, "{codec}");
            let number = noise.map_or(0, |noise| noise.payload_type.get());
            assert!(own || (number == 13) == (codec.rtp_clock_hz == 8_000), "{codec}: {number}");
        }
        for wants in [[true, false], [false, true], [false, false]] {
            let sent = silent(codec.clone(), wants);
            for (side, (_, stats)) in sent.iter().enumerate() {
                // Opus pauses by itself, where the other side prefers that (`usedtx`, RFC 7587, 6.1).
                let pauses = own && wants[1 - side];
                let packets = stats.sender.packets;
                assert!(if pauses { packets < 250 } else { packets >= 490 }, "{codec} {wants:?} {side}: {packets}");
            }
        }
    }
}
