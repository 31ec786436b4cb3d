//! The one order of an audio tick, sans-IO: for hosts with and without async, in real and in virtual time.
//!
//! ```text
//! begin -> play -> volume -> meter -> Step::Loudspeaker -> history
//!       -> Step::Microphone -> microphone (heard as it is) -> framer, block -> gain -> meter
//!       -> activity, capture
//!       -> Step::Transmit, until nothing is left to send
//! ```
//!
//! The far end is in the history before the microphone is read over it. All of a tick has one time, `now`: its first
//! sample is heard at `now` and the playback latency, and the microphone's first sample was captured the tick's length
//! and the capture latency before `now`. The first tick of a call has no microphone: nothing was captured yet.
//!
//! A host's loop:
//!
//! ```
//! use dsp_core::front::{FrontEnd, Media, NoBlock, Step, TickTooLong};
//! use dsp_core::time::Instant;
//!
//! fn tick<M: Media>(
//!     front: &mut FrontEnd<NoBlock, 80>,
//!     media: &mut M,
//!     now: Instant,
//!     mut send: impl FnMut(M::Transmit, &[u8]),
//! ) -> Result<(), TickTooLong> {
//!     let mut datagram = [0; 640];
//!     front.begin(now, 80, true)?;
//!     while let Some(step) = front.step(media, &mut datagram) {
//!         match step {
//!             Step::Loudspeaker { pcm, .. } => { /* write it to the device */ }
//!             Step::Microphone(microphone) => {
//!                 // Read from the device, and tell what it lost.
//!                 microphone.pcm.fill(0);
//!                 *microphone.lost += 0;
//!             }
//!             Step::Transmit(transmit) => send(transmit, &datagram),
//!         }
//!     }
//!     Ok(())
//! }
//! ```

use core::fmt;

use super::fader::Fader;
use super::{CaptureBlock, FrontEnd, Near, block_delay};
use crate::block::Block;
use crate::process::activity::Activity;
use crate::process::biquad::Biquad;
use crate::receive::Played;
use crate::storage::Storage;
use crate::time::{Duration, Instant};

/// Where sound comes from and goes to: a call, a phone, a stream of a capture.
pub trait Media {
    /// What is told of a datagram to send, such as its length and where it goes.
    type Transmit;

    /// Fills `pcm` with the samples that are heard from `now` on, before the device's latency; interleaved.
    fn play(&mut self, now: Instant, pcm: &mut [i16]) -> Played;

    /// Hears a tick of the microphone as the device gave it, interleaved, before filter, block, gain and mute: for meters. Unless
    /// it's written it does nothing.
    #[inline]
    fn microphone(&mut self, captured_at: Instant, pcm: &[i16]) {
        let _ = (captured_at, pcm);
    }

    /// What the capture chain knows of the samples that [`capture`](Self::capture) brings next: whether somebody speaks in
    /// any channel; `None` where no detector says so. It isn't asked where there is no chain. By default it is ignored.
    fn hear_activity(&mut self, activity: Option<Activity>) {
        let _ = activity;
    }

    /// Takes in samples of the microphone, interleaved, the first of which was captured at `captured_at`. Behind a
    /// block these are frames of 10 ms, none or several a tick; without one, each tick as it is.
    fn capture(&mut self, captured_at: Instant, pcm: &[i16]);

    /// Writes the next datagram to send into `datagram`; `None` if nothing is left.
    fn transmit(&mut self, now: Instant, datagram: &mut [u8]) -> Option<Self::Transmit>;
}

/// What the host does next.
#[derive(Debug)]
pub enum Step<'a, T> {
    /// Write to the loudspeaker.
    Loudspeaker {
        /// The samples, interleaved, behind the volume.
        pcm: &'a [i16],
        /// What was played.
        played: Played,
    },
    /// Read from the microphone.
    Microphone(Microphone<'a>),
    /// Send what lies in the datagram.
    Transmit(T),
}

/// A tick of the microphone, to be filled.
#[derive(Debug)]
pub struct Microphone<'a> {
    /// Room for the samples, interleaved. It holds the far end of this tick until then.
    pub pcm: &'a mut [i16],
    /// Samples a channel that were lost since the tick before. The host adds what its device has lost; what it has told
    /// by [`FrontEnd::skip`] or [`FrontEnd::overrun`] is in it.
    pub lost: &'a mut u32,
}

/// A tick is longer than the front end has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TickTooLong {
    /// Samples of the tick, all channels together.
    pub need: usize,
    /// Room.
    pub got: usize,
}

impl fmt::Display for TickTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a tick of {} samples, all channels together; at most {} are possible", self.need, self.got)
    }
}

impl core::error::Error for TickTooLong {}

/// Where a tick stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    Play,
    /// The far end is to be noted: what the device told when it was written is known now.
    Loudspeaker,
    Capture,
    Transmit,
    #[default]
    Over,
}

/// How far the tick is that runs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    stage: Stage,
    now: Instant,
    /// Its length a channel, kept from tick to tick: a small processor divides 64 bits by hand.
    samples: usize,
    length: Duration,
    /// Its samples, all channels together: at most `FRAME`.
    pcm: usize,
    microphone: bool,
    /// Samples a channel that the microphone lost, and for which the loudspeaker had nothing.
    lost: u32,
    silent: u32,
}

impl<B: CaptureBlock<i16>, const FRAME: usize, H: Storage<i16>> FrontEnd<B, FRAME, H> {
    /// Begins a tick of so many samples a channel at `now`, with or without a microphone. A tick before that isn't over
    /// ends where it is.
    ///
    /// # Errors
    /// [`TickTooLong`] if `FRAME` has no room for it; nothing happens then.
    #[inline]
    pub fn begin(&mut self, now: Instant, samples: usize, microphone: bool) -> Result<(), TickTooLong> {
        let need = samples.saturating_mul(self.config.channels.into());
        if need > FRAME {
            return Err(TickTooLong { need, got: FRAME });
        }
        if self.tick.stage == Stage::Loudspeaker {
            self.note();
        }
        if samples != self.tick.samples {
            self.tick.samples = samples;
            self.tick.length = Duration::from_samples(samples as u64, self.config.sample_rate_hz);
            self.tick.pcm = need;
        }
        (self.tick.stage, self.tick.now, self.tick.microphone) = (Stage::Play, now, microphone);
        Ok(())
    }

    /// There were no ticks for so many samples a channel: the history has silence there, and the next tick of the
    /// microphone is told as behind a loss.
    pub fn skip(&mut self, samples: usize) {
        self.underrun(samples);
        self.overrun(samples);
    }

    /// The microphone lost so many samples a channel before its next tick, which is told as behind a loss.
    pub fn overrun(&mut self, samples: usize) {
        self.tick.lost = self.tick.lost.saturating_add(u32::try_from(samples).unwrap_or(u32::MAX));
    }

    /// The loudspeaker had nothing to play for so many samples a channel, before the tick that is being written or comes
    /// next: the history has silence there.
    pub fn underrun(&mut self, samples: usize) {
        self.tick.silent = self.tick.silent.saturating_add(u32::try_from(samples).unwrap_or(u32::MAX));
    }

    /// Goes on to where the host is needed: in the order of [`tick`](self) until the tick is over. What is to be sent
    /// lies in `datagram`.
    // In line: four calls a tick, each of which does little, would cost a small processor more than the sound does.
    #[inline(always)]
    pub fn step<M: Media>(&mut self, media: &mut M, datagram: &mut [u8]) -> Option<Step<'_, M::Transmit>> {
        match self.tick.stage {
            Stage::Play => {
                self.tick.stage = Stage::Loudspeaker;
                let pcm = self.pcm.get_mut(..self.tick.pcm).unwrap_or_default();
                let played = media.play(self.tick.now, pcm);
                if !self.volume.is_idle() {
                    self.volume.process::<FRAME>(pcm);
                }
                return Some(Step::Loudspeaker { pcm, played });
            }
            Stage::Loudspeaker => {
                self.note();
                if self.tick.microphone {
                    self.tick.stage = Stage::Capture;
                    let pcm = self.pcm.get_mut(..self.tick.pcm).unwrap_or_default();
                    return Some(Step::Microphone(Microphone { pcm, lost: &mut self.tick.lost }));
                }
                self.tick.stage = Stage::Transmit;
            }
            Stage::Capture => {
                self.tick.stage = Stage::Transmit;
                self.capture(media);
            }
            Stage::Transmit => {}
            Stage::Over => return None,
        }
        let transmit = media.transmit(self.tick.now, datagram);
        if transmit.is_none() {
            self.tick.stage = Stage::Over;
        }
        transmit.map(Step::Transmit)
    }

    /// Puts the far end into the history, before the microphone is read over it.
    #[inline]
    fn note(&mut self) {
        if self.history.keeps() {
            let pcm = self.pcm.get(..self.tick.pcm).unwrap_or_default();
            self.history.skip(core::mem::take(&mut self.tick.silent));
            self.history.write(self.tick.now + self.latency.playback, pcm);
        }
    }

    #[inline]
    fn capture<M: Media>(&mut self, media: &mut M) {
        let captured_at = self.captured_at(self.tick.now, self.tick.length);
        let lost = core::mem::take(&mut self.tick.lost);
        let pcm = self.pcm.get_mut(..self.tick.pcm).unwrap_or_default();
        media.microphone(captured_at, pcm);
        if let Some(filters) = &mut self.high_pass {
            process_interleaved(&mut filters[..usize::from(self.config.channels)], pcm);
        }
        if self.blocks.iter().all(Option::is_none) {
            if !self.microphone.is_idle() {
                self.microphone.process::<FRAME>(pcm);
            }
            return media.capture(captured_at, pcm);
        }
        let delay = Duration::from_samples(block_delay(&self.blocks) as u64, self.config.sample_rate_hz);
        let channels = usize::from(self.config.channels);
        let Self { framer, blocks, history, microphone, .. } = self;
        let render = history.view();
        framer.push(captured_at, lost, pcm, |frame| {
            let length = frame.planar.len() / channels;
            let mut activity = None;
            for (channel, (samples, block)) in frame.planar.chunks_exact_mut(length).zip(&mut *blocks).enumerate() {
                if let Some(block) = block {
                    let near =
                        Near { captured_at: frame.captured_at, channel, lost: frame.lost, render, activity: None };
                    block.process(samples, &near);
                    activity = either(activity, block.activity());
                }
            }
            // Whatever was said, a muted microphone says nothing.
            let heard = activity.map(|heard| Activity { speech: heard.speech && !microphone.is_muted(), ..heard });
            media.hear_activity(heard);
            let captured_at = frame.captured_at - delay;
            if channels == 1 {
                if !microphone.is_idle() {
                    microphone.process::<FRAME>(frame.planar);
                }
                media.capture(captured_at, frame.planar);
            } else {
                capture_stereo::<M, FRAME>(media, microphone, captured_at, frame.planar);
            }
        });
    }
}

/// What is known of two channels together: the more probable speech, and the louder noise.
fn either(one: Option<Activity>, other: Option<Activity>) -> Option<Activity> {
    let (Some(a), Some(b)) = (one, other) else { return one.or(other) };
    Some(Activity {
        speech: a.speech || b.speech,
        probability: a.probability.max(b.probability),
        noise: a.noise.max(b.noise),
        periodicity: a.periodicity.max(b.periodicity),
    })
}

/// Filters interleaved samples, each channel by its own filter.
#[inline(never)]
fn process_interleaved(filters: &mut [Biquad<i16>], pcm: &mut [i16]) {
    match filters {
        [filter] => filter.process(pcm),
        _ => {
            for frame in pcm.chunks_exact_mut(filters.len()) {
                frame.iter_mut().zip(&mut *filters).for_each(|(sample, filter)| *sample = filter.step(*sample));
            }
        }
    }
}

/// Out of line: one channel alone needs no such place on the stack.
#[inline(never)]
fn capture_stereo<M: Media, const FRAME: usize>(
    media: &mut M,
    microphone: &mut Fader,
    captured_at: Instant,
    planar: &[i16],
) {
    let mut interleaved = [0; FRAME];
    let (left, right) = planar.split_at(planar.len() / 2);
    let interleaved = &mut interleaved[..planar.len()];
    // Lengths are the same: it can't fail.
    let _ = crate::format::interleave(&[left, right], interleaved);
    if !microphone.is_idle() {
        microphone.process::<FRAME>(interleaved);
    }
    media.capture(captured_at, interleaved);
}
