//! Packetizer: it bridges the audio tick, such as the 10 ms of a device, and the packet length.
//!
//! Samples go in at any length and come out in frames of one packet. It adds no delay beyond the length of a packet.

use core::fmt;

use crate::codec::{EncodeError, Encoder};
use crate::slices::{move_within, part, part_mut};
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
    /// How much of the frame at the front is encoded. Its octets lie where its samples were, two in each.
    ahead: Ahead,
}

impl<S: Storage<i16>> Packetizer<S> {
    /// Frames of `frame` samples, all channels together, of which one fits at least.
    #[inline(always)]
    pub(super) const fn new(frame: usize, samples: S) -> Self {
        Self { samples, len: 0, frame, ahead: Ahead::NOTHING }
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

    /// Length of the frame at the front: what is encoded of it was for one frame.
    fn front_len(&self) -> usize {
        self.frame.max(self.ahead.samples())
    }

    /// The frame at the front, once it is full, and how much of it is encoded.
    #[inline]
    pub(super) fn front(&self) -> Option<(&[i16], Ahead)> {
        let frame = self.front_len();
        if self.len >= frame { self.samples.as_ref().get(..frame).map(|frame| (frame, self.ahead)) } else { None }
    }

    /// Encodes what waits of a frame that isn't full, as far as `encoder` can divide it.
    pub(super) fn encode_ahead(&mut self, encoder: &mut dyn Encoder) {
        let Some(divisor) = encoder.divisor() else { return };
        let divisor = divisor.get();
        // Longer frames than a packet may have are none.
        if self.len >= self.front_len().min(MOST) || divisor > PIECE {
            return;
        }
        let mut octets = [0; 2 * PIECE];
        loop {
            let (samples, before) = (self.ahead.samples(), usize::from(self.ahead.octets));
            let piece = (self.len - samples).min(PIECE) / divisor * divisor;
            let pcm = part(self.samples.as_ref(), samples, piece);
            if piece == 0 {
                return;
            }
            // Two octets a sample have their place.
            let Ok(len) = encoder.encode(pcm, part_mut(&mut octets, 0, 2 * piece)) else { return };
            for (at, &octet) in (before..).zip(octets.iter().take(len)) {
                if let Some(word) = self.samples.as_mut().get_mut(at / 2) {
                    let [low, high] = word.to_le_bytes();
                    *word = i16::from_le_bytes(if at % 2 == 0 { [octet, high] } else { [low, octet] });
                }
            }
            let (samples, octets) = ((samples + piece) as u16, (before + len) as u16);
            self.ahead = Ahead { samples, octets, finish: Some(Ahead::finish) };
        }
    }

    /// Removes the frame at the front.
    pub(super) fn pop(&mut self) {
        let taken = self.front_len().min(self.len);
        self.ahead = Ahead::NOTHING;
        if taken < self.len {
            move_within(self.samples.as_mut(), taken, self.len - taken, 0);
        }
        self.len -= taken;
    }

    /// Drops what waits and returns how many samples that was.
    pub(super) fn clear(&mut self) -> usize {
        self.ahead = Ahead::NOTHING;
        core::mem::take(&mut self.len)
    }
}

/// Samples of the longest frame that is encoded ahead: more than 120 ms of any codec.
const MOST: usize = 32_767;
/// Samples that are encoded at a time, ahead.
const PIECE: usize = 160;

/// Encodes the rest of a frame.
type Finish = fn(Ahead, &mut dyn Encoder, &[i16], &mut [u8]) -> Result<usize, EncodeError>;

/// What is encoded of the beginning of a frame.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    samples: u16,
    octets: u16,
    /// How the rest is encoded, where a beginning is: a program that encodes nothing ahead has no code for it.
    finish: Option<Finish>,
}

impl Ahead {
    const NOTHING: Self = Self { samples: 0, octets: 0, finish: None };

    /// Samples of the frame that are encoded.
    pub(super) fn samples(self) -> usize {
        self.samples.into()
    }

    /// Encodes a frame whose beginning this is.
    pub(super) fn encode(
        self,
        encoder: &mut dyn Encoder,
        frame: &[i16],
        payload: &mut [u8],
    ) -> Result<usize, EncodeError> {
        match self.finish {
            None => encoder.encode(frame, payload),
            Some(finish) => finish(self, encoder, frame, payload),
        }
    }

    /// Writes the octets of the beginning, and encodes the rest behind them.
    fn finish(self, encoder: &mut dyn Encoder, frame: &[i16], payload: &mut [u8]) -> Result<usize, EncodeError> {
        let (octets, got) = (usize::from(self.octets), payload.len());
        let too_small = |need| EncodeError::OutputTooSmall { need, got };
        let (begin, rest) = payload.split_at_mut_checked(octets).ok_or(too_small(octets))?;
        begin.iter_mut().zip(frame.iter().flat_map(|word| word.to_le_bytes())).for_each(|(to, octet)| *to = octet);
        match frame.get(self.samples()..).unwrap_or_default() {
            [] => Ok(octets),
            left => match encoder.encode(left, rest) {
                Ok(len) => Ok(octets + len),
                Err(EncodeError::OutputTooSmall { need, .. }) => Err(too_small(octets + need)),
                Err(error) => Err(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::g711::Pcmu;
    use crate::codec::g722::{G722Encoder, Mode};
    use std::vec::Vec;

    #[test]
    fn any_tick_gives_the_same_frames() {
        for tick in [1, 80, 100, 160, 240] {
            let mut packetizer = Packetizer::new(160, [0; 400]);
            let mut frames = Vec::new();
            for chunk in (0..1_600).map(|n| n as i16).collect::<Vec<_>>().chunks(tick) {
                packetizer.push(chunk).unwrap();
                while let Some((frame, _)) = packetizer.front() {
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
        assert_eq!(packetizer.front().map(|(frame, _)| frame), Some(&[1; 80][..]));
        assert!(!packetizer.set_frame(301) && packetizer.pending() == 290);
        assert!(packetizer.set_frame(240) && packetizer.pending() == 290);
        assert_eq!(packetizer.front().map(|(frame, _)| frame.len()), Some(240));
        assert_eq!((packetizer.clear(), packetizer.pending()), (290, 0));
    }

    #[test]
    fn what_is_encoded_ahead_is_the_same_payload() {
        let sound: Vec<i16> = (0..6_400i32).map(|n| ((n * n) % 9_001 - 4_500) as i16).collect();
        let mut whole = G722Encoder::new(Mode::Kbps64);
        let mut wanted = [[0; 160]; 20];
        for (frame, payload) in sound.chunks(320).zip(&mut wanted) {
            assert_eq!(whole.encode(frame, payload), Ok(160));
        }
        for tick in [1, 33, 80, 160, 250, 320] {
            let (mut packetizer, mut encoder) = (Packetizer::new(320, [0; 640]), G722Encoder::new(Mode::Kbps64));
            let (mut payloads, mut most) = (Vec::new(), 0);
            for samples in sound.chunks(tick) {
                packetizer.push(samples).unwrap();
                while let Some((frame, ahead)) = packetizer.front() {
                    let mut payload = [0; 160];
                    let short = ahead.encode(&mut encoder.clone(), frame, &mut payload[..159]);
                    assert_eq!(short, Err(EncodeError::OutputTooSmall { need: 160, got: 159 }));
                    most = most.max(ahead.samples());
                    assert_eq!(ahead.encode(&mut encoder, frame, &mut payload), Ok(160));
                    payloads.push(payload);
                    packetizer.pop();
                }
                packetizer.encode_ahead(&mut encoder);
            }
            assert!(payloads == wanted, "ticks of {tick}");
            assert_eq!(most > 0, tick < 320);
        }
    }

    #[test]
    fn what_was_encoded_ahead_stays_one_frame_and_may_be_dropped() {
        let (mut packetizer, mut encoder) = (Packetizer::new(320, [0; 640]), G722Encoder::new(Mode::Kbps64));
        packetizer.push(&[1_000; 240]).unwrap();
        packetizer.encode_ahead(&mut encoder);
        assert!(packetizer.set_frame(160));
        let front = packetizer.front().map(|(frame, ahead)| (frame.len(), ahead.samples()));
        assert_eq!(front, Some((240, 240)), "a longer one, once");
        packetizer.pop();
        packetizer.push(&[7; 170]).unwrap();
        assert_eq!(packetizer.front().map(|(frame, ahead)| (frame.len(), ahead.samples())), Some((160, 0)));
        packetizer.pop();
        packetizer.encode_ahead(&mut encoder);
        assert_eq!(packetizer.clear(), 10);
        packetizer.push(&[7; 160]).unwrap();
        assert_eq!(packetizer.front().map(|(frame, ahead)| (frame[0], ahead.samples())), Some((7, 0)));
        // An encoder whose frames can't be divided is left alone.
        packetizer.push(&[7; 10]).unwrap();
        packetizer.pop();
        packetizer.encode_ahead(&mut Pcmu);
        assert_eq!((packetizer.ahead.samples(), packetizer.pending()), (0, 10));
    }
}
