use super::super::active_level::ActiveLevelMeter;
use super::*;
use std::vec::Vec;

fn noise(seed: &mut u32) -> f32 {
    *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    (*seed >> 16) as u16 as i16 as f32 / 32_768.0 * 3f32.sqrt()
}

/// Pulses of a voice at 125 Hz, syllables of 200 ms out of 250 of changing loudness; `active_dbov` about its level.
fn speech(rate: usize, seconds: usize, active_dbov: f32, noise_dbov: f32) -> Vec<f32> {
    let mut seed = 7;
    let raw: Vec<f32> = (0..rate * seconds)
        .map(|n| {
            let (t, ms) = ((n % (rate / 125)) as f32 / rate as f32, n * 1_000 / rate);
            let loudness = [1.0, 0.6, 1.3, 0.8][ms / 250 % 4];
            let voice = (-300.0 * t).exp() * (core::f32::consts::TAU * 700.0 * t).cos();
            if ms > 500 && ms % 250 < 200 { voice * loudness } else { 0.0 }
        })
        .collect();
    let mut meter = ActiveLevelMeter::new(rate as u32).unwrap();
    meter.hear(&raw);
    let is = f32::from(meter.read().active.unwrap().hundredths_dbov()) / 100.0;
    let (gain, floor) = (10f32.powf((active_dbov - is) / 20.0), 10f32.powf(noise_dbov / 20.0));
    raw.iter().map(|&x| x * gain + floor * noise(&mut seed)).collect()
}

fn run(agc: &mut Agc, pcm: &[f32], rate: usize) -> Vec<f32> {
    let mut out = pcm.to_vec();
    out.chunks_mut(rate / 100).for_each(|frame| agc.process(frame));
    assert!(out.iter().all(|x| x.abs() <= 0.892), "above the ceiling");
    out
}

fn active(pcm: &[f32], rate: usize) -> f32 {
    let mut meter = ActiveLevelMeter::new(rate as u32).unwrap();
    meter.hear(pcm);
    f32::from(meter.read().active.unwrap().hundredths_dbov()) / 100.0
}

#[test]
fn any_speech_is_at_the_target_in_three_seconds() {
    for rate in [8_000, 16_000, 48_000] {
        for level in [-45.0, -35.0, -26.0, -18.0, -10.0] {
            let mut agc = Agc::new(AgcConfig { sample_rate_hz: rate as u32, ..AgcConfig::default() }).unwrap();
            // Half a second of noise before it.
            let out = run(&mut agc, &speech(rate, 7, level, level - 30.0), rate);
            let found = active(&out[rate * 7 / 2..], rate);
            assert!((found + 26.0).abs() < 2.0, "{rate} {level}: {found}");
            let told = f32::from(agc.speech_level().unwrap().hundredths_dbov()) / 100.0;
            assert!((told - level).abs() < 2.0, "{rate} {level}: {told}");
        }
    }
}

#[test]
fn pauses_freeze_the_gain() {
    for noise_db in [-30.0, -20.0, -15.0] {
        let mut agc = Agc::new(AgcConfig::default()).unwrap();
        run(&mut agc, &speech(16_000, 6, -38.0, -38.0 + noise_db), 16_000);
        let before = agc.gain_hundredths_db();
        let (mut seed, floor) = (9, 10f32.powf((-38.0 + noise_db) / 20.0));
        let pause: Vec<f32> = (0..20 * 16_000).map(|_| floor * noise(&mut seed)).collect();
        run(&mut agc, &pause, 16_000);
        assert!((agc.gain_hundredths_db() - before).abs() <= 100, "{before} {}", agc.gain_hundredths_db());
    }
}

#[test]
fn a_talker_who_moves_away_is_followed() {
    let mut agc = Agc::new(AgcConfig::default()).unwrap();
    for (level, seconds) in [(-20.0, 6), (-40.0, 14), (-15.0, 6)] {
        let out = run(&mut agc, &speech(16_000, seconds, level, -75.0), 16_000);
        let found = active(&out[(seconds - 2) * 16_000..], 16_000);
        assert!((found + 26.0).abs() < 2.0, "{level}: {found}");
    }
}

#[test]
fn a_fixed_gain_is_that_and_limited() {
    let mut agc = Agc::new(AgcConfig { mode: GainMode::Fixed(6), ..AgcConfig::default() }).unwrap();
    let sine: Vec<f32> = (0..16_000).map(|n| 0.25 * (n as f32 * 0.2).sin()).collect();
    let (out, delay) = (run(&mut agc, &sine, 16_000), CaptureBlock::delay_samples(&agc));
    assert_eq!(delay, 48);
    for (n, x) in out[delay..].iter().enumerate() {
        assert!((x - sine[n] * 1.995_26).abs() < 1e-4, "{n}");
    }
    let loud: Vec<f32> = sine.iter().map(|x| x * 4.0).collect();
    let out = run(&mut agc, &loud, 16_000);
    let highest = out[8_000..].iter().fold(0f32, |highest, x| highest.max(x.abs()));
    assert!((0.88..=0.892).contains(&highest), "{highest}");
}

#[test]
fn advice_is_given_a_step_a_second() {
    let mut agc = Agc::new(AgcConfig::default()).unwrap();
    assert_eq!(agc.analogue_step(), AnalogueAdvice::Keep);
    let clipping: Vec<f32> = speech(16_000, 3, -6.0, -60.0).iter().map(|x| x.clamp(-1.0, 1.0)).collect();
    run(&mut agc, &clipping, 16_000);
    assert_eq!((agc.analogue_step().step(), agc.analogue_step().step()), (-1, 0));
    let mut agc = Agc::new(AgcConfig::default()).unwrap();
    run(&mut agc, &speech(16_000, 4, -60.0, -95.0), 16_000);
    assert_eq!((agc.analogue_step(), agc.analogue_step()), (AnalogueAdvice::TooLow, AnalogueAdvice::Keep));
    let mut agc = Agc::new(AgcConfig::default()).unwrap();
    run(&mut agc, &speech(16_000, 4, -30.0, -70.0), 16_000);
    assert_eq!(agc.analogue_step().step(), 0);
}

#[test]
fn bad_samples_are_survived() {
    let mut agc = Agc::new(AgcConfig::default()).unwrap();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1.0, -0.0] {
        for _ in 0..100 {
            let mut frame = [bad; 160];
            agc.process(&mut frame);
            assert!(frame.iter().all(|x| x.abs() <= 0.892), "{bad}: {frame:?}");
        }
    }
    CaptureBlock::reset(&mut agc);
    assert_eq!((agc.gain_hundredths_db(), agc.speech_level()), (0, None));
    agc.process(&mut []);
}

#[test]
fn the_level_is_the_speech_s_without_its_noise() {
    // A noise 6 dB below the speech would make it 1 dB louder; half of it is above 4 kHz, where the detector hears none.
    let levels = [-80.0, -36.0].map(|noise_dbov| {
        let mut agc = Agc::new(AgcConfig::default()).unwrap();
        run(&mut agc, &speech(16_000, 8, -30.0, noise_dbov), 16_000);
        f32::from(agc.speech_level().unwrap().hundredths_dbov()) / 100.0
    });
    assert!((levels[0] - levels[1]).abs() < 0.6, "{levels:?}");
}

#[test]
fn configs_are_checked() {
    let with = |change: fn(&mut AgcConfig)| {
        let mut config = AgcConfig::default();
        change(&mut config);
        Agc::new(config).err()
    };
    assert_eq!(with(|c| c.sample_rate_hz = 44_100), Some(AgcError::Rate(44_100)));
    assert_eq!(with(|c| c.target_dbov = 1), Some(AgcError::Target(1)));
    assert_eq!(with(|c| c.max_gain_db = 41), Some(AgcError::Gain(41)));
    assert_eq!(with(|c| c.max_attenuation_db = 41), Some(AgcError::Gain(41)));
    assert_eq!(with(|c| c.mode = GainMode::Fixed(-41)), Some(AgcError::Fixed(-41)));
    assert_eq!(with(|c| c.ceiling_dbov = -21), Some(AgcError::Ceiling(-21)));
}
