//! Arrival traces of real networks under speech, through a whole call in virtual time: no longer waited than by the NetEq
//! of Chromium 156 on the same packets, and hardly more made up; and for a conversation the delay stays that of one.
//! `tests/quality/neteq.py` has the table, with sound quality.

use std::fs;

use dsp_core::receive::DelayConfig;
use dsp_core::time::Duration;
use host_std::opus::OpusEncoderConfig;
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::replay::ListenerReport;
use host_std::replay::trace::{Trace, TraceConfig, play};
use host_std::wav::WavSource;
use media_core_tests::shared;

fn speech(rate_hz: u32) -> Option<Vec<i16>> {
    let mut pcm = Vec::new();
    for name in ["aew_a0001", "axb_a0004"] {
        let mut source = WavSource::open(shared(&format!("data/speech/cmu_arctic_us_{name}.wav"))?, rate_hz).unwrap();
        let begin = pcm.len();
        pcm.resize(begin + source.len() as usize, 0);
        let len = source.read(&mut pcm[begin..]).unwrap();
        pcm.truncate(begin + len);
    }
    Some(pcm)
}

fn run(csv: &str, codec: CodecFormat, delay: DelayConfig, speech: &[i16]) -> ListenerReport {
    let trace = Trace::parse(csv, Duration::from_secs(60)).unwrap();
    let opus = OpusEncoderConfig { fec: false, expected_loss_percent: 0, ..OpusEncoderConfig::default() };
    play(&trace, speech, &TraceConfig { codec, registry: Registry::builtin().with(Opus(opus)), delay }).unwrap().report
}

/// Mean and 95th percentile of the buffer delay in ms, concealed in percent.
const CHROMIUM: [(&str, f64, f64, f64); 4] = [
    ("webrtc-stereo_pcmu_jitter", 75.0, 105.0, 2.70),
    ("rtp-534late-24loss-7000total", 797.0, 1_082.0, 1.52),
    ("rtp-120late-1000total", 787.0, 1_112.0, 4.23),
    ("opus-poor-quality", 1_059.0, 1_602.0, 2.90),
];

#[test]
fn no_longer_waited_than_by_neteq_and_hardly_more_made_up() {
    let Some(speech) = speech(8_000) else { return };
    for (name, mean, p95, concealed) in CHROMIUM {
        let csv = fs::read_to_string(shared(&format!("data/jitter/csv/{name}.csv")).unwrap()).unwrap();
        let report = run(&csv, CodecFormat::pcmu(), DelayConfig::default(), &speech);
        assert!(report.mean_buffer_delay_ms <= mean, "{name}: {report:?}");
        assert!(report.p95_buffer_delay_ms <= p95, "{name}: {report:?}");
        // A packet more where the network is calm until the second packet, and not at the third.
        assert!(report.concealed_ratio * 100.0 <= concealed + 0.05, "{name}: {report:?}");
    }
}

#[test]
fn a_conversation_keeps_its_delay() {
    let Some(speech) = speech(8_000) else { return };
    for (name, ..) in &CHROMIUM[1..] {
        let csv = fs::read_to_string(shared(&format!("data/jitter/csv/{name}.csv")).unwrap()).unwrap();
        let report = run(&csv, CodecFormat::pcmu(), DelayConfig::conversation(), &speech);
        assert!(report.mean_buffer_delay_ms < 400.0, "{name}: {report:?}");
        assert!(report.concealed_ratio < 0.15, "{name}: {report:?}");
    }
}

#[test]
fn independent_loss_costs_no_delay() {
    let Some(speech) = speech(48_000) else { return };
    // Every tenth packet of sixty seconds, at random, is lost; the rest comes on time.
    let mut dice = 1u32;
    let rows = (0..3_000u32).filter_map(|n| {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (n == 0 || dice >> 8 >= (1 << 24) / 10).then(|| format!("{},{n},{}\n", n * 20, n * 960))
    });
    let csv: String = rows.collect();
    let report = run(&csv, CodecFormat::opus(), DelayConfig::default(), &speech);
    let lost = report.lost as f64 / 3_000.0;
    assert!(report.mean_buffer_delay_ms <= 17.0 && report.p95_buffer_delay_ms <= 20.0, "{report:?}");
    assert!(report.concealed_ratio < lost, "{report:?}");
}
