//! A device without a card: WAV files, or nothing at all, at the caller's pace.

use std::path::Path;

use super::{AudioCounters, AudioIo, DeviceError};
use crate::wav::{WavSink, WavSource};

/// Captures from a WAV file or silence, and plays to a WAV file or nowhere.
///
/// Runs as fast as it is called, for real calls as well as for those faster than real time. When the capture's file
/// is at its end there is silence, unless it is looped.
#[derive(Debug)]
pub struct FileIo {
    sample_rate_hz: u32,
    source: Option<WavSource>,
    sink: Option<WavSink>,
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
            source: None,
            sink: None,
            looped: false,
            finished: false,
            counters: AudioCounters::default(),
            failure: None,
        }
    }

    /// Captures from the WAV file at `path`; at its end from its start again if `looped`.
    ///
    /// # Errors
    /// [`DeviceError::Wav`] as [`WavSource::open`] has them.
    pub fn capture_from(mut self, path: impl AsRef<Path>, looped: bool) -> Result<Self, DeviceError> {
        self.source = Some(WavSource::open(path, self.sample_rate_hz)?);
        self.looped = looped;
        Ok(self)
    }

    /// Plays to a new WAV file at `path`.
    ///
    /// # Errors
    /// [`DeviceError::Wav`] as [`WavSink::create`] has them.
    pub fn play_to(mut self, path: impl AsRef<Path>) -> Result<Self, DeviceError> {
        self.sink = Some(WavSink::create(path, self.sample_rate_hz)?);
        Ok(self)
    }

    /// Whether the capture's file has been read to its end. Never for a looped one, or none.
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// Closes the file played to, and tells whether all of it was written.
    ///
    /// # Errors
    /// The file's, from now or before.
    pub fn finish(self) -> Result<(), DeviceError> {
        match (self.failure, self.sink) {
            (Some(e), _) => Err(e),
            (None, Some(sink)) => Ok(sink.finish()?),
            (None, None) => Ok(()),
        }
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
                    filled += n;
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

    /// Without a file the silence counts as captured: that is what this device has.
    fn read(&mut self, pcm: &mut [i16]) -> usize {
        let filled = if self.source.is_some() { self.read_source(pcm) } else { 0 };
        pcm[filled..].fill(0);
        let got = if self.source.is_some() { filled } else { pcm.len() };
        self.counters.captured += got as u64;
        self.counters.capture_underrun += (pcm.len() - got) as u64;
        got
    }

    fn write(&mut self, pcm: &[i16]) -> usize {
        if self.failure.is_some() {
            self.counters.playback_overrun += pcm.len() as u64;
            return 0;
        }
        if let Some(Err(e)) = self.sink.as_mut().map(|sink| sink.write(pcm)) {
            self.failure = Some(e.into());
            self.counters.playback_overrun += pcm.len() as u64;
            return 0;
        }
        self.counters.played += pcm.len() as u64;
        pcm.len()
    }

    fn counters(&self) -> AudioCounters {
        self.counters
    }

    fn failure(&self) -> Option<&DeviceError> {
        self.failure.as_ref()
    }

    /// Starts the capture's file again; what was played so far stays.
    fn reopen(&mut self) -> Result<(), DeviceError> {
        if let Some(source) = &mut self.source {
            source.rewind()?;
        }
        self.finished = false;
        self.failure = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for file in [microphone, loudspeaker] {
            std::fs::remove_file(file).unwrap();
        }
    }
}
