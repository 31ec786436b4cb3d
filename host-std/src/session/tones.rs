//! Tones of a call: those of its progress, of faxes and of modems, as they are heard and as they are sent.
//!
//! They are listened for in the receivers' sound where [`CallConfig::progress_tones`](super::CallConfig::progress_tones) names a
//! country, and sent in place of what is captured, behind the capture chain.

use dsp_core::time::{Duration, Instant, Ssrc};
use dsp_core::tone::{Country, ProgressError, Segment, ToneSignal};

use super::{Call, DigitPhase};

/// Tones that wait for somebody to ask for them.
pub(super) const WAITING: usize = 16;
/// A tone that we send, unless another level is asked for, in hundredths of a dBm0.
const USUAL_LEVEL: i16 = -1_000;

/// A tone of the other side's: told once as soon as it is known, which takes 1.4 s or its cadence, and once when it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallTone {
    /// The number of the call's stream.
    pub stream: usize,
    /// The how many-th of this stream it is: the same when it begins and when it ends.
    pub number: u32,
    /// Whether it begins or has ended.
    pub phase: DigitPhase,
    /// Which: [`ToneSignal::name`] names it.
    pub signal: ToneSignal,
    /// Who sent it.
    pub ssrc: Ssrc,
    /// When it began, on the host's clock, as it arrived; to 20 ms.
    pub begun: Instant,
    /// How long it has lasted, with its pauses.
    pub duration: Duration,
}

/// A tone that is sent in place of what is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentTone {
    /// What it is made of, which repeats.
    pub segments: &'static [Segment],
    /// Its level in hundredths of a dBm0: -6,300 to 0.
    pub level_hundredths_dbm0: i16,
    /// When it ends; `None`: when it has said what it says, as the answer of a fax has, or never.
    pub duration: Option<Duration>,
}

impl SentTone {
    /// A tone as a country has it, at -10 dBm0, without an end of ours.
    pub const fn of(signal: ToneSignal, country: &Country) -> Self {
        Self { segments: signal.segments(country), level_hundredths_dbm0: USUAL_LEVEL, duration: None }
    }

    /// When it is over, if it ever is.
    pub(super) fn length(&self) -> Option<Duration> {
        let ends = self.segments.last().is_some_and(|last| last.hz == 0 && last.ms == 0);
        let own = ends.then(|| Duration::from_millis(self.segments.iter().map(|segment| u64::from(segment.ms)).sum()));
        match (self.duration, own) {
            (Some(asked), Some(own)) => Some(asked.min(own)),
            (asked, own) => asked.or(own),
        }
    }
}

/// Why a tone can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendToneError {
    /// Nothing was agreed on for this stream.
    Stream(usize),
    /// It can't be made.
    Tone(ProgressError),
}

impl std::fmt::Display for SendToneError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stream(stream) => write!(f, "no tone can be sent: nothing was agreed on for stream {stream}"),
            Self::Tone(error) => write!(f, "no tone can be sent: {error}"),
        }
    }
}

impl std::error::Error for SendToneError {}

impl Call {
    /// What was heard of tones since it was asked last, the earliest first: each begins once and ends once. To be asked after
    /// [`play`](Self::play); 16 wait, then the oldest are dropped. A [`Tap`](super::Tap) is told of all. A tone that still
    /// sounds when the call is over has no end.
    pub fn next_tone(&mut self) -> Option<CallTone> {
        self.tones.pop()
    }

    /// Sends a tone in the first stream, from the next tick on and in place of what is captured; digits that are sent as tones
    /// come before it. It replaces a tone that is being sent. While nothing may be sent, on hold say, it waits.
    ///
    /// # Errors
    /// [`SendToneError`]; nothing changes then.
    ///
    /// ```
    /// use dsp_core::time::Instant;
    /// use dsp_core::tone::{Country, ProgressTone, ToneSignal};
    /// use host_std::session::{Call, CallConfig, Identity, SentTone};
    ///
    /// let [mut ours, mut theirs] =
    ///     [4_000, 5_000].map(|port| Call::new(CallConfig::with_identity(port, Identity::seeded(port.into()))).unwrap());
    /// let answer = theirs.answer(Instant::ZERO, &ours.offer()?)?;
    /// ours.accept(Instant::ZERO, &answer)?;
    /// let germany = Country::of("de").unwrap();
    /// ours.send_tone(&SentTone::of(ToneSignal::Progress(ProgressTone::Busy), germany))?;
    /// assert!(ours.end_tone());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_tone(&mut self, tone: &SentTone) -> Result<(), SendToneError> {
        let open = self.streams.first_mut().and_then(Option::as_mut).filter(|stream| !stream.is_closed());
        open.ok_or(SendToneError::Stream(0))?.send_tone(tone).map_err(SendToneError::Tone)
    }

    /// Ends the tone that is being sent; whether there was one.
    pub fn end_tone(&mut self) -> bool {
        self.streams.first_mut().and_then(Option::as_mut).is_some_and(|stream| stream.end_tone())
    }

    /// Asks the streams what they have heard.
    pub(super) fn collect_tones(&mut self, now: Instant) {
        for (index, stream) in self.streams.iter_mut().enumerate() {
            let Some(stream) = stream else { continue };
            while let Some(tone) = stream.next_tone() {
                let tone = CallTone { stream: index, ..tone };
                self.tones.push(tone);
                if let Some(tap) = &mut self.tap {
                    tap.tone(now, &tone);
                }
            }
        }
    }
}
