//! Protection profiles: encryption and authentication, under their names in SDP and DTLS.
//! | `AEAD_AES_256_GCM` | 7714 | 32, 12, 16, 16 | 0x0008 |

use super::keys::MasterKey;

/// A protection profile: how packets are encrypted and authenticated, under its names in SDP and DTLS.
///
/// | profile | RFC | key, salt, RTP tag, SRTCP tag (bytes) | DTLS |
/// |---|---|---|---|
/// | `AES_CM_128_HMAC_SHA1_80` | 3711, 4568 | 16, 14, 10, 10 | 0x0001 |
/// | `AES_CM_128_HMAC_SHA1_32` | 3711, 4568 | 16, 14, 4, 10 | 0x0002 |
/// | `AES_256_CM_HMAC_SHA1_80` | 6188 | 32, 14, 10, 10 | none |
/// | `AES_256_CM_HMAC_SHA1_32` | 6188 | 32, 14, 4, 10 | none |
/// | `AEAD_AES_128_GCM` | 7714 | 16, 12, 16, 16 | 0x0007 |
/// | `AEAD_AES_256_GCM` | 7714 | 32, 12, 16, 16 | 0x0008 |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SrtpProfile {
    /// AES-128, 80-bit tags: `AES_CM_128_HMAC_SHA1_80` (RFC 4568, 6.2.1), `SRTP_AES128_CM_HMAC_SHA1_80` (RFC 5764, 4.1.2).
    #[default]
    AesCm128HmacSha1_80,
    /// AES-128, 32-bit RTP tags: `AES_CM_128_HMAC_SHA1_32` (RFC 4568, 6.2.2), `SRTP_AES128_CM_HMAC_SHA1_32` (RFC 5764,
    /// 4.1.2).
    AesCm128HmacSha1_32,
    /// AES-256, 80-bit tags: `AES_256_CM_HMAC_SHA1_80` (RFC 6188, 4).
    Aes256CmHmacSha1_80,
    /// AES-256, 32-bit RTP tags: `AES_256_CM_HMAC_SHA1_32` (RFC 6188, 4).
    Aes256CmHmacSha1_32,
    /// AES-128 in Galois/counter mode: `AEAD_AES_128_GCM` (RFC 7714, 14.1), `SRTP_AEAD_AES_128_GCM` (14.2).
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode: `AEAD_AES_256_GCM` (RFC 7714, 14.1), `SRTP_AEAD_AES_256_GCM` (14.2).
    AeadAes256Gcm,
}

impl SrtpProfile {
    /// All profiles.
    pub const ALL: [Self; 6] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::Aes256CmHmacSha1_80,
        Self::Aes256CmHmacSha1_32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];

    /// Name of the crypto suite in an SDP crypto attribute (RFC 4568, 6.2; RFC 6188, 4; RFC 7714, 14.1).
    pub const fn sdes_name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::Aes256CmHmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::Aes256CmHmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// The profile of an SDP crypto suite; `None` if it is not supported here.
    pub fn from_sdes_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.sdes_name() == name)
    }

    /// The `SRTPProtectionProfile` in the DTLS extension `use_srtp` (RFC 5764, 4.1.2; RFC 7714, 14.2); `None` for
    /// profiles that DTLS does not have.
    pub const fn dtls_id(self) -> Option<u16> {
        match self {
            Self::AesCm128HmacSha1_80 => Some(1),
            Self::AesCm128HmacSha1_32 => Some(2),
            Self::AeadAes128Gcm => Some(7),
            Self::AeadAes256Gcm => Some(8),
            Self::Aes256CmHmacSha1_80 | Self::Aes256CmHmacSha1_32 => None,
        }
    }

    /// The profile of a DTLS `SRTPProtectionProfile`; `None` if it is not supported here.
    pub fn from_dtls_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.dtls_id() == Some(id))
    }

    /// Bytes of a master key, without its salt.
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 | Self::AeadAes128Gcm => 16,
            Self::Aes256CmHmacSha1_80 | Self::Aes256CmHmacSha1_32 | Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of a master salt.
    pub const fn salt_bytes(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    /// Bytes of key and salt together: what `inline:` of an SDP crypto attribute holds (RFC 4568, 6.1).
    pub const fn master_bytes(self) -> usize {
        self.key_bytes() + self.salt_bytes()
    }

    /// Bytes that DTLS exports for both sides together (RFC 5764, 4.2).
    pub const fn exported_bytes(self) -> usize {
        2 * self.master_bytes()
    }

    /// The master keys of a DTLS association, that of the client and that of the server, each for what that side
    /// sends. `exported` is the output of the exporter under the label `EXTRACTOR-dtls_srtp`: the client's key, the
    /// server's key, the client's salt, the server's salt (RFC 5764, 4.2). Returns `None` unless it has
    /// [`exported_bytes`](Self::exported_bytes).
    pub fn keys_of_dtls(self, exported: &[u8]) -> Option<(MasterKey, MasterKey)> {
        if exported.len() != self.exported_bytes() {
            return None;
        }
        let (keys, salts) = exported.split_at(2 * self.key_bytes());
        let (client_key, server_key) = keys.split_at(self.key_bytes());
        let (client_salt, server_salt) = salts.split_at(self.salt_bytes());
        Some((MasterKey::joined(client_key, client_salt)?, MasterKey::joined(server_key, server_salt)?))
    }

    /// Bytes of the tag in an RTP packet.
    pub const fn rtp_tag_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::Aes256CmHmacSha1_80 => TAG_80,
            Self::AesCm128HmacSha1_32 | Self::Aes256CmHmacSha1_32 => TAG_32,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => TAG_GCM,
        }
    }

    /// Bytes of the tag in an RTCP packet.
    pub const fn rtcp_tag_bytes(self) -> usize {
        if self.is_aead() { TAG_GCM } else { TAG_80 }
    }

    /// Whether one algorithm both encrypts and authenticates (RFC 7714). The tag then lies before the SRTCP index and
    /// the MKI.
    pub const fn is_aead(self) -> bool {
        matches!(self, Self::AeadAes128Gcm | Self::AeadAes256Gcm)
    }
}

/// Bytes of HMAC-SHA1 cut to 80 bits.
const TAG_80: usize = 10;
/// Bytes of the short RTP tag.
const TAG_32: usize = 4;
/// Bytes of GCM's tag (RFC 7714, 13.2).
pub(super) const TAG_GCM: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn names_and_numbers_lead_back() {
        for profile in SrtpProfile::ALL {
            assert_eq!(SrtpProfile::from_sdes_name(profile.sdes_name()), Some(profile));
            if let Some(id) = profile.dtls_id() {
                assert_eq!(SrtpProfile::from_dtls_id(id), Some(profile));
            }
        }
        assert_eq!(SrtpProfile::from_sdes_name("F8_128_HMAC_SHA1_80"), None);
        for id in [0, 3, 4, 5, 6, 9] {
            assert_eq!(SrtpProfile::from_dtls_id(id), None);
        }
    }

    #[test]
    fn what_dtls_exports_is_cut_as_rfc_5764_has_it() {
        for profile in SrtpProfile::ALL {
            let (key, salt) = (profile.key_bytes(), profile.salt_bytes());
            let exported: Vec<u8> = (0..profile.exported_bytes() as u8).collect();
            let (client, server) = profile.keys_of_dtls(&exported).unwrap();
            let expected = |key_at: usize, salt_at: usize| {
                [&exported[key_at..key_at + key], &exported[salt_at..salt_at + salt]].concat()
            };
            assert_eq!(client.as_bytes(), expected(0, 2 * key));
            assert_eq!(server.as_bytes(), expected(key, 2 * key + salt));
            assert!(client.fits(profile) && server.fits(profile));
            assert!(profile.keys_of_dtls(&exported[1..]).is_none());
        }
    }
}
