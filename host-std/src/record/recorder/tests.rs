use std::path::Path;
use std::sync::mpsc;
use std::time::Instant as StdInstant;

use dsp_core::time::{Duration as MediaDuration, Instant};

use super::*;
use crate::wav::{WavFrames, WavSource};

fn temp(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("media-core-{}-recorder-{name}", std::process::id()))
}

fn read(path: &Path, channels: u8) -> Vec<i16> {
    WavFrames::open(path, 8_000, channels).unwrap().read_all(MediaDuration::from_secs(100)).unwrap()
}

fn config(path: &Path, layout: Layout) -> RecorderConfig {
    RecorderConfig { sample_rate_hz: 8_000, layout, ..RecorderConfig::new(path) }
}

/// Gives `tracks` ten seconds, one faster than the other, as calls do.
fn give(tracks: &mut [Track], seconds: u64) {
    for tick in 0..seconds * 100 {
        for (track, value) in tracks.iter_mut().zip([1_000i16, 300]) {
            // Without haste, so that nothing is refused.
            track.write(tick * 80, &[value + (tick % 100) as i16; 80]);
        }
    }
}

#[test]
fn parties_lie_side_by_side() {
    let path = temp("channels.wav");
    let (recorder, mut tracks) = Recorder::start(config(&path, Layout::Channels)).unwrap();
    give(&mut tracks, 3);
    let status = recorder.stop().unwrap();
    assert_eq!((status.frames, status.refused_samples, status.late_samples), (24_000, 0, 0));
    let sound = read(&path, 2);
    assert_eq!(sound.len(), 48_000);
    for (frame, pair) in sound.chunks(2).enumerate() {
        let tick = (frame / 80 % 100) as i16;
        assert_eq!(pair, [1_000 + tick, 300 + tick], "{frame}");
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn what_is_missing_is_silence_in_its_place() {
    let path = temp("mixed.wav");
    let (recorder, mut tracks) = Recorder::start(config(&path, Layout::Mixed)).unwrap();
    tracks[0].write(0, &[100; 8_000]);
    // Half a second later, and a leap of four seconds, which is more than is held at once.
    tracks[1].write(4_000, &[20; 8_000]);
    tracks[1].write(44_000, &[20; 800]);
    let status = recorder.stop().unwrap();
    assert_eq!((status.frames, status.late_samples), (44_800, 0));
    let sound = read(&path, 1);
    for (range, value) in
        [(0..4_000, 100), (4_000..8_000, 120), (8_000..12_000, 20), (12_000..44_000, 0), (44_000..44_800, 20)]
    {
        assert!(sound[range.clone()].iter().all(|&sample| sample == value), "{range:?}");
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_party_that_is_silent_is_not_waited_for() {
    let path = temp("one.wav");
    let (recorder, mut tracks) = Recorder::start(config(&path, Layout::Channels)).unwrap();
    tracks[1].write(0, &[7; 16_000]);
    let begin = StdInstant::now();
    while recorder.status().frames < 12_000 {
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", recorder.status());
        std::thread::sleep(Duration::from_millis(5));
    }
    // What comes too late is counted.
    tracks[0].write(0, &[9; 80]);
    let status = recorder.stop().unwrap();
    assert_eq!((status.frames, status.late_samples), (16_000, 80));
    std::fs::remove_file(path).unwrap();
}

/// A disk that stands still until it is told to go on.
struct Stalled(mpsc::Receiver<()>, Arc<Mutex<Vec<i16>>>);

impl SoundSink for Stalled {
    fn write(&mut self, interleaved: &[i16]) -> Result<(), SinkError> {
        let _ = self.0.recv();
        self.1.lock().unwrap().extend_from_slice(interleaved);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        Ok(())
    }
}

#[test]
fn a_disk_that_stands_still_costs_no_tick() {
    let (go_on, wait) = mpsc::channel();
    let written = Arc::new(Mutex::new(Vec::new()));
    let mut sink: Option<Box<dyn SoundSink>> = Some(Box::new(Stalled(wait, written.clone())));
    let open = move |_: &Path| sink.take().ok_or_else(|| "one file".into());
    let config =
        RecorderConfig { tracks: 1, queue: Duration::from_secs(1), ..config(&temp("stalled.wav"), Layout::Mixed) };
    let (recorder, mut tracks) = Recorder::start_with(config, Box::new(open)).unwrap();
    let begin = StdInstant::now();
    // Ten seconds, of which one and what the thread has taken in before it stood still fit.
    for tick in 0..1_000u64 {
        tracks[0].write(tick * 80, &[1; 80]);
    }
    assert!(begin.elapsed() < Duration::from_secs(1), "nothing waits for the disk");
    let refused = recorder.status().refused_samples;
    assert!((40_000..=72_000).contains(&refused), "{refused}");
    drop(go_on);
    // What comes later has its place.
    std::thread::sleep(Duration::from_millis(100));
    tracks[0].write(100_000, &[5; 80]);
    let status = recorder.stop().unwrap();
    let written = written.lock().unwrap();
    assert_eq!((status.frames, written.len()), (100_080, 100_080));
    assert_eq!(written[100_000..], [5; 80]);
    assert_eq!(written.iter().filter(|&&sample| sample == 1).count() as u64, 80_000 - refused);
}

/// A disk with room for so many samples.
struct Full(usize);

impl SoundSink for Full {
    fn write(&mut self, interleaved: &[i16]) -> Result<(), SinkError> {
        self.0 = self.0.checked_sub(interleaved.len()).ok_or("no space left")?;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        unreachable!("a file that can't be written isn't finished")
    }
}

#[test]
fn a_full_disk_ends_the_recording_and_says_so() {
    let path = temp("full.wav");
    let open = |_: &Path| -> Result<Box<dyn SoundSink>, SinkError> { Ok(Box::new(Full(20_000))) };
    let (recorder, mut tracks) = Recorder::start_with(config(&path, Layout::Mixed), Box::new(open)).unwrap();
    for second in 0..20 {
        for track in &mut tracks {
            (0..100u64).for_each(|tick| track.write((second * 100 + tick) * 80, &[1; 80]));
        }
        std::thread::sleep(Duration::from_millis(30));
    }
    let status = recorder.status();
    assert_eq!(status.error, Some(RecordError { path: path.clone(), why: "no space left".into() }));
    // The tracks are emptied on: a call that goes on counts nothing as refused.
    assert_eq!(status.refused_samples, 0);
    assert_eq!(recorder.stop().unwrap_err().to_string(), format!("cannot record to {}: no space left", path.display()));
}

#[test]
fn files_follow_each_other_without_a_gap() {
    let path = temp("rotated.wav");
    let rotation = Rotation { after: Some(Duration::from_secs(1)), bytes: Some(44 + 2 * 6_000) };
    let (recorder, mut tracks) =
        Recorder::start(RecorderConfig { rotation, tracks: 1, ..config(&path, Layout::Mixed) }).unwrap();
    (0..250u64).for_each(|tick| tracks[0].write(tick * 80, &[tick as i16; 80]));
    let status = recorder.stop().unwrap();
    assert_eq!(status.files.len(), 4, "{:?}", status.files);
    let names: Vec<_> = status.files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    assert!(names[0].ends_with("rotated-001.wav") && names[3].ends_with("rotated-004.wav"), "{names:?}");
    let sound: Vec<i16> = status.files.iter().flat_map(|file| read(file, 1)).collect();
    assert_eq!(read(&status.files[0], 1).len(), 6_000);
    let expected: Vec<i16> = (0..250).flat_map(|tick| [tick as i16; 80]).collect();
    assert_eq!(sound, expected);
    status.files.iter().for_each(|file| std::fs::remove_file(file).unwrap());
}

#[test]
fn a_pause_is_left_out() {
    let path = temp("paused.wav");
    let (recorder, mut tracks) = Recorder::start(RecorderConfig { tracks: 1, ..config(&path, Layout::Mixed) }).unwrap();
    let settle = |recorder: &Recorder, frames: u64| {
        let begin = StdInstant::now();
        while recorder.status().frames < frames && begin.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(60));
    };
    tracks[0].write(0, &[1; 8_000]);
    settle(&recorder, 8_000);
    recorder.set_paused(true);
    tracks[0].write(8_000, &[2; 8_000]);
    settle(&recorder, 8_000);
    recorder.set_paused(false);
    tracks[0].write(16_000, &[3; 8_000]);
    recorder.stop().unwrap();
    let sound = read(&path, 1);
    assert_eq!(sound.len(), 16_000);
    assert!(!sound.contains(&2));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_file_that_grows_can_be_read() {
    let path = temp("grows.wav");
    let (recorder, mut tracks) = Recorder::start(RecorderConfig { tracks: 1, ..config(&path, Layout::Mixed) }).unwrap();
    tracks[0].write(0, &[1; 24_000]);
    let begin = StdInstant::now();
    // As somebody who looks at it, or finds it after the program was killed.
    while WavSource::open(&path, 8_000).map_or(0, |file| file.len()) < 16_000 {
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", recorder.status());
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(recorder);
    std::fs::remove_file(path).unwrap();
}

#[cfg(feature = "opus")]
#[test]
fn ogg_opus_has_the_sound_and_its_length() {
    use crate::opus_file::OpusFile;
    let path = temp("sound.opus");
    let (recorder, mut tracks) = Recorder::start(config(&path, Layout::Channels)).unwrap();
    for tick in 0..215u64 {
        let tone = |period: f64| -> Vec<i16> {
            (0..80)
                .map(|n| (8_000.0 * ((tick * 80 + n) as f64 * std::f64::consts::TAU / period).sin()) as i16)
                .collect()
        };
        tracks[0].write(tick * 80, &tone(20.0));
        tracks[1].write(tick * 80, &tone(13.0));
    }
    recorder.stop().unwrap();
    let file = OpusFile::read(std::fs::File::open(&path).unwrap()).unwrap();
    assert_eq!((file.head.channels, file.ticks), (2, 215 * 480));
    assert!(file.remarks.is_empty(), "{:?}", file.remarks);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn bad_settings_are_told() {
    let wrong = |config: RecorderConfig| Recorder::start(config).map(|_| ()).unwrap_err().to_string();
    let path = Path::new("/nowhere/at/all.wav");
    assert!(wrong(RecorderConfig::new(path)).starts_with("cannot record to /nowhere/at/all.wav: "));
    assert!(wrong(RecorderConfig { tracks: 0, ..RecorderConfig::new(path) }).contains("0 tracks"));
    assert!(wrong(RecorderConfig { sample_rate_hz: 1, ..RecorderConfig::new(path) }).contains("1 Hz"));
    assert!(wrong(RecorderConfig::new("sound.mp3")).contains(".wav, .opus or .ogg"));
}

#[test]
fn clocks_are_followed_for_an_hour() {
    for ppm in [-100i64, 100] {
        let rate = 8_000u64;
        let mut clock = TrackClock::new(8_000, Instant::ZERO);
        let mut worst = 0;
        for tick in 0..360_000u64 {
            // The sound's clock against that of the times.
            let at = Instant::from_micros((tick as i64 * 10_000 + tick as i64 * ppm / 100) as u64);
            let place = clock.place(at, 80);
            worst = place.abs_diff(at.as_micros() * rate / 1_000_000).max(worst);
        }
        assert!(worst <= 20 * 8, "{ppm} ppm: {worst} samples");
    }
    // A device that lost a second.
    let mut clock = TrackClock::new(8_000, Instant::ZERO);
    assert_eq!(clock.place(Instant::ZERO, 80), 0);
    assert_eq!(clock.place(Instant::from_millis(13), 80), 80, "jitter of the times moves nothing");
    assert_eq!(clock.place(Instant::from_millis(1_020), 80), 8_160);
}
