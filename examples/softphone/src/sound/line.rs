//! A line's sound between the task that mixes and the task of its call: two rings, and no lock.
//!
//! Both tick every 10 ms, each when its own timer says so, so a ring has a tick or two in it. What is too much is dropped, the
//! oldest first: it would be delay for the rest of the call.

use host_std::device::AudioIo;
use rtrb::{Consumer, Producer, RingBuffer};

/// Ticks of 10 ms that a ring holds.
const ROOM_TICKS: usize = 20;
/// More than this is too much, and so much is left.
const MOST_TICKS: usize = 6;
const LEFT_TICKS: usize = 2;

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
}

/// Both ends of a new line, at this rate.
pub(crate) fn line(rate_hz: u32) -> (LineEnd, DeskEnd) {
    let tick = rate_hz as usize / 100;
    let half = || {
        let (fill, ring) = RingBuffer::new(tick * ROOM_TICKS);
        (fill, Half { ring, tick })
    };
    let ((say, said), (hear, heard)) = (half(), half());
    (LineEnd { rate_hz, said, heard: hear }, DeskEnd { heard, said: say })
}

impl Half {
    /// Fills `pcm` as far as there is something; how far.
    fn read(&mut self, pcm: &mut [i16]) -> usize {
        let waiting = self.ring.slots();
        if waiting > self.tick * MOST_TICKS {
            self.skip(waiting - self.tick * LEFT_TICKS);
        }
        let count = pcm.len().min(self.ring.slots());
        if let Ok(chunk) = self.ring.read_chunk(count) {
            let (first, second) = chunk.as_slices();
            pcm[..first.len()].copy_from_slice(first);
            pcm[first.len()..count].copy_from_slice(second);
            chunk.commit_all();
        }
        pcm[count..].fill(0);
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
    fn what_piles_up_is_dropped_the_oldest_first() {
        let (mut call, mut desk) = line(8_000);
        for tick in 0..19 {
            call.write(&[tick; 80]);
        }
        let mut pcm = [0; 80];
        desk.hear(&mut pcm);
        assert_eq!(pcm, [17; 80]);
    }
}
