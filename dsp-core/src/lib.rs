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
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod block;
pub mod codec;
pub mod format;
pub mod guard;
pub mod process;
pub mod quality;
pub mod receive;
pub mod sample;
pub mod send;
pub mod time;
pub mod wire;
