//! The receive road under test: a jitter buffer and a receiver that check their invariants after every step, and a
//! sender of G.711 whose packets one may lose, delay and bend. Property tests, fuzz targets and scenarios share them.

use std::collections::{BTreeMap, HashSet, VecDeque};

use dsp_core::codec::g711::{Pcmu, linear_to_ulaw};
use dsp_core::codec::{CodecInfo, DecodeError, Decoder, OtherPayload, PayloadTable};
use dsp_core::receive::memory::Arrays;
use dsp_core::receive::{
    ArrayBuffer, Fate as Became, PacketInfo, PacketKind, Played, PushError, Receiver, ReceiverConfig,
};
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::RtpHeader;

/// One arbitrary step; what it means is up to who takes it.
pub type Step = (u8, u16, u32);

/// A voice-like signal: a buzz with a moving pitch, four tenths of it pauses.
pub fn babble(rate_hz: u32, seconds: u32, seed: u32) -> Vec<i16> {
    let mut phase = 0.0f64;
    (0..rate_hz * seconds)
        .map(|n| {
            let t = f64::from(n) / f64::from(rate_hz);
            let pitch = 120.0 + f64::from(seed) * 40.0 + 20.0 * (t * 3.0).sin();
            phase = (phase + pitch / f64::from(rate_hz)).fract();
            let voiced = (t * 0.7 + f64::from(seed) * 0.5).fract() < 0.6;
            let wave: f64 = (1..12).map(|k| (phase * f64::from(k) * std::f64::consts::TAU).sin() / f64::from(k)).sum();
            if voiced { (wave * 4_000.0) as i16 } else { 0 }
        })
        .collect()
}

/// A jitter buffer beside a map of what it should hold.
pub struct JitterModel<const CELLS: usize> {
    buffer: Box<ArrayBuffer<CELLS>>,
    held: BTreeMap<i64, Vec<u8>>,
    /// Extended numbers: the next to be taken, and the newest seen.
    next: Option<i64>,
    newest: i64,
    begun: bool,
    taken: HashSet<i64>,
    /// Numbers in the order of their arrival from the oldest that is held on, and the cell behind each in a ring that is
    /// counted on without wrapping.
    lain: VecDeque<(i64, usize)>,
    stamp: u32,
}

impl<const CELLS: usize> Default for JitterModel<CELLS> {
    fn default() -> Self {
        Self {
            buffer: Box::default(),
            held: BTreeMap::new(),
            next: None,
            newest: 0,
            begun: false,
            taken: HashSet::new(),
            lain: VecDeque::new(),
            stamp: 0,
        }
    }
}

impl<const CELLS: usize> JitterModel<CELLS> {
    /// Pushes near the newest packet or anywhere, takes, or clears.
    pub fn step(&mut self, (kind, a, b): Step) {
        match kind % 8 {
            0..=2 => self.push(self.newest + i64::from(a % 8) - 3, b as usize % 400),
            3 => self.push(self.newest + i64::from(a as i16), b as usize % 70_000),
            4..=6 => self.take(),
            _ if a % 16 == 0 => {
                self.buffer.reset();
                self.held.clear();
                self.taken.clear();
                self.lain.clear();
                self.next = None;
                self.begun = false;
            }
            _ => self.take(),
        }
        self.check();
    }

    fn push(&mut self, extended: i64, bytes: usize) {
        self.stamp += 1;
        let payload: Vec<u8> = (0..bytes).map(|n| (n as u32).wrapping_mul(31).wrapping_add(self.stamp) as u8).collect();
        let info = PacketInfo {
            seq: Seq(extended as u16),
            timestamp: RtpTime(self.stamp),
            payload_type: PayloadType::PCMU,
            kind: PacketKind::Sound,
            arrival: Instant::ZERO,
        };
        let pushed = self.buffer.push(info, &payload);
        let need = bytes.div_ceil(64).max(1);
        match pushed {
            Ok(()) => {
                assert!(self.fits(need), "no room for {need} cells");
                self.lay(extended, need);
                if let Some(next) = self.next {
                    assert!(extended >= next || !self.begun, "a packet whose turn had passed");
                    assert!(extended - next < CELLS as i64);
                    self.newest = self.newest.max(extended);
                    self.next = Some(next.min(extended));
                } else {
                    (self.next, self.newest) = (Some(extended), extended);
                }
                assert!(self.held.insert(extended, payload).is_none(), "{extended} was there");
            }
            Err(PushError::Duplicate) => {
                assert!(self.held.contains_key(&extended) || self.taken.contains(&extended), "{extended} is not there");
            }
            Err(PushError::Late) => {
                assert!(self.next.is_some_and(|next| extended < next) && !self.taken.contains(&extended));
            }
            Err(PushError::Old) => assert!(self.next.is_some_and(|next| extended < next)),
            Err(PushError::TooFarAhead) => assert!(self.next.is_some_and(|next| extended - next >= CELLS as i64)),
            // Packets lie in the ring in the order of their arrival: what lies from the oldest that is held to the newest is
            // not to be had, and a payload lies in one piece.
            Err(PushError::Full) => assert!(!self.fits(need), "{need} cells are to be had"),
            Err(PushError::TooLong { bytes }) => assert!(bytes > CELLS * 64 || bytes > usize::from(u16::MAX)),
        }
    }

    /// Where a payload of `need` cells would begin, counted on without wrapping, in a ring that is never empty of time:
    /// behind the newest, or at the ring's beginning where it would be cut.
    fn place(&self, need: usize) -> usize {
        let head = self.lain.back().map_or(0, |&(_, end)| end);
        let to_end = CELLS - head % CELLS;
        if need > to_end { head + to_end } else { head }
    }

    fn fits(&self, need: usize) -> bool {
        let tail = self.lain.front().map_or(0, |&(_, end)| end) - self.oldest_cells();
        self.place(need) + need - tail <= CELLS
    }

    fn oldest_cells(&self) -> usize {
        self.lain.front().map_or(0, |(number, _)| self.held[number].len().div_ceil(64).max(1))
    }

    fn lay(&mut self, number: i64, need: usize) {
        let end = self.place(need) + need;
        self.lain.push_back((number, end));
    }

    fn take(&mut self) {
        let Some(next) = self.next else {
            assert!(!self.buffer.advance(Became::Lost));
            return;
        };
        let expected = self.held.remove(&next);
        while self.lain.pop_front_if(|(number, _)| !self.held.contains_key(number)).is_some() {}
        let peeked = self.buffer.peek(0).map(|(info, payload)| (info.seq, payload.to_vec()));
        assert_eq!(peeked, expected.clone().map(|payload| (Seq(next as u16), payload)));
        assert_eq!(
            self.buffer.advance(if expected.is_some() { Became::Played } else { Became::Lost }),
            expected.is_some()
        );
        if expected.is_some() {
            assert!(self.taken.insert(next), "{next} twice");
        }
        self.begun = true;
        self.next = Some(next + 1);
        self.newest = self.newest.max(next + 1);
    }

    fn check(&self) {
        assert_eq!(self.buffer.len(), self.held.len());
        assert!(self.buffer.len() <= CELLS);
        assert_eq!(self.buffer.next_seq(), self.next.map(|next| Seq(next as u16)));
        let first = self.held.keys().next().map(|&first| (first - self.next.unwrap_or(first)) as usize);
        assert_eq!(self.buffer.first_offset(), first);
    }
}

/// A decoder that writes down which packets it decoded. A payload is the packet's number and then 4 bytes of length in
/// ticks; one bit of it makes the decoder refuse, and one says that the sender pauses.
struct Probe {
    channels: u8,
    decoded: Vec<u32>,
}

const REFUSE: u32 = 1 << 31;
const PAUSES: u32 = 1 << 30;
const PROBE_BYTES: usize = 8;

fn probe_fields(payload: &[u8]) -> Result<(u32, u32), DecodeError> {
    let field = |at: usize| Some(u32::from_be_bytes(payload.get(at..at + 4)?.try_into().ok()?));
    field(0).zip(field(4)).ok_or(DecodeError::Length { bytes: payload.len() })
}

impl Decoder for Probe {
    fn info(&self) -> CodecInfo {
        CodecInfo { name: "probe", sample_rate_hz: 8_000, rtp_clock_hz: 8_000, channels: self.channels }
    }

    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        probe_fields(payload).map(|(_, ticks)| ticks & !(REFUSE | PAUSES))
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        let (number, ticks) = probe_fields(payload)?;
        if ticks & REFUSE != 0 {
            return Err(DecodeError::Malformed(1));
        }
        let samples = (ticks & !PAUSES) as usize;
        let (channels, got) = (usize::from(self.channels), pcm.len());
        let need = samples * channels;
        let pcm = pcm.get_mut(..need).ok_or(DecodeError::OutputTooSmall { need, got })?;
        for (n, sample) in pcm.iter_mut().enumerate() {
            *sample = ((n / channels % 57) as i16 - 28) * 100;
        }
        self.decoded.push(number);
        Ok(samples)
    }

    fn pauses(&self, payload: &[u8]) -> bool {
        probe_fields(payload).is_ok_and(|(_, ticks)| ticks & PAUSES != 0)
    }

    fn reset(&mut self) {}
}

impl PayloadTable for Probe {
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
        (payload_type == PayloadType::PCMU).then_some(self)
    }

    fn other(&self, payload_type: PayloadType) -> OtherPayload {
        match payload_type.get() {
            13 => OtherPayload::Noise,
            101 => OtherPayload::Event,
            _ => OtherPayload::Unknown,
        }
    }
}

/// A receiver whose every tick is checked. All its channels hold the same.
pub struct ReceiverModel<const CELLS: usize, const SAMPLES: usize, const CHANNELS: usize = 1> {
    receiver: Box<Receiver<Arrays<CELLS, SAMPLES>, CHANNELS>>,
    probe: Probe,
    now: Instant,
    ssrc: u32,
    seq: u16,
    timestamp: u32,
    ticks: u32,
    /// Of each packet sent: which stream it belongs to (a new one with every jump), and its place in it.
    sent: Vec<(u32, i64)>,
    stream: u32,
    place: i64,
    last: Option<Vec<u8>>,
}

impl<const CELLS: usize, const SAMPLES: usize, const CHANNELS: usize> Default
    for ReceiverModel<CELLS, SAMPLES, CHANNELS>
{
    fn default() -> Self {
        Self {
            receiver: Box::new(Receiver::new(ReceiverConfig::default()).unwrap()),
            probe: Probe { channels: CHANNELS as u8, decoded: Vec::new() },
            now: Instant::from_millis(1),
            ssrc: 1,
            seq: 65_500,
            timestamp: u32::MAX - 3_000,
            ticks: 160,
            sent: Vec::new(),
            stream: 0,
            place: 0,
            last: None,
        }
    }
}

impl<const CELLS: usize, const SAMPLES: usize, const CHANNELS: usize> ReceiverModel<CELLS, SAMPLES, CHANNELS> {
    /// Mostly a call, with everything that may happen to it.
    pub fn step(&mut self, (kind, a, b): Step) {
        match kind % 40 {
            0..=11 => self.send(PayloadType::PCMU, 0, PROBE_BYTES + usize::from(a) % 300),
            12 | 13 => self.skip(1 + a % 3),
            14 | 15 => {
                if let Some(last) = self.last.take() {
                    self.receive(&last);
                    self.last = Some(last);
                }
            }
            16 | 17 => self.swapped(),
            18 => self.send(PayloadType::PCMU, REFUSE, PROBE_BYTES),
            19 => match a % 4 {
                0 => self.send(PayloadType::PCMU, PAUSES, PROBE_BYTES),
                1 => self.send(PayloadType::from_low_bits(101), 0, 4),
                2 => self.send(PayloadType::from_low_bits(13), 0, 1 + usize::from(a) % 5),
                _ => self.send(PayloadType::from_low_bits(96), 0, 1),
            },
            20 => {
                self.timestamp = self.timestamp.wrapping_add(b);
                self.stream += 1;
            }
            21 => {
                self.seq = self.seq.wrapping_add(a);
                self.stream += 1;
            }
            22 => {
                self.ssrc = self.ssrc.wrapping_add(1 + b % 3);
                self.stream += 1;
            }
            23 => {
                let (ssrc, seq) = (self.ssrc, self.seq);
                (self.ssrc, self.seq) = (b | 1 << 31, a);
                self.stream += 1;
                self.send(PayloadType::PCMU, 0, PROBE_BYTES);
                (self.ssrc, self.seq) = (ssrc, seq);
                self.stream += 1;
            }
            24 => self.ticks = 8 * u32::from([5u16, 10, 20, 30, 40, 60, 100, 200][usize::from(a % 8)]),
            25 => self.send(PayloadType::PCMU, 0, PROBE_BYTES + usize::from(a)),
            26 => {
                let _ = self.receiver.receive(self.now, &b.to_be_bytes().repeat(1 + usize::from(a % 10)));
            }
            27 => self.now += Duration::from_micros(u64::from(b % 100_000_000) >> (a % 27)),
            28 => self.play(1 + usize::from(a % 2_000)),
            29 => self.timestamp = self.timestamp.wrapping_add(b % 16_000),
            _ => self.play(80),
        }
    }

    /// A datagram as it came.
    pub fn receive(&mut self, datagram: &[u8]) {
        let _ = self.receiver.receive(self.now, datagram);
        assert!(self.receiver.stats().buffered_packets as usize <= CELLS);
    }

    /// Moves the clock by any amount, even backwards.
    pub fn set_time(&mut self, micros: u64) {
        self.now = Instant::from_micros(micros);
    }

    /// Packets that are lost on the way.
    fn skip(&mut self, packets: u16) {
        self.seq = self.seq.wrapping_add(packets);
        self.timestamp = self.timestamp.wrapping_add(self.ticks * u32::from(packets));
        self.place += i64::from(packets);
    }

    fn write(&mut self, payload_type: PayloadType, flags: u32, bytes: usize) -> Vec<u8> {
        let header = RtpHeader {
            payload_type,
            seq: Seq(self.seq),
            timestamp: RtpTime(self.timestamp),
            ssrc: Ssrc(self.ssrc),
            ..RtpHeader::default()
        };
        let mut payload = vec![0; bytes.max(PROBE_BYTES)];
        payload[..4].copy_from_slice(&(self.sent.len() as u32).to_be_bytes());
        payload[4..8].copy_from_slice(&(self.ticks | flags).to_be_bytes());
        let mut datagram = vec![0; 12 + payload.len()];
        header.write_packet(&payload[..bytes], &mut datagram).unwrap();
        datagram.truncate(12 + bytes);
        self.sent.push((self.stream, self.place));
        self.skip(1);
        datagram
    }

    fn send(&mut self, payload_type: PayloadType, flags: u32, bytes: usize) {
        let datagram = self.write(payload_type, flags, bytes);
        self.receive(&datagram);
        self.last = Some(datagram);
    }

    fn swapped(&mut self) {
        let first = self.write(PayloadType::PCMU, 0, PROBE_BYTES);
        let second = self.write(PayloadType::PCMU, 0, PROBE_BYTES);
        self.receive(&second);
        self.receive(&first);
    }

    /// Plays one tick of `samples` a channel and checks it.
    pub fn play(&mut self, samples: usize) {
        let before = self.probe.decoded.len();
        let mut pcm = vec![i16::MIN + 1; samples * CHANNELS];
        let played = self.receiver.play(self.now, &mut self.probe, &mut pcm);
        self.now += Duration::from_samples(samples as u64, 8_000);
        assert!(pcm.chunks(CHANNELS).all(|frame| frame.iter().all(|sample| *sample == frame[0])));
        let stats = self.receiver.stats();
        assert_eq!(stats.unaccounted(), [0; 4], "packets, copies, samples, concealed samples: {stats:?}");
        let made = stats.decoded_samples
            + stats.recovered_samples
            + stats.concealed_samples
            + stats.noise_samples
            + stats.silence_samples
            + stats.inserted_samples;
        assert_eq!(
            stats.played_samples + u64::from(stats.queued_samples) + stats.removed_samples,
            made,
            "a sample is missing: {stats:?}"
        );
        assert!(stats.concealed_lost_samples + stats.concealed_late_samples <= stats.concealed_samples, "{stats:?}");
        assert!(stats.buffered_packets as usize <= CELLS);
        assert!(played.playout_delay_us.is_none_or(|delay| delay <= 2_000_000), "{played:?}");
        // What was decoded in this tick follows what was decoded before, within its stream.
        let decoded = &self.probe.decoded;
        for n in before.max(1)..decoded.len() {
            let [one, two] = [decoded[n - 1], decoded[n]].map(|number| self.sent[number as usize]);
            assert!(one.0 != two.0 || one.1 < two.1, "{one:?} and then {two:?}");
        }
    }

    /// No packet was decoded twice.
    pub fn finish(self) {
        let decoded = &self.probe.decoded;
        let different: HashSet<u32> = decoded.iter().copied().collect();
        assert_eq!(different.len(), decoded.len(), "a packet was played twice");
    }
}

/// A sender of 20 ms G.711 packets, or of any other length, straight into a receiver that is played in 10 ms ticks.
pub struct Line<const CELLS: usize, const SAMPLES: usize> {
    /// What is tested.
    pub receiver: Box<Receiver<Arrays<CELLS, SAMPLES>, 1>>,
    /// The next packet's fields.
    pub header: RtpHeader<'static>,
    /// The next packet's length.
    pub ptime_ms: u32,
    /// Time at the receiver, in microseconds.
    pub now_us: u64,
    /// When the sender's next packet is complete, on the receiver's clock.
    pub next_packet_us: f64,
    /// How much faster the sender's clock runs.
    pub ppm: f64,
    /// What the last tick was.
    pub played: Played,
    /// The loudest sample of the last tick.
    pub peak: u16,
    table: (PayloadType, Pcmu),
    /// What the sender says, in mu-law, again and again.
    pub speech: Vec<u8>,
    at: usize,
}

/// A packet of PCMU with `bytes` samples, all of one value.
pub fn pcmu_packet(ssrc: u32, seq: u16, value: i16, bytes: usize) -> Vec<u8> {
    let header = RtpHeader {
        payload_type: PayloadType::PCMU,
        seq: Seq(seq),
        timestamp: RtpTime(u32::from(seq) * 160),
        ssrc: Ssrc(ssrc),
        ..RtpHeader::default()
    };
    let mut packet = vec![0; 12 + bytes];
    header.write_packet(&vec![linear_to_ulaw(value); bytes], &mut packet).unwrap();
    packet
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives after so many microseconds; packets may overtake each other.
    After(u64),
    /// It's lost.
    Lost,
}

impl<const CELLS: usize, const SAMPLES: usize> Line<CELLS, SAMPLES> {
    /// A sender that never pauses.
    pub fn new(config: ReceiverConfig) -> Self {
        let speech = babble(8_000, 20, 0).iter().map(|&sample| linear_to_ulaw(sample)).collect();
        Self {
            receiver: Box::new(Receiver::new(config).unwrap()),
            header: RtpHeader {
                seq: Seq(65_000),
                timestamp: RtpTime(u32::MAX - 80_000),
                ssrc: Ssrc(7),
                ..RtpHeader::default()
            },
            ptime_ms: 20,
            now_us: 1_000_000,
            next_packet_us: 1_000_300.0,
            ppm: 0.0,
            played: Played::default(),
            peak: 0,
            table: (PayloadType::PCMU, Pcmu),
            speech,
            at: 0,
        }
    }

    /// Writes the next packet and moves on.
    pub fn packet(&mut self) -> Vec<u8> {
        let samples = self.ptime_ms as usize * 8;
        let payload: Vec<u8> = (0..samples).map(|n| self.speech[(self.at + n) % self.speech.len()]).collect();
        let mut datagram = vec![0; 12 + samples];
        self.header.write_packet(&payload, &mut datagram).unwrap();
        self.at += samples;
        self.header.seq = self.header.seq.plus(1);
        self.header.timestamp = self.header.timestamp.plus(samples as u32);
        self.next_packet_us += f64::from(self.ptime_ms) * 1_000.0 / (1.0 + self.ppm * 1e-6);
        datagram
    }

    /// Time at the receiver.
    pub fn now(&self) -> Instant {
        Instant::from_micros(self.now_us)
    }

    /// Runs for so long: `fate` decides about each packet (its number in this run), `each` sees each tick.
    pub fn run(&mut self, ms: u64, mut fate: impl FnMut(u32) -> Fate, mut each: impl FnMut(&Self)) {
        let end = self.now_us + ms * 1_000;
        let mut on_the_way: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut number = 0;
        while self.now_us < end {
            while self.next_packet_us <= self.now_us as f64 {
                let sent = self.next_packet_us as u64;
                let datagram = self.packet();
                if let Fate::After(delay) = fate(number) {
                    on_the_way.push((sent + delay, datagram));
                }
                number += 1;
            }
            on_the_way.sort_by_key(|(arrival, _)| *arrival);
            let here = on_the_way.partition_point(|(arrival, _)| *arrival <= self.now_us);
            for (arrival, datagram) in on_the_way.drain(..here) {
                let _ = self.receiver.receive(Instant::from_micros(arrival), &datagram);
            }
            self.tick();
            each(self);
        }
        for (arrival, datagram) in on_the_way {
            let _ = self.receiver.receive(Instant::from_micros(arrival.min(self.now_us)), &datagram);
        }
    }

    /// A run on a perfect network.
    pub fn run_well(&mut self, ms: u64) {
        self.run(ms, |_| Fate::After(0), |_| {});
    }

    /// Plays 10 ms.
    pub fn tick(&mut self) {
        let mut pcm = [0; 80];
        self.played = self.receiver.play(self.now(), &mut self.table, &mut pcm);
        self.peak = pcm.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        self.now_us += 10_000;
    }

    /// Milliseconds on a perfect network until a tick is decoded and nothing else for half a second.
    pub fn heard_again_after_ms(&mut self) -> u64 {
        let start = self.now_us;
        let mut good_since = None;
        for _ in 0..6_000 {
            let mut good = false;
            self.run(10, |_| Fate::After(0), |line| good = line.played.concealed + line.played.silence == 0);
            let since = if good { *good_since.get_or_insert(self.now_us) } else { self.now_us };
            if !good {
                good_since = None;
            }
            if self.now_us - since >= 500_000 {
                return (since - start) / 1_000;
            }
        }
        u64::MAX
    }
}
