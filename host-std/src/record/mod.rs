//! What a call leaves on disk or sends elsewhere while it runs: its sound, and a capture of its datagrams with the keys to
//! read it.
//!
//! | what | where |
//! |---|---|
//! | sound of a call or a room to WAV or Ogg Opus | [`recorder`] |
//! | sound to another thread, or by RTP to another machine | [`fork`], [`rtp_fork`] |
//! | who took part, for a recording server (SIPREC, RFC 7865) | [`siprec`] |
//! | datagrams as they are on the wire (pcap), and SRTP's keys | [`wire`]; [`pcap`] and [`keys`] are its formats |
//! | all of a call in memory, for a report | `call`, `echo` (cargo feature `report`) |
//!
//! Use [`recorder::record_call`] for a recording of a call. None of them but `call`, whose memory grows with the call, allocates
//! or blocks on the audio path: what a slow disk or reader can't take is dropped and counted. Whoever has a capture and its
//! keys can hear the call.

#[cfg(feature = "report")]
pub(crate) mod arrived;
#[cfg(feature = "report")]
pub mod call;
#[cfg(feature = "report")]
pub mod echo;
#[cfg(feature = "record")]
pub mod fork;
#[cfg(feature = "report")]
pub mod keys;
#[cfg(feature = "report")]
pub mod pcap;
#[cfg(feature = "record")]
pub mod recorder;
#[cfg(feature = "record")]
pub mod rtp_fork;
#[cfg(feature = "record")]
pub mod siprec;
#[cfg(all(feature = "record", feature = "report"))]
pub mod wire;
