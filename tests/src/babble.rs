//! A voice of sorts and bits without a pattern, from integers alone: the same on every processor.

/// Bits without a pattern, from a number.
pub fn scramble(n: u32) -> u32 {
    let n = (n ^ (n >> 16)).wrapping_mul(0x7feb_352d);
    let n = (n ^ (n >> 15)).wrapping_mul(0x846c_a68b);
    n ^ (n >> 16)
}

/// A triangle of period 2^16 and peak 2^14.
fn triangle(phase: u32) -> i32 {
    let phase = (phase & 0xffff) as i32;
    (phase - 0x8000).abs() - 0x4000
}

/// A voice of sorts: three harmonics on a pitch that glides between 100 and 200 Hz, in syllables of 256 ms of which
/// every fourth is noise and every eighth a pause.
pub fn voice(index: u32) -> i16 {
    let syllable = index >> 11;
    let within = (index & 0x7ff) as i32;
    let loudness = (within * (0x7ff - within)) >> 10;
    let sound = match syllable % 8 {
        1 | 5 => (scramble(index) >> 19) as i32 - 4_096,
        3 => 0,
        _ => {
            // 2^16 a period: 819 is 100 Hz.
            let phase = index.wrapping_mul(819 + (scramble(syllable) & 0x1ff)) + ((index & 0x7ff).pow(2) >> 8);
            triangle(phase) + triangle(phase.wrapping_mul(3)) / 2 + triangle(phase.wrapping_mul(7)) / 4
        }
    };
    ((sound * loudness) >> 10) as i16
}
