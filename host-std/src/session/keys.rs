//! Our own keys in a call: one for each suite, offered until it is used, and used until it is left.
//!
//! A key of ours protects one stretch of a call. As soon as another one is agreed on, or plain RTP, a fresh one takes its place
//! in our next offer or answer; where we receive at another address or port, or a key in use is near its end, all of them are
//! fresh (RFC 4568, 7.1.4; RFC 3711, 9.2).

use std::net::IpAddr;

use dsp_core::guard::srtp::{KeyTerms, Mki};

use super::{CallError, Identity};
use crate::sdp::{CryptoLine, CryptoSuite, LocalMedia, SrtpKeys, SrtpPolicy, Unencrypted};

/// The SRTP suites that a call offers and accepts, and their terms.
///
/// A key of ours protects one stretch of a call. As soon as another key is agreed on, or plain RTP, the next offer or answer has a
/// fresh one. All of our keys are fresh after we have moved to another address or port, and when a key in use is nearly used up
/// (RFC 4568, 7.1.4; RFC 3711, 9.2).
///
/// ```
/// use host_std::sdp::CryptoSuite;
/// use host_std::session::{Call, CallConfig, SrtpOptions};
///
/// let srtp_options = SrtpOptions::only([CryptoSuite::AeadAes256Gcm]);
/// let mut call = Call::new(CallConfig { srtp_options, ..CallConfig::new(4000)? })?;
/// assert!(call.offer()?.contains("a=crypto:1 AEAD_AES_256_GCM inline:"));
/// # Ok::<(), host_std::session::CallError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrtpOptions {
    /// The suites that we offer, the best first. A suite that is named twice counts once.
    pub offered: Vec<CryptoSuite>,
    /// The suites that we don't offer but accept in an offer.
    pub answered: Vec<CryptoSuite>,
    /// The terms of our own keys: an identifier in each packet (MKI), after how many packets a key must be replaced, and the
    /// parts that we ask to leave unencrypted. The identifier counts up with each key.
    pub terms: KeyTerms,
    /// The packets that may be left unencrypted, in both directions, if the other side asks for it.
    pub unencrypted: Unencrypted,
}

impl SrtpOptions {
    /// Options that offer and accept these suites and no others.
    pub fn only(suites: impl Into<Vec<CryptoSuite>>) -> Self {
        Self { offered: suites.into(), answered: Vec::new(), ..Self::default() }
    }
}

impl Default for SrtpOptions {
    /// Offers the two suites that every phone has, so that an offer stays short, and accepts all others too. Keys last as long as
    /// SRTP allows, and everything is encrypted.
    fn default() -> Self {
        let [long, short, others @ ..] = CryptoSuite::ALL;
        let (terms, unencrypted) = (KeyTerms::default(), Unencrypted::default());
        Self { offered: vec![long, short], answered: others.into(), terms, unencrypted }
    }
}

/// Our keys, and the conditions under which they change.
#[derive(Clone)]
pub(super) struct OwnKeys {
    /// The address and port that the present ones were made for.
    place: (IpAddr, u16),
    options: SrtpOptions,
    /// Keys that were made until now: the identifier of the next.
    made: u64,
    /// Whether descriptions have them at all.
    described: bool,
}

/// A fresh line for each one whose key is left, and which.
pub(super) struct Successors(Vec<(usize, CryptoLine)>);

impl OwnKeys {
    /// Returns the keys of a new call: those of a simulation's identity, else from the operating system. `described`: whether the
    /// descriptions shall have any.
    pub(super) fn new(
        options: SrtpOptions,
        described: bool,
        identity: &Identity,
        local: &mut LocalMedia,
    ) -> Result<Self, CallError> {
        let mut keys = Self { described, place: (local.address, local.rtp_port), options, made: 0 };
        local.unencrypted = keys.options.unencrypted;
        keys.make(local)?;
        if let Some(known) = &identity.keys {
            for line in local.lines_mut() {
                let key = known.iter().find(|(suite, _)| *suite == line.suite).map(|(_, key)| key.clone());
                line.key = key.unwrap_or_else(|| line.key.clone()).with_terms(*line.key.terms());
            }
        }
        Ok(keys)
    }

    fn make(&mut self, local: &mut LocalMedia) -> Result<(), CallError> {
        (local.crypto, local.crypto_answered) = (Vec::new(), Vec::new());
        if local.srtp == SrtpPolicy::Off || !self.described {
            return Ok(());
        }
        let [offered, answered] = [self.options.offered.clone(), self.options.answered.clone()];
        for (at, suite) in offered.iter().chain(&answered).enumerate() {
            if local.lines().any(|line| line.suite == *suite) {
                continue;
            }
            let line = self.fresh(local.lines().count() as u32 + 1, *suite)?;
            if at < offered.len() { local.crypto.push(line) } else { local.crypto_answered.push(line) }
        }
        Ok(())
    }

    /// A line with a fresh key on the terms of the call.
    fn fresh(&mut self, tag: u32, suite: CryptoSuite) -> Result<CryptoLine, CallError> {
        let mut line = CryptoLine::generate(tag, suite).map_err(CallError::Randomness)?;
        let mut terms = self.options.terms;
        if let Some(first) = terms.mki {
            // Where the field is too short it wraps around: a few bytes are enough to distinguish neighbouring keys.
            let bytes = first.len_bytes() as u8;
            let range = u64::MAX >> (64 - 8 * u32::from(bytes.min(8)));
            terms.mki = Mki::new(first.value().wrapping_add(self.made) & range, bytes);
        }
        self.made += 1;
        line.key = line.key.with_terms(terms);
        Ok(line)
    }

    /// Fresh keys from the next offer or answer on.
    pub(super) fn renew(&mut self, local: &mut LocalMedia) -> Result<(), CallError> {
        self.make(local)?;
        #[cfg(feature = "dtls")]
        if let Some(dtls) = &mut local.dtls {
            // Another association, in which either side may begin (RFC 8842, 5.1).
            (dtls.tls_id, dtls.active) = (super::certificate::tls_id()?, None);
        }
        self.place = (local.address, local.rtp_port);
        Ok(())
    }

    /// Renews the keys, if necessary, before each offer and answer of a running call. `worn`: a key in use is near its end.
    pub(super) fn follow(&mut self, local: &mut LocalMedia, worn: bool) -> Result<(), CallError> {
        if !worn && self.place == (local.address, local.rtp_port) { Ok(()) } else { self.renew(local) }
    }

    /// Returns the address and port that the present keys were made for.
    pub(super) fn place(&self) -> (IpAddr, u16) {
        self.place
    }

    /// The keys that there are again are those for this address and port.
    pub(super) fn set_place(&mut self, place: (IpAddr, u16)) {
        self.place = place;
    }

    /// Returns the replacements of the key that is dropped when `new` is agreed on after `old`.
    pub(super) fn successors(
        &mut self,
        local: &LocalMedia,
        old: Option<&SrtpKeys>,
        new: Option<&SrtpKeys>,
    ) -> Result<Successors, CallError> {
        let left = old.map(|old| &old.outgoing).filter(|old| new.is_none_or(|new| new.outgoing != **old));
        let lines = local.lines().enumerate().filter(|(_, line)| left.is_some_and(|left| line.key == *left));
        let fresh = lines.map(|(at, line)| Ok((at, self.fresh(line.tag, line.suite)?)));
        fresh.collect::<Result<_, _>>().map(Successors)
    }
}

impl Successors {
    /// Puts them where the others were.
    pub(super) fn put(self, local: &mut LocalMedia) {
        for (at, line) in self.0 {
            if let Some(place) = local.lines_mut().nth(at) {
                *place = line;
            }
        }
    }
}
