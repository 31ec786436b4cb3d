//! Where the sender is quiet nothing is concealed: comfort noise (RFC 3389), Opus' own pauses, telephone events
//! (RFC 4733). And what changes within a stream is counted: codec, packet length, pauses, jumps.

use dsp_core::codec::cn::NoiseDescription;
use dsp_core::codec::g711::{Pcma, Pcmu, linear_to_ulaw};
use dsp_core::codec::{Decoder, Encoder, OtherPayload, PayloadTable};
use dsp_core::receive::strategy::{Estimate, Operation, Pace, Situation, Strategy, Stretch};
use dsp_core::receive::{HostReceiver, Played, ReceiverConfig, ReceiverStats};
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::RtpHeader;
use host_std::opus::{OpusDecoder, OpusEncoder, OpusEncoderConfig};
use media_core_tests::road::babble;

const NOISE: PayloadType = PayloadType::from_low_bits(13);
const EVENT: PayloadType = PayloadType::from_low_bits(101);
const OPUS: PayloadType = PayloadType::from_low_bits(96);

/// Two codecs, comfort noise and events.
struct Table {
    pcmu: Pcmu,
    pcma: Pcma,
    opus: OpusDecoder,
}

impl Default for Table {
    fn default() -> Self {
        Self { pcmu: Pcmu, pcma: Pcma, opus: OpusDecoder::new(48_000, 1).unwrap() }
    }
}

impl PayloadTable for Table {
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
        match payload_type {
            PayloadType::PCMU => Some(&mut self.pcmu),
            PayloadType::PCMA => Some(&mut self.pcma),
            OPUS => Some(&mut self.opus),
            _ => None,
        }
    }

    fn other(&self, payload_type: PayloadType) -> OtherPayload {
        match payload_type {
            NOISE => OtherPayload::Noise,
            EVENT => OtherPayload::Event,
            _ => OtherPayload::Unknown,
        }
    }
}

/// A sender and its listener, in steps of 20 ms of which each may carry a packet.
struct Wire {
    receiver: Box<HostReceiver>,
    table: Table,
    header: RtpHeader<'static>,
    now: Instant,
    rate_hz: u32,
    clock_hz: u32,
    heard: Vec<i16>,
}

impl Wire {
    fn new(sample_rate_hz: u32, rtp_clock_hz: u32) -> Self {
        let config = ReceiverConfig { sample_rate_hz, rtp_clock_hz, ..ReceiverConfig::default() };
        Self {
            receiver: Box::new(HostReceiver::new(config).unwrap()),
            table: Table::default(),
            header: RtpHeader {
                seq: Seq(7),
                timestamp: RtpTime(u32::MAX - 5_000),
                ssrc: Ssrc(1),
                ..RtpHeader::default()
            },
            now: Instant::from_millis(1_000),
            rate_hz: sample_rate_hz,
            clock_hz: rtp_clock_hz,
            heard: Vec::new(),
        }
    }

    fn send(&mut self, payload_type: PayloadType, payload: &[u8]) {
        self.header.payload_type = payload_type;
        let mut datagram = vec![0; 12 + payload.len()];
        self.header.write_packet(payload, &mut datagram).unwrap();
        self.receiver.receive(self.now, &datagram).unwrap();
        self.header.seq = self.header.seq.plus(1);
    }

    /// Media time goes on by 20 ms, at the sender and at the listener.
    fn pass(&mut self) -> Played {
        let mut sum = Played::default();
        for _ in 0..2 {
            let mut pcm = vec![0; self.rate_hz as usize / 100];
            let played = self.receiver.play(self.now, &mut self.table, &mut pcm);
            sum.concealed += played.concealed;
            sum.noise += played.noise;
            sum.silence += played.silence;
            sum.decoded += played.decoded;
            self.heard.extend_from_slice(&pcm);
            self.now += Duration::from_millis(10);
        }
        self.header.timestamp = self.header.timestamp.plus(self.clock_hz / 50);
        sum
    }

    fn talk(&mut self, steps: u32) {
        for step in 0..steps {
            let speech = babble(8_000, 1, 0);
            let at = step as usize * 160 % 4_000;
            let payload: Vec<u8> = speech[at..at + 160].iter().map(|&sample| linear_to_ulaw(sample)).collect();
            self.send(PayloadType::PCMU, &payload);
            self.pass();
        }
    }

    fn stats(&self) -> ReceiverStats {
        self.receiver.stats()
    }
}

fn level(pcm: &[i16]) -> f64 {
    (pcm.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / pcm.len() as f64).sqrt()
}

#[test]
fn comfort_noise_lasts_until_the_next_talk_spurt() {
    let mut wire = Wire::new(8_000, 8_000);
    wire.talk(50);
    let before = wire.stats();
    let mut noise = 0;
    for step in 0..150 {
        // A description now and then, as RFC 3389 lets a sender choose; the second is lost.
        if step % 50 == 0 {
            let mut payload = [0; 13];
            let len = NoiseDescription::white(50).write(&mut payload).unwrap();
            if step == 50 {
                wire.header.seq = wire.header.seq.plus(1);
            } else {
                wire.send(NOISE, &payload[..len]);
            }
        }
        let played = wire.pass();
        noise += played.noise;
        if step > 2 {
            assert_eq!((played.concealed, played.silence), (0, 0), "step {step}: {played:?}");
        }
    }
    let last = wire.heard.len();
    wire.talk(50);
    let stats = wire.stats();
    assert_eq!(stats.concealed_samples, before.concealed_samples, "{stats:?}");
    assert_eq!((stats.noise_packets, stats.undecodable, stats.late), (2, 0, 0), "{stats:?}");
    // Three seconds, but for the sound still queued when they began.
    assert!((22_800..24_300).contains(&noise), "{noise}");
    // 50 dB below a square wave between the extremes.
    let heard = level(&wire.heard[last - 16_000..last - 400]);
    assert!((80.0..135.0).contains(&heard), "{heard}");
    // The talk spurt is heard at once, and whole.
    let decoded = stats.decoded_samples - before.decoded_samples;
    assert!((7_600..=8_200).contains(&decoded), "{decoded}");
}

/// What comes after a pause is at its delay from the first sample on: nobody stretches the onset of a word.
#[test]
fn a_talk_spurt_begins_at_a_delay_that_needs_no_stretching() {
    // Pauses by comfort noise, and without a word for less and for longer than a stream takes to end.
    for (described, steps) in [(true, 25), (true, 150), (false, 25), (false, 150)] {
        let mut wire = Wire::new(8_000, 8_000);
        wire.talk(50);
        for _ in 0..5 {
            for step in 0..steps {
                if described && step == 0 {
                    wire.send(NOISE, &[50]);
                }
                wire.pass();
            }
            let before = wire.stats();
            wire.talk(25);
            let after = wire.stats();
            let stretched = |stats: &ReceiverStats| (stats.inserted_samples, stats.removed_samples);
            assert_eq!(stretched(&after), stretched(&before), "noise {described}, {steps} steps: {after:?}");
            assert!(after.target_delay_ms < 30, "{after:?}");
        }
    }
}

#[test]
fn noise_that_was_never_described_right_is_silence() {
    let mut wire = Wire::new(8_000, 8_000);
    wire.talk(20);
    wire.send(NOISE, &[]);
    for _ in 0..10 {
        wire.pass();
    }
    assert_eq!(wire.stats().undecodable, 1);
    wire.talk(20);
    assert!(wire.stats().decoded_samples >= 38 * 160);
}

#[test]
fn opus_pauses_without_a_loss() {
    let config = OpusEncoderConfig { dtx: true, fec: false, ..OpusEncoderConfig::default() };
    let mut encoder = OpusEncoder::new(config).unwrap();
    let mut wire = Wire::new(48_000, 48_000);
    let speech = babble(48_000, 4, 0);
    let (mut sent, mut tiny, mut before) = (0, 0, 0);
    // A second of speech, four of next to nothing, and speech again.
    for step in 0..300usize {
        let quiet = (50..250).contains(&step);
        let pcm: Vec<i16> =
            (0..960).map(|n| if quiet { (n * 7 % 5) as i16 } else { speech[step % 25 * 960 + n] }).collect();
        let mut payload = [0; 1_500];
        let len = encoder.encode(&pcm, &mut payload).unwrap();
        // What an encoder says in one or two bytes need not be sent, but the first time, so that the decoder knows.
        let pausing = std::mem::replace(&mut before, len) <= 2;
        if len > 2 || !pausing {
            wire.send(OPUS, &payload[..len]);
            sent += 1;
            tiny += u32::from(len <= 2);
        }
        wire.pass();
    }
    let stats = wire.stats();
    assert!(sent < 200 && tiny >= 5, "{sent} sent, {tiny} of them tiny");
    assert!(stats.noise_samples > 2 * 48_000, "{stats:?}");
    assert_eq!((stats.concealed_samples, stats.late, stats.undecodable, stats.pauses), (0, 0, 0, 0), "{stats:?}");
}

#[test]
fn while_a_key_is_pressed_nothing_is_missing() {
    let mut wire = Wire::new(8_000, 8_000);
    wire.talk(50);
    let before = wire.stats();
    // Every packet of an event has the timestamp at which it began (RFC 4733, 2.5.1.1).
    let start = wire.header.timestamp;
    for step in 0..8u16 {
        let now = wire.header.timestamp;
        wire.header.timestamp = start;
        let [high, low] = ((step + 1) * 160).to_be_bytes();
        wire.send(EVENT, &[5, 10, high, low]);
        wire.header.timestamp = now;
        wire.pass();
    }
    wire.talk(50);
    let stats = wire.stats();
    assert_eq!((stats.event_packets, stats.unknown_payload), (8, 0));
    assert_eq!(stats.concealed_samples, before.concealed_samples, "{stats:?}");
    let silence = stats.silence_samples - before.silence_samples;
    assert!((8 * 160 - 200..=8 * 160 + 200).contains(&silence), "{silence}");
}

#[test]
fn changes_are_counted() {
    let mut wire = Wire::new(8_000, 8_000);
    wire.talk(50);
    // Another codec in mid-stream: heard at once, nothing concealed.
    for _ in 0..50 {
        wire.send(PayloadType::PCMA, &[0x55; 160]);
        wire.pass();
    }
    wire.talk(10);
    let stats = wire.stats();
    assert_eq!((stats.codec_switches, stats.concealed_samples, stats.ptime_changes), (2, 0, 0), "{stats:?}");
    // Packets of 10 ms, and of 20 again.
    for _ in 0..20 {
        for _ in 0..2 {
            wire.send(PayloadType::PCMU, &[0xff; 80]);
            wire.header.timestamp = wire.header.timestamp.plus(80);
        }
        wire.header.timestamp = wire.header.timestamp.plus(0u32.wrapping_sub(160));
        wire.pass();
    }
    wire.talk(10);
    assert_eq!(wire.stats().ptime_changes, 2);
    // Two seconds without a packet: the stream has stopped.
    for _ in 0..100 {
        wire.pass();
    }
    wire.talk(50);
    let stats = wire.stats();
    assert_eq!((stats.pauses, stats.restarts, stats.time_jumps), (1, 0, 0), "{stats:?}");
    // The clock jumps by a minute.
    wire.header.timestamp = wire.header.timestamp.plus(60 * 8_000);
    wire.talk(50);
    let stats = wire.stats();
    assert_eq!((stats.restarts, stats.time_jumps), (1, 1), "{stats:?}");
}

#[test]
fn why_it_was_concealed_is_known() {
    let mut wire = Wire::new(8_000, 8_000);
    wire.talk(50);
    // One packet is lost: the sound goes on where it would have.
    wire.header.seq = wire.header.seq.plus(1);
    wire.pass();
    wire.talk(50);
    let stats = wire.stats();
    assert!((40..=320).contains(&stats.concealed_lost_samples), "{stats:?}");
    assert_eq!(stats.concealed_late_samples, 0, "{stats:?}");
    // Nothing for 100 ms, then everything: it was late.
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(wire.header);
        wire.header.seq = wire.header.seq.plus(1);
        wire.pass();
    }
    let now = wire.header;
    for header in held {
        wire.header = header;
        wire.send(PayloadType::PCMU, &[0x30; 160]);
    }
    wire.header = now;
    wire.talk(50);
    let late = wire.stats();
    assert_eq!(late.concealed_lost_samples, stats.concealed_lost_samples, "{late:?}");
    assert!((400..=1_000).contains(&late.concealed_late_samples), "{late:?}");
    assert_eq!(late.concealed_lost_samples + late.concealed_late_samples, late.concealed_samples, "{late:?}");
}

/// Never stretches, and wants 150 ms of delay whatever the network does.
struct Stubborn;

impl Strategy for Stubborn {
    fn target(&mut self, _: &Estimate) -> u32 {
        150 * 8
    }
    fn stretch(&mut self, _: &Pace) -> Option<Stretch> {
        None
    }
}

/// Always wants what can't be had.
struct Impossible(u32);

impl Strategy for Impossible {
    fn operation(&mut self, _: &Situation) -> Operation {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let ticks = (self.0 >> 8) as i32 - (1 << 23);
        match self.0 >> 28 {
            0..=3 => Operation::Decode,
            4 => Operation::Merge,
            5 => Operation::Drop,
            6 => Operation::Silence(ticks),
            7 => Operation::Fill(ticks),
            8 => Operation::Noise(ticks),
            9 => Operation::Background(ticks),
            10 => Operation::Event(ticks),
            _ => Operation::Conceal,
        }
    }
    fn stretch(&mut self, _: &Pace) -> Option<Stretch> {
        Some(if self.0.is_multiple_of(2) { Stretch::Accelerate(i32::MIN) } else { Stretch::Decelerate(i32::MAX) })
    }
}

fn play_with(strategy: &mut dyn Strategy) -> (ReceiverStats, u32) {
    let mut receiver = Box::new(HostReceiver::new(ReceiverConfig::default()).unwrap());
    let mut table = Table::default();
    let mut header = RtpHeader { ssrc: Ssrc(1), ..RtpHeader::default() };
    let (mut now, mut delay_us) = (Instant::ZERO, 0);
    for step in 0..1_000u32 {
        if step % 20 != 7 {
            let mut datagram = [0; 172];
            header.write_packet(&[0x55; 160], &mut datagram).unwrap();
            receiver.receive(now, &datagram).unwrap();
        }
        header.seq = header.seq.plus(1);
        header.timestamp = header.timestamp.plus(160);
        for _ in 0..2 {
            let played = receiver.play_with(now, &mut table, strategy, &mut [0; 80]);
            delay_us = played.playout_delay_us.unwrap_or(delay_us);
            now += Duration::from_millis(10);
        }
    }
    (receiver.stats(), delay_us)
}

#[test]
fn a_strategy_of_ones_own_decides() {
    let (stats, delay_us) = play_with(&mut Stubborn);
    assert_eq!(delay_us, 150_000);
    assert_eq!((stats.inserted_samples, stats.removed_samples), (0, 0));
}

#[test]
fn no_strategy_breaks_the_receiver() {
    let (stats, _) = play_with(&mut Impossible(1));
    let made = stats.decoded_samples
        + stats.recovered_samples
        + stats.concealed_samples
        + stats.noise_samples
        + stats.silence_samples
        + stats.inserted_samples;
    assert_eq!(stats.played_samples + u64::from(stats.queued_samples) + stats.removed_samples, made, "{stats:?}");
    assert!(stats.decoded_samples > 0);
}
