//! Decibels in integers: logarithm and power for meters and volume keys, computed once for each frame or key press.
//!
//! Values are `i16` in hundredths of a decibel, within 0.01 dB (tested against `f64`), without floating point and
//! division.

/// 10 log10(2) in hundredths of a decibel, times 2^16.
const HUNDREDTHS_PER_OCTAVE_Q16: i64 = 19_728_302;

/// 2^(i/16) for i = 0..=16, in 2^-30.
const POWERS_Q30: [u64; 17] = {
    // The 16th root of 2 by four square roots, kept in 2^-60 before each root.
    let mut root = 2u64 << 60;
    let mut i = 0;
    while i < 4 {
        root = root.isqrt();
        if i < 3 {
            root <<= 30;
        }
        i += 1;
    }
    let mut powers = [1 << 30; 17];
    i = 1;
    while i < 17 {
        powers[i] = (powers[i - 1] * root + (1 << 29)) >> 30;
        i += 1;
    }
    powers
};

/// 10 log10(`power` / 2^46) in hundredths; `power` is not 0.
pub(crate) fn hundredths_of_power(power: u64) -> i16 {
    let octave = 63 - power.leading_zeros();
    // 1 to just under 2, in 2^-15.
    let mut mantissa = ((power << power.leading_zeros()) >> 48) as u32;
    // One bit of the logarithm for each squaring.
    let mut log2_q12 = (octave as i32 - 46) << 12;
    let mut bit = 1 << 11;
    while bit != 0 {
        mantissa = (mantissa * mantissa) >> 15;
        if mantissa >> 16 != 0 {
            mantissa >>= 1;
            log2_q12 += bit;
        }
        bit >>= 1;
    }
    ((i64::from(log2_q12) * HUNDREDTHS_PER_OCTAVE_Q16 + (1 << 27)) >> 28) as i16
}

/// 10^(`hundredths` / 2000), an amplitude, in 2^-14; rounded, 0 below -90 dB.
pub(super) fn amplitude_q14(hundredths: i16) -> u32 {
    amplitude(hundredths, 14)
}

/// 10^(`hundredths` / 2000), an amplitude, in 2^-`bits`, where `bits` is at most 30; rounded.
pub(crate) fn amplitude(hundredths: i16, bits: u32) -> u32 {
    // log2 of the amplitude in 2^-16: log2(10) / 2000 is 7133785 / 2^32.
    let log2_q16 = ((i64::from(hundredths) * 7_133_785) >> 16) as i32;
    let (octave, fraction) = (log2_q16 >> 16, log2_q16 as u32 & 0xffff);
    let (index, between) = ((fraction >> 12) as usize, u64::from(fraction & 0xfff));
    let (low, high) = (POWERS_Q30[index], POWERS_Q30[index + 1]);
    let mantissa = (low + (((high - low) * between) >> 12)) as u32;
    match 30 - bits as i32 - octave {
        0 => mantissa,
        shift @ 1..=31 => (mantissa + (1 << (shift - 1))) >> shift,
        shift if shift > 31 => 0,
        _ => u32::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_is_within_a_hundredth() {
        let mut power = 1u64;
        while power < 1 << 62 {
            let exact = 1_000.0 * (power as f64 / (1u64 << 46) as f64).log10();
            let error = f64::from(hundredths_of_power(power)) - exact;
            assert!(error.abs() <= 1.0, "{power}: {error}");
            power += power / 97 + 1;
        }
        assert_eq!(hundredths_of_power(1 << 46), 0);
    }

    #[test]
    fn power_is_within_a_hundredth() {
        for hundredths in -4_000..=1_806 {
            let exact = 16_384.0 * 10f64.powf(f64::from(hundredths) / 2_000.0);
            let error = f64::from(amplitude_q14(hundredths)) - exact;
            // 0.01 dB is 1/869; rounding is half a step.
            assert!(error.abs() <= 0.5 + exact / 869.0, "{hundredths}: {error}");
        }
        assert_eq!((amplitude_q14(0), amplitude_q14(-9_600), amplitude_q14(i16::MIN)), (16_384, 0, 0));
        assert_eq!(amplitude_q14(i16::MAX), u32::MAX);
    }
}
