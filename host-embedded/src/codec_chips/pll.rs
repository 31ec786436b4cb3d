//! PLLs that several chips have alike.

/// The PLL of Wolfson's and Nuvoton's chips: `f2 = f1 * (N + K / 2^24)`, with `f1` MCLK or half of it, and a divider by four
/// after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fractional {
    /// Whether MCLK is halved before it.
    pub(super) halved: bool,
    /// The whole part.
    pub(super) n: u16,
    /// The fraction, in 2^-24.
    pub(super) k: u32,
}

impl Fractional {
    /// The highest and lowest frequency of its oscillator, within which it is stable: 90 to 100 MHz.
    pub(super) const OSCILLATOR: core::ops::RangeInclusive<u64> = 90_000_000..=100_000_000;

    /// Returns the settings for which a quarter of the oscillator is `output_hz`; `None` if that is outside the PLL's limits: N
    /// from 6 to 12.
    pub(super) fn for_output(mclk_hz: u32, output_hz: u64) -> Option<Self> {
        let oscillator = output_hz * 4;
        if !Self::OSCILLATOR.contains(&oscillator) || mclk_hz == 0 {
            return None;
        }
        [false, true].into_iter().find_map(|halved| {
            let half = u64::from(halved);
            // N and K together, rounded: 28 bits.
            let ratio = ((oscillator << (24 + half)) + u64::from(mclk_hz) / 2) / u64::from(mclk_hz);
            let (n, k) = (ratio >> 24, (ratio & 0xff_ffff) as u32);
            (6..=12).contains(&n).then_some(Self { halved, n: n as u16, k })
        })
    }

    /// Returns a quarter of its oscillator, in 2^-16 Hz.
    pub(super) fn output(self, mclk_hz: u32) -> u64 {
        let ratio = (u64::from(self.n) << 24) | u64::from(self.k);
        // 25 MHz * 13 * 2^24 fits into 53 bits.
        (u64::from(mclk_hz) * ratio) >> (10 + u32::from(self.halved))
    }
}
