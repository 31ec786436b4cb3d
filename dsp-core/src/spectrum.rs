//! Spectra of real blocks: a real FFT of `2 * H` points in `f32`, and arithmetic on what comes out.
//!
//! The transform is Stockham's (it sorts by itself), with radices 4, 2 and 5 on separate arrays of real and imaginary parts, so
//! that its inner loops are sums of neighbours; a real block of `2 * H` samples is a complex one of `H` points, taken apart
//! afterwards. `H` is 16 or 80 times a power of two: 80, 128, 160, 256; others don't compile. Factors are constants of the program,
//! made in `f64`.
//!
//! A [`Spectrum`] has `H` slots for `H + 1` bins: those of DC and of half the sample rate are real and share slot 0.
//!
//! Only `+ - *`, in one fixed order, so results are the same bits on every target. Error: within 1e-6 of the block's RMS
//! times the root of its length. Cost: 2.5 `H` log2(`H`) multiplications or so. Memory: two blocks on the stack.

use crate::math::sin_cos;

/// Neighbours that are computed together.
const LANES: usize = 4;
type Lanes = [f32; LANES];

/// Factors of a transform of `2 * H` real points.
struct Factors<const H: usize>;

/// A table of complex numbers.
struct Table<const H: usize> {
    re: [f32; H],
    im: [f32; H],
}

impl<const H: usize> Factors<H> {
    /// exp(-2 pi i k / 2H) for k below `H`.
    const TURN: Table<H> = {
        let mut rest = H / 4;
        while rest.is_multiple_of(2) {
            rest /= 2;
        }
        assert!(
            H.is_multiple_of(16) && (rest == 1 || rest == 5),
            "a block of neither 16, 80 nor a power of two times them"
        );
        let mut table = Table { re: [0.0; H], im: [0.0; H] };
        let mut k = 0;
        while k < H {
            let (sin, cos) = sin_cos(k as f64 / (2 * H) as f64);
            (table.re[k], table.im[k]) = (cos as f32, -sin as f32);
            k += 1;
        }
        table
    };

    /// Of the first stage: exp(-2 pi i k p / H), p below `H / 4`, at `k * H / 4 + p`.
    const FIRST: Table<H> = {
        let mut table = Table { re: [0.0; H], im: [0.0; H] };
        let mut at = 0;
        while at < H {
            let (k, p) = (at / (H / 4), at % (H / 4));
            let (sin, cos) = sin_cos((k * p) as f64 / H as f64);
            (table.re[at], table.im[at]) = (cos as f32, -sin as f32);
            at += 1;
        }
        table
    };

    /// exp(-2 pi i turn / 2H), for any turn below `2 * H`.
    #[inline(always)]
    fn turn(turn: usize) -> (f32, f32) {
        match turn.checked_sub(H) {
            None => (Self::TURN.re[turn], Self::TURN.im[turn]),
            Some(rest) => (-Self::TURN.re[rest], -Self::TURN.im[rest]),
        }
    }
}

/// `H` complex numbers: a block in the midst of its transform.
#[derive(Clone, Copy)]
struct Complex<const H: usize> {
    re: [f32; H],
    im: [f32; H],
}

#[inline(always)]
fn lanes(from: &[f32], at: usize) -> Lanes {
    let mut lanes = [0.0; LANES];
    lanes.copy_from_slice(&from[at..at + LANES]);
    lanes
}

/// Four runs of neighbours, `step` apart. (Not a map over their places: a closure is a call where it isn't inlined.)
#[inline(always)]
fn four(from: &[f32], at: usize, step: usize) -> [Lanes; 4] {
    [lanes(from, at), lanes(from, at + step), lanes(from, at + 2 * step), lanes(from, at + 3 * step)]
}

/// Neighbours in the opposite order.
#[inline(always)]
fn reversed(from: &[f32], at: usize) -> Lanes {
    let [a, b, c, d] = lanes(from, at);
    [d, c, b, a]
}

#[inline(always)]
fn put(to: &mut [f32], at: usize, lanes: Lanes) {
    to[at..at + LANES].copy_from_slice(&lanes);
}

#[inline(always)]
fn put_reversed(to: &mut [f32], at: usize, lanes: Lanes) {
    let [a, b, c, d] = lanes;
    put(to, at, [d, c, b, a]);
}

#[inline(always)]
fn half(a: Lanes) -> Lanes {
    mul(a, [0.5; LANES])
}

#[inline(always)]
fn add(a: Lanes, b: Lanes) -> Lanes {
    core::array::from_fn(|n| a[n] + b[n])
}

#[inline(always)]
fn sub(a: Lanes, b: Lanes) -> Lanes {
    core::array::from_fn(|n| a[n] - b[n])
}

#[inline(always)]
fn mul(a: Lanes, b: Lanes) -> Lanes {
    core::array::from_fn(|n| a[n] * b[n])
}

/// A butterfly of four: sums by the powers of -i.
#[inline(always)]
fn butterfly4(re: [Lanes; 4], im: [Lanes; 4]) -> ([Lanes; 4], [Lanes; 4]) {
    let (sum_re, sum_im) = (add(re[0], re[2]), add(im[0], im[2]));
    let (difference_re, difference_im) = (sub(re[0], re[2]), sub(im[0], im[2]));
    let (odd_re, odd_im) = (add(re[1], re[3]), add(im[1], im[3]));
    let (turned_re, turned_im) = (sub(im[1], im[3]), sub(re[3], re[1]));
    (
        [add(sum_re, odd_re), add(difference_re, turned_re), sub(sum_re, odd_re), sub(difference_re, turned_re)],
        [add(sum_im, odd_im), add(difference_im, turned_im), sub(sum_im, odd_im), sub(difference_im, turned_im)],
    )
}

#[inline(always)]
fn turned(re: Lanes, im: Lanes, by_re: Lanes, by_im: Lanes) -> (Lanes, Lanes) {
    (sub(mul(re, by_re), mul(im, by_im)), add(mul(re, by_im), mul(im, by_re)))
}

/// The first stage: neighbours are different butterflies, so what leaves them is transposed.
#[inline(always)]
fn first_stage<const H: usize>(from: &Complex<H>, to: &mut Complex<H>) {
    let quarter = H / 4;
    for p in (0..quarter).step_by(LANES) {
        let (mut re, mut im) = butterfly4(four(&from.re, p, quarter), four(&from.im, p, quarter));
        for k in 1..4 {
            let (by_re, by_im) =
                (lanes(&Factors::<H>::FIRST.re, k * quarter + p), lanes(&Factors::<H>::FIRST.im, k * quarter + p));
            (re[k], im[k]) = turned(re[k], im[k], by_re, by_im);
        }
        let (to_re, to_im) = (&mut to.re[4 * p..4 * p + 16], &mut to.im[4 * p..4 * p + 16]);
        for lane in 0..LANES {
            for k in 0..4 {
                to_re[4 * lane + k] = re[k][lane];
                to_im[4 * lane + k] = im[k][lane];
            }
        }
    }
}

/// A later stage of radix 4: `length` points are left of each of `stride` transforms.
#[inline(always)]
fn stage4<const H: usize>(from: &Complex<H>, to: &mut Complex<H>, length: usize, stride: usize) {
    let quarter = length / 4;
    for p in 0..quarter {
        let turn = 2 * H / length * p;
        let factors =
            [(1.0, 0.0), Factors::<H>::turn(turn), Factors::<H>::turn(2 * turn), Factors::<H>::turn(3 * turn)];
        for q in (0..stride).step_by(LANES) {
            let (at, step) = (q + stride * p, stride * quarter);
            let (re, im) = butterfly4(four(&from.re, at, step), four(&from.im, at, step));
            for k in 0..4 {
                let (re, im) = if p == 0 || k == 0 {
                    (re[k], im[k])
                } else {
                    turned(re[k], im[k], [factors[k].0; LANES], [factors[k].1; LANES])
                };
                let at = q + stride * (4 * p + k);
                to.re[at..at + LANES].copy_from_slice(&re);
                to.im[at..at + LANES].copy_from_slice(&im);
            }
        }
    }
}

#[inline(always)]
fn stage2<const H: usize>(from: &Complex<H>, to: &mut Complex<H>, length: usize, stride: usize) {
    let half = length / 2;
    for p in 0..half {
        let (by_re, by_im) = Factors::<H>::turn(2 * H / length * p);
        for q in (0..stride).step_by(LANES) {
            let (one, other) = (q + stride * p, q + stride * (p + half));
            let (re, im) =
                ([lanes(&from.re, one), lanes(&from.re, other)], [lanes(&from.im, one), lanes(&from.im, other)]);
            let difference = turned(sub(re[0], re[1]), sub(im[0], im[1]), [by_re; LANES], [by_im; LANES]);
            let at = q + stride * 2 * p;
            to.re[at..at + LANES].copy_from_slice(&add(re[0], re[1]));
            to.im[at..at + LANES].copy_from_slice(&add(im[0], im[1]));
            to.re[at + stride..at + stride + LANES].copy_from_slice(&difference.0);
            to.im[at + stride..at + stride + LANES].copy_from_slice(&difference.1);
        }
    }
}

/// The last stage, of radix 5: nothing is left to turn by.
#[inline(always)]
fn stage5<const H: usize>(from: &Complex<H>, to: &mut Complex<H>, stride: usize) {
    // Cosines and sines of 72 and 144 degrees.
    const COS: [f32; 2] = [0.309_017, -0.809_017];
    const SIN: [f32; 2] = [0.951_056_54, 0.587_785_24];
    for q in (0..stride).step_by(LANES) {
        let (re, im) = (
            [0, 1, 2, 3, 4].map(|k| lanes(&from.re, q + stride * k)),
            [0, 1, 2, 3, 4].map(|k| lanes(&from.im, q + stride * k)),
        );
        let (near, far) = (0, 1);
        let sum_re = [add(re[1], re[4]), add(re[2], re[3])];
        let sum_im = [add(im[1], im[4]), add(im[2], im[3])];
        let odd_re = [sub(re[1], re[4]), sub(re[2], re[3])];
        let odd_im = [sub(im[1], im[4]), sub(im[2], im[3])];
        let mut put = |k: usize, re: Lanes, im: Lanes| {
            let at = q + stride * k;
            to.re[at..at + LANES].copy_from_slice(&re);
            to.im[at..at + LANES].copy_from_slice(&im);
        };
        put(0, add(re[0], add(sum_re[0], sum_re[1])), add(im[0], add(sum_im[0], sum_im[1])));
        for (k, one, other, sign) in [(1, near, far, 1.0), (2, far, near, -1.0)] {
            let scale = |sum: [Lanes; 2]| add(mul(sum[0], [COS[one]; LANES]), mul(sum[1], [COS[other]; LANES]));
            let turn = |odd: [Lanes; 2]| add(mul(odd[0], [SIN[one]; LANES]), mul(odd[1], [sign * SIN[other]; LANES]));
            let (even_re, even_im) = (add(re[0], scale(sum_re)), add(im[0], scale(sum_im)));
            let (turn_re, turn_im) = (turn(odd_re), turn(odd_im));
            put(k, add(even_re, turn_im), sub(even_im, turn_re));
            put(5 - k, sub(even_re, turn_im), add(even_im, turn_re));
        }
    }
}

impl<const H: usize> Complex<H> {
    const ZERO: Self = Self { re: [0.0; H], im: [0.0; H] };

    /// The forward transform of `H` points.
    #[inline(always)]
    fn transform(self) -> Self {
        let (mut one, mut other) = (self, Self::ZERO);
        first_stage(&one, &mut other);
        core::mem::swap(&mut one, &mut other);
        let (mut length, mut stride) = (H / 4, 4);
        while length > 1 {
            let radix = if length.is_multiple_of(4) {
                stage4(&one, &mut other, length, stride);
                4
            } else if length.is_multiple_of(2) {
                stage2(&one, &mut other, length, stride);
                2
            } else {
                stage5(&one, &mut other, stride);
                length
            };
            core::mem::swap(&mut one, &mut other);
            (length, stride) = (length / radix, stride * radix);
        }
        one
    }
}

/// The spectrum of `2 * H` real samples: `H + 1` bins, of which DC's lies in `re[0]` and that of half the sample rate in
/// `im[0]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spectrum<const H: usize> {
    /// Real parts; in slot 0 that of DC.
    pub re: [f32; H],
    /// Imaginary parts; in slot 0 the real part of half the sample rate.
    pub im: [f32; H],
}

impl<const H: usize> Spectrum<H> {
    /// Of silence.
    pub const ZERO: Self = Self { re: [0.0; H], im: [0.0; H] };

    /// Of a block in two halves.
    #[inline(never)]
    pub fn forward(first: &[f32; H], second: &[f32; H]) -> Self {
        let mut points = Complex::<H>::ZERO;
        for (half, samples) in [first, second].into_iter().enumerate() {
            let (re, im) = (&mut points.re[half * H / 2..], &mut points.im[half * H / 2..]);
            for ((re, im), pair) in re.iter_mut().zip(im).zip(samples.as_chunks::<2>().0) {
                [*re, *im] = *pair;
            }
        }
        let points = points.transform();
        let mut spectrum = Self::ZERO;
        spectrum.re[0] = points.re[0] + points.im[0];
        spectrum.im[0] = points.re[0] - points.im[0];
        for k in (1..=H / 2).step_by(LANES) {
            let mirror = H - k - (LANES - 1);
            let (re, im) = (lanes(&points.re, k), lanes(&points.im, k));
            let (mirror_re, mirror_im) = (reversed(&points.re, mirror), reversed(&points.im, mirror));
            // Of the even samples, and of the odd ones, which are half a step later.
            let (even_re, even_im) = (half(add(re, mirror_re)), half(sub(im, mirror_im)));
            let (odd_re, odd_im) = (half(add(im, mirror_im)), half(sub(mirror_re, re)));
            let (by_re, by_im) = (lanes(&Factors::<H>::TURN.re, k), lanes(&Factors::<H>::TURN.im, k));
            let (turned_re, turned_im) = turned(odd_re, odd_im, by_re, by_im);
            put(&mut spectrum.re, k, add(even_re, turned_re));
            put(&mut spectrum.im, k, add(even_im, turned_im));
            put_reversed(&mut spectrum.re, mirror, sub(even_re, turned_re));
            put_reversed(&mut spectrum.im, mirror, sub(turned_im, even_im));
        }
        spectrum
    }

    /// The block that has this spectrum, in two halves.
    #[inline(never)]
    pub fn inverse(&self) -> [[f32; H]; 2] {
        // Real and imaginary part change places, there and back, which turns a forward transform into an inverse one.
        let mut points = Complex::<H>::ZERO;
        let scale = 0.5 / H as f32;
        points.im[0] = (self.re[0] + self.im[0]) * scale;
        points.re[0] = (self.re[0] - self.im[0]) * scale;
        for k in (1..=H / 2).step_by(LANES) {
            let mirror = H - k - (LANES - 1);
            let (re, im) = (lanes(&self.re, k), lanes(&self.im, k));
            let (mirror_re, mirror_im) = (reversed(&self.re, mirror), reversed(&self.im, mirror));
            let (even_re, even_im) = (add(re, mirror_re), sub(im, mirror_im));
            let (odd_re, odd_im) = (sub(re, mirror_re), add(im, mirror_im));
            let (by_re, by_im) = (lanes(&Factors::<H>::TURN.re, k), lanes(&Factors::<H>::TURN.im, k).map(|x| -x));
            let (turned_re, turned_im) = turned(odd_re, odd_im, by_re, by_im);
            let scale = [scale; LANES];
            put(&mut points.im, k, mul(sub(even_re, turned_im), scale));
            put(&mut points.re, k, mul(add(even_im, turned_re), scale));
            put_reversed(&mut points.im, mirror, mul(add(even_re, turned_im), scale));
            put_reversed(&mut points.re, mirror, mul(sub(turned_re, even_im), scale));
        }
        let points = points.transform();
        let mut halves = [[0.0; H]; 2];
        for (half, samples) in halves.iter_mut().enumerate() {
            let (re, im) = (&points.im[half * H / 2..], &points.re[half * H / 2..]);
            for ((pair, re), im) in samples.as_chunks_mut::<2>().0.iter_mut().zip(re).zip(im) {
                *pair = [*re, *im];
            }
        }
        halves
    }

    /// Adds the product of two spectra, the second one conjugate if `CONJUGATE`.
    #[inline(always)]
    pub fn add_product<const CONJUGATE: bool>(&mut self, a: &Self, b: &Self) {
        let (dc, half_rate) = (self.re[0] + a.re[0] * b.re[0], self.im[0] + a.im[0] * b.im[0]);
        for k in 0..H {
            let im = if CONJUGATE { -b.im[k] } else { b.im[k] };
            self.re[k] += a.re[k] * b.re[k] - a.im[k] * im;
            self.im[k] += a.re[k] * im + a.im[k] * b.re[k];
        }
        (self.re[0], self.im[0]) = (dc, half_rate);
    }

    /// The power of each bin; of DC and half the sample rate together in slot 0, where their sum's half is as much as one bin.
    #[inline(always)]
    pub fn power(&self) -> [f32; H] {
        let mut power = [0.0; H];
        for ((power, re), im) in power.iter_mut().zip(&self.re).zip(&self.im) {
            *power = re * re + im * im;
        }
        power[0] *= 0.5;
        power
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// By the definition, in `f64`.
    fn reference<const H: usize>(samples: &[f32]) -> Vec<(f64, f64)> {
        (0..=H)
            .map(|k| {
                samples.iter().enumerate().fold((0.0, 0.0), |(re, im), (n, &x)| {
                    let angle = -core::f64::consts::PI * ((k * n) % (2 * H)) as f64 / H as f64;
                    (re + f64::from(x) * angle.cos(), im + f64::from(x) * angle.sin())
                })
            })
            .collect()
    }

    fn noise(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed | 1;
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / 8_388_608.0 - 1.0
            })
            .collect()
    }

    fn check<const H: usize>(seed: u32) {
        let samples = noise(2 * H, seed);
        let (first, second) = (samples[..H].try_into().unwrap(), samples[H..].try_into().unwrap());
        let spectrum = Spectrum::<H>::forward(first, second);
        let exact = reference::<H>(&samples);
        let bound = 3e-6 * ((2 * H) as f64).sqrt();
        assert!((f64::from(spectrum.re[0]) - exact[0].0).abs() < bound, "{H}: DC");
        assert!((f64::from(spectrum.im[0]) - exact[H].0).abs() < bound, "{H}: half the rate");
        for k in 1..H {
            let (re, im) = (f64::from(spectrum.re[k]) - exact[k].0, f64::from(spectrum.im[k]) - exact[k].1);
            assert!(re.abs() < bound && im.abs() < bound, "{H}, bin {k}: {re} {im}");
        }
        let back = spectrum.inverse();
        let worst = back.as_flattened().iter().zip(&samples).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        assert!(worst < 1e-6, "{H}: {worst}");
    }

    proptest! {
        #[test]
        fn is_the_transform_by_its_definition(seed in any::<u32>()) {
            check::<80>(seed);
            check::<128>(seed);
            check::<160>(seed);
            check::<256>(seed);
            check::<16>(seed);
        }
    }

    #[test]
    fn products_are_circular_convolutions() {
        let (a, b) = (noise(160, 1), noise(160, 2));
        let of = |x: &[f32]| Spectrum::<80>::forward(x[..80].try_into().unwrap(), x[80..].try_into().unwrap());
        for conjugate in [false, true] {
            let mut product = Spectrum::ZERO;
            if conjugate {
                product.add_product::<true>(&of(&a), &of(&b))
            } else {
                product.add_product::<false>(&of(&a), &of(&b))
            }
            let out = product.inverse();
            for (n, &got) in out.as_flattened().iter().enumerate() {
                let wanted: f32 = (0..160).map(|m| a[(if conjugate { n + m } else { 160 + n - m }) % 160] * b[m]).sum();
                assert!((got - wanted).abs() < 2e-5, "{conjugate} {n}: {got} {wanted}");
            }
        }
    }
}
