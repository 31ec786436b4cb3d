//! The delay of a call: by the rating R (ITU-T G.107), delay and made-up sound together, a conversation is at least as good
//! as with the best of the fixed delays, which nobody knows beforehand, on networks of several kinds; better than with a
//! delay that suits listening; it knows the round trip, and says what it weighs. `tests/quality/conversation.py` has the
//! table of real networks.

use std::fmt::Write as _;
use std::net::SocketAddr;

use dsp_core::quality::EModel;
use dsp_core::receive::DelayConfig;
use dsp_core::time::{Duration, Instant};
use host_std::registry::{CodecFormat, Registry};
use host_std::replay::trace::{Trace, TraceConfig, play};
use host_std::session::{Call, CallConfig, CallStats, Identity};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;
use media_core_tests::road::babble;

/// R of G.711 with what was measured: the mean wait in the buffer and 50 ms besides, and the share that was made up. Of the
/// terms of delay it has absolute delay alone.
fn rating(wait_ms: f64, made_up_percent: f64) -> f64 {
    let model = EModel { absolute_delay_ms: wait_ms + 50.0, loss_percent: made_up_percent, ..EModel::default() };
    model.rating().r
}

/// A sequence of numbers from 0 to below 1.
fn dice(mut seed: u64) -> impl FnMut() -> f64 {
    move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 40) as f64 / (1u64 << 24) as f64
    }
}

/// Arrivals of a minute of packets of 20 ms, in order, as a trace: `delay_ms(n)` is what packet n takes, if not for the one
/// before it.
fn trace(mut delay_ms: impl FnMut(u32) -> f64) -> String {
    let (mut csv, mut last) = (String::new(), 0.0f64);
    for n in 0..3_000u32 {
        last = last.max(f64::from(n * 20) + delay_ms(n));
        let _ = writeln!(csv, "{last:.3},{n},{}", n * 160);
    }
    csv
}

/// A link that stalls every few seconds, and jitters between.
fn stalling(seed: u64, every_s: f64, stall_ms: f64, bad: std::ops::Range<u32>) -> String {
    let mut dice = dice(seed);
    let mut until = 0.0;
    trace(move |n| {
        let now = f64::from(n * 20);
        if bad.contains(&n) && dice() < 0.02 / every_s {
            until = now + stall_ms * (0.5 + dice());
        }
        (until - now).max(0.0) + dice() * 20.0
    })
}

/// R with each way to wait, in this order: for a conversation, for listening, and the best of the fixed ones.
fn ratings(csv: &str) -> [f64; 3] {
    let trace = Trace::parse(csv, Duration::from_secs(60)).unwrap();
    let speech = babble(8_000, 10, 1);
    let run = |delay| {
        let config = TraceConfig { codec: CodecFormat::pcmu(), registry: Registry::builtin(), delay };
        let report = play(&trace, &speech, &config).unwrap().report;
        rating(report.mean_buffer_delay_ms, report.concealed_ratio * 100.0)
    };
    let fixed = [40, 60, 80, 100, 130, 170, 220, 300, 400, 550, 700, 900, 1_200].map(DelayConfig::fixed).map(run);
    let best = fixed.into_iter().fold(f64::MIN, f64::max);
    [run(DelayConfig::conversation()), run(DelayConfig::default()), best]
}

#[test]
fn a_conversation_is_as_good_as_with_the_best_fixed_delay() {
    let mut jitter = dice(9);
    let networks = [
        ("steady", trace(|_| 30.0)),
        ("jitter of 80 ms", trace(move |_| jitter() * 80.0)),
        ("short stalls", stalling(1, 2.0, 150.0, 0..3_000)),
        ("long stalls", stalling(2, 4.0, 500.0, 0..3_000)),
        ("a bad half", stalling(3, 1.5, 350.0, 1_000..2_500)),
        ("a queue that fills and drains", trace(|n| f64::from(n % 500) * 1.2)),
    ];
    let mut sums = [0.0; 3];
    for (name, csv) in &networks {
        let rated @ [conversation, _, fixed] = ratings(csv);
        println!("{name}: R {:.1} for a conversation, {:.1} for listening, {:.1} fixed", rated[0], rated[1], rated[2]);
        assert!(conversation >= fixed - 1.0, "{name}: {rated:?}");
        sums.iter_mut().zip(rated).for_each(|(sum, rated)| *sum += rated);
    }
    assert!(sums[0] > sums[2] && sums[0] > sums[1], "{sums:?}");
}

fn calls(delay: Option<DelayConfig>, network: NetworkConfig) -> [CallStats; 2] {
    let calls = [4_000, 5_000].map(|port| {
        let mut config = CallConfig::with_identity(port, Identity::seeded(u64::from(port)));
        config.codecs = vec![CodecFormat::pcmu()];
        config.delay = delay.unwrap_or(config.delay);
        Call::new(config).unwrap()
    });
    let addresses = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut simulation = VirtualTime::connect(calls, addresses, network, 0.0, 1).unwrap();
    for side in 0..2 {
        simulation.ends[side].speech = babble(8_000, 10, side as u32);
    }
    simulation.run_until(Instant::from_millis(60_000));
    simulation.ends.map(|end| end.call.stats())
}

/// A call weighs delay without being told to, and by RTCP's round trip: with 20 ms of packet and half of it besides.
#[test]
fn a_call_knows_its_round_trip_and_says_what_it_weighs() {
    let network = |delay_ms| NetworkConfig { delay_ms, jitter_ms: 30.0, ..NetworkConfig::default() };
    let [near, far] = [20.0, 250.0].map(|delay_ms| calls(None, network(delay_ms)));
    for (stats, way_ms) in near.iter().map(|stats| (stats, 20)).chain(far.iter().map(|stats| (stats, 250))) {
        let choice = stats.delay_choice.expect("a live call is a conversation");
        let trip_ms = stats.round_trip.expect("a minute of RTCP").as_millis();
        assert_eq!(u64::from(choice.besides_ms), (trip_ms / 2 + 20), "{choice:?} {trip_ms}");
        assert!(choice.besides_ms >= way_ms + 20 && choice.besides_ms < way_ms + 120, "{choice:?}");
        // Delay and loss together are what the E-model takes off, but for what the call's own counters have of both: mean
        // playout instead of the bound that is followed.
        let taken = f64::from(choice.delay_tenths + choice.loss_tenths) / 10.0;
        let r = stats.r_factor.unwrap();
        assert!((93.2 - taken - r).abs() < 6.0, "{choice:?} R {r}");
    }
    for (near, far) in near.iter().zip(&far) {
        assert!(near.r_factor > far.r_factor && near.mos_cq > far.mos_cq);
    }
    // Who only listens can say so.
    for stats in calls(Some(DelayConfig::default()), network(20.0)) {
        assert_eq!(stats.delay_choice, None);
    }
}
