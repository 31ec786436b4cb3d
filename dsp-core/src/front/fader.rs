//! Gain, mute and level of one direction. The gain is the same for all channels; each channel has its own level.
//!
//! There is no delay. At 0 dB and without a meter it costs nothing for each sample; in stereo two copies.

use crate::block::Block;
use crate::process::gain::{Gain, GainError};
use crate::process::level::{Level, LevelConfig, LevelError, LevelMeter};
use crate::slices::part_mut;

/// A change of gain takes this long.
const RAMP_MS: u32 = 10;

/// A gain for all channels, and the level behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fader {
    /// Where the ramp is; the same in all channels between two ticks.
    gain: Gain,
    meters: Option<[LevelMeter; 2]>,
    /// Channels in use: 1 or 2.
    channels: usize,
    hundredths_db: i16,
    muted: bool,
}

impl Fader {
    /// 0 dB. The rate is at most that of a ramp of 65535 samples.
    pub(super) fn new(sample_rate_hz: u32, channels: usize, meters: bool) -> Result<Self, LevelError> {
        let gain = Gain::new((sample_rate_hz * RAMP_MS / 1_000) as u16);
        let meters = if meters {
            Some([LevelMeter::new(LevelConfig { sample_rate_hz, ..LevelConfig::default() })?; 2])
        } else {
            None
        };
        Ok(Self { gain, meters, channels, hundredths_db: 0, muted: false })
    }

    /// Whether there is nothing to do, as most of a phone's life.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.gain.is_unity() && self.meters.is_none()
    }

    /// Changes interleaved samples in place, at most `LONGEST` of them, and hears how loud they are then.
    #[inline(never)]
    pub(super) fn process<const LONGEST: usize>(&mut self, pcm: &mut [i16]) {
        if self.channels == 2 {
            return self.process_stereo::<LONGEST>(pcm);
        }
        self.gain.process(pcm);
        if let Some([meter, _]) = &mut self.meters {
            meter.hear(pcm);
        }
    }

    /// Out of line: one channel alone needs no such place on the stack.
    #[inline(never)]
    fn process_stereo<const LONGEST: usize>(&mut self, pcm: &mut [i16]) {
        let mut samples = [0; LONGEST];
        let samples = part_mut(&mut samples, 0, pcm.len() / 2);
        let before = self.gain;
        for channel in 0..2 {
            samples.iter_mut().zip(pcm.as_chunks::<2>().0).for_each(|(to, from)| *to = from[channel]);
            self.gain = before;
            self.gain.process(samples);
            if let Some(meters) = &mut self.meters {
                meters[channel].hear(samples);
            }
            pcm.as_chunks_mut::<2>().0.iter_mut().zip(&*samples).for_each(|(to, from)| to[channel] = *from);
        }
    }

    /// Level of the loudest channel.
    pub(super) fn level(&self) -> Option<Level> {
        let meters = self.meters.as_ref()?;
        meters[..self.channels].iter().map(LevelMeter::rms_dbov).max()
    }

    /// The gain in hundredths of a decibel.
    pub(super) fn gain(&self) -> i16 {
        self.hundredths_db
    }

    /// Ramps to a gain in hundredths of a decibel. On an error nothing changes.
    pub(super) fn set_gain(&mut self, hundredths_db: i16) -> Result<(), GainError> {
        self.gain.set_gain(hundredths_db)?;
        self.hundredths_db = hundredths_db;
        Ok(())
    }

    /// Whether it is muted.
    pub(super) fn is_muted(&self) -> bool {
        self.muted
    }

    /// Ramps to silence, or back.
    pub(super) fn set_muted(&mut self, muted: bool) {
        self.muted = muted;
        self.gain.set_muted(muted);
    }

    /// Ends a ramp, and forgets the level.
    pub(super) fn reset(&mut self) {
        Block::<i16>::reset(&mut self.gain);
        self.meters.iter_mut().flatten().for_each(LevelMeter::reset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn each_channel_has_its_own_ramp_and_its_own_level() {
        let mut mono = Fader::new(8_000, 1, true).unwrap();
        let mut stereo = Fader::new(8_000, 2, true).unwrap();
        let mut levels = Vec::new();
        for tick in 0..50 {
            if tick == 20 {
                mono.set_gain(-600).unwrap();
                stereo.set_gain(-600).unwrap();
            }
            let left: Vec<i16> = (0..80).map(|n| if (tick * 80 + n) % 8 < 4 { 8_000 } else { -8_000 }).collect();
            let mut both: Vec<i16> = left.iter().flat_map(|&sample| [sample, 0]).collect();
            let mut alone = left.clone();
            mono.process::<80>(&mut alone);
            stereo.process::<80>(&mut both);
            assert!(both.chunks(2).zip(&alone).all(|(frame, &sample)| frame == [sample, 0]), "tick {tick}");
            levels.push((mono.level(), stereo.level()));
        }
        assert!(levels.iter().all(|(mono, stereo)| mono == stereo && mono.is_some()), "{levels:?}");
        assert_eq!((mono.gain(), stereo.gain()), (-600, -600));
        assert!(stereo.set_gain(Gain::MAX_HUNDREDTHS_DB + 1).is_err());
        assert_eq!(stereo.gain(), -600);
        assert_eq!(Fader::new(8_000, 2, false).unwrap().level(), None);
        stereo.set_muted(true);
        assert!(stereo.is_muted());
        stereo.reset();
        assert_eq!(stereo.level(), Some(Level::SILENCE));
        let mut both = [1_000; 160];
        stereo.process::<80>(&mut both);
        assert_eq!(both, [0; 160]);
    }
}
