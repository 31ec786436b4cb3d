//! Strangers at every moment of a plain call, whatever its latching policy, with RTP and RTCP on one port or two: they
//! send garbage, two bytes, sound of their own, reports, goodbyes and our own SSRC. Our media goes on to the peer, the peer
//! is heard without a gap, the call doesn't end, and a peer that moves is followed within a second.

use std::net::SocketAddr;

use dsp_core::time::{Duration, Instant};
use dsp_core::wire::DatagramKind;
use host_std::registry::CodecFormat;
use host_std::sdp::{Direction, SrtpPolicy};
use host_std::session::{Call, CallConfig, Channel, Identity, Incoming, Latching};
use media_core_tests::road::pcmu_packet;
use media_core_tests::tick::Device;
use proptest::prelude::*;

/// What strangers send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attack {
    TwoBytes,
    Garbage(u64),
    /// RTP of a payload type that nobody agreed on.
    Unagreed,
    /// RTP with an agreed payload type, each packet far from the one before.
    Scattered,
    /// A stream as good as the peer's.
    Stream,
    ReportAndBye,
    ByeAlone,
    SenderReport,
    /// RTP that has our own SSRC.
    OwnSsrc,
    /// A report in our own name.
    OwnReport,
}

#[derive(Clone, Copy, Debug)]
struct Stranger {
    attack: Attack,
    port: u16,
    from_ms: u64,
    every_ms: u64,
    rtcp_port: bool,
}

#[derive(Clone, Copy, Debug)]
struct Plot {
    latching: Latching,
    mux: bool,
    /// When the peer's first packet comes.
    speaks_ms: u64,
    hold: Option<(u64, u64)>,
    moves_ms: Option<u64>,
}

const END_MS: u64 = 9_000;

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A side's address for RTP or RTCP, if its RTP is at `port`.
fn port_of(port: u16, channel: Channel) -> SocketAddr {
    address(port + u16::from(channel == Channel::Rtcp))
}

struct Scene {
    ours: Call,
    peer: Call,
    devices: [Device; 2],
    peer_port: u16,
    now: Instant,
    phase: f64,
    own_ssrc: u32,
    sent: u32,
    gaps: u32,
}

impl Scene {
    fn new(plot: &Plot) -> Self {
        let call = |port: u16| {
            Call::new(CallConfig {
                codecs: vec![CodecFormat::pcmu()],
                srtp: SrtpPolicy::Off,
                latching: plot.latching,
                rtcp_mux: plot.mux,
                ..CallConfig::with_identity(port, Identity::seeded(port.into()))
            })
            .unwrap()
        };
        let (ours, peer) = (call(4_000), call(5_000));
        let mut scene = Self {
            devices: [&ours, &peer].map(Device::new),
            ours,
            peer,
            peer_port: 5_000,
            now: Instant::from_millis(1_000),
            phase: 0.0,
            own_ssrc: Identity::seeded(4_000).ssrc.0,
            sent: 0,
            gaps: 0,
        };
        scene.negotiate(Direction::SendRecv);
        scene
    }

    fn negotiate(&mut self, direction: Direction) {
        self.ours.set_direction(direction);
        let offer = self.ours.offer().unwrap();
        let answer = self.peer.answer(self.now, &offer).unwrap();
        self.ours.accept(self.now, &answer).unwrap();
    }

    /// The peer's tick of 10 ms; what became of its packets.
    fn peer_speaks(&mut self) -> Vec<Incoming> {
        let Self { ours, peer, devices: [_, device], now, phase, peer_port, .. } = self;
        let tone = |pcm: &mut [i16]| {
            for sample in pcm {
                *phase = (*phase + 440.0 / 8_000.0).fract();
                *sample = ((*phase * std::f64::consts::TAU).sin() * 8_000.0) as i16;
            }
        };
        let mut incoming = Vec::new();
        device.tick(peer, *now, tone, |transmit, bytes| {
            let from = port_of(*peer_port, transmit.channel);
            let is_sound = DatagramKind::of(bytes) == DatagramKind::Rtp;
            let became = ours.receive(*now, transmit.channel, from, bytes);
            incoming.extend(Some(became).filter(|_| is_sound));
        });
        incoming
    }

    /// Our tick of 10 ms; where what was sent has gone, and whether the peer was heard.
    fn we_speak(&mut self) -> (Vec<SocketAddr>, bool) {
        let Self { ours, peer, devices: [device, _], now, sent, peer_port, .. } = self;
        let mut to = Vec::new();
        let speech = |pcm: &mut [i16]| pcm.fill(5_000);
        let (played, _) = device.tick(ours, *now, speech, |transmit, bytes| {
            if DatagramKind::of(bytes) == DatagramKind::Rtp {
                to.push(transmit.to);
                *sent += 1;
            }
            if transmit.to == port_of(*peer_port, transmit.channel) {
                peer.receive(*now, transmit.channel, port_of(4_000, transmit.channel), bytes);
            }
        });
        (to, played.concealed + played.silence == 0)
    }

    fn stranger_sends(&mut self, stranger: &Stranger, n: u64, mux: bool) -> Incoming {
        let ssrc = 0x1000_0000 + u32::from(stranger.port);
        let rtp = |ssrc, seq: u64| pcmu_packet(ssrc, seq as u16, 20_000, 160);
        let report = |kind: u8, ssrc: u32| {
            let mut report = vec![0x80, kind, 0, if kind == 200 { 6 } else { 1 }];
            report.extend(ssrc.to_be_bytes());
            report.extend([7; 20].iter().take(if kind == 200 { 20 } else { 0 }));
            report
        };
        let bye = |ssrc: u32| [&[0x81, 203, 0, 1][..], &ssrc.to_be_bytes()].concat();
        let mut datagram = match stranger.attack {
            Attack::TwoBytes => vec![0x80, 0],
            Attack::Garbage(seed) => {
                let mut state = seed ^ n;
                let byte = |_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                };
                let mut bytes: Vec<u8> = (0..n % 60).map(byte).collect();
                if let Some(first) = bytes.first_mut() {
                    *first = 0x80 | (*first & 0x3f);
                }
                bytes
            }
            Attack::Unagreed => {
                let mut packet = rtp(ssrc, n);
                packet[1] = 96;
                packet
            }
            Attack::Scattered => rtp(ssrc, n * 7_919),
            Attack::Stream => rtp(ssrc, n),
            Attack::ReportAndBye => [report(201, ssrc), bye(ssrc)].concat(),
            Attack::ByeAlone => bye(ssrc),
            Attack::SenderReport => report(200, ssrc),
            Attack::OwnSsrc => rtp(self.own_ssrc, n),
            Attack::OwnReport => report(201, self.own_ssrc),
        };
        let channel = if stranger.rtcp_port && !mux { Channel::Rtcp } else { Channel::Rtp };
        self.ours.receive(self.now, channel, address(stranger.port), &mut datagram)
    }
}

/// Plays it all; `Err` tells what went wrong.
fn run(plot: &Plot, strangers: &[Stranger]) -> Result<(), String> {
    let mut scene = Scene::new(plot);
    let begin = scene.now;
    // Until then gaps and detours are as they must be: the first packets, a change of direction, a move.
    let mut settled_ms = plot.speaks_ms + 200;
    let streams = strangers.iter().any(|stranger| stranger.attack == Attack::Stream);
    let mut heard_since: Option<u64> = None;
    let mut moved = false;
    // Whoever is taken for the peer meanwhile may have our SSRC, which we then leave to it (RFC 3550, 8.2).
    let mut left_to_a_stream = 0;
    for tick in 0..END_MS / 10 {
        let ms = tick * 10;
        scene.now = begin + Duration::from_millis(ms);
        let held = plot.hold.is_some_and(|(from, to)| (from..to).contains(&ms));
        if let Some((from, to)) = plot.hold {
            if ms == from {
                scene.negotiate(Direction::SendOnly);
            } else if ms == to {
                scene.negotiate(Direction::SendRecv);
                settled_ms = ms.max(settled_ms) + 300;
            }
        }
        if plot.moves_ms == Some(ms) && plot.latching == Latching::Relatch {
            scene.peer_port = 7_000;
            settled_ms = ms.max(settled_ms) + 1_000;
            moved = true;
        }
        if ms >= plot.speaks_ms {
            for incoming in scene.peer_speaks() {
                if !held && ms >= settled_ms && !matches!(incoming, Incoming::Audio(_)) {
                    return Err(format!("{ms} ms: the peer's packet is {incoming:?}"));
                }
                heard_since.get_or_insert(ms);
            }
        }
        for stranger in strangers.iter().filter(|stranger| ms >= stranger.from_ms) {
            if !(ms - stranger.from_ms).is_multiple_of(stranger.every_ms) {
                continue;
            }
            let n = (ms - stranger.from_ms) / stranger.every_ms;
            let incoming = scene.stranger_sends(stranger, n, plot.mux);
            let believed = matches!(incoming, Incoming::Audio(_) | Incoming::Control | Incoming::Bye);
            // While nothing is known of the peer, a stream may be its, and so may all that comes from the same port.
            let is_stream = |other: &Stranger| other.attack == Attack::Stream && other.port == stranger.port;
            if believed && (ms >= settled_ms || !strangers.iter().any(is_stream)) {
                return Err(format!("{ms} ms: {stranger:?} is believed: {incoming:?}"));
            }
        }
        if streams && ms < settled_ms {
            left_to_a_stream = scene.ours.stats().source_changes;
        }
        let (to, heard) = scene.we_speak();
        let peer = address(scene.peer_port);
        let may_go_elsewhere = ms < settled_ms && (streams || moved);
        if let Some(elsewhere) = to.iter().find(|to| **to != peer && !may_go_elsewhere) {
            return Err(format!("{ms} ms: media goes to {elsewhere}"));
        }
        scene.gaps += u32::from(ms >= settled_ms && !held && !heard);
        if scene.gaps > 0 {
            return Err(format!("{ms} ms: the peer is not heard: {:?}", scene.ours.stats().receiver));
        }
        if let Some(ending) = scene.ours.should_end(scene.now) {
            return Err(format!("{ms} ms: {ending:?}"));
        }
    }
    let stats = scene.ours.stats();
    if heard_since.is_none() || scene.sent < 400 || stats.source_changes > left_to_a_stream {
        return Err(format!("{} packets sent: {stats:?}", scene.sent));
    }
    Ok(())
}

fn attack() -> impl Strategy<Value = Attack> {
    prop_oneof![
        Just(Attack::TwoBytes),
        any::<u64>().prop_map(Attack::Garbage),
        Just(Attack::Unagreed),
        Just(Attack::Scattered),
        Just(Attack::Stream),
        Just(Attack::ReportAndBye),
        Just(Attack::ByeAlone),
        Just(Attack::SenderReport),
        Just(Attack::OwnSsrc),
        Just(Attack::OwnReport),
    ]
}

fn stranger() -> impl Strategy<Value = Stranger> {
    let when = (0..END_MS / 10, prop_oneof![Just(10), Just(20), Just(60), Just(400), Just(5_000)]);
    (attack(), 6_000..6_008u16, when, any::<bool>()).prop_map(|(attack, port, (from, every_ms), rtcp_port)| Stranger {
        attack,
        port: port - port % 2,
        from_ms: from * 10,
        every_ms,
        rtcp_port,
    })
}

fn plot() -> impl Strategy<Value = Plot> {
    let latching = prop_oneof![Just(Latching::Strict), Just(Latching::Once), Just(Latching::Relatch)];
    let hold = prop::option::of((150..250u64, 20..300u64).prop_map(|(from, len)| (from * 10, (from + len) * 10)));
    (latching, any::<bool>(), 0..100u64, hold, prop::option::of(550..700u64)).prop_map(
        |(latching, mux, speaks, hold, moves)| Plot {
            latching,
            mux,
            speaks_ms: speaks * 10,
            hold,
            moves_ms: moves.map(|moves| moves * 10),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn strangers_change_nothing(plot in plot(), strangers in prop::collection::vec(stranger(), 0..6)) {
        if let Err(what) = run(&plot, &strangers) {
            prop_assert!(false, "{}", what);
        }
    }
}

const PLAIN: Plot = Plot { latching: Latching::Relatch, mux: true, speaks_ms: 1_000, hold: None, moves_ms: None };

fn from_the_start(attack: Attack, every_ms: u64) -> Stranger {
    Stranger { attack, port: 6_000, from_ms: 0, every_ms, rtcp_port: false }
}

#[test]
fn two_bytes_dont_steal_a_call() {
    assert_eq!(run(&PLAIN, &[from_the_start(Attack::TwoBytes, 400)]), Ok(()));
}

#[test]
fn a_goodbye_before_the_first_packet_ends_nothing() {
    assert_eq!(run(&PLAIN, &[from_the_start(Attack::ReportAndBye, 5_000)]), Ok(()));
}

#[test]
fn a_goodbye_on_the_port_of_rtcp_after_five_reports_ends_nothing() {
    let report = Stranger { rtcp_port: true, ..from_the_start(Attack::SenderReport, 400) };
    let bye = Stranger { attack: Attack::ReportAndBye, from_ms: 3_000, ..report };
    assert_eq!(run(&Plot { mux: false, ..PLAIN }, &[report, bye]), Ok(()));
}

#[test]
fn a_stranger_between_its_packets_does_not_stop_a_peer_that_moves() {
    for attack in [Attack::TwoBytes, Attack::Scattered, Attack::Stream, Attack::OwnSsrc] {
        let plot = Plot { speaks_ms: 0, moves_ms: Some(5_000), ..PLAIN };
        let stranger = Stranger { from_ms: 3_000, ..from_the_start(attack, 60) };
        assert_eq!(run(&plot, &[stranger]), Ok(()), "{attack:?}");
    }
}

#[test]
fn a_stream_that_comes_first_gives_way_to_the_address_of_the_sdp() {
    assert_eq!(run(&PLAIN, &[from_the_start(Attack::Stream, 20)]), Ok(()));
}

#[test]
fn a_stream_during_a_hold_gets_nothing() {
    let plot = Plot { speaks_ms: 0, hold: Some((1_000, 6_000)), ..PLAIN };
    assert_eq!(run(&plot, &[Stranger { from_ms: 1_200, ..from_the_start(Attack::Stream, 20) }]), Ok(()));
}

/// One port is one source: while it is believed, a packet of an unknown payload type waits for its turn like every other.
#[test]
fn a_stream_that_comes_first_and_sends_more_gives_way_too() {
    let plot = Plot { latching: Latching::Once, speaks_ms: 420, ..PLAIN };
    for attack in [Attack::Unagreed, Attack::OwnSsrc, Attack::ReportAndBye] {
        let more = Stranger { from_ms: 10, ..from_the_start(attack, 10) };
        assert_eq!(run(&plot, &[from_the_start(Attack::Stream, 10), more]), Ok(()), "{attack:?}");
    }
}
