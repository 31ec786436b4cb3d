//! The constants of ITU-T G.722, clauses 5 and 6, under the names that the Recommendation gives them.
//!
//! The numbers are the Recommendation's own (tables of clause 5.2 and 6.2, 11/88). Where it prints two tables to go
//! from a code to an index and from that to a value (RIL to IL4 to WL), one table here goes from the code to the
//! value. `INVERSE_LOG` and the sign symmetry of the quantisers follow from a formula; the tests check those.
//!
//! Units: QMF coefficients Q13; quantiser levels and outputs are fractions of the step size in Q15 (levels in Q12);
//! WL, WH and the logarithmic step size in Q11 (base 2).

/// Coefficients of both QMFs, H0 to H23 in Q13. Symmetric: Hk = H(23-k).
pub(super) const QMF: [i16; 24] = [
    3, -11, -11, 53, 12, -156, 32, 362, -210, -805, 951, 3876, 3876, 951, -805, -210, 362, 32, -156, 12, 53, -11, -11,
    3,
];

/// Decision levels of the 60-level quantiser of the lower band (Q6), as fractions of the step size in Q12: 29 levels
/// part the 30 magnitudes. The last three places fill the table up to 32 lanes; every magnitude reaches them.
pub(super) const LEVELS_6: [u16; 32] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
    1458, 1612, 1765, 1980, 2195, 2557, 2919, 0, 0, 0,
];

/// Levels of [`LEVELS_6`] that count.
pub(super) const LEVELS: usize = 29;

/// The one decision level of the 4-level quantiser of the higher band (Q2), Q12.
pub(super) const LEVEL_2: i32 = 564;

/// Outputs of the 60-level quantiser by the 6 bits of IL (QQ6). The codes 0 to 3 are never sent.
pub(super) const OUTPUTS_6: [i16; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576,
    -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040,
    -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
    4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];

/// Outputs of the 30-level quantiser by the upper 5 bits of IL (QQ5).
pub(super) const OUTPUTS_5: [i16; 32] = [
    -280, -280, -23352, -17560, -14120, -11664, -9752, -8184, -6864, -5712, -4696, -3784, -2960, -2208, -1520, -880,
    23352, 17560, 14120, 11664, 9752, 8184, 6864, 5712, 4696, 3784, 2960, 2208, 1520, 880, 280, -280,
];

/// Outputs of the 15-level quantiser by the upper 4 bits of IL (QQ4), which alone feed the predictor.
pub(super) const OUTPUTS_4: [i16; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];

/// What the lower band's logarithmic step size grows by (WL), by the upper 4 bits of IL, Q11.
pub(super) const GROWTH_4: [i16; 16] =
    [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];

/// Outputs of the 4-level quantiser of the higher band by the 2 bits of IH (QQ2).
pub(super) const OUTPUTS_2: [i16; 4] = [-7408, -1616, 7408, 1616];

/// What the higher band's logarithmic step size grows by (WH), by IH, Q11.
pub(super) const GROWTH_2: [i16; 4] = [798, -214, 798, -214];

/// 2^(i/32) in Q11 (ILB).
pub(super) const INVERSE_LOG: [i16; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025,
    3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_symmetric_and_passes_dc_whole() {
        assert!((0..24).all(|k| QMF[k] == QMF[23 - k]));
        assert_eq!(QMF.iter().map(|&h| i32::from(h)).sum::<i32>(), 1 << 13);
    }

    #[test]
    fn inverse_logarithm() {
        for (i, &value) in INVERSE_LOG.iter().enumerate() {
            assert_eq!(value, (2048.0 * (i as f64 / 32.0).exp2()).round() as i16, "{i}");
        }
    }

    #[test]
    fn each_output_lies_between_its_levels() {
        // IL of a positive difference runs from 61 (least) down to 32, of a negative one 63, 62, then 31 down to 4.
        for magnitude in 0..=LEVELS {
            let positive = 61 - magnitude;
            let negative = if magnitude < 2 { 63 - magnitude } else { 33 - magnitude };
            assert_eq!(OUTPUTS_6[positive], -OUTPUTS_6[negative]);
            let level = |i: usize| i32::from(LEVELS_6[i]) * 8;
            let output = i32::from(OUTPUTS_6[positive]);
            assert!(magnitude == 0 || level(magnitude - 1) < output, "{magnitude}");
            assert!(magnitude == LEVELS || output < level(magnitude), "{magnitude}");
            // A coarser quantiser's step takes in the finer one's.
            for (table, outputs) in [(&OUTPUTS_5[..], 2), (&OUTPUTS_4[..], 4)] {
                let siblings = (0..outputs).map(|i| OUTPUTS_6[(positive & !(outputs - 1)) + i]);
                let (low, high) = (siblings.clone().min().unwrap(), siblings.max().unwrap());
                let coarse = table[positive / outputs];
                assert!((low..=high).contains(&coarse), "{positive} {outputs}");
            }
        }
        assert!(LEVELS_6[..LEVELS].is_sorted());
    }
}
