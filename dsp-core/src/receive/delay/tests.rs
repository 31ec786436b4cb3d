use super::*;

const CLOCK: u32 = 8_000;

/// Feeds `packets` of 20 ms; `delay_ms(n)` is what packet n takes.
fn feed(estimator: &mut DelayEstimator, from: u32, packets: u32, delay_ms: impl Fn(u32) -> u32) {
    for n in from..from + packets {
        let timestamp = n.wrapping_mul(160).wrapping_add(u32::MAX - 40_000);
        estimator.update(n.wrapping_mul(160).wrapping_add(delay_ms(n) * 8), timestamp);
    }
}

fn target_ms(estimator: &DelayEstimator) -> u32 {
    estimator.target() * 1_000 / CLOCK
}

#[test]
fn is_small() {
    assert!(size_of::<DelayEstimator>() < 600, "{}", size_of::<DelayEstimator>());
}

#[test]
fn a_fixed_delay_stays_however_long_the_stream() {
    let mut estimator = DelayEstimator::new(CLOCK, DelayConfig::fixed(60));
    feed(&mut estimator, 0, 10_000, |n| 50 + n % 7 * 10);
    assert_eq!(target_ms(&estimator), 60);
}

#[test]
fn falls_to_the_minimum_on_a_quiet_network_and_rises_on_a_bad_one() {
    let mut estimator = DelayEstimator::new(CLOCK, DelayConfig::default());
    // One packet says nothing yet, nor do two of which the second is late.
    feed(&mut estimator, 0, 1, |_| 50);
    assert_eq!(target_ms(&estimator), 200);
    let mut late = estimator.clone();
    feed(&mut late, 1, 1, |_| 80);
    assert_eq!(target_ms(&late), 200);
    // With the third, there is enough.
    feed(&mut late, 2, 1, |_| 50);
    assert!((90..200).contains(&target_ms(&late)), "{}", target_ms(&late));
    feed(&mut estimator, 1, 1, |_| 50);
    assert_eq!(target_ms(&estimator), 10);
    feed(&mut estimator, 2, 1_000, |_| 50);
    assert_eq!(target_ms(&estimator), 10);
    // Every tenth packet is 100 ms late: the target must cover it soon, and for as long as it lasts.
    feed(&mut estimator, 1_002, 100, |n| if n % 10 == 0 { 150 } else { 50 });
    assert!((110..=125).contains(&target_ms(&estimator)), "{}", target_ms(&estimator));
    // And shrink again afterwards.
    feed(&mut estimator, 1_102, 2_500, |_| 50);
    assert_eq!(target_ms(&estimator), 10);
}

#[test]
fn one_late_packet_is_not_waited_for_and_a_stall_only_for_a_while() {
    let mut estimator = DelayEstimator::new(CLOCK, DelayConfig::default());
    feed(&mut estimator, 0, 1_000, |_| 50);
    feed(&mut estimator, 1_000, 1, |_| 150);
    feed(&mut estimator, 1_001, 8, |_| 50);
    assert_eq!(target_ms(&estimator), 10);
    // For 400 ms nothing comes, and then everything at once; a second later again.
    for from in [1_100, 1_150] {
        feed(&mut estimator, from, 20, |n| 50 + 400 - (n - from) * 20);
        feed(&mut estimator, from + 20, 30, |_| 50);
    }
    assert!((380..=430).contains(&target_ms(&estimator)), "{}", target_ms(&estimator));
    feed(&mut estimator, 1_200, 500, |_| 50);
    assert_eq!(target_ms(&estimator), 10);
}

#[test]
fn comes_down_for_more_than_it_goes_up_for() {
    let mut estimator = DelayEstimator::new(CLOCK, DelayConfig::default());
    // Evenly spread over `steps` of 2 ms.
    let spread = |steps| move |n: u32| 50 + n * 7 % steps * 2;
    feed(&mut estimator, 0, 1_000, spread(45));
    let shorter = target_ms(&estimator);
    feed(&mut estimator, 1_000, 1_000, spread(50));
    let longer = target_ms(&estimator);
    assert!(longer >= shorter + 8, "{shorter} {longer}");
    // A twenty-fifth less is not worth it, half is.
    feed(&mut estimator, 2_000, 5_000, spread(48));
    assert_eq!(target_ms(&estimator), longer);
    feed(&mut estimator, 7_000, 5_000, spread(25));
    assert!(target_ms(&estimator) <= longer * 2 / 3, "{}", target_ms(&estimator));
}

#[test]
fn what_is_dear_is_waited_for() {
    let late = |n: u32| if n.is_multiple_of(33) { 250 } else { 50 + n % 10 };
    let target = |config| {
        let mut estimator = DelayEstimator::new(CLOCK, config);
        feed(&mut estimator, 0, 2_000, late);
        target_ms(&estimator)
    };
    // Three percent are 200 ms late.
    assert!((210..=230).contains(&target(DelayConfig::default())), "{}", target(DelayConfig::default()));
    let cheap = DelayConfig { late_cost_ms: 25, ..DelayConfig::default() };
    assert!(target(cheap) <= 30, "{}", target(cheap));
    let bounded = DelayConfig { target_max_ms: 100, ..DelayConfig::default() };
    assert_eq!(target(bounded), 100);
}

#[test]
fn a_long_delay_costs_less() {
    assert_eq!([0, 100, 256, 272, 1_280].map(price), [0, 100, 256, 269, 1_088]);
}

#[test]
fn drift_moves_the_base_along_and_is_measured() {
    for sign in [-1, 1] {
        let mut estimator = DelayEstimator::new(CLOCK, DelayConfig::default());
        // The sender is 500 ppm slow or fast for an hour: 1.8 s in all.
        for n in 0..180_000u32 {
            let arrival = n.wrapping_mul(160).wrapping_add_signed(sign * (n / 100 * 8) as i32);
            estimator.update(arrival, n.wrapping_mul(160));
        }
        // The base is up to twenty seconds old.
        assert!(target_ms(&estimator) <= 24, "{}", target_ms(&estimator));
        let drift = estimator.drift_ppm();
        assert!((drift - sign * 500).abs() <= 25, "{drift}");
    }
}

#[test]
fn a_longer_route_costs_no_delay_once_it_is_the_base() {
    let mut estimator = DelayEstimator::new(CLOCK, DelayConfig::default());
    feed(&mut estimator, 0, 1_000, |_| 50);
    feed(&mut estimator, 1_000, 1_100, |_| 550);
    // Buckets are wide up there.
    assert!(target_ms(&estimator) <= 30, "{}", target_ms(&estimator));
    assert_eq!(estimator.drift_ppm(), 0);
}

/// A longer packet is sent later after its timestamp, by as much as it is longer.
#[test]
fn longer_packets_are_not_late() {
    for config in [DelayConfig::listening(), DelayConfig::conversation()] {
        let mut estimator = DelayEstimator::new(CLOCK, config);
        let mut timestamp = 0;
        for (ticks, packets) in [(160, 500), (480, 200), (160, 500), (480, 600)] {
            let mut latest = 0;
            for n in 0..packets {
                let relative = estimator.update(timestamp + ticks + n % 3 * 8, timestamp);
                estimator.set_packet(ticks);
                timestamp += ticks;
                // The length of the first is known once it was played.
                latest = latest.max(if n == 0 { 0 } else { relative });
            }
            assert!(latest <= 24, "{ticks}: {latest}");
            // In a conversation the first longer packet, late as it was, may be worth a longer wait.
            let most = if config.purpose == Purpose::Listening { 14 } else { 50 };
            assert!(target_ms(&estimator) <= most, "{ticks}: {}", target_ms(&estimator));
        }
        assert_eq!(estimator.drift_ppm(), 0);
    }
}

#[test]
fn what_came_before_the_first_fast_packet_was_late() {
    // All are queued for 100 ms, until the queue is drained at once.
    let mut estimator = DelayEstimator::new(CLOCK, DelayConfig::default());
    feed(&mut estimator, 0, 110, |n| 150 - (n.saturating_sub(95) * 20).min(100));
    assert!((110..150).contains(&target_ms(&estimator)), "{}", target_ms(&estimator));
    // Of a fast route that is found later on, those before know nothing.
    let mut estimator = DelayEstimator::new(CLOCK, DelayConfig::default());
    feed(&mut estimator, 0, 1_000, |_| 65);
    feed(&mut estimator, 1_000, 100, |_| 50);
    assert_eq!(target_ms(&estimator), 10);
}

#[test]
fn a_time_that_jumps_makes_nothing_late() {
    for jump_ms in [100, 700] {
        let mut estimator = DelayEstimator::new(CLOCK, DelayConfig::default());
        feed(&mut estimator, 0, 100, |_| 50);
        for n in 100..200u32 {
            estimator.update(n * 160, (n * 160).wrapping_add(u32::MAX - 40_000 + jump_ms * 8));
        }
        assert!(target_ms(&estimator) <= 14, "{}", target_ms(&estimator));
        // Nor after a hold that is longer than a window of the base.
        let mut held = estimator.clone();
        for n in 800..900u32 {
            held.update(n * 160, (n * 160).wrapping_add(u32::MAX - 40_000 + 2 * jump_ms * 8));
        }
        assert!(target_ms(&held) <= 14, "{}", target_ms(&held));
        // Nor does another sender's time.
        estimator.reset_base();
        feed(&mut estimator, 200, 1, |_| 69);
        feed(&mut estimator, 201, 40, |_| 50);
        assert!(target_ms(&estimator) <= 14, "{}", target_ms(&estimator));
    }
}

#[test]
fn a_first_packet_that_is_followed_by_another_time_says_nothing() {
    let mut estimator = DelayEstimator::new(CLOCK, DelayConfig::default());
    feed(&mut estimator, 0, 1, |_| 50);
    estimator.reset_base();
    feed(&mut estimator, 5_000, 1, |_| 50);
    assert_eq!(target_ms(&estimator), 200);
}

#[test]
fn a_conversation_waits_for_less_and_says_why() {
    // A stall of a second each 4 s.
    let late = |n: u32| 50 + 1_000u32.saturating_sub(n % 200 * 20);
    let mut listening = DelayEstimator::new(CLOCK, DelayConfig::default());
    feed(&mut listening, 0, 3_000, late);
    assert!(target_ms(&listening) > 700 && listening.choice().is_none() && listening.bound().is_none());
    let mut talking = DelayEstimator::new(CLOCK, DelayConfig::conversation());
    feed(&mut talking, 0, 3_000, late);
    let choice = talking.choice().unwrap();
    assert!(target_ms(&talking) < 250, "{}", target_ms(&talking));
    assert_eq!((target_ms(&talking), choice.besides_ms), (choice.bound_ms + 10, 50));
    // Bounds of the config hold all the same.
    let mut bounded = DelayEstimator::new(CLOCK, DelayConfig { target_max_ms: 40, ..DelayConfig::conversation() });
    feed(&mut bounded, 0, 3_000, |n| 50 + n * 7 % 100);
    assert_eq!(target_ms(&bounded), 40);
    // What was told of the conversation is not forgotten with the arrivals.
    talking.set_conversation(&Conversation { besides: Duration::from_millis(400), ..Conversation::default() });
    talking.reset();
    feed(&mut talking, 0, 3_000, late);
    assert_eq!(talking.choice().unwrap().besides_ms, 400);
}

#[test]
fn bounds_hold() {
    let mut estimator = DelayEstimator::new(CLOCK, DelayConfig::fixed(60));
    feed(&mut estimator, 0, 500, |n| n % 7 * 100);
    assert_eq!(target_ms(&estimator), 60);
}
