//! Alignment: the least delay that each stream of one sender needs, so that what was captured at the same time is
//! heard at the same time.
//!
//! The delays that the streams need by themselves show which one is the latest. It goes on as if it were alone, and
//! the others wait for it; so two streams cannot raise each other's delay without end. Each call moves a delay by at
//! most `max_step`, which the receiver makes up in pauses and pitch periods. The cost is four passes over the streams.

use crate::time::{Duration, NtpTime};

/// Bounds of alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AlignConfig {
    /// Longest time that a stream waits for another. A stream that would need more is left out, and played without
    /// regard to the others.
    pub max_wait: Duration,
    /// Greatest change of a delay in one call.
    pub max_step: Duration,
}

impl Default for AlignConfig {
    /// At most 500 ms of waiting, in steps of at most 80 ms.
    fn default() -> Self {
        Self { max_wait: Duration::from_millis(500), max_step: Duration::from_millis(80) }
    }
}

/// The timing of one of the streams of a sender, at one moment that is the same for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StreamTiming {
    /// When, by the sender's wall clock, the sound was captured that would arrive now if it were as fast as the
    /// fastest packet: [`ClockMap::capture`](super::ClockMap::capture) of
    /// [`Receiver::media_time`](crate::receive::Receiver::media_time).
    pub captured: NtpTime,
    /// Delay after the fastest packet that the stream needs by itself:
    /// [`Receiver::own_delay`](crate::receive::Receiver::own_delay).
    pub own_delay: Duration,
    /// Present delay after the fastest packet.
    pub delay: Duration,
    /// Before the call: the least delay that the stream was told last. After it: the least delay to tell it now.
    pub least_delay: Duration,
}

/// Sets the least delay of each stream. It is zero for the stream that the others wait for, and where there are no
/// others.
pub fn align(config: &AlignConfig, streams: &mut [StreamTiming]) {
    let Some(origin) = streams.first().map(|stream| stream.captured) else { return };
    let us = |time: Duration| time.as_micros().min(i64::MAX as u64) as i64;
    // How long after the origin's capture a stream's sound of that time is heard with this delay, in microseconds.
    let late = |stream: &StreamTiming, delay: Duration| origin.micros_since(stream.captured).saturating_add(us(delay));
    let earliest = streams.iter().map(|stream| late(stream, stream.own_delay)).min().unwrap_or(0);
    let within = |stream: &StreamTiming| late(stream, stream.own_delay).saturating_sub(earliest) <= us(config.max_wait);
    // The latest that nobody has to wait too long for.
    let latest = (0..streams.len()).filter(|&index| within(&streams[index]));
    let Some(latest) = latest.max_by_key(|&index| late(&streams[index], streams[index].own_delay)) else { return };
    let when = late(&streams[latest], streams[latest].delay);
    for (index, stream) in streams.iter_mut().enumerate() {
        let waits = index != latest && within(stream);
        let wanted = if waits { when.saturating_sub(late(stream, Duration::ZERO)).max(0) as u64 } else { 0 };
        let (own, now, step) =
            (stream.own_delay.as_micros(), us(stream.least_delay) as u64, us(config.max_step) as u64);
        // Below its own delay a stream needs no steps, neither to get away from there nor to get there.
        let next = wanted.clamp(now.saturating_sub(step), now.max(own) + step);
        stream.least_delay = Duration::from_micros(if waits || next > own { next } else { 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: NtpTime = NtpTime::from_unix_micros(1_700_000_000_000_000);

    /// A stream that is `network` ms on its way.
    fn stream(network: u64, own: u64) -> StreamTiming {
        StreamTiming {
            captured: START.plus(Duration::from_millis(10_000 - network)),
            own_delay: Duration::from_millis(own),
            delay: Duration::from_millis(own),
            least_delay: Duration::ZERO,
        }
    }

    fn settled(mut streams: [StreamTiming; 3]) -> [u64; 3] {
        for _ in 0..20 {
            align(&AlignConfig::default(), &mut streams);
        }
        streams.map(|stream| (stream.least_delay.as_micros() + 500) / 1_000)
    }

    #[test]
    fn the_earlier_wait_for_the_latest() {
        assert_eq!(settled([stream(50, 40), stream(200, 20), stream(120, 90)]), [170, 0, 100]);
        assert_eq!(settled([stream(50, 40), stream(50, 40), stream(50, 40)]), [40, 40, 0]);
        // Where it is, not where it wants to be.
        let lazy = StreamTiming { delay: Duration::from_millis(45), ..stream(200, 20) };
        assert_eq!(settled([stream(50, 40), lazy, stream(120, 90)]), [195, 0, 125]);
    }

    #[test]
    fn who_is_too_late_is_left_out() {
        assert_eq!(settled([stream(50, 40), stream(800, 20), stream(120, 90)]), [160, 0, 0]);
        assert_eq!(settled([stream(50, 40), stream(800, 20), stream(1_500, 90)]), [0, 0, 0]);
    }

    #[test]
    fn one_step_a_call_both_ways() {
        let mut streams = [stream(0, 40), stream(200, 40)];
        let mut seen = [0; 4];
        for least in &mut seen {
            align(&AlignConfig::default(), &mut streams);
            *least = (streams[0].least_delay.as_micros() + 500) / 1_000;
        }
        assert_eq!(seen, [120, 200, 240, 240]);
        assert_eq!(streams[1].least_delay, Duration::ZERO);
        for least in &mut seen {
            align(&AlignConfig::default(), &mut streams[..1]);
            *least = (streams[0].least_delay.as_micros() + 500) / 1_000;
        }
        assert_eq!(seen, [160, 80, 0, 0]);
    }

    #[test]
    fn any_clock_is_harmless() {
        let mut streams =
            [stream(0, 0), stream(0, u64::MAX / 2_000), StreamTiming { captured: NtpTime(0), ..stream(0, 20) }];
        align(&AlignConfig { max_wait: Duration::from_micros(u64::MAX), ..AlignConfig::default() }, &mut streams);
        align(&AlignConfig::default(), &mut []);
        assert!(streams.iter().all(|stream| stream.least_delay <= stream.own_delay + Duration::from_millis(80)));
    }
}
