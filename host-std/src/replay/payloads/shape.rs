//! The appearance of the packets of one payload type: their lengths, steps and bytes, counted in one pass.

use dsp_core::codec::g711::{alaw_to_linear, ulaw_to_linear};

use super::FITTING;
use super::looks::{LEAST_RANDOM, Likeness, Randomness, TelephoneEventEvidence};
use crate::opus::OpusPacket;

/// Packets whose samples are looked at.
const SAMPLED_PACKETS: u32 = 250;
/// Pairs of packets that a guess needs.
const LEAST_PAIRS: u32 = 4;

/// The appearance of the packets of one payload type.
#[derive(Clone, Debug, Default)]
pub(in crate::replay) struct Shape {
    pub(in crate::replay) packets: u32,
    pairs: u32,
    pub(super) opus: u32,
    /// Packets that are stereo if they are Opus.
    pub(super) stereo: u32,
    pub(super) octets: [u32; OCTETS.len()],
    pub(super) ilbc: [u32; 2],
    pub(super) event: TelephoneEventEvidence,
    last: Option<(u16, u32, usize, u32)>,
    steps: Vec<(u32, u32)>,
    pub(super) bytes: u64,
    pub(super) readings: [Likeness; READINGS.len()],
    randomness: Randomness,
}

/// Bytes per tick of the timestamp: 1 for G.711 and G.722, 2 and 4 for L16 or for G.711 in stereo; and the same followed by the
/// tags of SRTP, of 10, 4 and 16 bytes.
pub(super) const OCTETS: [(u32, u32); 8] = [(1, 0), (2, 0), (4, 0), (1, 10), (1, 4), (1, 16), (2, 10), (2, 16)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Law {
    Mu,
    A,
    Linear,
}

/// Readings of a payload: coding, channels.
pub(super) const READINGS: [(Law, usize); 6] =
    [(Law::Mu, 1), (Law::A, 1), (Law::Mu, 2), (Law::A, 2), (Law::Linear, 1), (Law::Linear, 2)];

impl Shape {
    /// Takes in a packet of this payload type.
    pub(in crate::replay) fn add(&mut self, seq: u16, timestamp: u32, payload: &[u8]) {
        self.packets = self.packets.saturating_add(1);
        self.bytes += payload.len() as u64;
        if let Some((last_seq, last_timestamp, bytes, opus)) = self.last
            && seq == last_seq.wrapping_add(1)
        {
            let step = timestamp.wrapping_sub(last_timestamp);
            // Pauses and restarts don't show a packet's length.
            if step > 0 && step <= 9_600 {
                self.pair(step, bytes as u32, opus);
            }
        }
        self.event.add(timestamp, payload);
        let packet = OpusPacket::parse(payload).ok();
        self.stereo += u32::from(packet.is_some_and(|packet| packet.channels == 2));
        let opus = packet.map_or(0, |packet| packet.ticks());
        self.last = Some((seq, timestamp, payload.len(), opus));
        if self.packets <= SAMPLED_PACKETS {
            self.randomness.add(payload);
            for ((law, channels), likeness) in READINGS.iter().zip(&mut self.readings) {
                match law {
                    Law::Mu => likeness.add(payload.iter().map(|&code| ulaw_to_linear(code)), *channels),
                    Law::A => likeness.add(payload.iter().map(|&code| alaw_to_linear(code)), *channels),
                    Law::Linear => {
                        let words = payload.as_chunks::<2>().0.iter();
                        likeness.add(words.map(|&word| i16::from_be_bytes(word)), *channels);
                    }
                }
            }
        }
    }

    fn pair(&mut self, step: u32, bytes: u32, opus: u32) {
        self.pairs += 1;
        self.opus += u32::from(opus == step);
        for ((a_tick, tag), count) in OCTETS.iter().zip(&mut self.octets) {
            *count += u32::from(bytes == step * a_tick + tag);
        }
        for ((frame, ticks), count) in [(38, 160), (50, 240)].iter().zip(&mut self.ilbc) {
            *count += u32::from(bytes > 0 && bytes.is_multiple_of(*frame) && step == bytes / frame * ticks);
        }
        if let Some((_, count)) = self.steps.iter_mut().find(|(known, _)| *known == step) {
            *count += 1;
        } else if self.steps.len() < 16 {
            self.steps.push((step, 1));
        }
    }

    /// Returns the usual step of the timestamp from packet to packet.
    pub(in crate::replay) fn usual_step(&self) -> Option<u32> {
        self.steps.iter().max_by_key(|(step, count)| (*count, u32::MAX - step)).map(|(step, _)| *step)
    }

    pub(super) fn fits(&self, count: u32) -> bool {
        self.pairs >= LEAST_PAIRS && f64::from(count) >= FITTING * f64::from(self.pairs)
    }

    /// G.711 and G.722 under SRTP: each packet longer than its time by a tag.
    pub(super) fn is_tagged(&self) -> bool {
        self.octets[3..].iter().any(|&count| self.fits(count))
    }

    /// Returns whether the payloads are noise, or longer than their time by a tag of SRTP.
    pub(in crate::replay) fn looks_encrypted(&self) -> bool {
        self.randomness.is_noise() || self.is_tagged()
    }

    /// Returns whether the payloads are certainly not encrypted.
    pub(in crate::replay) fn looks_plain(&self) -> bool {
        !self.looks_encrypted()
            && (self.randomness.packets >= LEAST_RANDOM || self.octets[..3].iter().any(|&count| self.fits(count)))
    }
}
