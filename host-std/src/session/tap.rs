//! A tap: sees what passes a call, for records and reports. Drivers call it; it must not block.

use std::net::SocketAddr;

use dsp_core::receive::Played;
use dsp_core::time::Instant;

use super::{Call, Channel, Incoming};

/// What an observer of a call is told. All methods do nothing unless written.
pub trait Tap: Send {
    /// A datagram was handed to the network.
    fn sent(&mut self, now: Instant, channel: Channel, to: SocketAddr, datagram: &[u8]) {
        let _ = (now, channel, to, datagram);
    }
    /// A datagram arrived; `datagram` is as it came, still protected.
    fn arrived(&mut self, now: Instant, channel: Channel, from: SocketAddr, datagram: &[u8]) {
        let _ = (now, channel, from, datagram);
    }
    /// What became of the datagram that arrived last.
    fn received(&mut self, now: Instant, incoming: &Incoming) {
        let _ = (now, incoming);
    }
    /// A datagram was taken in or a tick was played: what `call` says of both now.
    fn settled(&mut self, call: &Call) {
        let _ = call;
    }
    /// A tick was captured.
    fn captured(&mut self, now: Instant, pcm: &[i16]) {
        let _ = (now, pcm);
    }
    /// A tick was played.
    fn played(&mut self, now: Instant, played: &Played, pcm: &[i16]) {
        let _ = (now, played, pcm);
    }
}

/// Sees nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTap;

impl Tap for NoTap {}
