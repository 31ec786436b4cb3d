//! TLV320AIC3104 (Texas Instruments): headphones or a bridged earpiece, line outputs, two inputs a side, and a headset's
//! detection that can be read.
//!
//! It has no register that says which chip it is. Its loudspeaker's amplifier is at the line output.
//!
//! A phone has one microphone: the left converter, which is in the left slot; the right slot is silent. The sidetone goes from the
//! left input's amplifier to both outputs. Effects, the level control and the right input are not used.
//!
//! When the chip is master, its slots have as many bits as its words: the driver has it make words of 32 bits then, of which a
//! host that has 16 or 24 bits leaves the lower ones zero.
//!
//! Headings are those of the manufacturer's datasheet, revision G ("Register Maps" for the registers of page 0).
//!
//! Use it with a [`CodecChip`](super::CodecChip), over the board's I2C and its timer. Here they are simulated:
//!
//! ```
//! use embassy_futures::block_on;
//! use host_embedded::codec_chips::mock::Mock;
//! use host_embedded::codec_chips::tlv320aic3104::Tlv320Aic3104;
//! use host_embedded::codec_chips::{Clocks, CodecChip, Rate, Role, Setup, Word};
//!
//! let clocks = Clocks { mclk_hz: 12_288_000, rate: Rate::Hz48000, role: Role::Slave, word: Word::Bits16 };
//! let mock: Mock<256> = Mock::of(&Tlv320Aic3104::default());
//! let mut chip = CodecChip::new(Tlv320Aic3104::default(), mock.bus(), mock.delay(), Setup::new(clocks));
//! block_on(chip.set_power(true))?;
//! # Ok::<(), host_embedded::codec_chips::ChipError<host_embedded::codec_chips::mock::Nack>>(())
//! ```

use super::chip::{
    Achieved, Bits, Chip, ChipStep, ChipTimings, Format, IdentityRegister, JackFlag, Register, ResetWrite,
};
use super::setup::{ClockError, ClockReason, Clocks, Decibels, Pins, Rate, Role, Route, Setup, Wiring, Word};

const NAME: &str = "TLV320AIC3104";
const ALL: u16 = 0xff;

crate::codec_chip_registers! {
    RATE = 2, reset 0x00, Bits::CLOCK, "Codec Sample Rate Select: dividers of both directions";
    PLL_A = 3, reset 0x10, Bits::CLOCK, "PLL Programming A: on, Q, P";
    PLL_B = 4, reset 0x04, Bits::CLOCK, "PLL Programming B: J";
    PLL_C = 5, reset 0x00, Bits::CLOCK, "PLL Programming C: D, upper bits";
    PLL_D = 6, reset 0x00, Bits::CLOCK, "PLL Programming D: D, lower bits";
    PLL_R = 11, reset 0x01, Bits::CLOCK, "Audio Codec Overflow Flag: R of the PLL";
    CLOCK = 101, reset 0x00, Bits::CLOCK, "Clock: PLL or divider Q";
    IFACE_A = 8, reset 0x00, Bits::CLOCK, "Audio Serial Data Interface Control A: master";
    IFACE_B = 9, reset 0x00, Bits::CLOCK, "Audio Serial Data Interface Control B: format, word length";
    DATAPATH = 7, reset 0x00, Bits::PATH.and_clock(0x80), "Codec Data Path Setup: which slot each converter gets";
    POP = 42, reset 0x00, Bits::PATH, "Output Driver Pop Reduction";
    HEADSET_A = 13, reset 0x00, Bits::PATH, "Headset and Button Press Detection A: on";
    HEADSET_B = 14, reset 0x00, Bits::PATH, "Headset and Button Press Detection B: outputs by capacitors; what is found";
    MICBIAS = 25, reset 0x00, Bits::PATH, "MICBIAS Control";
    INPUT_1 = 19, reset 0x78, Bits::PATH, "MIC1LP/LINE1LP to Left ADC Control: path, differential, converter on";
    INPUT_2 = 17, reset 0xff, Bits::PATH, "MIC2L/R to Left ADC Control: path";
    DAC_POWER = 37, reset 0x00, Bits::PATH, "DAC Power and Output Driver Control";
    DAC_TO_HPL = 47, reset 0x00, Bits::PATH, "DAC_L1 to HPLOUT Volume Control";
    DAC_TO_HPR = 64, reset 0x00, Bits::PATH, "DAC_R1 to HPROUT Volume Control";
    DAC_TO_LINE_L = 82, reset 0x00, Bits::PATH, "DAC_L1 to LEFT_LOP/M Volume Control";
    DAC_TO_LINE_R = 92, reset 0x00, Bits::PATH, "DAC_R1 to RIGHT_LOP/M Volume Control";
    SIDE_TO_HPL = 46, reset 0x00, Bits::LEVEL.and_path(0x80), "PGA_L to HPLOUT Volume Control";
    SIDE_TO_HPR = 60, reset 0x00, Bits::LEVEL.and_path(0x80), "PGA_L to HPROUT Volume Control";
    SIDE_TO_LINE_L = 81, reset 0x00, Bits::LEVEL.and_path(0x80), "PGA_L to LEFT_LOP/M Volume Control";
    SIDE_TO_LINE_R = 88, reset 0x00, Bits::LEVEL.and_path(0x80), "PGA_L to RIGHT_LOP/M Volume Control";
    GAIN = 15, reset 0x80, Bits::mute(0x80, 0x80), "Left ADC PGA Gain Control";
    HPL = 51, reset 0x04, Bits::mute(0x08, 0).and_path(0x05), "HPLOUT Output Level Control";
    HPLCOM = 58, reset 0x04, Bits::mute(0x08, 0).and_path(0x05), "HPLCOM Output Level Control";
    HPR = 65, reset 0x04, Bits::mute(0x08, 0).and_path(0x05), "HPROUT Output Level Control";
    LINE_L = 86, reset 0x00, Bits::mute(0x08, 0).and_path(0x01), "LEFT_LOP/M Output Level Control";
    LINE_R = 93, reset 0x00, Bits::mute(0x08, 0).and_path(0x01), "RIGHT_LOP/M Output Level Control";
    DAC_R = 44, reset 0x80, Bits::mute(0x80, 0x80), "Right DAC Digital Volume Control";
    DAC_L = 43, reset 0x80, Bits::mute(0x80, 0x80), "Left DAC Digital Volume Control";
}

const PLL_ON: u16 = 0x80;
const ADC_ON: u16 = 0x04;
/// Converters of both sides.
const DACS_ON: u16 = 0xc0;
const OUTPUT_ON: u16 = 0x01;

/// Pins of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Tlv320Aic3104Output {
    /// HPLOUT and HPROUT, by capacitors.
    Headphones,
    /// An earpiece between HPLOUT and HPLCOM.
    Earpiece,
    /// LEFT_LOP/M and RIGHT_LOP/M, for a line or a loudspeaker's amplifier.
    LineOut,
}

/// Pins of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Tlv320Aic3104Input {
    /// A microphone at MIC1LP/LINE1LP.
    Single1,
    /// A microphone between MIC1LP/LINE1LP and MIC1LM/LINE1LM.
    Differential1,
    /// A headset's microphone at MIC2L/LINE2L.
    Single2,
    /// A line at MIC2L/LINE2L: without bias.
    Line2,
}

/// A TLV320AIC3104 and how it is wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tlv320Aic3104 {
    /// Pins of each route.
    pub wiring: Wiring<Pins<Tlv320Aic3104Output, Tlv320Aic3104Input>>,
}

impl Default for Tlv320Aic3104 {
    /// Returns an earpiece between HPLOUT and HPLCOM, headphones at HPLOUT and HPROUT, the loudspeaker's amplifier at the line
    /// outputs; the microphones of handset and case between MIC1LP and MIC1LM, the headset's and a line at MIC2L.
    fn default() -> Self {
        Self {
            wiring: Wiring {
                handset: Pins { output: Tlv320Aic3104Output::Earpiece, input: Tlv320Aic3104Input::Differential1 },
                headset: Pins { output: Tlv320Aic3104Output::Headphones, input: Tlv320Aic3104Input::Single2 },
                speakerphone: Pins { output: Tlv320Aic3104Output::LineOut, input: Tlv320Aic3104Input::Differential1 },
                line: Pins { output: Tlv320Aic3104Output::LineOut, input: Tlv320Aic3104Input::Line2 },
            },
        }
    }
}

/// The PLL: MCLK times `R * J.D / P`.
#[derive(Clone, Copy)]
struct Pll {
    p: u32,
    r: u32,
    j: u32,
    /// The fraction of the PLL, in ten thousandths.
    d: u32,
}

enum Source {
    /// `MCLK / (128 * Q)` is the reference rate.
    Divided(u32),
    Pll(Pll),
}

/// Returns the reference rate that a rate is divided from.
const fn reference(rate: Rate) -> u32 {
    match rate {
        Rate::Hz44100 => 44_100,
        Rate::Hz8000 | Rate::Hz16000 | Rate::Hz48000 => 48_000,
    }
}

impl Source {
    /// Chooses the settings by the conditions in the datasheet's section "Audio Clock Generation".
    fn new(clocks: &Clocks) -> Result<Self, ClockError> {
        let refused = |reason| ClockError { chip: NAME, clocks: *clocks, reason };
        let (least, most) = (512_000, 50_000_000);
        let mclk = clocks.mclk_hz;
        if !(least..=most).contains(&mclk) {
            return Err(refused(ClockReason::Mclk { least, most }));
        }
        let reference = reference(clocks.rate);
        if let Some(q) = (2..=17).find(|q| reference * 128 * q == mclk) {
            return Ok(Self::Divided(q));
        }
        // The oscillator runs at 2,048 times the reference: 90.3 and 98.3 MHz are within its 80 to 110 MHz.
        let oscillator = u64::from(reference) * 2_048;
        let input = |p: u32, least: u32| mclk >= least * p && mclk <= 20_000_000 * p;
        let whole = (1..=8).filter(|&p| input(p, 2_000_000)).find_map(|p| {
            let product = oscillator * u64::from(p);
            let factor = (product % u64::from(mclk) == 0).then_some((product / u64::from(mclk)) as u32)?;
            let r = (1..=16).find(|r| factor % r == 0 && (4..=55).contains(&(factor / r)))?;
            Some(Pll { p, r, j: factor / r, d: 0 })
        });
        let fraction = || {
            (1..=8).filter(|&p| input(p, 10_000_000)).find_map(|p| {
                let factor = (oscillator * u64::from(p) * 10_000 + u64::from(mclk / 2)) / u64::from(mclk);
                let (j, d) = ((factor / 10_000) as u32, (factor % 10_000) as u32);
                (4..=11).contains(&j).then_some(Pll { p, r: 1, j, d })
            })
        };
        whole.or_else(fraction).map(Self::Pll).ok_or(refused(ClockReason::Pll))
    }
}

impl Chip for Tlv320Aic3104 {
    type Image = [u16; COUNT];

    const NAME: &'static str = NAME;
    const FORMAT: Format = Format::EightEight;
    const REGISTERS: &'static [Register] = &TABLE;
    const RESET: [u16; COUNT] = RESETS;
    const RESET_WRITE: Option<ResetWrite> = Some(ResetWrite { address: 1, name: "RESET", value: 0x80 });
    const IDENTITY: Option<IdentityRegister> = None;
    const JACK: Option<JackFlag> = Some(JackFlag { address: 14, name: "HEADSET_B", mask: 0x10 });
    // A soft step of the volume takes a sample: 127 of them at 8 kHz.
    const TIMES: ChipTimings = ChipTimings { mute_ms: 16, reset_ms: 1, patience_ms: 10 };

    const UP: &'static [ChipStep] = &[
        ChipStep::Reach(POP, ALL),
        ChipStep::Reach(HEADSET_B, ALL),
        ChipStep::Reach(RATE, ALL),
        ChipStep::Reach(PLL_B, ALL),
        ChipStep::Reach(PLL_C, ALL),
        ChipStep::Reach(PLL_D, ALL),
        ChipStep::Reach(PLL_R, ALL),
        ChipStep::Reach(PLL_A, ALL),
        ChipStep::WaitIf(PLL_A, PLL_ON, 10),
        ChipStep::Reach(CLOCK, ALL),
        ChipStep::Reach(IFACE_A, ALL),
        ChipStep::Reach(IFACE_B, ALL),
        ChipStep::Reach(DATAPATH, ALL),
        ChipStep::Reach(MICBIAS, ALL),
        // Paths before converters, converters before amplifiers.
        ChipStep::Reach(INPUT_2, ALL),
        ChipStep::Reach(INPUT_1, ALL),
        ChipStep::Reach(DAC_TO_HPL, ALL),
        ChipStep::Reach(DAC_TO_HPR, ALL),
        ChipStep::Reach(DAC_TO_LINE_L, ALL),
        ChipStep::Reach(DAC_TO_LINE_R, ALL),
        ChipStep::Reach(DAC_POWER, ALL),
        ChipStep::Reach(HPL, 0x05),
        ChipStep::Reach(HPLCOM, 0x05),
        ChipStep::Reach(HPR, 0x05),
        ChipStep::Reach(LINE_L, 0x05),
        ChipStep::Reach(LINE_R, 0x05),
        // The wait covers the time for which the drivers ramp up under pop reduction: 100 ms.
        ChipStep::Wait(120),
    ];
    const DOWN: &'static [ChipStep] = &[
        ChipStep::Hold(HPL, OUTPUT_ON, 0),
        ChipStep::Hold(HPLCOM, OUTPUT_ON, 0),
        ChipStep::Hold(HPR, OUTPUT_ON, 0),
        ChipStep::Hold(LINE_L, OUTPUT_ON, 0),
        ChipStep::Hold(LINE_R, OUTPUT_ON, 0),
        ChipStep::Wait(120),
        ChipStep::Hold(DAC_POWER, DACS_ON, 0),
        ChipStep::Hold(INPUT_1, ADC_ON, 0),
        ChipStep::Reset,
    ];
    const CLOCKS: &'static [ChipStep] = &[
        // Converters are off while their rate changes.
        ChipStep::Hold(DAC_POWER, DACS_ON, 0),
        ChipStep::Hold(INPUT_1, ADC_ON, 0),
        ChipStep::Hold(PLL_A, PLL_ON, 0),
        ChipStep::Reach(RATE, ALL),
        ChipStep::Reach(PLL_B, ALL),
        ChipStep::Reach(PLL_C, ALL),
        ChipStep::Reach(PLL_D, ALL),
        ChipStep::Reach(PLL_R, ALL),
        ChipStep::Reach(PLL_A, ALL),
        ChipStep::WaitIf(PLL_A, PLL_ON, 10),
        ChipStep::Reach(CLOCK, ALL),
        ChipStep::Reach(IFACE_A, ALL),
        ChipStep::Reach(IFACE_B, ALL),
        ChipStep::Reach(DATAPATH, ALL),
        ChipStep::Reach(INPUT_1, ALL),
        ChipStep::Reach(DAC_POWER, ALL),
        ChipStep::Wait(20),
    ];
    const ROUTES: &'static [ChipStep] = &[
        ChipStep::Reach(MICBIAS, ALL),
        ChipStep::Reach(HPL, 0x05),
        ChipStep::Reach(HPLCOM, 0x05),
        ChipStep::Reach(HPR, 0x05),
        ChipStep::Reach(LINE_L, 0x05),
        ChipStep::Reach(LINE_R, 0x05),
        ChipStep::Wait(120),
    ];

    /// 0x18, its only one.
    fn address(&self) -> u8 {
        0x18
    }

    fn image(&self, setup: &Setup, image: &mut [u16; COUNT]) -> Result<(), ClockError> {
        let source = Source::new(&setup.clocks)?;
        let Pins { output, input } = self.wiring.of(setup.route);
        let reference = reference(setup.clocks.rate);

        // Clocks. The dividers' codes are halves above 1.
        let divider = (2 * reference / setup.clocks.rate.hz() - 2) as u16;
        image[RATE] = (divider << 4) | divider;
        match source {
            Source::Divided(q) => {
                image[PLL_A] = ((q & 0xf) as u16) << 3;
                image[CLOCK] = 1;
            }
            Source::Pll(Pll { p, r, j, d }) => {
                image[PLL_A] = PLL_ON | (2 << 3) | (p & 7) as u16;
                image[PLL_B] = (j << 2) as u16;
                image[PLL_C] = (d >> 6) as u16;
                image[PLL_D] = ((d & 0x3f) << 2) as u16;
                image[PLL_R] = (r & 0xf) as u16;
            }
        }
        let master = setup.clocks.role == Role::Master;
        image[IFACE_A] = if master { 0xc0 } else { 0 };
        let word = match setup.clocks.word {
            _ if master => 3,
            Word::Bits16 => 0,
            Word::Bits24 => 2,
            Word::Bits32 => 3,
        };
        image[IFACE_B] = word << 4;
        image[DATAPATH] = 0x0a | if reference == 44_100 { 0x80 } else { 0 };

        // Power: 100 ms for drivers to rise, their resting voltage from the band gap.
        image[POP] = 0x62;
        image[HEADSET_A] = 0x80;
        image[HEADSET_B] = 0x80;
        // 2.5 V.
        image[MICBIAS] = if setup.bias && input != Tlv320Aic3104Input::Line2 { 0x80 } else { 0 };
        image[INPUT_1] = ADC_ON
            | match input {
                Tlv320Aic3104Input::Single1 => 0x00,
                Tlv320Aic3104Input::Differential1 => 0x80,
                Tlv320Aic3104Input::Single2 | Tlv320Aic3104Input::Line2 => 0x78,
            };
        image[INPUT_2] =
            if matches!(input, Tlv320Aic3104Input::Single2 | Tlv320Aic3104Input::Line2) { 0x0f } else { 0xff };

        // Paths. HPLCOM is the inverse of HPLOUT by default.
        let (headphones, earpiece, line) = (
            output == Tlv320Aic3104Output::Headphones,
            output == Tlv320Aic3104Output::Earpiece,
            output == Tlv320Aic3104Output::LineOut,
        );
        let (left, right) = (headphones || earpiece, headphones);
        image[DAC_POWER] = DACS_ON;
        let path = |used: bool| u16::from(used) << 7;
        image[DAC_TO_HPL] = path(left);
        image[DAC_TO_HPR] = path(right);
        image[DAC_TO_LINE_L] = path(line);
        image[DAC_TO_LINE_R] = path(line);
        if let Some(sidetone) = setup.sidetone {
            // Half decibels down from 0 dB; below -50 dB the chip's steps are larger.
            let side = |used: bool| if used { 0x80 | (100 - sidetone.nearest(-5_000, 50, 101)) } else { 0 };
            image[SIDE_TO_HPL] = side(left);
            image[SIDE_TO_HPR] = side(right);
            image[SIDE_TO_LINE_L] = side(line);
            image[SIDE_TO_LINE_R] = side(line);
        }

        // Levels.
        image[GAIN] = (u16::from(setup.mute_microphone) << 7) | setup.gain.nearest(0, 50, 120);
        let heard = u16::from(!setup.mute_output) << 3;
        let on = |used: bool, off: u16| if used { OUTPUT_ON | heard } else { off };
        image[HPL] = on(left, 0x04);
        image[HPLCOM] = on(earpiece, 0x04);
        image[HPR] = on(right, 0x04);
        image[LINE_L] = on(line, 0);
        image[LINE_R] = on(line, 0);
        let volume = 127 - setup.volume.nearest(-6_350, 50, 128);
        image[DAC_L] = (u16::from(setup.mute_output) << 7) | volume;
        image[DAC_R] = image[DAC_L];
        Ok(())
    }

    fn achieved(&self, clocks: &Clocks) -> Result<Achieved, ClockError> {
        let divider = u64::from(reference(clocks.rate) / clocks.rate.hz());
        let (numerator, denominator, pll) = match Source::new(clocks)? {
            Source::Divided(q) => (1, 128 * u64::from(q), false),
            Source::Pll(Pll { p, r, j, d }) => (u64::from(r * (j * 10_000 + d)), 20_480_000 * u64::from(p), true),
        };
        let denominator = denominator * divider;
        let millihertz = (u64::from(clocks.mclk_hz) * numerator * 1_000 + denominator / 2) / denominator;
        Ok(Achieved { millihertz, pll })
    }

    fn volumes(&self, _: Route) -> (Decibels, Decibels) {
        (Decibels::from_hundredths(-6_350), Decibels::ZERO)
    }

    fn gains(&self, _: Route) -> (Decibels, Decibels) {
        (Decibels::ZERO, Decibels::from_hundredths(5_950))
    }

    fn sidetones(&self, _: Route) -> Option<(Decibels, Decibels)> {
        Some((Decibels::new(-50), Decibels::ZERO))
    }
}
