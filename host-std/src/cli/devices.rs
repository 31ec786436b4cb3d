//! `media-core devices`.

use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use host_std::device::{
    AudioIo, CardConfig, CardIo, DeviceChoice, DeviceError, DeviceInfo, Direction, FormatInfo, LoopTest, Looped,
    list_devices,
};
use serde_json::json;

use super::{Outcome, print};

/// The rate at which devices are tried, in Hz.
const TEST_HZ: u32 = 16_000;
/// A tick of it.
const TICK: Duration = Duration::from_millis(10);

/// List the sound devices of this machine, or try two of them
///
/// --microphone and --speaker of offer and answer take a device's id, its name, or a part of the name. An id stays the
/// same from run to run.
#[derive(ClapArgs)]
pub(super) struct DevicesArgs {
    /// Play sweeps by the loudspeaker, look for them in what the microphone captures, and say how long the way is. It
    /// takes 5 s, and fails if there is no device or nothing comes back
    #[arg(long)]
    test: bool,
    /// With --test: the microphone, by id or name
    #[arg(long, default_value = "default", value_name = "DEVICE", requires = "test")]
    microphone: String,
    /// With --test: the loudspeaker, by id or name
    #[arg(long, default_value = "default", value_name = "DEVICE", requires = "test")]
    speaker: String,
    /// Print JSON for a program to read
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &DevicesArgs) -> Outcome {
    if args.test {
        return test(args);
    }
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

/// Plays, captures, and says what came back.
fn test(args: &DevicesArgs) -> Outcome {
    let choice = |name: &str| match name {
        "default" => DeviceChoice::Default,
        name => DeviceChoice::Named(name.into()),
    };
    let mut card = CardIo::open(CardConfig {
        capture: choice(&args.microphone),
        playback: choice(&args.speaker),
        sample_rate_hz: TEST_HZ,
        ..CardConfig::default()
    })
    .map_err(|error| match error {
        // That calls work without one is of no use here.
        DeviceError::NoDevice { direction, .. } => {
            format!("no sound device for {direction}: nothing can be tested").into()
        }
        error => Box::<dyn std::error::Error>::from(error),
    })?;
    let mut test = LoopTest::new(TEST_HZ);
    let mut next = Instant::now();
    while test.tick(&mut card) {
        if card.failure().is_some() {
            return Err("the sound device is lost".into());
        }
        next += TICK;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let (result, told, counters) = (test.result(), card.latency(), card.counters());
    let ways = [Direction::Capture, Direction::Playback].map(|way| (way, card.opened(way)));
    let ms = |duration: dsp_core::time::Duration| duration.as_micros() as f64 / 1e3;
    if args.json {
        let heard = match result {
            Looped::Heard { latency, sweeps, likeness } => {
                json!({ "latency_ms": ms(latency), "sweeps": sweeps, "likeness": likeness })
            }
            _ => json!(null),
        };
        let device = |way: &Option<(&str, u32, u16, String)>| {
            way.as_ref().map(|(name, rate_hz, channels, sample)| {
                json!({ "name": name, "rate_hz": rate_hz, "channels": channels, "sample": sample })
            })
        };
        let told = json!({
            "loop": heard,
            "words": result.to_string(),
            "capture": device(&ways[0].1),
            "playback": device(&ways[1].1),
            "told_capture_ms": ms(told.capture),
            "told_playback_ms": ms(told.playback),
            "xruns": counters.xruns,
        });
        print(&format!("{}\n", serde_json::to_string_pretty(&told)?))?;
    } else {
        let mut text = String::new();
        for (way, opened) in &ways {
            if let Some((name, rate_hz, channels, sample)) = opened {
                text += &format!("{:<9} {name}: {sample} {rate_hz} Hz x {channels}\n", way.to_string());
            }
        }
        let (capture, playback) = (ms(told.capture), ms(told.playback));
        text += &format!(
            "buffers   {playback:.1} ms to the loudspeaker, {capture:.1} ms from the microphone, {} underruns or overruns\n",
            counters.xruns
        );
        if matches!(result, Looped::Heard { .. }) {
            text += &format!("loop      {result}\n");
        }
        print(&text)?;
    }
    let closed = card.close();
    match result {
        Looped::Heard { .. } => Ok(closed?),
        why => Err(why.to_string().into()),
    }
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
