//! The driver's view of a codec chip: a table of registers, their values for a [`Setup`], and the order of writes.

use super::setup::{ClockError, Clocks, Decibels, Route, Setup};

/// The layout of a register's address and value in the bytes on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Format {
    /// 7 bits of address and 9 of value, in two bytes.
    SevenNine,
    /// A byte each.
    EightEight,
    /// 16 bits each, the high byte first.
    SixteenSixteen,
}

/// The bits of a register by the condition under which they may change. A bit in none of the masks is a level: it changes while
/// sound is playing. No bit is in two masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Bits {
    /// Clocks: they change by [`Chip::CLOCKS`].
    pub clock: u16,
    /// Power and paths: they change by [`Chip::ROUTES`].
    pub path: u16,
    /// Bits that silence something: a mute, a volume that ends in silence, or a mixer that may have no input.
    pub mute: u16,
    /// The value of the bits in `mute` at which the chip is silent.
    pub muted: u16,
}

impl Bits {
    /// A register of levels.
    pub const LEVEL: Self = Self { clock: 0, path: 0, mute: 0, muted: 0 };
    /// A register of clocks.
    pub const CLOCK: Self = Self { clock: 0xffff, path: 0, mute: 0, muted: 0 };
    /// A register of power or paths.
    pub const PATH: Self = Self { clock: 0, path: 0xffff, mute: 0, muted: 0 };

    /// Creates a register of levels whose bits `mask` are `muted` when it is silent.
    pub const fn mute(mask: u16, muted: u16) -> Self {
        Self { clock: 0, path: 0, mute: mask, muted }
    }

    /// Returns the same register with these bits of paths.
    pub const fn and_path(self, path: u16) -> Self {
        Self { path, ..self }
    }

    /// Returns the same register with these bits of clocks.
    pub const fn and_clock(self, clock: u16) -> Self {
        Self { clock, path: self.path & !clock, ..self }
    }
}

/// A register that the driver owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Register {
    /// Its address within the chip.
    pub address: u16,
    /// Its name in the datasheet's register map, or what drivers call it.
    pub name: &'static str,
    /// Its value after a reset.
    pub reset: u16,
    /// The bits by the condition under which they may change.
    pub bits: Bits,
}

impl Register {
    /// `value` with what silences it.
    pub const fn silenced(&self, value: u16) -> u16 {
        (value & !self.bits.mute) | self.bits.muted
    }
}

/// One step of a sequence. Registers are given by their places in [`Chip::REGISTERS`]. Within a sequence all outputs stay
/// silent, whatever its steps say: the driver keeps the bits that mute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ChipStep {
    /// Brings bits of a register to their target values. Nothing is written where they have them already.
    Reach(usize, u16),
    /// Sets bits of a register to another value for a while: register, mask, value. They return to their target value at a later
    /// [`ChipStep::Reach`], or else after the last step, in the table's order.
    Hold(usize, u16, u16),
    /// Milliseconds.
    Wait(u32),
    /// Waits like [`ChipStep::Wait`], but only if these bits of the register are set at that point: register, bits, milliseconds.
    WaitIf(usize, u16, u32),
    /// Reads a register until bits of it have a value, if a register of the table has bits set: a PLL that locks.
    Until {
        /// The register that is read, by its address.
        address: u16,
        /// Its name.
        name: &'static str,
        /// The bits.
        mask: u16,
        /// Their value.
        value: u16,
        /// The longest wait, in ms.
        most_ms: u32,
        /// The condition: these bits of the table's register must be set. Its place, and the bits.
        only_if: (usize, u16),
    },
    /// Writes [`Chip::RESET_WRITE`], after which all registers have their reset values. Does nothing for a chip without one.
    Reset,
}

/// A write that resets a chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ResetWrite {
    /// The register's address.
    pub address: u16,
    /// Its name.
    pub name: &'static str,
    /// The value that is written.
    pub value: u16,
}

/// A register that says which chip this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct IdentityRegister {
    /// The register's address.
    pub address: u16,
    /// Its name.
    pub name: &'static str,
    /// The bits of the register that identify the chip.
    pub mask: u16,
    /// The value that those bits must have.
    pub value: u16,
}

/// Bits of a register that say whether something is in the jack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct JackFlag {
    /// The register's address.
    pub address: u16,
    /// Its name.
    pub name: &'static str,
    /// Any of these bits is set when something is in it.
    pub mask: u16,
}

/// Times of a chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ChipTimings {
    /// The time that sound takes to fade once it is muted, in ms. The driver waits for it once, after the first mute that it
    /// writes: the last register of the table that isn't silent yet.
    pub mute_ms: u32,
    /// The time from [`Chip::RESET_WRITE`] until the chip accepts further writes, in ms; 0 for a chip without a reset.
    pub reset_ms: u32,
    /// The time after power-on for which a chip may leave its first transaction unanswered, in ms.
    pub patience_ms: u32,
}

/// The frame clock that a chip makes, or expects as a slave, in thousandths of a Hz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Achieved {
    /// Thousandths of a Hz.
    pub millihertz: u64,
    /// Whether the chip's PLL is in use.
    pub pll: bool,
}

/// A codec chip. [`CodecChip`](super::CodecChip) drives any; [`codec_chip_registers!`](crate::codec_chip_registers) writes
/// the table.
pub trait Chip {
    /// One value for each register of the table: `[u16; N]`.
    type Image: Copy + AsRef<[u16]> + AsMut<[u16]>;

    /// Its name.
    const NAME: &'static str;
    /// The layout of registers in bytes on the bus.
    const FORMAT: Format;
    /// All registers that the driver owns, at most 64, in the order in which they are brought to their target values. Bits that
    /// mute are silenced in the opposite order: a stage that fades by itself comes last. A chip without a reset is brought to its
    /// reset values in the opposite order too: power that is last in the table is switched on after its clocks and off before
    /// them.
    const REGISTERS: &'static [Register];
    /// The values of a reset, in the table's order.
    const RESET: Self::Image;
    /// The write that resets it. A chip without one, `None`, is brought to the values of [`Chip::RESET`] register by register,
    /// from the end of the table on: at the first call, since a restart of the processor may have left it at work, at power-off,
    /// and after an error.
    const RESET_WRITE: Option<ResetWrite>;
    /// The register that identifies the chip; `None` for a chip that has no such register or can't be read.
    const IDENTITY: Option<IdentityRegister>;
    /// The bits that report whether something is plugged into the jack; `None` where no register reports it, or only by a bit
    /// that is clear then.
    const JACK: Option<JackFlag>;
    /// Its times.
    const TIMES: ChipTimings;
    /// The steps from reset values to operation. After the last step of this and of each other list, every register that still
    /// differs follows in the table's order; an empty list means the table's order alone.
    const UP: &'static [ChipStep];
    /// The steps from operation to reset values. The last step is [`ChipStep::Reset`] if the chip has one; otherwise every
    /// register that still differs follows, from the end of the table backwards.
    const DOWN: &'static [ChipStep];
    /// The steps during operation when any clock bits change, together with whatever else changes.
    const CLOCKS: &'static [ChipStep];
    /// The steps during operation when any path bits change, but no clock bits.
    const ROUTES: &'static [ChipStep];

    /// Its address on the bus, 7 bits.
    fn address(&self) -> u8;

    /// Writes the values of all registers for `setup` into `image`, as if the chip were switched on (`setup.power` is ignored).
    /// `image` initially holds the reset values. Settings that the chip can't have are left out, or rounded; only clocks are
    /// refused.
    ///
    /// # Errors
    /// [`ClockError`] if the clocks can't be made.
    fn image(&self, setup: &Setup, image: &mut Self::Image) -> Result<(), ClockError>;

    /// Returns the rate that these clocks produce. The fraction of a PLL has a limited number of bits, so a master is off by some
    /// millionths.
    ///
    /// # Errors
    /// [`ClockError`] if the clocks can't be made.
    fn achieved(&self, clocks: &Clocks) -> Result<Achieved, ClockError>;

    /// The lowest and the highest volume on this route, silence aside.
    fn volumes(&self, route: Route) -> (Decibels, Decibels);

    /// The lowest and the highest gain of this route's microphone or line input.
    fn gains(&self, route: Route) -> (Decibels, Decibels);

    /// The lowest and the highest sidetone; `None` if there is no way from this route's microphone to its output in the chip.
    fn sidetones(&self, route: Route) -> Option<(Decibels, Decibels)>;
}

/// Returns the values of a reset, in the table's order.
///
/// # Panics
/// It panics if there are more than 64 registers; in a constant that is a compile error.
pub const fn resets<const N: usize>(registers: &[Register; N]) -> [u16; N] {
    assert!(N <= 64, "one bit of 64 says of each register whether its value is known");
    let mut values = [0; N];
    let mut place = 0;
    while place < N {
        values[place] = registers[place].reset;
        place += 1;
    }
    values
}

/// Writes a chip's table of registers: a constant with the place of each, `TABLE`, `COUNT` and `RESETS`. The text is the
/// datasheet's section, as documentation.
///
/// ```
/// use host_embedded::codec_chips::Bits;
///
/// host_embedded::codec_chip_registers! {
///     POWER = 0x01, reset 0x000, Bits::PATH, "Power management";
///     VOLUME = 0x02, reset 0x080, Bits::mute(0x080, 0x080), "Output volume";
/// }
/// assert_eq!((VOLUME, COUNT, TABLE[VOLUME].address, RESETS[VOLUME]), (1, 2, 0x02, 0x080));
/// # let _ = POWER;
/// ```
#[macro_export]
macro_rules! codec_chip_registers {
    ($($(#[$more:meta])* $name:ident = $address:literal, reset $reset:literal, $bits:expr, $section:literal;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, dead_code, reason = "the datasheet's names, in its case")]
        enum Place { $($name),* }
        $(
            #[doc = $section]
            $(#[$more])*
            const $name: usize = Place::$name as usize;
        )*
        const COUNT: usize = [$($address),*].len();
        const TABLE: [$crate::codec_chips::Register; COUNT] = [$(
            $crate::codec_chips::Register { address: $address, name: stringify!($name), reset: $reset, bits: $bits },
        )*];
        const RESETS: [u16; COUNT] = $crate::codec_chips::resets(&TABLE);
    };
}
