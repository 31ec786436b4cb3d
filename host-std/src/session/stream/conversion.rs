//! Sound of one rate and number of channels made into another's, at the two ends of a stream: what the receivers give into
//! what the user hears, and what the user says into what the codec takes.
//!
//! Any two rates of 8 to 48 kHz, mono and stereo: of two channels the mean is one, and one stands for both. Sound is
//! resampled in as many channels as both sides have. Counts are exact: of `n` samples a channel come `n * to / from`,
//! rounded down over all that went in, so that a tick of 10 ms is a tick of 10 ms on both sides. Where both sides are the
//! same there is no conversion, no copy and no delay. Delay: the resampler's ([`Conversion::delay`]), 2 to 5 ms. Memory is
//! taken when it is made, and nowhere else.

use dsp_core::time::Duration;

use crate::resample::{ResampleError, Resampler};
use crate::session::outcome::CallError;

/// Samples a channel that are taken in or given in one go: 10 ms at 48 kHz.
pub(super) const PART: usize = 480;
/// The lowest and the highest rate of a call's sound, in Hz.
const RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=48_000;

/// What sound is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) struct Sound {
    pub(in crate::session) rate_hz: u32,
    /// 1, or 2 interleaved.
    pub(in crate::session) channels: u8,
}

impl Sound {
    /// What a user says that his sound is.
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

    /// How long so many samples a channel last.
    pub(super) fn duration(&self, samples: usize) -> Duration {
        Duration::from_samples(samples as u64, self.rate_hz)
    }
}

/// Makes sound `to` of sound `from`.
pub(super) struct Conversion {
    from: Sound,
    to: Sound,
    /// One for each channel that both have; none where the rates are the same.
    resamplers: Vec<Resampler>,
    /// Samples a channel that have gone in and not come out yet, times the rate that they come out at, in 1/`from` of one.
    owed: u64,
    /// A part of one channel.
    part: Box<[i16]>,
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
        let shared = if from.rate_hz == to.rate_hz { 0 } else { from.channels.min(to.channels) };
        let resamplers = (0..shared).map(|_| Resampler::new(from.rate_hz, to.rate_hz)).collect::<Result<_, _>>()?;
        Ok(Some(Self { from, to, resamplers, owed: 0, part: vec![0; PART].into() }))
    }

    pub(super) fn from(&self) -> Sound {
        self.from
    }

    pub(super) fn to(&self) -> Sound {
        self.to
    }

    /// The least samples a channel that must go in for so many to come out.
    pub(super) fn inputs(&self, outputs: usize) -> usize {
        let missing = (outputs as u64 * u64::from(self.from.rate_hz)).saturating_sub(self.owed);
        missing.div_ceil(u64::from(self.to.rate_hz)) as usize
    }

    /// The most samples a channel that come of so many at once.
    pub(super) fn most_outputs(&self, inputs: usize) -> usize {
        (inputs as u64 * u64::from(self.to.rate_hz)).div_ceil(u64::from(self.from.rate_hz)) as usize + 1
    }

    /// Takes in `input` and gives what comes of it, as far as `output` has room; both are interleaved. Samples a channel
    /// that were given.
    pub(super) fn convert(&mut self, input: &[i16], output: &mut [i16]) -> usize {
        let (theirs, ours) = (usize::from(self.from.channels), usize::from(self.to.channels));
        let given = self.count(input.len() / theirs, output.len() / ours);
        let output = &mut output[..given * ours];
        if self.resamplers.is_empty() {
            for (from, to) in input.chunks_exact(theirs).zip(output.chunks_exact_mut(ours)) {
                mix(from, to);
            }
            return given;
        }
        let shared = self.resamplers.len();
        for (channel, resampler) in self.resamplers.iter_mut().enumerate() {
            let mut places = output.chunks_exact_mut(ours);
            let mut last = 0;
            for frames in input.chunks(PART * theirs) {
                let part = &mut self.part[..frames.len() / theirs];
                for (sample, frame) in part.iter_mut().zip(frames.chunks_exact(theirs)) {
                    *sample = if shared == 1 { mean(frame) } else { frame[channel] };
                }
                resampler.push(part);
                loop {
                    let most = places.len().min(PART);
                    let made = resampler.pull(&mut self.part[..most]);
                    for (&sample, frame) in self.part[..made].iter().zip(&mut places) {
                        last = sample;
                        put(frame, channel, shared, sample);
                    }
                    if made == 0 {
                        break;
                    }
                }
            }
            // It gives as much as goes in, so that there is nothing left to fill.
            places.for_each(|frame| put(frame, channel, shared, last));
        }
        given
    }

    /// Time goes on by so many samples a channel that nothing is known of: how many would have come of them. What was
    /// before is forgotten.
    pub(super) fn skip(&mut self, inputs: usize) -> usize {
        self.resamplers.iter_mut().for_each(Resampler::reset);
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

    fn count(&mut self, inputs: usize, most: usize) -> usize {
        let from_hz = u64::from(self.from.rate_hz);
        self.owed += inputs as u64 * u64::from(self.to.rate_hz);
        let given = (self.owed / from_hz).min(most as u64);
        self.owed -= given * from_hz;
        given as usize
    }

    /// How much later a sound comes out than it went in.
    pub(super) fn delay(&self) -> Duration {
        let ms = self.resamplers.first().map_or(0.0, Resampler::delay_ms);
        Duration::from_micros((ms * 1e3) as u64)
    }

    /// Bytes on the heap, without the resamplers' own.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.part)
    }
}

/// One frame in other channels.
fn mix(from: &[i16], to: &mut [i16]) {
    if from.len() == to.len() { to.copy_from_slice(from) } else { to.fill(mean(from)) }
}

fn mean(frame: &[i16]) -> i16 {
    match frame {
        [sample] => *sample,
        _ => (frame.iter().map(|&sample| i32::from(sample)).sum::<i32>() / frame.len().max(1) as i32) as i16,
    }
}

fn put(frame: &mut [i16], channel: usize, shared: usize, sample: i16) {
    match shared {
        1 => frame.fill(sample),
        _ => frame[channel] = sample,
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
                let mut out = vec![0; wanted];
                assert_eq!(conversion.convert(&vec![0; inputs], &mut out), wanted);
                taken += inputs as u64;
                given += wanted as u64;
                assert_eq!(taken, (given * u64::from(from)).div_ceil(u64::from(to)), "{from} to {to}, tick {tick}");
            }
            // The other way: what comes of a tick, rounded down over all of them.
            let mut conversion = Conversion::new(sound(from, 2), sound(to, 1)).unwrap().unwrap();
            let mut total = 0;
            for n in 1..=500u64 {
                let mut out = vec![0; conversion.most_outputs(137)];
                total += conversion.convert(&[0; 2 * 137], &mut out) as u64;
                assert_eq!(total, n * 137 * u64::from(to) / u64::from(from));
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
