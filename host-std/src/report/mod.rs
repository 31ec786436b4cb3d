//! A call told to people and programs: `report.json`, `report.html` and a short summary for the terminal.
//!
//! [`Report`] is plain data; everything here is a pure function of it.

mod data;

pub use data::{DelayRow, PacketFate, PacketRow, PlayCause, PlayRow, Report, SideReport, Spread, Statistics};
