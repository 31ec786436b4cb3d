//! What a stream says: the user's sound made into the codec's.
//!
//! Where a codec of another rate takes over in a running call, what was captured last goes through the new conversion first,
//! so that what leaves goes on in mid-sound.

use dsp_core::process::resample::ResampleError;
use dsp_core::time::Duration;

use super::conversion::{Conversion, PART, Sound};

/// What is kept of the user's sound for the next conversion: more than any of them looks back.
const HISTORY: Duration = Duration::from_millis(30);

/// The user's sound on its way to an encoder.
pub(super) struct Capture {
    sound: Sound,
    conversion: Option<Conversion>,
    /// A part in the codec's sound.
    part: Box<[i16]>,
    /// What came last of the user's; nothing where the user takes whatever sound the codecs have.
    history: Box<[i16]>,
}

impl Capture {
    /// For an encoder of sound `codec`. `lasts`: whether the user's sound stays when the codec changes.
    ///
    /// # Errors
    /// [`ResampleError`] if the codec's sound can't be made of the user's.
    pub(super) fn new(sound: Sound, codec: Sound, lasts: bool) -> Result<Self, ResampleError> {
        let conversion = Conversion::new(sound, codec)?;
        let part = conversion.as_ref().map_or(0, |own| own.most_outputs(PART) * usize::from(codec.channels));
        let kept = if lasts { HISTORY.as_samples(sound.rate_hz) as usize * usize::from(sound.channels) } else { 0 };
        Ok(Self { sound, conversion, part: vec![0; part].into(), history: vec![0; kept].into() })
    }

    /// Goes on where `before` is.
    pub(super) fn follow(&mut self, before: &Self) {
        if before.sound != self.sound || before.history.len() != self.history.len() {
            return;
        }
        self.history.copy_from_slice(&before.history);
        if let Some(conversion) = &mut self.conversion {
            conversion.prime(&self.history);
        }
    }

    pub(super) fn sound(&self) -> Sound {
        self.sound
    }

    /// How much later sound reaches the encoder than it was captured.
    pub(super) fn delay(&self) -> Duration {
        self.conversion.as_ref().map_or(Duration::ZERO, Conversion::delay)
    }

    /// Gives a tick to `encoder`, in parts, until it takes no more. Samples a channel of the codec's that were not taken.
    pub(super) fn give(&mut self, pcm: &[i16], mut encoder: impl FnMut(&[i16]) -> bool) -> usize {
        self.keep(pcm);
        let Some(conversion) = &mut self.conversion else {
            return if encoder(pcm) { 0 } else { self.sound.a_channel(pcm.len()) };
        };
        let (from, to) = (conversion.from(), conversion.to());
        let mut refused = 0;
        for part in pcm.chunks(PART * usize::from(from.channels)) {
            let given = conversion.convert(part, &mut self.part);
            if refused > 0 || !encoder(&self.part[..given * usize::from(to.channels)]) {
                refused += given;
            }
        }
        refused
    }

    /// Nothing leaves of a tick. Samples a channel of the codec's that it would have been.
    pub(super) fn pass(&mut self, pcm: &[i16]) -> usize {
        self.keep(pcm);
        self.skip(self.sound.a_channel(pcm.len()))
    }

    /// Nothing was captured for so many samples a channel. Those of the codec's.
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
