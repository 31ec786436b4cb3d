//! Windows and bands of the suppressor, computed at compile time.
//!
//! The windows are those of Mauler and Martin, 2007: the analysis window rises over a long past and falls over 10 ms,
//! and the synthesis window makes the product of both a Hann window of 20 ms, whose shifts add up to one. So a block
//! of 32 ms is analysed with a delay of 20 ms.
//!
//! Bands are one Bark wide and consist of bins of 31.25 Hz.

use crate::arithmetic::total;
use crate::math::sin_cos;

/// First bins of the bands at 16 kHz, and the end of the last one; at 8 kHz those below 4 kHz.
const EDGES: [usize; 22] =
    [2, 7, 10, 14, 17, 21, 25, 30, 35, 41, 47, 55, 63, 74, 87, 103, 123, 146, 174, 206, 244, 255];
/// Most bands.
pub(super) const BANDS: usize = EDGES.len() - 1;

/// The bands of `H` bins.
pub(super) struct Bands<const H: usize>;

impl<const H: usize> Bands<H> {
    /// How many there are.
    pub(super) const COUNT: usize = {
        let mut count = 0;
        while count < BANDS && EDGES[count] < H - 2 {
            count += 1;
        }
        count
    };

    /// The bins of a band.
    pub(super) fn range(band: usize) -> core::ops::Range<usize> {
        EDGES[band]..EDGES[band + 1].min(H - 2)
    }

    /// The sum of powers in each band; 0 where there is none.
    pub(super) fn sums(power: &[f32; H]) -> [f32; BANDS] {
        let mut sums = [0.0; BANDS];
        for (band, sum) in sums.iter_mut().enumerate().take(Self::COUNT) {
            *sum = total(&power[Self::range(band)]);
        }
        sums
    }
}

/// Windows of `2 * H` samples for blocks of `B`.
pub(super) struct Windows<const B: usize, const H: usize>;

impl<const B: usize, const H: usize> Windows<B, H> {
    /// The analysis window, in two halves.
    pub(super) const ANALYSIS: [[f32; H]; 2] = {
        let mut window = [[0.0; H]; 2];
        let mut n = 0;
        while n < 2 * H {
            window[n / H][n % H] = analysis(n, B, H) as f32;
            n += 1;
        }
        window
    };

    /// The synthesis window: its last two blocks; the rest is zero.
    pub(super) const SYNTHESIS: [[f32; B]; 2] = {
        let mut window = [[0.0; B]; 2];
        let mut n = 0;
        while n < 2 * B {
            let (sin, _) = sin_cos((n as f64 + 0.5) / (4 * B) as f64);
            window[n / B][n % B] = (sin * sin / analysis(2 * H - 2 * B + n, B, H)) as f32;
            n += 1;
        }
        window
    };

    /// The energy of the analysis window.
    pub(super) const ENERGY: f32 = {
        let (mut energy, mut n) = (0.0, 0);
        while n < 2 * H {
            let x = analysis(n, B, H);
            energy += x * x;
            n += 1;
        }
        energy as f32
    };

    /// One over the analysis window's own autocorrelation, normalised and at least 0.35, at each lag.
    pub(super) const UNBIASED: [f32; H] = {
        let mut window = [[0.0; H]; 2];
        let mut n = 0;
        while n < 2 * H {
            window[n / H][n % H] = analysis(n, B, H);
            n += 1;
        }
        let mut factors = [0.0; H];
        let mut whole = 0.0;
        let mut lag = 0;
        // Pitch periods end at 12.5 ms.
        while lag <= B + B / 4 {
            let (mut sum, mut n) = (0.0, lag);
            while n < 2 * H {
                sum += window[n / H][n % H] * window[(n - lag) / H][(n - lag) % H];
                n += 1;
            }
            if lag == 0 {
                whole = sum;
            }
            let own = sum / whole;
            factors[lag] = (1.0 / if own < 0.35 { 0.35 } else { own }) as f32;
            lag += 1;
        }
        factors
    };
}

/// A sample of the analysis window.
const fn analysis(n: usize, block: usize, half: usize) -> f64 {
    let rise = 2 * half - block;
    if n < rise {
        sin_cos((n as f64 + 0.5) / (4 * rise) as f64).0
    } else {
        sin_cos(((n - rise) as f64 + 0.5) / (4 * block) as f64).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<const B: usize, const H: usize>() {
        let analysis = Windows::<B, H>::ANALYSIS.as_flattened();
        let [first, second] = &Windows::<B, H>::SYNTHESIS;
        for n in 0..B {
            let whole = analysis[2 * H - 2 * B + n] * first[n] + analysis[2 * H - B + n] * second[n];
            assert!((whole - 1.0).abs() < 1e-6, "{n}: {whole}");
        }
        let energy: f32 = analysis.iter().map(|x| x * x).sum();
        assert!((energy - Windows::<B, H>::ENERGY).abs() < 1e-3 && (energy - H as f32).abs() < 0.01);
        assert_eq!(Windows::<B, H>::UNBIASED[0], 1.0);
        let pitch = &Windows::<B, H>::UNBIASED[B / 4..=B + B / 4];
        assert!(pitch.iter().all(|x| (1.0..=2.86).contains(x)) && pitch.is_sorted());
        // No bin is in two bands, and none above 60 Hz and below the last two in none.
        let mut bins = std::vec![0; H];
        (0..Bands::<H>::COUNT).flat_map(Bands::<H>::range).for_each(|bin| bins[bin] += 1);
        assert!(bins[2..H - 2].iter().all(|&count| count == 1));
    }

    #[test]
    fn windows_add_up_and_bands_touch() {
        check::<160, 256>();
        check::<80, 128>();
        assert_eq!((Bands::<256>::COUNT, Bands::<128>::COUNT), (21, 17));
    }
}
