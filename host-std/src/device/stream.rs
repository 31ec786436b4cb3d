//! Opening a `cpal` stream of any sample format over a callback of ours.

use std::sync::Arc;
use std::time::Duration;

use cpal::traits::DeviceTrait as _;
use cpal::{ErrorKind, I24, SampleFormat, SizedSample, StreamConfig, U24};
use dsp_core::format::{self, Encoding};

use super::callbacks::{CaptureCallback, PlaybackCallback};

/// The time that the system may take to set up a stream.
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
        SampleFormat::I24 => capture_of::<I24>(device, config, callback),
        SampleFormat::I32 => capture_of::<i32>(device, config, callback),
        SampleFormat::I64 => capture_of::<i64>(device, config, callback),
        SampleFormat::U8 => capture_of::<u8>(device, config, callback),
        SampleFormat::U16 => capture_of::<u16>(device, config, callback),
        SampleFormat::U24 => capture_of::<U24>(device, config, callback),
        SampleFormat::U32 => capture_of::<u32>(device, config, callback),
        SampleFormat::U64 => capture_of::<u64>(device, config, callback),
        SampleFormat::F32 => capture_of::<f32>(device, config, callback),
        SampleFormat::F64 => capture_of::<f64>(device, config, callback),
        _ => Err(cpal::Error::new(ErrorKind::UnsupportedConfig)),
    }
}

fn capture_of<T: CardSample>(
    device: &cpal::Device,
    config: StreamConfig,
    mut callback: CaptureCallback,
) -> Result<cpal::Stream, cpal::Error> {
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
        SampleFormat::I24 => playback_of::<I24>(device, config, callback),
        SampleFormat::I32 => playback_of::<i32>(device, config, callback),
        SampleFormat::I64 => playback_of::<i64>(device, config, callback),
        SampleFormat::U8 => playback_of::<u8>(device, config, callback),
        SampleFormat::U16 => playback_of::<u16>(device, config, callback),
        SampleFormat::U24 => playback_of::<U24>(device, config, callback),
        SampleFormat::U32 => playback_of::<u32>(device, config, callback),
        SampleFormat::U64 => playback_of::<u64>(device, config, callback),
        SampleFormat::F32 => playback_of::<f32>(device, config, callback),
        SampleFormat::F64 => playback_of::<f64>(device, config, callback),
        _ => Err(cpal::Error::new(ErrorKind::UnsupportedConfig)),
    }
}

fn playback_of<T: CardSample>(
    device: &cpal::Device,
    config: StreamConfig,
    mut callback: PlaybackCallback,
) -> Result<cpal::Stream, cpal::Error> {
    let shared = Arc::clone(&callback.shared);
    let on_error = move |e: cpal::Error| shared.report(e.kind());
    device.build_output_stream(config, move |data: &mut [T], _: &_| callback.run(data), on_error, SETUP)
}

/// A sample of a card: a format of the core, possibly with another sign or width.
pub(super) trait CardSample: SizedSample {
    /// The format.
    type Unit: Encoding;

    /// Converts a sample to that format.
    fn unit(self) -> Self::Unit;

    /// Converts a sample from that format.
    fn of(unit: Self::Unit) -> Self;
}

impl CardSample for i8 {
    type Unit = u8;

    // Two's complement is offset binary with its first bit turned over.
    fn unit(self) -> u8 {
        self as u8 ^ 0x80
    }

    fn of(unit: u8) -> Self {
        (unit ^ 0x80) as Self
    }
}

impl CardSample for i16 {
    type Unit = Self;

    fn unit(self) -> Self {
        self
    }

    fn of(unit: Self) -> Self {
        unit
    }
}

impl CardSample for I24 {
    type Unit = format::I24;

    fn unit(self) -> format::I24 {
        format::I24(self.inner())
    }

    fn of(unit: format::I24) -> Self {
        Self::new_unchecked(unit.0)
    }
}

impl CardSample for i32 {
    type Unit = Self;

    fn unit(self) -> Self {
        self
    }

    fn of(unit: Self) -> Self {
        unit
    }
}

impl CardSample for i64 {
    type Unit = i32;

    // The lower 32 bits are far below what anybody can hear.
    fn unit(self) -> i32 {
        (self >> 32) as i32
    }

    fn of(unit: i32) -> Self {
        Self::from(unit) << 32
    }
}

impl CardSample for u8 {
    type Unit = Self;

    fn unit(self) -> Self {
        self
    }

    fn of(unit: Self) -> Self {
        unit
    }
}

impl CardSample for u16 {
    type Unit = i16;

    fn unit(self) -> i16 {
        (self ^ 0x8000) as i16
    }

    fn of(unit: i16) -> Self {
        unit as Self ^ 0x8000
    }
}

impl CardSample for U24 {
    type Unit = format::I24;

    fn unit(self) -> format::I24 {
        format::I24(self.inner() - 0x80_0000)
    }

    fn of(unit: format::I24) -> Self {
        Self::new_unchecked(unit.0 + 0x80_0000)
    }
}

impl CardSample for u32 {
    type Unit = i32;

    fn unit(self) -> i32 {
        (self ^ 0x8000_0000) as i32
    }

    fn of(unit: i32) -> Self {
        unit as Self ^ 0x8000_0000
    }
}

impl CardSample for u64 {
    type Unit = i32;

    fn unit(self) -> i32 {
        ((self >> 32) as u32 ^ 0x8000_0000) as i32
    }

    fn of(unit: i32) -> Self {
        Self::from(unit as u32 ^ 0x8000_0000) << 32
    }
}

impl CardSample for f32 {
    type Unit = Self;

    fn unit(self) -> Self {
        self
    }

    fn of(unit: Self) -> Self {
        unit
    }
}

impl CardSample for f64 {
    type Unit = Self;

    fn unit(self) -> Self {
        self
    }

    fn of(unit: Self) -> Self {
        unit
    }
}
