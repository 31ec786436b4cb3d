//! Golden hashes of the codecs and blocks: one seeded input, FNV-1a of every output. Uses nothing but `core` and
//! `dsp_core`, so that a firmware image can include this very file and compare.

use core::num::NonZeroU16;

use dsp_core::block::Block;
use dsp_core::codec::cn::{NoiseAnalyzer, NoiseGenerator};
use dsp_core::codec::g711::{Pcma, Pcmu, WithAppendixI};
use dsp_core::codec::g722::{G722Decoder, G722Encoder, Mode};
use dsp_core::codec::l16::L16;
use dsp_core::codec::{Decoder, Encoder};
use dsp_core::conference::{Conference, ConferenceConfig, Port, PortActivity};
use dsp_core::front::{CaptureBlock, FrontConfig, FrontEnd, InFloat, Latency, Media, Near, Step};
use dsp_core::guard::PacketGuard;
use dsp_core::guard::srtp::{KeyTerms, MasterKey, Mki, Srtp, SrtpProfile};
use dsp_core::kernel::Kernel;
use dsp_core::process::active_level::ActiveLevelMeter;
use dsp_core::process::activity::{EnergyGate, NoDetector, SpeechDetector};
use dsp_core::process::agc::{Agc, AgcConfig};
use dsp_core::process::biquad::{Biquad, BiquadDesign};
use dsp_core::process::gain::Gain;
use dsp_core::process::goertzel::{Goertzel, GoertzelDesign};
use dsp_core::process::level::{Level, LevelConfig, LevelMeter, Metered};
use dsp_core::process::mixer::Mixer;
use dsp_core::process::voice::{VoiceConfig, VoiceDetector};
use dsp_core::receive::{EventHeader, EventReceiver, EventsConfig, Played};
use dsp_core::sample::Sample;
use dsp_core::send::{EventFormat, EventSender, KeyPress, Sender, SenderConfig};
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::tone::{
    CED, CNG, Country, Digit, DtmfConfig, DtmfDetector, DtmfGenerator, DtmfTone, EventCode, ProgressDetector,
    ProgressGenerator, ProgressTone,
};
use dsp_core::wire::rtp::RtpPacket;

use super::fnv::Fnv;

/// Samples a frame: 20 ms at 8 kHz.
const FRAME: usize = 160;
/// Frames each hash runs over: 2 s.
const FRAMES: usize = 100;

/// The same frames everywhere: noise whose loudness changes from frame to frame, by 6 dB a step.
fn frames() -> impl Iterator<Item = [i16; FRAME]> {
    let mut state = 0x2026_u32;
    (0..FRAMES).map(move |index| {
        core::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i16 >> (index % 13)
        })
    })
}

/// Payload bytes and decoded samples of a codec. No payload here is longer than 320 bytes.
fn codec<C: Encoder + Decoder>(mut codec: C) -> u32 {
    let mut hash = Fnv::default();
    for pcm in frames() {
        let (mut payload, mut decoded) = ([0; 2 * FRAME], [0; FRAME]);
        let bytes = codec.encode(&pcm, &mut payload).expect("a frame of 160 samples has a payload");
        hash.write(&payload[..bytes]);
        codec.decode(&payload[..bytes], &mut decoded).expect("its own payload decodes");
        decoded.iter().for_each(|sample| hash.write(&sample.to_le_bytes()));
    }
    hash.finish()
}

/// G.711 mu-law.
pub fn pcmu() -> u32 {
    codec(Pcmu)
}

/// G.711 A-law.
pub fn pcma() -> u32 {
    codec(Pcma)
}

/// L16, stereo at 8 kHz.
pub fn l16() -> u32 {
    codec(L16::new(8_000, 2).expect("a rate of RFC 3551"))
}

/// Samples of a decoder that loses every fifth frame.
fn concealed(mut encoder: impl Encoder, mut decoder: impl Decoder) -> u32 {
    let mut hash = Fnv::default();
    for (index, pcm) in frames().enumerate() {
        let (mut payload, mut decoded) = ([0; FRAME], [0; FRAME]);
        let bytes = encoder.encode(&pcm, &mut payload).expect("a frame of 160 samples has a payload");
        if index % 5 == 4 {
            decoder.conceal(&mut decoded);
        } else {
            decoder.decode(&payload[..bytes], &mut decoded).expect("a good payload decodes");
        }
        decoded.iter().for_each(|sample| hash.write(&sample.to_le_bytes()));
    }
    hash.finish()
}

/// G.711 mu-law with losses concealed by Appendix I.
pub fn appendix1() -> u32 {
    concealed(Pcmu, WithAppendixI::new(Pcmu).expect("8 kHz, mono"))
}

/// G.722 with losses that the decoder conceals.
pub fn g722_concealed() -> u32 {
    concealed(G722Encoder::new(Mode::Kbps64), G722Decoder::new(Mode::Kbps64).with_concealment())
}

/// Descriptions of each frame's noise, and the noise made from them.
pub fn comfort_noise() -> u32 {
    let mut hash = Fnv::default();
    let (mut analyzer, mut generator) = (NoiseAnalyzer::new(8_000), NoiseGenerator::new());
    for mut pcm in frames() {
        analyzer.hear(&pcm);
        let mut payload = [0; FRAME];
        let bytes = analyzer.describe().write(&mut payload).expect("13 bytes at most");
        hash.write(&payload[..bytes]);
        generator.update(&payload[..bytes]).expect("its own payload");
        generator.generate(&mut pcm);
        pcm.iter().for_each(|sample| hash.write(&sample.to_le_bytes()));
    }
    hash.finish()
}

/// Verdicts of the energy gate on each frame.
pub fn energy_gate() -> u32 {
    let mut hash = Fnv::default();
    let mut gate = EnergyGate::new(8_000);
    for pcm in frames() {
        hash.write(&[u8::from(gate.is_speech(&pcm))]);
    }
    hash.finish()
}

/// Verdicts, probabilities and levels of the voice detector on each frame.
pub fn voice() -> u32 {
    let mut hash = Fnv::default();
    let mut detector = VoiceDetector::new(VoiceConfig::default()).expect("the default is in range");
    for pcm in frames() {
        let voice = detector.hear(&pcm);
        hash.write(&[u8::from(voice.speech), voice.probability, voice.periodicity]);
        hash.write(&detector.noise_level().hundredths_dbov().to_le_bytes());
    }
    hash.finish()
}

/// Active level of all frames.
pub fn active_level() -> u32 {
    let mut hash = Fnv::default();
    let mut meter = ActiveLevelMeter::new(8_000).expect("a rate that there is");
    for pcm in frames() {
        meter.hear(&pcm);
        let level = meter.read();
        hash.write(&level.active.unwrap_or(Level::SILENCE).hundredths_dbov().to_le_bytes());
        hash.write(&level.activity_hundredths_percent.to_le_bytes());
    }
    hash.finish()
}

/// Samples of each frame behind the gain control.
pub fn agc() -> u32 {
    let mut hash = Fnv::default();
    let config = AgcConfig { sample_rate_hz: 8_000, ..AgcConfig::default() };
    let mut agc = Agc::new(config).expect("a config that there is");
    for pcm in frames() {
        // Blocks of 10 ms.
        for block in pcm.chunks(80) {
            let mut block: [f32; 80] = core::array::from_fn(|n| f32::from(block[n]) / 32_768.0);
            agc.process(&mut block);
            block.iter().for_each(|sample| hash.write(&sample.to_bits().to_le_bytes()));
        }
    }
    hash.finish()
}

/// Readings of the level meter after each frame, from samples of type `S`.
pub fn level<S: Metered>() -> u32 {
    let mut hash = Fnv::default();
    let mut meter = LevelMeter::new(LevelConfig::default()).expect("the default is in range");
    for pcm in frames() {
        meter.hear(&pcm.map(S::from_i16));
        hash.write(&meter.rms_dbov().hundredths_dbov().to_le_bytes());
        hash.write(&meter.peak_dbov().hundredths_dbov().to_le_bytes());
        hash.write(&meter.clipped_samples().to_le_bytes());
    }
    hash.finish()
}

/// Samples after a gain that is changed and muted in mid-stream, in 32 bits.
pub fn gain<S: Sample>() -> u32 {
    let mut hash = Fnv::default();
    let mut gain = Gain::new(200);
    for (index, pcm) in frames().enumerate() {
        if index % 7 == 0 {
            gain.set_gain((index as i16 - 60) * 40).expect("at most 16 dB");
        }
        gain.set_muted(index % 10 == 9);
        let mut frame = pcm.map(S::from_i16);
        gain.process(&mut frame);
        frame.iter().for_each(|sample| hash.write(&sample.to_i32().to_le_bytes()));
    }
    hash.finish()
}

/// What three ports hear of each other, in 32 bits; the loudest are beyond full scale together.
pub fn mixer<S: Kernel>() -> u32 {
    let mut hash = Fnv::default();
    let mut mixer = Mixer::<S, FRAME>::default();
    let mut earlier = [[S::default(); FRAME]; 2];
    for pcm in frames() {
        let ports = [pcm.map(S::from_i16), earlier[0], earlier[1]];
        let mut mix = mixer.frame(FRAME).expect("room for a frame");
        ports.iter().for_each(|port| mix.add(port));
        for port in &ports {
            let mut heard = [S::default(); FRAME];
            mix.others(port, &mut heard);
            heard.iter().for_each(|sample| hash.write(&sample.to_i32().to_le_bytes()));
        }
        earlier = [ports[0], ports[1]];
    }
    hash.finish()
}

/// Samples behind a high-pass, in 32 bits.
pub fn biquad<S: Kernel>() -> u32 {
    const DESIGN: BiquadDesign = match BiquadDesign::high_pass(8_000, 100) {
        Ok(design) => design,
        Err(_) => panic!("a corner below half the rate"),
    };
    let mut hash = Fnv::default();
    let mut filter = Biquad::<S>::new(DESIGN);
    for pcm in frames() {
        let mut frame = pcm.map(S::from_i16);
        filter.process(&mut frame);
        frame.iter().for_each(|sample| hash.write(&sample.to_i32().to_le_bytes()));
    }
    hash.finish()
}

/// What three participants of a conference hear of each other: with gains, a mute, missing frames, the two loudest alone, and
/// loud enough for the limiter.
pub fn conference() -> u32 {
    let mut hash = Fnv::default();
    let config =
        ConferenceConfig { sample_rate_hz: 8_000, frame_samples: FRAME, loudest: NonZeroU16::new(2), meters: true };
    let mut conference = Conference::new(config, [Port::<FRAME>::EMPTY; 3]).expect("a config that there is");
    (0..3).for_each(|port| assert_eq!(conference.join(), Ok(port)));
    let mut earlier = [[0; FRAME]; 2];
    for (index, pcm) in frames().enumerate() {
        let given = [pcm, earlier[0], earlier[1]];
        earlier = [pcm, earlier[0]];
        for (port, given) in given.iter().enumerate() {
            let probability = if (index + port) % 11 < 8 { 255 } else { 0 };
            let mut meter = LevelMeter::new(LevelConfig { time_constant_ms: 1, ..LevelConfig::default() })
                .expect("a time constant that there is");
            meter.hear(given);
            conference
                .set_activity(port, PortActivity { level: meter.rms_dbov(), probability })
                .expect("he has joined");
            if (index + 5 * port) % 17 != 0 {
                conference.frame(port).expect("he has joined").copy_from_slice(given);
            }
        }
        conference.set_gain(index % 3, (index as i16 % 7) * 150 - 600).expect("at most 3 dB");
        conference.set_muted(2, index % 40 > 35).expect("he has joined");
        conference.mix();
        let mut out = [0; FRAME];
        for port in 0..3 {
            conference.others(port, &mut out).expect("he has joined");
            out.iter().for_each(|sample| hash.write(&sample.to_le_bytes()));
        }
        conference.all(&mut out);
        out.iter().for_each(|sample| hash.write(&sample.to_le_bytes()));
        hash.write(&conference.limiter().gain_hundredths_db.to_le_bytes());
        hash.write(&conference.stats(0).expect("he has joined").clipped_samples.to_le_bytes());
    }
    hash.finish()
}

/// Levels of one frequency in stretches that are no multiples of a frame.
pub fn goertzel<S: Kernel + Metered>() -> u32 {
    const DESIGN: GoertzelDesign = match GoertzelDesign::new(8_000, 697, 205) {
        Ok(design) => design,
        Err(_) => panic!("a frequency below half the rate"),
    };
    let mut hash = Fnv::default();
    let mut goertzel = Goertzel::<S>::new(DESIGN);
    for pcm in frames() {
        goertzel.hear(&pcm.map(S::from_i16), |level| hash.write(&level.hundredths_dbov().to_le_bytes()));
    }
    hash.finish()
}

/// All digits made and heard again in noise, with what is left of them when they are muted, at two rates.
pub fn digits<S: Sample>() -> u32 {
    let mut hash = Fnv::default();
    for sample_rate_hz in [8_000, 48_000] {
        let config = DtmfTone { sample_rate_hz, on_ms: 50, off_ms: 45, ..DtmfTone::default() };
        let made = DtmfGenerator::new(config);
        let detected = DtmfDetector::new(DtmfConfig { sample_rate_hz, ..DtmfConfig::default() });
        let (Ok(mut generator), Ok(mut detector)) = (made, detected) else { continue };
        let (mut frame, mut seed) = ([S::default(); 120], 1u32);
        for digit in Digit::ALL {
            generator.press(digit);
            loop {
                let length = generator.fill(&mut frame);
                if length == 0 {
                    break;
                }
                for sample in &mut frame[..length] {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    *sample = sample.mix(S::from_i16((seed >> 23) as i16 - 256));
                }
                detector.hear_and_mute(&mut frame[..length], |heard| {
                    hash.write(&[heard.digit.event_code().0, heard.ended.into()]);
                    hash.write(&heard.level_hundredths_dbm0.to_le_bytes());
                    hash.write(&heard.start.as_micros().to_le_bytes());
                    hash.write(&heard.duration.as_micros().to_le_bytes());
                });
                frame[..length].iter().for_each(|sample| hash.write(&sample.to_i32().to_le_bytes()));
            }
        }
    }
    hash.finish()
}

/// Tones of a call's progress and of faxes made and heard again in noise, one after the other at two rates.
pub fn tones<S: Sample>() -> u32 {
    let mut hash = Fnv::default();
    let country = Country::of("de").expect("a country that there is");
    let busy = country.tone(ProgressTone::Busy);
    for (sample_rate_hz, segments, tenths) in [
        (8_000, busy, 34),
        (8_000, &CNG[..], 75),
        (16_000, country.tone(ProgressTone::Dial), 16),
        (16_000, &CED[..], 16),
    ] {
        let mut detector = ProgressDetector::new(sample_rate_hz, country).expect("a rate that there is");
        let mut generator = ProgressGenerator::new(sample_rate_hz, -1_300, segments).expect("a level that there is");
        let (mut frame, mut seed) = ([S::default(); 160], 1u32);
        for _ in 0..sample_rate_hz / 1_600 * tenths {
            generator.fill(&mut frame);
            for sample in &mut frame {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *sample = sample.mix(S::from_i16((seed >> 25) as i16 - 64));
            }
            frame.iter().for_each(|sample| hash.write(&sample.to_i32().to_le_bytes()));
            detector.hear(&frame, |heard| {
                heard.signal.name().bytes().for_each(|byte| hash.write(&[byte]));
                hash.write(&[heard.ended.into()]);
                hash.write(&heard.start.as_micros().to_le_bytes());
                hash.write(&heard.duration.as_micros().to_le_bytes());
            });
        }
        assert!(detector.sounding().is_some(), "each of them is heard");
    }
    hash.finish()
}

/// Telephone events of all digits at the clocks of 8 and 48 kHz, a long one and a flash among them, as packets of a sender; and
/// what a receiver tells of them, of which every third packet is lost and every fourth comes twice.
pub fn events() -> u32 {
    let mut hash = Fnv::default();
    for (clock_hz, samples) in [(8_000, 160), (48_000, 960)] {
        let mut keys = EventSender::<18>::new();
        keys.set_format(Some(EventFormat { payload_type: PayloadType::new(101).expect("below 128"), clock_hz }));
        for (number, event) in (0..17).map(EventCode).enumerate() {
            let duration_ms = if number == 3 { 1_500 } else { 60 };
            keys.press(KeyPress { duration_ms, gap_ms: 60, ..KeyPress::of(event) }).expect("room for all");
        }
        let config = SenderConfig {
            ssrc: Ssrc(7),
            first_seq: Seq(65_530),
            first_timestamp: RtpTime(u32::MAX - 4_000),
            payload_type: PayloadType::new(0).expect("below 128"),
            ptime_ms: 20,
        };
        let mut encoder = L16::new(clock_hz, 1).expect("a rate of RFC 3551");
        let mut sender = Sender::<_, NoDetector>::with_room(config, &encoder, [0; 1_920]).expect("room for a packet");
        let mut receiver = EventReceiver::<8>::new(EventsConfig::default());
        let (mut now, mut count) = (Instant::ZERO, 0);
        for _ in 0..300 {
            now += Duration::from_millis(20);
            sender.capture(&[0; 960][..samples]).expect("room for a frame");
            let mut datagram = [0; 2_000];
            if let Some(packet) = sender.event(&mut keys, &mut datagram) {
                let bytes = &datagram[..packet.expect("room for an event")];
                hash.write(bytes);
                let packet = RtpPacket::parse(bytes).expect("RTP");
                let (ssrc, timestamp) = (packet.ssrc(), packet.timestamp());
                let header = EventHeader { ssrc, timestamp, marker: packet.marker(), clock_hz };
                count += 1;
                for _ in 0..[1, 1, 0, 2][count % 4] {
                    receiver.receive(now, &header, packet.payload()).expect("an event");
                }
            } else {
                sender.packet(&mut encoder, &mut datagram).expect("a frame").expect("room for it");
            }
            while let Some(told) = receiver.next(now) {
                hash.write(&[told.event.0, told.phase as u8, told.volume]);
                hash.write(&told.begun.as_micros().to_le_bytes());
                hash.write(&told.duration.as_micros().to_le_bytes());
            }
        }
        assert_eq!(keys.begun(), 17, "all of them were sent");
    }
    hash.finish()
}

/// A capture block: takes the far end, as it comes through an echo path that is known, out of the near end. The path is a
/// quarter of the loudspeaker, after `delay`, and half of that with each of three samples more.
#[derive(Clone, Copy, Debug)]
pub struct KnownEcho {
    /// From the loudspeaker to the microphone.
    pub delay: Duration,
}

/// Taps of the path.
const TAPS: usize = 4;

impl KnownEcho {
    /// What is added to a sample of the near end, to take the echo out: from what is heard of the loudspeaker at the same
    /// time and `TAPS - 1` samples before.
    pub fn taken_out<S: Sample>(far: &[i16]) -> S {
        let half = |sample: S| sample.average(S::default());
        far.iter().fold(S::default(), |sum, &far| half(sum.mix(half(S::from_i16(far.saturating_neg())))))
    }
}

impl<S: Sample> CaptureBlock<S> for KnownEcho {
    fn process(&mut self, frame: &mut [S], near: &Near<'_>) {
        let mut far = [0; TAPS - 1 + 80];
        let from = near.render.position_at(near.captured_at - self.delay) - (TAPS as i64 - 1);
        near.render.read_position(from, near.channel, &mut far);
        for (sample, far) in frame.iter_mut().zip(far.windows(TAPS)) {
            *sample = sample.mix(Self::taken_out(far));
        }
    }

    fn reset(&mut self) {}

    fn delay_samples(&self) -> usize {
        0
    }
}

/// Plays noise; hashes what is captured, and when.
struct Noise<I> {
    source: I,
    hash: Fnv,
}

impl<I: Iterator<Item = i16>> Media for Noise<I> {
    type Transmit = ();

    fn play(&mut self, _: Instant, pcm: &mut [i16]) -> Played {
        pcm.iter_mut().zip(&mut self.source).for_each(|(to, from)| *to = from);
        Played::default()
    }

    fn capture(&mut self, captured_at: Instant, pcm: &[i16]) {
        self.hash.write(&captured_at.as_micros().to_le_bytes());
        pcm.iter().for_each(|sample| self.hash.write(&sample.to_le_bytes()));
    }

    fn transmit(&mut self, _: Instant, _: &mut [u8]) -> Option<()> {
        None
    }
}

/// Packets and reports of every length under every suite, with an identifier in each: on some processors other code computes
/// them.
pub fn srtp() -> u32 {
    let mut hash = Fnv::default();
    for profile in [
        SrtpProfile::AesCm128HmacSha1_80,
        SrtpProfile::AesCm128HmacSha1_32,
        SrtpProfile::Aes256CmHmacSha1_80,
        SrtpProfile::Aes256CmHmacSha1_32,
        SrtpProfile::AeadAes128Gcm,
        SrtpProfile::AeadAes256Gcm,
    ] {
        let [ours, theirs] = [3, 5].map(|factor: u8| {
            let bytes: [u8; MasterKey::LONGEST] = core::array::from_fn(|n| factor.wrapping_mul(n as u8) ^ 0x5a);
            let terms = KeyTerms { mki: Mki::new(factor.into(), 4), ..KeyTerms::default() };
            MasterKey::of(profile, &bytes[..profile.master_bytes()]).expect("of that length").with_terms(terms)
        });
        let mut sender = Srtp::<1>::new(profile, &ours, &theirs).expect("two keys");
        let mut receiver = Srtp::<1>::new(profile, &theirs, &ours).expect("two keys");
        for len in (12..400).step_by(7) {
            let mut buffer: [u8; 460] = core::array::from_fn(|n| (n * len) as u8);
            buffer[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0xca, 0xfe, 0, 1]);
            // Over a wrap.
            buffer[2..4].copy_from_slice(&0xffe0_u16.wrapping_add(len as u16 / 7).to_be_bytes());
            let protected = sender.protect_rtp(&mut buffer, len).expect("there is room");
            hash.write(&buffer[..protected]);
            assert!(receiver.unprotect_rtp(&mut buffer[..protected]) == Ok(len));
            buffer[..8].copy_from_slice(&[0x80, 200, 0, 6, 0xca, 0xfe, 0, 1]);
            let protected = sender.protect_rtcp(&mut buffer, 28).expect("there is room");
            hash.write(&buffer[..protected]);
            assert!(receiver.unprotect_rtcp(&mut buffer[..protected]) == Ok(28));
        }
    }
    hash.finish()
}

/// Frames behind a capture chain and their times: stereo at 8 kHz in ticks of uneven length, with gains that change.
fn front<B: CaptureBlock<i16>>(blocks: [B; 2]) -> u32 {
    let config = FrontConfig { channels: 2, meters: true, ..FrontConfig::default() };
    let mut front = FrontEnd::<B, 320, _>::new(config, blocks.map(Some), [0; 1_600]).expect("a block for each channel");
    front.set_latency(Latency { capture: Duration::from_millis(2), playback: Duration::from_millis(5) });
    let mut media = Noise { source: frames().flatten(), hash: Fnv::default() };
    let mut now = Instant::from_millis(1_000);
    let mut microphone = frames().flatten();
    for tick in 0..100 {
        let samples = [80, 7, 113, 40, 160][tick % 5];
        now += Duration::from_samples(samples as u64, config.sample_rate_hz);
        if tick % 7 == 3 {
            front.set_volume(tick as i16 * 20 - 1_200).expect("at most 8 dB");
            front.set_microphone_gain(600 - tick as i16 * 20).expect("at most 6 dB");
        }
        front.begin(now, samples, tick > 0).expect("at most 160 samples a channel");
        while let Some(step) = front.step(&mut media, &mut []) {
            if let Step::Microphone(heard) = step {
                heard.pcm.iter_mut().zip(&mut microphone).for_each(|(to, from)| *to = from);
            }
        }
        let level = front.microphone_level().expect("there are meters");
        media.hash.write(&level.hundredths_dbov().to_le_bytes());
    }
    media.hash.finish()
}

/// A capture chain with a block on `i16`.
pub fn front_i16() -> u32 {
    front([KnownEcho { delay: Duration::from_millis(3) }; 2])
}

/// A capture chain with a block on `f32`.
pub fn front_f32() -> u32 {
    let block = KnownEcho { delay: Duration::from_millis(3) };
    front([InFloat::<_, 80>::new(block, 8_000).expect("room for 10 ms"); 2])
}
