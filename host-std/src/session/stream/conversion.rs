//! The conversion of sound to another rate and number of channels, at the two ends of a stream: from the receivers' sound to the
//! user's, and from the user's to the codec's.
//!
//! Any two rates of 8 to 48 kHz, mono and stereo: two channels are averaged to one, and one is copied to two. Sound is resampled
//! in as many channels as both sides have. Counts are exact: `n` samples a channel become `n * to / from`, rounded up over the
//! whole input, so that a tick of 10 ms is a tick of 10 ms on both sides. Where both sides are the same there is no conversion,
//! no copy and no delay. Delay: the resampler's ([`Conversion::delay`]), 32 samples of the lower rate: 4 ms at 8 kHz, 0.7 ms from
//! 44.1 to 48 kHz. Memory is allocated when it is made, and nowhere else.

use dsp_core::format::{deinterleave, mono_to_stereo, stereo_to_mono};
use dsp_core::process::resample::ResampleError;
use dsp_core::time::Duration;

use crate::designs::{Channel, Resampling};
use crate::session::outcome::CallError;

/// Samples a channel that are taken in or given in one go: 10 ms at 48 kHz.
pub(super) const PART: usize = 480;
/// Samples that wait for room at most: of one of the input at 8 kHz six come at 48 kHz.
pub(super) const SPARE: usize = 8;
/// The lowest and the highest rate of a call's sound, in Hz.
const RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=48_000;

/// The format of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) struct Sound {
    pub(in crate::session) rate_hz: u32,
    /// 1, or 2 interleaved.
    pub(in crate::session) channels: u8,
}

impl Sound {
    /// Checks the format that a user has given for his sound.
    ///
    /// # Errors
    /// [`CallError::Sound`] if it's neither mono nor stereo, or not of 8 to 48 kHz.
    pub(in crate::session) fn checked((sample_rate_hz, channels): (u32, u8)) -> Result<Self, CallError> {
        if !RATES_HZ.contains(&sample_rate_hz) || !(1..=2).contains(&channels) {
            return Err(CallError::Sound { sample_rate_hz, channels });
        }
        Ok(Self { rate_hz: sample_rate_hz, channels })
    }

    /// Samples a channel of `samples` of all channels together.
    pub(super) fn a_channel(&self, samples: usize) -> usize {
        samples / usize::from(self.channels.max(1))
    }

    /// Returns the duration of this many samples a channel.
    pub(super) fn duration(&self, samples: usize) -> Duration {
        Duration::from_samples(samples as u64, self.rate_hz)
    }
}

/// Makes sound `to` of sound `from`.
pub(super) struct Conversion {
    from: Sound,
    to: Sound,
    /// The filter, where the rates differ, and a filter channel for each channel that both sides have.
    resampling: Option<(Resampling, Vec<Channel>)>,
    /// The distance of the next output sample from the end of the input, in samples of the input times the rate of the output.
    /// Above zero one can be made; the least value is minus the rate of the input.
    ahead: i64,
    /// Whether the sound just before is unknown.
    stale: bool,
    /// A part of each channel in, and of one out.
    input: Box<[i16]>,
    output: Box<[i16]>,
}

impl Conversion {
    /// `None` where nothing is to be done.
    ///
    /// # Errors
    /// [`ResampleError`] for rates that can't be brought together.
    pub(super) fn new(from: Sound, to: Sound) -> Result<Option<Self>, ResampleError> {
        if from == to {
            return Ok(None);
        }
        let mut resampling = None;
        if from.rate_hz != to.rate_hz {
            let filter = Resampling::new(from.rate_hz, to.rate_hz)?;
            let channels =
                (0..from.channels.min(to.channels)).map(|_| filter.channel(PART)).collect::<Result<_, _>>()?;
            resampling = Some((filter, channels));
        }
        let mut own = Self { from, to, resampling, ahead: 0, stale: false, input: [].into(), output: [].into() };
        if own.resampling.is_some() {
            (own.input, own.output) =
                (vec![0; PART * own.shared()].into(), vec![0; own.most_outputs(PART) + SPARE].into());
        }
        Ok(Some(own))
    }

    pub(super) fn from(&self) -> Sound {
        self.from
    }

    pub(super) fn to(&self) -> Sound {
        self.to
    }

    /// Returns the least input, in samples a channel, that produces this many output samples.
    pub(super) fn inputs(&self, outputs: usize) -> usize {
        // This is the distance of the last of them from the end of the present input.
        let last = (outputs as i64 - 1) * i64::from(self.from.rate_hz) - self.ahead;
        if outputs == 0 || last < 0 { 0 } else { (last / i64::from(self.to.rate_hz)) as usize + 1 }
    }

    /// The most samples a channel that [`inputs`](Self::inputs) asks for.
    pub(super) fn most_inputs(&self, outputs: usize) -> usize {
        // The previous output sample is before the end of the input by less than one output sample.
        (outputs as u64 * u64::from(self.from.rate_hz)).div_ceil(u64::from(self.to.rate_hz)) as usize
    }

    /// Returns the most output, in samples a channel, that this much input can produce at once.
    pub(super) fn most_outputs(&self, inputs: usize) -> usize {
        (inputs as u64 * u64::from(self.to.rate_hz)).div_ceil(u64::from(self.from.rate_hz)) as usize + 1
    }

    /// Takes in `input` and writes its output as far as `output` has room; both are interleaved. Returns the samples a channel
    /// that were written.
    pub(super) fn convert(&mut self, input: &[i16], output: &mut [i16]) -> usize {
        self.convert_parts(input, output, false)
    }

    /// The same, but what `output` has no room for is left out, and doesn't wait.
    pub(super) fn convert_all(&mut self, input: &[i16], output: &mut [i16]) -> usize {
        self.convert_parts(input, output, true)
    }

    fn convert_parts(&mut self, input: &[i16], output: &mut [i16], all: bool) -> usize {
        if std::mem::take(&mut self.stale) {
            self.reset();
        }
        let (theirs, ours) = (usize::from(self.from.channels), usize::from(self.to.channels));
        let room = output.len() / ours;
        let due = self.count(input.len() / theirs, if all { usize::MAX } else { room });
        let given = due.min(room);
        let output = &mut output[..given * ours];
        if self.resampling.is_none() {
            // The rates are the same, so the channels differ.
            let input = &input[..given * theirs];
            let mixed = if ours == 2 { mono_to_stereo(input, output) } else { stereo_to_mono(input, output) };
            debug_assert_eq!(mixed, Ok(()), "{:?} to {:?}", self.from, self.to);
            return given;
        }
        let mut made = 0;
        // Output that had no room the last time comes first, also without any input.
        for frames in input.chunks(PART * theirs).chain(input.is_empty().then_some(&[][..])) {
            self.take(frames);
            let to = made.min(given) * ours;
            made += self.give(frames.len() / theirs, due - made, &mut output[to..]);
        }
        debug_assert_eq!(made, due, "of {} from {:?} to {:?}", input.len(), self.from, self.to);
        given
    }

    /// Returns whether the output never overwrites input that hasn't been read yet when the input is at the end of the same
    /// buffer: [`convert_in_place`](Self::convert_in_place).
    pub(super) fn fits_in_place(&self) -> bool {
        let ratio = self.to.rate_hz / self.from.rate_hz;
        ratio >= 2 && self.to.rate_hz.is_multiple_of(self.from.rate_hz) && self.to.channels >= self.from.channels
    }

    /// Does the same as [`convert`](Self::convert), for this many samples a channel at the end of `pcm`, which is filled.
    pub(super) fn convert_in_place(&mut self, pcm: &mut [i16], inputs: usize) -> usize {
        if std::mem::take(&mut self.stale) {
            self.reset();
        }
        let (theirs, ours) = (usize::from(self.from.channels), usize::from(self.to.channels));
        let (given, begin) = (self.count(inputs, pcm.len() / ours), pcm.len() - inputs * theirs);
        let (mut taken, mut made) = (0, 0);
        while taken < inputs {
            let part = PART.min(inputs - taken);
            self.take(&pcm[begin + taken * theirs..][..part * theirs]);
            taken += part;
            made += self.give(part, given - made, &mut pcm[made * ours..given * ours]);
        }
        given
    }

    /// Sorts a part by the channels that both sides have.
    fn take(&mut self, frames: &[i16]) {
        let (theirs, shared) = (usize::from(self.from.channels), self.shared());
        let part = frames.len() / theirs;
        let (first, second) = self.input.split_at_mut(PART);
        let (first, second) = (&mut first[..part], second.get_mut(..part).unwrap_or_default());
        let sorted = match (theirs, shared) {
            (1, _) => {
                first.copy_from_slice(frames);
                Ok(())
            }
            (_, 1) => stereo_to_mono(frames, first),
            _ => deinterleave(frames, &mut [first, second]),
        };
        debug_assert_eq!(sorted, Ok(()), "{:?} to {:?}", self.from, self.to);
    }

    /// Makes the output of the part that was taken, at most `most`, and writes as much as `output` has room for. Returns the
    /// samples a channel that were made.
    fn give(&mut self, part: usize, most: usize, output: &mut [i16]) -> usize {
        let (ours, shared) = (usize::from(self.to.channels), self.shared());
        let Some((filter, channels)) = &mut self.resampling else { return 0 };
        let most = most.min(self.output.len());
        let mut made = 0;
        for (index, (channel, input)) in channels.iter_mut().zip(self.input.chunks_exact(PART)).enumerate() {
            made = filter.run(channel, &input[..part], &mut self.output[..most]);
            for (&sample, frame) in self.output[..made].iter().zip(output.chunks_exact_mut(ours)) {
                match shared {
                    1 => frame.fill(sample),
                    _ => frame[index] = sample,
                }
            }
        }
        made
    }

    /// Channels that both sides have.
    fn shared(&self) -> usize {
        self.from.channels.min(self.to.channels).into()
    }

    /// Advances by this many samples a channel of unknown sound and returns how many they would have produced. The sound before
    /// is forgotten.
    pub(super) fn skip(&mut self, inputs: usize) -> usize {
        self.stale = true;
        self.count(inputs, usize::MAX)
    }

    /// Begins as if `history` had just gone through.
    pub(super) fn prime(&mut self, history: &[i16]) {
        let channels = usize::from(self.from.channels);
        let mut thrown = vec![0; self.most_outputs(PART) * usize::from(self.to.channels)];
        for frames in history.chunks(PART * channels) {
            self.convert(frames, &mut thrown);
        }
    }

    /// Restarts in silence.
    pub(super) fn reset(&mut self) {
        self.ahead = 0;
        for channel in self.resampling.iter_mut().flat_map(|(_, channels)| channels) {
            channel.reset();
        }
    }

    fn count(&mut self, inputs: usize, most: usize) -> usize {
        let from_hz = i64::from(self.from.rate_hz);
        self.ahead += inputs as i64 * i64::from(self.to.rate_hz);
        // Rounded up.
        let there = if self.ahead > 0 { (self.ahead + from_hz - 1) / from_hz } else { 0 };
        let given = (there as usize).min(most);
        self.ahead -= given as i64 * from_hz;
        given
    }

    /// Returns the delay from input to output.
    pub(super) fn delay(&self) -> Duration {
        self.resampling.as_ref().map_or(Duration::ZERO, |(filter, _)| filter.delay())
    }

    /// Returns the same in samples of the input.
    pub(super) fn delay_samples(&self) -> usize {
        self.resampling.as_ref().map_or(0, |(filter, _)| filter.delay_samples())
    }

    /// Bytes on the heap. The filter is shared by all calls.
    pub(super) fn memory_bytes(&self) -> usize {
        let channels = self
            .resampling
            .as_ref()
            .map_or(0, |(filter, channels)| channels.len() * (size_of::<Channel>() + filter.channel_bytes(PART)));
        channels + size_of_val(&*self.input) + size_of_val(&*self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(rate_hz: u32, channels: u8) -> Sound {
        Sound { rate_hz, channels }
    }

    /// A sine of 440 Hz on the left; twice as low and half as loud on the right.
    fn sine(sound: Sound, from: usize, samples: usize) -> Vec<i16> {
        let at = |n: usize, hz: f64| (n as f64 / f64::from(sound.rate_hz) * hz * std::f64::consts::TAU).sin();
        let frame = |n: usize| [at(n, 440.0) * 12_000.0, at(n, 220.0) * 6_000.0];
        (from..from + samples)
            .flat_map(|n| frame(n).into_iter().take(sound.channels.into()))
            .map(|sample| sample.round() as i16)
            .collect()
    }

    fn largest_step(pcm: &[i16], channels: u8) -> u32 {
        let channels = usize::from(channels);
        pcm.iter().zip(&pcm[channels..]).map(|(a, b)| a.abs_diff(*b).into()).max().unwrap_or(0)
    }

    #[test]
    fn a_tick_is_a_tick_on_both_sides_and_no_sample_is_lost() {
        for (from, to) in
            [(8_000, 44_100), (44_100, 8_000), (48_000, 44_100), (44_100, 48_000), (11_025, 48_000), (48_000, 8_000)]
        {
            let mut conversion = Conversion::new(sound(from, 1), sound(to, 1)).unwrap().unwrap();
            let (mut taken, mut given) = (0u64, 0u64);
            for tick in 0..500u64 {
                let upto = |rate: u32, tick: u64| tick * u64::from(rate) / 100;
                let wanted = (upto(to, tick + 1) - upto(to, tick)) as usize;
                let inputs = conversion.inputs(wanted);
                assert!(inputs <= conversion.most_inputs(wanted));
                let mut out = vec![0; wanted];
                assert_eq!(conversion.convert(&vec![0; inputs], &mut out), wanted);
                taken += inputs as u64;
                given += wanted as u64;
                assert_eq!(taken, (given - 1) * u64::from(from) / u64::from(to) + 1, "{from} to {to}, tick {tick}");
            }
            // The other way: what comes of a tick, rounded up over all of them.
            let mut conversion = Conversion::new(sound(from, 2), sound(to, 1)).unwrap().unwrap();
            let mut total = 0;
            for n in 1..=500u64 {
                let mut out = vec![0; conversion.most_outputs(137)];
                total += conversion.convert(&[0; 2 * 137], &mut out) as u64;
                assert_eq!(total, (n * 137 * u64::from(to)).div_ceil(u64::from(from)));
            }
            assert_eq!(conversion.skip(from as usize), to as usize);
        }
        assert!(Conversion::new(sound(8_000, 1), sound(8_000, 1)).unwrap().is_none());
    }

    #[test]
    fn sound_keeps_its_level_and_has_no_step_larger_than_its_own() {
        for (from, to) in [(8_000, 44_100), (44_100, 48_000), (48_000, 8_000), (16_000, 16_000)] {
            for (theirs, ours) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
                let (from, to) = (sound(from, theirs), sound(to, ours));
                let Some(mut conversion) = Conversion::new(from, to).unwrap() else { continue };
                let input = sine(from, 0, from.rate_hz as usize);
                let mut out = vec![0; to.rate_hz as usize * usize::from(ours)];
                assert_eq!(conversion.convert(&input, &mut out), to.rate_hz as usize);
                let steady = &out[to.rate_hz as usize / 10 * usize::from(ours)..];
                assert!(steady.chunks(1_000).all(|part| part.iter().any(|sample| *sample > 3_000)));
                let left = steady.iter().step_by(ours.into()).map(|sample| sample.unsigned_abs()).max().unwrap();
                let right = steady.iter().skip(1).step_by(2).map(|sample| sample.unsigned_abs()).max();
                let (left_level, right_level) = match (theirs, ours) {
                    (1, _) => (12_000..=12_000, 12_000),
                    (_, 2) => (12_000..=12_000, 6_000),
                    // A sum of two sines, halved.
                    _ => (7_000..=9_000, 0),
                };
                assert!((*left_level.start() - 30..=*left_level.end() + 30).contains(&left), "{from:?} {to:?} {left}");
                assert!(ours == 1 || right.is_some_and(|right| right.abs_diff(right_level) < 30), "{right:?}");
                let own = (440.0 * std::f64::consts::TAU / f64::from(to.rate_hz) * 12_000.0).ceil() as u32 + 2;
                assert!(largest_step(steady, ours) <= own, "{from:?} {to:?}");
            }
        }
    }

    #[test]
    fn one_that_is_primed_goes_on_as_if_it_had_been_there() {
        let (from, to) = (sound(44_100, 2), sound(16_000, 2));
        let input = sine(from, 0, 44_100);
        let mut whole = Conversion::new(from, to).unwrap().unwrap();
        let mut expected = vec![0; 32_000];
        whole.convert(&input, &mut expected);
        let mut late = Conversion::new(from, to).unwrap().unwrap();
        // 20 ms before the middle of the second.
        late.prime(&input[2 * (22_050 - 882)..2 * 22_050]);
        let mut out = vec![0; 16_000];
        assert_eq!(late.convert(&input[2 * 22_050..], &mut out), 8_000);
        let off = out.iter().zip(&expected[16_000..]).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(off < Some(40), "{off:?}");
        assert!(late.delay() > Duration::ZERO);
    }
}
