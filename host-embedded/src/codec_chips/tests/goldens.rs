//! Every sequence, transaction by transaction.

use std::string::String;

use embassy_futures::block_on;

use super::{LOG, driven, transcript};
use crate::codec_chips::mock::Mock;
use crate::codec_chips::{Chip, Decibels, Rate, Route};

/// A working day of a chip.
fn transcripts<C: Chip + Copy>(chip: C) -> String {
    let mock: Mock<LOG> = Mock::of(&chip);
    let mut driven = driven(chip, &mock);
    let mut all = String::new();
    macro_rules! note {
        ($title:literal, $call:expr) => {
            mock.forget();
            block_on($call).expect("it answers");
            all += &std::format!("# {}\n{}\n", $title, transcript::<C>(&mock));
        };
    }
    note!("12.288 MHz, 16 kHz, master, handset, 20 dB of gain: on", driven.set_power(true));
    note!("volume -6 dB", driven.set_volume(Decibels::new(-6)));
    note!("gain 35 dB", driven.set_gain(Decibels::new(35)));
    note!("sidetone -15 dB", driven.set_sidetone(Some(Decibels::new(-15))));
    note!("the microphone is muted", driven.set_mute(false, true));
    note!("headset", driven.set_route(Route::Headset));
    note!("speakerphone", driven.set_route(Route::Speakerphone));
    note!("48 kHz", driven.set_rate(Rate::Hz48000));
    note!("line", driven.set_route(Route::Line));
    note!("44.1 kHz", driven.set_rate(Rate::Hz44100));
    note!("output and microphone are muted", driven.set_mute(true, true));
    note!("off", driven.set_power(false));
    all
}

fn check<C: Chip + Copy>(chip: C, file: &str, golden: &str) {
    let now = transcripts(chip);
    if std::env::var_os("MEDIA_CORE_BLESS").is_some() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/codec_chips/tests").join(file);
        std::fs::write(path, &now).expect("the golden file can be written");
        return;
    }
    for (number, (now, golden)) in now.lines().zip(golden.lines()).enumerate() {
        assert_eq!(now, golden, "{file}, line {}", number + 1);
    }
    assert_eq!(now.lines().count(), golden.lines().count(), "{file}: set MEDIA_CORE_BLESS to write it anew");
}

#[test]
fn wm8960() {
    check(crate::codec_chips::wm8960::Wm8960::default(), "wm8960.txt", include_str!("wm8960.txt"));
}

#[test]
fn sgtl5000() {
    check(crate::codec_chips::sgtl5000::Sgtl5000::default(), "sgtl5000.txt", include_str!("sgtl5000.txt"));
}

#[test]
fn nau88c22() {
    check(crate::codec_chips::nau88c22::Nau88c22::default(), "nau88c22.txt", include_str!("nau88c22.txt"));
}

#[test]
fn tlv320aic3104() {
    let chip = crate::codec_chips::tlv320aic3104::Tlv320Aic3104::default();
    check(chip, "tlv320aic3104.txt", include_str!("tlv320aic3104.txt"));
}

#[test]
fn wm8994() {
    check(crate::codec_chips::wm8994::Wm8994::default(), "wm8994.txt", include_str!("wm8994.txt"));
}
