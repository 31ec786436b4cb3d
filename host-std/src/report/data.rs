//! The data of a report: plain values that a call, a demo or a replay fills in.
//!
//! One timeline holds for everything on a side: `*_ms` is milliseconds since media time 0, the first sample the *other* side
//! sent. `said` is placed on it as it was spoken, `heard` as it was played, so the mouth-to-ear delay shows as a shift. Rows may
//! be in any order. Names of fields are the names in `report.json`; their units are in them.

use dsp_core::receive::{Fate, ReceiverStats};
use serde::Serialize;

use super::kept::KeptReport;

use super::digits::DigitRow;
use super::json::{maybe_micros, micros};
use super::tones::ToneRow;
use crate::probe::SoundFigures;
use crate::session::{CallSound, Finding};

/// A call, and what each side of it heard.
///
/// ```
/// use host_std::report::{Report, SideReport, Statistics};
///
/// let statistics = Statistics { packets_sent: 50, packets_received: 49, packets_lost: 1, ..Statistics::default() };
/// let side = SideReport { name: "anna".into(), peer: "bert".into(), statistics, ..SideReport::default() };
/// let report = Report { title: "a call".into(), duration_s: 1.0, sides: vec![side], ..Report::default() };
/// assert!(report.to_json().contains("\"packets_lost\": 1"));
/// assert!(report.to_html().contains("<title>"));
/// println!("{report}"); // a column a side, for a terminal
/// ```
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The headline, such as `demo: opus, 5 % loss`.
    pub title: String,
    /// The settings that make the call repeatable, name and value, in the order to show.
    pub settings: Vec<(String, String)>,
    /// The seed of the simulated network; `None` for a call over a real one.
    pub seed: Option<u64>,
    /// Length of the call in seconds.
    pub duration_s: f64,
    /// One entry for each listener.
    pub sides: Vec<SideReport>,
    /// Recordings and forks, if there were any.
    #[serde(skip_serializing_if = "KeptReport::is_empty")]
    pub kept: KeptReport,
}

/// The sound that one side heard, with its statistics.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SideReport {
    /// The listener, such as `a`.
    pub name: String,
    /// The speaker it listened to, such as `b`.
    pub peer: String,
    /// The codec as received, such as `opus/48000, 20 ms`.
    pub codec: String,
    /// The rate of `said` and `heard`, in Hz.
    pub sample_rate_hz: u32,
    /// The channels of `said` and `heard`, which are interleaved.
    pub channels: u8,
    /// The peer's sound before coding: 16-bit samples from media time 0. It is empty if it isn't known, and isn't in the JSON.
    #[serde(skip)]
    pub said: Vec<i16>,
    /// The sound that was played here: 16-bit samples from media time 0. It isn't in the JSON.
    #[serde(skip)]
    pub heard: Vec<i16>,
    /// The file that holds `heard`, relative to the report, such as `a-heard.wav`.
    pub wav_file: String,
    /// The length of one packet, in ms: how wide a lost packet is drawn.
    pub packet_ms: f64,
    /// The wall clock at media time 0, in microseconds since 1970 where the reader lives; the time axis then shows it. Not
    /// in the JSON.
    #[serde(skip)]
    pub begins_us: Option<i64>,
    /// True where the two ends share no clock: delays in `packets` and `delays` are then those above the fastest
    /// packet, not the whole way.
    pub delays_relative: bool,
    /// Totals and means.
    pub statistics: Statistics,
    /// All packets; a duplicate has a row of its own.
    pub packets: Vec<PacketRow>,
    /// Stretches of `heard` that are not plainly decoded.
    pub play: Vec<PlayRow>,
    /// The receiver's delays over time.
    pub delays: Vec<DelayRow>,
    /// Digits that were heard.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub digits: Vec<DigitRow>,
    /// Tones that were heard, where a detector was active.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tones: Vec<ToneRow>,
    /// The listener's sound in levels and faults; not in the JSON where it wasn't measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound: Option<CallSoundFigures>,
    /// The defects of the listener's sound; they aren't in the JSON where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<FindingRow>,
    /// The figures of this side's echo canceller; they aren't in the JSON without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo: Option<EchoFigures>,
    /// The same for each second; not in the JSON without an echo canceller.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub echo_per_second: Vec<EchoRow>,
}

/// The sound of one side of a call, as its meters have it: see [`CallSound`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CallSoundFigures {
    /// The microphone, before the capture chain; `None` where there is none.
    pub microphone: Option<SoundFigures>,
    /// The sound that was sent, before the encoder.
    pub sent: SoundFigures,
    /// The sound that was received, before the loudspeaker's volume.
    pub received: SoundFigures,
}

impl From<&CallSound> for CallSoundFigures {
    fn from(sound: &CallSound) -> Self {
        Self {
            microphone: sound.microphone.as_ref().map(SoundFigures::from),
            sent: (&sound.sent).into(),
            received: (&sound.received).into(),
        }
    }
}

/// Something that is wrong with the sound of a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FindingRow {
    /// The kind of finding, by a name that stays the same, such as `microphone_clipped`.
    pub what: &'static str,
    /// The share of the time in which there was the fault, 0 to 1.
    #[serde(serialize_with = "micros")]
    pub share: f64,
    /// The time at which it first began, in ms of the call's sound.
    pub from_ms: u32,
    /// The time at which it last ended, in ms of the call's sound.
    pub until_ms: u32,
    /// The finding in a sentence, without a full stop.
    pub words: String,
}

impl From<Finding> for FindingRow {
    fn from(finding: Finding) -> Self {
        Self {
            what: finding.name(),
            share: finding.share.into(),
            from_ms: finding.first_ms,
            until_ms: finding.last_ms,
            words: finding.to_string(),
        }
    }
}

impl FindingRow {
    /// Creates the same, of a stream of a call: with its number, counted from 1, where it isn't the first.
    pub fn of_stream(stream: usize, finding: Finding) -> Self {
        let row = Self::from(finding);
        let words = if stream == 0 { row.words } else { format!("Stream {}: {}", stream + 1, row.words) };
        Self { words, ..row }
    }
}

/// The figures of an echo canceller over a whole recording or call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct EchoFigures {
    /// Echo return loss enhancement: how much the echo was lowered, in dB; `None` where it was never heard alone.
    #[serde(serialize_with = "maybe_micros")]
    pub erle_db: Option<f64>,
    /// The bulk delay from loudspeaker to microphone at the end, in ms; `None` if it was never found.
    #[serde(serialize_with = "maybe_micros")]
    pub delay_ms: Option<f64>,
    /// The rate of the loudspeaker's clock relative to the microphone's at the end, in parts per million; positive if it is
    /// faster.
    #[serde(serialize_with = "micros")]
    pub drift_ppm: f64,
    /// Share of the time in which both ends spoke, 0 to 1.
    #[serde(serialize_with = "micros")]
    pub double_talk: f64,
    /// The number of times that the canceller had diverged and was reset.
    pub diverged: u32,
    /// The number of times that the echo path had changed.
    pub path_changes: u32,
}

/// An echo canceller in one second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EchoRow {
    /// The time at which the second begins, in ms.
    #[serde(serialize_with = "micros")]
    pub at_ms: f64,
    /// Echo return loss enhancement in dB; `None` where the echo isn't heard alone.
    #[serde(serialize_with = "maybe_micros")]
    pub erle_db: Option<f64>,
    /// The bulk delay from loudspeaker to microphone at the end of the second, in ms; `None` until it is found.
    #[serde(serialize_with = "maybe_micros")]
    pub echo_delay_ms: Option<f64>,
    /// Share of the second in which both ends spoke, 0 to 1.
    #[serde(serialize_with = "micros")]
    pub double_talk: f64,
}

/// One packet on its way.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PacketRow {
    /// Sequence number, extended over wraps (RFC 3550, A.1).
    pub seq: u64,
    /// The time at which the packet was sent, in ms.
    #[serde(serialize_with = "micros")]
    pub media_ms: f64,
    /// The time at which the packet arrived, in ms; `None` if it never did.
    #[serde(serialize_with = "maybe_micros")]
    pub arrival_ms: Option<f64>,
    /// The fate of the packet.
    pub fate: PacketOutcome,
}

/// The fate of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PacketOutcome {
    /// It was decoded and played, or described comfort noise.
    Played,
    /// It never arrived.
    LostInNetwork,
    /// It arrived after the time to play it.
    Late,
    /// It arrived again.
    Duplicate,
    /// It arrived after a copy of it in another packet (RFC 2198), which was played instead.
    Superseded,
    /// It arrived and was dropped: there was no room, the delay was above its bound, or its stretch was skipped.
    Discarded,
    /// It arrived, and the decoder refused it.
    Undecodable,
    /// It arrived, and was a telephone event.
    Event,
    /// It arrived, and had a payload type that wasn't agreed on, or only padding.
    OtherPayload,
    /// It arrived before its source or sequence was accepted.
    Probation,
    /// It arrived malformed or too long.
    Unusable,
    /// It arrived and was not accepted: SRTP refused it, or the call was on hold.
    Refused,
    /// It arrived, and its turn to be played had not come at the end.
    Waiting,
}

impl From<Fate> for PacketOutcome {
    /// Converts the fate of a packet that arrived.
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Played | Fate::Noise => Self::Played,
            Fate::Event => Self::Event,
            Fate::Unknown => Self::OtherPayload,
            Fate::Undecodable => Self::Undecodable,
            _ => Self::Discarded,
        }
    }
}

/// A stretch of played sound, and its origin.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PlayRow {
    /// The time at which the stretch began to play, in ms.
    #[serde(serialize_with = "micros")]
    pub at_ms: f64,
    /// The duration of the stretch, in ms.
    #[serde(serialize_with = "micros")]
    pub duration_ms: f64,
    /// The origin of its sound.
    pub cause: PlayCause,
}

/// The origin of played sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlayCause {
    /// The sound is from its own packet. Rows with this cause may be left out.
    Decoded,
    /// The sound was concealed for a missing packet.
    Concealed,
    /// Rebuilt from what another packet repeats.
    Recovered,
    /// Shortened, to let the delay fall.
    Accelerated,
    /// Lengthened, to let the delay grow.
    Decelerated,
    /// Nothing to play: before the first packet, or after a long gap.
    Silence,
}

/// The receiver's delays at one moment.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DelayRow {
    /// The moment, in ms.
    #[serde(serialize_with = "micros")]
    pub at_ms: f64,
    /// The delay from sending to playing that the receiver aims at, in ms.
    #[serde(serialize_with = "micros")]
    pub target_ms: f64,
    /// The delay from sending to playing of the sample that is played, in ms.
    #[serde(serialize_with = "micros")]
    pub playout_ms: f64,
}

/// Least, mean and greatest.
///
/// ```
/// use host_std::report::MinMeanMax;
///
/// assert_eq!(MinMeanMax::of([10.0, 20.0, 60.0]), Some(MinMeanMax { min: 10.0, mean: 30.0, max: 60.0 }));
/// assert_eq!(MinMeanMax::of([]), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct MinMeanMax {
    /// The least value.
    #[serde(serialize_with = "micros")]
    pub min: f64,
    /// The arithmetic mean.
    #[serde(serialize_with = "micros")]
    pub mean: f64,
    /// The greatest value.
    #[serde(serialize_with = "micros")]
    pub max: f64,
}

impl MinMeanMax {
    /// Returns the statistics of `values`; `None` if there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut spread = Self { min: f64::INFINITY, mean: 0.0, max: f64::NEG_INFINITY };
        let mut count = 0u64;
        for value in values {
            spread.min = spread.min.min(value);
            spread.max = spread.max.max(value);
            spread.mean += value;
            count += 1;
        }
        spread.mean /= count as f64;
        (count > 0).then_some(spread)
    }
}

/// Totals and means of one side. An `Option` is `None` where it could not be known or measured.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Statistics {
    /// Packets the peer sent.
    pub packets_sent: u64,
    /// Packets that arrived and were let in, duplicates included: the sum of those that were played, late, duplicate,
    /// superseded, discarded, undecodable, events, of other payload types, in probation, unusable and waiting.
    pub packets_received: u64,
    /// Packets that were decoded, or described comfort noise.
    pub packets_played: u64,
    /// Packets that never arrived.
    pub packets_lost: u64,
    /// Packets that arrived after the time to play them.
    pub packets_late: u64,
    /// Packets that arrived again.
    pub packets_duplicate: u64,
    /// Packets that arrived after a later one.
    pub packets_reordered: u64,
    /// Packets that arrived after a copy of them in another packet (RFC 2198), which was played instead.
    pub packets_superseded: u64,
    /// Packets that arrived in time and were dropped: there was no room, the delay was above its bound, or the stream restarted.
    pub packets_discarded: u64,
    /// Packets that the decoder refused.
    pub packets_undecodable: u64,
    /// Packets with telephone events.
    pub packets_event: u64,
    /// Packets of a payload type that was not agreed on, or with nothing in them but padding.
    pub packets_other_payload: u64,
    /// Packets that came while their source or sequence had to prove itself.
    pub packets_probation: u64,
    /// Packets that can't be used: malformed, or too long.
    pub packets_unusable: u64,
    /// Packets whose turn had not come at the end.
    pub packets_waiting: u64,
    /// Packets that were not let in: SRTP refused them, or they were not to be heard. Not among those received.
    pub packets_refused: u64,
    /// The number of restarts of the source: its sequence numbers or its timestamps jumped.
    pub restarts: u64,
    /// Changes of the synchronisation source during the call.
    pub ssrc_changes: u64,
    /// The duration of sound that was concealed for missing packets, in milliseconds.
    #[serde(serialize_with = "micros")]
    pub concealed_ms: f64,
    /// Runs of concealed sound.
    pub concealment_events: u64,
    /// Sound rebuilt from what other packets repeat, in milliseconds.
    #[serde(serialize_with = "micros")]
    pub recovered_ms: f64,
    /// Redundant blocks that arrived in packets (RFC 2198).
    pub redundant_blocks: u64,
    /// Packets that were lost and played from such blocks.
    pub redundant_used: u64,
    /// Blocks of lost packets that came too late to be played.
    pub redundant_late: u64,
    /// Blocks of packets that were here.
    pub redundant_duplicate: u64,
    /// Sound taken out to let the delay fall, in milliseconds.
    #[serde(serialize_with = "micros")]
    pub stretched_out_ms: f64,
    /// Sound put in to let the delay grow, in milliseconds.
    #[serde(serialize_with = "micros")]
    pub stretched_in_ms: f64,
    /// The delay from sending to playing, in ms.
    pub playout_delay_ms: Option<MinMeanMax>,
    /// The delay on the network, in ms.
    pub network_delay_ms: Option<MinMeanMax>,
    /// Mean wait in the jitter buffer, in milliseconds.
    #[serde(serialize_with = "maybe_micros")]
    pub buffer_delay_ms: Option<f64>,
    /// Interarrival jitter at the end of the call, in milliseconds (RFC 3550, 6.4.1).
    #[serde(serialize_with = "micros")]
    pub jitter_ms: f64,
    /// Round-trip time from the last RTCP report, in milliseconds (RFC 3550, 6.4.1).
    #[serde(serialize_with = "maybe_micros")]
    pub rtt_ms: Option<f64>,
    /// Share of packets the peer last reported lost of what *this* side sent, 0 to 1 (RFC 3550, 6.4.1).
    #[serde(serialize_with = "maybe_micros")]
    pub remote_fraction_lost: Option<f64>,
    /// Jitter the peer last reported of what *this* side sent, in milliseconds.
    #[serde(serialize_with = "maybe_micros")]
    pub remote_jitter_ms: Option<f64>,
    /// The rating R of the sound that was heard, with its delay from mouth to ear: 93.2 where nothing impairs, on the narrowband
    /// scale for every codec (ITU-T G.107, with G.113's Ie and Bpl). `None` without a round trip.
    #[serde(serialize_with = "maybe_micros")]
    pub r_factor: Option<f64>,
    /// Listening quality of the same model, without delay: 1 to 4.5.
    #[serde(serialize_with = "maybe_micros")]
    pub mos_lq: Option<f64>,
    /// Conversational quality of the same model, with delay: 1 to 4.5.
    #[serde(serialize_with = "maybe_micros")]
    pub mos_cq: Option<f64>,
    /// The rating R that the peer last reported of what *this* side said (RFC 3611, 4.7.5).
    pub remote_r_factor: Option<u8>,
    /// Listening quality that the peer last reported, in tenths on the wire.
    #[serde(serialize_with = "maybe_micros")]
    pub remote_mos_lq: Option<f64>,
    /// Conversational quality that the peer last reported.
    #[serde(serialize_with = "maybe_micros")]
    pub remote_mos_cq: Option<f64>,
    /// Rate of the peer's clock against ours as estimated by the receiver, in parts per million.
    #[serde(serialize_with = "maybe_micros")]
    pub clock_drift_ppm: Option<f64>,
    /// The bit rate of RTP payloads that arrived, in bit/s.
    #[serde(serialize_with = "maybe_micros")]
    pub payload_bitrate_bps: Option<f64>,
    /// Active speech level of the peer's sound as it was said, in dBov.
    #[serde(serialize_with = "maybe_micros")]
    pub said_level_dbov: Option<f64>,
    /// Active speech level of the sound that was heard, in dBov.
    #[serde(serialize_with = "maybe_micros")]
    pub heard_level_dbov: Option<f64>,
    /// Level of this side's own voice that came back to it, relative to the voice as spoken, in dB, where the other side's user
    /// was silent: -127 for nothing at all.
    #[serde(serialize_with = "maybe_micros")]
    pub own_voice_back_db: Option<f64>,
    /// Memory of this end of the call, in bytes, the heap included.
    pub memory_bytes: Option<u64>,
    /// Heap allocations on the packet and audio path after construction.
    pub allocations: Option<u64>,
}

impl Statistics {
    /// Returns a receiver's counts of all its sequences and sources, with its samples at `rate_hz`; its playout delays are
    /// `base_ms` above the fastest packet. Every report of a call and of a capture takes these fields from here.
    pub fn counted(receiver: &ReceiverStats, rate_hz: u32, base_ms: f64) -> Self {
        let samples_ms = |samples: u64| samples as f64 * 1e3 / f64::from(rate_hz);
        let us_to_ms = |us: u32| f64::from(us) / 1e3;
        let delay = &receiver.playout_delay;
        Self {
            packets_received: receiver.received,
            packets_played: receiver.decoded_packets + u64::from(receiver.noise_packets),
            packets_lost: receiver.total.lost(),
            packets_late: receiver.late.into(),
            packets_duplicate: receiver.duplicate.into(),
            packets_reordered: receiver.total.reordered,
            packets_discarded: receiver.discarded.into(),
            packets_undecodable: receiver.undecodable.into(),
            packets_event: receiver.event_packets.into(),
            packets_other_payload: receiver.unknown_payload.into(),
            packets_probation: receiver.probation.into(),
            packets_unusable: u64::from(receiver.malformed) + u64::from(receiver.refused),
            packets_waiting: u64::from(receiver.buffered_packets.saturating_sub(receiver.buffered_copies)),
            restarts: receiver.restarts.into(),
            ssrc_changes: receiver.ssrc_changes.into(),
            concealed_ms: samples_ms(receiver.concealed_samples),
            concealment_events: receiver.concealment_events.into(),
            recovered_ms: samples_ms(receiver.recovered_samples),
            stretched_out_ms: samples_ms(receiver.removed_samples),
            stretched_in_ms: samples_ms(receiver.inserted_samples),
            playout_delay_ms: (delay.packets > 0).then(|| MinMeanMax {
                min: base_ms + us_to_ms(delay.min_us),
                mean: base_ms + us_to_ms(delay.mean_us()),
                max: base_ms + us_to_ms(delay.max_us),
            }),
            buffer_delay_ms: (delay.packets > 0).then(|| us_to_ms(receiver.buffer_delay.mean_us())),
            redundant_blocks: receiver.redundant_blocks.into(),
            redundant_used: receiver.redundant_used.into(),
            redundant_late: receiver.redundant_late.into(),
            redundant_duplicate: receiver.redundant_duplicate.into(),
            ..Self::default()
        }
    }

    /// Packets received that none of the counts above has; zero.
    pub fn unaccounted(&self) -> i64 {
        let counted = self.packets_played
            + self.packets_late
            + self.packets_duplicate
            + self.packets_superseded
            + self.packets_discarded
            + self.packets_undecodable
            + self.packets_event
            + self.packets_other_payload
            + self.packets_probation
            + self.packets_unusable
            + self.packets_waiting;
        self.packets_received as i64 - counted as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_of_values() {
        assert_eq!(MinMeanMax::of([]), None);
        assert_eq!(MinMeanMax::of([4.0, 1.0, 4.0]), Some(MinMeanMax { min: 1.0, mean: 3.0, max: 4.0 }));
    }
}
