//! Controls the gain of raw PCM: `agc RATE TARGET_DBOV`, little-endian 16-bit samples of one channel on the standard input. Prints a
//! line for each 10 ms: the gain in hundredths of a decibel, and the highest magnitude that leaves (full scale is 1).

use std::io::{Read, Write};
use std::process::ExitCode;

use dsp_core::process::agc::{Agc, AgcConfig};

fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rate, target] = &arguments[..] else { return Err("usage: agc RATE TARGET_DBOV".into()) };
    let sample_rate_hz = rate.parse().map_err(|error| format!("{rate}: {error}"))?;
    let target_dbov = target.parse().map_err(|error| format!("{target}: {error}"))?;
    let config = AgcConfig { sample_rate_hz, target_dbov, ..AgcConfig::default() };
    let mut agc = Agc::new(config).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).map_err(|error| format!("standard input: {error}"))?;
    let (pairs, _) = bytes.as_chunks();
    let pcm: Vec<f32> = pairs.iter().map(|&pair| f32::from(i16::from_le_bytes(pair)) / 32_768.0).collect();
    let mut lines = String::new();
    for block in pcm.chunks_exact(sample_rate_hz as usize / 100) {
        let mut block = block.to_vec();
        agc.process(&mut block);
        let highest = block.iter().fold(0f32, |highest, sample| highest.max(sample.abs()));
        lines += &format!("{} {highest:.6}\n", agc.gain_hundredths_db());
    }
    std::io::stdout().write_all(lines.as_bytes()).map_err(|error| format!("standard output: {error}"))
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("agc: {error}");
            ExitCode::FAILURE
        }
    }
}
