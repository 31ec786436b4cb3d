//! Sessions by dialog: in virtual time between two and more phones, over sockets of this machine, and in random orders.

mod early;
mod events;
mod holds;
mod later;
mod many;
mod parked;
mod random;
mod real;
mod world;
