//! WAV files as sound sources and sinks: any common coding in, 16-bit out; mono but where one asks for channels.
//!
//! Reading is in steps, so a file may have any length. A source resamples to the wanted rate and takes the
//! resampler's delay off, so the first sample out is the first of the file.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use dsp_core::time::Duration;
use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use crate::resample::{Resampler, to_i16};

mod frames;

pub use frames::{WavFrames, mean_of_channels};

/// Input frames read at a time.
const STEP: usize = 256;

/// The most samples that a WAV file's 32-bit sizes allow for 16-bit mono.
const MAX_SAMPLES: u32 = (u32::MAX - 64) / 2;

/// Why a WAV file can't be read or written. One line with the path; the cause below, if any, is in `source()`.
#[derive(Debug)]
pub struct WavError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub kind: WavErrorKind,
}

/// What is wrong with a WAV file.
#[derive(Debug)]
pub enum WavErrorKind {
    /// It can't be opened or made.
    Open(io::Error),
    /// It isn't a WAV file, or its header is broken.
    NotWav(hound::Error),
    /// It is a WAV file of a coding, or with a rate or channel count, that is not read here.
    Unsupported(String),
    /// It has no samples.
    Empty,
    /// It is longer than so many seconds, the most that is read into memory.
    TooLong(u64),
    /// It breaks off or can't be read on.
    Read(hound::Error),
    /// It can't be written on.
    Write(hound::Error),
    /// It has reached the 4 GB that a WAV file can have.
    Full,
}

impl fmt::Display for WavError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.kind {
            WavErrorKind::Open(_) => write!(f, "cannot open {path}"),
            WavErrorKind::NotWav(_) => write!(f, "{path} is not a WAV file"),
            WavErrorKind::Unsupported(what) => write!(f, "{path}: {what} is not supported"),
            WavErrorKind::Empty => write!(f, "{path} has no samples"),
            WavErrorKind::TooLong(seconds) => write!(f, "{path} is longer than {seconds} s"),
            WavErrorKind::Read(_) => write!(f, "cannot read {path} to its end"),
            WavErrorKind::Write(_) => write!(f, "cannot write {path}"),
            WavErrorKind::Full => write!(f, "{path} is full: a WAV file ends at 4 GB"),
        }
    }
}

impl std::error::Error for WavError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            WavErrorKind::Open(e) => Some(e),
            // hound passes an I/O error through: its own wrapper would say the same twice.
            WavErrorKind::NotWav(hound::Error::IoError(e))
            | WavErrorKind::Read(hound::Error::IoError(e))
            | WavErrorKind::Write(hound::Error::IoError(e)) => Some(e),
            WavErrorKind::NotWav(e) | WavErrorKind::Read(e) | WavErrorKind::Write(e) => Some(e),
            WavErrorKind::Unsupported(_) | WavErrorKind::Empty | WavErrorKind::TooLong(_) | WavErrorKind::Full => None,
        }
    }
}

/// A WAV file as 16-bit mono at a chosen rate.
///
/// Reads 8, 16, 24 and 32-bit integers and 32-bit floats, 1 to 64 channels (averaged), 4 to 192 kHz.
pub struct WavSource {
    reader: WavReader<Box<dyn Input>>,
    path: PathBuf,
    spec: WavSpec,
    rate_hz: u32,
    /// Input frames not yet read.
    frames_left: u32,
    /// Output samples not yet given.
    samples_left: u64,
    samples: u64,
    /// None where the file has the wanted rate already.
    resampler: Option<Resampler>,
    /// Output samples still to be dropped for the resampler's delay.
    skip: usize,
    mono: [f32; STEP],
    /// The one channel that is read; `None`: the mean of all.
    only: Option<usize>,
}

/// What a WAV can be read from.
trait Input: Read + Seek + Send {}

impl<T: Read + Seek + Send> Input for T {}

impl WavSource {
    /// A WAV that lies in memory, `name` standing for its path in errors.
    ///
    /// # Errors
    /// As for [`WavSource::open`].
    pub fn from_bytes(name: &str, bytes: &'static [u8], rate_hz: u32) -> Result<Self, WavError> {
        let path = PathBuf::from(name);
        Self::read_header(&path, Box::new(Cursor::new(bytes)), rate_hz).map_err(|kind| WavError { path, kind })
    }

    /// Opens `path` and reads its header; sound will come at `rate_hz`.
    ///
    /// # Errors
    /// `Open`, `NotWav`, `Unsupported` (also for a `rate_hz` outside 4 to 192 kHz) and `Empty` of [`WavErrorKind`].
    pub fn open(path: impl AsRef<Path>, rate_hz: u32) -> Result<Self, WavError> {
        let path = path.as_ref().to_path_buf();
        Self::open_file(&path, rate_hz).map_err(|kind| WavError { path, kind })
    }

    fn open_file(path: &Path, rate_hz: u32) -> Result<Self, WavErrorKind> {
        let file = File::open(path).map_err(WavErrorKind::Open)?;
        Self::read_header(path, Box::new(BufReader::new(file)), rate_hz)
    }

    fn read_header(path: &Path, input: Box<dyn Input>, rate_hz: u32) -> Result<Self, WavErrorKind> {
        let reader = WavReader::new(input).map_err(|e| match e {
            hound::Error::Unsupported => WavErrorKind::Unsupported("its coding".to_owned()),
            e => WavErrorKind::NotWav(e),
        })?;
        let spec = reader.spec();
        match (spec.sample_format, spec.bits_per_sample) {
            (SampleFormat::Int, 8 | 16 | 24 | 32) | (SampleFormat::Float, 32) => {}
            (format, bits) => {
                return Err(WavErrorKind::Unsupported(format!(
                    "{bits}-bit {}",
                    match format {
                        SampleFormat::Int => "integer",
                        SampleFormat::Float => "float",
                    }
                )));
            }
        }
        if !(1..=64).contains(&spec.channels) {
            return Err(WavErrorKind::Unsupported(format!("{} channels", spec.channels)));
        }
        // Also where no resampler is needed: a header's 0 Hz must not get through.
        let resampler = Resampler::new(spec.sample_rate, rate_hz)
            .map_err(|e| WavErrorKind::Unsupported(format!("{} Hz as {} Hz", e.from_hz, e.to_hz)))?;
        let resampler = (spec.sample_rate != rate_hz).then_some(resampler);
        let frames_left = reader.duration();
        if frames_left == 0 {
            return Err(WavErrorKind::Empty);
        }
        let samples = (u64::from(frames_left) * u64::from(rate_hz)).div_ceil(u64::from(spec.sample_rate));
        let skip = resampler.as_ref().map_or(0, |r| r.delay_samples().round() as usize);
        Ok(Self {
            reader,
            path: path.to_path_buf(),
            spec,
            rate_hz,
            frames_left,
            samples_left: samples,
            samples,
            resampler,
            skip,
            mono: [0.0; STEP],
            only: None,
        })
    }

    /// The rate of the sound that [`WavSource::read`] gives, in Hz.
    pub fn sample_rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// What the file itself has: rate, channels, bits.
    pub fn spec(&self) -> WavSpec {
        self.spec
    }

    /// Reads this channel alone, counted from 0, instead of the mean of all. A file with fewer has its last one read.
    #[must_use]
    pub fn of_channel(mut self, channel: u16) -> Self {
        self.only = Some(usize::from(channel.min(self.spec.channels - 1)));
        self
    }

    /// The whole file's length in samples at the wanted rate.
    pub fn len(&self) -> u64 {
        self.samples
    }

    /// Never: an empty file isn't opened.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Fills `pcm` and returns how far: less than all only at the file's end, and then 0.
    ///
    /// # Errors
    /// [`WavErrorKind::Read`] where the file breaks off before the length in its header.
    pub fn read(&mut self, pcm: &mut [i16]) -> Result<usize, WavError> {
        let want = usize::try_from(self.samples_left).unwrap_or(usize::MAX).min(pcm.len());
        let mut filled = 0;
        while filled < want {
            filled += self.read_some(&mut pcm[filled..want])?;
        }
        self.samples_left -= filled as u64;
        Ok(filled)
    }

    /// Reads what is left, of a file just opened all of it, into memory: the whole file is `longest` at most.
    ///
    /// # Errors
    /// `TooLong`, before anything is read, and what [`WavSource::read`] gives.
    pub fn read_all(mut self, longest: Duration) -> Result<Vec<i16>, WavError> {
        if self.samples > longest.as_samples(self.rate_hz) {
            return Err(WavError { path: self.path, kind: WavErrorKind::TooLong(longest.as_millis() / 1_000) });
        }
        let mut pcm = vec![0; self.samples_left as usize];
        let len = self.read(&mut pcm)?;
        pcm.truncate(len);
        Ok(pcm)
    }

    /// Goes back to the start of the file.
    ///
    /// # Errors
    /// [`WavErrorKind::Read`] where the file can't seek.
    pub fn rewind(&mut self) -> Result<(), WavError> {
        let seek = self.reader.seek(0);
        seek.map_err(|e| WavError { path: self.path.clone(), kind: WavErrorKind::Read(hound::Error::IoError(e)) })?;
        self.frames_left = self.reader.duration();
        self.samples_left = self.samples;
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
            self.skip = resampler.delay_samples().round() as usize;
        }
        Ok(())
    }

    fn read_some(&mut self, pcm: &mut [i16]) -> Result<usize, WavError> {
        let Some(resampler) = &mut self.resampler else {
            let n = self.read_mono(pcm.len().min(STEP))?;
            for (slot, &s) in pcm.iter_mut().zip(&self.mono[..n]) {
                *slot = to_i16(s);
            }
            return Ok(n);
        };
        if self.skip > 0 {
            let n = resampler.pull(&mut [0; STEP][..self.skip.min(STEP)]);
            self.skip -= n;
            if n > 0 {
                return Ok(0);
            }
        } else {
            let n = resampler.pull(pcm);
            if n > 0 {
                return Ok(n);
            }
        }
        // The queue is empty, so a step always fits. Past the file's end silence pushes the last sound out.
        let n = self.read_mono(STEP)?;
        self.mono[n..].fill(0.0);
        if let Some(resampler) = &mut self.resampler {
            resampler.push_f32(&self.mono);
        }
        Ok(0)
    }

    /// Reads up to `frames` into `self.mono`, averaged over the channels, full scale at 1.0.
    fn read_mono(&mut self, frames: usize) -> Result<usize, WavError> {
        let frames = frames.min(self.frames_left as usize);
        let channels = usize::from(self.spec.channels);
        let scale = match self.spec.sample_format {
            SampleFormat::Int => 1.0 / (1_i64 << (self.spec.bits_per_sample - 1)) as f32,
            SampleFormat::Float => 1.0,
        } / if self.only.is_some() { 1.0 } else { channels as f32 };
        let counts = |channel: usize| self.only.is_none_or(|only| only == channel);
        let read = (|| {
            for slot in &mut self.mono[..frames] {
                let mut sum = 0.0;
                match self.spec.sample_format {
                    SampleFormat::Int => {
                        for (channel, s) in self.reader.samples::<i32>().take(channels).enumerate() {
                            sum += if counts(channel) { s? as f32 } else { s.map(|_| 0.0)? };
                        }
                    }
                    SampleFormat::Float => {
                        for (channel, s) in self.reader.samples::<f32>().take(channels).enumerate() {
                            sum += if counts(channel) { s? } else { s.map(|_| 0.0)? };
                        }
                    }
                }
                // A float file may hold anything; what isn't a number is silence.
                *slot = if sum.is_finite() { sum * scale } else { 0.0 };
            }
            Ok(())
        })();
        read.map_err(|e| WavError { path: self.path.clone(), kind: WavErrorKind::Read(e) })?;
        self.frames_left -= frames as u32;
        Ok(frames)
    }
}

impl fmt::Debug for WavSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WavSource({}, {} samples left at {} Hz)", self.path.display(), self.samples_left, self.rate_hz)
    }
}

/// A 16-bit WAV file being written. Dropping it finalises the header; [`WavSink::finish`] also tells whether that
/// worked.
pub struct WavSink {
    writer: WavWriter<BufWriter<File>>,
    path: PathBuf,
    rate_hz: u32,
    samples: u32,
}

impl WavSink {
    /// Makes (or replaces) the file at `path`, for mono sound at `rate_hz`.
    ///
    /// # Errors
    /// `Open` and `Write` of [`WavErrorKind`].
    pub fn create(path: impl AsRef<Path>, rate_hz: u32) -> Result<Self, WavError> {
        Self::create_with(path, rate_hz, 1)
    }

    /// The same with this many channels, interleaved; a [`write`](Self::write) has whole frames of them.
    ///
    /// # Errors
    /// `Open` and `Write` of [`WavErrorKind`].
    pub fn create_with(path: impl AsRef<Path>, rate_hz: u32, channels: u16) -> Result<Self, WavError> {
        let path = path.as_ref().to_path_buf();
        let spec = WavSpec { channels, sample_rate: rate_hz, bits_per_sample: 16, sample_format: SampleFormat::Int };
        let writer = File::create(&path)
            .map_err(WavErrorKind::Open)
            .and_then(|file| WavWriter::new(BufWriter::new(file), spec).map_err(WavErrorKind::Write));
        match writer {
            Ok(writer) => Ok(Self { writer, path, rate_hz, samples: 0 }),
            Err(kind) => Err(WavError { path, kind }),
        }
    }

    /// Errors name this path: the one that the file will be moved to.
    #[must_use]
    pub fn named(mut self, path: impl AsRef<Path>) -> Self {
        self.path = path.as_ref().to_path_buf();
        self
    }

    /// Rate of the file, in Hz.
    pub fn sample_rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Appends `pcm`.
    ///
    /// # Errors
    /// `Write`, and `Full` for what would not fit whole.
    pub fn write(&mut self, pcm: &[i16]) -> Result<(), WavError> {
        let total = u32::try_from(pcm.len()).ok().and_then(|n| n.checked_add(self.samples));
        let Some(total) = total.filter(|&n| n <= MAX_SAMPLES) else {
            return Err(WavError { path: self.path.clone(), kind: WavErrorKind::Full });
        };
        for &s in pcm {
            self.writer
                .write_sample(s)
                .map_err(|e| WavError { path: self.path.clone(), kind: WavErrorKind::Write(e) })?;
        }
        self.samples = total;
        Ok(())
    }

    /// Writes the header and closes the file.
    ///
    /// # Errors
    /// `Write`, where the last bytes don't reach the disk.
    pub fn finish(self) -> Result<(), WavError> {
        let path = self.path;
        self.writer.finalize().map_err(|e| WavError { path, kind: WavErrorKind::Write(e) })
    }
}

impl fmt::Debug for WavSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WavSink({}, {} samples at {} Hz)", self.path.display(), self.samples, self.rate_hz)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    /// A file in the temporary folder that goes when the test ends.
    struct Temp(PathBuf);

    impl Temp {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("media-core-{}-{name}.wav", std::process::id())))
        }
    }

    impl Drop for Temp {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn in_steps(source: &mut WavSource) -> Vec<i16> {
        let (mut all, mut pcm) = (Vec::new(), [0; 333]);
        loop {
            match source.read(&mut pcm).unwrap() {
                0 => return all,
                n => all.extend_from_slice(&pcm[..n]),
            }
        }
    }

    fn sine(n: usize, rate: u32) -> f64 {
        0.5 * (std::f64::consts::TAU * 440.0 * n as f64 / f64::from(rate)).sin()
    }

    #[test]
    fn what_is_written_is_read() {
        let temp = Temp::new("round-trip");
        let pcm: Vec<i16> = (0..5000).map(|n| (n * 13 % 65_536 - 32_768) as i16).collect();
        for finish in [true, false] {
            let mut sink = WavSink::create(&temp.0, 16_000).unwrap();
            for part in pcm.chunks(700) {
                sink.write(part).unwrap();
            }
            if finish {
                sink.finish().unwrap();
            } else {
                drop(sink);
            }
            let mut source = WavSource::open(&temp.0, 16_000).unwrap();
            assert_eq!(source.len(), 5000);
            assert_eq!(in_steps(&mut source), pcm);
            source.rewind().unwrap();
            assert_eq!(in_steps(&mut source), pcm);
            source.rewind().unwrap();
            assert_eq!(source.read_all(Duration::from_secs(1)).unwrap(), pcm);
        }
    }

    #[test]
    fn what_is_too_long_for_memory_is_not_read() {
        let temp = Temp::new("long");
        for (samples, fits) in [(16_000, true), (16_001, false)] {
            let mut sink = WavSink::create(&temp.0, 8_000).unwrap();
            sink.write(&vec![1; samples]).unwrap();
            sink.finish().unwrap();
            for rate_hz in [8_000, 48_000] {
                match WavSource::open(&temp.0, rate_hz).unwrap().read_all(Duration::from_secs(2)) {
                    Ok(pcm) => assert!(fits && pcm.len() == 2 * rate_hz as usize),
                    Err(error) => {
                        assert!(!fits && error.to_string().ends_with("long.wav is longer than 2 s"), "{error}")
                    }
                }
            }
        }
    }

    #[test]
    fn every_coding_rate_and_channel_count_gives_the_same_sound() {
        let temp = Temp::new("codings");
        for (bits, format) in [
            (8, SampleFormat::Int),
            (16, SampleFormat::Int),
            (24, SampleFormat::Int),
            (32, SampleFormat::Int),
            (32, SampleFormat::Float),
        ] {
            for (sample_rate, channels) in [(8_000, 1), (48_000, 2), (44_100, 6), (192_000, 1)] {
                let spec = WavSpec { channels, sample_rate, bits_per_sample: bits, sample_format: format };
                let mut writer = WavWriter::create(&temp.0, spec).unwrap();
                for n in 0..sample_rate as usize / 2 {
                    for _ in 0..channels {
                        let s = sine(n, sample_rate);
                        match format {
                            SampleFormat::Float => writer.write_sample(s as f32).unwrap(),
                            SampleFormat::Int => {
                                writer.write_sample((s * ((1_i64 << (bits - 1)) as f64 - 1.0)) as i32).unwrap();
                            }
                        }
                    }
                }
                writer.finalize().unwrap();
                let mut source = WavSource::open(&temp.0, 16_000).unwrap();
                for _ in 0..2 {
                    let got = in_steps(&mut source);
                    assert_eq!(got.len(), 8000, "half a second of {spec:?}");
                    let worst =
                        (100..7900).map(|n| (f64::from(got[n]) / 32_768.0 - sine(n, 16_000)).abs()).fold(0.0, f64::max);
                    // The delay is taken off in whole samples, so 440 Hz may be half a sample off: 0.087 * 0.5.
                    let bound = if bits == 8 { 0.055 } else { 0.045 };
                    assert!(worst < bound, "{spec:?}: off by {worst}");
                    source.rewind().unwrap();
                }
            }
        }
    }

    #[test]
    fn errors_are_one_line_with_their_cause() {
        let temp = Temp::new("errors");
        let missing = WavSource::open("/nonexistent/a.wav", 8_000).unwrap_err();
        assert_eq!(missing.to_string(), "cannot open /nonexistent/a.wav");
        assert!(missing.source().is_some());

        std::fs::write(&temp.0, b"this is no sound at all, only text").unwrap();
        let text = WavSource::open(&temp.0, 8_000).unwrap_err();
        assert!(matches!(text.kind, WavErrorKind::NotWav(_)) && text.source().is_some(), "{text}");

        WavSink::create(&temp.0, 8_000).unwrap().finish().unwrap();
        assert!(matches!(WavSource::open(&temp.0, 8_000).unwrap_err().kind, WavErrorKind::Empty));

        let mut sink = WavSink::create(&temp.0, 8_000).unwrap();
        sink.write(&[1; 1000]).unwrap();
        sink.finish().unwrap();
        let whole = std::fs::read(&temp.0).unwrap();
        assert!(matches!(WavSource::open(&temp.0, 1_000).unwrap_err().kind, WavErrorKind::Unsupported(_)));

        std::fs::write(&temp.0, &whole[..whole.len() - 500]).unwrap();
        let torn = WavSource::open(&temp.0, 8_000).and_then(|mut s| s.read(&mut [0; 2000])).unwrap_err();
        assert!(matches!(torn.kind, WavErrorKind::Read(_)), "{torn}");

        // Coding 7 is mu-law (RFC 2361, A.5).
        let mut law = whole.clone();
        law[20] = 7;
        std::fs::write(&temp.0, &law).unwrap();
        let law = WavSource::open(&temp.0, 8_000).unwrap_err();
        assert!(matches!(law.kind, WavErrorKind::Unsupported(_)), "{law}");
        assert!(!law.to_string().contains('\n'));

        // No header makes it panic.
        for n in 0..whole.len().min(60) {
            for b in [0, 1, 0x7f, 0xff] {
                let mut bent = whole.clone();
                bent[n] = b;
                std::fs::write(&temp.0, &bent).unwrap();
                let _ = WavSource::open(&temp.0, 8_000).and_then(|mut s| s.read(&mut [0; 2000]));
            }
        }
    }
}
