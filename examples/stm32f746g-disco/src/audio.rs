//! Sound: SAI2 by DMA in a ring of two frames each way, the WM8994 behind it, and the pump between them and the phone.

use embassy_stm32::i2c::I2c;
use embassy_stm32::mode::Async;
use embassy_stm32::peripherals::SAI2;
use embassy_stm32::sai::{self, Sai};
use embassy_time::Delay;
use host_embedded::codec_chips::wm8994::Wm8994;
use host_embedded::codec_chips::{ChipError, Clocks, CodecChip, Decibels, Rate, Role, Route, Setup, Word};
use host_embedded::slots::{Bits16, SlotReader, SlotWriter, Stopped, serve};

use crate::board::MCLK_HZ;
use crate::calls::{DEPTH, FRAME, PUMP};

/// Two frames of two slots: the halves that DMA takes in turn.
pub(crate) const RING: usize = 2 * 2 * FRAME;

pub(crate) type Codec = CodecChip<Wm8994, I2c<'static, Async, embassy_stm32::i2c::Master>, Delay>;

/// 16 bits in slots of 32, as I2S: the codec chip gets MCLK, and is the slave.
pub(crate) fn format(tx_rx: sai::TxRx) -> sai::Config {
    let mut config = sai::Config::default();
    config.tx_rx = tx_rx;
    config.slot_size = sai::SlotSize::Channel32;
    config.data_size = sai::DataSize::Data16;
    config.bit_order = sai::BitOrder::MsbFirst;
    config.frame_length = 64;
    config.frame_sync_active_level_length = sai::word::U7(32);
    // 24.574 MHz / 12, and 256 of these a frame.
    config.master_clock_divider = sai::MasterClockDivider::DIV12;
    // What is written at the falling edge is read at the rising one.
    config.clock_strobe =
        if matches!(tx_rx, sai::TxRx::Transmitter) { sai::ClockStrobe::Falling } else { sai::ClockStrobe::Rising };
    config
}

/// The receiving half.
pub(crate) struct Rx(pub(crate) Sai<'static, SAI2, u16>);
/// The sending half.
pub(crate) struct Tx(pub(crate) Sai<'static, SAI2, u16>);

impl SlotReader<u16> for Rx {
    type Error = sai::Error;

    async fn read(&mut self, slots: &mut [u16]) -> Result<(), sai::Error> {
        self.0.read(slots).await
    }
}

impl SlotWriter<u16> for Tx {
    type Error = sai::Error;

    async fn write(&mut self, slots: &[u16]) -> Result<(), sai::Error> {
        self.0.write(slots).await
    }
}

/// Carries frames until a side stops: an overrun, where this task was kept from running for 20 ms.
pub(crate) async fn carry(rx: &mut Rx, tx: &mut Tx) -> Stopped<sai::Error, sai::Error> {
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
