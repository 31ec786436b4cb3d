//! Replay: recorded packets through the real receiver, in virtual time.
//!
//! Use [`replay`] to learn what the listeners of a captured call heard, and the causes where it was bad; the same capture and
//! settings give the same bits on every run. Use [`trace`] where only arrival times were recorded, to apply them to speech of
//! your own, and [`grid`] to compare receivers on a grid of simulated networks. A call that still runs is watched by
//! [`monitoring`](crate::monitoring) instead, and two calls over a network that is only simulated are
//! [`virtual_time`](crate::simulate::virtual_time).
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
//! let folder = Path::new("replayed");
//! std::fs::create_dir_all(folder)?;
//! report.write(folder)?; // report.html, report.json, stream-1.wav, ...
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`replay_bytes`] does the same with a capture in memory; its example runs as it stands. [`read_keys`] reads the SRTP keys of an
//! encrypted call. [`digits`] and [`tones`] list the DTMF digits and the tones of a capture without playing it to a listener.
//!
//! **Cost.** The file is read twice and not kept in memory. The content of a report is: the sound of all streams together is at
//! most 2^29 samples, one GiB.
//!
//! **Limits.** A capture doesn't hold the signalling, so the codec of a dynamic payload type is named by
//! [`ReplayConfig::payloads`] or guessed from the packets, and the report says when it was guessed. At most 64 streams are played,
//! those with the most packets. Of an encrypted stream without its key only packets can be counted. Which files and link layers are
//! read is on the page of [`capture`].
//!
//! **Standards.** Streams are RTP (RFC 3550) and SRTP (RFC 3711), quality is rated by the E-model (ITU-T G.107).

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

/// The report of a played [`trace`], which is its `report.json`: one entry for each stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReplayReport {
    /// The streams, in the order of their first packets.
    pub streams: Vec<ListenerReport>,
}

/// The statistics of one stream's listener. A ratio is a share, from 0 to 1, of the samples that were played.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ListenerReport {
    /// Name of the stream: that of the file with its sound, without `.wav`.
    pub name: String,
    /// Rate of the sound in Hz.
    pub sample_rate_hz: u32,
    /// The duration of the sound that was played, in seconds.
    pub duration_s: f64,
    /// Time from a packet's arrival to its turn to be played, in ms: the mean over all samples. WebRTC counts its
    /// `jitterBufferDelay` in the same way.
    pub mean_buffer_delay_ms: f64,
    /// 95th percentile, in ms, of the means of each second of the same time.
    pub p95_buffer_delay_ms: f64,
    /// The largest of the means of each second, in ms.
    pub max_buffer_delay_ms: f64,
    /// Play time less media time less the smallest network delay of the stream, in ms: the mean over all packets.
    pub mean_playout_delay_ms: f64,
    /// The target delay at the end, in ms after the fastest packet.
    pub target_delay_ms: u32,
    /// The share of samples that were concealed for packets that were lost or late.
    pub concealed_ratio: f64,
    /// The number of gaps that were concealed.
    pub concealment_events: u32,
    /// Share of samples that time stretching inserted or removed.
    pub stretched_ratio: f64,
    /// Share of samples that time stretching inserted.
    pub inserted_ratio: f64,
    /// Share of samples that time stretching removed.
    pub removed_ratio: f64,
    /// Share of samples that were decoded from redundancy in later packets.
    pub recovered_ratio: f64,
    /// Share of samples that were silence, before the stream and in its pauses.
    pub silence_ratio: f64,
    /// Packets that arrived.
    pub received: u64,
    /// Packets that never arrived.
    pub lost: u64,
    /// Packets that arrived after their turn.
    pub late: u64,
    /// Packets that were dropped, because there was no room for them or the delay was above its bound.
    pub discarded: u64,
    /// Listening quality by the E-model (ITU-T G.107), 1 to 4.5, from losses, discards and bursts; on the narrowband scale
    /// for every codec. `None` if nothing was played.
    pub mos_lq: Option<f64>,
    /// Conversational quality by the same model, which counts the length of a packet and the mean playout delay too. A capture
    /// doesn't contain the delay of the fastest packet, so that counts as 0 ms.
    pub mos_cq: Option<f64>,
    /// The rating R from which `mos_cq` is computed; it is 93.2 where nothing impairs the call.
    pub r_factor: Option<f64>,
}

impl ListenerReport {
    /// Adds the figures of the E-model for the receiver's counts.
    pub(crate) fn rated(mut self, codec: &CodecFormat, bursts: BurstStats, packet_ms: f64) -> Self {
        let Some(quality) = rating(codec, bursts, packet_ms + self.mean_playout_delay_ms) else { return self };
        self.mos_lq = Some(numbers::thousandth(quality.mos_lq));
        self.mos_cq = quality.conversation.map(|conversation| numbers::thousandth(conversation.mos_cq));
        self.r_factor = quality.conversation.map(|conversation| numbers::thousandth(conversation.r_factor));
        self
    }
}

impl ReplayReport {
    /// Returns the report as JSON, indented, with a newline at its end.
    #[expect(clippy::missing_panics_doc, reason = "it can't: structs of numbers and strings always become JSON")]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report is plain data") + "\n"
    }
}

/// Rates a stream of which only the listener's end is known: without a round-trip time, the network's smallest delay counts as
/// zero. `delay_ms` is a packet's length plus the mean delay from there to the ear.
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
