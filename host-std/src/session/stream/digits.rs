//! Digits of a stream, both ways: keys that wait to be sent as telephone events, and events and tones that are heard (RFC 4733).
//! A digit that comes as event and tone at once is one digit, whichever is heard first.
//!
//! They belong to the stream and not to its receivers: an event continues when a later offer and answer replace those. Events are
//! taken in with their packets, before any delay, independently of the receivers.

use dsp_core::receive::{EventHeader, EventPhase, EventReceiver, EventReport, EventsConfig, Received};
use dsp_core::send::{EventFormat, EventSender, KeyPress};
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Ssrc};
use dsp_core::tone::EventCode;
use dsp_core::wire::red::RedPayload;
use dsp_core::wire::rtp::RtpPacket;

use super::made;
use super::tones::InBandDigit;
use crate::sdp::{EventSet, NegotiatedEvents, NegotiatedStream};
use crate::session::digits::{CallDigit, DigitError, DigitPhase, DigitSource, DigitStats};
use crate::session::outcome::Incoming;

/// Keys that may wait.
const KEYS: usize = 32;
/// Events that are remembered.
const PLACES: usize = 8;

/// Beginnings and ends of digits in the sound that may wait for the end of the tick in which they are heard.
const TONES: usize = 8;
/// The largest distance between the beginnings of a tone and an event of the same digit, and the largest gap between them: a
/// gateway sends the tone until it has recognised it, and the network's jitter moves both.
const APART: Duration = Duration::from_millis(120);

/// The way in which digits are sent.
pub(super) enum DigitMethod {
    Events,
    Tones,
}

/// The name of an event: its sender, its begin, and its code.
type Name = (Ssrc, RtpTime, EventCode);

/// A digit whose beginning was reported.
#[derive(Clone, Copy)]
struct Told {
    digit: CallDigit,
    /// The event that it is, if it is one or became one.
    name: Option<Name>,
    /// A tone of it sounds.
    sounds: bool,
    /// Whether its end was reported.
    ended: bool,
}

impl Told {
    /// Returns whether a digit that was heard as something else, from `begun` on, is this one.
    fn is_heard_as(&self, event: EventCode, begun: Instant) -> bool {
        let ends =
            if self.ended { self.digit.begun + self.digit.duration + APART } else { Instant::from_micros(u64::MAX) };
        self.digit.event == event && begun + APART >= self.digit.begun && begun <= ends
    }
}

/// Digits that are sent and heard.
pub(super) struct Digits {
    keys: EventSender<KEYS>,
    /// The events that the other side accepts, if any.
    taken: Option<EventSet>,
    /// Digits go as tones to a side that takes no events.
    as_tones: bool,
    /// The number of keys that were given up, because they could never be sent.
    given_up: u32,
    events: EventReceiver<PLACES>,
    /// Payload types that are or were events, with their clocks in Hz, the last that was agreed on first: packets of those
    /// before may still be on their way.
    heard_as: Vec<(PayloadType, u32)>,
    /// The digits that were reported last.
    told: [Option<Told>; PLACES],
    /// Digits in the sound that were not reported yet.
    tones: [Option<InBandDigit>; TONES],
    begun: u32,
    in_band: u32,
}

impl Digits {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self {
            keys: EventSender::new(),
            taken: None,
            as_tones: false,
            given_up: 0,
            events: EventReceiver::new(EventsConfig::default()),
            heard_as: Vec::new(),
            told: [None; PLACES],
            tones: [None; TONES],
            begun: 0,
            in_band: 0,
        })
    }

    /// Continues as agreed, with a codec of this clock. Where the source is another than before, it has been set already.
    /// `as_tones`: whether digits are sent as tones where the other side accepts no events.
    pub(super) fn agree(&mut self, agreed: &NegotiatedStream, clock_hz: u32, as_tones: bool) {
        self.as_tones = as_tones;
        let send = agreed.send_events_beside(clock_hz);
        let of =
            |events: NegotiatedEvents| EventFormat { payload_type: events.payload_type, clock_hz: events.rtp_clock_hz };
        self.keys.set_format(send.map(of));
        self.taken = send.map(|events| events.events);
        if self.taken.is_none() {
            // They could never be sent.
            self.given_up = self.given_up.saturating_add(self.keys.waiting() as u32);
            self.keys.clear();
        }
        self.expect(&agreed.receive_events);
    }

    /// Events that may come from now on.
    pub(super) fn expect(&mut self, events: &[NegotiatedEvents]) {
        for events in events {
            self.heard_as.retain(|(number, _)| *number != events.payload_type);
            self.heard_as.insert(0, (events.payload_type, events.rtp_clock_hz));
        }
    }

    pub(super) fn taken(&self) -> Option<EventSet> {
        self.taken
    }

    /// Presses keys and returns whether they are sent as events, or as tones (which wait elsewhere, `tones_waiting` of them).
    pub(super) fn press(&mut self, keys: &[KeyPress], tones_waiting: usize) -> Result<DigitMethod, DigitError> {
        let Some(taken) = self.taken else {
            if !self.as_tones {
                return Err(DigitError::NoEvents);
            }
            if let Some(key) = keys.iter().find(|key| key.event.digit().is_none()) {
                return Err(DigitError::NoTone(key.event));
            }
            let (room, got) = (made::KEYS - tones_waiting, keys.len());
            return if got > room { Err(DigitError::Full { room, got }) } else { Ok(DigitMethod::Tones) };
        };
        if let Some(other) = keys.iter().find(|key| !taken.contains(key.event.0)) {
            return Err(DigitError::NotTaken { event: other.event, taken });
        }
        let (room, got) = (KEYS - self.keys.waiting(), keys.len());
        if got > room {
            return Err(DigitError::Full { room, got });
        }
        // There is room.
        keys.iter().try_for_each(|key| self.keys.press(*key)).map_err(|_| DigitError::Full { room, got })?;
        Ok(DigitMethod::Events)
    }

    /// The keys, for the sender.
    pub(super) fn keys(&mut self) -> &mut EventSender<KEYS> {
        &mut self.keys
    }

    /// The stream pauses, or becomes another source.
    pub(super) fn cut(&mut self) {
        self.keys.cut();
    }

    /// Takes in a packet; `incoming` is the receivers' result for it. `redundant`: whether it has blocks (RFC 2198).
    pub(super) fn take(&mut self, now: Instant, packet: &RtpPacket<'_>, redundant: bool, incoming: &Incoming) {
        // A source in probation isn't heard here either. Packets that are too late for sound, or duplicates, are used.
        match incoming {
            Incoming::Audio(Received::Probation) => return,
            Incoming::Audio(_) => {}
            _ => return,
        }
        if redundant {
            let Ok(red) = RedPayload::parse(packet.payload()) else { return };
            for block in red.redundant().chain([red.primary()]) {
                let timestamp = block.timestamp(packet.timestamp());
                let header = EventHeader { timestamp, marker: false, ..header(packet) };
                self.take_payload(now, header, block.payload_type, block.payload);
            }
        } else {
            self.take_payload(now, header(packet), packet.payload_type(), packet.payload());
        }
    }

    fn take_payload(&mut self, now: Instant, header: EventHeader, payload_type: PayloadType, payload: &[u8]) {
        if let Some((_, clock_hz)) = self.heard_as.iter().find(|(number, _)| *number == payload_type) {
            // A payload that is no event is counted there.
            let _ = self.events.receive(now, &EventHeader { clock_hz: *clock_hz, ..header }, payload);
        }
    }

    /// Takes in a digit that is heard in the sound.
    pub(super) fn hear(&mut self, tone: &InBandDigit) {
        // A tick holds fewer.
        if let Some(place) = self.tones.iter_mut().find(|place| place.is_none()) {
            *place = Some(*tone);
        }
    }

    /// Ends the tones that sound, since they are no longer detected.
    pub(super) fn end_tones(&mut self) {
        for told in self.told.iter_mut().flatten().filter(|told| told.sounds) {
            let CallDigit { ssrc, begun, duration, level_dbm0, .. } = told.digit;
            let tone = told.digit.event.digit().map(|digit| InBandDigit {
                digit,
                ssrc,
                begun,
                duration,
                level_dbm0,
                ended: true,
            });
            let place = self.tones.iter_mut().find(|place| place.is_none());
            if let (Some(place), Some(tone)) = (place, tone) {
                *place = Some(tone);
            }
        }
    }

    /// Returns the next report at `now`; the call adds the number of the stream.
    pub(super) fn next(&mut self, now: Instant) -> Option<CallDigit> {
        while let Some(report) = self.events.next(now) {
            let told = self.tell_event(&report);
            if told.is_some() {
                return told;
            }
        }
        while let Some(tone) = self.tones[0].take() {
            self.tones.rotate_left(1);
            let told = self.tell_tone(&tone);
            if told.is_some() {
                return told;
            }
        }
        None
    }

    fn tell_event(&mut self, report: &EventReport) -> Option<CallDigit> {
        let name = (report.ssrc, report.timestamp, report.event);
        if report.phase == EventPhase::Began {
            // The tone of it may have been here before.
            let is_it = |told: &&mut Told| {
                told.name.is_none() && told.digit.ssrc == report.ssrc && told.is_heard_as(report.event, report.begun)
            };
            if let Some(told) = self.told.iter_mut().flatten().find(is_it) {
                told.name = Some(name);
                return None;
            }
            let digit = CallDigit {
                stream: 0,
                number: self.begun,
                phase: DigitPhase::Began,
                event: report.event,
                source: DigitSource::Event,
                ssrc: report.ssrc,
                begun: report.begun,
                duration: report.duration,
                level_dbm0: -f32::from(report.volume),
            };
            return Some(self.begin(digit, Some(name)));
        }
        let told = self.told.iter_mut().flatten().find(|told| told.name == Some(name))?;
        if std::mem::replace(&mut told.ended, true) {
            return None;
        }
        // The digit lasts as long as tone and event together.
        let ends = report.begun + report.duration;
        told.digit.duration = match told.digit.source {
            DigitSource::Event => report.duration,
            DigitSource::InBand => ends.since(told.digit.begun).max(told.digit.duration),
        };
        told.digit.phase = DigitPhase::Ended;
        Some(told.digit)
    }

    fn tell_tone(&mut self, tone: &InBandDigit) -> Option<CallDigit> {
        let event = tone.digit.event_code();
        if tone.ended {
            let told = self.told.iter_mut().flatten().find(|told| told.sounds && told.digit.event == event)?;
            told.sounds = false;
            if told.name.is_some() || told.ended {
                // It ends with its event.
                return None;
            }
            told.ended = true;
            (told.digit.phase, told.digit.duration) = (DigitPhase::Ended, tone.duration);
            told.digit.level_dbm0 = tone.level_dbm0;
            return Some(told.digit);
        }
        let is_it = |told: &&mut Told| told.name.is_some() && told.is_heard_as(event, tone.begun);
        if let Some(told) = self.told.iter_mut().flatten().find(is_it) {
            told.sounds = true;
            return None;
        }
        let digit = CallDigit {
            stream: 0,
            number: self.begun,
            phase: DigitPhase::Began,
            event,
            source: DigitSource::InBand,
            ssrc: tone.ssrc,
            begun: tone.begun,
            duration: tone.duration,
            level_dbm0: tone.level_dbm0,
        };
        Some(self.begin(digit, None))
    }

    /// A digit that is new.
    fn begin(&mut self, digit: CallDigit, name: Option<Name>) -> CallDigit {
        self.in_band = self.in_band.saturating_add(u32::from(name.is_none()));
        let place = self.begun as usize % PLACES;
        self.begun = self.begun.wrapping_add(1);
        self.told[place] = Some(Told { digit, name, sounds: name.is_none(), ended: false });
        digit
    }

    pub(super) fn stats(&self) -> DigitStats {
        let events = self.events.stats();
        DigitStats {
            heard: self.begun,
            in_band: self.in_band,
            lost_ends: events.lost_ends,
            sent: self.keys.begun(),
            waiting: self.keys.waiting() as u32,
            given_up: self.given_up,
            ..DigitStats::default()
        }
    }

    /// Bytes on the heap, its own included.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&self.heard_as[..])
    }
}

fn header(packet: &RtpPacket<'_>) -> EventHeader {
    EventHeader { ssrc: packet.ssrc(), timestamp: packet.timestamp(), marker: packet.marker(), clock_hz: 0 }
}
