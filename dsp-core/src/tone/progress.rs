//! Generator of call progress tones, described on [`ProgressGenerator`].

use core::fmt;

use super::countries::COUNTRIES;
use super::oscillator::{Oscillator, ramp};
use crate::sample::Sample;

/// One stretch of a tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Segment {
    /// Frequency of its sine, in Hz; 0 is silence.
    pub hz: u16,
    /// Frequency of a second sine in Hz, which is added with the same level or, with a depth, modulates the level of
    /// the first; 0 for none.
    pub other_hz: u16,
    /// Depth of the modulation, in percent; with 0 the sines are added.
    pub depth_percent: u8,
    /// Time between two reversals of the phase, in ms; 0 for none.
    pub reversed_ms: u16,
    /// Length of the stretch, in ms; with 0 it never ends.
    pub ms: u16,
}

pub(super) const fn off(ms: u16) -> Segment {
    on(0, ms)
}

pub(super) const fn on(hz: u16, ms: u16) -> Segment {
    Segment { hz, other_hz: 0, depth_percent: 0, reversed_ms: 0, ms }
}

pub(super) const fn both(hz: u16, other_hz: u16, ms: u16) -> Segment {
    Segment { hz, other_hz, depth_percent: 0, reversed_ms: 0, ms }
}

/// Modulated by 90 %.
pub(super) const fn beaten(hz: u16, other_hz: u16, ms: u16) -> Segment {
    Segment { hz, other_hz, depth_percent: 90, reversed_ms: 0, ms }
}

/// What a call progress tone says (ITU-T E.180).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ProgressTone {
    /// The exchange waits for digits.
    Dial,
    /// The called party is busy.
    Busy,
    /// The called party's telephone rings.
    Ringing,
    /// There is no free line to the called party.
    Congestion,
    /// Somebody else calls.
    CallWaiting,
    /// Special information tone: the call was not completed for another reason.
    Information,
}

/// The call progress tones of a country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country {
    /// ISO 3166 code of the country, in lower case.
    pub code: &'static str,
    /// Name of the country in English.
    pub name: &'static str,
    /// Source of the frequencies and times.
    pub source: &'static str,
    pub(super) tones: [&'static [Segment]; 6],
}

impl Country {
    /// The country with this ISO 3166 code, in upper or lower case; `uk` stands for `gb`. `None` if it is not in the
    /// list.
    pub fn of(code: &str) -> Option<&'static Self> {
        let code = if code.eq_ignore_ascii_case("uk") { "gb" } else { code };
        COUNTRIES.iter().find(|country| country.code.eq_ignore_ascii_case(code))
    }

    /// The segments of one of its tones, which repeat.
    pub const fn tone(&self, tone: ProgressTone) -> &'static [Segment] {
        self.tones[tone as usize]
    }
}

/// The calling tone of a fax (T.30): 1,100 Hz, 0.5 s in each 3.5 s.
pub static CNG: [Segment; 2] = [on(1_100, 500), off(3_000)];
/// The answering tone of a fax or a modem (V.25): 2,100 Hz for 3 s, and then silence.
pub static CED: [Segment; 2] = [on(2_100, 3_000), off(0)];
/// The answering tone of a modem with V.8, for 4 s, and then silence: 2,100 Hz, modulated by 15 Hz with a depth of a
/// fifth, with its phase reversed every 450 ms.
pub static ANSAM: [Segment; 2] =
    [Segment { hz: 2_100, other_hz: 15, depth_percent: 20, reversed_ms: 450, ms: 4_000 }, off(0)];

/// What is wrong with the settings of a [`ProgressGenerator`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ProgressError {
    /// This sample rate, in Hz, is not between 4,000 and 192,000, or not above twice the highest frequency.
    Rate(u32),
    /// This level, in hundredths of a dBm0, is not between -6,300 and 0.
    Level(i16),
}

impl fmt::Display for ProgressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Rate(rate) => {
                write!(f, "{rate} Hz; this tone is made at 4000 to 192000 Hz, above twice its frequency")
            }
            Self::Level(level) => write!(f, "a level of {} hundredths of a dBm0; -6300 to 0 are possible", level),
        }
    }
}

impl core::error::Error for ProgressError {}

/// Generates a call progress tone in one channel (ITU-T E.180), or one with which faxes and modems call and answer.
///
/// A tone is a row of [`Segment`]s that repeats: silence, one sine, two sines, or one whose level is modulated by
/// another. Each begins and ends with a ramp of 1 ms within its time, so that nothing clicks, and times are exact to
/// the sample. 20 ms at 8 kHz take 16,306 instructions on a Cortex-M3 (`BENCHMARKS.md`). The arithmetic is integer.
/// ```
/// use dsp_core::tone::{Country, ProgressGenerator, ProgressTone};
///
/// let germany = Country::of("de").ok_or("no such country")?;
/// let mut generator = ProgressGenerator::new(8_000, -1_000, germany.tone(ProgressTone::Ringing))?;
/// // It rings for 1 s and is silent for 4.
/// let mut second = [0i16; 8_000];
/// let mut loud = Vec::new();
/// for _ in 0..5 {
///     generator.fill(&mut second);
///     loud.push(second.iter().any(|&sample| sample.abs() > 1_000));
/// }
/// assert_eq!(loud, [true, false, false, false, false]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ProgressGenerator {
    rate: u32,
    level: i16,
    segments: &'static [Segment],
    at: usize,
    /// Samples of this segment that were made, and that it has.
    made: u64,
    length: u64,
    ramp: u64,
    sines: [Oscillator; 2],
}

impl ProgressGenerator {
    /// A generator at the beginning of its tone. The level, in hundredths of a dBm0, is that of a whole segment.
    ///
    /// # Errors
    /// Returns a [`ProgressError`] if the sample rate or the level is out of range.
    pub fn new(
        sample_rate_hz: u32,
        level_hundredths_dbm0: i16,
        segments: &'static [Segment],
    ) -> Result<Self, ProgressError> {
        let highest = segments.iter().map(|segment| segment.hz.max(segment.other_hz)).max().unwrap_or(0);
        if !(4_000..=192_000).contains(&sample_rate_hz) || sample_rate_hz <= 2 * u32::from(highest) {
            return Err(ProgressError::Rate(sample_rate_hz));
        }
        if !(-6_300..=0).contains(&level_hundredths_dbm0) {
            return Err(ProgressError::Level(level_hundredths_dbm0));
        }
        let mut generator = Self {
            rate: sample_rate_hz,
            level: level_hundredths_dbm0,
            segments,
            at: 0,
            made: 0,
            length: 0,
            ramp: u64::from(sample_rate_hz) / 1_000,
            sines: [Oscillator::default(); 2],
        };
        generator.begin();
        Ok(generator)
    }

    fn begin(&mut self) {
        let segment = self.segments.get(self.at).copied().unwrap_or(off(0));
        self.made = 0;
        self.length = match segment.ms {
            0 => u64::MAX,
            ms => (u64::from(ms) * u64::from(self.rate) + 500) / 1_000,
        };
        // Two sines share the level; a modulated one has half the square of its depth besides: 1.48 and 0.09 dB.
        let less = match (segment.other_hz, segment.depth_percent) {
            (0, _) => 0,
            (_, 0) => 301,
            (_, depth) => i16::from(depth) * i16::from(depth) / 55,
        };
        let sine = |hz: u16, level| Oscillator::new(self.rate, hz.into(), level);
        self.sines = [sine(segment.hz, self.level - less), sine(segment.other_hz, self.level - less)];
        if segment.depth_percent > 0 {
            // Of full scale: what it does to the other is a matter of depth alone.
            self.sines[1] = sine(segment.other_hz, super::detector::FULL_SINE);
        }
    }

    /// Writes the next samples of the tone.
    pub fn fill<S: Sample>(&mut self, out: &mut [S]) {
        for slot in out {
            if self.made >= self.length {
                self.at = (self.at + 1) % self.segments.len().max(1);
                self.begin();
            }
            *slot = S::from_i32(self.next());
        }
    }

    fn next(&mut self) -> i32 {
        let segment = self.segments.get(self.at).copied().unwrap_or(off(0));
        let (made, edge) = (self.made, self.made.min(self.length - 1 - self.made));
        self.made += 1;
        if segment.hz == 0 {
            return 0;
        }
        let mut value = i64::from(self.sines[0].next());
        if segment.other_hz > 0 {
            let other = i64::from(self.sines[1].next());
            value = match i64::from(segment.depth_percent) {
                0 => value + other,
                depth => value + ((value * (other * depth / 100)) >> 30),
            };
        }
        let reversal = u64::from(segment.reversed_ms) * u64::from(self.rate) / 1_000;
        if reversal > 0 && (made / reversal) % 2 == 1 {
            value = -value;
        }
        if edge < self.ramp {
            value = (value * i64::from(ramp(edge as u32, self.ramp as u32))) >> 30;
        }
        (value * 2).clamp(i32::MIN.into(), i32::MAX.into()) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    const TONES: [ProgressTone; 6] = [
        ProgressTone::Dial,
        ProgressTone::Busy,
        ProgressTone::Ringing,
        ProgressTone::Congestion,
        ProgressTone::CallWaiting,
        ProgressTone::Information,
    ];

    fn seconds(rate: u32, level: i16, segments: &'static [Segment], seconds: usize) -> Vec<f32> {
        let mut pcm = vec![0.0f32; rate as usize * seconds];
        let mut generator = ProgressGenerator::new(rate, level, segments).unwrap();
        pcm.chunks_mut(77).for_each(|frame| generator.fill(frame));
        pcm
    }

    fn dbm0(pcm: &[f32]) -> f64 {
        let power = pcm.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / pcm.len() as f64;
        10.0 * (2.0 * power).log10() + f64::from(super::super::detector::FULL_SINE) / 100.0
    }

    #[test]
    fn every_tone_of_every_country_has_its_times_and_its_level() {
        assert!(COUNTRIES.len() >= 16);
        for country in &COUNTRIES {
            assert_eq!(Country::of(country.code), Some(country));
            for tone in TONES {
                let segments = country.tone(tone);
                let mut generator = ProgressGenerator::new(8_000, -1_000, segments).unwrap();
                // Twice, since it repeats.
                for segment in [segments, segments].concat() {
                    let mut pcm = vec![9i16; usize::from(if segment.ms == 0 { 1_000 } else { segment.ms }) * 8];
                    generator.fill(&mut pcm);
                    if segment.ms == 0 {
                        generator = ProgressGenerator::new(8_000, -1_000, segments).unwrap();
                    }
                    let pcm: Vec<f32> = pcm.into_iter().map(f32::from_i16).collect();
                    if segment.hz == 0 {
                        assert!(pcm.iter().all(|&x| x == 0.0), "{} {tone:?}", country.code);
                        continue;
                    }
                    // Without ramps; a modulated or summed tone that is short has not the mean of a long one.
                    let level = dbm0(&pcm[8..pcm.len() - 8]);
                    assert!((level + 10.0).abs() < 0.6, "{} {tone:?} {segment:?}: {level}", country.code);
                }
            }
        }
    }

    #[test]
    fn sums_and_modulated_sines_have_the_level_asked_for() {
        for (code, tone) in [("us", ProgressTone::Dial), ("in", ProgressTone::Dial), ("gb", ProgressTone::Dial)] {
            let pcm = seconds(48_000, -1_300, Country::of(code).unwrap().tone(tone), 1);
            assert!((dbm0(&pcm) + 13.0).abs() < 0.1, "{code}: {}", dbm0(&pcm));
        }
        assert_eq!(Country::of("UK"), Country::of("gb"));
        assert_eq!(Country::of("xx"), None);
    }

    #[test]
    fn an_answering_modem_reverses_its_phase() {
        let pcm = seconds(8_000, -1_000, &ANSAM, 5);
        // 21 samples of 80 are a whole number of periods: what follows a reversal is what was before it, with its sign turned.
        let product = |at: usize| (0..80).map(|n| pcm[at + n] * pcm[at + n - 3_600]).sum::<f32>();
        let same = |at: usize| (0..80).map(|n| pcm[at + n] * pcm[at + n - 80]).sum::<f32>();
        assert!(product(4_000) < -0.5 && product(8_000) < -0.5, "{} {}", product(4_000), product(8_000));
        assert!(same(2_000) > 0.5 && same(5_000) > 0.5);
        assert!(pcm[32_000..].iter().all(|&x| x == 0.0));
        // Between 0.8 and 1.2 of its mean.
        let peak = |part: &[f32]| part.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        let peaks: Vec<f32> = pcm[80..8_000].chunks(40).map(peak).collect();
        let (most, least) = (peaks.iter().copied().fold(0.0, f32::max), peaks.iter().copied().fold(1.0, f32::min));
        assert!((most / least - 1.5).abs() < 0.08, "{most} {least}");
    }

    #[test]
    fn what_is_out_of_range_is_an_error() {
        assert_eq!(ProgressGenerator::new(3_999, -1_000, &CNG).err(), Some(ProgressError::Rate(3_999)));
        assert_eq!(ProgressGenerator::new(4_000, -1_000, &CED).err(), Some(ProgressError::Rate(4_000)));
        assert_eq!(ProgressGenerator::new(8_000, 1, &CNG).err(), Some(ProgressError::Level(1)));
        let mut none = ProgressGenerator::new(8_000, 0, &[]).unwrap();
        let mut pcm = [9i16; 80];
        none.fill(&mut pcm);
        assert_eq!(pcm, [0; 80]);
    }
}
