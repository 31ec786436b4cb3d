//! Sound that is sent in place of the captured sound: digits as tones (DTMF), for a side that takes no telephone events, and
//! tones of a call's progress.
//!
//! Digits come first, one after the other, each with its pause; a tone continues after them. Memory: a tick of 120 ms, allocated
//! when something is sent first.

use std::collections::VecDeque;

use dsp_core::send::KeyPress;
use dsp_core::tone::{DtmfGenerator, DtmfTone, ProgressError, ProgressGenerator};

use super::conversion::Sound;
use crate::session::tones::SentTone;

/// Digits that may wait.
pub(super) const KEYS: usize = 32;
/// Samples of a tick of 120 ms at 48 kHz in stereo, the longest there is.
const LONGEST: usize = 11_520;
/// The shortest digit, and the shortest pause after it, that is certain to be detected (ITU-T Q.24).
const SHORTEST_MS: u32 = 40;

/// A tone that is being sent.
struct Sent {
    tone: SentTone,
    generator: ProgressGenerator,
    /// Samples that are left of it.
    left: u64,
}

/// A generator of sound in place of the captured sound.
pub(in crate::session) struct Made {
    rate_hz: u32,
    keys: VecDeque<KeyPress>,
    digit: Option<DtmfGenerator>,
    tone: Option<Sent>,
    begun: u32,
    pcm: Vec<i16>,
}

impl Made {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self {
            rate_hz: 0,
            keys: VecDeque::with_capacity(KEYS),
            digit: None,
            tone: None,
            begun: 0,
            pcm: Vec::with_capacity(LONGEST),
        })
    }

    /// Presses keys, for which there is room and each of which has a tone.
    pub(super) fn press(&mut self, keys: &[KeyPress]) {
        self.keys.extend(keys.iter().take(KEYS - self.keys.len()));
    }

    /// Digits that wait.
    pub(super) fn waiting(&self) -> usize {
        self.keys.len()
    }

    /// Digits that have begun.
    pub(super) fn begun(&self) -> u32 {
        self.begun
    }

    /// Sends a tone from now on, in sound of this rate.
    ///
    /// # Errors
    /// [`ProgressError`]; nothing changes then.
    pub(super) fn send_tone(&mut self, tone: &SentTone, rate_hz: u32) -> Result<(), ProgressError> {
        let generator = ProgressGenerator::new(rate_hz, tone.level_hundredths_dbm0, tone.segments)?;
        let left = tone.length().map_or(u64::MAX, |length| length.as_samples(rate_hz));
        self.tone = Some(Sent { tone: *tone, generator, left });
        self.rate_hz = rate_hz;
        Ok(())
    }

    pub(super) fn end_tone(&mut self) -> bool {
        self.tone.take().is_some()
    }

    /// The digit that sounds is cut off: nothing may be sent.
    pub(super) fn cut(&mut self) {
        self.digit = None;
    }

    /// Returns whether the captured sound is sent unchanged.
    pub(super) fn is_silent(&self) -> bool {
        self.keys.is_empty() && self.digit.is_none() && self.tone.is_none()
    }

    /// Returns a tick of generated sound; the captured sound is used after its end.
    pub(in crate::session) fn blend(&mut self, sound: Sound, captured: &[i16]) -> &[i16] {
        let channels = usize::from(sound.channels);
        self.pcm.clear();
        self.pcm.extend_from_slice(&captured[..captured.len().min(LONGEST)]);
        let frames = self.pcm.len() / channels;
        if self.rate_hz != sound.rate_hz {
            self.digit = None;
            self.rate_hz = sound.rate_hz;
            // A tone restarts at the new rate.
            if let Some(Sent { tone, .. }) = self.tone.take() {
                // It could be made at another, and all that a call has are possible.
                let _ = self.send_tone(&tone, sound.rate_hz);
            }
        }
        let mut mono = [0i16; 480];
        let mut at = 0;
        while at < frames {
            let part = &mut mono[..(frames - at).min(480)];
            let made = self.make(part);
            if made == 0 {
                break;
            }
            for (frame, &sample) in self.pcm[at * channels..].chunks_exact_mut(channels).zip(&part[..made]) {
                frame.fill(sample);
            }
            at += made;
        }
        &self.pcm
    }

    /// Fills a part and returns the number of samples; 0 when nothing is left to be sent.
    fn make(&mut self, part: &mut [i16]) -> usize {
        loop {
            if let Some(digit) = &mut self.digit {
                let made = digit.fill(part);
                if made > 0 {
                    return made;
                }
                self.digit = None;
            } else if let Some(key) = self.keys.pop_front() {
                let ms = |ms: u32| ms.clamp(SHORTEST_MS, u16::MAX.into()) as u16;
                let config = DtmfTone {
                    sample_rate_hz: self.rate_hz,
                    level_hundredths_dbm0: -100 * i16::from(key.volume.min(63)),
                    on_ms: ms(key.duration_ms),
                    off_ms: ms(key.gap_ms),
                    ..DtmfTone::default()
                };
                // All of it is in range, and each key has a digit.
                if let (Ok(mut generator), Some(digit)) = (DtmfGenerator::new(config), key.event.digit()) {
                    generator.press(digit);
                    self.digit = Some(generator);
                    self.begun = self.begun.saturating_add(1);
                }
            } else if let Some(Sent { generator, left, .. }) = &mut self.tone {
                let made = (part.len() as u64).min(*left) as usize;
                generator.fill(&mut part[..made]);
                *left -= made as u64;
                if made > 0 {
                    return made;
                }
                self.tone = None;
            } else {
                return 0;
            }
        }
    }

    /// Bytes on the heap, its own included.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.keys.capacity() * size_of::<KeyPress>() + self.pcm.capacity() * size_of::<i16>()
    }
}
