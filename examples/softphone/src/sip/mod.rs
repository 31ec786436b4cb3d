//! Signalling: rsipstack's endpoint, and the parts of a call's requests that rsipstack leaves to its user.

pub(crate) mod headers;
pub(crate) mod refer;
pub(crate) mod stack;
pub(crate) mod timer;
