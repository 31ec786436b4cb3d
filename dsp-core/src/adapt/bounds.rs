//! Between which rates a call adapts.

/// Bounds of the rate, in bit/s with all headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RateBounds {
    /// Lowest rate at which a call is still possible, in bit/s.
    pub least_bps: u32,
    /// Highest rate that was agreed on and can be used, in bit/s.
    pub most_bps: u32,
}

impl RateBounds {
    /// Where a rate lies between the bounds, in 64ths.
    pub(super) fn place(&self, bps: u32) -> u64 {
        let above = u64::from(bps.saturating_sub(self.least_bps));
        (64 * above / u64::from(self.most_bps.saturating_sub(self.least_bps).max(1))).min(64)
    }

    /// The nearest rate within the bounds. Where the highest is below the lowest, the lowest applies.
    pub const fn clamp(&self, bps: u32) -> u32 {
        let most = if self.most_bps < self.least_bps { self.least_bps } else { self.most_bps };
        if bps < self.least_bps {
            self.least_bps
        } else if bps > most {
            most
        } else {
            bps
        }
    }
}
