//! A desk phone on the STM32F746G-DISCO: G.711 over the board's Ethernet, with SRTP, and the WM8994's headphones and
//! line input.
//!
//! You learn how to connect SAI, a codec chip and embassy's network stack of a real board to the phone. `README.md`
//! beside it says how to build it, to flash it and to call it.

#![no_std]
#![no_main]

mod audio;
mod board;
mod calls;
#[allow(dead_code, reason = "here a call's keys stay")]
#[path = "../../qemu-phone/src/guard.rs"]
mod guard;
mod port;
mod signalling;
mod socket;

use embassy_executor::Spawner;
use embassy_net::{Config, Runner, StackResources};
use embassy_stm32::eth::{Ethernet, GenericPhy, PacketQueue, Sma};
use embassy_stm32::gpio::{Input, Level, Output, Pull, Speed};
use embassy_stm32::peripherals::{DMA1_CH2, DMA1_CH4, DMA2_CH4, DMA2_CH7, ETH, ETH_SMA, I2C3, RNG};
use embassy_stm32::rng::Rng;
use embassy_stm32::sai::{MasterClockDivider, Sai, TxRx, split_subblocks};
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
    I2C3_EV => i2c::EventInterruptHandler<I2C3>;
    I2C3_ER => i2c::ErrorInterruptHandler<I2C3>;
    DMA1_STREAM2 => dma::InterruptHandler<DMA1_CH2>;
    DMA1_STREAM4 => dma::InterruptHandler<DMA1_CH4>;
    DMA2_STREAM4 => dma::InterruptHandler<DMA2_CH4>;
    DMA2_STREAM7 => dma::InterruptHandler<DMA2_CH7>;
});

/// 24.574 MHz by 12: 256 times the rate.
const MCLK: MasterClockDivider = MasterClockDivider::DIV12;

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
    let lamp = Output::new(p.PI1, Level::Low, Speed::Low);

    // Sound. MCLK runs as soon as SAI is made, before the codec chip's PLL needs it.
    let (a, b) = split_subblocks(p.SAI2);
    let mut rx =
        port::Rx(Sai::new_synchronous(b, p.PG10, p.DMA2_CH7, HEARD.take(), Irqs, port::format(TxRx::Receiver, MCLK)));
    let mut tx = port::Tx(Sai::new_asynchronous_with_mclk(
        a,
        p.PI5,
        p.PI6,
        p.PI7,
        p.PI4,
        p.DMA2_CH4,
        PLAYED.take(),
        Irqs,
        port::format(TxRx::Transmitter, MCLK),
    ));
    let bus = i2c::I2c::new(p.I2C3, p.PH7, p.PH8, p.DMA1_CH4, p.DMA1_CH2, Irqs, i2c::Config::default());
    let mut codec = match audio::codec(bus).await {
        Ok(codec) => codec,
        Err(error) => {
            log!("the codec chip: {}", defmt::Debug2Format(&error));
            let _ = error;
            panic!("the codec chip")
        }
    };

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
        p.PG14,
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
            // The ring begins with silence; the first write starts the clocks of both directions.
            let started = rx.0.start();
            let begun = tx.0.write(&[0; audio::RING]).await;
            let stopped = audio::carry(&mut rx, &mut tx).await;
            let _ = (started, begun, stopped);
            run.end();
            log!("sound was interrupted");
        }
    };
    let button = Input::new(p.PI11, Pull::Down);
    let quiet = async |quiet| {
        if codec.set_mute(quiet, quiet).await.is_err() {
            // It is off now, and switched on again the next time.
            log!("the codec chip doesn't answer");
        }
    };
    embassy_futures::join::join(sound, calls::calls(stack, rng, "phone@disco", quiet, lamp, button)).await;
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
