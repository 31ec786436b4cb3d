//! A codec whose sound is not the receiver's: heard all the same when the other side changes to it within the stream.
//!
//! An answer may leave several codecs open, and its receiver may be sent any of them at any time (RFC 3264, 6.1). The receiver
//! has one rate and as many channels, those of the widest: another codec's sound is resampled after its decoder. Losses are
//! concealed in the waveform. Where the decoder restarts, its first sound goes through backwards first, so that the resampler
//! doesn't begin with silence. Delay: the resampler's, 32 samples of the lower rate.

use dsp_core::codec::{CodecInfo, DecodeError, Decoder};
use dsp_core::process::resample::ResampleError;

use super::conversion::{Conversion, Sound};

/// The longest payload: 120 ms at 48 kHz, stereo.
const MOST_SAMPLES: usize = 11_520;
/// The longest packet that can't be decoded in place, in ms.
const LONGEST_MS: usize = 120;
/// The longest part of the first sound that fills the resampler, in ms: its filter is 8 ms at 8 kHz.
const WARM_MS: usize = 8;

/// A decoder with its sound converted to a receiver's.
pub(crate) struct Converted {
    decoder: Box<dyn Decoder + Send>,
    to: CodecInfo,
    conversion: Option<Conversion>,
    /// The decoded sound, where it can't be in the same buffer as the converted one.
    decoded: Box<[i16]>,
    /// The first sound, backwards; below is its output, which is discarded.
    warm: Box<[i16]>,
    thrown: Box<[i16]>,
    /// Whether nothing was decoded since the restart, in a stream that is heard.
    fresh: bool,
}

impl Converted {
    /// Creates a decoder with `decoder`'s sound at another rate in Hz, and with this many channels. Packets count in its own RTP
    /// clock.
    ///
    /// # Errors
    /// The error of rates that can't be converted.
    pub(crate) fn new(decoder: Box<dyn Decoder + Send>, rate_hz: u32, channels: u8) -> Result<Self, ResampleError> {
        let from = decoder.info();
        let to = CodecInfo { sample_rate_hz: rate_hz, channels, ..from };
        let sound = |info: &CodecInfo| Sound { rate_hz: info.sample_rate_hz, channels: info.channels };
        let samples = |info: &CodecInfo, ms: usize| {
            vec![0; (info.sample_rate_hz as usize * ms).div_ceil(1_000) * usize::from(info.channels)].into_boxed_slice()
        };
        let conversion = Conversion::new(sound(&from), sound(&to))?;
        let in_place = conversion.as_ref().is_none_or(Conversion::fits_in_place);
        Ok(Self {
            conversion,
            decoded: samples(&from, if in_place { 0 } else { LONGEST_MS }),
            warm: samples(&from, WARM_MS),
            thrown: samples(&to, WARM_MS + 1),
            // A stream begins in silence.
            fresh: false,
            to,
            decoder,
        })
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
        self.decoder.duration(payload)
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        let from = self.decoder.info();
        let (theirs, ours) = (usize::from(from.channels), usize::from(self.to.channels));
        let samples = self.converted(from.samples(self.decoder.duration(payload)?) as usize);
        if pcm.len() < samples * ours {
            return Err(DecodeError::OutputTooSmall { need: samples * ours, got: pcm.len() });
        }
        let Some(conversion) = &mut self.conversion else { return self.decoder.decode(payload, pcm) };
        let pcm = &mut pcm[..samples * ours];
        let in_place = self.decoded.is_empty();
        let theirs_in_all = from.samples(self.decoder.duration(payload)?) as usize * theirs;
        if theirs_in_all > MOST_SAMPLES {
            return Err(DecodeError::OutputTooSmall { need: theirs_in_all, got: MOST_SAMPLES });
        }
        let place = if in_place { &mut pcm[samples * ours - theirs_in_all..] } else { &mut self.decoded };
        let decoded = self.decoder.decode(payload, place)?;
        if in_place && decoded * theirs < theirs_in_all {
            // The decoder made less than it announced: its sound has to be at the end.
            place.copy_within(..decoded * theirs, theirs_in_all - decoded * theirs);
        }
        let frames = if in_place { &place[theirs_in_all - decoded * theirs..] } else { &place[..decoded * theirs] };
        if std::mem::take(&mut self.fresh) {
            let frames = frames.chunks_exact(theirs).skip(1).take(2 * conversion.delay_samples());
            let count = frames.len().min(self.warm.len() / theirs);
            let warm = &mut self.warm[..count * theirs];
            for (to, from) in warm.rchunks_exact_mut(theirs).zip(frames) {
                to.copy_from_slice(from);
            }
            conversion.convert_all(warm, &mut self.thrown);
        }
        let given = match in_place {
            true => conversion.convert_in_place(pcm, decoded),
            // Packets of no whole number of our samples count as shorter by less than one: the remaining fraction has no place.
            false => conversion.convert_all(&self.decoded[..decoded * theirs], pcm),
        };
        // The output has the duration of the input, except for the rounding of lengths that are no whole number of samples.
        let (made, rest) = pcm.split_at_mut(given * ours);
        if let Some(last) = made.rchunks_exact(ours).next() {
            rest.chunks_exact_mut(ours).for_each(|frame| frame.copy_from_slice(last));
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
        self.fresh = true;
        if let Some(conversion) = &mut self.conversion {
            conversion.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use dsp_core::codec::g711::Pcmu;
    use dsp_core::codec::g722::{G722Decoder, G722Encoder, Mode};
    use dsp_core::codec::l16::L16;
    use dsp_core::codec::{Encoder, g711};

    use super::*;

    fn tone(rate_hz: u32, samples: usize) -> Vec<i16> {
        let at = |n: usize| n as f64 / f64::from(rate_hz) * 440.0 * std::f64::consts::TAU;
        (0..samples).map(|n| (at(n).sin() * 10_000.0) as i16).collect()
    }

    #[test]
    fn rates_clocks_and_channels_are_the_call_s() {
        let mut pcmu = Converted::new(Box::new(Pcmu), 48_000, 1).unwrap();
        let info = pcmu.info();
        assert_eq!((info.rtp_clock_hz, info.sample_rate_hz, info.channels), (8_000, 48_000, 1));
        let said: Vec<u8> = tone(8_000, 8_000).iter().map(|&sample| g711::linear_to_ulaw(sample)).collect();
        assert_eq!(pcmu.duration(&said[..160]), Ok(160));
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
        let mut g722 = Converted::new(Box::new(G722Decoder::new(Mode::Kbps64)), 8_000, 1).unwrap();
        assert_eq!(g722.duration(&payload[..len]), Ok(160));
        assert_eq!(g722.decode(&payload[..len], &mut pcm), Ok(160));

        // Both channels of one, one of both, and each by itself.
        for (theirs, ours) in [(1u8, 2u8), (2, 1), (2, 2)] {
            let l16 = L16::new(16_000, theirs).unwrap();
            let mut converted = Converted::new(Box::new(l16), 48_000, ours).unwrap();
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
        // Of no whole number of our samples: packet after packet is decoded, and the tone goes on.
        let mut l16 = Converted::new(Box::new(L16::new(44_100, 1).unwrap()), 48_000, 1).unwrap();
        let said: Vec<u8> = tone(44_100, 44_100).iter().flat_map(|sample| sample.to_be_bytes()).collect();
        let mut heard = Vec::new();
        for payload in said.chunks_exact(2 * 101) {
            assert_eq!(l16.decode(payload, &mut pcm), Ok(109));
            heard.extend_from_slice(&pcm[..109]);
        }
        let power = heard[4_800..].iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / (heard.len() - 4_800) as f64;
        assert!((power.sqrt() / (10_000.0 / 2f64.sqrt()) - 1.0).abs() < 0.02, "{}", power.sqrt());
        // Longer than anybody sends: as a whole, and what is too long is refused.
        let mut pcmu = Converted::new(Box::new(Pcmu), 16_000, 1).unwrap();
        let mut long = vec![0; 2 * MOST_SAMPLES + 2];
        assert_eq!(pcmu.decode(&said[..6_000], &mut long), Ok(12_000));
        assert!(long[200..12_000].chunks(400).all(|part| part.iter().any(|sample| *sample > 9_000)));
        assert!(pcmu.decode(&[0xff; MOST_SAMPLES + 1], &mut long).is_err());
        assert!(Converted::new(Box::new(Pcmu), 3_000, 1).is_err());
    }
}
