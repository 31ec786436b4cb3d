use super::*;

/// Feeds packets of 20 ms; `delay_ms(n)` is what packet n takes, `None` if it never comes. The base is the fastest of ten
/// seconds.
fn feed(bounds: &mut DelayBoundCandidates, packets: u32, delay_ms: impl Fn(u32) -> Option<i32>) {
    for n in 0..packets {
        match delay_ms(n) {
            Some(ms) => {
                let base = (n.saturating_sub(499)..=n).filter_map(&delay_ms).min().unwrap_or(ms);
                bounds.count(ms, (ms - base) as u32, 20);
            }
            None => bounds.lost(),
        }
        if n % EVERY == EVERY - 1 {
            bounds.forget();
            bounds.look_up();
        }
    }
}

/// A stall of `ms` each `every` packets, after which all come at once.
fn stalls(every: u32, ms: i32) -> impl Fn(u32) -> Option<i32> {
    move |n| Some((ms - (n % every) as i32 * 20).max(0))
}

#[test]
fn is_small() {
    assert!(size_of::<DelayBoundCandidates>() < 450, "{}", size_of::<DelayBoundCandidates>());
}

#[test]
fn a_calm_network_has_the_shortest_bound() {
    let mut bounds = DelayBoundCandidates::new();
    feed(&mut bounds, 1_000, |_| Some(70));
    assert_eq!((bounds.bound_ms(), bounds.choice().loss_tenths), (2, 0));
    // 50 ms besides: Id of some 1.5.
    assert!((10..25).contains(&bounds.choice().delay_tenths), "{:?}", bounds.choice());
}

#[test]
fn jitter_is_waited_for_where_that_is_cheap() {
    let mut bounds = DelayBoundCandidates::new();
    feed(&mut bounds, 3_000, |n| Some((n * 7 % 50) as i32));
    assert!((40..=60).contains(&bounds.bound_ms()), "{}", bounds.bound_ms());
    assert!(bounds.choice().loss_tenths < 10, "{:?}", bounds.choice());
}

/// A stall of 100 ms each second is 10 % of all sound: it is waited for. One of 1.2 s each 4 s is not: 650 ms of delay
/// more would take 30 off R, and 30 % of made-up sound not much more than 20 %.
#[test]
fn short_stalls_are_waited_for_and_long_ones_are_not() {
    let mut short = DelayBoundCandidates::new();
    feed(&mut short, 3_000, stalls(50, 100));
    assert!((80..=120).contains(&short.bound_ms()), "{}", short.bound_ms());
    let mut long = DelayBoundCandidates::new();
    feed(&mut long, 3_000, stalls(200, 1_200));
    assert!(long.bound_ms() <= 200, "{}", long.bound_ms());
}

/// The more of the way is there already, the dearer is the next ms.
#[test]
fn a_long_way_leaves_less_to_wait_for() {
    let follow = |besides| {
        let mut bounds = DelayBoundCandidates::new();
        bounds.set(&Conversation { besides: Duration::from_millis(besides), ..Conversation::default() });
        feed(&mut bounds, 3_000, stalls(150, 160));
        (bounds.bound_ms(), bounds.choice().besides_ms)
    };
    let ((near, _), (far, besides)) = (follow(30), follow(250));
    assert!(far < near && besides == 250, "{near} {far}");
}

/// What is lost comes with no bound: it makes late sound cheaper, and moves the bound down and not up.
#[test]
fn losses_are_no_reason_to_wait() {
    let follow = |lost: u32| {
        let mut bounds = DelayBoundCandidates::new();
        feed(&mut bounds, 3_000, |n| (n % 10 >= lost).then_some((n * 7 % 100) as i32));
        (bounds.bound_ms(), bounds.choice().loss_tenths)
    };
    let (none, some) = (follow(0), follow(2));
    assert!(some.0 <= none.0, "{none:?} {some:?}");
    // Ie,eff of 20 %: 95 * 20 / 45.1.
    assert!((410..=450).contains(&some.1), "{some:?}");
}

/// A queue that grows by 50 ms a second is followed by playing slower: no bound needs to hold all of it.
#[test]
fn a_network_that_gets_slower_is_followed() {
    let mut bounds = DelayBoundCandidates::new();
    feed(&mut bounds, 4_000, |n| Some((n % 1_000) as i32));
    assert!(bounds.bound_ms() <= 160, "{}", bounds.bound_ms());
    assert!((300..500).contains(&bounds.delay_ms()), "{}", bounds.delay_ms());
}

/// However long it was bad: what nobody needs any more is not waited for.
#[test]
fn a_network_that_has_become_calm_is_waited_for_no_longer() {
    for worst_ms in [80, 150, 300] {
        let mut bounds = DelayBoundCandidates::new();
        let rough = |n: u32| Some((n.wrapping_mul(2_654_435_761) >> 8) as i32 % worst_ms);
        feed(&mut bounds, 6_000, rough);
        assert!(bounds.delay_ms() >= 60, "{worst_ms}: {}", bounds.delay_ms());
        feed(&mut bounds, 30 * 50, |n| Some(n as i32 % 3));
        assert!(bounds.delay_ms() <= 10, "{worst_ms}: {}", bounds.delay_ms());
        // It is remembered all the same.
        feed(&mut bounds, 50, rough);
        assert!(bounds.delay_ms() >= 60, "{worst_ms}: {}", bounds.delay_ms());
    }
}

/// A short stall each 15 s is cheaper to wait for than to be made up, and is not forgotten before the next.
#[test]
fn what_comes_again_soon_is_waited_for() {
    let mut bounds = DelayBoundCandidates::new();
    // Up to the next.
    feed(&mut bounds, 6_750, stalls(750, 60));
    assert_eq!(bounds.bound_ms(), 60);
}

/// Two ways that cost the same are not mixed: what the call has begun with it goes on with.
#[test]
fn a_call_is_rated_as_a_whole() {
    let mut bounds = DelayBoundCandidates::new();
    let mut changes = 0;
    for round in 0..20 {
        let before = bounds.bound_ms();
        feed(&mut bounds, 400, stalls(100, if round % 2 == 0 { 500 } else { 700 }));
        changes += u32::from(bounds.bound_ms().abs_diff(before) > 150);
    }
    assert!(changes <= 2, "{changes}");
}

#[test]
fn an_overtaken_packet_is_late_alone() {
    let mut bounds = DelayBoundCandidates::new();
    for n in 0..2_000 {
        bounds.count(0, 0, 20);
        if n % 10 == 0 {
            bounds.count_single(60);
        }
        if n % EVERY == 0 {
            bounds.forget();
            bounds.look_up();
        }
    }
    assert_eq!(bounds.bound_ms(), 60);
    assert_eq!(bounds.call.playing, [60]);
}

/// Sixteen with each packet, all of them late or early: no sum overflows, which debug builds check, nor grows for ever.
#[test]
fn any_number_of_copies_is_forgotten() {
    for late_ms in [5_000, -5_000] {
        let mut bounds = DelayBoundCandidates::new();
        for n in 0..20_000u32 {
            bounds.count(0, 0, 20);
            (0..16).for_each(|_| bounds.count_copy(late_ms));
            if n.is_multiple_of(EVERY) {
                bounds.forget();
                bounds.look_up();
            }
        }
        assert!(bounds.packets.came < 1_000 * FINE, "{}", bounds.packets.came);
    }
}

/// Whatever comes, no sum overflows: debug builds check.
#[test]
fn wild_times_do_no_harm() {
    let mut bounds = DelayBoundCandidates::new();
    bounds.set_packet(u32::MAX);
    let loss = crate::quality::CodecImpairment { ie: 1e9, bpl: -5.0 };
    bounds.set(&Conversation { besides: Duration::from_secs(1_000_000), loss: loss.into() });
    let mut dice = 1u32;
    for n in 0..60_000u32 {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match n / 20_000 {
            0 => bounds.count(if n % 2 == 0 { i32::MAX } else { i32::MIN }, dice, u32::MAX),
            1 => bounds.count(dice as i32, dice.rotate_left(9), dice),
            _ => bounds.count_single(dice as i32),
        }
        (0..dice % 100).for_each(|_| bounds.lost());
        if n % EVERY == 0 {
            bounds.forget();
            bounds.look_up();
        }
        bounds.delay_ms();
    }
    assert!(bounds.usual_ms([20, 3]) <= 1_700 && bounds.choice().bound_ms <= 1_700);
}
