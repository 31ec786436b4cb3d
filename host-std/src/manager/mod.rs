//! The one object that a signalling stack talks to: media sessions by dialog.
//!
//! A SIP stack has dialogs, requests and answers; a [`MediaManager`] has a media session for each INVITE, with sockets,
//! calls and, if it's wanted, a device. What signalling hears and says is handed through as it stands: texts of offers
//! and answers (RFC 3264) and the three words that name a dialog.
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
//! Errors know their SIP status ([`ManagerError::status`]). An offer or answer that fails leaves the running call as it
//! was: its sound, keys, addresses and numbers.
//!
//! Two levels: a [`Session`] does no I/O and reads no clock, for a server that ticks a thousand of them in a batch and
//! for tests in virtual time; the manager gives each a task on tokio with sockets.

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
pub use event::{Event, EventKind, WhyEnded};
#[cfg(feature = "record")]
pub use music::Music;
pub use session::{Confirmed, Session};
pub use table::{EndedDialog, Events, MediaManager, Shutdown};
pub use watch::Watching;
