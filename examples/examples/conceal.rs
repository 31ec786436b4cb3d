//! Conceals lost packets in a WAV file: `conceal IN.wav MASK.txt OUT.wav [--ahead]`.
//!
//! Packets are 20 ms; the mask has one character a packet, `1` for a lost one. With `--ahead` the packet after the
//! one being played is known, as when a jitter buffer holds it already.

use dsp_core::receive::plc::Concealer;
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args: Vec<String> = env::args().skip(1).collect();
    let ahead = args.iter().any(|a| a == "--ahead");
    args.retain(|a| !a.starts_with("--"));
    let [input, mask, output] = args.as_slice() else {
        return Err("conceal IN.wav MASK.txt OUT.wav [--ahead]".into());
    };
    let mut reader = hound::WavReader::open(input)?;
    let spec = reader.spec();
    if spec.channels != 1 || spec.bits_per_sample != 16 {
        return Err("the input must be 16-bit mono".into());
    }
    let mut x = reader.samples::<i16>().collect::<Result<Vec<_>, _>>()?;
    let lost: Vec<bool> = fs::read_to_string(mask)?.chars().filter(|c| !c.is_whitespace()).map(|c| c == '1').collect();
    if lost.is_empty() {
        return Err("the mask is empty".into());
    }

    let frame = spec.sample_rate as usize / 50;
    let keep = frame * 6;
    let mut concealer = Concealer::new(spec.sample_rate);
    let is_lost = |i: usize| lost[i % lost.len()];
    for i in 0..x.len() / frame {
        let (history, rest) = x.split_at_mut(i * frame);
        let history = &history[history.len() - history.len().min(keep)..];
        let (now, next) = rest.split_at_mut(frame);
        if is_lost(i) {
            if ahead && next.len() >= frame && !is_lost(i + 1) {
                concealer.bridge(history, now, &mut next[..frame]);
            } else {
                concealer.conceal(history, now);
            }
        } else if concealer.is_concealing() {
            concealer.merge(history, now);
        }
    }

    let mut writer = hound::WavWriter::create(output, spec)?;
    for v in x {
        writer.write_sample(v)?;
    }
    writer.finalize()?;
    Ok(())
}
