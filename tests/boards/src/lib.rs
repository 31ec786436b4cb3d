//! SAI and I2S of the examples for boards, for an H7 part.

#![no_std]

#[path = "../../../examples/stm32h563-nucleo/src/port.rs"]
mod i2s;
#[path = "../../../examples/stm32f746g-disco/src/port.rs"]
mod sai;

use embassy_stm32::i2s::I2S;
use embassy_stm32::peripherals::SAI1;
use embassy_stm32::sai::{MasterClockDivider, Sai, TxRx};
use host_embedded::pump::Pump;
use host_embedded::slots::{Bits16, serve};

static PUMP: Pump<80, 3> = Pump::new();

/// Until a side stops.
pub async fn carry_sai(rx: Sai<'static, SAI1, u16>, tx: Sai<'static, SAI1, u16>) {
    let mut frames = [[0; 2]; 80];
    serve::<Bits16, _, _, 80, 3>(&PUMP, &mut sai::Rx(rx), &mut sai::Tx(tx), &mut frames, 0).await;
}

/// Until a side stops.
pub async fn carry_i2s(i2s: &mut I2S<'static, u16>) {
    let Ok((rx, tx)) = i2s.split() else { return };
    let mut frames = [[0; 2]; 80];
    serve::<Bits16, _, _, 80, 3>(&PUMP, &mut i2s::Rx(rx), &mut i2s::Tx(tx), &mut frames, 0).await;
}

/// Their formats.
pub fn formats() -> (embassy_stm32::sai::Config, embassy_stm32::i2s::Config) {
    (sai::format(TxRx::Transmitter, MasterClockDivider::DIV12), i2s::format())
}
