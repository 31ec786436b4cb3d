//! Linear prediction analysis: windows, autocorrelation, Levinson-Durbin, bandwidth expansion (RFC 3951, 3.2.1, 3.2.2;
//! A.26, A.38). It uses the block and the 60 or 80 samples before it, and no later ones.

use super::filter::{Lpc, correlate};
use super::lsf::{self, Lsf};
use super::windows::{ASYMMETRIC, HANNING_HALF, LAG};
use super::{BLOCKL_MAX, IlbcMode, ORDER};

/// Samples of a block before, at most (20 ms mode).
pub(super) const LOOKBACK_MAX: usize = 80;

/// Bandwidth expansion of the analysis (`LPC_CHIRP_SYNTDENUM`).
const CHIRP_SYNTHESIS: f32 = 0.9025;
/// Bandwidth expansion of the perceptual weighting (`LPC_CHIRP_WEIGHTDENUM`).
pub(super) const CHIRP_WEIGHT: f32 = 0.4222;

/// Unquantised frequencies of a block: one set in the 20 ms mode (the second stays as it was), two in the 30 ms mode.
/// `signal` has `LOOKBACK_MAX` samples of the block before, then the block.
#[inline(never)]
pub(super) fn analyse(mode: IlbcMode, signal: &[f32; LOOKBACK_MAX + BLOCKL_MAX], sets: &mut [Lsf; 2]) {
    let mut windowed = [0.0; BLOCKL_MAX + ORDER + 1];
    match mode {
        IlbcMode::Ms20 => {
            for ((w, &x), &y) in windowed.iter_mut().zip(signal).zip(&ASYMMETRIC) {
                *w = x * y;
            }
            sets[0] = frequencies(&windowed);
        }
        IlbcMode::Ms30 => {
            let window = HANNING_HALF.iter().chain(HANNING_HALF.iter().rev());
            for ((w, &x), &y) in windowed.iter_mut().zip(&signal[LOOKBACK_MAX - 60..]).zip(window) {
                *w = x * y;
            }
            sets[0] = frequencies(&windowed);
            for ((w, &x), &y) in windowed.iter_mut().zip(&signal[LOOKBACK_MAX..]).zip(&ASYMMETRIC) {
                *w = x * y;
            }
            sets[1] = frequencies(&windowed);
        }
    }
}

/// Frequencies of a windowed block, which ends in zeros so that every lag has all its products.
fn frequencies(windowed: &[f32; BLOCKL_MAX + ORDER + 1]) -> Lsf {
    let mut lags = [0.0; ORDER + 2];
    correlate(&windowed[..BLOCKL_MAX], windowed, &mut lags);
    let mut r = [0.0; ORDER + 1];
    for ((r, &lag), &w) in r.iter_mut().zip(&lags).zip(&LAG) {
        *r = lag * w;
    }
    lsf::from_lpc(&expand(&levinson_durbin(&r), CHIRP_SYNTHESIS))
}

/// The prediction filter of an autocorrelation. Flat without energy; an order that rounding leaves no residual for ends
/// the recursion.
fn levinson_durbin(r: &Lpc) -> Lpc {
    let mut a = [0.0; ORDER + 1];
    a[0] = 1.0;
    let mut residual = r[0];
    for m in 1..=ORDER {
        if residual <= f32::MIN_POSITIVE {
            break;
        }
        let mut sum = r[m];
        for i in 1..m {
            sum += a[i] * r[m - i];
        }
        let k = -sum / residual;
        residual += k * sum;
        let before = a;
        for i in 1..m {
            a[i] = before[i] + k * before[m - i];
        }
        a[m] = k;
    }
    a
}

/// A(z / chirp): moves the zeros inwards.
pub(super) fn expand(a: &Lpc, chirp: f32) -> Lpc {
    let mut out = *a;
    let mut power = chirp;
    for a in &mut out[1..] {
        *a *= power;
        power *= chirp;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levinson_finds_the_filter_of_its_own_process() {
        // Autocorrelation 0.9^k is that of a first-order process.
        let mut r = [0.0; ORDER + 1];
        for (k, r) in r.iter_mut().enumerate() {
            *r = 1000.0 * 0.9_f32.powi(k as i32);
        }
        let a = levinson_durbin(&r);
        assert!((a[1] + 0.9).abs() < 1e-5);
        assert!(a[2..].iter().all(|a| a.abs() < 1e-4), "{a:?}");
    }

    #[test]
    fn silence_has_a_flat_filter() {
        let a = levinson_durbin(&[0.0; ORDER + 1]);
        assert_eq!(a[0], 1.0);
        assert!(a[1..].iter().all(|&a| a == 0.0));
        let mut sets = [[0.0; ORDER]; 2];
        analyse(IlbcMode::Ms30, &[0.0; LOOKBACK_MAX + BLOCKL_MAX], &mut sets);
        assert!(sets[1].windows(2).all(|w| w[1] > w[0]));
    }
}
