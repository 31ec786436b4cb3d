//! A call: the state and actions of one side, from the offer to the last report.
//!
//! | use | where |
//! |---|---|
//! | [`Call`] | you have sockets, a clock and sound of your own: a media server, a gateway, an embedded host |
//! | [`driver`] | one call with a sound card or files is to run on tokio |
//! | `manager` | a SIP stack has many calls, with dialogs and forking |
//! | [`room`](crate::room) | calls are to be mixed into a conference |
//! | [`virtual_time`](crate::simulate::virtual_time) | two calls are to run faster than real time, for tests |
//!
//! A [`Call`] does no I/O and reads no clock, and owns no task, socket or timer, so that a server may hold a thousand of them and
//! tick them in a batch. [`CallConfig`] has its settings: codecs, SRTP, delay, the capture chain. Parts of your own take the place of
//! built-in ones by [`OwnStrategy`], [`OwnDetector`], [`OwnGuard`], [`OwnPath`], [`OwnDecoders`] and [`OwnBlock`]. A [`Tap`] sees
//! everything that passes a call.
//!
//! A side that wants two codecs, in this order. SRTP is required unless [`CallConfig::srtp`] says otherwise:
//!
//! ```
//! use dsp_core::time::Instant;
//! use host_std::registry::CodecFormat;
//! use host_std::session::{Call, CallConfig, Protection};
//!
//! let codecs = vec![CodecFormat::g722(), CodecFormat::pcma()];
//! let config = CallConfig { codecs, ..CallConfig::new(4000)? };
//! let (mut anna, mut bert) = (Call::new(config)?, Call::new(CallConfig::new(5000)?)?);
//! let offer = anna.offer()?; // into an INVITE
//! assert!(offer.contains("RTP/SAVP 9 8"));
//! let answer = bert.answer(Instant::ZERO, &offer)?; // into its 200
//! anna.accept(Instant::ZERO, &answer)?;
//! assert_eq!(anna.codec().map(|codec| codec.to_string()), Some("G722/8000".into()));
//! assert_eq!(anna.sample_rate_hz(), Some(16_000));
//! assert!(matches!(anna.protection(), Some(Protection::Srtp(_))));
//! # Ok::<(), host_std::session::CallError>(())
//! ```
//!
//! **Cost** (BENCHMARKS.md). 20 ms of PCMU with SRTP take 0.33 µs to send and 0.35 µs to receive; of Opus at 16 kHz 36 µs and 9 µs, most
//! of it libopus. A call of PCMU with SRTP holds 53 KB, one of Opus 77 KB and 50 KB in libopus; [`Call::memory_bytes`] counts a
//! call's own. Offers and answers allocate. After them a tick, a packet that arrives and one that is sent do not.
//!
//! **Limits.** A call is audio: one or two channels, sound of 8 to 48 kHz, up to [`MAX_SOURCES`] sources that are heard at once, and as
//! many streams as SDP has room for ([`MAX_STREAMS`](crate::sdp::MAX_STREAMS)). All streams share one transport.
//!
//! **Standards.** Offer and answer are RFC 3264, packets and reports RFC 3550, SRTP RFC 3711, telephone events RFC 4733, redundancy
//! RFC 2198. With the cargo features of these names keys may come by DTLS (RFC 5763) and addresses by ICE (RFC 8445).

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
mod identity;
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
pub use config::CallConfig;
pub use denoiser::HostNoise;
pub use digits::{CallDigit, DigitError, DigitPhase, DigitSource, DigitStats, DigitsWait, ToneDetection, sign};
#[cfg(feature = "manager")]
pub(crate) use driver::Driven;
pub use echo::EchoStatus;
pub use front::{CallStream, HostFront, front_end};
#[cfg(feature = "ice")]
pub use ice::{IceConfig, IceMode, RelayState, RelayStats, TurnServer, TurnTransport};
pub use identity::Identity;
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
