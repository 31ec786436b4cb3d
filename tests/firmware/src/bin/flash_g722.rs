//! G.722 and nothing else, to see how much flash it takes.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use dsp_core::codec::g722::{G722Decoder, G722Encoder, Mode};

#[path = "../flash.rs"]
mod flash;

#[entry]
fn main() -> ! {
    flash::run(G722Encoder::new(Mode::Kbps64), G722Decoder::new(Mode::Kbps64))
}
