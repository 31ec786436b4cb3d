//! The softphone in calls: with another of itself, with phones, servers and scenarios that nobody here wrote. Each
//! test starts who it talks with, on loopback, and scores the sound that was heard and not the signalling alone.
//!
//! Who isn't installed is skipped with a word; with `MEDIA_CORE_REQUIRE=1` that is a failure, unless
//! `MEDIA_CORE_PEERS=0`.

mod baresip;
mod browser;
mod heard;
mod kamailio;
mod network;
mod phone;
mod rtp;
mod scenarios;
mod sipp;
mod two_phones;
