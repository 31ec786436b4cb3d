//! The driver, which brings a chip from its present state to the requested one, over the bus.

use embedded_hal_async::delay::DelayNs;
use embedded_hal_async::i2c::I2c;

use super::chip::{Achieved, Chip, ChipStep, Format, Register};
use super::error::{BusRegister, ChipError};
use super::setup::{ClockError, Clocks, Decibels, Rate, Route, Setup};

/// The driver's knowledge of the chip's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The state is unknown, or a sequence was interrupted: the next call begins with a reset.
    Unknown,
    /// Its registers are those of a reset.
    Off,
    /// It works.
    On,
}

/// A codec chip on a bus.
///
/// Any order of calls ends with the same registers as [`apply`](Self::apply) of the last state: they are computed from that state
/// alone, and those that differ are written. While power, clocks or paths change, everything that can be silenced is silent; the
/// driver keeps the bits that mute during a sequence, whatever a chip's steps say.
///
/// A call whose future is dropped midway counts as failed: the next begins with a reset. A change of levels alone (volume, gain,
/// mute) needs none; its writes are single transactions, and a write that was not confirmed is repeated.
///
/// This example switches from the handset to the loudspeaker in a call, on a bus that only records:
///
/// ```
/// use embassy_futures::block_on;
/// use host_embedded::codec_chips::mock::Mock;
/// use host_embedded::codec_chips::wm8960::Wm8960;
/// use host_embedded::codec_chips::{Clocks, CodecChip, Decibels, Rate, Role, Route, Setup, Word};
///
/// let clocks = Clocks { mclk_hz: 12_288_000, rate: Rate::Hz16000, role: Role::Slave, word: Word::Bits16 };
/// let mock: Mock<256> = Mock::of(&Wm8960::default());
/// let mut chip = CodecChip::new(Wm8960::default(), mock.bus(), mock.delay(), Setup::new(clocks));
/// block_on(chip.set_power(true))?;
/// block_on(chip.set_route(Route::Speakerphone))?;
/// block_on(chip.set_volume(Decibels::new(-6)))?;
/// assert!(chip.is_on());
/// assert_eq!(chip.setup().route, Route::Speakerphone);
///
/// // What is so already isn't written again.
/// mock.forget();
/// block_on(chip.set_volume(Decibels::new(-6)))?;
/// assert_eq!(mock.writes().count(), 0);
/// # Ok::<(), host_embedded::codec_chips::ChipError<host_embedded::codec_chips::mock::Nack>>(())
/// ```
pub struct CodecChip<C: Chip, B, D> {
    chip: C,
    bus: B,
    delay: D,
    setup: Setup,
    /// The chip's registers; an entry is valid only where its bit in `known` is set.
    image: C::Image,
    known: u64,
    phase: Phase,
}

impl<C: Chip, B: I2c, D: DelayNs> CodecChip<C, B, D> {
    /// Creates a chip that nothing is known of. Nothing is written yet, and `setup` isn't applied.
    pub fn new(chip: C, bus: B, delay: D, setup: Setup) -> Self {
        let setup = Setup { power: false, ..setup };
        Self { chip, bus, delay, setup, image: C::RESET, known: 0, phase: Phase::Unknown }
    }

    /// Returns the last setup that was requested and applied successfully.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Returns whether the chip works, as far as this driver knows.
    pub fn is_on(&self) -> bool {
        self.phase == Phase::On
    }

    /// Returns the rate that the clocks of [`setup`](Self::setup) produce.
    ///
    /// # Errors
    /// [`ClockError`] if the clocks can't be made.
    pub fn achieved(&self) -> Result<Achieved, ClockError> {
        self.chip.achieved(&self.setup.clocks)
    }

    /// Returns the bus and the delay. The chip keeps its state.
    pub fn release(self) -> (B, D) {
        (self.bus, self.delay)
    }

    /// Brings the chip to this state.
    ///
    /// # Errors
    /// [`ChipError`]; after any of them but [`ChipError::Clocks`] the chip is silent and off, as far as the bus still works.
    pub async fn apply(&mut self, setup: &Setup) -> Result<(), ChipError<B::Error>> {
        let mut target = C::RESET;
        self.chip.image(setup, &mut target)?;
        match self.reach(setup.power, &target).await {
            Ok(()) => {
                self.setup = *setup;
                Ok(())
            }
            Err(error) => {
                // A caller that asked for silence gets it, whatever it asks for next.
                self.setup.power &= setup.power;
                self.setup.mute_output |= setup.mute_output;
                self.setup.mute_microphone |= setup.mute_microphone;
                // Another chip is left alone.
                if !matches!(error, ChipError::WrongChip { .. }) {
                    self.make_safe().await;
                }
                Err(error)
            }
        }
    }

    /// Switches it on or off.
    ///
    /// # Errors
    /// The same as for [`apply`](Self::apply).
    pub async fn set_power(&mut self, power: bool) -> Result<(), ChipError<B::Error>> {
        self.apply(&Setup { power, ..self.setup }).await
    }

    /// Another rate of the same MCLK.
    ///
    /// # Errors
    /// The same as for [`apply`](Self::apply).
    pub async fn set_rate(&mut self, rate: Rate) -> Result<(), ChipError<B::Error>> {
        self.apply(&Setup { clocks: Clocks { rate, ..self.setup.clocks }, ..self.setup }).await
    }

    /// Another route.
    ///
    /// # Errors
    /// The same as for [`apply`](Self::apply).
    pub async fn set_route(&mut self, route: Route) -> Result<(), ChipError<B::Error>> {
        self.apply(&Setup { route, ..self.setup }).await
    }

    /// Another volume.
    ///
    /// # Errors
    /// The same as for [`apply`](Self::apply).
    pub async fn set_volume(&mut self, volume: Decibels) -> Result<(), ChipError<B::Error>> {
        self.apply(&Setup { volume, ..self.setup }).await
    }

    /// Another gain of the microphone.
    ///
    /// # Errors
    /// The same as for [`apply`](Self::apply).
    pub async fn set_gain(&mut self, gain: Decibels) -> Result<(), ChipError<B::Error>> {
        self.apply(&Setup { gain, ..self.setup }).await
    }

    /// Silences output and microphone, or lets them be heard.
    ///
    /// # Errors
    /// The same as for [`apply`](Self::apply).
    pub async fn set_mute(&mut self, output: bool, microphone: bool) -> Result<(), ChipError<B::Error>> {
        self.apply(&Setup { mute_output: output, mute_microphone: microphone, ..self.setup }).await
    }

    /// Another sidetone.
    ///
    /// # Errors
    /// The same as for [`apply`](Self::apply).
    pub async fn set_sidetone(&mut self, sidetone: Option<Decibels>) -> Result<(), ChipError<B::Error>> {
        self.apply(&Setup { sidetone, ..self.setup }).await
    }

    /// Returns whether something is in the jack.
    ///
    /// # Errors
    /// [`ChipError::NoJack`] if no register reports it, or the error of the bus; the chip keeps its state.
    pub async fn jack(&mut self) -> Result<bool, ChipError<B::Error>> {
        let flag = C::JACK.ok_or(ChipError::NoJack(C::NAME))?;
        let value = self.read(flag.address, flag.name).await?;
        Ok(value & flag.mask != 0)
    }

    async fn reach(&mut self, power: bool, target: &C::Image) -> Result<(), ChipError<B::Error>> {
        if self.phase == Phase::Unknown {
            self.start().await?;
        }
        let steps = match (self.phase == Phase::On, power) {
            (false, false) => return Ok(()),
            (false, true) => C::UP,
            (true, false) => C::DOWN,
            (true, true) if self.differs(target, |register| register.bits.clock) => C::CLOCKS,
            (true, true) if self.differs(target, |register| register.bits.path) => C::ROUTES,
            (true, true) => return self.write_all(target, |_, value| value).await,
        };
        let target = if power { target } else { &C::RESET };
        // A caller that drops the future from here on leaves the chip in an intermediate state.
        let was_on = self.phase == Phase::On;
        self.phase = Phase::Unknown;
        self.silence(was_on).await?;
        for step in steps {
            self.step(*step, target).await?;
        }
        // After a reset nothing is left to be silenced.
        if power {
            self.write_all(target, Register::silenced).await?;
        } else if C::RESET_WRITE.is_none() {
            self.unwind().await?;
        }
        self.write_all(target, |_, value| value).await?;
        self.phase = if power { Phase::On } else { Phase::Off };
        Ok(())
    }

    /// Finds the chip and brings it to the values of a reset.
    async fn start(&mut self) -> Result<(), ChipError<B::Error>> {
        self.known = 0;
        let mut waited_ms = 0;
        if let Some(identity) = C::IDENTITY {
            let found = loop {
                match self.read(identity.address, identity.name).await {
                    Ok(found) => break found,
                    Err(error) => self.be_patient(&mut waited_ms, error).await?,
                }
            };
            if found & identity.mask != identity.value {
                let (place, expected) = (self.place(identity.address, identity.name), identity.value);
                return Err(ChipError::WrongChip { place, expected, found: found & identity.mask });
            }
        }
        if let Some(reset) = C::RESET_WRITE {
            while let Err(error) = self.send(reset.address, reset.name, reset.value).await {
                self.be_patient(&mut waited_ms, error).await?;
            }
            self.after_reset().await;
        } else {
            self.silence(false).await?;
            self.unwind().await?;
            self.write_all(&C::RESET, |_, value| value).await?;
        }
        self.phase = Phase::Off;
        Ok(())
    }

    /// Waits a ms, until the chip has had all its time.
    async fn be_patient(&mut self, waited_ms: &mut u32, error: ChipError<B::Error>) -> Result<(), ChipError<B::Error>> {
        if *waited_ms >= C::TIMES.patience_ms {
            return Err(error);
        }
        *waited_ms += 1;
        self.delay.delay_ms(1).await;
        Ok(())
    }

    async fn after_reset(&mut self) {
        self.image = C::RESET;
        self.known = u64::MAX;
        self.delay.delay_ms(C::TIMES.reset_ms).await;
    }

    async fn step(&mut self, step: ChipStep, target: &C::Image) -> Result<(), ChipError<B::Error>> {
        match step {
            ChipStep::Reach(place, mask) => {
                let wanted = target.as_ref().get(place).copied().unwrap_or_default();
                self.change(place, mask, wanted).await
            }
            ChipStep::Hold(place, mask, value) => self.change(place, mask, value).await,
            ChipStep::Wait(ms) => {
                self.delay.delay_ms(ms).await;
                Ok(())
            }
            ChipStep::WaitIf(place, mask, ms) => {
                if self.has(place, mask) {
                    self.delay.delay_ms(ms).await;
                }
                Ok(())
            }
            ChipStep::Until { address, name, mask, value, most_ms, only_if: (place, bits) } => {
                let mut waited_ms = 0;
                while self.has(place, bits) && self.read(address, name).await? & mask != value {
                    if waited_ms >= most_ms {
                        return Err(ChipError::Late { place: self.place(address, name), waited_ms });
                    }
                    waited_ms += 1;
                    self.delay.delay_ms(1).await;
                }
                Ok(())
            }
            ChipStep::Reset => {
                if let Some(reset) = C::RESET_WRITE {
                    self.known = 0;
                    self.send(reset.address, reset.name, reset.value).await?;
                    self.after_reset().await;
                }
                Ok(())
            }
        }
    }

    /// Returns whether bits of a register are set.
    fn has(&self, place: usize, mask: u16) -> bool {
        self.image.as_ref().get(place).is_some_and(|value| value & mask != 0)
    }

    /// Changes bits of a register within a sequence, in which everything is silent.
    async fn change(&mut self, place: usize, mask: u16, value: u16) -> Result<(), ChipError<B::Error>> {
        let (Some(register), Some(&now)) = (C::REGISTERS.get(place), self.image.as_ref().get(place)) else {
            return Ok(());
        };
        self.write(place, register.silenced((now & !mask) | (value & mask))).await
    }

    /// Silences all that can be, what fades by itself first; if something may be heard, it is waited for.
    async fn silence(&mut self, mut fades: bool) -> Result<(), ChipError<B::Error>> {
        for (place, register) in C::REGISTERS.iter().enumerate().rev() {
            let value = register.silenced(self.image.as_ref()[place]);
            if register.bits.mute == 0 || self.is(place, value) {
                continue;
            }
            self.write(place, value).await?;
            if core::mem::take(&mut fades) {
                self.delay.delay_ms(C::TIMES.mute_ms).await;
            }
        }
        Ok(())
    }

    /// Writes what differs from `shaped` values of the target, in the table's order.
    async fn write_all(
        &mut self,
        target: &C::Image,
        shaped: impl Fn(&Register, u16) -> u16,
    ) -> Result<(), ChipError<B::Error>> {
        for (place, register) in C::REGISTERS.iter().enumerate() {
            self.write(place, shaped(register, target.as_ref()[place])).await?;
        }
        Ok(())
    }

    /// Brings a chip without a reset to the values of one, silent still. It goes down the way it came up: a chip that a restart of
    /// the processor left at work loses its power before its clocks.
    async fn unwind(&mut self) -> Result<(), ChipError<B::Error>> {
        for (place, register) in C::REGISTERS.iter().enumerate().rev() {
            self.write(place, register.silenced(register.reset)).await?;
        }
        Ok(())
    }

    /// Returns whether bits of a kind differ from the target.
    fn differs(&self, target: &C::Image, bits: impl Fn(&Register) -> u16) -> bool {
        let images = self.image.as_ref().iter().zip(target.as_ref());
        C::REGISTERS.iter().zip(images).any(|(register, (now, target))| (now ^ target) & bits(register) != 0)
    }

    /// Returns whether a register is known to have a value.
    fn is(&self, place: usize, value: u16) -> bool {
        self.known & (1 << place) != 0 && self.image.as_ref()[place] == value
    }

    /// Writes a register, unless it has that value.
    async fn write(&mut self, place: usize, value: u16) -> Result<(), ChipError<B::Error>> {
        if self.is(place, value) {
            return Ok(());
        }
        let register = &C::REGISTERS[place];
        // Until the bus confirms it, the register may have either value.
        self.known &= !(1 << place);
        self.send(register.address, register.name, value).await?;
        self.image.as_mut()[place] = value;
        self.known |= 1 << place;
        Ok(())
    }

    /// Makes the chip silent and off, as far as the bus still works; errors are ignored here.
    async fn make_safe(&mut self) {
        self.phase = Phase::Unknown;
        self.known = 0;
        for (place, register) in C::REGISTERS.iter().enumerate().rev() {
            if register.bits.mute != 0 {
                let value = register.silenced(self.image.as_ref()[place]);
                let _said = self.send(register.address, register.name, value).await;
            }
        }
        match C::RESET_WRITE {
            Some(reset) => {
                let _said = self.send(reset.address, reset.name, reset.value).await;
            }
            None => {
                for register in C::REGISTERS.iter().rev() {
                    let _said = self.send(register.address, register.name, register.silenced(register.reset)).await;
                }
            }
        }
    }

    fn place(&self, register: u16, name: &'static str) -> BusRegister {
        BusRegister { chip: C::NAME, address: self.chip.address(), register, name }
    }

    async fn send(&mut self, register: u16, name: &'static str, value: u16) -> Result<(), ChipError<B::Error>> {
        let (bytes, length) = written(C::FORMAT, register, value);
        let sent = self.bus.write(self.chip.address(), &bytes[..length]).await;
        sent.map_err(|error| ChipError::Bus(self.place(register, name), error))
    }

    async fn read(&mut self, register: u16, name: &'static str) -> Result<u16, ChipError<B::Error>> {
        let asked = asked(C::FORMAT, register);
        let mut answer = [0; 2];
        let (asked, answer) = match C::FORMAT {
            Format::EightEight => (&asked[..1], &mut answer[1..]),
            Format::SevenNine => (&asked[..1], &mut answer[..]),
            Format::SixteenSixteen => (&asked[..], &mut answer[..]),
        };
        let read = self.bus.write_read(self.chip.address(), asked, answer).await;
        read.map_err(|error| ChipError::Bus(self.place(register, name), error))?;
        Ok(answer.iter().fold(0, |value, &byte| (value << 8) | u16::from(byte)))
    }
}

/// Returns the bytes that write a register, and how many they are.
pub(super) fn written(format: Format, register: u16, value: u16) -> ([u8; 4], usize) {
    let (high, low) = ((value >> 8) as u8, value as u8);
    match format {
        Format::SevenNine => ([((register as u8) << 1) | (high & 1), low, 0, 0], 2),
        Format::EightEight => ([register as u8, low, 0, 0], 2),
        Format::SixteenSixteen => ([(register >> 8) as u8, register as u8, high, low], 4),
    }
}

/// Returns the bytes that ask for a register; one or two of them.
pub(super) fn asked(format: Format, register: u16) -> [u8; 2] {
    match format {
        Format::SevenNine => [(register as u8) << 1, 0],
        Format::EightEight => [register as u8, 0],
        Format::SixteenSixteen => [(register >> 8) as u8, register as u8],
    }
}
