//! Captures played again: every format and link type gives the same sound, broken ones clear words, and the numbers are
//! tshark's.

use std::path::Path;

use dsp_core::receive::DelayConfig;
use host_std::registry::CodecFormat;
use host_std::replay::capture::{CaptureReader, Datagram};
use host_std::replay::{
    CaptureKeys, CaptureReport, Cause, ListenerReport, Loss, PayloadFormat, PayloadMap, ReplayConfig, ReplayError,
    replay, replay_bytes,
};
use media_core_tests::captures::{BEGIN_US, Link, Packet, Times, call, hum, pcap, pcapng, rtp, rtpdump};
use media_core_tests::program::tshark;
use media_core_tests::shared;
use serde_json::Value;

pub(super) const FROM: &str = "192.0.2.1:4000";
pub(super) const TO: &str = "198.51.100.2:5004";

pub(super) fn play(bytes: &[u8]) -> CaptureReport {
    replay_bytes("test", bytes, &CaptureKeys::default(), &ReplayConfig::default()).unwrap()
}

fn refused(bytes: &[u8]) -> String {
    replay_bytes("test", bytes, &CaptureKeys::default(), &ReplayConfig::default()).unwrap_err().to_string()
}

#[test]
fn every_format_and_link_type_is_the_same_call() {
    // Arrivals vary by whole milliseconds, which is all that an rtpdump can say.
    let mut packets = call(150, FROM, TO);
    for (n, packet) in packets.iter_mut().enumerate() {
        packet.time_us += (n as u64 * 7_919 % 31) * 1_000;
    }
    packets.remove(70);
    let expected = play(&pcap(&packets, Link::Ethernet(0), false, false));
    let stream = &expected.streams[0];
    assert_eq!((stream.from.as_str(), stream.to.as_str(), stream.codec.as_str()), (FROM, TO, "PCMU/8000"));
    assert_eq!((stream.numbers.received, stream.numbers.lost), (149, 1));
    assert_eq!(stream.begin.as_deref(), Some("2026-05-01 14:32:00.0"));
    let mut files = Vec::new();
    let loopback = |big_endian| Link::Loopback { big_endian };
    let links =
        [Link::Ethernet(1), Link::Ethernet(2), Link::Cooked, Link::Cooked2, Link::Raw, loopback(false), loopback(true)];
    files.extend(links.map(|link| (format!("{link:?}"), pcap(&packets, link, false, false))));
    for (big_endian, nanoseconds) in [(false, true), (true, false), (true, true)] {
        let file = pcap(&packets, Link::Ethernet(0), big_endian, nanoseconds);
        files.push((format!("pcap, {big_endian}, {nanoseconds}"), file));
    }
    for big_endian in [false, true] {
        for times in [Times::Micros, Times::NanosFrom(1_000_000_000), Times::Binary] {
            let file = pcapng(&packets, Link::Cooked2, big_endian, times);
            files.push((format!("pcapng, {big_endian}, {times:?}"), file));
        }
    }
    files.push(("rtpdump".into(), rtpdump(&packets)));
    // Two sections, of two machines.
    let mut sections = pcapng(&packets[..60], Link::Raw, true, Times::Micros);
    sections.extend(pcapng(&packets[60..], Link::Ethernet(0), false, Times::Binary));
    files.push(("two sections".into(), sections));
    for (name, file) in files {
        let report = play(&file);
        assert_eq!(report.capture.remarks, Vec::<String>::new(), "{name}");
        let found = &report.streams[0];
        assert_eq!((&found.from, &found.to, &found.begin), (&stream.from, &stream.to, &stream.begin), "{name}");
        assert!(found.side.heard == stream.side.heard, "{name}");
        assert_eq!(found.numbers, stream.numbers, "{name}");
    }
    // IPv6 is another address, and the same sound.
    let v6: Vec<Packet> = packets
        .iter()
        .map(|packet| Packet {
            from: "[2001:db8::1]:4000".parse().unwrap(),
            to: "[2001:db8::2]:5004".parse().unwrap(),
            ..packet.clone()
        })
        .collect();
    for link in [Link::Ethernet(1), Link::Raw, loopback(false)] {
        let report = play(&pcap(&v6, link, false, false));
        assert_eq!(report.streams[0].from, "[2001:db8::1]:4000");
        assert!(report.streams[0].side.heard == stream.side.heard);
    }
}

#[test]
fn packets_without_a_time_come_when_they_are_due() {
    let packets = call(100, FROM, TO);
    let report = play(&pcapng(&packets, Link::Ethernet(0), true, Times::None));
    assert!(report.capture.remarks[0].contains("100 packets have no time"), "{:?}", report.capture.remarks);
    let timed = play(&pcap(&packets, Link::Ethernet(0), false, false));
    assert!(report.streams[0].side.heard == timed.streams[0].side.heard);
    assert_eq!(report.capture.begin, None);
}

#[test]
fn what_is_no_capture_is_told_in_a_sentence() {
    let garbage = "not a capture: neither pcap nor pcapng nor rtpdump";
    for bytes in [&b""[..], b"RIFF....WAVEfmt ", &[0xa1], b"#!rtpplay2.0 1.2.3.4/5\n"] {
        assert_eq!(refused(bytes), garbage);
    }
    for head in [&[0xd4, 0xc3, 0xb2, 0xa1, 2][..], &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0], b"#!rtpplay1.0 1.2.3.4/5\n123"]
    {
        assert_eq!(refused(head), "the capture's header is broken");
    }
    let whole = pcap(&call(50, FROM, TO), Link::Ethernet(0), false, false);
    assert_eq!(refused(&whole[..24]), "no RTP stream in the capture (it is empty)");
    let nowhere = replay(Path::new("nowhere.pcap"), &CaptureKeys::default(), &ReplayConfig::default()).unwrap_err();
    assert!(matches!(nowhere, ReplayError::Capture(_)), "{nowhere}");
    assert!(replay(Path::new("."), &CaptureKeys::default(), &ReplayConfig::default()).is_err());
    // DNS and the like.
    let talk =
        |n: u64| Packet { bytes: vec![0x12, 0x34, 1, 0, 0, 1], time_us: BEGIN_US + n, ..call(1, FROM, TO)[0].clone() };
    let other: Vec<_> = (0..9).map(talk).collect();
    assert_eq!(
        refused(&pcap(&other, Link::Raw, false, false)),
        "no RTP stream in the capture (9 packets, 9 other UDP)"
    );
}

#[test]
fn what_cant_be_read_is_counted_and_the_rest_is_played() {
    let packets = call(100, FROM, TO);
    let whole = pcap(&packets, Link::Ethernet(0), false, false);
    // Broken off within the last packet, or with nonsense behind.
    let cut = play(&whole[..whole.len() - 5]);
    assert!(cut.capture.remarks[0].contains("the last packet is not whole"), "{:?}", cut.capture.remarks);
    assert_eq!(cut.streams[0].numbers.received, 99);
    let mut nonsense = whole.clone();
    nonsense.extend([0xff; 64]);
    let remarks = play(&nonsense).capture.remarks;
    assert!(remarks[0].contains(&format!("breaks off at byte {}", whole.len())), "{remarks:?}");
    let mut ng = pcapng(&packets, Link::Raw, false, Times::Micros);
    ng.extend([6, 0, 0, 0, 5, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0]);
    let remarks = play(&ng).capture.remarks;
    assert!(remarks[0].contains("breaks off"), "{remarks:?}");
    let dump = rtpdump(&packets);
    assert!(play(&dump[..dump.len() - 1]).capture.remarks[0].contains("the last packet is not whole"));

    // A fragment, a packet of which the snap length left half, a header that lies, TCP, ARP.
    let frame = |n: usize| 24 + n * (16 + 14 + 28 + 172);
    let mut file = whole.clone();
    let ip = |n: usize| frame(n) + 16 + 14;
    file[ip(10) + 6] = 0x20; // more fragments
    file[ip(11) + 2] = 0x40; // total length: 16 KiB more than there are
    file[ip(12)] = 0x4f; // options that the packet doesn't have room for? it has: they eat the UDP header
    file[ip(13) + 9] = 6;
    file[ip(14) - 1] = 6;
    file[ip(15)] = 0x55;
    let mut reader = CaptureReader::new(&file[..]).unwrap();
    let mut datagram = Datagram::default();
    while reader.next(&mut datagram).unwrap() {}
    let counts = reader.counts();
    assert_eq!(counts.packets, 100);
    assert_eq!(counts.fragments, 1, "{counts:?}");
    assert!(counts.not_udp >= 1 && counts.malformed + counts.cut >= 1, "{counts:?}");
    let read = counts.datagrams + counts.fragments + counts.cut + counts.malformed + counts.not_udp;
    assert_eq!(read, 100, "every packet has its place: {counts:?}");
    assert!(play(&file).streams[0].numbers.lost >= 4);
    // A link type of another world.
    let mut radio = whole;
    radio[20] = 127;
    assert!(refused(&radio).contains("100 of a link type that is not read here, 127"));
}

#[test]
fn streams_are_told_apart_and_rtcp_and_chance_are_none() {
    let there = call(300, FROM, TO);
    let mut back = call(300, TO, FROM);
    for (n, packet) in back.iter_mut().enumerate() {
        packet.bytes[8..12].copy_from_slice(&7u32.to_be_bytes());
        packet.time_us += 3_000;
        // The last hundred have another source.
        if n >= 200 {
            packet.bytes[11] = 8;
        }
    }
    let sender_report = [&[0x80, 200, 0, 6][..], &[0; 24]].concat();
    let rtcp = |time_us| Packet { time_us, bytes: sender_report.clone(), ..there[0].clone() };
    // Begins as RTP does, but in no sequence: so do one packet in four of random ones.
    let chance = |n: u32| Packet {
        time_us: BEGIN_US + u64::from(n) * 20_000,
        bytes: rtp(0, (n * 40_503) as u16, n, 99, &[1; 40]),
        from: "192.0.2.9:9".parse().unwrap(),
        to: TO.parse().unwrap(),
    };
    let mut packets = [there.clone(), back].concat();
    packets.extend((0..5).map(|n| rtcp(BEGIN_US + n * 1_000_000)));
    packets.extend((0..300).map(chance));
    // The first one again, seven minutes later: another call.
    let later = there.iter().take(100).map(|packet| Packet { time_us: packet.time_us + 420_000_000, ..packet.clone() });
    packets.extend(later);
    packets.sort_by_key(|packet| packet.time_us);
    let report = play(&pcap(&packets, Link::Ethernet(0), false, false));
    let found: Vec<_> = report
        .streams
        .iter()
        .map(|stream| (stream.from.as_str(), stream.ssrc.as_str(), stream.numbers.received))
        .collect();
    assert_eq!(
        found,
        [(FROM, "0xfeedbeef", 300), (TO, "0x00000007", 200), (TO, "0x00000008", 100), (FROM, "0xfeedbeef", 100)]
    );
    assert_eq!((report.capture.rtcp_packets, report.skipped.len()), (5, 0));
    assert_eq!(report.streams[3].begin.as_deref(), Some("2026-05-01 14:39:00.0"));
    assert!(report.streams.iter().all(|stream| stream.numbers.duration_s < 7.0));
}

#[test]
fn payload_types_are_told_guessed_or_asked_for() {
    let relabel = |number: u8, change: fn(&[u8]) -> Vec<u8>| -> Vec<u8> {
        let packets: Vec<_> = call(100, FROM, TO)
            .into_iter()
            .map(|packet| {
                let mut bytes = packet.bytes[..12].to_vec();
                bytes[1] = number;
                bytes.extend(change(&packet.bytes[12..]));
                Packet { bytes, ..packet }
            })
            .collect();
        pcap(&packets, Link::Ethernet(0), false, false)
    };
    let plain = play(&relabel(0, <[u8]>::to_vec));
    let guessed = play(&relabel(97, <[u8]>::to_vec));
    assert_eq!((guessed.streams[0].codec.as_str(), guessed.streams[0].codec_guessed), ("PCMU/8000", true));
    assert!(guessed.streams[0].side.heard == plain.streams[0].side.heard);
    // Both channels the same: each is what the one is.
    let stereo = play(&relabel(98, |mono| mono.iter().flat_map(|&code| [code, code]).collect()));
    assert_eq!(stereo.streams[0].codec, "PCMU/8000/2");
    assert_eq!(stereo.streams[0].side.channels, 2);
    let twice: Vec<i16> = plain.streams[0].side.heard.iter().flat_map(|&sample| [sample; 2]).collect();
    assert!(stereo.streams[0].side.heard == twice);
    // Stereo for a while and then mono is one stream, of which nothing is missing, whichever is longer.
    for turn in [30, 70] {
        let packets = call(100, FROM, TO).into_iter().enumerate().map(|(n, packet)| match n < turn {
            true => {
                let mut bytes = packet.bytes[..12].to_vec();
                bytes[1] = 98;
                bytes.extend(packet.bytes[12..].iter().flat_map(|&code| [code; 2]));
                Packet { bytes, ..packet }
            }
            false => packet,
        });
        let both = play(&pcap(&packets.collect::<Vec<_>>(), Link::Ethernet(0), false, false));
        assert_eq!((both.streams[0].side.channels, both.streams[0].other_payload), (2, 0));
        let heard = &both.streams[0].side.heard;
        assert_eq!(heard.len(), twice.len());
        // Where the codec changes, 5 ms join the one to the other.
        let other = heard.iter().zip(&twice).filter(|(heard, plain)| heard != plain).count();
        assert!(other <= 2 * 40, "{other} samples");
    }
    let linear = |mono: &[u8]| {
        mono.iter().flat_map(|&code| dsp_core::codec::g711::ulaw_to_linear(code).to_be_bytes()).collect::<Vec<_>>()
    };
    let l16 = play(&relabel(99, linear));
    assert_eq!(l16.streams[0].codec, "L16/8000");
    assert!(l16.streams[0].side.heard == plain.streams[0].side.heard);

    // Noise could be anything: it must be asked for, by number.
    let noise = relabel(100, |mono| {
        mono.iter()
            .scan(1u32, |state, _| {
                *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                Some((*state >> 24) as u8)
            })
            .collect()
    });
    let report = play(&noise);
    assert!(report.streams.is_empty());
    let reason = report.skipped[0].to_string();
    assert!(reason.contains("payload type 100") && reason.contains("--payload-map 100=NAME/CLOCK"), "{reason}");
    let mut payloads = PayloadMap::default();
    payloads.add("96=opus/48000/2,100=pcma").unwrap();
    let config = ReplayConfig { payloads: payloads.clone(), ..ReplayConfig::default() };
    let told = replay_bytes("test", &noise, &CaptureKeys::default(), &config).unwrap();
    assert_eq!((told.streams[0].codec.as_str(), told.streams[0].codec_guessed), ("pcma/8000", false));
    let otherwise = PayloadMap { otherwise: PayloadFormat::new(CodecFormat::g722()), ..PayloadMap::default() };
    let config = ReplayConfig { payloads: otherwise, ..ReplayConfig::default() };
    assert_eq!(replay_bytes("test", &noise, &CaptureKeys::default(), &config).unwrap().streams[0].codec, "G722/8000");

    for (text, needle) in [
        ("96", "is not NUMBER="),
        ("128=pcmu", "is not NUMBER="),
        ("96=opus/x", "is not NAME/CLOCK/CHANNELS"),
        ("96=opus/48000/2/1", "is not NAME/CLOCK/CHANNELS"),
        ("96=mp3/90000", "no decoder for 'mp3/90000'"),
        ("96=L16/7", "no decoder"),
        ("96=g722/8000/2", "no decoder"),
        ("96=CN/x", "is not NAME/CLOCK/CHANNELS"),
        ("96=red/8000/1/1", "is not NAME/CLOCK/CHANNELS"),
        ("96=opus/ 48000", "is not NAME/CLOCK/CHANNELS"),
    ] {
        let error = payloads.add(text).unwrap_err().to_string();
        assert!(error.contains(needle), "{text}: {error}");
    }
    // A number that has been G.729 since 1996, and G.711 that is longer than its time.
    assert!(play(&relabel(18, <[u8]>::to_vec)).skipped[0].reason.contains("G729: there is no decoder"));
    let tagged = play(&relabel(0, |mono| [mono, &[7; 10]].concat()));
    assert!(tagged.skipped[0].reason.contains("encrypted, and there is no key (--keys)"), "{}", tagged.skipped[0]);
}

#[test]
fn the_same_capture_gives_the_same_bits() {
    let file = pcap(&call(500, FROM, TO), Link::Ethernet(0), false, false);
    let run = |seed| {
        let loss = Some(Loss { percent: 10.0, burst: 2.0, seed });
        let config = ReplayConfig { loss, ..ReplayConfig::default() };
        replay_bytes("test", &file, &CaptureKeys::default(), &config).unwrap()
    };
    let (one, again, other) = (run(1), run(1), run(2));
    assert!(one.streams[0].side.heard == again.streams[0].side.heard);
    assert_eq!(one.to_json(), again.to_json());
    assert_eq!(one.to_html(), again.to_html());
    assert_ne!(one.to_json(), other.to_json());
    let stream = &one.streams[0];
    assert_eq!(stream.numbers.lost, stream.lost_on_purpose);
    assert!((30..=70).contains(&stream.numbers.lost), "{}", stream.numbers.lost);
    assert_eq!(stream.numbers.received + stream.numbers.lost, 500);
    assert!(stream.numbers.concealed_ratio > 0.05 && stream.numbers.concealed_ratio < 0.2);
    let all = ReplayConfig { loss: Some(Loss { percent: 100.0, burst: 1.0, seed: 1 }), ..ReplayConfig::default() };
    let nothing = replay_bytes("test", &file, &CaptureKeys::default(), &all).unwrap();
    assert_eq!(nothing.streams[0].verdict, "Bad: nothing arrived.");
    let clean = play(&file);
    let clean = &clean.streams[0].numbers;
    assert!(clean.lost == 0);
    let figures = |numbers: &ListenerReport| [numbers.mos_lq, numbers.mos_cq, numbers.r_factor].map(Option::unwrap);
    let (good, bad) = (figures(clean), figures(&stream.numbers));
    assert!(good[0] > 4.4 && good[1] > 4.3 && (91.0..=93.2).contains(&good[2]), "{good:?}");
    assert!(bad[0] < good[0] - 0.5 && bad[1] < good[1] - 0.5 && bad[2] < good[2] - 15.0, "{bad:?}");
}

#[test]
fn the_worst_moments_have_time_and_cause() {
    let mut packets = call(1_000, FROM, TO);
    // At 14:32:05 five packets are lost; at 14:32:12 the network holds all packets back for 400 ms.
    packets.retain(|packet| !(5_000_000..5_100_000).contains(&(packet.time_us - BEGIN_US)));
    for packet in &mut packets {
        let at = packet.time_us - BEGIN_US;
        if (12_000_000..12_400_000).contains(&at) {
            packet.time_us = BEGIN_US + 12_400_000;
        }
    }
    let config = ReplayConfig { utc_offset_minutes: 120, ..ReplayConfig::default() };
    let file = pcap(&packets, Link::Ethernet(0), false, false);
    let report = replay_bytes("test", &file, &CaptureKeys::default(), &config).unwrap();
    let worst = &report.streams[0].worst;
    assert_eq!((worst[0].cause, worst[0].lost), (Cause::Lost, 5), "{worst:?}");
    assert_eq!(worst[0].time.as_deref(), Some("16:32:05.0"));
    let late = worst.iter().find(|moment| moment.cause == Cause::Late).unwrap_or_else(|| panic!("{worst:?}"));
    assert_eq!(late.time.as_deref(), Some("16:32:12.0"));
    let text = report.to_string();
    assert!(text.contains("16:32:05.0") && text.contains("UTC+02:00"), "{text}");
    assert!(report.to_html().contains("16:32:05.0"));
}

#[test]
fn fields_of_the_json_are_those_of_the_documentation() {
    let report = play(&pcap(&call(100, FROM, TO), Link::Ethernet(0), false, false));
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    let stream = json["streams"][0].as_object().unwrap();
    let page = include_str!("../../../docs/replay.md");
    let documented: Vec<_> = page
        .lines()
        .skip_while(|line| !line.starts_with("<!-- fields of report.json"))
        .take_while(|line| !line.starts_with("<!-- end"))
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| {
            line.split('|').nth(1).unwrap_or("").split(',').map(|name| name.trim().trim_matches('`').to_owned())
        })
        .collect();
    assert!(documented.len() > 20, "{documented:?}");
    for name in &documented {
        assert!(stream.contains_key(name.as_str()), "{name} is not in report.json");
    }
    for name in stream.keys() {
        assert!(documented.contains(name), "{name} is not in docs/replay.md");
    }
    for name in
        ["mean_buffer_delay_ms", "p95_buffer_delay_ms", "mean_playout_delay_ms", "concealed_ratio", "stretched_ratio"]
    {
        assert!(stream[name].is_number(), "{name}");
    }
    assert_eq!((&stream["lost"], &stream["late"]), (&Value::from(0), &Value::from(0)));
}

/// Comfort noise and events under numbers that only the signalling knows.
#[test]
fn noise_and_events_are_told_by_number() {
    // A packet of another payload type in the place of every tenth.
    let mixed = |payload_type: u8, payload: &[u8]| {
        let mut packets = call(200, FROM, TO);
        for packet in packets.iter_mut().skip(20).step_by(10) {
            packet.bytes[1] = packet.bytes[1] & 0x80 | payload_type;
            packet.bytes.truncate(12);
            packet.bytes.extend(payload);
        }
        pcap(&packets, Link::Ethernet(0), false, false)
    };
    let play = |capture: &[u8], map: &str| {
        let mut payloads = PayloadMap::default();
        payloads.add(map).unwrap();
        let config = ReplayConfig { payloads, ..ReplayConfig::default() };
        replay_bytes("test", capture, &CaptureKeys::default(), &config).unwrap().streams.remove(0)
    };
    for (map, payload) in [("98=CN/8000", &[40, 7][..]), ("98=telephone-event/8000", &[1, 10, 0, 160][..])] {
        let capture = mixed(98, payload);
        let told = play(&capture, map);
        // Nobody says what 98 is.
        let sound = play(&capture, "99=L16/16000");
        assert_eq!((told.other_payload, sound.other_payload), (0, 18), "{map}");
        assert_eq!(told.numbers.lost, 0, "{map}");
        assert!(told.numbers.concealed_ratio < sound.numbers.concealed_ratio * 0.5, "{map}: {:?}", told.numbers);
    }
}

#[test]
fn drift_and_a_fixed_delay_are_told() {
    let mut packets = call(6_000, FROM, TO);
    // The sender's clock is 200 ppm slow: each packet comes a little later.
    for (n, packet) in packets.iter_mut().enumerate() {
        packet.time_us += n as u64 * 4;
    }
    let file = pcap(&packets, Link::Ethernet(0), false, false);
    let delay = DelayConfig::fixed(60);
    let config = ReplayConfig { delay, ..ReplayConfig::default() };
    let report = replay_bytes("test", &file, &CaptureKeys::default(), &config).unwrap();
    let drift = report.streams[0].clock_drift_ppm.unwrap();
    assert!((drift + 200.0).abs() < 10.0, "{drift}");
    let numbers = &report.streams[0].numbers;
    assert!((40.0..=75.0).contains(&numbers.mean_buffer_delay_ms), "{}", numbers.mean_buffer_delay_ms);
    // Sound of a hum, whole: nothing made up.
    assert!(numbers.concealed_ratio < 0.001 && report.streams[0].side.heard.len() > hum(900_000).len());
}

/// Captures that others made, and how many packets their streams have and lack by tshark.
#[test]
fn captures_of_others_are_played_and_counted_as_tshark_counts() {
    let captures = [
        ("jitter/opus-poor-quality.pcapng", "opus/48000/2"),
        ("jitter/pcmu_8k_no_jitter.pcap", "PCMU/8000"),
        ("jitter/poor_jitter_quality_22_filter.pcapng", "opus/48000/2"),
        ("jitter/rtp-120late-1000total.pcapng", "opus/48000/2"),
        ("jitter/rtp-534late-24loss-7000total.pcapng", "opus/48000/2"),
        ("jitter/rtp-60late-500total.pcapng", "opus/48000/2"),
        ("jitter/webrtc-HRTF_pcm16wb_jitter.rtp", "L16/16000/2"),
        ("jitter/webrtc-stereo_pcmu.rtp", "PCMU/8000/2"),
        ("jitter/webrtc-stereo_pcmu_jitter.rtp", "PCMU/8000/2"),
        ("pcap/g711a.pcap", "PCMA/8000"),
    ];
    for (name, codec) in captures {
        let Some(path) = shared(&format!("data/{name}")) else { return };
        let report = replay(&path, &CaptureKeys::default(), &ReplayConfig::default()).unwrap();
        assert_eq!(report.streams.len(), 1, "{name}");
        let stream = &report.streams[0];
        assert_eq!(stream.codec, codec, "{name}");
        assert_eq!(stream.undecodable, 0, "{name}");
        let loud = stream.side.heard.iter().filter(|sample| sample.unsigned_abs() > 300).count();
        // One is the beginning of another, in which nobody has spoken yet.
        assert!(loud * 50 > stream.side.heard.len() || name.contains("60late"), "{name}: {loud} loud samples");
        if name.ends_with(".rtp") {
            continue;
        }
        let arguments = ["-o", "rtp.heuristic_rtp:TRUE", "-q", "-z", "rtp,streams"];
        let Some(text) = tshark(&path, &arguments) else { continue };
        let row = text.lines().find(|line| line.contains(" 0x")).unwrap_or_else(|| panic!("{text}"));
        // Times, addresses and ports, SSRC, codec, packets, lost.
        let fields: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(fields[6].to_lowercase(), stream.ssrc, "{row}");
        assert_eq!(fields[8].parse(), Ok(stream.numbers.received), "{row}");
        assert_eq!(fields[9].parse(), Ok(stream.numbers.lost), "{row}");
    }
}
