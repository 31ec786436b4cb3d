//! QEMU's Cortex-M machines: semihosting to print with, a timer and painted stack to measure with.

use core::fmt::Write;

use cortex_m_rt::{ExceptionFrame, entry, exception};
use cortex_m_semihosting::{debug, hio};

use crate::{Memory, measure};

#[path = "../../firmware/src/meter.rs"]
mod meter;

pub(crate) use meter::{instructions, paint_stack, painted_stack_used};

#[entry]
fn main() -> ! {
    static mut MEMORY: Memory = Memory::new();
    meter::start();
    measure(MEMORY, |name, value| {
        let mut out = hio::hstdout().expect("semihosting is on");
        writeln!(out, "{name}={value}").expect("semihosting writes");
    });
    leave(debug::EXIT_SUCCESS)
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    panic!("{frame:?}")
}

fn leave(status: debug::ExitStatus) -> ! {
    debug::exit(status);
    loop {
        cortex_m::asm::wfi();
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    if let Ok(mut out) = hio::hstdout() {
        let _ = writeln!(out, "panic={info}");
    }
    leave(debug::EXIT_FAILURE)
}
