//! Calls of ours whose captures are played again: under every suite, with redundancy, over a bad network and from the middle
//! on, each gives what its listener heard.

use std::net::SocketAddr;

use dsp_core::guard::srtp::Mki;
use dsp_core::time::{Instant, NtpTime};
use host_std::record::keys::KeyLine;
use host_std::record::pcap::PcapWriter;
use host_std::registry::CodecFormat;
use host_std::replay::{CaptureKeys, PayloadMap, ReplayConfig, replay_bytes};
use host_std::sdp::{CryptoSuite, SrtpPolicy};
use host_std::session::{Call, CallConfig, Identity, SrtpOptions};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;
use media_core_tests::captures::{BEGIN_US, Link, call, pcap};
use media_core_tests::recorder;
use media_core_tests::score::score;

use super::captures::{FROM, TO, play};

/// A call in virtual time whose packets repeat `redundancy` before them, its capture with keys as `demo` writes them, and what each side heard.
fn recorded(codec: &CodecFormat, redundancy: u8, network: NetworkConfig) -> (Vec<u8>, CaptureKeys, [Vec<i16>; 2]) {
    recorded_under(CryptoSuite::AesCm128HmacSha1_80, codec, redundancy, network)
}

/// The same under this suite.
fn recorded_under(
    suite: CryptoSuite,
    codec: &CodecFormat,
    redundancy: u8,
    network: NetworkConfig,
) -> (Vec<u8>, CaptureKeys, [Vec<i16>; 2]) {
    let addresses: [SocketAddr; 2] = [FROM.parse().unwrap(), TO.parse().unwrap()];
    let calls = [0, 1].map(|side| {
        // In one of the codecs keys have an identifier.
        let mut srtp_options = SrtpOptions::only([suite]);
        srtp_options.terms.mki = Mki::new(7, 4).filter(|_| codec.is_named("G722"));
        let config = CallConfig {
            codecs: vec![codec.clone()],
            redundancy,
            srtp: SrtpPolicy::Required,
            srtp_options,
            wall_clock: NtpTime::from_unix_micros(BEGIN_US),
            ..CallConfig::with_identity(addresses[side].port(), Identity::seeded(side as u64 + 1))
        };
        Call::new(config).unwrap()
    });
    let mut simulation =
        VirtualTime::connect(calls.map(media_core_tests::recorded), addresses, network, 0.0, 5).unwrap();
    let rate_hz = simulation.ends[0].sample_rate_hz() as usize;
    for (side, asset) in
        [&include_bytes!("../../../host-std/assets/woman.wav")[..], include_bytes!("../../../host-std/assets/man.wav")]
            .into_iter()
            .enumerate()
    {
        let mut source = host_std::wav::WavSource::from_bytes("speech", asset, rate_hz as u32).unwrap();
        let mut pcm = vec![0; source.len() as usize];
        let length = source.read(&mut pcm).unwrap();
        pcm.truncate(length);
        simulation.ends[side].speech = pcm;
    }
    simulation.run_until(Instant::from_millis(12_000));
    let mut capture = PcapWriter::new(Vec::new(), BEGIN_US).unwrap();
    let mut arrivals: Vec<_> = (0..2)
        .flat_map(|side| {
            recorder(&simulation.ends[side].call).arrivals.iter().map(move |arrival| (arrival.time, side, arrival))
        })
        .collect();
    arrivals.sort_by_key(|(time, side, _)| (*time, *side));
    for (time, side, arrival) in arrivals {
        capture.datagram(time, arrival.from, addresses[side], &arrival.bytes).unwrap();
    }
    let lines = simulation.ends[0].call.negotiated_transport().and_then(|agreed| agreed.srtp.as_ref()).map(|srtp| {
        [(0, &srtp.outgoing), (1, &srtp.incoming)].map(|(from, key)| KeyLine {
            suite: srtp.suite.name().into(),
            from: addresses[from],
            to: addresses[1 - from],
            key_and_salt: key.as_bytes().to_vec(),
            mki: key.terms().mki,
        })
    });
    let keys = CaptureKeys::new(&lines.map(Vec::from).unwrap_or_default()).unwrap();
    let heard = [0, 1].map(|side| recorder(&simulation.ends[side].call).heard.clone());
    (capture.finish().unwrap(), keys, heard)
}

#[test]
fn an_encrypted_call_is_heard_again() {
    for codec in [CodecFormat::pcmu(), CodecFormat::g722()] {
        let network = NetworkConfig { loss_percent: 8.0, burst: 2.0, ..NetworkConfig::default() };
        let (capture, keys, heard) = recorded(&codec, 0, network);
        let report = replay_bytes("call.pcap", &capture, &keys, &ReplayConfig::default()).unwrap();
        assert_eq!((report.streams.len(), report.capture.refused_packets), (2, 0));
        for stream in &report.streams {
            let listener = usize::from(stream.to == TO);
            // The ticks of both fall at other instants, so that gaps end at others.
            let score = score(&heard[listener], &stream.side.heard, stream.numbers.sample_rate_hz);
            assert!(score.median > 0.99 && score.segments > 5, "{codec:?}, {}: {score:?}", stream.numbers.name);
            assert!(stream.numbers.lost > 10 && stream.numbers.concealed_ratio > 0.02);
        }
        // Without the keys nothing is played, and with wrong ones nothing is found.
        let blind = replay_bytes("call.pcap", &capture, &CaptureKeys::default(), &ReplayConfig::default()).unwrap();
        // An identifier makes packets longer by more than a tag, which alone tells them from plain ones.
        let is_told = blind.streams.is_empty() && blind.skipped[0].reason.contains("--keys");
        assert!(is_told || codec.is_named("G722"), "{blind}");
        let wrong = KeyLine {
            suite: "AES_CM_128_HMAC_SHA1_80".into(),
            from: FROM.parse().unwrap(),
            to: TO.parse().unwrap(),
            key_and_salt: vec![3; 30],
            mki: None,
        };
        let wrong = CaptureKeys::new(&[wrong]).unwrap();
        let error = replay_bytes("call.pcap", &capture, &wrong, &ReplayConfig::default()).unwrap_err().to_string();
        assert!(error.contains("refused by SRTP with these keys"), "{error}");
    }
}

#[test]
fn a_call_under_each_suite_is_heard_again() {
    for suite in CryptoSuite::ALL {
        let (capture, keys, _) = recorded_under(suite, &CodecFormat::pcmu(), 0, NetworkConfig::default());
        let report = replay_bytes("call.pcap", &capture, &keys, &ReplayConfig::default()).unwrap();
        assert_eq!((report.streams.len(), report.capture.refused_packets), (2, 0), "{suite:?}");
        for stream in &report.streams {
            assert_eq!(stream.protection, suite.name());
            assert!(stream.numbers.received > 550 && stream.numbers.lost == 0, "{suite:?}: {}", stream.numbers.name);
        }
    }
}

/// What the blocks are, the packets say themselves: that they are redundant audio data must be said.
#[test]
fn redundant_audio_data_is_taken_apart() {
    let network = NetworkConfig { loss_percent: 8.0, burst: 1.0, ..NetworkConfig::default() };
    for (codec, name, guessed) in
        [(CodecFormat::pcmu(), "PCMU/8000", false), (CodecFormat::opus(), "opus/48000/2", true)]
    {
        let (capture, keys, heard) = recorded(&codec, 1, network);
        let blind = replay_bytes("call.pcap", &capture, &keys, &ReplayConfig::default()).unwrap();
        assert!(blind.streams.is_empty(), "{blind}");
        let reason = &blind.skipped[0].reason;
        let number = reason.strip_prefix("payload type ").and_then(|rest| rest.split(':').next()).unwrap();
        let mut payloads = PayloadMap::default();
        payloads.add(&format!("{number}={}", CodecFormat::redundancy(&codec))).unwrap();
        let config = ReplayConfig { payloads, ..ReplayConfig::default() };
        let report = replay_bytes("call.pcap", &capture, &keys, &config).unwrap();
        assert_eq!((report.streams.len(), report.skipped.len()), (2, 0), "{report}");
        for stream in &report.streams {
            assert_eq!((stream.codec.as_str(), stream.codec_guessed), (name, guessed));
            assert_ne!(stream.payload_type.to_string(), number);
            let (numbers, statistics) = (&stream.numbers, &stream.side.statistics);
            assert!(numbers.lost > 30, "{} lost", numbers.lost);
            assert!(statistics.redundant_used * 10 > numbers.lost * 7, "{} used", statistics.redundant_used);
            let lost = numbers.lost as f64 / (numbers.lost + numbers.received) as f64;
            assert!(numbers.recovered_ratio > lost * 0.7 && numbers.concealed_ratio < lost * 0.4, "{numbers:?}");
            let score = score(&heard[usize::from(stream.to == TO)], &stream.side.heard, stream.numbers.sample_rate_hz);
            assert!(score.median > 0.95 && score.segments > 5, "{score:?}");
        }
    }
}

#[test]
fn a_call_through_jitter_sounds_as_it_did() {
    let network =
        NetworkConfig { loss_percent: 3.0, jitter_ms: 30.0, reorder_percent: 1.0, ..NetworkConfig::default() };
    let (capture, keys, heard) = recorded(&CodecFormat::opus(), 0, network);
    let report = replay_bytes("call.pcap", &capture, &keys, &ReplayConfig::default()).unwrap();
    for stream in &report.streams {
        assert_eq!(stream.codec, "opus/48000/2");
        let listener = usize::from(stream.to == TO);
        let score = score(&heard[listener], &stream.side.heard, stream.numbers.sample_rate_hz);
        assert!(score.median > 0.95 && score.segments > 5, "{score:?}");
    }
}

#[test]
fn a_capture_from_the_middle_of_an_encrypted_call_is_opened() {
    use dsp_core::guard::PacketGuard;
    use dsp_core::guard::srtp::{MasterKey, Srtp, SrtpProfile};
    use dsp_core::time::Ssrc;

    let key = MasterKey::from_bytes(&[9; 30]);
    let mut sender: Srtp<1> =
        Srtp::new(SrtpProfile::AesCm128HmacSha1_32, &key, &MasterKey::from_bytes(&[1; 30])).unwrap();
    // Twelve times round: four and a half hours of 20 ms packets before the capture began.
    sender.resume_outgoing(Ssrc(0xfeed_beef), 12 << 16 | 65_400, 0).unwrap();
    let mut packets = call(200, FROM, TO);
    let plain = play(&pcap(&packets, Link::Ethernet(0), false, false));
    for packet in &mut packets {
        let length = packet.bytes.len();
        packet.bytes.resize(length + sender.max_growth(), 0);
        let protected = sender.protect_rtp(&mut packet.bytes, length).unwrap();
        packet.bytes.truncate(protected);
    }
    let file = pcap(&packets, Link::Ethernet(0), false, false);
    // The line's addresses are those behind a NAT: SRTP tells itself that it is the right key.
    let line = KeyLine {
        suite: "AES_CM_128_HMAC_SHA1_32".into(),
        from: "10.0.0.1:1".parse().unwrap(),
        to: "10.0.0.2:2".parse().unwrap(),
        key_and_salt: vec![9; 30],
        mki: None,
    };
    let keys = CaptureKeys::new(std::slice::from_ref(&line)).unwrap();
    let report = replay_bytes("test", &file, &keys, &ReplayConfig::default()).unwrap();
    assert_eq!(report.capture.refused_packets, 0);
    assert!(report.streams[0].side.heard == plain.streams[0].side.heard);

    let short = KeyLine { key_and_salt: vec![9; 16], ..line.clone() };
    assert!(
        CaptureKeys::new(&[short]).is_err_and(|error| error.to_string().contains("30 bytes with its salt, not 16"))
    );
    let gcm = KeyLine { suite: "AEAD_AES_128_GCM".into(), ..line.clone() };
    assert!(CaptureKeys::new(&[gcm]).is_err_and(|error| error.to_string().contains("28 bytes with its salt, not 30")));
    let f8 = KeyLine { suite: "F8_128_HMAC_SHA1_80".into(), ..line };
    assert!(
        CaptureKeys::new(&[f8]).is_err_and(|error| error.to_string().contains("no SRTP suite F8_128_HMAC_SHA1_80"))
    );
}
