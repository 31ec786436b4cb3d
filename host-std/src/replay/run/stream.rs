//! One stream that was played, as the report has it.

use super::plan::PlayableStream;
use super::{ReplayConfig, address};
use crate::replay::moments::{self, StreamRecord};
use crate::replay::numbers::thousandth;
use crate::replay::payloads::Origin;
use crate::replay::play::PlayedStream;
use crate::replay::report::CaptureStream;
use crate::replay::sound::StreamSound;
use crate::report::{MinMeanMax, SideReport, Statistics};

/// The report for noise that the user has mapped to a codec.
const LOOKS_ENCRYPTED: &str = "looks encrypted, no key";

/// Returns the report on a planned stream; `clock` is the offset of the times shown, in microseconds, if the capture has any.
pub(super) fn report(
    plan: &PlayableStream,
    run: PlayedStream,
    config: &ReplayConfig,
    clock: Option<i64>,
    begins_ms: f64,
) -> CaptureStream {
    let (number, format, origin) = &plan.main;
    let clock_khz = f64::from(format.rtp_clock_hz()) / 1e3;
    let step = plan.found.shapes.iter().find(|(known, _)| known == number).and_then(|(_, shape)| shape.usual_step());
    let clock_khz = if run.stats.double_clock { clock_khz * 2.0 } else { clock_khz };
    let packet_ms = step.map_or(20.0, |step| thousandth(f64::from(step) / clock_khz));
    let numbers = run.numbers.rated(format.codec(), run.bursts, packet_ms);
    let rate = f64::from(numbers.sample_rate_hz);
    let duration_ms = run.heard.len() as f64 * 1e3 / f64::from(plan.sound().1) / rate;
    let record = StreamRecord { packets: &run.packets, play: &run.play, delays: &run.delays, packet_ms, duration_ms };
    let protection = match plan.found.profile {
        Some(profile) => profile.sdes_name(),
        None if plan.found.main_shape().is_some_and(|(_, shape)| shape.looks_encrypted()) => LOOKS_ENCRYPTED,
        None => "none",
    };
    let verdict = match protection {
        LOOKS_ENCRYPTED => "Noise: the packets look encrypted, and there is no key for them (--keys).".to_owned(),
        _ => record.verdict(&numbers),
    };
    let mut worst = record.worst(config.worst);
    let begins_us = clock.map(|offset| plan.found.first_us as i64 + offset);
    for moment in &mut worst {
        moment.time = begins_us.map(|begin| moments::time_of_day(begin + (moment.at_ms * 1e3) as i64));
    }
    let stats = &run.stats;
    let told = match origin {
        _ if run.stats.double_clock => " (counted at 16 kHz by its sender)",
        Origin::Told | Origin::Static => "",
        Origin::Guessed => " (guessed)",
    };
    let [mean, p95, most] = run.network_ms;
    let statistics = Statistics {
        packets_sent: run.sent,
        packets_received: numbers.received,
        packets_lost: numbers.lost,
        packets_duplicate: run.duplicate,
        packets_superseded: run.superseded,
        packets_refused: plan.found.refused,
        network_delay_ms: (numbers.received > 0).then_some(MinMeanMax { min: 0.0, mean, max: most }),
        buffer_delay_ms: Some(numbers.mean_buffer_delay_ms),
        jitter_ms: run.jitter_ms,
        r_factor: numbers.r_factor,
        mos_lq: numbers.mos_lq,
        mos_cq: numbers.mos_cq,
        clock_drift_ppm: run.clock_drift_ppm,
        payload_bitrate_bps: (duration_ms > 0.0).then(|| thousandth(run.payload_bytes as f64 * 8e3 / duration_ms)),
        ..Statistics::counted(stats, numbers.sample_rate_hz, 0.0)
    };
    let mut digits = run.digits;
    let mut tones = Vec::new();
    if let Some(country) = config.hear_tones {
        let (rate_hz, channels) = (numbers.sample_rate_hz, plan.sound().1);
        let sound = StreamSound { pcm: &run.heard, rate_hz, channels, begins_ms: -numbers.mean_buffer_delay_ms };
        sound.add_digits(&mut digits);
        tones = sound.tones(country);
    }
    let codecs: Vec<_> = plan.formats.iter().map(|(_, format)| format.to_string()).collect();
    let wav_file = format!("{}.wav", numbers.name);
    CaptureStream {
        begins_ms,
        from: address(plan.found.key.from),
        to: address(plan.found.key.to),
        ssrc: format!("0x{:08x}", plan.found.key.ssrc.0),
        payload_type: number.get(),
        codec: format.to_string(),
        codecs: codecs.clone(),
        codec_guessed: *origin == Origin::Guessed,
        rtp_clock_hz: format.rtp_clock_hz(),
        packet_ms,
        begin: begins_us.map(|us| format!("{} {}", moments::date(us), moments::time_of_day(us))),
        verdict,
        worst,
        max_playout_delay_ms: run.max_playout_ms,
        mean_network_delay_ms: mean,
        p95_network_delay_ms: p95,
        max_network_delay_ms: most,
        jitter_ms: run.jitter_ms,
        clock_drift_ppm: run.clock_drift_ppm,
        protection,
        refused: plan.found.refused,
        duplicate: run.duplicate,
        superseded: run.superseded,
        reordered: stats.total.reordered,
        undecodable: u64::from(stats.undecodable),
        events: u64::from(stats.event_packets),
        other_payload: u64::from(stats.unknown_payload),
        played: stats.decoded_packets + u64::from(stats.noise_packets),
        probation: u64::from(stats.probation),
        unusable: u64::from(stats.refused),
        waiting: u64::from(stats.buffered_packets - stats.buffered_copies),
        restarts: u64::from(stats.restarts),
        lost_on_purpose: run.dropped,
        side: SideReport {
            name: numbers.name.clone(),
            peer: address(plan.found.key.from),
            codec: format!("{}{told}, {packet_ms} ms", codecs.join(" and ")),
            sample_rate_hz: numbers.sample_rate_hz,
            channels: plan.sound().1,
            said: Vec::new(),
            heard: run.heard,
            wav_file,
            packet_ms,
            begins_us,
            digits,
            tones,
            sound: None,
            findings: Vec::new(),
            echo: None,
            echo_per_second: Vec::new(),
            delays_relative: true,
            statistics,
            packets: run.packets,
            play: run.play,
            delays: run.delays,
        },
        numbers,
    }
}
