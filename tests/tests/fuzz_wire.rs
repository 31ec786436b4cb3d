//! Fuzz targets of the wire parsers and of what their results feed. On stable with the default engine under `cargo test`;
//! `BOLERO_RANDOM_TEST_TIME_MS` and `BOLERO_RANDOM_ITERATIONS` set how long.

use dsp_core::quality::{Cname, ReceptionStats, ReporterConfig, RtcpReporter, SendInfo};
use dsp_core::time::{Duration, Instant, Ssrc};
use dsp_core::wire::DatagramKind;
use dsp_core::wire::rtcp::{Compound, CompoundRule, CompoundWriter, Packet};
use dsp_core::wire::rtp::{RtpHeader, RtpPacket};

/// Makes most inputs pass the version check, which random bytes do once in four.
fn with_version(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(first) = bytes.first_mut() {
        *first = 0x80 | *first & 0x3f;
    }
    bytes
}

/// What is parsed is written back to the same bytes, but for padding.
#[test]
fn fuzz_rtp_parse() {
    bolero::check!().for_each(|input: &[u8]| {
        for bytes in [input.to_vec(), with_version(input)] {
            let _ = DatagramKind::of(&bytes);
            let Ok(packet) = RtpPacket::parse(&bytes) else { continue };
            assert_eq!(packet.header_len() + packet.payload().len() + packet.padding(), bytes.len());
            let csrcs: Vec<Ssrc> = packet.csrcs().collect();
            let header = RtpHeader {
                marker: packet.marker(),
                payload_type: packet.payload_type(),
                seq: packet.seq(),
                timestamp: packet.timestamp(),
                ssrc: packet.ssrc(),
                csrcs: &csrcs,
                extension: packet.extension(),
            };
            let mut out = vec![0; bytes.len()];
            let len = header.write_packet(packet.payload(), &mut out).unwrap();
            assert_eq!(out[0], bytes[0] & !0x20);
            assert_eq!(out[1..len], bytes[1..bytes.len() - packet.padding()]);
        }
    });
}

/// Chops the input into a chain of packets with right lengths, so that bodies are reached, not only headers.
fn chain(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for body in input.chunks(23) {
        let words = body.len() / 4;
        out.extend([0x80 | body[0] & 0x1f, 200 + body[body.len() / 2] % 7, 0, words as u8]);
        out.extend(&body[..4 * words]);
    }
    out
}

fn read_all(compound: Compound<'_>) {
    for packet in compound.packets().flatten() {
        match packet {
            Packet::SenderReport(report) => assert!(report.blocks().count() <= 31),
            Packet::ReceiverReport(report) => assert!(report.blocks().count() <= 31),
            Packet::Sdes(sdes) => {
                for chunk in sdes.chunks() {
                    assert!(chunk.items().all(|item| item.kind != 0 && item.value.len() <= 255));
                    let _ = sdes.cname(chunk.ssrc());
                }
            }
            Packet::Bye(bye) => assert!(bye.ssrcs().count() <= 31 && bye.reason().is_none_or(|text| text.len() <= 255)),
            Packet::App(app) => assert!(app.subtype() <= 31 && app.data().len() % 4 == 0),
            Packet::Unknown { body, .. } => assert!(body.len() % 4 == 0),
        }
    }
}

#[test]
fn fuzz_rtcp_parse() {
    bolero::check!().for_each(|input: &[u8]| {
        for bytes in [input.to_vec(), with_version(input), chain(input)] {
            if let Ok(compound) = Compound::parse(&bytes, CompoundRule::ReportFirst) {
                read_all(compound);
            }
            if let Ok(compound) = Compound::parse(&bytes, CompoundRule::ReducedSize) {
                read_all(compound);
                // Packed again from its parts, it is the same but for padding.
                let mut out = vec![0; bytes.len()];
                let mut writer = CompoundWriter::new(&mut out);
                let (mut rest, mut padding) = (&bytes[..], 0);
                while let [first, kind, high, low, ..] = *rest {
                    let (packet, after) = rest.split_at(4 * (usize::from(u16::from_be_bytes([high, low])) + 1));
                    padding = if first & 0x20 != 0 { *packet.last().unwrap() } else { 0 };
                    writer.raw(kind, first & 0x1f, &packet[4..packet.len() - usize::from(padding)]).unwrap();
                    rest = after;
                }
                writer.pad(padding).unwrap();
                assert_eq!(writer.finish(), bytes.len());
                let end = bytes.len() - usize::from(padding);
                assert_eq!(out[..end], bytes[..end]);
            }
        }
    });
}

/// A reporter that is fed anything at any time keeps reporting, and never sooner than its shortest interval.
#[test]
fn fuzz_rtcp_reporter() {
    type Step = (u32, Vec<u8>, (u16, u16), u32);
    bolero::check!().with_type::<(u32, u32, Vec<Step>)>().for_each(|(seed, kbps, steps)| {
        let config = ReporterConfig {
            ssrc: Ssrc(*seed),
            cname: Cname::new("fuzz"),
            session_bandwidth_kbps: (*kbps).max(1),
            reduced_minimum: kbps % 2 == 0,
            reduced_size: true,
            seed: *seed,
            ..ReporterConfig::default()
        };
        let mut now = Instant::ZERO;
        let mut reporter = RtcpReporter::new(config, now).unwrap();
        let (mut stats, mut send) = (ReceptionStats::default(), SendInfo::default());
        let mut out = [0; RtcpReporter::MAX_REPORT_LEN];
        for (millis, bytes, (received, expected), packets) in steps {
            now += Duration::from_millis(u64::from(*millis));
            let _ = reporter.receive(now, &chain(bytes));
            stats.received += u64::from(*received);
            stats.expected += u64::from(*expected);
            send.packets = send.packets.wrapping_add(*packets);
            if let Some(len) = reporter.poll(now, Some(&stats), Some(&send), &mut out).unwrap() {
                let compound = Compound::parse(&out[..len], CompoundRule::ReportFirst).unwrap();
                assert!(compound.packets().all(|packet| packet.is_ok()));
                assert!(reporter.next_deadline() > now);
            }
        }
    });
}
