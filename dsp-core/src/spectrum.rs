//! Spectra: a real FFT of `2 * H` samples in `f32`, and arithmetic on its result.
//!
//! Use it for a block that works on spectra, as [`noise`](crate::noise) and [`echo`](crate::echo) do. For a single
//! frequency, [`goertzel`](crate::process::goertzel) is cheaper.
//!
//! `H` is 64, 80, 128, 160 or 256; other values do not compile. A [`Spectrum`] has `H` slots for `H + 1` bins: those
//! of DC and of half the sample rate are real and share slot 0. Only `+ - *` are used, in one fixed order, so that
//! results are the same bits on every target. The error is within 1e-6 of the block's RMS times the square root of its
//! length. A transform takes about 2.5 `H` log2(`H`) multiplications, and two blocks of stack. The transform is
//! Stockham's, with radices 4, 2 and 5.
//!
//! In which bin a tone lies, and back to the block:
//!
//! ```
//! use dsp_core::spectrum::Spectrum;
//!
//! // 1,000 Hz at 16 kHz: ten periods in a block of 160.
//! let sine = |n: usize| (n as f32 * core::f32::consts::TAU / 16.0).sin();
//! let halves: [[f32; 80]; 2] = [core::array::from_fn(sine), core::array::from_fn(|n| sine(80 + n))];
//! let spectrum = Spectrum::<80>::forward(&halves[0], &halves[1]);
//! let power = spectrum.power();
//! let peak = (1..80).max_by(|&a, &b| power[a].total_cmp(&power[b]));
//! // A bin is 100 Hz wide.
//! assert_eq!(peak, Some(10));
//! let back = spectrum.inverse();
//! assert!(back[1].iter().zip(halves[1]).all(|(back, was)| (back - was).abs() < 1e-5));
//! ```

use crate::math::sin_cos;

/// Neighbours that are computed together: as many as a vector of a host has. A Cortex-M computes one after the other, and its
/// registers hold no more than one butterfly; each lane's bits are the same.
const LANES: usize = if cfg!(target_arch = "arm") { 1 } else { 4 };
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
        assert!(matches!(H, 64 | 80 | 128 | 160 | 256), "blocks have 64, 80, 128, 160 or 256 samples");
        let mut table = Table { re: [0.0; H], im: [0.0; H] };
        let mut k = 0;
        while k < H {
            let (sin, cos) = sin_cos(k as f64 / (2 * H) as f64);
            (table.re[k], table.im[k]) = (cos as f32, -sin as f32);
            k += 1;
        }
        table
    };

    /// Factors of the first stage: exp(-2 pi i k p / H), p below `H / 4`, at `k * H / 4 + p`.
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
fn each(mut a: Lanes, b: Lanes, change: impl Fn(f32, f32) -> f32) -> Lanes {
    for (a, b) in a.iter_mut().zip(b) {
        *a = change(*a, b);
    }
    a
}

#[inline(always)]
fn add(a: Lanes, b: Lanes) -> Lanes {
    each(a, b, |a, b| a + b)
}

#[inline(always)]
fn sub(a: Lanes, b: Lanes) -> Lanes {
    each(a, b, |a, b| a - b)
}

#[inline(always)]
fn mul(a: Lanes, b: Lanes) -> Lanes {
    each(a, b, |a, b| a * b)
}

#[inline(always)]
fn scaled(a: Lanes, by: f32) -> Lanes {
    a.map(|a| a * by)
}

/// Complex numbers side by side.
#[derive(Clone, Copy)]
struct Point {
    re: Lanes,
    im: Lanes,
}

impl Point {
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self { re: add(self.re, other.re), im: add(self.im, other.im) }
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self { re: sub(self.re, other.re), im: sub(self.im, other.im) }
    }

    /// Times -i.
    #[inline(always)]
    fn turned_back(self) -> Self {
        Self { re: self.im, im: scaled(self.re, -1.0) }
    }

    #[inline(always)]
    fn times(self, by: Self) -> Self {
        Self { re: sub(mul(self.re, by.re), mul(self.im, by.im)), im: add(mul(self.re, by.im), mul(self.im, by.re)) }
    }

    #[inline(always)]
    fn turned(self, (re, im): (f32, f32)) -> Self {
        Self { re: sub(scaled(self.re, re), scaled(self.im, im)), im: add(scaled(self.re, im), scaled(self.im, re)) }
    }

    #[inline(always)]
    fn scaled(self, by: f32) -> Self {
        Self { re: scaled(self.re, by), im: scaled(self.im, by) }
    }
}

/// A block in the midst of its transform, by lanes.
#[derive(Clone, Copy)]
struct View<'a> {
    re: &'a [Lanes],
    im: &'a [Lanes],
}

struct ViewMut<'a> {
    re: &'a mut [Lanes],
    im: &'a mut [Lanes],
}

impl View<'_> {
    #[inline(always)]
    fn at(self, place: usize) -> Point {
        Point { re: self.re[place], im: self.im[place] }
    }
}

impl ViewMut<'_> {
    #[inline(always)]
    fn put(&mut self, place: usize, point: Point) {
        self.re[place] = point.re;
        self.im[place] = point.im;
    }
}

/// A butterfly of four: sums by the powers of -i.
#[inline(always)]
fn butterfly4(a: Point, b: Point, c: Point, d: Point) -> (Point, Point, Point, Point) {
    let (sum, difference) = (a.plus(c), a.minus(c));
    let (odd, turned) = (b.plus(d), b.minus(d).turned_back());
    (sum.plus(odd), difference.plus(turned), sum.minus(odd), difference.minus(turned))
}

/// Four rows for columns.
#[inline(always)]
fn transposed(a: Lanes, b: Lanes, c: Lanes, d: Lanes) -> [[f32; 4]; LANES] {
    let mut columns = [[0.0; 4]; LANES];
    for (lane, column) in columns.iter_mut().enumerate() {
        *column = [a[lane], b[lane], c[lane], d[lane]];
    }
    columns
}

/// The first stage: neighbours are different butterflies, so what leaves them is transposed.
#[inline(always)]
fn first_stage<const H: usize>(from: &Complex<H>, to: &mut Complex<H>) {
    let from = from.view();
    let (to_re, to_im) = (to.re.as_chunks_mut().0, to.im.as_chunks_mut().0);
    let factors = View { re: Factors::<H>::FIRST.re.as_chunks().0, im: Factors::<H>::FIRST.im.as_chunks().0 };
    let quarter = H / 4 / LANES;
    for p in 0..quarter {
        let (a, b, c, d) =
            butterfly4(from.at(p), from.at(p + quarter), from.at(p + 2 * quarter), from.at(p + 3 * quarter));
        let b = b.times(factors.at(p + quarter));
        let c = c.times(factors.at(p + 2 * quarter));
        let d = d.times(factors.at(p + 3 * quarter));
        let butterflies = LANES * p..LANES * (p + 1);
        to_re[butterflies.clone()].copy_from_slice(&transposed(a.re, b.re, c.re, d.re));
        to_im[butterflies].copy_from_slice(&transposed(a.im, b.im, c.im, d.im));
    }
}

/// A later stage of radix 4, of `STRIDE` transforms side by side.
#[inline(always)]
fn stage4<const H: usize, const STRIDE: usize>(from: &Complex<H>, to: &mut Complex<H>) {
    let (from, mut to) = (from.view(), to.view_mut());
    let (quarter, lanes, step) = (H / STRIDE / 4, STRIDE / LANES, 2 * STRIDE);
    for p in 0..quarter {
        let one = Factors::<H>::turn(step * p);
        let two = Factors::<H>::turn(2 * step * p);
        let three = Factors::<H>::turn(3 * step * p);
        for q in 0..lanes {
            let at = q + lanes * p;
            let (a, b, c, d) = butterfly4(
                from.at(at),
                from.at(at + lanes * quarter),
                from.at(at + 2 * lanes * quarter),
                from.at(at + 3 * lanes * quarter),
            );
            let at = q + lanes * 4 * p;
            to.put(at, a);
            to.put(at + lanes, b.turned(one));
            to.put(at + 2 * lanes, c.turned(two));
            to.put(at + 3 * lanes, d.turned(three));
        }
    }
}

#[inline(always)]
fn stage2<const H: usize, const STRIDE: usize>(from: &Complex<H>, to: &mut Complex<H>) {
    let (from, mut to) = (from.view(), to.view_mut());
    let (half, lanes) = (H / STRIDE / 2, STRIDE / LANES);
    for p in 0..half {
        let turn = Factors::<H>::turn(2 * STRIDE * p);
        for q in 0..lanes {
            let (a, b) = (from.at(q + lanes * p), from.at(q + lanes * (p + half)));
            to.put(q + lanes * 2 * p, a.plus(b));
            to.put(q + lanes * (2 * p + 1), a.minus(b).turned(turn));
        }
    }
}

/// The last stage, of radix 5: nothing is left to turn by.
#[inline(always)]
fn stage5<const H: usize, const STRIDE: usize>(from: &Complex<H>, to: &mut Complex<H>) {
    // Cosines and sines of 72 and 144 degrees.
    const COS: [f32; 2] = [0.309_017, -0.809_017];
    const SIN: [f32; 2] = [0.951_056_54, 0.587_785_24];
    let (from, mut to) = (from.view(), to.view_mut());
    let lanes = STRIDE / LANES;
    for q in 0..lanes {
        let (a, b, c) = (from.at(q), from.at(q + lanes), from.at(q + 2 * lanes));
        let (d, e) = (from.at(q + 3 * lanes), from.at(q + 4 * lanes));
        let (near, far) = (b.plus(e), c.plus(d));
        let (odd_near, odd_far) = (b.minus(e).turned_back(), c.minus(d).turned_back());
        let even_one = a.plus(near.scaled(COS[0]).plus(far.scaled(COS[1])));
        let even_two = a.plus(near.scaled(COS[1]).plus(far.scaled(COS[0])));
        let odd_one = odd_near.scaled(SIN[0]).plus(odd_far.scaled(SIN[1]));
        let odd_two = odd_near.scaled(SIN[1]).minus(odd_far.scaled(SIN[0]));
        to.put(q, a.plus(near.plus(far)));
        to.put(q + lanes, even_one.plus(odd_one));
        to.put(q + 2 * lanes, even_two.plus(odd_two));
        to.put(q + 3 * lanes, even_two.minus(odd_two));
        to.put(q + 4 * lanes, even_one.minus(odd_one));
    }
}

impl<const H: usize> Complex<H> {
    const ZERO: Self = Self { re: [0.0; H], im: [0.0; H] };

    #[inline(always)]
    fn view(&self) -> View<'_> {
        View { re: self.re.as_chunks().0, im: self.im.as_chunks().0 }
    }

    #[inline(always)]
    fn view_mut(&mut self) -> ViewMut<'_> {
        ViewMut { re: self.re.as_chunks_mut().0, im: self.im.as_chunks_mut().0 }
    }

    /// The forward transform of `H` points, which then lie in one of the two: what was in both is gone.
    #[inline(always)]
    fn transform<'a>(&'a mut self, out: &'a mut Self) -> &'a Self {
        first_stage(self, out);
        match H {
            64 => {
                stage4::<H, 4>(out, self);
                stage4::<H, 16>(self, out);
                out
            }
            80 => {
                stage4::<H, 4>(out, self);
                stage5::<H, 16>(self, out);
                out
            }
            128 => {
                stage4::<H, 4>(out, self);
                stage4::<H, 16>(self, out);
                stage2::<H, 64>(out, self);
                self
            }
            160 => {
                stage4::<H, 4>(out, self);
                stage2::<H, 16>(self, out);
                stage5::<H, 32>(out, self);
                self
            }
            _ => {
                stage4::<H, 4>(out, self);
                stage4::<H, 16>(self, out);
                stage4::<H, 64>(out, self);
                self
            }
        }
    }
}

/// The spectrum of `2 * H` real samples: `H + 1` bins. That of DC is in `re[0]`, and that of half the sample rate in
/// `im[0]`. [The module's page](self) has an example.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spectrum<const H: usize> {
    /// Real parts. Slot 0 has that of DC.
    pub re: [f32; H],
    /// Imaginary parts. Slot 0 has the real part of half the sample rate.
    pub im: [f32; H],
}

impl<const H: usize> Spectrum<H> {
    /// The spectrum of silence.
    pub const ZERO: Self = Self { re: [0.0; H], im: [0.0; H] };

    /// The spectrum of a block that is given in two halves.
    #[inline(always)]
    pub fn forward(first: &[f32; H], second: &[f32; H]) -> Self {
        let mut spectrum = Self::ZERO;
        spectrum.set(first, second);
        spectrum
    }

    /// Replaces the spectrum by that of a block, which is given in two halves.
    #[inline(never)]
    pub fn set(&mut self, first: &[f32; H], second: &[f32; H]) {
        let mut points = Complex::<H>::ZERO;
        for (half, samples) in [first, second].into_iter().enumerate() {
            let (re, im) = (&mut points.re[half * H / 2..], &mut points.im[half * H / 2..]);
            for ((re, im), pair) in re.iter_mut().zip(im).zip(samples.as_chunks::<2>().0) {
                [*re, *im] = *pair;
            }
        }
        let mut scratch = Complex::ZERO;
        let points = points.transform(&mut scratch);
        self.re[0] = points.re[0] + points.im[0];
        self.im[0] = points.re[0] - points.im[0];
        let split = |own: Point, mirror: Point, turn: Point| {
            // Of the even samples, and of the odd ones, which are half a step later.
            let even = Point { re: add(own.re, mirror.re), im: sub(own.im, mirror.im) }.scaled(0.5);
            let odd = Point { re: add(own.im, mirror.im), im: sub(mirror.re, own.re) }.scaled(0.5).times(turn);
            (even.plus(odd), Point { re: sub(even.re, odd.re), im: sub(odd.im, even.im) })
        };
        Self::pairs(&points.re, &points.im, &mut self.re, &mut self.im, split);
    }

    /// Makes each bin and its mirror of both, four at a time: `each` gets them and exp(-2 pi i k / 2H).
    #[inline(always)]
    fn pairs(
        re: &[f32; H],
        im: &[f32; H],
        to_re: &mut [f32; H],
        to_im: &mut [f32; H],
        each: impl Fn(Point, Point, Point) -> (Point, Point),
    ) {
        let load = |from: &[f32; H], at: usize| core::array::from_fn(|lane| from[at + lane]);
        let back = |from: &[f32; H], at: usize| core::array::from_fn(|lane| from[at + LANES - 1 - lane]);
        let (turn_re, turn_im) = (&Factors::<H>::TURN.re, &Factors::<H>::TURN.im);
        for k in (4..H / 2).step_by(LANES) {
            let mirror = H - k - (LANES - 1);
            let (one, other) = each(
                Point { re: load(re, k), im: load(im, k) },
                Point { re: back(re, mirror), im: back(im, mirror) },
                Point { re: load(turn_re, k), im: load(turn_im, k) },
            );
            to_re[k..k + LANES].copy_from_slice(&one.re);
            to_im[k..k + LANES].copy_from_slice(&one.im);
            for lane in 0..LANES {
                to_re[mirror + LANES - 1 - lane] = other.re[lane];
                to_im[mirror + LANES - 1 - lane] = other.im[lane];
            }
        }
        // The first three, and the middle, which is its own mirror.
        for bins in [1, 2, 3, H / 2].as_chunks::<LANES>().0 {
            let at = |from: &[f32; H]| bins.map(|k| from[k]);
            let mirror = |from: &[f32; H]| bins.map(|k| from[H - k]);
            let (one, other) = each(
                Point { re: at(re), im: at(im) },
                Point { re: mirror(re), im: mirror(im) },
                Point { re: at(turn_re), im: at(turn_im) },
            );
            for (lane, k) in bins.iter().enumerate() {
                (to_re[H - k], to_im[H - k]) = (other.re[lane], other.im[lane]);
                (to_re[*k], to_im[*k]) = (one.re[lane], one.im[lane]);
            }
        }
    }

    /// The block that has this spectrum, in two halves.
    #[inline(never)]
    pub fn inverse(&self) -> [[f32; H]; 2] {
        // Real and imaginary part change places, there and back, which turns a forward transform into an inverse one.
        let mut points = Complex::<H>::ZERO;
        let scale = 0.5 / H as f32;
        points.im[0] = (self.re[0] + self.im[0]) * scale;
        points.re[0] = (self.re[0] - self.im[0]) * scale;
        let join = |own: Point, mirror: Point, turn: Point| {
            let even = Point { re: add(own.re, mirror.re), im: sub(own.im, mirror.im) };
            let back = Point { re: turn.re, im: scaled(turn.im, -1.0) };
            let odd = Point { re: sub(own.re, mirror.re), im: add(own.im, mirror.im) }.times(back);
            // Real and imaginary parts change places.
            let one = Point { re: add(even.im, odd.re), im: sub(even.re, odd.im) };
            (one.scaled(scale), Point { re: sub(odd.re, even.im), im: add(even.re, odd.im) }.scaled(scale))
        };
        Self::pairs(&self.re, &self.im, &mut points.re, &mut points.im, join);
        let mut scratch = Complex::ZERO;
        let points = points.transform(&mut scratch);
        let mut halves = [[0.0; H]; 2];
        for (half, samples) in halves.iter_mut().enumerate() {
            let (re, im) = (&points.im[half * H / 2..], &points.re[half * H / 2..]);
            for ((pair, re), im) in samples.as_chunks_mut::<2>().0.iter_mut().zip(re).zip(im) {
                *pair = [*re, *im];
            }
        }
        halves
    }

    /// Adds the product of two spectra; with `CONJUGATE` the second one is conjugated.
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

    /// Power of each bin. Slot 0 has half the sum of those of DC and of half the sample rate.
    #[inline(always)]
    pub fn power(&self) -> [f32; H] {
        let mut power: [f32; H] = core::array::from_fn(|k| self.re[k] * self.re[k] + self.im[k] * self.im[k]);
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
        for (k, exact) in exact.iter().enumerate().take(H).skip(1) {
            let (re, im) = (f64::from(spectrum.re[k]) - exact.0, f64::from(spectrum.im[k]) - exact.1);
            assert!(re.abs() < bound && im.abs() < bound, "{H}, bin {k}: {re} {im}");
        }
        let back = spectrum.inverse();
        let worst = back.as_flattened().iter().zip(&samples).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        assert!(worst < 1e-6, "{H}: {worst}");
    }

    proptest! {
        #[test]
        fn is_the_transform_by_its_definition(seed in any::<u32>()) {
            check::<64>(seed);
            check::<80>(seed);
            check::<128>(seed);
            check::<160>(seed);
            check::<256>(seed);
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
