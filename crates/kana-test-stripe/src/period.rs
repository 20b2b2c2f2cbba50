use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::Value;

/// Periods that are looked through from the anchor to the one that contains now.
const PERIODS_MAX: i64 = 20_000;

/// The billing period, as its start and end in seconds, that contains `now` and is counted from `anchor`.
/// Before the anchor it lasts until the anchor. `recurring` is that of a price.
pub(crate) fn period_at(anchor: i64, now: i64, recurring: &Value) -> (i64, i64) {
    let mut start = now;
    for number in 0..PERIODS_MAX {
        let end = boundary(anchor, number, recurring);
        if end > now {
            return (start, end);
        }
        start = end;
    }
    (start, start)
}

/// When the period with this number begins; that with 0 begins at the anchor.
fn boundary(anchor: i64, number: i64, recurring: &Value) -> i64 {
    let count = number * recurring["interval_count"].as_i64().unwrap_or(1);
    let span = match recurring["interval"].as_str() {
        Some("day") => Span::new().try_days(count),
        Some("week") => Span::new().try_weeks(count),
        Some("year") => Span::new().try_years(count),
        _ => Span::new().try_months(count),
    };
    let boundary = Timestamp::from_second(anchor).and_then(|anchor| {
        let at = TimeZone::UTC.to_datetime(anchor).checked_add(span?)?;
        Ok(TimeZone::UTC.to_timestamp(at)?.as_second())
    });
    // Only periods of centuries are beyond what can be counted.
    boundary.unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::period_at;

    #[test]
    fn months_are_counted_from_the_anchor() {
        // 31 January 2026, 00:00; 28 February; 31 March.
        let (january, february, march) = (1_769_817_600, 1_772_236_800, 1_774_915_200);
        let monthly = json!({ "interval": "month", "interval_count": 1 });
        assert_eq!(period_at(january, january, &monthly), (january, february));
        assert_eq!(period_at(january, february, &monthly), (february, march));
        assert_eq!(period_at(january, january - 60, &monthly), (january - 60, january));
    }
}
