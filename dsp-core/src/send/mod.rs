//! The send road: sound in on the audio clock, RTP packets out.
//!
//! [`Sender::capture`] takes ticks of any length, [`Sender::packet`] gives a finished packet as long as there is one:
//! encoded, with header, sequence number and timestamp (RFC 3550 5.1). The marker bit is set on the first packet and on
//! the first after a pause (RFC 3551 4.1). Timestamps count samples, whether they were sent or not: a pause moves them
//! on. The encoder belongs to the caller, so that a call can change it in mid-stream.
//!
//! With [`Sender::set_comfort_noise`] a pause in speech is told by descriptions of its noise (RFC 3389) instead of
//! being encoded. They share sequence and timeline and have no marker.
//!
//! [`Sender::event`] is asked before [`Sender::packet`] where keys may be pressed: while an event lasts its packets take the
//! place of those of the sound (RFC 4733), and the encoder goes on afterwards where it was.
//!
//! Half a second of sound in ticks of 10 ms, and a packet length that a codec does not have:
//!
//! ```
//! use dsp_core::codec::{g711::Pcmu, ilbc::IlbcEncoder, ilbc::IlbcMode};
//! use dsp_core::send::{NarrowbandSender, SenderConfig};
//! use dsp_core::time::{PayloadType, RtpTime, Seq, Ssrc};
//!
//! let (ssrc, first_seq, first_timestamp, payload_type) = (Ssrc(7), Seq(1), RtpTime(0), PayloadType::PCMU);
//! let config = SenderConfig { ssrc, first_seq, first_timestamp, payload_type, ptime_ms: 20 };
//! let mut sender = NarrowbandSender::new(config, &Pcmu)?;
//! let mut datagram = [0; 172];
//! for _ in 0..50 {
//!     sender.capture(&[1_000; 80])?;
//!     while let Some(len) = sender.packet(&mut Pcmu, &mut datagram) {
//!         assert_eq!(len?, 12 + 160);
//!     }
//! }
//! assert_eq!((sender.stats().packets, sender.seq(), sender.timestamp()), (25, Seq(26), RtpTime(4_000)));
//! assert!(NarrowbandSender::new(SenderConfig { ptime_ms: 25, ..config }, &IlbcEncoder::new(IlbcMode::Ms20)).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;

use crate::codec::{CodecInfo, EncodeError, Encoder, Frames};
use crate::process::activity::{EnergyGate, NoDetector, SpeechDetector};
use crate::storage::Storage;
use crate::time::{PayloadType, RtpTime, Seq, Ssrc};
use crate::wire::extension::AudioLevel;
use crate::wire::rtp::{RtpHeader, WriteError};

mod dtx;
mod events;
mod levels;
mod packetizer;
mod redundancy;

use dtx::{Dtx, Verdict, of};
pub use events::{EventFormat, EventSender, KeyPress, KeysFull};
use levels::AudioLevelMeter;
pub use packetizer::Overflow;
use packetizer::Packetizer;
pub use redundancy::{HostRedundancy, Redundancy};

/// How a sender is made. RFC 3550 5.1 wants SSRC, first sequence number and first timestamp random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SenderConfig {
    /// Synchronisation source.
    pub ssrc: Ssrc,
    /// Sequence number of the first packet; with SRTP below 2^15, so that nobody misses its first wrap (RFC 4568, 6.4).
    pub first_seq: Seq,
    /// Timestamp of the first sample.
    pub first_timestamp: RtpTime,
    /// Payload type of the packets.
    pub payload_type: PayloadType,
    /// Length of a packet, 5 to 120 ms: one that the encoder has ([`Encoder::frames`]).
    pub ptime_ms: u32,
}

/// Why no packet came out. The frame is spent; the next one is tried anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SendError {
    /// The encoder refused the frame.
    Encode(EncodeError),
    /// The datagram buffer is too small for the header.
    Write(WriteError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encode(_) => write!(f, "the frame could not be encoded"),
            Self::Write(_) => write!(f, "the packet could not be written"),
        }
    }
}

impl core::error::Error for SendError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Encode(error) => Some(error),
            Self::Write(error) => Some(error),
        }
    }
}

/// Packets can't have this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PacketLengthError {
    /// Not from 5 to 120 ms.
    OutOfRange {
        /// The length that was asked for.
        ms: u32,
    },
    /// The encoder has no frames of this length.
    NoFrame {
        /// The length that was asked for.
        ms: u32,
        /// The lengths that it has.
        frames: Frames,
    },
    /// The sender has no room for a packet.
    NoRoom {
        /// Samples a packet, all channels together.
        need: usize,
        /// Room for samples.
        got: usize,
    },
}

impl fmt::Display for PacketLengthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange { ms } => write!(f, "packets of {ms} ms; 5 to 120 ms are possible"),
            Self::NoFrame { ms, frames } => write!(f, "packets of {ms} ms; this codec has packets {frames}"),
            Self::NoRoom { need, got } => write!(f, "a packet of {need} samples, room for {got}"),
        }
    }
}

impl core::error::Error for PacketLengthError {}

/// What was sent, as a sender report counts it (RFC 3550 6.4.1): all wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SendStats {
    /// RTP packets.
    pub packets: u32,
    /// Bytes of payload.
    pub octets: u32,
    /// Of the packets, descriptions of comfort noise.
    pub noise_packets: u32,
    /// Of the packets, reports of telephone events.
    pub event_packets: u32,
}

/// One outgoing stream. `S` is the room for one packet and one tick, all channels together: an array, or on a host a
/// boxed slice of as many samples as the codec needs. `D` says what is speech where pauses are told by comfort noise;
/// with [`NoDetector`] there is none, and nothing of it in the program.
pub struct Sender<S, D> {
    ssrc: Ssrc,
    seq: Seq,
    /// Timestamp of the first sample that waits in the packetizer.
    timestamp: RtpTime,
    payload_type: PayloadType,
    marker: bool,
    /// What the samples that wait were captured for.
    info: CodecInfo,
    packetizer: Packetizer<S>,
    dtx: Option<Dtx<D>>,
    /// Whether what is captured now is speech, where a capture chain tells, and how many of the samples that wait end with
    /// speech.
    speech: Option<bool>,
    spoken: usize,
    levels: Option<AudioLevelMeter<D>>,
    stats: SendStats,
}

/// A sender for any codec: packets up to 120 ms at 48 kHz in stereo.
pub type HostSender = Sender<[i16; 11_520], EnergyGate>;
/// A sender for G.711 in packets up to 60 ms, from ticks up to 20 ms, without pauses: a desk phone.
pub type NarrowbandSender = Sender<[i16; 640], NoDetector>;

impl<const SAMPLES: usize, D: SpeechDetector> Sender<[i16; SAMPLES], D> {
    /// A sender for `encoder`'s sound.
    ///
    /// # Errors
    /// [`PacketLengthError`] if the encoder has no packets of this length, or `SAMPLES` no room for one.
    pub fn new(config: SenderConfig, encoder: &dyn Encoder) -> Result<Self, PacketLengthError> {
        Self::with_room(config, encoder, [0; SAMPLES])
    }
}

/// Bounds of [`SenderConfig::ptime_ms`].
const SHORTEST_MS: u32 = 5;
const LONGEST_MS: u32 = 120;

/// Samples of a packet, all channels together.
fn frame_samples(ptime_ms: u32, info: &CodecInfo) -> usize {
    (ptime_ms as usize).saturating_mul(info.sample_rate_hz as usize) / 1_000 * usize::from(info.channels)
}

impl<S: Storage<i16>, D: SpeechDetector> Sender<S, D> {
    /// A sender for `encoder`'s sound, with the memory for a packet and a tick.
    ///
    /// # Errors
    /// As for [`check`](Self::check), of the length of `room`.
    #[inline(always)]
    pub fn with_room(config: SenderConfig, encoder: &dyn Encoder, room: S) -> Result<Self, PacketLengthError> {
        let need = Self::check(config.ptime_ms, encoder, room.as_ref().len())?;
        Ok(Self {
            ssrc: config.ssrc,
            seq: config.first_seq,
            timestamp: config.first_timestamp,
            payload_type: config.payload_type,
            marker: true,
            info: encoder.info(),
            packetizer: Packetizer::new(need, room),
            dtx: None,
            speech: None,
            spoken: 0,
            levels: None,
            stats: SendStats::default(),
        })
    }

    /// Goes on with another encoder, payload type or packet length, in the same sequence and on the same timeline, if
    /// both have the same RTP clock. Comfort noise is off then, since its payload type belongs to a clock, and so are levels.
    ///
    /// # Errors
    /// As for [`check`](Self::check); nothing has changed then.
    pub fn switch(
        &mut self,
        payload_type: PayloadType,
        ptime_ms: u32,
        encoder: &dyn Encoder,
    ) -> Result<(), PacketLengthError> {
        let frame = Self::check(ptime_ms, encoder, self.room())?;
        // What waited is dropped, and was captured for the encoder before.
        self.timestamp = self.timestamp();
        self.packetizer.clear();
        self.spoken = 0;
        self.packetizer.set_frame(frame);
        self.info = encoder.info();
        self.payload_type = payload_type;
        self.dtx = None;
        self.levels = None;
        Ok(())
    }

    /// Goes on with packets of another length of the same encoder. What waits goes with the next packet: no sample is lost,
    /// and a pause stays one.
    ///
    /// # Errors
    /// As for [`check`](Self::check); nothing has changed then.
    pub fn set_packet_ms(&mut self, ptime_ms: u32, encoder: &dyn Encoder) -> Result<(), PacketLengthError> {
        let frame = Self::check(ptime_ms, encoder, self.room())?;
        self.packetizer.set_frame(frame);
        Ok(())
    }

    /// Whether `encoder` has packets of this length and a room of so many samples holds one; the samples of a packet. All
    /// channels together.
    ///
    /// # Errors
    /// [`PacketLengthError`] if not.
    pub fn check(ptime_ms: u32, encoder: &dyn Encoder, room: usize) -> Result<usize, PacketLengthError> {
        if !(SHORTEST_MS..=LONGEST_MS).contains(&ptime_ms) {
            return Err(PacketLengthError::OutOfRange { ms: ptime_ms });
        }
        let frames = encoder.frames();
        if !frames.has(ptime_ms * 1_000) {
            return Err(PacketLengthError::NoFrame { ms: ptime_ms, frames });
        }
        let need = frame_samples(ptime_ms, &encoder.info());
        if (1..=room).contains(&need) { Ok(need) } else { Err(PacketLengthError::NoRoom { need, got: room }) }
    }

    /// Samples, all channels together, that it has room for.
    pub fn room(&self) -> usize {
        self.packetizer.room()
    }

    /// Goes on in other memory, for a packet or a tick that is longer: [`switch`](Self::switch) then finds room for it.
    /// What waits moves along. The memory before comes back, or this one if it is too small for what waits.
    ///
    /// # Errors
    /// `room` itself, if it has less room than is taken.
    pub fn set_room(&mut self, room: S) -> Result<S, S> {
        self.packetizer.set_room(room)
    }

    /// Switches discontinuous transmission on, with this payload type for comfort noise at the encoder's clock
    /// (13 at 8 kHz, [`PayloadType::COMFORT_NOISE`]) and what says what is speech; or off. For mono and for encoders
    /// without pauses of their own: of stereo every frame is sent.
    pub fn set_comfort_noise(&mut self, noise: Option<(PayloadType, D)>) {
        let rate_hz = self.info.sample_rate_hz;
        self.dtx = noise.map(|(payload_type, detector)| Dtx::new(payload_type, rate_hz, detector));
    }

    /// Goes on as another source, with other numbers: after a collision of SSRCs (RFC 3550 8.2).
    pub fn change_source(&mut self, ssrc: Ssrc, seq: Seq, timestamp: RtpTime) {
        self.ssrc = ssrc;
        self.seq = seq;
        self.timestamp = timestamp;
        self.marker = true;
        self.stats = SendStats::default();
    }

    /// This stream's source.
    pub fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// The sequence number of the packet that is sent next.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// The timestamp of the sample that is captured next.
    pub fn timestamp(&self) -> RtpTime {
        self.timestamp.plus(self.info.ticks(self.a_channel(self.packetizer.pending()) as u32))
    }

    /// Samples a channel, of `samples` of all channels together.
    fn a_channel(&self, samples: usize) -> usize {
        samples / usize::from(self.info.channels.max(1))
    }

    /// Packets and payload bytes sent, as RTCP reports them.
    pub fn stats(&self) -> SendStats {
        self.stats
    }

    /// Says whether there is speech in the samples that are captured from now on: what a capture chain knows of them, its
    /// detector's hangover included. A packet in which any sample is speech is sent, by comfort noise and by the encoder's own
    /// pauses ([`Encoder::set_speech`]). `None`: the sender's own detector hears the packets, and the encoder knows nothing.
    pub fn set_speech(&mut self, speech: Option<bool>) {
        self.speech = speech;
    }

    /// Measures the sound of each packet from now on, for an [`AudioLevel`] in it (RFC 6464). `detector` says what is speech
    /// where no capture chain does ([`set_speech`](Self::set_speech)); `None`: off. Cost: a multiplication a sample and a
    /// logarithm a packet, and what the detector takes.
    pub fn set_levels(&mut self, detector: Option<D>) {
        self.levels = detector.map(AudioLevelMeter::new);
    }

    /// The level of the packet that was written last; `None` where none is measured. Of an event it is silence: there is no
    /// sound in it.
    pub fn level(&self) -> Option<AudioLevel> {
        self.levels.as_ref().map(AudioLevelMeter::last)
    }

    /// Takes in interleaved samples of one tick.
    ///
    /// # Errors
    /// [`Overflow`] if there is no room for them: none is taken then.
    pub fn capture(&mut self, pcm: &[i16]) -> Result<(), Overflow> {
        self.packetizer.push(pcm)?;
        if self.speech == Some(true) {
            self.spoken = self.packetizer.pending();
        }
        Ok(())
    }

    /// Says nothing for `samples` (a channel): time goes on, nothing is sent, and the next packet carries the marker.
    /// What waited for a full frame is dropped.
    pub fn pause(&mut self, samples: usize) {
        let dropped = self.packetizer.clear();
        self.spoken = 0;
        self.timestamp = self.timestamp.plus(self.info.ticks((samples + self.a_channel(dropped)) as u32));
        self.marker = true;
        if let Some(dtx) = of::<D, _>(&mut self.dtx) {
            dtx.interrupt();
        }
    }

    /// Writes the next full packet into `datagram` and returns its length; `None` until enough was captured.
    #[inline]
    pub fn packet(&mut self, encoder: &mut dyn Encoder, datagram: &mut [u8]) -> Option<Result<usize, SendError>> {
        // In line: most ticks have none.
        self.packetizer.front()?;
        self.next_packet(datagram, |header, frame, told, datagram| {
            encoder.set_speech(told);
            write_packet(header, datagram, |payload| encoder.encode(frame, payload))
        })
    }

    /// As [`packet`](Self::packet), with copies of the packets before it (RFC 2198).
    pub fn packet_with_redundancy<const BLOCKS: usize, const BYTES: usize>(
        &mut self,
        encoder: &mut dyn Encoder,
        redundancy: &mut Redundancy<BLOCKS, BYTES>,
        datagram: &mut [u8],
    ) -> Option<Result<usize, SendError>> {
        self.next_packet(datagram, |header, frame, told, datagram| {
            encoder.set_speech(told);
            redundancy.write(header, encoder, frame, datagram)
        })
    }

    /// Writes the packet of an event in place of the next full frame, which is spent, and returns its length; `None` while no
    /// event lasts, none is due or the frame isn't full. To be asked before [`packet`](Self::packet), which then gives the
    /// packets of sound.
    #[inline]
    pub fn event<const KEYS: usize>(
        &mut self,
        events: &mut EventSender<KEYS>,
        datagram: &mut [u8],
    ) -> Option<Result<usize, SendError>> {
        if events.is_quiet() {
            return None;
        }
        self.next_event(events, datagram)
    }

    fn next_event<const KEYS: usize>(
        &mut self,
        events: &mut EventSender<KEYS>,
        datagram: &mut [u8],
    ) -> Option<Result<usize, SendError>> {
        let frame = self.packetizer.front()?.len();
        let ticks = self.info.ticks(self.a_channel(frame) as u32);
        let event = events.turn(self.timestamp, ticks, self.info.rtp_clock_hz)?;
        let header = RtpHeader {
            marker: event.marker,
            payload_type: event.payload_type,
            seq: self.seq,
            timestamp: event.timestamp,
            ssrc: self.ssrc,
            ..RtpHeader::default()
        };
        self.spoken = self.spoken.saturating_sub(frame);
        self.packetizer.pop();
        self.timestamp = self.timestamp.plus(ticks);
        if let Some(levels) = of::<D, _>(&mut self.levels) {
            levels.hear_nothing();
        }
        if let Some(dtx) = of::<D, _>(&mut self.dtx) {
            dtx.interrupt();
        }
        let written = header.write(datagram).and_then(|header| {
            let got = datagram.len();
            let payload = event.report.write(&mut datagram[header..]);
            let too_small = |need: usize| WriteError::OutputTooSmall { need: header + need, got };
            payload.map(|payload| (header, payload)).map_err(|error| too_small(error.need))
        });
        let (header, payload) = match written {
            Ok(written) => written,
            Err(error) => return Some(Err(SendError::Write(error))),
        };
        self.seq = self.seq.plus(1);
        // The marker of a talk spurt that an event begins is the event's.
        self.marker = false;
        self.stats.packets = self.stats.packets.wrapping_add(1);
        self.stats.octets = self.stats.octets.wrapping_add(payload as u32);
        self.stats.event_packets = self.stats.event_packets.wrapping_add(1);
        Some(Ok(header + payload))
    }

    /// `speech` writes the packet of a frame that isn't noise and returns the lengths of header and payload; it is told
    /// whether somebody speaks in it, where that is known.
    fn next_packet(
        &mut self,
        datagram: &mut [u8],
        mut speech: impl FnMut(&RtpHeader<'_>, &[i16], Option<bool>, &mut [u8]) -> Result<(usize, usize), SendError>,
    ) -> Option<Result<usize, SendError>> {
        loop {
            let frame = self.packetizer.front()?;
            let ticks = self.info.ticks(self.a_channel(frame.len()) as u32);
            let mut header = RtpHeader {
                marker: self.marker,
                payload_type: self.payload_type,
                seq: self.seq,
                timestamp: self.timestamp,
                ssrc: self.ssrc,
                ..RtpHeader::default()
            };
            let told = self.speech.map(|_| self.spoken > 0);
            let mut dtx = of::<D, _>(&mut self.dtx);
            let verdict = match &mut dtx {
                Some(dtx) if self.info.channels == 1 => dtx.judge(frame, told),
                _ => Verdict::Speech,
            };
            let noise = matches!(verdict, Verdict::Noise(_));
            if let Some(levels) = of::<D, _>(&mut self.levels) {
                levels.hear(frame, self.info.channels, told.or(noise.then_some(false)));
            }
            let result = match (verdict, dtx) {
                (Verdict::Noise(description), Some(dtx)) => {
                    (header.marker, header.payload_type) = (false, dtx.payload_type);
                    write_packet(&header, datagram, |payload| description.write(payload))
                }
                (Verdict::Nothing, _) => Ok((0, 0)),
                _ => speech(&header, frame, told, datagram),
            };
            self.spoken = self.spoken.saturating_sub(frame.len());
            self.packetizer.pop();
            self.timestamp = self.timestamp.plus(ticks);
            match result {
                // Nothing to send, by the encoder's own word or for a pause: on to the next frame.
                Ok((_, 0)) => self.marker = true,
                Ok((header, payload)) => {
                    self.seq = self.seq.plus(1);
                    self.marker = noise;
                    self.stats.packets = self.stats.packets.wrapping_add(1);
                    self.stats.octets = self.stats.octets.wrapping_add(payload as u32);
                    self.stats.noise_packets = self.stats.noise_packets.wrapping_add(u32::from(noise));
                    return Some(Ok(header + payload));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Header and payload of one packet; returns the length of each.
fn write_packet(
    header: &RtpHeader<'_>,
    datagram: &mut [u8],
    write: impl FnOnce(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(usize, usize), SendError> {
    let written = header.write(datagram).map_err(SendError::Write)?;
    let payload = write(&mut datagram[written..]).map_err(SendError::Encode)?;
    Ok((written, payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::g711::Pcmu;
    use crate::codec::g722::{G722Encoder, Mode};
    use crate::codec::ilbc::{IlbcEncoder, IlbcMode};
    use crate::wire::rtp::RtpPacket;

    #[test]
    fn what_waits_at_a_switch_counts_by_the_encoder_before() {
        let (mut narrow, mut wide, mut datagram) = (Pcmu, G722Encoder::new(Mode::Kbps64), [0; 300]);
        let config = SenderConfig {
            ssrc: Ssrc(1),
            first_seq: Seq(0),
            first_timestamp: RtpTime(1_000),
            payload_type: PayloadType::PCMU,
            ptime_ms: 20,
        };
        let mut sender = NarrowbandSender::new(config, &narrow).unwrap();
        let mut next = |sender: &mut NarrowbandSender, encoder: &mut dyn Encoder| {
            let len = sender.packet(encoder, &mut datagram).unwrap().unwrap();
            RtpPacket::parse(&datagram[..len]).unwrap().timestamp()
        };
        // 20 ms and 10 more, which last 80 ticks of 8 kHz in either codec.
        sender.capture(&[0; 240]).unwrap();
        assert_eq!(next(&mut sender, &mut narrow), RtpTime(1_000));
        sender.switch(PayloadType::from_low_bits(9), 20, &wide).unwrap();
        sender.capture(&[0; 320 + 160]).unwrap();
        assert_eq!(next(&mut sender, &mut wide), RtpTime(1_240));
        sender.switch(PayloadType::PCMU, 20, &narrow).unwrap();
        sender.capture(&[0; 160]).unwrap();
        assert_eq!(next(&mut sender, &mut narrow), RtpTime(1_480));
        // What waits stays where only the length changes, longer or shorter, and lasts what it lasted.
        sender.capture(&[0; 80]).unwrap();
        sender.set_packet_ms(30, &narrow).unwrap();
        sender.capture(&[0; 160]).unwrap();
        assert_eq!(next(&mut sender, &mut narrow), RtpTime(1_640));
        sender.capture(&[0; 160]).unwrap();
        sender.set_packet_ms(10, &narrow).unwrap();
        assert_eq!([(); 2].map(|()| next(&mut sender, &mut narrow)), [RtpTime(1_880), RtpTime(1_960)]);
        sender.set_packet_ms(20, &narrow).unwrap();
        // A switch that fails changes nothing.
        assert!(sender.switch(PayloadType::from_low_bits(9), 120, &wide).is_err());
        sender.capture(&[0; 160]).unwrap();
        assert_eq!(next(&mut sender, &mut narrow), RtpTime(2_040));
        assert_eq!(sender.set_packet_ms(120, &narrow), Err(PacketLengthError::NoRoom { need: 960, got: 640 }));
        sender.capture(&[0; 160]).unwrap();
        assert_eq!(next(&mut sender, &mut narrow), RtpTime(2_200));
    }

    #[test]
    fn a_wrong_packet_length_is_refused_with_its_numbers() {
        let check = |ms, encoder: &dyn Encoder| HostSender::check(ms, encoder, 11_520);
        for ms in [0, 1, 4, 121, u32::MAX] {
            assert_eq!(check(ms, &Pcmu), Err(PacketLengthError::OutOfRange { ms }));
        }
        assert_eq!([5, 25, 120].map(|ms| check(ms, &Pcmu)), [Ok(40), Ok(200), Ok(960)]);
        assert_eq!(check(5, &G722Encoder::new(Mode::Kbps64)), Ok(80));
        for (mode, frame_ms) in [(IlbcMode::Ms20, 20), (IlbcMode::Ms30, 30)] {
            let encoder = IlbcEncoder::new(mode);
            let frames = Frames::Of(frame_ms * 1_000);
            assert_eq!(check(2 * frame_ms, &encoder), Ok(2 * mode.samples()));
            for ms in [10, 25, 50] {
                assert_eq!(check(ms, &encoder), Err(PacketLengthError::NoFrame { ms, frames }), "{mode:?}");
            }
        }
        let error = PacketLengthError::NoFrame { ms: 25, frames: Frames::Of(20_000) };
        assert_eq!(
            std::string::ToString::to_string(&error),
            "packets of 25 ms; this codec has packets of any multiple of 20000 us"
        );
    }
}
