//! A report on a conference for people and programs: who was heard, when and by whom. `conference.json`, `conference.html`, and a
//! table for the terminal.
//!
//! Times are in ms since the conference began. A *stretch* is a pair of them: from when on, and until when.

use std::fmt;
use std::io;
use std::path::Path;

use serde::Serialize;

use super::html::{begin, close, escape, put, put_cards, settings};
use super::json::{maybe_micros, micros, rows_from};
use super::kept::KeptReport;
use crate::output;

/// Nesting from which the JSON has values on one line: a list of a caller's.
const ROW_DEPTH: usize = 3;
/// The dimensions of the picture, in its own units: the names on the left, a row, the whole.
const NAMES: f64 = 110.0;
const ROW: f64 = 26.0;
const WIDTH: f64 = 1_060.0;

/// Stretches of time, ever growing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Stretches(pub Vec<[u64; 2]>);

impl Stretches {
    /// Says whether it was so from `now_ms` on, for this many ms. Call it in the order of time.
    pub fn mark(&mut self, now_ms: u64, length_ms: u64, yes: bool) {
        if !yes {
            return;
        }
        match self.0.last_mut() {
            Some(last) if last[1] == now_ms => last[1] += length_ms,
            _ => self.0.push([now_ms, now_ms + length_ms]),
        }
    }

    /// Returns the length of all stretches together, in ms.
    pub fn total_ms(&self) -> u64 {
        self.0.iter().map(|[begin, end]| end - begin).sum()
    }

    /// Returns the total length of the stretches between `from_ms` and `until_ms`, in ms.
    pub fn within_ms(&self, from_ms: u64, until_ms: u64) -> u64 {
        self.0.iter().map(|[begin, end]| (*end).min(until_ms).saturating_sub((*begin).max(from_ms))).sum()
    }
}

/// One caller of a conference.
#[derive(Clone, Debug, Serialize)]
pub struct CallerReport {
    /// The number of the caller, from 1 in the order of joining.
    pub caller: usize,
    /// The codec of his call.
    pub codec: String,
    /// The rate of his call's sound, in Hz.
    pub sample_rate_hz: u32,
    /// The time at which he joined, in ms.
    pub joined_ms: u64,
    /// The time at which he left, in ms; `None` if he stayed to the end.
    pub left_ms: Option<u64>,
    /// The times at which he spoke, in ms.
    pub spoke_ms: Stretches,
    /// The times at which his own packets said that he speaks (RFC 6464); empty where they don't contain it.
    pub said_speaking_ms: Stretches,
    /// The times at which the others heard him.
    pub heard_by_others_ms: Stretches,
    /// The times at which he was the active speaker.
    pub active_speaker_ms: Stretches,
    /// The time for which he heard each caller speak, in ms, in the order of callers; 0 for himself.
    pub hears_ms: Vec<u64>,
    /// The time for which his packets named each caller as part of the sound, louder than silence (RFC 6465), in ms, in the order
    /// of callers; zeros where they name no caller.
    pub named_ms: Vec<u64>,
    /// The number of samples of his own sound that were at full scale.
    pub clipped_samples: u64,
    /// Packets that he received.
    pub packets_received: u64,
    /// Packets to him that were lost.
    pub packets_lost: u64,
    /// The duration of the sound that he heard concealed, in ms.
    pub concealed_ms: u64,
    /// The MOS of what he heard, by the E-model; `None` if it isn't known.
    #[serde(serialize_with = "maybe_micros")]
    pub mos: Option<f64>,
    /// The file of what he heard, which begins when he joined.
    pub heard: String,
    /// The file of what he said, which begins when he joined.
    pub said: String,
}

/// The report of a conference.
#[derive(Clone, Debug, Serialize)]
pub struct ConferenceReport {
    /// The length of the conference, in seconds.
    #[serde(serialize_with = "micros")]
    pub seconds: f64,
    /// The rate of the mix, in Hz.
    pub sample_rate_hz: u32,
    /// The time for which the limiter worked, in ms.
    pub limited_ms: u64,
    /// Settings, name and value, in the order to show.
    pub settings: Vec<(String, String)>,
    /// All participants.
    pub callers: Vec<CallerReport>,
    /// Recordings and forks, if there were any.
    #[serde(skip_serializing_if = "KeptReport::is_empty")]
    pub kept: KeptReport,
}

impl ConferenceReport {
    /// Fills [`CallerReport::hears_ms`] from the times at which callers were heard and present.
    pub fn count_hearers(&mut self) {
        let end_ms = (self.seconds * 1e3) as u64;
        let heard: Vec<Stretches> = self.callers.iter().map(|caller| caller.heard_by_others_ms.clone()).collect();
        for (listener, caller) in self.callers.iter_mut().enumerate() {
            let until_ms = caller.left_ms.unwrap_or(end_ms);
            let from = |(talker, heard): (usize, &Stretches)| {
                if talker == listener { 0 } else { heard.within_ms(caller.joined_ms, until_ms) }
            };
            caller.hears_ms = heard.iter().enumerate().map(from).collect();
        }
    }

    /// Returns the report as JSON.
    pub fn to_json(&self) -> String {
        rows_from(ROW_DEPTH, self)
    }

    /// Returns the report as a page that needs no other file but the sound beside it.
    pub fn to_html(&self) -> String {
        let mut page = String::new();
        begin(&mut page, &format!("Conference of {}", self.callers.len()), "conference report");
        put(
            &mut page,
            format_args!("<p class=\"lead\">{:.1} seconds at {} Hz</p>\n", self.seconds, self.sample_rate_hz),
        );
        settings(&mut page, &self.settings);
        page += "</header>\n";
        self.time_line(&mut page);
        self.matrix(&mut page);
        self.sound(&mut page);
        self.kept.section(&mut page);
        close(&mut page, "The same numbers are in conference.json.");
        page
    }

    /// Writes `conference.json` and `conference.html` into the folder `dir`, which is there already.
    ///
    /// # Errors
    /// The error of the file system if a file can't be written, because `dir` doesn't exist, say.
    pub fn write(&self, dir: impl AsRef<Path>) -> io::Result<()> {
        output::write(dir.as_ref().join("conference.json"), self.to_json())?;
        output::write(dir.as_ref().join("conference.html"), self.to_html())
    }

    fn end_ms(&self) -> f64 {
        (self.seconds * 1e3).max(1.0)
    }

    /// A row for each caller, time from left to right.
    fn time_line(&self, page: &mut String) {
        *page += "<section>\n<div class=\"head\"><h2>Who was heard, and when</h2></div>\n";
        let spoke: u64 = self.callers.iter().map(|caller| caller.spoke_ms.total_ms()).sum();
        let heard: u64 = self.callers.iter().map(|caller| caller.heard_by_others_ms.total_ms()).sum();
        let worst = self.callers.iter().filter_map(|caller| caller.mos).fold(f64::INFINITY, f64::min);
        let mut cards = vec![
            (seconds(spoke), "s", "of speech, all callers together".into()),
            (seconds(heard), "s", "of it heard by the others".into()),
            (seconds(self.limited_ms), "s", "of limiting".into()),
        ];
        if worst.is_finite() {
            cards.push((format!("{worst:.2}"), "", "the lowest MOS of a caller".into()));
        }
        put_cards(page, &cards);
        let height = ROW * self.callers.len() as f64;
        let whole = height + 24.0;
        put(
            page,
            format_args!(
                "<div class=\"scroll\"><div class=\"plot\"><svg viewBox=\"0 0 {WIDTH} {whole}\" role=\"img\">\n"
            ),
        );
        let x = |ms: f64| NAMES + (WIDTH - NAMES - 10.0) * ms / self.end_ms();
        let bar = |page: &mut String, from: f64, until: f64, y: f64, high: f64, color: &str, title: &str| {
            put(
                page,
                format_args!(
                    "<rect x=\"{:.2}\" y=\"{y:.1}\" width=\"{:.2}\" height=\"{high}\" rx=\"1.5\" fill=\"var(--{color})\"><title>{title}</title></rect>\n",
                    x(from),
                    (x(until) - x(from)).max(0.5)
                ),
            );
        };
        for (row, caller) in self.callers.iter().enumerate() {
            let y = ROW * row as f64;
            put(
                page,
                format_args!(
                    "<text x=\"0\" y=\"{:.1}\" font-size=\"12\" fill=\"currentColor\">{} · {}</text>\n",
                    y + 17.0,
                    caller.caller,
                    escape(&caller.codec)
                ),
            );
            let left = caller.left_ms.map_or(self.end_ms(), |ms| ms as f64);
            bar(page, caller.joined_ms as f64, left, y + 3.0, ROW - 6.0, "line", "in the room");
            let layers = [
                (&caller.spoke_ms, 6.0, 5.0, "said", "speaks"),
                (&caller.heard_by_others_ms, 11.0, 5.0, "heard", "is heard by the others"),
                (&caller.active_speaker_ms, 16.0, 4.0, "recovered", "is the active speaker"),
            ];
            for (stretches, below, high, color, words) in layers {
                for &[from, until] in &stretches.0 {
                    let title = format!("{} {words}: {} to {} s", caller.caller, seconds(from), seconds(until));
                    bar(page, from as f64, until as f64, y + below, high, color, &title);
                }
            }
        }
        let step_ms = tick_ms(self.end_ms());
        let mut at = 0.0;
        while at <= self.end_ms() {
            put(
                page,
                format_args!(
                    "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\" text-anchor=\"middle\" fill=\"var(--faint)\">{} s</text>\n",
                    x(at),
                    height + 17.0,
                    at / 1e3
                ),
            );
            at += step_ms;
        }
        *page += "</svg></div></div>\n<ul class=\"legend\">";
        let legend = [
            ("line", "in the room"),
            ("said", "speaks"),
            ("heard", "is heard by the others"),
            ("recovered", "is the active speaker"),
        ];
        for (color, words) in legend {
            put(page, format_args!("<li><i style=\"--of:var(--{color})\"></i>{words}</li>\n"));
        }
        *page += "</ul>\n</section>\n";
    }

    /// Writes the table of who heard whom: a row for each listener, a column for each speaker.
    fn matrix(&self, page: &mut String) {
        *page += "<section>\n<h2>Who heard whom</h2>\n<div class=\"scroll\"><table class=\"sound\">\n<thead><tr><th>seconds of</th>";
        for caller in &self.callers {
            put(page, format_args!("<th>{}</th>", caller.caller));
        }
        *page += "</tr></thead>\n<tbody>\n";
        let most = self.callers.iter().flat_map(|caller| &caller.hears_ms).copied().max().unwrap_or(0).max(1);
        for (listener, caller) in self.callers.iter().enumerate() {
            put(page, format_args!("<tr><th>{} heard</th>", caller.caller));
            for (talker, &ms) in caller.hears_ms.iter().enumerate() {
                let own = talker == listener;
                let share = if own { 0 } else { ms * 45 / most };
                let words = if own { "–".into() } else { seconds(ms) };
                put(
                    page,
                    format_args!(
                        "<td style=\"background:color-mix(in srgb,var(--heard) {share}%,transparent)\">{words}</td>"
                    ),
                );
            }
            *page += "</tr>\n";
        }
        *page += "</tbody>\n</table></div>\n</section>\n";
    }

    /// Writes the sound that each caller heard, with a player, and its quality.
    fn sound(&self, page: &mut String) {
        *page += "<section>\n<h2>What each of them heard</h2>\n<div class=\"scroll\"><table class=\"sound\">\n<thead><tr><th>caller</th><th>codec</th><th>Hz</th>\
                  <th>packets</th><th>lost</th><th>made up</th><th>MOS</th><th></th></tr></thead>\n<tbody>\n";
        for caller in &self.callers {
            put(
                page,
                format_args!(
                    "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{} s</td><td>{}</td>\
                     <td><audio controls preload=\"none\" src=\"{}\"></audio></td></tr>\n",
                    caller.caller,
                    escape(&caller.codec),
                    caller.sample_rate_hz,
                    caller.packets_received,
                    caller.packets_lost,
                    seconds(caller.concealed_ms),
                    caller.mos.map_or("–".into(), |mos| format!("{mos:.2}")),
                    escape(&caller.heard),
                ),
            );
        }
        *page += "</tbody>\n</table></div>\n</section>\n";
    }
}

/// Writes the table for the terminal.
impl fmt::Display for ConferenceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<7}{:<7}{:>8}{:>8}{:>8}{:>8}{:>7}{:>6}",
            "caller", "codec", "joined", "spoke", "heard", "active", "lost", "MOS"
        )?;
        for caller in &self.callers {
            let in_seconds = |ms: u64| seconds(ms) + " s";
            writeln!(
                f,
                "{:<7}{:<7}{:>8}{:>8}{:>8}{:>8}{:>7}{:>6}",
                caller.caller,
                caller.codec,
                in_seconds(caller.joined_ms),
                in_seconds(caller.spoke_ms.total_ms()),
                in_seconds(caller.heard_by_others_ms.total_ms()),
                in_seconds(caller.active_speaker_ms.total_ms()),
                caller.packets_lost,
                caller.mos.map_or("-".into(), |mos| format!("{mos:.2}")),
            )?;
        }
        Ok(())
    }
}

fn seconds(ms: u64) -> String {
    format!("{:.1}", ms as f64 / 1e3)
}

/// Returns the distance between labels of the time axis: about ten of them, at round numbers.
fn tick_ms(end_ms: f64) -> f64 {
    let steps = [1e3, 2e3, 5e3, 10e3, 20e3, 30e3, 60e3, 120e3, 300e3, 600e3];
    steps.into_iter().find(|step| end_ms / step <= 12.0).unwrap_or(1_800e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(number: usize, joined_ms: u64, left_ms: Option<u64>, heard: &[[u64; 2]]) -> CallerReport {
        CallerReport {
            caller: number,
            codec: "opus".into(),
            sample_rate_hz: 48_000,
            joined_ms,
            left_ms,
            spoke_ms: Stretches(heard.to_vec()),
            heard_by_others_ms: Stretches(heard.to_vec()),
            active_speaker_ms: Stretches::default(),
            hears_ms: Vec::new(),
            named_ms: Vec::new(),
            said_speaking_ms: Stretches::default(),
            clipped_samples: 0,
            packets_received: 100,
            packets_lost: 2,
            concealed_ms: 40,
            mos: Some(4.1),
            heard: format!("caller-{number}.wav"),
            said: format!("said-{number}.wav"),
        }
    }

    #[test]
    fn who_was_there_heard_who_spoke_then() {
        let callers = vec![
            caller(1, 0, None, &[[1_000, 3_000]]),
            caller(2, 2_000, Some(6_000), &[[5_000, 6_000]]),
            caller(3, 0, None, &[[7_000, 7_500]]),
        ];
        let mut report = ConferenceReport {
            seconds: 10.0,
            sample_rate_hz: 16_000,
            limited_ms: 0,
            settings: Vec::new(),
            callers,
            kept: KeptReport::default(),
        };
        report.count_hearers();
        let hears: Vec<_> = report.callers.iter().map(|caller| caller.hears_ms.clone()).collect();
        assert_eq!(hears, [vec![0, 1_000, 500], vec![1_000, 0, 0], vec![2_000, 1_000, 0]]);
        let page = report.to_html();
        assert!(page.contains("1 speaks: 1.0 to 3.0 s") && page.contains("caller-3.wav"), "{page}");
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["callers"][1]["left_ms"], 6_000);
    }

    #[test]
    fn stretches_grow_and_are_cut() {
        let mut stretches = Stretches::default();
        for tick in 0..10 {
            stretches.mark(10 * tick, 10, tick != 4);
        }
        assert_eq!((stretches.0.clone(), stretches.total_ms()), (vec![[0, 40], [50, 100]], 90));
        assert_eq!(stretches.within_ms(30, 60), 20);
    }
}
