//! The forking of a call's sound to another consumer while it runs, such as an analyser or a second call.
//!
//! Use it to have a call's sound on another thread. For files use a [`recorder`](super::recorder), and for a second destination over RTP an
//! [`RtpFork`](super::rtp_fork::RtpFork). A destination that is to be negotiated, to have another codec or to be protected is a second call
//! (`sendonly`) whose microphone is the reader.
//!
//! [`fork`] makes a [`ForkTap`], which a call is given ([`Call::add_tap`](crate::session::Call::add_tap)), and a [`ForkReader`],
//! which belongs to another thread. [`Forked`] says which sound is forked: ours, the sound that we hear, or each source of it.
//! Each piece says whose it is and when it was.
//!
//! This example gives our side of a call to an analyser:
//!
//! ```
//! use dsp_core::time::{Duration, Instant};
//! use host_std::record::fork::{Forked, Party, fork};
//! # use host_std::registry::CodecFormat;
//! # use host_std::session::{Call, CallConfig};
//!
//! # let config = |port| CallConfig::new(port).map(|config| CallConfig { codecs: vec![CodecFormat::pcmu()], ..config });
//! # let (mut anna, mut bert) = (Call::new(config(4000)?)?, Call::new(config(5000)?)?);
//! # let answer = bert.answer(Instant::ZERO, &anna.offer()?)?;
//! # anna.accept(Instant::ZERO, &answer)?;
//! let (tap, mut reader) = fork(Forked::Said, 16_000);
//! anna.add_tap(Box::new(tap));
//! let mut now = Instant::ZERO;
//! for _ in 0..10 {
//!     anna.play(now, &mut [0; 80]); // 10 ms at 8 kHz
//!     now += Duration::from_millis(10);
//!     anna.capture(now, &[1_000; 80]);
//! }
//!
//! // On the analyser's thread.
//! let mut pcm = Vec::new();
//! while let Some(piece) = reader.read(&mut pcm) {
//!     assert_eq!((piece.party, piece.samples), (Party::Near, 80));
//! }
//! assert_eq!((pcm.len(), reader.dropped()), (800, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Cost.** A copy of the sound into a ring of fixed length. A reader that is too slow, or never reads, loses the newest pieces, which
//! are counted, and holds up nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dsp_core::receive::Played;
use dsp_core::time::{Instant, Ssrc};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::session::Tap;

/// The sound of a call that is forked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    /// Our sound: after the microphone's gain and the capture chain, as it is encoded.
    Said,
    /// The sound that we hear: the sum of all sources, before the loudspeaker's volume.
    Heard,
    /// Our sound and the sound that we hear.
    Both,
    /// Our sound, and each source that we hear, before they are added up. In a room this is each member.
    Sources,
}

/// The party whose sound a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// Our side's.
    Near,
    /// The other side's, the sum of all sources.
    Far,
    /// The sound of the source with this SSRC.
    Source(Ssrc),
    /// That of the member of a room with this [number](crate::room::MemberId::number).
    Member(u64),
}

/// A piece of sound, as long as a tick or shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The party whose sound it is.
    pub party: Party,
    /// The number of the call's stream, from 0.
    pub stream: usize,
    /// The time of the first sample, by the call's clock.
    pub at: Instant,
    /// The number of samples, all channels together.
    pub samples: usize,
}

/// The end of a fork that is in the call. [`fork`] makes it.
#[derive(Debug)]
pub struct ForkTap {
    forked: Forked,
    samples: Producer<i16>,
    pieces: Producer<Piece>,
    dropped: Arc<AtomicU64>,
}

/// The end of a fork that another thread reads. [`fork`] makes it.
#[derive(Debug)]
pub struct ForkReader {
    samples: Consumer<i16>,
    pieces: Consumer<Piece>,
    dropped: Arc<AtomicU64>,
}

/// Makes a fork with room for this many samples. Pieces of fewer than 40 samples fill it earlier.
///
/// ```
/// use dsp_core::time::Instant;
/// use host_std::record::fork::{Forked, Party, fork};
///
/// let (mut tap, mut reader) = fork(Forked::Heard, 16_000);
/// // A call that the tap is given to does this in each tick.
/// tap.give(Party::Far, 0, Instant::from_millis(20), &[300; 160]);
/// drop(tap);
///
/// // On another thread.
/// let mut pcm = Vec::new();
/// let piece = reader.read(&mut pcm).expect("one piece");
/// assert_eq!((piece.party, piece.at, piece.samples), (Party::Far, Instant::from_millis(20), 160));
/// assert_eq!(pcm, [300; 160]);
/// assert!(reader.read(&mut pcm).is_none() && reader.is_over());
/// ```
pub fn fork(forked: Forked, samples: usize) -> (ForkTap, ForkReader) {
    let (give, take) = RingBuffer::new(samples);
    let (give_pieces, take_pieces) = RingBuffer::new(samples / 40 + 8);
    let dropped = Arc::new(AtomicU64::new(0));
    let tap = ForkTap { forked, samples: give, pieces: give_pieces, dropped: dropped.clone() };
    (tap, ForkReader { samples: take, pieces: take_pieces, dropped })
}

impl ForkTap {
    /// Returns the sound that is forked.
    pub fn forked(&self) -> Forked {
        self.forked
    }

    /// Passes on a piece, or drops it if there is no room; never waits. A call does this by itself, since this is a [`Tap`].
    pub fn give(&mut self, party: Party, stream: usize, at: Instant, pcm: &[i16]) {
        if pcm.is_empty() {
            return;
        }
        let chunk = if self.pieces.is_full() { None } else { self.samples.write_chunk_uninit(pcm.len()).ok() };
        let Some(chunk) = chunk else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        chunk.fill_from_iter(pcm.iter().copied());
        // There is room, and nobody else fills it.
        let _ = self.pieces.push(Piece { party, stream, at, samples: pcm.len() });
    }
}

impl Tap for ForkTap {
    fn captured(&mut self, captured_at: Instant, stream: usize, pcm: &[i16]) {
        if self.forked != Forked::Heard {
            self.give(Party::Near, stream, captured_at, pcm);
        }
    }

    fn played(&mut self, now: Instant, stream: usize, _: &Played, pcm: &[i16]) {
        if matches!(self.forked, Forked::Heard | Forked::Both) {
            self.give(Party::Far, stream, now, pcm);
        }
    }

    fn source(&mut self, now: Instant, ssrc: Ssrc, _: &Played, pcm: &[i16]) {
        if self.forked == Forked::Sources {
            self.give(Party::Source(ssrc), 0, now, pcm);
        }
    }
}

impl ForkReader {
    /// Returns the next piece and appends its samples to `pcm`. Returns `None` if there is none yet.
    pub fn read(&mut self, pcm: &mut Vec<i16>) -> Option<Piece> {
        let piece = self.pieces.pop().ok()?;
        // They were put in before the piece was.
        if let Ok(chunk) = self.samples.read_chunk(piece.samples) {
            pcm.extend(chunk);
        }
        Some(piece)
    }

    /// Pieces that were dropped because this was read too slowly.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Returns whether the call or its tap is dropped and all of its sound has been read.
    pub fn is_over(&self) -> bool {
        self.pieces.is_abandoned() && self.pieces.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_never_reads_costs_bounded_memory() {
        let (mut tap, mut reader) = fork(Forked::Said, 800);
        for tick in 0..100u64 {
            tap.captured(Instant::from_millis(10 * tick), 0, &[tick as i16; 80]);
        }
        assert_eq!(reader.dropped(), 90);
        let mut pcm = Vec::new();
        for tick in 0..10u64 {
            let piece = reader.read(&mut pcm).unwrap();
            assert_eq!(piece.at, Instant::from_millis(10 * tick));
            assert_eq!(piece, Piece { party: Party::Near, stream: 0, at: piece.at, samples: 80 });
        }
        assert_eq!(pcm.len(), 800);
        assert_eq!((reader.read(&mut pcm), reader.is_over()), (None, false));
        drop(tap);
        assert!(reader.is_over());
    }
}
