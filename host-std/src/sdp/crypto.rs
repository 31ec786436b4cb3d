//! Security descriptions, `a=crypto` (RFC 4568): lines with keys of our own, and why one of theirs can't be used. Lines are read by the
//! core's [`Crypto`], as phones do.
//!
//! Each side's key protects what that side *sends*. Key text never reaches an error, `Debug` or a log.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dsp_core::guard::srtp::{KeyTerms, MasterKey, Mki, SrtpProfile};
use dsp_core::sdp::Crypto;
use zeroize::Zeroizing;

/// The crypto suites that this engine speaks: RFC 4568, 6.2, RFC 6188, 4 and RFC 7714, 14.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CryptoSuite {
    /// AES-128 in counter mode, authentication tags of 80 bits.
    AesCm128HmacSha1_80,
    /// AES-128 in counter mode, authentication tags of 32 bits in SRTP (and of 80 bits in SRTCP).
    AesCm128HmacSha1_32,
    /// AES-256 in counter mode, authentication tags of 80 bits.
    Aes256CmHmacSha1_80,
    /// AES-256 in counter mode, authentication tags of 32 bits in SRTP (and of 80 bits in SRTCP).
    Aes256CmHmacSha1_32,
    /// AES-128 in Galois/counter mode, authentication tags of 128 bits.
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode, authentication tags of 128 bits.
    AeadAes256Gcm,
}

impl CryptoSuite {
    /// All of them: those that every phone has, then the others.
    pub const ALL: [Self; 6] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::AeadAes256Gcm,
        Self::AeadAes128Gcm,
        Self::Aes256CmHmacSha1_80,
        Self::Aes256CmHmacSha1_32,
    ];

    /// Returns the name in `a=crypto`.
    pub const fn name(self) -> &'static str {
        self.profile().sdes_name()
    }

    /// Returns the suite of this name, in whatever letters.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))
    }

    /// Returns the suite of this profile; every profile has one.
    pub fn of(profile: SrtpProfile) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.profile() == profile)
    }

    /// Returns the SRTP profile of this suite.
    pub const fn profile(self) -> SrtpProfile {
        match self {
            Self::AesCm128HmacSha1_80 => SrtpProfile::AesCm128HmacSha1_80,
            Self::AesCm128HmacSha1_32 => SrtpProfile::AesCm128HmacSha1_32,
            Self::Aes256CmHmacSha1_80 => SrtpProfile::Aes256CmHmacSha1_80,
            Self::Aes256CmHmacSha1_32 => SrtpProfile::Aes256CmHmacSha1_32,
            Self::AeadAes128Gcm => SrtpProfile::AeadAes128Gcm,
            Self::AeadAes256Gcm => SrtpProfile::AeadAes256Gcm,
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
    /// The key that protects the packets of the side that wrote the line.
    pub key: MasterKey,
}

impl CryptoLine {
    /// Creates a line with a fresh key from the operating system.
    ///
    /// # Errors
    /// The operating system's error if it has no random numbers.
    #[expect(clippy::missing_panics_doc, reason = "it can't: the key has the length of its own profile")]
    pub fn generate(tag: u32, suite: CryptoSuite) -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; MasterKey::LONGEST]);
        let key = &mut key[..suite.profile().master_bytes()];
        getrandom::fill(key)?;
        let key = MasterKey::of(suite.profile(), key).expect("as long as the profile has it");
        Ok(Self { tag, suite, key })
    }

    /// Lines for the two suites that every phone has, with fresh keys, the longer tag first.
    ///
    /// # Errors
    /// The operating system's error if it has no random numbers.
    pub fn generate_both() -> Result<Vec<Self>, getrandom::Error> {
        Ok(vec![
            Self::generate(1, CryptoSuite::AesCm128HmacSha1_80)?,
            Self::generate(2, CryptoSuite::AesCm128HmacSha1_32)?,
        ])
    }

    /// Bytes that protection adds to each RTP packet: the tag and the identifier of the key.
    pub(crate) fn growth_bytes(&self) -> usize {
        self.suite.profile().rtp_tag_bytes() + self.key.terms().mki.map_or(0, Mki::len_bytes)
    }

    /// Reads the value of `a=crypto`: `1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^31|1:4 WSH=64`.
    pub(super) fn parse(value: &str) -> Result<Self, CryptoError> {
        let Crypto { tag, profile, key } = Crypto::parse(value)?;
        let suite = CryptoSuite::of(profile).ok_or(CryptoError::Suite(None))?;
        Ok(Self { tag, suite, key })
    }

    /// Returns the value of `a=crypto`. It holds the key: for the wire, not for a log.
    pub(super) fn to_attribute(&self) -> String {
        let key = Zeroizing::new(BASE64_STANDARD.encode(self.key.as_bytes()));
        let terms = self.key.terms();
        let mut line = format!("{} {} inline:{}", self.tag, self.suite.name(), *key);
        let packets = terms.lifetime_packets;
        if packets.is_power_of_two() && packets < KeyTerms::default().lifetime_packets {
            line += &format!("|2^{}", packets.trailing_zeros());
        } else if packets < KeyTerms::default().lifetime_packets {
            line += &format!("|{}", packets.max(1));
        }
        if let Some(mki) = terms.mki {
            line += &format!("|{}:{}", mki.value(), mki.len_bytes());
        }
        line += if terms.clear_rtp { " UNENCRYPTED_SRTP" } else { "" };
        line += if terms.clear_rtcp { " UNENCRYPTED_SRTCP" } else { "" };
        line
    }
}

/// The reason why an `a=crypto` line can't be used.
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
    /// The key isn't base64 of as many bytes as the suite needs.
    Key {
        /// Bytes of key and salt.
        need: usize,
    },
    /// The master key identifier has no 1 to 128 bytes, or does not fit there, or not in 64 bits.
    Mki,
    /// The line has more keys than one.
    SeveralKeys,
    /// A session parameter that weakens the protection or isn't supported. In an answer also one that was not offered, or
    /// that was and is missing.
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
            Self::Key { need } => write!(f, "the key is not base64 of {need} bytes"),
            Self::Mki => f.write_str("the master key identifier (MKI) is malformed"),
            Self::SeveralKeys => f.write_str("several keys in one a=crypto line are not supported"),
            Self::SessionParameter(name) => write!(f, "the session parameter is not accepted: {name}"),
            Self::Tag(tag) => write!(f, "the crypto line {tag} is not one that was offered"),
            Self::SameKey => f.write_str("the other side uses our own key"),
        }
    }
}

impl std::error::Error for CryptoError {}

impl From<dsp_core::sdp::CryptoError> for CryptoError {
    fn from(error: dsp_core::sdp::CryptoError) -> Self {
        use dsp_core::sdp::CryptoError as Line;
        match error {
            Line::Suite(name) => Self::Suite(name),
            Line::Key { need } => Self::Key { need },
            Line::Mki => Self::Mki,
            Line::SeveralKeys => Self::SeveralKeys,
            Line::SessionParameter(name) => Self::SessionParameter(name),
            _ => Self::Malformed,
        }
    }
}

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
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:129"), Mki),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:0"), Mki),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|256:1"), Mki),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|+1:4"), Mki),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:4|1:4"), Malformed),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:4|2^20"), Malformed),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|2^20"), Malformed),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|0"), Malformed),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4;inline:{KEY}|2^20|2:4"), SeveralKeys),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP=1"), Malformed),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} FEC_ORDER=SRTP_FEC"), SessionParameter("FEC_ORDER")),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} FEC_KEY=inline:{KEY}"), SessionParameter("FEC_KEY")),
            (
                format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNAUTHENTICATED_SRTP"),
                SessionParameter("UNAUTHENTICATED_SRTP"),
            ),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} KDR=1"), SessionParameter("KDR")),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} FOO"), SessionParameter("an unknown one")),
            (format!("1 AES_192_CM_HMAC_SHA1_80 inline:{long}"), Suite(Some("AES_192_CM_HMAC_SHA1_80"))),
            (format!("1 AES_256_CM_HMAC_SHA1_80 inline:{KEY}"), Key { need: 46 }),
            (format!("1 AEAD_AES_256_GCM inline:{KEY}"), Key { need: 44 }),
            (format!("1 {KEY}"), Suite(None)),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{long}"), Key { need: 30 }),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:!!!".into(), Key { need: 30 }),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:".into(), Key { need: 30 }),
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
    fn lines_are_read_as_they_are_written() {
        for (n, suite) in CryptoSuite::ALL.into_iter().enumerate() {
            let plain = CryptoLine::generate(n as u32, suite).unwrap();
            assert!(!plain.to_attribute().contains('|'));
            for (lifetime_packets, mki, clear_rtp, clear_rtcp) in [
                (1 << 48, None, false, true),
                (1 << 20, Mki::new(1, 4), false, false),
                (1_000, None, true, false),
                (1, Mki::new(u64::MAX, 128), true, true),
            ] {
                let terms = KeyTerms { mki, lifetime_packets, clear_rtp, clear_rtcp };
                let line = CryptoLine { key: plain.key.clone().with_terms(terms), ..plain.clone() };
                let read = CryptoLine::parse(&line.to_attribute()).unwrap();
                assert_eq!(read, line);
                assert_eq!(read.key.terms(), &terms, "{}", line.suite.name());
            }
        }
        let read = |rest: &str| CryptoLine::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}{rest}")).unwrap();
        assert_eq!(read("|2^64").key.terms().lifetime_packets, 1 << 48);
        assert_eq!(read("|2^99").key.terms().lifetime_packets, 1 << 48);
        assert_eq!(read(" FEC_ORDER=FEC_SRTP WSH=128").key.terms(), &KeyTerms::default());
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
