//! The guard of the phone: SRTP, or none.

use dsp_core::guard::srtp::{FormerKeys, Rollover, Srtp};
use dsp_core::guard::{GuardError, PacketGuard, Plain};
use dsp_core::sdp::Keys;

/// Keys that may have been left in a call.
const FORMER: usize = 4;

/// As it was agreed on: a stream each way, and one more for another SSRC.
#[allow(clippy::large_enum_variant, reason = "a phone has room for the larger one: it lies in its task, once")]
pub(crate) enum Guard {
    Plain(Plain),
    Srtp(Srtp<2>, FormerKeys<FORMER>),
}

impl Guard {
    /// # Panics
    /// If the keys can't be used.
    pub(crate) fn new(keys: Option<&Keys>) -> Self {
        match keys {
            None => Self::Plain(Plain),
            Some(Keys { profile, outgoing, incoming }) => {
                let srtp = Srtp::new(*profile, outgoing, incoming).expect("keys have the length of their profile");
                Self::Srtp(srtp, FormerKeys::default())
            }
        }
    }

    /// The keys of a later offer and answer, which are the same as before or others; `false` if they can't be used.
    pub(crate) fn set(&mut self, keys: Option<&Keys>) -> bool {
        match (self, keys) {
            (Self::Plain(_), None) => true,
            (Self::Srtp(srtp, former), Some(Keys { profile, outgoing, incoming })) => {
                srtp.set_keys(*profile, outgoing, incoming, Rollover::Continues, former).is_ok()
            }
            _ => false,
        }
    }

    fn inner(&mut self) -> &mut dyn PacketGuard {
        match self {
            Self::Plain(plain) => plain,
            Self::Srtp(srtp, _) => srtp,
        }
    }
}

impl PacketGuard for Guard {
    fn max_growth(&self) -> usize {
        match self {
            Self::Plain(plain) => plain.max_growth(),
            Self::Srtp(srtp, _) => srtp.max_growth(),
        }
    }

    fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, GuardError> {
        self.inner().protect_rtp(buffer, len)
    }

    fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, GuardError> {
        self.inner().protect_rtcp(buffer, len)
    }

    fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, GuardError> {
        self.inner().unprotect_rtp(packet)
    }

    fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, GuardError> {
        self.inner().unprotect_rtcp(packet)
    }
}
