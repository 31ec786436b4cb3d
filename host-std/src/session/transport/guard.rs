//! The guard of a call: SRTP with the keys that SDP agreed on (RFC 4568, RFC 3711), nothing, or one of the user's own.
//!
//! It lasts as long as the call, through plain RTP too: the record of packets sent and received under a key stays with that key,
//! so that no offer and answer can bring back a keystream of ours or a packet that was received before.
//!
//! A guard without keys is not plain RTP: while it waits for them nothing is sent and nothing that comes is believed.

use dsp_core::guard::srtp::{FormerKeys, KeyAge, KeyError, Rollover, Srtp, SrtpProfile};
use dsp_core::guard::{PacketGuard, Plain, Unkeyed};
use dsp_core::time::Ssrc;

use super::by_sources::{BySources, either};
use crate::sdp::SrtpKeys;
use crate::session::outcome;
use crate::session::own::{BoxedGuard, OwnGuard};
use crate::session::stream::MAX_SOURCES;

/// SRTP contexts each way: our own sources, and the other side's with a few changes of SSRC.
const STREAMS: usize = MAX_SOURCES + 7;
/// The same where one source is heard at a time. With those that are remembered it can change its SSRC 85 times under one
/// key before another is refused.
const ONE_AT_A_TIME: usize = 10;
/// The most former keys that can be remembered: as many changes of a key of ours, and of each source under the other side's.
/// Offers and answers make them, so that an honest call has a few.
const FORMER: usize = 256;
/// The former keys of a call whose keys never changed.
static NONE: FormerKeys<FORMER> = FormerKeys::new();

/// The current protection of datagrams.
enum Protection {
    /// No protection: plain RTP was agreed on.
    Plain,
    /// All datagrams are refused: the user's own guard isn't there yet.
    Waiting,
    /// All datagrams are refused: the handshake has no keys yet.
    Handshake,
    /// SRTP with this profile, by keys of the descriptions or of a handshake.
    Keyed(SrtpProfile),
    /// The user's own.
    Own(BoxedGuard),
}

/// SRTP contexts, as many as the call can hear sources.
type Contexts = BySources<Srtp<ONE_AT_A_TIME>, Srtp<STREAMS>>;

fn contexts(keys: &SrtpKeys, sources: usize) -> Result<Contexts, KeyError> {
    let SrtpKeys { outgoing, incoming, .. } = keys;
    let profile = keys.suite.profile();
    Ok(match sources {
        1 => BySources::One(Box::new(Srtp::new(profile, outgoing, incoming)?)),
        _ => BySources::Many(Box::new(Srtp::new(profile, outgoing, incoming)?)),
    })
}

/// The protection of a call's datagrams.
pub(super) struct Guard {
    protection: Protection,
    plain: Plain,
    unkeyed: Unkeyed,
    /// The SRTP contexts, once SRTP was agreed on.
    srtp: Option<Contexts>,
    /// The number of sources that are heard at once.
    sources: usize,
    /// The former keys, once the keys have changed.
    former: Option<Box<FormerKeys<FORMER>>>,
}

impl Guard {
    /// Creates a guard with the keys of the description, or one that waits for those of a handshake; `own` has priority.
    /// `sources`: the number of sources that are heard at once.
    pub(super) fn new(own: Option<&OwnGuard>, keys: Option<&SrtpKeys>, handshake: bool, sources: usize) -> Self {
        let protection = match (own.map(OwnGuard::make), keys) {
            (Some(Some(own)), _) => Protection::Own(own),
            (Some(None), _) => Protection::Waiting,
            (None, Some(keys)) => Protection::Keyed(keys.suite.profile()),
            (None, None) if handshake => Protection::Handshake,
            (None, None) => Protection::Plain,
        };
        // Keys of another length than the suite's don't come out of a description: with them nothing would pass.
        let srtp = keys.and_then(|keys| contexts(keys, sources).ok());
        Self { protection, plain: Plain, unkeyed: Unkeyed, srtp, sources, former: None }
    }

    pub(super) fn get(&mut self) -> &mut dyn PacketGuard {
        match (&mut self.protection, &mut self.srtp) {
            (Protection::Own(own), _) => &mut **own,
            (Protection::Keyed(_), Some(srtp)) => either!(srtp, own => &mut **own),
            (Protection::Plain, _) => &mut self.plain,
            (Protection::Waiting | Protection::Handshake | Protection::Keyed(_), _) => &mut self.unkeyed,
        }
    }

    /// A guard of the user's own takes over: keys have come that were waited for, or others.
    pub(super) fn set(&mut self, own: BoxedGuard) {
        self.protection = Protection::Own(own);
    }

    /// Waits for the keys of a handshake. Present keys stay in use until then; plain RTP doesn't.
    pub(super) fn wait(&mut self) {
        if matches!(self.protection, Protection::Plain) {
            self.protection = Protection::Handshake;
        }
    }

    /// Keys that a handshake came to.
    #[cfg(feature = "dtls")]
    ///
    /// # Errors
    /// The same as for [`renew`](Self::renew).
    pub(super) fn key(&mut self, keys: &SrtpKeys) -> Result<(), KeyError> {
        if matches!(self.protection, Protection::Own(_) | Protection::Waiting) {
            return Ok(());
        }
        self.renew(Some(keys), false)?;
        self.protection = Protection::Keyed(keys.suite.profile());
        Ok(())
    }

    /// Returns whether keys are awaited: nothing is sent or played meanwhile.
    pub(super) fn waits(&self) -> bool {
        matches!(self.protection, Protection::Waiting | Protection::Handshake)
    }

    /// Returns the protection as it is reported to the user.
    pub(super) fn protection(&self) -> outcome::Protection {
        match &self.protection {
            Protection::Plain => outcome::Protection::Plain,
            Protection::Waiting | Protection::Handshake => outcome::Protection::Waiting,
            Protection::Keyed(profile) => outcome::Protection::Srtp(*profile),
            Protection::Own(_) => outcome::Protection::Own,
        }
    }

    /// Returns whether datagrams are protected now, so that their senders have the key.
    pub(super) fn protects(&self) -> bool {
        matches!(self.protection, Protection::Keyed(_) | Protection::Own(_))
    }

    /// Returns how much of their lifetimes the keys of the description have used up.
    pub(super) fn key_age(&self) -> KeyAge {
        match (&self.protection, &self.srtp) {
            (Protection::Keyed(_), Some(srtp)) => either!(srtp, own => own.key_age()),
            _ => KeyAge::Fresh,
        }
    }

    /// Returns whether something was sent with `ssrc` under the present key: the source can't be started again then.
    pub(super) fn has_sent(&self, ssrc: Ssrc) -> bool {
        matches!(self.protection, Protection::Keyed(_))
            && self.srtp.as_ref().is_some_and(|srtp| either!(srtp, own => own.has_sent(ssrc)))
    }

    /// Whether [`renew`](Self::renew) will take these keys.
    ///
    /// # Errors
    /// [`KeyError`].
    pub(super) fn check(&self, new: Option<&SrtpKeys>) -> Result<(), KeyError> {
        let (Some(srtp), Some(new)) = (&self.srtp, new) else { return Ok(()) };
        let former = self.former.as_deref().unwrap_or(&NONE);
        let profile = new.suite.profile();
        either!(srtp, own => own.check_keys(profile, &new.outgoing, &new.incoming, former))
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
                let SrtpKeys { outgoing, incoming, .. } = new;
                let profile = new.suite.profile();
                either!(srtp, own => own.set_keys(profile, outgoing, incoming, rollover, former))?;
            }
            (None, Some(new)) => self.srtp = Some(contexts(new, self.sources)?),
            (_, None) => {}
        }
        if matches!(self.protection, Protection::Plain | Protection::Handshake | Protection::Keyed(_)) {
            self.protection = new.map_or(Protection::Plain, |keys| Protection::Keyed(keys.suite.profile()));
        }
        Ok(())
    }

    /// Bytes that it keeps on the heap, without a guard of the user's own.
    pub(super) fn heap_bytes(&self) -> usize {
        let former = self.former.as_deref().map_or(0, size_of_val);
        self.srtp.as_ref().map_or(0, BySources::heap_bytes) + former
    }
}
