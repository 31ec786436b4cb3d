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

/// The guard of one call, which encrypts and decrypts its packets.
pub type BoxedGuard = Box<dyn PacketGuard + Send>;
/// A block of the capture chain for one channel, in 16-bit samples.
pub type BoxedBlock = Box<dyn CaptureBlock<i16> + Send>;
/// A block of the capture chain for one channel, in floating point.
pub type BoxedFloatBlock = Box<dyn CaptureBlock<f32> + Send>;
/// The strategy of one receiver of a call.
pub(super) type BoxedStrategy = Box<dyn Strategy + Send>;
/// Decoders of one receiver of a call, by payload type.
pub(super) type BoxedDecoders = Box<dyn PayloadTable + Send>;

type MakePath = dyn Fn(Channel, SocketAddr) -> Box<dyn Path> + Send + Sync;
type MakeGuard = dyn Fn() -> Option<BoxedGuard> + Send + Sync;
type MakeBlock = dyn Fn(u32) -> HostOwn + Send + Sync;
type MakeDetector = dyn Fn(u32) -> HostDetector + Send + Sync;
type MakeStrategy = dyn Fn(&ReceiverConfig) -> BoxedStrategy + Send + Sync;
type MakeDecoders = dyn Fn(&CodecInfo) -> BoxedDecoders + Send + Sync;

/// Makes the paths of a call, your own rule for addresses: [`CallConfig::path`](super::CallConfig::path).
///
/// Settings may be cloned and used for many calls, so they hold what makes a path, and each call makes its own.
///
/// ```
/// use std::net::SocketAddr;
///
/// use dsp_core::time::Instant;
/// use host_std::session::{CallConfig, Claim, OwnPath, Path};
///
/// /// Sends to the address that the other side's description names, and accepts packets from nowhere else.
/// struct Strict(SocketAddr);
///
/// impl Path for Strict {
///     fn remote(&self) -> SocketAddr {
///         self.0
///     }
///     fn may_hear(&self, from: SocketAddr) -> bool {
///         from == self.0
///     }
///     fn believes(&self, _: Instant, from: SocketAddr) -> bool {
///         from == self.0
///     }
///     fn hear(&mut self, _: Instant, from: SocketAddr, _: Claim) -> bool {
///         from == self.0
///     }
///     fn renegotiated(&mut self, _: Instant, named: SocketAddr) {
///         self.0 = named;
///     }
/// }
///
/// let path = Some(OwnPath::new(|_channel, named| Box::new(Strict(named))));
/// let config = CallConfig { path, ..CallConfig::new(4000)? };
/// # let _ = config;
/// # Ok::<(), host_std::session::CallError>(())
/// ```
#[derive(Clone)]
pub struct OwnPath(Arc<MakePath>);

/// Makes the guard of a call, your own protection of packets: [`CallConfig::guard`](super::CallConfig::guard).
///
/// A call whose keys come from elsewhere than its description. It waits, and sends and plays nothing, until they are here:
///
/// ```
/// use dsp_core::guard::Plain;
/// use dsp_core::time::Instant;
/// use host_std::sdp::SrtpPolicy;
/// use host_std::session::{Call, CallConfig, OwnGuard, Protection};
///
/// let guard = Some(OwnGuard::new(|| None)); // no keys yet
/// let mut ours = Call::new(CallConfig { guard, srtp: SrtpPolicy::Off, ..CallConfig::new(4000)? })?;
/// let mut theirs = Call::new(CallConfig { srtp: SrtpPolicy::Off, ..CallConfig::new(5000)? })?;
/// let answer = theirs.answer(Instant::ZERO, &ours.offer()?)?;
/// ours.accept(Instant::ZERO, &answer)?;
/// assert_eq!(ours.protection(), Some(Protection::Waiting));
///
/// ours.set_guard(Box::new(Plain)); // a real one has the keys
/// assert_eq!(ours.protection(), Some(Protection::Own));
/// # Ok::<(), host_std::session::CallError>(())
/// ```
#[derive(Clone)]
pub struct OwnGuard(Arc<MakeGuard>);

/// Makes a block of your own in the capture chain: [`CaptureConfig::own`](super::CaptureConfig::own). The example of
/// [`CaptureConfig`](super::CaptureConfig) has one.
#[derive(Clone)]
pub struct OwnBlock(Arc<MakeBlock>);

/// Makes the speech detector of a stream: [`CallConfig::detector`](super::CallConfig::detector).
///
/// This example is a push-to-talk key as a detector. While it isn't pressed comfort noise is sent, whatever the microphone picks
/// up:
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

/// Makes the strategy of each receiver: [`CallConfig::strategy`](super::CallConfig::strategy).
///
/// A strategy whose delay is 80 ms, whatever the network does:
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

/// Makes a table of decoders for each receiver: [`CallConfig::decoders`](super::CallConfig::decoders).
///
/// Use it for payload types that no description names, and to wrap the decoder of a payload type that was agreed on. The table
/// is asked first, and the registry where it has no decoder. A codec that offers and answers are to name belongs into the
/// [registry](crate::registry) instead.
///
/// L16 as payload type 100, which no description names:
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
    /// Detectors that `make` returns. It gets the rate of the sound that is sent, in Hz, and is called once for each codec that
    /// pauses by comfort noise.
    pub fn new<D: SpeechDetector + Send + 'static>(make: impl Fn(u32) -> D + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |rate_hz| HostDetector::new(make(rate_hz))))
    }

    /// Creates the core's voice detector, which distinguishes voices from noise, while the default energy gate only measures the
    /// level. `aggressiveness` is 0 to 3, and anything above counts as 3. At rates that aren't multiples of 8 kHz this is the
    /// energy gate all the same.
    pub fn voice(aggressiveness: u8) -> Self {
        let aggressiveness = aggressiveness.min(3);
        // The time just after a word belongs to it.
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
    /// Strategies that `make` returns. It gets the rates of a receiver and the bounds of its delay, and is called once for each
    /// receiver: when a call is agreed on, for each of [`CallConfig::sources`](super::CallConfig::sources), and again when a
    /// later answer changes the sound. A strategy counts in ticks of the receiver's RTP clock.
    pub fn new<S: Strategy + Send + 'static>(make: impl Fn(&ReceiverConfig) -> S + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |receiver| Box::new(make(receiver))))
    }

    /// Makes the strategy; by default a receiver has its standard one.
    pub(super) fn make(own: Option<&Self>, receiver: &ReceiverConfig) -> BoxedStrategy {
        own.map_or_else(|| Box::new(Standard) as BoxedStrategy, |own| (own.0)(receiver))
    }
}

impl OwnDecoders {
    /// Tables that `make` returns. It gets the rate, the RTP clock and the channels that every decoder must have (the name is
    /// empty), and is called once for each receiver, as that of [`OwnStrategy::new`] is. Which payload types have a decoder is
    /// looked up once, when the table is made.
    pub fn new<T: PayloadTable + Send + 'static>(make: impl Fn(&CodecInfo) -> T + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |sound| Box::new(make(sound))))
    }

    pub(super) fn make(&self, sound: &CodecInfo) -> BoxedDecoders {
        (self.0)(sound)
    }
}

impl OwnPath {
    /// Paths that `make` returns. It gets the port that the path is for, and the address that the other side's description names.
    pub fn new(make: impl Fn(Channel, SocketAddr) -> Box<dyn Path> + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    pub(super) fn make(&self, channel: Channel, named: SocketAddr) -> Box<dyn Path> {
        (self.0)(channel, named)
    }
}

impl OwnGuard {
    /// Guards that `make` returns; `None` as long as there are no keys. The call then waits, and sends and plays nothing, until
    /// [`Call::set_guard`](super::Call::set_guard).
    pub fn new(make: impl Fn() -> Option<BoxedGuard> + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    pub(super) fn make(&self) -> Option<BoxedGuard> {
        (self.0)()
    }
}

impl OwnBlock {
    /// Blocks that `make` returns. It gets the rate of the sound in Hz, and is called once for each channel.
    pub fn new(make: impl Fn(u32) -> BoxedBlock + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |rate_hz| HostOwn::short(make(rate_hz))))
    }

    /// Does the same as [`new`](Self::new), for blocks in floating point, in which the chain itself computes.
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
