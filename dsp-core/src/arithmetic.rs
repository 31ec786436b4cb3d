//! Sums, logarithms and powers for spectral processing. They use only `+ - * /`, in one fixed order, so that the
//! results are the same bits on every target.

/// Number of partial sums.
const LANES: usize = 8;

/// The sum of the products of `a` and `b`, element by element, in eight partial sums.
#[inline]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).fold(0.0, |sum, (a, b)| sum + a * b);
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (c + g)) + ((b + f) + (d + h)) + rest
}

/// The sum of all elements, in eight partial sums.
#[inline]
pub(crate) fn total(of: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (lanes, rest) = of.as_chunks::<LANES>();
    for lanes in lanes {
        for (sum, lane) in sums.iter_mut().zip(lanes) {
            *sum += lane;
        }
    }
    let rest: f32 = rest.iter().sum();
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (c + g)) + ((b + f) + (d + h)) + rest
}

/// The sum of the samples' squares.
#[inline]
pub(crate) fn energy(samples: &[f32]) -> f32 {
    dot(samples, samples)
}

/// The largest magnitude that a sample may have, where full scale is 1.
const LOUDEST: f32 = 4.0;

/// Replaces samples that are not finite by silence and limits those far beyond full scale, so that nothing stays in a
/// filter for ever.
pub(crate) fn only_sound(frame: &mut [f32]) {
    for sample in frame {
        *sample = if sample.is_finite() { sample.clamp(-LOUDEST, LOUDEST) } else { 0.0 };
    }
}

/// The larger of the two; `b` if `a` is NaN. [`f32::max`] also handles a NaN in `b`, which takes a call and a dozen
/// instructions on a processor without an instruction for it.
#[inline(always)]
pub(crate) fn max(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// The smaller of the two; `b` if `a` is NaN.
#[inline(always)]
pub(crate) fn min(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// Base-2 logarithm of a positive normal number, within 3e-5.
#[inline(always)]
pub(crate) fn log2(x: f32) -> f32 {
    let bits = x.to_bits();
    let exponent = (bits >> 23) as i32 - 127;
    let m = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000);
    // A least-squares polynomial of the mantissa's logarithm over m - 1, exact at both ends.
    let t = m - 1.0;
    let p = t * (1.441_740_3 + t * (-0.707_770_2 + t * (0.412_344_22 + t * (-0.190_319_03 + t * 0.044_004_69))));
    exponent as f32 + p
}

/// 2 to the power of `x`, with a relative error below 2e-4; `x` is limited to -126 to 126.
#[inline(always)]
pub(crate) fn exp2(x: f32) -> f32 {
    let x = x.clamp(-126.0, 126.0);
    // Shifted to where a float's last bit is one: its bits count whole numbers. (A conversion saturates, one by one.)
    const SHIFT: f32 = 12_582_912.0;
    let shifted = (x - 0.5) + SHIFT;
    let whole = shifted.to_bits() as i32 - SHIFT.to_bits() as i32;
    let t = x - (shifted - SHIFT);
    let p = 1.0 + t * (0.695_928_45 + t * (0.224_946_3 + t * 0.079_125_22));
    p * f32::from_bits(((whole + 127) as u32) << 23)
}

/// A power in decibels, at least -150 dB.
#[inline(always)]
pub(crate) fn db(power: f32) -> f32 {
    // 10 log10(2).
    3.010_3 * log2(max(power, 1e-15))
}

/// The power of a level in decibels.
#[inline(always)]
pub(crate) fn power(db: f32) -> f32 {
    exp2(db * 0.332_192_8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_and_powers_are_near_the_library() {
        let mut worst = (0f64, 0f64);
        for step in -12_000..12_000 {
            let x = step as f32 / 100.0;
            let (exact, got) = (f64::from(x).exp2(), f64::from(exp2(x)));
            worst.0 = worst.0.max((got / exact - 1.0).abs());
            worst.1 = worst.1.max((f64::from(log2(exact as f32)) - f64::from(x)).abs());
        }
        assert!(worst.0 < 2e-4 && worst.1 < 5e-5, "{worst:?}");
        assert!(worst.0 > 1e-6 && worst.1 > 1e-6, "{worst:?}");
        assert!((db(power(-37.0)) + 37.0).abs() < 0.01);
        assert!((-126..=126).all(|x| exp2(x as f32) == (x as f32).exp2()));
    }

    #[test]
    fn sums_are_those_of_all_lengths() {
        for length in 0..40 {
            let a: std::vec::Vec<f32> = (0..length).map(|n| n as f32).collect();
            assert_eq!(energy(&a), (0..length).map(|n| (n * n) as f32).sum::<f32>());
            assert_eq!(total(&a), (0..length).map(|n| n as f32).sum::<f32>());
        }
    }
}
