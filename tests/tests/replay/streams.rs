//! Which streams of a capture are played, and what is said of the others: plain ones beside encrypted ones, those without
//! a key, and thousands at once.

use std::time::Instant;

use dsp_core::guard::PacketGuard;
use dsp_core::guard::srtp::{MasterKey, Srtp, SrtpProfile};
use host_std::record::keys::KeyLine;
use host_std::registry::{CodecFormat, Registry, Terms};
use host_std::replay::{CaptureKeys, CaptureReport, PayloadMap, ReplayConfig, replay_bytes};
use host_std::wav::WavSource;
use media_core_tests::captures::{BEGIN_US, Link, Packet, call, pcap, rtp};

const FROM: &str = "192.0.2.1:4000";
const TO: &str = "198.51.100.2:5004";

fn play(packets: &[Packet], keys: &CaptureKeys, map: &str) -> CaptureReport {
    let mut payloads = PayloadMap::default();
    if !map.is_empty() {
        payloads.add(map).unwrap();
    }
    let config = ReplayConfig { payloads, ..ReplayConfig::default() };
    replay_bytes("test", &pcap(packets, Link::Raw, false, false), keys, &config).unwrap()
}

/// The same packets under SRTP with a key made of this byte.
fn protected(packets: &[Packet], key: u8) -> Vec<Packet> {
    let (key, other) = (MasterKey::from_bytes(&[key; 30]), MasterKey::from_bytes(&[1; 30]));
    let mut sender: Srtp<1> = Srtp::new(SrtpProfile::AesCm128HmacSha1_80, &key, &other).unwrap();
    let protect = |packet: &Packet| {
        let (mut bytes, length) = (packet.bytes.clone(), packet.bytes.len());
        bytes.resize(length + sender.max_growth(), 0);
        let length = sender.protect_rtp(&mut bytes, length).unwrap();
        bytes.truncate(length);
        Packet { bytes, ..packet.clone() }
    };
    packets.iter().map(protect).collect()
}

/// A key file's line for these addresses.
fn line(from: &str, to: &str, key: u8) -> KeyLine {
    KeyLine {
        suite: "AES_CM_128_HMAC_SHA1_80".into(),
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        key_and_salt: vec![key; 30],
        mki: None,
    }
}

#[test]
fn with_keys_all_streams_are_told_each_with_what_protects_it() {
    let (back, third) = ("192.0.2.7:4000", "192.0.2.9:4000");
    let plain = call(150, back, TO);
    // One with a key, of which five packets were damaged on their way and one came twice; one without; one plain.
    let mut opened = protected(&call(150, FROM, TO), 9);
    for n in [20, 21, 50, 80, 110] {
        opened[n].bytes[40] ^= 1;
    }
    let again = opened[100].clone();
    opened.insert(101, again);
    let hidden = protected(&call(150, third, TO), 7);
    let mut packets = [plain.clone(), opened, hidden.clone()].concat();
    packets.sort_by_key(|packet| packet.time_us);
    let keys = CaptureKeys::new(&[line(FROM, TO, 9)]).unwrap();
    let report = play(&packets, &keys, "");
    let told: Vec<_> = report
        .streams
        .iter()
        .map(|stream| (stream.from.as_str(), stream.protection, stream.numbers.received, stream.refused))
        .collect();
    assert_eq!(told, [(FROM, "AES_CM_128_HMAC_SHA1_80", 145, 6), (back, "none", 150, 0)]);
    assert_eq!((report.streams[0].numbers.lost, report.streams[0].side.statistics.packets_refused), (5, 6));
    let skipped: Vec<_> = report.skipped.iter().map(|skipped| (skipped.from.as_str(), skipped.packets)).collect();
    assert_eq!(skipped, [(third, 150)]);
    assert_eq!(report.skipped[0].reason, "encrypted, and none of the keys opens it");
    // Every packet is in one place.
    let capture = &report.capture;
    assert_eq!((capture.packets, capture.rtp_packets, capture.refused_packets), (451, 295, 156));
    let text = report.to_string();
    for words in ["AES_CM_128_HMAC_SHA1_80, 6 packets refused", "156 packets were refused by SRTP", "none of the keys"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(report.to_html().contains("AES_CM_128_HMAC_SHA1_80, 6 packets refused"));
    // The plain one sounds as it does alone.
    let alone = play(&plain, &CaptureKeys::default(), "");
    assert!(report.streams[1].side.heard == alone.streams[0].side.heard);
    assert_eq!(alone.streams[0].protection, "none");
}

#[test]
fn a_call_that_becomes_encrypted_is_played_before_and_after() {
    let packets = call(300, FROM, TO);
    let mixed = [packets[..150].to_vec(), protected(&packets, 9)[150..].to_vec()].concat();
    let report = play(&mixed, &CaptureKeys::new(&[line(FROM, TO, 9)]).unwrap(), "");
    let told: Vec<_> =
        report.streams.iter().map(|stream| (stream.protection, stream.numbers.received, stream.refused)).collect();
    assert_eq!(told, [("none", 150, 0), ("AES_CM_128_HMAC_SHA1_80", 150, 0)]);
}

/// Four seconds of a voice under `format`, 20 ms a packet or as long as the codec wants it.
fn spoken(format: &CodecFormat, asset: &'static [u8]) -> Vec<Packet> {
    let registry = Registry::builtin();
    let codec = registry.find(format).unwrap();
    let mut encoder = codec.encoder(&Terms::alone(format)).unwrap();
    let info = encoder.info();
    let channels = usize::from(info.channels);
    let mut source = WavSource::from_bytes("speech", asset, info.sample_rate_hz).unwrap();
    let mut mono = vec![0; source.len() as usize];
    let length = source.read(&mut mono).unwrap();
    let pcm: Vec<i16> = mono[..length].iter().flat_map(|&sample| vec![sample; channels]).collect();
    let ms = if format.fmtp == "mode=30" { 30 } else { 20 };
    let samples = (info.sample_rate_hz as usize * ms / 1_000) * channels;
    let mut payload = vec![0; 8_000];
    let packet = |(n, frame): (usize, &[i16])| {
        let length = encoder.encode(frame, &mut payload).unwrap();
        let ticks = info.ticks((samples / channels) as u32);
        Packet {
            time_us: BEGIN_US + (n * ms) as u64 * 1_000,
            from: FROM.parse().unwrap(),
            to: TO.parse().unwrap(),
            bytes: rtp(96, n as u16, n as u32 * ticks, 0xfeed_beef, &payload[..length]),
        }
    };
    pcm.chunks_exact(samples).enumerate().map(packet).take(250).collect()
}

#[test]
fn encrypted_sound_is_said_to_look_so_and_plain_sound_never() {
    let formats = [
        "PCMU/8000",
        "PCMA/8000",
        "G722/8000",
        "L16/8000",
        "L16/16000",
        "L16/48000/2",
        "iLBC/8000;mode=20",
        "iLBC/8000;mode=30",
        "opus/48000/2",
        "opus/48000/2;stereo=1",
    ];
    for text in formats {
        let (name, fmtp) = text.split_once(';').unwrap_or((text, ""));
        let format = CodecFormat::from_rtpmap(name).unwrap().with_fmtp(fmtp);
        for asset in [
            &include_bytes!("../../../host-std/assets/woman.wav")[..],
            include_bytes!("../../../host-std/assets/man.wav"),
        ] {
            let packets = spoken(&format, asset);
            assert!(packets.len() > 100, "{text}");
            let map = format!("96={name}");
            // From every part of the speech, as few packets as are judged.
            for part in packets.chunks(60).filter(|part| part.len() == 60) {
                let plain = play(part, &CaptureKeys::default(), &map);
                assert_eq!(plain.streams[0].protection, "none", "{text}");
            }
            let plain = play(&packets, &CaptureKeys::default(), &map);
            assert_eq!(plain.streams[0].protection, "none", "{text}");
            for key in [3, 4] {
                let hidden = protected(&packets, key);
                let report = play(&hidden, &CaptureKeys::default(), &map);
                assert_eq!(report.streams[0].protection, "looks encrypted, no key", "{text}");
                let words = "Noise: the packets look encrypted, and there is no key for them (--keys).";
                assert_eq!(report.streams[0].verdict, words);
                assert!(report.to_string().contains(words) && report.to_html().contains("look encrypted"));
                assert!(report.to_json().contains("\"protection\": \"looks encrypted, no key\""));
            }
        }
    }
}

#[test]
fn of_five_thousand_streams_at_once_the_first_thousands_are_told_and_how_many_are_left_out() {
    let mut packets = Vec::new();
    for n in 0..12u32 {
        for stream in 0..5_000u32 {
            packets.push(Packet {
                time_us: BEGIN_US + u64::from(n) * 20_000 + u64::from(stream),
                from: FROM.parse().unwrap(),
                to: TO.parse().unwrap(),
                bytes: rtp(0, n as u16, n * 160, stream + 1, &[0xff; 160]),
            });
        }
    }
    let begin = Instant::now();
    let report = play(&packets, &CaptureKeys::default(), "");
    assert_eq!((report.streams.len(), report.skipped.len()), (64, 4_032));
    let remark = &report.capture.remarks[0];
    assert!(remark.starts_with("at least 904 more sources, with "), "{remark}");
    let text = report.to_string();
    assert!(text.contains("only the 64 longest of 4096 streams are played"), "{text}");
    assert!(text.contains("4012 more streams") && text.lines().count() < 1_000);
    assert!(begin.elapsed().as_secs() < 60, "{:?}", begin.elapsed());
}

#[test]
fn noise_of_random_sources_takes_no_streams_place() {
    let mut packets = call(300, FROM, TO);
    let mut random = 1u32;
    for n in 0..30_000u64 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let bytes = rtp(0, (random >> 16) as u16, random, random, &[0x55; 40]);
        packets.push(Packet { time_us: BEGIN_US + n * 200, bytes, ..packets[0].clone() });
    }
    packets.sort_by_key(|packet| packet.time_us);
    let report = play(&packets, &CaptureKeys::default(), "");
    assert_eq!((report.streams.len(), report.streams[0].numbers.received), (1, 300));
}

#[test]
fn few_packets_with_long_pauses_make_no_hours_of_silence_unless_asked_for() {
    // One a minute and a half, for three hours.
    let packets: Vec<Packet> = call(120, FROM, TO)
        .into_iter()
        .enumerate()
        .map(|(n, packet)| Packet { time_us: BEGIN_US + n as u64 * 90_000_000, ..packet })
        .collect();
    let report = play(&packets, &CaptureKeys::default(), "");
    let stream = &report.streams[0];
    assert!(stream.numbers.duration_s < 90.0, "{}", stream.numbers.duration_s);
    let remark = &report.capture.remarks[0];
    assert!(remark.contains("stream-1 is cut off after 8") && remark.contains("--seconds"), "{remark}");
    let config = ReplayConfig { seconds: Some(400.0), ..ReplayConfig::default() };
    let file = pcap(&packets, Link::Raw, false, false);
    let longer = replay_bytes("test", &file, &CaptureKeys::default(), &config).unwrap();
    assert!((longer.streams[0].numbers.duration_s - 400.0).abs() < 1.0, "{}", longer.streams[0].numbers.duration_s);
    assert!(longer.capture.remarks[0].contains("--seconds 400"), "{:?}", longer.capture.remarks);
}

#[test]
fn numbers_that_jump_make_no_report_of_millions_of_rows() {
    let packets: Vec<Packet> = call(2_000, FROM, TO)
        .into_iter()
        .enumerate()
        .map(|(n, mut packet)| {
            packet.bytes[2..4].copy_from_slice(&((n as u32 / 2 * 2_900 + n as u32 % 2) as u16).to_be_bytes());
            packet
        })
        .collect();
    let report = play(&packets, &CaptureKeys::default(), "");
    let stream = &report.streams[0];
    assert!(stream.side.packets.len() < 110_000, "{}", stream.side.packets.len());
    assert!(stream.numbers.lost > 2_500_000, "{}", stream.numbers.lost);
    assert!(report.capture.remarks[0].contains("lost packets are counted, and not listed"));
    assert!(report.to_json().len() < 16 << 20);
}

/// A capture that goes back in time, has years between packets, packets of nothing, and two of one time.
#[test]
fn times_that_make_no_sense_end_and_are_told() {
    let mut packets = call(200, FROM, TO);
    packets[50].time_us -= 40_000_000;
    packets[51].time_us = packets[52].time_us;
    packets.push(Packet { bytes: Vec::new(), ..packets[60].clone() });
    // The year 2100, and then back.
    packets[150].time_us = 4_102_444_800_000_000;
    let begin = Instant::now();
    let report = play(&packets, &CaptureKeys::default(), "");
    assert!(begin.elapsed().as_secs() < 30);
    assert!(report.capture.remarks.iter().any(|remark| remark.contains("out of the order of time")), "{report}");
    assert!(report.streams.iter().all(|stream| stream.numbers.duration_s < 100.0), "{report}");
    let received: u64 = report.streams.iter().map(|stream| stream.numbers.received).sum();
    assert!(received >= 150, "{report}");
}

#[test]
fn a_codec_of_another_rate_in_the_same_stream_is_heard_and_named() {
    let format = CodecFormat::g722();
    let asset = &include_bytes!("../../../host-std/assets/woman.wav")[..];
    let mut packets = call(100, FROM, TO);
    for (n, packet) in spoken(&format, asset).into_iter().take(150).enumerate() {
        let n = n as u32 + 100;
        let seq = 65_500u16.wrapping_add(n as u16);
        let bytes = rtp(9, seq, n * 160, 0xfeed_beef, &packet.bytes[12..]);
        packets.push(Packet { time_us: BEGIN_US + u64::from(n) * 20_000, bytes, ..packet });
    }
    let report = play(&packets, &CaptureKeys::default(), "");
    let stream = &report.streams[0];
    assert_eq!(stream.codecs, ["G722/8000", "PCMU/8000"]);
    assert_eq!((stream.other_payload, stream.numbers.sample_rate_hz), (0, 16_000));
    assert!(stream.numbers.concealed_ratio < 0.01, "{:?}", stream.numbers);
    let (first, second) = stream.side.heard.split_at(32_000);
    let loud = |part: &[i16]| part.iter().filter(|sample| sample.unsigned_abs() > 1_000).count() > 2_000;
    assert!(loud(first) && loud(second));
    // Opus has another clock: it's heard all the same, however its sender counts on.
    for way in ["in the new rate", "from an origin of its own"] {
        packets.truncate(100);
        for (n, packet) in spoken(&CodecFormat::opus(), asset).into_iter().take(150).enumerate() {
            let n = n as u32 + 100;
            let seq = 65_500u16.wrapping_add(n as u16);
            let timestamp = if way == "in the new rate" { 99 * 160 + (n - 99) * 960 } else { 123_456_789 + n * 960 };
            let bytes = rtp(96, seq, timestamp, 0xfeed_beef, &packet.bytes[12..]);
            packets.push(Packet { time_us: BEGIN_US + u64::from(n) * 20_000, bytes, ..packet });
        }
        let report = play(&packets, &CaptureKeys::default(), "96=opus/48000/2");
        let stream = &report.streams[0];
        assert_eq!(stream.codecs, ["opus/48000/2", "PCMU/8000"], "{way}");
        assert_eq!((stream.other_payload, stream.numbers.sample_rate_hz), (0, 48_000), "{way}");
        assert!(stream.numbers.concealed_ratio < 0.01, "{way}: {:?}", stream.numbers);
        assert!((stream.numbers.duration_s - 5.0).abs() < 0.3, "{way}: {:?}", stream.numbers);
        let (first, second) = stream.side.heard.split_at(96_000);
        assert!(loud(first) && loud(second), "{way}");
        // The delay is what it was: nothing waits.
        assert!(
            stream.side.statistics.jitter_ms < 5.0 && stream.numbers.mean_playout_delay_ms < 60.0,
            "{way}: {:?}",
            stream.numbers
        );
    }
}
