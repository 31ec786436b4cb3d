//! The statistics of a call as JSON, with the same names everywhere: in the summary at its end (`--json`), in each line of
//! `--stats-file`, and on the dashboard. Units are in the names.

use serde_json::{Value, json};

use crate::report::{CallSoundFigures, FindingRow};
use crate::session::CallStats;

/// Returns all that was counted of a call so far whose sound has this rate in Hz: no address, no key, and no number of the other
/// side's.
///
/// ```
/// use host_std::monitoring::call_figures;
/// use host_std::session::CallStats;
///
/// let figures = call_figures(&CallStats::default(), 8_000);
/// assert_eq!((&figures["sample_rate_hz"], &figures["packets_received"]), (&8_000.into(), &0.into()));
/// ```
pub fn call_figures(stats: &CallStats, rate_hz: u32) -> Value {
    let receiver = &stats.total;
    let ms = |samples: u64| samples as f64 * 1_000.0 / f64::from(rate_hz.max(1));
    let mut call = json!({
        "sample_rate_hz": rate_hz,
        "packets_sent": stats.sender.packets,
        "payload_bytes_sent": stats.sender.octets,
        "packets_received": receiver.total.received,
        "packets_lost": receiver.total.lost(),
        "restarts": receiver.restarts,
        "ssrc_changes": receiver.ssrc_changes,
        "packets_late": receiver.late,
        "packets_duplicate": receiver.duplicate,
        "packets_refused": stats.refused,
        "packets_foreign": stats.foreign,
        "packets_unsent": stats.unsent,
        "packets_early": stats.early,
        "packets_stale": stats.stale,
        "slept_ms": stats.slept.as_millis(),
        "packets_of_own_source": stats.own_source,
        "source_changes": stats.source_changes,
        "goodbyes": stats.goodbyes,
        "goodbyes_not_believed": stats.foreign_goodbyes,
        "played_ms": ms(receiver.played_samples),
        "concealed_ms": ms(receiver.concealed_samples),
        "concealment_events": receiver.concealment_events,
        "recovered_ms": ms(receiver.recovered_samples),
        "redundant_blocks": receiver.redundant_blocks,
        "redundant_used": receiver.redundant_used,
        "redundant_late": receiver.redundant_late,
        "redundant_duplicate": receiver.redundant_duplicate,
        "r_factor": stats.r_factor,
        "mos_lq": stats.mos_lq,
        "mos_cq": stats.mos_cq,
        "stretched_in_ms": ms(receiver.inserted_samples),
        "stretched_out_ms": ms(receiver.removed_samples),
        "playout_delay_mean_ms": f64::from(receiver.playout_delay.mean_us()) / 1_000.0,
        "target_delay_ms": receiver.target_delay_ms,
        "jitter_ms": f64::from(stats.receiver.reception.jitter_ticks) * 1e3 / f64::from(stats.receiver.clock_hz.max(1)),
        "delay_choice": stats.delay_choice.map(|choice| json!({
            "bound_ms": choice.bound_ms,
            "besides_ms": choice.besides_ms,
            "r_taken_by_delay": f64::from(choice.delay_tenths) / 10.0,
            "r_taken_by_loss": f64::from(choice.loss_tenths) / 10.0,
        })),
        "double_clock": stats.receiver.double_clock,
        "round_trip_ms": stats.round_trip.map(|time| time.as_micros() as f64 / 1_000.0),
        "remote_fraction_lost": stats.remote_fraction_lost,
        "remote_jitter_ms": stats.remote_jitter_ms,
    });
    call["remote_mos_lq"] = json!(stats.remote_voip.and_then(|voip| voip.mos_lq_tenths).map(tenths));
    call["remote_mos_cq"] = json!(stats.remote_voip.and_then(|voip| voip.mos_cq_tenths).map(tenths));
    call["feedback"] = json!({
        "nacked": stats.nacked,
        "remote_maximum_bps": stats.remote_maximum_bps,
        "transport_wide": stats.feedback.map(|told| json!({
            "messages": told.messages,
            "sent": told.sent,
            "arrived": told.arrived,
            "lost": told.lost,
            "late": told.late,
            "queued_ms": told.queued.map(|queued| queued.as_micros() as f64 / 1_000.0),
        })),
    });
    call["adaptation"] = json!(stats.adaptation.map(|adapting| json!({
        "rate_bps": adapting.rate_bps,
        "phase": adapting.phase.to_string(),
        "random_loss_percent": adapting.random_loss_percent,
        "bit_rate_bps": adapting.taken.bit_rate_bps,
        "packet_ms": adapting.taken.packet_ms,
        "expected_loss_percent": adapting.taken.expected_loss_percent,
        "copies": adapting.copies,
        "changes": adapting.changes,
    })));
    call["packets"] = json!({
        "datagrams": stats.datagrams,
        "played": receiver.decoded_packets + u64::from(receiver.noise_packets),
        "late": receiver.late,
        "discarded": receiver.discarded,
        "duplicate": receiver.duplicate,
        "undecodable": receiver.undecodable,
        "event": receiver.event_packets,
        "other_payload": receiver.unknown_payload,
        "waiting": receiver.buffered_packets.saturating_sub(receiver.buffered_copies),
        "probation": receiver.probation,
        "unusable": receiver.malformed.saturating_add(receiver.refused),
        "not_heard": stats.sources.unheard(),
        "of_own_source": stats.own_source,
        "refused": stats.refused,
        "foreign": stats.foreign,
        "control": stats.control,
        "ignored": stats.ignored,
    });
    call["current_source"] = json!({
        "packets_received": stats.receiver.reception.received,
        "packets_lost": stats.receiver.reception.cumulative_lost(),
    });
    call["sources"] = json!({
        "admitted": stats.sources.admitted,
        "replaced": stats.sources.replaced,
        "left": stats.sources.left,
        "packets_not_heard": stats.sources.unheard(),
    });
    call["sound"] = json!(stats.sound.as_ref().map(CallSoundFigures::from));
    call["findings"] = json!(stats.findings().map(FindingRow::from).collect::<Vec<_>>());
    call
}

fn tenths(value: u8) -> f64 {
    f64::from(value) / 10.0
}
