//! WM8960 (Cirrus Logic, formerly Wolfson): headphones, class D loudspeakers of 1 W, three inputs a side.
//!
//! Over I2C it can only be written: there is no id to check, and nothing reports whether something is in the jack. Its headphone
//! detection (datasheet, "Headphone Jack Detect") switches outputs by itself, or puts the pin's state out at ADCLRC/GPIO1, where
//! the processor can read it; this driver leaves it off.
//!
//! A phone has one microphone: the left input and converter, which both slots of the port get. The sidetone goes from the left
//! input to the left output alone. OUT3, the right input, the automatic level control and the 3D effect are not used.
//!
//! The converter of inputs has the frame clock at ADCLRC, that of outputs at DACLRC: a port with one frame clock has them joined where
//! the chip is slave.
//!
//! Headings are those of the manufacturer's datasheet, revision 4.2.
//!
//! Use it with a [`CodecChip`](super::CodecChip), over the board's I2C and its timer. Here they are simulated:
//!
//! ```
//! use embassy_futures::block_on;
//! use host_embedded::codec_chips::mock::Mock;
//! use host_embedded::codec_chips::wm8960::Wm8960;
//! use host_embedded::codec_chips::{Clocks, CodecChip, Rate, Role, Setup, Word};
//!
//! let clocks = Clocks { mclk_hz: 12_288_000, rate: Rate::Hz48000, role: Role::Slave, word: Word::Bits16 };
//! let mock: Mock<256> = Mock::of(&Wm8960::default());
//! let mut chip = CodecChip::new(Wm8960::default(), mock.bus(), mock.delay(), Setup::new(clocks));
//! block_on(chip.set_power(true))?;
//! # Ok::<(), host_embedded::codec_chips::ChipError<host_embedded::codec_chips::mock::Nack>>(())
//! ```

use super::chip::{
    Achieved, Bits, Chip, ChipStep, ChipTimings, Format, IdentityRegister, JackFlag, Register, ResetWrite,
};
use super::pll::Fractional;
use super::setup::{ClockError, ClockReason, Clocks, Decibels, Pins, Role, Route, Setup, Wiring, Word};

const NAME: &str = "WM8960";
const ALL: u16 = 0x1ff;

crate::codec_chip_registers! {
    PLL1 = 0x34, reset 0x008, Bits::CLOCK, "PLL: N, prescaler, fraction on";
    PLL2 = 0x35, reset 0x031, Bits::CLOCK, "PLL: K, bits 23 to 16";
    PLL3 = 0x36, reset 0x026, Bits::CLOCK, "PLL: K, bits 15 to 8";
    PLL4 = 0x37, reset 0x0e9, Bits::CLOCK, "PLL: K, bits 7 to 0";
    CLOCK1 = 0x04, reset 0x000, Bits::CLOCK, "Clocking and Sample Rates: dividers of converters and SYSCLK, its source";
    CLOCK2 = 0x08, reset 0x1c0, Bits::CLOCK, "Clocking and Sample Rates: dividers of class D and bit clock";
    IFACE1 = 0x07, reset 0x00a, Bits::CLOCK, "Audio Interface Control: master, word length, format";
    APOP1 = 0x1c, reset 0x000, Bits::PATH, "Power Management: pop suppression";
    POWER1 = 0x19, reset 0x000, Bits::PATH, "Power Management: VMID, VREF, inputs, converters of inputs, microphone bias";
    POWER3 = 0x2f, reset 0x000, Bits::PATH, "Power Management: input amplifiers, output mixers";
    ADDCTL1 = 0x17, reset 0x1c0, Bits::PATH, "Additional Control: which converter both slots get";
    LINPATH = 0x20, reset 0x100, Bits::LEVEL.and_path(0x1c8), "Input Signal Path: inputs of the left amplifier, boost";
    LOUTMIX = 0x22, reset 0x050, Bits::PATH, "Output Signal Path: left mixer";
    ROUTMIX = 0x25, reset 0x050, Bits::PATH, "Output Signal Path: right mixer";
    BYPASS1 = 0x2d, reset 0x050, Bits::LEVEL.and_path(0x080), "Output Signal Path: left input to left mixer";
    POWER2 = 0x1a, reset 0x000, Bits::PATH.and_clock(0x001), "Power Management: converters of outputs, outputs, PLL";
    CLASSD1 = 0x31, reset 0x037, Bits::PATH, "Enabling the Outputs: class D";
    DACCTL2 = 0x06, reset 0x000, Bits::PATH, "DAC Soft Mute and Soft Un-Mute: gradual both ways";
    LADC = 0x15, reset 0x0c3, Bits::LEVEL, "ADC Digital Volume Control: left";
    LDAC = 0x0a, reset 0x0ff, Bits::LEVEL, "Digital Volume Control: left";
    RDAC = 0x0b, reset 0x0ff, Bits::LEVEL, "Digital Volume Control: right";
    INBMIX1 = 0x2b, reset 0x000, Bits::mute(0x07e, 0), "Input Boost: line inputs";
    LINVOL = 0x00, reset 0x097, Bits::mute(0x080, 0x080), "Input PGA Volume Control: left";
    LOUT1 = 0x02, reset 0x000, Bits::mute(0x07f, 0), "Analogue Outputs: left headphone";
    ROUT1 = 0x03, reset 0x000, Bits::mute(0x07f, 0), "Analogue Outputs: right headphone";
    LOUT2 = 0x28, reset 0x000, Bits::mute(0x07f, 0), "Analogue Outputs: left loudspeaker";
    ROUT2 = 0x29, reset 0x000, Bits::mute(0x07f, 0), "Analogue Outputs: right loudspeaker";
    DACCTL1 = 0x05, reset 0x008, Bits::mute(0x008, 0x008), "DAC Soft Mute and Soft Un-Mute";
}

/// Updates both sides at once.
const UPDATE: u16 = 0x100;
/// 2 * 50 kohm: playback and record.
const VMID_50K: u16 = 0x080;
const VREF: u16 = 0x040;
const VMID: u16 = 0x180;
const PLL_ON: u16 = 0x001;
const FROM_PLL: u16 = 0x001;
const CLASS_D: u16 = 0x0c0;
/// Bias for the start (POBCTRL), outputs tied to VMID (BUFDCOPEN, BUFIOEN), slow rise (SOFT_ST).
const SOFT_START: u16 = 0x09c;
/// Unused outputs stay at VMID (BUFIOEN).
const TIED: u16 = 0x008;

/// Pins of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Wm8960Output {
    /// HP_L and HP_R.
    Headphones,
    /// HP_L: an earpiece.
    HeadphoneLeft,
    /// SPK_L and SPK_R, class D.
    Speakers,
    /// SPK_L, class D.
    SpeakerLeft,
}

/// Pins of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Wm8960Input {
    /// A microphone at LINPUT1.
    Single,
    /// A microphone between LINPUT1 and LINPUT2.
    Differential2,
    /// A microphone between LINPUT1 and LINPUT3.
    Differential3,
    /// A line at LINPUT2, past the amplifier.
    Line2,
    /// A line at LINPUT3, past the amplifier.
    Line3,
}

impl Wm8960Input {
    const fn is_line(self) -> bool {
        matches!(self, Self::Line2 | Self::Line3)
    }
}

/// A WM8960 and how it is wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Wm8960 {
    /// Pins of each route.
    pub wiring: Wiring<Pins<Wm8960Output, Wm8960Input>>,
}

impl Default for Wm8960 {
    /// Earpiece at HP_L, headphones at HP_L and HP_R, a loudspeaker at SPK_L; microphones of handset and case at LINPUT1, that of
    /// the headset between LINPUT1 and LINPUT2, a line input at LINPUT3.
    fn default() -> Self {
        Self {
            wiring: Wiring {
                handset: Pins { output: Wm8960Output::HeadphoneLeft, input: Wm8960Input::Single },
                headset: Pins { output: Wm8960Output::Headphones, input: Wm8960Input::Differential2 },
                speakerphone: Pins { output: Wm8960Output::SpeakerLeft, input: Wm8960Input::Single },
                line: Pins { output: Wm8960Output::Headphones, input: Wm8960Input::Line3 },
            },
        }
    }
}

/// Dividers of the converters in halves, by their codes (CLOCK1); the bit clock of 64 times the rate is a quarter.
const CONVERTER_HALVES: [u32; 7] = [2, 3, 4, 6, 8, 11, 12];
/// The codes of BCLKDIV for 64 times the rate: `SYSCLK / (4 * divider of the converters)`.
const BIT_CLOCK: [u16; 7] = [0b0100, 0b0110, 0b0111, 0b1001, 0b1010, 0b1011, 0b1100];
/// Dividers of the class D clock by their codes (CLOCK2); the first is reserved.
const CLASS_D_DIVIDERS: [u32; 8] = [0, 2, 3, 4, 6, 8, 12, 16];

/// The source of SYSCLK, and the dividers that follow it.
#[derive(Clone, Copy)]
struct Plan {
    pll: Option<Fractional>,
    /// Whether SYSCLK is half of its source.
    halved: bool,
    converters: usize,
    class_d: usize,
}

impl Plan {
    fn new(clocks: &Clocks) -> Result<Self, ClockError> {
        let rate = clocks.rate.hz();
        // MCLK itself needs less current and has less jitter.
        let direct = Self::plans(rate).find(|(source, _)| *source == u64::from(clocks.mclk_hz));
        if let Some((_, plan)) = direct {
            return Ok(plan);
        }
        let with_pll = Self::plans(rate).find_map(|(source, plan)| {
            let pll = Fractional::for_output(clocks.mclk_hz, source)?;
            Some(Self { pll: Some(pll), ..plan })
        });
        with_pll.ok_or(ClockError { chip: NAME, clocks: *clocks, reason: ClockReason::Pll })
    }

    /// Yields the frequencies that SYSCLK may come from, with the dividers that follow it. Class D needs 700 to 800 kHz.
    fn plans(rate: u32) -> impl Iterator<Item = (u64, Self)> {
        [true, false].into_iter().flat_map(move |halved| {
            CONVERTER_HALVES.iter().enumerate().filter_map(move |(converters, halves)| {
                let sysclk = rate * 128 * halves;
                let class_d = CLASS_D_DIVIDERS
                    .iter()
                    .position(|&divider| divider > 0 && (700_000..=800_000).contains(&(sysclk / divider)))?;
                let source = u64::from(sysclk) << u32::from(halved);
                Some((source, Self { pll: None, halved, converters, class_d }))
            })
        })
    }
}

/// Returns the gain before the converter: the amplifier from -17.25 dB in steps of 0.75 dB, and the boost that follows it.
fn microphone_gain(gain: Decibels) -> (u16, u16) {
    const BOOSTS: [i16; 4] = [0, 1_300, 2_000, 2_900];
    let boost = BOOSTS.iter().position(|boost| gain.hundredths() <= 3_000 + boost).unwrap_or(3);
    let rest = Decibels::from_hundredths(gain.hundredths().saturating_sub(BOOSTS[boost]));
    (rest.nearest(-1_725, 75, 64), boost as u16)
}

impl Chip for Wm8960 {
    type Image = [u16; COUNT];

    const NAME: &'static str = NAME;
    const FORMAT: Format = Format::SevenNine;
    const REGISTERS: &'static [Register] = &TABLE;
    const RESET: [u16; COUNT] = RESETS;
    const RESET_WRITE: Option<ResetWrite> = Some(ResetWrite { address: 0x0f, name: "RESET", value: 0 });
    const IDENTITY: Option<IdentityRegister> = None;
    const JACK: Option<JackFlag> = None;
    // A soft mute takes 512 samples: 64 ms at 8 kHz.
    const TIMES: ChipTimings = ChipTimings { mute_ms: 64, reset_ms: 1, patience_ms: 10 };

    const UP: &'static [ChipStep] = &[
        ChipStep::Reach(PLL1, ALL),
        ChipStep::Reach(PLL2, ALL),
        ChipStep::Reach(PLL3, ALL),
        ChipStep::Reach(PLL4, ALL),
        ChipStep::Reach(CLOCK1, !FROM_PLL),
        ChipStep::Reach(CLOCK2, ALL),
        ChipStep::Reach(IFACE1, ALL),
        // VMID rises slowly, and all outputs with it.
        ChipStep::Hold(APOP1, ALL, SOFT_START),
        ChipStep::Hold(POWER1, VMID, VMID_50K),
        ChipStep::Wait(100),
        ChipStep::Hold(POWER1, VREF, VREF),
        ChipStep::Reach(APOP1, ALL),
        ChipStep::Reach(POWER2, PLL_ON),
        ChipStep::WaitIf(POWER2, PLL_ON, 10),
        ChipStep::Reach(CLOCK1, FROM_PLL),
        // Inputs before outputs: their capacitors charge meanwhile.
        ChipStep::Reach(POWER1, ALL),
        ChipStep::Reach(POWER3, ALL),
        ChipStep::Wait(20),
    ];
    const DOWN: &'static [ChipStep] = &[
        ChipStep::Hold(CLASSD1, CLASS_D, 0),
        ChipStep::Hold(POWER2, !PLL_ON, 0),
        ChipStep::Hold(APOP1, ALL, SOFT_START),
        ChipStep::Hold(POWER1, ALL, 0),
        // The wait lets the outputs discharge.
        ChipStep::Wait(600),
        ChipStep::Hold(POWER3, ALL, 0),
        ChipStep::Reset,
    ];
    const CLOCKS: &'static [ChipStep] = &[
        // Its clock may not change while class D works.
        ChipStep::Hold(CLASSD1, CLASS_D, 0),
        ChipStep::Hold(CLOCK1, FROM_PLL, 0),
        ChipStep::Hold(POWER2, PLL_ON, 0),
        ChipStep::Reach(PLL1, ALL),
        ChipStep::Reach(PLL2, ALL),
        ChipStep::Reach(PLL3, ALL),
        ChipStep::Reach(PLL4, ALL),
        ChipStep::Reach(CLOCK1, !FROM_PLL),
        ChipStep::Reach(CLOCK2, ALL),
        ChipStep::Reach(IFACE1, ALL),
        ChipStep::Reach(POWER2, PLL_ON),
        ChipStep::WaitIf(POWER2, PLL_ON, 10),
        ChipStep::Reach(CLOCK1, FROM_PLL),
        ChipStep::Reach(POWER1, ALL),
        ChipStep::Reach(POWER3, ALL),
        ChipStep::Wait(20),
    ];
    const ROUTES: &'static [ChipStep] = &[
        ChipStep::Reach(POWER1, ALL),
        ChipStep::Reach(POWER3, ALL),
        ChipStep::Reach(LINPATH, ALL),
        ChipStep::Wait(20),
    ];

    /// 0x1a, its only one.
    fn address(&self) -> u8 {
        0x1a
    }

    fn image(&self, setup: &Setup, image: &mut [u16; COUNT]) -> Result<(), ClockError> {
        let plan = Plan::new(&setup.clocks)?;
        let Pins { output, input } = self.wiring.of(setup.route);
        let (left_headphone, right_headphone, speakers) = match output {
            Wm8960Output::Headphones => (true, true, 0),
            Wm8960Output::HeadphoneLeft => (true, false, 0),
            Wm8960Output::Speakers => (false, false, 2),
            Wm8960Output::SpeakerLeft => (false, false, 1),
        };
        let right = right_headphone || speakers == 2;

        // Clocks.
        if let Some(Fractional { halved, n, k }) = plan.pll {
            image[PLL1] = (u16::from(k != 0) << 5) | (u16::from(halved) << 4) | n;
            image[PLL2] = (k >> 16) as u16;
            image[PLL3] = (k >> 8) as u16 & 0xff;
            image[PLL4] = k as u16 & 0xff;
        }
        let converters = plan.converters as u16;
        let halved = if plan.halved { 0b10 << 1 } else { 0 };
        image[CLOCK1] = (converters << 6) | (converters << 3) | halved | u16::from(plan.pll.is_some());
        image[CLOCK2] = ((plan.class_d as u16) << 6) | BIT_CLOCK[plan.converters];
        let word = match setup.clocks.word {
            Word::Bits16 => 0b00,
            Word::Bits24 => 0b10,
            Word::Bits32 => 0b11,
        };
        image[IFACE1] = (u16::from(setup.clocks.role == Role::Master) << 6) | (word << 2) | 0b10;

        // Power: left input and its converter, the mixers and outputs that are in use.
        let bias = setup.bias && !input.is_line();
        image[APOP1] = TIED;
        image[POWER1] = VMID_50K | VREF | 0x028 | (u16::from(bias) << 1);
        image[POWER3] = (u16::from(!input.is_line()) << 5) | 0x008 | (u16::from(right) << 2);
        image[POWER2] = 0x100
            | (u16::from(right) << 7)
            | (u16::from(left_headphone) << 6)
            | (u16::from(right_headphone) << 5)
            | (u16::from(speakers > 0) << 4)
            | (u16::from(speakers == 2) << 3)
            | u16::from(plan.pll.is_some());
        image[CLASSD1] = 0x037 | (u16::from(speakers > 0) << 6) | (u16::from(speakers == 2) << 7);

        // Paths: both slots get the left converter; each mixer its own side's sound.
        image[ADDCTL1] = 0x1c4;
        image[LOUTMIX] = 0x150;
        image[ROUTMIX] = if right { 0x150 } else { 0x050 };
        image[DACCTL2] = 0x008;
        image[BYPASS1] = match setup.sidetone {
            // The sidetone goes down from 0 dB in steps of 3 dB.
            Some(sidetone) => 0x080 | ((7 - sidetone.nearest(-2_100, 300, 8)) << 4),
            None => 0x050,
        };

        // Levels.
        let (amplifier, boost) = microphone_gain(setup.gain);
        let line = 1 + setup.gain.nearest(-1_200, 300, 7);
        let line = if setup.mute_microphone { 0 } else { line };
        (image[LINPATH], image[INBMIX1]) = match input {
            Wm8960Input::Single => (0x108 | (boost << 4), 0),
            Wm8960Input::Differential2 => (0x148 | (boost << 4), 0),
            Wm8960Input::Differential3 => (0x188 | (boost << 4), 0),
            Wm8960Input::Line2 => (0x000, line << 1),
            Wm8960Input::Line3 => (0x000, line << 4),
        };
        let silent = setup.mute_microphone || input.is_line();
        image[LINVOL] = UPDATE | (u16::from(silent) << 7) | if input.is_line() { 0x17 } else { amplifier };
        image[LADC] = UPDATE | 0xc3;
        image[LDAC] = UPDATE | 0xff;
        image[RDAC] = UPDATE | 0xff;
        let volume = if setup.mute_output { 0 } else { 0x30 + setup.volume.nearest(-7_300, 100, 80) };
        let of = |used| UPDATE | if used { volume } else { 0 };
        image[LOUT1] = of(left_headphone);
        image[ROUT1] = of(right_headphone);
        image[LOUT2] = of(speakers > 0);
        image[ROUT2] = of(speakers == 2);
        image[DACCTL1] = u16::from(setup.mute_output) << 3;
        Ok(())
    }

    fn achieved(&self, clocks: &Clocks) -> Result<Achieved, ClockError> {
        let plan = Plan::new(clocks)?;
        // Frequencies are in units of 2^-16 Hz.
        let source = match plan.pll {
            Some(pll) => pll.output(clocks.mclk_hz),
            None => u64::from(clocks.mclk_hz) << 16,
        };
        let divider = u64::from(CONVERTER_HALVES[plan.converters] * 128) << (16 + u32::from(plan.halved));
        Ok(Achieved { millihertz: (source * 1_000 + divider / 2) / divider, pll: plan.pll.is_some() })
    }

    fn volumes(&self, _: Route) -> (Decibels, Decibels) {
        (Decibels::new(-73), Decibels::new(6))
    }

    fn gains(&self, route: Route) -> (Decibels, Decibels) {
        match self.wiring.of(route).input.is_line() {
            true => (Decibels::new(-12), Decibels::new(6)),
            false => (Decibels::from_hundredths(-1_725), Decibels::new(59)),
        }
    }

    fn sidetones(&self, _: Route) -> Option<(Decibels, Decibels)> {
        Some((Decibels::new(-21), Decibels::ZERO))
    }
}
