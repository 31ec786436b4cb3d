//! Application-defined packets (RFC 3550, 6.7).

use crate::time::Ssrc;

/// A checked view of an application-defined packet, APP (RFC 3550, 6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct App<'a> {
    subtype: u8,
    ssrc: Ssrc,
    name: [u8; 4],
    data: &'a [u8],
}

impl<'a> App<'a> {
    pub(super) fn parse(subtype: u8, body: &'a [u8]) -> Option<Self> {
        let (&ssrc, rest) = body.split_first_chunk()?;
        let (&name, data) = rest.split_first_chunk()?;
        Some(Self { subtype, ssrc: Ssrc(u32::from_be_bytes(ssrc)), name, data })
    }

    /// Subtype, 0 to 31, whose meaning depends on the name.
    pub const fn subtype(&self) -> u8 {
        self.subtype
    }

    /// SSRC of the sender.
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Name: four ASCII characters.
    pub const fn name(&self) -> [u8; 4] {
        self.name
    }

    /// Data: whole words of 32 bits.
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }
}
