//! Reset periods as the contract describes them, found by walking.

use jiff::ToSpan;
use jiff::tz::Offset;

use crate::request::{At, Reset};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// When period `k` starts.
fn start(anchor: At, reset: Reset, k: i64) -> At {
    match reset {
        Reset::Day => At(anchor.0 + k * DAY_MS),
        // The calendar takes the last day of a month that lacks the anchor's.
        Reset::Month => {
            let from = jiff::Timestamp::from_millisecond(anchor.0).unwrap();
            let there = Offset::UTC.to_datetime(from).checked_add(k.months()).unwrap();
            At(Offset::UTC.to_timestamp(there).unwrap().as_millisecond())
        }
    }
}

/// The periods that have started by `until`, the first one first, each with its end.
pub(crate) fn started_by(anchor: At, reset: Option<Reset>, until: At) -> Vec<(At, Option<At>)> {
    let Some(reset) = reset else {
        return vec![(anchor, None)];
    };
    (0..)
        .map(|k| (start(anchor, reset, k), Some(start(anchor, reset, k + 1))))
        .take_while(|(start, _)| *start <= until)
        .collect()
}
