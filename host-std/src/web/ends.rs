//! The other end of a browser's call: an echo, a file, a sound card, or anything else that gives and takes sound. A room is one
//! too (`rooms`).

use std::any::Any;
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
#[cfg(feature = "device")]
use std::sync::Arc;
#[cfg(feature = "device")]
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "device")]
use dsp_core::process::agc::AgcConfig;
#[cfg(feature = "device")]
use dsp_core::{noise::NoiseLevel, process::voice::VoiceConfig};

use super::Person;
use crate::device::{AudioIo, DeviceError, FileIo};
#[cfg(feature = "device")]
use crate::device::{CardConfig, CardIo};
use crate::session::{Call, CallConfig};
#[cfg(feature = "device")]
use crate::session::{CaptureConfig, EchoSettings};

/// The rate of ends that are our own choice, in Hz: that of Opus.
pub(super) const RATE_HZ: u32 = 48_000;
/// The most samples that an echo holds: a browser's whole tick, whatever the driver's are.
const LONGEST_ECHO: usize = RATE_HZ as usize;

/// The caller, as far as a [`SoundEnd`] is informed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// The name that the browser's user typed, as far as it is printable: at most 40 characters of any text.
    pub name: Option<String>,
}

/// A closure that looks at a call between two of its ticks.
pub type Follow = Box<dyn FnMut(&mut Call) + Send>;

/// A closure that returns the people who are present.
pub type People = Box<dyn Fn() -> Vec<Person> + Send + Sync>;

/// The other end of one call, as a [`SoundEnd`] opens it.
#[non_exhaustive]
pub struct Opened {
    /// The device that the call's sound comes from and goes to.
    pub audio: Box<dyn AudioIo>,
    /// A closure that is called some 20 times a second, between two ticks of the call.
    pub follow: Option<Follow>,
    /// The people who are present, for the page.
    pub people: Option<People>,
    /// Something that is dropped when the call is over, such as the place that it takes.
    pub place: Option<Box<dyn Any + Send>>,
}

impl From<Box<dyn AudioIo>> for Opened {
    fn from(audio: Box<dyn AudioIo>) -> Self {
        Self { audio, follow: None, people: None, place: None }
    }
}

impl<A: AudioIo + 'static> From<A> for Opened {
    fn from(audio: A) -> Self {
        Self::from(Box::new(audio) as Box<dyn AudioIo>)
    }
}

/// The reason why a [`SoundEnd`] can't take a call.
#[derive(Debug)]
#[non_exhaustive]
pub enum EndError {
    /// There is no place for one more call now; it may be tried again.
    Busy(String),
    /// The end doesn't work; the text says why.
    Broken(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for EndError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(why) => f.write_str(why),
            Self::Broken(error) => error.fmt(f),
        }
    }
}

impl Error for EndError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Busy(_) => None,
            Self::Broken(error) => error.source(),
        }
    }
}

impl From<DeviceError> for EndError {
    fn from(error: DeviceError) -> Self {
        Self::Broken(error.into())
    }
}

/// Decides whom a caller talks to: it opens the other end of each call. A function that opens a device is one:
///
/// ```
/// use host_std::device::FileIo;
/// use host_std::web::{Caller, EndError, Opened, Web, WebConfig};
///
/// // To each who calls there is silence.
/// let web = Web::new(WebConfig::default(), |_: &Caller| Ok::<_, EndError>(Opened::from(FileIo::null(48_000))));
/// ```
pub trait SoundEnd: Send + Sync {
    /// Opens the other end of one more call. It may block, since it is called on a thread of its own.
    ///
    /// # Errors
    /// An [`EndError`] with the reason, which is reported to the caller.
    fn open(&self, caller: &Caller) -> Result<Opened, EndError>;

    /// Changes the settings of a call before it is made.
    fn prepare(&self, config: &mut CallConfig) {
        let _ = config;
    }

    /// Returns the name of the other end on the page.
    fn words(&self) -> String {
        "this server".into()
    }

    /// Returns whether callers meet each other, so that the page asks for a name.
    fn is_room(&self) -> bool {
        false
    }
}

impl<F> SoundEnd for F
where
    F: Fn(&Caller) -> Result<Opened, EndError> + Send + Sync,
{
    fn open(&self, caller: &Caller) -> Result<Opened, EndError> {
        self(caller)
    }
}

/// An end that sends callers their own voice back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

impl SoundEnd for Echo {
    fn open(&self, _: &Caller) -> Result<Opened, EndError> {
        Ok(Echoed::default().into())
    }

    fn words(&self) -> String {
        "an echo of yourself".into()
    }
}

/// The sound that is played is captured again, in the same tick.
#[derive(Default)]
struct Echoed {
    held: VecDeque<i16>,
}

impl AudioIo for Echoed {
    fn sample_rate_hz(&self) -> u32 {
        RATE_HZ
    }

    fn read(&mut self, pcm: &mut [i16]) -> usize {
        let there = pcm.len().min(self.held.len());
        pcm.iter_mut().for_each(|sample| *sample = self.held.pop_front().unwrap_or(0));
        there
    }

    fn write(&mut self, pcm: &[i16]) -> usize {
        self.held.extend(pcm);
        // These are the samples of ticks that were not captured.
        let beyond = self.held.len().saturating_sub(LONGEST_ECHO);
        self.held.drain(..beyond);
        pcm.len()
    }
}

/// An end that plays a WAV file to each caller, from its start and repeated.
///
/// ```no_run
/// use host_std::web::{Recording, Web, WebConfig};
///
/// let recording = Recording::new("welcome.wav")?.with_spoken("answer.wav");
/// let web = Web::new(WebConfig::default(), recording);
/// # Ok::<(), host_std::device::DeviceError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Recording {
    path: PathBuf,
    spoken: Option<PathBuf>,
}

impl Recording {
    /// Plays this file.
    ///
    /// # Errors
    /// A [`DeviceError`] if the file can't be read now.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, DeviceError> {
        let path = path.as_ref().to_owned();
        FileIo::null(RATE_HZ).capture_from(&path, true)?;
        Ok(Self { path, spoken: None })
    }

    /// Writes the latest caller's speech to this WAV file, which each caller replaces.
    #[must_use]
    pub fn with_spoken(self, path: impl AsRef<Path>) -> Self {
        Self { spoken: Some(path.as_ref().to_owned()), ..self }
    }
}

impl SoundEnd for Recording {
    fn open(&self, _: &Caller) -> Result<Opened, EndError> {
        let file = FileIo::null(RATE_HZ).capture_from(&self.path, true)?;
        let file = match &self.spoken {
            Some(path) => file.play_to(path)?,
            None => file,
        };
        Ok(file.into())
    }

    fn words(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        format!("the recording {name}")
    }
}

/// An end that connects one caller at a time with the microphone and the loudspeaker of this machine.
#[cfg(feature = "device")]
#[derive(Debug, Default)]
pub struct Card {
    in_use: Arc<AtomicBool>,
}

#[cfg(feature = "device")]
impl SoundEnd for Card {
    fn open(&self, _: &Caller) -> Result<Opened, EndError> {
        if self.in_use.swap(true, Ordering::AcqRel) {
            return Err(EndError::Busy("microphone and loudspeaker are in another call".into()));
        }
        // From here on the card becomes free again when `place` is dropped.
        let place = InUse(self.in_use.clone());
        let card = CardIo::open(CardConfig { sample_rate_hz: RATE_HZ, ..CardConfig::default() })?;
        Ok(Opened { place: Some(Box::new(place)), ..card.into() })
    }

    fn prepare(&self, config: &mut CallConfig) {
        config.capture = CaptureConfig {
            high_pass_hz: Some(80),
            echo: Some(EchoSettings::default()),
            noise: Some(NoiseLevel::default()),
            detector: Some(VoiceConfig::default()),
            gain: Some(AgcConfig::default()),
            ..CaptureConfig::default()
        };
    }

    fn words(&self) -> String {
        "the microphone and loudspeaker of the server".into()
    }
}

#[cfg(feature = "device")]
struct InUse(Arc<AtomicBool>);

#[cfg(feature = "device")]
impl Drop for InUse {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_what_was_said_and_holds_no_more_than_a_second() {
        let mut echo = Echoed::default();
        echo.write(&[1, 2, 3]);
        let mut pcm = [9; 4];
        assert_eq!((echo.read(&mut pcm), pcm), (3, [1, 2, 3, 0]));
        for _ in 0..300 {
            echo.write(&[7; 480]);
        }
        assert_eq!(echo.held.len(), LONGEST_ECHO);
    }
}
