mod clocks;
mod failures;
mod goldens;
mod orders;
mod units;
mod wirings;

use std::string::String;
use std::vec::Vec;

use embassy_futures::block_on;

use super::mock::{BusEvent, Mock, MockBus, MockDelay};
use super::{Chip, ChipStep, Clocks, CodecChip, Rate, Role, Setup, Word};

/// Events that a test has room for.
const LOG: usize = 512;

type Driven<'a, C> = CodecChip<C, MockBus<'a, LOG>, MockDelay<'a, LOG>>;

/// Runs `test` for each chip, in the wiring of its default and in another, so that every pin is in one of them.
macro_rules! every_chip {
    ($test:ident $(, $more:expr)*) => {
        $test(crate::codec_chips::wm8960::Wm8960::default() $(, $more)*);
        $test(crate::codec_chips::tests::wirings::wm8960() $(, $more)*);
        $test(crate::codec_chips::sgtl5000::Sgtl5000::default() $(, $more)*);
        $test(crate::codec_chips::tests::wirings::sgtl5000() $(, $more)*);
        $test(crate::codec_chips::nau88c22::Nau88c22::default() $(, $more)*);
        $test(crate::codec_chips::tests::wirings::nau88c22() $(, $more)*);
        $test(crate::codec_chips::tlv320aic3104::Tlv320Aic3104::default() $(, $more)*);
        $test(crate::codec_chips::tests::wirings::tlv320aic3104() $(, $more)*);
        $test(crate::codec_chips::wm8994::Wm8994::default() $(, $more)*);
        $test(crate::codec_chips::tests::wirings::wm8994() $(, $more)*);
    };
}
use every_chip;

/// Clocks that every chip can make.
const CLOCKS: Clocks = Clocks { mclk_hz: 12_288_000, rate: Rate::Hz16000, role: Role::Master, word: Word::Bits16 };

fn driven<C: Chip + Copy>(chip: C, mock: &Mock<LOG>) -> Driven<'_, C> {
    CodecChip::new(chip, mock.bus(), mock.delay(), Setup::new(CLOCKS))
}

/// The registers of the table as the mock has them.
fn registers<C: Chip>(mock: &Mock<LOG>) -> Vec<u16> {
    C::REGISTERS
        .iter()
        .map(|register| mock.register(register.address).expect("it has a register of its table"))
        .collect()
}

/// What happened, a line each.
fn transcript<C: Chip>(mock: &Mock<LOG>) -> String {
    let name = |address: u16| {
        let reset = C::RESET_WRITE.map(|reset| (reset.address, reset.name));
        let identity = C::IDENTITY.map(|identity| (identity.address, identity.name));
        let table = C::REGISTERS.iter().map(|register| (register.address, register.name));
        let read = [C::UP, C::DOWN, C::CLOCKS, C::ROUTES].into_iter().flatten().filter_map(|step| match *step {
            ChipStep::Until { address, name, .. } => Some((address, name)),
            _ => None,
        });
        table
            .chain(reset)
            .chain(identity)
            .chain(read)
            .find(|(known, _)| *known == address)
            .map_or("?", |(_, name)| name)
    };
    assert!(mock.events() <= LOG, "more happened than there is room for");
    let line = |event| match event {
        BusEvent::Write { register, value } => std::format!("{register:#06x} {:<11} <- {value:#06x}\n", name(register)),
        BusEvent::Read { register, value } => std::format!("{register:#06x} {:<11} -> {value:#06x}\n", name(register)),
        BusEvent::Nack => String::from("nobody answers\n"),
        BusEvent::Wait { us } => std::format!("wait {us} us\n"),
    };
    (0..mock.events()).map(|number| line(mock.event(number).expect("there is room"))).collect()
}

/// Brings it up and forgets what that took.
fn running<C: Chip + Copy>(chip: C, mock: &Mock<LOG>) -> Driven<'_, C> {
    let mut driven = driven(chip, mock);
    block_on(driven.set_power(true)).expect("it answers");
    mock.forget();
    driven
}
