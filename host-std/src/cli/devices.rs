//! `media-core devices`.

use clap::Args as ClapArgs;
use host_std::device::{DeviceError, DeviceInfo, FormatInfo, list_devices};
use serde_json::json;

use super::{Outcome, print};

/// List the sound devices of this machine
///
/// --microphone and --speaker of offer and answer take a device's id, its name, or a part of the name.
#[derive(ClapArgs)]
pub(super) struct Args {
    /// Print JSON for a program to read
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    let devices = match list_devices() {
        // A machine without sound has an empty list: no failure of this command.
        Err(DeviceError::NoDevice { .. }) => Vec::new(),
        devices => devices?,
    };
    if args.json {
        let list: Vec<_> = devices.iter().map(to_json).collect();
        return print(&format!("{}\n", serde_json::to_string_pretty(&json!({ "devices": list }))?));
    }
    if devices.is_empty() {
        return print("No sound device. Calls still work with --null or with WAV files (--microphone, --speaker).\n");
    }
    let mut text = String::new();
    for device in &devices {
        text += &format!("{}\n  id        {}\n", device.name, device.id);
        text += &describe("capture", device.default_capture, &device.capture);
        text += &describe("playback", device.default_playback, &device.playback);
    }
    print(&text)
}

fn describe(what: &str, default: bool, formats: &[FormatInfo]) -> String {
    if formats.is_empty() {
        return String::new();
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
    format!("  {what:<9} {default}{}\n", list.join(", "))
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
