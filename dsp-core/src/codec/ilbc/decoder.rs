//! The decoder (RFC 3951, chapter 4; A.5).

use super::super::{CodecInfo, DecodeError, Decoder};
use super::conceal::IlbcConcealer;
use super::enhancer::{self, Enhancer};
use super::excitation::{for_each_segment, state_start};
use super::filter::{HighPass, Lpc, all_pole};
use super::lsf::{self, Filters, Lsf};
use super::pack::FrameParameters;
use super::tables::LSF_MEAN;
use super::{BLOCKL_MAX, INFO, IlbcMode, NSUB_MAX, ORDER, SUBL, codebook, state};

/// Magnitude that no decoded speech reaches; beyond it the synthesis filter has run away.
const RUNAWAY: f32 = 1e6;

/// The filter that changes nothing.
const FLAT: Lpc = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];

/// iLBC decoder to 16-bit PCM at 8 kHz, with the codec's own concealment. A payload may hold several frames (RFC 3952,
/// 3.2).
#[derive(Clone, Debug)]
pub struct IlbcDecoder {
    mode: IlbcMode,
    enhance: bool,
    enhancer: Enhancer,
    concealer: IlbcConcealer,
    /// Pitch lag of the latest frame, samples.
    pitch: usize,
    /// Whether the latest frame was concealed.
    lost: bool,
    /// Quantised frequencies of the last frame received.
    lsf: Lsf,
    /// Filters of the latest two sub-blocks.
    filters: [Lpc; 2],
    synthesis: [f32; ORDER],
    high_pass: HighPass,
    /// Concealed samples that nobody has asked for yet: a place to start from, and the rest of the frame.
    concealed: [i16; BLOCKL_MAX],
    concealed_at: usize,
}

impl IlbcDecoder {
    /// A decoder for frames of 20 or 30 ms, with the enhancer.
    pub const fn new(mode: IlbcMode) -> Self {
        Self {
            mode,
            enhance: true,
            enhancer: Enhancer::new(),
            concealer: IlbcConcealer::new(),
            pitch: 20,
            lost: false,
            lsf: LSF_MEAN,
            filters: [FLAT; 2],
            synthesis: [0.0; ORDER],
            high_pass: HighPass::OUTPUT,
            concealed: [0; BLOCKL_MAX],
            concealed_at: BLOCKL_MAX,
        }
    }

    /// Removes the enhancer: the delay is 5 ms (20 ms mode) or 10 ms (30 ms mode) shorter, and voiced sounds are
    /// rougher.
    #[must_use]
    pub const fn without_enhancer(mut self) -> Self {
        self.enhance = false;
        self
    }

    /// The mode, which is the frame length.
    pub const fn mode(&self) -> IlbcMode {
        self.mode
    }

    /// Delay of the enhancer, in samples.
    pub const fn delay_samples(&self) -> usize {
        if self.enhance { enhancer::delay(self.mode) } else { 0 }
    }

    /// Frames in a payload.
    fn frames(&self, payload: &[u8]) -> Result<usize, DecodeError> {
        let bytes = payload.len();
        match bytes {
            0 => Err(DecodeError::Empty),
            _ if bytes.is_multiple_of(self.mode.bytes()) => Ok(bytes / self.mode.bytes()),
            _ => Err(DecodeError::Length { bytes }),
        }
    }

    /// Decodes one frame, or conceals it if it is empty or broken.
    fn decode_frame(&mut self, payload: &[u8], pcm: &mut [i16]) {
        let mut residual = [0.0; BLOCKL_MAX];
        match FrameParameters::unpack(self.mode, payload).and_then(|frame| self.excitation(&frame, &mut residual)) {
            Some(filters) => {
                self.concealer.received();
                self.play(&residual, &filters, false, pcm);
            }
            None => self.conceal_frame(pcm),
        }
    }

    #[inline(never)]
    fn conceal_frame(&mut self, pcm: &mut [i16]) {
        let mut residual = [0.0; BLOCKL_MAX];
        let previous = self.enhancer.latest(self.mode.samples());
        self.concealer.conceal(self.mode, previous, self.pitch, &mut residual);
        let filters = [self.filters[1]; NSUB_MAX];
        self.play(&residual, &filters, true, pcm);
    }

    /// The residual of a frame and its filters (4.1 to 4.4), or `None` if one of its codebook vectors does not exist.
    #[inline(never)]
    fn excitation(&mut self, frame: &FrameParameters, residual: &mut [f32; BLOCKL_MAX]) -> Option<Filters> {
        let mode = self.mode;
        let sets = frame.lsf.map(lsf::dequantize);
        let filters = lsf::interpolate(mode, &self.lsf, &sets);
        let (start, state_first) = (usize::from(frame.start), frame.state_first == 1);
        let short = mode.state_short_len();
        let at = state_start(mode, start, state_first);
        state::dequantize(frame.scale, &frame.state[..short], &filters[start - 1], &mut residual[at..at + short]);
        let mut indices = frame.codebook;
        codebook::lengthen(&mut indices[1]);
        let complete = for_each_segment(mode, start, state_first, residual, |segment, memory, out| {
            codebook::construct(memory, indices[segment.block], frame.gain[segment.block], out)
        });
        if complete {
            self.lsf = sets[mode.lsf_sets() - 1];
        }
        complete.then_some(filters)
    }

    /// Enhances and synthesises a frame's residual (4.6 to 4.8).
    fn play(&mut self, residual: &[f32; BLOCKL_MAX], filters: &Filters, concealed: bool, pcm: &mut [i16]) {
        let (mode, subblocks) = (self.mode, self.mode.subblocks());
        let residual = &residual[..mode.samples()];
        self.pitch = self.enhancer.push(mode, residual);
        let mut buffer = [0.0; ORDER + BLOCKL_MAX];
        let signal = &mut buffer[..ORDER + mode.samples()];
        signal[..ORDER].copy_from_slice(&self.synthesis);
        if self.enhance {
            if self.lost {
                self.enhancer.join(mode);
            }
            self.enhancer.enhance(mode, &mut signal[ORDER..]);
        } else {
            signal[ORDER..].copy_from_slice(residual);
        }
        self.lost = concealed;

        // The enhancer is one or two sub-blocks late, and so are the filters.
        let late = self.delay_samples() / SUBL;
        let ordered = self.filters[2 - late..].iter().chain(filters);
        for (i, filter) in ordered.take(subblocks).enumerate() {
            all_pole(filter, &mut signal[i * SUBL..ORDER + (i + 1) * SUBL]);
        }
        self.filters = [filters[subblocks - 2], filters[subblocks - 1]];
        self.synthesis.copy_from_slice(&signal[mode.samples()..]);
        for (sample, &x) in pcm.iter_mut().zip(&signal[ORDER..]) {
            let x = self.high_pass.step(x);
            *sample = (if x < 0.0 { x - 0.5 } else { x + 0.5 }) as i16;
        }
        // Only bits that no encoder sends get here. The next frame shall find filters at rest.
        if !self.synthesis.iter().all(|x| x.abs() < RUNAWAY) {
            self.synthesis = [0.0; ORDER];
            self.high_pass.reset();
        }
    }
}

impl Decoder for IlbcDecoder {
    fn info(&self) -> CodecInfo {
        INFO
    }

    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        Ok((self.frames(payload)? * self.mode.samples()) as u32)
    }

    /// Decodes one or several frames. A frame that is marked as empty (its last bit, RFC 3951, 3.8), or that no
    /// encoder can have made, is concealed.
    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        let (samples, bytes) = (self.mode.samples(), self.mode.bytes());
        let (need, got) = (self.frames(payload)? * samples, pcm.len());
        if got < need {
            return Err(DecodeError::OutputTooSmall { need, got });
        }
        self.concealed_at = BLOCKL_MAX;
        for (payload, pcm) in payload.chunks_exact(bytes).zip(pcm.chunks_exact_mut(samples)) {
            self.decode_frame(payload, pcm);
        }
        Ok(need)
    }

    /// Conceals frame by frame. If the last frame is longer than `pcm`, its rest is kept for the next call, until a
    /// payload is decoded.
    fn conceal(&mut self, pcm: &mut [i16]) -> bool {
        let samples = self.mode.samples();
        let mut rest = pcm;
        while !rest.is_empty() {
            if self.concealed_at >= samples {
                let mut frame = [0; BLOCKL_MAX];
                self.conceal_frame(&mut frame[..samples]);
                self.concealed = frame;
                self.concealed_at = 0;
            }
            let kept = &self.concealed[self.concealed_at..samples];
            let (now, later) = rest.split_at_mut(rest.len().min(kept.len()));
            now.copy_from_slice(&kept[..now.len()]);
            self.concealed_at += now.len();
            rest = later;
        }
        true
    }

    fn reset(&mut self) {
        let enhance = self.enhance;
        *self = Self::new(self.mode);
        self.enhance = enhance;
    }
}
