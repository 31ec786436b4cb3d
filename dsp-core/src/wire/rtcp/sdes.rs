//! Source description (RFC 3550, 6.5): chunks of items, each chunk ended by a null byte and filled to a 32-bit word.

use crate::slices::part;
use crate::time::Ssrc;

/// One item of a source description: a type, and up to 255 bytes of UTF-8 without a final null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SdesItem<'a> {
    /// Type of the item, not 0, such as [`SdesItem::CNAME`].
    pub kind: u8,
    /// Text as in the packet; it is not checked to be UTF-8. The text of a PRIV item begins with the length of its
    /// prefix.
    pub value: &'a [u8],
}

impl SdesItem<'_> {
    /// Canonical end-point name (6.5.1).
    pub const CNAME: u8 = 1;
    /// User name (6.5.2).
    pub const NAME: u8 = 2;
    /// Electronic mail address (6.5.3).
    pub const EMAIL: u8 = 3;
    /// Phone number (6.5.4).
    pub const PHONE: u8 = 4;
    /// Geographic location (6.5.5).
    pub const LOC: u8 = 5;
    /// Application or tool name (6.5.6).
    pub const TOOL: u8 = 6;
    /// Notice or status (6.5.7).
    pub const NOTE: u8 = 7;
    /// Private extension (6.5.8).
    pub const PRIV: u8 = 8;
}

/// The first item in `bytes` and what follows it. `None`: end of the chunk (`Ok`) or of the bytes (`Err`).
fn next_item(bytes: &[u8]) -> Result<Option<(SdesItem<'_>, &[u8])>, ()> {
    match *bytes {
        [0, ..] => Ok(None),
        [kind, len, ref rest @ ..] => {
            let (value, rest) = rest.split_at_checked(usize::from(len)).ok_or(())?;
            Ok(Some((SdesItem { kind, value }, rest)))
        }
        _ => Err(()),
    }
}

/// Splits the first chunk from what follows it; `None` if it isn't whole.
fn next_chunk(bytes: &[u8]) -> Option<(SdesChunk<'_>, &[u8])> {
    let (&ssrc, items) = bytes.split_first_chunk()?;
    let mut rest = items;
    while let Some((_, after)) = next_item(rest).ok()? {
        rest = after;
    }
    let items_len = items.len() - rest.len();
    // The null byte is part of the chunk, and so are the bytes up to the next word.
    let (_, rest) = items.split_at_checked((items_len + 1).next_multiple_of(4))?;
    Some((SdesChunk { ssrc: Ssrc(u32::from_be_bytes(ssrc)), items: part(items, 0, items_len) }, rest))
}

/// A checked view of a source description packet, SDES (RFC 3550, 6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sdes<'a> {
    count: u8,
    chunks: &'a [u8],
}

impl<'a> Sdes<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let mut rest = body;
        for _ in 0..count {
            (_, rest) = next_chunk(rest)?;
        }
        Some(Self { count, chunks: part(body, 0, body.len() - rest.len()) })
    }

    /// The chunks, at most 31.
    pub fn chunks(&self) -> impl Iterator<Item = SdesChunk<'a>> + 'a {
        let mut rest = self.chunks;
        (0..self.count).map_while(move |_| {
            let (chunk, after) = next_chunk(rest)?;
            rest = after;
            Some(chunk)
        })
    }

    /// Canonical name of `ssrc`, if the packet has it.
    pub fn cname(&self, ssrc: Ssrc) -> Option<&'a [u8]> {
        self.chunks()
            .filter(|chunk| chunk.ssrc == ssrc)
            .flat_map(|chunk| chunk.items())
            .find_map(|item| (item.kind == SdesItem::CNAME).then_some(item.value))
    }
}

/// The items that describe one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdesChunk<'a> {
    ssrc: Ssrc,
    items: &'a [u8],
}

impl<'a> SdesChunk<'a> {
    /// SSRC of the source.
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Items of the source.
    pub const fn items(&self) -> SdesItems<'a> {
        SdesItems { rest: self.items }
    }
}

/// The items of a chunk.
#[derive(Clone, Debug)]
pub struct SdesItems<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for SdesItems<'a> {
    type Item = SdesItem<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (item, rest) = next_item(self.rest).ok()??;
        self.rest = rest;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_end_at_a_word_behind_their_null() {
        // Items of 3, 2 and 5 bytes: chunk ends 1, 2 and 3 nulls later.
        let body = [
            0, 0, 0, 1, 1, 1, b'a', 0, //
            0, 0, 0, 2, 6, 0, 0, 0, //
            0, 0, 0, 3, 1, 3, b'x', b'y', b'z', 0, 0, 0,
        ];
        let sdes = Sdes::parse(3, &body).unwrap();
        assert!(sdes.chunks().map(|chunk| chunk.ssrc()).eq([Ssrc(1), Ssrc(2), Ssrc(3)]));
        assert_eq!(sdes.cname(Ssrc(1)), Some(&b"a"[..]));
        assert_eq!(sdes.cname(Ssrc(2)), None);
        assert_eq!(sdes.cname(Ssrc(3)), Some(&b"xyz"[..]));
        for len in 0..body.len() {
            assert_eq!(Sdes::parse(3, &body[..len]), None, "{len}");
        }
    }

    #[test]
    fn a_chunk_without_its_null_is_malformed() {
        assert_eq!(Sdes::parse(1, &[0, 0, 0, 1, 1, 2, b'a', b'b']), None);
        assert_eq!(Sdes::parse(1, &[0, 0, 0, 1, 1, 200, b'a', b'b']), None);
        assert!(Sdes::parse(0, &[]).is_some_and(|sdes| sdes.chunks().next().is_none()));
    }
}
