//! What a codec's image is measured with: volatile words for a microphone, a loudspeaker and a network, so that the
//! compiler can't leave anything out. Linked, not run.

use core::ptr::{read_volatile, write_volatile};

use dsp_core::codec::{Decoder, Encoder};

const PERIPHERAL: *mut u32 = 0x4000_0000 as *mut u32;

fn read() -> u32 {
    // SAFETY: the image is linked and measured, not run; on AN385 this is a timer's register.
    unsafe { read_volatile(PERIPHERAL) }
}

fn write(value: u32) {
    // SAFETY: as above.
    unsafe { write_volatile(PERIPHERAL, value) }
}

/// Encodes, decodes and conceals for ever, in frames of at most 240 samples.
pub fn run<E: Encoder, D: Decoder>(mut encoder: E, mut decoder: D) -> ! {
    let (mut pcm, mut payload) = ([0; 320], [0; 320]);
    loop {
        let samples = read() as usize % pcm.len();
        pcm[..samples].fill_with(|| read() as i16);
        let bytes = encoder.encode(&pcm[..samples], &mut payload).unwrap_or(0);
        payload[..bytes].iter_mut().for_each(|byte| {
            write(u32::from(*byte));
            *byte = read() as u8;
        });
        if decoder.decode(&payload[..bytes], &mut pcm).is_err() {
            write(u32::from(decoder.conceal(&mut pcm[..samples])));
            decoder.follow(samples);
        }
        pcm.iter().for_each(|&sample| write(sample as u32));
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}
