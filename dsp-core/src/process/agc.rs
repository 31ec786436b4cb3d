//! Automatic gain control: it brings speech to a target level, leaves pauses alone, and lets no sample clip.
//!
//! Use it as the last step of a [`CaptureChain`](crate::front::CaptureChain); [`gain`](super::gain) is for a gain that
//! a user sets. [The page of all processing](super) has another example.
//!
//! The level of the speech is the mean power, less that of the noise, of the blocks of 10 ms in which somebody speaks
//! and of 200 ms after them (as ITU-T P.56 counts activity), over the last 3 s of speech. It is known after 200 ms of
//! speech. A block counts as speech if a [voice detector](super::voice) says so and has heard a vowel within the last
//! 300 ms, and it is at least 6 dB above the noise and at most 10 dB below the level: anything else is noise, a voice
//! in the background, or a click. A whisper, which has no vowels, leaves the gain as it is. After 2 s of softer speech
//! alone, 9 dB above the noise, the talker has moved away, and measuring begins anew. If the last 0.6 s are 6 dB off
//! the level, they become the level.
//!
//! The gain moves during speech only: by 40 dB/s in its first second, later by 2 dB/s up and 18 dB/s down. In pauses
//! it is frozen, so that noise does not swell. For a gain in the hardware, [`Agc::analogue_step`] advises steps: down
//! where the input clips, up where speech is so low that the digital gain is at its limit. A look-ahead limiter
//! follows, which lowers the gain within the 2 ms before a peak and raises it again in 60 ms.
//!
//! A block at 16 kHz takes 21,195 instructions on a Cortex-M4F, its detector included (`BENCHMARKS.md`). It delays by
//! 3 ms, takes 1,112 bytes, and is for one voice in mono. Levels and gains are integers and samples are `f32` with
//! full scale 1.0, with the same bits on every target.
//!
//! A voice that is too loud, with a program that knows when somebody speaks:
//!
//! ```
//! use dsp_core::process::agc::{Agc, AgcConfig, AgcError, Gate};
//! use dsp_core::process::level::Level;
//!
//! let mut agc = Agc::new(AgcConfig { sample_rate_hz: 8_000, target_dbov: -26, ..AgcConfig::default() })?;
//! for _ in 0..300 {
//!     // A tone of 400 Hz at -9 dBov stands for the voice.
//!     let mut frame: [f32; 80] = core::array::from_fn(|n| 0.5 * (n as f32 * core::f32::consts::TAU / 20.0).sin());
//!     agc.process_gated(&mut frame, Gate { speech: true, voiced: true, noise: Level::SILENCE });
//! }
//! // 17 dB less.
//! assert!((-1_800..-1_600).contains(&agc.gain_hundredths_db()));
//! assert!(agc.speech_level().is_some_and(|level| (-950..-850).contains(&level.hundredths_dbov())));
//! # Ok::<(), AgcError>(())
//! ```

use core::fmt;

use super::activity::Activity;
use super::decibel;
use super::level::Level;
use super::limiter::Limiter;
use super::voice::{VoiceConfig, VoiceDetector, VoiceError};
use crate::front::{CaptureBlock, Near};

#[cfg(test)]
mod tests;

/// Blocks of 10 ms in which the level is as yet unknown.
const UNKNOWN: u16 = 20 + PAUSE;
/// Blocks over which the level is a mean, and those that show its change.
const LONG: u16 = 300;
const SHORT: u16 = 60;
/// Blocks that still count after one of speech.
const HANGOVER: u16 = 20;
/// Blocks of the pause after the first words that count before it has come, as they will count with them.
const PAUSE: u16 = 15;
/// Blocks of speech in a row that are no click.
const SYLLABLE: u16 = 5;
/// Blocks of speech in which the gain moves fast.
const EARLY: u16 = 120;
/// How far the short mean may be off the long one, in hundredths of a decibel.
const CHANGED: i32 = 600;
/// Periodicity of a vowel, its blocks in a row, and blocks since the last one in which there still is a voice.
const VOWEL: u8 = 120;
const VOWEL_BLOCKS: u16 = 3;
const VOWEL_HELD: u16 = 30;
/// Speech is above the noise by so much, and background voices are below the level by so much.
const ABOVE_NOISE: i32 = 600;
const BELOW_LEVEL: i32 = 1_000;
/// A talker who has moved away: so far above the noise, for so many blocks.
const MOVED_ABOVE_NOISE: i32 = 900;
const MOVED: u16 = 300;
/// How fast that number falls in all other blocks.
const SOFTER_FALLS: u16 = 2;
/// A chain's detector says speech to the gain from this probability of 255 on, whatever it lets through to the sender: the
/// least of the voice detector's aggressiveness 3.
const PROBABLY: u8 = 108;
/// Change of the gain in 10 ms, in hundredths of a decibel.
const EARLY_RATE: i32 = 40;
const UP_RATE: i32 = 2;
const DOWN_RATE: i32 = 18;
/// Samples beyond this would be infinite behind the gain; sound never is.
const LOUDEST: f32 = 64.0;
/// Clipped blocks of a second that are too many.
const CLIPPED: u16 = 3;
/// Blocks from one advice to the next.
const ADVICE: u16 = 100;

/// What sets the gain of an [`Agc`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum GainMode {
    /// The level of the speech.
    Adaptive,
    /// A fixed gain, in decibels.
    Fixed(i8),
}

/// Settings of an [`Agc`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AgcConfig {
    /// Sample rate: a multiple of 8,000 Hz, at most 48,000 Hz.
    pub sample_rate_hz: u32,
    /// Target for the active speech level, -60 to 0 dBov.
    pub target_dbov: i8,
    /// Greatest gain, 0 to 40 dB.
    pub max_gain_db: u8,
    /// Greatest attenuation, 0 to 40 dB.
    pub max_attenuation_db: u8,
    /// Level that no sample exceeds behind the limiter, -20 to 0 dBov.
    pub ceiling_dbov: i8,
    /// What sets the gain.
    pub mode: GainMode,
}

impl Default for AgcConfig {
    /// 16 kHz, a target of -26 dBov, a gain of -24 to 30 dB, a limit of -1 dBov.
    fn default() -> Self {
        Self {
            sample_rate_hz: 16_000,
            target_dbov: -26,
            max_gain_db: 30,
            max_attenuation_db: 24,
            ceiling_dbov: -1,
            mode: GainMode::Adaptive,
        }
    }
}

/// What is wrong with an [`AgcConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AgcError {
    /// This sample rate, in Hz, is not a multiple of 8,000 up to 48,000.
    Rate(u32),
    /// This target, in dBov, is not between -60 and 0.
    Target(i8),
    /// This gain or attenuation, in decibels, is above 40.
    Gain(u8),
    /// This fixed gain, in decibels, is not between -40 and 40.
    Fixed(i8),
    /// This ceiling, in dBov, is not between -20 and 0.
    Ceiling(i8),
}

impl fmt::Display for AgcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Rate(rate) => write!(f, "{rate} Hz; gain is controlled at multiples of 8000 Hz up to 48000"),
            Self::Target(got) => write!(f, "a target of {got} dBov; -60 to 0 are possible"),
            Self::Gain(got) => write!(f, "a limit of {got} dB for the gain; 0 to 40 are possible"),
            Self::Fixed(got) => write!(f, "a gain of {got} dB; -40 to 40 are possible"),
            Self::Ceiling(got) => write!(f, "a ceiling of {got} dBov; -20 to 0 are possible"),
        }
    }
}

impl core::error::Error for AgcError {}

/// What an [`Agc`] must know of a block, from a detector or a noise suppressor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Gate {
    /// Whether somebody speaks in the block.
    pub speech: bool,
    /// Whether the block is voiced, as vowels are; without voiced blocks the gain does not move.
    pub voiced: bool,
    /// Level of the noise in the sound that the gain control hears.
    pub noise: Level,
}

/// Advice on a gain in front of the converter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AnalogueAdvice {
    /// Leave the gain as it is.
    Keep,
    /// Lower the gain by a step: the input clips.
    Clipping,
    /// Raise the gain by a step: the speech is so low that the digital gain cannot reach the target.
    TooLow,
}

impl AnalogueAdvice {
    /// The step as a number: -1, 0 or 1.
    pub const fn step(self) -> i8 {
        match self {
            Self::Keep => 0,
            Self::Clipping => -1,
            Self::TooLow => 1,
        }
    }
}

/// The level of speech as a mean over blocks, in 2^-46 of full scale squared.
#[derive(Clone, Copy, Debug)]
struct Mean {
    power: i64,
    blocks: u16,
    most: u16,
}

impl Mean {
    const fn new(most: u16) -> Self {
        Self { power: 0, blocks: PAUSE, most }
    }

    fn hear(&mut self, power: i64) {
        self.blocks = (self.blocks + 1).min(self.most);
        self.power += (power - self.power) / i64::from(self.blocks);
    }

    fn level(&self) -> i32 {
        hundredths(self.power)
    }
}

/// Automatic gain control for one channel. [The module's page](self) has the rules, and [the page of all
/// processing](super) an example.
#[derive(Clone, Copy, Debug)]
pub struct Agc {
    config: AgcConfig,
    detector: VoiceDetector,
    limiter: Limiter,
    long: Mean,
    short: Mean,
    /// Blocks of speech so far, up to [`EARLY`]; those that still count; those of softer voices alone.
    spoken: u16,
    held: u16,
    softer: u16,
    /// Blocks of speech in a row.
    run: u16,
    /// Voiced blocks in a row, and those for which the last vowel still counts.
    voiced: u16,
    vowel: u16,
    /// In hundredths of a decibel, and what the last block ended with.
    gain: i32,
    factor: f32,
    /// Clipped blocks of this second and of the last, and blocks since the last advice.
    clipped: u16,
    clipped_before: u16,
    since_advice: u16,
    second: u16,
}

impl Agc {
    /// A gain control that has not heard anything. Its gain is 0 dB until somebody has spoken for 200 ms.
    ///
    /// # Errors
    /// Returns an [`AgcError`] that names the field of `config` that is out of range.
    pub fn new(config: AgcConfig) -> Result<Self, AgcError> {
        let AgcConfig { sample_rate_hz, target_dbov, max_gain_db, max_attenuation_db, ceiling_dbov, mode } = config;
        let voice = VoiceConfig { sample_rate_hz, aggressiveness: 3, hangover_ms: 0 };
        // The aggressiveness is one that there is.
        let detector = VoiceDetector::new(voice).map_err(|_: VoiceError| AgcError::Rate(sample_rate_hz))?;
        if !(-60..=0).contains(&target_dbov) {
            return Err(AgcError::Target(target_dbov));
        }
        for limit in [max_gain_db, max_attenuation_db] {
            if limit > 40 {
                return Err(AgcError::Gain(limit));
            }
        }
        if !(-20..=0).contains(&ceiling_dbov) {
            return Err(AgcError::Ceiling(ceiling_dbov));
        }
        let gain = match mode {
            GainMode::Adaptive => 0,
            GainMode::Fixed(gain) if (-40..=40).contains(&gain) => i32::from(gain) * 100,
            GainMode::Fixed(gain) => return Err(AgcError::Fixed(gain)),
        };
        Ok(Self {
            config,
            detector,
            limiter: Limiter::new(sample_rate_hz, amplitude(i32::from(ceiling_dbov) * 100)),
            long: Mean::new(LONG),
            short: Mean::new(SHORT),
            spoken: 0,
            held: 0,
            softer: 0,
            run: 0,
            voiced: 0,
            vowel: 0,
            gain,
            factor: amplitude(gain),
            clipped: 0,
            clipped_before: 0,
            since_advice: 0,
            second: 0,
        })
    }

    /// Processes a block of 10 ms in place, controlled by its own detector.
    pub fn process(&mut self, frame: &mut [f32]) {
        let voice = self.detector.hear(frame);
        let noise = self.detector.noise_level();
        self.process_gated(frame, Gate { speech: voice.speech, voiced: voice.periodicity >= VOWEL, noise });
    }

    /// Processes a block of 10 ms in place, controlled by another detector. Its own detector hears nothing.
    pub fn process_gated(&mut self, frame: &mut [f32], gate: Gate) {
        let mut clipped = false;
        for sample in &mut *frame {
            // NaN is silence.
            *sample = if sample.is_nan() { 0.0 } else { sample.clamp(-LOUDEST, LOUDEST) };
            clipped |= sample.abs() >= 0.999;
        }
        self.count_clipped(clipped);
        if self.config.mode == GainMode::Adaptive {
            self.follow(power(frame), gate);
        }
        // In a straight line over the block.
        let to = amplitude(self.gain);
        let step = (to - self.factor) / frame.len().max(1) as f32;
        for sample in &mut *frame {
            self.factor += step;
            *sample = self.limiter.process(*sample * self.factor);
        }
        self.factor = to;
    }

    /// Present gain, without that of the limiter, in hundredths of a decibel.
    pub const fn gain_hundredths_db(&self) -> i32 {
        self.gain
    }

    /// Active level of the speech before the gain; `None` until somebody has spoken for 200 ms.
    pub fn speech_level(&self) -> Option<Level> {
        (self.long.blocks >= UNKNOWN).then(|| Level::of_power(self.long.power as u64))
    }

    /// Advice on a gain in front of the converter: at most one step in a second. After a step, the levels are measured
    /// anew.
    pub fn analogue_step(&mut self) -> AnalogueAdvice {
        if self.since_advice < ADVICE {
            return AnalogueAdvice::Keep;
        }
        let missing = i32::from(self.config.target_dbov) * 100 - self.long.level();
        let advice = if self.clipped + self.clipped_before >= CLIPPED {
            AnalogueAdvice::Clipping
        } else if self.long.blocks >= EARLY && missing > i32::from(self.config.max_gain_db) * 100 {
            AnalogueAdvice::TooLow
        } else {
            return AnalogueAdvice::Keep;
        };
        (self.clipped, self.clipped_before, self.since_advice) = (0, 0, 0);
        self.forget_level();
        advice
    }

    fn count_clipped(&mut self, clipped: bool) {
        self.clipped += u16::from(clipped);
        self.since_advice = self.since_advice.saturating_add(1);
        self.second += 1;
        if self.second == 100 {
            (self.clipped_before, self.clipped, self.second) = (self.clipped, 0, 0);
        }
    }

    fn forget_level(&mut self) {
        (self.long, self.short) = (Mean::new(LONG), Mean::new(SHORT));
        (self.spoken, self.held, self.softer, self.run) = (0, 0, 0, 0);
    }

    /// Moves the gain by what this block was.
    fn follow(&mut self, power: i64, gate: Gate) {
        let level = hundredths(power);
        let above_noise = level - i32::from(gate.noise.hundredths_dbov());
        let known = self.long.blocks >= UNKNOWN;
        let softer = known && level < self.long.level() - BELOW_LEVEL;
        self.voiced = if gate.speech && gate.voiced { self.voiced.saturating_add(1) } else { 0 };
        self.vowel = if self.voiced >= VOWEL_BLOCKS { VOWEL_HELD } else { self.vowel.saturating_sub(1) };
        let voice = gate.speech && self.vowel > 0;
        let speech = voice && above_noise > ABOVE_NOISE && !softer;
        self.run = if speech { self.run.saturating_add(1) } else { 0 };
        let moved = voice && softer && above_noise > MOVED_ABOVE_NOISE && self.held == 0;
        // Most of the time, so that what only now and then passes for a voice is none.
        self.softer = match moved {
            true => self.softer + 1,
            false if speech => 0,
            false => self.softer.saturating_sub(SOFTER_FALLS),
        };
        if self.softer == MOVED {
            self.forget_level();
        }
        if self.run >= SYLLABLE {
            self.held = HANGOVER;
        } else if self.held > 0 {
            self.held -= 1;
        } else {
            return;
        }
        let spoken = (power - power_of(gate.noise)).max(0);
        self.long.hear(spoken);
        self.short.hear(spoken);
        if !speech {
            return;
        }
        self.spoken = (self.spoken + 1).min(EARLY);
        let change = self.short.level() - self.long.level();
        if self.long.blocks > SHORT && change.abs() > CHANGED {
            self.long = Mean { most: LONG, ..self.short };
            if change > 0 {
                // What is too loud is made softer at once; what is softer may be noise.
                self.spoken = UNKNOWN;
            }
        }
        if self.long.blocks < UNKNOWN {
            return;
        }
        let least = -i32::from(self.config.max_attenuation_db) * 100;
        let most = i32::from(self.config.max_gain_db) * 100;
        let wanted = (i32::from(self.config.target_dbov) * 100 - self.long.level()).clamp(least, most);
        let (down, up) = if self.spoken < EARLY { (EARLY_RATE, EARLY_RATE) } else { (DOWN_RATE, UP_RATE) };
        self.gain += (wanted - self.gain).clamp(-down, up);
    }
}

/// Gated by the chain's detector where there is one.
impl CaptureBlock<f32> for Agc {
    fn process(&mut self, frame: &mut [f32], near: &Near<'_>) {
        match near.activity {
            Some(Activity { probability, periodicity, noise, .. }) => {
                let speech = probability > PROBABLY;
                self.process_gated(frame, Gate { speech, voiced: periodicity >= VOWEL, noise });
            }
            None => Self::process(self, frame),
        }
    }

    fn reset(&mut self) {
        // The config was checked when this was made.
        if let Ok(new) = Self::new(self.config) {
            *self = new;
        }
    }

    fn delay_samples(&self) -> usize {
        self.limiter.delay_samples()
    }
}

/// The mean square of a block in 2^-46 of full scale squared.
fn power(frame: &[f32]) -> i64 {
    let sum: f32 = frame.iter().map(|&sample| sample * sample).sum();
    // 2^46. Samples are finite and at most 64: far below 2^63.
    (sum / frame.len().max(1) as f32 * 70_368_744_177_664.0) as i64
}

/// A mean square in 2^-46 of full scale squared in hundredths of a dBov.
fn hundredths(power: i64) -> i32 {
    i32::from(Level::of_power(power as u64).hundredths_dbov())
}

/// A level as a mean square, in 2^-46 of full scale squared.
fn power_of(level: Level) -> i64 {
    i64::from(decibel::amplitude(level.hundredths_dbov(), 23)).pow(2)
}

/// The factor of a gain within 60 dB in hundredths of a decibel.
fn amplitude(hundredths: i32) -> f32 {
    decibel::amplitude(hundredths as i16, 24) as f32 / 16_777_216.0
}
