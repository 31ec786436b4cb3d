//! What a call leaves on disk: a capture of its datagrams and the keys to read it.

pub mod call;
pub mod echo;
pub mod keys;
pub mod pcap;
