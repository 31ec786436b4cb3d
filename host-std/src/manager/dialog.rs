//! The names of dialogs.

use std::fmt;
use std::sync::Arc;

/// Which dialog (RFC 3261, 12): the call's id and both sides' tags, as we have them. Copies are cheap.
///
/// Before the other side has answered an INVITE of ours its tag isn't known: [`half`](Self::half) names all that may come of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialogId {
    pub(super) invite: InviteId,
    pub(super) remote_tag: Arc<str>,
}

/// What all dialogs of one INVITE have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct InviteId {
    pub(super) call_id: Arc<str>,
    pub(super) local_tag: Arc<str>,
}

impl DialogId {
    /// The dialog with this `Call-ID`, our tag and theirs: for a call of ours the tags of `From` and `To`, for one that came the
    /// other way round.
    pub fn new(call_id: &str, local_tag: &str, remote_tag: &str) -> Self {
        Self {
            invite: InviteId { call_id: call_id.into(), local_tag: local_tag.into() },
            remote_tag: remote_tag.into(),
        }
    }

    /// An INVITE of ours that nobody has answered yet.
    pub fn half(call_id: &str, local_tag: &str) -> Self {
        Self::new(call_id, local_tag, "")
    }

    /// The dialog that this INVITE made with whoever has this tag.
    #[must_use]
    pub fn with_remote_tag(&self, remote_tag: &str) -> Self {
        Self { invite: self.invite.clone(), remote_tag: remote_tag.into() }
    }

    /// The call's id.
    pub fn call_id(&self) -> &str {
        &self.invite.call_id
    }

    /// Our tag.
    pub fn local_tag(&self) -> &str {
        &self.invite.local_tag
    }

    /// The other side's tag; empty if it isn't known, or the other side is of the time before tags (RFC 3261, 12.1.1).
    pub fn remote_tag(&self) -> &str {
        &self.remote_tag
    }
}

impl fmt::Display for DialogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};local={};remote={}", self.call_id(), self.local_tag(), self.remote_tag)
    }
}
