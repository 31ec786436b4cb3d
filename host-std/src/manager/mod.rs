//! The one object that a SIP stack talks to: media sessions by dialog.
//!
//! Use a [`MediaManager`] for a softphone or a server whose signalling is a SIP stack: it opens sockets, makes calls, runs each
//! session as a task on tokio and reports events. Use a [`Session`] where you tick many calls in a batch, or test in virtual
//! time: it has the same rules for offers, answers and forking, and does no I/O and reads no clock. For one call without SIP
//! dialogs a [`Driver`](crate::session::driver::Driver) is enough, and browsers are served by `web`.
//!
//! A SIP stack has dialogs, requests and answers. A manager has one session for each INVITE, with sockets, a call for each dialog
//! that the INVITE makes, and a device if you attach one. Pass on what signalling hears and says as it stands: the texts of offers
//! and answers (RFC 3264), and the `Call-ID` and two tags that name a dialog.
//!
//! ```
//! use host_std::device::FileIo;
//! use host_std::manager::{DialogId, ManagerConfig, MediaManager};
//!
//! # async fn invite(offer: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let (manager, mut events) = MediaManager::new(ManagerConfig::new()?);
//! // An INVITE has come: its Call-ID, the tag that our answer gets, and the tag of its From.
//! let dialog = DialogId::new("a84b4c76e66710@pc33.example.com", "8321234356", "1928301774");
//! let answer = manager.answer(&dialog, offer).await?; // into the 200 OK
//! manager.attach(&dialog, Box::new(FileIo::null(48_000))).await?; // or a sound card, or a member of a room
//! while let Some(event) = events.next().await {
//!     println!("{}: {:?}", event.dialog, event.kind);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | signalling | manager |
//! |---|---|
//! | INVITE with an offer comes | [`answer`](MediaManager::answer) |
//! | INVITE leaves | [`offer`](MediaManager::offer) with a [half](DialogId::half) dialog |
//! | INVITE without an offer comes | `offer` into the 200, [`accept`](MediaManager::accept) of what the ACK brings |
//! | 183 or 200 with an answer comes | `accept`, once for each To tag |
//! | the 200 | [`confirm`](MediaManager::confirm): all other dialogs of the INVITE end |
//! | re-INVITE or UPDATE with an offer comes | [`reanswer`](MediaManager::reanswer) |
//! | re-INVITE or UPDATE leaves | [`reoffer`](MediaManager::reoffer), then `accept`, or [`withdraw`](MediaManager::withdraw) for 4xx |
//! | session refresh (RFC 4028) leaves | [`refresh`](MediaManager::refresh) |
//! | transfer (REFER with Replaces) | [`replace`](MediaManager::replace) |
//! | CANCEL, BYE | [`end`](MediaManager::end) |
//!
//! Each error knows the SIP status to answer with ([`ManagerError::status`]). An offer or answer that fails leaves the running
//! call unchanged: its sound, keys, addresses and numbers.
//!
//! **Cost.** Each session is one task and two UDP sockets, for RTP and RTCP. A call of PCMU with SRTP holds 53 KB, one that offers
//! the default codecs and has agreed on Opus 140 KB with its codecs' states (BENCHMARKS.md, "Memory of a call").
//!
//! **Limits.** The manager does no SIP: it sends no requests and keeps no transactions. There are 10,000 sessions at once unless
//! [`ManagerConfig::most_sessions`] sets another limit, and a session ends by itself after 90 s without a packet from the other
//! side (`CallConfig::after_silence`). Events that nobody fetches are dropped, the oldest first, and counted
//! ([`Events::dropped`]).
//!
//! **Standards.** Dialogs and forking are those of RFC 3261, 12 and 13.2.2.4, offer and answer in SIP those of RFC 3264 and RFC 6337,
//! glare that of RFC 3261, 14.1.

mod change;
mod config;
mod dialog;
mod error;
mod event;
mod forks;
#[cfg(feature = "record")]
mod music;
mod opening;
mod session;
mod table;
mod task;
mod watch;

pub use change::Change;
pub use config::ManagerConfig;
pub use dialog::DialogId;
pub use error::ManagerError;
pub use event::{Event, EventKind, Events, WhyEnded};
#[cfg(feature = "record")]
pub use music::Music;
pub use session::{Confirmed, Session};
pub use table::{EndedDialog, MediaManager, Shutdown};
pub use watch::Watching;
