//! SGTL5000 (NXP, formerly Freescale): headphones without capacitors, a line output, a microphone and a line input.
//!
//! The chip answers over I2C only while its SYS_MCLK runs. It has no command for a reset: this driver writes the values of a
//! reset instead, and a chip that was at work when the processor was reset may click then. It has no amplifier for a loudspeaker:
//! the board needs one at the line output. It does not report whether something is in the jack.
//!
//! When it uses its PLL, the chip has to be master of the serial audio port. As a slave it takes an MCLK of 256, 384 or 512 times
//! 32, 44.1 or 48 kHz, or of 256 times 96 kHz.
//!
//! The sidetone goes through the chip's digital audio processor. Names of registers and bits are those of the
//! manufacturer's datasheet, revision 6, whose chapter "Programming Examples" has the sequences.
//!
//! Use it with a [`CodecChip`](super::CodecChip), over the board's I2C and its timer. Here they are simulated:
//!
//! ```
//! use embassy_futures::block_on;
//! use host_embedded::codec_chips::mock::Mock;
//! use host_embedded::codec_chips::sgtl5000::Sgtl5000;
//! use host_embedded::codec_chips::{Clocks, CodecChip, Rate, Role, Setup, Word};
//!
//! let clocks = Clocks { mclk_hz: 12_288_000, rate: Rate::Hz48000, role: Role::Slave, word: Word::Bits16 };
//! let mock: Mock<256> = Mock::of(&Sgtl5000::default());
//! let mut chip = CodecChip::new(Sgtl5000::default(), mock.bus(), mock.delay(), Setup::new(clocks));
//! block_on(chip.set_power(true))?;
//! # Ok::<(), host_embedded::codec_chips::ChipError<host_embedded::codec_chips::mock::Nack>>(())
//! ```

use super::chip::{
    Achieved, Bits, Chip, ChipStep, ChipTimings, Format, IdentityRegister, JackFlag, Register, ResetWrite,
};
use super::setup::{ClockError, ClockReason, Clocks, Decibels, Pins, Rate, Role, Route, Setup, Wiring, Word};

const NAME: &str = "SGTL5000";
const ALL: u16 = 0xffff;

crate::codec_chip_registers! {
    CLK_CTRL = 0x0004, reset 0x0008, Bits::CLOCK, "CHIP_CLK_CTRL: rate, and MCLK's multiple of it or the PLL";
    PLL_CTRL = 0x0032, reset 0x5000, Bits::CLOCK, "CHIP_PLL_CTRL: divisors";
    CLK_TOP_CTRL = 0x0034, reset 0x0000, Bits::PATH.and_clock(0x0008), "CHIP_CLK_TOP_CTRL: MCLK halved before the PLL; oscillator";
    I2S_CTRL = 0x0006, reset 0x0010, Bits::CLOCK, "CHIP_I2S_CTRL: master, word length";
    LINREG_CTRL = 0x0026, reset 0x0000, Bits::PATH, "CHIP_LINREG_CTRL: regulator of VDDD, source of the charge pump";
    ANA_POWER = 0x0030, reset 0x7060, Bits::PATH.and_clock(0x0500), "CHIP_ANA_POWER";
    REF_CTRL = 0x0028, reset 0x0000, Bits::PATH, "CHIP_REF_CTRL: analogue ground and how slowly it rises";
    LINE_OUT_CTRL = 0x002c, reset 0x0000, Bits::PATH, "CHIP_LINE_OUT_CTRL: the line output's own ground, its current";
    LINE_OUT_VOL = 0x002e, reset 0x0404, Bits::PATH, "CHIP_LINE_OUT_VOL: full scale for both grounds";
    SHORT_CTRL = 0x003c, reset 0x0000, Bits::PATH, "CHIP_SHORT_CTRL: headphones that are shorted";
    DIG_POWER = 0x0002, reset 0x0000, Bits::PATH, "CHIP_DIG_POWER";
    SSS_CTRL = 0x000a, reset 0x0010, Bits::PATH, "CHIP_SSS_CTRL: who gets whose sound";
    DAP_CTRL = 0x0100, reset 0x0000, Bits::PATH, "DAP_CONTROL";
    DAP_MIX_CHAN = 0x0122, reset 0x0000, Bits::LEVEL, "DAP_MIX_CHAN: gain of the mixer's second input";
    MIC_CTRL = 0x002a, reset 0x0000, Bits::LEVEL.and_path(0x0370), "CHIP_MIC_CTRL: bias and gain";
    ANA_ADC_CTRL = 0x0020, reset 0x0000, Bits::LEVEL, "CHIP_ANA_ADC_CTRL: gain before the converter";
    ANA_HP_CTRL = 0x0022, reset 0x1818, Bits::LEVEL, "CHIP_ANA_HP_CTRL: volume of the headphones";
    DAC_VOL = 0x0010, reset 0x3c3c, Bits::LEVEL, "CHIP_DAC_VOL";
    ANA_CTRL = 0x0024, reset 0x0111, Bits::mute(0x0111, 0x0111).and_path(0x0066), "CHIP_ANA_CTRL: mutes, inputs, zero crossings";
    ADCDAC_CTRL = 0x000e, reset 0x020c, Bits::mute(0x000c, 0x000c), "CHIP_ADCDAC_CTRL: soft mute";
}

// CHIP_ANA_POWER.
const STEREO: u16 = 0x4040;
const SIMPLE_AND_STARTUP: u16 = 0x3000;
const CHARGE_PUMP: u16 = 0x0800;
const PLL_AND_VCO: u16 = 0x0500;
const LINREG_D: u16 = 0x0200;
const VAG: u16 = 0x0080;
const REFTOP: u16 = 0x0020;
const CAPLESS: u16 = 0x0004;
/// Power of headphones, DAC, ADC and line output.
const BLOCKS: u16 = 0x001b;
/// The bits of CHIP_CLK_CTRL that take the clock from the PLL.
const BY_PLL: u16 = 0x0003;

const LOCKED: ChipStep = ChipStep::Until {
    address: 0x0036,
    name: "ANA_STATUS",
    mask: 0x0010,
    value: 0x0010,
    most_ms: 20,
    only_if: (ANA_POWER, 0x0400),
};

/// Pins of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Sgtl5000Output {
    /// HP_L and HP_R, for headphones or an earpiece.
    Headphones,
    /// LINEOUT_L and LINEOUT_R, for a line or a loudspeaker's amplifier.
    LineOut,
}

/// Pins of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Sgtl5000Input {
    /// MIC_IN, with MIC_BIAS.
    Microphone,
    /// LINEIN_L and LINEIN_R.
    LineIn,
}

/// An SGTL5000, its supplies, and how it is wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sgtl5000 {
    /// The I2C address: 0x0a where CTRL_ADR0_CS is low, 0x2a where it's high.
    pub address: u8,
    /// VDDA in mV, 1,620 to 3,600.
    pub vdda_mv: u16,
    /// VDDIO in mV, 1,620 to 3,600.
    pub vddio_mv: u16,
    /// Whether the board supplies VDDD; otherwise the chip's regulator does, with 1.2 V.
    pub vddd: bool,
    /// Whether headphones are connected to HP_L, HP_R and HP_VGND, without capacitors.
    pub capless: bool,
    /// Pins of each route.
    pub wiring: Wiring<Pins<Sgtl5000Output, Sgtl5000Input>>,
}

impl Default for Sgtl5000 {
    /// Returns a chip at address 0x0a with supplies of 3.3 V, VDDD from the board and headphones at HP_VGND, as on audio boards
    /// for Teensy. Handset and headset are at the headphones' pins, the loudspeaker's amplifier and the line are at the line
    /// output, all microphones at MIC_IN.
    fn default() -> Self {
        Self {
            address: 0x0a,
            vdda_mv: 3_300,
            vddio_mv: 3_300,
            vddd: true,
            capless: true,
            wiring: Wiring {
                handset: Pins { output: Sgtl5000Output::Headphones, input: Sgtl5000Input::Microphone },
                headset: Pins { output: Sgtl5000Output::Headphones, input: Sgtl5000Input::Microphone },
                speakerphone: Pins { output: Sgtl5000Output::LineOut, input: Sgtl5000Input::Microphone },
                line: Pins { output: Sgtl5000Output::LineOut, input: Sgtl5000Input::LineIn },
            },
        }
    }
}

/// Settings of the PLL: its output is its input, halved if `halved`, times `whole + fraction / 2048`.
#[derive(Clone, Copy)]
struct Pll {
    halved: bool,
    whole: u16,
    fraction: u16,
}

struct Plan {
    /// The value of CHIP_CLK_CTRL.
    control: u16,
    pll: Option<Pll>,
    /// The PLL's required output, in Hz.
    output_hz: u32,
}

/// Returns the system rates in Hz that a rate can be divided from, each with its codes for SYS_FS and RATE_MODE. MCLK is a
/// multiple of the system rate.
const fn sources(rate: Rate) -> [(u32, u16, u16); 2] {
    match rate {
        Rate::Hz8000 => [(32_000, 0, 2), (48_000, 2, 3)],
        Rate::Hz16000 => [(32_000, 0, 1), (96_000, 3, 3)],
        Rate::Hz44100 => [(44_100, 1, 0), (44_100, 1, 0)],
        Rate::Hz48000 => [(48_000, 2, 0), (96_000, 3, 1)],
    }
}

impl Plan {
    fn new(clocks: &Clocks) -> Result<Self, ClockError> {
        let refused = |reason| Err(ClockError { chip: NAME, clocks: *clocks, reason });
        let (least, most) = (8_000_000, 27_000_000);
        if !(least..=most).contains(&clocks.mclk_hz) {
            return refused(ClockReason::Mclk { least, most });
        }
        let output_hz = if clocks.rate == Rate::Hz44100 { 180_633_600 } else { 196_608_000 };
        let sources = sources(clocks.rate);
        for (source, rate, mode) in sources {
            let multiples = if source == 96_000 { &[256][..] } else { &[256, 384, 512] };
            if let Some(multiple) = multiples.iter().position(|multiple| multiple * source == clocks.mclk_hz) {
                return Ok(Self { control: (mode << 4) | (rate << 2) | multiple as u16, pll: None, output_hz });
            }
        }
        if clocks.role == Role::Slave {
            return refused(ClockReason::PllAsSlave);
        }
        let halved = clocks.mclk_hz > 17_000_000;
        let ratio = (u64::from(output_hz) << (11 + u32::from(halved))) + u64::from(clocks.mclk_hz / 2);
        let ratio = (ratio / u64::from(clocks.mclk_hz)) as u32;
        let pll = Pll { halved, whole: (ratio >> 11) as u16, fraction: (ratio & 0x7ff) as u16 };
        let (_, rate, mode) = sources[0];
        Ok(Self { control: (mode << 4) | (rate << 2) | BY_PLL, pll: Some(pll), output_hz })
    }
}

/// Returns the codes of the microphone's amplifier and of the gain before the converter, which has steps of 1.5 dB from 0 dB on.
fn microphone_gain(gain: Decibels) -> (u16, u16) {
    const AMPLIFIER: [i16; 4] = [0, 2_000, 3_000, 4_000];
    let amplifier = AMPLIFIER.iter().rposition(|amplifier| *amplifier <= gain.hundredths()).unwrap_or(0);
    let rest = Decibels::from_hundredths(gain.hundredths().saturating_sub(AMPLIFIER[amplifier]));
    (amplifier as u16, rest.nearest(0, 150, 16))
}

/// Gains of the sidetone from -36 dB to 0 dB in steps of 3 dB, as parts of 0x8000.
const SIDETONE: [u16; 13] = [519, 734, 1_036, 1_464, 2_068, 2_920, 4_125, 5_827, 8_231, 11_627, 16_423, 23_198, 32_768];

/// Returns the line output's level: `40 * log10(ground / line) + 15`, rounded. A step is half a decibel, and full scale is the
/// same at both grounds.
fn line_level(ground_mv: u32, line_mv: u32) -> u16 {
    let mut level = 15;
    // A step is a factor of 1.05925, half a step one of 1.02920.
    let (mut ground, mut line) = (ground_mv * 10_000, line_mv * 10_000);
    while level < 31 && ground / 10_292 > line / 10_000 {
        ground = ground / 10_593 * 10_000;
        level += 1;
    }
    while level > 0 && line / 10_292 > ground / 10_000 {
        line = line / 10_593 * 10_000;
        level -= 1;
    }
    level
}

impl Chip for Sgtl5000 {
    type Image = [u16; COUNT];

    const NAME: &'static str = NAME;
    const FORMAT: Format = Format::SixteenSixteen;
    const REGISTERS: &'static [Register] = &TABLE;
    const RESET: [u16; COUNT] = RESETS;
    const RESET_WRITE: Option<ResetWrite> = None;
    /// The upper byte is PARTID, the lower byte the revision.
    const IDENTITY: Option<IdentityRegister> =
        Some(IdentityRegister { address: 0x0000, name: "CHIP_ID", mask: 0xff00, value: 0xa000 });
    const JACK: Option<JackFlag> = None;
    const TIMES: ChipTimings = ChipTimings { mute_ms: 50, reset_ms: 0, patience_ms: 10 };

    const UP: &'static [ChipStep] = &[
        // The digital supply first: the small regulator goes off once there is another.
        ChipStep::Reach(LINREG_CTRL, ALL),
        ChipStep::Reach(CLK_TOP_CTRL, ALL),
        ChipStep::Reach(ANA_POWER, LINREG_D | CHARGE_PUMP),
        ChipStep::Reach(ANA_POWER, SIMPLE_AND_STARTUP),
        ChipStep::Reach(REF_CTRL, ALL),
        ChipStep::Reach(LINE_OUT_CTRL, ALL),
        ChipStep::Reach(LINE_OUT_VOL, ALL),
        ChipStep::Reach(SHORT_CTRL, ALL),
        ChipStep::Reach(PLL_CTRL, ALL),
        ChipStep::Reach(ANA_POWER, PLL_AND_VCO),
        LOCKED,
        ChipStep::Reach(CLK_CTRL, ALL),
        ChipStep::Reach(I2S_CTRL, ALL),
        // Outputs before the analogue ground: they rise with it.
        ChipStep::Reach(ANA_POWER, !VAG),
        ChipStep::Reach(ANA_POWER, VAG),
        ChipStep::Wait(400),
    ];
    const DOWN: &'static [ChipStep] = &[
        ChipStep::Hold(ANA_POWER, VAG, 0),
        // Outputs stay on until the ground is down.
        ChipStep::Wait(400),
        ChipStep::Hold(ANA_POWER, BLOCKS | CAPLESS, 0),
        ChipStep::Reach(DIG_POWER, ALL),
        ChipStep::Reach(CLK_CTRL, ALL),
        ChipStep::Hold(ANA_POWER, SIMPLE_AND_STARTUP, SIMPLE_AND_STARTUP),
        ChipStep::Reach(ANA_POWER, ALL),
    ];
    const CLOCKS: &'static [ChipStep] = &[
        ChipStep::Hold(CLK_CTRL, BY_PLL, 0),
        ChipStep::Hold(ANA_POWER, PLL_AND_VCO, 0),
        ChipStep::Reach(CLK_TOP_CTRL, ALL),
        ChipStep::Reach(PLL_CTRL, ALL),
        ChipStep::Reach(ANA_POWER, PLL_AND_VCO),
        LOCKED,
        ChipStep::Reach(CLK_CTRL, ALL),
        ChipStep::Reach(I2S_CTRL, ALL),
        ChipStep::Wait(20),
    ];
    const ROUTES: &'static [ChipStep] =
        &[ChipStep::Reach(MIC_CTRL, ALL), ChipStep::Reach(ANA_CTRL, 0x0066), ChipStep::Wait(20)];

    fn address(&self) -> u8 {
        self.address
    }

    fn image(&self, setup: &Setup, image: &mut [u16; COUNT]) -> Result<(), ClockError> {
        let plan = Plan::new(&setup.clocks)?;
        let Pins { output, input } = self.wiring.of(setup.route);

        // Clocks.
        image[CLK_CTRL] = plan.control;
        let both_low = self.vdda_mv < 3_100 && self.vddio_mv < 3_100;
        image[CLK_TOP_CTRL] = if both_low { 0x0800 } else { 0 };
        if let Some(Pll { halved, whole, fraction }) = plan.pll {
            image[PLL_CTRL] = (whole << 11) | fraction;
            image[CLK_TOP_CTRL] |= u16::from(halved) << 3;
        }
        let word = match setup.clocks.word {
            Word::Bits16 => 3,
            Word::Bits24 => 1,
            Word::Bits32 => 0,
        };
        image[I2S_CTRL] = (u16::from(setup.clocks.role == Role::Master) << 7) | (word << 4);

        // Power. All outputs are on whatever the route: switched on at full ground they would click.
        let both_high = self.vdda_mv >= 3_100 && self.vddio_mv >= 3_100;
        image[LINREG_CTRL] = if both_high { 0x0060 } else { 0 } | if self.vddd { 0 } else { 0x0008 };
        image[ANA_POWER] = STEREO
            | REFTOP
            | VAG
            | BLOCKS
            | if both_low { CHARGE_PUMP } else { 0 }
            | if self.vddd { 0 } else { LINREG_D }
            | if self.capless { CAPLESS } else { 0 }
            | if plan.pll.is_some() { PLL_AND_VCO } else { 0 };
        // Grounds of half the supplies, in steps of 25 mV from 800 mV.
        let ground = (self.vdda_mv / 2).clamp(800, 1_575);
        let line = (self.vddio_mv / 2).clamp(800, 1_675);
        image[REF_CTRL] = ((ground - 800) / 25) << 4 | 1;
        // 0.36 mA: for 10 kohm and 1 nF.
        image[LINE_OUT_CTRL] = 0x0300 | ((line - 800) / 25);
        let full_scale = line_level(u32::from(ground), u32::from(line));
        image[LINE_OUT_VOL] = (full_scale << 8) | full_scale;
        // 75 mA, tried again by itself.
        image[SHORT_CTRL] = 0x1106;

        // Paths: the port's sound and, through the audio processor, the microphone's.
        image[DIG_POWER] = 0x0063;
        image[DAP_MIX_CHAN] = 0;
        if let Some(sidetone) = setup.sidetone {
            image[DIG_POWER] |= 0x0010;
            image[SSS_CTRL] = 0x0070;
            image[DAP_CTRL] = 0x0011;
            image[DAP_MIX_CHAN] = SIDETONE[usize::from(sidetone.nearest(-3_600, 300, 13)).min(SIDETONE.len() - 1)];
        }

        // Levels.
        let (amplifier, before) = match input {
            Sgtl5000Input::Microphone => microphone_gain(setup.gain),
            Sgtl5000Input::LineIn => (0, setup.gain.nearest(0, 150, 16)),
        };
        // 2 kohm, 2.25 V where VDDA allows it, and 1.25 V else: at least 0.2 V below VDDA.
        let bias = if self.vdda_mv >= 2_450 { 0x0140 } else { 0x0100 };
        image[MIC_CTRL] = amplifier | if setup.bias && input == Sgtl5000Input::Microphone { bias } else { 0 };
        image[ANA_ADC_CTRL] = (before << 4) | before;
        let (headphones, converter) = match output {
            Sgtl5000Output::Headphones => (0x7f - setup.volume.nearest(-5_150, 50, 128), 0x3c),
            Sgtl5000Output::LineOut => (0x7f, 0xf0 - setup.volume.nearest(-9_000, 50, 181)),
        };
        image[ANA_HP_CTRL] = (headphones << 8) | headphones;
        image[DAC_VOL] = (converter << 8) | converter;
        image[ANA_CTRL] = 0x0022
            | (u16::from(setup.mute_output || output != Sgtl5000Output::LineOut) << 8)
            | (u16::from(setup.mute_output || output != Sgtl5000Output::Headphones) << 4)
            | (u16::from(input == Sgtl5000Input::LineIn) << 2)
            | u16::from(setup.mute_microphone);
        image[ADCDAC_CTRL] = 0x0200 | if setup.mute_output { 0x000c } else { 0 };
        Ok(())
    }

    fn achieved(&self, clocks: &Clocks) -> Result<Achieved, ClockError> {
        let plan = Plan::new(clocks)?;
        let rate = u64::from(clocks.rate.hz()) * 1_000;
        let Some(Pll { halved, whole, fraction }) = plan.pll else {
            return Ok(Achieved { millihertz: rate, pll: false });
        };
        // The unit is 2^-11 Hz; the value has 40 bits.
        let made = (u64::from(clocks.mclk_hz) >> u32::from(halved)) * (u64::from(whole) << 11 | u64::from(fraction));
        let wanted = u64::from(plan.output_hz) << 11;
        // The clock is within some millionths of the rate: the difference alone is small enough to be multiplied.
        let off = (i128::from(made) - i128::from(wanted)) * i128::from(rate) / i128::from(wanted);
        Ok(Achieved { millihertz: rate.saturating_add_signed(off as i64), pll: true })
    }

    fn volumes(&self, route: Route) -> (Decibels, Decibels) {
        match self.wiring.of(route).output {
            Sgtl5000Output::Headphones => (Decibels::from_hundredths(-5_150), Decibels::new(12)),
            Sgtl5000Output::LineOut => (Decibels::new(-90), Decibels::ZERO),
        }
    }

    fn gains(&self, route: Route) -> (Decibels, Decibels) {
        match self.wiring.of(route).input {
            Sgtl5000Input::Microphone => (Decibels::ZERO, Decibels::from_hundredths(6_250)),
            Sgtl5000Input::LineIn => (Decibels::ZERO, Decibels::from_hundredths(2_250)),
        }
    }

    fn sidetones(&self, _: Route) -> Option<(Decibels, Decibels)> {
        Some((Decibels::new(-36), Decibels::ZERO))
    }
}
