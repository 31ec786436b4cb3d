//! What a day brings: the network is gone, a clock steps, a side is stopped, killed and started again, descriptors run
//! out. Each is told in words, and whatever can live on does.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use host_std::manager::{Change, DialogId, EventKind, Events, ManagerConfig, ManagerError, MediaManager};
use host_std::registry::CodecFormat;
use media_core_tests::skipped;

use super::real::{Heard, device, manager, tone};
use super::world::{address, half, names, pair};

/// How long trouble lasts in a test of `.ci/run`, and in one of `.ci/long`.
const SHORT: Duration = Duration::from_secs(3);

// In virtual time.

#[test]
fn a_network_that_is_gone_for_a_minute_ends_no_call() {
    let (mut world, _) = pair(|config| config.after_silence = ManagerConfig::new().unwrap().call.after_silence);
    world.cut.extend([address(4_000), address(5_000)]);
    world.run(60_000);
    world.cut.clear();
    world.run(1_000);
    assert!(world.phones[0].hears(700.0) && world.phones[1].hears(400.0));
    for phone in &world.phones {
        let words: Vec<String> = phone.kinds().iter().map(ToString::to_string).collect();
        assert_eq!(words.len(), 3, "{words:?}");
        assert!(words[1].starts_with("nothing has come of the other side for 5."), "{words:?}");
        assert_eq!(words[2], "packets of the other side come again");
    }
    // Whoever is gone for longer is not waited for.
    world.cut.extend([address(4_000), address(5_000)]);
    world.run(95_000);
    let last = world.phones[0].kinds().last().unwrap().to_string();
    assert_eq!(last, "the call has ended: nothing came from the other side any more");
}

/// RTCP's sender reports have the wall clock, which somebody sets forward by an hour, and later back.
#[test]
fn a_wall_clock_that_steps_by_an_hour_is_not_heard() {
    use host_std::sdp::SrtpPolicy;
    let (mut world, dialogs) = pair(|config| config.srtp = SrtpPolicy::Off);
    world.run(20_000);
    let numbers = |world: &super::world::World, side: usize| {
        let stats = world.phones[side].session.call(&dialogs[side]).unwrap().stats();
        (stats.round_trip.map(|time| time.as_millis()), stats.total.restarts, stats.total.time_jumps)
    };
    let before = [numbers(&world, 0), numbers(&world, 1)];
    assert!(before[0].0.is_some_and(|ms| (40..70).contains(&ms)), "{before:?}");
    let gaps = [world.phones[0].gaps, world.phones[1].gaps];
    for step_s in [3_600, -3_600, 0] {
        world.wall_clock_steps = vec![(address(5_000), step_s)];
        world.run(30_000);
        for side in [0, 1] {
            let (round_trip_ms, restarts, jumps) = numbers(&world, side);
            assert!(round_trip_ms.is_some_and(|ms| (40..70).contains(&ms)), "{step_s}: {round_trip_ms:?} ms");
            assert_eq!((restarts, jumps), (before[side].1, before[side].2), "{step_s}");
        }
        assert!(world.phones[0].hears(700.0) && world.phones[1].hears(400.0));
    }
    assert_eq!([world.phones[0].gaps, world.phones[1].gaps], gaps, "nothing was made up");
    let stats = world.phones[0].session.call(&dialogs[0]).unwrap().stats();
    assert_eq!(stats.unaccounted(), [0; 5]);
}

// In real time, with a side in a process of its own.

/// The other side of a call, in a process of its own that is asked by lines.
struct Other {
    child: Child,
    asked: ChildStdin,
    told: mpsc::Receiver<String>,
}

/// A line that ends a text.
const END: &str = "=end";
/// What asks whether our tone is heard.
const HEARS: &str = "=hears";

impl Other {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "trouble::other_side_of_a_call", "--nocapture", "--include-ignored"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (asked, told) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (lines, told_lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(told).lines() {
                let Ok(line) = line else { return };
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, asked, told: told_lines }
    }

    /// Its answer to an offer.
    fn answer(&mut self, offer: &str) -> String {
        write!(self.asked, "{offer}\n{END}\n").unwrap();
        self.asked.flush().unwrap();
        let mut answer = String::new();
        loop {
            let line = self.told.recv_timeout(Duration::from_secs(20)).expect("an answer");
            match line.as_str() {
                END => return answer,
                // What the test program says of itself comes first.
                line if answer.is_empty() && line != "v=0" => {}
                line => answer += &format!("{line}\r\n"),
            }
        }
    }

    /// Whether it hears our tone alone.
    fn hears(&mut self) -> bool {
        write!(self.asked, "{HEARS}\n{END}\n").unwrap();
        self.asked.flush().unwrap();
        let line = self.told.recv_timeout(Duration::from_secs(20)).expect("a word");
        assert!(["true", "false"].contains(&line.as_str()), "{line}");
        line == "true"
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "is run in a process of its own by those below"]
fn other_side_of_a_call() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (bert, _events) = manager(&[CodecFormat::pcmu()]);
        let [_, dialog] = names();
        let (audio, heard) = device(tone(700));
        let mut audio = Some(audio);
        // The program's own words end here.
        println!();
        let mut text = String::new();
        loop {
            let mut line = String::new();
            let read =
                tokio::task::spawn_blocking(move || std::io::stdin().lock().read_line(&mut line).map(|n| (n, line)));
            let (count, line) = read.await.unwrap().unwrap();
            if count == 0 {
                return;
            }
            let line = line.trim_end();
            if line != END {
                text += &format!("{line}\r\n");
                continue;
            }
            let text = std::mem::take(&mut text);
            if text.trim_end() == HEARS {
                println!("{}", heard.hears(400.0, 200));
                continue;
            }
            let answer = match audio.take() {
                Some(audio) => {
                    let answer = bert.answer(&dialog, text.trim_start()).await.unwrap();
                    bert.attach(&dialog, audio).await.unwrap();
                    answer
                }
                None => bert.reanswer(&dialog, text.trim_start()).await.unwrap(),
            };
            println!("{answer}{END}");
        }
    });
}

/// A call with the other side; ours notices a second without packets.
async fn call_to(other: &mut Other) -> (MediaManager, Events, Heard) {
    let dialog = &names()[0];
    let mut config = ManagerConfig::new().unwrap();
    config.call.codecs = vec![CodecFormat::pcmu()];
    config.watching.no_packets = dsp_core::time::Duration::from_secs(1);
    let (anna, events) = MediaManager::new(config);
    let offer = anna.offer(&half(dialog)).await.unwrap();
    let answer = other.answer(&offer);
    anna.accept(dialog, &answer).await.unwrap();
    anna.confirm(dialog).await.unwrap();
    let (audio, heard) = device(tone(400));
    anna.attach(dialog, audio).await.unwrap();
    both_hear(&heard, other).await;
    (anna, events, heard)
}

/// Waits until both hear each other.
async fn both_hear(heard: &Heard, other: &mut Other) {
    let began = Instant::now();
    while !(heard.hears(700.0, 200) && other.hears()) {
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", heard.share(700.0, 200));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The next event that is this; others before it don't matter.
async fn waits_for(events: &mut Events, is: impl Fn(&EventKind) -> bool) -> EventKind {
    let next = async {
        loop {
            let event = events.next().await.expect("an event");
            assert!(!matches!(event.kind, EventKind::Ended(_)), "{event:?}");
            if is(&event.kind) {
                return event.kind;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), next).await.expect("it is told")
}

/// A process is stopped for so long, and goes on: the call does too, and what was said meanwhile isn't heard late.
async fn a_side_is_stopped(time: Duration) {
    let mut other = Other::start();
    let (anna, mut events, heard) = call_to(&mut other).await;
    other.signal("-STOP");
    let told = waits_for(&mut events, |kind| matches!(kind, EventKind::NoPackets(_))).await.to_string();
    assert!(told.starts_with("nothing has come of the other side for 1."), "{told}");
    tokio::time::sleep(time.saturating_sub(Duration::from_secs(1))).await;
    other.signal("-CONT");
    waits_for(&mut events, |kind| *kind == EventKind::PacketsAgain).await;
    both_hear(&heard, &mut other).await;
    // Until the way of before is no longer what packets are compared with, each seems to be as late as the pause was long: for 10 to
    // 20 s.
    let mut before = anna.stats(&names()[0]).await.unwrap();
    for second in 1.. {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let stats = anna.stats(&names()[0]).await.unwrap();
        let delay_us = stats.total.playout_delay.mean_us_since(&before.total.playout_delay);
        if delay_us.is_some_and(|delay_us| delay_us < 500_000) {
            break;
        }
        assert!(second < 25, "{delay_us:?} us late");
        before = stats;
    }
    let stats = anna.stats(&names()[0]).await.unwrap();
    assert_eq!(stats.unaccounted(), [0; 5]);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_side_that_is_stopped_for_a_while_goes_on() {
    a_side_is_stopped(SHORT).await;
}

/// For `.ci/long`.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half a minute"]
async fn a_side_that_is_stopped_for_half_a_minute_goes_on() {
    a_side_is_stopped(Duration::from_secs(30)).await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_side_that_is_killed_and_started_again_is_heard_after_a_new_offer() {
    let mut other = Other::start();
    let (anna, mut events, heard) = call_to(&mut other).await;
    other.signal("-KILL");
    waits_for(&mut events, |kind| matches!(kind, EventKind::NoPackets(_))).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(heard.share(700.0, 200).1 < 1e4, "there is silence");
    let mut other = Other::start();
    let dialog = &names()[0];
    let offer = anna.reoffer(dialog, Change::default().with_fresh_keys()).await.unwrap();
    let answer = other.answer(&offer);
    anna.accept(dialog, &answer).await.unwrap();
    waits_for(&mut events, |kind| *kind == EventKind::PacketsAgain).await;
    both_hear(&heard, &mut other).await;
}

// Without descriptors, and without a network: each in a process that may have none.

/// How long the network is gone, in ms, or how many descriptors there may be.
const TROUBLE: &str = "MEDIA_CORE_MANAGER_TROUBLE";

fn trouble() -> u64 {
    std::env::var(TROUBLE).ok().and_then(|text| text.parse().ok()).expect("it's asked for by another test")
}

/// Runs a test of this file in a process that a shell prepares.
fn prepared(by: &str, test: &str, trouble: u64) -> Option<String> {
    let own = std::env::current_exe().unwrap();
    let script = format!("{by}; exec \"$0\" --exact trouble::{test} --nocapture --include-ignored");
    let mut command = match by.contains("ip link") {
        true => {
            let mut command = Command::new("unshare");
            command.args(["--net", "--map-root-user", "sh"]);
            command
        }
        false => Command::new("sh"),
    };
    let output = command.arg("-c").arg(script).arg(own).env(TROUBLE, trouble.to_string()).output();
    let output = output.ok()?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !said.contains("running 1 test") {
        skipped::skip(format_args!("this system prepares no such process: {}", said.trim()));
        return None;
    }
    assert!(output.status.success(), "{said}");
    Some(said)
}

#[test]
#[ignore = "is run in a process of its own by those below"]
fn descriptors_of_a_process() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let codecs = [CodecFormat::pcmu()];
        let dialogs = names();
        let ((anna, mut events), (bert, _b)) = (manager(&codecs), manager(&codecs));
        let offer = anna.offer(&half(&dialogs[0])).await.unwrap();
        let answer = bert.answer(&dialogs[1], &offer).await.unwrap();
        anna.accept(&dialogs[0], &answer).await.unwrap();
        anna.confirm(&dialogs[0]).await.unwrap();
        let ((audio, heard), (other, other_heard)) = (device(tone(400)), device(tone(700)));
        anna.attach(&dialogs[0], audio).await.unwrap();
        bert.attach(&dialogs[1], other).await.unwrap();
        // Calls until there are no descriptors.
        let mut more = Vec::new();
        let refused = loop {
            let dialog = DialogId::half("more", &more.len().to_string());
            match anna.offer(&dialog).await {
                Ok(_) => more.push(dialog),
                Err(error) => break error,
            }
            assert!(more.len() < 1_000, "there is no limit");
        };
        assert!(matches!(refused, ManagerError::Socket(_)) && refused.status() == 503, "{refused:?}");
        let why = std::error::Error::source(&refused).unwrap().to_string();
        assert!(why.starts_with("as many files and sockets are open as may be"), "{why}");
        assert!(!more.is_empty());
        // Those that run go on, and can be changed; what needs sockets is refused.
        let moved = anna.move_to(&dialogs[0], [127, 0, 0, 2].into()).await;
        assert!(matches!(moved, Err(ManagerError::Socket(_))), "{moved:?}");
        tokio::time::sleep(Duration::from_millis(700)).await;
        let offer = anna.reoffer(&dialogs[0], Change::hold()).await.unwrap();
        let answer = bert.reanswer(&dialogs[1], &offer).await.unwrap();
        anna.accept(&dialogs[0], &answer).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(other_heard.hears(400.0, 200) && !heard.hears(700.0, 200));
        // One ends, and there is room for another.
        anna.end(&more[0]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        anna.offer(&more[0]).await.expect("its descriptors are free again");
        while let Some(event) = events.try_next() {
            assert!(!matches!(event.kind, EventKind::Ended(_)), "{event:?}");
        }
        println!("refused with {} more: {refused}: {why}", more.len());
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_without_descriptors_says_so_and_its_calls_go_on() {
    let said = prepared("ulimit -n 60", "descriptors_of_a_process", 60);
    assert!(said.is_none_or(|said| said.contains("refused with")));
}

#[test]
#[ignore = "is run in a process of its own by those below"]
fn network_of_a_process() {
    let gone = Duration::from_millis(trouble());
    // Without an address the system refuses to send; with one and without a link it lets packets vanish.
    let network = |states: &[&str]| {
        for state in states {
            assert!(Command::new("ip").args(state.split(' ')).status().unwrap().success(), "{state}");
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let codecs = [CodecFormat::pcmu()];
        let dialogs = names();
        let ((anna, mut events), (bert, mut other_events)) = (manager(&codecs), manager(&codecs));
        let offer = anna.offer(&half(&dialogs[0])).await.unwrap();
        let answer = bert.answer(&dialogs[1], &offer).await.unwrap();
        anna.accept(&dialogs[0], &answer).await.unwrap();
        anna.confirm(&dialogs[0]).await.unwrap();
        let ((audio, heard), (other, other_heard)) = (device(tone(400)), device(tone(700)));
        anna.attach(&dialogs[0], audio).await.unwrap();
        bert.attach(&dialogs[1], other).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(heard.hears(700.0, 200) && other_heard.hears(400.0, 200));
        network(&["link set lo down"]);
        tokio::time::sleep(gone / 2).await;
        network(&["address flush dev lo"]);
        tokio::time::sleep(gone / 2).await;
        // A call that begins now says why it can't.
        let late = anna.offer(&DialogId::half("late", "anna")).await.unwrap_err();
        network(&["address add 127.0.0.1/8 dev lo", "link set lo up"]);
        let began = Instant::now();
        while !(heard.hears(700.0, 200) && other_heard.hears(400.0, 200)) {
            assert!(began.elapsed() < Duration::from_secs(10), "the call is lost");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let why = std::error::Error::source(&late).map(ToString::to_string);
        assert_eq!((late.status(), why.as_deref()), (503, Some("no free ports at 127.0.0.1")));
        println!("sound again {:.2} s after {gone:?}", began.elapsed().as_secs_f64());
        assert!(anna.stats(&dialogs[0]).await.unwrap().unsent > 0, "the system has refused to send");
        for events in [&mut events, &mut other_events] {
            let told: Vec<EventKind> = std::iter::from_fn(|| events.try_next()).map(|event| event.kind).collect();
            assert!(!told.iter().any(|kind| matches!(kind, EventKind::Ended(_))), "{told:?}");
            let silent = told.iter().filter(|kind| matches!(kind, EventKind::NoPackets(_))).count();
            assert_eq!(silent, usize::from(gone > Duration::from_secs(5)), "{told:?}");
        }
    });
}

fn without_a_network(time: Duration) {
    let said = prepared("ip link set lo up", "network_of_a_process", time.as_millis() as u64);
    if let Some(said) = said {
        said.lines().filter(|line| line.contains("sound again")).for_each(|line| println!("{line}"));
        assert!(said.contains("sound again"), "{said}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_call_outlives_a_network_that_is_gone_for_a_while() {
    without_a_network(SHORT);
}

/// For `.ci/long`.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "takes a minute"]
fn a_call_outlives_a_network_that_is_gone_for_a_minute() {
    without_a_network(Duration::from_secs(60));
}
