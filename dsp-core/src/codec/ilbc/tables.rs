//! The scalar quantisers and short filters. Numbers from the tables of RFC 3951 A.8; what follows from them is computed
//! at compile time.

/// Long-term mean of the line spectral frequencies, radians a sample (`lsfmeanTbl`).
pub(super) const LSF_MEAN: [f32; 10] =
    [0.281738, 0.445801, 0.663330, 0.962524, 1.251831, 1.533081, 1.850586, 2.137817, 2.481445, 2.777344];

/// Levels of the start state's samples (`state_sq3Tbl`).
pub(super) const STATE_LEVELS: [f32; 8] =
    [-3.719849, -2.17749, -1.130005, -0.309692, 0.444214, 1.329712, 2.436279, 3.983887];

/// Levels of the start state's largest magnitude, as 10-logarithms (`state_frgqTbl`).
const STATE_MAXIMUM_LOG: [f64; 64] = [
    1.000085, 1.071695, 1.140395, 1.206868, 1.277188, 1.351503, 1.429380, 1.500727, 1.569049, 1.639599, 1.707071,
    1.781531, 1.840799, 1.901550, 1.956695, 2.006750, 2.055474, 2.102787, 2.142819, 2.183592, 2.217962, 2.257177,
    2.295739, 2.332967, 2.369248, 2.402792, 2.435080, 2.468598, 2.503394, 2.539284, 2.572944, 2.605036, 2.636331,
    2.668939, 2.698780, 2.729101, 2.759786, 2.789834, 2.818679, 2.848074, 2.877470, 2.906899, 2.936655, 2.967804,
    3.000115, 3.033367, 3.066355, 3.104231, 3.141499, 3.183012, 3.222952, 3.265433, 3.308441, 3.350823, 3.395275,
    3.442793, 3.490801, 3.542514, 3.604064, 3.666050, 3.740994, 3.830749, 3.938770, 4.101764,
];

/// The start state's largest magnitude for each index: 10 to the power of the level.
pub(super) static STATE_MAXIMUM: [f32; 64] = {
    let mut table = [0.0; 64];
    let mut i = 0;
    while i < 64 {
        table[i] = power_of_ten(STATE_MAXIMUM_LOG[i]) as f32;
        i += 1;
    }
    table
};

/// Where the nearest level of the largest magnitude, by logarithm, changes from `i` to `i + 1`. Spares a logarithm.
pub(super) static STATE_MAXIMUM_BOUNDARY: [f32; 63] = {
    let mut table = [0.0; 63];
    let mut i = 0;
    while i < 63 {
        table[i] = power_of_ten((STATE_MAXIMUM_LOG[i] + STATE_MAXIMUM_LOG[i + 1]) / 2.0) as f32;
        i += 1;
    }
    table
};

/// 10 to the power of `x`, 0 to 5: Taylor series of exp(x ln 10 / 64), squared six times.
const fn power_of_ten(x: f64) -> f64 {
    let x = x * core::f64::consts::LN_10 / 64.0;
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1);
    while k < 16 {
        term *= x / k as f64;
        sum += term;
        k += 1;
    }
    let mut squared = 0;
    while squared < 6 {
        sum *= sum;
        squared += 1;
    }
    sum
}

/// Cosine of 0 to 4, by its Taylor series; at compile time.
pub(super) const fn cosine(x: f64) -> f64 {
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1);
    while k < 30 {
        term *= -x * x / ((2 * k - 1) * (2 * k)) as f64;
        sum += term;
        k += 1;
    }
    sum
}

/// The filter that makes the expanded codebook (`cbfiltersTbl`), oldest sample first.
pub(super) const EXPANSION: [f32; 8] =
    [-0.033691, 0.083740, -0.144043, 0.713379, 0.806152, -0.184326, 0.108887, -0.034180];

/// Gains of the first codebook stage (`gain_sq5Tbl`).
pub(super) static GAIN_1: [f32; 32] = [
    0.037476, 0.075012, 0.112488, 0.150024, 0.187500, 0.224976, 0.262512, 0.299988, 0.337524, 0.375000, 0.412476,
    0.450012, 0.487488, 0.525024, 0.562500, 0.599976, 0.637512, 0.674988, 0.712524, 0.750000, 0.787476, 0.825012,
    0.862488, 0.900024, 0.937500, 0.974976, 1.012512, 1.049988, 1.087524, 1.125, 1.162476, 1.200012,
];

/// Gains of the second stage, over the first's (`gain_sq4Tbl`).
pub(super) static GAIN_2: [f32; 16] = [
    -1.049988, -0.900024, -0.750000, -0.599976, -0.450012, -0.299988, -0.150024, 0.000000, 0.150024, 0.299988,
    0.450012, 0.599976, 0.750000, 0.900024, 1.049988, 1.200012,
];

/// Gains of the third stage, over the second's (`gain_sq3Tbl`).
pub(super) static GAIN_3: [f32; 8] = [-1.000000, -0.659973, -0.330017, 0.000000, 0.250000, 0.500000, 0.750000, 1.0];

/// Quarter-sample interpolators of the enhancer, `[fraction]` (`polyphaserTbl`).
pub(super) static POLYPHASE: [[f32; 7]; 4] = [
    [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0],
    [0.015625, -0.076904, 0.288330, 0.862061, -0.106445, 0.018799, -0.015625],
    [0.023682, -0.124268, 0.601563, 0.601563, -0.124268, 0.023682, -0.023682],
    [0.018799, -0.106445, 0.862061, 0.288330, -0.076904, 0.015625, -0.018799],
];

/// Low-pass before the enhancer's pitch search at 4 kHz (`lpFilt_coefsTbl`); symmetric.
pub(super) const HALF_BAND: [f32; 7] = [-0.066650, 0.125000, 0.316650, 0.414063, 0.316650, 0.125000, -0.066650];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_computed_agrees_with_libm() {
        for (i, &log) in STATE_MAXIMUM_LOG.iter().enumerate() {
            assert!((f64::from(STATE_MAXIMUM[i]) / 10_f64.powf(log) - 1.0).abs() < 1e-7);
        }
        assert!(STATE_MAXIMUM_BOUNDARY.is_sorted());
        for i in 0..32 {
            let x = f64::from(i) * 0.1;
            assert!((cosine(x) - x.cos()).abs() < 1e-13, "{x}");
        }
    }
}
