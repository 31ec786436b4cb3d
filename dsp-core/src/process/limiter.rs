//! Look-ahead peak limiter: no sample exceeds the ceiling, and no waveform is clipped.
//!
//! The signal is processed in blocks of 1 ms and leaves 3 ms later. Each block has the gain that its highest sample
//! needs. The applied gain moves in straight lines from block to block, so steeply that it is low enough at the
//! beginning of a block that needs it, which is known 2 ms before. It returns to 1 with a time constant of 60 ms.
//!
//! The cost is one division for each ms, and two multiplications for each sample. Samples are `f32` with full scale
//! 1.0. Only `+ - * /` and comparisons are used, so that results are the same bits on every target. The memory is 3 ms
//! at 48 kHz, 600 bytes.

/// Blocks that are known before they leave, beside the one that leaves.
const AHEAD: usize = 2;
/// Samples of 1 ms at the highest rate.
const LONGEST: usize = 48;
/// Share of the way back to a gain of 1 in 1 ms: a time constant of 60 ms.
const RELEASE: f32 = 1.0 / 60.0;

/// Limits one channel; see the module's page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limiter {
    ceiling: f32,
    /// Samples in 1 ms.
    block: usize,
    delayed: [[f32; LONGEST]; AHEAD + 1],
    /// The gain that each of the delayed blocks needs, the oldest first; with the one that is being heard.
    needed: [f32; AHEAD + 1],
    /// The block that is being heard: number of samples, highest magnitude, and its place in the ring.
    heard: usize,
    highest: f32,
    row: usize,
    /// The block that is leaving: its present gain, and the change from sample to sample.
    gain: f32,
    slope: f32,
}

impl Limiter {
    /// For `sample_rate_hz` up to 48,000 and a ceiling above 0.
    pub(super) const fn new(sample_rate_hz: u32, ceiling: f32) -> Self {
        let block = sample_rate_hz as usize / 1_000;
        Self {
            ceiling,
            block: if block > LONGEST { LONGEST } else { block },
            delayed: [[0.0; LONGEST]; AHEAD + 1],
            needed: [1.0; AHEAD + 1],
            heard: 0,
            highest: 0.0,
            row: 0,
            gain: 1.0,
            slope: 0.0,
        }
    }

    /// How many samples later a sound leaves than it came in.
    pub(super) const fn delay_samples(&self) -> usize {
        self.block * (AHEAD + 1)
    }

    /// Takes a finite sample, gives the one of 3 ms ago.
    pub(super) fn process(&mut self, sample: f32) -> f32 {
        let slot = &mut self.delayed[self.row][self.heard];
        let old = *slot * self.gain;
        *slot = sample;
        self.gain += self.slope;
        let magnitude = sample.abs();
        self.highest = if magnitude > self.highest { magnitude } else { self.highest };
        self.heard += 1;
        if self.heard == self.block {
            self.turn();
        }
        // What rounding may have left above.
        old.clamp(-self.ceiling, self.ceiling)
    }

    /// Ends a block.
    fn turn(&mut self) {
        let needed = if self.highest > self.ceiling { self.ceiling / self.highest } else { 1.0 };
        self.needed.copy_within(1.., 0);
        self.needed[AHEAD] = needed;
        (self.heard, self.highest) = (0, 0.0);
        self.row = if self.row == AHEAD { 0 } else { self.row + 1 };
        // From the gain at the beginning of the block that leaves now to the one at its end, which also begins the next.
        let from = self.gain.min(self.needed[0]);
        let mut to = (from + (1.0 - from) * RELEASE).min(self.needed[0]);
        let mut blocks = 1.0;
        for &needed in &self.needed[1..] {
            let toward = from + (needed - from) / blocks;
            to = if toward < to { toward } else { to };
            blocks += 1.0;
        }
        self.gain = from;
        self.slope = (to - from) / self.block as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn what_is_below_the_ceiling_only_waits() {
        for rate in [8_000, 16_000, 44_100, 48_000] {
            let mut limiter = Limiter::new(rate, 0.5);
            let signal: Vec<f32> = (0..4_000).map(|n| (n as f32 * 0.37).sin() * 0.5).collect();
            let out: Vec<f32> = signal.iter().map(|&x| limiter.process(x)).collect();
            let delay = limiter.delay_samples();
            assert_eq!(delay, rate as usize / 1_000 * 3);
            assert!(out[..delay].iter().all(|&x| x == 0.0));
            assert_eq!(out[delay..], signal[..signal.len() - delay]);
        }
    }

    #[test]
    fn nothing_is_above_and_little_is_cut() {
        for rate in [8_000u32, 48_000] {
            let mut limiter = Limiter::new(rate, 0.9);
            let mut cut = 0;
            for n in 0..100_000u32 {
                // Bursts of up to 20 dB over full scale, of all lengths.
                let burst = if n.wrapping_mul(n) % 7_919 < 300 { 10.0 } else { 0.6 };
                let x = (n as f32 * 0.7).sin() * burst;
                // The gain is what would have let a sample pass; the clamp is for rounding alone.
                let before = limiter.delayed[limiter.row][limiter.heard] * limiter.gain;
                cut += usize::from(before.abs() > 0.9 + 1e-5);
                let y = limiter.process(x);
                assert!(y.abs() <= 0.9);
            }
            assert_eq!(cut, 0);
        }
    }
}
