//! `media-core devices`.

use clap::Args as ClapArgs;
use host_std::device::{DeviceInfo, FormatInfo, list_devices};
use serde_json::json;

use super::Outcome;

/// Lists the sound devices.
#[derive(ClapArgs)]
pub(super) struct Args {
    /// Print JSON for a program to read
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    let devices = list_devices()?;
    if args.json {
        let list: Vec<_> = devices.iter().map(to_json).collect();
        println!("{}", serde_json::to_string_pretty(&json!({ "devices": list }))?);
        return Ok(());
    }
    if devices.is_empty() {
        println!("No sound device. Calls still work with --null or with WAV files (--microphone, --speaker).");
    }
    for device in &devices {
        println!("{}", device.name);
        println!("  id        {}", device.id);
        describe("capture", device.default_capture, &device.capture);
        describe("playback", device.default_playback, &device.playback);
    }
    Ok(())
}

fn describe(what: &str, default: bool, formats: &[FormatInfo]) {
    if formats.is_empty() {
        return;
    }
    let default = if default { "default, " } else { "" };
    let list: Vec<_> = formats
        .iter()
        .map(|format| {
            let rates = range(format.min_rate_hz, format.max_rate_hz);
            let channels = range(format.min_channels.into(), format.max_channels.into());
            format!("{} {rates} Hz x {channels}", format.sample)
        })
        .collect();
    println!("  {what:<9} {default}{}", list.join(", "));
}

fn range(low: u32, high: u32) -> String {
    if low == high { low.to_string() } else { format!("{low}-{high}") }
}

fn to_json(device: &DeviceInfo) -> serde_json::Value {
    let formats = |formats: &[FormatInfo]| -> Vec<_> {
        formats
            .iter()
            .map(|format| {
                json!({
                    "sample": format.sample,
                    "min_rate_hz": format.min_rate_hz,
                    "max_rate_hz": format.max_rate_hz,
                    "min_channels": format.min_channels,
                    "max_channels": format.max_channels,
                })
            })
            .collect()
    };
    json!({
        "name": device.name,
        "id": device.id,
        "default_capture": device.default_capture,
        "default_playback": device.default_playback,
        "capture": formats(&device.capture),
        "playback": formats(&device.playback),
    })
}
