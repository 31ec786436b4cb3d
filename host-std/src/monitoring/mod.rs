//! Reports on running calls for people and programs: metrics, quality reports for SIP, lines of numbers, and a page.
//!
//! | use | for | cargo feature |
//! |---|---|---|
//! | [`Interval`] | what happened between two snapshots, with the quality of that time alone | |
//! | [`vq_rtcpxr`] | quality reports for a SIP stack (RFC 6035) | |
//! | `call_figures` | all numbers as JSON, by the names that reports have | `report` |
//! | `Monitor`, `each_interval` | the calls of a process with their last minute | `report`, `tokio` |
//! | `CallMetrics` | counters, gauges and histograms for the recorder of the crate `metrics` | `metrics` |
//! | `web::Dashboard` | a page that shows the calls of a monitor | `web` |
//!
//! A finished call is reported by [`report`](crate::report) instead, and a captured one by `replay`.
//!
//! Everything here is made from [`CallStats`](crate::session::CallStats) and from a driver's
//! [`Status`](crate::session::driver::Status). A call's numbers as text, once:
//!
//! ```
//! # #[cfg(feature = "report")] {
//! use host_std::monitoring::call_figures;
//! use host_std::session::{Call, CallConfig};
//!
//! let call = Call::new(CallConfig::new(4000)?)?;
//! let figures = call_figures(&call.stats(), 48_000);
//! println!("{}", serde_json::to_string_pretty(&figures)?);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Cost.** Nothing runs on the audio or packet path: however many watch a call, its tick does no more. A snapshot of a call's
//! numbers allocates nothing.
//!
//! **Limits.** Ratings are those of the E-model on the narrowband scale, for every codec. A monitor keeps the last minute of each call.
//!
//! **Standards.** E-model: ITU-T G.107. Losses, bursts and VoIP metrics: RFC 3611. Quality reports: RFC 6035.

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

/// Formats a time of the wall clock as all reports here do (RFC 3339), in UTC and to the millisecond.
pub fn date_time(at: SystemTime) -> String {
    crate::calendar::date_time(at)
}
