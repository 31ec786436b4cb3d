//! WAV files as sources and sinks of sound: any common coding is read, 16-bit samples are written.
//!
//! | use | for |
//! |---|---|
//! | [`WavSource`] | reading mono sound at a chosen rate |
//! | [`WavFrames`] | reading interleaved channels at a chosen rate |
//! | [`WavSink`] | writing a file while sound comes |
//! | [`to_wav`] | a whole file in memory |
//!
//! A tenth of a second in stereo at 48 kHz becomes a mono file at 8 kHz:
//!
//! ```
//! use dsp_core::time::Duration;
//! use host_std::wav::{WavSink, WavSource, to_wav};
//!
//! let source = WavSource::from_bytes("tone.wav", to_wav(&[1_000; 9_600], 48_000, 2), 8_000)?;
//! assert_eq!((source.spec().channels, source.len()), (2, 800));
//! assert!(source.remarks().is_empty());
//! let pcm = source.read_all(Duration::from_millis(1_000))?;
//! assert!((990..1_010).contains(&pcm[400]));
//! let path = std::env::temp_dir().join(format!("doc-wav-page-{}.wav", std::process::id()));
//! let mut sink = WavSink::create(&path, 8_000)?;
//! sink.write(&pcm)?;
//! sink.finish()?;
//! assert_eq!(WavSource::open(&path, 8_000)?.len(), 800);
//! # std::fs::remove_file(path).ok();
//! # Ok::<(), host_std::wav::WavError>(())
//! ```
//!
//! A file as a call's device is a [`FileIo`](crate::device::FileIo), a file that is played to a call or a room a
//! `player`, and a call is recorded by a `record::recorder`.
//!
//! Files are read in steps, so that they may have any length. A source resamples to the wanted rate and removes the resampler's
//! delay, so that the first sample that is read is the first of the file.
//!
//! **Limits.** 1 to 64 channels at 4 to 192 kHz are read: integers of 8 to 64 bits, floats of 32 and 64 bits, A-law and mu-law. A file
//! that is written ends at 4 GB.
//!
//! **Standards.** RIFF/WAVE, and for reading also RF64 (EBU Tech 3306) and BW64 (ITU-R BS.2088).

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use dsp_core::codec::g711::{alaw_to_linear, ulaw_to_linear};
use dsp_core::format::{self, Dither, Downmix, Encoding as _};
use dsp_core::time::Duration;

use crate::resample::{Quality, Resampler};

mod frames;
mod header;
mod sink;

use header::Header;

pub use frames::{WavFrames, mean_of_channels};
pub use header::{WavCoding, WavSpec};
pub use sink::{WavSink, to_wav};

/// Input frames read at a time.
const STEP: usize = 256;

/// The reason why a WAV file can't be read or written. One line with the path; the cause below, if any, is in `source()`.
#[derive(Debug)]
pub struct WavError {
    /// The file with which something is wrong.
    pub path: PathBuf,
    /// The kind of error.
    pub kind: WavErrorKind,
}

/// The kind of an error in a WAV file.
#[derive(Debug)]
pub enum WavErrorKind {
    /// The file can't be opened or created.
    Open(io::Error),
    /// The file is a pipe, in which one can't go back.
    Pipe,
    /// The file isn't WAV, or its header is broken; the text says how.
    NotWav(&'static str),
    /// The file has a coding, a rate or a number of channels that isn't read here.
    Unsupported(String),
    /// The file has no samples.
    Empty,
    /// The file is longer than this many seconds, which is the most that is read into memory.
    TooLong(u64),
    /// The file has become shorter, or can't be read any further.
    Read(io::Error),
    /// The file can't be written any further.
    Write(io::Error),
    /// The file has reached 4 GB, the most that WAV can have.
    Full,
}

impl WavError {
    /// Returns a copy: an error is reported where it happens, and again on request.
    pub(crate) fn again(&self) -> Self {
        let of = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
        let kind = match &self.kind {
            WavErrorKind::Open(error) => WavErrorKind::Open(of(error)),
            WavErrorKind::Read(error) => WavErrorKind::Read(of(error)),
            WavErrorKind::Write(error) => WavErrorKind::Write(of(error)),
            WavErrorKind::Pipe => WavErrorKind::Pipe,
            WavErrorKind::NotWav(why) => WavErrorKind::NotWav(why),
            WavErrorKind::Unsupported(what) => WavErrorKind::Unsupported(what.clone()),
            WavErrorKind::Empty => WavErrorKind::Empty,
            WavErrorKind::TooLong(seconds) => WavErrorKind::TooLong(*seconds),
            WavErrorKind::Full => WavErrorKind::Full,
        };
        Self { path: self.path.clone(), kind }
    }
}

impl fmt::Display for WavError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.kind {
            WavErrorKind::Open(_) => write!(f, "cannot open {path}"),
            WavErrorKind::Pipe => write!(f, "{path} is a pipe: sound is read from a WAV file on a disk"),
            WavErrorKind::NotWav(why) => write!(f, "{path} is not a WAV file: {why}"),
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
            WavErrorKind::Open(e) | WavErrorKind::Read(e) | WavErrorKind::Write(e) => Some(e),
            WavErrorKind::NotWav(_) | WavErrorKind::Unsupported(_) | WavErrorKind::Pipe => None,
            WavErrorKind::Empty | WavErrorKind::TooLong(_) | WavErrorKind::Full => None,
        }
    }
}

/// A WAV file as 16-bit mono at a chosen rate.
///
/// It reads integers of 8, 16, 24, 32 and 64 bits, floats of 32 and 64 bits, A-law and mu-law, at 4 to 192 kHz, in RIFF, RIFX,
/// RF64 and BW64. 1 to 64 channels are mixed as ITU-R BS.775 says ([`Downmix`]). Files with a wrong header that sox and ffmpeg
/// read are read here too, and [`WavSource::remarks`] lists the faults. [The module's page](self) has an example.
pub struct WavSource {
    input: Box<dyn Input>,
    header: Header,
    path: PathBuf,
    rate_hz: u32,
    /// Input frames not yet read.
    frames_left: u64,
    /// Output samples not yet given.
    samples_left: u64,
    samples: u64,
    /// The resampler; `None` where the file has the wanted rate already.
    resampler: Option<Resampler>,
    /// A step of the file as it is, and as sound.
    bytes: Vec<u8>,
    mono: [f32; STEP],
    /// All channels of one moment, and how they are one.
    frame: Vec<f32>,
    mixer: Downmix<f32>,
    /// The index of the mixer's side that is read.
    side: usize,
    /// The one channel that is read; `None`: all, mixed.
    only: Option<usize>,
    dither: Option<Dither>,
}

/// A source from which a WAV can be read.
trait Input: Read + Seek + Send {}

impl<T: Read + Seek + Send> Input for T {}

impl WavSource {
    /// Reads a WAV in memory; `name` replaces its path in errors.
    ///
    /// # Errors
    /// The same as for [`WavSource::open`].
    pub fn from_bytes(name: &str, bytes: impl AsRef<[u8]> + Send + 'static, rate_hz: u32) -> Result<Self, WavError> {
        let path = PathBuf::from(name);
        let input = Box::new(Cursor::new(bytes));
        Self::read_header(&path, input, rate_hz, Quality::Best).map_err(|kind| WavError { path, kind })
    }

    /// Opens `path` and reads its header; sound will come at `rate_hz`.
    ///
    /// # Errors
    /// `Open`, `Pipe`, `NotWav`, `Unsupported` (also for a `rate_hz` outside 4 to 192 kHz), `Empty` and `Read` of
    /// [`WavErrorKind`].
    pub fn open(path: impl AsRef<Path>, rate_hz: u32) -> Result<Self, WavError> {
        Self::with_quality(path, rate_hz, Quality::Best)
    }

    /// Creates the same, resampled by a filter of one's choice; of the others it is the best.
    ///
    /// # Errors
    /// The same as for [`WavSource::open`].
    pub fn with_quality(path: impl AsRef<Path>, rate_hz: u32, quality: Quality) -> Result<Self, WavError> {
        let path = path.as_ref().to_path_buf();
        Self::open_file(&path, rate_hz, quality).map_err(|kind| WavError { path, kind })
    }

    fn open_file(path: &Path, rate_hz: u32, quality: Quality) -> Result<Self, WavErrorKind> {
        // A pipe without a writer would block for ever.
        let about = std::fs::metadata(path).map_err(WavErrorKind::Open)?;
        if about.is_dir() {
            return Err(WavErrorKind::Open(io::ErrorKind::IsADirectory.into()));
        }
        if !about.is_file() {
            return Err(WavErrorKind::Pipe);
        }
        let file = File::open(path).map_err(WavErrorKind::Open)?;
        Self::read_header(path, Box::new(BufReader::new(file)), rate_hz, quality)
    }

    fn read_header(
        path: &Path,
        mut input: Box<dyn Input>,
        rate_hz: u32,
        quality: Quality,
    ) -> Result<Self, WavErrorKind> {
        let header = Header::read(&mut input)?;
        let file_hz = header.spec.sample_rate;
        // Also where no resampler is needed: a header's 0 Hz must not get through.
        let resampler = Resampler::with_quality(file_hz, rate_hz, quality)
            .map_err(|_| WavErrorKind::Unsupported(format!("{file_hz} Hz as {rate_hz} Hz")))?;
        let mut resampler = (file_hz != rate_hz).then_some(resampler);
        resampler.iter_mut().for_each(Resampler::align);
        let samples = u128::from(header.frames) * u128::from(rate_hz);
        let samples = u64::try_from(samples.div_ceil(u128::from(file_hz))).unwrap_or(u64::MAX);
        Ok(Self {
            input,
            path: path.to_path_buf(),
            rate_hz,
            frames_left: header.frames,
            samples_left: samples,
            samples,
            resampler,
            bytes: vec![0; STEP * header.frame_bytes()],
            mono: [0.0; STEP],
            frame: vec![0.0; header.spec.channels.into()],
            mixer: Downmix::new(header.spec.channels.into(), 1),
            side: 0,
            only: None,
            dither: None,
            header,
        })
    }

    /// Returns the rate of the sound that [`WavSource::read`] gives, in Hz.
    pub fn sample_rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Returns the format of the file itself: rate, channels, bits.
    pub fn spec(&self) -> WavSpec {
        self.header.spec
    }

    /// Returns the oddities of the file, though it is read: each a sentence without a full stop, for people.
    pub fn remarks(&self) -> &[String] {
        &self.header.remarks
    }

    /// Reads this channel alone, counted from 0, instead of all of them mixed. A file with fewer has its last one read.
    #[must_use]
    pub fn of_channel(mut self, channel: u16) -> Self {
        self.only = Some(usize::from(channel.min(self.header.spec.channels - 1)));
        self
    }

    /// Reads the left (0) or right (1) side of all channels mixed to two, instead of all of them mixed to one.
    #[must_use]
    pub fn of_side(mut self, side: u16) -> Self {
        self.mixer = Downmix::new(self.header.spec.channels.into(), 2);
        self.side = usize::from(side.min(1));
        self
    }

    /// Adds dither before the sound is rounded to 16 bits; from a file of 16 bits at the wanted rate nothing is lost.
    #[must_use]
    pub fn dithered(mut self, seed: u32) -> Self {
        let Header { spec, .. } = &self.header;
        let one = self.only.is_some() || spec.channels == 1;
        let keeps = self.resampler.is_none() && spec.bits_per_sample <= 16 && one;
        self.dither = (!keeps).then(|| Dither::new(seed));
        self
    }

    /// Returns the whole file's length in samples at the wanted rate.
    pub fn len(&self) -> u64 {
        self.samples
    }

    /// Returns `false`: an empty file isn't opened.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Fills `pcm` and returns how far: less than all only at the file's end, and then 0.
    ///
    /// # Errors
    /// [`WavErrorKind::Read`] where the file can't be read, or has become shorter since it was opened.
    pub fn read(&mut self, pcm: &mut [i16]) -> Result<usize, WavError> {
        let want = usize::try_from(self.samples_left).unwrap_or(usize::MAX).min(pcm.len());
        let mut filled = 0;
        while filled < want {
            filled += self.read_some(&mut pcm[filled..want])?;
        }
        self.samples_left -= filled as u64;
        Ok(filled)
    }

    /// Reads the rest, of a file just opened all of it, into memory: the whole file is `longest` at most.
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
    /// [`WavErrorKind::Read`] if the file can't be read from its start again.
    pub fn rewind(&mut self) -> Result<(), WavError> {
        let seek = self.input.seek(SeekFrom::Start(self.header.data_at));
        seek.map_err(|e| WavError { path: self.path.clone(), kind: WavErrorKind::Read(e) })?;
        self.frames_left = self.header.frames;
        self.samples_left = self.samples;
        if let Some(resampler) = &mut self.resampler {
            resampler.align();
        }
        Ok(())
    }

    fn read_some(&mut self, pcm: &mut [i16]) -> Result<usize, WavError> {
        let Some(resampler) = &mut self.resampler else {
            let n = self.read_mono(pcm.len().min(STEP))?;
            round(&self.mono[..n], pcm, &mut self.dither);
            return Ok(n);
        };
        let n = resampler.pull_f32(&mut self.mono[..pcm.len().min(STEP)]);
        if n > 0 {
            round(&self.mono[..n], pcm, &mut self.dither);
            return Ok(n);
        }
        // The queue is empty, so a step always fits. Past the file's end silence pushes the last sound out.
        let n = self.read_mono(STEP)?;
        self.mono[n..].fill(0.0);
        if let Some(resampler) = &mut self.resampler {
            resampler.push_f32(&self.mono);
        }
        Ok(0)
    }

    /// Reads up to `frames` into `self.mono`, mixed to one channel, full scale at 1.0.
    fn read_mono(&mut self, frames: usize) -> Result<usize, WavError> {
        let frames = frames.min(usize::try_from(self.frames_left).unwrap_or(usize::MAX));
        let bytes = &mut self.bytes[..frames * self.header.frame_bytes()];
        self.input.read_exact(bytes).map_err(|e| WavError { path: self.path.clone(), kind: WavErrorKind::Read(e) })?;
        let sample = |bytes| self.header.sample(bytes);
        for (slot, frame) in self.mono.iter_mut().zip(bytes.chunks_exact(self.header.frame_bytes())) {
            let mut samples = frame.chunks_exact(self.header.sample_bytes).map(sample);
            let mono = match self.only {
                Some(only) => samples.nth(only).unwrap_or_default(),
                None => {
                    self.frame.iter_mut().zip(samples).for_each(|(slot, sample)| *slot = sample);
                    self.mixer.frame(&self.frame)[self.side]
                }
            };
            // A float file may hold anything; a value that isn't a number becomes silence.
            *slot = if mono.is_finite() { mono } else { 0.0 };
        }
        self.frames_left -= frames as u64;
        Ok(frames)
    }
}

/// Floats to 16 bits.
fn round(samples: &[f32], pcm: &mut [i16], dither: &mut Option<Dither>) {
    let to = &mut pcm[..samples.len()];
    // The only possible error is a different length, and the lengths are equal.
    let _ = match dither {
        Some(dither) => format::write_dithered(samples, to, dither),
        None => format::write(samples, to),
    };
}

impl fmt::Debug for WavSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WavSource({}, {} samples left at {} Hz)", self.path.display(), self.samples_left, self.rate_hz)
    }
}

impl Header {
    /// A sample from its octets, full scale at 1.0.
    fn sample(&self, bytes: &[u8]) -> f32 {
        /// Returns the octets as the upper ones of a number, the highest first.
        fn upper<const N: usize>(bytes: &[u8], big_endian: bool) -> [u8; N] {
            let mut upper = [0; N];
            if big_endian {
                upper.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
            } else {
                upper.iter_mut().zip(bytes.iter().rev()).for_each(|(slot, byte)| *slot = *byte);
            }
            upper
        }
        match (self.spec.coding, bytes) {
            (WavCoding::MuLaw, [code, ..]) => ulaw_to_linear(*code).read(),
            (WavCoding::ALaw, [code, ..]) => alaw_to_linear(*code).read(),
            (WavCoding::Int, [octet]) => octet.read(),
            // The lower 32 of 64 bits are far below the threshold of hearing.
            (WavCoding::Int, _) => i32::from_be_bytes(upper(bytes, self.big_endian)).read(),
            (WavCoding::Float, [_, _, _, _]) => f32::from_be_bytes(upper(bytes, self.big_endian)).read(),
            (WavCoding::Float, _) => f64::from_be_bytes(upper(bytes, self.big_endian)).read(),
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use hound::{SampleFormat, WavWriter};

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
                let spec = hound::WavSpec { channels, sample_rate, bits_per_sample: bits, sample_format: format };
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
        assert!(text.to_string().ends_with("is not a WAV file: it doesn't begin with RIFF"), "{text}");

        WavSink::create(&temp.0, 8_000).unwrap().finish().unwrap();
        assert!(matches!(WavSource::open(&temp.0, 8_000).unwrap_err().kind, WavErrorKind::Empty));

        let mut sink = WavSink::create(&temp.0, 8_000).unwrap();
        sink.write(&[1; 1000]).unwrap();
        sink.finish().unwrap();
        let whole = std::fs::read(&temp.0).unwrap();
        assert!(matches!(WavSource::open(&temp.0, 1_000).unwrap_err().kind, WavErrorKind::Unsupported(_)));

        std::fs::write(&temp.0, &whole[..whole.len() - 500]).unwrap();
        // What is there is read; but what was there a moment ago and is gone is an error.
        let mut torn = WavSource::open(&temp.0, 8_000).unwrap();
        assert_eq!((torn.len(), torn.read(&mut [0; 2000]).unwrap()), (750, 750));
        torn.rewind().unwrap();
        std::fs::write(&temp.0, &whole[..500]).unwrap();
        let gone = torn.read(&mut [0; 2000]).unwrap_err();
        assert!(matches!(gone.kind, WavErrorKind::Read(_)), "{gone}");

        // Coding 2 is ADPCM (RFC 2361, A.2).
        let mut adpcm = whole.clone();
        adpcm[20] = 2;
        std::fs::write(&temp.0, &adpcm).unwrap();
        let adpcm = WavSource::open(&temp.0, 8_000).unwrap_err();
        assert!(adpcm.to_string().ends_with("ADPCM of Microsoft (coding 0x0002) is not supported"), "{adpcm}");
        assert!(!adpcm.to_string().contains('\n'));

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
