//! The keys of an answer and of an offer that was answered: described (RFC 4568, 5.1), or to be agreed on by DTLS
//! (RFC 5763).

use dsp_core::guard::srtp::KeyTerms;

use super::crypto::{CryptoError, CryptoLine};
use super::dtls::{accept_dtls, answer_dtls, speaks_dtls};
use super::error::{DescriptionKind, SdpError, quote};
use super::read::{Audio, Profile};
use super::{LocalMedia, NegotiatedDtls, SrtpKeys, SrtpPolicy};

/// The protection of the packets; `L`: the part that belongs into the answer.
#[derive(Debug)]
pub(super) enum NegotiatedKeys<L> {
    /// No protection: plain RTP.
    Plain,
    /// Keys in the descriptions.
    Described(SrtpKeys, L),
    /// Keys that a handshake agrees on.
    Dtls(NegotiatedDtls),
}

/// Returns the keys for an answer, and our line in it.
pub(super) fn answer_keys(local: &LocalMedia, theirs: &Audio) -> Result<NegotiatedKeys<CryptoLine>, SdpError> {
    let plain = theirs.profile == Profile::Plain;
    // A side that has both means the crypto line for peers without DTLS.
    let either = speaks_dtls(theirs) && (local.dtls.is_some() || theirs.crypto.is_empty());
    let dtls = either || theirs.profile == Profile::Dtls;
    match local.srtp {
        SrtpPolicy::Off if plain => Ok(NegotiatedKeys::Plain),
        SrtpPolicy::Off if dtls => Err(SdpError::Dtls(DescriptionKind::Offer)),
        SrtpPolicy::Off => Err(SdpError::SrtpOff(DescriptionKind::Offer, quote(&theirs.proto))),
        policy => {
            let may_be_plain = plain && policy == SrtpPolicy::Offered;
            let agreed = if dtls {
                answer_dtls(local, theirs).map(NegotiatedKeys::Dtls)
            } else {
                described(local, theirs, plain)
            };
            match agreed {
                Err(_) if may_be_plain => Ok(NegotiatedKeys::Plain),
                agreed => agreed,
            }
        }
    }
}

fn described(local: &LocalMedia, theirs: &Audio, plain: bool) -> Result<NegotiatedKeys<CryptoLine>, SdpError> {
    if local.crypto.is_empty() {
        return Err(SdpError::DtlsRequired(DescriptionKind::Offer, quote(&theirs.proto)));
    }
    match pick_line(local, theirs) {
        Ok((keys, line)) => Ok(NegotiatedKeys::Described(keys, line)),
        Err(CryptoError::Missing) if plain => Err(SdpError::SrtpRequired(DescriptionKind::Offer, quote(&theirs.proto))),
        Err(error) => Err(SdpError::Crypto(DescriptionKind::Offer, error)),
    }
}

/// Returns the first of their lines that we can use (RFC 4568, 5.1.2): our answer has its tag and suite and a key of ours.
fn pick_line(local: &LocalMedia, theirs: &Audio) -> Result<(SrtpKeys, CryptoLine), CryptoError> {
    let mut first_error = None;
    for line in &theirs.crypto {
        let picked = line.as_ref().map_err(|error| *error).and_then(|line| {
            let ours = local.lines().find(|ours| ours.suite == line.suite);
            let mut ours = ours.ok_or(CryptoError::SuiteNotOurs(line.suite))?.clone();
            let theirs = line.key.terms();
            if theirs.clear_rtp && !local.unencrypted.rtp {
                return Err(CryptoError::SessionParameter("UNENCRYPTED_SRTP"));
            }
            if theirs.clear_rtcp && !local.unencrypted.rtcp {
                return Err(CryptoError::SessionParameter("UNENCRYPTED_SRTCP"));
            }
            // These hold for both sides: the answer repeats them, and has no others (RFC 4568, 5.1.2).
            let KeyTerms { clear_rtp, clear_rtcp, .. } = *theirs;
            let terms = KeyTerms { clear_rtp, clear_rtcp, ..*ours.key.terms() };
            ours = CryptoLine { tag: line.tag, key: ours.key.with_terms(terms), ..ours };
            Ok((keys(local, &ours, line)?, ours))
        });
        match picked {
            Ok(picked) => return Ok(picked),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or(CryptoError::Missing))
}

/// Returns the keys after the answer to our offer.
pub(super) fn accept_keys(local: &LocalMedia, ours: &Audio, theirs: &Audio) -> Result<NegotiatedKeys<()>, SdpError> {
    let plain = theirs.profile == Profile::Plain;
    if ours.crypto.is_empty() && ours.fingerprints.is_empty() {
        return if plain {
            Ok(NegotiatedKeys::Plain)
        } else {
            Err(SdpError::SrtpOff(DescriptionKind::Answer, quote(&theirs.proto)))
        };
    }
    // They answered with keys, so they'll protect: plain RTP from us would be as useless as no call.
    if !ours.fingerprints.is_empty() {
        return match accept_dtls(local, theirs) {
            Ok(dtls) => Ok(NegotiatedKeys::Dtls(dtls)),
            Err(_) if !speaks_dtls(theirs) && may_be_plain(local, ours) && plain => Ok(NegotiatedKeys::Plain),
            Err(_) if !speaks_dtls(theirs) => {
                Err(SdpError::DtlsRequired(DescriptionKind::Answer, quote(&theirs.proto)))
            }
            Err(error) => Err(error),
        };
    }
    let Some(line) = theirs.crypto.first() else {
        return if speaks_dtls(theirs) && !plain {
            Err(SdpError::Dtls(DescriptionKind::Answer))
        } else if !plain {
            Err(SdpError::Crypto(DescriptionKind::Answer, CryptoError::Missing))
        } else if !may_be_plain(local, ours) {
            Err(SdpError::SrtpRequired(DescriptionKind::Answer, quote(&theirs.proto)))
        } else {
            Ok(NegotiatedKeys::Plain)
        };
    };
    let agreed = line.as_ref().map_err(|error| *error).and_then(|line| {
        let mut offered = ours.crypto.iter().flatten();
        if offered.clone().any(|offered| offered.key == line.key) {
            return Err(CryptoError::SameKey);
        }
        let offered = offered.find(|offered| offered.tag == line.tag && offered.suite == line.suite);
        let offered = offered.ok_or(CryptoError::Tag(line.tag))?;
        let [asked, answered] = [offered, line].map(|line| line.key.terms());
        if asked.clear_rtp != answered.clear_rtp {
            return Err(CryptoError::SessionParameter("UNENCRYPTED_SRTP"));
        }
        if asked.clear_rtcp != answered.clear_rtcp {
            return Err(CryptoError::SessionParameter("UNENCRYPTED_SRTCP"));
        }
        keys(local, offered, line)
    });
    agreed
        .map(|keys| NegotiatedKeys::Described(keys, ()))
        .map_err(|error| SdpError::Crypto(DescriptionKind::Answer, error))
}

/// Returns whether our offer leaves the choice to the other side.
fn may_be_plain(local: &LocalMedia, ours: &Audio) -> bool {
    local.srtp != SrtpPolicy::Required && ours.profile == Profile::Plain
}

/// Checks that none of our keys is theirs, in whichever line it is: it protects our packets, now or later.
fn keys(local: &LocalMedia, ours: &CryptoLine, theirs: &CryptoLine) -> Result<SrtpKeys, CryptoError> {
    if ours.key == theirs.key || local.lines().any(|ours| ours.key == theirs.key) {
        return Err(CryptoError::SameKey);
    }
    Ok(SrtpKeys { suite: theirs.suite, outgoing: ours.key.clone(), incoming: theirs.key.clone() })
}
