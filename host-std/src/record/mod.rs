//! The output of a call to disk or to other hosts while it runs: its sound, and a capture of its datagrams with the keys to read
//! it.
//!
//! | use | for |
//! |---|---|
//! | [`recorder`] | the sound of a call or a room as WAV or Ogg Opus, of any length |
//! | [`fork`], [`rtp_fork`] | its sound on another thread, or by RTP on another machine |
//! | [`siprec`] | metadata for a recording server: who took part (SIPREC, RFC 7865) |
//! | [`wire`] | its datagrams in a capture (pcap), and the SRTP keys |
//! | [`pcap`], [`keys`] | the formats of these two files |
//! | `call`, `echo` (cargo feature `report`) | everything of a short call in memory, for a report |
//!
//! Recording a call takes one line. `replay` plays a capture again.
//!
//! ```
//! # #[cfg(feature = "record")] {
//! # use dsp_core::time::Instant;
//! use host_std::record::recorder::{RecorderConfig, record_call};
//! # use host_std::session::{Call, CallConfig};
//!
//! # let (mut call, mut other) = (Call::new(CallConfig::new(4000)?)?, Call::new(CallConfig::new(5000)?)?);
//! # let answer = other.answer(Instant::ZERO, &call.offer()?)?;
//! # call.accept(Instant::ZERO, &answer)?;
//! # let (now, path) = (Instant::ZERO, std::env::temp_dir().join(format!("doc-record-{}.wav", std::process::id())));
//! let recorder = record_call(&mut call, now, RecorderConfig::new(&path))?; // both sides, mixed
//! // The call goes on, and at its end:
//! let status = recorder.stop()?;
//! assert_eq!(status.files, [path.clone()]);
//! # std::fs::remove_file(path).ok();
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Cost.** None of them but `call`, whose memory grows with the call, allocates or blocks on the audio path. Each has a ring of
//! fixed length and a thread that writes: data that a slow disk, network or reader can't take are dropped and counted.
//!
//! **Limits.** The program has to decide whether a recording is allowed, and who must be informed. Anyone who has a capture and
//! its keys can hear the call.

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
