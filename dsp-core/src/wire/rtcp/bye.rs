//! Goodbye (RFC 3550, 6.6): the sources that leave, and why.

use crate::time::Ssrc;

/// A checked view of a goodbye packet, BYE (RFC 3550, 6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bye<'a> {
    ssrcs: &'a [[u8; 4]],
    reason: Option<&'a [u8]>,
}

impl<'a> Bye<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let (ssrcs, rest) = body.split_at_checked(4 * usize::from(count))?;
        let reason = match rest.split_first() {
            Some((&len, text)) => Some(text.get(..usize::from(len))?),
            None => None,
        };
        Some(Self { ssrcs: ssrcs.as_chunks().0, reason })
    }

    /// Sources that leave, at most 31.
    pub fn ssrcs(&self) -> impl ExactSizeIterator<Item = Ssrc> + 'a {
        self.ssrcs.iter().map(|&ssrc| Ssrc(u32::from_be_bytes(ssrc)))
    }

    /// Reason for leaving, as in the packet; it is not checked to be UTF-8.
    pub const fn reason(&self) -> Option<&'a [u8]> {
        self.reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_is_optional_and_bounded() {
        let bye = Bye::parse(1, &[0, 0, 0, 5, 3, b'e', b'n', b'd']).unwrap();
        assert!(bye.ssrcs().eq([Ssrc(5)]));
        assert_eq!(bye.reason(), Some(&b"end"[..]));
        assert_eq!(Bye::parse(1, &[0, 0, 0, 5]).unwrap().reason(), None);
        assert_eq!(Bye::parse(1, &[0, 0, 0, 5, 4, b'e', b'n', b'd']), None);
        assert_eq!(Bye::parse(2, &[0, 0, 0, 5]), None);
        assert_eq!(Bye::parse(0, &[]).unwrap().ssrcs().len(), 0);
    }
}
