//! A device without a card: WAV files, or nothing at all, at the caller's pace.

use std::path::{Path, PathBuf};

use super::{AudioCounters, AudioIo, DeviceError};
use crate::resample::{ResampleError, Resampler};
use crate::wav::{WavError, WavFrames, WavSink};

/// Captures from a WAV file or silence, and plays to a WAV file or nowhere.
///
/// Runs as fast as it is called, for real calls as well as for those faster than real time. When the capture's file
/// is at its end there is silence, unless it is looped.
#[derive(Debug)]
pub struct FileIo {
    sample_rate_hz: u32,
    channels: u8,
    source: Option<WavFrames>,
    /// Where the source comes from, and the frames of it that were read since its start.
    source_path: PathBuf,
    at: u64,
    sink: Option<WavSink>,
    sink_channels: u8,
    /// Between the sound and a file that was begun with another.
    fitting: Option<Fitting>,
    looped: bool,
    finished: bool,
    counters: AudioCounters,
    failure: Option<DeviceError>,
}

impl FileIo {
    /// The null device: endless silence in, nothing out.
    pub fn null(sample_rate_hz: u32) -> Self {
        Self {
            sample_rate_hz,
            channels: 1,
            source: None,
            source_path: PathBuf::new(),
            at: 0,
            sink: None,
            sink_channels: 1,
            fitting: None,
            looped: false,
            finished: false,
            counters: AudioCounters::default(),
            failure: None,
        }
    }

    /// The same with two channels, or one; before it has files.
    #[must_use]
    pub fn with_channels(self, channels: u8) -> Self {
        Self { channels, ..self }
    }

    /// Captures from the WAV file at `path`; at its end from its start again if `looped`.
    ///
    /// # Errors
    /// [`DeviceError::Wav`] as [`WavFrames::open`] has them.
    pub fn capture_from(mut self, path: impl AsRef<Path>, looped: bool) -> Result<Self, DeviceError> {
        self.source_path = path.as_ref().into();
        self.source = Some(WavFrames::open(path, self.sample_rate_hz, self.channels)?);
        self.looped = looped;
        Ok(self)
    }

    /// Plays to a new WAV file at `path`.
    ///
    /// # Errors
    /// [`DeviceError::Wav`] as [`WavSink::create_with`] has them.
    pub fn play_to(mut self, path: impl AsRef<Path>) -> Result<Self, DeviceError> {
        self.sink = Some(WavSink::create_with(path, self.sample_rate_hz, self.channels.into())?);
        self.sink_channels = self.channels;
        Ok(self)
    }

    /// What is odd about the capture's file, as [`WavFrames::remarks`] has it.
    pub fn remarks(&self) -> &[String] {
        self.source.as_ref().map_or(&[], WavFrames::remarks)
    }

    /// Whether the capture's file has been read to its end. Never for a looped one, or none.
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// Closes the file played to, and tells whether all of it was written.
    ///
    /// # Errors
    /// The file's, from now or before.
    pub fn finish(mut self) -> Result<(), DeviceError> {
        self.close()
    }

    /// Samples of one channel in as many of all.
    fn a_channel(&self, samples: usize) -> u64 {
        samples as u64 / u64::from(self.channels.max(1))
    }

    fn read_source(&mut self, pcm: &mut [i16]) -> usize {
        let Some(source) = self.source.as_mut().filter(|_| !self.finished && self.failure.is_none()) else { return 0 };
        let mut filled = 0;
        let mut rewound = false;
        while filled < pcm.len() {
            match source.read(&mut pcm[filled..]) {
                Ok(0) if self.looped && !rewound => {
                    rewound = true;
                    self.at = 0;
                    if let Err(e) = source.rewind() {
                        self.failure = Some(e.into());
                        break;
                    }
                }
                // Twice nothing: a loop must not spin.
                Ok(0) => {
                    self.finished = true;
                    break;
                }
                Ok(n) => {
                    self.at += n as u64;
                    filled += n * source.channels();
                    rewound = false;
                }
                Err(e) => {
                    self.failure = Some(e.into());
                    break;
                }
            }
        }
        filled
    }
}

impl AudioIo for FileIo {
    fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    fn channels(&self) -> u8 {
        self.channels
    }

    /// Without a file the silence counts as captured: that is what this device has.
    fn read(&mut self, pcm: &mut [i16]) -> usize {
        let filled = if self.source.is_some() { self.read_source(pcm) } else { 0 };
        pcm[filled..].fill(0);
        let got = if self.source.is_some() { filled } else { pcm.len() };
        self.counters.captured += self.a_channel(got);
        self.counters.capture_underrun += self.a_channel(pcm.len() - got);
        got
    }

    fn write(&mut self, pcm: &[i16]) -> usize {
        if self.failure.is_some() {
            self.counters.playback_overrun += self.a_channel(pcm.len());
            return 0;
        }
        let written = self.sink.as_mut().map(|sink| match &mut self.fitting {
            Some(fitting) => fitting.write(pcm, sink),
            None => sink.write(pcm),
        });
        if let Some(Err(e)) = written {
            self.failure = Some(e.into());
            self.counters.playback_overrun += self.a_channel(pcm.len());
            return 0;
        }
        self.counters.played += self.a_channel(pcm.len());
        pcm.len()
    }

    fn counters(&self) -> AudioCounters {
        self.counters
    }

    fn failure(&self) -> Option<&DeviceError> {
        self.failure.as_ref()
    }

    fn close(&mut self) -> Result<(), DeviceError> {
        let sink = self.sink.take();
        match (&self.failure, sink) {
            (Some(DeviceError::Wav(failure)), _) => Err(failure.again().into()),
            (_, Some(sink)) => Ok(sink.finish()?),
            (_, None) => Ok(()),
        }
    }

    fn may_come_back(&self) -> bool {
        self.failure.is_none()
    }

    /// The capture's file goes on where it is; the file played to keeps the sound that it began with.
    fn set_sound(&mut self, sample_rate_hz: u32, channels: u8) -> Result<(), DeviceError> {
        let fitting = match &self.sink {
            Some(sink) => Fitting::new([channels, self.sink_channels], sample_rate_hz, sink.sample_rate_hz())?,
            None => None,
        };
        if self.source.is_some() {
            let mut source = WavFrames::open(&self.source_path, sample_rate_hz, channels)?;
            let mut left = self.at * u64::from(sample_rate_hz) / u64::from(self.sample_rate_hz.max(1));
            self.at = left;
            let mut passed = vec![0; PART * usize::from(channels)];
            while left > 0 {
                let frames = (PART as u64).min(left) as usize;
                match source.read(&mut passed[..frames * usize::from(channels)])? {
                    0 => break,
                    read => left -= read as u64,
                }
            }
            self.source = Some(source);
        }
        (self.sample_rate_hz, self.channels, self.fitting) = (sample_rate_hz, channels, fitting);
        Ok(())
    }

    /// Starts the capture's file again; what was played so far stays. A file that has failed stays so: it would break
    /// off at the same place.
    fn reopen(&mut self) -> Result<(), DeviceError> {
        if let Some(DeviceError::Wav(failure)) = &self.failure {
            return Err(failure.again().into());
        }
        if let Some(source) = &mut self.source {
            source.rewind()?;
        }
        self.at = 0;
        self.finished = false;
        Ok(())
    }
}

/// Frames that are converted in one go.
const PART: usize = 480;

/// What makes sound fit a file of another rate or number of channels: one channel stands for all, the mean for one.
#[derive(Debug)]
struct Fitting {
    from_channels: usize,
    /// One for each channel of the file.
    resamplers: Vec<Resampler>,
    part: Vec<i16>,
    interleaved: Vec<i16>,
}

impl Fitting {
    /// `None` where the sound fits as it is.
    fn new([from, to]: [u8; 2], from_hz: u32, to_hz: u32) -> Result<Option<Self>, ResampleError> {
        if (from, from_hz) == (to, to_hz) {
            return Ok(None);
        }
        let resamplers = (0..to).map(|_| Resampler::new(from_hz, to_hz)).collect::<Result<Vec<_>, _>>()?;
        let interleaved = vec![0; PART * resamplers.len()];
        Ok(Some(Self { from_channels: usize::from(from.max(1)), resamplers, part: vec![0; PART], interleaved }))
    }

    fn write(&mut self, pcm: &[i16], sink: &mut WavSink) -> Result<(), WavError> {
        let (from, to) = (self.from_channels, self.resamplers.len());
        for frames in pcm.chunks(PART * from) {
            for (channel, resampler) in self.resamplers.iter_mut().enumerate() {
                for (sample, frame) in self.part.iter_mut().zip(frames.chunks_exact(from)) {
                    *sample = match from {
                        1 => frame[0],
                        _ if from == to => frame[channel],
                        _ => (frame.iter().map(|&sample| i32::from(sample)).sum::<i32>() / from as i32) as i16,
                    };
                }
                resampler.push(&self.part[..frames.len() / from]);
            }
            loop {
                // All have as much: the same went into them.
                let mut made = 0;
                for (channel, resampler) in self.resamplers.iter_mut().enumerate() {
                    made = resampler.pull(&mut self.part);
                    for (frame, &sample) in self.interleaved.chunks_exact_mut(to).zip(&self.part[..made]) {
                        frame[channel] = sample;
                    }
                }
                if made == 0 {
                    break;
                }
                sink.write(&self.interleaved[..made * to])?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wav::WavSource;

    #[test]
    fn the_null_device_is_silent_and_takes_everything() {
        let mut io: Box<dyn AudioIo> = Box::new(FileIo::null(16_000));
        let mut pcm = [7; 320];
        assert_eq!(io.read(&mut pcm), 320);
        assert_eq!(pcm, [0; 320]);
        assert_eq!(io.write(&[1; 320]), 320);
        assert_eq!((io.counters().captured, io.counters().played), (320, 320));
        assert!(io.failure().is_none() && io.reopen().is_ok());
    }

    #[test]
    fn files_stand_for_a_device() {
        let path = |name| std::env::temp_dir().join(format!("media-core-{}-{name}.wav", std::process::id()));
        let (microphone, loudspeaker) = (path("microphone"), path("loudspeaker"));
        let mut sink = WavSink::create(&microphone, 8_000).unwrap();
        sink.write(&(0..500).collect::<Vec<i16>>()).unwrap();
        sink.finish().unwrap();

        let source = |looped| FileIo::null(8_000).capture_from(&microphone, looped).unwrap();
        let mut io = source(false).play_to(&loudspeaker).unwrap();
        let mut pcm = [9; 320];
        assert_eq!(io.read(&mut pcm), 320);
        assert_eq!(io.write(&pcm), 320);
        assert!(!io.finished());
        assert_eq!(io.read(&mut pcm), 180);
        assert_eq!(pcm[179..181], [499, 0]);
        assert!(io.finished());
        assert_eq!(io.read(&mut pcm), 0);
        assert_eq!(io.counters().capture_underrun, 140 + 320);
        io.finish().unwrap();
        assert_eq!(WavSource::open(&loudspeaker, 8_000).unwrap().len(), 320);

        let mut io = source(true);
        let mut long = [0; 1200];
        assert_eq!(io.read(&mut long), 1200);
        assert_eq!(long[499..502], [499, 0, 1]);
        assert!(!io.finished());
        let io = FileIo::null(8_000).with_channels(2).capture_from(&microphone, false).unwrap();
        let mut io = io.play_to(&loudspeaker).unwrap();
        assert_eq!((io.channels(), io.read(&mut long), io.write(&long[..1_000])), (2, 1_000, 1_000));
        assert_eq!(long[997..1_001], [498, 499, 499, 0]);
        assert_eq!((io.counters().captured, io.counters().capture_underrun, io.counters().played), (500, 100, 500));
        io.finish().unwrap();
        let heard = WavSource::open(&loudspeaker, 8_000).unwrap();
        assert_eq!((heard.spec().channels, heard.len()), (2, 500));
        for file in [microphone, loudspeaker] {
            std::fs::remove_file(file).unwrap();
        }
    }

    #[test]
    fn files_go_on_when_the_sound_changes() {
        let path = |name| std::env::temp_dir().join(format!("media-core-{}-{name}.wav", std::process::id()));
        let (microphone, loudspeaker) = (path("first-8-khz"), path("then-16-khz"));
        let mut sink = WavSink::create(&microphone, 8_000).unwrap();
        // A step after 100 ms.
        sink.write(&[[1_000; 800], [9_000; 800]].concat()).unwrap();
        sink.finish().unwrap();
        let mut io = FileIo::null(8_000).capture_from(&microphone, false).unwrap().play_to(&loudspeaker).unwrap();
        let mut pcm = [0; 400];
        assert_eq!((io.read(&mut pcm), io.write(&[5_000; 800])), (400, 800));
        io.set_sound(16_000, 2).unwrap();
        assert_eq!((io.sample_rate_hz(), io.channels()), (16_000, 2));
        // The other 50 ms of the first half, now 1,600 samples of both channels; then the second half.
        let mut more = [0; 2 * 2_400];
        assert_eq!(io.read(&mut more), more.len());
        assert!(
            (900..1_100).contains(&more[1_000]) && (900..1_100).contains(&more[1_501]),
            "{:?}",
            &more[1_000..1_004]
        );
        assert!((8_500..9_500).contains(&more[2_500]) && (8_500..9_500).contains(&more[2_501]));
        // What is played fits the file that was begun: mono, 8 kHz.
        assert_eq!(io.write(&[[7_000, 3_000]; 1_600].concat()), 3_200);
        io.finish().unwrap();
        let heard = WavSource::open(&loudspeaker, 8_000).unwrap();
        assert_eq!((heard.spec().channels, heard.spec().sample_rate), (1, 8_000));
        let heard = heard.read_all(dsp_core::time::Duration::from_secs(1)).unwrap();
        assert!((1_550..=1_620).contains(&heard.len()), "{}", heard.len());
        assert!(heard[..800].iter().all(|&sample| sample == 5_000));
        assert!(heard[900..1_500].iter().all(|sample| (4_900..5_100).contains(sample)), "the mean of both channels");
        for file in [microphone, loudspeaker] {
            std::fs::remove_file(file).unwrap();
        }
    }
}
