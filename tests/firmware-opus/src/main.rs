//! Opus on the canned voice, in a call and against hostile packets: hashes, executed instructions a frame, and bytes of
//! state and stack, one `name=value` a line, for `run` to compare and to make a table of. A host prints hashes alone.

#![cfg_attr(target_os = "none", no_std, no_main)]

use media_core_firmware_opus::opus::{DECODER_WORDS, ENCODER_WORDS, OpusConfig, OpusDecoder, OpusEncoder, state_bytes};
use media_core_firmware_opus::{coded, hostile, road};

#[cfg(target_os = "none")]
#[path = "metal.rs"]
mod platform;
#[cfg(not(target_os = "none"))]
#[path = "host.rs"]
mod platform;

/// All memory but the stack.
struct Memory {
    encoder: [u64; ENCODER_WORDS],
    decoder: [u64; DECODER_WORDS],
    said: [i16; road::SAMPLES],
    heard: [i16; road::SAMPLES],
}

impl Memory {
    /// Not zero: a state must not count on what its memory held.
    const fn new() -> Self {
        Self {
            encoder: [0xa5a5_5a5a_a5a5_5a5a; ENCODER_WORDS],
            decoder: [0xa5a5_5a5a_a5a5_5a5a; DECODER_WORDS],
            said: [0; road::SAMPLES],
            heard: [0; road::SAMPLES],
        }
    }
}

fn measure(memory: &mut Memory, print: fn(&str, u32)) {
    let config = OpusConfig::default();
    let Memory { encoder, decoder, said, heard } = memory;
    let [encoder_bytes, decoder_bytes] = state_bytes();
    print("coded opus encoder", encoder_bytes as u32);
    print("coded opus decoder", decoder_bytes as u32);

    let mut codec = OpusEncoder::new(encoder, config).expect("an encoder");
    let mut sound = OpusDecoder::new(decoder, config.sample_rate_hz).expect("a decoder");
    platform::paint_stack();
    let coded = coded::run(320, &mut codec, &mut sound, platform::instructions);
    print("coded opus stack", platform::painted_stack_used());
    print("coded opus", coded.hash);
    print("coded opus encode", coded.encode);
    print("coded opus decode", coded.decode);

    let codec = OpusEncoder::new(encoder, config).expect("an encoder");
    let sound = OpusDecoder::new(decoder, config.sample_rate_hz).expect("a decoder");
    let call = road::call(codec, sound, said, heard);
    print("call", call.hash);
    print("call likeness", call.likeness);
    print("call concealed", call.stats.concealed_samples as u32);

    let mut sound = OpusDecoder::new(decoder, config.sample_rate_hz).expect("a decoder");
    platform::paint_stack();
    let fate = hostile::run(&mut sound);
    print("hostile stack", platform::painted_stack_used());
    print("hostile", fate.hash);
    print("hostile decoded", fate.decoded);
    print("hostile refused", fate.refused);
}

#[cfg(not(target_os = "none"))]
fn main() {
    platform::main();
}
