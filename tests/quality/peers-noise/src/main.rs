//! `peers-noise PEER IN OUT`: noise suppressors on raw 16-bit mono files.
//!
//! PEER is sonora12, sonora18 or sonora21 (WebRTC's noise suppression as the crate sonora-ns has it, at 16 kHz, by its level
//! in dB) or rnnoise (the crate nnnoiseless with the model it comes with, at 48 kHz). Prints the mean time of a 10 ms block in
//! nanoseconds.

use std::{env, fs, process::ExitCode, time::Instant};

use nnnoiseless::DenoiseState;
use sonora_ns::config::{NsConfig, SuppressionLevel};
use sonora_ns::noise_suppressor::NoiseSuppressor;

/// Samples of 10 ms at 16 and 48 kHz.
const BLOCK: usize = 160;
const WIDE_BLOCK: usize = DenoiseState::FRAME_SIZE;

fn sonora(level: SuppressionLevel, samples: &mut [f32]) -> u32 {
    let mut suppressor = NoiseSuppressor::new(NsConfig { target_level: level });
    let mut blocks = 0;
    for block in samples.as_chunks_mut::<BLOCK>().0 {
        suppressor.analyze(block);
        suppressor.process(block);
        blocks += 1;
    }
    blocks
}

fn rnnoise(samples: &mut [f32]) -> u32 {
    let mut suppressor = DenoiseState::new();
    let mut blocks = 0;
    for block in samples.as_chunks_mut::<WIDE_BLOCK>().0 {
        let heard = *block;
        suppressor.process_frame(block, &heard);
        blocks += 1;
    }
    blocks
}

fn run(peer: &str, from: &str, to: &str) -> Result<(), String> {
    let bytes = fs::read(from).map_err(|e| format!("{from}: {e}"))?;
    // All of them take floats of the size of 16-bit samples.
    let mut samples: Vec<f32> = bytes.chunks_exact(2).map(|b| f32::from(i16::from_le_bytes([b[0], b[1]]))).collect();
    let start = Instant::now();
    let blocks = match peer {
        "sonora12" => sonora(SuppressionLevel::K12dB, &mut samples),
        "sonora18" => sonora(SuppressionLevel::K18dB, &mut samples),
        "sonora21" => sonora(SuppressionLevel::K21dB, &mut samples),
        "rnnoise" => rnnoise(&mut samples),
        other => return Err(format!("no peer is called {other}")),
    };
    println!("{}", start.elapsed().as_nanos() / u128::from(blocks.max(1)));
    let out: Vec<u8> = samples.iter().flat_map(|s| (s.round() as i16).to_le_bytes()).collect();
    fs::write(to, out).map_err(|e| format!("{to}: {e}"))
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let [peer, from, to] = args.as_slice() else {
        eprintln!("usage: peers-noise PEER IN OUT");
        return ExitCode::from(2);
    };
    match run(peer, from, to) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
