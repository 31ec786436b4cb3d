//! Calls that follow the network: a narrow link, loss that isn't congestion, a change in the middle, and a call that is given up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dsp_core::adapt::{Choice, Conditions, Hopeless, Observation, Settings};
use dsp_core::time::{Duration, Instant};
use host_std::opus::OpusEncoderConfig;
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::sdp::{FeedbackOptions, SrtpPolicy};
use host_std::session::{AdaptationConfig, AdaptationPolicy, Call, CallConfig, CallStats, Ending, Identity};
use host_std::simulate::bottleneck::{BottleneckConfig, BulkConfig};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;
use host_std::wav::WavFrames;
use proptest::prelude::*;

const WOMAN: &[u8] = include_bytes!("../../host-std/assets/woman.wav");
const PORTS: [u16; 2] = [4_000, 5_000];
const ADAPTING: Option<AdaptationConfig> =
    Some(AdaptationConfig { least_bps: 14_000, first_bps: 50_000, most_bps: 90_000 });

fn call(port: u16, codec: CodecFormat, adaptation: Option<AdaptationConfig>, packets: bool) -> Call {
    Call::new(config(port, codec, adaptation, packets)).unwrap()
}

fn config(port: u16, codec: CodecFormat, adaptation: Option<AdaptationConfig>, packets: bool) -> CallConfig {
    let base = CallConfig::with_identity(port, Identity::seeded(port.into()));
    let feedback = FeedbackOptions { profile: packets, ..FeedbackOptions::default() };
    // FEC that is ready for nothing, until somebody tells of losses.
    let opus = OpusEncoderConfig { sample_rate_hz: 16_000, expected_loss_percent: 0, ..OpusEncoderConfig::default() };
    let registry = Registry::builtin().with(Opus(opus));
    let (srtp, circuit_breaker) = (SrtpPolicy::Off, true);
    let codecs = vec![codec];
    CallConfig { codecs, registry, srtp, adaptation, circuit_breaker, feedback, ..base }
}

/// Two calls of speech: what they send follows the network, by feedback on packets or by reports alone.
fn connect(
    codec: &CodecFormat,
    adaptation: Option<AdaptationConfig>,
    packets: bool,
    network: NetworkConfig,
) -> VirtualTime {
    connect_calls(PORTS.map(|port| call(port, codec.clone(), adaptation, packets)), network)
}

fn connect_calls(calls: [Call; 2], network: NetworkConfig) -> VirtualTime {
    let addresses = PORTS.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut both = VirtualTime::connect(calls, addresses, network, 0.0, 1).unwrap();
    for end in &mut both.ends {
        let speech = WavFrames::from_bytes("speech", WOMAN, end.sample_rate_hz(), 1);
        end.speech = speech.unwrap().read_all(Duration::from_secs(60)).unwrap();
    }
    both
}

fn seconds(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1_000)
}

/// What became of the second minute.
struct Minute {
    /// Payloads, in bit/s.
    payload_bps: f64,
    lost_percent: f64,
    /// The sound that was played, and how much of it was made up, in percent.
    concealed_percent: f64,
    delay_ms: u64,
    stats: CallStats,
}

fn second_minute(both: &mut VirtualTime) -> Minute {
    both.run_until(seconds(60));
    let before = [both.ends[0].call.stats(), both.ends[1].call.stats()];
    both.run_until(seconds(120));
    let after = [both.ends[0].call.stats(), both.ends[1].call.stats()];
    let sent = |stats: &[CallStats; 2]| (f64::from(stats[0].sender.octets), f64::from(stats[0].sender.packets));
    let ((octets, packets), (octets_before, packets_before)) = (sent(&after), sent(&before));
    let received = after[1].receiver.reception.received - before[1].receiver.reception.received;
    let made_up = after[1].receiver.concealed_samples - before[1].receiver.concealed_samples;
    let rate = f64::from(both.ends[1].sample_rate_hz());
    Minute {
        payload_bps: (octets - octets_before) * 8.0 / 60.0,
        lost_percent: 100.0 - 100.0 * received as f64 / (packets - packets_before),
        concealed_percent: 100.0 * made_up as f64 / (60.0 * rate),
        delay_ms: after[1].receiver.target_delay_ms.into(),
        stats: after[1],
    }
}

#[test]
fn a_call_fits_into_a_narrow_link() {
    let narrow = BottleneckConfig { rate_bps: 34_000.0, queue_ms: 400.0, bulk: None };
    for packets in [true, false] {
        let mut fixed = connect(&CodecFormat::opus(), None, packets, NetworkConfig::default());
        fixed.set_bottlenecks(narrow);
        let fixed = second_minute(&mut fixed);
        let mut both = connect(&CodecFormat::opus(), ADAPTING, packets, NetworkConfig::default());
        both.set_bottlenecks(narrow);
        let adapting = second_minute(&mut both);
        let told = both.ends[0].call.stats().adaptation.unwrap();
        for (name, minute) in [("fixed", &fixed), ("adapting", &adapting)] {
            println!(
                "{name}: {:.0} bit/s, {:.1} % lost, {:.2} % made up, delay {} ms",
                minute.payload_bps, minute.lost_percent, minute.concealed_percent, minute.delay_ms
            );
        }
        println!("{told:?}");
        assert!(fixed.lost_percent > 8.0 && fixed.concealed_percent > 5.0);
        assert!(adapting.lost_percent < 1.0 && adapting.concealed_percent < 2.0);
        assert!(adapting.payload_bps > 9_000.0, "{}", adapting.payload_bps);
        assert!(told.rate_bps > 20_000 && told.rate_bps < 40_000 && told.changes > 0);
        assert_eq!(adapting.stats.receiver.undecodable, 0);
    }
}

#[test]
fn loss_that_isnt_congestion_is_answered_with_redundancy() {
    let network = NetworkConfig { loss_percent: 10.0, ..NetworkConfig::default() };
    for packets in [true, false] {
        let fixed = second_minute(&mut connect(&CodecFormat::opus(), None, packets, network));
        let mut both = connect(&CodecFormat::opus(), ADAPTING, packets, network);
        let adapting = second_minute(&mut both);
        let told = both.ends[0].call.stats().adaptation.unwrap();
        println!(
            "{:.2} % made up, {:.2} % of a fixed call; {:.0} bit/s, {told:?}",
            adapting.concealed_percent, fixed.concealed_percent, adapting.payload_bps
        );
        assert!(told.taken.expected_loss_percent.unwrap() >= 5, "{told:?}");
        assert!(adapting.concealed_percent < 0.6 * fixed.concealed_percent);
        assert!(adapting.payload_bps > 20_000.0);
    }
}

/// Without FEC there is nothing that an expected loss could ask of the encoder.
#[test]
fn an_encoder_without_redundancy_is_asked_for_none() {
    let network = NetworkConfig { loss_percent: 10.0, ..NetworkConfig::default() };
    let calls = PORTS.map(|port| {
        let opus = OpusEncoderConfig { fec: false, expected_loss_percent: 0, ..OpusEncoderConfig::default() };
        let registry = Registry::builtin().with(Opus(opus));
        let config = config(port, CodecFormat::opus(), ADAPTING, true);
        Call::new(CallConfig { registry, ..config }).unwrap()
    });
    let mut both = connect_calls(calls, network);
    both.run_until(seconds(60));
    let told = both.ends[0].call.stats().adaptation.unwrap();
    assert!(told.random_loss_percent >= 4 && told.taken.expected_loss_percent == Some(0), "{told:?}");
}

#[test]
fn payloads_are_repeated_while_packets_are_lost_and_there_is_room() {
    let lossy = NetworkConfig { loss_percent: 10.0, ..NetworkConfig::default() };
    for codec in [CodecFormat::pcmu(), CodecFormat::g722()] {
        for packets in [true, false] {
            let connect = |network, copies: u8| {
                let calls = PORTS.map(|port| {
                    let adaptation = Some(AdaptationConfig::with_copies(copies));
                    let config = config(port, codec.clone(), adaptation, packets);
                    Call::new(CallConfig { redundancy: copies, redundancy_on_loss: true, ..config }).unwrap()
                });
                connect_calls(calls, network)
            };
            let told = |both: &VirtualTime| both.ends[0].call.stats().adaptation.unwrap();
            let without = second_minute(&mut connect(lossy, 0));
            let mut both = connect(lossy, 2);
            let with = second_minute(&mut both);
            println!(
                "{}: {:.2} % made up, {:.2} % without; {:.0} bit/s, {:?}",
                codec.name,
                with.concealed_percent,
                without.concealed_percent,
                with.payload_bps,
                told(&both)
            );
            assert!(told(&both).copies > 0 && with.concealed_percent < 0.25 * without.concealed_percent);

            // Once nothing is lost any more, nothing is repeated.
            (0..2).for_each(|end| both.set_network(end, NetworkConfig::default()));
            both.run_until(seconds(420));
            assert_eq!(told(&both).copies, 0, "{:?}", told(&both));

            // What would fill the link isn't sent, or not for long.
            let mut both = connect(lossy, 2);
            both.set_bottlenecks(BottleneckConfig { rate_bps: 110_000.0, queue_ms: 300.0, bulk: None });
            let narrow = second_minute(&mut both);
            println!("    through 110 kbit/s: {:.1} % lost, {:?}", narrow.lost_percent, told(&both));
            // Reports tell every five seconds.
            assert!(
                narrow.lost_percent < if packets { 13.0 } else { 16.0 } && narrow.payload_bps < 90_000.0,
                "{}",
                narrow.payload_bps
            );
        }
    }
}

/// What a later description asks for counts for what is repeated too, in both directions.
#[test]
fn another_bandwidth_in_a_running_call_is_one_for_what_is_repeated() {
    let calls = PORTS.map(|port| {
        let config = config(port, CodecFormat::pcmu(), None, true);
        Call::new(CallConfig { redundancy: 2, ..config }).unwrap()
    });
    let mut both = connect_calls(calls, NetworkConfig::default());
    let mut sent_bps = Vec::new();
    for (n, payload_bps) in [None, Some(80_000), None].into_iter().enumerate() {
        let begin = seconds(10 * n as u64);
        if n > 0 {
            let [ours, theirs] = &mut both.ends;
            let answer = theirs.call.answer(begin, &ours.call.offer().unwrap()).unwrap();
            let answer = asking(&answer, &Asked { payload_bps, max_ptime_ms: 20, ..Asked::default() });
            ours.call.accept(begin, &answer).unwrap();
        }
        both.run_until(begin + Duration::from_secs(2));
        let before = both.ends[0].call.stats().sender.octets;
        both.run_until(begin + Duration::from_secs(10));
        // Octets of eight seconds are bit/s.
        sent_bps.push(both.ends[0].call.stats().sender.octets - before);
    }
    println!("{sent_bps:?}");
    assert!(sent_bps[0] > 3 * 62_000 && sent_bps[1] <= 65_000 && sent_bps[2] > 3 * 62_000, "{sent_bps:?}");
}

#[test]
fn a_bulk_transfer_beside_it_doesnt_starve_a_call() {
    beside_a_bulk_transfer(300_000.0, 150_000.0);
}

/// Where the transfer has few packets under way, its queue comes and goes faster than a call could empty one.
#[test]
fn a_bulk_transfer_over_a_slow_link_doesnt_starve_a_call() {
    beside_a_bulk_transfer(200_000.0, 100_000.0);
}

/// Over a link of `rate_bps` that the bulk transfer gets at least `theirs_bps` of.
fn beside_a_bulk_transfer(rate_bps: f64, theirs_bps: f64) {
    // Which packets find the queue full depends on how the two fall together: in the mean of several round trips.
    let round_trips = [40.0, 47.0, 60.0];
    let (mut sent_bps, mut lost) = ([0.0; 3], [0.0; 3]);
    for round_trip_ms in round_trips {
        let bulk = BulkConfig { from_ms: 20_000.0, until_ms: 1e9, round_trip_ms };
        let shared = BottleneckConfig { rate_bps, queue_ms: 200.0, bulk: Some(bulk) };
        // By feedback on packets, by reports, and a call that sends what it sends.
        let calls = [(ADAPTING, true), (ADAPTING, false), (None, false)];
        for (index, (adaptation, packets)) in calls.into_iter().enumerate() {
            let mut both = connect(&CodecFormat::opus(), adaptation, packets, NetworkConfig::default());
            both.set_bottlenecks(shared);
            let minute = second_minute(&mut both);
            let told = both.ends[0].call.stats().adaptation;
            println!("{:.0} bit/s, {:.1} % lost, {told:?}", minute.payload_bps, minute.lost_percent);
            assert!(minute.payload_bps > 5_000.0);
            let theirs = both.network(0).bottleneck().unwrap().bulk_bytes() as f64 * 8.0 / 100.0;
            assert!(theirs > theirs_bps, "{theirs}");
            sent_bps[index] += minute.payload_bps / round_trips.len() as f64;
            lost[index] += minute.lost_percent / round_trips.len() as f64;
        }
    }
    // What the transfer brings about is lost whatever a call sends.
    println!("{rate_bps} bit/s: sent {sent_bps:.0?} bit/s, lost {lost:.1?} %");
    let [by_packets, by_reports, fixed] = sent_bps;
    assert!(by_packets > 12_000.0 && by_reports > 10_000.0 && fixed > 12_000.0, "{sent_bps:?}");
    let [by_packets, by_reports, fixed] = lost;
    assert!(by_packets < fixed + 4.0 && by_reports < fixed + 4.0, "{lost:?}");
}

#[test]
fn a_codec_of_one_bit_rate_sends_longer_packets() {
    // 64 kbit/s in packets of 20 ms are 85 with headers, of 40 ms 74, of 60 ms 71; reports and feedback take four.
    let narrow = BottleneckConfig { rate_bps: 80_000.0, queue_ms: 400.0, bulk: None };
    let mut both = connect(&CodecFormat::pcmu(), ADAPTING, true, NetworkConfig::default());
    both.set_bottlenecks(narrow);
    let minute = second_minute(&mut both);
    let told = both.ends[0].call.stats().adaptation.unwrap();
    println!("{:.1} % lost, {told:?}", minute.lost_percent);
    assert!(minute.lost_percent < 2.0 && told.taken.packet_ms.unwrap() >= 40);
}

#[test]
fn a_call_that_nothing_of_arrives_is_given_up_with_its_reason() {
    let mut both = connect(&CodecFormat::pcmu(), None, false, NetworkConfig::default());
    both.run_until(seconds(30));
    assert_eq!(both.ends[0].call.should_end(seconds(30)), None);
    // From the first side on nothing passes any more, its reports neither; the other's come.
    both.set_network(0, NetworkConfig { loss_percent: 100.0, ..NetworkConfig::default() });
    let mut ended = None;
    for second in 31..90 {
        both.run_until(seconds(second));
        if let Some(ending) = both.ends[0].call.should_end(seconds(second)) {
            ended.get_or_insert((second, ending));
        }
    }
    println!("{ended:?}");
    // It has reports that tell of no packet of its own, or of no new one, whichever are enough first.
    let Some((second, Ending::Hopeless(Hopeless::Unreported { .. } | Hopeless::Unheard { .. }))) = ended else {
        panic!("{ended:?}")
    };
    assert!((45..70).contains(&second));
    // The other side hears no reports any more.
    assert!(matches!(both.ends[1].call.should_end(seconds(90)), Some(Ending::Hopeless(Hopeless::Unreported { .. }))));
}

#[test]
fn a_bad_network_is_no_hopeless_one() {
    for loss_percent in [0.0, 5.0, 10.0] {
        let network =
            NetworkConfig { loss_percent, jitter_ms: 40.0, delay_ms: 150.0, burst: 3.0, ..NetworkConfig::default() };
        let mut both = connect(&CodecFormat::pcmu(), None, false, network);
        for second in 1..300 {
            both.run_until(seconds(second));
            for end in &both.ends {
                assert_eq!(end.call.should_end(seconds(second)), None, "{loss_percent} %, {second} s");
            }
        }
    }
}

/// What a side that receives may ask for, and what lies between.
#[derive(Clone, Debug, Default)]
struct Asked {
    /// `b=AS` in kbit/s, `b=TIAS` and `maxaveragebitrate` in bit/s.
    session_kbps: Option<u32>,
    payload_bps: Option<u32>,
    average_bps: Option<u32>,
    max_ptime_ms: u32,
    dtx: bool,
    adapts: bool,
    /// Payloads that each packet repeats, from the beginning or once losses are told.
    redundancy: u8,
    on_loss: bool,
    loss_percent: f64,
    link_bps: Option<f64>,
}

fn asked() -> impl Strategy<Value = Asked> {
    let bound = |range: std::ops::Range<u32>| prop::option::of(range);
    let max_ptime = prop::sample::select(vec![20, 40, 60]);
    let link = prop::option::of(40_000.0..120_000.0);
    let numbers = (bound(30..90), bound(8_000..60_000), bound(8_000..60_000), max_ptime, 0..3u8);
    (numbers, any::<[bool; 3]>(), 0.0..10.0, link).prop_map(
        |(numbers, [dtx, adapts, on_loss], loss_percent, link_bps)| {
            let (session_kbps, payload_bps, average_bps, max_ptime_ms, redundancy) = numbers;
            Asked {
                session_kbps,
                payload_bps,
                average_bps,
                max_ptime_ms,
                dtx,
                adapts,
                redundancy,
                on_loss,
                loss_percent,
                link_bps,
            }
        },
    )
}

/// The answer with what it asks for in place of what it had.
fn asking(answer: &str, asked: &Asked) -> String {
    let mut lines = Vec::new();
    for line in answer.lines().filter(|line| !line.starts_with("a=maxptime")) {
        lines.push(match line.strip_prefix("a=fmtp:").and_then(|rest| rest.split_once(' ')) {
            Some((number, _)) if answer.contains(&format!("a=rtpmap:{number} opus")) => {
                let average = asked.average_bps.map_or_else(String::new, |bps| format!("maxaveragebitrate={bps};"));
                format!("a=fmtp:{number} {average}usedtx={};useinbandfec=1", u8::from(asked.dtx))
            }
            _ => line.to_owned(),
        });
        if line.starts_with("m=audio") {
            lines.extend(asked.session_kbps.map(|kbps| format!("b=AS:{kbps}")));
            lines.extend(asked.payload_bps.map(|bps| format!("b=TIAS:{bps}")));
        }
    }
    lines.push(format!("a=maxptime:{}", asked.max_ptime_ms));
    lines.join("\r\n") + "\r\n"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the network: what is sent stays within what the other side has asked for (RFC 8866, 5.8 and 6.4; RFC 3890; RFC
    /// 7587, 6.1).
    #[test]
    fn what_was_agreed_on_is_never_exceeded(asked in asked()) {
        let [mut ours, mut theirs] = PORTS.map(|port| {
            let config = config(port, CodecFormat::opus(), ADAPTING.filter(|_| asked.adapts), true);
            let (redundancy, redundancy_on_loss) = (asked.redundancy, asked.on_loss);
            Call::new(CallConfig { redundancy, redundancy_on_loss, ..config }).unwrap()
        });
        let answer = theirs.answer(Instant::ZERO, &ours.offer().unwrap()).unwrap();
        let answer = asking(&answer, &asked);
        ours.accept(Instant::ZERO, &answer).unwrap();
        let addresses = PORTS.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let network = NetworkConfig { loss_percent: asked.loss_percent, ..NetworkConfig::default() };
        let mut both = VirtualTime::agreed([ours, theirs], addresses, network, 0.0, 1).unwrap();
        if let Some(rate_bps) = asked.link_bps {
            both.set_bottlenecks(BottleneckConfig { rate_bps, queue_ms: 200.0, bulk: None });
        }
        for end in &mut both.ends {
            let speech = WavFrames::from_bytes("speech", WOMAN, end.sample_rate_hz(), 1);
            end.speech = speech.unwrap().read_all(Duration::from_secs(60)).unwrap();
        }
        both.run_until(seconds(2));
        let before = both.ends[0].call.stats().sender;
        both.run_until(seconds(22));
        let after = both.ends[0].call.stats().sender;
        let packets = f64::from(after.packets - before.packets) / 20.0;
        let payload_bps = f64::from(after.octets - before.octets) * 8.0 / 20.0;
        let headers = both.ends[0].call.negotiated_stream(0).unwrap().header_bytes as f64;
        // Opus' bit rate is one in the mean of seconds.
        let within = |bps: f64, most: Option<u32>| most.is_none_or(|most| bps <= 1.08 * f64::from(most) + 200.0);
        prop_assert!(within(payload_bps, asked.payload_bps), "{payload_bps} bit/s: {answer}");
        // Of the codec, and so of each payload that is sent again.
        let of_each = payload_bps / f64::from(1 + asked.redundancy);
        prop_assert!(within(of_each, asked.average_bps), "{payload_bps} bit/s: {answer}");
        let session_bps = payload_bps + headers * 8.0 * packets;
        prop_assert!(within(session_bps, asked.session_kbps.map(|kbps| 1_000 * kbps)), "{session_bps} bit/s: {answer}");
        prop_assert!(asked.dtx || packets > 990.0 / f64::from(asked.max_ptime_ms), "{packets} packets a second");
        prop_assert!(payload_bps > 2_000.0, "{payload_bps}");
    }
}

/// Half of what there's room for, at most 60 kbit/s of it, in packets of 40 ms; and it counts what it hears.
struct Modest {
    heard: Arc<AtomicU32>,
    longest_ms: u16,
}

impl AdaptationPolicy for Modest {
    fn rate_bps(&mut self, _now: Instant, seen: &Observation, would_be: u32) -> u32 {
        assert!(seen.packets > 0);
        self.heard.fetch_add(1, Ordering::Relaxed);
        would_be / 2
    }

    fn choose(&mut self, settings: &Settings<'_>, conditions: &Conditions, running: Option<Choice>) -> Option<Choice> {
        let choice = Settings { packets_ms: &[40], ..*settings }.choose(conditions, running)?;
        Some(Choice { packet_ms: self.longest_ms, ..choice })
    }
}

#[test]
fn a_policy_of_ones_own_says_what_is_sent() {
    let heard = Arc::new(AtomicU32::new(0));
    for (longest_ms, packet_ms) in [(40, 40), (50, 60)] {
        let mut both = connect(&CodecFormat::opus(), ADAPTING, true, NetworkConfig::default());
        assert!(both.ends[0].call.set_adaptation_policy(Box::new(Modest { heard: heard.clone(), longest_ms })));
        both.run_until(seconds(30));
        let (own, usual) =
            (both.ends[0].call.stats().adaptation.unwrap(), both.ends[1].call.stats().adaptation.unwrap());
        // 50 ms can't be had: the call chooses by itself, of the rate that the policy wants.
        assert_eq!(own.taken.packet_ms, Some(packet_ms), "{own:?}");
        assert!(own.rate_bps <= 45_000 && usual.rate_bps > 50_000, "{own:?} {usual:?}");
        assert!(own.taken.bit_rate_bps < usual.taken.bit_rate_bps, "{own:?} {usual:?}");
    }
    assert!(heard.load(Ordering::Relaxed) > 100);
    let mut fixed = call(PORTS[0], CodecFormat::opus(), None, true);
    assert!(!fixed.set_adaptation_policy(Box::new(Modest { heard, longest_ms: 40 })), "it doesn't adapt");
}
