//! The played sound of a stream: its receivers' sum, converted to the user's sound.
//!
//! Receivers that a later offer and answer replaced are played on until those that took their place have sound, and then
//! fade out under it ([`ReplacedReceivers`]): 20 ms, no longer than half a second after they were replaced.

use dsp_core::process::resample::ResampleError;
use dsp_core::receive::Played;
use dsp_core::time::{Duration, Instant};

use super::conversion::{Conversion, PART, SPARE, Sound};
use super::sources::{Counted, Listening, add_played};
use super::tones::{InSound, Tones, WantedTones};
use crate::session::tap::Tap;

/// The time in which one sound fades into another.
const FADE: Duration = Duration::from_millis(20);
/// The time for which a codec's first output is not its real sound yet: Opus looks ahead by 6.5 ms, and iLBC by 5.
const SETTLE: Duration = Duration::from_millis(10);
/// The longest time for which replaced receivers are still played.
const LEAVE: Duration = Duration::from_millis(500);

/// Receivers, and what makes their sound the user's.
// The order of fields keeps those together that every tick touches.
#[repr(C)]
pub(super) struct Playing {
    conversion: Option<Box<Converting>>,
    sound: Sound,
    receivers: Listening,
    /// Looks for digits and tones in the receivers' sound.
    tones: Option<Box<Tones>>,
}

struct Converting {
    conversion: Conversion,
    /// A part in the receivers' sound.
    heard: Box<[i16]>,
    scale: Scale,
}

impl Playing {
    /// Plays `receivers` as `sound`.
    ///
    /// # Errors
    /// [`ResampleError`] if it can't be made of theirs.
    pub(super) fn new(receivers: Listening, sound: Sound) -> Result<Self, ResampleError> {
        let conversion = Self::conversion(&receivers, sound)?;
        Ok(Self { receivers, sound, conversion, tones: None })
    }

    fn conversion(receivers: &Listening, sound: Sound) -> Result<Option<Box<Converting>>, ResampleError> {
        Ok(Conversion::new(receivers.sound(), sound)?.map(|conversion| {
            let heard = conversion.most_inputs(PART) * usize::from(conversion.from().channels);
            Box::new(Converting { conversion, heard: vec![0; heard].into(), scale: Scale::default() })
        }))
    }

    /// Returns the conversion that is needed to be played as another sound.
    ///
    /// # Errors
    /// The same as for [`new`](Self::new).
    pub(super) fn other_sound(&self, sound: Sound) -> Result<OtherSound, ResampleError> {
        Ok(OtherSound { sound, conversion: Self::conversion(&self.receivers, sound)? })
    }

    pub(super) fn set_sound(&mut self, other: OtherSound) {
        (self.sound, self.conversion) = (other.sound, other.conversion);
    }

    pub(super) fn receivers(&self) -> &Listening {
        &self.receivers
    }

    pub(super) fn receivers_mut(&mut self) -> &mut Listening {
        &mut self.receivers
    }

    /// Returns the delay after the receivers.
    pub(super) fn delay(&self) -> Duration {
        self.conversion.as_ref().map_or(Duration::ZERO, |own| own.conversion.delay())
    }

    /// Returns the counts, in samples of the user's sound.
    pub(super) fn total(&self) -> Counted {
        self.receivers.total().at_rate(self.receivers.sound().rate_hz, self.sound.rate_hz)
    }

    /// Sets the digits and tones that are detected in the sound from now on. Returns whether nothing has changed.
    pub(super) fn set_tones(&mut self, wanted: WantedTones) -> bool {
        let sound = self.receivers.sound();
        let goes_on = self.tones.as_ref().is_some_and(|tones| tones.suits(sound, wanted));
        if !goes_on {
            self.tones = Tones::new(sound, wanted);
        }
        goes_on
    }

    /// Plays a tick, or a part of one, of which all counts are in the user's samples. `each` gets the digits and tones
    /// that are heard in it.
    pub(super) fn play(
        &mut self,
        now: Instant,
        pcm: &mut [i16],
        mut tap: Option<&mut dyn Tap>,
        mut each: impl FnMut(InSound),
    ) -> Played {
        let Some(own) = &mut self.conversion else {
            let played = self.receivers.play(now, pcm, tap);
            if let Some(tones) = &mut self.tones {
                tones.hear(now, self.receivers.first().ssrc(), &played, pcm, each);
            }
            return played;
        };
        let Converting { conversion, heard, scale } = &mut **own;
        let (from, to) = (conversion.from(), conversion.to());
        let mut all = Played::default();
        let mut at = now;
        for part in pcm.chunks_mut(PART * usize::from(to.channels)) {
            let wanted = to.a_channel(part.len());
            let inputs = conversion.inputs(wanted);
            let heard = &mut heard[..inputs * usize::from(from.channels)];
            if !heard.is_empty() {
                let played = self.receivers.play(at, heard, tap.as_deref_mut());
                if let Some(tones) = &mut self.tones {
                    tones.hear(at, self.receivers.first().ssrc(), &played, heard, &mut each);
                }
                add_played(&mut all, &played);
            }
            let given = conversion.convert(heard, part);
            part[given * usize::from(to.channels)..].fill(0);
            at += to.duration(wanted);
        }
        scale.played(all, from.rate_hz, to.rate_hz)
    }

    /// Bytes on the heap, without those of codecs and resamplers.
    pub(super) fn memory_bytes(&self) -> usize {
        let converting = self
            .conversion
            .as_ref()
            .map_or(0, |own| size_of::<Converting>() + size_of_val(&*own.heard) + own.conversion.memory_bytes());
        let tones = self.tones.as_deref().map_or(0, Tones::memory_bytes);
        self.receivers.memory_bytes() + converting + tones
    }
}

/// The conversion that makes receivers play as another sound.
pub(super) struct OtherSound {
    sound: Sound,
    conversion: Option<Box<Converting>>,
}

/// Counts of ticks in samples of another rate: the remainder of rounding is counted with the next, so that their sums are those
/// of the receivers in that rate.
#[derive(Default)]
struct Scale {
    left: [u64; 8],
}

impl Scale {
    fn played(&mut self, mut played: Played, from_hz: u32, to_hz: u32) -> Played {
        let counts = [
            &mut played.decoded,
            &mut played.recovered,
            &mut played.concealed,
            &mut played.noise,
            &mut played.silence,
            &mut played.paused,
            &mut played.inserted,
            &mut played.removed,
        ];
        for (count, left) in counts.into_iter().zip(&mut self.left) {
            *left += u64::from(*count) * u64::from(to_hz);
            *count = (*left / u64::from(from_hz)) as u32;
            *left %= u64::from(from_hz);
        }
        played
    }
}

/// Receivers that were replaced while they were heard.
pub(super) struct ReplacedReceivers {
    playing: Playing,
    /// The time at which they fade out at the latest.
    until: Instant,
    /// Samples until the fade begins, once that is known, and how much of it has passed.
    begins: Option<usize>,
    faded: usize,
    part: Box<[i16]>,
}

impl ReplacedReceivers {
    pub(super) fn new(playing: Playing) -> Self {
        let part = vec![0; PART * usize::from(playing.sound.channels)].into();
        Self { playing, until: Instant::ZERO, begins: None, faded: 0, part }
    }

    pub(super) fn playing(&self) -> &Playing {
        &self.playing
    }

    pub(super) fn receivers_mut(&mut self) -> &mut Listening {
        &mut self.playing.receivers
    }

    pub(super) fn set_sound(&mut self, other: OtherSound) {
        self.playing.set_sound(other);
        self.part = vec![0; PART * usize::from(self.playing.sound.channels)].into();
    }

    /// Returns whether none of its sound is heard any more.
    pub(super) fn is_over(&self) -> bool {
        self.faded >= self.fade()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.playing.memory_bytes() + size_of_val(&*self.part)
    }

    /// Samples a channel of a fade.
    fn fade(&self) -> usize {
        FADE.as_samples(self.playing.sound.rate_hz) as usize
    }

    /// Adds the rest of the replaced sound to `pcm`, the new sound, to which `played` refers and which is heard `delay` later;
    /// adds its counts to `played`.
    pub(super) fn play_under(&mut self, now: Instant, pcm: &mut [i16], played: &mut Played, delay: Duration) {
        if self.is_over() {
            return;
        }
        let sound = self.playing.sound;
        let (channels, samples) = (usize::from(sound.channels), sound.a_channel(pcm.len()));
        if self.until == Instant::ZERO {
            self.until = now + LEAVE;
        }
        let quiet = played.silence as usize;
        // Not all samples of a tick are counted in it where its rate is another.
        if self.begins.is_none() && (quiet + SPARE < samples || now >= self.until) {
            let delay = (delay + SETTLE).as_samples(sound.rate_hz) as usize;
            self.begins = Some(if now >= self.until { 0 } else { quiet + delay });
        }
        let (fade, mut at) = (self.fade(), now);
        for part in pcm.chunks_mut(PART * channels) {
            let old = &mut self.part[..part.len()];
            add_played(played, &self.playing.play(at, old, None, |_| {}));
            for (frame, old) in part.chunks_exact_mut(channels).zip(old.chunks_exact(channels)) {
                match &mut self.begins {
                    Some(0) => self.faded = (self.faded + 1).min(fade),
                    Some(left) => *left -= 1,
                    None => {}
                }
                let gain = self.faded as i32;
                for (new, &old) in frame.iter_mut().zip(old) {
                    let mixed = i32::from(*new) * gain + i32::from(old) * (fade as i32 - gain);
                    *new = (mixed / fade.max(1) as i32) as i16;
                }
            }
            at += sound.duration(part.len() / channels);
        }
    }
}
