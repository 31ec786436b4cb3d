//! The prototype of all filters here: a sinc under a Kaiser window, at any point in time.
//!
//! Source: Kaiser and Schafer, "On the use of the I0-sinh window for spectrum analysis", 1980: the width of the window
//! for a given stopband, and the number of taps for a transition. Only `+ - * /` and comparison are used, so that a
//! table has the same bits wherever it is computed: in a constant expression, on a host, or on a processor without
//! floating point, where a tap takes about 3,000 instructions.

use core::f64::consts::PI;

/// The ratio of a circle's circumference to its diameter, squared.
const PI2: f64 = PI * PI;

/// `sin(pi * x)`, within 1e-16 of it.
const fn sin_pi(x: f64) -> f64 {
    // To -1..1, and then to -0.5..0.5, where the series is short.
    let turns = if x < 0.0 { x * 0.5 - 0.5 } else { x * 0.5 + 0.5 } as i64;
    let mut x = x - 2.0 * turns as f64;
    if x > 0.5 {
        x = 1.0 - x;
    } else if x < -0.5 {
        x = -1.0 - x;
    }
    let square = x * x * PI2;
    let (mut term, mut sum, mut n) = (x * PI, x * PI, 1.0);
    while n < 12.0 {
        term = -term * square / ((2.0 * n) * (2.0 * n + 1.0));
        sum += term;
        n += 1.0;
    }
    sum
}

/// The modified Bessel function of the first kind and order 0, of `2 * sqrt(quarter)`: its own series.
const fn bessel_i0(quarter: f64) -> f64 {
    let (mut term, mut sum, mut n) = (1.0, 1.0, 1.0);
    while term > sum * 1e-17 {
        term = term * quarter / (n * n);
        sum += term;
        n += 1.0;
    }
    sum
}

/// A low-pass filter in continuous time, in samples of the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prototype {
    /// Half of its length.
    half: f64,
    /// Twice its cutoff frequency (-6 dB), in cycles a sample of the input.
    cutoff: f64,
    /// A quarter of the square of the window's parameter beta.
    beta: f64,
    /// What the window is divided by.
    peak: f64,
}

impl Prototype {
    /// `stopband_db` is how far the stopband lies below the passband.
    pub(crate) const fn new(half: f64, cutoff: f64, stopband_db: f64) -> Self {
        let beta = 0.1102 * (stopband_db - 8.7);
        let beta = beta * beta / 4.0;
        Self { half, cutoff, beta, peak: bessel_i0(beta) }
    }

    /// The impulse response at `time`, in samples of the input from its middle.
    pub(crate) const fn at(&self, time: f64) -> f64 {
        let x = time / self.half;
        let under = 1.0 - x * x;
        if under <= 0.0 {
            return 0.0;
        }
        let angle = self.cutoff * time;
        let sinc = if angle < 1e-9 && angle > -1e-9 { 1.0 } else { sin_pi(angle) / (PI * angle) };
        self.cutoff * sinc * bessel_i0(self.beta * under) / self.peak
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sine_is_the_libraries() {
        for step in -4_000..4_000 {
            let x = f64::from(step) / 137.0;
            let exact = libm::sin(PI * (x - 2.0 * libm::round(x / 2.0)));
            assert!((sin_pi(x) - exact).abs() < 4e-16, "{x}: {} {exact}", sin_pi(x));
        }
    }

    #[test]
    fn the_bessel_function_is_that_of_the_tables() {
        // Abramowitz and Stegun, table 9.8: exp(-x) * I0(x).
        for (x, scaled) in [(0.0, 1.0), (1.0, 0.465_759_607_7), (5.0, 0.183_540_812_6), (10.0, 0.127_833_337_1)] {
            let got = bessel_i0(x * x / 4.0) * libm::exp(-x);
            assert!((got - scaled).abs() < 2e-10, "{x}: {got}");
        }
    }
}
