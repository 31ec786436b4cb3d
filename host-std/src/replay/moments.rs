//! The impairments of a stream, with time and cause: its worst moments, and a verdict in plain words.
//!
//! A moment is a cluster of made-up sound, an outage, or a stretch of long delay. Its cause is read off the packets
//! whose turn it was. The thresholds of the verdict are ours: shares of made-up sound between which listeners' words
//! change, and delays from which people begin to talk into each other (ITU-T G.114 has 400 ms one way as the limit, of
//! which the network's own part is not known here).

use serde::Serialize;

use super::ListenerReport;
use super::numbers::thousandth;
use crate::report::{DelayRow, PacketOutcome, PacketRow, PlayCause, PlayRow};

/// Made-up sound that is not further apart than this is one moment, in ms.
const TOGETHER_MS: f64 = 1_000.0;
/// A moment that lasts longer is another one, in ms.
const LONGEST_MS: f64 = 10_000.0;
/// A receiver's delay over the fastest packet that counts as a moment of its own, in ms.
const LONG_DELAY_MS: f64 = 300.0;
/// The time for which that delay must last, in ms.
const LONG_DELAY_FOR_MS: f64 = 1_000.0;
/// Packets lost in a row that are an outage: a second of 20 ms packets.
const OUTAGE_MS: f64 = 1_000.0;

/// The reason why a moment was bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Packets never arrived.
    Lost,
    /// Packets arrived after their turn, or kept the buffer waiting.
    Late,
    /// Packets arrived and could not be used.
    Discarded,
    /// No packet came, and none is missing: the sender was silent.
    Pause,
    /// Everything was there, long after it was said.
    Delay,
}

/// A moment in which a stream sounded bad.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BadMoment {
    /// The time at which it began, in ms of the stream's sound.
    pub at_ms: f64,
    /// The same by the clock of the capture, as `14:32:07.3`; `None` if the capture has no clock.
    pub time: Option<String>,
    /// The duration, in ms.
    pub duration_ms: f64,
    /// The reason why it was bad.
    pub cause: Cause,
    /// The duration of sound that was concealed or missing, in ms.
    pub missing_ms: f64,
    /// The number of packets that were lost.
    pub lost: u64,
    /// The number of packets that came too late.
    pub late: u64,
    /// The moment in words.
    pub words: String,
    #[serde(skip)]
    badness: f64,
}

/// The record of a stream from which moments are derived.
pub(super) struct StreamRecord<'a> {
    pub(super) packets: &'a [PacketRow],
    pub(super) play: &'a [PlayRow],
    pub(super) delays: &'a [DelayRow],
    pub(super) packet_ms: f64,
    pub(super) duration_ms: f64,
}

impl StreamRecord<'_> {
    /// The `most` worst moments, in the order of time.
    pub(super) fn worst(&self, most: usize) -> Vec<BadMoment> {
        let mut moments: Vec<BadMoment> =
            self.clusters().into_iter().map(|(begin, end, missing)| self.explain(begin, end, missing)).collect();
        moments.extend(self.long_delays());
        moments.sort_by(|a, b| b.badness.total_cmp(&a.badness).then(a.at_ms.total_cmp(&b.at_ms)));
        moments.truncate(most);
        moments.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms));
        moments
    }

    /// Made-up sound and the silence that follows when there was nothing left to make it of: begin, end, length.
    fn clusters(&self) -> Vec<(f64, f64, f64)> {
        let mut spans: Vec<(f64, f64, bool)> = Vec::new();
        for row in self.play {
            match row.cause {
                PlayCause::Concealed => spans.push((row.at_ms, row.at_ms + row.duration_ms, true)),
                PlayCause::Silence => spans.push((row.at_ms, row.at_ms + row.duration_ms, false)),
                _ => {}
            }
        }
        spans.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut clusters: Vec<(f64, f64, f64)> = Vec::new();
        for (begin, end, concealed) in spans {
            match clusters.last_mut() {
                // Silence counts only after concealed sound, and doesn't extend the distance over which moments are joined.
                Some(last) if !concealed && begin - last.1 < 30.0 => {
                    last.1 = end;
                    last.2 += end - begin;
                }
                Some(last) if concealed && begin - last.1 < TOGETHER_MS && end - last.0 < LONGEST_MS => {
                    last.1 = last.1.max(end);
                    last.2 += end - begin;
                }
                _ if concealed => clusters.push((begin, end, end - begin)),
                _ => {}
            }
        }
        clusters
    }

    /// The playout delay about `at_ms`.
    fn delay_at(&self, at_ms: f64) -> f64 {
        let after = self.delays.partition_point(|row| row.at_ms < at_ms);
        self.delays.get(after.saturating_sub(1)).map_or(0.0, |row| row.playout_ms)
    }

    fn explain(&self, begin: f64, end: f64, missing_ms: f64) -> BadMoment {
        // The sound that was due now had been sent one delay before.
        let delay = self.delay_at(begin);
        let (from, to) = (begin - delay - self.packet_ms * 1.5, end - delay + self.packet_ms * 0.5);
        let (mut lost, mut late, mut discarded, mut run, mut longest_run, mut slowest) = (0, 0, 0, 0, 0, 0.0f64);
        // Rows are in the order of their numbers, so nearly in that of their times.
        let near = self.packets.partition_point(|row| row.media_ms < from - 1_000.0);
        for row in self.packets[near..].iter().take_while(|row| row.media_ms < to + 1_000.0) {
            if !(from..to).contains(&row.media_ms) {
                continue;
            }
            run = if row.fate == PacketOutcome::LostInNetwork { run + 1 } else { 0 };
            longest_run = run.max(longest_run);
            match row.fate {
                PacketOutcome::LostInNetwork => lost += 1,
                PacketOutcome::Late => late += 1,
                PacketOutcome::Discarded
                | PacketOutcome::Undecodable
                | PacketOutcome::Unusable
                | PacketOutcome::Refused => {
                    discarded += 1;
                }
                PacketOutcome::Played
                | PacketOutcome::Duplicate
                | PacketOutcome::Superseded
                | PacketOutcome::Event
                | PacketOutcome::OtherPayload
                | PacketOutcome::Probation
                | PacketOutcome::Waiting => {}
            }
            slowest = row.arrival_ms.map_or(slowest, |at| slowest.max(at - row.media_ms));
        }
        let many = |count: u64, what: &str| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") };
        let outage = self.packet_ms * longest_run as f64 >= OUTAGE_MS;
        let length = length_of(missing_ms);
        let (cause, words) = if outage {
            let gap = length_of(self.packet_ms * longest_run as f64);
            (Cause::Lost, format!("outage: {longest_run} packets in a row lost, {gap} of speech are gone"))
        } else if lost > 0 && lost >= late && lost as f64 * self.packet_ms * 3.0 >= missing_ms {
            let row = if longest_run > 1 { format!(", up to {longest_run} in a row") } else { String::new() };
            let too = if late > 0 { format!(", {late} more too late") } else { String::new() };
            (Cause::Lost, format!("{length} made up: {} lost on the network{row}{too}", many(lost, "packet")))
        } else if late > 0 {
            let too = if lost > 0 { format!(", {lost} lost") } else { String::new() };
            let slow = length_of(slowest);
            (
                Cause::Late,
                format!("{length} made up: {} too late, by up to {slow} over the fastest{too}", many(late, "packet")),
            )
        } else if discarded > 0 {
            (Cause::Discarded, format!("{length} made up: {} discarded", many(discarded, "packet")))
        } else if slowest > delay + self.packet_ms {
            let slow = length_of(slowest);
            let too = if lost > 0 { format!("; {} lost", many(lost, "packet")) } else { String::new() };
            (Cause::Late, format!("{length} made up, waiting for packets that came {slow} after the fastest{too}"))
        } else if lost > 0 {
            (Cause::Lost, format!("{length} made up: {} lost on the network", many(lost, "packet")))
        } else {
            (Cause::Pause, format!("{length} faded out: no packets came, and none is missing"))
        };
        let badness = match cause {
            Cause::Pause => missing_ms.min(20.0),
            // Long holes are worse than their sum: their concealment has faded out.
            _ => missing_ms + self.packet_ms * longest_run as f64,
        };
        let missing_ms = thousandth(missing_ms);
        let (at_ms, duration_ms) = (thousandth(begin), thousandth(end - begin));
        BadMoment { at_ms, time: None, duration_ms, cause, missing_ms, lost, late, words, badness }
    }

    /// Stretches in which the receiver had to wait long.
    fn long_delays(&self) -> Vec<BadMoment> {
        let mut moments = Vec::new();
        let mut rows = self.delays.iter().peekable();
        while let Some(first) = rows.next() {
            if first.playout_ms < LONG_DELAY_MS {
                continue;
            }
            let (mut last, mut most) = (first, first.playout_ms);
            while let Some(row) = rows.next_if(|row| row.playout_ms >= LONG_DELAY_MS * 0.9) {
                most = most.max(row.playout_ms);
                last = row;
            }
            let duration_ms = last.at_ms - first.at_ms;
            if duration_ms >= LONG_DELAY_FOR_MS {
                let (high, how_long) = (length_of(most), length_of(duration_ms));
                moments.push(BadMoment {
                    at_ms: thousandth(first.at_ms),
                    time: None,
                    duration_ms: thousandth(duration_ms),
                    cause: Cause::Delay,
                    missing_ms: 0.0,
                    lost: 0,
                    late: 0,
                    words: format!(
                        "for {how_long} the sound came up to {high} later than the network's fastest packet"
                    ),
                    // A second too late for a minute is as bad as a second missing.
                    badness: (most - LONG_DELAY_MS) * (duration_ms / 60_000.0).min(1.0),
                });
            }
        }
        moments
    }

    /// Returns the duration of concealed sound where no packet came and none is missing, in ms.
    fn filled_pauses_ms(&self) -> f64 {
        let pauses: Vec<_> = self
            .clusters()
            .into_iter()
            .filter(|&(begin, end, missing)| self.explain(begin, end, missing).cause == Cause::Pause)
            .collect();
        let made_up = self.play.iter().filter(|row| row.cause == PlayCause::Concealed);
        let within = |row: &&PlayRow| pauses.iter().any(|(begin, end, _)| (*begin..*end).contains(&row.at_ms));
        made_up.filter(within).map(|row| row.duration_ms).sum()
    }

    /// The stream in one sentence.
    pub(super) fn verdict(&self, numbers: &ListenerReport) -> String {
        if self.duration_ms <= 0.0 {
            return "Nothing to hear.".into();
        }
        if numbers.received == 0 {
            return "Bad: nothing arrived.".into();
        }
        // Sound that fills the sender's pauses replaces no lost word.
        let pauses = (self.filled_pauses_ms() / self.duration_ms).min(numbers.concealed_ratio);
        let lost = numbers.concealed_ratio - pauses;
        let lost = if lost < 1e-4 && pauses > 0.0 { 0.0 } else { lost };
        let (word, why) = match lost {
            share if share < 0.001 => ("Clean", "nothing to hear of the network"),
            share if share < 0.01 => ("Good", "a careful listener notices small flaws"),
            share if share < 0.03 => ("Fair", "flaws are easy to hear"),
            share if share < 0.08 => ("Poor", "tiring to listen to"),
            _ => ("Bad", "words are lost"),
        };
        let share = lost * 100.0;
        let made_up = match share {
            0.0 if pauses > 0.0 => "only pauses of the sender are filled".into(),
            0.0 => "none of the sound is made up".into(),
            share if share < 0.1 => "less than 0.1 % of the sound is made up".into(),
            share => format!("{share:.1} % of the sound is made up"),
        };
        // Delay is counted as in the receiver, over the fastest packet of the last seconds: a longer route is not jitter.
        let delay = self.delays.iter().map(|row| row.playout_ms).sum::<f64>() / self.delays.len().max(1) as f64;
        let delay = match delay {
            delay if delay >= 600.0 => format!(" The jitter adds {delay:.0} ms of delay: people talk into each other."),
            delay if delay >= LONG_DELAY_MS => format!(" The jitter adds {delay:.0} ms of delay: answers seem slow."),
            _ => String::new(),
        };
        format!("{word}: {why}; {made_up}.{delay}")
    }
}

/// Returns a length of time for people.
fn length_of(ms: f64) -> String {
    if ms < 1_000.0 { format!("{ms:.0} ms") } else { format!("{:.1} s", ms / 1_000.0) }
}

pub(super) use crate::calendar::date;

/// Time of day by microseconds since 1970, to a tenth of a second: `14:32:07.3`.
pub(super) fn time_of_day(unix_us: i64) -> String {
    let tenths = unix_us.div_euclid(100_000).rem_euclid(864_000);
    let seconds = tenths / 10;
    format!("{:02}:{:02}:{:02}.{}", seconds / 3_600, seconds / 60 % 60, seconds % 60, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times() {
        assert_eq!((date(0), time_of_day(0)), ("1970-01-01".into(), "00:00:00.0".into()));
        let leap = 1_709_164_799_950_000; // the last moment of 28 February 2024
        assert_eq!((date(leap), time_of_day(leap)), ("2024-02-28".into(), "23:59:59.9".into()));
        assert_eq!(date(leap + 100_000), "2024-02-29");
        assert_eq!(date(1_767_225_600_000_000), "2026-01-01");
        assert_eq!((date(-1), time_of_day(-1)), ("1969-12-31".into(), "23:59:59.9".into()));
    }

    fn packet(n: u64, fate: PacketOutcome, delay_ms: f64) -> PacketRow {
        let media_ms = n as f64 * 20.0;
        let arrival_ms = (fate != PacketOutcome::LostInNetwork).then_some(media_ms + delay_ms);
        PacketRow { seq: n, media_ms, arrival_ms, fate }
    }

    #[test]
    fn causes_are_told_apart() {
        // Two losses, later two late packets, all with a delay of 40 ms; 10 s of packets.
        let fate = |n: u64| match n {
            100 | 101 => (PacketOutcome::LostInNetwork, 0.0),
            300 | 301 => (PacketOutcome::Late, 130.0),
            _ => (PacketOutcome::Played, 10.0),
        };
        let packets: Vec<_> = (0..500).map(|n| packet(n, fate(n).0, fate(n).1)).collect();
        let delays: Vec<_> =
            (0..1_000).map(|n| DelayRow { at_ms: f64::from(n) * 10.0, target_ms: 40.0, playout_ms: 40.0 }).collect();
        let concealed = |at_ms: f64| PlayRow { at_ms, duration_ms: 40.0, cause: PlayCause::Concealed };
        let play = [concealed(2_040.0), concealed(6_040.0), concealed(8_000.0)];
        let record =
            StreamRecord { packets: &packets, play: &play, delays: &delays, packet_ms: 20.0, duration_ms: 10_000.0 };
        let moments = record.worst(5);
        let causes: Vec<_> =
            moments.iter().map(|moment| (moment.at_ms, moment.cause, moment.lost, moment.late)).collect();
        assert_eq!(causes, [(2_040.0, Cause::Lost, 2, 0), (6_040.0, Cause::Late, 0, 2), (8_000.0, Cause::Pause, 0, 0)]);
        assert!(moments[0].words.contains("40 ms made up: 2 packets lost on the network, up to 2 in a row"));
        // The worst one alone.
        assert_eq!(record.worst(1)[0].cause, Cause::Lost);
    }

    #[test]
    fn long_delay_is_a_moment() {
        let delays: Vec<_> = (0..3_000)
            .map(|n| DelayRow {
                at_ms: f64::from(n) * 10.0,
                target_ms: 40.0,
                playout_ms: if (1_000..1_500).contains(&n) { 800.0 } else { 60.0 },
            })
            .collect();
        let record = StreamRecord { packets: &[], play: &[], delays: &delays, packet_ms: 20.0, duration_ms: 30_000.0 };
        let moments = record.worst(5);
        assert_eq!(moments.len(), 1);
        assert_eq!((moments[0].cause, moments[0].at_ms, moments[0].duration_ms), (Cause::Delay, 10_000.0, 4_990.0));
    }
}
