//! After construction a call allocates nothing: two calls exchange 10,000 packets over a bad network, with an SSRC change,
//! redundancy and RTCP with VoIP metrics, while an allocator counts. It also prints what a call keeps on the heap.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::num::NonZeroU16;

use dsp_core::codec::Adaptation;
use dsp_core::codec::l16::L16;
use dsp_core::front::{CaptureBlock, Near, Step};
use dsp_core::guard::srtp::Mki;
use dsp_core::process::activity::SpeechDetector;
use dsp_core::receive::strategy::{Estimate, Strategy};
use dsp_core::receive::{DelayConfig, Played};
use dsp_core::send::KeyPress;
use dsp_core::time::{Duration, Instant, PayloadType, Ssrc};
use dsp_core::tone::Digit;
use dsp_core::wire::DatagramKind;
use dsp_core::wire::rtp::RtpPacket;
use host_std::opus::OpusEncoderConfig;
use host_std::player::{Blend, Player};
use host_std::record::fork::{Forked, fork};
use host_std::record::recorder::{Recorder, RecorderConfig};
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::room::{Room, RoomConfig};
use host_std::sdp::{CryptoSuite, Direction, ExtensionOptions, FeedbackOptions};
use host_std::session::{
    AdaptationConfig, Call, CallConfig, CaptureConfig, Channel, Contributors, EchoSettings, HostFront, IceConfig,
    IceMode, Identity, Incoming, OwnBlock, OwnDecoders, OwnDetector, OwnStrategy, PACKET_BYTES, PacketDirection,
    SrtpOptions, Tap, ToneDetection, Transmit, TurnServer, TurnTransport,
};
use host_std::simulate::bottleneck::{Bottleneck, BottleneckConfig};
use host_std::simulate::netsim::{Network, NetworkConfig};
use media_core_tests::road::babble;
use media_core_tests::turn_server::{PASSWORD, Passed, TurnModel, USER};

/// Counts what each thread allocates: tests run side by side.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE_BYTES: Cell<i64> = const { Cell::new(0) };
}

fn count(bytes: i64) {
    ALLOCATIONS.set(ALLOCATIONS.get() + u64::from(bytes > 0));
    LIVE_BYTES.set(LIVE_BYTES.get() + bytes);
}

// SAFETY: every call is handed on to the system's allocator unchanged; counting itself doesn't allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A datagram on its way; the slots are made before the counting starts.
struct Slot {
    arrival: Option<Instant>,
    to: usize,
    len: usize,
    channel: Channel,
    bytes: [u8; 1_500],
}

struct Pair {
    calls: [Call; 2],
    /// Of each side, one a stream.
    fronts: [Vec<Box<HostFront>>; 2],
    speech: [Vec<i16>; 2],
    said: usize,
    networks: [Network; 2],
    slots: Vec<Slot>,
    allocations: u64,
    packets: u32,
    reports: u32,
}

const ADDRESSES: [SocketAddr; 2] = [
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 4_000)),
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 5_000)),
];

impl Pair {
    fn new(
        codec: CodecFormat,
        channels: u8,
        sources: usize,
        streams: usize,
        sound: Option<(u32, u8)>,
        adaptation: Option<AdaptationConfig>,
    ) -> Self {
        let opus = OpusEncoderConfig { sample_rate_hz: 16_000, channels, ..OpusEncoderConfig::default() };
        let registry = Registry::builtin().with(Opus(opus));
        let call = |side: usize| {
            let port = ADDRESSES[side].port();
            let base = CallConfig::with_identity(port, Identity::seeded(side as u64));
            let first = if streams > 1 { codec.clone().with_payload_type(NUMBER) } else { codec.clone() };
            let (codecs, registry) = (vec![first], registry.clone());
            let buffer_bytes = (sources > 1).then_some(PACKET_BYTES * sources as u32);
            // Where there are two streams, all that a user can put in is there too.
            let own = streams > 1;
            let own_block = own.then(|| OwnBlock::in_float(|_| FarEnd));
            let echo = own.then(EchoSettings::default);
            let capture = CaptureConfig { echo, own: own_block, ..CaptureConfig::default() };
            let detector = own.then(|| OwnDetector::new(|_| Breaths(0)));
            let strategy = own.then(|| OwnStrategy::new(|_| Counted));
            let decoders = own.then(|| OwnDecoders::new(|sound| (NUMBER, L16::new(sound.sample_rate_hz, 1).unwrap())));
            // Several sources wait for what is late, so that the budget is exceeded; one is as a call is by default.
            let delay = if sources > 1 { DelayConfig::listening() } else { base.delay };
            let metering = own;
            let base =
                CallConfig { capture, metering, detector, strategy, decoders, delay, comfort_noise: own, ..base };
            // Every header extension and feedback, in the longest of SRTP's suites with an identifier in each packet.
            let base = if own {
                let both = Direction::SendRecv;
                let extensions =
                    ExtensionOptions { mixer_levels: both, absolute_send_time: both, ..Default::default() };
                let feedback = FeedbackOptions { profile: true, ..FeedbackOptions::default() };
                let mut srtp_options = SrtpOptions::only([CryptoSuite::AeadAes256Gcm]);
                srtp_options.terms.mki = Mki::new(7, 4);
                CallConfig { extensions, feedback, srtp_options, ..base }
            } else {
                base
            };
            let circuit_breaker = adaptation.is_some();
            let base =
                CallConfig { tones: ToneDetection::Always, mute_tones: true, adaptation, circuit_breaker, ..base };
            let mut call =
                Call::new(CallConfig { codecs, registry, redundancy: 1, sources, buffer_bytes, sound, ..base })
                    .unwrap();
            for _ in 1..streams {
                call.add_stream(std::slice::from_ref(&codec)).unwrap();
                call.set_tap(Box::new(Seen::default()));
            }
            call
        };
        let (mut first, mut second) = (call(0), call(1));
        let offer = first.offer().unwrap();
        let (before, counted) = (LIVE_BYTES.get(), second.memory_bytes() as i64);
        let answer = second.answer(Instant::ZERO, &offer).unwrap();
        let heap = LIVE_BYTES.get() - before - answer.len() as i64;
        println!(
            "{codec}: a call is {} bytes, media on the heap {heap} (C libraries apart), sum by its own count {}",
            size_of::<Call>(),
            second.memory_bytes()
        );
        // Tables of resamplers belong to all calls: whoever needs one first makes it.
        let tables = if sound.is_some() { TABLE_BYTES } else { 0 };
        assert!(heap + (size_of::<Call>() as i64) < 130_000 * (sources * streams) as i64 + tables, "{heap}");
        // Its own count knows the codecs' own memory, SDP texts and lists less than exactly.
        let own = second.memory_bytes() as i64 - counted;
        assert!((heap - own).abs() < 4_096 * (sources * streams) as i64 + tables, "{heap} and {own}");
        first.accept(Instant::ZERO, &answer).unwrap();
        let rate_hz = first.sample_rate_hz().unwrap();
        let network = NetworkConfig {
            loss_percent: 10.0,
            burst: 2.0,
            delay_ms: 20.0,
            jitter_ms: 30.0,
            reorder_percent: 3.0,
            duplicate_percent: 3.0,
        };
        let slot = |_| Slot { arrival: None, to: 0, len: 0, channel: Channel::Rtp, bytes: [0; 1_500] };
        let front = |call: &Call| (0..streams).map(|stream| call.stream_front_end(stream).unwrap()).collect();
        let fronts = [&first, &second].map(front);
        Self {
            calls: [first, second],
            fronts,
            speech: [babble(rate_hz * u32::from(channels), 20, 0), babble(rate_hz * u32::from(channels), 20, 1)],
            said: 0,
            networks: [1, 2].map(|seed| {
                let network = Network::new(network, seed);
                let narrow = BottleneckConfig { rate_bps: 40_000.0, queue_ms: 400.0, bulk: None };
                if adaptation.is_some() { network.behind(Bottleneck::new(narrow)) } else { network }
            }),
            slots: (0..512).map(slot).collect(),
            allocations: 0,
            packets: 0,
            reports: 0,
        }
    }

    /// Runs something of a call and counts what it allocates.
    fn counted<R>(&mut self, side: usize, run: impl FnOnce(&mut Call) -> R) -> R {
        let before = ALLOCATIONS.get();
        let result = run(&mut self.calls[side]);
        self.allocations += ALLOCATIONS.get() - before;
        result
    }

    fn carry(&mut self, side: usize, now: Instant, transmit: Transmit, bytes: &[u8]) {
        for arrival in self.networks[side].carry_datagram(now, transmit.len).into_iter().flatten() {
            let slot = self.slots.iter_mut().find(|slot| slot.arrival.is_none()).expect("enough slots");
            slot.arrival = Some(arrival);
            slot.to = 1 - side;
            slot.len = transmit.len;
            slot.channel = transmit.channel;
            slot.bytes[..transmit.len].copy_from_slice(&bytes[..transmit.len]);
        }
    }

    fn deliver(&mut self, now: Instant) {
        loop {
            let due = self.slots.iter().enumerate().filter_map(|(n, slot)| Some((slot.arrival?, n))).min();
            let Some((arrival, n)) = due.filter(|(arrival, _)| *arrival <= now) else { return };
            self.slots[n].arrival = None;
            let (to, len, channel) = (self.slots[n].to, self.slots[n].len, self.slots[n].channel);
            let mut bytes = self.slots[n].bytes;
            let incoming =
                self.counted(to, |call| call.receive(arrival, channel, ADDRESSES[1 - to], &mut bytes[..len]));
            self.reports += u32::from(incoming == Incoming::Control);
        }
    }

    fn tick(&mut self, now: Instant) {
        self.deliver(now);
        let samples = self.speech[0].len() / 2_000;
        let mut datagram = [0u8; 1_500];
        for side in 0..2 {
            for stream in 0..self.fronts[side].len() {
                let channels = usize::from(self.fronts[side][stream].config().channels);
                self.fronts[side][stream].begin(now, samples / channels, true).unwrap();
                loop {
                    let before = ALLOCATIONS.get();
                    let step = self.fronts[side][stream].step(&mut self.calls[side].stream(stream), &mut datagram);
                    self.allocations += ALLOCATIONS.get() - before;
                    match step {
                        Some(Step::Loudspeaker { .. }) => {}
                        Some(Step::Microphone(microphone)) => {
                            microphone.pcm.copy_from_slice(&self.speech[side][self.said..self.said + samples]);
                        }
                        Some(Step::Transmit(transmit)) => {
                            self.packets += u32::from(DatagramKind::of(&datagram[..transmit.len]) == DatagramKind::Rtp);
                            self.carry(side, now, transmit, &datagram);
                        }
                        None => break,
                    }
                }
            }
        }
        self.said = (self.said + samples) % self.speech[0].len();
    }
}

/// How many packets a budget for several sources cost.
fn run(codec: CodecFormat, channels: u8, sources: usize, streams: usize) -> u32 {
    run_at(None, codec, channels, sources, streams)
}

/// The same with a device of that sound, or of the codec's own.
fn run_at(sound: Option<(u32, u8)>, codec: CodecFormat, channels: u8, sources: usize, streams: usize) -> u32 {
    let mut pair = Pair::new(codec.clone(), channels, sources, streams, sound, None);
    let (mut now, mut digits) = (Instant::ZERO, 0);
    while pair.packets < 10_000 * streams as u32 {
        if now == Instant::from_millis(40_000) {
            pair.calls[0].change_source(now, &Identity::seeded(9)).unwrap();
        }
        // Now and then it follows the network.
        if now.as_micros().is_multiple_of(1_000_000) && (streams > 1 || codec.is_named("opus")) {
            let shorter = now.as_micros().is_multiple_of(2_000_000);
            let wanted = Adaptation::default().with_bit_rate(24_000).with_expected_loss(10);
            let wanted = wanted.with_packet_ms(if shorter { 10 } else { 20 });
            let taken = pair.counted(0, |call| call.adapt(&wanted)).unwrap();
            assert!(taken.packet_ms.is_some() && taken.bit_rate_bps.is_some() == codec.is_named("opus"));
        }
        if now.as_micros() % 6_000_000 == 2_000_000 {
            let keys = [Digit::One, Digit::Pound].map(|digit| KeyPress::of(digit.into()));
            for side in 0..2 {
                pair.counted(side, |call| call.send_digits(&keys)).unwrap();
            }
        }
        if streams > 1 {
            let mut contributors = Contributors::default();
            for source in 0..now.as_millis() / 1_000 % 20 {
                contributors.push_loudest(Ssrc(source as u32), -30);
            }
            pair.counted(1, |call| call.set_contributors(0, &contributors));
        }
        pair.tick(now);
        for side in 0..2 {
            digits += u32::from(pair.counted(side, Call::next_digit).is_some());
        }
        now += Duration::from_millis(10);
    }
    let mut datagram = [0; 1_500];
    assert!(
        pair.counted(0, |call| {
            call.hang_up();
            call.transmit(now, &mut datagram)
        })
        .is_some()
    );
    let [first, second] = [0, 1].map(|side| pair.calls[side].stats());
    println!("{codec}: {} packets, {} reports, {} allocations", pair.packets, pair.reports, pair.allocations);
    assert_eq!(pair.allocations, 0);
    // All of it has happened.
    assert!(pair.reports > 10);
    assert!(digits > 40, "{digits}");
    if streams > 1 {
        let feedback = first.feedback.unwrap();
        assert!(feedback.arrived > 5_000 && feedback.lost > 300 && feedback.messages > 100, "{feedback:?}");
        let source = pair.calls[0].sources().next().unwrap();
        assert!(source.level.is_some() && !source.contributors.is_empty(), "{source:?}");
        assert!(ASKED.get() > 20_000, "the strategy was asked");
        for front in pair.fronts.iter_mut().flatten() {
            assert!(front.block(0).is_some_and(|block| block.echo().is_some()), "the canceller has run");
        }
        for call in &pair.calls {
            let heard = [0, 1].map(|stream| call.stream_stats(stream).unwrap().receiver.decoded_packets);
            assert!(heard.iter().all(|packets| *packets > 1_000), "{heard:?}");
            let told = call.tap::<Seen>().unwrap();
            assert!(told.packets > 9_000 && told.samples > 0, "the tap sees all");
            let noise = [0, 1].map(|stream| call.stream_stats(stream).unwrap().sender.noise_packets);
            assert!(noise.iter().all(|packets| *packets > 0), "the detector was heard: {noise:?}");
        }
    }
    if sources == 1 {
        assert_eq!(second.receiver.ssrc_changes, 1);
    } else {
        // The one before has said goodbye.
        assert_eq!((second.sources.admitted, second.sources.left, pair.calls[1].sources().count()), (2, 1, 1));
    }
    // Of several sources the first has ended long ago.
    for stats in [first, second].into_iter().take(if sources == 1 { 2 } else { 1 }) {
        let heard = stats.receiver;
        assert!(
            heard.duplicate + stats.refused > 50 && heard.reception.reordered > 50 && heard.concealed_samples > 1_000,
            "{heard:?}"
        );
        assert!(heard.redundant_used > 100 && stats.mos_cq.is_some(), "{stats:?}");
        // Metrics are about the first source, which is the other side's old one here.
        assert!(stats.remote_voip.is_some() || sources > 1, "{stats:?}");
        // Where a digit is, there is no sound.
        assert!(heard.decoded_samples * 10 > (heard.played_samples - heard.silence_samples) * 7, "{heard:?}");
        assert_eq!((stats.foreign, stats.send_errors), (0, 0));
    }
    first.receiver.crowded_out + second.receiver.crowded_out
}

#[test]
fn pcmu_allocates_nothing() {
    run(CodecFormat::pcmu(), 1, 1, 1);
}

#[test]
fn l16_allocates_nothing() {
    run(CodecFormat::l16(16_000, 1), 1, 1, 1);
}

#[test]
fn opus_allocates_nothing() {
    run(CodecFormat::opus(), 1, 1, 1);
}

/// Bit rate, packet length and redundancy change with what a narrow link carries, by reports.
#[test]
fn a_call_that_follows_the_network_allocates_nothing() {
    let mut pair = Pair::new(CodecFormat::opus(), 1, 1, 1, None, Some(AdaptationConfig::default()));
    let mut lengths = Vec::new();
    for tick in 0..12_000 {
        pair.tick(Instant::from_millis(10 * tick));
        let taken = pair.calls[0].stats().adaptation.unwrap().taken;
        if lengths.last() != Some(&taken.packet_ms) {
            lengths.push(taken.packet_ms);
        }
    }
    println!("{} allocations; packets of {lengths:?} ms", pair.allocations);
    assert!(lengths.iter().flatten().any(|&ms| ms > 20), "no packet became longer than at first");
    assert_eq!(pair.allocations, 0);
}

/// A source comes in mid-call, beside the one that is heard; now and then the budget is too small.
#[test]
fn several_sources_allocate_nothing() {
    assert!(run(CodecFormat::l16(16_000, 1), 1, 3, 1) > 100);
}

/// Two streams over one port, an echo canceller with every part, all parts that a user can make, a block that looks back on
/// the far end among them, and a tap.
#[test]
fn two_streams_with_own_parts_and_a_tap_allocate_nothing() {
    run(CodecFormat::l16(16_000, 1), 1, 1, 2);
}

/// What L16 is sent as, decoded by a table of the user's own.
const NUMBER: PayloadType = PayloadType::from_low_bits(110);

/// At 16 kHz 300 ms without speech every 12 s.
struct Breaths(usize);

impl SpeechDetector for Breaths {
    fn is_speech(&mut self, pcm: &[i16]) -> bool {
        self.0 += pcm.len();
        self.0 % 192_000 >= 4_800
    }
}

/// The delay that the network asks for; counts how often it is asked.
struct Counted;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

impl Strategy for Counted {
    fn target(&mut self, estimate: &Estimate) -> u32 {
        ASKED.set(ASKED.get() + 1);
        estimate.target
    }
}

/// Takes a little of the far end out of each frame.
struct FarEnd;

impl CaptureBlock<f32> for FarEnd {
    fn process(&mut self, frame: &mut [f32], near: &Near<'_>) {
        let mut far = [0; 160];
        near.render.read(near.captured_at - Duration::from_millis(40), near.channel, &mut far);
        frame.iter_mut().zip(far).for_each(|(near, far)| *near -= f32::from(far) / 3_276_800.0);
    }
    fn reset(&mut self) {}
    fn delay_samples(&self) -> usize {
        0
    }
}

#[derive(Default)]
struct Seen {
    packets: u32,
    samples: usize,
}

impl Tap for Seen {
    fn packet(&mut self, _: Instant, _: PacketDirection, _: &RtpPacket<'_>) {
        self.packets += 1;
    }
    fn source(&mut self, _: Instant, _: Ssrc, _: &Played, pcm: &[i16]) {
        self.samples += pcm.len();
    }
}

/// The counter counts: a test that can't fail proves nothing.
/// The checks of ICE are another crate's, which makes each message on the heap: two or three times in five seconds. Packets
/// of sound between them allocate nothing.
#[test]
fn between_connectivity_checks_nothing_is_allocated() {
    let mut calls = [0, 1].map(|side: usize| {
        let base = CallConfig::with_identity(ADDRESSES[side].port(), Identity::seeded(side as u64));
        let ice = IceConfig { mode: IceMode::Full, ..IceConfig::default() };
        Call::new(CallConfig { codecs: vec![CodecFormat::pcmu()], ice, ..base }).unwrap()
    });
    let offer = calls[0].offer().unwrap();
    let answer = calls[1].answer(Instant::ZERO, &offer).unwrap();
    calls[0].accept(Instant::ZERO, &answer).unwrap();
    let (mut pcm, mut datagram, mut now) = ([0; 80], [0; 1_500], Instant::ZERO);
    let (mut of_checks, mut checks, mut packets) = (0, 0, 0);
    for tick in 0..7_000u32 {
        for side in 0..2 {
            let before = ALLOCATIONS.get();
            calls[side].play(now, &mut pcm);
            pcm.iter_mut().zip(0..).for_each(|(sample, n)| *sample = (n * 311 + tick as i32 % 97) as i16);
            calls[side].capture(now, &pcm);
            let mut of_others = ALLOCATIONS.get() - before;
            loop {
                let before = ALLOCATIONS.get();
                let transmit = calls[side].transmit(now, &mut datagram);
                let is_check =
                    transmit.is_some_and(|sent| DatagramKind::of(&datagram[..sent.len]) == DatagramKind::Stun);
                if let Some(transmit) = transmit {
                    calls[1 - side].receive(now, transmit.channel, ADDRESSES[side], &mut datagram[..transmit.len]);
                }
                let allocated = ALLOCATIONS.get() - before;
                // The first seconds set up the call.
                match (tick < 1_000, is_check) {
                    (true, _) => of_others = 0,
                    (false, true) => (of_checks, checks) = (of_checks + allocated, checks + 1),
                    (false, false) => {
                        (of_others, packets) = (of_others + allocated, packets + u32::from(transmit.is_some()))
                    }
                }
                if transmit.is_none() {
                    break;
                }
            }
            assert_eq!(of_others, 0, "tick {tick} of side {side}");
        }
        now += Duration::from_millis(10);
    }
    println!("{checks} checks and answers in 60 s: {of_checks} allocations; {packets} packets: none");
    assert!(packets > 5_900 && (40..=70).contains(&checks), "{packets} {checks}");
    let bound = 40 * checks;
    assert!(of_checks > 0 && of_checks <= bound, "{of_checks} of {checks} checks");
}

/// As above, through a TURN server: what is asked of it may allocate, and no packet.
#[test]
fn through_a_turn_server_packets_allocate_nothing() {
    let server: SocketAddr = "198.51.100.7:3478".parse().unwrap();
    let mut model = TurnModel::new(server);
    let mut calls = [0, 1].map(|side| {
        let base = CallConfig::with_identity(ADDRESSES[side].port(), Identity::seeded(side as u64 + 50));
        let mut ice = IceConfig { mode: IceMode::Full, ..IceConfig::default() };
        if side == 0 {
            ice.relay_only = true;
            let (user, password) = (USER.into(), PASSWORD.into());
            ice.turn.push(TurnServer { address: server, transport: TurnTransport::Udp, user, password });
        }
        Call::new(CallConfig { codecs: vec![CodecFormat::pcmu()], ice, ..base }).unwrap()
    });
    let (mut pcm, mut datagram, mut now) = ([0; 80], [0; 1_500], Instant::ZERO);
    let (mut packets, mut of_server) = (0, 0u64);
    for tick in 0..35_000u32 {
        if tick == 100 {
            let offer = calls[0].offer().unwrap();
            let answer = calls[1].answer(now, &offer).unwrap();
            calls[0].accept(now, &answer).unwrap();
        }
        for side in 0..2 {
            let before = ALLOCATIONS.get();
            calls[side].play(now, &mut pcm);
            pcm.iter_mut().zip(0..).for_each(|(sample, n)| *sample = (n * 311 + tick as i32 % 97) as i16);
            calls[side].capture(now, &pcm);
            let mut of_packets = ALLOCATIONS.get() - before;
            loop {
                let before = ALLOCATIONS.get();
                let sent = calls[side].transmit(now, &mut datagram);
                let allocated = ALLOCATIONS.get() - before;
                let Some(transmit) = sent else { break };
                let bytes = &datagram[..transmit.len];
                // Sound has a channel on one side, and none on the other.
                let inner = if bytes[0] & 0xc0 == 0x40 { &bytes[4..] } else { bytes };
                let is_packet = DatagramKind::of(inner) != DatagramKind::Stun;
                let from = ADDRESSES[side];
                let passed = match model.take_for_relayed(now, from, transmit.to, bytes) {
                    _ if transmit.to == server => model.take(now, from, bytes),
                    Some(passed) => passed,
                    None => panic!("a direct way: {transmit:?}"),
                };
                let mut received = 0;
                for Passed { from, to, mut bytes } in passed {
                    let Some(to) = ADDRESSES.iter().position(|own| *own == to) else { continue };
                    let before = ALLOCATIONS.get();
                    calls[to].receive(now, Channel::Rtp, from, &mut bytes);
                    received += ALLOCATIONS.get() - before;
                }
                if is_packet {
                    of_packets += allocated + received;
                    packets += u32::from(tick >= 1_000);
                } else {
                    of_server += allocated + received;
                }
            }
            assert!(tick < 1_000 || of_packets == 0, "tick {tick} of side {side}: {of_packets}");
        }
        now += Duration::from_millis(10);
    }
    println!("{packets} packets: none; checks, and questions to the server: {of_server} allocations");
    assert!(packets > 33_900 && model.count(8)[0] >= 2 && model.by_indication < 20, "{packets} {:?}", model.count(8));
}

#[test]
fn an_allocation_is_seen() {
    let before = (ALLOCATIONS.get(), LIVE_BYTES.get());
    let bytes = std::hint::black_box(vec![1u8; 1_000]);
    assert_eq!((ALLOCATIONS.get(), LIVE_BYTES.get()), (before.0 + 1, before.1 + 1_000));
    drop(bytes);
    assert_eq!(LIVE_BYTES.get(), before.1);
}

#[test]
fn stereo_allocates_nothing() {
    run(CodecFormat::l16(8_000, 2), 2, 1, 1);
    run(CodecFormat::opus(), 2, 1, 1);
    run(CodecFormat::opus(), 2, 3, 1);
}

/// Of a device of 44.1 kHz, at most: to 16 kHz 160 sets of 184 taps, and back 441 of 64, 4 bytes each; and
/// what keeps them.
const TABLE_BYTES: i64 = (160 * 184 + 441 * 64) * 4 + 8_192;

/// A device of another rate than the call's, so that all that is heard and said is resampled; in mono and in stereo.
#[test]
fn a_converting_device_allocates_nothing() {
    for codec in [CodecFormat::opus(), CodecFormat::l16(16_000, 1), CodecFormat::g722(), CodecFormat::pcmu()] {
        run_at(Some((44_100, 1)), codec, 1, 1, 1);
    }
    run_at(Some((44_100, 2)), CodecFormat::l16(8_000, 2), 2, 1, 1);
}

/// A room whose members talk, with an announcement, a recording and a fork, after all have joined.
#[test]
fn a_room_its_recording_and_a_fork_allocate_nothing() {
    let mut room = Room::new(RoomConfig { sample_rate_hz: 16_000, capacity: 5, loudest: NonZeroU16::new(2) }).unwrap();
    let members = [room.join().unwrap(), room.join().unwrap(), room.join().unwrap()];
    let path = std::env::temp_dir().join(format!("media-core-{}-no-alloc.wav", std::process::id()));
    let config = RecorderConfig { tracks: 2, ..RecorderConfig::new(&path) };
    let (recorder, mut tracks) = Recorder::start(config).unwrap();
    room.set_track(tracks.pop());
    room.set_member_track(members[0], tracks.pop()).unwrap();
    room.announce(Player::of_samples(vec![500; 16_000], 1, false)).unwrap();
    room.announce_to(members[1], Player::of_samples(vec![300; 8_000], 1, true), Blend::Mixed).unwrap();
    let (mut tap, reader) = fork(Forked::Both, 16_000);
    let (mut heard, mut loud) = ([0; 160], [0; 160]);
    let before = ALLOCATIONS.get();
    for tick in 0..300u64 {
        let now = Instant::from_millis(10 * tick);
        for (n, member) in members.iter().enumerate() {
            let talks = tick / 50 % 3 == n as u64;
            loud.iter_mut().enumerate().for_each(|(at, x)| *x = if talks { (at as i16 % 40 - 20) * 1_500 } else { 3 });
            assert!(room.say(*member, &loud));
        }
        room.set_muted(members[2], tick % 100 > 90).unwrap();
        room.mix();
        for member in members {
            assert!(room.hear(member, &mut heard));
        }
        tap.captured(now, 0, &heard);
        tap.played(now, 0, &Played::default(), &heard);
    }
    assert_eq!(ALLOCATIONS.get(), before);
    assert!(reader.dropped() > 100, "a fork that nobody reads drops");
    recorder.stop().unwrap();
    std::fs::remove_file(path).unwrap();
}
