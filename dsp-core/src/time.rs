//! Time and the counters of RTP, each as a type of its own, so that milliseconds, ticks and sequence numbers cannot be
//! confused.
//!
//! This crate never reads a clock. A program passes an [`Instant`], microseconds on a monotonic clock with an epoch of
//! the program's choice. [`NtpTime`] is the wall clock, which only RTCP sender reports need (RFC 3550, 4 and 6.4.1).
//! Sequence numbers and timestamps wrap (RFC 3550, 5.1), and all comparison here is modulo their width. Everything is
//! integer arithmetic on plain copies, a few instructions each. Every other module takes and returns these types.
//!
//! Numbers that wrap, and units that do not mix:
//!
//! ```
//! use dsp_core::time::{Duration, Instant, RtpTime, Seq};
//!
//! // A packet after the wrap is two later than one before it.
//! assert_eq!(Seq(0).distance(Seq(65_534)), 2);
//! assert_eq!(RtpTime(100).distance(RtpTime(0xffff_ffff)), 101);
//! let begun = Instant::from_millis(5);
//! let now = begun + Duration::from_samples(160, 8_000);
//! assert_eq!(now.since(begun), Duration::from_millis(20));
//! // Time that runs backwards is none.
//! assert_eq!(begun.since(now), Duration::ZERO);
//! ```

use core::ops::{Add, AddAssign, Sub};

/// A point on the program's monotonic clock, in microseconds since an epoch of the program's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(u64);

impl Instant {
    /// The epoch.
    pub const ZERO: Self = Self(0);

    /// The instant this many microseconds after the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The instant this many milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Milliseconds since the epoch, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Time since `earlier`; zero if `earlier` is in the future.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs.0))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(rhs.0))
    }
}

/// A length of time, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Duration(u64);

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A duration of this many microseconds.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// A duration of this many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000)
    }

    /// A duration of this many seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000_000)
    }

    /// Duration of `samples` samples of each channel at `rate_hz`, rounded down to a microsecond. A rate of 0 counts as
    /// 1 Hz.
    pub const fn from_samples(samples: u64, rate_hz: u32) -> Self {
        Self(samples * 1_000_000 / if rate_hz == 0 { 1 } else { rate_hz as u64 })
    }

    /// The duration in microseconds.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The duration in milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// The duration in samples at `rate_hz`, rounded down.
    pub const fn as_samples(self, rate_hz: u32) -> u64 {
        self.0 * rate_hz as u64 / 1_000_000
    }
}

impl Add for Duration {
    type Output = Self;
    fn add(self, rhs: Self) -> Self {
        Self(self.0.saturating_add(rhs.0))
    }
}

/// An RTP sequence number (RFC 3550, 5.1): 16 bits, and it wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Seq(pub u16);

impl Seq {
    /// The sequence number `n` packets later.
    pub const fn plus(self, n: u16) -> Self {
        Self(self.0.wrapping_add(n))
    }

    /// How many packets `self` is after `other`, on the shorter way around; negative if it is before.
    pub const fn distance(self, other: Self) -> i16 {
        self.0.wrapping_sub(other.0) as i16
    }
}

/// An RTP timestamp, in ticks of the payload format's RTP clock (RFC 3550, 5.1): 32 bits, and it wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RtpTime(pub u32);

impl RtpTime {
    /// The timestamp `ticks` later.
    pub const fn plus(self, ticks: u32) -> Self {
        Self(self.0.wrapping_add(ticks))
    }

    /// How many ticks `self` is after `other`, on the shorter way around; negative if it is before.
    pub const fn distance(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }
}

/// A synchronisation source identifier (RFC 3550, 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ssrc(pub u32);

/// An RTP payload type, 0 to 127 (RFC 3551).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PayloadType(u8);

impl PayloadType {
    /// PCMU, 8000 Hz, mono (RFC 3551, table 4).
    pub const PCMU: Self = Self(0);
    /// PCMA, 8000 Hz, mono (RFC 3551, table 4).
    pub const PCMA: Self = Self(8);
    /// G722, with a clock of 8000 Hz, mono (RFC 3551, table 4 and 4.5.2).
    pub const G722: Self = Self(9);
    /// Comfort noise at a clock of 8000 Hz (RFC 3389, 4).
    pub const COMFORT_NOISE: Self = Self(13);

    /// A payload type; `None` above 127.
    pub const fn new(value: u8) -> Option<Self> {
        if value < 128 { Some(Self(value)) } else { None }
    }

    /// The lower seven bits of `byte`, as they are in an RTP header beside the marker bit.
    pub const fn from_low_bits(byte: u8) -> Self {
        Self(byte & 0x7f)
    }

    /// The number, 0 to 127.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// Wall clock time as NTP's 64-bit fixed point: seconds since 1900 and fractions of 2^-32 s (RFC 3550, 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// Seconds from 1900-01-01 to 1970-01-01.
    const UNIX_EPOCH_SECONDS: u64 = 2_208_988_800;

    /// The time this many microseconds after the Unix epoch.
    pub const fn from_unix_micros(micros: u64) -> Self {
        Self::of(micros / 1_000_000 + Self::UNIX_EPOCH_SECONDS, micros % 1_000_000)
    }

    /// Seconds, modulo 2^32, and less than a million microseconds.
    const fn of(seconds: u64, micros: u64) -> Self {
        Self((seconds << 32) | ((micros << 32) / 1_000_000))
    }

    /// The middle 32 bits, in 1/65536 s, with which LSR and DLSR are computed (RFC 3550, 6.4.1).
    pub const fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// The time `elapsed` later.
    pub const fn plus(self, elapsed: Duration) -> Self {
        let micros = elapsed.as_micros();
        Self(self.0.wrapping_add(Self::of(micros / 1_000_000, micros % 1_000_000).0))
    }

    /// The time this many microseconds later, or earlier if `micros` is negative.
    pub const fn plus_micros(self, micros: i64) -> Self {
        let (seconds, rest) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        Self(self.0.wrapping_add(Self::of(seconds as u64, rest as u64).0))
    }

    /// Microseconds since `other`, negative if `other` is later. The difference must be within 68 years.
    pub const fn micros_since(self, other: Self) -> i64 {
        let difference = self.0.wrapping_sub(other.0) as i64;
        // Seconds and fraction apart: their product with a million fits.
        (difference >> 32) * 1_000_000 + (((difference & 0xffff_ffff) * 1_000_000) >> 32)
    }
}

/// The greatest common divisor of two rates or clocks, in Hz, of which at most one is 0.
pub const fn common_divisor(one: u32, other: u32) -> u32 {
    let (mut common, mut rest) = (one, other);
    while rest > 0 {
        (common, rest) = (rest, common % rest);
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_a_common_divisor() {
        const COMMON: u32 = common_divisor(44_100, 48_000);
        assert_eq!((COMMON, common_divisor(48_000, 44_100), common_divisor(8_000, 8_000)), (300, 300, 8_000));
        assert_eq!((common_divisor(191_999, 8_000), common_divisor(0, 7), common_divisor(7, 0)), (1, 7, 7));
    }

    #[test]
    fn sequence_numbers_wrap() {
        assert_eq!(Seq(2).distance(Seq(65_534)), 4);
        assert_eq!(Seq(65_534).distance(Seq(2)), -4);
        assert_eq!(RtpTime(10).distance(RtpTime(u32::MAX - 9)), 20);
    }

    #[test]
    fn ntp_of_unix_epoch() {
        assert_eq!(NtpTime::from_unix_micros(0).0 >> 32, 2_208_988_800);
        assert_eq!(NtpTime::from_unix_micros(500_000).0 as u32, 1 << 31);
        let later = NtpTime::from_unix_micros(0).plus(Duration::from_millis(250));
        assert_eq!(later, NtpTime::from_unix_micros(250_000));
    }

    #[test]
    fn difference_of_wall_clocks() {
        const START: NtpTime = NtpTime::from_unix_micros(1_700_000_000_000_000);
        let later = START.plus(Duration::from_millis(1_500));
        assert_eq!((later.micros_since(START), START.micros_since(later)), (1_500_000, -1_500_000));
        for us in [0, 1, -1, 999_999, -1_000_001, 5_000_000_000_000, -5_000_000_000_000] {
            assert!((START.plus_micros(us).micros_since(START) - us).abs() <= 1, "{us}");
        }
        assert_eq!(START.plus_micros(1_500_001), START.plus(Duration::from_micros(1_500_001)));
        // Over the end of NTP's era, in 2036.
        assert_eq!(NtpTime(1 << 31).micros_since(NtpTime(u64::MAX - (1 << 31) + 1)), 1_000_000);
    }
}
