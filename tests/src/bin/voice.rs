//! Detects voices in raw PCM: `voice RATE AGGRESSIVENESS`, little-endian 16-bit samples of one channel on the standard
//! input. Prints a line for each 10 ms: the probability of speech (0 to 255) and the decision (0 or 1).

use std::io::{Read, Write};
use std::process::ExitCode;

use dsp_core::process::voice::{VoiceConfig, VoiceDetector};

fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rate, aggressiveness] = &arguments[..] else { return Err("usage: voice RATE AGGRESSIVENESS".into()) };
    let sample_rate_hz = rate.parse().map_err(|error| format!("{rate}: {error}"))?;
    let aggressiveness = aggressiveness.parse().map_err(|error| format!("{aggressiveness}: {error}"))?;
    let config = VoiceConfig { sample_rate_hz, aggressiveness, ..VoiceConfig::default() };
    let mut detector = VoiceDetector::new(config).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).map_err(|error| format!("standard input: {error}"))?;
    let (pairs, _) = bytes.as_chunks();
    let pcm: Vec<i16> = pairs.iter().map(|&pair| i16::from_le_bytes(pair)).collect();
    let mut lines = String::new();
    for block in pcm.chunks_exact(sample_rate_hz as usize / 100) {
        let voice = detector.hear(block);
        lines += &format!("{} {}\n", voice.probability, u8::from(voice.speech));
    }
    std::io::stdout().write_all(lines.as_bytes()).map_err(|error| format!("standard output: {error}"))
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("voice: {error}");
            ExitCode::FAILURE
        }
    }
}
