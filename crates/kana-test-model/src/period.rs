//! Reset periods as the contract describes them, found by walking.

use jiff::ToSpan;
use jiff::tz::Offset;

use crate::request::{At, Reset};

const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// 1970-01-05.
const FIRST_MONDAY_MS: i64 = 4 * DAY_MS;

/// When period `k` starts.
fn start(anchor: At, reset: Reset, k: i64) -> At {
    match reset {
        Reset::Hour => At(anchor.0 + k * HOUR_MS),
        Reset::Day => At(anchor.0 + k * DAY_MS),
        Reset::Week => At(anchor.0 + k * 7 * DAY_MS),
        Reset::CalendarWeek => {
            let weeks = (anchor.0 - FIRST_MONDAY_MS).div_euclid(7 * DAY_MS) + k;
            At(FIRST_MONDAY_MS + weeks * 7 * DAY_MS)
        }
        Reset::CalendarMonth => {
            let from = jiff::Timestamp::from_millisecond(anchor.0).unwrap();
            let first = Offset::UTC.to_datetime(from).date().first_of_month();
            let there = first.checked_add(k.months()).unwrap().at(0, 0, 0, 0);
            At(Offset::UTC.to_timestamp(there).unwrap().as_millisecond())
        }
        // The calendar takes the last day of a month that lacks the anchor's.
        Reset::Month => {
            let from = jiff::Timestamp::from_millisecond(anchor.0).unwrap();
            let there = Offset::UTC.to_datetime(from).checked_add(k.months()).unwrap();
            At(Offset::UTC.to_timestamp(there).unwrap().as_millisecond())
        }
    }
}

/// The periods that have started by `until`, the first one first, each with its end, of what starts at the first
/// instant and counts its periods from the second, which is not later. The first period begins with the start.
pub(crate) fn started_by(
    (started_at, anchor): (At, At),
    reset: Option<Reset>,
    until: At,
) -> Vec<(At, Option<At>)> {
    let Some(reset) = reset else {
        return vec![(started_at, None)];
    };
    (0..)
        .map(|k| (start(anchor, reset, k), start(anchor, reset, k + 1)))
        .skip_while(|(_, end)| *end <= started_at)
        .map(|(start, end)| (start.max(started_at), Some(end)))
        .take_while(|(start, _)| *start <= until)
        .collect()
}
