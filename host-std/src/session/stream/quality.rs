//! The quality of a call's sound: from a receiver's counters to VoIP metrics (RFC 3611, 4.7), R factor and MOS (ITU-T G.107).
//!
//! Delay, mouth to ear: half of RTCP's round trip and both end systems (RFC 3611, 4.7.3). This end's is a packet's
//! length, the codec's own delay and the mean wait in the jitter buffer; sound cards are not known here.

use dsp_core::quality::{CodecImpairment, JitterBufferInfo, VoipMetricsInput};
use dsp_core::receive::{Conversation, DelayConfig};
use dsp_core::time::Duration;
use dsp_core::wire::rtcp::{ConcealmentKind, JitterBufferKind, VoipMetrics};

use crate::receiver::AnyReceiver;
use crate::registry::CodecFormat;

/// Returns the impairment of a codec in the rating, by G.113, Appendix I, or the closest published value.
///
/// | codec | rated as | why |
/// |---|---|---|
/// | PCMU, PCMA | G.711 that conceals: Ie 0, Bpl 25.1 | itself |
/// | L16, G.722, Opus and others | the same | one narrowband scale for all: as good as G.711 where nothing is lost, and what is lost is concealed as well. Their wider sound is not credited, nor what Opus loses at low bit rates |
/// | iLBC | G.729A: Ie 11, Bpl 19 | linear prediction in the same range of bit rates; the appendix has no iLBC. It holds out better against loss than this says |
pub fn impairment(codec: &CodecFormat) -> CodecImpairment {
    if codec.is_named("iLBC") { CodecImpairment::G729A } else { CodecImpairment::G711_CONCEALED }
}

/// Half of the round trip that is assumed until a report contains it: most calls within a continent have less.
const ASSUMED_WAY: Duration = Duration::from_millis(30);

/// Returns the parameters by which a receiver weighs delay: those of [`metrics`] where the peer doesn't report its own delay.
pub(super) fn conversation(
    codec: &CodecFormat,
    codec_delay_us: u32,
    packet_ms: u32,
    round_trip: Option<Duration>,
) -> Conversation {
    let way_us = round_trip.map_or(ASSUMED_WAY.as_micros(), |trip| trip.as_micros() / 2);
    let end_us = u64::from(packet_ms) * 1_000 + u64::from(codec_delay_us);
    Conversation { besides: Duration::from_micros(way_us + end_us), loss: impairment(codec).into() }
}

/// One direction of a call, where it is heard.
pub(super) struct HeardStream<'a> {
    pub(super) receiver: &'a AnyReceiver,
    pub(super) delay: &'a DelayConfig,
    pub(super) codec: &'a CodecFormat,
    pub(super) codec_delay_us: u32,
    pub(super) packet_ms: u32,
    pub(super) round_trip: Option<Duration>,
    /// The other side's report on the sound that it hears.
    pub(super) peer: Option<VoipMetrics>,
}

pub(super) fn metrics(heard: &HeardStream<'_>) -> VoipMetricsInput {
    let stats = heard.receiver.stats();
    let end_us =
        u64::from(heard.packet_ms) * 1_000 + u64::from(heard.codec_delay_us) + u64::from(stats.buffer_delay.mean_us());
    let fixed = heard.delay.min_ms == heard.delay.max_ms;
    VoipMetricsInput {
        ssrc: stats.reception.ssrc,
        bursts: heard.receiver.bursts(),
        codec: Some(impairment(heard.codec)),
        round_trip: heard.round_trip,
        end_system_delay: Duration::from_micros(end_us),
        concealment: ConcealmentKind::Enhanced,
        jitter_buffer: JitterBufferInfo {
            kind: if fixed { JitterBufferKind::NonAdaptive } else { JitterBufferKind::Adaptive },
            nominal_ms: stats.target_delay_ms,
            maximum_ms: heard.delay.max_ms,
            absolute_maximum_ms: heard.delay.max_ms,
        },
        peer: heard.peer,
        ..VoipMetricsInput::default()
    }
}
