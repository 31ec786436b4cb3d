//! SRTP and SRTCP (RFC 3711) with AES-128 or AES-256, in counter mode with an 80-bit or 32-bit HMAC-SHA1 tag (RFC
//! 4568, 6.2; RFC 5764, 4.1.2; RFC 6188), or in Galois/counter mode (RFC 7714).
//!
//! Use [`Srtp`] where both sides have exchanged keys, by SDP security descriptions (RFC 4568) or by DTLS (RFC 5764).
//! It has one outgoing and one incoming master key, and under each of them a context for each SSRC. [`MasterKey`]
//! comes from the session description or from [`SrtpProfile::keys_of_dtls`].
//!
//! - **Roll-over counter** (3.3.1). It is estimated from the sequence number, and kept only after authentication. The
//!   first packet of an SSRC may have any sequence number and counts as ROC 0 (RFC 4568, 6.4). If that fails and the
//!   sequence number is below 2^15, ROC 1 is tried, so that a stream is received although its first packets, before
//!   the wrap, were lost. A stream joined later than that needs [`Srtp::resume_incoming`].
//! - **Replay** (3.3.2). The window is 128 packets, separate for RTP and RTCP. Outgoing packets pass the same check,
//!   since an index used twice would use one keystream for two payloads. A sender that restarts its sequence numbers
//!   must take a new SSRC (as RFC 3550 asks anyway) or a new key.
//! - **Contexts.** There are `STREAMS` in each direction. When all are in use, an accepted packet of a new SSRC
//!   replaces the stream unused for longest, so that changes of the SSRC keep working. A packet that fails
//!   authentication replaces nothing. The highest indices of `16 + 4 * STREAMS` replaced streams are remembered, and
//!   such a stream goes on from them if it comes back. When that memory is full, a new SSRC needs a new key
//!   ([`GuardError::TooManySources`]): nothing is forgotten, so nothing can be replayed.
//! - **Changing keys** (3.3.1, 8.1; RFC 4568, 7.1.4). See [`Srtp::set_keys`]. What was used under a key that is left
//!   goes to the call's [`FormerKeys`], and comes back from there with the key.
//! - **Key identifiers** (MKI, 3.1). Where the terms of a key have one, it is written into each packet. A packet with
//!   another identifier is refused before any computation ([`GuardError::OtherKey`]).
//! - **Lifetime** (9.2). After 2^48 SRTP or 2^31 SRTCP packets, or fewer if the [terms](KeyTerms) of the key say so,
//!   the guard protects nothing more: [`GuardError::KeyExpired`]. [`Srtp::key_age`] warns before that. An incoming
//!   stream ends at the same indices, and after as many accepted packets.
//! - **Authentication first.** A packet is authenticated before it is decrypted, and one that fails is left as it
//!   came. A forged 32-bit tag passes once in 2^32 attempts. A packet is one attempt for each key and counter that is
//!   tried: one for a stream that is being received, two for a new SSRC, at most six while two keys overlap.
//!
//! # Cost and limits
//!
//! To protect and unprotect 20 ms of G.711 takes 41,913 instructions on a Cortex-M4F with AES-128 and HMAC, and 70,870
//! with AES-128 in Galois/counter mode. On a host it takes 0.58 µs and 0.51 µs (`BENCHMARKS.md`). An `Srtp<1>` takes
//! 4,848 bytes on a Cortex-M.
//!
//! Three options of the standards are missing: key derivation rates other than zero, RTP without authentication, and
//! encrypted header extensions (RFC 6904).
//!
//! # Example
//!
//! Two ends with two master keys; each packet is accepted once:
//!
//! ```
//! use dsp_core::guard::srtp::{MasterKey, Srtp, SrtpProfile};
//! use dsp_core::guard::{GuardError, PacketGuard};
//! use dsp_core::time::{PayloadType, RtpTime, Seq, Ssrc};
//! use dsp_core::wire::rtp::RtpHeader;
//!
//! // A call has them from a secure random source, by its description or by DTLS.
//! let (anna, ben) = (MasterKey::from_bytes(&[1; 30]), MasterKey::from_bytes(&[2; 30]));
//! let profile = SrtpProfile::AesCm128HmacSha1_80;
//! let mut sender = Srtp::<1>::new(profile, &anna, &ben)?;
//! let mut receiver = Srtp::<1>::new(profile, &ben, &anna)?;
//!
//! let header = RtpHeader {
//!     marker: true,
//!     payload_type: PayloadType::PCMU,
//!     seq: Seq(1),
//!     timestamp: RtpTime(0),
//!     ssrc: Ssrc(7),
//!     csrcs: &[],
//!     extension: None,
//! };
//! let mut datagram = [0; 200];
//! let plain = header.write_packet(&[0xff; 160], &mut datagram)?;
//! let len = sender.protect_rtp(&mut datagram, plain)?;
//! assert_eq!(len, plain + profile.rtp_tag_bytes());
//! let mut again = datagram;
//! assert_eq!(receiver.unprotect_rtp(&mut datagram[..len])?, plain);
//! assert_eq!(datagram[12..plain], [0xff; 160]);
//! assert_eq!(receiver.unprotect_rtp(&mut again[..len]), Err(GuardError::Replayed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{GuardError, PacketGuard};
use crate::time::Ssrc;
use direction::{KeyedDirection, LAST_RTCP, LAST_RTP};
use keys::{KeyId, KeySet};

#[cfg(any(test, target_arch = "arm"))]
mod aes32;
mod cipher;
mod direction;
mod former;
mod hmac_sha1;
mod keys;
mod profile;
mod replay;
mod streams;
mod terms;
#[cfg(test)]
mod tests;
mod transform;

pub use former::{FormerKeys, KeyError};
pub use keys::MasterKey;
pub use profile::SrtpProfile;
pub use terms::{KeyAge, KeyTerms, Mki};

/// After this many packets under the new incoming key the old one is forgotten: 5 s of 20 ms packets.
const OVERLAP_NEW: u32 = 256;
/// After this many packets under the old incoming key it is forgotten, even if the new one was never heard.
const OVERLAP_OLD: u32 = 8_192;

/// What happens to the roll-over counters and SRTCP indices under a new outgoing key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Rollover {
    /// They go on: the same session has another key (RFC 3711, 3.3.1).
    #[default]
    Continues,
    /// They restart at zero: the session description also changed an address or a port, or there is a new DTLS
    /// association (RFC 4568, 7.1.4).
    Restarts,
}

/// The SRTP guard of a call, for at most `STREAMS` SSRCs in each direction. One is enough for a call between two, a
/// second allows the other side to change its SSRC, and a conference needs one for each participant. It cannot be
/// cloned, since two guards that protect under one key would use its keystream twice. [The module's page](self) has an
/// example of a call, the rules and the cost.
///
/// Changing the keys during a call:
///
/// ```
/// use dsp_core::guard::srtp::{FormerKeys, KeyError, MasterKey, Rollover, Srtp, SrtpProfile};
///
/// // In a program keys come from a session description or a DTLS handshake.
/// let key = |seed| MasterKey::from_bytes(&[seed; 30]);
/// let profile = SrtpProfile::AesCm128HmacSha1_80;
/// let mut guard = Srtp::<1>::new(profile, &key(1), &key(2))?;
/// // It remembers 8 keys and sources, as long as the call lasts.
/// let mut former = FormerKeys::<8>::new();
///
/// // A new offer and answer brought other keys, with the same addresses.
/// guard.set_keys(profile, &key(3), &key(4), Rollover::Continues, &mut former)?;
/// // The keys of the two directions must differ.
/// let shared = guard.set_keys(profile, &key(5), &key(5), Rollover::Continues, &mut former);
/// assert_eq!(shared, Err(KeyError::Shared));
/// # Ok::<(), KeyError>(())
/// ```
pub struct Srtp<const STREAMS: usize> {
    outgoing: KeyedDirection<STREAMS>,
    incoming: KeyedDirection<STREAMS>,
    /// The incoming key before the present one. It has its session keys only during the overlap.
    previous: Option<KeyedDirection<STREAMS>>,
}

impl<const STREAMS: usize> Srtp<STREAMS> {
    /// A guard that protects with `outgoing` and unprotects with `incoming`. The two keys must differ: both sides
    /// number their packets in the same way, so that one key for both would use one keystream twice if the SSRCs were
    /// equal. `STREAMS` is at least 1; 0 does not compile.
    ///
    /// # Errors
    /// Returns [`KeyError::Length`] if a key does not have the length that `profile` asks for.
    pub fn new(profile: SrtpProfile, outgoing: &MasterKey, incoming: &MasterKey) -> Result<Self, KeyError> {
        const { assert!(STREAMS > 0, "a guard needs a context") };
        check_length(profile, outgoing)?;
        check_length(profile, incoming)?;
        Ok(Self {
            outgoing: KeyedDirection::new(profile, outgoing),
            incoming: KeyedDirection::new(profile, incoming),
            previous: None,
        })
    }

    /// How much of their lifetime the present keys have used; the older of the two counts.
    pub fn key_age(&self) -> KeyAge {
        self.outgoing.age().max(self.incoming.age())
    }

    /// Protects and unprotects with these keys from now on, as [`set_outgoing`](Self::set_outgoing) and
    /// [`set_incoming`](Self::set_incoming) do.
    ///
    /// # Errors
    /// Returns a [`KeyError`] for the reasons of these two methods. Neither key is set then.
    pub fn set_keys<const FORMER: usize>(
        &mut self,
        profile: SrtpProfile,
        outgoing: &MasterKey,
        incoming: &MasterKey,
        rollover: Rollover,
        former: &mut FormerKeys<FORMER>,
    ) -> Result<(), KeyError> {
        self.check_keys(profile, outgoing, incoming, former)?;
        self.change_outgoing(profile, outgoing, rollover, former);
        self.change_incoming(profile, incoming, former);
        Ok(())
    }

    /// Protects with `key` from the next packet on. If `key` is the present key (a re-INVITE that changes nothing),
    /// only the profile and the terms are set: counters never restart under a key in use.
    ///
    /// # Errors
    /// Returns [`KeyError::UsedBefore`] for a key that was set before and left, [`KeyError::Shared`] for a key of the
    /// other direction, [`KeyError::Length`] for a wrong length, and [`KeyError::TooManyKeys`] if `former` is full.
    /// Nothing has changed then.
    pub fn set_outgoing<const FORMER: usize>(
        &mut self,
        profile: SrtpProfile,
        key: &MasterKey,
        rollover: Rollover,
        former: &mut FormerKeys<FORMER>,
    ) -> Result<(), KeyError> {
        check_length(profile, key)?;
        self.check(key.id(), self.incoming.id, former)?;
        self.change_outgoing(profile, key, rollover, former);
        Ok(())
    }

    /// Accepts packets under `key` from now on, and for an overlap also those under the key before.
    ///
    /// The other side changes its key some time after the signalling, and packets are still on their way; so a packet
    /// that fails under the new key is tried under the old one. The overlap ends after 256 packets under the new key,
    /// after 8192 packets under the old one, or with [`Self::forget_previous`]. Call that after a fixed time if a
    /// participant has left and must not be heard any longer. If keys are set in quick succession, the last one under
    /// which a packet was accepted stays.
    ///
    /// No word on the roll-over counter is needed: the first packet of each SSRC under the new key is tried with the
    /// counter going on (RFC 3711, 3.3.1) and with a counter from zero (RFC 4568, 7.1.4).
    ///
    /// If `key` is the present key, only the profile and its terms are set; if it is the key before, the two change
    /// places. An older key comes back from `former`: a packet that was accepted under a key stays refused as long as
    /// the call lasts.
    ///
    /// # Errors
    /// Returns [`KeyError::Shared`] for a key of the other direction, [`KeyError::Length`] for a wrong length, and
    /// [`KeyError::TooManyKeys`] if `former` is full. Nothing has changed then.
    pub fn set_incoming<const FORMER: usize>(
        &mut self,
        profile: SrtpProfile,
        key: &MasterKey,
        former: &mut FormerKeys<FORMER>,
    ) -> Result<(), KeyError> {
        check_length(profile, key)?;
        self.check(self.outgoing.id, key.id(), former)?;
        self.change_incoming(profile, key, former);
        Ok(())
    }

    /// Checks whether [`set_keys`](Self::set_keys) would accept these keys, without setting them.
    ///
    /// # Errors
    /// Returns a [`KeyError`] for the reasons of [`set_keys`](Self::set_keys).
    pub fn check_keys<const FORMER: usize>(
        &self,
        profile: SrtpProfile,
        outgoing: &MasterKey,
        incoming: &MasterKey,
        former: &FormerKeys<FORMER>,
    ) -> Result<(), KeyError> {
        check_length(profile, outgoing)?;
        check_length(profile, incoming)?;
        self.check(outgoing.id(), incoming.id(), former)
    }

    fn check<const FORMER: usize>(
        &self,
        outgoing: KeyId,
        incoming: KeyId,
        former: &FormerKeys<FORMER>,
    ) -> Result<(), KeyError> {
        let (sends_anew, hears_anew) = (outgoing != self.outgoing.id, incoming != self.incoming.id);
        let was_theirs = |id| {
            let known = |theirs: &KeyedDirection<STREAMS>| theirs.is_heard() && theirs.id == id;
            known(&self.incoming) || self.previous.as_ref().is_some_and(known) || former.heard(id).next().is_some()
        };
        let was_ours = |id| former.was_ours(id) || self.outgoing.id == id;
        if outgoing == incoming || sends_anew && was_theirs(outgoing) || hears_anew && was_ours(incoming) {
            return Err(KeyError::Shared);
        }
        if sends_anew && former.was_ours(outgoing) {
            return Err(KeyError::UsedBefore);
        }
        let displaced = if hears_anew { self.displaced_by(incoming) } else { None };
        let heard = displaced.map_or(0, |displaced| displaced.streams.heard().count());
        let room = former.free() + if hears_anew { former.heard(incoming).count() } else { 0 };
        if usize::from(sends_anew) + heard > room { Err(KeyError::TooManyKeys) } else { Ok(()) }
    }

    /// The key that the guard no longer has once it has this one.
    fn displaced_by(&self, incoming: KeyId) -> Option<&KeyedDirection<STREAMS>> {
        // A present key under which nothing was heard is the one that goes.
        self.previous.as_ref().filter(|previous| self.incoming.is_heard() && previous.id != incoming)
    }

    fn change_outgoing<const FORMER: usize>(
        &mut self,
        profile: SrtpProfile,
        key: &MasterKey,
        rollover: Rollover,
        former: &mut FormerKeys<FORMER>,
    ) {
        if self.outgoing.id == key.id() {
            (self.outgoing.profile, self.outgoing.terms) = (profile, *key.terms());
            return;
        }
        let mut next = KeyedDirection::new(profile, key);
        if rollover == Rollover::Continues {
            next.streams = self.outgoing.streams.continued();
        }
        former.keep_ours(self.outgoing.id);
        self.outgoing = next;
    }

    fn change_incoming<const FORMER: usize>(
        &mut self,
        profile: SrtpProfile,
        key: &MasterKey,
        former: &mut FormerKeys<FORMER>,
    ) {
        let id = key.id();
        if self.incoming.id == id {
            (self.incoming.profile, self.incoming.terms) = (profile, *key.terms());
            return;
        }
        let known = self.previous.take_if(|previous| previous.id == id);
        let mut next = match known {
            Some(mut known) => {
                known.keys.get_or_insert_with(|| KeySet::new(profile, key));
                known
            }
            None => {
                let mut next = KeyedDirection::new(profile, key);
                next.streams = self.incoming.streams.continued();
                former.heard(id).for_each(|stream| next.streams.recall(stream));
                former.take_back(id);
                next
            }
        };
        (next.profile, next.terms) = (profile, *key.terms());
        next.overlap = 0;
        let mut last = core::mem::replace(&mut self.incoming, next);
        if last.is_heard() || self.previous.is_none() {
            last.overlap = 0;
            if let Some(displaced) = self.previous.replace(last) {
                former.keep_heard(displaced.id, displaced.streams.heard());
            }
        }
    }

    /// Whether packets under the key before are still accepted.
    #[cfg(test)]
    fn overlaps(&self) -> bool {
        self.previous.as_ref().is_some_and(|previous| previous.keys.is_some())
    }

    /// Ends the overlap after [`Self::set_incoming`]: from now on only the present key is accepted.
    pub fn forget_previous(&mut self) {
        if let Some(previous) = &mut self.previous {
            previous.keys = None;
        }
    }

    /// SRTP index of the newest packet that was sent with `ssrc` under the present key: the roll-over counter in the
    /// upper 32 of 48 bits, the sequence number in the lower 16. A standby needs it to go on with
    /// [`Self::resume_outgoing`]. `None` if nothing was sent.
    pub fn outgoing_index(&self, ssrc: Ssrc) -> Option<u64> {
        self.outgoing.streams.load(ssrc.0)?.rtp.highest()
    }

    /// SRTP index of the newest packet of `ssrc` that was accepted under the present key; `None` if none was.
    pub fn incoming_index(&self, ssrc: Ssrc) -> Option<u64> {
        self.incoming.streams.load(ssrc.0)?.rtp.highest()
    }

    /// Whether RTP or RTCP was sent with `ssrc` under the present key. Such a stream cannot restart under that key.
    pub fn has_sent(&self, ssrc: Ssrc) -> bool {
        let stream = self.outgoing.streams.load(ssrc.0);
        stream.is_some_and(|stream| stream.rtp.highest().is_some() || stream.rtcp.highest().is_some())
    }

    /// Takes over an outgoing stream of which packets up to and including `rtp_index` and `rtcp_index` may have been
    /// sent under the present key. Rather give indices that are too high than too low: those below are never used
    /// again. Indices that this guard has used itself stay used.
    ///
    /// # Errors
    /// Returns [`GuardError::TooManySources`] if there is no room for another stream.
    pub fn resume_outgoing(&mut self, ssrc: Ssrc, rtp_index: u64, rtcp_index: u32) -> Result<(), GuardError> {
        resume(&mut self.outgoing, ssrc, rtp_index, rtcp_index)
    }

    /// Takes over an incoming stream: packets up to and including these indices are refused, and the roll-over counter
    /// is estimated from them.
    ///
    /// # Errors
    /// Returns [`GuardError::TooManySources`] if there is no room for another stream.
    pub fn resume_incoming(&mut self, ssrc: Ssrc, rtp_index: u64, rtcp_index: u32) -> Result<(), GuardError> {
        resume(&mut self.incoming, ssrc, rtp_index, rtcp_index)
    }

    /// Runs `open` under the present key and, while the overlap lasts, under the one before.
    fn unprotect(
        &mut self,
        packet: &mut [u8],
        open: fn(&mut KeyedDirection<STREAMS>, &mut [u8]) -> Result<usize, GuardError>,
    ) -> Result<usize, GuardError> {
        let result = open(&mut self.incoming, packet);
        let Some(previous) = self.previous.as_mut().filter(|previous| previous.keys.is_some()) else { return result };
        let (result, over) = match result {
            Ok(len) => (Ok(len), self.incoming.overlap >= OVERLAP_NEW),
            Err(error) => match open(previous, packet) {
                Ok(len) => (Ok(len), previous.overlap >= OVERLAP_OLD),
                Err(_) => (Err(error), false),
            },
        };
        if over {
            self.forget_previous();
        }
        result
    }
}

fn check_length(profile: SrtpProfile, key: &MasterKey) -> Result<(), KeyError> {
    let length = KeyError::Length { need: profile.master_bytes(), got: key.as_bytes().len() };
    if key.fits(profile) { Ok(()) } else { Err(length) }
}

fn resume<const STREAMS: usize>(
    direction: &mut KeyedDirection<STREAMS>,
    ssrc: Ssrc,
    rtp_index: u64,
    rtcp_index: u32,
) -> Result<(), GuardError> {
    let resumed = direction.streams.resume(ssrc.0, rtp_index & LAST_RTP, u64::from(rtcp_index) & LAST_RTCP);
    if resumed { Ok(()) } else { Err(GuardError::TooManySources) }
}

impl<const STREAMS: usize> PacketGuard for Srtp<STREAMS> {
    /// The growth of an RTCP packet, by the index, the tag, and the identifier of the key: 14 bytes without an
    /// identifier, 20 with GCM.
    fn max_growth(&self) -> usize {
        self.outgoing.rtcp_growth()
    }

    fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, GuardError> {
        self.outgoing.protect_rtp(buffer, len)
    }

    fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, GuardError> {
        self.outgoing.protect_rtcp(buffer, len)
    }

    fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, GuardError> {
        self.unprotect(packet, KeyedDirection::unprotect_rtp)
    }

    /// Accepts SRTCP that is encrypted, and SRTCP that is only authenticated (the E bit, RFC 3711, 3.4).
    fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, GuardError> {
        self.unprotect(packet, KeyedDirection::unprotect_rtcp)
    }
}
