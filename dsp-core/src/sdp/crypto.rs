//! Security descriptions: the value of one `a=crypto` line (RFC 4568).

use core::fmt;

use zeroize::Zeroize;

use super::base64;
use crate::guard::srtp::{KeyTerms, MasterKey, Mki, SrtpProfile};

/// The content of one `a=crypto` line (RFC 4568): the key with which the side that wrote it protects its packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// Number by which an answer picks this line.
    pub tag: u32,
    /// Crypto suite.
    pub profile: SrtpProfile,
    /// Key with which the side that wrote the line protects its packets, and the terms that the line's parameters set.
    pub key: MasterKey,
}

impl Crypto {
    /// Parses the value of `a=crypto`, for example `1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^31|1:4 WSH=64`. The base64
    /// padding of the key may be missing.
    ///
    /// # Errors
    /// Returns a [`CryptoError`] if the line does not have this form, or asks for something that
    /// [`Srtp`](crate::guard::srtp::Srtp) does not support. No error contains the text of the key.
    pub fn parse(value: &str) -> Result<Self, CryptoError> {
        let mut fields = value.split_whitespace();
        let tag = fields.next().ok_or(CryptoError::Malformed)?;
        // RFC 4568, 9.1: one to nine digits.
        let tag = number(tag).filter(|_| tag.len() <= 9).ok_or(CryptoError::Malformed)? as u32;
        let name = fields.next().ok_or(CryptoError::Malformed)?;
        let named = |known: &str| known.eq_ignore_ascii_case(name);
        let profile = SrtpProfile::ALL.into_iter().find(|profile| named(profile.sdes_name()));
        let unsupported = || UNSUPPORTED_SUITES.into_iter().find(|known| named(known));
        let profile = profile.ok_or_else(|| CryptoError::Suite(unsupported()))?;
        let (key, mut terms) = parse_key(profile, fields.next().ok_or(CryptoError::Malformed)?)?;
        fields.try_for_each(|parameter| take_session_parameter(&mut terms, parameter))?;
        Ok(Self { tag, profile, key: key.with_terms(terms) })
    }
}

/// `inline:<key and salt>[|lifetime][|MKI:length]` (RFC 4568, 6.1).
fn parse_key(profile: SrtpProfile, text: &str) -> Result<(MasterKey, KeyTerms), CryptoError> {
    // A sender may change between several keys as it likes; which one it begins with, nothing says.
    if text.contains(';') {
        return Err(CryptoError::SeveralKeys);
    }
    let (method, info) = text.split_once(':').ok_or(CryptoError::Malformed)?;
    if !method.eq_ignore_ascii_case("inline") {
        return Err(CryptoError::Malformed);
    }
    let mut parts = info.split('|');
    let need = profile.master_bytes();
    let mut bytes = [0; MasterKey::LONGEST];
    let room = bytes.get_mut(..need).ok_or(CryptoError::Key { need })?;
    let read = base64::read(parts.next().unwrap_or_default(), room);
    let key = read.and_then(|()| MasterKey::of(profile, room).ok());
    bytes.zeroize();
    let key = key.ok_or(CryptoError::Key { need })?;
    let mut terms = KeyTerms::default();
    let (mut lifetime, mut mki) = (false, false);
    for part in parts {
        match part.split_once(':') {
            Some((value, bytes)) if !mki => {
                mki = true;
                terms.mki = Some(parse_mki(value, bytes).ok_or(CryptoError::Mki)?);
            }
            None if !lifetime && !mki => {
                lifetime = true;
                terms.lifetime_packets = parse_lifetime(part).ok_or(CryptoError::Malformed)?;
            }
            _ => return Err(CryptoError::Malformed),
        }
    }
    Ok((key, terms))
}

/// A decimal number of digits alone.
fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// A number of packets, or a power of two; not zero. A value above what SRTP allows counts as what it allows.
fn parse_lifetime(text: &str) -> Option<u64> {
    let most = KeyTerms::default().lifetime_packets;
    let packets = match text.strip_prefix("2^") {
        Some(exponent) => 1_u64.checked_shl(number(exponent)?.min(64) as u32).unwrap_or(most),
        None => number(text)?,
    };
    (packets > 0).then_some(packets.min(most))
}

fn parse_mki(value: &str, bytes: &str) -> Option<Mki> {
    Mki::new(number(value)?, u8::try_from(number(bytes)?).ok()?)
}

/// RFC 4568, 6.3: an unknown parameter makes the line unusable, unless it begins with `-`. Whether unencrypted packets
/// are acceptable is decided by the caller.
fn take_session_parameter(terms: &mut KeyTerms, text: &str) -> Result<(), CryptoError> {
    if text.starts_with('-') {
        return Ok(());
    }
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    let known = PARAMETERS.into_iter().find(|known| known.eq_ignore_ascii_case(name));
    match (known, value) {
        // A hint on the window of replay protection, nothing to obey (RFC 4568, 6.3.6).
        (Some("WSH"), Some(_)) => {}
        (Some("UNENCRYPTED_SRTP"), None) => terms.clear_rtp = true,
        (Some("UNENCRYPTED_SRTCP"), None) => terms.clear_rtcp = true,
        (Some("WSH" | "UNENCRYPTED_SRTP" | "UNENCRYPTED_SRTCP"), _) => return Err(CryptoError::Malformed),
        // The default, and nothing to do with us, who agree on no stream of forward error correction (6.3.4).
        (Some("FEC_ORDER"), Some(order)) if order.eq_ignore_ascii_case("FEC_SRTP") => {}
        // Whoever could change a packet could move the roll-over counter too (UNAUTHENTICATED_SRTP); session keys are
        // derived once here (KDR).
        (Some(name), _) => return Err(CryptoError::SessionParameter(name)),
        (None, _) => return Err(CryptoError::SessionParameter("an unknown one")),
    }
    Ok(())
}

/// Session parameters by name (RFC 4568, 6.3).
const PARAMETERS: [&str; 7] =
    ["WSH", "UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "FEC_ORDER", "FEC_KEY", "UNAUTHENTICATED_SRTP", "KDR"];

/// Suites that are met in the field and named in the error (RFC 4568, 6.2.3; RFC 6188; RFC 5669).
const UNSUPPORTED_SUITES: [&str; 6] = [
    "F8_128_HMAC_SHA1_80",
    "AES_192_CM_HMAC_SHA1_80",
    "AES_192_CM_HMAC_SHA1_32",
    "SEED_CTR_128_HMAC_SHA1_80",
    "SEED_128_CCM_80",
    "SEED_128_GCM_96",
];

/// Why an `a=crypto` line cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CryptoError {
    /// The line does not have the form of RFC 4568, 9.1.
    Malformed,
    /// The crypto suite is not supported here; the name is `None` if it is not a registered one.
    Suite(Option<&'static str>),
    /// The key is not base64, or not of as many bytes as the suite asks for.
    Key {
        /// Bytes of key and salt that the suite asks for.
        need: usize,
    },
    /// The length of the master key identifier is not 1 to 128 bytes, or its value does not fit into that length or
    /// into 64 bits.
    Mki,
    /// The line has more than one key.
    SeveralKeys,
    /// The session parameter with this name weakens the protection or is not supported.
    SessionParameter(&'static str),
}

impl fmt::Display for CryptoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the a=crypto line is malformed"),
            Self::Suite(Some(name)) => write!(f, "the crypto suite {name} is not supported"),
            Self::Suite(None) => f.write_str("the crypto suite is unknown"),
            Self::Key { need } => write!(f, "the key is not base64 of {need} bytes"),
            Self::Mki => f.write_str("the master key identifier (MKI) is malformed"),
            Self::SeveralKeys => f.write_str("several keys in one a=crypto line are not supported"),
            Self::SessionParameter(name) => write!(f, "the session parameter is not accepted: {name}"),
        }
    }
}

impl core::error::Error for CryptoError {}
