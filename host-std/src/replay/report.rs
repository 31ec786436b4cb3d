//! The output of a replay: `report.json`, `report.html`, and a few lines for a terminal.

use std::fmt;
use std::io;
use std::path::Path;

use serde::{Serialize, Serializer};

use super::ListenerReport;
use super::moments::BadMoment;
use crate::output;
use crate::report::{
    DelayRow, DigitRow, PacketRow, PlayRow, SideReport, ToneRow, digits_in_words, page, rows, tones_in_words,
};
use crate::wav::{WavError, WavSink};

/// Streams that are not played, of which a person wants to read.
pub(crate) const MOST_SKIPPED: usize = 20;

/// The report on the listeners of a capture's streams: [`replay`](super::replay) returns it. Its `Display` is the short version
/// for a terminal.
#[derive(Clone, Debug, Serialize)]
pub struct CaptureReport {
    /// The streams that were played, in the order of their first packets.
    pub streams: Vec<CaptureStream>,
    /// The streams that could not be played.
    pub skipped: Vec<SkippedStream>,
    /// The capture as a whole.
    pub capture: Capture,
}

/// A capture as a whole.
#[derive(Clone, Debug, Serialize)]
pub struct Capture {
    /// Name of the file.
    pub file: String,
    /// `pcap`, `pcapng` or `rtpdump`.
    pub format: &'static str,
    /// Date and time of the first RTP packet; `None` if the capture has no clock.
    pub begin: Option<String>,
    /// Offset of all times from UTC, in minutes.
    pub utc_offset_minutes: i32,
    /// The time from the first RTP packet to the last, in seconds.
    pub duration_s: f64,
    /// Packets of any kind.
    pub packets: u64,
    /// RTP packets.
    pub rtp_packets: u64,
    /// RTCP packets.
    pub rtcp_packets: u64,
    /// SRTP packets that none of the keys opens.
    pub refused_packets: u64,
    /// Remarks that matter for how far the numbers can be trusted.
    pub remarks: Vec<String>,
    /// The settings with which it was played.
    #[serde(skip)]
    pub settings: Vec<(String, String)>,
}

impl Capture {
    /// Returns the capture in one line.
    pub fn summary(&self) -> String {
        let begin = match &self.begin {
            Some(begin) => format!(", {begin} {}", zone(self.utc_offset_minutes)),
            None => String::new(),
        };
        format!("{}{begin}, {:.1} s, {} packets of RTP", self.format, self.duration_s, self.rtp_packets)
    }
}

/// `UTC`, `UTC+02:00`.
fn zone(minutes: i32) -> String {
    if minutes == 0 {
        return "UTC".into();
    }
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("UTC{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

/// A stream that could not be played.
#[derive(Clone, Debug, Serialize)]
pub struct SkippedStream {
    /// The sender's address.
    pub from: String,
    /// The receiver's address.
    pub to: String,
    /// The synchronisation source, in hex.
    pub ssrc: String,
    /// The number of packets.
    pub packets: u64,
    /// The reason why it could not be played, and a hint.
    pub reason: String,
}

impl fmt::Display for SkippedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {} SSRC {}, {} packets: {}", self.from, self.to, self.ssrc, self.packets, self.reason)
    }
}

/// A stream that was played. In the JSON, the fields of [`ListenerReport`] are at the same level as these.
#[derive(Clone, Debug)]
pub struct CaptureStream {
    /// The listener's statistics.
    pub numbers: ListenerReport,
    /// The time at which the stream's first packet came, in ms after the first RTP packet of the capture. It isn't in the JSON.
    pub begins_ms: f64,
    /// The sender's address; `unknown` in an rtpdump that doesn't say.
    pub from: String,
    /// The receiver's address.
    pub to: String,
    /// The synchronisation source, in hex.
    pub ssrc: String,
    /// The payload type of most packets. Where these are redundant audio data, it is that of the sound in them.
    pub payload_type: u8,
    /// The codec of most packets, such as `opus/48000/2`.
    pub codec: String,
    /// All codecs that are heard in the stream, the one of most packets first.
    pub codecs: Vec<String>,
    /// Whether the codec was guessed from the packets, because it was not given.
    pub codec_guessed: bool,
    /// Rate of the RTP clock, in Hz.
    pub rtp_clock_hz: u32,
    /// The usual length of a packet, in ms.
    pub packet_ms: f64,
    /// Date and time of the first packet; `None` if the capture has no clock.
    pub begin: Option<String>,
    /// The quality of the stream, in one plain sentence.
    pub verdict: String,
    /// The worst moments, in the order of time.
    pub worst: Vec<BadMoment>,
    /// Largest playout delay over the fastest packet of the stream, in ms.
    pub max_playout_delay_ms: f64,
    /// The mean delay of all packets over the fastest one of the last 15 s, in ms.
    pub mean_network_delay_ms: f64,
    /// The 95th percentile of the same delay, in ms.
    pub p95_network_delay_ms: f64,
    /// The largest such delay, in ms.
    pub max_network_delay_ms: f64,
    /// Interarrival jitter at the end, in ms (RFC 3550, 6.4.1).
    pub jitter_ms: f64,
    /// The rate of the sender's clock relative to the capture's, in parts per million; positive if the sender was faster; `None`
    /// for less than a minute.
    pub clock_drift_ppm: Option<f64>,
    /// The protection of its packets: the SRTP suite of the key that opened them, `none`, or `looks encrypted, no key`.
    pub protection: &'static str,
    /// Packets of this source that SRTP refused: damaged, a replay, or of another key.
    pub refused: u64,
    /// Packets that came again.
    pub duplicate: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Packets that came after a copy of them in another packet (RFC 2198), which was played instead.
    pub superseded: u64,
    /// Packets that the decoder refused.
    pub undecodable: u64,
    /// Packets with telephone events.
    pub events: u64,
    /// Packets of a payload type for which there is no decoder.
    pub other_payload: u64,
    /// Packets that were decoded, or described comfort noise.
    pub played: u64,
    /// Packets that belonged to no sequence of numbers.
    pub probation: u64,
    /// Packets whose contents contradict their header.
    pub unusable: u64,
    /// Packets that were left when the sound was cut off.
    pub waiting: u64,
    /// The number of restarts of the sender: its sequence numbers or its timestamps jumped.
    pub restarts: u64,
    /// Packets lost on purpose; they are in `lost` too.
    pub lost_on_purpose: u64,
    /// Sound, packets and delays, for the page.
    pub side: SideReport,
}

impl CaptureStream {
    /// Packets that are neither sound nor missing, in words, each kind that there is.
    fn others(&self) -> String {
        let mut text = String::new();
        for (count, what) in [
            (self.numbers.received.saturating_sub(self.accounted()), "unaccounted for"),
            (self.duplicate, "duplicate"),
            (self.superseded, "superseded by a copy"),
            (self.undecodable, "undecodable"),
            (self.events, "telephone events"),
            (self.other_payload, "of other payload types"),
            (self.probation, "of no sequence"),
            (self.unusable, "unusable"),
        ] {
            if count > 0 {
                text += &format!("; {count} {what}");
            }
        }
        text
    }

    /// Returns the packets that arrived, summed up by what became of them: the same number as
    /// [`received`](ListenerReport::received).
    pub fn accounted(&self) -> u64 {
        let n = &self.numbers;
        let sound = self.played + n.late + n.discarded + self.undecodable + self.duplicate + self.superseded;
        sound + self.events + self.other_payload + self.probation + self.unusable + self.waiting
    }
}

impl Serialize for CaptureStream {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Stream<'a> {
            #[serde(flatten)]
            numbers: &'a ListenerReport,
            from: &'a str,
            to: &'a str,
            ssrc: &'a str,
            payload_type: u8,
            codec: &'a str,
            codecs: &'a [String],
            codec_guessed: bool,
            rtp_clock_hz: u32,
            packet_ms: f64,
            begin: &'a Option<String>,
            wav_file: &'a str,
            verdict: &'a str,
            worst: &'a [BadMoment],
            max_playout_delay_ms: f64,
            mean_network_delay_ms: f64,
            p95_network_delay_ms: f64,
            max_network_delay_ms: f64,
            jitter_ms: f64,
            clock_drift_ppm: Option<f64>,
            protection: &'a str,
            refused: u64,
            duplicate: u64,
            reordered: u64,
            superseded: u64,
            undecodable: u64,
            events: u64,
            other_payload: u64,
            played: u64,
            probation: u64,
            unusable: u64,
            waiting: u64,
            restarts: u64,
            lost_on_purpose: u64,
            digits: &'a [DigitRow],
            tones: &'a [ToneRow],
            packets: &'a [PacketRow],
            play: &'a [PlayRow],
            delays: &'a [DelayRow],
        }
        Stream {
            numbers: &self.numbers,
            from: &self.from,
            to: &self.to,
            ssrc: &self.ssrc,
            payload_type: self.payload_type,
            codec: &self.codec,
            codecs: &self.codecs,
            codec_guessed: self.codec_guessed,
            rtp_clock_hz: self.rtp_clock_hz,
            packet_ms: self.packet_ms,
            begin: &self.begin,
            wav_file: &self.side.wav_file,
            verdict: &self.verdict,
            worst: &self.worst,
            max_playout_delay_ms: self.max_playout_delay_ms,
            mean_network_delay_ms: self.mean_network_delay_ms,
            p95_network_delay_ms: self.p95_network_delay_ms,
            max_network_delay_ms: self.max_network_delay_ms,
            jitter_ms: self.jitter_ms,
            clock_drift_ppm: self.clock_drift_ppm,
            protection: self.protection,
            refused: self.refused,
            duplicate: self.duplicate,
            reordered: self.reordered,
            superseded: self.superseded,
            undecodable: self.undecodable,
            events: self.events,
            other_payload: self.other_payload,
            played: self.played,
            probation: self.probation,
            unusable: self.unusable,
            waiting: self.waiting,
            restarts: self.restarts,
            lost_on_purpose: self.lost_on_purpose,
            digits: &self.side.digits,
            tones: &self.side.tones,
            packets: &self.side.packets,
            play: &self.side.play,
            delays: &self.side.delays,
        }
        .serialize(serializer)
    }
}

/// The reason why a report can't be written.
#[derive(Debug)]
pub enum WriteError {
    /// The report can't be written.
    Report(io::Error),
    /// The sound of a stream can't be written.
    Sound(WavError),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Report(error) => write!(f, "the report can't be written: {error}"),
            Self::Sound(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Report(_) => None,
            Self::Sound(error) => error.source(),
        }
    }
}

impl CaptureReport {
    /// Returns the report as JSON, with a row for each packet and each delay of every stream.
    pub fn to_json(&self) -> String {
        rows(self)
    }

    /// Returns the report as one page of HTML that needs no other file.
    pub fn to_html(&self) -> String {
        page(self)
    }

    /// Writes `report.json`, `report.html` and the sound of each stream (`stream-1.wav`, ...) into the folder `dir`, which must
    /// exist. A file replaces an older one only when it is whole.
    ///
    /// # Errors
    /// [`WriteError::Report`] if the report can't be written, because `dir` doesn't exist, say; [`WriteError::Sound`] if a stream's
    /// sound can't.
    pub fn write(&self, dir: &Path) -> Result<(), WriteError> {
        for stream in &self.streams {
            let path = dir.join(&stream.side.wav_file);
            let mut sink = WavSink::replace(path, stream.numbers.sample_rate_hz, stream.side.channels.into())
                .map_err(WriteError::Sound)?;
            sink.write(&stream.side.heard).map_err(WriteError::Sound)?;
            sink.finish().map_err(WriteError::Sound)?;
        }
        output::write(dir.join("report.json"), self.to_json()).map_err(WriteError::Report)?;
        output::write(dir.join("report.html"), self.to_html()).map_err(WriteError::Report)
    }
}

impl BadMoment {
    /// Returns the time of the moment: by the capture's clock, or in minutes and seconds of the sound.
    pub fn when(&self) -> String {
        self.time.clone().unwrap_or_else(|| {
            let tenths = (self.at_ms / 100.0) as u64;
            format!("{}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10)
        })
    }
}

/// The short version, for a terminal.
impl fmt::Display for CaptureReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.capture.file, self.capture.summary())?;
        for remark in &self.capture.remarks {
            writeln!(f, "  mind: {remark}")?;
        }
        for stream in &self.streams {
            let n = &stream.numbers;
            let sent = (n.received - stream.duplicate.min(n.received) + n.lost).max(1) as f64;
            let percent = |count: u64| count as f64 * 100.0 / sent;
            writeln!(f, "\n{}  {} -> {}  SSRC {}", n.name, stream.from, stream.to, stream.ssrc)?;
            let refused = match stream.refused {
                0 => String::new(),
                refused => format!(", {refused} packets refused"),
            };
            let protection = match stream.protection {
                "none" => String::new(),
                protection => format!("; {protection}{refused}"),
            };
            writeln!(f, "  {}, {:.1} s{protection}", stream.side.codec, n.duration_s)?;
            writeln!(
                f,
                "  packets  {} of {sent:.0}; {:.1} % lost, {:.1} % too late, {:.1} % discarded{}",
                n.received,
                percent(n.lost),
                percent(n.late),
                percent(n.discarded),
                stream.others()
            )?;
            writeln!(
                f,
                "  delay    {:.0} ms in the buffer (95 %: {:.0}), {:.0} ms over the fastest packet; jitter {:.1} ms",
                n.mean_buffer_delay_ms, n.p95_buffer_delay_ms, n.mean_playout_delay_ms, stream.jitter_ms
            )?;
            writeln!(
                f,
                "  sound    {:.1} % made up in {} {}, {:.1} % stretched",
                n.concealed_ratio * 100.0,
                n.concealment_events,
                if n.concealment_events == 1 { "place" } else { "places" },
                n.stretched_ratio * 100.0
            )?;
            if !stream.side.digits.is_empty() {
                writeln!(f, "  digits   {}", digits_in_words(&stream.side.digits))?;
            }
            if !stream.side.tones.is_empty() {
                writeln!(f, "  tones    {}", tones_in_words(&stream.side.tones))?;
            }
            writeln!(f, "  {}", stream.verdict)?;
            for moment in &stream.worst {
                writeln!(f, "    {:>10}  {}", moment.when(), moment.words)?;
            }
        }
        for skipped in self.skipped.iter().take(MOST_SKIPPED) {
            writeln!(f, "\nnot played: {skipped}")?;
        }
        match self.skipped.len().saturating_sub(MOST_SKIPPED) {
            0 => Ok(()),
            more => writeln!(f, "\nnot played: {more} more streams; report.json lists them"),
        }
    }
}
