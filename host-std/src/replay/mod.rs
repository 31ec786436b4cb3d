//! Replay: recorded packets through the real receiver, in virtual time.
//!
//! [`replay`] plays the RTP streams of a capture, and tells what their listeners heard. [`trace`] lays the arrival times
//! of a trace under speech of one's own; [`grid`] plays a grid of simulated networks.
//!
//! ```no_run
//! use host_std::replay::{CaptureKeys, ReplayConfig, replay};
//! use std::path::Path;
//!
//! let report = replay(Path::new("call.pcap"), &CaptureKeys::default(), &ReplayConfig::default())?;
//! for stream in &report.streams {
//!     println!("{}: {}", stream.from, stream.verdict);
//!     for moment in &stream.worst {
//!         println!("{} {}", moment.when(), moment.words);
//!     }
//! }
//! report.write(Path::new("replayed"))?; // report.html, report.json, stream-1.wav, ...
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use dsp_core::quality::{BurstStats, StreamQuality, VoipMetricsInput};
use dsp_core::time::Duration;
use serde::Serialize;

use crate::registry::CodecFormat;
use crate::session::impairment;

pub mod capture;
mod digits;
pub mod grid;
mod link;
mod loudspeaker;
mod moments;
mod numbers;
mod payloads;
mod play;
mod report;
mod run;
mod sound;
mod source;
mod streams;
pub mod trace;

pub use digits::{StreamDigits, StreamTones, digits, tones};
pub use moments::{BadMoment, Cause};
pub use payloads::{FormatError, PayloadFormat, PayloadMap, PayloadMeaning};
pub use play::Loss;
pub(crate) use report::MOST_SKIPPED;
pub use report::{Capture, CaptureReport, CaptureStream, SkippedStream, WriteError};
pub use run::{ReplayConfig, ReplayError, replay, replay_bytes};
pub use source::{CaptureKeys, KeyError, read_keys};

/// `report.json`: one entry a stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReplayReport {
    /// The streams, in the order of their first packets.
    pub streams: Vec<ListenerReport>,
}

/// What one stream's listener heard, in numbers. Shares are of the samples that were played.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ListenerReport {
    /// Name of the stream, and of its sound without `.wav`.
    pub name: String,
    /// Rate of the sound in Hz.
    pub sample_rate_hz: u32,
    /// How long was played, in seconds.
    pub duration_s: f64,
    /// Time from a packet's arrival to its turn to be played, mean over its samples, in ms. This is how WebRTC counts
    /// `jitterBufferDelay`.
    pub mean_buffer_delay_ms: f64,
    /// 95th percentile of the same mean, taken over each second.
    pub p95_buffer_delay_ms: f64,
    /// The largest of them.
    pub max_buffer_delay_ms: f64,
    /// Play time less media time less the smallest network delay of the stream, mean over packets, in ms.
    pub mean_playout_delay_ms: f64,
    /// What the delay was steered to at the end, in ms over the fastest packet.
    pub target_delay_ms: u32,
    /// Share of samples made up for packets that were lost or late.
    pub concealed_ratio: f64,
    /// Gaps that were concealed.
    pub concealment_events: u32,
    /// Samples inserted and removed by time stretching, as a share.
    pub stretched_ratio: f64,
    /// Samples inserted, as a share.
    pub inserted_ratio: f64,
    /// Samples removed, as a share.
    pub removed_ratio: f64,
    /// Share of samples decoded from redundancy in later packets.
    pub recovered_ratio: f64,
    /// Share of silence: before the stream and in its pauses.
    pub silence_ratio: f64,
    /// Packets that arrived.
    pub received: u64,
    /// Packets that never did.
    pub lost: u64,
    /// Packets that arrived after their turn.
    pub late: u64,
    /// Packets that were dropped: no room, or a delay above its bound.
    pub discarded: u64,
    /// Listening quality by the E-model (ITU-T G.107), 1 to 4.5, from losses, discards and bursts; on the narrowband scale
    /// for every codec. `None` if nothing was played.
    pub mos_lq: Option<f64>,
    /// Conversational quality of the same model: with a packet's length and the mean playout delay. A capture doesn't tell
    /// how long the fastest packet took, so that counts as no time.
    pub mos_cq: Option<f64>,
    /// The rating R that `mos_cq` stands for, 93.2 where nothing impairs.
    pub r_factor: Option<f64>,
}

impl ListenerReport {
    /// With the figures of the E-model, for what the receiver counted.
    pub(crate) fn rated(mut self, codec: &CodecFormat, bursts: BurstStats, packet_ms: f64) -> Self {
        let Some(quality) = rating(codec, bursts, packet_ms + self.mean_playout_delay_ms) else { return self };
        self.mos_lq = Some(numbers::thousandth(quality.mos_lq));
        self.mos_cq = quality.conversation.map(|conversation| numbers::thousandth(conversation.mos_cq));
        self.r_factor = quality.conversation.map(|conversation| numbers::thousandth(conversation.r_factor));
        self
    }
}

impl ReplayReport {
    /// The report as JSON, indented, with a newline at its end.
    #[expect(clippy::missing_panics_doc, reason = "it can't: structs of numbers and strings always become JSON")]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report is plain data") + "\n"
    }
}

/// How a stream is rated of which only the listener's end is known: without round trip, the network's smallest delay
/// counts as none. `delay_ms` is a packet's length and the mean delay from there to the ear.
fn rating(codec: &CodecFormat, bursts: BurstStats, delay_ms: f64) -> Option<StreamQuality> {
    let input = VoipMetricsInput {
        bursts,
        codec: Some(impairment(codec)),
        round_trip: Some(Duration::ZERO),
        end_system_delay: Duration::from_micros((delay_ms.max(0.0) * 1e3) as u64),
        ..VoipMetricsInput::default()
    };
    input.quality()
}
