//! The device side of a driver: a device, and what stands between it and a call.

use dsp_core::process::level::Level;

use super::{Command, Device};
use crate::device::{AudioIo, Gaps};
use crate::session::{CaptureStep, HostFront};

/// A device, and what stands between it and a call.
pub(crate) struct AttachedDevice {
    pub(crate) device: Device,
    pub(crate) front: Box<HostFront>,
    /// The samples per channel that were skipped just now, of the loudspeaker and of the microphone, as far as the device has not
    /// reported them too.
    pub(super) skipped: Gaps,
    /// Steps of the capture chain that are switched off, there or not.
    off: Vec<CaptureStep>,
}

impl AttachedDevice {
    pub(crate) fn new(audio: Box<dyn AudioIo>, front: Box<HostFront>) -> Self {
        Self { device: Device::new(audio), front, skipped: Gaps::default(), off: Vec::new() }
    }

    /// Returns the device, to be closed or given to another call.
    pub(crate) async fn into_audio(self) -> Box<dyn AudioIo> {
        self.device.into_audio().await
    }

    /// Replaces the device by another one and closes the old one; a device with another sound has a `front` of its own. Gains
    /// stay, and so do steps of the capture chain that were switched off; the state that the chain has adapted to the old device
    /// is forgotten.
    pub(crate) fn change(&mut self, audio: Box<dyn AudioIo>, front: Option<Box<HostFront>>) {
        if let Some(front) = front {
            let before = std::mem::replace(&mut self.front, front);
            // Values that one front end accepts are accepted by the next one.
            let _ = self.front.set_microphone_gain(before.microphone_gain());
            let _ = self.front.set_volume(before.volume());
            self.front.set_microphone_muted(before.microphone_muted());
            for channel in 0..2 {
                let Some(block) = self.front.block(channel) else { continue };
                for step in &self.off {
                    block.set_step(*step, false);
                }
            }
        }
        self.device.change(audio).close();
        self.begin();
    }

    /// Returns whether the device has failed for good.
    pub(crate) fn has_failed(&self) -> bool {
        self.device.has_failed()
    }

    /// Returns whether the device is lost, and may come back.
    #[cfg(feature = "manager")]
    pub(crate) fn is_lost(&self) -> bool {
        self.device.is_lost()
    }

    /// Starts the count: losses before now don't belong to the call.
    pub(crate) fn begin(&mut self) {
        self.front.reset();
        let _ = self.device.gaps();
        self.skipped = Gaps::default();
    }

    /// Records that there were no ticks for this many samples a channel.
    pub(crate) fn skip(&mut self, samples: usize) {
        self.front.skip(samples);
        let samples = u32::try_from(samples).unwrap_or(u32::MAX);
        self.skipped.captured = self.skipped.captured.saturating_add(samples);
        self.skipped.played = self.skipped.played.saturating_add(samples);
    }

    /// Returns the device's losses beyond the ticks that were skipped.
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
                self.off.retain(|off| *off != step);
                if !on {
                    self.off.push(step);
                }
                for channel in 0..2 {
                    let there = self.front.block(channel).is_some_and(|block| block.set_step(step, on));
                    if !there && channel == 0 {
                        tracing::warn!(?step, "no such step in the capture chain");
                    }
                }
                Ok(())
            }
            // The loop has dealt with these.
            Command::HangUp | Command::Change(_) | Command::Digits(_) | Command::Device(_) => Ok(()),
        };
        if let Err(error) = changed {
            tracing::warn!(%error, "gain not changed");
        }
    }
}

/// Returns the losses beyond the skipped samples: a device that was not read or written during skipped ticks reports the same
/// time.
pub(super) fn beyond(skipped: &mut Gaps, lost: Gaps) -> Gaps {
    let rest = |skipped: &mut u32, lost: u32| {
        let told = lost.min(*skipped);
        *skipped -= told;
        lost - told
    };
    Gaps { captured: rest(&mut skipped.captured, lost.captured), played: rest(&mut skipped.played, lost.played) }
}

/// Returns the level in hundredths of dBov.
pub(super) fn level(level: Option<Level>) -> i16 {
    level.map_or(i16::MIN, Level::hundredths_dbov)
}
