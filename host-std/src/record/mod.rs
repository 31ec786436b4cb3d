//! What a call leaves on disk: its sound, and a capture of its datagrams and the keys to read it.

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
