//! Microphone and loudspeaker of a call: a device, a WAV file or nothing, each by itself.

use std::path::Path;

use clap::Args as ClapArgs;
use host_std::device::{AudioIo, CardConfig, CardIo, DeviceChoice, DeviceError, FileIo, Split};

use super::mind;

/// Where the sound of a call comes from and goes to.
#[derive(ClapArgs, Clone)]
pub(super) struct SoundArgs {
    /// Microphone: a device's name, `default`, `null`, or a WAV file
    #[arg(help_heading = "Sound", long, default_value = "default", value_name = "DEVICE|WAV|null")]
    microphone: String,
    /// Loudspeaker: a device's name, `default`, `null`, or a WAV file to write
    #[arg(help_heading = "Sound", long, default_value = "default", value_name = "DEVICE|WAV|null")]
    speaker: String,
    /// Neither microphone nor loudspeaker: the same as `null` for both
    #[arg(help_heading = "Sound", long)]
    null: bool,
    /// Repeat the microphone's WAV file when it ends
    #[arg(help_heading = "Sound", long)]
    repeat: bool,
}

impl SoundArgs {
    /// Opens both for sound at this rate, mono or stereo.
    ///
    /// # Errors
    /// The error of [`CardIo`] or [`FileIo`].
    pub(super) fn open(&self, sample_rate_hz: u32, channels: u8) -> Result<Box<dyn AudioIo>, DeviceError> {
        let card = |capture, playback| card(capture, playback, sample_rate_hz, channels);
        let (microphone, speaker) = (choice(&self.microphone, self.null), choice(&self.speaker, self.null));
        if let (Choice::Card(capture), Choice::Card(playback)) = (&microphone, &speaker) {
            return card(capture.clone(), playback.clone());
        }
        let capture = self.capture(sample_rate_hz, channels)?;
        let playback = self.playback(sample_rate_hz, channels)?;
        Ok(Box::new(Split { capture, playback }))
    }

    /// Returns whether one of both is a sound card.
    pub(super) fn has_card(&self) -> bool {
        let names = [&self.microphone, &self.speaker];
        names.iter().any(|name| matches!(choice(name, self.null), Choice::Card(_)))
    }

    fn capture(&self, sample_rate_hz: u32, channels: u8) -> Result<Box<dyn AudioIo>, DeviceError> {
        let null = || FileIo::null(sample_rate_hz).with_channels(channels);
        Ok(match choice(&self.microphone, self.null) {
            Choice::Null => Box::new(null()),
            Choice::File(path) => {
                let file = null().capture_from(path, self.repeat)?;
                mind(path, file.remarks());
                Box::new(file)
            }
            Choice::Card(capture) => card(capture, DeviceChoice::Off, sample_rate_hz, channels)?,
        })
    }

    fn playback(&self, sample_rate_hz: u32, channels: u8) -> Result<Box<dyn AudioIo>, DeviceError> {
        let null = || FileIo::null(sample_rate_hz).with_channels(channels);
        Ok(match choice(&self.speaker, self.null) {
            Choice::Null => Box::new(null()),
            Choice::File(path) => Box::new(null().play_to(path)?),
            Choice::Card(playback) => card(DeviceChoice::Off, playback, sample_rate_hz, channels)?,
        })
    }
}

fn card(
    capture: DeviceChoice,
    playback: DeviceChoice,
    sample_rate_hz: u32,
    channels: u8,
) -> Result<Box<dyn AudioIo>, DeviceError> {
    let open = CardIo::open(CardConfig { capture, playback, sample_rate_hz, channels, ..CardConfig::default() });
    let card = open.map_err(|error| match error {
        // The system's text adds nothing to it.
        DeviceError::NoDevice { direction, .. } => DeviceError::NoDevice { direction, source: None },
        error => error,
    })?;
    Ok(Box::new(card))
}

enum Choice<'a> {
    Null,
    File(&'a Path),
    Card(DeviceChoice),
}

fn choice(name: &str, null: bool) -> Choice<'_> {
    match name {
        _ if null => Choice::Null,
        "null" => Choice::Null,
        "default" => Choice::Card(DeviceChoice::Default),
        _ if name.to_ascii_lowercase().ends_with(".wav") => Choice::File(Path::new(name)),
        _ => Choice::Card(DeviceChoice::Named(name.into())),
    }
}
