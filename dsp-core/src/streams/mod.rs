//! Several streams at once: which source has a receiver ([`sources`]), and how many bytes of packets all receivers may
//! hold together ([`budget`]).
//!
//! Use them where one socket may carry several sources. Streams of one sender, such as sound and picture, are kept in
//! step by [`sync`](crate::sync). A program asks [`Sources`](sources::Sources) to which receiver each packet goes, and
//! calls [`Budget::enforce`](budget::Budget::enforce) after each packet that a receiver has stored. Both take one pass
//! over a table of fixed size for each packet.
//!
//! Three sources send, and there are receivers for two:
//! ```
//! use dsp_core::streams::sources::{Admission, Sources, SourcesConfig};
//! use dsp_core::time::{Instant, Seq, Ssrc};
//!
//! let mut sources = Sources::<4>::new(SourcesConfig { places: 2, ..SourcesConfig::default() })?;
//! let mut receivers = [0; 2];
//! for n in 0..10 {
//!     for ssrc in [Ssrc(1), Ssrc(2), Ssrc(3)] {
//!         match sources.update(Instant::from_millis(20 * n), ssrc, Seq(n as u16)) {
//!             Admission::Heard(place) => receivers[place] += 1,
//!             // A receiver that had somebody else begins anew.
//!             Admission::Admitted(place) | Admission::Returned(place) => receivers[place] = 1,
//!             _ => {}
//!         }
//!     }
//! }
//! assert!(receivers.iter().all(|&packets| packets >= 8));
//! // The third found no place.
//! assert_eq!((sources.place_of(Ssrc(3)), sources.stats().admitted), (None, 2));
//! # Ok::<(), dsp_core::streams::sources::PlacesError>(())
//! ```

pub mod budget;
pub mod sources;
