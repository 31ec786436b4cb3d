//! A WAV file as interleaved sound of as many channels as a call or a codec wants.

use std::path::Path;

use dsp_core::format;
use dsp_core::time::Duration;

use super::{WavError, WavSource};
use crate::resample::Quality;

/// Samples of a channel that are read in one go.
const PART: usize = 480;

/// Reads a WAV file as interleaved frames at the wanted rate. A file with more channels is mixed down to one or two as ITU-R
/// BS.775 says ([`dsp_core::format::Downmix`]). Otherwise each channel is the file's own, and its last channel is used for those
/// that it doesn't have.
///
/// ```
/// use host_std::wav::{WavFrames, to_wav};
///
/// let path = std::env::temp_dir().join(format!("doc-wav-frames-{}.wav", std::process::id()));
/// std::fs::write(&path, to_wav(&[100, -100, 200, -200], 8_000, 2))?; // stereo
/// let mut file = WavFrames::open(&path, 8_000, 2)?;
/// let mut pcm = [0; 4];
/// assert_eq!((file.read(&mut pcm)?, pcm), (2, [100, -100, 200, -200])); // two samples of each channel
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WavFrames {
    channels: Vec<WavSource>,
    part: [i16; PART],
}

impl WavFrames {
    /// Opens the file at `path` for sound at `rate_hz`, of 1 to 64 `channels`.
    ///
    /// # Errors
    /// The same as for [`WavSource::open`].
    pub fn open(path: impl AsRef<Path>, rate_hz: u32, channels: u8) -> Result<Self, WavError> {
        Self::of(channels, || WavSource::open(&path, rate_hz))
    }

    /// Opens a file in memory, which errors call `name`.
    ///
    /// # Errors
    /// The same as for [`WavSource::from_bytes`].
    pub fn from_bytes(name: &str, bytes: &'static [u8], rate_hz: u32, channels: u8) -> Result<Self, WavError> {
        Self::of(channels, || WavSource::from_bytes(name, bytes, rate_hz))
    }

    /// Does the same as [`open`](Self::open), with a chosen [`Quality`] of resampling.
    ///
    /// # Errors
    /// The same as for [`WavSource::open`].
    pub fn with_quality(
        path: impl AsRef<Path>,
        rate_hz: u32,
        channels: u8,
        quality: Quality,
    ) -> Result<Self, WavError> {
        Self::of(channels, || WavSource::with_quality(&path, rate_hz, quality))
    }

    fn of(channels: u8, open: impl Fn() -> Result<WavSource, WavError>) -> Result<Self, WavError> {
        let one = |n: u16| {
            let source = open()?;
            let many = source.spec().channels > 2;
            Ok(if channels == 2 && many { source.of_side(n) } else { source.of_channel(n) })
        };
        let channels = match channels {
            0 | 1 => vec![open()?],
            // Each by a reader of its own, so that each is resampled by itself.
            more => (0..more.into()).map(one).collect::<Result<_, WavError>>()?,
        };
        Ok(Self { channels, part: [0; PART] })
    }

    /// Adds dither before sound is rounded to 16 bits; each channel has its own, of a seed that follows from `seed`.
    #[must_use]
    pub fn dithered(mut self, seed: u32) -> Self {
        let channels = self.channels.into_iter().zip(1..);
        self.channels = channels.map(|(source, n)| source.dithered(seed.wrapping_add(n * 0x9e37_79b9))).collect();
        self
    }

    /// Returns the channels of the frames.
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// Returns the length of the whole file in samples of one channel, at the wanted rate.
    pub fn len(&self) -> u64 {
        self.channels.first().map_or(0, WavSource::len)
    }

    /// Returns `false`: an empty file isn't opened.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Returns the defects of the file although it is read, as [`WavSource::remarks`] does.
    pub fn remarks(&self) -> &[String] {
        self.channels.first().map_or(&[], WavSource::remarks)
    }

    /// Fills `pcm` with whole frames and returns how many samples of each channel there were. There are fewer than `pcm` has room
    /// for only at the end of the file, and 0 after it.
    ///
    /// # Errors
    /// The same as for [`WavSource::read`].
    pub fn read(&mut self, pcm: &mut [i16]) -> Result<usize, WavError> {
        let count = self.channels.len();
        if let [mono] = &mut self.channels[..] {
            return mono.read(pcm);
        }
        let mut filled = 0;
        for frames in pcm.chunks_mut(PART * count) {
            let want = frames.len() / count;
            let mut read = 0;
            for (channel, source) in self.channels.iter_mut().enumerate() {
                read = source.read(&mut self.part[..want])?;
                let slots = frames.iter_mut().skip(channel).step_by(count);
                slots.zip(&self.part[..read]).for_each(|(slot, sample)| *slot = *sample);
            }
            filled += read;
            if read < want {
                break;
            }
        }
        Ok(filled)
    }

    /// Reads the rest into memory: the whole file is `longest` at most.
    ///
    /// # Errors
    /// The same as for [`WavSource::read_all`].
    pub fn read_all(self, longest: Duration) -> Result<Vec<i16>, WavError> {
        let count = self.channels.len();
        let channels: Vec<_> =
            self.channels.into_iter().map(|source| source.read_all(longest)).collect::<Result<_, _>>()?;
        let mut pcm = vec![0; channels.iter().map(Vec::len).sum()];
        for (n, channel) in channels.iter().enumerate() {
            pcm.iter_mut().skip(n).step_by(count).zip(channel).for_each(|(slot, sample)| *slot = *sample);
        }
        Ok(pcm)
    }

    /// Goes back to the start of the file.
    ///
    /// # Errors
    /// The same as for [`WavSource::rewind`].
    pub fn rewind(&mut self) -> Result<(), WavError> {
        self.channels.iter_mut().try_for_each(WavSource::rewind)
    }
}

/// Returns the mean of all channels of interleaved sound, for consumers of one channel.
pub fn mean_of_channels(pcm: &[i16], channels: u8) -> Vec<i16> {
    let channels = usize::from(channels.max(1));
    pcm.chunks_exact(channels).map(|frame| format::mean(frame.iter().copied())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::WavSink;
    use super::*;

    #[test]
    fn channels_of_a_file_and_of_the_reader() {
        let path = std::env::temp_dir().join(format!("media-core-{}-frames.wav", std::process::id()));
        let sound: Vec<i16> = (0..1_500).flat_map(|n| [n, -2 * n]).collect();
        let mut sink = WavSink::create_with(&path, 8_000, 2).unwrap();
        sink.write(&sound).unwrap();
        sink.finish().unwrap();

        let mut stereo = WavFrames::open(&path, 8_000, 2).unwrap();
        assert_eq!((stereo.channels(), stereo.len()), (2, 1_500));
        let mut pcm = vec![7; 4_000];
        assert_eq!(stereo.read(&mut pcm).unwrap(), 1_500);
        assert_eq!(pcm[..3_000], sound);
        assert_eq!(pcm[3_000..], [7; 1_000]);
        assert_eq!(stereo.read(&mut pcm).unwrap(), 0);
        stereo.rewind().unwrap();
        assert_eq!(stereo.read_all(Duration::from_secs(1)).unwrap(), sound);

        let mean = WavFrames::open(&path, 8_000, 1).unwrap().read_all(Duration::from_secs(1)).unwrap();
        assert!(mean.iter().zip(mean_of_channels(&sound, 2)).all(|(a, b)| (a - b).abs() <= 1));
        let three = WavFrames::open(&path, 8_000, 3).unwrap().read_all(Duration::from_secs(1)).unwrap();
        assert!(three.chunks(3).zip(sound.chunks(2)).all(|(three, two)| three[..2] == *two && three[2] == two[1]));
        // Resampled too, both channels have one length.
        let pcm = WavFrames::open(&path, 48_000, 2).unwrap().read_all(Duration::from_secs(1)).unwrap();
        assert_eq!(pcm.len(), 2 * 9_000);
        std::fs::remove_file(path).unwrap();
    }
}
