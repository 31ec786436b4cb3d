//! A desk phone on the NUCLEO-H563ZI, a Cortex-M33: G.711 over the board's Ethernet, with SRTP, and a WM8960 on a
//! separate board over I2S. The handling of calls is shared with `stm32f746g-disco`.
//!
//! You learn how to connect I2S with a codec chip as the clock's master, and what changes from one board to another.
//! `README.md` beside it says how to build it and to flash it.

#![no_std]
#![no_main]

mod audio;
mod board;
#[path = "../../stm32f746g-disco/src/calls.rs"]
mod calls;
#[allow(dead_code, reason = "here a call's keys stay")]
#[path = "../../qemu-phone/src/guard.rs"]
mod guard;
mod port;
#[path = "../../stm32f746g-disco/src/signalling.rs"]
mod signalling;
#[path = "../../stm32f746g-disco/src/socket.rs"]
mod socket;

use embassy_executor::Spawner;
use embassy_net::{Config, Runner, StackResources};
use embassy_stm32::eth::{Ethernet, GenericPhy, PacketQueue, Sma};
use embassy_stm32::gpio::{Input, Level, Output, Pull, Speed};
use embassy_stm32::i2s::I2S;
use embassy_stm32::peripherals::{ETH, ETH_SMA, GPDMA1_CH0, GPDMA1_CH1, GPDMA1_CH2, GPDMA1_CH3, I2C1, RNG};
use embassy_stm32::rng::Rng;
use embassy_stm32::{bind_interrupts, dma, eth, i2c, rng};
use static_cell::{ConstStaticCell, StaticCell};

/// Logs, where the feature `defmt` is on.
macro_rules! log {
    ($($arguments:tt)*) => {{
        #[cfg(feature = "defmt")]
        defmt::info!($($arguments)*);
    }};
}
use log;

bind_interrupts!(struct Irqs {
    ETH => eth::InterruptHandler;
    RNG => rng::InterruptHandler<RNG>;
    I2C1_EV => i2c::EventInterruptHandler<I2C1>;
    I2C1_ER => i2c::ErrorInterruptHandler<I2C1>;
    GPDMA1_CHANNEL0 => dma::InterruptHandler<GPDMA1_CH0>;
    GPDMA1_CHANNEL1 => dma::InterruptHandler<GPDMA1_CH1>;
    GPDMA1_CHANNEL2 => dma::InterruptHandler<GPDMA1_CH2>;
    GPDMA1_CHANNEL3 => dma::InterruptHandler<GPDMA1_CH3>;
});

type Device = Ethernet<'static, ETH, GenericPhy<Sma<'static, ETH_SMA>>>;

static QUEUE: StaticCell<PacketQueue<4, 8>> = StaticCell::new();
static RESOURCES: StaticCell<StackResources<4>> = StaticCell::new();
static PLAYED: ConstStaticCell<[u16; audio::RING]> = ConstStaticCell::new([0; audio::RING]);
static HEARD: ConstStaticCell<[u16; audio::RING]> = ConstStaticCell::new([0; audio::RING]);

#[embassy_executor::task]
async fn net(mut runner: Runner<'static, Device>) {
    runner.run().await;
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let p = embassy_stm32::init(board::clocks());
    let mut rng = Rng::new(p.RNG, Irqs);
    let lamp = Output::new(p.PB0, Level::Low, Speed::Low);

    // Sound. The codec chip makes its clocks once it is on.
    let bus = i2c::I2c::new(p.I2C1, p.PB8, p.PB9, p.GPDMA1_CH2, p.GPDMA1_CH3, Irqs, i2c::Config::default());
    let mut codec = match audio::codec(bus).await {
        Ok(codec) => codec,
        Err(error) => {
            log!("the codec chip: {}", defmt::Debug2Format(&error));
            let _ = error;
            panic!("the codec chip")
        }
    };
    let mut i2s = I2S::new_full_duplex_nomck(
        p.SPI2,
        p.PC3,
        p.PC2,
        p.PB12,
        p.PB10,
        p.GPDMA1_CH0,
        PLAYED.take(),
        p.GPDMA1_CH1,
        HEARD.take(),
        Irqs,
        port::format(),
    );

    // The network.
    let device = Ethernet::new(
        QUEUE.init(PacketQueue::new()),
        p.ETH,
        Irqs,
        p.PA1,
        p.PA7,
        p.PC4,
        p.PC5,
        p.PG13,
        p.PB15,
        p.PG11,
        board::HARDWARE_ADDRESS,
        p.ETH_SMA,
        p.PA2,
        p.PC1,
    );
    let (stack, runner) = embassy_net::new(
        device,
        Config::dhcpv4(Default::default()),
        RESOURCES.init(StackResources::new()),
        u64::from_le_bytes(calls::draw(&mut rng)),
    );
    spawner.spawn(net(runner).expect("it's spawned once"));
    stack.wait_config_up().await;

    let sound = async {
        loop {
            let run = calls::Run::begin();
            let stopped = audio::carry(&mut i2s).await;
            i2s.stop().await;
            let _ = stopped;
            run.end();
            log!("sound was interrupted");
        }
    };
    let quiet = async |quiet| {
        if codec.set_mute(quiet, quiet).await.is_err() {
            // It is off now, and switched on again the next time.
            log!("the codec chip doesn't answer");
        }
    };
    let button = Input::new(p.PC13, Pull::Down);
    embassy_futures::join::join(sound, calls::calls(stack, rng, "phone@nucleo", quiet, lamp, button)).await;
}

/// Nobody reads it: the board begins anew.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    log!("{}", defmt::Display2Format(info));
    let _ = info;
    cortex_m::peripheral::SCB::sys_reset()
}

#[cfg(feature = "defmt")]
use defmt_rtt as _;
