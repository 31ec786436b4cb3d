//! RTP and RTCP between bytes and fields: one packet of 20 ms of G.711, and a sender's usual compound packet.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dsp_core::quality::{JitterEstimator, SequenceTracker};
use dsp_core::time::{NtpTime, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtcp::{Compound, CompoundRule, CompoundWriter, Packet, ReportBlock, SdesItem, SenderInfo};
use dsp_core::wire::rtp::{RtpHeader, RtpPacket};

fn rtp(criterion: &mut Criterion) {
    let header = RtpHeader {
        payload_type: PayloadType::PCMU,
        seq: Seq(1000),
        timestamp: RtpTime(160_000),
        ssrc: Ssrc(0x1234_5678),
        ..RtpHeader::default()
    };
    let mut packet = [0xff; 172];
    header.write(&mut packet).unwrap();

    criterion.bench_function("rtp_parse", |bencher| {
        bencher.iter(|| {
            let packet = RtpPacket::parse(black_box(&packet)).unwrap();
            (packet.payload_type(), packet.seq(), packet.timestamp(), packet.ssrc(), packet.payload().len())
        });
    });
    criterion.bench_function("rtp_write", |bencher| {
        bencher.iter(|| black_box(&header).write(black_box(&mut packet)));
    });

    let (mut tracker, mut jitter) = (SequenceTracker::default(), JitterEstimator::new());
    let mut seq = Seq(0);
    criterion.bench_function("rtp_statistics", |bencher| {
        bencher.iter(|| {
            seq = seq.plus(1);
            let ticks = u32::from(seq.0) * 160;
            jitter.update(black_box(ticks), RtpTime(ticks));
            black_box(tracker.update(seq))
        });
    });
}

fn rtcp(criterion: &mut Criterion) {
    let mut out = [0; 200];
    let write = |out: &mut [u8]| {
        let info = SenderInfo { ntp: NtpTime(1 << 40), rtp: RtpTime(5), packets: 100, octets: 16_000 };
        let mut writer = CompoundWriter::new(out);
        writer.sender_report(Ssrc(1), black_box(&info), &[ReportBlock::default()]).unwrap();
        writer.sdes(&[(Ssrc(1), &[SdesItem { kind: SdesItem::CNAME, value: b"0123456789abcdef" }])]).unwrap();
        writer.finish()
    };
    criterion.bench_function("rtcp_compound_write", |bencher| bencher.iter(|| write(black_box(&mut out))));

    let len = write(&mut out);
    criterion.bench_function("rtcp_compound", |bencher| {
        bencher.iter(|| {
            let compound = Compound::parse(black_box(&out[..len]), CompoundRule::ReportFirst).unwrap();
            let mut lost = 0;
            for packet in compound.packets().flatten() {
                match packet {
                    Packet::SenderReport(report) => {
                        lost += report.blocks().map(|block| block.cumulative_lost).sum::<i32>();
                    }
                    Packet::Sdes(sdes) => lost += sdes.cname(Ssrc(1)).map_or(0, |name| name.len() as i32),
                    _ => {}
                }
            }
            lost
        });
    });
}

criterion_group!(benches, rtp, rtcp);
criterion_main!(benches);
