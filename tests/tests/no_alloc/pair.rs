//! Two calls over a bad network, with all parts that a user can make; what each step of theirs allocates is counted.

use std::cell::Cell;
use std::net::SocketAddr;

use dsp_core::codec::l16::L16;
use dsp_core::front::{CaptureBlock, Near, Step};
use dsp_core::guard::srtp::Mki;
use dsp_core::process::activity::SpeechDetector;
use dsp_core::receive::strategy::{Estimate, Strategy};
use dsp_core::receive::{DelayConfig, Played};
use dsp_core::time::{Duration, Instant, PayloadType, Ssrc};
use dsp_core::wire::DatagramKind;
use dsp_core::wire::rtp::RtpPacket;
use host_std::opus::OpusEncoderConfig;
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::sdp::{CryptoSuite, Direction, ExtensionOptions, FeedbackOptions};
use host_std::session::{
    AdaptationConfig, Call, CallConfig, CaptureConfig, Channel, EchoSettings, HostFront, Identity, Incoming, OwnBlock,
    OwnDecoders, OwnDetector, OwnStrategy, PACKET_BYTES, PacketDirection, SrtpOptions, Tap, ToneDetection, Transmit,
};
use host_std::simulate::bottleneck::{Bottleneck, BottleneckConfig};
use host_std::simulate::netsim::{Network, NetworkConfig};
use media_core_tests::road::babble;

use super::{ALLOCATIONS, LIVE_BYTES};

/// A datagram on its way; the slots are made before the counting starts.
struct Slot {
    arrival: Option<Instant>,
    to: usize,
    len: usize,
    channel: Channel,
    bytes: [u8; 1_500],
}

pub(super) struct Pair {
    pub(super) calls: [Call; 2],
    /// Of each side, one a stream.
    pub(super) fronts: [Vec<Box<HostFront>>; 2],
    speech: [Vec<i16>; 2],
    said: usize,
    networks: [Network; 2],
    slots: Vec<Slot>,
    pub(super) allocations: u64,
    pub(super) packets: u32,
    pub(super) reports: u32,
}

pub(super) const ADDRESSES: [SocketAddr; 2] = [
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 4_000)),
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 5_000)),
];

/// Of a device of 44.1 kHz, at most: to 16 kHz 160 sets of 184 taps, and back 441 of 64, 4 bytes each; and
/// what keeps them.
const TABLE_BYTES: i64 = (160 * 184 + 441 * 64) * 4 + 8_192;

impl Pair {
    pub(super) fn new(
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
    pub(super) fn counted<R>(&mut self, side: usize, run: impl FnOnce(&mut Call) -> R) -> R {
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

    pub(super) fn tick(&mut self, now: Instant) {
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
    pub(super) static ASKED: Cell<u64> = const { Cell::new(0) };
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
pub(super) struct Seen {
    pub(super) packets: u32,
    pub(super) samples: usize,
}

impl Tap for Seen {
    fn packet(&mut self, _: Instant, _: PacketDirection, _: &RtpPacket<'_>) {
        self.packets += 1;
    }
    fn source(&mut self, _: Instant, _: Ssrc, _: &Played, pcm: &[i16]) {
        self.samples += pcm.len();
    }
}
