//! The keys of an answer and of an offer that was answered (RFC 4568, 5.1).

use dsp_core::guard::srtp::KeyTerms;

use super::crypto::{CryptoError, CryptoLine};
use super::error::{Kind, SdpError, quote};
use super::read::{Audio, Profile};
use super::{LocalMedia, SrtpKeys, SrtpPolicy};

/// The keys for an answer, and our line in it; `None` for plain RTP.
pub(super) fn answer_keys(local: &LocalMedia, theirs: &Audio) -> Result<Option<(SrtpKeys, CryptoLine)>, SdpError> {
    let secure = theirs.profile == Profile::Secure;
    let keyless = theirs.crypto.is_empty() && theirs.fingerprint;
    match local.srtp {
        SrtpPolicy::Off if secure && keyless => Err(SdpError::Dtls(Kind::Offer)),
        SrtpPolicy::Off if secure => Err(SdpError::SrtpOff(Kind::Offer, quote(&theirs.proto))),
        SrtpPolicy::Off => Ok(None),
        SrtpPolicy::Offered | SrtpPolicy::Required => match pick_line(local, theirs) {
            Ok(line) => Ok(Some(line)),
            Err(_) if local.srtp == SrtpPolicy::Offered && !secure => Ok(None),
            Err(_) if keyless => Err(SdpError::Dtls(Kind::Offer)),
            Err(CryptoError::Missing) if !secure => Err(SdpError::SrtpRequired(Kind::Offer, quote(&theirs.proto))),
            Err(error) => Err(SdpError::Crypto(Kind::Offer, error)),
        },
    }
}

/// The first of their lines that we can use (RFC 4568, 5.1.2): our answer has its tag and suite and a key of ours.
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

/// The keys after the answer to our offer; `None` for plain RTP.
pub(super) fn accept_keys(local: &LocalMedia, ours: &Audio, theirs: &Audio) -> Result<Option<SrtpKeys>, SdpError> {
    let secure = theirs.profile == Profile::Secure;
    if ours.crypto.is_empty() {
        return if secure { Err(SdpError::SrtpOff(Kind::Answer, quote(&theirs.proto))) } else { Ok(None) };
    }
    let Some(line) = theirs.crypto.first() else {
        return if secure && theirs.fingerprint {
            Err(SdpError::Dtls(Kind::Answer))
        } else if secure {
            Err(SdpError::Crypto(Kind::Answer, CryptoError::Missing))
        } else if local.srtp == SrtpPolicy::Required || ours.profile == Profile::Secure {
            Err(SdpError::SrtpRequired(Kind::Answer, quote(&theirs.proto)))
        } else {
            Ok(None)
        };
    };
    // They answered with a key, so they'll protect: plain RTP from us would be as useless as no call.
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
    agreed.map(Some).map_err(|error| SdpError::Crypto(Kind::Answer, error))
}

/// None of our keys may be theirs, whichever line it stands in: it protects what we send, now or later.
fn keys(local: &LocalMedia, ours: &CryptoLine, theirs: &CryptoLine) -> Result<SrtpKeys, CryptoError> {
    if ours.key == theirs.key || local.lines().any(|ours| ours.key == theirs.key) {
        return Err(CryptoError::SameKey);
    }
    Ok(SrtpKeys { suite: theirs.suite, outgoing: ours.key.clone(), incoming: theirs.key.clone() })
}
