//! Tones of a call: those of its progress, of faxes and of modems, as they are heard and as they are sent.
//!
//! They are detected in the receivers' sound where [`CallConfig::progress_tones`](super::CallConfig::progress_tones) names a
//! country, and sent in place of the captured sound, after the capture chain.

use dsp_core::time::{Duration, Instant, Ssrc};
use dsp_core::tone::{Country, ProgressError, Segment, ToneSignal};

use super::{Call, DigitPhase};

/// The most tones that wait to be fetched.
pub(super) const WAITING: usize = 16;
/// A tone that we send, unless another level is asked for, in hundredths of a dBm0.
const USUAL_LEVEL: i16 = -1_000;

/// A call-progress, fax or modem tone of the other side: [`Call::next_tone`](super::Call::next_tone). It is reported once when it
/// is recognised, after 1.4 s or its cadence, and once when it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallTone {
    /// The number of the call's stream.
    pub stream: usize,
    /// The number of the tone in its stream, counted from the first: the same when it begins and when it ends.
    pub number: u32,
    /// Whether it begins or has ended.
    pub phase: DigitPhase,
    /// The tone; [`ToneSignal::name`] names it.
    pub signal: ToneSignal,
    /// The source that sent it.
    pub ssrc: Ssrc,
    /// The time at which it began to arrive, on the host's clock, to 20 ms.
    pub begun: Instant,
    /// The duration so far, pauses included.
    pub duration: Duration,
}

/// A tone that is sent in place of the captured sound: [`Call::send_tone`](super::Call::send_tone).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentTone {
    /// The tones and pauses that it is made of, which are repeated.
    pub segments: &'static [Segment],
    /// The level in hundredths of a dBm0: -6,300 to 0.
    pub level_hundredths_dbm0: i16,
    /// The time after which it ends. With `None` it ends when it is complete, as the answer tone of a fax, or never.
    pub duration: Option<Duration>,
}

impl SentTone {
    /// Returns the tone as this country has it, at -10 dBm0 and without an end of its own.
    pub const fn of(signal: ToneSignal, country: &Country) -> Self {
        Self { segments: signal.segments(country), level_hundredths_dbm0: USUAL_LEVEL, duration: None }
    }

    /// Returns when it is over, if it ever is.
    pub(super) fn length(&self) -> Option<Duration> {
        let ends = self.segments.last().is_some_and(|last| last.hz == 0 && last.ms == 0);
        let own = ends.then(|| Duration::from_millis(self.segments.iter().map(|segment| u64::from(segment.ms)).sum()));
        match (self.duration, own) {
            (Some(asked), Some(own)) => Some(asked.min(own)),
            (asked, own) => asked.or(own),
        }
    }
}

/// The reason why a tone can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendToneError {
    /// No stream with this number was agreed on.
    Stream(usize),
    /// The tone can't be generated.
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
    /// Returns the next beginning or end of a received tone; `None` if there is none. Each tone begins once and ends once. Call
    /// this after [`play`](Self::play). Up to 16 wait; then the oldest are dropped. A [`Tap`](super::Tap) receives all of them. A
    /// tone that still sounds when the call is over has no end.
    pub fn next_tone(&mut self) -> Option<CallTone> {
        self.tones.pop()
    }

    /// Sends a tone in the first stream, from the next tick on and in place of the captured sound, after digits that are sent as
    /// tones. It replaces a tone that is being sent. While nothing may be sent, such as on hold, it waits.
    ///
    /// # Errors
    /// [`SendToneError::Stream`] if the call isn't agreed on, [`SendToneError::Tone`] if the tone can't be generated. Nothing changes
    /// then.
    ///
    /// # Examples
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

    /// Ends the tone that is being sent. Returns whether there was one.
    pub fn end_tone(&mut self) -> bool {
        self.streams.first_mut().and_then(Option::as_mut).is_some_and(|stream| stream.end_tone())
    }

    /// Collects the tones that the streams have heard.
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
