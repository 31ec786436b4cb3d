//! How an image in QEMU prints, fails and ends.

use core::fmt::Write;

use cortex_m_rt::{ExceptionFrame, exception};
use cortex_m_semihosting::{debug, hio};

/// Prints `prefix` and `name`, and the value behind an equals sign.
pub fn print(prefix: &str, name: &str, value: u32) {
    let mut out = hio::hstdout().expect("semihosting is on");
    writeln!(out, "{prefix}{name}={value}").expect("semihosting writes");
}

/// Ends QEMU with success.
pub fn succeed() -> ! {
    leave(debug::EXIT_SUCCESS)
}

fn leave(status: debug::ExitStatus) -> ! {
    debug::exit(status);
    loop {
        cortex_m::asm::wfi();
    }
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    panic!("{frame:?}")
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    if let Ok(mut out) = hio::hstdout() {
        let _ = writeln!(out, "panic={info}");
    }
    leave(debug::EXIT_FAILURE)
}
