//! Sound that the phone makes itself: ringing before there is a call; dial, ringback, busy and congestion tones; and
//! call waiting during a call.
//!
//! [`TonePlayer`] plays one tone at a time, by the core's generator (ITU-T E.180; the countries' tables are
//! [`Country`](dsp_core::tone::Country)). Before and between calls [`TonePlayer::tick`] runs the audio port alone; in a call
//! [`PhoneOf::tick_with`](crate::phone::PhoneOf::tick_with) adds the tone to the played sound before an echo canceller reads it,
//! so that the canceller knows the tone's echo. All arithmetic is in integers. A phone that never uses a player doesn't have it
//! in its image.
//!
//! Use it where the phone itself signals the state of a call to its user; [`Desk`](crate::desk::Desk) chooses the tone. Limits:
//! one tone at a time, in place of the one before. For a melody, write [segments](dsp_core::tone::Segment) of one or two
//! frequencies; for sound from a file, implement [`LocalSound`].
//!
//! ```
//! use dsp_core::tone::{Country, ProgressTone};
//! use embassy_futures::block_on;
//! use host_embedded::sim::{SimClock, SimPort};
//! use host_embedded::tones::{LEVEL, RING, TonePlayer};
//!
//! let clock = SimClock::default();
//! let mut loudest = 0;
//! let loudspeaker = |pcm: &[i16; 80]| loudest = pcm.iter().fold(loudest, |loudest, &sample| sample.max(loudest));
//! let mut port = SimPort::new(&clock, |_: &mut [i16; 80]| (), loudspeaker);
//! let mut tones = TonePlayer::new(8_000);
//! // An INVITE has come.
//! tones.start(&RING, LEVEL)?;
//! for _ in 0..100 {
//!     block_on(tones.tick(&mut port));
//! }
//! // What a caller hears instead.
//! let usa = Country::of("us").expect("it has tones");
//! tones.start(usa.tone(ProgressTone::Ringing), LEVEL)?;
//! # assert!(loudest > 3_000);
//! # Ok::<(), dsp_core::tone::ProgressError>(())
//! ```

use dsp_core::tone::{ProgressError, ProgressGenerator, Segment};

use crate::port::{AudioPort, Overrun, Underrun};

/// A local sound that is added to the played sound.
///
/// This one adds a beep during a call:
///
/// ```
/// use embassy_futures::block_on;
/// use host_embedded::phone::{Phone, PhoneConfig};
/// # use host_embedded::sim::{SimClock, SimNetwork, SimPort};
/// use host_embedded::tones::LocalSound;
///
/// struct Beep;
///
/// impl LocalSound for Beep {
///     fn mix(&mut self, pcm: &mut [i16]) {
///         for (n, sample) in pcm.iter_mut().enumerate() {
///             *sample = sample.saturating_add(if n % 8 < 4 { 2_000 } else { -2_000 });
///         }
///     }
/// }
///
/// # let clock = SimClock::default();
/// let mut loudest = 0;
/// # let loudspeaker = |pcm: &[i16; 80]| loudest = pcm.iter().fold(loudest, |loudest, &sample| sample.max(loudest));
/// # let mut port = SimPort::new(&clock, |_: &mut [i16; 80]| (), loudspeaker);
/// # let mut network = SimNetwork::new(&clock, |_, _: &mut [u8]| None, |_: &[u8]| ());
/// let mut phone = Phone::new(PhoneConfig::default())?;
/// block_on(phone.tick_with(&mut port, &mut network, &mut Beep));
/// assert_eq!(loudest, 2_000);
/// # Ok::<(), host_embedded::phone::PhoneError>(())
/// ```
pub trait LocalSound {
    /// Adds the next 10 ms of the sound, or less, to `pcm`.
    fn mix(&mut self, pcm: &mut [i16]);
}

/// Adds no sound.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSound;

impl LocalSound for NoSound {
    #[inline(always)]
    fn mix(&mut self, _: &mut [i16]) {}
}

const fn two(hz: u16, other_hz: u16, ms: u16) -> Segment {
    Segment { hz, other_hz, depth_percent: 0, reversed_ms: 0, ms }
}

/// A phone's bell: two pairs of frequencies in turn for a second, and 2 s of silence. No recommendation defines one;
/// you can write your own like it.
pub static RING: [Segment; 9] = [
    two(784, 1_175, 120),
    two(659, 988, 130),
    two(784, 1_175, 120),
    two(659, 988, 130),
    two(784, 1_175, 120),
    two(659, 988, 130),
    two(784, 1_175, 120),
    two(659, 988, 130),
    two(0, 0, 2_000),
];

/// A level that is well heard in a receiver: -13 dBm0, in hundredths of a dBm0.
pub const LEVEL: i16 = -1_300;

/// The most samples that are made at once.
const PIECE: usize = 80;

/// Plays one tone, or none.
#[derive(Clone, Copy, Debug)]
pub struct TonePlayer {
    sample_rate_hz: u32,
    generator: Option<ProgressGenerator>,
    /// Whether the tone fades out within the next samples that are mixed.
    stopping: bool,
}

impl TonePlayer {
    /// Creates a player that is silent, for a loudspeaker at this rate in Hz.
    pub const fn new(sample_rate_hz: u32) -> Self {
        Self { sample_rate_hz, generator: None, stopping: false }
    }

    /// Plays these segments from their beginning, again and again, in place of the tone that is playing. `level` is in
    /// hundredths of a dBm0, such as [`LEVEL`].
    ///
    /// # Errors
    /// [`ProgressError`] if the rate or the level is out of range; nothing changes then.
    pub fn start(&mut self, segments: &'static [Segment], level: i16) -> Result<(), ProgressError> {
        self.generator = Some(ProgressGenerator::new(self.sample_rate_hz, level, segments)?);
        self.stopping = false;
        Ok(())
    }

    /// Fades the tone out within the samples that are mixed next.
    pub fn stop(&mut self) {
        self.stopping = self.generator.is_some();
    }

    /// Returns whether a tone is playing; the pauses within it count too.
    pub fn is_playing(&self) -> bool {
        self.generator.is_some() && !self.stopping
    }

    /// Runs 10 ms of the audio port without a call: the microphone's sound is dropped, and the tone is played. `port` paces it,
    /// as it does in a call. Returns the port's losses of the microphone, and its shortage for the loudspeaker.
    pub async fn tick<A: AudioPort<FRAME>, const FRAME: usize>(
        &mut self,
        port: &mut A,
    ) -> (Option<Overrun>, Option<Underrun>) {
        let mut pcm = [0; FRAME];
        let overrun = port.read(&mut pcm).await.err();
        pcm.fill(0);
        self.mix(&mut pcm);
        (overrun, port.write(&pcm).await.err())
    }
}

impl LocalSound for TonePlayer {
    fn mix(&mut self, pcm: &mut [i16]) {
        let Some(generator) = &mut self.generator else { return };
        let length = pcm.len().max(1) as i32;
        let mut at = 0;
        for piece in pcm.chunks_mut(PIECE) {
            let mut tone = [0i16; PIECE];
            let tone = &mut tone[..piece.len()];
            generator.fill(tone);
            for (sample, tone) in piece.iter_mut().zip(tone) {
                // A line down to nothing: a tone that breaks off clicks.
                let left = if self.stopping { length - at } else { length };
                *sample = sample.saturating_add((i32::from(*tone) * left / length) as i16);
                at += 1;
            }
        }
        if self.stopping {
            (self.generator, self.stopping) = (None, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use dsp_core::tone::{Country, ProgressTone};
    use embassy_futures::block_on;

    use super::*;
    use crate::pump::Pump;

    /// The largest step from one sample to the next.
    fn steepest(pcm: &[i16]) -> i32 {
        pcm.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
    }

    #[test]
    fn tones_have_their_level_and_cadence_and_end_without_a_click() {
        let mut tones = TonePlayer::new(8_000);
        let busy = Country::of("us").expect("a country").tone(ProgressTone::Busy);
        tones.start(busy, LEVEL).expect("in range");
        let mut all: Vec<i16> = Vec::new();
        for tick in 0..120 {
            if tick == 110 {
                assert!(tones.is_playing());
                tones.stop();
                assert!(!tones.is_playing());
            }
            let mut pcm = [100; 80];
            tones.mix(&mut pcm);
            all.extend(pcm.map(|sample| sample - 100));
        }
        let power = |from: usize, to: usize| {
            all[from * 8..to * 8].iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / ((to - from) * 8) as f64
        };
        // 0 dBm0 is 3.14 dB below a full sine (G.711), the power of which is half of full scale's.
        const DIGITAL_FULL: f64 = 314.0 / 100.0;
        let dbm0 = |power: f64| 10.0 * (power / (0.5 * 32_768f64.powi(2))).log10() + DIGITAL_FULL;
        let level = dbm0(power(100, 400));
        assert!((level + 13.0).abs() < 0.2, "{level}");
        assert_eq!(power(502, 998), 0.0);
        assert!(power(1_020, 1_090) > 1_000_000.0);
        // It fades within 10 ms, and is over.
        assert_eq!(power(1_110, 1_200), 0.0);
        assert!(steepest(&all) <= steepest(&all[800..3_200]), "{}", steepest(&all));
    }

    #[test]
    fn a_tone_is_added_to_a_call_within_bounds() {
        let mut tones = TonePlayer::new(16_000);
        tones.start(&RING, 0).expect("in range");
        let mut pcm = [i16::MAX; 160];
        tones.mix(&mut pcm);
        assert!(pcm.contains(&i16::MAX) && pcm.iter().any(|&sample| sample < 20_000));
        assert_eq!(tones.start(&RING, 1).err(), Some(ProgressError::Level(1)));
        assert!(tones.is_playing());
        assert!(TonePlayer::new(1_000).start(&RING, LEVEL).is_err());
        NoSound.mix(&mut pcm);
    }

    #[test]
    fn the_bell_rings_before_there_is_a_call() {
        let pump: Pump<80, 3> = Pump::new();
        let mut port = pump.port();
        let mut tones = TonePlayer::new(8_000);
        tones.start(&RING, LEVEL).expect("in range");
        let mut played = Vec::new();
        for tick in 0..300 {
            let mut half = [0; 80];
            // Once the task comes late.
            for _ in 0..if tick == 100 { 5 } else { 1 } {
                pump.half_transfer(&[1_000; 80], &mut half);
                played.extend(half);
            }
            let (overrun, _) = block_on(tones.tick(&mut port));
            assert_eq!(overrun.is_some(), tick == 100);
        }
        let loud = played.chunks(80).filter(|frame| frame.iter().any(|&sample| sample.abs() > 2_000)).count();
        assert!((95..=110).contains(&loud), "{loud} of 300 frames ring");
    }
}
