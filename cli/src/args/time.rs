//! Times as people write them: spans with a unit, moments with or without a zone.

use std::time::Duration;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// `90s`, `25m`, `1h`; a bare number is seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    span(text, &UNITS[..3], 604_800, "give it as 90s, 25m or 1h", "give a time between 1s and 168h")
}

/// `24h`, `7d`, `2w`; a bare number is seconds.
///
/// # Errors
///
/// What the text should be.
pub fn life(text: &str) -> Result<Duration, String> {
    span(text, &UNITS, 366 * 86_400, "give it as 24h, 7d or 2w", "give a time between 1s and 366d")
}

/// Units of time in seconds.
const UNITS: [(&str, u64); 5] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400), ("w", 604_800)];

fn span(text: &str, units: &[(&str, u64)], most: u64, form: &str, range: &str) -> Result<Duration, String> {
    let (number, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let factor = units.iter().find(|(known, _)| *known == unit).map(|(_, factor)| *factor);
    let factor = factor.ok_or_else(|| form.to_owned())?;
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)) {
        Some(seconds) if (1..=most).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(range.to_owned()),
    }
}

/// A moment with its zone, or a date, or a date and time in UTC.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    let civil = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    let found = text.parse().ok().or_else(|| civil().map(|zoned| zoned.timestamp()));
    found.ok_or_else(|| "give it as 2026-12-24, 2026-12-24T18:00 or 2026-12-24T18:00:00+01:00".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("25m"), Ok(Duration::from_mins(25)));
        for wrong in ["", "0", "m", "1d", "-1", "99999999999999999999h", "169h"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn lives_and_moments() {
        assert_eq!(life("2w"), Ok(Duration::from_hours(336)));
        for wrong in ["", "0d", "367d", "1y", "-1d", "soon"] {
            assert!(life(wrong).is_err(), "{wrong:?}");
        }
        for (text, expected) in [
            ("2026-12-24", "2026-12-24T00:00:00Z"),
            ("2026-12-24T18:00", "2026-12-24T18:00:00Z"),
            ("2026-12-24T18:00:00+01:00", "2026-12-24T17:00:00Z"),
        ] {
            assert_eq!(moment(text).map(|at| at.to_string()), Ok(expected.to_owned()), "{text}");
        }
        for wrong in ["", "tomorrow", "2026-13-01", "24.12.2026", "1700000000"] {
            assert!(moment(wrong).is_err(), "{wrong:?}");
        }
    }
}
