//! Packetizer: it bridges the audio tick, such as the 10 ms of a device, and the packet length.
//!
//! Samples go in at any length and come out in frames of one packet. It adds no delay beyond the length of a packet.

use core::fmt;

use crate::slices::move_within;
use crate::storage::Storage;

/// More samples were given than there is room for. None was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Overflow {
    /// Number of samples that there was room for.
    pub room: usize,
    /// Number of samples that were given.
    pub got: usize,
}

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} samples given, room for {}: take the finished packets first", self.got, self.room)
    }
}

impl core::error::Error for Overflow {}

/// Collects interleaved samples into frames; the length of `S` bounds what it holds: one packet and one tick.
pub(super) struct Packetizer<S> {
    samples: S,
    len: usize,
    frame: usize,
}

impl<S: Storage<i16>> Packetizer<S> {
    /// Frames of `frame` samples, all channels together, of which one fits at least.
    #[inline(always)]
    pub(super) const fn new(frame: usize, samples: S) -> Self {
        Self { samples, len: 0, frame }
    }

    /// Samples that it has room for.
    pub(super) fn room(&self) -> usize {
        self.samples.as_ref().len()
    }

    /// Goes on with frames of another length; what waits stays. Whether they fit; if not, nothing has changed.
    pub(super) fn set_frame(&mut self, frame: usize) -> bool {
        let fits = (1..=self.room()).contains(&frame);
        if fits {
            self.frame = frame;
        }
        fits
    }

    /// Goes on in other memory; what waits moves along. Gives back the memory that is no longer used: `samples` itself as
    /// an error, if it has less room than is taken.
    pub(super) fn set_room(&mut self, mut samples: S) -> Result<S, S> {
        let waits = self.samples.as_ref().get(..self.len).unwrap_or_default();
        if samples.as_ref().len() < self.frame.max(self.len) {
            return Err(samples);
        }
        samples.as_mut().iter_mut().zip(waits).for_each(|(to, from)| *to = *from);
        Ok(core::mem::replace(&mut self.samples, samples))
    }

    /// Samples that wait for their frame to be full.
    pub(super) fn pending(&self) -> usize {
        self.len
    }

    /// Takes in samples.
    pub(super) fn push(&mut self, samples: &[i16]) -> Result<(), Overflow> {
        let free = self.samples.as_mut().get_mut(self.len..).unwrap_or_default();
        let room = free.len();
        let place = free.get_mut(..samples.len()).ok_or(Overflow { room, got: samples.len() })?;
        place.copy_from_slice(samples);
        self.len += samples.len();
        Ok(())
    }

    /// The frame at the front, once it is full.
    pub(super) fn front(&self) -> Option<&[i16]> {
        if self.len >= self.frame { self.samples.as_ref().get(..self.frame) } else { None }
    }

    /// Removes the frame at the front.
    pub(super) fn pop(&mut self) {
        let taken = self.frame.min(self.len);
        if taken < self.len {
            move_within(self.samples.as_mut(), taken, self.len - taken, 0);
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
            let mut packetizer = Packetizer::new(160, [0; 400]);
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
        let mut packetizer = Packetizer::new(80, [0; 100]);
        packetizer.push(&[1; 90]).unwrap();
        assert_eq!(packetizer.push(&[2; 11]), Err(Overflow { room: 10, got: 11 }));
        assert_eq!(packetizer.pending(), 90);
    }

    #[test]
    fn memory_is_changed_with_what_waits() {
        let mut packetizer = Packetizer::new(80, [0; 100].to_vec());
        packetizer.push(&[1; 90]).unwrap();
        assert_eq!(packetizer.set_room([0; 89].to_vec()), Err([0; 89].to_vec()));
        assert_eq!(packetizer.set_room([0; 300].to_vec()).map(|before| before.len()), Ok(100));
        packetizer.push(&[2; 200]).unwrap();
        assert_eq!(packetizer.front(), Some(&[1; 80][..]));
        assert!(!packetizer.set_frame(301) && packetizer.pending() == 290);
        assert!(packetizer.set_frame(240) && packetizer.pending() == 290);
        assert_eq!(packetizer.front().map(<[i16]>::len), Some(240));
        assert_eq!((packetizer.clear(), packetizer.pending()), (290, 0));
    }
}
