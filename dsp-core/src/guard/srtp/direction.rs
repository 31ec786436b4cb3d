//! One direction under one key: the packet processing of RFC 3711, 3.3 (SRTP) and 3.4 (SRTCP).
//!
//! Everything is done in place. An outgoing packet is encrypted, and then the tag is appended. For an incoming packet
//! the index is estimated, the replay list is checked, and the tag is verified; only then is it decrypted and its
//! index kept.

use super::keys::{KeyId, KeySet, MasterKey};
use super::streams::{ProtectedStream, Streams};
use super::terms::{KeyAge, KeyTerms, Mki};
use super::transform::{Cut, PacketPlace};
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
pub(super) struct KeyedDirection<const STREAMS: usize> {
    pub(super) profile: SrtpProfile,
    pub(super) terms: KeyTerms,
    pub(super) id: KeyId,
    /// `None`: nothing passes any more; what did is still remembered.
    pub(super) keys: Option<KeySet>,
    pub(super) streams: Streams<STREAMS>,
    /// RTP and RTCP packets protected or accepted under this key.
    pub(super) rtp_packets: u64,
    pub(super) rtcp_packets: u64,
    /// Number of these packets since the last change of keys.
    pub(super) overlap: u32,
}

impl<const STREAMS: usize> KeyedDirection<STREAMS> {
    /// The key fits the profile, which the guard has looked at.
    pub(super) fn new(profile: SrtpProfile, key: &MasterKey) -> Self {
        Self {
            profile,
            terms: *key.terms(),
            id: key.id(),
            keys: Some(KeySet::new(profile, key)),
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

    /// How far the key has got.
    pub(super) fn age(&self) -> KeyAge {
        KeyAge::of(&self.terms, self.rtp_packets, self.rtcp_packets)
    }

    /// RFC 3711, 9.2: whichever limit comes first ends the key, for SRTP and SRTCP.
    fn check_lifetime(&self) -> Result<(), GuardError> {
        if self.age() == KeyAge::Over { Err(GuardError::KeyExpired) } else { Ok(()) }
    }

    /// Bytes behind an RTP packet.
    pub(super) const fn rtp_growth(&self) -> usize {
        self.profile.rtp_tag_bytes() + self.terms.mki_bytes()
    }

    /// Bytes behind an RTCP packet.
    pub(super) const fn rtcp_growth(&self) -> usize {
        self.profile.rtcp_tag_bytes() + RTCP_INDEX + self.terms.mki_bytes()
    }

    /// What lies behind a packet: the tag, the SRTCP index (of no bytes for RTP), the identifier of the key. HMAC's tag is
    /// the last (RFC 3711, 3.1 and 3.4), GCM's the first, since it is a part of the ciphertext (RFC 7714, 8.3 and 9.2).
    fn cut_trailer<'a>(&self, trailer: &'a mut [u8], index: usize) -> Trailer<'a> {
        let mki = self.terms.mki_bytes();
        if self.profile.is_aead() {
            let (tag, rest) = trailer.split_at_mut(trailer.len() - index - mki);
            let (index, mki) = rest.split_at_mut(index);
            Trailer { tag, index, mki }
        } else {
            let (index, rest) = trailer.split_at_mut(index);
            let (mki, tag) = rest.split_at_mut(mki);
            Trailer { tag, index, mki }
        }
    }

    /// Whether the identifier in a packet, if there is to be one, is that of this key.
    fn check_mki(&self, field: &[u8]) -> Result<(), GuardError> {
        if self.terms.mki.is_none_or(|mki| mki.is(field)) { Ok(()) } else { Err(GuardError::OtherKey) }
    }

    /// Bytes of an RTP packet of this length, with this header, that aren't encrypted.
    fn clear_rtp(&self, header: usize, len: usize) -> usize {
        if self.terms.clear_rtp { len } else { header }
    }

    pub(super) fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, GuardError> {
        let (packet, trailer) = split(buffer, len, self.rtp_growth())?;
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
        let cut = Cut { clear: self.clear_rtp(header.len, len), suffix: roc_bytes(index), aead_suffix: &[] };
        let trailer = self.cut_trailer(trailer, 0);
        keys.rtp.seal(PacketPlace { ssrc: header.ssrc.0, index }, cut, packet, trailer.tag);
        write_mki(self.terms.mki, trailer.mki);
        stream.rtp.accept(index);
        self.streams.store(stream);
        self.rtp_packets += 1;
        Ok(len + self.rtp_growth())
    }

    pub(super) fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, GuardError> {
        let (packet, trailer) = split(buffer, len, self.rtcp_growth())?;
        let ssrc = parse_rtcp(packet)?;
        self.check_lifetime()?;
        let keys = self.keys.as_ref().ok_or(GuardError::KeyExpired)?;
        let mut stream = self.streams.load(ssrc.0).ok_or(GuardError::TooManySources)?;
        let index = stream.rtcp.next();
        let index = if stream.rtcp.highest().is_none() { index & LAST_RTCP } else { index };
        if index > LAST_RTCP {
            return Err(GuardError::KeyExpired);
        }
        let (flag, clear) = if self.terms.clear_rtcp { (0, len) } else { (ENCRYPTED, RTCP_CLEAR) };
        let word = (index as u32 | flag).to_be_bytes();
        let trailer = self.cut_trailer(trailer, RTCP_INDEX);
        let cut = Cut { clear, suffix: word, aead_suffix: &word };
        keys.rtcp.seal(PacketPlace { ssrc: ssrc.0, index }, cut, packet, trailer.tag);
        trailer.index.copy_from_slice(&word);
        write_mki(self.terms.mki, trailer.mki);
        stream.rtcp.accept(index);
        self.streams.store(stream);
        self.rtcp_packets += 1;
        Ok(len + self.rtcp_growth())
    }

    pub(super) fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, GuardError> {
        let len = packet.len().checked_sub(self.rtp_growth()).ok_or(GuardError::Malformed)?;
        let (packet, trailer) = packet.split_at_mut(len);
        let header = RtpHeader::parse(packet)?;
        let trailer = self.cut_trailer(trailer, 0);
        self.check_mki(trailer.mki)?;
        let keys = self.keys.as_ref().ok_or(GuardError::Authentication)?;
        let known = self.streams.load(header.ssrc.0);
        let mut stream = known.unwrap_or_else(|| ProtectedStream::new(header.ssrc.0));
        let clear = self.clear_rtp(header.len, len);
        let mut error = GuardError::Authentication;
        for index in stream.rtp.candidates(header.seq.0).into_iter().flatten() {
            let place = PacketPlace { ssrc: header.ssrc.0, index };
            let cut = Cut { clear, suffix: roc_bytes(index), aead_suffix: &[] };
            if index > LAST_RTP {
                error = GuardError::KeyExpired;
            } else if !stream.rtp.is_fresh(index) {
                error = GuardError::Replayed;
            } else if keys.rtp.verify(place, cut, packet, trailer.tag) {
                if known.is_none() {
                    return Err(GuardError::TooManySources);
                }
                self.check_lifetime()?;
                keys.rtp.decrypt(place, clear, packet);
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
        let len = packet.len().checked_sub(self.rtcp_growth()).ok_or(GuardError::Malformed)?;
        let (packet, trailer) = packet.split_at_mut(len);
        let ssrc = parse_rtcp(packet)?;
        let trailer = self.cut_trailer(trailer, RTCP_INDEX);
        self.check_mki(trailer.mki)?;
        let word = *trailer.index.first_chunk::<RTCP_INDEX>().ok_or(GuardError::Malformed)?;
        let value = u32::from_be_bytes(word);
        let index = u64::from(value & !ENCRYPTED);
        let keys = self.keys.as_ref().ok_or(GuardError::Authentication)?;
        let known = self.streams.load(ssrc.0);
        let mut stream = known.unwrap_or_else(|| ProtectedStream::new(ssrc.0));
        if !stream.rtcp.is_fresh(index) {
            return Err(GuardError::Replayed);
        }
        let clear = if value & ENCRYPTED != 0 { RTCP_CLEAR } else { len };
        let place = PacketPlace { ssrc: ssrc.0, index };
        if !keys.rtcp.verify(place, Cut { clear, suffix: word, aead_suffix: &word }, packet, trailer.tag) {
            return Err(GuardError::Authentication);
        }
        if known.is_none() {
            return Err(GuardError::TooManySources);
        }
        self.check_lifetime()?;
        keys.rtcp.decrypt(place, clear, packet);
        stream.rtcp.accept(index);
        self.streams.store(stream);
        self.rtcp_packets = self.rtcp_packets.saturating_add(1);
        self.overlap = self.overlap.saturating_add(1);
        Ok(len)
    }
}

/// What lies behind a packet, in whatever order.
struct Trailer<'a> {
    tag: &'a mut [u8],
    index: &'a mut [u8],
    mki: &'a mut [u8],
}

fn write_mki(mki: Option<Mki>, field: &mut [u8]) {
    if let Some(mki) = mki {
        mki.write(field);
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
