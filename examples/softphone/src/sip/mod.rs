//! Signalling: rsipstack's endpoint, and what of a call's requests it leaves to its user.

pub(crate) mod headers;
pub(crate) mod refer;
pub(crate) mod stack;
pub(crate) mod timer;
