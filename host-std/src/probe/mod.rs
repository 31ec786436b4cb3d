//! The analysis of a recording: levels, speech, noise, bandwidth, digits and tones, and its defects.
//!
//! Use a [`Probe`] for recordings that are complete; it is what `media-core probe` runs. In a call that runs
//! [`CallConfig::metering`](crate::session::CallConfig::metering) finds clipping, silence and howling instead, and digits and tones come by
//! [`Call::next_digit`](crate::session::Call::next_digit) and [`Call::next_tone`](crate::session::Call::next_tone).
//!
//! A probe takes interleaved 16-bit sound in pieces of any length. Each channel is measured by itself:
//!
//! - Levels, clipping, silence, DC and howling are those of the core's [`SoundMeter`]; the active level is that of ITU-T P.56.
//! - Speech is found by the core's voice detector. Pauses of less than [`Segments::JOIN_MS`] join the speech on both sides.
//! - The noise floor is the mean power of those frames in pauses that are 100 ms or more from the next speech and aren't digital silence.
//! - The signal-to-noise ratio is the mean power in speech less that of the noise, over that of the noise.
//! - The bandwidth is the upper edge of the mean spectrum of everything that isn't silent ([`Bandwidth`]).
//! - Digits (DTMF), the call-progress tones of one country, and the tones of faxes and modems are those of [`dsp_core::tone`].
//!
//! A second of silence and a second of a tone, which clips:
//!
//! ```
//! use dsp_core::tone::Country;
//! use host_std::probe::{Probe, ProbeConfig};
//!
//! let country = Country::of("de").expect("it has tones");
//! let mut probe = Probe::new(ProbeConfig { sample_rate_hz: 8_000, channels: 1, aggressiveness: 1, country })?;
//! probe.hear(&[0; 8_000]);
//! let tone = |n: i32| ((n as f32 * 0.7).sin() * 40_000.0) as i16;
//! probe.hear(&(0..8_000).map(tone).collect::<Vec<i16>>());
//! let report = probe.finish("tone.wav", 8_000);
//! let sound = &report.channels[0].sound;
//! assert_eq!((report.duration_s, sound.silent.total_ms), (2.0, 1_000));
//! assert!(sound.clipped_samples > 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Cost.** One level is kept for each 10 ms, so a recording may be as long as it likes.
//!
//! **Limits.** Rates are 8,000 to 48,000 Hz.

mod bandwidth;
mod segments;
mod words;

use dsp_core::process::active_level::ActiveLevel;
use dsp_core::process::metering::{MeteringError, SoundMeter, SoundStats, Spell};
use dsp_core::process::voice::{VoiceConfig, VoiceDetector};
use dsp_core::tone::{Country, DtmfConfig, DtmfDetector, HeardDigit, HeardTone, ProgressDetector};
use serde::Serialize;

use crate::report::{maybe_micros, micros, rows_from};
use crate::resample::Resampler;

use bandwidth::Edge;
pub use bandwidth::{Band, Bandwidth};
pub use segments::{Segments, SpeechSegment};
#[cfg(feature = "cli")]
pub(crate) use words::in_words;

/// Nesting from which the JSON has values on one line: a segment of speech.
const ROW_DEPTH: usize = 5;
/// Frames in a second.
const FRAMES_A_SECOND: u32 = 100;
/// Frames on both sides of speech that are neither speech nor pause.
const AROUND: usize = 10;
/// Fewer frames of a pause say nothing of the noise.
const LEAST_PAUSE: usize = 20;
/// The rate that the voice detector has where it can't have the sound's own, in Hz.
const VOICE_HZ: u32 = 16_000;

/// Settings of a [`Probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeConfig {
    /// The rate of the sound, 8,000 to 48,000 Hz.
    pub sample_rate_hz: u32,
    /// The number of channels, which are interleaved.
    pub channels: usize,
    /// The strictness of the voice detector, 0 to 3: see [`VoiceConfig::aggressiveness`]. Values above 3 count as 3.
    pub aggressiveness: u8,
    /// The country whose call-progress tones are looked for.
    pub country: &'static Country,
}

/// The analysis of a recording. Names of fields are those in the JSON, with their units.
#[derive(Clone, Debug, Serialize)]
pub struct ProbeReport {
    /// The name of the recording.
    pub file: String,
    /// The length in seconds.
    #[serde(serialize_with = "micros")]
    pub duration_s: f64,
    /// The rate of the recording, in Hz.
    pub sample_rate_hz: u32,
    /// The rate at which it was measured, in Hz, which may be another one.
    pub measured_at_hz: u32,
    /// One entry for each channel.
    pub channels: Vec<ChannelReport>,
}

/// One channel. Levels are in dBov, decibels below the overload point; `None` is digital silence, or that there is none to measure.
#[derive(Clone, Debug, Serialize)]
pub struct ChannelReport {
    /// The number of the channel, from 1.
    pub channel: usize,
    /// Levels, clipping, silence, DC and howling.
    #[serde(flatten)]
    pub sound: SoundFigures,
    /// The level of the noise in pauses, in dBov.
    #[serde(serialize_with = "maybe_micros")]
    pub noise_floor_dbov: Option<f64>,
    /// The level of speech above the noise, in dB; `None` without speech or pauses.
    #[serde(serialize_with = "maybe_micros")]
    pub snr_db: Option<f64>,
    /// The highest frequency that is really used, in Hz; `None` for silence.
    pub bandwidth_hz: Option<u32>,
    /// The name of that bandwidth in telephony.
    pub bandwidth: Option<Band>,
    /// The share of the time in which there is speech, 0 to 1.
    #[serde(serialize_with = "micros")]
    pub speech_share: f64,
    /// The stretches of speech.
    pub speech: Vec<SpeechSegment>,
    /// The DTMF digits.
    pub digits: Vec<ProbedDigit>,
    /// The tones of call progress, faxes and modems.
    pub tones: Vec<ProbedTone>,
}

/// A digit in the sound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ProbedDigit {
    /// The digit: 0 to 9, `*`, `#`, A to D.
    pub digit: char,
    /// The time at which it begins, in ms.
    #[serde(serialize_with = "micros")]
    pub start_ms: f64,
    /// The duration, in ms.
    #[serde(serialize_with = "micros")]
    pub duration_ms: f64,
    /// The level of both frequencies together, in dBm0.
    #[serde(serialize_with = "micros")]
    pub level_dbm0: f64,
}

/// A tone in the sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ProbedTone {
    /// The tone, by the name that `media-core tone` has for it.
    pub tone: &'static str,
    /// The time at which it begins, in ms, to 20 ms.
    pub start_ms: u64,
    /// The duration, in ms, including pauses.
    pub duration_ms: u64,
}

impl ProbedDigit {
    fn of(heard: &HeardDigit) -> Self {
        Self {
            digit: heard.digit.as_char(),
            start_ms: heard.start.as_micros() as f64 / 1e3,
            duration_ms: heard.duration.as_micros() as f64 / 1e3,
            level_dbm0: f64::from(heard.level_hundredths_dbm0) / 100.0,
        }
    }
}

impl ProbedTone {
    fn of(heard: &HeardTone) -> Self {
        let tone = heard.signal.name();
        Self { tone, start_ms: heard.start.as_millis(), duration_ms: heard.duration.as_millis() }
    }
}

/// The measurements of a [`SoundMeter`], as figures with units: in files and in calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SoundFigures {
    /// The RMS level of the whole sound, in dBov.
    #[serde(serialize_with = "maybe_micros")]
    pub rms_dbov: Option<f64>,
    /// The highest magnitude, in dBov.
    #[serde(serialize_with = "maybe_micros")]
    pub peak_dbov: Option<f64>,
    /// The active speech level (ITU-T P.56), in dBov.
    #[serde(serialize_with = "maybe_micros")]
    pub active_level_dbov: Option<f64>,
    /// The share of the time that is active by the same recommendation, 0 to 1.
    #[serde(serialize_with = "micros")]
    pub activity: f64,
    /// The DC offset as a share of full scale, -1 to 1.
    pub dc_share: f64,
    /// The number of samples at the overload point of 16 bits or of G.711.
    pub clipped_samples: u64,
    /// The share of clipped samples among all samples, 0 to 1.
    pub clipped_share: f64,
    /// The number of runs of clipped samples, including those below the overload point.
    pub clipped_runs: u32,
    /// The share of samples in flat tops below the overload point, which were clipped elsewhere and then made quieter. G.711
    /// makes some.
    pub flattened_share: f64,
    /// The times at which blocks of 10 ms clip.
    pub clipped: Times,
    /// The times at which blocks have flat tops below the overload point.
    pub flattened: Times,
    /// The times at which blocks are below -70 dBov, DC not counted.
    pub silent: Times,
    /// The times at which all samples of a block are equal.
    pub digitally_silent: Times,
    /// The times at which there is one steady tone that has grown, as of a feedback loop from loudspeaker to microphone.
    pub howling: Times,
    /// The frequency of that tone in Hz, within 3 %; `None` where nothing howls.
    pub howling_hz: Option<u32>,
}

/// The times at which a condition was met, to 10 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Times {
    /// The share of the time, 0 to 1.
    #[serde(serialize_with = "micros")]
    pub share: f64,
    /// The total duration, in ms.
    pub total_ms: u32,
    /// The longest duration without a break, in ms.
    pub longest_ms: u32,
    /// The time at which it first began, in ms; `None` if it never was.
    pub from_ms: Option<u32>,
    /// The time at which it last ended, in ms; `None` if it never was.
    pub until_ms: Option<u32>,
}

impl From<&SoundStats> for SoundFigures {
    fn from(stats: &SoundStats) -> Self {
        let SoundStats { level, peak, faults, .. } = stats;
        let ActiveLevel { long_term, active, activity_hundredths_percent } = *level;
        let level = |level: dsp_core::process::level::Level| {
            let hundredths = level.hundredths_dbov();
            (level != dsp_core::process::level::Level::SILENCE).then(|| f64::from(hundredths) / 100.0)
        };
        let times = |spell: &Spell| Times {
            share: f64::from(spell.share_of(stats.heard_ms.into())),
            total_ms: spell.total_ms,
            longest_ms: spell.longest_ms,
            from_ms: (!spell.is_empty()).then_some(spell.first_ms),
            until_ms: (!spell.is_empty()).then_some(spell.last_ms),
        };
        let overloaded = f64::from(faults.clipped_ppm - faults.flattened_ppm) / 1e6;
        Self {
            rms_dbov: level(long_term),
            peak_dbov: level(*peak),
            active_level_dbov: active.and_then(level),
            activity: f64::from(activity_hundredths_percent) / 1e4,
            dc_share: f64::from(faults.dc) / 32_768.0,
            clipped_samples: (overloaded * faults.samples as f64).round() as u64,
            clipped_share: overloaded,
            clipped_runs: faults.clipped_runs,
            flattened_share: f64::from(faults.flattened_ppm) / 1e6,
            clipped: times(&stats.clipped),
            flattened: times(&stats.flattened),
            silent: times(&stats.silent),
            digitally_silent: times(&stats.digital_silence),
            howling: times(&stats.howling),
            howling_hz: (stats.howling_hz > 0).then_some(stats.howling_hz),
        }
    }
}

/// Hears a recording.
///
/// [The module's page](self) has an example.
pub struct Probe {
    config: ProbeConfig,
    channels: Vec<Channel>,
    samples: u64,
    /// A channel's samples of a piece.
    part: Vec<i16>,
}

impl Probe {
    /// Creates a probe that has heard nothing.
    ///
    /// # Errors
    /// [`MeteringError`] for a rate that isn't 8,000 to 48,000 Hz.
    pub fn new(config: ProbeConfig) -> Result<Self, MeteringError> {
        let channels = (0..config.channels).map(|_| Channel::new(&config)).collect::<Result<_, _>>()?;
        Ok(Self { config, channels, samples: 0, part: Vec::new() })
    }

    /// Hears the next interleaved samples, whole frames of them.
    pub fn hear(&mut self, pcm: &[i16]) {
        let count = self.channels.len().max(1);
        for (n, channel) in self.channels.iter_mut().enumerate() {
            self.part.clear();
            self.part.extend(pcm.iter().skip(n).step_by(count));
            channel.hear(&self.part);
        }
        self.samples += (pcm.len() / count) as u64;
    }

    /// Returns the report; `file` is its name for the recording, `file_hz` the rate that it had before.
    pub fn finish(self, file: &str, file_hz: u32) -> ProbeReport {
        let Self { config, channels, samples, .. } = self;
        let reports = channels.into_iter().enumerate().map(|(n, channel)| channel.finish(n + 1));
        ProbeReport {
            file: file.into(),
            duration_s: samples as f64 / f64::from(config.sample_rate_hz),
            sample_rate_hz: file_hz,
            measured_at_hz: config.sample_rate_hz,
            channels: reports.collect(),
        }
    }
}

impl ProbeReport {
    /// Returns the report as JSON, with one segment of speech a line.
    pub fn to_json(&self) -> String {
        rows_from(ROW_DEPTH, self)
    }
}

/// The detectors of one channel.
struct Channel {
    meter: SoundMeter,
    voice: VoiceDetector,
    dtmf: DtmfDetector,
    digits: Vec<ProbedDigit>,
    progress: ProgressDetector,
    tones: Vec<ProbedTone>,
    /// A tone that has begun and isn't over.
    sounding: Option<ProbedTone>,
    /// The resampler for detectors that don't have the sound's rate.
    resampler: Option<Resampler>,
    voice_hz: u32,
    edge: Edge,
    /// Power of each frame of 10 ms, full scale being 1, and whether there is speech in it.
    powers: Vec<f32>,
    speech: Vec<bool>,
    sum: f64,
    heard: usize,
    frame: usize,
    /// Samples at the detector's rate that make no frame yet.
    waiting: Vec<i16>,
}

impl Channel {
    fn new(config: &ProbeConfig) -> Result<Self, MeteringError> {
        let ProbeConfig { sample_rate_hz, aggressiveness, country, .. } = *config;
        let meter = SoundMeter::new(sample_rate_hz)?;
        let own = sample_rate_hz.is_multiple_of(8_000);
        let voice_hz = if own { sample_rate_hz } else { VOICE_HZ };
        let wrong = MeteringError { sample_rate_hz };
        let voice = VoiceConfig { sample_rate_hz: voice_hz, aggressiveness: aggressiveness.min(3), hangover_ms: 0 };
        let mut resampler = (!own).then(|| Resampler::new(sample_rate_hz, voice_hz)).transpose().map_err(|_| wrong)?;
        resampler.iter_mut().for_each(Resampler::align);
        Ok(Self {
            meter,
            voice: VoiceDetector::new(voice).map_err(|_| wrong)?,
            dtmf: DtmfDetector::new(DtmfConfig { sample_rate_hz: voice_hz, ..DtmfConfig::default() })
                .map_err(|_| wrong)?,
            digits: Vec::new(),
            progress: ProgressDetector::new(voice_hz, country).map_err(|_| wrong)?,
            tones: Vec::new(),
            sounding: None,
            resampler,
            voice_hz,
            edge: Edge::new(sample_rate_hz),
            powers: Vec::new(),
            speech: Vec::new(),
            sum: 0.0,
            heard: 0,
            frame: (sample_rate_hz / FRAMES_A_SECOND) as usize,
            waiting: Vec::new(),
        })
    }

    fn hear(&mut self, pcm: &[i16]) {
        self.meter.hear(pcm);
        self.edge.hear(pcm);
        for &sample in pcm {
            self.sum += f64::from(sample).powi(2);
            self.heard += 1;
            if self.heard == self.frame {
                self.powers.push((self.sum / self.frame as f64 / (32_768.0 * 32_768.0)) as f32);
                (self.sum, self.heard) = (0.0, 0);
            }
        }
        match &mut self.resampler {
            None => self.waiting.extend_from_slice(pcm),
            Some(resampler) => {
                let mut out = [0; 480];
                for part in pcm.chunks(480) {
                    resampler.push(part);
                    loop {
                        let pulled = resampler.pull(&mut out);
                        if pulled == 0 {
                            break;
                        }
                        self.waiting.extend_from_slice(&out[..pulled]);
                    }
                }
            }
        }
        let frame = (self.voice_hz / FRAMES_A_SECOND) as usize;
        let whole = self.waiting.len() / frame * frame;
        for part in self.waiting[..whole].chunks_exact(frame) {
            self.speech.push(self.voice.hear(part).speech);
        }
        let (digits, tones, sounding) = (&mut self.digits, &mut self.tones, &mut self.sounding);
        self.dtmf.hear(&self.waiting[..whole], |digit| {
            if digit.ended {
                digits.push(ProbedDigit::of(&digit));
            }
        });
        self.progress.hear(&self.waiting[..whole], |tone| {
            *sounding = (!tone.ended).then(|| ProbedTone::of(&tone));
            if tone.ended {
                tones.push(ProbedTone::of(&tone));
            }
        });
        self.waiting.drain(..whole);
    }

    fn finish(mut self, channel: usize) -> ChannelReport {
        // The sound ended within them.
        self.digits.extend(self.dtmf.finish().as_ref().map(ProbedDigit::of));
        let heard_ms = self.speech.len() as u64 * 10;
        self.tones.extend(
            self.sounding.take().map(|tone| ProbedTone { duration_ms: heard_ms.saturating_sub(tone.start_ms), ..tone }),
        );
        let mut segments = Segments::default();
        self.speech.iter().for_each(|&speech| segments.frame(speech));
        let speech = segments.finish();
        let (noise, snr_db) = self.noise();
        let bandwidth = self.edge.finish();
        let spoken = speech.iter().map(|segment| u64::from(segment.end_ms - segment.start_ms)).sum::<u64>();
        ChannelReport {
            channel,
            sound: (&self.meter.read()).into(),
            noise_floor_dbov: noise,
            snr_db,
            bandwidth_hz: bandwidth.map(|bandwidth| bandwidth.edge_hz),
            bandwidth: bandwidth.map(|bandwidth| bandwidth.band()),
            speech_share: spoken as f64 / (self.speech.len().max(1) as f64 * 10.0),
            speech,
            digits: self.digits,
            tones: self.tones,
        }
    }

    /// Returns the noise floor in dBov, and what speech is above it in dB.
    fn noise(&self) -> (Option<f64>, Option<f64>) {
        let mut near = self.speech.clone();
        for (frame, _) in self.speech.iter().enumerate().filter(|(_, speech)| **speech) {
            let end = (frame + AROUND + 1).min(near.len());
            near[frame.saturating_sub(AROUND)..end].fill(true);
        }
        let frames = || self.powers.iter().map(|power| f64::from(*power)).enumerate();
        // After the detector's last frame it isn't known whether there is speech.
        let quiet = |n: usize| near.get(n) == Some(&false);
        let pauses = mean(frames().filter(|&(n, power)| quiet(n) && power > 0.0).map(|(_, power)| power), LEAST_PAUSE);
        let speech = mean(frames().filter(|&(n, _)| self.speech.get(n) == Some(&true)).map(|(_, power)| power), 1);
        let snr = speech.zip(pauses).map(|(speech, noise)| 10.0 * ((speech - noise).max(noise * 1e-3) / noise).log10());
        (pauses.map(|noise| 10.0 * noise.log10()), snr)
    }
}

/// Returns the mean of the values, if there are at least `least`.
fn mean(values: impl Iterator<Item = f64>, least: usize) -> Option<f64> {
    let (count, sum) = values.fold((0usize, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count >= least).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A voice at -20 dBov in each second's first half, white noise below it always.
    fn voice(rate: u32, seconds: u32, noise: f64) -> Vec<i16> {
        let mut seed = 1u32;
        let period = rate / 125;
        (0..rate * seconds)
            .map(|n| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let white = f64::from((seed >> 16) as i16) / 32_768.0 * 3f64.sqrt() * noise;
                let since = f64::from(n % period) / f64::from(rate);
                let spoken = n % rate > rate / 4 && n % rate < rate * 3 / 4;
                let ring = (-300.0 * since).exp() * (std::f64::consts::TAU * 700.0 * since).cos();
                ((white + if spoken { 0.4 * ring } else { 0.0 }) * 32_767.0) as i16
            })
            .collect()
    }

    fn probed(rate: u32, pcm: &[i16]) -> ChannelReport {
        let config =
            ProbeConfig { sample_rate_hz: rate, channels: 1, aggressiveness: 2, country: Country::of("us").unwrap() };
        let mut probe = Probe::new(config).unwrap();
        pcm.chunks(331).for_each(|part| probe.hear(part));
        probe.finish("a file", rate).channels.remove(0)
    }

    #[test]
    fn digits_and_tones_are_named_at_any_rate() {
        use dsp_core::tone::{CNG, Digit, DtmfGenerator, DtmfTone, ProgressGenerator, ProgressTone};
        for rate in [8_000, 44_100, 48_000] {
            let mut pcm = vec![0i16; rate as usize / 3];
            let mut generator = DtmfGenerator::new(DtmfTone { sample_rate_hz: rate, ..DtmfTone::default() }).unwrap();
            generator.press(Digit::from_char('7').unwrap());
            let mut frame = vec![0i16; rate as usize / 50];
            while generator.fill(&mut frame) > 0 {
                pcm.extend_from_slice(&frame);
            }
            pcm.resize(rate as usize, 0);
            for (segments, seconds) in [(Country::of("us").unwrap().tone(ProgressTone::Busy), 6), (&CNG[..], 8)] {
                let mut generator = ProgressGenerator::new(rate, -1_300, segments).unwrap();
                for _ in 0..seconds * 50 {
                    generator.fill(&mut frame);
                    pcm.extend_from_slice(&frame);
                }
            }
            let channel = probed(rate, &pcm);
            let digits: Vec<char> = channel.digits.iter().map(|digit| digit.digit).collect();
            let tones: Vec<&str> = channel.tones.iter().map(|tone| tone.tone).collect();
            assert_eq!((&digits[..], &tones[..]), (&['7'][..], &["busy", "cng"][..]), "{rate}");
            assert!((channel.digits[0].start_ms - 333.0).abs() < 10.0, "{rate}: {:?}", channel.digits);
            assert!(channel.tones[0].start_ms.abs_diff(1_000) <= 40, "{rate}: {:?}", channel.tones);
            let told = channel.to_string();
            assert!(told.contains("digits      7, at") && told.contains("tone        busy, at 1."), "{told}");
        }
    }

    #[test]
    fn speech_noise_and_bandwidth_are_found_at_any_rate() {
        for rate in [8_000, 11_025, 16_000, 44_100, 48_000] {
            let noise_dbov = -55.0;
            let channel = probed(rate, &voice(rate, 8, 10f64.powf(noise_dbov / 20.0)));
            let floor = channel.noise_floor_dbov.unwrap();
            assert!((floor - noise_dbov).abs() < 1.5, "{rate}: {floor}");
            assert!(channel.snr_db.is_some_and(|snr| (25.0..45.0).contains(&snr)), "{rate}: {:?}", channel.snr_db);
            // Noise fills the whole band.
            assert!(channel.bandwidth_hz.is_some_and(|hz| hz > rate * 45 / 100), "{rate}: {:?}", channel.bandwidth_hz);
            assert!((6..=9).contains(&channel.speech.len()), "{rate}: {:?}", channel.speech);
            let SpeechSegment { start_ms, end_ms } = channel.speech[3];
            assert!(start_ms % 1_000 > 200 && start_ms % 1_000 < 350 && (400..800).contains(&(end_ms - start_ms)));
            assert!((0.3..0.8).contains(&channel.speech_share), "{rate}: {}", channel.speech_share);
        }
    }

    #[test]
    fn channels_are_apart_and_silence_has_nothing() {
        let pcm: Vec<i16> = voice(8_000, 3, 0.001).into_iter().flat_map(|sample| [sample, 0]).collect();
        let config =
            ProbeConfig { sample_rate_hz: 8_000, channels: 2, aggressiveness: 9, country: Country::of("us").unwrap() };
        let mut probe = Probe::new(config).unwrap();
        probe.hear(&pcm);
        let report = probe.finish("both", 8_000);
        let [left, right] = &report.channels[..] else { panic!("{report:?}") };
        assert!(left.sound.rms_dbov.is_some() && !left.speech.is_empty() && left.channel == 1);
        assert_eq!((right.sound.rms_dbov, right.bandwidth_hz, right.noise_floor_dbov), (None, None, None));
        assert_eq!((right.sound.digitally_silent.share, right.speech.len()), (1.0, 0));
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        assert!(json["channels"][0]["speech"][0]["start_ms"].is_number() && json["channels"][1]["rms_dbov"].is_null());
        // A file of a single sample has no frame.
        let mut probe = Probe::new(ProbeConfig { channels: 1, ..config }).unwrap();
        probe.hear(&[1]);
        let report = probe.finish("one", 8_000);
        assert_eq!((report.channels[0].speech.len(), report.channels[0].speech_share), (0, 0.0));
        assert!(Probe::new(ProbeConfig { sample_rate_hz: 96_000, ..config }).is_err());
    }
}
