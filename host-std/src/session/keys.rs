//! Our own keys in a call: one for each suite, offered until it is used, and used until it is left.
//!
//! A key of ours protects one stretch of a call. As soon as another one is agreed on, or plain RTP, a fresh one takes its
//! place in what we offer and answer next; where we receive at another address or port, all of them are fresh (RFC 4568,
//! 7.1.4).

use std::net::IpAddr;

use super::{CallError, Identity};
use crate::sdp::{CryptoLine, CryptoSuite, LocalMedia, SrtpKeys, SrtpPolicy};

/// When our keys are to change.
pub(super) struct OwnKeys {
    /// The address and port that the present ones were made for.
    place: (IpAddr, u16),
}

/// A fresh line for each one whose key is left, and which.
pub(super) struct Successors(Vec<(usize, CryptoLine)>);

impl OwnKeys {
    /// The keys of a new call: those of a simulation's identity, else from the operating system.
    /// `described`: whether the descriptions shall have any.
    pub(super) fn new(identity: &Identity, described: bool, local: &mut LocalMedia) -> Result<Self, CallError> {
        local.crypto = match (local.srtp, &identity.keys) {
            (SrtpPolicy::Off, _) => Vec::new(),
            _ if !described => Vec::new(),
            (_, Some([first, second])) => vec![
                CryptoLine { tag: 1, suite: CryptoSuite::AesCm128HmacSha1_80, key: first.clone() },
                CryptoLine { tag: 2, suite: CryptoSuite::AesCm128HmacSha1_32, key: second.clone() },
            ],
            (_, None) => CryptoLine::generate_both().map_err(CallError::Randomness)?,
        };
        Ok(Self { place: (local.address, local.rtp_port) })
    }

    /// Fresh keys from the next offer or answer on.
    pub(super) fn renew(&mut self, local: &mut LocalMedia) -> Result<(), CallError> {
        if !local.crypto.is_empty() {
            local.crypto = CryptoLine::generate_both().map_err(CallError::Randomness)?;
        }
        #[cfg(feature = "dtls")]
        if let Some(dtls) = &mut local.dtls {
            // Another association, in which either side may begin (RFC 8842, 5.1).
            (dtls.tls_id, dtls.active) = (super::certificate::tls_id()?, None);
        }
        self.place = (local.address, local.rtp_port);
        Ok(())
    }

    /// Before each offer and answer of a running call.
    pub(super) fn follow_address(&mut self, local: &mut LocalMedia) -> Result<(), CallError> {
        if self.place == (local.address, local.rtp_port) { Ok(()) } else { self.renew(local) }
    }

    /// What takes the place of the key that is left when `new` is agreed on after `old`.
    pub(super) fn successors(
        local: &LocalMedia,
        old: Option<&SrtpKeys>,
        new: Option<&SrtpKeys>,
    ) -> Result<Successors, CallError> {
        let left = old.map(|old| &old.outgoing).filter(|old| new.is_none_or(|new| new.outgoing != **old));
        let lines = local.crypto.iter().enumerate().filter(|(_, line)| left.is_some_and(|left| line.key == *left));
        let fresh = lines.map(|(at, line)| Ok((at, CryptoLine::generate(line.tag, line.suite)?)));
        fresh.collect::<Result<_, _>>().map(Successors).map_err(CallError::Randomness)
    }
}

impl Successors {
    /// Puts them where the others were.
    pub(super) fn put(self, local: &mut LocalMedia) {
        for (at, line) in self.0 {
            local.crypto[at] = line;
        }
    }
}
