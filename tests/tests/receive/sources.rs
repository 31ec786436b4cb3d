//! Several sources in one call: all are heard, one leaves, a flood of others changes nothing; and streams of one
//! sender, which come over ways of different lengths, are heard together.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use dsp_core::streams::sources::{Admission, Sources, SourcesConfig};
use dsp_core::time::{Duration, Instant, Seq, Ssrc};
use dsp_core::wire::rtcp::{Compound, CompoundRule, Packet};
use host_std::registry::CodecFormat;
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, CallError, Channel, Identity, Incoming, Transmit};
use media_core_tests::road::pcmu_packet;
use media_core_tests::tick::Device;
use proptest::prelude::*;

const RATE: f64 = 8_000.0;
const TICK: usize = 80;

fn from() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5_000))
}

fn call(port: u16, ssrc: u32, cname: &str, srtp: SrtpPolicy, sources: usize) -> Call {
    // One seed, so one key: as behind a forwarder.
    let mut identity = Identity::seeded(u64::from(port));
    identity.ssrc = Ssrc(ssrc);
    identity.cname = cname.into();
    identity.seed = ssrc;
    let codecs = vec![CodecFormat::pcmu()];
    Call::new(CallConfig { codecs, srtp, sources, ..CallConfig::with_identity(port, identity) }).unwrap()
}

/// What one sender says: the sample at this second.
type Speech = fn(f64) -> f64;

struct Speaker {
    call: Call,
    device: Device,
    speech: Speech,
    /// How long its packets are on their way.
    network_ms: u64,
    /// How much faster its sampling clock is than everybody's wall clock.
    ppm: f64,
    captured: u64,
}

/// Calls that speak, from one address, to a call that listens.
struct Forwarder {
    listener: Call,
    device: Device,
    speakers: Vec<Speaker>,
    in_flight: Vec<(Instant, Channel, Vec<u8>)>,
    heard: Vec<i16>,
    reports: Vec<Vec<u8>>,
    now: Instant,
    /// What becomes of the speakers' RTCP packets; `false`: lost.
    bend: fn(&mut [u8]) -> bool,
}

impl Forwarder {
    fn new(srtp: SrtpPolicy, sources: usize, speakers: &[(u32, &str, Speech, u64, f64)]) -> Self {
        let mut listener = call(4_000, 99, "listener", srtp, sources);
        let offer = listener.offer().unwrap();
        let mut answer = None;
        let speakers = speakers.iter().map(|&(ssrc, cname, speech, network_ms, ppm)| {
            let mut call = call(5_000, ssrc, cname, srtp, 1);
            answer = Some(call.answer(Instant::ZERO, &offer).unwrap());
            let device = Device::new(&call);
            Speaker { call, device, speech, network_ms, ppm, captured: 0 }
        });
        let speakers = speakers.collect();
        listener.accept(Instant::ZERO, &answer.unwrap()).unwrap();
        let (in_flight, heard, reports) = Default::default();
        let device = Device::new(&listener);
        Self { listener, device, speakers, in_flight, heard, reports, now: Instant::ZERO, bend: |_| true }
    }

    /// Ten milliseconds of everything.
    fn tick(&mut self) {
        for speaker in &mut self.speakers {
            // Each sender ticks by its own sampling clock.
            let rate = RATE * (1.0 + speaker.ppm * 1e-6);
            loop {
                let end = (speaker.captured + TICK as u64) as f64 / rate;
                let at = Instant::from_micros((end * 1e6).round() as u64);
                if at > self.now {
                    break;
                }
                let Speaker { call, device, speech, network_ms, captured, .. } = speaker;
                let speech = |pcm: &mut [i16]| {
                    for (n, sample) in pcm.iter_mut().enumerate() {
                        *sample = speech((*captured + n as u64) as f64 / rate) as i16;
                    }
                };
                let arrival = at + Duration::from_millis(*network_ms);
                device.tick(call, at, speech, |sent, bytes| {
                    self.in_flight.push((arrival, sent.channel, bytes.to_vec()));
                });
                *captured += TICK as u64;
            }
        }
        let due = |(arrival, ..): &mut (Instant, Channel, Vec<u8>)| *arrival <= self.now;
        let arrived: Vec<_> = self.in_flight.extract_if(.., due).collect();
        for (arrival, channel, mut bytes) in arrived {
            let is_rtcp = (200..=207).contains(&bytes[1]);
            if is_rtcp && !(self.bend)(&mut bytes) {
                continue;
            }
            let incoming = self.listener.receive(arrival, channel, from(), &mut bytes);
            assert!(!matches!(incoming, Incoming::Foreign | Incoming::Refused(_) | Incoming::Bye), "{incoming:?}");
        }
        let (_, heard) = self.device.listen(&mut self.listener, self.now, |sent, bytes| {
            self.reports.push(bytes.to_vec());
            let from = SocketAddr::from(([127, 0, 0, 1], 4_000));
            for speaker in &mut self.speakers {
                speaker.call.receive(self.now, sent.channel, from, &mut bytes.to_vec());
            }
        });
        self.heard.extend(heard);
        self.now += Duration::from_millis(10);
    }

    fn run_until(&mut self, ms: u64) {
        while self.now < Instant::from_millis(ms) {
            self.tick();
        }
    }

    /// How loud this tone was in these milliseconds: its amplitude.
    fn loudness(&self, hz: f64, from_ms: usize, to_ms: usize) -> f64 {
        amplitude(&self.heard[from_ms * 8..to_ms * 8], hz)
    }
}

fn amplitude(pcm: &[i16], hz: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, &sample) in pcm.iter().enumerate() {
        let (sin, cos) = (n as f64 * hz / RATE * std::f64::consts::TAU).sin_cos();
        re += f64::from(sample) * cos;
        im += f64::from(sample) * sin;
    }
    2.0 * (re * re + im * im).sqrt() / pcm.len() as f64
}

fn tone(hz: f64, seconds: f64) -> f64 {
    6_000.0 * (seconds * hz * std::f64::consts::TAU).sin()
}

const TONES: [f64; 3] = [400.0, 900.0, 1_500.0];

fn three() -> [(u32, &'static str, Speech, u64, f64); 3] {
    [
        (1, "one", |s| tone(TONES[0], s), 20, 0.0),
        (2, "two", |s| tone(TONES[1], s), 45, 0.0),
        (3, "three", |s| tone(TONES[2], s), 70, 0.0),
    ]
}

fn forged(ssrc: u32, seq: u16) -> Vec<u8> {
    pcmu_packet(ssrc, seq, 20_000, 160)
}

#[test]
fn three_are_heard_one_leaves_and_a_flood_changes_nothing() {
    for srtp in [SrtpPolicy::Off, SrtpPolicy::Required] {
        let heard = [false, true].map(|flood| {
            let mut scene = Forwarder::new(srtp, 3, &three());
            scene.run_until(2_000);
            let memory = scene.listener.memory_bytes();
            for hz in TONES {
                let loudness = scene.loudness(hz, 1_000, 2_000);
                assert!((5_700.0..6_300.0).contains(&loudness), "{srtp:?} {hz} Hz: {loudness}");
            }
            let mut unheard = 0;
            for second in 2..12u32 {
                for tick in 0..100 {
                    // 3,000 packets a second, of which every source sends two in sequence.
                    for n in (0..30u32).filter(|_| flood) {
                        let ssrc = 1_000 + (second * 100 + tick) * 15 + n / 2;
                        let incoming =
                            scene.listener.receive(scene.now, Channel::Rtp, from(), &mut forged(ssrc, n as u16));
                        unheard += u32::from(matches!(incoming, Incoming::Unheard(_) | Incoming::Refused(_)));
                    }
                    scene.tick();
                }
            }
            assert_eq!(unheard, if flood { 30_000 } else { 0 });
            assert_eq!(scene.listener.memory_bytes(), memory);
            let sources = scene.listener.sources().collect::<Vec<_>>();
            assert_eq!(sources.iter().map(|source| source.ssrc.0).collect::<BTreeSet<_>>(), BTreeSet::from([1, 2, 3]));
            for source in &sources {
                let stats = source.receiver;
                assert_eq!((stats.concealed_samples, stats.late, stats.discarded), (0, 0, 0), "{stats:?}");
                // All but the one that proved the source, and those on their way.
                assert!((593..=599).contains(&stats.reception.received), "{stats:?}");
            }
            let stats = scene.listener.stats().sources;
            assert_eq!((stats.admitted, stats.replaced, stats.left), (3, 0, 0));
            assert_eq!(stats.full > 0, flood && srtp == SrtpPolicy::Off);
            // Each is told how it is heard.
            assert!(scene.speakers.iter().all(|speaker| speaker.call.stats().remote_fraction_lost == Some(0.0)));

            // One leaves; the call goes on with the others.
            let mut buffer = [0; 1_500];
            let bye = goodbye(&mut scene.speakers[1].call, scene.now, &mut buffer);
            assert_eq!(
                scene.listener.receive(scene.now, bye.channel, from(), &mut buffer[..bye.len]),
                Incoming::Control
            );
            scene.speakers.remove(1);
            scene.run_until(15_000);
            for (hz, least, most) in [(TONES[0], 5_700.0, 6_300.0), (TONES[1], 0.0, 60.0), (TONES[2], 5_700.0, 6_300.0)]
            {
                let loudness = scene.loudness(hz, 14_000, 15_000);
                assert!((least..most).contains(&loudness), "{hz} Hz: {loudness}");
            }
            assert_eq!(scene.listener.sources().count(), 2);
            // The last two end the call.
            let last = [0, 1].map(|n| {
                let bye = goodbye(&mut scene.speakers[n].call, scene.now, &mut buffer);
                scene.listener.receive(scene.now, bye.channel, from(), &mut buffer[..bye.len])
            });
            assert_eq!(last, [Incoming::Control, Incoming::Bye]);
            if srtp == SrtpPolicy::Off {
                assert_eq!(blocks(&scene.reports), BTreeSet::from([1, 2, 3]));
            }
            scene.heard
        });
        assert!(heard[0] == heard[1], "{srtp:?}");
    }
}

/// Whom reports have blocks about, of those in which there is more than one.
fn blocks(reports: &[Vec<u8>]) -> BTreeSet<u32> {
    let mut about = BTreeSet::new();
    for report in reports {
        let compound = Compound::parse(report, CompoundRule::ReportFirst).unwrap();
        for packet in compound.packets().flatten() {
            let blocks: Vec<_> = match packet {
                Packet::SenderReport(report) => report.blocks().collect(),
                Packet::ReceiverReport(report) => report.blocks().collect(),
                _ => continue,
            };
            if blocks.len() == 3 {
                about.extend(blocks.iter().map(|block| block.ssrc.0));
            }
        }
    }
    about
}

#[test]
fn the_number_of_sources_is_checked() {
    for sources in [0, 32] {
        let config = CallConfig { sources, ..CallConfig::with_identity(4_000, Identity::seeded(1)) };
        assert!(matches!(Call::new(config), Err(CallError::Sources(_))));
    }
}

/// A beep of 60 ms every half second, at the same time in each stream.
fn beeps(hz: f64, seconds: f64) -> f64 {
    let within = seconds % 0.5;
    if within < 0.06 { tone(hz, within) } else { 0.0 }
}

/// When the beeps of this tone begin in what was heard between two times, in ms modulo 500: each one's.
fn onsets(heard: &[i16], hz: f64, from_ms: usize, to_ms: usize) -> Vec<f64> {
    let window = 80;
    let levels: Vec<f64> =
        (from_ms * 8..to_ms * 8 - window).step_by(4).map(|at| amplitude(&heard[at..at + window], hz)).collect();
    let mut found = Vec::new();
    // A beep begins where it's loud again after a tenth of a second of quiet.
    let (mut quiet_for, mut armed) = (0, false);
    for (index, &level) in levels.iter().enumerate() {
        quiet_for = if level > 1_000.0 { 0 } else { quiet_for + 1 };
        armed |= quiet_for > 200;
        if armed && level > 2_500.0 {
            found.push(from_ms as f64 + index as f64 * 0.5);
            armed = false;
        }
    }
    found
}

/// The largest distance between two streams' beeps, and how many were compared.
fn apart(scene: &Forwarder, from_ms: usize, to_ms: usize) -> (f64, usize) {
    let [one, two] = [800.0, 2_000.0].map(|hz| onsets(&scene.heard, hz, from_ms, to_ms));
    let distance = |&at: &f64| two.iter().map(|other| (other - at).abs()).fold(f64::INFINITY, f64::min);
    (one.iter().map(distance).fold(0.0, f64::max), one.len().min(two.len()))
}

fn pair(names: [&'static str; 2], ppm: [f64; 2]) -> Forwarder {
    let streams: [(u32, &str, Speech, u64, f64); 2] =
        [(1, names[0], |s| beeps(800.0, s), 20, ppm[0]), (2, names[1], |s| beeps(2_000.0, s), 170, ppm[1])];
    Forwarder::new(SrtpPolicy::Off, 2, &streams)
}

#[test]
fn streams_of_one_sender_are_heard_together() {
    for ppm in [[0.0, 0.0], [100.0, 100.0], [-100.0, 100.0], [100.0, -100.0]] {
        let mut scene = pair(["same", "same"], ppm);
        scene.run_until(140_000);
        let (before, _) = apart(&scene, 1_000, 2_500);
        assert!((140.0..165.0).contains(&before), "{before}");
        let (after, beeps) = apart(&scene, 20_000, 140_000);
        println!("{ppm:?} ppm: {before:.1} ms apart at first, at most {after:.1} ms over {beeps} beeps");
        assert!(beeps >= 235, "{beeps}");
        assert!(after <= 10.0, "{ppm:?}: {after}");
        let sources: Vec<_> = scene.listener.sources().collect();
        for (source, ppm) in sources.iter().zip(ppm) {
            assert!((f64::from(source.clock_drift_ppm) - ppm).abs() <= 15.0, "{source:?}");
            assert!(source.receiver.concealed_samples < 800, "{source:?}");
        }
    }
}

/// As above with a buzz in every pause, so that there is no silence to hide a change of speed in.
#[test]
fn within_sound_too() {
    fn with_buzz(hz: f64, seconds: f64) -> f64 {
        beeps(hz, seconds) + 1_500.0 * (seconds * 140.0 * std::f64::consts::TAU).sin()
    }
    let streams: [(u32, &str, Speech, u64, f64); 2] =
        [(1, "same", |s| with_buzz(800.0, s), 20, -50.0), (2, "same", |s| with_buzz(2_000.0, s), 170, 50.0)];
    let mut scene = Forwarder::new(SrtpPolicy::Required, 2, &streams);
    scene.run_until(80_000);
    let (after, beeps) = apart(&scene, 20_000, 80_000);
    println!("within sound: at most {after:.1} ms over {beeps} beeps");
    assert!(beeps >= 115 && after <= 10.0, "{after} {beeps}");
}

#[test]
fn without_sender_reports_nothing_happens_and_a_wrong_one_changes_nothing() {
    let mut scene = pair(["same", "same"], [0.0, 0.0]);
    scene.bend = |_| false;
    scene.run_until(30_000);
    let (distance, _) = apart(&scene, 20_000, 30_000);
    assert!((140.0..160.0).contains(&distance), "{distance}");
    assert!(scene.listener.sources().all(|source| source.least_delay == Duration::ZERO));

    scene.bend = |_| true;
    scene.run_until(60_000);
    let (distance, _) = apart(&scene, 45_000, 60_000);
    assert!(distance <= 10.0, "{distance}");
    // One report, of whatever stream, is an hour off.
    scene.bend = |bytes| {
        bytes[10] ^= 0x0e;
        true
    };
    while scene.in_flight.iter().all(|(.., bytes)| bytes[1] != 200) {
        scene.tick();
    }
    scene.run_until(scene.now.as_millis() + 300);
    scene.bend = |_| true;
    let from_ms = scene.now.as_millis() as usize;
    scene.run_until(from_ms as u64 + 15_000);
    let (distance, beeps) = apart(&scene, from_ms, from_ms + 15_000);
    assert!(distance <= 10.0 && beeps >= 28, "{distance} {beeps}");
}

#[test]
fn streams_of_different_senders_are_not_delayed_for_each_other() {
    let mut scene = pair(["one", "other"], [0.0, 0.0]);
    scene.run_until(30_000);
    let (distance, _) = apart(&scene, 20_000, 30_000);
    assert!((140.0..160.0).contains(&distance), "{distance}");
    assert!(scene.listener.sources().all(|source| source.least_delay == Duration::ZERO));
}

/// A packet of an admitted source, one of a newcomer, a goodbye, or time that passes.
fn step() -> impl Strategy<Value = (u8, u32, u16, u32)> {
    (0..8u8, 0..40u32, any::<u16>(), 0..40_000u32)
}

proptest! {
    /// Beside a model: who has a place keeps it while it is heard every second, whatever else comes.
    #[test]
    fn who_is_heard_keeps_the_place(steps in prop::collection::vec(step(), 0..400), places in 1..=4usize) {
        let config = SourcesConfig { places, own: Some(Ssrc(7)), ..SourcesConfig::default() };
        let mut sources = Sources::<4>::new(config).unwrap();
        let mut now = Instant::ZERO;
        let mut admitted: Vec<(u32, usize, u16)> = Vec::new();
        let mut counted = 0;
        for (kind, ssrc, seq, us) in steps {
            match kind {
                0 => now += Duration::from_micros(u64::from(us) * 20),
                1 => {
                    let place = sources.leave(now, Ssrc(ssrc));
                    let known = admitted.iter().position(|&(known, ..)| known == ssrc);
                    prop_assert_eq!(place, known.map(|index| admitted[index].1));
                    if let Some(index) = known {
                        admitted.remove(index);
                    }
                }
                _ => {
                    // Two in sequence, or one alone.
                    for seq in [seq, seq.wrapping_add(1)].into_iter().take(1 + usize::from(kind > 4)) {
                        let known = admitted.iter().find(|&&(known, ..)| known == ssrc).map(|&(_, place, _)| place);
                        counted += 1;
                        match (sources.update(now, Ssrc(ssrc), Seq(seq)), known) {
                            (Admission::Heard(place), Some(known)) => prop_assert_eq!(place, known),
                            (Admission::Admitted(place), None) => {
                                prop_assert!(place < places);
                                prop_assert!(admitted.iter().all(|&(_, taken, _)| taken != place));
                                admitted.push((ssrc, place, seq));
                            }
                            (Admission::Own, None) => prop_assert_eq!(ssrc, 7),
                            (Admission::Probation | Admission::Gone, None) => {}
                            (Admission::Full, None) => prop_assert_eq!(admitted.len(), places),
                            (other, known) => prop_assert!(false, "{:?} {:?}", other, known),
                        }
                    }
                }
            }
            // Everybody who is heard speaks all the time.
            for (ssrc, place, seq) in &mut admitted {
                *seq = seq.wrapping_add(1);
                prop_assert_eq!(sources.update(now, Ssrc(*ssrc), Seq(*seq)), Admission::Heard(*place));
            }
            prop_assert_eq!(sources.iter().count(), admitted.len());
        }
        let stats = sources.stats();
        let unheard = stats.probation + stats.full + stats.gone + stats.own;
        prop_assert!(unheard <= counted);
        prop_assert_eq!(stats.replaced, 0);
        prop_assert_eq!(stats.admitted as usize, admitted.len() + stats.left as usize);
    }
}

/// The target delay of a call with so many places for sources, in ms, whose network's jitter is 30 ms.
/// The last report of a call, with its goodbye.
fn goodbye(call: &mut Call, now: Instant, buffer: &mut [u8]) -> Transmit {
    call.hang_up();
    call.transmit(now, buffer).unwrap()
}

fn target_ms(codec: &CodecFormat, sources: usize, tick_ms: u32) -> u32 {
    let call = |port: u16, sources| {
        let (codecs, srtp) = (vec![codec.clone()], SrtpPolicy::Off);
        let identity = Identity::seeded(u64::from(port));
        let tick = Duration::from_millis(tick_ms.into());
        let config =
            CallConfig { codecs, srtp, sources, ptime_ms: 10, tick, ..CallConfig::with_identity(port, identity) };
        Call::new(config).unwrap()
    };
    let (mut listener, mut speaker) = (call(4_000, sources), call(5_000, 1));
    let offer = listener.offer().unwrap();
    let answer = speaker.answer(Instant::ZERO, &offer).unwrap();
    listener.accept(Instant::ZERO, &answer).unwrap();
    let frame = |ms: u32| (codec.rtp_clock_hz * ms / 1_000) as usize * usize::from(codec.channels);
    let (mut buffer, mut coming) = (vec![0; 2_100], Vec::new());
    for n in 0..600u64 {
        speaker.capture(Instant::ZERO, &vec![n as i16; frame(10)]);
        while let Some(sent) = speaker.transmit(Instant::ZERO, &mut buffer) {
            coming.push((Instant::from_millis(n * 10 + n * 7_919 % 31), buffer[..sent.len].to_vec()));
        }
        if n % u64::from(tick_ms / 10) == 0 {
            let now = Instant::from_millis(n * 10 + 10);
            for (arrival, mut bytes) in coming.extract_if(.., |(arrival, _)| *arrival <= now) {
                listener.receive(arrival, Channel::Rtp, from(), &mut bytes);
            }
            listener.play(now, &mut vec![0; frame(tick_ms)]);
        }
    }
    listener.stats().receiver.target_delay_ms
}

#[test]
fn a_tick_that_is_played_in_parts_is_a_tick_all_the_same() {
    for codec in [CodecFormat::l16(48_000, 2), CodecFormat::l16(44_100, 2), CodecFormat::l16(48_000, 1)] {
        let [short, long] = [10, 20].map(|tick_ms| target_ms(&codec, 1, tick_ms));
        assert_eq!(long, short + 10, "{codec:?}");
        assert_eq!([10, 20].map(|tick_ms| target_ms(&codec, 2, tick_ms)), [short, long], "{codec:?}");
    }
}
