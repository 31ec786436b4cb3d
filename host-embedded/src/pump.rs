//! Frame pump: carries frames from the audio interrupt to a task and back.
//!
//! The DMA runs in a circle over two halves of `FRAME` samples. At each half-transfer and transfer-complete interrupt
//! the firmware calls [`Pump::half_transfer`] with the half of the microphone's buffer that is full and the half of the
//! loudspeaker's that is free; a task reads and writes the same frames over the [`AudioPort`] from [`Pump::port`].
//!
//! A pump is `const`-made and lies in a `static`. Each direction holds at most `DEPTH` frames: a task that falls behind
//! by more costs frames, which are counted, and not ever more delay: both queues begin anew.
//! Delay: one frame of DMA each way, and at most `DEPTH` frames after a task was late. Cost: two copies of a frame an
//! interrupt, with interrupts off. Memory: `4 * FRAME * DEPTH` bytes.
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
    shared: Mutex<CriticalSectionRawMutex, Shared<FRAME, DEPTH>>,
    /// Who waits for a frame of the microphone, and who for room for one of the loudspeaker.
    captured: AtomicWaker,
    room: AtomicWaker,
}

/// What both sides touch, each with interrupts off. Cells, so that nothing here can panic in an interrupt.
struct Shared<const FRAME: usize, const DEPTH: usize> {
    microphone: Queue<FRAME, DEPTH>,
    loudspeaker: Queue<FRAME, DEPTH>,
    counters: Cell<PumpCounters>,
}

impl<const FRAME: usize, const DEPTH: usize> Shared<FRAME, DEPTH> {
    fn count<T>(&self, change: impl FnOnce(&mut PumpCounters) -> T) -> T {
        let mut counters = self.counters.get();
        let result = change(&mut counters);
        self.counters.set(counters);
        result
    }
}

/// Frames in their order: `len` of them from `first` on, in a ring.
struct Queue<const FRAME: usize, const DEPTH: usize> {
    frames: [Cell<[i16; FRAME]>; DEPTH],
    first: Cell<usize>,
    len: Cell<usize>,
}

impl<const FRAME: usize, const DEPTH: usize> Queue<FRAME, DEPTH> {
    const fn new() -> Self {
        Self { frames: [const { Cell::new([0; FRAME]) }; DEPTH], first: Cell::new(0), len: Cell::new(0) }
    }

    /// A place in the ring that is less than twice its length.
    fn wrapped(place: usize) -> usize {
        if place < DEPTH { place } else { place - DEPTH }
    }

    fn is_full(&self) -> bool {
        self.len.get() >= DEPTH
    }

    /// Puts a frame behind the others. Whether there was room.
    fn push(&self, frame: &[i16; FRAME]) -> bool {
        let free =
            (!self.is_full()).then(|| self.frames.get(Self::wrapped(self.first.get() + self.len.get()))).flatten();
        if let Some(free) = free {
            free.set(*frame);
            self.len.set(self.len.get() + 1);
        }
        free.is_some()
    }

    /// Takes the first frame out. Whether there was one.
    fn pop(&self, frame: &mut [i16; FRAME]) -> bool {
        let taken = (self.len.get() > 0).then(|| self.frames.get(self.first.get())).flatten();
        if let Some(taken) = taken {
            *frame = taken.get();
            self.first.set(Self::wrapped(self.first.get() + 1));
            self.len.set(self.len.get() - 1);
        }
        taken.is_some()
    }

    /// Takes all frames out; how many there were.
    fn clear(&self) -> u32 {
        self.len.replace(0) as u32
    }
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
        let shared =
            Shared { microphone: Queue::new(), loudspeaker: Queue::new(), counters: Cell::new(PumpCounters::ZERO) };
        Self { shared: Mutex::new(shared), captured: AtomicWaker::new(), room: AtomicWaker::new() }
    }

    /// The interrupt's side: takes a full frame of the microphone and fills one for the loudspeaker. It never waits.
    pub fn half_transfer(&self, captured: &[i16; FRAME], playback: &mut [i16; FRAME]) {
        let played = self.shared.lock(|shared| {
            shared.count(|counters| {
                counters.captured = counters.captured.wrapping_add(1);
                if shared.microphone.is_full() {
                    // Old sound is of no use to the one who listens: what waits gives way to the newest.
                    counters.overruns = counters.overruns.wrapping_add(shared.microphone.clear());
                }
                shared.microphone.push(captured);
                let played = shared.loudspeaker.pop(playback);
                if played {
                    counters.played = counters.played.wrapping_add(1);
                } else {
                    playback.fill(0);
                    counters.underruns = counters.underruns.wrapping_add(u32::from(counters.played > 0));
                }
                played
            })
        });
        self.captured.wake();
        if played {
            self.room.wake();
        }
    }

    /// The peripheral stood still for so many frames: its DMA was overrun, and both ways begin anew. They are counted as lost and as
    /// silent, so that the task's time goes on with the clock's; without that a call would be late by them from then on.
    pub fn lose(&self, frames: u32) {
        self.shared.lock(|shared| {
            shared.count(|counters| {
                counters.captured = counters.captured.wrapping_add(frames);
                counters.overruns = counters.overruns.wrapping_add(frames);
                if counters.played > 0 {
                    counters.underruns = counters.underruns.wrapping_add(frames);
                }
            });
        });
    }

    /// The task's side. One task may use it: two would each get some of the frames.
    pub fn port(&self) -> PumpPort<'_, FRAME, DEPTH> {
        PumpPort { pump: self, seen: self.counters() }
    }

    /// What went through so far.
    pub fn counters(&self) -> PumpCounters {
        self.shared.lock(|shared| shared.counters.get())
    }
}

/// A pump's side for the task.
pub struct PumpPort<'a, const FRAME: usize, const DEPTH: usize> {
    pump: &'a Pump<FRAME, DEPTH>,
    /// The counters, as far as they were reported.
    seen: PumpCounters,
}

/// Waits until `done`; `waker` is woken when it may be.
async fn wait_until(waker: &AtomicWaker, mut done: impl FnMut() -> bool) {
    poll_fn(|context| {
        if done() {
            return Poll::Ready(());
        }
        waker.register(context.waker());
        // An interrupt may have come before it was registered.
        if done() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

impl<const FRAME: usize, const DEPTH: usize> AudioPort<FRAME> for PumpPort<'_, FRAME, DEPTH> {
    async fn read(&mut self, pcm: &mut [i16; FRAME]) -> Result<(), Overrun> {
        let seen = self.seen.overruns;
        let overruns = self.pump.shared.lock(|shared| {
            shared.count(|counters| {
                if counters.overruns != seen {
                    // Frames that waited since would stay in the queue for good: a frame read is a frame written.
                    counters.overruns = counters.overruns.wrapping_add(shared.microphone.clear());
                }
                counters.overruns
            })
        });
        self.seen.overruns = overruns;
        match overruns.wrapping_sub(seen) {
            0 => {}
            frames => return Err(Overrun { frames }),
        }
        wait_until(&self.pump.captured, || self.pump.shared.lock(|shared| shared.microphone.pop(pcm))).await;
        Ok(())
    }

    async fn write(&mut self, pcm: &[i16; FRAME]) -> Result<(), Underrun> {
        wait_until(&self.pump.room, || self.pump.shared.lock(|shared| shared.loudspeaker.push(pcm))).await;
        let underruns = self.pump.counters().underruns;
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
        self.pump.shared.lock(|shared| PortDelay {
            capture: shared.microphone.len.get() * FRAME,
            playback: (shared.loudspeaker.len.get() + 2) * FRAME,
        })
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
