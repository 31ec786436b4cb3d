//! One direction under one key: the packet processing of RFC 3711, 3.3 (SRTP) and 3.4 (SRTCP).
//!
//! Everything is done in place. Outgoing: encrypt, then append the tag. Incoming: find the index, look at the replay
//! list, authenticate, and only then decrypt and keep the index.

use super::keys::{KeyId, KeySet, MasterKey, TAG_80};
use super::streams::{Stream, Streams};
use super::{GuardError, SrtpProfile};
use crate::time::{Seq, Ssrc};

/// Bytes of the E bit and the SRTCP index (RFC 3711, 3.4).
pub(super) const RTCP_INDEX: usize = 4;
/// Bytes at the start of an RTCP compound packet that are never encrypted.
const RTCP_CLEAR: usize = 8;
/// The E bit: the packet is encrypted.
const ENCRYPTED: u32 = 1 << 31;
/// The largest SRTP index, and one less than the most SRTP packets under a key (RFC 3711, 9.2).
pub(super) const LAST_RTP: u64 = (1 << 48) - 1;
/// The same for SRTCP.
pub(super) const LAST_RTCP: u64 = (1 << 31) - 1;

/// No datagram is longer; far below the 2^16 blocks after which a keystream would repeat within a packet.
const LONGEST: usize = 0xffff;

/// One key with its profile and its streams.
pub(super) struct Direction<const STREAMS: usize> {
    pub(super) profile: SrtpProfile,
    pub(super) id: KeyId,
    /// `None`: nothing passes any more; what did is still remembered.
    pub(super) keys: Option<KeySet>,
    pub(super) streams: Streams<STREAMS>,
    /// RTP and RTCP packets protected or accepted under this key.
    pub(super) rtp_packets: u64,
    pub(super) rtcp_packets: u64,
    /// Of these, since the last key change.
    pub(super) overlap: u32,
}

impl<const STREAMS: usize> Direction<STREAMS> {
    pub(super) fn new(profile: SrtpProfile, key: &MasterKey) -> Self {
        let keys = KeySet::new(key);
        Self {
            profile,
            id: keys.id,
            keys: Some(keys),
            streams: Streams::new(),
            rtp_packets: 0,
            rtcp_packets: 0,
            overlap: 0,
        }
    }

    /// Whether any packet passed under this key, here or before.
    pub(super) fn is_heard(&self) -> bool {
        self.streams.heard().next().is_some()
    }

    /// RFC 3711, 9.2: whichever limit comes first ends the key, for SRTP and SRTCP.
    fn check_lifetime(&self) -> Result<(), GuardError> {
        if self.rtp_packets > LAST_RTP || self.rtcp_packets > LAST_RTCP {
            return Err(GuardError::KeyExpired);
        }
        Ok(())
    }

    pub(super) fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, GuardError> {
        let (packet, tag) = split(buffer, len, self.profile.rtp_tag_len())?;
        let header = RtpHeader::parse(packet)?;
        self.check_lifetime()?;
        let keys = self.keys.as_ref().ok_or(GuardError::KeyExpired)?;
        let mut stream = self.streams.load(header.ssrc.0).ok_or(GuardError::TooManySources)?;
        let index = stream.rtp.estimate(header.seq.0);
        // Under a fresh key the counter may go round; under one key it ends.
        let index = if stream.rtp.highest().is_none() { index & LAST_RTP } else { index };
        if index > LAST_RTP {
            return Err(GuardError::KeyExpired);
        }
        if !stream.rtp.is_fresh(index) {
            return Err(GuardError::Replayed);
        }
        keys.rtp.crypt(header.ssrc.0, index, &mut packet[header.len..]);
        let full = keys.rtp.tag(packet, &roc_bytes(index));
        tag.copy_from_slice(&full[..tag.len()]);
        stream.rtp.accept(index);
        self.streams.store(stream);
        self.rtp_packets += 1;
        Ok(len + self.profile.rtp_tag_len())
    }

    pub(super) fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, GuardError> {
        let (packet, trailer) = split(buffer, len, RTCP_INDEX + TAG_80)?;
        let ssrc = parse_rtcp(packet)?;
        self.check_lifetime()?;
        let keys = self.keys.as_ref().ok_or(GuardError::KeyExpired)?;
        let mut stream = self.streams.load(ssrc.0).ok_or(GuardError::TooManySources)?;
        let index = stream.rtcp.next();
        let index = if stream.rtcp.highest().is_none() { index & LAST_RTCP } else { index };
        if index > LAST_RTCP {
            return Err(GuardError::KeyExpired);
        }
        keys.rtcp.crypt(ssrc.0, index, &mut packet[RTCP_CLEAR..]);
        let word = (index as u32 | ENCRYPTED).to_be_bytes();
        let (index_field, tag) = trailer.split_at_mut(RTCP_INDEX);
        index_field.copy_from_slice(&word);
        tag.copy_from_slice(&keys.rtcp.tag(packet, &word)[..TAG_80]);
        stream.rtcp.accept(index);
        self.streams.store(stream);
        self.rtcp_packets += 1;
        Ok(len + RTCP_INDEX + TAG_80)
    }

    pub(super) fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, GuardError> {
        let len = packet.len().checked_sub(self.profile.rtp_tag_len()).ok_or(GuardError::Malformed)?;
        let (packet, tag) = packet.split_at_mut(len);
        let header = RtpHeader::parse(packet)?;
        let keys = self.keys.as_ref().ok_or(GuardError::Authentication)?;
        let known = self.streams.load(header.ssrc.0);
        let mut stream = known.unwrap_or_else(|| Stream::new(header.ssrc.0));
        let mut error = GuardError::Authentication;
        for index in stream.rtp.candidates(header.seq.0).into_iter().flatten() {
            if index > LAST_RTP {
                error = GuardError::KeyExpired;
            } else if !stream.rtp.is_fresh(index) {
                error = GuardError::Replayed;
            } else if keys.rtp.verify(packet, &roc_bytes(index), tag) {
                if known.is_none() {
                    return Err(GuardError::TooManySources);
                }
                keys.rtp.crypt(header.ssrc.0, index, &mut packet[header.len..]);
                stream.rtp.accept(index);
                self.streams.store(stream);
                self.rtp_packets = self.rtp_packets.saturating_add(1);
                self.overlap = self.overlap.saturating_add(1);
                return Ok(len);
            }
        }
        Err(error)
    }

    pub(super) fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, GuardError> {
        let len = packet.len().checked_sub(RTCP_INDEX + TAG_80).ok_or(GuardError::Malformed)?;
        let (packet, trailer) = packet.split_at_mut(len);
        let ssrc = parse_rtcp(packet)?;
        let (&mut word, tag) = trailer.split_first_chunk_mut::<RTCP_INDEX>().ok_or(GuardError::Malformed)?;
        let value = u32::from_be_bytes(word);
        let index = u64::from(value & !ENCRYPTED);
        let keys = self.keys.as_ref().ok_or(GuardError::Authentication)?;
        let known = self.streams.load(ssrc.0);
        let mut stream = known.unwrap_or_else(|| Stream::new(ssrc.0));
        if !stream.rtcp.is_fresh(index) {
            return Err(GuardError::Replayed);
        }
        if !keys.rtcp.verify(packet, &word, tag) {
            return Err(GuardError::Authentication);
        }
        if known.is_none() {
            return Err(GuardError::TooManySources);
        }
        if value & ENCRYPTED != 0 {
            keys.rtcp.crypt(ssrc.0, index, &mut packet[RTCP_CLEAR..]);
        }
        stream.rtcp.accept(index);
        self.streams.store(stream);
        self.rtcp_packets = self.rtcp_packets.saturating_add(1);
        self.overlap = self.overlap.saturating_add(1);
        Ok(len)
    }
}

/// The packet of `len` bytes and, behind it, room for `growth` bytes.
fn split(buffer: &mut [u8], len: usize, growth: usize) -> Result<(&mut [u8], &mut [u8]), GuardError> {
    let need = len.saturating_add(growth);
    let got = buffer.len();
    let whole = buffer.get_mut(..need).ok_or(GuardError::OutputTooSmall { need, got })?;
    Ok(whole.split_at_mut(len))
}

/// The roll-over counter of `index`, as it is authenticated behind the packet (RFC 3711, 4.2).
fn roc_bytes(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

/// What SRTP needs of an RTP header (RFC 3550, 5.1 and 5.3.1). Padding is part of the encrypted payload.
struct RtpHeader {
    seq: Seq,
    ssrc: Ssrc,
    /// Bytes up to the payload: with contributing sources and extension, which stay in the clear.
    len: usize,
}

impl RtpHeader {
    fn parse(packet: &[u8]) -> Result<Self, GuardError> {
        let fixed = packet.first_chunk::<12>().ok_or(GuardError::Malformed)?;
        if fixed[0] >> 6 != 2 || packet.len() > LONGEST {
            return Err(GuardError::Malformed);
        }
        let mut len = 12 + 4 * usize::from(fixed[0] & 0x0f);
        if fixed[0] & 0x10 != 0 {
            let extension = packet.get(len..len + 4).ok_or(GuardError::Malformed)?;
            len += 4 + 4 * usize::from(u16::from_be_bytes([extension[2], extension[3]]));
        }
        if len > packet.len() {
            return Err(GuardError::Malformed);
        }
        let seq = Seq(u16::from_be_bytes([fixed[2], fixed[3]]));
        let ssrc = Ssrc(u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]));
        Ok(Self { seq, ssrc, len })
    }
}

/// The SSRC of the sender of an RTCP compound packet (RFC 3550, 6.4).
fn parse_rtcp(packet: &[u8]) -> Result<Ssrc, GuardError> {
    let fixed = packet.first_chunk::<RTCP_CLEAR>().ok_or(GuardError::Malformed)?;
    if fixed[0] >> 6 != 2 || packet.len() > LONGEST {
        return Err(GuardError::Malformed);
    }
    Ok(Ssrc(u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]])))
}
