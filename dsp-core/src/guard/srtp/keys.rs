//! Master keys and key derivation (RFC 3711, 4.3; RFC 6188, 3; RFC 7714, 11).
//!
//! Session keys are derived once, when the master key is set: the key derivation rate is zero, which is the default of
//! SDES and DTLS-SRTP.

use core::fmt;
use ctutils::CtEq;
use zeroize::Zeroize;

use super::cipher::Cipher;
use super::former::KeyError;
use super::profile::SrtpProfile;
use super::terms::KeyTerms;
use super::transform::Transform;

/// Labels of RFC 3711, 4.3.1 and 4.3.2.
const LABEL_RTP: [u8; 3] = [0, 1, 2];
const LABEL_RTCP: [u8; 3] = [3, 4, 5];

/// Labels that derive no session key: RFC 3711, 4.3.1 has 0 to 5, RFC 6904 6 and 7. One for each length of salt, since
/// the shorter one is padded with zeros.
const LABEL_ID: u8 = 0xff;
const LABEL_ID_AEAD: u8 = 0xfe;

/// An SRTP master key with its master salt (RFC 3711, 8.2) and the [terms](KeyTerms) of its use. It is overwritten
/// with zeros when dropped, and `Debug` does not print it. Two are equal if their key and salt are.
///
/// Make it from the `inline:` parameter of an SDP crypto attribute (`sdp::Crypto`), from a DTLS handshake
/// ([`SrtpProfile::keys_of_dtls`]), or from bytes of a secure random generator.
#[derive(Clone)]
pub struct MasterKey {
    /// Key and salt; zeros behind them.
    bytes: [u8; Self::LONGEST],
    key_bytes: u8,
    salt_bytes: u8,
    terms: KeyTerms,
}

impl MasterKey {
    /// Bytes of key and salt together with AES-128 in counter mode, as SDES carries them in base64 (RFC 4568, 6.1).
    pub const LEN: usize = 30;
    /// Bytes of the longest key and salt together: AES-256 in counter mode.
    pub const LONGEST: usize = 46;

    /// A master key from 16 bytes of key followed by 14 bytes of salt: what `inline:` of an SDP crypto attribute holds
    /// for AES-128 in counter mode. [`of`](Self::of) does it for every profile.
    pub const fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let mut all = [0; Self::LONGEST];
        all.split_at_mut(Self::LEN).0.copy_from_slice(bytes);
        let terms = KeyTerms::DEFAULT;
        Self { bytes: all, key_bytes: 16, salt_bytes: 14, terms }
    }

    /// A master key from 16 bytes of key and 14 bytes of salt.
    pub fn new(key: &[u8; 16], salt: &[u8; 14]) -> Self {
        let mut bytes = [0; Self::LEN];
        bytes[..16].copy_from_slice(key);
        bytes[16..].copy_from_slice(salt);
        let made = Self::from_bytes(&bytes);
        bytes.zeroize();
        made
    }

    /// A master key from key and salt, one after the other, in the lengths of `profile`
    /// ([`SrtpProfile::master_bytes`]).
    ///
    /// # Errors
    /// Returns [`KeyError::Length`] if `bytes` has another length than the profile asks for.
    pub fn of(profile: SrtpProfile, bytes: &[u8]) -> Result<Self, KeyError> {
        let need = profile.master_bytes();
        let length = KeyError::Length { need, got: bytes.len() };
        let (key, salt) = bytes.split_at_checked(profile.key_bytes()).ok_or(length)?;
        Self::joined(key, salt).filter(|key| key.fits(profile)).ok_or(length)
    }

    /// From key and salt that lie apart.
    pub(super) fn joined(key: &[u8], salt: &[u8]) -> Option<Self> {
        let mut made = Self {
            bytes: [0; Self::LONGEST],
            key_bytes: u8::try_from(key.len()).ok()?,
            salt_bytes: u8::try_from(salt.len()).ok()?,
            terms: KeyTerms::DEFAULT,
        };
        made.bytes.get_mut(..key.len())?.copy_from_slice(key);
        made.bytes.get_mut(key.len()..key.len() + salt.len())?.copy_from_slice(salt);
        Some(made)
    }

    /// The same key on other terms.
    pub fn with_terms(mut self, terms: KeyTerms) -> Self {
        self.terms = terms;
        self
    }

    /// The terms on which the key is used.
    pub const fn terms(&self) -> &KeyTerms {
        &self.terms
    }

    /// Whether key and salt have the lengths that `profile` asks for.
    pub const fn fits(&self, profile: SrtpProfile) -> bool {
        self.key_bytes as usize == profile.key_bytes() && self.salt_bytes as usize == profile.salt_bytes()
    }

    /// Key and salt, one after the other, as an SDP crypto attribute carries them in base64. They are secret and must
    /// not be logged.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.key_bytes) + usize::from(self.salt_bytes)]
    }

    /// Its name, for as long as a call lasts.
    pub(super) fn id(&self) -> KeyId {
        let mut id = [0; 8];
        self.derive(&self.cipher(), if self.salt_bytes == 12 { LABEL_ID_AEAD } else { LABEL_ID }, &mut id);
        KeyId(id)
    }

    fn cipher(&self) -> Cipher {
        Cipher::new(&self.bytes[..usize::from(self.key_bytes)])
    }

    /// The key derivation function with a key derivation rate of zero (RFC 3711, 4.3.1 and 4.3.3): AES-CM under the
    /// master key over zeros, the label in the byte of the salt that stands for bits 48-55 of the IV before the shift. A
    /// salt of 12 bytes counts as one of 14 that ends in zeros.
    pub(super) fn derive(&self, prf: &Cipher, label: u8, out: &mut [u8]) {
        let mut iv = [0; 16];
        let salt = &self.as_bytes()[usize::from(self.key_bytes)..];
        iv[..14].iter_mut().zip(salt).for_each(|(to, from)| *to = *from);
        iv[7] ^= label;
        out.fill(0);
        prf.xor_keystream(&iv, out);
    }
}

impl PartialEq for MasterKey {
    fn eq(&self, other: &Self) -> bool {
        let lengths = (self.key_bytes, self.salt_bytes) == (other.key_bytes, other.salt_bytes);
        bool::from(self.bytes.ct_eq(&other.bytes)) && lengths
    }
}

impl Eq for MasterKey {}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// The name of a master key and its salt: equal keys have equal names, and the key can't be told from it. Not a secret.
///
/// It has 64 bits. Two keys that share one are taken for the same key, which costs a call a fresh key and opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct KeyId([u8; 8]);

/// All session keys of one direction.
pub(super) struct KeySet {
    pub(super) rtp: Transform,
    pub(super) rtcp: Transform,
}

impl KeySet {
    pub(super) fn new(profile: SrtpProfile, master: &MasterKey) -> Self {
        let prf = master.cipher();
        Self {
            rtp: Transform::derive(profile, master, &prf, LABEL_RTP),
            rtcp: Transform::derive(profile, master, &prf, LABEL_RTCP),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    fn array<const N: usize>(text: &str) -> [u8; N] {
        hex(text).try_into().unwrap()
    }

    /// RFC 3711, B.2.
    #[test]
    fn aes_cm_keystream_of_b2() {
        let aes = Cipher::new(&array::<16>("2B7E151628AED2A6ABF7158809CF4F3C"));
        let iv = array("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000");
        let mut stream = std::vec![0; 0xff02 * 16];
        aes.xor_keystream(&iv, &mut stream);
        let first = "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB41E95B3BB0A2E8DD477901E4FCA894C0";
        let last = "EC8CDF7398607CB0F2D21675EA9EA1E4362B7C3C6773516318A077D7FC5073AE6A2CC3787889374FBEB4C81B17BA6C44";
        assert_eq!(stream[..48], hex(first));
        assert_eq!(stream[0xfeff * 16..], hex(last));
    }

    /// RFC 3711, B.3.
    #[test]
    fn key_derivation_of_b3() {
        let master = MasterKey::new(&array("E1F97A0D3E018BE0D64FA32C06DE4139"), &array("0EC675AD498AFEEBB6960B3AABE6"));
        let aes = Cipher::new(&array::<16>("E1F97A0D3E018BE0D64FA32C06DE4139"));
        let mut key = [0; 16];
        master.derive(&aes, 0, &mut key);
        assert_eq!(key, array("C61E7A93744F39EE10734AFE3FF7A087"));
        let mut salt = [0; 14];
        master.derive(&aes, 2, &mut salt);
        assert_eq!(salt, array("30CBBC08863D8C85D49DB34A9AE1"));
        let mut auth = [0; 94];
        master.derive(&aes, 1, &mut auth);
        let expected = "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCEE049646C43D9327AD175578EF7227098\
                        6371C10C9A369AC2F94A8C5FBCDDDC256D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2";
        assert_eq!(auth[..], hex(expected));
    }

    /// RFC 6188, 7.1 and 7.4.
    #[test]
    fn aes_256_of_rfc_6188() {
        let aes = Cipher::new(&array::<32>("57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98"));
        let mut stream = [0; 16];
        aes.xor_keystream(&array("f0f1f2f3f4f5f6f7f8f9fafbfcfd0000"), &mut stream);
        assert_eq!(stream, array("92bdd28a93c3f52511c677d08b5515a4"));

        let mut bytes = hex("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6");
        bytes.extend(hex("3b04803de51ee7c96423ab5b78d2"));
        let master = MasterKey::of(SrtpProfile::Aes256CmHmacSha1_80, &bytes).unwrap();
        let prf = master.cipher();
        let mut key = [0; 32];
        master.derive(&prf, 0, &mut key);
        assert_eq!(key, array("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4"));
        let mut salt = [0; 14];
        master.derive(&prf, 2, &mut salt);
        assert_eq!(salt, array("fa31791685ca444a9e07c6c64e93"));
        let mut auth = [0; 20];
        master.derive(&prf, 1, &mut auth);
        assert_eq!(auth, array("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"));
    }

    #[test]
    fn a_key_has_the_length_of_its_profile() {
        for profile in SrtpProfile::ALL {
            for got in 0..60 {
                let made = MasterKey::of(profile, &std::vec![1; got]);
                let need = profile.master_bytes();
                assert_eq!(made.as_ref().err(), (got != need).then_some(&KeyError::Length { need, got }));
                assert!(
                    made.is_err() || made.is_ok_and(|key| key.as_bytes() == std::vec![1; got] && key.fits(profile))
                );
            }
        }
    }

    #[test]
    fn a_salt_that_is_padded_is_another_key() {
        let mut bytes = [7; 30];
        let gcm = MasterKey::of(SrtpProfile::AeadAes128Gcm, &bytes[..28]).unwrap();
        bytes[28..].fill(0);
        let cm = MasterKey::from_bytes(&bytes);
        assert!(gcm != cm && gcm.id() != cm.id());
    }

    #[test]
    fn keys_are_not_printed() {
        let key = MasterKey::from_bytes(&[0x5a; 30]);
        assert_eq!(std::format!("{key:?}"), "MasterKey(..)");
    }
}
