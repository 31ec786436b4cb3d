//! The keys that a call has left, and what was heard under them.
//!
//! A key that comes back must come back with what was used under it: else all that was recorded could be replayed
//! (RFC 3711, 3.3.2), and a key of ours would lay its keystream over other payloads (9.1). So a guard doesn't drop a
//! key, it hands over what must be remembered, for as long as the call lasts. When there is no room left, the next change
//! is refused: nothing is ever forgotten.

use core::fmt;

use super::keys::KeyId;
use super::streams::Retired;

/// Why a key can't be set. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum KeyError {
    /// An outgoing key that was used and left: its keystream would be used twice (RFC 3711, 9.1).
    UsedBefore,
    /// One key for both directions, now or before: two senders would share one keystream (RFC 4568, 6.4).
    Shared,
    /// The keys were changed so often that there is no room to remember what was heard under them.
    TooManyKeys,
    /// Key and salt don't have the length that the profile asks for.
    Length {
        /// Bytes of both together that it asks for.
        need: usize,
        /// Bytes there are.
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

/// Keys that a call has left: an entry for each of ours, and one for each source heard under each of the other side's.
/// 32 bytes an entry. It belongs to one call, and lasts as long.
pub struct FormerKeys<const ENTRIES: usize> {
    entries: [Option<Entry>; ENTRIES],
}

impl<const ENTRIES: usize> FormerKeys<ENTRIES> {
    /// Nothing was left yet.
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
