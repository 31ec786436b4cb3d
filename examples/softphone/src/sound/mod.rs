//! Microphone, loudspeaker and the lines between them.

mod device;
mod desk;
mod line;

pub(crate) use desk::Desk;
pub(crate) use device::open;
