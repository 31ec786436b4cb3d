//! Microphone, loudspeaker, and the lines between them.

mod desk;
mod device;
mod line;
mod ringer;

pub(crate) use desk::{Desk, Plugs};
pub(crate) use device::open;
pub(crate) use ringer::Ringer;
