//! What a G.722 decoder does about lost octets: it makes sound, and a state from which the next good octets decode
//! well.
//!
//! The waveform concealer continues the decoded sound. What it makes is coded again, through the transmit filter into
//! both bands, and the decoder adapts as if these octets had been received. So the memories of the filter and of the
//! predictors fit the sound that is heard when the first good octet comes. Slowly adapting values fit best from
//! elsewhere: the step sizes from before the loss (concealed sound is easier to predict than real sound), if the
//! octets after the loss agree with them, and poles and zeros half way between their values before the loss and those
//! that followed. The two filters together delay by 22 samples, and concealment runs ahead of the sound by as much.
//! The first good sound is cross-faded over 3 ms with what would have been concealed.
//!
//! Samples are 16-bit at 16 kHz. The state takes 4.1 KiB, of which 3,840 bytes are the last 120 ms. A lost stretch
//! costs the work of the concealer and of an encoder, a good one a copy of the history.

use super::SubBandDecoder;
use super::qmf::{Analysis, BLOCK, Synthesis};
use crate::waveform::plc::{Concealer, HISTORY_MS};

const RATE_HZ: u32 = 16_000;
/// Sound that the concealer wants to see.
const HISTORY: usize = RATE_HZ as usize * HISTORY_MS / 1_000;
/// Delay of both filters together.
const AHEAD: usize = 22;
/// Join to the first good sound: 3 ms.
const JOIN: usize = 48;

/// Length of a loss that the decoder follows (40 ms). What is concealed later is too uncertain, and fades.
const FOLLOWED: usize = 640;

/// The sound heard last and its continuation in a loss.
#[derive(Clone, Debug)]
pub(super) struct G722Concealer {
    concealer: Concealer,
    /// Decoded and made, newest last; in a loss the last [`AHEAD`] samples are still to be given out.
    history: [i16; HISTORY],
    /// Whether a sample was given out whose pair is not coded yet.
    odd: bool,
    /// Samples still to be followed in this loss.
    left: usize,
    /// The bands before the loss; `None` when there is none.
    before: Option<SubBandDecoder>,
}

impl G722Concealer {
    pub(super) fn new() -> Self {
        Self { concealer: Concealer::new(RATE_HZ), history: [0; HISTORY], odd: false, left: 0, before: None }
    }

    /// Makes `pcm`, at most [`BLOCK`] pairs, and brings bands and filter to where decoding it would have left them.
    pub(super) fn conceal(&mut self, pcm: &mut [i16], bands: &mut SubBandDecoder, filter: &mut Synthesis) {
        if self.before.is_none() {
            self.before = Some(bands.clone());
            self.left = FOLLOWED;
            self.make(AHEAD);
        }
        self.make(pcm.len());
        let end = HISTORY - AHEAD;
        pcm.copy_from_slice(&self.history[end - pcm.len()..end]);
        if self.left == 0 {
            return;
        }
        self.left = self.left.saturating_sub(pcm.len());
        // Pairs begin where the last ones ended.
        let begin = end - pcm.len() - usize::from(self.odd);
        let pairs = (end - begin) / 2;
        self.odd = (end - begin) % 2 == 1;
        // Bands lie 22 samples after the sound that they come from.
        let mut analysis = Analysis::after(self.history[begin..].first_chunk().expect("22 samples are ahead"));
        let (mut lower, mut higher) = ([0; BLOCK], [0; BLOCK]);
        let (sound, _) = self.history[begin + AHEAD..][..2 * pairs].as_chunks();
        analysis.split(sound, &mut lower, &mut higher);
        for (lower, higher) in lower.iter_mut().zip(&mut higher).take(pairs) {
            (*lower, *higher) = bands.follow(*lower, *higher);
        }
        let mut unheard = [[0; 2]; BLOCK];
        filter.join(&lower, &higher, &mut unheard[..pairs]);
    }

    /// Ends a loss, if there is one, before the `next` octets are decoded.
    pub(super) fn end(&mut self, bands: &mut SubBandDecoder, next: &[u8]) {
        if let Some(before) = self.before.take() {
            bands.recall(&before, next);
        }
    }

    /// Takes in decoded sound; after a loss that sounded, joins it.
    pub(super) fn hear(&mut self, pcm: &mut [i16], joins: bool) {
        if self.concealer.is_concealing() {
            let mut unheard = AHEAD;
            if joins {
                self.make(JOIN - AHEAD);
                unheard = JOIN;
                self.join(pcm);
            }
            // The decoded sound takes the place of what was made and not heard.
            self.history.copy_within(..HISTORY - unheard, unheard);
            self.concealer.reset();
            self.odd = false;
        }
        let new = &pcm[pcm.len() - pcm.len().min(HISTORY)..];
        self.history.copy_within(new.len().., 0);
        self.history[HISTORY - new.len()..].copy_from_slice(new);
    }

    /// Crossfades from what was made last to the decoded sound.
    fn join(&self, pcm: &mut [i16]) {
        let length = pcm.len().min(JOIN) as i32;
        for ((sample, &made), weight) in pcm.iter_mut().zip(&self.history[HISTORY - JOIN..]).zip(1..) {
            *sample = ((i32::from(*sample) * weight + i32::from(made) * (length + 1 - weight)) / (length + 1)) as i16;
        }
    }

    /// Adds `count` samples to the history, at most [`BLOCK`] pairs.
    fn make(&mut self, count: usize) {
        let mut made = [0; 2 * BLOCK];
        let made = &mut made[..count];
        self.concealer.conceal(&self.history, made);
        self.history.copy_within(count.., 0);
        self.history[HISTORY - count..].copy_from_slice(made);
    }
}
