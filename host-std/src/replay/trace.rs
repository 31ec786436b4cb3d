//! An arrival trace applied to speech, and played through a call in virtual time: the result is the sound that a listener would
//! have heard if these packets had carried this voice.
//!
//! Use it where only the arrival times of packets were recorded and not their content, and to compare receivers on the same
//! network. Where there is a capture with its payloads use [`replay`](super::replay).
//!
//! A trace is CSV with one line for each packet, in the order of arrival: `arrival_ms,seq,rtp_ts[,...]`. Lines that don't begin with a
//! digit are headings. Each packet becomes one frame of 20 ms. Where the trace's own packets are longer, or pause, the pause is
//! closed up; each packet keeps its transit delay, which is its arrival less its media time, and packets that came in order
//! stay in order. The speech begins again when it ends. After the trace 1.5 s of packets without jitter follow, so that the trace's last
//! packets are not judged by the silence after them.
//!
//! ```
//! use dsp_core::time::Duration;
//! use host_std::replay::trace::Trace;
//!
//! let csv = "arrival_ms,seq,rtp_ts\n0.0,1,0\n21.5,2,160\n64.0,4,480\n";
//! let trace = Trace::parse(csv, Duration::from_secs(60))?;
//! assert_eq!(trace.frames, 4); // the third one never arrived
//! assert_eq!(trace.packets.len(), 3);
//! # Ok::<(), host_std::replay::trace::TraceError>(())
//! ```
//!
//! The listener plays 10 ms at a time, first 5 ms after the first arrival. The same trace, speech and settings give the same bits.
//!
//! **Limits.** Speech is kept in memory, an hour of it at most ([`LONGEST`]). A packet that arrives more than a minute earlier or later than is
//! usual in its trace is left out, and counts as lost.

use std::net::SocketAddr;

use dsp_core::receive::DelayConfig;
use dsp_core::time::{Duration, Instant, RtpTime};

use super::ListenerReport;
use super::loudspeaker::Loudspeaker;
use super::numbers::DelayStatistics;
use crate::registry::{CodecFormat, Registry};
use crate::sdp::SrtpPolicy;
use crate::session::{Call, CallConfig, CallError, Channel, Identity};

/// Length of a frame of the media.
const FRAME_MS: u32 = 20;
/// Length of the listener's ticks, and when the first one is.
const TICK_MS: u32 = 10;
const PHASE: Duration = Duration::from_millis(5);
/// The largest deviation of a packet's delay from the usual one in its trace, in ms. A packet beyond it is left out: nothing
/// waits that long, and a single wrong number would make hours of silence.
const FARTHEST_MS: f64 = 60_000.0;
/// Packets without jitter after the trace.
const TAIL_MS: u32 = 1_500;
/// Longer speech is refused: it is kept in memory.
pub const LONGEST: Duration = Duration::from_secs(3_600);

/// The reason why a trace can't be played.
#[derive(Debug)]
#[non_exhaustive]
pub enum TraceError {
    /// A line isn't that of a packet.
    Line {
        /// The number of the line, from 1.
        line: usize,
        /// The syntax that the line should have at this place.
        expected: &'static str,
    },
    /// There is no packet at all.
    Empty,
    /// The speech has no samples.
    NoSpeech,
    /// The call can't be made.
    Call(CallError),
}

impl std::fmt::Display for TraceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line { line, expected } => write!(f, "line {line} of the trace has no {expected}"),
            Self::Empty => write!(f, "the trace has no packets"),
            Self::NoSpeech => write!(f, "the speech has no samples"),
            Self::Call(_) => write!(f, "a call with these settings can't be made"),
        }
    }
}

impl std::error::Error for TraceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Call(error) => Some(error),
            _ => None,
        }
    }
}

impl From<CallError> for TraceError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// The arrival times of frames.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The packets in the order of arrival: each with the ms since the first arrival and the number of its frame.
    pub packets: Vec<(f64, u32)>,
    /// The number of frames of the media, including those that never arrive.
    pub frames: u32,
    /// The number of packets that were left out, because they arrive more than a minute earlier or later than is usual in the
    /// trace. They count as lost.
    pub left_out: u32,
}

/// A line of a trace: arrival in ms, sequence number and timestamp, both extended.
type Row = (f64, i64, i64);

/// Returns the middle one of some numbers; 0 of none.
fn middle(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    let at = numbers.len() / 2;
    if numbers.is_empty() { 0.0 } else { *numbers.select_nth_unstable_by(at, f64::total_cmp).1 }
}

impl Trace {
    /// Reads a trace, and keeps the frames of the first `limit` of its media time.
    ///
    /// # Errors
    /// [`TraceError::Line`] if a line has no arrival time, sequence number or timestamp, [`TraceError::Empty`] if there is no packet.
    pub fn parse(csv: &str, limit: Duration) -> Result<Self, TraceError> {
        let mut rows: Vec<Row> = Vec::new();
        for (index, line) in csv.lines().enumerate() {
            if !line.starts_with(|first: char| first.is_ascii_digit()) {
                continue;
            }
            let mut fields = line.split(',').map(str::trim);
            let mut field = |expected| fields.next().ok_or(TraceError::Line { line: index + 1, expected });
            let bad = |expected| TraceError::Line { line: index + 1, expected };
            let arrival: f64 = field("arrival time")?.parse().map_err(|_| bad("arrival time"))?;
            let seq: u16 = field("sequence number")?.parse().map_err(|_| bad("sequence number"))?;
            let timestamp: u32 = field("timestamp")?.parse().map_err(|_| bad("timestamp"))?;
            // A time that isn't finite, or a million seconds, is no arrival.
            if !(0.0..1e9).contains(&arrival) {
                return Err(bad("arrival time"));
            }
            rows.push(match rows.last() {
                None => (arrival, i64::from(seq), i64::from(timestamp)),
                Some(&(_, before, time)) => {
                    let seq = before + i64::from(seq.wrapping_sub(before as u16) as i16);
                    (arrival, seq, time + i64::from(timestamp.wrapping_sub(time as u32) as i32))
                }
            });
        }
        let Some(&(_, _, start)) = rows.first() else { return Err(TraceError::Empty) };
        let transit = |&(arrival, _, timestamp): &Row, rate: f64| arrival - (timestamp - start) as f64 * 1e3 / rate;
        // At the rate of the media, transits hardly change; outliers don't move the median.
        let spread = |rate: f64| {
            let usual = middle(rows.iter().map(|row| transit(row, rate)));
            middle(rows.iter().map(|row| (transit(row, rate) - usual).abs()))
        };
        let rates = [8_000.0, 16_000.0, 32_000.0, 48_000.0].map(|rate| (spread(rate), rate));
        let rate = rates.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).map_or(8_000.0, |(_, rate)| rate);
        let first = rows.iter().map(|(_, seq, _)| *seq).min().unwrap_or(0);

        let frame_ms = f64::from(FRAME_MS);
        let most = (limit.as_millis() / u64::from(FRAME_MS)) as i64;
        rows.retain(|(_, seq, _)| seq - first < most);
        let usual = middle(rows.iter().map(|row| transit(row, rate)));
        let mut packets: Vec<(f64, i64)> = Vec::new();
        let mut newest: Option<(i64, f64)> = None;
        let mut left_out = 0;
        for row in &rows {
            let (transit, seq) = (transit(row, rate), row.1);
            if (transit - usual).abs() > FARTHEST_MS {
                left_out += 1;
                continue;
            }
            let mut ms = (seq - first) as f64 * frame_ms + transit;
            if newest.is_none_or(|(newest, _)| seq > newest) {
                ms = newest.map_or(ms, |(_, last)| ms.max(last));
                newest = Some((seq, ms));
            }
            packets.push((ms, seq - first));
        }
        packets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let Some(&(zero, _)) = packets.first() else { return Err(TraceError::Empty) };
        let packets: Vec<(f64, u32)> = packets.into_iter().map(|(ms, frame)| (ms - zero, frame as u32)).collect();
        let frames = packets.iter().map(|(_, frame)| frame + 1).max().unwrap_or(0);
        Ok(Self { packets, frames, left_out })
    }

    /// Transit of each packet, in ms: its arrival less its media time.
    fn transits(&self) -> impl Iterator<Item = f64> {
        self.packets.iter().map(|&(ms, frame)| ms - f64::from(frame) * f64::from(FRAME_MS))
    }

    /// Returns all packets followed by the tail, and the end of the part that counts, in ms.
    fn with_tail(&self) -> (Vec<(f64, u32)>, f64) {
        let recent = self.packets.iter().filter(|(_, frame)| frame + 50 >= self.frames);
        let mut delays: Vec<f64> = recent.map(|&(ms, frame)| ms - f64::from(frame) * f64::from(FRAME_MS)).collect();
        delays.sort_by(f64::total_cmp);
        let middle = delays.len() / 2;
        let median = if delays.len() % 2 == 1 { delays[middle] } else { (delays[middle - 1] + delays[middle]) / 2.0 };
        let last = self.packets.last().map_or(0.0, |(ms, _)| *ms);
        let end = (last + f64::from(FRAME_MS)).max(f64::from(self.frames) * f64::from(FRAME_MS) + median);
        let tail = self.frames..=self.frames + TAIL_MS / FRAME_MS;
        let mut packets = self.packets.clone();
        packets.extend(tail.map(|frame| (last.max(f64::from(frame) * f64::from(FRAME_MS) + median), frame)));
        (packets, end)
    }
}

/// The call with which a trace is played.
#[derive(Clone, Debug)]
pub struct TraceConfig {
    /// The codec of the call.
    pub codec: CodecFormat,
    /// The registry that makes the codec, with its settings.
    pub registry: Registry,
    /// The bounds of the listener's delay.
    pub delay: DelayConfig,
}

/// The listener's report on a trace: [`play`] returns it.
#[derive(Clone, Debug)]
pub struct TraceRun {
    /// Rate of the sound in Hz.
    pub sample_rate_hz: u32,
    /// The sound; its first sample is the instant of the first arrival.
    pub heard: Vec<i16>,
    /// The same result in numbers.
    pub report: ListenerReport,
}

/// Plays `trace` with `speech`, which is mono at the codec's rate and begins again when it ends.
///
/// # Errors
/// [`TraceError::NoSpeech`] if `speech` is empty, [`TraceError::Call`] if no call can be made with the codec or the delay.
///
/// # Examples
/// ```
/// use dsp_core::receive::DelayConfig;
/// use dsp_core::time::Duration;
/// use host_std::registry::{CodecFormat, Registry};
/// use host_std::replay::trace::{Trace, TraceConfig, play};
///
/// // 100 packets of 20 ms, of which one never arrives.
/// let packets = (0..100u32).filter(|n| *n != 50).map(|n| format!("{},{n},{}\n", 20 * n, 160 * n));
/// let trace = Trace::parse(&packets.collect::<String>(), Duration::from_millis(60_000))?;
/// let (codec, registry) = (CodecFormat::pcmu(), Registry::builtin());
/// let config = TraceConfig { codec, registry, delay: DelayConfig::conversation() };
/// let run = play(&trace, &[2_000; 8_000], &config)?;
/// assert_eq!((run.sample_rate_hz, run.report.lost), (8_000, 1));
/// # Ok::<(), host_std::replay::trace::TraceError>(())
/// ```
pub fn play(trace: &Trace, speech: &[i16], config: &TraceConfig) -> Result<TraceRun, TraceError> {
    if speech.is_empty() {
        return Err(TraceError::NoSpeech);
    }
    let [mut speaker, mut listener] = calls(config)?;
    let rate = listener.sample_rate_hz().unwrap_or_default();
    let (packets, end_ms) = trace.with_tail();
    let datagrams = encode(&mut speaker, speech, rate, trace.frames + TAIL_MS / FRAME_MS + 1);
    let from = SocketAddr::from(([127, 0, 0, 1], PORTS[0]));
    let smallest = trace.transits().fold(f64::INFINITY, f64::min);
    let step = config.codec.rtp_clock_hz / 1_000 * FRAME_MS;
    let start = Identity::seeded(u64::from(PORTS[0])).first_timestamp;

    let samples = (rate * TICK_MS / 1_000) as usize;
    let mut heard = vec![0; PHASE.as_samples(rate) as usize];
    let mut loudspeaker = Loudspeaker::new([rate, config.codec.rtp_clock_hz], 1).map_err(CallError::Receiver)?;
    let mut numbers = DelayStatistics::default();
    let mut transits = vec![0.0; datagrams.len()];
    let mut next = 0;
    let mut now = Instant::ZERO + PHASE;
    while now.as_micros() as f64 <= end_ms * 1_000.0 {
        while let Some(&(ms, frame)) = packets.get(next).filter(|(ms, _)| ms * 1_000.0 <= now.as_micros() as f64) {
            let mut datagram = datagrams[frame as usize].clone();
            transits[frame as usize] = ms - f64::from(frame) * f64::from(FRAME_MS) - smallest;
            let arrival = Instant::from_micros((ms * 1_000.0).round() as u64);
            listener.receive(arrival, Channel::Rtp, from, &mut datagram);
            next += 1;
        }
        let played = loudspeaker.tick(now, samples, &mut heard, |now, pcm| listener.play(now, pcm));
        if let Some(RtpTime(timestamp)) = played.timestamp {
            let frame = timestamp.wrapping_sub(start.0) / step;
            numbers.played(&played, transits.get(frame as usize).copied().unwrap_or(0.0));
        }
        now += Duration::from_millis(u64::from(TICK_MS));
        let last = now.as_micros() as f64 > end_ms * 1_000.0;
        if last || (now - PHASE).as_micros().is_multiple_of(1_000_000) {
            numbers.second(&listener.stats().receiver);
        }
    }
    let stats = listener.stats();
    let report = ListenerReport {
        received: trace.packets.len() as u64,
        lost: u64::from(trace.frames).saturating_sub(trace.packets.len() as u64),
        ..numbers.report("stream-1".into(), &stats.receiver, rate)
    };
    let report = report.rated(&config.codec, stats.bursts, f64::from(FRAME_MS));
    Ok(TraceRun { sample_rate_hz: rate, heard, report })
}

const PORTS: [u16; 2] = [4_000, 5_000];

fn calls(config: &TraceConfig) -> Result<[Call; 2], TraceError> {
    let call = |port: u16| {
        let identity = Identity::seeded(u64::from(port));
        Call::new(CallConfig {
            codecs: vec![config.codec.clone()],
            registry: config.registry.clone(),
            ptime_ms: FRAME_MS,
            srtp: SrtpPolicy::Off,
            delay: config.delay,
            ..CallConfig::with_identity(port, identity)
        })
    };
    let (mut speaker, mut listener) = (call(PORTS[0])?, call(PORTS[1])?);
    let offer = speaker.offer()?;
    let answer = listener.answer(Instant::ZERO, &offer)?;
    speaker.accept(Instant::ZERO, &answer)?;
    Ok([speaker, listener])
}

/// Returns the datagrams of the first `frames` frames.
fn encode(speaker: &mut Call, speech: &[i16], rate: u32, frames: u32) -> Vec<Vec<u8>> {
    let mut buffer = vec![0; 4_096];
    let mut endless = speech.iter().copied().cycle();
    let mut pcm = vec![0; (rate * FRAME_MS / 1_000) as usize];
    let mut datagrams = Vec::with_capacity(frames as usize);
    for _ in 0..frames {
        pcm.iter_mut().zip(&mut endless).for_each(|(place, sample)| *place = sample);
        speaker.capture(Instant::ZERO, &pcm);
        // A codec that refuses a frame leaves a hole, as in a call.
        datagrams.push(
            speaker.transmit(Instant::ZERO, &mut buffer).map_or_else(Vec::new, |sent| buffer[..sent.len].to_vec()),
        );
    }
    datagrams
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_plain_trace_is_as_recorded() {
        let csv = "arrival_ms,seq,rtp_ts,pt,bytes\n10.5,65535,4294967136,0,160\n30.5,0,0,0,160\n55.0,1,160,0,160\n";
        let trace = Trace::parse(csv, SECOND).unwrap();
        assert_eq!(trace.packets, [(0.0, 0), (20.0, 1), (44.5, 2)]);
        assert_eq!(trace.frames, 3);
    }

    #[test]
    fn pauses_are_closed_up_and_order_is_kept_where_it_was() {
        // 30 ms packets at 8 kHz, one after a pause of a second; then one that was overtaken.
        let csv = "0,7,0\n30,8,240\n1060,9,8480\n1120,11,8960\n1125,10,8720\n";
        let trace = Trace::parse(csv, SECOND).unwrap();
        assert_eq!(trace.packets, [(0.0, 0), (20.0, 1), (40.0, 2), (80.0, 4), (95.0, 3)]);
        assert_eq!(Trace::parse(csv, Duration::from_millis(60)).unwrap().frames, 3);
    }

    #[test]
    fn one_wrong_number_makes_no_hours_of_silence() {
        let limit = Duration::from_secs(60);
        // At the beginning, in the middle, at the end; far too early where the rest is late, and far too late.
        for rate in [8u64, 48] {
            for (wrong, usual, number) in [
                (0, 0, 999_999_999u64),
                (150, 0, 999_999_999),
                (299, 0, 999_999_999),
                (0, 900_000_000, 0),
                (150, 900_000_000, 0),
                (299, 900_000_000, 0),
            ] {
                let arrival = |n: u64| if n == wrong { number } else { usual + 20 * n };
                let csv: String = (0..300u64).map(|n| format!("{},{n},{}\n", arrival(n), n * 20 * rate)).collect();
                let trace = Trace::parse(&csv, limit).unwrap();
                assert_eq!((trace.left_out, trace.packets.len()), (1, 299), "{wrong}: {number}");
                assert!(trace.packets.iter().all(|(ms, _)| *ms < 6_000.0), "{wrong}: {number}");
            }
        }
        // A network that becomes slower by half a minute is one.
        let csv: String = (0..3_000u32).map(|n| format!("{},{n},{}\n", n * 30, n * 160)).collect();
        assert_eq!(Trace::parse(&csv, limit).unwrap().left_out, 0);
    }

    #[test]
    fn nonsense_is_an_error_with_its_line() {
        let error = |csv: &str| Trace::parse(csv, SECOND).unwrap_err().to_string();
        assert_eq!(error("arrival_ms,seq,rtp_ts\n"), "the trace has no packets");
        assert_eq!(error("x\n0,1,2\n20,70000,3\n"), "line 3 of the trace has no sequence number");
        assert_eq!(error("0,1\n"), "line 1 of the trace has no timestamp");
        assert_eq!(error("0,1,2\n1e99,2,3\n"), "line 2 of the trace has no arrival time");
    }

    #[test]
    fn the_same_trace_gives_the_same_bits() {
        let csv: String = (0..100u32).map(|n| format!("{},{n},{}\n", n * 20 + n * n % 37, n * 160)).collect();
        let trace = Trace::parse(&csv, Duration::from_secs(60)).unwrap();
        let speech: Vec<i16> = (0..4_000).map(|n| ((n * 37) % 2_000) as i16 - 1_000).collect();
        let config =
            TraceConfig { codec: CodecFormat::pcmu(), registry: Registry::builtin(), delay: DelayConfig::default() };
        let [one, two] = [0, 1].map(|_| play(&trace, &speech, &config).unwrap());
        assert_eq!(one.heard, two.heard);
        assert_eq!(one.report, two.report);
        assert_eq!((one.report.received, one.report.lost), (100, 0));
        assert!(one.report.mean_playout_delay_ms >= one.report.mean_buffer_delay_ms);
        assert!(matches!(play(&trace, &[], &config), Err(TraceError::NoSpeech)));
    }
}
