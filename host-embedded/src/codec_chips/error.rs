//! Why a chip isn't as it should be.

use core::fmt;

use super::setup::ClockError;

/// A register of a chip on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BusRegister {
    /// The chip's name.
    pub chip: &'static str,
    /// Its address on the bus, 7 bits.
    pub address: u8,
    /// The register's address within the chip.
    pub register: u16,
    /// The register's name.
    pub name: &'static str,
}

impl fmt::Display for BusRegister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at address {:#04x}, register {:#04x} ({})", self.chip, self.address, self.register, self.name)
    }
}

/// The reason why a chip is not in the requested state. It is silent and off then, as far as the bus still carries that, and the
/// next call begins with a reset; but nothing was written with [`ChipError::Clocks`], [`ChipError::NoJack`] and
/// [`ChipError::WrongChip`], nor by [`CodecChip::jack`](super::CodecChip::jack).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ChipError<E> {
    /// The bus reported a failed transaction: no device answered, or the bus has a fault.
    Bus(BusRegister, E),
    /// The device answers, but it's another chip.
    WrongChip {
        /// The register that says it.
        place: BusRegister,
        /// The value that the bits must have.
        expected: u16,
        /// The value that was read.
        found: u16,
    },
    /// A register didn't get the expected value in time.
    Late {
        /// The register.
        place: BusRegister,
        /// The time that the driver waited, in ms.
        waited_ms: u32,
    },
    /// The clocks can't be made.
    Clocks(ClockError),
    /// The chip has no register that says whether something is in the jack.
    NoJack(&'static str),
}

impl<E> From<ClockError> for ChipError<E> {
    fn from(error: ClockError) -> Self {
        Self::Clocks(error)
    }
}

impl<E: fmt::Debug> fmt::Display for ChipError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bus(place, error) => write!(f, "{place}: the bus says {error:?}"),
            Self::WrongChip { place, expected, found } => {
                write!(f, "{place}: reads {found:#06x} where the chip has {expected:#06x}: another chip is there")
            }
            Self::Late { place, waited_ms } => write!(f, "{place}: not ready after {waited_ms} ms"),
            Self::Clocks(error) => error.fmt(f),
            Self::NoJack(chip) => write!(f, "{chip} has no register that says whether something is in the jack"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for ChipError<E> {}
