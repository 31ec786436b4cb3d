//! Digits that are heard in the sound itself (DTMF): a detector for each channel of what the receivers play.
//!
//! What is told counts on the time at which the packets arrived, as events do: by as much earlier as the sound waited in the
//! receivers' buffer. Memory: that of the detectors.

use dsp_core::receive::Played;
use dsp_core::time::{Duration, Instant, Ssrc};
use dsp_core::tone::{Digit, DtmfConfig, DtmfDetector, HeardDigit};

use super::conversion::Sound;

/// Samples that are heard in one go, of one channel.
const PART: usize = 480;
/// The most channels.
const CHANNELS: usize = 2;

/// A digit in the sound that begins or has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct InBand {
    pub(super) digit: Digit,
    pub(super) ssrc: Ssrc,
    pub(super) begun: Instant,
    pub(super) duration: Duration,
    pub(super) level_dbm0: f32,
    pub(super) ended: bool,
}

/// Hears digits in a stream's sound.
pub(super) struct Tones {
    detectors: [Option<DtmfDetector>; CHANNELS],
    /// The channel whose digit sounds: the same one in the other channel is no other.
    sounding: Option<(usize, Digit)>,
    sound: Sound,
    heard: u64,
    mute: bool,
    part: [i16; PART],
}

impl Tones {
    /// For this sound; `mute`: whether digits are taken out of it. `None` where its rate is no multiple of 8 kHz.
    pub(super) fn new(sound: Sound, mute: bool) -> Option<Box<Self>> {
        let config = DtmfConfig { sample_rate_hz: sound.rate_hz, ..DtmfConfig::default() };
        let detector = |channel| (channel < usize::from(sound.channels)).then(|| DtmfDetector::new(config));
        let mut detectors = [const { None }; CHANNELS];
        for (channel, place) in detectors.iter_mut().enumerate() {
            *place = detector(channel).transpose().ok()?;
        }
        Some(Box::new(Self { detectors, sounding: None, sound, heard: 0, mute, part: [0; PART] }))
    }

    /// Whether it is for such sound.
    pub(super) fn suits(&self, sound: Sound, mute: bool) -> bool {
        (self.sound, self.mute) == (sound, mute)
    }

    /// Hears what is played from `now` on; `each` gets what begins and what has ended.
    pub(super) fn hear(
        &mut self,
        now: Instant,
        ssrc: Option<Ssrc>,
        played: &Played,
        pcm: &mut [i16],
        mut each: impl FnMut(InBand),
    ) {
        let Self { detectors, sounding, sound, heard, mute, part } = self;
        let channels = usize::from(sound.channels);
        let waited = Duration::from_micros(played.buffer_delay_us.unwrap_or(0).into());
        let samples = (pcm.len() / channels) as u64;
        // When the first sample of all was played, by this tick.
        let zero_us = now.as_micros() as i64 - Duration::from_samples(*heard, sound.rate_hz).as_micros() as i64;
        *heard += samples;
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
            let begun_us = zero_us + told.start.as_micros() as i64;
            each(InBand {
                digit: told.digit,
                ssrc: ssrc.unwrap_or_default(),
                begun: Instant::from_micros(begun_us.max(0) as u64) - waited,
                duration: told.duration,
                level_dbm0: f32::from(told.level_hundredths_dbm0) / 100.0,
                ended: told.ended,
            });
        };
        for frames in pcm.chunks_mut(PART * channels) {
            for (channel, detector) in detectors.iter_mut().flatten().enumerate() {
                let part = &mut part[..frames.len() / channels];
                for (to, from) in part.iter_mut().zip(frames.iter().skip(channel).step_by(channels)) {
                    *to = *from;
                }
                if *mute {
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
}
