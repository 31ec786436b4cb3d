//! Fuzz targets of the wire parsers and of what their results feed. On stable with the default engine under `cargo test`;
//! `BOLERO_RANDOM_TEST_TIME_MS` and `BOLERO_RANDOM_ITERATIONS` set how long.

use std::slice;

use dsp_core::quality::{BurstTracker, PacketFate, ReceptionStats, VoipMetricsInput};
use dsp_core::receive::{EventHeader, EventPhase, EventReceiver, EventsConfig};
use dsp_core::rtcp::transport::DepartureLog;
use dsp_core::rtcp::{Cname, FeedbackTiming, ReporterConfig, RtcpReporter, SendInfo};
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Ssrc};
use dsp_core::tone::EventCode;
use dsp_core::wire::DatagramKind;
use dsp_core::wire::event::{TelephoneEvent, Tone};
use dsp_core::wire::extension::{
    AbsoluteSendTime, AudioLevel, ElementForm, ElementWriter, mixer_levels, transport_sequence,
};
use dsp_core::wire::red::{MAX_REDUNDANT_BLOCKS, RedBlock, RedPayload, RedundancyHistory, write_red};
use dsp_core::wire::rtcp::{
    Compound, CompoundRule, CompoundWriter, Feedback, FeedbackMessage, Packet, VoipMetrics, Xr, XrBlock,
};
use dsp_core::wire::rtp::{RtpExtension, RtpHeader, RtpPacket, extend_header};

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
            // With more in its header it's the same packet besides.
            let (mut longer, data) = ([&bytes[..], &[0; 28]].concat(), [bytes[0]; 12]);
            let added = Some(RtpExtension { profile: 0xbede, data: &data });
            let extended = extend_header(&mut longer, bytes.len(), &[Ssrc(5), Ssrc(6)], added);
            assert_eq!(extended.is_ok(), packet.header_len() == 12);
            if let Ok(len) = extended {
                let extended = RtpPacket::parse(&longer[..len]).unwrap();
                assert!(extended.extension() == added && extended.csrcs().eq([Ssrc(5), Ssrc(6)]));
                let parts =
                    |packet: &RtpPacket<'_>| (packet.marker(), packet.payload_type(), packet.seq(), packet.ssrc());
                assert_eq!(parts(&extended), parts(&packet));
                assert_eq!((extended.payload(), extended.padding()), (packet.payload(), packet.padding()));
            }
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
        out.extend([0x80 | body[0] & 0x1f, 200 + body[body.len() / 2] % 8, 0, words as u8]);
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
            Packet::Xr(xr) => read_blocks(&xr),
            Packet::Feedback(feedback) => read_feedback(&feedback),
            Packet::Unknown { body, .. } => assert!(body.len() % 4 == 0),
            other => panic!("{other:?} is not read here"),
        }
    }
}

/// Reads a feedback message, and writes it again to what reads the same.
fn read_feedback(feedback: &Feedback<'_>) {
    match &feedback.message {
        FeedbackMessage::Nack(nacks) => assert!(nacks.lost().count() > 0),
        FeedbackMessage::FullIntra(intra) => assert!(intra.requests().len() > 0),
        FeedbackMessage::MaximumBitRate(rate) => {
            assert!(rate.sources().len() <= 255);
            let _ = rate.bit_rate();
        }
        FeedbackMessage::Transport(transport) => {
            assert_eq!(transport.arrivals().count(), transport.packets());
            // And what a sender makes of it that has sent a few of these.
            let mut departures = DepartureLog::<16>::new(transport.base().plus(3));
            (0..20).for_each(|n| departures.depart(Instant::from_millis(n), 200));
            let mut told = 0;
            for _ in 0..2 {
                departures.feedback(Instant::from_millis(100), transport, |_| told += 1);
            }
            let stats = departures.stats();
            assert_eq!((stats.arrived + stats.lost, stats.late), (told, 0), "nothing is news twice");
        }
        FeedbackMessage::PictureLoss | FeedbackMessage::Other { .. } => {}
        other => panic!("{other:?} is not read here"),
    }
    let mut out = vec![0; 300_000];
    let mut writer = CompoundWriter::new(&mut out);
    writer.feedback(feedback).unwrap();
    let len = writer.finish();
    let compound = Compound::parse(&out[..len], CompoundRule::ReducedSize).unwrap();
    assert_eq!(compound.packets().next(), Some(Ok(Packet::Feedback(*feedback))));
}

/// Feedback of all formats that are known, its times and counts as they come.
#[test]
fn fuzz_rtcp_feedback() {
    bolero::check!().for_each(|input: &[u8]| {
        for body in input.chunks(61) {
            let (packet_type, format) = [(205, 1), (205, 15), (206, 1), (206, 4), (206, 15), (206, 3)][body.len() % 6];
            let remb = packet_type == 206 && format == 15;
            let words = body.len() / 4;
            let mut packet = vec![0x80 | format, packet_type, 0, (words + 2 + usize::from(remb)) as u8];
            packet.extend([0, 0, 0, 1, 0, 0, 0, 2]);
            packet.extend_from_slice(if remb { b"REMB" } else { b"" });
            packet.extend(&body[..4 * words]);
            if format == 15 && !remb && words > 2 {
                // As many packets as chunks of runs make likely.
                packet[14] = 0;
            }
            let compound = Compound::parse(&packet, CompoundRule::ReducedSize).unwrap();
            if let Some(Ok(Packet::Feedback(feedback))) = compound.packets().next() {
                read_feedback(&feedback);
            }
        }
    });
}

/// Elements of a header extension: bounded by its data, and written again to what reads the same.
#[test]
fn fuzz_rtp_extension() {
    bolero::check!().for_each(|input: &[u8]| {
        for (profile, form) in
            [(0xbede, ElementForm::OneByte), (0x1000, ElementForm::TwoByte), (0x1234, ElementForm::OneByte)]
        {
            let data = &input[..input.len() / 4 * 4];
            let extension = RtpExtension { profile, data };
            let elements: Vec<_> = extension.elements().collect();
            assert!(elements.len() <= data.len() && (profile != 0x1234 || elements.is_empty()));
            let mut out = vec![0; data.len()];
            let mut writer = ElementWriter::new(form, &mut out);
            for element in &elements {
                writer.push(element.id, element.data).unwrap();
                let _ = (AudioLevel::parse(element.data), AbsoluteSendTime::parse(element.data));
                let _ = transport_sequence(element.data);
                assert_eq!(mixer_levels(element.data).len(), element.data.len());
            }
            if let Some(again) = writer.finish() {
                assert!(again.elements().eq(elements));
            }
        }
    });
}

fn read_blocks(xr: &Xr<'_>) {
    for block in xr.blocks() {
        match block {
            XrBlock::LossRle(runs) | XrBlock::DuplicateRle(runs) => assert!(runs.chunks().len() <= 131_068),
            XrBlock::ReceiptTimes(times) => assert!(times.times().len() <= 65_533),
            XrBlock::Dlrr(dlrr) => assert!(dlrr.items().len() <= 21_845),
            XrBlock::VoipMetrics(metrics) => {
                assert!(metrics.r_factor.is_none_or(|r| r <= 100));
                assert!(metrics.mos_cq_tenths.is_none_or(|mos| (10..=50).contains(&mos)));
            }
            XrBlock::ReceiverReferenceTime(_) | XrBlock::StatisticsSummary(_) => {}
            XrBlock::Unknown { body, .. } => assert!(body.len() % 4 == 0),
            other => panic!("{other:?} is not read here"),
        }
    }
}

/// An extended report of blocks with right lengths, all types and some unknown, and now and then the length that its
/// definition asks for.
fn extended(input: &[u8]) -> Vec<u8> {
    let mut blocks = Vec::new();
    for body in input.chunks(37) {
        let kind = body[body.len() / 2] % 9;
        let words = match kind {
            4 => 2,
            5 => 3 * (body.len() / 12),
            6 => 9,
            7 => 8,
            _ => body.len() / 4,
        };
        let words = words.min(body.len() / 4);
        blocks.extend([kind, body[0], 0, words as u8]);
        blocks.extend(&body[..4 * words]);
    }
    let words = (blocks.len() / 4 + 1) as u16;
    let mut out = vec![0x80, 207];
    out.extend(words.to_be_bytes());
    out.extend([0, 0, 0, 1]);
    out.extend(blocks);
    out
}

/// What is read is written again, and then reads the same.
#[test]
fn fuzz_rtcp_xr() {
    bolero::check!().for_each(|input: &[u8]| {
        let bytes = extended(&input[..input.len().min(200_000)]);
        let compound = Compound::parse(&bytes, CompoundRule::ReducedSize).unwrap();
        let Some(Ok(Packet::Xr(xr))) = compound.packets().next() else { panic!("no extended report") };
        read_blocks(&xr);
        let blocks: Vec<XrBlock<'_>> = xr.blocks().collect();
        let mut out = vec![0; bytes.len()];
        let mut writer = CompoundWriter::new(&mut out);
        writer.extended_report(xr.ssrc(), &blocks).unwrap();
        assert_eq!(writer.finish(), bytes.len());
        let compound = Compound::parse(&out, CompoundRule::ReducedSize).unwrap();
        let Some(Ok(Packet::Xr(again))) = compound.packets().next() else { panic!("no extended report") };
        assert!(again.ssrc() == xr.ssrc() && again.blocks().eq(blocks));
    });
}

/// What is parsed is written back to the same bytes: the format has no slack.
#[test]
fn fuzz_red_parse() {
    bolero::check!().for_each(|input: &[u8]| {
        // Random bytes announce longer blocks than they have: a second try with short ones.
        let short: Vec<u8> =
            input.iter().enumerate().map(|(n, byte)| if n % 4 == 2 { byte & !3 } else { *byte }).collect();
        let shorter: Vec<u8> =
            short.iter().enumerate().map(|(n, byte)| if n % 4 == 3 { byte % 8 } else { *byte }).collect();
        for bytes in [input, &short, &shorter] {
            let Ok(red) = RedPayload::parse(bytes) else { continue };
            let blocks: Vec<RedBlock<'_>> = red.redundant().collect();
            assert!(blocks.len() <= MAX_REDUNDANT_BLOCKS);
            let mut out = vec![0; bytes.len()];
            let primary = red.primary();
            let len = write_red(&blocks, primary.payload_type, primary.payload, &mut out).unwrap();
            assert_eq!(out[..len], *bytes);
        }
    });
}

/// Whatever a sender keeps and wherever its timestamps jump, what it writes is well formed and holds the primary.
#[test]
fn fuzz_red_history() {
    type Step = (u8, u32, Vec<u8>, u16);
    bolero::check!().with_type::<Vec<Step>>().for_each(|steps| {
        let mut history = RedundancyHistory::<3, 50>::new();
        let mut timestamp = RtpTime(0);
        for (kind, ticks, payload, room) in steps {
            // Mostly small steps.
            timestamp = timestamp.plus(if kind & 0x80 == 0 { ticks % 2_000 } else { *ticks });
            let payload_type = PayloadType::from_low_bits(*kind);
            let mut out = vec![0; usize::from(*room) % 400];
            match history.write(usize::from(kind % 4), payload_type, timestamp, payload, &mut out) {
                Ok(len) => {
                    let red = RedPayload::parse(&out[..len]).unwrap();
                    assert_eq!((red.primary().payload_type, red.primary().payload), (payload_type, &payload[..]));
                    assert!(red.redundant().len() <= usize::from(kind % 4));
                    assert!(red.redundant().all(|block| (1..=50).contains(&block.payload.len())));
                    assert!(red.redundant().all(|block| block.timestamp_offset > 0));
                }
                Err(_) => assert!(out.len() < 1 + payload.len()),
            }
            history.push(payload_type, timestamp, payload);
        }
    });
}

/// Metrics of any sequence of packets are within their fields, and their sums add up.
#[test]
fn fuzz_voip_metrics() {
    bolero::check!().with_type::<(u8, u32, Vec<(u8, u8)>)>().for_each(|(gmin, round_trip_us, fates)| {
        let mut tracker = BurstTracker::with_gmin(*gmin);
        for (fate, millis) in fates {
            let fate = match fate % 8 {
                0 => PacketFate::Lost,
                1 => PacketFate::Discarded,
                _ => PacketFate::Received,
            };
            tracker.count(fate, Duration::from_millis(u64::from(*millis)));
        }
        let bursts = tracker.stats();
        assert!(bursts.missing_in_bursts >= 2 * bursts.bursts && bursts.missing_in_bursts <= bursts.missing());
        assert!(bursts.expected_in_bursts <= bursts.expected && bursts.missing() <= bursts.expected);
        let total: u64 = fates.iter().map(|(_, millis)| 1_000 * u64::from(*millis)).sum();
        assert_eq!(bursts.bursts_us + bursts.gaps_us, total);
        let input = VoipMetricsInput {
            bursts,
            codec: Some(dsp_core::quality::CodecImpairment::G711),
            round_trip: Some(Duration::from_micros(u64::from(*round_trip_us))),
            ..VoipMetricsInput::default()
        };
        let block = input.block();
        assert_eq!(block.mos_lq_tenths.is_some(), bursts.expected > 0);
        assert!(block.r_factor.is_none_or(|r| r <= 93) && block.mos_lq_tenths >= block.mos_cq_tenths);
    });
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
            reduced_size: seed % 3 != 0,
            feedback: (kbps % 3 == 0)
                .then(|| FeedbackTiming { regular_interval: Duration::from_millis(u64::from(seed % 5_000)) }),
            receiver_round_trip: seed % 2 == 0,
            seed: *seed,
            ..ReporterConfig::default()
        };
        let mut now = Instant::ZERO;
        let mut reporter = RtcpReporter::<1>::new(config, now).unwrap();
        let (mut stats, mut send) = (ReceptionStats::default(), SendInfo::default());
        let mut out = [0; RtcpReporter::<1>::MAX_REPORT_LEN + 12];
        let lost = Feedback { sender: Ssrc(*seed), media: Ssrc(1), message: FeedbackMessage::PictureLoss };
        for (millis, bytes, (received, expected), packets) in steps {
            now += Duration::from_millis(u64::from(*millis));
            let _ = reporter.receive(now, &chain(bytes));
            stats.received += u64::from(*received);
            stats.expected += u64::from(*expected);
            send.packets = send.packets.wrapping_add(*packets);
            reporter.set_voip((packets % 2 == 0).then(VoipMetrics::default));
            let feedback = if packets % 3 == 0 { std::slice::from_ref(&lost) } else { &[] };
            if !feedback.is_empty() {
                reporter.request(now);
            }
            let written = reporter.poll_with(now, slice::from_ref(&stats), Some(&send), feedback, &mut out).unwrap();
            if let Some(len) = written {
                let reduced = config.feedback.is_some() && config.reduced_size && !feedback.is_empty();
                let rule = if reduced { CompoundRule::ReducedSize } else { CompoundRule::ReportFirst };
                let compound = Compound::parse(&out[..len], rule).unwrap();
                let told = compound.packets().flatten().any(|packet| matches!(packet, Packet::Feedback(_)));
                assert_eq!(told, !feedback.is_empty());
                assert!(compound.packets().all(|packet| packet.is_ok()));
                assert!(reporter.next_deadline() > now);
            }
        }
    });
}

/// One report of a telephone event: how it's headed, what it says, and how much later it comes than the one before.
type EventStep = (bool, (u8, u32), (u8, bool, u16), (bool, u8));

/// Reports of events in any order, over the wraps of timestamps, at 8 and 48 kHz, with durations up to 0xFFFF and segments
/// that adjoin: each event that is told begins once, ends once and in this order, and none is left open.
#[test]
fn fuzz_telephone_events() {
    bolero::check!().with_type::<(bool, u32, Vec<EventStep>)>().for_each(|(wide, near, steps)| {
        let clock_hz = if *wide { 48_000 } else { 8_000 };
        let mut events = EventReceiver::<8>::new(EventsConfig::default());
        let (mut now, mut begun, mut ended) = (Instant::ZERO, Vec::new(), Vec::new());
        let mut told = |events: &mut EventReceiver<8>, now: Instant| {
            while let Some(report) = events.next(now) {
                let name = (report.ssrc, report.timestamp, report.event);
                if report.phase == EventPhase::Began {
                    assert!(!begun.contains(&name), "begins twice: {report:?}");
                    begun.push(name);
                } else {
                    assert!(
                        begun.contains(&name) && !ended.contains(&name),
                        "ends twice, or out of nothing: {report:?}"
                    );
                    ended.push(name);
                }
                assert!(report.begun <= now && report.volume < 64);
            }
            (begun.len(), ended.len())
        };
        for (marker, (source, time), (event, end, duration), (late, ms)) in steps {
            // Timestamps near each other and near the wrap, in steps of frames or of segments.
            let step = if time % 3 == 0 { 0xffff } else { clock_hz / 50 };
            let timestamp = RtpTime((u32::MAX - near % 1_000).wrapping_add(time / 3 % 40 * step));
            let ssrc = Ssrc(u32::from(source % 2));
            let header = EventHeader { ssrc, timestamp, marker: *marker, clock_hz };
            let report = TelephoneEvent { event: EventCode(event % 20), end: *end, volume: *ms, duration: *duration };
            let mut payload = report.to_bytes().to_vec();
            assert_eq!(TelephoneEvent::parse(&payload).unwrap().next().unwrap().1.duration, *duration);
            if source % 7 == 0 {
                payload.extend(report.to_bytes());
                payload.truncate(usize::from(*source) % 9);
            }
            assert_eq!(events.receive(now, &header, &payload).is_ok(), payload.len() >= 4);
            let _ = Tone::parse(&payload).map(|tone| tone.frequencies().count());
            if !late {
                told(&mut events, now);
            }
            now += Duration::from_millis(u64::from(*ms));
        }
        let all = told(&mut events, now + Duration::from_secs(1));
        let stats = events.stats();
        assert!(all.0 <= stats.events as usize && all.0 + stats.untold as usize >= stats.events as usize, "{stats:?}");
        assert!(all.0 - all.1 <= stats.untold as usize, "left open: {stats:?}");
    });
}
