//! The sum of the frames of a conference, and the bounds of the sums without one of them.
//!
//! Sums are exact, with 32 bits. How they are computed depends on the processor; their values do not. A processor with
//! vectors adds in 16 bits, eight samples in one addition, and widens the sum once for each [`GROUP`] of frames. That
//! is exact too. A sample `x` is `256 * (x >> 8)` and a remainder of 0 to 255. The sum `h` of the `x >> 8` of 32
//! frames fits into 16 bits, and the sum of their remainders into 16 bits without sign; the latter is the difference
//! between the sum of the `x`, which may wrap, and `256 * h`. So two additions in 16 bits replace an addition in 32
//! bits and the widening before it, in half the time.

use super::port::Port;

/// Samples that are added up for a group of frames before the next ones: their sums stay in registers.
pub(super) const TILE: usize = 16;
/// Frames that are added up at once: few enough that they are still in the nearest cache after they were prepared, and far below
/// the 255 whose sums fit 16 bits.
pub(super) const GROUP: usize = 32;

/// Whether this processor computes in vectors of 16-bit numbers, and so whether adding in them pays.
const VECTORS: bool = cfg!(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64"));

/// The sum of a frame of all ports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum<const SAMPLES: usize> {
    /// Sum of all ports that are heard.
    pub(super) sum: [i32; SAMPLES],
    /// The highest and the lowest sample of a single port, and 0: what a participant hears lies between the sum less
    /// the highest and the sum less the lowest.
    pub(super) highest: [i16; SAMPLES],
    pub(super) lowest: [i16; SAMPLES],
}

/// The sums of a tile of samples.
struct Tile {
    /// Sums of the samples, which may wrap, and of their upper halves.
    wrapped: [i16; TILE],
    upper: [i16; TILE],
    high: [i16; TILE],
    low: [i16; TILE],
}

impl Tile {
    #[expect(clippy::needless_range_loop, reason = "iterators take longer")]
    #[inline(always)]
    fn add(&mut self, own: &[i16; TILE]) {
        for n in 0..TILE {
            self.wrapped[n] = self.wrapped[n].wrapping_add(own[n]);
            self.upper[n] = self.upper[n].wrapping_add(own[n] >> 8);
            self.high[n] = own[n].max(self.high[n]);
            self.low[n] = own[n].min(self.low[n]);
        }
    }
}

impl<const SAMPLES: usize> Sum<SAMPLES> {
    pub(super) const EMPTY: Self = Self { sum: [0; SAMPLES], highest: [0; SAMPLES], lowest: [0; SAMPLES] };

    /// Adds the frames of those of at most [`GROUP`] ports that are heard: to nothing if this is the `first` group.
    pub(super) fn add(&mut self, ports: &[Port<SAMPLES>], samples: usize, first: bool) {
        let tiles = if VECTORS { samples / TILE } else { 0 };
        self.add_tiles(ports, tiles, first);
        self.add_samples(ports, tiles * TILE, samples, first);
    }

    /// Adds whole tiles in 16 bits.
    #[expect(clippy::needless_range_loop, reason = "iterators over the sums take 7 % longer")]
    fn add_tiles(&mut self, ports: &[Port<SAMPLES>], tiles: usize, first: bool) {
        let mut frames: [&[[i16; TILE]]; GROUP] = [&[]; GROUP];
        let mut count = 0;
        for (to, port) in frames.iter_mut().zip(ports.iter().filter(|port| port.in_sum)) {
            *to = port.samples.as_chunks().0;
            count += 1;
        }
        let frames = &frames[..count];
        let sums = self.sum.as_chunks_mut::<TILE>().0.iter_mut().take(tiles);
        let highs = self.highest.as_chunks_mut::<TILE>().0;
        let lows = self.lowest.as_chunks_mut::<TILE>().0;
        for (tile, ((sums, highs), lows)) in sums.zip(highs).zip(lows).enumerate() {
            if first {
                (*sums, *highs, *lows) = ([0; TILE], [0; TILE], [0; TILE]);
            }
            let mut sum = Tile { wrapped: [0; TILE], upper: [0; TILE], high: *highs, low: *lows };
            for frame in frames {
                let Some(own) = frame.get(tile) else { break };
                sum.add(own);
            }
            (*highs, *lows) = (sum.high, sum.low);
            for n in 0..TILE {
                let rest = sum.wrapped[n].wrapping_sub(sum.upper[n] << 8) as u16;
                sums[n] += (i32::from(sum.upper[n]) << 8) + i32::from(rest);
            }
        }
    }

    /// Adds sample by sample in 32 bits.
    fn add_samples(&mut self, ports: &[Port<SAMPLES>], from: usize, to: usize, first: bool) {
        let (sum, highest, lowest) = (&mut self.sum[from..to], &mut self.highest[from..to], &mut self.lowest[from..to]);
        if first {
            sum.fill(0);
            highest.fill(0);
            lowest.fill(0);
        }
        for port in ports.iter().filter(|port| port.in_sum) {
            let sums = sum.iter_mut().zip(&mut *highest).zip(&mut *lowest);
            for (((sum, high), low), &own) in sums.zip(&port.samples[from..to]) {
                *sum += i32::from(own);
                *high = own.max(*high);
                *low = own.min(*low);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        /// Both ways of adding give the same, whatever comes, full scale in all frames of a group too.
        #[test]
        fn vectors_add_exactly(
            frames in proptest::collection::vec(
                proptest::collection::vec(prop_oneof![any::<i16>(), Just(i16::MIN), Just(i16::MAX), Just(-1), Just(255)], 67),
                1..=GROUP,
            ),
            all in prop_oneof![Just(None), Just(Some(i16::MIN)), Just(Some(i16::MAX)), Just(Some(-1)), Just(Some(255))],
            samples in 1usize..=67,
        ) {
            let ports = |frame: Vec<i16>| {
                let mut port = Port::<67>::EMPTY;
                port.samples = all.map_or(frame.try_into().unwrap(), |sample| [sample; 67]);
                port.in_sum = true;
                port
            };
            let mut ports: Vec<Port<67>> = frames.into_iter().map(ports).collect();
            let (mut vectors, mut each) = (Sum::<67>::EMPTY, Sum::<67>::EMPTY);
            // The second time in the place of the first, and then beside it.
            for first in [true, true, false] {
                let whole = samples / TILE;
                vectors.add_tiles(&ports, whole, first);
                vectors.add_samples(&ports, whole * TILE, samples, first);
                each.add_samples(&ports, 0, samples, first);
            }
            prop_assert_eq!(vectors.sum, each.sum);
            prop_assert_eq!((vectors.highest, vectors.lowest), (each.highest, each.lowest));
            for n in 0..samples {
                let exact: i64 = ports.iter().map(|port| i64::from(port.samples[n])).sum();
                prop_assert_eq!(i64::from(each.sum[n]), 2 * exact);
            }
            // Who isn't heard isn't in the sum.
            ports.iter_mut().for_each(|port| port.in_sum = false);
            vectors.add_tiles(&ports, samples / TILE, false);
            prop_assert_eq!(vectors.sum, each.sum);
        }
    }
}
