//! Redundant audio data for sending (RFC 2198): each packet carries the payloads of the packets before it.

use super::{SendError, write_packet};
use crate::codec::EncodeError;
use crate::time::PayloadType;
use crate::wire::red::{RedWriteError, RedundancyHistory};
use crate::wire::rtp::{RtpHeader, WriteError};

/// Adds copies of the last payloads to each packet (RFC 2198), so that lost packets can be recovered from the packets
/// behind them. Pass it to [`Sender::packet_with_redundancy`](super::Sender::packet_with_redundancy).
///
/// It keeps up to `BLOCKS` payloads of up to `BYTES` bytes, in `(BLOCKS + 1) * BYTES` bytes of memory. Each level
/// costs the bandwidth of one more payload, and recovers a loss one packet length later. A longer payload goes alone,
/// in a packet of its own payload type. The first packet after a pause has no copies, and descriptions of comfort
/// noise have none.
///
/// Each packet repeats the payload before it:
///
/// ```
/// use dsp_core::codec::g711::Pcmu;
/// use dsp_core::send::{NarrowbandSender, Redundancy, SenderConfig};
/// use dsp_core::time::{PayloadType, RtpTime, Seq, Ssrc};
/// use dsp_core::wire::red::RedPayload;
/// use dsp_core::wire::rtp::RtpPacket;
///
/// # let config = SenderConfig {
/// #     ssrc: Ssrc(7),
/// #     first_seq: Seq(1),
/// #     first_timestamp: RtpTime(0),
/// #     payload_type: PayloadType::PCMU,
/// #     ptime_ms: 20,
/// # };
/// let mut sender = NarrowbandSender::new(config, &Pcmu)?;
/// let mut redundancy = Redundancy::<1, 160>::new(PayloadType::from_low_bits(96), 1);
/// let mut datagram = [0; 400];
/// let mut len = 0;
/// for _ in 0..2 {
///     sender.capture(&[1_000; 160])?;
///     while let Some(written) = sender.packet_with_redundancy(&mut Pcmu, &mut redundancy, &mut datagram) {
///         len = written?;
///     }
/// }
/// let packet = RtpPacket::parse(&datagram[..len])?;
/// let payload = RedPayload::parse(packet.payload())?;
/// let before = payload.redundant().next().ok_or("no redundancy")?;
/// assert_eq!((before.timestamp_offset, before.payload.len(), payload.primary().payload.len()), (160, 160, 160));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Redundancy<const BLOCKS: usize, const BYTES: usize> {
    payload_type: PayloadType,
    level: usize,
    history: RedundancyHistory<BLOCKS, BYTES>,
    payload: [u8; BYTES],
}

/// Redundancy for a host: up to four payloads of any length that the format allows.
pub type HostRedundancy = Redundancy<4, 1_023>;

impl<const BLOCKS: usize, const BYTES: usize> Redundancy<BLOCKS, BYTES> {
    /// Repeats the last `level` payloads, at most `BLOCKS`, in packets of this payload type; see
    /// [`Redundancy::set_level`].
    pub const fn new(payload_type: PayloadType, level: usize) -> Self {
        let level = if level > BLOCKS { BLOCKS } else { level };
        Self { payload_type, level, history: RedundancyHistory::new(), payload: [0; BYTES] }
    }

    /// Number of payloads that each packet repeats.
    pub const fn level(&self) -> usize {
        self.level
    }

    /// Sets how many payloads each packet repeats, at most `BLOCKS`, from the next packet on. With 0, packets go out
    /// in their own payload type, and their payloads are kept for later packets.
    pub const fn set_level(&mut self, level: usize) {
        self.level = if level > BLOCKS { BLOCKS } else { level };
    }

    /// Payload type of packets with redundancy.
    pub const fn payload_type(&self) -> PayloadType {
        self.payload_type
    }

    /// Writes a packet with redundancy, whose own payload `encode` writes; returns the lengths of header and payload.
    pub(super) fn write(
        &mut self,
        header: &RtpHeader<'_>,
        datagram: &mut [u8],
        encode: impl FnOnce(&mut [u8]) -> Result<usize, EncodeError>,
    ) -> Result<(usize, usize), SendError> {
        if header.marker {
            self.history.clear();
        }
        let (alone, payload) = write_packet(header, datagram, encode)?;
        let Some(copy) = self.payload.get_mut(..payload).filter(|_| payload > 0) else {
            // Too long to be repeated, or nothing to send.
            self.history.clear();
            return Ok((alone, payload));
        };
        copy.copy_from_slice(&datagram[alone..][..payload]);
        let (own_type, timestamp) = (header.payload_type, header.timestamp);
        if self.level == 0 || alone + 1 + payload > datagram.len() {
            // Nothing is to be repeated, or there is no room even for the header of the payload itself: it goes as it is.
            self.history.push(own_type, timestamp, copy);
            return Ok((alone, payload));
        }
        let written =
            RtpHeader { payload_type: self.payload_type, ..*header }.write(datagram).map_err(SendError::Write)?;
        let red = self.history.write(self.level, own_type, timestamp, copy, &mut datagram[written..]);
        self.history.push(own_type, timestamp, copy);
        match red {
            Ok(len) => Ok((written, len)),
            Err(RedWriteError::OutputTooSmall { need, got }) => {
                Err(SendError::Write(WriteError::OutputTooSmall { need: written + need, got: written + got }))
            }
            // What it takes are kept payloads of allowed lengths and times.
            Err(_) => Ok((written, 0)),
        }
    }
}
