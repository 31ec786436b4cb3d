//! Narrow-band sound in G.722: the higher band is coded as silence if there is nothing in it.
//!
//! Sound of a telephone that was resampled from 8 to 16 kHz has nothing above 4 kHz, except what the transition of the
//! filter lets pass from below, between 4 and 4.6 kHz. The coder of the higher band turns that into noise over all of
//! its 4 kHz, 10 dB below, which is the loudest sound between 5 and 8 kHz and is heard there (PESQ-WB 3.3 instead of
//! 4.4). So if the band has nothing else, silence is coded. The octets are those of an encoder whose filter has no
//! transition, and every decoder accepts them. Sound whose spectrum ends between 4 and 5 kHz, such as that of 10 kHz
//! sample rate, loses what it has there.
//!
//! The spectrum of the higher band is reversed: 4 kHz is at half of its sample rate. Six sums of neighbours in a row,
//! a binomial filter, attenuate what is below 4.6 kHz by 76 dB, and what is above 6 kHz by at most 18 dB. The rest is
//! compared with two steps of 15 bits, -78 dBov, which no room with a wide-band talker stays below.
//!
//! Silence begins 100 ms after the last sound above, and ends at once with the next. The state takes 28 bytes.

/// Sums in a row.
const SUMS: usize = 6;
/// What sound is above, of the sums: two steps.
const SOUND: i32 = 2 << SUMS;
/// Samples of the higher band without sound before it is silent: 100 ms.
const PATIENCE: u16 = 800;

/// Listens to the higher band.
#[derive(Clone, Debug)]
pub(super) struct Narrow {
    before: [i32; SUMS],
    /// Samples since the last sound, at most [`PATIENCE`].
    quiet: u16,
}

impl Narrow {
    pub(super) const fn new() -> Self {
        Self { before: [0; SUMS], quiet: 0 }
    }

    /// A sample of the higher band, or silence where it holds nothing of its own.
    #[inline(always)]
    pub(super) fn hear(&mut self, higher: i16) -> i16 {
        let mut sum = i32::from(higher);
        for before in &mut self.before {
            (*before, sum) = (sum, sum + *before);
        }
        self.quiet = if sum.abs() >= SOUND { 0 } else { (self.quiet + 1).min(PATIENCE) };
        if self.quiet == PATIENCE { 0 } else { higher }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{G722Encoder, Mode, SubBandDecoder, SubBandEncoder};
    use super::*;
    use crate::codec::Encoder;
    use std::vec::Vec;

    /// A tone of this many Hz at 16 kHz.
    fn tone(hz: f64, amplitude: f64, samples: usize) -> Vec<i16> {
        let tone = |n: usize| amplitude * (core::f64::consts::TAU * hz * n as f64 / 16_000.0).sin();
        (0..samples).map(|n| tone(n) as i16).collect()
    }

    fn coded(encoder: &mut G722Encoder, sound: &[i16]) -> Vec<u8> {
        let mut octets = std::vec![0; sound.len() / 2];
        assert_eq!(encoder.encode(sound, &mut octets), Ok(octets.len()));
        octets
    }

    /// The loudest sample that a decoder makes of the higher band.
    fn loudest(octets: &[u8]) -> u16 {
        let mut bands = SubBandDecoder::new();
        let higher = octets.iter().map(|&octet| bands.decode(octet, Mode::Kbps64).1.unsigned_abs());
        higher.skip(4_000).max().unwrap()
    }

    #[test]
    fn a_telephones_sound_has_no_hiss() {
        // 3.7 kHz is in both bands.
        let sound: Vec<i16> =
            tone(3_700.0, 3_000.0, 16_000).iter().zip(tone(500.0, 8_000.0, 16_000)).map(|(a, b)| a + b).collect();
        let mut encoder = G722Encoder::new(Mode::Kbps64).with_silence_above_a_telephone();
        let octets = coded(&mut encoder, &sound);
        // Beside an encoder that codes the spill.
        let (mut filter, mut bands) = (super::super::qmf::Analysis::new(), SubBandEncoder::new());
        let mut plain = Vec::new();
        for block in sound.as_chunks::<2>().0.chunks(super::super::qmf::BLOCK) {
            let (mut lower, mut higher) = Default::default();
            filter.split(block, &mut lower, &mut higher);
            plain.extend((0..block.len()).map(|n| bands.encode(lower[n], higher[n])));
        }
        let (ours, theirs) = (loudest(&octets), loudest(&plain));
        assert!(ours <= 2 && theirs > 200, "{ours} beside {theirs}");
        assert_eq!(
            octets[..PATIENCE as usize - 1],
            plain[..PATIENCE as usize - 1],
            "before it is sure, nothing changes"
        );
    }

    #[test]
    fn what_is_above_is_coded_and_at_once() {
        let mut narrow = Narrow::new();
        // A quarter of half the rate, which is 7 kHz, at -60 dBov; turned over as the higher band is.
        let sound = tone(2_000.0, 16.0, 4_000);
        assert!(sound.iter().skip(20).all(|&sample| narrow.hear(sample) == sample));
        let mut narrow = Narrow::new();
        let silent = (0..2_000).filter(|_| narrow.hear(1) == 0).count();
        assert_eq!(silent, 2_000 - usize::from(PATIENCE) + 1, "a step is nothing");
        let begins = sound.iter().position(|&sample| sample != 0 && narrow.hear(sample) == sample);
        assert!(begins.unwrap() < 8, "{begins:?}");
    }
}
