//! How calls go while they run, told to people and programs: metrics, quality reports for SIP, lines of numbers, and a page.
//!
//! All of it is made of [`CallStats`](crate::session::CallStats) and of a driver's
//! [`Status`](crate::session::driver::Status), never on the audio or packet path: the tick does nothing for it, whoever
//! watches.
//!
//! | what | needs the feature |
//! |---|---|
//! | [`Interval`]: what happened between two snapshots, with the quality of that part alone | |
//! | [`vq_rtcpxr`]: quality reports for a SIP stack (RFC 6035) | |
//! | `call_figures`: all numbers as JSON, by the names that reports have | `report` |
//! | `Monitor`: the calls of a process with their last minute; `each_interval` | `report`, `tokio` |
//! | `CallMetrics`: counters, gauges and histograms for the recorder of the crate `metrics` | `metrics` |
//! | `web::Dashboard`: a page that shows a monitor's calls | `web` |
//!
//! Use [`Interval`] for the quality of the last seconds, rather than the numbers of the whole call; its example tells a good
//! second from a bad one. [`Monitor`], [`each_interval`] and [`vq_rtcpxr::VqReporter`] have examples too.

#[cfg(feature = "report")]
mod figures;
mod interval;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(all(feature = "report", feature = "tokio"))]
mod monitor;
#[cfg(feature = "tokio")]
mod pace;
pub mod vq_rtcpxr;

use std::time::SystemTime;

#[cfg(feature = "metrics")]
pub use self::metrics::{CallMetrics, describe_metrics};
#[cfg(feature = "report")]
pub use figures::call_figures;
pub use interval::Interval;
#[cfg(all(feature = "report", feature = "tokio"))]
pub use monitor::{Moment, Monitor, Watched, status_json};
#[cfg(feature = "tokio")]
pub use pace::each_interval;

/// A time of the wall clock as all of this tells it (RFC 3339), in UTC and to the millisecond.
pub fn date_time(at: SystemTime) -> String {
    crate::calendar::date_time(at)
}
