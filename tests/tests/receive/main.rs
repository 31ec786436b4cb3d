//! What arrives: every packet has its place, whatever networks, senders and strangers do, and what is heard is in time.

mod accounts;
mod adapt;
mod budget;
mod conversation;
mod every_packet;
mod honest_senders;
mod jumps;
mod quiet;
mod road;
mod sources;
mod strangers;
