//! Receiving: RTP datagrams in, when the network delivers them, and sound out, when the audio device asks for it.
//!
//! [`Receiver::receive`] parses a packet, does the bookkeeping of RFC 3550 and stores the packet. [`Receiver::play`]
//! fills a tick of the audio device, or part of one: it decodes, conceals losses, plays pauses, and stretches time. A
//! receiver has no socket, no clock and no codec: the time comes as an argument, and decoders come from a
//! [`PayloadTable`](crate::codec::PayloadTable). The sound is `i16` at one sample rate that is fixed when the receiver
//! is made, mono or interleaved. "Samples" always means samples of each channel.
//!
//! Use [`Receiver`] for everything between the socket and the loudspeaker. A program that wants one part alone uses
//! [`JitterBuffer`], [`EventReceiver`] or a [`Concealer`](crate::waveform::Concealer).
//!
//! # States
//!
//! A receiver is either *priming*, when it plays silence until the first packet's turn comes, or *playing*.
//!
//! ```text
//! priming --- first packet's turn ------------------------------------------------> playing
//! priming <-- no packet for 1 s; another SSRC or a jump of the sequence numbers --- playing
//! ```
//!
//! [`Receiver::reset`] makes a receiver as it was when it was new. Another SSRC, or a jump of the sequence numbers,
//! also discards the packets that wait; but the old sound fades out, and the counters go on.
//!
//! # Delay
//!
//! The delay of a packet is counted from the time at which it would be played if it had been as fast as the fastest
//! packet. So arrival and playing share one axis, in ticks of the receiver's clock, whatever the sender's clock shows:
//!
//! ```text
//! base          relative delay          target       playout delay          maximum
//!  0 ----------------+-------------------+-----------------+--------------------+------> ticks
//!  the fastest       this packet         what the delay    this packet          no packet waits
//!  packet arrives    arrives             is steered to     is heard             longer than that
//!                    |<-------- waits in the buffer ------>|
//! ```
//!
//! A receiver steers the delay to the target in pauses, and within speech by time stretching; the delay grows when the
//! buffer runs dry. The buffer is bounded: no packet waits longer than [`DelayConfig::max_ms`], and when the buffer
//! holds more than that, the oldest packet is dropped.
//!
//! While a receiver plays something other than packets, the media time stands still at `next_time`, and the time of
//! the loudspeaker goes on; the difference is `filled`. When the packet behind a gap is played before the whole gap
//! was filled, the delay has come down. When more was filled than the gap is long, the delay has grown:
//!
//! ```text
//!                    now
//! loudspeaker  heard  |  queued: made, not heard  |  to be made
//!            ---------+---------------------------+------------------------------->
//! made         decoded packets  | filled          |
//!            -------------------+-----------------+   of which made up is what is neither noise nor silence
//! media time                next_time                     timestamp of the first packet in the buffer
//!            -------------------+-----------------------------+==========+==========+---->
//!                               |<----------- gap ----------->|  jitter buffer
//! ```
//!
//! # Cost and limits
//!
//! A [`NarrowbandReceiver`] takes 8,088 bytes on a Cortex-M. To receive and play a tick of 10 ms of G.711 takes 5,301
//! instructions on a Cortex-M3 on average and 72,848 at most; 20 ms take 162 ns on a host (`BENCHMARKS.md`). The
//! memory belongs to the receiver's owner (see [`memory`]) and holds packets, payloads and the sound of each channel;
//! nothing is allocated later. One receiver plays one source at a time. The sample rate of the sound is at most 48
//! kHz.
//!
//! The packets are those of RFC 3550, telephone events of RFC 4733, comfort noise of RFC 3389, redundancy of RFC 2198.
//!
//! # Example
//!
//! One packet of fifty is lost, and at most 20 ms of sound are concealed in its place:
//!
//! ```
//! use dsp_core::codec::g711::Pcmu;
//! use dsp_core::receive::{NarrowbandReceiver, ReceiverConfig};
//! use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
//! use dsp_core::wire::rtp::RtpHeader;
//!
//! let mut receiver = NarrowbandReceiver::new(ReceiverConfig::default())?;
//! let mut decoders = (PayloadType::PCMU, Pcmu);
//! let (mut now, mut datagram, mut pcm) = (Instant::ZERO, [0; 172], [0; 160]);
//! for n in 0..50u16 {
//!     let header = RtpHeader {
//!         marker: n == 0,
//!         payload_type: PayloadType::PCMU,
//!         seq: Seq(n),
//!         timestamp: RtpTime(160 * u32::from(n)),
//!         ssrc: Ssrc(7),
//!         csrcs: &[],
//!         extension: None,
//!     };
//!     let len = header.write_packet(&[0x90; 160], &mut datagram)?;
//!     if n != 25 {
//!         receiver.receive(now, &datagram[..len])?;
//!     }
//!     receiver.play(now, &mut decoders, &mut pcm);
//!     now += Duration::from_millis(20);
//! }
//! let stats = receiver.stats();
//! assert_eq!(stats.received, 49);
//! assert!((1..=160).contains(&stats.concealed_samples));
//! assert_eq!(stats.reception.cumulative_lost(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::codec::cn::NoiseGenerator;
use crate::quality::{BurstStats, ReceptionStats};
use crate::time::{Duration, PayloadType, Seq, Ssrc};

mod behind;
mod channels;
mod clocks;
mod config;
mod conversation;
mod decision;
mod delay;
mod events;
mod gaps;
mod histogram;
mod intake;
mod jitter;
pub mod memory;
mod play;
mod redundancy;
mod source;
mod speed;
mod state;
mod stats;
pub mod strategy;
mod sync_buffer;
mod tick_rate;
mod timeline;
mod together;
mod turns;

use crate::waveform::plc;
use channels::Concealers;
use config::Rates;
pub use config::{ConfigError, ReceiveError, Received, ReceiverConfig};
pub use conversation::{Conversation, DelayChoice};
use delay::DelayEstimator;
pub use delay::{DelayConfig, Purpose};
pub use events::{EventHeader, EventPhase, EventReceiver, EventReport, EventStats, EventsConfig};
pub use jitter::{ArrayBuffer, Fate, JitterBuffer, PacketInfo, PacketKind, PushError};
use memory::{Arrays, Memory, MemoryNeed, ReceiverMemory, Slot};
use redundancy::ReceivedRedundancy;
use source::Source;
use speed::Speed;
use state::{First, MadeUp, Playhead, State};
pub use stats::{DelaySummary, Played, ReceiverStats};
use sync_buffer::SyncBuffer;
pub use tick_rate::TickRate;
use turns::PayloadKinds;

/// History that concealment and stretching may look at.
const HISTORY: Duration = Duration::from_millis(plc::HISTORY_MS as u64);
/// A gap of which both ends are known is filled from both, or by a codec's own means, up to this length.
const BRIDGE: Duration = Duration::from_millis(60);
/// Concealment goes in steps: a packet that comes meanwhile is used at the next one.
const CONCEAL_STEP: Duration = Duration::from_millis(10);
/// After so long without a packet the stream has stopped: silence, and a fresh start with the next packet.
const UNDERRUN: Duration = Duration::from_secs(1);

/// Why sound was made up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Packets that are missing.
    Lost,
    /// A packet that came after its turn and is played all the same.
    Late,
}

/// A receiver for G.711 that holds 200 ms of 20 ms packets: for a desk phone. Set [`DelayConfig::max_ms`] to what fits
/// in it.
pub type NarrowbandReceiver = Receiver<Arrays<32, 1_740>, 1>;
/// Number of cells for each channel of a receiver on a host: 64 KiB, enough for 2 s of any codec up to 256 kbit/s.
pub const HOST_CELLS: usize = 1_024;
/// A mono receiver for a host: any sample rate up to 48 kHz, 64 KiB of payloads.
pub type HostReceiver = Receiver<Arrays<HOST_CELLS, { sound_samples(48_000, 1) }>, 1>;
/// A stereo receiver for a host: any sample rate up to 48 kHz, 128 KiB of payloads.
pub type StereoReceiver = Receiver<Arrays<{ 2 * HOST_CELLS }, { sound_samples(48_000, 2) }>, 2>;

/// Receives one stream: RTP datagrams in, sound out. Its memory is of the types that `M` names.
///
/// Call [`receive`](Self::receive) for each datagram when it arrives, and [`play`](Self::play) when the audio device
/// wants samples. [`NarrowbandReceiver`], [`HostReceiver`] and [`StereoReceiver`] are ready-made sizes; [the module's
/// page](self) has a whole example, the states and the cost.
///
/// One second without any packet: the receiver plays silence and counts it.
///
/// ```
/// use dsp_core::codec::g711::Pcmu;
/// use dsp_core::receive::{NarrowbandReceiver, ReceiverConfig};
/// use dsp_core::time::{Duration, Instant, PayloadType};
///
/// let mut receiver = NarrowbandReceiver::new(ReceiverConfig::default())?;
/// let mut decoders = (PayloadType::PCMU, Pcmu);
/// let (mut now, mut pcm) = (Instant::ZERO, [0; 80]);
/// for _ in 0..100 {
///     // A program passes each datagram of its socket to `receive` here.
///     let played = receiver.play(now, &mut decoders, &mut pcm);
///     // No packet has come, so each tick is silent.
///     assert_eq!((played.silence, pcm), (80, [0; 80]));
///     now += Duration::from_millis(10);
/// }
/// let stats = receiver.stats();
/// assert_eq!((stats.received, stats.played_samples, stats.concealed_samples), (0, 8_000, 0));
/// assert_eq!(receiver.ssrc(), None);
/// # Ok::<(), dsp_core::receive::ConfigError>(())
/// ```
pub struct Receiver<M: ReceiverMemory, const CHANNELS: usize> {
    rates: Rates,
    /// How much sound is asked for at a time.
    tick_samples: u32,
    source: Source,
    delay: DelayEstimator,
    /// Ticks that the delay is at least, for the sake of another stream.
    least_delay: u32,
    jitter: JitterBuffer<M>,
    sound: SyncBuffer<M::Sound, CHANNELS>,
    concealer: Concealers<CHANNELS>,
    noise: NoiseGenerator,
    speed: Speed,
    state: State,
    playhead: Playhead,
    made_up: MadeUp,
    /// The decoder that was used last.
    payload_type: Option<PayloadType>,
    /// Whether it has been seen to conceal by itself.
    conceals: bool,
    /// What is sound, and what is not, and in which clock it counts.
    kinds: PayloadKinds,
    redundancy: ReceivedRedundancy,
    stats: ReceiverStats,
}

impl<const CELLS: usize, const SAMPLES: usize, const CHANNELS: usize> Receiver<Arrays<CELLS, SAMPLES>, CHANNELS> {
    /// A receiver in arrays that waits for its first packet.
    ///
    /// # Errors
    /// Those of [`with_memory`](Self::with_memory).
    pub fn new(config: ReceiverConfig) -> Result<Self, ConfigError> {
        const { assert!(CELLS >= 4 && CELLS <= 16_384, "4 to 16384 cells") };
        Self::with_memory(config, Memory::default())
    }
}

/// Number of samples of each channel that a receiver should have memory for: what concealment looks back on, the
/// longest gap that it fills, and one decoded packet of 120 ms.
pub const fn sound_samples(sample_rate_hz: u32, channels: u8) -> usize {
    // 120 and 60 ms and a tick.
    (sample_rate_hz as usize * (200 + 120 * channels as usize)).div_ceil(1_000)
}

impl<M: ReceiverMemory, const CHANNELS: usize> Receiver<M, CHANNELS> {
    /// A receiver in this memory that waits for its first packet. The memory must have at least the size that
    /// [`MemoryNeed`] tells. Its content is overwritten.
    ///
    /// # Errors
    /// Returns a [`ConfigError`] if a rate is out of range, the bounds of the delay contradict each other, or the
    /// memory is too small or larger than a receiver can use.
    #[inline(always)]
    pub fn with_memory(config: ReceiverConfig, memory: Memory<M, CHANNELS>) -> Result<Self, ConfigError> {
        let need = MemoryNeed {
            slots: memory.packets.slot_count(),
            cells: memory.packets.cell_count(),
            samples: memory.sound.iter().map(|channel| channel.as_ref().len()).min().unwrap_or(0),
        };
        // Checked first and then made in one go, in line: a result or a part that is made by itself would be another copy on the stack.
        let rates = Self::check(&config, need, memory.packets.is_usable())?;
        Ok(Self::made(&config, rates, memory))
    }

    /// Whether a receiver can be made so; its rates.
    fn check(config: &ReceiverConfig, got: MemoryNeed, usable: bool) -> Result<Rates, ConfigError> {
        const { assert!(CHANNELS > 0, "a receiver has a channel at least") };
        let &ReceiverConfig { sample_rate_hz, rtp_clock_hz, delay, .. } = config;
        let (low, high) = (sample_rate_hz.min(rtp_clock_hz), sample_rate_hz.max(rtp_clock_hz));
        if low < 8_000 || sample_rate_hz > 48_000 || high > 192_000 || !high.is_multiple_of(low) {
            return Err(ConfigError::Rates { sample_rate_hz, rtp_clock_hz });
        }
        if M::PARTS.rate_hz.is_some_and(|known| low != known || high != known) {
            return Err(ConfigError::Rates { sample_rate_hz, rtp_clock_hz });
        }
        if delay.min_ms > delay.max_ms || delay.max_ms > 10_000 {
            return Err(ConfigError::DelayBounds { min_ms: delay.min_ms, max_ms: delay.max_ms });
        }
        let rates = const { M::PARTS.rates() }.unwrap_or(Rates::new(sample_rate_hz, rtp_clock_hz));
        let whole = rates.samples_in(HISTORY) + rates.samples_in(BRIDGE);
        let need = whole + CHANNELS * rates.samples_in(Duration::from_millis(20));
        if got.samples < need {
            return Err(ConfigError::TooFewSamples { need, got: got.samples });
        }
        if !usable {
            return Err(ConfigError::Packets { slots: got.slots, cells: got.cells });
        }
        Ok(rates)
    }

    #[inline(always)]
    fn made(config: &ReceiverConfig, rates: Rates, mut memory: Memory<M, CHANNELS>) -> Self {
        memory.packets.slots.as_mut().fill(Slot::EMPTY);
        let &ReceiverConfig { sample_rate_hz, rtp_clock_hz, delay, tick } = config;
        // Rounded to the next ms, as 441 samples at 44.1 kHz are 10 ms.
        let tick_ms = tick.as_micros().div_ceil(1_000).min(10_000) as u32;
        Self {
            rates,
            tick_samples: rates.samples_in(tick) as u32,
            source: Source::new(),
            delay: DelayEstimator::with_tick(rtp_clock_hz, delay, tick_ms),
            least_delay: 0,
            jitter: JitterBuffer::empty(memory.packets),
            sound: SyncBuffer::new(rates.samples_in(HISTORY), memory.sound),
            concealer: Concealers::new(sample_rate_hz),
            noise: NoiseGenerator::new(),
            speed: Speed::new(),
            state: State::WAITING,
            playhead: Playhead::START,
            made_up: MadeUp::NOTHING,
            payload_type: None,
            conceals: false,
            kinds: PayloadKinds::SOUND,
            redundancy: ReceivedRedundancy::default(),
            stats: ReceiverStats::default(),
        }
    }

    /// Known beforehand, where the parts say so: then what is counted in them is constant.
    #[inline(always)]
    fn rates(&self) -> Rates {
        const { M::PARTS.rates() }.unwrap_or(self.rates)
    }

    /// Makes the receiver as it was when it was new, with the same settings. Use it when a stream from another sender
    /// begins.
    pub fn reset(&mut self) {
        self.source = Source::new();
        self.delay.reset();
        self.least_delay = 0;
        self.jitter.reset();
        self.sound.reset();
        self.concealer.reset();
        self.noise = NoiseGenerator::new();
        self.speed = Speed::new();
        (self.state, self.playhead, self.made_up) = (State::WAITING, Playhead::START, MadeUp::NOTHING);
        (self.payload_type, self.conceals) = (None, false);
        self.redundancy = self.redundancy.reset();
        self.stats = ReceiverStats::default();
    }

    /// Moves the receiver, with all that it holds, into larger memory, for a codec that needs more. Returns the memory
    /// that it had before.
    ///
    /// # Errors
    /// Returns `memory` itself, and changes nothing, if one of its lists is shorter than the present one or longer
    /// than a receiver can use.
    pub fn set_memory(&mut self, memory: Memory<M, CHANNELS>) -> Result<Memory<M, CHANNELS>, Memory<M, CHANNELS>> {
        let Memory { packets, sound } = memory;
        if !self.sound.fits_in(&sound) {
            return Err(Memory { packets, sound });
        }
        match self.jitter.set_memory(packets) {
            Ok(packets) => Ok(Memory { packets, sound: self.sound.set_memory(sound) }),
            Err(packets) => Err(Memory { packets, sound }),
        }
    }

    /// Size of the present memory: the least that [`set_memory`](Self::set_memory) takes.
    pub fn memory(&self) -> MemoryNeed {
        let (slots, cells) = self.jitter.memory();
        MemoryNeed { slots, cells, samples: self.sound.capacity() }
    }

    /// SSRC of the source that is being played; `None` before the first packet.
    pub fn ssrc(&self) -> Option<Ssrc> {
        self.source.ssrc
    }

    /// Highest sequence number of the source that is being played; `None` before the first packet.
    pub fn highest_seq(&self) -> Option<Seq> {
        self.source.ssrc.map(|_| Seq(self.source.sequence.extended_highest_seq() as u16))
    }

    /// All counters, as they are now.
    pub fn stats(&self) -> ReceiverStats {
        let source = &self.source;
        // Of the sequences before, up to here.
        let mut total = self.stats.total;
        total.add(&source.sequence.totals());
        let mut reception =
            ReceptionStats::new(source.ssrc.unwrap_or_default(), &source.sequence, &source.interarrival);
        // In the clock that the sender counts in.
        let ratio = self.newest_ratio();
        reception.jitter_ticks = ratio.back(reception.jitter_ticks as i32) as u32;
        ReceiverStats {
            reception,
            clock_hz: ratio.clock_hz(self.rates().clock_hz),
            total,
            target_delay_ms: self.rates().ms(self.delay.target().max(self.least_delay)),
            drift_ppm: self.delay.drift_ppm(),
            double_clock: source.tick_rate.is_double(),
            buffered_packets: self.jitter.len() as u32,
            buffered_copies: self.jitter.copies() as u32,
            concealed_open_samples: self.made_up.samples,
            queued_samples: self.sound.queued() as u32,
            ..self.stats
        }
    }

    /// Losses, discards, bursts and gaps (RFC 3611, 4.7.2) of the present source, over the packets whose turn has
    /// passed. Packets that redundancy recovered count as received.
    pub fn bursts(&self) -> BurstStats {
        self.source.bursts.stats()
    }

    /// As [`bursts`](Self::bursts), over the present source and all sources before it.
    pub fn total_bursts(&self) -> BurstStats {
        let mut bursts = self.bursts();
        bursts.add(&self.source.earlier_bursts.stats());
        bursts
    }
}
