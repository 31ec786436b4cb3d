//! libopus as a phone has it: fixed point, no heap, states in memory of the caller's, behind the traits of `dsp_core`.
//!
//! The same code runs on Cortex-M and on a host whose libopus is built in the same way, so that both can be compared
//! bit by bit: integer arithmetic leaves them no choice.

#![no_std]
#![deny(unsafe_code)]

#[path = "../../src/coded.rs"]
pub mod coded;
mod ffi;
#[path = "../../src/fnv.rs"]
pub mod fnv;
pub mod hostile;
pub mod opus;
pub mod road;
