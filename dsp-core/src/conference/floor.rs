//! Who is heard: the loudest speakers, and which of them is the active speaker.
//!
//! Loudness is the level that the caller gives while a participant speaks, and falls by 20 dB/s afterwards, so that a
//! pause between words costs nobody the floor. A participant loses his place only to another who speaks and is 3 dB
//! louder. So nothing changes in a quiet room, and two equally loud speakers do not alternate.

use crate::process::level::Level;

use super::ConferenceConfig;
use super::port::{FloorPriority, Port};

/// Fall of the loudness, in hundredths of a dB per second.
const FALL_A_SECOND: u32 = 2_000;
/// How much louder a speaker must be than the one whose place he takes, in hundredths of a dB.
const MARGIN: i16 = 300;
/// For which a speaker is the loudest before he is the active one.
const ACTIVE_MS: u32 = 300;

/// Chooses who is heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floor {
    /// How many are heard; 0: all.
    loudest: u16,
    /// Fall of the loudness in each frame, in 2^-16 of a hundredth of a dB, and its remainder.
    fall_q16: u32,
    rest_q16: u32,
    frame_samples: u32,
    active_samples: u32,
    active: Option<u16>,
    /// The loudest speaker, if it isn't the active one, and for how many samples he has been.
    next: Option<u16>,
    next_samples: u32,
}

impl Floor {
    /// For a config that was checked.
    pub(super) fn new(config: &ConferenceConfig) -> Self {
        let frame_samples = config.frame_samples as u32;
        let fall_q16 = (u64::from(FALL_A_SECOND) << 16) * u64::from(frame_samples) / u64::from(config.sample_rate_hz);
        Self {
            loudest: config.loudest.map_or(0, |loudest| loudest.get()),
            fall_q16: u32::try_from(fall_q16).unwrap_or(u32::MAX),
            rest_q16: 0,
            frame_samples,
            active_samples: config.sample_rate_hz * ACTIVE_MS / 1_000,
            active: None,
            next: None,
            next_samples: 0,
        }
    }

    pub(super) fn active_speaker(&self) -> Option<usize> {
        self.active.map(usize::from)
    }

    /// Somebody has left.
    pub(super) fn forget(&mut self, port: usize) {
        if self.active_speaker() == Some(port) {
            self.active = None;
        }
        if self.next.map(usize::from) == Some(port) {
            (self.next, self.next_samples) = (None, 0);
        }
    }

    /// Sets `chosen` of each port. Cost: a few comparisons a port, and another pass for each place that changes hands.
    pub(super) fn choose<const SAMPLES: usize>(&mut self, ports: &mut [Port<SAMPLES>]) {
        let fall_q16 = self.fall_q16.saturating_add(self.rest_q16);
        self.rest_q16 = fall_q16 & 0xffff;
        let fall = i16::try_from(fall_q16 >> 16).unwrap_or(i16::MAX);
        let mut speaker: Option<(i16, u16)> = None;
        let mut taken = 0u16;
        for (port, number) in ports.iter_mut().zip(0u16..) {
            let fallen = port.loudness.saturating_sub(fall).max(Level::SILENCE.hundredths_dbov());
            let speaks = port.may_speak() && port.activity.is_speech();
            port.loudness = if speaks { port.activity.level.hundredths_dbov().max(fallen) } else { fallen };
            if speaks && speaker.is_none_or(|(loudness, _)| loudness < port.loudness) {
                speaker = Some((port.loudness, number));
            }
            if self.loudest == 0 || !port.may_speak() || port.priority == FloorPriority::Always {
                port.chosen = port.may_speak();
            } else if port.chosen {
                taken += 1;
                // Somebody whose priority was `Always` until now, and one too many.
                if taken > self.loudest {
                    (port.chosen, taken) = (false, self.loudest);
                }
            }
        }
        if self.loudest != 0 {
            self.free_places(ports, taken);
            self.contested_places(ports);
        }
        self.follow(speaker.map(|(_, number)| number));
    }

    /// Gives places that nobody has to the loudest of those who have none, speaking or not.
    fn free_places<const SAMPLES: usize>(&self, ports: &mut [Port<SAMPLES>], taken: u16) {
        for _ in taken..self.loudest {
            let without = ports.iter_mut().filter(|port| port.may_speak() && !port.chosen);
            let Some(port) = without.rev().max_by_key(|port| (port.priority, port.loudness)) else { return };
            port.chosen = true;
        }
    }

    /// Gives the place of the quietest to a speaker who is louder, as often as there is one.
    fn contested_places<const SAMPLES: usize>(&self, ports: &mut [Port<SAMPLES>]) {
        for _ in 0..self.loudest {
            let holders =
                ports.iter().enumerate().filter(|(_, port)| port.chosen && port.priority != FloorPriority::Always);
            // A priority counts only for somebody who speaks, or spoke just now.
            let rank = |port: &Port<SAMPLES>| {
                let heard = port.loudness > Level::SILENCE.hundredths_dbov();
                (if heard { port.priority } else { FloorPriority::Normal }, port.loudness)
            };
            let Some((quietest, held)) = holders.map(|(n, port)| (n, rank(port))).min_by_key(|&(_, rank)| rank) else {
                return;
            };
            let speakers = ports.iter().enumerate();
            let speakers = speakers.filter(|(_, port)| port.may_speak() && !port.chosen && port.activity.is_speech());
            let Some((loudest, asks)) = speakers.map(|(n, port)| (n, rank(port))).max_by_key(|&(_, rank)| rank) else {
                return;
            };
            if asks.0 < held.0 || (asks.0 == held.0 && asks.1 < held.1.saturating_add(MARGIN)) {
                return;
            }
            (ports[quietest].chosen, ports[loudest].chosen) = (false, true);
        }
    }

    /// The loudest of those who speak in this frame.
    fn follow(&mut self, speaker: Option<u16>) {
        if speaker.is_none() {
            return;
        }
        if speaker == self.active {
            (self.next, self.next_samples) = (None, 0);
            return;
        }
        if speaker != self.next {
            (self.next, self.next_samples) = (speaker, 0);
        }
        self.next_samples = self.next_samples.saturating_add(self.frame_samples);
        if self.next_samples >= self.active_samples {
            (self.active, self.next, self.next_samples) = (speaker, None, 0);
        }
    }
}
