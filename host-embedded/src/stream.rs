//! A G.711 phone's stream: one call's receiver and sender, which know neither port nor network.
//!
//! Its verbs are [`G711Stream::receive`], and play, capture and transmit of [`Media`]. All arithmetic is integer; no
//! heap.

use dsp_core::codec::g711::{Pcma, Pcmu};
use dsp_core::codec::{Decoder, Encoder, PayloadTable};
use dsp_core::front::Media;
use dsp_core::receive::{NarrowbandReceiver, Played, ReceiveError, Received, ReceiverConfig, ReceiverStats};
use dsp_core::send::{NarrowbandSender, SendError, SendStats};
use dsp_core::time::{Duration, Instant, PayloadType};

use crate::phone::{PhoneConfig, PhoneError, SAMPLE_RATE_HZ, TICK};

/// Samples of the longest packet that is sent: 60 ms.
const LONGEST_PACKET: usize = 6 * TICK;

/// Both laws of G.711, by their static payload types (RFC 3551, table 4).
#[derive(Clone, Copy, Debug, Default)]
struct G711 {
    mu: Pcmu,
    a: Pcma,
}

impl G711 {
    fn encoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Encoder> {
        match payload_type {
            PayloadType::PCMU => Some(&mut self.mu),
            PayloadType::PCMA => Some(&mut self.a),
            _ => None,
        }
    }
}

impl PayloadTable for G711 {
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
        match payload_type {
            PayloadType::PCMU => Some(&mut self.mu),
            PayloadType::PCMA => Some(&mut self.a),
            _ => None,
        }
    }
}

/// One call's receiver and sender.
pub struct G711Stream {
    receiver: NarrowbandReceiver,
    sender: NarrowbandSender,
    codecs: G711,
    sends: PayloadType,
}

impl G711Stream {
    /// A stream that waits for its first packet.
    ///
    /// # Errors
    /// [`PhoneError`] if receiver or sender refuse their part of `config`.
    #[inline(always)]
    pub fn new(config: PhoneConfig) -> Result<Self, PhoneError> {
        let mut codecs = G711::default();
        let sends = config.sender.payload_type;
        let encoder = codecs.encoder(sends).ok_or(PhoneError::PayloadType(sends))?;
        NarrowbandSender::check(config.sender.ptime_ms, encoder, LONGEST_PACKET).map_err(PhoneError::Sender)?;
        let sender = NarrowbandSender::new(config.sender, encoder).map_err(PhoneError::Sender)?;
        let receiver = ReceiverConfig {
            sample_rate_hz: SAMPLE_RATE_HZ,
            rtp_clock_hz: SAMPLE_RATE_HZ,
            delay: config.delay,
            tick: Duration::from_millis(TICK as u64 * 1_000 / SAMPLE_RATE_HZ as u64),
        };
        let mut receiver = NarrowbandReceiver::new(receiver).map_err(PhoneError::Receiver)?;
        receiver.set_payloads(&mut codecs);
        Ok(Self { receiver, sender, codecs, sends })
    }

    /// Takes in one RTP packet that arrived at `now`.
    ///
    /// # Errors
    /// [`ReceiveError`] if it is no RTP packet, or too long.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<Received, ReceiveError> {
        self.receiver.receive(now, datagram)
    }

    /// The microphone lost so many samples: time goes on without them.
    pub fn pause(&mut self, samples: usize) {
        self.sender.pause(samples);
    }

    /// Everything counted about the incoming stream.
    pub fn receiver_stats(&self) -> ReceiverStats {
        self.receiver.stats()
    }

    /// Packets and payload bytes sent.
    pub fn send_stats(&self) -> SendStats {
        self.sender.stats()
    }
}

impl Media for G711Stream {
    /// The datagram's length, or why there is none.
    type Transmit = Result<usize, SendError>;

    fn play(&mut self, now: Instant, pcm: &mut [i16]) -> Played {
        self.receiver.play(now, &mut self.codecs, pcm)
    }

    fn capture(&mut self, _: Instant, pcm: &[i16]) {
        if self.sender.capture(pcm).is_err() {
            // Packets were not fetched: the samples are lost, but not their time.
            self.pause(pcm.len());
        }
    }

    #[inline]
    fn transmit(&mut self, _: Instant, datagram: &mut [u8]) -> Option<Self::Transmit> {
        self.sender.packet(self.codecs.encoder(self.sends)?, datagram)
    }
}
