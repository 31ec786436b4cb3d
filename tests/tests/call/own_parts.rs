//! Parts of a user's own in a call, and who watches it: a guard that waits for its keys, and a tap.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use dsp_core::guard::GuardError;
use dsp_core::guard::srtp::{MasterKey, Srtp, SrtpProfile};
use dsp_core::receive::Played;
use dsp_core::time::{Duration, Instant, Ssrc};
use dsp_core::wire::DatagramKind;
use dsp_core::wire::rtcp::{Compound, CompoundRule, Packet};
use dsp_core::wire::rtp::RtpPacket;
use host_std::registry::CodecFormat;
use host_std::sdp::SrtpPolicy;
use host_std::session::{BoxedGuard, Call, CallConfig, Channel, Identity, Incoming, OwnGuard, PacketDirection, Tap};

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn config(port: u16) -> CallConfig {
    let identity = Identity::seeded(port.into());
    CallConfig { codecs: vec![CodecFormat::pcmu()], ..CallConfig::with_identity(port, identity) }
}

fn agreed(configs: [CallConfig; 2]) -> [Call; 2] {
    let [mut first, mut second] = configs.map(|config| Call::new(config).unwrap());
    let offer = first.offer().unwrap();
    let answer = second.answer(Instant::ZERO, &offer).unwrap();
    first.accept(Instant::ZERO, &answer).unwrap();
    [first, second]
}

/// SRTP under keys that no description names.
fn srtp(side: usize) -> BoxedGuard {
    let key = |side: usize| MasterKey::from_bytes(&[side as u8 + 1; MasterKey::LEN]);
    Box::new(Srtp::<4>::new(SrtpProfile::AesCm128HmacSha1_80, &key(side), &key(1 - side)).unwrap())
}

/// What both sides send within a tick, and what became of it.
fn tick(calls: &mut [Call; 2], now: Instant) -> Vec<(usize, DatagramKind, Incoming)> {
    let (mut buffer, mut became) = ([0; 1_500], Vec::new());
    for side in 0..2 {
        calls[side].play(now, &mut [0; 80]);
        calls[side].capture(now - Duration::from_millis(10), &[3_000; 80]);
        while let Some(transmit) = calls[side].transmit(now, &mut buffer) {
            assert_eq!(transmit.from, address(4_000 + 1_000 * side as u16));
            let bytes = &mut buffer[..transmit.len];
            let kind = DatagramKind::of(bytes);
            became.push((side, kind, calls[1 - side].receive(now, transmit.channel, transmit.from, bytes)));
        }
    }
    became
}

#[test]
fn a_guard_that_waits_for_keys_lets_nothing_out_and_nothing_in() {
    let waits = |port| {
        let guard = Some(OwnGuard::new(|| None));
        CallConfig { guard, srtp: SrtpPolicy::Off, ..config(port) }
    };
    let plain = CallConfig { srtp: SrtpPolicy::Off, ..config(5_000) };
    let mut calls = agreed([waits(4_000), plain]);
    let mut now = Instant::ZERO;
    let mut reports = 0;
    // The other side speaks plain RTP for 20 s: it is refused, not heard, and nothing is sent, not even a report.
    for _ in 0..2_000 {
        for (side, kind, incoming) in tick(&mut calls, now) {
            assert_eq!((side, incoming), (1, Incoming::Refused(GuardError::Unkeyed)));
            reports += u32::from(kind == DatagramKind::Rtcp);
        }
        now += Duration::from_millis(10);
    }
    let stats = calls[0].stats();
    assert!(stats.refused >= 1_000 && reports > 2, "{stats:?}");
    assert_eq!((stats.sender.packets, stats.total.received, stats.send_errors), (0, 0, 0));
    assert_eq!(stats.unaccounted(), [0; 5], "{stats:?}");
    assert_eq!((calls[0].next_deadline(), calls[1].stats().datagrams), (None, 0));
    calls[0].hang_up();
    assert_eq!(calls[0].transmit(now, &mut [0; 1_500]), None);
}

#[test]
fn a_call_goes_on_when_its_keys_have_come() {
    let waits = |port| {
        let guard = Some(OwnGuard::new(|| None));
        CallConfig { guard, srtp: SrtpPolicy::Off, ..config(port) }
    };
    let mut unmade = Call::new(waits(4_000)).unwrap();
    assert!(!unmade.set_guard(srtp(0)), "there is nothing to guard before the call is agreed on");
    let mut calls = agreed([waits(4_000), waits(5_000)]);
    let mut now = Instant::ZERO;
    let mut step = |calls: &mut [Call; 2], ticks: u32| {
        for _ in 0..ticks {
            tick(calls, now);
            now += Duration::from_millis(10);
        }
        calls.each_ref().map(|call| call.stats())
    };
    assert!(step(&mut calls, 300).iter().all(|stats| stats.datagrams == 0));
    // One side has keys before the other.
    assert!(calls[0].set_guard(srtp(0)));
    let [first, second] = step(&mut calls, 100);
    assert!(first.sender.packets >= 49 && second.refused >= 49 && second.sender.packets == 0, "{second:?}");
    assert!(calls[1].set_guard(srtp(1)));
    for stats in step(&mut calls, 1_000) {
        assert!(stats.receiver.reception.received > 490, "{stats:?}");
        assert!(stats.remote_fraction_lost.is_some(), "no report came through");
        // Time went on while nothing was sent.
        assert_eq!(stats.send_errors, 0);
    }
}

/// Counts what it is told.
#[derive(Default)]
struct Told {
    arrived: u32,
    received: u32,
    sent: u32,
    out: u32,
    opened: u32,
    captured: usize,
    played: usize,
    settled: u32,
    /// Sound of each source: its samples, and the loudest of them.
    sources: BTreeMap<u32, (usize, u16)>,
}

impl Tap for Told {
    fn sent(&mut self, _: Instant, _: Channel, _: SocketAddr, datagram: &[u8]) {
        self.sent += u32::from(DatagramKind::of(datagram) == DatagramKind::Rtp);
    }
    fn arrived(&mut self, _: Instant, _: Channel, _: SocketAddr, datagram: &[u8]) {
        self.arrived += u32::from(DatagramKind::of(datagram) == DatagramKind::Rtp);
    }
    fn packet(&mut self, _: Instant, way: PacketDirection, packet: &RtpPacket<'_>) {
        // Behind the guard: 20 ms of mu-law and no tag, and the sound itself.
        assert_eq!(packet.payload().len(), 160);
        assert!(packet.payload()[80..].iter().all(|&byte| byte == packet.payload()[80]));
        *(if way == PacketDirection::In { &mut self.opened } else { &mut self.out }) += 1;
    }
    fn received(&mut self, _: Instant, _: &Incoming) {
        self.received += 1;
    }
    fn settled(&mut self, call: &Call) {
        assert_eq!(call.stats().unaccounted(), [0; 5]);
        self.settled += 1;
    }
    fn captured(&mut self, _: Instant, stream: usize, pcm: &[i16]) {
        assert_eq!(stream, 0);
        self.captured += pcm.len();
    }
    fn played(&mut self, _: Instant, stream: usize, _: &Played, pcm: &[i16]) {
        assert_eq!(stream, 0);
        self.played += pcm.len();
    }
    fn source(&mut self, _: Instant, ssrc: Ssrc, _: &Played, pcm: &[i16]) {
        let (samples, peak) = self.sources.entry(ssrc.0).or_default();
        *samples += pcm.len();
        *peak = pcm.iter().fold(*peak, |peak, sample| peak.max(sample.unsigned_abs()));
    }
}

/// Without a driver: whoever runs a call, its tap sees the same.
#[test]
fn a_tap_sees_packets_behind_the_guard_and_the_sound_of_each_source() {
    for sources in [1, 3] {
        let mut listener = Call::new(CallConfig { sources, ..config(4_000) }).unwrap();
        let offer = listener.offer().unwrap();
        // All of them under one key, as from a forwarder; each with a level of its own.
        let levels = [2_000i16, 8_000];
        let mut speakers = [1u32, 2].map(|ssrc| {
            let mut identity = Identity::seeded(7);
            identity.ssrc = Ssrc(ssrc);
            let config = CallConfig { codecs: vec![CodecFormat::pcmu()], ..CallConfig::with_identity(5_000, identity) };
            Call::new(config).unwrap()
        });
        let answers = speakers.each_mut().map(|speaker| speaker.answer(Instant::ZERO, &offer).unwrap());
        listener.accept(Instant::ZERO, &answers[0]).unwrap();
        listener.set_tap(Box::new(Told::default()));
        let heard = if sources == 1 { 1 } else { 2 };
        let (mut now, mut buffer) = (Instant::ZERO, [0; 1_500]);
        let mut carried = 0;
        for _ in 0..300 {
            for (speaker, level) in speakers.iter_mut().zip(levels).take(heard) {
                speaker.capture(now, &[level; 80]);
                while let Some(transmit) = speaker.transmit(now, &mut buffer) {
                    let bytes = &mut buffer[..transmit.len];
                    carried += u32::from(DatagramKind::of(bytes) == DatagramKind::Rtp);
                    listener.receive(now, transmit.channel, address(5_000), bytes);
                }
            }
            listener.play(now, &mut [0; 80]);
            listener.capture(now, &[500; 80]);
            while listener.transmit(now, &mut buffer).is_some() {}
            now += Duration::from_millis(10);
        }
        assert!(listener.tap::<Other>().is_none());
        let told = listener.take_tap::<Told>().unwrap();
        assert!(listener.tap::<Told>().is_none());
        assert_eq!((told.arrived, told.opened), (carried, carried));
        assert!(carried >= 149 * heard as u32);
        assert!(told.received >= carried && told.settled > 300);
        assert_eq!((told.sent, told.out), (150, 150));
        assert_eq!((told.captured, told.played), (300 * 80, 300 * 80));
        assert_eq!(told.sources.len(), heard, "{:?}", told.sources);
        for (ssrc, level) in (1..).zip(levels).take(heard) {
            let (samples, peak) = told.sources[&ssrc];
            assert!(samples > 290 * 80, "{samples} samples of source {ssrc}");
            // mu-law's step at this level, and what concealment made of it.
            assert!(peak.abs_diff(level.unsigned_abs()) < level.unsigned_abs() / 16, "{peak} of {level}");
        }
    }
}

/// A tap that no call here has.
struct Other;
impl Tap for Other {}

/// The two clocks in a sender report are of one moment (RFC 3550, 6.4.1), also where a device takes its time.
#[test]
fn a_sender_report_tells_when_its_sample_was_captured() {
    for latency_ms in [0u64, 40, 120] {
        let plain = |port| CallConfig { srtp: SrtpPolicy::Off, ..config(port) };
        let [mut call, _peer] = agreed([plain(4_000), plain(5_000)]);
        let first = Identity::seeded(4_000).first_timestamp;
        let (mut now, mut buffer, mut reports) = (Instant::from_millis(1_000), [0; 1_500], 0);
        let begin = now;
        for _ in 0..2_000 {
            now += Duration::from_millis(10);
            // What comes now was captured earlier: the first sample of all 10 ms and the latency before `now`.
            let captured_at = now - Duration::from_millis(10 + latency_ms);
            call.capture(captured_at, &[1_000; 80]);
            while let Some(transmit) = call.transmit(now, &mut buffer) {
                let Ok(compound) = Compound::parse(&buffer[..transmit.len], CompoundRule::ReportFirst) else {
                    continue;
                };
                for packet in compound.packets().flatten() {
                    let Packet::SenderReport(report) = packet else { continue };
                    // The first sample was captured at `begin` less the latency.
                    let since = now.since(begin) + Duration::from_millis(latency_ms);
                    let expected = first.plus(since.as_samples(8_000) as u32);
                    assert_eq!(report.info().rtp, expected, "{latency_ms} ms");
                    reports += 1;
                }
            }
        }
        assert!(reports >= 2, "{reports}");
    }
}
