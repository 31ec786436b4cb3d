//! The counters of a receiver; the equations that they fulfil are on [`ReceiverStats`].

use crate::quality::{ReceptionStats, ReceptionTotals};
use crate::time::RtpTime;

/// Counts one more, up to the greatest value: packets that cannot be used may come for days.
pub(super) const fn bump(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}

/// Smallest, largest and mean value of a delay. The mean is weighted by samples, so that a long packet counts as much
/// as two of half its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DelaySummary {
    /// Number of packets that were counted.
    pub packets: u32,
    /// Smallest delay, in microseconds.
    pub min_us: u32,
    /// Largest delay, in microseconds.
    pub max_us: u32,
    /// Microseconds times samples, and samples.
    sum: u64,
    samples: u64,
}

impl DelaySummary {
    /// Mean delay in microseconds; 0 if nothing was counted.
    pub fn mean_us(&self) -> u32 {
        self.sum.checked_div(self.samples).unwrap_or(0) as u32
    }

    /// Mean delay in microseconds of what was counted since `earlier`, a snapshot of the same summary; `None` if
    /// nothing was.
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

/// What one call of [`play`](super::Receiver::play) produced, in samples of each channel. All but what still waits in
/// the queue is heard in this tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Played {
    /// Samples decoded from packets.
    pub decoded: u32,
    /// Samples decoded from redundancy in later packets.
    pub recovered: u32,
    /// Samples concealed, by the codec or from the waveform.
    pub concealed: u32,
    /// Samples of comfort noise, described by the sender or made by the codec in its own pauses.
    pub noise: u32,
    /// Samples of silence, before the stream, in its pauses and after its end.
    pub silence: u32,
    /// Samples that were counted as concealed before, in this tick or earlier, and turn out to belong to a pause of
    /// the sender. [`ReceiverStats`] counts them as silence from now on.
    pub paused: u32,
    /// Samples inserted by playing slower.
    pub inserted: u32,
    /// Samples removed by playing faster.
    pub removed: u32,
    /// Playout delay of the last packet that was decoded in this tick, in microseconds after the fastest packet.
    pub playout_delay_us: Option<u32>,
    /// RTP timestamp of that packet.
    pub timestamp: Option<RtpTime>,
    /// How long that packet waited between its arrival and its turn, in microseconds.
    pub buffer_delay_us: Option<u32>,
    /// Target delay, in ms.
    pub target_delay_ms: u32,
}

/// A snapshot of a receiver's counters. The counters add up: each packet and each sample is counted in one place.
/// [`unaccounted`](Self::unaccounted) checks it.
///
/// Packets:
///
/// ```text
/// received = malformed + refused + probation + duplicate + late                                      (not stored)
///          + decoded + noise + event + unknown_payload + undecodable + discarded                     (turn has passed)
///          + buffered_packets - buffered_copies                                                      (waiting)
/// ```
///
/// Copies of packets (RFC 2198):
///
/// ```text
/// redundant_blocks = redundant_used + redundant_late + redundant_duplicate + redundant_unusable
///                  + redundant_discarded + buffered_copies
/// ```
///
/// Samples of each channel:
///
/// ```text
/// played    = decoded + recovered + concealed + noise + silence + inserted - removed - queued
/// concealed = concealed_lost + concealed_late + concealed_open
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReceiverStats {
    /// Statistics of RFC 3550 (expected, received, lost, jitter) of the present source, since its stream began or
    /// restarted.
    pub reception: ReceptionStats,
    /// RTP clock rate of the newest packet, in Hz. The jitter in `reception` counts in it.
    pub clock_hz: u32,
    /// The counts of `reception`, summed over this stream and all before it. All fields below are sums over all
    /// streams too.
    pub total: ReceptionTotals,
    /// Datagrams received.
    pub received: u64,
    /// Datagrams that were not RTP packets.
    pub malformed: u32,
    /// RTP packets that contradict themselves: payloads longer than the whole buffer, and redundant audio data that
    /// does not parse. They count nowhere else and change nothing.
    pub refused: u32,
    /// Packets that were received before, themselves or as a copy in another packet.
    pub duplicate: u32,
    /// Packets whose turn had passed, or whose timestamp cannot be right.
    pub late: u32,
    /// Packets that were decoded in their turn.
    pub decoded_packets: u64,
    /// Packets that were dropped because the buffer or a shared budget was full, the delay was above its bound, or a
    /// new stream began.
    pub discarded: u32,
    /// Packets and copies among the discarded ones that made room for other packets under a shared budget
    /// ([`budget`](crate::streams::budget)).
    pub crowded_out: u32,
    /// Packets whose payload type has no decoder, and packets with nothing in them but padding.
    pub unknown_payload: u32,
    /// Packets that the decoder refused, or whose sound has another sample rate.
    pub undecodable: u32,
    /// Packets that were not used because their source or sequence had not proved itself yet.
    pub probation: u32,
    /// How often another source took over.
    pub ssrc_changes: u32,
    /// How often the stream of the same source restarted, after a jump of its sequence numbers or timestamps.
    pub restarts: u32,
    /// How many of these restarts were jumps of the timestamps, or of the network's delay beyond the bound.
    pub time_jumps: u32,
    /// How often the stream stopped for more than one second.
    pub pauses: u32,
    /// How often the sender paused between two packets that follow each other, without comfort noise.
    pub silent_pauses: u32,
    /// How often the payload type changed.
    pub codec_switches: u32,
    /// How often the length of the packets changed within one payload type.
    pub ptime_changes: u32,
    /// Packets that described comfort noise.
    pub noise_packets: u32,
    /// Packets of telephone events.
    pub event_packets: u32,
    /// Gaps that were concealed.
    pub concealment_events: u32,
    /// Redundant blocks in packets (RFC 2198).
    pub redundant_blocks: u32,
    /// Missing packets that were decoded from redundant blocks.
    pub redundant_used: u32,
    /// Redundant blocks of missing packets that came after those had been concealed.
    pub redundant_late: u32,
    /// Redundant blocks of packets that had been received.
    pub redundant_duplicate: u32,
    /// Redundant blocks without use: empty, of a payload type that is not played, or without a place in the sequence.
    pub redundant_unusable: u32,
    /// Redundant blocks that were dropped as packets are, or that the decoder refused.
    pub redundant_discarded: u32,
    /// Samples played.
    pub played_samples: u64,
    /// Samples decoded from packets.
    pub decoded_samples: u64,
    /// Samples decoded from redundancy: in-band FEC, or blocks of RFC 2198.
    pub recovered_samples: u64,
    /// Samples concealed.
    pub concealed_samples: u64,
    /// Samples concealed for packets that were lost, or that came after later ones had been played.
    pub concealed_lost_samples: u64,
    /// Samples concealed while waiting for a packet that then came. The delay is longer by them afterwards.
    pub concealed_late_samples: u64,
    /// Samples concealed since the last packet, for a reason that is not known yet.
    pub concealed_open_samples: u32,
    /// Samples of comfort noise.
    pub noise_samples: u64,
    /// Samples of silence, including what faded out where the sender paused.
    pub silence_samples: u64,
    /// Samples inserted by playing slower.
    pub inserted_samples: u64,
    /// Samples removed by playing faster.
    pub removed_samples: u64,
    /// Playout delay of packets, after the fastest packet.
    pub playout_delay: DelaySummary,
    /// Time that packets spent in the buffer, from their arrival to their turn.
    pub buffer_delay: DelaySummary,
    /// Target delay, in ms.
    pub target_delay_ms: u32,
    /// How much slower the sender's clock runs than the local clock, in parts per million.
    pub drift_ppm: i32,
    /// Whether the sender counts the timestamps of G.722 at 16 kHz, twice as fast as RFC 3551 (4.5.2) says.
    pub double_clock: bool,
    /// Packets in the buffer.
    pub buffered_packets: u32,
    /// Copies (RFC 2198) among them.
    pub buffered_copies: u32,
    /// Samples that were made and not played yet; where a stream ended, they never are.
    pub queued_samples: u32,
}

impl ReceiverStats {
    /// Differences of the equations above, which are all zero: packets, copies, samples, and concealed samples, in
    /// this order.
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

    /// The counters at the end of a stream: packets that still wait count as discarded.
    pub fn ended(mut self) -> Self {
        self.discarded = self.discarded.saturating_add(self.buffered_packets.saturating_sub(self.buffered_copies));
        self.redundant_discarded = self.redundant_discarded.saturating_add(self.buffered_copies);
        self.concealed_lost_samples += u64::from(self.concealed_open_samples);
        (self.buffered_packets, self.buffered_copies, self.concealed_open_samples) = (0, 0, 0);
        self
    }

    /// The counters with all samples converted from one sample rate to another, in Hz. They add up as before.
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

    /// Adds the counters of another receiver: packets, samples and delays. The fields that describe the present stay
    /// as they are: `reception`, target delay and drift.
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
