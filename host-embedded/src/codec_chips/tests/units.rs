use std::string::ToString;

use crate::codec_chips::{Chip, ClockError, ClockReason, Clocks, Decibels, Rate, Role, Route, Setup, Word};

#[test]
fn a_gain_is_rounded_to_the_nearest_step_and_ends_at_the_last() {
    // From -6 dB in 5 steps of 3 dB: -6, -3, 0, 3, 6.
    let nearest = |hundredths| Decibels::from_hundredths(hundredths).nearest(-600, 300, 5);
    assert_eq!([-600, -451, -450, -300, 0, 149, 150, 600].map(nearest), [0, 0, 1, 1, 2, 2, 3, 4]);
    assert_eq!([i16::MIN, -601, 601, i16::MAX].map(nearest), [0, 0, 4, 4]);
    assert_eq!(Decibels::new(-400), Decibels::from_hundredths(i16::MIN));
    assert_eq!(Decibels::from_hundredths(-1_725).to_string(), "-17.25 dB");
}

#[test]
fn clocks_that_cant_be_made_are_told_in_words() {
    let clocks = Clocks { mclk_hz: 8_192_000, rate: Rate::Hz44100, role: Role::Slave, word: Word::Bits16 };
    let told = |reason| ClockError { chip: "X", clocks, reason }.to_string();
    assert_eq!(
        told(ClockReason::Mclk { least: 1, most: 2 }),
        "X can't make 44100 Hz from an MCLK of 8192000 Hz: MCLK has to be between 1 and 2 Hz"
    );
    assert!(told(ClockReason::Divider).ends_with("no divider gives it, and it has no PLL"));
    assert!(told(ClockReason::Pll).ends_with("no divider gives it, and no setting within the limits of the PLL"));
    assert!(told(ClockReason::PllAsSlave).ends_with("with the PLL the chip has to be master"));
}

/// Each register once, resets within their masks, mute bits apart from others, and places as the table has them.
fn table_is_sound<C: Chip + Copy>(chip: C) {
    let registers = C::REGISTERS;
    assert!(registers.len() <= 64);
    for (place, register) in registers.iter().enumerate() {
        let bits = register.bits;
        assert_eq!(C::RESET.as_ref()[place], register.reset);
        assert!(registers[..place].iter().all(|other| other.address != register.address), "{}", register.name);
        assert_eq!(bits.muted & !bits.mute, 0, "{}", register.name);
        assert_eq!(bits.mute & (bits.path | bits.clock), 0, "{}", register.name);
    }
    // Values fit into the bytes on the bus.
    let most = match C::FORMAT {
        crate::codec_chips::Format::SevenNine => 0x1ff,
        crate::codec_chips::Format::EightEight => 0xff,
        crate::codec_chips::Format::SixteenSixteen => 0xffff,
    };
    for route in Route::ALL {
        for gain in [-100, 0, 12, 33, 100] {
            let setup = Setup {
                route,
                gain: Decibels::new(gain),
                volume: Decibels::new(gain),
                sidetone: Some(Decibels::new(-gain)),
                ..Setup::new(super::CLOCKS)
            };
            let mut image = C::RESET;
            chip.image(&setup, &mut image).expect("clocks that every chip can make");
            for (register, value) in registers.iter().zip(image.as_ref()) {
                assert!(*value <= most && register.reset <= most, "{} = {value:#x}", register.name);
            }
        }
    }
}

#[test]
fn tables_are_sound() {
    super::every_chip!(table_is_sound);
}

/// What is said of a range is what the registers do: beyond its ends nothing changes, and within them everything does.
fn ranges_are_true<C: Chip + Copy>(chip: C) {
    let image = |setup: Setup| {
        let mut image = C::RESET;
        chip.image(&setup, &mut image).expect("clocks that every chip can make");
        image.as_ref().to_vec()
    };
    for route in Route::ALL {
        let setup = Setup { route, ..Setup::new(super::CLOCKS) };
        let of_volume = |volume| image(Setup { volume, ..setup });
        let of_gain = |gain| image(Setup { gain, ..setup });
        let of_sidetone = |sidetone| image(Setup { sidetone: Some(sidetone), ..setup });
        let check = |what: &str, (least, most): (Decibels, Decibels), of: &dyn Fn(Decibels) -> std::vec::Vec<u16>| {
            // The coarsest step of all chips is 20 dB.
            assert_eq!(of(least), of(Decibels::from_hundredths(i16::MIN)), "{what} {route:?}");
            assert_eq!(of(most), of(Decibels::from_hundredths(i16::MAX)), "{what} {route:?}");
            let fine = |at: Decibels, by: i16| of(Decibels::from_hundredths(at.hundredths().saturating_add(by)));
            if least != most {
                assert_ne!(of(least), fine(least, 2_100), "{what} {route:?}");
                assert_ne!(of(most), fine(most, -2_100), "{what} {route:?}");
            }
        };
        check("volume", chip.volumes(route), &of_volume);
        check("gain", chip.gains(route), &of_gain);
        match chip.sidetones(route) {
            Some(range) => check("sidetone", range, &of_sidetone),
            None => assert_eq!(of_sidetone(Decibels::ZERO), image(setup), "{route:?}"),
        }
    }
}

#[test]
fn ranges_of_gains_are_true() {
    super::every_chip!(ranges_are_true);
}
