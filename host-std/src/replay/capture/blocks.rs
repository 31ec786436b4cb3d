//! Pieces of a capture file, one after the other, with the place where each begins.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use super::input::Input;

/// The number of bytes that are read at a time.
const BUFFER: usize = 1 << 16;
/// The bytes of the beginning that identify the format.
const BEGINNING: u64 = 32;

/// A piece that was asked for.
pub(super) enum ReadOutcome<T> {
    Whole(T),
    /// The file ends within it.
    Short,
    /// The file ends before it.
    End,
}

/// The file, and how far it was read.
pub(super) struct Blocks<R: Read> {
    input: BufReader<Chain<Cursor<Vec<u8>>, Input<R>>>,
    beginning: Vec<u8>,
    /// The number of bytes read; in a compressed file, of the decompressed ones.
    pub(super) at: u64,
    body: Vec<u8>,
}

impl<R: Read> Blocks<R> {
    pub(super) fn new(mut input: Input<R>) -> io::Result<Self> {
        let mut beginning = Vec::new();
        (&mut input).take(BEGINNING).read_to_end(&mut beginning)?;
        let input = BufReader::with_capacity(BUFFER, Cursor::new(beginning.clone()).chain(input));
        Ok(Self { input, beginning, at: 0, body: Vec::new() })
    }

    /// Returns the first bytes of the file.
    pub(super) fn beginning(&self) -> &[u8] {
        &self.beginning
    }

    pub(super) fn input(&self) -> &Input<R> {
        self.input.get_ref().get_ref().1
    }

    /// Returns the next `N` bytes.
    pub(super) fn head<const N: usize>(&mut self) -> io::Result<ReadOutcome<[u8; N]>> {
        Ok(match self.body(N)? {
            ReadOutcome::Whole(body) => body.try_into().map_or(ReadOutcome::Short, ReadOutcome::Whole),
            ReadOutcome::Short => ReadOutcome::Short,
            ReadOutcome::End => ReadOutcome::End,
        })
    }

    /// Reads the next `length` bytes; memory grows with the data that exist, not with the length that is asked for.
    pub(super) fn body(&mut self, length: usize) -> io::Result<ReadOutcome<&[u8]>> {
        self.body.clear();
        let read = (&mut self.input).take(length as u64).read_to_end(&mut self.body)?;
        self.at += read as u64;
        Ok(match read {
            read if read == length => ReadOutcome::Whole(&self.body),
            0 => ReadOutcome::End,
            _ => ReadOutcome::Short,
        })
    }

    /// Returns the next line, of at most `most` bytes, with its end.
    pub(super) fn line(&mut self, most: u64) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        (&mut self.input).take(most).read_until(b'\n', &mut line)?;
        self.at += line.len() as u64;
        Ok(line)
    }
}

/// Bytes in the order of the machine that wrote them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// Returns the number at `at`, if it is there.
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = bytes.get(at..)?.first_chunk()?;
        Some(if self == Self::Big { u16::from_be_bytes(*bytes) } else { u16::from_le_bytes(*bytes) })
    }

    pub(super) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = bytes.get(at..)?.first_chunk()?;
        Some(if self == Self::Big { u32::from_be_bytes(*bytes) } else { u32::from_le_bytes(*bytes) })
    }

    pub(super) fn i64(self, bytes: &[u8], at: usize) -> Option<i64> {
        let bytes = bytes.get(at..)?.first_chunk()?;
        Some(if self == Self::Big { i64::from_be_bytes(*bytes) } else { i64::from_le_bytes(*bytes) })
    }
}
