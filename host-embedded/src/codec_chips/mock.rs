//! A bus with one chip on it that records writes, waits and reads, without a heap.
//!
//! Use it to test a chip's table or firmware around it. Limits: it answers like a memory; the test has to write values that a
//! real chip changes by itself, such as a jack's state.
//!
//! ```
//! use embassy_futures::block_on;
//! use host_embedded::codec_chips::mock::{BusEvent, Mock};
//! use host_embedded::codec_chips::wm8960::Wm8960;
//! use host_embedded::codec_chips::{Clocks, CodecChip, Rate, Role, Setup, Word};
//!
//! let clocks = Clocks { mclk_hz: 12_288_000, rate: Rate::Hz16000, role: Role::Slave, word: Word::Bits16 };
//! let mock: Mock<128> = Mock::of(&Wm8960::default());
//! let mut chip = CodecChip::new(Wm8960::default(), mock.bus(), mock.delay(), Setup::new(clocks));
//! block_on(chip.set_power(true))?;
//! assert_eq!(mock.event(0), Some(BusEvent::Write { register: 0x0f, value: 0 }));
//! assert_eq!(mock.event(1), Some(BusEvent::Wait { us: 1_000 }));
//! assert_eq!(mock.register(0x0a), Some(0x1ff));
//! # Ok::<(), host_embedded::codec_chips::ChipError<host_embedded::codec_chips::mock::Nack>>(())
//! ```

use core::cell::RefCell;

use embedded_hal_async::delay::DelayNs;
use embedded_hal_async::i2c::{Error, ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};

use super::chip::{Chip, ChipStep, Format, ResetWrite};
use super::driver::{asked, written};

/// One event on the mock bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BusEvent {
    /// A register was written.
    Write {
        /// Its address within the chip.
        register: u16,
        /// The value that was written.
        value: u16,
    },
    /// A register was read.
    Read {
        /// Its address within the chip.
        register: u16,
        /// The value that was read.
        value: u16,
    },
    /// No chip answered at this address.
    Nack,
    /// Time passed.
    Wait {
        /// The duration in microseconds.
        us: u32,
    },
}

/// The error of a transaction that no chip answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Nack;

impl Error for Nack {
    fn kind(&self) -> ErrorKind {
        ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown)
    }
}

/// Room for a chip's registers.
const REGISTERS: usize = 80;

struct State<const LOG: usize> {
    log: [BusEvent; LOG],
    events: usize,
    transactions: usize,
    /// The transactions that are not answered: the first one, and their number.
    deaf: (usize, usize),
    registers: [Option<(u16, u16)>; REGISTERS],
    /// The first register that changed clocks or paths while something could be heard.
    loud: Option<u16>,
    /// A register that returns another value for its first reads: register, value, number of such reads.
    late: Option<(u16, u16, usize)>,
}

/// A chip on a bus, with room for `LOG` events; later ones are counted alone.
pub struct Mock<const LOG: usize> {
    address: u8,
    format: Format,
    resets: &'static [super::Register],
    reset_write: Option<ResetWrite>,
    identity: Option<(u16, u16)>,
    sequences: [&'static [ChipStep]; 4],
    state: RefCell<State<LOG>>,
}

impl<const LOG: usize> Mock<LOG> {
    /// Creates a chip just out of a reset.
    pub fn of<C: Chip>(chip: &C) -> Self {
        let mock = Self {
            address: chip.address(),
            format: C::FORMAT,
            resets: C::REGISTERS,
            reset_write: C::RESET_WRITE,
            identity: C::IDENTITY.map(|identity| (identity.address, identity.value)),
            sequences: [C::UP, C::DOWN, C::CLOCKS, C::ROUTES],
            state: RefCell::new(State {
                log: [BusEvent::Nack; LOG],
                events: 0,
                transactions: 0,
                deaf: (0, 0),
                registers: [None; REGISTERS],
                loud: None,
                late: None,
            }),
        };
        mock.reset();
        mock
    }

    /// Returns the bus.
    pub const fn bus(&self) -> MockBus<'_, LOG> {
        MockBus(self)
    }

    /// Returns a delay that only records.
    pub const fn delay(&self) -> MockDelay<'_, LOG> {
        MockDelay(self)
    }

    /// Leaves `count` transactions unanswered, beginning with number `first`. Numbers start at 0 with the mock and are not reset
    /// by [`forget`](Self::forget), so the next one is number [`transactions`](Self::transactions).
    pub fn deafen(&self, first: usize, count: usize) {
        self.state.borrow_mut().deaf = (first, count);
    }

    /// Transactions so far, answered or not.
    pub fn transactions(&self) -> usize {
        self.state.borrow().transactions
    }

    /// Returns the event with this number; `None` after the last one, and for events for which there was no room.
    pub fn event(&self, number: usize) -> Option<BusEvent> {
        let state = self.state.borrow();
        (number < state.events).then(|| state.log.get(number).copied()).flatten()
    }

    /// Returns all writes in order, as register and value.
    pub fn writes(&self) -> impl Iterator<Item = (u16, u16)> {
        (0..self.events()).filter_map(|number| match self.event(number) {
            Some(BusEvent::Write { register, value }) => Some((register, value)),
            _ => None,
        })
    }

    /// Returns the number of events.
    pub fn events(&self) -> usize {
        self.state.borrow().events
    }

    /// Forgets what happened; the registers stay.
    pub fn forget(&self) {
        self.state.borrow_mut().events = 0;
    }

    /// Returns a register's value; `None` if the chip has no such register and it was never written.
    pub fn register(&self, register: u16) -> Option<u16> {
        self.state.borrow().get(register)
    }

    /// Sets a register from outside, as a chip does with its status: another chip's id, a jack, a PLL that locks.
    pub fn set_register(&self, register: u16, value: u16) {
        self.state.borrow_mut().set(register, value);
    }

    /// A register reads as `value` for `reads` times, and then as it is.
    pub fn set_late(&self, register: u16, value: u16, reads: usize) {
        self.state.borrow_mut().late = Some((register, value, reads));
    }

    /// Returns the first register whose bits of clocks or paths changed while something could be heard: while bits that mute, by
    /// the chip's table, were not all silent. `None`: no pop.
    pub fn loud(&self) -> Option<u16> {
        self.state.borrow().loud
    }

    /// Returns whether every output and input that can be silenced is silent.
    fn is_silent(&self) -> bool {
        let state = self.state.borrow();
        self.resets
            .iter()
            .all(|register| state.get(register.address).is_none_or(|value| register.silenced(value) == value))
    }

    fn reset(&self) {
        let mut state = self.state.borrow_mut();
        for register in self.resets {
            state.set(register.address, register.reset);
        }
        if let Some((register, value)) = self.identity {
            state.set(register, value);
        }
        // A condition that a sequence waits for is met at once: the PLL has locked.
        for step in self.sequences.into_iter().flatten() {
            if let ChipStep::Until { address, value, .. } = *step {
                state.set(address, value);
            }
        }
    }

    /// Returns an error if the chip doesn't answer.
    fn answers(&self, address: u8) -> Result<(), Nack> {
        let mut state = self.state.borrow_mut();
        let number = state.transactions;
        state.transactions += 1;
        if address != self.address || (number >= state.deaf.0 && number - state.deaf.0 < state.deaf.1) {
            state.note(BusEvent::Nack);
            return Err(Nack);
        }
        Ok(())
    }

    fn take(&self, bytes: &[u8]) -> Result<(), Nack> {
        let (register, value) = match (self.format, bytes) {
            (Format::SevenNine, &[high, low]) => (u16::from(high >> 1), (u16::from(high & 1) << 8) | u16::from(low)),
            (Format::EightEight, &[register, value]) => (u16::from(register), u16::from(value)),
            (Format::SixteenSixteen, &[a, b, c, d]) => (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
            _ => return Err(Nack),
        };
        let (again, length) = written(self.format, register, value);
        if again[..length] != *bytes {
            return Err(Nack);
        }
        self.state.borrow_mut().note(BusEvent::Write { register, value });
        match self.reset_write {
            Some(reset) if reset.address == register && reset.value == value => self.reset(),
            _ => {
                let known = self.resets.iter().find(|known| known.address == register);
                let now = self.register(register).unwrap_or_default();
                let changes = known.is_some_and(|known| (now ^ value) & (known.bits.clock | known.bits.path) != 0);
                let silent = !changes || self.is_silent();
                let mut state = self.state.borrow_mut();
                state.set(register, value);
                drop(state);
                if !silent || (changes && !self.is_silent()) {
                    self.state.borrow_mut().loud.get_or_insert(register);
                }
            }
        }
        Ok(())
    }

    fn answer(&self, question: &[u8], answer: &mut [u8]) -> Result<(), Nack> {
        let register = match (self.format, question) {
            (Format::SevenNine, &[register]) => u16::from(register >> 1),
            (Format::EightEight, &[register]) => u16::from(register),
            (Format::SixteenSixteen, &[high, low]) => u16::from_be_bytes([high, low]),
            _ => return Err(Nack),
        };
        if !asked(self.format, register).starts_with(question) {
            return Err(Nack);
        }
        let mut state = self.state.borrow_mut();
        let mut value = state.get(register).unwrap_or_default();
        if let Some((late, meanwhile, reads)) = state.late
            && late == register
            && reads > 0
        {
            value = meanwhile;
            state.late = Some((late, meanwhile, reads - 1));
        }
        state.note(BusEvent::Read { register, value });
        let bytes = value.to_be_bytes();
        answer.copy_from_slice(bytes.get(bytes.len().saturating_sub(answer.len())..).ok_or(Nack)?);
        Ok(())
    }
}

impl<const LOG: usize> State<LOG> {
    fn note(&mut self, event: BusEvent) {
        if let Some(place) = self.log.get_mut(self.events) {
            *place = event;
        }
        self.events += 1;
    }

    fn get(&self, register: u16) -> Option<u16> {
        self.registers.iter().flatten().find(|(address, _)| *address == register).map(|(_, value)| *value)
    }

    fn set(&mut self, register: u16, value: u16) {
        let place = self.registers.iter_mut().find(|place| place.is_none_or(|(address, _)| address == register));
        if let Some(place) = place {
            *place = Some((register, value));
        }
    }
}

/// The bus of a [`Mock`].
pub struct MockBus<'a, const LOG: usize>(&'a Mock<LOG>);

impl<const LOG: usize> ErrorType for MockBus<'_, LOG> {
    type Error = Nack;
}

impl<const LOG: usize> I2c for MockBus<'_, LOG> {
    async fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Nack> {
        self.0.answers(address)?;
        match operations {
            [Operation::Write(bytes)] => self.0.take(bytes),
            [Operation::Write(question), Operation::Read(answer)] => self.0.answer(question, answer),
            _ => Err(Nack),
        }
    }
}

/// The delay of a [`Mock`].
pub struct MockDelay<'a, const LOG: usize>(&'a Mock<LOG>);

impl<const LOG: usize> DelayNs for MockDelay<'_, LOG> {
    async fn delay_ns(&mut self, ns: u32) {
        self.0.state.borrow_mut().note(BusEvent::Wait { us: ns.div_ceil(1_000) });
    }

    async fn delay_us(&mut self, us: u32) {
        self.0.state.borrow_mut().note(BusEvent::Wait { us });
    }

    async fn delay_ms(&mut self, ms: u32) {
        self.0.state.borrow_mut().note(BusEvent::Wait { us: ms.saturating_mul(1_000) });
    }
}
