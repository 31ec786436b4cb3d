//! iLBC and nothing else, to see how much flash it takes.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use dsp_core::codec::ilbc::{IlbcDecoder, IlbcEncoder, IlbcMode};

#[path = "../flash.rs"]
mod flash;

#[entry]
fn main() -> ! {
    flash::run(IlbcEncoder::new(IlbcMode::Ms20), IlbcDecoder::new(IlbcMode::Ms20))
}
