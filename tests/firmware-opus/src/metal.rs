//! QEMU's Cortex-M machines: semihosting to print with, a timer and painted stack to measure with.

use cortex_m_rt::entry;

use crate::{Memory, measure};

#[path = "../../firmware/src/meter.rs"]
mod meter;
#[path = "../../firmware/src/semihosting.rs"]
mod semihosting;

pub(crate) use meter::{instructions, paint_stack, painted_stack_used};

#[entry]
fn main() -> ! {
    static mut MEMORY: Memory = Memory::new();
    meter::start();
    measure(MEMORY, |name, value| semihosting::print("", name, value));
    semihosting::succeed()
}
