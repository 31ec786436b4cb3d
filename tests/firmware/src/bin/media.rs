//! A phone's media and nothing else, to see how much flash that takes: no text, no semihosting. Peripherals are
//! volatile words, so that the compiler can't leave anything out.

#![no_std]
#![no_main]

use core::ptr::{read_volatile, write_volatile};

use cortex_m_rt::entry;
use dsp_core::front::Step;
use dsp_core::time::Instant;
use host_embedded::phone::{DATAGRAM, Phone, PhoneConfig};

const PERIPHERAL: *mut u32 = 0x4000_0000 as *mut u32;

fn read() -> u32 {
    // SAFETY: the image is linked and measured, not run; on AN385 this is a timer's register.
    unsafe { read_volatile(PERIPHERAL) }
}

fn write(value: u32) {
    // SAFETY: as above.
    unsafe { write_volatile(PERIPHERAL, value) }
}

#[entry]
fn main() -> ! {
    let Ok(mut phone) = Phone::new(PhoneConfig::default()) else { stop() };
    let mut datagram = [0; DATAGRAM];
    loop {
        let now = Instant::from_micros(u64::from(read()));
        let bytes = read() as usize % DATAGRAM;
        datagram[..bytes].fill_with(|| read() as u8);
        write(u32::from(phone.receive(now, &datagram[..bytes]).is_ok()));
        phone.begin(now, true);
        while let Some(step) = phone.step(&mut datagram) {
            match step {
                Step::Loudspeaker { pcm, .. } => pcm.iter().for_each(|&sample| write(sample as u32)),
                Step::Microphone(microphone) => microphone.pcm.fill_with(|| read() as i16),
                Step::Transmit(bytes) => {
                    datagram[..bytes.unwrap_or(0)].iter().for_each(|&byte| write(u32::from(byte)));
                }
            }
        }
    }
}

fn stop() -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    stop()
}
