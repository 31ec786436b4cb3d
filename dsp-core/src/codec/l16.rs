//! L16: uncompressed 16-bit PCM, most significant byte first, channels interleaved (RFC 3551, 4.5.11).
//!
//! Use it within a local network, or to test without a codec's losses: mono at 48 kHz takes 768 kbit/s. It is mono or
//! stereo at the sample rates of RFC 3551, 4.1. The payload types 10 (stereo) and 11 (mono) at 44.1 kHz are static,
//! all others are negotiated. The RTP clock is the sample rate. There is no delay and no state; a sample costs a swap
//! of bytes.
//!
//! A stereo frame as it is in the packet:
//!
//! ```
//! use dsp_core::codec::l16::{L16, L16Error};
//! use dsp_core::codec::{Decoder, Encoder};
//!
//! let mut codec = L16::new(44_100, 2)?;
//! let mut payload = [0; 8];
//! // Left, right, left, right.
//! codec.encode(&[1, -1, 256, -256], &mut payload)?;
//! assert_eq!(payload, [0, 1, 0xff, 0xff, 1, 0, 0xff, 0]);
//! let mut pcm = [0; 4];
//! // Two samples a channel.
//! assert_eq!(codec.decode(&payload, &mut pcm)?, 2);
//! assert_eq!(pcm, [1, -1, 256, -256]);
//! assert!(L16::new(12_000, 1).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;

use super::{CodecInfo, DecodeError, Decoder, EncodeError, Encoder};

/// Why there is no such L16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum L16Error {
    /// The sample rate is not among those of RFC 3551, 4.1.
    SampleRate {
        /// Sample rate that was asked for, in Hz.
        rate_hz: u32,
    },
    /// The number of channels is neither 1 nor 2.
    Channels {
        /// Number of channels that was asked for.
        channels: u8,
    },
}

impl fmt::Display for L16Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SampleRate { rate_hz } => write!(f, "L16 at {rate_hz} Hz is not a rate of RFC 3551"),
            Self::Channels { channels } => write!(f, "L16 with {channels} channels; 1 or 2 are possible"),
        }
    }
}

impl core::error::Error for L16Error {}

/// L16 encoder and decoder at one sample rate and number of channels. A packet may have any number of samples of each
/// channel, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L16 {
    rate_hz: u32,
    channels: u8,
}

impl L16 {
    /// Possible sample rates, in Hz (RFC 3551, 4.1).
    pub const RATES_HZ: [u32; 8] = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

    /// L16 at `rate_hz`, one of [`Self::RATES_HZ`], with 1 or 2 `channels`.
    ///
    /// # Errors
    /// Returns [`L16Error::SampleRate`] for another sample rate, and [`L16Error::Channels`] for another number of
    /// channels.
    pub fn new(rate_hz: u32, channels: u8) -> Result<Self, L16Error> {
        if !Self::RATES_HZ.contains(&rate_hz) {
            return Err(L16Error::SampleRate { rate_hz });
        }
        if !matches!(channels, 1 | 2) {
            return Err(L16Error::Channels { channels });
        }
        Ok(Self { rate_hz, channels })
    }

    const fn codec_info(&self) -> CodecInfo {
        CodecInfo { name: "L16", sample_rate_hz: self.rate_hz, rtp_clock_hz: self.rate_hz, channels: self.channels }
    }

    /// Samples a channel in `payload`.
    fn samples(&self, payload: &[u8]) -> Result<usize, DecodeError> {
        let (bytes, stereo) = (payload.len(), self.channels == 2);
        // Shifts and masks, since a Cortex-M0 has no division.
        match bytes {
            0 => Err(DecodeError::Empty),
            _ if bytes & (if stereo { 3 } else { 1 }) != 0 => Err(DecodeError::Length { bytes }),
            _ => Ok(bytes >> if stereo { 2 } else { 1 }),
        }
    }
}

impl Encoder for L16 {
    fn info(&self) -> CodecInfo {
        self.codec_info()
    }

    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, EncodeError> {
        if pcm.is_empty() || (self.channels == 2 && pcm.len() & 1 != 0) {
            return Err(EncodeError::FrameLength { samples: pcm.len() / usize::from(self.channels) });
        }
        let (need, got) = (pcm.len() * 2, payload.len());
        let payload = payload.get_mut(..need).ok_or(EncodeError::OutputTooSmall { need, got })?;
        for (bytes, sample) in payload.as_chunks_mut().0.iter_mut().zip(pcm) {
            *bytes = sample.to_be_bytes();
        }
        Ok(need)
    }

    fn reset(&mut self) {}
}

impl Decoder for L16 {
    fn info(&self) -> CodecInfo {
        self.codec_info()
    }

    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        let samples = self.samples(payload)?;
        u32::try_from(samples).map_err(|_| DecodeError::Length { bytes: payload.len() })
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        let samples = self.samples(payload)?;
        let (need, got) = (payload.len() / 2, pcm.len());
        let pcm = pcm.get_mut(..need).ok_or(DecodeError::OutputTooSmall { need, got })?;
        for (sample, bytes) in pcm.iter_mut().zip(payload.as_chunks().0) {
            *sample = i16::from_be_bytes(*bytes);
        }
        Ok(samples)
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_significant_byte_first() {
        let mut l16 = L16::new(44_100, 2).unwrap();
        let (pcm, mut payload) = ([0x0102, -2, i16::MIN, i16::MAX], [0; 9]);
        assert_eq!(l16.encode(&pcm, &mut payload), Ok(8));
        assert_eq!(payload[..8], [1, 2, 0xff, 0xfe, 0x80, 0, 0x7f, 0xff]);
        let mut back = [0; 4];
        assert_eq!(l16.duration(&payload[..8]), Ok(2));
        assert_eq!(l16.decode(&payload[..8], &mut back), Ok(2));
        assert_eq!(back, pcm);
    }

    #[test]
    fn every_rate_and_channel_count() {
        let source: std::vec::Vec<i16> = (0..960).map(|i| (i * 7_919) as i16).collect();
        let (mut payload, mut pcm) = ([0; 1_920], [0; 960]);
        for rate_hz in L16::RATES_HZ {
            for channels in [1, 2] {
                let mut l16 = L16::new(rate_hz, channels).unwrap();
                let info = Encoder::info(&l16);
                assert_eq!(info, Decoder::info(&l16));
                assert_eq!((info.sample_rate_hz, info.rtp_clock_hz, info.channels), (rate_hz, rate_hz, channels));
                // 10 ms.
                let samples = rate_hz as usize / 100;
                let length = samples * usize::from(channels);
                let bytes = l16.encode(&source[..length], &mut payload).unwrap();
                assert_eq!(bytes, 2 * length);
                assert_eq!(l16.duration(&payload[..bytes]), Ok(samples as u32));
                assert_eq!(l16.decode(&payload[..bytes], &mut pcm), Ok(samples));
                assert_eq!(pcm[..length], source[..length]);
            }
        }
    }

    #[test]
    fn wrong_lengths_are_errors() {
        let (mut mono, mut stereo) = (L16::new(8_000, 1).unwrap(), L16::new(8_000, 2).unwrap());
        let mut pcm = [0; 4];
        assert_eq!(mono.decode(&[], &mut pcm), Err(DecodeError::Empty));
        assert_eq!(mono.decode(&[0; 3], &mut pcm), Err(DecodeError::Length { bytes: 3 }));
        assert_eq!(mono.duration(&[0; 5]), Err(DecodeError::Length { bytes: 5 }));
        assert_eq!(stereo.decode(&[0; 6], &mut pcm), Err(DecodeError::Length { bytes: 6 }));
        assert_eq!(stereo.decode(&[0; 12], &mut pcm), Err(DecodeError::OutputTooSmall { need: 6, got: 4 }));
        assert_eq!(stereo.encode(&[0; 3], &mut [0; 9]), Err(EncodeError::FrameLength { samples: 1 }));
        assert_eq!(mono.encode(&[], &mut [0; 9]), Err(EncodeError::FrameLength { samples: 0 }));
        assert_eq!(mono.encode(&[0; 4], &mut [0; 7]), Err(EncodeError::OutputTooSmall { need: 8, got: 7 }));
    }

    #[test]
    fn impossible_formats_are_errors() {
        assert_eq!(L16::new(96_000, 1), Err(L16Error::SampleRate { rate_hz: 96_000 }));
        assert_eq!(L16::new(48_000, 0), Err(L16Error::Channels { channels: 0 }));
        assert_eq!(L16::new(48_000, 3), Err(L16Error::Channels { channels: 3 }));
    }
}
