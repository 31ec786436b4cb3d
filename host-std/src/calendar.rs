//! Dates of the Gregorian calendar.

use std::time::{SystemTime, UNIX_EPOCH};

/// Date by microseconds since 1970, in UTC: `2026-01-31`. Howard Hinnant's `civil_from_days`.
pub(crate) fn date(unix_us: i64) -> String {
    let days = unix_us.div_euclid(86_400_000_000) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Date and time of the day in UTC (RFC 3339), to the millisecond: `2026-01-31T23:59:59.999Z`. Before 1970 it is then.
pub(crate) fn date_time(at: SystemTime) -> String {
    let us = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
    let ms = us.rem_euclid(86_400_000_000) / 1_000;
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", date(us), ms % 1_000)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_and_times_of_the_day() {
        assert_eq!(date_time(UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
        assert_eq!(date_time(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00.000Z");
        let leap = UNIX_EPOCH + Duration::from_millis(1_709_251_199_999);
        assert_eq!(date_time(leap), "2024-02-29T23:59:59.999Z");
    }
}
