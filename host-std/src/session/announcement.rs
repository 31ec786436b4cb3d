//! Announcements and music on hold: a file that the other side hears together with the microphone, or in its place.

use crate::player::{Blend, Player};
use crate::session::Call;

/// Samples of a tick of 120 ms at 48 kHz in stereo, the longest there is.
const LONGEST: usize = 11_520;

/// A file that is being played to the other side.
pub(super) struct Announcement {
    player: Player,
    blend: Blend,
    /// The sound to be sent, with the file in it.
    pcm: Vec<i16>,
}

impl Announcement {
    /// Returns the sound to be sent, with the file in it.
    pub(super) fn blend(&mut self, microphone: &[i16]) -> &[i16] {
        self.pcm.clear();
        self.pcm.extend_from_slice(&microphone[..microphone.len().min(LONGEST)]);
        self.player.play(&mut self.pcm, self.blend);
        &self.pcm
    }

    pub(super) fn is_over(&self) -> bool {
        self.player.is_over()
    }
}

impl Call {
    /// Plays a file to the other side, mixed with the microphone's sound or in its place, until it ends; it replaces one that
    /// still plays. The player's rate and channels are those of the call ([`Call::sample_rate_hz`], [`Call::channels`]). It is
    /// inserted after the capture chain and the microphone's mute, and recorded as our own sound.
    pub fn announce(&mut self, player: Player, blend: Blend) {
        self.announcement = Some(Box::new(Announcement { player, blend, pcm: Vec::with_capacity(LONGEST) }));
    }

    /// Ends what [`Call::announce`] began; whether something still played.
    pub fn end_announcement(&mut self) -> bool {
        self.announcement.take().is_some()
    }
}
