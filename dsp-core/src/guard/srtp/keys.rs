//! Master keys, key derivation (RFC 3711, 4.3) and the transforms AES-CM (4.1.1) and HMAC-SHA1 (4.2.1).
//!
//! A key set is derived once, when the key is set: afterwards the AES round keys and the SHA-1 states after HMAC's
//! inner and outer pads lie ready. The key derivation rate is zero: keys are derived once, as SDES and DTLS-SRTP
//! have it by default. Everything derived here is wiped when dropped (not the copies
//! that a compiler may leave on the stack when a value moves).
//!
//! Cost a packet: one AES block for each 16 bytes of payload, and ceil((bytes + 13) / 64) + 1 SHA-1 blocks.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Block};
use core::fmt;
use ctutils::CtEq;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use zeroize::Zeroize;

/// Bytes of the largest tag, HMAC-SHA1 cut to 80 bits.
pub(super) const TAG_80: usize = 10;
/// Bytes of the short RTP tag.
pub(super) const TAG_32: usize = 4;

/// Labels of RFC 3711, 4.3.1 and 4.3.2.
const LABEL_RTP: [u8; 3] = [0, 1, 2];
const LABEL_RTCP: [u8; 3] = [3, 4, 5];

/// A label that derives no session key: RFC 3711, 4.3.1 has 0 to 5, RFC 6904 6 and 7.
const LABEL_ID: u8 = 0xff;

/// Keystream blocks made at a time, on the stack.
const LANES: usize = 8;

/// An SRTP master key of 16 bytes with its master salt of 14 bytes (RFC 3711, 8.2). Wiped when dropped, and never
/// printed.
#[derive(Clone)]
pub struct MasterKey {
    bytes: [u8; Self::LEN],
}

impl MasterKey {
    /// Bytes of key and salt together, as SDES carries them in base64 (RFC 4568, 6.1).
    pub const LEN: usize = 30;

    /// From 16 bytes of key followed by 14 bytes of salt: what `inline:` of an SDP crypto attribute holds
    /// (RFC 4568, 6.1). DTLS-SRTP exports keys and salts apart (RFC 5764, 4.2): see [`Self::new`].
    pub const fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        Self { bytes: *bytes }
    }

    /// From key and salt.
    pub fn new(key: &[u8; 16], salt: &[u8; 14]) -> Self {
        let mut bytes = [0; Self::LEN];
        bytes[..16].copy_from_slice(key);
        bytes[16..].copy_from_slice(salt);
        Self { bytes }
    }

    /// Key and salt, as an SDP crypto attribute carries them once in base64. A secret: not for logs.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.bytes
    }

    /// Its name, for as long as a call lasts.
    pub(super) fn id(&self) -> KeyId {
        let mut id = [0; 8];
        self.derive(&self.cipher(), LABEL_ID, &mut id);
        KeyId(id)
    }

    fn cipher(&self) -> Aes128Enc {
        let mut key = [0; 16];
        key.copy_from_slice(&self.bytes[..16]);
        let aes = Aes128Enc::new(&key.into());
        key.zeroize();
        aes
    }

    /// The key derivation function with a key derivation rate of zero (RFC 3711, 4.3.1 and 4.3.3): AES-CM under the
    /// master key over zeros, the label in the byte of the salt that stands for bits 48-55 of the IV before the shift.
    fn derive(&self, aes: &Aes128Enc, label: u8, out: &mut [u8]) {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.bytes[16..]);
        iv[7] ^= label;
        out.fill(0);
        xor_keystream(aes, &iv, out);
    }
}

impl PartialEq for MasterKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes.ct_eq(&other.bytes).into()
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

/// The session keys of one packet kind (RTP or RTCP) in one direction.
pub(super) struct Transform {
    aes: Aes128Enc,
    salt: [u8; 14],
    /// After the pads: cloned for each packet.
    hmac: Hmac<Sha1>,
}

impl Transform {
    fn derive(master: &MasterKey, aes: &Aes128Enc, labels: [u8; 3]) -> Self {
        let mut key = [0; 16];
        let mut auth = [0; 20];
        let mut salt = [0; 14];
        master.derive(aes, labels[0], &mut key);
        master.derive(aes, labels[1], &mut auth);
        master.derive(aes, labels[2], &mut salt);
        let transform = Self {
            aes: Aes128Enc::new(&key.into()),
            salt,
            // HMAC takes keys of any length, so this can't fail (RFC 2104, 2).
            hmac: <Hmac<Sha1> as KeyInit>::new_from_slice(&auth).expect("HMAC takes any key length"),
        };
        key.zeroize();
        auth.zeroize();
        transform
    }

    /// Encrypts or decrypts `data` in place: AES counter mode (RFC 3711, 4.1.1). `index` is of 48 bits (RTP) or 31
    /// bits (RTCP).
    pub(super) fn crypt(&self, ssrc: u32, index: u64, data: &mut [u8]) {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        for (byte, ssrc) in iv[4..8].iter_mut().zip(ssrc.to_be_bytes()) {
            *byte ^= ssrc;
        }
        for (byte, index) in iv[8..14].iter_mut().zip(&index.to_be_bytes()[2..]) {
            *byte ^= index;
        }
        xor_keystream(&self.aes, &iv, data);
    }

    /// The authentication tag over `message` followed by `suffix` (the roll-over counter, or nothing), uncut.
    pub(super) fn tag(&self, message: &[u8], suffix: &[u8]) -> [u8; 20] {
        let mut hmac = self.hmac.clone();
        hmac.update(message);
        hmac.update(suffix);
        hmac.finalize().into_bytes().into()
    }

    /// Whether `tag` is the start of the tag over `message` and `suffix`; the time doesn't depend on where they differ.
    pub(super) fn verify(&self, message: &[u8], suffix: &[u8], tag: &[u8]) -> bool {
        let expected = self.tag(message, suffix);
        tag.len() <= expected.len() && bool::from(expected[..tag.len()].ct_eq(tag))
    }
}

impl Drop for Transform {
    fn drop(&mut self) {
        // The round keys and SHA-1 states wipe themselves.
        self.salt.zeroize();
    }
}

/// All session keys of one direction.
pub(super) struct KeySet {
    pub(super) id: KeyId,
    pub(super) rtp: Transform,
    pub(super) rtcp: Transform,
}

impl KeySet {
    pub(super) fn new(master: &MasterKey) -> Self {
        let aes = master.cipher();
        Self {
            id: master.id(),
            rtp: Transform::derive(master, &aes, LABEL_RTP),
            rtcp: Transform::derive(master, &aes, LABEL_RTCP),
        }
    }
}

/// Exclusive-ors the AES-CM keystream on `data`: AES of `iv`, `iv + 1`, ... (RFC 3711, 4.1.1). The last two bytes of
/// `iv` are zero, so 2^16 blocks (1 MiB, more than a datagram) need no carry beyond them.
fn xor_keystream(aes: &Aes128Enc, iv: &[u8; 16], data: &mut [u8]) {
    let mut counter = 0_u16;
    for chunk in data.chunks_mut(LANES * 16) {
        let mut blocks = [Block::from(*iv); LANES];
        let blocks = &mut blocks[..chunk.len().div_ceil(16)];
        for block in blocks.iter_mut() {
            block[14..].copy_from_slice(&counter.to_be_bytes());
            counter = counter.wrapping_add(1);
        }
        aes.encrypt_blocks(blocks);
        for (bytes, block) in chunk.chunks_mut(16).zip(blocks.iter()) {
            for (byte, key) in bytes.iter_mut().zip(block) {
                *byte ^= key;
            }
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
        let aes = Aes128Enc::new(&array::<16>("2B7E151628AED2A6ABF7158809CF4F3C").into());
        let iv = array("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000");
        let mut stream = std::vec![0; 0xff02 * 16];
        xor_keystream(&aes, &iv, &mut stream);
        let first = "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB41E95B3BB0A2E8DD477901E4FCA894C0";
        let last = "EC8CDF7398607CB0F2D21675EA9EA1E4362B7C3C6773516318A077D7FC5073AE6A2CC3787889374FBEB4C81B17BA6C44";
        assert_eq!(stream[..48], hex(first));
        assert_eq!(stream[0xfeff * 16..], hex(last));
    }

    /// RFC 3711, B.3.
    #[test]
    fn key_derivation_of_b3() {
        let master = MasterKey::new(&array("E1F97A0D3E018BE0D64FA32C06DE4139"), &array("0EC675AD498AFEEBB6960B3AABE6"));
        let aes = Aes128Enc::new(&array::<16>("E1F97A0D3E018BE0D64FA32C06DE4139").into());
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

    #[test]
    fn keys_are_not_printed() {
        let key = MasterKey::from_bytes(&[0x5a; 30]);
        assert_eq!(std::format!("{key:?}"), "MasterKey(..)");
    }
}
