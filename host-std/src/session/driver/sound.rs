//! The device side of a driver: a device that may be lost and come back, and what stands between it and a call.

use std::time::Duration as StdDuration;

use dsp_core::front::Latency;
use dsp_core::process::level::Level;
use tokio::task::JoinHandle;
use tokio::time::Instant as TokioInstant;

use super::Command;
use crate::device::{AudioIo, DeviceError, FileIo, Gaps};
use crate::session::HostFront;

/// Time between two attempts to open a lost device anew.
const REOPEN_EVERY: StdDuration = StdDuration::from_secs(2);

/// A device, and what stands between it and a call.
pub(crate) struct Sound {
    pub(super) device: Device,
    pub(crate) front: Box<HostFront>,
    /// Samples a channel that were skipped just now, of the loudspeaker and of the microphone, as far as the device has
    /// not told of them too.
    pub(super) skipped: Gaps,
}

/// What an attempt to open a device anew gives back.
type Reopened = (Box<dyn AudioIo>, Result<(), DeviceError>);

/// The device; if it's lost, it is opened anew.
pub(super) enum Device {
    Here {
        audio: Box<dyn AudioIo>,
        /// When to open it anew, if it is lost.
        retry: TokioInstant,
    },
    /// It's being opened on a thread that may block.
    Opening(JoinHandle<Reopened>),
}

impl Device {
    pub(super) fn write(&mut self, pcm: &[i16]) {
        if let Self::Here { audio, .. } = self {
            audio.write(pcm);
        }
    }

    pub(super) fn read(&mut self, pcm: &mut [i16]) {
        match self {
            Self::Here { audio, .. } => {
                audio.read(pcm);
            }
            Self::Opening(_) => pcm.fill(0),
        }
    }

    pub(super) fn gaps(&mut self) -> Gaps {
        match self {
            Self::Here { audio, .. } => audio.gaps(),
            Self::Opening(_) => Gaps::default(),
        }
    }

    pub(super) fn latency(&self) -> Latency {
        match self {
            Self::Here { audio, .. } => audio.latency(),
            Self::Opening(_) => Latency::default(),
        }
    }

    /// Whether the device has failed for good.
    fn has_failed(&self) -> bool {
        matches!(self, Self::Here { audio, .. } if audio.failure().is_some() && !audio.may_come_back())
    }

    /// If the device is lost: says so, and lets it be opened anew, every two seconds.
    pub(super) async fn recover(&mut self) {
        match self {
            Self::Here { audio, retry } => {
                if audio.failure().is_none() || !audio.may_come_back() || TokioInstant::now() < *retry {
                    return;
                }
                // Something must be here while the thread has the device.
                let away = (audio.sample_rate_hz(), audio.channels());
                let away = Box::new(FileIo::null(away.0).with_channels(away.1));
                let mut audio = std::mem::replace(audio, away);
                *self = Self::Opening(tokio::task::spawn_blocking(move || {
                    let reopened = audio.reopen();
                    (audio, reopened)
                }));
            }
            Self::Opening(opening) if opening.is_finished() => {
                let (audio, reopened) = joined(opening.await);
                match reopened {
                    Ok(()) => tracing::info!("the audio device is back"),
                    Err(error) => tracing::warn!(%error, "no sound"),
                }
                *self = Self::Here { audio, retry: TokioInstant::now() + REOPEN_EVERY };
            }
            Self::Opening(_) => {}
        }
    }

    /// The device, to be closed.
    async fn close(self) -> Box<dyn AudioIo> {
        match self {
            Self::Here { audio, .. } => audio,
            Self::Opening(opening) => joined(opening.await).0,
        }
    }
}

/// What the thread gives back; it is never cancelled, so all that it could bring else is a panic.
fn joined(thread: Result<Reopened, tokio::task::JoinError>) -> Reopened {
    match thread {
        Ok(reopened) => reopened,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

impl Sound {
    pub(crate) fn new(audio: Box<dyn AudioIo>, front: Box<HostFront>) -> Self {
        Self { device: Device::Here { audio, retry: TokioInstant::now() }, front, skipped: Gaps::default() }
    }

    /// The device, to be closed or given to another call.
    pub(crate) async fn into_audio(self) -> Box<dyn AudioIo> {
        self.device.close().await
    }

    /// Whether the device has failed for good.
    pub(crate) fn has_failed(&self) -> bool {
        self.device.has_failed()
    }

    /// Whether the device is lost, and may come back.
    #[cfg(feature = "manager")]
    pub(crate) fn is_lost(&self) -> bool {
        match &self.device {
            Device::Here { audio, .. } => audio.failure().is_some() && audio.may_come_back(),
            Device::Opening(_) => true,
        }
    }

    /// What was lost before now is nobody's.
    pub(crate) fn begin(&mut self) {
        self.front.reset();
        let _ = self.device.gaps();
        self.skipped = Gaps::default();
    }

    /// There were no ticks for so many samples a channel.
    pub(crate) fn skip(&mut self, samples: usize) {
        self.front.skip(samples);
        let samples = u32::try_from(samples).unwrap_or(u32::MAX);
        self.skipped.captured = self.skipped.captured.saturating_add(samples);
        self.skipped.played = self.skipped.played.saturating_add(samples);
    }

    /// What the device has lost beyond the ticks that were skipped.
    pub(super) fn gaps(&mut self) -> Gaps {
        beyond(&mut self.skipped, self.device.gaps())
    }

    pub(crate) fn apply(&mut self, command: Command) {
        let changed = match command {
            Command::Mute(muted) => {
                self.front.set_microphone_muted(muted);
                Ok(())
            }
            Command::MicrophoneGain(gain) => self.front.set_microphone_gain(gain),
            Command::Volume(gain) => self.front.set_volume(gain),
            Command::Step(step, on) => {
                for channel in 0..2 {
                    let there = self.front.block(channel).is_some_and(|block| block.set_step(step, on));
                    if !there && channel == 0 {
                        tracing::warn!(?step, "no such step in the capture chain");
                    }
                }
                Ok(())
            }
            // The loop has dealt with these.
            Command::HangUp | Command::Change(_) | Command::Digits(_) => Ok(()),
        };
        if let Err(error) = changed {
            tracing::warn!(%error, "gain not changed");
        }
    }
}

/// What was lost beyond what was told as skipped: a device that had nobody to read or write it tells of the same time.
pub(super) fn beyond(skipped: &mut Gaps, lost: Gaps) -> Gaps {
    let rest = |skipped: &mut u32, lost: u32| {
        let told = lost.min(*skipped);
        *skipped -= told;
        lost - told
    };
    Gaps { captured: rest(&mut skipped.captured, lost.captured), played: rest(&mut skipped.played, lost.played) }
}

/// In hundredths of dBov.
pub(super) fn level(level: Option<Level>) -> i16 {
    level.map_or(i16::MIN, Level::hundredths_dbov)
}
