//! Speech or silence: the decision whether a pause in speech need not be sent.
//!
//! [`SpeechDetector`] is the interface, and [`EnergyGate`] is the usual detector of a sender. Use the gate where
//! little time may be spent; the [voice detector](super::voice) also looks at bands and pitch and tells voices from
//! noise better.
//!
//! The gate compares the level of each 10 ms with the lowest of the last 3 s, once for the sound itself and once for
//! the differences between samples (a high-pass of 6 dB per octave): a fricative at the onset of a word has little
//! power and most of it at high frequencies, a vowel the opposite. Sound that is 9 dB above either floor is speech.
//! The floor is the minimum of a level smoothed over 40 ms (after R. Martin's minimum statistics, EUSIPCO 1994), so
//! that it rises 3 s after the noise did, and falls at once. The first second, and 120 ms after the end of speech,
//! count as speech too. Sound below -66 dBov is never speech.
//!
//! There is no delay. It takes two multiplications for each sample, two logarithms every 10 ms, and 48 bytes. The
//! arithmetic is integer.
//!
//! A quiet room, and a loud sound in it:
//! ```
//! use dsp_core::process::activity::{EnergyGate, SpeechDetector};
//!
//! let mut gate = EnergyGate::new(8_000);
//! let quiet = [[3i16; 80], [-3; 80]].concat();
//! // The first second counts as speech, since nothing is known yet.
//! assert!(gate.is_speech(&quiet));
//! for _ in 0..100 {
//!     gate.is_speech(&quiet);
//! }
//! assert!(!gate.is_speech(&quiet));
//! let loud = [[2_000i16; 80], [-2_000; 80]].concat();
//! assert!(gate.is_speech(&loud));
//! ```

use super::decibel;
use super::level::Level;

/// Decides whether somebody speaks, for a [`Sender`](crate::send::Sender) with comfort noise. [`EnergyGate`] and
/// [`VoiceDetector`](super::voice::VoiceDetector) implement it. Implement it where a program knows better, for example
/// by a push-to-talk key:
///
/// ```
/// use dsp_core::codec::g711::Pcmu;
/// use dsp_core::process::activity::SpeechDetector;
/// use dsp_core::send::{Sender, SenderConfig};
/// use dsp_core::time::{PayloadType, RtpTime, Seq, Ssrc};
///
/// /// What is captured while the key is released is noise.
/// struct PushToTalk(bool);
///
/// impl SpeechDetector for PushToTalk {
///     fn is_speech(&mut self, _: &[i16]) -> bool {
///         self.0
///     }
/// }
///
/// # let config = SenderConfig {
/// #     ssrc: Ssrc(7),
/// #     first_seq: Seq(1),
/// #     first_timestamp: RtpTime(0),
/// #     payload_type: PayloadType::PCMU,
/// #     ptime_ms: 20,
/// # };
/// let mut sender = Sender::<[i16; 640], PushToTalk>::new(config, &Pcmu)?;
/// sender.set_comfort_noise(Some((PayloadType::COMFORT_NOISE, PushToTalk(false))));
/// let mut datagram = [0; 172];
/// for _ in 0..50 {
///     sender.capture(&[10; 160])?;
///     while let Some(len) = sender.packet(&mut Pcmu, &mut datagram) {
///         len?;
///     }
/// }
/// // Most of the second went without packets.
/// assert!(sender.stats().packets < 20);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait SpeechDetector {
    /// Takes in the next mono samples, of any length, and tells whether there is speech in them.
    fn is_speech(&mut self, pcm: &[i16]) -> bool;
}

impl<D: SpeechDetector + ?Sized> SpeechDetector for &mut D {
    fn is_speech(&mut self, pcm: &[i16]) -> bool {
        (**self).is_speech(pcm)
    }
}

/// What the capture chain knows of 10 ms of sound, for the steps behind it and for the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Activity {
    /// Whether the sound is to be sent as speech: somebody speaks, has just spoken, or it is too early to know.
    pub speech: bool,
    /// Probability of speech in these 10 ms, of 255.
    pub probability: u8,
    /// Periodicity of the sound, of 255. Vowels are above 120.
    pub periodicity: u8,
    /// Level of the noise, where the detector is in the chain.
    pub noise: Level,
}

/// The detector of a sender that has none. It has no value, so the compiler leaves the code for pauses out.
#[derive(Clone, Copy, Debug)]
pub enum NoDetector {}

impl SpeechDetector for NoDetector {
    fn is_speech(&mut self, _: &[i16]) -> bool {
        match *self {}
    }
}

/// How far speech is above the floor at least, in hundredths of a decibel.
const MARGIN: i16 = 900;
/// The floor is at least here, in hundredths of a dBov.
const LEAST_FLOOR: i16 = -7_500;
/// Blocks of 10 ms in each of the four parts of the floor's memory: 0.75 s.
const PART: u8 = 75;
/// Blocks that are speech at the beginning.
const BEGINNING: u8 = 100;
/// Blocks that are still speech after the last one that was.
const HANGOVER: u8 = 12;

/// The lowest level of the last 3 s, in hundredths of a decibel.
#[derive(Clone, Copy, Debug)]
struct Floor {
    smoothed: i16,
    now: i16,
    before: [i16; 3],
}

impl Floor {
    const NEW: Self = Self { smoothed: i16::MAX, now: i16::MAX, before: [i16::MAX; 3] };

    /// Takes the level of a block; whether it stands out.
    fn hear(&mut self, level: i16) -> bool {
        self.smoothed = match self.smoothed {
            i16::MAX => level,
            smoothed => smoothed + (level - smoothed) / 4,
        };
        self.now = self.now.min(self.smoothed);
        let floor = self.before.iter().fold(self.now, |least, &level| least.min(level));
        level > floor.max(LEAST_FLOOR) + MARGIN
    }

    /// Ends a part of the memory.
    fn turn(&mut self) {
        self.before = [self.now, self.before[0], self.before[1]];
        self.now = self.smoothed;
    }
}

/// An energy gate with an adaptive floor and a hangover. [The module's page](self) has the rule and an example.
#[derive(Clone, Debug)]
pub struct EnergyGate {
    /// Samples in 10 ms.
    block: u32,
    /// Of the present block: number of samples, sums of the squares of samples and of differences.
    heard: u32,
    squares: [u64; 2],
    last: i16,
    floors: [Floor; 2],
    /// Blocks of the floor's part.
    part: u8,
    /// Blocks that are speech whatever comes.
    held: u8,
}

impl EnergyGate {
    /// A gate for mono sound at this sample rate, in Hz. Rates outside 8,000 to 48,000 count as the nearest of these.
    pub fn new(sample_rate_hz: u32) -> Self {
        Self {
            block: sample_rate_hz.clamp(8_000, 48_000) / 100,
            heard: 0,
            squares: [0; 2],
            last: 0,
            floors: [Floor::NEW; 2],
            part: 0,
            held: BEGINNING,
        }
    }

    /// Ends a block.
    fn judge(&mut self) {
        let mut speech = false;
        for (floor, square) in self.floors.iter_mut().zip(self.squares) {
            // In 2^-16 of a step squared; at most 2^32 of them.
            let level = match (square << 16) / u64::from(self.block) {
                0 => i16::MIN / 2,
                power => decibel::hundredths_of_power(power),
            };
            speech |= floor.hear(level);
        }
        self.part += 1;
        if self.part == PART {
            self.part = 0;
            self.floors.iter_mut().for_each(Floor::turn);
        }
        self.held = if speech { self.held.max(HANGOVER + 1) } else { self.held };
        self.held = self.held.saturating_sub(1);
        (self.heard, self.squares) = (0, [0; 2]);
    }
}

impl SpeechDetector for EnergyGate {
    fn is_speech(&mut self, pcm: &[i16]) -> bool {
        let mut speech = self.held > 0;
        for &sample in pcm {
            let difference = i32::from(sample) - i32::from(self.last);
            self.last = sample;
            // At most 65,535 squared, which still fits.
            self.squares[0] += u64::from(i32::from(sample).unsigned_abs().pow(2));
            self.squares[1] += u64::from(difference.unsigned_abs().pow(2));
            self.heard += 1;
            if self.heard == self.block {
                self.judge();
                speech |= self.held > 0;
            }
        }
        speech
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Uniform noise of this peak.
    fn noise(peak: i32, seed: &mut u32, samples: usize) -> Vec<i16> {
        (0..samples)
            .map(|_| {
                *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((((*seed >> 16) as i16 as i32) * peak) >> 15) as i16
            })
            .collect()
    }

    #[test]
    fn noise_is_silence_and_what_stands_out_is_speech_at_once() {
        for rate in [8_000, 16_000, 32_000, 48_000] {
            let ms = rate as usize / 1_000;
            let (mut gate, mut seed) = (EnergyGate::new(rate), 1);
            assert!(gate.is_speech(&noise(300, &mut seed, 1_000 * ms)), "the first second");
            for _ in 0..200 {
                assert!(!gate.is_speech(&noise(300, &mut seed, 20 * ms)), "{rate}");
            }
            // 10 dB more in the last 10 ms of a frame.
            assert!(!gate.is_speech(&noise(300, &mut seed, 50 * ms)));
            assert!(gate.is_speech(&noise(1_200, &mut seed, 10 * ms)));
            for _ in 0..11 {
                assert!(gate.is_speech(&noise(300, &mut seed, 10 * ms)), "the hangover");
            }
            gate.is_speech(&noise(300, &mut seed, 20 * ms));
            assert!(!gate.is_speech(&noise(300, &mut seed, 10 * ms)));
        }
    }

    #[test]
    fn a_hiss_under_a_rumble_is_speech() {
        let (mut gate, mut seed, mut low) = (EnergyGate::new(8_000), 1, 0.0);
        // A rumble of 3,000 and a hiss of 400: 17 dB below.
        let mut frame = |hiss: i32| -> Vec<i16> {
            noise(hiss, &mut seed, 160)
                .iter()
                .map(|&x| {
                    low += 0.06;
                    (f64::sin(low) * 3_000.0) as i16 + x
                })
                .collect()
        };
        for n in 0..200 {
            let speech = gate.is_speech(&frame(20));
            assert_eq!(speech, n < 50, "{n}");
        }
        assert!(gate.is_speech(&frame(700)));
    }

    #[test]
    fn the_floor_follows_the_noise() {
        let (mut gate, mut seed) = (EnergyGate::new(16_000), 1);
        for _ in 0..100 {
            gate.is_speech(&noise(100, &mut seed, 320));
        }
        // 26 dB up: speech, and noise when it has lasted.
        let speech = (0..250).filter(|_| gate.is_speech(&noise(2_000, &mut seed, 320))).count();
        assert!((110..=170).contains(&speech), "{speech}");
        // Down again: at once.
        assert!(!gate.is_speech(&noise(100, &mut seed, 3_200)));
        gate.is_speech(&noise(500, &mut seed, 320));
        assert!(gate.is_speech(&noise(500, &mut seed, 320)));
    }

    #[test]
    fn digital_silence_and_its_dither_are_silence() {
        let mut gate = EnergyGate::new(8_000);
        gate.is_speech(&[0; 9_600]);
        assert!(!gate.is_speech(&[0; 160]));
        for _ in 0..20 {
            assert!(!gate.is_speech(&[3, -3, 2, 1, -2, 0, 1, -1]));
        }
        assert!(gate.is_speech(&[i16::MIN; 80]));
        assert!(gate.is_speech(&[i16::MAX; 80]));
    }
}
