//! A phone over simulated ports and networks.

use super::*;
use crate::parts::{Lent, NarrowbandRoom, Wideband};
use crate::pump::Pump;
use crate::sim::{SimClock, SimNetwork, SimPort};
use core::cell::{Cell, RefCell};
use dsp_core::codec::g711::Pcmu;
use dsp_core::codec::g722::{G722Decoder, G722Encoder, Mode};
use dsp_core::codec::{Decoder, Encoder, PayloadTable};
use dsp_core::front::Near;
use dsp_core::process::activity::NoDetector;
use dsp_core::receive::EventPhase;
use dsp_core::receive::strategy::Standard;
use dsp_core::send::{KeysFull, PacketLengthError, SenderConfig};
use dsp_core::time::{PayloadType, RtpTime, Seq};
use dsp_core::tone::{Digit, EventCode};
use dsp_core::wire::rtp::{RtpHeader, RtpPacket};
use embassy_futures::block_on;
use std::vec::Vec;

fn no_datagram(_: Instant, _: &mut [u8]) -> Option<(usize, Instant)> {
    None
}

#[test]
fn time_goes_on_when_the_microphone_loses_frames() {
    let clock = SimClock::default();
    let sent = RefCell::new(Vec::new());
    let mut network = SimNetwork::new(&clock, no_datagram, |datagram: &[u8]| {
        let packet = RtpPacket::parse(datagram).expect("a packet of its own");
        sent.borrow_mut().push((packet.seq().0, packet.timestamp().0, packet.marker()));
    });
    let pump = Pump::<TICK, 2>::new();
    let mut port = pump.port();
    let mut phone = Phone::new(PhoneConfig::default()).unwrap();
    let mut ticks = Vec::new();
    for n in 0..8 {
        // In the fourth round the task comes three interrupts late.
        for _ in 0..if n == 4 { 4 } else { 1 } {
            pump.half_transfer(&[n; TICK], &mut [0; TICK]);
        }
        ticks.push(block_on(phone.tick(&mut port, &mut network)));
    }
    assert_eq!(ticks[4].overrun, 4);
    assert_eq!(ticks.iter().map(|tick| tick.overrun).sum::<u32>(), pump.counters().overruns);
    assert_eq!(ticks.iter().map(|tick| tick.underrun).sum::<u32>(), pump.counters().underruns);
    assert_eq!(*sent.borrow(), [(0, 0, true), (1, 160, false), (2, 640, true)]);
}

#[test]
fn silence_of_the_loudspeaker_is_told_once_to_the_history() {
    let clock = SimClock::default();
    let mut network = SimNetwork::new(&clock, no_datagram, |_: &[u8]| ());
    let pump = Pump::<TICK, 2>::new();
    let mut port = pump.port();
    let mut phone = PhoneWith::<_, 800>::with_block(PhoneConfig::default(), Difference).unwrap();
    for n in 0..8 {
        for _ in 0..if n == 4 { 4 } else { 1 } {
            pump.half_transfer(&[n; TICK], &mut [0; TICK]);
        }
        block_on(phone.tick(&mut port, &mut network));
    }
    let underruns = u64::from(pump.counters().underruns);
    assert!(underruns > 0 && pump.counters().overruns == 4);
    assert_eq!(phone.front().render().missing_samples(), underruns * TICK as u64);
}

#[test]
fn a_flood_does_not_stop_the_audio() {
    let clock = SimClock::default();
    let mut flood = 0;
    let bring = |until, datagram: &mut [u8]| {
        flood += 1;
        datagram.fill(0x80);
        // Every third is longer than the buffer.
        Some((if flood % 3 == 0 { 2_000 } else { 500 }, until))
    };
    let mut network = SimNetwork::new(&clock, bring, |_: &[u8]| ());
    let mut port = SimPort::new(&clock, |_: &mut [i16; TICK]| (), |_: &[i16; TICK]| ());
    let mut phone = Phone::new(PhoneConfig::default()).unwrap();
    for _ in 0..50 {
        block_on(phone.tick(&mut port, &mut network));
    }
    assert_eq!(clock.now(), Instant::from_millis(500));
    assert_eq!(phone.receiver_stats().malformed, 533);
}

/// Takes what the loudspeaker plays out of what the microphone hears.
struct Difference;

impl CaptureBlock<i16> for Difference {
    fn process(&mut self, frame: &mut [i16], near: &Near<'_>) {
        let mut far = [0; TICK];
        near.render.read(near.captured_at, near.channel, &mut far);
        frame.iter_mut().zip(far).for_each(|(near, far)| *near = near.saturating_sub(far));
    }

    fn reset(&mut self) {}

    fn delay_samples(&self) -> usize {
        0
    }
}

/// A network whose time is that of the interrupts.
struct Timed<'a, N>(N, &'a Cell<u64>);

impl<N: Network> Network for Timed<'_, N> {
    async fn receive(&mut self, datagram: &mut [u8]) -> Incoming {
        self.0.receive(datagram).await
    }

    fn send(&mut self, datagram: &[u8]) {
        self.0.send(datagram);
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.1.get())
    }
}

#[test]
fn a_block_finds_the_far_end_behind_the_pump() {
    let (clock, interrupts) = (SimClock::default(), Cell::new(10));
    let mut sound = 0u8;
    let bring = |_, datagram: &mut [u8]| {
        // A packet of noise every other interrupt.
        let n = interrupts.get() / 10;
        if n / 2 == u64::from(sound) {
            return None;
        }
        sound = (n / 2) as u8;
        let header = RtpHeader { seq: Seq(n as u16 / 2), timestamp: RtpTime(80 * n as u32), ..RtpHeader::default() };
        let bytes = header.write(datagram).unwrap();
        let mut state = n as u32;
        datagram[bytes..bytes + 160].fill_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        Some((bytes + 160, Instant::from_millis(interrupts.get())))
    };
    let sent = RefCell::new(Vec::new());
    let network =
        SimNetwork::new(&clock, bring, |datagram: &[u8]| sent.borrow_mut().extend_from_slice(&datagram[12..]));
    let mut network = Timed(network, &interrupts);
    let pump = Pump::<TICK, 3>::new();
    let mut port = pump.port();
    let mut phone = PhoneWith::<_, 800>::with_block(PhoneConfig::default(), Difference).unwrap();
    // The DMA's two halves: one sounds until the next interrupt, the other after it. The microphone hears the first.
    let mut halves = [[0; TICK]; 2];
    let mut loudest = 0;
    for n in 1..=200 {
        interrupts.set(10 * n);
        let [heard, next] = halves;
        let mut free = [0; TICK];
        pump.half_transfer(&heard, &mut free);
        halves = [next, free];
        loudest = heard.iter().fold(loudest, |loudest, &sample| sample.max(loudest));
        // Once the task comes an interrupt late, and then does two ticks.
        if n == 100 {
            continue;
        }
        for _ in 0..if n == 101 { 2 } else { 1 } {
            assert_eq!(block_on(phone.tick(&mut port, &mut network)).overrun, 0);
        }
    }
    assert!(loudest > 20_000);
    let law = |byte: u8| {
        let mut pcm = [0];
        Pcmu.decode(&[byte], &mut pcm).unwrap();
        pcm[0]
    };
    assert_eq!(sent.borrow().len(), 200 * TICK);
    assert_eq!(sent.borrow().iter().map(|&byte| law(byte).unsigned_abs()).max(), Some(0));
}

/// G.722, whose sound has 16 kHz.
struct Wide(G722Encoder, G722Decoder);

const G722: PayloadType = PayloadType::from_low_bits(9);

impl PayloadTable for Wide {
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
        (payload_type == G722).then_some(&mut self.1 as &mut dyn Decoder)
    }
}

impl PhoneCodecs for Wide {
    const SAMPLE_RATE_HZ: u32 = 16_000;
    const RTP_CLOCK_HZ: u32 = 8_000;
    type Memory = Wideband;

    fn encoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Encoder> {
        (payload_type == G722).then_some(&mut self.0 as &mut dyn Encoder)
    }
}

enum WideParts {}

impl PhoneParts for WideParts {
    type Block = NoBlock;
    type Detector = NoDetector;
    type Strategy = Standard;
    type Codecs = Wide;
}

/// A tone above 4 kHz, which no phone of 8 kHz has, comes back through a wire that is one packet long.
#[test]
fn a_phone_of_other_codecs_has_their_rate() {
    let (encoder, decoder) = (G722Encoder::new(Mode::Kbps64), G722Decoder::new(Mode::Kbps64));
    let parts =
        || Parts { block: None, noise: None, strategy: Standard, codecs: Wide(encoder.clone(), decoder.clone()) };
    let config = PhoneConfig::default();
    let sender = SenderConfig { payload_type: G722, ..config.sender };
    let mut phone = PhoneOf::<WideParts, 160, 0>::with_parts(PhoneConfig { sender, ..config }, parts()).unwrap();
    let clock = SimClock::default();
    let wire = RefCell::new(None);
    // 5 kHz: 16 samples are 5 periods.
    const SINE: [i16; 16] =
        [0, 3_061, 5_657, 7_391, 8_000, 7_391, 5_657, 3_061, 0, -3_061, -5_657, -7_391, -8_000, -7_391, -5_657, -3_061];
    let microphone = |pcm: &mut [i16; 160]| *pcm = core::array::from_fn(|n| SINE[n * 5 % 16]);
    let mut heard = Vec::new();
    let loudspeaker = |pcm: &[i16; 160]| heard.extend_from_slice(pcm);
    let mut port = SimPort::new(&clock, microphone, loudspeaker);
    let bring = |_, datagram: &mut [u8]| {
        let packet: Vec<u8> = wire.take()?;
        datagram[..packet.len()].copy_from_slice(&packet);
        Some((packet.len(), clock.now()))
    };
    let send = |datagram: &[u8]| *wire.borrow_mut() = Some(datagram.to_vec());
    let mut network = SimNetwork::new(&clock, bring, send);
    for _ in 0..100 {
        assert_eq!(block_on(phone.tick(&mut port, &mut network)).unsent, 0);
    }
    let stats = phone.receiver_stats();
    assert_eq!((stats.reception.received, stats.undecodable), (49, 0));
    assert!(stats.decoded_samples > 14_000, "{stats:?}");
    assert_eq!(phone.send_stats().octets, 50 * 160);
    assert!(heard.iter().any(|sample| *sample > 5_000));
    // What it can't send.
    let wrong = PhoneOf::<WideParts, 160, 0>::with_parts(config, parts()).err();
    assert_eq!(wrong, Some(PhoneError::PayloadType(PayloadType::PCMU)));
    let long = SenderConfig { ptime_ms: 80, ..sender };
    let wrong = PhoneOf::<WideParts, 160, 0>::with_parts(PhoneConfig { sender: long, ..config }, parts()).err();
    let too_long = PacketLengthError::NoRoom { need: 1_280, got: 960 };
    assert_eq!(wrong, Some(PhoneError::Sender(too_long)));
}

/// A network that takes time to send, and brings a packet a tick that takes time too.
struct Busy<'a> {
    clock: &'a Cell<Instant>,
    waiting: bool,
}

const SENDING: Duration = Duration::from_micros(170);
const WORKING: Duration = Duration::from_micros(90);

fn pass(clock: &Cell<Instant>, time: Duration) {
    clock.set(clock.get() + time);
}

impl Network for Busy<'_> {
    async fn receive(&mut self, datagram: &mut [u8]) -> Incoming {
        if !core::mem::take(&mut self.waiting) {
            return core::future::pending().await;
        }
        pass(self.clock, WORKING);
        datagram[..12].copy_from_slice(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
        Incoming { len: 12, arrival: self.clock.get(), worked: WORKING }
    }

    fn send(&mut self, _: &[u8]) {
        pass(self.clock, SENDING);
    }

    fn now(&self) -> Instant {
        self.clock.get()
    }
}

/// A port whose frame comes after 9 ms, and that takes its time to be written to.
struct Late<'a>(&'a Cell<Instant>);

const READING: Duration = Duration::from_millis(9);
const WRITING: Duration = Duration::from_micros(310);

impl AudioPort<TICK> for Late<'_> {
    async fn read(&mut self, pcm: &mut [i16; TICK]) -> Result<(), crate::port::Overrun> {
        pass(self.0, READING);
        pcm.fill(100);
        Ok(())
    }

    async fn write(&mut self, _: &[i16; TICK]) -> Result<(), crate::port::Underrun> {
        pass(self.0, WRITING);
        Ok(())
    }
}

#[test]
fn a_tick_tells_how_long_it_took_from_the_frame_to_the_last_packet() {
    let clock = Cell::new(Instant::ZERO);
    let mut network = Busy { clock: &clock, waiting: false };
    let mut port = Late(&clock);
    let mut phone = Phone::new(PhoneConfig::default()).unwrap();
    for n in 0..8 {
        network.waiting = n % 4 == 3;
        let begun = clock.get();
        let tick = block_on(phone.tick(&mut port, &mut network));
        // Every other tick sends a packet of 20 ms.
        let expected = if n % 2 == 1 { WRITING + SENDING } else { WRITING };
        assert_eq!(tick.took, expected, "{n}");
        let intake = if n % 4 == 3 { WORKING } else { Duration::ZERO };
        assert_eq!((tick.intake, tick.received), (intake, u32::from(n % 4 == 3)), "{n}");
        assert_eq!(clock.get().since(begun), READING + intake + tick.took, "{n}");
    }
}

/// Adds a constant.
struct Hum;

impl crate::tones::LocalSound for Hum {
    fn mix(&mut self, pcm: &mut [i16]) {
        pcm.iter_mut().for_each(|sample| *sample = sample.saturating_add(3_000));
    }
}

#[test]
fn sound_of_this_side_is_heard_and_known_to_the_canceller_and_not_sent() {
    let clock = SimClock::default();
    let sent = RefCell::new(Vec::new());
    let mut network = SimNetwork::new(&clock, no_datagram, |datagram: &[u8]| sent.borrow_mut().push(datagram.to_vec()));
    let heard = RefCell::new(Vec::new());
    let echo = |pcm: &mut [i16; TICK]| match heard.borrow().last() {
        Some(frame) => *pcm = *frame,
        None => pcm.fill(0),
    };
    let mut port = SimPort::new(&clock, echo, |pcm: &[i16; TICK]| heard.borrow_mut().push(*pcm));
    let mut phone = PhoneWith::<_, 800>::with_block(PhoneConfig::default(), Difference).unwrap();
    for _ in 0..20 {
        block_on(phone.tick_with(&mut port, &mut network, &mut Hum));
    }
    assert!(heard.borrow().iter().all(|frame| *frame == [3_000; TICK]));
    // Mu-law's zero.
    assert!(sent.borrow()[2..].iter().all(|packet| packet[12..].iter().all(|byte| *byte == 0xff)));
}

#[test]
fn refuses_what_it_cannot_send() {
    let config = PhoneConfig::default();
    let video = PayloadType::new(96).unwrap();
    let other = SenderConfig { payload_type: video, ..config.sender };
    assert_eq!(Phone::new(PhoneConfig { sender: other, ..config }).err(), Some(PhoneError::PayloadType(video)));
    let long = SenderConfig { ptime_ms: 80, ..config.sender };
    let too_long = PacketLengthError::NoRoom { need: 640, got: 480 };
    assert_eq!(Phone::new(PhoneConfig { sender: long, ..config }).err(), Some(PhoneError::Sender(too_long)));
    let none = SenderConfig { ptime_ms: 0, ..config.sender };
    assert!(matches!(Phone::new(PhoneConfig { sender: none, ..config }), Err(PhoneError::Sender(_))));
}

/// Keys of a phone whose packets come back to it, a tenth of them lost and the others a packet later: each is told once when it
/// begins and once when it has ended.
fn keys_come_back<P: PhoneParts, const TICK: usize>(config: PhoneConfig, parts: Parts<P>, room: RoomFor<P>) {
    let events = PayloadType::new(101);
    let mut phone = PhoneOf::<P, TICK, 0>::with_room(PhoneConfig { events, ..config }, parts, room).unwrap();
    let clock = SimClock::default();
    let (wire, seed) = (RefCell::new(None), Cell::new(3u32));
    let mut port = SimPort::new(&clock, |pcm: &mut [i16; TICK]| pcm.fill(1_000), |_: &[i16; TICK]| ());
    let bring = |_, datagram: &mut [u8]| {
        let packet: Vec<u8> = wire.take()?;
        datagram[..packet.len()].copy_from_slice(&packet);
        Some((packet.len(), clock.now()))
    };
    let send = |datagram: &[u8]| {
        seed.set(seed.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        if (seed.get() >> 16) % 10 > 0 {
            *wire.borrow_mut() = Some(datagram.to_vec());
        }
    };
    let mut network = SimNetwork::new(&clock, bring, send);
    let signs = "147*2580369#ABCD147*2580369#ABCD";
    let (mut begun, mut ended, mut right) = (Vec::new(), Vec::new(), 0);
    for tick in 0..800 {
        if tick % 160 == 20 {
            for sign in signs.chars().skip(tick / 160 * 8).take(8) {
                let event = Digit::from_char(sign).unwrap().event_code();
                phone.press(KeyPress { duration_ms: 100, gap_ms: 80, ..KeyPress::of(event) }).unwrap();
            }
        }
        assert_eq!(block_on(phone.tick(&mut port, &mut network)).unsent, 0);
        while let Some(told) = phone.next_event(clock.now()) {
            let sign = told.event.digit().map_or('?', Digit::as_char);
            match told.phase {
                EventPhase::Began => begun.push(sign),
                _ => ended.push(sign),
            }
            right += usize::from(told.phase == EventPhase::Ended && told.duration == Duration::from_millis(100));
        }
    }
    let all: Vec<char> = signs.chars().collect();
    assert_eq!((&begun, &ended), (&all, &all));
    assert!(right >= 28, "{right}");
    let stats = phone.receiver_stats();
    assert!(stats.event_packets > 150 && stats.unknown_payload == 0, "{stats:?}");
}

#[test]
fn keys_are_told_once_each_at_a_tenth_lost() {
    keys_come_back::<_, TICK>(PhoneConfig::default(), Parts::g711(), ());
    let codecs = Wide(G722Encoder::new(Mode::Kbps64), G722Decoder::new(Mode::Kbps64));
    let config = PhoneConfig::default();
    let sender = SenderConfig { payload_type: G722, ..config.sender };
    let parts = Parts::<WideParts> { block: None, noise: None, strategy: Standard, codecs };
    keys_come_back::<_, 160>(PhoneConfig { sender, ..config }, parts, ());
}

/// A phone over memory that another call has used does what one does that has its own, bit by bit.
#[test]
fn lent_memory_makes_the_same_phone_call_after_call() {
    enum LentParts<'a> {
        _Never(std::convert::Infallible, core::marker::PhantomData<&'a ()>),
    }

    impl<'a> PhoneParts for LentParts<'a> {
        type Block = NoBlock;
        type Detector = NoDetector;
        type Strategy = Standard;
        type Codecs = Lent<G711, &'a mut NarrowbandRoom>;
    }

    /// What it plays and sends of packets of noise, every fifth of which is lost.
    fn call<P: PhoneParts>(mut phone: PhoneOf<P, TICK, 0>) -> (Vec<i16>, Vec<Vec<u8>>) {
        let clock = SimClock::default();
        let (sent, mut next, mut state) = (RefCell::new(Vec::new()), 0u16, 5u32);
        let bring = |until: Instant, datagram: &mut [u8]| {
            let arrival = Instant::from_millis(20 * u64::from(next));
            if arrival >= until {
                return None;
            }
            next += if next % 5 == 3 { 2 } else { 1 };
            let header =
                RtpHeader { seq: Seq(next), timestamp: RtpTime(160 * u32::from(next)), ..RtpHeader::default() };
            let begin = header.write(datagram).unwrap();
            datagram[begin..begin + 160].fill_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            });
            Some((begin + 160, arrival.max(clock.now())))
        };
        let mut network = SimNetwork::new(&clock, bring, |datagram: &[u8]| sent.borrow_mut().push(datagram.to_vec()));
        let mut played = Vec::new();
        let microphone = |pcm: &mut [i16; TICK]| *pcm = core::array::from_fn(|n| 90 * n as i16);
        let mut port = SimPort::new(&clock, microphone, |pcm: &[i16; TICK]| played.extend_from_slice(pcm));
        for _ in 0..200 {
            block_on(phone.tick(&mut port, &mut network));
        }
        (played, sent.into_inner())
    }

    let mut room = NarrowbandRoom::new();
    let own = call(Phone::new(PhoneConfig::default()).unwrap());
    assert!(own.0.iter().any(|sample| *sample > 10_000) && own.1.len() == 100);
    for _ in 0..2 {
        let parts = Parts { block: None, noise: None, strategy: Standard, codecs: Lent::new(G711::default()) };
        let phone = PhoneOf::<LentParts<'_>, TICK, 0>::with_room(PhoneConfig::default(), parts, &mut room).unwrap();
        assert!(size_of_val(&phone) < size_of::<Phone>() - 7_500);
        assert!(call(phone) == own);
    }
}

#[test]
fn keys_need_events_and_room() {
    let key = KeyPress::of(EventCode::FLASH);
    let mut phone = Phone::new(PhoneConfig::default()).unwrap();
    assert_eq!(phone.press(key), Err(KeyError::NoEvents));
    let mut phone = Phone::new(PhoneConfig { events: PayloadType::new(101), ..PhoneConfig::default() }).unwrap();
    for _ in 0..8 {
        phone.press(key).unwrap();
    }
    assert_eq!(phone.press(key), Err(KeyError::Full(KeysFull { room: 8 })));
    assert_eq!(phone.next_event(Instant::ZERO), None);
}

#[test]
fn on_hold_time_goes_on_and_another_source_begins_anew() {
    let clock = SimClock::default();
    let sent = RefCell::new(Vec::new());
    let mut network = SimNetwork::new(&clock, no_datagram, |datagram: &[u8]| {
        let packet = RtpPacket::parse(datagram).expect("a packet of its own");
        sent.borrow_mut().push((packet.ssrc().0, packet.seq().0, packet.timestamp().0, packet.marker()));
    });
    let mut port = SimPort::new(&clock, |pcm: &mut [i16; TICK]| pcm.fill(1_000), |_: &[i16; TICK]| ());
    let mut phone = Phone::new(PhoneConfig::default()).unwrap();
    for tick in 0..16 {
        phone.set_sending(!(4..10).contains(&tick));
        if tick == 12 {
            phone.change_source(dsp_core::time::Ssrc(9), Seq(500), RtpTime(7));
        }
        block_on(phone.tick(&mut port, &mut network));
    }
    let begin = [(0, 0, 0, true), (0, 1, 160, false), (0, 2, 800, true), (9, 500, 7, true), (9, 501, 167, false)];
    assert_eq!(*sent.borrow(), begin);
    let info = phone.send_info(dsp_core::time::NtpTime::default());
    assert_eq!((info.packets, info.octets, info.rtp), (2, 320, RtpTime(327)));
}
