//! Speech through Opus with packets lost: encodes, loses, recovers or conceals, decodes. `quality/opus.py` scores it.
//!
//! ```text
//! opus_loss IN.wav OUT.wav method=dred loss=10 burst=2 seed=1 bitrate=24000 ahead=5
//! ```
//!
//! IN is mono at 8, 12, 16, 24 or 48 kHz; packets last 20 ms. A lost packet may be recovered from any of the next `ahead`
//! packets that arrives, which is what a receiver has that plays `ahead` packets late. OUT has the encoder's lookahead
//! taken off its front, so that it lies on IN. Prints what was sent and lost as JSON.
//!
//! Methods: `plain` (libopus' signal-processing concealment), `fec` (in-band FEC), `deep` (concealment by a neural net),
//! `dred` (Deep Redundancy), `fec+dred`. The last three need the feature `opus-dred`.

use std::collections::HashMap;
use std::error::Error;

use dsp_core::codec::{Decoder, Encoder};
use dsp_core::time::Instant;
use host_std::opus::{DEEP_CONCEALMENT, MAX_PAYLOAD, OpusDecoder, OpusEncoder, OpusEncoderConfig};
use host_std::simulate::netsim::{Network, NetworkConfig};

/// Ticks of a packet: 20 ms.
const TICKS: u32 = 960;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, settings @ ..] = &arguments[..] else {
        return Err("usage: opus_loss IN.wav OUT.wav [name=value ...]".into());
    };
    let settings: HashMap<&str, &str> = settings.iter().filter_map(|setting| setting.split_once('=')).collect();
    let number = |name: &str, default: f64| settings.get(name).map_or(Ok(default), |text| text.parse::<f64>());
    let method = *settings.get("method").unwrap_or(&"plain");
    if !["plain", "fec", "deep", "dred", "fec+dred"].contains(&method) {
        return Err(format!("no such method: {method}").into());
    }
    let (fec, dred, deep) = (method.contains("fec"), method.contains("dred"), !["plain", "fec"].contains(&method));
    if deep && !cfg!(feature = "opus-dred") {
        return Err(format!("{method} needs the feature opus-dred").into());
    }
    let loss_percent = number("loss", 10.0)?;
    let ahead = number("ahead", 5.0)? as usize;

    let mut wav = hound::WavReader::open(input)?;
    let sample_rate_hz = wav.spec().sample_rate;
    let speech = wav.samples::<i16>().collect::<Result<Vec<_>, _>>()?;
    let config = OpusEncoderConfig {
        sample_rate_hz,
        bitrate_bps: number("bitrate", 24_000.0)? as u32,
        fec,
        expected_loss_percent: loss_percent.round() as u8,
        dred_ms: if dred { number("dred_ms", 500.0)? as u16 } else { 0 },
        ..Default::default()
    };
    let mut encoder = OpusEncoder::new(config)?;
    let frame = sample_rate_hz as usize / 50;
    let lookahead = encoder.lookahead();
    let mut padded = speech.clone();
    padded.resize((speech.len() + lookahead).div_ceil(frame) * frame, 0);
    let mut network = Network::new(
        NetworkConfig { loss_percent, burst: number("burst", 2.0)?, ..Default::default() },
        number("seed", 1.0)? as u64,
    );
    let (mut packets, mut bytes) = (Vec::new(), 0);
    for pcm in padded.chunks(frame) {
        let mut payload = vec![0; MAX_PAYLOAD];
        let len = encoder.encode(pcm, &mut payload)?;
        payload.truncate(len);
        bytes += payload.len();
        packets.push(network.carry(Instant::ZERO)[0].map(|_| payload));
    }

    let mut decoder = OpusDecoder::new(sample_rate_hz, 1)?;
    decoder.set_complexity(if deep { DEEP_CONCEALMENT } else { 0 })?;
    let mut heard = vec![0; padded.len()];
    let mut recovered = 0;
    for (n, pcm) in heard.chunks_mut(frame).enumerate() {
        if let Some(payload) = &packets[n] {
            decoder.decode(payload, pcm)?;
            continue;
        }
        let later = packets.iter().skip(n + 1).take(ahead).enumerate();
        let next = later.filter_map(|(between, packet)| Some((between as u32, packet.as_ref()?))).next();
        if next.is_some_and(|(between, next)| decoder.recover(next, between * TICKS, pcm)) {
            recovered += 1;
        } else if !decoder.conceal(pcm) {
            return Err("libopus doesn't conceal".into());
        }
    }

    let spec = hound::WavSpec { channels: 1, sample_rate: sample_rate_hz, bits_per_sample: 16, ..wav.spec() };
    let mut out = hound::WavWriter::create(output, spec)?;
    for &sample in &heard[lookahead..][..speech.len()] {
        out.write_sample(sample)?;
    }
    out.finalize()?;
    let lost = packets.iter().filter(|packet| packet.is_none()).count();
    let kbps = bytes as f64 * 8.0 / (packets.len() as f64 * 20.0);
    println!(r#"{{"packets": {}, "lost": {lost}, "recovered": {recovered}, "kbps": {kbps:.2}}}"#, packets.len());
    Ok(())
}
