//! Comfort noise: the background of a pause in speech, described in a few bytes (RFC 3389; ITU-T G.711 Appendix II).
//!
//! The sender describes the noise with a [`NoiseAnalyzer`], and the receiver makes noise of the same level and
//! spectrum with a [`NoiseGenerator`]. [`Sender`](crate::send::Sender) and [`Receiver`](crate::receive::Receiver) do
//! so by themselves; use these types where a program has a sender or a receiver of its own. Comfort noise goes with
//! any codec that has no pauses of its own, at that codec's sample rate. Its payload type is 13 at a clock of 8 kHz
//! and dynamic at others.
//!
//! A payload has a byte for the level and a byte for each reflection coefficient of an all-pole model. There may be
//! any number of coefficients, and a receiver may ignore the later ones (RFC 3389, 3); here it uses the first
//! [`MAX_ORDER`]. 0 dBov is the power of a square wave between the extremes of 16 bits. A coefficient is positive
//! where neighbouring samples differ: k1 = -r(1)/r(0), as in ITU-T G.729. Levels are in dB below overload, reflection
//! coefficients in Q15, and all arithmetic is integer.
//!
//! There is no delay. Describing takes at most 13 multiplications for each sample and 144 bytes, generating 24
//! multiplications and 112 bytes.
//!
//! The background noise of a pause goes from one end to the other:
//!
//! ```
//! use dsp_core::codec::cn::{MAX_PAYLOAD, NoiseAnalyzer, NoiseGenerator};
//! use dsp_core::process::level::{LevelConfig, LevelMeter};
//!
//! // Half a second of white noise at a microphone.
//! let mut seed = 1u32;
//! let mut noise = || {
//!     seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
//!     (seed as i32 >> 22) as i16
//! };
//! let room: [i16; 4_000] = core::array::from_fn(|_| noise());
//! let mut analyzer = NoiseAnalyzer::new(8_000);
//! analyzer.hear(&room);
//! let mut payload = [0; MAX_PAYLOAD];
//! let len = analyzer.describe().write(&mut payload)?;
//!
//! // At the other end, noise of the same level.
//! let mut generator = NoiseGenerator::new();
//! generator.begin(&payload[..len])?;
//! let mut made = [0; 4_000];
//! generator.generate(&mut made);
//! let level = |pcm: &[i16]| {
//!     let mut meter = LevelMeter::new(LevelConfig::default())?;
//!     meter.hear(pcm);
//!     Ok::<_, dsp_core::process::level::LevelError>(meter.rms_dbov().hundredths_dbov())
//! };
//! assert!((level(&room)? - level(&made)?).abs() < 150);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{DecodeError, EncodeError};

pub use analyzer::NoiseAnalyzer;
pub use generator::NoiseGenerator;

mod analyzer;
mod generator;

/// Greatest number of reflection coefficients that are sent or used.
pub const MAX_ORDER: usize = 12;

/// Length of the longest payload that [`NoiseDescription::write`] makes, in bytes.
pub const MAX_PAYLOAD: usize = 1 + MAX_ORDER;

/// Difference between two neighbours of the 255 values that a coefficient can have, Q15 (RFC 3389 3.2).
const STEP: i32 = 258;
/// Index of the value 0.
const MIDDLE: i32 = 127;
/// This index stands for no value.
const RESERVED: u8 = 255;

/// The content of a comfort noise payload, also called a silence insertion descriptor (SID).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoiseDescription {
    level: u8,
    order: u8,
    indices: [u8; MAX_ORDER],
}

impl NoiseDescription {
    /// White noise of `level` dB below overload. More than 127 counts as 127, which is practically silence.
    pub const fn white(level: u8) -> Self {
        let level = if level > 127 { 127 } else { level };
        Self { level, order: 0, indices: [MIDDLE as u8; MAX_ORDER] }
    }

    /// Noise with a spectrum given by its reflection coefficients in Q15, rounded to the nearest values that can be
    /// sent. Those beyond [`MAX_ORDER`] are left out.
    pub fn new(level: u8, reflections: &[i16]) -> Self {
        let mut description = Self::white(level);
        description.order = reflections.len().min(MAX_ORDER) as u8;
        for (index, &k) in description.indices.iter_mut().zip(reflections) {
            // Moved to positive numbers, so that the division rounds alike on both sides.
            let nearest = (i32::from(k) + MIDDLE * STEP + STEP / 2).max(0) / STEP;
            *index = nearest.min(i32::from(RESERVED) - 1) as u8;
        }
        description
    }

    /// Reads a payload. The unused bit of the level and coefficients beyond [`MAX_ORDER`] are ignored.
    ///
    /// # Errors
    /// Returns [`DecodeError::Empty`] for an empty payload, and [`DecodeError::Malformed`] for a coefficient with the
    /// reserved index 255.
    pub fn read(payload: &[u8]) -> Result<Self, DecodeError> {
        let (&level, indices) = payload.split_first().ok_or(DecodeError::Empty)?;
        if indices.contains(&RESERVED) {
            return Err(DecodeError::Malformed(i32::from(RESERVED)));
        }
        let mut description = Self::white(level & 0x7f);
        description.order = indices.len().min(MAX_ORDER) as u8;
        for (place, &index) in description.indices.iter_mut().zip(indices) {
            *place = index;
        }
        Ok(description)
    }

    /// Writes the payload and returns its length in bytes, [`MAX_PAYLOAD`] at most.
    ///
    /// # Errors
    /// Returns [`EncodeError::OutputTooSmall`] if `payload` has no room for it.
    pub fn write(&self, payload: &mut [u8]) -> Result<usize, EncodeError> {
        let order = usize::from(self.order);
        let (need, got) = (1 + order, payload.len());
        let payload = payload.get_mut(..need).ok_or(EncodeError::OutputTooSmall { need, got })?;
        payload[0] = self.level;
        payload[1..].copy_from_slice(&self.indices[..order]);
        Ok(need)
    }

    /// Level in dB below overload, 0 to 127.
    pub const fn level(&self) -> u8 {
        self.level
    }

    /// Number of reflection coefficients.
    pub const fn order(&self) -> usize {
        self.order as usize
    }

    /// Reflection coefficient `i` in Q15, between -1 and 1; 0 from [`order`](Self::order) on.
    pub fn reflection(&self, i: usize) -> i16 {
        let index = self.indices.get(i).map_or(MIDDLE, |&index| i32::from(index));
        // At most 127 steps of 258, which is 32766.
        (STEP * (index - MIDDLE)) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_those_of_the_rfc() {
        let description = NoiseDescription::read(&[0x80 | 55, 0, 127, 254]).unwrap();
        assert_eq!((description.level(), description.order()), (55, 3));
        // k = 258 (N - 127) / 32768.
        assert_eq!([0, 1, 2, 3, 12].map(|i| description.reflection(i)), [-32_766, 0, 32_766, 0, 0]);
        let mut payload = [0xee; 5];
        assert_eq!(description.write(&mut payload), Ok(4));
        assert_eq!(payload, [55, 0, 127, 254, 0xee]);
        assert_eq!(NoiseDescription::white(200).write(&mut payload), Ok(1));
        assert_eq!(payload[0], 127);
        assert_eq!(description.write(&mut payload[..3]), Err(EncodeError::OutputTooSmall { need: 4, got: 3 }));
    }

    #[test]
    fn every_index_survives_and_every_coefficient_finds_its_nearest() {
        for index in 0..RESERVED {
            let k = NoiseDescription::read(&[0, index]).unwrap().reflection(0);
            assert_eq!(NoiseDescription::new(0, &[k]).indices[0], index);
        }
        for k in i16::MIN..=i16::MAX {
            let sent = NoiseDescription::new(0, &[k]).reflection(0);
            assert!((i32::from(sent) - i32::from(k)).abs() <= STEP / 2, "{k} {sent}");
        }
    }

    #[test]
    fn bad_payloads_are_errors_and_long_ones_are_cut() {
        assert_eq!(NoiseDescription::read(&[]), Err(DecodeError::Empty));
        assert_eq!(NoiseDescription::read(&[40, 127, 255]), Err(DecodeError::Malformed(255)));
        let long = NoiseDescription::read(&[40; 1_500]).unwrap();
        assert_eq!((long.order(), long), (MAX_ORDER, NoiseDescription::read(&[40; MAX_PAYLOAD]).unwrap()));
    }
}
