//! Conceals lost packets in speech, with the concealment alone: no call, no RTP, no jitter buffer.
//!
//! You learn the three functions of a `Concealer`: `conceal` makes the next piece of a gap from what was heard before
//! it, `merge` fades over into the sound after the gap, and `bridge` fills a gap from both sides when the packet after
//! it is known already.
//!
//! Without arguments, the program loses every tenth packet of a recording and prints how loud the gaps are. `conceal
//! IN.wav MASK.txt OUT.wav [--ahead]` processes a file. Packets are 20 ms long, and the mask has one character for
//! each packet, `1` for a lost one. With `--ahead`, the packet after a gap is known when the gap has to be filled, as
//! if a jitter buffer held it; the last 60 ms of a gap are then filled from both sides, as in the receiver.

use std::{env, error::Error, fs};

use dsp_core::waveform::Concealer;

/// Somebody who speaks, 16 kHz.
const VOICE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../host-std/assets/woman.wav");

fn main() -> Result<(), Box<dyn Error>> {
    let mut args: Vec<String> = env::args().skip(1).collect();
    let ahead = args.iter().any(|a| a == "--ahead");
    args.retain(|a| !a.starts_with("--"));
    match args.as_slice() {
        [] => demonstrate(),
        [input, mask, output] => convert(input, mask, output, ahead),
        _ => Err("conceal [IN.wav MASK.txt OUT.wav [--ahead]]".into()),
    }
}

/// Every tenth packet of a voice is lost: how loud are the holes, beside what was said there?
fn demonstrate() -> Result<(), Box<dyn Error>> {
    let (said, spec) = read(VOICE)?;
    let frame = spec.sample_rate as usize / 50;
    let lost = [false, false, false, false, false, false, false, false, false, true];
    for ahead in [false, true] {
        let mut heard = said.clone();
        for (packet, samples) in heard.chunks_mut(frame).enumerate() {
            if lost[packet % lost.len()] {
                samples.fill(0); // nothing of a lost packet is known
            }
        }
        conceal(&mut heard, spec.sample_rate, &lost, ahead);
        let (mut power, mut made_up) = (0.0, 0.0);
        for (said, heard) in said.chunks_exact(frame).zip(heard.chunks_exact(frame)).skip(9).step_by(10) {
            power += said.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
            made_up += heard.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        }
        let level_db = 10.0 * (made_up / power).log10();
        let how = if ahead { "from both sides" } else { "from what was before" };
        println!("filled {how}: the holes are {level_db:.1} dB beside what was said there");
        assert!(level_db.abs() < 3.0, "{level_db}");
    }
    Ok(())
}

fn convert(input: &str, mask: &str, output: &str, ahead: bool) -> Result<(), Box<dyn Error>> {
    let (mut x, spec) = read(input)?;
    let lost: Vec<bool> = fs::read_to_string(mask)?.chars().filter(|c| !c.is_whitespace()).map(|c| c == '1').collect();
    if lost.is_empty() {
        return Err("the mask is empty".into());
    }
    conceal(&mut x, spec.sample_rate, &lost, ahead);
    let mut writer = hound::WavWriter::create(output, spec)?;
    for v in x {
        writer.write_sample(v)?;
    }
    writer.finalize()?;
    Ok(())
}

fn read(path: &str) -> Result<(Vec<i16>, hound::WavSpec), Box<dyn Error>> {
    let mut reader = hound::WavReader::open(path)?;
    let spec = reader.spec();
    if spec.channels != 1 || spec.bits_per_sample != 16 {
        return Err("the input must be 16-bit mono".into());
    }
    Ok((reader.samples::<i16>().collect::<Result<Vec<_>, _>>()?, spec))
}

/// Makes up the packets that the mask, over and over, says are lost.
fn conceal(x: &mut [i16], rate_hz: u32, lost: &[bool], ahead: bool) {
    let frame = rate_hz as usize / 50;
    let frames = x.len() / frame;
    let keep = frame * 6;
    let mut concealer = Concealer::new(rate_hz);
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
}
