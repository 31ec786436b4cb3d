//! `peers-aec FAR MIC OUT`: WebRTC's AEC3 as the crate sonora has it, on raw 16-bit mono files of 16 kHz.
//!
//! Echo canceller with its default settings and its high-pass filter; no noise suppression, no gain control, no delay
//! told. Each 10 ms the far end goes in first, then the microphone. Prints the mean time of a 10 ms block in
//! nanoseconds, far end and microphone together.

use std::{env, fs, process::ExitCode, time::Instant};

use sonora::config::EchoCanceller;
use sonora::{AudioProcessing, Config, StreamConfig};

/// Samples of 10 ms at 16 kHz.
const BLOCK: usize = 160;

fn read(path: &str) -> Result<Vec<i16>, String> {
    let bytes = fs::read(path).map_err(|e| format!("{path}: {e}"))?;
    Ok(bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect())
}

fn run(far: &str, mic: &str, out: &str) -> Result<(), String> {
    let (far, mic) = (read(far)?, read(mic)?);
    let config = Config { echo_canceller: Some(EchoCanceller::default()), ..Config::default() };
    let mono = StreamConfig::new(16_000, 1);
    let mut apm = AudioProcessing::builder().config(config).capture_config(mono).render_config(mono).build();
    let (mut heard, mut render, mut clean) = (Vec::with_capacity(2 * mic.len()), [0i16; BLOCK], [0i16; BLOCK]);
    let (start, mut blocks) = (Instant::now(), 0u32);
    for (f, m) in far.chunks_exact(BLOCK).zip(mic.chunks_exact(BLOCK)) {
        apm.process_render_i16(f, &mut render).map_err(|e| format!("far end: {e:?}"))?;
        apm.process_capture_i16(m, &mut clean).map_err(|e| format!("microphone: {e:?}"))?;
        heard.extend(clean.iter().flat_map(|s| s.to_le_bytes()));
        blocks += 1;
    }
    println!("{}", start.elapsed().as_nanos() / u128::from(blocks.max(1)));
    fs::write(out, heard).map_err(|e| format!("{out}: {e}"))
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let [far, mic, out] = args.as_slice() else {
        eprintln!("usage: peers-aec FAR MIC OUT");
        return ExitCode::from(2);
    };
    match run(far, mic, out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
