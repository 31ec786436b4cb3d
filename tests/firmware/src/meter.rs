//! What QEMU's machines let one measure: executed instructions and the depth of the stack.
//!
//! With `-icount shift=6` an instruction takes 64 ns of virtual time, whatever it does; CMSDK timer 0 counts down at
//! 25 MHz, 40 ns a tick. So instructions = ticks / 1.6, exactly repeatable. (These are not cycles: a multiply, a branch
//! or a wait state takes more than one on silicon.)

use core::ptr::{addr_of, read_volatile, write_volatile};

const TIMER0: usize = 0x4000_0000;
const CTRL: *mut u32 = TIMER0 as *mut u32;
const VALUE: *mut u32 = (TIMER0 + 0x4) as *mut u32;
const RELOAD: *mut u32 = (TIMER0 + 0x8) as *mut u32;

/// Starts the timer. It wraps after 171 s of virtual time.
pub fn start() {
    // SAFETY: CMSDK timer 0 lies here on AN385 and AN386, and nobody else uses it.
    unsafe {
        write_volatile(RELOAD, u32::MAX);
        write_volatile(VALUE, u32::MAX);
        write_volatile(CTRL, 1);
    }
}

/// Instructions since some point in the past. Never inlined: the compiler would move some of it into what is measured.
#[inline(never)]
pub fn instructions() -> u32 {
    // SAFETY: as above.
    let ticks = u32::MAX - unsafe { read_volatile(VALUE) };
    (u64::from(ticks) * 5 / 8) as u32
}

unsafe extern "C" {
    static mut __sheap: u32;
    static _stack_start: u32;
}

const PAINT: u32 = 0x5aa5_c33c;
/// Deepest stack that can be measured, in words: 512 KiB.
const DEPTH: usize = 131_072;

/// The lowest word that is painted; `_stack_start` is where the stack began.
fn floor() -> *mut u32 {
    let top = addr_of!(_stack_start);
    let floor = top.wrapping_sub(DEPTH).cast_mut();
    assert!(floor > (&raw mut __sheap), "statics reach into the painted stack");
    floor
}

/// The stack pointer of the caller, nearly.
#[inline(always)]
fn here() -> *mut u32 {
    cortex_m::register::msp::read() as *mut u32
}

/// Fills what lies below the caller's frame.
#[inline(never)]
pub fn paint_stack() {
    let mut word = floor();
    while word < here().wrapping_sub(16) {
        // SAFETY: between the statics and the stack pointer there is only free RAM; there is no heap.
        unsafe { write_volatile(word, PAINT) };
        word = word.wrapping_add(1);
    }
}

/// Bytes of stack that were in use below the caller's frame since it was painted.
#[inline(never)]
pub fn painted_stack_used() -> u32 {
    here() as u32 - deepest_used()
}

/// The address of the lowest word of stack that was in use since it was painted.
pub fn deepest_used() -> u32 {
    let mut word = floor();
    // SAFETY: as above, and these words were painted.
    while word < here() && unsafe { read_volatile(word) } == PAINT {
        word = word.wrapping_add(1);
    }
    word as u32
}
