//! Each codec on the canned voice: golden hashes of payloads and sound, executed instructions a frame, and bytes of
//! state, one `name=value` a line, for `codecs` to compare and to make a table of.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
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
#[path = "../semihosting.rs"]
mod semihosting;

fn measure<E: Encoder, D: Decoder>(name: &str, frame: usize, mut encoder: E, mut decoder: D) {
    let print = |key: &str, value: u32| semihosting::print(name, key, value);
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
    semihosting::succeed()
}
