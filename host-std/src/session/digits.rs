//! The reports of a call on digits: those that it hears, and why some can't be sent.

use dsp_core::send::KeyPress;
use dsp_core::time::{Duration, Instant, Ssrc};
use dsp_core::tone::EventCode;

use super::Call;
use crate::sdp::EventSet;

/// The most digits that wait to be fetched: more than a person presses between two looks.
pub(super) const WAITING: usize = 32;

/// The way in which a digit was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DigitSource {
    /// The digit came in packets of telephone events (RFC 4733).
    Event,
    /// The digit came as DTMF tones in the sound: see [`CallConfig::tones`](super::CallConfig::tones).
    InBand,
}

/// The condition under which DTMF tones are detected in the sound: [`CallConfig::tones`](super::CallConfig::tones).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ToneDetection {
    /// Tones are never detected in the sound.
    Off,
    /// Tones are detected where no telephone events were agreed on; a side that has events sends no tones.
    #[default]
    WithoutEvents,
    /// Always. A digit that comes as tone and event at once is counted as one.
    Always,
}

impl DigitSource {
    /// Returns the name in reports and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::InBand => "in-band",
        }
    }
}

/// Whether a digit or a tone begins or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DigitPhase {
    /// It has just begun, and continues.
    Began,
    /// It has ended.
    Ended,
}

/// A digit, or another telephone event, of the other side: [`Call::next_digit`](super::Call::next_digit). It is reported once
/// when it begins and once when it has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CallDigit {
    /// The number of the call's stream.
    pub stream: usize,
    /// The number of the digit in its stream, counted from the first: the same when it begins and when it ends.
    pub number: u32,
    /// Whether it begins or has ended.
    pub phase: DigitPhase,
    /// The event: [`EventCode::digit`] names the sixteen digits, and 16 is a hook flash.
    pub event: EventCode,
    /// The way in which it was received first.
    pub source: DigitSource,
    /// The source that sent it.
    pub ssrc: Ssrc,
    /// The time at which it began to arrive, on the host's clock.
    pub begun: Instant,
    /// The duration so far.
    pub duration: Duration,
    /// The power in dBm0, as reported by the sender or measured. It has no meaning for events that aren't tones.
    pub level_dbm0: f32,
}

impl CallDigit {
    /// Returns the digit itself, `flash`, or the number of the event.
    pub fn sign(&self) -> String {
        sign(self.event)
    }
}

/// Returns the sign of an event: `0` to `9`, `*`, `#`, `A` to `D`, `flash`, or its number.
pub fn sign(event: EventCode) -> String {
    match event.digit() {
        Some(digit) => digit.to_string(),
        None if event == EventCode::FLASH => "flash".into(),
        None => event.0.to_string(),
    }
}

/// The reason why digits can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DigitError {
    /// No stream with this number was agreed on.
    Stream(usize),
    /// The other side accepts no telephone events, and digits are not to be sent as tones
    /// ([`CallConfig::digits_as_tones`](super::CallConfig::digits_as_tones)).
    NoEvents,
    /// The other side accepts no telephone events, and this event isn't a digit that could be sent as a tone.
    NoTone(EventCode),
    /// The other side doesn't accept this event.
    NotTaken {
        /// The event that it doesn't accept.
        event: EventCode,
        /// The events that it accepts.
        taken: EventSet,
    },
    /// The digits would have to wait, and there is no room for as many.
    Full {
        /// Digits that may wait yet.
        room: usize,
        /// Digits that were given.
        got: usize,
    },
}

impl std::fmt::Display for DigitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Stream(stream) => write!(f, "no digits can be sent: nothing was agreed on for stream {stream}"),
            Self::NoEvents => write!(f, "no digits can be sent: the other side takes no telephone events"),
            Self::NoTone(event) => {
                let sign = sign(event);
                write!(
                    f,
                    "{sign} (event {}) can't be sent: the other side takes no telephone events, and it is no tone",
                    event.0
                )
            }
            Self::NotTaken { event, taken } => {
                write!(f, "the other side doesn't take {} (event {}): it takes {taken}", sign(event), event.0)
            }
            Self::Full { room, got } => {
                write!(f, "{got} digits are too many: {room} more can wait until those before them are sent")
            }
        }
    }
}

impl std::error::Error for DigitError {}

impl DigitError {
    /// Returns the same for a log: without the digit, which may be one of a secret.
    #[cfg(feature = "tokio")]
    pub(super) fn without_digits(&self) -> &'static str {
        match self {
            Self::Stream(_) => "nothing was agreed on for their stream",
            Self::NoEvents => "the other side takes no telephone events",
            Self::NoTone(_) => "the other side takes no telephone events, and one of them is no tone",
            Self::NotTaken { .. } => "the other side doesn't take one of them",
            Self::Full { .. } => "too many wait already",
        }
    }
}

/// The reason why digits wait to be sent: [`Call::digits_wait`](super::Call::digits_wait).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DigitsWait {
    /// The call isn't agreed on yet.
    NotAgreed,
    /// There are no SRTP keys yet.
    NoKeys,
    /// ICE has found no address of the other side yet, or none answers any more.
    NoPath,
    /// The call is on hold, or was agreed on as one in which we don't send.
    OnHold,
}

impl std::fmt::Display for DigitsWait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotAgreed => "nothing was agreed on yet",
            Self::NoKeys => "there are no keys yet",
            Self::NoPath => "no address of the other side answers",
            Self::OnHold => "on hold nothing is sent",
        })
    }
}

/// Counts of digits: [`CallStats::digits`](super::CallStats::digits).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DigitStats {
    /// Digits and other events that were received.
    pub heard: u32,
    /// The received digits that came first as tones in the sound.
    pub in_band: u32,
    /// Events whose end was never received; they ended by silence or by the next event.
    pub lost_ends: u32,
    /// Digits that we have begun to send, as events or as tones.
    pub sent: u32,
    /// The sent digits that went as tones in the sound.
    pub sent_in_band: u32,
    /// Digits that wait to be sent: for those before them, or until something may be sent.
    pub waiting: u32,
    /// Digits that were given up while they waited, because the other side accepts no events any more.
    pub given_up: u32,
    /// Beginnings and ends of received digits that were not fetched in time; the oldest were dropped.
    pub dropped: u32,
}

impl Call {
    /// Returns the next beginning or end of a received digit; `None` if there is none. Each digit begins once and ends once. Call
    /// this after [`receive`](Self::receive) and [`play`](Self::play). Up to 32 wait; then the oldest are dropped and
    /// [counted](DigitStats::dropped). A [`Tap`](super::Tap) receives all of them.
    pub fn next_digit(&mut self) -> Option<CallDigit> {
        self.digits.pop()
    }

    /// Presses keys in the first stream, one after the other and after those that were pressed before. Telephone events are sent
    /// in place of the captured sound. To a side that accepts none they are sent as tones in the sound, of at least 40 ms
    /// ([`CallConfig::digits_as_tones`](super::CallConfig::digits_as_tones)). While nothing may be sent they wait:
    /// [`digits_wait`](Self::digits_wait) says why.
    ///
    /// # Errors
    /// The [`DigitError`] of the first key that can't be sent; none of the keys is sent then.
    ///
    /// # Examples
    /// ```
    /// use dsp_core::send::KeyPress;
    /// use dsp_core::time::Instant;
    /// use dsp_core::tone::Digit;
    /// use host_std::session::{Call, CallConfig, Identity};
    ///
    /// let [mut ours, mut theirs] =
    ///     [4_000, 5_000].map(|port| Call::new(CallConfig::with_identity(port, Identity::seeded(port.into()))).unwrap());
    /// let answer = theirs.answer(Instant::ZERO, &ours.offer()?)?;
    /// ours.accept(Instant::ZERO, &answer)?;
    /// ours.send_digits(&[Digit::Four, Digit::Two, Digit::Pound].map(|digit| KeyPress::of(digit.into())))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_digits(&mut self, keys: &[KeyPress]) -> Result<(), DigitError> {
        self.send_digits_in(0, keys)
    }

    /// Does the same as [`send_digits`](Self::send_digits), in the stream with this number.
    ///
    /// # Errors
    /// The same as for [`send_digits`](Self::send_digits).
    pub fn send_digits_in(&mut self, stream: usize, keys: &[KeyPress]) -> Result<(), DigitError> {
        let open = self.streams.get_mut(stream).and_then(Option::as_mut).filter(|stream| !stream.is_closed());
        open.ok_or(DigitError::Stream(stream))?.press(keys)
    }

    /// Returns why digits of the first stream that are pressed now wait; `None` where they are sent at once, after those before
    /// them.
    pub fn digits_wait(&self) -> Option<DigitsWait> {
        let Some(transport) = &self.transport else { return Some(DigitsWait::NotAgreed) };
        let Some(stream) = self.streams.first().and_then(Option::as_ref) else { return Some(DigitsWait::NotAgreed) };
        if !transport.is_open() {
            Some(DigitsWait::NoKeys)
        } else if !transport.may_send(Instant::ZERO) {
            Some(DigitsWait::NoPath)
        } else if !stream.directions().sends || !transport.agreed().has_remote() {
            Some(DigitsWait::OnHold)
        } else {
            None
        }
    }

    /// Returns the events that the other side takes in the first stream, if any were agreed on.
    pub fn taken_events(&self) -> Option<EventSet> {
        self.streams.first()?.as_ref()?.taken_events()
    }

    /// Collects the digits that the streams have heard.
    pub(super) fn collect_digits(&mut self, now: Instant) {
        for (index, stream) in self.streams.iter_mut().enumerate() {
            let Some(stream) = stream else { continue };
            while let Some(digit) = stream.next_digit(now) {
                let digit = CallDigit { stream: index, ..digit };
                self.digits.push(digit);
                if let Some(tap) = &mut self.tap {
                    tap.digit(now, &digit);
                }
            }
        }
    }

    pub(super) fn digit_stats(&self) -> DigitStats {
        let stats = DigitStats { dropped: self.digits.dropped(), ..DigitStats::default() };
        self.streams.iter().flatten().fold(stats, |sum, stream| {
            let own = stream.digit_stats();
            DigitStats {
                heard: sum.heard.saturating_add(own.heard),
                in_band: sum.in_band.saturating_add(own.in_band),
                lost_ends: sum.lost_ends.saturating_add(own.lost_ends),
                sent: sum.sent.saturating_add(own.sent),
                sent_in_band: sum.sent_in_band.saturating_add(own.sent_in_band),
                waiting: sum.waiting.saturating_add(own.waiting),
                given_up: sum.given_up.saturating_add(own.given_up),
                ..sum
            }
        })
    }
}
