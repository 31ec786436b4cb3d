//! Parts of a call that a user makes: a path, a guard, a block of the capture chain, a speech detector, a strategy, a
//! table of decoders.
//!
//! A configuration can be copied and used for many calls, so it holds what makes a part, and each call makes its own.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use dsp_core::codec::{CodecInfo, PayloadTable};
use dsp_core::front::{CaptureBlock, FrontError};
use dsp_core::guard::PacketGuard;
use dsp_core::process::activity::{EnergyGate, SpeechDetector};
use dsp_core::process::voice::{VoiceConfig, VoiceDetector};
use dsp_core::receive::ReceiverConfig;
use dsp_core::receive::strategy::{Standard, Strategy};

use super::Channel;
use super::capture::HostOwn;
use super::front::FRAME;
use super::transport::Path;

/// A guard of one call.
pub type BoxedGuard = Box<dyn PacketGuard + Send>;
/// A block of the capture chain of one channel of a call's sound.
pub type BoxedBlock = Box<dyn CaptureBlock<i16> + Send>;
/// The same in floating point.
pub type BoxedFloatBlock = Box<dyn CaptureBlock<f32> + Send>;
/// What decides for one receiver of a call.
pub(super) type BoxedStrategy = Box<dyn Strategy + Send>;
/// Decoders of one receiver of a call, by payload type.
pub(super) type BoxedDecoders = Box<dyn PayloadTable + Send>;

type MakePath = dyn Fn(Channel, SocketAddr) -> Box<dyn Path> + Send + Sync;
type MakeGuard = dyn Fn() -> Option<BoxedGuard> + Send + Sync;
type MakeBlock = dyn Fn(u32) -> HostOwn + Send + Sync;
type MakeDetector = dyn Fn(u32) -> HostDetector + Send + Sync;
type MakeStrategy = dyn Fn(&ReceiverConfig) -> BoxedStrategy + Send + Sync;
type MakeDecoders = dyn Fn(&CodecInfo) -> BoxedDecoders + Send + Sync;

/// What makes the paths of a call: [`CallConfig::path`](super::CallConfig::path).
#[derive(Clone)]
pub struct OwnPath(Arc<MakePath>);

/// What makes the guard of a call: [`CallConfig::guard`](super::CallConfig::guard).
#[derive(Clone)]
pub struct OwnGuard(Arc<MakeGuard>);

/// What makes a block of the capture chain: [`CallConfig::capture`](super::CallConfig::capture).
#[derive(Clone)]
pub struct OwnBlock(Arc<MakeBlock>);

/// What makes the speech detector of a stream: [`CallConfig::detector`](super::CallConfig::detector).
///
/// A push-to-talk key as a detector: what is said while nobody presses it is comfort noise.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
///
/// use dsp_core::process::activity::SpeechDetector;
/// use host_std::session::{CallConfig, OwnDetector};
///
/// struct Key(Arc<AtomicBool>);
///
/// impl SpeechDetector for Key {
///     fn is_speech(&mut self, _: &[i16]) -> bool {
///         self.0.load(Relaxed)
///     }
/// }
///
/// let pressed = Arc::new(AtomicBool::new(false));
/// let key = pressed.clone();
/// let detector = Some(OwnDetector::new(move |_rate_hz| Key(key.clone())));
/// let config = CallConfig { comfort_noise: true, detector, ..CallConfig::new(4_000)? };
/// pressed.store(true, Relaxed);
/// # let _ = config;
/// # Ok::<(), host_std::session::CallError>(())
/// ```
#[derive(Clone)]
pub struct OwnDetector(Arc<MakeDetector>);

/// What makes the strategy of each receiver: [`CallConfig::strategy`](super::CallConfig::strategy).
///
/// A delay of 80 ms, whatever the network does:
///
/// ```
/// use dsp_core::receive::strategy::{Estimate, Strategy};
/// use host_std::session::{CallConfig, OwnStrategy};
///
/// /// Ticks of the RTP clock.
/// struct Fixed(u32);
///
/// impl Strategy for Fixed {
///     fn target(&mut self, _: &Estimate) -> u32 {
///         self.0
///     }
/// }
///
/// let strategy = Some(OwnStrategy::new(|receiver| Fixed(receiver.rtp_clock_hz / 1_000 * 80)));
/// let config = CallConfig { strategy, ..CallConfig::new(4_000)? };
/// # let _ = config;
/// # Ok::<(), host_std::session::CallError>(())
/// ```
#[derive(Clone)]
pub struct OwnStrategy(Arc<MakeStrategy>);

/// What makes a table of decoders for each receiver: [`CallConfig::decoders`](super::CallConfig::decoders).
///
/// This is for payload types that no SDP speaks of (a fixed dial plan, a static table), and for a wrapper round a decoder
/// of a payload type that was agreed on: the table is asked first, and what it has no decoder for is the registry's. A
/// codec with a name, an offer and an encoder belongs into the [registry](crate::registry) instead.
///
/// L16 as payload type 100, without a word in the SDP:
///
/// ```
/// use dsp_core::codec::l16::L16;
/// use dsp_core::time::PayloadType;
/// use host_std::registry::CodecFormat;
/// use host_std::session::{CallConfig, OwnDecoders};
///
/// let number = PayloadType::from_low_bits(100);
/// let decoders = OwnDecoders::new(move |sound| {
///     // At the rate of the call's codec, whichever was agreed on.
///     (number, L16::new(sound.sample_rate_hz, sound.channels).expect("a rate of the built-in codecs"))
/// });
/// let codecs = vec![CodecFormat::pcmu()];
/// let config = CallConfig { codecs, decoders: Some(decoders), ..CallConfig::new(4_000)? };
/// # let _ = config;
/// # Ok::<(), host_std::session::CallError>(())
/// ```
#[derive(Clone)]
pub struct OwnDecoders(Arc<MakeDecoders>);

/// A speech detector on the heap.
pub(super) struct HostDetector(Box<dyn SpeechDetector + Send>);

impl HostDetector {
    pub(super) fn new(detector: impl SpeechDetector + Send + 'static) -> Self {
        Self(Box::new(detector))
    }
}

impl SpeechDetector for HostDetector {
    fn is_speech(&mut self, pcm: &[i16]) -> bool {
        self.0.is_speech(pcm)
    }
}

impl OwnDetector {
    /// `make` gets the rate of the sound that is sent, in Hz; it is asked once for each codec that pauses by comfort noise.
    pub fn new<D: SpeechDetector + Send + 'static>(make: impl Fn(u32) -> D + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |rate_hz| HostDetector::new(make(rate_hz))))
    }

    /// The core's voice detector, which tells voices from noise where the energy gate only hears that it's loud;
    /// `aggressiveness` is 0 to 3, and more is 3. At rates that it doesn't have, which are no multiples of 8 kHz, the energy gate.
    pub fn voice(aggressiveness: u8) -> Self {
        let aggressiveness = aggressiveness.min(3);
        // What follows a word is part of it.
        let hangover_ms = 40;
        Self(Arc::new(move |sample_rate_hz| {
            match VoiceDetector::new(VoiceConfig { sample_rate_hz, aggressiveness, hangover_ms }) {
                Ok(detector) => HostDetector::new(detector),
                Err(_) => HostDetector::new(EnergyGate::new(sample_rate_hz)),
            }
        }))
    }

    pub(super) fn make(&self, sample_rate_hz: u32) -> HostDetector {
        (self.0)(sample_rate_hz)
    }
}

impl OwnStrategy {
    /// `make` gets the rates of a receiver and the bounds of its delay, and is asked once for each: when a call is agreed
    /// on, one for each of [`CallConfig::sources`](super::CallConfig::sources), and when a later answer changes the sound.
    /// Delays are in ticks of its RTP clock.
    pub fn new<S: Strategy + Send + 'static>(make: impl Fn(&ReceiverConfig) -> S + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |receiver| Box::new(make(receiver))))
    }

    /// By default a receiver decides by itself.
    pub(super) fn make(own: Option<&Self>, receiver: &ReceiverConfig) -> BoxedStrategy {
        own.map_or_else(|| Box::new(Standard) as BoxedStrategy, |own| (own.0)(receiver))
    }
}

impl OwnDecoders {
    /// `make` gets the rate, the RTP clock and the channels that every decoder must have (there is no name in it), and is
    /// asked once for each receiver, as [`OwnStrategy::new`] has it. For which payload types there is a decoder is seen
    /// once, when the table is made.
    pub fn new<T: PayloadTable + Send + 'static>(make: impl Fn(&CodecInfo) -> T + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |sound| Box::new(make(sound))))
    }

    pub(super) fn make(&self, sound: &CodecInfo) -> BoxedDecoders {
        (self.0)(sound)
    }
}

impl OwnPath {
    /// `make` gets the port that the path is for and the address that the other side's description names.
    pub fn new(make: impl Fn(Channel, SocketAddr) -> Box<dyn Path> + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    pub(super) fn make(&self, channel: Channel, named: SocketAddr) -> Box<dyn Path> {
        (self.0)(channel, named)
    }
}

impl OwnGuard {
    /// `make` gives `None` as long as there are no keys: the call waits then, sends nothing and plays nothing, until
    /// [`Call::set_guard`](super::Call::set_guard).
    pub fn new(make: impl Fn() -> Option<BoxedGuard> + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    pub(super) fn make(&self) -> Option<BoxedGuard> {
        (self.0)()
    }
}

impl OwnBlock {
    /// `make` gets the rate of the sound in Hz, and is asked once for each channel.
    pub fn new(make: impl Fn(u32) -> BoxedBlock + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |rate_hz| HostOwn::short(make(rate_hz))))
    }

    /// As [`new`](Self::new), of a block in floating point, as the chain computes.
    pub fn in_float<B: CaptureBlock<f32> + Send + 'static>(make: impl Fn(u32) -> B + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |rate_hz| HostOwn::Float(Box::new(make(rate_hz)))))
    }

    /// A block for one channel.
    ///
    /// # Errors
    /// [`FrontError::Frame`] for a rate at which 10 ms are too long.
    pub(super) fn make(&self, sample_rate_hz: u32) -> Result<HostOwn, FrontError> {
        let block = (self.0)(sample_rate_hz);
        let need = sample_rate_hz.div_ceil(100) as usize;
        if need > FRAME { Err(FrontError::Frame { need, got: FRAME }) } else { Ok(block) }
    }
}

impl fmt::Debug for OwnPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnPath")
    }
}

impl fmt::Debug for OwnStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnStrategy")
    }
}

impl fmt::Debug for OwnDecoders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnDecoders")
    }
}

impl fmt::Debug for OwnDetector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnDetector")
    }
}

impl fmt::Debug for OwnGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnGuard")
    }
}

impl fmt::Debug for OwnBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnBlock")
    }
}
