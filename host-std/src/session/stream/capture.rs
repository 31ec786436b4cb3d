//! The sent sound of a stream: the user's sound converted to the codec's.
//!
//! Where a codec of another rate takes over in a running call, the sound captured last goes through the new conversion first, so
//! that the sent sound continues without a break. Where the user has another device, the old device's sound fades out here, after
//! all stages that delay sound, and the new device's sound fades in before them.

use dsp_core::process::resample::ResampleError;
use dsp_core::time::Duration;

use super::conversion::{Conversion, PART, Sound};
use crate::join::Join;

/// The length of the user's sound that is kept for the next conversion: more than any of them looks back.
const HISTORY: Duration = Duration::from_millis(30);

/// The user's sound on its way to an encoder.
pub(super) struct EncoderInput {
    sound: Sound,
    conversion: Option<Conversion>,
    /// A part in the codec's sound.
    part: Box<[i16]>,
    /// The user's most recent sound; empty where the user takes the sound of the codecs.
    history: Box<[i16]>,
    /// The encoder's sound.
    codec: Sound,
    join: Join,
}

impl EncoderInput {
    /// Creates the input of an encoder of sound `codec`. `lasts`: whether the user's sound stays when the codec changes.
    ///
    /// # Errors
    /// [`ResampleError`] if the codec's sound can't be made of the user's.
    pub(super) fn new(sound: Sound, codec: Sound, lasts: bool) -> Result<Self, ResampleError> {
        let conversion = Conversion::new(sound, codec)?;
        let part = conversion.as_ref().map_or(PART, |own| own.most_outputs(PART)) * usize::from(codec.channels);
        let kept = if lasts { HISTORY.as_samples(sound.rate_hz) as usize * usize::from(sound.channels) } else { 0 };
        let (part, history) = (vec![0; part].into(), vec![0; kept].into());
        Ok(Self { sound, conversion, part, history, codec, join: Join::new(codec.rate_hz) })
    }

    /// Continues from the state of `before`.
    pub(super) fn follow(&mut self, before: &Self) {
        if before.sound != self.sound || before.history.len() != self.history.len() {
            return;
        }
        self.history.copy_from_slice(&before.history);
        if before.codec == self.codec {
            self.join = before.join;
        }
        if let Some(conversion) = &mut self.conversion {
            conversion.prime(&self.history);
        }
    }

    /// The user's sound was another one before, of which nothing is left here: it fades out, and this one begins.
    pub(super) fn replace(&mut self, before: &Self) {
        self.join = before.join.followed_by(self.codec.rate_hz, [before.codec.channels, self.codec.channels]);
    }

    /// Marks that the next captured sound doesn't follow the last one, which fades out.
    #[cfg(feature = "tokio")]
    pub(super) fn break_off(&mut self) {
        self.history.fill(0);
        if let Some(conversion) = &mut self.conversion {
            conversion.reset();
        }
        self.join = self.join.followed_by(self.codec.rate_hz, [self.codec.channels; 2]);
    }

    pub(super) fn sound(&self) -> Sound {
        self.sound
    }

    /// Returns the delay from capture to the encoder.
    pub(super) fn delay(&self) -> Duration {
        self.conversion.as_ref().map_or(Duration::ZERO, Conversion::delay)
    }

    /// Gives a tick to `encoder`, in parts, until it takes no more. Samples a channel of the codec's that were not
    /// taken.
    pub(super) fn give(&mut self, pcm: &[i16], mut encoder: impl FnMut(&[i16]) -> bool) -> usize {
        self.keep(pcm);
        let channels = usize::from(self.codec.channels);
        if self.conversion.is_none() && !self.join.is_joining() {
            self.join.note(pcm, channels);
            return if encoder(pcm) { 0 } else { self.sound.a_channel(pcm.len()) };
        }
        let mut refused = 0;
        for pcm in pcm.chunks(PART * usize::from(self.sound.channels)) {
            let given = match &mut self.conversion {
                Some(conversion) => conversion.convert(pcm, &mut self.part),
                None => {
                    self.part[..pcm.len()].copy_from_slice(pcm);
                    self.sound.a_channel(pcm.len())
                }
            };
            let part = &mut self.part[..given * channels];
            self.join.pass_all(part, channels);
            if refused > 0 || !encoder(part) {
                refused += given;
            }
        }
        refused
    }

    /// Skips a tick of which nothing is sent. Returns the samples a channel at the codec's rate that it would have been.
    pub(super) fn pass(&mut self, pcm: &[i16]) -> usize {
        self.keep(pcm);
        self.skip(self.sound.a_channel(pcm.len()))
    }

    /// Records that nothing was captured for this many samples a channel. Returns their number at the codec's rate.
    pub(super) fn skip(&mut self, samples: usize) -> usize {
        self.conversion.as_mut().map_or(samples, |conversion| conversion.skip(samples))
    }

    fn keep(&mut self, pcm: &[i16]) {
        let kept = self.history.len();
        let new = pcm.len().min(kept);
        self.history.copy_within(new.., 0);
        self.history[kept - new..].copy_from_slice(&pcm[pcm.len() - new..]);
    }

    /// Bytes on the heap, without those of the resamplers.
    pub(super) fn memory_bytes(&self) -> usize {
        let conversion = self.conversion.as_ref().map_or(0, Conversion::memory_bytes);
        conversion + size_of_val(&*self.part) + size_of_val(&*self.history)
    }
}
