//! Sample formats and channels: what sound cards and files hold, converted to and from the `i16` and `f32` of this
//! crate.
//!
//! Use it at the edge of a program, next to the audio device; everything inside works on [`Sample`]. Each format is an
//! [`Encoding`] and can be read and written for both kinds of samples:
//!
//! | format | unit | layout |
//! |---|---|---|
//! | u8 | `u8` | offset binary, 128 is zero |
//! | i24 packed | `[u8; 3]` | two's complement, least significant byte first |
//! | i24 in 32 | [`I24`] | right-justified; the top byte is ignored when read and extends the sign when written |
//! | i32 | `i32` | two's complement, full scale 2^31 (also 24 bits left-justified in 32) |
//! | i16, f32, f64 | themselves | full scale 2^15 and 1.0 |
//!
//! Towards fewer bits, values are rounded to the nearest, halves up (towards plus infinity), and saturated; NaN
//! becomes 0. [`write_dithered`] adds noise first where bits are lost. All lengths must match exactly; after an error
//! nothing has been written. There is no delay and no allocation; a sample takes a few instructions, and conversion
//! between integers uses no floating point.
//!
//! A tick of a stereo sound card with packed 24-bit samples, for a mono call:
//!
//! ```
//! use dsp_core::format::{FormatError, read, stereo_to_mono, write};
//!
//! let device = [[0x00, 0x00, 0x40], [0x00, 0x00, 0x20]];
//! let (mut stereo, mut mono) = ([0i16; 2], [0i16; 1]);
//! read(&device, &mut stereo)?;
//! assert_eq!(stereo, [0x4000, 0x2000]);
//! stereo_to_mono(&stereo, &mut mono)?;
//! assert_eq!(mono, [0x3000]);
//! // And back, as floats.
//! let mut floats = [0.0f32];
//! write(&mono, &mut floats)?;
//! assert_eq!(floats, [0.375]);
//! # Ok::<(), FormatError>(())
//! ```

use core::fmt;

use crate::sample::Sample;

mod channels;
mod dither;

pub use channels::{
    Downmix, deinterleave, interleave, mean, mono_to_stereo, mono_to_stereo_in_place, stereo_to_mono,
    stereo_to_mono_in_place,
};
pub use dither::Dither;

/// The lengths of source and destination do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FormatError {
    /// Length that the destination (or one channel of it) needs, in its own units.
    pub need: usize,
    /// Length that it has.
    pub got: usize,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lengths do not match: {} needed, {} given", self.need, self.got)
    }
}

impl core::error::Error for FormatError {}

fn check(need: usize, got: usize) -> Result<(), FormatError> {
    if need == got { Ok(()) } else { Err(FormatError { need, got }) }
}

fn convert<A: Copy, B>(source: &[A], destination: &mut [B], mut one: impl FnMut(A) -> B) -> Result<(), FormatError> {
    check(source.len(), destination.len())?;
    for (to, &from) in destination.iter_mut().zip(source) {
        *to = one(from);
    }
    Ok(())
}

/// Rounds 32 bits to the top `BITS` of them, right-justified and saturated.
#[inline]
fn top_bits<const BITS: u32>(sample: i32) -> i32 {
    sample.saturating_add(1 << (31 - BITS)) >> (32 - BITS)
}

/// 24 bits, right-justified in a word of 32 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct I24(pub i32);

/// A sample as a sound card or a file holds it.
pub trait Encoding: Copy {
    /// Number of bits of an integer; for a float, that of its mantissa. No dither is added to a float.
    const BITS: u32;

    /// Converts to a sample: exact, or rounded and saturated.
    fn read<S: Sample>(self) -> S;

    /// Converts from a sample: exact, or rounded and saturated.
    fn write<S: Sample>(sample: S) -> Self;

    /// Converts from 32 bits, left-justified, to which dither was added. It is used for integers with fewer bits.
    fn from_dithered(sample: i32) -> Self;
}

impl Encoding for u8 {
    const BITS: u32 = 8;

    #[inline]
    fn read<S: Sample>(self) -> S {
        S::from_i32(i32::from(self ^ 0x80) << 24)
    }

    #[inline]
    fn write<S: Sample>(sample: S) -> Self {
        Self::from_dithered(sample.to_i32())
    }

    #[inline]
    fn from_dithered(sample: i32) -> Self {
        top_bits::<8>(sample) as Self ^ 0x80
    }
}

impl Encoding for i16 {
    const BITS: u32 = 16;

    #[inline]
    fn read<S: Sample>(self) -> S {
        S::from_i16(self)
    }

    #[inline]
    fn write<S: Sample>(sample: S) -> Self {
        sample.to_i16()
    }

    #[inline]
    fn from_dithered(sample: i32) -> Self {
        top_bits::<16>(sample) as Self
    }
}

impl Encoding for [u8; 3] {
    const BITS: u32 = 24;

    #[inline]
    fn read<S: Sample>(self) -> S {
        let [low, middle, high] = self;
        S::from_i32(i32::from_le_bytes([0, low, middle, high]))
    }

    #[inline]
    fn write<S: Sample>(sample: S) -> Self {
        Self::from_dithered(sample.to_i32())
    }

    #[inline]
    fn from_dithered(sample: i32) -> Self {
        let [low, middle, high, _] = top_bits::<24>(sample).to_le_bytes();
        [low, middle, high]
    }
}

impl Encoding for I24 {
    const BITS: u32 = 24;

    #[inline]
    fn read<S: Sample>(self) -> S {
        S::from_i32(self.0 << 8)
    }

    #[inline]
    fn write<S: Sample>(sample: S) -> Self {
        Self::from_dithered(sample.to_i32())
    }

    #[inline]
    fn from_dithered(sample: i32) -> Self {
        Self(top_bits::<24>(sample))
    }
}

impl Encoding for i32 {
    const BITS: u32 = 32;

    #[inline]
    fn read<S: Sample>(self) -> S {
        S::from_i32(self)
    }

    #[inline]
    fn write<S: Sample>(sample: S) -> Self {
        sample.to_i32()
    }

    #[inline]
    fn from_dithered(sample: i32) -> Self {
        sample
    }
}

impl Encoding for f32 {
    const BITS: u32 = 24;

    #[inline]
    fn read<S: Sample>(self) -> S {
        S::from_f32(self)
    }

    #[inline]
    fn write<S: Sample>(sample: S) -> Self {
        sample.to_f32()
    }

    #[inline]
    fn from_dithered(sample: i32) -> Self {
        <Self as Sample>::from_i32(sample)
    }
}

impl Encoding for f64 {
    const BITS: u32 = 53;

    #[inline]
    fn read<S: Sample>(self) -> S {
        S::from_f64(self)
    }

    #[inline]
    fn write<S: Sample>(sample: S) -> Self {
        sample.to_f64()
    }

    #[inline]
    fn from_dithered(sample: i32) -> Self {
        Self::from(sample) / 2_147_483_648.0
    }
}

/// Reads what a sound card or a file holds into samples.
///
/// # Errors
/// Returns a [`FormatError`] if the lengths differ.
pub fn read<E: Encoding, S: Sample>(source: &[E], destination: &mut [S]) -> Result<(), FormatError> {
    convert(source, destination, E::read)
}

/// Writes samples as a sound card or a file holds them.
///
/// # Errors
/// Returns a [`FormatError`] if the lengths differ.
pub fn write<S: Sample, E: Encoding>(source: &[S], destination: &mut [E]) -> Result<(), FormatError> {
    convert(source, destination, E::write)
}

/// As [`write()`], with dither where the target has fewer bits than the samples.
///
/// # Errors
/// Returns a [`FormatError`] if the lengths differ.
pub fn write_dithered<S: Sample, E: Encoding>(
    source: &[S],
    destination: &mut [E],
    dither: &mut Dither,
) -> Result<(), FormatError> {
    convert(source, destination, |sample| dithered(sample, dither))
}

/// Converts one sample as [`write_dithered`] does.
#[inline]
pub fn dithered<S: Sample, E: Encoding>(sample: S, dither: &mut Dither) -> E {
    if E::BITS >= S::BITS {
        return E::write(sample);
    }
    E::from_dithered(sample.to_i32().saturating_add(dither.noise(32 - E::BITS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGES: [i16; 7] = [i16::MIN, -12_345, -1, 0, 1, 12_345, i16::MAX];

    /// There and back through a format at least as wide must return the same samples.
    fn round_trip<S: Sample, U: Encoding + Default, const N: usize>(samples: [S; N]) -> [U; N] {
        let (mut units, mut back) = ([U::default(); N], [S::default(); N]);
        write(&samples, &mut units).unwrap();
        read(&units, &mut back).unwrap();
        assert_eq!(back, samples);
        assert_eq!(write(&samples, &mut units[1..]), Err(FormatError { need: N, got: N - 1 }));
        assert_eq!(read(&units[1..], &mut back), Err(FormatError { need: N - 1, got: N }));
        units
    }

    fn wide_formats<S: Sample>() {
        let samples = EDGES.map(S::from_i16);
        let packed = round_trip::<_, [u8; 3], 7>(samples);
        assert_eq!((packed[0], packed[1], packed[4]), ([0, 0, 0x80], [0, 0xc7, 0xcf], [0, 1, 0]));
        let words = round_trip::<_, I24, 7>(samples).map(|word| word.0);
        assert_eq!((words[0], words[2], words[6]), (-0x80_0000, -0x100, 0x7f_ff00));
        assert_eq!(round_trip::<_, i32, 7>(samples), EDGES.map(|x| i32::from(x) << 16));
        assert_eq!(round_trip::<_, i16, 7>(samples), EDGES);
        let bytes = [0u8, 1, 127, 128, 129, 255].map(|byte| {
            let mut sample = [S::default()];
            read(&[byte], &mut sample).unwrap();
            sample[0]
        });
        assert_eq!(round_trip::<_, u8, 6>(bytes), [0, 1, 127, 128, 129, 255]);
        assert_eq!(bytes.map(S::to_i16), [i16::MIN, -0x7f00, -0x100, 0, 0x100, 0x7f00]);
    }

    #[test]
    fn all_formats_both_ways() {
        wide_formats::<i16>();
        wide_formats::<f32>();
    }

    #[test]
    fn fewer_bits_round_and_saturate() {
        let mut bytes = [0u8; 5];
        write(&[i16::MAX, 0x7f, 0x80, -0x80, -0x81], &mut bytes).unwrap();
        assert_eq!(bytes, [255, 128, 129, 128, 127]);
        write(&[1.0f32, -1.0, 3.0, -3.0, f32::NAN], &mut bytes).unwrap();
        assert_eq!(bytes, [255, 0, 255, 0, 128]);
        let mut words = [I24(0); 5];
        write(&[1.0f32, -1.0, 0.6 / 8_388_608.0, 0.4 / 8_388_608.0, f32::NAN], &mut words).unwrap();
        assert_eq!(words.map(|word| word.0), [0x7f_ffff, -0x80_0000, 1, 0, 0]);
        let mut short = [0i16; 3];
        // The top byte of a 24-bit word is not part of it.
        read(&[0x00ff_ff00, 0x7f7f_ffff, 0x80].map(I24), &mut short).unwrap();
        assert_eq!(short, [-1, i16::MAX, 1]);
        read(&[i32::MAX, i32::MIN, 0x7fff], &mut short).unwrap();
        assert_eq!(short, [i16::MAX, i16::MIN, 0]);
    }

    #[test]
    fn floats_go_through_as_they_are() {
        let mut doubles = [0.0f64; 3];
        write(&[0.1f32, -7.5, 1e-30], &mut doubles).unwrap();
        assert_eq!(doubles, [0.1f32, -7.5, 1e-30].map(f64::from));
        let mut shorts = [0i16; 6];
        let half = 0.5 / 32_768.0;
        read(&[half, -half, 3.0 * half, -3.0 * half, 7.0, f64::NAN], &mut shorts).unwrap();
        assert_eq!(shorts, [1, 0, 2, -1, i16::MAX, 0]);
        let singles = [half, -half, 3.0 * half, -3.0 * half, 7.0, f64::NAN].map(|double| double as f32);
        read(&singles, &mut shorts).unwrap();
        assert_eq!(shorts, [1, 0, 2, -1, i16::MAX, 0]);
        write(&singles, &mut shorts).unwrap();
        assert_eq!(shorts, [1, 0, 2, -1, i16::MAX, 0]);
        round_trip::<_, f32, 7>(EDGES);
        round_trip::<_, f64, 7>(EDGES);
        round_trip::<_, f64, 7>(EDGES.map(f32::from_i16));
    }

    #[test]
    fn dither_keeps_what_lies_below_a_step_and_leaves_alone_what_loses_nothing() {
        let quiet = [0.3f32 / 32_768.0; 4_000];
        let (mut plain, mut dithered) = ([0i16; 4_000], [0i16; 4_000]);
        write(&quiet, &mut plain).unwrap();
        write_dithered(&quiet, &mut dithered, &mut Dither::new(1)).unwrap();
        assert_eq!(plain, [0; 4_000]);
        let sum: i32 = dithered.iter().map(|&x| i32::from(x)).sum();
        assert!((1_000..1_400).contains(&sum), "{sum}: 0.3 a sample");
        assert!(dithered.iter().all(|x| (-1..=1).contains(x)));
        let mut bytes = [0u8; 4_000];
        write_dithered(&[0x20i16; 4_000], &mut bytes, &mut Dither::new(1)).unwrap();
        let sum: i32 = bytes.iter().map(|&x| i32::from(x) - 128).sum();
        assert!((400..600).contains(&sum), "{sum}: an eighth a sample");
        let (mut words, mut same) = ([0i32; 7], [0i16; 7]);
        write_dithered(&EDGES, &mut words, &mut Dither::new(1)).unwrap();
        write_dithered(&EDGES, &mut same, &mut Dither::new(1)).unwrap();
        assert_eq!((words, same), (EDGES.map(|x| i32::from(x) << 16), EDGES));
        // Full scale is not left.
        write_dithered(&[1.0f32; 4_000], &mut dithered, &mut Dither::new(9)).unwrap();
        assert!(dithered.iter().all(|x| *x >= i16::MAX - 1));
    }
}
