//! Records what passes a call in memory, and makes one side of a report from two such records.
//!
//! Use it for demos, tests and reports of calls of minutes, since its memory grows with the call. A recording of any length is a
//! [`recorder`](super::recorder)'s. A [`report`](crate::report) shows the result.
//!
//! The report of one side of a call, about the sound that it heard:
//!
//! ```
//! use dsp_core::time::Instant;
//! use host_std::record::call::{CallRecorder, side_report};
//! use host_std::session::{Call, CallConfig, Identity};
//! use host_std::simulate::netsim::NetworkConfig;
//! use host_std::simulate::virtual_time::VirtualTime;
//!
//! let call = |port| Call::new(CallConfig::with_identity(port, Identity::seeded(port.into())));
//! let addresses = ["127.0.0.1:4000".parse()?, "127.0.0.1:5000".parse()?];
//! let network = NetworkConfig { loss_percent: 5.0, ..NetworkConfig::default() };
//! let mut two = VirtualTime::connect([call(4000)?, call(5000)?], addresses, network, 0.0, 1)?;
//! for end in &mut two.ends {
//!     end.call.set_tap(Box::new(CallRecorder::default()));
//! }
//! two.run_until(Instant::from_millis(2_000));
//!
//! let [anna, bert] = &mut two.ends;
//! let speaker = anna.call.take_tap::<CallRecorder>().expect("it was set");
//! let listener = bert.call.take_tap::<CallRecorder>().expect("it was set");
//! let side = side_report(["bert", "anna"], &listener, &speaker, &bert.call, "bert.wav");
//! assert!(side.statistics.packets_lost > 0);
//! assert_eq!(side.statistics.unaccounted(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::HashMap;
use std::net::SocketAddr;

use dsp_core::receive::Played;
use dsp_core::time::{Instant, Seq, Ssrc};
use dsp_core::wire::DatagramKind;
use dsp_core::wire::rtp::RtpPacket;

use super::arrived::ArrivedPackets;
use crate::report::{
    CallSoundFigures, DelayRow, DigitLog, EchoFigures, EchoRow, FindingRow, MinMeanMax, PacketOutcome, PacketRow,
    PlayCause, PlayRow, SideReport, Statistics, ToneLog,
};
use crate::sdp::NegotiatedStream;
use crate::session::{Call, CallDigit, CallStats, CallTone, Channel, EchoStatus, Incoming, Tap};

/// The time for which a fast packet represents the network's smallest delay, in ms: as in the delay estimator.
const BASE_WINDOW_MS: f64 = 15_000.0;

/// A datagram as it arrived, for a capture.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The time at which it arrived.
    pub time: Instant,
    /// The port at which it arrived.
    pub channel: Channel,
    /// The address that sent it.
    pub from: SocketAddr,
    /// The datagram, still encrypted if the call is.
    pub bytes: Vec<u8>,
}

struct Packet {
    ssrc: Ssrc,
    seq: Seq,
    time: Instant,
}

/// Everything that passed one side of a call, with the sound of its first stream. It grows with the call: for demos, tests
/// and reports.
///
/// [The module's page](self) has an example.
#[derive(Default)]
pub struct CallRecorder {
    /// The sound that was captured, interleaved.
    pub said: Vec<i16>,
    /// The sound that was played, interleaved.
    pub heard: Vec<i16>,
    /// The datagrams that arrived, if [`with_arrivals`](Self::with_arrivals) keeps them.
    pub arrivals: Vec<Arrival>,
    keep_arrivals: bool,
    sent: Vec<Packet>,
    received: ArrivedPackets,
    played: Vec<(Instant, Played)>,
    echo: Vec<(Instant, EchoStatus)>,
    digits: DigitLog,
    tones: ToneLog,
}

impl CallRecorder {
    /// Creates a recorder that also keeps the datagrams themselves.
    pub fn with_arrivals() -> Self {
        Self { keep_arrivals: true, ..Self::default() }
    }
}

fn rtp(datagram: &[u8], time: Instant) -> Option<Packet> {
    if DatagramKind::of(datagram) != DatagramKind::Rtp {
        return None;
    }
    let packet = RtpPacket::parse(datagram).ok()?;
    Some(Packet { ssrc: packet.ssrc(), seq: packet.seq(), time })
}

impl Tap for CallRecorder {
    fn sent(&mut self, now: Instant, _: Channel, _: SocketAddr, datagram: &[u8]) {
        self.sent.extend(rtp(datagram, now));
    }

    fn arrived(&mut self, now: Instant, channel: Channel, from: SocketAddr, datagram: &[u8]) {
        if self.keep_arrivals {
            self.arrivals.push(Arrival { time: now, channel, from, bytes: datagram.to_vec() });
        }
        self.received.arrived(now, datagram);
    }

    fn received(&mut self, _: Instant, incoming: &Incoming) {
        self.received.received(incoming, true);
    }

    fn settled(&mut self, call: &Call) {
        self.received.settled(call);
    }

    fn captured(&mut self, _: Instant, stream: usize, pcm: &[i16]) {
        if stream == 0 {
            self.said.extend_from_slice(pcm);
        }
    }

    fn played(&mut self, now: Instant, stream: usize, played: &Played, pcm: &[i16]) {
        if stream == 0 {
            self.played.push((now, *played));
            self.heard.extend_from_slice(pcm);
        }
    }

    fn digit(&mut self, _: Instant, digit: &CallDigit) {
        self.digits.add(digit, Instant::ZERO);
    }

    fn tone(&mut self, _: Instant, tone: &CallTone) {
        self.tones.add(tone, Instant::ZERO);
    }

    fn echo(&mut self, now: Instant, status: &EchoStatus) {
        self.echo.push((now, *status));
    }
}

fn ms(time: Instant) -> f64 {
    time.as_micros() as f64 / 1_000.0
}

/// Makes one side of a report: the sound of `speaker` as `listener` heard it. `call` is the listener's call, whose statistics
/// include all sources that it heard, and every restart of one.
pub fn side_report(
    names: [&str; 2],
    listener: &CallRecorder,
    speaker: &CallRecorder,
    call: &Call,
    wav_file: &str,
) -> SideReport {
    let stats = call.stats();
    let (rate_hz, channels) = (call.sample_rate_hz().unwrap_or(8_000), call.channels().unwrap_or(1));
    let packet_ms = stream(call).map_or(20.0, |stream| f64::from(stream.send_ptime_ms));
    let (packets, sent, network) = packet_rows(listener, speaker);
    let count = |fate: PacketOutcome| packets.iter().filter(|row| row.fate == fate).count() as u64;
    let base = network.iter().map(|(_, delay)| *delay).fold(f64::INFINITY, f64::min);
    let base = if base.is_finite() { base } else { 0.0 };
    let seconds = listener.heard.len() as f64 / f64::from(channels) / f64::from(rate_hz);
    let received = listener.received.packets();
    let fates = |fate: PacketOutcome| received.iter().filter(|packet| packet.fate == fate).count() as u64;
    let statistics = Statistics {
        packets_sent: sent as u64,
        packets_received: received.len() as u64 - fates(PacketOutcome::Refused),
        packets_lost: count(PacketOutcome::LostInNetwork),
        packets_duplicate: fates(PacketOutcome::Duplicate).saturating_sub(count(PacketOutcome::Superseded)),
        packets_superseded: count(PacketOutcome::Superseded),
        packets_probation: fates(PacketOutcome::Probation),
        packets_unusable: fates(PacketOutcome::Unusable),
        packets_refused: fates(PacketOutcome::Refused),
        network_delay_ms: MinMeanMax::of(network.iter().map(|(_, delay)| *delay)),
        ..call_statistics(call, &stats, &listener.received, seconds, base)
    };
    SideReport {
        name: names[0].into(),
        peer: names[1].into(),
        codec: codec_name(call),
        sample_rate_hz: rate_hz,
        channels,
        said: speaker.said.clone(),
        heard: listener.heard.clone(),
        wav_file: wav_file.into(),
        packet_ms,
        begins_us: None,
        delays_relative: false,
        statistics,
        packets,
        play: play_rows(&listener.played, rate_hz),
        delays: delay_rows(listener, &network),
        digits: listener.digits.rows().to_vec(),
        tones: listener.tones.rows().to_vec(),
        sound: stats.sound.as_ref().map(CallSoundFigures::from),
        findings: call.findings().map(|(stream, finding)| FindingRow::of_stream(stream, finding)).collect(),
        echo: echo_figures(&listener.echo),
        echo_per_second: echo_rows(&listener.echo),
    }
}

/// Returns the statistics of a call: the counts of its receiver and of the other side's reports, with the packets that are kept
/// of it, over `seconds`, with playout delays `base_ms` above the fastest packet.
pub(crate) fn call_statistics(
    call: &Call,
    stats: &CallStats,
    arrived: &ArrivedPackets,
    seconds: f64,
    base_ms: f64,
) -> Statistics {
    let ticks = f64::from(stats.receiver.reception.jitter_ticks);
    Statistics {
        jitter_ms: ticks * 1e3 / f64::from(stats.receiver.clock_hz.max(1)),
        rtt_ms: stats.round_trip.map(|time| time.as_micros() as f64 / 1_000.0),
        remote_fraction_lost: stats.remote_fraction_lost.map(f64::from),
        remote_jitter_ms: stats.remote_jitter_ms.map(f64::from),
        r_factor: stats.r_factor,
        mos_lq: stats.mos_lq,
        mos_cq: stats.mos_cq,
        remote_r_factor: stats.remote_voip.and_then(|voip| voip.r_factor),
        remote_mos_lq: stats.remote_voip.and_then(|voip| voip.mos_lq_tenths).map(tenths),
        remote_mos_cq: stats.remote_voip.and_then(|voip| voip.mos_cq_tenths).map(tenths),
        clock_drift_ppm: None,
        payload_bitrate_bps: (seconds > 0.0).then(|| arrived.payload_bytes() as f64 * 8.0 / seconds),
        memory_bytes: Some(call.memory_bytes() as u64),
        ..Statistics::counted(&stats.total, call.sample_rate_hz().unwrap_or(8_000), base_ms)
    }
}

fn tenths(value: u8) -> f64 {
    f64::from(value) / 10.0
}

fn stream(call: &Call) -> Option<&NegotiatedStream> {
    call.negotiated_stream(0)
}

/// Returns the codec that is received first, in words.
pub(crate) fn codec_name(call: &Call) -> String {
    stream(call).and_then(|stream| stream.receive.first().map(|codec| (codec, stream))).map_or_else(
        String::new,
        |(codec, stream)| {
            let format = &codec.format;
            format!("{}/{}, {} ms", format.name, format.rtp_clock_hz, stream.send_ptime_ms)
        },
    )
}

/// Returns a row for each packet that was sent, followed by one for each further arrival of a packet; the number of packets that
/// were sent; and the network delay in ms of each that arrived, by arrival in ms.
fn packet_rows(listener: &CallRecorder, speaker: &CallRecorder) -> (Vec<PacketRow>, usize, Vec<(f64, f64)>) {
    let mut rows = Vec::with_capacity(speaker.sent.len());
    let mut by_name: HashMap<(Ssrc, Seq), Vec<usize>> = HashMap::new();
    let mut extended: Option<(Ssrc, Seq, u64)> = None;
    for packet in &speaker.sent {
        let seq = match extended {
            Some((ssrc, last, seq)) if ssrc == packet.ssrc => {
                seq.wrapping_add_signed(i64::from(packet.seq.distance(last)))
            }
            _ => u64::from(packet.seq.0),
        };
        extended = Some((packet.ssrc, packet.seq, seq));
        by_name.entry((packet.ssrc, packet.seq)).or_default().push(rows.len());
        let fate = PacketOutcome::LostInNetwork;
        rows.push(PacketRow { seq, media_ms: ms(packet.time), arrival_ms: None, fate });
    }
    let mut network = Vec::new();
    for packet in listener.received.packets() {
        let arrival = ms(packet.time);
        // A sequence number comes round after 22 minutes of 20 ms packets: it's the last one sent before.
        let sent = by_name
            .get(&(packet.ssrc, packet.seq))
            .and_then(|rows_of| rows_of.iter().rev().find(|&&row| rows[row].media_ms <= arrival).copied());
        let Some(row) = sent else { continue };
        let fate = packet.fate;
        if rows[row].arrival_ms.is_none() {
            rows[row].arrival_ms = Some(arrival);
            // A packet that arrives for the first time as a duplicate was superseded by a copy in another packet.
            rows[row].fate = if fate == PacketOutcome::Duplicate { PacketOutcome::Superseded } else { fate };
            network.push((arrival, arrival - rows[row].media_ms));
        } else {
            rows.push(PacketRow { arrival_ms: Some(arrival), fate, ..rows[row] });
        }
    }
    // The packets that were sent last and have not arrived may still be on their way when the record ends, for as long as the
    // slowest one took.
    let slowest = network.iter().map(|(_, delay)| *delay).fold(0.0, f64::max);
    let end = listener.played.last().map_or(0.0, |(time, _)| ms(*time));
    let more = rows.split_off(speaker.sent.len());
    while rows.last().is_some_and(|row| row.arrival_ms.is_none() && row.media_ms + slowest >= end) {
        rows.pop();
    }
    let sent = rows.len();
    rows.extend(more);
    (rows, sent, network)
}

/// Returns the stretches of played sound that are not plainly decoded.
pub(crate) fn play_rows(ticks: &[(Instant, Played)], rate_hz: u32) -> Vec<PlayRow> {
    let mut rows: Vec<PlayRow> = Vec::new();
    for (time, played) in ticks {
        for (samples, cause) in [
            (played.silence, PlayCause::Silence),
            (played.concealed, PlayCause::Concealed),
            (played.recovered, PlayCause::Recovered),
            (played.inserted, PlayCause::Decelerated),
            (played.removed, PlayCause::Accelerated),
        ] {
            if samples == 0 {
                continue;
            }
            let at_ms = ms(*time);
            let duration_ms = f64::from(samples) * 1_000.0 / f64::from(rate_hz);
            match rows.iter_mut().rev().take(4).find(|row| row.cause == cause) {
                Some(row) if at_ms - (row.at_ms + row.duration_ms) < 0.5 => {
                    row.duration_ms = (at_ms - row.at_ms).max(row.duration_ms) + duration_ms;
                }
                _ => rows.push(PlayRow { at_ms, duration_ms, cause }),
            }
        }
    }
    rows
}

/// Target and playout delay over time, on top of the network's smallest delay of the last seconds.
fn delay_rows(listener: &CallRecorder, network: &[(f64, f64)]) -> Vec<DelayRow> {
    let mut rows = Vec::new();
    let mut window = std::collections::VecDeque::new();
    let mut arrivals = network.iter().peekable();
    for (time, played) in &listener.played {
        let at_ms = ms(*time);
        while let Some(&&(arrival, delay)) = arrivals.peek() {
            if arrival > at_ms {
                break;
            }
            // A queue of rising minima: the front is the window's smallest.
            while window.back().is_some_and(|&(_, last)| last >= delay) {
                window.pop_back();
            }
            window.push_back((arrival, delay));
            arrivals.next();
        }
        while window.front().is_some_and(|&(arrival, _)| at_ms - arrival > BASE_WINDOW_MS) {
            window.pop_front();
        }
        if let (Some(playout_us), Some(&(_, base))) = (played.playout_delay_us, window.front()) {
            rows.push(DelayRow {
                at_ms,
                target_ms: base + f64::from(played.target_delay_ms),
                playout_ms: base + f64::from(playout_us) / 1_000.0,
            });
        }
    }
    rows
}

/// Returns the canceller's status, second by second.
fn echo_rows(told: &[(Instant, EchoStatus)]) -> Vec<EchoRow> {
    let second = |time: &Instant| time.as_micros() / 1_000_000;
    let seconds = told.chunk_by(|(a, _), (b, _)| second(a) == second(b));
    seconds
        .map(|told| EchoRow {
            at_ms: second(&told[0].0) as f64 * 1e3,
            erle_db: mean_erle(told),
            echo_delay_ms: told.last().and_then(|(_, last)| last.delay_ms).map(f64::from),
            double_talk: double_talk(told),
        })
        .collect()
}

/// Returns the same over all of the call.
fn echo_figures(told: &[(Instant, EchoStatus)]) -> Option<EchoFigures> {
    let (_, last) = told.last()?;
    Some(EchoFigures {
        erle_db: mean_erle(told),
        delay_ms: last.delay_ms.map(f64::from),
        drift_ppm: last.drift_ppm.into(),
        double_talk: double_talk(told),
        diverged: last.diverged,
        path_changes: last.path_changes,
    })
}

/// Returns the mean in dB, of those moments in which there was one.
fn mean_erle(told: &[(Instant, EchoStatus)]) -> Option<f64> {
    let known = || told.iter().filter_map(|(_, status)| status.erle_db).filter(|erle| erle.is_finite()).map(f64::from);
    let count = known().count();
    (count > 0).then(|| known().sum::<f64>() / count as f64)
}

fn double_talk(told: &[(Instant, EchoStatus)]) -> f64 {
    told.iter().filter(|(_, status)| status.double_talk).count() as f64 / told.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_canceller_told_is_a_row_a_second() {
        // Begins within a second, has a pause of a second, and ends within one.
        let told: Vec<_> = (50..450u64)
            .filter(|tick| !(200..300).contains(tick))
            .map(|tick| {
                let status = EchoStatus {
                    erle_db: (tick % 2 == 0 && tick < 300).then_some(if tick < 100 { 10.0 } else { 30.0 }),
                    delay_ms: (tick >= 120).then_some(20.5),
                    double_talk: tick % 4 == 0 && tick >= 100,
                    drift_ppm: 3.0,
                    near_end: true,
                    diverged: 1,
                    path_changes: u32::from(tick >= 300),
                };
                (Instant::from_millis(tick * 10), status)
            })
            .collect();
        let row = |at_ms, erle_db, echo_delay_ms, double_talk| EchoRow { at_ms, erle_db, echo_delay_ms, double_talk };
        let rows = [
            row(0.0, Some(10.0), None, 0.0),
            row(1_000.0, Some(30.0), Some(20.5), 0.25),
            row(3_000.0, None, Some(20.5), 0.25),
            row(4_000.0, None, Some(20.5), 0.26),
        ];
        assert_eq!(echo_rows(&told), rows);
        let figures = echo_figures(&told).unwrap();
        // 25 moments of 10 dB and 50 of 30.
        assert!(figures.erle_db.is_some_and(|erle| (erle - 70.0 / 3.0).abs() < 1e-9), "{figures:?}");
        assert_eq!((figures.delay_ms, figures.drift_ppm), (Some(20.5), 3.0));
        assert_eq!((figures.diverged, figures.path_changes, figures.double_talk), (1, 1, 63.0 / 300.0));
        assert_eq!(echo_figures(&[]), None);
        assert_eq!(echo_rows(&[]), []);
        let odd = EchoStatus { erle_db: Some(f32::NAN), ..EchoStatus::default() };
        assert_eq!(echo_rows(&[(Instant::ZERO, odd)])[0].erle_db, None);
    }
}
