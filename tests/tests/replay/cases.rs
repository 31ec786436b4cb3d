//! Captures and traces that broke something once: each is played, and no report contradicts itself.

use std::fs;
use std::path::{Path, PathBuf};

use dsp_core::receive::DelayConfig;
use dsp_core::time::Duration;
use host_std::registry::{CodecFormat, Registry};
use host_std::replay::trace::{self, Trace, TraceConfig};
use host_std::replay::{CaptureKeys, CaptureReport, CaptureStream, ListenerReport, PayloadMap, ReplayConfig, replay};
use host_std::report::PacketOutcome;
use host_std::wav::WavSource;
use media_core_tests::shared;
use serde_json::Value;

fn cases(extensions: &[&str]) -> Option<Vec<PathBuf>> {
    let folder = shared("cases")?;
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|own| extensions.iter().any(|wanted| own == *wanted)));
    paths.sort();
    assert!(!paths.is_empty());
    Some(paths)
}

/// What must hold of the numbers of any stream.
fn numbers_agree(name: &str, n: &ListenerReport) {
    for (what, share) in [
        ("concealed", n.concealed_ratio),
        ("recovered", n.recovered_ratio),
        ("silence", n.silence_ratio),
        ("inserted", n.inserted_ratio),
    ] {
        assert!((0.0..=1.0).contains(&share), "{name}: {what} {share}");
    }
    assert!(n.concealed_ratio + n.recovered_ratio + n.silence_ratio <= 1.000_01, "{name}: {n:?}");
    assert!((n.stretched_ratio - n.inserted_ratio - n.removed_ratio).abs() < 2e-6, "{name}: {n:?}");
    assert_eq!(n.concealment_events == 0, n.concealed_ratio == 0.0, "{name}: {n:?}");
    let delays = [n.mean_buffer_delay_ms, n.p95_buffer_delay_ms, n.max_buffer_delay_ms, n.mean_playout_delay_ms];
    assert!(delays.iter().all(|ms| ms.is_finite() && *ms >= 0.0), "{name}: {delays:?}");
    assert!(n.p95_buffer_delay_ms <= n.max_buffer_delay_ms + 0.01, "{name}: {delays:?}");
    assert!(n.mean_buffer_delay_ms <= n.max_buffer_delay_ms + 0.01, "{name}: {delays:?}");
    assert!(n.mos_lq.is_none_or(|mos| (1.0..=4.5).contains(&mos)), "{name}: {n:?}");
    assert!(n.mos_cq.zip(n.mos_lq).is_none_or(|(cq, lq)| cq <= lq + 0.001), "{name}: {n:?}");
}

/// What must hold between a stream's numbers, its rows, its sound and its words.
fn stream_agrees(name: &str, stream: &CaptureStream) {
    let (n, side, statistics) = (&stream.numbers, &stream.side, &stream.side.statistics);
    numbers_agree(name, n);
    let rows = |fate| side.packets.iter().filter(|row| row.fate == fate).count() as u64;
    assert_eq!(rows(PacketOutcome::LostInNetwork), n.lost, "{name}");
    assert_eq!(rows(PacketOutcome::Duplicate), stream.duplicate, "{name}");
    assert_eq!(side.packets.len() as u64, n.received + n.lost, "{name}");
    assert_eq!(side.packets.iter().filter(|row| row.arrival_ms.is_some()).count() as u64, n.received, "{name}");
    assert!(rows(PacketOutcome::Late) <= n.late + n.discarded, "{name}");
    assert!(
        n.late + n.discarded + stream.duplicate + stream.undecodable + stream.other_payload <= n.received,
        "{name}"
    );
    assert_eq!(
        (statistics.packets_received, statistics.packets_lost, statistics.packets_late, statistics.packets_duplicate),
        (n.received, n.lost, n.late, stream.duplicate),
        "{name}"
    );
    assert_eq!(statistics.packets_sent, n.received - stream.duplicate + n.lost, "{name}");
    assert_eq!(statistics.packets_refused, stream.refused, "{name}");
    assert_eq!(statistics.mos_lq, n.mos_lq, "{name}");
    let seconds = side.heard.len() as f64 / f64::from(side.channels) / f64::from(side.sample_rate_hz);
    // The listener's clock begins 5 ms after the first packet.
    assert!((seconds - 0.005 - n.duration_s).abs() < 0.002, "{name}: {seconds} s of sound, {} s", n.duration_s);
    assert!((statistics.concealed_ms / 1e3 - n.concealed_ratio * n.duration_s).abs() < 0.01, "{name}");
    assert!(stream.mean_network_delay_ms <= stream.max_network_delay_ms + 0.01, "{name}");
    assert_eq!(stream.codecs.first(), Some(&stream.codec), "{name}");
    assert!(stream.codecs.iter().all(|codec| side.codec.contains(codec.as_str())), "{name}: {}", side.codec);
    // Words against numbers.
    let made_up = n.concealed_ratio > 0.0;
    if stream.protection != "looks encrypted, no key" {
        assert_eq!(stream.verdict.contains("none of the sound is made up"), !made_up, "{name}: {}", stream.verdict);
    }
    for moment in &stream.worst {
        assert!(moment.lost <= n.lost && moment.late <= n.late, "{name}: {moment:?}");
        assert!(moment.at_ms >= 0.0 && moment.at_ms + moment.duration_ms <= seconds * 1e3 + 20.0, "{name}: {moment:?}");
    }
}

fn report_agrees(path: &Path, report: &CaptureReport) {
    let name = path.file_name().unwrap().to_string_lossy();
    for stream in &report.streams {
        stream_agrees(&format!("{name} {}", stream.numbers.name), stream);
    }
    let capture = &report.capture;
    let played: u64 = report.streams.iter().map(|stream| stream.numbers.received).sum();
    let told: u64 = report.skipped.iter().map(|skipped| skipped.packets).sum();
    assert!(played + told <= capture.rtp_packets + capture.refused_packets, "{name}");
    assert!(capture.rtp_packets + capture.rtcp_packets + capture.refused_packets <= capture.packets, "{name}");
    // report.json and the text say the same.
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    let text = report.to_string();
    for (n, stream) in report.streams.iter().enumerate() {
        assert_eq!(json["streams"][n]["received"], stream.numbers.received, "{name}");
        assert_eq!(json["streams"][n]["packets"].as_array().unwrap().len(), stream.side.packets.len(), "{name}");
        assert!(text.contains(&stream.verdict) && text.contains(&stream.side.codec), "{name}: {text}");
    }
    assert!(report.to_html().ends_with("</html>\n"));
}

#[test]
fn every_capture_is_played_and_no_report_contradicts_itself() {
    let Some(paths) = cases(&["pcap", "pcapng"]) else { return };
    let mut events = PayloadMap::default();
    events.add("101=telephone-event/8000").unwrap();
    let configs = [
        ReplayConfig::default(),
        ReplayConfig { delay: DelayConfig::fixed(60), ..ReplayConfig::default() },
        ReplayConfig { delay: DelayConfig::conversation(), payloads: events, ..ReplayConfig::default() },
    ];
    for path in paths {
        for config in &configs {
            let report = replay(&path, &CaptureKeys::default(), config)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(!report.streams.is_empty(), "{}: {report}", path.display());
            report_agrees(&path, &report);
        }
    }
}

#[test]
fn every_trace_is_played_and_no_report_contradicts_itself() {
    let Some(paths) = cases(&["csv"]) else { return };
    let asset = &include_bytes!("../../../host-std/assets/woman.wav")[..];
    let mut source = WavSource::from_bytes("speech", asset, 8_000).unwrap();
    let mut speech = vec![0; source.len() as usize];
    let length = source.read(&mut speech).unwrap();
    speech.truncate(length);
    for path in paths {
        let trace = Trace::parse(&fs::read_to_string(&path).unwrap(), Duration::from_millis(60_000)).unwrap();
        for delay in [DelayConfig::default(), DelayConfig::fixed(60)] {
            let config = TraceConfig { codec: CodecFormat::pcmu(), registry: Registry::builtin(), delay };
            let run = trace::play(&trace, &speech, &config).unwrap();
            numbers_agree(&path.display().to_string(), &run.report);
            let seconds = run.heard.len() as f64 / f64::from(run.sample_rate_hz);
            assert!((seconds - run.report.duration_s).abs() < 0.02, "{seconds} {}", run.report.duration_s);
        }
    }
}

#[test]
fn g722_that_is_counted_at_16_khz_is_heard_as_it_is_meant_and_that_is_said() {
    let Some(path) = shared("cases/08_g722_16khz_timestamps.pcap") else { return };
    let report = replay(&path, &CaptureKeys::default(), &ReplayConfig::default()).unwrap();
    let stream = &report.streams[0];
    let n = &stream.numbers;
    assert!(n.mean_buffer_delay_ms < 60.0 && n.mean_playout_delay_ms < 60.0, "{n:?}");
    assert!(stream.max_network_delay_ms < 60.0, "{}", stream.max_network_delay_ms);
    assert!(n.concealed_ratio < 0.001 && n.stretched_ratio < 0.01 && n.silence_ratio < 0.05, "{n:?}");
    assert_eq!((stream.packet_ms, stream.codec.as_str()), (20.0, "G722/8000"));
    assert!(report.to_string().contains("counted at 16 kHz by its sender"), "{report}");
    assert!(report.to_html().contains("counted at 16 kHz by its sender"));
}

#[test]
fn a_stream_that_changes_its_codec_names_both() {
    let Some(path) = shared("cases/18_hold_of_a_phone.pcapng") else { return };
    let report = replay(&path, &CaptureKeys::default(), &ReplayConfig::default()).unwrap();
    let stream = report.streams.iter().find(|stream| stream.ssrc == "0xc6ad9045").unwrap();
    assert_eq!(stream.codecs, ["PCMU/8000", "PCMA/8000"]);
    // The hold is a pause: no word is lost in it.
    assert!(stream.verdict.starts_with("Clean: "), "{}", stream.verdict);
    for text in [report.to_string(), report.to_html()] {
        assert!(text.contains("PCMU/8000 and PCMA/8000, 20 ms"), "{text}");
    }
    assert!(report.to_json().contains("PCMA/8000"));
}
