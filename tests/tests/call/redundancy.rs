//! Redundant audio data in calls (RFC 2198): negotiated, sent, and played where a packet is missing; what it costs in
//! delay where it doesn't help; and what tshark reads of it.

use std::net::SocketAddr;
use std::path::PathBuf;

use dsp_core::codec::g711::Pcmu;
use dsp_core::receive::{HostReceiver, ReceiveError, Received, ReceiverConfig};
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::red::{RedParseError, RedundancyHistory};
use dsp_core::wire::rtp::RtpHeader;
use host_std::opus::OpusEncoderConfig;
use host_std::record::call::side_report;
use host_std::record::pcap::PcapWriter;
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, CallError, CallStats, Identity};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;
use media_core_tests::program::tshark;
use media_core_tests::road::babble;
use media_core_tests::{recorded, recorder};

const PORTS: [u16; 2] = [4_000, 5_000];

fn call(port: u16, codecs: &[CodecFormat], redundancy: u8) -> Result<Call, CallError> {
    let opus = OpusEncoderConfig { sample_rate_hz: 16_000, fec: false, ..OpusEncoderConfig::default() };
    Call::new(CallConfig {
        codecs: codecs.to_vec(),
        registry: Registry::builtin().with(Opus(opus)),
        redundancy,
        srtp: SrtpPolicy::Off,
        ..CallConfig::with_identity(port, Identity::seeded(u64::from(port)))
    })
}

fn run(calls: [Call; 2], network: NetworkConfig, seconds: u64) -> VirtualTime {
    let addresses = PORTS.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut simulation = VirtualTime::connect(calls.map(recorded), addresses, network, 0.0, 1).unwrap();
    for side in 0..2 {
        let rate_hz = simulation.ends[side].sample_rate_hz();
        simulation.ends[side].speech = babble(rate_hz, 10, side as u32);
    }
    simulation.run_until(Instant::from_millis(seconds * 1_000));
    simulation
}

fn stats(codec: &CodecFormat, levels: [u8; 2], network: NetworkConfig) -> [CallStats; 2] {
    let calls = [0, 1].map(|side| call(PORTS[side], std::slice::from_ref(codec), levels[side]).unwrap());
    run(calls, network, 60).ends.map(|end| end.call.stats())
}

fn concealed_ms(stats: &[CallStats; 2], rate_hz: u32) -> f64 {
    stats.iter().map(|stats| stats.receiver.concealed_samples).sum::<u64>() as f64 * 1_000.0 / f64::from(rate_hz)
}

const BURSTY: NetworkConfig = NetworkConfig {
    loss_percent: 10.0,
    burst: 2.0,
    delay_ms: 20.0,
    jitter_ms: 5.0,
    reorder_percent: 0.0,
    duplicate_percent: 0.0,
};

#[test]
fn at_ten_percent_bursty_loss_much_less_is_concealed() {
    for (codec, rate_hz) in [
        (CodecFormat::pcmu(), 8_000),
        (CodecFormat::pcma(), 8_000),
        (CodecFormat::ilbc(dsp_core::codec::ilbc::IlbcMode::Ms20), 8_000),
        (CodecFormat::ilbc(dsp_core::codec::ilbc::IlbcMode::Ms30), 8_000),
        (CodecFormat::g722(), 16_000),
        (CodecFormat::l16(16_000, 1), 16_000),
        (CodecFormat::opus(), 16_000),
    ] {
        let runs = [0, 1, 2].map(|level| stats(&codec, [level; 2], BURSTY));
        let concealed = [0, 1, 2].map(|level: usize| concealed_ms(&runs[level], rate_hz));
        let used = [0, 1, 2].map(|level: usize| runs[level].map(|stats| stats.receiver.redundant_used));
        println!("{codec}: {concealed:.0?} ms concealed of 120 s, packets used {used:?}");
        assert!(concealed[1] < 0.7 * concealed[0], "{codec}: {concealed:?}");
        assert!(concealed[2] < 0.55 * concealed[1], "{codec}: {concealed:?}");
        assert_eq!(used[0], [0, 0]);
        for stats in &runs[2] {
            let heard = stats.receiver;
            assert_eq!((heard.undecodable, heard.unknown_payload, stats.send_errors), (0, 0, 0), "{heard:?}");
            let rest = heard.redundant_blocks - heard.redundant_used - heard.redundant_late - heard.redundant_duplicate;
            // What waits in the buffer, or was dropped with it.
            assert!(rest < 20, "{codec}: {heard:?}");
            // RFC 3550 counts what the network brought.
            assert!(
                i64::from(heard.reception.cumulative_lost()) * 15 > heard.reception.expected as i64,
                "{codec}: {heard:?}"
            );
        }
    }
}

/// A packet that comes behind its copy was sent once, and nothing came twice.
#[test]
fn a_report_counts_packets_and_not_their_copies() {
    let network = NetworkConfig { jitter_ms: 40.0, reorder_percent: 2.0, ..BURSTY };
    let calls = [0, 1].map(|side| call(PORTS[side], &[CodecFormat::pcmu()], 1).unwrap());
    let [first, second] = &run(calls, network, 30).ends;
    assert!(first.call.stats().receiver.duplicate > 0, "none came behind its copy");
    let statistics = side_report(["a", "b"], recorder(&first.call), recorder(&second.call), &first.call, "").statistics;
    assert_eq!(statistics.packets_duplicate, 0);
    assert_eq!(statistics.packets_sent, statistics.packets_received + statistics.packets_lost);
}

/// Nothing lost, nothing waited for; and what is lost brings a packet's delay, no more.
#[test]
fn delay_is_paid_only_where_it_helps() {
    let codec = CodecFormat::pcmu();
    for jitter_ms in [0.0, 30.0] {
        let network = NetworkConfig { loss_percent: 0.0, jitter_ms, ..BURSTY };
        let delay = |level| stats(&codec, [level; 2], network).map(|stats| stats.receiver.playout_delay);
        assert_eq!(delay(0), delay(1));
        assert_eq!(delay(0), delay(2));
    }
    let delay_ms = |level| {
        let stats = stats(&codec, [level; 2], BURSTY);
        stats.map(|stats| stats.receiver.playout_delay.mean_us()).iter().sum::<u32>() / 2_000
    };
    let delays = [0, 1, 2].map(delay_ms);
    println!("mean playout delay at 10 % loss: {delays:?} ms");
    assert!(delays[1] <= delays[0] + 25 && delays[2] <= delays[0] + 45, "{delays:?}");
}

#[test]
fn used_only_where_both_sides_have_it() {
    let codec = CodecFormat::pcmu();
    for levels in [[1, 0], [0, 1], [0, 0]] {
        for stats in stats(&codec, levels, BURSTY) {
            assert_eq!(stats.receiver.redundant_blocks, 0, "{levels:?}");
            assert!(stats.receiver.decoded_samples > 400_000, "{stats:?}");
        }
    }
    // Each side sends as much as it likes.
    let [first, second] = stats(&codec, [1, 3], BURSTY).map(|stats| stats.receiver.redundant_blocks);
    assert!(first > second * 5 / 2, "{first} {second}");
    assert!(matches!(call(4_000, &[codec], 5), Err(CallError::Redundancy(5))));
}

#[test]
fn sdp_names_the_payload_types() {
    let mut offerer = call(PORTS[0], &[CodecFormat::opus(), CodecFormat::pcmu()], 2).unwrap();
    let mut answerer = call(PORTS[1], &[CodecFormat::pcmu()], 1).unwrap();
    let offer = offerer.offer().unwrap();
    let lines = |sdp: &str| sdp.lines().map(str::to_owned).collect::<Vec<_>>();
    let number = |sdp: &str, rtpmap: &str| {
        let line = lines(sdp).into_iter().find(|line| line.ends_with(rtpmap)).unwrap_or_else(|| panic!("{sdp}"));
        line["a=rtpmap:".len()..].split(' ').next().unwrap().to_owned()
    };
    let (opus, red) = (number(&offer, " opus/48000/2"), number(&offer, " red/48000/2"));
    assert!(lines(&offer).contains(&format!("a=fmtp:{red} {opus}/{opus}/{opus}")), "{offer}");
    let red = number(&offer, " red/8000");
    assert!(lines(&offer).contains(&format!("a=fmtp:{red} 0/0/0")), "{offer}");
    let answer = answerer.answer(Instant::ZERO, &offer).unwrap();
    assert!(lines(&answer).contains(&format!("a=fmtp:{red} 0/0")), "{answer}");
    assert!(!answer.contains("red/48000"), "{answer}");
    offerer.accept(Instant::ZERO, &answer).unwrap();
    // A list without our codec: it doesn't want it there.
    let mut offerer = call(PORTS[0], &[CodecFormat::pcma()], 1).unwrap();
    let offer = offerer.offer().unwrap().replace(" 8/8", " 0/0");
    let mut answerer = call(PORTS[1], &[CodecFormat::pcma()], 1).unwrap();
    let answer = answerer.answer(Instant::ZERO, &offer).unwrap();
    offerer.accept(Instant::ZERO, &answer).unwrap();
    let simulation = {
        let mut packets = Vec::new();
        let mut datagram = [0; 1_500];
        for _ in 0..4 {
            answerer.capture(Instant::ZERO, &[1_000; 160]);
            packets.extend(
                answerer.transmit(Instant::ZERO, &mut datagram).map(|transmit| datagram[..transmit.len].to_vec()),
            );
        }
        packets
    };
    assert!(simulation.iter().all(|packet| packet[1] & 0x7f == 8 && packet.len() == 172), "{simulation:?}");
}

const RED: PayloadType = PayloadType::new(96).unwrap();

/// Packet `n` of 20 ms with its payload, and those of the two before it.
fn datagram(n: u16, history: &mut RedundancyHistory<2, 160>) -> Vec<u8> {
    let timestamp = RtpTime(u32::from(n) * 160);
    let header = RtpHeader { payload_type: RED, seq: Seq(n), timestamp, ssrc: Ssrc(7), ..RtpHeader::default() };
    let mut out = [0; 600];
    let written = header.write(&mut out).unwrap();
    let payload = [n as u8; 160];
    let len = history.write(2, PayloadType::PCMU, timestamp, &payload, &mut out[written..]).unwrap();
    history.push(PayloadType::PCMU, timestamp, &payload);
    out[..written + len].to_vec()
}

/// A packet that comes after its copy, a copy after what was made up for it, and what isn't redundant audio at all.
#[test]
fn late_duplicate_and_broken_blocks_are_counted() {
    let mut history = RedundancyHistory::new();
    let packets: Vec<_> = (0..200).map(|n| datagram(n, &mut history)).collect();
    let mut receiver = HostReceiver::new(ReceiverConfig::default()).unwrap();
    receiver.set_redundancy(Some(RED));
    let (mut payloads, mut pcm) = ((PayloadType::PCMU, Pcmu), [0; 160]);
    let mut at = |n: u64| Instant::from_millis(1_000 + 20 * n);
    let at = &mut at;
    for n in 0..100 {
        // 50 is overtaken by its copy; 70 is lost.
        if n != 50 && n != 70 {
            assert_eq!(receiver.receive(at(n), &packets[n as usize]), Ok(Received::Stored));
        }
        if n == 51 {
            assert_eq!(receiver.receive(at(n), &packets[50]), Ok(Received::Duplicate));
        }
        receiver.play(at(n) + Duration::from_millis(1), &mut payloads, &mut pcm);
    }
    let stats = receiver.stats();
    assert_eq!(stats.redundant_used + stats.redundant_late, 2, "{stats:?}");
    assert_eq!((stats.duplicate, stats.late, stats.undecodable), (1, 0, 0), "{stats:?}");
    // Two in each packet that was stored, one in the second.
    assert_eq!(stats.redundant_blocks, 1 + 2 * 96, "{stats:?}");

    // Long after their turn.
    for n in 100..130 {
        receiver.play(at(n), &mut payloads, &mut pcm);
    }
    let mut broken = packets[130].clone();
    broken[12] = 0x80;
    broken.truncate(14);
    let error = receiver.receive(at(130), &broken).unwrap_err();
    assert!(matches!(error, ReceiveError::Redundancy(RedParseError::Headers { .. })), "{error:?}");
    receiver.set_redundancy(None);
    receiver.receive(at(131), &packets[131]).unwrap();
    for n in 131..140 {
        receiver.play(at(n), &mut payloads, &mut pcm);
    }
    assert!(receiver.stats().unknown_payload > 0);
}

/// What calls send is redundant audio for tshark too, and each block a copy of the packet before.
#[test]
fn tshark_reads_the_packets_of_a_call() {
    let calls = [0, 1].map(|side| call(PORTS[side], &[CodecFormat::pcmu()], 1).unwrap());
    let simulation = run(calls, NetworkConfig::default(), 2);
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("redundancy.pcap");
    let mut pcap = PcapWriter::create(&path, 1_700_000_000_000_000).unwrap();
    let to = SocketAddr::from(([127, 0, 0, 1], PORTS[1]));
    for arrival in &recorder(&simulation.ends[1].call).arrivals {
        pcap.datagram(arrival.time, arrival.from, to, &arrival.bytes).unwrap();
    }
    pcap.finish().unwrap();
    let number = recorder(&simulation.ends[1].call).arrivals[0].bytes[1] & 0x7f;
    let red = format!("rtp.rfc2198_payload_type:{number}");
    let mut arguments = vec!["-d", "udp.port==4000,rtp", "-o", &red, "-Y", "rtp", "-T", "fields"];
    arguments.extend(["-e", "rtp.block-length", "-e", "rtp.timestamp-offset", "-e", "_ws.malformed"]);
    let Some(output) = tshark(&path, &arguments) else { return };
    let rows: Vec<_> = output.lines().map(str::trim_end).collect();
    assert!(rows.len() > 90, "{output}");
    let with_copy = rows.iter().filter(|row| **row == "160\t160").count();
    assert!(with_copy + 1 >= rows.len() - 1, "{output}");
}
