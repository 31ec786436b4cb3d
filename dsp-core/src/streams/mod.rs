//! Several streams at once: who has a receiver ([`sources`]), and how many bytes of packets all may hold together
//! ([`budget`]). Streams of one sender are kept in step by [`sync`](crate::sync).
//!
//! Use them where one socket may carry several sources. A program asks [`Sources`](sources::Sources) where each packet goes,
//! and [`Budget`](budget::Budget) after each packet that a receiver has kept:
//!
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
