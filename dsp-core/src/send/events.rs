//! Sending telephone events (RFC 4733, 2.5.1): the queue of key presses, and the packets of the present one.

use core::fmt;

use crate::time::{PayloadType, RtpTime};
use crate::tone::EventCode;
use crate::wire::event::{MAX_EVENT_TICKS, TelephoneEvent};

/// How often the end of an event is reported (RFC 4733, 2.5.1.4).
const ENDS: u8 = 3;
/// Time from an event that was cut short to the next one: a receiver waits for three packets (2.5.2.2) or somewhat
/// longer.
const CUT_MS: u32 = 300;
/// No gap is longer.
const LONGEST_GAP_MS: u32 = 60_000;

/// A key press that is to be sent as a telephone event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KeyPress {
    /// Event code: a digit or the hook flash.
    pub event: EventCode,
    /// Duration, in ms; at least the length of a packet.
    pub duration_ms: u32,
    /// Pause after it before the next event, in ms, up to 60,000; at least the two packets that repeat the end.
    pub gap_ms: u32,
    /// Power of the tone below 0 dBm0, in dB: 0 to 63.
    pub volume: u8,
}

impl KeyPress {
    /// A key press of 100 ms with a pause of 100 ms, at -10 dBm0.
    pub const fn of(event: EventCode) -> Self {
        Self { event, duration_ms: 100, gap_ms: 100, volume: 10 }
    }
}

/// The queue of key presses is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KeysFull {
    /// Number of key presses that the queue holds.
    pub room: usize,
}

impl fmt::Display for KeysFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys wait already, more than that have no room", self.room)
    }
}

impl core::error::Error for KeysFull {}

/// How telephone events are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EventFormat {
    /// Payload type of the event packets.
    pub payload_type: PayloadType,
    /// RTP clock rate of that payload type, in Hz.
    pub clock_hz: u32,
}

/// The event that lasts.
#[derive(Clone, Copy, Debug)]
struct Pressed {
    key: KeyPress,
    /// When it began, or its latest segment.
    segment: RtpTime,
    /// How long this segment has lasted, and how long the event is still to last, in ticks of the sound.
    lasted: u32,
    left: u32,
    /// How often its end was reported.
    ends: u8,
}

/// A packet in place of a frame of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EventPacket {
    pub(super) payload_type: PayloadType,
    pub(super) timestamp: RtpTime,
    pub(super) marker: bool,
    pub(super) report: TelephoneEvent,
}

/// Sends key presses as telephone events (RFC 4733, 2.5.1), in place of the sound of a [`Sender`](super::Sender). At
/// most `KEYS` of them wait in its queue.
///
/// While an event lasts, each packet reports it under the timestamp of its beginning, with a growing duration. Its end
/// is reported three times, then sound follows for the rest of the pause. An event longer than 65,535 ticks goes on as
/// another segment (2.5.1.3). Timestamps count in the clock of the sound, durations in that of the events; the two
/// should be equal (2.1). For digits within the sound use [`DtmfGenerator`](crate::tone::DtmfGenerator).
///
/// A key is pressed in the middle of the sound:
/// A key is pressed in the middle of the sound:
///
/// ```
/// use dsp_core::codec::g711::Pcmu;
/// use dsp_core::send::{EventFormat, EventSender, KeyPress, NarrowbandSender, SenderConfig};
/// use dsp_core::time::{PayloadType, RtpTime, Seq, Ssrc};
/// use dsp_core::tone::Digit;
///
/// # let config = SenderConfig {
/// #     ssrc: Ssrc(7),
/// #     first_seq: Seq(1),
/// #     first_timestamp: RtpTime(0),
/// #     payload_type: PayloadType::PCMU,
/// #     ptime_ms: 20,
/// # };
/// let mut sender = NarrowbandSender::new(config, &Pcmu)?;
/// let mut keys = EventSender::<8>::new();
/// keys.set_format(Some(EventFormat { payload_type: PayloadType::from_low_bits(101), clock_hz: 8_000 }));
/// keys.press(KeyPress::of(Digit::Five.event_code()))?;
/// let mut datagram = [0; 172];
/// for _ in 0..25 {
///     sender.capture(&[1_000; 160])?;
///     while let Some(len) = sender.event(&mut keys, &mut datagram) {
///         len?;
///     }
///     while let Some(len) = sender.packet(&mut Pcmu, &mut datagram) {
///         len?;
///     }
/// }
/// assert!(keys.is_idle());
/// let stats = sender.stats();
/// assert!(stats.event_packets > 3 && stats.packets > stats.event_packets);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct EventSender<const KEYS: usize> {
    format: Option<EventFormat>,
    waiting: [Option<KeyPress>; KEYS],
    pressed: Option<Pressed>,
    /// Microseconds until the next may begin.
    gap_us: u32,
    begun: u32,
}

impl<const KEYS: usize> Default for EventSender<KEYS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const KEYS: usize> EventSender<KEYS> {
    /// An empty queue.
    pub const fn new() -> Self {
        const { assert!(KEYS > 0, "room for one key at least") };
        Self { format: None, waiting: [None; KEYS], pressed: None, gap_us: 0, begun: 0 }
    }

    /// Sets how events are sent from now on. With `None` no event is sent, and key presses stay in the queue. An event
    /// that lasts goes on if the format is the same, and is cut short if it is another.
    pub fn set_format(&mut self, format: Option<EventFormat>) {
        if format != self.format {
            self.cut();
        }
        self.format = format;
    }

    /// How events are sent.
    pub const fn format(&self) -> Option<EventFormat> {
        self.format
    }

    /// Puts a key press into the queue.
    ///
    /// # Errors
    /// Returns [`KeysFull`] if `KEYS` key presses wait already.
    pub fn press(&mut self, key: KeyPress) -> Result<(), KeysFull> {
        let free = self.waiting.iter_mut().find(|place| place.is_none()).ok_or(KeysFull { room: KEYS })?;
        *free = Some(key);
        Ok(())
    }

    /// Ends the present event: its end is reported with the next packet.
    pub fn release(&mut self) {
        if let Some(pressed) = &mut self.pressed {
            pressed.left = 0;
        }
    }

    /// Removes the key presses that wait.
    pub fn clear(&mut self) {
        self.waiting = [None; KEYS];
    }

    /// Breaks off the present event, because the stream pauses or changes. The next event starts after a pause that is
    /// long enough for the other side to take this one as ended.
    pub fn cut(&mut self) {
        if let Some(Pressed { key, .. }) = self.pressed.take() {
            self.gap_us = key.gap_ms.clamp(CUT_MS, LONGEST_GAP_MS) * 1_000;
        }
    }

    /// Number of key presses that wait, without the present one.
    pub fn waiting(&self) -> usize {
        self.waiting.iter().flatten().count()
    }

    /// Whether there is neither a present event nor one that waits.
    pub fn is_idle(&self) -> bool {
        self.pressed.is_none() && self.waiting[0].is_none()
    }

    /// Whether no frame of sound is dropped for its sake: there is no event, and no gap between two of them.
    pub const fn is_quiet(&self) -> bool {
        self.pressed.is_none() && self.waiting[0].is_none() && self.gap_us == 0
    }

    /// Number of events that have begun; it wraps.
    pub const fn begun(&self) -> u32 {
        self.begun
    }

    /// What takes the place of a frame of sound that begins at `timestamp` and lasts for `ticks` of a clock of `clock_hz`;
    /// `None`: the sound itself.
    pub(super) fn turn(&mut self, timestamp: RtpTime, ticks: u32, clock_hz: u32) -> Option<EventPacket> {
        let EventFormat { payload_type, clock_hz: event_hz } = self.format?;
        let of_ms = |ms: u32| (u64::from(ms) * u64::from(clock_hz) / 1_000).min(1 << 31) as u32;
        let us = |ticks: u32| (u64::from(ticks) * 1_000_000 / u64::from(clock_hz.max(1))) as u32;
        let mut marker = false;
        if self.pressed.is_none() {
            let due = self.gap_us == 0;
            self.gap_us = self.gap_us.saturating_sub(us(ticks));
            let key = self.waiting[0].filter(|_| due)?;
            self.waiting.rotate_left(1);
            self.waiting[KEYS - 1] = None;
            // Its last packet may be shorter than the frame, but not the only one.
            let left = of_ms(key.duration_ms).max(ticks);
            marker = true;
            self.pressed = Some(Pressed { key, segment: timestamp, lasted: 0, left, ends: 0 });
        }
        let pressed = self.pressed.as_mut()?;
        self.begun = self.begun.wrapping_add(u32::from(marker));
        let of_event = |own: u32| u64::from(own) * u64::from(event_hz) / u64::from(clock_hz.max(1));
        if pressed.ends == 0 {
            let step = pressed.left.min(ticks);
            pressed.lasted += step;
            pressed.left -= step;
        }
        let mut packet = EventPacket {
            payload_type,
            timestamp: pressed.segment,
            marker,
            report: TelephoneEvent {
                event: pressed.key.event,
                end: false,
                volume: pressed.key.volume,
                duration: of_event(pressed.lasted).min(MAX_EVENT_TICKS.into()) as u16,
            },
        };
        if of_event(pressed.lasted) > u64::from(MAX_EVENT_TICKS) {
            // A whole segment; what is over begins the next.
            let segment = (u64::from(MAX_EVENT_TICKS) * u64::from(clock_hz) / u64::from(event_hz.max(1))) as u32;
            pressed.segment = pressed.segment.plus(segment);
            pressed.lasted = pressed.lasted.saturating_sub(segment);
            return Some(packet);
        }
        if pressed.left == 0 {
            packet.report.end = true;
            pressed.ends += 1;
            if pressed.ends == ENDS {
                // The gap began with the end: two packets of it have passed.
                let gap_us = pressed.key.gap_ms.min(LONGEST_GAP_MS) * 1_000;
                self.gap_us = gap_us.saturating_sub(us(ticks) * u32::from(ENDS - 1));
                self.pressed = None;
            }
        }
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Encoder;
    use crate::codec::g711::Pcmu;
    use crate::codec::l16::L16;
    use crate::receive::{EventHeader, EventPhase, EventReceiver, EventsConfig};
    use crate::send::{HostSender, SenderConfig};
    use crate::time::{Duration, Instant, Seq, Ssrc};
    use crate::wire::rtp::RtpPacket;
    use std::vec::Vec;

    const EVENT: PayloadType = PayloadType::from_low_bits(101);

    struct Sent {
        payload_type: PayloadType,
        marker: bool,
        timestamp: u32,
        payload: Vec<u8>,
    }

    /// What leaves in so many packets of `ptime_ms` while these keys are pressed, the first of them after a packet of sound.
    fn sent(encoder: &mut dyn Encoder, ptime_ms: u32, event_hz: u32, keys: &[KeyPress], packets: usize) -> Vec<Sent> {
        let info = encoder.info();
        let config = SenderConfig {
            ssrc: Ssrc(1),
            first_seq: Seq(65_530),
            first_timestamp: RtpTime(0),
            payload_type: PayloadType::PCMU,
            ptime_ms,
        };
        let mut sender = HostSender::new(config, encoder).unwrap();
        let mut events = EventSender::<8>::new();
        events.set_format(Some(EventFormat { payload_type: EVENT, clock_hz: event_hz }));
        let (tick, mut sent, mut datagram) = ([7; 480], Vec::new(), [0; 6_000]);
        while sent.len() < packets {
            if sent.len() == 1 && events.begun() == 0 && events.is_idle() {
                keys.iter().for_each(|key| events.press(*key).unwrap());
            }
            sender.capture(&tick[..info.sample_rate_hz as usize / 100]).unwrap();
            let event = sender.event(&mut events, &mut datagram);
            let Some(len) = event.or_else(|| sender.packet(encoder, &mut datagram)) else { continue };
            let packet = RtpPacket::parse(&datagram[..len.unwrap()]).unwrap();
            assert_eq!(packet.seq(), Seq(65_530).plus(sent.len() as u16));
            let payload = packet.payload().to_vec();
            let (payload_type, timestamp) = (packet.payload_type(), packet.timestamp().0);
            sent.push(Sent { payload_type, marker: packet.marker(), timestamp, payload });
        }
        assert_eq!(sender.stats().packets as usize, packets);
        let of_events = sent.iter().filter(|sent| sent.payload_type == EVENT).count();
        assert_eq!(sender.stats().event_packets as usize, of_events);
        sent
    }

    /// A packet as its marker, timestamp, duration and whether it ends the event.
    fn rows(sent: &[Sent]) -> Vec<(bool, u32, u16, bool)> {
        let events = sent.iter().filter(|sent| sent.payload_type == EVENT);
        let report = |sent: &Sent| TelephoneEvent::parse(&sent.payload).unwrap().next().unwrap().1;
        events.map(|sent| (sent.marker, sent.timestamp, report(sent).duration, report(sent).end)).collect()
    }

    #[test]
    fn a_key_takes_the_place_of_the_sound_and_ends_three_times() {
        let key = KeyPress { duration_ms: 50, gap_ms: 60, ..KeyPress::of(EventCode(5)) };
        let sent = sent(&mut Pcmu, 20, 8_000, &[key, key], 12);
        let begins = [
            (true, 160, 160, false),
            (false, 160, 320, false),
            (false, 160, 400, true),
            (false, 160, 400, true),
            (false, 160, 400, true),
        ];
        // A gap of 60 ms of which two packets repeat the end: one packet of sound.
        let next = begins.map(|(marker, timestamp, duration, end)| (marker, timestamp + 6 * 160, duration, end));
        assert_eq!(rows(&sent), [begins, next].concat());
        let sound: Vec<_> = (0..12)
            .filter(|at| sent[*at].payload_type != EVENT)
            .map(|at| (at, sent[at].timestamp, sent[at].marker))
            .collect();
        assert_eq!(sound, [(0, 0, true), (6, 960, false)]);
    }

    #[test]
    fn any_clock_and_packet_length_and_long_events_in_segments() {
        let clocks = [(8_000, 20), (16_000, 30), (48_000, 10), (48_000, 60)];
        for (rate_hz, ptime_ms) in clocks {
            let key = KeyPress { duration_ms: 3_000, ..KeyPress::of(EventCode(11)) };
            let packets = (4_000 / ptime_ms) as usize;
            let mut encoder = L16::new(rate_hz, 1).unwrap();
            let sent = sent(&mut encoder, ptime_ms, rate_hz, &[key], packets);
            let rows = rows(&sent);
            let first = rate_hz / 1_000 * ptime_ms;
            assert_eq!(rows[0], (true, first, first as u16, false));
            assert_eq!(rows.iter().filter(|row| row.0).count(), 1);
            assert_eq!(rows.iter().filter(|row| row.3).count(), 3);
            // The segments adjoin, and together last as long as the key.
            let (_, last, duration, _) = rows[rows.len() - 1];
            assert_eq!(last + u32::from(duration) - first, rate_hz * 3);
            assert_eq!((last - first) % MAX_EVENT_TICKS, 0);
            for pair in rows.windows(2).filter(|pair| pair[0].1 != pair[1].1) {
                assert_eq!((pair[0].2, pair[0].3), (0xffff, false));
            }
            let mut heard = EventReceiver::<4>::new(EventsConfig::default());
            let (mut now, mut told) = (Instant::ZERO, Vec::new());
            for sent in sent.iter().filter(|sent| sent.payload_type == EVENT) {
                now += Duration::from_millis(ptime_ms.into());
                let Sent { marker, timestamp, .. } = *sent;
                let header = EventHeader { ssrc: Ssrc(1), timestamp: RtpTime(timestamp), marker, clock_hz: rate_hz };
                heard.receive(now, &header, &sent.payload).unwrap();
                told.extend(core::iter::from_fn(|| heard.next(now)));
            }
            let told: Vec<_> = told.iter().map(|report| (report.phase, report.event.0)).collect();
            assert_eq!(told, [(EventPhase::Began, 11), (EventPhase::Ended, 11)], "{rate_hz} {ptime_ms}");
        }
    }

    #[test]
    fn durations_count_in_the_clock_of_the_events() {
        let key = KeyPress { duration_ms: 10_000, ..KeyPress::of(EventCode(1)) };
        let rows = rows(&sent(&mut L16::new(48_000, 1).unwrap(), 20, 8_000, &[key], 520));
        assert_eq!(rows[0], (true, 960, 160, false));
        let (_, last, duration, end) = rows[rows.len() - 1];
        assert_eq!((last, duration, end), (960 + 6 * 0xffff, (80_000_u32 - 0xffff) as u16, true));
    }

    #[test]
    fn what_has_not_left_waits_again_and_no_more_than_there_is_room_for() {
        let mut events = EventSender::<2>::new();
        let format = EventFormat { payload_type: EVENT, clock_hz: 8_000 };
        events.press(KeyPress::of(EventCode(1))).unwrap();
        assert_eq!(events.turn(RtpTime(0), 160, 8_000), None, "nothing was agreed on");
        events.press(KeyPress::of(EventCode(2))).unwrap();
        assert_eq!(events.press(KeyPress::of(EventCode(3))), Err(KeysFull { room: 2 }));
        events.set_format(Some(format));
        assert_eq!(events.turn(RtpTime(0), 160, 8_000).map(|packet| packet.report.event), Some(EventCode(1)));
        // The same format changes nothing, another ends it here, and a pause too.
        events.set_format(Some(format));
        assert_eq!(events.turn(RtpTime(160), 160, 8_000).map(|packet| packet.report.duration), Some(320));
        events.release();
        assert_eq!(events.turn(RtpTime(320), 160, 8_000).map(|packet| packet.report.end), Some(true));
        events.set_format(Some(EventFormat { clock_hz: 48_000, ..format }));
        // What was cut short is over for the other side before the next begins.
        let silent = (0..40).take_while(|at| events.turn(RtpTime(480 + at * 960), 960, 48_000).is_none()).count();
        assert_eq!((silent, events.begun()), (15, 2));
        let packet = events.turn(RtpTime(15_840), 960, 48_000).unwrap();
        assert_eq!((packet.report.event, packet.marker, packet.report.duration), (EventCode(2), false, 1_920));
        events.cut();
        assert!(events.is_idle() && events.turn(RtpTime(1_440), 960, 48_000).is_none());
        events.press(KeyPress::of(EventCode(4))).unwrap();
        events.clear();
        assert_eq!((events.waiting(), events.begun()), (0, 2));
    }
}
