//! The one order of an audio tick, sans-IO: for hosts with and without async, in real and in virtual time.
//!
//! ```text
//! begin -> play -> volume -> meter -> history -> Step::Loudspeaker
//!       -> Step::Microphone -> gain -> meter -> framer, block -> capture
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
//!     front: &mut FrontEnd<NoBlock, 80, 0>,
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

use super::{CaptureBlock, FrontEnd, Near};
use crate::receive::Played;
use crate::time::{Duration, Instant};

/// Where sound comes from and goes to: a call, a phone, a stream of a capture.
pub trait Media {
    /// What is told of a datagram to send, such as its length and where it goes.
    type Transmit;

    /// Fills `pcm` with the samples that are heard from `now` on, before the device's latency; interleaved.
    fn play(&mut self, now: Instant, pcm: &mut [i16]) -> Played;

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
    /// by [`FrontEnd::skip`] is in it.
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
    Microphone,
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
    microphone: bool,
    lost: u32,
}

impl<B: CaptureBlock<i16>, const FRAME: usize, const HISTORY: usize> FrontEnd<B, FRAME, HISTORY> {
    /// Begins a tick of so many samples a channel at `now`, with or without a microphone. A tick before that isn't over
    /// ends where it is.
    ///
    /// # Errors
    /// [`TickTooLong`] if `FRAME` has no room for it; nothing happens then.
    pub fn begin(&mut self, now: Instant, samples: usize, microphone: bool) -> Result<(), TickTooLong> {
        let need = samples.saturating_mul(self.config.channels.into());
        if need > FRAME {
            return Err(TickTooLong { need, got: FRAME });
        }
        if samples != self.tick.samples {
            self.tick.samples = samples;
            self.tick.length = Duration::from_samples(samples as u64, self.config.sample_rate_hz);
        }
        (self.tick.stage, self.tick.now, self.tick.microphone) = (Stage::Play, now, microphone);
        Ok(())
    }

    /// There were no ticks for so many samples a channel: the history has silence there, and the next tick of the
    /// microphone is told as behind a loss.
    pub fn skip(&mut self, samples: usize) {
        let samples = u32::try_from(samples).unwrap_or(u32::MAX);
        self.history.skip(samples);
        self.tick.lost = self.tick.lost.saturating_add(samples);
    }

    /// Goes on to where the host is needed: in the order of [`tick`](self) until the tick is over. What is to be sent
    /// lies in `datagram`.
    pub fn step<M: Media>(&mut self, media: &mut M, datagram: &mut [u8]) -> Option<Step<'_, M::Transmit>> {
        match self.tick.stage {
            Stage::Play => {
                self.tick.stage = if self.tick.microphone { Stage::Microphone } else { Stage::Transmit };
                let played = self.play(media);
                Some(Step::Loudspeaker { pcm: &self.pcm[..self.tick_samples()], played })
            }
            Stage::Microphone => {
                self.tick.stage = Stage::Capture;
                let samples = self.tick_samples();
                let Self { pcm, tick, .. } = self;
                Some(Step::Microphone(Microphone { pcm: &mut pcm[..samples], lost: &mut tick.lost }))
            }
            Stage::Capture => {
                self.tick.stage = Stage::Transmit;
                self.capture(media);
                self.transmit(media, datagram)
            }
            Stage::Transmit => self.transmit(media, datagram),
            Stage::Over => None,
        }
    }

    /// All channels together; at most `FRAME`.
    fn tick_samples(&self) -> usize {
        (self.tick.samples * usize::from(self.config.channels)).min(FRAME)
    }

    fn play<M: Media>(&mut self, media: &mut M) -> Played {
        let samples = self.tick_samples();
        let pcm = &mut self.pcm[..samples];
        let played = media.play(self.tick.now, pcm);
        self.volume.process::<FRAME>(pcm);
        self.history.write(self.tick.now + self.latency.playback, pcm);
        played
    }

    fn capture<M: Media>(&mut self, media: &mut M) {
        let samples = self.tick_samples();
        let captured_at = self.captured_at(self.tick.now, self.tick.length);
        let lost = core::mem::take(&mut self.tick.lost);
        self.microphone.process::<FRAME>(&mut self.pcm[..samples]);
        if self.blocks.iter().all(Option::is_none) {
            return media.capture(captured_at, &self.pcm[..samples]);
        }
        let delay = Duration::from_samples(self.block_delay() as u64, self.config.sample_rate_hz);
        let channels = usize::from(self.config.channels);
        let Self { framer, blocks, history, pcm, .. } = self;
        let render = history.view();
        framer.push(captured_at, lost, &pcm[..samples], |frame| {
            let length = frame.planar.len() / channels;
            for (channel, (samples, block)) in frame.planar.chunks_exact_mut(length).zip(&mut *blocks).enumerate() {
                if let Some(block) = block {
                    let near = Near { captured_at: frame.captured_at, channel, lost: frame.lost, render };
                    block.process(samples, &near);
                }
            }
            let captured_at = frame.captured_at - delay;
            if channels == 1 {
                media.capture(captured_at, frame.planar);
            } else {
                capture_stereo::<M, FRAME>(media, captured_at, frame.planar);
            }
        });
    }

    fn transmit<M: Media>(&mut self, media: &mut M, datagram: &mut [u8]) -> Option<Step<'_, M::Transmit>> {
        let transmit = media.transmit(self.tick.now, datagram);
        if transmit.is_none() {
            self.tick.stage = Stage::Over;
        }
        transmit.map(Step::Transmit)
    }
}

/// Out of line: one channel alone needs no such place on the stack.
#[inline(never)]
fn capture_stereo<M: Media, const FRAME: usize>(media: &mut M, captured_at: Instant, planar: &[i16]) {
    let mut interleaved = [0; FRAME];
    let (left, right) = planar.split_at(planar.len() / 2);
    let interleaved = &mut interleaved[..planar.len()];
    // Lengths are the same: it can't fail.
    let _ = crate::format::interleave(&[left, right], interleaved);
    media.capture(captured_at, interleaved);
}
