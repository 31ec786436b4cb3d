//! Calls that come and go leave nothing: memory, descriptors, threads, ports.

use std::time::{Duration, Instant};

use host_std::device::FileIo;
use host_std::manager::{DialogId, Events, MediaManager};
use host_std::registry::CodecFormat;

use super::real::manager;
use super::world::half;

/// What this process has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Has {
    pub(super) resident_kb: u64,
    pub(super) descriptors: usize,
    pub(super) threads: u64,
}

impl Has {
    #[cfg(target_os = "linux")]
    pub(super) fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().find_map(|word| word.parse().ok()).unwrap()
        };
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
        Self { resident_kb: field("VmRSS:"), descriptors, threads: field("Threads:") }
    }

    /// Once threads that have nothing to do have ended.
    pub(super) fn after_a_moment() -> Self {
        std::thread::sleep(Duration::from_millis(500));
        Self::now()
    }

    /// What there is once no more descriptors and threads are there than before, or after five seconds. A thread that
    /// was waited for stays in the kernel's count for a moment.
    pub(super) fn again(before: &Self) -> Self {
        let began = Instant::now();
        loop {
            let now = Self::now();
            let is_over = now.descriptors <= before.descriptors && now.threads <= before.threads;
            if is_over || began.elapsed() > Duration::from_secs(5) {
                return now;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn now() -> Self {
        Self { resident_kb: 0, descriptors: 0, threads: 0 }
    }
}

/// One call from INVITE to BYE, of these two managers; every eighth has a device for a while, every fifth rings at two
/// phones, every seventh is cancelled.
async fn one_call(n: usize, anna: &MediaManager, bert: &MediaManager) {
    let (ours, theirs) = (format!("a{n}"), format!("b{n}"));
    let dialogs = [DialogId::new("call", &ours, &theirs), DialogId::new("call", &theirs, &ours)];
    let offer = anna.offer(&half(&dialogs[0])).await.unwrap();
    if n.is_multiple_of(7) {
        anna.end(&half(&dialogs[0])).await.unwrap();
        return;
    }
    let answer = bert.answer(&dialogs[1], &offer).await.unwrap();
    anna.accept(&dialogs[0], &answer).await.unwrap();
    if n.is_multiple_of(5) {
        let other = format!("c{n}");
        let own = DialogId::new("call", &other, &ours);
        let answer = bert.answer(&own, &offer).await.unwrap();
        anna.accept(&dialogs[0].with_remote_tag(&other), &answer).await.unwrap();
        bert.end(&own).await.unwrap();
    }
    anna.confirm(&dialogs[0]).await.unwrap();
    if n.is_multiple_of(8) {
        anna.attach(&dialogs[0], Box::new(FileIo::null(8_000))).await.unwrap();
        bert.attach(&dialogs[1], Box::new(FileIo::null(8_000))).await.unwrap();
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    anna.end(&dialogs[0]).await.unwrap();
    bert.end(&dialogs[1]).await.unwrap();
}

async fn calls(range: std::ops::Range<usize>, sides: &[(MediaManager, Events); 2]) {
    const AT_ONCE: usize = 16;
    let mut running = tokio::task::JoinSet::new();
    for n in range {
        let (anna, bert) = (sides[0].0.clone(), sides[1].0.clone());
        running.spawn(async move { one_call(n, &anna, &bert).await });
        if running.len() >= AT_ONCE {
            running.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
    let began = Instant::now();
    while sides.iter().any(|(manager, _)| manager.sessions() > 0) {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            sides.each_ref().map(|(manager, _)| manager.sessions())
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// `count` calls after those that warm up, and as many again and again for so many seconds.
async fn come_and_go(warm: usize, count: usize, seconds: u64) {
    let codecs = [CodecFormat::pcmu()];
    // Nobody fetches their events: they are kept up to their number, and counted.
    let sides = [manager(&codecs), manager(&codecs)];
    calls(0..warm, &sides).await;
    let before = Has::now();
    let began = Instant::now();
    let mut next = warm;
    loop {
        calls(next..next + count, &sides).await;
        next += count;
        if began.elapsed().as_secs() >= seconds {
            break;
        }
        // Now and then, as people call, and not all the time.
        tokio::time::sleep(Duration::from_secs(5)).await;
        println!("{:?} after {:.0} s", Has::now(), began.elapsed().as_secs_f64());
    }
    let (after, count) = (Has::again(&before), next - warm);
    let lost = sides.each_ref().map(|(_, events)| events.dropped());
    println!(
        "{count} calls in {:.1} s: {before:?}, then {after:?}; {lost:?} events had no room",
        began.elapsed().as_secs_f64()
    );
    assert!(after.descriptors <= before.descriptors, "{before:?} {after:?}");
    assert!(after.threads <= before.threads, "{before:?} {after:?}");
    // The allocator keeps some, for as many calls as happened to be there at once; each that stayed would be 20 KB.
    let grown_kb = after.resident_kb.saturating_sub(before.resident_kb);
    assert!(grown_kb < 8_192, "{grown_kb} KB more: {before:?} {after:?}");
}

/// What a process of its own is told by: how many calls, and for how many seconds again and again.
const CALLS: &str = "MEDIA_CORE_MANAGER_CALLS";

/// Runs a test that is ignored in a process of its own, since other tests have descriptors and memory too, with a
/// setting; the line by which it tells what it found.
pub(super) fn in_a_process(test: &str, setting: (&str, String), tells: &str) {
    let own = std::env::current_exe().unwrap();
    let ran = std::process::Command::new(own)
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env(setting.0, setting.1)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    said.lines().filter(|line| line.contains(tells)).for_each(|line| println!("{line}"));
    assert!(ran.status.success() && said.contains(tells), "{said}{}", String::from_utf8_lossy(&ran.stderr));
}

fn calls_in_a_process(count: usize, seconds: u64) {
    in_a_process("many::calls_of_a_process", (CALLS, format!("{count} {seconds}")), "calls in");
}

#[test]
#[ignore = "is run in a process of its own by those below"]
fn calls_of_a_process() {
    let asked = std::env::var(CALLS).unwrap_or_default();
    let asked: Vec<u64> = asked.split(' ').filter_map(|number| number.parse().ok()).collect();
    let (count, seconds) = (asked.first().copied().unwrap_or(100) as usize, asked.get(1).copied().unwrap_or(0));
    // Threads that close devices end as soon as they have nothing to do.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_keep_alive(Duration::from_millis(50))
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(come_and_go((count / 4).clamp(500, 2_000), count, seconds));
}

#[test]
fn a_thousand_calls_leave_nothing() {
    calls_in_a_process(1_000, 0);
}

/// For `.ci/long`.
#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_calls_leave_nothing() {
    calls_in_a_process(100_000, 0);
}

/// For `.ci/long`.
#[test]
#[ignore = "takes an hour"]
fn an_hour_of_calls_leaves_nothing() {
    calls_in_a_process(2_000, 3_600);
}
