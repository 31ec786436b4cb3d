//! Any order of calls leaves the registers of the last state, and nothing is heard while power, clocks or paths change.

use std::vec;
use std::vec::Vec;

use embassy_futures::block_on;
use proptest::prelude::*;

use super::{LOG, driven, registers};
use crate::codec_chips::mock::Mock;
use crate::codec_chips::{Chip, ChipError, Decibels, Rate, Role, Route, Setup, Word};

#[derive(Clone, Copy, Debug)]
enum Call {
    Power(bool),
    Rate(Rate),
    Word(Word),
    Mclk(u32),
    Role(Role),
    Route(Route),
    Volume(i16),
    Gain(i16),
    Mute(bool, bool),
    Sidetone(Option<i16>),
    Bias(bool),
}

impl Call {
    fn change(self, setup: &mut Setup) {
        match self {
            Self::Power(power) => setup.power = power,
            Self::Rate(rate) => setup.clocks.rate = rate,
            Self::Word(word) => setup.clocks.word = word,
            Self::Role(role) => setup.clocks.role = role,
            Self::Mclk(mclk_hz) => setup.clocks.mclk_hz = mclk_hz,
            Self::Route(route) => setup.route = route,
            Self::Volume(volume) => setup.volume = Decibels::from_hundredths(volume),
            Self::Gain(gain) => setup.gain = Decibels::from_hundredths(gain),
            Self::Mute(output, microphone) => (setup.mute_output, setup.mute_microphone) = (output, microphone),
            Self::Sidetone(sidetone) => setup.sidetone = sidetone.map(Decibels::from_hundredths),
            Self::Bias(bias) => setup.bias = bias,
        }
    }
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = prop_oneof![
        2 => any::<bool>().prop_map(Call::Power),
        1 => prop::sample::select(&Rate::ALL[..]).prop_map(Call::Rate),
        1 => prop::sample::select(&[Word::Bits16, Word::Bits24, Word::Bits32][..]).prop_map(Call::Word),
        1 => prop::sample::select(&[8_192_000, 12_288_000, 13_000_000, 24_000_000][..]).prop_map(Call::Mclk),
        1 => prop::sample::select(&[Role::Master, Role::Slave][..]).prop_map(Call::Role),
        2 => prop::sample::select(&Route::ALL[..]).prop_map(Call::Route),
        2 => (-9_000_i16..3_000).prop_map(Call::Volume),
        1 => (-2_000_i16..7_000).prop_map(Call::Gain),
        2 => any::<(bool, bool)>().prop_map(|(output, microphone)| Call::Mute(output, microphone)),
        1 => prop::option::of(-4_000_i16..1_000).prop_map(Call::Sidetone),
        1 => any::<bool>().prop_map(Call::Bias),
    ];
    prop::collection::vec(call, 1..16)
}

fn any_order<C: Chip + Copy>(chip: C, calls: &[Call]) {
    let mock: Mock<LOG> = Mock::of(&chip);
    let mut one_by_one = driven(chip, &mock);
    let mut wanted = *one_by_one.setup();
    for call in calls {
        let before = (wanted, mock.transactions());
        call.change(&mut wanted);
        match block_on(one_by_one.apply(&wanted)) {
            Ok(()) => {}
            // Clocks that it can't make change nothing.
            Err(ChipError::Clocks(_)) => {
                assert_eq!(mock.transactions(), before.1);
                wanted = before.0;
            }
            Err(error) => panic!("{error}"),
        }
        assert_eq!(mock.loud(), None, "{} changes while something is heard", C::NAME);
        assert_eq!(one_by_one.setup(), &wanted);
    }
    let at_once_mock: Mock<LOG> = Mock::of(&chip);
    let mut at_once = driven(chip, &at_once_mock);
    block_on(at_once.apply(&wanted)).expect("it answers");
    assert_eq!(registers::<C>(&mock), registers::<C>(&at_once_mock));
    // And they are those that the chip says, or those of a reset.
    let mut image = C::RESET;
    if wanted.power {
        chip.image(&wanted, &mut image).expect("clocks that it could make");
    }
    assert_eq!(registers::<C>(&mock), image.as_ref());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_order_of_calls_is_as_the_last_state_at_once(calls in calls()) {
        super::every_chip!(any_order, &calls);
    }
}

/// The mock can see what it is for: a path that changes while something is heard is found.
#[test]
fn what_is_heard_while_something_changes_is_found() {
    use crate::codec_chips::wm8960::Wm8960;
    let mock: Mock<LOG> = Mock::of(&Wm8960::default());
    let mut chip = super::running(Wm8960::default(), &mock);
    block_on(chip.set_route(Route::Speakerphone)).expect("it answers");
    assert_eq!(mock.loud(), None);
    // POWER1, past the driver.
    let write = |mock: &Mock<LOG>, register: u8, value: u8| {
        block_on(embedded_hal_async::i2c::I2c::write(&mut mock.bus(), 0x1a, &[register << 1, value]))
    };
    write(&mock, 0x19, 0).expect("it answers");
    assert_eq!(mock.loud(), Some(0x19));
    // And one write that both changes a path and lets something be heard.
    let chip = crate::codec_chips::sgtl5000::Sgtl5000::default();
    let mock: Mock<LOG> = Mock::of(&chip);
    let loud = block_on(embedded_hal_async::i2c::I2c::write(&mut mock.bus(), 0x0a, &[0, 0x24, 0x01, 0x06]));
    assert_eq!((loud, mock.loud()), (Ok(()), Some(0x24)));
}
