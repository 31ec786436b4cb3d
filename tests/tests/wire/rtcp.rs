//! RTCP against another implementation (RFC 3550, 6; RFC 3611, 4).

use dsp_core::time::{NtpTime, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtcp::xr::{Chunk, Dlrr, DlrrItem, PacketRange, ReceiptTimes, RunLengths};
use dsp_core::wire::rtcp::{
    Compound, CompoundRule, CompoundWriter, Packet, ReportBlock, SdesItem, SenderInfo, XrBlock,
};
use proptest::prelude::*;
use rtcp_types::prelude::*;
use rtcp_types::{
    App, Bye, CompoundBuilder, DelaySinceLastReceiverReport, DelaySinceLastReceiverReportBlock, LossRle,
    Packet as Theirs, PacketReceiptTimes, ReceiverReferenceTime, ReceiverReport, ReportBlock as TheirBlock,
    ReportBlockBuilder, RleChunk, Sdes, SdesChunk, SdesItem as TheirItem, SenderReport, Unknown, Xr as TheirXr,
};

/// One packet of a compound, as plain data.
#[derive(Clone, Debug)]
enum Plan {
    Sr(Ssrc, SenderInfo, Vec<ReportBlock>),
    Rr(Ssrc, Vec<ReportBlock>),
    Sdes(Vec<(Ssrc, Vec<(u8, String)>)>),
    Bye(Vec<Ssrc>, Option<String>),
    App(u8, Ssrc, String, Vec<u8>),
    Unknown(u8, u8, Vec<u8>),
}

fn ssrc() -> impl Strategy<Value = Ssrc> {
    // The other parser takes leading nulls of a chunk's SSRC for the padding of the chunk before.
    (0x0100_0000..=u32::MAX).prop_map(Ssrc)
}

fn blocks() -> impl Strategy<Value = Vec<ReportBlock>> {
    let block = (any::<(u32, u8, u32, u32, u32, u32)>(), ReportBlock::LOST_RANGE).prop_map(|(numbers, lost)| {
        let (ssrc, fraction_lost, extended_highest_seq, jitter_ticks, last_sr, delay_since_last_sr) = numbers;
        ReportBlock {
            ssrc: Ssrc(ssrc),
            fraction_lost,
            cumulative_lost: lost,
            extended_highest_seq,
            jitter_ticks,
            last_sr,
            delay_since_last_sr,
        }
    });
    prop::collection::vec(block, 0..=31)
}

fn report() -> impl Strategy<Value = Plan> {
    let info = any::<(u64, u32, u32, u32)>().prop_map(|(ntp, rtp, packets, octets)| SenderInfo {
        ntp: NtpTime(ntp),
        rtp: RtpTime(rtp),
        packets,
        octets,
    });
    prop_oneof![
        (ssrc(), info, blocks()).prop_map(|(ssrc, info, blocks)| Plan::Sr(ssrc, info, blocks)),
        (ssrc(), blocks()).prop_map(|(ssrc, blocks)| Plan::Rr(ssrc, blocks)),
    ]
}

fn words() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<[u8; 4]>(), 0..20).prop_map(|words| words.concat())
}

fn plan() -> impl Strategy<Value = Plan> {
    // Not empty: the other parser wants four bytes from an item's beginning to the chunk's end.
    let items = prop::collection::vec((1..8u8, "[a-z0-9@.]{1,40}"), 0..4);
    prop_oneof![
        report(),
        prop::collection::vec((ssrc(), items), 0..5).prop_map(Plan::Sdes),
        (prop::collection::vec(ssrc(), 0..=31), prop::option::of("[ -~]{1,60}"))
            .prop_map(|(ssrcs, reason)| Plan::Bye(ssrcs, reason)),
        (0..32u8, ssrc(), "[A-Za-z0-9]{4}", words())
            .prop_map(|(subtype, ssrc, name, data)| Plan::App(subtype, ssrc, name, data)),
        (208..=223u8, 0..32u8, words()).prop_map(|(kind, count, body)| Plan::Unknown(kind, count, body)),
    ]
}

fn compound() -> impl Strategy<Value = Vec<Plan>> {
    (report(), prop::collection::vec(plan(), 0..5)).prop_map(|(report, mut rest)| {
        rest.insert(0, report);
        rest
    })
}

fn write_ours(plans: &[Plan], padding: u8) -> Vec<u8> {
    let mut out = vec![0xee; 20_000];
    let mut writer = CompoundWriter::new(&mut out);
    for plan in plans {
        match plan {
            Plan::Sr(ssrc, info, blocks) => writer.sender_report(*ssrc, info, blocks),
            Plan::Rr(ssrc, blocks) => writer.receiver_report(*ssrc, blocks),
            Plan::Sdes(chunks) => {
                let items: Vec<Vec<SdesItem<'_>>> = chunks
                    .iter()
                    .map(|(_, items)| {
                        items.iter().map(|(kind, text)| SdesItem { kind: *kind, value: text.as_bytes() }).collect()
                    })
                    .collect();
                let chunks: Vec<_> = chunks.iter().zip(&items).map(|((ssrc, _), items)| (*ssrc, &items[..])).collect();
                writer.sdes(&chunks)
            }
            Plan::Bye(ssrcs, reason) => writer.bye(ssrcs, reason.as_ref().map(|text| text.as_bytes())),
            Plan::App(subtype, ssrc, name, data) => {
                writer.app(*subtype, *ssrc, name.as_bytes().try_into().unwrap(), data)
            }
            Plan::Unknown(kind, count, body) => writer.raw(*kind, *count, body),
        }
        .unwrap();
    }
    writer.pad(padding).unwrap();
    let len = writer.finish();
    out.truncate(len);
    out
}

fn their_block(block: &ReportBlock) -> ReportBlockBuilder {
    TheirBlock::builder(block.ssrc.0)
        .fraction_lost(block.fraction_lost)
        .cumulative_lost(block.cumulative_lost as u32 & 0xff_ffff)
        .extended_sequence_number(block.extended_highest_seq)
        .interarrival_jitter(block.jitter_ticks)
        .last_sender_report_timestamp(block.last_sr)
        .delay_since_last_sender_report_timestamp(block.delay_since_last_sr)
}

fn write_theirs(plans: &[Plan]) -> Vec<u8> {
    let mut builder = CompoundBuilder::default();
    for plan in plans {
        builder = match plan {
            Plan::Sr(ssrc, info, blocks) => {
                let report = SenderReport::builder(ssrc.0)
                    .ntp_timestamp(info.ntp.0)
                    .rtp_timestamp(info.rtp.0)
                    .packet_count(info.packets)
                    .octet_count(info.octets);
                builder
                    .add_packet(blocks.iter().fold(report, |report, block| report.add_report_block(their_block(block))))
            }
            Plan::Rr(ssrc, blocks) => {
                let report = ReceiverReport::builder(ssrc.0);
                builder
                    .add_packet(blocks.iter().fold(report, |report, block| report.add_report_block(their_block(block))))
            }
            Plan::Sdes(chunks) => builder.add_packet(chunks.iter().fold(Sdes::builder(), |sdes, (ssrc, items)| {
                let chunk = SdesChunk::builder(ssrc.0);
                sdes.add_chunk(
                    items.iter().fold(chunk, |chunk, (kind, text)| chunk.add_item(TheirItem::builder(*kind, text))),
                )
            })),
            Plan::Bye(ssrcs, reason) => {
                let bye = ssrcs.iter().fold(Bye::builder(), |bye, ssrc| bye.add_source(ssrc.0));
                builder.add_packet(match reason {
                    Some(text) => bye.reason(text.as_str()),
                    None => bye,
                })
            }
            Plan::App(subtype, ssrc, name, data) => {
                builder.add_packet(App::builder(ssrc.0, name).subtype(*subtype).data(data))
            }
            Plan::Unknown(kind, count, body) => builder.add_packet(Unknown::builder(*kind, body).count(*count)),
        };
    }
    let mut out = vec![0; builder.calculate_size().unwrap()];
    let len = builder.write_into(&mut out).unwrap();
    assert_eq!(len, out.len());
    out
}

/// Our view of `bytes` is `plans`.
fn check_ours(bytes: &[u8], plans: &[Plan]) {
    let mut packets = Compound::parse(bytes, CompoundRule::ReportFirst).unwrap().packets();
    for plan in plans {
        match (plan, packets.next().unwrap().unwrap()) {
            (Plan::Sr(ssrc, info, blocks), Packet::SenderReport(report)) => {
                assert_eq!((report.ssrc(), report.info()), (*ssrc, *info));
                assert!(report.blocks().eq(blocks.iter().copied()));
                assert!(report.extension().is_empty());
            }
            (Plan::Rr(ssrc, blocks), Packet::ReceiverReport(report)) => {
                assert_eq!(report.ssrc(), *ssrc);
                assert!(report.blocks().eq(blocks.iter().copied()));
            }
            (Plan::Sdes(chunks), Packet::Sdes(sdes)) => {
                let seen: Vec<_> = sdes
                    .chunks()
                    .map(|chunk| {
                        let text = |item: SdesItem<'_>| (item.kind, String::from_utf8(item.value.to_vec()).unwrap());
                        (chunk.ssrc(), chunk.items().map(text).collect::<Vec<_>>())
                    })
                    .collect();
                assert_eq!(&seen, chunks);
            }
            (Plan::Bye(ssrcs, reason), Packet::Bye(bye)) => {
                assert!(bye.ssrcs().eq(ssrcs.iter().copied()));
                assert_eq!(bye.reason(), reason.as_ref().map(|text| text.as_bytes()));
            }
            (Plan::App(subtype, ssrc, name, data), Packet::App(app)) => {
                assert_eq!((app.subtype(), app.ssrc(), &app.name()[..]), (*subtype, *ssrc, name.as_bytes()));
                assert_eq!(app.data(), data);
            }
            (Plan::Unknown(kind, number, bytes), Packet::Unknown { packet_type, count, body }) => {
                assert_eq!((packet_type, count, body), (*kind, *number, &bytes[..]));
            }
            (plan, packet) => panic!("{packet:?} is not {plan:?}"),
        }
    }
    assert!(packets.next().is_none());
}

/// Their view of `bytes` is `plans`.
fn check_theirs(bytes: &[u8], plans: &[Plan]) {
    let blocks_match = |theirs: Vec<TheirBlock<'_>>, ours: &[ReportBlock]| {
        assert_eq!(theirs.len(), ours.len());
        for (theirs, ours) in theirs.iter().zip(ours) {
            assert_eq!((theirs.ssrc(), theirs.fraction_lost()), (ours.ssrc.0, ours.fraction_lost));
            assert_eq!(theirs.cumulative_lost(), ours.cumulative_lost as u32 & 0xff_ffff);
            assert_eq!(theirs.extended_sequence_number(), ours.extended_highest_seq);
            assert_eq!(theirs.interarrival_jitter(), ours.jitter_ticks);
            assert_eq!(theirs.last_sender_report_timestamp(), ours.last_sr);
            assert_eq!(theirs.delay_since_last_sender_report_timestamp(), ours.delay_since_last_sr);
        }
    };
    let packets: Vec<_> = rtcp_types::Compound::parse(bytes).unwrap().map(|packet| packet.unwrap()).collect();
    assert_eq!(packets.len(), plans.len());
    for (plan, packet) in plans.iter().zip(&packets) {
        match (plan, packet) {
            (Plan::Sr(ssrc, info, blocks), Theirs::Sr(report)) => {
                assert_eq!((report.ssrc(), report.ntp_timestamp()), (ssrc.0, info.ntp.0));
                assert_eq!(report.rtp_timestamp(), info.rtp.0);
                assert_eq!((report.packet_count(), report.octet_count()), (info.packets, info.octets));
                blocks_match(report.report_blocks().collect(), blocks);
            }
            (Plan::Rr(ssrc, blocks), Theirs::Rr(report)) => {
                assert_eq!(report.ssrc(), ssrc.0);
                blocks_match(report.report_blocks().collect(), blocks);
            }
            (Plan::Sdes(chunks), Theirs::Sdes(sdes)) => {
                let seen: Vec<_> = sdes
                    .chunks()
                    .map(|chunk| {
                        let text = |item: &TheirItem<'_>| (item.type_(), item.get_value_string().unwrap());
                        (Ssrc(chunk.ssrc()), chunk.items().map(text).collect::<Vec<_>>())
                    })
                    .collect();
                assert_eq!(&seen, chunks);
            }
            (Plan::Bye(ssrcs, reason), Theirs::Bye(bye)) => {
                assert!(bye.ssrcs().eq(ssrcs.iter().map(|ssrc| ssrc.0)));
                assert_eq!(bye.reason(), reason.as_ref().map(|text| text.as_bytes()));
            }
            (Plan::App(subtype, ssrc, name, data), Theirs::App(app)) => {
                assert_eq!((app.subtype(), app.ssrc(), &app.name()[..]), (*subtype, ssrc.0, name.as_bytes()));
                assert_eq!(app.data(), data);
            }
            (Plan::Unknown(kind, count, body), Theirs::Unknown(packet)) => {
                assert_eq!((packet.type_(), packet.count(), &packet.data()[4..]), (*kind, *count, &body[..]));
            }
            (plan, packet) => panic!("{packet:?} is not {plan:?}"),
        }
    }
}

proptest! {
    #[test]
    fn each_reads_what_the_other_writes(plans in compound(), padding in (0..64u8).prop_map(|words| 4 * words)) {
        check_theirs(&write_ours(&plans, 0), &plans);
        check_ours(&write_theirs(&plans), &plans);
        check_ours(&write_ours(&plans, padding), &plans);
    }

    /// A datagram cut anywhere, or with a byte changed, is never read beyond its end, and a cut one is refused unless the
    /// cut lies between packets.
    #[test]
    fn damage_is_survived(plans in compound(), cut in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = write_ours(&plans, 0);
        let at = cut.index(bytes.len());
        let between = (0..plans.len()).any(|count| count > 0 && write_ours(&plans[..count], 0).len() == at);
        prop_assert_eq!(Compound::parse(&bytes[..at], CompoundRule::ReportFirst).is_ok(), between);
        bytes[at] = byte;
        if let Ok(compound) = Compound::parse(&bytes, CompoundRule::ReducedSize) {
            prop_assert!(compound.packets().count() <= bytes.len() / 4);
        }
    }
}

/// Writes one extended report with `block`.
fn write_block(ssrc: u32, block: XrBlock<'_>) -> Vec<u8> {
    let mut out = vec![0xee; 5_000];
    let mut writer = CompoundWriter::new(&mut out);
    writer.extended_report(Ssrc(ssrc), &[block]).unwrap();
    let len = writer.finish();
    out.truncate(len);
    out
}

/// The only block of an extended report.
fn read_block(bytes: &[u8]) -> XrBlock<'_> {
    let mut packets = Compound::parse(bytes, CompoundRule::ReducedSize).unwrap().packets();
    let Some(Ok(Packet::Xr(xr))) = packets.next() else { panic!("no extended report") };
    let mut blocks = xr.blocks();
    let block = blocks.next().unwrap();
    assert!(blocks.next().is_none() && packets.next().is_none());
    block
}

proptest! {
    /// The blocks of RFC 3611 that the other implementation knows, byte for byte, and read back by it.
    #[test]
    fn extended_reports_are_the_others(
        (ssrc, source, ntp, seqs, thinning) in any::<(u32, u32, u64, (u16, u16), u8)>(),
        runs in prop::collection::vec((any::<bool>(), 1..=0x3fffu16, any::<bool>()), 1..20),
        times in prop::collection::vec(any::<u32>(), 1..20),
    ) {
        let thinning = thinning & 15;
        let range = PacketRange { thinning, ssrc: Ssrc(source), begin_seq: Seq(seqs.0), end_seq: Seq(seqs.1) };
        let theirs = |xr: rtcp_types::XrBuilder| {
            let mut out = vec![0; xr.calculate_size().unwrap()];
            let len = xr.write_into(&mut out).unwrap();
            assert_eq!(len, out.len());
            out
        };
        let builder = || TheirXr::builder().sender_ssrc(ssrc);

        let bytes = write_block(ssrc, XrBlock::ReceiverReferenceTime(NtpTime(ntp)));
        prop_assert_eq!(&bytes, &theirs(builder().add_block(ReceiverReferenceTime::builder().ntp_timestamp(ntp))));
        prop_assert_eq!(read_block(&bytes), XrBlock::ReceiverReferenceTime(NtpTime(ntp)));

        // With several answers the other parser refuses the block: it takes its length for a multiple of 16.
        let item = DlrrItem { ssrc: Ssrc(source), last_rr: times[0], delay_since_last_rr: ntp as u32 };
        let bytes = write_block(ssrc, XrBlock::Dlrr(Dlrr::new(&[item.to_bytes()])));
        let answer = DelaySinceLastReceiverReportBlock::builder()
            .ssrc(source)
            .last_receiver_report(times[0])
            .delay_since_last_receiver_report_timestamp(ntp as u32);
        prop_assert_eq!(&bytes, &theirs(builder().add_block(DelaySinceLastReceiverReport::builder().add_block(answer))));
        let XrBlock::Dlrr(dlrr) = read_block(&bytes) else { panic!("no DLRR") };
        prop_assert!(dlrr.items().eq([item]));

        let ours: Vec<[u8; 4]> = times.iter().map(|time| time.to_be_bytes()).collect();
        let bytes = write_block(ssrc, XrBlock::ReceiptTimes(ReceiptTimes::new(range, &ours)));
        let block = PacketReceiptTimes::builder().ssrc(source).begin(seqs.0).end(seqs.1).thinning(thinning);
        let block = times.iter().fold(block, |block, &time| block.add_time(time));
        prop_assert_eq!(&bytes, &theirs(builder().add_block(block)));
        let XrBlock::ReceiptTimes(read) = read_block(&bytes) else { panic!("no times") };
        prop_assert!(read.range == range && read.times().eq(times));

        // An even number: the other's builder doesn't fill the last word where it should.
        let runs = [&runs[..], &runs].concat();
        let chunks: Vec<Chunk> = runs
            .iter()
            .map(|&(set, len, bits)| if bits { Chunk::Bits(len) } else { Chunk::Run { set, len } })
            .collect();
        let ours: Vec<[u8; 2]> = chunks.iter().map(|chunk| chunk.to_bytes()).collect();
        let bytes = write_block(ssrc, XrBlock::LossRle(RunLengths::new(range, &ours)));
        let block = LossRle::builder().ssrc(source).begin(seqs.0).end(seqs.1).thinning(thinning);
        let block = chunks.iter().fold(block, |block, chunk| {
            block.add_chunk(match *chunk {
                Chunk::Null => RleChunk::Null,
                Chunk::Run { set: true, len } => RleChunk::RunLength(len),
                Chunk::Run { set: false, len } => RleChunk::SkipLength(len),
                Chunk::Bits(bits) => RleChunk::BitVector(bits),
            })
        });
        prop_assert_eq!(&bytes, &theirs(builder().add_block(block)));
        let XrBlock::LossRle(read) = read_block(&bytes) else { panic!("no runs") };
        prop_assert!(read.range == range && read.chunks().eq(chunks));
    }
}
