//! A monitor of a process's calls: the state of each now, and its quality in the last minute.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Interval, call_figures, each_interval};
use crate::calendar::date_time;
use crate::report::{FindingRow, maybe_micros};
use crate::session::driver::Status;
use crate::session::{CallStats, Protection};

/// Time from one moment of a call to the next.
const EVERY: Duration = Duration::from_secs(1);
/// The number of moments of a call that are kept.
const MOMENTS: usize = 60;
/// The number of finished calls that are still shown; the time limit is below.
const MOST_OVER: usize = 16;
const SHOWN: Duration = Duration::from_secs(300);
/// The most calls that are listed.
const MOST_TOLD: usize = 50;
/// The shortest silence of the other side, in ms, that the state mentions.
const SILENT_MS: u64 = 3_000;

/// The quality of a call in one second. A value that isn't known is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Moment {
    /// The moment, in ms since the driver began.
    pub at_ms: u64,
    /// The delay of the sound that is heard here, in ms: the delay of this side plus, once it is known, half of the round trip.
    #[serde(serialize_with = "maybe_micros")]
    pub delay_ms: Option<f64>,
    /// The share of packets that never came, in percent.
    #[serde(serialize_with = "maybe_micros")]
    pub lost_percent: Option<f64>,
    /// The share of sound that was concealed, in percent.
    #[serde(serialize_with = "maybe_micros")]
    pub concealed_percent: Option<f64>,
    /// The level of the loudspeaker in dBov, after its volume.
    #[serde(serialize_with = "maybe_micros")]
    pub level_dbov: Option<f64>,
    /// The MOS of this second alone: with delay if a round trip is known, else without.
    #[serde(serialize_with = "maybe_micros")]
    pub mos: Option<f64>,
    /// The delay of the sound that the other side hears, in ms: the delay that it reports of itself plus half of the round trip.
    #[serde(serialize_with = "maybe_micros")]
    pub remote_delay_ms: Option<f64>,
    /// The share of our packets that the other side lost by its last report, in percent.
    #[serde(serialize_with = "maybe_micros")]
    pub remote_lost_percent: Option<f64>,
    /// The level of the microphone in dBov, after its gain.
    #[serde(serialize_with = "maybe_micros")]
    pub microphone_dbov: Option<f64>,
    /// The other side's MOS of the whole call, by its last report (RFC 3611).
    #[serde(serialize_with = "maybe_micros")]
    pub remote_mos: Option<f64>,
}

impl Moment {
    /// Computes the difference between two snapshots of a call.
    pub fn between(earlier: &CallStats, status: &Status) -> Self {
        let stats = &status.stats;
        let interval = Interval::between(earlier, stats);
        let half_way_ms = stats.round_trip.map_or(0.0, |trip| trip.as_micros() as f64 / 2e3);
        let told = stats.remote_voip;
        let remote_end_ms = told.map(|voip| f64::from(voip.end_system_delay_ms)).filter(|ms| *ms > 0.0);
        let tenths = |tenths: u8| f64::from(tenths) / 10.0;
        Self {
            at_ms: status.elapsed.as_micros() / 1_000,
            delay_ms: (interval.bursts.expected > 0).then_some(half_way_ms + interval.end_system_delay_ms),
            lost_percent: interval.lost_percent(),
            concealed_percent: interval.concealed_percent(),
            level_dbov: level(status.speaker_level),
            mos: interval.mos_cq.or(interval.mos_lq),
            remote_delay_ms: remote_end_ms.map(|end_ms| half_way_ms + end_ms),
            remote_lost_percent: stats.remote_fraction_lost.map(|lost| f64::from(lost) * 100.0),
            microphone_dbov: level(status.microphone_level),
            remote_mos: told.and_then(|voip| voip.mos_cq_tenths.or(voip.mos_lq_tenths)).map(tenths),
        }
    }
}

/// Returns a level in dBov from one in hundredths of a dBov; `None` where nothing was measured.
fn level(hundredths: i16) -> Option<f64> {
    (hundredths > -12_700).then_some(f64::from(hundredths) / 100.0)
}

/// The description of a call that a [`Monitor`] shows beside its statistics. Everybody who may look at the monitor sees it.
#[non_exhaustive]
pub struct Watched {
    /// The name of the call.
    pub name: String,
    /// The rate of the call's sound, in Hz.
    pub rate_hz: u32,
    /// A closure that returns the codec in words whenever it is asked.
    pub codec: Box<dyn Fn() -> String + Send + Sync>,
}

impl Watched {
    /// Creates a call with this name, this rate in Hz, and a closure that returns its codec in words.
    pub fn new(name: impl Into<String>, rate_hz: u32, codec: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self { name: name.into(), rate_hz, codec: Box::new(codec) }
    }
}

struct Shown {
    about: Watched,
    before: CallStats,
    last: Status,
    moments: VecDeque<Moment>,
    over: Option<Instant>,
}

#[derive(Default)]
struct Calls {
    last_number: u32,
    shown: BTreeMap<u32, Shown>,
}

/// The watched calls of a process, with the last minute of each. Clones are the same monitor.
///
/// ```
/// use host_std::monitoring::{Monitor, Watched};
/// use host_std::session::driver::Status;
/// use tokio::sync::watch;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let monitor = Monitor::new();
/// // What a driver shows of its call.
/// let (_status, shown) = watch::channel(Status::default());
/// let number = monitor.watch(Watched::new("to Bert", 8_000, || "PCMU/8000".into()), shown);
/// let told = monitor.to_json(false);
/// assert_eq!((number, told["calls"].as_array().map(Vec::len)), (1, Some(1)));
/// assert!(told.to_string().contains("to Bert"));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Monitor {
    calls: Arc<Mutex<Calls>>,
}

impl Monitor {
    /// Creates a monitor without calls.
    pub fn new() -> Self {
        Self::default()
    }

    /// Watches one more call until it is over, on a task of its own, and returns the call's number, which counts from
    /// 1.
    ///
    /// # Panics
    /// Panics if it is called outside a tokio runtime.
    pub fn watch(&self, about: Watched, status: watch::Receiver<Status>) -> u32 {
        let number = self.insert(about, *status.borrow());
        let monitor = self.clone();
        tokio::spawn(async move {
            each_interval(status, EVERY, |status, over| monitor.note(number, status, over)).await;
        });
        number
    }

    fn insert(&self, about: Watched, last: Status) -> u32 {
        let mut calls = self.lock();
        calls.last_number += 1;
        let (number, before) = (calls.last_number, CallStats::default());
        calls.shown.insert(number, Shown { about, before, last, moments: VecDeque::new(), over: None });
        number
    }

    fn note(&self, number: u32, status: &Status, over: bool) {
        let mut calls = self.lock();
        let Some(shown) = calls.shown.get_mut(&number) else { return };
        // The last fraction of a second is too short to be rated.
        if !over {
            if shown.moments.len() == MOMENTS {
                shown.moments.pop_front();
            }
            shown.moments.push_back(Moment::between(&shown.before, status));
            shown.before = status.stats;
        }
        shown.last = *status;
        shown.over = over.then(Instant::now);
        calls.clean();
    }

    /// The state of all calls as JSON, as the page gets it: the newest first, and those that are over at the end. With
    /// `all` each call has all of its moments that are kept, otherwise only the last three.
    pub fn to_json(&self, all: bool) -> Value {
        let mut calls = self.lock();
        calls.clean();
        let mut told: Vec<_> = calls.shown.iter().collect();
        told.sort_by_key(|(number, shown)| (shown.over.is_some(), std::cmp::Reverse(**number)));
        let more = told.len().saturating_sub(MOST_TOLD);
        let told: Vec<_> =
            told.into_iter().take(MOST_TOLD).map(|(number, shown)| shown.to_json(*number, all)).collect();
        json!({ "at": date_time(SystemTime::now()), "calls": told, "not_told": more })
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calls {
    /// Forgets calls that have been over for too long, and the oldest of those that are too many.
    fn clean(&mut self) {
        let is_over = |shown: &Shown| shown.over.is_some();
        self.shown.retain(|_, shown| shown.over.is_none_or(|over| over.elapsed() < SHOWN));
        let over = self.shown.values().filter(|shown| is_over(shown)).count();
        for _ in MOST_OVER..over {
            let oldest = self.shown.iter().filter(|(_, shown)| is_over(shown)).min_by_key(|(_, shown)| shown.over);
            let Some((&oldest, _)) = oldest else { return };
            self.shown.remove(&oldest);
        }
    }
}

impl Shown {
    fn to_json(&self, number: u32, all: bool) -> Value {
        let mut call = status_json(&self.last, self.about.rate_hz);
        call["number"] = json!(number);
        call["name"] = json!(self.about.name);
        call["codec"] = json!((self.about.codec)());
        let skipped = if all { 0 } else { self.moments.len().saturating_sub(3) };
        call["moments"] = json!(self.moments.iter().skip(skipped).collect::<Vec<_>>());
        call
    }
}

/// Returns the state of a call as JSON: in words, with all numbers under `figures` ([`call_figures`]). `rate_hz` is the rate of
/// the call's sound, in Hz.
pub fn status_json(status: &Status, rate_hz: u32) -> Value {
    let (state, words) = state(status);
    json!({
        "state": state,
        "words": words,
        "elapsed_ms": status.elapsed.as_micros() / 1_000,
        "muted": status.muted,
        "protection": status.stats.protection.map(protection),
        "figures": call_figures(&status.stats, rate_hz),
        "findings": status.stats.findings().map(FindingRow::from).map(|row| row.words).collect::<Vec<_>>(),
    })
}

/// Returns the state of a call, in one word and in a sentence.
fn state(status: &Status) -> (&'static str, String) {
    let stats = &status.stats;
    let (sends, receives) = (stats.directions.sends, stats.directions.receives);
    let silent_ms = status.silence.map_or(0, |silence| silence.as_millis());
    if let Some(reason) = status.ended {
        return ("ended", format!("ended: {}", reason.words));
    }
    match stats.protection {
        None => ("connecting", "not agreed on yet".into()),
        Some(Protection::Waiting) => ("connecting", "waiting for keys".into()),
        _ if !sends && !receives => ("held", "on hold".into()),
        _ if !receives => ("held", "on hold here: nothing is to come".into()),
        _ if stats.last_heard.is_none() => ("connecting", "nothing has come of the other side yet".into()),
        _ if silent_ms >= SILENT_MS => {
            ("silent", format!("nothing has come of the other side for {} s", silent_ms / 1_000))
        }
        _ if !sends => ("held", "held by the other side: nothing is sent".into()),
        _ if status.muted => ("talking", "connected; the microphone is muted here".into()),
        _ => ("talking", "connected".into()),
    }
}

fn protection(protection: Protection) -> String {
    match protection {
        Protection::Plain => "plain RTP".into(),
        Protection::Waiting => "no keys yet".into(),
        Protection::Srtp(profile) => format!("SRTP, {}", profile.sdes_name()),
        Protection::Own => "its own".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Ending;
    use dsp_core::time::{Duration as Span, Instant as MediaTime};

    fn status() -> Status {
        let mut status = Status::default();
        status.stats.protection = Some(Protection::Plain);
        status.stats.directions = crate::session::Directions { sends: true, receives: true };
        status.stats.last_heard = Some(MediaTime::ZERO);
        status
    }

    #[test]
    fn each_state_has_its_words() {
        let well = status();
        assert_eq!(state(&well), ("talking", "connected".into()));
        assert!(state(&Status { muted: true, ..well }).1.contains("microphone is muted"));
        assert_eq!(state(&Status { silence: Some(Span::from_secs(7)), ..well }).0, "silent");
        assert_eq!(
            state(&Status { ended: Some(Ending::Goodbye.reason()), ..well }),
            ("ended", "ended: the other side hung up".into())
        );
        let mut held = well;
        held.stats.directions.receives = false;
        assert_eq!(state(&held).0, "held");
        let mut waiting = well;
        waiting.stats.protection = Some(Protection::Waiting);
        assert_eq!(state(&waiting).0, "connecting");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let monitor = Monitor::new();
        let watched = |name: &str| Watched::new(name, 8_000, || "PCMU/8000".to_owned());
        let long = monitor.insert(watched("long"), status());
        for _ in 0..40 {
            let short = monitor.insert(watched("short"), status());
            monitor.note(short, &status(), true);
        }
        for _ in 0..200 {
            monitor.note(long, &status(), false);
        }
        let told = monitor.to_json(true);
        let calls = told["calls"].as_array().unwrap();
        assert_eq!((calls.len(), &calls[0]["name"]), (1 + MOST_OVER, &json!("long")));
        assert_eq!(calls[0]["moments"].as_array().unwrap().len(), MOMENTS);
        assert_eq!(monitor.to_json(false)["calls"][0]["moments"].as_array().unwrap().len(), 3);
        for _ in 0..60 {
            monitor.insert(watched("more"), status());
        }
        let told = monitor.to_json(false);
        assert_eq!(
            (told["calls"].as_array().unwrap().len(), &told["not_told"]),
            (MOST_TOLD, &json!(61 + MOST_OVER - MOST_TOLD))
        );
    }
}
