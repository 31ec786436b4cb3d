//! The books of a call's keys: which (key, source, index) protected what, and which datagrams were accepted.
//!
//! AES in counter mode lays a keystream over the payload that depends on nothing but the key, the source and the index
//! (RFC 3711, 4.1): two payloads under one of them are both readable (9.1). A receiver that accepts a datagram again is
//! open to replay (3.3.2).

use std::collections::HashMap;

use dsp_core::guard::PacketGuard;
use dsp_core::guard::srtp::{MasterKey, Srtp, SrtpProfile};
use dsp_core::time::Ssrc;
use dsp_core::wire::DatagramKind;

/// A master key and its salt, of AES-128 in counter mode.
pub type Key = [u8; 30];

/// How many roll-overs a source may have had when its index is searched.
const MOST_ROLLOVERS: u64 = 4;

/// What was protected so far.
#[derive(Default)]
pub struct Books {
    /// (key, whether RTCP, source, index) and what lay under it.
    protected: HashMap<(Vec<u8>, bool, u32, u64), Vec<u8>>,
    /// What was protected twice, in words.
    pub twice: Vec<String>,
}

impl Books {
    /// Enters a datagram that was sent under `key`; whether it could be opened with it.
    pub fn enter(&mut self, key: &MasterKey, profile: SrtpProfile, datagram: &[u8]) -> bool {
        let Some((ssrc, index, content)) = open(key, profile, datagram) else { return false };
        let report = DatagramKind::of(datagram) == DatagramKind::Rtcp;
        let place = (key.as_bytes().to_vec(), report, ssrc, index);
        if let Some(before) = self.protected.get(&place) {
            if *before != content {
                let kind = if report { "SRTCP" } else { "SRTP" };
                self.twice.push(format!("{kind} of {ssrc:08x}, index {index}, key {:02x?}", &key.as_bytes()[..4]));
            }
        } else {
            self.protected.insert(place, content);
        }
        true
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.protected.len()
    }

    /// Whether nothing was entered.
    pub fn is_empty(&self) -> bool {
        self.protected.is_empty()
    }
}

/// Source, index and content of a protected datagram, without knowing what was sent before it: every roll-over counter is
/// tried.
fn open(key: &MasterKey, profile: SrtpProfile, datagram: &[u8]) -> Option<(u32, u64, Vec<u8>)> {
    let unused = MasterKey::of(profile, &vec![0; profile.master_bytes()]).ok()?;
    let guard = || Srtp::<1>::new(profile, &unused, key).expect("a key of this profile");
    let mut buffer = datagram.to_vec();
    if DatagramKind::of(datagram) == DatagramKind::Rtcp {
        let ssrc = u32::from_be_bytes(datagram[4..8].try_into().ok()?);
        let mki = key.terms().mki.map_or(0, |mki| mki.len_bytes());
        let behind = mki + if profile.is_aead() { 0 } else { profile.rtcp_tag_bytes() };
        let word = *datagram[..datagram.len().checked_sub(behind)?].last_chunk::<4>()?;
        let len = guard().unprotect_rtcp(&mut buffer).ok()?;
        buffer.truncate(len);
        return Some((ssrc, u64::from(u32::from_be_bytes(word) & 0x7fff_ffff), buffer));
    }
    let ssrc = u32::from_be_bytes(datagram[8..12].try_into().ok()?);
    let seq = u64::from(u16::from_be_bytes([datagram[2], datagram[3]]));
    for rollover in 0..MOST_ROLLOVERS {
        let index = rollover << 16 | seq;
        let mut guard = guard();
        if let Some(before) = index.checked_sub(1) {
            guard.resume_incoming(Ssrc(ssrc), before, 0).ok()?;
        }
        if let Ok(len) = guard.unprotect_rtp(&mut buffer) {
            buffer.truncate(len);
            return Some((ssrc, guard.incoming_index(Ssrc(ssrc))?, buffer));
        }
    }
    None
}
