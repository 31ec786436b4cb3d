//! A codec on the canned voice: a hash of its payloads and its sound, and what a frame costs. Uses nothing but `core`
//! and `dsp_core`, so that a firmware image can include this very file and compare.

use dsp_core::codec::{Decoder, Encoder};

use super::fnv::Fnv;

/// Two seconds of 20 ms.
const FRAMES: u32 = 100;
/// Every so many frames one is lost, and concealed if the codec conceals.
const LOST_EVERY: u32 = 10;

/// What became of the voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coded {
    /// FNV-1a of all payloads and all decoded or concealed samples.
    pub hash: u32,
    /// Mean cost of encoding a frame, in what the clock counts.
    pub encode: u32,
    /// Mean cost of decoding a frame.
    pub decode: u32,
}

/// A voice of sorts at any rate: a pulse train through a resonance, in noise that comes and goes.
#[derive(Clone, Copy, Debug)]
pub struct Voice {
    n: u32,
    seed: u32,
    memory: [i32; 2],
}

impl Default for Voice {
    fn default() -> Self {
        Self { n: 0, seed: 1, memory: [0; 2] }
    }
}

impl Voice {
    /// Goes on speaking.
    pub fn fill(&mut self, pcm: &mut [i16]) {
        for x in pcm {
            let pulse = if self.n.is_multiple_of(75) { 8_000 } else { 0 };
            let [y1, y2] = self.memory;
            let y = pulse + (y1 * 27_000 - y2 * 14_000) / 16_384;
            self.memory = [y, y1];
            self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (self.seed >> 16) as i16 >> (3 + self.n / 4_000 % 8);
            *x = (y + i32::from(noise)).clamp(-32_768, 32_767) as i16;
            self.n += 1;
        }
    }
}

/// Encodes and decodes frames of `frame` samples, at most 320; `clock` counts whatever is to be measured.
#[inline(never)]
pub fn run(frame: usize, encoder: &mut dyn Encoder, decoder: &mut dyn Decoder, clock: fn() -> u32) -> Coded {
    let mut voice = Voice::default();
    let (mut hash, mut encode, mut decode, mut decoded) = (Fnv::default(), 0, 0, 0);
    let (mut pcm, mut payload) = ([0; 320], [0; 320]);
    for index in 0..FRAMES {
        voice.fill(&mut pcm[..frame]);
        let start = clock();
        let bytes = encoder.encode(&pcm[..frame], &mut payload).expect("a frame of the codec");
        let coded = clock();
        encode += coded.wrapping_sub(start);
        hash.write(&payload[..bytes]);
        if index % LOST_EVERY == LOST_EVERY - 1 && decoder.conceal(&mut pcm[..frame]) {
            pcm[..frame].iter().for_each(|sample| hash.write(&sample.to_le_bytes()));
            continue;
        }
        let start = clock();
        decoder.decode(&payload[..bytes], &mut pcm).expect("its own payload decodes");
        decode += clock().wrapping_sub(start);
        decoded += 1;
        pcm[..frame].iter().for_each(|sample| hash.write(&sample.to_le_bytes()));
    }
    Coded { hash: hash.finish(), encode: encode / FRAMES, decode: decode / decoded }
}
