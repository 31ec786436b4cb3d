//! A phone's stream: one call's receiver and sender, which know neither port nor network.
//!
//! Use it for a second call beside the phone's own ([`three_way`](crate::three_way)), or in a loop that isn't
//! [`PhoneOf::tick`](crate::phone::PhoneOf::tick); a phone has one inside. Its functions are [`PhoneStream::receive`], and play,
//! capture and transmit of [`Media`]. Telephone events (RFC 4733) bypass the receiver, which counts their packets, and are sent
//! in place of the sound.
//!
//! Cost: all arithmetic is integer, and there is no heap. [`PhoneMemory`] states the memory of its packets.
//!
//! ```
//! use dsp_core::front::Media;
//! use dsp_core::time::Instant;
//! use host_embedded::phone::PhoneConfig;
//! use host_embedded::stream::G711Stream;
//!
//! let mut stream = G711Stream::new(PhoneConfig::default())?;
//! let (now, mut datagram) = (Instant::ZERO, [0; 640]);
//! stream.capture(now, &[1_000; 160]);
//! // 20 ms behind 12 bytes of header.
//! assert_eq!(stream.transmit(now, &mut datagram), Some(Ok(172)));
//! # Ok::<(), host_embedded::phone::PhoneError>(())
//! ```
//!
//! Limits: mono, and one codec at a time to send; it receives whatever its table decodes.

use dsp_core::codec::{Decoder, OtherPayload, PayloadTable};
use dsp_core::front::{Media, NoBlock};
use dsp_core::process::activity::Activity;
use dsp_core::receive::{
    EventHeader, EventReceiver, EventReport, EventsConfig, Played, ReceiveError, Received, Receiver, ReceiverConfig,
    ReceiverStats,
};
use dsp_core::rtcp::SendInfo;
use dsp_core::send::{EventFormat, EventSender, KeyPress, SendError, SendStats, Sender};
use dsp_core::time::{Duration, Instant, NtpTime, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::RtpPacket;

use crate::parts::{G711Parts, Parts, PhoneCodecs, PhoneMemory, PhoneParts};
use crate::phone::{KeyError, PhoneConfig, PhoneError};

/// Length of a tick in ms.
pub(crate) const TICK_MS: u32 = 10;

/// Keys that may wait.
const KEYS: usize = 8;
/// Events that are remembered.
const EVENTS: usize = 4;

/// The codecs, and the payload type of events beside them.
struct WithEvents<'a, C> {
    codecs: &'a mut C,
    /// `None` as well where the phone has no part for them.
    events: Option<PayloadType>,
}

impl<C: PhoneCodecs> PayloadTable for WithEvents<'_, C> {
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
        self.codecs.decoder(payload_type)
    }

    fn other(&self, payload_type: PayloadType) -> OtherPayload {
        if Some(payload_type) == self.events { OtherPayload::Event } else { self.codecs.other(payload_type) }
    }

    fn clock_hz(&self, payload_type: PayloadType) -> Option<u32> {
        self.codecs.clock_hz(payload_type)
    }
}

type MemoryOf<P> = <<P as PhoneParts>::Codecs as PhoneCodecs>::Memory;
/// The memory that is lent to a phone of these parts.
pub type RoomFor<P> = <MemoryOf<P> as PhoneMemory>::Room;

/// One call's receiver and sender.
///
/// This example is a stream without a device side, which returns the packets that it is sent:
///
/// ```
/// use dsp_core::front::Media;
/// use dsp_core::time::{Duration, Instant};
/// use host_embedded::phone::PhoneConfig;
/// use host_embedded::stream::G711Stream;
///
/// let mut stream = G711Stream::new(PhoneConfig::default())?;
/// let (mut now, mut datagram, mut pcm) = (Instant::ZERO, [0; 640], [0; 80]);
/// for _ in 0..20 {
///     stream.capture(now, &[4_000; 80]);
///     while let Some(Ok(len)) = stream.transmit(now, &mut datagram) {
///         stream.receive(now, &datagram[..len]).expect("a packet of its own");
///     }
///     stream.play(now, &mut pcm);
///     now += Duration::from_millis(10);
/// }
/// assert_eq!(stream.receiver_stats().reception.received, u64::from(stream.send_stats().packets));
/// assert!(pcm.iter().all(|sample| (3_800..4_200).contains(sample)));
/// # Ok::<(), host_embedded::phone::PhoneError>(())
/// ```
pub struct PhoneStream<P: PhoneParts> {
    receiver: Receiver<<MemoryOf<P> as PhoneMemory>::Receiver, 1>,
    sender: StreamSender<P>,
    strategy: P::Strategy,
    codecs: P::Codecs,
    sends: PayloadType,
    keys: EventSender<KEYS>,
    heard: EventReceiver<EVENTS>,
    /// The payload type of events both ways.
    events: Option<PayloadType>,
    /// Whether sound is sent: not while this side is on hold.
    sending: bool,
}

type StreamSender<P> = Sender<<MemoryOf<P> as PhoneMemory>::Packet, <P as PhoneParts>::Detector>;

/// The stream of a G.711 phone.
pub type G711Stream = PhoneStream<G711Parts<NoBlock>>;

impl G711Stream {
    /// Creates a stream that waits for its first packet.
    ///
    /// # Errors
    /// The same as for [`with_parts`](Self::with_parts).
    #[inline(always)]
    pub fn new(config: PhoneConfig) -> Result<Self, PhoneError> {
        Self::with_parts(config, Parts::g711())
    }
}

impl<P: PhoneParts> PhoneStream<P> {
    /// Creates a stream that waits for its first packet. The block of the parts is not used in it.
    ///
    /// # Errors
    /// [`PhoneError`] if receiver or sender refuse their part of `config`.
    #[inline(always)]
    pub fn with_parts(config: PhoneConfig, parts: Parts<P>) -> Result<Self, PhoneError>
    where
        RoomFor<P>: Default,
    {
        Self::with_room(config, parts, Default::default())
    }

    /// Creates the same in memory that is lent to it.
    ///
    /// # Errors
    /// The same as for [`with_parts`](Self::with_parts).
    #[inline(always)]
    pub fn with_room(config: PhoneConfig, parts: Parts<P>, room: RoomFor<P>) -> Result<Self, PhoneError> {
        let Parts { noise, strategy, mut codecs, .. } = parts;
        let sends = config.sender.payload_type;
        let encoder = codecs.encoder(sends).ok_or(PhoneError::PayloadType(sends))?;
        let longest = MemoryOf::<P>::PACKET_SAMPLES.saturating_sub(2 * Self::tick_samples());
        StreamSender::<P>::check(config.sender.ptime_ms, encoder, longest).map_err(PhoneError::Sender)?;
        let (memory, packet) = MemoryOf::<P>::lay_out(room);
        let events = config.events.filter(|_| P::EVENTS);
        let receiver = ReceiverConfig {
            sample_rate_hz: P::Codecs::SAMPLE_RATE_HZ,
            rtp_clock_hz: P::Codecs::RTP_CLOCK_HZ,
            delay: config.delay,
            tick: Duration::from_millis(u64::from(TICK_MS)),
        };
        let mut stream = Self {
            // No `?`: it would be two more copies on the stack.
            sender: match Sender::with_room(config.sender, encoder, packet) {
                Ok(sender) => sender,
                Err(error) => return Err(PhoneError::Sender(error)),
            },
            receiver: match Receiver::with_memory(receiver, memory) {
                Ok(receiver) => receiver,
                Err(error) => return Err(PhoneError::Receiver(error)),
            },
            strategy,
            codecs,
            sends,
            keys: EventSender::new(),
            heard: EventReceiver::new(EventsConfig::default()),
            events,
            sending: true,
        };
        if noise.is_some() {
            stream.sender.set_comfort_noise(noise);
        }
        stream.receiver.set_payloads(&mut WithEvents { codecs: &mut stream.codecs, events });
        let clock_hz = P::Codecs::RTP_CLOCK_HZ;
        stream.keys.set_format(events.map(|payload_type| EventFormat { payload_type, clock_hz }));
        Ok(stream)
    }

    const fn tick_samples() -> usize {
        (P::Codecs::SAMPLE_RATE_HZ * TICK_MS / 1_000) as usize
    }

    // Once in flash, however many phones call it.
    /// Takes in one RTP packet that arrived at `now`.
    ///
    /// # Errors
    /// [`ReceiveError`] if it is no RTP packet, or too long.
    #[inline(never)]
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<Received, ReceiveError> {
        let received = self.receiver.receive(now, datagram);
        if P::EVENTS && self.events.is_some() && !matches!(received, Err(_) | Ok(Received::Probation)) {
            self.hear_event(now, datagram);
        }
        received
    }

    /// Takes in a packet that the receiver has believed, if it is of events.
    fn hear_event(&mut self, now: Instant, datagram: &[u8]) {
        let Ok(packet) = RtpPacket::parse(datagram) else { return };
        if Some(packet.payload_type()) == self.events {
            let (ssrc, timestamp, marker) = (packet.ssrc(), packet.timestamp(), packet.marker());
            let header = EventHeader { ssrc, timestamp, marker, clock_hz: P::Codecs::RTP_CLOCK_HZ };
            // Packets that hold no event are counted there.
            let _ = self.heard.receive(now, &header, packet.payload());
        }
    }

    pub(crate) fn press(&mut self, key: KeyPress) -> Result<(), KeyError> {
        if !P::EVENTS || self.events.is_none() {
            return Err(KeyError::NoEvents);
        }
        self.keys.press(key).map_err(KeyError::Full)
    }

    pub(crate) fn release(&mut self) {
        if P::EVENTS {
            self.keys.release();
        }
    }

    pub(crate) fn next_event(&mut self, now: Instant) -> Option<EventReport> {
        if P::EVENTS { self.heard.next(now) } else { None }
    }

    /// Records that the microphone lost this many samples: the RTP timestamp advances without them.
    pub fn pause(&mut self, samples: usize) {
        if P::EVENTS {
            self.keys.cut();
        }
        self.sender.pause(samples);
    }

    pub(crate) fn set_sending(&mut self, sending: bool) {
        self.sending = sending;
    }

    /// Changes the length of packets, in ms, as a later offer or answer requests it. Sound that waits is sent in the next packet.
    ///
    /// # Errors
    /// [`PhoneError::Sender`] if the codec has no packets of this length, or the memory no room for them; nothing has changed then.
    pub fn set_packet_ms(&mut self, ptime_ms: u32) -> Result<(), PhoneError> {
        let encoder = self.codecs.encoder(self.sends).ok_or(PhoneError::PayloadType(self.sends))?;
        let longest = MemoryOf::<P>::PACKET_SAMPLES.saturating_sub(2 * Self::tick_samples());
        StreamSender::<P>::check(ptime_ms, encoder, longest).map_err(PhoneError::Sender)?;
        self.sender.set_packet_ms(ptime_ms, encoder).map_err(PhoneError::Sender)
    }

    pub(crate) fn change_source(&mut self, ssrc: Ssrc, seq: Seq, timestamp: RtpTime) {
        if P::EVENTS {
            self.keys.cut();
        }
        self.sender.change_source(ssrc, seq, timestamp);
    }

    /// Returns the totals sent so far, for a sender report; `ntp` is the wall clock, or the time since the phone was switched on.
    pub fn send_info(&self, ntp: NtpTime) -> SendInfo {
        let SendStats { packets, octets, .. } = self.sender.stats();
        SendInfo { ntp, rtp: self.sender.timestamp(), packets, octets }
    }

    /// Everything counted about the incoming stream.
    pub fn receiver_stats(&self) -> ReceiverStats {
        self.receiver.stats()
    }

    /// Packets and payload bytes sent.
    pub fn send_stats(&self) -> SendStats {
        self.sender.stats()
    }
}

impl<P: PhoneParts> Media for PhoneStream<P> {
    /// The datagram's length, or why there is none.
    type Transmit = Result<usize, SendError>;

    fn play(&mut self, now: Instant, pcm: &mut [i16]) -> Played {
        let mut table = WithEvents { codecs: &mut self.codecs, events: self.events };
        self.receiver.play_with(now, &mut table, &mut self.strategy, pcm)
    }

    fn hear_activity(&mut self, activity: Option<Activity>) {
        self.sender.set_speech(activity.map(|heard| heard.speech));
    }

    fn capture(&mut self, _: Instant, pcm: &[i16]) {
        if !self.sending || self.sender.capture(pcm).is_err() {
            // The call is on hold, or packets were not fetched: the samples are lost, but the timestamp advances.
            self.pause(pcm.len());
        }
    }

    #[inline]
    fn transmit(&mut self, _: Instant, datagram: &mut [u8]) -> Option<Self::Transmit> {
        if P::EVENTS
            && let Some(event) = self.sender.event(&mut self.keys, datagram)
        {
            return Some(event);
        }
        let encoder = self.codecs.encoder(self.sends)?;
        let packet = self.sender.packet(encoder, datagram);
        // G.711 takes too little to be worth the code, and what is encoded under a digit would never be sent.
        if packet.is_none() && P::Codecs::SAMPLE_RATE_HZ > 8_000 && (!P::EVENTS || self.keys.is_quiet()) {
            self.sender.encode_ahead(encoder);
        }
        packet
    }
}
