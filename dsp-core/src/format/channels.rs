//! Channels: interleaving, mono and stereo, and mixing many channels down with the coefficients of ITU-R BS.775.

use super::{FormatError, check};
use crate::kernel::{Kernel, tap};
use crate::sample::Sample;

/// Interleaves channels (`channels[c][frame]`) into one slice of `channels * frames` samples.
///
/// # Errors
/// Returns a [`FormatError`] if the channels have different lengths, or `interleaved` does not have their total
/// length.
pub fn interleave<S: Sample>(channels: &[&[S]], interleaved: &mut [S]) -> Result<(), FormatError> {
    let frames = channels.first().map_or(0, |channel| channel.len());
    for channel in channels {
        check(frames, channel.len())?;
    }
    check(frames * channels.len(), interleaved.len())?;
    for (c, channel) in channels.iter().enumerate() {
        for (to, &from) in interleaved.iter_mut().skip(c).step_by(channels.len()).zip(*channel) {
            *to = from;
        }
    }
    Ok(())
}

/// Separates one interleaved slice of `channels * frames` samples into its channels.
///
/// # Errors
/// Returns a [`FormatError`] if the channels have different lengths, or `interleaved` does not have their total
/// length.
pub fn deinterleave<S: Sample>(interleaved: &[S], channels: &mut [&mut [S]]) -> Result<(), FormatError> {
    let count = channels.len();
    let frames = channels.first().map_or(0, |channel| channel.len());
    for channel in channels.iter() {
        check(frames, channel.len())?;
    }
    check(frames * count, interleaved.len())?;
    for (c, channel) in channels.iter_mut().enumerate() {
        for (to, &from) in channel.iter_mut().zip(interleaved.iter().skip(c).step_by(count)) {
            *to = from;
        }
    }
    Ok(())
}

/// Copies each sample of `mono` to both channels of interleaved `stereo`.
///
/// # Errors
/// Returns a [`FormatError`] if `stereo` is not twice as long as `mono`.
pub fn mono_to_stereo<S: Sample>(mono: &[S], stereo: &mut [S]) -> Result<(), FormatError> {
    check(mono.len() * 2, stereo.len())?;
    for (pair, &sample) in stereo.as_chunks_mut().0.iter_mut().zip(mono) {
        *pair = [sample; 2];
    }
    Ok(())
}

/// Takes the rounded mean of left and right of interleaved `stereo` into `mono`.
///
/// # Errors
/// Returns a [`FormatError`] if `mono` is not half as long as `stereo`.
pub fn stereo_to_mono<S: Sample>(stereo: &[S], mono: &mut [S]) -> Result<(), FormatError> {
    check(stereo.len(), mono.len() * 2)?;
    for (sample, &[left, right]) in mono.iter_mut().zip(stereo.as_chunks().0) {
        *sample = left.average(right);
    }
    Ok(())
}

/// [`mono_to_stereo`] in place: the mono sound in the first half of `buffer` becomes stereo sound in all of it.
///
/// # Errors
/// Returns a [`FormatError`] if `buffer` has an odd length.
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

/// [`stereo_to_mono`] in place: returns the number of frames, which lie at the start of `buffer` afterwards.
///
/// # Errors
/// Returns a [`FormatError`] if `buffer` has an odd length.
pub fn stereo_to_mono_in_place<S: Sample>(buffer: &mut [S]) -> Result<usize, FormatError> {
    let frames = buffer.len() / 2;
    check(frames * 2, buffer.len())?;
    for frame in 0..frames {
        buffer[frame] = buffer[2 * frame].average(buffer[2 * frame + 1]);
    }
    Ok(frames)
}

/// The most channels that have places of their own.
const MOST: usize = 8;
/// -3 dB, as ITU-R BS.775-3, annex 4, has the centre and the surround channels.
const HALF_POWER: f64 = core::f64::consts::FRAC_1_SQRT_2;

/// Mixes many channels down to one or two, by ITU-R BS.775-3 (annex 4, table 2), scaled so that nothing overloads.
///
/// Channels are in the order of WAV files and sound cards: 3 are L R C, 4 are L R Ls Rs, 5 are L R C Ls Rs, 6 (5.1)
/// are L R C LFE Ls Rs, 7 are L R C LFE Cs Ls Rs, 8 (7.1) are L R C LFE Lb Rb Ls Rs. The low-frequency channel is left
/// out, as the recommendation says. More than 8 channels have no known places: their mean is taken. Two channels to
/// one are their mean; one channel to two is in both.
///
/// ```
/// use dsp_core::format::Downmix;
///
/// // A sound card with 5.1 channels, for a mono call: somebody speaks in the center.
/// let downmix = Downmix::<f32>::new(6, 1);
/// let mut mono = [0.0];
/// downmix.process(&[0.0, 0.0, 0.5, 0.0, 0.0, 0.0], &mut mono)?;
/// assert!(mono[0] > 0.1 && mono[0] < 0.5);
/// # Ok::<(), dsp_core::format::FormatError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Downmix<S: Kernel> {
    channels: usize,
    /// Weights of each channel, for left (or the only channel) and right.
    weights: [[S::Tap; MOST]; 2],
}

/// What a channel gives to left and to right, of `channels` in all.
fn gains(channels: usize, channel: usize) -> [f64; 2] {
    const LEFT: [f64; 2] = [1.0, 0.0];
    const RIGHT: [f64; 2] = [0.0, 1.0];
    const CENTRE: [f64; 2] = [HALF_POWER; 2];
    const SURROUND_LEFT: [f64; 2] = [HALF_POWER, 0.0];
    const SURROUND_RIGHT: [f64; 2] = [0.0, HALF_POWER];
    // A surround channel in the middle: half as loud to each side.
    const BACK: [f64; 2] = [0.5; 2];
    match (channels, channel) {
        (1, _) => [1.0; 2],
        (_, 0) => LEFT,
        (_, 1) => RIGHT,
        (4, 2) => SURROUND_LEFT,
        (4, _) => SURROUND_RIGHT,
        (_, 2) => CENTRE,
        (5, 3) => SURROUND_LEFT,
        (5, _) => SURROUND_RIGHT,
        (_, 3) => [0.0; 2],
        (7, 4) => BACK,
        (6, 4) | (7, 5) | (8, 4 | 6) => SURROUND_LEFT,
        _ => SURROUND_RIGHT,
    }
}

impl<S: Kernel> Downmix<S> {
    /// A mix of this many interleaved channels to 1 or 2.
    pub fn new(channels: usize, to: usize) -> Self {
        let gains: [[f64; 2]; MOST] = core::array::from_fn(|channel| match gains(channels, channel) {
            _ if channel >= channels => [0.0; 2],
            // One channel is left and right with 3 dB less each, which gives the recommendation's 1/0 mix.
            [left, right] if to == 1 => [(left + right) * HALF_POWER; 2],
            sides => sides,
        });
        let real = [gains.map(|[left, _]| left), gains.map(|[_, right]| right)];
        let weights = real.map(|row| {
            let sum = row.iter().fold(0.0, |sum, gain| sum + gain);
            row.map(|gain| S::tap(tap(if sum > 0.0 { gain / sum } else { 0.0 })))
        });
        Self { channels, weights }
    }

    /// Left and right of one frame; twice the same value for one channel.
    #[inline]
    pub fn frame(&self, frame: &[S]) -> [S; 2] {
        if self.channels > MOST {
            return [mean(frame.iter().copied()); 2];
        }
        self.weights.map(|weights| {
            let sum = frame
                .iter()
                .zip(weights)
                .fold(S::Acc::default(), |acc, (sample, weight)| S::mac(acc, sample.widen(), weight));
            S::narrow(S::settle(&mut { sum }))
        })
    }

    /// Mixes the interleaved frames of `from` into those of `to`.
    ///
    /// # Errors
    /// Returns a [`FormatError`] if `to` has neither as many samples as `from` has frames nor twice as many.
    pub fn process(&self, from: &[S], to: &mut [S]) -> Result<(), FormatError> {
        let frames = from.len() / self.channels.max(1);
        check(frames * self.channels, from.len())?;
        let from = from.chunks_exact(self.channels.max(1));
        if to.len() == 2 * frames {
            to.as_chunks_mut().0.iter_mut().zip(from).for_each(|(to, from)| *to = self.frame(from));
            return Ok(());
        }
        check(frames, to.len())?;
        to.iter_mut().zip(from).for_each(|(to, from)| *to = self.frame(from)[0]);
        Ok(())
    }
}

/// The rounded mean of all channels of a frame.
pub fn mean<S: Kernel, I: ExactSizeIterator<Item = S>>(frame: I) -> S {
    let share = S::tap(tap(1.0 / frame.len().max(1) as f64));
    let mut sum = frame.fold(S::Acc::default(), |acc, sample| S::mac(acc, sample.widen(), share));
    S::narrow(S::settle(&mut sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channels<S: Sample>() {
        let [a, b, c] = [[1, 2], [3, 4], [5, 6]].map(|pair| pair.map(S::from_i16));
        let mut together = [S::default(); 6];
        interleave(&[&a, &b, &c], &mut together).unwrap();
        assert_eq!(together.map(S::to_i16), [1, 3, 5, 2, 4, 6]);
        // No frames are no error.
        assert_eq!(interleave::<S>(&[&[], &[], &[]], &mut []), Ok(()));
        assert_eq!(deinterleave::<S>(&[], &mut [&mut [], &mut [], &mut []]), Ok(()));
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

    fn mixed(frame: &[i16], to: usize) -> [i16; 2] {
        let floats: std::vec::Vec<f32> = frame.iter().map(|&x| f32::from_i16(x)).collect();
        let mixed = Downmix::new(frame.len(), to).frame(frame);
        let float = Downmix::new(frame.len(), to).frame(&floats).map(f32::to_i16);
        assert!(mixed.iter().zip(float).all(|(a, b)| (a - b).abs() <= 1), "{frame:?}: {mixed:?} {float:?}");
        mixed
    }

    #[test]
    fn many_channels_are_mixed_as_the_recommendation_says() {
        // 5.1 to two: L + 0.7071 C + 0.7071 Ls, by their sum of 2.4142.
        assert_eq!(mixed(&[10_000, 0, 0, 0, 0, 0], 2), [4_142, 0]);
        assert_eq!(mixed(&[0, 0, 10_000, 0, 0, 0], 2), [2_929, 2_929]);
        assert_eq!(mixed(&[0, 0, 0, 30_000, 0, 0], 2), [0, 0]);
        assert_eq!(mixed(&[0, 0, 0, 0, 0, 10_000], 2), [0, 2_929]);
        // To one: 0.7071 L + 0.7071 R + C + 0.5 Ls + 0.5 Rs, by 3.4142.
        assert_eq!(
            [0, 1, 2, 4, 5].map(|n| mixed(&core::array::from_fn::<_, 6, _>(|m| if m == n { 10_000 } else { 0 }), 1)[0]),
            [2_071, 2_071, 2_929, 1_464, 1_464]
        );
        // What is in all of them stays as loud, and nothing overloads.
        for channels in 1..=12 {
            for to in [1, 2] {
                assert_eq!(mixed(&std::vec![12_345; channels], to), [12_345; 2], "{channels}");
                assert_eq!(mixed(&std::vec![i16::MIN; channels], to), [i16::MIN; 2], "{channels}");
            }
        }
        assert_eq!(mixed(&[10, -5], 1), [3; 2]);
        assert_eq!(mixed(&[10, -5], 2), [10, -5]);
        assert_eq!(mixed(&[7], 2), [7; 2]);
    }

    #[test]
    fn frames_are_mixed_in_one_go() {
        let mixer = Downmix::<i16>::new(3, 2);
        let mut stereo = [0; 4];
        mixer.process(&[100, 0, 0, 0, 100, 0], &mut stereo).unwrap();
        assert_eq!(stereo, [59, 0, 0, 59]);
        let mut mono = [0; 2];
        Downmix::new(2, 1).process(&[100, 50, -100, -50], &mut mono).unwrap();
        assert_eq!(mono, [75, -75]);
        assert_eq!(mixer.process(&[1, 2, 3], &mut mono[..0]), Err(FormatError { need: 1, got: 0 }));
        assert_eq!(mixer.process(&[1, 2], &mut mono[..0]), Err(FormatError { need: 0, got: 2 }));
    }
}
