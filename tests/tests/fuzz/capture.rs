//! Captures from anywhere: whatever the bytes, reading and playing them ends, and every packet has its place.

use std::io::Write;

use bolero::check;
use dsp_core::guard::PacketGuard;
use dsp_core::guard::srtp::{MasterKey, Srtp, SrtpProfile};
use flate2::Compression;
use flate2::write::GzEncoder;
use host_std::record::keys::KeyLine;
use host_std::replay::capture::{CaptureReader, Datagram};
use host_std::replay::{CaptureKeys, PayloadMap, ReplayConfig, replay_bytes};
use media_core_tests::captures::{Link, Packet, Times, call, fragments, in_ip, ip, pcap, pcap_of, pcapng, rtpdump};

fn reads(bytes: &[u8]) {
    let Ok(mut reader) = CaptureReader::new(bytes) else { return };
    let mut datagram = Datagram::default();
    while reader.next(&mut datagram).expect("memory can be read") {
        assert!(datagram.bytes.len() <= bytes.len());
        assert!(datagram.time_us.is_none_or(|time| time < 1 << 57));
    }
    let counts = reader.counts();
    let kinds = counts.datagrams + counts.not_udp + counts.fragments + counts.joined + counts.cut + counts.malformed;
    assert_eq!(counts.packets, kinds + counts.unknown_link, "{counts:?}");
}

/// Seeds: one of each format, of a call too short to take long.
fn seeds() -> Vec<Vec<u8>> {
    let packets = call(12, "192.0.2.1:4000", "198.51.100.2:5004");
    let mut seeds: Vec<_> =
        [Link::Ethernet(1), Link::Cooked, Link::Cooked2, Link::Raw, Link::Loopback { big_endian: true }]
            .into_iter()
            .map(|link| pcap(&packets, link, link == Link::Raw, link == Link::Cooked))
            .collect();
    seeds.push(pcapng(&packets, Link::Ethernet(2), true, Times::NanosFrom(1_000)));
    seeds.push(pcapng(&packets, Link::Ethernet(0), false, Times::None));
    seeds.push(rtpdump(&packets));
    // In fragments, in tunnels of every kind in turn.
    let tunnel = |n: usize, inner: &[u8]| -> Vec<u8> {
        let [from, to] = ["203.0.113.1", "203.0.113.2"].map(|ip| ip.parse().expect("an address"));
        let ethernet = |inner: &[u8]| [&[0; 12][..], &[8, 0], inner].concat();
        let udp = |port: u16, head: &[u8], inner: &[u8]| {
            let length = (8 + head.len() + inner.len()) as u16;
            let ports = [&port.to_be_bytes()[..], &port.to_be_bytes(), &length.to_be_bytes(), &[0, 0]].concat();
            in_ip(from, to, 17, &[&ports[..], head, inner].concat())
        };
        match n % 7 {
            0 => in_ip(from, to, 4, inner),
            1 => in_ip(from, to, 47, &[&[0x20, 0, 8, 0, 0, 0, 0, 7][..], inner].concat()),
            2 => in_ip(from, to, 137, &[&[0, 1, 0, 64, 0, 2, 1, 64][..], inner].concat()),
            3 => in_ip(from, to, 97, &[&[0x30, 0][..], &ethernet(inner)].concat()),
            4 => udp(4_789, &[8, 0, 0, 0, 0, 0, 7, 0], &ethernet(inner)),
            5 => udp(6_081, &[0, 0, 8, 0, 0, 0, 7, 0], inner),
            _ => udp(2_152, &[0x34, 0xff, 0, 0, 0, 0, 0, 1, 0, 9, 0, 0x85, 1, 1, 2, 0], inner),
        }
    };
    let frames = |link: u16, frame: &dyn Fn(usize, &[u8]) -> Vec<u8>| {
        let frames = packets.iter().enumerate().map(|(n, packet)| (packet.time_us, frame(n, &ip(packet))));
        pcap_of(link, &frames.collect::<Vec<_>>())
    };
    seeds.push(frames(101, &tunnel));
    seeds.push(frames(9, &|n, ip| [&[0xff, 3, 0, 0x21][..], &tunnel(n, ip)].concat()));
    seeds.push(frames(239, &|_, ip| [&[2, 0, 0, 5][..], &(4 + ip.len() as u16).to_le_bytes(), &[9, 0], ip].concat()));
    let pieces = packets.iter().enumerate().flat_map(|(n, packet)| {
        let pieces = fragments(&tunnel(n, &ip(packet)), 96, n as u16);
        pieces.into_iter().map(|piece| (packet.time_us, piece))
    });
    seeds.push(pcap_of(101, &pieces.collect::<Vec<_>>()));
    let mut sender: Srtp<1> =
        Srtp::new(SrtpProfile::AesCm128HmacSha1_80, &MasterKey::from_bytes(&[9; 30]), &MasterKey::from_bytes(&[1; 30]))
            .unwrap();
    let secured = packets.iter().map(|packet| {
        let (mut bytes, length) = (packet.bytes.clone(), packet.bytes.len());
        bytes.resize(length + sender.max_growth(), 0);
        let length = sender.protect_rtp(&mut bytes, length).expect("a packet");
        bytes.truncate(length);
        Packet { bytes, ..packet.clone() }
    });
    seeds.push(pcap(&secured.collect::<Vec<_>>(), Link::Raw, false, false));
    seeds
}

#[test]
fn the_seeds_are_played() {
    let mut seeds = seeds();
    // The last is encrypted.
    seeds.pop();
    for seed in seeds {
        reads(&seed);
        let report = replay_bytes("seed", &seed, &CaptureKeys::default(), &ReplayConfig::default()).unwrap();
        assert_eq!(report.streams[0].numbers.received, 12);
    }
}

#[test]
fn fuzz_capture_read() {
    check!().with_max_len(4_096).for_each(reads);
}

/// Packed captures that are cut off or damaged.
#[test]
fn fuzz_capture_packed() {
    let packed: Vec<_> = seeds()
        .iter()
        .map(|seed| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(seed).expect("memory can be written");
            encoder.finish().expect("memory can be written")
        })
        .collect();
    packed[..packed.len() - 1].iter().for_each(|seed| {
        let report = replay_bytes("seed", seed, &CaptureKeys::default(), &ReplayConfig::default()).unwrap();
        assert_eq!(report.streams[0].numbers.received, 12);
    });
    check!().with_type::<(u8, u16, Vec<(u16, u8)>)>().for_each(|(which, end, edits)| {
        let mut bytes = packed[usize::from(*which) % packed.len()].clone();
        for &(place, with) in edits.iter().take(8) {
            let at = usize::from(place) % bytes.len();
            bytes[at] = with;
        }
        bytes.truncate(usize::from(*end).max(2));
        let Ok(mut reader) = CaptureReader::new(&bytes[..]) else { return };
        let mut datagram = Datagram::default();
        while reader.next(&mut datagram).expect("memory can be read") {}
    });
}

/// A seed with some bytes changed: read, and played if there is anything to play.
#[test]
fn fuzz_capture_mutated() {
    let seeds = seeds();
    // A key that opens one of them, so that with keys too there is what none opens.
    let keys =
        CaptureKeys::new(&[format!("AES_CM_128_HMAC_SHA1_80 192.0.2.1:4000 198.51.100.2:5004 {}", "CQkJ".repeat(10))
            .parse()
            .expect("a line")])
        .expect("a key");
    check!().with_type::<(u8, Vec<(u16, u8)>)>().for_each(|(which, edits)| {
        let mut bytes = seeds[usize::from(*which) % seeds.len()].clone();
        for &(place, with) in edits.iter().take(24) {
            let at = usize::from(place) % bytes.len();
            match place >> 14 {
                // Heads more often than what follows.
                0 => bytes[at % 64] = with,
                1 | 2 => bytes[at] = with,
                _ if bytes.len() > 300 => bytes.truncate(bytes.len() - usize::from(with)),
                _ => {}
            }
        }
        reads(&bytes);
        // Played as what it is, and as if its sound were redundant audio data.
        let mut payloads = PayloadMap::default();
        payloads.add("0=red/8000").expect("redundant audio data");
        let (plain, red) = (ReplayConfig::default(), ReplayConfig { payloads, ..ReplayConfig::default() });
        for (config, keys) in [(&plain, &CaptureKeys::default()), (&red, &CaptureKeys::default()), (&plain, &keys)] {
            let Ok(report) = replay_bytes("fuzz", &bytes, keys, config) else { continue };
            let capture = &report.capture;
            assert!(capture.rtp_packets + capture.rtcp_packets + capture.refused_packets <= capture.packets);
            for stream in &report.streams {
                assert!(stream.numbers.duration_s < 7_200.0);
                assert!(stream.numbers.concealed_ratio <= 1.0);
            }
            assert!(report.to_json().starts_with('{') && report.to_html().ends_with("</html>\n"));
        }
    });
}

#[test]
fn fuzz_keys_and_map() {
    check!().with_max_len(256).for_each(|bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(line) = text.parse::<KeyLine>() {
            let _ = CaptureKeys::new(&[line]);
        }
        let _ = PayloadMap::default().add(&text);
    });
}
