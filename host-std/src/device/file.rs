//! A device without a card: WAV files, or nothing at all, at the caller's pace.

use std::path::Path;

use super::{AudioCounters, AudioIo, DeviceError};
use crate::wav::{WavFrames, WavSink};

/// Captures from a WAV file or silence, and plays to a WAV file or nowhere.
///
/// Runs as fast as it is called, for real calls as well as for those faster than real time. When the capture's file
/// is at its end there is silence, unless it is looped.
///
/// ```
/// use host_std::device::{AudioIo, FileIo};
///
/// let path = std::env::temp_dir().join(format!("doc-file-io-{}.wav", std::process::id()));
/// let mut loudspeaker = FileIo::null(8_000).play_to(&path)?;
/// loudspeaker.write(&[700; 80]);
/// loudspeaker.finish()?;
///
/// let mut microphone = FileIo::null(8_000).capture_from(&path, false)?;
/// let mut pcm = [0; 80];
/// assert_eq!((microphone.read(&mut pcm), pcm), (80, [700; 80]));
/// assert_eq!((microphone.read(&mut pcm), pcm), (0, [0; 80]));
/// assert!(microphone.finished());
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), host_std::device::DeviceError>(())
/// ```
#[derive(Debug)]
pub struct FileIo {
    sample_rate_hz: u32,
    channels: u8,
    source: Option<WavFrames>,
    sink: Option<WavSink>,
    looped: bool,
    finished: bool,
    counters: AudioCounters,
    failure: Option<DeviceError>,
}

impl FileIo {
    /// Creates the null device: endless silence in, nothing out.
    pub fn null(sample_rate_hz: u32) -> Self {
        Self {
            sample_rate_hz,
            channels: 1,
            source: None,
            sink: None,
            looped: false,
            finished: false,
            counters: AudioCounters::default(),
            failure: None,
        }
    }

    /// Returns the same with two channels, or one; before it has files.
    #[must_use]
    pub fn with_channels(self, channels: u8) -> Self {
        Self { channels, ..self }
    }

    /// Captures from the WAV file at `path`; at its end from its start again if `looped`.
    ///
    /// # Errors
    /// [`DeviceError::Wav`] if the file can't be opened, isn't WAV, or has a coding that isn't read ([`WavFrames::open`]).
    pub fn capture_from(mut self, path: impl AsRef<Path>, looped: bool) -> Result<Self, DeviceError> {
        self.source = Some(WavFrames::open(path, self.sample_rate_hz, self.channels)?);
        self.looped = looped;
        Ok(self)
    }

    /// Plays to a new WAV file at `path`.
    ///
    /// # Errors
    /// [`DeviceError::Wav`] if the file can't be created or written ([`WavSink::create_with`]).
    pub fn play_to(mut self, path: impl AsRef<Path>) -> Result<Self, DeviceError> {
        self.sink = Some(WavSink::create_with(path, self.sample_rate_hz, self.channels.into())?);
        Ok(self)
    }

    /// Returns oddities of the capture's file, as [`WavFrames::remarks`] does.
    pub fn remarks(&self) -> &[String] {
        self.source.as_ref().map_or(&[], WavFrames::remarks)
    }

    /// Returns whether the capture's file has been read to its end. Never for a looped one, or none.
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// Closes the file played to, and returns an error if not all of it was written.
    ///
    /// # Errors
    /// [`DeviceError::Wav`] if the file could not be written to its end, now or before.
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

    /// Without a file the silence counts as captured, since silence is this device's sound.
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
        let written = self.sink.as_mut().map(|sink| sink.write(pcm));
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

    /// Starts the capture's file again; the sound written to the playback's file so far stays. A file that has failed stays so:
    /// it would break off at the same place.
    fn reopen(&mut self) -> Result<(), DeviceError> {
        if let Some(DeviceError::Wav(failure)) = &self.failure {
            return Err(failure.again().into());
        }
        if let Some(source) = &mut self.source {
            source.rewind()?;
        }
        self.finished = false;
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
}
