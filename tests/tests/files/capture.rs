//! A capture that we write is read by tshark: right checksums, RTP streams found, loss counted (RFC 3550, A.3); extended
//! reports (RFC 3611) and redundant audio (RFC 2198) with the values that were written.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use dsp_core::time::{Instant, NtpTime, PayloadType, Seq, Ssrc};
use dsp_core::wire::red::{RedBlock, write_red};
use dsp_core::wire::rtcp::xr::{Chunk, Dlrr, DlrrItem, HopCount, PacketRange, RunLengths, Spread, StatisticsSummary};
use dsp_core::wire::rtcp::{CompoundWriter, ConcealmentKind, JitterBufferKind, VoipMetrics, XrBlock};
use host_std::record::pcap::PcapWriter;
use media_core_tests::program::tshark;

/// A capture of 100 PCMU packets from `from` to `to`, numbers 65,500 and on, of which every tenth is lost.
fn capture(name: &str, from: &str, to: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
    let mut pcap = PcapWriter::create(&path, 1_700_000_000_000_000).unwrap();
    for n in 0..100u32 {
        if n % 10 == 5 {
            continue;
        }
        let mut packet = vec![0x80, 0];
        packet.extend((65_500 + n).to_be_bytes()[2..].iter());
        packet.extend((n * 160).to_be_bytes());
        packet.extend(0xfeed_beefu32.to_be_bytes());
        packet.extend([0xff; 160]);
        pcap.datagram(Instant::from_millis(20 * u64::from(n)), from, to, &packet).unwrap();
    }
    assert_eq!(pcap.datagrams(), 90);
    pcap.finish().unwrap();
    path
}

fn streams_and_checksums(path: &Path) {
    let Some(streams) = tshark(path, &["-d", "udp.port==4000,rtp", "-q", "-z", "rtp,streams"]) else { return };
    // tshark counts what is missing between the first and the last packet.
    let line = streams.lines().find(|line| line.contains("0xFEEDBEEF")).unwrap_or_else(|| panic!("{streams}"));
    assert!(line.contains("g711U") && line.contains(" 90 ") && line.contains("10 (10.0%)"), "{line}");

    let checks = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-T", "fields"];
    let fields =
        ["-e", "udp.checksum.status", "-e", "ip.checksum.status", "-e", "frame.time_epoch", "-e", "udp.srcport"];
    let rows = tshark(path, &[&checks[..], &fields[..]].concat()).unwrap();
    assert_eq!(rows.lines().count(), 90);
    for row in rows.lines() {
        let mut cells = row.split('\t');
        assert_eq!(cells.next(), Some("1"), "UDP checksum: {row}");
        assert!(matches!(cells.next(), Some("1" | "")), "IP checksum; IPv6 has none: {row}");
    }
    let second = rows.lines().nth(1).unwrap();
    assert!(second.contains("1700000000.020000") && second.ends_with("\t4000"), "{second}");
    let expert = tshark(path, &["-q", "-z", "expert,warn"]).unwrap();
    assert!(!expert.contains("Malformed"), "{expert}");
}

#[test]
fn tshark_reads_ipv4() {
    streams_and_checksums(&capture("capture-v4.pcap", "127.0.0.1:4000", "127.0.0.2:5004"));
}

#[test]
fn tshark_reads_ipv6() {
    streams_and_checksums(&capture("capture-v6.pcap", "[::1]:4000", "[2001:db8::2]:5004"));
}

/// A capture of one datagram between ports 4000 and `port`.
fn single(name: &str, port: u16, datagram: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let (from, to) = (SocketAddr::from(([127, 0, 0, 1], 4_000)), SocketAddr::from(([127, 0, 0, 2], port)));
    let mut pcap = PcapWriter::create(&path, 1_700_000_000_000_000).unwrap();
    pcap.datagram(Instant::ZERO, from, to, datagram).unwrap();
    pcap.finish().unwrap();
    path
}

/// Compares what tshark reads from the fields.
fn fields(path: &Path, decode: &[&str], expected: &[(&str, &str)]) {
    let decode: Vec<&str> = decode.iter().flat_map(|rule| ["-d", rule]).collect();
    let mut arguments = [&decode[..], &["-T", "fields"]].concat();
    for (field, _) in expected {
        arguments.extend(["-e", field]);
    }
    let Some(row) = tshark(path, &arguments) else { return };
    let cells: Vec<&str> = row.trim_end_matches('\n').split('\t').collect();
    assert_eq!(cells.len(), expected.len(), "{row}");
    for (cell, (field, value)) in cells.into_iter().zip(expected) {
        assert_eq!(cell, *value, "{field}");
    }
    let expert = tshark(path, &[&decode[..], &["-q", "-z", "expert,warn"]].concat()).unwrap();
    assert!(!expert.contains("Malformed"), "{expert}");
}

#[test]
fn tshark_reads_extended_reports() {
    let metrics = VoipMetrics {
        ssrc: Ssrc(0xfeed_beef),
        loss_rate: 11,
        discard_rate: 12,
        burst_density: 13,
        gap_density: 14,
        burst_duration_ms: 1_500,
        gap_duration_ms: 1_600,
        round_trip_ms: 170,
        end_system_delay_ms: 180,
        signal_level_dbm0: Some(-19),
        noise_level_dbm0: Some(-60),
        rerl_db: Some(45),
        gmin: 16,
        r_factor: Some(88),
        external_r_factor: None,
        mos_lq_tenths: Some(42),
        mos_cq_tenths: Some(41),
        concealment: ConcealmentKind::Enhanced,
        jitter_buffer: JitterBufferKind::Adaptive,
        jitter_buffer_rate: 5,
        jitter_buffer_nominal_ms: 40,
        jitter_buffer_maximum_ms: 80,
        jitter_buffer_absolute_maximum_ms: 2_000,
    };
    let range = PacketRange { thinning: 1, ssrc: Ssrc(0xfeed_beef), begin_seq: Seq(10), end_seq: Seq(500) };
    let chunks = [Chunk::Run { set: true, len: 400 }.to_bytes(), Chunk::Bits(0x7ffe).to_bytes()];
    let answers = [DlrrItem { ssrc: Ssrc(9), last_rr: 0x1234_5678, delay_since_last_rr: 0x1_0000 }.to_bytes()];
    let summary = StatisticsSummary {
        ssrc: Ssrc(0xfeed_beef),
        begin_seq: Seq(10),
        end_seq: Seq(500),
        lost: Some(21),
        duplicates: Some(22),
        jitter: Some(Spread { min: 23, max: 26, mean: 24, deviation: 25 }),
        hops: Some(HopCount::Ttl(Spread { min: 60, max: 64, mean: 62, deviation: 2 })),
    };
    let blocks = [
        XrBlock::LossRle(RunLengths::new(range, &chunks)),
        XrBlock::ReceiverReferenceTime(NtpTime::from_unix_micros(1_700_000_000_000_000)),
        XrBlock::Dlrr(Dlrr::new(&answers)),
        XrBlock::StatisticsSummary(summary),
        XrBlock::VoipMetrics(metrics),
    ];
    let mut datagram = [0; 400];
    let mut writer = CompoundWriter::new(&mut datagram);
    writer.receiver_report(Ssrc(7), &[]).unwrap();
    writer.extended_report(Ssrc(7), &blocks).unwrap();
    let len = writer.finish();
    let path = single("capture-xr.pcap", 5_005, &datagram[..len]);
    let expected = [
        ("rtcp.xr.bt", "1,4,5,6,7"),
        ("rtcp.xr.bl", "3,2,3,9,8"),
        ("rtcp.xr.beginseq", "10,10"),
        ("rtcp.xr.endseq", "500,500"),
        ("rtcp.xr.lrr", "305419896"),
        ("rtcp.xr.dlrr", "65536"),
        ("rtcp.xr.stats.lost", "21"),
        ("rtcp.xr.stats.dups", "22"),
        ("rtcp.xr.stats.meanjitter", "24"),
        ("rtcp.xr.stats.maxttl", "64"),
        ("rtcp.xr.voipmetrics.burstdensity", "13"),
        ("rtcp.xr.voipmetrics.gapdensity", "14"),
        ("rtcp.xr.voipmetrics.burstduration", "1500"),
        ("rtcp.xr.voipmetrics.gapduration", "1600"),
        ("rtcp.xr.voipmetrics.rtdelay", "170"),
        ("rtcp.xr.voipmetrics.esdelay", "180"),
        ("rtcp.xr.voipmetrics.signallevel", "-19"),
        ("rtcp.xr.voipmetrics.noiselevel", "-60"),
        ("rtcp.xr.voipmetrics.rerl", "45"),
        ("rtcp.xr.voipmetrics.gmin", "16"),
        ("rtcp.xr.voipmetrics.rfactor", "88"),
        ("rtcp.xr.voipmetrics.extrfactor", "127"),
        ("rtcp.xr.voipmetrics.moslq", "4.2"),
        ("rtcp.xr.voipmetrics.moscq", "4.1"),
        ("rtcp.xr.voipmetrics.plc", "2"),
        ("rtcp.xr.voipmetrics.jba", "3"),
        ("rtcp.xr.voipmetrics.jbrate", "5"),
        ("rtcp.xr.voipmetrics.jbnominal", "40"),
        ("rtcp.xr.voipmetrics.jbmax", "80"),
        ("rtcp.xr.voipmetrics.jbabsmax", "2000"),
    ];
    fields(&path, &["udp.port==5005,rtcp"], &expected);
}

#[test]
fn tshark_reads_redundant_audio() {
    let pcmu = PayloadType::PCMU;
    let block = RedBlock { payload_type: pcmu, timestamp_offset: 320, payload: &[1; 80] };
    let younger = RedBlock { timestamp_offset: 160, payload: &[2; 160], ..block };
    let mut datagram = vec![0x80, 121, 0, 1, 0, 0, 3, 0, 0, 0, 0, 9];
    let mut payload = [0; 500];
    let len = write_red(&[block, younger], PayloadType::PCMA, &[3; 160], &mut payload).unwrap();
    datagram.extend(&payload[..len]);
    let path = single("capture-red.pcap", 5_004, &datagram);
    let expected = [
        // The packet's own payload type, and those of the blocks.
        ("rtp.p_type", "121,0,0,8"),
        ("rtp.follow", "1,1,0"),
        ("rtp.timestamp-offset", "320,160"),
        ("rtp.block-length", "80,160"),
    ];
    fields(&path, &["udp.port==5004,rtp", "rtp.pt==121,rtp_rfc2198"], &expected);
}
