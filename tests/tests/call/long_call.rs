//! Ten minutes on a network that is as bad as they come, in virtual time: the delay stays bounded and near its target,
//! and what is said is heard, before and after the source changes.

use std::net::SocketAddr;

use dsp_core::codec::{CodecInfo, DecodeError, Decoder};
use dsp_core::receive::{DelayConfig, HostReceiver, Played, ReceiverConfig};
use dsp_core::time::{Duration, Instant, PayloadType, Seq, Ssrc};
use dsp_core::wire::rtp::RtpHeader;
use host_std::opus::OpusEncoderConfig;
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::session::{Call, CallConfig, Identity, Tap};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;

const NETWORK: NetworkConfig = NetworkConfig {
    loss_percent: 20.0,
    burst: 2.0,
    delay_ms: 40.0,
    jitter_ms: 200.0,
    reorder_percent: 2.0,
    duplicate_percent: 2.0,
};

/// Loudness of every 10 ms that was said and heard, and the delay of every packet that was played.
#[derive(Default)]
struct Loudness {
    said: Vec<f32>,
    heard: Vec<f32>,
    delays_ms: Vec<(u64, u32)>,
}

fn loudness(pcm: &[i16]) -> f32 {
    let energy: f32 = pcm.iter().map(|&sample| f32::from(sample).powi(2)).sum();
    (energy / pcm.len() as f32 + 100.0).log10()
}

fn loudness_of(call: &Call) -> &Loudness {
    call.tap().unwrap()
}

impl Tap for Loudness {
    fn captured(&mut self, _: Instant, _: usize, pcm: &[i16]) {
        self.said.push(loudness(pcm));
    }

    fn played(&mut self, now: Instant, _: usize, played: &Played, pcm: &[i16]) {
        self.heard.push(loudness(pcm));
        self.delays_ms.extend(played.playout_delay_us.map(|delay| (now.as_millis(), delay / 1_000)));
    }
}

/// Syllables and pauses of irregular length and loudness: its envelope is like itself at no other lag.
fn syllables(rate_hz: u32, seconds: u32, seed: u32) -> Vec<i16> {
    let mut random = seed.wrapping_mul(2_654_435_761) | 1;
    let mut dice = || {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        random >> 8
    };
    let (mut pcm, mut phase) = (Vec::new(), 0.0f64);
    while pcm.len() < (rate_hz * seconds) as usize {
        let level = f64::from(dice() % 5_000 + 1_000);
        let pitch = f64::from(dice() % 120 + 90);
        let (length, pause) = (dice() % 300 + 80, dice() % 250);
        for _ in 0..length * rate_hz / 1_000 {
            phase = (phase + pitch / f64::from(rate_hz)).fract();
            let wave: f64 = (1..8).map(|k| (phase * f64::from(k) * std::f64::consts::TAU).sin() / f64::from(k)).sum();
            pcm.push((wave * level) as i16);
        }
        pcm.resize(pcm.len() + (pause * rate_hz / 1_000) as usize, 0);
    }
    pcm
}

fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let mean = |x: &[f32]| x.iter().sum::<f32>() / x.len() as f32;
    let (ma, mb) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 1e-9, 1e-9);
    for (x, y) in a.iter().zip(b) {
        ab += (x - ma) * (y - mb);
        aa += (x - ma).powi(2);
        bb += (y - mb).powi(2);
    }
    ab / (aa * bb).sqrt()
}

/// Frames of 10 ms that are compared at a time: so few that the delay changes little meanwhile.
const WINDOW: usize = 300;

/// The best lag in 10 ms frames of what was heard from `at` on against what was said, up to 2.5 s before, and how like.
fn find(said: &[f32], heard: &[f32], at: usize) -> (usize, f32) {
    let part = &heard[at..at + WINDOW];
    let lags = (0..250).map(|lag| (lag, correlation(part, &said[at - lag..at - lag + WINDOW])));
    lags.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
}

fn run(codec: CodecFormat, drift_ppm: f64, minutes: u64) {
    let addresses = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let opus = OpusEncoderConfig { sample_rate_hz: 16_000, ..OpusEncoderConfig::default() };
    let registry = Registry::builtin().with(Opus(opus));
    let calls = addresses.map(|address| {
        // The sequence wraps within the first second.
        let mut identity = Identity::seeded(u64::from(address.port()));
        identity.first_seq = Seq(65_500);
        let config = CallConfig {
            // No conversation is had over this network, and where the delay is short it moves too much to compare.
            delay: DelayConfig::listening(),
            codecs: vec![codec.clone()],
            registry: registry.clone(),
            ..CallConfig::with_identity(address.port(), identity)
        };
        let mut call = Call::new(config).unwrap();
        call.set_tap(Box::new(Loudness::default()));
        call
    });
    let mut simulation = VirtualTime::connect(calls, addresses, NETWORK, drift_ppm, 3).map(Box::new).unwrap();
    for (side, end) in simulation.ends.iter_mut().enumerate() {
        end.speech = syllables(end.sample_rate_hz(), 61, side as u32 + 1);
    }
    let end_ms = minutes * 60_000;
    let half = Instant::from_millis(end_ms / 2);
    simulation.run_until(half);
    simulation.ends[0].call.change_source(half, &Identity::seeded(99)).unwrap();
    simulation.run_until(Instant::from_millis(end_ms));

    for side in 0..2 {
        let (listener, speaker) = (&simulation.ends[side], &simulation.ends[1 - side]);
        let stats = listener.call.stats();
        let heard = stats.receiver;
        let delay = heard.playout_delay;
        println!(
            "{codec} {drift_ppm} ppm side {side}: playout delay {} / {} / {} ms (minimum, mean, maximum), target {} ms, {} bytes a call",
            delay.min_us / 1_000,
            delay.mean_us() / 1_000,
            delay.max_us / 1_000,
            heard.target_delay_ms,
            listener.call.memory_bytes()
        );
        assert!(delay.max_us <= 2_000_000, "{heard:?}");
        let last: Vec<u32> =
            loudness_of(&listener.call).delays_ms.iter().rev().take(500).map(|(_, delay)| *delay).collect();
        let last = last.iter().sum::<u32>() / last.len() as u32;
        let target = heard.target_delay_ms;
        assert!(last.abs_diff(target) <= target / 2, "{last} ms with a target of {target} ms");
        assert!((100..1_500).contains(&target), "{heard:?}");
        assert!(heard.buffered_packets < 120, "{heard:?}");
        // Netsim loses a fifth; what comes late or is dropped on top must stay small.
        let share = heard.decoded_samples as f64 / heard.played_samples as f64;
        assert!(share > 0.70, "{share}: {heard:?}");
        assert_eq!((heard.ssrc_changes, heard.restarts), (side as u32, 0), "{heard:?}");
        // SRTP's replay list refuses what comes twice.
        assert!(stats.refused > heard.reception.received as u32 / 100, "{stats:?}");

        let (said, heard) = (&loudness_of(&speaker.call).said, &loudness_of(&listener.call).heard);
        let places = (1_000..heard.len().min(said.len()) - WINDOW).step_by(1_000);
        let found: Vec<(usize, f32)> = places.map(|at| find(said, heard, at)).collect();
        let worst = found.iter().map(|(_, like)| *like).fold(1.0, f32::min);
        let mean = found.iter().map(|(_, like)| like).sum::<f32>() / found.len() as f32;
        let clear = found.iter().filter(|(_, like)| *like > 0.7);
        let (clear, lag) = clear.fold((0, 0), |(count, most), (lag, _)| (count + 1, most.max(lag * 10)));
        println!("  heard is like said: {mean:.2}, at least {worst:.2}; lag at most {lag} ms");
        // Opus doesn't keep the waveform, and is less like what was said.
        let (least, share) = if codec.is_named("opus") { (0.65, 0.5) } else { (0.75, 0.75) };
        assert!(mean > least && worst > 0.2 && clear as f64 > share * found.len() as f64, "{found:?}");
        // The network's own 40 ms and its fastest packet, a packet, a tick and the bound.
        assert!(lag <= 2_200, "{found:?}");
    }
}

/// A decoder of a buzz: packets say no more than that they are there.
struct Buzz;

impl Decoder for Buzz {
    fn info(&self) -> CodecInfo {
        CodecInfo { name: "buzz", sample_rate_hz: 8_000, rtp_clock_hz: 8_000, channels: 1 }
    }
    fn duration(&self, _: &[u8]) -> Result<u32, DecodeError> {
        Ok(1_600)
    }
    fn decode(&mut self, _: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        pcm[..1_600].iter_mut().enumerate().for_each(|(n, sample)| *sample = (n % 64) as i16 * 50 - 1_600);
        Ok(1_600)
    }
    fn reset(&mut self) {}
}

/// A day, in packets of 200 ms and ticks of 100 ms: the delay is where it should be, whichever clock is faster, and what
/// the clocks differ by was stretched away. Now and then a packet is late, and twice a day there is a stall.
#[test]
fn a_day_ends_with_the_delay_where_it_should_be() {
    for ppm in [150i64, -150] {
        let config = ReceiverConfig { tick: Duration::from_millis(100), ..ReceiverConfig::default() };
        let mut receiver = Box::new(HostReceiver::new(config).unwrap());
        let mut table = (PayloadType::PCMU, Buzz);
        let mut header = RtpHeader { ssrc: Ssrc(1), seq: Seq(65_000), ..RtpHeader::default() };
        let (mut sent, mut arrival_us, mut last) = (0i64, 0i64, 0i64);
        let mut pcm = [0; 800];
        for tick in 0..864_000u64 {
            let now = Instant::from_millis(100 * tick);
            while arrival_us <= now.as_micros() as i64 {
                let mut datagram = [0; 13];
                header.write_packet(&[0], &mut datagram).unwrap();
                receiver.receive(Instant::from_micros(arrival_us as u64), &datagram).unwrap();
                header.seq = header.seq.plus(1);
                header.timestamp = header.timestamp.plus(1_600);
                sent += 1;
                let late_us = match sent % 200_000 {
                    100_000..100_005 => (100_005 - sent % 200_000) * 200_000,
                    n => i64::from(n % 37 == 0) * 15_000,
                };
                // The sender is slower by so much.
                arrival_us = (sent * 200_000 + sent * ppm / 5 + late_us + 3_000).max(last);
                last = arrival_us;
            }
            receiver.play(now, &mut table, &mut pcm);
        }
        let stats = receiver.stats();
        println!("{ppm} ppm: {stats:?}");
        // The delay is that of a tick, which is ten times as long as usual, and 15 ms for the late ones.
        assert!((100..=130).contains(&stats.target_delay_ms), "{stats:?}");
        assert!(stats.playout_delay.mean_us() <= 180_000, "{stats:?}");
        assert!(stats.buffered_packets <= 2, "{stats:?}");
        assert!((i64::from(stats.drift_ppm) - ppm).abs() <= 40, "{stats:?}");
        assert_eq!((stats.late, stats.discarded, stats.restarts), (0, 0, 0), "{stats:?}");
        // 13 s of a day are the clocks', the rest are stalls.
        assert!(stats.concealed_samples + stats.inserted_samples + stats.removed_samples < 60 * 8_000, "{stats:?}");
    }
}

#[test]
fn ten_minutes_of_g711_with_a_fast_other_side() {
    run(CodecFormat::pcmu(), 200.0, 10);
}

#[test]
fn ten_minutes_of_g711_with_a_slow_other_side() {
    run(CodecFormat::pcmu(), -200.0, 10);
}

#[test]
fn two_minutes_of_opus() {
    run(CodecFormat::opus(), 200.0, 2);
}
