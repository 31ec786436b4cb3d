//! Sound: SAI2 by DMA, with a ring of two frames in each direction, the WM8994 behind it, and the pump between both
//! and the phone.

use embassy_stm32::i2c::I2c;
use embassy_stm32::mode::Async;
use embassy_stm32::peripherals::SAI2;
use embassy_stm32::sai;
use embassy_time::Delay;
use host_embedded::codec_chips::wm8994::Wm8994;
use host_embedded::codec_chips::{ChipError, Clocks, CodecChip, Decibels, Rate, Role, Route, Setup, Word};
use host_embedded::slots::{Bits16, Stopped, serve};

use crate::board::MCLK_HZ;
use crate::calls::{DEPTH, FRAME, PUMP};
use crate::port::{Rx, Tx};

/// Two frames of two slots: the halves that DMA takes in turn.
pub(crate) const RING: usize = 2 * 2 * FRAME;

pub(crate) type Codec = CodecChip<Wm8994, I2c<'static, Async, embassy_stm32::i2c::Master>, Delay>;

/// Carries frames until a side stops: an overrun, where this task was kept from running for 20 ms.
pub(crate) async fn carry(rx: &mut Rx<SAI2>, tx: &mut Tx<SAI2>) -> Stopped<sai::Error, sai::Error> {
    let mut frames = [[0; 2]; FRAME];
    serve::<Bits16, _, _, FRAME, DEPTH>(&PUMP, rx, tx, &mut frames, 0).await
}

/// The codec chip at work, silent until there is a call: headphones and the blue jack's line input.
pub(crate) async fn codec(
    bus: I2c<'static, Async, embassy_stm32::i2c::Master>,
) -> Result<Codec, ChipError<embassy_stm32::i2c::Error>> {
    let clocks = Clocks { mclk_hz: MCLK_HZ, rate: Rate::Hz8000, role: Role::Slave, word: Word::Bits16 };
    let setup = Setup {
        route: Route::Headset,
        gain: Decibels::new(12),
        bias: false,
        mute_output: true,
        mute_microphone: true,
        ..Setup::new(clocks)
    };
    let mut codec = CodecChip::new(Wm8994::default(), bus, Delay, setup);
    codec.set_power(true).await?;
    Ok(codec)
}
