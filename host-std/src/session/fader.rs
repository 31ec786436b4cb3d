//! Gain and level of one direction of a call's sound, each channel by itself.

use dsp_core::block::Block;
use dsp_core::process::gain::{Gain, GainError};
use dsp_core::process::level::{LevelConfig, LevelMeter};

/// A change of gain takes this long.
const RAMP_MS: u32 = 10;

/// A gain for all channels, and the level behind it.
pub(super) struct Fader {
    channels: Vec<(Gain, Option<LevelMeter>)>,
    /// One channel, where there are several.
    samples: Vec<i16>,
    hundredths_db: i16,
}

impl Fader {
    /// 0 dB. `longest`: the most samples a channel that come at once.
    pub(super) fn new(rate_hz: u32, channels: u8, longest: usize) -> Self {
        // A call's rates are among those that the meter has; without it there is just nothing to show.
        let meter = LevelMeter::new(LevelConfig { sample_rate_hz: rate_hz, ..LevelConfig::default() }).ok();
        let gain = Gain::new((rate_hz * RAMP_MS / 1_000) as u16);
        Self {
            channels: vec![(gain, meter); channels.max(1).into()],
            samples: Vec::with_capacity(longest),
            hundredths_db: 0,
        }
    }

    /// Changes interleaved samples in place, and hears how loud they are then.
    pub(super) fn process(&mut self, pcm: &mut [i16]) {
        let count = self.channels.len();
        for (index, (gain, meter)) in self.channels.iter_mut().enumerate() {
            self.samples.clear();
            self.samples.extend(pcm.iter().skip(index).step_by(count));
            gain.process(&mut self.samples);
            if let Some(meter) = meter {
                meter.hear(&self.samples);
            }
            for (sample, &changed) in pcm.iter_mut().skip(index).step_by(count).zip(&self.samples) {
                *sample = changed;
            }
        }
    }

    /// Level of the loudest channel, in hundredths of dBov.
    pub(super) fn level(&self) -> i16 {
        let levels = self.channels.iter().filter_map(|(_, meter)| meter.as_ref());
        levels.map(|meter| meter.rms_dbov().hundredths_dbov()).max().unwrap_or(i16::MIN)
    }

    /// The gain in hundredths of a decibel.
    pub(super) fn gain(&self) -> i16 {
        self.hundredths_db
    }

    /// Ramps to a gain in hundredths of a decibel.
    ///
    /// # Errors
    /// [`GainError`] for more than there is; nothing changes then.
    pub(super) fn set_gain(&mut self, hundredths_db: i16) -> Result<(), GainError> {
        self.channels.iter_mut().try_for_each(|(gain, _)| gain.set_gain(hundredths_db))?;
        self.hundredths_db = hundredths_db;
        Ok(())
    }

    /// Ramps to silence, or back.
    pub(super) fn set_muted(&mut self, muted: bool) {
        self.channels.iter_mut().for_each(|(gain, _)| gain.set_muted(muted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_has_its_own_ramp_and_its_own_level() {
        let mut mono = Fader::new(8_000, 1, 80);
        let mut stereo = Fader::new(8_000, 2, 80);
        let mut levels = Vec::new();
        for tick in 0..50 {
            if tick == 20 {
                mono.set_gain(-600).unwrap();
                stereo.set_gain(-600).unwrap();
            }
            let left: Vec<i16> = (0..80).map(|n| if (tick * 80 + n) % 8 < 4 { 8_000 } else { -8_000 }).collect();
            let mut both: Vec<i16> = left.iter().flat_map(|&sample| [sample, 0]).collect();
            let mut alone = left.clone();
            mono.process(&mut alone);
            stereo.process(&mut both);
            assert!(both.chunks(2).zip(&alone).all(|(frame, &sample)| frame == [sample, 0]), "tick {tick}");
            levels.push((mono.level(), stereo.level()));
        }
        assert!(levels.iter().all(|(mono, stereo)| mono == stereo), "{levels:?}");
        assert_eq!((mono.gain(), stereo.gain()), (-600, -600));
        assert!(stereo.set_gain(Gain::MAX_HUNDREDTHS_DB + 1).is_err());
    }
}
