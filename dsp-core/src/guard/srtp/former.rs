//! The keys that a call has left, and what was received under them.
//!
//! If a key comes back, what was used under it must come back too. Otherwise everything recorded under it could be
//! replayed (RFC 3711, 3.3.2), and a key of this side would use its keystream for other payloads (9.1). So a guard
//! does not drop a key, but hands over what must be remembered, for as long as the call lasts. If there is no room
//! left, the next change is refused: nothing is ever forgotten.

use core::fmt;

use super::keys::KeyId;
use super::streams::Retired;

/// Why a key cannot be set. The keys are unchanged then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum KeyError {
    /// The outgoing key was used before and then left. Its keystream would be used twice (RFC 3711, 9.1).
    UsedBefore,
    /// The key is or was in use in the other direction. Two senders would share one keystream (RFC 4568, 6.4).
    Shared,
    /// The keys changed so often that [`FormerKeys`] has no room left to remember what was received under them.
    TooManyKeys,
    /// Key and salt do not have the length that the profile asks for.
    Length {
        /// Bytes of key and salt together that the profile asks for.
        need: usize,
        /// Bytes that were given.
        got: usize,
    },
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UsedBefore => f.write_str("a key of ours that was used and left can't be used again"),
            Self::Shared => f.write_str("both sides would send with the same key"),
            Self::TooManyKeys => f.write_str("the keys were changed too often in this call"),
            Self::Length { need, got } => write!(f, "a key and salt of {got} bytes, where {need} are needed"),
        }
    }
}

impl core::error::Error for KeyError {}

#[derive(Clone, Copy)]
enum Entry {
    /// A key that we sent with.
    Ours(KeyId),
    /// How far this source of the other side got under this key.
    Heard(KeyId, Retired),
}

/// Remembers the keys that a call has left, so that nothing received under them can be replayed (RFC 3711, 3.3.2) and
/// no keystream is used twice (9.1). It takes one entry for each key of this side, and one for each source received
/// under each key of the other side. An entry takes 32 bytes. Keep one for each call, as long as the call lasts. When
/// it is full, the next change of keys is refused.
pub struct FormerKeys<const ENTRIES: usize> {
    entries: [Option<Entry>; ENTRIES],
}

impl<const ENTRIES: usize> FormerKeys<ENTRIES> {
    /// No former keys.
    pub const fn new() -> Self {
        Self { entries: [None; ENTRIES] }
    }

    pub(super) fn free(&self) -> usize {
        self.entries.iter().filter(|entry| entry.is_none()).count()
    }

    /// Whether we had this key.
    pub(super) fn was_ours(&self, id: KeyId) -> bool {
        self.entries.iter().flatten().any(|entry| matches!(entry, Entry::Ours(ours) if *ours == id))
    }

    /// What was heard under this key.
    pub(super) fn heard(&self, id: KeyId) -> impl Iterator<Item = Retired> + '_ {
        self.entries.iter().flatten().filter_map(move |entry| match entry {
            Entry::Heard(key, stream) if *key == id => Some(*stream),
            _ => None,
        })
    }

    /// The guard has this key again.
    pub(super) fn take_back(&mut self, id: KeyId) {
        for entry in &mut self.entries {
            entry.take_if(|entry| matches!(entry, Entry::Heard(key, _) if *key == id));
        }
    }

    pub(super) fn keep_ours(&mut self, id: KeyId) {
        self.keep(Entry::Ours(id));
    }

    pub(super) fn keep_heard(&mut self, id: KeyId, streams: impl Iterator<Item = Retired>) {
        streams.for_each(|stream| self.keep(Entry::Heard(id, stream)));
    }

    /// The guard has looked at [`Self::free`] before.
    fn keep(&mut self, entry: Entry) {
        if let Some(free) = self.entries.iter_mut().find(|entry| entry.is_none()) {
            *free = Some(entry);
        }
    }
}

impl<const ENTRIES: usize> Default for FormerKeys<ENTRIES> {
    fn default() -> Self {
        Self::new()
    }
}
