//! A sender that follows what it hears of links of any width and queue, in simulation.

use super::*;
use crate::rtcp::transport::PacketFeedback;
use crate::time::Seq;
use crate::time::{Duration, Instant};
use std::collections::VecDeque;
use std::vec::Vec;

/// A link with a queue, in front of 20 ms each way.
struct Link {
    rate_bps: u64,
    queue_ms: u64,
    idle_from: Instant,
    seed: u32,
    loss_percent: u32,
}

impl Link {
    fn new(rate_bps: u64, queue_ms: u64, loss_percent: u32) -> Self {
        Self { rate_bps, queue_ms, idle_from: Instant::ZERO, seed: 7, loss_percent }
    }

    fn waits(&self, now: Instant) -> Duration {
        self.idle_from.since(now)
    }

    /// How long a packet is under way beyond 20 ms.
    fn pass(&mut self, now: Instant, bits: u64) -> Option<Duration> {
        if self.waits(now) > Duration::from_millis(self.queue_ms) {
            return None;
        }
        self.idle_from = self.idle_from.max(now) + Duration::from_micros(bits * 1_000_000 / self.rate_bps);
        (self.random() >= self.loss_percent).then(|| self.idle_from.since(now))
    }

    /// 0 to 99.
    fn random(&mut self) -> u32 {
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.seed >> 8) % 100
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Told {
    Packets,
    Reports,
}

/// A sender that sends what it may, and hears of it.
struct Sender {
    capacity: Capacity,
    packets: PacketWindow,
    reports: ReportWindow,
    pending: Vec<PacketFeedback>,
    /// When it's known, and what.
    coming: VecDeque<(Instant, Vec<PacketFeedback>)>,
    lost: (u32, u32),
    /// What the fastest packet took.
    fastest: Duration,
    seed: u32,
}

const BOUNDS: RateBounds = RateBounds { least_bps: 14_000, most_bps: 96_000 };

impl Sender {
    fn new(rate_bps: u32) -> Self {
        Self {
            capacity: Capacity::new(BOUNDS, rate_bps),
            packets: PacketWindow::new(),
            reports: ReportWindow::new(),
            pending: Vec::new(),
            coming: VecDeque::new(),
            lost: (0, 0),
            fastest: Duration::from_secs(10),
            seed: rate_bps,
        }
    }

    /// 20 ms, of which `n` have been.
    fn tick(&mut self, link: &mut Link, now: Instant, n: u64, told: Told) -> Option<Duration> {
        self.tick_past(link, now, n, told, |_| true)
    }

    /// The same where of what has passed the link so many bits may be dropped.
    fn tick_past(
        &mut self,
        link: &mut Link,
        now: Instant,
        n: u64,
        told: Told,
        passes: impl FnOnce(u64) -> bool,
    ) -> Option<Duration> {
        // A codec's packets differ in size.
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let bytes = u64::from(self.capacity.rate_bps()) / 400 * (75 + u64::from(self.seed >> 8) % 51) / 100;
        let passed = link.pass(now, 8 * bytes).filter(|_| passes(8 * bytes));
        self.reports.sent(bytes as usize);
        self.lost.0 += u32::from(passed.is_none());
        self.lost.1 += 1;
        self.fastest = passed.unwrap_or(self.fastest).min(self.fastest);
        let queued = passed.map(|passed| Duration::from_micros(passed.as_micros() - self.fastest.as_micros()));
        self.pending.push(PacketFeedback {
            number: Seq(n as u16),
            sent: now,
            bytes: bytes as u16,
            queued,
            others_bytes: 0,
        });
        if n % 5 == 4 && told == Told::Packets {
            let late = passed.unwrap_or(Duration::ZERO) + Duration::from_millis(40);
            self.coming.push_back((now + late, core::mem::take(&mut self.pending)));
        }
        while self.coming.front().is_some_and(|(at, _)| *at <= now) {
            for packet in self.coming.pop_front().unwrap().1 {
                if let Some(seen) = self.packets.hear(now, &packet) {
                    self.capacity.observe(now, &seen);
                }
            }
        }
        if told == Told::Reports && n % 125 == 124 {
            let (lost, sent) = core::mem::take(&mut self.lost);
            let round_trip = Duration::from_millis(40) + link.waits(now);
            let seen = self.reports.hear(now, (lost * 255 / sent) as u8, Some(round_trip), Duration::from_millis(2));
            if let Some(seen) = seen {
                self.capacity.observe(now, &seen);
            }
        }
        passed
    }
}

/// The mean rate and the mean delay of the last half, in bit/s and ms, and the share lost of it in percent.
fn run(link: &mut Link, told: Told, seconds: u64) -> (f64, f64, f64) {
    let mut sender = Sender::new(48_000);
    let (mut rate, mut delay, mut lost, mut count) = (0.0, 0.0, 0.0, 0.0);
    for n in 0..seconds * 50 {
        let now = Instant::from_millis(100_000 + n * 20);
        let passed = sender.tick(link, now, n, told);
        if n >= seconds * 25 {
            rate += f64::from(sender.capacity.rate_bps());
            delay += passed.map_or(0.0, |passed| passed.as_micros() as f64 / 1e3);
            lost += f64::from(u8::from(passed.is_none()));
            count += 1.0;
        }
    }
    (rate / count, delay / (count - lost), 100.0 * lost / count)
}

#[test]
fn follows_what_a_link_carries() {
    for told in [Told::Packets, Told::Reports] {
        for rate_bps in [20_000, 30_000, 50_000, 80_000, 200_000] {
            for queue_ms in [50, 200, 1_000] {
                let (rate, delay, lost) = run(&mut Link::new(rate_bps, queue_ms, 0), told, 240);
                let carried = (rate_bps as f64).min(96_000.0);
                let told = format_args!("{rate_bps} {queue_ms}: {rate:.0} bit/s, {delay:.0} ms, {lost:.1} %");
                std::println!("{told}");
                // Eleven twelfths of what is seen of a link are used, in steps of 3 kbit/s. The packet's own time is in the delay.
                assert!(rate > 0.82 * carried && delay < 70.0 && lost < 3.0, "{told}");
            }
        }
    }
}

/// Feedback that is lost leaves a gap: what was sent in it counts neither as little that was sent nor as little that was carried.
#[test]
fn lost_feedback_is_no_pause() {
    let mut window = PacketWindow::new();
    let mut observations = Vec::new();
    for n in 0..600_u64 {
        // Of each second 160 ms are told.
        if n % 50 < 8 {
            let sent = Instant::from_millis(1_000 + 20 * n);
            let queued = Some(Duration::from_millis(n % 7));
            let packet = PacketFeedback { number: Seq(n as u16), sent, bytes: 120, queued, others_bytes: 0 };
            observations.extend(window.hear(sent + Duration::from_millis(90), &packet));
        }
    }
    assert_eq!(observations.len(), 11);
    for seen in observations {
        // Eight packets, of which seven have a time before them.
        assert_eq!((seen.duration, seen.packets, seen.loss), (Duration::from_millis(140), 8, 0));
        assert!((48_000..56_000).contains(&(seen.sent_bits * 1_000_000 / seen.duration.as_micros())), "{seen:?}");
    }
}

/// What is seen over a quarter of a second of a link that is used up, behind a queue of so many ms.
fn used_up(capacity: &Capacity, queue_ms: u64) -> Observation {
    let duration = Duration::from_millis(250);
    Observation {
        duration,
        took: duration,
        sent_bits: u64::from(capacity.rate_bps()) / 4,
        packets: 12,
        loss: 0,
        queue: Some(Duration::from_millis(queue_ms)),
        age: Duration::from_millis(40),
        link_bps: None,
    }
}

/// There is nothing to give up where there's hardly room for a call: a probe that fails costs its own time only.
#[test]
fn a_probe_that_fails_is_taken_back_whole_on_a_narrow_link() {
    for (rate_bps, is_whole) in [(20_000, true), (60_000, false)] {
        let mut capacity = Capacity::new(BOUNDS, rate_bps);
        let mut now = Instant::from_millis(100_000);
        let mut observe = |capacity: &mut Capacity, queue_ms| {
            now += Duration::from_millis(250);
            let seen = used_up(capacity, queue_ms);
            capacity.observe(now, &seen);
        };
        while capacity.phase() != Phase::Probing {
            observe(&mut capacity, 0);
        }
        observe(&mut capacity, 100);
        assert_eq!(capacity.phase(), Phase::Emptying);
        while capacity.phase() == Phase::Emptying {
            observe(&mut capacity, 0);
        }
        assert_eq!(capacity.rate_bps() == rate_bps, is_whole, "{rate_bps}: {}", capacity.rate_bps());
        assert!(capacity.rate_bps() <= rate_bps);
    }
}

/// Four packets in a quarter of a second are all late when packets come up to 100 ms late by chance: no queue is seen in that, and
/// one that is there is.
#[test]
fn jitter_is_no_queue() {
    for (queue_ms, is_seen) in [(0, false), (400, true)] {
        let (mut window, mut capacity) = (PacketWindow::new(), Capacity::new(BOUNDS, 50_000));
        let mut dice = Link::new(1, 0, 0);
        let mut was_seen = false;
        for n in 0..2_000 {
            let sent = Instant::from_millis(100_000 + n * 60);
            let late = u64::from(dice.random()) + if n > 1_000 { queue_ms } else { 0 };
            let queued = Some(Duration::from_millis(late));
            let packet = PacketFeedback { number: Seq(n as u16), sent, bytes: 375, queued, others_bytes: 0 };
            if let Some(seen) = window.hear(sent + Duration::from_millis(150), &packet) {
                capacity.observe(sent + Duration::from_millis(150), &seen);
            }
            was_seen |= capacity.phase() == Phase::Emptying;
            assert!(!was_seen || n > 1_000, "{n}: {} bit/s", capacity.rate_bps());
        }
        assert_eq!(was_seen, is_seen);
    }
}

#[test]
fn loss_that_isnt_congestion_costs_no_rate() {
    for told in [Told::Packets, Told::Reports] {
        for loss in [3, 6, 10, 20] {
            for seed in 0..16 {
                let mut link = Link { seed, ..Link::new(200_000, 200, loss) };
                let (rate, delay, lost) = run(&mut link, told, 240);
                let what = format_args!("{loss} % lost, seed {seed}: {rate:.0} bit/s, {delay:.0} ms, {lost:.1} %");
                std::println!("{what}");
                // Less is sent for a moment each half minute.
                assert!(rate > 0.85 * 96_000.0 && (lost - f64::from(loss)).abs() < 2.0, "{what}");
            }
        }
    }
}

/// In a pause there is a packet a second; what happens to one of them says nothing.
#[test]
fn a_packet_that_is_lost_in_a_pause_costs_no_rate() {
    for packets_a_report in [1, 5] {
        let mut capacity = Capacity::new(BOUNDS, 80_000);
        for n in 0..40 {
            let loss = if n == 20 { 100 * PERCENT / packets_a_report } else { 0 };
            let duration = Duration::from_secs(packets_a_report.into());
            let seen = Observation {
                duration,
                took: duration,
                sent_bits: 400 * u64::from(packets_a_report),
                packets: packets_a_report,
                loss,
                queue: Some(Duration::ZERO),
                age: Duration::from_millis(40),
                link_bps: None,
            };
            capacity.observe(Instant::from_millis(100_000 + n * 1_000 * u64::from(packets_a_report)), &seen);
            assert_eq!((capacity.rate_bps(), capacity.phase()), (80_000, Phase::Steady), "{packets_a_report} {n}");
        }
    }
}

#[test]
fn a_link_that_becomes_narrow_has_an_empty_queue_two_seconds_after_the_first_word_of_it() {
    for told in [Told::Packets, Told::Reports] {
        let (mut link, mut sender) = (Link::new(200_000, 1_000, 0), Sender::new(48_000));
        let (mut shown, mut empty) = (None, None);
        for n in 0..60 * 50 {
            let now = Instant::from_millis(100_000 + n * 20);
            if n == 30 * 50 {
                link.rate_bps = 40_000;
            }
            sender.tick(&mut link, now, n, told);
            if n > 30 * 50 && sender.capacity.phase() == Phase::Emptying {
                shown.get_or_insert(now);
            }
            if shown.is_some() && link.waits(now) < Duration::from_millis(30) {
                empty.get_or_insert(now);
            }
        }
        let took = empty.unwrap().since(shown.unwrap());
        std::println!(
            "{} ms after the change it's known, and gone {} ms later",
            shown.unwrap().as_millis() - 130_000,
            took.as_millis()
        );
        assert!(took <= Duration::from_millis(2_000), "{took:?}");
    }
}

#[test]
fn two_that_share_a_link_get_halves_of_it() {
    for told in [Told::Packets, Told::Reports] {
        let links = [(60_000, 200), (60_000, 50), (100_000, 100), (120_000, 50), (120_000, 1_000)];
        for (rate_bps, queue_ms) in links {
            // In the mean of several calls: by chance one of them may get much more.
            let calls: Vec<[f64; 2]> = [48_000, 90_000]
                .into_iter()
                .flat_map(|first_bps| {
                    (1..=3).map(move |seed| shared(Link { seed, ..Link::new(rate_bps, queue_ms, 0) }, first_bps, told))
                })
                .collect();
            let mean = |of: &dyn Fn(&[f64; 2]) -> f64| calls.iter().map(of).sum::<f64>() / calls.len() as f64;
            let more = mean(&|[first, second]| first.max(*second) / (first + second));
            let used = mean(&|[first, second]| (first + second) / rate_bps as f64);
            std::println!(
                "{rate_bps} {queue_ms}: {more:.2} for the one that gets more, {used:.2} of the link, {calls:.0?}"
            );
            // A queue of a few packets is full for whoever comes second: it tells little.
            let [most, most_used] = if queue_ms <= 50 { [0.75, 1.1] } else { [0.6, 1.0] };
            assert!(
                more < most && (0.8..most_used).contains(&used),
                "{more:.2} and {used:.2} in the mean of {calls:?}"
            );
        }
    }
}

/// The mean rates of two senders that share a link for ten minutes, over the second half. The first begins with `first_bps`.
fn shared(mut link: Link, first_bps: u32, told: Told) -> [f64; 2] {
    let mut senders = [Sender::new(first_bps), Sender::new(20_000)];
    let mut means = [0.0; 2];
    for n in 0..600 * 50 {
        // Whoever comes first when there is room: no two clocks keep step for ever.
        let first = usize::from(link.random() > 49);
        for side in [first, 1 - first] {
            let sender = &mut senders[side];
            let later = u64::from(side != first) * u64::from(link.random()) / 6;
            sender.tick(&mut link, Instant::from_millis(100_000 + n * 20 + later), n, told);
            if n > 300 * 50 {
                means[side] += f64::from(sender.capacity.rate_bps()) / (300.0 * 50.0);
            }
        }
    }
    means
}

/// A link that carries hardly more or less than the least there is to send: nobody else is there, however long the queue stays.
#[test]
fn nobody_else_is_seen_on_a_link_that_hardly_carries_the_least() {
    for (told, queues_ms) in [(Told::Packets, &[200, 1_000, 3_000][..]), (Told::Reports, &[200, 1_000])] {
        for rate_bps in [13_000, 14_000, 14_500, 15_000, 16_000] {
            for &queue_ms in queues_ms {
                let (rate, _, lost) = run(&mut Link::new(rate_bps, queue_ms, 0), told, 1_200);
                let least = (1.0 - rate_bps as f64 / 14_000.0).max(0.0) * 100.0;
                let told = format_args!("{rate_bps} {queue_ms}: {rate:.0} bit/s, {lost:.1} %");
                std::println!("{told}");
                assert!(lost < least + 4.0, "{told}, and {least:.1} % of the least");
            }
        }
    }
}

/// Somebody fills the queue, and halves what he sends when he loses: he isn't taken for a queue of one's own.
#[test]
fn somebody_who_fills_the_queue_is_seen() {
    for (rate_bps, queue_ms) in [(150_000, 200), (150_000, 400), (200_000, 200), (200_000, 400), (300_000, 200)] {
        let link = |seed| Link { seed, ..Link::new(rate_bps, queue_ms, 0) };
        let rates: [f64; 12] = core::array::from_fn(|seed| beside_somebody(link(seed as u32 + 1)));
        std::println!("{rate_bps} {queue_ms}: {rates:.0?} bit/s");
        assert!(rates.iter().sum::<f64>() > 12.0 * 45_000.0, "{rate_bps} {queue_ms}: {rates:.0?} bit/s");
        assert!(rates.iter().all(|rate| *rate > 30_000.0), "{rate_bps} {queue_ms}: {rates:.0?} bit/s");
    }
}

/// The mean rate of a sender whose link somebody else fills from the 20th second on, from the 60th to the 300th.
fn beside_somebody(mut link: Link) -> f64 {
    let mut sender = Sender::new(48_000);
    let (mut rate, mut theirs, mut owed, mut deaf_until) = (0.0, link.rate_bps as f64 / 2.0, 0.0, Instant::ZERO);
    for n in 0..300 * 50 {
        let now = Instant::from_millis(100_000 + n * 20 + u64::from(link.random()) / 20);
        sender.tick(&mut link, now, n, Told::Packets);
        if n > 20 * 50 {
            owed += theirs / 50.0;
            while owed >= 12_000.0 {
                owed -= 12_000.0;
                if link.pass(now, 12_000).is_none() && now > deaf_until {
                    (theirs, deaf_until) = (theirs / 2.0, now + Duration::from_millis(60 + link.queue_ms));
                }
            }
            // A packet more each round trip.
            let round_trip = 0.06 + link.waits(now).as_micros() as f64 / 1e6;
            theirs += 0.02 * 12_000.0 / (round_trip * round_trip);
        }
        if n >= 60 * 50 {
            rate += f64::from(sender.capacity.rate_bps()) / (240.0 * 50.0);
        }
    }
    rate
}

/// A policer drops what is beyond its rate and has no queue, behind a link that is seen to carry more: its losses are no chance.
#[test]
fn a_policer_behind_a_fast_link_is_not_overrun() {
    for police_bps in [40_000_u64, 50_000, 60_000, 70_000, 85_000] {
        let (mut link, mut sender) = (Link::new(256_000, 1_000, 0), Sender::new(32_000));
        // What may pass at once is what passes in 100 ms.
        let (mut may_pass, mut lost, mut sent) = (0, 0, 0);
        for n in 0..600 * 50 {
            may_pass = (may_pass + police_bps / 50).min(police_bps / 10);
            let passes = |bits: u64| {
                let passes = bits <= may_pass;
                may_pass -= if passes { bits } else { 0 };
                passes
            };
            let passed = sender.tick_past(&mut link, Instant::from_millis(100_000 + n * 20), n, Told::Packets, passes);
            if n > 100 * 50 {
                (lost, sent) = (lost + u32::from(passed.is_none()), sent + 1);
            }
        }
        let percent = 100.0 * f64::from(lost) / f64::from(sent);
        std::println!("{police_bps} bit/s: {percent:.1} % lost");
        assert!(percent < 20.0, "{police_bps} bit/s: {percent:.1} % lost");
    }
}

/// A minute of feedback on a link that is seen to carry `seen_bps`; the highest rate meanwhile.
fn highest(capacity: &mut Capacity, begin_s: u64, seconds: u64, seen_bps: u32) -> u32 {
    let observations = (begin_s * 4..(begin_s + seconds) * 4).map(|n| {
        let seen = Observation { link_bps: Some(seen_bps), ..used_up(capacity, 0) };
        capacity.observe(Instant::from_millis(250 * n), &seen);
        capacity.rate_bps()
    });
    observations.max().unwrap_or(0)
}

#[test]
fn no_probe_goes_above_what_the_link_is_seen_to_carry() {
    let mut capacity = Capacity::new(BOUNDS, 20_000);
    let most = highest(&mut capacity, 100, 110, 40_000);
    assert!((33_000..=36_000).contains(&most), "{most}");
    // After two minutes one goes there all the same, and finds nothing against it: there is more than one slow link.
    let most = highest(&mut capacity, 210, 120, 40_000);
    assert!(most > 60_000, "{most}");
}

/// What came of a second of so many packets, of which this share was lost, on a link that is seen to carry so much.
fn a_second(capacity: &Capacity, packets: u32, loss_percent: u32, link_bps: Option<u32>) -> Observation {
    Observation {
        duration: Duration::from_secs(1),
        took: Duration::from_secs(1),
        sent_bits: capacity.rate_bps().into(),
        packets,
        loss: loss_percent * PERCENT,
        queue: None,
        age: Duration::ZERO,
        link_bps,
    }
}

#[test]
fn losses_that_are_no_chance_lower_the_rate_by_as_much_at_once() {
    let bounds = RateBounds { least_bps: 14_000, most_bps: 90_000 };
    let mut capacity = Capacity::new(bounds, 50_000);
    capacity.observe(Instant::from_millis(2_000), &a_second(&capacity, 50, 50, None));
    assert!(capacity.phase() == Phase::Trying && (20_000..25_000).contains(&capacity.rate_bps()), "{capacity:?}");
    // A few packets show nothing of the kind.
    let mut capacity = Capacity::new(bounds, 50_000);
    capacity.observe(Instant::from_millis(2_000), &a_second(&capacity, 8, 50, None));
    assert!(capacity.rate_bps() > 30_000, "{capacity:?}");
}

#[test]
fn a_rate_that_can_hardly_fall_is_not_lowered_on_a_link_that_carries_it() {
    let bounds = RateBounds { least_bps: 14_500, most_bps: 90_000 };
    for (link_bps, is_tried) in [(Some(24_000), false), (None, true)] {
        let mut capacity = Capacity::new(bounds, 15_200);
        let mut tried = false;
        for second in 2..12 {
            capacity.observe(Instant::from_millis(1_000 * second), &a_second(&capacity, 16, 6, link_bps));
            tried |= capacity.phase() == Phase::Trying;
        }
        assert_eq!(tried, is_tried, "{capacity:?}");
        assert!(capacity.random_loss() > 0);
    }
}
