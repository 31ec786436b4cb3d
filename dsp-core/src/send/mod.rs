//! The send road: PCM to datagram.

pub mod packetizer;
