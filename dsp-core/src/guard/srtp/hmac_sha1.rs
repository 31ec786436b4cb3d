//! HMAC-SHA1 (RFC 2104) over a packet and four bytes behind it, as in SRTP (RFC 3711, 4.2.1).
//!
//! For each key the SHA-1 states after the two pads are kept: 40 bytes. A packet is hashed in place, and only its end
//! is copied. The cost is ceil((bytes + 13) / 64) + 1 SHA-1 blocks.

use sha1::block_api::compress;
use zeroize::Zeroize;

/// SHA-1's state before anything (FIPS 180-4, 5.3.1).
const START: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
const BLOCK: usize = 64;

/// A key, ready.
pub(super) struct HmacSha1 {
    inner: [u32; 5],
    outer: [u32; 5],
}

impl HmacSha1 {
    pub(super) fn new(key: &[u8; 20]) -> Self {
        let after = |pad: u8| {
            let mut block = [pad; BLOCK];
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            let mut state = START;
            compress(&mut state, &[block]);
            block.zeroize();
            state
        };
        Self { inner: after(0x36), outer: after(0x5c) }
    }

    /// The tag over `message` and `suffix`, uncut.
    pub(super) fn tag(&self, message: &[u8], suffix: [u8; 4]) -> [u8; 20] {
        let mut state = self.inner;
        let (blocks, rest) = message.as_chunks::<BLOCK>();
        compress(&mut state, blocks);
        // What is left, the suffix, a bit, zeros, and the length in bits with the pad's.
        let mut tail = [[0; BLOCK]; 2];
        let end = tail.as_flattened_mut();
        end[..rest.len()].copy_from_slice(rest);
        end[rest.len()..rest.len() + 4].copy_from_slice(&suffix);
        end[rest.len() + 4] = 0x80;
        let blocks = (rest.len() + 4 + 1 + 8).div_ceil(BLOCK);
        let bits = 8 * (BLOCK + message.len() + 4) as u64;
        end[blocks * BLOCK - 8..blocks * BLOCK].copy_from_slice(&bits.to_be_bytes());
        compress(&mut state, &tail[..blocks]);

        let mut last = [0; BLOCK];
        write(&state, &mut last);
        last[20] = 0x80;
        last[BLOCK - 8..].copy_from_slice(&(8 * (BLOCK as u64 + 20)).to_be_bytes());
        let mut state = self.outer;
        compress(&mut state, &[last]);
        let mut tag = [0; 20];
        write(&state, &mut tag);
        tag
    }
}

fn write(state: &[u32; 5], out: &mut [u8]) {
    out.as_chunks_mut().0.iter_mut().zip(state).for_each(|(bytes, word)| *bytes = word.to_be_bytes());
}

impl Drop for HmacSha1 {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};
    use std::vec::Vec;

    /// Against another implementation, over every place of the packet's end in its block.
    #[test]
    fn tags_of_every_length() {
        let key: [u8; 20] = core::array::from_fn(|n| 0xa0_u8.wrapping_add(3 * n as u8));
        let ours = HmacSha1::new(&key);
        let message: Vec<u8> = (0..400_u32).map(|n| (n * n) as u8).collect();
        for len in 0..400 {
            let suffix = (len as u32).wrapping_mul(0x0101_0307).to_be_bytes();
            let mut theirs = <Hmac<sha1::Sha1> as KeyInit>::new_from_slice(&key).unwrap();
            theirs.update(&message[..len]);
            theirs.update(&suffix);
            assert_eq!(ours.tag(&message[..len], suffix)[..], theirs.finalize().into_bytes()[..], "{len}");
        }
    }
}
