//! Microphone, loudspeaker and the lines between them.

mod desk;
mod device;
mod line;

pub(crate) use desk::Desk;
pub(crate) use device::open;
