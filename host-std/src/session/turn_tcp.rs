//! A connection to a TURN server by TCP (RFC 8656, 12.5): a datagram of the call is a stretch of a stream here. A STUN message
//! contains its length, and so does channel data, which is padded to four bytes.
//!
//! Nothing waits: data that the system doesn't take at once are kept, up to [`BACKLOG`] bytes, and beyond that dropped whole, as
//! a network that is too slow would.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The most bytes that wait for the system: half a second of a wide codec.
pub const BACKLOG: usize = 65_536;
/// Read at once.
const READ: usize = 4_096;

/// The received bytes that are no whole message yet.
#[derive(Clone, Debug, Default)]
pub struct TurnFrameBuffer {
    bytes: Vec<u8>,
    begin: usize,
}

/// The stream isn't one of TURN: the next data are neither a message nor channel data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoFrame;

impl std::fmt::Display for NoFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("what comes is neither a STUN message nor TURN channel data")
    }
}

impl std::error::Error for NoFrame {}

impl TurnFrameBuffer {
    /// More of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.begin > 0 {
            self.bytes.drain(..self.begin);
            self.begin = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes of the next message, and those that it takes in the stream; `None` until it has come whole.
    fn whole(&self) -> Result<Option<(usize, usize)>, NoFrame> {
        let rest = &self.bytes[self.begin..];
        let [kind, _, len0, len1, ..] = *rest else { return Ok(None) };
        let len = usize::from(u16::from_be_bytes([len0, len1]));
        let (len, padded) = match kind {
            // All lengths of STUN are multiples of four.
            0..=3 if len.is_multiple_of(4) => (len + 20, len + 20),
            0x40..=0x4f => (len + 4, (len + 4).next_multiple_of(4)),
            _ => return Err(NoFrame),
        };
        Ok((rest.len() >= padded).then_some((len, padded)))
    }

    /// Returns the next whole message; `None` until more has come.
    ///
    /// # Errors
    /// [`NoFrame`] if the data aren't a STUN message or channel data. Later data can't be read then.
    pub fn next_frame(&mut self) -> Result<Option<&mut [u8]>, NoFrame> {
        let Some((len, padded)) = self.whole()? else { return Ok(None) };
        let begin = self.begin;
        self.begin += padded;
        Ok(Some(&mut self.bytes[begin..begin + len]))
    }
}

/// Returns the number of padding bytes after a datagram of the call in the stream.
fn padding(datagram: &[u8]) -> usize {
    if matches!(datagram, [0x40..=0x4f, ..]) { datagram.len().next_multiple_of(4) - datagram.len() } else { 0 }
}

/// A connection to one server.
#[derive(Debug)]
pub struct TurnConnection {
    stream: TcpStream,
    server: SocketAddr,
    frames: TurnFrameBuffer,
    waiting: Vec<u8>,
}

impl TurnConnection {
    /// Connects, which takes until the server answers, and `patience` at most.
    ///
    /// # Errors
    /// The error of the system if no connection can be made within `patience`.
    pub fn connect(server: SocketAddr, patience: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&server, patience)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, server, frames: TurnFrameBuffer::default(), waiting: Vec::with_capacity(BACKLOG) })
    }

    /// Returns the server, as calls name it ([`TurnServer::address`](super::TurnServer::address)).
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// Returns the connection, to wait for.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Returns the next message that has come whole, for [`Call::receive`](super::Call::receive) from the server's address;
    /// `None` if none has.
    ///
    /// # Errors
    /// The connection is closed or broken, or brings something else than TURN.
    pub fn receive(&mut self) -> io::Result<Option<&mut [u8]>> {
        let mut buffer = [0; READ];
        while self.frames.whole().map_err(io::Error::other)?.is_none() {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => self.frames.push(&buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.frames.next_frame().map_err(io::Error::other)
    }

    /// Sends a datagram of the call to the server; returns whether there was room.
    ///
    /// # Errors
    /// An error if the connection is closed or broken.
    pub fn send(&mut self, datagram: &[u8]) -> io::Result<bool> {
        self.flush()?;
        let padding = padding(datagram);
        if self.waiting.len() + datagram.len() + padding > BACKLOG {
            return Ok(false);
        }
        self.waiting.extend_from_slice(datagram);
        self.waiting.extend_from_slice(&[0; 3][..padding]);
        self.flush()?;
        Ok(true)
    }

    /// Sends what waits, as far as the system takes it.
    ///
    /// # Errors
    /// An error if the connection is closed or broken.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.waiting.is_empty() {
            match self.stream.write(&self.waiting) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => drop(self.waiting.drain(..len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty binding request; channel data of five bytes, padded; the same of none.
    const STREAM: [u8; 36] = {
        let mut stream = [0; 36];
        stream[1] = 1;
        (stream[20], stream[21], stream[23], stream[24], stream[28]) = (0x40, 0x01, 5, 7, 9);
        (stream[32], stream[33]) = (0x40, 0x02);
        stream
    };

    #[test]
    fn messages_come_whole_however_the_stream_is_cut() {
        for cut in 1..STREAM.len() {
            let (mut frames, mut came) = (TurnFrameBuffer::default(), Vec::new());
            for part in STREAM.chunks(cut) {
                frames.push(part);
                while let Some(frame) = frames.next_frame().unwrap() {
                    came.push(frame.to_vec());
                }
            }
            let expected = [STREAM[..20].to_vec(), STREAM[20..29].to_vec(), STREAM[32..].to_vec()];
            assert_eq!(came, expected, "in parts of {cut}");
            assert_eq!((padding(&came[0]), padding(&came[1]), padding(&came[2])), (0, 3, 0));
        }
    }

    #[test]
    fn another_protocol_is_none_of_turn() {
        for begin in [&[0x16, 3, 1, 0][..], b"SSH-", &[0, 1, 0, 3], &[0x80, 0, 0, 4]] {
            let mut frames = TurnFrameBuffer::default();
            frames.push(begin);
            assert_eq!(frames.next_frame(), Err(NoFrame), "{begin:?}");
        }
    }
}
