//! Two managers over sockets of this machine, with real sound: each end says a tone, and what it hears is looked at.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use host_std::device::AudioIo;
use host_std::manager::{Change, DialogId, EventKind, Events, ManagerConfig, ManagerError, MediaManager};
use host_std::registry::CodecFormat;
use host_std::session::driver;
use host_std::session::{CallConfig, Channel};
use host_std::wav::WavFrames;

use super::world::{RATE_HZ, half, names, share};

/// A device that says a tone, or what it is given, and keeps what it hears.
struct Tone {
    said: Vec<i16>,
    next: usize,
    heard: Heard,
}

#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<i16>>>);

impl Heard {
    /// Whether this tone, and hardly anything else, was heard in the last `ms`.
    pub(super) fn hears(&self, tone_hz: f64, ms: usize) -> bool {
        let (share, power) = self.share(tone_hz, ms);
        share > 0.8 && power > 1e5
    }

    pub(super) fn share(&self, tone_hz: f64, ms: usize) -> (f64, f64) {
        let heard = self.0.lock().unwrap();
        share(&heard[heard.len().saturating_sub(ms * RATE_HZ as usize / 1_000)..], tone_hz)
    }

    /// The longest run of ticks in which less than a fifth of the usual sound was heard, since this sample.
    pub(super) fn longest_gap_ms(&self, since: usize) -> usize {
        let heard = self.0.lock().unwrap();
        let (mut longest, mut gap) = (0, 0);
        for tick in heard[since.min(heard.len())..].chunks(RATE_HZ as usize / 100) {
            let peak = tick.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
            gap = if peak < 1_600 { gap + 10 } else { 0 };
            longest = longest.max(gap);
        }
        longest
    }

    /// All of it.
    pub(super) fn all(&self) -> Vec<i16> {
        self.0.lock().unwrap().clone()
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl AudioIo for Tone {
    fn sample_rate_hz(&self) -> u32 {
        RATE_HZ
    }
    fn read(&mut self, pcm: &mut [i16]) -> usize {
        for sample in &mut *pcm {
            *sample = self.said[self.next % self.said.len()];
            self.next += 1;
        }
        pcm.len()
    }
    fn write(&mut self, pcm: &[i16]) -> usize {
        self.heard.0.lock().unwrap().extend(pcm);
        pcm.len()
    }
}

/// A second of it, which joins its own beginning.
pub(super) fn tone(tone_hz: u32) -> Vec<i16> {
    let sample = |n| (f64::from(n) * f64::from(tone_hz) / f64::from(RATE_HZ) * std::f64::consts::TAU).sin();
    (0..RATE_HZ).map(|n| (sample(n) * 8_000.0) as i16).collect()
}

pub(super) fn device(said: Vec<i16>) -> (Box<dyn AudioIo>, Heard) {
    let heard = Heard::default();
    (Box::new(Tone { said, next: 0, heard: heard.clone() }), heard)
}

pub(super) fn manager(codecs: &[CodecFormat]) -> (MediaManager, Events) {
    let config = ManagerConfig::new().unwrap();
    let call = CallConfig { codecs: codecs.to_vec(), ..config.call.clone() };
    MediaManager::new(config.with_call(call))
}

async fn sleep(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Two managers that talk, and what each hears.
async fn connected(dialogs: &[DialogId; 2]) -> ([MediaManager; 2], [Events; 2], [Heard; 2]) {
    let codecs = [CodecFormat::pcmu(), CodecFormat::pcma()];
    let ((anna, anna_events), (bert, bert_events)) = (manager(&codecs), manager(&codecs));
    let offer = anna.offer(&half(&dialogs[0])).await.unwrap();
    let answer = bert.answer(&dialogs[1], &offer).await.unwrap();
    anna.accept(&dialogs[0], &answer).await.unwrap();
    anna.confirm(&dialogs[0]).await.unwrap();
    let ((audio, anna_heard), (other, bert_heard)) = (device(tone(400)), device(tone(700)));
    anna.attach(&dialogs[0], audio).await.unwrap();
    bert.attach(&dialogs[1], other).await.unwrap();
    ([anna, bert], [anna_events, bert_events], [anna_heard, bert_heard])
}

fn kinds(events: &mut Events) -> Vec<EventKind> {
    std::iter::from_fn(|| events.try_next()).map(|event| event.kind).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_from_invite_to_bye() {
    let dialogs = names();
    let ([anna, bert], mut events, heard) = connected(&dialogs).await;
    sleep(1_000).await;
    assert!(heard[0].hears(700.0, 300) && heard[1].hears(400.0, 300));
    let again = bert.answer(&dialogs[1], "v=0").await;
    assert!(matches!(again, Err(ManagerError::Exists)));

    // Hold and resume.
    let offer = anna.reoffer(&dialogs[0], Change::hold()).await.unwrap();
    let answer = bert.reanswer(&dialogs[1], &offer).await.unwrap();
    anna.accept(&dialogs[0], &answer).await.unwrap();
    sleep(500).await;
    assert!(!heard[0].hears(700.0, 200) && heard[1].hears(400.0, 200));
    let offer = anna.reoffer(&dialogs[0], Change::resume()).await.unwrap();
    let answer = bert.reanswer(&dialogs[1], &offer).await.unwrap();
    anna.accept(&dialogs[0], &answer).await.unwrap();
    sleep(500).await;
    assert!(heard[0].hears(700.0, 200) && heard[1].hears(400.0, 200));
    let told = kinds(&mut events[1]);
    assert_eq!(told, [EventKind::FirstPacket, EventKind::RemoteHold, EventKind::RemoteResume]);

    let ended = anna.end(&dialogs[0]).await.unwrap();
    // Of a second and a half; on hold nothing comes.
    assert!(ended.stats.unwrap().total.received > 60);
    sleep(200).await;
    assert_eq!(bert.stats(&dialogs[1]).await.unwrap().goodbyes, 1, "the BYE of RTCP");
    bert.end(&dialogs[1]).await.unwrap();
    sleep(200).await;
    assert_eq!((anna.sessions(), bert.sessions()), (0, 0));
    let gone = bert.reanswer(&dialogs[1], &offer).await;
    assert_eq!(gone.unwrap_err().status(), 481);
    assert_eq!((events[0].dropped(), events[1].dropped()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_early_medias_and_one_chosen() {
    let invite = DialogId::half("fork", "anna");
    let (anna, _events) = manager(&[CodecFormat::pcmu()]);
    let offer = anna.offer(&invite).await.unwrap();
    let mut phones = Vec::new();
    for (tag, tone_hz) in [("desk", 600), ("mobile", 1_000)] {
        let (phone, events) = manager(&[CodecFormat::pcmu()]);
        let own = DialogId::new("fork", tag, "anna");
        let answer = phone.answer(&own, &offer).await.unwrap();
        let (audio, heard) = device(tone(tone_hz));
        phone.attach(&own, audio).await.unwrap();
        anna.accept(&invite.with_remote_tag(tag), &answer).await.unwrap();
        phones.push((phone, own, heard, events));
        if tag == "desk" {
            let (audio, heard) = device(tone(400));
            anna.attach(&invite, audio).await.unwrap();
            sleep(600).await;
            assert!(heard.hears(600.0, 200), "early media of the first");
            phones[0].2.hears(400.0, 200);
            // Kept for later.
            phones.push((anna.clone(), invite.clone(), heard, manager(&[]).1));
        }
    }
    let [desk, caller, mobile] = &phones[..] else { unreachable!() };
    sleep(600).await;
    assert!(caller.2.hears(600.0, 200), "still the first: {:?}", caller.2.share(600.0, 200));
    let dialog = invite.with_remote_tag("mobile");
    anna.listen_to(&dialog).await.unwrap();
    sleep(500).await;
    assert!(caller.2.hears(1_000.0, 200), "early media of the second");
    let since = caller.2.len();
    anna.confirm(&dialog).await.unwrap();
    sleep(600).await;
    assert!(caller.2.hears(1_000.0, 200) && mobile.2.hears(400.0, 200));
    assert!(caller.2.longest_gap_ms(since) <= 20, "{} ms without sound", caller.2.longest_gap_ms(since));
    assert_eq!(desk.0.stats(&desk.1).await.unwrap().goodbyes, 1, "the other phone is told");
    assert!(!desk.2.hears(400.0, 200));
    let gone = anna.stats(&invite.with_remote_tag("desk")).await;
    assert!(matches!(gone, Err(ManagerError::UnknownDialog)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_reinvite_is_not_heard() {
    let dialogs = names();
    let ([anna, bert], mut events, heard) = connected(&dialogs).await;
    sleep(1_000).await;
    let running = |call: &mut host_std::session::Call, _| {
        (call.srtp_keys(Channel::Rtp).cloned(), call.sent_source(0), call.stats().keyed, call.receives_at())
    };
    let before = [anna.with(&dialogs[0], running).await.unwrap(), bert.with(&dialogs[1], running).await.unwrap()];
    let since = [heard[0].len(), heard[1].len()];
    let packets = anna.stats(&dialogs[0]).await.unwrap().total.received;
    let changes = [
        Change::hold().with_fresh_keys().with_codecs([CodecFormat::pcma()]),
        Change::inactive(),
        Change::default().with_codecs([CodecFormat::g722(), CodecFormat::pcma()]),
    ];
    for change in changes {
        anna.reoffer(&dialogs[0], change).await.unwrap();
        sleep(150).await;
        anna.withdraw(&dialogs[0]).await.unwrap();
        // And one that our side refuses.
        let useless = bert.reanswer(&dialogs[1], "v=0\r\no=- 1 9 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n").await;
        assert_eq!(useless.unwrap_err().status(), 488);
        sleep(150).await;
    }
    let after = [anna.with(&dialogs[0], running).await.unwrap(), bert.with(&dialogs[1], running).await.unwrap()];
    assert_eq!(before, after);
    let stats = anna.stats(&dialogs[0]).await.unwrap();
    assert!(stats.total.received - packets >= 40, "{} packets in 900 ms", stats.total.received - packets);
    assert_eq!((stats.refused, stats.total.restarts, stats.total.ssrc_changes), (0, 0, 0));
    for side in [0, 1] {
        assert!(heard[side].longest_gap_ms(since[side]) <= 20, "{} ms", heard[side].longest_gap_ms(since[side]));
        assert_eq!(kinds(&mut events[side]), [EventKind::FirstPacket]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_moves_to_another_network_and_back_if_it_may_not() {
    let dialogs = names();
    let ([anna, bert], _events, heard) = connected(&dialogs).await;
    sleep(600).await;
    let local: IpAddr = [127, 0, 0, 2].into();
    // Refused: the new sockets go.
    anna.move_to(&dialogs[0], local).await.unwrap();
    sleep(100).await;
    anna.withdraw(&dialogs[0]).await.unwrap();
    sleep(400).await;
    assert!(heard[0].hears(700.0, 200) && heard[1].hears(400.0, 200));
    let since = [heard[0].len(), heard[1].len()];
    let offer = anna.move_to(&dialogs[0], local).await.unwrap();
    assert!(offer.contains("c=IN IP4 127.0.0.2"), "{offer}");
    sleep(100).await;
    let answer = bert.reanswer(&dialogs[1], &offer).await.unwrap();
    sleep(100).await;
    anna.accept(&dialogs[0], &answer).await.unwrap();
    sleep(600).await;
    assert!(heard[0].hears(700.0, 200) && heard[1].hears(400.0, 200));
    let gaps = [heard[0].longest_gap_ms(since[0]), heard[1].longest_gap_ms(since[1])];
    assert!(gaps.iter().all(|gap| *gap <= 40), "{gaps:?} ms without sound");
    let to = bert.with(&dialogs[1], |call, _| call.destination(Channel::Rtp)).await.unwrap();
    assert_eq!(to.unwrap().ip(), local);
    // Once the old sockets have lingered, nothing of them is left.
    sleep(2_500).await;
    assert!(heard[0].hears(700.0, 200) && heard[1].hears(400.0, 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_gives_the_device_to_another_dialog() {
    let dialogs = names();
    let ([anna, bert], _events, heard) = connected(&dialogs).await;
    sleep(500).await;
    anna.control(&dialogs[0], driver::Command::Volume(-600)).await.unwrap();
    // Anna is transferred to Carla: a new dialog takes the place of the one with Bert.
    let (carla, _carla_events) = manager(&[CodecFormat::pcmu()]);
    let ours = DialogId::new("transfer", "anna2", "carla");
    let theirs = DialogId::new("transfer", "carla", "anna2");
    let offer = anna.offer(&half(&ours)).await.unwrap();
    let answer = carla.answer(&theirs, &offer).await.unwrap();
    let (audio, carla_heard) = device(tone(1_000));
    carla.attach(&theirs, audio).await.unwrap();
    anna.accept(&ours, &answer).await.unwrap();
    anna.confirm(&ours).await.unwrap();
    assert!(matches!(anna.replace(&dialogs[0], &half(&theirs)).await, Err(ManagerError::UnknownDialog)));
    assert!(matches!(anna.replace(&ours, &dialogs[0]).await, Err(ManagerError::NoDevice)));
    let since = heard[0].len();
    anna.replace(&dialogs[0], &ours).await.unwrap();
    anna.end(&dialogs[0]).await.unwrap();
    sleep(800).await;
    assert!(heard[0].hears(1_000.0, 300), "{:?}", heard[0].share(1_000.0, 300));
    assert!(carla_heard.hears(400.0, 300) && !heard[1].hears(400.0, 300));
    assert!(heard[0].len() - since > 5_500, "the device has ticked on: {}", heard[0].len() - since);
    let (_, power) = heard[0].share(1_000.0, 200);
    assert!((6e6..1e7).contains(&power), "the volume is still 6 dB lower: {power}");
    assert_eq!(bert.stats(&dialogs[1]).await.unwrap().goodbyes, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parked_and_fetched_again() {
    let dialogs = names();
    let ([anna, bert], _events, heard) = connected(&dialogs).await;
    sleep(500).await;
    let audio = anna.detach(&dialogs[0]).await.unwrap();
    assert!(matches!(anna.detach(&dialogs[0]).await, Err(ManagerError::NoDevice)));
    let since = heard[0].len();
    sleep(2_000).await;
    assert_eq!(heard[0].len(), since, "nothing ticks");
    assert!(!heard[1].hears(400.0, 200));
    anna.attach(&dialogs[0], audio).await.unwrap();
    let (second, _) = device(tone(800));
    assert!(matches!(anna.attach(&dialogs[0], second).await, Err(ManagerError::HasDevice)));
    sleep(700).await;
    assert!(heard[0].hears(700.0, 200) && heard[1].hears(400.0, 200));
    let stats = bert.stats(&dialogs[1]).await.unwrap();
    assert_eq!((stats.total.restarts, stats.total.time_jumps), (0, 0), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_held_hears_the_file() {
    let folder = std::env::temp_dir().join(format!("media-core-manager-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("music.wav");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(&path, spec).unwrap();
    for n in 0..16_000 {
        let x = f64::from(n) * 1_000.0 / 16_000.0 * std::f64::consts::TAU;
        file.write_sample((x.sin() * 8_000.0) as i16).unwrap();
    }
    file.finalize().unwrap();
    assert!(WavFrames::open(&path, RATE_HZ, 1).is_ok());

    let dialogs = names();
    let mut config = ManagerConfig::new().unwrap();
    config.call.codecs = vec![CodecFormat::pcmu()];
    config.music = Some(path);
    let (anna, _anna_events) = MediaManager::new(config);
    let (bert, _bert_events) = manager(&[CodecFormat::pcmu()]);
    let offer = anna.offer(&half(&dialogs[0])).await.unwrap();
    let answer = bert.answer(&dialogs[1], &offer).await.unwrap();
    anna.accept(&dialogs[0], &answer).await.unwrap();
    anna.confirm(&dialogs[0]).await.unwrap();
    let ((audio, _), (other, heard)) = (device(tone(400)), device(tone(700)));
    anna.attach(&dialogs[0], audio).await.unwrap();
    bert.attach(&dialogs[1], other).await.unwrap();
    for (change, tone_hz) in [(Change::hold(), 1_000.0), (Change::resume(), 400.0)] {
        let offer = anna.reoffer(&dialogs[0], change).await.unwrap();
        let answer = bert.reanswer(&dialogs[1], &offer).await.unwrap();
        anna.accept(&dialogs[0], &answer).await.unwrap();
        sleep(700).await;
        assert!(heard.hears(tone_hz, 300), "{:?}", heard.share(tone_hz, 300));
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_offer_over_sockets() {
    let dialogs = names();
    let codecs = [CodecFormat::pcmu()];
    let ((anna, _a), (bert, _b)) = (manager(&codecs), manager(&codecs));
    let offer = bert.offer(&dialogs[1]).await.unwrap();
    let answer = anna.answer(&dialogs[0], &offer).await.unwrap();
    bert.accept(&dialogs[1], &answer).await.unwrap();
    let ((audio, anna_heard), (other, bert_heard)) = (device(tone(400)), device(tone(700)));
    anna.attach(&dialogs[0], audio).await.unwrap();
    bert.attach(&dialogs[1], other).await.unwrap();
    sleep(700).await;
    assert!(anna_heard.hears(700.0, 200) && bert_heard.hears(400.0, 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_says_goodbye_to_all_in_time() {
    let codecs = [CodecFormat::pcmu()];
    let ((anna, _a), (bert, _b)) = (manager(&codecs), manager(&codecs));
    let mut dialogs = Vec::new();
    for n in 0..20 {
        let (ours, theirs) = (format!("a{n}"), format!("b{n}"));
        let pair = [DialogId::new("many", &ours, &theirs), DialogId::new("many", &theirs, &ours)];
        let offer = anna.offer(&half(&pair[0])).await.unwrap();
        let answer = bert.answer(&pair[1], &offer).await.unwrap();
        anna.accept(&pair[0], &answer).await.unwrap();
        anna.confirm(&pair[0]).await.unwrap();
        if n % 2 == 0 {
            anna.attach(&pair[0], device(tone(400)).0).await.unwrap();
        }
        dialogs.push(pair);
    }
    // One that nobody has answered.
    anna.offer(&DialogId::half("ringing", "anna")).await.unwrap();
    sleep(300).await;
    let began = std::time::Instant::now();
    let shutdown = anna.shutdown(Duration::from_secs(2)).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!((shutdown.ended, shutdown.aborted, anna.sessions()), (21, 0, 0));
    sleep(200).await;
    let mut spoken = 0;
    for pair in &dialogs {
        let stats = bert.stats(&pair[1]).await.unwrap();
        // Who has never said anything needs no goodbye (RFC 3550, 6.3.7).
        let spoke = stats.total.received > 0;
        assert_eq!(stats.goodbyes, u32::from(spoke), "{}", pair[1]);
        spoken += usize::from(spoke);
    }
    assert_eq!(spoken, 10);
    assert!(matches!(anna.offer(&DialogId::half("late", "anna")).await, Err(ManagerError::Closing)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_stuck_is_cut_off() {
    let dialogs = names();
    let ([anna, _bert], _events, _heard) = connected(&dialogs).await;
    let stuck = anna.clone();
    let dialog = dialogs[0].clone();
    tokio::spawn(async move { stuck.with(&dialog, |_, _| std::thread::sleep(Duration::from_secs(3))).await });
    sleep(100).await;
    let began = std::time::Instant::now();
    let shutdown = anna.shutdown(Duration::from_millis(500)).await;
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!((shutdown.ended, shutdown.aborted), (0, 1));
    // Cut off as soon as its thread is back.
    sleep(3_200).await;
    assert_eq!(anna.sessions(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_full_or_unknown_says_so() {
    let mut config = ManagerConfig::new().unwrap();
    config.most_sessions = 1;
    let (anna, _events) = MediaManager::new(config);
    let [dialog, other] = names();
    assert!(matches!(anna.answer(&dialog, "v=0").await, Err(ManagerError::Call(_))));
    sleep(100).await;
    assert_eq!(anna.sessions(), 0, "nothing is left of an offer that was useless");
    anna.offer(&half(&dialog)).await.unwrap();
    assert!(matches!(anna.offer(&half(&dialog)).await, Err(ManagerError::Exists)));
    let full = anna.offer(&half(&other)).await.unwrap_err();
    assert!(matches!(full, ManagerError::Full { most: 1 }) && full.status() == 486);
    for unknown in [
        anna.accept(&other, "v=0").await.unwrap_err(),
        anna.reoffer(&other, Change::hold()).await.unwrap_err(),
        anna.reoffer(&dialog, Change::hold()).await.unwrap_err(),
        anna.end(&other).await.unwrap_err(),
        anna.confirm(&dialog).await.unwrap_err(),
    ] {
        assert!(matches!(unknown, ManagerError::UnknownDialog), "{unknown:?}");
    }
    anna.end(&half(&dialog)).await.unwrap();
    sleep(100).await;
    assert_eq!(anna.sessions(), 0);

    let mut config = ManagerConfig::new().unwrap();
    config.sockets.ports = host_std::sockets::Ports::Range(39_000..=39_001);
    let (one, _events) = MediaManager::new(config);
    one.offer(&half(&dialog)).await.unwrap();
    let exhausted = one.offer(&half(&other)).await.unwrap_err();
    assert!(matches!(exhausted, ManagerError::Socket(_)) && exhausted.status() == 503, "{exhausted:?}");
    one.end(&half(&dialog)).await.unwrap();
    sleep(100).await;
    one.offer(&half(&other)).await.expect("its port is free again");
}
