//! A capture that we write is read by tshark: right checksums, RTP streams found, loss counted (RFC 3550, A.3).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use dsp_core::time::Instant;
use host_std::record::pcap::PcapWriter;

/// Runs tshark on `capture`; `None` where it is not installed (with `CI=true` that fails).
fn tshark(capture: &Path, arguments: &[&str]) -> Option<String> {
    match Command::new("tshark").arg("-r").arg(capture).args(arguments).output() {
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "tshark: {errors}");
            Some(String::from_utf8(output.stdout).unwrap())
        }
        Err(error) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "tshark: {error}, and CI=true wants it");
            eprintln!("skipped: tshark: {error} (apt-get install tshark)");
            None
        }
    }
}

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
