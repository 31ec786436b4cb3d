//! iLBC, the Internet Low Bit Rate Codec: 8 kHz speech in frames of 20 ms (38 bytes, 15.2 kbit/s) or 30 ms (50 bytes,
//! 13.33 kbit/s) (RFC 3951; payload format RFC 3952; RTP clock 8000 Hz).
//!
//! Use it where both sides have it and the 64 kbit/s of G.711 are too many. Its frames do not depend on each other's
//! bits, so that a lost one does not harm those behind it; but where Opus is available, Opus sounds better.
//!
//! The arithmetic is `f32`, written from the text of RFC 3951; where the text and its reference code (A.1 to A.48)
//! leave a choice, the code decides. Sums have one order and no multiplication is fused into an addition, so that
//! packets and sound are the same bits on every target. Three things differ without effect on the payload format: the
//! decoded residual is limited to 16 bits, as in fixed-point implementations; logarithms, powers and cosines come from
//! tables and polynomials; and the enhancer's interpolation at the edge of its buffer and the fading of the
//! concealment follow the text where the code deviates from it.
//!
//! # Cost and limits
//!
//! A frame of 20 ms takes 292,806 instructions to encode and 105,060 to decode on a Cortex-M4F, and 14 µs and 4.5 µs
//! on a host (`BENCHMARKS.md`). It is not meant for processors without floating-point instructions. The delay is one
//! frame, and with the enhancer, which is on by default, 5 ms (20 ms mode) or 10 ms (30 ms mode) more. An encoder
//! takes 440 bytes and a decoder 3.3 KB. The stack, on a Cortex-M4F, is 9.4 KB to encode and 7.2 KB to decode. Tables
//! take 7 KB.
//!
//! # Example
//!
//! One frame is coded and decoded, and one is lost:
//!
//! ```
//! use dsp_core::codec::ilbc::{IlbcDecoder, IlbcEncoder, IlbcMode};
//! use dsp_core::codec::{Decoder, Encoder};
//!
//! let mut encoder = IlbcEncoder::new(IlbcMode::Ms20);
//! let mut decoder = IlbcDecoder::new(IlbcMode::Ms20);
//! let (mut payload, mut heard) = ([0; 38], [0; 160]);
//! let len = encoder.encode(&[500; 160], &mut payload)?;
//! assert_eq!(len, IlbcMode::Ms20.bytes());
//! assert_eq!(decoder.decode(&payload[..len], &mut heard)?, 160);
//! // The codec conceals by its own means.
//! assert!(decoder.conceal(&mut heard));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod codebook;
mod conceal;
mod decoder;
mod encoder;
mod enhancer;
mod excitation;
mod filter;
mod lpc;
mod lsf;
mod lsf_codebook;
mod pack;
mod search;
mod state;
mod tables;
mod windows;

pub use decoder::IlbcDecoder;
pub use encoder::IlbcEncoder;

use super::CodecInfo;

/// Order of the linear prediction.
const ORDER: usize = 10;
/// Samples of a sub-block.
const SUBL: usize = 40;
/// Sub-blocks of the longest frame.
const NSUB_MAX: usize = 6;
/// Samples of the longest frame.
const BLOCKL_MAX: usize = NSUB_MAX * SUBL;
/// Samples of the two sub-blocks that hold the start state.
const STATE_LEN: usize = 80;
/// Samples of the codebook memory of a sub-block.
const CB_MEML: usize = 147;
/// Samples of the codebook memory of the rest of the start state's two sub-blocks.
const ST_MEM_L: usize = 85;
/// Stages of a codebook search.
const CB_NSTAGES: usize = 3;

/// Frame length: the parameter `mode` in SDP (RFC 3952, 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum IlbcMode {
    /// 20 ms: 160 samples in 38 bytes.
    Ms20,
    /// 30 ms: 240 samples in 50 bytes.
    Ms30,
}

impl IlbcMode {
    /// Samples in a frame: 160 or 240.
    pub const fn samples(self) -> usize {
        self.subblocks() * SUBL
    }

    /// Bytes in a frame: 38 or 50.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Ms20 => 38,
            Self::Ms30 => 50,
        }
    }

    /// Length of a frame in microseconds.
    pub const fn frame_us(self) -> u32 {
        match self {
            Self::Ms20 => 20_000,
            Self::Ms30 => 30_000,
        }
    }

    /// Sub-blocks of a frame (`NSUB`).
    const fn subblocks(self) -> usize {
        match self {
            Self::Ms20 => 4,
            Self::Ms30 => 6,
        }
    }

    /// Sets of line spectral frequencies in a frame (`LPC_N`).
    const fn lsf_sets(self) -> usize {
        match self {
            Self::Ms20 => 1,
            Self::Ms30 => 2,
        }
    }

    /// Samples of the start state that are quantised one by one (`STATE_SHORT_LEN`).
    const fn state_short_len(self) -> usize {
        match self {
            Self::Ms20 => 57,
            Self::Ms30 => 58,
        }
    }
}

/// What both ends are.
const INFO: CodecInfo = CodecInfo { name: "iLBC", sample_rate_hz: 8000, rtp_clock_hz: 8000, channels: 1 };
