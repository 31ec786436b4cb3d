//! The part of a description about DTLS-SRTP: certificates by their fingerprints (RFC 8122), the side that begins the handshake
//! (`a=setup`, RFC 4145 and RFC 5763, 5), and the association (`a=tls-id`, RFC 8842).

use std::fmt;

use super::error::{DescriptionKind, SdpError};
use super::read::{Audio, Profile};
use super::{LocalMedia, SrtpPolicy};

/// The most fingerprints of one side that are read.
pub(super) const MAX_FINGERPRINTS: usize = 8;

/// A hash function over a certificate in DER form. SHA-1 and MD5 are no longer safe, and not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FingerprintHash {
    /// SHA-256, of 32 bytes, which nearly everybody uses.
    Sha256,
    /// SHA-384, of 48 bytes.
    Sha384,
    /// SHA-512, of 64 bytes.
    Sha512,
}

impl FingerprintHash {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// Returns the name in `a=fingerprint` (RFC 8122, 5).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// Bytes of the hash.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// The hash of a certificate, by which the other side knows it (RFC 8122).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    hash: FingerprintHash,
    value: Vec<u8>,
}

impl Fingerprint {
    /// `value`: the hash of the certificate's DER form; `None` if it has not as many bytes as that hash.
    pub fn new(hash: FingerprintHash, value: &[u8]) -> Option<Self> {
        (value.len() == hash.bytes()).then(|| Self { hash, value: value.to_vec() })
    }

    /// Returns the hash function.
    pub fn hash(&self) -> FingerprintHash {
        self.hash
    }

    /// Returns the hash.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// Reads `sha-256 4A:AD:…`; `None` for other hash functions, or where it's not a hash of that length.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (name, digits) = text.split_once(char::is_whitespace)?;
        let hash = FingerprintHash::ALL.into_iter().find(|hash| hash.name().eq_ignore_ascii_case(name))?;
        let digits = digits.trim();
        if digits.len() != hash.bytes() * 3 - 1 {
            return None;
        }
        let bytes = digits.split(':').map(|pair| match pair.as_bytes() {
            [high, low] => Some((char::from(*high).to_digit(16)? << 4 | char::from(*low).to_digit(16)?) as u8),
            _ => None,
        });
        Self::new(hash, &bytes.collect::<Option<Vec<_>>>()?)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hash.name())?;
        for (at, byte) in self.value.iter().enumerate() {
            write!(f, "{}{byte:02X}", if at == 0 { ' ' } else { ':' })?;
        }
        Ok(())
    }
}

/// The side that begins the handshake, as one side states it (RFC 4145, 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetupAttribute {
    /// Either side may begin.
    ActPass,
    /// The side that wrote the attribute begins.
    Active,
    /// The other one.
    Passive,
    /// Neither side begins the handshake now.
    HoldConn,
}

impl SetupAttribute {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let named = [
            ("actpass", Self::ActPass),
            ("active", Self::Active),
            ("passive", Self::Passive),
            ("holdconn", Self::HoldConn),
        ];
        named.into_iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map(|(_, setup)| setup)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ActPass => "actpass",
            Self::Active => "active",
            Self::Passive => "passive",
            Self::HoldConn => "holdconn",
        }
    }

    const fn of(active: bool) -> Self {
        if active { Self::Active } else { Self::Passive }
    }
}

/// The DTLS part of our descriptions: [`LocalMedia::dtls`](super::LocalMedia::dtls).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalDtls {
    /// The fingerprint of our certificate.
    pub fingerprint: Fingerprint,
    /// Our name for the association: 20 to 255 letters, digits, `+`, `/`, `-` or `_`, with at least 120 random bits (RFC 8842,
    /// 4). Another name asks for another association.
    pub tls_id: String,
    /// Whether we began the handshake of the present association. `None` before there is one; an answer then says that we
    /// begin, as RFC 5763, 5 recommends.
    pub active: Option<bool>,
}

/// The DTLS association that both sides have agreed on (RFC 5763).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NegotiatedDtls {
    /// Whether we begin the handshake.
    pub active: bool,
    /// The fingerprints of the other side's certificate, of which one must match.
    pub fingerprints: Vec<Fingerprint>,
    /// The other side's name for the association, if it has one.
    pub tls_id: Option<String>,
    /// Our name for the association.
    pub own_tls_id: String,
}

/// The DTLS attributes that are written in a description of ours.
#[derive(Clone, Copy)]
pub(super) struct OurDtls<'a> {
    pub(super) local: &'a LocalDtls,
    pub(super) setup: SetupAttribute,
}

impl<'a> OurDtls<'a> {
    /// Returns the attributes for an offer: either side may begin (RFC 5763, 5; RFC 8842, 5.5 for later ones).
    pub(super) fn offered(local: &'a LocalMedia) -> Option<Self> {
        let dtls = local.dtls.as_ref().filter(|_| local.srtp != SrtpPolicy::Off)?;
        Some(Self { local: dtls, setup: SetupAttribute::ActPass })
    }

    /// Returns the attributes for an answer.
    pub(super) fn answered(local: &'a LocalMedia, agreed: &NegotiatedDtls) -> Option<Self> {
        Some(Self { local: local.dtls.as_ref()?, setup: SetupAttribute::of(agreed.active) })
    }
}

/// Returns whether the other side supports DTLS: it says so by its profile, or by a fingerprint together with another one.
pub(super) fn speaks_dtls(theirs: &Audio) -> bool {
    theirs.profile == Profile::Dtls || theirs.fingerprint
}

/// Returns the association for our answer to `theirs`.
pub(super) fn answer_dtls(local: &LocalMedia, theirs: &Audio) -> Result<NegotiatedDtls, SdpError> {
    let own = local.dtls.as_ref().ok_or(SdpError::Dtls(DescriptionKind::Offer))?;
    // Without the attribute the side is active (RFC 4145, 4).
    let active = match theirs.setup.unwrap_or(SetupAttribute::Active) {
        SetupAttribute::ActPass => own.active.unwrap_or(true),
        SetupAttribute::Active => false,
        SetupAttribute::Passive => true,
        SetupAttribute::HoldConn => {
            return Err(SdpError::Setup(DescriptionKind::Offer, SetupAttribute::HoldConn.name()));
        }
    };
    agreed(own, theirs, active, DescriptionKind::Offer)
}

/// Returns the association after `theirs` answered our offer.
pub(super) fn accept_dtls(local: &LocalMedia, theirs: &Audio) -> Result<NegotiatedDtls, SdpError> {
    let own = local.dtls.as_ref().ok_or(SdpError::Dtls(DescriptionKind::Answer))?;
    let active = match theirs.setup.unwrap_or(SetupAttribute::Active) {
        SetupAttribute::Active => false,
        SetupAttribute::Passive => true,
        // Neither would know who begins (RFC 5763, 5).
        other => return Err(SdpError::Setup(DescriptionKind::Answer, other.name())),
    };
    agreed(own, theirs, active, DescriptionKind::Answer)
}

fn agreed(own: &LocalDtls, theirs: &Audio, active: bool, kind: DescriptionKind) -> Result<NegotiatedDtls, SdpError> {
    if theirs.fingerprints.is_empty() {
        return Err(SdpError::Fingerprint(kind));
    }
    if theirs.fingerprints.contains(&own.fingerprint) {
        return Err(SdpError::OwnFingerprint(kind));
    }
    Ok(NegotiatedDtls {
        active,
        fingerprints: theirs.fingerprints.clone(),
        tls_id: theirs.tls_id.clone(),
        own_tls_id: own.tls_id.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "sha-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF";

    #[test]
    fn fingerprints_go_round_and_others_are_none() {
        let read = Fingerprint::parse(LINE).unwrap();
        assert_eq!((read.hash(), read.value().len(), read.value()[1]), (FingerprintHash::Sha256, 32, 0xad));
        assert_eq!(read.to_string(), LINE);
        assert_eq!(Fingerprint::parse(&LINE.to_ascii_lowercase()), Some(read));
        for wrong in ["", "sha-256", "sha-256 ", "sha-1 4A:AD", "sha-512 4A:AD", &LINE[..LINE.len() - 3]] {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Fingerprint::parse(&LINE.replace("AD", "+D")), None);
        assert_eq!(Fingerprint::parse(&LINE.replace(':', "-")), None);
    }

    #[test]
    fn roles() {
        assert_eq!(SetupAttribute::parse("ActPass"), Some(SetupAttribute::ActPass));
        assert_eq!(SetupAttribute::parse("both"), None);
    }
}
