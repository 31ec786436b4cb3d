//! Any codec of an answer, at any time: a call that begins with PCMU hears the Opus that follows without a new offer, and
//! PCMU again behind it, mono and stereo, however its sender counts its timestamps (RFC 7160), through loss, jitter and
//! packets that overtake each other, at devices of 44.1 and 48 kHz. Real speech and a sine; times are virtual.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use dsp_core::codec::Encoder;
use dsp_core::codec::g711::Pcmu;
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::RtpHeader;
use host_std::opus::{OpusEncoder, OpusEncoderConfig};
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::sdp::{self, LocalMedia, LocalStream, SrtpPolicy};
use host_std::session::{Call, CallConfig, CallStats, Channel, Identity, Incoming};
use host_std::wav::WavFrames;
use media_core_tests::score::score;
use media_core_tests::tick::Device;

const WOMAN: &[u8] = include_bytes!("../../../host-std/assets/woman.wav");
/// How long each codec is spoken in, in ms.
const TURN_MS: usize = 3_000;
const PACKETS: usize = TURN_MS / 20;

/// How a sender counts that changes its clock under one SSRC.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Counts {
    /// On from the packet before, its length in the new clock (RFC 7160, 3.2.1).
    NewRate,
    /// Each clock from an origin of its own (3.2.2).
    OwnOrigin,
    /// On from the packet before, its length in the old clock (4.2).
    OldRate,
}

const WAYS: [Counts; 3] = [Counts::NewRate, Counts::OwnOrigin, Counts::OldRate];

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Network {
    Clean,
    /// Every 17th packet is lost, all are up to 40 ms late, and some overtake each other.
    Bad,
    /// The packets around each change overtake each other.
    Crossed,
}

/// What is said in a turn.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Turn {
    Pcmu,
    Opus,
    /// Comfort noise beside PCMU: one description, and then nothing is sent.
    Noise,
    /// PCMU with a copy of the packet before (RFC 2198).
    PcmuTwice,
    /// Opus with one.
    OpusTwice,
}

impl Turn {
    fn clock_hz(self) -> u32 {
        if matches!(self, Self::Opus | Self::OpusTwice) { 48_000 } else { 8_000 }
    }
}

/// What was heard of it.
struct Heard {
    call: Call,
    pcm: Vec<i16>,
    sound: (u32, u8),
    /// At the end of each turn.
    stats: Vec<CallStats>,
}

impl Heard {
    /// The first channel of a turn, at 8 kHz or thereabouts.
    fn thin(&self, turn: usize) -> Vec<i16> {
        let (rate_hz, channels) = (self.sound.0 as usize, usize::from(self.sound.1));
        let part = &self.pcm[turn * TURN_MS * rate_hz / 1_000 * channels..][..TURN_MS * rate_hz / 1_000 * channels];
        (0..TURN_MS * 8).map(|n| part[n * rate_hz / 8_000 * channels]).collect()
    }
}

fn speech(rate_hz: u32) -> Vec<i16> {
    let source = WavFrames::from_bytes("speech", WOMAN, rate_hz, 1).unwrap();
    source.read_all(Duration::from_secs(60)).unwrap()
}

/// A tone of 440 Hz, whole periods a turn.
fn tone(rate_hz: u32) -> Vec<i16> {
    let at = |n: u32| f64::from(n) / f64::from(rate_hz) * 440.0 * std::f64::consts::TAU;
    (0..rate_hz * TURN_MS as u32 / 1_000).map(|n| (at(n).sin() * 8_000.0) as i16).collect()
}

struct Sender {
    counts: Counts,
    channels: u8,
    said: [Vec<i16>; 2],
    opus: OpusEncoder,
    numbers: BTreeMap<&'static str, PayloadType>,
    timestamp: RtpTime,
    clock_hz: u32,
    seq: u16,
    before: Vec<u8>,
}

impl Sender {
    /// The packet that is said at `n * 20` ms; `None` if there is none.
    fn packet(&mut self, n: usize, turn: Turn) -> Option<(Seq, Vec<u8>)> {
        let clock_hz = turn.clock_hz();
        let step = match self.counts {
            Counts::OldRate => self.clock_hz,
            _ => clock_hz,
        };
        self.timestamp = match self.counts {
            Counts::OwnOrigin => RtpTime(clock_hz.wrapping_mul(77_777).wrapping_add(n as u32 * (clock_hz / 50))),
            _ if n == 0 => self.timestamp,
            _ => self.timestamp.plus(step / 50),
        };
        self.clock_hz = clock_hz;
        let at = n % PACKETS;
        let mut payload = vec![0; 1_200];
        let (name, length) = if clock_hz == 48_000 {
            let mono = &self.said[1][at * 960..][..960];
            let frame: Vec<_> = mono.iter().flat_map(|&sample| vec![sample; self.channels.into()]).collect();
            ("opus", self.opus.encode(&frame, &mut payload).unwrap())
        } else {
            ("PCMU", Pcmu.encode(&self.said[0][at * 160..][..160], &mut payload).unwrap())
        };
        payload.truncate(length);
        let mut number = self.numbers[name];
        match turn {
            Turn::Noise if at == 0 => {
                (number, payload) = (self.numbers["CN"], vec![50]);
            }
            Turn::Noise => return None,
            Turn::PcmuTwice | Turn::OpusTwice => {
                let primary = payload.clone();
                let mut red = Vec::new();
                if !self.before.is_empty() {
                    let (offset, length) = (clock_hz / 50, self.before.len() as u32);
                    red.push(0x80 | number.get());
                    red.extend_from_slice(&(offset << 10 | length).to_be_bytes()[1..]);
                }
                red.push(number.get());
                red.extend_from_slice(&self.before);
                red.extend_from_slice(&primary);
                number = self.numbers[if turn == Turn::OpusTwice { "red48" } else { "red8" }];
                self.before = primary;
                payload = red;
            }
            _ => self.before.clear(),
        }
        let seq = Seq(self.seq);
        self.seq = self.seq.wrapping_add(1);
        let header =
            RtpHeader { payload_type: number, seq, timestamp: self.timestamp, ssrc: Ssrc(7), ..RtpHeader::default() };
        let mut datagram = vec![0; 1_500];
        let length = header.write_packet(&payload, &mut datagram).unwrap();
        datagram.truncate(length);
        Some((seq, datagram))
    }
}

/// A call that offered PCMU first and Opus second, and an answer with both; then the turns.
fn run(
    order: &[Turn],
    counts: Counts,
    network: Network,
    (sound, channels): ((u32, u8), u8),
    said: fn(u32) -> Vec<i16>,
) -> Heard {
    let twice = order.iter().any(|turn| matches!(turn, Turn::PcmuTwice | Turn::OpusTwice));
    let registry = Registry::builtin().with(Opus(OpusEncoderConfig { channels, ..OpusEncoderConfig::default() }));
    let config = CallConfig {
        codecs: vec![CodecFormat::pcmu(), CodecFormat::opus()],
        registry: registry.clone(),
        comfort_noise: order.contains(&Turn::Noise),
        redundancy: u8::from(twice),
        sound: Some(sound),
        srtp: SrtpPolicy::Off,
        ..CallConfig::with_identity(4_000, Identity::seeded(1))
    };
    let mut call = Call::new(config).unwrap();
    let mut codecs = vec![CodecFormat::pcmu(), CodecFormat::opus()];
    if order.contains(&Turn::Noise) {
        codecs.push(CodecFormat::comfort_noise(8_000));
    }
    if twice {
        codecs.extend([CodecFormat::redundancy(&CodecFormat::pcmu()), CodecFormat::redundancy(&CodecFormat::opus())]);
    }
    let there = LocalMedia {
        rtp_port: 5_000,
        registry,
        streams: vec![LocalStream { redundancy: u8::from(twice), ..LocalStream::of(codecs) }],
        ..LocalMedia::default()
    };
    let (answer, negotiated) = sdp::answer(&there, call.offer().unwrap()).unwrap();
    call.accept(Instant::ZERO, &answer).unwrap();
    assert!(call.codec().unwrap().is_named("PCMU"), "PCMU is the first");
    assert_eq!(call.received_sound(0), Some((48_000, channels)), "the widest of both");
    let mut numbers = BTreeMap::new();
    for codec in &negotiated.stream(0).unwrap().send {
        let name = match (&*codec.format.name, codec.format.rtp_clock_hz) {
            ("opus", _) => "opus",
            ("PCMU", _) => "PCMU",
            ("CN", _) => "CN",
            (_, 8_000) => "red8",
            _ => "red48",
        };
        numbers.insert(name, codec.payload_type);
    }
    let opus = OpusEncoder::new(OpusEncoderConfig { channels, ..OpusEncoderConfig::default() }).unwrap();
    let mut sender = Sender {
        counts,
        channels,
        said: [said(8_000), said(48_000)],
        opus,
        numbers,
        timestamp: RtpTime(u32::MAX - 50_000),
        clock_hz: order[0].clock_hz(),
        seq: 65_400,
        before: Vec::new(),
    };
    let mut on_the_way: Vec<(Instant, Vec<u8>)> = Vec::new();
    let mut device = Device::new(&call);
    let from: SocketAddr = "127.0.0.1:5000".parse().unwrap();
    let (mut pcm, mut stats, mut random) = (Vec::new(), Vec::new(), 1u32);
    for tick in 0..order.len() * TURN_MS / 10 {
        let now = Instant::from_millis(tick as u64 * 10);
        if tick % 2 == 0 {
            let n = tick / 2;
            if let Some((_, datagram)) = sender.packet(n, order[n / PACKETS]) {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let near = (n % PACKETS).min(PACKETS - n % PACKETS);
                let late_ms = match network {
                    Network::Bad => u64::from(random >> 8) % 40,
                    // One behind the other, and every third 25 ms later.
                    Network::Crossed if near < 3 => u64::from(n % 3 == 2) * 25,
                    _ => 0,
                };
                if network != Network::Bad || n % 17 != 16 {
                    on_the_way.push((now + Duration::from_millis(late_ms), datagram));
                }
            }
        }
        on_the_way.sort_by_key(|(arrival, _)| *arrival);
        let here = on_the_way.partition_point(|(arrival, _)| *arrival <= now);
        for (arrival, mut datagram) in on_the_way.drain(..here) {
            let incoming = call.receive(arrival, Channel::Rtp, from, &mut datagram);
            assert!(matches!(incoming, Incoming::Audio(_)), "{incoming:?}");
        }
        let (_, heard) = device.listen(&mut call, now, |_, _| {});
        assert_eq!(heard.len(), sound.0 as usize / 100 * usize::from(sound.1));
        pcm.extend_from_slice(heard);
        if (tick + 1) % (TURN_MS / 10) == 0 {
            stats.push(call.stats());
        }
    }
    Heard { call, pcm, sound, stats }
}

fn largest_step(pcm: &[i16], channels: usize) -> u32 {
    pcm.iter().zip(&pcm[channels..]).map(|(a, b)| u32::from(a.abs_diff(*b))).max().unwrap_or(0)
}

const DEVICES: [(u32, u8); 4] = [(44_100, 1), (48_000, 2), (48_000, 1), (44_100, 2)];

#[test]
fn pcmu_then_opus_then_pcmu_are_heard_without_a_new_offer() {
    let order = [Turn::Pcmu, Turn::Opus, Turn::Pcmu];
    let said = speech(8_000);
    for (n, counts) in WAYS.into_iter().enumerate() {
        for (m, network) in [Network::Clean, Network::Bad, Network::Crossed].into_iter().enumerate() {
            let (sound, channels) = (DEVICES[(n + m) % 4], 1 + (n + m) as u8 % 2);
            let heard = run(&order, counts, network, (sound, channels), speech);
            let what = format!("{counts:?}, {network:?}, Opus in {channels}, a device of {sound:?}");
            for (turn, codec) in order.iter().enumerate() {
                let score = score(&said, &heard.thin(turn), 8_000);
                let stats = heard.stats[turn].receiver;
                println!(
                    "{what}, turn {turn}: {:.3} of {}, delay {} ms, jitter {:.1} ms, MOS {:.2?}",
                    score.median,
                    score.segments,
                    stats.target_delay_ms,
                    f64::from(stats.reception.jitter_ticks) * 1e3 / f64::from(stats.clock_hz),
                    heard.stats[turn].mos_lq.unwrap_or_default()
                );
                assert!(score.segments >= 6 && score.median > 0.75, "{what}, turn {turn}: {score:?}");
                assert_eq!(stats.clock_hz, codec.clock_hz());
            }
            if network == Network::Clean {
                let largest = largest_step(&heard.pcm, usize::from(sound.1));
                let own = largest_step(&speech(sound.0), 1).max(largest_step(&speech(8_000), 1) * 8_000 / sound.0);
                println!("{what}: largest step {largest}, the speech's own {own}");
                assert!(largest <= own, "{what}: a step of {largest}, the speech's own {own}");
            }
            let stats = heard.call.stats();
            let receiver = stats.receiver;
            assert_eq!((receiver.unknown_payload, receiver.undecodable), (0, 0), "{what}: {receiver:?}");
            assert_eq!((receiver.codec_switches, receiver.restarts, receiver.time_jumps), (2, 0, 0), "{what}");
            assert_eq!(stats.unaccounted(), [0; 5], "{what}");
            // What a change costs: nothing that is made up but what was lost, and no delay that stays.
            let made_up_ms = receiver.concealed_samples * 1_000 / u64::from(sound.0);
            let lost = if network == Network::Bad { 27 } else { 0 };
            assert!(made_up_ms < 40 + lost * 35, "{what}: {made_up_ms} ms made up");
            let targets = heard.stats.iter().map(|stats| stats.receiver.target_delay_ms);
            // That packets overtook each other by 25 ms is worth waiting for, whatever their clocks.
            let more = if network == Network::Crossed { 30 } else { 15 };
            assert!(targets.clone().max().unwrap() <= targets.min().unwrap() + more, "{what}: the delay jumps");
            let jitters = heard.stats.iter().map(|stats| {
                f64::from(stats.receiver.reception.jitter_ticks) * 1e3 / f64::from(stats.receiver.clock_hz)
            });
            let most = if network == Network::Bad { 20.0 } else { 6.0 };
            assert!(jitters.clone().all(|jitter| jitter < most), "{what}: {:?}", jitters.collect::<Vec<_>>());
            let moses: Vec<_> = heard.stats.iter().map(|stats| stats.mos_lq.unwrap()).collect();
            assert!(moses.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 0.5), "{what}: {moses:?}");
        }
    }
}

/// Of a sine no change leaves a step larger than its own, at any device.
#[test]
fn a_change_is_no_click_at_any_device() {
    let order = [Turn::Pcmu, Turn::Opus, Turn::Pcmu, Turn::Opus];
    for (n, sound) in DEVICES.into_iter().enumerate() {
        for counts in WAYS {
            let channels = 1 + n as u8 % 2;
            let heard = run(&order, counts, Network::Clean, (sound, channels), tone);
            let width = usize::from(sound.1);
            let own = 8_000.0 * 440.0 * std::f64::consts::TAU / f64::from(sound.0);
            let settled = sound.0 as usize / 5 * width;
            let steps = heard.pcm[settled..].iter().zip(&heard.pcm[settled + width..]);
            let steps = steps.map(|(a, b)| u32::from(a.abs_diff(*b)));
            let (at, largest) = steps.enumerate().max_by_key(|(_, step)| *step).unwrap();
            let at_ms = (settled + at) * 1_000 / width / sound.0 as usize;
            println!("{counts:?} at {sound:?}: largest step {largest} at {at_ms} ms, the sine's {own:.0}");
            // Codecs have delays of their own: where both sines cross within 5 ms in opposite phases, that is 67 more; and
            // PCMU has noise.
            assert!(f64::from(largest) < own * 1.2 + 80.0, "{counts:?} at {sound:?}: {largest} at {at_ms} ms");
            let receiver = heard.call.stats().receiver;
            assert_eq!((receiver.codec_switches, receiver.restarts), (3, 0));
        }
    }
}

/// Comfort noise beside PCMU, and redundancy beside both, each in its own clock.
#[test]
fn noise_and_redundancy_go_on_through_a_change_of_the_clock() {
    let said = speech(8_000);
    for counts in WAYS {
        let order = [Turn::Opus, Turn::Pcmu, Turn::Noise, Turn::Opus];
        let heard = run(&order, counts, Network::Clean, ((48_000, 1), 1), speech);
        let receiver = heard.call.stats().receiver;
        assert_eq!((receiver.noise_packets, receiver.restarts, receiver.unknown_payload), (1, 0, 0), "{counts:?}");
        let noise = &heard.pcm[(2 * TURN_MS + 500) * 48..3 * TURN_MS * 48];
        let rms = (noise.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / noise.len() as f64).sqrt();
        // -50 dBov.
        assert!((60.0..160.0).contains(&rms), "{counts:?}: {rms}");
        let score_of = |turn| score(&said, &heard.thin(turn), 8_000);
        let scores = [0, 1, 3].map(score_of);
        assert!(scores.iter().all(|score| score.median > 0.75), "{counts:?}: {scores:?}");

        let order = [Turn::PcmuTwice, Turn::OpusTwice, Turn::PcmuTwice];
        let heard = run(&order, counts, Network::Bad, ((44_100, 2), 2), speech);
        let receiver = heard.call.stats().receiver;
        println!(
            "{counts:?}: {} copies used, {} ms concealed",
            receiver.redundant_used,
            receiver.concealed_samples / 44
        );
        assert_eq!((receiver.restarts, receiver.undecodable), (0, 0), "{counts:?}");
        // 26 packets are lost one at a time: nearly all of them were in the one behind.
        assert!(receiver.redundant_used >= 18, "{counts:?}: {receiver:?}");
        for turn in 0..3 {
            let score = score(&said, &heard.thin(turn), 8_000);
            assert!(score.median > 0.75, "{counts:?}, turn {turn}: {score:?}");
        }
    }
}
