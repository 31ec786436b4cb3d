//! Header extensions and feedback in whole calls, in virtual time over networks that lose and reorder: what one side says of its
//! packets the other reads, what is told of them is true, and neither costs more than its share (RFC 6464, 8285, 4585, 5506, 9143).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use dsp_core::rtcp::transport::PacketFeedback;
use dsp_core::time::{Duration, Instant};
use dsp_core::wire::DatagramKind;
use dsp_core::wire::extension::{AbsoluteSendTime, AudioLevel, ElementForm, ElementWriter};
use dsp_core::wire::rtcp::{Compound, CompoundRule, Packet, packet_type};
use dsp_core::wire::rtp::{RtpPacket, extend_header};
use host_std::registry::CodecFormat;
use host_std::sdp::{Direction, ExtensionKind, ExtensionOptions, FeedbackOptions, OfferExtensions, SrtpPolicy};
use host_std::session::{
    AdaptationConfig, Call, CallConfig, Channel, Contributors, Identity, Incoming, PacketDirection, Tap,
};
use host_std::simulate::bottleneck::BottleneckConfig;
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;

/// Elements of a header extension: their numbers and data.
type Elements = Vec<(u8, Vec<u8>)>;

/// What passed a call.
#[derive(Default)]
struct Seen {
    /// Of RTCP that left: when, bytes, and the type of the first packet.
    control: Vec<(Instant, usize, u8)>,
    /// When RTP left.
    media: Vec<Instant>,
    /// What each packet that left had in its header.
    extended: Vec<(u16, Elements)>,
    largest: usize,
    told: Vec<(Instant, PacketFeedback)>,
}

struct Watch(Arc<Mutex<Seen>>);

impl Tap for Watch {
    fn sent(&mut self, now: Instant, _: Channel, _: SocketAddr, datagram: &[u8]) {
        let mut seen = self.0.lock().unwrap();
        seen.largest = seen.largest.max(datagram.len());
        if DatagramKind::of(datagram) == DatagramKind::Rtcp {
            seen.control.push((now, datagram.len(), datagram[1]));
        } else {
            seen.media.push(now);
        }
    }

    fn packet(&mut self, _: Instant, way: PacketDirection, packet: &RtpPacket<'_>) {
        if way == PacketDirection::Out {
            let elements = packet.extension().map(|extension| {
                extension.elements().map(|element| (element.id, element.data.to_vec())).collect::<Vec<_>>()
            });
            self.0.lock().unwrap().extended.push((packet.seq().0, elements.unwrap_or_default()));
        }
    }

    fn feedback(&mut self, now: Instant, packets: &[PacketFeedback]) {
        self.0.lock().unwrap().told.extend(packets.iter().map(|packet| (now, *packet)));
    }
}

fn config(side: usize) -> CallConfig {
    CallConfig {
        codecs: vec![CodecFormat::pcmu()],
        feedback: FeedbackOptions { profile: true, ..FeedbackOptions::default() },
        ..CallConfig::with_identity(4_000 + 1_000 * side as u16, Identity::seeded(side as u64 + 31))
    }
}

fn connect(configs: [CallConfig; 2], network: NetworkConfig) -> (VirtualTime, [Arc<Mutex<Seen>>; 2]) {
    let seen = [(); 2].map(|()| Arc::new(Mutex::new(Seen::default())));
    let mut calls = configs.map(|config| Call::new(config).unwrap());
    for (call, seen) in calls.iter_mut().zip(&seen) {
        call.set_tap(Box::new(Watch(seen.clone())));
    }
    let addresses = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut pair = VirtualTime::connect(calls, addresses, network, 0.0, 3).unwrap();
    // Half a second of a tone that is -12 dBov, and as much silence.
    for end in &mut pair.ends {
        let tone = |n: usize| if n < 4_000 { (11_600.0 * (n as f64 * 0.55).sin()) as i16 } else { 0 };
        end.speech = (0..8_000).map(tone).collect();
    }
    (pair, seen)
}

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

const SECONDS: u64 = 30;

#[test]
fn feedback_tells_what_was_lost_and_how_late_the_rest_was() {
    let network = NetworkConfig {
        loss_percent: 8.0,
        burst: 1.0,
        delay_ms: 60.0,
        jitter_ms: 10.0,
        reorder_percent: 3.0,
        duplicate_percent: 1.0,
    };
    let (mut pair, seen) = connect([config(0), config(1)], network);
    pair.run_until(at(SECONDS * 1_000));
    for side in 0..2 {
        let (call, other) = (&pair.ends[side].call, &pair.ends[1 - side].call);
        let agreed = call.negotiated_stream(0).unwrap().feedback;
        assert!(agreed.early && agreed.transport_wide);
        assert!(call.negotiated_transport().unwrap().rtcp_reduced_size);
        let stats = call.stats();
        let feedback = stats.feedback.unwrap();
        assert_eq!(feedback.sent, u64::from(stats.sender.packets));
        // What is on its way isn't told yet, and what lost messages told is never told; all else is, once.
        let told = feedback.arrived + feedback.lost;
        assert!((feedback.sent - told) * 100 < 20 * feedback.sent, "{feedback:?}");
        let reception = other.stats().receiver.reception;
        let truly = reception.expected.saturating_sub(reception.received) as f64 / reception.expected as f64;
        let says = feedback.lost as f64 / told as f64;
        assert!((0.04..0.12).contains(&says) && (says - truly).abs() < 0.035, "{says} {truly} {feedback:?}");
        assert_eq!(feedback.unknown, 0);
        // What the tap was told: news only, in order of numbers but for what came late, with delays that jitter explains.
        let seen = seen[side].lock().unwrap();
        assert_eq!(seen.told.len() as u64, told + feedback.late);
        let queued: Vec<_> = seen.told.iter().filter_map(|(_, packet)| packet.queued).collect();
        let mean_ms = queued.iter().map(|delay| delay.as_millis()).sum::<u64>() / queued.len() as u64;
        assert!((5..60).contains(&mean_ms), "{mean_ms}");
        assert!(seen.told.iter().all(|(_, packet)| packet.bytes >= 20 + 8 + 12 + 160));
        // Soon: how old a packet is when it's told of, the network's 120 ms of round trip included.
        let mut ages: Vec<_> = seen.told.iter().map(|(now, packet)| now.since(packet.sent).as_millis()).collect();
        ages.sort_unstable();
        let (median, late) = (ages[ages.len() / 2], ages[ages.len() * 95 / 100]);
        assert!(median < 450 && late < 1_200, "{median} {late}");
    }
    // RTCP keeps its share: 10 % of 80 kbit/s for a side's reports and feedback, headers included.
    for seen in seen {
        let seen = seen.lock().unwrap();
        let bytes: usize = seen.control.iter().map(|(_, len, _)| len + 28).sum();
        let share = bytes as f64 * 8.0 / SECONDS as f64 / 8_000.0;
        assert!((0.2..=1.0).contains(&share), "{share} {}", seen.control.len());
        let alone = seen.control.iter().filter(|(.., first)| *first == packet_type::RTPFB).count();
        assert!(alone > 60, "feedback without reports: {alone} of {}", seen.control.len());
        let whole: Vec<_> = seen.control.iter().filter(|(.., first)| *first != packet_type::RTPFB).collect();
        assert!((4..=14).contains(&whole.len()), "reports at their interval: {}", whole.len());
    }
}

/// On a narrow link a datagram takes as long as a packet's sound: whatever comes at the wrong time makes the sound behind it late.
#[test]
fn on_a_narrow_link_reports_leave_behind_packets_of_the_media() {
    let narrow = |side| CallConfig {
        codecs: vec![CodecFormat::opus()],
        adaptation: Some(AdaptationConfig::default()),
        srtp: SrtpPolicy::Off,
        ..config(side)
    };
    let (mut pair, seen) = connect([narrow(0), narrow(1)], NetworkConfig::default());
    pair.set_bottlenecks(BottleneckConfig { rate_bps: 24_000.0, queue_ms: 200.0, bulk: None });
    pair.run_until(at(20_000));
    let before = [0, 1].map(|side: usize| pair.ends[side].call.stats().receiver.concealed_samples);
    pair.run_until(at(80_000));
    for (side, seen) in seen.iter().enumerate() {
        let seen = seen.lock().unwrap();
        let late: Vec<_> = seen.control.iter().filter(|(left, ..)| *left >= at(20_000)).collect();
        let behind = |left: Instant| {
            let before = seen.media.partition_point(|media| *media <= left);
            left.since(seen.media[before.max(1) - 1]) <= Duration::from_millis(5)
        };
        let in_place = late.iter().filter(|(left, ..)| behind(*left)).count();
        assert!(in_place * 10 > late.len() * 9, "{in_place} of {}", late.len());
        // Reports of a sender and its name go without feedback, and mostly without extended reports.
        let whole: Vec<usize> =
            late.iter().filter(|(.., first)| *first != packet_type::RTPFB).map(|(_, len, _)| *len).collect();
        let long = whole.iter().filter(|len| **len > 52 + 28).count();
        assert!(whole.len() >= 10 && (2..=4).contains(&long), "{whole:?}");
        assert!(late.len() > whole.len() + 100, "feedback comes all the same: {}", late.len());
        let receiver = pair.ends[side].call.stats().receiver;
        let concealed =
            (receiver.concealed_samples - before[side]) as f64 / (60.0 * f64::from(pair.ends[side].sample_rate_hz()));
        assert!(concealed < 0.01, "{concealed}");
    }
}

/// Where both directions are overrun, the queue that loses the sound loses what is told of it as well.
#[test]
fn who_overruns_a_link_sees_it_by_what_arrives_where_nothing_is_told() {
    for (profile, ms) in [(true, 5_000), (false, 7_000)] {
        for seed in 1..=6 {
            let calls = [0, 1].map(|side| {
                let feedback = FeedbackOptions { profile, ..FeedbackOptions::default() };
                let (codecs, adaptation) = (vec![CodecFormat::opus()], Some(AdaptationConfig::default()));
                Call::new(CallConfig { codecs, adaptation, feedback, srtp: SrtpPolicy::Off, ..config(side) }).unwrap()
            });
            let addresses = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
            let network = NetworkConfig { loss_percent: 5.0, ..NetworkConfig::default() };
            let mut pair = VirtualTime::connect(calls, addresses, network, 0.0, seed).unwrap();
            pair.set_bottlenecks(BottleneckConfig { rate_bps: 24_000.0, queue_ms: 200.0, bulk: None });
            for (side, end) in pair.ends.iter_mut().enumerate() {
                let sound = |n: usize| (9_000.0 * (n as f64 * (0.2 + 0.05 * side as f64)).sin()) as i16;
                end.speech = (0..16_000).map(sound).collect();
            }
            pair.run_until(at(ms));
            let rates = [0, 1].map(|side: usize| pair.ends[side].call.stats().adaptation.unwrap().rate_bps);
            assert!(rates.iter().all(|rate| *rate < 30_000), "feedback: {profile}, seed {seed}: {rates:?}");
        }
    }
}

#[test]
fn the_level_of_each_packet_reaches_the_other_side() {
    let (mut pair, seen) = connect([config(0), config(1)], NetworkConfig::default());
    let mut levels = Vec::new();
    for tick in 150..450 {
        pair.run_until(at(10 * tick));
        levels.extend(pair.ends[1].call.sources().next().unwrap().level);
    }
    assert_eq!(levels.len(), 300);
    let of = |level_dbov: i8| levels.iter().filter(|level| level.level_dbov == level_dbov).count();
    assert!(of(-12) > 100 && of(-127) > 100, "{levels:?}");
    // Nobody has said who speaks but the energy gate.
    assert!(levels.iter().all(|level| level.voice || level.level_dbov == -127), "{levels:?}");
    assert!(levels.iter().any(|level| !level.voice));
    // Exactly the packet's own.
    let seen = seen[0].lock().unwrap();
    let id = pair.ends[0].call.negotiated_stream(0).unwrap().extensions.sent(ExtensionKind::AudioLevel).unwrap();
    assert!(seen.extended.iter().all(|(_, elements)| elements.iter().any(|(own, data)| *own == id && data.len() == 1)));
    assert!(pair.ends[1].call.sources().all(|source| source.contributors.is_empty()));
}

#[test]
fn a_plain_offer_is_as_short_as_ever_and_an_answer_takes_what_is_offered() {
    let plain = |side| CallConfig { feedback: FeedbackOptions::default(), ..config(side) };
    let offer = Call::new(plain(0)).unwrap().offer().unwrap();
    assert!(!offer.contains("extmap") && !offer.contains("rtcp-fb") && !offer.contains("rsize"), "{offer}");
    assert!(offer.contains(" RTP/SAVP "), "{offer}");
    let (mut pair, seen) = connect([plain(0), plain(1)], NetworkConfig::default());
    pair.run_until(at(3_000));
    assert!(seen.iter().all(|seen| seen.lock().unwrap().extended.iter().all(|(_, elements)| elements.is_empty())));
    assert_eq!(pair.ends[0].call.stats().feedback, None);

    // A plain offer that has levels all the same is answered; of feedback there is none in this profile.
    let always = ExtensionOptions {
        offer: OfferExtensions::Always,
        absolute_send_time: Direction::SendOnly,
        ..ExtensionOptions::default()
    };
    let (mut pair, seen) = connect([CallConfig { extensions: always, ..plain(0) }, plain(1)], NetworkConfig::default());
    pair.run_until(at(1_000));
    let agreed = pair.ends[1].call.negotiated_stream(0).unwrap();
    assert!(agreed.extensions.get(ExtensionKind::AudioLevel).is_some() && !agreed.feedback.early);
    assert_eq!(agreed.extensions.get(ExtensionKind::TransportSequence), None);
    assert_eq!(agreed.extensions.get(ExtensionKind::AbsoluteSendTime), None, "the answerer has no use for it");
    assert!(seen[0].lock().unwrap().extended.iter().all(|(_, elements)| elements.len() == 1));
    // One that takes it gets times that go on by a packet's length.
    let takes = ExtensionOptions { absolute_send_time: Direction::RecvOnly, ..ExtensionOptions::default() };
    let configs = [CallConfig { extensions: always, ..plain(0) }, CallConfig { extensions: takes, ..plain(1) }];
    let (mut pair, seen) = connect(configs, NetworkConfig::default());
    pair.run_until(at(1_000));
    let id = pair.ends[0].call.negotiated_stream(0).unwrap().extensions.sent(ExtensionKind::AbsoluteSendTime).unwrap();
    let seen = seen[0].lock().unwrap();
    let times = seen
        .extended
        .iter()
        .filter_map(|(_, elements)| AbsoluteSendTime::parse(&elements.iter().find(|(own, _)| *own == id)?.1));
    let times: Vec<_> = times.collect();
    assert!(times.len() > 40 && times.windows(2).all(|pair| (5_200..5_290).contains(&pair[1].since(pair[0]))));
}

/// Two streams of one call: their packets say whose they are until the other side has told that it hears them.
#[test]
fn names_of_streams_lead_until_they_are_known() {
    let mut calls = [0, 1].map(|side| {
        let mut call = Call::new(CallConfig { srtp: SrtpPolicy::Off, ..config(side) }).unwrap();
        call.add_stream(&[CodecFormat::pcma()]).unwrap();
        call
    });
    let offer = calls[0].offer().unwrap();
    let answer = calls[1].answer(Instant::ZERO, &offer).unwrap();
    calls[0].accept(Instant::ZERO, &answer).unwrap();
    let from = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mid = |call: &Call, stream: usize| call.negotiated_stream(stream).unwrap().mid.clone().unwrap();
    assert_eq!([mid(&calls[0], 0), mid(&calls[1], 1)], ["0", "1"]);
    let id = calls[0].negotiated_stream(0).unwrap().extensions.sent(ExtensionKind::Mid).unwrap();
    let (mut named, mut last) = ([0; 2], None);
    let mut buffer = [0; 1_500];
    for tick in 0..1_500 {
        let now = at(10 * tick);
        for side in 0..2 {
            for stream in 0..2 {
                calls[side].play_stream(now, stream, &mut [0; 80]);
                calls[side].capture_stream(now, stream, &[1_000; 80]);
            }
            while let Some(sent) = calls[side].transmit(now, &mut buffer) {
                let bytes = &mut buffer[..sent.len];
                if DatagramKind::of(bytes) == DatagramKind::Rtp {
                    let packet = RtpPacket::parse(bytes).unwrap();
                    let name = packet.extension().and_then(|extension| extension.element(id));
                    if side == 0 {
                        let stream = usize::from(packet.payload_type().get() == 8);
                        named[stream] += usize::from(name.is_some());
                        assert!(name.is_none_or(|name| name == [b'0' + stream as u8]));
                        last = Some(bytes.to_vec());
                    }
                }
                let kept = bytes.to_vec();
                calls[1 - side].receive(now, sent.channel, from[side], &mut kept.clone());
            }
        }
    }
    // The first packets, until a report says that they are heard: of the first stream it comes with the first feedback.
    assert!(named.iter().all(|named| (3..200).contains(named)), "{named:?}");
    for stream in 0..2 {
        assert!(calls[1].stream_stats(stream).unwrap().receiver.received > 700);
    }
    // A packet with the payload type of one stream and the name of the other is nobody's; so is one of no stream's name.
    let packet = last.unwrap();
    let plain = RtpPacket::parse(&packet).unwrap();
    let own = [b'0' + u8::from(plain.payload_type().get() == 8)];
    let mut forge = |name: &[u8]| {
        let mut bytes = [0; 400];
        let payload = plain.payload();
        bytes[..12].copy_from_slice(&packet[..12]);
        bytes[0] = 0x80;
        bytes[12..12 + payload.len()].copy_from_slice(payload);
        let mut room = [0; 16];
        let mut writer = ElementWriter::new(ElementForm::OneByte, &mut room);
        writer.push(id, name).unwrap();
        let len = extend_header(&mut bytes, 12 + payload.len(), &[], writer.finish()).unwrap();
        calls[1].receive(at(15_000), Channel::Rtp, from[0], &mut bytes[..len])
    };
    assert!(matches!(forge(&own), Incoming::Audio(_)), "a duplicate of its own stream");
    let other = [if own == *b"0" { b'1' } else { b'0' }];
    for name in [&other[..], b"x"] {
        assert_eq!(forge(name), Incoming::Ignored);
    }
}

/// A level that doesn't say who speaks says nothing of that to a room, and its loudness all the same (RFC 6464, 4).
#[test]
fn a_level_without_a_word_on_speech_is_none_for_a_room() {
    for vad in ["on", "off"] {
        let mut calls = [0, 1].map(|side| {
            let extensions = ExtensionOptions { offer: OfferExtensions::Always, ..ExtensionOptions::default() };
            Call::new(CallConfig { srtp: SrtpPolicy::Off, extensions, ..config(side) }).unwrap()
        });
        let said = format!("ssrc-audio-level vad={vad}");
        let offer = calls[0].offer().unwrap().replace("ssrc-audio-level", &said);
        assert!(offer.contains(&said), "{offer}");
        let answer = calls[1].answer(at(0), &offer).unwrap();
        calls[0].accept(at(0), &answer).unwrap();
        let from = SocketAddr::from(([127, 0, 0, 1], 4_000));
        let mut buffer = [0; 1_500];
        for now in (0..50).map(|tick| at(10 * tick)) {
            calls[0].capture(now, &[9_000; 80]);
            while let Some(sent) = calls[0].transmit(now, &mut buffer) {
                calls[1].receive(now, sent.channel, from, &mut buffer[..sent.len]);
            }
        }
        let (_, level) = calls[1].source_level(0).unwrap();
        assert_eq!(level.is_some(), vad == "on");
        assert!(calls[1].sources().next().unwrap().level.is_some_and(|level| level.level_dbov > -20));
    }
}

/// Another stream's reports carry on what the first one's did.
#[test]
fn feedback_goes_on_when_the_first_stream_of_a_bundle_is_closed() {
    let mut calls = [0, 1].map(|side| {
        let mut call = Call::new(CallConfig { srtp: SrtpPolicy::Off, ..config(side) }).unwrap();
        call.add_stream(&[CodecFormat::pcma()]).unwrap();
        call
    });
    let from = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let agree = |calls: &mut [Call; 2], now| {
        let offer = calls[0].offer().unwrap();
        let answer = calls[1].answer(now, &offer).unwrap();
        calls[0].accept(now, &answer).unwrap();
    };
    let run = |calls: &mut [Call; 2], ticks: std::ops::Range<u64>| {
        let mut buffer = [0; 1_500];
        for now in ticks.map(|tick| at(10 * tick)) {
            for side in 0..2 {
                for stream in 0..2 {
                    calls[side].play_stream(now, stream, &mut [0; 80]);
                    calls[side].capture_stream(now, stream, &[1_000; 80]);
                }
                while let Some(sent) = calls[side].transmit(now, &mut buffer) {
                    calls[1 - side].receive(now, sent.channel, from[side], &mut buffer[..sent.len]);
                }
            }
        }
        calls[0].stats().feedback.unwrap().arrived
    };
    agree(&mut calls, at(0));
    let before = run(&mut calls, 0..500);
    assert!(before > 400, "{before}");
    calls[0].set_open(0, false).unwrap();
    agree(&mut calls, at(5_000));
    let after = run(&mut calls, 500..1_500);
    assert!(after > before + 400, "{before}, then {after}");
}

/// Whatever a packet carries, it stays within the MTU.
#[test]
fn headers_count_towards_the_mtu() {
    for (mtu, codec) in [(270, CodecFormat::pcmu()), (350, CodecFormat::g722()), (290, CodecFormat::opus())] {
        let extensions = ExtensionOptions {
            offer: OfferExtensions::Always,
            mixer_levels: Direction::SendRecv,
            absolute_send_time: Direction::SendRecv,
            ..ExtensionOptions::default()
        };
        let of = |side| CallConfig {
            mtu,
            extensions,
            codecs: vec![codec.clone()],
            ptime_ms: 60,
            redundancy: 1,
            ..config(side)
        };
        let (mut pair, seen) = connect([of(0), of(1)], NetworkConfig::default());
        let mut contributors = Contributors::default();
        while contributors.push(dsp_core::time::Ssrc(7), -30) {}
        for end in &mut pair.ends {
            assert!(end.call.takes_contributors(0));
            end.call.set_contributors(0, &contributors);
        }
        pair.run_until(at(2_000));
        let call = &pair.ends[0].call;
        let least = call.negotiated_stream(0).unwrap().least_packet_bytes;
        let seen = seen[0].lock().unwrap();
        assert!(least <= usize::from(mtu) && seen.largest + 28 <= usize::from(mtu), "{mtu}: {} {least}", seen.largest);
        assert!(seen.extended.len() > 20 && call.stats().send_errors == 0);
        // Whom the mix has, and how loud.
        let source = pair.ends[1].call.sources().next().unwrap();
        assert_eq!(source.contributors.iter().count(), 15);
        assert!(source.contributors.iter().all(|(ssrc, level)| (ssrc.0, level) == (7, Some(-30))));
    }
}

/// What is asked for again is counted, and a report without its head is only read where that was agreed on.
#[test]
fn negative_acknowledgements_are_counted() {
    for reduced_size in [true, false] {
        let feedback = FeedbackOptions { profile: true, reduced_size, ..FeedbackOptions::default() };
        let of = |side| CallConfig { srtp: SrtpPolicy::Off, feedback, ..config(side) };
        let (mut pair, _) = connect([of(0), of(1)], NetworkConfig::default());
        pair.run_until(at(1_000));
        let call = &mut pair.ends[0].call;
        let ours = Identity::seeded(31).ssrc.0.to_be_bytes();
        let theirs = Identity::seeded(32).ssrc.0.to_be_bytes();
        let nack = [&[0x81, 205, 0, 3][..], &theirs, &ours, &[0, 9, 0, 3]].concat();
        let compound = Compound::parse(&nack, CompoundRule::ReducedSize).unwrap();
        assert!(matches!(compound.packets().next(), Some(Ok(Packet::Feedback(_)))));
        let from = SocketAddr::from(([127, 0, 0, 1], 5_000));
        let before = call.stats().nacked;
        let incoming = call.receive(at(1_000), Channel::Rtp, from, &mut nack.clone());
        assert_eq!(incoming, if reduced_size { Incoming::Control } else { Incoming::Ignored });
        assert_eq!(call.stats().nacked - before, if reduced_size { 3 } else { 0 });
        let mut whole = [&[0x80, 201, 0, 1][..], &theirs, &nack].concat();
        assert_eq!(call.receive(at(1_000), Channel::Rtp, from, &mut whole), Incoming::Control);
        let stats = call.stats();
        assert_eq!((stats.nacked, stats.remote_maximum_bps), (if reduced_size { 6 } else { 3 }, None));
    }
}

/// A later offer without feedback and extensions ends both; one with them begins again.
#[test]
fn feedback_and_extensions_follow_a_new_offer() {
    let (mut pair, seen) = connect([config(0), config(1)], NetworkConfig::default());
    pair.run_until(at(2_000));
    let with = seen[0].lock().unwrap().extended.len();
    let [first, second] = &mut pair.ends;
    let offer = second.call.offer().unwrap();
    let ids =
        |text: &str| text.lines().filter(|line| line.starts_with("a=extmap:")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        ids(&offer).len(),
        3,
        "levels, numbers, and a mixer's levels, of which the first side had nothing: {offer}"
    );
    let stripped: String = offer
        .lines()
        .filter(|line| !line.starts_with("a=extmap") && !line.contains("rtcp-fb"))
        .map(|l| format!("{l}\r\n"))
        .collect();
    let answer = first.call.answer(at(2_000), &stripped).unwrap();
    assert_eq!(ids(&answer), [""; 0]);
    second.call.accept(at(2_000), &answer).unwrap();
    pair.run_until(at(4_000));
    {
        let seen = seen[0].lock().unwrap();
        assert!(seen.extended[with + 5..].iter().all(|(_, elements)| elements.is_empty()));
        assert!(seen.extended.len() > with + 80);
    }
    let told = pair.ends[0].call.stats().feedback.unwrap().sent;
    let [first, second] = &mut pair.ends;
    let offer = first.call.offer().unwrap();
    let answer = second.call.answer(at(4_000), &offer).unwrap();
    first.call.accept(at(4_000), &answer).unwrap();
    pair.run_until(at(8_000));
    let feedback = pair.ends[0].call.stats().feedback.unwrap();
    assert!(feedback.sent > told + 150 && feedback.sent - feedback.arrived < 60, "{feedback:?}");
    assert!(
        pair.ends[1].call.sources().next().unwrap().level.is_some_and(|level: AudioLevel| level.level_dbov >= -127)
    );
}

/// Sizes that a reader of the numbers may want: what a call with all of it holds more.
#[test]
fn memory_is_bounded() {
    let plain = |side| CallConfig { feedback: FeedbackOptions::default(), ..config(side) };
    let bytes = |configs: [CallConfig; 2]| {
        let (mut pair, _) = connect(configs, NetworkConfig::default());
        pair.run_until(at(2_000));
        pair.ends[0].call.memory_bytes()
    };
    let more = bytes([config(0), config(1)]) - bytes([plain(0), plain(1)]);
    assert!(more < 24 * 1_024, "{more}");
}
