//! The order in which a frame's residual is coded, the same at both ends (RFC 3951, 3.6.1 and 4.3; A.3, A.5): the start
//! state, the rest of its two sub-blocks, the sub-blocks after it, the sub-blocks before it backwards in time.

use super::{BLOCKL_MAX, CB_MEML, IlbcMode, ST_MEM_L, STATE_LEN, SUBL};

/// A stretch of residual that is coded from what is decoded before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResidualSegment {
    /// 0: the rest of the start state's sub-blocks; then the others in the order of coding.
    pub(super) block: usize,
    /// Sub-block of the frame whose weighting filter counts.
    pub(super) subblock: usize,
    /// First sample in the frame.
    at: usize,
    /// Samples.
    len: usize,
    /// Whether it is coded backwards in time.
    backwards: bool,
}

impl ResidualSegment {
    /// Copies the segment's samples of `frame` in their order of coding, and returns how many.
    pub(super) fn take(&self, frame: &[f32; BLOCKL_MAX], out: &mut [f32; SUBL]) -> usize {
        let samples = &frame[self.at..self.at + self.len];
        if self.backwards {
            for (out, &x) in out.iter_mut().zip(samples.iter().rev()) {
                *out = x;
            }
        } else {
            out[..self.len].copy_from_slice(samples);
        }
        self.len
    }

    fn put(&self, frame: &mut [f32; BLOCKL_MAX], decoded: &[f32]) {
        let samples = &mut frame[self.at..self.at + self.len];
        samples.copy_from_slice(decoded);
        if self.backwards {
            samples.reverse();
        }
    }
}

/// First sample of the start state.
pub(super) fn state_start(mode: IlbcMode, start: usize, state_first: bool) -> usize {
    (start - 1) * SUBL + if state_first { 0 } else { STATE_LEN - mode.state_short_len() }
}

/// Codes all segments of a frame whose start state is already in `decoded`: `each` gets the segment, its codebook memory
/// and the place for its decoded samples, both in their order of coding. Stops when `each` returns `false`.
pub(super) fn for_each_segment(
    mode: IlbcMode,
    start: usize,
    state_first: bool,
    decoded: &mut [f32; BLOCKL_MAX],
    mut each: impl FnMut(ResidualSegment, &[f32], &mut [f32]) -> bool,
) -> bool {
    let pair = (start - 1) * SUBL;
    let short = mode.state_short_len();
    let state = state_start(mode, start, state_first);
    let mut buffer = [0.0; SUBL];

    // The rest of the two sub-blocks.
    let mut memory = [0.0; CB_MEML];
    let segment = ResidualSegment {
        block: 0,
        subblock: if state_first { start } else { start - 1 },
        at: if state_first { pair + short } else { pair },
        len: STATE_LEN - short,
        backwards: !state_first,
    };
    remember(&mut memory, &decoded[state..state + short], !state_first);
    let out = &mut buffer[..segment.len];
    if !each(segment, &memory[CB_MEML - ST_MEM_L..], out) {
        return false;
    }
    segment.put(decoded, out);

    // The sub-blocks after, then those before.
    let mut block = 1;
    let (after, before) = (mode.subblocks() - start - 1, start - 1);
    for (count, backwards) in [(after, false), (before, true)] {
        if count == 0 {
            continue;
        }
        memory = [0.0; CB_MEML];
        if backwards {
            let known = (mode.subblocks() * SUBL - pair).min(CB_MEML);
            remember(&mut memory, &decoded[pair..pair + known], true);
        } else {
            remember(&mut memory, &decoded[pair..pair + STATE_LEN], false);
        }
        for i in 0..count {
            let subblock = if backwards { start - 2 - i } else { start + 1 + i };
            let segment = ResidualSegment { block, subblock, at: subblock * SUBL, len: SUBL, backwards };
            if !each(segment, &memory, &mut buffer) {
                return false;
            }
            segment.put(decoded, &buffer);
            memory.copy_within(SUBL.., 0);
            memory[CB_MEML - SUBL..].copy_from_slice(&buffer);
            block += 1;
        }
    }
    true
}

/// Puts `samples` at the end of `memory`, in their own or in reversed order.
fn remember(memory: &mut [f32; CB_MEML], samples: &[f32], reverse: bool) {
    let place = &mut memory[CB_MEML - samples.len()..];
    place.copy_from_slice(samples);
    if reverse {
        place.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_coded_once_from_what_is_next_to_it() {
        for mode in [IlbcMode::Ms20, IlbcMode::Ms30] {
            for start in 1..mode.subblocks() {
                for state_first in [false, true] {
                    // Each sample holds its own place, so that neighbours can be told.
                    let mut decoded = [-1000.0; BLOCKL_MAX];
                    let at = state_start(mode, start, state_first);
                    for (n, x) in decoded.iter_mut().enumerate().skip(at).take(mode.state_short_len()) {
                        *x = n as f32;
                    }
                    let mut blocks = 0;
                    for_each_segment(mode, start, state_first, &mut decoded, |segment, memory, out| {
                        assert_eq!(segment.block, blocks);
                        blocks += 1;
                        let step = if segment.backwards { -1.0 } else { 1.0 };
                        let last = memory[memory.len() - 1];
                        for (i, out) in out.iter_mut().enumerate() {
                            *out = last + step * (i + 1) as f32;
                        }
                        assert_eq!(memory[memory.len() - 40], last - step * 39.0);
                        assert_eq!(segment.at / SUBL, segment.subblock);
                        true
                    });
                    assert_eq!(blocks, mode.subblocks() - 1);
                    for (n, &x) in decoded[..mode.samples()].iter().enumerate() {
                        assert_eq!(x, n as f32);
                    }
                }
            }
        }
    }
}
