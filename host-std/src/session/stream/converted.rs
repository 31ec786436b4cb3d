//! A codec whose sound is not the call's: heard all the same when the other side changes to it within the stream.
//!
//! An answer may leave several codecs open, and whoever gets it may be sent any of them at any time (RFC 3264, 6.1). The
//! receiver has one rate and one clock, those of the first: another codec's sound is resampled behind its decoder, and its
//! timestamps count in the receiver's clock, if that is a multiple of its own. What is lost is concealed in the waveform.
//! Delay: the resampler's, 2 to 5 ms.

use dsp_core::codec::{CodecInfo, DecodeError, Decoder};

use crate::resample::{ResampleError, Resampler};

/// The longest payload: 120 ms at 48 kHz, stereo.
const MOST_SAMPLES: usize = 11_520;
/// Samples of a channel that are resampled in one go: few enough for the resampler to take them all.
const PART: usize = 480;

/// A decoder with its sound converted to a call's.
pub(crate) struct Converted {
    decoder: Box<dyn Decoder + Send>,
    /// Ticks of the call's clock in one of the codec's.
    factor: u32,
    to: CodecInfo,
    /// One for each channel that both have.
    resamplers: Vec<Resampler>,
    decoded: Box<[i16]>,
}

impl Converted {
    /// `None` where the call's clock is no multiple of the codec's.
    ///
    /// # Errors
    /// Where the rates can't be brought together.
    pub(crate) fn new(decoder: Box<dyn Decoder + Send>, to: CodecInfo) -> Option<Result<Self, ResampleError>> {
        let from = decoder.info();
        if from.rtp_clock_hz == 0 || !to.rtp_clock_hz.is_multiple_of(from.rtp_clock_hz) {
            return None;
        }
        let resampler = |_| Resampler::new(from.sample_rate_hz, to.sample_rate_hz);
        let resamplers = (0..from.channels.min(to.channels)).map(resampler).collect::<Result<_, _>>();
        Some(resamplers.map(|resamplers| Self {
            factor: to.rtp_clock_hz / from.rtp_clock_hz,
            to: CodecInfo { name: from.name, ..to },
            resamplers,
            decoded: vec![0; MOST_SAMPLES].into(),
            decoder,
        }))
    }

    /// What the packets' timestamps are to be multiplied by.
    pub(super) fn factor(&self) -> u32 {
        self.factor
    }

    /// Samples a channel of the call's sound in as many of the codec's.
    fn converted(&self, samples: usize) -> usize {
        let from = self.decoder.info().sample_rate_hz;
        (samples as u64 * u64::from(self.to.sample_rate_hz) / u64::from(from.max(1))) as usize
    }
}

impl Decoder for Converted {
    fn info(&self) -> CodecInfo {
        self.to
    }

    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        Ok(self.decoder.duration(payload)?.saturating_mul(self.factor))
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        let from = self.decoder.info();
        let (theirs, ours) = (usize::from(from.channels), usize::from(self.to.channels));
        let samples = self.converted(from.samples(self.decoder.duration(payload)?) as usize);
        if pcm.len() < samples * ours {
            return Err(DecodeError::OutputTooSmall { need: samples * ours, got: pcm.len() });
        }
        let decoded = self.decoder.decode(payload, &mut self.decoded)?;
        let frames = &self.decoded[..decoded * theirs];
        let shared = self.resamplers.len();
        let mut part = [0; PART];
        for (n, resampler) in self.resamplers.iter_mut().enumerate() {
            // Of fewer channels than the call has, the one stands for all.
            let put = |frame: &mut [i16], sample| match shared {
                1 => frame.fill(sample),
                _ => frame[n] = sample,
            };
            let mut places = pcm.chunks_exact_mut(ours).take(samples);
            for frames in frames.chunks(PART * theirs) {
                // Of more, their mean.
                for (sample, frame) in part.iter_mut().zip(frames.chunks_exact(theirs)) {
                    *sample = match shared {
                        1 => (frame.iter().map(|&sample| i32::from(sample)).sum::<i32>() / theirs as i32) as i16,
                        _ => frame[n],
                    };
                }
                resampler.push(&part[..frames.len() / theirs]);
                loop {
                    let most = places.len().min(PART);
                    let made = resampler.pull(&mut part[..most]);
                    part[..made].iter().zip(&mut places).for_each(|(&sample, frame)| put(frame, sample));
                    if made == 0 {
                        break;
                    }
                }
            }
            // It gives as much as goes in, so that there is nothing left to fill.
            places.for_each(|frame| put(frame, 0));
        }
        Ok(samples)
    }

    fn follow(&mut self, samples: usize) {
        let from = self.decoder.info().sample_rate_hz;
        let theirs = samples as u64 * u64::from(from) / u64::from(self.to.sample_rate_hz.max(1));
        self.decoder.follow(theirs as usize);
    }

    fn pauses(&self, payload: &[u8]) -> bool {
        self.decoder.pauses(payload)
    }

    fn reset(&mut self) {
        self.decoder.reset();
        self.resamplers.iter_mut().for_each(Resampler::reset);
    }
}

#[cfg(test)]
mod tests {
    use dsp_core::codec::g711::Pcmu;
    use dsp_core::codec::g722::{G722Decoder, G722Encoder, Mode};
    use dsp_core::codec::l16::L16;
    use dsp_core::codec::{Encoder, g711};

    use super::*;

    const CALL: CodecInfo = CodecInfo { name: "opus", sample_rate_hz: 48_000, rtp_clock_hz: 48_000, channels: 1 };

    fn tone(rate_hz: u32, samples: usize) -> Vec<i16> {
        let at = |n: usize| n as f64 / f64::from(rate_hz) * 440.0 * std::f64::consts::TAU;
        (0..samples).map(|n| (at(n).sin() * 10_000.0) as i16).collect()
    }

    #[test]
    fn rates_clocks_and_channels_are_the_call_s() {
        let mut pcmu = Converted::new(Box::new(Pcmu), CALL).unwrap().unwrap();
        assert_eq!((pcmu.factor(), pcmu.info().sample_rate_hz, pcmu.info().channels), (6, 48_000, 1));
        let said: Vec<u8> = tone(8_000, 8_000).iter().map(|&sample| g711::linear_to_ulaw(sample)).collect();
        assert_eq!(pcmu.duration(&said[..160]), Ok(960));
        let mut heard = Vec::new();
        let mut pcm = [0; 5_760];
        for payload in said.chunks(160) {
            assert_eq!(pcmu.decode(payload, &mut pcm), Ok(960));
            heard.extend_from_slice(&pcm[..960]);
        }
        // Once the resampler is filled, the tone itself: its level, and no step larger than its own.
        let loud = &heard[4_800..];
        let power = loud.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / loud.len() as f64;
        assert!((power.sqrt() / (10_000.0 / 2f64.sqrt()) - 1.0).abs() < 0.02, "{}", power.sqrt());
        assert!(loud.windows(2).all(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs() < 800));

        assert_eq!(
            pcmu.decode(&said[..160], &mut pcm[..959]),
            Err(DecodeError::OutputTooSmall { need: 960, got: 959 })
        );
        assert!(pcmu.decode(&[], &mut pcm).is_err());

        // The same clock, and half the rate.
        let (mut encoder, mut payload) = (G722Encoder::new(Mode::Kbps64), [0; 160]);
        let len = encoder.encode(&tone(16_000, 320), &mut payload).unwrap();
        let narrow = CodecInfo { sample_rate_hz: 8_000, rtp_clock_hz: 8_000, ..CALL };
        let mut g722 = Converted::new(Box::new(G722Decoder::new(Mode::Kbps64)), narrow).unwrap().unwrap();
        assert_eq!((g722.factor(), g722.duration(&payload[..len])), (1, Ok(160)));
        assert_eq!(g722.decode(&payload[..len], &mut pcm), Ok(160));

        // Both channels of one, one of both, and each by itself.
        for (theirs, ours) in [(1u8, 2u8), (2, 1), (2, 2)] {
            let l16 = L16::new(16_000, theirs).unwrap();
            let to = CodecInfo { channels: ours, ..CALL };
            let mut converted = Converted::new(Box::new(l16), to).unwrap().unwrap();
            let left_and_right = |n: usize| if n.is_multiple_of(usize::from(theirs)) { 8_000i16 } else { -2_000 };
            let payload: Vec<u8> =
                (0..320 * usize::from(theirs)).flat_map(|n| left_and_right(n).to_be_bytes()).collect();
            for _ in 0..4 {
                assert_eq!(converted.decode(&payload, &mut pcm), Ok(960));
            }
            let last = &pcm[960 * usize::from(ours) - usize::from(ours)..960 * usize::from(ours)];
            let expected: &[i32] = match (theirs, ours) {
                (1, _) => &[8_000, 8_000],
                (_, 1) => &[3_000],
                _ => &[8_000, -2_000],
            };
            assert!(last.iter().zip(expected).all(|(a, b)| (i32::from(*a) - b).abs() < 20), "{last:?}");
        }
        // Longer than anybody sends: as a whole, and what is too long is refused.
        let wide = CodecInfo { sample_rate_hz: 16_000, rtp_clock_hz: 8_000, ..CALL };
        let mut pcmu = Converted::new(Box::new(Pcmu), wide).unwrap().unwrap();
        let mut long = vec![0; 2 * MOST_SAMPLES + 2];
        assert_eq!(pcmu.decode(&said[..6_000], &mut long), Ok(12_000));
        assert!(long[200..12_000].chunks(400).all(|part| part.iter().any(|sample| *sample > 9_000)));
        assert!(pcmu.decode(&[0xff; MOST_SAMPLES + 1], &mut long).is_err());
        let other_clock = CodecInfo { rtp_clock_hz: 44_100, ..CALL };
        assert!(Converted::new(Box::new(Pcmu), other_clock).is_none());
    }
}
