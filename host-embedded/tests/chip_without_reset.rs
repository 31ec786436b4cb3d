//! A second chip from outside the crate, of another shape than `another_chip.rs`: the MAX9867 has no reset, an id, a shutdown bit under
//! which clocks change, a ratio for any clock instead of dividers, a microphone without a mute, and a volume whose steps grow.
//!
//! Addresses, bits and codes are those of the manufacturer's datasheet, 19-4573, and of public drivers; the text beside each says what
//! it holds. None of it has run on silicon.

use embassy_futures::block_on;
use host_embedded::codec_chips::mock::{Mock, MockBus, MockDelay};
use host_embedded::codec_chips::{
    Achieved, Bits, Chip, ChipError, ChipStep, ChipTimings, ClockError, ClockReason, Clocks, CodecChip, Decibels,
    Format, IdentityRegister, JackFlag, Pins, Rate, Register, ResetWrite, Role, Route, Setup, Wiring, Word,
};

host_embedded::codec_chip_registers! {
    SYSCLK = 0x05, reset 0x00, Bits::CLOCK, "Clock Control: prescaler";
    AUDIOCLKHIGH = 0x06, reset 0x00, Bits::CLOCK, "Clock Control: PLL, high bits of NI";
    AUDIOCLKLOW = 0x07, reset 0x00, Bits::CLOCK, "Clock Control: low bits of NI, rapid lock";
    IFC1A = 0x08, reset 0x00, Bits::CLOCK, "Digital Audio Interface: master, format";
    IFC1B = 0x09, reset 0x00, Bits::CLOCK, "Digital Audio Interface: bit clock";
    CODECFLTR = 0x0a, reset 0x00, Bits::CLOCK, "Digital Filtering: voice or music";
    MODECONFIG = 0x16, reset 0x00, Bits::PATH, "Mode Configuration: headphone amplifier";
    SIDETONE = 0x0b, reset 0x00, Bits::LEVEL, "Digital Gain Control: sidetone";
    ADCLEVEL = 0x0d, reset 0x00, Bits::LEVEL, "Digital Gain Control: ADC";
    LEFTMICGAIN = 0x12, reset 0x00, Bits::LEVEL, "Microphone Inputs: left gain";
    PWRMAN = 0x17, reset 0x00, Bits::PATH, "Power Management";
    INPUTCONFIG = 0x14, reset 0x00, Bits::mute(0xf0, 0x00), "ADC Input: mixers";
    LEFTLINELVL = 0x0e, reset 0x00, Bits::mute(0x40, 0x40), "Line Inputs: left gain, way to the headphones";
    LEFTVOL = 0x10, reset 0x00, Bits::mute(0x40, 0x40), "Playback Volume: left";
    RIGHTVOL = 0x11, reset 0x00, Bits::mute(0x40, 0x40), "Playback Volume: right";
    DACLEVEL = 0x0c, reset 0x00, Bits::mute(0x40, 0x40), "Digital Gain Control: DAC mute";
}

const SHDN: u16 = 0x80;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    Left,
    Right,
}

/// The left converter's, whose samples are in the left slot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LineInput {
    Microphone,
    Line,
}

#[derive(Clone, Copy)]
struct Max9867 {
    pins: Wiring<Pins<Output, LineInput>>,
}

const CHIP: Max9867 = Max9867 {
    pins: Wiring {
        handset: Pins { output: Output::Left, input: LineInput::Microphone },
        headset: Pins { output: Output::Right, input: LineInput::Microphone },
        speakerphone: Pins { output: Output::Right, input: LineInput::Microphone },
        line: Pins { output: Output::Right, input: LineInput::Line },
    },
};

/// The code of the volume that is nearest ("Playback Volume Registers"), whose steps are from 0.5 to 4 dB.
fn volume(wanted: Decibels) -> u16 {
    let hundredths = |code: u16| match code {
        0..=6 => 600 - 50 * code as i16,
        7..=15 => 300 - 100 * (code as i16 - 6),
        16..=23 => -600 - 200 * (code as i16 - 15),
        _ => -2_200 - 400 * (code as i16 - 23),
    };
    (0..=0x26).min_by_key(|code| (i32::from(hundredths(*code)) - i32::from(wanted.hundredths())).abs()).unwrap_or(0x26)
}

/// The prescaler's code, and NI = 96 * 2^16 * rate / PCLK; whether that is exact.
fn ratio(clocks: &Clocks) -> Result<(u16, u16, bool), ClockError> {
    let (code, divider) = match clocks.mclk_hz {
        10_000_000..=20_000_000 => (1, 1),
        20_000_001..=40_000_000 => (2, 2),
        40_000_001..=60_000_000 => (3, 4),
        _ => {
            let reason = ClockReason::Mclk { least: 10_000_000, most: 60_000_000 };
            return Err(ClockError { chip: Max9867::NAME, clocks: *clocks, reason });
        }
    };
    let (over, under) = (96 * 65_536 * u64::from(clocks.rate.hz()) * divider, u64::from(clocks.mclk_hz));
    // 15 bits: the lowest isn't there.
    let ni = (over + under) / (2 * under) * 2;
    Ok((code, ni as u16, ni * under == over))
}

impl Chip for Max9867 {
    type Image = [u16; COUNT];

    const NAME: &'static str = "MAX9867";
    const FORMAT: Format = Format::EightEight;
    const REGISTERS: &'static [Register] = &TABLE;
    const RESET: Self::Image = RESETS;
    const RESET_WRITE: Option<ResetWrite> = None;
    const IDENTITY: Option<IdentityRegister> =
        Some(IdentityRegister { address: 0xff, name: "REVISION", mask: 0xff, value: 0x42 });
    // JKSNS is set when nothing is in it.
    const JACK: Option<JackFlag> = None;
    // Volumes and mutes wait until the signal crosses zero: half a period of 20 Hz.
    const TIMES: ChipTimings = ChipTimings { mute_ms: 25, reset_ms: 0, patience_ms: 10 };

    // The table's order is that of both: PWRMAN comes behind all that it needs, and goes before it.
    const UP: &'static [ChipStep] = &[];
    const DOWN: &'static [ChipStep] = &[];
    const CLOCKS: &'static [ChipStep] = &[ChipStep::Hold(PWRMAN, SHDN, 0)];
    const ROUTES: &'static [ChipStep] = &[];

    fn address(&self) -> u8 {
        0x18
    }

    fn image(&self, setup: &Setup, image: &mut Self::Image) -> Result<(), ClockError> {
        let Pins { output, input } = self.pins.of(setup.route);
        let (code, ni, exact) = ratio(&setup.clocks)?;
        let master = setup.clocks.role == Role::Master;
        image[SYSCLK] = code << 4;
        // A slave whose ratio isn't exact follows the frame clock by the PLL, with rapid lock.
        let follows = u16::from(!master && !exact);
        image[AUDIOCLKHIGH] = (follows << 7) | (ni >> 8);
        image[AUDIOCLKLOW] = (ni & 0xfe) | follows;
        image[IFC1A] = (u16::from(master) << 7) | 0x10;
        image[IFC1B] = u16::from(master);
        // Voice filters for the rate, up to 24 kHz; above, those for music.
        image[CODECFLTR] = match setup.clocks.rate {
            Rate::Hz8000 => 0x33,
            Rate::Hz16000 => 0x11,
            Rate::Hz44100 | Rate::Hz48000 => 0x80,
        };
        // Stereo, capacitorless.
        image[MODECONFIG] = 0x02;
        image[SIDETONE] = match setup.sidetone {
            Some(sidetone) => 0x40 | (0x1f - sidetone.nearest(-6_500, 200, 31)),
            None => 0,
        };
        // 0 dB both.
        image[ADCLEVEL] = 0x33;
        // A preamplifier of 0, 20 or 30 dB, and up to 20 dB behind it. The bias isn't switched by itself.
        let line = input == LineInput::Line;
        let gain = setup.gain.nearest(0, 100, 51);
        image[LEFTMICGAIN] = match gain {
            _ if line => 0,
            0..20 => 0x20 | (20 - gain),
            20..30 => 0x40 | (40 - gain),
            _ => 0x60 | (50 - gain),
        };
        // Both DACs and the left ADC.
        image[PWRMAN] = SHDN | (u16::from(line) << 6) | 0x0e;
        image[INPUTCONFIG] = match input {
            _ if setup.mute_microphone => 0,
            LineInput::Microphone => 0x40,
            LineInput::Line => 0x80,
        };
        // Never straight to the headphones.
        image[LEFTLINELVL] = 0x40 | if line { 15 - setup.gain.nearest(-600, 200, 16) } else { 0 };
        let muted = |side| u16::from(setup.mute_output || output != side) << 6;
        image[LEFTVOL] = muted(Output::Left) | volume(setup.volume);
        image[RIGHTVOL] = muted(Output::Right) | volume(setup.volume);
        image[DACLEVEL] = u16::from(setup.mute_output) << 6;
        Ok(())
    }

    fn achieved(&self, clocks: &Clocks) -> Result<Achieved, ClockError> {
        let (code, ni, exact) = ratio(clocks)?;
        let pclk = u64::from(clocks.mclk_hz >> (code - 1));
        let millihertz = match clocks.role {
            Role::Slave => u64::from(clocks.rate.hz()) * 1_000,
            Role::Master => pclk * u64::from(ni) * 1_000 / (96 * 65_536),
        };
        Ok(Achieved { millihertz, pll: clocks.role == Role::Slave && !exact })
    }

    fn volumes(&self, _: Route) -> (Decibels, Decibels) {
        (Decibels::new(-82), Decibels::new(6))
    }

    fn gains(&self, route: Route) -> (Decibels, Decibels) {
        match self.pins.of(route).input {
            LineInput::Microphone => (Decibels::ZERO, Decibels::new(50)),
            LineInput::Line => (Decibels::new(-6), Decibels::new(24)),
        }
    }

    fn sidetones(&self, _: Route) -> Option<(Decibels, Decibels)> {
        Some((Decibels::new(-65), Decibels::new(-5)))
    }
}

const CLOCKS: Clocks = Clocks { mclk_hz: 12_288_000, rate: Rate::Hz8000, role: Role::Slave, word: Word::Bits16 };

fn driver(mock: &Mock<128>) -> CodecChip<Max9867, MockBus<'_, 128>, MockDelay<'_, 128>> {
    CodecChip::new(CHIP, mock.bus(), mock.delay(), Setup::new(CLOCKS))
}

fn written(mock: &Mock<128>) -> Vec<(u16, u16)> {
    let writes = mock.writes().collect();
    mock.forget();
    writes
}

#[test]
fn a_working_day_transaction_by_transaction() {
    let mock = Mock::of(&CHIP);
    let mut codec = driver(&mock);
    block_on(codec.set_power(false)).expect("it answers");
    mock.forget();
    block_on(codec.set_power(true)).expect("it answers");
    let silence = [(0x0c, 0x40), (0x11, 0x40), (0x10, 0x40), (0x0e, 0x40)];
    let clocks = [(0x05, 0x10), (0x06, 0x10), (0x08, 0x10), (0x0a, 0x33)];
    let levels_and_power = [(0x16, 0x02), (0x0d, 0x33), (0x12, 0x54), (0x17, 0x8e), (0x10, 0x49), (0x11, 0x49)];
    // First the microphone, last the digital mute.
    let sound = [(0x14, 0x40), (0x10, 0x09), (0x0c, 0x00)];
    assert_eq!(written(&mock), [&silence[..], &clocks, &levels_and_power, &sound].concat(), "on");

    let (down, up) = ([(0x0c, 0x40), (0x10, 0x49), (0x14, 0x00), (0x17, 0x0e)], [(0x17, 0x8e)]);
    for (rate, clocks) in [
        (Rate::Hz16000, &[(0x06, 0x20), (0x0a, 0x11)]),
        (Rate::Hz48000, &[(0x06, 0x60), (0x0a, 0x80)]),
        (Rate::Hz8000, &[(0x06, 0x10), (0x0a, 0x33)]),
    ] {
        block_on(codec.set_rate(rate)).expect("it answers");
        assert_eq!(written(&mock), [&down[..], clocks, &up, &sound].concat(), "{rate:?}");
        let achieved = codec.achieved().expect("clocks it can make");
        assert_eq!(achieved, Achieved { millihertz: u64::from(rate.hz()) * 1_000, pll: false });
    }

    for (hundredths, code) in
        [(600, 0x00), (570, 0x01), (0, 0x09), (-500, 0x0e), (-2_300, 0x17), (-8_200, 0x26), (-9_900, 0x26)]
    {
        block_on(codec.set_volume(Decibels::from_hundredths(hundredths))).expect("it answers");
        assert_eq!(mock.register(0x10), Some(code), "{hundredths}");
    }
    block_on(codec.set_volume(Decibels::ZERO)).expect("it answers");
    mock.forget();
    block_on(codec.set_mute(true, true)).expect("it answers");
    assert_eq!(written(&mock), [(0x14, 0x00), (0x10, 0x49), (0x0c, 0x40)], "muted");
    block_on(codec.set_mute(false, false)).expect("it answers");
    assert_eq!(written(&mock), sound, "heard");

    block_on(codec.set_route(Route::Line)).expect("it answers");
    let line = [(0x12, 0x00), (0x17, 0xce), (0x0e, 0x42), (0x14, 0x80), (0x11, 0x09), (0x0c, 0x00)];
    assert_eq!(written(&mock), [&down[..3], &line].concat(), "line");
    assert_eq!(mock.loud(), None);
}

#[test]
fn any_state_after_any_other_is_as_that_state_alone_and_nothing_pops() {
    let base = Setup { power: true, ..Setup::new(CLOCKS) };
    let states = [
        Setup::new(CLOCKS),
        base,
        Setup { route: Route::Headset, gain: Decibels::new(35), ..base },
        Setup { route: Route::Line, volume: Decibels::new(-30), ..base },
        Setup { sidetone: Some(Decibels::new(-15)), gain: Decibels::new(7), ..base },
        Setup { sidetone: Some(Decibels::new(-90)), mute_microphone: true, mute_output: true, ..base },
        Setup { clocks: Clocks { mclk_hz: 26_000_000, rate: Rate::Hz16000, ..CLOCKS }, ..base },
        Setup { clocks: Clocks { rate: Rate::Hz48000, role: Role::Master, word: Word::Bits24, ..CLOCKS }, ..base },
    ];
    for first in &states {
        for second in &states {
            let mock = Mock::of(&CHIP);
            let mut codec = driver(&mock);
            block_on(codec.apply(first)).expect("it answers");
            block_on(codec.apply(second)).expect("it answers");
            assert_eq!(mock.loud(), None, "{first:?} to {second:?}");
            let mut image = RESETS;
            if second.power {
                CHIP.image(second, &mut image).expect("clocks it can make");
            }
            for (register, value) in TABLE.iter().zip(image) {
                assert_eq!(mock.register(register.address), Some(value), "{} of {second:?}", register.name);
            }
        }
    }
}

#[test]
fn it_is_shut_down_before_its_clocks_stop_whatever_the_reason() {
    let is_shut_down_first = |mock: &Mock<128>, why: &str| {
        let writes = written(mock);
        let shut_down = writes.iter().position(|&(register, value)| register == 0x17 && value & 0x80 == 0);
        let clocks = writes.iter().position(|&(register, _)| (0x05..=0x0a).contains(&register));
        assert!(shut_down.expect(why) < clocks.expect(why), "{why}: {writes:x?}");
    };
    let mock = Mock::of(&CHIP);
    let mut codec = driver(&mock);
    block_on(codec.set_power(true)).expect("it answers");
    mock.forget();
    block_on(codec.set_power(false)).expect("it answers");
    is_shut_down_first(&mock, "off");
    block_on(codec.set_power(true)).expect("it answers");
    mock.forget();
    // The processor starts anew, and nothing tells the chip.
    let mut codec = driver(&mock);
    block_on(codec.set_power(true)).expect("it answers");
    is_shut_down_first(&mock, "restart");
    mock.deafen(mock.transactions() + 1, 1);
    block_on(codec.set_rate(Rate::Hz16000)).expect_err("nobody answers");
    is_shut_down_first(&mock, "nobody answers");
}

#[test]
fn what_it_cant_do_who_doesnt_answer_and_who_else_answers_is_told() {
    let mock = Mock::of(&CHIP);
    let mut codec = driver(&mock);
    let clocks = Clocks { mclk_hz: 8_000_000, ..CLOCKS };
    let error = block_on(codec.apply(&Setup { power: true, ..Setup::new(clocks) })).expect_err("too slow");
    assert_eq!(
        error.to_string(),
        "MAX9867 can't make 8000 Hz from an MCLK of 8000000 Hz: MCLK has to be between 10000000 and 60000000 Hz"
    );
    assert_eq!(mock.events(), 0);

    block_on(codec.set_power(true)).expect("it answers");
    mock.deafen(mock.transactions() + 3, 1);
    let error = block_on(codec.set_rate(Rate::Hz16000)).expect_err("nobody answers");
    assert!(matches!(error, ChipError::Bus(..)), "{error:?}");
    assert_eq!(error.to_string(), "MAX9867 at address 0x18, register 0x17 (PWRMAN): the bus says Nack");
    assert!(!codec.is_on());
    assert_eq!(mock.register(0x17), Some(0));
    block_on(codec.set_power(true)).expect("it answers again");
    assert!(codec.is_on());

    let mock = Mock::of(&CHIP);
    mock.set_register(0xff, 0x41);
    let error = block_on(driver(&mock).set_power(true)).expect_err("another chip");
    assert_eq!(
        error.to_string(),
        "MAX9867 at address 0x18, register 0xff (REVISION): reads 0x0041 where the chip has 0x0042: another chip is there"
    );
    assert_eq!(mock.writes().count(), 0);
}
