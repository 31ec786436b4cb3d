//! The impairments by delay and loss on the scale of the rating R, in integers, for decisions while packets arrive.
//!
//! Both are terms of the [E-model](super::EModel) (ITU-T G.107), in 256ths of R. Delay: Id of 7.4 with the defaults of
//! table 2, talker echo included, from a table in steps of 16 ms with linear interpolation; beyond the model's 1,000
//! ms it goes on rising as its formula does. Loss: Ie,eff of 7.5 at a burst ratio of 1, without Ie, which does not
//! depend on loss. The tests compare both with the model in `f64`. The cost is a multiplication for delay and a
//! division for loss.

use super::emodel::CodecImpairment;

/// 1 of R.
pub(crate) const ONE: u32 = 256;
/// A percent of loss.
pub(crate) const PERCENT: u32 = 256;

/// Step of the table, as a power of two of ms.
const STEP: u32 = 4;
/// Id less that of no delay, each 16 ms up to 1,024 ms.
const DELAY: [u16; 65] = [
    0, 142, 257, 359, 454, 544, 630, 712, 794, 891, 1042, 1293, 1667, 2143, 2679, 3239, 3800, 4348, 4877, 5382, 5863,
    6320, 6754, 7166, 7556, 7925, 8275, 8606, 8920, 9218, 9499, 9766, 9995, 10204, 10401, 10588, 10764, 10931, 11089,
    11238, 11379, 11513, 11639, 11759, 11872, 11980, 12082, 12179, 12271, 12358, 12441, 12520, 12595, 12666, 12734,
    12799, 12860, 12919, 12975, 13029, 13080, 13129, 13175, 13220, 13263,
];

/// What a one-way delay from mouth to ear takes off R.
pub(crate) fn of_delay(ms: u32) -> u32 {
    let at = (ms >> STEP).min(DELAY.len() as u32 - 2) as usize;
    let (before, after) = (u32::from(DELAY[at]), u32::from(DELAY[at + 1]));
    // Beyond the table the last of its lines goes on, as far as anybody waits.
    let over = ms.min(1 << 14) - ((at as u32) << STEP);
    before + (((after - before) * over) >> STEP)
}

/// How a codec suffers from packet loss: Ie and Bpl of ITU-T G.113, in tenths. It is the integer form of
/// [`CodecImpairment`], for decisions about delay and redundancy while packets arrive; [`adapt`](crate::adapt) and
/// [`Conversation`](crate::receive::Conversation) use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LossImpairment {
    /// Ie, 0 to 950.
    ie_tenths: u16,
    /// Bpl, 10 to 400.
    bpl_tenths: u16,
}

impl Default for LossImpairment {
    /// G.711 with concealment.
    fn default() -> Self {
        Self::from(CodecImpairment::G711_CONCEALED)
    }
}

impl From<CodecImpairment> for LossImpairment {
    /// Converts the values. Those beyond the range of table 2 of G.107 count as its ends.
    fn from(codec: CodecImpairment) -> Self {
        // Beyond a u16 `as` gives its ends, and 0 for what isn't a number.
        let tenths = |value: f64| (value * 10.0 + 0.5) as u16;
        Self { ie_tenths: tenths(codec.ie).min(400), bpl_tenths: tenths(codec.bpl).clamp(10, 400) }
    }
}

impl LossImpairment {
    /// What a share of sound that is made up, in 256ths of a percent, takes off R.
    pub(crate) fn of_loss(self, share: u32) -> u32 {
        let share = share.min(100 * PERCENT);
        // (95 - Ie) p / (p + Bpl), p and Bpl in 256ths of a percent: below 2^32.
        let most = (950 - u32::from(self.ie_tenths)) * ONE / 10;
        let bpl = u32::from(self.bpl_tenths) * PERCENT / 10;
        most * share / (share + bpl).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::emodel::EModel;
    use super::*;

    fn model(ms: f64) -> f64 {
        let at =
            |d: f64| EModel { echo_delay_ms: d, loop_delay_ms: 2.0 * d, absolute_delay_ms: d, ..EModel::default() };
        at(ms).rating().delay - at(0.0).rating().delay
    }

    #[test]
    fn delay_is_the_models_within_a_tenth_of_r() {
        let mut last = 0;
        for ms in 0..=1_000 {
            let got = of_delay(ms);
            assert!((f64::from(got) / f64::from(ONE) - model(f64::from(ms))).abs() < 0.1, "{ms} ms: {got}");
            assert!(got >= last, "{ms} ms");
            last = got;
        }
        // Echo counts to 500 ms and absolute delay to 1,000 ms in the model; here a longer delay costs more.
        assert!(of_delay(2_000) > last + 5 * ONE);
        assert!(of_delay(u32::MAX) >= of_delay(10_000));
    }

    #[test]
    fn loss_is_the_models() {
        for codec in [CodecImpairment::G711, CodecImpairment::G711_CONCEALED, CodecImpairment::G729A] {
            for percent in 0..=100 {
                let rating = EModel { codec, loss_percent: f64::from(percent), ..EModel::default() }.rating();
                let got = f64::from(LossImpairment::from(codec).of_loss(percent * PERCENT)) / f64::from(ONE);
                assert!((got - (rating.equipment - codec.ie)).abs() < 0.2, "{percent} %: {got}");
            }
        }
        assert_eq!(LossImpairment::default().of_loss(u32::MAX), LossImpairment::default().of_loss(100 * PERCENT));
        let wild = LossImpairment::from(CodecImpairment { ie: f64::NAN, bpl: -1.0 });
        assert!(wild.of_loss(PERCENT) > 0);
    }
}
