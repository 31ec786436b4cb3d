//! A device that may be lost, come back, or be changed for another during a call.

use std::time::Duration as StdDuration;

use dsp_core::front::Latency;
use tokio::task::JoinHandle;
use tokio::time::Instant as TokioInstant;

use crate::device::{AudioIo, DeviceError, FileIo, Gaps};
use crate::join::Join;

/// The time between two attempts to reopen a lost device.
const REOPEN_EVERY: StdDuration = StdDuration::from_secs(2);

/// A microphone and a loudspeaker that survive the loss of the device: for a mixer of your own that ticks them. A
/// [`Driver`](super::Driver) has one inside.
///
/// While the device is lost it captures silence and plays nothing, and a thread tries to open it again. Where captured sound breaks off
/// and continues, both ends are joined without a click.
pub struct Device {
    state: State,
    join: Join,
    /// Whether it had failed when it was read last.
    had_failed: bool,
}

/// The result of an attempt to reopen a device.
type Reopened = (Box<dyn AudioIo>, Result<(), DeviceError>);

enum State {
    Here {
        audio: Box<dyn AudioIo>,
        /// The time of the next attempt to reopen it, if it is lost.
        retry: TokioInstant,
    },
    /// It's being opened on a thread that may block.
    Opening { opening: JoinHandle<Reopened>, sample_rate_hz: u32, channels: u8 },
}

impl Device {
    /// Wraps a device in its present state.
    pub fn new(audio: Box<dyn AudioIo>) -> Self {
        let join = Join::new(audio.sample_rate_hz());
        Self { state: State::Here { audio, retry: TokioInstant::now() }, join, had_failed: false }
    }

    /// Rate in Hz and channels of its sound.
    pub fn sound(&self) -> (u32, u8) {
        match &self.state {
            State::Here { audio, .. } => (audio.sample_rate_hz(), audio.channels()),
            State::Opening { sample_rate_hz, channels, .. } => (*sample_rate_hz, *channels),
        }
    }

    /// Replaces the device by another one, of any rate and channels; returns the old one, to be [closed](Self::close). The new
    /// device's captured sound fades in. The old device's captured sound breaks off: it has to be joined after all stages that
    /// delay it, by a separate [`Join`] where there is no call.
    pub fn change(&mut self, audio: Box<dyn AudioIo>) -> Self {
        let mut next = Self::new(audio);
        next.join.break_off();
        std::mem::replace(self, next)
    }

    /// Plays, as [`AudioIo::write`].
    pub fn write(&mut self, pcm: &[i16]) {
        if let State::Here { audio, .. } = &mut self.state {
            audio.write(pcm);
        }
    }

    /// Captures, as [`AudioIo::read`].
    pub fn read(&mut self, pcm: &mut [i16]) {
        let channels = match &mut self.state {
            State::Here { audio, .. } => {
                audio.read(pcm);
                let has_failed = audio.failure().is_some();
                if std::mem::replace(&mut self.had_failed, has_failed) != has_failed {
                    self.join.break_off();
                }
                audio.channels()
            }
            State::Opening { channels, .. } => {
                pcm.fill(0);
                *channels
            }
        };
        self.join.pass_all(pcm, channels.into());
    }

    /// Returns the losses since the last call of this function.
    pub fn gaps(&mut self) -> Gaps {
        match &mut self.state {
            State::Here { audio, .. } => audio.gaps(),
            State::Opening { .. } => Gaps::default(),
        }
    }

    /// Returns the latency of the device.
    pub fn latency(&self) -> Latency {
        match &self.state {
            State::Here { audio, .. } => audio.latency(),
            State::Opening { .. } => Latency::default(),
        }
    }

    /// Returns whether it has failed for good.
    pub fn has_failed(&self) -> bool {
        matches!(&self.state, State::Here { audio, .. } if audio.failure().is_some() && !audio.may_come_back())
    }

    /// Returns whether it is lost, and may come back.
    pub fn is_lost(&self) -> bool {
        match &self.state {
            State::Here { audio, .. } => audio.failure().is_some() && audio.may_come_back(),
            State::Opening { .. } => true,
        }
    }

    /// Recovers a lost device: reports the loss, and lets the device be reopened every two seconds. Call it after each tick; it
    /// doesn't wait.
    pub async fn recover(&mut self) {
        match &mut self.state {
            State::Here { audio, retry } => {
                if audio.failure().is_none() || !audio.may_come_back() || TokioInstant::now() < *retry {
                    return;
                }
                let (sample_rate_hz, channels) = (audio.sample_rate_hz(), audio.channels());
                // Something must be here while the thread has the device.
                let away = Box::new(FileIo::null(sample_rate_hz).with_channels(channels));
                let mut audio = std::mem::replace(audio, away);
                let opening = tokio::task::spawn_blocking(move || {
                    let reopened = audio.reopen();
                    (audio, reopened)
                });
                self.state = State::Opening { opening, sample_rate_hz, channels };
                // If one of two devices is lost, the sound that the other one captures breaks off here too.
                self.join.break_off();
            }
            State::Opening { opening, .. } if opening.is_finished() => {
                let (audio, reopened) = joined(opening.await);
                match reopened {
                    Ok(()) => tracing::info!("the audio device is back"),
                    Err(error) => tracing::warn!(%error, "no sound"),
                }
                self.had_failed = audio.failure().is_some();
                self.join.break_off();
                self.state = State::Here { audio, retry: TokioInstant::now() + REOPEN_EVERY };
            }
            State::Opening { .. } => {}
        }
    }

    /// Returns the device that it was made of; if it's just being reopened, waits for the result.
    pub async fn into_audio(self) -> Box<dyn AudioIo> {
        match self.state {
            State::Here { audio, .. } => audio,
            State::Opening { opening, .. } => joined(opening.await).0,
        }
    }

    /// Ends it on a thread that may block, without waiting for it.
    pub fn close(self) {
        match self.state {
            State::Here { audio, .. } => close(audio),
            State::Opening { opening, .. } => drop(tokio::spawn(async move { close(joined(opening.await).0) })),
        }
    }
}

/// Closes a device where that may block.
pub(crate) fn close(mut audio: Box<dyn AudioIo>) {
    tokio::task::spawn_blocking(move || {
        if let Err(error) = audio.close() {
            tracing::warn!(%error, "the device was not closed well");
        }
    });
}

/// Returns the thread's result; the thread is never cancelled, so its only other result is a panic.
fn joined(thread: Result<Reopened, tokio::task::JoinError>) -> Reopened {
    match thread {
        Ok(reopened) => reopened,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
