//! Writing WAV files: 16-bit, and readable at any time up to its last second.

use std::fmt;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{WavError, WavErrorKind};
use crate::output::OutputFile;

/// Octets before the sound.
const HEADER: usize = 44;
/// Octets that are collected before they are written.
const BUFFER: usize = 8_192;
/// The most samples, all channels together, that a WAV file's 32-bit sizes allow.
const MAX_SAMPLES: u32 = (u32::MAX - 64) / 2;
/// The value for a length that isn't known, in a file without seeking: ffmpeg writes the same.
const UNKNOWN: u32 = u32::MAX;

/// Writes a 16-bit WAV file while sound comes.
///
/// The header is written again at least after each second of sound, so that the file can be read whatever happens to the program
/// or the disk. In a pipe, which can't be rewound, the header says that the length is unknown. Dropping this writes the last
/// header too; [`WavSink::finish`] also returns whether that worked.
///
/// ```
/// use host_std::wav::{WavSink, WavSource};
///
/// let path = std::env::temp_dir().join(format!("doc-wav-sink-{}.wav", std::process::id()));
/// let mut sink = WavSink::create(&path, 8_000)?;
/// sink.write(&[100, 200, 300])?;
/// sink.finish()?;
///
/// let mut pcm = [0; 80];
/// assert_eq!(WavSource::open(&path, 8_000)?.read(&mut pcm)?, 3);
/// assert_eq!(pcm[..3], [100, 200, 300]);
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), host_std::wav::WavError>(())
/// ```
pub struct WavSink {
    file: Option<OutputFile>,
    path: PathBuf,
    rate_hz: u32,
    channels: u16,
    /// Samples given, all channels together.
    samples: u32,
    /// Octets of sound in the file, and those of them that its header knows.
    written: u32,
    told: u32,
    /// Sound that isn't in the file yet.
    buffer: Vec<u8>,
    can_go_back: bool,
}

impl WavSink {
    /// Creates the file at `path`, or empties it, for mono sound at `rate_hz`.
    ///
    /// # Errors
    /// [`WavErrorKind::Open`] if the file can't be created, [`WavErrorKind::Write`] if it can't be written.
    pub fn create(path: impl AsRef<Path>, rate_hz: u32) -> Result<Self, WavError> {
        Self::create_with(path, rate_hz, 1)
    }

    /// Does the same as [`create`](Self::create), with this many channels, interleaved. Give [`write`](Self::write) whole frames
    /// of them.
    ///
    /// # Errors
    /// [`WavErrorKind::Open`] if the file can't be created, [`WavErrorKind::Write`] if it can't be written.
    pub fn create_with(path: impl AsRef<Path>, rate_hz: u32, channels: u16) -> Result<Self, WavError> {
        Self::open(path.as_ref(), OutputFile::in_place(&path), rate_hz, channels)
    }

    /// Does the same as [`create_with`](Self::create_with), but an existing file is replaced only when the new one is complete,
    /// by [`finish`](Self::finish).
    ///
    /// # Errors
    /// [`WavErrorKind::Open`] if the file can't be created, [`WavErrorKind::Write`] if it can't be written.
    pub fn replace(path: impl AsRef<Path>, rate_hz: u32, channels: u16) -> Result<Self, WavError> {
        Self::open(path.as_ref(), OutputFile::create(&path), rate_hz, channels)
    }

    fn open(path: &Path, file: io::Result<OutputFile>, rate_hz: u32, channels: u16) -> Result<Self, WavError> {
        let error = |kind| WavError { path: path.into(), kind };
        let mut file = file.map_err(|e| error(WavErrorKind::Open(e)))?;
        let can_go_back = file.is_ordinary();
        let header = header(if can_go_back { 0 } else { UNKNOWN }, rate_hz, channels);
        file.write_all(&header).map_err(|e| error(WavErrorKind::Write(e)))?;
        Ok(Self {
            file: Some(file),
            path: path.into(),
            rate_hz,
            channels,
            samples: 0,
            written: 0,
            told: 0,
            buffer: Vec::with_capacity(BUFFER),
            can_go_back,
        })
    }

    /// Rate of the file, in Hz.
    pub fn sample_rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Appends `pcm`.
    ///
    /// # Errors
    /// [`WavErrorKind::Write`] if the file can't be written, [`WavErrorKind::Full`] if `pcm` would make it longer than 4 GB.
    pub fn write(&mut self, pcm: &[i16]) -> Result<(), WavError> {
        let total = u32::try_from(pcm.len()).ok().and_then(|n| n.checked_add(self.samples));
        let Some(total) = total.filter(|&n| n <= MAX_SAMPLES) else {
            return Err(self.error(WavErrorKind::Full));
        };
        for part in pcm.chunks(BUFFER / 2) {
            if self.buffer.len() + 2 * part.len() > BUFFER {
                self.flush()?;
            }
            self.buffer.extend(part.iter().flat_map(|sample| sample.to_le_bytes()));
        }
        self.samples = total;
        let second = self.rate_hz.saturating_mul(2 * u32::from(self.channels));
        if self.written + self.buffer.len() as u32 - self.told >= second {
            self.flush()?;
            self.tell()?;
        }
        Ok(())
    }

    /// Writes the header and closes the file.
    ///
    /// # Errors
    /// [`WavErrorKind::Write`] if the last bytes don't reach the disk.
    pub fn finish(mut self) -> Result<(), WavError> {
        self.flush()?;
        self.tell()?;
        let finished = self.file.take().map_or(Ok(()), OutputFile::finish);
        finished.map_err(|e| self.error(WavErrorKind::Write(e)))
    }

    fn error(&self, kind: WavErrorKind) -> WavError {
        WavError { path: self.path.clone(), kind }
    }

    /// Writes the collected samples into the file. Where that fails, the header counts those that were written.
    fn flush(&mut self) -> Result<(), WavError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let (mut done, mut outcome) = (0, Ok(()));
        while done < self.buffer.len() && outcome.is_ok() {
            match file.write(&self.buffer[done..]) {
                Ok(0) => outcome = Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => done += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => outcome = Err(error),
            }
        }
        self.buffer.drain(..done);
        self.written += done as u32;
        outcome.map_err(|error| {
            let _ = self.tell();
            self.error(WavErrorKind::Write(error))
        })
    }

    /// Writes the header for the sound that is in the file: whole samples of all channels.
    fn tell(&mut self) -> Result<(), WavError> {
        let whole = self.written - self.written % (2 * u32::from(self.channels.max(1)));
        self.told = self.written;
        let (true, Some(file)) = (self.can_go_back, &mut self.file) else { return Ok(()) };
        let header = header(whole, self.rate_hz, self.channels);
        let end = SeekFrom::Start(HEADER as u64 + u64::from(self.written));
        let told = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&header)).and_then(|()| file.seek(end));
        told.map(|_| ()).map_err(|e| self.error(WavErrorKind::Write(e)))
    }
}

impl Drop for WavSink {
    fn drop(&mut self) {
        if self.file.is_some() && self.flush().is_ok() {
            let _ = self.tell();
        }
    }
}

impl fmt::Debug for WavSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WavSink({}, {} samples at {} Hz)", self.path.display(), self.samples, self.rate_hz)
    }
}

/// Interleaved sound as a WAV file in memory.
pub fn to_wav(pcm: &[i16], rate_hz: u32, channels: u16) -> Vec<u8> {
    let mut file = Vec::with_capacity(HEADER + 2 * pcm.len());
    file.extend(header(u32::try_from(2 * pcm.len()).unwrap_or(UNKNOWN), rate_hz, channels));
    file.extend(pcm.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}

/// Returns the header for this many octets of sound.
fn header(bytes: u32, rate_hz: u32, channels: u16) -> [u8; HEADER] {
    let frame = channels.saturating_mul(2);
    let mut header = [0; HEADER];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"RIFF");
    put(4, &bytes.saturating_add(HEADER as u32 - 8).to_le_bytes());
    put(8, b"WAVEfmt ");
    put(16, &16u32.to_le_bytes());
    put(20, &1u16.to_le_bytes());
    put(22, &channels.to_le_bytes());
    put(24, &rate_hz.to_le_bytes());
    put(28, &rate_hz.saturating_mul(frame.into()).to_le_bytes());
    put(32, &frame.to_le_bytes());
    put(34, &16u16.to_le_bytes());
    put(36, b"data");
    put(40, &bytes.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::super::WavSource;
    use super::*;

    fn temp(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("media-core-{}-sink-{name}.wav", std::process::id()))
    }

    /// What a reader finds that comes in while it is written.
    #[test]
    fn a_file_is_readable_up_to_its_last_second_while_it_grows() {
        let path = temp("grows");
        let second: Vec<i16> = (0..2 * 8_000).map(|n| n as i16).collect();
        let mut sink = WavSink::create_with(&path, 8_000, 2).unwrap();
        for part in 1..=40usize {
            let tick = (part - 1) * 1_600 % 16_000;
            sink.write(&second[tick..tick + 1_600]).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            match WavSource::from_bytes("growing", bytes, 8_000) {
                Ok(file) => assert!(file.len() + 8_000 >= part as u64 * 800, "{part}: {}", file.len()),
                Err(error) => assert!(part <= 10, "{part}: {error}"),
            }
        }
        sink.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), to_wav(&second.repeat(4), 8_000, 2));
        std::fs::remove_file(path).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told() {
        let full = WavSink::create("/dev/full", 8_000).unwrap_err();
        assert_eq!(full.to_string(), "cannot write /dev/full");
        assert!(matches!(full.kind, WavErrorKind::Write(_)));
    }

    #[cfg(unix)]
    #[test]
    fn in_a_pipe_the_length_is_unknown_from_the_beginning() {
        let pipe = temp("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read(pipe).unwrap()
        });
        let sound: Vec<i16> = (0..20_000).map(|n| n as i16).collect();
        let mut sink = WavSink::create(&pipe, 8_000).unwrap();
        sink.write(&sound).unwrap();
        sink.finish().unwrap();
        let bytes = reader.join().unwrap();
        std::fs::remove_file(&pipe).unwrap();
        assert_eq!(bytes[40..44], [0xff; 4]);
        let source = WavSource::from_bytes("pipe", bytes, 8_000).unwrap();
        assert_eq!(source.remarks().len(), 1);
        assert_eq!(source.read_all(dsp_core::time::Duration::from_secs(9)).unwrap(), sound);
    }
}
