//! Sound: I2S by DMA, with a ring of two frames in each direction, the WM8960 behind it, and the pump between both and
//! the phone.

use embassy_stm32::i2c::I2c;
use embassy_stm32::i2s::{self, I2S};
use embassy_stm32::mode::Async;
use embassy_time::Delay;
use host_embedded::codec_chips::wm8960::{Wm8960, Wm8960Input, Wm8960Output};
use host_embedded::codec_chips::{ChipError, Clocks, CodecChip, Pins, Rate, Role, Route, Setup, Wiring, Word};
use host_embedded::slots::{Bits16, Stopped, serve};

use crate::board::MCLK_HZ;
use crate::calls::{DEPTH, FRAME, PUMP};
use crate::port::{Rx, Tx};

/// Two frames of two slots: the halves that DMA takes in turn.
pub(crate) const RING: usize = 2 * 2 * FRAME;

pub(crate) type Codec = CodecChip<Wm8960, I2c<'static, Async, embassy_stm32::i2c::Master>, Delay>;

/// Carries frames until a side stops: an overrun, where this task was kept from running for 20 ms.
pub(crate) async fn carry(i2s: &mut I2S<'static, u16>) -> Result<Stopped<i2s::Error, i2s::Error>, i2s::Error> {
    // The ring begins full of silence: what is read has room by then.
    i2s.write_immediate(&[0; RING]).await?;
    i2s.start();
    let (rx, tx) = i2s.split()?;
    let mut frames = [[0; 2]; FRAME];
    Ok(serve::<Bits16, _, _, FRAME, DEPTH>(&PUMP, &mut Rx(rx), &mut Tx(tx), &mut frames, 0).await)
}

/// The codec chip at work, silent until there is a call: headphones, and a microphone at LINPUT1.
pub(crate) async fn codec(
    bus: I2c<'static, Async, embassy_stm32::i2c::Master>,
) -> Result<Codec, ChipError<embassy_stm32::i2c::Error>> {
    let clocks = Clocks { mclk_hz: MCLK_HZ, rate: Rate::Hz8000, role: Role::Master, word: Word::Bits16 };
    let setup = Setup { route: Route::Headset, mute_output: true, mute_microphone: true, ..Setup::new(clocks) };
    let headset = Pins { output: Wm8960Output::Headphones, input: Wm8960Input::Single };
    let chip = Wm8960 { wiring: Wiring { headset, ..Wm8960::default().wiring } };
    let mut codec = CodecChip::new(chip, bus, Delay, setup);
    codec.set_power(true).await?;
    Ok(codec)
}
