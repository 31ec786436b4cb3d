//! Packetizer: bridges the audio tick (10 ms of a device, say) and the packet length (20 ms), on the sender's side.
//!
//! Samples go in at any length and come out in frames of one packet. It adds no delay beyond the packet's own length.

use core::fmt;

/// More samples were given than there is room for; none was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Overflow {
    /// Samples that could have been taken.
    pub room: usize,
    /// Samples given.
    pub got: usize,
}

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} samples given, room for {}: take the finished packets first", self.got, self.room)
    }
}

impl core::error::Error for Overflow {}

/// Collects interleaved samples into frames; `SAMPLES` bounds what it holds: one packet and one tick.
pub(super) struct Packetizer<const SAMPLES: usize> {
    samples: [i16; SAMPLES],
    len: usize,
    frame: usize,
}

impl<const SAMPLES: usize> Packetizer<SAMPLES> {
    /// Frames of `frame` samples, all channels together. `None` if they are empty or don't fit.
    pub(super) fn new(frame: usize) -> Option<Self> {
        (1..=SAMPLES).contains(&frame).then_some(Self { samples: [0; SAMPLES], len: 0, frame })
    }

    /// Samples that wait for their frame to be full.
    pub(super) fn pending(&self) -> usize {
        self.len
    }

    /// Takes in samples.
    pub(super) fn push(&mut self, samples: &[i16]) -> Result<(), Overflow> {
        let room = SAMPLES - self.len;
        if samples.len() > room {
            return Err(Overflow { room, got: samples.len() });
        }
        self.samples[self.len..][..samples.len()].copy_from_slice(samples);
        self.len += samples.len();
        Ok(())
    }

    /// The frame at the front, once it is full.
    pub(super) fn front(&self) -> Option<&[i16]> {
        (self.len >= self.frame).then(|| &self.samples[..self.frame])
    }

    /// Removes the frame at the front.
    pub(super) fn pop(&mut self) {
        let taken = self.frame.min(self.len);
        if taken < self.len {
            self.samples.copy_within(taken..self.len, 0);
        }
        self.len -= taken;
    }

    /// Drops what waits and returns how many samples that was.
    pub(super) fn clear(&mut self) -> usize {
        core::mem::take(&mut self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn any_tick_gives_the_same_frames() {
        for tick in [1, 80, 100, 160, 240] {
            let mut packetizer = Packetizer::<400>::new(160).unwrap();
            let mut frames = Vec::new();
            for chunk in (0..1_600).map(|n| n as i16).collect::<Vec<_>>().chunks(tick) {
                packetizer.push(chunk).unwrap();
                while let Some(frame) = packetizer.front() {
                    frames.extend_from_slice(frame);
                    packetizer.pop();
                }
            }
            assert_eq!(frames, (0..1_600).map(|n| n as i16).collect::<Vec<_>>());
        }
    }

    #[test]
    fn overflow_takes_nothing() {
        let mut packetizer = Packetizer::<100>::new(80).unwrap();
        packetizer.push(&[1; 90]).unwrap();
        assert_eq!(packetizer.push(&[2; 11]), Err(Overflow { room: 10, got: 11 }));
        assert_eq!(packetizer.pending(), 90);
        assert!(Packetizer::<100>::new(101).is_none());
    }
}
