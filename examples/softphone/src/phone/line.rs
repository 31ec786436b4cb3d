//! One call, as the phone knows it.

use std::fmt;

use host_std::manager::DialogId;
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::Header;

use crate::sip::timer::SessionTimer;

/// A line's name for as long as the phone runs; its number is given to others later.
pub(super) type Key = u64;

/// How far a call has got.
#[derive(Debug)]
pub(super) enum Stage {
    /// We call. Whether its ringing tone is heard, and whether somebody has sent sound or a description.
    Calling { rings: bool, early: bool },
    /// It calls.
    Ringing(Invited),
    /// We have answered, and the ACK isn't here.
    Answered,
    /// Both talk.
    Up,
}

/// What an INVITE brought that isn't answered yet.
#[derive(Debug)]
pub(super) struct Invited {
    /// `None`: we offer in our answer (late offer).
    pub(super) offer: Option<String>,
    /// What the answer says of the session timer.
    pub(super) timer: Option<(SessionTimer, Vec<Header>)>,
}

/// A re-INVITE or an UPDATE of ours that isn't answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    /// To put the other side on hold, or to talk again.
    Hold(bool),
    /// The session timer's. Whether it carries an offer.
    Refresh { offers: bool },
}

impl Pending {
    /// Whether an offer waits for its answer.
    pub(super) fn offers(self) -> bool {
        self != Self::Refresh { offers: false }
    }
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hold(true) => "hold",
            Self::Hold(false) => "resume",
            Self::Refresh { .. } => "session refresh",
        })
    }
}

/// A provisional answer that is repeated until its PRACK comes (RFC 3262, 3).
#[derive(Debug)]
pub(super) struct Reliable {
    pub(super) headers: Vec<Header>,
    /// How often it was sent.
    pub(super) sent: u32,
}

/// A call.
pub(super) struct Line {
    pub(super) number: u32,
    pub(super) key: Key,
    /// Whom we talk with, as a user reads it.
    pub(super) peer: String,
    pub(super) dialog: InviteDialog,
    /// Its sound.
    pub(super) media: DialogId,
    pub(super) stage: Stage,
    /// Whether it is heard and hears.
    pub(super) talks: bool,
    /// Whether the other side is to be on hold, and whether it is.
    pub(super) wants_hold: bool,
    pub(super) holds: bool,
    /// What of ours isn't answered.
    pub(super) pending: Option<Pending>,
    /// The number (CSeq) of the INVITE without an offer whose ACK will bring the answer to ours.
    pub(super) late: Option<u32>,
    pub(super) timer: Option<SessionTimer>,
    /// Which of its timers counts: each begins anew what was before.
    pub(super) round: u64,
    /// Whether the other side takes UPDATE.
    pub(super) takes_update: bool,
    pub(super) reliable: Option<Reliable>,
    /// Whose REFER this call is the consequence of.
    pub(super) referrer: Option<Key>,
    /// Whether it was asked again with the session interval that a 422 named.
    pub(super) asked_again: bool,
}

impl Line {
    /// A line that begins.
    pub(super) fn new(
        number: u32,
        key: Key,
        peer: String,
        dialog: InviteDialog,
        media: DialogId,
        stage: Stage,
    ) -> Self {
        Self {
            number,
            key,
            peer,
            dialog,
            media,
            stage,
            talks: false,
            wants_hold: false,
            holds: false,
            pending: None,
            late: None,
            timer: None,
            round: 0,
            takes_update: false,
            reliable: None,
            referrer: None,
            asked_again: false,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.stage, Stage::Up)
    }

    pub(super) fn is_ringing(&self) -> bool {
        matches!(self.stage, Stage::Ringing(_))
    }

    pub(super) fn is_calling(&self) -> bool {
        matches!(self.stage, Stage::Calling { .. })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.stage {
            Stage::Calling { .. } => "calling",
            Stage::Ringing(_) => "ringing",
            Stage::Answered | Stage::Up if self.holds => "on hold",
            Stage::Answered | Stage::Up if self.talks => "talking",
            Stage::Answered | Stage::Up => "silent",
        };
        write!(f, "line {}: {state}, {}", self.number, self.peer)
    }
}
