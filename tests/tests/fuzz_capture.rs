//! Captures from anywhere: whatever the bytes, reading and playing them ends, and every packet has its place.

use bolero::check;
use host_std::record::keys::KeyLine;
use host_std::replay::capture::{CaptureReader, Datagram};
use host_std::replay::{Keys, PayloadMap, ReplayConfig, replay_bytes};
use media_core_tests::captures::{Link, Times, call, pcap, pcapng, rtpdump};

fn reads(bytes: &[u8]) {
    let Ok(mut reader) = CaptureReader::new(bytes) else { return };
    let mut datagram = Datagram::default();
    while reader.next(&mut datagram).expect("memory can be read") {
        assert!(datagram.bytes.len() <= bytes.len());
        assert!(datagram.time_us.is_none_or(|time| time < 1 << 57));
    }
    let counts = reader.counts();
    let kinds = counts.datagrams + counts.not_udp + counts.fragments + counts.cut + counts.malformed;
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
    seeds
}

#[test]
fn the_seeds_are_played() {
    for seed in seeds() {
        reads(&seed);
        let report = replay_bytes("seed", &seed, &Keys::default(), &ReplayConfig::default()).unwrap();
        assert_eq!(report.streams[0].numbers.received, 12);
    }
}

#[test]
fn fuzz_capture_read() {
    check!().with_max_len(4_096).for_each(reads);
}

/// A seed with some bytes changed: read, and played if there is anything to play.
#[test]
fn fuzz_capture_mutated() {
    let seeds = seeds();
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
        for config in [ReplayConfig::default(), ReplayConfig { payloads, ..ReplayConfig::default() }] {
            let Ok(report) = replay_bytes("fuzz", &bytes, &Keys::default(), &config) else { continue };
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
            let _ = Keys::new(&[line]);
        }
        let _ = PayloadMap::default().add(&text);
    });
}
