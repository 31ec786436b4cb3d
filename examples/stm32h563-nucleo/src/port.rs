//! I2S as a port of slots, in both directions at once, for any STM32 whose I2S is full duplex: H5 and H7.

use embassy_stm32::i2s::{self, Reader, Writer};
use embassy_stm32::time::Hertz;
use host_embedded::slots::{SlotReader, SlotWriter};

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

/// The receiving half.
pub(crate) struct Rx<'s>(pub(crate) Reader<'s, 'static, u16>);
/// The sending half.
pub(crate) struct Tx<'s>(pub(crate) Writer<'s, 'static, u16>);

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
