//! What a description says about a master key besides its bytes: the identifier in each packet (RFC 3711, 3.1; RFC
//! 4568, 6.1), its lifetime in packets, and what stays unencrypted (RFC 4568, 6.3.2).

use super::direction::{LAST_RTCP, LAST_RTP};

/// A master key identifier (MKI, RFC 3711, 3.1): a number of fixed length, highest byte first, in each packet. A
/// receiver with several keys knows by it which one to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mki {
    value: u64,
    bytes: u8,
}

impl Mki {
    /// Bytes of the longest identifier (RFC 4568, 6.1).
    pub const LONGEST: u8 = 128;

    /// The identifier `value` in `bytes` bytes, 1 to 128; `None` if the value does not fit.
    pub const fn new(value: u64, bytes: u8) -> Option<Self> {
        let fits = bytes >= 8 || value >> (8 * bytes as u32) == 0;
        if bytes >= 1 && bytes <= Self::LONGEST && fits { Some(Self { value, bytes }) } else { None }
    }

    /// Value of the identifier.
    pub const fn value(self) -> u64 {
        self.value
    }

    /// Bytes of the identifier in each packet.
    pub const fn len_bytes(self) -> usize {
        self.bytes as usize
    }

    fn octets(self) -> impl Iterator<Item = u8> {
        (0..self.bytes).rev().map(move |place| if place < 8 { (self.value >> (8 * place)) as u8 } else { 0 })
    }

    /// Writes it into a field of its length.
    pub(super) fn write(self, field: &mut [u8]) {
        field.iter_mut().zip(self.octets()).for_each(|(byte, octet)| *byte = octet);
    }

    /// Whether it is what stands in this field. It is no secret.
    pub(super) fn is(self, field: &[u8]) -> bool {
        field.len() == self.len_bytes() && self.octets().eq(field.iter().copied())
    }
}

/// The terms on which a master key is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KeyTerms {
    /// Identifier in each packet; usually none.
    pub mki: Option<Mki>,
    /// Number of packets that the key may protect, counted separately for RTP and RTCP (RFC 4568, 6.1). It is at most
    /// 2^48 for RTP and 2^31 for RTCP (RFC 3711, 9.2), and 0 counts as 1.
    pub lifetime_packets: u64,
    /// Whether RTP is authenticated but not encrypted: `UNENCRYPTED_SRTP` (RFC 4568, 6.3.2).
    pub clear_rtp: bool,
    /// Whether RTCP is authenticated but not encrypted: `UNENCRYPTED_SRTCP` (RFC 4568, 6.3.2). The E bit of an
    /// incoming packet tells whether it is encrypted.
    pub clear_rtcp: bool,
}

impl Default for KeyTerms {
    /// No identifier, the longest lifetime, everything encrypted.
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl KeyTerms {
    /// As `default()`.
    pub(super) const DEFAULT: Self =
        Self { mki: None, lifetime_packets: LAST_RTP + 1, clear_rtp: false, clear_rtcp: false };

    pub(super) fn rtp_packets(&self) -> u64 {
        self.lifetime_packets.clamp(1, LAST_RTP + 1)
    }

    pub(super) fn rtcp_packets(&self) -> u64 {
        self.lifetime_packets.clamp(1, LAST_RTCP + 1)
    }

    pub(super) const fn mki_bytes(&self) -> usize {
        match self.mki {
            Some(mki) => mki.len_bytes(),
            None => 0,
        }
    }
}

/// How much of its lifetime a key has used: in either direction, RTP or RTCP, whichever is nearest to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum KeyAge {
    /// There is nothing to do.
    #[default]
    Fresh,
    /// The key ends within 4,096 RTP packets (82 s of 20 ms) or 32 RTCP packets, or has used half of its lifetime if
    /// that is less. It is time for another key.
    Due,
    /// The key protects nothing more, and nothing more is accepted under it.
    Over,
}

/// How many packets before its end a key is due.
const RTP_AHEAD: u64 = 4_096;
const RTCP_AHEAD: u64 = 32;

impl KeyAge {
    pub(super) fn of(terms: &KeyTerms, rtp: u64, rtcp: u64) -> Self {
        let age = |used: u64, most: u64, ahead: u64| match most.saturating_sub(used) {
            0 => Self::Over,
            left if left <= ahead.min(most / 2) => Self::Due,
            _ => Self::Fresh,
        };
        age(rtp, terms.rtp_packets(), RTP_AHEAD).max(age(rtcp, terms.rtcp_packets(), RTCP_AHEAD))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_written_as_it_is_read() {
        for (value, bytes) in [(0, 1), (255, 1), (1, 4), (0x0102_0304_0506_0708, 8), (u64::MAX, 9), (3, 128)] {
            let mki = Mki::new(value, bytes).unwrap();
            let mut field = std::vec![0xee; mki.len_bytes()];
            mki.write(&mut field);
            assert!(mki.is(&field), "{value} {bytes}");
            assert!(!mki.is(&field[1..]));
            field[usize::from(bytes) - 1] ^= 1;
            assert!(!mki.is(&field));
        }
        let mut field = [0; 3];
        Mki::new(0x0102, 3).unwrap().write(&mut field);
        assert_eq!(field, [0, 1, 2]);
        for (value, bytes) in [(256, 1), (1, 0), (1, 129), (1 << 32, 4)] {
            assert_eq!(Mki::new(value, bytes), None, "{value} {bytes}");
        }
    }

    #[test]
    fn a_key_is_due_before_it_ends() {
        let terms = |lifetime_packets| KeyTerms { lifetime_packets, ..KeyTerms::default() };
        let ages = |terms: KeyTerms, rtp, rtcp| KeyAge::of(&terms, rtp, rtcp);
        assert_eq!(ages(terms(1 << 20), (1 << 20) - 4_097, 0), KeyAge::Fresh);
        assert_eq!(ages(terms(1 << 20), (1 << 20) - 4_096, 0), KeyAge::Due);
        assert_eq!(ages(terms(1 << 20), 1 << 20, 0), KeyAge::Over);
        assert_eq!(ages(terms(10), 4, 0), KeyAge::Fresh);
        assert_eq!(ages(terms(10), 5, 0), KeyAge::Due);
        assert_eq!(ages(terms(10), 0, 10), KeyAge::Over);
        assert_eq!(ages(KeyTerms::default(), 1 << 47, (1 << 31) - 33), KeyAge::Fresh);
        assert_eq!(ages(KeyTerms::default(), 0, (1 << 31) - 32), KeyAge::Due);
        assert_eq!(ages(terms(0), 0, 0), KeyAge::Fresh);
        assert_eq!(ages(terms(0), 1, 0), KeyAge::Over);
    }
}
