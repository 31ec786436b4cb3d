//! SAI as a port of slots, for any STM32 that has SAI: samples of 16 bits in slots of 32 bits, as I2S, with MCLK for
//! the codec chip, which is the slave.

use embassy_stm32::sai::{self, Sai};
use host_embedded::slots::{SlotReader, SlotWriter};

/// MCLK is 256 times the rate, and `divider` makes it.
pub(crate) fn format(tx_rx: sai::TxRx, divider: sai::MasterClockDivider) -> sai::Config {
    let mut config = sai::Config::default();
    config.tx_rx = tx_rx;
    config.slot_size = sai::SlotSize::Channel32;
    config.data_size = sai::DataSize::Data16;
    config.bit_order = sai::BitOrder::MsbFirst;
    config.frame_length = 64;
    config.frame_sync_active_level_length = sai::word::U7(32);
    config.master_clock_divider = divider;
    // Both directions: what changes at the falling edge is read at the rising one.
    config.clock_strobe = sai::ClockStrobe::Rising;
    config
}

/// The receiving half.
pub(crate) struct Rx<T: sai::Instance>(pub(crate) Sai<'static, T, u16>);
/// The sending half.
pub(crate) struct Tx<T: sai::Instance>(pub(crate) Sai<'static, T, u16>);

impl<T: sai::Instance> SlotReader<u16> for Rx<T> {
    type Error = sai::Error;

    async fn read(&mut self, slots: &mut [u16]) -> Result<(), sai::Error> {
        self.0.read(slots).await
    }
}

impl<T: sai::Instance> SlotWriter<u16> for Tx<T> {
    type Error = sai::Error;

    async fn write(&mut self, slots: &[u16]) -> Result<(), sai::Error> {
        self.0.write(slots).await
    }
}
