//! A receiver for as many channels as a stream has: which is known only when a call is agreed on.

use dsp_core::codec::PayloadTable;
use dsp_core::quality::BurstStats;
use dsp_core::receive::{
    ConfigError, Fate, HostReceiver, Played, ReceiveError, Received, ReceiverConfig, ReceiverStats, StereoReceiver,
};
use dsp_core::streams::budget::Buffered;
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::RtpPacket;

/// A mono or a stereo receiver, on the heap. Its methods are those of [`Receiver`](dsp_core::receive::Receiver).
pub enum AnyReceiver {
    /// One channel.
    Mono(Box<HostReceiver>),
    /// Two, interleaved.
    Stereo(Box<StereoReceiver>),
}

macro_rules! either {
    ($self:expr, $receiver:ident => $what:expr) => {
        match $self {
            AnyReceiver::Mono($receiver) => $what,
            AnyReceiver::Stereo($receiver) => $what,
        }
    };
}

impl AnyReceiver {
    /// A receiver of two channels, or of one.
    ///
    /// # Errors
    /// As for [`Receiver::new`](dsp_core::receive::Receiver::new).
    pub fn new(config: ReceiverConfig, channels: u8) -> Result<Self, ConfigError> {
        Ok(if channels == 2 {
            Self::Stereo(Box::new(StereoReceiver::new(config)?))
        } else {
            Self::Mono(Box::new(HostReceiver::new(config)?))
        })
    }

    /// Channels of what [`play`](Self::play) gives.
    pub const fn channels(&self) -> u8 {
        match self {
            Self::Mono(_) => 1,
            Self::Stereo(_) => 2,
        }
    }

    /// Takes in a datagram.
    ///
    /// # Errors
    /// What it is not.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<Received, ReceiveError> {
        either!(self, receiver => receiver.receive(now, datagram))
    }

    /// Takes in a packet that has been parsed already, with its timestamp in the receiver's clock.
    ///
    /// # Errors
    /// What can't be used of it.
    pub fn receive_packet(&mut self, now: Instant, packet: RtpPacket<'_>) -> Result<Received, ReceiveError> {
        either!(self, receiver => receiver.receive_packet(now, packet))
    }

    /// Plays a tick.
    pub fn play(&mut self, now: Instant, payloads: &mut dyn PayloadTable, pcm: &mut [i16]) -> Played {
        either!(self, receiver => receiver.play(now, payloads, pcm))
    }

    /// The source that is being played.
    pub fn ssrc(&self) -> Option<Ssrc> {
        either!(self, receiver => receiver.ssrc())
    }

    /// The highest sequence number of that source.
    pub fn highest_seq(&self) -> Option<Seq> {
        either!(self, receiver => receiver.highest_seq())
    }

    /// Everything counted so far.
    pub fn stats(&self) -> ReceiverStats {
        either!(self, receiver => receiver.stats())
    }

    /// Losses, discards, bursts and gaps.
    pub fn bursts(&self) -> BurstStats {
        either!(self, receiver => receiver.bursts())
    }

    /// The same of this source and all before it.
    pub fn total_bursts(&self) -> BurstStats {
        either!(self, receiver => receiver.total_bursts())
    }

    /// The payload type of redundant audio data.
    pub fn set_redundancy(&mut self, payload_type: Option<PayloadType>) {
        either!(self, receiver => receiver.set_redundancy(payload_type));
    }

    /// Which payload types are sound.
    pub fn set_payloads(&mut self, payloads: &mut dyn PayloadTable) {
        either!(self, receiver => receiver.set_payloads(payloads));
    }

    /// What became of a packet that was stored.
    pub fn fate(&self, seq: Seq) -> Option<Fate> {
        either!(self, receiver => receiver.fate(seq))
    }

    /// The delay is at least so long.
    pub fn set_least_delay(&mut self, least: Duration) {
        either!(self, receiver => receiver.set_least_delay(least));
    }

    /// The delay that the stream would have for its own sake.
    pub fn own_delay(&self) -> Duration {
        either!(self, receiver => receiver.own_delay())
    }

    /// The timestamp of a packet that came at `now` and was as fast as the fastest.
    pub fn media_time(&self, now: Instant) -> Option<RtpTime> {
        either!(self, receiver => receiver.media_time(now))
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        either!(self, receiver => receiver.reset());
    }

    /// Bytes on the heap.
    pub fn memory_bytes(&self) -> usize {
        either!(self, receiver => size_of_val(&**receiver))
    }
}

impl Buffered for AnyReceiver {
    fn buffered_bytes(&self) -> u32 {
        either!(self, receiver => receiver.buffered_bytes())
    }

    fn give_up_oldest(&mut self) -> u32 {
        either!(self, receiver => receiver.give_up_oldest())
    }
}
