//! A chip that doesn't answer, answers late, or is another: an error that names address and register, and a safe state.

use std::string::ToString;

use embassy_futures::block_on;

use super::{LOG, driven, registers, running, transcript};
use crate::codec_chips::mock::{BusEvent, Mock, Nack};
use crate::codec_chips::{Chip, ChipError, CodecChip, Decibels, Rate, Route, Setup};

/// What a scenario wants, one after the other.
fn scenario(step: usize, setup: &mut Setup) {
    match step {
        0 => setup.power = true,
        1 => setup.route = Route::Speakerphone,
        2 => setup.volume = Decibels::new(-12),
        3 => setup.clocks.rate = Rate::Hz48000,
        4 => setup.sidetone = Some(Decibels::new(-15)),
        5 => setup.mute_output = true,
        _ => setup.power = false,
    }
}
const SCENARIO: usize = 7;

/// Registers behind an error: those of a reset, silent.
fn safe<C: Chip>(mock: &Mock<LOG>) {
    for (register, value) in C::REGISTERS.iter().zip(registers::<C>(mock)) {
        assert!(
            value == register.reset || value == register.silenced(register.reset),
            "{} is {value:#x} behind an error",
            register.name
        );
    }
}

/// One transaction after the other isn't answered, once each.
fn nack_at_each_step<C: Chip + Copy>(chip: C) {
    let whole: Mock<LOG> = Mock::of(&chip);
    let mut reference = driven(chip, &whole);
    let mut wanted = *reference.setup();
    for step in 0..SCENARIO {
        scenario(step, &mut wanted);
        block_on(reference.apply(&wanted)).expect("it answers");
    }
    let mut failures = 0;
    for number in 0..whole.transactions() {
        let mock: Mock<LOG> = Mock::of(&chip);
        let mut driven = driven(chip, &mock);
        let mut wanted = *driven.setup();
        // Once, but for the first transactions, which a chip may leave unanswered for a while.
        mock.deafen(number, 1);
        for step in 0..SCENARIO {
            scenario(step, &mut wanted);
            mock.forget();
            let Err(error) = block_on(driven.apply(&wanted)) else { continue };
            failures += 1;
            let ChipError::Bus(place, Nack) = error else { panic!("{error}") };
            assert_eq!(place.address, chip.address());
            let told = error.to_string();
            assert!(told.contains(&std::format!("{:#04x}", chip.address())), "{told}");
            assert!(told.contains(place.name) && told.starts_with(C::NAME), "{told}");
            // The register is the one that was to be written.
            let known =
                C::REGISTERS.iter().any(|register| (register.address, register.name) == (place.register, place.name));
            let reset = C::RESET_WRITE.is_some_and(|reset| (reset.address, reset.name) == (place.register, place.name));
            assert!(known || reset || driven_reads::<C>(place.register), "{told}");
            safe::<C>(&mock);
            assert!(!driven.is_on());
            // The next call begins anew and comes to the same.
            block_on(driven.apply(&wanted)).expect("it answers again");
            let mut image = C::RESET;
            if wanted.power {
                chip.image(&wanted, &mut image).expect("clocks that every chip can make");
            }
            assert_eq!(registers::<C>(&mock), image.as_ref());
            break;
        }
    }
    // All but the first one or two, for which there is patience.
    assert!(failures + 2 >= whole.transactions(), "{failures} of {} were noticed", whole.transactions());
}

/// Registers that a sequence reads.
fn driven_reads<C: Chip>(register: u16) -> bool {
    use crate::codec_chips::ChipStep;
    [C::UP, C::DOWN, C::CLOCKS, C::ROUTES]
        .into_iter()
        .flatten()
        .any(|step| matches!(step, ChipStep::Until { address, .. } if *address == register))
}

#[test]
fn a_chip_that_once_does_not_answer_is_silent_and_named() {
    super::every_chip!(nack_at_each_step);
}

fn nobody_there<C: Chip + Copy>(chip: C) {
    let mock: Mock<LOG> = Mock::of(&chip);
    mock.deafen(0, usize::MAX);
    let mut driven = driven(chip, &mock);
    let error = block_on(driven.set_power(true)).expect_err("nobody is there");
    let first = C::IDENTITY.map(|identity| identity.address).or(C::RESET_WRITE.map(|reset| reset.address));
    let ChipError::Bus(place, Nack) = error else { panic!("{error}") };
    assert_eq!(Some(place.register), first.or(Some(place.register)));
    assert!(!driven.is_on());
    // It was given its time, and no more.
    let waited: u32 = (0..mock.events())
        .filter_map(|number| match mock.event(number) {
            Some(BusEvent::Wait { us }) => Some(us),
            _ => None,
        })
        .sum();
    assert!(waited <= C::TIMES.patience_ms * 1_000, "{waited} us");
    // Somebody at another address is nobody, too.
    assert_eq!(
        mock.register(place.register).unwrap_or_default(),
        Mock::<LOG>::of(&chip).register(place.register).unwrap_or_default()
    );
}

#[test]
fn nobody_there_is_told_with_address_and_register() {
    super::every_chip!(nobody_there);
}

/// A chip that answers within its patience just takes longer.
fn late_at_first<C: Chip + Copy>(chip: C) {
    let mock: Mock<LOG> = Mock::of(&chip);
    let mut on_time = driven(chip, &mock);
    block_on(on_time.set_power(true)).expect("it answers");
    let punctual = registers::<C>(&mock);
    let (late, patience) = (Mock::<LOG>::of(&chip), C::TIMES.patience_ms as usize);
    late.deafen(0, patience);
    let mut waited = driven(chip, &late);
    block_on(waited.set_power(true)).expect("it answers at last");
    assert_eq!(registers::<C>(&late), punctual);
    let later: Mock<LOG> = Mock::of(&chip);
    later.deafen(0, patience + 1);
    let mut driven = driven(chip, &later);
    assert!(matches!(block_on(driven.set_power(true)), Err(ChipError::Bus(..))));
    safe::<C>(&later);
}

#[test]
fn a_chip_that_answers_late_is_waited_for_and_told_when_it_is_too_late() {
    super::every_chip!(late_at_first);
}

fn wrong_id<C: Chip + Copy>(chip: C) {
    let Some(identity) = C::IDENTITY else { return };
    let mock: Mock<LOG> = Mock::of(&chip);
    mock.set_late(identity.address, !identity.value & identity.mask, usize::MAX);
    let mut driven = driven(chip, &mock);
    let error = block_on(driven.set_power(true)).expect_err("another chip");
    let ChipError::WrongChip { place, expected, found } = error else { panic!("{error}") };
    assert_eq!((place.address, place.register), (chip.address(), identity.address));
    assert_eq!((expected, found), (identity.value, !identity.value & identity.mask));
    assert!(error.to_string().contains(identity.name), "{error}");
    // Whoever it is, nothing is written to it.
    assert_eq!(mock.writes().count(), 0);
    assert!(!driven.is_on());
}

/// Who was to be off or mute stays so, although the bus failed just then.
fn silence_is_kept<C: Chip + Copy>(chip: C) {
    let mock: Mock<LOG> = Mock::of(&chip);
    let mut driven = driven(chip, &mock);
    block_on(driven.set_power(true)).expect("it answers");
    mock.deafen(mock.transactions(), 1);
    block_on(driven.set_mute(true, true)).expect_err("it doesn't answer");
    let volume = driven.setup().volume;
    block_on(driven.set_volume(volume)).expect("it answers");
    assert!(driven.setup().mute_output && driven.setup().mute_microphone && driven.is_on());
    mock.deafen(mock.transactions(), 1);
    block_on(driven.set_power(false)).expect_err("it doesn't answer");
    block_on(driven.set_volume(volume)).expect("it answers");
    assert!(!driven.is_on());
}

#[test]
fn who_wanted_silence_keeps_it_behind_an_error() {
    super::every_chip!(silence_is_kept);
}

#[test]
fn another_chip_is_told_with_its_id() {
    super::every_chip!(wrong_id);
}

/// A future that is dropped anywhere leaves nothing that the next call doesn't mend.
fn dropped_anywhere<C: Chip + Copy>(chip: C) {
    use core::future::{Future, poll_fn};
    use core::pin::pin;
    use core::task::Poll;

    /// A bus and a delay that are pending once before each of their calls.
    struct Slow<T>(T);
    async fn once() {
        let mut asked = false;
        poll_fn(|context| {
            if core::mem::replace(&mut asked, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
    impl<T: embedded_hal_async::i2c::ErrorType> embedded_hal_async::i2c::ErrorType for Slow<T> {
        type Error = T::Error;
    }
    impl<T: embedded_hal_async::i2c::I2c> embedded_hal_async::i2c::I2c for Slow<T> {
        async fn transaction(
            &mut self,
            address: u8,
            operations: &mut [embedded_hal_async::i2c::Operation<'_>],
        ) -> Result<(), T::Error> {
            once().await;
            self.0.transaction(address, operations).await?;
            // Done on the wire, and not yet told.
            once().await;
            Ok(())
        }
    }
    impl<T: embedded_hal_async::delay::DelayNs> embedded_hal_async::delay::DelayNs for Slow<T> {
        async fn delay_ns(&mut self, ns: u32) {
            once().await;
            self.0.delay_ns(ns).await;
        }
    }

    for step in 0..SCENARIO {
        for polls in 1.. {
            let mock: Mock<LOG> = Mock::of(&chip);
            let mut driven = CodecChip::new(chip, Slow(mock.bus()), Slow(mock.delay()), Setup::new(super::CLOCKS));
            let mut wanted = *driven.setup();
            for earlier in 0..step {
                scenario(earlier, &mut wanted);
                block_on(driven.apply(&wanted)).expect("it answers");
            }
            scenario(step, &mut wanted);
            let done = {
                let mut future = pin!(driven.apply(&wanted));
                let mut polled = 0;
                block_on(poll_fn(|context| {
                    polled += 1;
                    match future.as_mut().poll(context) {
                        Poll::Ready(result) => Poll::Ready(Some(result)),
                        Poll::Pending if polled == polls => Poll::Ready(None),
                        Poll::Pending => Poll::Pending,
                    }
                }))
            };
            if done.is_some() {
                break;
            }
            block_on(driven.apply(&wanted)).expect("it answers");
            let mut image = C::RESET;
            if wanted.power {
                chip.image(&wanted, &mut image).expect("clocks that every chip can make");
            }
            assert_eq!(registers::<C>(&mock), image.as_ref(), "dropped behind {polls} polls of step {step}");
        }
    }
}

#[test]
fn a_future_that_is_dropped_anywhere_is_mended_by_the_next_call() {
    super::every_chip!(dropped_anywhere);
}

fn clocks_untouched<C: Chip + Copy>(chip: C) {
    let mock: Mock<LOG> = Mock::of(&chip);
    let mut driven = running(chip, &mock);
    let before = *driven.setup();
    let mut clocks = before.clocks;
    clocks.mclk_hz = 1_000;
    let error = block_on(driven.apply(&Setup { clocks, ..before })).expect_err("no chip can that");
    assert!(matches!(error, ChipError::Clocks(_)), "{error}");
    assert!(error.to_string().contains("1000 Hz"), "{error}");
    assert_eq!((driven.setup(), driven.is_on()), (&before, true));
    assert_eq!(transcript::<C>(&mock), "");
}

#[test]
fn clocks_that_cant_be_made_touch_nothing() {
    super::every_chip!(clocks_untouched);
}

fn jack_is_asked<C: Chip + Copy>(chip: C) {
    let mock: Mock<LOG> = Mock::of(&chip);
    let mut driven = running(chip, &mock);
    let Some(flag) = C::JACK else {
        let error = block_on(driven.jack()).expect_err("it can't tell");
        assert_eq!(error, ChipError::NoJack(C::NAME));
        assert_eq!(transcript::<C>(&mock), "");
        return;
    };
    mock.set_register(flag.address, 0);
    assert_eq!(block_on(driven.jack()), Ok(false));
    mock.set_register(flag.address, flag.mask);
    assert_eq!(block_on(driven.jack()), Ok(true));
}

#[test]
fn jacks_are_told_where_a_register_tells_them() {
    super::every_chip!(jack_is_asked);
}

/// A PLL that locks late is waited for, and told when it doesn't.
fn late_lock<C: Chip + Copy>(chip: C) {
    use crate::codec_chips::ChipStep;
    let Some((address, name, most_ms)) = C::UP.iter().find_map(|step| match *step {
        ChipStep::Until { address, name, most_ms, .. } => Some((address, name, most_ms)),
        _ => None,
    }) else {
        return;
    };
    let clocks = crate::codec_chips::Clocks { mclk_hz: 13_000_000, ..super::CLOCKS };
    for (reads, locks) in [(most_ms as usize, true), (most_ms as usize + 1, false)] {
        let mock: Mock<LOG> = Mock::of(&chip);
        mock.set_late(address, 0, reads);
        let mut driven = driven(chip, &mock);
        let result = block_on(driven.apply(&Setup { power: true, clocks, ..*driven.setup() }));
        if locks {
            result.expect("it locks at last");
            continue;
        }
        let error = result.expect_err("it doesn't lock");
        let ChipError::Late { place, waited_ms } = error else { panic!("{error}") };
        assert_eq!((place.address, place.register, place.name), (chip.address(), address, name));
        assert_eq!(waited_ms, most_ms);
        assert!(error.to_string().contains(name), "{error}");
        safe::<C>(&mock);
        assert!(!driven.is_on());
    }
}

#[test]
fn a_pll_that_does_not_lock_is_told() {
    super::every_chip!(late_lock);
}
