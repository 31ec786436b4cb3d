//! Recording while a call or a room runs: to WAV or Ogg Opus, without ever holding up the sound.
//!
//! Use [`record_call`] for a call: it is one line, and has an example. Use [`Recorder::start`] for a room
//! ([`Room::set_track`](crate::room::Room::set_track)) or for sound from elsewhere. A call of minutes whose report is wanted is
//! recorded by [`call`](super::call) instead, in memory.
//!
//! [`Recorder::start`] opens the file and starts a thread that writes it. Each party's sound goes in by a [`Track`], on the audio
//! thread: [`Track::write`] copies samples into a ring of fixed length and never blocks, allocates or calls the system. Each
//! piece has its place on the recording's time line, so sound that the ring refuses because of a slow disk is silence of the same
//! length in the file, counted in [`RecorderStatus::refused_samples`], and the parties stay side by side.
//!
//! * Several tracks are mixed to one channel, or each has a channel of its own ([`Layout`]).
//! * A file is whole up to its last second at any time, also after `kill -9`: a WAV file's header is rewritten each second, an
//!   Ogg file has a page each second.
//! * [`Rotation`] begins a new file after a time or a size. No sample is lost between two files.
//! * A full disk, or another error, ends the recording and is reported by [`Recorder::status`]. The call continues, and the part
//!   that is written can be played.
//!
//! Two parties, a channel each:
//!
//! ```
//! use host_std::record::recorder::{Layout, Recorder, RecorderConfig};
//! use host_std::wav::WavFrames;
//!
//! let path = std::env::temp_dir().join(format!("doc-recorder-{}.wav", std::process::id()));
//! let config = RecorderConfig { sample_rate_hz: 8_000, layout: Layout::Channels, ..RecorderConfig::new(&path) };
//! let (recorder, mut tracks) = Recorder::start(config)?;
//! tracks[0].write(0, &[100; 80]);
//! tracks[1].write(0, &[200; 80]);
//! let status = recorder.stop()?;
//! assert_eq!((status.frames, status.refused_samples), (80, 0));
//!
//! let mut pcm = [0; 160];
//! WavFrames::open(&path, 8_000, 2)?.read(&mut pcm)?;
//! assert_eq!(pcm[..4], [100, 200, 100, 200]);
//! # std::fs::remove_file(path).ok();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Cost.** A copy of the sound on the audio thread, and one thread that writes. Memory: [`RecorderConfig::queue`] of each track, and
//! two seconds of each in the thread.
//!
//! **Limits.** 1 to 64 tracks at 8 to 48 kHz. A WAV file ends at 4 GB, unless [`Rotation`] begins a new one before.

mod sink;
mod tap;
mod track;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use sink::{Opener, SinkError, SoundSink};
pub use tap::record_call;
pub use track::{Track, TrackClock};

use track::TrackEnd;
use writer::RecordingWriter;

/// The mapping of tracks to channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// The sum of all tracks in one channel.
    #[default]
    Mixed,
    /// A channel for each track. In a call the near side is the left channel and the far side the right one.
    Channels,
}

/// The limits at which a new file begins: the first one that is reached counts. By default there is one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// The longest sound of a file.
    pub after: Option<Duration>,
    /// The most bytes of a file. The size of Ogg Opus isn't known beforehand, and is estimated at 64 kbit/s.
    pub bytes: Option<u64>,
}

/// Settings of a [`Recorder`].
///
/// Each side of a call on a channel of its own, in files of an hour:
///
/// ```
/// use std::time::Duration;
///
/// use host_std::record::recorder::{Layout, RecorderConfig, Rotation};
///
/// let rotation = Rotation { after: Some(Duration::from_secs(3_600)), bytes: None };
/// let config = RecorderConfig { layout: Layout::Channels, rotation, ..RecorderConfig::new("call.wav") };
/// assert_eq!(config.tracks, 2); // written to call-001.wav, call-002.wav, ...
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecorderConfig {
    /// The file: `.wav`, or `.opus` or `.ogg` for Ogg Opus. With [`RecorderConfig::rotation`] a number comes before the
    /// extension: `call-001.wav`. An existing file is replaced.
    pub path: PathBuf,
    /// The rate of all tracks and of the file, in Hz: 8,000 to 48,000; for Opus 8,000, 12,000, 16,000, 24,000 or 48,000.
    pub sample_rate_hz: u32,
    /// The number of tracks: 1 to 64, or at most 2 where they are channels of an Ogg Opus file.
    pub tracks: usize,
    /// The mapping of tracks to channels.
    pub layout: Layout,
    /// The limits at which a new file begins.
    pub rotation: Rotation,
    /// The duration of sound of each track that can wait for the disk before samples are refused.
    pub queue: Duration,
}

impl RecorderConfig {
    /// Two tracks at 16 kHz, mixed into one file; 5 s of sound can wait for the disk.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            sample_rate_hz: 16_000,
            tracks: 2,
            layout: Layout::Mixed,
            rotation: Rotation::default(),
            queue: Duration::from_secs(5),
        }
    }

    fn channels(&self) -> usize {
        match self.layout {
            Layout::Mixed => 1,
            Layout::Channels => self.tracks,
        }
    }
}

/// The reason why a recording can't begin, or has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// The file that was to be written.
    pub path: PathBuf,
    /// The reason, as text.
    pub why: String,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot record to {}: {}", self.path.display(), self.why)
    }
}

impl std::error::Error for RecordError {}

/// The state of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecorderStatus {
    /// Frames (samples of each channel) that were given to the file system.
    pub frames: u64,
    /// The place on the time line of the last sample that a track was given, in frames.
    pub given: u64,
    /// Samples of all tracks that were refused because the disk was too slow. They are silence in the file.
    pub refused_samples: u64,
    /// Samples of all tracks that came after their place was written. They are silence in the file.
    pub late_samples: u64,
    /// Whether the recording is paused.
    pub paused: bool,
    /// The reason why the recording ended before it was stopped; `None` if it didn't.
    pub error: Option<RecordError>,
    /// The files that were written, the oldest first.
    pub files: Vec<PathBuf>,
}

/// The state that the writing thread and the others share.
#[derive(Debug, Default)]
struct Shared {
    frames: AtomicU64,
    given: AtomicU64,
    refused: AtomicU64,
    late: AtomicU64,
    paused: AtomicBool,
    stop: AtomicBool,
    /// The lock of the thread that writes and of callers that ask for the status; the audio thread never takes it.
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    error: Option<RecordError>,
    files: Vec<PathBuf>,
}

impl Shared {
    fn status(&self) -> RecorderStatus {
        let told = self.told();
        RecorderStatus {
            frames: self.frames.load(Ordering::Relaxed),
            given: self.given.load(Ordering::Relaxed),
            refused_samples: self.refused.load(Ordering::Relaxed),
            late_samples: self.late.load(Ordering::Relaxed),
            paused: self.paused.load(Ordering::Relaxed),
            error: told.error.clone(),
            files: told.files.clone(),
        }
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A recording that runs; dropping it ends it, and waits until the file is whole.
///
/// [The module's page](self) has an example.
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    path: PathBuf,
}

/// Asks how a [`Recorder`] does; keeps nothing open.
#[derive(Clone, Debug)]
pub struct RecorderWatch {
    shared: Arc<Shared>,
}

impl RecorderWatch {
    /// Returns the status of the recording, or its last status if it has ended.
    pub fn status(&self) -> RecorderStatus {
        self.shared.status()
    }
}

impl Recorder {
    /// Opens the file and starts to record. The tracks begin at place 0 of one time line.
    ///
    /// # Errors
    /// A [`RecordError`] if the rate, the number of tracks or the extension of the file isn't possible, if the file can't be
    /// created, or if the system has no thread to give.
    pub fn start(config: RecorderConfig) -> Result<(Self, Vec<Track>), RecordError> {
        let opener = sink::opener(&config)?;
        Self::start_with(config, opener)
    }

    /// Does the same with your own sinks: `open` makes the sink of each file.
    ///
    /// # Errors
    /// The same as for [`Recorder::start`], and the error of `open`.
    pub fn start_with(config: RecorderConfig, mut open: Opener) -> Result<(Self, Vec<Track>), RecordError> {
        let wrong = |why: String| RecordError { path: config.path.clone(), why };
        if !(8_000..=48_000).contains(&config.sample_rate_hz) {
            return Err(wrong(format!("{} Hz; 8000 to 48000 Hz are possible", config.sample_rate_hz)));
        }
        if !(1..=64).contains(&config.tracks) {
            return Err(wrong(format!("{} tracks; 1 to 64 are possible", config.tracks)));
        }
        let first = writer::file_name(&config.path, &config.rotation, 1);
        let sink = open(&first).map_err(|error| RecordError { path: first.clone(), why: chain(&*error) })?;
        let shared = Arc::new(Shared::default());
        shared.told().files.push(first);
        let samples = (config.queue.as_millis() * u128::from(config.sample_rate_hz) / 1_000).clamp(1_000, 1 << 24);
        let (tracks, ends): (Vec<Track>, Vec<TrackEnd>) =
            (0..config.tracks).map(|_| track::track(samples as usize, shared.clone())).unzip();
        let writer = RecordingWriter::new(&config, ends, sink, open, shared.clone());
        let thread = thread::Builder::new().name("recorder".into()).spawn(move || writer.run());
        let thread = Some(thread.map_err(|error| wrong(error.to_string()))?);
        Ok((Self { shared, thread, path: config.path }, tracks))
    }

    /// Pauses or resumes writing. Sound during the pause isn't in the file: its time line is shorter by the pause.
    pub fn set_paused(&self, paused: bool) {
        self.shared.paused.store(paused, Ordering::Relaxed);
    }

    /// Returns the status of the recording.
    pub fn status(&self) -> RecorderStatus {
        self.shared.status()
    }

    /// Returns a handle that can ask for the status, on any thread and at any time.
    pub fn watch(&self) -> RecorderWatch {
        RecorderWatch { shared: self.shared.clone() }
    }

    /// Ends the recording: writes the sound that the tracks were given, and closes the file.
    ///
    /// # Errors
    /// A [`RecordError`] that says why the recording ended before, or why its end can't be written.
    pub fn stop(mut self) -> Result<RecorderStatus, RecordError> {
        self.end();
        let status = self.status();
        match status.error {
            Some(error) => Err(error),
            None => Ok(status),
        }
    }

    /// Does the same as [`stop`](Self::stop), but an error is in [`RecorderStatus::error`].
    pub fn finish(mut self) -> RecorderStatus {
        self.end();
        self.status()
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        let Some(thread) = self.thread.take() else { return };
        thread.thread().unpark();
        if thread.join().is_err() {
            let why = "its thread has broken off".into();
            self.shared.told().error.get_or_insert(RecordError { path: self.path.clone(), why });
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end();
    }
}

/// Returns an error and its causes in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

#[cfg(test)]
mod tests;
