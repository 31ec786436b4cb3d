//! Opening a `cpal` stream of any sample format over a callback of ours.

use std::sync::Arc;
use std::time::Duration;

use cpal::traits::DeviceTrait as _;
use cpal::{ErrorKind, FromSample, SampleFormat, SizedSample, StreamConfig};

use super::ends::{CaptureCallback, PlaybackCallback};

/// How long the system may take to set up a stream.
const SETUP: Option<Duration> = Some(Duration::from_secs(5));

pub(super) fn build_capture(
    device: &cpal::Device,
    config: StreamConfig,
    format: SampleFormat,
    callback: CaptureCallback,
) -> Result<cpal::Stream, cpal::Error> {
    match format {
        SampleFormat::I8 => capture_of::<i8>(device, config, callback),
        SampleFormat::I16 => capture_of::<i16>(device, config, callback),
        SampleFormat::I24 => capture_of::<cpal::I24>(device, config, callback),
        SampleFormat::I32 => capture_of::<i32>(device, config, callback),
        SampleFormat::I64 => capture_of::<i64>(device, config, callback),
        SampleFormat::U8 => capture_of::<u8>(device, config, callback),
        SampleFormat::U16 => capture_of::<u16>(device, config, callback),
        SampleFormat::U24 => capture_of::<cpal::U24>(device, config, callback),
        SampleFormat::U32 => capture_of::<u32>(device, config, callback),
        SampleFormat::U64 => capture_of::<u64>(device, config, callback),
        SampleFormat::F32 => capture_of::<f32>(device, config, callback),
        SampleFormat::F64 => capture_of::<f64>(device, config, callback),
        _ => Err(cpal::Error::new(ErrorKind::UnsupportedConfig)),
    }
}

fn capture_of<T: SizedSample>(
    device: &cpal::Device,
    config: StreamConfig,
    mut callback: CaptureCallback,
) -> Result<cpal::Stream, cpal::Error>
where
    f32: FromSample<T>,
{
    let shared = Arc::clone(&callback.shared);
    let on_error = move |e: cpal::Error| shared.report(e.kind());
    device.build_input_stream(config, move |data: &[T], _: &_| callback.run(data), on_error, SETUP)
}

pub(super) fn build_playback(
    device: &cpal::Device,
    config: StreamConfig,
    format: SampleFormat,
    callback: PlaybackCallback,
) -> Result<cpal::Stream, cpal::Error> {
    match format {
        SampleFormat::I8 => playback_of::<i8>(device, config, callback),
        SampleFormat::I16 => playback_of::<i16>(device, config, callback),
        SampleFormat::I24 => playback_of::<cpal::I24>(device, config, callback),
        SampleFormat::I32 => playback_of::<i32>(device, config, callback),
        SampleFormat::I64 => playback_of::<i64>(device, config, callback),
        SampleFormat::U8 => playback_of::<u8>(device, config, callback),
        SampleFormat::U16 => playback_of::<u16>(device, config, callback),
        SampleFormat::U24 => playback_of::<cpal::U24>(device, config, callback),
        SampleFormat::U32 => playback_of::<u32>(device, config, callback),
        SampleFormat::U64 => playback_of::<u64>(device, config, callback),
        SampleFormat::F32 => playback_of::<f32>(device, config, callback),
        SampleFormat::F64 => playback_of::<f64>(device, config, callback),
        _ => Err(cpal::Error::new(ErrorKind::UnsupportedConfig)),
    }
}

fn playback_of<T: SizedSample + FromSample<f32>>(
    device: &cpal::Device,
    config: StreamConfig,
    mut callback: PlaybackCallback,
) -> Result<cpal::Stream, cpal::Error> {
    let shared = Arc::clone(&callback.shared);
    let on_error = move |e: cpal::Error| shared.report(e.kind());
    device.build_output_stream(config, move |data: &mut [T], _: &_| callback.run(data), on_error, SETUP)
}
