//! Application-defined packets (RFC 3550, 6.7).

use crate::time::Ssrc;

/// A view on an APP packet.
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

    /// The subtype, 0-31, whose meaning the name gives.
    pub const fn subtype(&self) -> u8 {
        self.subtype
    }

    /// Who sent it.
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// The name, four ASCII characters.
    pub const fn name(&self) -> [u8; 4] {
        self.name
    }

    /// The data: whole 32-bit words.
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }
}
