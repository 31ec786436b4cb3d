//! A phone: one call's stream and its device side on ticks of 10 ms; of G.711, at 8 kHz, unless other codecs are named.
//!
//! [`PhoneOf::tick`] is the loop's body for firmware: it waits for the microphone, takes in what the network brings
//! meanwhile, and does one tick in the order of [`dsp_core::front::tick`]. Firmware with a loop of its own has what lies
//! beneath: [`PhoneOf::receive`], [`PhoneOf::begin`] and [`PhoneOf::step`].
//!
//! [`Phone`] has no capture block; [`PhoneWith`] has one between microphone and sender, such as an echo canceller, and
//! `HISTORY` samples of what was played for it. Other codecs, comfort noise and a strategy of one's own are
//! [`parts`](crate::parts).
//!
//! Memory: a [`Phone`] takes 10 KiB, of which the receiver takes most; no heap. All arithmetic is integer.
//!
//! A block of one's own, which halves what the microphone hears where the loudspeaker is loud:
//!
//! ```
//! use dsp_core::front::{CaptureBlock, Near};
//! use host_embedded::phone::{PhoneConfig, PhoneWith, SAMPLE_RATE_HZ, TICK};
//! # use dsp_core::time::Instant;
//! # use embassy_futures::block_on;
//! # use host_embedded::sim::{SimClock, SimNetwork, SimPort};
//!
//! struct HalfDuplex;
//!
//! impl CaptureBlock<i16> for HalfDuplex {
//!     fn process(&mut self, frame: &mut [i16], near: &Near<'_>) {
//!         let mut far = [0; TICK];
//!         near.render.read(near.captured_at, near.channel, &mut far);
//!         if far.iter().any(|&sample| sample.unsigned_abs() > 1_000) {
//!             frame.iter_mut().for_each(|sample| *sample /= 2);
//!         }
//!     }
//!     fn reset(&mut self) {}
//!     fn delay_samples(&self) -> usize {
//!         0
//!     }
//! }
//!
//! // 100 ms of the far end are kept.
//! let mut phone = PhoneWith::<_, 800>::with_block(PhoneConfig::default(), HalfDuplex)?;
//! phone.front().set_volume(-600).expect("at most 18 dB");
//! # let clock = SimClock::default();
//! # let mut port = SimPort::new(&clock, |pcm: &mut [i16; 80]| pcm.fill(1_000), |_: &[i16; 80]| ());
//! # let mut network = SimNetwork::new(&clock, |_, _: &mut [u8]| None, |_: &[u8]| ());
//! for _ in 0..10 {
//!     block_on(phone.tick(&mut port, &mut network));
//! }
//! assert_eq!(phone.send_stats().packets, 5);
//! # Ok::<(), host_embedded::phone::PhoneError>(())
//! ```

use core::fmt;

use dsp_core::front::{CaptureBlock, FrontConfig, FrontEnd, FrontError, Latency, NoBlock, Step};
use dsp_core::process::biquad::BiquadDesign;
use dsp_core::receive::{ConfigError, DelayConfig, Played, ReceiveError, Received, ReceiverStats};
use dsp_core::send::{PacketLengthError, SendError, SendStats, SenderConfig};
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use embassy_futures::select::{Either, select};

use crate::parts::{G711, G711Parts, Parts, PhoneCodecs, PhoneMemory, PhoneParts};
use crate::port::{AudioPort, PortDelay};
use crate::stream::{PhoneStream, TICK_MS};

/// Rate of microphone and loudspeaker of a G.711 phone.
pub const SAMPLE_RATE_HZ: u32 = G711::SAMPLE_RATE_HZ;
/// Samples a tick of a G.711 phone: 10 ms.
pub const TICK: usize = 80;
/// Bytes of the longest datagram that a G.711 phone takes in or sends: 60 ms, with room for contributing sources and a
/// header extension.
pub const DATAGRAM: usize = 640;
/// How long taking in packets may keep a frame of the microphone waiting, unless the board says otherwise: a fifth of a
/// tick.
pub const INTAKE_BUDGET: Duration = Duration::from_millis(2);
/// A packet counts for at least such a share of the budget: a clock may have coarse steps, or stand still.
const LEAST_SHARE: u64 = 32;

/// The phone's network and clock. SRTP, if any, is the network's: it hands over what it has unprotected.
#[allow(async_fn_in_trait, reason = "a phone has one core and one executor: its futures need not be Send")]
pub trait Network {
    /// Waits for a datagram; returns its length and when it arrived. One that is longer than `datagram` may be cut, but
    /// its true length must be returned: the phone drops it. Dropping the future before it is ready loses nothing.
    async fn receive(&mut self, datagram: &mut [u8]) -> (usize, Instant);

    /// Sends a datagram, or drops it if the link is busy.
    fn send(&mut self, datagram: &[u8]);

    /// The time by the clock that arrivals are stamped with. What packets cost is measured by it too, so it should go on
    /// while the phone works, in steps well below [`intake_budget`](Self::intake_budget).
    fn now(&self) -> Instant;

    /// How long packets may keep a frame that is ready waiting, in each tick: the phone takes them in for so long, by
    /// [`now`](Self::now), and then only as long as no frame is ready. So a flood delays a tick by this and one packet.
    /// What is left stays with the network, which must drop and count what it has no room for. [`INTAKE_BUDGET`] unless a
    /// board knows better.
    fn intake_budget(&self) -> Duration {
        INTAKE_BUDGET
    }
}

/// How a phone is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PhoneConfig {
    /// What it sends: of G.711 payload type 0 is mu-law, 8 is A-law. SSRC, sequence number and timestamp should
    /// be random, the sequence number below 2^15 if SRTP is put around it.
    pub sender: SenderConfig,
    /// Bounds of the playout delay.
    pub delay: DelayConfig,
    /// Whether levels of microphone and loudspeaker are measured.
    pub meters: bool,
    /// A filter of the microphone, designed for the phone's rate: a high-pass against rumble and DC. Designed in a
    /// constant it needs no float.
    pub high_pass: Option<BiquadDesign>,
}

impl Default for PhoneConfig {
    /// Mu-law in packets of 20 ms from SSRC 0, the delay of a conversation, at most 200 ms, which is what the receiver has
    /// room for, no meters and no high-pass.
    fn default() -> Self {
        let sender = SenderConfig {
            ssrc: Ssrc(0),
            first_seq: Seq(0),
            first_timestamp: RtpTime(0),
            payload_type: PayloadType::PCMU,
            ptime_ms: 20,
        };
        let delay = DelayConfig { max_ms: 200, ..DelayConfig::conversation() };
        Self { sender, delay, meters: false, high_pass: None }
    }
}

/// Why a phone can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PhoneError {
    /// The receiver's configuration.
    Receiver(ConfigError),
    /// The packets to send can't have this length.
    Sender(PacketLengthError),
    /// None of its codecs is sent as this.
    PayloadType(PayloadType),
    /// The device side.
    Front(FrontError),
}

impl fmt::Display for PhoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receiver(_) => write!(f, "the receiver can't be made"),
            Self::Sender(_) => write!(f, "the sender can't be made"),
            Self::Front(_) => write!(f, "the device side can't be made"),
            Self::PayloadType(payload_type) => write!(f, "no codec is sent as payload type {}", payload_type.get()),
        }
    }
}

impl core::error::Error for PhoneError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Receiver(error) => Some(error),
            Self::Sender(error) => Some(error),
            Self::Front(error) => Some(error),
            Self::PayloadType(_) => None,
        }
    }
}

/// What happened in one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tick {
    /// What was played.
    pub played: Played,
    /// Frames of the microphone that were lost. Then nothing was played either, and the next tick goes on.
    pub overrun: u32,
    /// Frames for which the loudspeaker was silent.
    pub underrun: u32,
    /// Packets that could not be encoded or written.
    pub unsent: u32,
    /// Packets that were taken in, and how long that took.
    pub received: u32,
    /// By [`Network::now`].
    pub intake: Duration,
    /// The budget for that was used up ([`Network::intake_budget`]): packets may be left with the network.
    pub crowded: bool,
}

/// A G.711 phone without parts of one's own.
pub type Phone = PhoneWith<NoBlock, 0>;
/// A G.711 phone with a capture block, which can look back on `HISTORY` samples of what was played.
pub type PhoneWith<B, const HISTORY: usize> = PhoneOf<G711Parts<B>, TICK, HISTORY>;

/// A phone of these parts. `TICK`: samples of 10 ms; `HISTORY`: samples of what was played that its block can look back
/// on.
pub struct PhoneOf<P: PhoneParts, const TICK: usize, const HISTORY: usize> {
    stream: PhoneStream<P>,
    front: FrontEnd<P::Block, TICK, [i16; HISTORY]>,
}

impl Phone {
    /// A phone that waits for its first packet.
    ///
    /// # Errors
    /// [`PhoneError`] if a part of it refuses its part of `config`.
    pub fn new(config: PhoneConfig) -> Result<Self, PhoneError> {
        Self::with_parts(config, Parts::g711(None))
    }
}

impl<B: CaptureBlock<i16>, const HISTORY: usize> PhoneWith<B, HISTORY> {
    /// A phone with a block between microphone and sender. Its frames are [`TICK`] samples.
    ///
    /// # Errors
    /// [`PhoneError`] if a part of it refuses its part of `config`.
    pub fn with_block(config: PhoneConfig, block: B) -> Result<Self, PhoneError> {
        Self::with_parts(config, Parts::g711(Some(block)))
    }
}

impl<P: PhoneParts, const TICK: usize, const HISTORY: usize> PhoneOf<P, TICK, HISTORY> {
    const RATE_HZ: u32 = P::Codecs::SAMPLE_RATE_HZ;

    /// A phone of these parts. It doesn't compile if `TICK` isn't 10 ms of its codecs' sound.
    ///
    /// # Errors
    /// [`PhoneError`] if a part of it refuses its part of `config`.
    #[inline(always)]
    pub fn with_parts(config: PhoneConfig, mut parts: Parts<P>) -> Result<Self, PhoneError> {
        const { assert!(TICK as u32 * 1_000 == Self::RATE_HZ * TICK_MS, "TICK is 10 ms of the sound") };
        let PhoneConfig { meters, high_pass, .. } = config;
        let front = FrontConfig { sample_rate_hz: Self::RATE_HZ, channels: 1, meters, high_pass };
        let front = FrontEnd::new(front, [parts.block.take(), None], [0; HISTORY]).map_err(PhoneError::Front)?;
        Ok(Self { stream: PhoneStream::with_parts(config, parts)?, front })
    }

    /// One tick: 10 ms of microphone and loudspeaker. Call it for ever; `port` paces it.
    pub async fn tick<A: AudioPort<TICK>, N: Network>(&mut self, port: &mut A, network: &mut N) -> Tick {
        let mut tick = Tick::default();
        let mut heard = [0; TICK];
        let mut datagram = <P::Codecs as PhoneCodecs>::Memory::DATAGRAM;
        let datagram = datagram.as_mut();
        // Packets are taken in as they come: when they arrived is what the delay is estimated from. Within the budget
        // they go before a frame that is ready, as it may need them; then the frame goes first.
        let budget = network.intake_budget();
        let (mut spent, least) = (Duration::ZERO, Duration::from_micros(budget.as_micros().div_ceil(LEAST_SHARE)));
        let read = loop {
            tick.crowded = spent >= budget;
            let received = if tick.crowded {
                match select(port.read(&mut heard), network.receive(datagram)).await {
                    Either::First(read) => break read,
                    Either::Second(received) => received,
                }
            } else {
                match select(network.receive(datagram), port.read(&mut heard)).await {
                    Either::First(received) => received,
                    Either::Second(read) => break read,
                }
            };
            let (bytes, arrival) = received;
            let before = network.now();
            // The receiver counts what it can't use.
            let _ = self.receive(arrival, datagram.get(..bytes).unwrap_or_default());
            let took = network.now().since(before);
            tick.received += 1;
            tick.intake = tick.intake + took;
            spent = spent + took.max(least);
        };
        if let Err(overrun) = read {
            tick.overrun = overrun.frames;
            let samples = overrun.frames as usize * TICK;
            self.stream.pause(samples);
            // For how long the loudspeaker was silent meanwhile, the port tells at the next write.
            self.front.overrun(samples);
            return tick;
        }
        self.front.set_latency(port.delay().latency(Self::RATE_HZ));
        self.begin(network.now(), true);
        while let Some(step) = self.step(datagram) {
            match step {
                Step::Loudspeaker { pcm, played } => {
                    tick.played = played;
                    // A tick has so many samples, always.
                    if let Some(pcm) = pcm.first_chunk() {
                        tick.underrun = port.write(pcm).await.map_or_else(|underrun| underrun.frames, |()| 0);
                        self.front.underrun(tick.underrun as usize * TICK);
                    }
                }
                Step::Microphone(microphone) => microphone.pcm.copy_from_slice(&heard),
                Step::Transmit(Ok(bytes)) => network.send(&datagram[..bytes]),
                Step::Transmit(Err(_)) => tick.unsent += 1,
            }
        }
        tick
    }

    /// Takes in one RTP packet that arrived at `now`.
    ///
    /// # Errors
    /// [`ReceiveError`] if it is no RTP packet, or too long.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<Received, ReceiveError> {
        self.stream.receive(now, datagram)
    }

    /// Begins a tick of 10 ms, with or without a microphone, as [`FrontEnd::begin`] does.
    #[inline]
    pub fn begin(&mut self, now: Instant, microphone: bool) {
        let begun = self.front.begin(now, TICK, microphone);
        debug_assert_eq!(begun, Ok(()), "the front end has room for a tick");
    }

    /// Goes on with the tick to where the device or the network is needed, as [`FrontEnd::step`] does. A datagram that
    /// is to be sent comes with its length, or with why it could not be made.
    #[inline(always)]
    pub fn step(&mut self, datagram: &mut [u8]) -> Option<Step<'_, Result<usize, SendError>>> {
        self.front.step(&mut self.stream, datagram)
    }

    /// So many samples of the microphone were lost, and nothing was played meanwhile: time goes on without them.
    pub fn skip(&mut self, samples: usize) {
        self.stream.pause(samples);
        self.front.skip(samples);
    }

    /// The device side: volume, mutes, levels, latency.
    pub fn front(&mut self) -> &mut FrontEnd<P::Block, TICK, [i16; HISTORY]> {
        &mut self.front
    }

    /// Everything counted about the incoming stream.
    pub fn receiver_stats(&self) -> ReceiverStats {
        self.stream.receiver_stats()
    }

    /// Packets and payload bytes sent.
    pub fn send_stats(&self) -> SendStats {
        self.stream.send_stats()
    }
}

impl PortDelay {
    /// At the phone's rate, which the compiler knows. Where a sample lasts a whole number of microseconds there is no
    /// division, each tick.
    #[inline(always)]
    fn latency(self, rate_hz: u32) -> Latency {
        let length = |samples: usize| {
            let whole = 1_000_000u64.is_multiple_of(rate_hz.into());
            Duration::from_micros(match whole {
                true => samples as u64 * (1_000_000 / u64::from(rate_hz)),
                false => samples as u64 * 1_000_000 / u64::from(rate_hz),
            })
        };
        Latency { capture: length(self.capture), playback: length(self.playback) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::Wideband;
    use crate::pump::Pump;
    use crate::sim::{SimClock, SimNetwork, SimPort};
    use core::cell::{Cell, RefCell};
    use dsp_core::codec::g711::Pcmu;
    use dsp_core::codec::g722::{G722Decoder, G722Encoder, Mode};
    use dsp_core::codec::{Decoder, Encoder, PayloadTable};
    use dsp_core::front::Near;
    use dsp_core::process::activity::NoDetector;
    use dsp_core::receive::strategy::Standard;
    use dsp_core::wire::rtp::{RtpHeader, RtpPacket};
    use embassy_futures::block_on;
    use std::vec::Vec;

    fn no_datagram(_: Instant, _: &mut [u8]) -> Option<(usize, Instant)> {
        None
    }

    #[test]
    fn time_goes_on_when_the_microphone_loses_frames() {
        let clock = SimClock::default();
        let sent = RefCell::new(Vec::new());
        let mut network = SimNetwork::new(&clock, no_datagram, |datagram: &[u8]| {
            let packet = RtpPacket::parse(datagram).expect("a packet of its own");
            sent.borrow_mut().push((packet.seq().0, packet.timestamp().0, packet.marker()));
        });
        let pump = Pump::<TICK, 2>::new();
        let mut port = pump.port();
        let mut phone = Phone::new(PhoneConfig::default()).unwrap();
        let mut ticks = Vec::new();
        for n in 0..8 {
            // In the fourth round the task comes three interrupts late.
            for _ in 0..if n == 4 { 4 } else { 1 } {
                pump.half_transfer(&[n; TICK], &mut [0; TICK]);
            }
            ticks.push(block_on(phone.tick(&mut port, &mut network)));
        }
        assert_eq!(ticks[4].overrun, 4);
        assert_eq!(ticks.iter().map(|tick| tick.overrun).sum::<u32>(), pump.counters().overruns);
        assert_eq!(ticks.iter().map(|tick| tick.underrun).sum::<u32>(), pump.counters().underruns);
        assert_eq!(*sent.borrow(), [(0, 0, true), (1, 160, false), (2, 640, true)]);
    }

    #[test]
    fn silence_of_the_loudspeaker_is_told_once_to_the_history() {
        let clock = SimClock::default();
        let mut network = SimNetwork::new(&clock, no_datagram, |_: &[u8]| ());
        let pump = Pump::<TICK, 2>::new();
        let mut port = pump.port();
        let mut phone = PhoneWith::<_, 800>::with_block(PhoneConfig::default(), Difference).unwrap();
        for n in 0..8 {
            for _ in 0..if n == 4 { 4 } else { 1 } {
                pump.half_transfer(&[n; TICK], &mut [0; TICK]);
            }
            block_on(phone.tick(&mut port, &mut network));
        }
        let underruns = u64::from(pump.counters().underruns);
        assert!(underruns > 0 && pump.counters().overruns == 4);
        assert_eq!(phone.front().render().missing_samples(), underruns * TICK as u64);
    }

    #[test]
    fn a_flood_does_not_stop_the_audio() {
        let clock = SimClock::default();
        let mut flood = 0;
        let bring = |until, datagram: &mut [u8]| {
            flood += 1;
            datagram.fill(0x80);
            // Every third is longer than the buffer.
            Some((if flood % 3 == 0 { 2_000 } else { 500 }, until))
        };
        let mut network = SimNetwork::new(&clock, bring, |_: &[u8]| ());
        let mut port = SimPort::new(&clock, |_: &mut [i16; TICK]| (), |_: &[i16; TICK]| ());
        let mut phone = Phone::new(PhoneConfig::default()).unwrap();
        for _ in 0..50 {
            block_on(phone.tick(&mut port, &mut network));
        }
        assert_eq!(clock.now(), Instant::from_millis(500));
        assert_eq!(phone.receiver_stats().malformed, 533);
    }

    /// Takes what the loudspeaker plays out of what the microphone hears.
    struct Difference;

    impl CaptureBlock<i16> for Difference {
        fn process(&mut self, frame: &mut [i16], near: &Near<'_>) {
            let mut far = [0; TICK];
            near.render.read(near.captured_at, near.channel, &mut far);
            frame.iter_mut().zip(far).for_each(|(near, far)| *near = near.saturating_sub(far));
        }

        fn reset(&mut self) {}

        fn delay_samples(&self) -> usize {
            0
        }
    }

    /// A network whose time is that of the interrupts.
    struct Timed<'a, N>(N, &'a Cell<u64>);

    impl<N: Network> Network for Timed<'_, N> {
        async fn receive(&mut self, datagram: &mut [u8]) -> (usize, Instant) {
            self.0.receive(datagram).await
        }

        fn send(&mut self, datagram: &[u8]) {
            self.0.send(datagram);
        }

        fn now(&self) -> Instant {
            Instant::from_millis(self.1.get())
        }
    }

    #[test]
    fn a_block_finds_the_far_end_behind_the_pump() {
        let (clock, interrupts) = (SimClock::default(), Cell::new(10));
        let mut sound = 0u8;
        let bring = |_, datagram: &mut [u8]| {
            // A packet of noise every other interrupt.
            let n = interrupts.get() / 10;
            if n / 2 == u64::from(sound) {
                return None;
            }
            sound = (n / 2) as u8;
            let header =
                RtpHeader { seq: Seq(n as u16 / 2), timestamp: RtpTime(80 * n as u32), ..RtpHeader::default() };
            let bytes = header.write(datagram).unwrap();
            let mut state = n as u32;
            datagram[bytes..bytes + 160].fill_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            });
            Some((bytes + 160, Instant::from_millis(interrupts.get())))
        };
        let sent = RefCell::new(Vec::new());
        let network =
            SimNetwork::new(&clock, bring, |datagram: &[u8]| sent.borrow_mut().extend_from_slice(&datagram[12..]));
        let mut network = Timed(network, &interrupts);
        let pump = Pump::<TICK, 3>::new();
        let mut port = pump.port();
        let mut phone = PhoneWith::<_, 800>::with_block(PhoneConfig::default(), Difference).unwrap();
        // The DMA's two halves: one sounds until the next interrupt, the other after it. The microphone hears the first.
        let mut halves = [[0; TICK]; 2];
        let mut loudest = 0;
        for n in 1..=200 {
            interrupts.set(10 * n);
            let [heard, next] = halves;
            let mut free = [0; TICK];
            pump.half_transfer(&heard, &mut free);
            halves = [next, free];
            loudest = heard.iter().fold(loudest, |loudest, &sample| sample.max(loudest));
            // Once the task comes an interrupt late, and then does two ticks.
            if n == 100 {
                continue;
            }
            for _ in 0..if n == 101 { 2 } else { 1 } {
                assert_eq!(block_on(phone.tick(&mut port, &mut network)).overrun, 0);
            }
        }
        assert!(loudest > 20_000);
        let law = |byte: u8| {
            let mut pcm = [0];
            Pcmu.decode(&[byte], &mut pcm).unwrap();
            pcm[0]
        };
        assert_eq!(sent.borrow().len(), 200 * TICK);
        assert_eq!(sent.borrow().iter().map(|&byte| law(byte).unsigned_abs()).max(), Some(0));
    }

    /// G.722, whose sound has 16 kHz.
    struct Wide(G722Encoder, G722Decoder);

    const G722: PayloadType = PayloadType::from_low_bits(9);

    impl PayloadTable for Wide {
        fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
            (payload_type == G722).then_some(&mut self.1 as &mut dyn Decoder)
        }
    }

    impl PhoneCodecs for Wide {
        const SAMPLE_RATE_HZ: u32 = 16_000;
        const RTP_CLOCK_HZ: u32 = 8_000;
        type Memory = Wideband;

        fn encoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Encoder> {
            (payload_type == G722).then_some(&mut self.0 as &mut dyn Encoder)
        }
    }

    enum WideParts {}

    impl PhoneParts for WideParts {
        type Block = NoBlock;
        type Detector = NoDetector;
        type Strategy = Standard;
        type Codecs = Wide;
    }

    /// A tone above 4 kHz, which no phone of 8 kHz has, comes back through a wire that is one packet long.
    #[test]
    fn a_phone_of_other_codecs_has_their_rate() {
        let (encoder, decoder) = (G722Encoder::new(Mode::Kbps64), G722Decoder::new(Mode::Kbps64));
        let parts =
            || Parts { block: None, noise: None, strategy: Standard, codecs: Wide(encoder.clone(), decoder.clone()) };
        let config = PhoneConfig::default();
        let sender = SenderConfig { payload_type: G722, ..config.sender };
        let mut phone = PhoneOf::<WideParts, 160, 0>::with_parts(PhoneConfig { sender, ..config }, parts()).unwrap();
        let clock = SimClock::default();
        let wire = RefCell::new(None);
        // 5 kHz: 16 samples are 5 periods.
        const SINE: [i16; 16] = [
            0, 3_061, 5_657, 7_391, 8_000, 7_391, 5_657, 3_061, 0, -3_061, -5_657, -7_391, -8_000, -7_391, -5_657,
            -3_061,
        ];
        let microphone = |pcm: &mut [i16; 160]| *pcm = core::array::from_fn(|n| SINE[n * 5 % 16]);
        let mut heard = Vec::new();
        let loudspeaker = |pcm: &[i16; 160]| heard.extend_from_slice(pcm);
        let mut port = SimPort::new(&clock, microphone, loudspeaker);
        let bring = |_, datagram: &mut [u8]| {
            let packet: Vec<u8> = wire.take()?;
            datagram[..packet.len()].copy_from_slice(&packet);
            Some((packet.len(), clock.now()))
        };
        let send = |datagram: &[u8]| *wire.borrow_mut() = Some(datagram.to_vec());
        let mut network = SimNetwork::new(&clock, bring, send);
        for _ in 0..100 {
            assert_eq!(block_on(phone.tick(&mut port, &mut network)).unsent, 0);
        }
        let stats = phone.receiver_stats();
        assert_eq!((stats.reception.received, stats.undecodable), (49, 0));
        assert!(stats.decoded_samples > 14_000, "{stats:?}");
        assert_eq!(phone.send_stats().octets, 50 * 160);
        assert!(heard.iter().any(|sample| *sample > 5_000));
        // What it can't send.
        let wrong = PhoneOf::<WideParts, 160, 0>::with_parts(config, parts()).err();
        assert_eq!(wrong, Some(PhoneError::PayloadType(PayloadType::PCMU)));
        let long = SenderConfig { ptime_ms: 80, ..sender };
        let wrong = PhoneOf::<WideParts, 160, 0>::with_parts(PhoneConfig { sender: long, ..config }, parts()).err();
        let too_long = PacketLengthError::NoRoom { need: 1_280, got: 960 };
        assert_eq!(wrong, Some(PhoneError::Sender(too_long)));
    }

    #[test]
    fn refuses_what_it_cannot_send() {
        let config = PhoneConfig::default();
        let video = PayloadType::new(96).unwrap();
        let other = SenderConfig { payload_type: video, ..config.sender };
        assert_eq!(Phone::new(PhoneConfig { sender: other, ..config }).err(), Some(PhoneError::PayloadType(video)));
        let long = SenderConfig { ptime_ms: 80, ..config.sender };
        let too_long = PacketLengthError::NoRoom { need: 640, got: 480 };
        assert_eq!(Phone::new(PhoneConfig { sender: long, ..config }).err(), Some(PhoneError::Sender(too_long)));
        let none = SenderConfig { ptime_ms: 0, ..config.sender };
        assert!(matches!(Phone::new(PhoneConfig { sender: none, ..config }), Err(PhoneError::Sender(_))));
    }
}
