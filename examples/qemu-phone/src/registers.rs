//! Addresses of this board's peripherals (Arm's application notes AN385, AN386, AN500 and AN505), and access to their
//! registers.

use core::ptr::{read_volatile, write_volatile};

/// The board with a Cortex-M33, whose processor begins in its secure state: there peripherals lie at their secure addresses.
const AN505: bool = cfg!(feature = "an505");

/// CMSDK timer 0, which counts time.
pub(crate) const TIMER0: usize = if AN505 { 0x5000_0000 } else { 0x4000_0000 };
/// CMSDK timer 1, which is the codec chip's bit clock.
pub(crate) const TIMER1: usize = TIMER0 + 0x1000;
/// The Ethernet controller.
pub(crate) const ETHERNET: usize = match (AN505, cfg!(feature = "an500")) {
    (true, _) => 0x5200_0000,
    (_, true) => 0xa000_0000,
    _ => 0x4020_0000,
};
/// Both timers count at the system clock.
pub(crate) const CLOCK_HZ: u32 = if AN505 { 20_000_000 } else { 25_000_000 };

/// Numbers of the interrupts.
pub(crate) const TIMER1_INTERRUPT: i16 = if AN505 { 4 } else { 9 };
pub(crate) const ETHERNET_INTERRUPT: i16 = if AN505 { 48 } else { 13 };

/// Interrupts, to be named to the interrupt controller.
#[derive(Clone, Copy)]
pub(crate) struct Line(pub(crate) i16);

// SAFETY: the numbers are those of the board, and its interrupt controller has them.
unsafe impl cortex_m::interrupt::InterruptNumber for Line {
    fn number(self) -> u16 {
        self.0 as u16
    }
}

/// Reads a register.
pub(crate) fn read(base: usize, offset: usize) -> u32 {
    // SAFETY: the constants above are where peripherals of this board lie, and all offsets are those of their registers.
    unsafe { read_volatile((base + offset) as *const u32) }
}

/// Writes a register.
pub(crate) fn write(base: usize, offset: usize, value: u32) {
    // SAFETY: as above; no register of these two writes to memory.
    unsafe { write_volatile((base + offset) as *mut u32, value) }
}

/// CMSDK timer: control, the value that counts down, what it begins anew with, and its interrupt.
pub(crate) mod timer {
    pub(crate) const CONTROL: usize = 0x0;
    pub(crate) const VALUE: usize = 0x4;
    pub(crate) const RELOAD: usize = 0x8;
    pub(crate) const INTERRUPT: usize = 0xc;
    /// It counts.
    pub(crate) const ENABLE: u32 = 1;
    /// It interrupts when it begins anew.
    pub(crate) const INTERRUPTS: u32 = 1 << 3;
}
