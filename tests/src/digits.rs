//! Digits as ITU-T Q.24 wants them tested: sines of any frequency, level and length in noise, and what a detector makes of them.

use std::f64::consts::TAU;

use dsp_core::sample::Sample;
use dsp_core::time::Duration;
use dsp_core::tone::{Digit, DtmfConfig, DtmfDetector, HeardDigit};

/// A source of numbers that repeat.
#[derive(Clone, Copy, Debug)]
pub struct Seeded(pub u64);

impl Seeded {
    /// From 0 to 1.
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Between two numbers.
    pub fn between(&mut self, least: f64, most: f64) -> f64 {
        least + (most - least) * self.unit()
    }

    /// One of a few.
    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[((self.unit() * of.len() as f64) as usize).min(of.len() - 1)]
    }

    /// Of a normal distribution of variance 1.
    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().max(1e-300).ln()).sqrt() * (self.unit() * TAU).cos()
    }
}

/// The amplitude of a sine of so many dBm0; 1 is full scale, which is +3.14 dBm0.
pub fn amplitude(dbm0: f64) -> f64 {
    10f64.powf((dbm0 - 314.0 / 100.0) / 20.0)
}

/// A digit that is pressed once.
#[derive(Clone, Copy, Debug)]
pub struct Press {
    /// Which.
    pub digit: Digit,
    /// By how many percent row and column are off.
    pub off_percent: [f64; 2],
    /// Levels of row and column, in dBm0.
    pub dbm0: [f64; 2],
    /// How long it lasts, and how long it is silent behind it, in ms.
    pub on_ms: f64,
    /// The pause behind it.
    pub pause_ms: f64,
    /// Where it is interrupted, and for how long, in ms.
    pub gap_ms: [f64; 2],
}

impl Press {
    /// A digit in the middle of everything: -10 dBm0 a sine, 70 ms, 70 ms of pause.
    pub fn of(digit: Digit) -> Self {
        Self { digit, off_percent: [0.0; 2], dbm0: [-10.0; 2], on_ms: 70.0, pause_ms: 70.0, gap_ms: [0.0; 2] }
    }
}

/// What is pressed, one after the other from 50 ms on, in white noise of which 4 kHz are `noise_db` below the loudest digit. The last
/// pause is 100 ms longer.
pub fn sound(rate_hz: u32, presses: &[Press], noise_db: Option<f64>, seeded: &mut Seeded) -> Vec<f64> {
    let rate = f64::from(rate_hz);
    // Wherever hops begin.
    let mut at = 0.05 + seeded.unit() * 0.01;
    let mut pcm = Vec::new();
    for press in presses {
        let hz = [press.digit.row_hz(), press.digit.column_hz()];
        let sines: [(f64, f64, f64); 2] = std::array::from_fn(|n| {
            let turns = f64::from(hz[n]) * (1.0 + press.off_percent[n] / 100.0);
            (turns, seeded.unit(), amplitude(press.dbm0[n]))
        });
        let (end, next) = (at + press.on_ms / 1_000.0, at + (press.on_ms + press.pause_ms) / 1_000.0);
        let gap = press.gap_ms.map(|ms| ms / 1_000.0);
        while (pcm.len() as f64) < next * rate {
            let time = pcm.len() as f64 / rate;
            let sounds = time >= at && time < end && !(time >= at + gap[0] && time < at + gap[0] + gap[1]);
            let sine = |(hz, phase, peak): (f64, f64, f64)| (TAU * (hz * time + phase)).sin() * peak;
            pcm.push(if sounds { sines.into_iter().map(sine).sum() } else { 0.0 });
        }
        at = next;
    }
    pcm.resize(pcm.len() + (rate * 0.1) as usize, 0.0);
    if let Some(noise_db) = noise_db {
        let power = |press: &Press| press.dbm0.iter().map(|&dbm0| amplitude(dbm0).powi(2) / 2.0).sum::<f64>();
        let loudest = presses.iter().map(power).fold(0.0, f64::max);
        let deviation = (loudest * 10f64.powf(-noise_db / 10.0) * rate / 8_000.0).sqrt();
        pcm.iter_mut().for_each(|sample| *sample += seeded.normal() * deviation);
    }
    pcm
}

/// What a detector hears, in frames of 20 ms: the digits that ended. Each began once, before it ended.
///
/// # Panics
/// If a digit ends that didn't begin, or begins twice.
pub fn heard<S: Sample>(rate_hz: u32, pcm: &[f64]) -> Vec<HeardDigit> {
    let config = DtmfConfig { sample_rate_hz: rate_hz, ..DtmfConfig::default() };
    let mut detector = DtmfDetector::new(config).expect("a rate that there is");
    let pcm: Vec<S> = pcm.iter().map(|&sample| S::from_f64(sample)).collect();
    let (mut begun, mut ended) = (None, Vec::new());
    let mut each = |heard: HeardDigit| {
        if heard.ended {
            let began: HeardDigit = begun.take().expect("a digit that began");
            assert_eq!((began.digit, began.start), (heard.digit, heard.start));
            ended.push(heard);
        } else {
            assert_eq!(begun.replace(heard), None);
        }
    };
    pcm.chunks(rate_hz as usize / 50).for_each(|frame| detector.hear(frame, &mut each));
    detector.finish().into_iter().for_each(&mut each);
    ended
}

/// Milliseconds of a duration, with their fraction.
pub fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1_000.0
}
