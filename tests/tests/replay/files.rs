//! Whatever file a capture lies in, and whatever is around its datagrams: it is read as tshark reads it, or the true
//! reason is told.

use std::fs;
use std::io::Write;
use std::net::IpAddr;

use flate2::Compression;
use flate2::write::GzEncoder;
use host_std::replay::{CaptureKeys, CaptureReport, ReplayConfig, replay, replay_bytes};
use media_core_tests::captures::{Link, Packet, Times, call, fragments, in_ip, ip, pcap, pcap_of, pcapng, rtpdump};
use media_core_tests::program::{folder, tshark};
use media_core_tests::shared;

const FROM: &str = "192.0.2.1:4000";
const TO: &str = "198.51.100.2:5004";

fn play(bytes: &[u8]) -> CaptureReport {
    replay_bytes("test", bytes, &CaptureKeys::default(), &ReplayConfig::default()).unwrap()
}

fn refused(bytes: &[u8]) -> String {
    replay_bytes("test", bytes, &CaptureKeys::default(), &ReplayConfig::default()).unwrap_err().to_string()
}

fn over_v6(packets: &[Packet]) -> Vec<Packet> {
    let (from, to) = ("[2001:db8::1]:4000".parse().unwrap(), "[2001:db8::2]:5004".parse().unwrap());
    packets.iter().map(|packet| Packet { from, to, ..packet.clone() }).collect()
}

fn outer_v4() -> [IpAddr; 2] {
    ["203.0.113.1".parse().unwrap(), "203.0.113.2".parse().unwrap()]
}

fn outer_v6() -> [IpAddr; 2] {
    ["2001:db8:1::1".parse().unwrap(), "2001:db8:1::2".parse().unwrap()]
}

fn ethernet(ether_type: u16, inner: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &ether_type.to_be_bytes(), inner].concat()
}

/// An IPv4 packet with a UDP datagram to `port` around `inner`.
fn in_udp(port: u16, inner: &[u8]) -> Vec<u8> {
    let length = (8 + inner.len()) as u16;
    let udp = [&9_999u16.to_be_bytes()[..], &port.to_be_bytes(), &length.to_be_bytes(), &[0, 0], inner].concat();
    let [from, to] = outer_v4();
    in_ip(from, to, 17, &udp)
}

fn nflog(big_endian: bool, family: u8, packet: &[u8]) -> Vec<u8> {
    let word = |value: u16| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut frame = vec![family, 0, 0, 5];
    // A prefix of five bytes with its padding, and the packet.
    frame.extend([&word(9)[..], &word(10), b"call\0\0\0\0"].concat());
    frame.extend([&word(4 + packet.len() as u16)[..], &word(9), packet].concat());
    frame
}

type Frame = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// Each way to wrap an IP packet: a name, the link type, and what makes the frame.
fn tunnels(v4: bool) -> Vec<(&'static str, u16, Frame)> {
    let inner_type: u16 = if v4 { 0x0800 } else { 0x86dd };
    let inner_number = if v4 { 4 } else { 41 };
    let ppp: [u8; 2] = if v4 { [0, 0x21] } else { [0, 0x57] };
    let family = if v4 { 2 } else { 10 };
    let gre = move |flags: u16, words: &[u8], inner: &[u8]| {
        let [from, to] = outer_v4();
        let body = [&flags.to_be_bytes()[..], &inner_type.to_be_bytes(), words, inner].concat();
        in_ip(from, to, 47, &body)
    };
    let gre_frame = move |protocol: u16, flags: u16, words: &[u8], inner: &[u8]| {
        let [from, to] = outer_v4();
        let body = [&flags.to_be_bytes()[..], &protocol.to_be_bytes(), words, inner].concat();
        ethernet(0x0800, &in_ip(from, to, 47, &body))
    };
    let frame = |make: Frame| make;
    vec![
        (
            "IP in IPv4",
            1,
            frame(Box::new(move |ip| {
                let [from, to] = outer_v4();
                ethernet(0x0800, &in_ip(from, to, inner_number, ip))
            })),
        ),
        (
            "IP in IPv6",
            101,
            frame(Box::new(move |ip| {
                let [from, to] = outer_v6();
                in_ip(from, to, inner_number, ip)
            })),
        ),
        (
            "IP in IP in IP",
            101,
            frame(Box::new(move |ip| {
                let ([from, to], [from6, to6]) = (outer_v4(), outer_v6());
                in_ip(from6, to6, 4, &in_ip(from, to, inner_number, ip))
            })),
        ),
        ("GRE", 1, Box::new(move |ip| ethernet(0x0800, &gre(0, &[], ip)))),
        (
            "GRE with key and number",
            1,
            Box::new(move |ip| ethernet(0x0800, &gre(0x3000, &[0, 0, 0, 7, 0, 0, 0, 9], ip))),
        ),
        ("GRE with a checksum", 1, Box::new(move |ip| ethernet(0x0800, &gre(0x8000, &[0, 0, 0, 0], ip)))),
        ("Ethernet in GRE", 1, Box::new(move |ip| gre_frame(0x6558, 0, &[], &ethernet(inner_type, ip)))),
        (
            "ERSPAN II",
            1,
            Box::new(move |ip| {
                gre_frame(0x88be, 0x1000, &[0, 0, 0, 1, 0x10, 5, 0, 1, 0, 0, 0, 0], &ethernet(inner_type, ip))
            }),
        ),
        (
            "PPTP",
            1,
            Box::new(move |ip| {
                let body = [&[0xff, 3][..], &ppp, ip].concat();
                let length = (body.len() as u16).to_be_bytes();
                gre_frame(0x880b, 0x3001, &[length[0], length[1], 0, 1, 0, 0, 0, 1], &body)
            }),
        ),
        (
            "PPPoE",
            1,
            Box::new(move |ip| {
                let length = (2 + ip.len() as u16).to_be_bytes();
                ethernet(0x8864, &[&[0x11, 0, 0, 1][..], &length, &ppp, ip].concat())
            }),
        ),
        ("MPLS", 1, Box::new(|ip| ethernet(0x8847, &[&[0, 1, 0, 64, 0, 2, 1, 64][..], ip].concat()))),
        (
            "Ethernet in MPLS",
            1,
            Box::new(move |ip| ethernet(0x8847, &[&[0, 2, 1, 64, 0, 0, 0, 0][..], &ethernet(inner_type, ip)].concat())),
        ),
        (
            "QinQ",
            1,
            Box::new(move |ip| ethernet(0x88a8, &[&[0, 1, 0x81, 0, 0, 2][..], &inner_type.to_be_bytes(), ip].concat())),
        ),
        (
            "SNAP",
            1,
            Box::new(move |ip| {
                ethernet(8 + ip.len() as u16, &[&[0xaa, 0xaa, 3, 0, 0, 0][..], &inner_type.to_be_bytes(), ip].concat())
            }),
        ),
        (
            "VXLAN",
            1,
            Box::new(move |ip| {
                ethernet(0x0800, &in_udp(4_789, &[&[8, 0, 0, 0, 0, 0, 7, 0][..], &ethernet(inner_type, ip)].concat()))
            }),
        ),
        (
            "Geneve",
            1,
            Box::new(move |ip| {
                let options = [1, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 0];
                ethernet(0x0800, &in_udp(6_081, &[&options[..], &ethernet(inner_type, ip)].concat()))
            }),
        ),
        (
            "GTP-U",
            1,
            Box::new(move |ip| {
                let length = (ip.len() as u16 + 4).to_be_bytes();
                let head = [0x32, 0xff, length[0], length[1], 0, 0, 0, 1, 0, 9, 0, 0];
                ethernet(0x0800, &in_udp(2_152, &[&head[..], ip].concat()))
            }),
        ),
        ("PPP", 9, Box::new(move |ip| [&ppp[..], ip].concat())),
        ("PPP in HDLC", 50, Box::new(move |ip| [&[0xff, 3][..], &ppp, ip].concat())),
        ("PPP with a direction", 204, Box::new(move |ip| [&[0][..], &ppp, ip].concat())),
        ("Cisco HDLC", 104, Box::new(move |ip| [&[0x0f, 0][..], &inner_type.to_be_bytes(), ip].concat())),
        ("NFLOG", 239, Box::new(move |ip| nflog(false, family, ip))),
        ("NFLOG of a big-endian machine", 239, Box::new(move |ip| nflog(true, family, ip))),
        (
            "PKTAP",
            258,
            Box::new(move |ip| {
                let mut head = [108u32.to_le_bytes(), 1u32.to_le_bytes(), 101u32.to_le_bytes()].concat();
                head.resize(108, 0);
                [&head[..], ip].concat()
            }),
        ),
    ]
}

/// Sequence numbers as tshark reads them.
fn tshark_numbers(name: &str, file: &[u8]) -> Option<Vec<u16>> {
    let path = folder(&format!("replay-files-{}", name.replace(' ', "-"))).join("test.pcap");
    fs::write(&path, file).unwrap();
    let rows = tshark(&path, &["-d", "udp.port==5004,rtp", "-T", "fields", "-e", "rtp.seq"])?;
    let _ = fs::remove_dir_all(path.parent().unwrap());
    Some(rows.lines().filter_map(|row| row.parse().ok()).collect())
}

#[test]
fn tunnels_are_looked_through() {
    let packets = call(60, FROM, TO);
    let expected = play(&pcap(&packets, Link::Raw, false, false));
    for (v4, packets) in [(true, packets.clone()), (false, over_v6(&packets))] {
        for (name, link, frame) in tunnels(v4) {
            let frames: Vec<_> = packets.iter().map(|packet| (packet.time_us, frame(&ip(packet)))).collect();
            let file = pcap_of(link, &frames);
            let report = play(&file);
            assert_eq!(report.capture.remarks, Vec::<String>::new(), "{name}");
            let stream = &report.streams[0];
            // The addresses of those that talk, not of the tunnel's ends.
            assert_eq!(stream.from, packets[0].from.to_string(), "{name}");
            assert!(stream.side.heard == expected.streams[0].side.heard, "{name}");
            // tshark wants to be told what is behind which label of MPLS, and takes NFLOG and PKTAP to be of the machine
            // that it runs on.
            if v4
                && !["Ethernet in MPLS", "NFLOG of a big-endian machine", "PKTAP"].contains(&name)
                && let Some(numbers) = tshark_numbers(name, &file)
            {
                let ours: Vec<u16> = (0..60).map(|n| 65_500u16.wrapping_add(n)).collect();
                assert_eq!(numbers, ours, "{name}");
            }
        }
    }
}

#[test]
fn tunnels_without_end_are_malformed() {
    let [from, to] = outer_v4();
    let packets = call(20, FROM, TO);
    let deep = |packet: &Packet| (0..40).fold(ip(packet), |inner, _| in_ip(from, to, 4, &inner));
    let frames: Vec<_> = packets.iter().map(|packet| (packet.time_us, deep(packet))).collect();
    assert_eq!(refused(&pcap_of(101, &frames)), "no RTP stream in the capture (20 packets, 20 malformed)");
}

#[test]
fn fragments_are_put_together() {
    // L16 at 48 kHz: 1,932 bytes of RTP, in two fragments each.
    let long: Vec<Packet> = call(100, FROM, TO)
        .into_iter()
        .map(|mut packet| {
            packet.bytes[1] = 97;
            let pcm: Vec<u8> = packet.bytes[12..]
                .iter()
                .flat_map(|&code| [dsp_core::codec::g711::ulaw_to_linear(code).to_be_bytes(); 6].concat())
                .collect();
            packet.bytes.truncate(12);
            let n = u32::from_be_bytes(packet.bytes[4..8].try_into().unwrap()) * 6;
            packet.bytes[4..8].copy_from_slice(&n.to_be_bytes());
            packet.bytes.extend(pcm);
            packet
        })
        .collect();
    for packets in [long.clone(), over_v6(&long)] {
        let whole = play(&pcap(&packets, Link::Raw, false, false));
        assert_eq!((whole.streams[0].codec.as_str(), whole.streams[0].numbers.received), ("L16/48000", 100));
        let pieces = |packet: &Packet, n: usize| fragments(&ip(packet), 1_480, n as u16);
        let frames: Vec<_> = packets
            .iter()
            .enumerate()
            .flat_map(|(n, packet)| pieces(packet, n).into_iter().map(|piece| (packet.time_us, piece)))
            .collect();
        assert_eq!(frames.len(), 200);
        let report = play(&pcap_of(101, &frames));
        assert_eq!(report.capture.remarks, Vec::<String>::new());
        assert_eq!((report.capture.packets, report.capture.rtp_packets), (200, 100));
        assert!(report.streams[0].side.heard == whole.streams[0].side.heard);
        if let Some(numbers) = tshark_numbers("fragments", &pcap_of(101, &frames)) {
            assert_eq!(numbers.len(), 100);
        }
        // The later one first, each twice, and every tenth packet without its end.
        let frames: Vec<_> = packets
            .iter()
            .enumerate()
            .flat_map(|(n, packet)| {
                let mut pieces = pieces(packet, n);
                pieces.reverse();
                let twice = [pieces[0].clone(), pieces[0].clone(), pieces[1].clone()];
                let lost = usize::from(n % 10 == 5) * 2;
                twice.into_iter().skip(lost).map(|piece| (packet.time_us, piece))
            })
            .collect();
        let report = play(&pcap_of(101, &frames));
        assert_eq!((report.streams[0].numbers.received, report.streams[0].numbers.lost), (90, 10));
        let remarks = &report.capture.remarks;
        assert_eq!(remarks, &["10 IP fragments don't make whole packets, which count as lost"]);
    }
}

#[test]
fn fragments_within_tunnels_and_tunnels_within_fragments_are_put_together() {
    let [from, to] = outer_v4();
    let packets = call(60, FROM, TO);
    let expected = play(&pcap(&packets, Link::Raw, false, false));
    let mut frames = Vec::new();
    for (n, packet) in packets.iter().enumerate() {
        // The call's packet in two fragments, each in a tunnel, whose packets are fragments again.
        for (m, piece) in fragments(&ip(packet), 96, n as u16).iter().enumerate() {
            let outer = in_ip(from, to, 4, piece);
            frames.extend(fragments(&outer, 64, (n * 2 + m) as u16).into_iter().map(|frame| (packet.time_us, frame)));
        }
    }
    let report = play(&pcap_of(101, &frames));
    assert_eq!(report.capture.remarks, Vec::<String>::new());
    assert!(report.streams[0].side.heard == expected.streams[0].side.heard);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn gzip_is_unpacked() {
    let packets = call(100, FROM, TO);
    let plain = pcap(&packets, Link::Ethernet(0), false, false);
    let files = [
        ("pcap in gzip", plain.clone()),
        ("pcapng in gzip", pcapng(&packets, Link::Ethernet(0), true, Times::Micros)),
        ("rtpdump in gzip", rtpdump(&packets)),
    ];
    let expected = play(&plain);
    for (format, file) in &files {
        let report = play(&gzip(file));
        assert_eq!(report.capture.format, *format);
        assert!(report.streams[0].side.heard == expected.streams[0].side.heard);
        // In two members, as when parts were packed one by one.
        let (a, b) = file.split_at(1_000);
        assert!(play(&[gzip(a), gzip(b)].concat()).streams[0].side.heard == expected.streams[0].side.heard);
    }
    // Cut off, damaged.
    let packed = gzip(&plain);
    let cut = play(&packed[..packed.len() / 2]);
    assert!(cut.capture.remarks[0].contains("the gzip file is cut off"), "{:?}", cut.capture.remarks);
    assert!((20..100).contains(&cut.streams[0].numbers.received));
    let mut damaged = packed.clone();
    let crc = damaged.len() - 8;
    damaged[crc] ^= 1;
    let report = play(&damaged);
    assert!(report.capture.remarks[0].contains("the gzip data are damaged"), "{:?}", report.capture.remarks);
    assert_eq!(report.streams[0].numbers.received, 100);
    assert!(refused(&packed[..12]).contains("the gzip file is cut off"), "{}", refused(&packed[..12]));
    assert!(refused(&gzip(b"a letter")).contains("not a capture"));
}

#[test]
fn a_file_that_unpacks_to_gigabytes_ends_where_it_is_told() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&pcap(&call(50, FROM, TO), Link::Ethernet(0), false, false)).unwrap();
    // Frames of a mebibyte of nothing.
    let frame = [&[0u8; 8][..], &(1u32 << 20).to_le_bytes(), &(1u32 << 20).to_le_bytes(), &vec![0; 1 << 20]].concat();
    for _ in 0..300 {
        encoder.write_all(&frame).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 4 << 20, "{}", bomb.len());
    let report = play(&bomb);
    assert!(report.capture.remarks[0].contains("more than a hundred times its size"), "{:?}", report.capture.remarks);
    assert_eq!(report.streams[0].numbers.received, 50);
}

#[test]
fn formats_that_are_not_read_are_named() {
    for (head, word) in [
        (&[0x28, 0xb5, 0x2f, 0xfd, 0][..], "zstd"),
        (&[0x04, 0x22, 0x4d, 0x18], "lz4"),
        (b"snoop\0\0\0\0\0\0\x02", "snoop"),
        (b"PK\x03\x04", "ZIP"),
    ] {
        assert!(refused(head).contains(word), "{}", refused(head));
    }
    let frames = [(0, vec![0; 60]), (1, vec![0; 60])];
    assert_eq!(
        refused(&pcap_of(105, &frames)),
        "no RTP stream in the capture (2 packets, 2 of a link type that is not read here, 105 (802.11))"
    );
}

/// Linux' libpcap of the nineties wrote eight bytes more in each record.
#[test]
fn modified_pcap_is_read_in_both_byte_orders() {
    let packets = call(60, FROM, TO);
    for big_endian in [false, true] {
        let plain = pcap(&packets, Link::Ethernet(0), big_endian, false);
        let word = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut file = [&word(0xa1b2_cd34)[..], &plain[4..24]].concat();
        for record in plain[24..].chunks(16 + 14 + 28 + 172) {
            file.extend(&record[..16]);
            file.extend([0, 0, 0, 1, 8, 0, 0, 0]);
            file.extend(&record[16..]);
        }
        assert!(play(&file).streams[0].side.heard == play(&plain).streams[0].side.heard);
        if let Some(numbers) = tshark_numbers(&format!("modified {big_endian}"), &file) {
            assert_eq!(numbers.len(), 60);
        }
    }
}

/// A block with its body.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let length = (12 + body.len() as u32).to_le_bytes();
    [&kind.to_le_bytes()[..], &length, body, &length].concat()
}

#[test]
fn obsolete_packet_blocks_and_blocks_that_make_no_sense_are_read_over() {
    let packets = call(60, FROM, TO);
    let expected = play(&pcap(&packets, Link::Raw, false, false));
    let section = [&0x1a2b_3c4du32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    let mut file = block(0x0a0d_0d0a, &section);
    // An interface of USB, and one whose options break off.
    file.extend(block(1, &[189, 0, 0, 0, 0, 0, 0, 0]));
    file.extend(block(1, &[101, 0, 0, 0, 0, 0, 0, 0, 3, 0, 99, 0]));
    // A list of names that is none, and a block of no length.
    file.extend(block(4, &[1, 0, 200, 0, 1, 2, 3, 4]));
    file.extend(block(0x0bad_cafe, &[]));
    for packet in &packets {
        let mut frame = ip(packet);
        let length = (frame.len() as u32).to_le_bytes();
        frame.resize(frame.len().next_multiple_of(4), 0);
        let times = [(packet.time_us >> 32) as u32, packet.time_us as u32].map(u32::to_le_bytes).concat();
        // Interface 1, of which 7 packets were dropped.
        file.extend(block(2, &[&[1, 0, 7, 0][..], &times, &length, &length, &frame].concat()));
    }
    let report = play(&file);
    assert_eq!(report.capture.remarks, Vec::<String>::new());
    assert!(report.streams[0].side.heard == expected.streams[0].side.heard);
    // A packet that ends beyond its block is malformed, and the next ones are read.
    let at = file.len();
    file.extend(block(6, &[&[1, 0, 0, 0][..], &[0; 8], &[200, 0, 0, 0, 200, 0, 0, 0], &[0; 20]].concat()));
    let last: Vec<u8> = file[at - 232..at].to_vec();
    file.extend(&last);
    let report = play(&file);
    assert_eq!(report.capture.remarks, ["1 malformed packets are skipped"]);
    assert_eq!((report.streams[0].numbers.received, report.streams[0].duplicate), (61, 1));
}

#[test]
fn the_capture_of_obsolete_packet_blocks_is_played() {
    let Some(path) = shared("cases/06_obsolete_packet_block.pcapng") else { return };
    let report = replay(&path, &CaptureKeys::default(), &ReplayConfig::default()).unwrap();
    assert_eq!((report.streams.len(), report.capture.remarks.len()), (1, 0), "{:?}", report.capture.remarks);
    let stream = &report.streams[0];
    let Some(rows) = tshark(&path, &["-Y", "udp", "-T", "fields", "-e", "frame.number"]) else { return };
    assert_eq!(stream.numbers.received, rows.lines().count() as u64);
    assert_eq!((stream.numbers.lost, stream.numbers.concealed_ratio), (0, 0.0));
}

#[test]
fn packets_that_the_snap_length_cut_are_told() {
    let packets = call(60, FROM, TO);
    let whole = pcap(&packets, Link::Ethernet(0), false, false);
    let mut file = whole[..24].to_vec();
    for (n, record) in whole[24..].chunks(16 + 14 + 28 + 172).enumerate() {
        // Every sixth has 96 bytes left, and one none at all.
        let kept = if n == 3 {
            0
        } else if n % 6 == 5 {
            96
        } else {
            record.len() - 16
        };
        file.extend(&record[..8]);
        file.extend((kept as u32).to_le_bytes());
        file.extend(&record[12..16 + kept]);
    }
    let report = play(&file);
    assert_eq!(report.capture.remarks, ["11 packets were captured only in part and count as lost (snap length)"]);
    assert_eq!(report.streams[0].numbers.received, 49);
}
