//! Media Core on SIP desk phones: the layer between a codec chip's DMA interrupt and the media path.
//!
//! ```text
//! DMA interrupt -> pump -> port -> phone <-> network
//!                 (or sim)          |
//!                     dsp_core::front <-> stream (dsp_core::receive, dsp_core::send)
//! ```
//!
//! [`port`] is the async audio port, [`pump`] carries frames between interrupt and task, [`slots`] converts between a
//! peripheral's slots and the pump, and [`resampled`] is a port at another rate. [`phone`] is a G.711 phone's loop over any port,
//! [`stream`] is its receiver and sender, [`parts`] has the parts for phones with other codecs or with blocks of your own,
//! [`lean`] is a phone of few bytes, [`transport`] is RTP and RTCP over one socket with SRTP around both, and [`sim`] is a
//! simulated port, clock and network, so that the same loop runs on a host and in an emulator. `codec_chips` (with the feature of
//! that name) drives the codec chip. No heap, no `unsafe`, any executor.
//!
//! These modules surround a call: [`desk`] has hook switch, keys, audio paths and tones as a user knows them, [`hook`] the
//! switch's contact, [`tones`] ringing and call progress to the loudspeaker, [`watch`] the troubles of a call, each reported once
//! to the SIP stack, [`drift`] a codec chip with its own clock, [`dscp`] the mark of voice on outgoing packets, and [`three_way`]
//! a conference of the user and two calls.
//!
//! A phone on a simulated port, whose network brings its own packets back:
//!
//! ```
//! use core::cell::RefCell;
//! use dsp_core::send::SenderConfig;
//! use dsp_core::time::{PayloadType, RtpTime, Seq, Ssrc};
//! use embassy_futures::block_on;
//! use host_embedded::phone::{Phone, PhoneConfig};
//! use host_embedded::sim::{SimClock, SimNetwork, SimPort};
//!
//! let sender = SenderConfig {
//!     ssrc: Ssrc(1),
//!     first_seq: Seq(32_000),
//!     first_timestamp: RtpTime(0),
//!     payload_type: PayloadType::PCMA,
//!     ptime_ms: 20,
//! };
//! let mut phone = Phone::new(PhoneConfig { sender, ..PhoneConfig::default() })?;
//!
//! // The wire is one packet long; the microphone hears a square wave, the loudspeaker notes its loudest sample.
//! let clock = SimClock::default();
//! let wire = RefCell::new(None);
//! let mut loudest = 0;
//! let microphone = |pcm: &mut [i16; 80]| *pcm = core::array::from_fn(|i| if i % 20 < 10 { 8_000 } else { -8_000 });
//! let loudspeaker = |pcm: &[i16; 80]| loudest = pcm.iter().fold(loudest, |loudest, &sample| sample.max(loudest));
//! let mut port = SimPort::new(&clock, microphone, loudspeaker);
//! let bring = |_until, datagram: &mut [u8]| {
//!     let packet: Vec<u8> = wire.take()?;
//!     datagram[..packet.len()].copy_from_slice(&packet);
//!     Some((packet.len(), clock.now()))
//! };
//! let send = |datagram: &[u8]| *wire.borrow_mut() = Some(datagram.to_vec());
//! let mut network = SimNetwork::new(&clock, bring, send);
//!
//! // One second of 10 ms ticks.
//! for _ in 0..100 {
//!     block_on(phone.tick(&mut port, &mut network));
//! }
//! assert_eq!(phone.receiver_stats().reception.received, 49);
//! assert_eq!(loudest, 8_064); // 8000 in A-law
//! # Ok::<(), host_embedded::phone::PhoneError>(())
//! ```
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc)]

#[cfg(test)]
extern crate std;

#[cfg(feature = "codec-chips")]
#[cfg_attr(docsrs, doc(cfg(feature = "codec-chips")))]
pub mod codec_chips;
pub mod desk;
pub mod drift;
pub mod dscp;
pub mod hook;
pub mod lean;
pub mod parts;
pub mod phone;
pub mod port;
pub mod pump;
pub mod resampled;
pub mod sim;
pub mod slots;
pub mod stream;
pub mod three_way;
pub mod tones;
pub mod transport;
pub mod watch;
