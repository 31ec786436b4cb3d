//! What a call says of digits: those that it hears, and why some can't be sent.

use dsp_core::send::KeyPress;
use dsp_core::time::{Duration, Instant, Ssrc};
use dsp_core::tone::EventCode;

use super::Call;
use crate::sdp::EventSet;

/// Digits that wait for somebody to ask for them: more than anybody presses between two looks.
pub(super) const WAITING: usize = 32;

/// What a digit was heard as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DigitSource {
    /// Packets of telephone events (RFC 4733).
    Event,
    /// Tones in the sound (DTMF): see [`CallConfig::tones`](super::CallConfig::tones).
    InBand,
}

/// When digits are looked for in the sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ToneDetection {
    /// Never.
    Off,
    /// Where no telephone events were agreed on: whoever has them sends no tones.
    #[default]
    WithoutEvents,
    /// Always. What comes as tone and event at once is one digit.
    Always,
}

impl DigitSource {
    /// As reports and JSON have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::InBand => "in-band",
        }
    }
}

/// Whether a digit begins or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DigitPhase {
    /// It has just begun, and goes on.
    Began,
    /// It has ended.
    Ended,
}

/// A digit, or another event, that the other side sent: told once as soon as it begins and once when it has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CallDigit {
    /// The number of the call's stream.
    pub stream: usize,
    /// The how many-th of this stream it is: the same when it begins and when it ends.
    pub number: u32,
    /// Whether it begins or has ended.
    pub phase: DigitPhase,
    /// Which: [`EventCode::digit`] names the sixteen, 16 is a hook flash.
    pub event: EventCode,
    /// What it was first heard as.
    pub source: DigitSource,
    /// Who sent it.
    pub ssrc: Ssrc,
    /// When it began, on the host's clock, as it arrived.
    pub begun: Instant,
    /// How long it has lasted.
    pub duration: Duration,
    /// Its power in dBm0: as the sender says it, or as it was heard. It means nothing for events that are no tones.
    pub level_dbm0: f32,
}

impl CallDigit {
    /// Its sign, `flash`, or the event's number.
    pub fn sign(&self) -> String {
        sign(self.event)
    }
}

/// The sign of an event: `0` to `9`, `*`, `#`, `A` to `D`, `flash`, or its number.
pub fn sign(event: EventCode) -> String {
    match event.digit() {
        Some(digit) => digit.to_string(),
        None if event == EventCode::FLASH => "flash".into(),
        None => event.0.to_string(),
    }
}

/// Why digits can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DigitError {
    /// Nothing was agreed on for this stream.
    Stream(usize),
    /// The other side takes no telephone events, and digits shall not go as tones
    /// ([`CallConfig::digits_as_tones`](super::CallConfig::digits_as_tones)).
    NoEvents,
    /// The other side takes no telephone events, and this one is no digit that could go as a tone.
    NoTone(EventCode),
    /// The other side doesn't take this one.
    NotTaken {
        /// Which.
        event: EventCode,
        /// What it takes.
        taken: EventSet,
    },
    /// They would have to wait, and there is no room for so many.
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
    /// The same for a log: without the digit, which may be one of a secret.
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

/// Why digits wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DigitsWait {
    /// Nothing was agreed on yet.
    NotAgreed,
    /// There are no keys yet to protect them with.
    NoKeys,
    /// No address of the other side has answered the checks of ICE yet, or none does any more.
    NoPath,
    /// The call is on hold, or was agreed on as one in which we say nothing.
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

/// What was counted of digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DigitStats {
    /// Digits and other events that were heard.
    pub heard: u32,
    /// Of these, those that were heard first as tones in the sound.
    pub in_band: u32,
    /// Events whose end was not heard: they ended by silence, or with the next one.
    pub lost_ends: u32,
    /// Digits of ours that have begun, as events or as tones.
    pub sent: u32,
    /// Of these, those that went as tones in the sound.
    pub sent_in_band: u32,
    /// Digits of ours that wait: for those before them, or until something may be sent.
    pub waiting: u32,
    /// Digits of ours that were given up while they waited: the other side took no more events.
    pub given_up: u32,
    /// Beginnings and ends that nobody asked for in time: the oldest were dropped.
    pub dropped: u32,
}

impl Call {
    /// What was heard of digits since it was asked last, the earliest first: each begins once and ends once. To be asked
    /// after [`receive`](Self::receive) and [`play`](Self::play); 32 wait, then the oldest are dropped and
    /// [counted](DigitStats::dropped). A [`Tap`](super::Tap) is told of all.
    pub fn next_digit(&mut self) -> Option<CallDigit> {
        self.digits.pop()
    }

    /// Presses keys in the first stream, one after the other, once those before them are through: telephone events take the
    /// place of what is captured. To a side that takes none they go as tones in the sound, of at least 40 ms
    /// ([`CallConfig::digits_as_tones`](super::CallConfig::digits_as_tones)). While nothing may be sent they wait:
    /// [`digits_wait`](Self::digits_wait) says why.
    ///
    /// # Errors
    /// [`DigitError`], of the first key that can't be sent; none is then.
    ///
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

    /// As [`send_digits`](Self::send_digits), in the stream with this number.
    ///
    /// # Errors
    /// As there.
    pub fn send_digits_in(&mut self, stream: usize, keys: &[KeyPress]) -> Result<(), DigitError> {
        let open = self.streams.get_mut(stream).and_then(Option::as_mut).filter(|stream| !stream.is_closed());
        open.ok_or(DigitError::Stream(stream))?.press(keys)
    }

    /// Why digits of the first stream that are pressed now wait; `None` where they go out at once, behind those before them.
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

    /// The events that the other side takes in the first stream, if any were agreed on.
    pub fn taken_events(&self) -> Option<EventSet> {
        self.streams.first()?.as_ref()?.taken_events()
    }

    /// Asks the streams what they have heard.
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
