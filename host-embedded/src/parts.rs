//! What a phone is made of: its codecs with the memory that their packets need, and parts of a user's own.
//!
//! [`PhoneParts`] names four parts by their types. Those that there are none of are types without values
//! ([`NoBlock`](dsp_core::front::NoBlock), [`NoDetector`]), so that the compiler leaves out what belongs to them: a phone pays for what it has, in flash and in
//! RAM. [`Phone`](crate::phone::Phone) and [`PhoneWith`](crate::phone::PhoneWith) have none to be named.

use core::marker::PhantomData;

use dsp_core::codec::g711::{Pcma, Pcmu};
use dsp_core::codec::{Decoder, Encoder, PayloadTable};
use dsp_core::front::CaptureBlock;
use dsp_core::process::activity::{NoDetector, SpeechDetector};
use dsp_core::receive::memory::{Arrays, ReceiverMemory};
use dsp_core::receive::strategy::{Standard, Strategy};
use dsp_core::receive::{ConfigError, Receiver, ReceiverConfig};
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
    /// A block between microphone and sender, over frames of 10 ms; or [`NoBlock`](dsp_core::front::NoBlock).
    type Block: CaptureBlock<i16>;
    /// What says what is speech, where pauses are told by comfort noise (RFC 3389); or [`NoDetector`].
    type Detector: SpeechDetector;
    /// How long packets wait, and what is done meanwhile; or [`Standard`].
    type Strategy: Strategy;
    /// What the packets carry; [`G711`], say.
    type Codecs: PhoneCodecs;
}

/// The parts themselves.
pub struct Parts<P: PhoneParts> {
    /// The block, if there is one.
    pub block: Option<P::Block>,
    /// The payload type of comfort noise and the detector, if pauses are told by it.
    pub noise: Option<(PayloadType, P::Detector)>,
    /// The strategy.
    pub strategy: P::Strategy,
    /// The codecs.
    pub codecs: P::Codecs,
}

/// G.711 with a block of one's own and nothing else, or with [`NoBlock`](dsp_core::front::NoBlock).
#[derive(Clone, Copy, Debug)]
pub struct G711Parts<B>(PhantomData<B>);

impl<B: CaptureBlock<i16>> PhoneParts for G711Parts<B> {
    type Block = B;
    type Detector = NoDetector;
    type Strategy = Standard;
    type Codecs = G711;
}

impl<B: CaptureBlock<i16>> Parts<G711Parts<B>> {
    /// With this block, or with none.
    #[inline(always)]
    pub(crate) fn g711(block: Option<B>) -> Self {
        Self { block, noise: None, strategy: Standard, codecs: G711::default() }
    }
}

/// The codecs of a phone, by payload type: all of one rate of sound and of one RTP clock, mono.
///
/// A table of one's own, with L16 at 8 kHz as payload type 96 beside G.711:
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
    /// What their packets need.
    type Memory: PhoneMemory;

    /// The encoder for `payload_type`, or `None` if nothing is sent as that.
    fn encoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Encoder>;
}

/// How much memory a phone's packets need.
pub trait PhoneMemory {
    /// What the receiver lies in: packets for the longest delay, and samples of sound.
    type Receiver: ReceiverMemory;
    /// Samples of the longest packet that is sent, and two ticks.
    type Packet: Storage<i16>;
    /// Bytes of the longest datagram that is taken in or sent.
    type Datagram: Storage<u8>;
    /// Samples of a packet, at most, and of two ticks.
    const PACKET_SAMPLES: usize;
    /// No bytes.
    const DATAGRAM: Self::Datagram;

    /// A receiver in this memory: [`Receiver::new`]. No constant, which would lie in flash to be copied.
    ///
    /// # Errors
    /// As for [`Receiver::new`].
    fn receiver(config: ReceiverConfig) -> Result<Receiver<Self::Receiver, 1>, ConfigError>;

    /// [`PACKET_SAMPLES`](Self::PACKET_SAMPLES) of silence.
    fn packet() -> Self::Packet;
}

/// For 8 kHz: packets of G.711 up to 60 ms to be sent, 200 ms of those of 20 ms to be received. L16, of twice the bytes,
/// has half the delay in it.
#[derive(Clone, Copy, Debug)]
pub enum Narrowband {}

impl PhoneMemory for Narrowband {
    type Receiver = Arrays<32, 1_760>;
    type Packet = [i16; 640];
    type Datagram = [u8; 640];
    const PACKET_SAMPLES: usize = 640;
    const DATAGRAM: Self::Datagram = [0; 640];

    #[inline(always)]
    fn receiver(config: ReceiverConfig) -> Result<Receiver<Self::Receiver, 1>, ConfigError> {
        Receiver::new(config)
    }

    #[inline(always)]
    fn packet() -> Self::Packet {
        [0; Self::PACKET_SAMPLES]
    }
}

/// For 16 kHz: packets of G.722 up to 60 ms to be sent, 200 ms of those of 20 ms to be received.
#[derive(Clone, Copy, Debug)]
pub enum Wideband {}

impl PhoneMemory for Wideband {
    type Receiver = Arrays<32, 3_520>;
    type Packet = [i16; 1_280];
    type Datagram = [u8; 640];
    const PACKET_SAMPLES: usize = 1_280;
    const DATAGRAM: Self::Datagram = [0; 640];

    #[inline(always)]
    fn receiver(config: ReceiverConfig) -> Result<Receiver<Self::Receiver, 1>, ConfigError> {
        Receiver::new(config)
    }

    #[inline(always)]
    fn packet() -> Self::Packet {
        [0; Self::PACKET_SAMPLES]
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
