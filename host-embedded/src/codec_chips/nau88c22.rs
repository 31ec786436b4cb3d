//! NAU88C22 (Nuvoton; NAU8822 alike): headphones, a bridged loudspeaker of 1 W, a microphone and a line input a side.
//!
//! It has an id and can be read. Its jack detection (datasheet, "Jack Detect") enables outputs by itself from a pin, and no
//! register shows the pin's state: the driver leaves it off, and the processor reads the jack's switch.
//!
//! A phone has one microphone: the left input, which is in the left slot; the right slot is silent. The sidetone goes from the
//! left input to the left mixer alone. The auxiliary inputs and outputs, equalizer, limiter and level control are not used.
//!
//! Headings are those of the manufacturer's datasheet, revision 1.8.
//!
//! Use it with a [`CodecChip`](super::CodecChip), over the board's I2C and its timer. Here they are simulated:
//!
//! ```
//! use embassy_futures::block_on;
//! use host_embedded::codec_chips::mock::Mock;
//! use host_embedded::codec_chips::nau88c22::Nau88c22;
//! use host_embedded::codec_chips::{Clocks, CodecChip, Rate, Role, Setup, Word};
//!
//! let clocks = Clocks { mclk_hz: 12_288_000, rate: Rate::Hz48000, role: Role::Slave, word: Word::Bits16 };
//! let mock: Mock<256> = Mock::of(&Nau88c22::default());
//! let mut chip = CodecChip::new(Nau88c22::default(), mock.bus(), mock.delay(), Setup::new(clocks));
//! block_on(chip.set_power(true))?;
//! # Ok::<(), host_embedded::codec_chips::ChipError<host_embedded::codec_chips::mock::Nack>>(())
//! ```

use super::chip::{
    Achieved, Bits, Chip, ChipStep, ChipTimings, Format, IdentityRegister, JackFlag, Register, ResetWrite,
};
use super::pll::Fractional;
use super::setup::{ClockError, ClockReason, Clocks, Decibels, Pins, Rate, Role, Route, Setup, Wiring, Word};

const NAME: &str = "NAU88C22";
const ALL: u16 = 0x1ff;

crate::codec_chip_registers! {
    PLL_N = 0x24, reset 0x008, Bits::CLOCK, "PLL N: prescaler and whole part";
    PLL_K1 = 0x25, reset 0x00c, Bits::CLOCK, "PLL K1: fraction, bits 23 to 18";
    PLL_K2 = 0x26, reset 0x093, Bits::CLOCK, "PLL K2: fraction, bits 17 to 9";
    PLL_K3 = 0x27, reset 0x0e9, Bits::CLOCK, "PLL K3: fraction, bits 8 to 0";
    CLOCK_1 = 0x06, reset 0x140, Bits::CLOCK, "Clock Control 1: source, dividers, master";
    CLOCK_2 = 0x07, reset 0x000, Bits::CLOCK, "Clock Control 2: the rate that filters are for";
    INTERFACE = 0x04, reset 0x050, Bits::CLOCK, "Audio Interface: word length, format";
    POWER_1 = 0x01, reset 0x000, Bits::PATH.and_clock(0x020), "Power Management 1: reference, bias, microphone bias, PLL";
    POWER_2 = 0x02, reset 0x000, Bits::PATH, "Power Management 2: headphones, inputs";
    INPUT = 0x2c, reset 0x033, Bits::PATH, "Input Control: pins of the amplifiers";
    OUTPUT = 0x31, reset 0x002, Bits::PATH, "Output Control: boost of the loudspeaker, thermal shutdown";
    SUBMIX = 0x2b, reset 0x000, Bits::PATH, "Right Speaker Submix: the inverted side of a bridged loudspeaker";
    LEFT_MIXER = 0x32, reset 0x001, Bits::LEVEL.and_path(0x003), "Left Mixer: converter and bypass";
    RIGHT_MIXER = 0x33, reset 0x001, Bits::PATH, "Right Mixer: converter";
    POWER_3 = 0x03, reset 0x000, Bits::PATH, "Power Management 3: loudspeaker, mixers, converters of outputs";
    LEFT_BOOST = 0x2f, reset 0x100, Bits::mute(0x070, 0), "Left ADC Boost: 20 dB for the amplifier, gain of the line input";
    LEFT_GAIN = 0x2d, reset 0x010, Bits::mute(0x040, 0x040), "Left Input PGA Gain";
    LEFT_HEADPHONE = 0x34, reset 0x039, Bits::mute(0x040, 0x040), "LHP Volume";
    RIGHT_HEADPHONE = 0x35, reset 0x039, Bits::mute(0x040, 0x040), "RHP Volume";
    LEFT_SPEAKER = 0x36, reset 0x039, Bits::mute(0x040, 0x040), "LSPKOUT Volume";
    RIGHT_SPEAKER = 0x37, reset 0x039, Bits::mute(0x040, 0x040), "RSPKOUT Volume";
    DAC = 0x0a, reset 0x000, Bits::mute(0x040, 0x040), "DAC Control: soft mute";
}

/// Updates both sides at once.
const UPDATE: u16 = 0x100;
const PLL_ON: u16 = 0x020;
const FROM_PLL: u16 = 0x100;

/// Pins of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Nau88c22Output {
    /// LHP and RHP.
    Headphones,
    /// LHP: an earpiece.
    HeadphoneLeft,
    /// A loudspeaker between LSPKOUT and RSPKOUT.
    Speaker,
}

/// Pins of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Nau88c22Input {
    /// A microphone at LMICN.
    Single,
    /// A microphone between LMICP and LMICN.
    Differential,
    /// A line at LLIN, past the amplifier.
    Line,
}

/// An NAU88C22 and how it is wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Nau88c22 {
    /// Whether the loudspeaker's supply is above 3.6 V, for which its amplifier has to be boosted.
    pub speaker_above_3v6: bool,
    /// Pins of each route.
    pub wiring: Wiring<Pins<Nau88c22Output, Nau88c22Input>>,
}

impl Default for Nau88c22 {
    /// Earpiece at LHP, headphones at LHP and RHP, a bridged loudspeaker at no more than 3.6 V; the microphones between LMICP and
    /// LMICN, a line input at LLIN.
    fn default() -> Self {
        Self {
            speaker_above_3v6: false,
            wiring: Wiring {
                handset: Pins { output: Nau88c22Output::HeadphoneLeft, input: Nau88c22Input::Differential },
                headset: Pins { output: Nau88c22Output::Headphones, input: Nau88c22Input::Single },
                speakerphone: Pins { output: Nau88c22Output::Speaker, input: Nau88c22Input::Differential },
                line: Pins { output: Nau88c22Output::Headphones, input: Nau88c22Input::Line },
            },
        }
    }
}

/// The dividers of the master clock in halves, indexed by their codes (Clock Control 1); the divided clock is 256 times the rate.
const DIVIDER_HALVES: [u32; 8] = [2, 3, 4, 6, 8, 12, 16, 24];

#[derive(Clone, Copy)]
struct Plan {
    pll: Option<Fractional>,
    divider: usize,
}

impl Plan {
    fn new(clocks: &Clocks) -> Result<Self, ClockError> {
        let sources = || DIVIDER_HALVES.iter().map(|halves| clocks.rate.hz() * 128 * halves).enumerate();
        if let Some((divider, _)) = sources().find(|(_, source)| *source == clocks.mclk_hz) {
            return Ok(Self { pll: None, divider });
        }
        let refused = |reason| ClockError { chip: NAME, clocks: *clocks, reason };
        let (least, most) = (8_000_000, 33_000_000);
        if !(least..=most).contains(&clocks.mclk_hz) {
            return Err(refused(ClockReason::Mclk { least, most }));
        }
        let with_pll = sources().find_map(|(divider, source)| {
            let pll = Fractional::for_output(clocks.mclk_hz, u64::from(source))?;
            Some(Self { pll: Some(pll), divider })
        });
        with_pll.ok_or(refused(ClockReason::Pll))
    }
}

/// Returns the setting of the amplifier, which starts at -12 dB in steps of 0.75 dB, and whether 20 dB are added after it.
fn microphone_gain(gain: Decibels) -> (u16, bool) {
    let boosted = gain.hundredths() > 3_525;
    let rest = gain.hundredths().saturating_sub(if boosted { 2_000 } else { 0 });
    (Decibels::from_hundredths(rest).nearest(-1_200, 75, 64), boosted)
}

impl Chip for Nau88c22 {
    type Image = [u16; COUNT];

    const NAME: &'static str = NAME;
    const FORMAT: Format = Format::SevenNine;
    const REGISTERS: &'static [Register] = &TABLE;
    const RESET: [u16; COUNT] = RESETS;
    const RESET_WRITE: Option<ResetWrite> = Some(ResetWrite { address: 0x00, name: "RESET", value: 0x1ff });
    const IDENTITY: Option<IdentityRegister> =
        Some(IdentityRegister { address: 0x3f, name: "DEVICE_ID", mask: 0x0ff, value: 0x01a });
    const JACK: Option<JackFlag> = None;
    // The longest of soft mutes, at 8 kHz: the datasheet has no number, a sample a step of 512 is taken.
    const TIMES: ChipTimings = ChipTimings { mute_ms: 64, reset_ms: 10, patience_ms: 10 };

    const UP: &'static [ChipStep] = &[
        ChipStep::Reach(PLL_N, ALL),
        ChipStep::Reach(PLL_K1, ALL),
        ChipStep::Reach(PLL_K2, ALL),
        ChipStep::Reach(PLL_K3, ALL),
        ChipStep::Reach(CLOCK_2, ALL),
        ChipStep::Reach(INTERFACE, ALL),
        // Reference of 80 kohm, bias, and the buffer that holds unused outputs: all outputs rise with them.
        ChipStep::Reach(POWER_1, !PLL_ON),
        ChipStep::Wait(250),
        ChipStep::Reach(POWER_1, PLL_ON),
        ChipStep::WaitIf(POWER_1, PLL_ON, 10),
        ChipStep::Reach(CLOCK_1, ALL),
        ChipStep::Reach(INPUT, ALL),
        ChipStep::Reach(OUTPUT, ALL),
        ChipStep::Reach(SUBMIX, ALL),
        // Mixers and converters come before the amplifiers that follow them.
        ChipStep::Reach(POWER_3, 0x00f),
        ChipStep::Reach(POWER_2, ALL),
        ChipStep::Reach(POWER_3, ALL),
        ChipStep::Wait(20),
    ];
    const DOWN: &'static [ChipStep] = &[
        ChipStep::Hold(POWER_2, ALL, 0),
        ChipStep::Hold(POWER_3, ALL, 0),
        // The buffer still holds the outputs while the reference goes down.
        ChipStep::Hold(POWER_1, 0x013, 0),
        ChipStep::Wait(250),
        ChipStep::Reset,
    ];
    const CLOCKS: &'static [ChipStep] = &[
        ChipStep::Hold(CLOCK_1, FROM_PLL, 0),
        ChipStep::Hold(POWER_1, PLL_ON, 0),
        ChipStep::Reach(PLL_N, ALL),
        ChipStep::Reach(PLL_K1, ALL),
        ChipStep::Reach(PLL_K2, ALL),
        ChipStep::Reach(PLL_K3, ALL),
        ChipStep::Reach(CLOCK_2, ALL),
        ChipStep::Reach(INTERFACE, ALL),
        ChipStep::Reach(POWER_1, ALL),
        ChipStep::WaitIf(POWER_1, PLL_ON, 10),
        ChipStep::Reach(CLOCK_1, ALL),
        ChipStep::Wait(20),
    ];
    const ROUTES: &'static [ChipStep] = &[
        ChipStep::Reach(POWER_1, ALL),
        ChipStep::Reach(INPUT, ALL),
        ChipStep::Reach(SUBMIX, ALL),
        ChipStep::Reach(POWER_3, 0x00f),
        ChipStep::Reach(POWER_2, ALL),
        ChipStep::Reach(POWER_3, ALL),
        ChipStep::Wait(20),
    ];

    /// 0x1a, its only one.
    fn address(&self) -> u8 {
        0x1a
    }

    fn image(&self, setup: &Setup, image: &mut [u16; COUNT]) -> Result<(), ClockError> {
        let plan = Plan::new(&setup.clocks)?;
        let Pins { output, input } = self.wiring.of(setup.route);
        let speaker = output == Nau88c22Output::Speaker;
        let headphone = !speaker;
        let right = output != Nau88c22Output::HeadphoneLeft;
        let line = input == Nau88c22Input::Line;

        // Clocks.
        if let Some(Fractional { halved, n, k }) = plan.pll {
            image[PLL_N] = (u16::from(halved) << 4) | n;
            image[PLL_K1] = (k >> 18) as u16;
            image[PLL_K2] = (k >> 9) as u16 & 0x1ff;
            image[PLL_K3] = k as u16 & 0x1ff;
        }
        let master = u16::from(setup.clocks.role == Role::Master);
        // A quarter of 256 times the rate.
        let bit_clock = 0b010 << 2;
        let source = if plan.pll.is_some() { FROM_PLL } else { 0 };
        image[CLOCK_1] = source | ((plan.divider as u16) << 5) | bit_clock | master;
        let filters = match setup.clocks.rate {
            Rate::Hz8000 => 5,
            Rate::Hz16000 => 3,
            Rate::Hz44100 | Rate::Hz48000 => 0,
        };
        image[CLOCK_2] = filters << 1;
        let word = match setup.clocks.word {
            Word::Bits16 => 0,
            Word::Bits24 => 2,
            Word::Bits32 => 3,
        };
        image[INTERFACE] = (word << 5) | 0x010;

        // Power.
        let boosted = speaker && self.speaker_above_3v6;
        image[POWER_1] = 0x00d
            | (u16::from(self.speaker_above_3v6) << 8)
            | if plan.pll.is_some() { PLL_ON } else { 0 }
            | (u16::from(setup.bias && !line) << 4);
        image[POWER_2] = (u16::from(headphone && right) << 8)
            | (u16::from(headphone) << 7)
            | 0x010
            | (u16::from(!line) << 2)
            | 0x001;
        image[POWER_3] = (u16::from(speaker) * 0x060) | (u16::from(right) * 0x00a) | 0x005;

        // Paths.
        image[INPUT] = match input {
            Nau88c22Input::Single => 0x002,
            Nau88c22Input::Differential => 0x003,
            Nau88c22Input::Line => 0x000,
        };
        image[OUTPUT] = 0x002 | (u16::from(boosted) << 2);
        image[SUBMIX] = if speaker { 0x010 } else { 0 };
        image[LEFT_MIXER] = match setup.sidetone {
            Some(sidetone) => 0x003 | (sidetone.nearest(-1_500, 300, 8) << 2),
            None => 0x001,
        };
        image[RIGHT_MIXER] = u16::from(right);

        // Levels.
        let (amplifier, boost) = microphone_gain(setup.gain);
        let silent = setup.mute_microphone || line;
        image[LEFT_GAIN] = UPDATE | (u16::from(silent) << 6) | if line { 0x010 } else { amplifier };
        image[LEFT_BOOST] = match (line, setup.mute_microphone) {
            (false, _) => u16::from(boost) << 8,
            (true, true) => 0,
            (true, false) => (1 + setup.gain.nearest(-1_200, 300, 7)) << 4,
        };
        let volume = setup.volume.nearest(-5_700, 100, 64);
        let of = |used: bool| match used {
            true => UPDATE | (u16::from(setup.mute_output) << 6) | volume,
            false => UPDATE | 0x040,
        };
        image[LEFT_HEADPHONE] = of(headphone);
        image[RIGHT_HEADPHONE] = of(headphone && right);
        image[LEFT_SPEAKER] = of(speaker);
        image[RIGHT_SPEAKER] = of(speaker);
        image[DAC] = u16::from(setup.mute_output) << 6;
        Ok(())
    }

    fn achieved(&self, clocks: &Clocks) -> Result<Achieved, ClockError> {
        let plan = Plan::new(clocks)?;
        // Frequencies are in units of 2^-16 Hz.
        let source = match plan.pll {
            Some(pll) => pll.output(clocks.mclk_hz),
            None => u64::from(clocks.mclk_hz) << 16,
        };
        let divider = u64::from(DIVIDER_HALVES[plan.divider] * 128) << 16;
        Ok(Achieved { millihertz: (source * 1_000 + divider / 2) / divider, pll: plan.pll.is_some() })
    }

    fn volumes(&self, _: Route) -> (Decibels, Decibels) {
        (Decibels::new(-57), Decibels::new(6))
    }

    fn gains(&self, route: Route) -> (Decibels, Decibels) {
        match self.wiring.of(route).input {
            Nau88c22Input::Line => (Decibels::new(-12), Decibels::new(6)),
            Nau88c22Input::Single | Nau88c22Input::Differential => {
                (Decibels::new(-12), Decibels::from_hundredths(5_525))
            }
        }
    }

    fn sidetones(&self, _: Route) -> Option<(Decibels, Decibels)> {
        Some((Decibels::new(-15), Decibels::new(6)))
    }
}
