//! Parameters to payload bits and back (RFC 3951, 3.8 and table 3.2; bit numbers from A.8).
//!
//! Bits stand in three classes of falling sensitivity; a parameter's more significant bits lie in the lower class.
//! Within a class the parameters come in the order of [`FrameParameters::visit`].

use super::{CB_NSTAGES, IlbcMode};

/// Longest payload of one frame, bytes.
const BYTES_MAX: usize = IlbcMode::Ms30.bytes();

/// Bits of a parameter in classes 1, 2 and 3.
type Bits = [u8; 3];

/// The parameters of one frame. Those that a mode lacks stay 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameParameters {
    /// Indices of the line spectral frequencies: three a set.
    pub(super) lsf: [[u8; 3]; 2],
    /// The first of the start state's two sub-blocks, counted from 1.
    pub(super) start: u8,
    /// 1: the start state lies at the beginning of the two sub-blocks, 0: at their end.
    pub(super) state_first: u8,
    /// Index of the start state's largest magnitude.
    pub(super) scale: u8,
    /// Indices of the start state's samples.
    pub(super) state: [u8; 58],
    /// The rest of the two sub-blocks, then each other sub-block: codebook indices by stage, as sent.
    pub(super) codebook: [[u8; CB_NSTAGES]; 5],
    /// The same for the gains.
    pub(super) gain: [[u8; CB_NSTAGES]; 5],
}

impl FrameParameters {
    /// Every parameter 0.
    pub(super) const ZERO: Self = Self {
        lsf: [[0; 3]; 2],
        start: 0,
        state_first: 0,
        scale: 0,
        state: [0; 58],
        codebook: [[0; CB_NSTAGES]; 5],
        gain: [[0; CB_NSTAGES]; 5],
    };

    /// Calls `each` with every parameter in its order of table 3.2, and its bits.
    fn visit(&mut self, mode: IlbcMode, mut each: impl FnMut(&mut u8, Bits)) {
        let table = match mode {
            IlbcMode::Ms20 => &BITS_20,
            IlbcMode::Ms30 => &BITS_30,
        };
        for set in &mut self.lsf[..mode.lsf_sets()] {
            for (index, bits) in set.iter_mut().zip([6, 7, 7]) {
                each(index, [bits, 0, 0]);
            }
        }
        each(&mut self.start, [table.start, 0, 0]);
        each(&mut self.state_first, [1, 0, 0]);
        each(&mut self.scale, [6, 0, 0]);
        for sample in &mut self.state[..mode.state_short_len()] {
            each(sample, [0, 1, 2]);
        }
        let blocks = mode.subblocks() - 1;
        // The rest of the start state's sub-blocks has its indices and gains together, the others apart.
        for blocks in [0..1, 1..blocks] {
            for (values, bits) in [(&mut self.codebook, &table.codebook), (&mut self.gain, &table.gain)] {
                for (values, bits) in values[blocks.clone()].iter_mut().zip(&bits[blocks.clone()]) {
                    for (value, &bits) in values.iter_mut().zip(bits) {
                        each(value, bits);
                    }
                }
            }
        }
    }

    /// The parameters as `mode.bytes()` bytes of payload, the empty-frame indicator 0.
    pub(super) fn pack(&mut self, mode: IlbcMode, payload: &mut [u8]) {
        // One byte more than the payload lets every part touch two.
        let mut bytes = [0; BYTES_MAX + 1];
        let mut at = 0;
        for class in 0..3 {
            self.visit(mode, |value, bits| {
                let count = u32::from(bits[class]);
                let below: u8 = bits[class + 1..].iter().sum();
                let part = u32::from(*value) >> below & ((1 << count) - 1);
                // All of a parameter's bits together are at most 8, so a part spans two bytes at most.
                if let Some([high, low]) = bytes.get_mut(at >> 3..(at >> 3) + 2) {
                    let word = part << (16 - count - (at as u32 & 7));
                    *high |= (word >> 8) as u8;
                    *low |= word as u8;
                }
                at += count as usize;
            });
        }
        payload.copy_from_slice(&bytes[..payload.len()]);
    }

    /// The parameters in `payload`, which has `mode.bytes()` bytes, or `None` if the frame says that it is empty or
    /// has no possible start state.
    pub(super) fn unpack(mode: IlbcMode, payload: &[u8]) -> Option<Self> {
        if payload.last()? & 1 == 1 {
            return None;
        }
        // One byte more than the payload lets every read take 16 bits.
        let mut bytes = [0; BYTES_MAX + 1];
        bytes.get_mut(..payload.len())?.copy_from_slice(payload);
        let mut frame = Self::ZERO;
        let mut at = 0;
        for class in 0..3 {
            frame.visit(mode, |value, bits| {
                let count = u32::from(bits[class]);
                if let Some(&[high, low]) = bytes.get(at >> 3..(at >> 3) + 2) {
                    let word = u16::from_be_bytes([high, low]) << (at & 7);
                    // All of a parameter's bits together are at most 8, so nothing is shifted out.
                    *value = (u32::from(*value) << count | u32::from(word) >> (16 - count)) as u8;
                }
                at += count as usize;
            });
        }
        (1..mode.subblocks()).contains(&usize::from(frame.start)).then_some(frame)
    }
}

/// Bit numbers that differ with the mode.
struct Allocation {
    start: u8,
    codebook: [[Bits; CB_NSTAGES]; 5],
    gain: [[Bits; CB_NSTAGES]; 5],
}

static BITS_20: Allocation = Allocation {
    start: 2,
    codebook: [
        [[6, 0, 1], [0, 0, 7], [0, 0, 7]],
        [[7, 0, 1], [0, 0, 7], [0, 0, 7]],
        [[0, 0, 8], [0, 0, 8], [0, 0, 8]],
        [[0; 3]; 3],
        [[0; 3]; 3],
    ],
    gain: [
        [[2, 0, 3], [1, 1, 2], [0, 0, 3]],
        [[1, 2, 2], [1, 1, 2], [0, 0, 3]],
        [[1, 1, 3], [0, 2, 2], [0, 0, 3]],
        [[0; 3]; 3],
        [[0; 3]; 3],
    ],
};

static BITS_30: Allocation = Allocation {
    start: 3,
    codebook: [
        [[4, 2, 1], [0, 0, 7], [0, 0, 7]],
        [[6, 1, 1], [0, 0, 7], [0, 0, 7]],
        [[0, 7, 1], [0, 0, 8], [0, 0, 8]],
        [[0, 7, 1], [0, 0, 8], [0, 0, 8]],
        [[0, 7, 1], [0, 0, 8], [0, 0, 8]],
    ],
    gain: [
        [[1, 1, 3], [1, 1, 2], [0, 0, 3]],
        [[1, 2, 2], [1, 2, 1], [0, 0, 3]],
        [[0, 2, 3], [0, 2, 2], [0, 0, 3]],
        [[0, 1, 4], [0, 1, 3], [0, 0, 3]],
        [[0, 1, 4], [0, 1, 3], [0, 0, 3]],
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_the_sizes_of_table_3_2() {
        for (mode, sizes) in [(IlbcMode::Ms20, [48, 64, 191]), (IlbcMode::Ms30, [64, 96, 239])] {
            let mut sums = [0; 3];
            let mut frame = FrameParameters::ZERO;
            frame.visit(mode, |_, bits| {
                for (sum, bits) in sums.iter_mut().zip(bits) {
                    *sum += usize::from(bits);
                }
            });
            assert_eq!(sums, sizes);
        }
    }

    #[test]
    fn what_is_packed_comes_back() {
        for mode in [IlbcMode::Ms20, IlbcMode::Ms30] {
            let mut seed = 7_u32;
            for start in 1..mode.subblocks() as u8 {
                let mut frame = FrameParameters::ZERO;
                frame.visit(mode, |value, bits| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let bits: u8 = bits.iter().sum();
                    *value = (seed >> 24) as u8 >> (8 - bits);
                });
                frame.start = start;
                let mut payload = [0xff; BYTES_MAX];
                let payload = &mut payload[..mode.bytes()];
                frame.pack(mode, payload);
                assert_eq!(FrameParameters::unpack(mode, payload), Some(frame));
                *payload.last_mut().unwrap() |= 1;
                assert_eq!(FrameParameters::unpack(mode, payload), None, "empty-frame indicator");
            }
            assert_eq!(FrameParameters::unpack(mode, &[0; 50][..mode.bytes()]), None, "start 0");
        }
    }
}
