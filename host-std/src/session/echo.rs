//! The status of an echo canceller, and its way from a call's capture chain to the call's statistics.
//!
//! The canceller is a block of the capture chain, so the device side has it, and its call doesn't: the driver of both
//! [passes](Call::tell_echo) its status to the call after each tick.

use dsp_core::echo::EchoStats;
use dsp_core::time::Instant;

use super::{Call, HostFront};

/// The current status of an echo canceller.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EchoStatus {
    /// Echo return loss enhancement: by how many dB the echo is lowered. `None` before anything was measured; while the far end
    /// is silent or both sides speak it is the last value.
    pub erle_db: Option<f32>,
    /// The bulk delay from loudspeaker to microphone, in ms; `None` until it is found.
    pub delay_ms: Option<f32>,
    /// The rate of the loudspeaker's clock relative to the microphone's, in parts per million; positive if it is faster.
    pub drift_ppm: f32,
    /// Whether the near end speaks.
    pub near_end: bool,
    /// Whether both ends speak.
    pub double_talk: bool,
    /// The number of times that the canceller diverged and was reset since the call began.
    pub diverged: u32,
    /// The number of times that the echo path changed and was adapted to again since the call began.
    pub path_changes: u32,
}

/// The least confidence of the canceller at which near-end speech counts.
const SURE: f32 = 0.5;

impl From<EchoStats> for EchoStatus {
    fn from(stats: EchoStats) -> Self {
        Self {
            erle_db: stats.erle_db,
            delay_ms: stats.delay_ms,
            drift_ppm: stats.drift_ppm,
            near_end: stats.near_end > SURE,
            double_talk: stats.far_end && stats.near_end > SURE,
            diverged: stats.divergences,
            path_changes: stats.path_changes,
        }
    }
}

impl Call {
    /// Passes the status of the echo canceller of the first stream's device side, if there is one, to the
    /// [tap](super::Tap::echo). The drivers do so after each tick. In stereo it is that of the left channel.
    pub fn tell_echo(&mut self, now: Instant, front: &mut HostFront) {
        if let Some(status) = front.block(0).and_then(|block| block.echo()) {
            self.tell(|tap, _| tap.echo(now, &status));
        }
    }
}
