//! A phone's requirements of its codec chip, in one plain value, and the error for clocks that the chip can't have.

use core::fmt;

/// A gain in hundredths of a decibel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Decibels(i16);

impl Decibels {
    /// Unchanged: 0 dB.
    pub const ZERO: Self = Self(0);

    /// Creates a gain of whole decibels, from -327 to 327.
    pub const fn new(decibels: i16) -> Self {
        Self(decibels.saturating_mul(100))
    }

    /// Creates a gain in hundredths of a decibel.
    pub const fn from_hundredths(hundredths: i16) -> Self {
        Self(hundredths)
    }

    /// Returns the gain in hundredths of a decibel.
    pub const fn hundredths(self) -> i16 {
        self.0
    }

    /// Returns the index of the step that is nearest to this gain, of `count` steps that begin at `least` and are `step` apart,
    /// both in hundredths of a decibel. Beyond the ends it is the first or the last. Chips round a volume in this way, so that a
    /// volume key never fails.
    pub fn nearest(self, least: i16, step: u16, count: u16) -> u16 {
        let above = i32::from(self.0) - i32::from(least);
        let (step, last) = (i32::from(step.max(1)), i32::from(count.saturating_sub(1)));
        ((above + step / 2).div_euclid(step)).clamp(0, last) as u16
    }
}

impl fmt::Display for Decibels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let size = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02} dB", size / 100, size % 100)
    }
}

/// Samples a second on the serial audio port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Rate {
    /// 8 kHz: narrowband.
    Hz8000,
    /// 16 kHz: wideband.
    Hz16000,
    /// 44.1 kHz.
    Hz44100,
    /// 48 kHz: fullband. The core's resampler makes other rates from it.
    Hz48000,
}

impl Rate {
    /// All rates, the lowest first.
    pub const ALL: [Self; 4] = [Self::Hz8000, Self::Hz16000, Self::Hz44100, Self::Hz48000];

    /// Returns the rate in Hz.
    pub const fn hz(self) -> u32 {
        match self {
            Self::Hz8000 => 8_000,
            Self::Hz16000 => 16_000,
            Self::Hz44100 => 44_100,
            Self::Hz48000 => 48_000,
        }
    }
}

/// The side that drives the bit clock and the frame clock of the serial audio port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Role {
    /// The codec chip.
    Master,
    /// The processor, from the same crystal as the chip's MCLK: two crystals would drift apart, and samples would be
    /// lost.
    Slave,
}

/// Valid bits in a slot of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Word {
    /// 16 bits.
    Bits16,
    /// 24 bits.
    Bits24,
    /// 32 bits, of which a chip converts the upper 24 or fewer.
    Bits32,
}

/// Clocks of the serial audio port. Its format is I2S: two slots a frame, with the data delayed by one bit clock after the frame
/// clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Clocks {
    /// The master clock at the chip's pin, in Hz.
    pub mclk_hz: u32,
    /// Samples a second.
    pub rate: Rate,
    /// The side that drives the bit clock and the frame clock.
    pub role: Role,
    /// Valid bits in a slot.
    pub word: Word,
}

/// The output and the input of sound. The chip's [`Wiring`] says which pins they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Route {
    /// Earpiece and microphone of the receiver in the hand.
    Handset,
    /// Headphones and microphone of a headset.
    Headset,
    /// Loudspeaker and microphone of the case.
    Speakerphone,
    /// Line output and input.
    Line,
}

impl Route {
    /// All routes.
    pub const ALL: [Self; 4] = [Self::Handset, Self::Headset, Self::Speakerphone, Self::Line];
}

/// Output and input of a route: `O` and `I` are the chip's names of its pins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Pins<O, I> {
    /// The output of sound.
    pub output: O,
    /// The input of sound.
    pub input: I,
}

/// A value for each route, such as its [`Pins`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Wiring<P> {
    /// The value for [`Route::Handset`].
    pub handset: P,
    /// The value for [`Route::Headset`].
    pub headset: P,
    /// The value for [`Route::Speakerphone`].
    pub speakerphone: P,
    /// The value for [`Route::Line`].
    pub line: P,
}

impl<P: Copy> Wiring<P> {
    /// The value for this route.
    pub const fn of(&self, route: Route) -> P {
        match route {
            Route::Handset => self.handset,
            Route::Headset => self.headset,
            Route::Speakerphone => self.speakerphone,
            Route::Line => self.line,
        }
    }
}

/// All that a phone wants of its codec chip. The chip's registers are a function of this value alone, whatever was set
/// before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Setup {
    /// Whether the chip is switched on. While it is off, its registers are as after a reset.
    pub power: bool,
    /// Clocks of the serial audio port.
    pub clocks: Clocks,
    /// The output and the input of sound.
    pub route: Route,
    /// Gain of the output amplifier. The chip takes its nearest step, and beyond its range the lowest or the highest.
    pub volume: Decibels,
    /// Gain of the microphone or the line input before the converter, rounded as the volume is.
    pub gain: Decibels,
    /// Whether the microphone is fed through the chip's bias pin. A line input never is. A chip whose bias can't be
    /// switched by itself ignores this.
    pub bias: bool,
    /// Whether the output is silent, the sidetone too.
    pub mute_output: bool,
    /// Whether the microphone is silent.
    pub mute_microphone: bool,
    /// Gain with which the user hears the microphone in his own ear; `None` if he doesn't hear it.
    pub sidetone: Option<Decibels>,
}

impl Setup {
    /// Creates a setup that is switched off: a handset at 0 dB, with 20 dB of gain and bias for its microphone, and without
    /// sidetone.
    pub const fn new(clocks: Clocks) -> Self {
        Self {
            power: false,
            clocks,
            route: Route::Handset,
            volume: Decibels::ZERO,
            gain: Decibels::new(20),
            bias: true,
            mute_output: false,
            mute_microphone: false,
            sidetone: None,
        }
    }
}

/// The reason why a chip can't make these clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ClockReason {
    /// MCLK is outside the chip's range.
    Mclk {
        /// The lowest MCLK, in Hz.
        least: u32,
        /// The highest MCLK, in Hz.
        most: u32,
    },
    /// No divider gives the rate from MCLK, and the chip has no PLL.
    Divider,
    /// No divider gives the rate from MCLK, and no setting of the PLL within its limits does.
    Pll,
    /// Only the PLL gives this rate from MCLK, and with it the chip has to be master.
    PllAsSlave,
}

/// Clocks that a chip can't have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClockError {
    /// The chip's name.
    pub chip: &'static str,
    /// The clocks that were wanted.
    pub clocks: Clocks,
    /// The reason why the chip can't have them.
    pub reason: ClockReason,
}

impl fmt::Display for ClockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Clocks { mclk_hz, rate, .. } = self.clocks;
        let rate = rate.hz();
        write!(f, "{} can't make {rate} Hz from an MCLK of {mclk_hz} Hz: ", self.chip)?;
        match self.reason {
            ClockReason::Mclk { least, most } => write!(f, "MCLK has to be between {least} and {most} Hz"),
            ClockReason::Divider => write!(f, "no divider gives it, and it has no PLL"),
            ClockReason::Pll => write!(f, "no divider gives it, and no setting within the limits of the PLL"),
            ClockReason::PllAsSlave => write!(f, "only the PLL gives it, and with the PLL the chip has to be master"),
        }
    }
}

impl core::error::Error for ClockError {}
