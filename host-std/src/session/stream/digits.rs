//! Digits of a stream, both ways: keys that wait to be sent as telephone events, and events that are heard (RFC 4733).
//!
//! They belong to the stream and not to its receivers: an event that lasts goes on when a later offer and answer replace
//! those. Events are taken in with their packets, before any delay; what the receivers make of the packets is theirs.

use dsp_core::receive::{EventHeader, EventPhase, EventReceiver, EventsConfig, Received};
use dsp_core::send::{EventFormat, EventSender, KeyPress};
use dsp_core::time::{Instant, PayloadType, RtpTime, Ssrc};
use dsp_core::tone::EventCode;
use dsp_core::wire::red::RedPayload;
use dsp_core::wire::rtp::RtpPacket;

use crate::sdp::{EventSet, NegotiatedEvents, NegotiatedStream};
use crate::session::digits::{DigitError, DigitPhase, DigitSource, DigitStats, HeardDigit};
use crate::session::outcome::Incoming;

/// Keys that may wait.
const KEYS: usize = 32;
/// Events that are remembered.
const PLACES: usize = 16;

/// The name of an event: who sent it, when it began, what it is.
type Name = (Ssrc, RtpTime, EventCode);

/// Digits that are sent and heard.
pub(super) struct Digits {
    keys: EventSender<KEYS>,
    /// What the other side takes, if it takes any.
    taken: Option<EventSet>,
    events: EventReceiver<PLACES>,
    /// Payload types that are or were events, with their clocks in Hz, the last that was agreed on first: packets of those
    /// before may still be on their way.
    heard_as: Vec<(PayloadType, u32)>,
    /// The events that were told last, so that an end has the number of its beginning.
    numbers: [Option<(Name, u32)>; PLACES],
    begun: u32,
}

impl Digits {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self {
            keys: EventSender::new(),
            taken: None,
            events: EventReceiver::new(EventsConfig::default()),
            heard_as: Vec::new(),
            numbers: [None; PLACES],
            begun: 0,
        })
    }

    /// Goes on as agreed, beside a codec of this clock. Where the source is another than before, it was told.
    pub(super) fn agree(&mut self, agreed: &NegotiatedStream, clock_hz: u32) {
        let send = agreed.send_events_beside(clock_hz);
        let of =
            |events: NegotiatedEvents| EventFormat { payload_type: events.payload_type, clock_hz: events.rtp_clock_hz };
        self.keys.set_format(send.map(of));
        self.taken = send.map(|events| events.events);
        if self.taken.is_none() {
            // Nobody would ever take them.
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

    pub(super) fn press(&mut self, keys: &[KeyPress]) -> Result<(), DigitError> {
        let taken = self.taken.ok_or(DigitError::NoEvents)?;
        if let Some(other) = keys.iter().find(|key| !taken.contains(key.event.0)) {
            return Err(DigitError::NotTaken { event: other.event, taken });
        }
        let (room, got) = (KEYS - self.keys.waiting(), keys.len());
        if got > room {
            return Err(DigitError::Full { room, got });
        }
        // There is room.
        keys.iter().try_for_each(|key| self.keys.press(*key)).map_err(|_| DigitError::Full { room, got })
    }

    /// The keys, for the sender.
    pub(super) fn keys(&mut self) -> &mut EventSender<KEYS> {
        &mut self.keys
    }

    /// The stream pauses, or becomes another source.
    pub(super) fn cut(&mut self) {
        self.keys.cut();
    }

    /// Takes in a packet of which `incoming` says what the receivers made. `redundant`: whether it has blocks (RFC 2198).
    pub(super) fn take(&mut self, now: Instant, packet: &RtpPacket<'_>, redundant: bool, incoming: &Incoming) {
        // Whoever has to prove himself isn't heard here either. What comes too late for sound or twice is no matter.
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
            // What is no event is counted there.
            let _ = self.events.receive(now, &EventHeader { clock_hz: *clock_hz, ..header }, payload);
        }
    }

    /// What there is to tell at `now`; the number of the stream is the call's affair.
    pub(super) fn next(&mut self, now: Instant) -> Option<HeardDigit> {
        let report = self.events.next(now)?;
        let name = (report.ssrc, report.timestamp, report.event);
        let phase = if report.phase == EventPhase::Began { DigitPhase::Began } else { DigitPhase::Ended };
        let number = match phase {
            DigitPhase::Began => {
                let number = self.begun;
                self.begun = self.begun.wrapping_add(1);
                self.numbers[number as usize % PLACES] = Some((name, number));
                number
            }
            DigitPhase::Ended => {
                let own = self.numbers.iter().flatten().find(|(told, _)| *told == name);
                own.map_or(self.begun, |(_, number)| *number)
            }
        };
        Some(HeardDigit {
            stream: 0,
            number,
            phase,
            event: report.event,
            source: DigitSource::Event,
            ssrc: report.ssrc,
            begun: report.begun,
            duration: report.duration,
            level_dbm0: -f32::from(report.volume),
        })
    }

    pub(super) fn stats(&self) -> DigitStats {
        let events = self.events.stats();
        DigitStats {
            heard: events.events,
            lost_ends: events.lost_ends,
            sent: self.keys.begun(),
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
