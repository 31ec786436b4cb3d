//! The media path of a VoIP call: it turns RTP packets into sound, and sound into RTP packets.
//!
//! It is `no_std`, without a heap and without `unsafe`, and has no clock and no socket: bytes, PCM and the time come in
//! as arguments, and bytes, PCM and the next deadline go out. The same code runs in a desk phone and in a server, and
//! gives the same bits. After a value is made, none of its methods allocates, locks or logs.
//!
//! # Where to start
//!
//! | to do this | see |
//! |---|---|
//! | turn received RTP packets into sound | [`receive::Receiver`] |
//! | turn sound into RTP packets | [`send::Sender`] |
//! | protect packets with SRTP | [`guard`] |
//! | choose codecs, or add one | [`codec`] |
//! | send and read RTCP reports | [`rtcp::RtcpReporter`] |
//! | rate a call, count losses and bursts | [`quality`] |
//! | follow a network that is too slow, stop a hopeless call | [`adapt`] |
//! | connect a loudspeaker and a microphone | [`front::FrontEnd`] |
//! | remove echo, noise, level differences | [`echo`], [`noise`], [`process::agc`] |
//! | detect and generate DTMF and call progress tones | [`tone`] |
//! | mix participants | [`conference`] |
//! | play several sources, or sound and picture together | [`streams`], [`sync`] |
//! | offer and answer in firmware (feature `sdp`) | `sdp` |
//! | convert sample rates and sample formats | [`process::resample`], [`mod@format`] |
//! | conceal losses or stretch time in a program of your own | [`waveform`] |
//! | read and write packets only | [`wire`] |
//! | write a processing block | [`block`], [`sample`], [`kernel`], [`spectrum`] |
//!
//! [`time`] has the types for time, sequence numbers and the like, and [`storage`] says how memory is passed in.
//!
//! # How the modules fit together
//!
//! ```text
//! RECEIVE  datagram -> guard -> wire -> receive (jitter, delay, decision, decode | conceal | stretch) -> PCM
//! SEND     PCM -> send (encode, packetize) -> wire -> guard -> datagram
//! REPORT   receive, send -> quality (statistics, ratings) -> rtcp -> guard -> datagram
//! DEVICE   front (one tick: play -> volume -> loudspeaker, microphone -> gain -> capture block -> capture -> transmit)
//! ```
//!
//! # Cargo features
//!
//! - `srtp` (on by default): SRTP and SRTCP, the module `guard::srtp`.
//! - `sdp`: offers and answers without a heap, the module `sdp`; it includes `srtp`.
//! - `earshot`: a voice detector with a neural network, the module `process::neural_voice`; 95 KiB of a program.
//! - `defmt`: `defmt::Format` on public plain data.
//!
//! # Example
//!
//! A packet from a microphone to a loudspeaker:
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

/// Compiles the examples of the readme.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

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
mod slices;
pub mod spectrum;
pub mod storage;
pub mod streams;
pub mod sync;
pub mod time;
pub mod tone;
pub mod waveform;
pub mod wire;
