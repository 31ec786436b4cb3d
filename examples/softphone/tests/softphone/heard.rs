//! What was heard: which tones, when. Each side of a call says a tone of its own, so that one knows who is heard by
//! whom.

use std::f64::consts::TAU;
use std::path::Path;
use std::time::{Duration, Instant};

use host_std::wav::{WavSink, WavSource};

/// Rate of all files.
pub(crate) const RATE: u32 = 16_000;
/// The amplitude of what is said.
const SAID: f64 = 8_000.0;
/// A tone is there from here on: 8 dB below what was said.
const THERE: f64 = 3_200.0;
/// And it isn't below this: 24 dB. A gap in another tone has a little of all others.
const GONE: f64 = 500.0;
/// Samples of a window: all tones are multiples of 10 Hz, and fit.
const WINDOW: usize = RATE as usize / 10;

/// A second of a tone at a rate; repeated, it goes on without a click.
pub(crate) fn tone(hz: u32, rate: u32) -> Vec<i16> {
    assert_eq!(hz % 10, 0, "tones are multiples of 10 Hz");
    let sample = |n: u32| (SAID * (f64::from(n) * f64::from(hz) * TAU / f64::from(rate)).sin()) as i16;
    (0..rate).map(sample).collect()
}

/// Writes it.
pub(crate) fn write_tone(path: &Path, hz: u32, rate: u32) {
    write_tone_for(path, hz, rate, 1);
}

/// The same for so many seconds.
pub(crate) fn write_tone_for(path: &Path, hz: u32, rate: u32, seconds: u32) {
    let mut sink = WavSink::create(path, rate).unwrap();
    (0..seconds).for_each(|_| sink.write(&tone(hz, rate)).unwrap());
    sink.finish().unwrap();
}

/// A recording whose first sample was heard at a known time.
pub(crate) struct Heard {
    pcm: Vec<i16>,
    begin: Instant,
    name: String,
}

impl Heard {
    /// What a phone has heard since `begin`.
    pub(crate) fn read(path: &Path, begin: Instant, name: &str) -> Self {
        let source = WavSource::open(path, RATE).unwrap_or_else(|error| panic!("{name}: {error}"));
        let pcm = source.read_all(dsp_core::time::Duration::from_secs(600)).unwrap();
        Self { pcm, begin, name: name.into() }
    }

    fn amplitudes(&self, hz: u32, from: Instant, to: Instant) -> Vec<f64> {
        let place = |at: Instant| (at.saturating_duration_since(self.begin).as_secs_f64() * f64::from(RATE)) as usize;
        let (from, to) = (place(from).min(self.pcm.len()), place(to).min(self.pcm.len()));
        let amplitude = |window: &[i16]| {
            let (mut re, mut im) = (0.0, 0.0);
            for (n, sample) in window.iter().enumerate() {
                // Hann's window, which lets tones alone that are 20 Hz apart and more.
                let weight = 1.0 - (n as f64 * TAU / window.len() as f64).cos();
                let sample = weight * f64::from(*sample);
                let angle = n as f64 * f64::from(hz) * TAU / f64::from(RATE);
                re += sample * angle.cos();
                im += sample * angle.sin();
            }
            2.0 * re.hypot(im) / window.len() as f64
        };
        self.pcm[from..to].chunks_exact(WINDOW).map(amplitude).collect()
    }

    /// The tone was heard all the time between: in four of five windows at its level, since a machine that does other
    /// things besides makes gaps.
    #[track_caller]
    pub(crate) fn has(&self, hz: u32, from: Instant, to: Instant) {
        let amplitudes = self.amplitudes(hz, from, to);
        let there = amplitudes.iter().filter(|amplitude| **amplitude >= THERE).count();
        let Self { name, .. } = self;
        assert!(amplitudes.len() >= 5, "{name}: only {} windows to look for {hz} Hz in", amplitudes.len());
        assert!(there * 5 >= amplitudes.len() * 4, "{name} should hear {hz} Hz: {amplitudes:.0?}");
    }

    /// In how many tenths of a second the tone was heard, in all.
    pub(crate) fn tenths_with(&self, hz: u32) -> usize {
        let end = self.begin + Duration::from_millis(self.pcm.len() as u64 * 1_000 / u64::from(RATE));
        self.amplitudes(hz, self.begin, end).iter().filter(|amplitude| **amplitude >= THERE).count()
    }

    /// The tone was not heard at any time between.
    #[track_caller]
    pub(crate) fn lacks(&self, hz: u32, from: Instant, to: Instant) {
        let amplitudes = self.amplitudes(hz, from, to);
        let Self { name, .. } = self;
        assert!(amplitudes.len() >= 5, "{name}: only {} windows to look for {hz} Hz in", amplitudes.len());
        assert!(
            amplitudes.iter().all(|amplitude| *amplitude <= GONE),
            "{name} should not hear {hz} Hz: {amplitudes:.0?}"
        );
    }
}

/// A while of a call: sound is on its way at its beginning and its end.
pub(crate) struct While {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

impl While {
    /// Lets so much time pass, and is the part of it in which all is as it was agreed on.
    pub(crate) fn pass(time: Duration) -> Self {
        let begin = Instant::now();
        std::thread::sleep(time);
        Self { from: begin + Duration::from_millis(700), to: Instant::now() - Duration::from_millis(100) }
    }
}
