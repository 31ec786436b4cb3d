//! Settings of a running encoder that follow the network.

/// What an encoder is asked to change, or what it has changed ([`Encoder::adapt`](super::Encoder::adapt)). A field
/// with `None` stays as it is.
///
/// ```
/// use dsp_core::codec::{Adaptation, Encoder, g711::Pcmu};
///
/// let wanted = Adaptation::default().with_bit_rate(16_000).with_expected_loss(10).with_packet_ms(40);
/// // G.711 has one bit rate, and no redundancy to prepare for a loss with.
/// assert_eq!(Pcmu.adapt(&wanted), Adaptation::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Adaptation {
    /// Bit rate of the payloads, in bit/s.
    pub bit_rate_bps: Option<u32>,
    /// Expected packet loss, in percent. The encoder adds redundancy to its payloads for it.
    pub expected_loss_percent: Option<u8>,
    /// Packet length, in ms. It is among the encoder's lengths ([`Encoder::frames`](super::Encoder::frames)), and the
    /// owner of the encoder makes the packets, so that an encoder need not react to it.
    pub packet_ms: Option<u32>,
}

impl Adaptation {
    /// Sets the bit rate, in bit/s.
    #[must_use]
    pub const fn with_bit_rate(mut self, bps: u32) -> Self {
        self.bit_rate_bps = Some(bps);
        self
    }

    /// Sets the expected packet loss, in percent.
    #[must_use]
    pub const fn with_expected_loss(mut self, percent: u8) -> Self {
        self.expected_loss_percent = Some(percent);
        self
    }

    /// Sets the packet length, in ms.
    #[must_use]
    pub const fn with_packet_ms(mut self, ms: u32) -> Self {
        self.packet_ms = Some(ms);
        self
    }

    /// This adaptation, with the fields of `earlier` where its own are `None`.
    #[must_use]
    pub const fn or(self, earlier: Self) -> Self {
        const fn either<T: Copy>(first: Option<T>, second: Option<T>) -> Option<T> {
            if first.is_some() { first } else { second }
        }
        Self {
            bit_rate_bps: either(self.bit_rate_bps, earlier.bit_rate_bps),
            expected_loss_percent: either(self.expected_loss_percent, earlier.expected_loss_percent),
            packet_ms: either(self.packet_ms, earlier.packet_ms),
        }
    }
}
