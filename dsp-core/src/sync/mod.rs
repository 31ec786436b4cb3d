//! Playing the streams of one sender together (lip-sync): RTP timestamps on the sender's wall clock, and how long the
//! earlier streams must wait (RFC 3550, 6.4.1 and 2.2).
//!
//! The sender's reports tell for each stream which RTP timestamp belongs to which time of its wall clock; a
//! [`ClockMap`] keeps that. Sound that was captured at the same time is to be heard at the same time: [`align()`]
//! computes the least delay of each stream, for
//! [`Receiver::set_least_delay`](crate::receive::Receiver::set_least_delay). Use it for streams with the same
//! canonical name, since only those share a clock (6.5.1); which these are is for the caller to know. A single stream
//! does not need it.
//!
//! A call takes a few passes over the streams, and a report a few divisions. A stream for which the others would have
//! to wait longer than [`AlignConfig::max_wait`] is left out.
//!
//! A voice that is 60 ms ahead of its picture has to wait for it:
//!
//! ```
//! use dsp_core::sync::{AlignConfig, ClockMap, StreamTiming, align};
//! use dsp_core::time::{Duration, NtpTime, RtpTime};
//!
//! let second = NtpTime::from_unix_micros(1_000_000);
//! let (mut sound, mut picture) = (ClockMap::new(8_000), ClockMap::new(90_000));
//! sound.report(second, RtpTime(0));
//! picture.report(second, RtpTime(500_000));
//! // What arrives now was captured 1 s after the reports, and the picture's 60 ms earlier.
//! let sound = sound.capture(RtpTime(8_000)).ok_or("no report")?;
//! let picture = picture.capture(RtpTime(500_000 + 90 * 940)).ok_or("no report")?;
//! let delay = Duration::from_millis(40);
//! let timing = |captured| StreamTiming { captured, own_delay: delay, delay, least_delay: Duration::ZERO };
//! let mut streams = [timing(sound), timing(picture)];
//! align(&AlignConfig::default(), &mut streams);
//! // Waiting 100 ms, it is as late as the picture.
//! assert_eq!(streams.map(|stream| (stream.least_delay.as_micros() + 500) / 1_000), [100, 0]);
//! # Ok::<(), &str>(())
//! ```

mod align;
mod clock_map;

pub use align::{AlignConfig, StreamTiming, align};
pub use clock_map::{ClockMap, Taken};
