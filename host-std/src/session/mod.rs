//! A call: SDP state, guard, streams, reporter and codecs of one side, without I/O ([`Call`]); and what drives it:
//! [`virtual_time`](crate::simulate::virtual_time) faster than real time, [`driver`] over sockets on tokio.
//!
//! A server may hold a thousand [`Call`]s and tick them in a batch: none of them owns a task, a socket or a timer.

mod adapter;
#[cfg(feature = "record")]
mod announcement;
mod call;
mod canceller;
mod capture;
#[cfg(feature = "dtls")]
mod certificate;
mod config;
mod denoiser;
mod digits;
#[cfg(feature = "tokio")]
pub mod driver;
mod echo;
mod front;
#[cfg(feature = "ice")]
mod ice;
mod keys;
mod metering;
#[cfg(feature = "nnnoiseless")]
mod neural_noise;
mod outcome;
mod own;
mod stream;
mod tap;
mod tones;
mod transport;
#[cfg(feature = "tokio")]
mod turn_connections;
#[cfg(all(feature = "ice", feature = "tokio"))]
mod turn_tcp;
mod voice;
mod waiting;

/// Length of an audio tick in ms.
pub(crate) const TICK_MS: u32 = 10;

/// Samples (a channel) of the tick with this number: not always the same where a second has no whole number of
/// hundredths.
#[cfg(feature = "simulate")]
pub(crate) fn tick_samples(rate_hz: u32, tick: u64) -> usize {
    ticks_samples(rate_hz, tick, 1)
}

/// Samples (a channel) of `count` ticks from this one on.
#[cfg(feature = "simulate")]
pub(crate) fn ticks_samples(rate_hz: u32, tick: u64, count: u64) -> usize {
    let upto = |tick: u64| tick * u64::from(rate_hz) * u64::from(TICK_MS) / 1_000;
    (upto(tick + count) - upto(tick)) as usize
}

pub use adapter::{AdaptationConfig, AdaptationPolicy, AdaptationStats};
pub use call::Call;
pub use canceller::{EchoSettings, HostEcho};
pub use capture::{CaptureConfig, CaptureStep, HostBlock, HostOwn, HostParts};
#[cfg(feature = "dtls")]
pub use certificate::{Certificate, CertificateError, Keying};
pub use config::{CallConfig, Identity};
pub use denoiser::HostNoise;
pub use digits::{CallDigit, DigitError, DigitPhase, DigitSource, DigitStats, DigitsWait, ToneDetection, sign};
#[cfg(feature = "manager")]
pub(crate) use driver::Driven;
pub use echo::EchoStatus;
pub use front::{CallStream, HostFront, front_end};
#[cfg(feature = "ice")]
pub use ice::{IceConfig, IceMode, RelayState, RelayStats, TurnServer, TurnTransport};
pub use keys::SrtpOptions;
pub use metering::{CallSound, Fault, Finding, MeasurementPoint};
#[cfg(feature = "nnnoiseless")]
pub use neural_noise::NeuralNoise;
pub use outcome::{
    CallError, CallStats, Channel, Directions, Ending, HandshakeFailure, IcePair, IceState, IceStats, Incoming, Missed,
    Protection, Reason, Transmit,
};
pub use own::{
    BoxedBlock, BoxedFloatBlock, BoxedGuard, OwnBlock, OwnDecoders, OwnDetector, OwnGuard, OwnPath, OwnStrategy,
};
#[cfg(feature = "replay")]
pub(crate) use stream::Converted;
pub use stream::{Contributors, MAX_SOURCES, PACKET_BYTES, SourceStats, impairment};
pub use tap::{PacketDirection, Tap};
pub use tones::{CallTone, SendToneError, SentTone};
pub use transport::{Claim, Latching, Path};
#[cfg(all(feature = "ice", feature = "tokio"))]
pub use turn_tcp::{BACKLOG, NoFrame, TurnConnection, TurnFrameBuffer};
pub use voice::HostVoice;
