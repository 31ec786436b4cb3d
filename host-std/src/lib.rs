//! Media Core on a server or a desktop: calls, SDP, Opus, sound devices, records and reports.
//!
//! | to | begin at |
//! |---|---|
//! | carry a call whose sockets, clock and sound are yours | [`session::Call`] |
//! | run a call with a sound card on tokio | [`session::driver`], [`device`] |
//! | put media under a SIP stack | [`manager`] |
//! | mix calls into a conference | [`room`] |
//! | let browsers call | [`web`] |
//! | negotiate without a call | [`sdp`] |
//! | choose codecs, or add your own | [`registry`] |
//! | record calls, or play files to them | [`record`], [`player`] |
//! | watch calls that run | [`monitoring`] |
//! | learn what a captured call sounded like | [`replay`] |
//! | test without sockets | [`simulate`] |
//!
//! Two calls agree on a codec and on keys, and talk:
//!
//! ```
//! use dsp_core::front::Step;
//! use dsp_core::time::{Duration, Instant};
//! use host_std::session::{Call, CallConfig, Channel};
//!
//! let mut now = Instant::ZERO;
//! let sound = Some((48_000, 1)); // what the devices have, whatever codec is agreed on
//! let mut alice = Call::new(CallConfig { sound, ..CallConfig::new(4000)? })?;
//! let mut bob = Call::new(CallConfig { sound, ..CallConfig::new(5000)? })?;
//! let offer = alice.offer()?;
//! let answer = bob.answer(now, &offer)?;
//! alice.accept(now, &answer)?;
//!
//! let (mut front, mut datagram) = (alice.front_end()?, [0; 1500]);
//! for _ in 0..100 {
//!     front.begin(now, 480, true)?; // 10 ms at 48 kHz
//!     while let Some(step) = front.step(&mut alice, &mut datagram) {
//!         match step {
//!             Step::Loudspeaker { .. } => {} // what Alice hears of Bob
//!             Step::Microphone(microphone) => microphone.pcm.fill(1_000),
//!             Step::Transmit(transmit) => {
//!                 bob.receive(now, Channel::Rtp, "127.0.0.1:4000".parse()?, &mut datagram[..transmit.len]);
//!             }
//!         }
//!     }
//!     now += Duration::from_millis(10);
//! }
//! assert_eq!(bob.stats().receiver.reception.received, 50);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! All cargo features but the last three are on by default:
//!
//! | feature | adds | needs |
//! |---|---|---|
//! | `cli` | the program `media-core`, and all features below but the last three | |
//! | `tokio` | [`session::driver`], [`sockets`], [`simulate::proxy`]; `simulate` | tokio |
//! | `manager` | [`manager`]: sessions by dialog, what a signalling stack talks to; `tokio` | |
//! | `simulate` | [`simulate`]: bad networks, virtual time; [`session::Identity::seeded`] | |
//! | `dtls` | keys by a DTLS handshake: `session::Keying::Dtls`, `session::Certificate` | dimpl, rcgen, rsa |
//! | `ice` | connectivity checks and relays: `session::CallConfig::ice` | is, turn-client-proto |
//! | `record` | `record::recorder`, `record::fork`, `player`: sound to files and others while it runs | rtrb |
//! | `device` | [`device::CardIo`], [`device::list_devices`] | cpal; ALSA on Linux |
//! | `report` | [`record`], [`report`], [`probe`] | plotters, serde |
//! | `replay` | [`replay`]; `report`, `simulate` and `opus` | etherparse, flate2 |
//! | `opus` | [`opus`], [`opus_file`], [`registry::Opus`] | libopus, which CMake builds |
//! | `web` | [`web`]: calls of browsers (WHIP), a page for them, and `web::Dashboard`; `tokio`, `dtls`, `ice`, `opus`, `report` | axum |
//! | `web-tls` | TLS for `web`; `web` | rustls, and ring, which is C |
//! | `metrics` | [`monitoring::CallMetrics`]: the numbers of calls for the recorder of the crate `metrics` | metrics |
//! | `opus-dred` | Opus' concealment by a neural net and its Deep Redundancy; `opus` | |
//! | `nnnoiseless` | `session::NeuralNoise`, `session::CaptureConfig::neural_noise`: noise suppression by RNNoise's net | nnnoiseless |
//! | `earshot` | `session::CaptureConfig::neural_detector`: a voice detector by a net | earshot |
//!
//! Without any feature (`default-features = false`) the crate has the sans-IO [`session::Call`] with G.711, G.722, iLBC, L16, SDP
//! and SRTP, and WAV files: no C, no sound card, no runtime.
//!
//! BENCHMARKS.md in the repository has all measured costs that these pages name. They were measured on a shared virtual machine with two
//! cores, so compare them among themselves.

#![deny(unsafe_code)]
#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc)]
// A byte index into text from outside may be within a character.
#![cfg_attr(not(test), warn(clippy::string_slice))]
#![cfg_attr(docsrs, feature(doc_cfg))]
// The documentation names items of features even where those are left out.
#![cfg_attr(not(feature = "cli"), allow(rustdoc::broken_intra_doc_links, reason = "links to other features"))]

mod calendar;
mod designs;
pub mod device;
#[cfg_attr(not(feature = "tokio"), allow(unreachable_pub, reason = "it is `session::driver::Join`"))]
mod join;
#[cfg(feature = "manager")]
pub mod manager;
pub mod monitoring;
#[cfg(feature = "opus")]
pub mod opus;
#[cfg(feature = "opus")]
pub mod opus_file;
pub mod output;
#[cfg(feature = "record")]
pub mod player;
#[cfg(feature = "report")]
pub mod probe;
pub mod receiver;
#[cfg(any(feature = "record", feature = "report"))]
pub mod record;
pub mod registry;
#[cfg(feature = "replay")]
pub mod replay;
#[cfg(feature = "report")]
pub mod report;
pub mod resample;
pub mod room;
pub mod sdp;
pub mod session;
#[cfg(feature = "simulate")]
pub mod simulate;
#[cfg(feature = "tokio")]
pub mod sockets;
pub mod wav;
#[cfg(feature = "web")]
pub mod web;
