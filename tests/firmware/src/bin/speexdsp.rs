//! speexdsp's echo canceller and preprocessor on the scene that ours is measured on: instructions a block, bytes, and stack.
//! `tests/firmware/speexdsp` builds the library from its own source; nothing of it is in this repository.

#![no_std]
#![no_main]

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

use cortex_m_rt::entry;
use dsp_core::front::{CaptureBlock, Near};

#[allow(dead_code, reason = "the scene alone is used")]
#[path = "../../../src/echoed.rs"]
mod echoed;
#[path = "../../../src/fnv.rs"]
mod fnv;
#[allow(dead_code, reason = "the other image uses it all")]
#[path = "../meter.rs"]
mod meter;
#[path = "../semihosting.rs"]
mod semihosting;

use echoed::BLOCK;

/// A tail of 64 ms.
const TAIL: c_int = 1_024;
const SET_SAMPLING_RATE: c_int = 24;
const SET_ECHO_STATE: c_int = 24;

unsafe extern "C" {
    fn speex_echo_state_init(frame: c_int, tail: c_int) -> *mut c_void;
    fn speex_echo_ctl(state: *mut c_void, request: c_int, value: *mut c_void) -> c_int;
    fn speex_echo_cancellation(state: *mut c_void, near: *const i16, far: *const i16, out: *mut i16);
    fn speex_preprocess_state_init(frame: c_int, rate: c_int) -> *mut c_void;
    fn speex_preprocess_ctl(state: *mut c_void, request: c_int, value: *mut c_void) -> c_int;
    fn speex_preprocess_run(state: *mut c_void, frame: *mut i16) -> c_int;
}

/// Memory that the library asks for and never gives back.
const HEAP: usize = 1 << 20;
#[repr(align(8))]
struct Heap(#[expect(dead_code, reason = "its address is what counts")] [u8; HEAP]);
static mut HEAP_MEMORY: Heap = Heap([0; HEAP]);
static USED: AtomicUsize = AtomicUsize::new(0);

/// What C calls for memory: it was zero, and is given out once.
#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let bytes = (count * size + 7) & !7;
    let at = USED.load(Ordering::Relaxed);
    assert!(at + bytes <= HEAP, "the heap is full");
    USED.store(at + bytes, Ordering::Relaxed);
    (&raw mut HEAP_MEMORY).cast::<u8>().wrapping_add(at).cast()
}

/// As above.
#[unsafe(no_mangle)]
extern "C" fn realloc(_: *mut c_void, _: usize) -> *mut c_void {
    panic!("nobody asks for more")
}

/// As above.
#[unsafe(no_mangle)]
extern "C" fn free(_: *mut c_void) {}

/// What the C library would end with, which never happens.
#[unsafe(no_mangle)]
extern "C" fn _fini() {}

/// The C library's own memory: there is none.
#[unsafe(no_mangle)]
extern "C" fn _sbrk(_: isize) -> *mut c_void {
    usize::MAX as *mut c_void
}

/// Where C's mathematics note an error.
#[unsafe(no_mangle)]
extern "C" fn __errno() -> *mut c_int {
    static ERRNO: AtomicUsize = AtomicUsize::new(0);
    ERRNO.as_ptr().cast()
}

struct Speex {
    echo: *mut c_void,
    preprocessor: *mut c_void,
    energies: [f32; 2],
}

impl Speex {
    /// The canceller alone, or with the preprocessor as it comes, which suppresses what is left.
    fn new(suppressor: bool) -> Self {
        let mut rate: c_int = 16_000;
        // SAFETY: plain numbers; the rate lives as long as the call; both states live for ever.
        unsafe {
            let echo = speex_echo_state_init(BLOCK as c_int, TAIL);
            speex_echo_ctl(echo, SET_SAMPLING_RATE, (&raw mut rate).cast());
            let mut preprocessor = null_mut();
            if suppressor {
                preprocessor = speex_preprocess_state_init(BLOCK as c_int, rate);
                speex_preprocess_ctl(preprocessor, SET_ECHO_STATE, echo);
            }
            Self { echo, preprocessor, energies: [0.0; 2] }
        }
    }
}

impl CaptureBlock<f32> for Speex {
    fn process(&mut self, frame: &mut [f32], near: &Near<'_>) {
        let (mut far, mut out) = ([0; BLOCK], [0; BLOCK]);
        near.render.read(near.captured_at, near.channel, &mut far);
        let heard: [i16; BLOCK] = core::array::from_fn(|n| (frame[n] * 32_768.0) as i16);
        // SAFETY: the states are live; all frames have as many samples as they were made for.
        unsafe {
            speex_echo_cancellation(self.echo, heard.as_ptr(), far.as_ptr(), out.as_mut_ptr());
            if self.preprocessor != null_mut() {
                speex_preprocess_run(self.preprocessor, out.as_mut_ptr());
            }
        }
        for (sample, out) in frame.iter_mut().zip(out) {
            let left = f32::from(out) / 32_768.0;
            self.energies[0] += *sample * *sample;
            self.energies[1] += left * left;
            *sample = left;
        }
    }

    fn reset(&mut self) {}

    fn delay_samples(&self) -> usize {
        0
    }
}

fn measure(name: &str, suppressor: bool) {
    let before = USED.load(Ordering::Relaxed);
    let mut speex = Speex::new(suppressor);
    let bytes = USED.load(Ordering::Relaxed) - before;
    let top = Cell::new(None);
    let clock = || {
        if top.get().is_none() {
            top.set(Some(cortex_m::register::msp::read()));
            meter::paint_stack();
        }
        meter::instructions()
    };
    let echoed = echoed::run(&mut speex, echoed::BLOCKS, &clock);
    let stack = top.get().map_or(0, |top| top - meter::deepest_used());
    semihosting::print("echo cost ", name, echoed.mean);
    semihosting::print("  most ", name, echoed.most);
    semihosting::print("echo bytes ", name, bytes as u32);
    semihosting::print("echo stack ", name, stack);
    // That it cancels at all: a tenth of the energy in 2 s with a near end's burst, in hundredths.
    semihosting::print("  left ", name, (speex.energies[1] / speex.energies[0] * 100.0) as u32);
}

#[entry]
fn main() -> ! {
    meter::start();
    measure("canceller", false);
    measure("suppressed", true);
    semihosting::succeed()
}
