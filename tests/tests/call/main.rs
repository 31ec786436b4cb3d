//! Whole calls in virtual time: what is said is heard, through offers, keys, streams and parts of a user's own.

mod digits;
mod dtls;
mod dtls_apart;
mod dtls_attacks;
mod fates;
mod feedback;
mod goodbye;
mod ice;
mod ice_net;
mod keys;
mod long_call;
mod mos;
mod mtu;
mod own_media;
mod own_parts;
mod quality_reports;
mod redundancy;
mod renegotiate;
mod repeats;
mod spans;
mod stereo;
mod stream_orders;
mod stream_pairs;
mod streams;
mod turn;
mod virtual_time;
