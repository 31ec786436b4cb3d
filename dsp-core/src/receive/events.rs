//! Receiving telephone events (RFC 4733, 2.5.2).
//!
//! An event is identified by its source, its code and the timestamp of its beginning, which all of its packets repeat.
//! Neither sequence number nor marker is looked at, except that a marker says that an event is new. An event has ended
//! when a packet says so, when a later event of the same source is here, or when no packet of it has come for
//! [`EventsConfig::timeout`]. Segments of a long event (2.5.2.3) are one event.
//!
//! `PLACES` events that have ended are remembered, and for each source the latest that was forgotten, so that late
//! packets do not report one of them again. A packet costs a look at each place; a tick costs nothing while no event
//! lasts.

use crate::time::{Duration, Instant, RtpTime, Ssrc};
use crate::tone::EventCode;
use crate::wire::event::{EventLengthError, MAX_EVENT_TICKS, TelephoneEvent};

/// How many segments of a long event there may be between two that come, the latter included. Fewer than 16: timestamps of
/// other events, which begin with a packet of sound, are never that many whole segments apart.
const MOST_SEGMENTS: i32 = 15;
/// Number of sources for which the latest forgotten event is kept.
const SOURCES: usize = 4;

/// Settings of an [`EventReceiver`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EventsConfig {
    /// An event counts as ended when no packet of it has come for this long. Senders report an event at least every 50
    /// ms (RFC 4733, 2.5.1.2), and a receiver should end it with the third missing report (2.5.2.2); the default of
    /// 200 ms leaves room for jitter.
    pub timeout: Duration,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self { timeout: Duration::from_millis(200) }
    }
}

/// What the RTP header and the session description say about a packet of telephone events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EventHeader {
    /// SSRC of the sender.
    pub ssrc: Ssrc,
    /// RTP timestamp: when the first event in the packet, or its present segment, began.
    pub timestamp: RtpTime,
    /// Whether the marker bit is set: a new event begins with this packet.
    pub marker: bool,
    /// RTP clock rate of the packet's payload type, in Hz.
    pub clock_hz: u32,
}

/// Which part of an event a report tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EventPhase {
    /// The event began. This is reported once, with its first packet.
    Began,
    /// A packet said that the event has ended. This is reported once.
    Ended,
    /// No more packets of the event came before the [timeout](EventsConfig::timeout). This is reported once, in place
    /// of `Ended`; the event lasted longer than the report says.
    Lost,
}

/// A telephone event that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EventReport {
    /// Whether the event begins or has ended.
    pub phase: EventPhase,
    /// Event code: a digit, the hook flash or another event.
    pub event: EventCode,
    /// SSRC of the sender.
    pub ssrc: Ssrc,
    /// RTP timestamp of the beginning, as known at the first report. Together with `ssrc` and `event` it identifies
    /// the event.
    pub timestamp: RtpTime,
    /// When the event began, on the clock of the packets' arrival times.
    pub begun: Instant,
    /// How long the event has lasted so far.
    pub duration: Duration,
    /// Power of the tone below 0 dBm0, in dB: 0 to 63. It has no meaning for events that are not tones.
    pub volume: u8,
}

/// Counters of an [`EventReceiver`]. All saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EventStats {
    /// Events that were received.
    pub events: u32,
    /// Events among them whose end was not received.
    pub lost_ends: u32,
    /// Reports of events that had ended or been forgotten; most of them are the repetitions of the last report.
    pub repeated: u32,
    /// Payloads that did not parse as telephone events.
    pub malformed: u32,
    /// Events that were dropped because no place was left and [`next`](EventReceiver::next) had not been called in
    /// time.
    pub untold: u32,
}

/// How an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Open,
    Over(EventPhase),
}

/// What was told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Begin,
    All,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    ssrc: Ssrc,
    event: EventCode,
    volume: u8,
    clock_hz: u32,
    /// When it began as far as was known at first.
    name: RtpTime,
    /// Whether its first packet said that it begins there.
    marked: bool,
    /// When it began, and its latest segment.
    first: RtpTime,
    segment: RtpTime,
    /// Duration of that segment.
    duration: u16,
    begun: Instant,
    /// When its last packet arrived.
    heard: Instant,
    stands: Stands,
    told: Told,
    /// Its place in the order of all events.
    order: u32,
}

impl Place {
    fn ticks(&self) -> u32 {
        self.segment.distance(self.first).max(0) as u32 + u32::from(self.duration)
    }

    fn report(&self, phase: EventPhase) -> EventReport {
        EventReport {
            phase,
            event: self.event,
            ssrc: self.ssrc,
            timestamp: self.name,
            begun: self.begun,
            duration: length(self.ticks(), self.clock_hz),
            volume: self.volume,
        }
    }

    /// Whether a report of the same event code that begins at `timestamp` is of this event.
    fn is_of(&self, timestamp: RtpTime, marker: bool) -> bool {
        let (from_first, from_segment) = (timestamp.distance(self.first), timestamp.distance(self.segment));
        if from_first == 0 || from_segment == 0 || (from_first > 0 && from_segment < 0) {
            return true;
        }
        let has_ended = self.stands == Stands::Over(EventPhase::Ended);
        if from_segment > 0 {
            // The next segment, or one after it: where it adjoins, or where whole segments do.
            let follows = from_segment == i32::from(self.duration) && self.duration > 0;
            return !marker && !has_ended && (follows || is_whole(from_segment));
        }
        // A segment before it.
        !self.marked && is_whole(-from_first)
    }

    fn take(&mut self, now: Instant, timestamp: RtpTime, report: &TelephoneEvent) {
        if timestamp.distance(self.first) < 0 {
            self.first = timestamp;
            return;
        }
        match timestamp.distance(self.segment) {
            0 => self.duration = self.duration.max(report.duration),
            1.. => (self.segment, self.duration) = (timestamp, report.duration),
            _ => return,
        }
        self.volume = report.volume;
        self.heard = now;
        if report.end {
            self.stands = Stands::Over(EventPhase::Ended);
        }
    }
}

/// Whether ticks are those of whole segments.
fn is_whole(ticks: i32) -> bool {
    let segment = MAX_EVENT_TICKS as i32;
    ticks % segment == 0 && (1..=MOST_SEGMENTS).contains(&(ticks / segment))
}

/// Duration of this many ticks.
fn length(ticks: u32, clock_hz: u32) -> Duration {
    Duration::from_samples(ticks.into(), clock_hz.max(1))
}

/// Receives telephone events and reports each one twice: when it begins and when it has ended (RFC 4733, 2.5.2).
///
/// Use it for keys that arrive as RTP packets of the payload type `telephone-event`; for digits within the sound there
/// is [`DtmfDetector`](crate::tone::DtmfDetector). One packet of an event is enough, whichever it is: repeated,
/// reordered and lost reports change nothing. Events are reported as soon as their packets arrive, without the delay
/// of the jitter buffer. The last `PLACES` events are remembered, so that a late packet does not report one of them
/// again. It takes 56 bytes of memory for each place.
///
/// A key of 100 ms is reported when it begins and when it has ended, however often its end is repeated:
///
/// ```
/// use dsp_core::receive::{EventHeader, EventPhase, EventReceiver, EventsConfig};
/// use dsp_core::time::{Instant, RtpTime, Ssrc};
/// use dsp_core::tone::Digit;
/// use dsp_core::wire::event::TelephoneEvent;
///
/// let mut receiver = EventReceiver::<4>::new(EventsConfig::default());
/// let mut told = Vec::new();
/// for (ms, duration, end) in [(20, 160, false), (100, 800, true), (100, 800, true), (100, 800, true)] {
///     let event = TelephoneEvent { event: Digit::Five.event_code(), end, volume: 10, duration };
///     let header = EventHeader { ssrc: Ssrc(7), timestamp: RtpTime(0), marker: ms == 20, clock_hz: 8_000 };
///     let now = Instant::from_millis(ms);
///     receiver.receive(now, &header, &event.to_bytes())?;
///     while let Some(report) = receiver.next(now) {
///         told.push((report.event.digit(), report.phase, report.duration.as_millis()));
///     }
/// }
/// let five = Some(Digit::Five);
/// assert_eq!(told, [(five, EventPhase::Began, 20), (five, EventPhase::Ended, 100)]);
/// # Ok::<(), dsp_core::wire::event::EventLengthError>(())
/// ```
#[derive(Clone, Debug)]
pub struct EventReceiver<const PLACES: usize> {
    config: EventsConfig,
    places: [Option<Place>; PLACES],
    /// Places of which not all is told.
    untold: usize,
    order: u32,
    /// For each source with a forgotten event, the latest of them; the source of the last one first.
    forgotten: [Option<(Ssrc, RtpTime)>; SOURCES],
    stats: EventStats,
}

impl<const PLACES: usize> EventReceiver<PLACES> {
    /// A receiver without any events.
    pub const fn new(config: EventsConfig) -> Self {
        const { assert!(PLACES >= 2, "two places at least") };
        let stats = EventStats { events: 0, lost_ends: 0, repeated: 0, malformed: 0, untold: 0 };
        Self { config, places: [None; PLACES], untold: 0, order: 0, forgotten: [None; SOURCES], stats }
    }

    /// The counters.
    pub const fn stats(&self) -> EventStats {
        self.stats
    }

    /// Takes in a packet that arrived at `now`; packets may come in any order. Afterwards call [`next`](Self::next)
    /// until it returns `None`.
    ///
    /// # Errors
    /// Returns [`EventLengthError`] if the payload is too short for an event. The packet then has no effect beyond
    /// being counted.
    pub fn receive(&mut self, now: Instant, header: &EventHeader, payload: &[u8]) -> Result<(), EventLengthError> {
        let reports = TelephoneEvent::parse(payload)
            .inspect_err(|_| self.stats.malformed = self.stats.malformed.saturating_add(1))?;
        let mut marker = header.marker;
        for (ticks, report) in reports {
            let timestamp = header.timestamp.plus(ticks);
            self.take(now, &EventHeader { timestamp, marker, ..*header }, &report);
            // Whether another in the same packet begins with it isn't said.
            marker = false;
        }
        Ok(())
    }

    fn take(&mut self, now: Instant, header: &EventHeader, report: &TelephoneEvent) {
        let EventHeader { ssrc, timestamp, marker, clock_hz } = *header;
        let mut own = self.places.iter_mut().flatten().filter(|place| place.ssrc == ssrc);
        if let Some(place) = own.find(|place| place.event == report.event && place.is_of(timestamp, marker)) {
            if place.stands != Stands::Open {
                self.stats.repeated = self.stats.repeated.saturating_add(1);
            }
            if place.told != Told::All {
                place.take(now, timestamp, report);
            }
            return;
        }
        let is_forgotten = |(other, before): (Ssrc, RtpTime)| other == ssrc && timestamp.distance(before) <= 0;
        if self.forgotten.iter().flatten().any(|forgotten| is_forgotten(*forgotten)) {
            self.stats.repeated = self.stats.repeated.saturating_add(1);
            return;
        }
        let mut stands = if report.end { Stands::Over(EventPhase::Ended) } else { Stands::Open };
        // A source has one event at a time: what began before another has ended.
        for place in self.places.iter_mut().flatten().filter(|place| place.ssrc == ssrc) {
            let earlier = if place.first.distance(timestamp) < 0 { &mut place.stands } else { &mut stands };
            if *earlier == Stands::Open {
                *earlier = Stands::Over(EventPhase::Lost);
            }
        }
        let duration = length(report.duration.into(), clock_hz);
        let place = Place {
            ssrc,
            event: report.event,
            volume: report.volume,
            clock_hz,
            name: timestamp,
            marked: marker,
            first: timestamp,
            segment: timestamp,
            duration: report.duration,
            begun: now - duration,
            heard: now,
            stands,
            told: Told::Nothing,
            order: self.order,
        };
        self.order = self.order.wrapping_add(1);
        self.stats.events = self.stats.events.saturating_add(1);
        self.put(place);
    }

    /// Puts an event where none is, or where the oldest is that is over, or else the oldest.
    fn put(&mut self, new: Place) {
        let age = |place: &Place| (place.told == Told::All, new.order.wrapping_sub(place.order));
        let oldest = (0..PLACES).max_by_key(|&at| match &self.places[at] {
            None => (true, true, 0),
            Some(place) => {
                let (told, age) = age(place);
                (false, told, age)
            }
        });
        let Some(at) = oldest else { return };
        if let Some(before) = self.places[at].replace(new) {
            if before.told != Told::All {
                self.untold = self.untold.saturating_sub(1);
                self.stats.untold = self.stats.untold.saturating_add(1);
            }
            self.forget(&before);
        }
        self.untold += 1;
    }

    /// Remembers of an event that it was there.
    fn forget(&mut self, event: &Place) {
        let mut latest = event.segment;
        let same = |own: &Option<(Ssrc, RtpTime)>| own.is_some_and(|(ssrc, _)| ssrc == event.ssrc);
        let at = self.forgotten.iter().position(same).unwrap_or(SOURCES - 1);
        if let Some((_, before)) = self.forgotten[at].filter(|(ssrc, _)| *ssrc == event.ssrc)
            && before.distance(latest) > 0
        {
            latest = before;
        }
        self.forgotten[..=at].rotate_right(1);
        self.forgotten[0] = Some((event.ssrc, latest));
    }

    /// The next report that is due at `now`, that of the earliest event first; `None` if there is none. Call it after
    /// each packet and in each tick, since an event also ends when no more packets of it come.
    #[inline]
    pub fn next(&mut self, now: Instant) -> Option<EventReport> {
        if self.untold == 0 { None } else { self.tell(now) }
    }

    fn tell(&mut self, now: Instant) -> Option<EventReport> {
        let (timeout, order) = (self.config.timeout, self.order);
        let mut first: Option<&mut Place> = None;
        for place in self.places.iter_mut().flatten().filter(|place| place.told != Told::All) {
            if place.stands == Stands::Open && now.since(place.heard) >= timeout {
                place.stands = Stands::Over(EventPhase::Lost);
            }
            let due = place.told == Told::Nothing || place.stands != Stands::Open;
            let earlier = |other: &&mut Place| order.wrapping_sub(other.order) >= order.wrapping_sub(place.order);
            if due && !first.as_ref().is_some_and(earlier) {
                first = Some(place);
            }
        }
        let place = first?;
        if place.told == Told::Nothing {
            place.told = Told::Begin;
            return Some(place.report(EventPhase::Began));
        }
        let Stands::Over(phase) = place.stands else { return None };
        place.told = Told::All;
        let report = place.report(phase);
        self.untold = self.untold.saturating_sub(1);
        self.stats.lost_ends = self.stats.lost_ends.saturating_add(u32::from(phase == EventPhase::Lost));
        Some(report)
    }
}

#[cfg(test)]
mod tests;
