//! The least phone: mu-law in packets of 20 ms, and nothing that a call can do without.
//!
//! [`LeanPhone`] has port, jitter buffer, concealment, time stretching, sender and RTCP. It has no A-law, no telephone events, no
//! comfort noise, no redundancy, no counts of bursts and no capture block; with a [`LeanTransport`] it has no extended reports
//! and no feedback either. The types of its parts exclude these features, so their code isn't in the program ([`PhoneParts`],
//! [`ReceiverParts`], [`RtcpReporter`](dsp_core::rtcp::RtcpReporter)).
//!
//! Use it on a microcontroller with some tens of KiB of flash and RAM; [`Phone`](crate::phone::Phone) has the features that other
//! phones expect, and [`parts`](crate::parts) has everything in between. Units: bytes and samples at 8 kHz. Errors are those of a
//! phone, [`PhoneError`].
//!
//! ```
//! use dsp_core::receive::DelayConfig;
//! use embassy_futures::block_on;
//! use host_embedded::lean::{LEAN_DELAY_MS, LeanPhone};
//! use host_embedded::phone::PhoneConfig;
//! # use host_embedded::sim::{SimClock, SimNetwork, SimPort};
//!
//! let delay = DelayConfig { max_ms: LEAN_DELAY_MS, ..DelayConfig::conversation() };
//! let mut phone = LeanPhone::lean(PhoneConfig { delay, ..PhoneConfig::default() })?;
//! # let clock = SimClock::default();
//! # let mut port = SimPort::new(&clock, |pcm: &mut [i16; 80]| pcm.fill(1_000), |_: &[i16; 80]| ());
//! # let mut network = SimNetwork::new(&clock, |_, _: &mut [u8]| None, |_: &[u8]| ());
//! for _ in 0..10 {
//!     block_on(phone.tick(&mut port, &mut network));
//! }
//! assert_eq!(phone.send_stats().packets, 5);
//! # Ok::<(), host_embedded::phone::PhoneError>(())
//! ```

use core::marker::PhantomData;

use dsp_core::codec::g711::Pcmu;
use dsp_core::codec::{Decoder, Encoder, PayloadTable};
use dsp_core::front::NoBlock;
use dsp_core::process::activity::NoDetector;
use dsp_core::receive::memory::{CELL_BYTES, Cell, Memory, PacketMemory, ReceiverMemory, ReceiverParts, Run, Slot};
use dsp_core::receive::strategy::Standard;
use dsp_core::time::PayloadType;

use crate::parts::{Lent, Parts, PhoneCodecs, PhoneMemory, PhoneParts};
use crate::phone::{PhoneConfig, PhoneError, PhoneOf, TICK};
use crate::transport::Transport;

/// The longest delay that a [`LeanPhone`] has room for, in ms, in packets of 20 ms: for
/// [`DelayConfig::max_ms`](dsp_core::receive::DelayConfig).
pub const LEAN_DELAY_MS: u32 = 120;

/// Packets that are held or remembered, and pieces of their payloads.
const SLOTS: usize = 16;
const CELLS: usize = 24;
/// Samples of sound: what concealment looks back on, the longest gap that it bridges, and a packet of 30 ms.
const SOUND: usize = 1_680;
/// Samples of a packet of 20 ms and of two ticks.
const PACKET: usize = 160 + 2 * TICK;
/// Bytes of the longest datagram: 30 ms of a peer that sends such packets, with room for an authentication tag and a header
/// extension; a report.
const DATAGRAM: usize = 320;

/// The least phone.
pub type LeanPhone = PhoneOf<LeanParts, TICK, 0>;
/// The same in memory that is lent to it.
pub type LentLeanPhone<'a> = PhoneOf<LeanParts<&'a mut LeanRoom>, TICK, 0>;
/// Its network: RTP and RTCP without extended reports, and `G` around both.
pub type LeanTransport<S, G> = Transport<S, G, DATAGRAM, false>;

/// The parts of a [`LeanPhone`]. `M`: its memory.
#[derive(Clone, Copy, Debug)]
pub struct LeanParts<M = Lean>(PhantomData<fn() -> M>);

impl<M: PhoneMemory> PhoneParts for LeanParts<M> {
    type Block = NoBlock;
    type Detector = NoDetector;
    type Strategy = Standard;
    type Codecs = Lent<MuLaw, M>;
    const EVENTS: bool = false;
}

impl<M: PhoneMemory> LeanParts<M> {
    /// Returns the parts.
    #[inline(always)]
    pub fn parts() -> Parts<Self> {
        Parts { block: None, noise: None, strategy: Standard, codecs: Lent::new(MuLaw::default()) }
    }
}

impl LeanPhone {
    /// Creates a phone that waits for its first packet.
    ///
    /// # Errors
    /// [`PhoneError`] if a part of it refuses its part of `config`: packets that aren't mu-law, or longer than 20 ms.
    #[inline(always)]
    pub fn lean(config: PhoneConfig) -> Result<Self, PhoneError> {
        Self::with_parts(config, LeanParts::parts())
    }
}

impl<'a> LentLeanPhone<'a> {
    /// Returns a phone that waits for its first packet, in a place that is there already and in memory that is lent to it: both
    /// are statics, as a rule, and making it takes least of the stack ([`place`](Self::place)).
    ///
    /// ```
    /// use host_embedded::lean::{LEAN_DELAY_MS, LeanRoom, LentLeanPhone};
    /// use host_embedded::phone::PhoneConfig;
    ///
    /// let mut config = PhoneConfig::default();
    /// config.delay.max_ms = LEAN_DELAY_MS;
    /// // On bare metal, two statics of `static_cell::ConstStaticCell`.
    /// let (mut place, mut room) = (None, LeanRoom::new());
    /// let phone = LentLeanPhone::lean_in(&mut place, config, &mut room)?;
    /// assert_eq!(phone.send_stats().packets, 0);
    /// # Ok::<(), host_embedded::phone::PhoneError>(())
    /// ```
    ///
    /// # Errors
    /// The same as for [`LeanPhone::lean`]; the place stays empty then.
    #[inline(always)]
    pub fn lean_in<'p>(
        place: &'p mut Option<Self>,
        config: PhoneConfig,
        room: &'a mut LeanRoom,
    ) -> Result<&'p mut Self, PhoneError> {
        Self::place(place, config, LeanParts::parts(), room)
    }
}

/// Mu-law alone, by its static payload type (RFC 3551, table 4).
#[derive(Clone, Copy, Debug, Default)]
pub struct MuLaw(Pcmu);

impl PayloadTable for MuLaw {
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
        (payload_type == PayloadType::PCMU).then_some(&mut self.0 as &mut dyn Decoder)
    }
}

impl PhoneCodecs for MuLaw {
    const SAMPLE_RATE_HZ: u32 = 8_000;
    const RTP_CLOCK_HZ: u32 = 8_000;
    type Memory = Lean;

    fn encoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Encoder> {
        (payload_type == PayloadType::PCMU).then_some(&mut self.0 as &mut dyn Encoder)
    }
}

/// Memory for packets of 20 ms at 8 kHz to be sent, and for [`LEAN_DELAY_MS`] of them to be received.
#[derive(Clone, Copy, Debug)]
pub enum Lean {}

impl ReceiverMemory for Lean {
    type Slots = [Slot; SLOTS];
    type Cells = [Cell; CELLS];
    type Runs = [Run; CELLS];
    type Sound = [i16; SOUND];
    const PARTS: ReceiverParts = ReceiverParts::least(MuLaw::SAMPLE_RATE_HZ);
}

impl PhoneMemory for Lean {
    type Receiver = Self;
    type Packet = [i16; PACKET];
    type Datagram = [u8; DATAGRAM];
    type Room = ();
    const PACKET_SAMPLES: usize = PACKET;
    const DATAGRAM: Self::Datagram = [0; DATAGRAM];

    #[inline(always)]
    fn lay_out((): ()) -> (Memory<Self::Receiver, 1>, Self::Packet) {
        let packets =
            PacketMemory { slots: [Slot::EMPTY; SLOTS], cells: [[0; CELL_BYTES]; CELLS], runs: [Run::EMPTY; CELLS] };
        (Memory { packets, sound: [[0; SOUND]] }, [0; PACKET])
    }
}

/// The same amount of memory as [`Lean`], to be lent to a [`LentLeanPhone`]: all zeros, so that as a static it takes no flash.
pub struct LeanRoom {
    packets: PacketMemory<Lean>,
    sound: [i16; SOUND],
    packet: [i16; PACKET],
}

impl LeanRoom {
    /// Room with nothing in it.
    pub const fn new() -> Self {
        let packets =
            PacketMemory { slots: [Slot::EMPTY; SLOTS], cells: [[0; CELL_BYTES]; CELLS], runs: [Run::EMPTY; CELLS] };
        Self { packets, sound: [0; SOUND], packet: [0; PACKET] }
    }
}

impl Default for LeanRoom {
    fn default() -> Self {
        Self::new()
    }
}

/// The lists of a [`LeanRoom`], as long as it is lent.
#[derive(Clone, Copy, Debug)]
pub struct LentLean<'a>(PhantomData<&'a ()>);

impl<'a> ReceiverMemory for LentLean<'a> {
    type Slots = &'a mut [Slot; SLOTS];
    type Cells = &'a mut [Cell; CELLS];
    type Runs = &'a mut [Run; CELLS];
    type Sound = &'a mut [i16; SOUND];
    const PARTS: ReceiverParts = Lean::PARTS;
}

impl<'a> PhoneMemory for &'a mut LeanRoom {
    type Receiver = LentLean<'a>;
    type Packet = &'a mut [i16; PACKET];
    type Datagram = [u8; DATAGRAM];
    type Room = Self;
    const PACKET_SAMPLES: usize = PACKET;
    const DATAGRAM: Self::Datagram = [0; DATAGRAM];

    #[inline(always)]
    fn lay_out(room: Self) -> (Memory<Self::Receiver, 1>, Self::Packet) {
        let LeanRoom { packets: PacketMemory { slots, cells, runs }, sound, packet } = room;
        // The room may hold data of an earlier call; the receiver itself clears the rest to silence and empty slots.
        runs.fill(Run::EMPTY);
        packet.fill(0);
        (Memory { packets: PacketMemory { slots, cells, runs }, sound: [sound] }, packet)
    }
}
