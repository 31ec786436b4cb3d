//! What a call says of digits: those that it hears, and why some can't be sent.

use dsp_core::send::KeyPress;
use dsp_core::time::{Duration, Instant, Ssrc};
use dsp_core::tone::EventCode;

use super::Call;
use crate::sdp::EventSet;

/// Digits that wait for somebody to ask for them: more than anybody presses between two looks.
const WAITING: usize = 32;

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
    /// The other side takes no telephone events.
    NoEvents,
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
    /// Digits of ours that have begun.
    pub sent: u32,
    /// Beginnings and ends that nobody asked for in time: the oldest were dropped.
    pub dropped: u32,
}

/// What waits for [`Call::next_digit`].
pub(super) struct DigitQueue {
    waiting: Box<[Option<CallDigit>; WAITING]>,
    first: usize,
    count: usize,
    dropped: u32,
}

impl DigitQueue {
    pub(super) fn new() -> Self {
        Self { waiting: Box::new([None; WAITING]), first: 0, count: 0, dropped: 0 }
    }

    /// Bytes on the heap.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.waiting)
    }

    fn push(&mut self, digit: CallDigit) {
        if self.count == WAITING {
            self.pop();
            self.dropped = self.dropped.saturating_add(1);
        }
        self.waiting[(self.first + self.count) % WAITING] = Some(digit);
        self.count += 1;
    }

    fn pop(&mut self) -> Option<CallDigit> {
        let digit = self.waiting[self.first].take()?;
        self.first = (self.first + 1) % WAITING;
        self.count -= 1;
        Some(digit)
    }
}

impl Call {
    /// What was heard of digits since it was asked last, the earliest first: each begins once and ends once. To be asked
    /// after [`receive`](Self::receive) and [`play`](Self::play); 32 wait, then the oldest are dropped and
    /// [counted](DigitStats::dropped). A [`Tap`](super::Tap) is told of all.
    pub fn next_digit(&mut self) -> Option<CallDigit> {
        self.digits.pop()
    }

    /// Presses keys in the first stream, one after the other, once those before them are through: telephone events take the
    /// place of what is captured. While nothing may be sent, on hold say, they wait.
    ///
    /// # Errors
    /// [`DigitError`], of the first key that the other side doesn't take; nothing is sent then.
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
        let stats = DigitStats { dropped: self.digits.dropped, ..DigitStats::default() };
        self.streams.iter().flatten().fold(stats, |sum, stream| {
            let own = stream.digit_stats();
            DigitStats {
                heard: sum.heard.saturating_add(own.heard),
                in_band: sum.in_band.saturating_add(own.in_band),
                lost_ends: sum.lost_ends.saturating_add(own.lost_ends),
                sent: sum.sent.saturating_add(own.sent),
                ..sum
            }
        })
    }
}
