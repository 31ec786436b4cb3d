//! The lines of a report that hold numbers: `LocalMetrics` and `RemoteMetrics` (RFC 6035, 4.6.1).

use std::fmt::Write as _;

use dsp_core::wire::rtcp::{ConcealmentKind, JitterBufferKind, VoipMetrics};

use super::super::Interval;
use super::{VqSnapshot, is_of, is_word, jitter_ms, percent};
use crate::calendar::date_time;
use crate::session::CallStats;

/// The level of 0 dBov in dBm0, in hundredths.
const OVERLOAD_DBM0: i32 = 615;

/// Appends a line `name:A=1 B=2` of the known elements: each but the one that is last in the grammar is followed by a space.
/// Without any known element there is no line.
fn line(text: &mut String, name: &str, last: &str, elements: &[(&str, Option<String>)]) {
    let known = || elements.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    if known().next().is_none() {
        return;
    }
    let _ = write!(text, "{name}:");
    for (element, value) in known() {
        let _ = write!(text, "{element}={value}{}", if *element == last { "" } else { " " });
    }
    *text += "\r\n";
}

pub(super) fn local_metrics(text: &mut String, from: &VqSnapshot, now: &VqSnapshot) {
    let stats = &now.stats;
    let interval = Interval::between(&from.stats, stats);
    let bursts = &interval.bursts;
    let heard = stats.local_voip.block();
    let _ = write!(text, "Timestamps:START={} STOP={}\r\n", date_time(from.at), date_time(now.at));
    if let Some(media) = &now.media {
        let packet_ms = media.frame_ms * media.frames_per_packet;
        let packets = (1_000 + packet_ms / 2).checked_div(packet_ms).unwrap_or(0);
        let plc = plc(heard.concealment).map(|plc| plc.to_string());
        line(
            text,
            "SessionDesc",
            "SSUP",
            &[
                ("PT", Some(media.payload_type.to_string())),
                ("PD", Some(media.name.clone()).filter(|name| is_of(name, is_word))),
                ("SR", Some(media.rtp_clock_hz.min(999_999).to_string())),
                ("PPS", Some(packets.to_string())),
                ("FD", Some(media.frame_ms.to_string())),
                ("FPP", Some(media.frames_per_packet.min(99).to_string())),
                ("FMTP", media.fmtp.as_ref().map(|fmtp| format!("\"{fmtp}\""))),
                ("PLC", plc),
                ("SSUP", Some(if media.silence_suppression { "on" } else { "off" }.into())),
            ],
        );
    }
    jitter_buffer(text, &heard);
    line(
        text,
        "PacketLoss",
        "JDR",
        &[
            ("NLR", percent(bursts.lost, bursts.expected).map(hundredths)),
            ("JDR", percent(bursts.discarded, bursts.expected).map(hundredths)),
        ],
    );
    if bursts.expected > 0 {
        let in_gaps = bursts.missing().saturating_sub(bursts.missing_in_bursts);
        let expected_in_gaps = bursts.expected.saturating_sub(bursts.expected_in_bursts);
        let mean_ms = |us: u64, count: u64| (us / 1_000).checked_div(count).unwrap_or(0).min(3_600_000).to_string();
        line(
            text,
            "BurstGapLoss",
            "GMIN",
            &[
                ("BLD", Some(hundredths(percent(bursts.missing_in_bursts, bursts.expected_in_bursts).unwrap_or(0.0)))),
                ("BD", Some(mean_ms(bursts.bursts_us, bursts.bursts))),
                ("GLD", Some(hundredths(percent(in_gaps, expected_in_gaps).unwrap_or(0.0)))),
                ("GD", Some(mean_ms(bursts.gaps_us, bursts.gaps))),
                ("GMIN", Some(bursts.gmin.max(1).to_string())),
            ],
        );
    }
    let end_ms = (bursts.expected > 0).then_some(interval.end_system_delay_ms);
    let round_trip_ms = stats.round_trip.map(|trip| trip.as_micros() as f64 / 1e3);
    // Only with both ends' own words (4.6.2.9.3).
    let peer_ms = stats.remote_voip.map(|voip| f64::from(voip.end_system_delay_ms)).filter(|ms| *ms > 0.0);
    let one_way = round_trip_ms.zip(end_ms).zip(peer_ms).map(|((trip, end), peer)| (trip + end + peer) / 2.0);
    let jitter = (interval.received > 0).then(|| jitter_ms(stats));
    line(
        text,
        "Delay",
        "MAJ",
        &[
            ("RTD", round_trip_ms.map(whole_ms)),
            ("ESD", end_ms.map(whole_ms)),
            ("SOWD", one_way.map(whole_ms)),
            ("IAJ", jitter.map(whole_ms)),
        ],
    );
    let active = stats.sound.and_then(|sound| sound.received.level.active);
    let level = active.map(|active| (i32::from(active.hundredths_dbov()) + OVERLOAD_DBM0).div_euclid(100));
    line(text, "Signal", "RERL", &[("SL", level.map(|level| level.clamp(-99, 99).to_string()))]);
    quality(text, interval.listening_r, interval.r_factor, interval.mos_lq, interval.mos_cq, "G.107");
}

/// Appends the other side's report, which covers all of the call so far.
pub(super) fn remote_metrics(text: &mut String, voip: &VoipMetrics, stats: &CallStats) {
    let of_256 = |part: u8| Some(hundredths(f64::from(part) * 100.0 / 256.0));
    jitter_buffer(text, voip);
    line(text, "PacketLoss", "JDR", &[("NLR", of_256(voip.loss_rate)), ("JDR", of_256(voip.discard_rate))]);
    line(
        text,
        "BurstGapLoss",
        "GMIN",
        &[
            ("BLD", of_256(voip.burst_density)),
            ("BD", Some(voip.burst_duration_ms.to_string())),
            ("GLD", of_256(voip.gap_density)),
            ("GD", Some(voip.gap_duration_ms.to_string())),
            ("GMIN", Some(voip.gmin.max(1).to_string())),
        ],
    );
    let known = |ms: u16| (ms > 0).then(|| ms.to_string());
    line(
        text,
        "Delay",
        "MAJ",
        &[
            ("RTD", known(voip.round_trip_ms)),
            ("ESD", known(voip.end_system_delay_ms)),
            ("IAJ", stats.remote_jitter_ms.map(|ms| whole_ms(ms.into()))),
        ],
    );
    let level = |dbm0: Option<i8>| dbm0.map(|dbm0| dbm0.clamp(-99, 99).to_string());
    line(
        text,
        "Signal",
        "RERL",
        &[
            ("SL", level(voip.signal_level_dbm0)),
            ("NL", level(voip.noise_level_dbm0)),
            ("RERL", voip.rerl_db.map(|rerl| rerl.to_string())),
        ],
    );
    let tenths = |value: Option<u8>| value.map(|tenths| f64::from(tenths) / 10.0);
    let (mos_lq, mos_cq) = (tenths(voip.mos_lq_tenths), tenths(voip.mos_cq_tenths));
    quality(text, None, voip.r_factor.map(f64::from), mos_lq, mos_cq, "RFC3611");
}

fn jitter_buffer(text: &mut String, voip: &VoipMetrics) {
    let kind = match voip.jitter_buffer {
        JitterBufferKind::Unknown | JitterBufferKind::Reserved => None,
        JitterBufferKind::NonAdaptive => Some("2".into()),
        JitterBufferKind::Adaptive => Some("3".into()),
    };
    line(
        text,
        "JitterBuffer",
        "JBX",
        &[
            ("JBA", kind),
            ("JBR", (voip.jitter_buffer_rate > 0).then(|| voip.jitter_buffer_rate.to_string())),
            ("JBN", Some(voip.jitter_buffer_nominal_ms.to_string())),
            ("JBM", Some(voip.jitter_buffer_maximum_ms.to_string())),
            ("JBX", Some(voip.jitter_buffer_absolute_maximum_ms.to_string())),
        ],
    );
}

fn quality(
    text: &mut String,
    listening_r: Option<f64>,
    conversational_r: Option<f64>,
    mos_lq: Option<f64>,
    mos_cq: Option<f64>,
    algorithm: &str,
) {
    let rating = |r: Option<f64>| r.map(|r| format!("{:.0}", r.clamp(0.0, 120.0)));
    let mos = |mos: Option<f64>| mos.map(|mos| format!("{:.2}", mos.clamp(0.0, 4.9)));
    let [rlq, rcq] = [listening_r, conversational_r].map(rating);
    let [mos_lq, mos_cq] = [mos_lq, mos_cq].map(mos);
    let any = [&rlq, &rcq, &mos_lq, &mos_cq].iter().any(|value| value.is_some());
    let algorithm = any.then(|| algorithm.into());
    line(
        text,
        "QualityEst",
        "QoEEstAlg",
        &[("RLQ", rlq), ("RCQ", rcq), ("MOSLQ", mos_lq), ("MOSCQ", mos_cq), ("QoEEstAlg", algorithm)],
    );
}

/// Returns the number of RFC 3611 for the concealment.
fn plc(concealment: ConcealmentKind) -> Option<u8> {
    match concealment {
        ConcealmentKind::Unspecified => None,
        ConcealmentKind::Disabled => Some(1),
        ConcealmentKind::Enhanced => Some(2),
        ConcealmentKind::Standard => Some(3),
    }
}

/// `1*3DIGIT "." 2DIGIT`.
fn hundredths(value: f64) -> String {
    format!("{:.2}", value.clamp(0.0, 100.0))
}

/// `1*5DIGIT`, up to 65535.
fn whole_ms(ms: f64) -> String {
    format!("{:.0}", ms.clamp(0.0, 65_535.0))
}
