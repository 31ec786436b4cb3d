//! One tick of audio, in the one order in which a program moves it through a [`FrontEnd`], without I/O. It serves
//! programs with and without async, in real and in virtual time. Use it with every [`FrontEnd`]: there is no other way
//! to run one.
//!
//! ```text
//! begin -> play -> volume -> meter -> Step::Loudspeaker -> history
//!       -> Step::Microphone -> microphone (heard as it is) -> framer, block -> gain -> meter
//!       -> activity, capture
//!       -> Step::Transmit, until nothing is left to send
//! ```
//!
//! The far end is in the history before the microphone is read over it. All of a tick has one time, `now`: its first
//! sample is heard at `now` plus the playback latency, and the microphone's first sample was captured at `now` minus
//! the length of the tick minus the capture latency. The first tick of a call has no microphone, as nothing was
//! captured yet.
//!
//! The loop of a program:
//!
//! ```
//! use dsp_core::front::{FrontConfig, FrontEnd, Media, NoBlock, Step, TickTooLong};
//! use dsp_core::receive::Played;
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
//!
//! /// Sends what it captures, without a header.
//! #[derive(Default)]
//! struct Raw(Vec<i16>);
//!
//! impl Media for Raw {
//!     type Transmit = usize;
//!     fn play(&mut self, _: Instant, pcm: &mut [i16]) -> Played {
//!         pcm.fill(0);
//!         Played::default()
//!     }
//!     fn capture(&mut self, _: Instant, pcm: &[i16]) {
//!         self.0.extend(pcm);
//!     }
//!     fn transmit(&mut self, _: Instant, datagram: &mut [u8]) -> Option<usize> {
//!         let samples = self.0.drain(..);
//!         let len = 2 * samples.len();
//!         datagram.chunks_exact_mut(2).zip(samples).for_each(|(bytes, sample)| bytes.copy_from_slice(&sample.to_be_bytes()));
//!         (len > 0).then_some(len)
//!     }
//! }
//!
//! let mut front = FrontEnd::new(FrontConfig::default(), [None, None], [])?;
//! let (mut media, mut lengths) = (Raw::default(), Vec::new());
//! for n in 0..3 {
//!     tick(&mut front, &mut media, Instant::from_millis(10 * n), |len, datagram| lengths.push(datagram[..len].len()))?;
//! }
//! // 80 samples in each tick.
//! assert_eq!(lengths, [160, 160, 160]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
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

/// Where sound comes from and where it goes: a call, a phone, or any stream. A [`FrontEnd`] calls its methods in the
/// order of [the module's page](self).
pub trait Media {
    /// What the caller needs to know of a datagram to send, such as its length and address.
    type Transmit;

    /// Fills `pcm` with the interleaved samples that are heard from `now` on, not counting the device's latency.
    fn play(&mut self, now: Instant, pcm: &mut [i16]) -> Played;

    /// Gets a tick of the microphone, interleaved, as the device delivered it, before filter, block, gain and mute,
    /// for meters. The default does nothing.
    #[inline]
    fn microphone(&mut self, captured_at: Instant, pcm: &[i16]) {
        let _ = (captured_at, pcm);
    }

    /// Tells whether somebody speaks, in any channel, in the samples that [`capture`](Self::capture) brings next;
    /// `None` if no detector knows. It is called only if there is a capture chain. The default ignores it.
    fn hear_activity(&mut self, activity: Option<Activity>) {
        let _ = activity;
    }

    /// Takes in interleaved samples of the microphone, the first of which was captured at `captured_at`. With a block
    /// these are frames of 10 ms, none or several in a tick; without a block each tick as it is.
    fn capture(&mut self, captured_at: Instant, pcm: &[i16]);

    /// Writes the next datagram to send into `datagram`; `None` if nothing is left to send.
    fn transmit(&mut self, now: Instant, datagram: &mut [u8]) -> Option<Self::Transmit>;
}

/// What the program does next.
#[derive(Debug)]
pub enum Step<'a, T> {
    /// Write samples to the loudspeaker.
    Loudspeaker {
        /// The samples, interleaved, with the volume applied.
        pcm: &'a [i16],
        /// What the stream played.
        played: Played,
    },
    /// Read samples from the microphone.
    Microphone(Microphone<'a>),
    /// Send what was written into the datagram.
    Transmit(T),
}

/// A tick of the microphone, which the program fills.
#[derive(Debug)]
pub struct Microphone<'a> {
    /// Room for the samples, interleaved. Until it is filled, it holds the far end of this tick.
    pub pcm: &'a mut [i16],
    /// Samples of each channel that were lost since the tick before. The program adds what its device has lost; it
    /// already contains what was told by [`FrontEnd::skip`] and [`FrontEnd::overrun`].
    pub lost: &'a mut u32,
}

/// A tick is longer than the front end has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TickTooLong {
    /// Samples of the tick, all channels together.
    pub need: usize,
    /// Samples that there is room for.
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
    /// Begins a tick of this many samples of each channel at `now`, with or without the microphone. A tick before it
    /// that was not finished ends where it is.
    ///
    /// # Errors
    /// Returns [`TickTooLong`] if the tick has more than `FRAME` samples, all channels together. Nothing has happened
    /// then.
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

    /// Tells that ticks were missing for this many samples of each channel. The history gets silence for them, and the
    /// next tick of the microphone counts as following a loss.
    pub fn skip(&mut self, samples: usize) {
        self.underrun(samples);
        self.overrun(samples);
    }

    /// Tells that the microphone lost this many samples of each channel before its next tick.
    pub fn overrun(&mut self, samples: usize) {
        self.tick.lost = self.tick.lost.saturating_add(u32::try_from(samples).unwrap_or(u32::MAX));
    }

    /// Tells that the loudspeaker had nothing to play for this many samples of each channel, before the tick that is
    /// being written or comes next. The history gets silence for them.
    pub fn underrun(&mut self, samples: usize) {
        self.tick.silent = self.tick.silent.saturating_add(u32::try_from(samples).unwrap_or(u32::MAX));
    }

    /// Goes on to where the program is needed: returns the next step of the tick, in the order of [the module's
    /// page](self), or `None` when the tick is over. A datagram to send is written into `datagram`.
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
            process_interleaved(filters.get_mut(..self.config.channels.into()).unwrap_or_default(), pcm);
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
            for frame in pcm.chunks_exact_mut(filters.len().max(1)) {
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
