//! The board's clocks.

use embassy_stm32::Config;
use embassy_stm32::rcc::{Hse, HseMode, Pll, PllDiv, PllMul, PllPreDiv, PllSource, Sysclk, VoltageScale};
use embassy_stm32::time::Hertz;

/// Of the range for local use.
pub(crate) const HARDWARE_ADDRESS: [u8; 6] = [0x02, 0x00, 0x00, 0x00, 0x05, 0x63];

/// The crystal of the codec chip's board.
pub(crate) const MCLK_HZ: u32 = 24_000_000;

/// 240 MHz from the 8 MHz of the board's debugger. The codec chip has its own crystal, and makes the clocks of sound.
pub(crate) fn clocks() -> Config {
    let mut config = Config::default();
    let rcc = &mut config.rcc;
    rcc.hsi = None;
    rcc.hse = Some(Hse { freq: Hertz(8_000_000), mode: HseMode::BypassDigital });
    // 8 MHz / 2 * 120 = 480 MHz; a quarter for I2S, which as a slave only has to be faster than the bit clock.
    rcc.pll1 = Some(Pll {
        source: PllSource::HSE,
        prediv: PllPreDiv::DIV2,
        mul: PllMul::MUL120,
        divp: Some(PllDiv::DIV2),
        divq: Some(PllDiv::DIV4),
        divr: None,
    });
    rcc.sys = Sysclk::PLL1_P;
    rcc.voltage_scale = VoltageScale::Scale0;
    config
}
