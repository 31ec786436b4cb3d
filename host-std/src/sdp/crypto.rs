//! Security descriptions, `a=crypto` (RFC 4568): the line's syntax, and what of it this engine can honour.
//!
//! Each side's key protects what that side *sends*. Key text never reaches an error, `Debug` or a log.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dsp_core::guard::srtp::{MasterKey, SrtpProfile};
use zeroize::Zeroizing;

/// The crypto suites of RFC 4568, 6.2 that this engine speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CryptoSuite {
    /// AES-128 in counter mode, authentication tags of 80 bits.
    AesCm128HmacSha1_80,
    /// AES-128 in counter mode, authentication tags of 32 bits in SRTP (and of 80 bits in SRTCP).
    AesCm128HmacSha1_32,
}

impl CryptoSuite {
    /// Both, the longer tag first.
    const ALL: [Self; 2] = [Self::AesCm128HmacSha1_80, Self::AesCm128HmacSha1_32];

    /// The name in `a=crypto`.
    pub const fn name(self) -> &'static str {
        self.profile().sdes_name()
    }

    /// Bytes of the tag behind each RTP packet (RFC 4568, 6.2).
    pub(crate) const fn tag_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 => 10,
            Self::AesCm128HmacSha1_32 => 4,
        }
    }

    /// What it is to SRTP.
    pub const fn profile(self) -> SrtpProfile {
        match self {
            Self::AesCm128HmacSha1_80 => SrtpProfile::AesCm128HmacSha1_80,
            Self::AesCm128HmacSha1_32 => SrtpProfile::AesCm128HmacSha1_32,
        }
    }
}

/// One `a=crypto` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CryptoLine {
    /// The number the answer picks the line by.
    pub tag: u32,
    /// The crypto suite.
    pub suite: CryptoSuite,
    /// What the side that wrote the line protects its packets with.
    pub key: MasterKey,
}

impl CryptoLine {
    /// A line with a fresh key from the operating system.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate(tag: u32, suite: CryptoSuite) -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; MasterKey::LEN]);
        getrandom::fill(&mut *key)?;
        Ok(Self { tag, suite, key: MasterKey::from_bytes(&key) })
    }

    /// Lines for both suites with fresh keys, the longer tag first.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate_both() -> Result<Vec<Self>, getrandom::Error> {
        Ok(vec![
            Self::generate(1, CryptoSuite::AesCm128HmacSha1_80)?,
            Self::generate(2, CryptoSuite::AesCm128HmacSha1_32)?,
        ])
    }

    /// Reads the value of `a=crypto`: `1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^31 WSH=64`.
    pub(super) fn parse(value: &str) -> Result<Self, CryptoError> {
        let mut fields = value.split_whitespace();
        let tag = fields.next().ok_or(CryptoError::Malformed)?;
        // RFC 4568, 9.1: one to nine digits.
        if tag.len() > 9 || !tag.bytes().all(|b| b.is_ascii_digit()) {
            return Err(CryptoError::Malformed);
        }
        let tag = tag.parse().map_err(|_| CryptoError::Malformed)?;
        let name = fields.next().ok_or(CryptoError::Malformed)?.to_ascii_uppercase();
        let suite = CryptoSuite::ALL.into_iter().find(|suite| suite.name() == name);
        let unsupported = || UNSUPPORTED_SUITES.into_iter().find(|known| *known == name);
        let suite = suite.ok_or_else(|| CryptoError::Suite(unsupported()))?;
        let key = parse_key(fields.next().ok_or(CryptoError::Malformed)?)?;
        fields.try_for_each(check_session_parameter)?;
        Ok(Self { tag, suite, key })
    }

    /// The value of `a=crypto`. It holds the key: for the wire, not for a log.
    pub(super) fn to_attribute(&self) -> String {
        let key = Zeroizing::new(BASE64_STANDARD.encode(self.key.as_bytes()));
        format!("{} {} inline:{}", self.tag, self.suite.name(), *key)
    }
}

/// `inline:<key and salt>[|lifetime][|MKI:length]` (RFC 4568, 6.1).
fn parse_key(text: &str) -> Result<MasterKey, CryptoError> {
    // Several keys need an MKI to tell them apart.
    if text.contains(';') {
        return Err(CryptoError::Mki);
    }
    let (method, info) = text.split_once(':').ok_or(CryptoError::Malformed)?;
    if !method.eq_ignore_ascii_case("inline") {
        return Err(CryptoError::Malformed);
    }
    let mut parts = info.split('|');
    let decoded = BASE64_STANDARD.decode(parts.next().unwrap_or_default()).map_err(|_| CryptoError::Key)?;
    let decoded = Zeroizing::new(decoded);
    let key: &[u8; MasterKey::LEN] = decoded[..].try_into().map_err(|_| CryptoError::Key)?;
    for part in parts {
        if part.contains(':') {
            return Err(CryptoError::Mki);
        }
        // The lifetime is a promise of the sender to change the key in time, which a re-offer does. What counts here
        // is that it's a number.
        let digits = part.strip_prefix("2^").unwrap_or(part);
        if digits.is_empty() || digits.len() > 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(CryptoError::Malformed);
        }
    }
    Ok(MasterKey::from_bytes(key))
}

/// RFC 4568, 6.3: a parameter that isn't understood forbids the line, unless it begins with `-`.
fn check_session_parameter(text: &str) -> Result<(), CryptoError> {
    if text.starts_with('-') {
        return Ok(());
    }
    let name = text.split_once('=').map_or(text, |(name, _)| name).to_ascii_uppercase();
    match name.as_str() {
        // A hint on the window of replay protection, nothing to obey (RFC 4568, 6.3.6).
        "WSH" => Ok(()),
        "UNENCRYPTED_SRTP" => Err(CryptoError::SessionParameter("UNENCRYPTED_SRTP")),
        "UNENCRYPTED_SRTCP" => Err(CryptoError::SessionParameter("UNENCRYPTED_SRTCP")),
        "UNAUTHENTICATED_SRTP" => Err(CryptoError::SessionParameter("UNAUTHENTICATED_SRTP")),
        "KDR" => Err(CryptoError::SessionParameter("KDR")),
        "FEC_ORDER" => Err(CryptoError::SessionParameter("FEC_ORDER")),
        "FEC_KEY" => Err(CryptoError::SessionParameter("FEC_KEY")),
        _ => Err(CryptoError::SessionParameter("an unknown one")),
    }
}

/// Suites that are met in the field and named in the error (RFC 4568, 6.2.3; RFC 6188; RFC 7714; RFC 5669).
const UNSUPPORTED_SUITES: [&str; 10] = [
    "F8_128_HMAC_SHA1_80",
    "AES_192_CM_HMAC_SHA1_80",
    "AES_192_CM_HMAC_SHA1_32",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AEAD_AES_128_GCM",
    "AEAD_AES_256_GCM",
    "SEED_CTR_128_HMAC_SHA1_80",
    "SEED_128_CCM_80",
    "SEED_128_GCM_96",
];

/// Why an `a=crypto` line can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CryptoError {
    /// There is no such line.
    Missing,
    /// The line doesn't have the form of RFC 4568, 9.1.
    Malformed,
    /// Another crypto suite; `None` if it isn't a registered one.
    Suite(Option<&'static str>),
    /// The suite is known, but we have no key for it.
    SuiteNotOurs(CryptoSuite),
    /// The key isn't base64 of 30 bytes.
    Key,
    /// A master key identifier would lie in each packet.
    Mki,
    /// A session parameter that weakens the protection or isn't supported.
    SessionParameter(&'static str),
    /// The answer's tag is none of the offer's, or names another suite than the offer did.
    Tag(u32),
    /// The other side sent our own key back: two senders would share one key stream.
    SameKey,
}

impl fmt::Display for CryptoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no a=crypto line"),
            Self::Malformed => f.write_str("the a=crypto line is malformed"),
            Self::Suite(Some(name)) => write!(f, "the crypto suite {name} is not supported"),
            Self::Suite(None) => f.write_str("the crypto suite is unknown"),
            Self::SuiteNotOurs(suite) => write!(f, "the crypto suite {} is not enabled here", suite.name()),
            Self::Key => f.write_str("the key is not base64 of 30 bytes"),
            Self::Mki => f.write_str("master key identifiers (MKI) are not supported"),
            Self::SessionParameter(name) => write!(f, "the session parameter is not accepted: {name}"),
            Self::Tag(tag) => write!(f, "the crypto line {tag} is not one that was offered"),
            Self::SameKey => f.write_str("the other side uses our own key"),
        }
    }
}

impl std::error::Error for CryptoError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the first example in RFC 4568, 4.2.
    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    #[test]
    fn lines_of_the_field() {
        for (line, tag, suite) in [
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"), 1, CryptoSuite::AesCm128HmacSha1_80),
            (format!("2 AES_CM_128_HMAC_SHA1_32 inline:{KEY}|2^31"), 2, CryptoSuite::AesCm128HmacSha1_32),
            (format!("12  AES_CM_128_HMAC_SHA1_80  inline:{KEY}|1048576 WSH=64"), 12, CryptoSuite::AesCm128HmacSha1_80),
            (
                format!("999999999 aes_cm_128_hmac_sha1_80 INLINE:{KEY} -FOO=1"),
                999_999_999,
                CryptoSuite::AesCm128HmacSha1_80,
            ),
        ] {
            let parsed = CryptoLine::parse(&line).unwrap();
            assert_eq!((parsed.tag, parsed.suite), (tag, suite));
            assert_eq!(&parsed.key.as_bytes()[..8], b"YS___sem");
        }
    }

    #[test]
    fn refusals() {
        use CryptoError::*;
        let long = BASE64_STANDARD.encode([0; 46]);
        for (line, error) in [
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4"), Mki),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:32"), Mki),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY};inline:{KEY}"), Mki),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP"), SessionParameter("UNENCRYPTED_SRTP")),
            (
                format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTCP"),
                SessionParameter("UNENCRYPTED_SRTCP"),
            ),
            (
                format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNAUTHENTICATED_SRTP"),
                SessionParameter("UNAUTHENTICATED_SRTP"),
            ),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} KDR=1"), SessionParameter("KDR")),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} FOO"), SessionParameter("an unknown one")),
            (format!("1 AES_256_CM_HMAC_SHA1_80 inline:{long}"), Suite(Some("AES_256_CM_HMAC_SHA1_80"))),
            (format!("1 {KEY}"), Suite(None)),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{long}"), Key),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:!!!".into(), Key),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:".into(), Key),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|forever"), Malformed),
            (format!("1 AES_CM_128_HMAC_SHA1_80 uri:{KEY}"), Malformed),
            (format!("0000000001 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"), Malformed),
            (format!("-1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"), Malformed),
            ("1 AES_CM_128_HMAC_SHA1_80".into(), Malformed),
            ("1".into(), Malformed),
            (String::new(), Malformed),
        ] {
            let refused = CryptoLine::parse(&line).unwrap_err();
            assert_eq!(refused, error, "{line}");
            assert!(!format!("{refused} {refused:?}").contains(KEY), "{line}");
        }
    }

    #[test]
    fn keys_are_fresh_and_stay_out_of_debug() {
        let lines = CryptoLine::generate_both().unwrap();
        assert_ne!(lines[0].key, lines[1].key);
        assert_eq!(CryptoLine::parse(&lines[0].to_attribute()).unwrap(), lines[0]);
        let shown = format!("{:?}", CryptoLine { key: MasterKey::from_bytes(&[0xab; 30]), ..lines[0].clone() });
        assert!(shown.contains("MasterKey(..)") && !shown.contains("171") && !shown.contains("ab, ab"), "{shown}");
    }
}
