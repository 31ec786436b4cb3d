//! The transforms: AES-CM (RFC 3711, 4.1.1; RFC 6188) with HMAC-SHA1 (4.2.1), and AES-GCM (RFC 7714).
//!
//! AES round keys, the SHA-1 states after the inner and outer pads of HMAC, and the powers of GHASH's key are derived
//! once from a master key. All of them are overwritten when dropped (except copies that a compiler may leave on the
//! stack when a value moves). No table is indexed by a secret, and no branch depends on one. One caution: on a
//! Cortex-M3 a 32 x 32 bit multiplication with a 64-bit product takes longer for large factors, and GHASH uses it
//! unless the firmware is built with `--cfg cpubits="32"`.
//!
//! The cost of a packet is one AES block for each 16 bytes of payload; with HMAC, ceil((bytes + 13) / 64) + 1 SHA-1
//! blocks; with GCM, one AES block and ceil(header / 16) + ceil(payload / 16) + 1 multiplications in GF(2^128).

use ctutils::CtEq;
use ghash::Block;
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use zeroize::Zeroize;

use super::cipher::{Cipher, counter_block};
use super::hmac_sha1::HmacSha1;
use super::keys::MasterKey;
use super::profile::{SrtpProfile, TAG_GCM};

/// Bytes of the largest tag, uncut.
const LONGEST_TAG: usize = 20;

/// What authenticates.
enum Authenticator {
    HmacSha1(HmacSha1),
    /// After its key.
    Ghash(GHash),
}

/// A packet's place among all that are protected under a key.
#[derive(Clone, Copy)]
pub(super) struct PacketPlace {
    pub(super) ssrc: u32,
    /// 48 bits for RTP, 31 for RTCP.
    pub(super) index: u64,
}

/// What of a packet is authenticated, and how much of it is encrypted.
#[derive(Clone, Copy)]
pub(super) struct Cut<'a> {
    /// Bytes at the start of the packet that stay in the clear; all of them, where nothing is encrypted.
    pub(super) clear: usize,
    /// What HMAC goes over behind the packet: the roll-over counter, or the SRTCP index.
    pub(super) suffix: [u8; 4],
    /// The same for GCM, whose nonce has the roll-over counter already.
    pub(super) aead_suffix: &'a [u8],
}

/// The session keys of one packet kind (RTP or RTCP) in one direction.
pub(super) struct Transform {
    cipher: Cipher,
    authenticator: Authenticator,
    salt: [u8; 14],
}

impl Transform {
    /// Under these labels: encryption key, authentication key, salt.
    pub(super) fn derive(profile: SrtpProfile, master: &MasterKey, prf: &Cipher, labels: [u8; 3]) -> Self {
        let (mut key, mut auth, mut salt) = ([0; 32], [0; 20], [0; 14]);
        let key_bytes = profile.key_bytes();
        master.derive(prf, labels[0], &mut key[..key_bytes]);
        master.derive(prf, labels[1], &mut auth);
        master.derive(prf, labels[2], &mut salt[..profile.salt_bytes()]);
        let transform = Self::new(profile, &key[..key_bytes], &auth, salt);
        key.zeroize();
        auth.zeroize();
        salt.zeroize();
        transform
    }

    /// A transform with these session keys; GCM has no authentication key.
    fn new(profile: SrtpProfile, key: &[u8], auth: &[u8; 20], salt: [u8; 14]) -> Self {
        let cipher = Cipher::new(key);
        let authenticator = if profile.is_aead() {
            let mut hash_key = [Block::default()];
            cipher.encrypt(&mut hash_key);
            let ghash = GHash::new(&hash_key[0]);
            hash_key[0].zeroize();
            Authenticator::Ghash(ghash)
        } else {
            Authenticator::HmacSha1(HmacSha1::new(auth))
        };
        Self { cipher, authenticator, salt }
    }

    /// Encrypts `packet` behind its clear part and writes the tag, which has as many bytes as there is room for.
    pub(super) fn seal(&self, place: PacketPlace, cut: Cut<'_>, packet: &mut [u8], tag: &mut [u8]) {
        let clear = cut.clear.min(packet.len());
        let full = match &self.authenticator {
            Authenticator::HmacSha1(hmac) => {
                self.cipher.xor_keystream(&self.counter_mode_iv(place), &mut packet[clear..]);
                hmac.tag(packet, cut.suffix)
            }
            Authenticator::Ghash(ghash) => {
                let mask = self.cipher.mask_and_xor_gcm(&self.gcm_iv(place), &mut packet[clear..]);
                let (head, body) = packet.split_at(clear);
                gcm_tag(ghash, mask, head, cut.aead_suffix, body)
            }
        };
        tag.iter_mut().zip(full).for_each(|(to, from)| *to = from);
    }

    /// Whether `tag` belongs to this packet; the time doesn't depend on where it differs.
    pub(super) fn verify(&self, place: PacketPlace, cut: Cut<'_>, packet: &[u8], tag: &[u8]) -> bool {
        let expected = match &self.authenticator {
            Authenticator::HmacSha1(hmac) => hmac.tag(packet, cut.suffix),
            Authenticator::Ghash(ghash) => {
                let mut mask = [counter_block(&self.gcm_iv(place), 1)];
                self.cipher.encrypt(&mut mask);
                let (head, body) = packet.split_at(cut.clear.min(packet.len()));
                gcm_tag(ghash, mask[0], head, cut.aead_suffix, body)
            }
        };
        expected.get(..tag.len()).is_some_and(|expected| bool::from(expected.ct_eq(tag)))
    }

    /// Decrypts a packet that was [verified](Self::verify).
    pub(super) fn decrypt(&self, place: PacketPlace, clear: usize, packet: &mut [u8]) {
        let Some(body) = packet.get_mut(clear..).filter(|body| !body.is_empty()) else { return };
        match &self.authenticator {
            Authenticator::HmacSha1(_) => self.cipher.xor_keystream(&self.counter_mode_iv(place), body),
            Authenticator::Ghash(_) => self.cipher.xor_gcm(&self.gcm_iv(place), 2, body),
        }
    }

    /// RFC 3711, 4.1.1: the salt, and on it the SSRC and the index, 16 bits above the block counter.
    fn counter_mode_iv(&self, place: PacketPlace) -> [u8; 16] {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        xor(&mut iv[4..8], &place.ssrc.to_be_bytes());
        xor(&mut iv[8..14], &place.index.to_be_bytes()[2..]);
        iv
    }

    /// RFC 7714, 8.1 and 9.1: two zeros, the SSRC, and six bytes of the index, on the salt.
    fn gcm_iv(&self, place: PacketPlace) -> [u8; 12] {
        let mut iv = [0; 12];
        iv.copy_from_slice(&self.salt[..12]);
        xor(&mut iv[2..6], &place.ssrc.to_be_bytes());
        xor(&mut iv[6..12], &place.index.to_be_bytes()[2..]);
        iv
    }
}

impl Drop for Transform {
    fn drop(&mut self) {
        // The round keys, SHA-1 states and powers of GHASH's key wipe themselves.
        self.salt.zeroize();
    }
}

fn xor(to: &mut [u8], from: &[u8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to ^= from);
}

/// GHASH over `head` and `suffix` together, the ciphertext, and both lengths in bits, under the mask (NIST SP 800-38D,
/// 7.1). The bytes behind GCM's own 16 are zero.
fn gcm_tag(ghash: &GHash, mask: Block, head: &[u8], suffix: &[u8], body: &[u8]) -> [u8; LONGEST_TAG] {
    let mut ghash = ghash.clone();
    if suffix.is_empty() {
        ghash.update_padded(head);
    } else {
        // The suffix is shorter than a block.
        let (whole, rest) = head.as_chunks::<16>();
        whole.iter().for_each(|block| ghash.update(&[(*block).into()]));
        let mut both = [0; 32];
        let joined = rest.len() + suffix.len();
        both[..rest.len()].copy_from_slice(rest);
        both[rest.len()..joined].copy_from_slice(suffix);
        ghash.update_padded(&both[..joined]);
    }
    ghash.update_padded(body);
    let mut lengths = Block::default();
    lengths[..8].copy_from_slice(&(8 * (head.len() + suffix.len()) as u64).to_be_bytes());
    lengths[8..].copy_from_slice(&(8 * body.len() as u64).to_be_bytes());
    ghash.update(&[lengths]);
    let mut tag = [0; LONGEST_TAG];
    tag[..TAG_GCM].copy_from_slice(&ghash.finalize());
    xor(&mut tag[..TAG_GCM], &mask);
    tag
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    fn gcm(key_bytes: usize) -> Transform {
        let key: Vec<u8> = (0..key_bytes as u8).collect();
        let profile = if key_bytes == 16 { SrtpProfile::AeadAes128Gcm } else { SrtpProfile::AeadAes256Gcm };
        Transform::new(profile, &key, &[0; 20], *b"Quid pro quo\0\0")
    }

    /// What is sealed with the mask's block beside it comes out as it was, wherever a packet ends among the lanes.
    #[test]
    fn packets_of_every_length_go_round() {
        let place = PacketPlace { ssrc: 1, index: 2 };
        for key_bytes in [16, 32] {
            let transform = gcm(key_bytes);
            for len in 0..600 {
                let plain: Vec<u8> = (0..len).map(|n| (n * 7) as u8).collect();
                let (mut packet, mut tag) = (plain.clone(), [0; TAG_GCM]);
                let cut = Cut { clear: 0, suffix: [0; 4], aead_suffix: &[] };
                transform.seal(place, cut, &mut packet, &mut tag);
                assert!(transform.verify(place, cut, &packet, &tag), "{len}");
                assert!(len < 16 || packet != plain, "{len}");
                transform.decrypt(place, 0, &mut packet);
                assert_eq!(packet, plain, "{len}");
            }
        }
    }

    /// RFC 7714, 16 and 17: packet, what stays clear, what comes out.
    #[test]
    fn packets_of_rfc_7714() {
        let rtp = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465
                   73207472 6573";
        let rtcp = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef
                    deadbeef deadbeef";
        let (sound, report) =
            (PacketPlace { ssrc: 0x5501_a0b2, index: 0xf17b }, PacketPlace { ssrc: 0x4d61_7273, index: 0x5d4 });
        for (key_bytes, place, packet, clear, suffix, expected) in [
            (
                16,
                sound,
                rtp,
                12,
                "",
                "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5
                0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
            ),
            (
                16,
                sound,
                rtp,
                50,
                "",
                "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120
                696e2070 61727465 73207472 65732249 3f82d2bc e397e9d7 9e3b19aa 4216",
            ),
            (
                32,
                sound,
                rtp,
                12,
                "",
                "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3
                b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
            ),
            (
                16,
                report,
                rtcp,
                8,
                "800005d4",
                "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d
                c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade",
            ),
            (
                32,
                report,
                rtcp,
                8,
                "800005d4",
                "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50
                a2eaa5c1 110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be",
            ),
            (
                16,
                report,
                rtcp,
                52,
                "000005d4",
                "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
                deadbeef deadbeef deadbeef deadbeef deadbeef 841dd968 3dd78ec9 2ae58790 125f62b3",
            ),
            (
                32,
                report,
                rtcp,
                52,
                "000005d4",
                "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
                deadbeef deadbeef deadbeef deadbeef deadbeef 91db4afb feee5a97 8fab4393 ed2615fe",
            ),
        ] {
            let transform = gcm(key_bytes);
            let (plain, suffix) = (hex(packet), hex(suffix));
            let cut = Cut { clear, suffix: [0; 4], aead_suffix: &suffix };
            let (mut packet, mut tag) = (plain.clone(), [0; 16]);
            transform.seal(place, cut, &mut packet, &mut tag);
            assert_eq!([&packet[..], &tag[..]].concat(), hex(expected), "{key_bytes} {clear}");
            assert!(transform.verify(place, cut, &packet, &tag));
            assert!(!transform.verify(PacketPlace { index: place.index ^ 1 << 20, ..place }, cut, &packet, &tag));
            transform.decrypt(place, clear, &mut packet);
            assert_eq!(packet, plain);
        }
    }

    /// Keystreams go on across the blocks that are made at a time.
    #[test]
    fn long_packets_are_cut_where_they_like() {
        let transform = gcm(16);
        let place = PacketPlace { ssrc: 1, index: 2 };
        let mut long = std::vec![0; 1_000];
        transform.decrypt(place, 0, &mut long);
        for len in 0..1_000 {
            let mut short = std::vec![0; len];
            transform.decrypt(place, 0, &mut short);
            assert_eq!(short, long[..len]);
        }
    }
}
