//! What a resampler does to sound: sines through it, and what comes out beside them.

use std::f64::consts::TAU;

use dsp_core::kernel::Kernel;
use dsp_core::process::resample::{Design, Line, Plan, Processed, Quality};
use dsp_core::time::common_divisor;

/// The rates of the table, in Hz.
pub const RATES: [u32; 10] = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];

/// Each quality, its name, and the edges of its passband and stopband in parts of the band.
pub const QUALITIES: [(Quality, &str, f64, f64); 3] =
    [(Quality::Fast, "fast", 0.86, 1.14), (Quality::Good, "good", 0.86, 1.05), (Quality::Best, "best", 0.9, 1.0)];

/// -1 dBFS: the loudest a sine is measured with.
pub const LOUD: f64 = 0.891_250_938;

/// What is said of a resampler. All in dB.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// The most that the gain is off at any frequency of the passband.
    pub ripple_db: f64,
    /// The least ratio of a sine in the passband to all else: distortion, images, noise of arithmetic.
    pub sinad_db: f64,
    /// How far down what the lower rate can't hold is at least; nothing is measured upwards, where images are in the
    /// SINAD.
    pub alias_db: Option<f64>,
}

/// A resampler of one channel that keeps its memory.
#[derive(Debug)]
pub struct Channel<S: Kernel> {
    design: Design<Vec<S::Taps>>,
    line: Line<S, Vec<S>>,
}

impl<S: Kernel> Channel<S> {
    /// One of that plan.
    pub fn new(plan: Plan) -> Self {
        let table = vec![S::Taps::default(); plan.table_len()];
        let design = Design::new::<S>(plan, table).expect("a table of that length");
        let line = Line::new(plan, vec![S::default(); plan.history_len(1_000)]).expect("a history of that length");
        Self { design, line }
    }

    /// Forgets all sound.
    pub fn reset(&mut self) {
        self.line.reset();
    }

    /// See [`Line::steer`].
    pub fn steer(&mut self, ppb: i32) {
        self.line.steer(ppb);
    }

    /// All that comes of `input`.
    pub fn run(&mut self, input: &[S]) -> Vec<S> {
        let plan = *self.line.plan();
        let most = plan.output_len(input.len() as u64) as usize;
        let mut output = vec![S::default(); most + most / 100 + 2];
        let Processed { consumed, produced } = self.design.process(&mut self.line, input, &mut output);
        assert_eq!(consumed, input.len());
        output.truncate(produced);
        output
    }
}

/// A sample's value, full scale at 1.
pub trait Real: Kernel {
    /// The nearest sample.
    fn of(real: f64) -> Self;
    /// Its value.
    fn real(self) -> f64;
}

impl Real for i16 {
    fn of(real: f64) -> Self {
        (real * 32_768.0).round() as Self
    }
    fn real(self) -> f64 {
        f64::from(self) / 32_768.0
    }
}

impl Real for f32 {
    fn of(real: f64) -> Self {
        real as Self
    }
    fn real(self) -> f64 {
        f64::from(self)
    }
}

/// A sine of amplitude [`LOUD`].
pub fn sine<S: Real>(hz: f64, rate_hz: u32, samples: usize) -> Vec<S> {
    (0..samples).map(|n| S::of(LOUD * (TAU * hz * n as f64 / f64::from(rate_hz)).sin())).collect()
}

/// Amplitude of the sine with those phases, in radians, that fits `heard` best, and the power of all else.
pub fn fit(heard: &[f64], phases: impl Fn(usize) -> f64) -> (f64, f64) {
    let (mut ss, mut sc, mut cc, mut sy, mut cy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (n, &y) in heard.iter().enumerate() {
        let (s, c) = phases(n).sin_cos();
        (ss, sc, cc) = (ss + s * s, sc + s * c, cc + c * c);
        (sy, cy) = (sy + s * y, cy + c * y);
    }
    let determinant = ss * cc - sc * sc;
    let (a, b) = ((sy * cc - cy * sc) / determinant, (cy * ss - sy * sc) / determinant);
    let rest = heard.iter().enumerate().map(|(n, &y)| {
        let (s, c) = phases(n).sin_cos();
        (y - a * s - b * c).powi(2)
    });
    (a.hypot(b), rest.sum::<f64>() / heard.len() as f64)
}

/// A power ratio in dB.
pub fn db(ratio: f64) -> f64 {
    10.0 * ratio.log10()
}

/// Measures a plan with `samples` of output for each sine: in the passband, which ends at `pass` of the band, and in the
/// stopband from `stop` on.
pub fn figures<S: Real>(plan: Plan, pass: f64, stop: f64, samples: usize) -> Figures {
    let band = f64::from(plan.from_hz().min(plan.to_hz())) / 2.0;
    let mut channel = Channel::<S>::new(plan);
    let mut heard = |hz: f64| {
        channel.reset();
        let settled = plan.output_len(plan.taps() as u64) as usize + 2;
        let input = (samples + settled) as u64 * u64::from(plan.from_hz()) / u64::from(plan.to_hz()) + 1;
        let output = channel.run(&sine(hz, plan.from_hz(), input as usize));
        output[settled..].iter().map(|sample| sample.real()).collect::<Vec<f64>>()
    };
    let (mut ripple_db, mut sinad_db) = (0.0f64, f64::INFINITY);
    for part in [0.031, 0.25, 0.503, 0.75, 0.9, 0.97, 1.0] {
        let hz = part * pass * band;
        let (amplitude, rest) = fit(&heard(hz), |n| TAU * hz * n as f64 / f64::from(plan.to_hz()));
        ripple_db = ripple_db.max(db((amplitude / LOUD).powi(2)).abs());
        sinad_db = sinad_db.min(db(amplitude * amplitude / 2.0 / rest));
    }
    let above = f64::from(plan.from_hz()) / 2.0 / band;
    let mut alias_db = None;
    // Where nothing is left at all, there is no power to speak of.
    for part in [0.0, 0.011, 0.05, 0.21, 0.5, 0.83, 0.99] {
        let hz = (stop + part * (above - stop)) * band;
        if stop < above {
            let heard = heard(hz);
            let power = heard.iter().map(|y| y * y).sum::<f64>() / heard.len() as f64;
            let down = db(LOUD * LOUD / 2.0 / power.max(1e-20));
            alias_db = Some(alias_db.map_or(down, |least: f64| least.min(down)));
        }
    }
    Figures { ripple_db, sinad_db, alias_db }
}

/// The SINAD, in dB, of a sine at `pass` of the band while the ratio moves: by a new amount every 10 ms, within
/// `most_ppb` either way.
pub fn steered<S: Real>(plan: Plan, pass: f64, most_ppb: i32, seconds: u32) -> f64 {
    let (from, to) = (f64::from(plan.from_hz()), f64::from(plan.to_hz()));
    let hz = pass * from.min(to) / 2.0;
    let mut channel = Channel::<S>::new(plan);
    // Where each output lies, in samples of the input.
    let (mut places, mut place, mut heard) = (Vec::new(), 0u128, Vec::new());
    for (tick, input) in sine::<S>(hz, plan.from_hz(), (plan.from_hz() * seconds) as usize)
        .chunks(plan.from_hz() as usize / 100)
        .enumerate()
    {
        // A walk up and down, with jumps.
        let swing = (tick as f64 / 37.0).sin() * if tick % 50 < 25 { 1.0 } else { -0.6 };
        let ppb = (swing * f64::from(most_ppb)) as i32;
        channel.steer(ppb);
        for sample in channel.run(input) {
            heard.push(sample.real());
            places.push(place as f64 / (to * 1e9));
            // The step is a whole number of billionths of the ratio's denominator.
            let ratio = (1_000_000_000 + i64::from(ppb)) as u128;
            let common = u128::from(common_divisor(plan.from_hz(), plan.to_hz()));
            let down = u128::from(plan.from_hz()) / common;
            place += (down * 1_000_000_000_000_000_000 + ratio / 2) / ratio * common;
        }
    }
    let settled = plan.output_len(plan.taps() as u64) as usize * 2;
    let (amplitude, rest) = fit(&heard[settled..], |n| TAU * hz * places[settled + n] / from);
    db(amplitude * amplitude / 2.0 / rest)
}
