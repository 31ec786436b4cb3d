//! The names of dialogs.

use std::fmt;
use std::sync::Arc;

/// The name of a SIP dialog (RFC 3261, 12): the `Call-ID` and both sides' tags, as this side has them. Copies are cheap.
///
/// Until the other side has answered our INVITE its tag isn't known: [`half`](Self::half) represents all dialogs that the INVITE
/// may make.
///
/// ```
/// use host_std::manager::DialogId;
///
/// let invite = DialogId::half("a84b4c76e66710", "1928301774"); // we call: our tag is the one in From
/// let dialog = invite.with_remote_tag("8321234356"); // the To tag of the 200
/// assert_eq!(dialog, DialogId::new("a84b4c76e66710", "1928301774", "8321234356"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialogId {
    pub(super) invite: InviteId,
    pub(super) remote_tag: Arc<str>,
}

/// The part that all dialogs of one INVITE have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct InviteId {
    pub(super) call_id: Arc<str>,
    pub(super) local_tag: Arc<str>,
}

impl DialogId {
    /// Creates the dialog with this `Call-ID`, our tag and theirs. Where we sent the INVITE our tag is the one in `From` and
    /// theirs the one in `To`; where it came to us it is the other way round.
    pub fn new(call_id: &str, local_tag: &str, remote_tag: &str) -> Self {
        Self {
            invite: InviteId { call_id: call_id.into(), local_tag: local_tag.into() },
            remote_tag: remote_tag.into(),
        }
    }

    /// Creates an INVITE that we have sent or will send, and that nobody has answered yet.
    pub fn half(call_id: &str, local_tag: &str) -> Self {
        Self::new(call_id, local_tag, "")
    }

    /// The dialog of the same INVITE with the phone that has this tag.
    #[must_use]
    pub fn with_remote_tag(&self, remote_tag: &str) -> Self {
        Self { invite: self.invite.clone(), remote_tag: remote_tag.into() }
    }

    /// The `Call-ID`.
    pub fn call_id(&self) -> &str {
        &self.invite.call_id
    }

    /// Our tag.
    pub fn local_tag(&self) -> &str {
        &self.invite.local_tag
    }

    /// Returns the other side's tag. It is empty while it isn't known, and for phones of RFC 2543, which have none (RFC 3261,
    /// 12.1.1).
    pub fn remote_tag(&self) -> &str {
        &self.remote_tag
    }
}

impl fmt::Display for DialogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};local={};remote={}", self.call_id(), self.local_tag(), self.remote_tag)
    }
}
