//! What the suppressor does to made noises and made voices, and to what is no sound.

use std::vec::Vec;

use super::*;
use crate::math::sin_cos;

/// A generator of noise: white, even, of RMS 1.
struct White(u32);

impl White {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((self.0 >> 8) as f32 / 8_388_608.0 - 1.0) * 1.732
    }

    fn noise(&mut self, count: usize, rms: f32) -> Vec<f32> {
        (0..count).map(|_| self.next() * rms).collect()
    }
}

/// A voice of 125 Hz that wavers, in syllables of 250 ms with gaps of 150, RMS about 0.1 within; at `rate` Hz.
fn voice(count: usize, rate: usize) -> Vec<f32> {
    let mut phase = 0.0f64;
    (0..count)
        .map(|n| {
            let t = n as f64 / rate as f64;
            phase += (125.0 + 10.0 * sin_cos(t * 0.7).0) / rate as f64;
            let at = (t / 0.4).fract() * 0.4;
            if at >= 0.25 {
                return 0.0;
            }
            let swell = sin_cos(at / 0.5).0;
            // Two formants that move.
            let formants = [500.0 + 200.0 * sin_cos(t * 1.3).0, 1_500.0 + 400.0 * sin_cos(t * 0.9).0];
            let sum: f64 = (1..28)
                .map(|h| {
                    let hz = 125.0 * f64::from(h);
                    let near = formants.map(|f| 1.0 / (1.0 + ((hz - f) / 150.0) * ((hz - f) / 150.0)));
                    (near[0] + 0.5 * near[1] + 0.02) * sin_cos(phase * f64::from(h)).0
                })
                .sum();
            (0.12 * swell * sum) as f32
        })
        .collect()
}

fn run(block: &mut impl Block<f32>, input: &[f32], frame: usize) -> Vec<f32> {
    let mut all = input.to_vec();
    all.chunks_exact_mut(frame).for_each(|frame| block.process(frame));
    all
}

fn level_db(samples: &[f32]) -> f32 {
    10.0 * (samples.iter().map(|x| f64::from(x * x)).sum::<f64>() / samples.len() as f64 + 1e-20).log10() as f32
}

fn sum(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn at(level: NoiseLevel) -> NoiseConfig {
    NoiseConfig { level }
}

#[test]
fn steady_noise_falls_by_the_level_and_is_measured() {
    let input = White(1).noise(16_000 * 3, 0.01);
    for (level, least, most) in
        [(NoiseLevel::Mild, 9.0, 10.5), (NoiseLevel::Medium, 15.5, 18.5), (NoiseLevel::Strong, 25.5, 28.5)]
    {
        let mut suppressor = WidebandNoiseSuppressor::new(at(level));
        let output = run(&mut suppressor, &input, 160);
        let fell = level_db(&input[16_000..]) - level_db(&output[16_000..]);
        assert!((least..most).contains(&fell), "{level:?}: {fell}");
        // As even as it was: 10 ms of it vary as little.
        let levels: Vec<f32> = output[16_000..].chunks(160).map(level_db).collect();
        let mean = levels.iter().sum::<f32>() / levels.len() as f32;
        assert!(levels.iter().all(|level| (level - mean).abs() < 4.0), "{level:?}");
        let stats = suppressor.stats();
        assert!((stats.noise_level_dbov + 40.0).abs() < 1.0 && stats.speech_probability < 0.4, "{stats:?}");
        assert!((least - 3.0..most + 3.0).contains(&-stats.gain_db), "{stats:?}");
        let mut narrow = NarrowbandNoiseSuppressor::new(at(level));
        let output = run(&mut narrow, &input, 80);
        let fell = level_db(&input[16_000..]) - level_db(&output[16_000..]);
        assert!((least - 1.0..most).contains(&fell), "8 kHz, {level:?}: {fell}");
        assert!((narrow.stats().noise_level_dbov + 40.0).abs() < 1.0, "{:?}", narrow.stats());
    }
}

fn keeps_voices<const B: usize, const H: usize>() {
    let rate = 100 * B;
    let clean = voice(4 * rate, rate);
    let mut suppressor = NoiseSuppressor::<B, H>::new(at(NoiseLevel::Strong));
    let output = run(&mut suppressor, &clean, B);
    assert_eq!(Block::delay_samples(&suppressor), B);
    let error: Vec<f32> = output[rate + B..].iter().zip(&clean[rate..]).map(|(a, b)| a - b).collect();
    let snr = level_db(&clean[rate..]) - level_db(&error);
    assert!(snr > 18.0, "{B}: {snr}");
    // In noise 5 dB below: the noise falls more than the voice is bent.
    let noisy = sum(&clean, &White(3).noise(4 * rate, 0.02));
    Block::reset(&mut suppressor);
    let output = run(&mut suppressor, &noisy, B);
    let error: Vec<f32> = output[rate + B..].iter().zip(&clean[rate..]).map(|(a, b)| a - b).collect();
    let (before, after) = (level_db(&clean[rate..]) + 33.98, level_db(&clean[rate..]) - level_db(&error));
    assert!(after > before + 3.0, "{B}: {before} {after}");
}

#[test]
fn voices_stay_and_stand_out() {
    keeps_voices::<160, 256>();
    keeps_voices::<80, 128>();
}

#[test]
fn a_voice_is_speech_and_noise_is_not() {
    let rate = 16_000;
    let mut suppressor = WidebandNoiseSuppressor::new(NoiseConfig::default());
    run(&mut suppressor, &White(5).noise(2 * rate, 0.01), 160);
    assert!(suppressor.stats().speech_log_odds < 0.5, "{:?}", suppressor.stats());
    let noisy = sum(&voice(rate / 5, rate), &White(6).noise(rate / 5, 0.01));
    run(&mut suppressor, &noisy, 160);
    assert!(suppressor.stats().speech_probability > 0.95, "{:?}", suppressor.stats());
    run(&mut suppressor, &White(7).noise(rate / 2, 0.01), 160);
    assert!(suppressor.stats().speech_probability < 0.5, "{:?}", suppressor.stats());
}

#[test]
fn louder_noise_is_noise_within_a_second() {
    let mut white = White(9);
    let mut input = white.noise(16_000 * 2, 0.005);
    input.extend(white.noise(16_000 * 2, 0.028));
    let mut suppressor = WidebandNoiseSuppressor::new(at(NoiseLevel::Medium));
    let output = run(&mut suppressor, &input, 160);
    let settled = level_db(&output[16_000 * 3..]);
    let soon = level_db(&output[16_000 * 2 + 12_000..16_000 * 2 + 14_000]);
    assert!(level_db(&input[16_000 * 3..]) - settled > 15.0 && soon - settled < 3.0, "{soon} {settled}");
}

#[test]
fn noise_that_swells_is_noise_also_under_a_voice() {
    let (rate, seconds) = (16_000, 10);
    // Up and down by 12 dB every five seconds.
    let swelling: Vec<f32> = White(37)
        .noise(rate * seconds, 0.006)
        .iter()
        .enumerate()
        .map(|(n, x)| x * (0.69 * sin_cos(n as f64 / (5 * rate) as f64).0).exp() as f32)
        .collect();
    let mut suppressor = WidebandNoiseSuppressor::new(at(NoiseLevel::Medium));
    let output = run(&mut suppressor, &swelling, 160);
    let fell = level_db(&swelling[2 * rate..]) - level_db(&output[2 * rate..]);
    assert!(fell > 14.0, "{fell}");
    // It is measured within 4 dB, with a voice or without.
    for voiced in [false, true] {
        let clean = if voiced { voice(rate * seconds, rate) } else { std::vec![0.0; rate * seconds] };
        let heard = sum(&clean, &swelling);
        Block::reset(&mut suppressor);
        let mut worst = 0.0f32;
        for (block, frame) in heard.chunks_exact(160).enumerate() {
            let mut frame = frame.to_vec();
            suppressor.suppress(frame.as_mut_slice().try_into().unwrap());
            if block > 200 && block % 20 == 0 {
                let now = level_db(&swelling[160 * (block - 9)..160 * (block + 1)]);
                worst = worst.max((suppressor.stats().noise_level_dbov - now).abs());
            }
        }
        assert!(worst < 4.0, "{voiced}: {worst}");
    }
}

#[test]
fn clicks_of_keys_become_quieter_when_there_are_many() {
    // Of 10 and of 25 ms.
    for length in [160, 400] {
        let mut white = White(11);
        let mut input = white.noise(16_000 * 6, 0.001);
        for start in (16_000..16_000 * 6 - length).step_by(4_800) {
            for n in 0..length {
                input[start + n] += white.next() * 0.1 * (1.0 - n as f32 / length as f32);
            }
        }
        let mut suppressor = WidebandNoiseSuppressor::new(at(NoiseLevel::Medium));
        let output = run(&mut suppressor, &input, 160);
        let late = 16_000 * 4..16_000 * 6 - 160;
        let fell = level_db(&input[late.clone()]) - level_db(&output[late]);
        assert!(fell > 22.0, "{length}: {fell}");
    }
}

#[test]
fn whatever_comes_in_is_survived() {
    let rate = 16_000;
    let inputs: [fn(usize) -> f32; 9] = [
        |_| 0.0,
        |_| 0.7,
        |n| if n % 50 < 25 { 1.0 } else { -1.0 },
        |n| if n % 7 == 0 { f32::NAN } else { 0.1 },
        |n| if n % 3 == 0 { f32::INFINITY } else { f32::NEG_INFINITY },
        |_| f32::MAX,
        |_| f32::MIN_POSITIVE / 8.0,
        |n| if n % 2 == 0 { 4.0 } else { -4.0 },
        |n| if n == 16_000 { 1.0 } else { 0.0 },
    ];
    let clean = sum(&voice(2 * rate, rate), &White(13).noise(2 * rate, 0.003));
    for (which, input) in inputs.iter().enumerate() {
        let input: Vec<f32> = (0..2 * rate).map(input).collect();
        let mut suppressor = WidebandNoiseSuppressor::new(at(NoiseLevel::Strong));
        let output = run(&mut suppressor, &input, 160);
        // A window's overshoot is allowed, no more.
        assert!(output.iter().all(|x| x.abs() <= 5.0), "{which}");
        let NoiseStats { speech_probability, speech_log_odds, noise_level_dbov, gain_db } = suppressor.stats();
        assert!((0.0..=1.0).contains(&speech_probability) && (-20.0..=20.0).contains(&speech_log_odds), "{which}");
        assert!((-127.0..=15.0).contains(&noise_level_dbov) && (-90.0..=0.0).contains(&gain_db), "{which}");
        // A voice after it is heard again.
        let output = run(&mut suppressor, &clean, 160);
        let heard = level_db(&output[rate..]) - level_db(&clean[rate..]);
        assert!(heard > -3.0 && heard < 1.0, "{which}: {heard}");
        // And nothing of it is left behind a reset.
        Block::reset(&mut suppressor);
        let mut fresh = WidebandNoiseSuppressor::new(at(NoiseLevel::Strong));
        assert_eq!(run(&mut suppressor, &clean, 160), run(&mut fresh, &clean, 160));
    }
}

#[test]
fn the_level_can_change_while_it_runs() {
    let input = White(17).noise(16_000 * 3, 0.01);
    let mut suppressor = WidebandNoiseSuppressor::new(at(NoiseLevel::Mild));
    let mut output = run(&mut suppressor, &input[..24_000], 160);
    suppressor.set_level(NoiseLevel::Strong);
    output.extend(run(&mut suppressor, &input[24_000..], 160));
    let (mild, strong) = (level_db(&output[16_000..24_000]), level_db(&output[24_320..]));
    assert!(mild - strong > 9.0, "{mild} {strong}");
    Block::reset(&mut suppressor);
    assert_eq!(suppressor.level(), NoiseLevel::Strong);
}

fn wide<const RATIO: usize>() {
    let (rate, frame) = (16_000 * RATIO, 160 * RATIO);
    let mut suppressor = BandNoiseSuppressor::<RATIO>::new(at(NoiseLevel::Medium));
    let noise = White(19).noise(3 * rate, 0.01);
    let output = run(&mut suppressor, &noise, frame);
    // The noise of both bands falls: all of it, and its differences, which are the upper band's.
    let upper = |x: &[f32]| level_db(&x[rate..].windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>());
    let fell = level_db(&noise[rate..]) - level_db(&output[rate..]);
    let upper_fell = upper(&noise) - upper(&output);
    assert!((15.0..18.5).contains(&fell) && (14.5..18.5).contains(&upper_fell), "{RATIO}: {fell} {upper_fell}");
    // A voice with sibilants passes, so much later.
    Block::reset(&mut suppressor);
    let mut clean = voice(4 * rate, rate);
    let mut white = White(23);
    for (n, sample) in clean.iter_mut().enumerate() {
        if n % (rate * 2 / 5) < rate / 8 {
            *sample += 0.02 * white.next();
        }
    }
    let output = run(&mut suppressor, &clean, frame);
    let delay = Block::delay_samples(&suppressor);
    assert_eq!(delay, 192 * RATIO);
    let error: Vec<f32> = output[rate + delay..].iter().zip(&clean[rate..]).map(|(a, b)| a - b).collect();
    let snr = level_db(&clean[rate..]) - level_db(&error);
    assert!(snr > 15.0, "{RATIO}: {snr}");
    let bad: Vec<f32> = (0..rate).map(|n| if n % 5 == 0 { f32::NAN } else { 9.0 }).collect();
    assert!(run(&mut suppressor, &bad, frame).iter().all(|x| x.abs() < 6.0));
    Block::reset(&mut suppressor);
    assert_eq!(run(&mut suppressor, &clean, frame), output);
}

#[test]
fn wider_rates_are_suppressed_in_both_bands() {
    wide::<2>();
    wide::<3>();
}

#[test]
fn the_same_bits_come_out_everywhere() {
    let input = sum(&voice(16_000, 16_000), &White(31).noise(16_000, 0.01));
    let output = run(&mut WidebandNoiseSuppressor::new(NoiseConfig::default()), &input, 160);
    let bits = output.iter().fold(0u32, |hash, x| (hash ^ x.to_bits()).wrapping_mul(16_777_619));
    assert_eq!(bits, 0xa5cd_b667, "{bits:#x}");
}

#[test]
fn a_frame_of_another_length_leaves_unchanged() {
    let mut frame = [0.5; 100];
    Block::process(&mut WidebandNoiseSuppressor::new(NoiseConfig::default()), &mut frame);
    Block::process(&mut NarrowbandNoiseSuppressor::new(NoiseConfig::default()), &mut frame);
    Block::process(&mut BandNoiseSuppressor::<3>::new(NoiseConfig::default()), &mut frame);
    assert_eq!(frame, [0.5; 100]);
}

#[test]
fn the_memory_is_as_told() {
    assert!(core::mem::size_of::<WidebandNoiseSuppressor>() < 16 * 1024);
    assert!(core::mem::size_of::<NarrowbandNoiseSuppressor>() < 10 * 1024);
    assert!(core::mem::size_of::<BandNoiseSuppressor<3>>() < 24 * 1024);
}

/// The near end is noise; what is captured is kept.
struct Call(Vec<i16>);

impl crate::front::Media for Call {
    type Transmit = ();

    fn play(&mut self, _: crate::time::Instant, pcm: &mut [i16]) -> crate::receive::Played {
        pcm.fill(0);
        crate::receive::Played::default()
    }

    fn capture(&mut self, _: crate::time::Instant, pcm: &[i16]) {
        self.0.extend_from_slice(pcm);
    }

    fn transmit(&mut self, _: crate::time::Instant, _: &mut [u8]) -> Option<()> {
        None
    }
}

#[test]
fn it_is_a_block_of_the_capture_chain() {
    use crate::front::{FrontConfig, FrontEnd, InFloat, Step};
    let block = InFloat::<_, 160>::new(WidebandNoiseSuppressor::new(NoiseConfig::default()), 16_000).unwrap();
    let config = FrontConfig { sample_rate_hz: 16_000, ..FrontConfig::default() };
    let mut front = FrontEnd::<_, 160, _>::new(config, [Some(block), None], std::vec![0i16; 16_000]).unwrap();
    let (mut call, mut white) = (Call(Vec::new()), White(29));
    let mut heard = Vec::new();
    for tick in 0..200 {
        front.begin(crate::time::Instant::from_millis(1_000 + 10 * tick), 160, true).unwrap();
        while let Some(step) = front.step(&mut call, &mut []) {
            if let Step::Microphone(microphone) = step {
                microphone.pcm.iter_mut().for_each(|sample| *sample = (white.next() * 300.0) as i16);
                heard.extend_from_slice(microphone.pcm);
            }
        }
    }
    let energy = |samples: &[i16]| samples.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
    let share = energy(&call.0[16_000..]) / energy(&heard[16_000..]);
    assert!(call.0.len() == heard.len() && (0.01..0.03).contains(&share), "{share}");
}
