//! WM8994 (Cirrus Logic, formerly Wolfson), the codec of the STM32F746G-DISCO: headphones about ground, two class D
//! loudspeakers, analogue and digital microphones.
//!
//! It has an id. A phone has one microphone, the left one, which both slots of the port get. Its detection of a microphone's
//! current is left off: on the board the jacks have switches of their own. All outputs stay on while it works, and a route
//! changes which of them are silent: no output is switched at work, which costs their quiescent current. The earpiece driver
//! (HPOUT2), the line outputs, the second port and effects are not used; an earpiece is at HPOUT1L.
//!
//! Digital microphones at DMICDAT2, as the board has them, come in the port's second time slot: with words of 16 bits that is the
//! lower half of each slot of 32 bits.
//!
//! Headings are those of the manufacturer's datasheet, revision 4.4.
//!
//! Use it with a [`CodecChip`](super::CodecChip), over the board's I2C and its timer. Here they are simulated:
//!
//! ```
//! use embassy_futures::block_on;
//! use host_embedded::codec_chips::mock::Mock;
//! use host_embedded::codec_chips::wm8994::Wm8994;
//! use host_embedded::codec_chips::{Clocks, CodecChip, Rate, Role, Setup, Word};
//!
//! let clocks = Clocks { mclk_hz: 12_288_000, rate: Rate::Hz48000, role: Role::Slave, word: Word::Bits16 };
//! let mock: Mock<256> = Mock::of(&Wm8994::default());
//! let mut chip = CodecChip::new(Wm8994::default(), mock.bus(), mock.delay(), Setup::new(clocks));
//! block_on(chip.set_power(true))?;
//! # Ok::<(), host_embedded::codec_chips::ChipError<host_embedded::codec_chips::mock::Nack>>(())
//! ```

use super::chip::{
    Achieved, Bits, Chip, ChipStep, ChipTimings, Format, IdentityRegister, JackFlag, Register, ResetWrite,
};
use super::setup::{ClockError, ClockReason, Clocks, Decibels, Pins, Rate, Role, Route, Setup, Wiring, Word};

const NAME: &str = "WM8994";
const ALL: u16 = 0xffff;

crate::codec_chip_registers! {
    FLL1_5 = 0x224, reset 0x0c80, Bits::CLOCK, "Frequency Locked Loop: reference and its divider";
    FLL1_2 = 0x221, reset 0x0000, Bits::CLOCK, "Frequency Locked Loop: FLL1_OUTDIV, FLL1_FRATIO";
    FLL1_3 = 0x222, reset 0x0000, Bits::CLOCK, "Frequency Locked Loop: FLL1_K";
    FLL1_4 = 0x223, reset 0x0000, Bits::CLOCK, "Frequency Locked Loop: FLL1_N";
    FLL1_1 = 0x220, reset 0x0000, Bits::CLOCK, "Frequency Locked Loop: FLL1_ENA, FLL1_FRAC";
    AIF1_RATE = 0x210, reset 0x0083, Bits::CLOCK, "Clocking and Sample Rates: AIF1_SR, AIF1CLK_RATE";
    AIF1_CONTROL_1 = 0x300, reset 0x4050, Bits::CLOCK, "Digital Audio Interface Control: format, word length, sources";
    AIF1_BCLK = 0x303, reset 0x0040, Bits::CLOCK, "Digital Audio Interface Control: AIF1_BCLK_DIV";
    AIF1_MASTER = 0x302, reset 0x0000, Bits::CLOCK, "Digital Audio Interface Control: AIF1_MSTR";
    AIF1_CLOCK = 0x200, reset 0x0000, Bits::CLOCK, "Clocking and Sample Rates: AIF1CLK";
    CLOCKING_1 = 0x208, reset 0x0000, Bits::CLOCK, "Clocking and Sample Rates: SYSCLK, clocks of the interface";
    ANTIPOP_2 = 0x39, reset 0x0000, Bits::PATH, "Reference Voltages and Master Bias: soft start of VMID";
    POWER_1 = 0x01, reset 0x0000, Bits::PATH, "Power Management (1): bias, VMID, microphone bias, outputs";
    POWER_2 = 0x02, reset 0x6000, Bits::PATH, "Power Management (2): inputs, thermal shutdown";
    POWER_4 = 0x04, reset 0x0000, Bits::PATH, "Power Management (4): converters of inputs";
    POWER_5 = 0x05, reset 0x0000, Bits::PATH, "Power Management (5): converters of outputs";
    POWER_3 = 0x03, reset 0x0000, Bits::PATH, "Power Management (3): output mixers, loudspeakers' amplifiers";
    INPUT_MIXER_2 = 0x28, reset 0x0000, Bits::PATH, "Input PGA Enable: pins of IN1L";
    INPUT_MIXER_3 = 0x29, reset 0x0000, Bits::LEVEL.and_path(0x0020), "Input Mixer Control: IN1L to MIXINL, and 30 dB";
    ADC1_MIXER = 0x606, reset 0x0000, Bits::PATH, "Digital Mixing: left converter to time slot 0";
    ADC2_MIXER = 0x608, reset 0x0000, Bits::PATH, "Digital Mixing: left DMIC2 to time slot 1";
    ADC1_FILTERS = 0x410, reset 0x0000, Bits::PATH, "ADC High Pass Filter: time slot 0";
    ADC2_FILTERS = 0x411, reset 0x0000, Bits::PATH, "ADC High Pass Filter: time slot 1";
    SIDETONE = 0x621, reset 0x0000, Bits::PATH, "Digital Mixing: whose sound the sidetone is";
    DAC1_SIDETONE = 0x600, reset 0x0000, Bits::LEVEL, "Digital Mixing: volume of the sidetone";
    DAC1L_MIXER = 0x601, reset 0x0000, Bits::PATH, "Digital Mixing: what DAC1L plays";
    DAC1R_MIXER = 0x602, reset 0x0000, Bits::PATH, "Digital Mixing: what DAC1R plays";
    OUTPUT_MIXER_1 = 0x2d, reset 0x0000, Bits::PATH, "Output Signal Path: DAC1L to MIXOUTL";
    OUTPUT_MIXER_2 = 0x2e, reset 0x0000, Bits::PATH, "Output Signal Path: DAC1R to MIXOUTR";
    SPEAKER_MIXER = 0x36, reset 0x0000, Bits::PATH, "Speaker Mixer Control: DAC1";
    SPKMIXL = 0x22, reset 0x0003, Bits::PATH, "Speaker Mixer Control: attenuation, left";
    SPKMIXR = 0x23, reset 0x0003, Bits::PATH, "Speaker Mixer Control: attenuation, right; class D";
    CHARGE_PUMP_1 = 0x4c, reset 0x1f25, Bits::PATH, "Charge Pump";
    CLASS_W_1 = 0x51, reset 0x0004, Bits::PATH, "Charge Pump: follows the signal";
    DC_SERVO_1 = 0x54, reset 0x0000, Bits::PATH, "DC Servo";
    ANALOGUE_HP_1 = 0x60, reset 0x0000, Bits::PATH, "Headphone Signal Paths Enable: stages and clamps";
    IN1L = 0x18, reset 0x008b, Bits::mute(0x0080, 0x0080), "Input PGA Volume Control: IN1L";
    ADC1L = 0x400, reset 0x00c0, Bits::mute(0x00ff, 0), "ADC Digital Volume Control: time slot 0, left";
    ADC2L = 0x404, reset 0x00c0, Bits::mute(0x00ff, 0), "ADC Digital Volume Control: time slot 1, left";
    HPOUT1L = 0x1c, reset 0x006d, Bits::mute(0x0040, 0), "Output PGA Volume Control: left headphone";
    HPOUT1R = 0x1d, reset 0x006d, Bits::mute(0x0040, 0), "Output PGA Volume Control: right headphone";
    SPKOUTL = 0x26, reset 0x0079, Bits::mute(0x0040, 0), "Output PGA Volume Control: left loudspeaker";
    SPKOUTR = 0x27, reset 0x0079, Bits::mute(0x0040, 0), "Output PGA Volume Control: right loudspeaker";
    DAC1L = 0x610, reset 0x02c0, Bits::mute(0x0200, 0x0200), "DAC Digital Volume Control: left";
    DAC1R = 0x611, reset 0x02c0, Bits::mute(0x0200, 0x0200), "DAC Digital Volume Control: right";
    DAC1_FILTERS = 0x420, reset 0x0200, Bits::mute(0x0200, 0x0200), "DAC Soft Mute and Un-Mute: time slot 0";
}

/// Updates both sides at once.
const UPDATE: u16 = 0x0100;
const FLL_ON: u16 = 0x0001;
const CLOCK_ON: u16 = 0x0001;
/// Clocks of the interface's processing and of the core.
const CORE_CLOCKS: u16 = 0x000a;
/// Bias, VMID by 2 * 40 kohm.
const REFERENCES: u16 = 0x0003;
/// Fast ramp of VMID, buffered VMID, bias for the start.
const SOFT_START: u16 = 0x006c;
/// Both headphones' intermediate stages, output stages, and clamps off.
const HP_DELAYED: u16 = 0x0022;
const HP_OUTPUT: u16 = 0x0044;
const HP_UNCLAMPED: u16 = 0x0088;
const PUMP_ON: u16 = 0x8000;

/// Pins of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Wm8994Output {
    /// HPOUT1L and HPOUT1R.
    Headphones,
    /// HPOUT1L: an earpiece.
    HeadphoneLeft,
    /// SPKOUTL and SPKOUTR.
    Speakers,
}

/// Pins of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Wm8994Input {
    /// A line or a microphone at IN1LN.
    Single,
    /// A microphone between IN1LN and IN1LP.
    Differential,
    /// A digital microphone at DMICDAT1.
    Digital1,
    /// A digital microphone at DMICDAT2, in the second time slot.
    Digital2,
}

/// A WM8994 and how it is wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Wm8994 {
    /// 0x1a where the pin ADDR is low, 0x1b where it's high.
    pub address: u8,
    /// Pins of each route.
    pub wiring: Wiring<Pins<Wm8994Output, Wm8994Input>>,
}

impl Default for Wm8994 {
    /// Returns the chip at address 0x1a, with an earpiece at HPOUT1L, headphones at HPOUT1, loudspeakers at SPKOUT, and
    /// microphones and lines at IN1LN, which is the blue jack of the STM32F746G-DISCO.
    fn default() -> Self {
        let pins = |output| Pins { output, input: Wm8994Input::Single };
        Self {
            address: 0x1a,
            wiring: Wiring {
                handset: pins(Wm8994Output::HeadphoneLeft),
                headset: pins(Wm8994Output::Headphones),
                speakerphone: pins(Wm8994Output::Speakers),
                line: pins(Wm8994Output::Headphones),
            },
        }
    }
}

/// The loop: the reference times `n + k / 65536`, then an eighth of it.
#[derive(Clone, Copy)]
struct Fll {
    /// The power of two that MCLK is divided by.
    divided: u32,
    n: u32,
    k: u32,
}

/// The interface's clock.
#[derive(Clone, Copy)]
struct Plan {
    fll: Option<Fll>,
    /// Whether MCLK is halved.
    halved: bool,
    /// The place of its multiple of the rate.
    multiple: usize,
}

/// Multiples of the rate that AIF1CLK may be, with the codes of AIF1CLK_RATE and, for 64 bit clocks a frame, AIF1_BCLK_DIV.
const MULTIPLES: [(u32, u16, u16); 7] =
    [(256, 3, 4), (384, 4, 6), (512, 5, 7), (768, 6, 9), (1_024, 7, 10), (1_408, 8, 11), (1_536, 9, 12)];

impl Plan {
    fn new(clocks: &Clocks) -> Result<Self, ClockError> {
        let (mclk, rate) = (clocks.mclk_hz, clocks.rate.hz());
        let place = |hz: u32| MULTIPLES.iter().position(|(multiple, ..)| multiple * rate == hz);
        let refused = |reason| ClockError { chip: NAME, clocks: *clocks, reason };
        let (least, most) = (1_000_000, 25_000_000);
        if !(least..=most).contains(&mclk) {
            return Err(refused(ClockReason::Mclk { least, most }));
        }
        for halved in [false, true] {
            let clock = mclk >> u32::from(halved);
            let exact = clock << u32::from(halved) == mclk;
            // SYSCLK has to be at least 4.096 MHz for the converters, and at most 12.5 MHz.
            if exact
                && (4_096_000..=12_500_000).contains(&clock)
                && let Some(multiple) = place(clock)
            {
                return Ok(Self { fll: None, halved, multiple });
            }
        }
        let output = fll_output(clocks.rate);
        // The loop takes at most 13.5 MHz; its oscillator runs at 90 to 100 MHz, eight times its output.
        let divided = u32::from(mclk > 13_500_000);
        let ratio = ((u64::from(output) * 8) << (16 + divided)) + u64::from(mclk / 2);
        let ratio = ratio / u64::from(mclk);
        let (n, k) = ((ratio >> 16) as u32, (ratio & 0xffff) as u32);
        let multiple = place(output).ok_or(refused(ClockReason::Pll))?;
        if n > 0x3ff {
            return Err(refused(ClockReason::Pll));
        }
        Ok(Self { fll: Some(Fll { divided, n, k }), halved: false, multiple })
    }
}

/// Returns the loop's output for a rate, in Hz.
const fn fll_output(rate: Rate) -> u32 {
    match rate {
        Rate::Hz44100 => 11_289_600,
        Rate::Hz8000 | Rate::Hz16000 | Rate::Hz48000 => 12_288_000,
    }
}

impl Chip for Wm8994 {
    type Image = [u16; COUNT];

    const NAME: &'static str = NAME;
    const FORMAT: Format = Format::SixteenSixteen;
    const REGISTERS: &'static [Register] = &TABLE;
    const RESET: [u16; COUNT] = RESETS;
    const RESET_WRITE: Option<ResetWrite> = Some(ResetWrite { address: 0x0000, name: "SW_RESET", value: 0 });
    const IDENTITY: Option<IdentityRegister> =
        Some(IdentityRegister { address: 0x0000, name: "SW_RESET", mask: 0xffff, value: 0x8994 });
    const JACK: Option<JackFlag> = None;
    // A soft mute at half the rate: 192 steps at 8 kHz.
    const TIMES: ChipTimings = ChipTimings { mute_ms: 48, reset_ms: 10, patience_ms: 10 };

    const UP: &'static [ChipStep] = &[
        ChipStep::Reach(ANTIPOP_2, ALL),
        ChipStep::Hold(POWER_1, ALL, REFERENCES),
        ChipStep::Wait(50),
        ChipStep::Reach(FLL1_5, ALL),
        ChipStep::Reach(FLL1_2, ALL),
        ChipStep::Reach(FLL1_3, ALL),
        ChipStep::Reach(FLL1_4, ALL),
        ChipStep::Reach(FLL1_1, ALL),
        ChipStep::WaitIf(FLL1_1, FLL_ON, 10),
        ChipStep::Reach(AIF1_RATE, ALL),
        ChipStep::Reach(AIF1_CONTROL_1, ALL),
        ChipStep::Reach(AIF1_BCLK, ALL),
        ChipStep::Reach(AIF1_MASTER, ALL),
        ChipStep::Reach(AIF1_CLOCK, ALL),
        ChipStep::Reach(CLOCKING_1, ALL),
        ChipStep::Reach(POWER_5, ALL),
        ChipStep::Reach(DAC1L_MIXER, ALL),
        ChipStep::Reach(DAC1R_MIXER, ALL),
        // The headphones stay clamped until the servo has measured their offset: no step of DC is heard.
        ChipStep::Reach(POWER_1, ALL),
        ChipStep::Hold(ANALOGUE_HP_1, ALL, HP_DELAYED),
        ChipStep::Reach(CLASS_W_1, ALL),
        ChipStep::Reach(CHARGE_PUMP_1, ALL),
        ChipStep::Wait(15),
        ChipStep::Reach(OUTPUT_MIXER_1, ALL),
        ChipStep::Reach(OUTPUT_MIXER_2, ALL),
        ChipStep::Reach(POWER_3, ALL),
        ChipStep::Hold(DC_SERVO_1, ALL, 0x0033),
        ChipStep::Until {
            address: 0x0058,
            name: "DC_SERVO_READBACK",
            mask: 0x0003,
            value: 0x0003,
            most_ms: 500,
            only_if: (DC_SERVO_1, 0x0003),
        },
        ChipStep::Reach(DC_SERVO_1, ALL),
        ChipStep::Hold(ANALOGUE_HP_1, ALL, HP_DELAYED | HP_OUTPUT),
        ChipStep::Reach(ANALOGUE_HP_1, ALL),
    ];
    const DOWN: &'static [ChipStep] = &[
        ChipStep::Hold(ANALOGUE_HP_1, HP_UNCLAMPED, 0),
        ChipStep::Hold(ANALOGUE_HP_1, ALL, 0),
        ChipStep::Hold(DC_SERVO_1, ALL, 0),
        ChipStep::Hold(CHARGE_PUMP_1, PUMP_ON, 0),
        ChipStep::Hold(POWER_3, ALL, 0),
        ChipStep::Hold(POWER_5, ALL, 0),
        ChipStep::Hold(POWER_1, !REFERENCES, 0),
        // VMID discharges.
        ChipStep::Hold(ANTIPOP_2, 0x0001, 0x0001),
        ChipStep::Hold(POWER_1, ALL, 0),
        ChipStep::Wait(400),
        ChipStep::Reset,
    ];
    const CLOCKS: &'static [ChipStep] = &[
        ChipStep::Hold(CLOCKING_1, CORE_CLOCKS, 0),
        ChipStep::Hold(AIF1_CLOCK, CLOCK_ON, 0),
        ChipStep::Hold(FLL1_1, FLL_ON, 0),
        ChipStep::Reach(FLL1_5, ALL),
        ChipStep::Reach(FLL1_2, ALL),
        ChipStep::Reach(FLL1_3, ALL),
        ChipStep::Reach(FLL1_4, ALL),
        ChipStep::Reach(FLL1_1, ALL),
        ChipStep::WaitIf(FLL1_1, FLL_ON, 10),
        ChipStep::Reach(AIF1_RATE, ALL),
        ChipStep::Reach(AIF1_CONTROL_1, ALL),
        ChipStep::Reach(AIF1_BCLK, ALL),
        ChipStep::Reach(AIF1_MASTER, ALL),
        ChipStep::Reach(AIF1_CLOCK, ALL),
        ChipStep::Reach(CLOCKING_1, ALL),
        ChipStep::Wait(20),
    ];
    const ROUTES: &'static [ChipStep] = &[
        ChipStep::Reach(POWER_1, ALL),
        ChipStep::Reach(POWER_2, ALL),
        ChipStep::Reach(POWER_4, ALL),
        ChipStep::Reach(INPUT_MIXER_2, ALL),
        ChipStep::Wait(20),
    ];

    fn address(&self) -> u8 {
        self.address
    }

    fn image(&self, setup: &Setup, image: &mut [u16; COUNT]) -> Result<(), ClockError> {
        let plan = Plan::new(&setup.clocks)?;
        let Pins { output, input } = self.wiring.of(setup.route);
        let analogue = matches!(input, Wm8994Input::Single | Wm8994Input::Differential);

        // Clocks.
        let (_, rate, bit_clock) = MULTIPLES[plan.multiple];
        if let Some(Fll { divided, n, k }) = plan.fll {
            image[FLL1_1] = (u16::from(k != 0) << 2) | FLL_ON;
            // An eighth of the oscillator.
            image[FLL1_2] = 7 << 8;
            image[FLL1_3] = k as u16;
            image[FLL1_4] = (n << 5) as u16;
            image[FLL1_5] = 0x0c80 | ((divided as u16) << 3);
        }
        let samples = match setup.clocks.rate {
            Rate::Hz8000 => 0,
            Rate::Hz16000 => 3,
            Rate::Hz44100 => 7,
            Rate::Hz48000 => 8,
        };
        image[AIF1_RATE] = (samples << 4) | rate;
        let word = match setup.clocks.word {
            Word::Bits16 => 0,
            Word::Bits24 => 2,
            Word::Bits32 => 3,
        };
        // I2S; both slots get the left converter.
        image[AIF1_CONTROL_1] = (word << 5) | 0x0010;
        image[AIF1_BCLK] = bit_clock << 4;
        image[AIF1_MASTER] = u16::from(setup.clocks.role == Role::Master) << 14;
        let source = if plan.fll.is_some() { 0b10 << 3 } else { 0 };
        image[AIF1_CLOCK] = source | (u16::from(plan.halved) << 1) | CLOCK_ON;
        image[CLOCKING_1] = CORE_CLOCKS;

        // Power. A digital microphone gets its supply from the bias pin.
        image[ANTIPOP_2] = SOFT_START;
        let bias = setup.bias && setup.route != Route::Line || !analogue;
        image[POWER_1] = REFERENCES | 0x3300 | (u16::from(bias) << 4);
        image[POWER_2] = 0x6000 | if analogue { 0x0240 } else { 0 };
        image[POWER_3] = 0x0330;
        image[POWER_4] = match input {
            Wm8994Input::Single | Wm8994Input::Differential => 0x0202,
            Wm8994Input::Digital1 => 0x0208,
            Wm8994Input::Digital2 => 0x0820,
        };
        image[POWER_5] = 0x0303;

        // Paths.
        image[INPUT_MIXER_2] = match input {
            Wm8994Input::Single => 0x0010,
            Wm8994Input::Differential => 0x0030,
            Wm8994Input::Digital1 | Wm8994Input::Digital2 => 0x0000,
        };
        let second = input == Wm8994Input::Digital2;
        (image[ADC1_MIXER], image[ADC2_MIXER]) = if second { (0, 2) } else { (2, 0) };
        (image[ADC1_FILTERS], image[ADC2_FILTERS]) = if second { (0, 0x1800) } else { (0x1800, 0) };
        let sidetone = u16::from(setup.sidetone.is_some()) << 4;
        image[SIDETONE] = u16::from(second && setup.sidetone.is_some());
        image[DAC1_SIDETONE] = setup.sidetone.map_or(0, |sidetone| sidetone.nearest(-3_600, 300, 13));
        image[DAC1L_MIXER] = sidetone | 1;
        image[DAC1R_MIXER] = sidetone | 1;
        image[OUTPUT_MIXER_1] = 0x0001;
        image[OUTPUT_MIXER_2] = 0x0001;
        image[SPEAKER_MIXER] = 0x0003;
        image[SPKMIXL] = 0;
        image[SPKMIXR] = 0;
        image[CHARGE_PUMP_1] = 0x1f25 | PUMP_ON;
        image[CLASS_W_1] = 0x0005;
        image[DC_SERVO_1] = 0x0003;
        image[ANALOGUE_HP_1] = HP_DELAYED | HP_OUTPUT | HP_UNCLAMPED;

        // These are levels: the amplifier from -16.5 dB in steps of 1.5 dB, and 30 dB after it.
        let boosted = setup.gain.hundredths() > 3_000;
        let rest = setup.gain.hundredths().saturating_sub(if boosted { 3_000 } else { 0 });
        let amplifier = Decibels::from_hundredths(rest).nearest(-1_650, 150, 32);
        image[INPUT_MIXER_3] = if analogue { 0x0020 | (u16::from(boosted) << 4) } else { 0 };
        let silent = u16::from(setup.mute_microphone || !analogue) << 7;
        image[IN1L] = UPDATE | silent | if analogue { amplifier } else { 0x0b };
        // The register counts in steps of 0.375 dB; the driver moves four of them at once.
        let digital = 4 * (1 + setup.gain.nearest(-7_050, 150, 59));
        let converted = match (setup.mute_microphone, analogue) {
            (true, _) => 0,
            (false, true) => 0x00c0,
            (false, false) => digital,
        };
        image[ADC1L] = UPDATE | if second { 0 } else { converted };
        image[ADC2L] = UPDATE | if second { converted } else { 0 };
        let volume = setup.volume.nearest(-5_700, 100, 64);
        let heard = u16::from(!setup.mute_output) << 6;
        let of = |used: bool| UPDATE | if used { heard | volume } else { 0x0039 };
        image[HPOUT1L] = of(output != Wm8994Output::Speakers);
        image[HPOUT1R] = of(output == Wm8994Output::Headphones);
        image[SPKOUTL] = of(output == Wm8994Output::Speakers);
        image[SPKOUTR] = of(output == Wm8994Output::Speakers);
        let muted = u16::from(setup.mute_output) << 9;
        image[DAC1L] = UPDATE | muted | 0x00c0;
        image[DAC1R] = UPDATE | muted | 0x00c0;
        // Gradual both ways.
        image[DAC1_FILTERS] = muted | 0x0010;
        Ok(())
    }

    fn achieved(&self, clocks: &Clocks) -> Result<Achieved, ClockError> {
        let plan = Plan::new(clocks)?;
        let multiple = u64::from(MULTIPLES[plan.multiple].0);
        let mclk = u64::from(clocks.mclk_hz) * 1_000;
        let Some(Fll { divided, n, k }) = plan.fll else {
            return Ok(Achieved { millihertz: (mclk >> u32::from(plan.halved)) / multiple, pll: false });
        };
        // 2^16 of the fraction, 2^3 of the output's divider.
        let divider = multiple << (19 + divided);
        let millihertz = (mclk * ((u64::from(n) << 16) | u64::from(k)) + divider / 2) / divider;
        Ok(Achieved { millihertz, pll: true })
    }

    fn volumes(&self, _: Route) -> (Decibels, Decibels) {
        (Decibels::new(-57), Decibels::new(6))
    }

    fn gains(&self, route: Route) -> (Decibels, Decibels) {
        match self.wiring.of(route).input {
            Wm8994Input::Single | Wm8994Input::Differential => (Decibels::from_hundredths(-1_650), Decibels::new(60)),
            Wm8994Input::Digital1 | Wm8994Input::Digital2 => {
                (Decibels::from_hundredths(-7_050), Decibels::from_hundredths(1_650))
            }
        }
    }

    fn sidetones(&self, _: Route) -> Option<(Decibels, Decibels)> {
        Some((Decibels::new(-36), Decibels::ZERO))
    }
}
