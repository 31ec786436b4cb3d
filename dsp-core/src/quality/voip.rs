//! A VoIP metrics block (RFC 3611, 4.7) from what a receiver counts.

use super::burst::BurstStats;
use super::emodel::{CallConditions, CallQuality, CodecImpairment};
use crate::time::{Duration, Ssrc};
use crate::wire::rtcp::{ConcealmentKind, JitterBufferKind, VoipMetrics};

/// What a VoIP metrics block says about the jitter buffer (RFC 3611, 4.7.6 and 4.7.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct JitterBufferInfo {
    /// Whether it adapts its size.
    pub kind: JitterBufferKind,
    /// Present delay of a packet that arrives exactly on time, in ms.
    pub nominal_ms: u32,
    /// Present delay of the earliest packet that would not be discarded, in ms.
    pub maximum_ms: u32,
    /// Greatest delay that the buffer can reach, in ms. If its size is fixed, `maximum_ms` is used.
    pub absolute_maximum_ms: u32,
}

/// Everything from which a VoIP metrics block is made (RFC 3611, 4.7), with a default for what is not known.
///
/// Rates, bursts and gaps come from [`BurstStats`], the R factor and MOS from the E-model. A block takes two ratings
/// of the E-model.
///
/// ```
/// use dsp_core::quality::{BurstTracker, CodecImpairment, PacketFate, VoipMetricsInput};
/// use dsp_core::time::{Duration, Ssrc};
///
/// let mut bursts = BurstTracker::new();
/// for n in 0..1_000 {
///     let fate = if n % 50 == 0 { PacketFate::Lost } else { PacketFate::Received };
///     bursts.count(fate, Duration::from_millis(20));
/// }
/// let input = VoipMetricsInput {
///     ssrc: Ssrc(7),
///     bursts: bursts.stats(),
///     codec: Some(CodecImpairment::G711_CONCEALED),
///     round_trip: Some(Duration::from_millis(80)),
///     end_system_delay: Duration::from_millis(60),
///     ..VoipMetricsInput::default()
/// };
/// let block = input.block();
/// // 2 % of 256, and a good call: MOS in tenths.
/// assert_eq!((block.loss_rate, block.round_trip_ms), (5, 80));
/// assert!(block.mos_cq_tenths.is_some_and(|tenths| tenths >= 38));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct VoipMetricsInput {
    /// SSRC of the source that is received.
    pub ssrc: Ssrc,
    /// Counts of its packets since the start.
    pub bursts: BurstStats,
    /// Codec of the source. Without it, there are no R factor and no MOS.
    pub codec: Option<CodecImpairment>,
    /// Last round-trip time. Without it, there are no R factor and no conversational MOS.
    pub round_trip: Option<Duration>,
    /// Delay within this side: packetizing and encoding, jitter buffer, decoding and playout (RFC 3611, 4.7.3).
    pub end_system_delay: Duration,
    /// Residual echo return loss of this side, in dB: 45 for a typical handset (RFC 3611, 4.7.4).
    pub rerl_db: Option<u8>,
    /// How lost packets are concealed.
    pub concealment: ConcealmentKind,
    /// The jitter buffer.
    pub jitter_buffer: JitterBufferInfo,
    /// The last block of the other side: its delay and its echo are part of what is heard here.
    pub peer: Option<VoipMetrics>,
}

/// What the E-model says of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StreamQuality {
    /// MOS of the listening quality, without the delay.
    pub mos_lq: f64,
    /// Rating and MOS with the delay, if it is known.
    pub conversation: Option<ConversationalQuality>,
}

/// Quality with the delay.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ConversationalQuality {
    /// Delay from mouth to ear for which it is computed, in ms.
    pub one_way_ms: f64,
    /// Rating R, 0 to 100.
    pub r_factor: f64,
    /// MOS of the conversational quality.
    pub mos_cq: f64,
}

/// Whole milliseconds, as far as the field goes.
fn field_ms(millis: u64) -> u16 {
    millis.min(u64::from(u16::MAX)) as u16
}

impl VoipMetricsInput {
    /// One-way delay in ms: half the round trip, and the delay of both sides (RFC 3611, 4.7.3). If the other side does
    /// not tell its delay, it counts as this side's. `None` without a round trip.
    pub fn one_way_ms(&self) -> Option<f64> {
        let own = self.end_system_delay.as_micros() as f64 / 1_000.0;
        let peer = self.peer.filter(|peer| peer.end_system_delay_ms > 0);
        let peer = peer.map_or(own, |peer| f64::from(peer.end_system_delay_ms));
        self.round_trip.map(|trip| (trip.as_micros() as f64 / 1_000.0 + own + peer) / 2.0)
    }

    /// The R factor and MOS; `None` without a codec, or before the first packet.
    pub fn quality(&self) -> Option<StreamQuality> {
        let codec = self.codec.filter(|_| self.bursts.expected > 0)?;
        let one_way_ms = self.one_way_ms();
        let conditions = CallConditions {
            codec,
            loss_percent: self.bursts.loss_percent(),
            burst_ratio: self.bursts.burst_ratio(),
            one_way_ms: one_way_ms.unwrap_or(0.0),
            residual_echo_db: self.peer.and_then(|peer| peer.rerl_db).map(f64::from),
        };
        let CallQuality { r_factor, mos_cq, mos_lq } = conditions.quality();
        let conversation = one_way_ms.map(|one_way_ms| ConversationalQuality { one_way_ms, r_factor, mos_cq });
        Some(StreamQuality { mos_lq, conversation })
    }

    /// The block to send.
    pub fn block(&self) -> VoipMetrics {
        let quality = self.quality();
        let conversation = quality.and_then(|quality| quality.conversation);
        let tenths = |mos: f64| (mos * 10.0 + 0.5) as u8;
        let buffer = self.jitter_buffer;
        let absolute = match buffer.kind {
            JitterBufferKind::NonAdaptive => buffer.maximum_ms,
            _ => buffer.absolute_maximum_ms,
        };
        VoipMetrics {
            ssrc: self.ssrc,
            loss_rate: self.bursts.loss_rate(),
            discard_rate: self.bursts.discard_rate(),
            burst_density: self.bursts.burst_density(),
            gap_density: self.bursts.gap_density(),
            burst_duration_ms: self.bursts.burst_duration_ms(),
            gap_duration_ms: self.bursts.gap_duration_ms(),
            round_trip_ms: field_ms(self.round_trip.map_or(0, Duration::as_millis)),
            end_system_delay_ms: field_ms(self.end_system_delay.as_millis()),
            rerl_db: self.rerl_db,
            gmin: if self.bursts.gmin == 0 { super::BurstTracker::GMIN } else { self.bursts.gmin },
            r_factor: conversation.map(|conversation| (conversation.r_factor + 0.5) as u8),
            mos_lq_tenths: quality.map(|quality| tenths(quality.mos_lq)),
            mos_cq_tenths: conversation.map(|conversation| tenths(conversation.mos_cq)),
            concealment: self.concealment,
            jitter_buffer: buffer.kind,
            jitter_buffer_nominal_ms: field_ms(buffer.nominal_ms.into()),
            jitter_buffer_maximum_ms: field_ms(buffer.maximum_ms.into()),
            jitter_buffer_absolute_maximum_ms: field_ms(absolute.into()),
            // Not known here: levels, how fast the buffer adapts, and what lies behind this end.
            ..VoipMetrics::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BurstTracker, PacketFate};
    use super::*;

    fn input() -> VoipMetricsInput {
        let mut tracker = BurstTracker::new();
        for n in 0..1_000 {
            let fate = if n % 50 == 0 { PacketFate::Lost } else { PacketFate::Received };
            tracker.count(fate, Duration::from_millis(20));
        }
        VoipMetricsInput {
            ssrc: Ssrc(5),
            bursts: tracker.stats(),
            codec: Some(CodecImpairment::G711_CONCEALED),
            round_trip: Some(Duration::from_micros(60_900)),
            end_system_delay: Duration::from_millis(80),
            jitter_buffer: JitterBufferInfo {
                kind: JitterBufferKind::Adaptive,
                nominal_ms: 40,
                maximum_ms: 60,
                absolute_maximum_ms: 100_000,
            },
            ..VoipMetricsInput::default()
        }
    }

    #[test]
    fn nothing_known_is_the_default_block() {
        assert_eq!(VoipMetricsInput::default().block(), VoipMetrics::default());
        let without_codec = VoipMetricsInput { codec: None, ..input() };
        assert_eq!(without_codec.quality(), None);
        let block = without_codec.block();
        assert_eq!((block.r_factor, block.mos_lq_tenths, block.mos_cq_tenths), (None, None, None));
        let without_delay = VoipMetricsInput { round_trip: None, ..input() }.block();
        assert_eq!((without_delay.r_factor, without_delay.mos_cq_tenths), (None, None));
        assert!(without_delay.mos_lq_tenths.is_some());
    }

    #[test]
    fn a_call_with_two_percent_loss() {
        let block = input().block();
        // 20 of 1000 lost, each alone: one gap of 20 s.
        assert_eq!((block.loss_rate, block.gap_density, block.burst_duration_ms), (5, 5, 0));
        assert_eq!(block.gap_duration_ms, 20_000);
        assert_eq!((block.round_trip_ms, block.end_system_delay_ms), (60, 80));
        assert_eq!((block.jitter_buffer_nominal_ms, block.jitter_buffer_absolute_maximum_ms), (40, u16::MAX));
        assert_eq!(input().one_way_ms(), Some(110.45));
        // Ie,eff = 95 * 2 / (2 / 0.98 + 25.1) = 7.0, Id near 3: R near 83.
        let r = block.r_factor.unwrap();
        assert!((82..=85).contains(&r), "{r}");
        assert!((block.mos_lq_tenths.unwrap(), block.mos_cq_tenths.unwrap()) >= (42, 41), "{block:?}");

        // A peer that tells its delay and a bad echo.
        let peer = VoipMetrics { end_system_delay_ms: 300, rerl_db: Some(20), ..VoipMetrics::default() };
        let echo = VoipMetricsInput { peer: Some(peer), ..input() };
        assert_eq!(echo.one_way_ms(), Some(220.45));
        assert!(echo.block().r_factor < Some(50) && echo.block().mos_lq_tenths == block.mos_lq_tenths);
        let fixed = JitterBufferInfo { kind: JitterBufferKind::NonAdaptive, ..input().jitter_buffer };
        let fixed = VoipMetricsInput { jitter_buffer: fixed, ..input() }.block();
        assert_eq!(fixed.jitter_buffer_absolute_maximum_ms, 60);
    }
}
