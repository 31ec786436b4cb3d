//! Opus and nothing else, to see how much flash it takes.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use media_core_firmware_opus::opus::{DECODER_WORDS, ENCODER_WORDS, OpusConfig, OpusDecoder, OpusEncoder};

#[path = "../../../firmware/src/flash.rs"]
mod flash;

#[entry]
fn main() -> ! {
    static mut ENCODER: [u64; ENCODER_WORDS] = [0; ENCODER_WORDS];
    static mut DECODER: [u64; DECODER_WORDS] = [0; DECODER_WORDS];
    let config = OpusConfig::default();
    let encoder = OpusEncoder::new(ENCODER, config).expect("an encoder");
    flash::run(encoder, OpusDecoder::new(DECODER, config.sample_rate_hz).expect("a decoder"))
}
