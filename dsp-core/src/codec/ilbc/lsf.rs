//! Line spectral frequencies: from and to prediction coefficients, quantisation, stability and interpolation
//! (RFC 3951, 3.2.3 to 3.2.7 and 4.1; A.26, A.36, A.38, A.40). In radians a sample, 0 to pi.

use super::filter::Lpc;
use super::lsf_codebook::{LSF_SPLIT_1, LSF_SPLIT_2, LSF_SPLIT_3};
use super::tables::cosine;
use super::{IlbcMode, NSUB_MAX, ORDER};

/// One set of frequencies, ascending.
pub(super) type Lsf = [f32; ORDER];

/// The filters of a frame's sub-blocks.
pub(super) type Filters = [Lpc; NSUB_MAX];

/// Weight of the older of the two sets, for each sub-block (`lsf_weightTbl_20ms`, `lsf_weightTbl_30ms`).
const WEIGHT_20: [f32; 4] = [0.75, 0.5, 0.25, 0.0];
const WEIGHT_30: [f32; 6] = [0.5, 1.0, 2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0];

/// The filters of every sub-block, from the last set of the frame before and the sets of this one.
///
/// 20 ms: from the old set to the new; 30 ms: the first sub-block between the old and the first, the others between the
/// first and the second. Places past the frame's last sub-block stay 0.
pub(super) fn interpolate(mode: IlbcMode, old: &Lsf, sets: &[Lsf; 2]) -> Filters {
    let mut filters = [[0.0; ORDER + 1]; NSUB_MAX];
    for (n, filter) in filters[..mode.subblocks()].iter_mut().enumerate() {
        let (weight, from, to) = match mode {
            IlbcMode::Ms20 => (WEIGHT_20[n], old, &sets[0]),
            IlbcMode::Ms30 if n == 0 => (WEIGHT_30[0], old, &sets[0]),
            IlbcMode::Ms30 => (WEIGHT_30[n], &sets[0], &sets[1]),
        };
        let mut lsf = [0.0; ORDER];
        for ((lsf, &from), &to) in lsf.iter_mut().zip(from).zip(to) {
            *lsf = weight * from + (1.0 - weight) * to;
        }
        *filter = to_lpc(&lsf);
    }
    filters
}

/// Prediction coefficients of a set of frequencies: half the sum of the symmetric polynomial, whose zeros are the first,
/// third .. frequency, and the antisymmetric one, whose zeros are the others.
pub(super) fn to_lpc(lsf: &Lsf) -> Lpc {
    let mut lsf = *lsf;
    // A set that no filter can have is spread evenly (A.40).
    if lsf[0] <= 0.0 || lsf[ORDER - 1] >= core::f32::consts::PI {
        if lsf[0] <= 0.0 {
            lsf[0] = 0.022 * core::f32::consts::TAU;
        }
        if lsf[ORDER - 1] >= core::f32::consts::PI {
            lsf[ORDER - 1] = 0.499 * core::f32::consts::TAU;
        }
        let step = (lsf[ORDER - 1] - lsf[0]) / (ORDER - 1) as f32;
        for i in 1..ORDER {
            lsf[i] = lsf[i - 1] + step;
        }
    }
    let symmetric = zeros([lsf[0], lsf[2], lsf[4], lsf[6], lsf[8]]);
    let antisymmetric = zeros([lsf[1], lsf[3], lsf[5], lsf[7], lsf[9]]);
    let mut a = [1.0; ORDER + 1];
    for i in 1..=ORDER / 2 {
        let sum = symmetric[i] + symmetric[i - 1];
        let difference = antisymmetric[i] - antisymmetric[i - 1];
        a[i] = 0.5 * (sum + difference);
        a[ORDER + 1 - i] = 0.5 * (sum - difference);
    }
    a
}

/// First half of the product of `1 - 2 cos(w) z^-1 + z^-2` over five frequencies.
fn zeros(frequencies: [f32; 5]) -> [f32; 6] {
    // Grows by two coefficients a factor; the product is symmetric, so the middle one closes it.
    let mut f = [0.0; 7];
    f[0] = 1.0;
    for (i, &w) in frequencies.iter().enumerate() {
        let b = -2.0 * cosine_of_lsf(w);
        // The coefficient past the middle equals the one before it.
        f[i + 1] = if i == 0 { b } else { b * f[i] + 2.0 * f[i - 1] };
        for k in (1..=i).rev() {
            let two_back = if k >= 2 { f[k - 2] } else { 0.0 };
            f[k] += b * f[k - 1] + two_back;
        }
    }
    [f[0], f[1], f[2], f[3], f[4], f[5]]
}

/// Cosine of 0 to pi, within 2e-7: the odd series of the sine of pi/2 - x, whose terms fall fast within pi/2.
fn cosine_of_lsf(x: f32) -> f32 {
    let y = core::f32::consts::FRAC_PI_2 - x;
    let z = y * y;
    let tail = 1.984_084e-4 - z * (2.752_556_2e-6 - z * 2.388_986e-8);
    y - y * z * (0.166_666_66 - z * (8.333_332e-3 - z * tail))
}

/// Finest step of the root search: 0.00079375 of the sampling rate, 6.35 Hz (A.40).
const STEP: f64 = 0.000_793_75;
/// Finest steps in a step of the coarse grid.
const COARSE: usize = 8;
/// First point of the grid not below half the sampling rate, in finest steps.
const END: i32 = 630;

/// Cosines and sines of the coarse grid, and of the steps within it.
static GRID: [[f32; 2]; 80] = circle(COARSE);
static FINE: [[f32; 2]; 8] = circle(1);

const fn circle<const N: usize>(steps: usize) -> [[f32; 2]; N] {
    let mut table = [[0.0; 2]; N];
    let mut i = 0;
    while i < N {
        let angle = (i * steps) as f64 * STEP * core::f64::consts::TAU;
        table[i] = [cosine(angle) as f32, cosine(angle - core::f64::consts::FRAC_PI_2) as f32];
        i += 1;
    }
    table
}

/// Cosine of grid point `n`.
fn grid_cosine(n: i32) -> f32 {
    let n = n.unsigned_abs() as usize;
    let [cos, sin] = GRID[(n / COARSE).min(GRID.len() - 1)];
    let [fine_cos, fine_sin] = FINE[n % COARSE];
    if n.is_multiple_of(COARSE) { cos } else { cos * fine_cos - sin * fine_sin }
}

/// Frequencies of prediction coefficients: the zeros of both polynomials in turn, found on a grid of 50.8 Hz and
/// refined to 6.35 Hz by halving (A.40).
pub(super) fn from_lpc(a: &Lpc) -> Lsf {
    let half = ORDER / 2;
    // Both polynomials without their zero at -1 or 1, as cosine series: cos(5w) + c0 cos(4w) + .. + c4.
    let mut series = [[0.0_f32; 5]; 2];
    let (mut p, mut q) = (1.0, 1.0);
    for i in 0..half {
        p = (a[i + 1] + a[ORDER - i]) - p;
        q += a[i + 1] - a[ORDER - i];
        series[0][i] = p;
        series[1][i] = q;
    }
    series[0][half - 1] = p / 2.0;
    series[1][half - 1] = q / 2.0;

    let mut lsf = [0.0; ORDER];
    // The value one step before, for each polynomial. Both are positive at 0.
    let mut before = [f32::MAX; 2];
    let mut n = 0;
    for (index, lsf) in lsf.iter_mut().enumerate() {
        let c = &series[index & 1];
        let before = &mut before[index & 1];
        let mut step = COARSE as i32;
        let mut resume = n;
        let root = loop {
            let x = grid_cosine(n);
            let h1 = 2.0 * x + c[0];
            let h2 = 2.0 * x * h1 - 1.0 + c[1];
            let h3 = 2.0 * x * h2 - h1 + c[2];
            let h4 = 2.0 * x * h3 - h2 + c[3];
            let value = x * h4 - h3 + c[4];
            let crossed = value == 0.0 || (value < 0.0) != (*before < 0.0);
            if !crossed && n < END {
                *before = value;
                n += step;
            } else if step == 1 {
                break if value.abs() >= before.abs() { n - step } else { n };
            } else {
                if step == COARSE as i32 {
                    resume = n;
                }
                step /= 2;
                n -= step;
            }
        };
        *lsf = root as f32 * (STEP * core::f64::consts::TAU) as f32;
        *before = if *before >= 0.0 { -f32::MAX } else { f32::MAX };
        n = resume;
    }
    lsf
}

/// Quantises a set in three parts, each to the nearest vector (3.2.4).
pub(super) fn quantize(lsf: &Lsf) -> [u8; 3] {
    let [a, b, c, d, e, f, g, h, i, j] = *lsf;
    [nearest([a, b, c], &LSF_SPLIT_1), nearest([d, e, f], &LSF_SPLIT_2), nearest([g, h, i, j], &LSF_SPLIT_3)]
}

fn nearest<const N: usize>(x: [f32; N], codebook: &[[f32; N]]) -> u8 {
    let (mut best, mut least) = (0, f32::MAX);
    for (index, vector) in codebook.iter().enumerate() {
        let mut distance = 0.0;
        for (x, y) in x.iter().zip(vector) {
            distance += (x - y) * (x - y);
        }
        if distance < least {
            (best, least) = (index, distance);
        }
    }
    best as u8
}

/// The set that `indices` stand for, moved apart where needed. Indices past a codebook's end wrap.
pub(super) fn dequantize(indices: [u8; 3]) -> Lsf {
    let [a, b, c] = LSF_SPLIT_1[usize::from(indices[0]) % 64];
    let [d, e, f] = LSF_SPLIT_2[usize::from(indices[1]) % 128];
    let [g, h, i, j] = LSF_SPLIT_3[usize::from(indices[2]) % 128];
    let mut lsf = [a, b, c, d, e, f, g, h, i, j];
    separate(&mut lsf);
    lsf
}

/// Moves frequencies at least 50 Hz apart, in two rounds (3.2.5, A.26).
fn separate(lsf: &mut Lsf) {
    const APART: f32 = 0.039;
    const HALF: f32 = 0.0195;
    const LOWEST: f32 = 0.01;
    #[allow(clippy::approx_constant, reason = "the standard's number, a little below pi")]
    const HIGHEST: f32 = 3.14;
    for _ in 0..2 {
        for k in 0..ORDER - 1 {
            if lsf[k + 1] - lsf[k] < APART {
                if lsf[k + 1] < lsf[k] {
                    lsf[k + 1] = lsf[k] + HALF;
                    lsf[k] = lsf[k + 1] - HALF;
                } else {
                    lsf[k] -= HALF;
                    lsf[k + 1] += HALF;
                }
            }
            lsf[k] = lsf[k].clamp(LOWEST, HIGHEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tables::LSF_MEAN;
    use super::*;

    #[test]
    fn cosine_is_close() {
        for i in 0..=314 {
            let x = i as f32 / 100.0;
            assert!((f64::from(cosine_of_lsf(x)) - f64::from(x).cos()).abs() < 3e-7, "{x}");
        }
        for n in -8..640 {
            let exact = (f64::from(n) * STEP * core::f64::consts::TAU).cos();
            assert!((f64::from(grid_cosine(n)) - exact).abs() < 3e-7, "{n}");
        }
    }

    #[test]
    fn frequencies_survive_the_way_to_coefficients_and_back() {
        for shift in [-0.1, 0.0, 0.05, 0.2] {
            let lsf = LSF_MEAN.map(|w| w + shift);
            let back = from_lpc(&to_lpc(&lsf));
            for (w, back) in lsf.iter().zip(back) {
                // The grid's finest step is 0.005 rad.
                assert!((w - back).abs() < 0.006, "{w} {back}");
            }
        }
    }

    #[test]
    fn a_flat_filter_has_evenly_spread_frequencies() {
        let mut flat = [0.0; ORDER + 1];
        flat[0] = 1.0;
        for (k, w) in from_lpc(&flat).into_iter().enumerate() {
            assert!((w - (k + 1) as f32 * core::f32::consts::PI / 11.0).abs() < 0.006, "{k} {w}");
        }
    }

    #[test]
    fn every_index_gives_separated_frequencies() {
        for i in 0..128_u8 {
            let lsf = dequantize([i, i.wrapping_mul(37), i.wrapping_mul(91)]);
            assert!(lsf.windows(2).all(|w| w[1] > w[0]), "{lsf:?}");
        }
    }

    #[test]
    fn a_codebook_vector_is_its_own_nearest() {
        for i in 0..64_u8 {
            let [a, b, c] = LSF_SPLIT_1[usize::from(i)];
            let [d, e, f] = LSF_SPLIT_2[usize::from(i) * 2];
            let [g, h, k, l] = LSF_SPLIT_3[usize::from(i) * 2 + 1];
            assert_eq!(quantize(&[a, b, c, d, e, f, g, h, k, l]), [i, i * 2, i * 2 + 1]);
        }
    }
}
