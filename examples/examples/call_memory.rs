//! Prints how much memory a call takes, by what was agreed on, as a table in Markdown.
//!
//! You learn where the memory of a call goes: by codec, protection, channels and sources.
//!
//! Each row is a process of its own that makes 1,000 calls, which agree with each other in pairs and hear a second of
//! sound. "Counted" is [`Call::memory_bytes`]. "Resident" is the growth of the process for each call, with everything
//! in it: codec libraries, SDP texts and the allocator's own memory. It is known on Linux only.

use std::error::Error;
use std::net::SocketAddr;
use std::process::Command;

use dsp_core::time::{Duration, Instant};
use host_std::opus::OpusEncoderConfig;
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, Channel};

const CALLS: usize = 1_000;

struct Row {
    name: &'static str,
    codecs: Vec<CodecFormat>,
    srtp: bool,
    stereo: bool,
    sources: usize,
}

fn rows() -> Vec<Row> {
    let row =
        |name, codecs: &[CodecFormat]| Row { name, codecs: codecs.to_vec(), srtp: false, stereo: false, sources: 1 };
    let usual = [CodecFormat::opus(), CodecFormat::g722(), CodecFormat::pcmu(), CodecFormat::pcma()];
    vec![
        row("PCMU", &usual[2..3]),
        Row { srtp: true, ..row("PCMU, SRTP", &usual[2..3]) },
        row("G.722", &usual[1..2]),
        row("Opus, mono", &usual[..1]),
        row("Opus, G.722, PCMU, PCMA (the default)", &usual),
        Row { srtp: true, ..row("the default, SRTP", &usual) },
        Row { stereo: true, ..row("Opus, stereo", &usual[..1]) },
        row("L16, 48 kHz, stereo", &[CodecFormat::l16(48_000, 2)]),
        Row { sources: 31, ..row("PCMU, 31 sources", &usual[2..3]) },
    ]
}

impl Row {
    fn call(&self, port: u16) -> Result<Call, Box<dyn Error>> {
        let opus = OpusEncoderConfig { channels: if self.stereo { 2 } else { 1 }, ..OpusEncoderConfig::default() };
        let srtp = if self.srtp { SrtpPolicy::Required } else { SrtpPolicy::Off };
        Ok(Call::new(CallConfig {
            codecs: self.codecs.clone(),
            registry: Registry::builtin().with(Opus(opus)),
            sources: self.sources,
            srtp,
            ..CallConfig::new(port)?
        })?)
    }
}

/// Resident memory of this process, in bytes.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? * 1_024)
}

/// One row's calls: bytes counted and resident, a call.
fn measure(row: &Row) -> Result<(), Box<dyn Error>> {
    let mut calls: Vec<Call> = Vec::with_capacity(CALLS);
    // What is made once in a process is made here.
    drop((row.call(8_000)?, row.call(8_002)?));
    let before = resident();
    let now = Instant::ZERO;
    for n in 0..CALLS as u16 / 2 {
        let (mut offerer, mut answerer) = (row.call(10_000 + 4 * n)?, row.call(10_002 + 4 * n)?);
        let answer = answerer.answer(now, &offerer.offer()?)?;
        offerer.accept(now, &answer)?;
        calls.extend([offerer, answerer]);
    }
    // All that is taken is written to.
    let from: SocketAddr = "127.0.0.1:9".parse()?;
    let (rate_hz, channels) = (calls[0].sample_rate_hz().unwrap_or(8_000), calls[0].channels().unwrap_or(1));
    let mut pcm = vec![0; rate_hz as usize / 100 * usize::from(channels)];
    let mut datagram = [0; 4_096];
    for pair in calls.chunks_exact_mut(2) {
        for tick in 0..100 {
            let now = Instant::from_millis(10 * tick);
            for side in 0..2 {
                pair[side].play(now, &mut pcm);
                pcm.iter_mut().enumerate().for_each(|(n, sample)| *sample = (n % 64) as i16 * 100);
                pair[side].capture(now, &pcm);
                while let Some(transmit) = pair[side].transmit(now + Duration::from_millis(1), &mut datagram) {
                    if transmit.channel == Channel::Rtp {
                        pair[1 - side].receive(now, Channel::Rtp, from, &mut datagram[..transmit.len]);
                    }
                }
            }
        }
    }
    let heard = calls.iter().all(|call| call.stats().receiver.reception.received > 40);
    assert!(heard, "{}: a call heard nothing", row.name);
    let grown = resident().zip(before).map(|(after, before)| after.saturating_sub(before) / CALLS);
    let registry = Registry::builtin()
        .with(Opus(OpusEncoderConfig { channels: if row.stereo { 2 } else { 1 }, ..OpusEncoderConfig::default() }));
    let library: usize = row
        .codecs
        .iter()
        .filter_map(|codec| registry.describe(codec))
        .enumerate()
        // Decoders of all, and the encoder of the one that is sent.
        .map(|(n, codec)| codec.decoder_bytes * row.sources + if n == 0 { codec.encoder_bytes } else { 0 })
        .sum();
    let kb = |bytes: usize| format!("{:.1}", bytes as f64 / 1_000.0);
    println!("| {} | {} | {} | {} |", row.name, kb(calls[0].memory_bytes()), kb(library), grown.map_or("–".into(), kb));
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let rows = rows();
    if let Some(index) = std::env::args().nth(1) {
        let row = rows.get(index.parse::<usize>()?).ok_or("no such row")?;
        return measure(row);
    }
    println!("| a call that agreed on | counted, KB | codecs' own states, KB | resident, KB |");
    println!("|---|---|---|---|");
    for (index, row) in rows.iter().enumerate() {
        let status = Command::new(std::env::current_exe()?).arg(index.to_string()).status()?;
        if !status.success() {
            return Err(format!("{}: {status}", row.name).into());
        }
    }
    Ok(())
}
