//! Fuzzing of what measures, steers and cleans voices: the detector, the noise suppressor, the gain control and the meters
//! take any samples, in pieces of any length, at any rate; the echo canceller any floats, beside any far end, at any latency.
//! On stable with the default engine; `BOLERO_RANDOM_TEST_TIME_MS` sets how long.

use dsp_core::block::Block;
use dsp_core::echo::{EchoCanceller, EchoConfig, EveryPart};
use dsp_core::front::{CaptureBlock, FrontConfig, FrontEnd, Latency, Media, Near, Step};
use dsp_core::noise::{NoiseConfig, NoiseLevel, WidebandNoiseSuppressor};
use dsp_core::process::active_level::ActiveLevelMeter;
use dsp_core::process::agc::{Agc, AgcConfig, GainMode};
use dsp_core::process::faults::{FaultConfig, FaultMeter};
use dsp_core::process::voice::{VoiceConfig, VoiceDetector};
use dsp_core::receive::Played;
use dsp_core::time::{Duration, Instant};
use dsp_core::tone::{COUNTRIES, DtmfConfig, DtmfDetector, ProgressDetector, ProgressGenerator, ToneSignal};

/// A rate in units of 8 kHz or of any Hz, and an aggressiveness.
fn rate(any: u16) -> u32 {
    if any.is_multiple_of(8) { u32::from(any) } else { u32::from(any % 8) * 8_000 }
}

#[test]
fn any_16_bits_are_heard() {
    bolero::check!().with_type::<(u16, u8, Vec<(Vec<i16>, u8)>)>().for_each(|(any, aggressiveness, parts)| {
        let config = VoiceConfig { sample_rate_hz: rate(*any), aggressiveness: *aggressiveness, hangover_ms: 30 };
        let (detector, level) = (VoiceDetector::new(config), ActiveLevelMeter::new(rate(*any)));
        let (Ok(mut detector), Ok(mut level)) = (detector, level) else { return };
        let mut faults = FaultMeter::new(FaultConfig { sample_rate_hz: rate(*any) }).expect("a rate of the level's");
        for (part, times) in parts {
            for _ in 0..*times {
                detector.hear(part);
                level.hear(part);
                faults.hear(part);
            }
            let measured = level.read();
            assert!(measured.active.is_none_or(|active| active >= measured.long_term));
            let read = faults.read();
            assert!(read.clipped_ppm <= 1_000_000 && read.silent_ppm <= 1_000_000);
        }
    });
}

/// Noise, tones of the country and what lies between, in pieces of any length and at any rate: tones and digits begin and end by
/// turns, and none is told before it is over or of what was not heard yet.
#[test]
fn any_sound_has_tones_that_begin_and_end() {
    bolero::check!().with_type::<(u16, u8, bool, Vec<(u8, u16, Vec<i16>)>)>().for_each(
        |(any, number, float, parts)| {
            let country = &COUNTRIES[usize::from(*number) % COUNTRIES.len()];
            let rate_hz = if any.is_multiple_of(3) { 8_000 } else { rate(*any) };
            let Ok(mut tones) = ProgressDetector::new(rate_hz, country) else { return };
            let mut digits = DtmfDetector::new(DtmfConfig { sample_rate_hz: rate_hz, ..DtmfConfig::default() }).ok();
            let (mut sounding, mut digit, mut heard) = (None, None, 0);
            for (kind, length, noise) in parts.iter().take(40) {
                let segments = ToneSignal::ALL[usize::from(*kind) % 9].segments(country);
                let level = -i16::from(*kind) * 12;
                let mut pcm = vec![0i16; usize::from(*length)];
                if let Ok(mut generator) = ProgressGenerator::new(rate_hz, level, segments)
                    && kind % 4 != 0
                {
                    generator.fill(&mut pcm);
                }
                for (sample, noise) in pcm.iter_mut().zip(noise.iter().cycle()) {
                    *sample = sample.saturating_add(noise >> (kind % 16));
                }
                heard += pcm.len() as u64;
                let until = Duration::from_samples(heard, rate_hz);
                let mut told = |tone: dsp_core::tone::HeardTone| {
                    assert!(tone.start + tone.duration <= until, "{tone:?} of {until:?}");
                    if tone.ended {
                        assert_eq!(sounding.take(), Some((tone.signal, tone.start)));
                    } else {
                        assert_eq!(sounding.replace((tone.signal, tone.start)), None);
                    }
                };
                if *float {
                    let pcm: Vec<f32> = pcm.iter().map(|&sample| f32::from(sample) / 32_768.0).collect();
                    tones.hear(&pcm, &mut told);
                } else {
                    tones.hear(&pcm, &mut told);
                }
                assert_eq!(tones.sounding(), sounding.map(|(signal, _)| signal));
                if let Some(digits) = &mut digits {
                    digits.hear(&pcm, |heard| {
                        if heard.ended {
                            assert_eq!(digit.take(), Some((heard.digit, heard.start)));
                        } else {
                            assert_eq!(digit.replace((heard.digit, heard.start)), None);
                        }
                    });
                }
            }
            // Values that are none.
            for value in [f32::NAN, f32::INFINITY, f32::MIN] {
                tones.hear(&[value; 700], |_| {});
            }
        },
    );
}

#[test]
fn any_floats_leave_below_the_ceiling() {
    bolero::check!().with_type::<(u16, i8, Vec<(u32, u32, u8)>)>().for_each(|(any, fixed, frames)| {
        let mode = if *fixed == 0 { GainMode::Adaptive } else { GainMode::Fixed(*fixed) };
        let Ok(mut agc) = Agc::new(AgcConfig { sample_rate_hz: rate(*any), mode, ..AgcConfig::default() }) else {
            return;
        };
        let mut frame = vec![0.0; rate(*any) as usize / 100];
        for &(even, odd, times) in frames {
            for _ in 0..times % 32 {
                for (n, sample) in frame.iter_mut().enumerate() {
                    *sample = f32::from_bits(if n % 2 == 0 { even } else { odd });
                }
                agc.process(&mut frame);
                // -1 dBov, within 0.01 dB.
                assert!(frame.iter().all(|sample| sample.abs() <= 0.892), "{even:x} {odd:x}");
            }
            agc.analogue_step();
        }
    });
}

/// A frame and how often it comes: even and odd samples by their bits.
type Frame = (u32, u32, u8);

/// Noise suppressor, gain control with its limiter, and the sender's detector behind each other, as a call has them.
fn chain(frames: &[Frame], longest: u32) {
    let mut noise = WidebandNoiseSuppressor::new(NoiseConfig { level: NoiseLevel::Strong });
    let mut agc = Agc::new(AgcConfig { sample_rate_hz: 16_000, ..AgcConfig::default() }).expect("a rate that it has");
    let voice = VoiceConfig { sample_rate_hz: 16_000, ..VoiceConfig::default() };
    let mut detector = VoiceDetector::new(voice).expect("a rate that it has");
    for &(even, odd, times) in frames {
        for _ in 0..u32::from(times) % longest {
            let mut frame: [f32; 160] = std::array::from_fn(|n| f32::from_bits(if n % 2 == 0 { even } else { odd }));
            Block::process(&mut noise, &mut frame);
            assert!(frame.iter().all(|sample| sample.is_finite()), "{even:x} {odd:x}");
            agc.process(&mut frame);
            assert!(frame.iter().all(|sample| sample.abs() <= 0.892), "{even:x} {odd:x}");
            detector.hear(&frame);
            let stats = noise.stats();
            assert!((0.0..=1.0).contains(&stats.speech_probability), "{stats:?}");
            assert!(stats.noise_level_dbov.is_finite() && stats.gain_db.is_finite(), "{stats:?}");
        }
    }
    // Whatever it was, two seconds of silence later there is silence.
    let mut last = [0.0; 160];
    for _ in 0..200 {
        last = [0.0; 160];
        Block::process(&mut noise, &mut last);
        agc.process(&mut last);
    }
    assert!(last.iter().all(|sample| sample.abs() < 1e-3), "{last:?}");
}

#[test]
fn any_floats_pass_the_chain() {
    bolero::check!().with_type::<Vec<Frame>>().for_each(|frames| chain(frames, 32));
}

#[test]
fn silence_dc_squares_and_no_numbers_pass_the_chain() {
    let bad =
        [0.0, -0.0, 1e-40, 0.5, -1.0, 1.0, f32::MAX, f32::NAN, f32::INFINITY, f32::NEG_INFINITY].map(f32::to_bits);
    // DC where both are the same, a square at half the sample rate where they are not.
    let frames: Vec<Frame> = bad.iter().flat_map(|&even| bad.iter().map(move |&odd| (even, odd, 20))).collect();
    chain(&frames, 32);
}

/// Three hours by the sound's own clock: speech-like bursts in noise that changes, and every minute a second of what is no sound.
#[test]
#[ignore = "minutes; .ci/long runs it"]
fn hours_of_the_chain_stay_sound() {
    let mut noise = WidebandNoiseSuppressor::new(NoiseConfig { level: NoiseLevel::Strong });
    let mut agc = Agc::new(AgcConfig { sample_rate_hz: 16_000, ..AgcConfig::default() }).expect("a rate that it has");
    let mut state = 1u32;
    let mut quiet = 0;
    for block in 0..3 * 3_600 * 100u32 {
        let (second, within) = (block / 100, block % 100);
        let loud = [0.001, 0.01, 0.003, 0.03][second as usize / 97 % 4];
        let speaks = second % 7 < 3 && within % 25 < 20;
        let mut frame: [f32; 160] = std::array::from_fn(|n| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let t = (block as usize * 160 + n) % 128;
            let pulse = if speaks { 0.3 * (1.0 - t as f32 / 128.0).powi(8) } else { 0.0 };
            (state as i32) as f32 / 2_147_483_648.0 * loud + pulse
        });
        if second % 60 == 59 {
            frame = [[f32::NAN, 1.0, f32::INFINITY, 0.0][second as usize / 60 % 4]; 160];
        }
        Block::process(&mut noise, &mut frame);
        agc.process(&mut frame);
        assert!(frame.iter().all(|sample| sample.abs() <= 0.892), "block {block}");
        // In pauses two seconds after the last change noise is kept down for ever.
        if second % 97 > 10 && second % 7 == 6 && second % 60 > 10 {
            let rms = (frame.iter().map(|x| x * x).sum::<f32>() / 160.0).sqrt();
            quiet += u32::from(rms < loud);
        }
    }
    assert!(quiet > 50_000, "{quiet} quiet blocks");
}

/// Ten milliseconds at 8 kHz.
const BLOCK: usize = 80;
/// What the canceller takes a sample for at most.
const LOUDEST: f32 = 4.0;

/// The canceller behind a device that gives it floats of its own.
struct Poisoned {
    canceller: Box<EchoCanceller<EveryPart, BLOCK, 3>>,
    frame: [f32; BLOCK],
    /// Of all frames so far: the loudest one in, and the loudest one out, as energies.
    loudest: [f32; 2],
}

impl CaptureBlock<i16> for Poisoned {
    fn process(&mut self, _: &mut [i16], near: &Near<'_>) {
        let mut frame = self.frame;
        let energy = |frame: &[f32]| frame.iter().map(|x| x * x).sum::<f32>();
        let heard = frame.map(|x| if x.is_finite() { x.clamp(-LOUDEST, LOUDEST) } else { 0.0 });
        self.canceller.process(&mut frame, near);
        assert!(frame.iter().all(|x| x.is_finite()), "{:?}", self.frame);
        self.loudest = [self.loudest[0].max(energy(&heard)), self.loudest[1].max(energy(&frame))];
        // Near end and echo may cancel each other out in the microphone, and part in the output.
        let [whole, left] = self.loudest;
        assert!(left <= MUCH * whole + 1e-6, "{whole} in, {left} out: {:?}", self.canceller.stats());
    }

    fn reset(&mut self) {
        self.canceller.reset();
    }

    fn delay_samples(&self) -> usize {
        self.canceller.delay_samples()
    }
}

/// By how much the loudest frame out may exceed the loudest frame in.
const MUCH: f32 = 8.0;

/// A far end of one kind of sound, which the microphone hears as well.
struct Far([i16; BLOCK]);

impl Media for Far {
    type Transmit = ();

    fn play(&mut self, _: Instant, pcm: &mut [i16]) -> Played {
        pcm.copy_from_slice(&self.0);
        Played::default()
    }

    fn capture(&mut self, _: Instant, _: &[i16]) {}

    fn transmit(&mut self, _: Instant, _: &mut [u8]) -> Option<()> {
        None
    }
}

/// A sound: silence, a constant, full-scale squares, noise, or any bits.
fn sound(kind: u8, bits: u32, state: &mut u32) -> f32 {
    *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    match kind % 6 {
        0 => 0.0,
        1 => (bits as i16) as f32 / 32_768.0,
        2 => {
            if (*state >> 8) & 4 == 0 {
                1.0
            } else {
                -1.0
            }
        }
        3 => (*state >> 16) as i16 as f32 / 32_768.0,
        4 => ((*state >> 16) as i16 >> (bits % 16)) as f32 / 32_768.0,
        _ => f32::from_bits(bits.rotate_left(*state >> 30)),
    }
}

#[test]
fn any_sound_leaves_the_echo_canceller_finite_and_no_louder() {
    // A config; then for some blocks: what the far end and the near end are, how much of the far end is heard, how long
    // the device takes, and what is lost.
    type Part = (u8, u8, u32, u8, u16, u8, bool);
    bolero::check!().with_type::<(u8, Vec<Part>)>().for_each(|(parts, scene)| {
        let part = |bit: u8| parts >> bit & 1 == 0;
        let config = EchoConfig {
            delay_search: part(0),
            drift: part(1),
            second_filter: part(2),
            saturation: part(3),
            suppressor: part(4),
            comfort_noise: part(5),
        };
        let canceller = Box::new(EchoCanceller::new(config).expect("sizes and parts that it has"));
        let block = Poisoned { canceller, frame: [0.0; BLOCK], loudest: [0.0; 2] };
        let config = FrontConfig::default();
        let mut front = FrontEnd::<_, BLOCK, _>::new(config, [Some(block), None], vec![0; 6_000]).expect("a block");
        let (mut now, mut state, mut far) = (Instant::from_millis(10_000), 1u32, Far([0; BLOCK]));
        for &(kinds, blocks, bits, echo, latency, lost, jumps) in scene {
            if jumps {
                now += Duration::from_millis(u64::from(latency));
            }
            let capture = Duration::from_millis(u64::from(latency % 700));
            front.set_latency(Latency { capture, ..Latency::default() });
            front.skip(usize::from(lost) * 10);
            for _ in 0..blocks % 64 {
                now += Duration::from_millis(10);
                let played = far.0;
                far.0 = core::array::from_fn(|_| (sound(kinds % 5, bits, &mut state) * 32_767.0) as i16);
                front.begin(now, BLOCK, true).expect("a tick of a block");
                while let Some(step) = front.step(&mut far, &mut []) {
                    if let Step::Microphone(microphone) = step {
                        microphone.pcm.fill(0);
                        let block = front.block(0).expect("the one that was put in");
                        block.frame = core::array::from_fn(|n| {
                            let echo = f32::from(echo) / 256.0 * f32::from(played[n]) / 32_768.0;
                            echo + sound(kinds / 5, bits, &mut state)
                        });
                    }
                }
            }
        }
    });
}
