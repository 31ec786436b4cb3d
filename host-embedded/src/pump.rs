//! Frame pump: carries frames from the audio interrupt to a task and back.
//!
//! The DMA runs in a circle over two halves of `FRAME` samples. At each half-transfer and transfer-complete interrupt
//! the firmware calls [`Pump::half_transfer`] with the half of the microphone's buffer that is full and the half of the
//! loudspeaker's that is free; a task reads and writes the same frames over the [`AudioPort`] from [`Pump::port`].
//!
//! Use it wherever an interrupt hands over halves of a DMA buffer. Where a HAL's driver has a ring of its own that a task reads and
//! writes, [`slots::serve`](crate::slots::serve) is that interrupt's part.
//!
//! A pump is `const`-made and is placed in a `static`. Each direction holds at most `DEPTH` frames: a task that is later than
//! that loses frames, which are counted, and does not add delay: both queues restart empty. Delay: one frame of DMA each way, and
//! at most `DEPTH` frames after a task was late. Cost: a copy of a frame each way in the interrupt and in the task. Interrupts
//! are off only while indices and counters change, for a time that does not depend on a frame's length: the side that copies has
//! claimed the frame before, and no other side touches it meanwhile. Nothing in it can panic. Memory: `4 * FRAME * DEPTH` bytes,
//! and some 80 for the rest.
//!
//! Limits: one interrupt on one side, one task on the other. A second one that comes in between loses its frame, which is counted.
//!
//! ```
//! use host_embedded::pump::Pump;
//!
//! // 10 ms at 8 kHz, up to three frames each way.
//! static PUMP: Pump<80, 3> = Pump::new();
//!
//! // In the interrupt handler: the halves that the DMA has just left.
//! let (captured, mut playback) = ([0; 80], [0; 80]);
//! PUMP.half_transfer(&captured, &mut playback);
//! assert_eq!(PUMP.counters().captured, 1);
//! ```

use core::cell::Cell;
use core::future::poll_fn;
use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use core::task::Poll;

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::waitqueue::AtomicWaker;

use crate::port::{AudioPort, Overrun, PortDelay, Underrun};

/// The counters of a pump, in frames. All wrap around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PumpCounters {
    /// Filled by the microphone.
    pub captured: u32,
    /// The captured frames that were lost before a task read them.
    pub overruns: u32,
    /// Handed to the loudspeaker.
    pub played: u32,
    /// Silent frames for want of others, since the first was played.
    pub underruns: u32,
}

impl PumpCounters {
    const ZERO: Self = Self { captured: 0, overruns: 0, played: 0, underruns: 0 };
}

/// Frames on their way between the interrupt and a task.
///
/// A task that is too slow loses frames and is informed of their number. The frame that it reads next is new:
///
/// ```
/// use embassy_futures::block_on;
/// use host_embedded::port::{AudioPort, Overrun};
/// use host_embedded::pump::Pump;
///
/// let pump = Pump::<80, 3>::new();
/// let mut port = pump.port();
/// for n in 0..5 {
///     pump.half_transfer(&[n; 80], &mut [0; 80]); // nobody reads
/// }
/// let mut pcm = [0; 80];
/// let Err(Overrun { frames }) = block_on(port.read(&mut pcm)) else { panic!("frames were lost") };
/// assert_eq!(frames, pump.counters().overruns);
/// pump.half_transfer(&[9; 80], &mut [0; 80]);
/// while block_on(port.read(&mut pcm)).is_ok() && pcm != [9; 80] {}
/// assert_eq!(pcm, [9; 80]);
/// ```
pub struct Pump<const FRAME: usize, const DEPTH: usize> {
    slots: [Slot<FRAME>; DEPTH],
    state: Mutex<CriticalSectionRawMutex, Cell<State>>,
    /// The task that waits for a frame of the microphone, and the one that waits for room for a frame of the loudspeaker.
    captured: AtomicWaker,
    room: AtomicWaker,
}

/// Room for a frame each way, two samples a word: the microphone's is in the first half. The words are atomics, because both
/// sides access them without a lock; the [`Ring`] ensures that only one side does at a time. The critical sections in which a
/// frame is claimed and released order the accesses.
struct Slot<const FRAME: usize> {
    words: [AtomicU32; FRAME],
    /// The last sample of each, where a frame has an odd number of them.
    odd: [AtomicU16; 2],
}

impl<const FRAME: usize> Slot<FRAME> {
    const fn new() -> Self {
        Self { words: [const { AtomicU32::new(0) }; FRAME], odd: [const { AtomicU16::new(0) }; 2] }
    }

    fn microphone(&self) -> Place<'_> {
        Place { words: &self.words, odd: &self.odd[0] }
    }

    fn loudspeaker(&self) -> Place<'_> {
        Place { words: self.words.split_at(FRAME / 2).1, odd: &self.odd[1] }
    }
}

/// The place of a frame in a ring.
struct Place<'a> {
    words: &'a [AtomicU32],
    odd: &'a AtomicU16,
}

impl Place<'_> {
    fn store(&self, frame: &[i16]) {
        let (pairs, rest) = frame.as_chunks();
        for (word, [even, odd]) in self.words.iter().zip(pairs) {
            word.store(u32::from(*even as u16) | u32::from(*odd as u16) << 16, Ordering::Relaxed);
        }
        if let [last] = rest {
            self.odd.store(*last as u16, Ordering::Relaxed);
        }
    }

    fn load(&self, frame: &mut [i16]) {
        let (pairs, rest) = frame.as_chunks_mut();
        for (word, [even, odd]) in self.words.iter().zip(pairs) {
            let two = word.load(Ordering::Relaxed);
            (*even, *odd) = (two as i16, (two >> 16) as i16);
        }
        if let [last] = rest {
            *last = self.odd.load(Ordering::Relaxed) as i16;
        }
    }
}

/// The waiting frames of one direction: those from `first` on, in a ring. The frame before them may be being read, and the one
/// after them may be being written.
#[derive(Clone, Copy)]
struct Ring {
    first: usize,
    waiting: usize,
    reading: bool,
    writing: bool,
}

impl Ring {
    const EMPTY: Self = Self { first: 0, waiting: 0, reading: false, writing: false };

    /// Returns the index of the frame that is `behind` places after the first, of `depth`.
    const fn at(&self, behind: usize, depth: usize) -> usize {
        let at = self.first + behind;
        if at < depth { at } else { at - depth }
    }

    /// Claims the frame that has waited longest.
    fn begin_read(&mut self) -> Option<usize> {
        if self.reading || self.waiting == 0 {
            return None;
        }
        self.reading = true;
        self.waiting -= 1;
        Some(self.first)
    }

    fn end_read(&mut self, depth: usize) {
        self.first = self.at(1, depth);
        self.reading = false;
    }

    /// Claims a frame that is free.
    fn begin_write(&mut self, depth: usize) -> Option<usize> {
        let used = self.waiting + usize::from(self.reading);
        if self.writing || used >= depth {
            return None;
        }
        self.writing = true;
        Some(self.at(used, depth))
    }

    fn end_write(&mut self) {
        self.writing = false;
        self.waiting += 1;
    }

    /// Drops the waiting frames, called by the side that reads: returns their number. The frame that is being written stays.
    fn skip(&mut self, depth: usize) -> u32 {
        if self.reading {
            return 0;
        }
        self.first = self.at(self.waiting, depth);
        core::mem::take(&mut self.waiting) as u32
    }

    /// Does the same for the side that writes, while it isn't writing. The frame that is being read stays.
    fn clear(&mut self) -> u32 {
        core::mem::take(&mut self.waiting) as u32
    }
}

/// All that is changed with interrupts off.
#[derive(Clone, Copy)]
struct State {
    microphone: Ring,
    loudspeaker: Ring,
    counters: PumpCounters,
}

impl<const FRAME: usize, const DEPTH: usize> Default for Pump<FRAME, DEPTH> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const FRAME: usize, const DEPTH: usize> Pump<FRAME, DEPTH> {
    /// Creates an empty pump.
    pub const fn new() -> Self {
        const { assert!(FRAME > 0 && DEPTH > 0, "a frame has samples, and a queue has room") };
        let state = State { microphone: Ring::EMPTY, loudspeaker: Ring::EMPTY, counters: PumpCounters::ZERO };
        let slots = [const { Slot::new() }; DEPTH];
        Self { slots, state: Mutex::new(Cell::new(state)), captured: AtomicWaker::new(), room: AtomicWaker::new() }
    }

    /// The interrupt's side: takes a full frame of the microphone and fills one for the loudspeaker. It never waits.
    pub fn half_transfer(&self, captured: &[i16; FRAME], playback: &mut [i16; FRAME]) {
        let (free, next) = self.change(Self::begin_half);
        if let Some(free) = free {
            self.copy(free, |slot| slot.microphone().store(captured));
        }
        match next {
            Some(next) => self.copy(next, |slot| slot.loudspeaker().load(playback)),
            None => playback.fill(0),
        }
        self.change(|state| {
            if free.is_some() {
                state.microphone.end_write();
            }
            if next.is_some() {
                state.loudspeaker.end_read(DEPTH);
            }
        });
        self.captured.wake();
        if next.is_some() {
            self.room.wake();
        }
    }

    /// Copies a frame that was claimed, with interrupts on.
    fn copy(&self, claimed: usize, copy: impl FnOnce(&Slot<FRAME>)) {
        if let Some(slot) = self.slots.get(claimed) {
            copy(slot);
        }
    }

    /// Claims a frame to be written and one to be read, for an interrupt, and counts them.
    fn begin_half(State { microphone, loudspeaker, counters }: &mut State) -> (Option<usize>, Option<usize>) {
        counters.captured = counters.captured.wrapping_add(1);
        let mut free = microphone.begin_write(DEPTH);
        if free.is_none() {
            // Old sound is of no use to the one who listens: what waits gives way to the newest.
            let lost = if microphone.writing { 0 } else { microphone.clear() };
            free = microphone.begin_write(DEPTH);
            counters.overruns = counters.overruns.wrapping_add(lost + u32::from(free.is_none()));
        }
        let next = loudspeaker.begin_read();
        if next.is_some() {
            counters.played = counters.played.wrapping_add(1);
        } else {
            counters.underruns = counters.underruns.wrapping_add(u32::from(counters.played > 0));
        }
        (free, next)
    }

    /// Records that the peripheral stood still for this many frames: its DMA was overrun, and both directions restart. The frames
    /// are counted as lost and as silent, so that the task's time keeps up with the clock; otherwise a call would stay late by
    /// that time.
    pub fn lose(&self, frames: u32) {
        self.change(|State { counters, .. }| {
            counters.captured = counters.captured.wrapping_add(frames);
            counters.overruns = counters.overruns.wrapping_add(frames);
            if counters.played > 0 {
                counters.underruns = counters.underruns.wrapping_add(frames);
            }
        });
    }

    /// Returns the task's side. One task may use it: two would each get some of the frames.
    pub fn port(&self) -> PumpPort<'_, FRAME, DEPTH> {
        PumpPort { pump: self, seen: self.counters() }
    }

    /// Returns the counters so far.
    pub fn counters(&self) -> PumpCounters {
        self.change(|state| state.counters)
    }

    /// Changes indices and counters in one critical section, whose length is the same for all frames.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.state.lock(|cell| {
            let mut state = cell.get();
            let result = change(&mut state);
            cell.set(state);
            result
        })
    }
}

/// A pump's side for the task.
pub struct PumpPort<'a, const FRAME: usize, const DEPTH: usize> {
    pump: &'a Pump<FRAME, DEPTH>,
    /// The counters, as far as they were reported.
    seen: PumpCounters,
}

impl<const FRAME: usize, const DEPTH: usize> PumpPort<'_, FRAME, DEPTH> {
    /// The frames that were lost since the last call.
    fn overrun(&mut self) -> u32 {
        let seen = self.seen.overruns;
        let overruns = self.pump.change(|State { microphone, counters, .. }| {
            if counters.overruns != seen {
                // Frames that waited since would stay in the queue for good: a frame read is a frame written.
                counters.overruns = counters.overruns.wrapping_add(microphone.skip(DEPTH));
            }
            counters.overruns
        });
        self.seen.overruns = overruns;
        overruns.wrapping_sub(seen)
    }

    /// Returns the number of frames for which the loudspeaker was silent since the last call.
    fn underrun(&mut self, underruns: u32) -> u32 {
        underruns.wrapping_sub(core::mem::replace(&mut self.seen.underruns, underruns))
    }
}

/// The futures are functions that are polled, and no `async` blocks: one of those panics if it is polled once too often, and a
/// program in which nothing may panic has no place for that.
impl<const FRAME: usize, const DEPTH: usize> AudioPort<FRAME> for PumpPort<'_, FRAME, DEPTH> {
    fn read(&mut self, pcm: &mut [i16; FRAME]) -> impl Future<Output = Result<(), Overrun>> {
        let mut began = false;
        poll_fn(move |context| {
            if !core::mem::replace(&mut began, true) {
                match self.overrun() {
                    0 => {}
                    frames => return Poll::Ready(Err(Overrun { frames })),
                }
            }
            let pump = self.pump;
            // The waker is registered before the check, so that a frame that comes in between wakes the task.
            pump.captured.register(context.waker());
            let Some(next) = pump.change(|state| state.microphone.begin_read()) else { return Poll::Pending };
            pump.copy(next, |slot| slot.microphone().load(pcm));
            pump.change(|state| state.microphone.end_read(DEPTH));
            Poll::Ready(Ok(()))
        })
    }

    fn write(&mut self, pcm: &[i16; FRAME]) -> impl Future<Output = Result<(), Underrun>> {
        poll_fn(move |context| {
            let pump = self.pump;
            pump.room.register(context.waker());
            let Some(free) = pump.change(|state| state.loudspeaker.begin_write(DEPTH)) else { return Poll::Pending };
            pump.copy(free, |slot| slot.loudspeaker().store(pcm));
            let underruns = pump.change(|state| {
                state.loudspeaker.end_write();
                state.counters.underruns
            });
            Poll::Ready(match self.underrun(underruns) {
                0 => Ok(()),
                frames => Err(Underrun { frames }),
            })
        })
    }

    /// Computes the delay from the newest interrupt: frames that wait after the one that was read came later; a frame that is
    /// written now is taken by the interrupt after those for which frames wait, and is heard one frame after that, when the DMA
    /// has come round to it.
    fn delay(&self) -> PortDelay {
        let State { microphone, loudspeaker, .. } = self.pump.change(|state| *state);
        PortDelay { capture: microphone.waiting * FRAME, playback: (loudspeaker.waiting + 2) * FRAME }
    }
}

#[cfg(test)]
mod tests;
