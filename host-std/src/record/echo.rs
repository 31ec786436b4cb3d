//! The amount of a user's own voice that comes back from the other side: the quantity that echo control is meant to reduce,
//! measured where the user hears it.
//!
//! Use it to judge a canceller in whole calls where both sides' sound is known, as in simulations. Only while the other side's
//! user is silent does a user hear nothing but the own voice, so the power of those moments is compared with that of the voice as
//! spoken. It includes the network, both codecs and the concealment of lost packets: it measures the sound that is heard, not the
//! work of a canceller.
//!
//! ```
//! use host_std::record::echo::OwnVoice;
//!
//! // A second of speech of which a tenth comes back after 200 ms, while the other side says nothing.
//! let said: Vec<i16> = (0..8_000).map(|n| if n % 20 < 10 { 4_000 } else { -4_000 }).collect();
//! let mut heard = vec![0; 1_600];
//! heard.extend(said.iter().map(|sample| sample / 10));
//! heard.truncate(8_000);
//! let voice = OwnVoice {
//!     said: &said,
//!     other: &[0; 8_000],
//!     heard: &heard,
//!     sample_rate_hz: 8_000,
//!     channels: 1,
//!     from_other_ms: 100.0,
//!     round_trip_ms: 200.0,
//! };
//! assert!(voice.comes_back_db().is_some_and(|level| (level + 20.0).abs() < 0.5));
//! ```

/// Length of a frame in ms.
const FRAME_MS: usize = 10;
/// A user is silent below this power, -60 dBov.
const SILENT: f64 = 1e-6;
/// The time for which a user's last word still sounds in a room, in ms.
const FADING_MS: f64 = 300.0;
/// The fewest frames of the user's own voice that give a measure: 0.2 s.
const LEAST_FRAMES: usize = 20;

/// The sound that one side of a call said and heard, and that the other side said: interleaved, and all from the same moment on.
#[derive(Clone, Copy, Debug)]
pub struct OwnVoice<'a> {
    /// The voice of this side's user.
    pub said: &'a [i16],
    /// The voice of the other side's user.
    pub other: &'a [i16],
    /// The sound that this side heard.
    pub heard: &'a [i16],
    /// The rate of all three, in Hz.
    pub sample_rate_hz: u32,
    /// The channels of all three.
    pub channels: u8,
    /// The delay from the other side's mouth to this side's ear, in ms.
    pub from_other_ms: f64,
    /// The delay from this side's mouth through the other side's room back to this side's ear, in ms.
    pub round_trip_ms: f64,
}

impl OwnVoice<'_> {
    /// Returns the level of the voice that comes back, relative to that of the voice as spoken, in dB; -127 if nothing comes
    /// back. `None` if this side's user never speaks alone for 0.2 s altogether.
    pub fn comes_back_db(&self) -> Option<f64> {
        let powers = |pcm: &[i16]| -> Vec<f64> {
            let frame = self.sample_rate_hz as usize * FRAME_MS / 1_000 * usize::from(self.channels);
            let power = |frame: &[i16]| frame.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>();
            pcm.chunks_exact(frame.max(1)).map(|pcm| power(pcm) / pcm.len() as f64 / 32_768f64.powi(2)).collect()
        };
        let (said, other, heard) = (powers(self.said), powers(self.other), powers(self.heard));
        let frames = |ms: f64| (ms / FRAME_MS as f64).round().max(0.0) as usize;
        let (way, fading) = (frames(self.from_other_ms), frames(FADING_MS));
        let (mut out, mut back, mut count) = (0.0, 0.0, 0);
        for (at, heard) in heard.iter().enumerate().skip(frames(self.round_trip_ms)) {
            // The echo that is heard now was said `way` ago, and for a while before that.
            let (Some(begin), end) = (at.checked_sub(way.saturating_add(fading)), at.saturating_sub(way)) else {
                continue;
            };
            let Some(others) = other.get(begin..=end) else { break };
            let Some(own) = said.get(at - frames(self.round_trip_ms)) else { break };
            if *own >= SILENT && others.iter().all(|power| *power < SILENT) {
                out += own;
                back += heard;
                count += 1;
            }
        }
        (count >= LEAST_FRAMES).then(|| (10.0 * (back / out).log10()).max(-127.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of a voice (1) or silence (0).
    fn speech(seconds: &[u8]) -> Vec<i16> {
        let second = |&loud: &u8| (0..8_000).map(move |n| if n % 8 < 4 { 3_000 } else { -3_000 } * i16::from(loud));
        seconds.iter().flat_map(second).collect()
    }

    #[test]
    fn ones_own_voice_is_measured_where_the_other_is_silent() {
        let (said, other) = (speech(&[1, 0, 1, 1, 0, 0]), speech(&[0, 1, 1, 0, 0, 1]));
        // The other's voice comes after 100 ms, one's own at a tenth after 250 ms.
        let heard: Vec<i16> = (0..said.len())
            .map(|n| n.checked_sub(800).map_or(0, |n| other[n]) + n.checked_sub(2_000).map_or(0, |n| said[n] / 10))
            .collect();
        let own = OwnVoice {
            said: &said,
            other: &other,
            heard: &heard,
            sample_rate_hz: 8_000,
            channels: 1,
            from_other_ms: 100.0,
            round_trip_ms: 250.0,
        };
        let back = own.comes_back_db().unwrap();
        assert!((back + 20.0).abs() < 0.1, "{back}");
        // Nothing comes back.
        let heard = vec![0; heard.len()];
        assert_eq!(OwnVoice { heard: &heard, ..own }.comes_back_db(), Some(-127.0));
        // The other one never is silent, or this one always.
        let always = speech(&[1; 6]);
        assert_eq!(OwnVoice { other: &always, ..own }.comes_back_db(), None);
        assert_eq!(OwnVoice { said: &vec![0; said.len()], ..own }.comes_back_db(), None);
        assert_eq!(OwnVoice { heard: &[], ..own }.comes_back_db(), None);
        assert_eq!(OwnVoice { round_trip_ms: f64::NAN, from_other_ms: f64::INFINITY, ..own }.comes_back_db(), None);
    }
}
