//! Ramps of a member's sound: in where a call begins to sound, in and out where he begins or ceases to hear.
//!
//! A [`Conference`](dsp_core::conference::Conference) fades in who joins, but its input is a call, which is silent until its
//! jitter buffer has filled, and then begins in the middle of the speech.

/// A level that goes from silence to whole sound or back within 5 ms, sample by sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fade {
    /// 0: silence, `ramp`: all of it.
    level: u16,
    ramp: u16,
    /// The number of samples that are left out where a call begins for the first time: a codec's output is nearly silent for up
    /// to 7 ms before the actual sound, and a ramp over that would be over too early.
    skip: u16,
}

impl Fade {
    /// Creates a fade that begins with silence.
    pub(super) fn new(sample_rate_hz: u32) -> Self {
        Self { level: 0, ramp: (sample_rate_hz / 200) as u16, skip: 0 }
    }

    /// Creates a fade that begins with silence, for a call that hasn't begun yet.
    pub(super) fn of_call(sample_rate_hz: u32) -> Self {
        Self { skip: (sample_rate_hz / 100) as u16, ..Self::new(sample_rate_hz) }
    }

    /// Returns whether the member is silent.
    pub(super) fn is_silent(&self) -> bool {
        self.level == 0
    }

    /// A tick that sounds, from its first sample on that isn't 0, or one that doesn't, as it is: the next that does fades in.
    pub(super) fn begin(&mut self, sounds: bool, pcm: &mut [i16]) {
        if !sounds {
            self.level = 0;
        } else if self.level < self.ramp {
            let silent = if self.level == 0 { pcm.iter().take_while(|&&sample| sample == 0).count() } else { 0 };
            let pcm = &mut pcm[silent..];
            let skipped = pcm.len().min(self.skip.into());
            self.skip -= skipped as u16;
            pcm[..skipped].fill(0);
            self.apply(true, &mut pcm[skipped..]);
        }
    }

    /// Goes up or down in this tick.
    pub(super) fn apply(&mut self, up: bool, pcm: &mut [i16]) {
        if up && self.level == self.ramp {
            return;
        }
        for sample in pcm {
            *sample = (i32::from(*sample) * i32::from(self.level) / i32::from(self.ramp)) as i16;
            self.level = if up { (self.level + 1).min(self.ramp) } else { self.level.saturating_sub(1) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_begins_behind_what_its_codec_makes_of_nothing() {
        let mut fade = Fade::of_call(8_000);
        let mut pcm = [0; 160];
        pcm[40..].fill(4_000);
        fade.begin(true, &mut pcm);
        assert_eq!((pcm[119], pcm[121], pcm[159]), (0, 100, 3_900));
        // Later ones are at once.
        fade.begin(false, &mut [0; 80]);
        let mut next = [4_000; 80];
        fade.begin(true, &mut next);
        assert_eq!((next[1], next[79]), (100, 4_000));
    }

    #[test]
    fn begins_where_the_sound_does_and_goes_on_in_the_next_tick() {
        let mut fade = Fade::new(8_000);
        let mut pcm = [0; 80];
        fade.begin(false, &mut pcm);
        pcm[60..].fill(4_000);
        fade.begin(true, &mut pcm);
        assert_eq!((pcm[60], pcm[61], pcm[79]), (0, 100, 1_900));
        let mut next = [4_000; 80];
        fade.begin(true, &mut next);
        assert_eq!((next[0], next[19], next[20], next[79]), (2_000, 3_900, 4_000, 4_000));
        fade.apply(false, &mut next);
        assert_eq!((next[0], next[20], next[40], fade.is_silent()), (2_000, 2_000, 0, true));
    }
}
