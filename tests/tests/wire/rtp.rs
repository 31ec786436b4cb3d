//! RTP against another implementation, real captures, and a naive model of the sequence statistics
//! (RFC 3550, 5.1, A.1, A.3, A.8).

use std::collections::HashSet;
use std::path::Path;

use dsp_core::quality::{JitterEstimator, ReceptionStats, SequenceConfig, SequenceTracker, SequenceUpdate};
use dsp_core::time::{PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::DatagramKind;
use dsp_core::wire::rtp::{RtpExtension, RtpHeader, RtpPacket, append_padding};
use media_core_tests::shared;
use proptest::prelude::*;

/// The fields of a packet as plain numbers.
#[derive(Clone, Debug)]
struct Fields {
    marker: bool,
    payload_type: u8,
    seq: u16,
    timestamp: u32,
    ssrc: u32,
    csrcs: Vec<u32>,
    extension: Option<(u16, Vec<u8>)>,
    payload: Vec<u8>,
    padding: u8,
}

fn fields() -> impl Strategy<Value = Fields> {
    let extension = (any::<u16>(), prop::collection::vec(any::<[u8; 4]>(), 0..20).prop_map(|words| words.concat()));
    let lists = (
        prop::collection::vec(any::<u32>(), 0..=15),
        prop::option::of(extension),
        prop::collection::vec(any::<u8>(), 0..400),
    );
    (any::<(bool, u16, u32, u32)>(), 0..128u8, lists, any::<u8>()).prop_map(
        |((marker, seq, timestamp, ssrc), payload_type, (csrcs, extension, payload), padding)| Fields {
            marker,
            payload_type,
            seq,
            timestamp,
            ssrc,
            csrcs,
            extension,
            payload,
            padding,
        },
    )
}

proptest! {
    #[test]
    fn both_write_the_same_bytes_and_read_them(fields in fields()) {
        let mut theirs = rtp_types::RtpPacketBuilder::new()
            .marker_bit(fields.marker)
            .payload_type(fields.payload_type)
            .sequence_number(fields.seq)
            .timestamp(fields.timestamp)
            .ssrc(fields.ssrc)
            .payload(fields.payload.as_slice());
        for csrc in &fields.csrcs {
            theirs = theirs.add_csrc(*csrc);
        }
        if let Some((profile, data)) = &fields.extension {
            theirs = theirs.extension(*profile, data.as_slice());
        }
        if fields.padding > 0 {
            theirs = theirs.padding(fields.padding);
        }
        let theirs = theirs.write_vec().unwrap();

        let csrcs: Vec<Ssrc> = fields.csrcs.iter().copied().map(Ssrc).collect();
        let header = RtpHeader {
            marker: fields.marker,
            payload_type: PayloadType::new(fields.payload_type).unwrap(),
            seq: Seq(fields.seq),
            timestamp: RtpTime(fields.timestamp),
            ssrc: Ssrc(fields.ssrc),
            csrcs: &csrcs,
            extension: fields.extension.as_ref().map(|(profile, data)| RtpExtension { profile: *profile, data }),
        };
        let mut ours = vec![0xee; theirs.len()];
        let len = header.write_packet(&fields.payload, &mut ours).unwrap();
        prop_assert_eq!(append_padding(&mut ours, len, fields.padding), Ok(theirs.len()));
        prop_assert_eq!(&ours, &theirs);

        let packet = RtpPacket::parse(&ours).unwrap();
        prop_assert_eq!(packet.marker(), fields.marker);
        prop_assert_eq!(packet.payload_type().get(), fields.payload_type);
        prop_assert_eq!(packet.seq().0, fields.seq);
        prop_assert_eq!(packet.timestamp().0, fields.timestamp);
        prop_assert_eq!(packet.ssrc().0, fields.ssrc);
        prop_assert!(packet.csrcs().eq(csrcs.iter().copied()));
        prop_assert_eq!(packet.extension(), header.extension);
        prop_assert_eq!(packet.payload(), fields.payload.as_slice());
        prop_assert_eq!(packet.padding(), usize::from(fields.padding));
        prop_assert_eq!(packet.header_len(), header.header_len());
    }

    #[test]
    fn both_take_and_refuse_the_same_bytes(
        first in prop_oneof![Just(0x80u8), 0x80..0xc0u8, any::<u8>()],
        mut bytes in prop::collection::vec(prop_oneof![Just(0u8), 0..8u8, any::<u8>()], 0..120),
    ) {
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        match (RtpPacket::parse(&bytes), rtp_types::RtpPacket::parse(&bytes)) {
            (Ok(ours), Ok(theirs)) => {
                prop_assert_eq!(ours.payload(), theirs.payload());
                prop_assert_eq!(ours.extension().map(|e| (e.profile, e.data)), theirs.extension());
                prop_assert!(ours.csrcs().map(|csrc| csrc.0).eq(theirs.csrc()));
                prop_assert_eq!(ours.header_len(), theirs.payload_offset());
            }
            (ours, theirs) => prop_assert_eq!(ours.is_ok(), theirs.is_ok()),
        }
    }

    /// Any order of loss, delay and repetition within the bounds of A.1, modelled with sequence numbers that don't wrap.
    #[test]
    fn sequence_statistics_follow_a_naive_model(
        first in any::<u16>(),
        steps in prop::collection::vec((0..3u8, 1..60u64), 1..600),
    ) {
        let mut tracker = SequenceTracker::new(SequenceConfig { min_sequential: 1, ..SequenceConfig::default() });
        // The model starts a full cycle up, so that packets before the first stay positive.
        let start = 0x1_0000 + u64::from(first);
        let (mut highest, mut seen, mut received, mut duplicates) = (start, HashSet::from([start]), 1u64, 0u64);
        prop_assert_eq!(tracker.update(Seq(first)), SequenceUpdate::Started { extended: i64::from(first) });
        for (kind, amount) in steps {
            let seq = match kind {
                // Ahead, with loss if more than one; behind; ahead by one.
                0 => highest + amount,
                1 => highest - amount + 1,
                _ => highest + 1,
            };
            let extended = seq as i64 - 0x1_0000;
            let expected = if seq > highest {
                SequenceUpdate::InOrder { extended, gap: (seq - highest - 1) as u16 }
            } else if seen.contains(&seq) {
                duplicates += 1;
                SequenceUpdate::Duplicate { extended }
            } else {
                SequenceUpdate::Late { extended }
            };
            prop_assert_eq!(tracker.update(Seq(seq as u16)), expected);
            seen.insert(seq);
            received += 1;
            highest = highest.max(seq);
        }
        let stats = ReceptionStats::new(Ssrc(1), &tracker, &JitterEstimator::new());
        prop_assert_eq!(stats.expected, highest - start + 1);
        prop_assert_eq!((stats.received, stats.duplicates), (received, duplicates));
        prop_assert_eq!(u64::from(stats.extended_highest_seq), highest - 0x1_0000);
        prop_assert_eq!(i64::from(stats.cumulative_lost()), stats.expected as i64 - received as i64);
    }

    /// Many cycles of sequence numbers, with a tenth lost: the extended number and the counts never slip.
    #[test]
    fn cycles_are_counted(first in any::<u16>(), period in 2..50u64) {
        let mut tracker = SequenceTracker::new(SequenceConfig { min_sequential: 1, ..SequenceConfig::default() });
        let mut received = 0;
        let last = u64::from(first) + 300_000;
        for seq in u64::from(first)..=last {
            if seq % period != 0 || seq == u64::from(first) || seq == last {
                tracker.update(Seq(seq as u16));
                received += 1;
            }
        }
        prop_assert_eq!(u64::from(tracker.extended_highest_seq()), last);
        prop_assert_eq!((tracker.expected(), tracker.received()), (300_001, received));
    }

    /// Whatever comes, a tracker counts no packet twice and never more received than updates.
    #[test]
    fn wild_sequence_numbers_do_no_harm(
        config in any::<(u8, u16, u16)>(),
        seqs in prop::collection::vec(prop_oneof![any::<u16>(), 0..10u16, 65_530..=65_535u16], 0..400),
    ) {
        let (min_sequential, max_dropout, max_misorder) = config;
        let mut tracker = SequenceTracker::new(SequenceConfig { min_sequential, max_dropout, max_misorder });
        let mut earlier: Option<ReceptionStats> = None;
        for seq in &seqs {
            tracker.update(Seq(*seq));
            let stats = ReceptionStats::new(Ssrc(1), &tracker, &JitterEstimator::new());
            prop_assert!(stats.received <= seqs.len() as u64);
            prop_assert!(stats.duplicates + stats.reordered <= stats.received);
            prop_assert_eq!(stats.received > 0, tracker.is_valid());
            stats.fraction_lost_since(earlier.as_ref());
            earlier = Some(stats);
        }
    }
}

/// The UDP payloads of a pcap, a little-endian pcapng or an rtpdump file, over Ethernet or Linux's cooked capture.
fn datagrams(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let le16 = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let le32 = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let mut found = Vec::new();
    let mut frame = |link: usize, frame: &[u8]| {
        let ip = match link {
            1 => &frame[14..],
            113 => &frame[16..],
            other => panic!("link type {other}"),
        };
        if ip[0] >> 4 == 4 && ip[9] == 17 {
            let udp = &ip[4 * usize::from(ip[0] & 15)..];
            // The UDP length leaves out what Ethernet filled up.
            found.push(udp[8..usize::from(u16::from_be_bytes([udp[4], udp[5]]))].to_vec());
        }
    };
    if bytes.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]) {
        let mut at = 24;
        while at < bytes.len() {
            let len = le32(at + 8);
            frame(le32(20), &bytes[at + 16..at + 16 + len]);
            at += 16 + len;
        }
    } else if bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
        let (mut at, mut link) = (0, 0);
        while at < bytes.len() {
            match le32(at) {
                1 => link = le16(at + 8),
                6 => frame(link, &bytes[at + 28..at + 28 + le32(at + 20)]),
                _ => {}
            }
            at += le32(at + 4);
        }
    } else {
        assert!(bytes.starts_with(b"#!rtpplay1.0"), "{}", path.display());
        let mut at = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 17;
        while at < bytes.len() {
            let len = usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
            found.push(bytes[at + 8..at + len].to_vec());
            at += len;
        }
    }
    found
}

#[test]
fn every_packet_of_real_captures_parses() {
    let Some(folder) = shared("data/pcap") else { return };
    let mut packets = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "pcap") {
            for datagram in datagrams(&path) {
                assert_eq!(DatagramKind::of(&datagram), DatagramKind::Rtp);
                let packet = RtpPacket::parse(&datagram).unwrap();
                assert_eq!(packet.header_len() + packet.payload().len(), datagram.len());
                packets += 1;
            }
        }
    }
    assert!(packets > 200, "{packets}");
}

/// The main stream of each trace, field by field against a list that another program made, and its statistics against
/// the plain facts of that list.
#[test]
fn traces_match_their_tables() {
    let Some(folder) = shared("data/jitter") else { return };
    for name in [
        "opus-poor-quality.pcapng",
        "pcmu_8k_no_jitter.pcap",
        "poor_jitter_quality_22_filter.pcapng",
        "rtp-120late-1000total.pcapng",
        "rtp-534late-24loss-7000total.pcapng",
        "rtp-60late-500total.pcapng",
        "webrtc-HRTF_pcm16wb_jitter.rtp",
        "webrtc-hrtf_g722_1C_48_jitterT2.rtp",
        "webrtc-stereo_pcmu.rtp",
        "webrtc-stereo_pcmu_jitter.rtp",
    ] {
        let path = folder.join(name);
        let table = folder.join("csv").join(path.with_extension("csv").file_name().unwrap());
        let table: Vec<[u32; 4]> = std::fs::read_to_string(table)
            .unwrap()
            .lines()
            .skip(1)
            .map(|line| {
                let mut cells = line.split(',').skip(1).map(|cell| cell.parse().unwrap());
                std::array::from_fn(|_| cells.next().unwrap())
            })
            .collect();

        let datagrams = datagrams(&path);
        let rtp: Vec<RtpPacket<'_>> = datagrams
            .iter()
            .filter(|datagram| DatagramKind::of(datagram) == DatagramKind::Rtp)
            .map(|datagram| RtpPacket::parse(datagram).unwrap_or_else(|error| panic!("{name}: {error}")))
            .collect();
        let fields = |packet: &RtpPacket<'_>| {
            let bytes = packet.header_len() - 12 + packet.payload().len() + packet.padding();
            [u32::from(packet.seq().0), packet.timestamp().0, u32::from(packet.payload_type().get()), bytes as u32]
        };
        let ssrc = rtp.iter().find(|packet| fields(packet) == table[0]).unwrap().ssrc();
        let stream: Vec<_> = rtp.iter().filter(|packet| packet.ssrc() == ssrc).collect();
        assert!(stream.iter().map(|packet| fields(packet)).eq(table.iter().copied()), "{name}");

        let config = SequenceConfig { min_sequential: 1, ..SequenceConfig::default() };
        let mut tracker = SequenceTracker::new(config);
        for packet in &stream {
            tracker.update(packet.seq());
        }
        // None of these streams wraps more than once, so a half-cycle decides.
        let first = stream[0].seq();
        let extended = |packet: &RtpPacket<'_>| i64::from(packet.seq().distance(first));
        assert_eq!(tracker.received(), stream.len() as u64, "{name}");
        assert_eq!(tracker.restarts(), 0, "{name}");
        let span = stream.iter().map(|packet| extended(packet)).max().unwrap();
        assert_eq!(tracker.expected(), span as u64 + 1, "{name}");
    }
}
