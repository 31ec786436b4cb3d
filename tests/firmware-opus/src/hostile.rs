//! Packets that nobody sane would send, for the stack they can make the decoder use: every configuration, mono and
//! stereo (RFC 6716, 3.1), of one frame and of as many as 120 ms hold, filled with anything, with losses between.

use dsp_core::codec::Decoder;

use crate::fnv::Fnv;

/// Times that each kind of packet comes.
const ROUNDS: u32 = 3;
/// Bytes of the longest packet here.
const BYTES: usize = 600;
/// Samples of 120 ms at 16 kHz.
const LONGEST: usize = 1_920;

/// What became of the packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// FNV-1a of all that was heard.
    pub hash: u32,
    /// Packets that were decoded.
    pub decoded: u32,
    /// Packets that were refused.
    pub refused: u32,
}

/// Bits without a pattern, from a number.
fn scramble(n: u32) -> u32 {
    let n = (n ^ (n >> 16)).wrapping_mul(0x7feb_352d);
    let n = (n ^ (n >> 15)).wrapping_mul(0x846c_a68b);
    n ^ (n >> 16)
}

/// Decodes them to 16 kHz in an order that has no pattern.
#[inline(never)]
pub fn run(decoder: &mut dyn Decoder) -> Fate {
    let (mut packet, mut pcm, mut hash, mut fate) = ([0; BYTES], [0; LONGEST], Fnv::default(), Fate::default());
    // 32 configurations, two channel counts, two framings.
    for n in 0..128 * ROUNDS {
        // An odd factor: every kind of packet comes once a round.
        let kind = n.wrapping_mul(77) as u8 % 128;
        let (configuration, stereo, many) = (kind >> 2, kind & 2, kind & 1 == 1);
        packet.fill_with({
            let mut at = n << 16;
            move || {
                at += 1;
                scramble(at) as u8
            }
        });
        // The table of contents; then frames in one packet: equal ones, so many (3.2.5).
        packet[0] = configuration << 3 | stereo << 1 | if many { 3 } else { 0 };
        let frame_ticks: u8 = match configuration {
            0..12 => [4, 8, 16, 24][usize::from(configuration & 3)],
            12..16 => [4, 8][usize::from(configuration & 1)],
            _ => [1, 2, 4, 8][usize::from(configuration & 3)],
        };
        let frames = 48 / frame_ticks;
        packet[1] = if many { frames } else { packet[1] };
        let bytes = if many { 2 + usize::from(frames) * 12 } else { 1 + scramble(n) as usize % (BYTES - 1) };
        match decoder.decode(&packet[..bytes], &mut pcm) {
            Ok(samples) => {
                fate.decoded += 1;
                pcm[..samples].iter().for_each(|sample| hash.write(&sample.to_le_bytes()));
            }
            Err(_) => fate.refused += 1,
        }
        if scramble(n) & 0x100 == 0 && decoder.conceal(&mut pcm[..320]) {
            pcm[..320].iter().for_each(|sample| hash.write(&sample.to_le_bytes()));
        }
    }
    fate.hash = hash.finish();
    fate
}
