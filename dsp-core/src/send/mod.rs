//! The send road: sound in on the audio clock, RTP packets out.
//!
//! [`Sender::capture`] takes ticks of any length, [`Sender::packet`] gives a finished packet as long as there is one:
//! encoded, with header, sequence number and timestamp (RFC 3550 5.1). The marker bit is set on the first packet and on
//! the first after a pause (RFC 3551 4.1). Timestamps count samples, whether they were sent or not: a pause moves them
//! on. The encoder belongs to the caller, so that a call can change it in mid-stream.

use core::fmt;

use crate::codec::{EncodeError, Encoder};
use crate::time::{PayloadType, RtpTime, Seq, Ssrc};
use crate::wire::rtp::{RtpHeader, WriteError};

pub mod packetizer;

use packetizer::{Overflow, Packetizer};

/// How a sender is made. RFC 3550 5.1 wants SSRC, first sequence number and first timestamp random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SenderConfig {
    /// Synchronisation source.
    pub ssrc: Ssrc,
    /// Sequence number of the first packet.
    pub first_seq: Seq,
    /// Timestamp of the first sample.
    pub first_timestamp: RtpTime,
    /// Payload type of the packets.
    pub payload_type: PayloadType,
    /// Length of a packet, 5 to 120 ms.
    pub ptime_ms: u32,
}

/// Why no packet came out. The frame is spent; the next one is tried anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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

/// A frame of this length doesn't fit the sender's `SAMPLES`, or is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FrameTooLong {
    /// Samples a packet, all channels together.
    pub need: usize,
    /// Room for samples.
    pub got: usize,
}

impl fmt::Display for FrameTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a packet of {} samples, room for {}", self.need, self.got)
    }
}

impl core::error::Error for FrameTooLong {}

/// What was sent, as a sender report counts it (RFC 3550 6.4.1): both wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SendStats {
    /// RTP packets.
    pub packets: u32,
    /// Bytes of payload.
    pub octets: u32,
}

/// One outgoing stream. `SAMPLES` is the room for one packet and one tick.
pub struct Sender<const SAMPLES: usize> {
    ssrc: Ssrc,
    seq: Seq,
    /// Timestamp of the first sample that waits in the packetizer.
    timestamp: RtpTime,
    payload_type: PayloadType,
    marker: bool,
    packetizer: Packetizer<SAMPLES>,
    stats: SendStats,
}

/// A sender for a host: packets up to 120 ms at 48 kHz.
pub type HostSender = Sender<11_520>;
/// A sender for G.711 in packets up to 60 ms, from ticks up to 20 ms: a desk phone.
pub type NarrowbandSender = Sender<640>;

impl<const SAMPLES: usize> Sender<SAMPLES> {
    /// A sender for `encoder`'s sound.
    pub fn new(config: SenderConfig, encoder: &dyn Encoder) -> Result<Self, FrameTooLong> {
        Ok(Self {
            ssrc: config.ssrc,
            seq: config.first_seq,
            timestamp: config.first_timestamp,
            payload_type: config.payload_type,
            marker: true,
            packetizer: Self::packetizer(config.ptime_ms, encoder)?,
            stats: SendStats::default(),
        })
    }

    /// Goes on with another encoder, payload type or packet length, in the same sequence and on the same timeline, if
    /// both have the same RTP clock.
    pub fn switch(
        &mut self,
        payload_type: PayloadType,
        ptime_ms: u32,
        encoder: &dyn Encoder,
    ) -> Result<(), FrameTooLong> {
        let packetizer = Self::packetizer(ptime_ms, encoder)?;
        let dropped = self.packetizer.pending() / usize::from(encoder.info().channels.max(1));
        self.timestamp = self.timestamp.plus(encoder.info().ticks(dropped as u32));
        self.packetizer = packetizer;
        self.payload_type = payload_type;
        Ok(())
    }

    fn packetizer(ptime_ms: u32, encoder: &dyn Encoder) -> Result<Packetizer<SAMPLES>, FrameTooLong> {
        let info = encoder.info();
        let need = ptime_ms as usize * info.sample_rate_hz as usize / 1_000 * usize::from(info.channels);
        Packetizer::new(need).ok_or(FrameTooLong { need, got: SAMPLES })
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

    /// The timestamp of the sample that is captured next.
    pub fn timestamp(&self, encoder: &dyn Encoder) -> RtpTime {
        let info = encoder.info();
        let waiting = self.packetizer.pending() / usize::from(info.channels.max(1));
        self.timestamp.plus(info.ticks(waiting as u32))
    }

    /// Packets and payload bytes sent, as RTCP reports them.
    pub fn stats(&self) -> SendStats {
        self.stats
    }

    /// Takes in interleaved samples of one tick.
    pub fn capture(&mut self, pcm: &[i16]) -> Result<(), Overflow> {
        self.packetizer.push(pcm)
    }

    /// Says nothing for `samples` (a channel): time goes on, nothing is sent, and the next packet carries the marker.
    /// What waited for a full frame is dropped.
    pub fn pause(&mut self, samples: usize, encoder: &dyn Encoder) {
        let info = encoder.info();
        let dropped = self.packetizer.clear() / usize::from(info.channels.max(1));
        self.timestamp = self.timestamp.plus(info.ticks((samples + dropped) as u32));
        self.marker = true;
    }

    /// Writes the next full packet into `datagram` and returns its length; `None` until enough was captured.
    pub fn packet(&mut self, encoder: &mut dyn Encoder, datagram: &mut [u8]) -> Option<Result<usize, SendError>> {
        loop {
            let frame = self.packetizer.front()?;
            let info = encoder.info();
            let ticks = info.ticks((frame.len() / usize::from(info.channels.max(1))) as u32);
            let header = RtpHeader {
                marker: self.marker,
                payload_type: self.payload_type,
                seq: self.seq,
                timestamp: self.timestamp,
                ssrc: self.ssrc,
                ..RtpHeader::default()
            };
            let result = write_packet(&header, frame, encoder, datagram);
            self.packetizer.pop();
            self.timestamp = self.timestamp.plus(ticks);
            match result {
                // An empty payload is the encoder's word that there is nothing to send (DTX): on to the next frame.
                Ok((_, 0)) => self.marker = true,
                Ok((header, payload)) => {
                    self.seq = self.seq.plus(1);
                    self.marker = false;
                    self.stats.packets = self.stats.packets.wrapping_add(1);
                    self.stats.octets = self.stats.octets.wrapping_add(payload as u32);
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
    frame: &[i16],
    encoder: &mut dyn Encoder,
    datagram: &mut [u8],
) -> Result<(usize, usize), SendError> {
    let written = header.write(datagram).map_err(SendError::Write)?;
    let payload = encoder.encode(frame, &mut datagram[written..]).map_err(SendError::Encode)?;
    Ok((written, payload))
}
