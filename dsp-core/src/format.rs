//! Sample formats and channels at the edge: what sound cards and files hold, to and from the core's `i16` and `f32`.
//!
//! Each format goes both ways for both kinds of [`Sample`]:
//!
//! | format | unit | layout |
//! |---|---|---|
//! | u8 | `u8` | offset binary, 128 is zero |
//! | i24 packed | `[u8; 3]` | two's complement, least significant byte first |
//! | i24 in 32 | `i32` | right-justified; the top byte is ignored when read and extends the sign when written |
//! | i32 | `i32` | two's complement, full scale 2^31 (also 24 bits left-justified in 32) |
//! | i16, f32 | themselves | full scale 2^15 and 1.0 |
//!
//! Towards fewer bits, values are rounded and saturated; NaN becomes 0. No dither. All lengths must match exactly;
//! on an error nothing is written. No delay, no state, no allocation. Integer to integer uses no float.

use core::fmt;

use crate::sample::Sample;

/// The lengths of source and destination do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FormatError {
    /// Length the destination (or one channel of it) needs, in its own units.
    pub need: usize,
    /// Length it has.
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

fn convert<A: Copy, B>(source: &[A], destination: &mut [B], one: impl Fn(A) -> B) -> Result<(), FormatError> {
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

/// Unsigned 8 bits to samples.
pub fn from_u8<S: Sample>(source: &[u8], destination: &mut [S]) -> Result<(), FormatError> {
    convert(source, destination, |byte| S::from_i32(i32::from(byte ^ 0x80) << 24))
}

/// Samples to unsigned 8 bits.
pub fn to_u8<S: Sample>(source: &[S], destination: &mut [u8]) -> Result<(), FormatError> {
    convert(source, destination, |sample| top_bits::<8>(sample.to_i32()) as u8 ^ 0x80)
}

/// Packed 24 bits to samples.
pub fn from_i24_packed<S: Sample>(source: &[[u8; 3]], destination: &mut [S]) -> Result<(), FormatError> {
    convert(source, destination, |[low, middle, high]| S::from_i32(i32::from_le_bytes([0, low, middle, high])))
}

/// Samples to packed 24 bits.
pub fn to_i24_packed<S: Sample>(source: &[S], destination: &mut [[u8; 3]]) -> Result<(), FormatError> {
    convert(source, destination, |sample| {
        let [low, middle, high, _] = top_bits::<24>(sample.to_i32()).to_le_bytes();
        [low, middle, high]
    })
}

/// 24 bits in words of 32 to samples.
pub fn from_i24_in_32<S: Sample>(source: &[i32], destination: &mut [S]) -> Result<(), FormatError> {
    convert(source, destination, |word| S::from_i32(word << 8))
}

/// Samples to 24 bits in words of 32.
pub fn to_i24_in_32<S: Sample>(source: &[S], destination: &mut [i32]) -> Result<(), FormatError> {
    convert(source, destination, |sample| top_bits::<24>(sample.to_i32()))
}

/// 32 bits to samples.
pub fn from_i32<S: Sample>(source: &[i32], destination: &mut [S]) -> Result<(), FormatError> {
    convert(source, destination, S::from_i32)
}

/// Samples to 32 bits.
pub fn to_i32<S: Sample>(source: &[S], destination: &mut [i32]) -> Result<(), FormatError> {
    convert(source, destination, S::to_i32)
}

/// 16 bits to samples.
pub fn from_i16<S: Sample>(source: &[i16], destination: &mut [S]) -> Result<(), FormatError> {
    convert(source, destination, S::from_i16)
}

/// Samples to 16 bits.
pub fn to_i16<S: Sample>(source: &[S], destination: &mut [i16]) -> Result<(), FormatError> {
    convert(source, destination, S::to_i16)
}

/// Channels side by side (`channels[c][frame]`) to one interleaved slice of `channels * frames`.
pub fn interleave<S: Sample>(channels: &[&[S]], interleaved: &mut [S]) -> Result<(), FormatError> {
    let frames = channels.first().map_or(0, |channel| channel.len());
    for channel in channels {
        check(frames, channel.len())?;
    }
    check(frames * channels.len(), interleaved.len())?;
    for (c, channel) in channels.iter().enumerate() {
        for (to, &from) in interleaved[c..].iter_mut().step_by(channels.len()).zip(*channel) {
            *to = from;
        }
    }
    Ok(())
}

/// One interleaved slice of `channels * frames` to channels side by side.
pub fn deinterleave<S: Sample>(interleaved: &[S], channels: &mut [&mut [S]]) -> Result<(), FormatError> {
    let count = channels.len();
    let frames = channels.first().map_or(0, |channel| channel.len());
    for channel in channels.iter() {
        check(frames, channel.len())?;
    }
    check(frames * count, interleaved.len())?;
    for (c, channel) in channels.iter_mut().enumerate() {
        for (to, &from) in channel.iter_mut().zip(interleaved[c..].iter().step_by(count)) {
            *to = from;
        }
    }
    Ok(())
}

/// Each sample twice: `mono` into interleaved `stereo` of twice the length.
pub fn mono_to_stereo<S: Sample>(mono: &[S], stereo: &mut [S]) -> Result<(), FormatError> {
    check(mono.len() * 2, stereo.len())?;
    for (pair, &sample) in stereo.as_chunks_mut().0.iter_mut().zip(mono) {
        *pair = [sample; 2];
    }
    Ok(())
}

/// The rounded mean of left and right: interleaved `stereo` into `mono` of half the length.
pub fn stereo_to_mono<S: Sample>(stereo: &[S], mono: &mut [S]) -> Result<(), FormatError> {
    check(stereo.len(), mono.len() * 2)?;
    for (sample, &[left, right]) in mono.iter_mut().zip(stereo.as_chunks().0) {
        *sample = left.average(right);
    }
    Ok(())
}

/// [`mono_to_stereo`] in place: the first half of `buffer` holds the mono sound, afterwards all of it the stereo.
pub fn mono_to_stereo_in_place<S: Sample>(buffer: &mut [S]) -> Result<(), FormatError> {
    let frames = buffer.len() / 2;
    check(frames * 2, buffer.len())?;
    // From the end, so that no sample is overwritten before it is read.
    for frame in (0..frames).rev() {
        let sample = buffer[frame];
        (buffer[2 * frame], buffer[2 * frame + 1]) = (sample, sample);
    }
    Ok(())
}

/// [`stereo_to_mono`] in place: returns the frames, which lie at the start of `buffer`; the rest is left over.
pub fn stereo_to_mono_in_place<S: Sample>(buffer: &mut [S]) -> Result<usize, FormatError> {
    let frames = buffer.len() / 2;
    check(frames * 2, buffer.len())?;
    for frame in 0..frames {
        buffer[frame] = buffer[2 * frame].average(buffer[2 * frame + 1]);
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGES: [i16; 7] = [i16::MIN, -12_345, -1, 0, 1, 12_345, i16::MAX];

    /// There and back through a format at least as wide must return the same samples.
    fn round_trip<S: Sample, U: Copy + Default, const N: usize>(
        samples: [S; N],
        to: fn(&[S], &mut [U]) -> Result<(), FormatError>,
        from: fn(&[U], &mut [S]) -> Result<(), FormatError>,
    ) -> [U; N] {
        let (mut units, mut back) = ([U::default(); N], [S::default(); N]);
        to(&samples, &mut units).unwrap();
        from(&units, &mut back).unwrap();
        assert_eq!(back, samples);
        assert_eq!(to(&samples, &mut units[1..]), Err(FormatError { need: N, got: N - 1 }));
        assert_eq!(from(&units[1..], &mut back), Err(FormatError { need: N - 1, got: N }));
        units
    }

    fn wide_formats<S: Sample>() {
        let samples = EDGES.map(S::from_i16);
        let packed = round_trip(samples, to_i24_packed, from_i24_packed);
        assert_eq!((packed[0], packed[1], packed[4]), ([0, 0, 0x80], [0, 0xc7, 0xcf], [0, 1, 0]));
        let words = round_trip(samples, to_i24_in_32, from_i24_in_32);
        assert_eq!((words[0], words[2], words[6]), (-0x80_0000, -0x100, 0x7f_ff00));
        assert_eq!(round_trip(samples, to_i32, from_i32), EDGES.map(|x| i32::from(x) << 16));
        assert_eq!(round_trip(samples, to_i16, from_i16), EDGES);
        let bytes = [0u8, 1, 127, 128, 129, 255].map(|byte| {
            let mut sample = [S::default()];
            from_u8(&[byte], &mut sample).unwrap();
            sample[0]
        });
        assert_eq!(round_trip(bytes, to_u8, from_u8), [0, 1, 127, 128, 129, 255]);
        assert_eq!(bytes.map(S::to_i16), [i16::MIN, -0x7f00, -0x100, 0, 0x100, 0x7f00]);
    }

    #[test]
    fn all_formats_both_ways() {
        wide_formats::<i16>();
        wide_formats::<f32>();
    }

    #[test]
    fn fewer_bits_round_and_saturate() {
        let mut bytes = [0; 5];
        to_u8(&[i16::MAX, 0x7f, 0x80, -0x80, -0x81], &mut bytes).unwrap();
        assert_eq!(bytes, [255, 128, 129, 128, 127]);
        to_u8(&[1.0f32, -1.0, 3.0, -3.0, f32::NAN], &mut bytes).unwrap();
        assert_eq!(bytes, [255, 0, 255, 0, 128]);
        let mut words = [0; 5];
        to_i24_in_32(&[1.0f32, -1.0, 0.6 / 8_388_608.0, 0.4 / 8_388_608.0, f32::NAN], &mut words).unwrap();
        assert_eq!(words, [0x7f_ffff, -0x80_0000, 1, 0, 0]);
        let mut short = [0; 3];
        // The top byte of a 24-bit word is not part of it.
        from_i24_in_32(&[0x00ff_ff00, 0x7f7f_ffffu32 as i32, 0x80], &mut short).unwrap();
        assert_eq!(short, [-1, i16::MAX, 1]);
        from_i32(&[i32::MAX, i32::MIN, 0x7fff], &mut short).unwrap();
        assert_eq!(short, [i16::MAX, i16::MIN, 0]);
    }

    fn channels<S: Sample>() {
        let [a, b, c] = [[1, 2], [3, 4], [5, 6]].map(|pair| pair.map(S::from_i16));
        let mut together = [S::default(); 6];
        interleave(&[&a, &b, &c], &mut together).unwrap();
        assert_eq!(together.map(S::to_i16), [1, 3, 5, 2, 4, 6]);
        let (mut x, mut y, mut z) = ([S::default(); 2], [S::default(); 2], [S::default(); 2]);
        deinterleave(&together, &mut [&mut x, &mut y, &mut z]).unwrap();
        assert_eq!([x, y, z], [a, b, c]);
        assert_eq!(interleave(&[&a, &b[..1]], &mut together), Err(FormatError { need: 2, got: 1 }));
        assert_eq!(interleave(&[&a, &b], &mut together), Err(FormatError { need: 4, got: 6 }));
        assert_eq!(deinterleave(&together, &mut [&mut x, &mut y]), Err(FormatError { need: 4, got: 6 }));
        assert_eq!(deinterleave(&[], &mut [] as &mut [&mut [S]]), Ok(()));
        assert_eq!(interleave(&[] as &[&[S]], &mut []), Ok(()));

        let mono = [10, -20, i16::MIN].map(S::from_i16);
        let mut stereo = [S::default(); 6];
        mono_to_stereo(&mono, &mut stereo).unwrap();
        assert_eq!(stereo.map(S::to_i16), [10, 10, -20, -20, i16::MIN, i16::MIN]);
        let mut in_place = [mono[0], mono[1], mono[2], mono[0], mono[0], mono[0]];
        mono_to_stereo_in_place(&mut in_place).unwrap();
        assert_eq!(in_place, stereo);
        let mut back = [S::default(); 3];
        stereo_to_mono(&stereo, &mut back).unwrap();
        assert_eq!(back, mono);
        let mut halves = [8, 2, -8, -2, i16::MAX, i16::MIN + 1].map(S::from_i16);
        assert_eq!(stereo_to_mono_in_place(&mut halves), Ok(3));
        assert_eq!([halves[0], halves[1], halves[2]].map(S::to_i16), [5, -5, 0]);
        assert_eq!(mono_to_stereo(&mono, &mut stereo[1..]), Err(FormatError { need: 6, got: 5 }));
        assert_eq!(stereo_to_mono(&stereo[1..], &mut back), Err(FormatError { need: 5, got: 6 }));
        assert_eq!(stereo_to_mono_in_place(&mut stereo[1..]), Err(FormatError { need: 4, got: 5 }));
        assert_eq!(mono_to_stereo_in_place(&mut stereo[1..]), Err(FormatError { need: 4, got: 5 }));
    }

    #[test]
    fn channels_both_ways() {
        channels::<i16>();
        channels::<f32>();
    }
}
