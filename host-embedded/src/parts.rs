//! The parts of a phone: its codecs with the memory that their packets need, and your own blocks.
//!
//! [`PhoneParts`] names four parts by their types. An absent part is a type without values ([`NoBlock`], [`NoDetector`]), so that
//! the compiler leaves out its code: a phone pays only for its own parts, in flash and in RAM. [`Phone`](crate::phone::Phone) and
//! [`PhoneWith`](crate::phone::PhoneWith) need no named parts.
//!
//! [`lean`](crate::lean) is a phone with the least of them.
//!
//! Use them where a phone needs another codec than G.711, comfort noise, a strategy or a capture block of your own, or memory
//! outside the phone. [`PhoneCodecs`] and [`RoomOf`] have an example each; this one names the parts of a
//! [`Phone`](crate::phone::Phone):
//!
//! ```
//! use dsp_core::front::NoBlock;
//! use dsp_core::process::activity::NoDetector;
//! use dsp_core::receive::strategy::Standard;
//! use host_embedded::parts::{G711, Parts, PhoneParts};
//! use host_embedded::phone::{PhoneConfig, PhoneOf, TICK};
//!
//! enum Plain {}
//!
//! impl PhoneParts for Plain {
//!     type Block = NoBlock;
//!     type Detector = NoDetector;
//!     type Strategy = Standard;
//!     type Codecs = G711;
//! }
//!
//! let parts = Parts { block: None, noise: None, strategy: Standard, codecs: G711::default() };
//! let phone = PhoneOf::<Plain, TICK, 0>::with_parts(PhoneConfig::default(), parts)?;
//! # assert_eq!(phone.send_stats().packets, 0);
//! # Ok::<(), host_embedded::phone::PhoneError>(())
//! ```
//!
//! Limits: all codecs of a table have one rate of sound and one RTP clock: a phone of G.711 and G.722 is two kinds of phone, of which a
//! call makes one.

use core::marker::PhantomData;

use dsp_core::codec::g711::{Pcma, Pcmu};
use dsp_core::codec::{Decoder, Encoder, OtherPayload, PayloadTable};
use dsp_core::front::{CaptureBlock, NoBlock};
use dsp_core::process::activity::{NoDetector, SpeechDetector};
use dsp_core::receive::memory::{Arrays, Cell, Memory, PacketMemory, ReceiverMemory, Run, Slot};
use dsp_core::receive::strategy::{Standard, Strategy};
use dsp_core::storage::Storage;
use dsp_core::time::PayloadType;

/// The parts of a phone, by their types.
///
/// Comfort noise instead of pauses, and a delay of 60 ms whatever the network does:
///
/// ```
/// use dsp_core::front::NoBlock;
/// use dsp_core::process::activity::EnergyGate;
/// use dsp_core::receive::strategy::{Estimate, Strategy};
/// use dsp_core::time::PayloadType;
/// use host_embedded::parts::{G711, Parts, PhoneParts};
/// use host_embedded::phone::{PhoneConfig, PhoneOf, TICK};
///
/// struct Fixed;
///
/// impl Strategy for Fixed {
///     fn target(&mut self, _: &Estimate) -> u32 {
///         60 * 8
///     }
/// }
///
/// enum Quiet {}
///
/// impl PhoneParts for Quiet {
///     type Block = NoBlock;
///     type Detector = EnergyGate;
///     type Strategy = Fixed;
///     type Codecs = G711;
/// }
///
/// let noise = Some((PayloadType::COMFORT_NOISE, EnergyGate::new(8_000)));
/// let parts = Parts { block: None, noise, strategy: Fixed, codecs: G711::default() };
/// let phone = PhoneOf::<Quiet, TICK, 0>::with_parts(PhoneConfig::default(), parts)?;
/// # assert_eq!(phone.send_stats().noise_packets, 0);
/// # Ok::<(), host_embedded::phone::PhoneError>(())
/// ```
pub trait PhoneParts {
    /// A block between microphone and sender, over frames of 10 ms; or [`NoBlock`].
    type Block: CaptureBlock<i16>;
    /// The detector of speech, for a phone that sends comfort noise in pauses (RFC 3389); or [`NoDetector`].
    type Detector: SpeechDetector;
    /// The strategy that decides how long packets wait and what is played meanwhile; or [`Standard`].
    type Strategy: Strategy;
    /// The codecs of the packets, for example [`G711`].
    type Codecs: PhoneCodecs;
    /// Whether it has telephone events (RFC 4733). Without, none are sent and none are heard, whatever
    /// [`PhoneConfig::events`](crate::phone::PhoneConfig::events) says.
    const EVENTS: bool = true;
}

/// The parts themselves.
pub struct Parts<P: PhoneParts> {
    /// The block, if there is one.
    pub block: Option<P::Block>,
    /// The payload type of comfort noise and the detector, if comfort noise is sent in pauses.
    pub noise: Option<(PayloadType, P::Detector)>,
    /// The strategy.
    pub strategy: P::Strategy,
    /// The codecs.
    pub codecs: P::Codecs,
}

/// The parts of a G.711 phone with a block of your own and nothing else, or with [`NoBlock`].
#[derive(Clone, Copy, Debug)]
pub struct G711Parts<B>(PhantomData<B>);

impl<B: CaptureBlock<i16>> PhoneParts for G711Parts<B> {
    type Block = B;
    type Detector = NoDetector;
    type Strategy = Standard;
    type Codecs = G711;
}

impl Parts<G711Parts<NoBlock>> {
    /// Those of a [`Phone`](crate::phone::Phone).
    #[inline(always)]
    pub fn g711() -> Self {
        Self::g711_with(None)
    }
}

impl<B: CaptureBlock<i16>> Parts<G711Parts<B>> {
    /// Creates the parts with this block, or with none.
    #[inline(always)]
    pub(crate) fn g711_with(block: Option<B>) -> Self {
        Self { block, noise: None, strategy: Standard, codecs: G711::default() }
    }
}

/// The codecs of a phone, by payload type: all of one rate of sound and of one RTP clock, mono.
///
/// This example is a codec table with L16 at 8 kHz as payload type 96 in addition to G.711:
///
/// ```
/// use dsp_core::codec::l16::L16;
/// use dsp_core::codec::{Decoder, Encoder, PayloadTable};
/// use dsp_core::time::PayloadType;
/// use host_embedded::parts::{G711, Narrowband, PhoneCodecs};
///
/// const NUMBER: PayloadType = PayloadType::from_low_bits(96);
///
/// struct Table {
///     l16: L16,
///     g711: G711,
/// }
///
/// impl PayloadTable for Table {
///     fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
///         if payload_type == NUMBER { Some(&mut self.l16) } else { self.g711.decoder(payload_type) }
///     }
/// }
///
/// impl PhoneCodecs for Table {
///     const SAMPLE_RATE_HZ: u32 = 8_000;
///     const RTP_CLOCK_HZ: u32 = 8_000;
///     type Memory = Narrowband;
///
///     fn encoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Encoder> {
///         if payload_type == NUMBER { Some(&mut self.l16) } else { self.g711.encoder(payload_type) }
///     }
/// }
/// ```
pub trait PhoneCodecs: PayloadTable {
    /// Rate of the sound, in Hz.
    const SAMPLE_RATE_HZ: u32;
    /// Rate of the RTP timestamps, in Hz: 8000 for G.722, whose sound has 16,000.
    const RTP_CLOCK_HZ: u32;
    /// The memory that their packets need.
    type Memory: PhoneMemory;

    /// The encoder for `payload_type`, or `None` if nothing is sent as that.
    fn encoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Encoder>;
}

/// The amount of memory that a phone's packets need, and whether it's in the phone or [lent](RoomOf) to it.
pub trait PhoneMemory {
    /// The memory of the receiver: packets for the longest delay, and samples of sound.
    type Receiver: ReceiverMemory;
    /// Samples of the longest packet that is sent, and two ticks.
    type Packet: Storage<i16>;
    /// Bytes of the longest datagram that is taken in or sent.
    type Datagram: Storage<u8>;
    /// The memory that is lent to the phone; `()` where all is within it.
    type Room;
    /// Samples of a packet, at most, and of two ticks.
    const PACKET_SAMPLES: usize;
    /// No bytes.
    const DATAGRAM: Self::Datagram;

    /// Returns the memory of the receiver, and [`PACKET_SAMPLES`](Self::PACKET_SAMPLES) for packets to be sent. It is a function,
    /// since a constant would be in flash and be copied.
    fn lay_out(room: Self::Room) -> (Memory<Self::Receiver, 1>, Self::Packet);
}

/// The memory for 8 kHz: packets of G.711 up to 60 ms to be sent, 200 ms of those of 20 ms to be received. L16, with twice the
/// bytes, has room for half the delay.
pub type Narrowband = Within<32, 1_760, 640, 640>;
/// The memory for 16 kHz: packets of G.722 up to 60 ms to be sent, 200 ms of those of 20 ms to be received.
pub type Wideband = Within<32, 3_520, 1_280, 640>;
/// Less memory for 16 kHz: packets of G.722 of 20 ms to be sent, 200 ms of those of 20 ms to be received, or of 30 ms at most.
pub type LessWideband = Within<32, 3_360, 640, 320>;

/// Memory within the phone: for `CELLS` packets and as many cells of 64 bytes, `SAMPLES` of sound, `PACKET` samples to send, and
/// `DATAGRAM` bytes of the longest datagram.
///
/// The sound is what concealment looks back on (120 ms), the longest gap that it bridges (60 ms), and the longest packet that is
/// received; the samples to send are those of the longest packet and of two ticks.
#[derive(Clone, Copy, Debug)]
pub enum Within<const CELLS: usize, const SAMPLES: usize, const PACKET: usize, const DATAGRAM: usize> {}

impl<const CELLS: usize, const SAMPLES: usize, const PACKET: usize, const DATAGRAM: usize> PhoneMemory
    for Within<CELLS, SAMPLES, PACKET, DATAGRAM>
{
    type Receiver = Arrays<CELLS, SAMPLES>;
    type Packet = [i16; PACKET];
    type Datagram = [u8; DATAGRAM];
    type Room = ();
    const PACKET_SAMPLES: usize = PACKET;
    const DATAGRAM: Self::Datagram = [0; DATAGRAM];

    #[inline(always)]
    fn lay_out((): ()) -> (Memory<Self::Receiver, 1>, Self::Packet) {
        (Memory::default(), [0; PACKET])
    }
}

/// Memory that is lent to a phone for a call. It is made in a constant, so that it is in a `static` and never on the stack. The
/// phone that uses it is smaller by the same amount, and so is the stack that is needed to make it. It has room for `CELLS`
/// packets, `SAMPLES` of sound, and `PACKET` samples to send: [`NarrowbandRoom`] has as much as [`Narrowband`], [`WidebandRoom`]
/// as much as [`Wideband`].
///
/// ```
/// use host_embedded::parts::{G711, Lent, NarrowbandRoom, Parts, PhoneParts};
/// use host_embedded::phone::{PhoneConfig, PhoneOf, TICK};
/// # use dsp_core::front::NoBlock;
/// # use dsp_core::process::activity::NoDetector;
/// # use dsp_core::receive::strategy::Standard;
///
/// enum MyPhone {}
///
/// impl PhoneParts for MyPhone {
///     type Block = NoBlock;
///     type Detector = NoDetector;
///     type Strategy = Standard;
///     type Codecs = Lent<G711, &'static mut NarrowbandRoom>;
/// }
///
/// // On bare metal, a `static_cell::ConstStaticCell<NarrowbandRoom>`.
/// let room: &'static mut NarrowbandRoom = Box::leak(Box::new(NarrowbandRoom::new()));
/// let parts = Parts { block: None, noise: None, strategy: Standard, codecs: Lent::new(G711::default()) };
/// let phone = PhoneOf::<MyPhone, TICK, 0>::with_room(PhoneConfig::default(), parts, room)?;
/// assert!(size_of_val(&phone) < 4_500);
/// # Ok::<(), host_embedded::phone::PhoneError>(())
/// ```
pub struct RoomOf<const CELLS: usize, const SAMPLES: usize, const PACKET: usize> {
    packets: PacketMemory<Arrays<CELLS, SAMPLES>>,
    sound: [i16; SAMPLES],
    packet: [i16; PACKET],
}

/// The same amount of memory as [`Narrowband`].
pub type NarrowbandRoom = RoomOf<32, 1_760, 640>;
/// The same amount of memory as [`Wideband`].
pub type WidebandRoom = RoomOf<32, 3_520, 1_280>;

impl<const CELLS: usize, const SAMPLES: usize, const PACKET: usize> RoomOf<CELLS, SAMPLES, PACKET> {
    /// Room with nothing in it.
    pub const fn new() -> Self {
        Self { packets: PacketMemory::ARRAYS, sound: [0; SAMPLES], packet: [0; PACKET] }
    }
}

impl<const CELLS: usize, const SAMPLES: usize, const PACKET: usize> Default for RoomOf<CELLS, SAMPLES, PACKET> {
    fn default() -> Self {
        Self::new()
    }
}

/// The lists of a [`RoomOf`], as long as it is lent.
#[derive(Clone, Copy, Debug)]
pub struct LentLists<'a>(PhantomData<&'a ()>);

impl<'a> ReceiverMemory for LentLists<'a> {
    type Slots = &'a mut [Slot];
    type Cells = &'a mut [Cell];
    type Runs = &'a mut [Run];
    type Sound = &'a mut [i16];
}

impl<'a, const CELLS: usize, const SAMPLES: usize, const PACKET: usize> PhoneMemory
    for &'a mut RoomOf<CELLS, SAMPLES, PACKET>
{
    type Receiver = LentLists<'a>;
    type Packet = &'a mut [i16];
    type Datagram = [u8; 640];
    type Room = Self;
    const PACKET_SAMPLES: usize = PACKET;
    const DATAGRAM: Self::Datagram = [0; 640];

    fn lay_out(room: Self) -> (Memory<Self::Receiver, 1>, Self::Packet) {
        let RoomOf { packets: PacketMemory { slots, cells, runs }, sound, packet } = room;
        // The room may hold data of an earlier call.
        slots.fill(Slot::EMPTY);
        runs.fill(Run::EMPTY);
        sound.fill(0);
        packet.fill(0);
        (Memory { packets: PacketMemory { slots, cells, runs }, sound: [sound] }, packet)
    }
}

/// The codecs `C` of a phone whose memory is lent: `M` is `&'a mut` [`RoomOf`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Lent<C, M> {
    codecs: C,
    memory: PhantomData<fn() -> M>,
}

impl<C, M> Lent<C, M> {
    /// Creates these codecs.
    pub const fn new(codecs: C) -> Self {
        Self { codecs, memory: PhantomData }
    }
}

impl<C: PayloadTable, M> PayloadTable for Lent<C, M> {
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
        self.codecs.decoder(payload_type)
    }

    fn other(&self, payload_type: PayloadType) -> OtherPayload {
        self.codecs.other(payload_type)
    }

    fn clock_hz(&self, payload_type: PayloadType) -> Option<u32> {
        self.codecs.clock_hz(payload_type)
    }
}

impl<C: PhoneCodecs, M: PhoneMemory> PhoneCodecs for Lent<C, M> {
    const SAMPLE_RATE_HZ: u32 = C::SAMPLE_RATE_HZ;
    const RTP_CLOCK_HZ: u32 = C::RTP_CLOCK_HZ;
    type Memory = M;

    fn encoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Encoder> {
        self.codecs.encoder(payload_type)
    }
}

/// Both laws of G.711, by their static payload types (RFC 3551, table 4).
#[derive(Clone, Copy, Debug, Default)]
pub struct G711 {
    mu: Pcmu,
    a: Pcma,
}

impl PayloadTable for G711 {
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
        match payload_type {
            PayloadType::PCMU => Some(&mut self.mu),
            PayloadType::PCMA => Some(&mut self.a),
            _ => None,
        }
    }
}

impl PhoneCodecs for G711 {
    const SAMPLE_RATE_HZ: u32 = 8_000;
    const RTP_CLOCK_HZ: u32 = 8_000;
    type Memory = Narrowband;

    fn encoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Encoder> {
        match payload_type {
            PayloadType::PCMU => Some(&mut self.mu),
            PayloadType::PCMA => Some(&mut self.a),
            _ => None,
        }
    }
}
