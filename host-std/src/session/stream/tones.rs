//! The detection in the sound itself: digits (DTMF), by a detector for each channel of the receivers' sound, and tones of a
//! call's progress, of faxes and of modems, by one for all channels.
//!
//! Reports are on the time axis of the packets' arrival, as those of events are: earlier by the time that the sound waited in the
//! receivers' buffer. Memory: that of the detectors.

use dsp_core::receive::Played;
use dsp_core::time::{Duration, Instant, Ssrc};
use dsp_core::tone::{Country, Digit, DtmfConfig, DtmfDetector, HeardDigit, HeardTone, ProgressDetector, ToneSignal};

use super::conversion::Sound;

/// Samples that are heard in one go, of one channel.
const PART: usize = 480;
/// The most channels.
const CHANNELS: usize = 2;

/// A digit in the sound that begins or has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct InBandDigit {
    pub(super) digit: Digit,
    pub(super) ssrc: Ssrc,
    pub(super) begun: Instant,
    pub(super) duration: Duration,
    pub(super) level_dbm0: f32,
    pub(super) ended: bool,
}

/// A tone in the sound that begins or has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct InTone {
    pub(super) signal: ToneSignal,
    pub(super) ssrc: Ssrc,
    pub(super) begun: Instant,
    pub(super) duration: Duration,
    pub(super) ended: bool,
}

/// A detected digit or tone.
#[derive(Clone, Copy, Debug)]
pub(super) enum InSound {
    Digit(InBandDigit),
    Tone(InTone),
}

/// The digits and tones to be detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WantedTones {
    /// Digits.
    pub(super) digits: bool,
    /// Digits are taken out of the sound.
    pub(super) mute: bool,
    /// Tones of a call's progress as they are in a country.
    pub(super) country: Option<&'static Country>,
}

/// Hears digits and tones in a stream's sound.
pub(super) struct Tones {
    detectors: [Option<DtmfDetector>; CHANNELS],
    /// The channel whose digit sounds: the same one in the other channel is no other.
    sounding: Option<(usize, Digit)>,
    progress: Option<Box<ProgressDetector>>,
    sound: Sound,
    heard: u64,
    wanted: WantedTones,
    part: [i16; PART],
}

impl Tones {
    /// Creates the detectors for this sound. `None` where none is wanted, or none is possible: digits at multiples of 8 kHz,
    /// tones at multiples of 50 Hz.
    pub(super) fn new(sound: Sound, wanted: WantedTones) -> Option<Box<Self>> {
        let config = DtmfConfig { sample_rate_hz: sound.rate_hz, ..DtmfConfig::default() };
        let mut detectors = [const { None }; CHANNELS];
        for detector in detectors.iter_mut().take(usize::from(sound.channels)).filter(|_| wanted.digits) {
            *detector = DtmfDetector::new(config).ok();
        }
        let progress =
            wanted.country.and_then(|country| ProgressDetector::new(sound.rate_hz, country).ok()).map(Box::new);
        let hears = progress.is_some() || detectors[0].is_some();
        hears.then(|| Box::new(Self { detectors, sounding: None, progress, sound, heard: 0, wanted, part: [0; PART] }))
    }

    /// Returns whether it was made for such sound.
    pub(super) fn suits(&self, sound: Sound, wanted: WantedTones) -> bool {
        (self.sound, self.wanted) == (sound, wanted)
    }

    /// Takes in the sound played from `now` on; `each` gets each beginning and each end.
    pub(super) fn hear(
        &mut self,
        now: Instant,
        ssrc: Option<Ssrc>,
        played: &Played,
        pcm: &mut [i16],
        mut each: impl FnMut(InSound),
    ) {
        let Self { detectors, sounding, progress, sound, heard, wanted, part } = self;
        let channels = usize::from(sound.channels);
        let waited = Duration::from_micros(played.buffer_delay_us.unwrap_or(0).into());
        let samples = (pcm.len() / channels) as u64;
        // When the first sample of all was played, by this tick.
        let zero_us = now.as_micros() as i64 - Duration::from_samples(*heard, sound.rate_hz).as_micros() as i64;
        *heard += samples;
        let ssrc = ssrc.unwrap_or_default();
        let begun = |start: Duration| {
            let begun_us = zero_us + start.as_micros() as i64;
            Instant::from_micros(begun_us.max(0) as u64) - waited
        };
        for frames in pcm.chunks_mut(PART * channels) {
            let part = &mut part[..frames.len() / channels];
            if let Some(progress) = progress {
                for (to, frame) in part.iter_mut().zip(frames.chunks_exact(channels)) {
                    *to = (frame.iter().map(|&sample| i32::from(sample)).sum::<i32>() / channels as i32) as i16;
                }
                progress.hear(part, |told: HeardTone| {
                    let HeardTone { signal, start, duration, ended } = told;
                    each(InSound::Tone(InTone { signal, ssrc, begun: begun(start), duration, ended }));
                });
            }
            let mut tell = |channel: usize, told: HeardDigit| {
                match *sounding {
                    None if !told.ended => *sounding = Some((channel, told.digit)),
                    Some(own) if own == (channel, told.digit) => {
                        if told.ended {
                            *sounding = None;
                        }
                    }
                    // The other channel's.
                    _ => return,
                }
                each(InSound::Digit(InBandDigit {
                    digit: told.digit,
                    ssrc,
                    begun: begun(told.start),
                    duration: told.duration,
                    level_dbm0: f32::from(told.level_hundredths_dbm0) / 100.0,
                    ended: told.ended,
                }));
            };
            for (channel, detector) in detectors.iter_mut().enumerate() {
                let Some(detector) = detector else { continue };
                for (to, from) in part.iter_mut().zip(frames.iter().skip(channel).step_by(channels)) {
                    *to = *from;
                }
                if wanted.mute {
                    detector.hear_and_mute(part, |told| tell(channel, told));
                    for (from, to) in part.iter().zip(frames.iter_mut().skip(channel).step_by(channels)) {
                        *to = *from;
                    }
                } else {
                    detector.hear(part, |told| tell(channel, told));
                }
            }
        }
    }

    /// Bytes on the heap, its own included.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.progress.as_deref().map_or(0, size_of_val)
    }
}
