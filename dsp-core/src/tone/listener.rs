//! Detector of call progress tones; its rules are on [`ProgressDetector`].

#[cfg(test)]
mod tests;

use core::fmt;

use super::progress::{CNG, Country, ProgressTone, Segment};
use super::signal::ToneSignal;
use crate::process::decibel::{amplitude, hundredths_of_power};
use crate::process::goertzel::{Goertzel, GoertzelDesign};
use crate::sample::Sample;
use crate::time::Duration;

/// Frequencies of a country, with those of faxes.
const FILTERS: usize = 14;
/// Kinds of stretches: single frequencies and pairs.
const KINDS: usize = 14;
/// Stretches that are remembered.
const RUNS: usize = 10;
/// Samples that are heard in one go.
const PIECE: usize = 64;
/// Length of a block.
const BLOCK_MS: u32 = 20;
/// What is quieter is a pause, in hundredths of a dBov.
const QUIET: i32 = -4_800;
/// How far a pause is below the tone before it, in hundredths of a dB.
const BELOW: i32 = 1_500;
/// Part of all power that a tone has, in 2^-28.
const SHARE: u64 = (7 << 28) / 10;
/// Neither of two frequencies of a tone has more than this multiple of the power of the other: 8 dB.
const APART: u64 = 6;
/// Least number of blocks after which a tone without a cadence is reported.
const STEADY: u32 = 1_400 / BLOCK_MS;
/// ANSam's phase is reversed so often.
const REVERSED_MS: u32 = 450;
/// A cadence of more is told after it was heard once.
const LONG_MS: u32 = 2_500;

/// A tone that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HeardTone {
    /// Meaning of the tone.
    pub signal: ToneSignal,
    /// When it began, since the detector was made, to 20 ms.
    pub start: Duration,
    /// How long it has lasted.
    pub duration: Duration,
    /// Whether it has ended.
    pub ended: bool,
}

/// A [`ProgressDetector`] cannot work at this sample rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ListenerError {
    /// Sample rate that was asked for, in Hz.
    pub sample_rate_hz: u32,
}

impl fmt::Display for ListenerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz; tones are heard at multiples of 50 Hz from 8000 to 48000 Hz", self.sample_rate_hz)
    }
}

impl core::error::Error for ListenerError {}

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pause,
    /// The tone with this number.
    Tone(u8),
    Sound,
}

/// What one or two filters hear.
#[derive(Clone, Copy, Debug)]
struct Heard {
    first: u8,
    second: Option<u8>,
    /// Whether it may beat, so that it's looked at two blocks at once.
    beats: bool,
}

/// Blocks of one kind in a row.
#[derive(Clone, Copy, Debug)]
struct Run {
    kind: Kind,
    /// Number of its first block.
    start: u32,
    blocks: u32,
    /// Blocks in it that look like a reversal of the phase, where one is due.
    flips: u32,
    /// And where none is.
    undue: u32,
}

const NOTHING: Run = Run { kind: Kind::Pause, start: 0, blocks: 0, flips: 0, undue: 0 };

/// A tone that is being heard.
#[derive(Clone, Copy, Debug)]
struct Lasting {
    signal: ToneSignal,
    start: u32,
    /// Behind the last block that was surely its own.
    until: u32,
    /// The segment that is heard now.
    at: usize,
}

/// Detects the call progress tones of one country, and CNG, CED and ANSam of faxes and modems, in the sound of one
/// channel.
///
/// Every 20 ms a Goertzel filter for each frequency of the country tells how much of the sound it is. Where one
/// frequency, or two that are added, have 70 % of the power, that is a stretch of a tone; quiet sound is a pause, and
/// everything else is sound. The lengths of stretches and pauses are compared with the country's table, and may be off
/// by 15 % and 40 ms. A tone is reported when enough of its cadence was heard that it cannot be another one: the whole
/// cadence if that is longer than 2.5 s, two or three cadences if it is shorter. A tone without a cadence is reported
/// after 1.4 s, or after more than the longest stretch of another tone. It is reported again when it has ended.
///
/// Two frequencies less than 35 Hz apart, and a modulated one, count as the frequency in their middle. If two tones of
/// a country are equal, the first in the order of [`ProgressTone`] is reported. Stretches below 60 ms are not heard. A
/// phase that is reversed at multiples of 450 ms distinguishes ANSam from CED; one at another time is a lost packet.
///
/// The arithmetic is integer, with one multiplication for each sample and frequency, of which a country has 3 to 10:
/// 28,951 instructions for 20 ms at 8 kHz on a Cortex-M3 with the tones of the United States. The detector takes 1,376
/// bytes (`BENCHMARKS.md`).
///
/// What an exchange signals, by its sound alone:
/// What an exchange says, by the sound alone:
///
/// ```
/// use dsp_core::tone::{Country, ProgressDetector, ProgressGenerator, ProgressTone, ToneSignal};
///
/// let germany = Country::of("de").ok_or("no such country")?;
/// let mut generator = ProgressGenerator::new(8_000, -1_000, germany.tone(ProgressTone::Busy))?;
/// let mut detector = ProgressDetector::new(8_000, germany)?;
/// let (mut frame, mut heard) = ([0i16; 160], None);
/// for _ in 0..250 {
///     generator.fill(&mut frame);
///     detector.hear(&frame, |tone| heard = Some(tone.signal));
/// }
/// assert_eq!(heard, Some(ToneSignal::Progress(ProgressTone::Busy)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProgressDetector {
    country: &'static Country,
    samples: u32,
    filled: u32,
    /// Sum of squares of this block.
    energy: u64,
    filters: [Option<Goertzel<i16>>; FILTERS],
    hz: [u16; FILTERS],
    levels: [i32; FILTERS],
    /// Those of the block before, and its level.
    last_levels: [i32; FILTERS],
    last_level: i32,
    kinds: [Option<Heard>; KINDS],
    block: u32,
    /// Number of blocks after which a tone without a cadence is reported.
    steady: u32,
    /// The run that is going on, blocks after it that may be of another one, the kinds of the last two blocks, the newest
    /// first, and the level of its last one.
    run: Run,
    doubtful: u32,
    before: [Kind; 2],
    level: i32,
    /// The runs before it, the newest first.
    runs: [Run; RUNS],
    lasting: Option<Lasting>,
}

impl ProgressDetector {
    /// A detector for the tones of a country.
    ///
    /// # Errors
    /// Returns a [`ListenerError`] for a sample rate that is not a multiple of 50 Hz from 8 to 48 kHz.
    pub fn new(sample_rate_hz: u32, country: &'static Country) -> Result<Self, ListenerError> {
        let error = ListenerError { sample_rate_hz };
        if !(8_000..=48_000).contains(&sample_rate_hz) || !sample_rate_hz.is_multiple_of(50) {
            return Err(error);
        }
        let mut detector = Self {
            country,
            samples: sample_rate_hz * BLOCK_MS / 1_000,
            filled: 0,
            energy: 0,
            filters: [const { None }; FILTERS],
            hz: [0; FILTERS],
            levels: [-12_700; FILTERS],
            last_levels: [-12_700; FILTERS],
            last_level: -12_700,
            kinds: [None; KINDS],
            block: 0,
            run: NOTHING,
            steady: STEADY,
            doubtful: 0,
            before: [Kind::Pause; 2],
            level: QUIET,
            runs: [NOTHING; RUNS],
            lasting: None,
        };
        let tones = ALL.iter().flat_map(|&tone| country.tone(tone)).chain(&CNG);
        for segment in tones.copied().chain([Segment { hz: 2_100, ..CNG[0] }]).filter(|segment| segment.hz != 0) {
            detector.learn(sample_rate_hz, &segment).map_err(|_| error)?;
            detector.steady = detector.steady.max(longest(segment.ms.into()) / BLOCK_MS + 1);
        }
        Ok(detector)
    }

    /// Makes the filters of a segment, unless they are there.
    fn learn(&mut self, rate_hz: u32, segment: &Segment) -> Result<(), ()> {
        let beats =
            segment.depth_percent > 0 || (segment.other_hz != 0 && segment.hz.abs_diff(segment.other_hz) < BEATS_HZ);
        if let Some(known) = self.kind_of(segment) {
            if let Some(heard) = &mut self.kinds[usize::from(known)] {
                heard.beats |= beats;
            }
            return Ok(());
        }
        let (low, high) = frequencies(segment);
        let first = self.filter(rate_hz, low)?;
        let second = if high == 0 { None } else { Some(self.filter(rate_hz, high)?) };
        let free = self.kinds.iter_mut().find(|kind| kind.is_none()).ok_or(())?;
        *free = Some(Heard { first, second, beats });
        Ok(())
    }

    fn filter(&mut self, rate_hz: u32, hz: u16) -> Result<u8, ()> {
        if let Some(known) = self.hz.iter().position(|&known| known != 0 && known.abs_diff(hz) <= SAME_HZ) {
            return Ok(known as u8);
        }
        let free = self.hz.iter().position(|&known| known == 0).ok_or(())?;
        let design = GoertzelDesign::new(rate_hz, hz.into(), self.samples).map_err(|_| ())?;
        (self.filters[free], self.hz[free]) = (Some(Goertzel::new(design)), hz);
        Ok(free as u8)
    }

    /// The number of the kind that a segment is.
    fn kind_of(&self, segment: &Segment) -> Option<u8> {
        let (low, high) = frequencies(segment);
        let is = |filter: u8, hz: u16| self.hz[usize::from(filter)].abs_diff(hz) <= SAME_HZ;
        let found = self.kinds.iter().flatten().position(|heard| {
            is(heard.first, low) && heard.second.map_or(high == 0, |second| high != 0 && is(second, high))
        });
        found.map(|found| found as u8)
    }

    /// Takes in the next samples, any number. Calls `each` with every tone that has begun or ended.
    pub fn hear<S: Sample>(&mut self, pcm: &[S], mut each: impl FnMut(HeardTone)) {
        let mut piece = [0i16; PIECE];
        let mut rest = pcm;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(PIECE).min((self.samples - self.filled) as usize));
            let piece = &mut piece[..now.len()];
            piece.iter_mut().zip(now).for_each(|(to, from)| *to = from.to_i16());
            self.energy += piece.iter().map(|&sample| u64::from(i32::from(sample).unsigned_abs().pow(2))).sum::<u64>();
            for (filter, level) in self.filters.iter_mut().flatten().zip(&mut self.levels) {
                filter.hear(piece, |heard| *level = heard.hundredths_dbov().into());
            }
            (rest, self.filled) = (later, self.filled + now.len() as u32);
            if self.filled == self.samples {
                let power = (self.energy << 16) / u64::from(self.samples);
                (self.filled, self.energy) = (0, 0);
                let level = if power == 0 { -12_700 } else { hundredths_of_power(power).into() };
                self.take(level, &mut each);
            }
        }
    }

    /// The tone that is being heard.
    pub fn sounding(&self) -> Option<ToneSignal> {
        self.lasting.map(|lasting| lasting.signal)
    }

    /// What a block of this level is.
    fn classify(&self, level: i32) -> Kind {
        let (was_tone, may_beat) = match self.run.kind {
            Kind::Tone(kind) => (true, self.kinds[usize::from(kind)].is_some_and(|heard| heard.beats)),
            _ => (false, false),
        };
        let loudest = if may_beat { level.max(self.last_level) } else { level };
        if loudest < QUIET || (was_tone && loudest < self.level - BELOW) {
            return Kind::Pause;
        }
        let square =
            |level: i32, whole: i32| u64::from(amplitude((level - whole).clamp(-9_000, 300) as i16, 14)).pow(2);
        let mut best = (SHARE, Kind::Sound);
        for (number, heard) in self.kinds.iter().flatten().enumerate() {
            let power = |filter: u8| {
                let (now, last) = (self.levels[usize::from(filter)], self.last_levels[usize::from(filter)]);
                if !heard.beats {
                    return square(now, level);
                }
                let whole = level.max(self.last_level);
                let all = square(level, whole) + square(self.last_level, whole);
                // What beats has a part of its power beside its frequency.
                ((square(now, whole) + square(last, whole)) << 28) / all * 7 / 5
            };
            let share = match heard.second {
                None => power(heard.first),
                Some(second) => {
                    let (one, other) = (power(heard.first), power(second));
                    // One alone has less of its own with a second one beside it.
                    if one.max(other) > APART * one.min(other) { 0 } else { one + other }
                }
            };
            if share > best.0 {
                best = (share, Kind::Tone(number as u8));
            }
        }
        best.1
    }

    fn take(&mut self, level: i32, each: &mut impl FnMut(HeardTone)) {
        let kind = self.classify(level);
        self.block += 1;
        let is_tone = matches!(kind, Kind::Tone(_));
        if kind == self.run.kind {
            // What was in between was part of it: a reversal of the phase, if it was as loud and where one is due. A lost packet
            // may look the same, anywhere.
            let since_ms = self.block.saturating_sub(2 + self.run.start) * BLOCK_MS + BLOCK_MS / 2;
            let off_ms = (since_ms % REVERSED_MS).min(REVERSED_MS - since_ms % REVERSED_MS);
            let is_flip = is_tone && self.doubtful == 1 && self.before[0] == Kind::Sound;
            let is_due = off_ms <= BLOCK_MS * 3 / 2;
            self.run.flips += u32::from(is_flip && is_due);
            self.run.undue += u32::from(is_flip && !is_due);
            self.run.blocks += 1 + self.doubtful;
            self.doubtful = 0;
        } else {
            self.doubtful += 1;
            // Twice in a row. Of a tone that beats every other block may be none, and a lost packet is two of none in a tone.
            let again = self.before.map(|before| before == kind);
            let back = match (kind, again) {
                (Kind::Sound, [true, true]) => 3,
                (Kind::Tone(_), [false, true]) => 3,
                (Kind::Tone(_) | Kind::Pause, [true, _]) => 2,
                _ => 0,
            };
            if back > 0 {
                self.run.blocks = (self.run.blocks + self.doubtful).saturating_sub(back);
                self.push(each);
                self.run = Run { kind, start: self.block.saturating_sub(back), blocks: back, flips: 0, undue: 0 };
                self.doubtful = 0;
            }
        }
        if is_tone && kind == self.run.kind {
            self.level = level;
        }
        self.before = [kind, self.before[0]];
        (self.last_level, self.last_levels) = (level, self.levels);
        self.watch(each);
    }

    /// The run is over: compares all with the tones.
    fn push(&mut self, each: &mut impl FnMut(HeardTone)) {
        self.runs.rotate_right(1);
        self.runs[0] = self.run;
        let over = self.run;
        if let Some(mut lasting) = self.lasting {
            let segments = self.segments(lasting.signal);
            let goes_on = segments.len() > 1
                && segments.get(lasting.at).is_some_and(|segment| self.fits(&over, segment))
                && !matches!(lasting.signal, ToneSignal::Ced | ToneSignal::Ansam);
            if goes_on {
                lasting.at = (lasting.at + 1) % segments.len();
                lasting.until = over.start + over.blocks;
                self.lasting = Some(lasting);
                return;
            }
            // What has no cadence lasted until here.
            if segments.len() < 2 {
                lasting.until = over.start + over.blocks;
            }
            self.end(lasting, each);
        }
        for signal in ALL.map(ToneSignal::Progress).into_iter().chain([ToneSignal::Cng]) {
            let segments = self.segments(signal);
            if segments.len() < 2 {
                continue;
            }
            let cycle_ms: u32 = segments.iter().map(|segment| u32::from(segment.ms)).sum();
            // Three times where it is nothing but on and off: that may be a part of another cadence.
            let wanted = match segments.len() {
                all if cycle_ms >= LONG_MS => all,
                2 => 6,
                all => 2 * all,
            };
            // The three notes of the special information tone are enough.
            let wanted = if segments.len() >= 4 && segments[1].hz != 0 { 3 } else { wanted }.min(RUNS);
            let first = (0..segments.len()).find(|&first| {
                (0..wanted).all(|back| {
                    let segment = &segments[(first + wanted - 1 - back) % segments.len()];
                    self.fits(&self.runs[back], segment)
                })
            });
            let Some(first) = first else { continue };
            // A pause before it may have been a pause of its cadence.
            let oldest = wanted - 1 - usize::from(self.runs[wanted - 1].kind == Kind::Pause);
            let start = self.runs[oldest].start;
            let until = over.start + over.blocks;
            let lasting = Lasting { signal, start, until, at: (first + wanted) % segments.len() };
            self.lasting = Some(lasting);
            each(self.told(&lasting, false));
            return;
        }
    }

    /// A run that goes on: a tone without a cadence begins, or one with a cadence has ended.
    fn watch(&mut self, each: &mut impl FnMut(HeardTone)) {
        let run = self.run;
        match self.lasting {
            Some(lasting) => {
                let segments = self.segments(lasting.signal);
                let steady = segments.len() < 2 || matches!(lasting.signal, ToneSignal::Ced | ToneSignal::Ansam);
                let most = segments.get(lasting.at).map_or(u32::MAX, |segment| longest(segment.ms.into()));
                if !steady && run.blocks * BLOCK_MS > most {
                    self.end(lasting, each);
                }
            }
            None if run.blocks >= self.steady => {
                let Kind::Tone(number) = run.kind else { return };
                let is = |hz: u16| self.kind_of(&Segment { hz, ..CNG[0] }) == Some(number);
                let steady = |tone: &ProgressTone| {
                    let segments = self.country.tone(*tone);
                    segments.len() == 1 && self.kind_of(&segments[0]) == Some(number)
                };
                let signal = match ALL.iter().find(|tone| steady(tone)) {
                    Some(&tone) => ToneSignal::Progress(tone),
                    None if is(2_100) && (run.flips >= 2 || run.flips > run.undue) => ToneSignal::Ansam,
                    None if is(2_100) => ToneSignal::Ced,
                    None => return,
                };
                let lasting = Lasting { signal, start: run.start, until: run.start + run.blocks, at: 0 };
                self.lasting = Some(lasting);
                each(self.told(&lasting, false));
            }
            None => {}
        }
    }

    fn end(&mut self, lasting: Lasting, each: &mut impl FnMut(HeardTone)) {
        self.lasting = None;
        each(self.told(&lasting, true));
    }

    fn told(&self, lasting: &Lasting, ended: bool) -> HeardTone {
        let time = |blocks: u32| Duration::from_millis(u64::from(blocks) * u64::from(BLOCK_MS));
        HeardTone {
            signal: lasting.signal,
            start: time(lasting.start),
            duration: time(lasting.until.saturating_sub(lasting.start)),
            ended,
        }
    }

    fn segments(&self, signal: ToneSignal) -> &'static [Segment] {
        match signal {
            ToneSignal::Progress(tone) => self.country.tone(tone),
            ToneSignal::Cng => &CNG,
            ToneSignal::Ced | ToneSignal::Ansam => &[],
        }
    }

    /// Whether a run may be this segment.
    fn fits(&self, run: &Run, segment: &Segment) -> bool {
        let kind = match segment.hz {
            0 => Kind::Pause,
            _ => self.kind_of(segment).map_or(Kind::Sound, Kind::Tone),
        };
        let (ms, segment_ms) = (run.blocks * BLOCK_MS, u32::from(segment.ms));
        kind == run.kind && ms <= longest(segment_ms) && ms + segment_ms * 15 / 100 + 40 >= segment_ms
    }
}

/// In the order in which equal ones are told.
const ALL: [ProgressTone; 6] = [
    ProgressTone::Dial,
    ProgressTone::Busy,
    ProgressTone::Ringing,
    ProgressTone::Congestion,
    ProgressTone::CallWaiting,
    ProgressTone::Information,
];
/// Frequencies that are not told apart.
const SAME_HZ: u16 = 14;
/// Two frequencies that are nearer are one that beats.
const BEATS_HZ: u16 = 35;

/// The longest run that can be a segment of this many ms.
fn longest(ms: u32) -> u32 {
    ms + ms * 15 / 100 + 40
}

/// What is heard of a segment: one frequency and 0, or two.
fn frequencies(segment: &Segment) -> (u16, u16) {
    let (low, high) = (segment.hz.min(segment.other_hz), segment.hz.max(segment.other_hz));
    if segment.other_hz == 0 || segment.depth_percent > 0 {
        (segment.hz, 0)
    } else if high - low < BEATS_HZ {
        (low.midpoint(high), 0)
    } else {
        (low, high)
    }
}
