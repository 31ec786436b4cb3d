//! Sessions by dialog: in virtual time between two and more phones, over sockets of this machine, and in random orders.

mod day;
mod devices;
mod early;
mod events;
mod holds;
mod later;
mod many;
mod parked;
mod random;
mod random_sockets;
mod real;
mod stepped;
mod trouble;
mod world;
