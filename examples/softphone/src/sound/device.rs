//! Microphone and loudspeaker: a sound card, WAV files or nothing, each by itself.

use host_std::device::{AudioIo, CardConfig, CardIo, DeviceChoice, DeviceError, FileIo, Split};

use crate::config::Audio;

/// Opens both.
///
/// # Errors
/// What [`CardIo`] and [`FileIo`] can't open.
pub(crate) fn open(audio: &Audio) -> Result<Box<dyn AudioIo>, DeviceError> {
    let (microphone, speaker) = (Choice::of(&audio.microphone), Choice::of(&audio.speaker));
    let null = || FileIo::null(audio.rate);
    let card = |capture, playback| {
        CardIo::open(CardConfig { capture, playback, sample_rate_hz: audio.rate, ..CardConfig::default() })
    };
    if let (Choice::Card(capture), Choice::Card(playback)) = (&microphone, &speaker) {
        return Ok(Box::new(card(capture.clone(), playback.clone())?));
    }
    let capture: Box<dyn AudioIo> = match microphone {
        Choice::Null => Box::new(null()),
        Choice::File(path) => Box::new(null().capture_from(path, audio.repeat)?),
        Choice::Card(capture) => Box::new(card(capture, DeviceChoice::Off)?),
    };
    Ok(Box::new(Split { capture, playback: self::speaker(&audio.speaker, audio.rate)? }))
}

/// A loudspeaker alone.
///
/// # Errors
/// What [`CardIo`] and [`FileIo`] can't open.
pub(super) fn speaker(name: &str, sample_rate_hz: u32) -> Result<Box<dyn AudioIo>, DeviceError> {
    Ok(match Choice::of(name) {
        Choice::Null => Box::new(FileIo::null(sample_rate_hz)),
        Choice::File(path) => Box::new(FileIo::null(sample_rate_hz).play_to(path)?),
        Choice::Card(playback) => Box::new(CardIo::open(CardConfig {
            capture: DeviceChoice::Off,
            playback,
            sample_rate_hz,
            ..CardConfig::default()
        })?),
    })
}

enum Choice<'a> {
    Null,
    File(&'a str),
    Card(DeviceChoice),
}

impl<'a> Choice<'a> {
    fn of(name: &'a str) -> Self {
        match name {
            "null" => Self::Null,
            "default" => Self::Card(DeviceChoice::Default),
            _ if name.to_ascii_lowercase().ends_with(".wav") => Self::File(name),
            _ => Self::Card(DeviceChoice::Named(name.into())),
        }
    }
}
