//! The music that callers hear while they are on hold.

use std::collections::HashMap;
use std::sync::Arc;

use dsp_core::time::Duration;

use super::table::lock;
use super::task::Ask;
use super::{ManagerError, MediaManager, Session};
use crate::player::{Blend, Player};
use crate::wav::WavFrames;

/// The longest music on hold that is kept.
const LONGEST: Duration = Duration::from_secs(600);

/// Music on hold by rate in Hz and channels.
pub(super) type MusicBySound = HashMap<(u32, u8), Arc<[i16]>>;

/// Music on hold: samples that all calls share.
#[derive(Clone, Debug)]
pub struct Music {
    /// Interleaved.
    pub samples: Arc<[i16]>,
    /// Rate in Hz: that of the session's sound.
    pub sample_rate_hz: u32,
    /// Channels, 1 or 2: those of the session's sound.
    pub channels: u8,
}

impl MediaManager {
    /// Returns the command that gives a session with a device of this rate and channel count its music on hold in the same
    /// format.
    ///
    /// # Errors
    /// [`ManagerError::Music`] if it can't be read.
    pub(super) async fn music_for(&self, (sample_rate_hz, channels): (u32, u8)) -> Result<Ask, ManagerError> {
        let Some(path) = self.inner.config.music.clone() else { return Ok(Box::new(|_, _| ())) };
        let known = lock(&self.inner.music).get(&(sample_rate_hz, channels)).cloned();
        let samples = match known {
            Some(samples) => samples,
            None => {
                let read =
                    move || WavFrames::open(&path, sample_rate_hz, channels).and_then(|file| file.read_all(LONGEST));
                let read = self.inner.runtime.spawn_blocking(read).await.map_err(|_| ManagerError::Stuck)?;
                let samples: Arc<[i16]> = read.map_err(ManagerError::Music)?.into();
                lock(&self.inner.music).entry((sample_rate_hz, channels)).or_insert(samples).clone()
            }
        };
        let music = Music { samples, sample_rate_hz, channels };
        Ok(Box::new(move |session, _| session.set_music(Some(music))))
    }
}

impl Session {
    /// Sets the music for callers that we put on hold from now on: it plays while we send but don't want to receive
    /// ([`Change::hold`](super::Change::hold)).
    pub fn set_music(&mut self, music: Option<Music>) {
        self.music = music;
        (0..self.legs.len()).for_each(|index| self.follow_hold(index));
    }

    /// The device has another sound: what plays is not of it, and what fits begins.
    pub(super) fn follow_sound(&mut self) {
        for index in 0..self.legs.len() {
            let leg = &mut self.legs[index];
            if std::mem::take(&mut leg.has_music) {
                leg.call.end_announcement();
            }
            self.follow_hold(index);
        }
    }

    /// Music begins where we hold, and ends with it.
    pub(super) fn follow_hold(&mut self, index: usize) {
        let Self { legs, music, sound, .. } = self;
        let leg = &mut legs[index];
        let holds = leg.call.wanted_direction(0).is_some_and(|wanted| wanted.sends() && !wanted.receives());
        let fits = music.as_ref().filter(|music| *sound == Some((music.sample_rate_hz, music.channels)));
        match fits.filter(|_| holds) {
            Some(music) if !leg.has_music => {
                leg.call.announce(Player::of_samples(music.samples.clone(), music.channels, true), Blend::Instead);
                leg.has_music = true;
            }
            None if leg.has_music => {
                leg.call.end_announcement();
                leg.has_music = false;
            }
            _ => {}
        }
    }
}
