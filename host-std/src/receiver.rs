//! A receiver whose memory is on the heap, so that it has as many channels and as much room as a stream turns out to need.
//!
//! Use [`AnyReceiver`] for RTP packets that belong to no [`Call`](crate::session::Call): those of a capture, or of a signalling of your own.
//! A call has its receivers inside. Where the streams are known when the program is built use the core's [`Receiver`], whose memory can
//! be static.
//!
//! A packet of mu-law is received and played:
//!
//! ```
//! use dsp_core::codec::g711::Pcmu;
//! use dsp_core::receive::ReceiverConfig;
//! use dsp_core::time::{Instant, PayloadType};
//! use host_std::receiver::AnyReceiver;
//!
//! let mut receiver = AnyReceiver::new(ReceiverConfig::default(), 1)?;
//! let mut packet = [0xff; 172];
//! packet[..12].copy_from_slice(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
//! receiver.receive(Instant::ZERO, &packet).expect("a packet of mu-law");
//! let mut pcm = [1; 80];
//! receiver.play(Instant::ZERO, &mut (PayloadType::PCMU, Pcmu), &mut pcm);
//! assert_eq!((receiver.channels(), receiver.stats().received), (1, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Limits.** One source (SSRC), with one or two channels. It knows neither SRTP nor RTCP: see [`dsp_core::guard`] and
//! [`dsp_core::rtcp`]. **Delay, cost and standards** are those of [`Receiver`]: RFC 3550 and RFC 3551.

use dsp_core::codec::PayloadTable;
use dsp_core::quality::BurstStats;
use dsp_core::receive::memory::{CELL_BYTES, Cell, Memory, MemoryNeed, PacketMemory, ReceiverMemory, Run, Slot};
use dsp_core::receive::strategy::Strategy;
use dsp_core::receive::{
    ConfigError, Conversation, DelayChoice, Fate, HOST_CELLS, Played, ReceiveError, Received, Receiver, ReceiverConfig,
    ReceiverStats, sound_samples,
};
use dsp_core::streams::budget::Buffered;
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::RtpPacket;

/// Memory on the heap.
pub enum OnHeap {}

impl ReceiverMemory for OnHeap {
    type Slots = Box<[Slot]>;
    type Cells = Box<[Cell]>;
    type Runs = Box<[Run]>;
    type Sound = Box<[i16]>;
}

/// Allocates the memory that is needed.
fn memory<const CHANNELS: usize>(need: MemoryNeed) -> Memory<OnHeap, CHANNELS> {
    let MemoryNeed { slots, cells, samples } = need;
    Memory {
        packets: PacketMemory {
            slots: vec![Slot::EMPTY; slots].into(),
            cells: vec![[0; CELL_BYTES]; cells].into(),
            runs: vec![Run::EMPTY; cells].into(),
        },
        sound: std::array::from_fn(|_| vec![0; samples].into()),
    }
}

/// A mono or a stereo receiver whose memory is on the heap. Its methods are those of [`Receiver`].
///
/// [The module's page](self) has an example.
pub enum AnyReceiver {
    /// A receiver with one channel.
    Mono(Box<Receiver<OnHeap, 1>>),
    /// A receiver with two channels, which are interleaved.
    Stereo(Box<Receiver<OnHeap, 2>>),
}

macro_rules! either {
    ($self:expr, $receiver:ident => $what:expr) => {
        match $self {
            AnyReceiver::Mono($receiver) => $what,
            AnyReceiver::Stereo($receiver) => $what,
        }
    };
}

impl AnyReceiver {
    /// Creates a receiver of two channels, or of one, with as many cells as a [`HostReceiver`](dsp_core::receive::HostReceiver)
    /// or a [`StereoReceiver`](dsp_core::receive::StereoReceiver), and the sound of its rate.
    ///
    /// # Errors
    /// The same as for [`Receiver::with_memory`].
    pub fn new(config: ReceiverConfig, channels: u8) -> Result<Self, ConfigError> {
        let cells = HOST_CELLS * usize::from(channels.clamp(1, 2));
        Self::with_need(
            config,
            channels,
            MemoryNeed { slots: cells, cells, samples: sound_samples(config.sample_rate_hz, channels) },
        )
    }

    /// Creates a receiver with this much memory, of two channels if `channels` is 2, otherwise of one.
    ///
    /// # Errors
    /// The same as for [`Receiver::with_memory`].
    pub fn with_need(config: ReceiverConfig, channels: u8, need: MemoryNeed) -> Result<Self, ConfigError> {
        Ok(if channels == 2 {
            Self::Stereo(Box::new(Receiver::with_memory(config, memory(need))?))
        } else {
            Self::Mono(Box::new(Receiver::with_memory(config, memory(need))?))
        })
    }

    /// Grows the memory to `need`, and keeps everything that the receiver holds. It allocates, so call it where a call is agreed
    /// on, and not where it is played.
    pub fn grow(&mut self, need: MemoryNeed) {
        fn grow<const CHANNELS: usize>(receiver: &mut Receiver<OnHeap, CHANNELS>, need: MemoryNeed) {
            let (has, need) = (receiver.memory(), need.max(receiver.memory()));
            if need != has {
                // No part of the new memory is shorter. More than can be used is refused, and the receiver continues unchanged.
                drop(receiver.set_memory(memory(need)));
            }
        }
        match self {
            Self::Mono(receiver) => grow(receiver, need),
            Self::Stereo(receiver) => grow(receiver, need),
        }
    }

    /// Channels of what [`play`](Self::play) gives.
    pub const fn channels(&self) -> u8 {
        match self {
            Self::Mono(_) => 1,
            Self::Stereo(_) => 2,
        }
    }

    /// Takes a datagram with an RTP packet.
    ///
    /// # Errors
    /// A [`ReceiveError`] that says why it isn't a packet that can be used.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<Received, ReceiveError> {
        either!(self, receiver => receiver.receive(now, datagram))
    }

    /// Takes an RTP packet that has been parsed already.
    ///
    /// # Errors
    /// A [`ReceiveError`] that says why it can't be used.
    pub fn receive_packet(&mut self, now: Instant, packet: RtpPacket<'_>) -> Result<Received, ReceiveError> {
        either!(self, receiver => receiver.receive_packet(now, packet))
    }

    /// Writes the next tick of sound to `pcm`; `payloads` has the decoders by payload type.
    pub fn play(&mut self, now: Instant, payloads: &mut dyn PayloadTable, pcm: &mut [i16]) -> Played {
        either!(self, receiver => receiver.play(now, payloads, pcm))
    }

    /// Does the same as [`play`](Self::play), with a strategy of your own.
    pub fn play_with(
        &mut self,
        now: Instant,
        payloads: &mut dyn PayloadTable,
        strategy: &mut dyn Strategy,
        pcm: &mut [i16],
    ) -> Played {
        either!(self, receiver => receiver.play_with(now, payloads, strategy, pcm))
    }

    /// Returns the source that is being played.
    pub fn ssrc(&self) -> Option<Ssrc> {
        either!(self, receiver => receiver.ssrc())
    }

    /// Returns the highest sequence number of that source.
    pub fn highest_seq(&self) -> Option<Seq> {
        either!(self, receiver => receiver.highest_seq())
    }

    /// Everything counted so far.
    pub fn stats(&self) -> ReceiverStats {
        either!(self, receiver => receiver.stats())
    }

    /// Losses, discards, bursts and gaps.
    pub fn bursts(&self) -> BurstStats {
        either!(self, receiver => receiver.bursts())
    }

    /// Losses, discards, bursts and gaps of this source and of all sources before it.
    pub fn total_bursts(&self) -> BurstStats {
        either!(self, receiver => receiver.total_bursts())
    }

    /// The payload type of redundant audio data.
    pub fn set_redundancy(&mut self, payload_type: Option<PayloadType>) {
        either!(self, receiver => receiver.set_redundancy(payload_type));
    }

    /// Sets the table that decides which payload types are sound.
    pub fn set_payloads(&mut self, payloads: &mut dyn PayloadTable) {
        either!(self, receiver => receiver.set_payloads(payloads));
    }

    /// Returns the fate of a packet that was stored.
    pub fn fate(&self, seq: Seq) -> Option<Fate> {
        either!(self, receiver => receiver.fate(seq))
    }

    /// Sets the lower bound of the delay.
    pub fn set_least_delay(&mut self, least: Duration) {
        either!(self, receiver => receiver.set_least_delay(least));
    }

    /// Sets the known parameters of the conversation.
    pub fn set_conversation(&mut self, conversation: &Conversation) {
        either!(self, receiver => receiver.set_conversation(conversation));
    }

    /// Returns why a conversation waits as long as it does.
    pub fn delay_choice(&self) -> Option<DelayChoice> {
        either!(self, receiver => receiver.delay_choice())
    }

    /// Returns the delay that the stream would have for its own sake.
    pub fn own_delay(&self) -> Duration {
        either!(self, receiver => receiver.own_delay())
    }

    /// The timestamp of a packet that came at `now` and was as fast as the fastest.
    pub fn media_time(&self, now: Instant) -> Option<RtpTime> {
        either!(self, receiver => receiver.media_time(now))
    }

    /// Converts an RTP timestamp that the source gives for the present to the receiver's clock.
    pub fn report_time(&self, rtp: RtpTime) -> RtpTime {
        either!(self, receiver => receiver.report_time(rtp))
    }

    /// Forgets the source and everything that was received, as a new receiver.
    pub fn reset(&mut self) {
        either!(self, receiver => receiver.reset());
    }

    /// Bytes on the heap.
    pub fn memory_bytes(&self) -> usize {
        let MemoryNeed { slots, cells, samples } = either!(self, receiver => receiver.memory());
        let packets = slots * size_of::<Slot>() + cells * (CELL_BYTES + size_of::<Run>());
        let sound = samples * size_of::<i16>() * usize::from(self.channels());
        packets + sound + either!(self, receiver => size_of_val(&**receiver))
    }
}

impl Buffered for AnyReceiver {
    fn buffered_bytes(&self) -> u32 {
        either!(self, receiver => receiver.buffered_bytes())
    }

    fn give_up_oldest(&mut self) -> u32 {
        either!(self, receiver => receiver.give_up_oldest())
    }
}
