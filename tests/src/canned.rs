//! A canned call: packets with losses, reordering, duplicates, jitter, a pause, wraps, another source and a restart, all
//! computed from integers, through a phone on a simulated port. Uses nothing but `core`, `dsp_core` and `host_embedded`,
//! so that a firmware image can include this very file and compare hashes.
//!
//! What happens when (packet numbers; 20 ms each, timestamps and sequence numbers wrap within the first 150):
//!
//! ```text
//!    0  clean; 54 ms faster from 53   430  nothing for 400 ms, then a new talk spurt
//!  150  one in ten lost              500  fifteen lost
//!  200  three in sixteen lost        550  another source, in A-law
//!  250  reordered and duplicated     600  what is no RTP, unknown payload types
//!  300  80 ms of jitter              650  the source begins anew; ends at 700
//!  360  clean; ten come 200 ms late
//! ```

use core::cell::Cell;

use dsp_core::codec::g711::{Pcma, Pcmu};
use dsp_core::codec::l16::L16;
use dsp_core::codec::{Decoder, Encoder, OtherPayload, PayloadTable};
use dsp_core::front::{NoBlock, Step};
use dsp_core::process::activity::SpeechDetector;
use dsp_core::receive::Played;
use dsp_core::receive::memory::{Arrays, Memory};
use dsp_core::receive::strategy::{Estimate, Strategy};
use dsp_core::send::SenderConfig;
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::RtpHeader;
use embassy_futures::block_on;
use host_embedded::parts::{G711, Parts, PhoneCodecs, PhoneMemory, PhoneParts};
use host_embedded::phone::{DATAGRAM, Phone, PhoneConfig, PhoneOf, PhoneWith, SAMPLE_RATE_HZ, TICK};
use host_embedded::sim::{SimClock, SimNetwork, SimPort};

use super::babble::{scramble, voice};
use super::fnv::Fnv;
use super::golden::KnownEcho;

/// Packets sent to the phone, but for copies.
const PACKETS: u32 = 700;
/// Samples a packet: 20 ms.
const FRAME: usize = 160;
/// Ticks of 10 ms: every packet, the pause, and the end.
const TICKS: u32 = 2 * PACKETS + 40 + 60;
/// Packets under way at once.
const UNDER_WAY: usize = 32;

/// What becomes of packet `n`: how long the first copy takes and the second, in microseconds.
fn fate(n: u32) -> [Option<u32>; 2] {
    let jitter = (scramble(n) & 0x7f) * 10;
    let usual = 30_000 + 53u32.saturating_sub(n.max(50)) * 18_000 + jitter;
    match n {
        150..200 if n % 10 == 3 => [None, None],
        200..250 if (4..7).contains(&(n % 16)) => [None, None],
        250..300 if n % 5 == 2 => [Some(usual + if n < 275 { 25_000 } else { 80_000 }), None],
        250..300 if n.is_multiple_of(7) => [Some(usual), Some(usual + 10_000)],
        300..360 => [Some(usual + (scramble(n + 1_000) % 80) * 1_000), None],
        380..390 => [Some(usual + 200_000 - (n - 380) * 20_000), None],
        500..515 => [None, None],
        600..650 if n.is_multiple_of(8) => [Some(usual), Some(usual + 3_000)],
        _ => [Some(usual), None],
    }
}

/// When packet `n` is sent, in microseconds.
fn sent_us(n: u32) -> u32 {
    n * 20_000 + if n < 430 { 0 } else { 400_000 }
}

/// Writes packet `n`, or what comes in its stead the second time, and returns its length. `l16`: what is mu-law otherwise
/// is uncompressed.
fn write(n: u32, second: bool, l16: bool, datagram: &mut [u8]) -> usize {
    let first_sample = sent_us(n) / 125;
    if n >= 600 && second {
        // Too short, another protocol, or padding beyond the packet's length.
        datagram[..20].fill([0x80, 0x16, 0xbf][(n / 8 % 3) as usize]);
        return [7, 20, 20][(n / 8 % 3) as usize];
    }
    let other = n >= 550;
    let header = RtpHeader {
        marker: n == 0 || n == 430 || n == 550,
        payload_type: match n {
            630..633 => PayloadType::from_low_bits(13),
            _ if other => PayloadType::PCMA,
            _ if l16 => UNCOMPRESSED,
            _ => PayloadType::PCMU,
        },
        seq: Seq(65_450).plus(n as u16).plus(if n >= 650 { 10_000 } else { 0 }),
        timestamp: RtpTime(0u32.wrapping_sub(8_000)).plus(first_sample),
        ssrc: Ssrc(if other { 0xfeed_0002 } else { 0xfeed_0001 }),
        ..RtpHeader::default()
    };
    let bytes = header.write(datagram).expect("room for a header");
    let pcm: [i16; FRAME] = core::array::from_fn(|i| voice(first_sample + i as u32));
    let payload = &mut datagram[bytes..];
    let encoded = match (other, l16) {
        (true, _) => Pcma.encode(&pcm, payload),
        (false, true) => uncompressed().encode(&pcm, payload),
        (false, false) => Pcmu.encode(&pcm, payload),
    };
    bytes + encoded.expect("room for a payload")
}

/// The packets in the order in which they arrive.
#[derive(Clone, Copy, Debug)]
struct Canned {
    next: u32,
    /// Whether L16 comes where it's mu-law otherwise.
    l16: bool,
    /// Arrival in microseconds, number, and whether it's the second copy.
    under_way: [Option<(u32, u32, bool)>; UNDER_WAY],
}

impl Canned {
    const fn new(l16: bool) -> Self {
        Self { next: 0, l16, under_way: [None; UNDER_WAY] }
    }

    /// The next datagram that arrives before `until`: its length and arrival.
    fn bring(&mut self, until: Instant, datagram: &mut [u8]) -> Option<(usize, Instant)> {
        let until = until.as_micros() as u32;
        while self.next < PACKETS && sent_us(self.next) < until {
            for (delay, second) in fate(self.next).into_iter().zip([false, true]) {
                let Some(delay) = delay else { continue };
                let place =
                    self.under_way.iter_mut().find(|place| place.is_none()).expect("room for what is under way");
                *place = Some((sent_us(self.next) + delay, self.next, second));
            }
            self.next += 1;
        }
        let earliest = self.under_way.iter_mut().filter(|place| place.is_some()).min_by_key(|place| **place)?;
        let (arrival, n, second) = earliest.filter(|&(arrival, ..)| arrival < until)?;
        *earliest = None;
        Some((write(n, second, self.l16, datagram), Instant::from_micros(u64::from(arrival))))
    }
}

fn config() -> PhoneConfig {
    let sender = SenderConfig {
        ssrc: Ssrc(0xcafe_0001),
        first_seq: Seq(65_500),
        first_timestamp: RtpTime(0u32.wrapping_sub(4_000)),
        payload_type: PayloadType::PCMU,
        ptime_ms: 20,
    };
    PhoneConfig { sender, ..PhoneConfig::default() }
}

/// The phone that takes part in the call.
pub fn phone() -> Phone {
    Phone::new(config()).expect("a configuration within bounds")
}

/// The same with a capture block that knows the echo of [`echo_call`].
pub fn phone_with_block() -> PhoneWith<KnownEcho, 400> {
    PhoneWith::with_block(config(), KnownEcho { delay: Duration::ZERO }).expect("a configuration within bounds")
}

/// L16 at 8 kHz has no static payload type.
const UNCOMPRESSED: PayloadType = PayloadType::from_low_bits(96);

fn uncompressed() -> L16 {
    L16::new(SAMPLE_RATE_HZ, 1).expect("a rate and channels that there are")
}

/// A phone with parts of its own: a detector, a strategy, and L16 beside G.711.
#[derive(Clone, Copy, Debug)]
pub enum OwnParts {}

impl PhoneParts for OwnParts {
    type Block = NoBlock;
    type Detector = Loud;
    type Strategy = Fixed;
    type Codecs = Table;
}

/// What has a sample of more than 400 is speech.
#[derive(Clone, Copy, Debug)]
pub struct Loud;

impl SpeechDetector for Loud {
    fn is_speech(&mut self, pcm: &[i16]) -> bool {
        pcm.iter().any(|sample| sample.unsigned_abs() > 400)
    }
}

/// A delay of 70 ms.
#[derive(Clone, Copy, Debug)]
pub struct Fixed;

impl Fixed {
    /// In ms.
    pub const DELAY_MS: u32 = 70;
}

impl Strategy for Fixed {
    fn target(&mut self, _: &Estimate) -> u32 {
        Self::DELAY_MS * (SAMPLE_RATE_HZ / 1_000)
    }
}

/// L16 and comfort noise beside G.711.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    l16: L16,
    g711: G711,
}

impl PayloadTable for Table {
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
        if payload_type == UNCOMPRESSED { Some(&mut self.l16) } else { self.g711.decoder(payload_type) }
    }

    fn other(&self, payload_type: PayloadType) -> OtherPayload {
        if payload_type == PayloadType::COMFORT_NOISE { OtherPayload::Noise } else { OtherPayload::Unknown }
    }
}

impl PhoneCodecs for Table {
    const SAMPLE_RATE_HZ: u32 = SAMPLE_RATE_HZ;
    const RTP_CLOCK_HZ: u32 = SAMPLE_RATE_HZ;
    type Memory = TwiceTheBytes;

    fn encoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Encoder> {
        if payload_type == UNCOMPRESSED { Some(&mut self.l16) } else { self.g711.encoder(payload_type) }
    }
}

/// As for G.711, but that payloads are twice as long.
#[derive(Clone, Copy, Debug)]
pub enum TwiceTheBytes {}

impl PhoneMemory for TwiceTheBytes {
    type Receiver = Arrays<64, 1_760>;
    type Packet = [i16; 640];
    type Datagram = [u8; DATAGRAM];
    type Room = ();
    const PACKET_SAMPLES: usize = 640;
    const DATAGRAM: Self::Datagram = [0; DATAGRAM];

    #[inline(always)]
    fn lay_out((): ()) -> (Memory<Self::Receiver, 1>, Self::Packet) {
        (Memory::default(), [0; Self::PACKET_SAMPLES])
    }
}

/// A phone that sends L16.
pub fn phone_with_parts() -> PhoneOf<OwnParts, TICK, 0> {
    let noise = Some((PayloadType::COMFORT_NOISE, Loud));
    let codecs = Table { l16: uncompressed(), g711: G711::default() };
    let parts = Parts { block: None, noise, strategy: Fixed, codecs };
    let sender = SenderConfig { payload_type: UNCOMPRESSED, ..config().sender };
    PhoneOf::with_parts(PhoneConfig { sender, ..config() }, parts).expect("a configuration within bounds")
}

fn hear(tick: u32) -> [i16; TICK] {
    core::array::from_fn(|i| voice(1_000_000 + tick * TICK as u32 + i as u32))
}

/// Hashes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashes {
    /// FNV-1a of all samples played.
    pub played: u32,
    /// FNV-1a of all datagrams sent.
    pub sent: u32,
}

/// The call on a simulated port, by the phone's own loop. `phone` must be new.
pub fn call(phone: &mut Phone) -> Hashes {
    on_a_port(phone, Canned::new(false), speaker(), |_| ())
}

/// The same call with L16 in the place of mu-law. `phone` must be new.
pub fn own_call(phone: &mut PhoneOf<OwnParts, TICK, 0>) -> Hashes {
    on_a_port(phone, Canned::new(true), speaker(), |_| ())
}

/// What the microphone hears, tick by tick.
fn speaker() -> impl FnMut(&mut [i16; TICK]) {
    let mut tick = 0;
    move |pcm| {
        *pcm = hear(tick);
        tick += 1;
    }
}

/// The call with a softer voice at a microphone that hears the loudspeaker too, if there is an `echo`. `phone` must be
/// new.
pub fn echo_call<P: PhoneParts, const HISTORY: usize>(phone: &mut PhoneOf<P, TICK, HISTORY>, echo: bool) -> Hashes {
    let mut tick = 0;
    // What the loudspeaker plays while the microphone hears its next frame, behind three samples of the frame before.
    let far = Cell::new([0; 3 + TICK]);
    let microphone = |pcm: &mut [i16; TICK]| {
        *pcm = hear(tick).map(|sample| sample >> 1);
        tick += 1;
        for (sample, far) in pcm.iter_mut().zip(far.get().windows(4)).take(if echo { TICK } else { 0 }) {
            *sample -= KnownEcho::taken_out::<i16>(far);
        }
    };
    let loudspeaker = |pcm: &[i16; TICK]| {
        let mut next = far.get();
        next.copy_within(TICK.., 0);
        next[3..].copy_from_slice(pcm);
        far.set(next);
    };
    on_a_port(phone, Canned::new(false), microphone, loudspeaker)
}

fn on_a_port<P: PhoneParts, const HISTORY: usize>(
    phone: &mut PhoneOf<P, TICK, HISTORY>,
    mut canned: Canned,
    microphone: impl FnMut(&mut [i16; TICK]),
    mut loudspeaker: impl FnMut(&[i16; TICK]),
) -> Hashes {
    let clock = SimClock::default();
    let (mut played, mut sent) = (Fnv::default(), Fnv::default());
    let loudspeaker = |pcm: &[i16; TICK]| {
        loudspeaker(pcm);
        pcm.iter().for_each(|sample| played.write(&sample.to_le_bytes()));
    };
    let mut port = SimPort::new(&clock, microphone, loudspeaker);
    let bring = |until, datagram: &mut [u8]| canned.bring(until, datagram);
    let mut network = SimNetwork::new(&clock, bring, |datagram: &[u8]| sent.write(datagram));
    for _ in 0..TICKS {
        block_on(phone.tick(&mut port, &mut network));
    }
    Hashes { played: played.finish(), sent: sent.finish() }
}

/// What frames of one kind cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Frames.
    pub frames: u32,
    /// All together, in whatever the meter counts.
    pub sum: u32,
    /// The dearest.
    pub most: u32,
}

impl Cost {
    fn count(&mut self, cost: u32) {
        self.frames += 1;
        self.sum += cost;
        self.most = self.most.max(cost);
    }

    /// Mean of a frame.
    pub fn mean(&self) -> u32 {
        self.sum.checked_div(self.frames).unwrap_or(0)
    }
}

/// What the call costs, for each 20 ms.
#[derive(Clone, Copy, Debug, Default)]
pub struct Costs {
    /// Receiving and playing in each tick of 10 ms, whatever happened in it.
    pub tick: Cost,
    /// Receiving and playing, where all of it was decoded.
    pub normal: Cost,
    /// The same where the speed was changed.
    pub stretch: Cost,
    /// The same where something was concealed.
    pub conceal: Cost,
    /// The same before the stream and in pauses.
    pub silence: Cost,
    /// Encoding and packing one packet.
    pub send: Cost,
}

/// The same call step by step; `meter` counts up, modulo 2^32. The hashes must be those of [`call`].
pub fn measure(meter: impl Fn() -> u32) -> (Hashes, Costs) {
    let (mut hash_played, mut hash_sent) = (Fnv::default(), Fnv::default());
    let mut costs = Costs::default();
    let mut canned = Canned::new(false);
    let mut phone = phone();
    let mut datagram = [0; DATAGRAM];
    let mut now = Instant::ZERO;
    let before = meter();
    let meter_itself = meter().wrapping_sub(before);
    let spent = Cell::new(0u32);
    let metered = |start: u32| spent.set(spent.get() + meter().wrapping_sub(start).saturating_sub(meter_itself));
    let (mut frame, mut in_cost, mut out_cost) = (Played::default(), 0, 0);
    for tick in 0..TICKS {
        now += Duration::from_samples(TICK as u64, SAMPLE_RATE_HZ);
        while let Some((bytes, arrival)) = canned.bring(now, &mut datagram) {
            let start = meter();
            let _ = phone.receive(arrival, &datagram[..bytes]);
            metered(start);
        }
        let mut start = meter();
        phone.begin(now, true);
        loop {
            let step = phone.step(&mut datagram);
            metered(start);
            match step {
                Some(Step::Loudspeaker { pcm, played }) => {
                    let before = core::mem::replace(&mut in_cost, spent.replace(0));
                    costs.tick.count(in_cost - before);
                    pcm.iter().for_each(|sample| hash_played.write(&sample.to_le_bytes()));
                    frame.decoded += played.decoded;
                    frame.concealed += played.concealed;
                    frame.silence += played.silence;
                    frame.inserted += played.inserted + played.removed;
                }
                Some(Step::Microphone(microphone)) => microphone.pcm.copy_from_slice(&hear(tick)),
                Some(Step::Transmit(bytes)) => hash_sent.write(&datagram[..bytes.expect("room for a packet")]),
                None => break,
            }
            start = meter();
        }
        out_cost += spent.get();
        spent.set(in_cost);
        if tick % 2 == 1 {
            let kind = match frame {
                Played { concealed: 1.., .. } => &mut costs.conceal,
                Played { inserted: 1.., .. } => &mut costs.stretch,
                Played { silence: 1.., .. } => &mut costs.silence,
                _ => &mut costs.normal,
            };
            kind.count(in_cost);
            costs.send.count(out_cost);
            spent.set(0);
            (frame, in_cost, out_cost) = (Played::default(), 0, 0);
        }
    }
    (Hashes { played: hash_played.finish(), sent: hash_sent.finish() }, costs)
}

/// What a phone counted at the end of the call, and at how many ticks its delay was steered to what: proof that everything
/// above did happen.
#[cfg(not(target_os = "none"))]
pub fn stats<P: PhoneParts>(
    mut phone: PhoneOf<P, TICK, 0>,
    l16: bool,
) -> (PhoneOf<P, TICK, 0>, std::collections::BTreeMap<u32, u32>) {
    let (mut canned, mut datagram) = (Canned::new(l16), [0; DATAGRAM]);
    let (mut now, mut targets) = (Instant::ZERO, std::collections::BTreeMap::new());
    for tick in 0..TICKS {
        now += Duration::from_samples(TICK as u64, SAMPLE_RATE_HZ);
        while let Some((bytes, arrival)) = canned.bring(now, &mut datagram) {
            let _ = phone.receive(arrival, &datagram[..bytes]);
        }
        phone.begin(now, true);
        while let Some(step) = phone.step(&mut datagram) {
            match step {
                Step::Loudspeaker { played, .. } => *targets.entry(played.target_delay_ms).or_default() += 1,
                Step::Microphone(microphone) => microphone.pcm.copy_from_slice(&hear(tick)),
                Step::Transmit(_) => {}
            }
        }
    }
    (phone, targets)
}
