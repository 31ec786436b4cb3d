//! Telephone events and tones: the payloads of `audio/telephone-event` and `audio/tone` (RFC 4733, 2.3 and 4.3.3).
//!
//! Use it to read and write these payloads. Deciding when an event has begun and ended is the work of
//! [`EventReceiver`](crate::receive::EventReceiver), and sending one that of
//! [`EventSender`](crate::send::EventSender).
//!
//! A telephone event has four bytes: what it is, whether it has ended, its volume, and how long it has lasted since
//! the packet's timestamp. A packet may carry several that follow each other without a pause (2.5.1.5). A tone is
//! described instead of named, by its modulation, volume, duration and frequencies. Durations are in ticks of the
//! payload type's RTP clock, volumes in dB below 0 dBm0, frequencies in Hz. Reading and writing take a few shifts.
//!
//! The end of a key of 100 ms, written and read:
//!
//! ```
//! use dsp_core::tone::Digit;
//! use dsp_core::wire::event::{EventLengthError, TelephoneEvent};
//!
//! let event = TelephoneEvent { event: Digit::Pound.event_code(), end: true, volume: 10, duration: 800 };
//! let bytes = event.to_bytes();
//! assert_eq!(bytes, [11, 0x80 | 10, 0x03, 0x20]);
//! assert!(TelephoneEvent::parse(&bytes)?.eq([(0, event)]));
//! # Ok::<(), EventLengthError>(())
//! ```

use core::fmt;

use crate::tone::EventCode;

/// Length of one event, in bytes.
pub const EVENT_LEN: usize = 4;
/// The longest duration that the field of an event holds, in ticks. Longer events are split into segments (RFC 4733,
/// 2.5.1.3).
pub const MAX_EVENT_TICKS: u32 = 0xffff;

/// The E bit of an event's second byte.
const END_BIT: u8 = 0x80;
/// The volume in an event's second byte and in a tone's.
const VOLUME_BITS: u8 = 0x3f;
/// The frequency in each word of a tone.
const FREQUENCY_BITS: u16 = 0x0fff;

/// The bytes are too few for a telephone event or a tone, or there is no room to write one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EventLengthError {
    /// Bytes needed.
    pub need: usize,
    /// Bytes that were given.
    pub got: usize,
}

impl fmt::Display for EventLengthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, a telephone event or tone has at least {}", self.got, self.need)
    }
}

impl core::error::Error for EventLengthError {}

/// One telephone event, as a packet reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TelephoneEvent {
    /// Event code.
    pub event: EventCode,
    /// Whether the event has ended: the E bit.
    pub end: bool,
    /// Power of the tone below 0 dBm0, in dB: 0 to 63. It has no meaning for events that are not tones.
    pub volume: u8,
    /// How long the event has lasted since the packet's timestamp, in ticks.
    pub duration: u16,
}

impl TelephoneEvent {
    /// Reads all events in a payload, each with the number of ticks after the packet's timestamp at which it begins.
    ///
    /// A further event counts only if the one before it has ended and it has a duration (2.5.1.5). Other bytes after
    /// the first event are ignored, since some senders fill up their packets.
    ///
    /// # Errors
    /// Returns [`EventLengthError`] if the payload has less than four bytes.
    pub fn parse(payload: &[u8]) -> Result<impl Iterator<Item = (u32, Self)> + Clone + '_, EventLengthError> {
        let (events, _) = payload.as_chunks::<EVENT_LEN>();
        if events.is_empty() {
            return Err(EventLengthError { need: EVENT_LEN, got: payload.len() });
        }
        let mut begins = 0;
        let mut follows = true;
        Ok(events.iter().map(Self::read).enumerate().map_while(move |(at, event)| {
            let is_one = at == 0 || (follows && event.duration > 0);
            let own = begins;
            (begins, follows) = (begins + u32::from(event.duration), event.end && event.duration > 0);
            is_one.then_some((own, event))
        }))
    }

    fn read(&[event, second, high, low]: &[u8; EVENT_LEN]) -> Self {
        Self {
            event: EventCode(event),
            end: second & END_BIT != 0,
            volume: second & VOLUME_BITS,
            duration: u16::from_be_bytes([high, low]),
        }
    }

    /// The four bytes of the event. A volume above 63 is written as 63, the quietest.
    pub const fn to_bytes(&self) -> [u8; EVENT_LEN] {
        let [high, low] = self.duration.to_be_bytes();
        let end = if self.end { END_BIT } else { 0 };
        let volume = if self.volume > VOLUME_BITS { VOLUME_BITS } else { self.volume };
        [self.event.0, end | volume, high, low]
    }

    /// Writes the payload of this event alone into `payload` and returns its length.
    ///
    /// # Errors
    /// Returns [`EventLengthError`] if `payload` has less than four bytes.
    pub fn write(&self, payload: &mut [u8]) -> Result<usize, EventLengthError> {
        let got = payload.len();
        let place = payload.first_chunk_mut().ok_or(EventLengthError { need: EVENT_LEN, got })?;
        *place = self.to_bytes();
        Ok(EVENT_LEN)
    }
}

/// A tone as `audio/tone` describes it: the sum of its frequencies, modulated. Without frequencies it is silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tone<'a> {
    /// Modulation frequency, 0 to 511, in Hz, or in thirds of a Hz with `thirds`; 0 is no modulation.
    pub modulation: u16,
    /// Whether [`modulation`](Self::modulation) is in thirds of a Hz: the T bit.
    pub thirds: bool,
    /// Power below 0 dBm0, in dB: 0 to 63.
    pub volume: u8,
    /// How long the tone has lasted since the packet's timestamp, in ticks.
    pub duration: u16,
    words: &'a [[u8; 2]],
}

/// Bytes of a tone before its frequencies.
const TONE_HEADER_LEN: usize = 4;

impl<'a> Tone<'a> {
    /// Reads the description of a tone. An odd byte at its end is ignored.
    ///
    /// # Errors
    /// Returns [`EventLengthError`] if the payload has less than four bytes.
    pub fn parse(payload: &'a [u8]) -> Result<Self, EventLengthError> {
        let got = payload.len();
        let (&[high, low, longer, shorter], rest) =
            payload.split_first_chunk::<TONE_HEADER_LEN>().ok_or(EventLengthError { need: TONE_HEADER_LEN, got })?;
        let first = u16::from_be_bytes([high, low]);
        Ok(Self {
            modulation: first >> 7,
            thirds: first >> 6 & 1 == 1,
            volume: low & VOLUME_BITS,
            duration: u16::from_be_bytes([longer, shorter]),
            words: rest.as_chunks().0,
        })
    }

    /// Frequencies of the tone in Hz, 0 to 4,095.
    pub fn frequencies(&self) -> impl Iterator<Item = u16> + Clone + 'a {
        self.words.iter().map(|word| u16::from_be_bytes(*word) & FREQUENCY_BITS)
    }

    /// Writes the description of a tone with these frequencies in Hz, and returns its length. Values beyond what a
    /// field holds are written as its greatest value.
    ///
    /// # Errors
    /// Returns [`EventLengthError`] if there is no room for it.
    pub fn write(
        (modulation, thirds): (u16, bool),
        volume: u8,
        duration: u16,
        frequencies: &[u16],
        payload: &mut [u8],
    ) -> Result<usize, EventLengthError> {
        let (need, got) = (TONE_HEADER_LEN + 2 * frequencies.len(), payload.len());
        let place = payload.get_mut(..need).ok_or(EventLengthError { need, got })?;
        let (header, words) = place.split_at_mut(TONE_HEADER_LEN);
        let first = modulation.min(0x1ff) << 7 | u16::from(thirds) << 6 | u16::from(volume.min(VOLUME_BITS));
        header[..2].copy_from_slice(&first.to_be_bytes());
        header[2..].copy_from_slice(&duration.to_be_bytes());
        for (word, hz) in words.as_chunks_mut::<2>().0.iter_mut().zip(frequencies) {
            *word = (*hz).min(FREQUENCY_BITS).to_be_bytes();
        }
        Ok(need)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn read(payload: &[u8]) -> Vec<(u32, TelephoneEvent)> {
        TelephoneEvent::parse(payload).unwrap().collect()
    }

    #[test]
    fn every_field_comes_back() {
        for event in [0, 11, 16, 255].map(EventCode) {
            for (end, volume, duration) in [(false, 0, 0), (true, 10, 800), (false, 63, 0xffff)] {
                let written = TelephoneEvent { event, end, volume, duration };
                assert_eq!(read(&written.to_bytes()), [(0, written)]);
            }
        }
        // RFC 4733, 5, table 12: digit 9, volume 7, 1,600 ticks, ended.
        assert_eq!(
            TelephoneEvent { event: EventCode(9), end: true, volume: 7, duration: 1_600 }.to_bytes(),
            [9, 0x87, 6, 0x40]
        );
        // The R bit is passed over, a volume that is too large is the quietest.
        assert_eq!(read(&[1, 0x4a, 0, 160])[0].1.volume, 10);
        let event = TelephoneEvent { event: EventCode(1), end: false, volume: 200, duration: 0 };
        assert_eq!(event.to_bytes()[1], 63);
        let mut short = [0; 3];
        assert_eq!(event.write(&mut short), Err(EventLengthError { need: 4, got: 3 }));
        assert!(TelephoneEvent::parse(&short).is_err());
    }

    #[test]
    fn several_events_follow_each_other_and_what_fills_a_packet_is_none() {
        let of = |event, end, duration| TelephoneEvent { event: EventCode(event), end, volume: 10, duration };
        let (one, two, three) = (of(1, true, 400), of(2, true, 80), of(3, false, 160));
        let packed = [one.to_bytes(), two.to_bytes(), three.to_bytes()].concat();
        assert_eq!(read(&packed), [(0, one), (400, two), (480, three)]);
        // Zeros behind an event, and anything behind one that goes on.
        assert_eq!(read(&[&one.to_bytes()[..], &[0; 8]].concat()), [(0, one)]);
        assert_eq!(read(&[three.to_bytes(), one.to_bytes()].concat()), [(0, three)]);
        assert_eq!(read(&[&one.to_bytes()[..], &[1, 2, 3]].concat()), [(0, one)]);
    }

    #[test]
    fn a_tone_comes_back() {
        // RFC 4733, 4.2: ringback of 440 and 480 Hz.
        let mut bytes = [0; 8];
        assert_eq!(Tone::write((0, false), 13, 16_000, &[440, 480], &mut bytes), Ok(8));
        let tone = Tone::parse(&bytes).unwrap();
        assert_eq!((tone.modulation, tone.thirds, tone.volume, tone.duration), (0, false, 13, 16_000));
        assert_eq!(tone.frequencies().collect::<Vec<_>>(), [440, 480]);
        // 50/3 Hz.
        assert_eq!(Tone::write((50, true), 99, 1, &[9_999], &mut bytes[..6]), Ok(6));
        let tone = Tone::parse(&bytes[..7]).unwrap();
        assert_eq!((tone.modulation, tone.thirds, tone.volume), (50, true, 63));
        assert_eq!(tone.frequencies().collect::<Vec<_>>(), [4_095]);
        assert_eq!(Tone::write((0, false), 0, 0, &[1], &mut bytes[..5]), Err(EventLengthError { need: 6, got: 5 }));
        assert!(Tone::parse(&bytes[..3]).is_err());
    }
}
