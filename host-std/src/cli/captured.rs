//! Digits and tones of a capture, for `media-core dtmf detect` and `media-core tone detect`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use dsp_core::tone::Country;
use host_std::replay::{CaptureKeys, PayloadMap, StreamDigits, StreamTones, digits, read_keys, tones};
use host_std::report::{DigitRow, ToneRow};
use serde::Serialize;

use super::{Outcome, chain, print};

/// What one may say of a capture.
#[derive(ClapArgs)]
#[command(next_help_heading = "Capture")]
pub(super) struct CapturedArgs {
    /// What payload types are, as 101=telephone-event/8000; several with commas, or given several times
    #[arg(long, value_name = "MAP")]
    payload_map: Vec<String>,
    /// SRTP keys: a line "suite from to key" for each direction, as `demo` and `offer --keys-log` write
    /// them
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
}

/// The output as JSON.
#[derive(Serialize)]
struct Digits<'a> {
    digits: Vec<&'a DigitRow>,
}

/// The same of tones.
#[derive(Serialize)]
struct Tones<'a> {
    tones: Vec<&'a ToneRow>,
}

impl CapturedArgs {
    fn read(&self) -> Result<(PayloadMap, CaptureKeys), Box<dyn std::error::Error>> {
        let mut payloads = PayloadMap::default();
        for map in &self.payload_map {
            payloads.add(map).map_err(|error| format!("--payload-map: {error}"))?;
        }
        Ok((payloads, self.keys.as_deref().map(read_keys).transpose()?.unwrap_or_default()))
    }
}

/// Returns whether a file begins as a capture does: pcap, pcapng, rtpdump, or one of them packed by gzip.
pub(super) fn is_capture(path: &Path) -> bool {
    let mut begins = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut begins));
    let is_pcap = |number: u32| matches!(number, 0xa1b2_c3d4 | 0xa1b2_3c4d | 0x0a0d_0d0a);
    let packed = begins.starts_with(&[0x1f, 0x8b]) || &begins == b"#!rt";
    read.is_ok() && (packed || is_pcap(u32::from_be_bytes(begins)) || is_pcap(u32::from_le_bytes(begins)))
}

/// Prints the digits of a capture: events and tones, each with its time after the first packet of RTP.
pub(super) fn detect(path: &Path, args: &CapturedArgs, json: bool) -> Outcome {
    let (payloads, keys) = args.read()?;
    let streams = digits(path, &keys, &payloads).map_err(|error| format!("{}: {}", path.display(), chain(&error)))?;
    if json {
        let digits = streams.iter().flat_map(|stream| &stream.digits).collect();
        return print(&format!("{}\n", serde_json::to_string_pretty(&Digits { digits })?));
    }
    let mut text = String::new();
    for StreamDigits { stream, digits } in &streams {
        text += &format!("{stream}\n");
        for digit in digits {
            text += &format!("  {digit}\n");
        }
    }
    print(if text.is_empty() { "No digits.\n" } else { &text })
}

/// Prints the tones of a capture as they are in a country, each with its time after the first packet of RTP.
pub(super) fn detect_tones(path: &Path, args: &CapturedArgs, country: &'static Country, json: bool) -> Outcome {
    let (payloads, keys) = args.read()?;
    let streams =
        tones(path, &keys, &payloads, country).map_err(|error| format!("{}: {}", path.display(), chain(&error)))?;
    if json {
        let tones = streams.iter().flat_map(|stream| &stream.tones).collect();
        return print(&format!("{}\n", serde_json::to_string_pretty(&Tones { tones })?));
    }
    let mut text = String::new();
    for StreamTones { stream, tones } in &streams {
        text += &format!("{stream}\n");
        for tone in tones {
            text += &format!("  {tone}\n");
        }
    }
    print(if text.is_empty() { "No tones.\n" } else { &text })
}
