//! A whole desk phone and nothing else, to see how much flash and RAM it takes. Peripherals are volatile words, so that the compiler
//! can't leave anything out. Linked, not run.

#![no_std]
#![no_main]

use core::future;
use core::ptr::{read_volatile, write_volatile};

use cortex_m::singleton;
use cortex_m_rt::{entry, exception};
use dsp_core::time::Instant;
use embassy_futures::block_on;
use host_embedded::transport::Socket;

#[path = "../desk.rs"]
mod desk;

use desk::{Desk, DeskPump, Network, TICK};

const PERIPHERAL: *mut u32 = 0x4000_0000 as *mut u32;

static PUMP: DeskPump = DeskPump::new();

fn read() -> u32 {
    // SAFETY: the image is linked and measured, not run; on AN385 this is a timer's register.
    unsafe { read_volatile(PERIPHERAL) }
}

fn write(value: u32) {
    // SAFETY: as above.
    unsafe { write_volatile(PERIPHERAL, value) }
}

struct Wire;

impl Socket for Wire {
    type Address = u32;

    async fn receive(&mut self, datagram: &mut [u8]) -> (usize, u32, Instant) {
        let bytes = read() as usize;
        if bytes == 0 {
            future::pending::<()>().await;
        }
        datagram.iter_mut().take(bytes).for_each(|byte| *byte = read() as u8);
        (bytes, read(), self.now())
    }

    fn send(&mut self, datagram: &[u8], to: u32) -> bool {
        write(to);
        datagram.iter().for_each(|byte| write(u32::from(*byte)));
        true
    }

    fn now(&self) -> Instant {
        Instant::from_micros(u64::from(read()))
    }
}

/// The codec chip's interrupt.
#[exception]
fn SysTick() {
    let (mut captured, mut playback) = ([0; TICK], [0; TICK]);
    captured.fill_with(|| read() as i16);
    PUMP.half_transfer(&captured, &mut playback);
    playback.iter().for_each(|&sample| write(sample as u32));
}

#[entry]
fn main() -> ! {
    let (Some(phone), Some(network)) = (
        singleton!(: Option<Desk> = None).and_then(|place| desk::phone(place, true)),
        singleton!(: Option<Network<Wire>> = None).and_then(|place| desk::network(place, true, Wire, 1)),
    ) else {
        stop()
    };
    let mut port = PUMP.port();
    loop {
        let tick = block_on(phone.tick(&mut port, network));
        write(tick.overrun + tick.underrun);
        desk::after(phone, network, Instant::from_micros(u64::from(read())));
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
