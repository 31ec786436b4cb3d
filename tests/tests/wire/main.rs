//! Packets, keys and descriptions, against other implementations and against models.

mod phone_sdp;
mod red;
mod reporter;
mod rtcp;
mod rtp;
mod sdp;
mod srtp;
