//! The board: its clocks, and which part uses which pins.

use embassy_stm32::Config;
use embassy_stm32::rcc::{
    AHBPrescaler, APBPrescaler, Hse, HseMode, Pll, PllMul, PllPDiv, PllPreDiv, PllQDiv, PllSource, Sysclk, mux,
};
use embassy_stm32::time::Hertz;

/// Of the range for local use.
pub(crate) const HARDWARE_ADDRESS: [u8; 6] = [0x02, 0x00, 0x00, 0x00, 0x07, 0x46];

/// MCLK at the codec chip, 256 times the rate; its crystal's 25 MHz come to 87 millionths less.
pub(crate) const MCLK_HZ: u32 = 2_048_000;

/// 200 MHz from the crystal of 25 MHz, and for SAI 24.574 MHz: both PLLs have one divider before them, with which no setting
/// is closer to 24.576 MHz at a round clock of the core.
pub(crate) fn clocks() -> Config {
    let mut config = Config::default();
    let rcc = &mut config.rcc;
    rcc.hsi = false;
    rcc.hse = Some(Hse { freq: Hertz(25_000_000), mode: HseMode::Oscillator });
    rcc.pll_src = PllSource::HSE;
    // 25 MHz / 16 * 256 = 400 MHz; a ninth of it for the random numbers.
    rcc.pll = Some(Pll {
        prediv: PllPreDiv::DIV16,
        mul: PllMul::MUL256,
        divp: Some(PllPDiv::DIV2),
        divq: Some(PllQDiv::DIV9),
        divr: None,
    });
    // 25 MHz / 16 * 173 / 11.
    rcc.plli2s =
        Some(Pll { prediv: PllPreDiv::DIV16, mul: PllMul::MUL173, divp: None, divq: Some(PllQDiv::DIV11), divr: None });
    rcc.sys = Sysclk::PLL1_P;
    rcc.ahb_pre = AHBPrescaler::DIV1;
    rcc.apb1_pre = APBPrescaler::DIV4;
    rcc.apb2_pre = APBPrescaler::DIV2;
    rcc.mux.sai2sel = mux::Saisel::PLLI2S1_Q;
    rcc.mux.clk48sel = mux::Clk48sel::PLL1_Q;
    config
}
