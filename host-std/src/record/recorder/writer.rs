//! The thread that writes: puts the tracks side by side and gives whole frames to the sink.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::sink::{Opener, SoundSink};
use super::track::TrackEnd;
use super::{Layout, RecordError, RecorderConfig, Rotation, Shared, chain};

/// The interval at which the thread looks for sound.
const EVERY: Duration = Duration::from_millis(20);
/// The time that a track may be late after the others before they are written without it, in ms.
const PATIENCE_MS: u64 = 500;
/// The duration of sound that is interleaved at once, in ms.
const WINDOW_MS: u64 = 2_000;

pub(super) struct RecordingWriter {
    tracks: Vec<Lane>,
    layout: Layout,
    sink: Option<Box<dyn SoundSink>>,
    open: Opener,
    shared: Arc<Shared>,
    path: PathBuf,
    rotation: Rotation,
    /// The number of the file that is being written; below are the frames that it has and may have.
    file: u32,
    file_frames: u64,
    most_frames: u64,
    /// Place of the first frame that isn't written.
    base: u64,
    patience: u64,
    window: u64,
    frames: Vec<i16>,
}

/// One track: the sound that came from it, from `base` on.
struct Lane {
    end: TrackEnd,
    /// A ring of `window` samples by place, with silence where no sound came.
    samples: Vec<i16>,
    /// The place after the last sample that came.
    until: u64,
}

impl RecordingWriter {
    pub(super) fn new(
        config: &RecorderConfig,
        ends: Vec<TrackEnd>,
        sink: Box<dyn SoundSink>,
        open: Opener,
        shared: Arc<Shared>,
    ) -> Self {
        let rate = u64::from(config.sample_rate_hz);
        let window = rate * WINDOW_MS / 1_000;
        let lane = |end| Lane { end, samples: vec![0; window as usize], until: 0 };
        Self {
            tracks: ends.into_iter().map(lane).collect(),
            layout: config.layout,
            sink: Some(sink),
            open,
            shared,
            path: config.path.clone(),
            rotation: config.rotation,
            file: 1,
            file_frames: 0,
            most_frames: most_frames(config),
            base: 0,
            patience: rate * PATIENCE_MS / 1_000,
            window,
            frames: Vec::new(),
        }
    }

    /// Runs until it is stopped.
    pub(super) fn run(mut self) {
        while !self.shared.stop.load(Ordering::Acquire) {
            self.turn(false);
            thread::park_timeout(EVERY);
        }
        self.turn(true);
        if let Some(sink) = self.sink.take()
            && let Err(error) = sink.finish()
        {
            self.fail(chain(&*error));
        }
    }

    /// Takes in new sound, and writes complete frames.
    fn turn(&mut self, last: bool) {
        loop {
            let more = self.take_in();
            let furthest = self.tracks.iter().map(|lane| lane.until).max().unwrap_or(0);
            let nearest = self.tracks.iter().map(|lane| lane.until).min().unwrap_or(0);
            // A track that is too late isn't waited for, and none is where the window is full.
            let waited = furthest.saturating_sub(self.patience);
            let until = if last || more { furthest } else { nearest.max(waited) };
            if until > self.base {
                self.write(until.min(self.base + self.window));
            }
            if !more && until <= self.base {
                return;
            }
        }
    }

    /// Brings runs into their lanes as far as these reach; whether one is left.
    fn take_in(&mut self) -> bool {
        let (mut left, end) = (false, self.base + self.window);
        for lane in &mut self.tracks {
            while let Ok(&run) = lane.end.runs.peek() {
                let samples = u64::from(run.samples);
                if run.place + samples > end && run.place > self.base {
                    // The piece is beyond the window: everything before it is silence.
                    lane.until = lane.until.max(run.place.min(end));
                    left = true;
                    break;
                }
                let _ = lane.end.runs.pop();
                let Ok(chunk) = lane.end.samples.read_chunk(run.samples as usize) else { break };
                for (place, sample) in (run.place..).zip(chunk) {
                    if place < self.base || place >= end {
                        self.shared.late.fetch_add(1, Ordering::Relaxed);
                    } else {
                        lane.samples[(place % self.window) as usize] = sample;
                    }
                }
                lane.until = lane.until.max(run.place + samples);
            }
        }
        left
    }

    /// Writes all frames before `until`.
    fn write(&mut self, until: u64) {
        self.frames.clear();
        let channels = match self.layout {
            Layout::Mixed => 1,
            Layout::Channels => self.tracks.len(),
        };
        for place in self.base..until {
            let at = (place % self.window) as usize;
            match self.layout {
                Layout::Mixed => {
                    let sum = self.tracks.iter().fold(0i32, |sum, lane| sum + i32::from(lane.samples[at]));
                    self.frames.push(sum.clamp(i16::MIN.into(), i16::MAX.into()) as i16);
                }
                Layout::Channels => self.frames.extend(self.tracks.iter().map(|lane| lane.samples[at])),
            }
            self.tracks.iter_mut().for_each(|lane| lane.samples[at] = 0);
        }
        self.base = until;
        self.tracks.iter_mut().for_each(|lane| lane.until = lane.until.max(until));
        if self.shared.paused.load(Ordering::Relaxed) {
            return;
        }
        let frames = std::mem::take(&mut self.frames);
        let mut rest = &frames[..];
        while !rest.is_empty() && self.sink.is_some() {
            let room = (self.most_frames - self.file_frames).min((rest.len() / channels) as u64);
            let (now, later) = rest.split_at(room as usize * channels);
            if !now.is_empty() {
                self.give(now, room);
            }
            rest = later;
            if !rest.is_empty() {
                self.next_file();
            }
        }
        self.frames = frames;
    }

    fn give(&mut self, interleaved: &[i16], frames: u64) {
        let Some(sink) = &mut self.sink else { return };
        match sink.write(interleaved) {
            Ok(()) => {
                self.file_frames += frames;
                self.shared.frames.fetch_add(frames, Ordering::Relaxed);
            }
            Err(error) => self.fail(chain(&*error)),
        }
    }

    /// Ends this file and begins the next one.
    fn next_file(&mut self) {
        if let Some(sink) = self.sink.take()
            && let Err(error) = sink.finish()
        {
            return self.fail(chain(&*error));
        }
        self.file += 1;
        self.file_frames = 0;
        let path = file_name(&self.path, &self.rotation, self.file);
        match (self.open)(&path) {
            Ok(sink) => {
                self.sink = Some(sink);
                self.shared.told().files.push(path);
            }
            Err(error) => self.fail(chain(&*error)),
        }
    }

    /// The recording has ended. Tracks are emptied on, so that nothing else is refused.
    fn fail(&mut self, why: String) {
        self.sink = None;
        let path = file_name(&self.path, &self.rotation, self.file);
        self.shared.told().error.get_or_insert(RecordError { path, why });
    }
}

/// Frames of a file before the next one begins; at least one.
fn most_frames(config: &RecorderConfig) -> u64 {
    let rate = u64::from(config.sample_rate_hz);
    let by_time = config.rotation.after.map(|after| (after.as_millis() * u128::from(rate) / 1_000) as u64);
    let is_wav = config.path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("wav"));
    let by_size = config.rotation.bytes.map(|bytes| {
        if is_wav { bytes.saturating_sub(44) / (2 * config.channels() as u64) } else { bytes / 8_000 * rate }
    });
    by_time.into_iter().chain(by_size).min().map_or(u64::MAX, |frames| frames.max(1))
}

/// Returns the name of a file: the first and only one as it was given, with rotation numbered.
pub(super) fn file_name(path: &Path, rotation: &Rotation, number: u32) -> PathBuf {
    if *rotation == Rotation::default() {
        return path.into();
    }
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("recording");
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("wav");
    path.with_file_name(format!("{stem}-{number:03}.{ending}"))
}
