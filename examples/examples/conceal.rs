//! Conceals lost packets in a WAV file: `conceal IN.wav MASK.txt OUT.wav [--ahead]`.
//!
//! Packets are 20 ms; the mask has one character a packet, `1` for a lost one. With `--ahead` the packet after a gap is
//! known when the gap has to be filled, as when a jitter buffer holds it already: like the receiver, the last 60 ms of a
//! gap are then filled from both sides.

use dsp_core::waveform::Concealer;
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
    let frames = x.len() / frame;
    let keep = frame * 6;
    let mut concealer = Concealer::new(spec.sample_rate);
    let is_lost = |i: usize| i < frames && lost[i % lost.len()];
    let mut i = 0;
    while i < frames {
        let gap = (i..).take_while(|k| is_lost(*k)).count();
        let (history, rest) = x.split_at_mut(i * frame);
        let history = &history[history.len() - history.len().min(keep)..];
        let bridged = ahead && i + gap < frames && gap <= 3;
        let (now, next) = rest.split_at_mut(frame * if bridged { gap.max(1) } else { 1 });
        match gap {
            0 if concealer.is_concealing() => concealer.merge(history, now),
            0 => {}
            _ if bridged => concealer.bridge(history, now, &mut next[..frame]),
            _ => concealer.conceal(history, now),
        }
        i += now.len() / frame;
    }

    let mut writer = hound::WavWriter::create(output, spec)?;
    for v in x {
        writer.write_sample(v)?;
    }
    writer.finalize()?;
    Ok(())
}
