//! Voice detector and gain control on recorded voices that no constant was chosen on (ITU-T P.501, female then male).

use dsp_core::process::active_level::ActiveLevelMeter;
use dsp_core::process::agc::{Agc, AgcConfig};
use dsp_core::process::voice::{VoiceConfig, VoiceDetector};
use media_core_tests::shared;

const RATE: u32 = 48_000;

/// 6 s at 48 kHz, or `None` where the data is missing.
fn voices(name: &str) -> Option<Vec<f32>> {
    let bytes = std::fs::read(shared(&format!("data/itu-p501-speech-48k/{name}"))?).unwrap();
    let (pairs, _) = bytes.as_chunks();
    Some(pairs.iter().map(|&pair| f32::from(i16::from_le_bytes(pair)) / 32_768.0).collect())
}

/// -1 to 1.
fn noise(seed: &mut u32) -> f32 {
    *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    f32::from((*seed >> 16) as u16 as i16) / 32_768.0
}

fn active_dbov(pcm: &[f32]) -> f32 {
    let mut meter = ActiveLevelMeter::new(RATE).unwrap();
    meter.hear(pcm);
    f32::from(meter.read().active.unwrap().hundredths_dbov()) / 100.0
}

#[test]
fn finds_voices_in_noise_and_none_in_the_noise_alone() {
    for name in ["P501_D_EN_fm_SWB_48k.pcm", "P501_D_AM_fm_FB_48k.pcm"] {
        let Some(speech) = voices(name) else { return };
        let frame = RATE as usize / 100;
        let loudness: Vec<f32> = speech.chunks(frame).map(|x| x.iter().map(|x| x * x).sum()).collect();
        let highest = loudness.iter().fold(0f32, |highest, &x| highest.max(x));
        // 2 s of noise before it, 10 dB below the active level.
        let scale = 10f32.powf((active_dbov(&speech) - 10.0) / 20.0) * 3f32.sqrt();
        let mut seed = 1;
        let lead = std::iter::repeat_n(&0.0, 2 * RATE as usize);
        let pcm: Vec<f32> = lead.chain(&speech).map(|x| x + scale * noise(&mut seed)).collect();
        let config = VoiceConfig { sample_rate_hz: RATE, aggressiveness: 3, ..VoiceConfig::default() };
        let mut detector = VoiceDetector::new(config).unwrap();
        let found: Vec<bool> = pcm.chunks(frame).map(|frame| detector.hear(frame).speech).collect();
        let before = found[..200].iter().filter(|&&speech| speech).count();
        assert!(before <= 4, "{name}: {before}");
        // Blocks within 20 dB of the loudest.
        let loud: Vec<bool> = loudness
            .iter()
            .zip(&found[200..])
            .filter(|(x, _)| **x > highest / 100.0)
            .map(|(_, &found)| found)
            .collect();
        let hits = loud.iter().filter(|&&found| found).count();
        assert!(hits * 100 >= loud.len() * 97, "{name}: {hits} of {}", loud.len());
    }
}

#[test]
fn voices_are_at_the_target_three_seconds_later() {
    let Some(speech) = voices("P501_D_EN_fm_SWB_48k.pcm") else { return };
    let is = active_dbov(&speech);
    for level in [-45.0, -30.0, -20.0, -10.0] {
        let factor = 10f32.powf((level - is) / 20.0);
        let mut seed = 1;
        let mut pcm: Vec<f32> = speech
            .iter()
            .chain(&speech)
            .map(|x| (x * factor + factor * 1e-4 * noise(&mut seed)).clamp(-1.0, 1.0))
            .collect();
        let mut agc = Agc::new(AgcConfig { sample_rate_hz: RATE, ..AgcConfig::default() }).unwrap();
        pcm.chunks_mut(RATE as usize / 100).for_each(|frame| agc.process(frame));
        assert!(pcm.iter().all(|x| x.abs() <= 0.892));
        let after = active_dbov(&pcm[3 * RATE as usize..]);
        assert!((after + 26.0).abs() <= 2.0, "{level}: {after}");
    }
}
