//! The noise around a microphone: a recording that is added to the speech into it, and is repeated when it ends.
//!
//! Use it in front of a noise suppressor that is tested. Whole calls have one on each side in
//! [`virtual_time`](super::virtual_time) ([`End::ambience`](super::virtual_time::End::ambience)).
//!
//! The level is set relative to the speech: the recording's RMS level is a given number of dB below the active level of the speech
//! (ITU-T P.56), as is usual in tests of noise suppression. The sum is clipped at full scale.
//!
//! Speech with noise 20 dB below it:
//!
//! ```
//! use host_std::simulate::ambience::Ambience;
//!
//! let wave = |step: f32, peak: f32| -> Vec<i16> { (0..16_000).map(|n| ((n as f32 * step).sin() * peak) as i16).collect() };
//! let (mut speech, hum) = (wave(0.3, 10_000.0), wave(0.02, 3_000.0));
//! let said = speech.clone();
//! let mut ambience = Ambience::new(hum, &speech, 16_000, 1, 20.0, 0.0)?;
//! ambience.capture(&mut speech);
//! let loudest = speech.iter().zip(&said).map(|(both, said)| (both - said).abs()).max();
//! assert!(loudest.is_some_and(|loudest| (900..1_100).contains(&loudest)));
//! # Ok::<(), host_std::simulate::ambience::AmbienceError>(())
//! ```

use std::fmt;
use std::sync::Arc;

use dsp_core::process::active_level::{ActiveLevelError, ActiveLevelMeter};

/// The noise at a microphone.
#[derive(Clone, Debug)]
pub struct Ambience {
    /// Interleaved, at the microphone's rate.
    noise: Arc<[i16]>,
    at: usize,
    gain: f32,
}

/// The reason why an [`Ambience`] can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AmbienceError {
    /// There is nothing in the recording to be heard.
    SilentNoise,
    /// The speech has no active level, so the level of its noise can't be set.
    SilentSpeech,
    /// Active levels can't be measured at this rate.
    Rate(ActiveLevelError),
}

impl fmt::Display for AmbienceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SilentNoise => write!(f, "the noise is silent"),
            Self::SilentSpeech => write!(f, "the speech is silent, so that no noise is so many dB below it"),
            Self::Rate(_) => write!(f, "the active level of the speech can't be measured"),
        }
    }
}

impl std::error::Error for AmbienceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Rate(error) => Some(error),
            Self::SilentNoise | Self::SilentSpeech => None,
        }
    }
}

impl Ambience {
    /// Noise that is `snr_db` dB below `speech`. Both are interleaved, with this many channels at this rate (8,000 to 48,000 Hz). `from`,
    /// 0 to 1, is the place in the recording at which it begins, so that two microphones need not have the same noise.
    ///
    /// # Errors
    /// [`AmbienceError::SilentNoise`] or [`AmbienceError::SilentSpeech`] if one of them is silent, [`AmbienceError::Rate`] if the rate
    /// isn't 8,000 to 48,000 Hz.
    pub fn new(
        noise: impl Into<Arc<[i16]>>,
        speech: &[i16],
        sample_rate_hz: u32,
        channels: u8,
        snr_db: f64,
        from: f64,
    ) -> Result<Self, AmbienceError> {
        let (noise, channels) = (noise.into(), usize::from(channels.max(1)));
        // In stereo the louder channel counts as the speech.
        let mut active = None;
        for channel in 0..channels {
            let mut meter = ActiveLevelMeter::new(sample_rate_hz).map_err(AmbienceError::Rate)?;
            let mono: Vec<i16> = speech.iter().skip(channel).step_by(channels).copied().collect();
            meter.hear(&mono);
            active = active.max(meter.read().active);
        }
        let active = active.ok_or(AmbienceError::SilentSpeech)?;
        let power = noise.iter().map(|&sample| (f64::from(sample) / 32_768.0).powi(2)).sum::<f64>();
        let power = power / noise.len().max(1) as f64;
        if power <= 0.0 {
            return Err(AmbienceError::SilentNoise);
        }
        let wanted = libm::pow(10.0, (f64::from(active.hundredths_dbov()) / 100.0 - snr_db) / 10.0);
        let frames = noise.len() / channels;
        let at = ((frames as f64 * from.clamp(0.0, 1.0)) as usize % frames.max(1)) * channels;
        Ok(Self { noise, at, gain: libm::sqrt(wanted / power) as f32 })
    }

    /// Adds the noise of the next samples to `pcm`.
    pub fn capture(&mut self, pcm: &mut [i16]) {
        for sample in pcm {
            let noise = (f32::from(self.noise[self.at]) * self.gain).round();
            // Saturates, as a converter does.
            *sample = (f32::from(*sample) + noise) as i16;
            self.at = if self.at + 1 == self.noise.len() { 0 } else { self.at + 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(amplitude: i16, samples: usize, period: usize) -> Vec<i16> {
        (0..samples).map(|n| if n % period < period / 2 { amplitude } else { -amplitude }).collect()
    }

    fn level_db(pcm: &[i16]) -> f64 {
        let power = pcm.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / pcm.len() as f64;
        10.0 * power.log10()
    }

    #[test]
    fn noise_is_so_far_below_the_active_speech_and_goes_on() {
        // Speech half of the time: its active level is 3 dB above its mean.
        let speech: Vec<i16> = (0..4).flat_map(|n| tone(4_000 * (n % 2), 8_000, 8)).collect();
        for (snr_db, channels) in [(0.0, 1), (10.0, 1), (20.0, 2)] {
            let mut ambience = Ambience::new(tone(300, 1_000, 10), &speech, 8_000, channels, snr_db, 0.5).unwrap();
            let mut pcm = vec![0; 20_000];
            pcm.chunks_mut(77).for_each(|part| ambience.capture(part));
            let below = level_db(&tone(4_000, 8_000, 8)) - level_db(&pcm);
            // The hangover of P.56 takes speech for 0.5 dB quieter here, more where a second is half as long.
            assert!((below - snr_db).abs() < 1.6, "{snr_db}: {below}");
            assert_eq!(pcm[..10_000], pcm[10_000..]);
        }
        let mut loud = Ambience::new(tone(300, 100, 10), &speech, 8_000, 1, -60.0, 0.0).unwrap();
        let mut pcm = [0; 100];
        loud.capture(&mut pcm);
        assert!(pcm.contains(&i16::MAX) && pcm.contains(&i16::MIN));
    }

    #[test]
    fn silence_is_an_error() {
        let speech = tone(3_000, 16_000, 8);
        let made = |noise: &[i16], speech: &[i16]| Ambience::new(noise, speech, 8_000, 1, 10.0, 0.0).err();
        assert_eq!(made(&[0; 100], &speech), Some(AmbienceError::SilentNoise));
        assert_eq!(made(&[], &speech), Some(AmbienceError::SilentNoise));
        assert_eq!(made(&speech, &[0; 100]), Some(AmbienceError::SilentSpeech));
        assert!(matches!(
            Ambience::new(speech.clone(), &speech, 96_000, 1, 10.0, 0.0).err(),
            Some(AmbienceError::Rate(_))
        ));
    }
}
