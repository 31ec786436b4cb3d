//! AES for SRTP: single blocks for the derivation of keys, and the keystreams of AES-CM (RFC 3711, 4.1.1) and GCM
//! (NIST SP 800-38D, 6.5).
//!
//! The crate `aes` is used on processors with AES instructions and on 64-bit processors; `aes32` is used on 32-bit
//! Arm, where it takes a tenth less time. Both take the same time for all keys and data.

#[cfg(not(target_arch = "arm"))]
use aes::cipher::{BlockCipherEncrypt, KeyInit};
#[cfg(not(target_arch = "arm"))]
use aes::{Aes128Enc, Aes256Enc};
use ghash::Block;
#[cfg(not(target_arch = "arm"))]
use zeroize::Zeroize;

#[cfg(target_arch = "arm")]
use super::aes32::Aes32;

/// Keystream blocks made at a time, on the stack: 20 ms of G.711 and GCM's own block at once.
const LANES: usize = 12;

/// AES with either length of key.
#[cfg(not(target_arch = "arm"))]
pub(super) enum Cipher {
    Aes128(Aes128Enc),
    Aes256(Aes256Enc),
}

#[cfg(not(target_arch = "arm"))]
impl Cipher {
    /// With a key of 32 bytes, or the first 16.
    pub(super) fn new(key: &[u8]) -> Self {
        if let Some(key) = key.first_chunk::<32>() {
            let mut key = (*key).into();
            let cipher = Self::Aes256(Aes256Enc::new(&key));
            key.zeroize();
            return cipher;
        }
        let mut short = [0; 16];
        short.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        let cipher = Self::Aes128(Aes128Enc::new(&short.into()));
        short.zeroize();
        cipher
    }

    pub(super) fn encrypt(&self, blocks: &mut [Block]) {
        match self {
            Self::Aes128(aes) => aes.encrypt_blocks(blocks),
            Self::Aes256(aes) => aes.encrypt_blocks(blocks),
        }
    }

    /// Exclusive-ors the AES-CM keystream on `data`: AES of `iv`, `iv + 1`, ... (RFC 3711, 4.1.1). The last two bytes of
    /// `iv` are zero, so 2^16 blocks (1 MiB, more than a datagram) need no carry beyond them.
    pub(super) fn xor_keystream(&self, iv: &[u8; 16], data: &mut [u8]) {
        let mut counter = 0_u16;
        for chunk in data.chunks_mut(LANES * 16) {
            let mut blocks = [Block::from(*iv); LANES];
            let blocks = &mut blocks[..chunk.len().div_ceil(16)];
            for block in blocks.iter_mut() {
                block[14..].copy_from_slice(&counter.to_be_bytes());
                counter = counter.wrapping_add(1);
            }
            self.encrypt(blocks);
            xor_blocks(chunk, blocks);
        }
    }
}

/// AES with either length of key.
#[cfg(target_arch = "arm")]
pub(super) struct Cipher(Aes32);

#[cfg(target_arch = "arm")]
impl Cipher {
    /// With a key of 32 bytes, or the first 16.
    pub(super) fn new(key: &[u8]) -> Self {
        Self(Aes32::new(key))
    }

    pub(super) fn encrypt(&self, blocks: &mut [Block]) {
        self.0.encrypt(blocks);
    }

    /// Exclusive-ors the AES-CM keystream on `data`: AES of `iv`, `iv + 1`, ... (RFC 3711, 4.1.1). The last two bytes of
    /// `iv` are zero, so 2^16 blocks (1 MiB, more than a datagram) need no carry beyond them.
    pub(super) fn xor_keystream(&self, iv: &[u8; 16], data: &mut [u8]) {
        self.0.xor_counters(iv, data);
    }
}

impl Cipher {
    /// The keystream of this counter and those after it on `data`.
    pub(super) fn xor_gcm(&self, iv: &[u8; 12], mut counter: u32, data: &mut [u8]) {
        for chunk in data.chunks_mut(LANES * 16) {
            let mut blocks = [Block::default(); LANES];
            let blocks = &mut blocks[..chunk.len().div_ceil(16)];
            counter = self.encrypt_counters(iv, counter, blocks);
            xor_blocks(chunk, blocks);
        }
    }

    /// The block that masks GCM's tag, and the keystream of counters 2, 3, ... on `data` (NIST SP 800-38D, 6.5 and 7.1): as
    /// far as there are lanes, all at once.
    pub(super) fn mask_and_xor_gcm(&self, iv: &[u8; 12], data: &mut [u8]) -> Block {
        let (first, rest) = data.split_at_mut(data.len().min((LANES - 1) * 16));
        let mut blocks = [Block::default(); LANES];
        let blocks = &mut blocks[..1 + first.len().div_ceil(16)];
        let counter = self.encrypt_counters(iv, 1, blocks);
        xor_blocks(first, &blocks[1..]);
        self.xor_gcm(iv, counter, rest);
        blocks[0]
    }

    /// The blocks of this counter and those after it, encrypted; the next counter.
    fn encrypt_counters(&self, iv: &[u8; 12], mut counter: u32, blocks: &mut [Block]) -> u32 {
        for block in blocks.iter_mut() {
            *block = counter_block(iv, counter);
            counter = counter.wrapping_add(1);
        }
        self.encrypt(blocks);
        counter
    }
}

fn xor_blocks(data: &mut [u8], keystream: &[Block]) {
    for (bytes, block) in data.chunks_mut(16).zip(keystream) {
        for (byte, key) in bytes.iter_mut().zip(block) {
            *byte ^= key;
        }
    }
}

/// GCM's block with this counter.
pub(super) fn counter_block(iv: &[u8; 12], counter: u32) -> Block {
    let mut block = Block::default();
    block[..12].copy_from_slice(iv);
    block[12..].copy_from_slice(&counter.to_be_bytes());
    block
}
