//! Frame pump: carries frames from the audio interrupt to a task and back.
//!
//! The DMA runs in a circle over two halves of `FRAME` samples. At each half-transfer and transfer-complete interrupt
//! the firmware calls [`Pump::half_transfer`] with the half of the microphone's buffer that is full and the half of the
//! loudspeaker's that is free; a task reads and writes the same frames over the [`AudioPort`] from [`Pump::port`].
//!
//! Use it wherever an interrupt hands over halves of a DMA buffer. Where a HAL's driver has a ring of its own that a task reads and
//! writes, [`slots::serve`](crate::slots::serve) is that interrupt's part.
//!
//! A pump is `const`-made and lies in a `static`. Each direction holds at most `DEPTH` frames: a task that falls behind
//! by more costs frames, which are counted, and not ever more delay: both queues begin anew.
//! Delay: one frame of DMA each way, and at most `DEPTH` frames after a task was late. Cost: a copy of a frame each way in the interrupt
//! and in the task. Interrupts are off only while indices and counters change, for as long whatever a frame's length is: who copies
//! has claimed the frame before, and nobody else touches it meanwhile. Memory: `4 * FRAME * DEPTH` bytes, and 16 more for each frame.
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
use core::task::Poll;

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::mutex::Mutex as Claimed;
use embassy_sync::waitqueue::AtomicWaker;

use crate::port::{AudioPort, Overrun, PortDelay, Underrun};

/// What went through a pump, in frames. All wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PumpCounters {
    /// Filled by the microphone.
    pub captured: u32,
    /// Of those, lost before a task read them.
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
/// A task that falls behind loses frames, and is told how many. What it reads next is new:
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
    microphone: Frames<FRAME, DEPTH>,
    loudspeaker: Frames<FRAME, DEPTH>,
    state: Mutex<CriticalSectionRawMutex, Cell<State>>,
}

/// The frames of one direction. They are locked by whoever has claimed one, so that nobody ever waits.
struct Frames<const FRAME: usize, const DEPTH: usize> {
    frames: [Claimed<CriticalSectionRawMutex, [i16; FRAME]>; DEPTH],
    /// The task's.
    waker: AtomicWaker,
}

impl<const FRAME: usize, const DEPTH: usize> Frames<FRAME, DEPTH> {
    const fn new() -> Self {
        Self { frames: [const { Claimed::new([0; FRAME]) }; DEPTH], waker: AtomicWaker::new() }
    }

    /// Does `copy` with a frame that was claimed; `false` if somebody else has it, which isn't meant to be.
    fn with(&self, claimed: usize, copy: impl FnOnce(&mut [i16; FRAME])) -> bool {
        let frame = self.frames.get(claimed).and_then(|frame| frame.try_lock().ok());
        frame.map(|mut frame| copy(&mut frame)).is_some()
    }
}

/// Which frames of a direction wait: those from `first` on, in a ring. In front of them may be one that is being read, behind them one
/// that is being written.
#[derive(Clone, Copy)]
struct Ring {
    first: usize,
    waiting: usize,
    reading: bool,
    writing: bool,
}

impl Ring {
    const EMPTY: Self = Self { first: 0, waiting: 0, reading: false, writing: false };

    /// The frame that is `behind` the first, of `depth`.
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

    /// Drops what waits, by the side that reads: how many frames that was. What is being written stays where it is.
    fn skip(&mut self, depth: usize) -> u32 {
        if self.reading {
            return 0;
        }
        self.first = self.at(self.waiting, depth);
        core::mem::take(&mut self.waiting) as u32
    }

    /// The same by the side that writes, which isn't writing. What is being read stays where it is.
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
    /// An empty pump.
    pub const fn new() -> Self {
        const { assert!(FRAME > 0 && DEPTH > 0, "a frame has samples, and a queue has room") };
        let state = State { microphone: Ring::EMPTY, loudspeaker: Ring::EMPTY, counters: PumpCounters::ZERO };
        Self { microphone: Frames::new(), loudspeaker: Frames::new(), state: Mutex::new(Cell::new(state)) }
    }

    /// The interrupt's side: takes a full frame of the microphone and fills one for the loudspeaker. It never waits.
    pub fn half_transfer(&self, captured: &[i16; FRAME], playback: &mut [i16; FRAME]) {
        let (free, next) = self.change(Self::begin_half);
        let kept = free.is_some_and(|free| self.microphone.with(free, |frame| *frame = *captured));
        let played = next.is_some_and(|next| self.loudspeaker.with(next, |frame| *playback = *frame));
        if !played {
            playback.fill(0);
        }
        self.change(|state| {
            if free.is_some() {
                state.microphone.end_write();
            }
            if next.is_some() {
                state.loudspeaker.end_read(DEPTH);
            }
        });
        debug_assert!(kept == free.is_some() && played == next.is_some(), "who has claimed a frame has it");
        self.microphone.waker.wake();
        self.loudspeaker.waker.wake();
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

    /// The peripheral stood still for so many frames: its DMA was overrun, and both ways begin anew. They are counted as lost and as
    /// silent, so that the task's time goes on with the clock's; without that a call would be late by them from then on.
    pub fn lose(&self, frames: u32) {
        self.change(|State { counters, .. }| {
            counters.captured = counters.captured.wrapping_add(frames);
            counters.overruns = counters.overruns.wrapping_add(frames);
            if counters.played > 0 {
                counters.underruns = counters.underruns.wrapping_add(frames);
            }
        });
    }

    /// The task's side. One task may use it: two would each get some of the frames.
    pub fn port(&self) -> PumpPort<'_, FRAME, DEPTH> {
        PumpPort { pump: self, seen: self.counters() }
    }

    /// What went through so far.
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

impl<const FRAME: usize, const DEPTH: usize> AudioPort<FRAME> for PumpPort<'_, FRAME, DEPTH> {
    async fn read(&mut self, pcm: &mut [i16; FRAME]) -> Result<(), Overrun> {
        let pump = self.pump;
        let seen = self.seen.overruns;
        let overruns = pump.change(|State { microphone, counters, .. }| {
            if counters.overruns != seen {
                // Frames that waited since would stay in the queue for good: a frame read is a frame written.
                counters.overruns = counters.overruns.wrapping_add(microphone.skip(DEPTH));
            }
            counters.overruns
        });
        self.seen.overruns = overruns;
        match overruns.wrapping_sub(seen) {
            0 => {}
            frames => return Err(Overrun { frames }),
        }
        let next = poll_fn(|context| {
            // Before it looks: a frame that comes in between wakes it.
            pump.microphone.waker.register(context.waker());
            pump.change(|state| state.microphone.begin_read()).map_or(Poll::Pending, Poll::Ready)
        });
        let next = next.await;
        let read = pump.microphone.with(next, |frame| *pcm = *frame);
        debug_assert!(read, "who has claimed a frame has it");
        pump.change(|state| state.microphone.end_read(DEPTH));
        Ok(())
    }

    async fn write(&mut self, pcm: &[i16; FRAME]) -> Result<(), Underrun> {
        let pump = self.pump;
        let free = poll_fn(|context| {
            pump.loudspeaker.waker.register(context.waker());
            pump.change(|state| state.loudspeaker.begin_write(DEPTH)).map_or(Poll::Pending, Poll::Ready)
        });
        let free = free.await;
        let written = pump.loudspeaker.with(free, |frame| *frame = *pcm);
        debug_assert!(written, "who has claimed a frame has it");
        let underruns = pump.change(|state| {
            state.loudspeaker.end_write();
            state.counters.underruns
        });
        match underruns.wrapping_sub(self.seen.underruns) {
            0 => Ok(()),
            frames => {
                self.seen.underruns = underruns;
                Err(Underrun { frames })
            }
        }
    }

    /// By the newest interrupt: what waits behind the frame that was read came later; what is written now is taken by the
    /// interrupt after those for which frames wait, and is heard a frame behind it, when the DMA has come round to it.
    fn delay(&self) -> PortDelay {
        let State { microphone, loudspeaker, .. } = self.pump.change(|state| *state);
        PortDelay { capture: microphone.waiting * FRAME, playback: (loudspeaker.waiting + 2) * FRAME }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::future::Future;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};
    use embassy_futures::block_on;

    fn is_ready<F: Future>(future: F) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn frames_go_both_ways_in_order() {
        let pump = Pump::<4, 3>::new();
        let mut port = pump.port();
        for n in 0..100i16 {
            let mut playback = [-1; 4];
            pump.half_transfer(&[n; 4], &mut playback);
            assert_eq!(playback, [if n == 0 { 0 } else { 1_000 + n - 1 }; 4]);
            let mut heard = [0; 4];
            assert_eq!(block_on(port.read(&mut heard)), Ok(()));
            assert_eq!(heard, [n; 4]);
            assert_eq!(block_on(port.write(&[1_000 + n; 4])), Ok(()));
        }
        assert_eq!(pump.counters(), PumpCounters { captured: 100, overruns: 0, played: 99, underruns: 0 });
    }

    #[test]
    fn a_slow_task_loses_old_frames_and_is_told() {
        let pump = Pump::<2, 3>::new();
        let mut port = pump.port();
        let (mut heard, mut playback) = ([0; 2], [0; 2]);
        assert_eq!(block_on(port.write(&[7; 2])), Ok(()));
        for n in 0..4 {
            pump.half_transfer(&[n; 2], &mut playback);
            assert_eq!(playback, if n == 0 { [7; 2] } else { [0; 2] });
        }
        // The fourth frame found the queue full, and was too old itself when the task came back.
        assert_eq!(block_on(port.read(&mut heard)), Err(Overrun { frames: 4 }));
        assert!(!is_ready(port.read(&mut heard)));
        assert_eq!(block_on(port.write(&[8; 2])), Err(Underrun { frames: 3 }));
        assert_eq!(block_on(port.write(&[9; 2])), Ok(()));
        pump.half_transfer(&[5; 2], &mut playback);
        assert_eq!(playback, [8; 2]);
        assert_eq!(block_on(port.read(&mut heard)), Ok(()));
        assert_eq!(heard, [5; 2]);
        assert_eq!(pump.counters(), PumpCounters { captured: 5, overruns: 4, played: 2, underruns: 3 });
    }

    #[test]
    fn waits_for_frames_and_for_room() {
        let pump = Pump::<1, 2>::new();
        let mut port = pump.port();
        let (mut heard, mut playback) = ([0], [0]);
        // A read that is given up loses nothing.
        assert!(!is_ready(port.read(&mut heard)));
        pump.half_transfer(&[5], &mut playback);
        assert!(is_ready(port.read(&mut heard)));
        assert_eq!(heard, [5]);
        assert!(is_ready(port.write(&[1])) && is_ready(port.write(&[2])) && !is_ready(port.write(&[3])));
        pump.half_transfer(&[6], &mut playback);
        assert!(is_ready(port.write(&[4])));
    }

    #[test]
    fn an_interrupt_wakes_the_task() {
        let pump = Pump::<1, 2>::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..300 {
                    pump.half_transfer(&[n], &mut [0]);
                    std::thread::yield_now();
                }
            });
            let mut port = pump.port();
            let (mut heard, mut read, mut lost, mut last) = ([0], 0, 0, -1);
            while read + lost < 300 {
                match block_on(port.read(&mut heard)) {
                    Ok(()) => {
                        assert!(heard[0] > last, "frames keep their order");
                        (last, read) = (heard[0], read + 1);
                    }
                    Err(overrun) => lost += overrun.frames,
                }
            }
            assert_eq!(pump.counters().overruns, lost, "every frame is read or reported");
        });
    }

    /// Whoever copies has no lock that another one could wait for: an interrupt comes in the middle of a copy, and the frame stays whole.
    #[test]
    fn an_interrupt_gets_through_while_a_frame_is_copied() {
        let pump = Pump::<4, 3>::new();
        let interrupts = |from: i16| {
            // On a thread of its own, which a critical section would keep out for ever.
            let interrupt = || (from..from + 4).for_each(|n| pump.half_transfer(&[n; 4], &mut [0; 4]));
            std::thread::scope(|scope| scope.spawn(interrupt).join().expect("it never waits"));
        };
        pump.half_transfer(&[1; 4], &mut [0; 4]);
        let next = pump.change(|state| state.microphone.begin_read()).expect("one waits");
        assert!(pump.microphone.with(next, |frame| {
            interrupts(10);
            assert_eq!(*frame, [1; 4]);
        }));
        pump.change(|state| state.microphone.end_read(3));
        let free = pump.change(|state| state.loudspeaker.begin_write(3)).expect("there is room");
        assert!(pump.loudspeaker.with(free, |frame| {
            interrupts(20);
            *frame = [7; 4];
        }));
        // What isn't written to its end isn't played.
        assert_eq!(pump.counters().played, 0);
        pump.change(|state| state.loudspeaker.end_write());
        let mut playback = [0; 4];
        pump.half_transfer(&[0; 4], &mut playback);
        assert_eq!(playback, [7; 4]);
    }

    /// Interrupts at every point of a task's reads and writes, with queues of so many frames.
    fn interrupted<const DEPTH: usize>() {
        let pump = Pump::<4, DEPTH>::new();
        let (mut state, mut captured, mut written) = (1u32, 0u16, 0u16);
        let (mut read, mut last_read, mut last_played) = (0u32, 0u16, 0u16);
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        for _ in 0..10_000 {
            let mut some = |most: u32| {
                for _ in 0..random(most) {
                    captured += 1;
                    let mut playback = [-1; 4];
                    pump.half_transfer(&[captured as i16; 4], &mut playback);
                    let [first, rest @ ..] = playback;
                    assert!(rest.iter().all(|sample| *sample == first), "a frame of two: {playback:?}");
                    if first != 0 {
                        assert!(first as u16 > last_played, "{first} behind {last_played}");
                        last_played = first as u16;
                    }
                }
            };
            some(3);
            if let Some(next) = pump.change(|state| state.microphone.begin_read()) {
                some(3);
                let mut heard = [0; 4];
                assert!(pump.microphone.with(next, |frame| heard = *frame));
                some(3);
                pump.change(|state| state.microphone.end_read(DEPTH));
                let [first, rest @ ..] = heard;
                assert!(rest.iter().all(|sample| *sample == first) && first as u16 > last_read, "{heard:?}");
                (last_read, read) = (first as u16, read + 1);
            }
            some(2);
            if let Some(free) = pump.change(|state| state.loudspeaker.begin_write(DEPTH)) {
                written += 1;
                some(2);
                assert!(pump.loudspeaker.with(free, |frame| *frame = [written as i16; 4]));
                some(2);
                pump.change(|state| state.loudspeaker.end_write());
            }
        }
        let waiting = pump.change(|state| (state.microphone.waiting, state.loudspeaker.waiting));
        let counters = pump.counters();
        assert_eq!(counters.captured, u32::from(captured));
        assert_eq!(
            read + counters.overruns + waiting.0 as u32,
            u32::from(captured),
            "every frame is read, lost or waits"
        );
        assert_eq!(counters.played + waiting.1 as u32, u32::from(written), "every frame is played or waits");
        assert!(counters.overruns > 1_000 && read > 5_000 && counters.played > 5_000, "{counters:?}");
    }

    #[test]
    fn frames_stay_whole_and_in_order_wherever_interrupts_come() {
        interrupted::<1>();
        interrupted::<2>();
        interrupted::<3>();
    }

    /// A second caller in the middle of another's call loses its frame, and nothing else.
    #[test]
    fn an_interrupt_within_an_interrupt_is_counted() {
        let pump = Pump::<1, 2>::new();
        let mut port = pump.port();
        assert!(is_ready(port.write(&[5])));
        let (free, next) = pump.change(Pump::<1, 2>::begin_half);
        let mut playback = [1];
        pump.half_transfer(&[8], &mut playback);
        assert_eq!((playback, pump.counters().overruns), ([0], 1));
        assert!(pump.microphone.with(free.expect("it was there first"), |frame| *frame = [9]));
        assert!(pump.loudspeaker.with(next.expect("one waits"), |frame| playback = *frame));
        pump.change(|state| {
            state.microphone.end_write();
            state.loudspeaker.end_read(2);
        });
        assert_eq!(playback, [5]);
        let mut heard = [0];
        // The frame that came first is as old as the one that was lost.
        assert_eq!(block_on(port.read(&mut heard)), Err(Overrun { frames: 2 }));
        pump.half_transfer(&[10], &mut [0]);
        assert_eq!((block_on(port.read(&mut heard)), heard), (Ok(()), [10]));
    }

    #[test]
    fn poll_is_pending_without_interrupts() {
        let pump = Pump::<1, 1>::new();
        let mut port = pump.port();
        let mut heard = [0];
        let mut read = pin!(port.read(&mut heard));
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(read.as_mut().poll(&mut context), Poll::Pending);
        pump.half_transfer(&[1], &mut [0]);
        assert_eq!(read.as_mut().poll(&mut context), Poll::Ready(Ok(())));
    }
}
