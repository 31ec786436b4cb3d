//! Benchmarks of Media Core beside its peers; each file in `benches/` is one subject.

/// Speech of the project's own, mono, 16-bit, at 16 kHz: five seconds from the middle of a sentence.
pub fn speech_16k() -> Vec<i16> {
    let wav = include_bytes!("../../host-std/assets/woman.wav");
    // The header of a plain PCM file is 44 bytes long.
    wav[44..].chunks_exact(2).map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]])).skip(8_000).take(80_000).collect()
}

/// The same at 8 kHz: every second sample of a three-tap average, which is good enough to be encoded.
pub fn speech_8k() -> Vec<i16> {
    let sum = |w: &[i16]| (i32::from(w[0]) + 2 * i32::from(w[1]) + i32::from(w[2])) / 4;
    speech_16k().windows(3).step_by(2).map(|window| sum(window) as i16).collect()
}

pub mod protected;
#[cfg(feature = "c-peers")]
pub mod spandsp;
#[cfg(feature = "c-peers")]
pub mod speexdsp;
