//! The guard of a call: SRTP with the keys that SDP agreed on, or nothing (RFC 4568, RFC 3711).
//!
//! It lasts as long as the call, through plain RTP too: what was sent and heard under a key stays with that key, so that
//! no offer and answer can bring back a keystream of ours or a packet that was heard.

use dsp_core::guard::srtp::{FormerKeys, KeyError, Rollover, Srtp};
use dsp_core::guard::{PacketGuard, Plain};
use dsp_core::time::Ssrc;

use super::sources::MAX_SOURCES;
use crate::sdp::SrtpKeys;

/// SRTP contexts each way: our own source, and the other side's with a few changes of SSRC.
const STREAMS: usize = MAX_SOURCES + 7;
/// What can be remembered of keys that were left: as many changes of a key of ours, and of each source under the other
/// side's. Offers and answers make them, so that an honest call has a few.
const FORMER: usize = 256;
/// What a call remembers whose keys never changed.
static NONE: FormerKeys<FORMER> = FormerKeys::new();

/// What protects the datagrams of a call.
pub(super) struct Guard {
    plain: Plain,
    /// Since SRTP was agreed on first.
    srtp: Option<Box<Srtp<STREAMS>>>,
    /// Whether it is agreed on now.
    protects: bool,
    /// Since the keys changed first.
    former: Option<Box<FormerKeys<FORMER>>>,
}

impl Guard {
    pub(super) fn new(keys: Option<&SrtpKeys>) -> Self {
        Self { plain: Plain, srtp: keys.map(srtp), protects: keys.is_some(), former: None }
    }

    pub(super) fn get(&mut self) -> &mut dyn PacketGuard {
        match &mut self.srtp {
            Some(srtp) if self.protects => &mut **srtp,
            _ => &mut self.plain,
        }
    }

    /// Whether datagrams are protected now.
    pub(super) fn protects(&self) -> bool {
        self.protects
    }

    /// Whether something was sent with `ssrc` under the present key: it can't begin anew then.
    pub(super) fn has_sent(&self, ssrc: Ssrc) -> bool {
        self.protects && self.srtp.as_ref().is_some_and(|srtp| srtp.has_sent(ssrc))
    }

    /// Whether [`renew`](Self::renew) will take these keys.
    ///
    /// # Errors
    /// [`KeyError`].
    pub(super) fn check(&self, new: Option<&SrtpKeys>) -> Result<(), KeyError> {
        let (Some(srtp), Some(new)) = (&self.srtp, new) else { return Ok(()) };
        srtp.check_keys(&new.outgoing, &new.incoming, self.former.as_deref().unwrap_or(&NONE))
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
                srtp.set_keys(new.suite.profile(), &new.outgoing, &new.incoming, rollover, former)?;
            }
            (None, Some(new)) => self.srtp = Some(srtp(new)),
            (_, None) => {}
        }
        self.protects = new.is_some();
        Ok(())
    }

    /// Bytes that it keeps on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let former = self.former.as_deref().map_or(0, size_of_val);
        self.srtp.as_deref().map_or(0, size_of_val) + former
    }
}

fn srtp(keys: &SrtpKeys) -> Box<Srtp<STREAMS>> {
    Box::new(Srtp::new(keys.suite.profile(), &keys.outgoing, &keys.incoming))
}
