//! A day of calls that come and go, over sockets in virtual time: after its first hours memory, descriptors and threads
//! stay as they are.

use std::time::Instant;

use dsp_core::time::Duration;
use host_std::device::FileIo;
use host_std::manager::{Change, DialogId, EventKind, Events, ManagerConfig, MediaManager};
use host_std::sdp::SrtpPolicy;
use host_std::session::{CallConfig, Keying};

use super::many::{Has, in_a_process};
use super::random::{broken, codecs};
use super::stepped::{Stepped, runtime};
use super::world::half;

/// How many hours a process does, and how many calls in each, where the tests below say so.
const HOURS: &str = "MEDIA_CORE_MANAGER_HOURS";
/// The memory that an allocator may keep more of, in KB: three calls' worth, and none of those that stayed would be less
/// than 20 KB, of which there are nearly two hundred.
const GROWS_KB: u64 = 2_048;

/// Numbers that repeat, and look like none that do.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

struct Day {
    clock: Stepped,
    sides: [(MediaManager, Events); 2],
    dice: Dice,
    calls: u64,
    /// Events by whether a call ended by itself.
    told: [u64; 2],
}

impl Day {
    fn new() -> Self {
        let clock = Stepped::by(10);
        let sides = [0, 1].map(|_| {
            let mut config = ManagerConfig::new().unwrap();
            config.watching.unanswered = Duration::from_secs(60);
            MediaManager::new(config)
        });
        Self { clock, sides, dice: Dice(7), calls: 0, told: [0; 2] }
    }

    fn config(&mut self) -> CallConfig {
        let (srtp, keying) = match self.dice.below(3) {
            0 => (SrtpPolicy::Off, Keying::Described),
            1 => (SrtpPolicy::Required, Keying::Described),
            _ => (SrtpPolicy::Required, Keying::Dtls),
        };
        let codecs = codecs(self.dice.below(4) as u8);
        CallConfig { srtp, keying, codecs, ..self.sides[0].0.config().call.clone() }
    }

    /// One call, from its INVITE to its end or to nothing.
    async fn call(&mut self) {
        self.calls += 1;
        let (ours, theirs) = (format!("a{}", self.calls), format!("b{}", self.calls));
        let dialogs = [DialogId::new("day", &ours, &theirs), DialogId::new("day", &theirs, &ours)];
        let config = self.config();
        let [anna, bert] = [self.sides[0].0.clone(), self.sides[1].0.clone()];
        let offer = anna.offer_with(&half(&dialogs[0]), config.clone()).await.unwrap();
        match self.dice.below(8) {
            // Nobody picks up, and the caller forgets it; or gives up.
            0 => return self.clock.run(70_000).await,
            1 => {
                anna.end(&half(&dialogs[0])).await.unwrap();
                return;
            }
            _ => {}
        }
        let mut theirs = config.clone();
        theirs.codecs = codecs(3);
        let answer = bert.answer_with(&dialogs[1], &offer, theirs).await.unwrap();
        anna.accept(&dialogs[0], &answer).await.unwrap();
        anna.confirm(&dialogs[0]).await.unwrap();
        anna.attach(&dialogs[0], Box::new(FileIo::null(16_000))).await.unwrap();
        bert.attach(&dialogs[1], Box::new(FileIo::null(16_000))).await.unwrap();
        for _ in 0..self.dice.below(5) {
            let run_ms = 2_000 + self.dice.below(10_000);
            self.clock.run(run_ms).await;
            self.change(&anna, &bert, &dialogs).await;
        }
        let received = anna.stats(&dialogs[0]).await.unwrap();
        assert_eq!(received.unaccounted(), [0; 5]);
        match self.dice.below(6) {
            // The other side is gone, and its BYE never comes.
            0 => {
                bert.end(&dialogs[1]).await.unwrap();
                self.clock.run(100_000).await;
                let _ = anna.end(&dialogs[0]).await;
            }
            _ => {
                anna.end(&dialogs[0]).await.unwrap();
                bert.end(&dialogs[1]).await.unwrap();
            }
        }
    }

    async fn change(&mut self, anna: &MediaManager, bert: &MediaManager, dialogs: &[DialogId; 2]) {
        let offer = match self.dice.below(7) {
            0 => anna.reoffer(&dialogs[0], Change::hold()).await,
            1 => anna.reoffer(&dialogs[0], Change::resume().with_fresh_keys()).await,
            2 => anna.move_to(&dialogs[0], [127, 0, 0, 1 + self.dice.below(20) as u8].into()).await,
            3 => anna.refresh(&dialogs[0]).await,
            4 => {
                let codecs = codecs(self.dice.below(4) as u8);
                anna.reoffer(&dialogs[0], Change::default().with_codecs(codecs)).await
            }
            5 => {
                // Parked for minutes.
                let device = anna.detach(&dialogs[0]).await.unwrap();
                self.clock.run(20_000).await;
                return anna.attach(&dialogs[0], device).await.unwrap();
            }
            _ => return anna.change_device(&dialogs[0], Box::new(FileIo::null(48_000))).await.unwrap(),
        }
        .unwrap();
        match self.dice.below(4) {
            0 => anna.withdraw(&dialogs[0]).await.unwrap(),
            1 => assert!(anna.accept(&dialogs[0], &broken(4)).await.is_err()),
            _ => {
                let answer = bert.reanswer(&dialogs[1], &offer).await.unwrap();
                anna.accept(&dialogs[0], &answer).await.unwrap();
            }
        }
    }

    /// An hour: calls, and the time between them, in which nothing ticks.
    async fn hour(&mut self, calls: u64) {
        for _ in 0..calls {
            let began = tokio::time::Instant::now();
            self.call().await;
            self.tell();
            // What is left of its part of the hour: nothing ticks, and timers need not be on time.
            let rest = std::time::Duration::from_secs(3_600 / calls).saturating_sub(began.elapsed());
            for _ in 0..rest.as_secs() / 2 {
                self.clock.step(2_000).await;
            }
        }
        let left = [0, 1].map(|side| self.sides[side].0.sessions());
        assert_eq!(left, [0; 2], "sessions that nobody has ended");
    }

    fn tell(&mut self) {
        for (_, events) in &mut self.sides {
            while let Some(event) = events.try_next() {
                self.told[usize::from(matches!(event.kind, EventKind::Ended(_)))] += 1;
            }
            assert_eq!(events.dropped(), 0);
        }
    }
}

#[test]
#[ignore = "is run in a process of its own by those below"]
fn hours_of_a_process() {
    let asked = std::env::var(HOURS).unwrap_or_default();
    let asked: Vec<u64> = asked.split(' ').filter_map(|number| number.parse().ok()).collect();
    let &[hours, calls] = &asked[..] else { panic!("it's asked for by another test") };
    let began = Instant::now();
    runtime().block_on(async {
        let mut day = Day::new();
        // The allocator, and what a process makes once for all calls.
        let warm = (hours / 4).clamp(1, 4);
        for _ in 0..warm {
            day.hour(calls).await;
        }
        let before = Has::after_a_moment();
        for hour in warm..hours {
            day.hour(calls).await;
            println!("hour {hour}: {:?} after {:.1} s", Has::now(), began.elapsed().as_secs_f64());
        }
        let after = Has::after_a_moment();
        println!(
            "{} calls in {hours} hours of virtual time, {:.1} s: {before:?}, then {after:?}; {:?} events",
            day.calls,
            began.elapsed().as_secs_f64(),
            day.told
        );
        assert_eq!(after.descriptors, before.descriptors, "{before:?} {after:?}");
        assert!(after.threads <= before.threads, "{before:?} {after:?}");
        assert!(after.resident_kb <= before.resident_kb + GROWS_KB, "{before:?} {after:?}");
        assert!(day.told.iter().all(|count| *count > 0), "{:?}", day.told);
    });
}

#[test]
fn two_hours_of_calls_leave_nothing() {
    in_a_process("day::hours_of_a_process", (HOURS, "2 4".into()), "hours of virtual time");
}

/// For `.ci/long`.
#[test]
#[ignore = "takes minutes"]
fn a_day_of_calls_leaves_nothing() {
    in_a_process("day::hours_of_a_process", (HOURS, "24 6".into()), "hours of virtual time");
}
