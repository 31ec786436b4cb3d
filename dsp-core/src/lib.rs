//! The media road of a VoIP call: RTP packets into sound, and sound into RTP packets.
//!
//! `no_std`, no heap, no `unsafe`, no clock, no socket: bytes, PCM and the time come in as arguments; bytes,
//! PCM and the next deadline go out. The same code runs in a desk phone and in a server, with the same bits.
//!
//! The two roads, and the folders along them:
//!
//! ```text
//! RECEIVE  datagram -> guard -> wire -> receive (jitter, delay, decision, decode | conceal | stretch) -> PCM
//! SEND     PCM -> send (encode, packetize) -> wire -> guard -> datagram
//! REPORT   quality (RFC 3550 statistics, RTCP reporter)
//! DEVICE   front (one tick: play -> volume -> loudspeaker, microphone -> gain -> capture block -> capture -> transmit)
//! ```
//!
//! A packet's way, in one piece:
//!
//! ```
//! use dsp_core::codec::g711::Pcmu;
//! use dsp_core::receive::{NarrowbandReceiver, ReceiverConfig};
//! use dsp_core::send::{NarrowbandSender, SenderConfig};
//! use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
//!
//! let config = SenderConfig {
//!     ssrc: Ssrc(0x1234_5678),
//!     first_seq: Seq(1),
//!     first_timestamp: RtpTime(0),
//!     payload_type: PayloadType::PCMU,
//!     ptime_ms: 20,
//! };
//! let mut sender = NarrowbandSender::new(config, &Pcmu)?;
//! let mut receiver = NarrowbandReceiver::new(ReceiverConfig::default())?;
//! let mut decoders = (PayloadType::PCMU, Pcmu);
//!
//! let mut now = Instant::ZERO;
//! for _ in 0..50 {
//!     let microphone = [1_000; 160];
//!     sender.capture(&microphone)?;
//!     let mut datagram = [0; 200];
//!     while let Some(len) = sender.packet(&mut Pcmu, &mut datagram) {
//!         receiver.receive(now, &datagram[..len?])?;
//!     }
//!     let mut loudspeaker = [0; 160];
//!     receiver.play(now, &mut decoders, &mut loudspeaker);
//!     now += Duration::from_millis(20);
//! }
//! assert_eq!(receiver.stats().concealed_samples, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc)]
// A byte's place in text from outside may lie within a character.
#![cfg_attr(not(test), warn(clippy::string_slice))]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(test)]
extern crate std;

pub mod adapt;
mod arithmetic;
mod bands;
pub mod block;
pub mod codec;
pub mod conference;
pub mod echo;
pub mod format;
pub mod front;
pub mod guard;
pub mod kernel;
mod math;
pub mod noise;
pub mod process;
pub mod quality;
pub mod receive;
pub mod rtcp;
pub mod sample;
#[cfg(feature = "sdp")]
pub mod sdp;
pub mod send;
pub mod spectrum;
pub mod storage;
pub mod streams;
pub mod sync;
pub mod time;
pub mod tone;
pub mod waveform;
pub mod wire;
