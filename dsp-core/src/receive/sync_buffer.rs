//! Sync buffer: what was played last, and behind it what is decoded but not played yet, in one piece.
//!
//! Concealment and time stretching look back into what was played; the one-frame bridge between packets and audio
//! ticks is the part that was not. Samples are mono `i16` at the receiver's rate.

/// `SAMPLES` bounds history and queue together.
pub(super) struct SyncBuffer<const SAMPLES: usize> {
    pcm: [i16; SAMPLES],
    /// Samples before `played` were played; samples before `end` are valid.
    played: usize,
    end: usize,
    keep: usize,
}

impl<const SAMPLES: usize> SyncBuffer<SAMPLES> {
    /// Keeps at least `keep` samples of history; it begins as silence.
    pub(super) fn new(keep: usize) -> Self {
        Self { pcm: [0; SAMPLES], played: keep, end: keep, keep }
    }

    /// Samples decoded and not played.
    pub(super) fn queued(&self) -> usize {
        self.end - self.played
    }

    /// The most samples that could be added now.
    pub(super) fn room(&self) -> usize {
        SAMPLES - self.keep - self.queued()
    }

    /// Everything up to the newest sample, and the place for `len` more behind it (fewer where there's no room).
    pub(super) fn extend(&mut self, len: usize) -> (&[i16], &mut [i16]) {
        if self.end + len > SAMPLES {
            let from = self.played - self.keep;
            self.pcm.copy_within(from..self.end, 0);
            self.played -= from;
            self.end -= from;
        }
        let (history, rest) = self.pcm.split_at_mut(self.end);
        let len = len.min(rest.len());
        (history, &mut rest[..len])
    }

    /// The whole of it for time stretching: samples, how many are valid, and the index of the first not played.
    pub(super) fn parts(&mut self) -> (&mut [i16], usize, usize) {
        (&mut self.pcm, self.end, self.played)
    }

    /// Counts `len` samples written behind the end as valid.
    pub(super) fn commit(&mut self, len: usize) {
        self.end = (self.end + len).min(SAMPLES);
    }

    /// Drops `len` samples at the end (time stretching has moved the rest).
    pub(super) fn shorten(&mut self, len: usize) {
        self.end = (self.end - len).max(self.played);
    }

    /// Plays: moves as many samples into `out` as there are.
    pub(super) fn take(&mut self, out: &mut [i16]) -> usize {
        let len = out.len().min(self.queued());
        out[..len].copy_from_slice(&self.pcm[self.played..][..len]);
        self.played += len;
        len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_survives_compaction() {
        let mut buffer = SyncBuffer::<100>::new(30);
        let mut next = 1i16;
        let mut out = [0; 20];
        for _ in 0..50 {
            let (_, place) = buffer.extend(20);
            for sample in place.iter_mut() {
                *sample = next;
                next += 1;
            }
            buffer.commit(20);
            assert_eq!(buffer.take(&mut out), 20);
            assert_eq!(out[19], next - 1);
            let (history, _) = buffer.extend(50);
            assert!(history.len() >= 30);
            assert_eq!(history[history.len() - 1], next - 1);
        }
        assert_eq!(buffer.room(), 70);
    }
}
