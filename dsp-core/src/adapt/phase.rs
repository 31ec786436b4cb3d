//! What a [`Capacity`](super::Capacity) does, by name.

use core::fmt;

/// What a [`Capacity`](super::Capacity) does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Phase {
    /// The rate stays, until all has been well for long enough.
    Steady,
    /// More is sent, to find out whether the network carries it.
    Probing,
    /// Less is sent than arrives, until the queue is empty.
    Emptying,
    /// Less is sent, to find out whether the loss goes away.
    Trying,
    /// Other traffic fills the queue, so only losses count.
    Beside,
}

/// What was before a probe, a trial or a queue, in bit/s and in 256ths of a percent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    pub(super) rate_bps: u32,
    pub(super) loss: u32,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Steady => "steady",
            Self::Probing => "looking for room",
            Self::Emptying => "a queue empties",
            Self::Trying => "looking where loss comes from",
            Self::Beside => "beside somebody who fills the queue",
        })
    }
}
