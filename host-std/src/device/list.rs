//! The list of sound devices, and the choice among a device's formats.

use cpal::traits::{DeviceTrait as _, HostTrait as _};
use cpal::{Device, ErrorKind, SampleFormat, StreamConfig, SupportedStreamConfigRange};

use super::{DeviceChoice, DeviceError, Direction};

/// One sound device of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The name that the system shows to people.
    pub name: String,
    /// The system's own key for the device; it stays the same from run to run.
    pub id: String,
    /// Whether it is the default for capture.
    pub default_capture: bool,
    /// Whether it is the default for playback.
    pub default_playback: bool,
    /// The formats that it can capture; empty if it can't capture.
    pub capture: Vec<FormatInfo>,
    /// The formats that it can play; empty if it can't play.
    pub playback: Vec<FormatInfo>,
}

/// A range of formats that a device supports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatInfo {
    /// The fewest channels, which are interleaved.
    pub min_channels: u16,
    /// The most channels.
    pub max_channels: u16,
    /// The lowest rate, in Hz.
    pub min_rate_hz: u32,
    /// The highest rate, in Hz.
    pub max_rate_hz: u32,
    /// The sample's coding, for example `i16` or `f32`.
    pub sample: String,
}

/// Lists all sound devices of the system that can capture or play. The system may take a while to answer.
///
/// # Errors
/// [`DeviceError::NoDevice`] if the system has no sound at all.
pub fn list_devices() -> Result<Vec<DeviceInfo>, DeviceError> {
    keep_libasound_quiet();
    let host = cpal::default_host();
    let no_device = |source| DeviceError::NoDevice { direction: Direction::Playback, source };
    let default_capture = host.default_input_device().and_then(|d| d.id().ok());
    let default_playback = host.default_output_device().and_then(|d| d.id().ok());
    let devices: Vec<_> = host
        .devices()
        .map_err(|e| no_device(Some(e)))?
        .map(|device| {
            let id = device.id().ok();
            DeviceInfo {
                name: name_of(&device),
                default_capture: id.is_some() && id == default_capture,
                default_playback: id.is_some() && id == default_playback,
                id: id.map_or_else(String::new, |id| id.id().to_owned()),
                capture: summary(&formats(&device, Direction::Capture)),
                playback: summary(&formats(&device, Direction::Playback)),
            }
        })
        .filter(|device| !device.capture.is_empty() || !device.playback.is_empty())
        // ALSA's plugin that drops everything: there is one on every machine, and no sound from it.
        .filter(|device| !(cfg!(target_os = "linux") && device.id == "null"))
        .collect();
    if devices.is_empty() { Err(no_device(None)) } else { Ok(devices) }
}

/// One entry for what differs in channels alone: a virtual device has dozens of each.
fn summary(ranges: &[SupportedStreamConfigRange]) -> Vec<FormatInfo> {
    let mut all: Vec<FormatInfo> = Vec::new();
    for range in ranges.iter().filter(|range| !range.sample_format().is_dsd()) {
        let one = FormatInfo {
            min_channels: range.channels(),
            max_channels: range.channels(),
            min_rate_hz: range.min_sample_rate(),
            max_rate_hz: range.max_sample_rate(),
            sample: range.sample_format().to_string(),
        };
        let like = |f: &&mut FormatInfo| {
            (f.min_rate_hz, f.max_rate_hz, &f.sample) == (one.min_rate_hz, one.max_rate_hz, &one.sample)
        };
        match all.iter_mut().find(like) {
            Some(f) => {
                f.min_channels = f.min_channels.min(one.min_channels);
                f.max_channels = f.max_channels.max(one.max_channels);
            }
            None => all.push(one),
        }
    }
    all
}

/// Returns the name in one line: some systems give a second with remarks. Empty for a device that has just gone.
pub(super) fn name_of(device: &Device) -> String {
    device.description().ok().and_then(|d| d.name().lines().next().map(str::to_owned)).unwrap_or_default()
}

fn formats(device: &Device, direction: Direction) -> Vec<SupportedStreamConfigRange> {
    match direction {
        Direction::Capture => device.supported_input_configs().map(Iterator::collect),
        Direction::Playback => device.supported_output_configs().map(Iterator::collect),
    }
    .unwrap_or_default()
}

/// libasound reports each device that can't be opened in several lines on stderr, which is the program's own output. For this
/// thread they go to a buffer, a new one each time; with debug logging they stay.
fn keep_libasound_quiet() {
    #[cfg(target_os = "linux")]
    if !tracing::enabled!(tracing::Level::DEBUG) {
        // It fails for lack of memory only, and then there is just more to read.
        let _ = alsa::Output::local_error_handler();
    }
}

/// Returns the device that `choice` means, or `None` for [`DeviceChoice::Off`].
pub(super) fn find(choice: &DeviceChoice, direction: Direction) -> Result<Option<Device>, DeviceError> {
    keep_libasound_quiet();
    let host = cpal::default_host();
    let name = match choice {
        DeviceChoice::Off => return Ok(None),
        DeviceChoice::Default => {
            let default = match direction {
                Direction::Capture => host.default_input_device(),
                Direction::Playback => host.default_output_device(),
            };
            return default.map(Some).ok_or(DeviceError::NoDevice { direction, source: None });
        }
        DeviceChoice::Named(name) => name,
    };
    let devices: Vec<Device> =
        host.devices().map_err(|e| DeviceError::NoDevice { direction, source: Some(e) })?.collect();
    let wanted = name.to_lowercase();
    let by_id = |d: &&Device| d.id().is_ok_and(|id| id.id() == name);
    let by_name = |d: &&Device| name_of(d) == *name;
    // A part of the name fits many devices of a card: the first that has the direction.
    let by_part = |d: &&Device| name_of(d).to_lowercase().contains(&wanted) && !formats(d, direction).is_empty();
    devices
        .iter()
        .find(by_id)
        .or_else(|| devices.iter().find(by_name))
        .or_else(|| devices.iter().find(by_part).filter(|_| !wanted.is_empty()))
        .cloned()
        .map(Some)
        .ok_or_else(|| DeviceError::NotFound { name: name.clone(), direction })
}

/// Returns the format to open `device` with: a rate that speech codecs divide, few channels, an easy sample format.
pub(super) fn choose(
    device: &Device,
    direction: Direction,
    choice: &DeviceChoice,
    own_channels: usize,
) -> Result<(StreamConfig, SampleFormat), DeviceError> {
    let ranges = match direction {
        Direction::Capture => device.supported_input_configs().map(Iterator::collect::<Vec<_>>),
        Direction::Playback => device.supported_output_configs().map(Iterator::collect::<Vec<_>>),
    };
    let ranges = ranges.map_err(|source| match (choice, source.kind()) {
        // A system without a card still has a device called default, which can't be opened.
        (DeviceChoice::Default, ErrorKind::DeviceNotAvailable | ErrorKind::HostUnavailable) => {
            DeviceError::NoDevice { direction, source: Some(source) }
        }
        _ => DeviceError::Open { name: name_of(device), source },
    })?;
    ranges
        .iter()
        .filter(|range| {
            !range.sample_format().is_dsd() && range.channels() > 0 && rate_of(range).is_some_and(|hz| hz > 0)
        })
        .min_by_key(|range| cost(range, direction, own_channels))
        .and_then(|range| {
            let config = StreamConfig {
                channels: range.channels(),
                sample_rate: rate_of(range)?,
                buffer_size: Default::default(),
            };
            Some((config, range.sample_format()))
        })
        .ok_or_else(|| DeviceError::Unsupported { name: name_of(device), direction })
}

/// Returns the rate to take from a range, if it has one between 8 and 192 kHz.
fn rate_of(range: &SupportedStreamConfigRange) -> Option<u32> {
    [48_000, 44_100, 96_000, 32_000, 16_000, 192_000, 88_200, 24_000, 22_050, 12_000, 11_025, 8_000]
        .into_iter()
        .find(|&hz| range.contains_rate(hz))
        .or_else(|| Some(range.max_sample_rate()).filter(|hz| (4_000..=192_000).contains(hz)))
}

fn cost(range: &SupportedStreamConfigRange, direction: Direction, own_channels: usize) -> (u32, u32, u32) {
    let rate = match rate_of(range) {
        Some(48_000) => 0,
        Some(hz) if hz > 48_000 => 1,
        Some(44_100) => 2,
        Some(hz) => 200_000 - hz,
        None => u32::MAX,
    };
    let channels = match (direction, range.channels()) {
        // A loudspeaker on one channel of two sounds from one side only; some drivers then play the left alone.
        (Direction::Playback, 2) => 0,
        (Direction::Capture, n) if usize::from(n) == own_channels => 0,
        (_, n) => u32::from(n),
    };
    let format = match range.sample_format() {
        SampleFormat::F32 => 0,
        SampleFormat::I32 | SampleFormat::I24 => 1,
        SampleFormat::I16 => 2,
        SampleFormat::U8 | SampleFormat::I8 => 4,
        _ => 3,
    };
    (rate, channels, format)
}
