//! Microphone, loudspeaker and the lines between them.

mod device;
mod desk;
mod line;

pub(crate) use desk::{Desk, DeskError};
pub(crate) use device::open;
pub(crate) use line::LineEnd;
