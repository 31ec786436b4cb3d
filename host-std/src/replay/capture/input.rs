//! The bytes of a capture, unpacked where gzip packed them.

use std::io::{self, Chain, Cursor, ErrorKind, Read};

use flate2::read::MultiGzDecoder;

/// Bytes that a gzip file may unpack to, however small it is.
const UNPACKED: u64 = 1 << 26;
/// Bytes that it may unpack to for each of its own. Captures of silence have about 40.
const UNPACKED_EACH: u64 = 100;

type Raw<R> = Chain<Cursor<Vec<u8>>, R>;

/// A file as it is, or as gzip (RFC 1952) unpacks it. Where packed data break off, the file ends, and
/// [`problem`](Self::problem) says why.
pub(super) enum Input<R: Read> {
    Plain(Raw<R>),
    Gzip { decoder: Box<MultiGzDecoder<Counted<R>>>, unpacked: u64, problem: Option<&'static str> },
}

/// A reader that knows how much it has read.
pub(super) struct Counted<R: Read> {
    raw: Raw<R>,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.raw.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

impl<R: Read> Input<R> {
    /// Looks at the first two bytes of `file`.
    pub(super) fn new(mut file: R) -> io::Result<Self> {
        let mut head = Vec::new();
        (&mut file).take(2).read_to_end(&mut head)?;
        let packed = head == [0x1f, 0x8b];
        let raw = Cursor::new(head).chain(file);
        Ok(if packed {
            let decoder = Box::new(MultiGzDecoder::new(Counted { raw, bytes: 0 }));
            Self::Gzip { decoder, unpacked: 0, problem: None }
        } else {
            Self::Plain(raw)
        })
    }

    /// Returns whether the file is packed.
    pub(super) fn packed(&self) -> bool {
        matches!(self, Self::Gzip { .. })
    }

    /// Returns why the packed data ended before their end.
    pub(super) fn problem(&self) -> Option<&'static str> {
        match self {
            Self::Plain(_) => None,
            Self::Gzip { problem, .. } => *problem,
        }
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(raw) => raw.read(buffer),
            Self::Gzip { problem: Some(_), .. } => Ok(0),
            Self::Gzip { decoder, unpacked, problem } => {
                match decoder.read(buffer) {
                    Ok(read) => {
                        *unpacked += read as u64;
                        if *unpacked <= UNPACKED + UNPACKED_EACH * decoder.get_ref().bytes {
                            return Ok(read);
                        }
                        *problem = Some("the gzip file unpacks to more than a hundred times its size");
                    }
                    Err(error) => match error.kind() {
                        ErrorKind::UnexpectedEof => *problem = Some("the gzip file is cut off"),
                        ErrorKind::InvalidData | ErrorKind::InvalidInput => {
                            *problem = Some("the gzip data are damaged");
                        }
                        _ => return Err(error),
                    },
                }
                Ok(0)
            }
        }
    }
}
