//! Bytes to fields and back: RTP and RTCP, nothing else.

pub mod rtcp;
pub mod rtp;
