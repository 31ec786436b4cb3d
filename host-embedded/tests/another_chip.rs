//! A chip that isn't in the list, from outside the crate, as `PORTING.md` says: the WM8731, headphones, a microphone and a line input.
//!
//! Headings are those of the manufacturer's datasheet, revision 4.9.

use embassy_futures::block_on;
use host_embedded::codec_chips::mock::{Mock, MockBus, MockDelay};
use host_embedded::codec_chips::{
    Achieved, Bits, Chip, ChipError, ChipStep, ChipTimings, ClockError, ClockReason, Clocks, CodecChip, Decibels,
    Format, IdentityRegister, JackFlag, Rate, Register, ResetWrite, Role, Route, Setup, Word,
};

host_embedded::codec_chip_registers! {
    SRATE = 0x08, reset 0x000, Bits::CLOCK, "Sampling Rates";
    IFACE = 0x07, reset 0x00a, Bits::CLOCK, "Digital Audio Interfaces: master, word length, format";
    ACTIVE = 0x09, reset 0x000, Bits::CLOCK, "Activating DSP and Digital Audio Interface";
    PWR = 0x06, reset 0x09f, Bits::PATH, "Power Conservation";
    APANA = 0x04, reset 0x00a, Bits::mute(0x022, 0x002).and_path(0x01c), "Analogue Audio Path: microphone, sidetone, DAC";
    LINVOL = 0x00, reset 0x097, Bits::mute(0x080, 0x080), "Line Inputs: left";
    LOUT1V = 0x02, reset 0x079, Bits::mute(0x07f, 0), "Line Outputs, Headphone Amplifier: left";
    ROUT1V = 0x03, reset 0x079, Bits::mute(0x07f, 0), "Line Outputs, Headphone Amplifier: right";
    APDIGI = 0x05, reset 0x008, Bits::mute(0x008, 0x008), "Digital Audio Path: soft mute";
}

const OUTPUTS_OFF: u16 = 0x010;

#[derive(Clone, Copy, Default)]
struct Wm8731;

/// SR, BOSR and USB of a rate ("Normal Mode Sample Rates", "USB Mode Sample Rates"), and MCLK over the rate.
fn divider(clocks: &Clocks) -> Result<(u16, u32), ClockError> {
    let (sr, bosr, usb, ratio) = match (clocks.mclk_hz, clocks.rate) {
        (12_288_000, Rate::Hz48000) => (0b0000, 0, 0, 256),
        (12_288_000, Rate::Hz8000) => (0b0011, 0, 0, 1_536),
        (11_289_600, Rate::Hz44100) => (0b1000, 0, 0, 256),
        (12_000_000, Rate::Hz48000) => (0b0000, 0, 1, 250),
        (12_000_000, Rate::Hz44100) => (0b1000, 1, 1, 272),
        (12_000_000, Rate::Hz8000) => (0b0011, 0, 1, 1_500),
        _ => return Err(ClockError { chip: Wm8731::NAME, clocks: *clocks, reason: ClockReason::Divider }),
    };
    Ok(((sr << 2) | (bosr << 1) | usb, ratio))
}

impl Chip for Wm8731 {
    type Image = [u16; COUNT];

    const NAME: &'static str = "WM8731";
    const FORMAT: Format = Format::SevenNine;
    const REGISTERS: &'static [Register] = &TABLE;
    const RESET: Self::Image = RESETS;
    const RESET_WRITE: Option<ResetWrite> = Some(ResetWrite { address: 0x0f, name: "RESET", value: 0 });
    const IDENTITY: Option<IdentityRegister> = None;
    const JACK: Option<JackFlag> = None;
    const TIMES: ChipTimings = ChipTimings { mute_ms: 20, reset_ms: 1, patience_ms: 10 };

    // "Power On/Off Sequence": outputs last on, first off.
    const UP: &'static [ChipStep] = &[
        ChipStep::Reach(SRATE, 0x1ff),
        ChipStep::Reach(IFACE, 0x1ff),
        ChipStep::Reach(PWR, !OUTPUTS_OFF),
        ChipStep::Wait(100),
        ChipStep::Reach(ACTIVE, 0x1ff),
        ChipStep::Reach(PWR, OUTPUTS_OFF),
    ];
    const DOWN: &'static [ChipStep] =
        &[ChipStep::Hold(PWR, OUTPUTS_OFF, OUTPUTS_OFF), ChipStep::Hold(ACTIVE, 0x1ff, 0), ChipStep::Reset];
    const CLOCKS: &'static [ChipStep] = &[
        ChipStep::Hold(ACTIVE, 0x1ff, 0),
        ChipStep::Reach(SRATE, 0x1ff),
        ChipStep::Reach(IFACE, 0x1ff),
        ChipStep::Reach(ACTIVE, 0x1ff),
    ];
    const ROUTES: &'static [ChipStep] = &[];

    fn address(&self) -> u8 {
        0x1a
    }

    fn image(&self, setup: &Setup, image: &mut Self::Image) -> Result<(), ClockError> {
        let line = setup.route == Route::Line;
        image[SRATE] = divider(&setup.clocks)?.0;
        let word = match setup.clocks.word {
            Word::Bits16 => 0b00,
            Word::Bits24 => 0b10,
            Word::Bits32 => 0b11,
        };
        image[IFACE] = (u16::from(setup.clocks.role == Role::Master) << 6) | (word << 2) | 0b10;
        image[ACTIVE] = 1;
        // Neither oscillator nor clock output; the inputs that are in use.
        image[PWR] = 0x060 | u16::from(!line) | (u16::from(line || !setup.bias) << 1);
        let sidetone = match setup.sidetone {
            // From -15 dB to -6 dB; its mute doesn't silence this way.
            Some(sidetone) if !line && !setup.mute_microphone => 0x020 | ((3 - sidetone.nearest(-1_500, 300, 4)) << 6),
            _ => 0,
        };
        let boost = setup.gain.nearest(0, 2_000, 2);
        let silent = setup.mute_microphone || line;
        image[APANA] = sidetone | 0x010 | (u16::from(!line) << 2) | (u16::from(silent) << 1) | boost;
        let silent = setup.mute_microphone || !line;
        image[LINVOL] =
            0x100 | (u16::from(silent) << 7) | if line { setup.gain.nearest(-3_450, 150, 32) } else { 0x17 };
        let volume = if setup.mute_output { 0 } else { 0x30 + setup.volume.nearest(-7_300, 100, 80) };
        (image[LOUT1V], image[ROUT1V]) = (volume, volume);
        image[APDIGI] = u16::from(setup.mute_output) << 3;
        Ok(())
    }

    fn achieved(&self, clocks: &Clocks) -> Result<Achieved, ClockError> {
        let (_, ratio) = divider(clocks)?;
        Ok(Achieved { millihertz: u64::from(clocks.mclk_hz) * 1_000 / u64::from(ratio), pll: false })
    }

    fn volumes(&self, _: Route) -> (Decibels, Decibels) {
        (Decibels::new(-73), Decibels::new(6))
    }

    fn gains(&self, route: Route) -> (Decibels, Decibels) {
        match route {
            Route::Line => (Decibels::from_hundredths(-3_450), Decibels::new(12)),
            _ => (Decibels::ZERO, Decibels::new(20)),
        }
    }

    fn sidetones(&self, route: Route) -> Option<(Decibels, Decibels)> {
        (route != Route::Line).then(|| (Decibels::new(-15), Decibels::new(-6)))
    }
}

const CLOCKS: Clocks = Clocks { mclk_hz: 12_288_000, rate: Rate::Hz8000, role: Role::Slave, word: Word::Bits16 };

fn driver(mock: &Mock<64>) -> CodecChip<Wm8731, MockBus<'_, 64>, MockDelay<'_, 64>> {
    CodecChip::new(Wm8731, mock.bus(), mock.delay(), Setup::new(CLOCKS))
}

#[test]
fn it_is_switched_on_transaction_by_transaction() {
    let mock = Mock::of(&Wm8731);
    let mut codec = driver(&mock);
    block_on(codec.set_power(true)).expect("it answers");
    let expected = [
        (0x0f, 0),
        // Silence.
        (0x03, 0),
        (0x02, 0),
        (0x08, 0x00c),
        (0x07, 0x002),
        (0x06, 0x071),
        (0x09, 0x001),
        (0x06, 0x061),
        (0x04, 0x017),
        (0x00, 0x197),
        // And sound: first the analogue microphone, last the digital mute.
        (0x04, 0x015),
        (0x02, 0x079),
        (0x03, 0x079),
        (0x05, 0x000),
    ];
    assert_eq!(mock.writes().collect::<Vec<_>>(), expected);
}

#[test]
fn any_state_after_any_other_is_as_that_state_alone_and_nothing_pops() {
    let base = Setup { power: true, ..Setup::new(CLOCKS) };
    let states = [
        Setup::new(CLOCKS),
        base,
        Setup { route: Route::Line, ..base },
        Setup { sidetone: Some(Decibels::new(-9)), volume: Decibels::new(-20), ..base },
        Setup { sidetone: Some(Decibels::new(-9)), mute_microphone: true, gain: Decibels::ZERO, ..base },
        Setup { mute_output: true, bias: false, ..base },
        Setup { clocks: Clocks { rate: Rate::Hz48000, role: Role::Master, word: Word::Bits24, ..CLOCKS }, ..base },
    ];
    for first in &states {
        for second in &states {
            let mock = Mock::of(&Wm8731);
            let mut codec = driver(&mock);
            block_on(codec.apply(first)).expect("it answers");
            block_on(codec.apply(second)).expect("it answers");
            assert_eq!(mock.loud(), None, "{first:?} to {second:?}");
            let mut image = RESETS;
            if second.power {
                Wm8731.image(second, &mut image).expect("clocks it can make");
            }
            for (register, value) in TABLE.iter().zip(image) {
                assert_eq!(mock.register(register.address), Some(value), "{} of {second:?}", register.name);
            }
        }
    }
}

#[test]
fn what_it_cant_do_and_who_doesnt_answer_is_told() {
    let mock = Mock::of(&Wm8731);
    let mut codec = driver(&mock);
    let error = block_on(codec.set_rate(Rate::Hz16000)).expect_err("it has no such divider");
    assert_eq!(
        error.to_string(),
        "WM8731 can't make 16000 Hz from an MCLK of 12288000 Hz: no divider gives it, and it has no PLL"
    );
    assert_eq!(mock.events(), 0);
    mock.deafen(4, 1);
    let error = block_on(codec.set_power(true)).expect_err("nobody answers");
    assert!(matches!(error, ChipError::Bus(..)), "{error:?}");
    assert!(error.to_string().contains("0x1a"), "{error}");
    assert!(!codec.is_on());
    block_on(codec.set_power(true)).expect("it answers again");
    assert!(codec.is_on());
    assert_eq!(codec.achieved().expect("clocks it can make").millihertz, 8_000_000);
}
