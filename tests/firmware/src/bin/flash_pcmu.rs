//! G.711 mu-law and nothing else, to see how much flash it takes.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use dsp_core::codec::g711::Pcmu;

#[path = "../flash.rs"]
mod flash;

#[entry]
fn main() -> ! {
    flash::run(Pcmu, Pcmu)
}
