//! The pages of an Ogg file (RFC 3533, 6), also of a damaged one: data that aren't a whole page with a right checksum are
//! skipped, up to the next valid page.

use std::io::{self, Read};

/// The pattern with which every page begins.
const CAPTURE: &[u8; 4] = b"OggS";
/// Octets of a page before its segment table.
const FIXED: usize = 27;
/// The most octets that may come before the first page, as some programs put their own data in front.
const MOST_BEFORE: u64 = 64 * 1024;
/// A file with more places where a page seems to begin but has a wrong checksum is given up.
const MOST_DAMAGED: u32 = 1_000;
/// Octets that are read at a time: more than the longest page has.
const BLOCK: u64 = 128 * 1024;

/// A page.
pub(super) struct Page {
    /// Whether the page begins with the rest of a packet of the page before.
    pub(super) continued: bool,
    /// The first of its stream.
    pub(super) begins: bool,
    /// The last of its stream.
    pub(super) ends: bool,
    /// The position at which the last packet that ends in this page ends; `None` if no packet does.
    pub(super) position: Option<u64>,
    pub(super) serial: u32,
    pub(super) number: u32,
    lacing: Vec<u8>,
    body: Vec<u8>,
}

impl Page {
    /// Returns the parts of packets in it, and of each whether its packet ends there.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let (mut begin, mut at) = (0, 0);
        let ends = self.lacing.iter().enumerate().filter_map(move |(n, &length)| {
            at += usize::from(length);
            let whole = length < 255;
            (whole || n + 1 == self.lacing.len()).then(|| (std::mem::replace(&mut begin, at)..at, whole))
        });
        ends.map(|(range, whole)| (self.body.get(range).unwrap_or_default(), whole))
    }
}

/// Reads the pages of a file.
pub(super) struct Pages<R> {
    input: R,
    buffer: Vec<u8>,
    /// The number of bytes of the buffer that were consumed.
    at: usize,
    found: bool,
    /// Octets that were passed over before the first page.
    before: u64,
    /// Pages, or what seemed to be some, with a wrong checksum or cut off.
    pub(super) damaged: u32,
    /// The last page isn't whole.
    pub(super) cut: bool,
}

impl<R: Read> Pages<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), at: 0, found: false, before: 0, damaged: 0, cut: false }
    }

    /// Returns the next page; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Page>> {
        loop {
            self.fill(FIXED)?;
            let left = &self.buffer[self.at..];
            if left.len() < CAPTURE.len() || self.damaged > MOST_DAMAGED || self.before > MOST_BEFORE {
                return Ok(None);
            }
            if !left.starts_with(CAPTURE) {
                let skip = left.windows(CAPTURE.len()).position(|four| four == CAPTURE);
                let skip = skip.unwrap_or(left.len() - (CAPTURE.len() - 1));
                self.at += skip;
                self.before += if self.found { 0 } else { skip as u64 };
                continue;
            }
            match self.page()? {
                Some(page) => {
                    (self.found, self.cut) = (true, false);
                    return Ok(Some(page));
                }
                None => self.at += 1,
            }
        }
    }

    /// The page that seems to begin here; `None` where it is none.
    fn page(&mut self) -> io::Result<Option<Page>> {
        let segments = self.buffer.get(self.at + FIXED - 1).copied().map_or(0, usize::from);
        self.fill(FIXED + segments)?;
        let body = |lacing: &[u8]| lacing.iter().map(|&length| usize::from(length)).sum::<usize>();
        let head = FIXED + segments;
        let whole = self.buffer.get(self.at + FIXED..self.at + head).map(|lacing| head + body(lacing));
        let there = match whole {
            Some(whole) if self.fill(whole)? => self.buffer.get(self.at..self.at + whole),
            _ => None,
        };
        let Some(page) = there else {
            self.cut = true;
            return Ok(None);
        };
        let (fixed, rest) = page.split_at(FIXED);
        let &[
            _,
            _,
            _,
            _,
            version,
            flags,
            p0,
            p1,
            p2,
            p3,
            p4,
            p5,
            p6,
            p7,
            s0,
            s1,
            s2,
            s3,
            n0,
            n1,
            n2,
            n3,
            c0,
            c1,
            c2,
            c3,
            _,
        ] = fixed
        else {
            return Ok(None);
        };
        // The checksum counts as 0 in itself.
        let sum = [&fixed[..22], &[0; 4], &fixed[26..], rest].iter().fold(0, |sum, part| checksum(sum, part));
        if version != 0 || sum != u32::from_le_bytes([c0, c1, c2, c3]) {
            self.damaged += 1;
            return Ok(None);
        }
        let position = u64::from_le_bytes([p0, p1, p2, p3, p4, p5, p6, p7]);
        let (lacing, body) = rest.split_at(segments);
        let page = Page {
            continued: flags & 1 != 0,
            begins: flags & 2 != 0,
            ends: flags & 4 != 0,
            position: (position != u64::MAX).then_some(position),
            serial: u32::from_le_bytes([s0, s1, s2, s3]),
            number: u32::from_le_bytes([n0, n1, n2, n3]),
            lacing: lacing.to_vec(),
            body: body.to_vec(),
        };
        self.at += FIXED + page.lacing.len() + page.body.len();
        Ok(Some(page))
    }

    /// Fills the buffer to at least this many octets. Returns `false` if the file doesn't have them.
    fn fill(&mut self, bytes: usize) -> io::Result<bool> {
        if self.buffer.len() - self.at < bytes {
            self.buffer.drain(..self.at);
            self.at = 0;
            self.input.by_ref().take(BLOCK).read_to_end(&mut self.buffer)?;
        }
        Ok(self.buffer.len() - self.at >= bytes)
    }
}

/// Returns the checksum of RFC 3533, 6: a CRC with the polynomial 0x04c11db7, from the highest bit.
fn checksum(sum: u32, bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut n = 0;
        while n < 256 {
            let mut sum = (n as u32) << 24;
            let mut bit = 0;
            while bit < 8 {
                sum = (sum << 1) ^ if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 };
                bit += 1;
            }
            table[n] = sum;
            n += 1;
        }
        table
    };
    bytes.iter().fold(sum, |sum, &byte| (sum << 8) ^ TABLE[usize::from((sum >> 24) as u8 ^ byte)])
}
