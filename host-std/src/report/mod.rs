//! A report on a finished call for people and programs: `report.json`, `report.html` and a short summary for the terminal.
//!
//! Use it after a call or a simulation. `record::call` fills a report from what passed a call, and `replay` has reports of its own
//! for captures. The numbers of a call that still runs are in [`monitoring`](crate::monitoring).
//!
//! [`Report`] is plain data. [`Report::to_json`], [`Report::to_html`] and its `Display` are pure functions of it, and
//! [`Report::write`] puts the files beside the recordings:
//!
//! ```
//! use host_std::report::{Report, SideReport, Statistics};
//!
//! let statistics = Statistics { packets_sent: 50, packets_received: 50, packets_played: 50, ..Statistics::default() };
//! let side = SideReport { name: "anna".into(), peer: "bert".into(), statistics, ..SideReport::default() };
//! let report = Report { title: "a call".into(), duration_s: 1.0, sides: vec![side], ..Report::default() };
//!
//! let folder = std::env::temp_dir().join(format!("doc-report-{}", std::process::id()));
//! std::fs::create_dir_all(&folder)?;
//! report.write(&folder)?;
//! assert!(std::fs::read_to_string(folder.join("report.json"))?.contains("\"packets_played\": 50"));
//! assert!(folder.join("report.html").is_file());
//! # std::fs::remove_dir_all(folder).ok();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Limits.** The page contains the sound itself only up to a size; for longer calls it plays the WAV files beside it.

#[cfg(feature = "cli")]
mod conference;
mod data;
mod decimate;
mod digits;
mod figures;
mod html;
mod json;
mod kept;
mod plot;
#[cfg(feature = "cli")]
mod processed;
#[cfg(feature = "replay")]
mod streams;
mod summary;
mod tones;

use std::io;
use std::path::Path;

use crate::output;

#[cfg(feature = "replay")]
pub(crate) use json::rows;
pub(crate) use json::{maybe_micros, micros, rows_from};
#[cfg(feature = "replay")]
pub(crate) use streams::page;

#[cfg(feature = "cli")]
pub use conference::{CallerReport, ConferenceReport, Stretches};
#[cfg(feature = "cli")]
pub use processed::{Measure, ProcessReport, SecondRow};

pub use kept::{ForkRow, KeptReport, RecordingRow};

pub use digits::{DigitLog, DigitRow, digits_in_words};
#[cfg(feature = "replay")]
pub(crate) use digits::{event_row, tone_row};
pub use tones::{ToneLog, ToneRow, tones_in_words};

pub use data::{
    CallSoundFigures, DelayRow, EchoFigures, EchoRow, FindingRow, MinMeanMax, PacketOutcome, PacketRow, PlayCause,
    PlayRow, Report, SideReport, Statistics,
};

impl Report {
    /// Writes `report.json` and `report.html` into the folder `dir`, which is there already.
    ///
    /// # Errors
    /// The error of the file system if a file can't be written, because the folder doesn't exist, say.
    pub fn write(&self, dir: impl AsRef<Path>) -> io::Result<()> {
        output::write(dir.as_ref().join("report.json"), self.to_json())?;
        output::write(dir.as_ref().join("report.html"), self.to_html())
    }
}
