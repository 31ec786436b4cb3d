//! What the echo canceller costs: executed instructions a block, bytes, and stack.

use core::cell::Cell;

use crate::{echoed, meter, semihosting};

/// Prints hash and figures of both cancellers.
pub fn measure() {
    report("echo small", size_of::<echoed::Small>(), |clock| echoed::small(echoed::BLOCKS, clock));
    report("echo whole", size_of::<echoed::Whole>(), |clock| echoed::whole(echoed::BLOCKS, clock));
}

/// Prints hash and figures of what runs in the canceller's scene.
pub fn report(name: &str, bytes: usize, run: impl FnOnce(&dyn Fn() -> u32) -> echoed::Echoed) {
    // The stack is painted where the first block begins: the block itself lies above.
    let top = Cell::new(None);
    let clock = || {
        if top.get().is_none() {
            top.set(Some(cortex_m::register::msp::read()));
            meter::paint_stack();
        }
        meter::instructions()
    };
    let echoed = run(&clock);
    let stack = top.get().map_or(0, |top| top - meter::deepest_used());
    semihosting::print("", name, echoed.hash);
    semihosting::print("cost ", name, echoed.mean);
    semihosting::print("most ", name, echoed.most);
    semihosting::print("bytes ", name, bytes as u32);
    semihosting::print("stack ", name, stack);
}
