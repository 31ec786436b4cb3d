//! Sync buffer: what was played last, followed by what was decoded and not played yet, in one piece.
//!
//! Concealment and time stretching look back into what was played. The part that was not played yet bridges packets
//! and audio ticks. Samples are `i16` at the receiver's sample rate, each channel in one piece, and lengths count
//! samples of each channel. Decoders and callers have the channels interleaved.

use super::channels::Extended;
use crate::codec::Decoder;
use crate::slices::{copy, move_within, part, part_mut, split_mut};
use crate::storage::Storage;

/// The length of `S`, the memory of one channel, bounds history and queue together.
pub(super) struct SyncBuffer<S, const CHANNELS: usize> {
    pcm: [S; CHANNELS],
    /// Samples before `played` were played; samples before `end` are valid.
    played: usize,
    end: usize,
    keep: usize,
}

impl<S: Storage<i16>, const CHANNELS: usize> SyncBuffer<S, CHANNELS> {
    /// Keeps at least `keep` samples of history, which `pcm` has room for; it begins as silence.
    #[inline(always)]
    pub(super) fn new(keep: usize, mut pcm: [S; CHANNELS]) -> Self {
        for channel in &mut pcm {
            channel.as_mut().fill(0);
        }
        Self { pcm, played: keep, end: keep, keep }
    }

    /// Begins anew as silence.
    pub(super) fn reset(&mut self) {
        for channel in &mut self.pcm {
            channel.as_mut().fill(0);
        }
        (self.played, self.end) = (self.keep, self.keep);
    }

    /// Samples of a channel that there is room for, history and queue together.
    pub(super) fn capacity(&self) -> usize {
        shortest(&self.pcm)
    }

    /// Whether [`set_memory`](Self::set_memory) can take this memory: it has no less room.
    pub(super) fn fits_in(&self, pcm: &[S; CHANNELS]) -> bool {
        shortest(pcm) >= self.capacity()
    }

    /// Goes on in other memory with all that [`fits_in`](Self::fits_in) it; the memory before comes back.
    pub(super) fn set_memory(&mut self, mut pcm: [S; CHANNELS]) -> [S; CHANNELS] {
        for (to, from) in pcm.iter_mut().zip(&self.pcm) {
            to.as_mut().iter_mut().zip(from.as_ref()).for_each(|(to, from)| *to = *from);
        }
        core::mem::replace(&mut self.pcm, pcm)
    }

    /// Samples decoded and not played.
    pub(super) fn queued(&self) -> usize {
        self.end - self.played
    }

    /// The most samples that could be added now.
    pub(super) fn room(&self) -> usize {
        self.capacity() - self.keep - self.queued()
    }

    /// The most samples that [`make`](Self::make) could add now, `skip` samples behind the end.
    pub(super) fn interleaved_room(&self, skip: usize) -> usize {
        self.room().saturating_sub(skip) / CHANNELS.max(1)
    }

    /// Everything up to the newest sample, and the place for `len` more behind it (fewer where there's no room).
    pub(super) fn extend(&mut self, len: usize) -> Extended<'_, CHANNELS> {
        self.extend_behind(0, len)
    }

    /// The same, from `skip` samples behind the newest one on, whose content may be anything.
    pub(super) fn extend_behind(&mut self, skip: usize, len: usize) -> Extended<'_, CHANNELS> {
        self.make_room(skip + len);
        let end = (self.end + skip).min(self.capacity());
        self.pcm.each_mut().map(|channel| {
            let (history, rest) = split_mut(channel.as_mut(), end);
            let len = len.min(rest.len());
            (&*history, part_mut(rest, 0, len))
        })
    }

    /// The last `len` samples of the first channel (fewer where there are no more), which end `behind` samples behind the newest one.
    pub(super) fn last(&self, len: usize, behind: usize) -> &[i16] {
        let end = self.end + behind;
        let begin = end.saturating_sub(len);
        self.pcm.first().and_then(|channel| channel.as_ref().get(begin..end)).unwrap_or_default()
    }

    /// What was played, and the next `len` samples to be played (fewer where there are no more).
    pub(super) fn next(&mut self, len: usize) -> Extended<'_, CHANNELS> {
        let (played, len) = (self.played, len.min(self.queued()));
        self.pcm.each_mut().map(|channel| {
            let (history, rest) = split_mut(channel.as_mut(), played);
            (&*history, part_mut(rest, 0, len))
        })
    }

    /// Lets `decoder` write `len` samples a channel, interleaved, `skip` samples behind the end (fewer where there's no
    /// room), and sorts them by channel. They aren't valid yet.
    pub(super) fn make<R>(&mut self, skip: usize, len: usize, decoder: impl FnOnce(&mut [i16]) -> R) -> Option<R> {
        let len = len.min(self.interleaved_room(skip));
        self.make_room(skip + len * CHANNELS);
        let at = self.end + skip;
        let (last, others) = self.pcm.split_last_mut()?;
        let last = last.as_mut();
        let made = decoder(part_mut(last, at, len * CHANNELS));
        if !others.is_empty() {
            // In place: a sample moves to where an earlier one was.
            for i in 0..len {
                for (channel, other) in others.iter_mut().enumerate() {
                    other.as_mut()[at + i] = last[at + i * CHANNELS + channel];
                }
                last[at + i] = last[at + i * CHANNELS + CHANNELS - 1];
            }
        }
        Some(made)
    }

    /// `len` samples by the decoder's own concealment, not valid yet; `false` if it has none.
    pub(super) fn conceal_by(&mut self, decoder: &mut dyn Decoder, len: usize) -> bool {
        len <= self.interleaved_room(0) && self.make(0, len, |out| decoder.conceal(out)) == Some(true)
    }

    /// `len` samples of silence, not valid yet.
    pub(super) fn silence(&mut self, len: usize) {
        for (_, place) in self.extend(len) {
            place.fill(0);
        }
    }

    fn make_room(&mut self, len: usize) {
        if self.end + len > self.capacity() {
            let from = self.played - self.keep;
            for channel in &mut self.pcm {
                move_within(channel.as_mut(), from, self.end - from, 0);
            }
            self.played -= from;
            self.end -= from;
        }
    }

    /// The whole of it for time stretching: channels, how many samples are valid, and the index of the first not played.
    pub(super) fn parts(&mut self) -> ([&mut [i16]; CHANNELS], usize, usize) {
        (self.pcm.each_mut().map(|channel| channel.as_mut()), self.end, self.played)
    }

    /// Counts `len` samples written behind the end as valid.
    pub(super) fn commit(&mut self, len: usize) {
        self.end = (self.end + len).min(self.capacity());
    }

    /// Drops `len` samples at the end (time stretching has moved the rest).
    pub(super) fn shorten(&mut self, len: usize) {
        self.end = (self.end - len).max(self.played);
    }

    /// Plays: moves as many samples into `out`, interleaved, as there are; returns how many a channel.
    pub(super) fn take(&mut self, out: &mut [i16]) -> usize {
        let len = (out.len() / CHANNELS.max(1)).min(self.queued());
        if let [mono] = &self.pcm[..] {
            copy(part_mut(out, 0, len), part(mono.as_ref(), self.played, len));
        } else {
            for (c, channel) in self.pcm.iter().enumerate() {
                let frames = out.chunks_exact_mut(CHANNELS.max(1)).filter_map(|frame| frame.get_mut(c));
                frames.zip(part(channel.as_ref(), self.played, len)).for_each(|(to, &from)| *to = from);
            }
        }
        self.played += len;
        len
    }
}

/// Samples that every channel has room for.
fn shortest<S: Storage<i16>, const CHANNELS: usize>(pcm: &[S; CHANNELS]) -> usize {
    pcm.iter().map(|channel| channel.as_ref().len()).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_survives_compaction() {
        let mut buffer = SyncBuffer::new(30, [[0; 100]]);
        let mut next = 1i16;
        let mut out = [0; 20];
        for _ in 0..50 {
            let [(_, place)] = buffer.extend(20);
            for sample in place.iter_mut() {
                *sample = next;
                next += 1;
            }
            buffer.commit(20);
            assert_eq!(buffer.take(&mut out), 20);
            assert_eq!(out[19], next - 1);
            let [(history, _)] = buffer.extend(50);
            assert!(history.len() >= 30);
            assert_eq!(history[history.len() - 1], next - 1);
        }
        assert_eq!(buffer.room(), 70);
    }

    #[test]
    fn channels_stay_apart() {
        let mut buffer = SyncBuffer::new(30, [[0; 200]; 3]);
        let (mut next, mut heard) = (0i16, 0i16);
        for round in 0..50 {
            let (skip, len) = (round % 4, 20 + round % 9);
            let first = next + skip as i16;
            let made = buffer.make(skip, len, |out| {
                assert_eq!(out.len(), len * 3);
                for (i, sample) in out.iter_mut().enumerate() {
                    *sample = first * 3 + i as i16;
                }
                len
            });
            assert_eq!(made, Some(len));
            for (c, (_, place)) in buffer.extend(skip).into_iter().enumerate() {
                for (i, sample) in place.iter_mut().enumerate() {
                    *sample = (next + i as i16) * 3 + c as i16;
                }
            }
            buffer.commit(skip + len);
            next += (skip + len) as i16;
            let mut out = [0; 120];
            let taken = buffer.take(&mut out[..3 * (skip + len)]);
            assert_eq!(taken, skip + len);
            for (i, sample) in out[..3 * taken].iter().enumerate() {
                assert_eq!(*sample, heard * 3 + i as i16, "round {round}");
            }
            heard += taken as i16;
        }
        assert_eq!((buffer.room(), buffer.interleaved_room(20)), (170, 50));
    }

    #[test]
    fn goes_on_in_more_memory() {
        let mut buffer = SyncBuffer::new(30, [std::vec![9; 100], std::vec![9; 100]]);
        buffer.make(0, 20, |out| out.iter_mut().zip(0..).for_each(|(to, n)| *to = n));
        buffer.commit(20);
        assert!(!buffer.fits_in(&[std::vec![7; 200], std::vec![7; 99]]));
        let more = [std::vec![7; 200], std::vec![7; 220]];
        assert!(buffer.fits_in(&more));
        assert_eq!(buffer.set_memory(more)[1].len(), 100);
        assert_eq!((buffer.room(), buffer.capacity()), (150, 200));
        let mut out = [0; 40];
        assert_eq!((buffer.take(&mut out), out[0], out[39]), (20, 0, 39));
        buffer.reset();
        assert_eq!((buffer.queued(), buffer.room()), (0, 170));
    }
}
