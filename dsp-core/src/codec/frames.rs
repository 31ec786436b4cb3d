//! Lengths of sound that one payload can have.

use core::fmt;

/// Lengths of sound that a codec can put into one payload, which are the possible packet lengths.
/// ```
/// use dsp_core::codec::Frames;
/// use dsp_core::codec::ilbc::{IlbcEncoder, IlbcMode};
/// use dsp_core::codec::Encoder;
///
/// let frames = IlbcEncoder::new(IlbcMode::Ms30).frames();
/// assert_eq!(frames, Frames::Of(30_000));
/// assert!(frames.has(60_000) && !frames.has(20_000));
/// assert_eq!(frames.packet_ms(50), 30);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Frames {
    /// Any number of samples.
    Any,
    /// Any whole number of frames of this many microseconds.
    Of(u32),
    /// One of these lengths, in microseconds, shortest first.
    OneOf(&'static [u32]),
}

impl Frames {
    /// The greatest packet length up to `wished_ms`, in whole milliseconds; one frame if that is longer.
    pub fn packet_ms(self, wished_ms: u32) -> u32 {
        match self {
            Self::Any => wished_ms,
            Self::Of(frame_us) => {
                let frame_ms = (frame_us / 1_000).max(1);
                frame_ms * (wished_ms / frame_ms).max(1)
            }
            Self::OneOf(lengths_us) => {
                let whole = || lengths_us.iter().filter(|us| *us % 1_000 == 0).map(|us| us / 1_000);
                let below = whole().rfind(|ms| *ms <= wished_ms);
                below.or_else(|| whole().next()).unwrap_or(wished_ms)
            }
        }
    }

    /// The greatest packet length up to `wished_ms` whose payload at `bit_rate_bps` has at most `payload_bytes`, in
    /// ms. A length that is too long is shortened in steps of 10 ms, as SDP gives lengths. If none is short enough,
    /// the shortest length of at least 10 ms.
    pub fn packet_ms_within(self, wished_ms: u32, bit_rate_bps: u32, payload_bytes: usize) -> u32 {
        let mut ms = self.packet_ms(wished_ms);
        while bytes_of(ms, bit_rate_bps) > payload_bytes {
            let shorter = (1..ms.div_ceil(10)).rev().map(|tens| tens * 10).find(|ms| self.packet_ms(*ms) == *ms);
            let Some(shorter) = shorter else { break };
            ms = shorter;
        }
        ms
    }

    /// Whether a payload can hold this much sound, in microseconds.
    pub fn has(self, us: u32) -> bool {
        match self {
            Self::Any => us > 0,
            Self::Of(frame_us) => us > 0 && us.is_multiple_of(frame_us),
            Self::OneOf(lengths_us) => lengths_us.contains(&us),
        }
    }
}

/// Bytes of a payload of `ms` at `bit_rate_bps`.
pub(crate) fn bytes_of(ms: u32, bit_rate_bps: u32) -> usize {
    (u64::from(bit_rate_bps) * u64::from(ms)).div_ceil(8_000) as usize
}

/// As in "packets can be ...".
impl fmt::Display for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => write!(f, "of any length"),
            Self::Of(us) => write!(f, "of any multiple of {us} us"),
            Self::OneOf(lengths_us) => write!(f, "of one of {lengths_us:?} us"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_lengths() {
        assert_eq!([10, 25, 60].map(|ms| Frames::Any.packet_ms(ms)), [10, 25, 60]);
        assert_eq!([10, 20, 50, 60].map(|ms| Frames::Of(20_000).packet_ms(ms)), [20, 20, 40, 60]);
        assert_eq!([10, 20, 50, 60].map(|ms| Frames::Of(30_000).packet_ms(ms)), [30, 30, 30, 60]);
        let opus = Frames::OneOf(&[2_500, 5_000, 10_000, 20_000, 40_000, 60_000]);
        assert_eq!([1, 5, 10, 30, 50, 60].map(|ms| opus.packet_ms(ms)), [5, 5, 10, 20, 40, 60]);
        assert!(opus.has(2_500) && !opus.has(30_000) && !opus.has(0));
        assert!(Frames::Of(20_000).has(40_000) && !Frames::Of(20_000).has(30_000));
        assert!(!Frames::Any.has(0) && !Frames::Of(20_000).has(0));
    }

    #[test]
    fn packets_within_a_number_of_bytes() {
        // L16 at 48 kHz.
        assert_eq!([10, 20, 60].map(|ms| Frames::Any.packet_ms_within(ms, 768_000, 1_200)), [10, 10, 10]);
        assert_eq!(Frames::Any.packet_ms_within(60, 64_000, 320), 40);
        assert_eq!([100, 100, 1].map(|bytes| Frames::Of(30_000).packet_ms_within(60, 16_000, bytes)), [30, 30, 30]);
        let opus = Frames::OneOf(&[2_500, 5_000, 10_000, 20_000, 40_000, 60_000]);
        assert_eq!([512_000, 200_000, 64_000].map(|bps| opus.packet_ms_within(60, bps, 1_142)), [10, 40, 60]);
    }
}
