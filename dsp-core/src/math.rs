//! Sine and cosine of designs, in constant expressions: `f64` by `+ - * /` alone, so that a filter of a constant rate is
//! designed by the compiler, and the same bits come out on every target.
//!
//! Error: at most 2^-50 of full scale (tested against the host's library). Not for signals: 30 multiplications a call.

/// Sine and cosine of `turns` full turns, at most 2^50 either way.
pub(crate) const fn sin_cos(turns: f64) -> (f64, f64) {
    // The nearest quarter, which is exact, and what is left of it: at most an eighth of a turn.
    let quarters = turns * 4.0;
    let nearest = (if quarters < 0.0 { quarters - 0.5 } else { quarters + 0.5 }) as i64;
    let x = (quarters - nearest as f64) * core::f64::consts::FRAC_PI_2;
    let square = x * x;
    // Taylor, nested: the next terms are below 2^-56 for |x| < 0.79.
    let (mut sin, mut cos) = (1.0, 1.0);
    let mut k = 8;
    while k > 0 {
        let n = 2.0 * k as f64;
        sin = 1.0 - sin * square / (n * (n + 1.0));
        cos = 1.0 - cos * square / (n * (n - 1.0));
        k -= 1;
    }
    sin *= x;
    match nearest & 3 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_library() {
        for step in -40_000..40_000 {
            let turns = f64::from(step) / 12_345.0;
            let (sin, cos) = sin_cos(turns);
            let (exact_sin, exact_cos) = (turns * core::f64::consts::TAU).sin_cos();
            // The library's argument is rounded: 3 turns are 2^-49 off.
            assert!((sin - exact_sin).abs() < 4e-15 && (cos - exact_cos).abs() < 4e-15, "{turns}: {sin} {cos}");
        }
        const QUARTER: (f64, f64) = sin_cos(0.25);
        assert_eq!((QUARTER, sin_cos(-0.25), sin_cos(0.5)), ((1.0, 0.0), (-1.0, 0.0), (0.0, -1.0)));
    }
}
