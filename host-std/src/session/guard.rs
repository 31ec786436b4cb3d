//! The guard of a call: SRTP with the keys that SDP agreed on, or nothing (RFC 4568, RFC 3711).

use dsp_core::guard::srtp::{MasterKey, Rollover, Srtp, SrtpProfile};
use dsp_core::guard::{PacketGuard, Plain};

use super::sources::MAX_SOURCES;
use crate::sdp::{self, SrtpKeys};

/// What protects the datagrams of a call.
pub(super) enum Guard {
    Plain(Plain),
    Srtp(Box<Srtp<STREAMS>>),
}

/// SRTP contexts each way: our own source, and the other side's with a few changes of SSRC.
const STREAMS: usize = MAX_SOURCES + 7;

impl Guard {
    pub(super) fn new(keys: Option<&SrtpKeys>) -> Self {
        match keys {
            None => Self::Plain(Plain),
            Some(keys) => {
                let (profile, outgoing, incoming) = srtp_keys(keys);
                Self::Srtp(Box::new(Srtp::new(profile, &outgoing, &incoming)))
            }
        }
    }

    /// Whether datagrams are protected now: what it lets pass is of somebody who has the key.
    pub(super) fn protects(&self) -> bool {
        matches!(self, Self::Srtp(_))
    }

    pub(super) fn get(&mut self) -> &mut dyn PacketGuard {
        match self {
            Self::Plain(plain) => plain,
            Self::Srtp(srtp) => &mut **srtp,
        }
    }

    /// New keys in a running call: unchanged keys keep their contexts, roll-over counters and replay windows.
    /// `moved`: an address or port changed too (RFC 4568, 7.1.4).
    pub(super) fn renew(&mut self, new: Option<&SrtpKeys>, moved: bool) {
        match (&mut *self, new) {
            (Self::Srtp(srtp), Some(new)) => {
                let (profile, outgoing, incoming) = srtp_keys(new);
                let rollover = if moved { Rollover::Restarts } else { Rollover::Continues };
                srtp.set_outgoing(profile, &outgoing, rollover);
                srtp.set_incoming(profile, &incoming);
            }
            (Self::Plain(_), None) => {}
            (_, new) => *self = Self::new(new),
        }
    }

    /// Bytes that it keeps on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Srtp(_) => size_of::<Srtp<STREAMS>>(),
        }
    }
}

fn srtp_keys(keys: &SrtpKeys) -> (SrtpProfile, MasterKey, MasterKey) {
    let key = |key: &sdp::MasterKey| MasterKey::from_bytes(key.as_bytes());
    (keys.suite.profile(), key(&keys.outgoing), key(&keys.incoming))
}
