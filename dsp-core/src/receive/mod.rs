//! The receive road: datagrams in on the network's clock, sound out on the audio clock.
//!
//! [`Receiver::receive`] parses a packet, does the RFC 3550 bookkeeping and stores it; [`Receiver::play`] fills a tick
//! of any length: decode, conceal, pause, stretch. Neither knows sockets, clocks or codecs: time comes as an argument,
//! decoders from a [`PayloadTable`](crate::codec::PayloadTable). Sound is `i16` at one rate that is fixed when the receiver is
//! made, mono or interleaved; "samples" always counts samples *a channel*.
//!
//! Delay. The playout delay is the time a sample is played minus the time it would have been played had its packet
//! been as fast as the fastest (`delay`). It's steered to the target in pauses, and within speech by time stretching;
//! it grows when the buffer runs dry. What lies in the buffer is bounded: no packet waits longer than
//! [`DelayConfig::max_ms`], and when more lies there than that, the oldest is dropped.
//!
//! Memory: `64 * CELLS` bytes of payloads, about 24 bytes a cell of tables, two bytes a sample for `SAMPLES` of each
//! channel.

use crate::codec::cn::NoiseGenerator;
use crate::quality::{
    BurstStats, BurstTracker, JitterEstimator, PastBursts, ReceptionStats, SequenceConfig, SequenceTracker,
    arrival_ticks as ticks,
};
use crate::time::{Duration, PayloadType, RtpTime, Seq, Ssrc};

mod channels;
mod config;
mod decision;
mod delay;
mod gaps;
mod histogram;
mod intake;
mod jitter;
mod play;
mod redundancy;
mod speed;
mod stats;
pub mod strategy;
mod sync_buffer;
mod tick_rate;
mod timeline;
mod together;
mod turns;

use crate::waveform::{plc, stretch::Stretcher};
use channels::Concealers;
pub use config::{ConfigError, ReceiveError, Received, ReceiverConfig};
use decision::Sending;
pub use delay::DelayConfig;
use delay::DelayEstimator;
pub use jitter::{Fate, JitterBuffer, PacketInfo, PacketKind, PushError};
pub use stats::{DelaySummary, Played, ReceiverStats};
use sync_buffer::SyncBuffer;
pub use tick_rate::TickRate;
use timeline::Timeline;
use turns::PayloadKinds;

/// History that concealment and stretching may look at.
const HISTORY: Duration = Duration::from_millis(plc::HISTORY_MS as u64);
/// A gap of which both ends are known is filled in one piece up to this length.
const BRIDGE: Duration = Duration::from_millis(60);
/// Concealment goes in steps: a packet that comes meanwhile is used at the next one.
const CONCEAL_STEP: Duration = Duration::from_millis(10);
/// After so long without a packet the stream has stopped: silence, and a fresh start with the next packet.
const UNDERRUN: Duration = Duration::from_secs(1);
/// The first source is heard from its first packet on: a call has only one, and who it is was settled before.
const AT_ONCE: SequenceConfig = SequenceConfig { min_sequential: 1, max_dropout: 3_000, max_misorder: 100 };

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Silence until the first packet's turn comes.
    Priming,
    Playing,
}

/// Why sound was made up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Packets that are missing.
    Lost,
    /// A packet that came after its turn and is played all the same.
    Late,
}

/// A receiver for G.711 with 200 ms of 20 ms packets: a desk phone. Set [`DelayConfig::max_ms`] to what it has room for.
pub type NarrowbandReceiver = Receiver<32, 1_760>;
/// A receiver for a host: any rate up to 48 kHz, 64 KiB of payloads (2 s of anything up to 256 kbit/s).
pub type HostReceiver = Receiver<1_024, 15_360>;
/// The same for two channels: rates up to 48 kHz, 128 KiB of payloads.
pub type StereoReceiver = Receiver<2_048, 19_200, 2>;

/// One incoming stream, from datagrams to sound.
pub struct Receiver<const CELLS: usize, const SAMPLES: usize, const CHANNELS: usize = 1> {
    config: ReceiverConfig,
    ssrc: Option<Ssrc>,
    /// A source that knocks: its SSRC, the sequence number it must send next, and how many were right so far.
    candidate: Option<(Ssrc, Seq, u8)>,
    sequence: SequenceTracker,
    /// How fast the source counts.
    tick_rate: TickRate,
    interarrival: JitterEstimator,
    delay: DelayEstimator,
    /// Ticks that the delay is at least, for the sake of another stream.
    least_delay: u32,
    jitter: JitterBuffer<CELLS>,
    sound: SyncBuffer<SAMPLES, CHANNELS>,
    concealer: Concealers<CHANNELS>,
    stretcher: Stretcher,
    state: State,
    /// What the sender does between its packets.
    sending: Sending,
    noise: NoiseGenerator,
    /// The RTP time of the sample that follows the last decoded one.
    next_time: RtpTime,
    /// Ticks filled since the last decoded sample.
    filled: u32,
    /// The packet before the next one was here but could not be decoded.
    broken: bool,
    /// Packets were dropped: the next one doesn't follow what was played last.
    spliced: bool,
    /// While waiting for a stream: the one before was cut off and fades out.
    fading: bool,
    /// While waiting for a stream: the buffer is full, so that waiting longer would only lose more.
    full: bool,
    /// The sender's timestamps without the jumps of its clock.
    timeline: Timeline,
    /// The decoder that was used last.
    payload_type: Option<PayloadType>,
    /// Length of the last packet.
    packet_ticks: u32,
    /// Whether somebody said how much sound is asked for at a time.
    tick_told: bool,
    /// Samples to play before the next change of speed.
    stretch_pause: usize,
    /// Ticks of sound that could have been shortened since the delay is too long.
    too_long: u32,
    /// Samples concealed since the last decoded one.
    made_up: u32,
    /// What became of each packet.
    bursts: BurstTracker,
    /// Of the sources before.
    earlier_bursts: PastBursts,
    /// Missing packets before the next one that were recovered by the codec.
    recovered: u16,
    /// What is sound, and what is not.
    kinds: PayloadKinds,
    /// The payload type of redundant audio data,
    redundancy: Option<PayloadType>,
    /// and the newest packet of which a copy came that was missing.
    newest_copy: Option<Seq>,
    stats: ReceiverStats,
}

impl<const CELLS: usize, const SAMPLES: usize, const CHANNELS: usize> Receiver<CELLS, SAMPLES, CHANNELS> {
    /// A receiver that waits for its first packet.
    pub fn new(config: ReceiverConfig) -> Result<Self, ConfigError> {
        const { assert!(CHANNELS > 0, "a receiver has a channel at least") };
        let ReceiverConfig { sample_rate_hz, rtp_clock_hz, delay } = config;
        let (low, high) = (sample_rate_hz.min(rtp_clock_hz), sample_rate_hz.max(rtp_clock_hz));
        if low < 8_000 || sample_rate_hz > 48_000 || high > 192_000 || !high.is_multiple_of(low) {
            return Err(ConfigError::Rates { sample_rate_hz, rtp_clock_hz });
        }
        if delay.min_ms > delay.max_ms || delay.max_ms > 10_000 {
            return Err(ConfigError::DelayBounds { min_ms: delay.min_ms, max_ms: delay.max_ms });
        }
        let samples = |length: Duration| length.as_samples(sample_rate_hz) as usize;
        let need = samples(HISTORY) + samples(BRIDGE) + CHANNELS * samples(Duration::from_millis(20));
        if SAMPLES < need {
            return Err(ConfigError::TooFewSamples { need, got: SAMPLES });
        }
        Ok(Self {
            config,
            ssrc: None,
            candidate: None,
            sequence: SequenceTracker::new(AT_ONCE),
            tick_rate: TickRate::default(),
            interarrival: JitterEstimator::new(),
            delay: DelayEstimator::new(rtp_clock_hz, delay),
            least_delay: 0,
            jitter: JitterBuffer::new(),
            sound: SyncBuffer::new(samples(HISTORY)),
            concealer: Concealers::new(sample_rate_hz),
            stretcher: Stretcher::new(sample_rate_hz),
            state: State::Priming,
            sending: Sending::Sound,
            noise: NoiseGenerator::new(),
            next_time: RtpTime(0),
            filled: 0,
            broken: false,
            spliced: false,
            fading: false,
            full: false,
            timeline: Timeline::default(),
            payload_type: None,
            packet_ticks: 0,
            tick_told: false,
            stretch_pause: 0,
            too_long: 0,
            made_up: 0,
            bursts: BurstTracker::new(),
            earlier_bursts: PastBursts::default(),
            recovered: 0,
            kinds: PayloadKinds::SOUND,
            redundancy: None,
            newest_copy: None,
            stats: ReceiverStats::default(),
        })
    }

    /// The source that is being played.
    pub fn ssrc(&self) -> Option<Ssrc> {
        self.ssrc
    }

    /// The highest sequence number of the source that is being played.
    pub fn highest_seq(&self) -> Option<Seq> {
        self.ssrc.map(|_| Seq(self.sequence.extended_highest_seq() as u16))
    }

    /// Everything counted so far; plain numbers, no allocation.
    pub fn stats(&self) -> ReceiverStats {
        // Of the sequences before, up to here.
        let mut total = self.stats.total;
        total.add(&self.sequence.totals());
        ReceiverStats {
            reception: ReceptionStats::new(self.ssrc.unwrap_or_default(), &self.sequence, &self.interarrival),
            total,
            target_delay_ms: self.config.ms(self.delay.target().max(self.least_delay)),
            drift_ppm: self.delay.drift_ppm(),
            double_clock: self.tick_rate.is_double(),
            buffered_packets: self.jitter.len() as u32,
            buffered_copies: self.jitter.copies() as u32,
            concealed_open_samples: self.made_up,
            queued_samples: self.sound.queued() as u32,
            ..self.stats
        }
    }

    /// Losses, discards, bursts and gaps by RFC 3611, of the packets whose turn has passed, of the source that is being
    /// played. What redundancy made up for counts as received.
    pub fn bursts(&self) -> BurstStats {
        self.bursts.stats()
    }

    /// The same of this source and all before it.
    pub fn total_bursts(&self) -> BurstStats {
        let mut bursts = self.bursts();
        bursts.add(&self.earlier_bursts.stats());
        bursts
    }
}
