//! The record of a call for its report: each packet's fate, the delays, the concealed sound, and the sound at 8 kHz. It is
//! bounded: of a longer call it covers the first ten minutes. It is allocated together with the call, so that its packets and
//! ticks allocate nothing: some 16 MB of addresses, of which a system gives memory to the part that is in use, some 20 KB a
//! second.

use std::net::SocketAddr;
use std::time::SystemTime;

use dsp_core::receive::Played;
use dsp_core::time::{Duration, Instant};

use crate::record::arrived::ArrivedPackets;
use crate::record::call::{call_statistics, codec_name, play_rows};
use crate::report::{
    CallSoundFigures, DelayRow, DigitLog, FindingRow, PacketOutcome, PacketRow, PlayRow, Report, SideReport, Statistics,
};
use crate::session::{Call, CallDigit, Channel, Incoming, Tap};

/// The length of the call's beginning that is recorded.
const LONGEST: Duration = Duration::from_secs(600);
/// The most packets: 100 a second.
const MOST_PACKETS: usize = 60_000;
/// The most ticks, of 10 ms.
const MOST_TICKS: usize = (LONGEST.as_micros() / 10_000) as usize;
/// The sound in the report, in Hz.
const HEARD_HZ: u32 = 8_000;
/// Ticks between two rows of delays.
const DELAY_EVERY: u64 = 10;
/// The most digits.
const MOST_DIGITS: usize = 1_000;

/// Sees the call.
#[derive(Clone, Default)]
pub(super) struct Kept {
    begins: Option<Instant>,
    /// Those that are the call's: a stranger's takes no place from them.
    arrived: ArrivedPackets,
    ticks: u64,
    /// Ticks with something that isn't plainly decoded.
    odd: Vec<(Instant, Played)>,
    delays: Vec<DelayRow>,
    heard: Vec<i16>,
    /// The samples that one of `heard` is made of, their sum and how many there are already.
    fold: (u32, i32, u32),
    digits: DigitLog,
    is_over: bool,
}

impl Kept {
    /// Creates the rate of the call's sound, a multiple of 8 kHz, and its channels.
    pub(super) fn new(rate_hz: u32, channels: u8) -> Self {
        Self {
            arrived: ArrivedPackets::with_room(MOST_PACKETS),
            odd: Vec::with_capacity(MOST_TICKS),
            delays: Vec::with_capacity(MOST_TICKS / DELAY_EVERY as usize + 1),
            heard: Vec::with_capacity(MOST_TICKS * (HEARD_HZ / 100) as usize),
            fold: ((rate_hz / HEARD_HZ).max(1) * u32::from(channels), 0, 0),
            ..Self::default()
        }
    }

    fn is_kept(&mut self, now: Instant) -> bool {
        let begins = *self.begins.get_or_insert(now);
        let is_full = self.arrived.packets().len() >= MOST_PACKETS || self.ticks >= MOST_TICKS as u64;
        self.is_over |= is_full || now.since(begins) > LONGEST;
        !self.is_over
    }

    fn ms(&self, at: Instant) -> f64 {
        at.since(self.begins.unwrap_or(at)).as_micros() as f64 / 1e3
    }

    /// Returns the digits that were pressed.
    pub(super) fn digits(&self) -> String {
        let signs: Vec<_> = self.digits.rows().iter().map(|row| row.digit.clone()).collect();
        let last = signs.len().saturating_sub(64);
        signs[last..].concat()
    }

    /// Returns the report, with the call's own numbers.
    pub(super) fn report(&self, call: &Call, title: String, mut settings: Vec<(String, String)>) -> Report {
        let stats = call.stats();
        let stream = call.negotiated_stream(0);
        let packet_ms = stream.map_or(20.0, |stream| f64::from(stream.send_ptime_ms));
        let rate_hz = call.sample_rate_hz().unwrap_or(48_000);
        let seconds = self.ticks as f64 / 100.0;
        if self.is_over {
            settings.push(("kept".into(), "the first ten minutes".into()));
        }
        let packets = self.packet_rows();
        let statistics = Statistics {
            packets_refused: stats.refused.into(),
            packets_sent: stats.total.total.expected,
            clock_drift_ppm: Some(stats.receiver.drift_ppm.into()),
            ..call_statistics(call, &stats, &self.arrived, seconds, 0.0)
        };
        let side = SideReport {
            name: "the server".into(),
            peer: "the browser".into(),
            codec: codec_name(call),
            sample_rate_hz: HEARD_HZ,
            channels: 1,
            heard: self.heard.clone(),
            packet_ms,
            begins_us: None,
            delays_relative: true,
            statistics,
            packets,
            play: self.play_rows(rate_hz),
            delays: self.delays.clone(),
            digits: self.digits.rows().to_vec(),
            sound: stats.sound.as_ref().map(CallSoundFigures::from),
            findings: stats.findings().map(FindingRow::from).collect(),
            ..SideReport::default()
        };
        Report { title, settings, duration_s: seconds, sides: vec![side], ..Report::default() }
    }

    fn play_rows(&self, rate_hz: u32) -> Vec<PlayRow> {
        let begin_ms = self.begins.map_or(0.0, |begins| begins.as_micros() as f64 / 1e3);
        let mut rows = play_rows(&self.odd, rate_hz);
        rows.iter_mut().for_each(|row| row.at_ms -= begin_ms);
        rows
    }

    /// Returns a row for each packet in the order of their numbers, including those that are missing in between. Their media
    /// times are derived from those that arrived: the fastest had no delay.
    fn packet_rows(&self) -> Vec<PacketRow> {
        let packets = self.arrived.packets();
        let Some(first) = packets.first() else { return Vec::new() };
        let mut rows: Vec<PacketRow> = Vec::with_capacity(packets.len());
        let (mut last, mut seq) = (*first, u64::from(first.seq.0));
        for packet in packets {
            let step = if packet.ssrc == last.ssrc { packet.seq.distance(last.seq) } else { 1 };
            let arrival_ms = self.ms(packet.time);
            // Missing packets are spread evenly between their neighbours; such a row is removed if the packet comes later.
            if (2..1_000).contains(&step) && rows.len() + step as usize <= 2 * MOST_PACKETS {
                let before = self.ms(last.time);
                for n in 1..step {
                    let media_ms = before + (arrival_ms - before) * f64::from(n) / f64::from(step);
                    let fate = PacketOutcome::LostInNetwork;
                    rows.push(PacketRow { seq: seq.wrapping_add(n as u64), media_ms, arrival_ms: None, fate });
                }
            }
            let own = seq.wrapping_add_signed(step.into());
            let row = PacketRow { seq: own, media_ms: arrival_ms, arrival_ms: Some(arrival_ms), fate: packet.fate };
            let mut former = rows.iter_mut().rev().take(if step > 0 { 0 } else { 1_000 });
            match former.find(|row| row.seq == own && row.arrival_ms.is_none()) {
                Some(missing) => *missing = row,
                None => rows.push(row),
            }
            if step > 0 || packet.ssrc != last.ssrc {
                (last, seq) = (*packet, own);
            }
        }
        rows
    }
}

impl Tap for Kept {
    fn arrived(&mut self, now: Instant, _: Channel, _: SocketAddr, datagram: &[u8]) {
        if self.is_kept(now) {
            self.arrived.arrived(now, datagram);
        }
    }

    fn received(&mut self, _: Instant, incoming: &Incoming) {
        self.arrived.received(incoming, false);
    }

    fn settled(&mut self, call: &Call) {
        self.arrived.settled(call);
    }

    fn played(&mut self, now: Instant, stream: usize, played: &Played, pcm: &[i16]) {
        if stream != 0 || !self.is_kept(now) {
            return;
        }
        if self.ticks.is_multiple_of(DELAY_EVERY)
            && let Some(playout_us) = played.playout_delay_us
        {
            let (at_ms, target_ms) = (self.ms(now), f64::from(played.target_delay_ms));
            self.delays.push(DelayRow { at_ms, target_ms, playout_ms: f64::from(playout_us) / 1e3 });
        }
        let Played { silence, concealed, recovered, inserted, removed, .. } = *played;
        if silence + concealed + recovered + inserted + removed > 0 {
            self.odd.push((now, *played));
        }
        self.ticks += 1;
        let (size, sum, count) = &mut self.fold;
        for &sample in pcm {
            *sum += i32::from(sample);
            *count += 1;
            if *count == *size {
                self.heard.push((*sum / *size as i32) as i16);
                (*sum, *count) = (0, 0);
            }
        }
    }

    fn digit(&mut self, _: Instant, digit: &CallDigit) {
        if self.digits.rows().len() < MOST_DIGITS {
            self.digits.add(digit, Instant::ZERO);
        }
    }
}

/// Returns the bytes of a report, except for the small parts.
pub(super) fn bytes(report: &Report) -> usize {
    let side = |side: &SideReport| {
        size_of_val(&side.heard[..])
            + size_of_val(&side.packets[..])
            + size_of_val(&side.play[..])
            + size_of_val(&side.delays[..])
    };
    report.sides.iter().map(side).sum()
}

/// Returns the time of the day as a title has it, in UTC.
pub(super) fn time_of_day(at: SystemTime) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()) % 86_400;
    format!("{:02}:{:02}:{:02} UTC", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use dsp_core::guard::GuardError;
    use dsp_core::receive::Received;

    use super::*;

    /// A packet with this number arrives, and the call says this of it.
    fn hear(kept: &mut Kept, seq: u16, incoming: &Incoming) {
        let mut datagram = [0u8; 172];
        datagram[0] = 0x80;
        datagram[2..4].copy_from_slice(&seq.to_be_bytes());
        let (now, from) = (Instant::from_millis(20), SocketAddr::from(([192, 0, 2, 1], 9)));
        kept.arrived(now, Channel::Rtp, from, &datagram);
        kept.received(now, incoming);
    }

    #[test]
    fn rows_are_bounded_however_numbers_jump() {
        let mut kept = Kept::new(48_000, 1);
        (0..MOST_PACKETS + 9).for_each(|n| hear(&mut kept, (n * 999) as u16, &Incoming::Audio(Received::Late)));
        assert!(kept.is_over && kept.arrived.packets().len() == MOST_PACKETS);
        let rows = kept.packet_rows();
        assert!((MOST_PACKETS..=3 * MOST_PACKETS).contains(&rows.len()), "{}", rows.len());
    }

    #[test]
    fn a_strangers_packets_take_no_place() {
        let mut kept = Kept::new(48_000, 1);
        (0..9).for_each(|seq| hear(&mut kept, seq, &Incoming::Refused(GuardError::Authentication)));
        assert!(kept.arrived.packets().is_empty() && kept.arrived.payload_bytes() == 0);
        hear(&mut kept, 9, &Incoming::Audio(Received::Late));
        assert_eq!((kept.arrived.packets().len(), kept.arrived.payload_bytes()), (1, 160));
    }

    #[test]
    fn ten_minutes_take_only_the_room_that_was_made_for_them() {
        let mut kept = Kept::new(48_000, 1);
        let room = |kept: &Kept| {
            let [first, second] = [kept.heard.as_ptr().addr(), kept.delays.as_ptr().addr()];
            [first, second, kept.odd.as_ptr().addr(), kept.arrived.packets().as_ptr().addr()]
        };
        let before = room(&kept);
        let played = Played { concealed: 480, playout_delay_us: Some(60_000), ..Played::default() };
        for tick in 0..MOST_TICKS as u64 + 500 {
            if tick % 2 == 0 {
                hear(&mut kept, (tick / 2) as u16, &Incoming::Audio(Received::Late));
            }
            kept.played(Instant::from_millis(20 + 10 * tick), 0, &played, &[7; 480]);
        }
        assert!(kept.is_over && kept.heard.len() == 4_800_000 && kept.odd.len() == MOST_TICKS, "{}", kept.odd.len());
        assert_eq!(room(&kept), before);
    }
}
