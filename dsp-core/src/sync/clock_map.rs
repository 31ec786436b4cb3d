//! Clock map: the RTP timestamps of a stream on its sender's wall clock, from sender reports (RFC 3550, 6.4.1).
//!
//! Each report is a point (NTP, RTP). The map is a line whose slope comes from reports one or two minutes apart: the
//! drift of the sampling clock against the wall clock. A new point moves the line by a quarter of the difference,
//! since reports give the time of a packet or of an audio tick, and not of a sample. A report that is off by more than
//! 20 ms is only remembered. If the next one agrees with it, a clock was set or the stream restarted, and the map
//! begins anew there. So one wrong report changes nothing, even if it was the first.
//!
//! Timestamps wrap: a report is valid for those up to 2^31 ticks from it, half a day at 48 kHz. The difference of wall
//! clocks is modulo 2^64, its fractions rounded to a microsecond. A report or a conversion takes one or two 64-bit
//! divisions.

use crate::time::{NtpTime, RtpTime};

/// A report that lies further from the line, in microseconds, is suspect. Half a packet: reports are written with the
/// time of a packet, or of the clock.
const TOLERANCE_US: i64 = 20_000;
/// Faster or slower clocks than this, in ppm, are no clocks.
const MAX_DRIFT_PPM: i64 = 1_000;
/// Reports this far apart tell the drift.
const SHORT_US: i64 = 10_000_000;
/// The reports that the drift is measured from are one to two of these old.
const WINDOW_US: i64 = 60_000_000;

/// What a [`ClockMap`] did with a sender report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Taken {
    /// It is the first report: the map begins with it.
    First,
    /// The report fits the map and refines it.
    Fits,
    /// The report is off by more than 20 ms. It is remembered and has no effect yet.
    Suspect,
    /// The second report in a row that is off, and it fits the first one: a clock was set or the stream restarted, and
    /// the map begins anew.
    Jumped,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    ntp: NtpTime,
    rtp: RtpTime,
}

/// Converts the RTP timestamps of one stream to its sender's wall clock, by the sender reports of RTCP (RFC 3550,
/// 6.4.1).
///
/// The map is a line through the points (NTP, RTP) of the reports. Its slope is the drift of the sampling clock, from
/// reports one or two minutes apart; each new point moves it by a quarter of the difference. One wrong report changes
/// nothing, even if it was the first. Timestamps up to 2^31 ticks from the last report can be converted, half a day at
/// 48 kHz. A report or a conversion takes one or two 64-bit divisions.
///
/// ```
/// use dsp_core::sync::ClockMap;
/// use dsp_core::time::{NtpTime, RtpTime};
///
/// let mut map = ClockMap::new(8_000);
/// assert_eq!(map.capture(RtpTime(0)), None);
/// // The sender's report: timestamp 16,000 was captured at 10 s.
/// map.report(NtpTime::from_unix_micros(10_000_000), RtpTime(16_000));
/// // A packet one second of samples later.
/// let captured = map.capture(RtpTime(24_000)).ok_or("no report")?;
/// assert_eq!(captured, NtpTime::from_unix_micros(11_000_000));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ClockMap {
    clock_hz: u32,
    /// Where the line goes through, at the timestamp of the newest report.
    newest: Option<Point>,
    suspect: Option<Point>,
    /// Points of one window ago and of the one before, since the last jump.
    anchors: Option<[Point; 2]>,
    reports: u8,
    drift_ppm: i64,
}

impl ClockMap {
    /// The map of a stream whose RTP clock has this many ticks in a second, at least 1. It converts nothing before the
    /// first report.
    pub const fn new(clock_hz: u32) -> Self {
        let clock_hz = if clock_hz == 0 { 1 } else { clock_hz };
        Self { clock_hz, newest: None, suspect: None, anchors: None, reports: 0, drift_ppm: 0 }
    }

    /// Takes in the two times of a sender report.
    pub fn report(&mut self, ntp: NtpTime, rtp: RtpTime) -> Taken {
        let point = Point { ntp, rtp };
        let Some(newest) = self.newest else {
            self.begin(point);
            return Taken::First;
        };
        if self.fits(newest, point, self.drift_ppm) {
            // Late ones, and those that come twice, say nothing new.
            if ntp.micros_since(newest.ntp) > 0 {
                self.go_on(point);
            }
            self.suspect = None;
            return Taken::Fits;
        }
        if self.suspect.is_some_and(|suspect| ntp.micros_since(suspect.ntp) > 0 && self.fits(suspect, point, 0)) {
            self.begin(point);
            return Taken::Jumped;
        }
        self.suspect = Some(point);
        Taken::Suspect
    }

    /// When the sample with this timestamp was captured, by the sender's wall clock; `None` before the first report.
    pub fn capture(&self, rtp: RtpTime) -> Option<NtpTime> {
        let newest = self.newest?;
        let media_us = self.media_us(rtp, newest.rtp);
        // The sampling clock is fast where the drift is above 0: its seconds are shorter.
        Some(newest.ntp.plus_micros(media_us - media_us * self.drift_ppm / 1_000_000))
    }

    /// How much faster the sampling clock runs than the sender's wall clock, in parts per million; 0 until reports are
    /// 10 s apart.
    pub const fn drift_ppm(&self) -> i32 {
        self.drift_ppm as i32
    }

    fn begin(&mut self, point: Point) {
        *self = Self { newest: Some(point), anchors: Some([point; 2]), ..Self::new(self.clock_hz) };
    }

    fn go_on(&mut self, point: Point) {
        self.reports = (self.reports + 1).min(3);
        let line = self.capture(point.rtp).unwrap_or(point.ntp);
        let drawn = line.plus_micros(point.ntp.micros_since(line) / (i64::from(self.reports) + 1));
        self.newest = Some(Point { ntp: drawn, rtp: point.rtp });
        let Some([newer, older]) = &mut self.anchors else { return };
        let (from, span_us) = (*older, point.ntp.micros_since(older.ntp));
        if point.ntp.micros_since(newer.ntp) >= WINDOW_US {
            *older = *newer;
            *newer = point;
        }
        // Beyond an hour something is missing, and the product would not be safe.
        if (SHORT_US..3_600_000_000).contains(&span_us) {
            let ahead_us = self.media_us(point.rtp, from.rtp) - span_us;
            let measured = (ahead_us * 1_000_000 / span_us).clamp(-MAX_DRIFT_PPM, MAX_DRIFT_PPM);
            self.drift_ppm += if self.drift_ppm == 0 { measured } else { (measured - self.drift_ppm) / 4 };
        }
    }

    /// Whether `to` lies on the line through `from`: within the tolerance, and what the drift may have grown by since.
    fn fits(&self, from: Point, to: Point, drift_ppm: i64) -> bool {
        let wall_us = to.ntp.micros_since(from.ntp);
        // The product must be safe, and half a day is too long for any guess.
        if wall_us.abs() > 43_200_000_000 {
            return false;
        }
        let expected_us = wall_us + wall_us * drift_ppm / 1_000_000;
        let slack_us = TOLERANCE_US + wall_us.abs() * MAX_DRIFT_PPM / 2_000_000;
        (self.media_us(to.rtp, from.rtp) - expected_us).abs() <= slack_us
    }

    fn media_us(&self, to: RtpTime, from: RtpTime) -> i64 {
        i64::from(to.distance(from)) * 1_000_000 / i64::from(self.clock_hz)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    const START: NtpTime = NtpTime::from_unix_micros(1_700_000_000_000_000);

    /// The report of a clock that runs `ppm` fast, `ms` after the start.
    fn report(ms: u64, ppm: i64, first: u32) -> (NtpTime, RtpTime) {
        let ticks = (ms as i64 * 8 * (1_000_000 + ppm) / 1_000_000) as u32;
        (START.plus(Duration::from_millis(ms)), RtpTime(first.wrapping_add(ticks)))
    }

    fn error_us(map: &ClockMap, ms: u64, ppm: i64, first: u32) -> i64 {
        let (ntp, rtp) = report(ms, ppm, first);
        map.capture(rtp).unwrap().micros_since(ntp).abs()
    }

    #[test]
    fn drift_and_wrap() {
        for ppm in [-500, -100, 0, 100, 500] {
            let first = u32::MAX - 80_000;
            let mut map = ClockMap::new(8_000);
            assert_eq!(map.capture(RtpTime(0)), None);
            for n in 0..200 {
                let (ntp, rtp) = report(n * 5_000, ppm, first);
                assert_eq!(map.report(ntp, rtp), if n == 0 { Taken::First } else { Taken::Fits });
                let bound = if n < 20 { 20 * ppm.abs() + 250 } else { 300 };
                let error = error_us(&map, n * 5_000 + 5_000, ppm, first);
                assert!(error <= bound, "{ppm} ppm, {n}: {error}");
            }
            assert!((i64::from(map.drift_ppm()) - ppm).abs() <= 4, "{ppm}: {}", map.drift_ppm());
            // A minute without reports.
            assert!(error_us(&map, 1_055_000, ppm, first) <= 500);
        }
    }

    #[test]
    fn a_wrong_report_moves_nothing_and_a_jump_is_followed() {
        let mut map = ClockMap::new(8_000);
        for n in 0..10 {
            let (ntp, rtp) = report(n * 5_000, 0, 0);
            map.report(ntp, rtp);
        }
        let (ntp, rtp) = report(50_000, 0, 0);
        assert_eq!(map.report(ntp, rtp.plus(8_000)), Taken::Suspect);
        assert!(error_us(&map, 52_000, 0, 0) <= 1);
        assert_eq!(map.report(NtpTime(0), rtp), Taken::Suspect);
        assert_eq!(map.report(ntp, rtp), Taken::Fits);
        // The wall clock is set an hour ahead.
        let set = |ntp: NtpTime| ntp.plus(Duration::from_secs(3_600));
        for (n, taken) in [(11, Taken::Suspect), (12, Taken::Jumped), (13, Taken::Fits)] {
            let (ntp, rtp) = report(n * 5_000, 0, 0);
            assert_eq!(map.report(set(ntp), rtp), taken);
        }
        // A first report that was wrong is overcome by the second and third.
        let mut map = ClockMap::new(8_000);
        map.report(NtpTime(0), RtpTime(77));
        let taken = [1, 2].map(|n| {
            let (ntp, rtp) = report(n * 5_000, 0, 0);
            map.report(ntp, rtp)
        });
        assert_eq!(taken, [Taken::Suspect, Taken::Jumped]);
        assert!(error_us(&map, 12_000, 0, 0) <= 1);
    }

    #[test]
    fn anything_may_be_reported() {
        let mut random = 1u64;
        let mut map = ClockMap::new(0);
        for n in 0..20_000u32 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            map.report(NtpTime(random << (n % 64)), RtpTime((random >> (n % 48)) as u32));
            assert!(map.capture(RtpTime(n.wrapping_mul(0x9e37_79b9))).is_some());
            assert!(map.drift_ppm().abs() <= 1_000);
        }
    }
}
