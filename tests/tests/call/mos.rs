//! Quality in calls: R factor and MOS come from what the receiver counted, go to the other side in RTCP (RFC 3611, 4.7),
//! and differ where networks differ.

use std::net::SocketAddr;

use dsp_core::quality::{CallConditions, EModel};
use dsp_core::time::Instant;
use host_std::registry::CodecFormat;
use host_std::session::{Call, CallConfig, CallStats, Identity, impairment};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;
use media_core_tests::road::babble;

fn call(codec: CodecFormat, network: NetworkConfig) -> [CallStats; 2] {
    let calls = [4_000, 5_000].map(|port| {
        let base = CallConfig::with_identity(port, Identity::seeded(u64::from(port)));
        Call::new(CallConfig { codecs: vec![codec.clone()], ..base }).unwrap()
    });
    let addresses = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut simulation = VirtualTime::connect(calls, addresses, network, 0.0, 1).unwrap();
    for side in 0..2 {
        let rate_hz = simulation.ends[side].sample_rate_hz();
        simulation.ends[side].speech = babble(rate_hz, 10, side as u32);
    }
    simulation.run_until(Instant::from_millis(60_000));
    simulation.ends.map(|end| end.call.stats())
}

fn with_loss(loss_percent: f64, delay_ms: f64) -> NetworkConfig {
    NetworkConfig { loss_percent, delay_ms, burst: 2.0, ..NetworkConfig::default() }
}

fn figures(stats: &CallStats) -> [f64; 3] {
    [stats.r_factor, stats.mos_lq, stats.mos_cq].map(|figure| figure.expect("a minute of call with RTCP"))
}

/// The best that the scale has, less what the packets' own length costs.
#[test]
fn without_impairment_a_call_is_as_good_as_it_gets() {
    assert!((EModel::default().rating().r - 93.2).abs() < 0.05);
    for codec in [CodecFormat::pcmu(), CodecFormat::pcma(), CodecFormat::g722(), CodecFormat::opus()] {
        for stats in call(codec.clone(), with_loss(0.0, 0.0)) {
            let [r, lq, cq] = figures(&stats);
            println!("{codec}: R {r:.1}, MOS-LQ {lq:.2}, MOS-CQ {cq:.2}");
            assert!((91.5..=93.2).contains(&r), "{codec}: {r}");
            assert!((4.35..4.45).contains(&cq) && (4.4..4.45).contains(&lq), "{codec}: {cq} {lq}");
        }
    }
}

/// Two networks, two MOS: loss lowers both, delay only what it's like to talk.
#[test]
fn other_networks_have_other_figures() {
    let codec = CodecFormat::pcmu();
    let run = |network| figures(&call(codec.clone(), network)[0]);
    let (clean, lossy, bad) = (run(with_loss(0.0, 10.0)), run(with_loss(3.0, 10.0)), run(with_loss(10.0, 10.0)));
    println!("0, 3 and 10 % loss: {clean:.2?} {lossy:.2?} {bad:.2?}");
    for figure in 0..3 {
        assert!(clean[figure] > lossy[figure] && lossy[figure] > bad[figure], "{clean:?} {lossy:?} {bad:?}");
    }
    assert!(clean[0] > bad[0] + 20.0 && clean[1] > bad[1] + 0.7, "{clean:?} {bad:?}");
    let far = run(with_loss(0.0, 300.0));
    println!("300 ms each way: {far:.2?}");
    assert!(far[1] == clean[1] && far[0] < clean[0] - 15.0 && far[2] < clean[2] - 0.5, "{clean:?} {far:?}");
    // The same network sounds worse with a codec that holds out less.
    let ilbc = figures(&call(CodecFormat::ilbc(dsp_core::codec::ilbc::IlbcMode::Ms20), with_loss(3.0, 10.0))[0]);
    assert!(ilbc[1] < lossy[1], "{ilbc:?}");
}

/// The figures are those of the E-model for the counts that the call shows, and the other side hears the same.
#[test]
fn figures_come_from_the_counters() {
    let codec = CodecFormat::pcmu();
    let [first, second] = call(codec.clone(), with_loss(5.0, 20.0));
    for (heard, told) in [(first, second), (second, first)] {
        let voip = told.remote_voip.expect("RTCP with VoIP metrics");
        let lost = f64::from(heard.receiver.reception.cumulative_lost()) / heard.receiver.reception.expected as f64;
        // As of the last report.
        assert!((f64::from(voip.loss_rate) / 256.0 - lost).abs() < 0.02, "{voip:?} {lost}");
        assert!((f64::from(voip.mos_lq_tenths.unwrap()) / 10.0 - heard.mos_lq.unwrap()).abs() < 0.3, "{voip:?}");
        assert!((f64::from(voip.r_factor.unwrap()) - heard.r_factor.unwrap()).abs() < 6.0, "{voip:?}");
        assert!(voip.end_system_delay_ms >= 30 && voip.burst_duration_ms > 0 && voip.gap_duration_ms > 0, "{voip:?}");
        assert!(voip.jitter_buffer_maximum_ms == 2_000 && voip.gmin == 16, "{voip:?}");
        // Independent losses at the same rate are a bound from above for bursty ones.
        let conditions = CallConditions {
            codec: impairment(&codec),
            loss_percent: 100.0 * lost,
            burst_ratio: 1.0,
            one_way_ms: 0.0,
            residual_echo_db: None,
        };
        let independent = conditions.quality().mos_lq;
        assert!(heard.mos_lq.unwrap() < independent && heard.mos_lq.unwrap() > independent - 0.8, "{independent}");
    }
}

/// Nothing heard, nothing rated.
#[test]
fn without_a_packet_there_are_no_figures() {
    for stats in call(CodecFormat::pcmu(), with_loss(100.0, 10.0)) {
        assert_eq!((stats.r_factor, stats.mos_lq, stats.mos_cq, stats.remote_voip), (None, None, None, None));
    }
}
