//! The encoder (RFC 3951, chapter 3; A.3). It removes frequencies below 90 Hz (3.1) and has no look-ahead: the delay
//! is the frame.

use super::super::{CodecInfo, EncodeError, Encoder, Frames};
use super::excitation::{for_each_segment, state_start};
use super::filter::{HighPass, all_zero, energy};
use super::lpc::{CHIRP_WEIGHT, LOOKBACK_MAX, analyse, expand};
use super::lsf::{self, Lsf};
use super::pack::FrameParameters;
use super::tables::LSF_MEAN;
use super::{BLOCKL_MAX, INFO, IlbcMode, ORDER, STATE_LEN, SUBL, codebook, search, state};

/// iLBC encoder from 16-bit PCM at 8 kHz. A payload may hold several frames (RFC 3952, 3.2).
#[derive(Clone, Debug)]
pub struct IlbcEncoder {
    mode: IlbcMode,
    high_pass: HighPass,
    /// The latest samples behind the high-pass.
    history: [f32; LOOKBACK_MAX],
    /// The last set of frequencies, as found and as quantised.
    lsf: Lsf,
    quantized: Lsf,
}

impl IlbcEncoder {
    /// An encoder for frames of 20 or 30 ms.
    pub const fn new(mode: IlbcMode) -> Self {
        Self { mode, high_pass: HighPass::INPUT, history: [0.0; LOOKBACK_MAX], lsf: LSF_MEAN, quantized: LSF_MEAN }
    }

    /// The mode, which is the frame length.
    pub const fn mode(&self) -> IlbcMode {
        self.mode
    }

    fn encode_frame(&mut self, pcm: &[i16], payload: &mut [u8]) {
        let mode = self.mode;
        let mut signal = [0.0; LOOKBACK_MAX + BLOCKL_MAX];
        signal[..LOOKBACK_MAX].copy_from_slice(&self.history);
        for (x, &sample) in signal[LOOKBACK_MAX..].iter_mut().zip(pcm) {
            *x = self.high_pass.step(f32::from(sample));
        }
        self.history.copy_from_slice(&signal[mode.samples()..mode.samples() + LOOKBACK_MAX]);

        // Filters of each sub-block: quantised for synthesis, as found for the weighting.
        let mut frame = FrameParameters::ZERO;
        let (mut sets, mut quantized) = ([self.lsf; 2], [self.quantized; 2]);
        analyse(mode, &signal, &mut sets);
        for ((indices, set), quantized) in frame.lsf.iter_mut().zip(&sets).zip(&mut quantized).take(mode.lsf_sets()) {
            *indices = lsf::quantize(set);
            *quantized = lsf::dequantize(*indices);
        }
        let synthesis = lsf::interpolate(mode, &self.quantized, &quantized);
        let weighting = lsf::interpolate(mode, &self.lsf, &sets).map(|a| expand(&a, CHIRP_WEIGHT));
        self.lsf = sets[mode.lsf_sets() - 1];
        self.quantized = quantized[mode.lsf_sets() - 1];

        let mut residual = [0.0; BLOCKL_MAX];
        for (i, (filter, out)) in
            synthesis.iter().zip(residual.chunks_exact_mut(SUBL)).take(mode.subblocks()).enumerate()
        {
            let from = LOOKBACK_MAX - ORDER + i * SUBL;
            all_zero(filter, &signal[from..from + ORDER + SUBL], out);
        }

        // The start state: the louder end of the loudest two sub-blocks.
        let start = state::locate(mode, &residual);
        let pair = &residual[(start - 1) * SUBL..(start - 1) * SUBL + STATE_LEN];
        let short = mode.state_short_len();
        let state_first = energy(&pair[..STATE_LEN - short]) > energy(&pair[short..]);
        let at = state_start(mode, start, state_first);
        let turn = if state_first { SUBL } else { short - SUBL };
        frame.scale =
            state::quantize(&residual[at..at + short], start - 1, turn, &synthesis, &weighting, &mut frame.state);
        frame.start = start as u8;
        frame.state_first = u8::from(state_first);

        let mut decoded = [0.0; BLOCKL_MAX];
        let state = &mut decoded[at..at + short];
        state::dequantize(frame.scale, &frame.state[..short], &synthesis[start - 1], state);
        for_each_segment(mode, start, state_first, &mut decoded, |segment, memory, out| {
            let mut target = [0.0; SUBL];
            let len = segment.take(&residual, &mut target);
            let (indices, gains) = search::search(memory, &target[..len], &weighting[segment.subblock], segment.block);
            frame.codebook[segment.block] = indices;
            frame.gain[segment.block] = gains;
            codebook::construct(memory, indices, gains, out)
        });
        codebook::shorten(&mut frame.codebook[1]);
        frame.pack(mode, payload);
    }
}

impl Encoder for IlbcEncoder {
    fn info(&self) -> CodecInfo {
        INFO
    }

    fn frames(&self) -> Frames {
        Frames::Of(self.mode.frame_us())
    }

    /// Encodes one or several frames into one payload: 38 bytes for each 160 samples, or 50 bytes for each 240.
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, EncodeError> {
        let (samples, bytes) = (self.mode.samples(), self.mode.bytes());
        if pcm.is_empty() || !pcm.len().is_multiple_of(samples) {
            return Err(EncodeError::FrameLength { samples: pcm.len() });
        }
        let (need, got) = (pcm.len() / samples * bytes, payload.len());
        if got < need {
            return Err(EncodeError::OutputTooSmall { need, got });
        }
        for (pcm, payload) in pcm.chunks_exact(samples).zip(payload.chunks_exact_mut(bytes)) {
            self.encode_frame(pcm, payload);
        }
        Ok(need)
    }

    fn reset(&mut self) {
        *self = Self::new(self.mode);
    }
}
