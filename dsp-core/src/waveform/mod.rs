//! Processing of the waveform itself: concealment of lost sound ([`Concealer`]) and time stretching ([`Stretcher`]).
//! The arithmetic is integer, on `i16`.
//!
//! A [`Receiver`](crate::receive::Receiver) has both built in. Use them directly in a program with a jitter buffer of
//! its own. They keep no sound: what was played stays with the caller. Concealment follows the idea of ITU-T G.711
//! Appendix I, with the differences that [`Concealer`] tells; stretching is pitch-synchronous overlap-add.
//!
//! At 8 kHz a lost frame of 20 ms takes 2.2 µs on a host, one that is filled from both sides 4.5 µs, and a stretch 1.1
//! µs. A Cortex-M3 takes 21,682 instructions on average to receive and play 20 ms with concealed sound in it
//! (`BENCHMARKS.md`, which also has the measured quality). Sample rates are 8 to 48 kHz.
//!
//! A loss of 20 ms in a tone, and a tone that becomes shorter by whole periods:
//!
//! ```
//! use dsp_core::waveform::{Concealer, Stretcher};
//!
//! // 200 Hz at 8 kHz.
//! let tone = |n: usize| (8_000.0 * (n as f32 * core::f32::consts::TAU / 40.0).sin()) as i16;
//! let mut played: Vec<i16> = (0..960).map(tone).collect();
//! let mut concealer = Concealer::new(8_000);
//! let mut lost = [0; 160];
//! concealer.conceal(&played, &mut lost);
//! assert!(lost.iter().any(|&sample| sample > 6_000));
//! played.extend(lost);
//! // The first good packet joins what was made up.
//! let mut good: [i16; 160] = core::array::from_fn(|n| tone(1_120 + n));
//! concealer.merge(&played, &mut good);
//! assert!(!concealer.is_concealing());
//!
//! // 50 ms that are to be played, behind 10 ms that were played before.
//! let mut sound: Vec<i16> = (0..480).map(tone).collect();
//! let removed = Stretcher::new(8_000).accelerate(&mut [&mut sound[..]], 80, 80).ok_or("not alike")?;
//! assert_eq!(removed % 40, 0);
//! # Ok::<(), &str>(())
//! ```

pub(crate) mod extend;
pub(crate) mod lpc;
pub(crate) mod pitch;
pub(crate) mod plc;
pub(crate) mod stretch;

pub use plc::{Concealer, GapAnalysis};
pub use stretch::Stretcher;

/// The square root, rounded down, bit by bit: 130 instructions on a processor that cannot divide, where that of `core`
/// divides twice and has a table of 512 bytes.
pub(crate) fn square_root(value: u32) -> u32 {
    let (mut rest, mut root, mut bit) = (value, 0, 1 << 30);
    while bit != 0 {
        let trial = root + bit;
        root >>= 1;
        if rest >= trial {
            rest -= trial;
            root += bit;
        }
        bit >>= 2;
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn roots_are_those_of_core(value: u32, shift in 0u32..32, root in 1u32..=0xffff) {
            let square = root * root;
            for value in [value >> shift, square, square - 1, u32::MAX, 0] {
                prop_assert_eq!(square_root(value), value.isqrt());
            }
        }
    }
}
