//! The output of `media-core offer` and `answer` about a call: the peer, the status, and the summary.

use dsp_core::process::metering::SoundStats;
use dsp_core::time::Duration;
use host_std::monitoring::call_figures;
use host_std::report::{DigitRow, ToneRow, digits_in_words, tones_in_words};
use host_std::sdp::Direction;
use host_std::session::driver::{Ended, Status};
use host_std::session::{AdaptationStats, Call, CallStats, DigitStats, EchoStatus};
use serde_json::json;
use tokio::sync::watch;

use super::{ice, security, tell};

/// Says on stderr what was agreed on.
pub(super) fn describe(call: &Call) {
    tell(&format!("{}\n", description(call)));
    for refused in call.refused() {
        tell(&format!("not agreed on: {refused}\n"));
    }
}

/// Describes the agreement.
pub(super) fn description(call: &Call) -> String {
    let (Some(transport), Some(stream), Some(codec)) =
        (call.negotiated_transport(), call.negotiated_stream(0), call.codec())
    else {
        return "no call".into();
    };
    let codec = codec.to_rtpmap();
    let protection = match (&transport.srtp, &transport.dtls) {
        (Some(keys), _) => format!("SRTP ({})", keys.suite.name()),
        (None, Some(_)) => "SRTP (keys by DTLS)".into(),
        (None, None) => "plain RTP".into(),
    };
    let stereo = if call.channels() == Some(2) { ", stereo" } else { "" };
    let ptime_ms = stream.send_ptime_ms;
    let (mtu, wished_ms, least) = (call.mtu(), stream.wished_ptime_ms, stream.least_packet_bytes);
    let shorter =
        if ptime_ms < wished_ms { format!(" ({wished_ms} ms exceed the MTU of {mtu})") } else { String::new() };
    let long = if least > usize::from(mtu) {
        format!("; packets of {least} bytes exceed the MTU of {mtu}, {codec} has none that are shorter")
    } else {
        String::new()
    };
    let hold = match stream.direction {
        Direction::SendRecv => "",
        Direction::SendOnly => ", sending only",
        Direction::RecvOnly => ", receiving only",
        Direction::Inactive => ", neither sending nor receiving",
    };
    let whom = transport.remote_rtp;
    format!("talking with {whom}: {codec}{stereo}, {ptime_ms} ms{shorter}, {protection}{hold}{long}")
}

/// The codec and its packets' length.
pub(super) fn codec(call: &Call) -> String {
    let agreed = call.negotiated_stream(0).zip(call.codec());
    agreed.map_or_else(String::new, |(stream, codec)| format!("{codec}, {} ms", stream.send_ptime_ms))
}

/// The time without packets from the other side after which that is reported.
const SILENT: Duration = Duration::from_secs(10);

/// Reports on stderr when no more packets come from the other side, and when they are back; and on an interactive terminal one
/// line that is overwritten again and again.
pub(super) async fn display(mut watching: watch::Receiver<Status>, interactive: bool) {
    let (mut addresses, mut keys) = (ice::IceWatch::default(), security::KeyWatch::default());
    let (mut silent, line) = (false, if interactive { "\r\n" } else { "\n" });
    let mut found = Vec::new();
    while watching.changed().await.is_ok() {
        let status = *watching.borrow_and_update();
        if let Some(what) = addresses.line(status.stats.ice.as_ref()) {
            tell(&format!("{what}{line}"));
        }
        if let Some(what) = keys.line(status.stats.protection, status.stats.handshake) {
            tell(&format!("{what}{line}"));
        }
        let now_silent = status.silence.is_some_and(|silence| silence >= SILENT);
        if now_silent != silent {
            silent = now_silent;
            let what = if silent {
                format!("nothing came from the other side for {} s", SILENT.as_millis() / 1_000)
            } else {
                "no longer silent: the other side is heard, or on hold".into()
            };
            tell(&format!("{what}{line}"));
        }
        // Each once, when it begins to be worth a word; at the end the summary has all of it.
        for finding in status.stats.findings() {
            if !found.contains(&finding.name()) {
                found.push(finding.name());
                tell(&format!("mind: {finding}{line}"));
            }
        }
        if !interactive {
            continue;
        }
        let receiver = &status.stats.receiver;
        tell(&format!(
            "\r{:>4} s  mic {:>4} dB ({:<6})  speaker {:>4} dB ({:<6})  lost {:>5}  delay {:>4} ms  ",
            status.elapsed.as_millis() / 1_000,
            status.microphone_level / 100,
            if status.muted { "muted".into() } else { gain(status.microphone_gain) },
            status.speaker_level / 100,
            gain(status.volume),
            receiver.reception.cumulative_lost(),
            receiver.target_delay_ms,
        ));
    }
    if interactive {
        tell("\r\n");
    }
}

/// A gain as the status line shows it.
fn gain(hundredths_db: i16) -> String {
    format!("{:+} dB", hundredths_db / 100)
}

/// Describes what an adapting call does.
fn adapting_text(adapting: &AdaptationStats) -> String {
    let kbit = |bps: u32| f64::from(bps) / 1e3;
    let mut text = format!("to {:.0} kbit/s with headers ({})", kbit(adapting.rate_bps), adapting.phase);
    let taken = &adapting.taken;
    if let Some(bps) = taken.bit_rate_bps {
        text += &format!(", sound at {:.0}", kbit(bps));
    }
    if let Some(ms) = taken.packet_ms {
        text += &format!(", packets of {ms} ms");
    }
    if let Some(percent) = taken.expected_loss_percent.filter(|percent| *percent > 0) {
        text += &format!(", prepared for {percent} % of loss");
    }
    text
}

/// Describes the whole call.
pub(super) fn text(
    stats: &CallStats,
    digits: &[DigitRow],
    tones: &[ToneRow],
    echo: Option<&EchoStatus>,
    ended: &Ended,
    rate_hz: u32,
    seconds: f64,
) -> String {
    let receiver = &stats.total;
    let ms = |samples: u64| samples * 1_000 / u64::from(rate_hz);
    let delay = &receiver.playout_delay;
    let mut lines = vec![
        format!("call ended after {seconds:.1} s: {}", ended.reason().words),
        format!(
            "  sent        {} packets, {} bytes of payload{}",
            stats.sender.packets,
            stats.sender.octets,
            if stats.unsent > 0 {
                format!("; {} datagrams, reports among them, could not be sent", stats.unsent)
            } else {
                String::new()
            }
        ),
        format!(
            "  received    {} packets; {} lost, {} late, {} discarded, {} duplicate, {} refused, {} from elsewhere",
            receiver.total.received,
            receiver.total.lost(),
            receiver.late,
            receiver.discarded,
            receiver.duplicate,
            stats.refused,
            stats.foreign
        ),
        format!(
            "  concealed   {} ms in {} events; {} ms recovered; {} ms inserted and {} ms removed to fit the delay",
            ms(receiver.concealed_samples),
            receiver.concealment_events,
            ms(receiver.recovered_samples),
            ms(receiver.inserted_samples),
            ms(receiver.removed_samples)
        ),
        format!(
            "  delay       least {} ms, mean {} ms, most {} ms, beyond that of the fastest packet",
            delay.min_us / 1_000,
            delay.mean_us() / 1_000,
            delay.max_us / 1_000
        ),
    ];
    if let Some(choice) = &stats.delay_choice {
        lines.push(format!(
            "              packets may wait for {} ms: delay takes {:.1} off R with {} ms besides, lost and late sound {:.1}",
            choice.bound_ms,
            f64::from(choice.delay_tenths) / 10.0,
            choice.besides_ms,
            f64::from(choice.loss_tenths) / 10.0
        ));
    }
    let others = [
        (receiver.undecodable, "that the decoder refused"),
        (receiver.event_packets, "of telephone events"),
        (receiver.unknown_payload, "of payload types that nobody agreed on"),
        (receiver.probation, "of no sequence"),
        (receiver.malformed.saturating_add(receiver.refused), "unusable"),
    ];
    let others = others.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    let others = others.collect::<Vec<_>>().join(", ");
    if !others.is_empty() {
        lines.push(format!("  no sound    {others}"));
    }
    if !digits.is_empty() {
        lines.push(format!("  digits      {}", digits_in_words(digits)));
    }
    if !tones.is_empty() {
        lines.push(format!("  tones       {}", tones_in_words(tones)));
    }
    lines.extend(pressed_text(&stats.digits));
    let current = &stats.receiver.reception;
    if receiver.restarts + receiver.ssrc_changes > 0 {
        lines.push(format!(
            "  began anew  {} times, and {} times as another source; since then {} packets received, {} lost",
            receiver.restarts,
            receiver.ssrc_changes,
            current.received,
            current.cumulative_lost()
        ));
    }
    let sources = &stats.sources;
    if sources.admitted > 0 {
        lines.push(format!(
            "  sources     {} heard, {} of them in another's place; {} said goodbye; {} packets were not heard",
            sources.admitted,
            sources.replaced,
            sources.left,
            sources.unheard()
        ));
    }
    if stats.receiver.double_clock {
        lines.push("  clock       the other side counts G.722 at 16 kHz: heard as it is meant".into());
    }
    if stats.early > 0 {
        lines.push(format!(
            "  too early   {} packets came before the call was agreed on, and were not heard",
            stats.early
        ));
    }
    if stats.slept > Duration::ZERO {
        let seconds = stats.slept.as_millis() as f64 / 1_000.0;
        lines.push(format!("  slept       {seconds:.1} s on this side; {} packets were not heard", stats.stale));
    }
    if stats.own_source > 0 {
        lines.push(format!(
            "  loop        {} packets came in with our own source's number (a loop or a collision); changed {} times",
            stats.own_source, stats.source_changes
        ));
    }
    if stats.foreign_goodbyes > 0 {
        lines.push(format!("  goodbyes    {} were not believed: not of whom was heard", stats.foreign_goodbyes));
    }
    if let Some(protection) = stats.protection {
        lines.push(format!("  protection  {}", security::text(protection, stats.handshake)));
    }
    if let Some(checks) = &stats.ice {
        lines.push(format!("  ice         {}", ice::text(checks)));
    }
    if let Some(round_trip) = stats.round_trip {
        lines.push(format!("  round trip  {:.1} ms", round_trip.as_micros() as f64 / 1_000.0));
    }
    if let Some(mos_lq) = stats.mos_lq {
        let conversation = stats.r_factor.zip(stats.mos_cq);
        let conversation = conversation.map(|(r, mos_cq)| format!(", {mos_cq:.1} with its delay (R {r:.0})"));
        lines.push(format!("  quality     MOS {mos_lq:.1} to listen to{}", conversation.unwrap_or_default()));
    }
    if let Some(echo) = echo {
        lines.push(format!("  echo        {}", echo_text(echo)));
    }
    if let Some(told) = stats.feedback.filter(|told| told.messages > 0) {
        let lost = told.lost as f64 / (told.arrived + told.lost).max(1) as f64;
        let queued = told.queued.map_or(0.0, |queued| queued.as_micros() as f64 / 1_000.0);
        lines.push(format!("  feedback    {:.1} % of ours lost, lately {queued:.0} ms over the fastest", lost * 100.0));
    }
    if let Some(adapting) = &stats.adaptation {
        lines.push(format!("  adapting    {}", adapting_text(adapting)));
    }
    if let Some(lost) = stats.remote_fraction_lost {
        lines.push(format!("  their side  {:.1} % lost lately", lost * 100.0));
    }
    if let Some(sound) = &stats.sound {
        let level = |sound: &SoundStats| match sound.level.active {
            Some(active) => format!("{:.1} dBov", f64::from(active.hundredths_dbov()) / 100.0),
            None => "no speech".into(),
        };
        let microphone = sound.microphone.as_ref().map(|sound| format!("microphone {}, ", level(sound)));
        let (sent, received) = (level(&sound.sent), level(&sound.received));
        let microphone = microphone.unwrap_or_default();
        lines.push(format!("  speech      {microphone}sent {sent}, received {received} (active level, ITU-T P.56)"));
    }
    lines.extend(stats.findings().map(|finding| format!("  mind        {finding}")));
    lines.join("\n") + "\n"
}

/// Describes the fate of the keys that were pressed, if any were.
fn pressed_text(digits: &DigitStats) -> Option<String> {
    let DigitStats { sent, sent_in_band, waiting, given_up, .. } = *digits;
    if sent + waiting + given_up == 0 {
        return None;
    }
    let mut text = format!("  pressed     {sent} keys");
    if sent_in_band > 0 {
        text += &format!(", {sent_in_band} of them as tones in the sound: the other side took no telephone events");
    }
    if waiting > 0 {
        text += &format!("; {waiting} more still waited when the call ended, and were not sent");
    }
    if given_up > 0 {
        text += &format!("; {given_up} more were given up: the other side took no more telephone events");
    }
    Some(text)
}

/// Describes the last status of the echo canceller.
fn echo_text(echo: &EchoStatus) -> String {
    let or_none =
        |value: Option<f32>, unit| value.map_or_else(|| "unknown".into(), |value| format!("{value:.1} {unit}"));
    format!(
        "{} taken out lately, delay {}, drift {:+.1} ppm; {} path changes, diverged {} times",
        or_none(echo.erle_db, "dB"),
        or_none(echo.delay_ms, "ms"),
        echo.drift_ppm,
        echo.path_changes,
        echo.diverged
    )
}

/// The same as JSON, with every number.
pub(super) fn json(
    stats: &CallStats,
    digits: &[DigitRow],
    tones: &[ToneRow],
    echo: Option<&EchoStatus>,
    ended: &Ended,
    rate_hz: u32,
    seconds: f64,
) -> serde_json::Value {
    let mut call = call_figures(stats, rate_hz);
    call["ended"] = json!(ended.reason().words);
    call["seconds"] = json!(seconds);
    call["digits"] = json!(digits);
    call["digits_sent"] = json!(stats.digits.sent);
    call["digits_sent_in_band"] = json!(stats.digits.sent_in_band);
    call["digits_not_sent"] = json!(stats.digits.waiting + stats.digits.given_up);
    call["tones"] = json!(tones);
    call["digits_lost_ends"] = json!(stats.digits.lost_ends);
    if let Some(echo) = echo {
        call["echo"] = json!({
            "erle_db": echo.erle_db,
            "delay_ms": echo.delay_ms,
            "drift_ppm": echo.drift_ppm,
            "path_changes": echo.path_changes,
            "diverged": echo.diverged,
        });
    }
    call["protection"] = json!(stats.protection.map(|protection| security::text(protection, stats.handshake)));
    call["ice"] = ice::json(stats.ice.as_ref());
    call
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsp_core::quality::{ReceptionStats, ReceptionTotals};
    use dsp_core::receive::ReceiverStats;

    /// Of a peer that began anew the whole call is told, and what it was since then.
    #[test]
    fn restarts_and_sources_are_told_and_the_numbers_are_those_of_the_call() {
        let mut stats = CallStats::default();
        stats.receiver.reception = ReceptionStats { expected: 200, received: 199, ..ReceptionStats::default() };
        stats.total = ReceiverStats {
            reception: stats.receiver.reception,
            total: ReceptionTotals { expected: 400, received: 398, ..ReceptionTotals::default() },
            restarts: 1,
            late: 3,
            ..ReceiverStats::default()
        };
        let words = text(&stats, &[], &[], None, &Ended::HungUp, 8_000, 8.0);
        assert!(words.contains("received    398 packets; 2 lost, 3 late"), "{words}");
        assert!(
            words.contains(
                "began anew  1 times, and 0 times as another source; since then 199 packets received, 1 lost"
            ),
            "{words}"
        );
        let value = json(&stats, &[], &[], None, &Ended::HungUp, 8_000, 8.0);
        assert_eq!((&value["packets_received"], &value["packets_lost"]), (&json!(398), &json!(2)));
        assert_eq!((&value["restarts"], &value["ssrc_changes"]), (&json!(1), &json!(0)));
        assert_eq!(value["current_source"], json!({ "packets_received": 199, "packets_lost": 1 }));
        stats.sources.admitted = 3;
        stats.sources.replaced = 1;
        let words = text(&stats, &[], &[], None, &Ended::HungUp, 8_000, 8.0);
        assert!(words.contains("sources     3 heard, 1 of them in another's place"), "{words}");
    }

    /// What became of each datagram, in words where there is something to say, and by name in the JSON.
    #[test]
    fn what_was_discarded_is_told_and_the_counts_of_the_json_add_up() {
        let total = ReceiverStats {
            total: ReceptionTotals { expected: 401, received: 398, ..ReceptionTotals::default() },
            received: 401,
            decoded_packets: 300,
            late: 5,
            discarded: 90,
            unknown_payload: 3,
            probation: 2,
            refused: 1,
            ..ReceiverStats::default()
        };
        let mut stats = CallStats::default();
        (stats.datagrams, stats.control, stats.foreign, stats.total) = (411, 7, 3, total);
        assert_eq!(stats.unaccounted()[..2], [0, 0]);
        let words = text(&stats, &[], &[], None, &Ended::HungUp, 8_000, 8.0);
        for told in [
            "398 packets; 3 lost, 5 late, 90 discarded",
            "3 of payload types that nobody agreed on, 2 of no sequence, 1 unusable",
        ] {
            assert!(words.contains(told), "{told}: {words}");
        }
        let value = json(&stats, &[], &[], None, &Ended::HungUp, 8_000, 8.0);
        let packets = value["packets"].as_object().unwrap();
        let counts: u64 = packets.values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(counts, 2 * stats.datagrams, "{value}");
        let received = ["played", "late", "discarded", "duplicate", "undecodable", "event", "other_payload", "waiting"];
        let received: u64 = received.iter().map(|name| packets[*name].as_u64().unwrap()).sum();
        assert_eq!(value["packets_received"], received);
    }

    #[test]
    fn the_echo_is_told_where_a_canceller_runs() {
        let stats = CallStats::default();
        let echo = EchoStatus {
            erle_db: Some(41.25),
            delay_ms: Some(120.5),
            drift_ppm: -20.0,
            path_changes: 1,
            ..EchoStatus::default()
        };
        let words = text(&stats, &[], &[], Some(&echo), &Ended::HungUp, 8_000, 8.0);
        let line =
            "echo        41.2 dB taken out lately, delay 120.5 ms, drift -20.0 ppm; 1 path changes, diverged 0 times";
        assert!(words.contains(line), "{words}");
        let value = json(&stats, &[], &[], Some(&echo), &Ended::HungUp, 8_000, 8.0);
        let told = json!({ "erle_db": 41.25, "delay_ms": 120.5, "drift_ppm": -20.0, "path_changes": 1, "diverged": 0 });
        assert_eq!(value["echo"], told);
        // Nothing was played yet, and no canceller at all.
        assert!(
            text(&stats, &[], &[], Some(&EchoStatus::default()), &Ended::HungUp, 8_000, 8.0).contains("delay unknown")
        );
        assert!(!text(&stats, &[], &[], None, &Ended::HungUp, 8_000, 8.0).contains("echo "));
        assert_eq!(json(&stats, &[], &[], None, &Ended::HungUp, 8_000, 8.0)["echo"], json!(null));
    }
}
