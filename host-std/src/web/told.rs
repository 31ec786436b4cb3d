//! The statistics of a call for its page: JSON of plain numbers, with their units in their names.

use serde_json::{Value, json};

use super::Person;
use super::running::{WebCall, is_connected};
use crate::session::driver::Status;
use crate::session::{IceState, Protection};

/// Returns all that the page shows of a call.
pub(super) async fn call(call: &WebCall) -> Value {
    let left = call.left();
    let status = left.as_ref().map_or_else(|| call.status(), |left| left.status);
    let (state, words) = match &left {
        Some(left) => ("ended", left.why.clone()),
        None => state(&status),
    };
    let people = call.people();
    json!({
        "state": state,
        "words": words,
        "ended_well": left.as_ref().map(|left| left.wanted),
        "elapsed_ms": status.elapsed.as_micros() / 1_000,
        "codec": call.codec(),
        "protection": status.stats.protection.and_then(protection),
        "received": received(&status),
        "sent": sent(&status),
        "restarts": status.stats.ice.map(|ice| ice.restarts),
        "digits": call.digits().await,
        "findings": status.stats.findings().map(|finding| finding.to_string()).collect::<Vec<_>>(),
        "people": people.map(|people| people.iter().map(person).collect::<Vec<_>>()),
    })
}

/// Returns the statistics of the browser's stream, as the server receives it.
fn received(status: &Status) -> Value {
    let (stats, receiver) = (&status.stats, &status.stats.total);
    json!({
        "packets": receiver.total.received,
        "lost": receiver.total.lost(),
        "played_samples": receiver.played_samples,
        "concealed_samples": receiver.concealed_samples,
        "sample_rate_hz": super::ends::RATE_HZ,
        "delay_ms": rounded(f64::from(receiver.playout_delay.mean_us()) / 1e3),
        "target_delay_ms": receiver.target_delay_ms,
        "jitter_ms": rounded(f64::from(stats.receiver.reception.jitter_ticks) * 1e3 / f64::from(stats.receiver.clock_hz.max(1))),
        "round_trip_ms": stats.round_trip.map(|time| rounded(time.as_micros() as f64 / 1e3)),
        "mos_lq": stats.mos_lq.map(rounded),
        "mos_cq": stats.mos_cq.map(rounded),
        "level_dbov": level(status.speaker_level),
    })
}

/// Returns the statistics of the stream to the browser, and the browser's reports on it.
fn sent(status: &Status) -> Value {
    let stats = &status.stats;
    json!({
        "packets": stats.sender.packets,
        "lost_share": stats.remote_fraction_lost,
        "jitter_ms": stats.remote_jitter_ms.map(|ms| rounded(ms.into())),
        "level_dbov": level(status.microphone_level),
    })
}

fn state(status: &Status) -> (&'static str, String) {
    let ice = status.stats.ice.map(|ice| ice.state);
    let directions = status.stats.directions;
    match ice {
        Some(IceState::ConsentGone) => ("lost", "the browser doesn't answer any more".into()),
        Some(IceState::Failed) => ("lost", "no way to the browser was found".into()),
        _ if !is_connected(status) => ("connecting", "looking for a way to each other".into()),
        _ if !directions.receives || !directions.sends => ("held", "the call is on hold".into()),
        _ => ("talking", "connected".into()),
    }
}

fn protection(protection: Protection) -> Option<String> {
    match protection {
        Protection::Srtp(profile) => Some(format!("DTLS-SRTP, {}", profile.sdes_name())),
        _ => None,
    }
}

fn person(person: &Person) -> Value {
    json!({
        "number": person.number,
        "name": person.name,
        "you": person.you,
        "speaks": person.speaks,
        "level_dbov": person.level_dbov.round(),
    })
}

/// Converts from hundredths; `None` where nothing was measured.
fn level(hundredths: i16) -> Option<f64> {
    (hundredths > -12_700).then_some(f64::from(hundredths) / 100.0)
}

/// Rounds to hundredths.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
