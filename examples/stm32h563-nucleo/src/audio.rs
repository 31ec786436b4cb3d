//! Sound: I2S by DMA in a ring of two frames each way, the WM8960 behind it, and the pump between them and the phone.

use embassy_stm32::i2c::I2c;
use embassy_stm32::i2s::{self, I2S, Reader, Writer};
use embassy_stm32::mode::Async;
use embassy_stm32::time::Hertz;
use embassy_time::Delay;
use host_embedded::codec_chips::wm8960::{Input, Output, Pins, Wm8960};
use host_embedded::codec_chips::{ChipError, Clocks, CodecChip, Rate, Role, Route, Setup, Wiring, Word};
use host_embedded::slots::{Bits16, SlotReader, SlotWriter, Stopped, serve};

use crate::board::MCLK_HZ;
use crate::calls::{DEPTH, FRAME, PUMP};

/// Two frames of two slots: the halves that DMA takes in turn.
pub(crate) const RING: usize = 2 * 2 * FRAME;

pub(crate) type Codec = CodecChip<Wm8960, I2c<'static, Async, embassy_stm32::i2c::Master>, Delay>;

/// 16 bits in slots of 32; the codec chip is the master.
pub(crate) fn format() -> i2s::Config {
    let mut config = i2s::Config::default();
    config.mode = i2s::Mode::Slave;
    config.standard = i2s::Standard::Philips;
    config.format = i2s::Format::Data16Channel32;
    config.frequency = Hertz(8_000);
    config.master_clock = false;
    config
}

struct Rx<'s>(Reader<'s, 'static, u16>);
struct Tx<'s>(Writer<'s, 'static, u16>);

impl SlotReader<u16> for Rx<'_> {
    type Error = i2s::Error;

    async fn read(&mut self, slots: &mut [u16]) -> Result<(), i2s::Error> {
        self.0.read(slots).await
    }
}

impl SlotWriter<u16> for Tx<'_> {
    type Error = i2s::Error;

    async fn write(&mut self, slots: &[u16]) -> Result<(), i2s::Error> {
        self.0.write(slots).await
    }
}

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
    let headset = Pins { output: Output::Headphones, input: Input::Single };
    let chip = Wm8960 { wiring: Wiring { headset, ..Wm8960::default().wiring } };
    let mut codec = CodecChip::new(chip, bus, Delay, setup);
    codec.set_power(true).await?;
    Ok(codec)
}
