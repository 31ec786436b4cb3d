//! What a stream sends, made to follow the network: bit rate and expected loss are the encoder's, the packet length is
//! the sender's, and what is repeated stands between them. It is called between two ticks, and may take memory for longer packets.

use dsp_core::codec::Adaptation;

use super::change::sender_samples;
use super::{Stream, impairment};
use crate::session::adapter::{StreamOptions, WantedAdaptation};

/// Of RTP (RFC 3550, 5.1).
const RTP_HEADER_BYTES: usize = 12;

/// What was asked for, and how long packets are.
pub(super) struct Adapted {
    wanted: Adaptation,
    /// The bit rate that the encoder has taken, if it was asked for one.
    bit_rate_bps: Option<u32>,
    pub(super) packet_ms: u32,
}

impl Adapted {
    /// As agreed on.
    pub(super) fn new(packet_ms: u32) -> Self {
        Self { wanted: Adaptation::default(), bit_rate_bps: None, packet_ms }
    }
}

impl Stream {
    /// Follows the network; what was taken.
    pub(in crate::session) fn adapt(&mut self, wanted: &Adaptation) -> Adaptation {
        self.adapted.wanted = wanted.or(self.adapted.wanted);
        self.follow(*wanted)
    }

    /// Follows the network with what was chosen for it; what the codec and its packets have taken.
    pub(in crate::session) fn choose(&mut self, wanted: &WantedAdaptation) -> Adaptation {
        if let Some(redundancy) = &mut self.redundancy {
            redundancy.choose(wanted.copies.into());
        }
        self.adapt(&wanted.codec)
    }

    /// What can be chosen of what it sends; of a packet, so many bytes are headers below RTP and tags.
    pub(in crate::session) fn options(&self, overhead: usize) -> StreamOptions {
        let codec = &self.sending.agreed;
        StreamOptions {
            is_opus: codec.name.eq_ignore_ascii_case("opus"),
            in_band: self.encoder.in_band_redundancy(),
            packet_bps: self.sending.packet_bps,
            max_ptime_ms: self.agreed.max_ptime_ms,
            bandwidth: self.agreed.bandwidth,
            copies: self.redundancy.as_ref().map_or([0; 2], |redundancy| redundancy.choices()),
            header_bytes: (overhead + RTP_HEADER_BYTES + self.extension_bytes()).min(usize::from(u16::MAX)) as u16,
            loss: impairment(codec).into(),
        }
    }

    /// Another encoder, or other bounds: what was asked for before holds as far as they allow.
    pub(super) fn adapt_again(&mut self) {
        self.adapted.bit_rate_bps = None;
        if self.adapted.wanted != Adaptation::default() || self.agreed.bandwidth.is_limited() {
            self.follow(self.adapted.wanted);
        }
    }

    fn follow(&mut self, wanted: Adaptation) -> Adaptation {
        // How long packets may be depends on the bit rate, and only the encoder knows whether it has the one asked for.
        let mut sound = wanted;
        sound.packet_ms = None;
        let mut taken = self.encoder.adapt(&sound);
        let bps = taken.bit_rate_bps.or(self.adapted.bit_rate_bps).unwrap_or(self.sending.packet_bps);
        let payload_bytes = self.agreed.payload_bytes;
        taken.packet_ms = wanted.packet_ms.map(|ms| {
            let ms = (ms / 10 * 10).clamp(10, self.agreed.max_ptime_ms.max(10));
            self.encoder.frames().packet_ms_within(ms, bps, payload_bytes)
        });
        // More than fits would never be reached, and more than the other side wants isn't sent.
        let packet_ms = taken.packet_ms.unwrap_or(self.adapted.packet_ms);
        let most_bps = (payload_bytes as u64 * 8_000 / u64::from(packet_ms.max(1))).min(u32::MAX.into()) as u32;
        let bandwidth = self.agreed.bandwidth;
        let copies = self.redundancy.as_ref().map_or(0, |redundancy| redundancy.level());
        let most_bps = most_bps.min(bandwidth.most_codec_bps(packet_ms, self.agreed.header_bytes, copies));
        if bandwidth.is_limited() && taken.bit_rate_bps.is_none() {
            // Nobody asks for a bit rate: it's the one that was set up, as far as there's room for it.
            taken.bit_rate_bps = self.adapted.wanted.bit_rate_bps.or(Some(self.sending.packet_bps));
        }
        taken.bit_rate_bps = taken.bit_rate_bps.map(|bps| bps.min(most_bps));
        let mut fitted = self.encoder.adapt(&taken);
        self.adapted.bit_rate_bps = fitted.bit_rate_bps.or(self.adapted.bit_rate_bps);
        fitted.packet_ms = taken.packet_ms.filter(|ms| self.set_packet_ms(*ms));
        fitted
    }

    /// Goes on with packets of this length; whether it could.
    fn set_packet_ms(&mut self, packet_ms: u32) -> bool {
        if packet_ms == self.adapted.packet_ms {
            return true;
        }
        let samples = sender_samples(packet_ms, &self.encoder.info());
        if samples > self.sender.room() {
            // It is larger than the one before.
            let grown = self.sender.set_room(vec![0; samples].into());
            debug_assert!(grown.is_ok());
        }
        let set = self.sender.set_packet_ms(packet_ms, &*self.encoder).is_ok();
        if set {
            self.adapted.packet_ms = packet_ms;
        }
        set
    }
}
