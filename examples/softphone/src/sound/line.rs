//! A line's sound between the task that mixes and the task of its call: two rings, and no lock.
//!
//! Both tick every 10 ms, each when its own timer says so, so a ring has a tick or two in it. A task that is late
//! makes up for it at once, and what piled up meanwhile is played. What has been there all the time for a second is
//! dropped, the oldest first: it would be delay for the rest of the call.

use host_std::device::AudioIo;
use rtrb::{Consumer, Producer, RingBuffer};

/// Ticks of 10 ms that a ring holds.
const ROOM_TICKS: usize = 50;
/// So many may be left after each reading for a second.
const LEFT_TICKS: usize = 1;
/// Readings of a second.
const SECOND: u32 = 100;

/// The call's end of a line: to the call it is a sound card.
pub(crate) struct LineEnd {
    rate_hz: u32,
    said: Half,
    heard: Producer<i16>,
}

/// The desk's end of it.
pub(crate) struct DeskEnd {
    heard: Half,
    said: Producer<i16>,
}

/// What is read, and kept short.
struct Half {
    ring: Consumer<i16>,
    tick: usize,
    /// The least that was left after a reading of this second, and how many there were.
    least: usize,
    readings: u32,
}

/// Both ends of a new line, at this rate.
pub(crate) fn line(rate_hz: u32) -> (LineEnd, DeskEnd) {
    let tick = rate_hz as usize / 100;
    let half = || {
        let (fill, ring) = RingBuffer::new(tick * ROOM_TICKS);
        (fill, Half { ring, tick, least: usize::MAX, readings: 0 })
    };
    let ((say, said), (hear, heard)) = (half(), half());
    (LineEnd { rate_hz, said, heard: hear }, DeskEnd { heard, said: say })
}

impl Half {
    /// Fills `pcm` as far as there is something; how far.
    fn read(&mut self, pcm: &mut [i16]) -> usize {
        let count = pcm.len().min(self.ring.slots());
        if let Ok(chunk) = self.ring.read_chunk(count) {
            let (first, second) = chunk.as_slices();
            pcm[..first.len()].copy_from_slice(first);
            pcm[first.len()..count].copy_from_slice(second);
            chunk.commit_all();
        }
        pcm[count..].fill(0);
        self.least = self.least.min(self.ring.slots());
        self.readings += 1;
        if self.readings == SECOND {
            self.skip(self.least.saturating_sub(self.tick * LEFT_TICKS));
            (self.least, self.readings) = (usize::MAX, 0);
        }
        count
    }

    fn skip(&mut self, count: usize) {
        if let Ok(chunk) = self.ring.read_chunk(count) {
            chunk.commit_all();
        }
    }
}

/// How much was taken.
fn write(ring: &mut Producer<i16>, pcm: &[i16]) -> usize {
    let count = pcm.len().min(ring.slots());
    match ring.write_chunk_uninit(count) {
        Ok(chunk) => chunk.fill_from_iter(pcm[..count].iter().copied()),
        Err(_) => 0,
    }
}

impl DeskEnd {
    /// A tick of what the other side says; silence where there is none yet.
    pub(super) fn hear(&mut self, pcm: &mut [i16]) {
        self.heard.read(pcm);
    }

    /// A tick of what it is to hear.
    pub(super) fn say(&mut self, pcm: &[i16]) {
        write(&mut self.said, pcm);
    }

    /// Whether the call is gone.
    pub(super) fn is_over(&self) -> bool {
        self.heard.ring.is_abandoned()
    }
}

impl AudioIo for LineEnd {
    fn sample_rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn read(&mut self, pcm: &mut [i16]) -> usize {
        self.said.read(pcm)
    }

    fn write(&mut self, pcm: &[i16]) -> usize {
        write(&mut self.heard, pcm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_goes_both_ways() {
        let (mut call, mut desk) = line(16_000);
        let mut pcm = [9; 160];
        assert_eq!(call.write(&[5; 160]), 160);
        desk.hear(&mut pcm);
        assert_eq!(pcm, [5; 160]);
        desk.hear(&mut pcm);
        assert_eq!(pcm, [0; 160], "silence where nothing is");
        desk.say(&[7; 160]);
        assert_eq!((call.read(&mut pcm), pcm), (160, [7; 160]));
        drop(call);
        assert!(desk.is_over());
    }

    #[test]
    fn what_piles_up_once_is_played_and_what_stays_is_dropped_the_oldest_first() {
        let (mut call, mut desk) = line(8_000);
        let mut pcm = [0; 80];
        for tick in 0..10 {
            call.write(&[tick; 80]);
        }
        // The desk was late.
        for tick in 0..10 {
            desk.hear(&mut pcm);
            assert_eq!(pcm, [tick; 80]);
        }
        // Ten ticks are too much from now on, and are noticed when a whole second has gone by.
        for tick in 0..10 {
            call.write(&[tick; 80]);
        }
        for tick in 10..200 {
            call.write(&[tick; 80]);
            desk.hear(&mut pcm);
        }
        call.write(&[200; 80]);
        desk.hear(&mut pcm);
        assert_eq!(pcm, [199; 80]);
    }
}
