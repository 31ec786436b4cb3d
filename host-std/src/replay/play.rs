//! One stream through the real receiver in virtual time, with a record of what became of each packet and each sample.
//!
//! Time 0 is the arrival of the stream's first packet. The listener plays 10 ms at a time, first 5 ms after that; the
//! times of the capture are the only clock, so the same capture gives the same bits. Delays are counted over the fastest
//! packet of the last 15 s, as the receiver counts them, because the two ends share no clock.
//!
//! Memory grows with the stream: its sound (two bytes a sample), 40 bytes a packet, 24 bytes a tick.

use std::collections::{HashMap, VecDeque};

use dsp_core::quality::BurstStats;
use dsp_core::receive::{ConfigError, DelayConfig, Played, Received, ReceiverConfig, ReceiverStats, TickRate};
use dsp_core::time::{Duration, Instant, PayloadType, Seq};
use dsp_core::wire::rtp::RtpPacket;

use super::ListenerReport;
use super::digits::{EventLog, event_header};
use super::loudspeaker::Loudspeaker;
use super::numbers::{DelayStatistics, percentile, thousandth};
use super::payloads::Decoders;
use crate::receiver::AnyReceiver;
use crate::record::call::play_rows;
use crate::report::{DelayRow, DigitRow, PacketOutcome, PacketRow, PlayRow};
use crate::simulate::netsim::{Network, NetworkConfig};

/// Length of the listener's ticks, and when the first one is.
const TICK: Duration = Duration::from_millis(10);
const PHASE: Duration = Duration::from_millis(5);
/// The time for which a fast packet represents the network's smallest delay, in ms: as in the delay estimator.
const BASE_WINDOW_MS: f64 = 15_000.0;
/// Windows of the drift's estimate, in ms, and how many it needs.
const DRIFT_WINDOW_MS: f64 = 10_000.0;
const DRIFT_WINDOWS: usize = 6;

/// The largest gap that counts as missing packets: beyond it the sequence restarted (RFC 3550, A.1).
const MOST_MISSING: i16 = 3_000;

/// A timestamp that is further ahead of a packet without a time has jumped.
const LONGEST_STEP: Duration = Duration::from_secs(10);

/// Packets to lose on purpose, in addition to those that a capture lacks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// The share of packets to lose, in percent.
    pub percent: f64,
    /// The mean number of packets that are lost in a row, from 1 on; with 1 losses are independent.
    pub burst: f64,
    /// The seed of the losses: the same one loses the same packets.
    pub seed: u64,
}

/// A packet as it's recorded.
struct Packet {
    /// The number of the sequence: a restart of the sender begins another.
    sequence: u32,
    seq: i64,
    media_ms: f64,
    arrival_ms: Option<f64>,
    fate: PacketOutcome,
}

/// The result of playing a stream.
pub(super) struct PlayedStream {
    pub(super) numbers: ListenerReport,
    pub(super) heard: Vec<i16>,
    pub(super) packets: Vec<PacketRow>,
    pub(super) play: Vec<PlayRow>,
    pub(super) delays: Vec<DelayRow>,
    pub(super) stats: ReceiverStats,
    pub(super) bursts: BurstStats,
    pub(super) jitter_ms: f64,
    pub(super) max_playout_ms: f64,
    /// Delays of the packets over the fastest of their time, in ms: mean, 95th percentile, largest.
    pub(super) network_ms: [f64; 3],
    pub(super) clock_drift_ppm: Option<f64>,
    pub(super) duplicate: u64,
    pub(super) superseded: u64,
    /// Different packets that the sender sent, by their numbers.
    pub(super) sent: u64,
    pub(super) dropped: u64,
    pub(super) payload_bytes: u64,
    /// Lost packets that have no row.
    pub(super) unlisted: u64,
    /// The sound was cut off: no more room.
    pub(super) cut_off: bool,
    pub(super) digits: Vec<DigitRow>,
}

/// The media time of the packet that came last.
#[derive(Clone, Copy, Default)]
struct Media {
    /// Its timestamp, the clock in Hz in which that counts, and its number.
    last: Option<(u32, u32, Seq)>,
    /// The media time in ticks of the receiver's clock, from the first packet on.
    extended: i64,
    /// The difference to the packet before it.
    step: i64,
}

/// Plays one stream.
pub(super) struct StreamPlayer {
    receiver: AnyReceiver,
    decoders: Decoders,
    loudspeaker: Loudspeaker,
    loss: Option<Network>,
    config: ReceiverConfig,
    first_us: u64,
    now: Instant,
    arrived: Instant,
    /// The tick rate as the receiver sees it.
    tick_rate: TickRate,
    media: Media,
    /// The newest timestamp, extended.
    newest: i64,
    highest: Option<i64>,
    sequence: u32,
    packets: Vec<Packet>,
    /// Packets in the buffer, and their indices in `packets`.
    waiting: VecDeque<(Seq, usize)>,
    /// Packets that may have been strays: they are in no sequence.
    strays: u64,
    /// Transit over the stream's smallest, by timestamp, of packets that may be in the buffer.
    transits: HashMap<u32, f64>,
    smallest_ms: Option<f64>,
    window: VecDeque<(f64, f64)>,
    network_ms: Vec<f64>,
    /// Smallest transit of each drift window.
    minima: Vec<(f64, f64)>,
    restarted: bool,
    numbers: DelayStatistics,
    heard: Vec<i16>,
    played: Vec<(Instant, Played)>,
    dropped: u64,
    payload_bytes: u64,
    longest: usize,
    cut_off: bool,
    digits: EventLog,
}

impl StreamPlayer {
    /// A player for a stream whose first packet came at `first_us`; it plays at most `longest` samples,
    /// all channels together.
    pub(super) fn new(
        rates: [u32; 2],
        channels: u8,
        delay: DelayConfig,
        mut decoders: Decoders,
        loss: Option<Loss>,
        first_us: u64,
        longest: usize,
    ) -> Result<Self, ConfigError> {
        let [sample_rate_hz, rtp_clock_hz] = rates;
        let config = ReceiverConfig { sample_rate_hz, rtp_clock_hz, delay, tick: TICK };
        let network = |loss: Loss| {
            let config = NetworkConfig {
                loss_percent: loss.percent,
                burst: loss.burst,
                delay_ms: 0.0,
                ..NetworkConfig::default()
            };
            Network::new(config, loss.seed)
        };
        let mut receiver = AnyReceiver::new(config, channels)?;
        receiver.set_redundancy(decoders.redundancy());
        receiver.set_payloads(&mut decoders);
        Ok(Self {
            receiver,
            decoders,
            loudspeaker: Loudspeaker::new(rates, channels)?,
            loss: loss.map(network),
            config,
            first_us,
            now: Instant::ZERO + PHASE,
            arrived: Instant::ZERO,
            tick_rate: TickRate::default(),
            media: Media::default(),
            newest: 0,
            highest: None,
            sequence: 0,
            packets: Vec::new(),
            waiting: VecDeque::new(),
            strays: 0,
            transits: HashMap::new(),
            smallest_ms: None,
            window: VecDeque::new(),
            network_ms: Vec::new(),
            minima: Vec::new(),
            restarted: false,
            numbers: DelayStatistics::default(),
            heard: vec![0; PHASE.as_samples(sample_rate_hz) as usize * usize::from(channels)],
            played: Vec::new(),
            dropped: 0,
            payload_bytes: 0,
            longest,
            cut_off: false,
            digits: EventLog::new(),
        })
    }

    /// Takes in a packet; without a time it comes when its timestamp says.
    pub(super) fn packet(&mut self, time_us: Option<u64>, datagram: &[u8]) {
        let Ok(packet) = RtpPacket::parse(datagram) else { return };
        if self.cut_off {
            return;
        }
        let clock_hz = self.decoders.clock_of(packet.payload_type());
        // Only packets in the same clock show how G.722 counts.
        let alike = clock_hz == self.decoders.clock_of(PayloadType::G722);
        let timestamp = if alike { self.tick_rate.place(&packet).0 } else { packet.timestamp().0 };
        let has_time = self.decoders.has_time(packet.payload_type());
        // A packet without a media time of its own gets that of the packet before it.
        let extended = if has_time { self.media(packet.seq(), timestamp, clock_hz) } else { self.media.extended };
        let media_ms = extended as f64 * 1e3 / f64::from(self.config.rtp_clock_hz);
        let due = match time_us {
            Some(time_us) => Instant::from_micros(time_us.saturating_sub(self.first_us)),
            None => self.due(extended),
        };
        self.newest = self.newest.max(extended);
        // Captures of several interfaces may go back by a little; time doesn't.
        let arrival = due.max(self.arrived);
        self.arrived = arrival;
        while self.now < arrival && !self.cut_off {
            self.tick(usize::MAX);
        }
        let arrival_ms = arrival.as_micros() as f64 / 1e3;
        if self.loss.as_mut().is_some_and(|network| network.carry(arrival)[0].is_none()) {
            self.dropped += 1;
            self.record(packet.seq(), media_ms, arrival_ms, None);
            return;
        }
        self.payload_bytes += packet.payload().len() as u64;
        if self.decoders.is_event(packet.payload_type()) {
            self.digits.take(arrival, &event_header(&packet, clock_hz), packet.payload());
        }
        let received = self.receiver.receive(arrival, datagram);
        self.record(packet.seq(), media_ms, arrival_ms, Some((received.ok(), has_time.then_some(timestamp))));
        self.settle();
    }

    /// Returns the time of a packet in ticks of the receiver's clock. If the packet's clock differs from that of the packet
    /// before, its time is where the packets before it end, as the receiver does for sound that continues unbroken.
    fn media(&mut self, seq: Seq, timestamp: u32, clock_hz: u32) -> i64 {
        let fine = |ticks: i32| i64::from(ticks) * i64::from(self.config.rtp_clock_hz) / i64::from(clock_hz.max(1));
        let Media { last, extended, step } = self.media;
        let (extended, step) = match last {
            None => (0, 0),
            Some((before, before_hz, _)) if before_hz == clock_hz => {
                let step = fine(timestamp.wrapping_sub(before) as i32);
                (extended + step, step)
            }
            Some((_, _, before)) => (extended + step * i64::from(seq.distance(before)), step),
        };
        self.media = Media { last: Some((timestamp, clock_hz, seq)), extended, step };
        extended
    }

    /// Returns when a packet without a time comes: as much later as its timestamp is than the newest, unless that jumped.
    fn due(&self, extended: i64) -> Instant {
        let ticks = (extended - self.newest).max(0) as u64;
        let later = Duration::from_samples(ticks, self.config.rtp_clock_hz);
        self.arrived + if later > LONGEST_STEP { Duration::ZERO } else { later }
    }

    /// Writes down a packet; `outcome` is `None` for one that was lost on purpose.
    fn record(&mut self, seq: Seq, media_ms: f64, arrival_ms: f64, outcome: Option<(Option<Received>, Option<u32>)>) {
        let received = outcome.map(|(received, _)| received);
        if received == Some(Some(Received::Restarted)) {
            // If only the time jumped, packets may be missing as elsewhere.
            if self.highest.is_some_and(|highest| !(0..MOST_MISSING).contains(&seq.distance(Seq(highest as u16)))) {
                self.sequence += 1;
                self.highest = None;
            }
            self.restarted = true;
            self.window.clear();
            self.transits.clear();
            self.smallest_ms = None;
            self.numbers.restarted();
        }
        let fate = match received {
            None => PacketOutcome::LostInNetwork,
            Some(Some(Received::Stored | Received::Restarted)) => PacketOutcome::Waiting,
            Some(Some(Received::Late)) => PacketOutcome::Late,
            Some(Some(Received::Duplicate)) => PacketOutcome::Duplicate,
            // One that may be a stray is in no sequence.
            Some(Some(Received::Probation)) => {
                self.strays += 1;
                return;
            }
            Some(_) => PacketOutcome::Unusable,
        };
        let highest = self.highest.unwrap_or(i64::from(seq.0));
        let extended = highest + i64::from(seq.distance(Seq(highest as u16)));
        self.highest = Some(highest.max(extended));

        let transit = arrival_ms - media_ms;
        let timestamp = outcome.and_then(|(_, timestamp)| timestamp).filter(|_| fate != PacketOutcome::Duplicate);
        if let Some(timestamp) = timestamp {
            self.transit(timestamp, transit, arrival_ms);
        }
        let base = self.window.front().map_or(transit, |&(_, base)| base);
        let arrival_ms = outcome.map(|_| arrival_ms);
        // This is where it would have arrived, had it been as fast as the fastest.
        let media_ms = media_ms + base;
        self.network_ms.extend(arrival_ms.filter(|_| timestamp.is_some()).map(|at| at - media_ms));
        if fate == PacketOutcome::Waiting {
            // Another with this number can't be waiting any more.
            let packets = &mut self.packets;
            self.waiting.retain(|&(other, place)| {
                if other == seq {
                    packets[place].fate = PacketOutcome::Discarded;
                }
                other != seq
            });
            self.waiting.push_back((seq, self.packets.len()));
        }
        self.packets.push(Packet { sequence: self.sequence, seq: extended, media_ms, arrival_ms, fate });
    }

    /// Writes down what became of packets whose turn has passed.
    fn settle(&mut self) {
        let (receiver, packets) = (&self.receiver, &mut self.packets);
        self.waiting.retain(|&(seq, place)| {
            let fate = receiver.fate(seq);
            packets[place].fate = fate.map_or(PacketOutcome::Waiting, PacketOutcome::from);
            fate.is_none()
        });
    }

    fn transit(&mut self, timestamp: u32, transit: f64, arrival_ms: f64) {
        while self.window.back().is_some_and(|&(_, last)| last >= transit) {
            self.window.pop_back();
        }
        self.window.push_back((arrival_ms, transit));
        while self.window.front().is_some_and(|&(at, _)| arrival_ms - at > BASE_WINDOW_MS) {
            self.window.pop_front();
        }
        match self.smallest_ms {
            Some(smallest) if smallest <= transit => {}
            before => {
                let by = before.map_or(0.0, |smallest| smallest - transit);
                self.numbers.faster(by);
                self.transits.values_mut().for_each(|over| *over += by);
                self.smallest_ms = Some(transit);
            }
        }
        // Packets that have left the buffer are of no use; the buffer holds a thousand packets at most.
        if self.transits.len() > 8_192 {
            self.transits.clear();
        }
        self.transits.insert(timestamp, transit - self.smallest_ms.unwrap_or(transit));
        let window = (arrival_ms / DRIFT_WINDOW_MS).floor() * DRIFT_WINDOW_MS;
        match self.minima.last_mut() {
            Some((at, least)) if *at == window => *least = least.min(transit),
            _ => self.minima.push((window, transit)),
        }
    }

    /// Plays a tick, or at its end the rest of the stream.
    fn tick(&mut self, most: usize) {
        let rate = self.config.sample_rate_hz;
        let samples = (TICK.as_samples(rate) as usize).min(most);
        if self.heard.len() + samples * usize::from(self.receiver.channels()) > self.longest {
            self.cut_off = true;
            return;
        }
        let Self { receiver, decoders, .. } = self;
        let played =
            self.loudspeaker.tick(self.now, samples, &mut self.heard, |now, pcm| receiver.play(now, decoders, pcm));
        self.settle();
        if let Some(timestamp) = played.timestamp
            && let Some(&transit) = self.transits.get(&timestamp.0)
        {
            self.numbers.played(&played, transit);
        }
        self.played.push((self.now, played));
        // 44.1 kHz and its parts have no whole number of samples in 10 ms: the clock follows the samples.
        self.now = Instant::ZERO + PHASE + Duration::from_samples(self.receiver.stats().played_samples, rate);
        if self.played.len().is_multiple_of(100) {
            self.numbers.second(&self.receiver.stats());
        }
    }

    /// Plays out the remaining buffer, and returns the result.
    pub(super) fn finish(mut self, name: String) -> PlayedStream {
        while self.now <= self.arrived && !self.cut_off {
            self.tick(usize::MAX);
        }
        // The receiver need not conceal anything after the last packet.
        let most = (self.config.delay.max_ms / 10 + 200) as usize;
        for _ in 0..most {
            let stats = self.receiver.stats();
            match (stats.buffered_packets, stats.queued_samples) {
                _ if self.cut_off => break,
                (0, 0) => break,
                (0, queued) => self.tick(queued as usize),
                _ => self.tick(usize::MAX),
            }
        }
        let stats = self.receiver.stats();
        self.numbers.second(&stats);
        let rate = self.config.sample_rate_hz;
        let network_ms = self.network_delays();
        let clock_drift_ppm = self.drift_ppm();
        let (packets, sent, unlisted) = rows(&mut self.packets);
        let count = |fates: &[PacketOutcome]| packets.iter().filter(|row| fates.contains(&row.fate)).count() as u64;
        let (duplicate, superseded) = (count(&[PacketOutcome::Duplicate]), count(&[PacketOutcome::Superseded]));
        let max_playout_ms = self.numbers.max_playout_ms();
        let numbers = ListenerReport {
            received: packets.len() as u64 - count(&[PacketOutcome::LostInNetwork]) + self.strays,
            lost: count(&[PacketOutcome::LostInNetwork]) + unlisted,
            ..self.numbers.report(name, &stats, rate)
        };
        PlayedStream {
            numbers,
            jitter_ms: thousandth(f64::from(stats.reception.jitter_ticks) * 1e3 / f64::from(stats.clock_hz.max(1))),
            max_playout_ms,
            network_ms,
            clock_drift_ppm,
            play: play_rows(&self.played, rate),
            delays: delay_rows(&self.played),
            packets,
            stats,
            bursts: self.receiver.bursts(),
            heard: self.heard,
            duplicate,
            superseded,
            sent,
            dropped: self.dropped,
            payload_bytes: self.payload_bytes,
            unlisted,
            cut_off: self.cut_off,
            digits: self.digits.finish(self.arrived),
        }
    }

    fn network_delays(&mut self) -> [f64; 3] {
        let mean = self.network_ms.iter().sum::<f64>() / self.network_ms.len().max(1) as f64;
        let p95 = percentile(&mut self.network_ms, 95.0);
        [mean, p95, self.network_ms.last().copied().unwrap_or(0.0)].map(thousandth)
    }

    /// Returns the rate of the sender's clock relative to the capture's, in ppm: the slope of the smallest transits, by least
    /// squares.
    fn drift_ppm(&self) -> Option<f64> {
        if self.restarted || self.minima.len() < DRIFT_WINDOWS {
            return None;
        }
        let count = self.minima.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| self.minima.iter().map(of).sum::<f64>() / count;
        let (mean_at, mean_transit) = (mean(|(at, _)| *at), mean(|(_, transit)| *transit));
        let products: f64 = self.minima.iter().map(|(at, transit)| (at - mean_at) * (transit - mean_transit)).sum();
        let squares: f64 = self.minima.iter().map(|(at, _)| (at - mean_at).powi(2)).sum();
        Some(thousandth(-products / squares * 1e6))
    }
}

/// The most rows of packets that never arrived, in addition to as many as there are others: numbers that jump back and forth
/// would make millions.
const MOST_LOST_ROWS: usize = 100_000;

/// Returns a row a packet in the order of their numbers, those that never arrived between the others; how many numbers there are,
/// and how many of those that never arrived have no row.
fn rows(packets: &mut [Packet]) -> (Vec<PacketRow>, u64, u64) {
    // Duplicates come after their first packet.
    packets.sort_by_key(|packet| (packet.sequence, packet.seq, packet.fate == PacketOutcome::Duplicate));
    let mut rows: Vec<PacketRow> = Vec::with_capacity(packets.len());
    let mut before: Option<&Packet> = None;
    let mut sent = 0;
    let first = packets.first().map_or(0, |packet| packet.seq);
    let (mut room, mut unlisted) = (MOST_LOST_ROWS + packets.len(), 0);
    for packet in &*packets {
        let same = before.filter(|before| before.sequence == packet.sequence);
        sent += same.map_or(1, |before| (packet.seq - before.seq) as u64);
        if let Some(before) = same {
            let gap = packet.seq - before.seq;
            let listed = (gap - 1).clamp(0, room as i64);
            room -= listed as usize;
            unlisted += ((gap - 1).max(0) - listed) as u64;
            for missing in 1..=listed {
                let share = missing as f64 / gap as f64;
                rows.push(PacketRow {
                    seq: (before.seq + missing - first).max(0) as u64,
                    media_ms: before.media_ms + share * (packet.media_ms - before.media_ms),
                    arrival_ms: None,
                    fate: PacketOutcome::LostInNetwork,
                });
            }
        }
        rows.push(PacketRow {
            seq: (packet.seq - first).max(0) as u64,
            media_ms: packet.media_ms,
            arrival_ms: packet.arrival_ms,
            fate: match packet.fate {
                // A packet that arrives for the first time as a duplicate was superseded by a copy in another packet.
                PacketOutcome::Duplicate if same.is_none_or(|before| before.seq != packet.seq) => {
                    PacketOutcome::Superseded
                }
                fate => fate,
            },
        });
        before = Some(packet);
    }
    (rows, sent, unlisted)
}

/// Target and playout delay over time, above the fastest packet.
fn delay_rows(played: &[(Instant, Played)]) -> Vec<DelayRow> {
    let row = |(time, played): &(Instant, Played)| {
        let playout_us = played.playout_delay_us?;
        Some(DelayRow {
            at_ms: time.as_micros() as f64 / 1e3,
            target_ms: f64::from(played.target_delay_ms),
            playout_ms: f64::from(playout_us) / 1e3,
        })
    };
    played.iter().filter_map(row).collect()
}
