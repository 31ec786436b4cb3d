//! Each codec on the canned voice: golden hashes of payloads and sound, executed instructions a frame, and bytes of
//! state, one `name=value` a line, for `codecs` to compare and to make a table of.

#![no_std]
#![no_main]

use core::fmt::Write;

use cortex_m_rt::{ExceptionFrame, entry, exception};
use cortex_m_semihosting::{debug, hio};
use dsp_core::codec::g711::{Pcma, Pcmu};
use dsp_core::codec::g722::{G722Decoder, G722Encoder, Mode};
#[cfg(feature = "float")]
use dsp_core::codec::ilbc::{IlbcDecoder, IlbcEncoder, IlbcMode};
use dsp_core::codec::{Decoder, Encoder};

#[path = "../../../src/coded.rs"]
mod coded;
#[path = "../../../src/fnv.rs"]
mod fnv;
#[path = "../meter.rs"]
mod meter;

fn measure<E: Encoder, D: Decoder>(name: &str, frame: usize, mut encoder: E, mut decoder: D) {
    let mut out = hio::hstdout().expect("semihosting is on");
    let mut print = |key: &str, value: u32| writeln!(out, "{name}{key}={value}").expect("semihosting writes");
    print(" encoder", size_of::<E>() as u32);
    print(" decoder", size_of::<D>() as u32);
    meter::paint_stack();
    let coded = coded::run(frame, &mut encoder, &mut decoder, meter::instructions);
    print(" stack", meter::painted_stack_used());
    print("", coded.hash);
    print(" encode", coded.encode);
    print(" decode", coded.decode);
}

#[entry]
fn main() -> ! {
    meter::start();
    measure("coded pcmu", 160, Pcmu, Pcmu);
    measure("coded pcma", 160, Pcma, Pcma);
    measure("coded g722", 320, G722Encoder::new(Mode::Kbps64), G722Decoder::new(Mode::Kbps64));
    #[cfg(feature = "float")]
    for (name, mode) in [("coded ilbc20", IlbcMode::Ms20), ("coded ilbc30", IlbcMode::Ms30)] {
        measure(name, mode.samples(), IlbcEncoder::new(mode), IlbcDecoder::new(mode));
    }
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
