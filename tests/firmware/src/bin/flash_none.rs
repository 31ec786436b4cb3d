//! A codec that passes nothing: what the others' images hold beside their codec.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use dsp_core::codec::{CodecInfo, DecodeError, Decoder, EncodeError, Encoder};

#[path = "../flash.rs"]
mod flash;

const INFO: CodecInfo = CodecInfo { name: "none", sample_rate_hz: 8_000, rtp_clock_hz: 8_000, channels: 1 };

struct Nothing;

impl Encoder for Nothing {
    fn info(&self) -> CodecInfo {
        INFO
    }

    fn encode(&mut self, pcm: &[i16], _: &mut [u8]) -> Result<usize, EncodeError> {
        Ok(pcm.len())
    }

    fn reset(&mut self) {}
}

impl Decoder for Nothing {
    fn info(&self) -> CodecInfo {
        INFO
    }

    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        Ok(payload.len() as u32)
    }

    fn decode(&mut self, payload: &[u8], _: &mut [i16]) -> Result<usize, DecodeError> {
        Ok(payload.len())
    }

    fn reset(&mut self) {}
}

#[entry]
fn main() -> ! {
    flash::run(Nothing, Nothing)
}
