//! What a receiver counts: every packet and every sample has its place, so that the numbers add up
//! ([`ReceiverStats::unaccounted`]).
//!
//! Packets: `received = malformed + refused + probation + duplicate + late` (those that were not stored)
//! `+ decoded + noise + event + unknown_payload + undecodable + discarded` (those whose turn has passed)
//! `+ buffered - buffered copies` (those that wait for it).
//!
//! Copies of packets (RFC 2198): `redundant_blocks = redundant_used + redundant_late + redundant_duplicate +
//! redundant_unusable + redundant_discarded + buffered copies`.
//!
//! Samples: `played = decoded + recovered + concealed + noise + silence + inserted - removed - queued`, and
//! `concealed = concealed for lost + for late packets + what was made up since the last packet`.

use crate::quality::{ReceptionStats, ReceptionTotals};
use crate::time::RtpTime;

/// Counts one more, up to the most there is: who sends what can't be used may do so for days.
pub(super) const fn bump(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}

/// Smallest, largest and mean of a delay; the mean is over samples, so that a long packet counts as much as two short
/// ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DelaySummary {
    /// How many packets were counted.
    pub packets: u32,
    /// Smallest, in microseconds.
    pub min_us: u32,
    /// Largest, in microseconds.
    pub max_us: u32,
    /// Microseconds times samples, and samples.
    sum: u64,
    samples: u64,
}

impl DelaySummary {
    /// Mean in microseconds; 0 if nothing was counted.
    pub fn mean_us(&self) -> u32 {
        self.sum.checked_div(self.samples).unwrap_or(0) as u32
    }

    /// Mean in microseconds of what was counted after `earlier`, a snapshot of the same; `None` if nothing was.
    pub fn mean_us_since(&self, earlier: &Self) -> Option<u32> {
        let samples = self.samples.wrapping_sub(earlier.samples);
        Some(self.sum.wrapping_sub(earlier.sum).checked_div(samples)? as u32)
    }

    fn add(&mut self, other: &Self) {
        if other.packets == 0 {
            return;
        }
        self.min_us = if self.packets == 0 { other.min_us } else { self.min_us.min(other.min_us) };
        self.max_us = self.max_us.max(other.max_us);
        self.sum += other.sum;
        self.samples += other.samples;
        self.packets = self.packets.saturating_add(other.packets);
    }

    pub(super) fn count(&mut self, delay_us: u32, samples: u32) {
        self.min_us = if self.packets == 0 { delay_us } else { self.min_us.min(delay_us) };
        self.max_us = self.max_us.max(delay_us);
        self.sum += u64::from(delay_us) * u64::from(samples);
        self.samples += u64::from(samples);
        self.packets = self.packets.saturating_add(1);
    }
}

/// What one call of `play` made, in samples; all but the queue's rest is heard in this tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Played {
    /// Decoded from packets.
    pub decoded: u32,
    /// Decoded from redundancy in later packets.
    pub recovered: u32,
    /// Concealed, by the codec or in the waveform.
    pub concealed: u32,
    /// Comfort noise: described by the sender, or made by the codec in its own pauses.
    pub noise: u32,
    /// Silence: before the stream, in its pauses and after its end.
    pub silence: u32,
    /// Counted as concealed before, in this tick or earlier, while it wasn't known yet that the sender paused: these belong
    /// to its pause, and [`ReceiverStats`] counts them as silence from now on.
    pub paused: u32,
    /// Inserted by playing slower.
    pub inserted: u32,
    /// Removed by playing faster.
    pub removed: u32,
    /// Playout delay of the last packet that was decoded in this tick, in microseconds over the fastest packet.
    pub playout_delay_us: Option<u32>,
    /// Timestamp of that packet.
    pub timestamp: Option<RtpTime>,
    /// How long that packet waited from its arrival to its turn, in microseconds.
    pub buffer_delay_us: Option<u32>,
    /// What the delay is steered to, in ms.
    pub target_delay_ms: u32,
}

/// A snapshot of a receiver's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReceiverStats {
    /// RFC 3550: expected, received, lost, jitter, of the source that is being played, since it began or began anew.
    pub reception: ReceptionStats,
    /// The RTP clock in Hz that its newest packet counts in, and so its jitter.
    pub clock_hz: u32,
    /// The counts among them, of this sequence and source and all before. The others below are of all too.
    pub total: ReceptionTotals,
    /// Datagrams that came.
    pub received: u64,
    /// Those that were not RTP.
    pub malformed: u32,
    /// RTP packets that can't be what they claim: longer than the whole buffer, or redundant audio data whose headers
    /// don't parse. Nothing else is counted of them, and they move nothing.
    pub refused: u32,
    /// Packets that were here before, themselves or their copy in a later one.
    pub duplicate: u32,
    /// Packets whose turn had passed, or whose timestamps can't be true.
    pub late: u32,
    /// Packets that were decoded in their turn.
    pub decoded_packets: u64,
    /// Packets dropped because the buffer or a budget was full, the delay above its bound, or the stream began anew.
    pub discarded: u32,
    /// Those of them, and copies, that were given up for packets of other media, or of its own, under a shared budget
    /// ([`budget`](crate::streams::budget)).
    pub crowded_out: u32,
    /// Packets of a payload type that the call has no decoder for, and those with nothing in them but padding.
    pub unknown_payload: u32,
    /// Packets that the decoder refused, or whose sound has another rate.
    pub undecodable: u32,
    /// Packets not used while a new source or sequence proved itself.
    pub probation: u32,
    /// Times another source took over.
    pub ssrc_changes: u32,
    /// Times the same source began anew: its sequence or its time jumped.
    pub restarts: u32,
    /// Those of them in which the time jumped, or the way became longer than the bound.
    pub time_jumps: u32,
    /// Times the stream stopped for more than a second.
    pub pauses: u32,
    /// Pauses of the sender between two packets that follow each other, without comfort noise.
    pub silent_pauses: u32,
    /// Times the payload type changed.
    pub codec_switches: u32,
    /// Times the length of packets changed within one payload type.
    pub ptime_changes: u32,
    /// Descriptions of comfort noise.
    pub noise_packets: u32,
    /// Packets of telephone events.
    pub event_packets: u32,
    /// Gaps that were concealed.
    pub concealment_events: u32,
    /// Redundant blocks in packets (RFC 2198).
    pub redundant_blocks: u32,
    /// Packets that never came and were decoded from such blocks.
    pub redundant_used: u32,
    /// Blocks of missing packets that came when those had been concealed.
    pub redundant_late: u32,
    /// Blocks of packets that were here.
    pub redundant_duplicate: u32,
    /// Blocks that are of no use: empty, of an encoding that wasn't heard, or without a place in the sequence.
    pub redundant_unusable: u32,
    /// Blocks that were dropped as packets are, or that the decoder refused.
    pub redundant_discarded: u32,
    /// Samples handed out.
    pub played_samples: u64,
    /// Samples decoded from packets.
    pub decoded_samples: u64,
    /// Samples decoded from redundancy: in-band FEC, or blocks of RFC 2198.
    pub recovered_samples: u64,
    /// Samples concealed.
    pub concealed_samples: u64,
    /// Those of them for packets that were lost, or came so late that others were played before.
    pub concealed_lost_samples: u64,
    /// Those while waiting for a packet that came: afterwards the delay is longer by them.
    pub concealed_late_samples: u64,
    /// Those since the last packet: why they were needed isn't known yet.
    pub concealed_open_samples: u32,
    /// Samples of comfort noise.
    pub noise_samples: u64,
    /// Samples of silence, and of what faded out where the sender paused.
    pub silence_samples: u64,
    /// Samples inserted by playing slower.
    pub inserted_samples: u64,
    /// Samples removed by playing faster.
    pub removed_samples: u64,
    /// Playout delay: play time over that of the fastest packet.
    pub playout_delay: DelaySummary,
    /// Time packets spent in the buffer, from arrival to play.
    pub buffer_delay: DelaySummary,
    /// What the delay is steered to, in ms.
    pub target_delay_ms: u32,
    /// How much slower than ours the sender's clock runs, in parts per million.
    pub drift_ppm: i32,
    /// The sender counts G.722 at 16 kHz, twice as fast as RFC 3551 has it (4.5.2).
    pub double_clock: bool,
    /// Packets in the buffer.
    pub buffered_packets: u32,
    /// Copies (RFC 2198) among them.
    pub buffered_copies: u32,
    /// Samples made and not played yet, or never where a stream ended.
    pub queued_samples: u32,
}

impl ReceiverStats {
    /// Packets, copies, samples, and concealed samples that have no place in the equations above, in this order: zeros.
    pub fn unaccounted(&self) -> [i64; 4] {
        let sum = |counts: &[u32]| counts.iter().map(|&count| i64::from(count)).sum::<i64>();
        let refused = sum(&[self.malformed, self.refused, self.probation, self.duplicate, self.late]);
        let passed = self.decoded_packets as i64
            + sum(&[self.noise_packets, self.event_packets, self.unknown_payload, self.undecodable, self.discarded]);
        let waiting = i64::from(self.buffered_packets) - i64::from(self.buffered_copies);
        let copies = sum(&[
            self.redundant_used,
            self.redundant_late,
            self.redundant_duplicate,
            self.redundant_unusable,
            self.redundant_discarded,
            self.buffered_copies,
        ]);
        let made = [
            self.decoded_samples,
            self.recovered_samples,
            self.concealed_samples,
            self.noise_samples,
            self.silence_samples,
            self.inserted_samples,
        ];
        let made = made.iter().sum::<u64>() as i64 - self.removed_samples as i64 - i64::from(self.queued_samples);
        let concealed = self.concealed_lost_samples + self.concealed_late_samples;
        [
            self.received as i64 - refused - passed - waiting,
            i64::from(self.redundant_blocks) - copies,
            self.played_samples as i64 - made,
            self.concealed_samples as i64 - concealed as i64 - i64::from(self.concealed_open_samples),
        ]
    }

    /// The same once nothing more comes of it: what waits is dropped.
    pub fn ended(mut self) -> Self {
        self.discarded = self.discarded.saturating_add(self.buffered_packets.saturating_sub(self.buffered_copies));
        self.redundant_discarded = self.redundant_discarded.saturating_add(self.buffered_copies);
        self.concealed_lost_samples += u64::from(self.concealed_open_samples);
        (self.buffered_packets, self.buffered_copies, self.concealed_open_samples) = (0, 0, 0);
        self
    }

    /// The same in samples of another rate, in Hz. They add up as before.
    pub fn at_rate(mut self, from_hz: u32, to_hz: u32) -> Self {
        if from_hz == to_hz {
            return self;
        }
        let scaled = |samples: u64| samples.saturating_mul(to_hz.into()).checked_div(from_hz.into()).unwrap_or(0);
        let before = self.unaccounted();
        for samples in [
            &mut self.played_samples,
            &mut self.decoded_samples,
            &mut self.recovered_samples,
            &mut self.concealed_lost_samples,
            &mut self.concealed_late_samples,
            &mut self.noise_samples,
            &mut self.silence_samples,
            &mut self.inserted_samples,
            &mut self.removed_samples,
        ] {
            *samples = scaled(*samples);
        }
        self.queued_samples = scaled(self.queued_samples.into()) as u32;
        self.concealed_open_samples = scaled(self.concealed_open_samples.into()) as u32;
        self.concealed_samples =
            self.concealed_lost_samples + self.concealed_late_samples + u64::from(self.concealed_open_samples);
        // What rounding took.
        let off = self.unaccounted()[2] - before[2];
        self.played_samples = self.played_samples.saturating_add_signed(off.saturating_neg());
        self
    }

    /// Takes in what another receiver counted: its packets, samples and delays. What is of the present stays: reception,
    /// target delay and drift.
    pub fn add(&mut self, other: &Self) {
        self.total.add(&other.total);
        for (count, more) in [
            (&mut self.malformed, other.malformed),
            (&mut self.refused, other.refused),
            (&mut self.duplicate, other.duplicate),
            (&mut self.late, other.late),
            (&mut self.discarded, other.discarded),
            (&mut self.crowded_out, other.crowded_out),
            (&mut self.unknown_payload, other.unknown_payload),
            (&mut self.undecodable, other.undecodable),
            (&mut self.probation, other.probation),
            (&mut self.ssrc_changes, other.ssrc_changes),
            (&mut self.restarts, other.restarts),
            (&mut self.time_jumps, other.time_jumps),
            (&mut self.pauses, other.pauses),
            (&mut self.silent_pauses, other.silent_pauses),
            (&mut self.codec_switches, other.codec_switches),
            (&mut self.ptime_changes, other.ptime_changes),
            (&mut self.noise_packets, other.noise_packets),
            (&mut self.event_packets, other.event_packets),
            (&mut self.concealment_events, other.concealment_events),
            (&mut self.redundant_blocks, other.redundant_blocks),
            (&mut self.redundant_used, other.redundant_used),
            (&mut self.redundant_late, other.redundant_late),
            (&mut self.redundant_duplicate, other.redundant_duplicate),
            (&mut self.redundant_unusable, other.redundant_unusable),
            (&mut self.redundant_discarded, other.redundant_discarded),
            (&mut self.concealed_open_samples, other.concealed_open_samples),
            (&mut self.buffered_packets, other.buffered_packets),
            (&mut self.buffered_copies, other.buffered_copies),
            (&mut self.queued_samples, other.queued_samples),
        ] {
            *count = count.saturating_add(more);
        }
        for (count, more) in [
            (&mut self.received, other.received),
            (&mut self.decoded_packets, other.decoded_packets),
            (&mut self.played_samples, other.played_samples),
            (&mut self.decoded_samples, other.decoded_samples),
            (&mut self.recovered_samples, other.recovered_samples),
            (&mut self.concealed_samples, other.concealed_samples),
            (&mut self.concealed_lost_samples, other.concealed_lost_samples),
            (&mut self.concealed_late_samples, other.concealed_late_samples),
            (&mut self.noise_samples, other.noise_samples),
            (&mut self.silence_samples, other.silence_samples),
            (&mut self.inserted_samples, other.inserted_samples),
            (&mut self.removed_samples, other.removed_samples),
        ] {
            *count += more;
        }
        self.playout_delay.add(&other.playout_delay);
        self.buffer_delay.add(&other.buffer_delay);
    }

    pub(super) fn count(&mut self, played: &Played, samples: usize) {
        self.played_samples += samples as u64;
        self.decoded_samples += u64::from(played.decoded);
        self.recovered_samples += u64::from(played.recovered);
        self.concealed_samples += u64::from(played.concealed);
        self.concealed_samples -= u64::from(played.paused);
        self.noise_samples += u64::from(played.noise);
        self.silence_samples += u64::from(played.silence) + u64::from(played.paused);
        self.inserted_samples += u64::from(played.inserted);
        self.removed_samples += u64::from(played.removed);
    }
}
