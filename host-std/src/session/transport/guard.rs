//! The guard of a call: SRTP with the keys that SDP agreed on (RFC 4568, RFC 3711), nothing, or one of the user's own.
//!
//! It lasts as long as the call, through plain RTP too: what was sent and heard under a key stays with that key, so that
//! no offer and answer can bring back a keystream of ours or a packet that was heard.
//!
//! A guard without keys is not plain RTP: while it waits for them nothing is sent and nothing that comes is believed.

use dsp_core::guard::srtp::{FormerKeys, KeyError, Rollover, Srtp};
use dsp_core::guard::{PacketGuard, Plain, Unkeyed};
use dsp_core::time::Ssrc;

use crate::sdp::SrtpKeys;
use crate::session::own::{BoxedGuard, OwnGuard};
use crate::session::stream::MAX_SOURCES;

/// SRTP contexts each way: our own sources, and the other side's with a few changes of SSRC.
const STREAMS: usize = MAX_SOURCES + 7;
/// The same where one source is heard at a time. With those that are remembered it can change its SSRC 85 times under one
/// key before another is refused.
const ONE_AT_A_TIME: usize = 14;
/// What can be remembered of keys that were left: as many changes of a key of ours, and of each source under the other
/// side's. Offers and answers make them, so that an honest call has a few.
const FORMER: usize = 256;
/// What a call remembers whose keys never changed.
static NONE: FormerKeys<FORMER> = FormerKeys::new();

/// What protects datagrams now.
enum Protection {
    /// Nothing: plain RTP was agreed on.
    Plain,
    /// Nothing may pass: there are no keys yet.
    Waiting,
    /// SRTP with the keys of the description.
    Keyed,
    /// The user's own.
    Own(BoxedGuard),
}

/// SRTP contexts, as many as the call can hear sources.
enum Contexts {
    OneSource(Box<Srtp<ONE_AT_A_TIME>>),
    Sources(Box<Srtp<STREAMS>>),
}

impl Contexts {
    fn new(keys: &SrtpKeys, sources: usize) -> Self {
        let profile = keys.suite.profile();
        if sources == 1 {
            Self::OneSource(Box::new(Srtp::new(profile, &keys.outgoing, &keys.incoming)))
        } else {
            Self::Sources(Box::new(Srtp::new(profile, &keys.outgoing, &keys.incoming)))
        }
    }

    fn guard(&mut self) -> &mut dyn PacketGuard {
        match self {
            Self::OneSource(srtp) => &mut **srtp,
            Self::Sources(srtp) => &mut **srtp,
        }
    }

    fn has_sent(&self, ssrc: Ssrc) -> bool {
        match self {
            Self::OneSource(srtp) => srtp.has_sent(ssrc),
            Self::Sources(srtp) => srtp.has_sent(ssrc),
        }
    }

    fn check_keys(&self, keys: &SrtpKeys, former: &FormerKeys<FORMER>) -> Result<(), KeyError> {
        match self {
            Self::OneSource(srtp) => srtp.check_keys(&keys.outgoing, &keys.incoming, former),
            Self::Sources(srtp) => srtp.check_keys(&keys.outgoing, &keys.incoming, former),
        }
    }

    fn set_keys(
        &mut self,
        keys: &SrtpKeys,
        rollover: Rollover,
        former: &mut FormerKeys<FORMER>,
    ) -> Result<(), KeyError> {
        let profile = keys.suite.profile();
        match self {
            Self::OneSource(srtp) => srtp.set_keys(profile, &keys.outgoing, &keys.incoming, rollover, former),
            Self::Sources(srtp) => srtp.set_keys(profile, &keys.outgoing, &keys.incoming, rollover, former),
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::OneSource(srtp) => size_of_val(&**srtp),
            Self::Sources(srtp) => size_of_val(&**srtp),
        }
    }
}

/// What protects the datagrams of a call.
pub(super) struct Guard {
    protection: Protection,
    plain: Plain,
    unkeyed: Unkeyed,
    /// Since SRTP was agreed on first.
    srtp: Option<Contexts>,
    /// How many sources are heard at once.
    sources: usize,
    /// Since the keys changed first.
    former: Option<Box<FormerKeys<FORMER>>>,
}

impl Guard {
    /// With the keys of the description; `own` goes first. `sources`: how many are heard at once.
    pub(super) fn new(own: Option<&OwnGuard>, keys: Option<&SrtpKeys>, sources: usize) -> Self {
        let protection = match (own.map(OwnGuard::make), keys) {
            (Some(Some(own)), _) => Protection::Own(own),
            (Some(None), _) => Protection::Waiting,
            (None, Some(_)) => Protection::Keyed,
            (None, None) => Protection::Plain,
        };
        let srtp = keys.map(|keys| Contexts::new(keys, sources));
        Self { protection, plain: Plain, unkeyed: Unkeyed, srtp, sources, former: None }
    }

    pub(super) fn get(&mut self) -> &mut dyn PacketGuard {
        match (&mut self.protection, &mut self.srtp) {
            (Protection::Own(own), _) => &mut **own,
            (Protection::Keyed, Some(srtp)) => srtp.guard(),
            (Protection::Plain, _) => &mut self.plain,
            (Protection::Waiting | Protection::Keyed, _) => &mut self.unkeyed,
        }
    }

    /// A guard of the user's own takes over: keys have come that were waited for, or others.
    pub(super) fn set(&mut self, own: BoxedGuard) {
        self.protection = Protection::Own(own);
    }

    /// Whether keys are waited for: nothing is sent or heard.
    pub(super) fn waits(&self) -> bool {
        matches!(self.protection, Protection::Waiting)
    }

    /// Whether datagrams are protected now: whatever passes has the key.
    pub(super) fn protects(&self) -> bool {
        matches!(self.protection, Protection::Keyed | Protection::Own(_))
    }

    /// Whether something was sent with `ssrc` under the present key: it can't begin anew then.
    pub(super) fn has_sent(&self, ssrc: Ssrc) -> bool {
        matches!(self.protection, Protection::Keyed) && self.srtp.as_ref().is_some_and(|srtp| srtp.has_sent(ssrc))
    }

    /// Whether [`renew`](Self::renew) will take these keys.
    ///
    /// # Errors
    /// [`KeyError`].
    pub(super) fn check(&self, new: Option<&SrtpKeys>) -> Result<(), KeyError> {
        let (Some(srtp), Some(new)) = (&self.srtp, new) else { return Ok(()) };
        srtp.check_keys(new, self.former.as_deref().unwrap_or(&NONE))
    }

    /// New keys in a running call: unchanged keys keep their contexts, roll-over counters and replay windows.
    /// `moved`: an address or port changed too (RFC 4568, 7.1.4).
    ///
    /// # Errors
    /// [`KeyError`]; nothing has changed then.
    pub(super) fn renew(&mut self, new: Option<&SrtpKeys>, moved: bool) -> Result<(), KeyError> {
        match (&mut self.srtp, new) {
            (Some(srtp), Some(new)) => {
                let rollover = if moved { Rollover::Restarts } else { Rollover::Continues };
                let former = self.former.get_or_insert_default();
                srtp.set_keys(new, rollover, former)?;
            }
            (None, Some(new)) => self.srtp = Some(Contexts::new(new, self.sources)),
            (_, None) => {}
        }
        match self.protection {
            Protection::Plain | Protection::Keyed if new.is_some() => self.protection = Protection::Keyed,
            Protection::Plain | Protection::Keyed => self.protection = Protection::Plain,
            Protection::Waiting | Protection::Own(_) => {}
        }
        Ok(())
    }

    /// Bytes that it keeps on the heap, without a guard of the user's own.
    pub(super) fn heap_bytes(&self) -> usize {
        let former = self.former.as_deref().map_or(0, size_of_val);
        self.srtp.as_ref().map_or(0, Contexts::heap_bytes) + former
    }
}
