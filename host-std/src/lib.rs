//! Media Core on a server or a desktop: calls, SDP, Opus, sound devices, records and reports.
//!
//! [`session`] holds a call, which does no I/O itself; its drivers give it a socket, a clock and sound.
//!
//! Two calls agree on a codec and on keys, and talk:
//!
//! ```
//! use dsp_core::front::Step;
//! use dsp_core::time::{Duration, Instant};
//! use host_std::session::{Call, CallConfig, Channel};
//!
//! let mut now = Instant::ZERO;
//! let (mut alice, mut bob) = (Call::new(CallConfig::new(4000)?)?, Call::new(CallConfig::new(5000)?)?);
//! let offer = alice.offer()?;
//! let answer = bob.answer(now, &offer)?;
//! alice.accept(now, &answer)?;
//!
//! let (mut front, mut datagram) = (alice.front_end()?, [0; 1500]);
//! for _ in 0..100 {
//!     front.begin(now, 480, true)?; // 10 ms at 48 kHz
//!     while let Some(step) = front.step(&mut alice, &mut datagram) {
//!         match step {
//!             Step::Loudspeaker { .. } => {} // what of bob is heard
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

#![deny(unsafe_code)]

mod designs;
pub mod device;
pub mod opus;
pub mod opus_file;
pub mod output;
pub mod receiver;
pub mod record;
pub mod registry;
pub mod replay;
pub mod report;
pub mod resample;
pub mod sdp;
pub mod session;
pub mod simulate;
pub mod sockets;
pub mod wav;
