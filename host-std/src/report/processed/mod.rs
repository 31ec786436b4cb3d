//! The report of `media-core process` on a recorded microphone: figures as JSON, as text, and as a page with levels, ERLE and
//! spectrograms over time.
//!
//! A [`Measure`] hears far end, microphone and result as they come, in pieces of any length, so a recording may be as long
//! as it likes: it keeps a level for each 10 ms and, where a page is wanted, as many columns of a spectrogram as one sees.
//!
//! ERLE (echo return loss enhancement) is the power of the microphone over that of the result, where the far end is heard
//! and nobody speaks at the near end within 200 ms, as far as the canceller knows. The far end is heard in a frame if within
//! the last 250 ms it was at most 35 dB below its loudest frame.

mod page;
mod png;
mod spectrogram;

use std::fmt;

use dsp_core::process::voice::{VoiceConfig, VoiceDetector};
use serde::Serialize;

use super::data::EchoFigures;
use super::json::{maybe_micros, micros, rows_from};
use crate::probe::{Segments, SpeechSegment, in_words};
use crate::session::EchoStatus;
use spectrogram::Spectrogram;

/// Nesting from which the JSON has values on one line: a second.
const ROW_DEPTH: usize = 3;
/// Frames of levels a second.
const FRAMES_A_SECOND: usize = 100;
/// The far end counts as heard in a frame if within this many frames it was no further below its loudest frame than the factor of
/// power below.
const HEARD_FRAMES: usize = 25;
const HEARD_BELOW: f64 = 3.2e-4;
/// The least power at which the far end counts as heard: -70 dBov.
const LEAST_POWER: f64 = 1e-7;
/// The number of frames before and after a voice at the near end that count as the voice.
const AROUND_FRAMES: usize = 20;

/// The report on a processed recording: names of fields are those in the JSON, with their units.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessReport {
    /// The microphone's file.
    pub microphone: String,
    /// The loudspeaker's file, if there is one.
    pub far: Option<String>,
    /// The result's file.
    pub output: String,
    /// The settings, name and value, in the order to show.
    pub settings: Vec<(String, String)>,
    /// Rate of all three, in Hz.
    pub sample_rate_hz: u32,
    /// Channels of the microphone and the result.
    pub channels: u8,
    /// Length of the microphone's sound in seconds.
    #[serde(serialize_with = "micros")]
    pub seconds: f64,
    /// The speed of the chain relative to the duration of the sound, without reading and writing files.
    #[serde(serialize_with = "micros")]
    pub times_real_time: f64,
    /// RMS level of the far end in dBov; `None` without one, and where it is silent.
    #[serde(serialize_with = "maybe_micros")]
    pub far_dbov: Option<f64>,
    /// RMS level of the microphone in dBov; `None` for silence.
    #[serde(serialize_with = "maybe_micros")]
    pub in_dbov: Option<f64>,
    /// RMS level of the result in dBov; `None` for silence.
    #[serde(serialize_with = "maybe_micros")]
    pub out_dbov: Option<f64>,
    /// The figures of the echo canceller; `None` without one.
    pub echo: Option<EchoFigures>,
    /// The segments of speech in the result, by the voice detector; `None` if they weren't requested.
    pub speech: Option<Vec<SpeechSegment>>,
    /// A row a second.
    pub per_second: Vec<SecondRow>,
    /// The pictures of the page.
    #[serde(skip)]
    pictures: Option<Pictures>,
}

/// One second.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SecondRow {
    /// The time at which it begins, in seconds.
    pub at_s: usize,
    /// RMS level of the far end in dBov; `None` for silence.
    #[serde(serialize_with = "maybe_micros")]
    pub far_dbov: Option<f64>,
    /// RMS level of the microphone.
    #[serde(serialize_with = "maybe_micros")]
    pub in_dbov: Option<f64>,
    /// RMS level of the result.
    #[serde(serialize_with = "maybe_micros")]
    pub out_dbov: Option<f64>,
    /// ERLE in dB; `None` where the far end isn't heard alone, and without a canceller.
    #[serde(serialize_with = "maybe_micros")]
    pub erle_db: Option<f64>,
    /// The bulk delay in ms at the end of the second.
    #[serde(serialize_with = "maybe_micros")]
    pub delay_ms: Option<f64>,
    /// Share of the second in which both ends spoke, 0 to 1.
    #[serde(serialize_with = "maybe_micros")]
    pub double_talk: Option<f64>,
}

/// The content of the page alone: levels by frame, and spectrograms.
#[derive(Clone, Debug)]
struct Pictures {
    /// Far end, microphone and result, in power of full scale.
    levels: [Vec<f64>; 3],
    before: Spectrogram,
    after: Spectrogram,
}

/// Hears a recording while it is processed.
#[derive(Debug)]
pub struct Measure {
    far: Levels,
    input: Levels,
    output: Levels,
    /// The canceller's status in each frame.
    echo: Vec<EchoStatus>,
    spectrograms: Option<[Spectrogram; 2]>,
    voice: Option<Voices>,
    sound: (u32, u8),
}

impl Measure {
    /// Creates a report for interleaved sound at this rate with this many channels, of `length` samples a channel; `pictures`
    /// says whether it is for a page too.
    pub fn new(sample_rate_hz: u32, channels: u8, length: u64, pictures: bool) -> Self {
        let levels = || Levels::new(sample_rate_hz, channels);
        let spectrogram = || Spectrogram::new(sample_rate_hz, channels, length);
        Self {
            far: levels(),
            input: levels(),
            output: levels(),
            echo: Vec::new(),
            spectrograms: pictures.then(|| [spectrogram(), spectrogram()]),
            voice: None,
            sound: (sample_rate_hz, channels),
        }
    }

    /// Adds the detection of speech in the output. Rates are multiples of 8 kHz, 48 at most; at others there is none.
    #[must_use]
    pub fn with_voice(mut self, aggressiveness: u8) -> Self {
        let (sample_rate_hz, channels) = self.sound;
        let config = VoiceConfig { sample_rate_hz, aggressiveness, hangover_ms: 0 };
        self.voice = VoiceDetector::new(config).ok().map(|detector| Voices {
            detector,
            segments: Segments::default(),
            channels: usize::from(channels.max(1)),
            frame: Vec::with_capacity((sample_rate_hz as usize) / FRAMES_A_SECOND),
        });
        self
    }

    /// Takes the sound that the loudspeaker plays next.
    pub fn hear_far(&mut self, pcm: &[i16]) {
        self.far.hear(pcm);
    }

    /// Takes the sound that the microphone captures next.
    pub fn hear_input(&mut self, pcm: &[i16]) {
        self.input.hear(pcm);
        if let Some([before, _]) = &mut self.spectrograms {
            before.hear(pcm);
        }
    }

    /// Takes the next output, at the same place in time as the microphone's sound.
    pub fn hear_output(&mut self, pcm: &[i16]) {
        self.output.hear(pcm);
        if let Some(voice) = &mut self.voice {
            voice.hear(pcm);
        }
        if let Some([_, after]) = &mut self.spectrograms {
            after.hear(pcm);
        }
    }

    /// Takes the canceller's status after the next 10 ms.
    pub fn hear_echo(&mut self, status: EchoStatus) {
        self.echo.push(status);
    }

    /// Returns the report; names, settings and the processing time are the caller's.
    pub fn finish(self, sample_rate_hz: u32, channels: u8, seconds: f64) -> ProcessReport {
        let Self { far, input, output, echo, spectrograms, voice, .. } = self;
        let (far, input, output) = (far.finish(), input.finish(), output.finish());
        let heard = heard(&far, input.len());
        let near = near(&echo);
        // ERLE and the share of double talk of these frames.
        let cancelled = |frames: std::ops::Range<usize>| {
            let known = echo.get(frames.start..frames.end.min(echo.len())).unwrap_or_default();
            let alone = |&frame: &usize| heard[frame] && !near.get(frame).is_some_and(|near| *near);
            let power = |of: &[f64]| frames.clone().filter(alone).filter_map(|frame| of.get(frame)).sum::<f64>();
            let (before, after) = (power(&input), power(&output));
            let floor = LEAST_POWER / 1e3 * frames.clone().filter(alone).count() as f64;
            let erle_db = (before > floor && !echo.is_empty()).then(|| decibels(before / after.max(floor)));
            let both = known.iter().filter(|status| status.double_talk).count();
            (erle_db, (!known.is_empty()).then(|| both as f64 / known.len() as f64))
        };
        let per_second = (0..input.len())
            .step_by(FRAMES_A_SECOND)
            .map(|begin| {
                let frames = begin..(begin + FRAMES_A_SECOND).min(input.len());
                let (erle_db, double_talk) = cancelled(frames.clone());
                let level = |of: &[f64]| level(of.get(frames.start..frames.end.min(of.len())).unwrap_or_default());
                SecondRow {
                    at_s: begin / FRAMES_A_SECOND,
                    far_dbov: level(&far),
                    in_dbov: level(&input),
                    out_dbov: level(&output),
                    erle_db,
                    delay_ms: echo.get(frames.end - 1).and_then(|status| status.delay_ms).map(f64::from),
                    double_talk,
                }
            })
            .collect();
        let (erle_db, double_talk) = cancelled(0..input.len());
        let figures = echo.last().map(|last| EchoFigures {
            erle_db,
            delay_ms: last.delay_ms.map(f64::from),
            drift_ppm: last.drift_ppm.into(),
            double_talk: double_talk.unwrap_or(0.0),
            diverged: last.diverged,
            path_changes: last.path_changes,
        });
        ProcessReport {
            microphone: String::new(),
            far: None,
            output: String::new(),
            settings: Vec::new(),
            sample_rate_hz,
            channels,
            seconds,
            times_real_time: 0.0,
            far_dbov: level(&far),
            in_dbov: level(&input),
            out_dbov: level(&output),
            echo: figures,
            speech: voice.map(|voice| voice.segments.finish()),
            per_second,
            pictures: spectrograms.map(|[before, after]| Pictures { levels: [far, input, output], before, after }),
        }
    }
}

impl ProcessReport {
    /// Returns the figures as JSON, a second a line.
    pub fn to_json(&self) -> String {
        rows_from(ROW_DEPTH, self)
    }

    /// Returns the report as a page of HTML that needs no other file: levels, ERLE and spectrograms, if they were measured.
    pub fn to_html(&self) -> String {
        page::page(self)
    }
}

impl fmt::Display for ProcessReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sound = if self.channels == 2 { "stereo" } else { "mono" };
        writeln!(
            f,
            "{}: {:.1} s of {sound} at {} Hz, {:.0} times faster than real time",
            self.microphone, self.seconds, self.sample_rate_hz, self.times_real_time
        )?;
        let level = |level: Option<f64>| level.map_or("silence".into(), |level| format!("{level:.1} dBov"));
        write!(f, "  level       in {}, out {}", level(self.in_dbov), level(self.out_dbov))?;
        if self.far.is_some() {
            write!(f, ", far end {}", level(self.far_dbov))?;
        }
        writeln!(f)?;
        if let Some(echo) = &self.echo {
            let or_none =
                |value: Option<f64>, unit| value.map_or("unknown".into(), |value| format!("{value:.1} {unit}"));
            let (erle, delay) = (or_none(echo.erle_db, "dB"), or_none(echo.delay_ms, "ms"));
            writeln!(f, "  echo        ERLE {erle}, delay {delay}, drift {:+.0} ppm", echo.drift_ppm)?;
            let double_talk = echo.double_talk * 100.0;
            write!(f, "  double talk {double_talk:.1} % of the time; path changes {}", echo.path_changes)?;
            writeln!(f, ", diverged {} times", echo.diverged)?;
        }
        if let Some(speech) = &self.speech {
            let ms = speech.iter().map(|segment| u64::from(segment.end_ms - segment.start_ms)).sum::<u64>();
            let share = ms as f64 / 10.0 / self.seconds.max(0.01);
            writeln!(f, "  speech      {share:.0} % of the time in the result: {}", in_words(speech))?;
        }
        Ok(())
    }
}

/// The detector of speech in the mean of all channels.
#[derive(Clone, Debug)]
struct Voices {
    detector: VoiceDetector,
    segments: Segments,
    channels: usize,
    frame: Vec<i16>,
}

impl Voices {
    fn hear(&mut self, pcm: &[i16]) {
        for frame in pcm.chunks_exact(self.channels) {
            let sum = frame.iter().map(|&sample| i32::from(sample)).sum::<i32>();
            self.frame.push((sum / self.channels as i32) as i16);
            if self.frame.len() == self.frame.capacity() {
                self.segments.frame(self.detector.hear(&self.frame).speech);
                self.frame.clear();
            }
        }
    }
}

/// Power of each 10 ms, the mean of all channels; full scale is 1.
#[derive(Clone, Debug)]
struct Levels {
    /// Samples of all channels in a second: a frame has a hundredth of them, to the nearest.
    second: usize,
    sum: f64,
    count: usize,
    frames: Vec<f64>,
}

impl Levels {
    fn new(sample_rate_hz: u32, channels: u8) -> Self {
        let second = sample_rate_hz as usize * usize::from(channels);
        Self { second: second.max(FRAMES_A_SECOND), sum: 0.0, count: 0, frames: Vec::new() }
    }

    fn hear(&mut self, pcm: &[i16]) {
        let mut rest = pcm;
        while !rest.is_empty() {
            let (now, later) = rest.split_at((self.second / FRAMES_A_SECOND - self.count).min(rest.len()));
            self.sum += now.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>();
            self.count += now.len();
            if self.count == self.second / FRAMES_A_SECOND {
                self.end();
            }
            rest = later;
        }
    }

    fn end(&mut self) {
        self.frames.push(self.sum / self.count as f64 / (32_768.0 * 32_768.0));
        (self.sum, self.count) = (0.0, 0);
    }

    fn finish(mut self) -> Vec<f64> {
        if self.count > 0 {
            self.end();
        }
        self.frames
    }
}

fn decibels(power: f64) -> f64 {
    10.0 * power.log10()
}

/// Returns the level of many frames in dBov; `None` for silence.
fn level(frames: &[f64]) -> Option<f64> {
    let mean = frames.iter().sum::<f64>() / frames.len() as f64;
    (mean > 0.0).then(|| decibels(mean))
}

/// Returns for each frame whether the near end speaks in it or around it: a canceller notices late, and a word fades.
fn near(echo: &[EchoStatus]) -> Vec<bool> {
    let mut near = vec![false; echo.len()];
    for (frame, _) in echo.iter().enumerate().filter(|(_, status)| status.near_end) {
        let end = (frame + AROUND_FRAMES + 1).min(near.len());
        near[frame.saturating_sub(AROUND_FRAMES)..end].fill(true);
    }
    near
}

/// Returns for each frame whether the far end is heard in it.
fn heard(far: &[f64], frames: usize) -> Vec<bool> {
    let loudest = far.iter().copied().fold(0.0, f64::max);
    let least = (loudest * HEARD_BELOW).max(LEAST_POWER);
    let mut since = usize::MAX;
    let frame = |n| {
        since = if far.get(n).is_some_and(|power| *power >= least) { 0 } else { since.saturating_add(1) };
        since < HEARD_FRAMES
    };
    (0..frames).map(frame).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A square wave: at full amplitude it has 0 dBov.
    fn tone(amplitude: i16, samples: usize) -> Vec<i16> {
        (0..samples).map(|n| if n % 8 < 4 { amplitude } else { -amplitude }).collect()
    }

    fn measured(echo: bool) -> ProcessReport {
        let mut measure = Measure::new(8_000, 1, 32_000, true);
        // The far end speaks in the second and the third second, and in the third both do.
        for (second, far, input, output) in
            [(0, 0, 0, 0), (1, 3_277, 3_277, 328), (2, 3_277, 8_000, 8_000), (3, 0, 100, 0)]
        {
            measure.hear_far(&tone(far, 8_000));
            measure.hear_input(&tone(input, 8_000));
            measure.hear_output(&tone(output, 8_000));
            for _ in 0..if echo { 100 } else { 0 } {
                let delay_ms = (second > 0).then_some(21.5);
                let near_end = second == 2;
                measure.hear_echo(EchoStatus { double_talk: near_end, near_end, delay_ms, ..EchoStatus::default() });
            }
        }
        measure.finish(8_000, 1, 4.0)
    }

    #[test]
    fn erle_is_of_the_far_end_alone() {
        let report = measured(true);
        let echo = report.echo.unwrap();
        let seconds: Vec<_> = report.per_second.iter().map(|row| row.erle_db.map(f64::round)).collect();
        // The fourth second has the far end's last 240 ms.
        assert_eq!(seconds[..3], [None, Some(20.0), None]);
        assert!(echo.erle_db.is_some_and(|erle| (erle - 20.0).abs() < 0.2), "{echo:?}");
        assert_eq!((echo.double_talk, echo.delay_ms), (0.25, Some(21.5)));
        assert_eq!(report.per_second[2].double_talk, Some(1.0));
        assert_eq!((report.per_second[0].in_dbov, report.per_second[0].delay_ms), (None, None));
        assert!(report.per_second[1].in_dbov.is_some_and(|level| (level + 20.0).abs() < 0.1));
    }

    #[test]
    fn without_a_canceller_there_is_no_erle() {
        let report = measured(false);
        assert!(report.echo.is_none());
        assert!(report.per_second.iter().all(|row| row.erle_db.is_none() && row.double_talk.is_none()));
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["per_second"].as_array().unwrap().len(), 4);
        assert_eq!(json["echo"], serde_json::Value::Null);
    }

    #[test]
    fn pieces_of_any_length_have_the_same_levels() {
        let sound = tone(1_000, 4_410 * 2 + 7);
        let whole = |pieces: usize| {
            let mut levels = Levels::new(44_100, 1);
            sound.chunks(pieces).for_each(|piece| levels.hear(piece));
            levels.finish()
        };
        let frames = whole(sound.len());
        assert_eq!(frames.len(), 21);
        assert_eq!(frames, whole(1));
        assert_eq!(frames, whole(1_000));
        assert!(Levels::new(8_000, 2).finish().is_empty());
    }
}
