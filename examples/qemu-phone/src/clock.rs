//! Time for embassy: CMSDK timer 0 counts at the system clock, and once a millisecond the SysTick timer looks for
//! tasks to wake.

use core::cell::{Cell, RefCell};
use core::task::Waker;

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use critical_section::Mutex;
use dsp_core::time::Instant;
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

use crate::registers::{CLOCK_HZ, TIMER0, read, timer, write};

/// The timer wraps after 172 s: it is read much more often.
struct Clock {
    /// What the timer had counted when it was read last, and how many of its ticks there were in all.
    read: Mutex<Cell<(u32, u64)>>,
    queue: Mutex<RefCell<Queue>>,
}

impl Clock {
    fn ticks(&self) -> u64 {
        critical_section::with(|cs| {
            let cell = self.read.borrow(cs);
            let (before, ticks) = cell.get();
            let counted = u32::MAX - read(TIMER0, timer::VALUE);
            let ticks = ticks + u64::from(counted.wrapping_sub(before));
            cell.set((counted, ticks));
            ticks
        })
    }

    fn wake(&self) {
        let now = self.now();
        critical_section::with(|cs| self.queue.borrow(cs).borrow_mut().next_expiration(now));
    }
}

impl Driver for Clock {
    fn now(&self) -> u64 {
        self.ticks() / u64::from(CLOCK_HZ / 1_000_000)
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        // The next look at the queue finds it.
        critical_section::with(|cs| self.queue.borrow(cs).borrow_mut().schedule_wake(at, waker));
    }
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    read: Mutex::new(Cell::new((0, 0))),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

#[exception]
fn SysTick() {
    CLOCK.wake();
}

/// Time begins.
pub(crate) fn start(mut systick: SYST) {
    write(TIMER0, timer::RELOAD, u32::MAX);
    write(TIMER0, timer::VALUE, u32::MAX);
    write(TIMER0, timer::CONTROL, timer::ENABLE);
    systick.set_clock_source(SystClkSource::Core);
    systick.set_reload(CLOCK_HZ / 1_000 - 1);
    systick.clear_current();
    systick.enable_counter();
    systick.enable_interrupt();
}

/// The time since the start.
pub(crate) fn now() -> Instant {
    Instant::from_micros(CLOCK.now())
}
